//! The worker's side: reads parts of files into the stream's columns.
//!
//! Decoding is most of the work and blocks its thread, so a file is read by a thread of its own, which begins at once
//! and stays up to [`READ_AHEAD_BYTES`] of rows ahead: the query works on another core at the same time, and whoever
//! opens the next file early has it decoded by the time it is needed. A small file is read in place: handing it to a
//! thread would take longer than reading it. So is any file where no runtime is there to lend the thread.

use super::listing::{FileEntry, Location};
use crate::formats::Cut;
use crate::formats::columnar::Batches;
use crate::formats::file::{FileFormat, Part};
use crate::sources::SourceSpec;
use crate::sources::columns::{cast_strictly, extended, new_batch};
use acequia_core::{Error, ReadMetrics, RecordStream, Result, Split, SplitReader};
use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt32Array, new_null_array,
};
use arrow::compute::{can_cast_types, take};
use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Rows of a file that are decoded before they are asked for, in bytes.
const READ_AHEAD_BYTES: usize = 16 << 20;

/// Files up to so many bytes are read in place.
const SMALL_FILE_BYTES: u64 = 64 << 10;

/// A part of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FileSplit {
    pub(crate) file: FileEntry,
    pub(crate) from: Option<Cut>,
    pub(crate) to: Option<Cut>,
}

/// What is known of a file besides its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileMetadata {
    Path,
    Name,
    ModificationTime,
    Size,
}

