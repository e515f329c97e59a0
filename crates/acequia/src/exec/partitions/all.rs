//! Partitions of which the relation sees all rows: a [`RowStore`] by partition.

use super::{Kept, PartitionsSpec, ROWS, Seen};
use crate::exec::delta::{Delta, encode};
use crate::exec::row_bytes::RowBytes;
use crate::exec::row_store::{Cursor, RowStore, RowStoreSpec, SavedRows, hash_keys};
use acequia_core::Result;
use acequia_core::state::{TableDef, TableDelta};
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{take, take_record_batch};
use datafusion::common::utils::normalize_float_zero;
use hashbrown::HashSet;
use std::sync::Arc;

/// So many rows of touched partitions are looked up at a time.
const LOOKUP_ROWS: usize = 64 * 1024;

/// See the [module](self).
pub(super) struct AllRows {
    partition: Vec<usize>,
    /// Orders rows.
    bytes: RowBytes,
    store: RowStore,
    saved: SavedRows,
}

impl AllRows {
    pub(super) fn try_new(spec: &PartitionsSpec) -> Result<Self> {
        let bytes = RowBytes::try_new(&spec.schema, &spec.all_columns())?;
        let store = RowStore::new(RowStoreSpec {
            schema: Arc::clone(&spec.schema),
            key: spec.partition.clone(),
            nulls_equal: true,
            leave: spec.retracting,
            degree: false,
            time: spec.time.as_ref().map(|time| (time.column, time.field)),
        })?;
        let saved = SavedRows::new(spec.operator, ROWS, &store);
        Ok(Self { partition: spec.partition.clone(), bytes, store, saved })
    }

    /// All rows of the partitions that these rows are in.
    fn touched(&self, delta: &Delta) -> Result<Delta> {
        let key = |column: &usize| normalize_float_zero(delta.rows.column(*column));
        let mut keys: Vec<ArrayRef> = self.partition.iter().map(key).collect();
        let mut count = 1;
        if !keys.is_empty() {
            let encoded = encode(&keys)?;
            let mut seen = HashSet::with_capacity(delta.len());
            let first: Vec<u32> = (0..delta.len() as u32)
                .filter(|row| seen.insert(encoded.row(*row as usize).data()))
                .collect();
            count = first.len();
            let first = UInt32Array::from(first);
            keys = keys
                .iter()
                .map(|column| take(column, &first, None))
                .collect::<std::result::Result<_, _>>()?;
        }
        let hashes = hash_keys(&keys, count)?;
        let mut ids = Vec::new();
        let mut cursor = Cursor::default();
        while let Some(found) = self.store.matches(&keys, &hashes, &mut cursor, LOOKUP_ROWS)? {
            ids.extend(found.stored);
        }
        self.store.delta_of(&ids)
    }

    /// Rows in order, each as often as its weight says.
    fn in_order(&self, rows: Delta) -> Result<RecordBatch> {
        let encoded = self.bytes.encode(&rows.rows)?;
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        order.sort_unstable_by(|a, b| encoded.row(*a as usize).cmp(&encoded.row(*b as usize)));
        let copies = |row: u32| std::iter::repeat_n(row, rows.weights[row as usize].max(0) as usize);
        let order: UInt32Array = order.into_iter().flat_map(copies).collect();
        Ok(take_record_batch(&rows.rows, &order)?)
    }
}

impl Kept for AllRows {
    fn change(&mut self, delta: Delta, durable: bool) -> Result<Seen> {
        let old = self.touched(&delta)?;
        self.store(&delta, durable)?;
        let new = if old.len() == 0 { delta } else { old.clone().plus(delta)?.consolidated()? };
        Ok(Seen { before: self.in_order(old)?, after: self.in_order(new)? })
    }

    fn store(&mut self, delta: &Delta, durable: bool) -> Result<()> {
        if delta.len() > 0 { self.saved.apply(&mut self.store, delta, durable) } else { Ok(()) }
    }

    fn leave(&mut self, bound: i64, durable: bool) -> Result<Option<RecordBatch>> {
        let ids = self.store.below(bound)?;
        if ids.is_empty() {
            return Ok(None);
        }
        let rows = self.store.delta_of(&ids)?;
        self.store.remove(&ids)?;
        if durable {
            self.saved.evicted(bound);
        }
        self.in_order(rows).map(Some)
    }

    fn has_below(&self, bound: i64) -> bool {
        self.store.has_below(bound)
    }

    fn table(&self) -> &TableDef {
        self.saved.table()
    }

    fn take_delta(&mut self) -> TableDelta {
        self.saved.take_delta()
    }

    fn restore(&mut self, rows: &RecordBatch) -> Result<()> {
        self.saved.restore(&mut self.store, rows)
    }

    fn snapshot(&self) -> Result<Vec<RecordBatch>> {
        self.saved.snapshot(&self.store)
    }

    fn rows(&self) -> usize {
        self.store.len()
    }

    fn bytes(&self) -> usize {
        self.store.bytes()
    }
}
