//! The physical side of `WATERMARK FOR`: passes rows through and remembers the latest event time among them.

use super::delta::{DeltaExec, Slot};
use super::event_times::EventTimes;
use crate::functions::EventTimeWatermark;
use acequia_core::Timestamp;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{SortOptions, sort};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use futures::TryStreamExt;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A `WATERMARK FOR` of the query: its name, its delay, and the event times that its rows showed.
#[derive(Debug)]
pub struct EventTimeObserver {
    id: String,
    delay_micros: i64,
    seen: Mutex<SeenTimes>,
}

/// The event times that the rows of a batch showed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeenTimes {
    /// Times after this one are counted and move nothing.
    limit: Option<Timestamp>,
    /// The latest of the others.
    pub latest: Option<Timestamp>,
    /// Rows with a time after the limit.
    pub future_rows: u64,
    /// Of every row.
    pub all: EventTimes,
}

impl EventTimeObserver {
    /// The unique name of the watermark: its stream's.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How far the watermark stays behind the latest event time, in microseconds.
    pub fn delay_micros(&self) -> i64 {
        self.delay_micros
    }

    /// Begins a batch in which times after this limit, if there is one, do not move the watermark.
    pub fn begin(&self, limit: Option<Timestamp>) {
        *self.seen.lock() = SeenTimes { limit, ..SeenTimes::default() };
    }

    /// What was seen since the batch began.
    pub fn take(&self) -> SeenTimes {
        std::mem::take(&mut *self.seen.lock())
    }

    fn observe(&self, times: &ArrayRef) -> Result<()> {
        let all = EventTimes::of(times)?;
        let found = all.latest;
        let mut seen = self.seen.lock();
        seen.all.merge(&all);
        match seen.limit {
            Some(limit) if found > Some(limit) => {
                // Sorted so that the times within the limit are together; this is rare.
                let sorted = sort(times, Some(SortOptions { descending: false, nulls_first: true }))?;
                let within = |index: usize| -> Result<bool> {
                    Ok(EventTimes::of(&sorted.slice(index, 1))?.latest <= Some(limit))
                };
                let (mut low, mut high) = (0, sorted.len());
                while low < high {
                    let middle = low + (high - low) / 2;
                    if within(middle)? { low = middle + 1 } else { high = middle }
                }
                seen.future_rows += (sorted.len() - low) as u64;
                seen.latest = seen.latest.max(EventTimes::of(&sorted.slice(0, low))?.latest);
            }
            _ => seen.latest = seen.latest.max(found),
        }
        Ok(())
    }
}

/// All watermarks of a query, by name. A stream that is read twice has one observer.
#[derive(Debug, Default)]
pub struct EventTimeObservers {
    by_id: Mutex<BTreeMap<String, Arc<EventTimeObserver>>>,
}

impl EventTimeObservers {
    /// The observer of this name, made if need be.
    fn get(&self, id: &str, delay_micros: i64) -> Arc<EventTimeObserver> {
        let mut by_id = self.by_id.lock();
        let make =
            || Arc::new(EventTimeObserver { id: id.to_string(), delay_micros, seen: Mutex::default() });
        Arc::clone(by_id.entry(id.to_string()).or_insert_with(make))
    }

    /// All of them, in the order of their names.
    pub fn all(&self) -> Vec<Arc<EventTimeObserver>> {
        self.by_id.lock().values().cloned().collect()
    }
}

/// Plans [`EventTimeWatermark`] nodes as [`WatermarkExec`].
pub(super) struct WatermarkPlanner {
    /// Where the observers of the query are registered.
    pub(super) observers: Arc<EventTimeObservers>,
}

#[async_trait]
impl ExtensionPlanner for WatermarkPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<EventTimeWatermark>() else { return Ok(None) };
        let input = Arc::clone(&physical_inputs[0]);
        let Some(own) = node.own() else { return Ok(Some(input)) };
        let observer = self.observers.get(&own.id, own.delay);
        let slot = slot_below(&input);
        Ok(Some(Arc::new(WatermarkExec { input, column: node.column_index()?, observer, slot })))
    }
}

/// Passes its input through and shows the event times to an observer.
#[derive(Debug)]
pub(super) struct WatermarkExec {
    input: Arc<dyn ExecutionPlan>,
    column: usize,
    observer: Arc<EventTimeObserver>,
    /// Where the rows wait, if they come from one place.
    slot: Option<Arc<Slot>>,
}

fn slot_below(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<Slot>> {
    match plan.children()[..] {
        [] => plan.downcast_ref::<DeltaExec>().map(|leaf| Arc::clone(leaf.slot())),
        [child] => slot_below(child),
        _ => None,
    }
}

impl DisplayAs for WatermarkExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WatermarkExec: {} column={}", self.observer.id, self.schema().field(self.column).name())
    }
}

impl ExecutionPlan for WatermarkExec {
    fn name(&self) -> &str {
        "WatermarkExec"
    }

    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop() else { return internal_err!("WatermarkExec has one input") };
        let (observer, slot) = (Arc::clone(&self.observer), self.slot.clone());
        Ok(Arc::new(Self { input, column: self.column, observer, slot }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (column, observer) = (self.column, Arc::clone(&self.observer));
        let observed = input.and_then(move |batch: RecordBatch| {
            let result = observer.observe(batch.column(column)).map(|()| batch);
            futures::future::ready(result)
        });
        let observed: SendableRecordBatchStream =
            Box::pin(RecordBatchStreamAdapter::new(self.schema(), observed));
        Ok(match &self.slot {
            Some(slot) => slot.unread().watched(observed),
            None => observed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::TimestampMillisecondArray;

    #[test]
    fn times_after_the_limit_are_counted_and_move_nothing() {
        let observer = EventTimeObserver { id: "s".into(), delay_micros: 0, seen: Mutex::default() };
        let times = |times: Vec<Option<i64>>| Arc::new(TimestampMillisecondArray::from(times)) as ArrayRef;
        observer.begin(Some(Timestamp(6_000)));
        observer.observe(&times(vec![Some(9), None, Some(5), Some(7), Some(6), Some(-1)])).unwrap();
        observer.observe(&times(vec![Some(8)])).unwrap();
        observer.observe(&times(vec![Some(2), None])).unwrap();
        let seen = observer.take();
        assert_eq!((seen.latest, seen.future_rows), (Some(Timestamp(6_000)), 3));
        observer.begin(None);
        observer.observe(&times(vec![Some(9)])).unwrap();
        assert_eq!(observer.take().latest, Some(Timestamp(9_000)));
    }
}
