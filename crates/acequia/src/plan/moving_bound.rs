//! Filters whose bound moves, as a [`MovingBoundOperator`]: comparisons with a scalar of a stream (dynamic filters), and
//! with the batch's time (temporal filters).
//!
//! DataFusion makes a join of a comparison with a scalar subquery: an inner one without keys, with a relation of at
//! most one row, below a projection that drops that row again. [`semi_joins`] says so, and a semi join of this form
//! is such an operator.
//!
//! `now()` in a filter is either a comparison of something with a time that never goes back, which is such an operator, or
//! it has no incremental form. In `APPEND` of rows that only pass, what is out stays out: rows go out in the first
//! batch in which they pass, so a condition that time ends (or of which nobody knows) is looked at when the row comes.

use super::build::{Builder, Change, Part, is_streaming, reads, weight_of};
use super::node::{Island, OperatorNode};
use super::recompute::Rows;
use super::static_join::linear_in_stream;
use super::{explain, fingerprint, refuse};
use crate::error::from_datafusion;
use crate::exec::{BatchBound, Comparison, MovingBound, MovingBoundOperator, MovingBoundSpec};
use crate::functions::{
    BatchTime, EventTimeWatermark, follows_batch_time, is_volatile, read_from, reads_batch_time,
};
use acequia_core::{OperatorId, OutputMode, Result, Timestamp};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, JoinType};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Between, BinaryExpr, Expr, ExprSchemable, Filter, Join, LogicalPlan, Operator, Projection,
};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use std::sync::Arc;

/// A comparison of what rows have with a bound.
#[derive(Debug, Clone)]
pub(super) struct Compared {
    /// Of a row.
    value: Expr,
    comparison: Comparison,
    /// Of a relation of one row, or of the batch's time.
    bound: Expr,
}

impl Compared {
    /// The comparison that an expression is, if this is true of the side that is the bound and false of the other.
    fn of(expr: &Expr, is_bound: impl Fn(&Expr) -> bool) -> Option<Self> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return None };
        let (value, op, bound) = match (is_bound(left), is_bound(right)) {
            (false, true) => (left, *op, right),
            (true, false) => (right, op.swap()?, left),
            _ => return None,
        };
        let comparison = match op {
            Operator::Lt => Comparison::Less,
            Operator::LtEq => Comparison::LessOrEqual,
            Operator::Gt => Comparison::Greater,
            Operator::GtEq => Comparison::GreaterOrEqual,
            _ => return None,
        };
        let (value, bound) = (value.as_ref().clone(), bound.as_ref().clone());
        (!is_volatile(&value)).then_some(Self { value, comparison, bound })
    }

    fn has_types(&self, value: &DFSchema, bound: &DFSchema) -> bool {
        let types = (self.value.get_type(value), self.bound.get_type(bound));
        matches!(types, (Ok(value), Ok(bound)) if value == bound && has_one_order(&value))
    }
}

/// Whether values compare as their bytes do.
fn has_one_order(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || data_type.is_string()
        || data_type.is_binary()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Timestamp(_, _)
                | DataType::Date32
                | DataType::Date64
                | DataType::Time32(_)
                | DataType::Time64(_)
                | DataType::Duration(_)
        )
}

/// The plan with semi joins where one side of an inner join is at most a row whose columns nobody reads, and rows of the
/// other are compared with it.
pub(super) fn semi_joins(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    let rewritten = plan.transform_up(|node| {
        let LogicalPlan::Projection(projection) = &node else { return Ok(Transformed::no(node)) };
        let LogicalPlan::Join(join) = projection.input.as_ref() else { return Ok(Transformed::no(node)) };
        let read: Vec<_> = projection.expr.iter().flat_map(Expr::column_refs).collect();
        for (kind, scalar) in [(JoinType::LeftSemi, &join.right), (JoinType::RightSemi, &join.left)] {
            let semi = Join { join_type: kind, ..join.clone() };
            let unread = read.iter().all(|column| !scalar.schema().has_column(column));
            if join.join_type == JoinType::Inner && unread && scalar_comparison(&semi).is_some() {
                let Join { left, right, on, filter, join_constraint, null_equality, null_aware, .. } = semi;
                let semi =
                    Join::try_new(left, right, on, filter, kind, join_constraint, null_equality, null_aware)?;
                let input = Arc::new(LogicalPlan::Join(semi));
                let plan = Projection::try_new(projection.expr.clone(), input)?;
                return Ok(Transformed::yes(LogicalPlan::Projection(plan)));
            }
        }
        Ok(Transformed::no(node))
    });
    rewritten.map(|t| t.data)
}

