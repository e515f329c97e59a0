//! Plans that add windows to a relation.

use super::invalid;
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

/// Leaves out rows that `value` is NULL for.
pub(crate) fn drop_nulls(input: LogicalPlan, value: &Expr) -> Result<LogicalPlan> {
    if !value.nullable(input.schema())? {
        return Ok(input);
    }
    Filter::try_new(value.clone().is_not_null(), Arc::new(input)).map(LogicalPlan::Filter)
}

/// One row per window of `call`, a list, which becomes the last column.
pub(crate) fn unnest_windows(input: LogicalPlan, call: Expr, name: &str) -> Result<LogicalPlan> {
    let mut exprs = all_columns(&input);
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
    let time = match &call {
        Expr::ScalarFunction(f) => f.args.first().cloned(),
        _ => None,
    };
    let input = drop_nulls(input, &time.unwrap_or_else(|| call.clone()))?;
    let mut exprs = all_columns(&input);
    exprs.push(call.alias(name));
    LogicalPlanBuilder::from(input).project(exprs)?.build()
}

/// The event time of a relation that has exactly one.
///
/// # Errors
/// `Invalid`, with the way out, when it has none or several.
pub(crate) fn own_event_time(plan: &LogicalPlan, usage: &str) -> Result<Expr> {
    let _ = plan;
    Err(invalid(format!("event time is not given; write {usage}")))
}
