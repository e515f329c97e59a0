//! Plans that add windows to a relation.

use super::invalid;
use super::lineage::event_time_columns;
use super::not_unique::columns_without_keys;
use super::session::SessionFunction;
use super::time_column::TimeRole;
use super::window::{HopFunction, TumbleFunction};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, UnnestOptions};
use datafusion::logical_expr::{Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, ScalarUDFImpl};
use std::sync::Arc;

/// Every column of a plan, qualified.
pub(crate) fn all_columns(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().iter().map(|pair| Expr::Column(Column::from(pair))).collect()
}

/// A column name that starts with this and that the plan does not have.
pub(crate) fn unused_name(plan: &LogicalPlan, wanted: &str) -> String {
    let taken = |name: &str| plan.schema().fields().iter().any(|f| f.name() == name);
    let mut name = wanted.to_string();
    let mut n = 1;
    while taken(&name) {
        n += 1;
        name = format!("{wanted}_{n}");
    }
    name
}

/// The function of this type that an expression calls, with its arguments.
pub(crate) fn called<T: ScalarUDFImpl>(expr: &Expr) -> Option<(&T, &[Expr])> {
    match expr {
        Expr::ScalarFunction(f) => Some((f.func.inner().downcast_ref::<T>()?, &f.args)),
        _ => None,
    }
}

/// The calls that pass a test, each once, outermost first.
pub(crate) fn find_calls<'a>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    wanted: impl Fn(&Expr) -> bool,
) -> Result<Vec<Expr>> {
    let mut found = Vec::new();
    for expr in exprs {
        expr.apply(|e| {
            if wanted(e) && !found.contains(e) {
                found.push(e.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(found)
}

/// Whether an expression gives a row one window.
pub(crate) fn is_tumble(expr: &Expr) -> bool {
    called::<TumbleFunction>(expr).is_some()
}

/// Whether an expression gives a row a list of windows.
pub(crate) fn is_hop(expr: &Expr) -> bool {
    called::<HopFunction>(expr).is_some()
}

/// Whether an expression gives a row its session.
pub(crate) fn is_session(expr: &Expr) -> bool {
    called::<SessionFunction>(expr).is_some()
}

/// What is NULL exactly for the rows that are in no window of this call.
pub(crate) fn membership(call: &Expr) -> Expr {
    match called::<SessionFunction>(call) {
        // A row's own gap may be NULL or not positive.
        Some((session, _)) if session.gap().is_none() => call.clone(),
        _ => match call {
            Expr::ScalarFunction(f) if !f.args.is_empty() => f.args[0].clone(),
            other => other.clone(),
        },
    }
}

/// Leaves out rows that `value` is NULL for.
pub(crate) fn drop_nulls(input: LogicalPlan, value: &Expr) -> Result<LogicalPlan> {
    if !value.nullable(input.schema())? {
        return Ok(input);
    }
    Filter::try_new(value.clone().is_not_null(), Arc::new(input)).map(LogicalPlan::Filter)
}

/// One row per window of `call`, a list, which becomes the last column.
pub(crate) fn unnest_windows(input: LogicalPlan, call: Expr, name: &str) -> Result<LogicalPlan> {
    let mut exprs = columns_without_keys(&input);
    exprs.push(call.alias(name));
    LogicalPlanBuilder::from(input)
        .project(exprs)?
        .unnest_column_with_options(
            Column::from_name(name),
            UnnestOptions::default().with_preserve_nulls(false),
        )?
        .build()
}

/// The rows of `input` in their windows, the window as the last column; rows without one are left out.
pub(crate) fn with_window_column(input: LogicalPlan, call: Expr, name: &str) -> Result<LogicalPlan> {
    if is_hop(&call) {
        return unnest_windows(input, call, name);
    }
    let input = drop_nulls(input, &membership(&call))?;
    let mut exprs = all_columns(&input);
    exprs.push(call.alias(name));
    LogicalPlanBuilder::from(input).project(exprs)?.build()
}

/// The event time of a relation that has exactly one.
///
/// # Errors
/// `Invalid`, with the way out, when it has none or several.
pub(crate) fn own_event_time(plan: &LogicalPlan, usage: &str) -> Result<Expr> {
    let columns = event_time_columns(plan, &|_| false)?;
    let marked: Vec<usize> = (0..columns.len())
        .filter(|i| columns[*i].as_ref().is_some_and(|c| c.role == TimeRole::EventTime))
        .collect();
    match marked.as_slice() {
        [index] => Ok(Expr::Column(Column::from(plan.schema().qualified_field(*index)))),
        [] => Err(invalid(format!(
            "event time is not given, and the relation has none of its own; write {usage}"
        ))),
        _ => Err(invalid(format!("event time is not given, and the relation has several; write {usage}"))),
    }
}
