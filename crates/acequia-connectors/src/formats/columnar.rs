//! Parquet and Arrow IPC files: columns by name, cast to the stream's types, from any row on.
//!
//! Only the wanted columns are read. A column that a file does not have is NULL in its rows. A cut is a number of rows
//! (`parquet`, whole row groups before it are not touched) or a number of Arrow batches and rows in the next one
//! (`arrow`). Records cannot be malformed one by one here: a damaged file always stops the query.

use super::{BATCH_ROWS, Cut};
use crate::sources::columns::{cast_strictly, new_batch};
use acequia_core::{Error, Result};
use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::ipc::reader::{FileReader, StreamReader};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Batches as they are read, one after the other.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Says which format a file of columns is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columnar {
    Parquet,
    Arrow,
}

impl Columnar {
    /// The rows between two places, as these columns.
    pub(crate) fn open(
        self,
        path: &Path,
        from: Option<Cut>,
        to: Option<Cut>,
        wanted: &SchemaRef,
    ) -> Result<Batches> {
        let (from, schema) = (from.unwrap_or_default(), SchemaRef::clone(wanted));
        let mut batches = guarded(|| match self {
            Self::Parquet => parquet(path, from, to, wanted),
            Self::Arrow => Ok(Box::new(arrow_between(path, from, to, wanted)?)),
        })?;
        let mut ended = false;
        let guarded = std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let next = guarded(|| batches.next().transpose());
            ended = !matches!(next, Ok(Some(_)));
            next.transpose()
        });
        Ok(Box::new(guarded.map(move |batch| conform(&batch?, &schema))))
    }

    /// The place at most `limit` rows after another, `None` when that is the end; and the rows between.
    pub(crate) fn advance(self, path: &Path, from: Option<Cut>, limit: u64) -> Result<(u64, Option<Cut>)> {
        let from = from.unwrap_or_default();
        guarded(|| match self {
            Self::Parquet => {
                let total = u64::try_from(builder(path)?.metadata().file_metadata().num_rows()).unwrap_or(0);
                let left = total.saturating_sub(from.skip);
                let cut = Cut { skip: from.skip + limit, ..from };
                Ok(if left <= limit { (left, None) } else { (limit, Some(cut)) })
            }
            Self::Arrow => arrow_advance(path, from, limit),
        })
    }

    /// The columns of a file, each of them nullable: a later file may not have it.
    pub(crate) fn schema(self, path: &Path) -> Result<SchemaRef> {
        let schema = guarded(|| match self {
            Self::Parquet => Ok(SchemaRef::clone(builder(path)?.schema())),
            Self::Arrow => Ok(open_arrow(path, 0, |_| None)?.0),
        })?;
        let nullable = |f: &FieldRef| f.as_ref().clone().with_nullable(true);
        Ok(SchemaRef::new(Schema::new(schema.fields().iter().map(nullable).collect::<Vec<_>>())))
    }
}

/// Arrow's readers panic over some damaged files: that is an error like any other damage.
fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    read.unwrap_or_else(|_| Err(damaged("its reader gave up")))
}

/// The wanted columns, by name.
fn conform(batch: &RecordBatch, wanted: &SchemaRef) -> Result<RecordBatch> {
    let columns = wanted.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        Some(array) => cast_strictly(array, field.data_type())
            .map_err(|e| Error::data(format!("column `{}`: {}", field.name(), e.message()))),
    });
    new_batch(wanted, columns.collect::<Result<_>>()?, batch.num_rows())
}

fn places(file: &Schema, wanted: &SchemaRef) -> Vec<usize> {
    (0..file.fields().len()).filter(|i| wanted.index_of(file.field(*i).name()).is_ok()).collect()
}

fn builder(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    ParquetRecordBatchReaderBuilder::try_new(File::open(path)?).map_err(damaged)
}

fn damaged(error: impl std::fmt::Display) -> Error {
    Error::data(format!("damaged file: {error}"))
}

fn parquet(path: &Path, from: Cut, to: Option<Cut>, wanted: &SchemaRef) -> Result<Batches> {
    let builder = builder(path)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), places(builder.schema(), wanted));
    // The row groups that the rows touch, and how many rows of the first of them come before.
    let (mut groups, mut before, mut start) = (vec![], 0, 0);
    for (index, group) in builder.metadata().row_groups().iter().enumerate() {
        let end = start + u64::try_from(group.num_rows()).unwrap_or(0);
        if end > from.skip && to.is_none_or(|to| start < to.skip) {
            if groups.is_empty() {
                before = from.skip.saturating_sub(start);
            }
            groups.push(index);
        }
        start = end;
    }
    let mut builder = builder.with_projection(mask).with_row_groups(groups).with_offset(before as usize);
    if let Some(to) = to {
        builder = builder.with_limit((to.skip - from.skip) as usize);
    }
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(damaged)?;
    Ok(Box::new(reader.map(|batch| batch.map_err(damaged))))
}

