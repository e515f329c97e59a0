//! Columns of a plan as one struct column, the form in which functions of the program take rows.

use super::rows::keeps_values;
use crate::error::from_datafusion;
use acequia_core::{Error, Result};
use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use datafusion::common::{Column, DFSchema};
use datafusion::functions::core::expr_fn::named_struct;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, lit};
use std::sync::Arc;

/// The column of this name as the field's type.
pub(super) fn column_of(plan: &LogicalPlan, name: &str, field: &Field) -> Result<Expr> {
    let schema = plan.schema();
    let found: Vec<usize> = (0..schema.fields().len()).filter(|i| schema.field(*i).name() == name).collect();
    let names = || schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ");
    let index = match found[..] {
        [index] => index,
        [] => return Err(Error::invalid(format!("no such column: `{name}`; columns: {}", names()))),
        _ => {
            return Err(Error::invalid(format!(
                "several columns have this name: `{name}`; select one of them"
            )));
        }
    };
    let given = schema.field(index).data_type();
    if !keeps_values(given, field.data_type()) {
        return Err(Error::invalid(format!(
            "a column is not of the type that the rows have: column=`{name}` type=`{given}` expected=`{}`; cast it",
            field.data_type()
        )));
    }
    let column = Expr::Column(Column::from(schema.qualified_field(index)));
    column.cast_to(&nullable_type(field.data_type()), schema).map_err(from_datafusion)
}

/// A type whose fields may all be NULL: that they are not is seen when rows are read, which tells the column.
pub(super) fn nullable_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Struct(fields) => DataType::Struct(nullable_fields(fields)),
        DataType::List(item) => {
            let data_type = nullable_type(item.data_type());
            DataType::List(Arc::new(Field::new(item.name(), data_type, true)))
        }
        other => other.clone(),
    }
}

pub(super) fn nullable_fields(fields: &Fields) -> Fields {
    let nullable = |field: &Arc<Field>| Field::new(field.name(), nullable_type(field.data_type()), true);
    fields.iter().map(nullable).collect()
}

/// The columns of this schema, found by name, as one struct.
pub(super) fn row_of(plan: &LogicalPlan, schema: &SchemaRef) -> Result<Expr> {
    let column = |field: &Arc<Field>| Ok((field.name().clone(), column_of(plan, field.name(), field)?));
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    struct_of(plan.schema(), columns, schema.fields())
}

pub(super) fn struct_of(schema: &DFSchema, columns: Vec<(String, Expr)>, fields: &Fields) -> Result<Expr> {
    let named = named_struct(columns.into_iter().flat_map(|(name, column)| [lit(name), column]).collect());
    named.cast_to(&DataType::Struct(nullable_fields(fields)), schema).map_err(from_datafusion)
}
