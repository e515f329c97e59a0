//! The law on a local disk: whatever step a process dies at, whatever a loss of power leaves, and whatever a disk
//! refuses, the next run goes on and the output is that of an undisturbed run. Checkpoint and output are on one disk,
//! every step on which is recorded.

mod lost;
mod model;

use crate::durability::lines;
use acequia::{Error, ErrorKind, Result, RetryPolicy, Session};
use acequia_core::disk::{Disk, DiskObserver, Step};
use model::{Image, Model, Op, Tape, materialize};
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use tokio::sync::oneshot;

/// Events of five small batches of bids.
const EVENTS: usize = 400;

/// A query and the sink that it writes to.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    sink: &'static str,
    query: &'static str,
}

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "stateless",
        sink: "connector = 'file', format = 'json'",
        query: "SELECT auction, price * 2 AS p FROM b WHERE price % 3 = 0 EMIT APPEND",
    },
    Case {
        name: "stateless to Parquet, compacted",
        sink: "connector = 'parquet', compact = 'true'",
        query: "SELECT auction, price FROM b WHERE price % 3 = 0 EMIT APPEND",
    },
    Case {
        name: "windows, partitioned and compacted",
        sink: "connector = 'file', format = 'json', partition_by = 'parity', compact = 'true'",
        query: "SELECT window(date_time, '10 seconds') AS w, auction % 2 AS parity, count(*) AS n FROM b GROUP BY window(date_time, '10 seconds'), auction % 2 EMIT APPEND",
    },
    Case {
        name: "changes of an aggregate",
        sink: "connector = 'file', format = 'csv', header = 'false'",
        query: "SELECT bidder % 5 AS k, count(*) AS n, sum(price) AS total FROM b GROUP BY bidder % 5 EMIT CHANGES",
    },
    Case {
        name: "sessions",
        sink: "connector = 'file', format = 'json'",
        query: "SELECT session_window(date_time, '300 milliseconds') AS w, bidder % 9 AS k, count(*) AS n FROM b GROUP BY session_window(date_time, '300 milliseconds'), bidder % 9 EMIT APPEND",
    },
    Case {
        name: "distinct",
        sink: "connector = 'file', format = 'json'",
        query: "SELECT DISTINCT bidder % 40 AS k FROM b EMIT APPEND",
    },
];

/// A query the state of whose batches is too large to go with their commits.
const LARGE: Case = Case {
    name: "large state",
    sink: "connector = 'file', format = 'json'",
    query: "SELECT n, total FROM (SELECT key, count(*) AS n, sum(price) AS total FROM (SELECT sha512(concat(price, ' ', auction, ' ', k)) AS key, price FROM (SELECT auction, price, unnest(range(0, 20)) AS k FROM b)) GROUP BY key) WHERE total % 97 = 0 EMIT CHANGES",
};

/// One directory with checkpoint and output, filled again and again.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    fn empty(&self) -> Image {
        Image::from([(self.root().to_owned(), None)])
    }

    /// Runs a case until its stream ends, as a new process would.
    async fn run(&self, case: &Case, tape: &Arc<Tape>) -> Result<()> {
        self.run_over(EVENTS, case, Disk::observed(Arc::clone(tape) as _)).await
    }

    /// Runs a case over so many events.
    pub(crate) async fn run_over(&self, events: usize, case: &Case, disk: Disk) -> Result<()> {
        let twice = RetryPolicy { tries: 2, ..RetryPolicy::NEVER };
        let session = Session::builder().disk(disk).retry(twice).build()?;
        let stream = format!(
            "CREATE STREAM b (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time)
             WITH (connector = 'nexmark', table = 'bid', events = '{events}', events_per_second = '10', max_rows_per_batch = '80', seed = '1');"
        );
        let root = self.root().display();
        let insert = format!("INSERT INTO o {} WITH (name = 'q', checkpoint = '{root}/chk')", case.query);
        session
            .sql(&format!("{stream} CREATE SINK o WITH ({}, path = '{root}/out'); {insert}", case.sink))
            .await?;
        for query in session.queries() {
            query.handle.await_termination().await?;
        }
        Ok(())
    }

    /// Every row that a reader who knows nothing of us finds, sorted. Partition columns are in the rows' path only.
    pub(crate) fn rows(&self) -> Vec<String> {
        let mut rows = vec![];
        collect(&self.root().join("out"), "", &mut rows);
        rows.sort();
        rows
    }
}

