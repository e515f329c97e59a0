//! Values over the rows of a partition from its first one on: cumulative frames, numbers of rows.
//!
//! They can be carried on from any place between two groups of rows with the same value of the order, by what is known
//! of the rows before: their [`Totals`]. The values are the very ones of a run from the first row, to the last bit. An
//! accumulator that has merged a state into nothing is as the one whose state it was; the planner takes functions of
//! which that is true. And what is added to it comes in the same portions as in DataFusion's window operators, a group
//! or a row at a time, so that the sums of floats are added in the same order.

use super::Number;
use crate::error::from_datafusion;
use crate::exec::key_table::conform;
use acequia_core::Result;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, new_empty_array};
use arrow::compute::filter;
use arrow::datatypes::FieldRef;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Accumulator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use std::ops::Range;
use std::sync::Arc;

/// A column of such values.
#[derive(Debug, Clone)]
pub struct Running {
    /// The column.
    pub field: FieldRef,
    /// What is in it.
    pub value: RunningValue,
}

/// What is known at a row of it and those before.
#[derive(Debug, Clone)]
pub enum RunningValue {
    /// Their number.
    Number(Number),
    /// A value of the first of them.
    First(Arc<dyn PhysicalExpr>),
    /// An aggregate over them.
    Aggregate {
        /// Its state, merged into nothing, is the same state.
        function: Arc<AggregateFunctionExpr>,
        /// Which rows count.
        filter: Option<Arc<dyn PhysicalExpr>>,
        /// Whether all rows with the same value of the order count.
        peers: bool,
    },
}

/// What is known of the rows before a place.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    /// How many there are.
    pub(super) rows: usize,
    groups: usize,
    /// The state of each of the values.
    states: Vec<Vec<ScalarValue>>,
}

impl Totals {
    /// The bytes that it takes.
    pub(super) fn size(&self) -> usize {
        let of_state = |state: &Vec<ScalarValue>| {
            size_of::<Vec<ScalarValue>>() + state.iter().map(ScalarValue::size).sum::<usize>()
        };
        size_of::<Self>() + self.states.iter().map(of_state).sum::<usize>()
    }
}

/// Rows of one partition, in order.
#[derive(Debug, Default)]
pub(super) struct Stretch<'a> {
    /// What is known of the rows before; nothing if there are none.
    pub(super) before: Option<&'a Totals>,
    /// The rows with one value of the order, and so on. There is at least one group.
    pub(super) groups: Vec<Range<usize>>,
    /// The groups before which totals are asked for.
    pub(super) asked: Vec<usize>,
}

impl Stretch<'_> {
    /// How many rows there are before a group.
    pub(super) fn rows_before(&self, group: usize) -> usize {
        self.before.map_or(0, |before| before.rows) + self.groups[group].start - self.groups[0].start
    }

    fn groups_before(&self, group: usize) -> usize {
        self.before.map_or(0, |before| before.groups) + group
    }
}

/// The values at these rows, which are in stretches one after the other, and the totals that are asked for.
///
/// # Errors
/// What computing them gives.
pub(super) fn values(
    running: &[Running],
    rows: &RecordBatch,
    stretches: &[Stretch<'_>],
) -> Result<(Vec<ArrayRef>, Vec<Vec<Totals>>)> {
    let totals = |stretch: &Stretch<'_>| {
        let before = |group: &usize| Totals {
            rows: stretch.rows_before(*group),
            groups: stretch.groups_before(*group),
            states: Vec::with_capacity(running.len()),
        };
        stretch.asked.iter().map(before).collect::<Vec<_>>()
    };
    let mut totals: Vec<Vec<Totals>> = stretches.iter().map(totals).collect();
    let mut columns = Vec::with_capacity(running.len());
    for (number, one) in running.iter().enumerate() {
        let input = Input::of(&one.value, rows).map_err(from_datafusion)?;
        let mut values = Vec::with_capacity(rows.num_rows());
        for (stretch, totals) in stretches.iter().zip(&mut totals) {
            let state = stretch.before.map(|before| before.states[number].as_slice());
            let asked = one.value.over(&input, stretch, state, &mut values).map_err(from_datafusion)?;
            for (totals, mut state) in totals.iter_mut().zip(asked) {
                state.iter_mut().for_each(ScalarValue::compact);
                totals.states.push(state);
            }
        }
        let column = match values.is_empty() {
            true => new_empty_array(one.field.data_type()),
            false => ScalarValue::iter_to_array(values).map_err(from_datafusion)?,
        };
        columns.push(conform(&column, one.field.data_type())?);
    }
    Ok((columns, totals))
}

