//! DataFusion's analyzer and optimizers, restricted to what is right when a plan runs over one batch after another.
//!
//! Both lists name the rules that are kept, so that a rule that a later DataFusion adds is looked at first. Missing are,
//! among the logical ones: limits pushed down (a limit counts over the life of a query, not over a batch), single
//! distinct aggregates split in two (operators keep distinct state themselves), and leaf expressions pulled into scans
//! (they hide which column is an event time). Among the physical ones: everything that looks at statistics, limits,
//! dynamic filters or partitions. One partition: parallelism comes from shards.

use super::moving_bound::{semi_joins, timed_filters};
use super::over::distinct_on_to_row_number;
use super::refuse;
use crate::error::from_datafusion;
use crate::functions::{BatchTime, Mode, ResolveWindows, bind_batch_time, resolve_windows};
use acequia_core::{OutputMode, Result};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, ScalarValue};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    EmptyRelation, Expr, FetchType, Join, Limit, LogicalPlan, Projection, SkipType, Sort,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{AnalyzerRule, OptimizerConfig, OptimizerRule};
use std::sync::Arc;

const LOGICAL_RULES: &[&str] = &[
    "rewrite_set_comparison",
    "optimize_unions",
    "simplify_expressions",
    "replace_distinct_aggregate",
    "decorrelate_predicate_subquery",
    "scalar_subquery_to_join",
    "decorrelate_lateral_join",
    "extract_equijoin_predicate",
    "eliminate_duplicated_expr",
    "eliminate_filter",
    "eliminate_cross_join",
    "filter_null_join_keys",
    "eliminate_outer_join",
    "push_down_filter",
    "eliminate_group_by_constant",
    "common_sub_expression_eliminate",
    "optimize_projections",
    "nameless_window_keys",
];

const PHYSICAL_RULES: &[&str] = &[
    "OutputRequirements",
    "EnsureRequirements",
    "OptimizeAggregateOrder",
    "ProjectionPushdown",
    "SanityCheckPlan",
];

/// The session's state with the rules and settings under which continuous queries are planned.
pub(super) fn streaming_state(state: &SessionState) -> SessionState {
    let config = state
        .config()
        .clone()
        .with_target_partitions(1)
        // The catalog is there already; building a state would put an empty one in its place.
        .with_create_default_catalog_and_schema(false)
        .set_bool("datafusion.optimizer.enable_dynamic_filter_pushdown", false)
        // They would be run once, and stand still.
        .set_bool("datafusion.optimizer.enable_physical_uncorrelated_scalar_subquery", false)
        // It computes parts of windows below the watermark, where their event time cannot be followed.
        .set_bool("datafusion.optimizer.enable_leaf_expression_pushdown", false);
    // The session's rules, some of which are there to make others safe.
    let known = state.optimizers().iter().filter(|rule| LOGICAL_RULES.contains(&rule.name())).cloned();
    let known = known.map(|rule| -> Arc<dyn OptimizerRule + Send + Sync> {
        if rule.name() == "push_down_filter" { Arc::new(PushDownFilter(rule)) } else { rule }
    });
    let mut logical: Vec<Arc<dyn OptimizerRule + Send + Sync>> = known.collect();
    // Before joins are taken apart, and before filters are pushed down.
    for before in ["replace_distinct_aggregate", "push_down_filter"] {
        let place = logical.iter().position(|rule| rule.name() == before);
        logical.insert(place.unwrap_or(0), Arc::new(NeverTrue));
    }
    let physical = state.physical_optimizers().iter().filter(|rule| PHYSICAL_RULES.contains(&rule.name()));
    SessionStateBuilder::new_from_existing(state.clone())
        .with_config(config)
        .with_analyzer_rules(analyzer_rules(state))
        .with_optimizer_rules(logical)
        .with_physical_optimizer_rules(physical.cloned().collect())
        .build()
}

