//! The micro-batch protocol.
//!
//! ```text
//! 1 choose    offsets per source, watermark, batch time   -> offsets/N   what batch N is
//! 2 run       the plan over exactly that
//! 3 write     the sink stages its output, returns receipts
//! 4 seal      the state delta of batch N                  -> a state segment, unless the commit carries it
//! 5 commit    what N was, state, receipts, next watermark -> commits/N   the one decision
//! 6 publish   the sink makes batch N visible, idempotent
//! ```
//! A restart finds either `commits/N`, publishes it again if need be and goes on with N+1; or `offsets/N` without it,
//! and runs N again with the same offsets, watermark and time over state N-1. A loss of power may also take `offsets/N`:
//! then N is decided anew (`acequia_state::checkpoint` says why that does no harm). The fence is checked before every
//! batch.

use super::execute::BatchRun;
use super::output::OutputShape;
use super::progress::{
    Durations, EventTimeProgress, SinkProgress, SourceProgress, StateOperatorProgress,
    StreamingQueryProgress, millis,
};
use super::read::SourceRun;
use super::recover::{Recipe, operator_records};
use super::watermark::WatermarkTracker;
use crate::exec::BatchContext;
use crate::plan::{Node, StreamingPlan};
use acequia_core::state::TableDelta;
use acequia_core::{
    Advance, BatchId, Error, ErrorKind, Offset, ReadMetrics, Result, Sink, SinkReceipt, Timestamp, Watermark,
};
use acequia_state::{
    Checkpoint, CommitOutcome, CommitRecord, OffsetRecord, OffsetsOutcome, SourceOffsets, StateManifest,
    StateStore,
};
use datafusion::physical_plan::SendableRecordBatchStream;
use std::sync::Arc;
use std::time::Duration;

/// How many batches' logs and state versions are kept.
const RETAINED_BATCHES: usize = 100;

/// The durable side of a query.
#[derive(Debug)]
pub(super) struct Durability {
    pub(super) checkpoint: Checkpoint,
    pub(super) state: StateStore,
}

/// Runs the batches of one query.
#[derive(Debug)]
pub(super) struct MicroBatches {
    /// What is the same before and after a recovery.
    pub(super) recipe: Recipe,
    pub(super) plan: StreamingPlan,
    pub(super) shape: OutputShape,
    pub(super) sources: Vec<SourceRun>,
    pub(super) sink: Box<dyn Sink>,
    pub(super) durability: Option<Durability>,
    pub(super) tracker: WatermarkTracker,
    pub(super) next: BatchId,
    /// The watermark in force in the last batch.
    pub(super) in_force: Watermark,
    pub(super) last_time: Timestamp,
    /// When the last batch of this run began, by [`acequia_core::Clock::elapsed`], and how long after the one before.
    pub(super) last_started: Option<Duration>,
    pub(super) since_last: Option<Duration>,
    /// A batch that an earlier run began and did not commit.
    pub(super) pending: Option<OffsetRecord>,
    /// Whether plan, sources and sink stand between two batches: false from the begin of a batch, or of a recovery, to
    /// its end.
    pub(super) settled: bool,
}

/// What there is to do next.
#[derive(Debug)]
pub(super) enum Choice {
    /// A batch.
    Batch {
        /// What it is.
        offsets: Box<OffsetRecord>,
        /// Whether an earlier run has written that down already.
        logged: bool,
    },
    /// Nothing now.
    Idle,
    /// Nothing ever.
    Ended,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Ran {
    /// It is published.
    Done(Box<StreamingQueryProgress>),
    /// An older run, not yet fenced when it wrote, has decided this batch: recover and go on from there.
    Superseded,
}

/// Says in an error which step of the protocol failed.
fn during(step: &'static str) -> impl Fn(Error) -> Error {
    move |error| error.context(step)
}

impl MicroBatches {
    /// Decides what the next batch is.
    pub(super) async fn choose(&mut self) -> Result<Choice> {
        if let Some(pending) = self.pending.take() {
            return Ok(Choice::Batch { offsets: Box::new(pending), logged: true });
        }
        let now = self.recipe.clock.now().max(self.last_time);
        let ends = self.advance_sources(now).await?;
        self.tracker.advance(now);
        let watermark = self.tracker.state().global;
        let has_data = ends.iter().any(Option::is_some);
        let first_of_static =
            self.next == BatchId(0) && (self.sources.is_empty() || self.plan.root.gives_once());
        if !has_data && !first_of_static && !self.wakes_at(watermark, now) {
            let over = self.sources.iter().all(|source| source.ended);
            return Ok(if over { Choice::Ended } else { Choice::Idle });
        }
        let sources = self.sources.iter().zip(ends).map(|(source, end)| SourceOffsets {
            name: source.name.clone(),
            start: source.position.clone(),
            end: end.or_else(|| source.position.clone()),
        });
        let offsets = OffsetRecord {
            batch: self.next,
            epoch: self.epoch(),
            batch_time: now,
            watermark: self.tracker.state().clone(),
            sources: sources.collect(),
        };
        Ok(Choice::Batch { offsets: Box::new(offsets), logged: false })
    }

