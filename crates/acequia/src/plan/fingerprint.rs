//! What the state of an operator depends on, as text: a checkpoint keeps it, and a query that is started again compares.
//!
//! Columns are followed down to the stream that they come from, through every projection on the way. So the text does
//! not change with names that mean nothing to the state (of tables, aliases and columns that DataFusion makes up), and
//! does change when the same name comes to mean something else.

use super::build::role_name;
use super::recompute::Recomputed;
use crate::exec::{Comparison, Emit, Expiry};
use crate::functions::{AsofJoin, DropDuplicates, TimeColumn};
use acequia_core::time::format_interval;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ExprSchema, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr};

/// What an aggregate's way of emitting means for its state: which groups it has shown, and whether any is forgotten.
pub(super) fn emission(emit: Emit) -> &'static str {
    match emit {
        Emit::Final => "emits=final groups",
        Emit::Upserts | Emit::Changes => "emits=changed groups",
        Emit::Snapshot => "emits=all groups",
    }
}

/// What rows that are taken back mean for an aggregate's state: it keeps other things of a group.
pub(super) fn input(weighted: bool) -> &'static str {
    if weighted { " over changes" } else { "" }
}

/// When keys of `drop_duplicates` are forgotten, which decides what its state holds.
pub(super) fn expiry(expiry: &Expiry) -> String {
    match expiry {
        Expiry::Never => "expires=never".to_string(),
        Expiry::InKey { .. } => "expires=with an event time of the key".to_string(),
        Expiry::Within { delay_micros, .. } => {
            format!("expires={} after its event time", format_interval(*delay_micros))
        }
    }
}

/// The fingerprint of the operator for this node; `times` are the event times among its columns.
pub(super) fn fingerprint(name: &str, plan: &LogicalPlan, times: &[Option<TimeColumn>]) -> String {
    let columns = match (plan, DropDuplicates::of(plan)) {
        (LogicalPlan::Aggregate(aggregate), _) => {
            let keys = list(aggregate.group_expr.iter(), &aggregate.input);
            let values = list(aggregate.aggr_expr.iter(), &aggregate.input);
            format!("keys=[{keys}] values=[{values}]")
        }
        (_, Some(node)) => {
            let keys: Vec<Expr> = node.columns().iter().cloned().map(Expr::Column).collect();
            format!("keys=[{}]", list(keys.iter(), node.input()))
        }
        _ => {
            let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
            format!("columns=[{}]", list(columns.iter(), plan))
        }
    };
    let types: Vec<String> = match DropDuplicates::of(plan) {
        // Its state holds the key alone; what other columns come along may change.
        Some(node) => types(node.columns().iter().filter_map(|c| node.input().schema().data_type(c).ok())),
        None => types(plan.schema().fields().iter().map(|f| f.data_type())),
    };
    let timed: Vec<String> = times
        .iter()
        .enumerate()
        .filter_map(|(i, t)| t.as_ref().map(|t| format!("{i}:{}", role_name(&t.role))))
        .collect();
    format!("{name} {columns} types=[{}] time=[{}]", types.join(", "), timed.join(", "))
}

/// The fingerprint of an ASOF join: its sides hold rows in an order of keys and times, and rows below the bounds, if there
/// are any, are gone.
pub(super) fn asof_join(plan: &LogicalPlan, node: &AsofJoin, bounded: bool) -> String {
    let side = |side: usize| {
        let exprs = node.keys()[side].iter().chain([&node.times()[side]]);
        list(exprs, &node.sides()[side])
    };
    let columns = fingerprint("asof_join", plan, &[]);
    let (left, right) = (side(0), side(1));
    format!("{columns} left=[{left}] right=[{right}] compared={} bounded={bounded}", node.compared())
}

/// The fingerprint of a relation that is computed over kept rows: these, how they are told apart, and every expression
/// from there up, since a batch takes back what the relation gave over the rows before.
pub(super) fn recomputed(of: &Recomputed<'_>) -> String {
    let input = of.input;
    let columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let mut values = Vec::new();
    relation(of.plan, input, &mut values);
    format!(
        "{} columns=[{}] types=[{}] partition=[{}] values=[{}]",
        of.name,
        list(columns.iter(), input),
        types(input.schema().fields().iter().map(|f| f.data_type())).join(", "),
        list(of.partition.iter(), input),
        values.join("; ")
    )
}

