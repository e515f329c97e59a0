//! A side of a join: its rows, and what they give without a partner.

use super::{JoinEmit, JoinSpec, TABLES};
use crate::exec::BatchContext;
use crate::exec::aggregate::times_in;
use crate::exec::delta::Delta;
use crate::exec::row_store::{RowId, RowStore, RowStoreSpec, SavedRows};
use acequia_core::{Error, Result, Watermark};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::common::JoinType;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a row of a side gives beside pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    /// Nothing.
    Nothing,
    /// Itself, if it has a partner.
    Matched,
    /// Itself (and NULLs for the other side of an outer join), if it has none.
    Unmatched,
    /// Itself and whether it has one.
    Mark,
}

impl Alone {
    fn of(kind: JoinType, side: usize) -> Self {
        use JoinType::*;
        match (kind, side) {
            (Left | Full | LeftAnti, 0) | (Right | Full | RightAnti, 1) => Self::Unmatched,
            (LeftSemi, 0) | (RightSemi, 1) => Self::Matched,
            (LeftMark, 0) | (RightMark, 1) => Self::Mark,
            _ => Self::Nothing,
        }
    }
}

/// What a NOT IN must know of its right side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Presence {
    /// Whether it has rows.
    pub(super) any: bool,
    /// Whether one of them is NULL.
    pub(super) any_null: bool,
}

pub(super) struct Side {
    schema: SchemaRef,
    key: Vec<usize>,
    output: Vec<usize>,
    eviction: Option<super::JoinEviction>,
    pub(super) alone: Alone,
    pub(super) store: RowStore,
    pub(super) saved: SavedRows,
    pending: Vec<RecordBatch>,
    /// By which those are late.
    late: Watermark,
    /// Of a NOT IN: rows, and rows with NULL in the key.
    counted: [i64; 2],
}

impl Side {
    pub(super) fn try_new(spec: &JoinSpec, side: usize) -> Result<Self> {
        let of = &spec.sides[side];
        let alone = Alone::of(spec.kind, side);
        let store = RowStore::new(RowStoreSpec {
            schema: Arc::clone(&of.schema),
            key: of.key.clone(),
            nulls_equal: spec.nulls_equal,
            leave: of.retracting,
            degree: alone != Alone::Nothing,
            time: of.eviction.as_ref().filter(|e| e.leave.is_some()).map(|e| (e.column, e.field)),
        })?;
        if of.retracting && spec.emit == JoinEmit::Inserts {
            return Err(Error::internal("a join of rows that are taken back only adds rows"));
        }
        Ok(Self {
            schema: Arc::clone(&of.schema),
            key: of.key.clone(),
            output: of.output.clone(),
            eviction: of.eviction.clone(),
            alone,
            saved: SavedRows::new(spec.operator, TABLES[side], &store),
            store,
            pending: Vec::new(),
            late: Watermark::default(),
            counted: [0; 2],
        })
    }

    /// Whether rows have degrees.
    pub(super) fn counts(&self) -> bool {
        self.alone != Alone::Nothing
    }

    pub(super) fn keys(&self, columns: &[ArrayRef]) -> Vec<ArrayRef> {
        self.key.iter().map(|column| Arc::clone(&columns[*column])).collect()
    }

    pub(super) fn output_columns(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.output.iter().map(|column| Arc::clone(rows.column(*column))).collect()
    }

    pub(super) fn push(&mut self, context: &BatchContext, batch: RecordBatch) {
        self.late = context.late_watermark;
        self.pending.push(batch);
    }

    /// The changes of the batch without rows that are late, and the number of those.
    pub(super) fn take_changes(&mut self) -> Result<(Delta, u64)> {
        let delta = Delta::of(&self.schema, &std::mem::take(&mut self.pending))?;
        let delta = if self.store.spec().leave { delta.consolidated()? } else { delta };
        let Some(eviction) = &self.eviction else { return Ok((delta, 0)) };
        // Not by what has left: rows that can have no partner to come still meet those that are there.
        let Some(bound) = eviction.late.at(self.late)? else { return Ok((delta, 0)) };
        let times = times_in(delta.rows.column(eviction.column), eviction.field)?;
        delta.on_time(&times, bound)
    }