    /// Where each source would end in the next batch; `None` where it has nothing.
    async fn advance_sources(&mut self, now: Timestamp) -> Result<Vec<Option<Offset>>> {
        let mut advances = Vec::with_capacity(self.sources.len());
        for source in &mut self.sources {
            advances.push(source.advance().await?);
        }
        let step_of = |advance: &Advance| match advance {
            Advance::To { step, .. } => *step,
            _ => None,
        };
        if advances.iter().any(|advance| step_of(advance).is_some()) {
            // What was handed over together may have come between two of the questions above.
            for (source, advance) in self.sources.iter_mut().zip(&mut advances) {
                if *advance == Advance::Idle {
                    *advance = source.advance().await?;
                }
            }
        }
        let lowest = advances.iter().filter_map(step_of).min();
        let mut ends = Vec::with_capacity(advances.len());
        for (source, advance) in self.sources.iter_mut().zip(advances) {
            ends.push(match advance {
                Advance::To { step: Some(step), .. } if Some(step) != lowest => None,
                Advance::To { end, .. } => Some(end),
                Advance::Idle => None,
                Advance::Ended => {
                    if !std::mem::replace(&mut source.ended, true) && source.final_watermark {
                        self.tracker.finish(&source.name, now);
                    }
                    None
                }
            });
        }
        Ok(ends)
    }

    /// One batch of all that is there, whatever the limits (`TRIGGER ONCE`).
    pub(super) async fn choose_all(&mut self) -> Result<Choice> {
        let before: Vec<Option<Offset>> = self.sources.iter().map(|source| source.position.clone()).collect();
        let choice = self.choose_beyond_limits().await;
        for (source, position) in self.sources.iter_mut().zip(before) {
            source.position = position;
        }
        choice
    }

    /// Moves the sources' positions.
    async fn choose_beyond_limits(&mut self) -> Result<Choice> {
        let mut choice = self.choose().await?;
        while let Choice::Batch { offsets, .. } = &mut choice {
            for (source, range) in self.sources.iter_mut().zip(&offsets.sources) {
                source.position.clone_from(&range.end);
            }
            let more = self.advance_sources(offsets.batch_time).await?;
            if more.iter().all(Option::is_none) {
                break;
            }
            for (range, end) in offsets.sources.iter_mut().zip(more) {
                range.end = end.or_else(|| range.end.take());
            }
        }
        Ok(choice)
    }

    fn wakes_at(&self, watermark: Watermark, now: Timestamp) -> bool {
        let operators = self.plan.root.operators();
        let passes = watermark > self.in_force;
        operators.iter().map(|node| &node.operator).any(|operator| {
            (passes && operator.wakes_at(watermark)) || operator.due_at().is_some_and(|due| due <= now)
        })
    }

    pub(super) fn epoch(&self) -> acequia_core::Epoch {
        self.durability.as_ref().map(|d| d.checkpoint.epoch()).unwrap_or_default()
    }

    /// Runs a batch from its offsets to its publication.
    pub(super) async fn run(&mut self, offsets: OffsetRecord, logged: bool) -> Result<Ran> {
        let batch = offsets.batch;
        self.settled = false;
        self.run_steps(offsets, logged).await.map_err(|e| e.context(format!("batch {batch}")))
    }

