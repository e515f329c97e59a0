//! Checkpoints that earlier versions wrote, kept in `tests/data`: every later version goes on with them.

use crate::records::{commit, offsets};
use crate::state::{contents, deltas, expected};
use acequia_core::disk::Disk;
use acequia_core::{BatchId, ErrorKind, QueryId};
use acequia_state::{Checkpoint, CommitOutcome, open_store};
use object_store::path::Path;
use std::path::PathBuf;

/// What is in the kept checkpoint: this many batches done, and one more begun.
const BATCHES: u64 = 10;

/// By the format that it was written in.
fn kept(format: u32) -> PathBuf {
    PathBuf::from(format!("{}/tests/data/checkpoint-{format}", env!("CARGO_MANIFEST_DIR")))
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn checkpoint_of_format_1_is_continued() {
    let dir = tempfile::tempdir().unwrap();
    copy(&kept(1), dir.path());
    goes_on(dir.path()).await;
}

#[tokio::test]
async fn checkpoint_of_format_2_is_continued() {
    let dir = tempfile::tempdir().unwrap();
    copy(&kept(2), dir.path());
    goes_on(dir.path()).await;
}

#[tokio::test]
async fn checkpoint_of_format_1_needs_the_offsets_of_its_last_batch() {
    let dir = tempfile::tempdir().unwrap();
    copy(&kept(1), dir.path());
    std::fs::remove_file(dir.path().join("offsets/9")).unwrap();
    let (store, prefix) = open_store(dir.path().to_str().unwrap(), &Disk::default()).unwrap();
    let error = Checkpoint::open(store, prefix).await.unwrap().latest().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("offsets/9"), "{error}");
}

/// What is to be kept when the format changes: copy this directory under the new format's name.
#[tokio::test]
async fn checkpoint_written_today_is_continued_like_a_kept_one() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path()).await;
    goes_on(dir.path()).await;
}

async fn goes_on(directory: &std::path::Path) {
    let (store, prefix) = open_store(directory.to_str().unwrap(), &Disk::default()).unwrap();
    let run = Checkpoint::open(store, prefix).await.unwrap();
    assert_eq!((run.query().0.as_str(), run.epoch().0), ("kept", 2));
    let latest = run.latest().await.unwrap();
    assert_eq!(latest.offsets.unwrap(), offsets(BATCHES, acequia_core::Epoch(1)));
    let done = latest.commit.unwrap();
    assert_eq!(done, commit(BATCHES - 1, acequia_core::Epoch(1), done.state.clone()));
    assert_eq!(done.state.segments.len(), 3, "one merged segment and two as sealed");
    let mut state = run.state_store();
    let reader = state.restore(&done.state).await.unwrap();
    assert_eq!(reader.tables()[0], crate::state::table());
    assert_eq!(contents(&reader).await.unwrap(), expected(BATCHES - 1));
    let manifest = state.seal(BatchId(BATCHES), deltas(BATCHES)).await.unwrap();
    let outcome = run.write_commit(&commit(BATCHES, run.epoch(), manifest.clone())).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Committed);
    assert_eq!(contents(&state.read(&manifest).await.unwrap()).await.unwrap(), expected(BATCHES));
}

async fn write(directory: &std::path::Path) {
    let (store, _) = open_store(directory.to_str().unwrap(), &Disk::default()).unwrap();
    let run = Checkpoint::open_as(store, Path::default(), || QueryId("kept".into())).await.unwrap();
    let mut state = run.state_store();
    for n in 0..BATCHES {
        run.write_offsets(&offsets(n, run.epoch())).await.unwrap();
        let manifest = state.seal(BatchId(n), deltas(n)).await.unwrap();
        run.write_commit(&commit(n, run.epoch(), manifest)).await.unwrap();
        run.purge(2).await.unwrap();
    }
    run.write_offsets(&offsets(BATCHES, run.epoch())).await.unwrap();
}
