//! Running one physical plan again and again.
//!
//! A template is never executed itself: each batch gets a copy with its state reset, since an executed plan keeps
//! channels, build sides and counters of its batch. One thing is kept on purpose: the build side of a hash join over
//! static data, for the join types whose build side holds nothing about the probing rows. It is then built once for
//! the life of the query instead of once per batch.

use super::delta::{DeltaExec, Slot};
use super::watermark::WatermarkExec;
use datafusion::common::{JoinType, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use futures::{TryStreamExt, stream};
use std::sync::Arc;

/// A physical plan that can be run for every batch.
#[derive(Debug)]
pub struct IslandTemplate {
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    row_wise: bool,
    computes: bool,
    /// The slots of a plan that may end before it has read them, as it is not computed row by row.
    slots: Vec<Arc<Slot>>,
}

impl IslandTemplate {
    /// A template from a plan that has not been executed.
    pub fn new(plan: Arc<dyn ExecutionPlan>, task: Arc<TaskContext>) -> Arc<Self> {
        let (row_wise, computes) = (is_row_wise(&plan), computes(&plan));
        let mut slots = Vec::new();
        if !row_wise {
            slots_of(&plan, &mut slots);
        }
        Arc::new(Self { plan, task, row_wise, computes, slots })
    }

    /// Whether the plan gives the same whether it sees the rows of a batch at once or part by part. Parts may then be
    /// run at the same time.
    pub fn is_row_wise(&self) -> bool {
        self.row_wise
    }

    /// Whether the plan does more than to choose columns.
    pub fn computes(&self) -> bool {
        self.computes
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<dyn ExecutionPlan> {
        &self.plan
    }

    /// Runs a copy for one batch, whose rows are in the slots already. These are read to their end.
    ///
    /// # Errors
    /// What the plan's nodes say when they start.
    pub fn run(&self) -> Result<SendableRecordBatchStream> {
        let rows = execute_stream(reset(&self.plan)?, Arc::clone(&self.task))?;
        if self.slots.is_empty() {
            return Ok(rows);
        }
        let (schema, slots) = (rows.schema(), self.slots.clone());
        let rows = stream::try_unfold((Some(rows), slots), |(rows, slots)| async move {
            let Some(mut rows) = rows else { return Ok(None) };
            if let Some(batch) = rows.try_next().await? {
                return Ok(Some((batch, (Some(rows), slots))));
            }
            // What the plan has not read is known when its streams are gone.
            drop(rows);
            for slot in slots {
                slot.unread().read().await?;
            }
            Ok(None)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

fn slots_of(plan: &Arc<dyn ExecutionPlan>, slots: &mut Vec<Arc<Slot>>) {
    if let Some(leaf) = plan.downcast_ref::<DeltaExec>() {
        slots.push(Arc::clone(leaf.slot()));
    }
    plan.children().into_iter().for_each(|child| slots_of(child, slots));
}

fn reset(plan: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if plan.is::<DeltaExec>() {
        return Ok(Arc::clone(plan));
    }
    let kept = kept_build_side(plan);
    let children = plan.children();
    let mut fresh = Vec::with_capacity(children.len());
    for (index, child) in children.into_iter().enumerate() {
        fresh.push(if kept && index == 0 { Arc::clone(child) } else { reset(child)? });
    }
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    let plan = Arc::clone(plan).replace_children(fresh, options)?;
    if kept { Ok(plan) } else { plan.reset_state() }
}

/// Whether what a row gives depends on no other row of its batch, and rows keep their order.
fn is_row_wise(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if plan.is::<DeltaExec>() {
        return true;
    }
    // A join whose build side is kept would do, but each of its runs leaves counters behind that are never freed.
    let alone = plan.is::<FilterExec>() || plan.is::<ProjectionExec>() || plan.is::<WatermarkExec>();
    alone && plan.fetch().is_none() && plan.children().into_iter().all(is_row_wise)
}

/// Whether the plan does more than to choose columns.
fn computes(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let chooses = |projection: &ProjectionExec| projection.expr().iter().all(|e| e.expr.is::<Column>());
    let passes = plan.is::<DeltaExec>()
        || plan.is::<WatermarkExec>()
        || plan.downcast_ref::<ProjectionExec>().is_some_and(chooses);
    !passes || plan.children().into_iter().any(computes)
}

/// Whether the plan is a hash join whose build side can serve all batches.
fn kept_build_side(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let Some(join) = plan.downcast_ref::<HashJoinExec>() else { return false };
    let stateless_build = matches!(
        join.join_type(),
        JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti
    );
    stateless_build && *join.partition_mode() == PartitionMode::CollectLeft && !reads_delta(join.left())
}

fn reads_delta(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<DeltaExec>() || plan.children().into_iter().any(reads_delta)
}
