//! Partitions of which the relation sees some rows: all rows in order, as bytes ([`RowBytes`]) in a B-tree.
//!
//! ```text
//! key    partition columns | columns of the order | all other columns       compared as the rows are
//! value  weight, where the order ends
//! ```
//! Memory per row: its bytes and about 50.

use super::{Before, First, Kept, PartitionsSpec, See, Seen, rows_table};
use crate::exec::TimeKey;
use crate::exec::aggregate::times_in;
use crate::exec::delta::Delta;
use crate::exec::row_bytes::{RowBytes, RowPrefix};
use crate::exec::rows_table::RowsTable;
use acequia_core::state::{TableDef, TableDelta};
use acequia_core::{Error, Result};
use arrow::array::{Array, RecordBatch};
use arrow::compute::SortOptions;
use arrow::row::Rows;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Included, Unbounded};

pub(super) type Key = Box<[u8]>;

/// What is known of a row beside its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) weight: i64,
    /// The length of what is compared of its key before ties.
    pub(super) ordered: u32,
}

/// What a node of the B-tree costs for each of its entries, as far as one can tell.
const ENTRY_BYTES: usize = 48;

/// See the [module](self).
pub(super) struct OrderedRows {
    see: See,
    /// See [`PartitionsSpec::in_order`].
    pub(super) in_order: bool,
    time: Option<TimeKey>,
    pub(super) whole: RowBytes,
    /// Of the first columns: those of the partition, and also those of the order.
    partition: Option<RowPrefix>,
    pub(super) ordered: Option<RowPrefix>,
    /// The column of the order, where it is one.
    pub(super) order_column: Option<(usize, SortOptions)>,
    pub(super) rows: BTreeMap<Key, Entry>,
    key_bytes: usize,
    by_time: BTreeMap<i64, BTreeSet<Key>>,
    pub(super) saved: RowsTable,
}

/// Rows as keys, and where their parts end.
pub(super) struct Keys {
    whole: Rows,
    partition: Vec<usize>,
    ordered: Vec<usize>,
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        self.partition.len()
    }

    pub(super) fn key(&self, row: usize) -> &[u8] {
        self.whole.row(row).data()
    }

    pub(super) fn partition(&self, row: usize) -> &[u8] {
        &self.key(row)[..self.partition[row]]
    }

    /// The partition and the values of the order.
    pub(super) fn value(&self, row: usize) -> &[u8] {
        &self.key(row)[..self.ordered[row]]
    }
}

impl OrderedRows {
    pub(super) fn try_new(spec: &PartitionsSpec) -> Result<Self> {
        let order = spec.all_columns();
        let of_partition = order.iter().filter(|(column, _)| spec.partition.contains(column)).count();
        let of_order = spec.order.iter().filter(|(column, _)| !spec.partition.contains(column));
        let of_order: BTreeMap<usize, SortOptions> = of_order.copied().collect();
        let ordered = of_partition + of_order.len();
        let whole = RowBytes::try_new(&spec.schema, &order)?;
        Ok(Self {
            see: spec.see,
            in_order: spec.in_order,
            time: spec.time.clone(),
            partition: whole.prefix(of_partition)?,
            ordered: whole.prefix(ordered)?,
            whole,
            order_column: of_order.into_iter().next().filter(|_| ordered == of_partition + 1),
            rows: BTreeMap::new(),
            key_bytes: 0,
            by_time: BTreeMap::new(),
            saved: rows_table(spec),
        })
    }

    pub(super) fn keys(&self, rows: &RecordBatch) -> Result<Keys> {
        let ends = |prefix: &Option<RowPrefix>| match prefix {
            Some(prefix) => Ok(prefix.encode(rows)?.iter().map(|prefix| prefix.data().len()).collect()),
            None => Ok::<_, Error>(vec![0; rows.num_rows()]),
        };
        let (partition, ordered) = (ends(&self.partition)?, ends(&self.ordered)?);
        Ok(Keys { whole: self.whole.encode(rows)?, partition, ordered })
    }

    /// Adds weights to rows.
    pub(super) fn apply(&mut self, delta: &Delta, keys: &Keys) -> Result<()> {
        let times = self.time.as_ref().map(|time| times_in(delta.rows.column(time.column), time.field));
        let times = times.transpose()?;
        for (row, weight) in delta.weights.iter().enumerate() {
            self.add(keys.key(row), Entry { weight: *weight, ordered: keys.ordered[row] as u32 })?;
            if let Some(times) = times.as_ref().filter(|times| times.is_valid(row)) {
                self.place(times.value(row), keys.partition(row));
            }
        }
        Ok(())
    }

