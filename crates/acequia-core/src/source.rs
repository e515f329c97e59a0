//! The contract of a source: a stream of rows addressed by offsets, so that any batch can be read again.
//!
//! ```text
//! driver   next_offset(start) -> end          what the next batch may take, limits applied
//!          plan_splits(start..end) -> splits  a pure function of the range
//! worker   reader.read(split) -> rows         any number of times, in any process
//! driver   commit(end)                        everything up to here will never be asked for again
//! ```
//! A source that cannot be read again (a socket) makes itself replayable: it writes what it took to the private,
//! durable directory of its [`SourceContext`] before [`Source::next_offset`] tells of it. Backpressure follows from
//! the contract: nothing is read beyond the offset that a batch takes, and what arrives by itself waits in a bounded
//! buffer.

use crate::{Clock, Error, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::ObjectStore;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows as they are read.
pub type RecordStream = BoxStream<'static, Result<RecordBatch>>;

/// A position in a source: JSON that only the source understands, kept in the offset log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub serde_json::Value);

impl Offset {
    /// An offset from the source's own type.
    ///
    /// # Errors
    /// `Internal` when the value has no JSON form.
    pub fn encode<T: Serialize>(value: &T) -> Result<Self> {
        serde_json::to_value(value)
            .map(Self)
            .map_err(|e| Error::internal(format!("offset cannot be written: {e}")))
    }

    /// The source's own type back.
    ///
    /// # Errors
    /// `Data` when the log holds something else, as after a change of connector.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.0).map_err(|e| {
            Error::data(format!("offset is not one of this source: {self}: {e}; was the connector changed? use a new checkpoint"))
        })
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The rows after `start` (from the very first when there is none) up to and including `end`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OffsetRange {
    /// Where the previous batch ended; `None` before the first.
    pub start: Option<Offset>,
    /// Where this batch ends.
    pub end: Offset,
}

/// What [`Source::next_offset`] found.
#[derive(Debug, Clone, PartialEq)]
pub enum Advance {
    /// There are rows up to this offset. Rows that were handed over together over several sources share a `step`,
    /// and only the lowest step pending goes into a batch.
    To {
        /// The end of the next batch.
        end: Offset,
        /// The number of the hand-over, of sources that have one.
        step: Option<u64>,
    },
    /// Nothing new now; more may come.
    Idle,
    /// Nothing new, and nothing will ever come.
    Ended,
}

/// A part of a range that one reader reads: plain data that can be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// What the reader needs to know; it alone understands it.
    pub descriptor: serde_json::Value,
}

impl Split {
    /// A split from the reader's own type.
    ///
    /// # Errors
    /// `Internal` when the value has no JSON form.
    pub fn encode<T: Serialize>(value: &T) -> Result<Self> {
        Ok(Self { descriptor: Offset::encode(value)?.0 })
    }

    /// The reader's own type back.
    ///
    /// # Errors
    /// `Internal` when it is not one of this reader.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.descriptor)
            .map_err(|e| Error::internal(format!("split is not one of this reader: {e}")))
    }
}

/// Counters of one batch's reading, shared by its readers.
#[derive(Debug, Default)]
pub struct ReadMetrics {
    rows: AtomicU64,
    skipped: AtomicU64,
}

impl ReadMetrics {
    /// Counts rows that were read.
    pub fn add_rows(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Counts malformed records that `on_error = 'skip'` left out.
    pub fn add_skipped(&self, records: usize) {
        self.skipped.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// Rows read.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Malformed records left out.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

/// What a source is given when a query starts.
#[derive(Debug, Clone)]
pub struct SourceContext {
    /// A private directory in the query's checkpoint. On local disk a `put` is durable when it returns, and
    /// `PutMode::Create` fails with `AlreadyExists` when another run was first. In memory for a query without one.
    pub store: Arc<dyn ObjectStore>,
    /// Whether `store` outlives the process: without that, nothing needs to be written for the sake of a restart.
    pub durable: bool,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

/// The driver's side of a source.
///
/// The suite in [`crate::conformance::source`] checks every promise made here.
#[async_trait]
pub trait Source: Send + fmt::Debug {
    /// The columns of every row, metadata columns included.
    fn schema(&self) -> SchemaRef;

    /// The end of the next batch after `start`, under the source's own `max_..._per_batch` limits, without waiting.
    /// Rows up to the returned offset can be read from now on, any number of times, until they are committed. Of a
    /// batch that is not committed a restart may remember the offset or not: then it asks again from its start, and
    /// what comes may be cut otherwise, but no row is left out.
    ///
    /// # Errors
    /// `Unavailable` for what may pass; `Data` or `Invalid` for what will not.
    async fn next_offset(&mut self, start: Option<&Offset>) -> Result<Advance>;

    /// Whether what comes after this offset is known already, so that [`Source::next_offset`] would tell of it at no
    /// cost: it is then asked early and its rows are read while the batch before runs.
    fn knows_next(&self, _start: Option<&Offset>) -> bool {
        false
    }

    /// From now on nothing that arrives later is taken, and [`Advance::Ended`] comes after what is there
    /// (`TRIGGER AVAILABLE NOW`).
    ///
    /// # Errors
    /// As [`Source::next_offset`].
    async fn stop_at_available(&mut self, start: Option<&Offset>) -> Result<()>;

    /// Cuts a range into splits, in the order of their rows. The same range always gives the same rows in the same
    /// order, after any restart.
    ///
    /// # Errors
    /// `Data` when the range cannot be read any more, naming what is missing.
    async fn plan_splits(&self, range: &OffsetRange) -> Result<Vec<Split>>;

    /// The worker's side.
    fn reader(&self) -> Arc<dyn SplitReader>;

    /// Rows up to this offset will never be asked for again: what was kept for them may go. Idempotent.
    ///
    /// # Errors
    /// `Unavailable` when cleaning up failed; it is tried again with the next batch.
    async fn commit(&mut self, end: &Offset) -> Result<()>;
}

/// The worker's side of a source: reads splits, knows nothing of offsets.
pub trait SplitReader: Send + Sync + fmt::Debug {
    /// The rows of a split, restricted to these columns of [`Source::schema`] in this order (all when `None`).
    ///
    /// # Errors
    /// `Data` for malformed input, naming file, place and reason; `Unavailable` for what may pass.
    fn read(
        &self,
        split: &Split,
        projection: Option<&[usize]>,
        metrics: &Arc<ReadMetrics>,
    ) -> Result<RecordStream>;
}
