//! Sessions and duplicates in batch SQL, and event times that a call leaves out.

use super::{check, context, context_of, error, optimized, rows};
use crate::functions::Mode;
use arrow::array::{Int64Array, RecordBatch, TimestampMicrosecondArray};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;

#[tokio::test]
async fn sessions_that_overlap_or_touch_are_one() {
    let by_key: &[&str] =
        &["1 | 00:01 | 00:14 | 2 | 2", "1 | 00:19 | 00:26 | 1 | 4", "2 | 59:57 | 00:18 | 3 | 9"];
    let context = context();
    for call in [
        "session_window(ts, '7 seconds')",
        "session(ts, INTERVAL '7' SECOND)",
        "session_window(ts, CASE WHEN v >= 0 THEN '7 seconds' ELSE '1 day' END)",
        "session_window(ts, arrow_cast(v - v + 7, 'Duration(Second)'))",
    ] {
        let sql = format!(
            "SELECT k, get_field({call}, 'start'), get_field({call}, 'end'), count(*), sum(v) FROM bids GROUP BY {call}, k"
        );
        assert_eq!(rows(&context, &sql).await, by_key, "{sql}");
        let sql = format!(
            "SELECT k, w.start, w['end'], count(*), sum(v) FROM (SELECT *, {call} w FROM bids) GROUP BY k, w"
        );
        assert_eq!(rows(&context, &sql).await, by_key, "{sql}");
    }
    let sql = "SELECT k, window_start, window_end, count(*), sum(v) \
               FROM __session((SELECT * FROM bids), ts, '7 seconds', __partition_by(k)) GROUP BY k, window_start, window_end";
    assert_eq!(rows(&context, sql).await, by_key);
}

