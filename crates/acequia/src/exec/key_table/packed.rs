//! Keys of several primitive columns of up to eight bytes each: a word per column.

use super::{Keys, conform, mix, wrong_key};
use acequia_core::Result;
use arrow::array::{Array, ArrayData, ArrayRef, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::DataType;
use datafusion::common::utils::normalize_float_zero;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Whether columns of these types can be packed.
pub(super) fn fits(types: &[DataType]) -> bool {
    (2..=4).contains(&types.len())
        && types.iter().all(|t| t.primitive_width().is_some_and(|width| width <= 8))
}

/// The values of a key, and a bit for each that is NULL, whose word is 0.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key<const N: usize> {
    words: [u64; N],
    nulls: u32,
}

impl<const N: usize> Key<N> {
    #[inline]
    fn hash(&self) -> u64 {
        self.words.iter().fold(mix(u64::from(self.nulls)), |state, word| mix(state ^ word))
    }
}

/// See the [module](self).
pub(super) struct PackedKeys<const N: usize> {
    types: Vec<DataType>,
    /// Each key with its id.
    slots: HashTable<(Key<N>, u32)>,
    keys: Vec<Key<N>>,
}

impl<const N: usize> PackedKeys<N> {
    /// An empty table of keys of these types, of which there are `N`.
    pub(super) fn new(types: &[DataType]) -> Self {
        Self { types: types.to_vec(), slots: HashTable::new(), keys: Vec::new() }
    }

    #[inline]
    fn id_of(&mut self, key: Key<N>) -> u32 {
        match self.slots.entry(key.hash(), |(held, _)| *held == key, |(held, _)| held.hash()) {
            Entry::Occupied(slot) => slot.get().1,
            Entry::Vacant(slot) => {
                let id = self.keys.len() as u32;
                slot.insert((key, id));
                self.keys.push(key);
                id
            }
        }
    }

    fn gather_column(&self, column: usize, ids: &[u32]) -> Result<ArrayRef> {
        let data_type = &self.types[column];
        let words = ids.iter().map(|id| self.keys[*id as usize].words[column]);
        let values = match data_type.primitive_width() {
            Some(1) => Buffer::from_vec(words.map(|word| word as u8).collect::<Vec<_>>()),
            Some(2) => Buffer::from_vec(words.map(|word| word as u16).collect::<Vec<_>>()),
            Some(4) => Buffer::from_vec(words.map(|word| word as u32).collect::<Vec<_>>()),
            _ => Buffer::from_vec(words.collect::<Vec<_>>()),
        };
        let is_null = |id: &u32| self.keys[*id as usize].nulls & (1 << column) != 0;
        let valid = NullBuffer::new(BooleanBuffer::collect_bool(ids.len(), |row| !is_null(&ids[row])));
        let nulls = Some(valid).filter(|valid| valid.null_count() > 0);
        let data = ArrayData::builder(data_type.clone()).len(ids.len()).add_buffer(values);
        Ok(make_array(data.nulls(nulls).build()?))
    }
}

/// Writes the values of a column into the n-th word of each key.
fn pack<const N: usize>(column: &ArrayRef, place: usize, keys: &mut [Key<N>]) {
    let data = column.to_data();
    let mut write = |values: &mut dyn Iterator<Item = u64>| {
        keys.iter_mut().zip(values).for_each(|(key, word)| key.words[place] = word);
    };
    match column.data_type().primitive_width() {
        Some(1) => write(&mut data.buffer::<u8>(0).iter().map(|value| u64::from(*value))),
        Some(2) => write(&mut data.buffer::<u16>(0).iter().map(|value| u64::from(*value))),
        Some(4) => write(&mut data.buffer::<u32>(0).iter().map(|value| u64::from(*value))),
        _ => keys.iter_mut().zip(data.buffer::<u64>(0)).for_each(|(key, word)| key.words[place] = *word),
    }
    if let Some(nulls) = column.nulls().filter(|nulls| nulls.null_count() > 0) {
        for (_, key) in keys.iter_mut().enumerate().filter(|(row, _)| nulls.is_null(*row)) {
            key.words[place] = 0;
            key.nulls |= 1 << place;
        }
    }
}

impl<const N: usize> Keys for PackedKeys<N> {
    fn intern(&mut self, columns: &[ArrayRef], rows: usize, ids: &mut Vec<u32>) -> Result<()> {
        if columns.len() != N || columns.iter().any(|column| column.len() != rows) {
            return Err(wrong_key(columns));
        }
        let mut keys = vec![Key { words: [0; N], nulls: 0 }; rows];
        for (place, (column, data_type)) in columns.iter().zip(&self.types).enumerate() {
            pack(&normalize_float_zero(&conform(column, data_type)?), place, &mut keys);
        }
        ids.extend(keys.into_iter().map(|key| self.id_of(key)));
        Ok(())
    }

    fn gather(&self, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        (0..N).map(|column| self.gather_column(column, ids)).collect()
    }

    fn len(&self) -> usize {
        self.keys.len()
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.slots.allocation_size() + self.keys.capacity() * size_of::<Key<N>>()
    }

    fn clear(&mut self) {
        self.slots.clear();
        self.keys.clear();
    }
}