/// The fingerprint of a node that compares a value of rows with a bound.
pub(super) fn moving_bound(plan: &LogicalPlan, sides: [&Expr; 2], comparison: Comparison) -> String {
    let name = fingerprint("moving_bound", plan, &[]);
    let side = |expr: &Expr| {
        let reads = |input: &&LogicalPlan| expr.column_refs().iter().all(|c| input.schema().has_column(c));
        let input = plan.inputs().into_iter().find(reads);
        input.map_or_else(|| expr.to_string(), |input| resolved(expr, input).to_string())
    };
    format!("{name} condition=`{} {comparison} {}`", side(sides[0]), side(sides[1]))
}

/// The expressions of each node above the input, from the top.
fn relation(plan: &LogicalPlan, input: &LogicalPlan, values: &mut Vec<String>) {
    let [below] = plan.inputs()[..] else { return };
    if std::ptr::eq(plan, input) {
        return;
    }
    let directions = match plan {
        LogicalPlan::Sort(sort) => {
            let direction =
                |by: &SortExpr| format!(" {}{}", if by.asc { "asc" } else { "desc" }, by.nulls_first);
            sort.expr.iter().map(direction).collect()
        }
        _ => String::new(),
    };
    let kind = plan.display().to_string();
    let kind = kind.split(':').next().unwrap_or_default();
    values.push(format!("{kind} {}{directions}", list(plan.expressions().iter(), below)));
    relation(below, input, values);
}

fn types<'a>(types: impl Iterator<Item = &'a DataType>) -> Vec<String> {
    types.map(ToString::to_string).collect()
}

fn list<'a>(exprs: impl Iterator<Item = &'a Expr>, input: &LogicalPlan) -> String {
    exprs.map(|expr| resolved(expr, input).to_string()).collect::<Vec<_>>().join(", ")
}

/// The expression over the columns of streams and tables.
fn resolved(expr: &Expr, input: &LogicalPlan) -> Expr {
    let followed = expr.clone().transform_down(|e| {
        Ok(match e {
            Expr::Column(column) => Transformed::new(origin(&column, input), true, TreeNodeRecursion::Jump),
            other => Transformed::no(other),
        })
    });
    let followed: Result<Expr> = followed.and_then(|t| {
        let without_names = t.data.transform_up(|e| {
            Ok(match e {
                Expr::Alias(alias) => Transformed::yes(*alias.expr),
                // The names that functions make of their arguments leave casts out.
                Expr::Cast(_) | Expr::TryCast(_) => Transformed::yes(named(e.to_string())),
                // Its own words tell what it was made with, as the size of a window; its name alone does not.
                Expr::ScalarFunction(call) => match call.func.schema_name(&call.args) {
                    Ok(name) => Transformed::yes(named(name)),
                    Err(_) => Transformed::no(Expr::ScalarFunction(call)),
                },
                other => Transformed::no(other),
            })
        });
        without_names.map(|t| t.data)
    });
    followed.unwrap_or_else(|_| expr.clone())
}

/// What a column of a plan's input is, said in the columns of streams and tables.
fn origin(column: &Column, plan: &LogicalPlan) -> Expr {
    let bare = || named(column.name.clone());
    let Some(index) = plan.schema().maybe_index_of_column(column) else { return bare() };
    match plan {
        LogicalPlan::Projection(projection) => resolved(&projection.expr[index], &projection.input),
        LogicalPlan::SubqueryAlias(alias) => at(index, &alias.input),
        LogicalPlan::Aggregate(aggregate) => {
            let keys = aggregate.group_expr.len();
            match aggregate.group_expr.iter().chain(&aggregate.aggr_expr).nth(index) {
                // A grouping set has columns that are no expression of it.
                Some(expr) if plan.schema().fields().len() == keys + aggregate.aggr_expr.len() => {
                    resolved(expr, &aggregate.input)
                }
                _ => bare(),
            }
        }
        LogicalPlan::Union(union) => {
            let mut origins: Vec<String> =
                union.inputs.iter().map(|input| at(index, input).to_string()).collect();
            origins.dedup();
            named(origins.join(" or "))
        }
        _ => {
            let holds = |input: &&LogicalPlan| input.schema().maybe_index_of_column(column).is_some();
            match plan.inputs().iter().position(holds) {
                Some(0) => origin(column, plan.inputs()[0]),
                // Which side of a join, since both may have a column of this name.
                Some(side) => named(format!("{side}: {}", origin(column, plan.inputs()[side]))),
                None => bare(),
            }
        }
    }
}

fn named(name: String) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

fn at(index: usize, input: &LogicalPlan) -> Expr {
    origin(&Column::from(input.schema().qualified_field(index)), input)
}
