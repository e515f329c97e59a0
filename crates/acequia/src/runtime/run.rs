//! Starting a query and driving it from batch to batch, each on a thread of its own.

use super::listener::{Listeners, QueryRun};
use super::micro_batch::{Choice, MicroBatches, Ran};
use super::progress::millis;
use super::query::{Command, Doing, Shared, StateTable, StreamingQuery, again};
use super::recover::{CheckpointPlace, open};
use super::retry::{Failures, RetryPolicy};
use super::watermark::WatermarkPolicy;
use crate::plan::StreamingPlan;
use crate::sql::Trigger;
use acequia_core::{Clock, Error, QueryId, Result, Sink, Timestamp};
use acequia_state::OffsetRecord;
use futures::future::BoxFuture;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};

/// How long an idle query waits before it asks its sources again: the first and the longest time.
const POLL: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// How many times as long as asking the sources took an idle query waits at least: listing a large directory again and
/// again is work too.
const IDLE_SHARE: u32 = 10;

/// How often listeners are told that nothing has come, as in Spark.
const IDLE_EVENT: Duration = Duration::from_secs(10);

/// Plans the query again: the same plan, with operators that have no state yet.
pub type PlanFactory = Arc<dyn Fn() -> BoxFuture<'static, Result<StreamingPlan>> + Send + Sync>;

/// Everything that a query needs to run.
pub struct QueryDefinition {
    /// Its name.
    pub name: String,
    /// What its sink is called.
    pub target: String,
    /// Its plan.
    pub plan: StreamingPlan,
    /// Its plan once more, for a run that has to begin again from its checkpoint.
    pub replan: PlanFactory,
    /// Where its output goes.
    pub sink: Box<dyn Sink>,
    /// The place of its checkpoint; without one nothing survives the process.
    pub checkpoint: Option<CheckpointPlace>,
    /// When batches run; as fast as data comes when `None`.
    pub trigger: Option<Trigger>,
    /// Is set when the query is asked to stop, for a sink that waits for its reader.
    pub stopping: watch::Sender<bool>,
    /// How watermarks of several streams combine.
    pub policy: WatermarkPolicy,
    /// How it bears what may pass.
    pub retry: RetryPolicy,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Who is told of what happens.
    pub listeners: Arc<Listeners>,
}

