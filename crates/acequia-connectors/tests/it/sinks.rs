//! Every sink against the suite of its contract, files as a reader that knows nothing of this project sees them.

use acequia_connectors::sinks::file::committed_files;
use acequia_connectors::sinks::{ConsoleOut, MemoryTable, SinkEnvironment, SinkSpec, create_sink};
use acequia_core::conformance::sink::{Fixture, run, schema};
use acequia_core::{
    BatchId, Epoch, ErrorKind, Options, OutputMode, QueryId, Result, Sink, SinkContext, SinkReceipt,
    SystemClock,
};
use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Default)]
struct Captured(Mutex<String>);

impl ConsoleOut for Captured {
    fn write(&self, text: &str) {
        self.0.lock().push_str(text);
    }

    fn width(&self) -> Option<usize> {
        None
    }
}

fn environment(console: &Arc<Captured>, memory: &Arc<MemoryTable>) -> SinkEnvironment {
    SinkEnvironment {
        console: Arc::clone(console) as _,
        memory: Arc::clone(memory),
        on_batch: None,
        disk: acequia_core::disk::Disk::default(),
        clock: Arc::new(SystemClock::default()),
    }
}

fn sink(connector: &str, options: &[(&str, &str)]) -> Result<Box<dyn Sink>> {
    let mut all = Options::default();
    options.iter().try_for_each(|(key, value)| all.insert(key, *value))?;
    let spec = SinkSpec { connector: connector.into(), name: "out".into(), options: all };
    create_sink(&spec, &environment(&Arc::default(), &MemoryTable::new()))
}

/// A file sink with the schema of the suite, read by pattern: all files below the directory whose name ends in a
/// suffix. `skips_private` leaves out names that begin with `_` or `.`, as most readers do; a dumb one does not.
struct Files {
    dir: tempfile::TempDir,
    connector: &'static str,
    options: Vec<(&'static str, &'static str)>,
    suffix: &'static str,
    skips_private: bool,
}

impl Files {
    fn new(connector: &'static str, suffix: &'static str, options: &[(&'static str, &'static str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, connector, options: options.to_vec(), suffix, skips_private: true }
    }
}

impl Fixture for Files {
    fn create(&self) -> Result<Box<dyn Sink>> {
        let path = self.dir.path().join("out").display().to_string();
        let mut options = self.options.clone();
        options.push(("path", &path));
        sink(self.connector, &options)
    }

    async fn visible(&self) -> Vec<i64> {
        let mut ids = vec![];
        for path in find(self.dir.path(), self.suffix, self.skips_private) {
            ids.extend(read_ids(&path));
        }
        ids.sort_unstable();
        ids
    }
}

fn find(dir: &Path, suffix: &str, skips_private: bool) -> Vec<PathBuf> {
    let mut found = vec![];
    let Ok(entries) = fs::read_dir(dir) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if skips_private && name.starts_with(['_', '.']) {
            continue;
        }
        if path.is_dir() {
            found.extend(find(&path, suffix, skips_private));
        } else if name.ends_with(suffix) {
            found.push(path);
        }
    }
    found
}

fn text(path: &Path) -> String {
    let file = File::open(path).unwrap();
    let mut out = String::new();
    match path.extension().unwrap().to_str().unwrap() {
        "gz" => flate2::read::GzDecoder::new(file).read_to_string(&mut out).unwrap(),
        "zst" => zstd::stream::read::Decoder::new(file).unwrap().read_to_string(&mut out).unwrap(),
        _ => BufReader::new(file).read_to_string(&mut out).unwrap(),
    };
    out
}

/// Column `id` of any file, by an independent path from the writer's.
fn read_ids(path: &Path) -> Vec<i64> {
    let name = path.display().to_string();
    if name.ends_with(".parquet") {
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
        return reader.flat_map(|batch| ids(&batch.unwrap())).collect();
    }
    if name.ends_with(".arrow") {
        let reader = arrow::ipc::reader::FileReader::try_new(File::open(path).unwrap(), None).unwrap();
        return reader.flat_map(|batch| ids(&batch.unwrap())).collect();
    }
    let text = text(path);
    if name.contains(".json") {
        let rows = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        return rows.map(|row| row["id"].as_i64().unwrap()).collect();
    }
    let fields =
        Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("name", DataType::Utf8, true)]);
    let only_id = text.lines().next() == Some("id");
    let fields = if only_id { fields.project(&[0]).unwrap() } else { fields };
    let header = text.starts_with("id");
    let reader =
        arrow::csv::ReaderBuilder::new(Arc::new(fields)).with_header(header).build(text.as_bytes()).unwrap();
    reader.flat_map(|batch| ids(&batch.unwrap())).collect()
}

