//! The logs: what a run finds, what it may write, when it is fenced.

use crate::fault::{FaultStore, objects};
use crate::records::{commit, offsets, open, run_batches};
use acequia_core::ErrorKind;
use acequia_core::disk::Disk;
use acequia_state::{CommitOutcome, CommitRecord, Latest, OffsetsOutcome, StateManifest, open_store};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

#[tokio::test]
async fn query_keeps_its_id_and_each_run_has_a_higher_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_store(dir.path().to_str().unwrap(), &Disk::default()).unwrap();
    let first = open(&store).await;
    assert_eq!(first.latest().await.unwrap(), Latest::default());
    let second = open(&store).await;
    assert_eq!(first.query(), second.query());
    assert!(second.epoch() > first.epoch());
}

#[tokio::test]
async fn restart_finds_the_batch_that_was_begun_and_the_one_that_is_done() {
    let store = memory();
    let first = open(&store).await;
    run_batches(&first, 0..5).await;
    first.write_offsets(&offsets(5, first.epoch())).await.unwrap();
    let second = open(&store).await;
    let latest = second.latest().await.unwrap();
    assert_eq!(latest.offsets, Some(offsets(5, first.epoch())));
    assert_eq!(latest.commit, Some(commit(4, first.epoch(), StateManifest::default())));
    let exists = second.write_offsets(&offsets(5, second.epoch())).await.unwrap();
    assert_eq!(exists, OffsetsOutcome::Exists(offsets(5, first.epoch())));
}

#[tokio::test]
async fn own_write_may_be_repeated() {
    let store = memory();
    let run = open(&store).await;
    for _ in 0..2 {
        let wrote = run.write_offsets(&offsets(0, run.epoch())).await.unwrap();
        assert_eq!(wrote, OffsetsOutcome::Written);
    }
    for _ in 0..2 {
        let done = run.write_commit(&commit(0, run.epoch(), StateManifest::default())).await.unwrap();
        assert_eq!(done, CommitOutcome::Committed);
    }
}

#[tokio::test]
async fn older_run_is_fenced_and_commits_nothing() {
    let store = memory();
    let old = open(&store).await;
    run_batches(&old, 0..2).await;
    old.write_offsets(&offsets(2, old.epoch())).await.unwrap();
    let new = open(&store).await;
    assert_eq!(old.check_fence().await.unwrap_err().kind(), ErrorKind::Fenced);
    let lost = old.write_commit(&commit(2, old.epoch(), StateManifest::default())).await;
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(new.commit(acequia_core::BatchId(2)).await.unwrap(), None);
    let won = new.write_commit(&commit(2, new.epoch(), StateManifest::default())).await;
    assert_eq!(won.unwrap(), CommitOutcome::Committed);
    new.write_offsets(&offsets(3, new.epoch())).await.unwrap();
    let late = old.write_offsets(&offsets(3, old.epoch())).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(old.latest().await.unwrap_err().kind(), ErrorKind::Fenced);
}

#[tokio::test]
async fn run_that_slept_beyond_all_retention_is_fenced() {
    let store = memory();
    let old = open(&store).await;
    run_batches(&old, 0..1).await;
    for _ in 0..40 {
        open(&store).await;
    }
    run_batches(&open(&store).await, 1..30).await;
    assert!(objects(&*store).await.iter().filter(|n| n.starts_with("q/epochs/")).count() <= 17);
    let lost = old.write_commit(&commit(1, old.epoch(), StateManifest::default())).await;
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::Fenced);
}

#[tokio::test]
async fn run_that_slept_between_check_and_commit_is_fenced_even_if_the_name_is_free_again() {
    let store = memory();
    let slow = FaultStore::new(Arc::clone(&store));
    let slow_store: Arc<dyn ObjectStore> = Arc::new(slow.clone());
    let old = open(&slow_store).await;
    run_batches(&old, 0..1).await;
    let others = Arc::clone(&store);
    slow.before_put("q/commits/1", async move { run_batches(&open(&others).await, 1..30).await });
    let lost = old.write_commit(&commit(1, old.epoch(), StateManifest::default())).await;
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::Fenced);
    let next = open(&store).await;
    assert_eq!(next.latest().await.unwrap().commit.unwrap().batch.0, 29);
    run_batches(&next, 30..31).await;
    assert!(!objects(&*store).await.contains(&"q/commits/1".to_string()));
}

#[tokio::test]
async fn commit_won_by_an_older_run_is_told() {
    let store = memory();
    let slow = FaultStore::new(Arc::clone(&store));
    let slow_store: Arc<dyn ObjectStore> = Arc::new(slow.clone());
    let old = open(&slow_store).await;
    old.write_offsets(&offsets(0, old.epoch())).await.unwrap();
    let (others, opened) = (Arc::clone(&store), Arc::new(parking_lot::Mutex::new(None)));
    let place = Arc::clone(&opened);
    slow.before_put("q/commits/0", async move { *place.lock() = Some(open(&others).await) });
    let record = commit(0, old.epoch(), StateManifest::default());
    // It has won, and does not know: the newer run publishes the batch.
    assert_eq!(old.write_commit(&record).await.unwrap_err().kind(), ErrorKind::Fenced);
    let new = opened.lock().take().unwrap();
    let taken = new.write_commit(&commit(0, new.epoch(), StateManifest::default())).await.unwrap();
    assert_eq!(taken, CommitOutcome::TakenByOlder);
    assert_eq!(new.latest().await.unwrap().commit, Some(record));
    run_batches(&new, 1..3).await;
}

