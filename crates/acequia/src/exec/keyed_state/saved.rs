//! The state as rows of tables.
//!
//! ```text
//! <variable>   key | index (of a list) or map_key (of a map) | expires_at | value, or value.<field> of a struct
//! timers       key | at
//! ```
//! Saved rows may lack columns that a value's type has got since, if those are nullable: they are NULL then.

use super::state::{Cell, Changes, KeyedState, SubKey};
use super::{Variable, VariableKind};
use acequia_core::options::unknown;
use acequia_core::state::{TableDef, TableDelta, TableKind};
use acequia_core::{Error, OperatorId, Result};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::row::{OwnedRow, RowConverter, Rows};
use std::sync::Arc;

/// The name of the table of timers.
pub const TIMERS: &str = "timers";

/// The tables of an operator: one for each variable, then that of timers.
pub(super) struct Tables {
    variables: Arc<[Variable]>,
    defs: Vec<TableDef>,
}

impl Tables {
    pub(super) fn new(operator: OperatorId, key: &DataType, variables: Arc<[Variable]>) -> Self {
        let def = |name: &str, key_columns: usize, fields: Vec<Field>| TableDef {
            operator,
            name: name.to_string(),
            kind: TableKind::Keyed { key_columns },
            time_column: None,
            schema: Arc::new(Schema::new(fields)),
        };
        let key = || Field::new("key", key.clone(), true);
        let table_of = |variable: &Variable| {
            let mut fields = vec![key()];
            fields.extend(sub_key_field(&variable.kind));
            let key_columns = fields.len();
            fields.push(Field::new("expires_at", DataType::Int64, true));
            fields.extend(value_fields(variable));
            def(&variable.name, key_columns, fields)
        };
        let mut defs: Vec<TableDef> = variables.iter().map(table_of).collect();
        defs.push(def(TIMERS, 2, vec![key(), Field::new("at", DataType::Int64, false)]));
        Self { variables, defs }
    }

    pub(super) fn defs(&self) -> &[TableDef] {
        &self.defs
    }

    fn position(&self, table: &str) -> Result<usize> {
        let position = self.defs.iter().position(|def| def.name == table);
        position.ok_or_else(|| unknown("state table", table, self.defs.iter().map(|def| def.name.as_str())))
    }

    pub(super) fn deltas(
        &self,
        state: &KeyedState,
        changes: Changes,
        converter: &RowConverter,
    ) -> Result<Vec<TableDelta>> {
        let mut deltas = Vec::new();
        for (index, changed) in changes.cells.into_iter().enumerate() {
            let (mut there, mut gone) = (Vec::new(), Vec::new());
            for (key, sub_key) in &changed {
                match state.cell(key, index, &**sub_key) {
                    Some(cell) => there.push((key, &**sub_key, cell)),
                    None => gone.push((key, &**sub_key)),
                }
            }
            let upserts = self.rows_of(index, &there, converter)?;
            let deletes = self.keys_of(index, &gone, converter)?;
            deltas.push(delta(&self.defs[index], upserts, deletes));
        }
        let (there, gone) =
            changes.timers.iter().partition::<Vec<_>, _>(|(key, at)| state.has_timer(key, *at));
        let timers = |timers: Vec<&(OwnedRow, i64)>| {
            self.timers(timers.into_iter().map(|(key, at)| (key, *at)).collect(), converter)
        };
        deltas.push(delta(&self.defs[self.variables.len()], timers(there)?, timers(gone)?));
        deltas.retain(|delta| !delta.is_empty());
        Ok(deltas)
    }

    pub(super) fn snapshot(
        &self,
        table: &str,
        state: &KeyedState,
        converter: &RowConverter,
    ) -> Result<Vec<RecordBatch>> {
        let index = self.position(table)?;
        if index == self.variables.len() {
            return Ok(vec![self.timers(state.timers().collect(), converter)?]);
        }
        let cells = state.keys.iter().flat_map(|(key, entry)| {
            entry.cells[index].iter().map(move |(sub_key, cell)| (key, &**sub_key, cell))
        });
        Ok(vec![self.rows_of(index, &cells.collect::<Vec<_>>(), converter)?])
    }

    fn timers(&self, timers: Vec<(&OwnedRow, i64)>, converter: &RowConverter) -> Result<RecordBatch> {
        let mut columns = converter.convert_rows(timers.iter().map(|(key, _)| key.row()))?;
        columns.push(Arc::new(Int64Array::from_iter_values(timers.iter().map(|(_, at)| *at))));
        Ok(RecordBatch::try_new(Arc::clone(&self.defs[self.variables.len()].schema), columns)?)
    }

    /// Rows of a variable's table.
    fn rows_of(
        &self,
        index: usize,
        cells: &[(&OwnedRow, &dyn SubKey, &Cell)],
        converter: &RowConverter,
    ) -> Result<RecordBatch> {
        let keys: Vec<_> = cells.iter().map(|(key, sub_key, _)| (*key, *sub_key)).collect();
        let mut columns = self.key_columns(index, &keys, converter)?;
        columns.push(Arc::new(Int64Array::from_iter(cells.iter().map(|(_, _, cell)| cell.expires_at))));
        let values: Vec<_> = cells.iter().map(|(_, _, cell)| &*cell.value).collect();
        columns.extend(self.variables[index].codec.encode(&values)?);
        Ok(RecordBatch::try_new(Arc::clone(&self.defs[index].schema), columns)?)
    }

