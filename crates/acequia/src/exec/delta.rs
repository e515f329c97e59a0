//! Rows with weights, as operators compute with them: `+n` inserts a row n times, `-n` takes it back n times.

use super::{WEIGHT, with_weight};
use acequia_core::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use hashbrown::HashMap;
use std::sync::Arc;

/// Rows, each with its weight.
#[derive(Debug, Clone)]
pub(crate) struct Delta {
    /// The rows, without a column for the weight.
    pub(crate) rows: RecordBatch,
    /// One weight for each.
    pub(crate) weights: Vec<i64>,
}

impl Delta {
    /// The rows of change batches with these columns; those of batches without a weight count once.
    ///
    /// # Errors
    /// `Internal` when a batch has other columns.
    pub(crate) fn of(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self> {
        let mut weights = Vec::new();
        let mut rows = Vec::with_capacity(batches.len());
        for batch in batches {
            match weights_in(batch)? {
                Some(of_batch) => weights.extend_from_slice(of_batch.values()),
                None => weights.resize(weights.len() + batch.num_rows(), 1),
            }
            let columns = batch.columns()[..schema.fields().len()].to_vec();
            rows.push(batch_of(schema, columns, batch.num_rows())?);
        }
        Ok(Self { rows: concat_batches(schema, &rows)?, weights })
    }

    /// How many rows there are, whatever their weights.
    pub(crate) fn len(&self) -> usize {
        self.weights.len()
    }

    /// Each distinct row once, with the sum of its weights, unless that is 0; in the order of first sight.
    ///
    /// # Errors
    /// `Unsupported` for types that cannot be compared.
    pub(crate) fn consolidated(self) -> Result<Self> {
        if self.rows.num_columns() == 0 {
            // Rows without columns are all the same.
            let net: i64 = self.weights.iter().sum();
            let rows = batch_of(&self.rows.schema(), vec![], usize::from(net != 0))?;
            return Ok(Self { rows, weights: vec![net; usize::from(net != 0)] });
        }
        if self.len() < 2 {
            return if self.weights == [0] { self.take(&[]) } else { Ok(self) };
        }
        if self.rows.num_columns() == 0 {
            let weights = vec![self.weights.iter().sum()];
            return Self { rows: self.rows.slice(0, 1), weights }.consolidated();
        }
        let encoded = encode(self.rows.columns())?;
        let mut first: HashMap<&[u8], u32> = HashMap::with_capacity(self.len());
        let mut net = vec![0; self.len()];
        for (row, weight) in self.weights.iter().enumerate() {
            let row = *first.entry(encoded.row(row).data()).or_insert(row as u32);
            net[row as usize] += weight;
        }
        let kept: Vec<u32> = (0..net.len() as u32).filter(|row| net[*row as usize] != 0).collect();
        Self { rows: self.rows, weights: net }.take(&kept)
    }

    /// These rows.
    ///
    /// # Errors
    /// What taking them gives.
    pub(crate) fn take(self, rows: &[u32]) -> Result<Self> {
        if rows.len() == self.len() {
            return Ok(self);
        }
        let weights = rows.iter().map(|row| self.weights[*row as usize]).collect();
        Ok(Self { rows: take_record_batch(&self.rows, &UInt32Array::from(rows.to_vec()))?, weights })
    }

    /// The rows alone, each as often as it is there.
    ///
    /// # Errors
    /// What taking them gives.
    pub(crate) fn copies(self) -> Result<RecordBatch> {
        if self.weights.iter().all(|weight| *weight == 1) {
            return Ok(self.rows);
        }
        if self.rows.num_columns() == 0 {
            let count = self.weights.iter().map(|weight| (*weight).max(0) as usize).sum();
            return batch_of(&self.rows.schema(), Vec::new(), count);
        }
        let counted = self.weights.iter().enumerate();
        let copies =
            counted.flat_map(|(row, weight)| std::iter::repeat_n(row as u32, (*weight).max(0) as usize));
        Ok(take_record_batch(&self.rows, &copies.collect::<UInt32Array>())?)
    }

    /// The rows of which this is true, and the others.
    ///
    /// # Errors
    /// As [`Delta::take`].
    pub(crate) fn split(self, by: impl Fn(usize) -> bool) -> Result<(Self, Self)> {
        let (chosen, rest): (Vec<u32>, Vec<u32>) = (0..self.len() as u32).partition(|row| by(*row as usize));
        Ok((self.clone().take(&chosen)?, self.take(&rest)?))
    }

    /// The rows whose time is not below the bound, and the number of the others.
    ///
    /// # Errors
    /// As [`Delta::take`].
    pub(crate) fn on_time(self, times: &Int64Array, bound: i64) -> Result<(Self, u64)> {
        let on_time = |row: &u32| times.is_null(*row as usize) || times.value(*row as usize) >= bound;
        let kept: Vec<u32> = (0..self.len() as u32).filter(on_time).collect();
        let late = (self.len() - kept.len()) as u64;
        Ok((self.take(&kept)?, late))
    }

    /// These changes and others, of rows with the same columns.
    ///
    /// # Errors
    /// `Internal` when the columns are others.
    pub(crate) fn plus(mut self, other: Self) -> Result<Self> {
        let rows = concat_batches(&self.rows.schema(), [&self.rows, &other.rows])?;
        self.weights.extend(other.weights);
        Ok(Self { rows, weights: self.weights })
    }

    /// The change batch: the rows with their weights as last column.
    ///
    /// # Errors
    /// `Internal` when rows and weights do not fit together.
    pub(crate) fn into_batch(self) -> Result<RecordBatch> {
        let schema = with_weight(&self.rows.schema());
        let mut columns = self.rows.columns().to_vec();
        columns.push(Arc::new(Int64Array::from(self.weights)));
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

/// The weights of a change batch; none of an insert-only one.
pub(crate) fn weights_in(batch: &RecordBatch) -> Result<Option<&Int64Array>> {
    let schema = batch.schema_ref();
    if schema.fields().last().is_none_or(|field| field.name() != WEIGHT) {
        return Ok(None);
    }
    let weights = batch.columns().last().and_then(|column| column.as_primitive_opt::<Int64Type>());
    weights.map(Some).ok_or_else(|| Error::internal("a weight is not a number"))
}

/// A batch of these columns, of which there may be none.
pub(crate) fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// Rows as bytes that are equal when all bits of the rows are.
pub(crate) fn encode(columns: &[ArrayRef]) -> Result<Rows> {
    let fields: Vec<_> = columns.iter().map(|array| SortField::new(array.data_type().clone())).collect();
    if columns.is_empty() {
        return Err(Error::internal("rows without columns cannot be told apart"));
    }
    Ok(RowConverter::new(fields)?.convert_columns(columns)?)
}
