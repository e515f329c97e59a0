//! Crashes after every single step on the file system, with and without the loss of what was not synced.
//!
//! The runtime's part is played by [`Runtime`]: it decides batches by their receipts and, when it starts, publishes
//! what is decided and missing.

use super::faults::Faults;
use super::*;
use acequia_core::SinkBatch;
use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::fs::{self, File};

const BATCHES: u64 = 4;
/// More steps than any run takes.
const NEVER: usize = usize::MAX;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("k", DataType::Utf8, true),
        Field::new("same", DataType::Utf8, true),
    ]))
}

/// Rows of a batch: none in batch 2, otherwise four, over two partitions, one of which comes in every batch.
fn ids(batch: u64) -> Vec<i64> {
    if batch == 2 { vec![] } else { (0..4).map(|i| (batch * 10 + i) as i64).collect() }
}

fn rows(ids: &[i64]) -> SinkBatch {
    let keys = ids.iter().map(|id| if id % 2 == 0 { "all".to_string() } else { format!("k{}", id / 20) });
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(Int64Array::from(ids.to_vec())),
        Arc::new(StringArray::from_iter_values(keys)),
        Arc::new(StringArray::from(vec!["x"; ids.len()])),
    ];
    RecordBatch::try_new(schema(), columns).unwrap().into()
}

/// What outlives a crash, and the checkpoint's side of it.
struct Runtime {
    dir: tempfile::TempDir,
    options: Vec<(&'static str, &'static str)>,
    epoch: u64,
    committed: BTreeMap<u64, SinkReceipt>,
    /// Batches whose publishing was reported as done.
    published: Option<u64>,
    faults: Arc<Faults>,
}

impl Runtime {
    fn new(options: &[(&'static str, &'static str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            dir,
            options: options.to_vec(),
            epoch: 0,
            committed: BTreeMap::new(),
            published: None,
            faults: Arc::new(Faults::after(NEVER)),
        }
    }

    fn sink(&self) -> FileSink {
        let mut options = Options::default();
        for (key, value) in &self.options {
            options.insert(key, *value).unwrap();
        }
        options.insert("path", self.dir.path().join("out").display().to_string()).unwrap();
        let disk = acequia_core::disk::Disk::observed(Arc::clone(&self.faults) as _);
        let sink = FileSink::from_options(&mut options, None, disk).unwrap();
        options.finish().unwrap();
        sink
    }

    /// One run: recovers, then does the batches that are left; stops at the first failure.
    async fn run(&mut self, steps: usize) -> Result<()> {
        self.faults.refill(steps);
        self.epoch += 1;
        let mut sink = self.sink();
        let query = QueryId("crash/test".into());
        let context = SinkContext {
            query,
            epoch: Epoch(self.epoch),
            schema: schema(),
            mode: OutputMode::Append,
            key: None,
        };
        sink.open(context).await?;
        let last = sink.last_published().await?.map(|b| b.0);
        assert!(last >= self.published, "what was reported as published is recorded: {last:?}");
        let from = last.map_or(0, |last| last + 1);
        for (batch, receipt) in self.committed.range(from..) {
            sink.publish(BatchId(*batch), std::slice::from_ref(receipt)).await?;
            self.published = self.published.max(Some(*batch));
        }
        assert_eq!(self.visible(), self.decided(), "after recovery all that is decided is visible");
        for batch in self.committed.len() as u64..BATCHES {
            if batch % 2 == 1 {
                // An attempt that is given up, as when a later operator fails, with other rows.
                stage(&sink, batch, &[-1, -2]).await?;
            }
            let receipt = stage(&sink, batch, &ids(batch)).await?;
            self.committed.insert(batch, receipt.clone());
            sink.publish(BatchId(batch), &[receipt]).await?;
            self.published = Some(batch);
        }
        Ok(())
    }

    /// A sink after the last batch, and what staging the next one gives when the disk is full after some steps.
    async fn sink_at_next_batch(&self, steps: usize) -> (FileSink, Result<SinkReceipt>) {
        self.faults.refill(NEVER);
        let mut sink = self.sink();
        sink.open(self.context(self.epoch + 1)).await.unwrap();
        self.faults.refill(steps);
        let receipt = stage(&sink, BATCHES, &ids(BATCHES)).await;
        (sink, receipt)
    }

    fn context(&self, epoch: u64) -> SinkContext {
        let query = QueryId("crash/test".into());
        SinkContext { query, epoch: Epoch(epoch), schema: schema(), mode: OutputMode::Append, key: None }
    }

    fn decided(&self) -> Vec<i64> {
        self.committed.keys().flat_map(|batch| ids(*batch)).collect()
    }

    /// All rows that a reader sees, sorted.
    fn visible(&self) -> Vec<i64> {
        let mut found = vec![];
        read(&self.dir.path().join("out"), &mut found);
        found.sort_unstable();
        found
    }

    /// No row twice, none that is not decided, all that was reported as published.
    fn check_after_crash(&self, case: &str) {
        let visible = self.visible();
        let decided = self.decided();
        let known: Vec<i64> = (0..=self.published.unwrap_or(0)).flat_map(ids).collect();
        assert!(visible.windows(2).all(|w| w[0] < w[1]), "{case}: no row twice: {visible:?}");
        assert!(visible.iter().all(|id| decided.contains(id)), "{case}: {visible:?} of {decided:?}");
        if self.published.is_some() {
            assert!(known.iter().all(|id| visible.contains(id)), "{case}: {visible:?} holds {known:?}");
        }
    }
}

async fn stage(sink: &FileSink, batch: u64, ids: &[i64]) -> Result<SinkReceipt> {
    let mut writer = sink.writer(BatchId(batch)).await?;
    let (left, right) = ids.split_at(ids.len() / 2);
    writer.write(rows(left)).await?;
    writer.write(rows(right)).await?;
    writer.finish().await
}

/// Reads whole files only: half a file fails the test.
fn read(dir: &Path, found: &mut Vec<i64>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.display().to_string();
        if path.is_dir() {
            read(&path, found);
        } else if name.ends_with(".parquet") {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
            for batch in reader.build().unwrap() {
                found.extend(batch.unwrap().column(0).as_primitive::<Int64Type>().values());
            }
        } else if name.ends_with(".json") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.ends_with('\n'), "half a file: {name}");
            for line in text.lines() {
                found.push(serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_i64().unwrap());
            }
        }
    }
}

