//! Rows as bytes of [`arrow::row`] that compare as the rows do, and of which the rows are made again.
//!
//! They are in no checkpoint, which has the columns: their form is no promise of arrow's.

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
    /// The columns as they follow each other in the bytes.
    columns: Vec<usize>,
    converter: RowConverter,
}

/// A converter of these columns in this order.
///
/// # Errors
/// `Unsupported` for types that cannot be compared.
pub(super) fn converter(schema: &SchemaRef, order: &[(usize, SortOptions)]) -> Result<RowConverter> {
    let field = |(column, options): &(usize, _)| {
        SortField::new_with_options(schema.field(*column).data_type().clone(), *options)
    };
    RowConverter::new(order.iter().map(field).collect())
        .map_err(|e| Error::unsupported(format!("rows cannot be ordered by their columns: {e}")))
}

impl RowBytes {
    /// Bytes of rows with these columns, which are compared in this order; it names every column.
    ///
    /// # Errors
    /// As [`converter`].
    pub(super) fn try_new(schema: &SchemaRef, order: &[(usize, SortOptions)]) -> Result<Self> {
        let columns = order.iter().map(|(column, _)| *column).collect();
        Ok(Self { schema: Arc::clone(schema), columns, converter: converter(schema, order)? })
    }

    /// The columns as they follow each other in the bytes.
    pub(super) fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The columns of rows as they follow each other in the bytes.
    pub(super) fn ordered(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.columns.iter().map(|column| Arc::clone(rows.column(*column))).collect()
    }

    /// Rows as bytes.
    pub(super) fn encode(&self, rows: &RecordBatch) -> Result<Rows> {
        Ok(self.converter.convert_columns(&self.ordered(rows))?)
    }

    /// Rows from their bytes.
    pub(super) fn decode<'a>(&self, rows: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<RecordBatch> {
        let (count, parser) = (rows.len(), self.converter.parser());
        let columns = self.converter.convert_rows(rows.map(|row| parser.parse(row)))?;
        let mut placed: Vec<Option<ArrayRef>> = vec![None; columns.len()];
        for (column, place) in columns.into_iter().zip(&self.columns) {
            let own = self.schema.field(*place).data_type();
            // Dictionaries come back as their values.
            placed[*place] = Some(if column.data_type() == own { column } else { cast(&column, own)? });
        }
        batch_of(&self.schema, placed.into_iter().flatten().collect(), count)
    }
}
