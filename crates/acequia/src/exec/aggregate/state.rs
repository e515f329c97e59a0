//! The saved state of an aggregate: the table `groups`, and those of values.

use super::emit::{GATHER_ROWS, coalesce};
use super::intake::TimedRows;
use super::pane::{Pane, PaneRows};
use super::time::{TimeLayout, from_int64};
use super::{AggregateOperator, AggregateSpec, PaneKey, TimeKey, recount};
use crate::exec::group_states::{Arguments, StatePlan, WeightedValues};
use crate::exec::route::{RouteColumn, RouteValue};
use acequia_core::state::{Stateful, TableDef, TableDelta, TableKind};
use acequia_core::{Error, Result};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema};
use std::collections::BTreeSet;
use std::sync::Arc;

const TABLE: &str = "groups";

/// The definition of the table.
pub(super) fn table(spec: &AggregateSpec, plan: &StatePlan, time: Option<&TimeLayout>) -> TableDef {
    let mut fields: Vec<FieldRef> = Vec::new();
    if time.is_some() {
        fields.push(Arc::new(Field::new("__time", DataType::Int64, true)));
    }
    let groups = spec.output_schema.fields().iter().take(spec.group_by.num_group_exprs()).enumerate();
    fields.extend(groups.filter(|(c, _)| time.is_none_or(|t| !t.is_derived(*c))).map(|(_, f)| Arc::clone(f)));
    let key_columns = fields.len();
    let state = plan.fields().iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true)));
    fields.extend(state);
    TableDef {
        operator: spec.operator,
        name: TABLE.to_string(),
        kind: TableKind::Keyed { key_columns },
        schema: Arc::new(Schema::new(fields)),
        time_column: time.map(|_| 0),
    }
}

/// The definitions of the tables of values, each with the key of the table of groups.
pub(super) fn value_tables(groups: &TableDef, plan: &StatePlan) -> Vec<TableDef> {
    let TableKind::Keyed { key_columns } = groups.kind else { return Vec::new() };
    let table = |(number, data_type): (usize, &DataType)| {
        let mut fields = groups.schema.fields()[..key_columns].to_vec();
        fields.push(Arc::new(Field::new("value", data_type.clone(), true)));
        fields.push(Arc::new(Field::new("weight", DataType::Int64, false)));
        TableDef {
            name: format!("values{number}"),
            kind: TableKind::Additive,
            schema: Arc::new(Schema::new(fields)),
            ..groups.clone()
        }
    };
    plan.values().enumerate().map(table).collect()
}

