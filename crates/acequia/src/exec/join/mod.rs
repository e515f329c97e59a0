//! Joins of two inputs that change: [`JoinOperator`].
//!
//! Each side keeps its rows by key. A batch's changes of the right side meet the left rows of before, then those of the
//! left side meet the right rows of after, which together is every new pair once:
//! ```text
//! d(L join R) = L_old join dR  +  dL join R_new
//! ```
//! A side whose rows also come out without a partner (outer, anti, mark) or once for all partners (semi) counts for
//! each row how many there are, its *degree*. What such a row gives is a function of its degree, so a change of a degree
//! gives the difference. A batch costs its changes and the pairs they are part of.
//!
//! Rows with NULL in the key have no partner (unless NULLs are equal): they are not kept. NOT IN differs: one NULL on
//! the right side matches everything, so whether there is one, and whether the right side has any row, are known
//! besides, and all left rows are looked at when either changes.
//!
//! Where the join bounds a side's time, its rows leave when no partner can come any more; rows below the watermark are
//! late. Saved state: the tables `left` and `right`, the rows with their degrees.

mod output;
mod side;
mod spec;
#[cfg(test)]
mod tests;

pub use spec::{JoinEmit, JoinEviction, JoinSide, JoinSpec};

use super::delta::Delta;
use super::row_store::{Cursor, Matches, RowId, hash_keys};
use super::{BatchContext, Operator};
use crate::error::from_datafusion;
use acequia_core::state::{Stateful, TableDef, TableDelta};
use acequia_core::{Error, Result, Watermark};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{prep_null_mask_filter, take};
use arrow::datatypes::SchemaRef;
use datafusion::common::JoinSide as Place;
use output::Output;
use side::{Alone, Side};
use std::collections::BTreeMap;

/// Pairs that are looked at together.
const PAIRS: usize = if cfg!(test) { 5 } else { 64 * 1024 };

/// Names of the state tables.
const TABLES: [&str; 2] = ["left", "right"];

/// See the [module](self).
pub struct JoinOperator {
    spec: JoinSpec,
    sides: [Side; 2],
    output: Output,
    in_batch: bool,
    late: u64,
}

impl JoinOperator {
    /// The operator, with nothing in its state.
    ///
    /// # Errors
    /// `Internal` when the parts of the spec do not fit together.
    pub fn try_new(spec: JoinSpec) -> Result<Self> {
        let sides = [Side::try_new(&spec, 0)?, Side::try_new(&spec, 1)?];
        Ok(Self { output: Output::new(&spec), sides, spec, in_batch: false, late: 0 })
    }

    fn begin(&mut self) {
        if !std::mem::replace(&mut self.in_batch, true) {
            self.late = 0;
        }
    }

    /// Joins the changes of a side with the rows of the other one, then applies them.
    fn change(&mut self, context: &BatchContext, this: usize) -> Result<()> {
        let (delta, late) = self.sides[this].take_changes()?;
        self.late += late;
        if delta.len() == 0 {
            return Ok(());
        }
        let before = self.sides[this].presence();
        let delta = self.without_null_keys(this, delta)?;
        let (degrees, touched) = self.pair(this, &delta)?;
        if self.spec.null_aware {
            self.sides[this].count(&delta);
        }
        self.give_rows(this, &delta, &degrees)?;
        let after = self.sides[this].presence();
        let other = 1 - this;
        if self.spec.null_aware && this == 1 && before != after {
            self.look_at_all(&touched, before, after)?;
        } else {
            self.give_differences(other, &touched)?;
        }
        self.sides[other].set_degrees(touched, context.durable)?;
        self.sides[this].apply(delta, degrees, context)
    }

    /// Gives what rows with NULL in the key give without any partner, and goes on with the others.
    fn without_null_keys(&mut self, this: usize, delta: Delta) -> Result<Delta> {
        if self.spec.nulls_equal || self.spec.null_aware {
            return Ok(delta);
        }
        let keys = self.sides[this].keys(delta.rows.columns());
        if keys.iter().all(|column| column.null_count() == 0) {
            return Ok(delta);
        }
        let (null, rest) = delta.split(|row| keys.iter().any(|column| column.is_null(row)))?;
        let columns = self.sides[this].output_columns(&null.rows);
        let degrees = vec![0; null.len()];
        // They are final at once, in every way of telling changes.
        self.output.alone(this, self.sides[this].alone, &columns, &degrees, &null.weights, true)?;
        Ok(rest)
    }