    /// Removes rows that are there.
    pub(super) fn remove<'a>(&mut self, keys: impl Iterator<Item = &'a Key>) {
        for key in keys {
            self.rows.remove(key);
            self.key_bytes -= key.len();
        }
    }

    fn add(&mut self, key: &[u8], entry: Entry) -> Result<()> {
        let known = self.rows.get_mut(key);
        let weight = known.as_ref().map_or(0, |known| known.weight) + entry.weight;
        match known {
            _ if weight < 0 => {
                return Err(Error::data(
                    "a row is taken back that was never given; a change stream must delete only what it inserted",
                ));
            }
            Some(_) if weight == 0 => {
                self.rows.remove(key);
                self.key_bytes -= key.len();
            }
            Some(known) => known.weight = weight,
            None if weight == 0 => {}
            None => {
                self.key_bytes += key.len();
                self.rows.insert(key.into(), entry);
            }
        }
        Ok(())
    }

    /// Says when a partition leaves, as long as it has rows.
    fn place(&mut self, time: i64, partition: &[u8]) {
        let there = self.of_partition(partition).next().is_some();
        let places = self.by_time.entry(time).or_default();
        if !there {
            places.remove(partition);
        } else if !places.contains(partition) {
            places.insert(partition.into());
        }
        if places.is_empty() {
            self.by_time.remove(&time);
        }
    }

    fn of_partition<'a>(&'a self, partition: &'a [u8]) -> impl Iterator<Item = (&'a Key, &'a Entry)> + 'a {
        let from = self.rows.range::<[u8], _>((Included(partition), Unbounded));
        from.take_while(move |(key, _)| key.starts_with(partition))
    }

    /// The first rows of a partition.
    fn first<'a>(&'a self, first: First, partition: &'a [u8]) -> Vec<(&'a Key, &'a Entry)> {
        let (mut found, mut before) = (Vec::new(), Before::default());
        for (key, entry) in self.of_partition(partition) {
            if !before.admits(first, &key[..entry.ordered as usize], entry.weight.max(0) as usize) {
                break;
            }
            found.push((key, entry));
        }
        found
    }

    /// Rows from their keys, each as often as it is there.
    pub(super) fn decode(&self, keys: &[(&[u8], i64)]) -> Result<Delta> {
        let rows = self.whole.decode(keys.iter().map(|(key, _)| *key))?;
        Ok(Delta { rows, weights: keys.iter().map(|(_, weight)| *weight).collect() })
    }

    /// The same, with copies in place of weights.
    pub(super) fn decode_copies(&self, keys: &[(&[u8], i64)]) -> Result<RecordBatch> {
        self.decode(keys)?.copies()
    }

    /// Applies changes, and gives the first rows of the partitions where these changed.
    fn change_first(&mut self, first: First, delta: Delta, durable: bool) -> Result<Seen> {
        let keys = self.keys(&delta.rows)?;
        let touched: BTreeSet<Key> = (0..delta.len()).map(|row| keys.partition(row).into()).collect();
        let first_of = |rows: &Self, partition: &Key| -> Vec<(Key, i64)> {
            rows.first(first, partition).into_iter().map(|(key, entry)| (key.clone(), entry.weight)).collect()
        };
        let before: Vec<Vec<(Key, i64)>> =
            touched.iter().map(|partition| first_of(self, partition)).collect();
        self.apply(&delta, &keys)?;
        let (mut lost, mut given) = (Vec::new(), Vec::new());
        for (partition, before) in touched.iter().zip(before) {
            let after = first_of(self, partition);
            if before != after {
                lost.extend(before);
                given.extend(after);
            }
        }
        let seen = |keys: &[(Key, i64)]| {
            let keys: Vec<(&[u8], i64)> = keys.iter().map(|(key, weight)| (key.as_ref(), *weight)).collect();
            self.decode_copies(&keys)
        };
        let seen = Seen { before: seen(&lost)?, after: seen(&given)? };
        if durable {
            self.saved.changed(&delta)?;
        }
        Ok(seen)
    }
}

impl Kept for OrderedRows {
    fn change(&mut self, delta: Delta, durable: bool) -> Result<Seen> {
        match self.see {
            See::First(first) => self.change_first(first, delta, durable),
            See::Near(near) => self.change_near(&near, delta, durable),
            See::All | See::Rest(_) => Err(Error::internal("rows in order of which others are seen")),
        }
    }

    fn store(&mut self, delta: &Delta, durable: bool) -> Result<()> {
        let keys = self.keys(&delta.rows)?;
        self.apply(delta, &keys)?;
        if durable { self.saved.changed(delta) } else { Ok(()) }
    }

    fn leave(&mut self, bound: i64, durable: bool) -> Result<Option<RecordBatch>> {
        let later = self.by_time.split_off(&bound);
        let gone = std::mem::replace(&mut self.by_time, later);
        let gone: BTreeSet<Key> = gone.into_values().flatten().collect();
        if gone.is_empty() {
            return Ok(None);
        }
        let mut seen: Vec<(Key, i64)> = Vec::new();
        for partition in &gone {
            let all: Vec<(Key, i64)> =
                self.of_partition(partition).map(|(key, entry)| (key.clone(), entry.weight)).collect();
            let kept = match self.see {
                See::First(first) => self.first(first, partition).len(),
                _ => all.len(),
            };
            self.remove(all.iter().map(|(key, _)| key));
            seen.extend(all.into_iter().take(kept));
        }
        if durable {
            self.saved.evicted(bound);
        }
        let seen: Vec<(&[u8], i64)> = seen.iter().map(|(key, weight)| (key.as_ref(), *weight)).collect();
        self.decode_copies(&seen).map(Some)
    }

    fn has_below(&self, bound: i64) -> bool {
        self.by_time.keys().next().is_some_and(|first| *first < bound)
    }

    fn table(&self) -> &TableDef {
        self.saved.def()
    }

    fn take_delta(&mut self) -> TableDelta {
        self.saved.take_delta()
    }

    fn restore(&mut self, rows: &RecordBatch) -> Result<()> {
        let delta = self.saved.restored(rows)?;
        let keys = self.keys(&delta.rows)?;
        self.apply(&delta, &keys)
    }

    fn snapshot(&self) -> Result<Vec<RecordBatch>> {
        let keys: Vec<(&[u8], i64)> =
            self.rows.iter().map(|(key, entry)| (key.as_ref(), entry.weight)).collect();
        if keys.is_empty() { Ok(Vec::new()) } else { Ok(vec![self.saved.saved(&self.decode(&keys)?)?]) }
    }

    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn bytes(&self) -> usize {
        self.key_bytes + self.rows.len() * ENTRY_BYTES
    }
}
