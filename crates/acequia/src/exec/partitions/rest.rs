//! Partitions of which the relation sees the rows around the first change and all after it, with [`Running`] values.
//!
//! ```text
//! rows of a partition, in order    ....... | .............. | ....... first seen .... change ......... | .. end
//! places                                   t                t                                          t
//!                                                           `- totals -> values -> the relation sees -->
//! ```
//! A place is between two groups of rows with the same value of the order; its totals tell of the rows before. Values
//! are computed from the last place before the first row that is seen, over the rows before the change and over those
//! after it, and places after it are made anew. So a row at the end of a partition costs the rows after the last place.
//!
//! There is a place in every [`SPACING`] rows or two, and one near the end. They are in no checkpoint: a partition gets
//! its places back when it is first touched.

use super::near::{Changed, Place, changed};
use super::ordered::{Key, Keys, OrderedRows};
use super::running::{Running, Stretch, Totals, values};
use super::{Kept, Near, PartitionsSpec, Seen};
use crate::exec::delta::{Delta, batch_of};
use crate::exec::row_bytes::after_all;
use acequia_core::Result;
use acequia_core::state::{TableDef, TableDelta};
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::ops::Range;

/// So many rows are between two places, if groups are not larger; up to twice as many where places have gone.
const SPACING: usize = 256;

/// So many rows come before the last group of a partition, or after the place before, when it gets a place.
const NEAR_END: usize = 16;

/// See the [module](self).
pub(super) struct RestRows {
    near: Near,
    running: Vec<Running>,
    /// The columns of rows, and of the values.
    seen: SchemaRef,
    rows: OrderedRows,
    /// By the values of the partition and of the order from which on rows come after them.
    pub(super) places: BTreeMap<Key, Totals>,
    place_bytes: usize,
}

/// Where a partition is seen from, and the place from which its values are computed.
struct Start<'a> {
    partition: &'a [u8],
    seen: &'a [u8],
    place: Option<(&'a Key, &'a Totals)>,
    end: Bound<Vec<u8>>,
}

/// The places of a partition that are made anew, and the one from which they were made.
struct Made {
    partition: Key,
    from: Option<Key>,
    places: Vec<(Key, Totals)>,
}

impl RestRows {
    pub(super) fn try_new(spec: &PartitionsSpec, near: Near) -> Result<Self> {
        Ok(Self {
            near,
            running: spec.running.clone(),
            seen: spec.seen(),
            rows: OrderedRows::try_new(spec)?,
            places: BTreeMap::new(),
            place_bytes: 0,
        })
    }

    /// Where each partition with changes is seen from.
    fn starts<'a>(&'a self, first: impl Iterator<Item = Place<'a>>) -> Vec<Start<'a>> {
        let mut starts: Vec<Start<'_>> = Vec::new();
        for first in first {
            let partition = first.partition();
            if starts.last().is_some_and(|start| start.partition == partition) {
                continue;
            }
            let mut before = self.places.range::<[u8], _>((Included(partition), Included(first.value())));
            let end = after_all(partition).map_or(Unbounded, Excluded);
            starts.push(Start { partition, seen: first.key, place: before.next_back(), end });
        }
        starts
    }

