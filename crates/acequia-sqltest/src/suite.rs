//! Finds test files, runs each in every variant, compares with golden output, counts.
//!
//! Beside `name.sql` stands `name.out`: the statements as comments, each with the lines of the machine-readable output
//! that it gave (durations left out). In both, `${TMP}` is a fresh temporary directory of the run and `${DIR}` the
//! directory of the file; they are replaced in the text before it is parsed. (`acequia run` knows environment variables
//! of these names, in options alone.)

use crate::diff::unified;
use crate::directives::Directives;
use crate::variant::{Variant, run};
use acequia::sql::split;
use acequia::{Error, Result};
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long one run of a file may take.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// What to run and how.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Files, and directories that are searched for `.sql` files.
    pub paths: Vec<PathBuf>,
    /// Writes golden output instead of comparing with it.
    pub bless: bool,
    /// Only files whose path contains this.
    pub filter: Option<String>,
    /// Files that run at the same time.
    pub jobs: usize,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every variant was right.
    Passed {
        /// Comparisons with the batch answer, over all variants.
        checks: usize,
    },
    /// What was wrong.
    Failed(String),
    /// Why it was not run.
    Skipped(String),
}

/// Counts over all files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files that were right.
    pub passed: usize,
    /// Files that were wrong.
    pub failed: usize,
    /// Files that were not run.
    pub skipped: usize,
    /// Comparisons with the batch answer.
    pub checks: usize,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

impl Suite {
    /// Runs all files; `report` is told of each when it is done, and is called by one thread at a time.
    ///
    /// # Errors
    /// `Invalid` when a path is not there or no file is found.
    pub fn run(&self, report: impl FnMut(&Path, &Outcome) + Send) -> Result<Summary> {
        let files = self.files()?;
        let next = AtomicUsize::new(0);
        let done = Mutex::new((Summary::default(), report));
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.clamp(1, files.len()) {
                scope.spawn(|| {
                    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let outcome = self.run_file(file);
                        let (summary, report) = &mut *done.lock();
                        summary.count(&outcome);
                        report(file, &outcome);
                    }
                });
            }
        });
        Ok(done.into_inner().0)
    }

    /// The files, in order.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = vec![];
        for path in &self.paths {
            find(path, &mut files).map_err(|e| e.context(format!("read `{}`", path.display())))?;
        }
        if let Some(filter) = &self.filter {
            files.retain(|file| file.to_string_lossy().contains(filter.as_str()));
        }
        files.sort();
        files.dedup();
        if files.is_empty() {
            let places: Vec<String> = self.paths.iter().map(|p| format!("`{}`", p.display())).collect();
            return Err(Error::invalid(format!(
                "no .sql file found: paths={} filter=`{}`",
                places.join(", "),
                self.filter.as_deref().unwrap_or_default()
            )));
        }
        Ok(files)
    }

    fn run_file(&self, file: &Path) -> Outcome {
        let ran = catch_unwind(AssertUnwindSafe(|| self.run_variants(file)));
        match ran {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::Failed(format!("{error}\n")),
            Err(_) => Outcome::Failed("panicked; this is a bug\n".to_string()),
        }
    }

    fn run_variants(&self, file: &Path) -> Result<Outcome> {
        let test = TestFile::read(file)?;
        if let Some(reason) = test.skip()? {
            return Ok(Outcome::Skipped(reason));
        }
        let (mut checks, mut problems) = (0, String::new());
        for variant in Variant::ALL {
            let ran = test.run(variant);
            let problem = match ran {
                Ok((text, checked)) => {
                    checks += checked;
                    if variant == Variant::AsWritten { self.compare(&test, &text)? } else { None }
                }
                Err(error) => Some(format!("{error}\n")),
            };
            if let Some(problem) = problem {
                problems += &format!("{}: {problem}", variant.name());
            }
        }
        Ok(if problems.is_empty() { Outcome::Passed { checks } } else { Outcome::Failed(problems) })
    }

    /// Compares with the golden output, or writes it.
    fn compare(&self, test: &TestFile, text: &str) -> Result<Option<String>> {
        let golden = test.file.with_extension("out");
        let place = golden.display().to_string();
        if self.bless {
            std::fs::write(&golden, text).map_err(|e| Error::from(e).context(format!("write `{place}`")))?;
            return Ok(None);
        }
        match std::fs::read_to_string(&golden) {
            Ok(expected) => {
                let diff = unified(&place, &expected, "this run", text);
                Ok(diff.map(|diff| format!("output differs\n{diff}")))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Some(format!(
                "no golden output `{place}`; look at the output, then run with --bless\n{text}"
            ))),
            Err(e) => Err(Error::from(e).context(format!("read `{place}`"))),
        }
    }
}

impl Summary {
    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed { checks } => {
                self.passed += 1;
                self.checks += checks;
            }
            Outcome::Failed(_) => self.failed += 1,
            Outcome::Skipped(_) => self.skipped += 1,
        }
    }
}

/// The `.sql` files at or below a path; hidden directories are left out.
fn find(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        std::fs::metadata(path)?;
        files.push(path.to_path_buf());
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        let entry = entry?.path();
        let hidden = entry.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && (entry.is_dir() || entry.extension().is_some_and(|e| e == "sql")) {
            find(&entry, files)?;
        }
    }
    Ok(())
}

struct TestFile {
    file: PathBuf,
    directory: String,
    text: String,
}

impl TestFile {
    fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)?;
        let directory = file.canonicalize()?.parent().map(|d| d.display().to_string()).unwrap_or_default();
        Ok(Self { file: file.to_path_buf(), directory, text })
    }

    fn skip(&self) -> Result<Option<String>> {
        match split(&self.text).first() {
            Some(first) => Ok(Directives::of(&first.leading_comments)?.skip),
            None => Ok(None),
        }
    }

    /// Runs the file once; gives its output, with places named as in the file, and the comparisons made.
    fn run(&self, variant: Variant) -> Result<(String, usize)> {
        let scratch = tempfile::tempdir()?;
        let tmp = scratch.path().canonicalize()?.display().to_string();
        let places = [("${TMP}", tmp.as_str()), ("${DIR}", self.directory.as_str())];
        let text = places.iter().fold(self.text.clone(), |text, (name, place)| text.replace(name, place));
        let named = |text: &str| {
            places.iter().fold(text.to_string(), |text, (name, place)| text.replace(place, name))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let checkpoints = tempfile::tempdir()?;
        let ran = runtime.block_on(async {
            let run = run(&text, checkpoints.path(), variant);
            tokio::time::timeout(TIME_LIMIT, run).await
        });
        match ran {
            Ok(Ok(transcript)) => Ok((named(&transcript.text), transcript.checks)),
            Ok(Err(error)) => Err(Error::new(error.kind(), named(&error.to_string()))),
            Err(_) => Err(Error::internal(format!("not done after {} s", TIME_LIMIT.as_secs()))),
        }
    }
}
