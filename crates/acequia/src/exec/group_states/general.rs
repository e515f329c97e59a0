//! Any aggregate, through DataFusion's accumulators on copies of the touched groups' state.
//!
//! DataFusion's accumulators cannot be read without being emptied, so none of them lives longer than a call. State
//! is kept as the rows of their `state()` columns in a log of chunks; each group knows where its row is. Per push:
//!
//! ```text
//! touched groups -> local ids 0..d
//! rows           -> fresh accumulator.update_batch -> state     (the partial state of these rows)
//! prior states   -> fresh accumulator.merge_batch, then the partial state -> state -> appended to the log
//! ```
//! The prior state comes first, so that what depends on the order of rows sees them in the order of arrival. A row of
//! the log whose group has moved on is garbage; the log is rewritten when there is more garbage than live rows, and
//! small neighbours are merged, hence there are few chunks and every row is copied O(log n) times.

use crate::error::from_datafusion;
use crate::exec::detach::detached;
use crate::exec::key_table::conform;
use acequia_core::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, new_empty_array, new_null_array};
use arrow::compute::{concat, filter, interleave};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::functions_aggregate::count::Count;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

/// Garbage that is tolerated whatever the live rows are.
const GARBAGE_ROWS: usize = 64 * 1024;
/// Chunks of at least this many rows are not merged with their neighbours.
const CHUNK_ROWS: usize = 8 * 1024;

/// The arguments of one aggregate, and its filter.
pub(in crate::exec) type Argument<'a> = (&'a [ArrayRef], Option<&'a BooleanArray>);

struct Function {
    aggregate: Arc<AggregateFunctionExpr>,
    /// Its state columns.
    columns: Range<usize>,
    row_wise: bool,
}

impl Function {
    fn accumulator(&self) -> Result<Box<dyn GroupsAccumulator>> {
        if !self.row_wise {
            return self.aggregate.create_groups_accumulator().map_err(from_datafusion);
        }
        let aggregate = Arc::clone(&self.aggregate);
        Ok(Box::new(GroupsAccumulatorAdapter::new(move || aggregate.create_accumulator())))
    }
}

/// The aggregates that take this path.
pub(in crate::exec) struct GeneralPlan {
    functions: Vec<Function>,
    types: Vec<DataType>,
}

impl GeneralPlan {
    pub(in crate::exec) fn try_new(aggregates: Vec<Arc<AggregateFunctionExpr>>) -> Result<Self> {
        let (mut functions, mut types) = (Vec::new(), Vec::new());
        for aggregate in aggregates {
            let fields = aggregate.state_fields().map_err(from_datafusion)?;
            let columns = types.len()..types.len() + fields.len();
            types.extend(fields.iter().map(|field| field.data_type().clone()));
            let grouped = aggregate.groups_accumulator_supported();
            let row_wise = !grouped || forgets_distinct(&aggregate, &fields)?;
            functions.push(Function { aggregate, columns, row_wise });
        }
        Ok(Self { functions, types })
    }

    pub(in crate::exec) fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// The state columns of one of the aggregates.
    pub(in crate::exec) fn range(&self, function: usize) -> Range<usize> {
        self.functions[function].columns.clone()
    }

