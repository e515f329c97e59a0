//! What the groups of one key table have aggregated so far: readable by group id at any time.
//!
//! Common functions on plain types are kept in vectors indexed by group id ([`native`]); every other
//! `AggregateFunctionExpr` goes through DataFusion's accumulators on copies of the touched groups' state rows
//! ([`general`]). State columns have the layout of DataFusion's own `state()` in both, so that one can be restored
//! from what the other wrote. Over rows with weights there are states of another kind ([`weighted`]), which not every
//! function has; they have their own layout, and some keep values in tables beside it ([`values`]). So does DISTINCT over
//! rows that are only added ([`distinct`]).

mod distinct;
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
use distinct::{DistinctPlan, DistinctValues, Member};
use general::{GeneralPlan, GeneralStates};
use native::{NativeFunction, NativeStates};
use std::sync::Arc;
use values::Values;
pub(super) use values::WeightedValues;
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
    /// Native states whose rows come from a table of values.
    Distinct(usize),
    General(usize),
}

/// The aggregates of an operator and how each is kept; shared by all of its key tables.
pub(super) struct StatePlan {
    expressions: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    places: Vec<Place>,
    natives: Vec<NativeFunction>,
    /// The tables of values over rows without weights.
    distinct: Vec<DistinctPlan>,
    /// Over rows with weights: all aggregates, and last how many rows a group has.
    weighted: Vec<WeightedFunction>,
    general: Arc<GeneralPlan>,
    fields: Vec<FieldRef>,
    outputs: Vec<FieldRef>,
}

impl StatePlan {
    /// Plans the state of these aggregates over rows with these columns. Without `native` all that saves the same state
    /// by it takes the general path.
    pub(super) fn try_new(
        aggregates: &[Arc<AggregateFunctionExpr>],
        filters: &[Option<Arc<dyn PhysicalExpr>>],
        input: &Schema,
        native: bool,
    ) -> Result<Self> {
        let mut plan = Self::empty(aggregates, filters)?;
        let mut general = Vec::new();
        for (number, aggregate) in aggregates.iter().enumerate() {
            if let Some((function, values)) = DistinctPlan::of(aggregate, input)? {
                plan.push_distinct(number, function, values);
                continue;
            }
            plan.fields.extend(aggregate.state_fields().map_err(from_datafusion)?);
            match native.then(|| NativeFunction::of(aggregate)).flatten() {
                Some(function) => {
                    if function.ignores_arguments() {
                        plan.expressions[number].clear();
                    }
                    plan.places.push(Place::Native(plan.natives.len()));
                    plan.natives.push(function);
                }
                None => {
                    plan.places.push(Place::General(general.len()));
                    general.push(Arc::clone(aggregate));
                }
            }
        }
        plan.general = Arc::new(GeneralPlan::try_new(general)?);
        Ok(plan)
    }

    /// Plans the state of these aggregates as rows of accumulators' states, which can be merged.
    pub(super) fn merging(
        aggregates: &[Arc<AggregateFunctionExpr>],
        filters: &[Option<Arc<dyn PhysicalExpr>>],
    ) -> Result<Self> {
        let mut plan = Self::empty(aggregates, filters)?;
        for (number, aggregate) in aggregates.iter().enumerate() {
            plan.fields.extend(aggregate.state_fields().map_err(from_datafusion)?);
            plan.places.push(Place::General(number));
        }
        plan.general = Arc::new(GeneralPlan::try_new(aggregates.to_vec())?);
        Ok(plan)
    }

    /// A plan of aggregates that have no places yet.
    fn empty(
        aggregates: &[Arc<AggregateFunctionExpr>],
        filters: &[Option<Arc<dyn PhysicalExpr>>],
    ) -> Result<Self> {
        if aggregates.len() != filters.len() {
            return Err(Error::internal("an aggregate has no entry in the list of filters"));
        }
        Ok(Self {
            expressions: aggregate_expressions(aggregates, &AggregateMode::Single, 0)
                .map_err(from_datafusion)?,
            filters: filters.to_vec(),
            places: Vec::new(),
            natives: Vec::new(),
            distinct: Vec::new(),
            weighted: Vec::new(),
            general: Arc::new(GeneralPlan::try_new(Vec::new())?),
            fields: Vec::new(),
            outputs: aggregates.iter().map(|a| a.field()).collect(),
        })
    }

