//! OVER, and ORDER BY with LIMIT, over streams.
//!
//! | node | partition | order |
//! |---|---|---|
//! | OVER | the PARTITION BY expressions that all of the node's windows share | ORDER BY, where they share it |
//! | LIMIT above ORDER BY, with projections and filters between | none | ORDER BY |
//! | LIMIT over changes | none | by all columns |
//! | LIMIT over rows that are only added | | the first to come, see [`crate::exec::FirstRowsOperator`] |
//!
//! In `COMPLETE` a node below keeps the rows, and OVER is DataFusion's own over all of them; LIMIT keeps the few rows
//! of its result instead.

use super::build::{Builder, Change, Part, is_streaming, merge};
use super::recompute::{Recomputed, Rows};
use super::{refuse, see};
use crate::error::from_datafusion;
use crate::exec::See;
use acequia_core::{OutputMode, Result};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result as DataFusionResult, ScalarValue};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, ExprFunctionExt, ExprSchemable, Limit, LogicalPlan, LogicalPlanBuilder,
    Operator, Projection, Sort, SortExpr, Window, col, lit,
};
use std::sync::Arc;

/// The column that tells the row which DISTINCT ON keeps.
const ROW_NUMBER: &str = "__row_number";

impl Builder<'_> {
    /// Window functions.
    pub(super) async fn window(&mut self, plan: &LogicalPlan, window: &Window) -> Result<Part> {
        let (partition, mut order) = shared(window);
        let mut below = &window.input;
        while let LogicalPlan::Window(next) = below.as_ref()
            && let (same, by) = shared(next)
            && same == partition
        {
            (below, order) = (&next.input, by);
        }
        let mut input = self.part(below).await?;
        if self.mode == OutputMode::Complete && input.change != Change::Snapshot {
            input = self.materialize(input, below).await?;
        }
        if input.change == Change::Snapshot {
            return merge_chain(plan, below, input);
        }
        let (see, running) = see::of_windows(plan, below);
        let of = Recomputed { name: "over", plan, input: below, partition, order, see, running };
        self.recompute(input, of, |rows| rows.without_computed(relation(plan, below, rows)?)).await
    }

    /// A filter for the first rows of windows.
    pub(super) async fn first(&mut self, plan: &LogicalPlan, window: &Window, see: See) -> Result<Part> {
        let input = self.part(&window.input).await?;
        let (partition, order) = shared(window);
        let of =
            Recomputed { name: "top", plan, input: &window.input, partition, order, see, running: vec![] };
        if input.change == Change::InsertOnly {
            let over = |rows: &Rows| windows(window, rows, rows.plan.clone());
            let numbered = self.numbered(input, of, see::numbers(window)?, over).await?;
            return self.above(plan, window, numbered);
        }
        let is_window =
            |node: &LogicalPlan| matches!(node, LogicalPlan::Window(w) if std::ptr::eq(w, window));
        let relation = |rows: &Rows| {
            let over = windows(window, rows, rows.plan.clone())?;
            replace_where(plan, &is_window, &rows.without_computed(over)?)
        };
        self.recompute(input, of, relation).await
    }

    /// The nodes from one down to a window, over this part in its place.
    fn above(&self, plan: &LogicalPlan, window: &Window, part: Part) -> Result<Part> {
        match (plan, &plan.inputs()[..]) {
            (LogicalPlan::Window(own), _) if std::ptr::eq(own, window) => Ok(part),
            (_, [below]) => self.stateless(plan, self.above(below, window, part)?),
            _ => Err(refuse::node(plan)),
        }
    }

    /// ORDER BY with LIMIT, or LIMIT alone.
    pub(super) async fn limit(&mut self, plan: &LogicalPlan) -> Result<Part> {
        let Some(sort) = sort_below(plan) else { return self.limit_alone(plan).await };
        let input = self.part(&sort.input).await?;
        if input.change == Change::Snapshot {
            return merge_chain(plan, &sort.input, input);
        }
        let order = sort.expr.clone();
        let see = see::of_limit(plan);
        let of = Recomputed {
            name: "top",
            plan,
            input: &sort.input,
            partition: vec![],
            order,
            see,
            running: vec![],
        };
        let top = self.recompute(input, of, |rows| ordered(plan, sort, rows)).await?;
        self.kept_if_complete(top, plan).await
    }

    /// ORDER BY: over what `COMPLETE` keeps, or with a LIMIT in it.
    pub(super) async fn sort(&mut self, plan: &LogicalPlan, sort: &Sort) -> Result<Part> {
        if sort.fetch.is_some() {
            return self.limit(plan).await;
        }
        if self.mode != OutputMode::Complete {
            return Err(refuse::node(plan));
        }
        let input = self.part(&sort.input).await?;
        let whole = self.complete(input, &sort.input).await?;
        merge(plan, vec![whole], Change::Snapshot)
    }

    async fn limit_alone(&mut self, plan: &LogicalPlan) -> Result<Part> {
        let [child] = plan.inputs()[..] else { return Err(refuse::node(plan)) };
        let input = self.part(child).await?;
        match input.change {
            Change::Snapshot => merge(plan, vec![input], Change::Snapshot),
            Change::InsertOnly => self.first_rows(plan, input).await,
            _ => {
                let see = see::of_limit_alone(plan);
                let of = Recomputed {
                    name: "top",
                    plan,
                    input: child,
                    partition: vec![],
                    order: vec![],
                    see,
                    running: vec![],
                };
                let relation = |rows: &Rows| replace(plan, child, rows.without_computed(rows.plan.clone())?);
                let top = self.recompute(input, of, relation).await?;
                self.kept_if_complete(top, plan).await
            }
        }
    }

    async fn kept_if_complete(&mut self, part: Part, plan: &LogicalPlan) -> Result<Part> {
        if self.mode == OutputMode::Complete { self.materialize(part, plan).await } else { Ok(part) }
    }
}

