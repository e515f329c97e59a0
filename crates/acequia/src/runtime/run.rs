//! Starting a query and driving it from batch to batch, each on a thread of its own.

use super::micro_batch::{Choice, Durability, MicroBatches, SourceRun, restore};
use super::output::OutputShape;
use super::query::{Command, QueryListener, Shared, StateTable, StreamingQuery};
use super::watermark::{WatermarkPolicy, WatermarkTracker};
use crate::catalog::Stream;
use crate::plan::StreamingPlan;
use crate::sql::Trigger;
use acequia_core::{
    BatchId, Clock, Epoch, Error, QueryId, Result, Sink, SinkContext, SourceContext, Timestamp, Watermark,
};
use acequia_state::{Checkpoint, WatermarkState, open_store};
use object_store::memory::InMemory;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How long an idle query waits before it asks its sources again: the first and the longest time.
const POLL: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// How many times as long as asking the sources took an idle query waits at least: listing a large directory again and
/// again is work too.
const IDLE_SHARE: u32 = 10;

/// Everything that a query needs to run.
pub struct QueryDefinition {
    /// Its name.
    pub name: String,
    /// Its plan.
    pub plan: StreamingPlan,
    /// Where its output goes.
    pub sink: Box<dyn Sink>,
    /// The place of its checkpoint; without one nothing survives the process.
    pub checkpoint: Option<String>,
    /// When batches run; as fast as data comes when `None`.
    pub trigger: Option<Trigger>,
    /// How watermarks of several streams combine.
    pub policy: WatermarkPolicy,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Is told of every batch.
    pub listener: Option<Arc<dyn QueryListener>>,
}

/// Starts a query; returns once it has recovered and is about to run its first batch.
///
/// # Errors
/// What is wrong with checkpoint, sources or sink.
pub async fn start(definition: QueryDefinition) -> Result<Arc<StreamingQuery>> {
    let name = definition.name.clone();
    let explain = definition.plan.explain.clone();
    let listener = definition.listener.clone();
    let shared = Arc::new(Shared::new());
    let (commands, inbox) = StreamingQuery::channel();
    let (ready, opened) = oneshot::channel();
    let thread = std::thread::Builder::new().name(format!("acequia-{name}"));
    let (of_thread, thread_name) = (Arc::clone(&shared), name.clone());
    let spawned = thread.spawn(move || {
        let ran =
            std::panic::catch_unwind(AssertUnwindSafe(|| block_on(definition, inbox, &of_thread, ready)));
        let error =
            ran.unwrap_or_else(|_| Err(Error::internal("the query's thread panicked; this is a bug"))).err();
        let error = error.map(Arc::new);
        of_thread.error.lock().clone_from(&error);
        if let Some(listener) = listener {
            listener.on_terminated(&thread_name, error.as_deref());
        }
        of_thread.finished.send_replace(true);
    });
    spawned.map_err(|e| Error::from(e).context(format!("start query `{name}`")))?;
    match opened.await {
        Ok(Ok((id, run_id))) => {
            Ok(Arc::new(StreamingQuery::new(id, run_id, name, explain, commands, shared)))
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::internal(format!("query ended while it started: `{name}`"))),
    }
}

type Opened = Result<(QueryId, String)>;

fn block_on(
    definition: QueryDefinition,
    inbox: mpsc::Receiver<Command>,
    shared: &Shared,
    ready: oneshot::Sender<Opened>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::from(e).context("start the query's runtime"))?;
    runtime.block_on(async {
        let (trigger, listener) = (definition.trigger, definition.listener.clone());
        let batches = match open(definition).await {
            Ok(batches) => batches,
            Err(error) => {
                // The caller of `start` gets the error; nobody else knows of this query yet.
                let _ = ready.send(Err(error));
                return Ok(());
            }
        };
        let arrivals = batches.plan.sources.iter().filter_map(|leaf| leaf.stream.arrivals()).collect();
        let _ = ready.send(Ok((QueryId(batches.id.clone()), batches.run_id.clone())));
        let mut driver = Driver { batches, inbox, shared, listener, waiting: vec![], arrivals, stop: false };
        driver.drive(trigger).await
    })
}