impl AggregateOperator {
    /// The saved rows of these groups.
    fn state_rows_of(&self, key: PaneKey, pane: &Pane, ids: &[u32]) -> Result<RecordBatch> {
        let mut columns = self.saved_keys(key, pane, ids)?;
        columns.extend(pane.states.states(ids)?);
        let options = RecordBatchOptions::new().with_row_count(Some(ids.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.table.schema), columns, &options)?)
    }

    /// The saved keys of groups that have left.
    fn left_rows_of(&self, key: PaneKey, pane: &Pane, ids: &[u32]) -> Result<RecordBatch> {
        let columns = self.saved_keys(key, pane, ids)?;
        let schema = Schema::new(self.table.schema.fields()[..columns.len()].to_vec());
        let options = RecordBatchOptions::new().with_row_count(Some(ids.len()));
        Ok(RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)?)
    }

    /// The saved rows of values.
    fn value_rows_of(
        &self,
        table: &TableDef,
        key: PaneKey,
        pane: &Pane,
        values: WeightedValues,
    ) -> Result<RecordBatch> {
        let mut columns = self.saved_keys(key, pane, &values.ids)?;
        columns.push(values.values);
        columns.push(Arc::new(values.weights));
        Ok(RecordBatch::try_new(Arc::clone(&table.schema), columns)?)
    }

    /// What tells groups apart, as it is saved.
    fn saved_keys(&self, key: PaneKey, pane: &Pane, ids: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut columns: Vec<ArrayRef> = Vec::new();
        if let Some(time) = &self.intake.time {
            let exact = !time.is_window() && key.is_some();
            let time_of = |id: &u32| if exact { Some(pane.times[*id as usize]) } else { key };
            columns.push(Arc::new(ids.iter().map(time_of).collect::<Int64Array>()));
        }
        let keys = pane.keys.gather(ids)?;
        let saved = self.intake.key_columns.iter().zip(keys).filter(|(c, _)| self.is_saved(**c));
        columns.extend(saved.map(|(_, column)| column));
        Ok(columns)
    }

    /// The group columns that tell shards apart: those that every grouping set has, the time only if it is the only one.
    pub(in crate::exec) fn routing(&self) -> Vec<RouteColumn> {
        let sets = self.spec.group_by.groups();
        let in_every_set = |c: usize| sets.iter().all(|nulls| nulls.get(c) == Some(&false));
        let first = usize::from(self.intake.time.is_some());
        let saved = (0..self.spec.group_by.num_group_exprs()).filter(|c| self.is_saved(*c)).enumerate();
        let keys = saved.filter(|(_, c)| in_every_set(*c));
        let keys = keys.filter(|(_, c)| self.intake.time.as_ref().is_none_or(|time| time.key.column != *c));
        let data_type = |c: usize| self.spec.output_schema.field(c).data_type().clone();
        let keys: Vec<RouteColumn> = keys
            .map(|(place, c)| RouteColumn {
                column: c,
                saved: first + place,
                value: RouteValue::Plain(data_type(c)),
            })
            .collect();
        let time = self.intake.time.as_ref().map(|time| &time.key).filter(|time| in_every_set(time.column));
        match time {
            Some(TimeKey { column, field, .. }) if keys.is_empty() => {
                vec![RouteColumn { column: *column, saved: 0, value: RouteValue::Time { field: *field } }]
            }
            _ => keys,
        }
    }

    fn is_saved(&self, column: usize) -> bool {
        self.intake.time.as_ref().is_none_or(|time| !time.is_derived(column))
    }

    fn check_restored(&self, table: &str, rows: &RecordBatch) -> Result<&TableDef> {
        let def = self.table_of(table).map_err(|error| Error::data(error.message()))?;
        let types =
            |schema: &Schema| schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        if types(&rows.schema()) != types(&def.schema) {
            return Err(Error::data(format!(
                "saved rows are not of this aggregate: table=`{table}` columns={:?} expected={:?}",
                types(&rows.schema()),
                types(&def.schema)
            )));
        }
        Ok(def)
    }

    fn table_of(&self, name: &str) -> Result<&TableDef> {
        let mut tables = [&self.table].into_iter().chain(&self.value_tables);
        tables.find(|table| table.name == name).ok_or_else(|| {
            Error::invalid(format!("an aggregate has no such table: `{name}`; it has `{TABLE}`"))
        })
    }

    fn value_table(&self, name: &str) -> Option<usize> {
        self.value_tables.iter().position(|table| table.name == name)
    }

    /// The rows as they were pushed: the held key columns, and the states in the place of arguments.
    fn saved_rows(&self, rows: &RecordBatch) -> Result<TimedRows> {
        let mut columns = rows.columns().iter().cloned();
        let times = match &self.intake.time {
            Some(_) => columns.next().and_then(|c| c.as_primitive_opt::<Int64Type>().cloned()),
            None => Some(Int64Array::new_null(rows.num_rows())),
        };
        let times = times.ok_or_else(|| Error::data("the time of saved rows is missing"))?;
        let mut keys = Vec::with_capacity(self.intake.key_columns.len());
        for column in &self.intake.key_columns {
            if self.is_saved(*column) {
                keys.extend(columns.next());
            } else {
                // Only a plain time column is held but not saved.
                let data_type = self.spec.output_schema.field(*column).data_type();
                keys.push(from_int64(&times, data_type)?);
            }
        }
        let states = Arguments { values: vec![columns.collect()], filters: Vec::new() };
        Ok(TimedRows { times, keys, arguments: states })
    }

    fn restore_pane(&mut self, key: PaneKey, rows: &PaneRows, values: Option<usize>) -> Result<()> {
        let pane = self.pane(key)?;
        match (values, rows.arguments.values[0].as_slice()) {
            (None, states) => pane.restore(rows, states)?,
            (Some(number), [value, weight]) => {
                let weights = weight.as_primitive_opt::<Int64Type>().cloned();
                let weights = weights.ok_or_else(|| Error::data("a saved weight is no number"))?;
                pane.restore_values(number, rows, value, weights)?;
            }
            _ => return Err(Error::data("a saved value has no weight")),
        }
        if let Some(pane) = self.panes.get_mut(&key) {
            (self.rows, self.bytes) = recount(pane, self.rows, self.bytes);
        }
        Ok(())
    }

    /// Whether a group has a time below the bound that is still there.
    pub(super) fn any_below(&self, bound: i64) -> bool {
        let Some(time) = &self.intake.time else { return false };
        let from = self.evicted_below.unwrap_or(i64::MIN);
        let below = |(key, pane): (&PaneKey, &Pane)| match key {
            Some(number) if time.last_of(*number) < bound => pane.live() > 0,
            Some(_) => !time.is_window() && !pane.between(from, bound).is_empty(),
            None => false,
        };
        self.panes.range(Some(i64::MIN)..=Some(time.pane(bound))).any(below)
    }
}