    async fn run_steps(&mut self, offsets: OffsetRecord, logged: bool) -> Result<Ran> {
        let started = self.recipe.clock.elapsed();
        self.since_last = self.last_started.replace(started).map(|last| started.saturating_sub(last));
        let mut durations = Durations::default();
        if !self.decide(&offsets, logged).await.map_err(during("deciding what it reads"))? {
            return Ok(Ran::Superseded);
        }
        let logged = self.recipe.clock.elapsed();
        durations.wal_commit = millis(logged - started);

        let (metrics, (output_rows, receipt)) = self.execute(&offsets).await?;
        let computed = self.recipe.clock.elapsed();
        durations.add_batch = millis(computed - logged);

        self.tracker.observe(offsets.batch_time);
        let sealed = self.seal(offsets.batch).await.map_err(during("saving state"))?;
        let sealed_at = self.recipe.clock.elapsed();
        durations.state_commit = millis(sealed_at - computed);

        let receipts = vec![receipt];
        if !self.commit(&offsets, sealed, &receipts, &metrics).await.map_err(during("committing"))? {
            return Ok(Ran::Superseded);
        }
        self.sink.publish(offsets.batch, &receipts).await.map_err(during("publishing the output"))?;
        self.forget(&offsets).await?;
        let finished = self.recipe.clock.elapsed();
        durations.commit_offsets = millis(finished - sealed_at);
        durations.trigger_execution = millis(finished - started);

        let progress = self.progress(&offsets, &metrics, output_rows, durations, finished - started);
        self.next = offsets.batch.next();
        self.in_force = offsets.watermark.global;
        self.last_time = offsets.batch_time;
        self.settled = true;
        Ok(Ran::Done(Box::new(progress)))
    }

    /// Makes durable what the batch is; false when an older run has decided otherwise.
    async fn decide(&self, offsets: &OffsetRecord, logged: bool) -> Result<bool> {
        let Some(durability) = &self.durability else { return Ok(true) };
        durability.checkpoint.check_fence().await?;
        if logged {
            return Ok(true);
        }
        Ok(durability.checkpoint.write_offsets(offsets).await? == OffsetsOutcome::Written)
    }

    /// Reads, computes and stages the output; what was read of each leaf, how many rows were written, and the receipt.
    async fn execute(
        &mut self,
        offsets: &OffsetRecord,
    ) -> Result<(Vec<Arc<ReadMetrics>>, (u64, SinkReceipt))> {
        self.plan.batch_time.set(offsets.batch_time);
        self.tracker.begin(offsets.batch_time);
        let (mut leaves, metrics) = self.open_leaves(offsets).await?;
        debug_assert!(offsets.watermark.global >= self.in_force, "the watermark goes back: {offsets:?}");
        let context = BatchContext {
            batch: offsets.batch,
            watermark: offsets.watermark.global,
            late_watermark: offsets.watermark.global,
            previous_watermark: self.in_force,
            batch_time: offsets.batch_time,
            durable: self.durability.is_some(),
        };
        let mut run = BatchRun { context, leaves: &mut leaves };
        let Node::Island(root) = &mut self.plan.root else {
            return Err(Error::internal("the root of a plan is an island"));
        };
        let rows = run.island(root).await?;
        let staging = during("staging the output");
        let mut writer = self.sink.writer(offsets.batch).await.map_err(&staging)?;
        let written = self.shape.write(rows, writer.as_mut()).await?;
        Ok((metrics, (written, writer.finish().await.map_err(&staging)?)))
    }

    /// The rows of every leaf in this batch, and their counters.
    async fn open_leaves(
        &mut self,
        offsets: &OffsetRecord,
    ) -> Result<(Vec<Option<SendableRecordBatchStream>>, Vec<Arc<ReadMetrics>>)> {
        let sources = &self.plan.sources;
        let mut leaves: Vec<_> = sources.iter().map(|_| None).collect();
        let mut metrics: Vec<Arc<ReadMetrics>> = sources.iter().map(|_| Arc::default()).collect();
        for (source, range) in self.sources.iter_mut().zip(&offsets.sources) {
            for open in source.open(range, sources).await? {
                leaves[open.leaf] = Some(open.rows);
                metrics[open.leaf] = open.metrics;
            }
            source.read_ahead(&range.end, sources).await;
        }
        Ok((leaves, metrics))
    }

    async fn seal(&mut self, batch: BatchId) -> Result<StateManifest> {
        let Some(durability) = &mut self.durability else { return Ok(StateManifest::default()) };
        let mut deltas: Vec<TableDelta> = vec![];
        self.plan.root.try_for_each_operator(&mut |node| -> Result<()> {
            deltas.extend(node.operator.take_deltas()?);
            Ok(())
        })?;
        durability.state.seal(batch, deltas).await
    }