/// Opens checkpoint, sources and sink, and recovers.
async fn open(definition: QueryDefinition) -> Result<MicroBatches> {
    let QueryDefinition { name, mut plan, mut sink, checkpoint, policy, clock, .. } = definition;
    let mut durability = match &checkpoint {
        Some(place) => {
            let (store, prefix) = open_store(place)?;
            let checkpoint = Checkpoint::open(store, prefix).await?;
            let state = checkpoint.state_store();
            Some(Durability { checkpoint, state })
        }
        None => None,
    };
    let run_id = uuid::Uuid::new_v4().to_string();
    let id = durability.as_ref().map_or_else(|| run_id.clone(), |d| d.checkpoint.query().0.clone());
    let latest = match &durability {
        Some(durability) => durability.checkpoint.latest().await?,
        None => Default::default(),
    };
    let shape = OutputShape::of(&plan);
    sink.open(SinkContext {
        query: QueryId(id.clone()),
        epoch: durability.as_ref().map_or(Epoch(0), |d| d.checkpoint.epoch()),
        schema: plan.sink_schema(),
        mode: plan.mode,
        key: plan.key.clone(),
    })
    .await?;
    if let (Some(durability), Some(commit)) = (&mut durability, &latest.commit) {
        if sink.durable() && sink.last_published().await?.is_none_or(|published| published < commit.batch) {
            sink.publish(commit.batch, &commit.receipts).await?;
        }
        restore(&mut plan, &mut durability.state, commit).await?;
    }

    let next = latest.commit.as_ref().map_or(BatchId(0), |commit| commit.batch.next());
    let last = latest.offsets;
    let pending = last.clone().filter(|offsets| offsets.batch == next);
    let in_force = match (&pending, &last, &latest.commit) {
        // The batch before the pending one is committed; what was in force in it is not needed beyond chained
        // operators, for which its own offsets tell.
        (Some(_), _, Some(commit)) => match &durability {
            Some(d) => {
                d.checkpoint.offsets(commit.batch).await?.map_or(Watermark::UNKNOWN, |o| o.watermark.global)
            }
            None => Watermark::UNKNOWN,
        },
        (None, Some(last), _) => last.watermark.global,
        _ => Watermark::UNKNOWN,
    };
    let sources = open_sources(&plan, &durability, &clock, last.as_ref(), pending.is_some()).await?;
    let state = latest.commit.map_or_else(WatermarkState::default, |commit| commit.next_watermark);
    let idle = plan
        .sources
        .iter()
        .filter_map(|leaf| Some((leaf.stream.name().to_string(), leaf.stream.idle_timeout()?)));
    let tracker = WatermarkTracker::new(Arc::clone(&plan.observers), policy, idle.collect(), state);
    let last_time = last.map_or(Timestamp(i64::MIN), |offsets| offsets.batch_time);
    Ok(MicroBatches {
        id,
        run_id,
        name,
        plan,
        shape,
        sources,
        sink,
        durability,
        tracker,
        clock,
        next,
        in_force,
        last_time,
        pending,
    })
}

/// Opens every stream of the plan once, at the end of the last committed batch.
async fn open_sources(
    plan: &StreamingPlan,
    durability: &Option<Durability>,
    clock: &Arc<dyn Clock>,
    last: Option<&acequia_state::OffsetRecord>,
    pending: bool,
) -> Result<Vec<SourceRun>> {
    let mut leaves: BTreeMap<String, (Arc<Stream>, Vec<usize>)> = BTreeMap::new();
    for (index, leaf) in plan.sources.iter().enumerate() {
        let name = leaf.stream.name().to_string();
        leaves.entry(name).or_insert_with(|| (Arc::clone(&leaf.stream), vec![])).1.push(index);
    }
    if let Some(last) = last {
        let before: Vec<&str> = last.sources.iter().map(|source| source.name.as_str()).collect();
        let now: Vec<&str> = leaves.keys().map(String::as_str).collect();
        if before != now {
            return Err(Error::invalid(format!(
                "the query reads other streams than its checkpoint was written for: was=[{}] is=[{}]; use a new checkpoint",
                before.join(", "),
                now.join(", ")
            )));
        }
    }
    let mut sources = vec![];
    for (index, (name, (stream, leaves))) in leaves.into_iter().enumerate() {
        let context = SourceContext {
            store: match durability {
                Some(durability) => durability.checkpoint.source_store(&name)?,
                None => Arc::new(InMemory::new()),
            },
            durable: durability.is_some(),
            clock: Arc::clone(clock),
        };
        let source = stream.open(context).await.map_err(|e| e.context(format!("stream `{name}`")))?;
        let offsets = last.map(|last| &last.sources[index]);
        let position = offsets.and_then(|o| if pending { o.start.clone() } else { o.end.clone() });
        let final_watermark = stream.final_watermark();
        sources.push(SourceRun { name, source, position, leaves, ended: false, final_watermark });
    }
    Ok(sources)
}

