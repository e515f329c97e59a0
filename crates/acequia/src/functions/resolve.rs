//! Puts bound window functions in the place of the calls that SQL wrote.
//!
//! | where | one window per row (tumbling, session) | several (sliding, cumulating) |
//! |---|---|---|
//! | GROUP BY, SELECT list | rows without a time are left out below | a row per window, unnested below |
//! | anywhere else | a plain function: NULL for NULL | refused |
//!
//! One GROUP BY has one window (as in Spark); one SELECT list has at most one that multiplies rows. Output columns
//! keep the names that SQL gave them. The rule is a function of the plan alone and changes nothing the second time.

use super::call::GroupFunction;
use super::expand::{
    drop_nulls, find_calls, is_hop, is_session, is_tumble, membership, own_event_time, unnest_windows,
    unused_name,
};
use super::interval::is_length;
use super::watermark::with_unique_ids;
use super::{Mode, invalid, to_batch};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

/// [`resolve_windows`] as a rule, in batch sessions followed by [`super::to_batch`].
#[derive(Debug)]
pub struct ResolveWindows {
    /// What the session's plans are for.
    pub mode: Mode,
}

impl AnalyzerRule for ResolveWindows {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = resolve_windows(plan)?;
        match self.mode {
            Mode::Streaming => Ok(plan),
            Mode::Batch => to_batch(plan),
        }
    }

    fn name(&self) -> &str {
        "resolve_windows"
    }
}

/// Resolves every window call of a plan, subqueries included. To be called right after SQL planning.
///
/// # Errors
/// `Invalid` for wrong arguments and for a window where none can be, with the way out.
pub fn resolve_windows(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut retyped = false;
    let resolved = plan.transform_up_with_subqueries(|node| {
        // A call without a time got its type only now, and what is above has to learn it.
        let node = if retyped { node.recompute_schema()? } else { node };
        if !calls_windows(&node)? {
            return Ok(Transformed::no(node));
        }
        retyped |= leaves_time_out(&node)?;
        resolve_node(node).map(Transformed::yes)
    })?;
    with_unique_ids(resolved.data)
}

fn resolve_node(node: LogicalPlan) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Projection(projection) => resolve_projection(projection),
        LogicalPlan::Aggregate(aggregate) => resolve_aggregate(aggregate),
        other => resolve_elsewhere(other),
    }
}

fn leaves_time_out(node: &LogicalPlan) -> Result<bool> {
    let schema = inputs_schema(node)?;
    let exprs = node.expressions();
    let calls = find_calls(&exprs, |e| GroupFunction::of(e).is_some())?;
    Ok(calls.iter().any(|call| {
        GroupFunction::of(call)
            .and_then(|(_, args)| args.first())
            .is_some_and(|first| is_length(first, &schema))
    }))
}

fn calls_windows(node: &LogicalPlan) -> Result<bool> {
    let exprs = node.expressions();
    Ok(!find_calls(&exprs, |e| GroupFunction::of(e).is_some())?.is_empty())
}

fn resolve_projection(projection: Projection) -> Result<LogicalPlan> {
    let input = Arc::unwrap_or_clone(projection.input);
    let exprs = bind_all(projection.expr, &input)?;
    let (input, mut parts) = settle(input, vec![exprs], "one SELECT list")?;
    Projection::try_new(parts.remove(0), Arc::new(input)).map(LogicalPlan::Projection)
}

fn resolve_aggregate(aggregate: Aggregate) -> Result<LogicalPlan> {
    let input = Arc::unwrap_or_clone(aggregate.input);
    let keys = bind_all(aggregate.group_expr, &input)?;
    let values = bind_all(aggregate.aggr_expr, &input)?;
    if find_calls(&keys, |e| is_hop(e) || is_tumble(e) || is_session(e))?.len() > 1 {
        return Err(several("one GROUP BY"));
    }
    let (input, mut parts) = settle(input, vec![keys, values], "one GROUP BY")?;
    let values = parts.pop().unwrap_or_default();
    let keys = parts.pop().unwrap_or_default();
    Aggregate::try_new(Arc::new(input), keys, values).map(LogicalPlan::Aggregate)
}

