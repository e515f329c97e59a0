//! Aggregates and DISTINCT, over rows that are only added and over rows that are taken back.

use super::build::{Builder, Change, Part, merge, reads, times_of, with_inputs};
use super::fingerprint::{self, fingerprint};
use super::node::{Island, OperatorNode};
use super::recompute::Recomputed;
use super::reset::IslandTemplate;
use super::time_key::time_key;
use super::{explain, key, refuse, sessions};
use crate::error::from_datafusion;
use crate::exec::{AggregateSpec, Emit, See, Sharding, raw_input};
use crate::functions::TimeColumn;
use acequia_core::{Error, OperatorId, OutputMode, Result};
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use std::sync::Arc;

/// What an aggregate is.
#[derive(Clone, Copy)]
struct Shape {
    /// It has no functions: DISTINCT.
    distinct: bool,
    /// It makes sessions.
    session: bool,
    /// A watermark makes its groups final.
    timed: bool,
    /// Its rows may be taken back.
    weighted: bool,
    /// Its rows are those of the result.
    upserts: bool,
}

impl Builder<'_> {
    pub(super) async fn aggregate(&mut self, plan: &LogicalPlan, aggregate: &Aggregate) -> Result<Part> {
        let upserts = std::mem::replace(&mut self.upserts, false);
        let input = self.part(&aggregate.input).await?;
        let session = sessions::groups_by_session(aggregate)?;
        let weighted = match input.change {
            Change::Snapshot if session => {
                let (session, _) = sessions::split(aggregate, &times_of_groups(plan, aggregate)?)?;
                let whole = merge(plan, vec![input], Change::Snapshot)?;
                return Ok(Part { plan: sessions::over_all_rows(whole.plan, &session)?, ..whole });
            }
            Change::Snapshot => return merge(plan, vec![input], Change::Snapshot),
            change => change == Change::Retracting,
        };
        let (exprs, below) = match weighted {
            true => with_own_casts(plan.expressions(), input.plan.clone())?,
            false => (plan.expressions(), input.plan.clone()),
        };
        let physical = self.physical(&with_inputs(plan, exprs, vec![below])?).await?;
        let exec = topmost_aggregate(&physical)?;
        if weighted && (session || !takes_rows_back(exec)?) {
            return self.recomputed_aggregate(plan, aggregate, session, input).await;
        }
        let template = IslandTemplate::new(raw_input(exec)?, Arc::clone(&self.task));
        let island = Island { template, inputs: input.inputs };
        let times = times_of(plan)?;
        let groups = times_of_groups(plan, aggregate)?;
        let time = if session { None } else { time_key(&groups)? };
        let timed = if session { bounded(&groups) } else { time.is_some() };
        let distinct = aggregate.aggr_expr.is_empty();
        let (emit, change) = self.emission(Shape { distinct, session, timed, weighted, upserts }, plan)?;
        let id = self.next_id();
        let spec = AggregateSpec { weighted, ..AggregateSpec::from_exec(exec, id, time, emit)? };
        let (name, sharding) = if session {
            let spec = sessions::spec(spec, &groups)?;
            ("session_aggregate", Sharding::session_aggregate(spec, self.shards)?)
        } else {
            (if distinct { "distinct" } else { "aggregate" }, Sharding::aggregate(spec, self.shards)?)
        };
        let Sharding { operator, by } = sharding;
        let description = explain::aggregate(plan, emit, &groups, weighted);
        let description = description.with(&explain::shards(self.shards, &by, plan));
        let fingerprint = fingerprint(name, plan, &times);
        let fingerprint =
            format!("{fingerprint} {}{}", fingerprint::emission(emit), fingerprint::input(weighted));
        let node = OperatorNode { id, name, fingerprint, description, operator, inputs: vec![island] };
        reads(plan.schema(), node, change)
    }

    /// An aggregate with a function that cannot take a row back: over all rows of the groups that change.
    async fn recomputed_aggregate(
        &mut self,
        plan: &LogicalPlan,
        aggregate: &Aggregate,
        session: bool,
        input: Part,
    ) -> Result<Part> {
        let (session, partition) = match session {
            true => {
                let (session, keys) = sessions::split(aggregate, &times_of_groups(plan, aggregate)?)?;
                (Some(session), keys)
            }
            false => (None, in_every_set(&aggregate.group_expr)),
        };
        if self.mode == OutputMode::Complete {
            let whole = self.complete(input, &aggregate.input).await?;
            let whole = merge(plan, vec![whole], Change::Snapshot)?;
            return match session {
                Some(session) => Ok(Part { plan: sessions::over_all_rows(whole.plan, &session)?, ..whole }),
                None => Ok(whole),
            };
        }
        let of = Recomputed {
            name: "aggregate",
            plan,
            input: &aggregate.input,
            partition,
            order: vec![],
            see: See::All,
            running: vec![],
        };
        self.recompute(input, of, |rows| {
            let exprs = plan.expressions().into_iter().map(|expr| rows.rewritten(expr));
            let plan = with_inputs(plan, exprs.collect::<Result<_>>()?, vec![rows.plan.clone()])?;
            match session {
                Some(session) => sessions::over_all_rows(plan, &rows.rewritten(session)?),
                None => Ok(plan),
            }
        })
        .await
    }

    /// How an aggregate emits, and how its output changes.
    fn emission(&self, shape: Shape, plan: &LogicalPlan) -> Result<(Emit, Change)> {
        let Shape { distinct, session, timed, weighted, upserts } = shape;
        Ok(match self.mode {
            OutputMode::Complete => (Emit::Snapshot, Change::Snapshot),
            _ if distinct && !session && !weighted => (Emit::Upserts, Change::InsertOnly),
            OutputMode::Append if timed => (Emit::Final, Change::InsertOnly),
            OutputMode::Append => return Err(refuse::never_final(&key::describe_aggregate(plan))),
            OutputMode::Update if upserts && !session && !weighted => (Emit::Upserts, Change::Keyed),
            OutputMode::Update | OutputMode::Changes => (Emit::Changes, Change::Retracting),
        })
    }
}

