//! What a batch reads: the splits of every source, opened for the leaves of the plan.
//!
//! While a batch runs, a source that knows what comes next ([`Source::knows_next`]) is opened for the two batches after
//! it, so that decoding goes on beside the query's own work: with one, a batch would begin by waiting for what is left
//! of its decoding. These batches are decided later, as ever: each takes up to the end that was found here, and its
//! range is opened anew if it turns out to be another one.

use super::execute::adapt;
use crate::catalog::Changelog;
use crate::exec::{cores, with_weight};
use crate::plan::SourceLeaf;
use acequia_core::{
    Advance, Error, Offset, OffsetRange, ReadMetrics, RecordStream, Result, Source, Split, SplitReader,
};
use acequia_state::SourceOffsets;
use arrow::array::RecordBatch;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::VecDeque;
use std::sync::Arc;

/// A source of the query and how far it was read.
#[derive(Debug)]
pub(super) struct SourceRun {
    /// The stream's name.
    pub(super) name: String,
    /// The source.
    pub(super) source: Box<dyn Source>,
    /// The end of the last batch.
    pub(super) position: Option<Offset>,
    /// Which leaves of the plan read it.
    pub(super) leaves: Vec<usize>,
    /// Whether nothing will ever come again.
    pub(super) ended: bool,
    /// Whether its end closes its windows.
    pub(super) final_watermark: bool,
    /// What the batches after this one will read, in their order, or why that could not be opened.
    pub(super) ahead: VecDeque<Result<Ahead>>,
}

/// For how many batches a source is opened before they are decided.
const BATCHES_AHEAD: usize = 2;

/// A range that was opened before its batch was decided.
pub(super) struct Ahead {
    range: OffsetRange,
    leaves: Vec<OpenLeaf>,
}

impl std::fmt::Debug for Ahead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ahead").field("range", &self.range).finish_non_exhaustive()
    }
}

/// The rows of one leaf of the plan.
pub(super) struct OpenLeaf {
    /// Which leaf.
    pub(super) leaf: usize,
    /// What is read of it.
    pub(super) metrics: Arc<ReadMetrics>,
    /// Its rows.
    pub(super) rows: SendableRecordBatchStream,
}

impl SourceRun {
    /// The end of the next batch: the one that was read ahead to, or what the source says. What has failed ahead is told
    /// here, between two batches: the batch that ran had no part in it.
    pub(super) async fn advance(&mut self) -> Result<Advance> {
        match self.ahead.front() {
            Some(Ok(ahead)) if ahead.range.start == self.position => {
                return Ok(Advance::To { end: ahead.range.end.clone(), step: None });
            }
            _ => drop(std::mem::take(&mut self.ahead).pop_front().transpose()?),
        }
        self.source.next_offset(self.position.as_ref()).await.map_err(self.context())
    }

    /// Opens what a batch reads.
    pub(super) async fn open(
        &mut self,
        offsets: &SourceOffsets,
        leaves: &[SourceLeaf],
    ) -> Result<Vec<OpenLeaf>> {
        let Some(end) = offsets.end.clone().filter(|end| offsets.start.as_ref() != Some(end)) else {
            return self.open_splits(&[], leaves);
        };
        let range = OffsetRange { start: offsets.start.clone(), end };
        match self.ahead.pop_front() {
            // The same range has the same rows.
            Some(Ok(ahead)) if ahead.range == range => Ok(ahead.leaves),
            _ => {
                self.ahead.clear();
                self.open_range(&range, leaves).await
            }
        }
    }

    /// Begins to read what the batches after the one that ends here will read, if the source knows.
    pub(super) async fn read_ahead(&mut self, start: &Option<Offset>, leaves: &[SourceLeaf]) {
        while cores() > 1 && self.ahead.len() < BATCHES_AHEAD {
            let from = match self.ahead.back() {
                Some(Ok(last)) => &Some(last.range.end.clone()),
                Some(Err(_)) => return,
                None => start,
            };
            if !self.source.knows_next(from.as_ref()) {
                return;
            }
            let Some(opened) = self.open_next(from, leaves).await.transpose() else { return };
            self.ahead.push_back(opened);
        }
    }