/// Leaves out rows without a window and multiplies rows that have several, below the node of these expressions.
fn settle(input: LogicalPlan, parts: Vec<Vec<Expr>>, place: &str) -> Result<(LogicalPlan, Vec<Vec<Expr>>)> {
    let mut input = input;
    for call in find_calls(parts.iter().flatten(), |e| is_tumble(e) || is_session(e))? {
        input = drop_nulls(input, &membership(&call))?;
    }
    let hops = find_calls(parts.iter().flatten(), is_hop)?;
    match hops.as_slice() {
        [] => Ok((input, parts)),
        [call] => {
            let name = unused_name(&input, "__window");
            let column = Expr::Column(Column::from_name(&name));
            let input = unnest_windows(input, call.clone(), &name)?;
            let parts = parts
                .into_iter()
                .map(|exprs| exprs.into_iter().map(|e| named(e, &|e| replace(e, call, &column))).collect())
                .collect::<Result<Vec<Vec<Expr>>>>()?;
            Ok((input, parts))
        }
        _ => Err(several(place)),
    }
}

fn several(place: &str) -> datafusion::common::DataFusionError {
    invalid(format!(
        "different windows in {place} would pair every window of one with every window of the other; \
         make one of them in a subquery, as in FROM (SELECT *, window(ts, '1 hour') AS w FROM t)"
    ))
}

fn resolve_elsewhere(node: LogicalPlan) -> Result<LogicalPlan> {
    let schema = inputs_schema(&node)?;
    let first_input = node.inputs().first().map(|p| (*p).clone());
    let place = node.display().to_string();
    let preserver = NamePreserver::new(&node);
    let resolved = node.map_expressions(|expr| {
        let saved = preserver.save(&expr);
        let bound = expr.transform_up(|e| bind(e, &schema, first_input.as_ref()))?;
        Ok(bound.update_data(|e| saved.restore(e)))
    })?;
    let plan = resolved.data;
    let exprs = plan.expressions();
    match find_calls(&exprs, is_hop)?.first() {
        None => Ok(plan),
        Some(call) => Err(invalid(format!(
            "a sliding window multiplies rows, so it can only be in GROUP BY or a SELECT list: `{call}` in `{place}`; \
             make it in a subquery, as in FROM (SELECT *, {call} AS w FROM t)"
        ))),
    }
}

fn inputs_schema(node: &LogicalPlan) -> Result<DFSchema> {
    let mut schema = DFSchema::empty();
    for input in node.inputs() {
        schema.merge(input.schema());
    }
    Ok(schema)
}

fn bind_all(exprs: Vec<Expr>, input: &LogicalPlan) -> Result<Vec<Expr>> {
    let one = |e: Expr| Ok(e.transform_up(|e| bind(e, input.schema(), Some(input)))?.data);
    exprs.into_iter().map(|e| named(e, &one)).collect()
}

fn bind(expr: Expr, schema: &DFSchema, input: Option<&LogicalPlan>) -> Result<Transformed<Expr>> {
    let Some((function, args)) = GroupFunction::of(&expr) else {
        return Ok(Transformed::no(expr));
    };
    let own_time = || match input {
        Some(input) => own_event_time(input, function.usage_of()),
        None => Err(invalid(format!("event time is not given; write {}", function.usage_of()))),
    };
    Ok(Transformed::yes(function.bind(args, schema, own_time)?))
}

fn replace(expr: Expr, call: &Expr, column: &Expr) -> Result<Expr> {
    let one = |e: Expr| Ok(if e == *call { Transformed::yes(column.clone()) } else { Transformed::no(e) });
    Ok(expr.transform_down(one)?.data)
}

/// Rewrites an expression and keeps its name; of grouping sets, the names of their members.
fn named(expr: Expr, f: &dyn Fn(Expr) -> Result<Expr>) -> Result<Expr> {
    let all = |exprs: Vec<Expr>| exprs.into_iter().map(|e| named(e, f)).collect::<Result<Vec<_>>>();
    Ok(match expr {
        Expr::GroupingSet(GroupingSet::Rollup(exprs)) => Expr::GroupingSet(GroupingSet::Rollup(all(exprs)?)),
        Expr::GroupingSet(GroupingSet::Cube(exprs)) => Expr::GroupingSet(GroupingSet::Cube(all(exprs)?)),
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => Expr::GroupingSet(GroupingSet::GroupingSets(
            sets.into_iter().map(all).collect::<Result<Vec<_>>>()?,
        )),
        expr => {
            let saved = NamePreserver::new_for_projection().save(&expr);
            saved.restore(f(expr)?)
        }
    })
}
