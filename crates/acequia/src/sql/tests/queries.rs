//! Queries, their clauses and their canonical forms.

use super::*;

#[test]
fn clauses_follow_a_query_in_any_order() {
    check(&[
        ("SELECT 1", "SELECT 1"),
        ("(SELECT 1) UNION ALL VALUES (2) ", "(SELECT 1) UNION ALL VALUES (2)"),
        ("TABLE t", "SELECT * FROM t"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "WITH a AS (SELECT 1) SELECT * FROM a"),
        ("SELECT * FROM t EMIT APPEND", "SELECT * FROM t | APPEND @1:17"),
        ("SELECT * FROM t emit append", "SELECT * FROM t | APPEND @1:17"),
        ("SELECT * FROM t EMIT ON WINDOW CLOSE", "SELECT * FROM t | APPEND @1:17"),
        ("SELECT * FROM t EMIT FINAL", "SELECT * FROM t | APPEND @1:17"),
        ("SELECT * FROM t AS x EMIT UPDATE", "SELECT * FROM t AS x | UPDATE @1:22"),
        ("SELECT * FROM t WHERE a = 1 EMIT COMPLETE", "SELECT * FROM t WHERE a = 1 | COMPLETE @1:29"),
        ("SELECT a FROM t GROUP BY a EMIT CHANGES", "SELECT a FROM t GROUP BY a | CHANGES @1:28"),
        (
            "SELECT a FROM t ORDER BY a DESC LIMIT 5 EMIT CHANGES",
            "SELECT a FROM t ORDER BY a DESC LIMIT 5 | CHANGES @1:41",
        ),
        ("SELECT * FROM (SELECT 1) EMIT APPEND", "SELECT * FROM (SELECT 1) | APPEND @1:26"),
        ("SELECT * FROM t JOIN u USING (a) EMIT APPEND", "SELECT * FROM t JOIN u USING(a) | APPEND @1:34"),
        ("SELECT * FROM t TRIGGER ONCE", "SELECT * FROM t | Once @1:17"),
        (
            "SELECT * FROM t TRIGGER AVAILABLE NOW EMIT UPDATE",
            "SELECT * FROM t | UPDATE @1:39 | AvailableNow @1:17",
        ),
        ("SELECT * FROM t TRIGGER EVERY '5 seconds'", "SELECT * FROM t | ProcessingTime(5s) @1:17"),
        ("SELECT * FROM t TRIGGER EVERY INTERVAL '5' SECOND", "SELECT * FROM t | ProcessingTime(5s) @1:17"),
        (
            "SELECT * FROM t TRIGGER EVERY INTERVAL '100 ms' EMIT APPEND",
            "SELECT * FROM t | APPEND @1:49 | ProcessingTime(100ms) @1:17",
        ),
        (
            "SELECT * FROM t TRIGGER EVERY 2 MINUTES WITH (a = 1)",
            "SELECT * FROM t | ProcessingTime(120s) @1:17 | {\"a\": \"1\"}",
        ),
        (
            "SELECT a FROM t GROUP BY a WITH (name = 'q', a.b.c = -1.5, 'x-y' = true, z = json) EMIT UPDATE",
            "SELECT a FROM t GROUP BY a | UPDATE @1:84 | {\"name\": \"q\", \"a.b.c\": \"-1.5\", \"x_y\": \"true\", \"z\": \"json\"}",
        ),
        ("SELECT * FROM t WITH ('password' = 'p')", "SELECT * FROM t | {\"password\": \"****\"}"),
        ("VALUES (1) EMIT APPEND", "VALUES (1) | APPEND @1:12"),
    ]);
}

