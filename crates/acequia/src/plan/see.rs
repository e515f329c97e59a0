//! Which rows of a partition decide what a relation gives.
//!
//! | relation | the rows |
//! |---|---|
//! | ORDER BY with LIMIT k OFFSET m | the first k + m |
//! | windows of `row_number`, `rank`, `dense_rank`, and a filter for the first k by one of them | the first k |
//! | windows of LAG, LEAD and of functions over frames with two ends | those around a change |
//! | windows over all rows up to one, see [`super::running`] | those around a change and after it |
//! | other windows: ntile, percent_rank, cume_dist, nth_value of a partition, frames up to its end, no ORDER BY | all |
//!
//! A function over a frame may take rows back out of its sum as the frame moves on, so that floats keep traces of rows
//! that have left. Such a sum depends on where one begins, so it begins at the first row always: these see all.

use super::{reach, running};
use crate::exec::{First, Near, Number, See};
use acequia_core::{Error, Result};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, FetchType, Filter, Limit, LogicalPlan, Operator, SkipType, Sort, Window,
};

/// What a LIMIT sees, down to the ORDER BY that it counts by.
pub(super) fn of_limit(plan: &LogicalPlan) -> See {
    let rows = match plan {
        LogicalPlan::Sort(Sort { fetch, .. }) => *fetch,
        LogicalPlan::Limit(limit) if passes_all(&limit.input) => rows_of(limit),
        _ => None,
    };
    rows.map_or(See::All, |rows| See::First(First::Rows(rows)))
}

/// What a LIMIT sees of its own input.
pub(super) fn of_limit_alone(plan: &LogicalPlan) -> See {
    let rows = if let LogicalPlan::Limit(limit) = plan { rows_of(limit) } else { None };
    rows.map_or(See::All, |rows| See::First(First::Rows(rows)))
}

fn rows_of(limit: &Limit) -> Option<usize> {
    match (limit.get_skip_type(), limit.get_fetch_type()) {
        (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(Some(fetch)))) => skip.checked_add(fetch),
        _ => None,
    }
}

/// Whether nothing down to the ORDER BY drops rows.
fn passes_all(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => passes_all(plan.inputs()[0]),
        _ => false,
    }
}

/// The windows that a filter takes the first rows of.
pub(super) fn of_filter(filter: &Filter) -> Option<(&Window, See)> {
    let mut found = None;
    for predicate in split_conjunction(&filter.predicate) {
        let Some((column, most)) = at_most(predicate) else { continue };
        let Some((window, number)) = ranking(column, &filter.input) else { continue };
        let first = match number {
            Number::Row => First::Rows(most),
            Number::Rank => First::Ranks(most),
            Number::DenseRank => First::Values(most),
        };
        found = Some((window, See::First(first)));
    }
    found
}

/// A column, and how many of the numbers from 1 on the predicate lets pass at most.
fn at_most(predicate: &Expr) -> Option<(&Expr, usize)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = predicate else { return None };
    let (column, op, value) = match (left.as_ref(), right.as_ref()) {
        (column @ Expr::Column(_), Expr::Literal(value, _)) => (column, *op, value),
        (Expr::Literal(value, _), column @ Expr::Column(_)) => (column, op.swap()?, value),
        _ => return None,
    };
    let Ok(ScalarValue::UInt64(Some(value))) = value.cast_to(&DataType::UInt64) else { return None };
    let most = match op {
        Operator::Eq | Operator::LtEq => value,
        Operator::Lt => value.saturating_sub(1),
        _ => return None,
    };
    Some((column, usize::try_from(most).ok()?))
}