    /// Below which time rows leave at a watermark.
    pub(super) fn leaves_below(&self, watermark: Watermark) -> Result<Option<i64>> {
        let leave = self.eviction.as_ref().and_then(|eviction| eviction.leave.as_ref());
        leave.map_or(Ok(None), |leave| leave.at(watermark))
    }

    pub(super) fn presence(&self) -> Presence {
        Presence { any: self.counted[0] > 0, any_null: self.counted[1] > 0 }
    }

    /// Counts rows for [`Side::presence`].
    pub(super) fn count(&mut self, delta: &Delta) {
        let keys = self.keys(delta.rows.columns());
        self.count_rows(&keys, &delta.weights);
    }

    fn count_rows(&mut self, keys: &[ArrayRef], weights: &[i64]) {
        self.counted[0] += weights.iter().sum::<i64>();
        if keys.iter().any(|key| key.null_count() > 0) {
            let null = |row: usize| keys.iter().any(|key| key.is_null(row));
            self.counted[1] +=
                weights.iter().enumerate().filter(|(row, _)| null(*row)).map(|(_, w)| w).sum::<i64>();
        }
    }

    pub(super) fn apply(
        &mut self,
        delta: Delta,
        mut degrees: Vec<i64>,
        context: &BatchContext,
    ) -> Result<()> {
        let known = self.known(&delta, context)?;
        let delta = match known {
            None => delta,
            Some(known) => {
                degrees = known.iter().map(|row| degrees[*row as usize]).collect();
                delta.take(&known)?
            }
        };
        self.store.apply(&delta.rows, Some(&delta.weights), &degrees)?;
        if context.durable {
            self.saved.changed(&self.store, &delta, &degrees)?;
        }
        Ok(())
    }

    /// The changes of rows that have not left, unless all are. Rows leave when they can have no more partners to come,
    /// but may still change themselves, as those of a window that is open: the others need not know.
    fn known(&self, delta: &Delta, context: &BatchContext) -> Result<Option<Vec<u32>>> {
        let (true, Some(eviction)) = (self.store.spec().leave, &self.eviction) else { return Ok(None) };
        let Some(left_below) = self.leaves_below(context.previous_watermark)? else { return Ok(None) };
        let times = times_in(delta.rows.column(eviction.column), eviction.field)?;
        let is_known = |row: &u32| times.is_null(*row as usize) || times.value(*row as usize) >= left_below;
        let known: Vec<u32> = (0..delta.len() as u32).filter(is_known).collect();
        Ok((known.len() < delta.len()).then_some(known))
    }

    /// Adds to degrees.
    pub(super) fn set_degrees(&mut self, changes: BTreeMap<RowId, i64>, durable: bool) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let ids: Vec<RowId> = changes.keys().copied().collect();
        let old: Vec<i64> = ids.iter().map(|id| self.store.degree(*id)).collect();
        let new: Vec<i64> = changes.values().zip(&old).map(|(change, old)| old + change).collect();
        for (id, degree) in ids.iter().zip(&new) {
            debug_assert!(*degree >= 0, "a row has {degree} partners");
            self.store.set_degree(*id, *degree);
        }
        if durable {
            self.saved.degrees_changed(&self.store, &ids, &old, &new)?;
        }
        Ok(())
    }

    /// Forgets rows below a time.
    pub(super) fn leave(&mut self, ids: &[RowId], bound: i64, durable: bool) -> Result<()> {
        let keys = self.store.gather(ids, &self.key)?;
        let weights: Vec<i64> = ids.iter().map(|id| -self.store.weight(*id)).collect();
        self.count_rows(&keys, &weights);
        self.store.remove(ids)?;
        if durable {
            self.saved.evicted(bound);
        }
        Ok(())
    }

    pub(super) fn restore(&mut self, rows: &RecordBatch) -> Result<()> {
        self.saved.restore(&mut self.store, rows)?;
        let weights = rows.columns().last().and_then(|column| column.as_primitive_opt::<Int64Type>());
        let weights = weights.ok_or_else(|| Error::data("saved rows of a join have no weight"))?;
        let keys = self.keys(rows.columns());
        self.count_rows(&keys, weights.values());
        Ok(())
    }
}
