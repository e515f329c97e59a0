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
use arrow::row::Rows;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};

type Key = Box<[u8]>;

/// What is known of a row beside its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    weight: i64,
    /// The length of what is compared of its key before ties.
    ordered: u32,
}

/// What a node of the B-tree costs for each of its entries, as far as one can tell.
const ENTRY_BYTES: usize = 48;

/// See the [module](self).
pub(super) struct OrderedRows {
    see: See,
    time: Option<TimeKey>,
    whole: RowBytes,
    /// Of the first columns: those of the partition, and also those of the order.
    partition: Option<RowPrefix>,
    ordered: Option<RowPrefix>,
    rows: BTreeMap<Key, Entry>,
    key_bytes: usize,
    by_time: BTreeMap<i64, BTreeSet<Key>>,
    saved: RowsTable,
}

/// Rows as keys, and where their parts end.
struct Keys {
    whole: Rows,
    partition: Vec<usize>,
    ordered: Vec<usize>,
}

impl Keys {
    fn key(&self, row: usize) -> &[u8] {
        self.whole.row(row).data()
    }

    fn partition(&self, row: usize) -> &[u8] {
        &self.key(row)[..self.partition[row]]
    }
}

impl OrderedRows {
    pub(super) fn try_new(spec: &PartitionsSpec) -> Result<Self> {
        let order = spec.all_columns();
        let of_partition = order.iter().filter(|(column, _)| spec.partition.contains(column)).count();
        let of_order = spec.order.iter().filter(|(column, _)| !spec.partition.contains(column));
        let ordered = of_partition + of_order.map(|(column, _)| column).collect::<BTreeSet<_>>().len();
        let whole = RowBytes::try_new(&spec.schema, &order)?;
        Ok(Self {
            see: spec.see,
            time: spec.time.clone(),
            partition: whole.prefix(of_partition)?,
            ordered: whole.prefix(ordered)?,
            whole,
            rows: BTreeMap::new(),
            key_bytes: 0,
            by_time: BTreeMap::new(),
            saved: rows_table(spec),
        })
    }

    fn keys(&self, rows: &RecordBatch) -> Result<Keys> {
        let ends = |prefix: &Option<RowPrefix>| match prefix {
            Some(prefix) => Ok(prefix.encode(rows)?.iter().map(|prefix| prefix.data().len()).collect()),
            None => Ok::<_, Error>(vec![0; rows.num_rows()]),
        };
        let (partition, ordered) = (ends(&self.partition)?, ends(&self.ordered)?);
        Ok(Keys { whole: self.whole.encode(rows)?, partition, ordered })
    }

    /// Adds weights to rows.
    fn apply(&mut self, delta: &Delta, keys: &Keys) -> Result<()> {
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
    fn decode(&self, keys: &[(&[u8], i64)]) -> Result<Delta> {
        let rows = self.whole.decode(keys.iter().map(|(key, _)| *key))?;
        Ok(Delta { rows, weights: keys.iter().map(|(_, weight)| *weight).collect() })
    }

    /// The same, with copies in place of weights.
    fn decode_copies(&self, keys: &[(&[u8], i64)]) -> Result<RecordBatch> {
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

    /// Applies changes, and gives the rows around them.
    fn change_near(&mut self, distance: usize, delta: Delta, durable: bool) -> Result<Seen> {
        let keys = self.keys(&delta.rows)?;
        self.apply(&delta, &keys)?;
        let changed = (0..delta.len()).map(|row| (keys.key(row), delta.weights[row]));
        let changed: BTreeMap<&[u8], i64> = changed.collect();
        let mut regions: BTreeMap<&[u8], &[u8]> = BTreeMap::new();
        for row in 0..delta.len() {
            let (key, partition) = (keys.key(row), keys.partition(row));
            let back = self.rows.range::<[u8], _>((Unbounded, Excluded(key))).rev();
            let from = walk(back, partition, distance, &changed).unwrap_or(key);
            let on = self.rows.range::<[u8], _>((Excluded(key), Unbounded));
            let to = walk(on, partition, distance, &changed).unwrap_or(key);
            let end = regions.entry(from).or_insert(to);
            *end = (*end).max(to);
        }
        let mut after: BTreeMap<&[u8], i64> = BTreeMap::new();
        for (from, to) in regions {
            let range = self.rows.range::<[u8], _>((Included(from), Included(to)));
            after.extend(range.map(|(key, entry)| (key.as_ref(), entry.weight)));
        }
        let mut before = after.clone();
        for (key, weight) in &changed {
            let entry = before.entry(key).or_default();
            *entry -= weight;
        }
        let seen = |rows: BTreeMap<&[u8], i64>| {
            self.decode_copies(&rows.into_iter().filter(|(_, weight)| *weight > 0).collect::<Vec<_>>())
        };
        let seen = Seen { before: seen(before)?, after: seen(after)? };
        if durable {
            self.saved.changed(&delta)?;
        }
        Ok(seen)
    }
}

/// The last key on a way that leaves so many rows behind which did not change, and does not leave the partition. It ends
/// at another change, which has a way of its own: else each of many would walk over all others.
fn walk<'a>(
    way: impl Iterator<Item = (&'a Key, &'a Entry)>,
    partition: &[u8],
    distance: usize,
    changed: &BTreeMap<&[u8], i64>,
) -> Option<&'a [u8]> {
    let mut behind = 0_usize;
    let mut last = None;
    for (key, entry) in way.take_while(|(key, _)| key.starts_with(partition)) {
        if behind >= distance {
            break;
        }
        last = Some(key.as_ref());
        if changed.contains_key(key.as_ref()) {
            break;
        }
        behind = behind.saturating_add(entry.weight.max(0) as usize);
    }
    last
}

impl Kept for OrderedRows {
    fn change(&mut self, delta: Delta, durable: bool) -> Result<Seen> {
        match self.see {
            See::First(first) => self.change_first(first, delta, durable),
            See::Near { rows } => self.change_near(rows, delta, durable),
            See::All => Err(Error::internal("rows in order of which all are seen")),
        }
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
            for (key, _) in &all {
                self.rows.remove(key);
                self.key_bytes -= key.len();
            }
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
