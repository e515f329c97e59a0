//! A case whose process dies before steps on its disk, one run after the other, and goes on from the checkpoint.
//!
//! Every run is a session of its own over the same directory, as that of a new process: streams are handed again what
//! they had got, then the query goes on and the steps that are left follow. A death takes the disk away for the rest of
//! the run; of a write half of the bytes are left. What the files of the sink hold is never more than once, and in the
//! end what the undisturbed run gave, which the oracle has compared with batch.

use super::Case;
use super::case::statements;
use acequia::{OutputMode, Result, RetryPolicy, Session, Shards};
use acequia_core::disk::{Disk, DiskObserver, Step};
use acequia_core::{Clock, Error, ManualClock, Timestamp};
use acequia_sqltest::oracle::Fold;
use acequia_sqltest::variant::{START, TICK};
use arrow::ipc::reader::FileReader;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// In how many shards the runs are, one after the other.
const SHARDS: [usize; 4] = [1, 4, 2, 7];

/// A disk that is gone from one of its steps on, counted from 1.
#[derive(Debug)]
struct Dying {
    before: Option<usize>,
    taken: AtomicUsize,
}

impl Dying {
    fn is_dead(&self) -> bool {
        self.before.is_some_and(|before| self.taken.load(Ordering::SeqCst) >= before)
    }
}

impl DiskObserver for Dying {
    fn before(&self, _step: Step<'_>) -> io::Result<()> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        if self.is_dead() { Err(io::Error::other("the process has died")) } else { Ok(()) }
    }
}

/// What outlives a run.
struct World<'a> {
    case: &'a Case,
    directory: &'a Path,
    clock: ManualClock,
    /// How many steps of the case the streams have got.
    reached: usize,
    runs: usize,
}

/// Runs a case through its deaths; how many of its runs died.
///
/// # Errors
/// What went wrong, as text.
pub(super) async fn through_deaths(
    case: &Case,
    directory: &Path,
    expected: &[Fold],
) -> Result<usize, String> {
    let ([expected], false) = (expected, case.deaths.is_empty()) else { return Ok(0) };
    let mut died = 0;
    let mut world = World { case, directory, clock: ManualClock::at(START), reached: 0, runs: 0 };
    let lives = case.deaths.iter().copied().map(Some).chain([None]);
    for (run, before) in lives.enumerate() {
        let disk = Arc::new(Dying { before, taken: AtomicUsize::new(0) });
        let ran = world.run(&disk).await;
        let told = |what: &str, e: Error| format!("run {} over files, {what}: {:?}: {e}", run + 1, e.kind());
        if let Err(e) = ran
            && !disk.is_dead()
        {
            return Err(told("which did not die", e));
        }
        died += usize::from(disk.is_dead());
        let files = world.files().map_err(|e| told("its files", e))?;
        // Nothing is taken back that was not given.
        files.rows().map_err(|e| told("its files", e))?;
        if run < case.deaths.len() {
            continue;
        }
        let difference = expected.difference(&files).map_err(|e| told("its files", e))?;
        if let Some(difference) = difference {
            return Err(format!("what the files hold is not the batch answer:\n{difference}"));
        }
    }
    Ok(died)
}

impl World<'_> {
    /// A run, up to its death or the end.
    async fn run(&mut self, disk: &Arc<Dying>) -> Result<()> {
        let shards = self.case.shards.unwrap_or(1) + SHARDS[self.runs % SHARDS.len()] - 1;
        self.runs += 1;
        let session = Session::builder()
            .clock(Arc::new(self.clock.clone()))
            .disk(Disk::observed(Arc::clone(disk) as _))
            // A process that dies does not try again.
            .retry(RetryPolicy::NEVER)
            .shards(Shards::new(shards)?)
            .build()?;
        let ran = self.statements(&session).await;
        let stopped = session.stop_all().await;
        ran.and(stopped)
    }

    async fn statements(&mut self, session: &Session) -> Result<()> {
        let (case, directory) = (self.case, self.directory.display());
        session.sql(&case.objects(true)).await?;
        session
            .sql(&format!(
                "CREATE SINK files WITH (connector = 'file', format = 'arrow', path = '{directory}/files')"
            ))
            .await?;
        for statement in case.steps[..self.reached].iter().flat_map(statements) {
            session.sql(&statement).await?;
        }
        let (query, mode) = (&case.query, case.mode);
        session
            .sql(&format!(
                "INSERT INTO files {query} EMIT {mode} WITH (name = 'q', checkpoint = '{directory}/checkpoint')"
            ))
            .await?;
        settle(session).await?;
        let mut ticks = case.steps[..self.reached].iter().map(|step| statements(step).len()).sum();
        for step in &case.steps[self.reached..] {
            let statements = statements(step);
            for (number, statement) in statements.iter().enumerate() {
                ticks += 1;
                self.not_before(ticks);
                settle(session).await?;
                // The last one hands the rows over.
                self.reached += usize::from(number + 1 == statements.len());
                session.sql(statement).await?;
                settle(session).await?;
            }
        }
        Ok(())
    }

    /// Makes it the time of a statement, unless a run that died had come further.
    fn not_before(&self, ticks: usize) {
        let time = Timestamp(START.0 + (TICK.as_micros() * ticks as u128) as i64);
        self.clock.set(time.max(self.clock.now()));
    }

    /// What the files of the sink hold, batch after batch.
    fn files(&self) -> Result<Fold> {
        let mode = if self.case.mode == "APPEND" { OutputMode::Append } else { OutputMode::Changes };
        let mut fold = Fold::new(mode, None);
        let Ok(entries) = std::fs::read_dir(self.directory.join("files")) else { return Ok(fold) };
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "arrow") {
                let file = File::open(&path).map_err(unreadable)?;
                let rows = FileReader::try_new(file, None)?.collect::<Result<Vec<_>, _>>()?;
                fold.apply(&rows, &[])?;
            }
        }
        Ok(fold)
    }
}

/// Waits until the query is idle.
async fn settle(session: &Session) -> Result<()> {
    for query in session.queries() {
        query.handle.process_all_available().await?;
    }
    Ok(())
}

fn unreadable(error: io::Error) -> Error {
    Error::data(format!("a file of the sink cannot be read: {error}"))
}
