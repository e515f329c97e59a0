//! What the groups of one key table have aggregated so far: readable by group id at any time.
//!
//! Common functions on plain types are kept in vectors indexed by group id ([`native`]); every other
//! `AggregateFunctionExpr` goes through DataFusion's accumulators on copies of the touched groups' state rows
//! ([`general`]). State columns have the layout of DataFusion's own `state()` in both, so that one can be restored
//! from what the other wrote. Over rows with weights there are states of another kind ([`weighted`]), which not every
//! function has; they have their own layout, and some keep values in tables beside it ([`values`]).

pub(super) mod general;
mod moments;
pub(super) mod native;
mod values;
mod weighted;

use super::WEIGHT;
use super::key_table::conform;
use crate::error::from_datafusion;
use acequia_core::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{concat, prep_null_mask_filter};
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::aggregates::{AggregateMode, aggregate_expressions};
use general::{GeneralPlan, GeneralStates};
use native::{NativeFunction, NativeStates};
use std::sync::Arc;
pub(super) use values::{Values, WeightedValues};
use weighted::WeightedFunction;

/// The arguments of all aggregates for some rows.
#[derive(Clone)]
pub(super) struct Arguments {
    /// Per aggregate: its arguments, then what it is ordered by.
    pub(super) values: Vec<Vec<ArrayRef>>,
    /// Per aggregate: which rows its FILTER lets pass; never NULL.
    pub(super) filters: Vec<Option<BooleanArray>>,
}

impl Arguments {
    /// The same for other rows: `f` is applied to every column.
    pub(super) fn map(&self, f: impl Fn(&dyn Array) -> Result<ArrayRef>) -> Result<Self> {
        let all = |columns: &Vec<ArrayRef>| columns.iter().map(|c| f(c.as_ref())).collect::<Result<Vec<_>>>();
        let filter = |mask: &Option<BooleanArray>| {
            mask.as_ref().map(|mask| Ok(f(mask)?.as_boolean().clone())).transpose()
        };
        Ok(Self {
            values: self.values.iter().map(all).collect::<Result<_>>()?,
            filters: self.filters.iter().map(filter).collect::<Result<_>>()?,
        })
    }
}

enum Place {
    Native(usize),
    General(usize),
}

/// The aggregates of an operator and how each is kept; shared by all of its key tables.
pub(super) struct StatePlan {
    expressions: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    places: Vec<Place>,
    natives: Vec<NativeFunction>,
    /// Over rows with weights: all aggregates, and last how many rows a group has.
    weighted: Vec<WeightedFunction>,
    general: Arc<GeneralPlan>,
    fields: Vec<FieldRef>,
    outputs: Vec<FieldRef>,
}

impl StatePlan {
    /// Plans the state of these aggregates; without `native` all take the general path.
    pub(super) fn try_new(
        aggregates: &[Arc<AggregateFunctionExpr>],
        filters: &[Option<Arc<dyn PhysicalExpr>>],
        native: bool,
    ) -> Result<Self> {
        if aggregates.len() != filters.len() {
            return Err(Error::internal("an aggregate has no entry in the list of filters"));
        }
        let mut expressions =
            aggregate_expressions(aggregates, &AggregateMode::Single, 0).map_err(from_datafusion)?;
        let (mut places, mut natives, mut general) = (Vec::new(), Vec::new(), Vec::new());
        let mut fields = Vec::new();
        for (aggregate, arguments) in aggregates.iter().zip(&mut expressions) {
            fields.extend(aggregate.state_fields().map_err(from_datafusion)?);
            match native.then(|| NativeFunction::of(aggregate)).flatten() {
                Some(function) => {
                    if function.ignores_arguments() {
                        arguments.clear();
                    }
                    places.push(Place::Native(natives.len()));
                    natives.push(function);
                }
                None => {
                    places.push(Place::General(general.len()));
                    general.push(Arc::clone(aggregate));
                }
            }
        }
        let general = Arc::new(GeneralPlan::try_new(general)?);
        let outputs = aggregates.iter().map(|a| a.field()).collect();
        let weighted = Vec::new();
        Ok(Self {
            expressions,
            filters: filters.to_vec(),
            places,
            natives,
            weighted,
            general,
            fields,
            outputs,
        })
    }

