//! Joins of two inputs that change.

use super::build::{Builder, Change, Part, reads, times_of, weight_of};
use super::fingerprint::fingerprint;
use super::node::{Island, OperatorNode};
use super::time_key::time_key;
use super::{explain, refuse};
use crate::error::from_datafusion;
use crate::exec::{JoinEmit, JoinEviction, JoinOperator, JoinSide, JoinSpec, TimeBound, WEIGHT};
use crate::functions::{JoinTimes, bound, is_volatile};
use acequia_core::{Error, OutputMode, Result};
use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use datafusion::common::{DFSchema, JoinSide as Place, JoinType, NullEquality};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, Projection, lit};
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use std::sync::Arc;

/// An input of a join: its island and what the operator knows of it.
struct Input {
    island: Island,
    side: JoinSide,
    change: Change,
}

/// An input of an operator with columns that stand for expressions.
pub(super) struct KeyedInput {
    pub(super) island: Island,
    /// All columns, without a weight.
    pub(super) schema: SchemaRef,
    /// Those of the expressions, in their order.
    pub(super) columns: Vec<usize>,
    /// How many columns, from the first on, are the input's own.
    pub(super) own: usize,
}

impl Builder<'_> {
    /// Joins two parts whose rows change; a static one is rows that come once.
    pub(super) async fn stream_join(
        &mut self,
        plan: &LogicalPlan,
        join: &Join,
        left: Part,
        right: Part,
    ) -> Result<Part> {
        if join.filter.iter().chain(join.on.iter().flat_map(|(l, r)| [l, r])).any(is_volatile) {
            return Err(refuse::volatile_join());
        }
        if join.null_aware && (join.filter.is_some() || join.on.len() != 1) {
            return Err(refuse::correlated_not_in());
        }
        let mut parts = [left, right];
        for part in parts.iter_mut().filter(|part| part.change == Change::Static) {
            *part = self.once(&part.plan).await?;
        }
        if parts.iter().any(|part| matches!(part.change, Change::Keyed | Change::Snapshot)) {
            return Err(Error::internal("a join operator takes changes"));
        }
        let filter = filter(join, &parts)?;
        let times = match self.mode {
            // It forgets nothing, so no row is late.
            OutputMode::Complete => None,
            _ => JoinTimes::of(join, &times_of(&join.left)?, &times_of(&join.right)?)
                .map_err(from_datafusion)?,
        };
        let [left, right] = &mut parts;
        let keys = |side: fn(&(Expr, Expr)) -> &Expr| join.on.iter().map(side).cloned().collect::<Vec<_>>();
        let left = self.join_input(left, &keys(|(l, _)| l), times.as_ref(), 0).await?;
        let right = self.join_input(right, &keys(|(_, r)| r), times.as_ref(), 1).await?;
        let emit = self.join_emit(join, &left, &right)?;
        let id = self.next_id();
        let description = explain::join(join, self.mode, emit, times.as_ref(), [&left.side, &right.side]);
        let spec = JoinSpec {
            operator: id,
            kind: join.join_type,
            sides: [left.side, right.side],
            filter,
            nulls_equal: join.null_equality == NullEquality::NullEqualsNull,
            null_aware: join.null_aware,
            output_schema: output_schema(plan.schema()),
            emit,
        };
        let node = OperatorNode {
            id,
            name: "join",
            fingerprint: fingerprint("join", plan, &[]),
            description,
            operator: Box::new(JoinOperator::try_new(spec)?),
            inputs: vec![left.island, right.island],
        };
        let change = if emit == JoinEmit::Changes { Change::Retracting } else { Change::InsertOnly };
        reads(plan.schema(), node, change)
    }

    /// An input with its keys.
    async fn join_input(
        &self,
        part: &mut Part,
        keys: &[Expr],
        times: Option<&JoinTimes>,
        side: usize,
    ) -> Result<Input> {
        let names = Arc::clone(part.plan.schema());
        let KeyedInput { island, schema, columns: key, own } = self.keyed_input(part, keys).await?;
        let column = times.and_then(|times| match &times.exprs[side] {
            Expr::Column(column) => names.maybe_index_of_column(column),
            computed => keys.iter().position(|key| key == computed).map(|number| key[number]),
        });
        let eviction = match (times, column) {
            (Some(times), Some(column)) => eviction(times, side, column)?,
            _ => None,
        };
        let (change, retracting) = (part.change, part.change == Change::Retracting);
        let side = JoinSide { schema, key, output: (0..own).collect(), retracting, eviction };
        Ok(Input { island, side, change })
    }

    /// The island of an input, which computes the columns for these expressions that are not there yet.
    pub(super) async fn keyed_input(&self, part: &mut Part, keys: &[Expr]) -> Result<KeyedInput> {
        let retracting = part.change == Change::Retracting;
        let schema = Arc::clone(part.plan.schema());
        let own = schema.fields().len() - usize::from(retracting);
        let mut exprs: Vec<Expr> = schema.columns().into_iter().take(own).map(Expr::Column).collect();
        let mut columns = Vec::with_capacity(keys.len());
        for expr in keys {
            let known = match expr {
                Expr::Column(column) => schema.maybe_index_of_column(column),
                _ => None,
            };
            columns.push(known.unwrap_or(exprs.len()));
            if known.is_none() {
                exprs.push(expr.clone().alias(format!("__join_key_{}", exprs.len())));
            }
        }
        if exprs.is_empty() {
            // Rows are kept in arrays, of which there must be one.
            exprs.push(lit(true).alias("__row"));
        }
        let computed = exprs.len();
        if retracting {
            exprs.push(weight_of(&part.plan));
        }
        let input = if computed == own {
            part.plan.clone()
        } else {
            let projection = Projection::try_new(exprs, Arc::new(part.plan.clone()));
            LogicalPlan::Projection(projection.map_err(from_datafusion)?)
        };
        let template = self.template(&input).await?;
        let given = template.plan().schema();
        let fields: Vec<_> = given.fields().iter().take(computed).cloned().collect();
        let island = Island { template, inputs: std::mem::take(&mut part.inputs) };
        Ok(KeyedInput { island, schema: Arc::new(Schema::new(fields)), columns, own })
    }

    /// How the join tells what has changed.
    fn join_emit(&self, join: &Join, left: &Input, right: &Input) -> Result<JoinEmit> {
        use JoinType::*;
        let only_adds = left.change == Change::InsertOnly && right.change == Change::InsertOnly;
        if only_adds && matches!(join.join_type, Inner | LeftSemi | RightSemi) {
            return Ok(JoinEmit::Inserts);
        }
        if self.mode != OutputMode::Append || !only_adds {
            return Ok(JoinEmit::Changes);
        }
        let leaves = |input: &Input| input.side.eviction.as_ref().is_some_and(|e| e.leave.is_some());
        let is_final = match join.join_type {
            Left | LeftAnti | LeftMark => leaves(left),
            Right | RightAnti | RightMark => leaves(right),
            _ => leaves(left) && leaves(right),
        };
        if !is_final || join.null_aware {
            return Err(refuse::outer_join_never_final(join.join_type));
        }
        Ok(JoinEmit::Final)
    }
}

