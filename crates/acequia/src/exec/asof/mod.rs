//! ASOF joins of two inputs that change: every left row with the one right row of its key that is nearest to its time.
//!
//! Both sides keep their rows by key and time. The changes of a batch's right rows come first: each is at a place, and
//! only left rows from there up to the next place of the key can get another right row by them.
//! ```text
//! right rows     r1          r2 (new)             r3
//! left rows          l1 ...        l2, l3 ...          l4 ...
//!                    r1            r1 -> r2            r3
//! ```
//! All left rows between two neighbouring places have the same right row, before as after, so a changed place costs two
//! lookups and the left rows that it changes. Then each changed left row looks up its own. Of right rows with one key
//! and one time the one that is greatest by all its other columns counts, in their order and with NULL as the least.
//! Rows with NULL in key or time match nothing and are not kept.
//!
//! Where watermarks bound the times of both sides, what is below the lower bound stands: left rows leave, with
//! [`Emit::Final`] they are given then, and of each key's right rows the last one stays. Rows below their own side's
//! bound are late. Bounds say nothing about the next right row ([`Nearest::next`]): nothing leaves there.
//!
//! Saved state: the tables `left` and `right`. Memory per row: the bytes of its columns and about 50, with bounds those
//! of key and time once more.

mod side;
mod spec;
#[cfg(test)]
mod tests;

pub use spec::{AsofSide, AsofSpec, Nearest};

use super::delta::Delta;
use super::given::Given;
use super::{BatchContext, Emit, Operator};
use acequia_core::state::{Stateful, TableDef, TableDelta};
use acequia_core::{Error, Result, Watermark};
use arrow::array::{ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use side::{Key, Side};
use std::collections::BTreeSet;

/// Names of the state tables.
const TABLES: [&str; 2] = ["left", "right"];

/// See the [module](self).
pub struct AsofOperator {
    spec: AsofSpec,
    left: Side,
    right: Side,
    given: Given,
    in_batch: bool,
    late: u64,
}

/// Left rows, each with its right row and a weight.
#[derive(Default)]
struct Pairs<'a> {
    left: Vec<&'a [u8]>,
    right: Vec<Option<&'a [u8]>>,
    weights: Vec<i64>,
}

impl<'a> Pairs<'a> {
    fn push(&mut self, left: &'a [u8], right: Option<&'a Key>, weight: i64) {
        self.left.push(left);
        self.right.push(right.map(AsRef::as_ref));
        self.weights.push(weight);
    }
}

impl AsofOperator {
    /// The operator, with nothing in its state.
    ///
    /// # Errors
    /// `Unsupported` for types that have no order; `Internal` when the parts of the spec do not fit together.
    pub fn try_new(spec: AsofSpec) -> Result<Self> {
        let is_final = spec.emit == Emit::Final;
        if (is_final && spec.bounds.is_none()) || (spec.nearest.next && spec.bounds.is_some()) {
            return Err(Error::internal("an ASOF join whose bounds do not fit"));
        }
        let (left, right) = (Side::try_new(&spec, 0)?, Side::try_new(&spec, 1)?);
        let given = Given::new(&spec.output_schema, !is_final);
        Ok(Self { spec, left, right, given, in_batch: false, late: 0 })
    }

    fn begin(&mut self) {
        if !std::mem::replace(&mut self.in_batch, true) {
            self.late = 0;
        }
    }

    /// The least time that rows of a side still have at a watermark.
    fn bound(&self, side: usize, watermark: Watermark) -> Result<Option<i64>> {
        self.spec.bounds.as_ref().map_or(Ok(None), |bounds| bounds[side].at(watermark))
    }

    /// Below which time nothing changes any more.
    fn settled_below(&self, watermark: Watermark) -> Result<Option<i64>> {
        let (left, right) = (self.bound(0, watermark)?, self.bound(1, watermark)?);
        Ok(left.zip(right).map(|(left, right)| left.min(right)))
    }

    /// Applies the changes of right rows, and gives what they change for left rows that are there.
    fn change_right(&mut self, context: &BatchContext) -> Result<()> {
        let (delta, late) = self.right.take_changes()?;
        self.late += late;
        let (_, delta) = self.right.without_place(delta)?;
        if delta.len() == 0 {
            return Ok(());
        }
        let encoded = self.right.encode(&delta.rows)?;
        if self.spec.emit == Emit::Final {
            return self.right.apply(&delta, &encoded, context.durable);
        }
        let places: BTreeSet<&[u8]> = (0..delta.len()).map(|row| encoded.place(row)).collect();
        let places: Vec<&[u8]> = places.into_iter().collect();
        let nearest = |side: &Side, place: &&[u8]| side.nearest(place, true).cloned();
        let before: Vec<Option<Key>> = places.iter().map(|place| nearest(&self.right, place)).collect();
        self.right.apply(&delta, &encoded, context.durable)?;
        let mut pairs = Pairs::default();
        for (n, (place, before)) in places.iter().zip(&before).enumerate() {
            let after = self.right.nearest(place, true);
            if after == before.as_ref() {
                continue;
            }
            let changed = places.get(n + 1).copied().filter(|next| self.right.same_key(place, next));
            let end = self.right.next_place(place).into_iter().chain(changed).min();
            for (left, entry) in self.left.between(place, end, self.spec.nearest.same) {
                pairs.push(left, before.as_ref(), -entry.weight);
                pairs.push(left, after, entry.weight);
            }
        }
        let left = self.left.decode(pairs.left.iter().copied())?;
        give(&mut self.given, &self.spec, &self.right, left, &pairs.right, pairs.weights)
    }