/// Starts a query; returns once it has recovered and is about to run its first batch.
///
/// # Errors
/// What is wrong with checkpoint, sources or sink.
pub async fn start(definition: QueryDefinition) -> Result<Arc<StreamingQuery>> {
    let name = definition.name.clone();
    let explain = definition.plan.explain.clone();
    let listeners = Arc::clone(&definition.listeners);
    let (resumable, stopping) = (definition.checkpoint.is_some(), definition.stopping.clone());
    let shared = Arc::new(Shared::new());
    let (commands, inbox) = StreamingQuery::channel();
    let (ready, opened) = oneshot::channel();
    let thread = std::thread::Builder::new().name(format!("acequia-{name}"));
    let (of_thread, thread_name) = (Arc::clone(&shared), name.clone());
    let spawned = thread.spawn(move || {
        let ran =
            std::panic::catch_unwind(AssertUnwindSafe(|| block_on(definition, inbox, &of_thread, ready)));
        let ran = ran.unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
        let error = ran.err().map(|e| Arc::new(e.context(format!("query `{thread_name}`"))));
        of_thread.error.lock().clone_from(&error);
        *of_thread.doing.lock() = Doing::Ended;
        if let Some(run) = of_thread.run.get() {
            listeners.tell(|listener| listener.on_query_terminated(run, error.as_deref()));
        }
        of_thread.finished.send_replace(true);
    });
    spawned.map_err(|e| Error::from(e).context(format!("start query `{name}`")))?;
    match opened.await {
        Ok(Ok(run)) => Ok(Arc::new(StreamingQuery::new(run, explain, resumable, commands, stopping, shared))),
        Ok(Err(error)) => Err(error.context(format!("query `{name}`"))),
        // It has panicked; what it said is set before the thread ends.
        Err(_) => {
            let _ = shared.finished.subscribe().wait_for(|finished| *finished).await;
            let said = shared.error.lock().clone();
            let unknown = || Error::internal(format!("query ended while it started: `{name}`"));
            Err(said.map_or_else(unknown, |error| again(&error)))
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Error::internal(format!("the query's thread panicked: {text}; this is a bug, please report it"))
}

type Opened = Result<QueryRun>;

fn block_on(
    definition: QueryDefinition,
    inbox: mpsc::Receiver<Command>,
    shared: &Shared,
    ready: oneshot::Sender<Opened>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::from(e).context("start the query's runtime"))?;
    runtime.block_on(async {
        let (trigger, retry) = (definition.trigger, definition.retry);
        let (listeners, stopping) = (Arc::clone(&definition.listeners), definition.stopping.clone());
        let batches = match open(definition).await {
            Ok(batches) => batches,
            Err(error) => {
                // The caller of `start` gets the error; nobody else knows of this query yet.
                let _ = ready.send(Err(error));
                return Ok(());
            }
        };
        let arrivals = batches.plan.sources.iter().filter_map(|leaf| leaf.stream.arrivals()).collect();
        let recipe = &batches.recipe;
        let run = QueryRun {
            id: QueryId(recipe.id.clone()),
            run_id: recipe.run_id.clone(),
            name: recipe.name.clone(),
            growing_state: batches.plan.root.growing_state(),
        };
        if !run.growing_state.is_empty() {
            tracing::warn!(query = run.name, why = ?run.growing_state, "the query's state only grows");
        }
        let run = shared.run.get_or_init(|| run);
        listeners.tell(|listener| listener.on_query_started(run));
        let _ = ready.send(Ok(run.clone()));
        let heard = recipe.clock.elapsed();
        let mut driver = Driver {
            batches,
            failures: Failures::new(retry),
            inbox,
            shared,
            run,
            listeners,
            heard,
            stopping,
            waiting: vec![],
            arrivals,
            stop: false,
            bounded: false,
        };
        driver.drive(trigger).await
    })
}

/// Drives one query until it ends.
struct Driver<'a> {
    batches: MicroBatches,
    failures: Failures,
    inbox: mpsc::Receiver<Command>,
    shared: &'a Shared,
    run: &'a QueryRun,
    listeners: Arc<Listeners>,
    /// When listeners last heard of the query.
    heard: Duration,
    stopping: watch::Sender<bool>,
    waiting: Vec<oneshot::Sender<()>>,
    arrivals: Vec<watch::Receiver<u64>>,
    stop: bool,
    /// Whether nothing that arrives later is taken.
    bounded: bool,
}