/// When rows of a side are late and when they leave.
fn eviction(times: &JoinTimes, side: usize, column: usize) -> Result<Option<JoinEviction>> {
    let own = &times.times[side];
    let Some(key) = time_key(&[Some(own.clone())])? else { return Ok(None) };
    let other = times.times[1 - side].clone();
    let leave = times.kept_below(side).map(|kept| {
        let unit = unit_of(&other.data_type);
        TimeBound::new(move |watermark| {
            let bound = bound(&other, watermark).map_err(from_datafusion)?;
            Ok(bound.saturating_sub(in_unit(kept, unit)))
        })
    });
    Ok(Some(JoinEviction { column, field: key.field, late: key.bound, leave }))
}

fn unit_of(data_type: &DataType) -> Option<TimeUnit> {
    match data_type {
        DataType::Timestamp(unit, _) => Some(*unit),
        _ => None,
    }
}

/// Microseconds in a unit, rounded up: rows are rather kept longer.
fn in_unit(micros: i64, unit: Option<TimeUnit>) -> i64 {
    let coarse = |per: i64| micros.div_euclid(per) + i64::from(micros.rem_euclid(per) != 0);
    match unit {
        Some(TimeUnit::Second) => coarse(1_000_000),
        Some(TimeUnit::Millisecond) => coarse(1_000),
        Some(TimeUnit::Nanosecond) => micros.saturating_mul(1_000),
        Some(TimeUnit::Microsecond) | None => micros,
    }
}

/// The condition beside equal keys, over the columns that it reads.
fn filter(join: &Join, parts: &[Part; 2]) -> Result<Option<JoinFilter>> {
    let Some(filter) = &join.filter else { return Ok(None) };
    let mut columns = Vec::new();
    let mut fields = Vec::new();
    for column in filter.column_refs() {
        let in_side = |side: usize| parts[side].plan.schema().maybe_index_of_column(column);
        let (side, index) = match (in_side(0), in_side(1)) {
            (Some(index), _) => (0, index),
            (None, Some(index)) => (1, index),
            (None, None) => {
                return Err(Error::internal(format!("a join condition reads no side's column: {column}")));
            }
        };
        let (qualifier, field) = parts[side].plan.schema().qualified_field(index);
        fields.push((qualifier.cloned(), Arc::clone(field)));
        columns.push(ColumnIndex { index, side: if side == 0 { Place::Left } else { Place::Right } });
    }
    let schema = DFSchema::new_with_metadata(fields, Default::default()).map_err(from_datafusion)?;
    let expression =
        create_physical_expr(filter, &schema, &ExecutionProps::new(), &PhysicalPlanningContext::default());
    let schema = Arc::clone(schema.inner());
    Ok(Some(JoinFilter::new(expression.map_err(from_datafusion)?, columns, schema)))
}

/// The columns of the join as DataFusion names them, each nullable, as another row may not have a partner.
pub(super) fn output_schema(schema: &DFSchema) -> SchemaRef {
    let fields = schema.fields().iter().enumerate().map(|(i, field)| {
        let name = if field.name() == WEIGHT { format!("c{i}") } else { field.name().clone() };
        arrow::datatypes::Field::new(name, field.data_type().clone(), true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
