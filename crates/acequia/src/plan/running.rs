//! Window functions over all rows up to one, whose values are carried on from row to row.
//!
//! | function | frame |
//! |---|---|
//! | `row_number`, `rank`, `dense_rank` | |
//! | `first_value` | from the first row of the partition on |
//! | `count`, `sum`, `avg`, `min`, `max`, `bool_and`, `bool_or`, FILTER included | from the first row to the current one |
//!
//! What is known of the rows up to one is then small, and an accumulator that has merged it into nothing is the one that
//! it was taken from. Of DISTINCT, of `array_agg` and of percentiles it is all of their values, and of `stddev` merging
//! rounds.

use super::recompute::Rows;
use super::refuse;
use crate::error::from_datafusion;
use crate::exec::{Near, Number, Reach, Running, RunningValue};
use crate::functions::end_of;
use acequia_core::Result;
use datafusion::common::tree_node::TreeNode;
use datafusion::execution::context::ExecutionProps;
use datafusion::functions_aggregate::average::Avg;
use datafusion::functions_aggregate::bool_and_or::{BoolAnd, BoolOr};
use datafusion::functions_aggregate::count::Count;
use datafusion::functions_aggregate::sum::Sum;
use datafusion::functions_window::nth_value::NthValue;
use datafusion::functions_window::rank::Rank;
use datafusion::functions_window::row_number::RowNumber;
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::{
    AggregateUDF, Expr, ExprSchemable, LogicalPlan, WindowFrameBound, WindowFrameUnits,
    WindowFunctionDefinition, WindowUDF,
};
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use std::any::Any;
use std::sync::Arc;

/// Which rows before a change see it, where a function's values are carried on.
pub(super) fn of(function: &WindowFunction) -> Option<Near> {
    let params = &function.params;
    let subquery = |expr: &Expr| {
        matches!(
            expr,
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_)
        )
    };
    let mut computed = params.args.iter().chain(params.filter.as_deref());
    if params.null_treatment == Some(NullTreatment::IgnoreNulls)
        || params.distinct
        || computed.any(|expr| expr.exists(|e| Ok(subquery(e))).unwrap_or(true))
    {
        return None;
    }
    let frame = &params.window_frame;
    let nothing = Near::default();
    match &function.fun {
        WindowFunctionDefinition::WindowUDF(udf) if number(udf).is_some() => Some(nothing),
        WindowFunctionDefinition::WindowUDF(udf) if is_first_value(udf) => {
            let on = matches!(frame.end_bound, WindowFrameBound::CurrentRow | WindowFrameBound::Following(_));
            (frame.start_bound.is_unbounded() && on).then_some(nothing)
        }
        WindowFunctionDefinition::AggregateUDF(udf) if is_carried(udf) => {
            let to_current =
                frame.start_bound.is_unbounded() && frame.end_bound == WindowFrameBound::CurrentRow;
            let peers = Near { ahead: Reach { groups: Some(0), ..Reach::default() }, ..nothing };
            match frame.units {
                _ if !to_current => None,
                WindowFrameUnits::Rows => Some(nothing),
                // Without an order all rows are peers.
                _ => (!params.order_by.is_empty()).then_some(peers),
            }
        }
        _ => None,
    }
}

fn number(udf: &WindowUDF) -> Option<Number> {
    let function: &dyn Any = udf.inner().as_ref();
    (function.is::<RowNumber>() || function.is::<Rank>()).then(|| Number::of(udf.name())).flatten()
}

fn is_first_value(udf: &WindowUDF) -> bool {
    let function: &dyn Any = udf.inner().as_ref();
    function.is::<NthValue>() && udf.name() == "first_value"
}

fn is_carried(udf: &AggregateUDF) -> bool {
    let function: &dyn Any = udf.inner().as_ref();
    function.is::<Count>()
        || function.is::<Sum>()
        || function.is::<Avg>()
        || end_of(udf).is_some()
        || function.is::<BoolAnd>()
        || function.is::<BoolOr>()
}

/// The column of a function's values, computed from rows.
pub(super) fn column(expr: &Expr, input: &LogicalPlan, rows: &Rows) -> Result<Running> {
    let Expr::WindowFunction(function) = expr else { return Err(refuse::expression(expr)) };
    let (_, field) = expr.to_field(input.schema()).map_err(from_datafusion)?;
    let physical = |expr: &Expr| -> Result<Arc<dyn PhysicalExpr>> {
        let expr = rows.rewritten(expr.clone())?;
        create_physical_expr(&expr, rows.names(), &ExecutionProps::new(), &Default::default())
            .map_err(from_datafusion)
    };
    let params = &function.params;
    let arguments = params.args.iter().map(physical).collect::<Result<Vec<_>>>()?;
    let value = match (&function.fun, arguments.first()) {
        (WindowFunctionDefinition::WindowUDF(udf), argument) => match (number(udf), argument) {
            (Some(number), _) => RunningValue::Number(number),
            (None, Some(argument)) => RunningValue::First(Arc::clone(argument)),
            (None, None) => return Err(refuse::expression(expr)),
        },
        (WindowFunctionDefinition::AggregateUDF(udf), _) => {
            let function = AggregateExprBuilder::new(Arc::clone(udf), arguments)
                .schema(Arc::clone(rows.names().inner()))
                .alias(field.name())
                .build();
            RunningValue::Aggregate {
                function: Arc::new(function.map_err(from_datafusion)?),
                filter: params.filter.as_deref().map(physical).transpose()?,
                peers: params.window_frame.units != WindowFrameUnits::Rows,
            }
        }
    };
    Ok(Running { field, value })
}
