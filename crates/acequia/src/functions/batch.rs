//! The batch form of a plan: what the same SQL means over rows that are all there.
//!
//! Watermarks go, since nothing is late; the first row per key is a DISTINCT ON; an ASOF JOIN is a join; and sessions, which a stream merges
//! in an operator, become window expressions over the ordered rows of their keys:
//! ```text
//! opens   = start > max(end) over the rows before, or there are none       (touching sessions merge)
//! number  = count of `opens` up to here
//! session = [min(start), max(end)) over the rows of that number
//! ```

use super::asof_join::AsofJoin;
use super::duplicates::DropDuplicates;
use super::expand::{all_columns, called, is_session, unused_name};
use super::invalid;
use super::lineage::{event_time_columns, time_of};
use super::session::{SessionFunction, SessionScope};
use super::time_column::{SessionPartition, TimeRole};
use super::timestamps::{END, START};
use super::watermark::EventTimeWatermark;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions::core::expr_fn::{get_field, named_struct};
use datafusion::functions_aggregate::expr_fn::{max, min, sum};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprFunctionExt, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Projection,
    WindowFrame, WindowFrameBound, WindowFrameUnits, when,
};
use datafusion::prelude::lit;
use std::sync::Arc;

/// Makes a resolved plan ([`super::resolve_windows`]) one that DataFusion runs over static tables.
///
/// # Errors
/// `Unsupported` for `drop_duplicates_within_watermark`, which has no meaning without a watermark.
pub fn to_batch(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan.transform_up_with_subqueries(batch_node)?.data)
}

fn batch_node(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if let Some(mark) = EventTimeWatermark::of(&node) {
        return Ok(Transformed::yes(mark.input().clone()));
    }
    if let Some(duplicates) = DropDuplicates::of(&node) {
        return first_rows(duplicates).map(Transformed::yes);
    }
    if let Some(asof) = AsofJoin::of(&node) {
        return asof.batch().map(Transformed::yes);
    }
    match node {
        LogicalPlan::Aggregate(aggregate) => merge_group(aggregate),
        LogicalPlan::Projection(projection) => merge_partition(projection),
        other => Ok(Transformed::no(other)),
    }
}

fn first_rows(node: &DropDuplicates) -> Result<LogicalPlan> {
    if node.within_watermark() {
        return Err(super::refuse(acequia_core::Error::unsupported(
            "drop_duplicates_within_watermark goes by a watermark, which a table does not have; use drop_duplicates",
        )));
    }
    let keys = node.columns().iter().cloned().map(Expr::Column).collect();
    LogicalPlanBuilder::from(node.input().clone()).distinct_on(keys, all_columns(node.input()), None)?.build()
}

/// `GROUP BY k, session`: the sessions of rows that agree in all other keys.
fn merge_group(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let input = aggregate.input.as_ref();
    let columns = event_time_columns(input, &|_| false)?;
    let is_open = |key: &Expr| -> Result<bool> {
        let time = time_of(key, input.schema(), &columns)?;
        Ok(time.is_some_and(|t| {
            matches!(&t.role, TimeRole::Session(s) if !s.merged && s.partition == SessionPartition::GroupKeys)
        }))
    };
    let mut sessions = Vec::new();
    for key in &aggregate.group_expr {
        if is_open(key)? {
            sessions.push(key.clone().unalias());
        }
    }
    let Some(session) = sessions.pop() else {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    };
    if !sessions.is_empty() {
        return Err(invalid("two sessions in one GROUP BY; make one of them in a subquery"));
    }
    merge_sessions(aggregate, &session).map(LogicalPlan::Aggregate).map(Transformed::yes)
}

/// The same aggregate over merged sessions: each row's is `session`, one of the group expressions, and those of rows that
/// agree in all others are merged where they touch.
///
/// # Errors
/// `Internal` when DataFusion refuses the plan.
pub fn merge_sessions(aggregate: Aggregate, session: &Expr) -> Result<Aggregate> {
    let uses = |e: &Expr| e.exists(|e| Ok(e == session));
    let mut keys = Vec::new();
    for key in &aggregate.group_expr {
        if !uses(key)? {
            keys.push(key.clone().unalias());
        }
    }
    let (input, column) = merged(Arc::unwrap_or_clone(aggregate.input), session, keys)?;
    let group = replace_all(aggregate.group_expr, session, &column)?;
    let values = replace_all(aggregate.aggr_expr, session, &column)?;
    Aggregate::try_new(Arc::new(input), group, values)
}

/// `SESSION(TABLE t PARTITION BY k, ...)`: every row with the session that it is in.
fn merge_partition(projection: Projection) -> Result<Transformed<LogicalPlan>> {
    let calls = super::expand::find_calls(&projection.expr, is_session)?;
    let partitioned = |call: &&Expr| {
        called::<SessionFunction>(call).is_some_and(|(f, _)| f.scope() == SessionScope::Partition)
    };
    let Some(call) = calls.iter().find(partitioned) else {
        return Ok(Transformed::no(LogicalPlan::Projection(projection)));
    };
    let keys = called::<SessionFunction>(call).map(|(f, args)| f.keys(args).to_vec()).unwrap_or_default();
    let (input, column) = merged(Arc::unwrap_or_clone(projection.input), call, keys)?;
    let exprs = replace_all(projection.expr, call, &column)?;
    Projection::try_new(exprs, Arc::new(input)).map(LogicalPlan::Projection).map(Transformed::yes)
}

