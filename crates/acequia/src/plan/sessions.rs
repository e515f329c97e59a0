//! Sessions below the aggregate that groups by them.
//!
//! `session_window(ts, gap)` gives each row the session that it would be alone. Only the aggregate that groups by both
//! bounds makes real sessions of them, so below it the bounds may be passed on and nothing else.

use super::refuse;
use crate::error::from_datafusion;
use crate::functions::SessionFunction;
use acequia_core::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use std::collections::BTreeSet;

/// Checks that bounds of sessions only reach a GROUP BY.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    if raw_sessions(plan)?.is_empty() { Ok(()) } else { Err(refuse::ungrouped_session()) }
}

/// Whether an aggregate makes sessions.
pub(super) fn groups_by_session(aggregate: &Aggregate) -> Result<bool> {
    let below = raw_columns(&aggregate.input)?;
    Ok(!passed_on(&aggregate.group_expr, &below)?.is_empty())
}

/// [`raw_sessions`] as names.
fn raw_columns(plan: &LogicalPlan) -> Result<BTreeSet<Column>> {
    let raw = raw_sessions(plan)?;
    Ok(raw.into_iter().map(|i| Column::from(plan.schema().qualified_field(i))).collect())
}

/// The output columns that hold bounds of single-row sessions.
fn raw_sessions(plan: &LogicalPlan) -> Result<BTreeSet<usize>> {
    let mut below = BTreeSet::new();
    for child in plan.inputs() {
        below.extend(raw_columns(child)?);
    }
    match plan {
        LogicalPlan::Projection(projection) => passed_on(&projection.expr, &below),
        LogicalPlan::SubqueryAlias(alias) => Ok(positions(alias.input.schema(), &below)),
        LogicalPlan::Aggregate(aggregate) => {
            passed_on(&aggregate.group_expr, &below)?;
            refuse_use(&aggregate.aggr_expr, &below)?;
            Ok(BTreeSet::new())
        }
        _ => {
            refuse_use(&plan.expressions(), &below)?;
            Ok(positions(plan.schema(), &below))
        }
    }
}

fn positions(schema: &DFSchema, columns: &BTreeSet<Column>) -> BTreeSet<usize> {
    columns.iter().filter_map(|column| schema.maybe_index_of_column(column)).collect()
}

/// The expressions that are bounds of sessions; one that computes with them is refused.
fn passed_on(exprs: &[Expr], below: &BTreeSet<Column>) -> Result<BTreeSet<usize>> {
    let mut found = BTreeSet::new();
    for (index, expr) in exprs.iter().enumerate() {
        if is_bound(expr, below) {
            found.insert(index);
        } else {
            refuse_use(std::slice::from_ref(expr), below)?;
        }
    }
    Ok(found)
}

/// A bound as it is: a column, a call of a session function, or a field of one of them.
fn is_bound(expr: &Expr, below: &BTreeSet<Column>) -> bool {
    match expr {
        Expr::Alias(alias) => is_bound(&alias.expr, below),
        Expr::Column(column) => below.contains(column),
        Expr::ScalarFunction(call) if call.name() == "get_field" => {
            call.args.first().is_some_and(|input| is_bound(input, below))
        }
        Expr::ScalarFunction(call) => is_session_call(call),
        _ => false,
    }
}

fn is_session_call(call: &ScalarFunction) -> bool {
    call.func.inner().downcast_ref::<SessionFunction>().is_some()
}

fn refuse_use(exprs: &[Expr], below: &BTreeSet<Column>) -> Result<()> {
    let mut used = false;
    for expr in exprs {
        let walked = expr.apply(|e| {
            used |= match e {
                Expr::Column(column) => below.contains(column),
                Expr::ScalarFunction(call) => is_session_call(call),
                _ => false,
            };
            Ok(TreeNodeRecursion::Continue)
        });
        walked.map_err(from_datafusion)?;
    }
    if used { Err(refuse::ungrouped_session()) } else { Ok(()) }
}
