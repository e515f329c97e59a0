//! The hash table from the values of key columns to dense group ids, and back.
//!
//! Group ids count from 0 in the order of first sight, and keys can be read by id at any time, unlike DataFusion's
//! `GroupValues`, which only drain. Four forms: one primitive column ([`primitive`]), two to four of up to eight bytes
//! ([`packed`]), one string or binary column, and the bytes of [`arrow::row`] for everything else ([`bytes`]). Rows are
//! interned a batch at a time, without an allocation per row.
//!
//! Equality is DataFusion's own in `GROUP BY`: NULLs are one group, -0.0 is 0.0, and NaNs are equal when their bits
//! are. Fixed-width keys are in the table itself too, which saves a cache miss per row: memory is twice the key and
//! about 7-20 bytes per group; of other keys once the key and 15-19 bytes.

mod bytes;
mod packed;
mod primitive;
#[cfg(test)]
mod tests;

use crate::error::from_datafusion;
use acequia_core::{Error, Result};
use arrow::array::{ArrayRef, downcast_primitive};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use bytes::{BytesKeys, RowKeys};
use packed::PackedKeys;
use primitive::PrimitiveKeys;
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
            several => packed::fits(several),
        };
        let rows = if narrow { None } else { Some(Arc::new(row_converter(&types)?)) };
        Ok(Self { types, rows })
    }

    /// An empty table.
    pub(super) fn table(&self) -> KeyTable {
        let keys: Box<dyn Keys> = match (self.types.as_slice(), &self.rows) {
            (types, Some(converter)) => Box::new(RowKeys::new(Arc::clone(converter), types.to_vec())),
            ([], None) => Box::new(UnitKeys { seen: false }),
            ([one], None) => narrow_keys(one),
            (types @ [_, _], None) => Box::new(PackedKeys::<2>::new(types)),
            (types @ [_, _, _], None) => Box::new(PackedKeys::<3>::new(types)),
            (types, None) => Box::new(PackedKeys::<4>::new(types)),
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

    /// Forgets all keys, not their memory.
    pub(super) fn clear(&mut self) {
        self.keys.clear();
    }
}

trait Keys: Send {
    fn intern(&mut self, columns: &[ArrayRef], rows: usize, ids: &mut Vec<u32>) -> Result<()>;
    fn gather(&self, ids: &[u32]) -> Result<Vec<ArrayRef>>;
    fn len(&self) -> usize;
    fn bytes(&self) -> usize;
    fn clear(&mut self);
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
            Box::new(PrimitiveKeys::<$t>::new(data_type))
        };
    }
    downcast_primitive! {
        data_type => (primitive),
        _ => Box::new(BytesKeys::new(data_type))
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

    fn clear(&mut self) {
        self.seen = false;
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

/// The array as exactly this type; functions of DataFusion differ from their declared type in dictionary encoding and
/// in the nullability of nested fields.
pub(super) fn conform(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    let cast = cast(array, data_type).map_err(|error| from_datafusion(error.into()))?;
    Ok(cast)
}
