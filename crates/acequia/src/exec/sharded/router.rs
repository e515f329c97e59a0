//! Which shard a row belongs to: a hash of its key, the same for rows that are pushed and for saved rows.
//!
//! Keys that an operator takes for equal have equal hashes here, since they are brought into the form of its own
//! [`KeyTable`](crate::exec::key_table): the declared type whatever the encoding (dictionary, view), and 0.0 for -0.0.
//! DataFusion then hashes them column by column; nested ones as [`arrow::row`] writes them, in which NULL is a value
//! like any other.
//!
//! It is part of no format: saved state knows nothing of shards, and its rows are routed again whenever they are put
//! back. So another version may hash in another way, and another run may have another number of shards.

use crate::error::from_datafusion;
use crate::exec::aggregate::times_in;
use crate::exec::key_table::{conform, is_bytes};
use crate::exec::route::{RouteColumn, RouteValue};
use crate::exec::{Prepare, Prepared};
use acequia_core::{Error, Result};
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::hash_utils::{QualityRandomState, create_hashes};
use datafusion::common::utils::normalize_float_zero;
use std::sync::Arc;

/// The type in which a column of the key is saved.
fn saved_type(column: &RouteColumn) -> DataType {
    match &column.value {
        RouteValue::Plain(data_type) => data_type.clone(),
        RouteValue::Time { .. } => DataType::Int64,
    }
}

/// What is saved of a column of pushed rows.
fn to_saved(column: &RouteColumn, pushed: &ArrayRef) -> Result<ArrayRef> {
    match &column.value {
        RouteValue::Plain(_) => Ok(Arc::clone(pushed)),
        RouteValue::Time { field } => Ok(Arc::new(times_in(pushed, *field)?)),
    }
}

/// A part of some rows, and the shard that it belongs to.
pub(super) type Part = (usize, RecordBatch);

/// See the [module](self).
pub(super) struct Router {
    /// Each column of the key, and where rows that are pushed have it.
    columns: Vec<(RouteColumn, usize)>,
    types: Vec<DataType>,
    /// Writes keys that are nested.
    nested: Option<RowConverter>,
    shards: usize,
}

/// Another one than DataFusion has in its hash tables, which hold keys of one shard.
const HASH: QualityRandomState = QualityRandomState::with_seed(0x5eed_0f5a_4d5a_11ed);

impl Router {
    /// Routes by these columns, each with its place in the rows that are pushed.
    pub(super) fn try_new(columns: Vec<(RouteColumn, usize)>, shards: usize) -> Result<Self> {
        let types: Vec<DataType> = columns.iter().map(|(column, _)| saved_type(column)).collect();
        let flat = |data_type: &DataType| data_type.is_primitive() || is_bytes(data_type);
        let nested = if types.iter().all(flat) {
            None
        } else {
            let fields = types.iter().map(|data_type| SortField::new(data_type.clone())).collect();
            Some(RowConverter::new(fields)?)
        };
        Ok(Self { columns, types, nested, shards })
    }

    /// How many shards there are.
    pub(super) fn shards(&self) -> usize {
        self.shards
    }

    /// Rows that are pushed, by shard.
    pub(super) fn pushed(&self, rows: RecordBatch) -> Result<Vec<Part>> {
        let key = self.key_of(&rows)?;
        self.split(rows, key)
    }

    fn key_of(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
        self.columns.iter().map(|(column, place)| to_saved(column, rows.column(*place))).collect()
    }

    /// Rows of a keyed state table, by shard.
    pub(super) fn saved(&self, rows: RecordBatch) -> Result<Vec<Part>> {
        let column = |(column, _): &(RouteColumn, usize)| rows.columns().get(column.saved).cloned();
        let key = self.columns.iter().map(column).collect::<Option<_>>();
        let key = key.ok_or_else(|| Error::data("saved rows lack columns of their key"))?;
        self.split(rows, key)
    }

    /// The shards' parts in ascending order, each in the order of the rows.
    fn split(&self, rows: RecordBatch, key: Vec<ArrayRef>) -> Result<Vec<Part>> {
        let shards: Vec<u16> = self.hashes(key)?.into_iter().map(|hash| self.shard_of(hash)).collect();
        let mut ends = vec![0_usize; self.shards];
        shards.iter().for_each(|shard| ends[*shard as usize] += 1);
        if let Some(only) = ends.iter().position(|count| *count == shards.len()) {
            return Ok(vec![(only, rows)]);
        }
        let starts = ends.iter().scan(0, |at, rows| Some(std::mem::replace(at, *at + rows)));
        let starts: Vec<usize> = starts.collect();
        ends.clone_from(&starts);
        let mut order = vec![0_u32; shards.len()];
        for (row, shard) in shards.iter().enumerate() {
            let end = &mut ends[*shard as usize];
            order[*end] = row as u32;
            *end += 1;
        }
        let sorted = take_record_batch(&rows, &UInt32Array::from(order))?;
        let parts = starts.into_iter().zip(ends).enumerate().filter(|(_, (start, end))| start < end);
        Ok(parts.map(|(shard, (start, end))| (shard, sorted.slice(start, end - start))).collect())
    }

    /// How many different keys pushed rows have; two with the same hash count as one.
    pub(super) fn count_keys(&self, rows: RecordBatch) -> Result<usize> {
        let mut hashes = self.hashes(self.key_of(&rows)?)?;
        hashes.sort_unstable();
        hashes.dedup();
        Ok(hashes.len())
    }

    fn hashes(&self, key: Vec<ArrayRef>) -> Result<Vec<u64>> {
        let canonical = |(column, data_type)| Ok(normalize_float_zero(&conform(column, data_type)?));
        let key = key.iter().zip(&self.types).map(canonical).collect::<Result<Vec<_>>>()?;
        let key = match &self.nested {
            Some(nested) => vec![Arc::new(nested.convert_columns(&key)?.try_into_binary()?) as ArrayRef],
            None => key,
        };
        let mut hashes = vec![0; key.first().map_or(0, |column| column.len())];
        create_hashes(&key, &HASH, &mut hashes).map_err(from_datafusion)?;
        Ok(hashes)
    }

    #[inline]
    fn shard_of(&self, hash: u64) -> u16 {
        // The upper half of the product spreads hashes evenly over any number of shards.
        ((u128::from(hash) * self.shards as u128) >> 64) as u16
    }
}

impl Prepare for Router {
    fn prepare(&self, rows: RecordBatch, _busy: bool) -> Result<Vec<Prepared>> {
        let parts = self.pushed(rows)?.into_iter();
        Ok(parts.map(|(shard, rows)| Prepared::Shard(shard, rows)).collect())
    }
}