impl Stateful for AggregateOperator {
    fn tables(&self) -> Vec<TableDef> {
        [&self.table].into_iter().chain(&self.value_tables).cloned().collect()
    }

    fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
        let dirty: BTreeSet<PaneKey> = std::mem::take(&mut self.dirty);
        let (mut upserts, mut deletes) = (Vec::new(), Vec::new());
        let mut values = vec![Vec::new(); self.value_tables.len()];
        for key in dirty {
            let Some(pane) = self.panes.get_mut(&key) else { continue };
            let (ids, left) = pane.take_dirty();
            let changes = pane.states.take_changes()?;
            let Some(pane) = self.panes.get(&key) else { continue };
            if !ids.is_empty() {
                upserts.push(self.state_rows_of(key, pane, &ids)?);
            }
            if !left.is_empty() {
                deletes.push(self.left_rows_of(key, pane, &left)?);
            }
            for ((changes, table), out) in changes.into_iter().zip(&self.value_tables).zip(&mut values) {
                out.push(self.value_rows_of(table, key, pane, changes)?);
            }
        }
        let evict_below = self.unsaved_eviction.take();
        let delta = |table: &TableDef, upserts, deletes| -> Result<TableDelta> {
            let (upserts, deletes) = (coalesce(upserts)?, coalesce(deletes)?);
            Ok(TableDelta { table: table.clone(), upserts, deletes, evict_below })
        };
        let mut deltas = vec![delta(&self.table, upserts, deletes)?];
        for (table, rows) in self.value_tables.iter().zip(values) {
            deltas.push(delta(table, rows, Vec::new())?);
        }
        deltas.retain(|delta| !delta.is_empty());
        Ok(deltas)
    }

    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        self.check_restored(table, &rows)?;
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.started = true;
        let saved = self.saved_rows(&rows)?;
        let panes = match &self.intake.time {
            Some(time) => saved.by_pane(time)?,
            None => vec![(None, saved.into_rows(false))],
        };
        let values = self.value_table(table);
        panes.iter().try_for_each(|(key, rows)| self.restore_pane(*key, rows, values))
    }

    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>> {
        let def = self.table_of(table)?;
        let values = self.value_table(table);
        let mut batches = Vec::new();
        for (key, pane) in &self.panes {
            let here = |id: &u32| pane.times.get(*id as usize).is_none_or(|t| Some(*t) >= self.evicted_below);
            if let Some(number) = values {
                let Some(all) = pane.states.values(number)? else { continue };
                batches.push(self.value_rows_of(def, *key, pane, all.only(here)?)?);
                continue;
            }
            let ids: Vec<u32> = pane.living().filter(here).collect();
            for part in ids.chunks(GATHER_ROWS) {
                batches.push(self.state_rows_of(*key, pane, part)?);
            }
        }
        coalesce(batches)
    }

    fn state_rows(&self) -> usize {
        self.rows
    }

    fn state_bytes(&self) -> usize {
        self.bytes
    }
}
