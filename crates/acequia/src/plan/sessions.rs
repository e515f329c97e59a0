//! Sessions below the aggregate that groups by them.
//!
//! `session_window(ts, gap)` gives each row the session that it would be alone. Only the aggregate that groups by both
//! bounds makes real sessions of them, so below it the bounds may be passed on and nothing else.

use super::refuse;
use super::time_key::bound_of;
use crate::error::from_datafusion;
use crate::exec::{AggregateSpec, SessionColumns, SessionSpec};
use crate::functions::{SessionFunction, SessionPartition, TimeColumn, TimeRole, merge_sessions};
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

/// What the operator of an aggregate by sessions needs to know. `groups` are the times of its group columns.
///
/// # Errors
/// `Unsupported` when the group columns are not exactly one session, both its bounds, and the keys that it is made for.
pub(super) fn spec(aggregate: AggregateSpec, groups: &[Option<TimeColumn>]) -> Result<SessionSpec> {
    let (mut whole, mut start, mut end) = (None, None, None);
    let mut keys = BTreeSet::new();
    for (index, time) in groups.iter().enumerate() {
        let slot = match time.as_ref().filter(|time| time.session().is_some()).map(|time| &time.role) {
            Some(TimeRole::Session(_)) => &mut whole,
            Some(TimeRole::SessionStart(_)) => &mut start,
            Some(TimeRole::SessionEnd(_)) => &mut end,
            Some(_) => return Err(refuse::ungrouped_session()),
            None => {
                keys.insert(index);
                continue;
            }
        };
        if slot.replace(index).is_some() {
            return Err(refuse::ungrouped_session());
        }
    }
    let (session, bounding) = match (whole, start, end) {
        (Some(column), None, None) => (SessionColumns::Struct(column), column),
        (None, Some(start), Some(end)) => (SessionColumns::Pair { start, end }, end),
        _ => return Err(refuse::ungrouped_session()),
    };
    let of = |index: usize| groups[index].as_ref().and_then(TimeColumn::session);
    if start.is_some_and(|start| of(start) != of(bounding)) {
        return Err(refuse::ungrouped_session());
    }
    match of(bounding).map(|session| &session.partition) {
        Some(SessionPartition::GroupKeys) => {}
        Some(SessionPartition::Columns(columns))
            if columns.iter().copied().collect::<BTreeSet<_>>() == keys => {}
        _ => return Err(refuse::ungrouped_session()),
    }
    let time = groups[bounding].as_ref().filter(|time| !time.watermarks.is_empty());
    Ok(SessionSpec {
        operator: aggregate.operator,
        input_schema: aggregate.input_schema,
        group_by: aggregate.group_by,
        aggregates: aggregate.aggregates,
        filters: aggregate.filters,
        output_schema: aggregate.output_schema,
        session,
        bound: time.map(bound_of),
        emit: aggregate.emit,
    })
}

/// The session that an aggregate groups by, and what else it groups by. `groups` are the times of its group columns.
///
/// # Errors
/// As [`spec`], and `Unsupported` when the group columns are the bounds of the session rather than the session.
pub(super) fn split(aggregate: &Aggregate, groups: &[Option<TimeColumn>]) -> Result<(Expr, Vec<Expr>)> {
    let bounds = |role: &TimeRole| matches!(role, TimeRole::SessionStart(_) | TimeRole::SessionEnd(_));
    if groups.iter().flatten().any(|time| bounds(&time.role)) {
        return Err(refuse::bounds_over_changes());
    }
    let is_session = |index: &usize| groups[*index].as_ref().is_some_and(|time| time.session().is_some());
    let (own, keys): (Vec<usize>, Vec<usize>) = (0..groups.len()).partition(is_session);
    let ([own], true) = (&own[..], groups.len() == aggregate.group_expr.len()) else {
        return Err(refuse::ungrouped_session());
    };
    match groups[*own].as_ref().and_then(TimeColumn::session).map(|session| &session.partition) {
        Some(SessionPartition::GroupKeys) => {}
        Some(SessionPartition::Columns(columns))
            if columns.iter().copied().collect::<BTreeSet<_>>() == keys.iter().copied().collect() => {}
        _ => return Err(refuse::ungrouped_session()),
    }
    let expr = |index: &usize| aggregate.group_expr[*index].clone().unalias();
    Ok((expr(own), keys.iter().map(expr).collect()))
}

/// An aggregate over rows that are all there, its sessions merged.
pub(super) fn over_all_rows(plan: LogicalPlan, session: &Expr) -> Result<LogicalPlan> {
    let LogicalPlan::Aggregate(aggregate) = plan else { return Err(refuse::ungrouped_session()) };
    merge_sessions(aggregate, session).map(LogicalPlan::Aggregate).map_err(from_datafusion)
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
            // Whether a row has a session at all is a matter of that row alone.
            if matches!(e, Expr::IsNotNull(bound) if is_bound(bound, below)) {
                return Ok(TreeNodeRecursion::Jump);
            }
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
