//! From the columns that a source produces to the columns that the user declared.
//!
//! Declared columns are found by name and cast to the declared type; without a declaration everything that is
//! produced is a column. A cast that would lose a value is an error, never a NULL.

use acequia_core::{Error, Result, options};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use std::sync::Arc;

/// Which produced column each column of the stream is.
#[derive(Debug, Clone)]
pub(crate) struct ColumnMap {
    schema: SchemaRef,
    produced: Vec<usize>,
}

impl ColumnMap {
    /// Finds the declared columns of a stream among the produced ones.
    ///
    /// # Errors
    /// `Invalid` for a column that is not produced, naming the nearest, or that cannot have the declared type.
    pub(crate) fn new(stream: &str, declared: Option<&SchemaRef>, produced: &SchemaRef) -> Result<Self> {
        let Some(declared) = declared else {
            let all = (0..produced.fields().len()).collect();
            return Ok(Self { schema: Arc::clone(produced), produced: all });
        };
        let mut found = Vec::with_capacity(declared.fields().len());
        for field in declared.fields() {
            let Ok(index) = produced.index_of(field.name()) else {
                let names: Vec<_> = produced.fields().iter().map(|f| f.name().as_str()).collect();
                return Err(options::unknown(&format!("column of stream `{stream}`"), field.name(), names));
            };
            let from = produced.field(index).data_type();
            if !can_cast_types(from, field.data_type()) {
                return Err(Error::invalid(format!(
                    "column of stream `{stream}` cannot have the declared type: column=`{}` declared=`{}` produced=`{from}`",
                    field.name(),
                    field.data_type(),
                )));
            }
            found.push(index);
        }
        Ok(Self { schema: Arc::clone(declared), produced: found })
    }

    /// The columns of the stream.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns that a read asks for, in its order.
    ///
    /// # Errors
    /// `Internal` when there is no such column.
    pub(crate) fn project(&self, projection: Option<&[usize]>) -> Result<Self> {
        let Some(columns) = projection else { return Ok(self.clone()) };
        let schema = Arc::new(self.schema.project(columns)?);
        Ok(Self { schema, produced: columns.iter().map(|c| self.produced[*c]).collect() })
    }

    /// The produced column of each column.
    pub(crate) fn produced(&self) -> &[usize] {
        &self.produced
    }

    /// A batch from the produced columns, given in the order of [`ColumnMap::produced`].
    ///
    /// # Errors
    /// `Data` when a value does not fit the declared type, or is NULL in a column that must not be.
    pub(crate) fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let fields = self.schema.fields().iter();
        let cast = columns.iter().zip(fields).map(|(array, field)| {
            cast_strictly(array, field.data_type())
                .map_err(|e| e.context(format!("column `{}`", field.name())))
        });
        new_batch(&self.schema, cast.collect::<Result<_>>()?, rows)
    }
}

/// Casts; a value that does not fit is an error.
pub(crate) fn cast_strictly(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(array, to, &strict)?)
}

/// A batch that knows its number of rows even without columns.
pub(crate) fn new_batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|e| Error::data(format!("rows do not fit the columns: {e}")))
}

/// A schema with more fields at its end.
pub(crate) fn extended(
    schema: &Schema,
    more: impl IntoIterator<Item = arrow::datatypes::Field>,
) -> SchemaRef {
    let fields = schema.fields().iter().map(|f| f.as_ref().clone()).chain(more);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