/// The times of an aggregate's group columns.
fn times_of_groups(plan: &LogicalPlan, aggregate: &Aggregate) -> Result<Vec<Option<TimeColumn>>> {
    let mut times = times_of(plan)?;
    times.truncate(plan.schema().fields().len() - aggregate.aggr_expr.len());
    Ok(times)
}

/// Whether each function of an aggregate over rows with weights can take rows back from what it keeps of a group.
fn takes_rows_back(exec: &AggregateExec) -> Result<bool> {
    AggregateSpec::from_exec(exec, OperatorId(0), None, Emit::Changes)?.takes_rows_back()
}

/// The group expressions that tell groups apart in every grouping set.
fn in_every_set(group: &[Expr]) -> Vec<Expr> {
    let of = |expr: &Expr| match expr {
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
            let mut sets = sets.iter();
            let first = sets.next().cloned().unwrap_or_default();
            first.into_iter().filter(|expr| sets.clone().all(|set| set.contains(expr))).collect()
        }
        Expr::GroupingSet(_) => vec![],
        plain => vec![plain.clone()],
    };
    group.iter().flat_map(of).collect()
}

/// The expressions of an aggregate and its input, with casts to Float64 in the aggregate itself. Where two functions
/// share one, the optimizer has put it below them, where nobody sees that the sums of what is cast are exact.
fn with_own_casts(exprs: Vec<Expr>, input: LogicalPlan) -> Result<(Vec<Expr>, LogicalPlan)> {
    let LogicalPlan::Projection(projection) = &input else { return Ok((exprs, input)) };
    let below = |column: &Column| {
        let index = projection.schema.maybe_index_of_column(column)?;
        Some(projection.expr[index].clone().unalias())
    };
    let is_cast = |expr: &Expr| matches!(expr, Expr::Column(column) if below(column).is_some_and(|e| matches!(e, Expr::Cast(_))));
    if !exprs.iter().any(|expr| expr.exists(|e| Ok(is_cast(e))).unwrap_or(false)) {
        return Ok((exprs, input));
    }
    let inline = |expr: Expr| {
        let replaced = expr.transform_up(|e| match &e {
            Expr::Column(column) => Ok(below(column).map_or(Transformed::no(e), Transformed::yes)),
            _ => Ok(Transformed::no(e)),
        });
        replaced.map(|t| t.data).map_err(from_datafusion)
    };
    let exprs = exprs.into_iter().map(inline).collect::<Result<_>>()?;
    Ok((exprs, projection.input.as_ref().clone()))
}

/// Whether a watermark bounds one of the group columns.
fn bounded(groups: &[Option<TimeColumn>]) -> bool {
    groups.iter().flatten().any(|time| !time.watermarks.is_empty())
}

/// The aggregate of a plan that was made for one.
fn topmost_aggregate(plan: &Arc<dyn ExecutionPlan>) -> Result<&AggregateExec> {
    let mut node = plan;
    loop {
        if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
            return Ok(aggregate);
        }
        match node.children()[..] {
            [child] => node = child,
            _ => return Err(Error::internal(format!("no aggregate in its own plan: {}", plan.name()))),
        }
    }
}
