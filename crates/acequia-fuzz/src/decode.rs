//! Files of every format: the first byte chooses format and options, the rest is the content. Parquet and Arrow files
//! are left out of a build for fuzzing: their readers panic over damage, which is caught and told as damage, and libFuzzer
//! takes no notice of the catching. The tests read them, whole and damaged.

use crate::block_on;
use acequia_connectors::sources::{SourceSpec, connector};
use acequia_core::{Advance, OffsetRange, Options, ReadMetrics, Result, SourceContext, SystemClock};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

/// How a file is read: its ending, and options.
const READINGS: &[(&str, &[(&str, &str)])] = &[
    ("json", &[("format", "json")]),
    ("json", &[("format", "json"), ("on_error", "skip")]),
    ("csv", &[("format", "csv")]),
    ("csv", &[("format", "csv"), ("header", "false"), ("on_error", "skip")]),
    ("csv", &[("format", "csv"), ("delimiter", ";"), ("quote", "'"), ("escape", "\\"), ("null_value", "-")]),
    ("txt", &[("format", "text")]),
    ("parquet", &[("format", "parquet")]),
    ("arrow", &[("format", "arrow")]),
    ("json.gz", &[("format", "json")]),
    ("csv.zst", &[("format", "csv")]),
];

/// Reads the content as a file of the chosen kind, with declared columns and with those that it seems to have.
pub fn run(data: &[u8]) {
    let Some((choice, content)) = data.split_first() else { return };
    let (ending, options) = READINGS[usize::from(*choice) % READINGS.len()];
    thread_local! {
        static DIRECTORY: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
    }
    DIRECTORY.with_borrow_mut(|directory| {
        if directory.is_none() {
            *directory = tempfile::tempdir().ok();
        }
        let Some(directory) = directory else { return };
        if cfg!(fuzzing) && ["parquet", "arrow"].contains(&ending) {
            return;
        }
        let path = directory.path().join(format!("input.{ending}"));
        if std::fs::write(&path, content).is_ok() {
            // An error is an answer.
            let _ = block_on(read(&path, options, Some(columns(options))));
            let _ = block_on(read(&path, options, None));
        }
        let _ = std::fs::remove_file(&path);
    });
}

/// Columns of every kind; of a text, the only one that it has.
fn columns(options: &[(&str, &str)]) -> Arc<Schema> {
    let field = |name: &str, kind| Field::new(name, kind, true);
    if options.contains(&("format", "text")) {
        return Arc::new(Schema::new(vec![field("value", DataType::Utf8)]));
    }
    let mut fields = vec![
        field("a", DataType::Int64),
        field("b", DataType::Utf8),
        field("c", DataType::Float64),
        field("t", DataType::Timestamp(TimeUnit::Millisecond, None)),
        field("d", DataType::Decimal128(10, 2)),
        field("e", DataType::Boolean),
    ];
    if options.contains(&("format", "json")) {
        let nested = Field::new("item", DataType::Struct(vec![field("x", DataType::Int32)].into()), true);
        fields.push(field("l", DataType::List(Arc::new(nested))));
    }
    Arc::new(Schema::new(fields))
}

async fn read(path: &Path, options: &[(&str, &str)], declared: Option<Arc<Schema>>) -> Result<()> {
    let mut given = Options::default();
    given.insert("path", path.display().to_string())?;
    for (key, value) in options {
        given.insert(key, *value)?;
    }
    let spec = SourceSpec { name: "s".into(), options: given, declared, metadata: vec![] };
    let connector = connector("file")?;
    let spec = spec.pinned(&connector.describe(&spec).await?);
    let context = SourceContext {
        store: Arc::new(InMemory::new()),
        durable: false,
        clock: Arc::new(SystemClock::default()),
    };
    let mut source = connector.open(&spec, context).await?;
    let (reader, mut start) = (source.reader(), None);
    while let Advance::To { end, .. } = source.next_offset(start.as_ref()).await? {
        let range = OffsetRange { start: start.take(), end: end.clone() };
        for split in source.plan_splits(&range).await? {
            let rows = reader.read(&split, None, &Arc::new(ReadMetrics::default()))?;
            rows.try_for_each(|_| async { Ok(()) }).await?;
        }
        start = Some(end);
    }
    Ok(())
}
