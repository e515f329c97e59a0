//! Tests through SQL: a plain session with the functions of this module.

mod lineage;
mod sessions;
mod time;
mod windows;

use super::{Mode, install};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;

/// `bids(ts, k, v)`: seconds 1, 4, 7, 11, 19 and -3 of 1970, and one row without a time.
fn context() -> SessionContext {
    context_of(Mode::Batch)
}

fn context_of(mode: Mode) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(1);
    let builder = SessionStateBuilder::new().with_default_features().with_config(config);
    let context = SessionContext::new_with_state(install(builder, mode).unwrap());
    let seconds = [Some(1), Some(4), Some(7), Some(11), Some(19), Some(-3), None];
    let ts: TimestampMicrosecondArray = seconds.iter().map(|s| s.map(|s| s * 1_000_000)).collect();
    let k: Int64Array = [1, 2, 1, 2, 1, 2, 1].into_iter().map(Some).collect();
    let v: Int64Array = (0..7).map(Some).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![("ts", Arc::new(ts)), ("k", Arc::new(k)), ("v", Arc::new(v))];
    context.register_batch("bids", RecordBatch::try_from_iter(columns).unwrap()).unwrap();
    context
}

fn show(batches: &[RecordBatch]) -> Vec<String> {
    let format = FormatOptions::default().with_null("NULL").with_timestamp_format(Some("%M:%S%.f"));
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &format).unwrap()).collect();
        lines.extend(
            (0..batch.num_rows())
                .map(|row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join(" | ")),
        );
    }
    lines
}

async fn rows(context: &SessionContext, sql: &str) -> Vec<String> {
    let mut lines = match context.sql(sql).await {
        Ok(frame) => show(&frame.collect().await.unwrap_or_else(|e| panic!("{sql}: {e}"))),
        Err(e) => panic!("{sql}: {e}"),
    };
    lines.sort();
    lines
}

async fn error(context: &SessionContext, sql: &str) -> String {
    match context.sql(sql).await {
        Err(e) => e.to_string(),
        Ok(frame) => frame.collect().await.expect_err(sql).to_string(),
    }
}

async fn check(cases: &[(&str, &[&str])]) {
    let context = context();
    for (sql, expected) in cases {
        assert_eq!(rows(&context, sql).await, *expected, "{sql}");
    }
}

/// The optimized plan of a streaming session.
async fn optimized(context: &SessionContext, sql: &str) -> LogicalPlan {
    let state = context.state();
    let plan = state.create_logical_plan(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    state.optimize(&plan).unwrap_or_else(|e| panic!("{sql}: {e}"))
}
