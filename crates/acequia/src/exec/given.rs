//! Rows that an operator gives in a batch: with their weights, or, where rows are only added, as often as these say.

use super::aggregate::coalesce;
use super::delta::{Delta, batch_of};
use super::with_weight;
use acequia_core::Result;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// See the [module](self).
pub(super) struct Given {
    /// The columns without a weight.
    schema: SchemaRef,
    weighted: bool,
    rows: Vec<RecordBatch>,
    weights: Vec<i64>,
}

impl Given {
    pub(super) fn new(schema: &SchemaRef, weighted: bool) -> Self {
        Self { schema: Arc::clone(schema), weighted, rows: Vec::new(), weights: Vec::new() }
    }

    /// The columns of what is given.
    pub(super) fn schema(&self) -> SchemaRef {
        if self.weighted { with_weight(&self.schema) } else { Arc::clone(&self.schema) }
    }

    /// Adds rows with these weights.
    pub(super) fn push(&mut self, columns: Vec<ArrayRef>, weights: &[i64]) -> Result<()> {
        if weights.is_empty() {
            return Ok(());
        }
        let rows = batch_of(&self.schema, columns, weights.len())?;
        if self.weighted {
            self.weights.extend_from_slice(weights);
            self.rows.push(rows);
        } else {
            // Rows of an input that only adds them may have been saved as copies, and come out as often.
            self.rows.push(Delta { rows, weights: weights.to_vec() }.copies()?);
        }
        Ok(())
    }

    /// All rows of the batch.
    pub(super) fn take(&mut self) -> Result<Vec<RecordBatch>> {
        let rows = std::mem::take(&mut self.rows);
        if !self.weighted {
            return coalesce(rows);
        }
        let weights = std::mem::take(&mut self.weights);
        let delta = Delta { weights, ..Delta::of(&self.schema, &rows)? }.consolidated()?;
        Ok(if delta.len() == 0 { Vec::new() } else { vec![delta.into_batch()?] })
    }
}