/// The session's analyzer, its windows resolved for continuous queries.
fn analyzer_rules(state: &SessionState) -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let rules = state.analyzer().rules.iter().map(|rule| -> Arc<dyn AnalyzerRule + Send + Sync> {
        let streaming = ResolveWindows { mode: Mode::Streaming };
        if rule.name() == streaming.name() { Arc::new(streaming) } else { Arc::clone(rule) }
    });
    rules.collect()
}

/// Resolves windows and the batch's time, then analyzes and optimizes.
pub(super) fn optimize(
    state: &SessionState,
    plan: LogicalPlan,
    time: &Arc<BatchTime>,
    mode: OutputMode,
) -> Result<LogicalPlan> {
    expect_scalars(&plan)?;
    let plan = named_scalars(plan).map_err(from_datafusion)?;
    let plan = resolve_windows(plan).map_err(from_datafusion)?;
    let zone = state.config_options().execution.time_zone.clone();
    let plan = bind_batch_time(plan, time, zone.as_deref()).map_err(from_datafusion)?;
    let plan = super::asof::static_to_batch(plan)?;
    let mut plan = super::build::distinct_on_to_drop_duplicates(plan)?;
    if mode != OutputMode::Complete {
        plan = distinct_on_to_row_number(plan)?;
    }
    let plan = state.optimize(&plan).map_err(from_datafusion)?;
    let plan = if mode == OutputMode::Complete { plan } else { semi_joins(plan).map_err(from_datafusion)? };
    timed_filters(plan).map_err(from_datafusion)
}

/// Refuses scalar subqueries of perhaps several rows: as joins, which they become, they would multiply rows instead of
/// being an error. Of correlated ones DataFusion itself asks for an aggregate.
fn expect_scalars(plan: &LogicalPlan) -> Result<()> {
    let mut several = None;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarSubquery(scalar) = expr
                    && scalar.outer_ref_columns.is_empty()
                    && scalar.subquery.max_rows().is_none_or(|rows| rows > 1)
                {
                    several = Some(refuse::scalar_of_many(&scalar.subquery));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked.map_err(from_datafusion)?;
    several.map_or(Ok(()), Err)
}

/// Gives the values of scalar subqueries a name that nothing else has. They become columns beside those of the query, and
/// `HAVING max(id) = (SELECT max(id) FROM t)` would have two of one name.
fn named_scalars(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    let named = |expr: Expr| {
        let Expr::ScalarSubquery(mut scalar) = expr else { return Ok(Transformed::no(expr)) };
        let columns = scalar.subquery.schema().columns();
        let [value] = &columns[..] else { return Ok(Transformed::no(Expr::ScalarSubquery(scalar))) };
        let value = Expr::Column(value.clone()).alias("__value");
        scalar.subquery =
            Arc::new(LogicalPlan::Projection(Projection::try_new(vec![value], scalar.subquery)?));
        Ok(Transformed::yes(Expr::ScalarSubquery(scalar)))
    };
    let plan = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(named)?.update_data(|expr| name.restore(expr)))
        })
    });
    plan.map(|plan| plan.data)
}

