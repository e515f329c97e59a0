//! PARTITION BY and ORDER BY of windows without names in them, so that equal ones are seen to be equal.
//!
//! Of an expression that occurs several times DataFusion 55.2 makes a column, and keeps its name by an alias wherever none
//! is around it: in a window without a name, but not in one that has got its own. Windows of one node then have keys
//! that say the same and differ: its planner asserts that they do not, and ours would take them for windows that share no
//! partition.

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, Window};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// See the [module](self). It goes behind the rule that makes such columns.
#[derive(Debug)]
pub(super) struct NamelessWindowKeys;

impl OptimizerRule for NamelessWindowKeys {
    fn name(&self) -> &str {
        "nameless_window_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Window(window) = plan else { return Ok(Transformed::no(plan)) };
        let names = NamePreserver::new_for_projection();
        let mut changed = false;
        let exprs = window.window_expr.into_iter().map(|expr| {
            let name = names.save(&expr);
            let nameless = nameless(expr);
            changed |= nameless.transformed;
            nameless.update_data(|expr| name.restore(expr)).data
        });
        let exprs = exprs.collect();
        let window = Window { window_expr: exprs, ..window };
        Ok(Transformed::new_transformed(LogicalPlan::Window(window), changed))
    }
}

/// A window function, perhaps with its name, without names in its keys.
fn nameless(expr: Expr) -> Transformed<Expr> {
    match expr {
        Expr::Alias(mut alias) => {
            let inner = nameless(*alias.expr);
            alias.expr = Box::new(inner.data);
            Transformed::new_transformed(Expr::Alias(alias), inner.transformed)
        }
        Expr::WindowFunction(mut window) => {
            let params = &mut window.params;
            let mut changed = false;
            let keys = params.order_by.iter_mut().map(|sort| &mut sort.expr);
            for key in params.partition_by.iter_mut().chain(keys) {
                let own = key.clone().unalias_nested();
                changed |= own.transformed;
                *key = own.data;
            }
            Transformed::new_transformed(Expr::WindowFunction(window), changed)
        }
        other => Transformed::no(other),
    }
}
