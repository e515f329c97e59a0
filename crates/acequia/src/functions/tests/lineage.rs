//! Which columns carry event time, through SQL, and the bounds that a watermark gives them.

use super::{context_of, optimized};
use crate::functions::time_column::SessionPartition;
use crate::functions::{Mode, TimeColumn, TimeRole, bound, event_time_columns};
use acequia_core::Timestamp;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

/// `STREAM` in a statement stands for `bids` with a mark.
const STREAM: &str = "__with_watermark((SELECT * FROM bids), ts, '5 seconds')";

fn describe(time: &TimeColumn) -> String {
    let of = |time: &TimeColumn| match time.role {
        TimeRole::EventTime => String::new(),
        _ => format!(" of {}", describe(time)),
    };
    let marks =
        if time.watermarks.len() == 1 { String::new() } else { format!(" x{}", time.watermarks.len()) };
    let text = match &time.role {
        TimeRole::EventTime => "time".to_string(),
        TimeRole::Unmarked => "unmarked".to_string(),
        TimeRole::Monotone { of: inner, function } => format!("f({}){}", function, of(inner)),
        TimeRole::Window(w) => format!("window {}{}", w.spec, of(&w.of)),
        TimeRole::WindowList(w) => format!("windows {}{}", w.spec, of(&w.of)),
        TimeRole::WindowStart(w) => format!("start {}{}", w.spec, of(&w.of)),
        TimeRole::WindowEnd(w) => format!("end {}{}", w.spec, of(&w.of)),
        TimeRole::LastInstant(end) => format!("last of {}", describe(end)),
        TimeRole::Session(s) | TimeRole::SessionStart(s) | TimeRole::SessionEnd(s) => {
            let kind = match time.role {
                TimeRole::Session(_) => "session",
                TimeRole::SessionStart(_) => "session start",
                _ => "session end",
            };
            let keys = match &s.partition {
                SessionPartition::GroupKeys => String::new(),
                SessionPartition::Columns(c) => format!(" by {c:?}"),
                SessionPartition::Lost => " by lost".to_string(),
            };
            format!("{kind} {:?}{keys}{}{}", s.gap, if s.merged { " merged" } else { "" }, of(&s.of))
        }
    };
    text + &marks
}

fn is_bids(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::TableScan(scan) if scan.table_name.table() == "bids")
}

async fn columns(context: &SessionContext, sql: &str) -> Vec<Option<TimeColumn>> {
    let plan = optimized(context, &sql.replace("STREAM", STREAM)).await;
    event_time_columns(&plan, &is_bids).unwrap()
}

