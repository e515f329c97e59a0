//! `transform_with_state` in a plan: its logical node, and what its operator needs to know.

use super::build::{Builder, Part, reads, times_of};
use super::node::{Island, OperatorNode};
use super::reset::IslandTemplate;
use super::time_key::bound_of;
use super::{build::Change, explain, refuse};
use crate::error::from_datafusion;
use crate::exec::{KeyedProcessor, KeyedStateSpec, Sharding, TimeBound, TimeMode};
use crate::functions::{EventTimeWatermark, TimeColumn, TimeRole, node_of, watermarks_in};
use acequia_core::{Error, OutputMode, Result};
use datafusion::common::{Column, DFSchema, DFSchemaRef};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Hands the rows of each key to a processor. It has no physical form: only a streaming plan can run it.
#[derive(Debug, Clone)]
pub struct TransformWithState {
    /// Its columns: the key, the row, then those that are said to be there.
    input: LogicalPlan,
    processor: Arc<dyn KeyedProcessor>,
    initial: Option<usize>,
    time: Option<usize>,
    emitted_time: Option<usize>,
    mode: OutputMode,
    schema: DFSchemaRef,
}

impl TransformWithState {
    /// A node over key and row, the first two columns of `input`; `initial` is the column of initial rows, `time` that
    /// of event time. What it emits in `mode` is new (`Append`), or replaces what was emitted before (`Update`).
    ///
    /// # Errors
    /// `Invalid` for another mode; those of columns with equal names.
    pub fn try_new(
        input: LogicalPlan,
        processor: Arc<dyn KeyedProcessor>,
        initial: Option<usize>,
        time: Option<usize>,
        mode: OutputMode,
    ) -> Result<Self> {
        if !matches!(mode, OutputMode::Append | OutputMode::Update) {
            return Err(Error::invalid(format!(
                "a processor with state emits in APPEND or UPDATE mode: mode={mode}"
            )));
        }
        let schema = DFSchema::try_from(processor.output_schema()).map_err(from_datafusion)?;
        Ok(Self { input, processor, initial, time, emitted_time: None, mode, schema: Arc::new(schema) })
    }

    /// The node as a plan.
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The node as a plan in which a column that it emits is event time, bounded by the watermark of the input.
    ///
    /// # Errors
    /// `Invalid` when the column is not there or not a timestamp, and when the input has no watermark.
    pub fn into_timed_plan(mut self, column: &str) -> Result<LogicalPlan> {
        self.emitted_time = self.schema.index_of_column_by_name(None, column);
        let marked = EventTimeWatermark::following(self.into_plan(), Column::from_name(column));
        Ok(marked.map_err(from_datafusion)?.into_plan())
    }

    /// The node behind a plan, when it is one.
    pub fn of(plan: &LogicalPlan) -> Option<&Self> {
        node_of(plan)
    }

    /// The event-time column and what the watermark means for it.
    fn event_time(&self) -> Result<Option<(usize, TimeBound)>> {
        let times = match &self.input {
            // Rows of the initial state have no time, which takes nothing from that of the stream's.
            LogicalPlan::Union(union) if self.initial.is_some() => times_of(&union.inputs[0])?,
            input => times_of(input)?,
        };
        let bound = |column: usize| Some((column, bound_of(times.get(column)?.as_ref()?)));
        Ok(self.time.and_then(bound))
    }

    /// The event-time column of what is emitted and what the watermark means for it.
    fn emitted_time(&self) -> Option<(usize, TimeBound)> {
        let column = self.emitted_time?;
        let data_type = self.schema.field(column).data_type().clone();
        let watermarks = watermarks_in(&self.input);
        Some((column, bound_of(&TimeColumn { watermarks, role: TimeRole::EventTime, data_type })))
    }

    /// What tells two nodes apart.
    fn identity(&self) -> (*const u8, &LogicalPlan) {
        (Arc::as_ptr(&self.processor).cast(), &self.input)
    }
}

impl PartialEq for TransformWithState {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for TransformWithState {}

impl PartialOrd for TransformWithState {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.identity().partial_cmp(&other.identity())
    }
}

impl Hash for TransformWithState {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl UserDefinedLogicalNodeCore for TransformWithState {
    fn name(&self) -> &str {
        "TransformWithState"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "TransformWithState: {}", self.processor.name())
    }

    fn with_exprs_and_inputs(
        &self,
        _exprs: Vec<Expr>,
        inputs: Vec<LogicalPlan>,
    ) -> datafusion::common::Result<Self> {
        let mut inputs = inputs.into_iter();
        match (inputs.next(), inputs.next()) {
            (Some(input), None) => Ok(Self { input, ..self.clone() }),
            _ => Err(crate::error::into_datafusion(Error::internal("a processor with state has one input"))),
        }
    }

    fn necessary_children_exprs(&self, _output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![(0..self.input.schema().fields().len()).collect()])
    }
}

impl Builder<'_> {
    pub(super) async fn transform_with_state(
        &mut self,
        plan: &LogicalPlan,
        node: &TransformWithState,
    ) -> Result<Part> {
        if node.mode == OutputMode::Update && self.mode != OutputMode::Update {
            return Err(refuse::processor_updates(self.mode));
        }
        let input = self.part(&node.input).await?;
        if input.change != Change::InsertOnly {
            return Err(refuse::processor_over_changes(self.mode));
        }
        let physical = self.physical(&input.plan).await?;
        let input_schema = physical.schema();
        let template = IslandTemplate::new(physical, Arc::clone(&self.task));
        let island = Island { template, inputs: input.inputs };
        let time = match node.processor.time_mode() {
            TimeMode::EventTime => Some(node.event_time()?.ok_or_else(refuse::no_event_time)?),
            _ => None,
        };
        let id = self.next_id();
        let (processor, initial) = (Arc::clone(&node.processor), node.initial);
        let emitted_time = node.emitted_time();
        let spec = KeyedStateSpec { operator: id, processor, input_schema, initial, time, emitted_time };
        let key = spec.input_schema.field(0).data_type().clone();
        let description = explain::transform_with_state(&*node.processor, node.mode);
        let Sharding { operator, by } = Sharding::keyed_state(spec, self.shards)?;
        let description = description.with(&explain::shards(self.shards, &by, &node.input));
        let time = node.processor.time_mode();
        let name = "transform_with_state";
        let fingerprint = format!("{name} key=`{key}` timers={time}");
        let node = OperatorNode { id, name, fingerprint, description, operator, inputs: vec![island] };
        reads(plan.schema(), node, Change::InsertOnly)
    }
}

/// Refuses stateful nodes over a processor whose rows replace others.
///
/// # Errors
/// `Unsupported` naming the node.
pub(super) fn check_updates(plan: &LogicalPlan) -> Result<()> {
    let passes = matches!(
        plan,
        LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Unnest(_)
    ) || EventTimeWatermark::of(plan).is_some();
    for input in plan.inputs() {
        if !passes && has_updates(input) {
            return Err(refuse::over_processor_updates(plan));
        }
        check_updates(input)?;
    }
    Ok(())
}

/// Whether rows of a plan may replace others because a processor's do.
pub(super) fn has_updates(plan: &LogicalPlan) -> bool {
    TransformWithState::of(plan).is_some_and(|node| node.mode == OutputMode::Update)
        || plan.inputs().into_iter().any(has_updates)
}
