//! Rows with weights as a checkpoint keeps them for operators that hold them as bytes: an additive table of the rows' own
//! columns, then the time by which they leave where they have one, then the weight.

use super::aggregate::times_in;
use super::delta::{Delta, batch_of};
use acequia_core::state::{TableDef, TableDelta, TableKind};
use acequia_core::{Error, OperatorId, Result};
use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use std::sync::Arc;

/// The table of rows with these columns: theirs, then `degree` and `time` where they have them, then `weight`.
pub(super) fn table_of_rows(
    operator: OperatorId,
    name: &str,
    schema: &SchemaRef,
    degree: bool,
    time: bool,
) -> TableDef {
    let own = schema.fields().iter().enumerate();
    let mut fields: Vec<Field> =
        own.map(|(i, field)| Field::new(format!("c{i}"), field.data_type().clone(), true)).collect();
    if degree {
        fields.push(Field::new("degree", DataType::Int64, false));
    }
    let time_column = time.then(|| {
        fields.push(Field::new("time", DataType::Int64, true));
        fields.len() - 1
    });
    fields.push(Field::new("weight", DataType::Int64, false));
    let (name, schema) = (name.to_string(), Arc::new(Schema::new(fields)));
    TableDef { operator, name, kind: TableKind::Additive, schema, time_column }
}

/// The saved form of rows, and what of it the next delta has to say.
pub(super) struct RowsTable {
    schema: SchemaRef,
    time: Option<(usize, Option<usize>)>,
    table: TableDef,
    unsaved: Vec<RecordBatch>,
    unsaved_eviction: Option<i64>,
}

impl RowsTable {
    /// The table of this name for rows with these columns. They leave by `time`, a column or a field of one.
    pub(super) fn new(
        operator: OperatorId,
        name: &str,
        schema: &SchemaRef,
        time: Option<(usize, Option<usize>)>,
    ) -> Self {
        let table = table_of_rows(operator, name, schema, false, time.is_some());
        Self { schema: Arc::clone(schema), time, table, unsaved: Vec::new(), unsaved_eviction: None }
    }

    /// The table.
    pub(super) fn def(&self) -> &TableDef {
        &self.table
    }

    /// Remembers changed weights of rows.
    pub(super) fn changed(&mut self, delta: &Delta) -> Result<()> {
        if delta.len() > 0 {
            self.unsaved.push(self.saved(delta)?);
        }
        Ok(())
    }

    /// Remembers that rows below the bound have left.
    pub(super) fn evicted(&mut self, bound: i64) {
        self.unsaved_eviction = Some(bound);
    }

    /// What has changed since the last call.
    pub(super) fn take_delta(&mut self) -> TableDelta {
        TableDelta {
            table: self.table.clone(),
            upserts: std::mem::take(&mut self.unsaved),
            deletes: Vec::new(),
            evict_below: self.unsaved_eviction.take(),
        }
    }

    /// Rows as the table has them.
    pub(super) fn saved(&self, delta: &Delta) -> Result<RecordBatch> {
        let mut columns = delta.rows.columns().to_vec();
        if let Some((column, field)) = self.time {
            columns.push(Arc::new(times_in(&columns[column], field)?));
        }
        columns.push(Arc::new(Int64Array::from(delta.weights.clone())));
        Ok(RecordBatch::try_new(Arc::clone(&self.table.schema), columns)?)
    }

    /// Rows from what the table has.
    ///
    /// # Errors
    /// `Data` when they are not of this table.
    pub(super) fn restored(&self, rows: &RecordBatch) -> Result<Delta> {
        let weights = rows.columns().last().and_then(|column| column.as_primitive_opt::<Int64Type>());
        let weights = weights.filter(|_| rows.num_columns() == self.table.schema.fields().len());
        let weights = weights.ok_or_else(|| {
            Error::data(format!("saved rows are not of this table: table=`{}`", self.table.name))
        })?;
        let columns = rows.columns()[..self.schema.fields().len()].to_vec();
        let rows = batch_of(&self.schema, columns, rows.num_rows())?;
        Ok(Delta { rows, weights: weights.values().to_vec() })
    }
}
