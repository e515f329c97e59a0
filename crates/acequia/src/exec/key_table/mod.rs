//! The hash table from the values of key columns to dense group ids, and back.
//!
//! Group ids count from 0 in the order of first sight, and keys can be read by id at any time, unlike DataFusion's
//! `GroupValues`, which only drain. Three forms: one primitive column, one string or binary column, and the bytes of
//! [`arrow::row`] for everything else. Rows are interned a batch at a time, without an allocation per row.
//!
//! Equality is DataFusion's own in `GROUP BY`: NULLs are one group, -0.0 is 0.0, and NaNs are equal when their bits
//! are. Memory is about 7-11 bytes per group for the table, plus the key (8 bytes more per string or row key).

#[cfg(test)]
mod tests;

use crate::error::from_datafusion;
use acequia_core::{Error, Result};
use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BinaryViewBuilder, GenericByteArray,
    PrimitiveArray, downcast_primitive,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{ByteArrayType, DataType, GenericBinaryType, ToByteSlice};
use arrow::row::{RowConverter, SortField};
use datafusion::common::utils::normalize_float_zero;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::sync::Arc;

/// What is the same for all tables over the same key columns.
#[derive(Clone)]
pub(super) struct KeyLayout {
    types: Vec<DataType>,
    rows: Option<Arc<RowConverter>>,
}

impl KeyLayout {
    /// The layout for keys of these columns.
    pub(super) fn try_new(types: Vec<DataType>) -> Result<Self> {
        let narrow = match types.as_slice() {
            [] => true,
            [one] => one.is_primitive() || is_bytes(one),
            _ => false,
        };
        let rows = if narrow { None } else { Some(Arc::new(row_converter(&types)?)) };
        Ok(Self { types, rows })
    }

    /// An empty table.
    pub(super) fn table(&self) -> KeyTable {
        let keys: Box<dyn Keys> = match (self.types.as_slice(), &self.rows) {
            (_, Some(converter)) => Box::new(RowKeys {
                converter: Arc::clone(converter),
                types: self.types.clone(),
                table: ByteTable::default(),
            }),
            ([one], None) => narrow_keys(one),
            _ => Box::new(UnitKeys { seen: false }),
        };
        KeyTable { keys }
    }
}

/// See the [module](self).
pub(super) struct KeyTable {
    keys: Box<dyn Keys>,
}

impl KeyTable {
    /// Appends the group id of each of the `rows` rows, giving new ones where a key is seen for the first time.
    pub(super) fn intern(&mut self, columns: &[ArrayRef], rows: usize, ids: &mut Vec<u32>) -> Result<()> {
        if self.keys.len() + rows > u32::MAX as usize {
            return Err(Error::resource_exhausted("a window or query has more than 4 billion groups"));
        }
        ids.reserve(rows);
        self.keys.intern(columns, rows, ids)
    }

    /// The key columns of these groups.
    pub(super) fn gather(&self, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        self.keys.gather(ids)
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.keys.bytes()
    }
}

trait Keys: Send {
    fn intern(&mut self, columns: &[ArrayRef], rows: usize, ids: &mut Vec<u32>) -> Result<()>;
    fn gather(&self, ids: &[u32]) -> Result<Vec<ArrayRef>>;
    fn len(&self) -> usize;
    fn bytes(&self) -> usize;
}

/// Whether values are strings of bytes or characters.
pub(super) fn is_bytes(data_type: &DataType) -> bool {
    use DataType::*;
    matches!(data_type, Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView)
}

fn row_converter(types: &[DataType]) -> Result<RowConverter> {
    let fields: Vec<_> = types.iter().map(|t| SortField::new(t.clone())).collect();
    if !RowConverter::supports_fields(&fields) {
        let types: Vec<_> = types.iter().map(ToString::to_string).collect();
        return Err(Error::unsupported(format!("cannot group by these types: {}", types.join(", "))));
    }
    Ok(RowConverter::new(fields)?)
}