fn ids(batch: &RecordBatch) -> Vec<i64> {
    batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec()
}

macro_rules! files_conform {
    ($($test:ident: $connector:literal $suffix:literal [$($key:literal = $value:literal),*];)*) => {
        $(#[tokio::test]
        async fn $test() {
            run(Files::new($connector, $suffix, &[$(($key, $value)),*])).await;
        })*
    };
}

files_conform! {
    parquet_conforms: "parquet" ".parquet" [];
    parquet_uncompressed_conforms: "parquet" ".parquet" ["compression" = "none"];
    parquet_snappy_conforms: "parquet" ".parquet" ["compression" = "snappy"];
    parquet_partitioned_conforms: "parquet" ".parquet" ["partition_by" = "name"];
    parquet_compacted_conforms: "parquet" ".parquet" ["compact" = "true"];
    parquet_compacted_to_small_files_conforms: "parquet" ".parquet" ["compact" = "true", "target_file_size" = "2kB"];
    parquet_partitioned_compacted_conforms: "parquet" ".parquet" ["compact" = "true", "partition_by" = "name"];
    json_conforms: "file" ".json" ["format" = "json"];
    json_partitioned_gzip_conforms: "file" ".json.gz" ["format" = "json", "partition_by" = "name", "compression" = "gzip"];
    json_compacted_zstd_conforms: "file" ".json.zst" ["format" = "json", "compact" = "true", "compression" = "zstd"];
    json_compacted_gzip_conforms: "file" ".json.gz" ["format" = "json", "compact" = "true", "compression" = "gzip"];
    csv_conforms: "file" ".csv" ["format" = "csv"];
    csv_partitioned_conforms: "file" ".csv" ["format" = "csv", "partition_by" = "name"];
    csv_compacted_conforms: "file" ".csv" ["format" = "csv", "compact" = "true"];
    csv_without_header_conforms: "file" ".csv" ["format" = "csv", "header" = "false", "compact" = "true"];
    arrow_conforms: "file" ".arrow" ["format" = "arrow", "compact" = "true"];
    tiny_target_conforms: "parquet" ".parquet" ["target_file_size" = "1"];
}

#[tokio::test]
async fn parquet_conforms_for_a_dumb_pattern() {
    run(Files { skips_private: false, ..Files::new("parquet", ".parquet", &[]) }).await;
    run(Files { skips_private: false, ..Files::new("parquet", ".parquet", &[("compact", "true")]) }).await;
    run(Files { skips_private: false, ..Files::new("file", ".json", &[("format", "json")]) }).await;
}

struct Memory(Arc<MemoryTable>);

impl Fixture for Memory {
    fn create(&self) -> Result<Box<dyn Sink>> {
        let spec = SinkSpec { connector: "memory".into(), name: "m".into(), options: Options::default() };
        create_sink(&spec, &environment(&Arc::default(), &self.0))
    }

    async fn visible(&self) -> Vec<i64> {
        let mut all: Vec<_> = self.0.snapshot().unwrap().iter().flat_map(ids).collect();
        all.sort_unstable();
        all
    }
}

#[tokio::test]
async fn memory_conforms() {
    run(Memory(MemoryTable::new())).await;
}

struct Console(Arc<Captured>);

impl Fixture for Console {
    fn create(&self) -> Result<Box<dyn Sink>> {
        let spec = SinkSpec { connector: "console".into(), name: "c".into(), options: Options::default() };
        create_sink(&spec, &environment(&self.0, &MemoryTable::new()))
    }

    async fn visible(&self) -> Vec<i64> {
        let text = self.0.0.lock().clone();
        let first =
            text.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next()?.trim().parse().ok());
        first.collect()
    }
}

#[tokio::test]
async fn console_conforms() {
    run(Console(Arc::default())).await;
}

