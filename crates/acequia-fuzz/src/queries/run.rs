//! Runs cases and says what became of them.

use super::crash::through_deaths;
use super::{Case, reduced};
use crate::block_on;
use acequia::{Error, ErrorKind, Session};
use acequia_sqltest::variant;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long one case may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Bytes of stack of a thread that runs cases: plans are walked by recursion, whose frames are large in a debug build.
const STACK: usize = 32 << 20;

/// How many characters of a message tell its reason.
const REASON: usize = 120;

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No difference from the batch answer.
    Right {
        /// How many comparisons were made.
        checks: usize,
        /// How many runs died on the way.
        deaths: usize,
    },
    /// Refused as `Unsupported`, with its message.
    Refused(String),
    /// DataFusion itself does not run it over tables, and its message.
    Thrown(String),
    /// The answer was another one, or there was none.
    Wrong(String),
}

/// Runs a case.
pub fn run(case: &Case) -> Outcome {
    let ran = catch_unwind(AssertUnwindSafe(|| block_on(tested(case))));
    ran.unwrap_or_else(|_| Outcome::Wrong("panicked".into()))
}

async fn tested(case: &Case) -> Outcome {
    let scratch = match tempfile::tempdir() {
        Ok(scratch) => scratch,
        Err(e) => return Outcome::Wrong(format!("no place for checkpoints: {e}")),
    };
    let sql = case.sql();
    let run = Box::pin(variant::run(&sql, scratch.path(), case.variant));
    match tokio::time::timeout(TIME_LIMIT, run).await {
        Ok(Ok(transcript)) => match through_deaths(case, scratch.path(), &transcript.folds).await {
            Ok(deaths) => Outcome::Right { checks: transcript.checks, deaths },
            Err(failure) => Outcome::Wrong(failure),
        },
        Ok(Err(error)) if is_refusal(&error) => Outcome::Refused(error.to_string()),
        Ok(Err(error)) if is_difference(&error.to_string()) => Outcome::Wrong(error.to_string()),
        Ok(Err(error)) => match as_batch(case).await {
            Ok(()) => Outcome::Wrong(format!("{:?}: {error}", error.kind())),
            Err(thrown) => Outcome::Thrown(thrown.to_string()),
        },
        Err(_) => Outcome::Wrong(format!("not done after {} s", TIME_LIMIT.as_secs())),
    }
}

/// Whether the query was refused when it was planned; the oracle itself must answer all that runs.
fn is_refusal(error: &Error) -> bool {
    error.kind() == ErrorKind::Unsupported && !error.to_string().contains("batch oracle")
}

fn is_difference(message: &str) -> bool {
    message.contains("is not the batch answer")
}

/// What DataFusion says of the query over tables.
async fn as_batch(case: &Case) -> Result<(), Error> {
    // A table has no versions.
    if case.query.contains("SYSTEM_TIME") {
        return Ok(());
    }
    Session::new()?.sql(&case.as_tables()).await.map(drop)
}

/// The kind of a failure, which a smaller case must share.
pub(super) fn kind(failure: &str) -> String {
    if is_difference(failure) {
        return "difference".into();
    }
    // What stands in quotes is of the case.
    let unquoted: String = failure.split('`').step_by(2).collect();
    unquoted.chars().filter(|c| !c.is_ascii_digit()).take(REASON).collect()
}

/// Counts over cases, each with an example.
#[derive(Debug, Default)]
pub struct Summary {
    /// Cases whose answers were right.
    pub right: u64,
    /// Comparisons with the batch answer.
    pub checks: usize,
    /// Runs that died, of queries that went on to the right answer.
    pub deaths: usize,
    /// Refusals by reason: how many, and a seed.
    pub refused: BTreeMap<String, (u64, u64)>,
    /// What was thrown away, by reason.
    pub thrown: BTreeMap<String, (u64, u64)>,
    /// What went wrong, reduced, by seed: a ready .sql file.
    pub wrong: BTreeMap<u64, String>,
}

impl Summary {
    /// How many were refused.
    pub fn refusals(&self) -> u64 {
        self.refused.values().map(|(count, _)| count).sum()
    }

    /// How many were thrown away.
    pub fn thrown_away(&self) -> u64 {
        self.thrown.values().map(|(count, _)| count).sum()
    }

    fn count(&mut self, seed: u64, outcome: Outcome) {
        let reasons = match outcome {
            Outcome::Right { checks, deaths } => {
                self.right += 1;
                self.checks += checks;
                self.deaths += deaths;
                return;
            }
            Outcome::Wrong(file) => {
                self.wrong.insert(seed, file);
                return;
            }
            Outcome::Refused(_) => &mut self.refused,
            Outcome::Thrown(_) => &mut self.thrown,
        };
        if let Outcome::Refused(message) | Outcome::Thrown(message) = outcome {
            reasons.entry(kind(&message)).or_insert((0, seed)).0 += 1;
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} right in {} comparisons and after {} crashes, {} refused, {} thrown away, {} wrong",
            self.right,
            self.checks,
            self.deaths,
            self.refusals(),
            self.thrown_away(),
            self.wrong.len()
        )?;
        for (what, reasons) in [("refused", &self.refused), ("thrown away", &self.thrown)] {
            for (reason, (count, seed)) in reasons {
                writeln!(f, "{what} {count} times, as seed {seed}: {reason}")?;
            }
        }
        self.wrong.iter().try_for_each(|(seed, file)| writeln!(f, "-- seed {seed}\n{file}"))
    }
}

/// Runs the cases of the seeds, so many at the same time, and reduces those that fail; `tell` is told of each failure
/// as it comes.
pub fn check(seeds: Range<u64>, jobs: usize, tell: impl Fn(u64, &str) + Sync) -> Summary {
    let (next, summary) = (AtomicU64::new(seeds.start), Mutex::new(Summary::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = one(seed);
            if let Outcome::Wrong(file) = &outcome {
                tell(seed, file);
            }
            summary.lock().unwrap_or_else(|e| e.into_inner()).count(seed, outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let spawned = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
            spawned.unwrap_or_else(|e| unreachable!("a thread starts: {e}"));
        }
    });
    summary.into_inner().unwrap_or_else(|e| e.into_inner())
}

/// The case of a seed; in CHANGES, which all incremental queries have, if its own mode is not for it.
fn one(seed: u64) -> Outcome {
    let mut case = Case::of(seed);
    let mut outcome = run(&case);
    if matches!(outcome, Outcome::Refused(_)) && case.mode != "CHANGES" {
        case.mode = "CHANGES";
        outcome = run(&case);
    }
    match outcome {
        Outcome::Wrong(failure) => Outcome::Wrong(reduced(&case, &failure)),
        other => other,
    }
}
