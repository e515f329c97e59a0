//! What a query tells about each batch, in the shape of Spark's progress.

use acequia_core::{BatchId, Offset, Timestamp, Watermark};
use serde::Serialize;
use std::time::Duration;

/// One micro-batch of a query.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamingQueryProgress {
    /// The query's id, for the life of its checkpoint.
    pub id: String,
    /// The id of this run.
    pub run_id: String,
    /// The query's name.
    pub name: String,
    /// The batch's time.
    pub timestamp: Timestamp,
    /// The batch.
    pub batch_id: BatchId,
    /// Rows read from all sources.
    pub num_input_rows: u64,
    /// Malformed records left out by `on_error = 'skip'`.
    pub num_skipped_records: u64,
    /// Rows that came too late to be used, over all operators.
    pub num_late_rows: u64,
    /// Rows with an event time too far ahead to move the watermark (`max_future`).
    pub num_future_rows: u64,
    /// Rows given to the sink.
    pub num_output_rows: u64,
    /// Rows read per second of the batch's duration.
    pub processed_rows_per_second: f64,
    /// How long each phase took.
    pub duration_ms: Durations,
    /// The watermark in force.
    pub watermark: Watermark,
    /// The watermark of the next batch.
    pub next_watermark: Watermark,
    /// Every stateful operator.
    pub state_operators: Vec<StateOperatorProgress>,
    /// Every source.
    pub sources: Vec<SourceProgress>,
}

impl StreamingQueryProgress {
    /// Rows held by all operators.
    pub fn state_rows(&self) -> u64 {
        self.state_operators.iter().map(|operator| operator.num_rows_total).sum()
    }
}

/// How long the phases of a batch took, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Durations {
    /// Asking the sources what is there.
    pub latest_offset: f64,
    /// Writing what the batch is.
    pub wal_commit: f64,
    /// Reading, computing, and writing the staged output.
    pub add_batch: f64,
    /// Sealing the state.
    pub state_commit: f64,
    /// Writing the decision and publishing the output.
    pub commit_offsets: f64,
    /// All of it.
    pub trigger_execution: f64,
}

/// One stateful operator after a batch.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateOperatorProgress {
    /// Its name and number.
    pub operator_name: String,
    /// Rows held.
    pub num_rows_total: u64,
    /// Bytes held in memory.
    pub memory_used_bytes: u64,
    /// Rows of the batch that came too late.
    pub num_rows_dropped_by_watermark: u64,
}

/// One source in a batch.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceProgress {
    /// The stream.
    pub description: String,
    /// Where the batch began.
    pub start_offset: Option<Offset>,
    /// Where it ended.
    pub end_offset: Option<Offset>,
    /// Rows read.
    pub num_input_rows: u64,
}

/// Milliseconds with three digits.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_micros() as f64) / 1_000.0
}
