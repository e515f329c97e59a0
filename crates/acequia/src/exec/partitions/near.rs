//! The rows around changes.
//!
//! ```text
//!   lo2 ......... lo ........ change ........ hi ......... hi2
//!      sees back     sees on         sees back    sees on
//! ```
//! A change decides on rows from `lo`, the first that sees on to it, to `hi`, the last that sees back to it. To know
//! what these are the relation has to see the rows from `lo2` to `hi2`.
//!
//! A way ends at another change, which has ways of its own: else each of many would walk over all others.

use super::ordered::{Entry, Key, Keys, OrderedRows};
use super::reach::{Moved, Reach, Way, moved};
use super::{Near, Seen};
use crate::exec::delta::{Delta, batch_of};
use crate::exec::row_bytes::after_all;
use acequia_core::{Error, Result};
use arrow::array::ArrayRef;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{self, Excluded, Included, Unbounded};

/// The changed rows, with their weights.
pub(super) type Changed<'a> = BTreeMap<&'a [u8], i64>;

/// Changes by their keys; they are consolidated.
pub(super) fn changed<'a>(delta: &Delta, keys: &'a Keys) -> Changed<'a> {
    (0..delta.len()).map(|row| (keys.key(row), delta.weights[row])).collect()
}

/// The key of a row, and where its partition and its order end in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) key: &'a [u8],
    partition: usize,
    ordered: usize,
}

impl<'a> Place<'a> {
    pub(super) fn partition(&self) -> &'a [u8] {
        &self.key[..self.partition]
    }

    /// The values of the partition and of the order.
    pub(super) fn value(&self) -> &'a [u8] {
        &self.key[..self.ordered]
    }
}

/// Rows that are seen: the first and the last.
pub(super) type Region<'a> = (Place<'a>, Place<'a>);

impl OrderedRows {
    /// Applies changes, and gives the rows around them.
    pub(super) fn change_near(&mut self, near: &Near, delta: Delta, durable: bool) -> Result<Seen> {
        let keys = self.keys(&delta.rows)?;
        self.apply(&delta, &keys)?;
        let changed = changed(&delta, &keys);
        let regions = self.regions(near, &keys, &changed)?;
        let ranges = regions.iter().map(|(first, last)| (Included(first.key), Included(last.key)));
        let seen = self.before_and_after(ranges, &changed)?;
        if durable {
            self.saved.changed(&delta)?;
        }
        if self.in_order {
            self.forget_unseen(near, &keys, durable)?;
        }
        Ok(seen)
    }

