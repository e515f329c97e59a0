//! Rows as bytes of [`arrow::row`] that compare as the rows do in an order of all their columns. The bytes are the row:
//! it is made from them again. They are in no checkpoint, which has the columns.

use super::delta::batch_of;
use acequia_core::{Error, Result};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, Rows, SortField};
use std::sync::Arc;

/// See the [module](self).
pub(super) struct RowBytes {
    schema: SchemaRef,
    order: Vec<(usize, SortOptions)>,
    whole: RowConverter,
}

/// Some columns of rows as bytes, as those that the bytes of a row begin with.
pub(super) struct RowPrefix {
    columns: Vec<usize>,
    converter: RowConverter,
}

impl RowBytes {
    /// Rows with these columns in an order that names each at least once.
    ///
    /// # Errors
    /// `Unsupported` for types that have no order.
    pub(super) fn try_new(schema: &SchemaRef, order: &[(usize, SortOptions)]) -> Result<Self> {
        Ok(Self { schema: Arc::clone(schema), whole: converter(schema, order)?, order: order.to_vec() })
    }

    /// The first columns of the order; nothing when there are none of them.
    ///
    /// # Errors
    /// As [`RowBytes::try_new`].
    pub(super) fn prefix(&self, columns: usize) -> Result<Option<RowPrefix>> {
        RowPrefix::try_new(&self.schema, &self.order[..columns])
    }

    /// The columns of the rows.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The bytes of rows.
    ///
    /// # Errors
    /// `Internal` when they have other columns.
    pub(super) fn encode(&self, rows: &RecordBatch) -> Result<Rows> {
        let columns: Vec<ArrayRef> = self.order.iter().map(|(c, _)| Arc::clone(rows.column(*c))).collect();
        Ok(self.whole.convert_columns(&columns)?)
    }

    /// Rows from their bytes.
    ///
    /// # Errors
    /// `Internal` when the bytes are none of these rows.
    pub(super) fn decode<'a>(&self, rows: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<RecordBatch> {
        let (count, parser) = (rows.len(), self.whole.parser());
        let columns = self.whole.convert_rows(rows.map(|row| parser.parse(row)))?;
        let mut placed: Vec<Option<ArrayRef>> = vec![None; self.schema.fields().len()];
        for (column, (place, _)) in columns.into_iter().zip(&self.order) {
            let own = self.schema.field(*place).data_type();
            // Dictionaries come back as their values.
            placed[*place] = Some(if column.data_type() == own { column } else { cast(&column, own)? });
        }
        batch_of(&self.schema, placed.into_iter().flatten().collect(), count)
    }
}

impl RowPrefix {
    /// These columns in this order; nothing when there are none.
    ///
    /// # Errors
    /// As [`RowBytes::try_new`].
    pub(super) fn try_new(schema: &SchemaRef, order: &[(usize, SortOptions)]) -> Result<Option<Self>> {
        if order.is_empty() {
            return Ok(None);
        }
        let columns = order.iter().map(|(column, _)| *column).collect();
        Ok(Some(Self { columns, converter: converter(schema, order)? }))
    }

    /// The bytes of these columns.
    ///
    /// # Errors
    /// `Internal` when the rows have other columns.
    pub(super) fn encode(&self, rows: &RecordBatch) -> Result<Rows> {
        let columns: Vec<ArrayRef> = self.columns.iter().map(|c| Arc::clone(rows.column(*c))).collect();
        Ok(self.converter.convert_columns(&columns)?)
    }
}

/// The least bytes after all that begin with these, if there are any.
pub(super) fn after_all(first: &[u8]) -> Option<Vec<u8>> {
    let mut next = first.to_vec();
    while let Some(last) = next.pop() {
        if let Some(last) = last.checked_add(1) {
            next.push(last);
            return Some(next);
        }
    }
    None
}

/// A converter of these columns in this order.
///
/// # Errors
/// `Unsupported` for types that have no order.
pub(super) fn converter(schema: &SchemaRef, order: &[(usize, SortOptions)]) -> Result<RowConverter> {
    let sort = |(column, options): &(usize, _)| {
        SortField::new_with_options(schema.field(*column).data_type().clone(), *options)
    };
    RowConverter::new(order.iter().map(sort).collect())
        .map_err(|e| Error::unsupported(format!("rows cannot be ordered by their columns: {e}")))
}