    /// Gives the pairs of changed rows with the rows of the other side. Returns the degree of each changed row, and
    /// by how much those of the other side's rows change.
    fn pair(&mut self, this: usize, delta: &Delta) -> Result<(Vec<i64>, BTreeMap<RowId, i64>)> {
        let other = 1 - this;
        let keys = self.sides[this].keys(delta.rows.columns());
        let hashes = hash_keys(&keys, delta.len())?;
        let (mut degrees, mut touched) = (vec![0; delta.len()], BTreeMap::new());
        let mut cursor = Cursor::default();
        while let Some(found) = self.sides[other].store.matches(&keys, &hashes, &mut cursor, PAIRS)? {
            let found = self.passing(this, delta, found)?;
            let store = &self.sides[other].store;
            let counts_others = self.sides[other].counts();
            let mut weights = Vec::with_capacity(found.probe.len());
            for (row, id) in found.probe.iter().zip(&found.stored) {
                let (weight, partners) = (delta.weights[*row as usize], store.weight(*id));
                degrees[*row as usize] += partners;
                if counts_others {
                    *touched.entry(*id).or_default() += weight;
                }
                weights.push(weight * partners);
            }
            if self.output.has_pairs() && !weights.is_empty() {
                let rows = UInt32Array::from(found.probe);
                let own = self.sides[this].output_columns(&delta.rows);
                let own =
                    own.iter().map(|c| take(c, &rows, None)).collect::<std::result::Result<Vec<_>, _>>()?;
                let stored = store.gather(&found.stored, &self.spec.sides[other].output)?;
                let [left, right] = if this == 0 { [own, stored] } else { [stored, own] };
                self.output.pairs(left, right, weights)?;
            }
        }
        touched.retain(|_, change| *change != 0);
        Ok((degrees, touched))
    }

    /// The pairs that pass the filter.
    fn passing(&self, this: usize, delta: &Delta, found: Matches) -> Result<Matches> {
        let Some(filter) = &self.spec.filter else { return Ok(found) };
        let rows = UInt32Array::from(found.probe.clone());
        let store = &self.sides[1 - this].store;
        let column = |index: &datafusion::physical_plan::joins::utils::ColumnIndex| -> Result<ArrayRef> {
            let own = (index.side == Place::Left) == (this == 0);
            if own {
                return Ok(take(delta.rows.column(index.index), &rows, None)?);
            }
            store
                .gather(&found.stored, &[index.index])?
                .pop()
                .ok_or_else(|| Error::internal("no such column"))
        };
        let columns = filter.column_indices().iter().map(column).collect::<Result<Vec<_>>>()?;
        let batch = super::delta::batch_of(filter.schema(), columns, found.probe.len())?;
        let passed =
            filter.expression().evaluate(&batch).and_then(|value| value.into_array(batch.num_rows()));
        let passed = passed.map_err(from_datafusion)?;
        let passed =
            passed.as_boolean_opt().ok_or_else(|| Error::internal("a join filter is not Boolean"))?;
        let passed = if passed.null_count() > 0 { prep_null_mask_filter(passed) } else { passed.clone() };
        Ok(found.only(passed.values()))
    }

    /// Gives what changed rows give beside pairs.
    fn give_rows(&mut self, this: usize, delta: &Delta, degrees: &[i64]) -> Result<()> {
        let side = &self.sides[this];
        let columns = side.output_columns(&delta.rows);
        if self.spec.null_aware && this == 0 {
            let keys = side.keys(delta.rows.columns());
            let kept = kept_by_not_in(&keys, degrees, self.sides[1].presence());
            return self.output.selected(&columns, &delta.weights, &kept);
        }
        self.output.alone(this, side.alone, &columns, degrees, &delta.weights, false)
    }

    /// Gives the difference that changed degrees make to rows of a side.
    fn give_differences(&mut self, side: usize, touched: &BTreeMap<RowId, i64>) -> Result<()> {
        let Side { store, alone, .. } = &self.sides[side];
        let moved = touched.iter().filter(|(id, change)| {
            let old = store.degree(**id);
            (old > 0) != (old + **change > 0)
        });
        let ids: Vec<RowId> = moved.map(|(id, _)| *id).collect();
        if ids.is_empty() || *alone == Alone::Nothing {
            return Ok(());
        }
        let columns = store.gather(&ids, &self.spec.sides[side].output)?;
        let old: Vec<i64> = ids.iter().map(|id| store.degree(*id)).collect();
        let new: Vec<i64> = ids.iter().zip(&old).map(|(id, old)| old + touched[id]).collect();
        let weights: Vec<i64> = ids.iter().map(|id| store.weight(*id)).collect();
        let taken_back: Vec<i64> = weights.iter().map(|weight| -weight).collect();
        if self.spec.null_aware {
            let keys = store.gather(&ids, &self.spec.sides[side].key)?;
            let presence = self.sides[1].presence();
            let (was, is) = (kept_by_not_in(&keys, &old, presence), kept_by_not_in(&keys, &new, presence));
            self.output.selected(&columns, &taken_back, &was)?;
            return self.output.selected(&columns, &weights, &is);
        }
        if self.spec.emit == JoinEmit::Changes {
            self.output.alone(side, *alone, &columns, &old, &taken_back, false)?;
        }
        self.output.alone(side, *alone, &columns, &new, &weights, false)
    }

