//! Which rows of a partition decide what a relation gives.
//!
//! | relation | the rows |
//! |---|---|
//! | ORDER BY with LIMIT k OFFSET m | the first k + m |
//! | windows of `row_number`, `rank`, `dense_rank`, and a filter for the first k by one of them | the first k |
//! | windows of LAG, LEAD and of functions over ROWS frames with two ends | those around a change |
//! | other windows | all |
//!
//! A function over a frame may take rows back out of its sum as the frame moves on, so that floats keep traces of rows
//! that have left. Such a sum depends on where one begins, so it begins at the first row always: these see all.

use crate::exec::{First, Number, See};
use acequia_core::{Error, Result};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, FetchType, Filter, Limit, LogicalPlan, Operator, SkipType, Sort, Window,
    WindowFrameBound, WindowFrameUnits,
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

/// What windows see, down to those of this input, which all have the same partitions.
pub(super) fn of_windows(plan: &LogicalPlan, input: &LogicalPlan) -> See {
    let mut reach = Reach::default();
    let mut order = None;
    let mut node = plan;
    while let LogicalPlan::Window(window) = node
        && !std::ptr::eq(node, input)
    {
        for function in window.window_expr.iter().map(function) {
            let Some(function) = function else { return See::All };
            let Some(own) = Reach::of(&function, &window.input) else { return See::All };
            if *order.get_or_insert_with(|| function.params.order_by.clone()) != function.params.order_by {
                return See::All;
            }
            reach = reach.and(own);
        }
        node = &window.input;
    }
    // A row that looks back to a change is given anew, with what it sees ahead, and the other way round.
    reach.back.checked_add(reach.ahead).map_or(See::All, |rows| See::Near { rows })
}

/// How many rows before and after a row its values depend on.
#[derive(Default)]
struct Reach {
    back: usize,
    ahead: usize,
}

impl Reach {
    fn of(function: &WindowFunction, input: &LogicalPlan) -> Option<Self> {
        let name = function.fun.name();
        if name == "lag" || name == "lead" {
            let respects_nulls = function.params.null_treatment != Some(NullTreatment::IgnoreNulls);
            let back = if name == "lag" { offset(function)? } else { offset(function)?.checked_neg()? };
            return respects_nulls.then_some(()).and_then(|()| Self::to(back));
        }
        let frame = &function.params.window_frame;
        if frame.units != WindowFrameUnits::Rows || !is_exact(function, input) {
            return None;
        }
        Some(Self::of_bound(&frame.start_bound)?.and(Self::of_bound(&frame.end_bound)?))
    }

    /// So many rows back, or ahead.
    fn to(back: i64) -> Option<Self> {
        let rows = usize::try_from(back.unsigned_abs()).ok()?;
        Some(if back < 0 { Self { back: 0, ahead: rows } } else { Self { back: rows, ahead: 0 } })
    }

    fn of_bound(bound: &WindowFrameBound) -> Option<Self> {
        let (rows, sign) = match bound {
            WindowFrameBound::CurrentRow => return Some(Self::default()),
            WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows))) => (rows, 1),
            WindowFrameBound::Following(ScalarValue::UInt64(Some(rows))) => (rows, -1),
            _ => return None,
        };
        Self::to(i64::try_from(*rows).ok()? * sign)
    }

    fn and(self, other: Self) -> Self {
        Self { back: self.back.max(other.back), ahead: self.ahead.max(other.ahead) }
    }
}

/// The offset of LAG or LEAD.
fn offset(function: &WindowFunction) -> Option<i64> {
    match function.params.args.get(1) {
        None => Some(1),
        Some(Expr::Literal(value, _)) => match value.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(offset)) => offset,
            _ => None,
        },
        Some(_) => None,
    }
}

/// Whether the value over a frame does not depend on how it was come by.
fn is_exact(function: &WindowFunction, input: &LogicalPlan) -> bool {
    match function.fun.name() {
        "count" | "min" | "max" | "first_value" | "last_value" | "nth_value" => true,
        "sum" => function.params.args.first().is_some_and(|arg| {
            arg.get_type(input.schema()).is_ok_and(|data_type| {
                data_type.is_integer()
                    || matches!(data_type, DataType::Decimal128(_, _) | DataType::Decimal256(_, _))
            })
        }),
        _ => false,
    }
}
