//! Starting a query, and starting it again: from what the checkpoint says to a query that is ready for its next batch.
//!
//! ```text
//! open      claim the checkpoint, open the sink, then recover
//! recover   latest() -> publish the last committed batch again if the sink lacks it
//!                    -> a fresh plan, with the state of that batch
//!                    -> sources at its end, or at the start of a batch that was begun and not committed
//! ```
//! A run recovers once when it starts, again whenever an older run, not yet fenced when it wrote, has decided a batch in
//! its place, and before it tries again what has failed: its epoch stays, everything else is read anew.

use super::micro_batch::{Durability, MicroBatches};
use super::output::OutputShape;
use super::read::SourceRun;
use super::run::{PlanFactory, QueryDefinition};
use super::watermark::{WatermarkPolicy, WatermarkTracker};
use crate::catalog::Stream;
use crate::plan::StreamingPlan;
use acequia_core::disk::Disk;
use acequia_core::state::TableDef;
use acequia_core::{
    BatchId, Clock, Epoch, Error, OperatorId, QueryId, Result, Sink, SinkContext, Source, SourceContext,
    Timestamp, Watermark,
};
use acequia_state::{
    Checkpoint, CommitRecord, Latest, OffsetRecord, OperatorRecord, StateStore, WatermarkState, open_store,
};
use arrow::array::RecordBatch;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where a query keeps its checkpoint.
#[derive(Debug, Clone)]
pub struct CheckpointPlace {
    /// The store. What it has put must be durable when the call returns.
    pub store: Arc<dyn ObjectStore>,
    /// The directory in it.
    pub prefix: Path,
}

impl CheckpointPlace {
    /// The place of this address, as in `WITH (checkpoint = '...')`; local files go to `disk`.
    ///
    /// # Errors
    /// As [`open_store`].
    pub fn open(address: &str, disk: &Disk) -> Result<Self> {
        let (store, prefix) = open_store(address, disk)?;
        Ok(Self { store, prefix })
    }
}

/// What stays the same over all recoveries of a run.
pub(super) struct Recipe {
    pub(super) id: String,
    pub(super) run_id: String,
    pub(super) name: String,
    pub(super) target: String,
    pub(super) clock: Arc<dyn Clock>,
    policy: WatermarkPolicy,
    replan: PlanFactory,
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe").field("name", &self.name).field("id", &self.id).finish_non_exhaustive()
    }
}

/// Opens checkpoint, sources and sink, and recovers.
pub(super) async fn open(definition: QueryDefinition) -> Result<MicroBatches> {
    let QueryDefinition { name, target, plan, replan, mut sink, checkpoint, policy, clock, .. } = definition;
    let durability = match checkpoint {
        Some(CheckpointPlace { store, prefix }) => {
            let checkpoint = Checkpoint::open(store, prefix).await?;
            let state = checkpoint.state_store();
            Some(Durability { checkpoint, state })
        }
        None => None,
    };
    let run_id = uuid::Uuid::new_v4().to_string();
    let id = durability.as_ref().map_or_else(|| run_id.clone(), |d| d.checkpoint.query().0.clone());
    sink.open(SinkContext {
        query: QueryId(id.clone()),
        epoch: durability.as_ref().map_or(Epoch(0), |d| d.checkpoint.epoch()),
        schema: plan.sink_schema(),
        mode: plan.mode,
        key: plan.key.clone(),
    })
    .await?;
    let mut batches = MicroBatches {
        recipe: Recipe { id, run_id, name, target, clock, policy, replan },
        shape: OutputShape::of(&plan),
        tracker: tracker(&plan, policy, WatermarkState::default()),
        plan,
        sources: vec![],
        sink,
        durability,
        next: BatchId(0),
        in_force: Watermark::UNKNOWN,
        last_time: Timestamp(i64::MIN),
        last_started: None,
        since_last: None,
        pending: None,
        settled: false,
    };
    batches.recover(vec![]).await?;
    Ok(batches)
}

fn tracker(plan: &StreamingPlan, policy: WatermarkPolicy, state: WatermarkState) -> WatermarkTracker {
    let of_streams = |option: fn(&Stream) -> Option<Duration>| {
        let streams = plan.sources.iter().map(|leaf| &leaf.stream);
        streams.filter_map(|stream| Some((stream.name().to_string(), option(stream)?))).collect()
    };
    let (idle, future) = (of_streams(Stream::idle_timeout), of_streams(Stream::max_future));
    WatermarkTracker::new(Arc::clone(&plan.observers), policy, idle, future, state)
}

impl MicroBatches {
    /// Begins again from what the checkpoint says now, as an older run has written there.
    pub(super) async fn recover_again(&mut self) -> Result<()> {
        // A socket takes one connection, and two open sources must not write into one directory.
        self.sources.clear();
        self.plan = (self.recipe.replan)().await?;
        self.recover(vec![]).await
    }

    /// Whether what has failed can be tried again.
    pub(super) fn can_try_again(&self) -> bool {
        self.durability.is_some() || self.settled
    }

