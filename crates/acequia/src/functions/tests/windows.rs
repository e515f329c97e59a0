//! Windows of fixed size in batch SQL: tables of a statement and the rows that it gives.

use super::{check, context, context_of, error, rows, show};
use crate::functions::{EventTimeWatermark, Mode};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;

#[tokio::test]
async fn tumbling_windows_in_every_spelling() {
    let expected: &[&str] = &["00:00 | 00:10 | 3", "00:10 | 00:20 | 2", "59:50 | 00:00 | 1"];
    let grouped = [
        "window(ts, '10 seconds')",
        "window(ts, INTERVAL '10' SECOND)",
        "window(ts, INTERVAL '5 seconds' + INTERVAL '5' SECOND)",
        "window(ts, '10 seconds', '10 seconds')",
        "window(ts, '10 seconds', '10 seconds', '0 seconds')",
        "tumble(ts, INTERVAL '10 seconds')",
        "tumble(ts, '10 seconds', '0 seconds')",
        "hop(ts, '10 seconds', '10 seconds')",
        "cumulate(ts, '10 seconds', '10 seconds')",
    ];
    let context = context();
    for call in grouped {
        let sql = format!(
            "SELECT get_field({call}, 'start'), get_field({call}, 'end'), count(*) FROM bids GROUP BY {call}"
        );
        assert_eq!(rows(&context, &sql).await, expected, "{sql}");
        let sql =
            format!("SELECT w.start, w['end'], count(*) FROM (SELECT *, {call} AS w FROM bids) GROUP BY w");
        assert_eq!(rows(&context, &sql).await, expected, "{sql}");
    }
    let sql = "SELECT window_start, window_end, count(*) \
               FROM __tumble((SELECT * FROM bids), ts, INTERVAL '10' SECOND) GROUP BY window_start, window_end";
    assert_eq!(rows(&context, sql).await, expected);
}

#[tokio::test]
async fn sliding_windows_multiply_rows() {
    let expected: &[&str] = &[
        "00:00 | 00:10 | 3",
        "00:05 | 00:15 | 2",
        "00:10 | 00:20 | 2",
        "00:15 | 00:25 | 1",
        "59:50 | 00:00 | 1",
        "59:55 | 00:05 | 3",
    ];
    let context = context();
    for call in ["window(ts, '10 seconds', '5 seconds')", "hop(ts, '5 seconds', INTERVAL '10' SECOND)"] {
        let sql = format!(
            "SELECT get_field({call}, 'start'), get_field({call}, 'end'), count(*) FROM bids b GROUP BY {call}"
        );
        assert_eq!(rows(&context, &sql).await, expected, "{sql}");
        let sql =
            format!("SELECT w.start, w['end'], count(*) FROM (SELECT *, {call} AS w FROM bids) GROUP BY w");
        assert_eq!(rows(&context, &sql).await, expected, "{sql}");
    }
    let sql = "SELECT window_start, window_end, count(*) \
               FROM __hop((SELECT * FROM bids), ts, '5 seconds', '10 seconds') GROUP BY window_start, window_end";
    assert_eq!(rows(&context, sql).await, expected);
}