    /// Keys of rows of a variable's table.
    fn keys_of(
        &self,
        index: usize,
        keys: &[(&OwnedRow, &dyn SubKey)],
        converter: &RowConverter,
    ) -> Result<RecordBatch> {
        let columns = self.key_columns(index, keys, converter)?;
        let fields = self.defs[index].schema.fields()[..columns.len()].to_vec();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }

    fn key_columns(
        &self,
        index: usize,
        keys: &[(&OwnedRow, &dyn SubKey)],
        converter: &RowConverter,
    ) -> Result<Vec<ArrayRef>> {
        let mut columns = converter.convert_rows(keys.iter().map(|(key, _)| key.row()))?;
        let sub_keys: Vec<&dyn SubKey> = keys.iter().map(|(_, sub_key)| *sub_key).collect();
        match &self.variables[index].kind {
            VariableKind::Value => {}
            VariableKind::List => {
                let position = |sub_key: &&dyn SubKey| sub_key.as_any().downcast_ref::<i64>().copied();
                columns.push(Arc::new(sub_keys.iter().map(position).collect::<Int64Array>()));
            }
            VariableKind::Map(codec) => columns.push(codec.encode(&sub_keys)?),
        }
        Ok(columns)
    }

    /// Saved rows with the columns that the table has now.
    pub(super) fn own_columns(&self, table: &str, rows: RecordBatch) -> Result<RecordBatch> {
        let schema = &self.defs[self.position(table)?].schema;
        let saved = rows.schema();
        let changed = |what: String| {
            Error::invalid(format!(
                "the type of a state variable does not fit what is saved: variable=`{table}`: {what}; a type may get new fields that are options, use a new checkpoint for others"
            ))
        };
        if let Some(gone) =
            saved.fields().iter().find(|field| schema.column_with_name(field.name()).is_none())
        {
            return Err(changed(format!("no field any more for column `{}`", gone.name())));
        }
        let column = |field: &Arc<Field>| match rows.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            Some(column) => Err(changed(format!(
                "column=`{}` saved=`{}` now=`{}`",
                field.name(),
                column.data_type(),
                field.data_type()
            ))),
            None if field.is_nullable() => Ok(new_null_array(field.data_type(), rows.num_rows())),
            None => Err(changed(format!("column `{}` is new and not an option", field.name()))),
        };
        let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
        let columns = RecordBatch::try_new(Arc::clone(schema), columns);
        columns.map_err(|e| changed(e.to_string()))
    }

    /// Puts rows of a table back.
    pub(super) fn restore(
        &self,
        table: &str,
        keys: &Rows,
        rows: &RecordBatch,
        state: &mut KeyedState,
    ) -> Result<()> {
        let index = self.position(table)?;
        if index == self.variables.len() {
            let times = int64(rows.column(1))?;
            keys.iter().zip(times.values()).for_each(|(key, at)| state.put_back_timer(&key.owned(), *at));
            return Ok(());
        }
        let variable = &self.variables[index];
        let (at, sub_keys) = match &variable.kind {
            VariableKind::Value => (1, rows_of_unit(rows.num_rows())),
            VariableKind::List => {
                let positions = int64(rows.column(1))?;
                (2, positions.values().iter().map(|position| position.boxed()).collect())
            }
            VariableKind::Map(codec) => (2, codec.decode(rows.column(1))?),
        };
        let expiries = int64(rows.column(at))?.clone();
        let values = variable.codec.decode(rows.columns()[at + 1..].to_vec())?;
        for (((key, sub_key), value), expires_at) in keys.iter().zip(sub_keys).zip(values).zip(&expiries) {
            state.put_back(&key.owned(), index, sub_key, Cell { value, expires_at });
        }
        Ok(())
    }
}

fn rows_of_unit(rows: usize) -> Vec<Box<dyn SubKey>> {
    (0..rows).map(|_| ().boxed()).collect()
}

fn int64(column: &ArrayRef) -> Result<&Int64Array> {
    column.as_primitive_opt::<Int64Type>().ok_or_else(|| Error::data("a saved number is not an Int64"))
}

fn sub_key_field(kind: &VariableKind) -> Option<Field> {
    match kind {
        VariableKind::Value => None,
        VariableKind::List => Some(Field::new("index", DataType::Int64, false)),
        VariableKind::Map(codec) => Some(Field::new("map_key", codec.data_type().clone(), true)),
    }
}

fn value_fields(variable: &Variable) -> Vec<Field> {
    let fields = variable.codec.fields();
    let named = |field: &Arc<Field>| match (fields.len(), field.name().as_str()) {
        (1, "value") => field.as_ref().clone(),
        (_, name) => field.as_ref().clone().with_name(format!("value.{name}")),
    };
    fields.iter().map(named).collect()
}

fn delta(table: &TableDef, upserts: RecordBatch, deletes: RecordBatch) -> TableDelta {
    let some = |rows: RecordBatch| if rows.num_rows() > 0 { vec![rows] } else { Vec::new() };
    TableDelta { table: table.clone(), upserts: some(upserts), deletes: some(deletes), evict_below: None }
}
