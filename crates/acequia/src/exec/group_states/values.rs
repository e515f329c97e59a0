//! The values of groups with their weights, in order: what min, max and DISTINCT need once rows can be taken back.
//!
//! ```text
//! (group, value as a row of arrow) -> weight        the value is there while its weight is above 0
//! min, max    the ends of the group's range
//! DISTINCT    a value that comes or goes counts as one row of the inner aggregate that does, whatever its weight
//! ```
//! Memory per value of a group: its bytes and about 50. NULLs are never kept. What has changed is the delta of an
//! additive table; a weight may be below 0 within a batch, whose rows have no order, and never at its end.

use super::native::NativeStates;
use super::valid_rows;
use super::weighted::split_weights;
use crate::exec::key_table::conform;
use acequia_core::{Error, Result};
use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, UInt32Array, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, take};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// What is read from the values.
pub(super) enum Read {
    /// The first.
    Min,
    /// The last.
    Max,
    /// Each once, by this aggregate over rows with weights.
    Distinct(Box<dyn NativeStates>),
}

/// Values of groups, each with its weight.
pub(in crate::exec) struct WeightedValues {
    /// The group of each.
    pub(in crate::exec) ids: Vec<u32>,
    /// The values.
    pub(in crate::exec) values: ArrayRef,
    /// How often each is there, or what of that has changed.
    pub(in crate::exec) weights: Int64Array,
}

impl WeightedValues {
    /// Those of some groups.
    pub(in crate::exec) fn only(self, selected: impl Fn(&u32) -> bool) -> Result<Self> {
        let mask: BooleanArray = self.ids.iter().map(|id| Some(selected(id))).collect();
        if mask.true_count() == self.ids.len() {
            return Ok(self);
        }
        let kept: Vec<usize> = mask.values().set_indices().collect();
        let weights = kept.iter().map(|row| self.weights.value(*row)).collect();
        let values = filter(&self.values, &mask)?;
        Ok(Self { ids: kept.into_iter().map(|row| self.ids[row]).collect(), values, weights })
    }
}

/// See the [module](self).
pub(in crate::exec) struct Values {
    data_type: DataType,
    rows: RowConverter,
    /// NULL as a row, for groups without values.
    null: Box<[u8]>,
    weights: BTreeMap<Box<[u8]>, i64>,
    /// Bytes of the keys of `weights`.
    key_bytes: usize,
    /// Changes that the next delta has to say.
    unsaved: BTreeMap<Box<[u8]>, i64>,
    read: Read,
}

/// The group comes first in a key.
const GROUP: usize = size_of::<u32>();
/// What an entry of a B-tree takes beside the bytes that it points to.
const ENTRY: usize = 48;

impl Values {
    /// No values of this type.
    pub(super) fn try_new(data_type: &DataType, read: Read) -> Result<Self> {
        let rows = RowConverter::new(vec![SortField::new(data_type.clone())])?;
        let null = rows.convert_columns(&[new_null_array(data_type, 1)])?.row(0).data().into();
        Ok(Self {
            data_type: data_type.clone(),
            rows,
            null,
            weights: BTreeMap::new(),
            key_bytes: 0,
            unsaved: BTreeMap::new(),
            read,
        })
    }

    /// Puts saved values back.
    pub(in crate::exec) fn put_back(&mut self, saved: &WeightedValues) -> Result<()> {
        self.add(&saved.values, &saved.weights, None, &saved.ids)?;
        self.unsaved.clear();
        Ok(())
    }

    /// What has changed since the last call.
    pub(in crate::exec) fn take_changes(&mut self) -> Result<WeightedValues> {
        let unsaved = std::mem::take(&mut self.unsaved);
        self.decoded(
            unsaved.iter().filter(|(_, weight)| **weight != 0).map(|(key, weight)| (&**key, *weight)),
        )
    }

    /// Forgets what has changed.
    pub(super) fn forget_changes(&mut self) {
        self.unsaved.clear();
    }

    /// All values of all groups, in the order of groups.
    pub(in crate::exec) fn all(&self) -> Result<WeightedValues> {
        self.decoded(self.weights.iter().map(|(key, weight)| (&**key, *weight)))
    }

