//! The handle of a running query.

use super::listener::QueryRun;
use super::progress::StreamingQueryProgress;
use acequia_core::{Error, OperatorId, QueryId, Result};
use arrow::array::RecordBatch;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How many batches' progress is kept.
const RECENT_PROGRESS: usize = 100;

/// How many commands may wait for a query; callers wait when there are more.
const PENDING_COMMANDS: usize = 64;

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
    pub(super) doing: Mutex<Doing>,
    /// Set once the query has recovered.
    pub(super) run: OnceLock<QueryRun>,
    pub(super) finished: watch::Sender<bool>,
}

/// What a query is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Doing {
    #[default]
    AskingSources,
    RunningBatch,
    WaitingForData,
    WaitingForTrigger,
    WaitingToRetry,
    Ended,
}

/// What a query is at, in the shape of Spark's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamingQueryStatus {
    /// In words.
    pub message: String,
    /// Whether there was something to process when the sources were last asked.
    pub is_data_available: bool,
    /// Whether sources are being asked or a batch is being run, rather than waited.
    pub is_trigger_active: bool,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            recent: Mutex::default(),
            error: Mutex::default(),
            doing: Mutex::default(),
            run: OnceLock::new(),
            finished: watch::Sender::new(false),
        }
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
    run: QueryRun,
    explain: String,
    resumable: bool,
    commands: mpsc::Sender<Command>,
    stopping: watch::Sender<bool>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for StreamingQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamingQuery")
            .field("name", &self.run.name)
            .field("id", &self.run.id)
            .finish_non_exhaustive()
    }
}

impl StreamingQuery {
    pub(super) fn new(
        run: QueryRun,
        explain: String,
        resumable: bool,
        commands: mpsc::Sender<Command>,
        stopping: watch::Sender<bool>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { run, explain, resumable, commands, stopping, shared }
    }

    pub(super) fn channel() -> (mpsc::Sender<Command>, mpsc::Receiver<Command>) {
        mpsc::channel(PENDING_COMMANDS)
    }

    /// The identity for the life of the checkpoint.
    pub fn id(&self) -> &QueryId {
        &self.run.id
    }

    /// The identity of this run.
    pub fn run_id(&self) -> &str {
        &self.run.run_id
    }

    /// The name, as in `WITH (name = '...')`.
    pub fn name(&self) -> &str {
        &self.run.name
    }

    /// Which operators keep more the more rows come, and why; none when all state has a bound.
    pub fn growing_state(&self) -> &[String] {
        &self.run.growing_state
    }

    /// What `EXPLAIN STREAMING` prints of it.
    pub fn explain(&self) -> &str {
        &self.explain
    }

    /// Whether it still runs.
    pub fn is_active(&self) -> bool {
        *self.shared.doing.lock() != Doing::Ended
    }

    /// What it is at.
    pub fn status(&self) -> StreamingQueryStatus {
        let status = |message: &str, is_data_available, is_trigger_active| StreamingQueryStatus {
            message: message.to_string(),
            is_data_available,
            is_trigger_active,
        };
        if !self.is_active() {
            return match self.exception() {
                Some(error) => {
                    let way_out = if self.resumable {
                        "start it again with its checkpoint, and it goes on from there"
                    } else {
                        "it has no checkpoint, so it begins anew when it is started again"
                    };
                    status(&format!("terminated with an error: {error}; {way_out}"), false, false)
                }
                None => status("stopped", false, false),
            };
        }
        match *self.shared.doing.lock() {
            Doing::Ended => status("stopped", false, false),
            Doing::AskingSources => status("asking the sources for new rows", false, true),
            Doing::RunningBatch => status("processing new rows", true, true),
            Doing::WaitingForData => status("waiting for rows to arrive", false, false),
            Doing::WaitingForTrigger => status("waiting for the next trigger", false, false),
            Doing::WaitingToRetry => status("waiting to try again what failed", true, false),
        }
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
        self.stopping.send_replace(true);
        // A query that has ended does not take commands any more, which is what was wanted.
        let _ = self.commands.send(Command::Stop).await;
        self.await_termination().await
    }

    /// Asks the query to stop after its batch, without waiting for it.
    pub(crate) fn stop_soon(&self) {
        self.stopping.send_replace(true);
        // Where the inbox is full, the query has something to hear, and sees then that it is to stop.
        let _ = self.commands.try_send(Command::Stop);
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

    /// As [`StreamingQuery::await_termination`], for no longer than this; false when it still runs.
    ///
    /// # Errors
    /// The error that ended the query, if one did.
    pub async fn await_termination_timeout(&self, timeout: Duration) -> Result<bool> {
        match tokio::time::timeout(timeout, self.await_termination()).await {
            Ok(ended) => ended.map(|()| true),
            Err(_) => Ok(false),
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
            Error::cancelled(format!("query has ended: `{}`; start it again to read its state", self.name()))
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
