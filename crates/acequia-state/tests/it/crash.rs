//! A short run that crashes at every operation on the store, before and after its effect, and is taken up again.

use crate::fault::{Fault, FaultStore, objects};
use crate::records::{commit, offsets};
use crate::state::{contents, deltas, expected};
use acequia_core::{BatchId, ErrorKind, Result};
use acequia_state::state_store::{CARRIED_BYTES, INLINE_BYTES};
use acequia_state::{Checkpoint, OffsetsOutcome};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use std::sync::Arc;

const BATCHES: u64 = 20;

/// Runs up to batch `BATCHES - 1` from wherever the checkpoint stands.
async fn run(store: Arc<dyn ObjectStore>, (inline_bytes, carried_bytes): (u64, u64)) -> Result<()> {
    let checkpoint = Checkpoint::open(store, Path::from("q")).await?;
    let latest = checkpoint.latest().await?;
    let mut state = checkpoint.state_store().with_inline_bytes(inline_bytes);
    state = state.with_carried_bytes(carried_bytes);
    let mut first = 0;
    if let Some(commit) = latest.commit {
        let restored = contents(&state.restore(&commit.state).await?).await?;
        assert_eq!(restored, expected(commit.batch.0));
        first = commit.batch.0 + 1;
    }
    for n in first..BATCHES {
        let wanted = offsets(n, checkpoint.epoch());
        if let OffsetsOutcome::Exists(older) = checkpoint.write_offsets(&wanted).await? {
            assert_eq!(older.sources, wanted.sources);
            assert_eq!(older.batch_time, wanted.batch_time);
        }
        let manifest = state.seal(BatchId(n), deltas(n)).await?;
        checkpoint.write_commit(&commit(n, checkpoint.epoch(), manifest)).await?;
        checkpoint.purge(2).await?;
    }
    Ok(())
}

/// With these limits for merges while sealing and for what commits carry.
async fn crash_everywhere(limits: (u64, u64)) {
    let counted = FaultStore::new(Arc::new(InMemory::new()));
    run(Arc::new(counted.clone()), limits).await.unwrap();
    let mut crashes = 0;
    for at in 1..=counted.operations() {
        for fault in [Fault::Before, Fault::After] {
            let disk: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let crashing = FaultStore::failing(Arc::clone(&disk), at, fault);
            if let Err(crash) = run(Arc::new(crashing), limits).await {
                assert_eq!(crash.kind(), ErrorKind::Unavailable, "{at} {fault:?}: {crash}");
                crashes += 1;
            }
            // A second crash while recovering, at a place that differs from run to run.
            let crashing = FaultStore::failing(Arc::clone(&disk), 1 + at % 17, fault);
            let _ = run(Arc::new(crashing), limits).await;
            run(Arc::clone(&disk), limits).await.unwrap_or_else(|e| panic!("{at} {fault:?}: {e}"));
            check_end(disk, &format!("{at} {fault:?}")).await;
        }
    }
    // A merge in the background may be the one to crash, at the very end.
    assert!(crashes + 10 > 2 * counted.operations(), "{crashes} of {}", 2 * counted.operations());
}

async fn check_end(disk: Arc<dyn ObjectStore>, case: &str) {
    let checkpoint = Checkpoint::open(Arc::clone(&disk), Path::from("q")).await.unwrap();
    let last = checkpoint.latest().await.unwrap().commit.unwrap();
    assert_eq!(last.batch.0, BATCHES - 1, "{case}");
    let reader = checkpoint.state_store().read(&last.state).await.unwrap();
    assert_eq!(contents(&reader).await.unwrap(), expected(BATCHES - 1), "{case}");
    let names = objects(&*disk).await;
    assert!(names.len() <= 1 + 4 + 2 * 3 + 30, "{case}: {names:?}");
}

#[tokio::test]
async fn every_crash_is_recovered_from() {
    crash_everywhere((INLINE_BYTES, CARRIED_BYTES)).await;
}

#[tokio::test]
async fn every_crash_is_recovered_from_with_segments_of_their_own() {
    crash_everywhere((INLINE_BYTES, 0)).await;
}

#[tokio::test]
async fn every_crash_is_recovered_from_with_merges_in_the_background() {
    crash_everywhere((0, 0)).await;
}

#[tokio::test]
async fn every_crash_is_recovered_from_with_carried_segments_merged_in_the_background() {
    crash_everywhere((0, CARRIED_BYTES)).await;
}