/// The ranking function that a column is, where all of its windows rank in the same order.
fn ranking<'a>(column: &Expr, plan: &'a LogicalPlan) -> Option<(&'a Window, Number)> {
    let index = plan.schema().maybe_index_of_column(column.try_as_col()?)?;
    match plan {
        LogicalPlan::Projection(projection) => {
            let below = projection.expr[index].clone().unalias();
            ranking(&below, &projection.input)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let below = alias.input.schema().columns().into_iter().nth(index)?;
            ranking(&Expr::Column(below), &alias.input)
        }
        LogicalPlan::Window(window) => {
            let own = index.checked_sub(window.input.schema().fields().len())?;
            let functions: Vec<WindowFunction> =
                window.window_expr.iter().map(function).collect::<Option<_>>()?;
            let first = functions.first()?;
            let alike = functions.iter().all(|function| {
                number(function).is_some()
                    && function.params.partition_by == first.params.partition_by
                    && function.params.order_by == first.params.order_by
            });
            if alike { Some((window, number(&functions[own])?)) } else { None }
        }
        _ => None,
    }
}

fn function(expr: &Expr) -> Option<WindowFunction> {
    match expr.clone().unalias() {
        Expr::WindowFunction(function) => Some(*function),
        _ => None,
    }
}

/// What the windows of a node number rows by, where all of them do.
pub(super) fn numbers(window: &Window) -> Result<Vec<Number>> {
    let numbers = window.window_expr.iter().map(|expr| number(&function(expr)?)).collect::<Option<_>>();
    numbers.ok_or_else(|| Error::internal("windows that are not all numbers of rows"))
}

fn number(function: &WindowFunction) -> Option<Number> {
    Number::of(function.fun.name())
}

/// What windows see, down to those of this input, which all have the same partitions; and the windows over all rows up to
/// one, where not all rows are seen.
pub(super) fn of_windows(plan: &LogicalPlan, input: &LogicalPlan) -> (See, Vec<Expr>) {
    near_or_rest(plan, input).unwrap_or((See::All, Vec::new()))
}

fn near_or_rest(plan: &LogicalPlan, input: &LogicalPlan) -> Option<(See, Vec<Expr>)> {
    let (mut near, mut running) = (Near::default(), Vec::new());
    let mut first: Option<WindowFunction> = None;
    let mut node = plan;
    while let LogicalPlan::Window(window) = node
        && !std::ptr::eq(node, input)
    {
        for function in window.window_expr.iter().map(function) {
            let function = function.filter(|function| is_local(function, input))?;
            let first = first.get_or_insert_with(|| function.clone());
            let (one, other) = (&first.params, &function.params);
            if one.order_by != other.order_by || one.partition_by != other.partition_by {
                return None;
            }
            let own = match running::of(&function) {
                Some(own) => {
                    running.push(Expr::WindowFunction(Box::new(function)));
                    own
                }
                None => reach::of(&function, &window.input).filter(|_| is_exact(&function, input))?,
            };
            near = reach::both(near, own);
        }
        node = &window.input;
    }
    Some((if running.is_empty() { See::Near(near) } else { See::Rest(near) }, running))
}

/// Whether a function's values depend on rows of the input alone.
fn is_local(function: &WindowFunction, input: &LogicalPlan) -> bool {
    let params = &function.params;
    let order = params.order_by.iter().map(|by| &by.expr);
    let mut exprs =
        params.args.iter().chain(&params.partition_by).chain(order).chain(params.filter.as_deref());
    exprs.all(|expr| expr.column_refs().iter().all(|c| input.schema().has_column(c)))
}

/// Whether the value over a frame does not depend on how it was come by.
fn is_exact(function: &WindowFunction, input: &LogicalPlan) -> bool {
    let of_type = |is: fn(&DataType) -> bool| {
        let arg = function.params.args.first().map(|arg| arg.get_type(input.schema()));
        arg.is_some_and(|data_type| data_type.is_ok_and(|data_type| is(&data_type)))
    };
    match function.fun.name() {
        "lag" | "lead" | "count" | "min" | "max" | "first_value" | "last_value" | "nth_value" => true,
        "sum" => of_type(|data_type| data_type.is_integer() || data_type.is_decimal()),
        "avg" => of_type(DataType::is_decimal),
        _ => false,
    }
}