async fn crash_everywhere(options: &[(&'static str, &'static str)]) {
    let mut whole = Runtime::new(options);
    whole.run(NEVER).await.unwrap();
    let steps = whole.faults.taken();
    assert!(steps > 50, "faults are wired: {steps}");
    for lose_power in [false, true] {
        for after in 0..steps {
            crash_at(options, after, lose_power).await;
        }
    }
}

/// Crashes after some steps, then at a random step of each recovery, until a run gets through.
async fn crash_at(options: &[(&'static str, &'static str)], after: usize, lose_power: bool) {
    let mut random = SmallRng::seed_from_u64(after as u64);
    let mut runtime = Runtime::new(options);
    let mut budget = after;
    for attempt in 0.. {
        let outcome = runtime.run(budget).await;
        let case = format!("{options:?}, crash after {after} steps, run {attempt}, power lost: {lose_power}");
        match outcome {
            Ok(()) => break,
            Err(error) => assert!(error.message().contains("injected crash"), "{case}: {error:?}"),
        }
        runtime.check_after_crash(&case);
        // Power may be lost now, or only after a run that found what the first left and did not sync.
        if lose_power && random.random_bool(0.6) {
            runtime.faults.lose_power();
            runtime.check_after_crash(&case);
        }
        budget = if attempt < 2 { random.random_range(0..60) } else { NEVER };
    }
    // A crash while tidying up is no failure of the batch; the next start does what is left.
    runtime.run(NEVER).await.unwrap();
    assert_eq!(runtime.visible(), (0..BATCHES).flat_map(ids).collect::<Vec<_>>());
    let staged = disk::list(
        &query_directory(&runtime.dir.path().join("out"), &QueryId("crash/test".into())).join(STAGING),
    );
    assert_eq!(staged.unwrap(), Vec::<String>::new(), "nothing staged is left");
}

#[tokio::test]
async fn parquet_survives_a_crash_at_every_step() {
    crash_everywhere(&[("format", "parquet"), ("partition_by", "k")]).await;
}

