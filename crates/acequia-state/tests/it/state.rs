//! State through restarts: what it costs, what damage does to it, that it is bounded in files.

use crate::fault::{FaultStore, objects};
use crate::records::{commit, offsets, open};
use acequia_core::state::{TableDef, TableDelta, TableKind};
use acequia_core::{BatchId, Error, ErrorKind, OperatorId, Result};
use acequia_state::state_store::CARRIED_BYTES;
use acequia_state::{Checkpoint, StateManifest, StateReader, StateStore};
use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const KEYS: u64 = 50;

pub(crate) fn table() -> TableDef {
    let fields = [("key", DataType::Utf8), ("count", DataType::Int64)];
    let fields = fields.map(|(name, ty)| Field::new(name, ty, false)).to_vec();
    let kind = TableKind::Keyed { key_columns: 1 };
    let schema = Arc::new(Schema::new(fields));
    TableDef { operator: OperatorId(1), name: "groups".into(), kind, schema, time_column: None }
}

/// Batch n writes its number to three keys and deletes another one.
fn changes(n: u64) -> (Vec<u64>, u64) {
    ((0..3).map(|i| (n * 7 + i * 11) % KEYS).collect(), (n * 13 + 5) % KEYS)
}

pub(crate) fn deltas(n: u64) -> Vec<TableDelta> {
    let table = table();
    let (mut written, gone) = changes(n);
    written.retain(|k| *k != gone);
    let keys: StringArray = written.iter().map(|k| Some(format!("key {k}"))).collect();
    let counts = Int64Array::from(vec![n as i64; written.len()]);
    let upserts =
        RecordBatch::try_new(Arc::clone(&table.schema), vec![Arc::new(keys), Arc::new(counts)]).unwrap();
    let key_schema = Arc::new(Schema::new(vec![table.schema.field(0).clone()]));
    let deleted = Arc::new(StringArray::from(vec![format!("key {gone}")]));
    let deletes = RecordBatch::try_new(key_schema, vec![deleted]).unwrap();
    vec![TableDelta { table, upserts: vec![upserts], deletes: vec![deletes], evict_below: None }]
}

/// The state after batches 0 to n.
pub(crate) fn expected(n: u64) -> BTreeMap<String, i64> {
    let mut state = BTreeMap::new();
    for batch in 0..=n {
        let (written, gone) = changes(batch);
        state.extend(written.iter().map(|k| (format!("key {k}"), batch as i64)));
        state.remove(&format!("key {gone}"));
    }
    state
}

