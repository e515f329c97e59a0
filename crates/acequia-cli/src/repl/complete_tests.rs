//! Candidates by text; `|` is where the cursor is.

use super::*;

const SETUP: &str = "
CREATE STREAM bids (auction BIGINT, price BIGINT, \"Channel\" VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts);
CREATE STREAM people (id BIGINT, name VARCHAR);
CREATE TABLE items AS SELECT 1 AS item_id, 'owl' AS title;
CREATE SINK totals WITH (connector = 'blackhole');
CREATE MATERIALIZED VIEW tops AS SELECT auction, max(price) AS top FROM bids GROUP BY auction;
INSERT INTO totals SELECT auction FROM bids WITH (name = 'totals_q');
";

struct Prompt {
    completer: Completer,
    runtime: tokio::runtime::Runtime,
}

impl Prompt {
    fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let session = Session::new().unwrap();
        runtime.block_on(session.sql(SETUP)).unwrap();
        Self { completer: Completer::new(session, runtime.handle().clone()), runtime }
    }

    /// What the text before the cursor becomes with each candidate.
    fn complete(&self, marked: &str) -> Vec<String> {
        let (before, after) = marked.split_once('|').unwrap();
        let (_, found) = self.completer.complete(&format!("{before}{after}"), before.len());
        found.into_iter().map(|candidate| candidate.text).collect()
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        self.runtime.block_on(self.completer.session.stop_all()).unwrap();
    }
}

