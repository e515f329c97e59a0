//! How often a batch waits for the disk: what a durable checkpoint adds.

use acequia::Session;
use acequia_core::disk::{Disk, DiskObserver, Step};
use parking_lot::Mutex;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Batches of a run, enough for merges of their state.
const BATCHES: usize = 40;

/// What was synced, by its name.
#[derive(Debug, Default)]
struct Syncs(Mutex<Vec<String>>);

impl DiskObserver for Syncs {
    fn before(&self, step: Step<'_>) -> io::Result<()> {
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        match step {
            // What a file is called for now, but for the number that makes it so.
            Step::Sync(path) => self.0.lock().push(name(path).split('#').next().unwrap().to_string()),
            Step::SyncDirectory(path) => self.0.lock().push(format!("{}/", name(path))),
            _ => {}
        }
        Ok(())
    }
}

/// What each batch of a stateful query syncs, its rows and those of its state being so many.
async fn syncs(checkpoint: bool, rows: usize) -> Vec<Vec<String>> {
    let (directory, seen) = (tempfile::tempdir().unwrap(), Arc::new(Syncs::default()));
    let session = Session::builder().disk(Disk::observed(Arc::clone(&seen) as _)).build().unwrap();
    let with = match checkpoint {
        true => format!("WITH (name = 'q', checkpoint = '{}/chk')", directory.path().display()),
        false => "WITH (name = 'q')".to_string(),
    };
    let query = "SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k EMIT UPDATE";
    let statements = "CREATE STREAM s (k VARCHAR, v BIGINT); CREATE SINK o WITH (connector = 'blackhole');";
    session.sql(&format!("{statements} INSERT INTO o {query} {with}")).await.unwrap();
    let mut batches = vec![];
    for n in 0..BATCHES {
        seen.0.lock().clear();
        let insert = format!(
            "INSERT INTO s SELECT encode(sha256(CAST(value AS VARCHAR)), 'hex'), {n} FROM generate_series(1, {rows})"
        );
        session.sql(&insert).await.unwrap();
        session.process_all_available().await.unwrap();
        batches.push(std::mem::take(&mut *seen.0.lock()));
    }
    let query = session.queries().remove(0);
    assert_eq!(query.handle.last_progress().unwrap().batch_id.0 as usize, BATCHES - 1, "one batch each");
    query.handle.stop().await.unwrap();
    batches
}

#[tokio::test]
async fn durable_batch_of_a_stateful_query_syncs_three_times_more_than_one_without_a_checkpoint() {
    assert!(syncs(false, 20).await.iter().all(Vec::is_empty));
    let durable = syncs(true, 20).await;
    for (n, batch) in durable.iter().enumerate().skip(1) {
        let number = n.to_string();
        assert_eq!(
            *batch,
            [number.as_str(), &number, "commits/"],
            "the content of offsets/{n}, and commits/{n}"
        );
    }
}

/// State of half a MiB a batch has segments of its own.
#[tokio::test]
async fn large_state_is_durable_before_its_commit() {
    let durable = syncs(true, 6_000).await;
    for (n, batch) in durable.iter().enumerate().skip(1) {
        // Merges in the background sync their results at any time, also after the commit.
        let after = |from: usize, is: &dyn Fn(&str) -> bool| {
            batch[from..].iter().position(|synced| is(synced)).map(|place| from + place)
        };
        let segment = after(0, &|name| name.starts_with(&format!("{n}-")));
        let names = segment.and_then(|segment| after(segment, &|name| name == "state/"));
        let commit = names.and_then(|names| after(names, &|name| name == n.to_string()));
        assert!(
            commit.is_some_and(|commit| after(commit, &|name| name == "commits/").is_some()),
            "{batch:?}"
        );
    }
}