/// What rows of a semi join are compared with, if all of it is a comparison with a changing relation of at most a row.
pub(super) fn scalar_comparison(join: &Join) -> Option<Compared> {
    let (rows, scalar) = match join.join_type {
        JoinType::LeftSemi => (&join.left, &join.right),
        JoinType::RightSemi => (&join.right, &join.left),
        _ => return None,
    };
    let is_scalar = scalar.max_rows().is_some_and(|rows| rows <= 1) && is_streaming(scalar);
    if !is_scalar || !join.on.is_empty() || join.null_aware {
        return None;
    }
    let of = |expr: &Expr, side: &LogicalPlan| {
        let columns = expr.column_refs();
        !columns.is_empty() && columns.iter().all(|column| side.schema().has_column(column))
    };
    let compared = Compared::of(join.filter.as_ref()?, |expr| of(expr, scalar))?;
    let known = of(&compared.value, rows) && !is_volatile(&compared.bound);
    let fields = rows.schema().fields().iter().map(|field| SortField::new(field.data_type().clone()));
    let ordered = RowConverter::supports_fields(&fields.collect::<Vec<_>>());
    (known && ordered && compared.has_types(rows.schema(), scalar.schema())).then_some(compared)
}

/// The plan with filters by the batch's time apart from others, so that these are planned as if there were none.
pub(super) fn timed_filters(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    let rewritten = plan.transform_up(|node| {
        let LogicalPlan::Filter(filter) = node else { return Ok(Transformed::no(node)) };
        let (timed, others): (Vec<_>, Vec<_>) =
            split_conjunction_owned(filter.predicate.clone()).into_iter().partition(reads_batch_time);
        match (conjunction(timed), conjunction(others)) {
            (Some(timed), Some(others)) => {
                let below = LogicalPlan::Filter(Filter::try_new(others, filter.input)?);
                Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(timed, Arc::new(below))?)))
            }
            _ => Ok(Transformed::no(LogicalPlan::Filter(filter))),
        }
    });
    rewritten.map(|t| t.data)
}

/// Comparisons that are all true where a condition is: BETWEEN and equality are two.
fn comparisons(condition: Expr) -> Vec<Expr> {
    let compare = |left: &Expr, op, right: &Expr| {
        Expr::BinaryExpr(BinaryExpr::new(Box::new(left.clone()), op, Box::new(right.clone())))
    };
    match condition {
        Expr::Between(Between { expr, negated: false, low, high }) => {
            vec![compare(&expr, Operator::GtEq, &low), compare(&expr, Operator::LtEq, &high)]
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            vec![compare(&left, Operator::GtEq, &right), compare(&left, Operator::LtEq, &right)]
        }
        other => vec![other],
    }
}

/// The comparison with a time that never goes back, if the condition is one.
fn time_comparison(condition: &Expr, schema: &DFSchema) -> Result<Option<Compared>> {
    let Some(compared) = Compared::of(condition, reads_batch_time) else { return Ok(None) };
    let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone()));
    let ordered = RowConverter::supports_fields(&fields.collect::<Vec<_>>());
    let follows = follows_batch_time(&compared.bound).map_err(from_datafusion)?;
    Ok((ordered && follows && compared.has_types(schema, schema)).then_some(compared))
}

/// Whether a node above rows that only pass lets them only pass.
pub(super) fn passes_rows(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::Union(_) => true,
        LogicalPlan::Join(join) => match (is_streaming(&join.left), is_streaming(&join.right)) {
            (true, true) => false,
            (stream_left, _) => linear_in_stream(join.join_type, stream_left),
        },
        _ => EventTimeWatermark::of(plan).is_some(),
    }
}

/// A bound that is an expression over the batch's time.
#[derive(Debug)]
struct TimeExpression {
    cell: Arc<BatchTime>,
    expression: Arc<dyn PhysicalExpr>,
}

impl TimeExpression {
    /// The expression reads a cell of its own, as it is computed for times that are not the batch's.
    fn try_new(expr: &Expr) -> Result<Self> {
        let cell = Arc::new(BatchTime::default());
        let expr = read_from(expr.clone(), &cell).map_err(from_datafusion)?;
        let expression = create_physical_expr(
            &expr,
            &DFSchema::empty(),
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        );
        Ok(Self { cell, expression: expression.map_err(from_datafusion)? })
    }
}

impl BatchBound for TimeExpression {
    fn at(&self, time: Timestamp) -> Result<ArrayRef> {
        self.cell.set(time);
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)?;
        let value = self.expression.evaluate(&row).and_then(|value| value.into_array(1));
        value.map_err(from_datafusion)
    }
}

