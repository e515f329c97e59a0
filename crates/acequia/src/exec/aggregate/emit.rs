//! What an aggregate gives at the end of a batch.

use super::pane::Pane;
use super::{AggregateOperator, Emit, PaneKey};
use crate::exec::append_weight;
use acequia_core::Result;
use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, UInt32Array, make_comparator};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::{SortOptions, concat_batches, filter};
use std::sync::Arc;

/// Rows that are gathered at once where all of a pane is read.
pub(in crate::exec) const GATHER_ROWS: usize = 32 * 1024;
/// Batches smaller than this are put together.
const SMALL_ROWS: usize = 4 * 1024;

impl AggregateOperator {
    pub(super) fn emit(&self) -> Result<Vec<RecordBatch>> {
        let batches = match self.spec.emit {
            Emit::Final => self.emit_final()?,
            Emit::Snapshot => self.emit_all()?,
            Emit::Upserts | Emit::Changes => self.emit_changed()?,
        };
        coalesce(batches)
    }

    fn emit_all(&self) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        for (key, pane) in &self.panes {
            let ids: Vec<u32> = pane.living().collect();
            self.emit_groups(*key, pane, &ids, &mut batches)?;
        }
        Ok(batches)
    }

    /// Groups that the watermark passes in this batch.
    fn emit_final(&self) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        let (Some(bound), Some(time)) = (self.bound, &self.intake.time) else { return Ok(batches) };
        let passed_before = self.evicted_below.unwrap_or(i64::MIN);
        for (key, pane) in self.panes.range(Some(i64::MIN)..=Some(time.pane(bound))) {
            let ids = match (key, time.is_window()) {
                (Some(pane), true) if time.last_of(*pane) >= bound => continue,
                (_, true) => pane.living().collect(),
                (_, false) => pane.between(passed_before, bound),
            };
            self.emit_groups(*key, pane, &ids, &mut batches)?;
        }
        Ok(batches)
    }

    fn emit_groups(&self, key: PaneKey, pane: &Pane, ids: &[u32], out: &mut Vec<RecordBatch>) -> Result<()> {
        for part in ids.chunks(GATHER_ROWS) {
            let mut columns = self.group_columns(key, pane, part)?;
            columns.extend(pane.states.outputs(part)?);
            out.push(self.output(columns, part.len())?);
        }
        Ok(())
    }

    fn output(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.spec.output_schema), columns, &options)?)
    }

    fn emit_changed(&self) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        for key in &self.touched {
            if let Some(pane) = self.panes.get(key) {
                self.emit_changed_of(*key, pane, &mut batches)?;
            }
        }
        Ok(batches)
    }

    fn emit_changed_of(&self, key: PaneKey, pane: &Pane, out: &mut Vec<RecordBatch>) -> Result<()> {
        if self.spec.emit == Emit::Upserts && self.intake.plan.changes_with_every_row() {
            return self.emit_groups(key, pane, &pane.touched, out);
        }
        let ids = UInt32Array::from(pane.touched.clone());
        let (there_before, there) = pane.there(ids.values());
        let (old, new) = if self.spec.aggregates.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            (pane.states.remembered()?, pane.states.outputs(ids.values())?)
        };
        let pairs = old.iter().zip(&new);
        let changed = pairs
            .map(|(old, new)| differ(old, new))
            .try_fold(&there_before ^ &there, |all, one| Ok::<_, acequia_core::Error>(&all | &one?))?;
        let lost = BooleanArray::from(&changed & &there_before);
        if self.spec.emit == Emit::Changes && lost.true_count() > 0 {
            let batch = self.selected(key, pane, &ids, &old, &lost)?;
            out.push(append_weight(&batch, &self.change_schema, -1)?);
        }
        let given = BooleanArray::from(&changed & &there);
        if given.true_count() == 0 {
            return Ok(());
        }
        let batch = self.selected(key, pane, &ids, &new, &given)?;
        out.push(match self.spec.emit {
            Emit::Changes => append_weight(&batch, &self.change_schema, 1)?,
            _ => batch,
        });
        Ok(())
    }

    /// The rows of selected groups: their keys, and these results.
    fn selected(
        &self,
        key: PaneKey,
        pane: &Pane,
        ids: &UInt32Array,
        results: &[ArrayRef],
        mask: &BooleanArray,
    ) -> Result<RecordBatch> {
        let ids: Vec<u32> = mask.values().set_indices().map(|row| ids.value(row)).collect();
        let mut columns = self.group_columns(key, pane, &ids)?;
        for result in results {
            columns.push(filter(result, mask)?);
        }
        self.output(columns, ids.len())
    }

    /// The group columns of groups, those that follow from the pane included.
    fn group_columns(&self, key: PaneKey, pane: &Pane, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut held = pane.keys.gather(ids)?.into_iter();
        let Some(time) = self.intake.time.as_ref().filter(|time| time.is_window()) else {
            return Ok(held.collect());
        };
        let times = Int64Array::from(vec![key; ids.len()]);
        let groups = self.spec.group_by.num_group_exprs();
        let mut columns = Vec::with_capacity(groups);
        for column in 0..groups {
            if time.is_derived(column) {
                columns.push(time.column(column, &times)?);
            } else {
                columns.extend(held.next());
            }
        }
        Ok(columns)
    }
}

/// Which rows differ. Types that cannot be compared count as different, which is allowed: it says nothing wrong.
pub(in crate::exec) fn differ(old: &ArrayRef, new: &ArrayRef) -> Result<BooleanBuffer> {
    if !old.data_type().is_nested()
        && let Ok(differ) = distinct(old, new)
    {
        return Ok(differ.values().clone());
    }
    let rows = old.len();
    match make_comparator(old, new, SortOptions::default()) {
        Ok(compare) => Ok(BooleanBuffer::collect_bool(rows, |row| compare(row, row).is_ne())),
        Err(_) => Ok(BooleanBuffer::new_set(rows)),
    }
}

/// Puts neighbouring small batches together.
pub(in crate::exec) fn coalesce(batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
    let mut out = Vec::new();
    let mut waiting: Vec<RecordBatch> = Vec::new();
    for batch in batches {
        let rows: usize = waiting.iter().map(RecordBatch::num_rows).sum();
        if rows > 0 && rows + batch.num_rows() > SMALL_ROWS {
            out.push(joined(std::mem::take(&mut waiting))?);
        }
        if batch.num_rows() > 0 {
            waiting.push(batch);
        }
    }
    if !waiting.is_empty() {
        out.push(joined(waiting)?);
    }
    Ok(out)
}

fn joined(mut batches: Vec<RecordBatch>) -> Result<RecordBatch> {
    match batches.as_slice() {
        [_] => Ok(batches.remove(0)),
        all => Ok(concat_batches(&all[0].schema(), all)?),
    }
}