pub(crate) async fn contents(reader: &StateReader) -> Result<BTreeMap<String, i64>> {
    let mut found = BTreeMap::new();
    let each = &mut |batch: RecordBatch| {
        let (keys, counts) =
            (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
        for (key, count) in keys.iter().zip(counts) {
            let twice = found.insert(key.unwrap().to_string(), count.unwrap());
            assert_eq!(twice, None, "key {key:?} comes twice");
        }
        Ok(())
    };
    reader.rows(OperatorId(1), "groups", each).await?;
    Ok(found)
}

async fn run_batch(checkpoint: &Checkpoint, state: &mut StateStore, n: u64) -> StateManifest {
    checkpoint.write_offsets(&offsets(n, checkpoint.epoch())).await.unwrap();
    let manifest = state.seal(BatchId(n), deltas(n)).await.unwrap();
    checkpoint.write_commit(&commit(n, checkpoint.epoch(), manifest.clone())).await.unwrap();
    checkpoint.purge(5).await.unwrap();
    manifest
}

#[tokio::test]
async fn two_thousand_batches_cost_the_same_each_and_leave_few_files() {
    let faults = FaultStore::new(Arc::new(InMemory::new()));
    let store: Arc<dyn ObjectStore> = Arc::new(faults.clone());
    let checkpoint = open(&store).await;
    let mut state = checkpoint.state_store();
    let mut spent = vec![];
    for n in 0..2_000 {
        let before = faults.operations();
        let manifest = run_batch(&checkpoint, &mut state, n).await;
        spent.push(faults.operations() - before);
        assert!(manifest.segments.len() <= 16, "{manifest:?}");
    }
    let average = |batches: std::ops::Range<usize>| spent[batches].iter().sum::<usize>();
    let (early, late) = (average(200..1_000), average(1_200..2_000));
    assert!(late.abs_diff(early) * 50 < early, "operations of 800 batches: early={early} late={late}");
    assert!(spent.iter().max().unwrap() <= &40, "most operations of a batch: {:?}", spent.iter().max());
    let files = objects(&*store).await;
    assert!(files.len() <= 2 + 5 + 5 + 30, "{files:?}");
    let manifest = checkpoint.latest().await.unwrap().commit.unwrap().state;
    assert_eq!(contents(&state.read(&manifest).await.unwrap()).await.unwrap(), expected(1_999));
    let bytes: u64 = manifest.segments.iter().map(|s| s.bytes).sum();
    assert!(bytes < 30_000, "state of {KEYS} keys is kept in {bytes} bytes");
}

#[tokio::test]
async fn kept_versions_can_be_read_and_forgotten_ones_are_gone() {
    for carried_bytes in [0, CARRIED_BYTES] {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let checkpoint = open(&store).await;
        let mut state = checkpoint.state_store().with_inline_bytes(0).with_carried_bytes(carried_bytes);
        for n in 0..100 {
            run_batch(&checkpoint, &mut state, n).await;
        }
        for n in 95..100 {
            let manifest = checkpoint.commit(BatchId(n)).await.unwrap().unwrap().state;
            assert_eq!(contents(&state.read(&manifest).await.unwrap()).await.unwrap(), expected(n));
        }
        let needed: BTreeSet<_> = (95..100).map(|n| format!("q/commits/{n}")).collect();
        let carrying = carrying(&checkpoint, 95..100).await;
        assert_eq!(carrying.is_empty(), carried_bytes == 0);
        let commits = objects(&*store).await.into_iter().filter(|name| name.starts_with("q/commits/"));
        assert_eq!(commits.collect::<BTreeSet<_>>(), &needed | &carrying);
    }
}

/// The commits that carry a segment of these batches' states.
async fn carrying(checkpoint: &Checkpoint, batches: std::ops::Range<u64>) -> BTreeSet<String> {
    let mut carrying = BTreeSet::new();
    for n in batches {
        let segments = checkpoint.commit(BatchId(n)).await.unwrap().unwrap().state.segments;
        carrying.extend(segments.iter().filter_map(|s| s.carried_by).map(|n| format!("q/commits/{n}")));
    }
    carrying
}

/// State that changes once and then not for long: its segment outlives the log of its batch, and the run too.
#[tokio::test]
async fn commit_stays_for_the_segment_that_it_carries_and_goes_with_it() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let commits = async || {
        let names = objects(&*store).await.into_iter();
        names.filter_map(|name| name.strip_prefix("q/commits/")?.parse().ok()).collect::<BTreeSet<u64>>()
    };
    let mut manifest = StateManifest::default();
    for run in 0..4 {
        let checkpoint = open(&store).await;
        let mut state = checkpoint.state_store();
        if run > 0 {
            manifest = checkpoint.latest().await.unwrap().commit.unwrap().state;
        }
        state.restore(&manifest).await.unwrap();
        for n in run * 20..run * 20 + 20 {
            checkpoint.write_offsets(&offsets(n, checkpoint.epoch())).await.unwrap();
            let changes = if n == 0 || n >= 40 { deltas(n) } else { vec![] };
            manifest = state.seal(BatchId(n), changes).await.unwrap();
            checkpoint.write_commit(&commit(n, checkpoint.epoch(), manifest.clone())).await.unwrap();
            checkpoint.purge(5).await.unwrap();
        }
        let carried_by_first = manifest.segments.iter().any(|s| s.carried_by == Some(BatchId(0)));
        assert_eq!((carried_by_first, commits().await.contains(&0)), (run < 2, run < 2), "run {run}");
        assert!(commits().await.len() <= 5 + manifest.segments.len() + 5, "{:?}", commits().await);
        if run < 2 {
            let found = contents(&state.read(&manifest).await.unwrap()).await.unwrap();
            assert_eq!(found, expected(0));
        }
    }
}

#[tokio::test]
async fn segments_of_a_run_that_crashed_go_with_the_first_commit_of_the_next() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let old = open(&store).await;
    let mut state = old.state_store().with_carried_bytes(0);
    run_batch(&old, &mut state, 0).await;
    state.seal(BatchId(1), deltas(1)).await.unwrap();
    let new = open(&store).await;
    let latest = new.latest().await.unwrap().commit.unwrap();
    let mut state = new.state_store().with_carried_bytes(0);
    state.restore(&latest.state).await.unwrap();
    new.purge(5).await.unwrap();
    assert!(
        objects(&*store).await.contains(&"q/state/1-1-1.seg".to_string()),
        "the old run may still commit it"
    );
    run_batch(&new, &mut state, 1).await;
    let files = objects(&*store).await;
    let segments: Vec<_> = files.iter().filter(|f| f.starts_with("q/state/")).collect();
    assert_eq!(segments, ["q/state/0-1-0.seg", "q/state/1-2-0.seg"]);
}

#[tokio::test]
async fn missing_segment_is_named() {
    for carried_bytes in [0, CARRIED_BYTES] {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let checkpoint = open(&store).await;
        let mut state = checkpoint.state_store().with_carried_bytes(carried_bytes);
        run_batch(&checkpoint, &mut state, 0).await;
        let manifest = run_batch(&checkpoint, &mut state, 1).await;
        let object = match manifest.segments[0].carried_by {
            Some(batch) => format!("q/commits/{batch}"),
            None => format!("q/state/{}", manifest.segments[0].name),
        };
        assert_eq!(object.contains("commits"), carried_bytes > 0);
        store.delete(&Path::from(object.as_str())).await.unwrap();
        let error = state.restore(&manifest).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().contains(&object), "{error}");
    }
}

