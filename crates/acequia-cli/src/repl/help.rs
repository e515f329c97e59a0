//! What `\?` and `\h` say. Every example is SQL that the tests below read.

use super::commands::COMMANDS;
use acequia::Result;
use acequia_connectors::words::{
    OptionWords, sink_connectors, sink_options, source_connectors, source_options,
};
use acequia_core::options::unknown;

/// A topic of `\h`.
struct Topic {
    name: &'static str,
    what: &'static str,
    text: &'static str,
    example: &'static str,
}

/// Where to start: rows by hand.
const START: &str = "\
CREATE STREAM bids (item VARCHAR, price BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);
SELECT window.start, max(price) AS top FROM bids GROUP BY window(ts, '10 seconds');
INSERT INTO bids VALUES ('owl', 10, '2024-01-01 00:00:01'), ('owl', 30, '2024-01-01 00:00:03');
INSERT INTO bids VALUES ('owl', 5, '2024-01-01 00:00:21');
SHOW QUERIES;
";

/// Columns of a line of options.
const WIDTH: usize = 90;

const TOPICS: &[Topic] = &[
    Topic {
        name: "CREATE STREAM",
        what: "a source of rows",
        text: "\
CREATE [OR REPLACE] STREAM [IF NOT EXISTS] name (
  column type [NOT NULL], column AS expression, column type METADATA FROM 'key',
  WATERMARK FOR column AS column - INTERVAL '5' SECOND
) [WITH (connector = '...', ...)]
Without WITH it is an in-memory stream, fed by INSERT INTO ... VALUES. \\h CONNECTORS lists connectors.",
        example: "\
CREATE STREAM clicks (page VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE)
WITH (connector = 'file', path = 'clicks/', format = 'json');",
    },
    Topic {
        name: "CREATE SINK",
        what: "where a query writes",
        text: "\
CREATE [OR REPLACE] SINK [IF NOT EXISTS] name WITH (connector = '...', ...)
Its columns come from the query. \\h CONNECTORS lists connectors.",
        example: "CREATE SINK pages WITH (connector = 'parquet', path = 'out/pages', partition_by = 'page');",
    },
    Topic {
        name: "CREATE MATERIALIZED VIEW",
        what: "a table that a query keeps up to date",
        text: "\
CREATE MATERIALIZED VIEW name AS SELECT ... [EMIT mode]
Its current rows are read by any SELECT. CREATE STREAMING TABLE name AS ... is the same for new rows.",
        example: "CREATE MATERIALIZED VIEW tops AS SELECT item, max(price) AS top FROM bids GROUP BY item;",
    },
    Topic {
        name: "INSERT",
        what: "rows by hand, or a query into a sink",
        text: "\
INSERT INTO stream [(columns)] VALUES (...), ...      one micro-batch into an in-memory stream
INSERT INTO sink SELECT ... [EMIT mode] [TRIGGER ...] [WITH (name = '...', checkpoint = '...')]
The second starts a query in the background; with a checkpoint it goes on there after a restart. `key = 'a, b'` in WITH
says which columns tell its rows apart, for EMIT UPDATE where that does not follow from the query.
BEGIN; INSERT ...; INSERT ...; COMMIT; is one micro-batch.",
        example: "\
INSERT INTO pages SELECT page, count(*) AS n FROM clicks GROUP BY page, window(ts, '1 hour')
EMIT APPEND TRIGGER EVERY '5 seconds' WITH (name = 'pages_q', checkpoint = 'chk/pages');",
    },
    Topic {
        name: "SELECT",
        what: "rows of tables, or a continuous query",
        text: "\
Over tables and materialized views it gives rows. Over a stream it is a continuous query that prints
every batch until it ends or Ctrl-C stops it; over in-memory streams it runs in the background, and its
batches appear as rows are inserted. STOP QUERY q ends it.",
        example: "SELECT item, count(*) AS n FROM bids WHERE price > 5 GROUP BY item EMIT UPDATE;",
    },
    Topic {
        name: "EMIT",
        what: "what a batch gives",
        text: "\
EMIT APPEND     rows that will never change: no aggregate, or one that a watermark makes final
EMIT UPDATE     the new version of every row that changed, and deletes
EMIT COMPLETE   the whole result
EMIT CHANGES    every change, with op in +I -U +U -D",
        example: "SELECT item, max(price) AS top FROM bids GROUP BY item ORDER BY top DESC LIMIT 3 EMIT COMPLETE;",
    },
    Topic {
        name: "TRIGGER",
        what: "when a batch runs",
        text: "\
TRIGGER EVERY '5 seconds'   a batch at each multiple of the interval
TRIGGER AVAILABLE NOW       all that is there, then the query ends
TRIGGER ONCE                the same as one batch
Without it a batch runs as soon as there are rows.",
        example: "SELECT item FROM bids TRIGGER AVAILABLE NOW;",
    },
    Topic {
        name: "WINDOW",
        what: "rows grouped by event time",
        text: "\
GROUP BY window(ts, '10 minutes' [, slide [, start]])   window.start, window.end
GROUP BY session_window(ts, '30 seconds')
FROM TUMBLE(stream, ts, INTERVAL '10' MINUTE)           HOP, CUMULATE and SESSION likewise: window_start, window_end",
        example: "SELECT window.start AS start, count(*) AS n FROM bids GROUP BY window(ts, '10 minutes', '5 minutes');",
    },
    Topic {
        name: "WATERMARK",
        what: "how late rows may come",
        text: "\
WATERMARK FOR ts AS ts - INTERVAL '5' SECOND    in CREATE STREAM
FROM STREAM t WATERMARK ts DELAY OF INTERVAL 5 SECONDS    in a query
It follows the latest event time at this distance. Windows that end before it are closed; rows for them are late.",
        example: "\
CREATE STREAM logs (line VARCHAR, at TIMESTAMP(3));
SELECT count(*) AS n FROM STREAM logs WATERMARK at DELAY OF INTERVAL 10 SECONDS GROUP BY window(at, '1 minute');",
    },
    Topic {
        name: "SET",
        what: "settings of the session",
        text: "\
SET acequia.watermark.policy = 'min' | 'max'    how the watermarks of several streams combine
SET acequia.shards = n | 'auto'                 into how many shards queries started after it split their state;
                                                auto: one, and one per core once batches are large
Others, as datafusion.execution.batch_size, are DataFusion's: SHOW ALL lists them.",
        example: "SET acequia.shards = 4;",
    },
    Topic {
        name: "QUERIES",
        what: "running queries, their progress and state",
        text: "\
SHOW QUERIES; STOP QUERY q; EXPLAIN STREAMING SELECT ...
progress('q') has one row per recent batch, state('q') what the operators keep.",
        example: "SELECT batch, input_rows, late_rows, watermark FROM progress('q1');",
    },
];

