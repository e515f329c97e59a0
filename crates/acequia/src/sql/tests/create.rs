//! CREATE and the small statements.

use super::*;

#[test]
fn core_spelling_of_streams_and_sinks() {
    check(&[
        (
            "CREATE STREAM bids (
               auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR,
               ts TIMESTAMP(3),
               proc AS PROCTIME(),
               part INT METADATA FROM 'partition',
               WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
             ) WITH (connector = 'file', path = 'data/bids/', format = 'json')",
            "CREATE STREAM bids (\n  auction BIGINT,\n  bidder BIGINT,\n  price BIGINT,\n  channel VARCHAR,\n  \
             ts TIMESTAMP(3),\n  proc AS PROCTIME(),\n  part INT METADATA FROM 'partition',\n  \
             WATERMARK FOR ts AS ts - INTERVAL '5' SECOND\n) WITH (\n  connector = 'file',\n  \
             path = 'data/bids/',\n  format = 'json'\n)",
        ),
        (
            "CREATE SINK totals WITH (connector = 'parquet', path = 'out/totals/', partition_by = 'day');",
            "CREATE SINK totals WITH (\n  connector = 'parquet',\n  path = 'out/totals/',\n  partition_by = 'day'\n)",
        ),
        ("CREATE STREAM s (a INT)", "CREATE STREAM s (\n  a INT\n)"),
        ("CREATE STREAM s WITH (connector = rate)", "CREATE STREAM s WITH (\n  connector = 'rate'\n)"),
    ]);
}

#[test]
fn synonyms_lower_to_the_core_spelling() {
    let kafka = "CREATE STREAM t (\n  a INT\n) WITH (\n  connector = 'kafka',\n  topic = 'x'\n)";
    check(&[
        ("CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'topic' = 'x')", kafka),
        ("CREATE TABLE t (a INT) USING kafka OPTIONS (topic = 'x')", kafka),
        ("CREATE TABLE t (a INT) USING kafka OPTIONS (topic 'x')", kafka),
        ("CREATE SOURCE t (a INT) WITH (connector = 'kafka', topic = 'x')", kafka),
        ("create stream t (a int) with (CONNECTOR = kafka, \"topic\" = \"x\")", kafka),
        (
            "CREATE OR REPLACE TABLE t (a INT) WITH (connector = 'kafka')",
            "CREATE OR REPLACE STREAM t (\n  a INT\n) WITH (\n  connector = 'kafka'\n)",
        ),
        (
            "CREATE TABLE IF NOT EXISTS t WITH (connector = 'kafka')",
            "CREATE STREAM IF NOT EXISTS t WITH (\n  connector = 'kafka'\n)",
        ),
        ("CREATE SINK k USING console", "CREATE SINK k WITH (\n  connector = 'console'\n)"),
        ("CREATE OR REPLACE SINK IF NOT EXISTS k WITH ()", "CREATE OR REPLACE SINK IF NOT EXISTS k WITH ()"),
        (
            "CREATE STREAM s (a INT) COMMENT 'it''s' WITH (scan.startup.mode = latest, 'sasl.password' = 'p', 'a b' = 1)",
            "CREATE STREAM s (\n  a INT\n) COMMENT 'it''s' WITH (\n  scan.startup.mode = 'latest',\n  \
             sasl.password = '****',\n  'a b' = '1'\n)",
        ),
    ]);
}

#[test]
fn columns_watermarks_and_keys_in_every_spelling() {
    let columns = |text: &str| {
        let shown = show(&format!("CREATE STREAM s ({text})"));
        shown.trim_start_matches("CREATE STREAM s (\n  ").trim_end_matches("\n)").replace(",\n  ", "; ")
    };
    for (text, expected) in [
        ("ts TIMESTAMP(3), WATERMARK FOR ts", "ts TIMESTAMP(3); WATERMARK FOR ts"),
        ("WATERMARK FOR ts, ts TIMESTAMP", "ts TIMESTAMP; WATERMARK FOR ts"),
        (
            "a INT, WATERMARK FOR ts AS ts - '5 s', ts TIMESTAMP",
            "a INT; ts TIMESTAMP; WATERMARK FOR ts AS ts - '5 s'",
        ),
        ("watermark INT", "watermark INT"),
        (
            "a INT PRIMARY KEY NOT ENFORCED, b INT NOT NULL",
            "a INT; b INT NOT NULL; PRIMARY KEY (a) NOT ENFORCED",
        ),
        ("a INT, b INT, PRIMARY KEY (a, b)", "a INT; b INT; PRIMARY KEY (a, b) NOT ENFORCED"),
        ("a INT, CONSTRAINT k PRIMARY KEY (a) NOT ENFORCED", "a INT; PRIMARY KEY (a) NOT ENFORCED"),
        ("a INT NULL COMMENT 'x', b AS a + 1 COMMENT 'y'", "a INT COMMENT 'x'; b AS a + 1 COMMENT 'y'"),
        ("a INT, b BIGINT GENERATED ALWAYS AS (a * 2) STORED", "a INT; b AS CAST((a * 2) AS BIGINT)"),
        (
            "p INT METADATA, o BIGINT METADATA FROM 'offset' VIRTUAL",
            "p INT METADATA FROM 'p'; o BIGINT METADATA FROM 'offset'",
        ),
        (
            "m MAP<VARCHAR, INT>, s STRUCT<x INT>, l INT[], \"e nd\" DOUBLE PRECISION",
            "m MAP<VARCHAR, INT>; s STRUCT<x INT>; l INT[]; \"e nd\" DOUBLE PRECISION",
        ),
        (
            "end INT, timestamp TIMESTAMP, count INT, value DECIMAL(10, 2), metadata INT",
            "end INT; timestamp TIMESTAMP; count INT; value DECIMAL(10,2); metadata INT",
        ),
    ] {
        assert_eq!(columns(text), expected, "{text}");
    }
}

