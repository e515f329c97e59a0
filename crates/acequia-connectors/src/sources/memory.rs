//! `memory`: rows that the program hands over, shared by every query of the process.
//!
//! Rows come in numbered *steps*; what was handed over to several streams at once has one number, drawn from a
//! [`StepCounter`] that the streams share. The rows stay while a handle lives, so a query that starts later reads from
//! the first, and one that starts again from its checkpoint goes on behind its offset. They do not outlive the process:
//! an offset that points to rows that are not there is an error, since rows would be missing in silence.

use super::columns::{ColumnMap, new_batch};
use super::{Connector, SourceDescription, SourceSpec};
use acequia_core::{
    Advance, Error, Offset, OffsetRange, ReadMetrics, RecordStream, Result, Source, SourceContext, Split,
    SplitReader,
};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::{StreamExt, stream};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::watch;

/// The word in `connector = '...'`.
pub const NAME: &str = "memory";

/// Numbers the hand-overs of a group of streams.
#[derive(Debug, Clone, Default)]
pub struct StepCounter(Arc<AtomicU64>);

impl StepCounter {
    /// The next number; the first is 1.
    pub fn advance(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A stream that the program feeds. Clones are the same stream.
#[derive(Debug, Clone)]
pub struct MemoryStream {
    schema: SchemaRef,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rows: RwLock<Rows>,
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Rows {
    steps: Vec<Step>,
    closed: bool,
}

/// One hand-over; `ends[i]` is the number of rows up to and with `batches[i]`.
#[derive(Debug)]
struct Step {
    number: u64,
    /// Shared by all streams of the hand-over, so that its rows appear in all of them at once.
    visible: Arc<AtomicBool>,
    batches: Vec<RecordBatch>,
    ends: Vec<u64>,
}

impl Step {
    fn rows(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn push(&mut self, batch: RecordBatch) {
        self.ends.push(self.rows() + batch.num_rows() as u64);
        self.batches.push(batch);
    }

    /// The rows from `from` up to `to`, without copying them.
    fn slice(&self, from: u64, to: u64, out: &mut Vec<RecordBatch>) {
        let first = self.ends.partition_point(|end| *end <= from);
        for (batch, end) in self.batches[first..].iter().zip(&self.ends[first..]) {
            let start = end - batch.num_rows() as u64;
            if start >= to {
                return;
            }
            let (low, high) = (from.max(start), to.min(*end));
            out.push(batch.slice((low - start) as usize, (high - low) as usize));
        }
    }
}

/// Up to so many rows of this step, and everything of the steps before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Position {
    step: u64,
    rows: u64,
}

impl Rows {
    /// The steps whose rows may be read.
    fn visible(&self) -> &[Step] {
        let hidden = self.steps.iter().rev().take_while(|s| !s.visible.load(Ordering::Acquire)).count();
        &self.steps[..self.steps.len() - hidden]
    }

    fn end(&self) -> Option<Position> {
        self.visible().last().map(|s| Position { step: s.number, rows: s.rows() })
    }

    /// The index of the first step that is not wholly before `after`.
    ///
    /// # Errors
    /// `Data` when the rows before `after` are not there.
    fn find(&self, after: Option<Position>) -> Result<usize> {
        let Some(after) = after else { return Ok(0) };
        match self.steps.binary_search_by_key(&after.step, |s| s.number) {
            Ok(index) if self.steps[index].rows() >= after.rows => Ok(index),
            _ => Err(Error::data(format!(
                "rows of a memory stream do not outlive the process, and the checkpoint is further: step={} rows={}; use a new checkpoint",
                after.step, after.rows
            ))),
        }
    }

    /// The end of the next batch: within one step, at most `limit` rows.
    fn next(&self, after: Option<Position>, limit: u64) -> Result<Option<Position>> {
        for step in self.visible().get(self.find(after)?..).unwrap_or_default() {
            let taken = after.filter(|a| a.step == step.number).map_or(0, |a| a.rows);
            if taken < step.rows() {
                let rows = step.rows().min(taken.saturating_add(limit));
                return Ok(Some(Position { step: step.number, rows }));
            }
        }
        Ok(None)
    }

    fn slice(&self, after: Option<Position>, end: Position) -> Result<Vec<RecordBatch>> {
        self.find(Some(end))?;
        let mut out = vec![];
        for step in self.steps[self.find(after)?..].iter().take_while(|s| s.number <= end.step) {
            let from = after.filter(|a| a.step == step.number).map_or(0, |a| a.rows);
            let to = if step.number == end.step { end.rows } else { step.rows() };
            step.slice(from, to, &mut out);
        }
        Ok(out)
    }
}

impl MemoryStream {
    /// An empty stream of these columns.
    pub fn new(schema: SchemaRef) -> Self {
        let shared = Shared { rows: RwLock::default(), version: watch::Sender::new(0) };
        Self { schema, shared: Arc::new(shared) }
    }

    /// The columns of every row.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Hands over rows under a step's number, drawn from the streams' [`StepCounter`]; no rows are no hand-over.
    ///
    /// # Errors
    /// As [`MemoryStream::append_all`].
    pub fn append(&self, step: u64, batches: Vec<RecordBatch>) -> Result<()> {
        Self::append_all(step, vec![(self.clone(), batches)])
    }

    /// Hands over rows to several streams under one step's number. A reader sees the rows of all of them or of none.
    ///
    /// # Errors
    /// `Invalid` when the columns are not a stream's; `Internal` when the number is lower than the last one, or a
    /// stream is closed.
    pub fn append_all(step: u64, rows: Vec<(Self, Vec<RecordBatch>)>) -> Result<()> {
        let mut given = Vec::with_capacity(rows.len());
        for (stream, batches) in rows {
            let batches = batches.iter().filter(|b| b.num_rows() > 0);
            let batches = batches.map(|b| stream.conform(b)).collect::<Result<Vec<_>>>()?;
            if !batches.is_empty() {
                given.push((stream, batches));
            }
        }
        let visible = Arc::new(AtomicBool::new(false));
        let mut taken = Vec::with_capacity(given.len());
        for (stream, batches) in given {
            stream.push(step, batches, &visible)?;
            taken.push(stream);
        }
        visible.store(true, Ordering::Release);
        for stream in taken {
            stream.shared.version.send_modify(|version| *version += 1);
        }
        Ok(())
    }

    /// The same rows under the stream's own schema, whose columns may be less strict about NULL.
    fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let fields = |schema: &SchemaRef| -> Vec<_> {
            schema.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect()
        };
        if fields(&batch.schema()) != fields(&self.schema) {
            return Err(Error::invalid(format!(
                "rows do not have the stream's columns: given={} stream={}",
                batch.schema(),
                self.schema
            )));
        }
        new_batch(&self.schema, batch.columns().to_vec(), batch.num_rows())
    }

    fn push(&self, number: u64, batches: Vec<RecordBatch>, visible: &Arc<AtomicBool>) -> Result<()> {
        let mut rows = self.shared.rows.write();
        let last = rows.steps.last().map(|s| s.number);
        if rows.closed || last.is_some_and(|last| last > number) {
            return Err(Error::internal(format!(
                "rows cannot be handed over: step={number} last={last:?} closed={}",
                rows.closed
            )));
        }
        if last != Some(number) {
            let visible = Arc::clone(visible);
            rows.steps.push(Step { number, visible, batches: vec![], ends: vec![] });
        }
        if let Some(step) = rows.steps.last_mut() {
            batches.into_iter().for_each(|batch| step.push(batch));
        }
        Ok(())
    }

    /// Nothing will be handed over any more: sources end after what is there.
    pub fn close(&self) {
        self.shared.rows.write().closed = true;
        self.shared.version.send_modify(|version| *version += 1);
    }

    /// Changes whenever rows were handed over or the stream was closed; for waiting instead of polling.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.shared.version.subscribe()
    }

    /// Rows handed over so far.
    pub fn rows(&self) -> u64 {
        self.shared.rows.read().steps.iter().map(Step::rows).sum()
    }
}

fn max_rows(spec: &SourceSpec) -> Result<u64> {
    let mut options = spec.options();
    let limit = options.take_count("max_rows_per_batch")?;
    options.finish()?;
    spec.check_metadata(NAME, &[])?;
    Ok(limit.unwrap_or(u64::MAX))
}

/// The handle is the connector: it opens sources over its own rows.
#[async_trait]
impl Connector for MemoryStream {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn describe(&self, spec: &SourceSpec) -> Result<SourceDescription> {
        max_rows(spec)?;
        let columns = ColumnMap::new(&spec.name, spec.declared.as_ref(), &self.schema)?;
        Ok(SourceDescription { schema: Arc::clone(columns.schema()), bounded: false })
    }