    /// Forgets the rows of these partitions to which one after all of them sees no more.
    fn forget_unseen(&mut self, near: &Near, keys: &Keys, durable: bool) -> Result<()> {
        let partitions: BTreeSet<&[u8]> = (0..keys.len()).map(|row| keys.partition(row)).collect();
        let last = |partition: &&'_ [u8]| {
            let end = after_all(partition).map_or(Unbounded, Excluded);
            let range = (Included(*partition), end.as_ref().map(Vec::as_slice));
            self.rows.range::<[u8], _>(range).next_back().map(|(key, entry)| Place {
                key,
                partition: partition.len(),
                ordered: entry.ordered as usize,
            })
        };
        let last: Vec<Place<'_>> = partitions.iter().filter_map(last).collect();
        let first_seen = self.step(last, near.back, false, &Changed::new())?;
        let unseen = first_seen
            .iter()
            .flat_map(|place| self.rows.range::<[u8], _>((Included(place.partition()), Excluded(place.key))));
        let gone: Vec<(Key, i64)> = unseen.map(|(key, entry)| (key.clone(), -entry.weight)).collect();
        self.remove(gone.iter().map(|(key, _)| key));
        if durable && !gone.is_empty() {
            let gone: Vec<(&[u8], i64)> = gone.iter().map(|(key, weight)| (key.as_ref(), *weight)).collect();
            let gone = self.decode(&gone)?;
            self.saved.changed(&gone)?;
        }
        Ok(())
    }

    /// The rows that decide on what changes.
    pub(super) fn regions<'a>(
        &'a self,
        near: &Near,
        keys: &'a Keys,
        changed: &Changed<'_>,
    ) -> Result<Vec<Region<'a>>> {
        let places = (0..changed.len()).map(|row| {
            let (key, partition, ordered) = (keys.key(row), keys.partition(row).len(), keys.value(row).len());
            Place { key, partition, ordered }
        });
        let changes: Vec<Region<'_>> = places.map(|place| (place, place)).collect();
        let decided = self.wider(&changes, near.ahead, near.back, changed)?;
        self.wider(&decided, near.back, near.ahead, changed)
    }

    /// Regions that go so far back and on from others; they do not overlap.
    fn wider<'a>(
        &'a self,
        regions: &[Region<'a>],
        back: Reach,
        on: Reach,
        changed: &Changed<'_>,
    ) -> Result<Vec<Region<'a>>> {
        let (first, last): (Vec<_>, Vec<_>) = regions.iter().copied().unzip();
        let first = self.step(first, back, false, changed)?;
        let last = self.step(last, on, true, changed)?;
        let mut wider: Vec<Region<'_>> = first.into_iter().zip(last).collect();
        wider.sort_unstable_by_key(|(first, _)| first.key);
        wider.dedup_by(|next, region| {
            let meet = next.0.key <= region.1.key;
            if meet && next.1.key > region.1.key {
                region.1 = next.1;
            }
            meet
        });
        Ok(wider)
    }

    /// The last rows on a way that are not farther from these.
    fn step<'a>(
        &'a self,
        from: Vec<Place<'a>>,
        reach: Reach,
        on: bool,
        changed: &Changed<'_>,
    ) -> Result<Vec<Place<'a>>> {
        let bounds = self.bounds(&from, reach, on)?;
        let walked = from.into_iter().map(|place| match on {
            true => walk(self.rows.range::<[u8], _>((Excluded(place.key), Unbounded)), place, reach, changed),
            false => {
                let way = self.rows.range::<[u8], _>((Unbounded, Excluded(place.key))).rev();
                walk(way, place, reach, changed)
            }
        });
        let mut reached: Vec<Place<'_>> = walked.collect();
        for (place, bound) in reached.iter_mut().zip(&bounds) {
            let range = match (on, bound) {
                (true, Excluded(bound)) if place.key >= bound.as_slice() => continue,
                (false, Included(bound)) if place.key <= bound.as_slice() => continue,
                (true, bound) => (Excluded(place.key), bound.as_ref().map(Vec::as_slice)),
                (false, bound) => (bound.as_ref().map(Vec::as_slice), Excluded(place.key)),
            };
            let mut way = self.rows.range::<[u8], _>(range);
            if let Some((key, entry)) = if on { way.next_back() } else { way.next() } {
                *place = Place { key, ordered: entry.ordered as usize, ..*place };
            }
        }
        Ok(reached)
    }

    /// Where on a way the keys end whose values are not farther from those of these rows.
    fn bounds(&self, from: &[Place<'_>], reach: Reach, on: bool) -> Result<Vec<Bound<Vec<u8>>>> {
        let Some(distance) = reach.distance.filter(|_| !from.is_empty()) else { return Ok(Vec::new()) };
        let (Some((column, options)), Some(ordered)) = (self.order_column, &self.ordered) else {
            return Err(Error::internal("distances in an order that is not of one column"));
        };
        let rows = self.whole.decode(from.iter().map(|place| place.key))?;
        let way =
            Way { down: on == options.descending, null_is_low: options.nulls_first != options.descending };
        let Moved { values, is_end } = moved(rows.column(column), distance, way)?;
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        columns[column] = values;
        let bounds = ordered.encode(&batch_of(&rows.schema(), columns, from.len())?)?;
        let bound = |(row, place): (usize, &Place<'_>)| {
            let bytes = if is_end[row] { place.partition() } else { bounds.row(row).data() };
            match on {
                true => after_all(bytes).map_or(Unbounded, Excluded),
                false => Included(bytes.to_vec()),
            }
        };
        Ok(from.iter().enumerate().map(bound).collect())
    }

    /// The rows in ranges that do not overlap, before and after changes in them that have been applied.
    pub(super) fn before_and_after<'a>(
        &self,
        ranges: impl Iterator<Item = (Bound<&'a [u8]>, Bound<&'a [u8]>)>,
        changed: &Changed<'_>,
    ) -> Result<Seen> {
        let mut after: BTreeMap<&[u8], i64> = BTreeMap::new();
        for range in ranges {
            let rows = self.rows.range::<[u8], _>(range);
            after.extend(rows.map(|(key, entry)| (key.as_ref(), entry.weight)));
        }
        let mut before = after.clone();
        for (key, weight) in changed {
            let entry = before.entry(key).or_default();
            *entry -= weight;
        }
        let seen = |rows: BTreeMap<&[u8], i64>| {
            self.decode_copies(&rows.into_iter().filter(|(_, weight)| *weight > 0).collect::<Vec<_>>())
        };
        Ok(Seen { before: seen(before)?, after: seen(after)? })
    }
}

/// The last row on a way that is not so many rows, and groups of rows, farther than one. Rows that changed do not count,
/// not being there before, or not after.
fn walk<'a>(
    way: impl Iterator<Item = (&'a Key, &'a Entry)>,
    from: Place<'a>,
    reach: Reach,
    changed: &Changed<'_>,
) -> Place<'a> {
    let (mut rows, mut groups) = (0_usize, 0_usize);
    let mut reached = from;
    for (key, entry) in way.take_while(|(key, _)| key.starts_with(from.partition())) {
        let place = Place { key, ordered: entry.ordered as usize, ..from };
        groups += usize::from(place.value() != reached.value());
        if rows >= reach.rows && reach.groups.is_none_or(|most| groups > most) {
            break;
        }
        reached = place;
        if changed.contains_key(place.key) {
            break;
        }
        rows = rows.saturating_add(entry.weight.max(0) as usize);
    }
    reached
}