#[test]
fn what_is_shown_parses_back_to_the_same() {
    for text in [
        "CREATE OR REPLACE STREAM a.\"B c\" (x INT NOT NULL COMMENT 'it''s', y AS x + 1, z VARCHAR METADATA FROM 'k', \
         ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, PRIMARY KEY (x)) COMMENT 'c' \
         WITH (connector = 'file', a.b-c = 1)",
        "CREATE STREAM IF NOT EXISTS s WITH (connector = 'rate', 'we ird' = 'it''s', \"9\" = '${X}')",
        "CREATE SINK k WITH (connector = 'parquet', path = 'a\nb')",
        "CREATE SINK k WITH ()",
        "CREATE STREAM s (m MAP<VARCHAR, INT>, s STRUCT<x MAP<INT, INT>[], y VARCHAR>, l INT[], a ARRAY<INT>, t TIMESTAMP(3) WITH TIME ZONE)",
    ] {
        let text = text.replace("a.b-c", "'a.b-c'");
        let first = parse(&text).next().unwrap().unwrap().statement;
        let printed = show_statement(&first);
        let second = parse(&printed).next().unwrap().unwrap().statement;
        assert_eq!(show_statement(&second), printed);
        assert!(first == second, "{text}\n{first:?}\n{second:?}");
    }
}

#[test]
fn small_statements() {
    check(&[
        ("BEGIN; COMMIT; ROLLBACK", "Begin\nCommit\nRollback"),
        ("BEGIN TRANSACTION; START TRANSACTION; COMMIT WORK", "Begin\nBegin\nCommit"),
        ("DROP STREAM s; DROP SOURCE IF EXISTS a.s", "drop STREAM s\ndrop STREAM a.s if exists"),
        (
            "DROP SINK k; DROP MATERIALIZED VIEW v; DROP STREAMING TABLE t",
            "drop SINK k\ndrop MATERIALIZED VIEW v\ndrop STREAMING TABLE t",
        ),
        (
            "DROP TABLE t; DROP VIEW IF EXISTS v",
            "datafusion: DROP TABLE t\ndatafusion: DROP VIEW IF EXISTS v",
        ),
        (
            "SHOW STREAMS; SHOW SOURCES; SHOW SINKS; SHOW QUERIES; SHOW TABLES",
            "Show(Streams)\nShow(Streams)\nShow(Sinks)\nShow(Queries)\nShow(Tables)",
        ),
        (
            "SHOW VIEWS; SHOW MATERIALIZED VIEWS; SHOW STREAMING TABLES",
            "Show(Views)\nShow(MaterializedViews)\nShow(StreamingTables)",
        ),
        (
            "SHOW ALL; SHOW COLUMNS FROM t; SHOW FUNCTIONS",
            "datafusion: SHOW ALL\ndatafusion: SHOW COLUMNS FROM t\ndatafusion: SHOW FUNCTIONS",
        ),
        ("SHOW datafusion.execution.batch_size", "datafusion: SHOW datafusion execution batch_size"),
        (
            "SHOW CREATE STREAM s; SHOW CREATE a.b; SHOW CREATE TABLE t",
            "show create STREAM s\nshow create anything a.b\nshow create TABLE t",
        ),
        ("SHOW CREATE stream", "show create anything stream"),
        (
            "DESCRIBE s; DESC EXTENDED SINK k; DESCRIBE table",
            "describe anything s\ndescribe SINK k extended\ndescribe anything table",
        ),
        ("DESCRIBE SELECT 1", "datafusion: DESCRIBE SELECT 1"),
        (
            "STOP QUERY q; STOP QUERY IF EXISTS 'a b'",
            "StopQuery { name: \"q\", if_exists: false }\nStopQuery { name: \"a b\", if_exists: true }",
        ),
        ("SET acequia.watermark.policy = 'max'", "Set { key: \"acequia.watermark.policy\", value: \"max\" }"),
        (
            "SET 'acequia.Shards' = 4; SET acequia.x TO true",
            "Set { key: \"acequia.shards\", value: \"4\" }\nSet { key: \"acequia.x\", value: \"true\" }",
        ),
        ("SET datafusion.execution.batch_size = 10", "datafusion: SET datafusion.execution.batch_size = 10"),
        ("COPY (SELECT * FROM STREAM t) TO 'x.csv'", "datafusion: COPY (SELECT * FROM t) TO x.csv"),
        ("CREATE VIEW v AS SELECT 1", "datafusion: CREATE VIEW v AS SELECT 1"),
        ("CREATE TABLE t AS SELECT 1", "datafusion: CREATE TABLE t AS SELECT 1"),
        ("CREATE TABLE t (a INT)", "datafusion: CREATE TABLE t (a INT)"),
        (
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'x'",
            "datafusion: CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'x'",
        ),
        ("EXPLAIN ANALYZE SELECT 1", "datafusion: EXPLAIN ANALYZE SELECT 1"),
        ("DELETE FROM t WHERE a = 1", "datafusion: DELETE FROM t WHERE a = 1"),
    ]);
}

