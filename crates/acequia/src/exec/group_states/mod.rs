//! What the groups of one key table have aggregated so far: readable by group id at any time.
//!
//! Common functions on plain types are kept in vectors indexed by group id ([`native`]); every other
//! `AggregateFunctionExpr` goes through DataFusion's accumulators on copies of the touched groups' state rows
//! ([`general`]). State columns have the layout of DataFusion's own `state()` in both, so that one can be restored
//! from what the other wrote.

pub(super) mod general;
pub(super) mod native;

use super::key_table::conform;
use crate::error::from_datafusion;
use acequia_core::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{concat, prep_null_mask_filter};
use arrow::datatypes::FieldRef;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_plan::aggregates::{AggregateMode, aggregate_expressions};
use general::{GeneralPlan, GeneralStates};
use native::{NativeFunction, NativeStates};
use std::sync::Arc;

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
        Ok(Self { expressions, filters: filters.to_vec(), places, natives, general, fields, outputs })
    }

    /// The aggregates that take the general path.
    pub(super) fn general(&self) -> &Arc<GeneralPlan> {
        &self.general
    }

    /// Whether the outputs of a group change with every row.
    pub(super) fn changes_with_every_row(&self) -> bool {
        let counts_all = |(place, filter): (&Place, &Option<_>)| match place {
            Place::Native(n) => filter.is_none() && self.natives[*n].ignores_arguments(),
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
    pub(super) fn new(plan: &Arc<StatePlan>) -> Self {
        let general = (!plan.general.is_empty()).then(|| GeneralStates::new(&plan.general));
        Self {
            natives: plan.natives.iter().map(NativeFunction::states).collect(),
            general,
            remembered: vec![Vec::new(); plan.natives.len()],
            plan: Arc::clone(plan),
        }
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
    pub(super) fn remember(&mut self, ids: &[u32]) {
        for (native, pieces) in self.natives.iter().zip(&mut self.remembered) {
            pieces.push(native.output(ids));
        }
        if let Some(general) = &mut self.general {
            general.remember(ids);
        }
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
        self.assemble(&general, |n| Ok(self.natives[n].output(ids)))
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
                Place::Native(n) => self.natives[*n].state(ids, &mut columns),
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

    /// Ends a batch: what was remembered is forgotten, garbage may be collected.
    pub(super) fn end_batch(&mut self) -> Result<()> {
        self.remembered.iter_mut().for_each(Vec::clear);
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
