//! The values of groups that were seen, in a hash table: what count and sum of DISTINCT need over insert-only rows.
//!
//! ```text
//! (group, value) -> a bit for each aggregate that has used it     one table for all aggregates of one argument
//! ```
//! A row costs one lookup, however many aggregates share the table, each with its own FILTER. A bit that is new is a row
//! of its aggregate. Nothing else is kept or saved of these aggregates: they follow from the table. Bits never leave, so
//! the saved table adds them up as the weights of an additive table. NULLs are never kept. Floats are kept as their bits,
//! by which DataFusion tells them apart here: -0.0 is not 0.0.
//!
//! Memory per value of a group: that of a key of both in [`crate::exec::key_table`], and eight bytes.

use super::native::{NativeFunction, NativeStates};
use super::values::WeightedValues;
use super::{Arguments, valid_rows};
use crate::exec::key_table::{KeyLayout, KeyTable, conform};
use acequia_core::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array, make_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, take};
use arrow::datatypes::{DataType, Schema, UInt32Type};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use std::sync::Arc;

/// How many aggregates may share a table, whose bits are a weight above 0.
const MEMBERS: usize = 63;

/// An aggregate, and the native states of what it counts or sums up, by their numbers.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) aggregate: usize,
    pub(super) native: usize,
}

/// The aggregates over the distinct values of one argument.
pub(super) struct DistinctPlan {
    argument: Arc<dyn PhysicalExpr>,
    data_type: DataType,
    layout: KeyLayout,
    members: Vec<Member>,
}

impl DistinctPlan {
    /// The native form of an aggregate over rows with these columns, and the plan of its values alone, if it has one.
    pub(super) fn of(
        aggregate: &AggregateFunctionExpr,
        input: &Schema,
    ) -> Result<Option<(NativeFunction, Self)>> {
        let arguments = aggregate.expressions();
        let ([argument], true) = (arguments.as_slice(), aggregate.is_distinct()) else { return Ok(None) };
        let Ok(data_type) = argument.data_type(input) else { return Ok(None) };
        let Some(function) = NativeFunction::of_distinct(aggregate, &data_type) else { return Ok(None) };
        let data_type = match data_type {
            DataType::Float16 => DataType::Int16,
            DataType::Float32 => DataType::Int32,
            DataType::Float64 => DataType::Int64,
            other => other,
        };
        let layout = KeyLayout::try_new(vec![DataType::UInt32, data_type.clone()])?;
        let plan = Self { argument: Arc::clone(argument), data_type, layout, members: Vec::new() };
        Ok(Some((function, plan)))
    }

    /// Whether the values of another plan are the same, and there is a bit left.
    pub(super) fn has_room_for(&self, other: &Self) -> bool {
        self.argument.as_ref() == other.argument.as_ref() && self.members.len() < MEMBERS
    }

    /// Adds an aggregate over these values.
    pub(super) fn add(&mut self, member: Member) {
        self.members.push(member);
    }

    /// The type of the values as they are kept.
    pub(super) fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// No values.
    pub(super) fn values(&self) -> DistinctValues {
        DistinctValues { keys: self.layout.table(), used: Vec::new(), unsaved: Vec::new() }
    }

    /// The argument's values as they are kept, and for each row the bits of the aggregates that use it.
    fn rows(&self, arguments: &Arguments, rows: usize) -> Result<(ArrayRef, Vec<i64>)> {
        let values = self.members.first().and_then(|first| arguments.values[first.aggregate].first());
        let values = values.ok_or_else(|| Error::internal("an aggregate of values has no argument"))?;
        let nulls = values.logical_nulls();
        let mut bits = vec![0; rows];
        for (number, member) in self.members.iter().enumerate() {
            let passes = arguments.filters[member.aggregate].as_ref().map(BooleanArray::values);
            match valid_rows(nulls.as_ref(), passes) {
                None => bits.iter_mut().for_each(|bits| *bits |= 1 << number),
                Some(valid) => valid.set_indices().for_each(|row| bits[row] |= 1 << number),
            }
        }
        Ok((as_kept(values, &self.data_type)?, bits))
    }
}

/// Floats as integers of the same bits.
fn as_kept(values: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if !values.data_type().is_floating() {
        return conform(values, data_type);
    }
    Ok(make_array(values.to_data().into_builder().data_type(data_type.clone()).build()?))
}

