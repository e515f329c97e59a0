//! Rows with weights, found by key: what joins, recomputed partitions and set operations keep.
//!
//! A row has a number ([`RowId`]) by which its columns, weight and degree are read. Rows whose keys have the same
//! hash are a chain, so that a lookup costs the rows it finds; equality is checked on the columns, a batch at a time.
//! With `leave` a row that is there already is found by all of its columns and its weight changes; without it rows are
//! only added. With `time` rows leave by a time index, never by visiting all.
//!
//! Memory per row beside its columns: 4 bytes and 10-20 for each distinct key; with `leave` 4 more and 10-20 for the
//! row itself; 8 each for weight and degree.
//!
//! Keys are equal as in DataFusion's joins: -0.0 is 0.0, NaNs of the same bits are equal, and NULLs if `nulls_equal`.
//! Rows are equal when all their bits are.

mod chunk;
mod saved;
#[cfg(test)]
mod tests;

use super::aggregate::times_in;
use super::delta::{Delta, batch_of};
use crate::error::from_datafusion;
use acequia_core::{Error, Result};
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array, make_comparator};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp::{eq, not_distinct};
use arrow::compute::{SortOptions, prep_null_mask_filter, take, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use chunk::{Chunks, Extras, NONE};
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::common::utils::normalize_float_zero;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
pub(super) use saved::SavedRows;
use std::collections::BTreeMap;

/// The number of a row, as long as it is there.
pub(super) type RowId = u32;

const HASH: RandomState = RandomState::with_seed(0x0_acc0_1a7e);

/// What a store keeps, and how rows are found.
#[derive(Debug, Clone)]
pub(super) struct RowStoreSpec {
    /// The columns of rows.
    pub(super) schema: SchemaRef,
    /// Those by which rows are found; none: all rows are one chain.
    pub(super) key: Vec<usize>,
    /// Whether NULL in a key equals NULL.
    pub(super) nulls_equal: bool,
    /// Whether rows may be taken back.
    pub(super) leave: bool,
    /// Whether rows count their partners.
    pub(super) degree: bool,
    /// A column, or a field of one, by which rows leave.
    pub(super) time: Option<(usize, Option<usize>)>,
}

/// The start of a chain. Half of the hash is enough to tell where it belongs, and saves as many bytes as the chain.
#[derive(Clone, Copy)]
struct Head {
    hash: u32,
    first: RowId,
}

/// See the [module](self).
pub(super) struct RowStore {
    spec: RowStoreSpec,
    rows: Chunks,
    by_key: HashTable<Head>,
    /// Each row under the hash of all its columns, with `leave`.
    by_row: HashTable<Head>,
    by_time: BTreeMap<i64, Vec<RowId>>,
    /// Width of the entries of `by_time`.
    time_width: i64,
}

/// Rows of a store that have the key of a row that was looked up: the n-th of `probe` and of `stored` belong together.
#[derive(Default)]
pub(super) struct Matches {
    pub(super) probe: Vec<u32>,
    pub(super) stored: Vec<RowId>,
}

/// Where a lookup that gives its matches in pieces goes on.
#[derive(Default)]
pub(super) struct Cursor {
    row: usize,
    next: Option<RowId>,
}

fn spread(hash: u64) -> u32 {
    (hash >> 32) as u32 ^ hash as u32
}

/// The hash tables' own hash of half a hash.
fn widen(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Hashes of the rows of these columns, equal for keys that are equal.
pub(super) fn hash_keys(columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
    let mut hashes = vec![0; rows];
    if !columns.is_empty() {
        let columns: Vec<ArrayRef> = columns.iter().map(normalize_float_zero).collect();
        create_hashes(&columns, &HASH, &mut hashes).map_err(from_datafusion)?;
    }
    Ok(hashes.into_iter().map(spread).collect())
}

/// Which rows of two lists of columns are equal, column by column and row by row.
fn equal(left: &[ArrayRef], right: &[ArrayRef], nulls_equal: bool, rows: usize) -> Result<BooleanBuffer> {
    let mut all = BooleanBuffer::new_set(rows);
    for (left, right) in left.iter().zip(right) {
        let same = if left.data_type().is_nested() {
            let compare = make_comparator(left, right, SortOptions::default())?;
            let same = |row: usize| compare(row, row).is_eq() && (nulls_equal || left.is_valid(row));
            BooleanBuffer::collect_bool(rows, same)
        } else if nulls_equal {
            not_distinct(left, right)?.values().clone()
        } else {
            let same = eq(left, right)?;
            if same.null_count() > 0 {
                prep_null_mask_filter(&same).values().clone()
            } else {
                same.values().clone()
            }
        };
        all = &all & &same;
    }
    Ok(all)
}

/// Keys in the form in which they are compared.
fn normalized(columns: Vec<ArrayRef>) -> Vec<ArrayRef> {
    columns.iter().map(normalize_float_zero).collect()
}

impl RowStore {
    pub(super) fn new(spec: RowStoreSpec) -> Result<Self> {
        let extras =
            Extras { leave: spec.leave || spec.time.is_some(), weight: spec.leave, degree: spec.degree };
        let time_width =
            spec.time.map_or(1, |(column, _)| bucket_width(spec.schema.field(column).data_type()));
        Ok(Self {
            rows: Chunks::new(SchemaRef::clone(&spec.schema), extras),
            spec,
            by_key: HashTable::new(),
            by_row: HashTable::new(),
            by_time: BTreeMap::new(),
            time_width,
        })
    }

    pub(super) fn spec(&self) -> &RowStoreSpec {
        &self.spec
    }

    /// The numbers of all columns.
    pub(super) fn all_columns(&self) -> Vec<usize> {
        (0..self.spec.schema.fields().len()).collect()
    }

    /// Rows held, each counted once.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let heads = self.by_key.allocation_size() + self.by_row.allocation_size();
        let times = if self.spec.time.is_some() { self.rows.len() * size_of::<RowId>() } else { 0 };
        self.rows.bytes() + heads + times
    }

    /// Applies changes: each row its weight (1 without any), new rows with these degrees (0 without any).
    ///
    /// # Errors
    /// `Data` when a row is taken back that is not there.
    pub(super) fn apply(
        &mut self,
        rows: &RecordBatch,
        weights: Option<&[i64]>,
        degrees: &[i64],
    ) -> Result<()> {
        if !self.spec.leave {
            return self.insert(rows, &[], degrees);
        }
        let ones;
        let weights = match weights {
            Some(weights) => weights,
            None => {
                ones = vec![1; rows.num_rows()];
                &ones
            }
        };
        let known = self.find_rows(rows)?;
        let mut new = Vec::new();
        let mut left = Vec::new();
        for (row, known) in known.into_iter().enumerate() {
            match known {
                Some(id) => {
                    let weight = self.rows.weight(id) + weights[row];
                    if weight < 0 {
                        return Err(never_given());
                    }
                    self.rows.set_weight(id, weight);
                    if weight == 0 {
                        left.push(id);
                    }
                }
                None if weights[row] < 0 => return Err(never_given()),
                None => new.push(row as u32),
            }
        }
        self.remove(&left)?;
        if new.len() == rows.num_rows() {
            return self.insert(rows, weights, degrees);
        }
        if new.is_empty() {
            return Ok(());
        }
        let of_new = |values: &[i64]| {
            new.iter().filter_map(|row| values.get(*row as usize).copied()).collect::<Vec<_>>()
        };
        let (weights, degrees) = (of_new(weights), of_new(degrees));
        self.insert(&take_record_batch(rows, &UInt32Array::from(new))?, &weights, &degrees)
    }

    /// Adds rows of a store in which equal rows are rows of their own, each as often as its weight says.
    pub(super) fn insert_copies(
        &mut self,
        rows: &RecordBatch,
        weights: &[i64],
        degrees: &[i64],
    ) -> Result<()> {
        if weights.iter().any(|weight| *weight < 0) {
            return Err(never_given());
        }
        if weights.iter().all(|weight| *weight == 1) {
            return self.insert(rows, &[], degrees);
        }
        let counted = weights.iter().enumerate();
        let copies: Vec<u32> =
            counted.flat_map(|(row, weight)| std::iter::repeat_n(row as u32, *weight as usize)).collect();
        let degrees: Vec<i64> = copies.iter().filter_map(|row| degrees.get(*row as usize).copied()).collect();
        self.insert(&take_record_batch(rows, &UInt32Array::from(copies))?, &[], &degrees)
    }

    /// Adds rows that are not there yet.
    fn insert(&mut self, rows: &RecordBatch, weights: &[i64], degrees: &[i64]) -> Result<()> {
        let keys: Vec<ArrayRef> = self.spec.key.iter().map(|c| ArrayRef::clone(rows.column(*c))).collect();
        let hashes = hash_keys(&keys, rows.num_rows())?;
        let all = if self.spec.leave { hash_keys(rows.columns(), rows.num_rows())? } else { Vec::new() };
        let times = self.spec.time.map(|(column, field)| times_in(rows.column(column), field)).transpose()?;
        let Self { rows: chunks, by_key, by_row, by_time, time_width, .. } = self;
        chunks.append(rows, weights, degrees, |chunks, id, row| {
            let head = Head { hash: hashes[row], first: id };
            match by_key.entry(widen(head.hash), |h| h.hash == head.hash, |h| widen(h.hash)) {
                Entry::Vacant(new) => drop(new.insert(head)),
                Entry::Occupied(mut chain) => {
                    let second = std::mem::replace(&mut chain.get_mut().first, id);
                    chunks.set_next(id, second);
                    chunks.set_previous(second, id);
                }
            }
            if let Some(hash) = all.get(row) {
                by_row.insert_unique(widen(*hash), Head { hash: *hash, first: id }, |h| widen(h.hash));
            }
            if let Some(times) = times.as_ref().filter(|times| times.is_valid(row)) {
                by_time.entry(times.value(row).div_euclid(*time_width)).or_default().push(id);
            }
        })
    }

    /// The number of each row that is there.
    fn find_rows(&self, rows: &RecordBatch) -> Result<Vec<Option<RowId>>> {
        let hashes = hash_keys(rows.columns(), rows.num_rows())?;
        let mut found = Matches::default();
        for (row, hash) in hashes.iter().enumerate() {
            for head in self.by_row.iter_hash(widen(*hash)).filter(|head| head.hash == *hash) {
                found.probe.push(row as u32);
                found.stored.push(head.first);
            }
        }
        let columns: Vec<usize> = (0..rows.num_columns()).collect();
        let stored = self.rows.gather(&found.stored, &columns)?;
        let probes = UInt32Array::from(found.probe.clone());
        let probed = rows
            .columns()
            .iter()
            .map(|c| take(c, &probes, None))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let same = equal(&probed, &stored, true, found.stored.len())?;
        let mut ids = vec![None; rows.num_rows()];
        for pair in same.set_indices() {
            ids[found.probe[pair] as usize] = Some(found.stored[pair]);
        }
        Ok(ids)
    }

    /// Some of the rows with the keys that are looked up, about `limit` of them; `None` when there are no more.
    pub(super) fn matches(
        &self,
        keys: &[ArrayRef],
        hashes: &[u32],
        cursor: &mut Cursor,
        limit: usize,
    ) -> Result<Option<Matches>> {
        let mut found = Matches::default();
        while cursor.row < hashes.len() && found.stored.len() < limit {
            let mut next = match cursor.next.take() {
                Some(next) => next,
                None => self.first(hashes[cursor.row]),
            };
            while next != NONE && found.stored.len() < limit {
                found.probe.push(cursor.row as u32);
                found.stored.push(next);
                next = self.rows.next(next);
            }
            if next == NONE { cursor.row += 1 } else { cursor.next = Some(next) }
        }
        if found.stored.is_empty() { Ok(None) } else { self.with_equal_keys(keys, found).map(Some) }
    }

    fn first(&self, hash: u32) -> RowId {
        self.by_key.find(widen(hash), |head| head.hash == hash).map_or(NONE, |head| head.first)
    }

    fn with_equal_keys(&self, keys: &[ArrayRef], found: Matches) -> Result<Matches> {
        let probes = UInt32Array::from(found.probe.clone());
        let probed =
            keys.iter().map(|c| take(c, &probes, None)).collect::<std::result::Result<Vec<_>, _>>()?;
        let stored = self.rows.gather(&found.stored, &self.spec.key)?;
        let (probed, stored) = (normalized(probed), normalized(stored));
        let same = equal(&probed, &stored, self.spec.nulls_equal, found.stored.len())?;
        if same.count_set_bits() == found.stored.len() {
            return Ok(found);
        }
        Ok(found.only(&same))
    }

    /// These columns of these rows.
    pub(super) fn gather(&self, ids: &[RowId], columns: &[usize]) -> Result<Vec<ArrayRef>> {
        self.rows.gather(ids, columns)
    }

    /// These rows, each as often as it is there.
    pub(super) fn delta_of(&self, ids: &[RowId]) -> Result<Delta> {
        let columns = self.gather(ids, &self.all_columns())?;
        let rows = batch_of(&self.spec.schema, columns, ids.len())?;
        Ok(Delta { rows, weights: ids.iter().map(|id| self.weight(*id)).collect() })
    }

    /// How often a row is there.
    pub(super) fn weight(&self, id: RowId) -> i64 {
        self.rows.weight(id)
    }

    /// How many partners a row has.
    pub(super) fn degree(&self, id: RowId) -> i64 {
        self.rows.degree(id)
    }

    /// Says how many partners a row has.
    pub(super) fn set_degree(&mut self, id: RowId, degree: i64) {
        self.rows.set_degree(id, degree);
    }

    /// All rows that are there.
    pub(super) fn ids(&self) -> impl Iterator<Item = RowId> + '_ {
        self.rows.ids()
    }

    /// The rows whose time is below the bound.
    pub(super) fn below(&mut self, bound: i64) -> Result<Vec<RowId>> {
        let Some((column, field)) = self.spec.time else { return Ok(Vec::new()) };
        let last = bound.saturating_sub(1).div_euclid(self.time_width);
        let later = self.by_time.split_off(&last.saturating_add(1));
        let passed: Vec<RowId> =
            std::mem::replace(&mut self.by_time, later).into_values().flatten().collect();
        // A row that was taken back is still in the index, and its number may be another row's by now.
        let mut passed: Vec<RowId> = passed.into_iter().filter(|id| self.rows.is_live(*id)).collect();
        passed.sort_unstable();
        passed.dedup();
        let Some(times) = self.rows.gather(&passed, &[column])?.pop() else { return Ok(Vec::new()) };
        let times = times_in(&times, field)?;
        let mut below = Vec::with_capacity(passed.len());
        for (row, id) in passed.into_iter().enumerate() {
            if times.is_null(row) {
                continue;
            }
            let time = times.value(row);
            if time < bound {
                below.push(id);
            } else if time.div_euclid(self.time_width) <= last {
                self.by_time.entry(time.div_euclid(self.time_width)).or_default().push(id);
            }
        }
        Ok(below)
    }

    /// Whether a row's time is below the bound.
    pub(super) fn has_below(&self, bound: i64) -> bool {
        self.finds_below(bound).unwrap_or(true)
    }

    fn finds_below(&self, bound: i64) -> Result<bool> {
        let Some((column, field)) = self.spec.time else { return Ok(false) };
        let last = bound.saturating_sub(1).div_euclid(self.time_width);
        for (entry, ids) in self.by_time.range(..=last) {
            let live: Vec<RowId> = ids.iter().copied().filter(|id| self.rows.is_live(*id)).collect();
            if *entry < last && !live.is_empty() {
                return Ok(true);
            }
            let Some(times) = self.rows.gather(&live, &[column])?.pop() else { continue };
            if times_in(&times, field)?.iter().flatten().any(|time| time < bound) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets rows.
    pub(super) fn remove(&mut self, ids: &[RowId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let keys = self.rows.gather(ids, &self.spec.key)?;
        let hashes = hash_keys(&keys, ids.len())?;
        if self.spec.leave {
            let all = hash_keys(&self.rows.gather(ids, &self.all_columns())?, ids.len())?;
            for (id, hash) in ids.iter().zip(all) {
                if let Ok(entry) = self.by_row.find_entry(widen(hash), |head| head.first == *id) {
                    entry.remove();
                }
            }
        }
        for (id, hash) in ids.iter().zip(hashes) {
            self.unchain(*id, hash);
            self.rows.remove(*id);
        }
        self.compact()
    }

    fn unchain(&mut self, id: RowId, hash: u32) {
        let (previous, next) = (self.rows.previous(id), self.rows.next(id));
        if next != NONE {
            self.rows.set_previous(next, previous);
        }
        if previous != NONE {
            self.rows.set_next(previous, next);
        } else if let Ok(mut entry) = self.by_key.find_entry(widen(hash), |head| head.hash == hash) {
            if next == NONE {
                entry.remove();
            } else {
                entry.get_mut().first = next;
            }
        }
    }

    /// Moves the last rows of chunks of which most have left, so that the chunks can go.
    fn compact(&mut self) -> Result<()> {
        let ids = self.rows.take_sparse();
        if ids.is_empty() {
            return Ok(());
        }
        let columns = self.rows.gather(&ids, &self.all_columns())?;
        let rows = batch_of(&self.spec.schema, columns, ids.len())?;
        let weights: Vec<i64> = ids.iter().map(|id| self.rows.weight(*id)).collect();
        let degrees: Vec<i64> = ids.iter().map(|id| self.rows.degree(*id)).collect();
        self.remove(&ids)?;
        self.insert(&rows, &weights, &degrees)
    }
}

impl Matches {
    /// The selected pairs.
    pub(super) fn only(self, selected: &BooleanBuffer) -> Self {
        let probe = selected.set_indices().map(|pair| self.probe[pair]).collect();
        let stored = selected.set_indices().map(|pair| self.stored[pair]).collect();
        Self { probe, stored }
    }
}

/// The width of an entry of the time index: ten seconds, or a day.
fn bucket_width(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Struct(fields) => fields.first().map_or(1, |field| bucket_width(field.data_type())),
        DataType::Timestamp(TimeUnit::Second, _) => 10,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 10_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 10_000_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 10_000_000_000,
        DataType::Date64 => 86_400_000,
        _ => 1,
    }
}

fn never_given() -> Error {
    Error::data("a row is taken back that was never given; a change stream must delete only what it inserted")
}
