//! Which options the built-in connectors take and which words are valid in them: for a prompt that completes them.
//!
//! Connectors check options by themselves; the tests below hold these lists to what they take.

use crate::{sinks, sources};
use acequia_core::options::normalize_key;

/// An option that a connector takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionWords {
    /// Its key.
    pub name: &'static str,
    /// Its values, where only some words are valid.
    pub values: &'static [&'static str],
}

type List = &'static [(&'static str, &'static [&'static str])];

const BOOLEAN: &[&str] = &["true", "false"];
const ON_ERROR: &[&str] = &["fail", "skip"];
const CODECS: &[&str] = &["none", "gzip", "zstd"];

const ANY_STREAM: List = &[("final_watermark", BOOLEAN), ("idle_timeout", &[]), ("max_future", &[])];

const FILE_SOURCE: List = &[
    ("path", &[]),
    ("format", &["json", "csv", "parquet", "arrow", "text"]),
    ("max_files_per_batch", &[]),
    ("max_rows_per_batch", &[]),
    ("max_file_age", &[]),
    ("on_error", ON_ERROR),
    ("compression", &["auto", "none", "gzip", "zstd"]),
    ("header", BOOLEAN),
    ("delimiter", &[]),
    ("quote", &[]),
    ("escape", &[]),
    ("null_value", &[]),
];

const SOCKET: List = &[
    ("host", &[]),
    ("port", &[]),
    ("format", &["text", "json", "csv"]),
    ("include_timestamp", BOOLEAN),
    ("max_rows_per_batch", &[]),
    ("on_error", ON_ERROR),
    ("delimiter", &[]),
    ("quote", &[]),
    ("escape", &[]),
    ("null_value", &[]),
];

const RATE: List = &[
    ("rows_per_second", &[]),
    ("ramp_up_time", &[]),
    ("rows_per_batch", &[]),
    ("advance_per_batch", &[]),
    ("start_time", &[]),
    ("num_rows", &[]),
    ("max_rows_per_batch", &[]),
];

const NEXMARK: List = &[
    ("table", &["bid", "auction", "person", "event"]),
    ("events", &[]),
    ("events_per_second", &[]),
    ("seed", &[]),
    ("base_time", &[]),
    ("out_of_order_group_size", &[]),
    ("paced", BOOLEAN),
    ("max_rows_per_batch", &[]),
];

const MEMORY_SOURCE: List = &[("max_rows_per_batch", &[])];

const PARQUET_SINK: List = &[
    ("path", &[]),
    ("format", &["parquet"]),
    ("partition_by", &[]),
    ("compression", &["zstd", "snappy", "none"]),
    ("target_file_size", &[]),
    ("compact", BOOLEAN),
];

const FILE_SINK: List = &[
    ("path", &[]),
    ("format", &["json", "csv", "parquet", "arrow"]),
    ("partition_by", &[]),
    ("compression", CODECS),
    ("target_file_size", &[]),
    ("compact", BOOLEAN),
    ("header", BOOLEAN),
    ("delimiter", &[]),
];

const CONSOLE: List = &[("num_rows", &[]), ("truncate", BOOLEAN)];

/// The words in `connector = '...'` of a stream.
pub fn source_connectors() -> Vec<&'static str> {
    sources::connectors().iter().map(|c| c.name()).chain([sources::memory::NAME]).collect()
}

/// The words in `connector = '...'` of a sink.
pub fn sink_connectors() -> Vec<&'static str> {
    sinks::CONNECTORS.to_vec()
}

/// The options of a stream with this connector, `connector` left out; those of any stream for an unknown one.
pub fn source_options(connector: &str) -> Vec<OptionWords> {
    let own = match normalize_key(connector).as_str() {
        "file" => FILE_SOURCE,
        "socket" => SOCKET,
        "rate" => RATE,
        "nexmark" => NEXMARK,
        "memory" => MEMORY_SOURCE,
        _ => &[],
    };
    words(own).chain(words(ANY_STREAM)).collect()
}

/// The options of a sink with this connector, `connector` left out.
pub fn sink_options(connector: &str) -> Vec<OptionWords> {
    words(match normalize_key(connector).as_str() {
        "parquet" => PARQUET_SINK,
        "file" => FILE_SINK,
        "console" => CONSOLE,
        _ => &[],
    })
    .collect()
}

