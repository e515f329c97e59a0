//! Keys of one primitive column.

use super::{Keys, hash_bytes, nulls_at, wrong_key};
use acequia_core::Result;
use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, ToByteSlice};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::sync::Arc;

#[inline]
fn hash_native<N: ArrowNativeTypeOp>(value: N) -> u64 {
    hash_bytes(value.to_byte_slice())
}

/// The representative of the values that `GROUP BY` takes for equal: 0.0 stands for -0.0.
#[inline]
fn canonical<N: ArrowNativeTypeOp>(value: N) -> N {
    if value.is_zero() { N::ZERO } else { value }
}

/// See the [module](self).
pub(super) struct PrimitiveKeys<T: ArrowPrimitiveType> {
    data_type: DataType,
    /// Each key with its id.
    slots: HashTable<(T::Native, u32)>,
    values: Vec<T::Native>,
    null: Option<u32>,
}

impl<T: ArrowPrimitiveType> PrimitiveKeys<T>
where
    T::Native: ArrowNativeTypeOp,
{
    /// An empty table of keys of this type.
    pub(super) fn new(data_type: &DataType) -> Self {
        Self { data_type: data_type.clone(), slots: HashTable::new(), values: Vec::new(), null: None }
    }

    #[inline]
    fn id_of(&mut self, key: T::Native) -> u32 {
        let key = canonical(key);
        let Self { slots, values, .. } = self;
        match slots.entry(hash_native(key), |(held, _)| held.is_eq(key), |(held, _)| hash_native(*held)) {
            Entry::Occupied(slot) => slot.get().1,
            Entry::Vacant(slot) => {
                let id = values.len() as u32;
                slot.insert((key, id));
                values.push(key);
                id
            }
        }
    }

    fn null_id(&mut self) -> u32 {
        *self.null.get_or_insert_with(|| {
            self.values.push(T::Native::default());
            (self.values.len() - 1) as u32
        })
    }
}

impl<T: ArrowPrimitiveType> Keys for PrimitiveKeys<T>
where
    T::Native: ArrowNativeTypeOp,
{
    fn intern(&mut self, columns: &[ArrayRef], _rows: usize, ids: &mut Vec<u32>) -> Result<()> {
        let array =
            columns.first().and_then(|c| c.as_primitive_opt::<T>()).ok_or_else(|| wrong_key(columns))?;
        if array.null_count() == 0 {
            ids.extend(array.values().iter().map(|key| self.id_of(*key)));
        } else {
            ids.extend(array.iter().map(|key| match key {
                Some(key) => self.id_of(key),
                None => self.null_id(),
            }));
        }
        Ok(())
    }

    fn gather(&self, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        let values: ScalarBuffer<T::Native> = ids.iter().map(|id| self.values[*id as usize]).collect();
        let array = PrimitiveArray::<T>::new(values, nulls_at(ids, self.null));
        Ok(vec![Arc::new(array.with_data_type(self.data_type.clone()))])
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.slots.allocation_size() + self.values.capacity() * size_of::<T::Native>()
    }

    fn clear(&mut self) {
        self.slots.clear();
        self.values.clear();
        self.null = None;
    }
}