#[tokio::test]
async fn console_prints_batches_as_spark_does() {
    let console = Arc::new(Captured::default());
    let mut options = Options::default();
    options.insert("num_rows", "2").unwrap();
    let spec = SinkSpec { connector: "console".into(), name: "c".into(), options };
    let mut sink = create_sink(&spec, &environment(&console, &MemoryTable::new())).unwrap();
    sink.open(context("q", 1, schema(), OutputMode::Complete)).await.unwrap();
    put(sink.as_ref(), 0, &rows(&[1, 20, 300])).await;
    put(sink.as_ref(), 1, &rows(&[])).await;
    assert_eq!(
        *console.0.lock(),
        "\
-------------------------------------------
Batch: 0
-------------------------------------------
+----+-------+
| id | name  |
+----+-------+
|  1 | row 1 |
| 20 | NULL  |
+----+-------+
only showing top 2 rows

-------------------------------------------
Batch: 1
-------------------------------------------
+----+------+
| id | name |
+----+------+
+----+------+

"
    );
}

fn context(query: &str, epoch: u64, schema: SchemaRef, mode: OutputMode) -> SinkContext {
    SinkContext { query: QueryId(query.into()), epoch: Epoch(epoch), schema, mode, key: None }
}

/// Rows of the suite's schema; every id that ten divides has no name.
fn rows(ids: &[i64]) -> RecordBatch {
    let names = ids.iter().map(|id| (id % 10 != 0).then(|| format!("row {id}")));
    let columns: Vec<Arc<dyn Array>> =
        vec![Arc::new(Int64Array::from(ids.to_vec())), Arc::new(StringArray::from_iter(names))];
    RecordBatch::try_new(schema(), columns).unwrap()
}

async fn stage(sink: &dyn Sink, batch: u64, rows: &RecordBatch) -> SinkReceipt {
    let mut writer = sink.writer(BatchId(batch)).await.unwrap();
    writer.write(rows.clone().into()).await.unwrap();
    writer.finish().await.unwrap()
}

async fn put(sink: &dyn Sink, batch: u64, rows: &RecordBatch) {
    let receipt = stage(sink, batch, rows).await;
    sink.publish(BatchId(batch), &[receipt]).await.unwrap();
}

#[tokio::test]
async fn blackhole_counts() {
    use acequia_connectors::sinks::blackhole::BlackholeSink;
    let mut sink = BlackholeSink::default();
    sink.open(context("q", 1, schema(), OutputMode::Update)).await.unwrap();
    let receipt = stage(&sink, 0, &rows(&[1, 2])).await;
    sink.publish(BatchId(0), std::slice::from_ref(&receipt)).await.unwrap();
    sink.publish(BatchId(0), &[receipt]).await.unwrap();
    assert_eq!(sink.rows(), 2);
    assert_eq!(sink.last_published().await.unwrap(), Some(BatchId(0)));
}

#[tokio::test]
async fn files_roll_over_at_the_target_within_a_batch() {
    let fixture = Files::new("parquet", ".parquet", &[("target_file_size", "16kB"), ("compression", "none")]);
    let mut sink = fixture.create().unwrap();
    sink.open(context("q", 1, schema(), OutputMode::Append)).await.unwrap();
    let all: Vec<i64> = (0..60_000).collect();
    put(sink.as_ref(), 0, &rows(&all)).await;
    assert_eq!(fixture.visible().await, all);
    let files = committed_files(&fixture.dir.path().join("out"), &QueryId("q".into())).unwrap();
    assert!(files.len() >= 7, "8192 rows of some 20 bytes fill a file: {files:?}");
    assert_eq!(files.iter().map(|f| f.rows).sum::<u64>(), 60_000);
    for file in &files {
        let size = fs::metadata(fixture.dir.path().join("out").join(&file.path)).unwrap().len();
        assert_eq!(size, file.bytes);
    }
}

#[tokio::test]
async fn two_queries_share_a_directory() {
    let fixture = Files::new("parquet", ".parquet", &[("compact", "true")]);
    let (mut one, mut two) = (fixture.create().unwrap(), fixture.create().unwrap());
    one.open(context("one", 1, schema(), OutputMode::Append)).await.unwrap();
    two.open(context("two", 1, schema(), OutputMode::Append)).await.unwrap();
    for batch in 0..5 {
        put(one.as_ref(), batch, &rows(&[batch as i64])).await;
        put(two.as_ref(), batch, &rows(&[100 + batch as i64])).await;
    }
    assert_eq!(fixture.visible().await, [0, 1, 2, 3, 4, 100, 101, 102, 103, 104]);
    assert_eq!(find(fixture.dir.path(), ".parquet", true).len(), 2, "each grows its own file");
}