const CONNECTORS: &str = "CONNECTORS";

/// The names of all topics, in capitals.
pub(super) fn names() -> Vec<String> {
    TOPICS.iter().map(|topic| topic.name.to_string()).chain([CONNECTORS.to_string()]).collect()
}

/// Help on a topic; without one the commands and where to start.
///
/// # Errors
/// `Invalid` for a topic that there is not, naming the nearest.
pub(super) fn text(topic: &str) -> Result<String> {
    let wanted = topic.to_uppercase();
    let wanted = wanted.trim_end_matches(';').split_whitespace().collect::<Vec<_>>().join(" ");
    if wanted.is_empty() {
        return Ok(overview());
    }
    let connector = wanted.to_lowercase();
    if wanted == CONNECTORS || wanted == "CONNECTOR" {
        return Ok(connectors());
    }
    if source_connectors().contains(&connector.as_str()) || sink_connectors().contains(&connector.as_str()) {
        return Ok(options_of(&connector));
    }
    let names = names();
    let is_wanted = |name: &str| {
        name == wanted || name.strip_suffix('S') == Some(&wanted) || wanted == format!("{name}S")
    };
    let found = TOPICS.iter().find(|t| is_wanted(t.name));
    let found = found.or_else(|| TOPICS.iter().find(|t| t.name.split(' ').any(|word| word == wanted)));
    match found {
        Some(topic) => {
            Ok(format!("{}: {}\n\n{}\n\nExample:\n{}\n", topic.name, topic.what, topic.text, topic.example))
        }
        None => Err(unknown("topic", topic, names.iter().map(String::as_str).collect::<Vec<_>>())),
    }
}