/// Every byte flipped and every length cut: an error that names the file.
#[tokio::test]
async fn damage_anywhere_in_a_segment_is_data_naming_the_file() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let checkpoint = open(&store).await;
    let mut state = checkpoint.state_store().with_carried_bytes(0);
    let manifest = state.seal(BatchId(0), deltas(0)).await.unwrap();
    let object = Path::from(format!("q/state/{}", manifest.segments[0].name));
    let whole = store.get(&object).await.unwrap().bytes().await.unwrap();
    for i in 0..whole.len() {
        let mut flipped = whole.to_vec();
        flipped[i] ^= 1 << (i % 8);
        for damaged in [flipped, whole[..i].to_vec()] {
            store.put(&object, damaged.into()).await.unwrap();
            let read = async { contents(&state.read(&manifest).await?).await };
            let error: Error = read.await.expect_err("damage is noticed");
            assert_eq!(error.kind(), ErrorKind::Data, "byte {i}: {error}");
            assert!(error.message().contains(object.as_ref()), "byte {i}: {error}");
        }
    }
}

/// The same of a commit that carries a segment, when it is the last one and when a later one needs the segment. Of the
/// latter nobody reads the record.
#[tokio::test]
async fn damage_anywhere_in_a_commit_is_data_naming_the_file() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let checkpoint = open(&store).await;
    let mut state = checkpoint.state_store();
    run_batch(&checkpoint, &mut state, 0).await;
    let last = run_batch(&checkpoint, &mut state, 1).await;
    let [older, newer] = &last.segments[..] else { panic!("{last:?}") };
    for (n, segment) in [(0, older), (1, newer)] {
        assert_eq!(segment.carried_by, Some(BatchId(n)));
        let object = Path::from(format!("q/commits/{n}"));
        let whole = store.get(&object).await.unwrap().bytes().await.unwrap();
        let unread = if n == 0 { whole.len() - segment.bytes as usize } else { 0 };
        for i in 0..whole.len() {
            let mut flipped = whole.to_vec();
            flipped[i] ^= 1 << (i % 8);
            let longer = [&whole[..], &whole[i..=i]].concat();
            for (what, damaged) in [("flipped", flipped), ("cut", whole[..i].to_vec()), ("longer", longer)] {
                store.put(&object, damaged.into()).await.unwrap();
                let read = async {
                    let commit = checkpoint.latest().await?.commit.unwrap();
                    contents(&state.read(&commit.state).await?).await
                };
                let case = format!("commit {n}, {what} at byte {i}");
                match read.await {
                    Ok(found) => {
                        assert!(what == "flipped" && i < unread, "{case}");
                        assert_eq!(found, expected(1), "{case}");
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Data, "{case}: {error}");
                        assert!(error.message().contains(object.as_ref()), "{case}: {error}");
                    }
                }
            }
        }
        store.put(&object, whole.into()).await.unwrap();
    }
}

#[tokio::test]
async fn segment_that_took_the_place_of_another_is_noticed() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut manifests = vec![];
    for prefix in ["a", "b"] {
        let checkpoint = Checkpoint::open(Arc::clone(&store), Path::from(prefix)).await.unwrap();
        let n = if prefix == "a" { 1 } else { 2 };
        let mut state = checkpoint.state_store().with_carried_bytes(0);
        manifests.push(state.seal(BatchId(0), deltas(n)).await.unwrap());
    }
    let name = &manifests[0].segments[0].name;
    let bytes = store.get(&Path::from(format!("b/state/{name}"))).await.unwrap().bytes().await.unwrap();
    store.put(&Path::from(format!("a/state/{name}")), bytes.into()).await.unwrap();
    let checkpoint = Checkpoint::open(store, Path::from("a")).await.unwrap();
    let error = checkpoint.state_store().read(&manifests[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
}

#[tokio::test]
async fn malformed_deltas_are_refused() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let checkpoint = open(&store).await;
    let mut twice = deltas(0);
    twice.extend(deltas(0));
    let mut evicting = deltas(0);
    evicting[0].evict_below = Some(1);
    let mut key_twice = deltas(0);
    let again = key_twice[0].upserts[0].clone();
    key_twice[0].upserts.push(again);
    let mut other_columns = deltas(0);
    let keys_only = other_columns[0].deletes[0].clone();
    other_columns[0].upserts.push(keys_only);
    let mut additive = deltas(0);
    additive[0].table.kind = TableKind::Additive;
    for malformed in [twice, evicting, key_twice, other_columns, additive] {
        let error = checkpoint.state_store().seal(BatchId(0), malformed).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        assert!(error.message().contains("groups"), "{error}");
    }
}