#[test]
fn what_may_come_comes() {
    let prompt = Prompt::new();
    let cases: &[(&str, &[&str])] = &[
        // Statements and clauses, in the case that is typed.
        ("SEL|", &["SELECT"]),
        ("sel|", &["select"]),
        ("SELECT 1; STO|", &["STOP QUERY"]),
        ("create s|", &["sink", "stream", "streaming table"]),
        ("CREATE OR REPLACE SI|", &["SINK"]),
        ("SHOW Q|", &["QUERIES"]),
        ("EXPLAIN |", &["ANALYZE", "SELECT", "STREAMING", "VERBOSE"]),
        (
            "SELECT * FROM bids EMIT |",
            &["APPEND", "CHANGES", "COMPLETE", "FINAL", "ON WINDOW CLOSE", "UPDATE"],
        ),
        ("select * from bids emit u|", &["update"]),
        ("SELECT * FROM bids TRIGGER |", &["AVAILABLE NOW", "EVERY", "ONCE"]),
        ("SELECT * FROM bids TRIGGER AVAILABLE |", &["NOW"]),
        ("SELECT * FROM bids WHER|", &["WHERE"]),
        ("CREATE STREAM s (ts TIMESTAMP, WATERM|", &["WATERMARK FOR"]),
        ("CREATE STREAM s (ts TIMESTAMP, WATERMARK |", &["FOR"]),
        ("CREATE STREAM s (a BIG|", &["BIGINT"]),
        // Names.
        ("SELECT * FROM b|", &["bids"]),
        (
            "SELECT * FROM |",
            &[
                "CUMULATE(",
                "HOP(",
                "SESSION(",
                "STREAM",
                "TUMBLE(",
                "bids",
                "drop_duplicates(",
                "drop_duplicates_within_watermark(",
                "items",
                "people",
                "progress('",
                "state('",
                "tops",
            ],
        ),
        ("SELECT * FROM bids JOIN it|", &["items"]),
        ("INSERT INTO |", &["bids", "items", "people", "tops", "totals"]),
        ("STOP QUERY |", &["tops", "totals_q"]),
        ("STOP QUERY IF EXISTS to|", &["tops", "totals_q"]),
        ("DROP SINK |", &["totals"]),
        ("DROP STREAM |", &["bids", "people"]),
        ("DESCRIBE p|", &["people"]),
        ("SELECT * FROM progress('|", &["tops'", "totals_q'"]),
        ("SELECT * FROM state('totals|", &["totals_q'"]),
        // Columns of what the statement names, wherever it does.
        ("SELECT pri| FROM bids", &["price"]),
        ("SELECT pri|", &[]),
        ("SELECT * FROM items WHERE tit|", &["title"]),
        ("SELECT bidz.|", &[]),
        ("SELECT bids.| FROM bids", &["\"Channel\"", "auction", "price", "ts"]),
        ("SELECT b.p| FROM bids AS b", &["price"]),
        ("SELECT b.p| FROM bids b JOIN items i ON TRUE", &["price"]),
        ("SELECT i.| FROM bids b JOIN items i ON TRUE", &["item_id", "title"]),
        ("SELECT window.| FROM bids GROUP BY window(ts, '1 minute')", &["end", "start"]),
        // Functions.
        ("SELECT approx_distin|", &["approx_distinct("]),
        ("SELECT session_w|", &["session_window("]),
        ("SELECT __|", &[]),
        // Options.
        (
            "CREATE STREAM s WITH (|",
            &["connector = '", "final_watermark = '", "idle_timeout = '", "max_future = '"],
        ),
        ("CREATE STREAM s WITH (connector = '|", &["file'", "memory'", "nexmark'", "rate'", "socket'"]),
        ("CREATE STREAM s WITH (connector = 'ra|", &["rate'"]),
        ("CREATE SINK s WITH (connector = '|", &["blackhole'", "console'", "file'", "memory'", "parquet'"]),
        ("CREATE STREAM s WITH (connector = 'socket', ho|", &["host = '"]),
        ("CREATE STREAM s WITH (connector = 'socket', host = 'h', ho|", &[]),
        ("CREATE STREAM s WITH (ho|, connector = 'socket')", &["host = '"]),
        ("CREATE STREAM s (a INT) WITH (connector = 'file', format = 'j|", &["json'"]),
        ("CREATE STREAM s (a INT) WITH ('connector' = 'file', 'form|", &["format'"]),
        ("CREATE STREAM s (a INT) USING file OPTIONS (on_error '|", &[]),
        ("CREATE SINK s WITH (connector = 'parquet', compression = 's|", &["snappy'"]),
        ("SELECT * FROM bids WITH (ch|", &["checkpoint = '"]),
        // Settings.
        ("SET |", &["acequia.shards = ", "acequia.watermark.policy = ", "datafusion."]),
        ("SET acequia.sh|", &["shards = "]),
        ("set datafusion.execution.batch_s|", &["batch_size = "]),
        ("SET acequia.watermark.policy = |", &["'max'", "'min'"]),
        ("SET acequia.watermark.policy = 'mi|", &["min'"]),
        ("SET acequia.shards = |", &["'auto'"]),
        // Nothing where nothing fits.
        ("-- SEL|", &[]),
        ("SELECT 'SEL|", &[]),
        ("SELECT \"SEL|", &[]),
        // Commands.
        ("\\ti|", &["\\timing"]),
        ("\\timing o|", &["on", "off"]),
        ("\\d pe|", &["people"]),
        ("\\h EM|", &["EMIT"]),
    ];
    let wrong = cases.iter().filter_map(|(marked, expected)| {
        let found = prompt.complete(marked);
        (found != *expected).then(|| format!("{marked}: {found:?}"))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn files_are_completed_within_their_path() {
    let prompt = Prompt::new();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("orders.sql"), "").unwrap();
    let at = directory.path().display();
    for text in [
        format!("\\i {at}/ord|"),
        format!("CREATE STREAM s WITH (connector = 'file', path = '{at}/ord|"),
        format!("SELECT * FROM '{at}/ord|"),
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{at}/ord|"),
    ] {
        let found = prompt.complete(&text);
        assert_eq!(found.len(), 1, "{text}");
        assert!(found[0].ends_with("orders.sql"), "{text}: {found:?}");
    }
}