#[tokio::test]
async fn compacted_small_batches_make_few_files_and_a_bounded_log() {
    let fixture =
        Files::new("file", ".csv", &[("format", "csv"), ("compact", "true"), ("target_file_size", "1kB")]);
    let mut sink = fixture.create().unwrap();
    sink.open(context("q", 1, schema(), OutputMode::Append)).await.unwrap();
    for batch in 0..300 {
        put(sink.as_ref(), batch, &rows(&[batch as i64])).await;
    }
    assert_eq!(fixture.visible().await, (0..300).collect::<Vec<_>>());
    let files = find(fixture.dir.path(), ".csv", true).len();
    assert!((4..=12).contains(&files), "some 3 kB of rows in files of half a kB to a kB: {files}");
    let private = find(fixture.dir.path(), "", false).len() - files;
    assert!(private <= 45, "log and staging stay small: {private}");
}

#[tokio::test]
async fn a_restarted_query_goes_on_growing_its_file_unless_its_columns_changed() {
    let fixture = Files::new("parquet", ".parquet", &[("compact", "true")]);
    for run in 0..3 {
        let mut sink = fixture.create().unwrap();
        sink.open(context("q", run + 1, schema(), OutputMode::Append)).await.unwrap();
        put(sink.as_ref(), run, &rows(&[run as i64])).await;
    }
    assert_eq!(fixture.visible().await, [0, 1, 2]);
    assert_eq!(find(fixture.dir.path(), ".parquet", true).len(), 1);
    let other = rows(&[7]).project(&[0]).unwrap();
    let mut sink = fixture.create().unwrap();
    sink.open(context("q", 9, other.schema(), OutputMode::Append)).await.unwrap();
    put(sink.as_ref(), 3, &other).await;
    assert_eq!(fixture.visible().await, [0, 1, 2, 7]);
    assert_eq!(find(fixture.dir.path(), ".parquet", true).len(), 2);
}

#[tokio::test]
async fn a_process_that_wakes_up_late_changes_nothing() {
    let fixture = Files::new("parquet", ".parquet", &[("compact", "true")]);
    let mut old = fixture.create().unwrap();
    old.open(context("q", 1, schema(), OutputMode::Append)).await.unwrap();
    put(old.as_ref(), 0, &rows(&[0])).await;
    let committed = stage(old.as_ref(), 1, &rows(&[1])).await;
    let lost = stage(old.as_ref(), 2, &rows(&[666])).await;

    let mut new = fixture.create().unwrap();
    new.open(context("q", 2, schema(), OutputMode::Append)).await.unwrap();
    new.publish(BatchId(1), std::slice::from_ref(&committed)).await.unwrap();
    put(new.as_ref(), 2, &rows(&[2])).await;
    put(new.as_ref(), 3, &rows(&[3])).await;

    old.publish(BatchId(1), &[committed]).await.unwrap();
    old.publish(BatchId(2), &[lost]).await.unwrap();
    assert_eq!(fixture.visible().await, [0, 1, 2, 3]);
    assert_eq!(find(fixture.dir.path(), ".staged", false).len(), 0, "what lost is removed");
}