/// Opens an IPC file, or an IPC stream in a file, at a batch.
fn open_arrow(
    path: &Path,
    at: u64,
    columns: impl Fn(&Schema) -> Option<Vec<usize>>,
) -> Result<(SchemaRef, Batches)> {
    let mut file = File::open(path)?;
    let mut magic = [0; 6];
    let is_file = file.read_exact(&mut magic).is_ok() && &magic == b"ARROW1";
    file.seek(SeekFrom::Start(0))?;
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    if is_file {
        check_footer(&mut file)?;
        file.seek(SeekFrom::Start(0))?;
        let schema = FileReader::try_new_buffered(&file, None).map_err(damaged)?.schema();
        file.seek(SeekFrom::Start(0))?;
        let mut reader = FileReader::try_new(BufReader::new(file), columns(&schema)).map_err(damaged)?;
        if at > 0 && at < reader.num_batches() {
            reader.set_index(at).map_err(damaged)?;
        } else if at > 0 {
            return Ok((schema, Box::new(std::iter::empty())));
        }
        return Ok((schema, Box::new(reader.map(|batch| batch.map_err(damaged)))));
    }
    check_messages(&file)?;
    file.seek(SeekFrom::Start(0))?;
    let schema = StreamReader::try_new_buffered(&file, None).map_err(damaged)?.schema();
    file.seek(SeekFrom::Start(0))?;
    let reader = StreamReader::try_new_buffered(file, columns(&schema)).map_err(damaged)?;
    Ok((schema, Box::new(reader.skip(at).map(|batch| batch.map_err(damaged)))))
}

/// Checks that no block of an IPC file claims to be outside of it: the reader would make room for it first.
fn check_footer(file: &mut File) -> Result<()> {
    let total = file.metadata()?.len();
    let outside = || damaged("a block lies outside the file");
    let mut tail = [0; 4];
    file.seek(SeekFrom::Start(total.checked_sub(10).ok_or_else(outside)?))?;
    file.read_exact(&mut tail)?;
    let length = u64::from(u32::from_le_bytes(tail));
    file.seek(SeekFrom::Start(total.checked_sub(10 + length).ok_or_else(outside)?))?;
    let mut bytes = vec![0; length as usize];
    file.read_exact(&mut bytes)?;
    let footer = arrow::ipc::root_as_footer(&bytes).map_err(damaged)?;
    let blocks = [footer.recordBatches(), footer.dictionaries()].into_iter().flatten().flatten();
    let end = |block: &arrow::ipc::Block| {
        let parts = [block.offset(), i64::from(block.metaDataLength()), block.bodyLength()];
        parts.into_iter().try_fold(0_u64, |end, part| end.checked_add(u64::try_from(part).ok()?))
    };
    for block in blocks {
        end(block).filter(|end| *end <= total).ok_or_else(outside)?;
    }
    Ok(())
}

/// Checks that no message of an IPC stream claims to be longer than the file: the reader would make room for it first.
fn check_messages(file: &File) -> Result<()> {
    let total = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    loop {
        let mut word = [0; 4];
        if reader.read_exact(&mut word).is_err() {
            return Ok(());
        }
        if word == [0xFF; 4] {
            reader.read_exact(&mut word)?;
        }
        let length = u64::from(u32::from_le_bytes(word));
        let left = total.saturating_sub(reader.stream_position()?);
        if length == 0 {
            return Ok(());
        }
        if length > left {
            return Err(damaged("a message is longer than the file"));
        }
        let mut message = vec![0; length as usize];
        reader.read_exact(&mut message)?;
        let body = arrow::ipc::root_as_message(&message).map_err(damaged)?.bodyLength();
        if u64::try_from(body).map_or(true, |body| body > left - length) {
            return Err(damaged("the body of a message is longer than the file"));
        }
        reader.seek_relative(body)?;
    }
}

fn arrow_between(
    path: &Path,
    from: Cut,
    to: Option<Cut>,
    wanted: &SchemaRef,
) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + use<>> {
    let (_, batches) = open_arrow(path, from.at, |file| Some(places(file, wanted)))?;
    let cut = move |(at, batch): (u64, Result<RecordBatch>)| {
        let batch = match batch {
            Ok(batch) => batch,
            Err(e) => return Some(Err(e)),
        };
        let rows = batch.num_rows() as u64;
        let low = if at == from.at { from.skip.min(rows) } else { 0 };
        let high = match to {
            Some(to) if at > to.at || (at == to.at && to.skip == 0) => return None,
            Some(to) if at == to.at => to.skip.min(rows),
            _ => rows,
        };
        Some(Ok(batch.slice(low as usize, (high - low) as usize)))
    };
    Ok((from.at..).zip(batches).map_while(cut).flat_map(chunks))
}

/// A batch of any size as batches of at most [`BATCH_ROWS`].
fn chunks(batch: Result<RecordBatch>) -> Vec<Result<RecordBatch>> {
    let Ok(batch) = batch else { return vec![batch] };
    let starts = (0..batch.num_rows()).step_by(BATCH_ROWS);
    starts.map(|start| Ok(batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start)))).collect()
}

fn arrow_advance(path: &Path, from: Cut, limit: u64) -> Result<(u64, Option<Cut>)> {
    let (_, batches) = open_arrow(path, from.at, |_| Some(vec![]))?;
    let mut counted = 0;
    for (at, batch) in (from.at..).zip(batches) {
        let skip = if at == from.at { from.skip } else { 0 };
        let left = (batch?.num_rows() as u64).saturating_sub(skip);
        if left > 0 && counted == limit {
            return Ok((counted, Some(Cut { at, skip, line: 0 })));
        }
        let taken = left.min(limit - counted);
        counted += taken;
        if taken < left {
            return Ok((counted, Some(Cut { at, skip: skip + taken, line: 0 })));
        }
    }
    Ok((counted, None))
}