fn replace_all(exprs: Vec<Expr>, from: &Expr, to: &Expr) -> Result<Vec<Expr>> {
    let one = |expr: Expr| {
        let saved = NamePreserver::new_for_projection().save(&expr);
        let rewritten = expr.transform_down(|e| {
            Ok(if e == *from { Transformed::yes(to.clone()) } else { Transformed::no(e) })
        })?;
        Ok(saved.restore(rewritten.data))
    };
    exprs.into_iter().map(one).collect()
}

/// `input` with the merged session of each row as a further column.
fn merged(input: LogicalPlan, session: &Expr, keys: Vec<Expr>) -> Result<(LogicalPlan, Expr)> {
    let keys = keys.into_iter().map(|key| with_one_zero(key, &input)).collect::<Result<Vec<_>>>()?;
    let mut columns = all_columns(&input);
    let session_type = session.get_type(input.schema())?;
    let name = |plan: &LogicalPlan, wanted| unused_name(plan, wanted);
    let single = name(&input, "__single");
    let plan = LogicalPlanBuilder::from(input)
        .project(columns.iter().cloned().chain([session.clone().alias(&single)]))?
        .build()?;
    let single = Expr::Column(Column::from_name(single));
    let (start, end) = (get_field(single.clone(), START), get_field(single, END));

    let opens = name(&plan, "__opens");
    let before = frame(WindowFrameBound::Preceding(1u64.into()));
    let latest = over(max(end.clone()), &keys, Some(&start), before)?;
    let opening = latest.alias(&opens);
    let plan = with_column(plan, opening)?;
    let latest = Expr::Column(Column::from_name(opens));
    let opens =
        when(latest.clone().is_null().or(start.clone().gt(latest)), lit(1i64)).otherwise(lit(0i64))?;

    let number = name(&plan, "__number");
    let upto = frame(WindowFrameBound::CurrentRow);
    let plan = with_flag(plan, opens, &keys, &start, upto, &number)?;
    let mut group = keys;
    group.push(Expr::Column(Column::from_name(number)));

    let (first, last) = (name(&plan, "__first"), name(&plan, "__last"));
    let plan = with_column(plan, over(min(start), &group, None, WindowFrame::new(None))?.alias(&first))?;
    let plan = with_column(plan, over(max(end), &group, None, WindowFrame::new(None))?.alias(&last))?;
    let bounds = named_struct(vec![
        lit(START),
        Expr::Column(Column::from_name(first)),
        lit(END),
        Expr::Column(Column::from_name(last)),
    ]);
    let session = name(&plan, "__session");
    columns.push(bounds.cast_to(&session_type, plan.schema())?.alias(&session));
    let plan = LogicalPlanBuilder::from(plan).project(columns)?.build()?;
    Ok((plan, Expr::Column(Column::from_name(session))))
}

/// -0.0 and 0.0 are one key to GROUP BY, and two to PARTITION BY.
pub(super) fn with_one_zero(key: Expr, input: &LogicalPlan) -> Result<Expr> {
    let key_type = key.get_type(input.schema())?;
    if !key_type.is_floating() {
        return Ok(key);
    }
    // -0.0 + 0.0 is 0.0; every other value stays.
    Ok(key + lit(ScalarValue::new_zero(&key_type)?))
}

/// The running count of opened sessions, from a flag that is computed first.
fn with_flag(
    plan: LogicalPlan,
    flag: Expr,
    keys: &[Expr],
    order: &Expr,
    frame: WindowFrame,
    number: &str,
) -> Result<LogicalPlan> {
    let name = unused_name(&plan, "__flag");
    let columns = all_columns(&plan);
    let plan =
        LogicalPlanBuilder::from(plan).project(columns.into_iter().chain([flag.alias(&name)]))?.build()?;
    with_column(
        plan,
        over(sum(Expr::Column(Column::from_name(name))), keys, Some(order), frame)?.alias(number),
    )
}

/// `plan` with a window function, under its alias, as a further column.
pub(super) fn with_column(plan: LogicalPlan, window: Expr) -> Result<LogicalPlan> {
    let (call, name) = match window {
        Expr::Alias(alias) => (*alias.expr, alias.name),
        other => (other.clone(), other.schema_name().to_string()),
    };
    let mut columns = all_columns(&plan);
    let computed = Expr::Column(Column::from_name(call.schema_name().to_string()));
    let plan = LogicalPlanBuilder::from(plan).window([call])?.build()?;
    columns.push(computed.alias(name));
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

fn frame(end: WindowFrameBound) -> WindowFrame {
    let start = WindowFrameBound::Preceding(ScalarValue::UInt64(None));
    WindowFrame::new_bounds(WindowFrameUnits::Rows, start, end)
}

fn over(call: Expr, keys: &[Expr], order: Option<&Expr>, frame: WindowFrame) -> Result<Expr> {
    let Expr::AggregateFunction(f) = call else { return Ok(call) };
    let window = WindowFunction::new(f.func, f.params.args);
    let builder = Expr::WindowFunction(Box::new(window)).partition_by(keys.to_vec());
    match order {
        Some(order) => builder.order_by(vec![order.clone().sort(true, true)]),
        None => builder,
    }
    .window_frame(frame)
    .build()
}
