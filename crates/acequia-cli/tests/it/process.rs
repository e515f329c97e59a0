//! A run of the binary in a directory of its own, and readers of its output that know nothing of it.

use acequia::{Session, StatementOutput};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// No run and no condition takes longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// A process that is killed when the test is over.
pub(crate) struct Acequia {
    child: Child,
}

impl Acequia {
    /// `acequia run` of these statements, in this directory.
    pub(crate) fn run(directory: &Path, statements: &str) -> Self {
        let file = directory.join("run.sql");
        std::fs::write(&file, statements).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_acequia"))
            .arg("run")
            .arg(file)
            .current_dir(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Self { child: child.unwrap() }
    }

    /// `acequia` in this directory, its input open.
    pub(crate) fn prompt(directory: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_acequia"))
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Self { child: child.unwrap() }
    }

    /// Gives text to its input.
    pub(crate) fn type_in(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).unwrap();
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGKILL; false when it had ended by itself.
    pub(crate) fn kill(mut self) -> bool {
        if let Some(status) = self.ended() {
            assert!(status.success(), "{status}: {}", self.complaint());
            return false;
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        true
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> ExitStatus {
        let mut status = None;
        until("the process ends", || {
            status = self.ended();
            status.is_some()
        });
        let status = status.unwrap();
        assert!(status.success(), "{status}: {}", self.complaint());
        status
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            errors.read_to_string(&mut text).unwrap();
        }
        text
    }
}

impl Drop for Acequia {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The rows of a query over static data, each as text, sorted.
pub(crate) fn rows(statements: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let session = Session::new().unwrap();
        let mut found = vec![];
        for output in session.sql(statements).await.unwrap_or_else(|e| panic!("{statements}: {e}")) {
            if let StatementOutput::Rows { schema, batches } = output {
                let text = acequia::format_table(&schema, &batches, acequia::TableLayout::default()).unwrap();
                let cells = |line: &str| line.split('|').map(str::trim).collect::<Vec<_>>().join("|");
                found = text.lines().filter(|line| line.starts_with('|')).skip(1).map(cells).collect();
            }
        }
        found.sort();
        found
    })
}

/// The rows of all Parquet files below a directory, by this projection; none before there is a file.
pub(crate) fn parquet(directory: &Path, columns: &str) -> Vec<String> {
    if files(directory).is_empty() {
        return vec![];
    }
    rows(&format!(
        "CREATE EXTERNAL TABLE o STORED AS PARQUET LOCATION '{}/'; SELECT {columns} FROM o",
        directory.display()
    ))
}

/// The published files below a directory: names that begin with `_` are skipped, as every reader does.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return vec![] };
    let mut found = vec![];
    for entry in entries.flatten() {
        let hidden = entry.file_name().to_string_lossy().starts_with(['_', '.']);
        match entry.file_type().unwrap().is_dir() {
            _ if hidden => {}
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// The lines of all published files, sorted.
pub(crate) fn lines(directory: &Path) -> Vec<String> {
    let read = |file: PathBuf| std::fs::read_to_string(file).unwrap();
    let mut found: Vec<String> = files(directory)
        .into_iter()
        .flat_map(|f| read(f).lines().map(str::to_string).collect::<Vec<_>>())
        .collect();
    found.sort();
    found
}

/// Whether sorted rows are among others, each no more often than there.
pub(crate) fn within(some: &[String], all: &[String]) -> bool {
    let mut rest = all.iter();
    some.iter().all(|row| rest.by_ref().any(|other| other == row))
}