/// DataFusion's rule, which would push a condition without columns, as one on `now()` alone, below an aggregate that has a
/// row of nothing too; and a condition on columns from outside below the names of the subquery's own. What has become no
/// join before then stays a subquery, which is refused, and its columns are not looked for by names that they do not have.
#[derive(Debug)]
struct PushDownFilter(Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for PushDownFilter {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> datafusion::common::Result<Transformed<LogicalPlan>> {
        if matches!(&plan, LogicalPlan::Filter(filter) if filter.predicate.contains_outer()) {
            return Ok(Transformed::no(plan));
        }
        if let LogicalPlan::Filter(filter) = &plan
            && let LogicalPlan::Aggregate(aggregate) = filter.input.as_ref()
            && aggregate.group_expr.iter().all(|key| matches!(key, Expr::GroupingSet(_)))
            && split_conjunction(&filter.predicate).into_iter().any(|expr| expr.column_refs().is_empty())
        {
            return Ok(Transformed::no(plan));
        }
        self.0.rewrite(plan, config)
    }
}

/// A join or filter whose condition is never true, without it. DataFusion 55 would push the condition down, and through an
/// aggregate of all rows too, which gives a row of nothing.
#[derive(Debug)]
struct NeverTrue;

impl OptimizerRule for NeverTrue {
    fn name(&self) -> &str {
        "never_true"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> datafusion::common::Result<Transformed<LogicalPlan>> {
        let never = |filter: &Expr| {
            matches!(filter, Expr::Literal(ScalarValue::Boolean(None | Some(false)) | ScalarValue::Null, _))
        };
        let join = match plan {
            LogicalPlan::Join(join) => join,
            // What a join of several inputs has become in between.
            LogicalPlan::Filter(filter) if never(&filter.predicate) => {
                let schema = Arc::clone(filter.input.schema());
                let nothing = EmptyRelation { produce_one_row: false, schema };
                return Ok(Transformed::yes(LogicalPlan::EmptyRelation(nothing)));
            }
            other => return Ok(Transformed::no(other)),
        };
        if !join.filter.as_ref().is_some_and(never) {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        let nothing = EmptyRelation { produce_one_row: false, schema: Arc::clone(&join.schema) };
        Ok(Transformed::yes(match join.join_type {
            JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => LogicalPlan::EmptyRelation(nothing),
            JoinType::LeftAnti => Arc::unwrap_or_clone(join.left),
            JoinType::RightAnti => Arc::unwrap_or_clone(join.right),
            JoinType::Left => with_nulls(&join, Arc::clone(&join.left))?,
            JoinType::Right => with_nulls(&join, Arc::clone(&join.right))?,
            JoinType::Full | JoinType::LeftMark | JoinType::RightMark => {
                return Ok(Transformed::no(LogicalPlan::Join(join)));
            }
        }))
    }
}

/// The rows of one side, with NULL in the columns of the other.
fn with_nulls(join: &Join, side: Arc<LogicalPlan>) -> datafusion::common::Result<LogicalPlan> {
    let columns = join.schema.iter().map(|(qualifier, field)| {
        let column = Column::from((qualifier, field));
        Ok(match side.schema().has_column(&column) {
            true => Expr::Column(column),
            false => {
                let null = ScalarValue::try_from(field.data_type())?;
                Expr::Literal(null, None).alias_qualified(qualifier.cloned(), field.name())
            }
        })
    });
    let columns = columns.collect::<datafusion::common::Result<_>>()?;
    Ok(LogicalPlan::Projection(Projection::try_new(columns, side)?))
}

/// The same plan for a physical planner that pushes no limits down: a sort below a limit knows how many rows are wanted
/// of it. One that does not would be taken for an order that nobody asked for, and left out.
pub(super) fn limited_sorts(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    let limited = plan.transform_down(|node| {
        let LogicalPlan::Limit(limit) = &node else { return Ok(Transformed::no(node)) };
        let (SkipType::Literal(skip), FetchType::Literal(Some(fetch))) =
            (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Ok(Transformed::no(node));
        };
        let input = limited_sort(Arc::clone(&limit.input), skip.saturating_add(fetch));
        let (skip, fetch) = (limit.skip.clone(), limit.fetch.clone());
        Ok(Transformed::yes(LogicalPlan::Limit(Limit { skip, fetch, input })))
    });
    limited.map(|limited| limited.data)
}

fn limited_sort(plan: Arc<LogicalPlan>, rows: usize) -> Arc<LogicalPlan> {
    Arc::new(match Arc::unwrap_or_clone(plan) {
        LogicalPlan::Sort(sort) => {
            let fetch = Some(sort.fetch.map_or(rows, |fetch| fetch.min(rows)));
            LogicalPlan::Sort(Sort { fetch, ..sort })
        }
        LogicalPlan::Projection(mut projection) => {
            projection.input = limited_sort(projection.input, rows);
            LogicalPlan::Projection(projection)
        }
        LogicalPlan::SubqueryAlias(mut alias) => {
            alias.input = limited_sort(alias.input, rows);
            LogicalPlan::SubqueryAlias(alias)
        }
        other => other,
    })
}
