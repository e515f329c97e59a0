//! Sessions over real directories: file sources, file sinks, checkpoints on disk.

use super::*;
use acequia::StatementOutput;
use std::path::PathBuf;

/// A directory with input, output and checkpoint of one query.
pub(super) struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("in")).unwrap();
        Self { directory }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces `{in}`, `{out}` and `{chk}` in a statement.
    pub(super) fn sql(&self, text: &str) -> String {
        let mut text = text.to_string();
        for name in ["in", "out", "chk"] {
            text = text.replace(&format!("{{{name}}}"), &self.path(name).display().to_string());
        }
        text
    }

    /// Puts a file into the input as writers should: whole.
    pub(super) fn add(&self, name: &str, content: &str) {
        let hidden = self.path(&format!("{name}.writing"));
        std::fs::write(&hidden, content).unwrap();
        std::fs::rename(hidden, self.path("in").join(name)).unwrap();
    }

    /// Runs statements in a new session, as a new process would.
    pub(super) async fn run(&self, statements: &str) -> Result<Session> {
        let session = Session::new()?;
        session.sql(&self.sql(statements)).await?;
        Ok(session)
    }

    /// All rows that a reader who knows nothing of us finds in the output, sorted.
    pub(super) async fn output(&self, format: &str) -> Rows {
        let session = Session::new().unwrap();
        let create = format!("CREATE EXTERNAL TABLE o STORED AS {format} LOCATION '{{out}}/'");
        session.sql(&self.sql(&create)).await.unwrap();
        rows(&session, "SELECT * FROM o").await
    }
}

/// The rows of a query over static data, sorted.
pub(super) async fn rows(session: &Session, sql: &str) -> Rows {
    let mut found = vec![];
    for output in session.sql(sql).await.unwrap() {
        if let StatementOutput::Rows { batches, .. } = output {
            found.extend(batches.iter().flat_map(|batch| super::faults::lines(batch, "")));
        }
    }
    found.sort();
    found
}

/// Waits for the only query of a session to end by itself.
pub(super) async fn finish(session: &Session) -> Result<()> {
    for query in session.queries() {
        query.handle.await_termination().await?;
    }
    Ok(())
}
