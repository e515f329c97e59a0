//! The handle of a running query.

use super::progress::StreamingQueryProgress;
use acequia_core::{Error, OperatorId, QueryId, Result};
use arrow::array::RecordBatch;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How many batches' progress is kept.
const RECENT_PROGRESS: usize = 100;

/// How many commands may wait for a query; callers wait when there are more.
const PENDING_COMMANDS: usize = 64;

/// Is told what queries do. Called on the query's own thread: a slow listener slows the query down.
pub trait QueryListener: Send + Sync {
    /// A batch was published.
    fn on_progress(&self, progress: &StreamingQueryProgress);
    /// What may pass has failed a query; it tries again after this wait.
    fn on_retry(&self, name: &str, error: &str, wait: Duration);
    /// A query has ended, with its error if it failed.
    fn on_terminated(&self, name: &str, error: Option<&Error>);
}

/// What a query is asked to do between batches.
#[derive(Debug)]
pub(super) enum Command {
    Stop,
    ProcessAllAvailable(oneshot::Sender<()>),
    Snapshot(oneshot::Sender<Result<Vec<StateTable>>>),
}

/// A table of an operator's state, read while the query runs.
#[derive(Debug, Clone)]
pub struct StateTable {
    /// The operator's number.
    pub operator: OperatorId,
    /// The operator's name.
    pub operator_name: String,
    /// The table's name.
    pub table: String,
    /// Its rows.
    pub rows: Vec<RecordBatch>,
}

/// What the query's thread and its handles share.
pub(super) struct Shared {
    pub(super) recent: Mutex<VecDeque<StreamingQueryProgress>>,
    pub(super) error: Mutex<Option<Arc<Error>>>,
    pub(super) finished: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self { recent: Mutex::default(), error: Mutex::default(), finished: watch::Sender::new(false) }
    }

    pub(super) fn record(&self, progress: StreamingQueryProgress) {
        let mut recent = self.recent.lock();
        if recent.len() == RECENT_PROGRESS {
            recent.pop_front();
        }
        recent.push_back(progress);
    }
}

/// A continuous query that was started.
pub struct StreamingQuery {
    id: QueryId,
    run_id: String,
    name: String,
    explain: String,
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for StreamingQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamingQuery")
            .field("name", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl StreamingQuery {
    pub(super) fn new(
        id: QueryId,
        run_id: String,
        name: String,
        explain: String,
        commands: mpsc::Sender<Command>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { id, run_id, name, explain, commands, shared }
    }

    pub(super) fn channel() -> (mpsc::Sender<Command>, mpsc::Receiver<Command>) {
        mpsc::channel(PENDING_COMMANDS)
    }

    /// The identity for the life of the checkpoint.
    pub fn id(&self) -> &QueryId {
        &self.id
    }

    /// The identity of this run.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The name, as in `WITH (name = '...')`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What `EXPLAIN STREAMING` prints of it.
    pub fn explain(&self) -> &str {
        &self.explain
    }

    /// Whether it still runs.
    pub fn is_active(&self) -> bool {
        !*self.shared.finished.borrow()
    }

    /// The error that ended it, if one did.
    pub fn exception(&self) -> Option<Arc<Error>> {
        self.shared.error.lock().clone()
    }

    /// The progress of the last batch.
    pub fn last_progress(&self) -> Option<StreamingQueryProgress> {
        self.shared.recent.lock().back().cloned()
    }

    /// The progress of up to 100 recent batches, oldest first.
    pub fn recent_progress(&self) -> Vec<StreamingQueryProgress> {
        self.shared.recent.lock().iter().cloned().collect()
    }

    /// Finishes the batch that runs, commits it, and ends the query. Returns when that is done.
    ///
    /// # Errors
    /// The error that ended the query, if one did.
    pub async fn stop(&self) -> Result<()> {
        // A query that has ended does not take commands any more, which is what was wanted.
        let _ = self.commands.send(Command::Stop).await;
        self.await_termination().await
    }

    /// Waits until the query ends by itself, is stopped or fails.
    ///
    /// # Errors
    /// The error that ended the query, if one did.
    pub async fn await_termination(&self) -> Result<()> {
        // The sender lives in `shared`, so waiting cannot fail.
        let _ = self.shared.finished.subscribe().wait_for(|finished| *finished).await;
        match self.exception() {
            Some(error) => Err(again(&error)),
            None => Ok(()),
        }
    }

    /// Waits until everything that was there at this call is processed, batches without data that a moved watermark
    /// triggers included. For tests and scripts: over a source that never rests it may not return.
    ///
    /// # Errors
    /// The error that ended the query, if one did.
    pub async fn process_all_available(&self) -> Result<()> {
        match self.ask(Command::ProcessAllAvailable).await {
            Some(()) => Ok(()),
            None => self.await_termination().await,
        }
    }

    /// The query's answer; none when it has ended.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        // A command that is sent while the inbox closes may stay in it unread and undropped, as long as there is a
        // sender: the answer alone would be waited for in vain.
        let mut finished = self.shared.finished.subscribe();
        tokio::select! {
            biased;
            answer = answer => answer.ok(),
            _ = finished.wait_for(|finished| *finished) => None,
        }
    }

    /// The state of every operator, as it is between two batches.
    ///
    /// # Errors
    /// `Cancelled` when the query has ended.
    pub async fn state(&self) -> Result<Vec<StateTable>> {
        let ended = || {
            Error::cancelled(format!("query has ended: `{}`; start it again to read its state", self.name))
        };
        self.ask(Command::Snapshot).await.ok_or_else(ended)?
    }
}

/// The same error for another reader.
pub(super) fn again(error: &Arc<Error>) -> Error {
    let copy = Error::new(error.kind(), error.message());
    match error.location() {
        Some(location) => copy.at(location),
        None => copy,
    }
    .with_source(Arc::clone(error))
}