    /// The result of each of these state rows.
    fn evaluate(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<ArrayRef>> {
        let all: Vec<usize> = (0..rows).collect();
        let one = |function: &Function| {
            let data_type = function.aggregate.field().data_type().clone();
            if rows == 0 {
                return Ok(new_empty_array(&data_type));
            }
            let mut accumulator = function.accumulator()?;
            accumulator
                .merge_batch(&columns[function.columns.clone()], &all, rows)
                .map_err(from_datafusion)?;
            let result = accumulator.evaluate(EmitTo::All).map_err(from_datafusion)?;
            conform(&result, &data_type)
        };
        self.functions.iter().map(one).collect()
    }

    /// The results of a group that has seen nothing, as of an aggregate without GROUP BY over no rows.
    fn nothing(&self) -> Result<Vec<ArrayRef>> {
        let one = |function: &Function| {
            let mut accumulator = function.aggregate.create_accumulator().map_err(from_datafusion)?;
            let result =
                accumulator.evaluate().and_then(|value| value.to_array()).map_err(from_datafusion)?;
            conform(&result, function.aggregate.field().data_type())
        };
        self.functions.iter().map(one).collect()
    }

    /// The state row of a group that has seen nothing: a count of 0, NULL for everything else.
    fn nothing_state(&self) -> Vec<ArrayRef> {
        let column = |(column, data_type): (usize, &DataType)| -> ArrayRef {
            match self.is_count(column) {
                true => Arc::new(Int64Array::from(vec![0])),
                false => new_null_array(data_type, 1),
            }
        };
        self.types.iter().enumerate().map(column).collect()
    }

    /// Whether a saved row is another than [`GeneralPlan::nothing_state`].
    fn has_state(&self, columns: &[ArrayRef], row: usize) -> bool {
        let is_some = |(i, column): (usize, &ArrayRef)| {
            column.is_valid(row) && !(self.is_count(i) && column.as_primitive::<Int64Type>().value(row) == 0)
        };
        columns.iter().enumerate().any(is_some)
    }

    fn is_count(&self, column: usize) -> bool {
        let of = self.functions.iter().find(|function| function.columns.contains(&column));
        let counts = |aggregate: &AggregateFunctionExpr| {
            let function: &dyn Any = aggregate.fun().inner().as_ref();
            function.is::<Count>() && !aggregate.is_distinct()
        };
        self.types[column] == DataType::Int64 && of.is_some_and(|function| counts(&function.aggregate))
    }

    /// The state rows of `groups` groups, each made from its prior state rows, in their order, and its new rows.
    pub(in crate::exec) fn fold(
        &self,
        groups: usize,
        prior: (&[usize], &[ArrayRef]),
        arguments: &[Argument<'_>],
        locals: &[usize],
    ) -> Result<Vec<ArrayRef>> {
        // One call for all, in which every group has a row: accumulators take a group without a NULL for one with
        // a value, also if it has no row at all.
        let owners: Vec<usize> = prior.0.iter().copied().chain(0..groups).collect();
        let mut states = Vec::with_capacity(self.types.len());
        for (function, (values, filter)) in self.functions.iter().zip(arguments) {
            let mut rows = function.accumulator()?;
            rows.update_batch(values, locals, *filter, groups).map_err(from_datafusion)?;
            let partial = self.state_of(function, rows)?;
            if prior.0.is_empty() {
                states.extend(partial);
                continue;
            }
            let mut merged = function.accumulator()?;
            let columns = prior.1[function.columns.clone()].iter().zip(&partial);
            let columns =
                columns.map(|(prior, partial)| Ok(concat(&[prior, partial])?)).collect::<Result<Vec<_>>>()?;
            merged.merge_batch(&columns, &owners, groups).map_err(from_datafusion)?;
            states.extend(self.state_of(function, merged)?);
        }
        Ok(states)
    }

    fn state_of(
        &self,
        function: &Function,
        mut accumulator: Box<dyn GroupsAccumulator>,
    ) -> Result<Vec<ArrayRef>> {
        let columns = accumulator.state(EmitTo::All).map_err(from_datafusion)?;
        let types = &self.types[function.columns.clone()];
        if columns.len() != types.len() {
            let name = function.aggregate.name();
            return Err(Error::internal(format!(
                "aggregate `{name}` has other state columns than it declares"
            )));
        }
        columns.iter().zip(types).map(|(column, t)| conform(column, t)).collect()
    }
}

/// A grouped accumulator that takes no notice of DISTINCT (bit_xor of DataFusion 55 is one) shows it by state columns
/// of other types than those that are declared.
fn forgets_distinct(aggregate: &AggregateFunctionExpr, fields: &[FieldRef]) -> Result<bool> {
    if !aggregate.is_distinct() {
        return Ok(false);
    }
    let mut accumulator = aggregate.create_groups_accumulator().map_err(from_datafusion)?;
    let states = accumulator.state(EmitTo::All).map_err(from_datafusion)?;
    let same = states.iter().zip(fields).all(|(state, f)| state.data_type().equals_datatype(f.data_type()));
    Ok(!same || states.len() != fields.len())
}

/// Where a state row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::exec) struct Location {
    chunk: u32,
    row: u32,
}

impl Location {
    const NOWHERE: Self = Self { chunk: u32::MAX, row: u32::MAX };

    /// Whether there is a row; a group without one has seen nothing.
    pub(in crate::exec) fn is_somewhere(self) -> bool {
        self != Self::NOWHERE
    }
}

struct Chunk {
    /// The group of each row.
    ids: Vec<u32>,
    columns: Vec<ArrayRef>,
    bytes: usize,
}

/// The states of the groups of one key table.
pub(in crate::exec) struct GeneralStates {
    plan: Arc<GeneralPlan>,
    at: Vec<Location>,
    chunks: Vec<Chunk>,
    /// Groups that have a row, and rows in all chunks.
    live: usize,
    stored: usize,
    chunk_bytes: usize,
    /// Scratch of `locals`: the local id of a group, `u32::MAX` outside of a call.
    local: Vec<u32>,
    remembered: Vec<Location>,
}

impl GeneralStates {
    pub(in crate::exec) fn new(plan: &Arc<GeneralPlan>) -> Self {
        Self {
            plan: Arc::clone(plan),
            at: Vec::new(),
            chunks: Vec::new(),
            live: 0,
            stored: 0,
            chunk_bytes: 0,
            local: Vec::new(),
            remembered: Vec::new(),
        }
    }