    /// Plans the state of these aggregates over rows with these columns, the last of which is their weight; `None` if
    /// one of them has no state from which rows can be taken back.
    pub(super) fn over_changes(
        aggregates: &[Arc<AggregateFunctionExpr>],
        filters: &[Option<Arc<dyn PhysicalExpr>>],
        input: &Schema,
    ) -> Result<Option<Self>> {
        let functions = aggregates.iter().map(|aggregate| WeightedFunction::of(aggregate, input));
        let rows = std::iter::once(Some(WeightedFunction::rows()));
        let Some(weighted) = functions.chain(rows).collect::<Option<Vec<_>>>() else { return Ok(None) };
        let last = input.fields().len().checked_sub(1).filter(|last| input.field(*last).name() == WEIGHT);
        let last = last.ok_or_else(|| Error::internal("rows that can be taken back have no weight"))?;
        let weight: Arc<dyn PhysicalExpr> = Arc::new(Column::new(WEIGHT, last));
        let with_weight = |function: &WeightedFunction| {
            function.arguments.iter().chain([&weight]).map(Arc::clone).collect::<Vec<_>>()
        };
        let fields = weighted.iter().enumerate().flat_map(|(number, function)| {
            function.fields(aggregates.get(number).map_or(WEIGHT, |aggregate| aggregate.name()))
        });
        Ok(Some(Self {
            expressions: weighted.iter().map(with_weight).collect(),
            filters: filters.iter().cloned().chain([None]).collect(),
            places: (0..weighted.len()).map(Place::Native).collect(),
            natives: Vec::new(),
            fields: fields.map(Arc::new).collect(),
            weighted,
            general: Arc::new(GeneralPlan::try_new(Vec::new())?),
            outputs: aggregates.iter().map(|a| a.field()).collect(),
        }))
    }

    /// Whether rows have weights, so that groups may leave.
    pub(super) fn is_weighted(&self) -> bool {
        !self.weighted.is_empty()
    }

    /// The types of the values that are kept in tables beside the states.
    pub(super) fn values(&self) -> impl Iterator<Item = &DataType> {
        self.weighted.iter().filter_map(WeightedFunction::values)
    }

    /// The aggregates that take the general path.
    pub(super) fn general(&self) -> &Arc<GeneralPlan> {
        &self.general
    }

    /// Whether the outputs of a group change with every row.
    pub(super) fn changes_with_every_row(&self) -> bool {
        let counts_all = |(place, filter): (&Place, &Option<_>)| match place {
            Place::Native(n) => {
                filter.is_none() && self.natives.get(*n).is_some_and(NativeFunction::ignores_arguments)
            }
            Place::General(_) => false,
        };
        self.places.iter().zip(&self.filters).any(counts_all)
    }

    /// The state columns of all aggregates, in their order.
    pub(super) fn fields(&self) -> &[FieldRef] {
        &self.fields
    }

    /// Evaluates the arguments of all aggregates.
    pub(super) fn arguments(&self, batch: &RecordBatch) -> Result<Arguments> {
        let rows = batch.num_rows();
        let evaluate = |expr: &Arc<dyn PhysicalExpr>| {
            expr.evaluate(batch).and_then(|value| value.into_array(rows)).map_err(from_datafusion)
        };
        let values =
            self.expressions.iter().map(|list| list.iter().map(evaluate).collect()).collect::<Result<_>>()?;
        let filter = |expr: &Option<Arc<dyn PhysicalExpr>>| {
            let Some(expr) = expr else { return Ok(None) };
            let mask = evaluate(expr)?;
            let mask = mask.as_boolean_opt().ok_or_else(|| Error::internal("a FILTER is not Boolean"))?;
            Ok(Some(if mask.null_count() > 0 { prep_null_mask_filter(mask) } else { mask.clone() }))
        };
        Ok(Arguments { values, filters: self.filters.iter().map(filter).collect::<Result<_>>()? })
    }
}

/// The states of the groups of one key table.
pub(super) struct GroupStates {
    plan: Arc<StatePlan>,
    natives: Vec<Box<dyn NativeStates>>,
    general: Option<GeneralStates>,
    /// Outputs of native aggregates as they were when [`GroupStates::remember`] was called, in pieces.
    remembered: Vec<Vec<ArrayRef>>,
}

impl GroupStates {
    pub(super) fn try_new(plan: &Arc<StatePlan>) -> Result<Self> {
        let general = (!plan.general.is_empty()).then(|| GeneralStates::new(&plan.general));
        let mut natives: Vec<_> = plan.natives.iter().map(NativeFunction::states).collect();
        for function in &plan.weighted {
            natives.push(function.states()?);
        }
        Ok(Self { remembered: vec![Vec::new(); natives.len()], natives, general, plan: Arc::clone(plan) })
    }

    /// Makes room for groups up to this count, in the state of having seen nothing.
    pub(super) fn grow(&mut self, groups: usize) {
        self.natives.iter_mut().for_each(|native| native.grow(groups));
        if let Some(general) = &mut self.general {
            general.grow(groups);
        }
    }

    /// Adds a row's arguments to each of `ids`.
    pub(super) fn update(&mut self, arguments: &Arguments, ids: &[u32]) -> Result<()> {
        let mut general = Vec::new();
        for (i, place) in self.plan.places.iter().enumerate() {
            let (values, filter) = (&arguments.values[i], arguments.filters[i].as_ref());
            match place {
                Place::Native(n) => self.natives[*n].update(values, filter.map(BooleanArray::values), ids)?,
                Place::General(_) => general.push((values.as_slice(), filter)),
            }
        }
        match &mut self.general {
            Some(states) => states.update(&general, ids),
            None => Ok(()),
        }
    }

    /// Remembers the outputs of these groups as they are now, for [`GroupStates::remembered`].
    pub(super) fn remember(&mut self, ids: &[u32]) -> Result<()> {
        for (native, pieces) in self.natives.iter().zip(&mut self.remembered) {
            pieces.push(native.output(ids)?);
        }
        if let Some(general) = &mut self.general {
            general.remember(ids);
        }
        Ok(())
    }

