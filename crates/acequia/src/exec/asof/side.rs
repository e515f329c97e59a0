//! A side of an ASOF join: its rows in the order of key and time.
//!
//! ```text
//! bytes of a row    key columns | time | all columns again        compared as the rows are, a later time behind
//!                   `----- place -----'                            an earlier one, or before it for [`Nearest::next`]
//! ```
//! So the nearest row of a time is always the last one before a place, and rows of one place are told apart by all of
//! their columns.

use super::{AsofSpec, TABLES};
use crate::exec::aggregate::times_in;
use crate::exec::delta::Delta;
use crate::exec::row_bytes::{RowBytes, RowPrefix};
use crate::exec::rows_table::RowsTable;
use acequia_core::{Error, Result};
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::SortOptions;
use arrow::row::Rows;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

pub(super) type Key = Box<[u8]>;

/// What a node of a B-tree costs for each of its entries, as far as one can tell.
const ENTRY_BYTES: usize = 48;

/// Above every byte that a column's bytes begin with.
const ABOVE: u8 = 0xff;

/// What is known of a row beside its columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) weight: i64,
    /// The length of its place.
    place: u32,
}

pub(super) struct Side {
    bytes: RowBytes,
    places: RowPrefix,
    key: Vec<usize>,
    time: usize,
    output: usize,
    /// The length of the time in a place.
    time_bytes: usize,
    rows: BTreeMap<Key, Entry>,
    row_bytes: usize,
    /// The places of each time, where rows leave.
    by_time: Option<BTreeMap<i64, BTreeSet<Key>>>,
    pub(super) saved: RowsTable,
    pending: Vec<RecordBatch>,
    /// Below which time those are late.
    late_below: Option<i64>,
}

/// The bytes of rows and of their places.
pub(super) struct Encoded {
    whole: Rows,
    places: Rows,
}

impl Encoded {
    pub(super) fn place(&self, row: usize) -> &[u8] {
        self.places.row(row).data()
    }
}

/// The edge of a place: behind all of its rows, or before them.
fn edge(place: &[u8], behind: bool) -> Cow<'_, [u8]> {
    if behind { Cow::Owned([place, &[ABOVE]].concat()) } else { Cow::Borrowed(place) }
}

impl Side {
    pub(super) fn try_new(spec: &AsofSpec, side: usize) -> Result<Self> {
        let of = &spec.sides[side];
        let time_type = of.schema.field(of.time).data_type();
        let time_bytes = time_type.primitive_width().map(|width| 1 + width);
        let time_bytes = time_bytes
            .ok_or_else(|| Error::internal(format!("no time of fixed width: type=`{time_type}`")))?;
        let plain = SortOptions { descending: false, nulls_first: true };
        let mut order: Vec<(usize, SortOptions)> = of.key.iter().map(|column| (*column, plain)).collect();
        order.push((of.time, SortOptions { descending: spec.nearest.next, ..plain }));
        let places = RowPrefix::try_new(&of.schema, &order)?;
        let rest =
            (0..of.schema.fields().len()).filter(|column| !of.key.contains(column) && *column != of.time);
        order.extend(rest.map(|column| (column, plain)));
        // The rows of the left side leave by their time; those of the right side one by one.
        let saved_time = (spec.bounds.is_some() && side == 0).then_some((of.time, None));
        Ok(Self {
            bytes: RowBytes::try_new(&of.schema, &order)?,
            places: places.ok_or_else(|| Error::internal("a place without a time"))?,
            key: of.key.clone(),
            time: of.time,
            output: of.output,
            time_bytes,
            rows: BTreeMap::new(),
            row_bytes: 0,
            by_time: spec.bounds.is_some().then(BTreeMap::new),
            saved: RowsTable::new(spec.operator, TABLES[side], &of.schema, saved_time),
            pending: Vec::new(),
            late_below: None,
        })
    }

    /// The columns that come out.
    pub(super) fn output_columns(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        rows.columns()[..self.output].iter().map(Arc::clone).collect()
    }