#[test]
fn errors_in_definitions_name_place_and_way_out() {
    check(&[
        ("CRATE STREAM s", "invalid: unknown statement: `CRATE`; did you mean `CREATE`? (line 1, column 1)"),
        (
            "CREATE STREM s",
            "invalid: expected STREAM, SINK, MATERIALIZED VIEW, STREAMING TABLE, TABLE or VIEW, found `STREM`; did you mean `STREAM`? (line 1, column 8)",
        ),
        ("'x'", "invalid: expected a statement, found `'x'` (line 1, column 1)"),
        ("FLUSH RELAY LOGS FOR CHANNEL 1", "invalid: unknown statement: `FLUSH` (line 1, column 1)"),
        (
            "CREATE",
            "invalid: expected STREAM, SINK, MATERIALIZED VIEW, STREAMING TABLE, TABLE or VIEW, found the end of the statement (line 1, column 7)",
        ),
        ("CREATE STREAM", "invalid: expected a name, found the end of the statement (line 1, column 14)"),
        ("CREATE STREAM s (a)", "invalid: expected a data type, found `)` (line 1, column 19)"),
        (
            "CREATE STREAM s (a INT",
            "invalid: expected `,` or `)` after the column, found the end of the statement (line 1, column 23)",
        ),
        (
            "CREATE STREAM s (a INT NOTT NULL)",
            "invalid: expected `,` or `)` after the column, found `NOTT`; did you mean `NOT`? (line 1, column 24)",
        ),
        ("CREATE STREAM s (a INT, A TEXT)", "invalid: column given twice: A (line 1, column 25)"),
        (
            "CREATE STREAM s (\n  a INT,\n  WATERMARK FOR b)",
            "invalid: unknown watermark column: `b`; did you mean `a`? (line 3, column 3)",
        ),
        (
            "CREATE STREAM s (ts TIMESTAMP, WATERMARK FOR ts, WATERMARK FOR ts)",
            "invalid: a stream has one watermark; remove one (line 1, column 50)",
        ),
        (
            "CREATE STREAM s (a INT PRIMARY KEY, PRIMARY KEY (a))",
            "invalid: a stream has one primary key; write PRIMARY KEY (a, b) (line 1, column 37)",
        ),
        (
            "CREATE STREAM s (abc INT, PRIMARY KEY (abd))",
            "invalid: unknown primary key column: `abd`; did you mean `abc`? (line 1, column 27)",
        ),
        (
            "CREATE STREAM s (a INT UNIQUE)",
            "unsupported: UNIQUE on a stream; write PRIMARY KEY NOT ENFORCED (line 1, column 24)",
        ),
        (
            "CREATE STREAM s (a INT DEFAULT 1)",
            "unsupported: DEFAULT on a stream; write a computed column with coalesce (line 1, column 24)",
        ),
        (
            "CREATE STREAM s (a INT, UNIQUE (a))",
            "unsupported: UNIQUE on a stream; write PRIMARY KEY (..) NOT ENFORCED (line 1, column 25)",
        ),
        (
            "CREATE STREAM s (part METADATA FROM 'p')",
            "invalid: metadata column needs a type: column=`part`; write part <type> METADATA FROM '..' (line 1, column 23)",
        ),
        (
            "CREATE STREAM s (p INT METADATA FROM p)",
            "invalid: expected the connector's name for it, as a string, found `p` (line 1, column 38)",
        ),
        (
            "CREATE STREAM s AS SELECT 1",
            "unsupported: a stream from a query; write CREATE VIEW, or CREATE MATERIALIZED VIEW to keep its result, or INSERT INTO a sink (line 1, column 17)",
        ),
        (
            "CREATE TABLE x WITH (connector = 'file') AS SELECT 1",
            "unsupported: a stream from a query; write CREATE VIEW, or CREATE MATERIALIZED VIEW to keep its result, or INSERT INTO a sink (line 1, column 42)",
        ),
        (
            "CREATE SOURCE s (a INT) WITH (connector = 'kafka') FORMAT PLAIN ENCODE JSON",
            "unsupported: FORMAT .. ENCODE ..; write the option format, as WITH (format = 'json') (line 1, column 52)",
        ),
        (
            "CREATE STREAM s (a INT) WIT (a = 1)",
            "invalid: expected WITH (...) or the end of the statement, found `WIT`; did you mean `WITH`? (line 1, column 25)",
        ),
        (
            "CREATE STREAM s (a INT) WITH (a = 1) SELECT",
            "invalid: expected WITH (...) or the end of the statement, found `SELECT` (line 1, column 38)",
        ),
        (
            "CREATE TABLE t (a INT) WITH ('conector' = 'file')",
            "invalid: a table with options needs the option `connector`, found 'conector'; did you mean `connector`? (line 1, column 30)",
        ),
        (
            "CREATE TABLE t (ts TIMESTAMP, WATERMARK FOR ts)",
            "invalid: a watermark belongs to a stream; write CREATE STREAM, or add WITH (connector = '..') (line 1, column 31)",
        ),
        (
            "CREATE SINK k (a INT) WITH (connector = 'file')",
            "invalid: a sink has no column list; its columns come from the query (line 1, column 15)",
        ),
        (
            "CREATE SINK k AS SELECT 1",
            "unsupported: a sink with a query; write CREATE SINK .. WITH (..) and then INSERT INTO it SELECT .. (line 1, column 15)",
        ),
        ("CREATE SINK k", "invalid: expected WITH, found the end of the statement (line 1, column 14)"),
        (
            "CREATE MATERIALIZED VIEW v (a) AS SELECT 1",
            "unsupported: a materialized view has no column list; name the columns in its SELECT (line 1, column 28)",
        ),
        (
            "CREATE MATERIALIZED VIEW v AS",
            "invalid: expected a query, found the end of the statement (line 1, column 30)",
        ),
        (
            "CREATE MATERIALIZED TABLE v AS SELECT 1",
            "unsupported: CREATE MATERIALIZED TABLE; write CREATE MATERIALIZED VIEW .. AS SELECT .. (line 1, column 8)",
        ),
        (
            "CREATE FLOW f AS INSERT INTO t SELECT 1",
            "unsupported: CREATE FLOW; write INSERT INTO <sink> SELECT .. WITH (name = '..') (line 1, column 8)",
        ),
        (
            "CREATE OR REFRESH STREAMING TABLE t AS SELECT 1",
            "unsupported: OR REFRESH; write CREATE OR REPLACE (line 1, column 8)",
        ),
        (
            "EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1",
            "unsupported: EXECUTE STATEMENT SET is not supported; write each INSERT as a statement of its own (line 1, column 1)",
        ),
        (
            "BEGIN STATEMENT SET",
            "unsupported: BEGIN STATEMENT SET is not supported; write each INSERT as a statement of its own (line 1, column 1)",
        ),
        (
            "TERMINATE q",
            "unsupported: TERMINATE is not supported; write STOP QUERY <name> (line 1, column 1)",
        ),
        ("SHOW JOBS", "unsupported: SHOW JOBS is not supported; write SHOW QUERIES (line 1, column 1)"),
        ("SHOW STREAM", "invalid: unknown list: `STREAM`; did you mean `STREAMS`? (line 1, column 1)"),
        (
            "SHOW STREAMS FROM x",
            "invalid: expected the end of the statement, found `FROM` (line 1, column 14)",
        ),
        (
            "STOP QUERY",
            "invalid: expected the query's name, found the end of the statement (line 1, column 11)",
        ),
        ("STOP q", "invalid: expected QUERY, found `q` (line 1, column 6)"),
        (
            "DROP STREAM",
            "invalid: expected STREAM, SINK, TABLE, VIEW or MATERIALIZED VIEW, found `STREAM` (line 1, column 6)",
        ),
        ("DROP QUERY q", "invalid: a query is not dropped; write STOP QUERY <name> (line 1, column 1)"),
        (
            "SET acequia.x",
            "invalid: expected `=` or TO after the setting, found the end of the statement (line 1, column 14)",
        ),
        ("COMMIT now", "invalid: expected the end of the statement, found `now` (line 1, column 8)"),
    ]);
}
