//! EXCEPT ALL and INTERSECT ALL as SQL has them.
//!
//! DataFusion plans them as anti and semi joins with NULLs equal, which take or keep every copy of a row. SQL counts:
//! of a row that is l times on the left and r times on the right `max(l - r, 0)` and `min(l, r)` copies stay. Numbering
//! the copies of each row on both sides makes the joins count, on tables and on streams alike:
//! ```text
//! EXCEPT ALL (l, r)   ->  l, copy  ANTI JOIN  r, copy  ON l = r AND l.copy = r.copy
//! ```

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Distinct, Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::AnalyzerRule;

/// The number of a copy.
const COPY: &str = "__copy";

/// See the [module](self). Without ALL a DISTINCT on the left makes the joins right as they are.
#[derive(Debug)]
pub struct CountCopies;

impl AnalyzerRule for CountCopies {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let counted = plan.transform_up_with_subqueries(|node| match &node {
            LogicalPlan::Join(join) if is_set_operation(join) => Ok(Transformed::yes(count_copies(join)?)),
            _ => Ok(Transformed::no(node)),
        });
        Ok(counted?.data)
    }

    fn name(&self) -> &str {
        "count_copies_of_set_operations"
    }
}

/// Only INTERSECT and EXCEPT make such a join before it is optimized.
fn is_set_operation(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && join.on.len() == join.left.schema().fields().len()
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_)))
        && join.left.schema().fields().iter().all(|field| field.name() != COPY)
}

fn count_copies(join: &Join) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = join.left.schema().columns().into_iter().map(Expr::Column).collect();
    let (left, right) = (numbered(&join.left)?, numbered(&join.right)?);
    let last = |plan: &LogicalPlan| {
        let schema = plan.schema();
        Column::from(schema.qualified_field(schema.fields().len() - 1))
    };
    let mut on = join.on.clone();
    on.push((Expr::Column(last(&left)), Expr::Column(last(&right))));
    let joined = Join::try_new(
        left.into(),
        right.into(),
        on,
        None,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        false,
    )?;
    LogicalPlanBuilder::from(LogicalPlan::Join(joined)).project(columns)?.build()
}

/// The rows, each with its number among its copies.
fn numbered(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let number = row_number().partition_by(columns.clone()).build()?;
    let window = LogicalPlanBuilder::from(plan.clone()).window(vec![number])?.build()?;
    let numbers = window.schema().columns().pop().map(Expr::Column).into_iter();
    let columns = columns.into_iter().chain(numbers.map(|column| column.alias(COPY)));
    LogicalPlanBuilder::from(window).project(columns.collect::<Vec<_>>())?.build()
}
