//! `socket`: records from a TCP peer that listens, as `nc -lk 9999` does, one a line.
//!
//! ```text
//! peer --TCP--> task --records--> buffer --next_offset: decode, journal (durable)--> offset --> batch
//!                ^------ stops reading while the buffer is full ------'
//! ```
//! A peer cannot be asked again, so rows are written to the [`journal`] in the checkpoint before their offset is told:
//! from there on they are delivered exactly once. What is in the buffer when the process dies is lost, as TCP has
//! acknowledged it. When the peer goes away a record without its newline is taken as it is, and the connection is made
//! again, with a growing wait of up to 5 seconds, for ever. The task runs in the tokio runtime in which the source was
//! opened.

mod buffer;
mod connection;
mod journal;
#[cfg(test)]
mod tests;

use super::columns::{ColumnMap, extended};
use super::{Connector, SourceDescription, SourceSpec};
use crate::formats::rows::RowDecoder;
use crate::formats::{BATCH_ROWS, HeaderLine, OnError, RowFormat};
use acequia_core::{
    Advance, Error, Offset, OffsetRange, Result, Source, SourceContext, Split, SplitReader, options,
};
use arrow::array::{ArrayRef, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use buffer::{Buffer, Taken};
use journal::{Entry, Journal};
use std::sync::Arc;
use tokio::task::JoinHandle;

const NAME: &str = "socket";

/// Rows per batch when nothing else is said.
const DEFAULT_MAX_ROWS: u64 = 100_000;

/// The column of `include_timestamp`.
const TIMESTAMP: &str = "timestamp";

/// The options, checked.
#[derive(Debug, Clone)]
struct SocketOptions {
    host: String,
    port: u16,
    format: RowFormat,
    on_error: OnError,
    max_rows: usize,
    /// What records are decoded to; then, where wanted, the time of arrival; then what the user declared.
    contents: SchemaRef,
    columns: ColumnMap,
}

impl SocketOptions {
    fn take(spec: &SourceSpec) -> Result<Self> {
        let mut options = spec.options();
        let host = options.require("host")?;
        let port = options.require("port")?;
        let port: u16 = port.trim().parse().map_err(|_| options.bad_value("port", &port, "0 to 65535"))?;
        let word = options.take("format")?.unwrap_or_else(|| "text".to_string());
        let format = RowFormat::take(&options::normalize_key(&word), HeaderLine::Never, &mut options)?;
        let what = format!("format of stream `{}`", spec.name);
        let format = format.ok_or_else(|| options::unknown(&what, &word, ["text", "json", "csv"]))?;
        let on_error = OnError::take(&mut options)?;
        let with_time = options.take_bool("include_timestamp", false)?;
        let max_rows = options.take_count("max_rows_per_batch")?.unwrap_or(DEFAULT_MAX_ROWS);
        let max_rows = usize::try_from(max_rows).unwrap_or(usize::MAX);
        options.finish()?;
        spec.check_metadata(NAME, &[])?;
        let (contents, columns) = columns(spec, &format, with_time)?;
        RowDecoder::check(&format, &contents)?;
        Ok(Self { host, port, format, on_error, max_rows, contents, columns })
    }
}

/// The columns of a record, and those of the stream. The time of arrival is last, unless it is declared elsewhere.
fn columns(spec: &SourceSpec, format: &RowFormat, with_time: bool) -> Result<(SchemaRef, ColumnMap)> {
    let declared = match (&spec.declared, format) {
        (Some(declared), _) => Arc::clone(declared),
        (None, RowFormat::Text) => Arc::new(Schema::new(vec![Field::new("value", DataType::Utf8, true)])),
        (None, _) => {
            return Err(Error::invalid(format!(
                "declare the columns of stream `{}`: a socket has none",
                spec.name
            )));
        }
    };
    if !with_time {
        return Ok((Arc::clone(&declared), ColumnMap::new(&spec.name, Some(&declared), &declared)?));
    }
    let of_record = declared.fields().iter().filter(|f| f.name() != TIMESTAMP).cloned();
    let contents = Arc::new(Schema::new(of_record.collect::<Vec<_>>()));
    let time = Field::new(TIMESTAMP, DataType::Timestamp(TimeUnit::Millisecond, None), true);
    let produced = extended(&contents, [time.clone()]);
    let wanted = if declared.index_of(TIMESTAMP).is_ok() { declared } else { extended(&declared, [time]) };
    Ok((contents, ColumnMap::new(&spec.name, Some(&wanted), &produced)?))
}

/// The connector `socket`.
#[derive(Debug)]
pub(crate) struct SocketConnector;

#[async_trait]
impl Connector for SocketConnector {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn describe(&self, spec: &SourceSpec) -> Result<SourceDescription> {
        let options = SocketOptions::take(spec)?;
        Ok(SourceDescription { schema: Arc::clone(options.columns.schema()), bounded: false })
    }

    async fn open(&self, spec: &SourceSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        Ok(Box::new(SocketSource::open(spec, context).await?))
    }
}

/// The driver's side. The offset is the number of a journal object.
#[derive(Debug)]
struct SocketSource {
    options: SocketOptions,
    decoder: RowDecoder,
    buffer: Arc<Buffer>,
    journal: Journal,
    /// Records left out that no journal object tells of yet.
    skipped: usize,
    task: JoinHandle<()>,
    stopped: bool,
}

impl Drop for SocketSource {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SocketSource {
    async fn open(spec: &SourceSpec, context: SourceContext) -> Result<Self> {
        let options = SocketOptions::take(spec)?;
        let journal = Journal::open(context.store, Arc::clone(options.columns.schema())).await?;
        let all: Vec<usize> = (0..options.contents.fields().len()).collect();
        let decoder = RowDecoder::new(&options.format, &options.contents, &all, None)?;
        let peer = format!("{}:{}", options.host, options.port);
        let keep_blank = options.format == RowFormat::Text;
        let buffer = Arc::new(Buffer::new(options.max_rows, keep_blank, options.on_error, peer));
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|e| Error::internal(format!("a socket needs a tokio runtime: {e}")))?;
        let stream = connection::connect(&options.host, options.port).await?;
        let (host, port) = (options.host.clone(), options.port);
        let task = runtime.spawn(connection::run(stream, host, port, Arc::clone(&buffer), context.clock));
        Ok(Self { options, decoder, buffer, journal, skipped: 0, task, stopped: false })
    }

    /// The rows of some records, and how many records were left out.
    fn decode(&self, taken: &Taken) -> Result<Entry> {
        let place = format!("peer=`{}`", self.buffer.peer());
        let mut entry = Entry { batches: vec![], skipped: taken.skipped };
        for (records, block) in chunks(taken) {
            let decoded = self.decoder.decode(&block, self.options.on_error, &place)?;
            entry.skipped += decoded.skipped;
            for (rows, batch) in decoded.batches {
                let times = &taken.times[records.start + rows.start..records.start + rows.end];
                let times = times.iter().map(|micros| micros.div_euclid(1000));
                let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(times));
                let column = |c: &usize| batch.columns().get(*c).unwrap_or(&times);
                let columns = self.options.columns.produced().iter().map(|c| Arc::clone(column(c)));
                entry.batches.push(self.options.columns.batch(columns.collect(), batch.num_rows())?);
            }
        }
        Ok(entry)
    }
}