/// See the [module](self).
pub(super) struct DistinctValues {
    keys: KeyTable,
    /// Per key: the bits of the aggregates that have used it.
    used: Vec<i64>,
    /// Keys and bits that are new since changes were taken.
    unsaved: Vec<(u32, i64)>,
}

impl DistinctValues {
    /// Adds rows, and what is new of them to the aggregates.
    pub(super) fn update(
        &mut self,
        plan: &DistinctPlan,
        natives: &mut [Box<dyn NativeStates>],
        arguments: &Arguments,
        ids: &[u32],
    ) -> Result<()> {
        let (values, bits) = plan.rows(arguments, ids.len())?;
        if !bits.contains(&0) {
            return self.add(plan, natives, &values, &bits, ids);
        }
        let used: BooleanArray = BooleanBuffer::collect_bool(ids.len(), |row| bits[row] != 0).into();
        let rows = || used.values().set_indices();
        let (bits, ids): (Vec<i64>, Vec<u32>) = rows().map(|row| (bits[row], ids[row])).unzip();
        self.add(plan, natives, &filter(&values, &used)?, &bits, &ids)
    }

    /// Puts saved values back.
    pub(super) fn put_back(
        &mut self,
        plan: &DistinctPlan,
        natives: &mut [Box<dyn NativeStates>],
        saved: &WeightedValues,
    ) -> Result<()> {
        let all = (1 << plan.members.len()) - 1;
        if saved.weights.values().iter().any(|bits| bits & !all != 0) {
            return Err(Error::data("a saved value was used by an aggregate that is not there"));
        }
        self.add(plan, natives, &saved.values, saved.weights.values(), &saved.ids)?;
        self.unsaved.clear();
        Ok(())
    }

    fn add(
        &mut self,
        plan: &DistinctPlan,
        natives: &mut [Box<dyn NativeStates>],
        values: &ArrayRef,
        bits: &[i64],
        ids: &[u32],
    ) -> Result<()> {
        let groups: ArrayRef = Arc::new(UInt32Array::from(ids.to_vec()));
        let mut keys = Vec::new();
        self.keys.intern(&[groups, Arc::clone(values)], ids.len(), &mut keys)?;
        self.used.resize(self.keys.len(), 0);
        let mut new_rows = vec![Vec::new(); plan.members.len()];
        for (row, (key, bits)) in keys.iter().zip(bits).enumerate() {
            let used = &mut self.used[*key as usize];
            let mut new = bits & !*used;
            if new == 0 {
                continue;
            }
            *used |= new;
            self.unsaved.push((*key, new));
            while new != 0 {
                new_rows[new.trailing_zeros() as usize].push(row as u32);
                new &= new - 1;
            }
        }
        for (member, rows) in plan.members.iter().zip(new_rows).filter(|(_, rows)| !rows.is_empty()) {
            let ids: Vec<u32> = rows.iter().map(|row| ids[*row as usize]).collect();
            let values = take(values, &UInt32Array::from(rows), None)?;
            natives[member.native].update(&[values], None, &ids)?;
        }
        Ok(())
    }

    /// What has changed since the last call.
    pub(super) fn take_changes(&mut self) -> Result<WeightedValues> {
        let mut unsaved = std::mem::take(&mut self.unsaved);
        unsaved.sort_unstable();
        unsaved.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 |= if same { next.1 } else { 0 };
            same
        });
        let (keys, bits): (Vec<u32>, Vec<i64>) = unsaved.into_iter().unzip();
        self.weighted(&keys, bits)
    }

    /// Forgets what has changed.
    pub(super) fn forget_changes(&mut self) {
        self.unsaved.clear();
    }

    /// All values of all groups.
    pub(super) fn all(&self) -> Result<WeightedValues> {
        let keys: Vec<u32> = (0..self.used.len() as u32).collect();
        self.weighted(&keys, self.used.clone())
    }

    fn weighted(&self, keys: &[u32], bits: Vec<i64>) -> Result<WeightedValues> {
        let columns = self.keys.gather(keys)?;
        let [groups, values] = columns.as_slice() else {
            return Err(Error::internal("keys of values are not a group and a value"));
        };
        let ids = groups.as_primitive::<UInt32Type>().values().to_vec();
        Ok(WeightedValues { ids, values: Arc::clone(values), weights: Int64Array::from(bits) })
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let unsaved = self.unsaved.capacity() * size_of::<(u32, i64)>();
        size_of::<Self>() + self.keys.bytes() + self.used.capacity() * size_of::<i64>() + unsaved
    }
}