/// `SELECT DISTINCT ON (a, b) ... ORDER BY a, b, c` keeps the row of each key with the number 1. In `COMPLETE` the
/// aggregate that DataFusion makes of it is right.
pub(super) fn distinct_on_to_row_number(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up(|node| {
        let LogicalPlan::Distinct(Distinct::On(on)) = &node else { return Ok(Transformed::no(node)) };
        let Some(order) = on.sort_expr.clone().filter(|order| !order.is_empty() && is_streaming(&on.input))
        else {
            return Ok(Transformed::no(node));
        };
        let keys = on.on_expr.iter().map(|key| grouped(key, &on.input)).collect::<DataFusionResult<_>>()?;
        let number = row_number().partition_by(keys).order_by(order).build()?;
        let plan = LogicalPlanBuilder::from(on.input.as_ref().clone())
            .window([number.clone().alias(ROW_NUMBER)])?
            .filter(col(ROW_NUMBER).eq(lit(1_u64)))?
            .project(on.select_expr.clone())?
            .build()?;
        Ok(Transformed::yes(plan))
    });
    rewritten.map(|t| t.data).map_err(from_datafusion)
}

/// A key by which OVER tells rows apart as GROUP BY does, to which -0.0 is 0.0.
fn grouped(key: &Expr, input: &LogicalPlan) -> DataFusionResult<Expr> {
    let data_type = key.get_type(input.schema())?;
    if !data_type.is_floating() {
        return Ok(key.clone());
    }
    Ok(key.clone() + Expr::Literal(ScalarValue::new_zero(&data_type)?, None))
}

/// The key that [`grouped`] was given.
pub(super) fn ungrouped(key: &Expr) -> &Expr {
    match key {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus, right }) if is_zero(right) => left,
        key => key,
    }
}

fn is_zero(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero == *value))
}

/// PARTITION BY and ORDER BY as far as all windows of a node have them in common.
fn shared(window: &Window) -> (Vec<Expr>, Vec<SortExpr>) {
    let params = |expr: &Expr| match expr.clone().unalias() {
        Expr::WindowFunction(function) => (function.params.partition_by, function.params.order_by),
        _ => (vec![], vec![]),
    };
    let mut all = window.window_expr.iter().map(params);
    let (mut partition, mut order) = all.next().unwrap_or_default();
    for (other_partition, other_order) in all {
        partition.retain(|expr| other_partition.contains(expr));
        if order != other_order {
            order.clear();
        }
    }
    (partition, order)
}

