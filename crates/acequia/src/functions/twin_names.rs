//! Where a projection has two columns of one name, as after a join, no filter is pushed down physically.
//!
//! DataFusion 55.2 finds the columns of a filter by name there, and takes the one for the other: a filter on the padded
//! side of an outer join then loses rows of the other side.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNode;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use std::collections::HashSet;
use std::sync::Arc;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// A rule that leaves such plans as they are.
#[derive(Debug)]
struct UnlessTwinNames(Rule);

impl PhysicalOptimizerRule for UnlessTwinNames {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if has_twin_names(&plan)? { Ok(plan) } else { self.0.optimize(plan, config) }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn has_twin_names(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    plan.exists(|node| {
        let schema = node.schema();
        let mut names = HashSet::new();
        let is_projection = node.downcast_ref::<ProjectionExec>().is_some();
        Ok(is_projection && !schema.fields().iter().all(|field| names.insert(field.name())))
    })
}

/// The state with its rules that push filters down made safe.
pub(super) fn guard(state: SessionState) -> SessionState {
    let rules = state.physical_optimizers().iter().map(|rule| -> Rule {
        let guarded = rule.name().starts_with("FilterPushdown");
        if guarded { Arc::new(UnlessTwinNames(Arc::clone(rule))) } else { Arc::clone(rule) }
    });
    let rules = rules.collect();
    SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build()
}