impl FileMetadata {
    const ALL: [(&'static str, Self, DataType); 4] = [
        ("file_path", Self::Path, DataType::Utf8),
        ("file_name", Self::Name, DataType::Utf8),
        ("file_modification_time", Self::ModificationTime, DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("file_size", Self::Size, DataType::Int64),
    ];

    /// Keys of `METADATA FROM`.
    pub(crate) const KEYS: [&'static str; 4] =
        ["file_path", "file_name", "file_modification_time", "file_size"];

    /// One value.
    fn value(self, file: &FileEntry) -> ArrayRef {
        match self {
            Self::Path => Arc::new(StringArray::from(vec![file.path.as_str()])),
            Self::Name => Arc::new(StringArray::from(vec![file.name()])),
            Self::ModificationTime => {
                Arc::new(TimestampMillisecondArray::from(vec![file.modified.div_euclid(1000)]))
            }
            Self::Size => Arc::new(Int64Array::from(vec![i64::try_from(file.size).unwrap_or(i64::MAX)])),
        }
    }
}

/// The worker's side of a file source.
#[derive(Debug, Clone)]
pub(crate) struct FileReader {
    format: FileFormat,
    location: Location,
    /// The physical columns; those that a file's directories name come from there, the others from its contents.
    columns: SchemaRef,
    metadata: Vec<FileMetadata>,
    schema: SchemaRef,
}

/// Where a column of a read comes from, in one file.
enum From {
    /// The n-th decoded column.
    Contents(usize),
    /// The same value in every row.
    Constant(ArrayRef),
}

impl FileReader {
    /// # Errors
    /// `Invalid` for metadata that there is not, or whose type is another.
    pub(crate) fn new(
        spec: &SourceSpec,
        format: FileFormat,
        location: Location,
        columns: SchemaRef,
    ) -> Result<Self> {
        spec.check_metadata("file", &FileMetadata::KEYS)?;
        let mut metadata = vec![];
        for (key, field) in &spec.metadata {
            let known = FileMetadata::ALL.iter().find(|(name, ..)| name == key);
            let Some((_, kind, data_type)) = known else { continue };
            if !can_cast_types(data_type, field.data_type()) {
                return Err(Error::invalid(format!(
                    "metadata cannot have this type: column=`{}` key=`{key}` declared=`{}` is=`{data_type}`",
                    field.name(),
                    field.data_type()
                )));
            }
            metadata.push(*kind);
        }
        let schema = extended(&columns, spec.metadata.iter().map(|(_, field)| field.clone()));
        Ok(Self { format, location, columns, metadata, schema })
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Reads a part in this thread.
    fn batches(&self, split: &FileSplit, wanted: &[usize], metrics: &Arc<ReadMetrics>) -> Result<Batches> {
        split.file.verify()?;
        let partitions = self.location.partitions(&split.file.path);
        let partition = |c: usize| {
            let name = self.schema.field(c).name();
            partitions.iter().find(|(key, _)| key == name).map(|(_, value)| value)
        };
        // The columns that the contents have, and which of them are decoded.
        let inside: Vec<usize> =
            (0..self.columns.fields().len()).filter(|c| partition(*c).is_none()).collect();
        let decoded: Vec<usize> = (0..inside.len())
            .filter(|i| self.format.needs_all_columns() || wanted.contains(&inside[*i]))
            .collect();
        let from = |c: &usize| -> Result<From> {
            if let Some(place) = decoded.iter().position(|i| inside[*i] == *c) {
                return Ok(From::Contents(place));
            }
            let value = match c.checked_sub(self.columns.fields().len()) {
                Some(m) => self.metadata[m].value(&split.file),
                None => Arc::new(StringArray::from(vec![partition(*c).and_then(|v| v.as_deref())])),
            };
            self.constant(*c, &value, &split.file).map(From::Constant)
        };
        let from = wanted.iter().map(from).collect::<Result<Vec<_>>>()?;
        let part = Part { path: Path::new(&split.file.path), from: split.from, to: split.to };
        let contents = Arc::new(self.columns.project(&inside)?);
        let batches = self.format.open(part, &contents, &decoded, metrics)?;
        let schema = Arc::new(self.schema.project(wanted)?);
        Ok(Box::new(batches.map(move |batch| assemble(&schema, &from, &batch?))))
    }

    fn constant(&self, column: usize, value: &ArrayRef, file: &FileEntry) -> Result<ArrayRef> {
        let field = self.schema.field(column);
        if value.is_null(0) {
            return Ok(new_null_array(field.data_type(), 1));
        }
        cast_strictly(value, field.data_type())
            .map_err(|e| e.context(format!("column `{}` of file=`{}`", field.name(), file.path)))
    }
}

fn assemble(schema: &SchemaRef, from: &[From], contents: &RecordBatch) -> Result<RecordBatch> {
    let rows = contents.num_rows();
    let column = |from: &From| match from {
        From::Contents(place) => Ok(Arc::clone(contents.column(*place))),
        From::Constant(value) => Ok(take(value, &UInt32Array::from(vec![0; rows]), None)?),
    };
    new_batch(schema, from.iter().map(column).collect::<Result<_>>()?, rows)
}

impl SplitReader for FileReader {
    fn read(
        &self,
        split: &Split,
        projection: Option<&[usize]>,
        metrics: &Arc<ReadMetrics>,
    ) -> Result<RecordStream> {
        let split: FileSplit = split.decode()?;
        let wanted = projection.map_or_else(|| (0..self.schema.fields().len()).collect(), <[usize]>::to_vec);
        let (reader, counted, metrics) = (self.clone(), Arc::clone(metrics), Arc::clone(metrics));
        let small = split.file.size <= SMALL_FILE_BYTES;
        let open = move || reader.batches(&split, &wanted, &metrics);
        let batches = match Handle::try_current() {
            Ok(runtime) if !small => read_ahead(runtime, open),
            _ => stream::once(async move { in_place(open) }).flatten().boxed(),
        };
        Ok(batches.inspect_ok(move |batch| counted.add_rows(batch.num_rows())).boxed())
    }
}

fn in_place(open: impl FnOnce() -> Result<Batches>) -> RecordStream {
    match open() {
        Ok(batches) => stream::iter(batches).boxed(),
        Err(e) => stream::iter([Err(e)]).boxed(),
    }
}

/// A batch that waits for the query, and its share of [`READ_AHEAD_BYTES`].
type Waiting = (RecordBatch, OwnedSemaphorePermit);

/// What a thread has read ahead.
struct Ahead {
    rows: mpsc::UnboundedReceiver<Result<Option<Waiting>>>,
    room: Arc<Semaphore>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // Lest the thread wait for room that nobody makes any more.
        self.room.close();
    }
}

/// Reads in a thread. The end is told by a message, so that a thread that dies is no end of file.
fn read_ahead(runtime: Handle, open: impl FnOnce() -> Result<Batches> + Send + 'static) -> RecordStream {
    let (sender, receiver) = mpsc::unbounded_channel::<Result<Option<Waiting>>>();
    let room = Arc::new(Semaphore::new(READ_AHEAD_BYTES));
    let ahead = Ahead { rows: receiver, room: Arc::clone(&room) };
    let lender = runtime.clone();
    runtime.spawn_blocking(move || {
        let wait_for_room = |batch: RecordBatch| -> Result<Waiting> {
            let bytes = batch.get_array_memory_size().clamp(1, READ_AHEAD_BYTES) as u32;
            let permit = lender.block_on(Arc::clone(&room).acquire_many_owned(bytes));
            Ok((batch, permit.map_err(|_| Error::internal("the room to read ahead is gone"))?))
        };
        let told = match open() {
            Err(e) => sender.send(Err(e)),
            Ok(mut batches) => batches
                .try_for_each(|batch| sender.send(batch.and_then(wait_for_room).map(Some)))
                .and_then(|()| sender.send(Ok(None))),
        };
        // Nobody listens any more: the query was stopped.
        drop(told);
    });
    let died = || Err(Error::internal("the thread that read a file has died"));
    let next = move |mut ahead: Ahead| async move {
        let waiting = ahead.rows.recv().await.unwrap_or_else(died).transpose()?;
        Some((waiting.map(|(batch, _)| batch), ahead))
    };
    stream::unfold(ahead, next).boxed()
}

/// The columns of a stream, all of whose columns come from the files.
pub(crate) fn check_names(columns: &Schema) -> Result<()> {
    for (i, field) in columns.fields().iter().enumerate() {
        if columns.fields()[..i].iter().any(|f| f.name() == field.name()) {
            return Err(Error::invalid(format!("column is declared twice: column=`{}`", field.name())));
        }
    }
    Ok(())
}