#[test]
fn continuous_statements_take_the_clauses() {
    check(&[
        (
            "INSERT INTO k SELECT * FROM t EMIT UPDATE TRIGGER EVERY '5 seconds' WITH (name = 'q', checkpoint = 'c/q')",
            "insert into k []: SELECT * FROM t | UPDATE @1:31 | ProcessingTime(5s) @1:43 | {\"name\": \"q\", \"checkpoint\": \"c/q\"}",
        ),
        ("INSERT INTO TABLE a.k (x, \"Y\") SELECT 1, 2", "insert into a.k [x,\"Y\"]: SELECT 1, 2"),
        ("INSERT INTO k (values) SELECT 1", "insert into k [values]: SELECT 1"),
        ("INSERT INTO k (SELECT 1)", "insert into k []: (SELECT 1)"),
        (
            "INSERT INTO k WITH a AS (SELECT 1) SELECT * FROM a",
            "insert into k []: WITH a AS (SELECT 1) SELECT * FROM a",
        ),
        ("INSERT OVERWRITE k SELECT 1", "insert overwrite k []: SELECT 1"),
        ("INSERT INTO s VALUES (1, 'a'), (2, NULL)", "insert into s [] values: VALUES (1, 'a'), (2, NULL)"),
        ("INSERT INTO s (a) VALUES (1)", "insert into s [a] values: VALUES (1)"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1 EMIT UPDATE", "view v: SELECT 1 | UPDATE @1:40"),
        (
            "CREATE OR REPLACE MATERIALIZED VIEW IF NOT EXISTS v WITH (a = 1) AS SELECT 1 WITH (b = 2)",
            "view v or replace if not exists: SELECT 1 | {\"a\": \"1\", \"b\": \"2\"}",
        ),
        (
            "CREATE STREAMING TABLE x AS SELECT * FROM t TRIGGER ONCE",
            "streaming table x: SELECT * FROM t | Once @1:45",
        ),
        ("EXPLAIN STREAMING SELECT * FROM t EMIT UPDATE", "explain: SELECT * FROM t | UPDATE @1:35"),
        ("EXPLAIN STREAMING INSERT INTO k SELECT 1", "explain: insert into k []: SELECT 1"),
        ("EXPLAIN STREAMING CREATE MATERIALIZED VIEW v AS SELECT 1", "explain: view v: SELECT 1"),
        ("EXPLAIN SELECT * FROM STREAM t", "datafusion: EXPLAIN SELECT * FROM t"),
    ]);
}

#[test]
fn words_of_clauses_stay_names() {
    check(&[
        ("SELECT emit FROM t", "SELECT emit FROM t"),
        ("SELECT a AS emit, b trigger FROM t", "SELECT a AS emit, b AS trigger FROM t"),
        ("SELECT emit.a FROM emit", "SELECT emit.a FROM emit"),
        ("SELECT * FROM t emit WHERE emit.a = 1", "SELECT * FROM t emit WHERE emit.a = 1"),
        (
            "SELECT * FROM t emit JOIN u trigger ON emit.a = trigger.a",
            "SELECT * FROM t emit JOIN u trigger ON emit.a = trigger.a",
        ),
        ("SELECT * FROM t AS emit EMIT APPEND", "SELECT * FROM t AS emit | APPEND @1:25"),
        ("SELECT * FROM emit EMIT APPEND", "SELECT * FROM emit | APPEND @1:20"),
        ("SELECT watermark FROM t watermark", "SELECT watermark FROM t watermark"),
        (
            "SELECT * FROM t watermark WHERE watermark.a > 1",
            "SELECT * FROM t watermark WHERE watermark.a > 1",
        ),
        ("SELECT * FROM stream", "SELECT * FROM stream"),
        ("SELECT * FROM stream AS t", "SELECT * FROM stream AS t"),
        ("SELECT * FROM stream JOIN sink ON true", "SELECT * FROM stream JOIN sink ON true"),
        ("SELECT * FROM stream EMIT APPEND", "SELECT * FROM stream | APPEND @1:22"),
        ("SELECT stream, sink, delay, query FROM t", "SELECT stream, sink, delay, query FROM t"),
        ("SELECT table FROM t", "SELECT table FROM t"),
        (
            "SELECT a FROM t WHERE a IS DISTINCT FROM stream AND b",
            "SELECT a FROM t WHERE a IS DISTINCT FROM stream AND b",
        ),
        ("SELECT * FROM (SELECT * FROM t emit WHERE a) x", "SELECT * FROM (SELECT * FROM t emit WHERE a) x"),
        ("SELECT `a b` FROM `t`", "SELECT `a b` FROM `t`"),
    ]);
}

#[test]
fn intervals_versions_and_types_of_other_dialects_parse() {
    check(&[
        (
            "SELECT INTERVAL 10 SECONDS, INTERVAL '10' SECONDS, INTERVAL '10 seconds'",
            "SELECT INTERVAL 10 SECONDS, INTERVAL '10' SECONDS, INTERVAL '10 seconds'",
        ),
        (
            "SELECT * FROM o JOIN r FOR SYSTEM_TIME AS OF o.ts AS x ON o.a = x.a",
            "SELECT * FROM (o ASOF JOIN r AS x MATCH_CONDITION (__system_time(o.ts)) ON o.a = x.a)",
        ),
        (
            "SELECT * FROM o LEFT JOIN r FOR SYSTEM_TIME AS OF o.ts x USING (a) JOIN p ON true, q",
            "SELECT * FROM (o ASOF JOIN r x MATCH_CONDITION (__system_time_or_null(o.ts)) USING(a)) JOIN p ON true, q",
        ),
        (
            "SELECT * FROM a LEFT ASOF JOIN b MATCH_CONDITION (a.t >= b.t) ASOF JOIN (c ASOF JOIN d MATCH_CONDITION (c.t < d.t)) MATCH_CONDITION (a.t > c.t) CROSS JOIN left_asof",
            "SELECT * FROM ((a ASOF JOIN b MATCH_CONDITION (a.t >= b.t)) ASOF JOIN (c ASOF JOIN d MATCH_CONDITION (c.t < d.t)) MATCH_CONDITION (a.t > c.t)) CROSS JOIN left_asof",
        ),
        ("SELECT PROCTIME()", "SELECT PROCTIME()"),
    ]);
}

#[test]
fn stream_and_watermark_in_from_are_rewritten() {
    check(&[
        ("SELECT * FROM STREAM t", "SELECT * FROM t"),
        (
            "SELECT * FROM STREAM a.t AS x JOIN STREAM \"u\" ON true, STREAM v",
            "SELECT * FROM a.t AS x JOIN \"u\" ON true, v",
        ),
        ("SELECT * FROM STREAM(t)", "SELECT * FROM t"),
        ("SELECT * FROM STREAM(t) AS x", "SELECT * FROM t AS x"),
        (
            "SELECT * FROM STREAM t WATERMARK ts DELAY OF INTERVAL 10 SECONDS",
            "SELECT * FROM __with_watermark((SELECT * FROM t), ts, INTERVAL 10 SECONDS) AS t",
        ),
        (
            "SELECT * FROM t AS x WATERMARK to_timestamp(x.ts) AS e DELAY OF '10 seconds' WHERE a EMIT APPEND",
            "SELECT * FROM __with_watermark((SELECT * FROM t AS x), to_timestamp(x.ts), '10 seconds', e) AS x WHERE a | APPEND @1:86",
        ),
        (
            "SELECT * FROM c.s.t WATERMARK ts DELAY OF INTERVAL '1' MINUTE AS y",
            "SELECT * FROM __with_watermark((SELECT * FROM c.s.t), ts, INTERVAL '1' MINUTE) AS y",
        ),
        (
            "SELECT * FROM (SELECT * FROM STREAM t WATERMARK a DELAY OF '1 s') AS q(a, b) WATERMARK b DELAY OF INTERVAL '2 s' EMIT UPDATE",
            "SELECT * FROM __with_watermark((SELECT * FROM (SELECT * FROM __with_watermark((SELECT * FROM t), a, '1 s') AS t) AS q (a, b)), b, INTERVAL '2 s') AS q | UPDATE @1:114",
        ),
        (
            "SELECT * FROM a WATERMARK x DELAY OF '1 s' JOIN b WATERMARK y DELAY OF '2 s' ON a.k = b.k, c",
            "SELECT * FROM __with_watermark((SELECT * FROM a), x, '1 s') AS a JOIN __with_watermark((SELECT * FROM b), y, '2 s') AS b ON a.k = b.k, c",
        ),
        (
            "SELECT * FROM f(1, 2) WATERMARK x DELAY OF '1 s'",
            "SELECT * FROM __with_watermark((SELECT * FROM f(1, 2)), x, '1 s')",
        ),
        (
            "CREATE VIEW v AS SELECT * FROM STREAM t WATERMARK x DELAY OF '1 s'",
            "datafusion: CREATE VIEW v AS SELECT * FROM __with_watermark((SELECT * FROM t), x, '1 s') AS t",
        ),
    ]);
}

#[test]
fn window_table_functions_have_one_form() {
    let tumble = "SELECT * FROM __tumble((SELECT * FROM t), ts, INTERVAL '1' MINUTE)";
    check(&[
        ("SELECT * FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)", tumble),
        ("SELECT * FROM tumble(t, ts, INTERVAL '1' MINUTE)", tumble),
        ("SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))", tumble),
        (
            "SELECT * FROM TUMBLE(data => TABLE t, timecol => DESCRIPTOR(ts), size => INTERVAL '1' MINUTE)",
            tumble,
        ),
        (
            "SELECT * FROM TUMBLE(size => INTERVAL '1' MINUTE, DATA => TABLE t, TIMECOL => DESCRIPTOR(ts))",
            tumble,
        ),
        ("SELECT * FROM TUMBLE(TABLE t, timecol => DESCRIPTOR(ts), size => INTERVAL '1' MINUTE)", tumble),
        ("SELECT * FROM TUMBLE((SELECT * FROM t), ts, INTERVAL '1' MINUTE)", tumble),
        ("SELECT * FROM TUMBLE(TABLE (SELECT * FROM t), ts, INTERVAL '1' MINUTE)", tumble),
        (
            "SELECT * FROM TUMBLE(TABLE c.t, DESCRIPTOR(\"Ts\"), '1 minute', '10 s') AS w (a, b) EMIT APPEND",
            "SELECT * FROM __tumble((SELECT * FROM c.t), \"Ts\", '1 minute', '10 s') AS w (a, b) | APPEND @1:83",
        ),
        (
            "SELECT * FROM HOP(TABLE t, DESCRIPTOR(ts), INTERVAL 1 MINUTE, INTERVAL 10 MINUTES)",
            "SELECT * FROM __hop((SELECT * FROM t), ts, INTERVAL 1 MINUTE, INTERVAL 10 MINUTES)",
        ),
        (
            "SELECT * FROM HOP(DATA => TABLE t, TIMECOL => DESCRIPTOR(ts), SIZE => '10 m', SLIDE => '1 m', OFFSET => '2 s')",
            "SELECT * FROM __hop((SELECT * FROM t), ts, '1 m', '10 m', '2 s')",
        ),
        (
            "SELECT * FROM CUMULATE(t, ts, '1 m', '10 m') x",
            "SELECT * FROM __cumulate((SELECT * FROM t), ts, '1 m', '10 m') x",
        ),
        (
            "SELECT * FROM SESSION(TABLE t, DESCRIPTOR(ts), '5 m')",
            "SELECT * FROM __session((SELECT * FROM t), ts, '5 m')",
        ),
        (
            "SELECT * FROM SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), '5 m')",
            "SELECT * FROM __session((SELECT * FROM t), ts, '5 m', __partition_by(k))",
        ),
        (
            "SELECT * FROM SESSION(TABLE t PARTITION BY a, t.b, DESCRIPTOR(ts), '5 m')",
            "SELECT * FROM __session((SELECT * FROM t), ts, '5 m', __partition_by(a, t.b))",
        ),
        (
            "SELECT * FROM SESSION(t PARTITION BY (a, b), ts, '5 m')",
            "SELECT * FROM __session((SELECT * FROM t), ts, '5 m', __partition_by(a, b))",
        ),
        (
            "SELECT * FROM SESSION(data => TABLE t PARTITION BY k, timecol => DESCRIPTOR(ts), gap => '5 m')",
            "SELECT * FROM __session((SELECT * FROM t), ts, '5 m', __partition_by(k))",
        ),
        (
            "SELECT * FROM SESSION((SELECT * FROM t WHERE f(a)) PARTITION BY k, ts, '5 m')",
            "SELECT * FROM __session((SELECT * FROM t WHERE f(a)), ts, '5 m', __partition_by(k))",
        ),
        (
            "SELECT * FROM TUMBLE(HOP(TABLE t, ts, '1 m', '2 m'), window_time, '1 h')",
            "SELECT * FROM __tumble((SELECT * FROM __hop((SELECT * FROM t), ts, '1 m', '2 m')), window_time, '1 h')",
        ),
        (
            "SELECT * FROM TUMBLE(TABLE HOP(t, ts, '1 m', '2 m'), window_time, '1 h')",
            "SELECT * FROM __tumble((SELECT * FROM __hop((SELECT * FROM t), ts, '1 m', '2 m')), window_time, '1 h')",
        ),
        (
            "SELECT (SELECT max(a) FROM TUMBLE(t, ts, '1 m')) FROM u",
            "SELECT (SELECT max(a) FROM __tumble((SELECT * FROM t), ts, '1 m')) FROM u",
        ),
        (
            "CREATE VIEW v AS SELECT * FROM TUMBLE(TABLE t, DESCRIPTOR(ts), '1 m')",
            "datafusion: CREATE VIEW v AS SELECT * FROM __tumble((SELECT * FROM t), ts, '1 m')",
        ),
        ("SELECT * FROM generate_series(1, 3)", "SELECT * FROM generate_series(1, 3)"),
        ("SELECT * FROM \"tumble\"(t, ts, '1 m')", "SELECT * FROM \"tumble\"(t, ts, '1 m')"),
    ]);
}

#[test]
fn duplicate_functions_have_one_form() {
    check(&[
        ("SELECT * FROM drop_duplicates(TABLE t)", "SELECT * FROM __drop_duplicates((SELECT * FROM t))"),
        (
            "SELECT * FROM drop_duplicates(t, DESCRIPTOR(a, b)) x",
            "SELECT * FROM __drop_duplicates((SELECT * FROM t), a, b) x",
        ),
        (
            "SELECT * FROM drop_duplicates(t, a, b)",
            "SELECT * FROM __drop_duplicates((SELECT * FROM t), a, b)",
        ),
        (
            "SELECT * FROM drop_duplicates_within_watermark(TABLE t, DESCRIPTOR(a))",
            "SELECT * FROM __drop_duplicates_within_watermark((SELECT * FROM t), a)",
        ),
        (
            "SELECT * FROM drop_duplicates(data => TABLE t, on => DESCRIPTOR(a, b))",
            "SELECT * FROM __drop_duplicates((SELECT * FROM t), a, b)",
        ),
    ]);
}

#[test]
fn references_to_grouped_windows_become_fields() {
    check(&[
        (
            "SELECT window.start AS s, window.end, window, count(*) FROM t GROUP BY window(ts, '10 m')",
            "SELECT get_field(window(ts, '10 m'), 'start') AS s, get_field(window(ts, '10 m'), 'end') AS end, \
             window(ts, '10 m') AS window, count(*) FROM t GROUP BY window(ts, '10 m')",
        ),
        (
            "SELECT a FROM t GROUP BY a, window(ts, '1 m') HAVING window.end > x ORDER BY window.start DESC",
            "SELECT a FROM t GROUP BY a, window(ts, '1 m') HAVING get_field(window(ts, '1 m'), 'end') > x \
             ORDER BY get_field(window(ts, '1 m'), 'start') DESC",
        ),
        (
            "SELECT window.*, a FROM t GROUP BY a, window(ts, '1 m')",
            "SELECT get_field(window(ts, '1 m'), 'start') AS start, get_field(window(ts, '1 m'), 'end') AS end, a \
             FROM t GROUP BY a, window(ts, '1 m')",
        ),
        (
            "SELECT session_window.start, k FROM t GROUP BY session_window(ts, '5 m'), k",
            "SELECT get_field(session_window(ts, '5 m'), 'start') AS start, k FROM t GROUP BY session_window(ts, '5 m'), k",
        ),
        (
            "SELECT window(ts, '1 m') AS w, w.start, w['end'] AS e FROM t GROUP BY w",
            "SELECT window(ts, '1 m') AS w, get_field(window(ts, '1 m'), 'start') AS start, \
             get_field(window(ts, '1 m'), 'end') AS e FROM t GROUP BY w",
        ),
        (
            "SELECT window(ts, '1 m').start, window(ts, '1 m')['end'] FROM t",
            "SELECT get_field(window(ts, '1 m'), 'start') AS start, get_field(window(ts, '1 m'), 'end') AS end FROM t",
        ),
        ("SELECT a, window(ts, '1 m') FROM t", "SELECT a, window(ts, '1 m') AS window FROM t"),
        (
            "SELECT window_time(window) FROM t GROUP BY 1, window(ts, '1 m')",
            "SELECT window_time(window(ts, '1 m')) FROM t GROUP BY 1, window(ts, '1 m')",
        ),
        (
            "SELECT window(ts, '1 m'), window.start FROM t GROUP BY 1",
            "SELECT window(ts, '1 m') AS window, get_field(window(ts, '1 m'), 'start') AS start FROM t GROUP BY 1",
        ),
        (
            "SELECT window_start, window_end AS e, a FROM t GROUP BY tumble(ts, '1 m'), a",
            "SELECT get_field(tumble(ts, '1 m'), 'start') AS window_start, get_field(tumble(ts, '1 m'), 'end') AS e, a \
             FROM t GROUP BY tumble(ts, '1 m'), a",
        ),
        (
            "SELECT hop(INTERVAL '1 m', INTERVAL '5 m') AS w, window_end, count(*) FROM t GROUP BY w",
            "SELECT hop(INTERVAL '1 m', INTERVAL '5 m') AS w, \
             get_field(hop(INTERVAL '1 m', INTERVAL '5 m'), 'end') AS window_end, count(*) FROM t GROUP BY w",
        ),
        (
            "SELECT TUMBLE_START(ts, '1 m'), TUMBLE_END(ts, '1 m') AS e, TUMBLE_ROWTIME(ts, '1 m') AS r FROM t GROUP BY TUMBLE(ts, '1 m')",
            "SELECT get_field(TUMBLE(ts, '1 m'), 'start') AS tumble_start, get_field(TUMBLE(ts, '1 m'), 'end') AS e, \
             window_time(TUMBLE(ts, '1 m')) AS r FROM t GROUP BY TUMBLE(ts, '1 m')",
        ),
        (
            "SELECT HOP_START(ts, '1 m', '2 m') AS s, k FROM t GROUP BY HOP(ts, '1 m', '2 m'), k",
            "SELECT get_field(HOP(ts, '1 m', '2 m'), 'start') AS s, k FROM t GROUP BY HOP(ts, '1 m', '2 m'), k",
        ),
        (
            "SELECT SESSION_END(ts, '5 m') AS s FROM t GROUP BY SESSION(ts, '5 m'), k",
            "SELECT get_field(SESSION(ts, '5 m'), 'end') AS s FROM t GROUP BY SESSION(ts, '5 m'), k",
        ),
        (
            "SELECT window.start FROM t GROUP BY GROUPING SETS ((window(ts, '1 m'), a), (a))",
            "SELECT get_field(window(ts, '1 m'), 'start') AS start FROM t GROUP BY GROUPING SETS ((window(ts, '1 m'), a), (a))",
        ),
        (
            "SELECT 1 UNION ALL SELECT window.start FROM t GROUP BY window(ts, '1 m')",
            "SELECT 1 UNION ALL SELECT get_field(window(ts, '1 m'), 'start') AS start FROM t GROUP BY window(ts, '1 m')",
        ),
        (
            "SELECT window.start FROM t GROUP BY window(window, '1 h')",
            "SELECT get_field(window(window, '1 h'), 'start') AS start FROM t GROUP BY window(window, '1 h')",
        ),
        (
            "SELECT row_number() OVER (PARTITION BY window.start ORDER BY count(*)) FROM t GROUP BY window(ts, '1 m'), a",
            "SELECT row_number() OVER (PARTITION BY get_field(window(ts, '1 m'), 'start') ORDER BY count(*)) FROM t \
             GROUP BY window(ts, '1 m'), a",
        ),
    ]);
}

#[test]
fn other_names_that_look_like_windows_stay() {
    let same = [
        "SELECT window.start FROM window GROUP BY window(ts, '1 m'), window.start",
        "SELECT window.start FROM t AS window GROUP BY window(ts, '1 m')",
        "SELECT window.start FROM (SELECT * FROM v)",
        "SELECT window, window.start FROM t",
        "SELECT window_start, window_end FROM t GROUP BY window_start, window_end",
        "SELECT window_start FROM t GROUP BY tumble(window_time, '1 h'), window_start",
        "SELECT (SELECT window.start FROM u) FROM t GROUP BY window(ts, '1 m')",
        "SELECT a FROM t WHERE window.start > 1 GROUP BY window(ts, '1 m'), a",
        "SELECT w.start FROM u AS w GROUP BY window(ts, '1 m')",
        "SELECT session_window.start FROM t GROUP BY window(ts, '1 m')",
        "SELECT tumble(ts, '1 m') AS ts, max(ts) FROM t GROUP BY 1",
        "SELECT session_start, tumble_end() FROM t",
    ];
    check(&same.map(|text| (text, text)));
}

#[test]
fn errors_in_queries_name_place_and_way_out() {
    check(&[
        (
            "SELECT * FROM t EMIT APEND",
            "invalid: expected APPEND, UPDATE, COMPLETE, CHANGES or ON WINDOW CLOSE, found `APEND`; did you mean `APPEND`? (line 1, column 22)",
        ),
        (
            "SELECT * FROM t EMIT",
            "invalid: expected APPEND, UPDATE, COMPLETE, CHANGES or ON WINDOW CLOSE, found the end of the statement (line 1, column 21)",
        ),
        (
            "SELECT * FROM t EMIT ON WINDOW",
            "invalid: expected CLOSE, found the end of the statement (line 1, column 31)",
        ),
        (
            "SELECT * FROM t EMIT IMMEDIATELY",
            "unsupported: EMIT IMMEDIATELY; write EMIT UPDATE (line 1, column 22)",
        ),
        (
            "SELECT * FROM t OUTPUT MODE complete",
            "invalid: OUTPUT MODE is not a clause; write EMIT COMPLETE (line 1, column 17)",
        ),
        (
            "SELECT * FROM t EMIT APPEND EMIT UPDATE",
            "invalid: EMIT, TRIGGER and WITH stand at most once each (line 1, column 29)",
        ),
        (
            "SELECT * FROM t EMIT APPEND WHERE a",
            "invalid: expected EMIT, TRIGGER, WITH or the end of the statement, found `WHERE` (line 1, column 29)",
        ),
        (
            "SELECT * FROM t TRIGGER EVRY '5 s'",
            "invalid: expected EVERY '<interval>', AVAILABLE NOW or ONCE, found `EVRY`; did you mean `EVERY`? (line 1, column 25)",
        ),
        (
            "SELECT * FROM t TRIGGER EVERY 'soon'",
            "invalid: not an interval: `soon`; write a number and a unit, as in '10 minutes' (line 1, column 31)",
        ),
        (
            "SELECT * FROM t TRIGGER EVERY '-1 second'",
            "invalid: a trigger's interval cannot be negative: `-1 second` (line 1, column 31)",
        ),
        (
            "SELECT * FROM t WITH (a = 1, A = 2)",
            "invalid: option given twice: `A` of query (line 1, column 30)",
        ),
        (
            "SELECT * FROM t WITH (a b)",
            "invalid: expected `=` after the option's key, found `b` (line 1, column 25)",
        ),
        (
            "SELECT * FROM t WITH (a =)",
            "invalid: expected a string, a number, true, false or a word as the option's value, found `)` (line 1, column 26)",
        ),
        ("SELECT * FROM t WITH (= 1)", "invalid: expected an option's key, found `=` (line 1, column 23)"),
        (
            "SELECT * FROM t WITH (a = 1",
            "invalid: expected `,` or `)`, found the end of the statement (line 1, column 28)",
        ),
        (
            "SELECT * FROM (SELECT * FROM t EMIT APPEND)",
            "invalid: expected `)`, found `EMIT`; EMIT stands once, after the whole query (line 1, column 32)",
        ),
        (
            "SELECT a\nFROM t\nGROUPP BY a",
            "invalid: expected the end of the statement, found `BY` (line 3, column 8)",
        ),
        (
            "SELECT * FROM t WHERE a HAVNG b",
            "invalid: expected the end of the statement, found `HAVNG`; did you mean `HAVING`? (line 1, column 25)",
        ),
        (
            "SELECT * FROM (SELECT a FROM\n  (SELECT b c d FROM t) WHERE) x",
            "invalid: expected `)`, found `d` (line 2, column 15)",
        ),
        (
            "SELECT * FROM (SELECT 1",
            "invalid: expected `)`, found the end of the statement (line 1, column 24)",
        ),
        (
            "CREATE VIEW v AS SELECT * FROM (SELECT a FROM t WERE b)",
            "invalid: expected `)`, found `b` (line 1, column 54)",
        ),
        ("SELECT a +", "invalid: expected an expression, found the end of the statement (line 1, column 11)"),
        ("SELECT (1", "invalid: expected ), found the end of the statement (line 1, column 10)"),
        (
            "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a",
            "unsupported: WITH before INSERT; write INSERT INTO .. WITH .. SELECT (line 1, column 1)",
        ),
        ("INSERT t SELECT 1", "invalid: expected INTO or OVERWRITE, found `t` (line 1, column 8)"),
        (
            "INSERT INTO t BY NAME SELECT 1",
            "unsupported: INSERT .. BY NAME; list the columns: INSERT INTO t (a, b) SELECT .. (line 1, column 15)",
        ),
        (
            "INSERT INTO t",
            "invalid: expected SELECT or VALUES, found the end of the statement (line 1, column 14)",
        ),
        (
            "INSERT INTO t DEFAULT VALUES",
            "unsupported: INSERT .. DEFAULT VALUES; write the values (line 1, column 15)",
        ),
        (
            "SELECT * FROM t WATERMARK ts",
            "invalid: a watermark in a query needs its delay; write WATERMARK <time> DELAY OF INTERVAL 10 SECONDS (line 1, column 17)",
        ),
        (
            "SELECT * FROM t WATERMARK ts DELAY OF d",
            "invalid: expected a constant interval after DELAY OF, as INTERVAL 10 SECONDS, found `d` (line 1, column 39)",
        ),
        (
            "SELECT * FROM t WATERMARK DELAY OF '1 s'",
            "invalid: expected the event time after WATERMARK, found `DELAY` (line 1, column 27)",
        ),
        (
            "SELECT a FROM t WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY a",
            "unsupported: WINDOW TUMBLING is not supported; write GROUP BY window(ts, '1 minute') (line 1, column 17)",
        ),
        (
            "SELECT * FROM\n TUMBLE(TABLE t, DESCRIPTOR(ts))",
            "invalid: missing argument: size; write TUMBLE(TABLE t, DESCRIPTOR(ts), size [, offset]) (line 2, column 2)",
        ),
        (
            "SELECT * FROM TUMBLE(t, ts, '1 m', '1 m', '1 m')",
            "invalid: too many arguments; write TUMBLE(TABLE t, DESCRIPTOR(ts), size [, offset]) (line 1, column 15)",
        ),
        (
            "SELECT * FROM TUMBLE(t, 'ts', '1 m')",
            "invalid: the second argument is the event-time column; write TUMBLE(TABLE t, DESCRIPTOR(ts), size [, offset]) (line 1, column 25)",
        ),
        (
            "SELECT * FROM TUMBLE(t, DESCRIPTOR(a, b), '1 m')",
            "invalid: DESCRIPTOR names one event-time column; write TUMBLE(TABLE t, DESCRIPTOR(ts), size [, offset]) (line 1, column 25)",
        ),
        (
            "SELECT * FROM TUMBLE(data => TABLE t, timcol => DESCRIPTOR(ts), size => '1 m')",
            "invalid: unknown argument of TUMBLE: `timcol`; did you mean `timecol`? (line 1, column 39)",
        ),
        (
            "SELECT * FROM TUMBLE(t PARTITION BY k, ts, '1 m')",
            "invalid: PARTITION BY is for SESSION; write TUMBLE(TABLE t, DESCRIPTOR(ts), size [, offset]) (line 1, column 15)",
        ),
        (
            "SELECT * FROM TUMBLE(1, ts, '1 m')",
            "invalid: expected a table, a query or a table function, found `1` (line 1, column 22)",
        ),
        (
            "SELECT * FROM TUMBLE(TABLE t, ts, '1 m', size => '2 m')",
            "invalid: argument given twice; write TUMBLE(TABLE t, DESCRIPTOR(ts), size [, offset]) (line 1, column 15)",
        ),
        (
            "SELECT TUMBLE_START(ts, '2 m') FROM t GROUP BY TUMBLE(ts, '1 m')",
            "invalid: TUMBLE_START must have the same arguments as TUMBLE in GROUP BY: found `TUMBLE_START(ts, '2 m')` (line 1, column 8)",
        ),
        (
            "SELECT f(t PARTITION BY k) FROM t",
            "invalid: PARTITION BY in arguments belongs to SESSION(TABLE t PARTITION BY k, ..) (line 1, column 25)",
        ),
        (
            "EXPLAIN ANALYZE STREAMING SELECT 1",
            "unsupported: EXPLAIN STREAMING has no ANALYZE; the progress of a running query shows its costs (line 1, column 1)",
        ),
        (
            "EXPLAIN STREAMING DROP STREAM s",
            "invalid: EXPLAIN STREAMING takes a query, an INSERT, or CREATE MATERIALIZED VIEW (line 1, column 19)",
        ),
        (
            "EXPLAIN SELECT 1 FROM t EMIT APPEND",
            "invalid: EMIT belongs to a continuous query; write EXPLAIN STREAMING (line 1, column 25)",
        ),
        (
            "CREATE VIEW v AS SELECT * FROM t EMIT APPEND",
            "invalid: EMIT belongs to a continuous query; a view only names a query; write CREATE MATERIALIZED VIEW, or give it where the view is used (line 1, column 34)",
        ),
        (
            "CREATE TABLE v AS SELECT * FROM t EMIT CHANGES",
            "invalid: EMIT belongs to a continuous query; a table is filled once; write CREATE STREAMING TABLE or CREATE MATERIALIZED VIEW (line 1, column 35)",
        ),
    ]);
}
