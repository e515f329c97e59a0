use super::*;
use acequia_core::conformance::source::{Fixture, run};
use acequia_core::{ErrorKind, ManualClock, Timestamp};
use arrow::array::{Array, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use futures::TryStreamExt;
use object_store::ObjectStore;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Writes files as they must appear: elsewhere first, then renamed, with a modification time in seconds.
struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>, modified: u64) -> PathBuf {
        let staged = self.path().join("_staged");
        fs::write(&staged, bytes).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(modified);
        File::options().write(true).open(&staged).unwrap().set_modified(time).unwrap();
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::rename(staged, &path).unwrap();
        path
    }

    fn spec(&self, more: &[(&str, &str)]) -> SourceSpec {
        let path = self.path().to_str().unwrap().to_string();
        let mut options = vec![("path", path.as_str())];
        options.extend(more);
        let mut spec = spec(&options);
        spec.declared = Some(columns());
        spec
    }
}

fn columns() -> SchemaRef {
    schema(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)])
}

fn batch(from: i64, rows: usize) -> RecordBatch {
    let numbers: Vec<i64> = (from..).take(rows).collect();
    let texts: StringArray = numbers.iter().map(|n| (n % 3 > 0).then(|| format!("ñ \"{n}\", x"))).collect();
    RecordBatch::try_new(columns(), vec![Arc::new(Int64Array::from(numbers)), Arc::new(texts)]).unwrap()
}

fn encode(format: &str, batch: &RecordBatch) -> Vec<u8> {
    let mut out = vec![];
    match format {
        "json" => {
            let mut writer = arrow::json::LineDelimitedWriter::new(&mut out);
            writer.write(batch).unwrap();
            writer.finish().unwrap();
        }
        "csv" => arrow::csv::Writer::new(&mut out).write(batch).unwrap(),
        "parquet" => {
            let properties = WriterProperties::builder()
                .set_max_row_group_row_count(Some(4.max(batch.num_rows() / 8)))
                .build();
            let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).unwrap();
            writer.write(batch).unwrap();
            writer.close().unwrap();
        }
        "arrow" => {
            let mut writer = arrow::ipc::writer::FileWriter::try_new(&mut out, &batch.schema()).unwrap();
            for start in (0..batch.num_rows()).step_by(4) {
                writer.write(&batch.slice(start, 4.min(batch.num_rows() - start))).unwrap();
            }
            writer.finish().unwrap();
        }
        "arrow stream" => {
            let mut writer = arrow::ipc::writer::StreamWriter::try_new(&mut out, &batch.schema()).unwrap();
            writer.write(batch).unwrap();
            writer.finish().unwrap();
        }
        _ => (0..batch.num_rows()).for_each(|i| writeln!(out, "línea {i}").unwrap()),
    }
    out
}

fn compress(compression: &str, bytes: &[u8]) -> Vec<u8> {
    match compression {
        ".gz" => {
            let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        ".zst" => zstd::encode_all(bytes, 1).unwrap(),
        _ => bytes.to_vec(),
    }
}

struct Files {
    directory: Directory,
    format: &'static str,
    compression: &'static str,
    options: Vec<(&'static str, &'static str)>,
    fed: u64,
}

impl Fixture for Files {
    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        let format = self.format.split(' ').next().unwrap();
        let mut options = vec![("format", format)];
        options.extend(&self.options);
        let mut spec = self.directory.spec(&options);
        if self.format == "text" {
            spec.declared = None;
        }
        let name = Field::new("name", DataType::Utf8View, true);
        spec.metadata.push(("file_name".into(), name));
        open("file", &spec, &context).await
    }

    async fn feed(&mut self) {
        for _ in 0..3 {
            self.fed += 1;
            let bytes = compress(self.compression, &encode(self.format, &batch(self.fed as i64 * 100, 11)));
            self.directory.put(&format!("{}{}", self.fed, self.compression), bytes, self.fed);
        }
    }
}