    async fn open(&self, spec: &SourceSpec, _context: SourceContext) -> Result<Box<dyn Source>> {
        let max_rows = max_rows(spec)?;
        let columns = ColumnMap::new(&spec.name, spec.declared.as_ref(), &self.schema)?;
        let reader = Arc::new(MemoryReader { shared: Arc::clone(&self.shared), columns });
        Ok(Box::new(MemorySource { reader, max_rows, stop: None }))
    }
}

/// Where a source stops.
#[derive(Debug, Clone, Copy)]
struct Stop(Option<Position>);

#[derive(Debug)]
struct MemorySource {
    reader: Arc<MemoryReader>,
    max_rows: u64,
    stop: Option<Stop>,
}

fn position(offset: Option<&Offset>) -> Result<Option<Position>> {
    offset.map(Offset::decode).transpose()
}

#[async_trait]
impl Source for MemorySource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.reader.columns.schema())
    }

    async fn next_offset(&mut self, start: Option<&Offset>) -> Result<Advance> {
        let start = position(start)?;
        let rows = self.reader.shared.rows.read();
        let Some(mut end) = rows.next(start, self.max_rows)? else {
            let over = rows.closed || self.stop.is_some();
            return Ok(if over { Advance::Ended } else { Advance::Idle });
        };
        if let Some(Stop(stop)) = self.stop {
            if start >= stop {
                return Ok(Advance::Ended);
            }
            end = end.min(stop.unwrap_or(end));
        }
        Ok(Advance::To { end: Offset::encode(&end)?, step: Some(end.step) })
    }

    async fn stop_at_available(&mut self, _start: Option<&Offset>) -> Result<()> {
        self.stop = Some(Stop(self.reader.shared.rows.read().end()));
        Ok(())
    }

    async fn plan_splits(&self, range: &OffsetRange) -> Result<Vec<Split>> {
        let (start, end) = (position(range.start.as_ref())?, range.end.decode::<Position>()?);
        let rows = self.reader.shared.rows.read();
        rows.find(start)?;
        rows.find(Some(end))?;
        Ok(vec![Split::encode(&(start, end))?])
    }

    fn reader(&self) -> Arc<dyn SplitReader> {
        Arc::clone(&self.reader) as _
    }

    async fn commit(&mut self, _end: &Offset) -> Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryReader {
    shared: Arc<Shared>,
    columns: ColumnMap,
}

impl SplitReader for MemoryReader {
    fn read(
        &self,
        split: &Split,
        projection: Option<&[usize]>,
        metrics: &Arc<ReadMetrics>,
    ) -> Result<RecordStream> {
        let (start, end): (Option<Position>, Position) = split.decode()?;
        let batches = self.shared.rows.read().slice(start, end)?;
        let columns = self.columns.project(projection)?;
        let metrics = Arc::clone(metrics);
        Ok(stream::iter(batches)
            .map(move |batch| {
                metrics.add_rows(batch.num_rows());
                let arrays = columns.produced().iter().map(|c| Arc::clone(batch.column(*c)));
                columns.batch(arrays.collect(), batch.num_rows())
            })
            .boxed())
    }
}
