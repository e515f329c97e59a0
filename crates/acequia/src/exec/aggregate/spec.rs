//! What an aggregate does, as the planner describes it.

use super::time::TimeKey;
use crate::exec::group_states::StatePlan;
use acequia_core::{Error, OperatorId, Result};
use arrow::array::{ArrayRef, UInt64Array, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::sync::Arc;

/// What an operator emits at the end of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// Each group once, when it is final (APPEND). Insert-only.
    Final,
    /// The new row of each group whose row changed, keyed by the group columns (UPDATE). Groups that leave because
    /// of the watermark keep their last row: nothing is emitted for them.
    Upserts,
    /// The old row with weight -1 and the new one with weight 1, where they differ; a new group has no old row.
    Changes,
    /// All groups, every batch (COMPLETE). Nothing is late and nothing leaves.
    Snapshot,
}

/// An aggregate.
#[derive(Debug, Clone)]
pub struct AggregateSpec {
    /// The operator's identity.
    pub operator: OperatorId,
    /// The rows that are pushed.
    pub input_schema: SchemaRef,
    /// Whether their last column is a weight, so that they may be taken back.
    pub weighted: bool,
    /// The group columns, over the input. With grouping sets `__grouping_id` follows them, as in DataFusion.
    pub group_by: PhysicalGroupBy,
    /// The aggregates, over the input.
    pub aggregates: Vec<Arc<AggregateFunctionExpr>>,
    /// The FILTER of each aggregate.
    pub filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    /// Group columns, then aggregates. [`Emit::Changes`] appends the weight.
    pub output_schema: SchemaRef,
    /// What bounds the life of a group.
    pub time: Option<TimeKey>,
    /// What is emitted.
    pub emit: Emit,
}

impl AggregateSpec {
    /// The aggregate that DataFusion planned with one target partition, from its topmost [`AggregateExec`]. It is one
    /// stage over the raw rows, or, with grouping sets, a final stage right over a partial one.
    /// The plan below ([`raw_input`]: projection, sort) remains to be run over each batch.
    ///
    /// # Errors
    /// `Internal` when the plan has another shape, or is limited to some of its groups.
    pub fn from_exec(
        exec: &AggregateExec,
        operator: OperatorId,
        time: Option<TimeKey>,
        emit: Emit,
    ) -> Result<Self> {
        let first = first_stage(exec)?;
        if exec.limit_options().is_some() || first.limit_options().is_some() {
            return Err(Error::internal(
                "an aggregate was planned with a limit, which is wrong on a part of its rows",
            ));
        }
        Ok(Self {
            operator,
            input_schema: first.input_schema(),
            weighted: false,
            group_by: first.group_expr().clone(),
            aggregates: first.aggr_expr().to_vec(),
            filters: first.filter_expr().to_vec(),
            output_schema: exec.schema(),
            time,
            emit,
        })
    }

    /// Whether each of its functions can take rows back from what it keeps of a group.
    ///
    /// # Errors
    /// `Internal` when the rows have no weight.
    pub fn takes_rows_back(&self) -> Result<bool> {
        Ok(StatePlan::over_changes(&self.aggregates, &self.filters, &self.input_schema)?.is_some())
    }

    /// How the states of groups are kept.
    pub(super) fn state_plan(&self, native: bool) -> Result<StatePlan> {
        if !self.weighted {
            return StatePlan::try_new(&self.aggregates, &self.filters, &self.input_schema, native);
        }
        let plan = StatePlan::over_changes(&self.aggregates, &self.filters, &self.input_schema)?;
        plan.ok_or_else(|| {
            Error::internal("an aggregate that cannot take rows back is over rows with weights")
        })
    }

    /// Whether one of its groups is there even over no rows.
    pub(super) fn has_empty_set(&self) -> bool {
        self.group_by.is_true_no_grouping()
            || self.group_by.groups().iter().any(|nulls| nulls.iter().all(|n| *n))
    }

    /// The group columns of each group that is there even over no rows.
    pub(super) fn empty_sets(&self) -> Result<Vec<Vec<ArrayRef>>> {
        if self.group_by.is_true_no_grouping() {
            return Ok(vec![Vec::new()]);
        }
        let types = self.group_types()?;
        let (Some(id_type), true) = (types.last(), self.group_by.has_grouping_set()) else {
            return Ok(Vec::new());
        };
        let width = self.group_by.expr().len();
        let empty = self.group_by.groups().iter().filter(|nulls| nulls.iter().all(|null| *null)).count();
        let set = |ordinal: usize| {
            // As DataFusion numbers it: a bit per column that is NULL, and above them which of its equals it is.
            let id = (1_u64.unbounded_shl(width as u32)).wrapping_sub(1)
                | (ordinal as u64).unbounded_shl(width as u32);
            let nulls = types[..width].iter().map(|t| new_null_array(t, 1));
            let id = cast(&UInt64Array::from(vec![id]), id_type)?;
            Ok(nulls.chain([id]).collect())
        };
        (0..empty).map(set).collect()
    }

    /// Types of the group columns, with that of `__grouping_id`.
    pub(super) fn group_types(&self) -> Result<Vec<DataType>> {
        let groups = self.group_by.num_group_exprs();
        let fields = self.output_schema.fields();
        if fields.len() != groups + self.aggregates.len() {
            return Err(Error::internal(format!(
                "an aggregate's output does not fit its parts: columns={} groups={groups} aggregates={}",
                fields.len(),
                self.aggregates.len()
            )));
        }
        Ok(fields[..groups].iter().map(|field| field.data_type().clone()).collect())
    }
}

/// The plan that gives an aggregate's raw rows.
///
/// # Errors
/// As [`AggregateSpec::from_exec`].
pub fn raw_input(exec: &AggregateExec) -> Result<Arc<dyn ExecutionPlan>> {
    let input = Arc::clone(first_stage(exec)?.input());
    // A sort over UNION ALL orders each branch by itself; the operator needs one order.
    Ok(match input.output_ordering().cloned() {
        Some(order) if input.output_partitioning().partition_count() > 1 => {
            Arc::new(SortPreservingMergeExec::new(order, input))
        }
        _ => input,
    })
}

fn first_stage(exec: &AggregateExec) -> Result<&AggregateExec> {
    let first = match exec.mode() {
        AggregateMode::Single | AggregateMode::SinglePartitioned => Some(exec),
        AggregateMode::Final | AggregateMode::FinalPartitioned => {
            // Between the stages only partitions are brought together.
            let mut below = exec.input();
            while let (None, [child]) = (below.downcast_ref::<AggregateExec>(), &below.children()[..]) {
                below = child;
            }
            below.downcast_ref::<AggregateExec>().filter(|below| *below.mode() == AggregateMode::Partial)
        }
        _ => None,
    };
    first.ok_or_else(|| {
        let mode = exec.mode();
        Error::internal(format!("an aggregate was planned in stages that are not known: mode={mode:?}"))
    })
}