#[tokio::test]
async fn files_keep_the_contract_in_every_format_and_compression() {
    for format in ["json", "csv", "text", "parquet", "arrow", "arrow stream"] {
        for compression in ["", ".gz", ".zst"] {
            for options in [
                vec![],
                vec![("max_files_per_batch", "2")],
                vec![("max_rows_per_batch", "5")],
                vec![("max_rows_per_batch", "22"), ("max_files_per_batch", "5")],
            ] {
                let columnar = !matches!(format, "json" | "csv" | "text");
                if !compression.is_empty() && (columnar || options.len() != 1) {
                    continue;
                }
                let mut files = Files { directory: Directory::new(), format, compression, options, fed: 0 };
                files.feed().await;
                run(files).await;
            }
        }
    }
}

#[tokio::test]
async fn what_is_written_is_what_is_read_in_every_format() {
    for format in ["json", "csv", "parquet", "arrow", "arrow stream"] {
        for limit in ["1", "3", "4", "7", "1000000"] {
            let directory = Directory::new();
            directory.put("a", encode(format, &batch(0, 20_000.min(10 * limit.len() * 7))), 1);
            let rows = 20_000.min(10 * limit.len() * 7);
            let word = format.split(' ').next().unwrap();
            let spec = directory.spec(&[("format", word), ("max_rows_per_batch", limit)]);
            let mut source = open("file", &spec, &context()).await.unwrap();
            let (batches, _) = read_all(source.as_mut(), None).await;
            assert_eq!(concat_batches(&columns(), &batches).unwrap(), batch(0, rows), "{format} {limit}");
            assert_eq!(batches.len(), rows.div_ceil(limit.parse().unwrap()), "{format} {limit}");
        }
    }
}

#[tokio::test]
async fn large_files_are_read_ahead_by_a_thread() {
    for format in ["json", "csv", "parquet", "arrow"] {
        let directory = Directory::new();
        let properties = batch(0, 50_000);
        directory.put("a", encode(format, &properties), 1);
        let mut source = open("file", &directory.spec(&[("format", format)]), &context()).await.unwrap();
        let (batches, _) = read_all(source.as_mut(), None).await;
        assert_eq!(concat_batches(&columns(), &batches).unwrap(), properties, "{format}");
    }
}

fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
    batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[tokio::test]
async fn files_come_by_modification_time_then_name_and_hidden_ones_never() {
    let directory = Directory::new();
    for (name, modified, a) in
        [("z", 1, 1), ("b", 2, 3), ("a", 2, 2), ("sub/c", 3, 4), (".h", 0, 9), ("_m/x", 0, 9), ("_p", 0, 9)]
    {
        directory.put(name, format!("{{\"a\":{a}}}\n"), modified);
    }
    let spec = directory.spec(&[("format", "json"), ("max_files_per_batch", "1")]);
    let mut source = open("file", &spec, &context()).await.unwrap();
    let (batches, at) = read_all(source.as_mut(), None).await;
    assert_eq!(batches.chunks(1).map(numbers).collect::<Vec<_>>(), [[1], [2], [3], [4]]);

    directory.put("b", "{\"a\":8}\n", 9);
    directory.put("new", "{\"a\":5}\n", 1);
    let (batches, _) = read_all(source.as_mut(), at).await;
    assert_eq!(
        numbers(&batches),
        [5],
        "a path is never read again; a late file is, while it is young enough"
    );
}

/// Each write of numbers waits for the disk. The numbered files are those of whole batches, also for a run that goes on.
#[tokio::test]
async fn files_of_many_limited_batches_are_numbered_at_once() {
    for (limit, files, rows, segments) in
        [("1", 5, vec![1; 5], 1), ("400", 1000, vec![400, 400, 200], 2), ("2000", 1000, vec![1000], 1)]
    {
        let directory = Directory::new();
        for n in 0..files {
            directory.put(&format!("{n:04}"), format!("{{\"a\":{n}}}\n"), 1);
        }
        let spec = directory.spec(&[("format", "json"), ("max_files_per_batch", limit)]);
        let context = context();
        let (mut batches, mut at) = (vec![], None);
        for _ in &rows {
            let mut source = open("file", &spec, &context).await.unwrap();
            let end = next(source.as_mut(), at.as_ref()).await;
            batches.push(read(source.as_mut(), at.as_ref(), &end).await);
            at = Some(end);
        }
        assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), rows, "{limit}");
        assert_eq!(numbers(&batches), (0..files).collect::<Vec<i64>>(), "{limit}");
        let written: Vec<_> = context.store.list(None).try_collect().await.unwrap();
        assert_eq!(written.len(), segments, "{limit}: {written:?}");
    }
}