    fn decoded<'a>(&self, entries: impl Iterator<Item = (&'a [u8], i64)>) -> Result<WeightedValues> {
        let (mut ids, mut rows, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (key, weight) in entries {
            let (group, row) = key.split_first_chunk::<GROUP>().ok_or_else(short_key)?;
            ids.push(u32::from_be_bytes(*group));
            rows.push(row);
            weights.push(weight);
        }
        Ok(WeightedValues { ids, values: self.array(rows)?, weights: weights.into() })
    }

    fn array<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> Result<ArrayRef> {
        let parser = self.rows.parser();
        let columns = self.rows.convert_rows(rows.into_iter().map(|row| parser.parse(row)))?;
        let column = columns.first().ok_or_else(|| Error::internal("rows of values have no column"))?;
        conform(column, &self.data_type)
    }

    /// Adds the weights of values.
    fn add(
        &mut self,
        values: &ArrayRef,
        weights: &Int64Array,
        filter: Option<&BooleanBuffer>,
        ids: &[u32],
    ) -> Result<()> {
        let rows = self.rows.convert_columns(std::slice::from_ref(values))?;
        let valid = valid_rows(values.logical_nulls().as_ref(), filter);
        let valid = valid.unwrap_or_else(|| BooleanBuffer::new_set(ids.len()));
        let (mut turned, mut turns) = (Vec::new(), Vec::new());
        let mut key = Vec::new();
        for row in valid.set_indices() {
            key.clear();
            key.extend_from_slice(&ids[row].to_be_bytes());
            key.extend_from_slice(rows.row(row).data());
            let weight = weights.value(row);
            let (before, after) = self.add_to(&key, weight);
            match self.unsaved.get_mut(key.as_slice()) {
                Some(unsaved) => *unsaved += weight,
                None => drop(self.unsaved.insert(key.as_slice().into(), weight)),
            }
            if (before > 0) != (after > 0) {
                turned.push(row as u32);
                turns.push(if after > 0 { 1 } else { -1 });
            }
        }
        let Read::Distinct(inner) = &mut self.read else { return Ok(()) };
        if turned.is_empty() {
            return Ok(());
        }
        let ids: Vec<u32> = turned.iter().map(|row| ids[*row as usize]).collect();
        let values = take(values, &UInt32Array::from(turned), None)?;
        let turns = Int64Array::from(turns);
        inner.update(&[values, Arc::new(turns)], None, &ids)
    }

    /// The weight of a value before and after.
    fn add_to(&mut self, key: &[u8], weight: i64) -> (i64, i64) {
        if let Some(there) = self.weights.get_mut(key) {
            let before = *there;
            *there += weight;
            let after = *there;
            if after == 0 {
                self.weights.remove(key);
                self.key_bytes -= key.len();
            }
            return (before, after);
        }
        self.weights.insert(key.into(), weight);
        self.key_bytes += key.len();
        (0, weight)
    }

    /// The least or the greatest value of a group, as a row.
    fn end(&self, id: u32, last: bool) -> Option<&[u8]> {
        let first = id.to_be_bytes();
        let next = id.checked_add(1).map(u32::to_be_bytes);
        let from = Bound::Included(first.as_slice());
        let to = next.as_ref().map_or(Bound::Unbounded, |next| Bound::Excluded(next.as_slice()));
        let mut range = self.weights.range::<[u8], _>((from, to));
        let (key, _) = if last { range.next_back()? } else { range.next()? };
        key.get(GROUP..)
    }
}

fn short_key() -> Error {
    Error::internal("a value has no group")
}

impl NativeStates for Values {
    fn grow(&mut self, groups: usize) {
        if let Read::Distinct(inner) = &mut self.read {
            inner.grow(groups);
        }
    }

    fn update(&mut self, values: &[ArrayRef], filter: Option<&BooleanBuffer>, ids: &[u32]) -> Result<()> {
        let (values, weights) = split_weights(values)?;
        let value =
            values.first().ok_or_else(|| Error::internal("an aggregate of values has no argument"))?;
        self.add(&conform(value, &self.data_type)?, weights, filter, ids)
    }

    fn output(&self, ids: &[u32]) -> Result<ArrayRef> {
        let last = match &self.read {
            Read::Distinct(inner) => return inner.output(ids),
            Read::Min => false,
            Read::Max => true,
        };
        self.array(ids.iter().map(|id| self.end(*id, last).unwrap_or(&self.null)))
    }

    fn state(&self, _ids: &[u32], _columns: &mut Vec<ArrayRef>) -> Result<()> {
        Ok(())
    }

    fn width(&self) -> usize {
        0
    }

    fn restore(&mut self, _ids: &[u32], _columns: &[ArrayRef]) -> Result<()> {
        Ok(())
    }

    fn bytes(&self) -> usize {
        let inner = match &self.read {
            Read::Distinct(inner) => inner.bytes(),
            Read::Min | Read::Max => 0,
        };
        size_of::<Self>() + self.key_bytes + (self.weights.len() + self.unsaved.len()) * ENTRY + inner
    }

    fn values(&self) -> Option<&Values> {
        Some(self)
    }

    fn values_mut(&mut self) -> Option<&mut Values> {
        Some(self)
    }
}
