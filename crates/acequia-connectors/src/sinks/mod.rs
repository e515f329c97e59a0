//! The built-in sinks and their registry.
//!
//! | connector | modes | outlives the process |
//! |---|---|---|
//! | `parquet`, `file` | `APPEND`, `CHANGES` | yes, exactly once: see [`file`] |
//! | `console` | all | no |
//! | `memory` | all | no, the table lives in the process |
//! | `blackhole` | all | no |
//!
//! [`create_sink`] takes every option of a `CREATE SINK`, so that a wrong one is found before a query runs; schema and
//! mode are checked when the query opens the sink.

pub mod blackhole;
pub mod console;
pub mod file;
pub mod memory;
mod staging;
pub mod table;

pub use console::{ConsoleOut, NoConsole};
pub use memory::MemoryTable;
pub use table::{TableLayout, format_table};

use acequia_core::disk::Disk;
use acequia_core::{BatchId, Clock, Options, OutputMode, QueryId, Result, Sink, SinkBatch, options};
use std::fmt;
use std::sync::Arc;

/// Names of the built-in sinks, as in `connector = '...'`.
pub const CONNECTORS: [&str; 5] = ["parquet", "file", "console", "memory", "blackhole"];

/// A sink as its statement declares it.
#[derive(Debug, Clone)]
pub struct SinkSpec {
    /// The value of the option `connector`.
    pub connector: String,
    /// The sink's name in SQL.
    pub name: String,
    /// All other options.
    pub options: Options,
}

/// What a published batch is reported as.
#[derive(Debug, Clone, Copy)]
pub struct Published<'a> {
    /// The query that wrote it.
    pub query: &'a QueryId,
    /// Which batch.
    pub batch: BatchId,
    /// What the rows mean.
    pub mode: OutputMode,
    /// The rows, in the order in which they were written; none when the batch has none.
    pub parts: &'a [SinkBatch],
}

/// Told of every batch that a console or memory sink publishes, in order.
pub type BatchListener = Arc<dyn Fn(Published<'_>) + Send + Sync>;

/// What sinks need from the process around them.
#[derive(Clone)]
pub struct SinkEnvironment {
    /// Where `console` prints.
    pub console: Arc<dyn ConsoleOut>,
    /// The table that `memory` fills.
    pub memory: Arc<MemoryTable>,
    /// Told of what `console` and `memory` publish.
    pub on_batch: Option<BatchListener>,
    /// Where files go.
    pub disk: Disk,
    /// Time, for sinks that need it.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for SinkEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkEnvironment").finish_non_exhaustive()
    }
}

/// Makes a sink from its declaration; it is not opened yet and touches nothing.
///
/// # Errors
/// `Invalid` naming what is wrong with the connector or an option and the nearest valid one; `Unsupported` for a path
/// on a store that is not built in.
pub fn create_sink(spec: &SinkSpec, environment: &SinkEnvironment) -> Result<Box<dyn Sink>> {
    let mut options = spec.options.clone().owned_by(format!("sink `{}`", spec.name));
    let connector = options::normalize_key(&spec.connector);
    let sink: Box<dyn Sink> = match connector.as_str() {
        "parquet" => Box::new(file::FileSink::from_options(
            &mut options,
            Some(file::Format::Parquet),
            environment.disk.clone(),
        )?),
        "file" => Box::new(file::FileSink::from_options(&mut options, None, environment.disk.clone())?),
        "console" => Box::new(console::ConsoleSink::from_options(&mut options, environment)?),
        "memory" => Box::new(memory::MemorySink::new(environment)),
        "blackhole" => Box::new(blackhole::BlackholeSink::default()),
        _ => {
            let what = format!("connector of sink `{}`", spec.name);
            return Err(options::unknown(&what, &spec.connector, CONNECTORS));
        }
    };
    options.finish()?;
    Ok(sink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use acequia_core::{ErrorKind, SystemClock};

    type Pairs = &'static [(&'static str, &'static str)];

    fn create(connector: &str, pairs: &[(&str, &str)]) -> Result<Box<dyn Sink>> {
        let mut options = Options::default();
        for (key, value) in pairs {
            options.insert(key, *value).unwrap();
        }
        let environment = SinkEnvironment {
            console: Arc::new(console::Captured::default()),
            memory: Arc::new(MemoryTable::default()),
            on_batch: None,
            disk: Disk::default(),
            clock: Arc::new(SystemClock::default()),
        };
        create_sink(&SinkSpec { connector: connector.into(), name: "s".into(), options }, &environment)
    }

    #[test]
    fn wrong_declarations_name_the_nearest_right_one() {
        let cases: &[(&str, Pairs, &str)] = &[
            ("parket", &[], "unknown connector of sink `s`: `parket`; did you mean `parquet`?"),
            ("file", &[("path", "x"), ("format", "jsn")], "did you mean `json`?"),
            ("file", &[("path", "x")], "missing option: `format` of sink `s`"),
            ("parquet", &[("path", "x"), ("partitionby", "a")], "did you mean `partition_by`?"),
            ("parquet", &[("path", "x"), ("compression", "sanppy")], "did you mean `snappy`?"),
            ("parquet", &[("path", "x"), ("format", "csv")], "connector = 'file'"),
            ("parquet", &[("path", "x"), ("header", "true")], "unknown option of sink `s`: `header`"),
            ("parquet", &[("path", "s3://bucket/x")], "`s3`"),
            ("parquet", &[("path", "x"), ("target_file_size", "12 parsecs")], "`target_file_size`"),
            ("console", &[("num_row", "1")], "did you mean `num_rows`?"),
            ("console", &[("truncate", "maybe")], "`truncate`"),
            ("memory", &[("path", "x")], "unknown option of sink `s`: `path`"),
            ("blackhole", &[("path", "x")], "unknown option of sink `s`: `path`"),
        ];
        for (connector, options, expected) in cases {
            let error = create(connector, options).unwrap_err();
            assert!(error.message().contains(expected), "{connector} {options:?}: {error}");
        }
    }

    #[test]
    fn right_declarations_are_taken() {
        let cases: &[(&str, Pairs)] = &[
            ("PARQUET", &[("path", "x"), ("format", "parquet"), ("compression", "none")]),
            (
                "file",
                &[("path", "file:///tmp/x"), ("format", "csv"), ("header", "false"), ("delimiter", "\\t")],
            ),
            ("file", &[("path", "x"), ("format", "json"), ("compression", "gzip"), ("partition_by", "a, b")]),
            ("file", &[("path", "x"), ("format", "arrow"), ("target_file_size", "1GB"), ("compact", "true")]),
            ("console", &[("num_rows", "5"), ("truncate", "false")]),
            ("memory", &[]),
            ("blackhole", &[]),
        ];
        for (connector, options) in cases {
            create(connector, options).unwrap();
        }
    }

    #[test]
    fn other_stores_are_unsupported_not_invalid() {
        assert_eq!(create("parquet", &[("path", "s3://b/x")]).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
