//! One local file in any format: its rows between two cuts, the cut so many rows further, its columns.

use super::columnar::{Batches, Columnar};
use super::compression::Compression;
use super::framing::{Framing, RecordReader};
use super::rows::{RowDecoder, csv_header};
use super::{BATCH_ROWS, Cut, Format, HeaderLine, OnError, RowFormat, infer};
use acequia_core::{Error, ErrorKind, Options, ReadMetrics, Result, options};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

const WORDS: [&str; 5] = ["json", "csv", "parquet", "arrow", "text"];

/// How files are read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileFormat {
    format: Format,
    compression: Compression,
    on_error: OnError,
}

/// The part of a file to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) path: &'a Path,
    pub(crate) from: Option<Cut>,
    pub(crate) to: Option<Cut>,
}

impl FileFormat {
    /// Takes `format` and what belongs to it.
    pub(crate) fn take(options: &mut Options, stream: &str) -> Result<Self> {
        let word = options::normalize_key(&options.require("format")?);
        if word == "debezium_json" {
            return Err(Error::unsupported("format `debezium_json` cannot be read from files yet"));
        }
        let format = match word.as_str() {
            "parquet" => Format::Parquet,
            "arrow" => Format::Arrow,
            other => match RowFormat::take(other, HeaderLine::Optional, options)? {
                Some(rows) => Format::Rows(rows),
                None => return Err(options::unknown(&format!("format of stream `{stream}`"), other, WORDS)),
            },
        };
        // A columnar file is compressed inside, and damaged as a whole.
        let (compression, on_error) = match format {
            Format::Rows(_) => (Compression::take(options)?, OnError::take(options)?),
            _ => (Compression::None, OnError::Fail),
        };
        Ok(Self { format, compression, on_error })
    }

    /// Checks that columns can have these types.
    pub(crate) fn check(&self, columns: &SchemaRef) -> Result<()> {
        match &self.format {
            Format::Rows(format) => RowDecoder::check(format, columns),
            _ => Ok(()),
        }
    }

    /// Whether which rows there are depends on which columns are decoded: with `on_error = 'skip'` every column must
    /// be, lest a projection bring back a row that is malformed in another column.
    pub(crate) fn needs_all_columns(&self) -> bool {
        self.on_error == OnError::Skip
    }

    fn columnar(&self) -> Result<Columnar, &RowFormat> {
        match &self.format {
            Format::Parquet => Ok(Columnar::Parquet),
            Format::Arrow => Ok(Columnar::Arrow),
            Format::Rows(rows) => Err(rows),
        }
    }

    /// The columns of a file.
    pub(crate) fn infer(&self, path: &Path) -> Result<SchemaRef> {
        let found = match self.columnar() {
            Ok(columnar) => columnar.schema(path),
            Err(rows) => self
                .compression
                .open(path, 0)
                .map_err(Error::from)
                .and_then(|input| infer::infer(rows, input)),
        };
        found.map_err(|e| of_file(e, path))
    }

    /// The rows of a part, as the `wanted` ones of the stream's columns.
    pub(crate) fn open(
        &self,
        part: Part<'_>,
        columns: &SchemaRef,
        wanted: &[usize],
        metrics: &Arc<ReadMetrics>,
    ) -> Result<Batches> {
        let name = part.path.display().to_string();
        let batches = match self.columnar() {
            Ok(columnar) => columnar.open(part.path, part.from, part.to, &Arc::new(columns.project(wanted)?)),
            Err(rows) => self.open_rows(rows, part, columns, wanted, metrics),
        };
        let batches = batches.map_err(|e| of_file(e, part.path))?;
        Ok(Box::new(batches.map(move |b| b.map_err(|e| named(e, &name)))))
    }