fn overview() -> String {
    let mut out = String::from(
        "A statement ends with `;` and may have many lines. Tab completes, Ctrl-R searches the history,\nCtrl-C clears the line or stops the query.\n\n",
    );
    for command in COMMANDS {
        let usage = format!("{} {}", command.name, command.arguments);
        out.push_str(&format!("  {usage:<18} {}\n", command.what));
    }
    out.push_str("\nTopics of \\h:\n");
    for topic in TOPICS {
        out.push_str(&format!("  {:<25} {}\n", topic.name, topic.what));
    }
    out.push_str(&format!("  {CONNECTORS:<25} where rows come from and go to\n"));
    out.push_str(&format!("\nTo start, paste this:\n{START}"));
    out
}

fn connectors() -> String {
    let mut all = source_connectors();
    all.extend(sink_connectors().into_iter().filter(|name| !source_connectors().contains(name)));
    let mut out = String::new();
    all.iter().for_each(|name| out.push_str(&options_of(name)));
    out.push_str("\nExample:\n");
    out.push_str("CREATE STREAM ticks WITH (connector = 'rate', rows_per_second = '10');\n");
    out.push_str("CREATE SINK out WITH (connector = 'file', path = 'out/ticks', format = 'csv');\n");
    out
}

/// The options of a connector, as a source and as a sink.
fn options_of(connector: &str) -> String {
    let line = |what: &str, list: Vec<OptionWords>| {
        let option = |option: OptionWords| match option.values {
            [] => option.name.to_string(),
            values => format!("{} ({})", option.name, values.join(", ")),
        };
        format!("{what} `{connector}`\n{}", folded(list.into_iter().map(option)))
    };
    let mut out = String::new();
    if source_connectors().contains(&connector) {
        out.push_str(&line("stream", source_options(connector)));
    }
    if sink_connectors().contains(&connector) {
        out.push_str(&line("sink", sink_options(connector)));
    }
    out
}

/// Texts separated by commas, on indented lines that fit most terminals.
fn folded(texts: impl Iterator<Item = String>) -> String {
    let mut lines: Vec<String> = vec![];
    for text in texts {
        match lines.last_mut() {
            Some(line) if line.len() + text.len() < WIDTH => line.push_str(&format!(", {text}")),
            Some(line) => {
                line.push(',');
                lines.push(text);
            }
            None => lines.push(text),
        }
    }
    if lines.is_empty() {
        lines.push("no options".to_string());
    }
    lines.iter().map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use acequia::{Session, StatementOutput};

    /// Executes SQL in a session that has what the examples are about.
    async fn execute(session: &Session, text: &str) -> Result<()> {
        for output in session.sql(text).await? {
            if let StatementOutput::Query(query) = output {
                query.stop().await?;
            }
        }
        Ok(())
    }

    #[tokio::test]
    async fn examples_run() {
        let directory = tempfile::tempdir().unwrap();
        let place = |text: &str| {
            let inside = |name: &str| format!("'{}/{name}", directory.path().display());
            text.replace("'out/", &inside("out/"))
                .replace("'chk/", &inside("chk/"))
                .replace("'clicks/", &inside("clicks/"))
        };
        let session = Session::builder().console(std::sync::Arc::new(acequia::NoConsole)).build().unwrap();
        session.sql(START).await.unwrap();
        std::fs::create_dir_all(directory.path().join("clicks")).unwrap();
        let (_, of_connectors) = text("connectors")
            .unwrap()
            .split_once("Example:\n")
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .unwrap();
        for example in TOPICS.iter().map(|topic| topic.example).chain([of_connectors.as_str()]) {
            execute(&session, &place(example)).await.unwrap_or_else(|e| panic!("{example}: {e}"));
        }
        session.stop_all().await.unwrap();
    }

    #[test]
    fn topics_are_found_by_any_of_their_words() {
        for (asked, expected) in [
            ("create stream", "CREATE STREAM:"),
            ("stream;", "CREATE STREAM:"),
            ("sink", "CREATE SINK:"),
            ("emit", "EMIT:"),
            ("windows", "WINDOW:"),
            ("parquet", "sink `parquet`\n    path"),
            ("connectors", "stream `file`\n    path"),
            ("", "A statement ends"),
        ] {
            let found = text(asked).unwrap();
            assert!(found.starts_with(expected), "{asked}: {found}");
        }
        assert_eq!(text("emmit").unwrap_err().message(), "unknown topic: `emmit`; did you mean `EMIT`?");
    }
}
