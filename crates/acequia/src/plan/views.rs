//! Materialized views inside continuous queries.
//!
//! A view's table would be read once and then stand still, so the query that keeps it takes its place: what reads views
//! on views is one plan over the streams below them, consistent after every batch. It keeps its own state of them.

use super::refuse;
use crate::catalog::MaterializedTable;
use crate::error::from_datafusion;
use acequia_core::{Error, OutputMode, Result};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan};

/// Whether a plan reads a view.
pub fn reads_view(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let walked = plan.apply_with_subqueries(|node| {
        found |= view_of(node, |_| ()).is_some();
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.is_ok() && found
}

fn view_of<T>(node: &LogicalPlan, f: impl FnOnce(&MaterializedTable) -> T) -> Option<T> {
    let LogicalPlan::TableScan(scan) = node else { return None };
    let provider = source_as_provider(&scan.source).ok()?;
    provider.downcast_ref::<MaterializedTable>().map(f)
}

/// The plan over the queries that keep its views.
pub(super) fn inline(plan: LogicalPlan, mode: OutputMode) -> Result<LogicalPlan> {
    let mut refused: Option<Error> = None;
    let inlined = plan.transform_up_with_subqueries(|node| {
        let Some(definition) = view_of(&node, |view| definition(view, mode)) else {
            return Ok(Transformed::no(node));
        };
        let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
        match definition {
            Ok(definition) => Ok(Transformed::yes(in_place_of(scan, definition)?)),
            Err(error) => {
                refused = Some(error);
                Ok(Transformed::no(node))
            }
        }
    });
    match refused {
        Some(error) => Err(error),
        None => Ok(inlined.map_err(from_datafusion)?.data),
    }
}

fn definition(view: &MaterializedTable, mode: OutputMode) -> Result<LogicalPlan> {
    let Some(definition) = view.definition() else { return Err(refuse::written_table(view.name())) };
    match definition.mode {
        OutputMode::Changes => Err(refuse::view_of_changes(view.name())),
        OutputMode::Append if definition.finality && mode != OutputMode::Append => {
            Err(refuse::final_view(view.name(), mode))
        }
        _ => Ok(definition.logical.clone()),
    }
}

fn in_place_of(scan: &TableScan, definition: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    let names = scan.source.schema();
    let columns = definition.schema().columns().into_iter().zip(names.fields());
    let exprs: Vec<Expr> = columns.map(|(column, field)| Expr::Column(column).alias(field.name())).collect();
    let builder = LogicalPlanBuilder::from(definition).project(exprs)?.alias(scan.table_name.clone())?;
    match &scan.projection {
        None => builder.build(),
        Some(columns) => {
            let all = builder.schema().columns();
            builder.project(columns.iter().map(|index| Expr::Column(all[*index].clone())))?.build()
        }
    }
}