    /// Applies the changes of left rows, and gives them with their right rows.
    fn change_left(&mut self, context: &BatchContext) -> Result<()> {
        let (delta, late) = self.left.take_changes()?;
        self.late += late;
        let (without, delta) = self.left.without_place(delta)?;
        // They are final at once.
        self.give_changed(without, |_, _| None)?;
        if delta.len() == 0 {
            return Ok(());
        }
        let encoded = self.left.encode(&delta.rows)?;
        self.left.apply(&delta, &encoded, context.durable)?;
        if self.spec.emit == Emit::Final {
            return Ok(());
        }
        let same = self.spec.nearest.same;
        self.give_changed(delta, |right, row| right.nearest(encoded.place(row), same))
    }

    fn give_changed(
        &mut self,
        delta: Delta,
        nearest: impl for<'a> Fn(&'a Side, usize) -> Option<&'a Key>,
    ) -> Result<()> {
        let right: Vec<Option<&[u8]>> =
            (0..delta.len()).map(|row| nearest(&self.right, row).map(AsRef::as_ref)).collect();
        let left = self.left.output_columns(&delta.rows);
        give(&mut self.given, &self.spec, &self.right, left, &right, delta.weights)
    }

    /// Lets go what can change no more.
    fn settle(&mut self, context: &BatchContext) -> Result<()> {
        let Some(bound) = self.settled_below(context.watermark)? else { return Ok(()) };
        let leaving = self.left.leave(bound, context.durable);
        if self.spec.emit == Emit::Final && !leaving.is_empty() {
            let mut pairs = Pairs::default();
            for (place, rows) in &leaving {
                let right = self.right.nearest(place, self.spec.nearest.same);
                rows.iter().for_each(|(left, weight)| pairs.push(left, right, *weight));
            }
            let left = self.left.decode(pairs.left.iter().copied())?;
            give(&mut self.given, &self.spec, &self.right, left, &pairs.right, pairs.weights)?;
        }
        self.right.forget_superseded(bound, context.durable)
    }
}

/// Gives left rows with their right rows.
fn give(
    given: &mut Given,
    spec: &AsofSpec,
    side: &Side,
    left: Vec<ArrayRef>,
    right: &[Option<&[u8]>],
    weights: Vec<i64>,
) -> Result<()> {
    let mut distinct: Vec<&[u8]> = Vec::new();
    let mut kept: Vec<u32> = Vec::with_capacity(right.len());
    let mut partners: Vec<Option<u32>> = Vec::with_capacity(right.len());
    for (row, right) in right.iter().enumerate() {
        if right.is_none() && !spec.keeps_unmatched {
            continue;
        }
        kept.push(row as u32);
        partners.push(right.map(|right| {
            if distinct.last() != Some(&right) {
                distinct.push(right);
            }
            (distinct.len() - 1) as u32
        }));
    }
    let (count, partners) = (kept.len(), UInt32Array::from(partners));
    let weights: Vec<i64> = kept.iter().map(|row| weights[*row as usize]).collect();
    let kept = UInt32Array::from(kept);
    let left = left.iter().map(|column| take(column, &kept, None));
    let mut columns = left.collect::<std::result::Result<Vec<_>, _>>()?;
    for column in side.decode(distinct.iter().copied())? {
        columns.push(match distinct.is_empty() {
            true => new_null_array(column.data_type(), count),
            false => take(&column, &partners, None)?,
        });
    }
    given.push(columns, &weights)
}

impl Operator for AsofOperator {
    fn output_schema(&self) -> SchemaRef {
        self.given.schema()
    }

    fn push(&mut self, context: &BatchContext, input: usize, batch: RecordBatch) -> Result<()> {
        self.begin();
        let late_below = self.bound(input, context.late_watermark)?;
        match input {
            0 => self.left.push(late_below, batch),
            1 => self.right.push(late_below, batch),
            _ => return Err(Error::internal("an ASOF join has two inputs")),
        }
        Ok(())
    }

    fn finish(&mut self, context: &BatchContext) -> Result<Vec<RecordBatch>> {
        self.begin();
        self.in_batch = false;
        self.change_right(context)?;
        self.change_left(context)?;
        self.settle(context)?;
        self.given.take()
    }

    fn late_rows(&self) -> u64 {
        self.late
    }

    fn wakes_at(&self, watermark: Watermark) -> bool {
        let bound = self.settled_below(watermark).ok().flatten();
        bound.is_some_and(|bound| self.left.has_below(bound))
    }
}

impl AsofOperator {
    fn side(&self, table: &str) -> Result<&Side> {
        match TABLES.iter().position(|name| *name == table) {
            Some(0) => Ok(&self.left),
            Some(_) => Ok(&self.right),
            None => Err(Error::invalid(format!("an ASOF join has no such table: table=`{table}`"))),
        }
    }
}

impl Stateful for AsofOperator {
    fn tables(&self) -> Vec<TableDef> {
        [&self.left, &self.right].map(|side| side.saved.def().clone()).into()
    }

    fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
        let deltas = [&mut self.left, &mut self.right].map(|side| side.saved.take_delta());
        Ok(deltas.into_iter().filter(|delta| !delta.is_empty()).collect())
    }

    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        self.side(table)?;
        if table == TABLES[0] { self.left.restore(&rows) } else { self.right.restore(&rows) }
    }

    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>> {
        self.side(table)?.snapshot()
    }

    fn state_rows(&self) -> usize {
        self.left.len() + self.right.len()
    }

    fn state_bytes(&self) -> usize {
        self.left.bytes() + self.right.bytes()
    }
}