/// Rows that are compared, as an operator takes them.
pub(super) struct Values {
    rows: Rows,
    island: Island,
    schema: SchemaRef,
    compared: usize,
    retracting: bool,
}

impl Values {
    /// An operator that compares them with a bound, and what it reads.
    pub(super) fn compared(
        self,
        operator: OperatorId,
        comparison: Comparison,
        bound: MovingBound,
    ) -> (MovingBoundSpec, Island) {
        let Self { rows, island, schema, compared, retracting } = self;
        let given = rows.own();
        (MovingBoundSpec { operator, schema, given, compared, comparison, retracting, bound }, island)
    }
}

impl Builder<'_> {
    /// Rows of a part beside the scalar that they are compared with.
    pub(super) async fn dynamic_filter(
        &mut self,
        plan: &LogicalPlan,
        compared: Compared,
        rows: Part,
        scalar: Part,
    ) -> Result<Part> {
        let rows = match rows.change {
            Change::Static => self.once(&rows.plan).await?,
            _ => rows,
        };
        let retracting = scalar.change == Change::Retracting;
        let mut columns = vec![compared.bound.clone().alias("__bound")];
        if retracting {
            columns.push(weight_of(&scalar.plan));
        }
        let bound = Projection::try_new(columns, Arc::new(scalar.plan)).map_err(from_datafusion)?;
        let template = self.template(&LogicalPlan::Projection(bound)).await?;
        let schema = Arc::new(template.plan().schema().project(&[0])?);
        let island = Island { template, inputs: scalar.inputs };
        self.moving_bound(plan, rows, &compared, MovingBound::Row(schema), Some(island)).await
    }

    /// A filter whose conditions all read the batch's time.
    pub(super) async fn temporal_filter(&mut self, plan: &LogicalPlan, filter: &Filter) -> Result<Part> {
        let mut part = self.part(&filter.input).await?;
        if part.change == Change::Snapshot {
            return self.stateless(plan, part);
        }
        let only_pass =
            self.mode == OutputMode::Append && !self.kept_above && part.change == Change::InsertOnly;
        let mut at_arrival = Vec::new();
        for condition in split_conjunction_owned(filter.predicate.clone()) {
            for comparison in comparisons(condition.clone()) {
                match time_comparison(&comparison, filter.input.schema())? {
                    Some(compared) if !only_pass || !compared.comparison.passes_above() => {
                        if self.mode == OutputMode::Append && compared.comparison.passes_above() {
                            return Err(refuse::expires_below_final(&condition));
                        }
                        let bound = MovingBound::Time(Arc::new(TimeExpression::try_new(&compared.bound)?));
                        part = self.moving_bound(plan, part, &compared, bound, None).await?;
                    }
                    _ if only_pass => at_arrival.push(comparison),
                    _ => return Err(refuse::time_condition(&condition)),
                }
            }
        }
        match conjunction(at_arrival) {
            Some(condition) => {
                let filter = Filter::try_new(condition, Arc::new(part.plan)).map_err(from_datafusion)?;
                Ok(Part { plan: LogicalPlan::Filter(filter), ..part })
            }
            None => Ok(part),
        }
    }

    pub(super) async fn values(&self, part: Part, value: &Expr) -> Result<Values> {
        let retracting = part.change == Change::Retracting;
        let rows = Rows::of(part.plan, retracting, &[value])?;
        let template = self.template(&rows.weighted(retracting)?).await?;
        let (schema, compared) = (rows.schema_in(&template)?, rows.index(value)?);
        let island = Island { template, inputs: part.inputs };
        Ok(Values { rows, island, schema, compared, retracting })
    }

    /// The rows of a part that are on one side of a bound, in the columns of a node.
    async fn moving_bound(
        &mut self,
        plan: &LogicalPlan,
        part: Part,
        compared: &Compared,
        bound: MovingBound,
        scalar: Option<Island>,
    ) -> Result<Part> {
        let values = self.values(part, &compared.value).await?;
        let id = self.next_id();
        let (spec, island) = values.compared(id, compared.comparison, bound);
        let name = "moving_bound";
        let text = format!("{} {} {}", compared.value, compared.comparison, compared.bound);
        let description = explain::moving_bound(&text, &spec);
        let change = if spec.only_adds() { Change::InsertOnly } else { Change::Retracting };
        let node = OperatorNode {
            id,
            name,
            fingerprint: fingerprint::moving_bound(
                plan,
                [&compared.value, &compared.bound],
                compared.comparison,
            ),
            description,
            operator: Box::new(MovingBoundOperator::try_new(spec)?),
            inputs: [island].into_iter().chain(scalar).collect(),
        };
        reads(plan.schema(), node, change)
    }
}