    /// Adds an aggregate over values, which share the table of an aggregate before it where they can.
    fn push_distinct(&mut self, aggregate: usize, function: NativeFunction, values: DistinctPlan) {
        let member = Member { aggregate, native: self.natives.len() };
        match self.distinct.iter_mut().find(|known| known.has_room_for(&values)) {
            Some(known) => {
                self.expressions[aggregate].clear();
                known.add(member);
            }
            None => {
                self.distinct.push(values);
                self.distinct.last_mut().into_iter().for_each(|new| new.add(member));
            }
        }
        self.places.push(Place::Distinct(member.native));
        self.natives.push(function);
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
            fields: fields.map(Arc::new).collect(),
            weighted,
            ..Self::empty(aggregates, filters)?
        }))
    }

    /// Whether rows have weights, so that groups may leave.
    pub(super) fn is_weighted(&self) -> bool {
        !self.weighted.is_empty()
    }

    /// The types of the values that are kept in tables beside the states.
    pub(super) fn values(&self) -> impl Iterator<Item = &DataType> {
        let distinct = self.distinct.iter().map(DistinctPlan::data_type);
        self.weighted.iter().filter_map(WeightedFunction::values).chain(distinct)
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
            Place::Distinct(_) | Place::General(_) => false,
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
    distinct: Vec<DistinctValues>,
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
        let distinct = plan.distinct.iter().map(DistinctPlan::values).collect();
        let remembered = vec![Vec::new(); natives.len()];
        Ok(Self { natives, distinct, general, remembered, plan: Arc::clone(plan) })
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
                Place::Distinct(_) => {}
                Place::General(_) => general.push((values.as_slice(), filter)),
            }
        }
        for (values, plan) in self.distinct.iter_mut().zip(&self.plan.distinct) {
            values.update(plan, &mut self.natives, arguments, ids)?;
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

    /// All that the n-th table beside the states keeps.
    pub(super) fn values(&self, number: usize) -> Result<Option<WeightedValues>> {
        let weighted = self.natives.iter().filter_map(|native| native.values()).map(Values::all);
        let distinct = self.distinct.iter().map(DistinctValues::all);
        weighted.chain(distinct).nth(number).transpose()
    }

    /// What has changed in each of these tables since the last call.
    pub(super) fn take_changes(&mut self) -> Result<Vec<WeightedValues>> {
        let weighted = self.natives.iter_mut().filter_map(|native| native.values_mut());
        let distinct = self.distinct.iter_mut().map(DistinctValues::take_changes);
        weighted.map(Values::take_changes).chain(distinct).collect()
    }

    /// Puts saved values of the n-th table back.
    pub(super) fn put_back(&mut self, number: usize, saved: &WeightedValues) -> Result<()> {
        if let (Some(values), Some(plan)) = (self.distinct.get_mut(number), self.plan.distinct.get(number)) {
            return values.put_back(plan, &mut self.natives, saved);
        }
        let mut weighted = self.natives.iter_mut().filter_map(|native| native.values_mut());
        weighted.nth(number).map_or(Ok(()), |values| values.put_back(saved))
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
            Place::Native(n) | Place::Distinct(n) => native(*n),
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
                Place::Distinct(_) => {}
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
                Place::Distinct(_) => 0,
                Place::General(n) => self.plan.general.range(*n).len(),
            };
            let (own, after) = rest.split_at_checked(width).ok_or_else(too_few_columns)?;
            match place {
                Place::Native(n) => self.natives[*n].restore(ids, own)?,
                Place::Distinct(_) => {}
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
            let weighted = self.natives.iter_mut().filter_map(|native| native.values_mut());
            weighted.for_each(Values::forget_changes);
            self.distinct.iter_mut().for_each(DistinctValues::forget_changes);
        }
        self.general.as_mut().map_or(Ok(()), GeneralStates::end_batch)
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let natives: usize = self.natives.iter().map(|native| native.bytes()).sum();
        let distinct: usize = self.distinct.iter().map(DistinctValues::bytes).sum();
        size_of::<Self>() + natives + distinct + self.general.as_ref().map_or(0, GeneralStates::bytes)
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
