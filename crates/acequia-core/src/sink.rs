//! The contract of a sink: written where no reader sees it, published after the batch is decided.
//!
//! ```text
//! writer(N) -> write* -> finish -> receipt     staged: invisible, and worthless unless batch N is committed
//! ---- commits/N is durable, with the receipts ----
//! publish(N, receipts)                         visible; idempotent in N, before N+1 is published
//! ```
//! After a crash the runtime asks [`Sink::last_published`] and publishes what is committed and missing again, from the
//! receipts alone. What was staged and never committed is garbage that [`Sink::open`] removes.

use crate::{BatchId, Epoch, Error, QueryId, Result, options};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a micro-batch gives the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputMode {
    /// Rows that will never change.
    Append,
    /// The new version of every row that changed, by the key of the result; and the keys that are gone.
    Update,
    /// The whole result.
    Complete,
    /// Every change: the row and, as last column, `op` in `+I -U +U -D`.
    Changes,
}

impl OutputMode {
    /// The word in machine-readable output and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Update => "update",
            Self::Complete => "complete",
            Self::Changes => "changes",
        }
    }
}

impl fmt::Display for OutputMode {
    /// The word in SQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str().to_uppercase())
    }
}

impl FromStr for OutputMode {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        const MODES: [OutputMode; 4] =
            [OutputMode::Append, OutputMode::Update, OutputMode::Complete, OutputMode::Changes];
        let found = MODES.into_iter().find(|m| m.as_str().eq_ignore_ascii_case(word));
        found.ok_or_else(|| options::unknown("output mode", word, MODES.map(OutputMode::as_str)))
    }
}

/// A part of a batch's output.
#[derive(Debug, Clone, PartialEq)]
pub struct SinkBatch {
    /// Rows to insert (`Append`, `Complete`, `Changes`) or to put in place of those with their key (`Update`).
    pub rows: RecordBatch,
    /// `Update` only: the last version of rows that are gone, all columns.
    pub deletes: Option<RecordBatch>,
}

impl From<RecordBatch> for SinkBatch {
    fn from(rows: RecordBatch) -> Self {
        Self { rows, deletes: None }
    }
}

/// What a sink is told when a query starts.
#[derive(Debug, Clone)]
pub struct SinkContext {
    /// The query, for the life of its checkpoint: names of output must hold it.
    pub query: QueryId,
    /// This run: names of staged output must hold it, so that two runs never touch each other's.
    pub epoch: Epoch,
    /// The columns of every row, `op` of `Changes` included.
    pub schema: SchemaRef,
    /// What a batch gives.
    pub mode: OutputMode,
    /// The columns that identify a row of the result. `None` when nothing does: every row of `Update` is new. No
    /// column at all when the result has one row.
    pub key: Option<Vec<usize>>,
}

/// What a writer leaves behind: plain data in the commit log, enough to publish from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SinkReceipt {
    /// What the sink needs to publish; it alone understands it.
    pub payload: serde_json::Value,
    /// Rows written.
    pub rows: u64,
}

/// The driver's side of a sink.
///
/// The suite in [`crate::conformance::sink`] checks every promise made here.
#[async_trait]
pub trait Sink: Send + Sync + fmt::Debug {
    /// Called once per run before anything else: checks that schema and mode are taken, removes what earlier runs
    /// staged and did not commit.
    ///
    /// # Errors
    /// `Unsupported` for a mode that the sink cannot take, naming those that it can.
    async fn open(&mut self, context: SinkContext) -> Result<()>;

    /// A writer for the whole output of a batch. A batch that is run again gets a new one; what the first wrote is
    /// then never published.
    ///
    /// # Errors
    /// `Unavailable`, `ResourceExhausted` (a full disk) and the like.
    async fn writer(&self, batch: BatchId) -> Result<Box<dyn SinkWriter>>;

    /// Makes a committed batch visible. Calling it again, in this or a later run, changes nothing.
    ///
    /// # Errors
    /// `Data` when what the receipts name is gone and the batch is not published.
    async fn publish(&self, batch: BatchId, receipts: &[SinkReceipt]) -> Result<()>;

    /// The last batch of this query that is visible; `None` when none is, or when nothing outlives the process.
    ///
    /// # Errors
    /// `Unavailable`, or `Data` when the sink's own log is damaged.
    async fn last_published(&self) -> Result<Option<BatchId>>;

    /// Whether what earlier runs have staged and published is still there: in a durable place always, in memory only
    /// within the process that wrote it. Batches are published again after a restart only then.
    fn durable(&self) -> bool;
}

/// Writes one batch's output where no reader sees it.
#[async_trait]
pub trait SinkWriter: Send {
    /// Stages rows.
    ///
    /// # Errors
    /// `Unavailable`, `ResourceExhausted` and the like; the batch is then run again or the query stops.
    async fn write(&mut self, batch: SinkBatch) -> Result<()>;

    /// Makes what was staged durable and tells how to publish it.
    ///
    /// # Errors
    /// As [`SinkWriter::write`].
    async fn finish(self: Box<Self>) -> Result<SinkReceipt>;
}