/// Many runs that take the checkpoint from each other: every batch is decided once, and the one who was told
/// so is the one whose record is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn runs_that_fight_over_a_checkpoint_decide_each_batch_once() {
    const BATCHES: u64 = 60;
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_store(dir.path().to_str().unwrap(), &Disk::default()).unwrap();
    let fighter = |id: u64, store: Arc<dyn ObjectStore>| async move {
        let mut won = vec![];
        'runs: loop {
            let run = open(&store).await;
            loop {
                let Ok(latest) = run.latest().await else { continue 'runs };
                let n = latest.commit.map_or(0, |c| c.batch.0 + 1);
                if n == BATCHES {
                    return won;
                }
                let Ok(_) = run.write_offsets(&offsets(n, run.epoch())).await else { continue 'runs };
                match run.write_commit(&commit(n, run.epoch(), StateManifest::default())).await {
                    Ok(CommitOutcome::Committed) => won.push((n, run.epoch())),
                    Ok(CommitOutcome::TakenByOlder) => {}
                    Err(_) => continue 'runs,
                }
                if (n + id).is_multiple_of(7) {
                    continue 'runs;
                }
            }
        }
    };
    let runs: Vec<_> = (0..3).map(|id| tokio::spawn(fighter(id, Arc::clone(&store)))).collect();
    let mut told = std::collections::BTreeMap::new();
    for run in runs {
        for (n, epoch) in run.await.unwrap() {
            assert_eq!(told.insert(n, epoch), None, "batch {n} was won twice");
        }
    }
    let last = open(&store).await;
    for n in 0..BATCHES {
        let record = last.commit(acequia_core::BatchId(n)).await.unwrap().unwrap();
        assert!(told.get(&n).is_none_or(|epoch| *epoch == record.epoch), "batch {n}");
    }
}

#[tokio::test]
async fn files_that_do_not_fit_together_are_named() {
    for (removed, named) in [
        (&["q/commits/4", "q/commits/5"][..], "q/commits/3"),
        (&["q/commits/3", "q/commits/4", "q/commits/5"], "q/offsets/5"),
        (&["q/metadata.json"], "q/metadata.json"),
    ] {
        let store = memory();
        let run = open(&store).await;
        run_batches(&run, 0..6).await;
        for name in removed {
            store.delete(&Path::from(*name)).await.unwrap();
        }
        let opened = acequia_state::Checkpoint::open(Arc::clone(&store), Path::from("q")).await;
        let error = match opened {
            Ok(run) => run.latest().await.unwrap_err(),
            Err(e) => e,
        };
        assert_eq!(error.kind(), ErrorKind::Data, "{removed:?}: {error}");
        assert!(error.message().contains(named), "{removed:?}: {error}");
    }
}

#[tokio::test]
async fn lost_offsets_are_those_of_the_commit_or_decided_anew() {
    let done = |epoch| commit(5, epoch, StateManifest::default());
    for lost in 0..16 {
        let store = memory();
        let run = open(&store).await;
        run_batches(&run, 0..6).await;
        let begun = offsets(6, run.epoch());
        run.write_offsets(&begun).await.unwrap();
        for n in (3..7).filter(|n| lost >> (n - 3) & 1 == 1) {
            store.delete(&Path::from(format!("q/offsets/{n}"))).await.unwrap();
        }
        let next = open(&store).await;
        let latest = next.latest().await.unwrap();
        let expected = if lost & 8 == 0 { begun } else { offsets(5, run.epoch()) };
        assert_eq!(latest, Latest { offsets: Some(expected), commit: Some(done(run.epoch())) }, "{lost:b}");
        if lost & 8 != 0 {
            run_batches(&next, 6..20).await;
        }
    }
}

#[tokio::test]
async fn commit_that_does_not_say_what_its_batch_was_is_refused() {
    let store = memory();
    let run = open(&store).await;
    let whole = commit(0, run.epoch(), StateManifest::default());
    for offsets in [None, Some(offsets(1, run.epoch()))] {
        let refused = run.write_commit(&CommitRecord { offsets, ..whole.clone() }).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Internal);
    }
    assert_eq!(run.write_commit(&whole).await.unwrap(), CommitOutcome::Committed);
}

#[tokio::test]
async fn damaged_last_record_is_an_error_and_not_the_record_before_it() {
    for name in ["q/commits/5", "q/offsets/6"] {
        let store = memory();
        let run = open(&store).await;
        run_batches(&run, 0..6).await;
        run.write_offsets(&offsets(6, run.epoch())).await.unwrap();
        store.put(&Path::from(name), "".into()).await.unwrap();
        let error = open(&store).await.latest().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().contains(name), "{error}");
    }
}

#[tokio::test]
async fn batch_costs_the_same_however_many_came_before() {
    let faults = FaultStore::new(memory());
    let store: Arc<dyn ObjectStore> = Arc::new(faults.clone());
    let run = open(&store).await;
    run_batches(&run, 0..10).await;
    let mut costs = std::collections::BTreeSet::new();
    for n in 10..300 {
        let before = faults.operations();
        run_batches(&run, n..n + 1).await;
        costs.insert(faults.operations() - before);
    }
    assert_eq!(costs.len(), 1, "operations per batch: {costs:?}");
    assert_eq!(objects(&*store).await.len(), 1 + 1 + 3 + 3, "metadata, epoch, offsets, commits");
}

#[tokio::test]
async fn source_directories_are_apart() {
    let store = memory();
    let run = open(&store).await;
    for name in ["a", "a/b", ".."] {
        run.source_store(name).unwrap().put(&Path::from("x"), "1".into()).await.unwrap();
    }
    let names = objects(&*store).await;
    assert_eq!(
        names.iter().filter(|n| n.starts_with("q/sources/") && n.ends_with("/x")).count(),
        3,
        "{names:?}"
    );
    assert!(run.source_store("").is_err());
}