    /// Whether rows have weights.
    pub(super) fn is_weighted(&self) -> bool {
        self.plan.is_weighted()
    }

    /// Over rows with weights: how many rows each of these groups has.
    pub(super) fn rows(&self, ids: &[u32]) -> Result<Int64Array> {
        let rows = self.natives.last().map(|rows| rows.output(ids)).transpose()?;
        let rows = rows.and_then(|rows| rows.as_primitive_opt().cloned());
        rows.ok_or_else(|| Error::internal("groups do not know how many rows they have"))
    }

    /// Over rows with weights: gives groups a row that none takes back, so that they stay.
    pub(super) fn keep(&mut self, ids: &[u32]) -> Result<()> {
        let ones: ArrayRef = Arc::new(Int64Array::from_value(1, ids.len()));
        self.natives.last_mut().map_or(Ok(()), |rows| rows.update(&[ones], None, ids))
    }

    /// What is kept in tables beside the states.
    pub(super) fn values(&self) -> impl Iterator<Item = &Values> {
        self.natives.iter().filter_map(|native| native.values())
    }

    /// As [`GroupStates::values`], to take what has changed or put saved values back.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Values> {
        self.natives.iter_mut().filter_map(|native| native.values_mut())
    }

    /// The outputs of all groups remembered in this batch, in that order.
    pub(super) fn remembered(&self) -> Result<Vec<ArrayRef>> {
        let general = self.general.as_ref().map(GeneralStates::remembered).transpose()?.unwrap_or_default();
        self.assemble(&general, |n| {
            let pieces: Vec<&dyn Array> = self.remembered[n].iter().map(|piece| piece.as_ref()).collect();
            Ok(concat(&pieces)?)
        })
    }

    /// The outputs of these groups.
    pub(super) fn outputs(&self, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        let general =
            self.general.as_ref().map(|general| general.outputs(ids)).transpose()?.unwrap_or_default();
        self.assemble(&general, |n| self.natives[n].output(ids))
    }

    fn assemble(
        &self,
        general: &[ArrayRef],
        native: impl Fn(usize) -> Result<ArrayRef>,
    ) -> Result<Vec<ArrayRef>> {
        let column = |(place, field): (&Place, &FieldRef)| match place {
            Place::Native(n) => native(*n),
            Place::General(n) => conform(&general[*n], field.data_type()),
        };
        self.plan.places.iter().zip(&self.plan.outputs).map(column).collect()
    }

    /// The state columns of these groups.
    pub(super) fn states(&self, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        let general =
            self.general.as_ref().map(|general| general.states(ids)).transpose()?.unwrap_or_default();
        let mut columns = Vec::with_capacity(self.plan.fields.len());
        for place in &self.plan.places {
            match place {
                Place::Native(n) => self.natives[*n].state(ids, &mut columns)?,
                Place::General(n) => columns.extend_from_slice(&general[self.plan.general.range(*n)]),
            }
        }
        Ok(columns)
    }

    /// Sets the states of groups that have seen nothing yet.
    pub(super) fn restore(&mut self, ids: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let mut rest = columns;
        let mut general = Vec::new();
        for place in &self.plan.places {
            let width = match place {
                Place::Native(n) => self.natives[*n].width(),
                Place::General(n) => self.plan.general.range(*n).len(),
            };
            let (own, after) = rest.split_at_checked(width).ok_or_else(too_few_columns)?;
            match place {
                Place::Native(n) => self.natives[*n].restore(ids, own)?,
                Place::General(_) => general.extend_from_slice(own),
            }
            rest = after;
        }
        match &mut self.general {
            Some(states) => states.restore(ids, general),
            None => Ok(()),
        }
    }

    /// Ends a batch: what was remembered is forgotten, garbage may be collected. What has changed is kept only if it is
    /// to be saved.
    pub(super) fn end_batch(&mut self, durable: bool) -> Result<()> {
        self.remembered.iter_mut().for_each(Vec::clear);
        if !durable {
            self.values_mut().for_each(Values::forget_changes);
        }
        self.general.as_mut().map_or(Ok(()), GeneralStates::end_batch)
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let natives: usize = self.natives.iter().map(|native| native.bytes()).sum();
        size_of::<Self>() + natives + self.general.as_ref().map_or(0, GeneralStates::bytes)
    }
}

fn too_few_columns() -> Error {
    Error::data("a row of saved state has fewer columns than the aggregates of this query")
}

/// Rows that are not NULL and pass the filter; `None` for all.
pub(super) fn valid_rows(
    nulls: Option<&NullBuffer>,
    filter: Option<&BooleanBuffer>,
) -> Option<BooleanBuffer> {
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
    match (nulls, filter) {
        (None, filter) => filter.cloned(),
        (Some(nulls), None) => Some(nulls.inner().clone()),
        (Some(nulls), Some(filter)) => Some(nulls.inner() & filter),
    }
}