#[tokio::test]
async fn growing_parquet_survives_a_crash_at_every_step() {
    crash_everywhere(&[("format", "parquet"), ("compact", "true")]).await;
}

#[tokio::test]
async fn growing_partitions_survive_a_crash_at_every_step() {
    crash_everywhere(&[("format", "json"), ("compact", "true"), ("partition_by", "k")]).await;
}

#[tokio::test]
async fn rolling_and_growing_files_survive_a_crash_at_every_step() {
    crash_everywhere(&[("format", "json"), ("compact", "true"), ("target_file_size", "100")]).await;
}

/// A run is killed before it has synced a name; the next finds the name, builds on it, and then the power fails.
#[tokio::test]
async fn what_a_killed_run_did_not_sync_is_not_built_upon() {
    let options = [("format", "json"), ("compact", "true"), ("partition_by", "k,same")];
    let mut pairs = 0;
    let mut first = 0;
    let mut finished = false;
    while !finished {
        // Each fourth step, another fourth for each first one, and not beyond those that sync what the first left.
        for second in (first % 4..36).step_by(4) {
            let mut runtime = Runtime::new(&options);
            finished = runtime.run(first).await.is_ok();
            if finished || !runtime.faults.names_unsynced() {
                break;
            }
            let through = runtime.run(second).await.is_ok();
            runtime.faults.lose_power();
            runtime.check_after_crash(&format!("killed after {first} steps, power lost after {second} more"));
            runtime.run(NEVER).await.unwrap();
            assert_eq!(runtime.visible(), (0..BATCHES).flat_map(ids).collect::<Vec<_>>());
            pairs += 1;
            if through {
                break;
            }
        }
        first += 1;
    }
    assert!(pairs > 100, "{pairs}");
}

#[tokio::test]
async fn cost_of_a_batch_does_not_grow_with_their_number() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.insert("path", dir.path().display().to_string()).unwrap();
    options.insert("format", "json").unwrap();
    let faults = Arc::new(Faults::after(NEVER));
    let disk = acequia_core::disk::Disk::observed(Arc::clone(&faults) as _);
    let mut sink = FileSink::from_options(&mut options, None, disk).unwrap();
    let query = QueryId("q".into());
    let context =
        SinkContext { query, epoch: Epoch(1), schema: schema(), mode: OutputMode::Append, key: None };
    sink.open(context).await.unwrap();
    let mut steps = vec![];
    for batch in 0..768u64 {
        let before = faults.taken();
        let receipt = stage(&sink, batch, &[batch as i64, 1]).await.unwrap();
        sink.publish(BatchId(batch), &[receipt]).await.unwrap();
        steps.push(faults.taken() - before);
    }
    let (early, late): (usize, usize) = (steps[256..512].iter().sum(), steps[512..].iter().sum());
    assert_eq!(early, late, "amortised over a full cycle of the log, a batch costs the same");
}

/// A full disk at any step fails the call, names a file and shows nothing; the same batch succeeds once there is room.
#[tokio::test]
async fn full_disk_is_told_and_can_be_mended() {
    let mut steps = 0;
    for after in 0.. {
        let mut runtime = Runtime::new(&[("format", "parquet"), ("compact", "true")]);
        runtime.run(NEVER).await.unwrap();
        let before = runtime.visible();
        runtime.faults.fail_with(std::io::ErrorKind::StorageFull);
        let (sink, first) = runtime.sink_at_next_batch(after).await;
        let failed = match first {
            Err(error) => {
                assert_eq!(error.kind(), acequia_core::ErrorKind::ResourceExhausted, "{error}");
                assert!(error.message().contains(&runtime.dir.path().display().to_string()), "{error}");
                assert_eq!(runtime.visible(), before);
                steps += 1;
                true
            }
            Ok(_) => false,
        };
        runtime.faults.refill(NEVER);
        let receipt = stage(&sink, BATCHES, &ids(BATCHES)).await.unwrap();
        sink.publish(BatchId(BATCHES), &[receipt]).await.unwrap();
        assert_eq!(runtime.visible(), [before, ids(BATCHES)].concat());
        if !failed {
            break;
        }
    }
    assert!(steps >= 4, "create, write, sync, sync of the directory: {steps}");
}