    /// Goes back to where what has failed can be tried again.
    pub(super) async fn try_again(&mut self) -> Result<()> {
        if self.durability.is_none() {
            return Ok(());
        }
        if self.settled {
            // A source has failed and may not know where it is.
            return self.recover_again().await;
        }
        // A running batch does no more than to read ahead, the failure of which is told between two batches, and what a
        // socket has received lives only in its source.
        let kept = std::mem::take(&mut self.sources);
        self.plan = (self.recipe.replan)().await?;
        self.recover(kept).await
    }

    /// Brings everything to the end of the last committed batch. Sources that are `kept` go on, others are opened.
    async fn recover(&mut self, kept: Vec<SourceRun>) -> Result<()> {
        self.settled = false;
        let latest = match &self.durability {
            Some(durability) => durability.checkpoint.latest().await?,
            None => Latest::default(),
        };
        let epoch = self.epoch();
        if let Some(durability) = &mut self.durability {
            match &latest.commit {
                Some(commit) => {
                    restore(&mut self.plan, &mut durability.state, commit).await?;
                    // What a sink has staged in this process is known to it still.
                    let own = commit.epoch == epoch && commit.batch == self.next;
                    publish_again(self.sink.as_ref(), commit, own).await?;
                }
                None => durability.state = durability.checkpoint.state_store(),
            }
        }
        self.next = latest.commit.as_ref().map_or(BatchId(0), |commit| commit.batch.next());
        self.pending = latest.offsets.clone().filter(|offsets| offsets.batch == self.next);
        self.in_force = in_force(latest.commit.as_ref());
        self.sources = self.open_sources(latest.offsets.as_ref(), kept).await?;
        let state = match (&self.pending, latest.commit) {
            // A batch that is run again has the watermarks that it was given, those of ended and idle streams included.
            (Some(pending), _) => pending.watermark.clone(),
            (None, Some(commit)) => commit.next_watermark,
            (None, None) => WatermarkState::default(),
        };
        self.tracker = tracker(&self.plan, self.recipe.policy, state);
        self.last_time = latest.offsets.map_or(Timestamp(i64::MIN), |offsets| offsets.batch_time);
        self.shape = OutputShape::of(&self.plan);
        self.settled = true;
        Ok(())
    }

    /// Opens every stream of the plan once, at the end of the last committed batch.
    async fn open_sources(
        &self,
        last: Option<&OffsetRecord>,
        kept: Vec<SourceRun>,
    ) -> Result<Vec<SourceRun>> {
        let mut leaves: BTreeMap<String, (Arc<Stream>, Vec<usize>)> = BTreeMap::new();
        for (index, leaf) in self.plan.sources.iter().enumerate() {
            let name = leaf.stream.name().to_string();
            leaves.entry(name).or_insert_with(|| (Arc::clone(&leaf.stream), vec![])).1.push(index);
        }
        if let Some(last) = last {
            check_streams(last, leaves.keys().map(String::as_str).collect())?;
        }
        let mut kept: BTreeMap<String, Box<dyn Source>> =
            kept.into_iter().map(|run| (run.name, run.source)).collect();
        let mut sources = vec![];
        for (index, (name, (stream, leaves))) in leaves.into_iter().enumerate() {
            let source = match kept.remove(&name) {
                Some(source) => source,
                None => self.open_source(&stream).await.map_err(|e| e.context(format!("stream `{name}`")))?,
            };
            let offsets = last.map(|last| &last.sources[index]);
            let begun = self.pending.is_some();
            let position = offsets.and_then(|o| if begun { o.start.clone() } else { o.end.clone() });
            let final_watermark = stream.final_watermark();
            sources.push(SourceRun {
                name,
                source,
                position,
                leaves,
                ended: false,
                final_watermark,
                ahead: VecDeque::new(),
            });
        }
        Ok(sources)
    }

    async fn open_source(&self, stream: &Stream) -> Result<Box<dyn Source>> {
        let store = match &self.durability {
            Some(durability) => durability.checkpoint.source_store(stream.name())?,
            None => Arc::new(InMemory::new()),
        };
        let (durable, clock) = (self.durability.is_some(), Arc::clone(&self.recipe.clock));
        stream.open(SourceContext { store, durable, clock }).await
    }
}

/// Publishes the last committed batch, should the sink not have it yet. A sink that forgets with the process can do
/// that only for a batch of this run's `own`.
///
/// # Errors
/// `Invalid` when the sink lacks more than that, or has what was never committed: it is not the sink that this
/// checkpoint belongs to.
async fn publish_again(sink: &dyn Sink, commit: &CommitRecord, own: bool) -> Result<()> {
    if !sink.durable() {
        return if own { sink.publish(commit.batch, &commit.receipts).await } else { Ok(()) };
    }
    let published = sink.last_published().await?;
    if published == Some(commit.batch) {
        return Ok(());
    }
    let previous = commit.batch.0.checked_sub(1).map(BatchId);
    if published != previous {
        let published = published.map_or_else(|| "nothing".to_string(), |batch| format!("batch {batch}"));
        return Err(Error::invalid(format!(
            "the sink is not where this checkpoint's query has written: the last batch committed is {}, the sink's last is {published}; give the sink its old path back, or use a new checkpoint",
            commit.batch
        )));
    }
    let published = sink.publish(commit.batch, &commit.receipts).await;
    published.map_err(|e| {
        e.context(format!(
            "publishing batch {} of an earlier run (was the sink's path changed?)",
            commit.batch
        ))
    })
}

