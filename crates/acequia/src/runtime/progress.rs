//! What a query tells about each batch, in the shape of Spark's progress.

use acequia_core::{BatchId, Offset, Timestamp, Watermark};
use serde::{Serialize, Serializer};
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
    #[serde(serialize_with = "iso")]
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
    /// Rows read per second since the batch before began; none for a run's first batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_rows_per_second: Option<f64>,
    /// Rows read per second of the batch's duration.
    pub processed_rows_per_second: f64,
    /// How long the batch took, in milliseconds.
    pub batch_duration: f64,
    /// How long each phase took.
    pub duration_ms: Durations,
    /// The event times of the batch; none when no stream has a watermark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<EventTimeProgress>,
    /// The watermark in force.
    #[serde(serialize_with = "iso_watermark")]
    pub watermark: Watermark,
    /// The watermark of the next batch.
    #[serde(serialize_with = "iso_watermark")]
    pub next_watermark: Watermark,
    /// Every stateful operator.
    pub state_operators: Vec<StateOperatorProgress>,
    /// Every source.
    pub sources: Vec<SourceProgress>,
    /// Where the rows went.
    pub sink: SinkProgress,
}

impl StreamingQueryProgress {
    /// As one line of JSON, with the names of Spark's progress.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As [`StreamingQueryProgress::json`], indented.
    pub fn pretty_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

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

/// The event times of a batch's rows, those that came late and those too far ahead included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventTimeProgress {
    /// The latest; none when no row had one.
    #[serde(serialize_with = "iso_option", skip_serializing_if = "Option::is_none")]
    pub max: Option<Timestamp>,
    /// The earliest.
    #[serde(serialize_with = "iso_option", skip_serializing_if = "Option::is_none")]
    pub min: Option<Timestamp>,
    /// Their mean, rounded down to microseconds.
    #[serde(serialize_with = "iso_option", skip_serializing_if = "Option::is_none")]
    pub avg: Option<Timestamp>,
    /// The watermark in force.
    #[serde(serialize_with = "iso_watermark")]
    pub watermark: Watermark,
}

/// Where a batch's rows went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkProgress {
    /// The sink or view.
    pub description: String,
    /// Rows given to it.
    pub num_output_rows: u64,
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
    /// Rows read per second since the batch before began; none for a run's first batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_rows_per_second: Option<f64>,
    /// Rows read per second of the batch's duration.
    pub processed_rows_per_second: f64,
}

fn iso<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn iso_option<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(Timestamp::to_iso).serialize(serializer)
}

fn iso_watermark<S: Serializer>(watermark: &Watermark, serializer: S) -> Result<S::Ok, S::Error> {
    iso_option(&watermark.0, serializer)
}

/// Milliseconds with three digits.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_micros() as f64) / 1_000.0
}