    async fn open_next(&mut self, start: &Option<Offset>, leaves: &[SourceLeaf]) -> Result<Option<Ahead>> {
        let advance = self.source.next_offset(start.as_ref()).await.map_err(self.context())?;
        let Advance::To { end, step: None } = advance else { return Ok(None) };
        let range = OffsetRange { start: start.clone(), end };
        let leaves = self.open_range(&range, leaves).await?;
        Ok(Some(Ahead { range, leaves }))
    }

    async fn open_range(&self, range: &OffsetRange, leaves: &[SourceLeaf]) -> Result<Vec<OpenLeaf>> {
        let splits = self.source.plan_splits(range).await.map_err(self.context())?;
        self.open_splits(&splits, leaves)
    }

    fn open_splits(&self, splits: &[Split], leaves: &[SourceLeaf]) -> Result<Vec<OpenLeaf>> {
        let open = |leaf: &usize| {
            let projection = leaves[*leaf].slot.projection();
            if let Some(changelog) = leaves[*leaf].stream.changelog() {
                return self.open_changes(*leaf, changelog, projection, splits);
            }
            let schema = self.source.schema();
            let schema = match &projection {
                Some(columns) => Arc::new(schema.project(columns)?),
                None => schema,
            };
            let metrics: Arc<ReadMetrics> = Arc::default();
            let reads = Reads { reader: self.source.reader(), projection, metrics: Arc::clone(&metrics) };
            let rows = reads.rows(splits.to_vec()).map_err(self.context());
            Ok(OpenLeaf { leaf: *leaf, metrics, rows: adapt(schema, rows.boxed()) })
        };
        self.leaves.iter().map(open).collect()
    }

    /// Opens records that say which rows come and go: these are read whole and give rows with weights.
    fn open_changes(
        &self,
        leaf: usize,
        changelog: &Changelog,
        projection: Option<Vec<usize>>,
        splits: &[Split],
    ) -> Result<OpenLeaf> {
        let metrics: Arc<ReadMetrics> = Arc::default();
        let reads = Reads { reader: self.source.reader(), projection: None, metrics: Arc::clone(&metrics) };
        let schema = with_weight(changelog.rows());
        let projected = match &projection {
            Some(columns) => Arc::new(schema.project(columns)?),
            None => Arc::clone(&schema),
        };
        let changelog = changelog.clone();
        let expand = move |records: RecordBatch| -> Result<RecordBatch> {
            let (rows, weights) = changelog.expand(&records)?;
            let mut columns = rows.columns().to_vec();
            columns.push(Arc::new(weights));
            let rows = RecordBatch::try_new(Arc::clone(&schema), columns)?;
            Ok(match &projection {
                Some(columns) => rows.project(columns)?,
                None => rows,
            })
        };
        let rows = reads.rows(splits.to_vec()).map(move |records| records.and_then(&expand));
        let rows = rows.map_err(self.context());
        Ok(OpenLeaf { leaf, metrics, rows: adapt(projected, rows.boxed()) })
    }

    fn context(&self) -> impl Fn(Error) -> Error + Send + use<> {
        let name = self.name.clone();
        move |error| error.context(format!("stream `{name}`"))
    }
}

/// Splits of a leaf that are open at once, at most: each has a thread and a buffer.
const OPEN_SPLITS: usize = 4;

/// Reads splits for one leaf.
struct Reads {
    reader: Arc<dyn SplitReader>,
    projection: Option<Vec<usize>>,
    metrics: Arc<ReadMetrics>,
}

impl Reads {
    /// The rows of the splits, one after the other; several are open, that they may be decoded on several threads.
    fn rows(self, splits: Vec<Split>) -> RecordStream {
        let mut waiting = splits.into_iter();
        let mut next = move || {
            let split = waiting.next()?;
            Some(self.reader.read(&split, self.projection.as_deref(), &self.metrics))
        };
        let mut open: VecDeque<_> = std::iter::from_fn(&mut next).take(cores().min(OPEN_SPLITS)).collect();
        let in_order = std::iter::from_fn(move || {
            let first = open.pop_front()?;
            open.extend(next());
            Some(first)
        });
        stream::iter(in_order).try_flatten().boxed()
    }
}