    /// Makes durable that the batch is done; false when an older run has done it its own way.
    async fn commit(
        &self,
        offsets: &OffsetRecord,
        state: StateManifest,
        receipts: &[SinkReceipt],
        metrics: &[Arc<ReadMetrics>],
    ) -> Result<bool> {
        let Some(durability) = &self.durability else { return Ok(true) };
        let record = CommitRecord {
            batch: offsets.batch,
            epoch: durability.checkpoint.epoch(),
            offsets: Some(offsets.clone()),
            next_watermark: self.tracker.state().clone(),
            state,
            receipts: receipts.to_vec(),
            operators: operator_records(&self.plan),
            rows_in: metrics.iter().map(|m| m.rows()).sum(),
        };
        Ok(durability.checkpoint.write_commit(&record).await? == CommitOutcome::Committed)
    }

    /// Lets sources and checkpoint forget what the batch has settled. It is done and visible by now, so what cannot be
    /// removed is left to the next batch.
    async fn forget(&mut self, offsets: &OffsetRecord) -> Result<()> {
        for (source, range) in self.sources.iter_mut().zip(&offsets.sources) {
            source.position.clone_from(&range.end);
            if let Some(end) = &range.end
                && let Err(error) = source.source.commit(end).await
            {
                tracing::warn!(stream = source.name, %error, "source could not forget what is committed");
            }
        }
        let Some(durability) = &self.durability else { return Ok(()) };
        match durability.checkpoint.purge(RETAINED_BATCHES).await {
            Err(error) if matches!(error.kind(), ErrorKind::Data | ErrorKind::Internal) => {
                Err(error.context("forgetting old batches"))
            }
            Err(error) => {
                tracing::warn!(query = self.recipe.name, %error, "checkpoint could not forget old batches");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn progress(
        &self,
        offsets: &OffsetRecord,
        metrics: &[Arc<ReadMetrics>],
        output_rows: u64,
        durations: Durations,
        took: Duration,
    ) -> StreamingQueryProgress {
        let per_second = |rows: u64, time: Duration| rows as f64 / time.as_secs_f64().max(1e-6);
        let since_last = |rows: u64| self.since_last.map(|time| per_second(rows, time));
        let progress_of = |source: &SourceRun, range: &SourceOffsets| {
            let rows = source.leaves.iter().map(|leaf| metrics[*leaf].rows()).max().unwrap_or(0);
            SourceProgress {
                description: source.name.clone(),
                start_offset: range.start.clone(),
                end_offset: range.end.clone(),
                num_input_rows: rows,
                input_rows_per_second: since_last(rows),
                processed_rows_per_second: per_second(rows, took),
            }
        };
        let ranges = self.sources.iter().zip(&offsets.sources);
        let sources: Vec<SourceProgress> = ranges.map(|(source, range)| progress_of(source, range)).collect();
        let input_rows: u64 = sources.iter().map(|s| s.num_input_rows).sum();
        let operators = self.plan.root.operators();
        let state_operators: Vec<StateOperatorProgress> = operators
            .iter()
            .map(|node| StateOperatorProgress {
                operator_name: format!("{}#{}", node.name, node.id),
                num_rows_total: node.operator.state_rows() as u64,
                memory_used_bytes: node.operator.state_bytes() as u64,
                num_rows_dropped_by_watermark: node.operator.late_rows(),
            })
            .collect();
        StreamingQueryProgress {
            id: self.recipe.id.clone(),
            run_id: self.recipe.run_id.clone(),
            name: self.recipe.name.clone(),
            timestamp: offsets.batch_time,
            batch_id: offsets.batch,
            num_input_rows: input_rows,
            num_skipped_records: metrics.iter().map(|m| m.skipped()).sum(),
            num_late_rows: operators.iter().map(|node| node.operator.late_rows()).sum(),
            num_future_rows: self.tracker.future_rows(),
            num_output_rows: output_rows,
            input_rows_per_second: since_last(input_rows),
            processed_rows_per_second: per_second(input_rows, took),
            batch_duration: durations.trigger_execution,
            duration_ms: durations,
            event_time: self.tracker.event_times().map(|times| EventTimeProgress {
                max: times.latest,
                min: times.earliest,
                avg: times.mean(),
                watermark: offsets.watermark.global,
            }),
            watermark: offsets.watermark.global,
            next_watermark: self.tracker.state().global,
            state_operators,
            sources,
            sink: SinkProgress { description: self.recipe.target.clone(), num_output_rows: output_rows },
        }
    }
}