    pub(in crate::exec) fn grow(&mut self, groups: usize) {
        self.at.resize(groups.max(self.at.len()), Location::NOWHERE);
        self.local.resize(groups.max(self.local.len()), u32::MAX);
    }

    /// Adds rows to their groups.
    pub(in crate::exec) fn update(&mut self, arguments: &[Argument<'_>], ids: &[u32]) -> Result<()> {
        let (locals, groups) = self.locals(ids);
        let (mut owners, mut places) = (Vec::new(), Vec::new());
        for (local, id) in groups.iter().enumerate() {
            let at = self.at[*id as usize];
            if at != Location::NOWHERE {
                owners.push(local);
                places.push(at);
            }
        }
        let prior = self.gather(&places)?;
        let states = self.plan.fold(groups.len(), (&owners, &prior), arguments, &locals)?;
        self.append(groups, states)
    }

    /// Numbers the distinct groups of `ids` from 0 in the order of first sight.
    fn locals(&mut self, ids: &[u32]) -> (Vec<usize>, Vec<u32>) {
        let mut groups = Vec::new();
        let mut locals = Vec::with_capacity(ids.len());
        for id in ids {
            let local = &mut self.local[*id as usize];
            if *local == u32::MAX {
                *local = groups.len() as u32;
                groups.push(*id);
            }
            locals.push(*local as usize);
        }
        groups.iter().for_each(|id| self.local[*id as usize] = u32::MAX);
        (locals, groups)
    }

    /// Gives these groups these state rows.
    pub(in crate::exec) fn append(&mut self, ids: Vec<u32>, columns: Vec<ArrayRef>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let chunk = u32::try_from(self.chunks.len()).map_err(|_| too_many_chunks())?;
        for (row, id) in ids.iter().enumerate() {
            let at = &mut self.at[*id as usize];
            self.live += usize::from(*at == Location::NOWHERE);
            *at = Location { chunk, row: row as u32 };
        }
        self.stored += ids.len();
        self.push_chunk(ids, columns)
    }

    fn push_chunk(&mut self, ids: Vec<u32>, columns: Vec<ArrayRef>) -> Result<()> {
        let columns = columns.iter().map(detached).collect::<Result<Vec<_>>>()?;
        let bytes = columns.iter().map(|c| c.get_array_memory_size()).sum::<usize>() + ids.capacity() * 4;
        self.chunk_bytes += bytes;
        self.chunks.push(Chunk { ids, columns, bytes });
        Ok(())
    }

    /// The rows at these places, which exist.
    pub(in crate::exec) fn gather(&self, places: &[Location]) -> Result<Vec<ArrayRef>> {
        if places.is_empty() {
            return Ok(self.plan.types.iter().map(new_empty_array).collect());
        }
        let mut used = Vec::new();
        let mut position = vec![u32::MAX; self.chunks.len()];
        let mut rows = Vec::with_capacity(places.len());
        for place in places {
            let position = &mut position[place.chunk as usize];
            if *position == u32::MAX {
                *position = used.len() as u32;
                used.push(&self.chunks[place.chunk as usize]);
            }
            rows.push((*position as usize, place.row as usize));
        }
        let column = |i: usize| {
            let parts: Vec<&dyn Array> = used.iter().map(|chunk| chunk.columns[i].as_ref()).collect();
            Ok(interleave(&parts, &rows)?)
        };
        (0..self.plan.types.len()).map(column).collect()
    }

    /// Where the row of a group is. It can be read there until the batch ends.
    pub(in crate::exec) fn location(&self, id: u32) -> Location {
        self.at[id as usize]
    }

    /// Forgets the row of a group, which then has seen nothing.
    pub(in crate::exec) fn release(&mut self, id: u32) {
        let at = &mut self.at[id as usize];
        self.live -= usize::from(*at != Location::NOWHERE);
        *at = Location::NOWHERE;
    }

    /// The results at these places; a group that is nowhere has seen nothing.
    pub(in crate::exec) fn evaluate(&self, places: &[Location]) -> Result<Vec<ArrayRef>> {
        let there: Vec<Location> = places.iter().copied().filter(|at| *at != Location::NOWHERE).collect();
        let results = self.plan.evaluate(&self.gather(&there)?, there.len())?;
        if there.len() == places.len() {
            return Ok(results);
        }
        spread(places, &results, &self.plan.nothing()?)
    }

    fn places(&self, ids: &[u32]) -> Vec<Location> {
        ids.iter().map(|id| self.at[*id as usize]).collect()
    }

    pub(in crate::exec) fn outputs(&self, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        self.evaluate(&self.places(ids))
    }

    /// The state rows of these groups, those that have seen nothing included.
    pub(in crate::exec) fn states(&self, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        let places = self.places(ids);
        let there: Vec<Location> = places.iter().copied().filter(|at| *at != Location::NOWHERE).collect();
        let columns = self.gather(&there)?;
        if there.len() == places.len() {
            return Ok(columns);
        }
        spread(&places, &columns, &self.plan.nothing_state())
    }

    pub(in crate::exec) fn restore(&mut self, ids: &[u32], columns: Vec<ArrayRef>) -> Result<()> {
        let conformed = columns.iter().zip(&self.plan.types).map(|(c, t)| conform(c, t));
        let conformed: Vec<ArrayRef> = conformed.collect::<Result<_>>()?;
        let has_state = |row: usize| self.plan.has_state(&conformed, row);
        if (0..ids.len()).all(has_state) {
            return self.append(ids.to_vec(), conformed);
        }
        let mask = BooleanArray::from((0..ids.len()).map(has_state).collect::<Vec<_>>());
        let ids = ids.iter().enumerate().filter(|(row, _)| mask.value(*row)).map(|(_, id)| *id).collect();
        let columns = conformed.iter().map(|column| Ok(filter(column, &mask)?)).collect::<Result<_>>()?;
        self.append(ids, columns)
    }

    pub(in crate::exec) fn remember(&mut self, ids: &[u32]) {
        self.remembered.extend(ids.iter().map(|id| self.at[*id as usize]));
    }

    pub(in crate::exec) fn remembered(&self) -> Result<Vec<ArrayRef>> {
        self.evaluate(&self.remembered)
    }

    /// Forgets what was remembered and tidies the log up; locations change.
    pub(in crate::exec) fn end_batch(&mut self) -> Result<()> {
        self.remembered.clear();
        if self.stored - self.live > self.live + GARBAGE_ROWS {
            return self.rewrite(0);
        }
        while let [.., before, last] = self.chunks.as_slice() {
            let (before, last) = (before.ids.len(), last.ids.len());
            if before >= CHUNK_ROWS || last * 2 < before {
                break;
            }
            self.rewrite(self.chunks.len() - 2)?;
        }
        Ok(())
    }

    /// Copies the live rows of all chunks from the `from`th on into new ones.
    fn rewrite(&mut self, from: usize) -> Result<()> {
        let mut live = Vec::new();
        for (chunk, rows) in self.chunks.iter().enumerate().skip(from) {
            let place = |row: usize| Location { chunk: chunk as u32, row: row as u32 };
            let of_group = rows.ids.iter().enumerate().map(|(row, id)| (*id, place(row)));
            live.extend(of_group.filter(|(id, at)| self.at[*id as usize] == *at));
        }
        let mut parts = Vec::new();
        for part in live.chunks(GARBAGE_ROWS) {
            let (ids, places): (Vec<u32>, Vec<Location>) = part.iter().copied().unzip();
            parts.push((ids, self.gather(&places)?));
        }
        for old in self.chunks.drain(from..) {
            self.stored -= old.ids.len();
            self.chunk_bytes -= old.bytes;
        }
        parts.into_iter().try_for_each(|(ids, columns)| self.append(ids, columns))
    }

    pub(in crate::exec) fn bytes(&self) -> usize {
        let per_group = self.at.capacity() * size_of::<Location>() + self.local.capacity() * 4;
        size_of::<Self>() + per_group + self.chunk_bytes
    }
}

/// One row per place: the next of `there`, or the one row of `nowhere`.
fn spread(places: &[Location], there: &[ArrayRef], nowhere: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let mut next = 0;
    let row = |at: &Location| {
        if *at == Location::NOWHERE {
            return (1, 0);
        }
        next += 1;
        (0, next - 1)
    };
    let rows: Vec<(usize, usize)> = places.iter().map(row).collect();
    let column = |(there, nowhere): (&ArrayRef, &ArrayRef)| Ok(interleave(&[there, nowhere], &rows)?);
    there.iter().zip(nowhere).map(column).collect()
}

fn too_many_chunks() -> Error {
    Error::internal("the log of aggregate states has more than 4 billion chunks")
}