    /// Gives the difference that the first or last row, or NULL, of the right side makes to all rows of a NOT IN.
    fn look_at_all(
        &mut self,
        touched: &BTreeMap<RowId, i64>,
        before: side::Presence,
        after: side::Presence,
    ) -> Result<()> {
        let store = &self.sides[0].store;
        let all: Vec<RowId> = store.ids().collect();
        for ids in all.chunks(PAIRS) {
            let columns = store.gather(ids, &self.spec.sides[0].output)?;
            let keys = store.gather(ids, &self.spec.sides[0].key)?;
            let old: Vec<i64> = ids.iter().map(|id| store.degree(*id)).collect();
            let change = |id: &RowId| touched.get(id).copied().unwrap_or_default();
            let new: Vec<i64> = ids.iter().zip(&old).map(|(id, old)| old + change(id)).collect();
            let weights: Vec<i64> = ids.iter().map(|id| store.weight(*id)).collect();
            let taken_back: Vec<i64> = weights.iter().map(|weight| -weight).collect();
            let (was, is) = (kept_by_not_in(&keys, &old, before), kept_by_not_in(&keys, &new, after));
            self.output.selected(&columns, &taken_back, &(&was & &!&is))?;
            self.output.selected(&columns, &weights, &(&is & &!&was))?;
        }
        Ok(())
    }

    /// Lets rows leave that can have no more partners.
    fn evict(&mut self, context: &BatchContext) -> Result<()> {
        for this in 0..2 {
            let Some(bound) = self.sides[this].leaves_below(context.watermark)? else { continue };
            let side = &mut self.sides[this];
            let ids = side.store.below(bound)?;
            if ids.is_empty() {
                continue;
            }
            if self.spec.emit == JoinEmit::Final && side.alone != Alone::Nothing {
                let columns = side.store.gather(&ids, &self.spec.sides[this].output)?;
                let degrees: Vec<i64> = ids.iter().map(|id| side.store.degree(*id)).collect();
                let weights: Vec<i64> = ids.iter().map(|id| side.store.weight(*id)).collect();
                self.output.alone(this, side.alone, &columns, &degrees, &weights, true)?;
            }
            side.leave(&ids, bound, context.durable)?;
        }
        Ok(())
    }
}

/// Which rows a NOT IN keeps: all when the right side has no row; otherwise none with or beside a NULL, and those
/// without an equal.
fn kept_by_not_in(keys: &[ArrayRef], degrees: &[i64], right: side::Presence) -> BooleanBuffer {
    BooleanBuffer::collect_bool(degrees.len(), |row| {
        !right.any || (!right.any_null && degrees[row] == 0 && keys.iter().all(|key| key.is_valid(row)))
    })
}

impl Operator for JoinOperator {
    fn output_schema(&self) -> SchemaRef {
        self.output.schema()
    }

    fn push(&mut self, context: &BatchContext, input: usize, batch: RecordBatch) -> Result<()> {
        self.begin();
        let side = self.sides.get_mut(input).ok_or_else(|| Error::internal("a join has two inputs"))?;
        side.push(context, batch);
        Ok(())
    }

    fn finish(&mut self, context: &BatchContext) -> Result<Vec<RecordBatch>> {
        self.begin();
        self.in_batch = false;
        self.change(context, 1)?;
        self.change(context, 0)?;
        self.evict(context)?;
        self.output.take()
    }

    fn late_rows(&self) -> u64 {
        self.late
    }

    fn wakes_at(&self, watermark: Watermark) -> bool {
        self.sides.iter().any(|side| {
            let bound = side.leaves_below(watermark).ok().flatten();
            bound.is_some_and(|bound| side.store.has_below(bound))
        })
    }
}

impl Stateful for JoinOperator {
    fn tables(&self) -> Vec<TableDef> {
        self.sides.iter().map(|side| side.saved.table().clone()).collect()
    }

    fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
        let deltas = self.sides.iter_mut().map(|side| side.saved.take_delta());
        Ok(deltas.filter(|delta| !delta.is_empty()).collect())
    }

    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        let side = TABLES.iter().position(|name| *name == table).ok_or_else(|| no_table(table))?;
        self.sides[side].restore(&rows)
    }

    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>> {
        let side = TABLES.iter().position(|name| *name == table).ok_or_else(|| no_table(table))?;
        self.sides[side].saved.snapshot(&self.sides[side].store)
    }

    fn state_rows(&self) -> usize {
        self.sides.iter().map(|side| side.store.len()).sum()
    }

    fn state_bytes(&self) -> usize {
        self.sides.iter().map(|side| side.store.bytes()).sum()
    }
}

fn no_table(name: &str) -> Error {
    Error::invalid(format!("a join has no such table: table=`{name}`"))
}