/// Windows, and windows below with the same partitions, over rows that have their partitions and orders as columns.
fn relation(plan: &LogicalPlan, input: &LogicalPlan, rows: &Rows) -> Result<LogicalPlan> {
    let LogicalPlan::Window(window) = plan else { return Ok(rows.plan.clone()) };
    if std::ptr::eq(plan, input) {
        return Ok(rows.plan.clone());
    }
    windows(window, rows, relation(&window.input, input, rows)?)
}

/// Windows over a plan, with the names that they have in the query.
fn windows(window: &Window, rows: &Rows, below: LogicalPlan) -> Result<LogicalPlan> {
    let named = |expr: &Expr| {
        let rewritten = rows.rewritten(expr.clone())?;
        if rewritten == *expr {
            return Ok(rewritten);
        }
        // DataFusion takes one alias around a window function, not two.
        Ok(rewritten.unalias().alias(expr.schema_name().to_string()))
    };
    let exprs = window.window_expr.iter().map(named).collect::<Result<Vec<_>>>()?;
    let is_window = |expr: &Expr| matches!(expr.clone().unalias(), Expr::WindowFunction(_));
    let own: Vec<Expr> = exprs.iter().filter(|expr| is_window(expr)).cloned().collect();
    let mut columns: Vec<Expr> = below.schema().columns().into_iter().map(Expr::Column).collect();
    if own.len() == exprs.len() {
        return Ok(LogicalPlan::Window(Window::try_new(own, Arc::new(below)).map_err(from_datafusion)?));
    }
    let mut plan = below;
    if !own.is_empty() {
        plan = LogicalPlan::Window(Window::try_new(own, Arc::new(plan)).map_err(from_datafusion)?);
    }
    // Others are columns of the rows already.
    let mut windows = plan.schema().columns().into_iter().skip(columns.len()).map(Expr::Column);
    columns.extend(
        exprs.into_iter().filter_map(|expr| if is_window(&expr) { windows.next() } else { Some(expr) }),
    );
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan)).map_err(from_datafusion)?))
}

/// The ORDER BY that a LIMIT counts by.
fn sort_below(plan: &LogicalPlan) -> Option<&Sort> {
    match plan {
        LogicalPlan::Sort(sort) => Some(sort),
        LogicalPlan::Limit(Limit { input, .. }) => below_limit(input),
        _ => None,
    }
}

fn below_limit(plan: &LogicalPlan) -> Option<&Sort> {
    match plan {
        LogicalPlan::Sort(sort) => Some(sort),
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Filter(_) => {
            below_limit(plan.inputs()[0])
        }
        _ => None,
    }
}

/// The plan down to its ORDER BY, over rows that have the order as columns.
fn ordered(plan: &LogicalPlan, sort: &Sort, rows: &Rows) -> Result<LogicalPlan> {
    let by = |by: &SortExpr| Ok(SortExpr { expr: rows.rewritten(by.expr.clone())?, ..by.clone() });
    let expr = sort.expr.iter().map(by).collect::<Result<Vec<_>>>()?;
    let sorted = LogicalPlan::Sort(Sort { expr, input: Arc::new(rows.plan.clone()), fetch: sort.fetch });
    let sorted = rows.without_computed(sorted)?;
    let is_sort = |node: &LogicalPlan| matches!(node, LogicalPlan::Sort(other) if std::ptr::eq(other, sort));
    replace_where(plan, &is_sort, &sorted)
}

/// The plan with another node in place of one of its own.
fn replace(plan: &LogicalPlan, node: &LogicalPlan, by: LogicalPlan) -> Result<LogicalPlan> {
    replace_where(plan, &|other| std::ptr::eq(other, node), &by)
}

fn replace_where(
    plan: &LogicalPlan,
    is: &dyn Fn(&LogicalPlan) -> bool,
    by: &LogicalPlan,
) -> Result<LogicalPlan> {
    if is(plan) {
        return Ok(by.clone());
    }
    let inputs =
        plan.inputs().into_iter().map(|input| replace_where(input, is, by)).collect::<Result<Vec<_>>>()?;
    plan.with_new_exprs(plan.expressions(), inputs).map_err(from_datafusion)
}

/// Nodes that keep nothing, over a whole relation.
fn merge_chain(plan: &LogicalPlan, input: &LogicalPlan, part: Part) -> Result<Part> {
    let plan = replace(plan, input, part.plan)?;
    Ok(Part { plan, inputs: part.inputs, change: Change::Snapshot })
}