/// Drives one query until it ends.
struct Driver<'a> {
    batches: MicroBatches,
    inbox: mpsc::Receiver<Command>,
    shared: &'a Shared,
    listener: Option<Arc<dyn QueryListener>>,
    waiting: Vec<oneshot::Sender<()>>,
    arrivals: Vec<watch::Receiver<u64>>,
    stop: bool,
}

impl Driver<'_> {
    async fn drive(&mut self, trigger: Option<Trigger>) -> Result<()> {
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
                    self.run_batch(*offsets, logged).await?;
                }
                Ok(())
            }
        }
    }

    /// Finishes the batch that an earlier run began.
    async fn run_pending(&mut self) -> Result<()> {
        if self.batches.pending.is_some()
            && let Choice::Batch { offsets, logged } = self.batches.choose().await?
        {
            self.run_batch(*offsets, logged).await?;
        }
        Ok(())
    }

    async fn stop_at_available(&mut self) -> Result<()> {
        for source in &mut self.batches.sources {
            let stopped = source.source.stop_at_available(source.position.as_ref()).await;
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
            let asked = self.batches.clock.elapsed();
            let choice = self.batches.choose().await?;
            let cost = self.batches.clock.elapsed().saturating_sub(asked);
            let ended = match choice {
                Choice::Batch { offsets, logged } => {
                    self.run_batch(*offsets, logged).await?;
                    poll = POLL.0;
                    if let Some(interval) = interval
                        && self.waiting.is_empty()
                    {
                        self.sleep_until_next(interval).await;
                    }
                    continue;
                }
                Choice::Idle => false,
                Choice::Ended => true,
            };
            for waiter in self.waiting.drain(..answered) {
                // A waiter that has given up needs no answer.
                let _ = waiter.send(());
            }
            if ended {
                return Ok(());
            }
            self.wait(poll.max(cost * IDLE_SHARE)).await;
            poll = (poll * 2).min(POLL.1);
        }
    }

    async fn run_batch(&mut self, offsets: acequia_state::OffsetRecord, logged: bool) -> Result<()> {
        let progress = self.batches.run(offsets, logged).await?;
        if let Some(listener) = &self.listener {
            listener.on_progress(&progress);
        }
        self.shared.record(progress);
        Ok(())
    }

    fn take_commands(&mut self) {
        while let Ok(command) = self.inbox.try_recv() {
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Stop => self.stop = true,
            Command::ProcessAllAvailable(reply) => self.waiting.push(reply),
            Command::Snapshot(reply) => _ = reply.send(snapshot(&self.batches.plan)),
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
            command = self.inbox.recv() => match command {
                Some(command) => self.obey(command),
                // Every handle is gone and nobody can stop the query any more.
                None => self.stop = true,
            },
            () = arrival => {}
            () = tokio::time::sleep(at_most) => {}
        }
    }

    /// Waits for the next multiple of the interval; a command or a waiter cuts it short.
    async fn sleep_until_next(&mut self, interval: Duration) {
        let interval = interval.as_micros().max(1) as i64;
        let due = (self.batches.last_time.0.div_euclid(interval) + 1).saturating_mul(interval);
        while !self.stop && self.waiting.is_empty() {
            let left = due.saturating_sub(self.batches.clock.now().0);
            if left <= 0 {
                return;
            }
            let nap = Duration::from_micros(left as u64).min(POLL.1);
            tokio::select! {
                command = self.inbox.recv() => match command {
                    Some(command) => self.obey(command),
                    None => self.stop = true,
                },
                () = tokio::time::sleep(nap) => {}
            }
        }
    }
}

/// Every table of every operator.
fn snapshot(plan: &StreamingPlan) -> Result<Vec<StateTable>> {
    let mut tables = vec![];
    for node in plan.root.operators() {
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