#[tokio::test]
async fn windows_are_aligned_half_open_and_offset() {
    check(&[
        (
            "SELECT v, get_field(window(ts, '10 seconds', '10 seconds', '4 seconds'), 'start') FROM bids",
            &["0 | 59:54", "1 | 00:04", "2 | 00:04", "3 | 00:04", "4 | 00:14", "5 | 59:54"],
        ),
        (
            "SELECT get_field(window(ts, '10 seconds', '10 seconds', '-6 seconds'), 'start') FROM bids WHERE v < 2",
            &["00:04", "59:54"],
        ),
        // Size not a multiple of the slide: one or two windows each.
        (
            "SELECT v, w.start, w['end'] FROM (SELECT v, window(ts, '5 seconds', '4 seconds') w FROM bids) WHERE v < 3",
            &["0 | 00:00 | 00:05", "1 | 00:00 | 00:05", "1 | 00:04 | 00:09", "2 | 00:04 | 00:09"],
        ),
        (
            "SELECT v, window_start, window_end FROM __cumulate((SELECT * FROM bids), ts, '2 seconds', '6 seconds') \
             WHERE v IN (1, 2)",
            &["1 | 00:00 | 00:06", "2 | 00:06 | 00:08", "2 | 00:06 | 00:10", "2 | 00:06 | 00:12"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn table_functions_keep_qualifiers_and_add_three_columns() {
    let tumble = "__tumble((SELECT * FROM bids), ts, '10 seconds')";
    check(&[
        (
            &format!("SELECT b.k, b.window_start, window_end, window_time FROM {tumble} AS b WHERE b.v = 3"),
            &["2 | 00:10 | 00:20 | 00:19.999999"],
        ),
        (&format!("SELECT bids.k, window_start FROM {tumble} WHERE bids.v = 3"), &["2 | 00:10"]),
        (&format!("SELECT * FROM {tumble} WHERE v = 0"), &["00:01 | 1 | 0 | 00:00 | 00:10 | 00:09.999999"]),
        (
            &format!("SELECT a.v, b.v FROM {tumble} a JOIN {tumble} b USING (window_start) WHERE a.v = 3 AND b.v <> 3"),
            &["3 | 4"],
        ),
        (
            &format!(
                "SELECT w2.window_start, sum(n) FROM __tumble((SELECT window_time AS t, count(*) n FROM {tumble} \
                 GROUP BY window_time), t, '20 seconds') w2 GROUP BY w2.window_start"
            ),
            &["00:00 | 5", "59:40 | 1"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_window_over_a_window_goes_by_its_last_instant() {
    check(&[
        (
            "SELECT get_field(window(w, '20 seconds'), 'start'), sum(n) \
             FROM (SELECT window(ts, '10 seconds') w, count(*) n FROM bids GROUP BY window(ts, '10 seconds')) \
             GROUP BY window(w, '20 seconds')",
            &["00:00 | 5", "59:40 | 1"],
        ),
        ("SELECT window_time(window(ts, '10 seconds')) FROM bids WHERE v = 0", &["00:09.999999"]),
        ("SELECT DISTINCT get_field(window(CAST(ts AS DATE), '1 hour'), 'end') = to_timestamp(3600) FROM bids WHERE v < 5", &["true"]),
        (
            "SELECT get_field(window(window_time(w), '20 seconds'), 'end') FROM (SELECT window(ts, '5 seconds') w FROM bids WHERE v = 3)",
            &["00:20"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn window_of_a_null_time_is_null_outside_group_by_and_select() {
    check(&[
        ("SELECT count(*) FROM bids WHERE window(ts, '1 day') IS NULL", &["1"]),
        (
            "SELECT count(*) FROM bids WHERE get_field(window(ts, '10 seconds'), 'start') < to_timestamp(0)",
            &["1"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_window_groups_together_with_keys_sets_and_subqueries() {
    check(&[
        (
            "SELECT k, get_field(window(ts, '10 seconds'), 'start') s, sum(v) FROM bids \
             GROUP BY k, window(ts, '10 seconds') HAVING get_field(window(ts, '10 seconds'), 'start') >= to_timestamp(0)",
            &["1 | 00:00 | 2", "1 | 00:10 | 4", "2 | 00:00 | 1", "2 | 00:10 | 3"],
        ),
        (
            "SELECT k, count(*), grouping(k) FROM bids GROUP BY GROUPING SETS ((k, window(ts, '1 hour', '30 minutes')), ()) ORDER BY 1",
            &["1 | 3 | 0", "1 | 3 | 0", "2 | 1 | 0", "2 | 2 | 0", "2 | 3 | 0", "NULL | 12 | 1"],
        ),
        (
            "SELECT v FROM bids WHERE v = (SELECT max(c) FROM (SELECT count(*) c FROM bids GROUP BY window(ts, '10 seconds')))",
            &["3"],
        ),
        ("SELECT DISTINCT k, hop(ts, '1 hour', '2 hours') FROM bids WHERE v = 0 ORDER BY 2", &[
            "1 | {start: 00:00, end: 00:00}",
            "1 | {start: 00:00, end: 00:00}",
        ]),
    ])
    .await;
}

#[tokio::test]
async fn tumbling_windows_are_plain_functions_elsewhere() {
    check(&[
        ("SELECT v FROM bids WHERE v < 3 ORDER BY window(ts, '10 seconds') DESC, v", &["0", "1", "2"]),
        (
            "SELECT a.v, b.v FROM bids a JOIN bids b ON window(a.ts, '10 seconds') = tumble(b.ts, '10 seconds') AND a.v < b.v",
            &["0 | 1", "0 | 2", "1 | 2", "3 | 4"],
        ),
        (
            "SELECT v, count(*) OVER (PARTITION BY tumble(ts, '10 seconds')) FROM bids WHERE v IN (0, 3, 4)",
            &["0 | 1", "3 | 2", "4 | 2"],
        ),
        (
            "SELECT DISTINCT ON (tumble(ts, '10 seconds')) v FROM bids WHERE v < 4 ORDER BY tumble(ts, '10 seconds'), v",
            &["0", "3"],
        ),
        ("SELECT count(*) FILTER (WHERE get_field(tumble(ts, '10 seconds'), 'start') = to_timestamp(0)) FROM bids", &["3"]),
    ])
    .await;
}

#[tokio::test]
async fn columns_keep_the_names_that_sql_gave() {
    let context = context();
    let sql = "SELECT window(ts, '10 seconds'), hop(ts, '5 seconds', '10 seconds'), count(*) FROM bids \
               GROUP BY window(ts, '10 seconds'), hop(ts, '5 seconds', '10 seconds')";
    assert!(error(&context, sql).await.contains("different windows"));
    let sql = "SELECT hop(ts, '5 seconds', '10 seconds'), count(*) FROM bids GROUP BY hop(ts, '5 seconds', '10 seconds')";
    let frame = context.sql(sql).await.unwrap();
    let planned = frame.schema().field_names();
    let run = frame.collect().await.unwrap();
    let names: Vec<&str> = run[0].schema_ref().fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, planned);
    assert_eq!(names[0], "hop(bids.ts,Utf8(\"5 seconds\"),Utf8(\"10 seconds\"))");
}

#[tokio::test]
async fn marks_of_different_relations_have_different_ids() {
    let context = context_of(Mode::Streaming);
    let mark =
        |delay: &str, rows: &str| format!("__with_watermark((SELECT * FROM {rows}), ts, '{delay}', t)");
    let all = "(SELECT ts, k FROM bids) x";
    let sql = format!(
        "SELECT 1 FROM {} a, {} b, {} c WHERE a.k = b.k AND b.k = c.k",
        mark("1 s", "bids"),
        mark("1 s", all),
        mark("1 s", "bids")
    );
    let state = context.state();
    let plan = crate::functions::resolve_windows(state.create_logical_plan(&sql).await.unwrap()).unwrap();
    let ids = |plan: &LogicalPlan| {
        let mut ids = Vec::new();
        plan.apply(|node| {
            ids.extend(EventTimeWatermark::of(node).into_iter().flat_map(EventTimeWatermark::watermarks));
            Ok(TreeNodeRecursion::Continue)
        })
        .unwrap();
        ids
    };
    assert_eq!(ids(&plan), ["t:1000000", "t:1000000#2", "t:1000000"]);
    let again = crate::functions::resolve_windows(plan.clone()).unwrap();
    assert_eq!(again, plan);
}

#[tokio::test]
async fn every_key_survives_a_sliding_window_over_an_aggregate() {
    // The key of the inner aggregate determines its row, but not its windows.
    check(&[(
        "SELECT k, count(*), sum(n) FROM (SELECT k, max(ts) AS t, count(*) n FROM bids GROUP BY k) \
         GROUP BY k, window(t, '10 seconds', '5 seconds')",
        &["1 | 1 | 4", "1 | 1 | 4", "2 | 1 | 3", "2 | 1 | 3"],
    )])
    .await;
}

#[tokio::test]
async fn a_unique_key_is_not_unique_in_sliding_windows() {
    let context = context();
    context
        .sql("CREATE TABLE pk (k BIGINT PRIMARY KEY, ts TIMESTAMP) AS SELECT v, ts FROM bids")
        .await
        .unwrap();
    let hop = "hop(ts, '5 seconds', '10 seconds')";
    let table = "__hop((SELECT * FROM pk), ts, '5 seconds', '10 seconds')";
    for (sql, expected) in [
        (format!("SELECT count(*) FROM (SELECT k FROM pk GROUP BY k, {hop})"), "12"),
        (format!("SELECT count(*) FROM (SELECT DISTINCT k FROM (SELECT k, {hop} w FROM pk))"), "6"),
        (format!("SELECT count(*) FROM (SELECT DISTINCT k FROM {table})"), "6"),
        (
            "SELECT count(*) FROM (SELECT DISTINCT n FROM (SELECT n, hop(t, '5 seconds', '10 seconds') w \
             FROM (SELECT count(*) n, max(ts) t FROM pk)))"
                .into(),
            "1",
        ),
        (
            "SELECT count(*) FROM (SELECT DISTINCT k FROM (SELECT k, hop(t, '5 seconds', '10 seconds') w \
             FROM (SELECT k, max(ts) t FROM bids GROUP BY k)))"
                .into(),
            "2",
        ),
        (format!("SELECT count(*) FROM (SELECT k, count(*) FROM {table} GROUP BY k)"), "6"),
        (
            format!("SELECT count(*) FROM (SELECT k, window_start FROM {table} GROUP BY k, window_start)"),
            "12",
        ),
        (format!("SELECT count(*) FROM (SELECT k FROM pk UNION SELECT k FROM {table})"), "7"),
        (
            format!(
                "SELECT count(*) FROM (SELECT DISTINCT k FROM (SELECT t.k FROM {table} t JOIN bids b ON t.k = b.v))"
            ),
            "6",
        ),
    ] {
        assert_eq!(rows(&context, &sql).await, [expected], "{sql}");
    }
}

#[tokio::test]
async fn table_functions_read_ctes_views_and_each_other() {
    let context = context();
    context.sql("CREATE VIEW later AS SELECT ts + INTERVAL '1' HOUR AS t, v FROM bids").await.unwrap();
    for (sql, expected) in [
        (
            "WITH c AS (SELECT * FROM bids WHERE v < 3) SELECT c.v, window_end FROM __tumble((SELECT * FROM c), ts, '10 seconds')",
            vec!["0 | 00:10", "1 | 00:10", "2 | 00:10"],
        ),
        (
            "SELECT v FROM __tumble((SELECT * FROM later), t, '10 seconds') WHERE window_start = to_timestamp(3610)",
            vec!["3", "4"],
        ),
        (
            "SELECT b.v, n.c FROM bids b, LATERAL (SELECT count(*) c FROM __hop((SELECT * FROM later), t, '5 seconds', '10 seconds')) n WHERE b.v = 0",
            vec!["0 | 12"],
        ),
        (
            "SELECT v FROM __tumble((SELECT v, window_time t FROM __hop((SELECT * FROM bids), ts, '5 seconds', '10 seconds')), t, '1 hour') WHERE v = 5 ORDER BY window_start",
            vec!["5", "5"],
        ),
    ] {
        assert_eq!(rows(&context, sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn what_no_window_can_be_is_refused_with_a_way_out() {
    let context = context();
    for (sql, expected) in [
        ("SELECT window(ts, '1 month') FROM bids", "no fixed length"),
        ("SELECT window(ts, INTERVAL '1' MONTH) FROM bids", "no fixed length"),
        ("SELECT window(ts, '0 seconds') FROM bids", "window size is not positive"),
        ("SELECT window(ts, '-1 seconds') FROM bids", "window size is not positive"),
        ("SELECT window(ts, '5 seconds', '10 seconds') FROM bids", "window slide is too long"),
        ("SELECT window(ts, '10 seconds', '5 seconds', '5 seconds') FROM bids", "window offset is too long"),
        ("SELECT window(ts, 10) FROM bids", "window size is not an interval"),
        ("SELECT window(ts, NULL) FROM bids", "window size is NULL"),
        ("SELECT window(ts, k) FROM bids", "window size is not constant"),
        ("SELECT window(k, '10 seconds') FROM bids", "event time is not a timestamp"),
        ("SELECT window(ts) FROM bids", "write window(ts, size"),
        ("SELECT window('10 seconds') FROM bids", "event time is not given"),
        ("SELECT hop(ts, '10 seconds') FROM bids", "write hop(ts, slide, size"),
        ("SELECT cumulate(ts, '3 seconds', '10 seconds') FROM bids", "not a multiple of its step"),
        ("SELECT hop(ts, '1 microsecond', '10 days') FROM bids", "too many windows per row"),
        ("SELECT window_time(ts) FROM bids", "window_time takes a window"),
        (
            "SELECT count(*) FROM bids GROUP BY window(ts, '10 seconds'), window(ts, '20 seconds')",
            "different windows",
        ),
        (
            "SELECT hop(ts, '1 second', '2 seconds'), hop(ts, '1 second', '3 seconds') FROM bids",
            "different windows",
        ),
        ("SELECT v FROM bids WHERE window(ts, '10 seconds', '5 seconds') IS NULL", "multiplies rows"),
        ("SELECT v FROM bids ORDER BY window(ts, '10 seconds', '5 seconds')", "multiplies rows"),
        ("SELECT * FROM __tumble((SELECT * FROM bids))", "write TUMBLE("),
        (
            "SELECT * FROM __tumble((SELECT *, v AS window_end FROM bids), ts, '1 day')",
            "`window_end` already",
        ),
        (
            "SELECT * FROM __with_watermark((SELECT * FROM bids), v, '1 day')",
            "watermark column is not a timestamp",
        ),
        ("SELECT * FROM __with_watermark((SELECT * FROM bids), ts, '-1 day')", "delay is negative"),
        (
            "SELECT * FROM __with_watermark((SELECT * FROM bids), ts + INTERVAL '1' DAY, '1 day')",
            "without a name",
        ),
        (
            "SELECT * FROM __with_watermark((SELECT CAST(ts AS DATE) d FROM bids), d, '1 day')",
            "CAST(c AS TIMESTAMP",
        ),
    ] {
        let message = error(&context, sql).await;
        assert!(message.contains(expected), "{sql}: {message}");
    }
}

#[tokio::test]
async fn a_time_at_the_end_of_its_type_is_an_error_of_the_data() {
    let context = context();
    for call in ["tumble(t, '1 day')", "hop(t, '1 hour', '1 day')", "cumulate(t, '1 hour', '1 day')"] {
        for end in [i64::MAX, i64::MIN] {
            let sql = format!(
                "SELECT {call} FROM (SELECT arrow_cast({end}, 'Timestamp(Microsecond, None)') t FROM bids)"
            );
            let message = error(&context, &sql).await;
            assert!(message.contains("no window within the range"), "{sql}: {message}");
        }
    }
}

#[tokio::test]
async fn windows_have_the_type_of_the_event_time() {
    let context = context();
    for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        for zone in [None, Some("+00:00"), Some("America/New_York")] {
            let data_type = DataType::Timestamp(unit, zone.map(Into::into));
            let sql = format!(
                "SELECT arrow_cast(get_field(window(t, '10 seconds'), 'end'), 'Int64'), get_field(window(t, '10 seconds'), 'end'), \
                 arrow_cast(window_time(window(t, '10 seconds')), 'Int64') \
                 FROM (SELECT arrow_cast(arrow_cast(-3000000, 'Timestamp(Microsecond, Some(\"UTC\"))'), '{data_type}') t)"
            );
            let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
            assert_eq!(batches[0].column(1).data_type(), &data_type);
            let last = match unit {
                TimeUnit::Nanosecond => -1_000,
                _ => -1,
            };
            let line = show(&batches)[0].clone();
            if zone.is_some() {
                assert!(
                    line.starts_with("0 |") && line.ends_with(&format!("| {last}")),
                    "{data_type}: {line}"
                );
            }
        }
    }
}

#[tokio::test]
async fn watermark_is_marked_in_place_or_on_a_new_column() {
    let context = context_of(Mode::Streaming);
    let state = context.state();
    for (args, column, delay) in [
        ("ts, INTERVAL '10' SECOND", "bids.ts", 10_000_000),
        ("bids.ts, '0 seconds'", "bids.ts", 0),
        ("ts + INTERVAL '1' DAY, '5 seconds', later", "later", 5_000_000),
        ("ts, '5 seconds', t2", "t2", 5_000_000),
    ] {
        let sql = format!("SELECT v FROM __with_watermark((SELECT * FROM bids), {args}) WHERE v > 3 LIMIT 2");
        let plan = state.optimize(&state.create_logical_plan(&sql).await.unwrap()).unwrap();
        let text = plan.display_indent().to_string();
        let node = find_watermark(&plan).unwrap_or_else(|| panic!("{text}"));
        let own = node.own().unwrap();
        assert_eq!((node.column().flat_name().as_str(), own.delay), (column, delay), "{text}");
        // The filter, the limit and the pruning of columns stay above or spare the event time.
        let above = text.split("EventTimeWatermark").next().unwrap();
        assert!(above.contains("Filter") && above.contains("Limit"), "{text}");
        node.column_index().unwrap();
    }
}

fn find_watermark(plan: &datafusion::logical_expr::LogicalPlan) -> Option<EventTimeWatermark> {
    match EventTimeWatermark::of(plan) {
        Some(node) => Some(node.clone()),
        None => plan.inputs().into_iter().find_map(find_watermark),
    }
}