/// Blocks of at most [`BATCH_ROWS`] records, each with its place among all of them.
fn chunks(taken: &Taken) -> Vec<(std::ops::Range<usize>, crate::formats::framing::Block)> {
    let count = taken.block.records.len();
    let starts = (0..count).step_by(BATCH_ROWS);
    starts.map(|s| s..count.min(s + BATCH_ROWS)).map(|r| (r.clone(), taken.block.part(r))).collect()
}

fn number(offset: Option<&Offset>) -> Result<Option<u64>> {
    offset.map(Offset::decode).transpose()
}

#[async_trait]
impl Source for SocketSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.options.columns.schema())
    }

    async fn next_offset(&mut self, start: Option<&Offset>) -> Result<Advance> {
        let start = number(start)?;
        let to = |number: u64| Ok(Advance::To { end: Offset::encode(&number)?, step: None });
        if let Some(number) = self.journal.next(start) {
            return to(number);
        }
        while let Some(taken) = self.buffer.peek(self.options.max_rows)? {
            let mut entry = self.decode(&taken)?;
            entry.skipped += std::mem::take(&mut self.skipped);
            if entry.batches.is_empty() {
                self.skipped = entry.skipped;
                self.buffer.remove(&taken);
                continue;
            }
            let number = self.journal.append(start, entry).await?;
            self.buffer.remove(&taken);
            return to(number);
        }
        Ok(if self.stopped { Advance::Ended } else { Advance::Idle })
    }

    async fn stop_at_available(&mut self, _start: Option<&Offset>) -> Result<()> {
        self.task.abort();
        self.stopped = true;
        Ok(())
    }

    async fn plan_splits(&self, range: &OffsetRange) -> Result<Vec<Split>> {
        let numbers = self.journal.range(number(range.start.as_ref())?, range.end.decode()?)?;
        numbers.iter().map(Split::encode).collect()
    }

    fn reader(&self) -> Arc<dyn SplitReader> {
        self.journal.reader()
    }

    async fn commit(&mut self, end: &Offset) -> Result<()> {
        self.journal.commit(end.decode()?).await
    }
}