fn narrow_keys(data_type: &DataType) -> Box<dyn Keys> {
    macro_rules! primitive {
        ($t:ty) => {
            Box::new(PrimitiveKeys::<$t> {
                data_type: data_type.clone(),
                slots: HashTable::new(),
                values: Vec::new(),
                null: None,
            })
        };
    }
    downcast_primitive! {
        data_type => (primitive),
        _ => Box::new(BytesKeys { data_type: data_type.clone(), table: ByteTable::default(), null: None })
    }
}

/// No key columns: one group, there as soon as there is a row.
struct UnitKeys {
    seen: bool,
}

impl Keys for UnitKeys {
    fn intern(&mut self, _columns: &[ArrayRef], rows: usize, ids: &mut Vec<u32>) -> Result<()> {
        self.seen |= rows > 0;
        ids.resize(ids.len() + rows, 0);
        Ok(())
    }

    fn gather(&self, _ids: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(Vec::new())
    }

    fn len(&self) -> usize {
        usize::from(self.seen)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
fn mix(value: u64) -> u64 {
    let product = u128::from(value ^ SEED) * 0xa076_1d64_78bd_642f_u128;
    (product as u64) ^ ((product >> 64) as u64)
}

/// A hash with a fixed seed, a word at a time.
#[inline]
fn hash_bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let state =
        words.iter().fold(mix(bytes.len() as u64), |state, word| mix(state ^ u64::from_le_bytes(*word)));
    if rest.is_empty() {
        return state;
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(state ^ u64::from_le_bytes(last))
}

#[inline]
fn hash_native<N: ArrowNativeTypeOp>(value: N) -> u64 {
    hash_bytes(value.to_byte_slice())
}

/// The representative of the values that `GROUP BY` takes for equal: 0.0 stands for -0.0.
#[inline]
fn canonical<N: ArrowNativeTypeOp>(value: N) -> N {
    if value.is_zero() { N::ZERO } else { value }
}

struct PrimitiveKeys<T: ArrowPrimitiveType> {
    data_type: DataType,
    slots: HashTable<u32>,
    values: Vec<T::Native>,
    null: Option<u32>,
}

impl<T: ArrowPrimitiveType> PrimitiveKeys<T>
where
    T::Native: ArrowNativeTypeOp,
{
    #[inline]
    fn id_of(&mut self, key: T::Native) -> u32 {
        let key = canonical(key);
        let Self { slots, values, .. } = self;
        let same = |id: &u32| values[*id as usize].is_eq(key);
        match slots.entry(hash_native(key), same, |id| hash_native(values[*id as usize])) {
            Entry::Occupied(slot) => *slot.get(),
            Entry::Vacant(slot) => {
                let id = values.len() as u32;
                slot.insert(id);
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
}

/// The null mask of gathered keys: only the null group is NULL.
fn nulls_at(ids: &[u32], null: Option<u32>) -> Option<NullBuffer> {
    let null = null?;
    let valid = NullBuffer::new(BooleanBuffer::collect_bool(ids.len(), |i| ids[i] != null));
    (valid.null_count() > 0).then_some(valid)
}

fn wrong_key(columns: &[ArrayRef]) -> Error {
    let types: Vec<_> = columns.iter().map(|c| c.data_type().to_string()).collect();
    Error::internal(format!(
        "key columns are not of the types that the table was made for: {}",
        types.join(", ")
    ))
}

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

struct BytesKeys {
    data_type: DataType,
    table: ByteTable,
    null: Option<u32>,
}

impl BytesKeys {
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
}

struct RowKeys {
    converter: Arc<RowConverter>,
    types: Vec<DataType>,
    table: ByteTable,
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
}

/// The array as exactly this type; functions of DataFusion differ from their declared type in dictionary encoding and
/// in the nullability of nested fields.
pub(super) fn conform(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    let cast = cast(array, data_type).map_err(|error| from_datafusion(error.into()))?;
    Ok(cast)
}