fn words(list: List) -> impl Iterator<Item = OptionWords> {
    list.iter().map(|(name, values)| OptionWords { name, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use acequia_core::{Options, Result, SystemClock};
    use arrow::datatypes::{DataType, Field, Schema};
    use std::collections::BTreeSet;
    use std::sync::Arc;

    /// No connector has an option that is near to this.
    const UNKNOWN: &str = "zzzzzzzzzzzzzzzzzzzzzzzz";

    fn options(pairs: &[(&str, &str)]) -> Options {
        let mut options = Options::default();
        for (key, value) in pairs.iter().copied().chain([(UNKNOWN, "x")]) {
            options.insert(key, value).unwrap();
        }
        options
    }

    /// The options that the error about an unknown one lists.
    fn valid<T>(outcome: Result<T>) -> BTreeSet<String> {
        let message = outcome.err().unwrap().message().to_string();
        if message.ends_with("there is none") {
            return BTreeSet::new();
        }
        let (_, list) = message.split_once("valid: ").unwrap_or_else(|| panic!("{message}"));
        list.split(", ").map(str::to_string).collect()
    }

    async fn taken_by_source(connector: &str, pairs: &[(&str, &str)]) -> BTreeSet<String> {
        let columns = Arc::new(Schema::new(vec![Field::new("value", DataType::Utf8, true)]));
        let spec = sources::SourceSpec {
            name: "s".into(),
            options: options(pairs),
            declared: Some(Arc::clone(&columns)),
            metadata: vec![],
        };
        if connector == sources::memory::NAME {
            use sources::Connector;
            return valid(sources::MemoryStream::new(columns).describe(&spec).await);
        }
        valid(sources::connector(connector).unwrap().describe(&spec).await)
    }

    fn taken_by_sink(connector: &str, pairs: &[(&str, &str)]) -> BTreeSet<String> {
        let environment = sinks::SinkEnvironment {
            console: Arc::new(sinks::console::Captured::default()),
            memory: Arc::default(),
            on_batch: None,
            clock: Arc::new(SystemClock::default()),
            disk: acequia_core::disk::Disk::default(),
        };
        let spec = sinks::SinkSpec { connector: connector.into(), name: "s".into(), options: options(pairs) };
        valid(sinks::create_sink(&spec, &environment))
    }

    fn names(list: &[OptionWords]) -> BTreeSet<String> {
        let any: Vec<_> = ANY_STREAM.iter().map(|(name, _)| *name).collect();
        list.iter().map(|o| o.name.to_string()).filter(|name| !any.contains(&name.as_str())).collect()
    }

    #[tokio::test]
    async fn the_options_listed_are_those_that_sources_take() {
        let file = |format| [("path", "no-such-directory"), ("format", format)];
        let socket = |format| [("host", "localhost"), ("port", "1"), ("format", format)];
        for connector in source_connectors() {
            let mut taken = BTreeSet::new();
            let listed = source_options(connector);
            let formats = listed.iter().find(|o| o.name == "format").map_or(&[""][..], |o| o.values);
            for format in formats {
                taken.extend(match connector {
                    "file" => taken_by_source(connector, &file(format)).await,
                    "socket" => taken_by_source(connector, &socket(format)).await,
                    "rate" => {
                        let by_batch = taken_by_source(connector, &[("rows_per_batch", "1")]).await;
                        &by_batch | &taken_by_source(connector, &[]).await
                    }
                    "nexmark" => taken_by_source(connector, &[("table", "bid")]).await,
                    _ => taken_by_source(connector, &[]).await,
                });
            }
            // A socket's CSV has no header line, which is why the reader of CSV does not ask for the option there.
            assert_eq!(names(&listed), taken, "{connector}");
        }
    }

    #[test]
    fn the_options_listed_are_those_that_sinks_take() {
        for connector in sink_connectors() {
            let listed = sink_options(connector);
            let formats = listed.iter().find(|o| o.name == "format").map_or(&[""][..], |o| o.values);
            let mut taken = BTreeSet::new();
            for format in formats {
                let pairs = [("path", "x"), ("format", *format)];
                taken.extend(taken_by_sink(connector, if format.is_empty() { &[] } else { &pairs }));
            }
            assert_eq!(names(&listed), taken, "{connector}");
        }
    }
}
