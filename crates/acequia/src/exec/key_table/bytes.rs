//! Keys of any length: bytes that stand one after the other in one buffer.

use super::{Keys, conform, hash_bytes, nulls_at, wrong_key};
use acequia_core::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, BinaryViewBuilder, GenericByteArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{ByteArrayType, DataType, GenericBinaryType};
use arrow::row::RowConverter;
use datafusion::common::utils::normalize_float_zero;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::sync::Arc;

#[derive(Clone, Copy)]
struct Slot {
    tag: u32,
    id: u32,
}

/// Byte strings with dense ids, one after the other in one buffer.
#[derive(Default)]
struct ByteTable {
    slots: HashTable<Slot>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl ByteTable {
    #[inline]
    fn id_of(&mut self, key: &[u8]) -> u32 {
        let hash = hash_bytes(key);
        let tag = (hash >> 32) as u32;
        let Self { slots, bytes, ends } = self;
        let same = |slot: &Slot| slot.tag == tag && slice(bytes, ends, slot.id) == key;
        match slots.entry(hash, same, |slot| hash_bytes(slice(bytes, ends, slot.id))) {
            Entry::Occupied(slot) => slot.get().id,
            Entry::Vacant(slot) => {
                let id = ends.len() as u32;
                slot.insert(Slot { tag, id });
                bytes.extend_from_slice(key);
                ends.push(bytes.len());
                id
            }
        }
    }

    /// An id that no key has, for NULL.
    fn unkeyed_id(&mut self) -> u32 {
        self.ends.push(self.bytes.len());
        (self.ends.len() - 1) as u32
    }

    fn get(&self, id: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, id)
    }

    fn clear(&mut self) {
        self.slots.clear();
        self.bytes.clear();
        self.ends.clear();
    }

    fn size(&self) -> usize {
        self.slots.allocation_size() + self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

#[inline]
fn slice<'a>(bytes: &'a [u8], ends: &[usize], id: u32) -> &'a [u8] {
    let id = id as usize;
    let start = if id == 0 { 0 } else { ends[id - 1] };
    &bytes[start..ends[id]]
}

/// Keys of one string or binary column.
pub(super) struct BytesKeys {
    data_type: DataType,
    table: ByteTable,
    null: Option<u32>,
}

impl BytesKeys {
    /// An empty table of keys of this type.
    pub(super) fn new(data_type: &DataType) -> Self {
        Self { data_type: data_type.clone(), table: ByteTable::default(), null: None }
    }

    fn extend<'a>(&mut self, keys: impl Iterator<Item = Option<&'a [u8]>>, ids: &mut Vec<u32>) {
        ids.extend(keys.map(|key| match key {
            Some(key) => self.table.id_of(key),
            None => *self.null.get_or_insert_with(|| self.table.unkeyed_id()),
        }));
    }

    fn build<T: ByteArrayType>(&self, ids: &[u32]) -> Result<GenericByteArray<T>> {
        let lengths = || ids.iter().map(|id| self.table.get(*id).len());
        if lengths().sum::<usize>() > i32::MAX as usize {
            return Err(Error::resource_exhausted("the keys of one output batch are larger than 2 GiB"));
        }
        let mut values = Vec::with_capacity(lengths().sum());
        ids.iter().for_each(|id| values.extend_from_slice(self.table.get(*id)));
        let offsets = OffsetBuffer::<T::Offset>::from_lengths(lengths());
        let nulls = nulls_at(ids, self.null);
        Ok(GenericByteArray::try_new(offsets, Buffer::from_vec(values), nulls)?)
    }

    fn build_view(&self, ids: &[u32]) -> arrow::array::BinaryViewArray {
        let mut builder = BinaryViewBuilder::with_capacity(ids.len());
        for id in ids {
            if Some(*id) == self.null {
                builder.append_null();
            } else {
                builder.append_value(self.table.get(*id));
            }
        }
        builder.finish()
    }
}

impl Keys for BytesKeys {
    fn intern(&mut self, columns: &[ArrayRef], _rows: usize, ids: &mut Vec<u32>) -> Result<()> {
        let [column] = columns else { return Err(wrong_key(columns)) };
        if column.data_type() != &self.data_type {
            return Err(wrong_key(columns));
        }
        match &self.data_type {
            DataType::Utf8 => {
                self.extend(column.as_string::<i32>().iter().map(|k| k.map(str::as_bytes)), ids)
            }
            DataType::LargeUtf8 => {
                self.extend(column.as_string::<i64>().iter().map(|k| k.map(str::as_bytes)), ids)
            }
            DataType::Utf8View => {
                self.extend(column.as_string_view().iter().map(|k| k.map(str::as_bytes)), ids)
            }
            DataType::Binary => self.extend(column.as_binary::<i32>().iter(), ids),
            DataType::LargeBinary => self.extend(column.as_binary::<i64>().iter(), ids),
            DataType::BinaryView => self.extend(column.as_binary_view().iter(), ids),
            _ => return Err(wrong_key(columns)),
        }
        Ok(())
    }

    fn gather(&self, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        use arrow::datatypes::{LargeUtf8Type, Utf8Type};
        let array: ArrayRef = match &self.data_type {
            DataType::Utf8 => Arc::new(self.build::<Utf8Type>(ids)?),
            DataType::LargeUtf8 => Arc::new(self.build::<LargeUtf8Type>(ids)?),
            DataType::Binary => Arc::new(self.build::<GenericBinaryType<i32>>(ids)?),
            DataType::LargeBinary => Arc::new(self.build::<GenericBinaryType<i64>>(ids)?),
            DataType::BinaryView => Arc::new(self.build_view(ids)),
            _ => Arc::new(self.build_view(ids).to_string_view()?),
        };
        Ok(vec![array])
    }

    fn len(&self) -> usize {
        self.table.ends.len()
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.table.size()
    }

    fn clear(&mut self) {
        self.table.clear();
        self.null = None;
    }
}

/// Keys of any columns, in the row format.
pub(super) struct RowKeys {
    converter: Arc<RowConverter>,
    types: Vec<DataType>,
    table: ByteTable,
}

impl RowKeys {
    /// An empty table of keys that the converter writes.
    pub(super) fn new(converter: Arc<RowConverter>, types: Vec<DataType>) -> Self {
        Self { converter, types, table: ByteTable::default() }
    }
}

impl Keys for RowKeys {
    fn intern(&mut self, columns: &[ArrayRef], _rows: usize, ids: &mut Vec<u32>) -> Result<()> {
        let columns = columns.iter().zip(&self.types).map(|(column, t)| conform(column, t));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let columns: Vec<_> = columns.iter().map(normalize_float_zero).collect();
        let rows = self.converter.convert_columns(&columns)?;
        ids.extend(rows.iter().map(|row| self.table.id_of(row.data())));
        Ok(())
    }

    fn gather(&self, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        let columns = self.converter.convert_rows(ids.iter().map(|id| parser.parse(self.table.get(*id))))?;
        // The row format decodes dictionaries and run-ends as plain values.
        columns.iter().zip(&self.types).map(|(column, t)| conform(column, t)).collect()
    }

    fn len(&self) -> usize {
        self.table.ends.len()
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.table.size()
    }

    fn clear(&mut self) {
        self.table.clear();
    }
}