#[tokio::test]
async fn a_pattern_or_a_single_file_is_a_path_too() {
    let directory = Directory::new();
    for name in ["x/1.json", "x/2.txt", "y/3.json", "y/deep/4.json"] {
        let number: String = name.chars().filter(char::is_ascii_digit).collect();
        directory.put(name, format!("{{\"a\":{number}}}\n"), number.parse().unwrap());
    }
    for (path, wanted) in [
        ("*/*.json", vec![1, 3]),
        ("y", vec![3, 4]),
        ("?", vec![1, 2, 3, 4]),
        ("x/2.txt", vec![2]),
        ("**/*.json", vec![1, 3, 4]),
    ] {
        let path = format!("{}/{path}", directory.path().display());
        for path in [path.clone(), format!("file://{path}")] {
            if path.starts_with("file") && path.contains('?') {
                continue;
            }
            let mut spec = spec(&[("path", &path), ("format", "json")]);
            spec.declared = Some(columns());
            let mut source = open("file", &spec, &context()).await.unwrap();
            assert_eq!(numbers(&read_all(source.as_mut(), None).await.0), wanted, "{path}");
        }
    }
}

#[tokio::test]
async fn malformed_records_stop_the_query_naming_the_place_or_are_skipped_and_counted() {
    let many: String = (0..5000).map(|i| format!("{{\"a\":{i}}}\n")).collect();
    for (format, text, line, rows) in [
        ("json", "{\"a\":1}\n\n{\"a\":\"x\"}\n{\"a\":2}\n".to_string(), 3, 2),
        ("json", "{\"a\":1}\n{\"a\":\n2}\n{\"a\":3}\n".to_string(), 2, 2),
        ("json", "{\"a\":1}{\"a\":2}\n{\"a\":3}\n".to_string(), 1, 1),
        ("json", format!("{many}[1]\n{many}"), 5001, 10_000),
        ("csv", "a,b\n1,x\n2\n3,\"y\nz\"\nx,y\n".to_string(), 3, 2),
        ("csv", "a,b\n1,\"open\n2,x\n".to_string(), 2, 0),
        ("text", "good\n\u{0}\n".replace('\u{0}', "BAD"), 2, 1),
    ] {
        let directory = Directory::new();
        let mut bytes = text.into_bytes();
        if let Some(at) = bytes.windows(3).position(|w| w == b"BAD") {
            bytes[at] = 0xFF;
        }
        let path = directory.put("f", &bytes, 1);
        let bad = bytes.split(|b| *b == b'\n').count();
        let declare = |mut spec: SourceSpec| {
            if format == "text" {
                spec.declared = None;
            }
            spec
        };
        let spec = declare(directory.spec(&[("format", format)]));
        let mut source = open("file", &spec, &context()).await.unwrap();
        let end = next(source.as_mut(), None).await;
        let error = try_read(source.as_ref(), None, &end, None, &Arc::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        let place = format!("malformed record: file=`{}` line={line}: ", path.display());
        assert!(error.message().starts_with(&place), "{error} of {bad} lines");

        for projection in [None, Some(&[][..])] {
            let spec = declare(directory.spec(&[("format", format), ("on_error", "skip")]));
            let mut source = open("file", &spec, &context()).await.unwrap();
            let end = next(source.as_mut(), None).await;
            let metrics = Arc::default();
            let read = try_read(source.as_ref(), None, &end, projection, &metrics).await.unwrap();
            assert_eq!((read.num_rows(), metrics.rows()), (rows, rows as u64));
            assert!(metrics.skipped() > 0);
        }
    }
}

#[tokio::test]
async fn a_changed_or_vanished_file_of_a_batch_is_an_error() {
    for change in [|p: &Path| fs::remove_file(p).unwrap(), |p: &Path| fs::write(p, "{\"a\":7777}\n").unwrap()]
    {
        let directory = Directory::new();
        let path = directory.put("f", "{\"a\":1}\n", 1);
        let mut source = open("file", &directory.spec(&[("format", "json")]), &context()).await.unwrap();
        let end = next(source.as_mut(), None).await;
        let range = OffsetRange { start: None, end: end.clone() };
        let splits = source.plan_splits(&range).await.unwrap();
        change(&path);
        let planned = source.plan_splits(&range).await.unwrap_err();
        let stream = source.reader().read(&splits[0], None, &Arc::default()).unwrap();
        let read = stream.try_collect::<Vec<_>>().await.unwrap_err();
        for error in [planned, read] {
            assert_eq!(error.kind(), ErrorKind::Data);
            assert!(error.message().contains(path.to_str().unwrap()), "{error}");
        }
    }
}

#[tokio::test]
async fn a_restart_offers_the_same_rows_again_and_then_goes_on() {
    let directory = Directory::new();
    let spec = directory.spec(&[("format", "json"), ("max_rows_per_batch", "3")]);
    let context = context();
    let line = |n: i64| format!("{{\"a\":{n}}}\n");
    directory.put("1", (0..5).map(line).collect::<String>(), 1);
    let mut source = open("file", &spec, &context).await.unwrap();
    let first = next(source.as_mut(), None).await;
    drop(source);
    directory.put("0", (5..7).map(line).collect::<String>(), 0);

    let mut source = open("file", &spec, &context).await.unwrap();
    assert_eq!(next(source.as_mut(), None).await, first, "what was taken stays first, whatever appeared");
    assert_eq!(numbers(&[read(source.as_ref(), None, &first).await]), [0, 1, 2]);
    source.commit(&first).await.unwrap();
    drop(source);
    let mut source = open("file", &spec, &context).await.unwrap();
    let (rest, at) = read_all(source.as_mut(), Some(first)).await;
    assert_eq!(numbers(&rest), [3, 4, 5, 6]);
    source.commit(&at.clone().unwrap()).await.unwrap();
    drop(source);
    let mut source = open("file", &spec, &context).await.unwrap();
    assert_eq!(source.next_offset(at.as_ref()).await.unwrap(), Advance::Idle);
}

#[tokio::test]
async fn of_two_runs_the_second_to_take_files_is_fenced() {
    let directory = Directory::new();
    let (spec, context) = (directory.spec(&[("format", "json")]), context());
    directory.put("1", "{\"a\":1}\n", 1);
    let mut old = open("file", &spec, &context).await.unwrap();
    let mut new = open("file", &spec, &context).await.unwrap();
    next(new.as_mut(), None).await;
    assert_eq!(old.next_offset(None).await.unwrap_err().kind(), ErrorKind::Fenced);
}

async fn stored(context: &SourceContext) -> (usize, u64) {
    let objects: Vec<_> = context.store.list(None).try_collect().await.unwrap();
    (objects.len(), objects.iter().map(|o| o.size).sum())
}

#[tokio::test]
async fn the_file_log_is_bounded_by_the_age_of_files_not_their_number() {
    let directory = Directory::new();
    let clock = ManualClock::at(Timestamp(0));
    let context = SourceContext { clock: Arc::new(clock.clone()), ..context() };
    let spec = directory.spec(&[("format", "json"), ("max_file_age", "20 seconds")]);
    let mut source = open("file", &spec, &context).await.unwrap();
    let mut at: Option<Offset> = None;
    let mut largest = (0, 0);
    for second in 1..=600 {
        clock.advance(Duration::from_secs(1));
        let path = directory.put(&format!("{second:05}"), format!("{{\"a\":{second}}}\n"), second);
        let end = next(source.as_mut(), at.as_ref()).await;
        assert_eq!(numbers(&[read(source.as_ref(), at.as_ref(), &end).await]), [second as i64]);
        source.commit(&end).await.unwrap();
        fs::remove_file(path).unwrap();
        at = Some(end);
        if second == 200 {
            largest = stored(&context).await;
        }
        if second % 97 == 0 {
            source = open("file", &spec, &context).await.unwrap();
        }
    }
    let (objects, bytes) = stored(&context).await;
    assert!(objects <= largest.0 + 8 && bytes <= largest.1 + 2_000, "{largest:?} -> {objects} {bytes}");
    assert!(objects < 40, "{objects}");

    directory.put("too old", "{\"a\":-1}\n", 570);
    directory.put("old enough", "{\"a\":-2}\n", 590);
    let end = next(source.as_mut(), at.as_ref()).await;
    assert_eq!(numbers(&[read(source.as_ref(), at.as_ref(), &end).await]), [-2]);
}

#[tokio::test]
async fn a_damaged_log_is_named() {
    let directory = Directory::new();
    let (spec, context) = (directory.spec(&[("format", "json")]), context());
    directory.put("1", "{\"a\":1}\n", 1);
    let mut source = open("file", &spec, &context).await.unwrap();
    next(source.as_mut(), None).await;
    let name = object_store::path::Path::from("files/00000000000000000000.0");
    let store = Arc::clone(&context.store);
    let bytes = object_store::ObjectStoreExt::get(&store, &name).await.unwrap().bytes().await.unwrap();
    let mut bytes = bytes.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    object_store::ObjectStoreExt::put(&store, &name, bytes.into()).await.unwrap();
    let error = open("file", &spec, &context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains(name.as_ref()), "{error}");
}

#[tokio::test]
async fn columns_are_inferred_from_the_oldest_file() {
    for (format, first, wanted) in [
        (
            "json",
            "{\"n\":1,\"x\":1.5,\"s\":\"t\",\"l\":[true],\"u\":null,\"e\":[]}\n",
            "n Int64, x Float64, s Utf8, l List(Boolean), u Utf8, e List(Utf8)",
        ),
        (
            "csv",
            "n,x,t,d,s\n1,1.5,2020-01-01 00:00:00,2020-01-01,a\n",
            "n Int64, x Float64, t Timestamp(µs), d Date32, s Utf8",
        ),
        ("text", "x\n", "value Utf8"),
    ] {
        let directory = Directory::new();
        directory.put("later", "{}", 5);
        directory.put("first", first, 1);
        let mut spec = directory.spec(&[("format", format)]);
        spec.declared = None;
        let found = connector("file").unwrap().describe(&spec).await.unwrap();
        let columns: Vec<_> =
            found.schema.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
        assert_eq!(columns.join(", "), wanted, "{format}");
        assert_eq!(connector("file").unwrap().describe(&spec.pinned(&found)).await.unwrap(), found);
    }
    let directory = Directory::new();
    let mut spec = directory.spec(&[("format", "json")]);
    spec.declared = None;
    assert!(describe_error("file", &spec).await.message().contains("declare the columns"));
}

#[tokio::test]
async fn declared_columns_come_by_name_with_metadata_and_partitions() {
    let directory = Directory::new();
    directory.put("day=2020-02-03/k=a%20b/f.csv", "x,B,a\n9,two,1\n", 1_000);
    directory.put("day=2020-02-04/k=__HIVE_DEFAULT_PARTITION__/f.csv", "a\n2\n", 2_000);
    let mut spec = directory.spec(&[("format", "csv")]);
    spec.declared = Some(schema(vec![
        Field::new("B", DataType::Utf8View, true),
        Field::new("day", DataType::Date32, true),
        Field::new("a", DataType::Decimal128(5, 1), true),
        Field::new("k", DataType::Utf8, true),
    ]));
    spec.metadata.push((
        "file_modification_time".into(),
        Field::new("t", DataType::Timestamp(TimeUnit::Second, None), true),
    ));
    spec.metadata.push(("file_size".into(), Field::new("size", DataType::Int64, true)));
    let mut source = open("file", &spec, &context()).await.unwrap();
    let (batches, _) = read_all(source.as_mut(), None).await;
    let wanted = "\
+-----+------------+-----+-----+---------------------+------+
| B   | day        | a   | k   | t                   | size |
+-----+------------+-----+-----+---------------------+------+
| two | 2020-02-03 | 1.0 | a b | 1970-01-01T00:16:40 | 14   |
|     | 2020-02-04 | 2.0 |     | 1970-01-01T00:33:20 | 4    |
+-----+------------+-----+-----+---------------------+------+";
    assert_eq!(text(&batches), wanted);
}

#[tokio::test]
async fn parquet_columns_are_cast_and_missing_ones_are_null() {
    let directory = Directory::new();
    directory.put("p", encode("parquet", &batch(1, 3)), 1);
    let mut spec = directory.spec(&[("format", "parquet")]);
    spec.declared = Some(schema(vec![
        Field::new("more", DataType::Boolean, true),
        Field::new("b", DataType::Utf8View, true),
        Field::new("a", DataType::Int32, true),
    ]));
    let mut source = open("file", &spec, &context()).await.unwrap();
    let (batches, _) = read_all(source.as_mut(), None).await;
    assert_eq!(batches[0].schema(), spec.declared.clone().unwrap());
    assert_eq!((batches[0].column(0).null_count(), batches[0].column(2).null_count()), (3, 0));

    directory.put("p2", encode("parquet", &batch(i64::MAX - 1, 1)), 2);
    let end = next(source.as_mut(), Some(&Offset(serde_json::json!({"files": 1})))).await;
    let error = try_read(source.as_ref(), None, &end, None, &Arc::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("column `a`") && error.message().contains("p2"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_named_whatever_the_policy() {
    for (format, name, bytes) in [
        ("parquet", "f", encode("parquet", &batch(0, 9))),
        ("arrow", "f", encode("arrow", &batch(0, 9))),
        ("json", "f.gz", compress(".gz", &encode("json", &batch(0, 999)))),
        ("json", "f.zst", compress(".zst", &encode("json", &batch(0, 999)))),
    ] {
        let directory = Directory::new();
        directory.put(name, &bytes[..bytes.len() / 2], 1);
        let mut source = open("file", &directory.spec(&[("format", format)]), &context()).await.unwrap();
        let end = next(source.as_mut(), None).await;
        let error = try_read(source.as_ref(), None, &end, None, &Arc::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "{error}");
        assert!(error.message().contains(name), "{error}");
    }
}

#[tokio::test]
async fn times_are_read_in_the_usual_spellings() {
    let directory = Directory::new();
    let json = r#"{"t":"2020-01-02T03:04:05.678"}
{"t":"2020-01-02 03:04:05.678"}
{"t":"2020-01-02T03:04:05.678Z"}
{"t":"2020-01-02T05:04:05.678+02:00"}
{"t":1577934245678}
{}
"#;
    directory.put("f", json, 1);
    let mut spec = directory.spec(&[("format", "json")]);
    spec.declared =
        Some(schema(vec![Field::new("t", DataType::Timestamp(TimeUnit::Millisecond, None), true)]));
    let mut source = open("file", &spec, &context()).await.unwrap();
    let (batches, _) = read_all(source.as_mut(), None).await;
    let times = batches[0].column(0).as_primitive::<arrow::datatypes::TimestampMillisecondType>();
    assert_eq!(times.iter().collect::<Vec<_>>(), [vec![Some(1_577_934_245_678); 5], vec![None]].concat());
}

#[tokio::test]
async fn csv_is_read_as_its_options_say() {
    let directory = Directory::new();
    directory.put("f", "1;'it\\'s';x\n2;NA;\n", 1);
    let mut spec = directory.spec(&[
        ("format", "csv"),
        ("header", "false"),
        ("delimiter", ";"),
        ("quote", "'"),
        ("escape", "\\"),
        ("null_value", "NA"),
    ]);
    let field = |n: &str, t| Field::new(n, t, true);
    spec.declared = Some(schema(vec![
        field("a", DataType::Int64),
        field("b", DataType::Utf8),
        field("c", DataType::Utf8),
    ]));
    let mut source = open("file", &spec, &context()).await.unwrap();
    let (batches, _) = read_all(source.as_mut(), None).await;
    let strings = |c: usize| {
        batches[0].column(c).as_string::<i32>().iter().map(|s| s.map(str::to_string)).collect::<Vec<_>>()
    };
    assert_eq!(strings(1), [Some("it's".to_string()), None]);
    assert_eq!(strings(2), [Some("x".to_string()), Some(String::new())]);
}

#[tokio::test]
async fn wrong_options_are_refused_when_described() {
    let directory = Directory::new();
    for (more, kind, message) in [
        (
            vec![("format", "jsn")],
            ErrorKind::Invalid,
            "unknown format of stream `s`: `jsn`; did you mean `json`?",
        ),
        (
            vec![("format", "json"), ("header", "true")],
            ErrorKind::Invalid,
            "unknown option of stream `s`: `header`",
        ),
        (
            vec![("format", "parquet"), ("on_error", "skip")],
            ErrorKind::Invalid,
            "unknown option of stream `s`: `on_error`",
        ),
        (
            vec![("format", "debezium-json")],
            ErrorKind::Unsupported,
            "format `debezium_json` cannot be read from files yet",
        ),
        (
            vec![("format", "csv"), ("delimiter", "ab")],
            ErrorKind::Invalid,
            "option `delimiter` of stream `s` must be one ASCII character, or \\t: `ab`",
        ),
        (
            vec![("format", "json"), ("max_rows_per_batch", "0")],
            ErrorKind::Invalid,
            "option `max_rows_per_batch` of stream `s` must be",
        ),
        (vec![("format", "text")], ErrorKind::Invalid, "format `text` has one column, of text: columns=2"),
        (vec![], ErrorKind::Invalid, "missing option: `format` of stream `s`; write format = '...'"),
    ] {
        let error = describe_error("file", &directory.spec(&more)).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().starts_with(message), "{error}");
    }
    let mut lost = spec(&[("path", "/nowhere/at/all"), ("format", "json")]);
    lost.declared = Some(columns());
    let error = describe_error("file", &lost).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("/nowhere/at/all"), "{error}");

    let mut spec = directory.spec(&[("format", "csv")]);
    spec.declared = Some(schema(vec![Field::new_list("l", Field::new("item", DataType::Int64, true), true)]));
    assert_eq!(describe_error("file", &spec).await.kind(), ErrorKind::Unsupported);
    spec = directory.spec(&[("format", "json")]);
    spec.metadata.push(("file_nam".into(), Field::new("n", DataType::Utf8, true)));
    let error = describe_error("file", &spec).await;
    assert_eq!(
        error.message(),
        "unknown metadata of connector `file` in stream `s`: `file_nam`; did you mean `file_name`?"
    );
}

/// A random file and the numbers in its good records.
fn random_records(format: &str, random: &mut rand::rngs::SmallRng) -> (String, Vec<i64>) {
    use rand::Rng;
    let (mut text, mut good) = (String::from(if format == "csv" { "a,b\n" } else { "" }), vec![]);
    for n in 0..random.random_range(1..60) {
        let filling = ["", "x", "é\\n", "{", "}", "世界"][random.random_range(0..6)];
        let kind = random.random_range(0..10);
        match (format, kind) {
            (_, 0) => text += ["\n", "\r\n"][random.random_range(0..2)],
            ("json", 1) => text += "{\"a\":1,\n\"b\":2}\n",
            ("json", 2) => text += "[]\n",
            ("json", _) => text += &format!("{{\"b\":\"{filling}\",\"a\":{n}}}\n"),
            (_, 1) => text += "1,2,3\n",
            (_, 2) => text += "x,\"y\"\r\n",
            (_, 3) => text += &format!("{n},\"{filling}\n,\"\"\n\"\r\n"),
            _ => text += &format!("{n},{filling}\n"),
        }
        let is_good = kind > 2;
        good.extend(is_good.then_some(n));
    }
    (text.trim_end().to_string(), good)
}

#[tokio::test]
async fn random_files_give_their_good_records_however_batches_cut_them() {
    use rand::SeedableRng;
    let mut random = rand::rngs::SmallRng::seed_from_u64(42);
    for round in 0..60 {
        let format = ["json", "csv"][round % 2];
        let (text, good) = random_records(format, &mut random);
        let compression = ["", ".gz", ".zst"][round % 3];
        let directory = Directory::new();
        directory.put(&format!("f{compression}"), compress(compression, text.as_bytes()), 1);
        for limit in ["1", "2", "7", "1000"] {
            let options = [("format", format), ("on_error", "skip"), ("max_rows_per_batch", limit)];
            let mut source = open("file", &directory.spec(&options), &context()).await.unwrap();
            let (batches, _) = read_all(source.as_mut(), None).await;
            assert_eq!(numbers(&batches), good, "round {round} limit {limit}: {text}");
        }
    }
}