/// What a value is computed from, at all rows.
struct Input {
    arguments: Vec<ArrayRef>,
    counts: Option<BooleanArray>,
}

type FromDataFusion<T> = datafusion::common::Result<T>;

impl Input {
    fn of(value: &RunningValue, rows: &RecordBatch) -> FromDataFusion<Self> {
        let at_rows = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(rows)?.into_array(rows.num_rows());
        Ok(match value {
            RunningValue::Number(_) => Self { arguments: Vec::new(), counts: None },
            RunningValue::First(expr) => Self { arguments: vec![at_rows(expr)?], counts: None },
            RunningValue::Aggregate { function, filter, .. } => {
                let counts = filter.as_ref().map(at_rows).transpose()?;
                Self {
                    arguments: function.expressions().iter().map(at_rows).collect::<FromDataFusion<_>>()?,
                    counts: counts.map(|counts| counts.as_boolean().clone()),
                }
            }
        })
    }

    /// Adds rows to an aggregate.
    fn add(&self, accumulator: &mut dyn Accumulator, rows: &Range<usize>) -> FromDataFusion<()> {
        let counts = self.counts.as_ref().map(|counts| counts.slice(rows.start, rows.len()));
        let argument = |argument: &ArrayRef| {
            let argument = argument.slice(rows.start, rows.len());
            Ok(match &counts {
                Some(counts) => filter(&argument, counts)?,
                None => argument,
            })
        };
        let arguments: Vec<ArrayRef> = self.arguments.iter().map(argument).collect::<FromDataFusion<_>>()?;
        accumulator.update_batch(&arguments)
    }
}

impl RunningValue {
    /// Appends the values at the rows of a stretch; gives the state before each of the groups asked for.
    fn over(
        &self,
        input: &Input,
        stretch: &Stretch<'_>,
        state: Option<&[ScalarValue]>,
        values: &mut Vec<ScalarValue>,
    ) -> FromDataFusion<Vec<Vec<ScalarValue>>> {
        match self {
            Self::Number(number) => {
                for (place, group) in stretch.groups.iter().enumerate() {
                    let (rows, groups) = (stretch.rows_before(place), stretch.groups_before(place));
                    values.extend(group.clone().enumerate().map(|(row, _)| {
                        let number = match number {
                            Number::Row => rows + row + 1,
                            Number::Rank => rows + 1,
                            Number::DenseRank => groups + 1,
                        };
                        ScalarValue::UInt64(Some(number as u64))
                    }));
                }
                Ok(vec![Vec::new(); stretch.asked.len()])
            }
            Self::First(_) => {
                let first = match state {
                    Some([first, ..]) => first.clone(),
                    _ => ScalarValue::try_from_array(&input.arguments[0], stretch.groups[0].start)?,
                };
                let rows = stretch.groups.iter().map(Range::len).sum();
                values.extend(std::iter::repeat_n(first.clone(), rows));
                Ok(vec![vec![first]; stretch.asked.len()])
            }
            Self::Aggregate { function, peers, .. } => {
                let mut accumulator = function.create_accumulator()?;
                if let Some(state) = state {
                    let state: Vec<ArrayRef> =
                        state.iter().map(ScalarValue::to_array).collect::<FromDataFusion<_>>()?;
                    accumulator.merge_batch(&state)?;
                }
                accumulated(accumulator.as_mut(), input, stretch, *peers, values)
            }
        }
    }
}

fn accumulated(
    accumulator: &mut dyn Accumulator,
    input: &Input,
    stretch: &Stretch<'_>,
    peers: bool,
    values: &mut Vec<ScalarValue>,
) -> FromDataFusion<Vec<Vec<ScalarValue>>> {
    let mut states = Vec::with_capacity(stretch.asked.len());
    for (number, group) in stretch.groups.iter().enumerate() {
        if stretch.asked.get(states.len()) == Some(&number) {
            states.push(accumulator.state()?);
        }
        if peers {
            input.add(accumulator, group)?;
            values.extend(std::iter::repeat_n(accumulator.evaluate()?, group.len()));
            continue;
        }
        for row in group.clone() {
            input.add(accumulator, &(row..row + 1))?;
            values.push(accumulator.evaluate()?);
        }
    }
    Ok(states)
}