impl Driver<'_> {
    /// Drives the query to its end, trying again what may pass.
    async fn drive(&mut self, trigger: Option<Trigger>) -> Result<()> {
        let mut driven = self.drive_on(trigger).await;
        while let Err(error) = driven {
            self.wait_after(error).await?;
            if self.stop {
                return Ok(());
            }
            driven = match self.batches.try_again().await {
                Ok(()) => self.drive_on(trigger).await,
                failed => failed,
            };
        }
        Ok(())
    }

    /// Waits until what has failed is to be tried again. A query that is stopped meanwhile ends without an error: the
    /// next run finds the batch and runs it.
    async fn wait_after(&mut self, error: Error) -> Result<()> {
        let error = Arc::new(error);
        let wait = self.failures.next_wait(again(&error), self.batches.can_try_again())?;
        tracing::warn!(query = self.run.name, %error, ?wait, "query could not go on; it tries again");
        self.listeners.tell(|listener| listener.on_query_retry(self.run, &error, wait));
        self.doing(Doing::WaitingToRetry);
        let over = tokio::time::sleep(wait);
        tokio::pin!(over);
        while !self.stop {
            tokio::select! {
                command = self.inbox.recv() => self.obey_or_stop(command),
                () = &mut over => break,
            }
        }
        Ok(())
    }

    async fn drive_on(&mut self, trigger: Option<Trigger>) -> Result<()> {
        match trigger {
            None => self.run_until_ended(None).await,
            Some(Trigger::ProcessingTime(interval)) => self.run_until_ended(Some(interval)).await,
            Some(Trigger::AvailableNow) => {
                self.run_pending().await?;
                self.stop_at_available().await?;
                self.run_until_ended(None).await
            }
            Some(Trigger::Once) => {
                self.run_pending().await?;
                self.stop_at_available().await?;
                if let Choice::Batch { offsets, logged } = self.batches.choose_all().await? {
                    self.run_batch(*offsets, logged, Duration::ZERO).await?;
                }
                self.run_pending().await
            }
        }
    }

    /// Finishes the batch that an earlier run began.
    async fn run_pending(&mut self) -> Result<()> {
        while self.batches.pending.is_some() {
            if let Choice::Batch { offsets, logged } = self.batches.choose().await? {
                self.run_batch(*offsets, logged, Duration::ZERO).await?;
            }
        }
        Ok(())
    }

    async fn stop_at_available(&mut self) -> Result<()> {
        self.bounded = true;
        let batches = &mut self.batches;
        for (index, source) in batches.sources.iter_mut().enumerate() {
            let pending = batches.pending.as_ref().map(|pending| &pending.sources[index].end);
            let position = pending.unwrap_or(&source.position);
            let stopped = source.source.stop_at_available(position.as_ref()).await;
            stopped.map_err(|e| e.context(format!("stream `{}`", source.name)))?;
        }
        Ok(())
    }

    async fn run_until_ended(&mut self, interval: Option<Duration>) -> Result<()> {
        let mut poll = POLL.0;
        loop {
            self.take_commands();
            if self.stop {
                return Ok(());
            }
            // Waiters that come after this point may have put in rows that `choose` does not see.
            let answered = self.waiting.len();
            let clock = Arc::clone(&self.batches.recipe.clock);
            let asked = clock.elapsed();
            self.doing(Doing::AskingSources);
            let choice = self.batches.choose().await?;
            let cost = clock.elapsed().saturating_sub(asked);
            let ended = match choice {
                Choice::Batch { offsets, logged } => {
                    let began = offsets.batch_time;
                    self.run_batch(*offsets, logged, cost).await?;
                    poll = POLL.0;
                    if let Some(interval) = interval {
                        self.doing(Doing::WaitingForTrigger);
                        self.sleep_until_next(interval, began).await;
                    }
                    continue;
                }
                Choice::Idle => false,
                Choice::Ended => true,
            };
            self.failures.forget();
            for waiter in self.waiting.drain(..answered) {
                // A waiter that has given up needs no answer.
                let _ = waiter.send(());
            }
            if ended {
                return Ok(());
            }
            self.tell_idle(clock.as_ref());
            match interval {
                Some(interval) => {
                    self.doing(Doing::WaitingForTrigger);
                    self.sleep_until_next(interval, clock.now()).await;
                }
                None => self.wait(poll.max(cost * IDLE_SHARE)).await,
            }
            poll = (poll * 2).min(POLL.1);
        }
    }

    /// Runs a batch that took this long to choose.
    async fn run_batch(&mut self, offsets: OffsetRecord, logged: bool, choosing: Duration) -> Result<()> {
        self.doing(Doing::RunningBatch);
        let mut progress = match self.batches.run(offsets, logged).await? {
            Ran::Done(progress) => *progress,
            Ran::Superseded => return self.recover_again().await,
        };
        self.failures.forget();
        progress.duration_ms.latest_offset = millis(choosing);
        self.listeners.tell(|listener| listener.on_query_progress(&progress));
        self.heard = self.batches.recipe.clock.elapsed();
        self.shared.record(progress);
        Ok(())
    }

    fn doing(&self, what: Doing) {
        *self.shared.doing.lock() = what;
    }

    /// Nothing has come.
    fn tell_idle(&mut self, clock: &dyn Clock) {
        self.doing(Doing::WaitingForData);
        let now = clock.elapsed();
        if now.saturating_sub(self.heard) >= IDLE_EVENT {
            self.heard = now;
            self.listeners.tell(|listener| listener.on_query_idle(self.run, clock.now()));
        }
    }

    /// Goes on from what an older run has decided in this one's place.
    async fn recover_again(&mut self) -> Result<()> {
        let batches = &mut self.batches;
        tracing::info!(query = batches.recipe.name, batch = %batches.next, "an older run was first; recovering");
        batches.recover_again().await?;
        if self.bounded { self.stop_at_available().await } else { Ok(()) }
    }

    fn take_commands(&mut self) {
        self.stop |= *self.stopping.borrow();
        loop {
            match self.inbox.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => return self.stop = true,
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Stop => self.stop = true,
            Command::ProcessAllAvailable(reply) => self.waiting.push(reply),
            Command::Snapshot(reply) => {
                let tables = snapshot(&self.batches);
                // A caller that has given up needs no answer.
                let _ = reply.send(tables);
            }
        }
    }

    /// Obeys; without a handle left nobody can stop the query any more.
    fn obey_or_stop(&mut self, command: Option<Command>) {
        match command {
            Some(command) => self.obey(command),
            None => self.stop = true,
        }
    }

    /// Waits for a command, for rows, or until it is time to ask again.
    async fn wait(&mut self, at_most: Duration) {
        let arrivals: Vec<_> = self.arrivals.iter_mut().map(|arrival| Box::pin(arrival.changed())).collect();
        let arrival = async {
            if arrivals.is_empty() {
                std::future::pending::<()>().await;
            }
            let _ = futures::future::select_all(arrivals).await;
        };
        tokio::select! {
            command = self.inbox.recv() => self.obey_or_stop(command),
            () = arrival => {}
            () = tokio::time::sleep(at_most) => {}
        }
    }

    /// Waits for the first multiple of the interval after a time; a command or a waiter cuts it short. A batch that
    /// took longer than the interval is followed at once. A clock that is set back makes the wait no longer.
    async fn sleep_until_next(&mut self, interval: Duration, after: Timestamp) {
        let interval = interval.as_micros().max(1) as i64;
        let clock = Arc::clone(&self.batches.recipe.clock);
        let next = |time: Timestamp| (time.0.div_euclid(interval) + 1).saturating_mul(interval);
        let mut due = next(after);
        while !self.stop && self.waiting.is_empty() {
            let now = clock.now();
            if due.saturating_sub(now.0) > interval {
                due = next(now);
            }
            let left = due.saturating_sub(now.0);
            if left <= 0 {
                break;
            }
            let nap = Duration::from_micros(left as u64).min(POLL.1);
            tokio::select! {
                command = self.inbox.recv() => self.obey_or_stop(command),
                () = tokio::time::sleep(nap) => {}
            }
        }
    }
}

/// Every table of every operator.
fn snapshot(batches: &MicroBatches) -> Result<Vec<StateTable>> {
    if !batches.settled {
        let name = &batches.recipe.name;
        return Err(Error::unavailable(format!("query is trying a failed batch again: `{name}`; ask later")));
    }
    let mut tables = vec![];
    for node in batches.plan.root.operators() {
        for table in node.operator.tables() {
            tables.push(StateTable {
                operator: node.id,
                operator_name: format!("{}#{}", node.name, node.id),
                rows: node.operator.snapshot(&table.name)?,
                table: table.name,
            });
        }
    }
    Ok(tables)
}
