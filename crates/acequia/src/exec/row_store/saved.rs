//! Rows of a [`RowStore`] as a checkpoint keeps them: an additive table of the rows' own columns, then the degree and
//! the time where the store has them, then the weight. A row whose degree changes is taken back and given again.

use super::{RowId, RowStore};
use crate::exec::aggregate::times_in;
use crate::exec::delta::{Delta, batch_of};
use crate::exec::rows_table::table_of_rows;
use acequia_core::state::{TableDef, TableDelta};
use acequia_core::{Error, OperatorId, Result};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use std::sync::Arc;

/// The saved form of a store's rows, and what of it the next delta has to say.
pub(in crate::exec) struct SavedRows {
    table: TableDef,
    unsaved: Vec<RecordBatch>,
    unsaved_eviction: Option<i64>,
}

impl SavedRows {
    /// The table of this name for the rows of a store.
    pub(in crate::exec) fn new(operator: OperatorId, name: &str, store: &RowStore) -> Self {
        let spec = store.spec();
        let table = table_of_rows(operator, name, &spec.schema, spec.degree, spec.time.is_some());
        Self { table, unsaved: Vec::new(), unsaved_eviction: None }
    }

    /// The table.
    pub(in crate::exec) fn table(&self) -> &TableDef {
        &self.table
    }

    /// Applies consolidated changes to the store of these rows, which have no degrees, and remembers them if a
    /// checkpoint will ask.
    ///
    /// # Errors
    /// `Data` when a row is taken back that is not there.
    pub(in crate::exec) fn apply(
        &mut self,
        store: &mut RowStore,
        delta: &Delta,
        durable: bool,
    ) -> Result<()> {
        if store.spec().leave {
            store.apply(&delta.rows, Some(&delta.weights), &[])?;
        } else {
            store.insert_copies(&delta.rows, &delta.weights, &[])?;
        }
        if durable { self.changed(store, delta, &[]) } else { Ok(()) }
    }

    /// Remembers changed weights of rows that have these degrees.
    pub(in crate::exec) fn changed(
        &mut self,
        store: &RowStore,
        delta: &Delta,
        degrees: &[i64],
    ) -> Result<()> {
        let rows = self.batch(store, delta.rows.columns(), degrees, &delta.weights)?;
        self.unsaved.extend(rows);
        Ok(())
    }

    /// Remembers changed degrees of rows that stay.
    pub(in crate::exec) fn degrees_changed(
        &mut self,
        store: &RowStore,
        ids: &[RowId],
        old: &[i64],
        new: &[i64],
    ) -> Result<()> {
        let columns = store.gather(ids, &store.all_columns())?;
        let weights: Vec<i64> = ids.iter().map(|id| store.weight(*id)).collect();
        let taken_back: Vec<i64> = weights.iter().map(|weight| -weight).collect();
        let before = self.batch(store, &columns, old, &taken_back)?;
        let after = self.batch(store, &columns, new, &weights)?;
        self.unsaved.extend(before.into_iter().chain(after));
        Ok(())
    }

    /// Remembers that rows below the bound have left.
    pub(in crate::exec) fn evicted(&mut self, bound: i64) {
        self.unsaved_eviction = Some(bound);
    }

    fn batch(
        &self,
        store: &RowStore,
        columns: &[ArrayRef],
        degrees: &[i64],
        weights: &[i64],
    ) -> Result<Option<RecordBatch>> {
        if weights.is_empty() {
            return Ok(None);
        }
        let mut saved = columns.to_vec();
        let spec = store.spec();
        if spec.degree {
            saved.push(Arc::new(Int64Array::from(degrees.to_vec())));
        }
        if let Some((column, field)) = spec.time {
            saved.push(Arc::new(times_in(&columns[column], field)?));
        }
        saved.push(Arc::new(Int64Array::from(weights.to_vec())));
        Ok(Some(RecordBatch::try_new(Arc::clone(&self.table.schema), saved)?))
    }

    /// What has changed since the last call.
    pub(in crate::exec) fn take_delta(&mut self) -> TableDelta {
        TableDelta {
            table: self.table.clone(),
            upserts: std::mem::take(&mut self.unsaved),
            deletes: Vec::new(),
            evict_below: self.unsaved_eviction.take(),
        }
    }

    /// Puts saved rows into the store.
    ///
    /// # Errors
    /// `Data` when they are not of this table.
    pub(in crate::exec) fn restore(&self, store: &mut RowStore, saved: &RecordBatch) -> Result<()> {
        if saved.num_columns() != self.table.schema.fields().len() {
            return Err(Error::data(format!(
                "saved rows are not of this table: table=`{}`",
                self.table.name
            )));
        }
        let own = store.spec().schema.fields().len();
        let number = |column: &ArrayRef| {
            let numbers = column.as_primitive_opt::<Int64Type>().filter(|numbers| numbers.null_count() == 0);
            numbers.map(|numbers| numbers.values().to_vec()).ok_or_else(|| {
                Error::data(format!("a saved weight or degree is no number: table=`{}`", self.table.name))
            })
        };
        let weights = number(saved.column(saved.num_columns() - 1))?;
        let degrees = if store.spec().degree { number(saved.column(own))? } else { Vec::new() };
        let rows = batch_of(&store.spec().schema, saved.columns()[..own].to_vec(), saved.num_rows())?;
        if store.spec().leave {
            return store.apply(&rows, Some(&weights), &degrees);
        }
        store.insert_copies(&rows, &weights, &degrees)
    }

    /// All rows of the store in saved form.
    pub(in crate::exec) fn snapshot(&self, store: &RowStore) -> Result<Vec<RecordBatch>> {
        let ids: Vec<RowId> = store.ids().collect();
        let columns = store.gather(&ids, &store.all_columns())?;
        let degrees: Vec<i64> = ids.iter().map(|id| store.degree(*id)).collect();
        let weights: Vec<i64> = ids.iter().map(|id| store.weight(*id)).collect();
        Ok(self.batch(store, &columns, &degrees, &weights)?.into_iter().collect())
    }
}
