//! The state table of operators that keep rows as they are: the rows' own columns, then the time by which they leave where
//! there is one, then the weight.

use super::TimeKey;
use super::aggregate::times_in;
use super::delta::{Delta, batch_of};
use acequia_core::state::{TableDef, TableKind};
use acequia_core::{Error, OperatorId, Result};
use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use std::sync::Arc;

/// The table of this name for rows with these columns.
pub(super) fn rows_table(operator: OperatorId, name: &str, schema: &SchemaRef, timed: bool) -> TableDef {
    let own = schema.fields().iter().enumerate();
    let mut fields: Vec<Field> =
        own.map(|(i, field)| Field::new(format!("c{i}"), field.data_type().clone(), true)).collect();
    let time_column = timed.then(|| {
        fields.push(Field::new("time", DataType::Int64, true));
        fields.len() - 1
    });
    fields.push(Field::new("weight", DataType::Int64, false));
    let schema = Arc::new(Schema::new(fields));
    TableDef { operator, name: name.to_string(), kind: TableKind::Additive, schema, time_column }
}

/// Rows as that table has them.
pub(super) fn saved_rows(delta: &Delta, time: Option<&TimeKey>, table: &TableDef) -> Result<RecordBatch> {
    let mut columns = delta.rows.columns().to_vec();
    if let Some(time) = time {
        columns.push(Arc::new(times_in(&columns[time.column], time.field)?));
    }
    columns.push(Arc::new(Int64Array::from(delta.weights.clone())));
    Ok(RecordBatch::try_new(Arc::clone(&table.schema), columns)?)
}

/// Rows from what that table has.
pub(super) fn restored_rows(rows: &RecordBatch, schema: &SchemaRef, table: &TableDef) -> Result<Delta> {
    let weights = rows.columns().last().and_then(|column| column.as_primitive_opt::<Int64Type>());
    let weights = weights.filter(|_| rows.num_columns() == table.schema.fields().len());
    let weights = weights
        .ok_or_else(|| Error::data(format!("saved rows are not of this table: table=`{}`", table.name)))?;
    let columns = rows.columns()[..schema.fields().len()].to_vec();
    Ok(Delta { rows: batch_of(schema, columns, rows.num_rows())?, weights: weights.values().to_vec() })
}
