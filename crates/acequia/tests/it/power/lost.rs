//! The name of `offsets/N` is not synced: a loss of power may take it from a batch that has begun, which is then decided
//! anew, perhaps otherwise, and from one that is done, which needs it no more.

use super::*;
use acequia::SessionBuilder;
use acequia_core::disk::parent;
use std::path::PathBuf;

/// Numbers that are names in a directory of the checkpoint.
fn numbers(image: &Image, directory: &str) -> BTreeSet<u64> {
    let here = image.keys().filter(|path| path.parent().is_some_and(|above| above.ends_with(directory)));
    here.filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_batch_is_lost_or_twice_when_power_takes_all_names_of_offsets() {
    for case in CASES.iter().chain([&LARGE]) {
        let place = Place::new();
        let (expected, ops) = undisturbed(&place, case).await;
        let own = |op: &Op| matches!(op, Op::Link(_, to) if parent(to).ends_with("state"));
        assert_eq!(ops.iter().any(own), case.name == LARGE.name, "{}: segments of their own", case.name);
        let (mut model, mut begun, mut done) = (Model::of(&place.empty()), 0, 0);
        for (cut, op) in ops.iter().enumerate() {
            let decides = matches!(op, Op::Link(_, to) if parent(to).ends_with("commits"));
            let decided = matches!(op, Op::SyncDirectory(path) if path.ends_with("commits"));
            if decides {
                let what = format!("{}: before step {cut}, {op:?}", case.name);
                let image = model.image_losing_names_in("offsets");
                assert!(numbers(&image, "offsets").is_empty(), "{what}: {:?}", image.keys());
                recovers(&place, case, &image, &expected, &what).await;
                begun += 1;
            }
            model.take(op);
            if decided {
                let what = format!("{}: after step {cut}, {op:?}", case.name);
                let image = model.image_losing_names_in("offsets");
                assert!(numbers(&image, "offsets").is_empty(), "{what}: {:?}", image.keys());
                assert_eq!(numbers(&image, "commits").len(), begun, "{what}");
                recovers(&place, case, &image, &expected, &what).await;
                done += 1;
            }
        }
        assert!(begun >= 5 && begun == done, "{}: {begun} {done}", case.name);
    }
}

/// A disk that is gone once a batch is about to be decided.
#[derive(Debug)]
struct GoneAt {
    commit: PathBuf,
    gone: std::sync::atomic::AtomicBool,
}

impl DiskObserver for GoneAt {
    fn before(&self, step: Step<'_>) -> io::Result<()> {
        if matches!(step, Step::Link(_, to) if to == self.commit) {
            self.gone.store(true, Ordering::SeqCst);
        }
        if self.gone.load(Ordering::SeqCst) { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
    }
}

/// Runs a count per key over the files of a directory, so many of them a batch.
async fn count(root: &Path, files_per_batch: usize, disk: Disk) -> Result<()> {
    let session = SessionBuilder::default().retry(RetryPolicy::NEVER).disk(disk).build()?;
    let root = root.display();
    let sql = format!(
        "CREATE STREAM f (k BIGINT) WITH (connector = 'file', path = '{root}/in', format = 'json', max_files_per_batch = '{files_per_batch}');
         CREATE SINK o WITH (connector = 'file', path = '{root}/out', format = 'json');
         INSERT INTO o SELECT k, count(*) AS n FROM f GROUP BY k EMIT CHANGES TRIGGER AVAILABLE NOW WITH (name = 'q', checkpoint = '{root}/chk')"
    );
    session.sql(&sql).await?;
    for query in session.queries() {
        query.handle.await_termination().await?;
    }
    Ok(())
}

/// Batch 2 has run and staged its output when the power goes. The next run makes it of more files than before, some of
/// which were not there; the changes still add up to what all files hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batch_whose_offsets_were_lost_may_become_another_one() {
    for offsets_lost in [false, true] {
        let place = Place::new();
        let add = |n: usize| {
            std::fs::create_dir_all(place.root().join("in")).unwrap();
            let (hidden, shown) = (place.root().join("hidden"), place.root().join(format!("in/{n}.json")));
            std::fs::write(&hidden, format!("{{\"k\":{n}}}\n{{\"k\":7}}\n")).unwrap();
            std::fs::rename(hidden, shown).unwrap();
        };
        (0..4).for_each(add);
        let commit = place.root().canonicalize().unwrap().join("chk/commits/2");
        let gone = GoneAt { commit, gone: Default::default() };
        count(place.root(), 1, Disk::observed(Arc::new(gone))).await.unwrap_err();
        let offsets = place.root().join("chk/offsets/2");
        assert!(offsets.exists() && !place.root().join("chk/commits/2").exists());
        if offsets_lost {
            std::fs::remove_file(offsets).unwrap();
        }
        (4..6).for_each(add);
        count(place.root(), 4, Disk::default()).await.unwrap();
        let mut sums = std::collections::BTreeMap::<i64, i64>::new();
        for row in place.rows() {
            let row: serde_json::Value = serde_json::from_str(&row).unwrap();
            let number = |name: &str| row[name].as_i64().unwrap_or_else(|| panic!("{row}"));
            let sign = if row["op"].as_str().unwrap().starts_with('+') { 1 } else { -1 };
            *sums.entry(number("k")).or_default() += sign * number("n");
        }
        let expected = (0..6).map(|k| (k, 1)).chain([(7, 6)]);
        sums.retain(|_, n| *n != 0);
        assert_eq!(sums, expected.collect(), "offsets lost: {offsets_lost}");
        let commit = std::fs::read(place.root().join("chk/commits/2")).unwrap();
        let record = commit.split(|byte| *byte == b'\n').nth(1).unwrap();
        let record: serde_json::Value = serde_json::from_slice(record).unwrap();
        let source = &record["offsets"]["sources"][0];
        let files = source["end"]["files"].as_u64().unwrap() - source["start"]["files"].as_u64().unwrap();
        assert_eq!(files > 1, offsets_lost, "files of batch 2: {source}");
    }
}
