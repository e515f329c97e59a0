//! The batch's time.

use super::{context, context_of, rows};
use crate::functions::{BatchTime, Mode, bind_batch_time};
use acequia_core::Timestamp;
use arrow::array::RecordBatch;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionContext;
use std::sync::Arc;

const CLOCKS: &str =
    "now() a, current_timestamp b, current_date c, current_time d, localtimestamp e, PROCTIME() f";

async fn run_at(context: &SessionContext, sql: &str, micros: &[i64], zone: Option<&str>) -> Vec<RecordBatch> {
    let cell = Arc::new(BatchTime::default());
    let state = context.state();
    let plan = state.create_logical_plan(sql).await.unwrap();
    let bound = bind_batch_time(plan.clone(), &cell, zone).unwrap();
    assert_eq!(plan.schema(), bound.schema());
    let optimized = state.optimize(&bound).unwrap();
    let physical = state.query_planner().create_physical_plan(&optimized, &state).await.unwrap();
    let mut batches = Vec::new();
    for time in micros {
        cell.set(Timestamp(*time));
        batches.extend(collect(Arc::clone(&physical), state.task_ctx()).await.unwrap());
    }
    batches
}

#[tokio::test]
async fn clocks_show_the_batch_time_and_move_with_it() {
    let context = context_of(Mode::Streaming);
    let batches = run_at(&context, &format!("SELECT {CLOCKS}"), &[0, -1_500_000, 86_400_000_000], None).await;
    let text = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    let text = text
        .lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n");
    let lines: Vec<&str> = text.lines().skip(3).take(3).collect();
    assert!(
        lines[0].contains("| 1970-01-01T00:00:00 | 1970-01-01T00:00:00 | 1970-01-01 | 00:00:00"),
        "{text}"
    );
    assert!(
        lines[1].contains("| 1969-12-31T23:59:58.500") && lines[1].contains("| 1969-12-31 | 23:59:58.5"),
        "{text}"
    );
    assert!(lines[2].contains("| 1970-01-02 | 00:00:00"), "{text}");
}

#[tokio::test]
async fn local_clocks_follow_the_session_zone() {
    let context = context_of(Mode::Streaming);
    context.sql("SET datafusion.execution.time_zone = 'America/New_York'").await.unwrap();
    let batches = run_at(&context, &format!("SELECT {CLOCKS}"), &[0], Some("America/New_York")).await;
    let text = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    let text = text
        .lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n");
    let line = text.lines().nth(3).unwrap();
    assert!(
        line.contains("| 1969-12-31T19:00:00-05:00 |") && line.contains("| 1969-12-31 | 19:00:00"),
        "{text}"
    );
    assert!(line.contains("| 1969-12-31T19:00:00 |"), "{text}");
}

#[tokio::test]
async fn filters_and_windows_of_the_batch_time_are_not_frozen() {
    let context = context_of(Mode::Streaming);
    let sql = "SELECT get_field(window(PROCTIME(), '10 seconds'), 'start') s, count(*) FROM bids \
               WHERE ts < now() AND v IN (SELECT v FROM bids WHERE ts < current_timestamp) GROUP BY window(PROCTIME(), '10 seconds')";
    let batches = run_at(&context, sql, &[5_000_000], None).await;
    assert_eq!(super::show(&batches), ["00:00 | 3"]);
    let batches = run_at(&context, sql, &[12_000_000], None).await;
    assert_eq!(super::show(&batches), ["00:10 | 5"]);
}

#[tokio::test]
async fn outside_of_streams_the_clocks_show_the_query_start() {
    let context = context();
    let sql = "SELECT date_trunc('millisecond', now()) = arrow_cast(PROCTIME(), 'Timestamp(Nanosecond, None)'), \
               abs(arrow_cast(now() - localtimestamp, 'Int64')) < 1000000";
    assert_eq!(rows(&context, sql).await, ["true | true"]);
}
