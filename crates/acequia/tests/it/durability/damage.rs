//! Damaged files: whatever becomes of one file of the checkpoint, or of what the sink keeps for itself, the next run
//! names it or gives the undisturbed output.

use super::files::{Disk, finish};
use super::*;
use acequia::ErrorKind;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path as FilePath, PathBuf};

const STATEMENTS: &str = "
CREATE STREAM lines (k BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts) WITH (connector = 'file', path = '{in}', format = 'json', max_files_per_batch = '1');
CREATE SINK o WITH (connector = 'file', path = '{out}', format = 'json');
INSERT INTO o SELECT k % 3 AS k, count(*) AS n, sum(v) AS total FROM lines GROUP BY k % 3
EMIT CHANGES TRIGGER AVAILABLE NOW WITH (name = 'q', checkpoint = '{chk}');";

/// What becomes of a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Half,
    Empty,
    /// A bit in the middle of this third of the file.
    Flip(usize),
    Removed,
    Garbage,
}

impl Damage {
    fn all() -> impl Iterator<Item = Self> {
        (0..3).map(Self::Flip).chain([Self::Half, Self::Empty, Self::Removed, Self::Garbage])
    }

    fn apply(self, path: &FilePath) {
        let mut bytes = fs::read(path).unwrap();
        match self {
            Self::Half => bytes.truncate(bytes.len() / 2),
            Self::Empty => bytes.clear(),
            Self::Flip(third) => {
                let at = bytes.len() * (2 * third + 1) / 6;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << third;
                }
            }
            Self::Removed => return fs::remove_file(path).unwrap(),
            Self::Garbage => bytes = b"\0\xff{\"not\": ours}".to_vec(),
        }
        fs::write(path, bytes).unwrap();
    }
}

/// Every file below some directories, with its content.
type Snapshot = BTreeMap<PathBuf, Vec<u8>>;

fn collect(directory: &FilePath, into: &mut Snapshot) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, into),
            false => drop(into.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
}

fn snapshot(disk: &Disk) -> Snapshot {
    let mut snapshot = Snapshot::new();
    ["chk", "out"].iter().for_each(|name| collect(&disk.path(name), &mut snapshot));
    snapshot
}

fn put_back(disk: &Disk, snapshot: &Snapshot) {
    ["chk", "out"].iter().for_each(|name| fs::remove_dir_all(disk.path(name)).unwrap());
    for (path, content) in snapshot {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// The rows that a reader of the directory finds, sorted.
fn output(disk: &Disk) -> Vec<String> {
    let files = fs::read_dir(disk.path("out")).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file() && path.extension().is_some_and(|e| e == "json"));
    let lines = files.flat_map(|path| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(str::to_string).collect::<Vec<_>>()
    });
    let mut lines: Vec<_> = lines.collect();
    lines.sort();
    lines
}

async fn run(disk: &Disk) -> Result<()> {
    let session = SessionBuilder::default().retry(RetryPolicy::NEVER).build()?;
    session.sql(&disk.sql(STATEMENTS)).await?;
    finish(&session).await
}

fn add(disk: &Disk, files: std::ops::Range<i64>) {
    for n in files {
        let line = |k: i64| format!("{{\"k\":{k},\"v\":{n},\"ts\":\"2024-01-01T00:00:{n:02}\"}}\n");
        disk.add(&format!("{n:02}.json"), &(line(n) + &line(n + 1)));
    }
}

/// A disk on which a query has run several times, what is on it, and what one more run over more files gives.
async fn disk_with_history() -> (Disk, Snapshot, Vec<String>) {
    let disk = Disk::new();
    for n in 0..3 {
        add(&disk, n * 3..n * 3 + 3);
        run(&disk).await.unwrap();
    }
    let before = snapshot(&disk);
    add(&disk, 9..11);
    run(&disk).await.unwrap();
    let expected = output(&disk);
    assert!(expected.len() > 25, "{expected:?}");
    (disk, before, expected)
}

/// Whether every row of `part` is in `whole` as often; both are sorted.
fn contains(whole: &[String], part: &[String]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|row| rest.any(|other| other == row))
}

fn is_private(disk: &Disk, path: &FilePath) -> bool {
    path.starts_with(disk.path("chk")) || path.starts_with(disk.path("out").join("_acequia"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_file_is_named_or_does_no_harm() {
    let (disk, before, expected) = disk_with_history().await;
    let (mut kinds, mut named, mut harmless, mut wrong) = (BTreeSet::new(), 0, 0, vec![]);
    for path in before.keys().filter(|path| is_private(&disk, path)) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        kinds.insert(path.parent().unwrap().file_name().unwrap().to_owned());
        // A segment of a file log that is gone is told by the number in its name; how often it was merged is not known.
        let name = if path.parent().unwrap().ends_with("files") {
            name.split('.').next().unwrap().to_string()
        } else {
            name
        };
        for damage in Damage::all() {
            put_back(&disk, &before);
            damage.apply(path);
            let ran = tokio::time::timeout(DEADLINE, run(&disk)).await.expect("no damage makes a run hang");
            let what = format!("{damage:?} {}", path.display());
            match ran {
                Ok(()) if output(&disk) == expected => harmless += 1,
                Ok(()) => wrong.push(format!("{what}: {} rows of {}", output(&disk).len(), expected.len())),
                Err(e) if !matches!(e.kind(), ErrorKind::Data | ErrorKind::Invalid) => {
                    wrong.push(format!("{what}: {:?}: {e}", e.kind()));
                }
                Err(e) if !e.message().contains(&name) => wrong.push(format!("{what}: unnamed: {e}")),
                Err(_) if !contains(&expected, &output(&disk)) => wrong.push(format!("{what}: wrong rows")),
                Err(_) => named += 1,
            }
        }
    }
    println!("directories {kinds:?}: {named} damages named, {harmless} without harm");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(named > 60, "{named}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_others_do_no_harm() {
    let (disk, before, expected) = disk_with_history().await;
    let private = before.keys().filter(|path| is_private(&disk, path));
    let directories: BTreeSet<_> = private.map(|path| path.parent().unwrap().to_owned()).collect();
    for directory in &directories {
        for name in [".DS_Store", "7~", "notes.txt", "#7#", "99999999999999999999999"] {
            put_back(&disk, &before);
            fs::write(directory.join(name), "somebody else's").unwrap();
            let what = format!("{name} in {}", directory.display());
            run(&disk).await.unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(output(&disk), expected, "{what}");
        }
    }
    assert!(directories.len() >= 6, "{directories:?}");
}
