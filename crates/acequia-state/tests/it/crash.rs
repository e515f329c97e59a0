//! A short run that crashes at every operation on the store, before and after its effect, and is taken up again.

use crate::fault::{Fault, FaultStore, objects};
use crate::records::{commit, offsets};
use acequia_core::{Error, ErrorKind, Result};
use acequia_state::{Checkpoint, OffsetsOutcome, StateManifest};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use std::sync::Arc;

const BATCHES: u64 = 5;

/// Runs up to batch `BATCHES - 1` from wherever the checkpoint stands.
async fn run(store: Arc<dyn ObjectStore>) -> Result<()> {
    let checkpoint = Checkpoint::open(store, Path::from("q")).await?;
    let latest = checkpoint.latest().await?;
    let first = latest.commit.as_ref().map_or(0, |c| c.batch.0 + 1);
    for n in first..BATCHES {
        let wanted = offsets(n, checkpoint.epoch());
        if let OffsetsOutcome::Exists(older) = checkpoint.write_offsets(&wanted).await? {
            assert_eq!(older.sources, wanted.sources);
            assert_eq!(older.batch_time, wanted.batch_time);
        }
        checkpoint.write_commit(&commit(n, checkpoint.epoch(), StateManifest::default())).await?;
        checkpoint.purge(2).await?;
    }
    Ok(())
}

#[tokio::test]
async fn every_crash_is_recovered_from() {
    let counted = FaultStore::new(Arc::new(InMemory::new()));
    run(Arc::new(counted.clone())).await.unwrap();
    for at in 1..=counted.operations() {
        for fault in [Fault::Before, Fault::After] {
            let disk: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let crashing = FaultStore::failing(Arc::clone(&disk), at, fault);
            let crashed: Error = run(Arc::new(crashing)).await.unwrap_err();
            assert_eq!(crashed.kind(), ErrorKind::Unavailable, "{at} {fault:?}: {crashed}");
            run(Arc::clone(&disk)).await.unwrap_or_else(|e| panic!("{at} {fault:?}: {e}"));
            let checkpoint = Checkpoint::open(Arc::clone(&disk), Path::from("q")).await.unwrap();
            let last = checkpoint.latest().await.unwrap().commit.unwrap();
            assert_eq!(last.batch.0, BATCHES - 1, "{at} {fault:?}");
            let names = objects(&*disk).await;
            assert!(names.len() <= 1 + 3 + 2 * 3, "{at} {fault:?}: {names:?}");
        }
    }
}
