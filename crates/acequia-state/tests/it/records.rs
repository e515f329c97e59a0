//! Records as the runtime would write them.

use acequia_core::{BatchId, Epoch, Offset, Timestamp, Watermark};
use acequia_state::{
    Checkpoint, CommitOutcome, CommitRecord, OffsetRecord, OffsetsOutcome, SourceOffsets, StateManifest,
    WatermarkState,
};
use object_store::ObjectStore;
use object_store::path::Path;
use std::sync::Arc;

pub(crate) fn offsets(batch: u64, epoch: Epoch) -> OffsetRecord {
    let offset = |n: u64| Offset(serde_json::json!(n * 10));
    OffsetRecord {
        batch: BatchId(batch),
        epoch,
        batch_time: Timestamp(batch as i64),
        watermark: WatermarkState { global: Watermark(Some(Timestamp(batch as i64))), ..Default::default() },
        sources: vec![SourceOffsets {
            name: "s".into(),
            start: Some(offset(batch)),
            end: Some(offset(batch + 1)),
        }],
    }
}

pub(crate) fn commit(batch: u64, epoch: Epoch, state: StateManifest) -> CommitRecord {
    CommitRecord {
        batch: BatchId(batch),
        epoch,
        offsets: Some(offsets(batch, epoch)),
        next_watermark: WatermarkState::default(),
        state,
        receipts: vec![],
        operators: vec![],
        rows_in: batch,
    }
}

pub(crate) async fn open(store: &Arc<dyn ObjectStore>) -> Checkpoint {
    Checkpoint::open(Arc::clone(store), Path::from("q")).await.unwrap()
}

/// Batches without state, both records each.
pub(crate) async fn run_batches(checkpoint: &Checkpoint, batches: std::ops::Range<u64>) {
    for n in batches {
        let wrote = checkpoint.write_offsets(&offsets(n, checkpoint.epoch())).await.unwrap();
        assert_eq!(wrote, OffsetsOutcome::Written);
        let done = checkpoint.write_commit(&commit(n, checkpoint.epoch(), StateManifest::default())).await;
        assert_eq!(done.unwrap(), CommitOutcome::Committed);
        checkpoint.purge(3).await.unwrap();
    }
}