#[tokio::test]
async fn columns_keep_or_lose_event_time_by_the_table_of_rules() {
    let context = context_of(Mode::Streaming);
    context.sql("CREATE TABLE names AS SELECT 1 AS k, 'x' AS name, to_timestamp(1) AS since").await.unwrap();
    let w = "window(ts, '10 seconds')";
    for (sql, expected) in [
        ("SELECT ts, k, ts AS t FROM STREAM s WHERE v > 2 ORDER BY k LIMIT 3".to_string(), "time, -, time"),
        ("SELECT ts FROM bids".into(), "-"),
        ("SELECT DISTINCT ts, k FROM STREAM".into(), "time, -"),
        (format!("SELECT {w}, count(*), max(ts) FROM STREAM GROUP BY {w}"), "window 10 seconds, -, -"),
        (
            format!("SELECT get_field({w}, 'start'), get_field({w}, 'end'), window_time({w}) FROM STREAM"),
            "start 10 seconds, end 10 seconds, last of end 10 seconds",
        ),
        (
            "SELECT w.start, w['end'] e FROM (SELECT hop(ts, '5 seconds', '10 seconds') w FROM STREAM) GROUP BY w".into(),
            "start 10 seconds every 5 seconds, end 10 seconds every 5 seconds",
        ),
        (
            "SELECT * FROM __cumulate((SELECT ts, k FROM STREAM), ts, '5 seconds', '10 seconds')".into(),
            "time, -, start 10 seconds in steps of 5 seconds, end 10 seconds in steps of 5 seconds, \
             last of end 10 seconds in steps of 5 seconds",
        ),
        (
            "SELECT window_end, k, count(*) FROM __hop((SELECT * FROM STREAM), ts, '5 seconds', '10 seconds') GROUP BY window_end, k"
                .into(),
            "end 10 seconds every 5 seconds, -, -",
        ),
        (
            format!("SELECT get_field(window(w, '1 minute'), 'end') FROM (SELECT {w} w, k FROM STREAM GROUP BY {w}, k)"),
            "end 1 minute of last of end 10 seconds",
        ),
        (
            "SELECT t, k, get_field(hop(t, '5 minutes', '10 minutes'), 'end') \
             FROM (SELECT k, date_trunc('minute', ts) t FROM STREAM GROUP BY k, t)"
                .into(),
            "f(date_trunc(Utf8(\"minute\"), t)), -, end 10 minutes every 5 minutes of f(date_trunc(Utf8(\"minute\"), t))",
        ),
        (
            "SELECT k, session_window(ts, '7 seconds') FROM STREAM GROUP BY k, session_window(ts, '7 seconds')".into(),
            "-, session Some(7000000) merged",
        ),
        (
            "SELECT window_end, v, window_start, k FROM __session((SELECT * FROM STREAM), ts, '7 seconds', __partition_by(k))".into(),
            "session end Some(7000000) by [3], -, session start Some(7000000) by [3], -",
        ),
        (
            "SELECT window_end FROM __session((SELECT * FROM STREAM), ts, '7 seconds', __partition_by(k))".into(),
            "session end Some(7000000) by lost",
        ),
        ("SELECT session(ts, CAST(v AS VARCHAR) || ' seconds') FROM STREAM".into(), "session None"),
        (format!("SELECT {w} FROM bids"), "window 10 seconds of unmarked x0 x0"),
        (
            "SELECT date_trunc('minute', ts), ts + INTERVAL '1' HOUR, ts - INTERVAL '1' DAY, CAST(ts AS DATE), \
             date_bin(INTERVAL '5' MINUTE, ts) FROM STREAM"
                .into(),
            "f, f, f, f, f",
        ),
        (
            "SELECT ts + INTERVAL '1' MONTH, ts - to_timestamp(v), to_char(ts, '%Y'), coalesce(ts, now()), -v FROM STREAM".into(),
            "-, -, -, -, -",
        ),
        (
            "SELECT arrow_cast(ts, 'Timestamp(Nanosecond, None)'), arrow_cast(ts, 'Timestamp(Second, None)'), \
             arrow_cast(ts, 'Timestamp(Microsecond, Some(\"UTC\"))'), arrow_cast(ts, 'Timestamp(Microsecond, Some(\"Europe/Paris\"))') \
             FROM STREAM"
                .into(),
            "time, f, time, -",
        ),
        ("SELECT ts FROM STREAM UNION ALL SELECT ts FROM STREAM".into(), "time"),
        (
            "SELECT ts FROM STREAM UNION ALL SELECT t2 FROM __with_watermark((SELECT * FROM bids), ts, '1 s', t2)".into(),
            "time x2",
        ),
        ("SELECT ts FROM STREAM UNION ALL SELECT ts FROM bids".into(), "-"),
        ("SELECT ts FROM STREAM UNION ALL SELECT ts + INTERVAL '1' HOUR FROM STREAM".into(), "-"),
        ("SELECT s.ts, since, name FROM STREAM s JOIN names n ON s.k = n.k".into(), "time, -, -"),
        ("SELECT s.ts, name FROM names n RIGHT JOIN STREAM s ON s.k = n.k".into(), "time, -"),
        ("SELECT s.ts, name FROM STREAM s RIGHT JOIN names n ON s.k = n.k".into(), "-, -"),
        ("SELECT s.ts FROM STREAM s WHERE k IN (SELECT k FROM names)".into(), "time"),
        ("SELECT s.ts FROM STREAM s JOIN bids b ON s.k = b.k".into(), "-"),
        (format!("SELECT get_field({w}, 'end'), k, count(*) FROM STREAM GROUP BY ROLLUP ({w}, k)"), "-, -, -"),
        ("SELECT ts, v FROM __drop_duplicates((SELECT * FROM STREAM), k)".into(), "time, -"),
        ("SELECT v, ts FROM __drop_duplicates_within_watermark((SELECT * FROM STREAM), k)".into(), "-, time"),
        ("SELECT ts, row_number() OVER (ORDER BY ts) FROM STREAM".into(), "-, -"),
    ] {
        let found = columns(&context, &sql).await;
        let text: Vec<String> = found.iter().map(|c| c.as_ref().map_or("-".into(), describe)).collect();
        let short: Vec<&str> =
            text.iter().map(|t| if t.starts_with("f(") && !expected.contains("f(") { "f" } else { t }).collect();
        let plan = optimized(&context, &sql.replace("STREAM", STREAM)).await;
        assert_eq!(short.join(", "), expected, "{sql}\n{}", plan.display_indent());
    }
}

/// Microseconds of a native value.
fn micros(value: i64, unit: TimeUnit) -> i128 {
    let value = i128::from(value);
    match unit {
        TimeUnit::Second => value * 1_000_000,
        TimeUnit::Millisecond => value * 1_000,
        TimeUnit::Microsecond => value,
        TimeUnit::Nanosecond => value.div_euclid(1_000),
    }
}

const WATERMARKS: [i64; 12] = [
    0,
    1,
    -1,
    999_999,
    1_000_000,
    10_000_000,
    9_999_999,
    10_000_001,
    -10_000_000,
    -10_000_001,
    -9_999_999,
    -1_500_000,
];