fn collect(directory: &Path, partition: &str, rows: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with(['_', '.']) {
            continue;
        }
        if path.is_dir() {
            collect(&path, &format!("{partition}{name} "), rows);
        } else if name.ends_with(".parquet") {
            let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap());
            let batches = reader.unwrap_or_else(|e| panic!("torn: {}: {e}", path.display())).build().unwrap();
            rows.extend(batches.flat_map(|batch| lines(&batch.unwrap(), partition)));
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'), "torn: {}", path.display());
            rows.extend(text.lines().map(|line| format!("{partition}{line}")));
        }
    }
}

/// Whether every row of `part` is in `whole` as often.
fn contains(whole: &[String], part: &[String]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|row| rest.any(|other| other == row))
}

/// What an undisturbed run gives, and its steps.
async fn undisturbed(place: &Place, case: &Case) -> (Vec<String>, Vec<Op>) {
    let tape = Arc::new(Tape::default());
    place.run(case, &tape).await.unwrap();
    let rows = place.rows();
    assert!(rows.len() > 5, "{}: {rows:?}", case.name);
    (rows, tape.ops())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_is_the_same_after_every_loss_of_power() {
    let (mut cuts, mut images, mut second) = (0, 0, 0);
    for (seed, case) in CASES.iter().enumerate() {
        let place = Place::new();
        let mut random = SmallRng::seed_from_u64(seed as u64);
        let (expected, ops) = undisturbed(&place, case).await;
        let mut model = Model::of(&place.empty());
        let mut tried = BTreeSet::new();
        for (cut, op) in ops.iter().enumerate() {
            model.take(op);
            cuts += 1;
            for image in model.images(&mut random) {
                if tried.contains(&image) {
                    continue;
                }
                let what = format!("{}: power is lost after step {cut}, {op:?}", case.name);
                let steps = recovers(&place, case, &image, &expected, &what).await;
                images += 1;
                if random.random_ratio(1, 20) {
                    let (again, what) = cut_again(&image, &steps, &mut random, &what);
                    recovers(&place, case, &again, &expected, &what).await;
                    second += 1;
                }
                tried.insert(image);
            }
        }
    }
    println!(
        "{} queries, {cuts} steps, {images} disks left by a loss of power, {second} by a second one",
        CASES.len()
    );
    assert!(images > 500 && second > 20, "{images} {second}");
}

/// Goes on from an image; gives the steps of the recovery.
async fn recovers(place: &Place, case: &Case, image: &Image, expected: &[String], what: &str) -> Vec<Op> {
    materialize(place.root(), image);
    let before = place.rows();
    assert!(contains(expected, &before), "{what}: rows that were never decided, or twice: {before:?}");
    let tape = Arc::new(Tape::default());
    place.run(case, &tape).await.unwrap_or_else(|e| panic!("{what}: {e}\n{:?}", image.keys()));
    assert_eq!(place.rows(), expected, "{what}");
    tape.ops()
}

/// A disk that a second loss of power leaves, in the middle of the recovery.
fn cut_again(image: &Image, steps: &[Op], random: &mut SmallRng, what: &str) -> (Image, String) {
    let mut model = Model::of(image);
    let cut = random.random_range(0..steps.len());
    steps[..cut].iter().for_each(|op| model.take(op));
    let images = model.images(random);
    let at = random.random_range(0..images.len());
    let again = images.into_iter().nth(at).unwrap();
    (again, format!("{what}, and once more after step {cut} of the recovery"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_that_refuses_a_step_stops_the_query_with_its_reason_and_loses_nothing() {
    let mut refusals = 0;
    for case in CASES {
        let place = Place::new();
        let (expected, ops) = undisturbed(&place, case).await;
        for (step, op) in ops.iter().enumerate() {
            materialize(place.root(), &place.empty());
            let (error, kind) = match step % 3 {
                0 => (io::ErrorKind::StorageFull, ErrorKind::ResourceExhausted),
                1 => (io::ErrorKind::PermissionDenied, ErrorKind::Invalid),
                _ => (io::ErrorKind::Other, ErrorKind::Unavailable),
            };
            let what = format!("{}: the disk refuses step {step}, {op:?}, with {error:?}", case.name);
            let refused = place.run(case, &Arc::new(Tape::failing_from(step, error))).await;
            assert!(contains(&expected, &place.rows()), "{what}");
            match refused {
                Err(e) => assert_names_a_place(&e, kind, place.root(), &what),
                // Only cleaning up was refused.
                Ok(()) => assert_eq!(place.rows(), expected, "{what}"),
            }
            place.run(case, &Arc::default()).await.unwrap_or_else(|e| panic!("{what}, then: {e}"));
            assert_eq!(place.rows(), expected, "{what}");
            refusals += 1;
        }
    }
    println!("{} queries, {refusals} steps refused by the disk", CASES.len());
}

/// A process that falls asleep before one of its steps, and is woken later.
#[derive(Debug)]
struct Sleeper {
    falls_asleep_at: usize,
    steps: AtomicUsize,
    asleep: Mutex<Option<oneshot::Sender<()>>>,
    wake: Mutex<mpsc::Receiver<()>>,
}

impl DiskObserver for Sleeper {
    fn before(&self, _step: Step<'_>) -> io::Result<()> {
        if self.steps.fetch_add(1, Ordering::SeqCst) == self.falls_asleep_at
            && let Some(asleep) = self.asleep.lock().take()
        {
            let _ = asleep.send(());
            let _ = self.wake.lock().recv();
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process_that_sleeps_at_any_step_while_another_takes_over_changes_nothing() {
    let (mut sleeps, mut fenced) = (0, 0);
    for case in &CASES[1..4] {
        let place = Arc::new(Place::new());
        let (expected, ops) = undisturbed(&place, case).await;
        for step in (0..ops.len()).step_by(4) {
            materialize(place.root(), &place.empty());
            let ((asleep, sleeps_now), (wake, woken)) = (oneshot::channel(), mpsc::channel());
            let sleeper = Sleeper {
                falls_asleep_at: step,
                steps: AtomicUsize::new(0),
                asleep: Mutex::new(Some(asleep)),
                wake: Mutex::new(woken),
            };
            let what = format!("{}: asleep before step {step}, {:?}", case.name, ops[step]);
            // It may sleep before its query has a thread, and then holds one of the runtime's.
            let (bed, disk) = (Arc::clone(&place), Disk::observed(Arc::new(sleeper)));
            let old = tokio::spawn(async move { bed.run_over(EVENTS, case, disk).await });
            // A run that ends before that step never sleeps.
            let _ = sleeps_now.await;
            let newer = place.run(case, &Arc::default()).await;
            newer.unwrap_or_else(|e| panic!("{what}: the newer run: {e}"));
            assert_eq!(place.rows(), expected, "{what}: while the old one sleeps");
            wake.send(()).ok();
            let old = old.await.unwrap();
            assert_eq!(place.rows(), expected, "{what}: after it has woken");
            sleeps += 1;
            // Without an error only cleaning up was left.
            if let Err(e) = old {
                // One that had not begun yet is told so when what it was writing is gone.
                let other = e.message().contains("another process has opened this directory");
                assert!(e.kind() == ErrorKind::Fenced || other, "{what}: {e:?}");
                fenced += 1;
            }
        }
    }
    println!("3 queries, {sleeps} old runs that slept, {fenced} of them stopped when they woke");
    assert!(fenced * 10 > sleeps * 8, "{fenced} of {sleeps}");
}

fn assert_names_a_place(error: &Error, kind: ErrorKind, root: &Path, what: &str) {
    assert_eq!(error.kind(), kind, "{what}: {error}");
    let places = ["chk", "out", "offsets/", "commits/", "epochs/", "state/", "metadata.json"];
    let named = error.message().contains(&root.display().to_string())
        || places.iter().any(|place| error.message().contains(place));
    assert!(named, "{what}: no place is named: {error}");
}

#[test]
fn rows_of_an_image_are_part_of_the_expected_ones_when_none_is_twice() {
    let rows = |rows: &[&str]| rows.iter().map(ToString::to_string).collect::<Vec<_>>();
    let whole = rows(&["a", "b", "b", "c"]);
    assert!(contains(&whole, &rows(&["a", "b", "b"])) && contains(&whole, &[]));
    assert!(!contains(&whole, &rows(&["a", "a"])) && !contains(&whole, &rows(&["d"])));
}