    /// Rows with their values, from where they are seen on, and the places that partitions get.
    fn with_values(
        &self,
        rows: &RecordBatch,
        starts: &[Start<'_>],
    ) -> Result<(RecordBatch, Vec<(Key, Totals)>)> {
        let keys = self.rows.keys(rows)?;
        let (stretches, seen) = stretches(&keys, rows.num_rows(), starts);
        let (columns, totals) = values(&self.running, rows, &stretches)?;
        let columns = rows.columns().iter().cloned().chain(columns).collect();
        let mut with_values = batch_of(&self.seen, columns, rows.num_rows())?;
        if seen.iter().any(|seen| !seen) {
            with_values = filter_record_batch(&with_values, &BooleanArray::from(seen))?;
        }
        let asked =
            stretches.iter().flat_map(|stretch| stretch.asked.iter().map(|group| &stretch.groups[*group]));
        let places = asked.map(|group| Key::from(keys.value(group.start)));
        Ok((with_values, places.zip(totals.into_iter().flatten()).collect()))
    }

    /// Puts places of partitions in the place of those that changes have come before.
    fn replace(&mut self, made: Vec<Made>) {
        for Made { partition, from, places } in made {
            let after = from.as_deref().map_or(Included(partition.as_ref()), Excluded);
            self.forget(after, &partition);
            if let (Some(from), Some((_, next))) = (&from, places.first()) {
                let mut before =
                    self.places.range::<[u8], _>((Included(partition.as_ref()), Excluded(from.as_ref())));
                let before = before.next_back().map_or(0, |(_, totals)| totals.rows);
                if next.rows - before <= SPACING {
                    self.forget_one(from);
                }
            }
            for (key, totals) in places {
                self.place_bytes += key.len() + totals.size();
                self.places.insert(key, totals);
            }
        }
    }

    /// Forgets the places of a partition from one on.
    fn forget(&mut self, from: Bound<&[u8]>, partition: &[u8]) {
        let of_partition = self.places.range::<[u8], _>((from, Unbounded)).map(|(key, _)| key);
        let gone: Vec<Key> = of_partition.take_while(|key| key.starts_with(partition)).cloned().collect();
        gone.iter().for_each(|key| self.forget_one(key));
    }

    fn forget_one(&mut self, key: &[u8]) {
        if let Some(totals) = self.places.remove(key) {
            self.place_bytes -= key.len() + totals.size();
        }
    }
}

/// Rows in order by their partitions and groups, and whether each is seen.
fn stretches<'a>(keys: &Keys, rows: usize, starts: &'a [Start<'_>]) -> (Vec<Stretch<'a>>, Vec<bool>) {
    let mut stretches: Vec<Stretch<'_>> = Vec::new();
    let mut seen = Vec::with_capacity(rows);
    let mut seen_from: &[u8] = &[];
    for row in 0..rows {
        let is_new = |part: fn(&Keys, usize) -> &[u8]| row == 0 || part(keys, row) != part(keys, row - 1);
        if is_new(Keys::partition) {
            let start = starts.binary_search_by_key(&keys.partition(row), |start| start.partition);
            let start = start.ok().map(|start| &starts[start]);
            seen_from = start.map_or(&[], |start| start.seen);
            let before = start.and_then(|start| start.place).map(|(_, totals)| totals);
            stretches.push(Stretch { before, ..Stretch::default() });
        }
        if let Some(stretch) = stretches.last_mut() {
            if is_new(Keys::value) {
                stretch.groups.push(Range { start: row, end: row });
            }
            stretch.groups.last_mut().into_iter().for_each(|group| group.end = row + 1);
        }
        seen.push(keys.key(row) >= seen_from);
    }
    stretches.iter_mut().for_each(ask);
    (stretches, seen)
}

/// Chooses the groups before which there are to be places.
fn ask(stretch: &mut Stretch<'_>) {
    let mut last = stretch.before.map_or(0, |before| before.rows);
    for group in 1..stretch.groups.len() {
        let rows = stretch.rows_before(group);
        let far = if group + 1 == stretch.groups.len() { NEAR_END } else { SPACING };
        if rows - last >= far {
            stretch.asked.push(group);
            last = rows;
        }
    }
}

impl Kept for RestRows {
    fn change(&mut self, delta: Delta, durable: bool) -> Result<Seen> {
        let keys = self.rows.keys(&delta.rows)?;
        self.rows.apply(&delta, &keys)?;
        let changed: Changed<'_> = changed(&delta, &keys);
        let regions = self.rows.regions(&self.near, &keys, &changed)?;
        let starts = self.starts(regions.into_iter().map(|(first, _)| first));
        let ranges = starts.iter().map(|start| {
            let from = start.place.map_or(start.partition, |(key, _)| key);
            (Included(from), start.end.as_ref().map(Vec::as_slice))
        });
        let Seen { before, after } = self.rows.before_and_after(ranges, &changed)?;
        let (before, _) = self.with_values(&before, &starts)?;
        let (after, places) = self.with_values(&after, &starts)?;
        let made = |start: &Start<'_>| Made {
            partition: start.partition.into(),
            from: start.place.map(|(key, _)| key.clone()),
            places: Vec::new(),
        };
        let mut made: Vec<Made> = starts.iter().map(made).collect();
        for (key, totals) in places {
            let of = made.partition_point(|made| made.partition.as_ref() <= key.as_ref());
            if let Some(made) = of.checked_sub(1).and_then(|of| made.get_mut(of)) {
                made.places.push((key, totals));
            }
        }
        self.replace(made);
        if durable {
            self.rows.saved.changed(&delta)?;
        }
        Ok(Seen { before, after })
    }

    fn store(&mut self, delta: &Delta, durable: bool) -> Result<()> {
        self.rows.store(delta, durable)
    }

    fn leave(&mut self, bound: i64, durable: bool) -> Result<Option<RecordBatch>> {
        let Some(gone) = self.rows.leave(bound, durable)? else { return Ok(None) };
        let keys = self.rows.keys(&gone)?;
        for row in 0..gone.num_rows() {
            if row == 0 || keys.partition(row) != keys.partition(row - 1) {
                self.forget(Included(keys.partition(row)), keys.partition(row));
            }
        }
        self.with_values(&gone, &[]).map(|(rows, _)| Some(rows))
    }

    fn has_below(&self, bound: i64) -> bool {
        self.rows.has_below(bound)
    }

    fn table(&self) -> &TableDef {
        self.rows.table()
    }

    fn take_delta(&mut self) -> TableDelta {
        self.rows.take_delta()
    }

    fn restore(&mut self, rows: &RecordBatch) -> Result<()> {
        self.places.clear();
        self.place_bytes = 0;
        self.rows.restore(rows)
    }

    fn snapshot(&self) -> Result<Vec<RecordBatch>> {
        self.rows.snapshot()
    }

    fn rows(&self) -> usize {
        self.rows.rows()
    }

    fn bytes(&self) -> usize {
        self.rows.bytes() + self.place_bytes
    }
}
