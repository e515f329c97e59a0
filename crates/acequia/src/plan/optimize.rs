//! DataFusion's analyzer and optimizers, restricted to what is right when a plan runs over one batch after another.
//!
//! Both lists name the rules that are kept, so that a rule that a later DataFusion adds is looked at first. Missing are,
//! among the logical ones: limits pushed down (a limit counts over the life of a query, not over a batch), single
//! distinct aggregates split in two (operators keep distinct state themselves), and leaf expressions pulled into scans
//! (they hide which column is an event time). Among the physical ones: everything that looks at statistics, limits,
//! dynamic filters or partitions. One partition: parallelism comes from shards.

use super::over::distinct_on_to_row_number;
use crate::error::from_datafusion;
use crate::functions::{BatchTime, Mode, ResolveWindows, bind_batch_time, resolve_windows};
use acequia_core::{OutputMode, Result};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{AnalyzerRule, Optimizer};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
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
    let logical = Optimizer::new().rules.into_iter().filter(|rule| LOGICAL_RULES.contains(&rule.name()));
    let physical =
        PhysicalOptimizer::new().rules.into_iter().filter(|rule| PHYSICAL_RULES.contains(&rule.name()));
    SessionStateBuilder::new_from_existing(state.clone())
        .with_config(config)
        .with_analyzer_rules(analyzer_rules(state))
        .with_optimizer_rules(logical.collect())
        .with_physical_optimizer_rules(physical.collect())
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
    let plan = resolve_windows(plan).map_err(from_datafusion)?;
    let zone = state.config_options().execution.time_zone.clone();
    let plan = bind_batch_time(plan, time, zone.as_deref()).map_err(from_datafusion)?;
    let mut plan = super::build::distinct_on_to_drop_duplicates(plan)?;
    if mode != OutputMode::Complete {
        plan = distinct_on_to_row_number(plan)?;
    }
    state.optimize(&plan).map_err(from_datafusion)
}
