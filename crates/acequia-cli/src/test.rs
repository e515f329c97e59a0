//! `acequia test`.

use acequia_sqltest::suite::Outcome;
use acequia_sqltest::{Suite, Summary};
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The arguments of `test`.
#[derive(Debug, Args)]
#[command(
    after_help = "Beside each name.sql stands name.out, its golden output: what `acequia run name.sql --step
--format json` prints, durations left out, under the statements as comments. Every file also
runs row by row, with all rows at once, with its state in four shards, and with a restart of
its queries after every step, each in another number of shards; each time its continuous
queries are compared with the answer of the same query over the same rows as a batch.

Comments right above a statement:
  -- error: TEXT            it fails, and its message contains the text
  -- sort: rows             the rows of its result are sorted
  -- oracle: off REASON     its continuous query is not compared with a batch answer
  -- skip: REASON           (first statement) the file is not run
In a file, ${TMP} is a fresh directory, ${DIR} that of the file.

Examples:
  acequia test                              every file below sql-tests
  acequia test sql-tests/windows --jobs 4   those of one directory, four at a time
  acequia test --filter hop                 those with `hop` in their path
  acequia test new.sql --bless              write the golden output; look at it before you keep it

Exit status: 0, or 1 when a file failed."
)]
pub(crate) struct Test {
    /// Files, or directories to be searched for .sql files.
    #[arg(default_value = "sql-tests")]
    paths: Vec<PathBuf>,
    /// Write golden output instead of comparing with it.
    #[arg(long)]
    bless: bool,
    /// Only files whose path contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Files that run at the same time.
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
}

impl Test {
    /// Runs the tests.
    pub(crate) fn main(self) -> ExitCode {
        let suite = Suite { paths: self.paths, bless: self.bless, filter: self.filter, jobs: self.jobs };
        match suite.run(print) {
            Ok(summary) => close(&summary),
            Err(error) => {
                // Nothing is left to do when even standard error is closed.
                let _ = writeln!(std::io::stderr(), "error: {error}");
                ExitCode::from(1)
            }
        }
    }
}

/// A reader that has gone away (`| head`) is no reason to stop.
fn print(file: &Path, outcome: &Outcome) {
    let mut out = std::io::stdout().lock();
    let _ = match outcome {
        Outcome::Passed { .. } => return,
        Outcome::Failed(problem) => writeln!(out, "FAILED {}\n{problem}", file.display()),
        Outcome::Skipped(reason) => writeln!(out, "skipped {}: {reason}", file.display()),
    };
}

fn close(summary: &Summary) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{} comparisons with the batch answer", summary.checks);
    let _ = writeln!(out, "{summary}");
    if summary.failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