/// The watermark in force in the last committed batch.
fn in_force(last: Option<&CommitRecord>) -> Watermark {
    let offsets = last.and_then(|commit| commit.offsets.as_ref());
    offsets.map_or(Watermark::UNKNOWN, |offsets| offsets.watermark.global)
}

fn check_streams(last: &OffsetRecord, now: Vec<&str>) -> Result<()> {
    let before: Vec<&str> = last.sources.iter().map(|source| source.name.as_str()).collect();
    if before == now {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the query reads other streams than its checkpoint was written for: was=[{}] is=[{}]; use a new checkpoint",
        before.join(", "),
        now.join(", ")
    )))
}

/// The stateful operators of a plan as the commit log remembers them.
pub(super) fn operator_records(plan: &StreamingPlan) -> Vec<OperatorRecord> {
    let record = |node: &&crate::plan::OperatorNode| OperatorRecord {
        id: node.id,
        name: node.name.to_string(),
        fingerprint: node.fingerprint.clone(),
    };
    plan.root.operators().iter().map(record).collect()
}

/// Puts the state of the last committed batch back into the operators of a plan.
///
/// # Errors
/// `Invalid` naming the operator whose state cannot serve the query as it is now; `Data` for damage.
async fn restore(plan: &mut StreamingPlan, state: &mut StateStore, commit: &CommitRecord) -> Result<()> {
    check_operators(&commit.operators, &operator_records(plan))?;
    let reader = state.restore(&commit.state).await?;
    let mut tables: Vec<(OperatorId, String)> = vec![];
    for node in plan.root.operators() {
        let own = node.operator.tables();
        let saved = reader.tables().iter().filter(|table| table.operator == node.id);
        saved.clone().try_for_each(|saved| check_table(saved, &own))?;
        tables.extend(own.into_iter().map(|table| (node.id, table.name)));
    }
    for (id, table) in tables {
        let mut put_back = |rows: RecordBatch| {
            plan.root.try_for_each_operator(&mut |node| match node.id == id {
                true => node.operator.restore(&table, rows.clone()),
                false => Ok(()),
            })
        };
        reader.rows(id, &table, &mut put_back).await?;
    }
    Ok(())
}

/// Whether a table that was saved can go on as one of these.
fn check_table(saved: &TableDef, now: &[TableDef]) -> Result<()> {
    match now.iter().find(|now| now.name == saved.name) {
        Some(now) if acequia_state::continues(saved, now) => Ok(()),
        Some(now) => Err(Error::invalid(format!(
            "a table of the state has other columns than those in the checkpoint: operator={} table=`{}` saved=[{}] now=[{}]; a value's type may get new fields that are options, use a new checkpoint for others",
            saved.operator,
            saved.name,
            columns(saved),
            columns(now)
        ))),
        None => Err(Error::invalid(format!(
            "the state in the checkpoint has a variable that is gone: operator={} variable=`{}`; declare it again, or use a new checkpoint",
            saved.operator, saved.name
        ))),
    }
}

fn columns(table: &TableDef) -> String {
    let column = |field: &Arc<arrow::datatypes::Field>| format!("{} {}", field.name(), field.data_type());
    table.schema.fields().iter().map(column).collect::<Vec<_>>().join(", ")
}

fn check_operators(before: &[OperatorRecord], now: &[OperatorRecord]) -> Result<()> {
    for operator in now {
        match before.iter().find(|before| before.id == operator.id) {
            Some(before) if before.fingerprint == operator.fingerprint => {}
            Some(before) => return Err(changed(operator, &before.fingerprint)),
            None => return Err(changed(operator, "nothing")),
        }
    }
    match before.iter().find(|before| now.iter().all(|operator| operator.id != before.id)) {
        Some(gone) => Err(Error::invalid(format!(
            "the query no longer has operator {}#{}, whose state is in the checkpoint: was=`{}`; use a new checkpoint, or the query as it was",
            gone.name, gone.id, gone.fingerprint
        ))),
        None => Ok(()),
    }
}

fn changed(operator: &OperatorRecord, before: &str) -> Error {
    Error::invalid(format!(
        "operator {}#{} differs from the one whose state is in the checkpoint: was=`{before}` is=`{}`; filters and other expressions may change between runs, the keys, aggregates and windows of a stateful operator may not: use a new checkpoint, or the query as it was",
        operator.name, operator.id, operator.fingerprint
    ))
}