    fn open_rows(
        &self,
        format: &RowFormat,
        part: Part<'_>,
        columns: &SchemaRef,
        wanted: &[usize],
        metrics: &Arc<ReadMetrics>,
    ) -> Result<Batches> {
        let (mut reader, header) = self.records(format, part)?;
        let decoder = RowDecoder::new(format, columns, wanted, header.as_deref())?;
        let (on_error, metrics) = (self.on_error, Arc::clone(metrics));
        let place = format!("file=`{}`", part.path.display());
        let mut ready: VecDeque<RecordBatch> = VecDeque::new();
        let next = move || -> Result<Option<RecordBatch>> {
            while ready.is_empty() {
                let Some(block) = reader.next_block(BATCH_ROWS)? else { return Ok(None) };
                let decoded = decoder.decode(&block, on_error, &place)?;
                metrics.add_skipped(decoded.skipped);
                ready.extend(decoded.batches.into_iter().map(|(_, batch)| batch));
            }
            Ok(ready.pop_front())
        };
        Ok(fused(next))
    }

    /// The records of a part, behind the header, and the header's names.
    fn records(&self, format: &RowFormat, part: Part<'_>) -> Result<(RecordReader, Option<Vec<String>>)> {
        let framing = Framing::of(format);
        let begin = || -> Result<RecordReader> {
            let input = limited(self.compression.open(part.path, 0)?, 0, part.to);
            Ok(RecordReader::new(input, framing.clone(), Cut::default()))
        };
        let (mut reader, mut header) = (None, None);
        if let RowFormat::Csv(options) = format
            && options.header
        {
            let mut first = begin()?;
            header = Some(first.next_block(1)?.map_or(Ok(vec![]), |block| csv_header(options, &block))?);
            reader = Some(first);
        }
        let reader = match (part.from, reader) {
            (Some(from), _) => {
                let input = limited(self.compression.open(part.path, from.at)?, from.at, part.to);
                RecordReader::new(input, framing, from)
            }
            (None, Some(reader)) => reader,
            (None, None) => begin()?,
        };
        Ok((reader, header))
    }

    /// The cut at most `limit` records after another, `None` when that is the file's end; and the records between.
    pub(crate) fn advance(&self, path: &Path, from: Option<Cut>, limit: u64) -> Result<(u64, Option<Cut>)> {
        let found = match self.columnar() {
            Ok(columnar) => columnar.advance(path, from, limit),
            Err(rows) => self.advance_rows(rows, Part { path, from, to: None }, limit),
        };
        found.map_err(|e| of_file(e, path))
    }

    fn advance_rows(&self, format: &RowFormat, part: Part<'_>, limit: u64) -> Result<(u64, Option<Cut>)> {
        let (mut reader, _) = self.records(format, part)?;
        let (mut counted, mut cut) = (0, None);
        while counted < limit {
            let left = usize::try_from(limit - counted).unwrap_or(usize::MAX);
            let Some(block) = reader.next_block(left)? else { return Ok((counted, None)) };
            counted += block.records.len() as u64;
            cut = block.records.len().checked_sub(1).map(|last| block.cut_after(last));
        }
        // A batch that ends with the file's last record has finished the file.
        let more = reader.next_block(1)?.is_some();
        Ok((counted, cut.filter(|_| more)))
    }
}

/// Only what comes before a cut.
fn limited(input: Box<dyn Read + Send>, from: u64, to: Option<Cut>) -> Box<dyn Read + Send> {
    match to {
        Some(to) => Box::new(input.take(to.at.saturating_sub(from))),
        None => input,
    }
}

/// An iterator that ends after an error.
fn fused(mut next: impl FnMut() -> Result<Option<RecordBatch>> + Send + 'static) -> Batches {
    let mut failed = false;
    Box::new(std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let batch = next().transpose();
        failed = matches!(batch, Some(Err(_)));
        batch
    }))
}

fn of_file(error: Error, path: &Path) -> Error {
    named(error, &path.display().to_string())
}

/// The error with the file's name, unless it has it.
fn named(error: Error, name: &str) -> Error {
    if error.message().contains(name) {
        return error;
    }
    // A file that was listed and cannot be opened is gone or closed to us: the input's fault, not the statement's.
    let kind = if error.kind() == ErrorKind::Invalid && std::error::Error::source(&error).is_some() {
        ErrorKind::Data
    } else {
        error.kind()
    };
    Error::new(kind, format!("{}: file=`{name}`", error.message()))
}