    /// Rows of the batch, which are late below this time.
    pub(super) fn push(&mut self, late_below: Option<i64>, batch: RecordBatch) {
        self.late_below = late_below;
        self.pending.push(batch);
    }

    /// The changes of the batch, each row once, without those that are late, and the number of those.
    pub(super) fn take_changes(&mut self) -> Result<(Delta, u64)> {
        let pending = std::mem::take(&mut self.pending);
        let delta = Delta::of(self.bytes.schema(), &pending)?;
        let Some(bound) = self.late_below else { return Ok((delta.consolidated()?, 0)) };
        let times = times_in(delta.rows.column(self.time), None)?;
        let (delta, late) = delta.on_time(&times, bound)?;
        Ok((delta.consolidated()?, late))
    }

    /// The changes of rows that have no place, as NULL is in key or time, and those of the others.
    pub(super) fn without_place(&self, delta: Delta) -> Result<(Delta, Delta)> {
        let columns = self.key.iter().chain([&self.time]);
        let columns: Vec<ArrayRef> = columns.map(|column| Arc::clone(delta.rows.column(*column))).collect();
        delta.split(|row| columns.iter().any(|column| column.is_null(row)))
    }

    pub(super) fn encode(&self, rows: &RecordBatch) -> Result<Encoded> {
        Ok(Encoded { whole: self.bytes.encode(rows)?, places: self.places.encode(rows)? })
    }

