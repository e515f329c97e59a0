//! Where two columns have one name, as after a join, physical rules that tell columns apart by name are left out.
//!
//! DataFusion 55.2 takes the one for the other: filters that are pushed down find their columns by name below a projection,
//! and one on the padded side of an outer join then loses rows of the other side; a projection that is swapped with a filter
//! takes the places of what the filter gives for those of what it reads, once the filter projects too, and gives the values
//! of another column, or no plan.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNode;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use std::collections::HashSet;
use std::sync::Arc;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

type IsConfused = fn(&Arc<dyn ExecutionPlan>) -> bool;

/// A rule that leaves a plan with such a node as it is.
#[derive(Debug)]
struct UnlessTwinNames(Rule, IsConfused);

impl PhysicalOptimizerRule for UnlessTwinNames {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if plan.exists(|node| Ok(self.1(node)))? { Ok(plan) } else { self.0.optimize(plan, config) }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn has_twin_names(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = plan.schema();
    let mut names = HashSet::new();
    !schema.fields().iter().all(|field| names.insert(field.name()))
}

fn projects_twin_names(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.downcast_ref::<ProjectionExec>().is_some() && has_twin_names(node)
}

fn filters_and_projects_twin_names(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.downcast_ref::<FilterExec>()
        .is_some_and(|filter| filter.projection().is_some() && has_twin_names(filter.input()))
}

/// The state with its rules that push filters and projections down made safe.
pub(super) fn guard(state: SessionState) -> SessionState {
    let rules = state.physical_optimizers().iter().map(|rule| -> Rule {
        let guarded = |is_confused| -> Rule { Arc::new(UnlessTwinNames(Arc::clone(rule), is_confused)) };
        match rule.name() {
            "ProjectionPushdown" => guarded(filters_and_projects_twin_names),
            name if name.starts_with("FilterPushdown") => guarded(projects_twin_names),
            _ => Arc::clone(rule),
        }
    });
    let rules = rules.collect();
    SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build()
}