#[tokio::test]
async fn a_gap_that_is_null_or_not_positive_leaves_the_row_out() {
    check(&[
        (
            "SELECT get_field(session_window(ts, g), 'start'), count(*) FROM \
             (SELECT ts, CASE v WHEN 0 THEN '0 seconds' WHEN 1 THEN NULL WHEN 2 THEN '-1 second' ELSE '8 seconds' END g \
              FROM bids) GROUP BY session_window(ts, g)",
            &["00:11 | 2", "59:57 | 1"],
        ),
        // In a SELECT list every row has its own.
        (
            "SELECT v, session_window(ts, '1 second') FROM bids WHERE v IN (0, 6)",
            &["0 | {start: 00:01, end: 00:02}"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn table_function_without_keys_has_sessions_of_all_rows() {
    check(&[(
        "SELECT v, window_start, window_end, window_time FROM __session((SELECT * FROM bids), ts, '3 seconds')",
        &[
            "0 | 00:01 | 00:10 | 00:09.999999",
            "1 | 00:01 | 00:10 | 00:09.999999",
            "2 | 00:01 | 00:10 | 00:09.999999",
            "3 | 00:11 | 00:14 | 00:13.999999",
            "4 | 00:19 | 00:22 | 00:21.999999",
            "5 | 59:57 | 00:00 | 59:59.999999",
        ],
    )])
    .await;
}

#[tokio::test]
async fn sessions_of_random_rows_equal_a_slow_merge() {
    let mut rng = SmallRng::seed_from_u64(11);
    for round in 0..20 {
        let rows_in: Vec<(i64, i64, i64)> = (0..rng.random_range(1..60))
            .map(|_| (rng.random_range(0..3), rng.random_range(-50..200), rng.random_range(1..9)))
            .collect();
        let context = context();
        let column = |f: &dyn Fn(&(i64, i64, i64)) -> i64| rows_in.iter().map(f).collect::<Vec<_>>();
        let batch = RecordBatch::try_from_iter(vec![
            ("k", Arc::new(Int64Array::from(column(&|r| r.0))) as _),
            ("t", Arc::new(TimestampMicrosecondArray::from(column(&|r| r.1))) as _),
            ("g", Arc::new(Int64Array::from(column(&|r| r.2))) as _),
        ]);
        context.register_batch("s", batch.unwrap()).unwrap();
        let call = "session_window(t, arrow_cast(g, 'Duration(Microsecond)'))";
        let sql = format!(
            "SELECT k, arrow_cast(get_field({call}, 'start'), 'Int64'), arrow_cast(get_field({call}, 'end'), 'Int64'), \
             count(*) FROM s GROUP BY k, {call}"
        );
        assert_eq!(rows(&context, &sql).await, slow_sessions(&rows_in), "round {round}");
    }
}

/// Merges pairs of sessions of one key that touch until none do.
fn slow_sessions(rows: &[(i64, i64, i64)]) -> Vec<String> {
    let mut sessions: Vec<(i64, i64, i64, i64)> = rows.iter().map(|(k, t, g)| (*k, *t, t + g, 1)).collect();
    let mut merged = true;
    while merged {
        merged = false;
        'search: for i in 0..sessions.len() {
            for j in i + 1..sessions.len() {
                let (a, b) = (sessions[i], sessions[j]);
                if a.0 == b.0 && a.1 <= b.2 && b.1 <= a.2 {
                    sessions[i] = (a.0, a.1.min(b.1), a.2.max(b.2), a.3 + b.3);
                    sessions.remove(j);
                    merged = true;
                    break 'search;
                }
            }
        }
    }
    let mut lines: Vec<String> =
        sessions.iter().map(|(k, start, end, n)| format!("{k} | {start} | {end} | {n}")).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn duplicates_are_dropped_by_key_or_by_all_columns() {
    check(&[
        ("SELECT count(*) FROM __drop_duplicates((SELECT * FROM bids), k)", &["2"]),
        ("SELECT k FROM __drop_duplicates((SELECT k FROM bids))", &["1", "2"]),
        ("SELECT d.k FROM __drop_duplicates((SELECT * FROM bids), bids.k, v) d WHERE d.v = 3", &["2"]),
    ])
    .await;
}

#[tokio::test]
async fn time_left_out_is_the_one_that_is_marked() {
    let marked = "__with_watermark((SELECT * FROM bids), ts, '5 seconds')";
    check(&[
        (
            &format!("SELECT get_field(tumble('10 seconds'), 'start'), count(*) FROM {marked} GROUP BY tumble('10 seconds')"),
            &["00:00 | 3", "00:10 | 2", "59:50 | 1"],
        ),
        (
            &format!("SELECT k, s, count(*) FROM (SELECT k, get_field(hop('5 seconds', '10 seconds'), 'start') s FROM {marked} m) GROUP BY k, s HAVING s >= to_timestamp(10)"),
            &["1 | 00:10 | 1", "1 | 00:15 | 1", "2 | 00:10 | 1"],
        ),
        (
            &format!("SELECT k, count(*) FROM {marked} GROUP BY k, session('7 seconds')"),
            &["1 | 1", "1 | 2", "2 | 3"],
        ),
        (
            &format!("SELECT count(*) FROM __tumble((SELECT k, ts AS t FROM {marked} m WHERE v < 4), '10 seconds') GROUP BY window_start"),
            &["1", "3"],
        ),
    ])
    .await;
    let context = context_of(Mode::Streaming);
    // The call gets its type from the mark: here a zone and another unit.
    let sql = "SELECT max(get_field(tumble('10 seconds'), 'end')) AS e FROM __with_watermark((SELECT arrow_cast(ts, \
               'Timestamp(Millisecond, Some(\"UTC\"))') AS t FROM bids), t, '1 second') GROUP BY tumble('10 seconds')";
    let plan = optimized(&context, sql).await;
    assert_eq!(plan.schema().field(0).data_type().to_string(), "Timestamp(ms, \"UTC\")");
    for (sql, expected) in [
        ("SELECT tumble('10 seconds') FROM bids", "the relation has none of its own"),
        (
            "SELECT tumble('10 seconds') FROM (SELECT ts, ts AS t2 FROM __with_watermark((SELECT * FROM bids), ts, '1 s'))",
            "the relation has several",
        ),
        (
            "SELECT * FROM __with_watermark((SELECT * FROM __with_watermark((SELECT * FROM bids), ts, '1 s')), ts, '2 s')",
            "a watermark already",
        ),
        ("SELECT * FROM __drop_duplicates((SELECT * FROM bids), nope)", "nope"),
        ("SELECT * FROM __drop_duplicates((SELECT * FROM bids), k + 1)", "write drop_duplicates("),
        ("SELECT * FROM __drop_duplicates_within_watermark((SELECT * FROM bids), k)", "none of its own"),
        ("SELECT session_window(ts, '0 seconds') FROM bids", "session gap is not positive"),
        ("SELECT session_window(ts, NULL) FROM bids", "session gap is NULL"),
        ("SELECT session_window(ts, k) FROM bids", "session gap is not an interval"),
        ("SELECT session_window(ts, '1 month') FROM bids", "no fixed length"),
        ("SELECT session_window(ts) FROM bids", "write session_window("),
        ("SELECT 1 FROM bids GROUP BY session(ts, '1 s'), tumble(ts, '1 s')", "different windows"),
        ("SELECT 1 FROM bids GROUP BY session_window(ts, CAST(k AS VARCHAR))", "not an interval"),
    ] {
        let message = error(&context, sql).await;
        assert!(message.contains(expected), "{sql}: {message}");
    }
    let message = error(
        &super::context(),
        &format!("SELECT * FROM __drop_duplicates_within_watermark((SELECT * FROM {marked}), k)"),
    )
    .await;
    assert!(message.contains("goes by a watermark"), "{message}");
}
