//! OVER and first rows by event time in `APPEND`: rows are held until the watermark has passed them, and so come to the
//! operator in the order that it asks for. A value that looks back only, and the first rows, then never change.
//!
//! | what | looks back |
//! |---|---|
//! | `row_number`, `rank`, `dense_rank`, also with a filter for the first | yes |
//! | LAG | yes; LEAD no |
//! | FIRST, LAST, NTH, aggregates | over frames that end at the current row or before |
//! | ORDER BY with LIMIT | the first rows stay the first |
//!
//! Rows without a time are never passed.

use super::build::{Builder, Change, Part, reads, times_of};
use super::explain;
use super::fingerprint::fingerprint;
use super::node::OperatorNode;
use super::recompute::Recomputed;
use super::time_key::bound_of;
use crate::error::from_datafusion;
use crate::exec::{Comparison, MovingBound, MovingBoundOperator};
use crate::functions::TimeColumn;
use crate::functions::lineage::time_of;
use acequia_core::Result;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr, WindowFrameBound, WindowFunctionDefinition};

/// The event time by which a relation takes rows, where what it gives for one does not depend on later ones.
pub(super) fn time_of_order(of: &Recomputed<'_>) -> Result<Option<(Expr, TimeColumn)>> {
    let Some(first) = decisive(&of.order, &of.partition).filter(|first| is_forward(first)) else {
        return Ok(None);
    };
    if !looks_back(of.plan, of.input, first) {
        return Ok(None);
    }
    let times = times_of(of.input)?;
    let time = time_of(&first.expr, of.input.schema(), &times).map_err(from_datafusion)?;
    let time = time.filter(|time| !time.watermarks.is_empty() && time.data_type.is_temporal());
    Ok(time.map(|time| (first.expr.clone(), time)))
}

/// What is ordered by first within a partition.
fn decisive<'a>(order: &'a [SortExpr], partition: &[Expr]) -> Option<&'a SortExpr> {
    order.iter().find(|by| !partition.contains(&by.expr))
}

/// NULLs are held for ever, so nothing may come after them.
fn is_forward(order: &SortExpr) -> bool {
    order.asc && !order.nulls_first
}

/// Whether all windows down to the input look back in this order.
fn looks_back(plan: &LogicalPlan, input: &LogicalPlan, order: &SortExpr) -> bool {
    if std::ptr::eq(plan, input) {
        return true;
    }
    let own = match plan {
        LogicalPlan::Window(window) => window.window_expr.iter().all(|expr| match expr.clone().unalias() {
            Expr::WindowFunction(function) => {
                let params = &function.params;
                decisive(&params.order_by, &params.partition_by) == Some(order) && is_over_past(&function)
            }
            _ => false,
        }),
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Filter(_) => true,
        _ => false,
    };
    own && plan.inputs().into_iter().all(|below| looks_back(below, input, order))
}

fn is_over_past(function: &WindowFunction) -> bool {
    let frame = &function.params.window_frame;
    let to_current = matches!(frame.end_bound, WindowFrameBound::CurrentRow | WindowFrameBound::Preceding(_));
    match (&function.fun, function.fun.name()) {
        (WindowFunctionDefinition::AggregateUDF(_), _) => to_current,
        (_, "row_number" | "rank" | "dense_rank") => true,
        (_, "first_value" | "last_value" | "nth_value") => to_current,
        (_, "lag") => match function.params.args.get(1) {
            None => true,
            Some(Expr::Literal(offset, _)) => {
                matches!(offset.cast_to(&DataType::Int64), Ok(ScalarValue::Int64(Some(0..))))
            }
            Some(_) => false,
        },
        _ => false,
    }
}

impl Builder<'_> {
    /// The rows of a part that is only added to, once the watermark has passed their time.
    pub(super) async fn held(
        &mut self,
        part: Part,
        input: &LogicalPlan,
        (time, column): (Expr, TimeColumn),
    ) -> Result<Part> {
        let values = self.values(part, &time).await?;
        let id = self.next_id();
        let bound = MovingBound::Watermark(bound_of(&column));
        let (spec, island) = values.compared(id, Comparison::Less, bound);
        let node = OperatorNode {
            id,
            name: "hold",
            fingerprint: format!("{} by={time}", fingerprint("hold", input, &[])),
            description: explain::moving_bound(&format!("{time} {} watermark", spec.comparison), &spec),
            operator: Box::new(MovingBoundOperator::try_new(spec)?),
            inputs: vec![island],
        };
        reads(input.schema(), node, Change::InsertOnly)
    }
}