    /// The columns that come out, of rows given by their bytes.
    pub(super) fn decode<'a>(&self, rows: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        Ok(self.output_columns(&self.bytes.decode(rows)?))
    }

    /// Applies consolidated changes.
    pub(super) fn apply(&mut self, delta: &Delta, encoded: &Encoded, durable: bool) -> Result<()> {
        for (row, weight) in delta.weights.iter().enumerate() {
            let place = encoded.place(row).len() as u32;
            self.add(encoded.whole.row(row).data(), Entry { weight: *weight, place })?;
        }
        if self.by_time.is_some() {
            let times = times_in(delta.rows.column(self.time), None)?;
            for row in 0..delta.len() {
                self.index(times.value(row), encoded.place(row));
            }
        }
        if durable { self.saved.changed(delta) } else { Ok(()) }
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
            Some(_) if weight == 0 => self.remove(key),
            Some(known) => known.weight = weight,
            None if weight == 0 => {}
            None => {
                self.row_bytes += key.len();
                self.rows.insert(key.into(), Entry { weight, ..entry });
            }
        }
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) {
        if self.rows.remove(key).is_some() {
            self.row_bytes -= key.len();
        }
    }

    /// Says when the rows of a place leave, as long as there are any.
    fn index(&mut self, time: i64, place: &[u8]) {
        let there = self.at(place).next().is_some();
        let Some(by_time) = &mut self.by_time else { return };
        let places = by_time.entry(time).or_default();
        if !there {
            places.remove(place);
        } else if !places.contains(place) {
            places.insert(place.into());
        }
        if places.is_empty() {
            by_time.remove(&time);
        }
    }

    /// The rows of a place.
    pub(super) fn at<'a>(&'a self, place: &'a [u8]) -> impl Iterator<Item = (&'a Key, &'a Entry)> {
        let from = self.rows.range::<[u8], _>((Included(place), Unbounded));
        from.take_while(move |(key, _)| key.starts_with(place))
    }

    /// The part of a place that is the key alone.
    fn key_of<'a>(&self, place: &'a [u8]) -> &'a [u8] {
        &place[..place.len() - self.time_bytes]
    }

    /// The last row of the key up to a place, rows of the place itself included or not.
    pub(super) fn nearest(&self, place: &[u8], same: bool) -> Option<&Key> {
        let before = self.rows.range::<[u8], _>((Unbounded, Excluded(edge(place, same).as_ref())));
        before.map(|(key, _)| key).next_back().filter(|key| key.starts_with(self.key_of(place)))
    }

    /// The next place of the same key that has rows.
    pub(super) fn next_place(&self, place: &[u8]) -> Option<&[u8]> {
        let behind = self.rows.range::<[u8], _>((Included(edge(place, true).as_ref()), Unbounded)).next();
        let (key, entry) = behind.filter(|(key, _)| key.starts_with(self.key_of(place)))?;
        Some(&key[..entry.place as usize])
    }

    /// The rows from a place on, up to one behind it, or to the end of the key. Where they begin and end, `same` says
    /// whether rows of that very place are behind it.
    pub(super) fn between(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        same: bool,
    ) -> impl Iterator<Item = (&Key, &Entry)> {
        let start = edge(from, !same);
        let end = to.map_or_else(|| edge(self.key_of(from), true), |to| edge(to, !same));
        self.rows.range::<[u8], _>((Included(start.as_ref()), Excluded(end.as_ref())))
    }

    /// Whether two places have the same key.
    pub(super) fn same_key(&self, place: &[u8], other: &[u8]) -> bool {
        other.starts_with(self.key_of(place))
    }

    fn take_places_below(&mut self, bound: i64) -> Vec<Key> {
        let Some(by_time) = &mut self.by_time else { return Vec::new() };
        let later = by_time.split_off(&bound);
        std::mem::replace(by_time, later).into_values().flatten().collect()
    }

    /// Whether a row's time is below the bound.
    pub(super) fn has_below(&self, bound: i64) -> bool {
        let first = self.by_time.as_ref().and_then(|by_time| by_time.keys().next());
        first.is_some_and(|first| *first < bound)
    }

    /// Takes out the rows whose time is below the bound: each place with its rows.
    pub(super) fn leave(&mut self, bound: i64, durable: bool) -> Vec<(Key, Vec<(Key, i64)>)> {
        let places = self.take_places_below(bound);
        if durable && !places.is_empty() {
            self.saved.evicted(bound);
        }
        let mut left = Vec::with_capacity(places.len());
        for place in places {
            let rows: Vec<(Key, i64)> =
                self.at(&place).map(|(key, entry)| (key.clone(), entry.weight)).collect();
            rows.iter().for_each(|(key, _)| self.remove(key));
            left.push((place, rows));
        }
        left
    }

    /// Of each key's rows whose time is below the bound, forgets all but the last.
    pub(super) fn forget_superseded(&mut self, bound: i64, durable: bool) -> Result<()> {
        let mut superseded: Vec<(Key, i64)> = Vec::new();
        for place in self.take_places_below(bound) {
            let Some(last) = self.nearest(&place, true) else { continue };
            let before = self.rows.range::<[u8], _>((Included(self.key_of(&place)), Excluded(last.as_ref())));
            let before: Vec<(Key, i64)> = before.map(|(key, entry)| (key.clone(), -entry.weight)).collect();
            before.iter().for_each(|(key, _)| self.remove(key));
            superseded.extend(before);
        }
        if durable && !superseded.is_empty() {
            let gone = self.delta_of(&superseded)?;
            self.saved.changed(&gone)?;
        }
        Ok(())
    }

    fn delta_of(&self, rows: &[(Key, i64)]) -> Result<Delta> {
        let weights = rows.iter().map(|(_, weight)| *weight).collect();
        Ok(Delta { rows: self.bytes.decode(rows.iter().map(|(key, _)| key.as_ref()))?, weights })
    }

    pub(super) fn restore(&mut self, rows: &RecordBatch) -> Result<()> {
        let delta = self.saved.restored(rows)?;
        let encoded = self.encode(&delta.rows)?;
        self.apply(&delta, &encoded, false)
    }

    pub(super) fn snapshot(&self) -> Result<Vec<RecordBatch>> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<(Key, i64)> =
            self.rows.iter().map(|(key, entry)| (key.clone(), entry.weight)).collect();
        Ok(vec![self.saved.saved(&self.delta_of(&rows)?)?])
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let indexes = if self.by_time.is_some() { 2 } else { 1 };
        self.row_bytes + self.rows.len() * ENTRY_BYTES * indexes
    }
}