#[tokio::test]
async fn a_value_is_late_exactly_below_its_bound_in_every_unit_and_zone() {
    let context = context_of(Mode::Streaming);
    for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        for zone in [None, Some("UTC"), Some("America/New_York"), Some("+05:30")] {
            let data_type = DataType::Timestamp(unit, zone.map(Into::into));
            let sql = format!(
                "SELECT t, get_field(window(t, '10 seconds'), 'start'), get_field(window(t, '10 seconds'), 'end'), \
                 window_time(window(t, '10 seconds')), window(t, '10 seconds'), t - INTERVAL '2' SECOND, \
                 get_field(session_window(t, '3 seconds'), 'end'), get_field(session_window(t, '3 seconds'), 'start'), \
                 get_field(window(window(t, '10 seconds'), '20 seconds'), 'end') \
                 FROM __with_watermark((SELECT arrow_cast(ts, '{data_type}') t FROM bids), t, '0 s')"
            );
            let found = columns(&context, &sql).await;
            for watermark in WATERMARKS {
                check_bounds(&found, watermark, unit);
            }
        }
    }
}

fn check_bounds(columns: &[Option<TimeColumn>], watermark: i64, unit: TimeUnit) {
    let w = i128::from(watermark);
    let bounds: Vec<i64> =
        columns.iter().map(|c| bound(c.as_ref().unwrap(), Timestamp(watermark)).unwrap()).collect();
    let per_second = 1_000_000_000 / i64::pow(1_000, unit_power(unit));
    for seconds in -25..=25 {
        for fraction in [0, 1, -1] {
            let value = seconds * per_second + fraction;
            let us = micros(value, unit);
            assert_eq!(value < bounds[0], us < w, "time {value} {unit:?} at {watermark}");
            let moved = value - 2 * per_second;
            assert_eq!(moved < bounds[5], us < w, "shifted {value} {unit:?} at {watermark}");
            let end = value + 3 * per_second;
            assert_eq!(
                end < bounds[6],
                micros(end, unit) < w || exactly(end, unit, w),
                "session {value} {unit:?}"
            );
        }
        if seconds % 10 == 0 {
            let (start, end) = (seconds * per_second, (seconds + 10) * per_second);
            let closed = micros(end, unit) <= w;
            let last = end - if unit == TimeUnit::Nanosecond { 1_000 } else { 1 };
            assert_eq!(start < bounds[1], closed, "start {start} {unit:?} at {watermark}");
            assert_eq!(end < bounds[2], closed, "end {end} {unit:?} at {watermark}");
            assert_eq!(last < bounds[3], closed, "last {last} {unit:?} at {watermark}");
            assert_eq!(bounds[4], bounds[2]);
        }
        if seconds % 20 == 0 {
            let end = (seconds + 20) * per_second;
            // A window of windows closes once the last window in it has: its last inner end is its own.
            assert_eq!(end < bounds[8], micros(end, unit) <= w, "outer {end} {unit:?} at {watermark}");
        }
    }
    assert_eq!(bounds[7], i64::MIN);
}

fn unit_power(unit: TimeUnit) -> u32 {
    match unit {
        TimeUnit::Second => 3,
        TimeUnit::Millisecond => 2,
        TimeUnit::Microsecond => 1,
        TimeUnit::Nanosecond => 0,
    }
}

fn exactly(value: i64, unit: TimeUnit, w: i128) -> bool {
    micros(value, unit) == w && (unit != TimeUnit::Nanosecond || value % 1_000 == 0)
}

#[tokio::test]
async fn bounds_of_functions_are_computed_as_the_query_computes_them() {
    let context = context_of(Mode::Streaming);
    let sql = "SELECT date_trunc('minute', ts), CAST(ts AS DATE), date_bin(INTERVAL '10' SECOND, ts), \
               arrow_cast(ts, 'Timestamp(Second, None)'), \
               get_field(window(date_trunc('minute', ts), '1 minute'), 'end') FROM STREAM";
    let found = columns(&context, sql).await;
    let at = |w: i64| -> Vec<i64> {
        found.iter().map(|c| bound(c.as_ref().unwrap(), Timestamp(w)).unwrap()).collect()
    };
    assert_eq!(at(61_500_000), [60_000_000, 0, 60_000_000, 61, 60_000_001]);
    assert_eq!(at(-1), [-60_000_000, -1, -10_000_000, at(-1)[3], -59_999_999]);
    // No watermark, however far, is a panic or lets a bound wrap around.
    for w in [i64::MIN, i64::MAX] {
        for column in found.iter().flatten() {
            let _ = bound(column, Timestamp(w));
        }
    }
    let plain = columns(
        &context,
        "SELECT ts, window(ts, '10 seconds'), get_field(window(ts, '10 seconds'), 'start') FROM STREAM",
    )
    .await;
    let at = |w: i64| -> Vec<i64> {
        plain.iter().map(|c| bound(c.as_ref().unwrap(), Timestamp(w)).unwrap()).collect()
    };
    assert_eq!(at(i64::MAX), [i64::MAX, i64::MAX, i64::MAX - 10_000_000]);
    assert_eq!(at(i64::MIN), [i64::MIN, i64::MIN + 1, i64::MIN]);
}

#[tokio::test]
async fn a_column_without_a_watermark_bounds_nothing() {
    let context = context_of(Mode::Streaming);
    let found = columns(&context, "SELECT window(ts, '10 seconds') FROM bids").await;
    assert_eq!(bound(found[0].as_ref().unwrap(), Timestamp(0)).unwrap(), i64::MIN);
}
