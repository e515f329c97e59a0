//! What happens while a script runs, and its machine-readable form.
//!
//! ```text
//! {"event":"result","statement":3,"columns":["a","b"],"rows":[[1,"x"]]}
//! {"event":"batch","query":"q","batch":4,"mode":"update","columns":[...],"rows":[[...]]}
//! {"event":"progress","query":"q","batch":4,"watermark":"1970-01-01T00:00:15Z","nextWatermark":...,"inputRows":2,
//!  "lateRows":1,"stateRows":3,"durationMs":{...}}
//! {"event":"error","statement":5,"kind":"unsupported","message":"..."}
//! ```

use crate::json;
use acequia::{BatchOutput, Error, OutputMode, Result, StreamingQueryProgress};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde_json::{Value, json};
use std::time::Duration;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A statement gave rows.
    Result {
        /// The statement's number, from 1.
        statement: usize,
        /// The columns.
        schema: SchemaRef,
        /// The rows, in the statement's order.
        batches: Vec<RecordBatch>,
    },
    /// A statement was done; no line in the machine-readable output.
    Done {
        /// The statement's number.
        statement: usize,
        /// What was done.
        message: String,
    },
    /// A `console` or `memory` sink got rows.
    Batch {
        /// The query.
        query: String,
        /// The batch.
        batch: u64,
        /// What the rows mean.
        mode: OutputMode,
        /// The columns.
        schema: SchemaRef,
        /// The rows, deletes of `UPDATE` left out.
        rows: Vec<RecordBatch>,
        /// The last version of rows that `UPDATE` deletes.
        deletes: Vec<RecordBatch>,
    },
    /// A batch is done.
    Progress(Box<StreamingQueryProgress>),
    /// A query has started whose state only grows. No line in the machine-readable output.
    StateGrows {
        /// The query.
        query: String,
        /// Which operators, and why.
        why: Vec<String>,
    },
    /// What may pass has failed a query; it tries again. No line in the machine-readable output.
    Retry {
        /// The query.
        query: String,
        /// What has failed.
        message: String,
        /// How long it waits first.
        wait: Duration,
    },
    /// A statement or query failed.
    Error {
        /// The statement's number.
        statement: usize,
        /// Whether the script expects it.
        expected: bool,
        /// The error.
        error: std::sync::Arc<Error>,
    },
}

impl Event {
    /// What a sink got; `None` when it is nothing that has a line.
    pub fn batch(output: &BatchOutput<'_>) -> Option<Self> {
        let rows: Vec<RecordBatch> =
            output.parts.iter().map(|part| part.rows.clone()).filter(|rows| rows.num_rows() > 0).collect();
        let deletes: Vec<RecordBatch> = output.parts.iter().filter_map(|part| part.deletes.clone()).collect();
        // A COMPLETE result without rows is a result; its line is left out all the same.
        let says_something = output.mode == OutputMode::Complete || !rows.is_empty() || !deletes.is_empty();
        says_something.then(|| Self::Batch {
            query: output.query.to_string(),
            batch: output.batch.0,
            mode: output.mode,
            schema: SchemaRef::clone(output.schema),
            rows,
            deletes,
        })
    }

    /// The query that it is about.
    pub fn query(&self) -> Option<&str> {
        match self {
            Self::Batch { query, .. } | Self::Retry { query, .. } | Self::StateGrows { query, .. } => {
                Some(query)
            }
            Self::Progress(progress) => Some(&progress.name),
            _ => None,
        }
    }

    /// The line of the machine-readable output; `None` for what has none.
    ///
    /// # Errors
    /// `Internal` for a type that has no JSON form.
    pub fn to_json(&self) -> Result<Option<Value>> {
        Ok(Some(match self {
            Self::Done { .. } | Self::Retry { .. } | Self::StateGrows { .. } => return Ok(None),
            Self::Result { statement, schema, batches } => {
                let mut rows = vec![];
                for batch in batches {
                    rows.extend(json::rows(batch)?);
                }
                json!({"event": "result", "statement": statement, "columns": names(schema), "rows": rows})
            }
            Self::Batch { rows, .. } if rows.is_empty() => return Ok(None),
            Self::Batch { query, batch, mode, schema, rows, .. } => {
                let rows = json::rows(&json::sorted(schema, rows)?)?;
                json!({
                    "event": "batch", "query": query, "batch": batch, "mode": mode.as_str(),
                    "columns": names(schema), "rows": rows,
                })
            }
            Self::Progress(progress) => progress_line(progress),
            Self::Error { statement, error, .. } => json!({
                "event": "error", "statement": statement, "kind": error.kind().as_str(), "message": error.to_string(),
            }),
        }))
    }
}

fn names(schema: &SchemaRef) -> Vec<&str> {
    schema.fields().iter().map(|field| field.name().as_str()).collect()
}

fn progress_line(progress: &StreamingQueryProgress) -> Value {
    json!({
        "event": "progress",
        "query": progress.name,
        "batch": progress.batch_id,
        "watermark": progress.watermark.0.map(|t| t.to_iso()),
        "nextWatermark": progress.next_watermark.0.map(|t| t.to_iso()),
        "inputRows": progress.num_input_rows,
        "lateRows": progress.num_late_rows,
        "stateRows": progress.state_rows(),
        "durationMs": progress.duration_ms,
    })
}