#[tokio::test]
async fn a_batch_that_is_written_before_the_last_is_published_loses_no_rows() {
    let fixture = Files::new("parquet", ".parquet", &[("compact", "true")]);
    let mut sink = fixture.create().unwrap();
    sink.open(context("q", 1, schema(), OutputMode::Append)).await.unwrap();
    put(sink.as_ref(), 0, &rows(&[0])).await;
    let one = stage(sink.as_ref(), 1, &rows(&[1])).await;
    let two = stage(sink.as_ref(), 2, &rows(&[2])).await;
    sink.publish(BatchId(1), &[one]).await.unwrap();
    sink.publish(BatchId(2), &[two]).await.unwrap();
    put(sink.as_ref(), 3, &rows(&[3])).await;
    assert_eq!(fixture.visible().await, [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_lost_staged_file_is_an_error_that_names_it() {
    let fixture = Files::new("parquet", ".parquet", &[("compact", "true")]);
    let mut sink = fixture.create().unwrap();
    sink.open(context("q", 1, schema(), OutputMode::Append)).await.unwrap();
    put(sink.as_ref(), 0, &rows(&[1])).await;
    let receipt = stage(sink.as_ref(), 1, &rows(&(0..100).collect::<Vec<_>>())).await;
    let staged = find(fixture.dir.path(), ".staged", false);
    fs::remove_file(&staged[0]).unwrap();
    let error = sink.publish(BatchId(1), &[receipt]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("batch=1") && error.message().contains(".staged"), "{error}");
    assert_eq!(fixture.visible().await, [1]);
}

#[tokio::test]
async fn refusals_name_the_column_or_mode_and_the_way_out() {
    let list = DataType::new_list(DataType::Int64, true);
    let fields = |fields: Vec<Field>| Arc::new(Schema::new(fields));
    let nested = fields(vec![Field::new("l", list, true)]);
    let twice = fields(vec![Field::new("a", DataType::Int64, true), Field::new("a", DataType::Utf8, true)]);
    let csv = ("file", vec![("format", "csv")]);
    let parquet = ("parquet", vec![]);
    let by_all = ("parquet", vec![("partition_by", "id,name")]);
    let by_unknown = ("parquet", vec![("partition_by", "nmae")]);
    let cases = [
        (&parquet, schema(), OutputMode::Update, "EMIT CHANGES"),
        (&parquet, schema(), OutputMode::Complete, "COMPLETE"),
        (&parquet, fields(vec![]), OutputMode::Append, "at least one column"),
        (&parquet, twice, OutputMode::Append, "`a`"),
        (&csv, nested, OutputMode::Append, "column `l`"),
        (&by_all, schema(), OutputMode::Append, "all columns"),
        (&by_unknown, schema(), OutputMode::Append, "did you mean `name`?"),
    ];
    for ((connector, options), schema, mode, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display().to_string();
        let mut options: Vec<(&str, &str)> = options.clone();
        options.push(("path", &path));
        let error = sink(connector, &options).unwrap().open(context("q", 1, schema, mode)).await.unwrap_err();
        assert!(error.message().contains(expected), "{error}");
        assert!(find(dir.path(), "", false).is_empty(), "a refused query leaves nothing behind");
    }
}

#[tokio::test]
async fn more_partitions_than_open_files_lose_nothing() {
    let fixture =
        Files::new("file", ".json", &[("format", "json"), ("partition_by", "name"), ("compact", "true")]);
    let mut sink = fixture.create().unwrap();
    sink.open(context("q", 1, schema(), OutputMode::Append)).await.unwrap();
    let all: Vec<i64> = (0..300).collect();
    for batch in 0..2 {
        let mut writer = sink.writer(BatchId(batch)).await.unwrap();
        for _ in 0..2 {
            writer.write(rows(&all).into()).await.unwrap();
        }
        let receipt = writer.finish().await.unwrap();
        sink.publish(BatchId(batch), &[receipt]).await.unwrap();
    }
    let expected: Vec<i64> = all.iter().flat_map(|id| [*id; 4]).collect();
    assert_eq!(fixture.visible().await, expected);
}

#[tokio::test]
async fn seconds_are_times_in_parquet() {
    let fixture = Files::new("parquet", ".parquet", &[("compact", "true")]);
    let times = arrow::array::TimestampSecondArray::from(vec![Some(1), None]);
    let rows = RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from(vec![1, 2])) as Arc<dyn Array>, true),
        ("t", Arc::new(times), true),
    ])
    .unwrap();
    let mut sink = fixture.create().unwrap();
    sink.open(context("q", 1, rows.schema(), OutputMode::Append)).await.unwrap();
    put(sink.as_ref(), 0, &rows).await;
    put(sink.as_ref(), 1, &rows).await;
    let files = find(fixture.dir.path(), ".parquet", true);
    assert_eq!((files.len(), fixture.visible().await), (1, vec![1, 1, 2, 2]));
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&files[0]).unwrap()).unwrap();
    let column = reader.parquet_schema().column(1);
    assert!(format!("{:?}", column.logical_type_ref()).contains("Timestamp"), "{column:?}");
}
