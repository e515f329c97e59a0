//! The saved state of a session aggregate: the tables `sessions`, `closed` and `limits`.

use super::sessions::{Interval, Session};
use super::{SessionAggregateOperator, SessionSpec};
use crate::exec::aggregate::{GATHER_ROWS, coalesce};
use crate::exec::group_states::StatePlan;
use crate::exec::route::{RouteColumn, RouteValue};
use acequia_core::state::{Stateful, TableDef, TableDelta, TableKind};
use acequia_core::{Error, Result};
use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema};
use std::collections::HashMap;
use std::sync::Arc;

/// What has changed since the last delta was taken.
#[derive(Default)]
pub(super) struct Unsaved {
    /// Keys and starts of sessions that came, changed or went, and whether a saved row has them.
    sessions: HashMap<(u32, i64), bool>,
    pub(super) closed: Vec<(u32, Interval)>,
    pub(super) forgotten_below: Option<i64>,
}

impl Unsaved {
    /// Notes that the session of this key and start has changed; whether a saved row has them.
    pub(super) fn touch(&mut self, key: u32, start: i64, saved: bool) -> bool {
        *self.sessions.entry((key, start)).or_insert(saved)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.closed.is_empty() && self.forgotten_below.is_none()
    }
}

/// The definitions of the tables.
pub(super) fn tables(spec: &SessionSpec, plan: &StatePlan) -> Vec<TableDef> {
    let time = |name: &str| -> FieldRef { Arc::new(Field::new(name, DataType::Int64, true)) };
    let mut key: Vec<FieldRef> =
        spec.key_columns().iter().map(|column| Arc::clone(&spec.output_schema.fields()[*column])).collect();
    key.push(time("__start"));
    let key_columns = key.len();
    let closed: Vec<FieldRef> = key.iter().cloned().chain([time("__end")]).collect();
    let state = plan.fields().iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true)));
    let sessions: Vec<FieldRef> = closed.iter().cloned().chain(state).collect();
    let table =
        |name: &str, key_columns: usize, fields: Vec<FieldRef>, time_column: Option<usize>| TableDef {
            operator: spec.operator,
            name: name.to_string(),
            kind: TableKind::Keyed { key_columns },
            schema: Arc::new(Schema::new(fields)),
            time_column,
        };
    vec![
        table("sessions", key_columns, sessions, None),
        table("closed", key_columns, closed, Some(key_columns)),
        table("limits", 0, vec![time("__largest_gap"), time("__forgotten_end")], None),
    ]
}

impl SessionAggregateOperator {
    /// The group columns that tell shards apart: all but the session.
    pub(in crate::exec) fn routing(&self) -> Vec<RouteColumn> {
        let route = |(saved, column): (usize, &usize)| RouteColumn {
            column: *column,
            saved,
            value: RouteValue::Plain(self.spec.output_schema.field(*column).data_type().clone()),
        };
        self.key_columns.iter().enumerate().map(route).collect()
    }

    /// Key columns and times of intervals: with their ends, or only what is key.
    fn interval_columns(&self, intervals: &[(u32, Interval)], ends: bool) -> Result<Vec<ArrayRef>> {
        let keys: Vec<u32> = intervals.iter().map(|(key, _)| *key).collect();
        let mut columns = self.sessions.keys.gather(&keys)?;
        columns.push(Arc::new(intervals.iter().map(|(_, i)| Some(i.start)).collect::<Int64Array>()));
        if ends {
            columns.push(Arc::new(intervals.iter().map(|(_, i)| Some(i.end)).collect::<Int64Array>()));
        }
        Ok(columns)
    }

    fn session_rows(&self, sessions: &[(u32, Session)]) -> Result<Vec<RecordBatch>> {
        let rows = |part: &[(u32, Session)]| {
            let intervals: Vec<_> = part.iter().map(|(key, session)| (*key, session.interval)).collect();
            let slots: Vec<u32> = part.iter().map(|(_, session)| session.slot).collect();
            let mut columns = self.interval_columns(&intervals, true)?;
            columns.extend(self.states.states(&slots)?);
            Ok(RecordBatch::try_new(Arc::clone(&self.tables[0].schema), columns)?)
        };
        sessions.chunks(GATHER_ROWS).map(rows).collect()
    }

    fn closed_rows(&self, closed: &[(u32, Interval)]) -> Result<Vec<RecordBatch>> {
        let rows = |part: &[(u32, Interval)]| {
            let columns = self.interval_columns(part, true)?;
            Ok(RecordBatch::try_new(Arc::clone(&self.tables[1].schema), columns)?)
        };
        closed.chunks(GATHER_ROWS).map(rows).collect()
    }

    fn has_limits(&self) -> bool {
        self.saves_limits && self.limits.largest_gap() > 0
    }

    fn limit_rows(&self) -> Result<Vec<RecordBatch>> {
        if !self.has_limits() {
            return Ok(Vec::new());
        }
        let gap: ArrayRef = Arc::new(Int64Array::from(vec![self.limits.largest_gap()]));
        let forgotten: ArrayRef = Arc::new(Int64Array::from(vec![self.limits.forgotten_end()]));
        Ok(vec![RecordBatch::try_new(Arc::clone(&self.tables[2].schema), vec![gap, forgotten])?])
    }

    /// The sessions that are saved anew, and the keys and starts of those that are gone.
    fn session_delta(&mut self, changed: HashMap<(u32, i64), bool>) -> Result<TableDelta> {
        let mut changed: Vec<((u32, i64), bool)> = changed.into_iter().collect();
        changed.sort_unstable();
        let (mut here, mut gone) = (Vec::new(), Vec::new());
        for ((key, start), saved) in changed {
            match self.sessions.get_mut(key, start) {
                Some(session) => {
                    session.saved = true;
                    here.push((key, *session));
                }
                None if saved => gone.push((key, Interval { start, end: start })),
                None => {}
            }
        }
        let mut deletes = Vec::new();
        if !gone.is_empty() {
            let fields: Vec<usize> = (0..self.key_columns.len() + 1).collect();
            let schema = Arc::new(self.tables[0].schema.project(&fields)?);
            deletes.push(RecordBatch::try_new(schema, self.interval_columns(&gone, false)?)?);
        }
        Ok(self.delta(0, self.session_rows(&here)?, deletes, None))
    }

    fn delta(
        &self,
        table: usize,
        upserts: Vec<RecordBatch>,
        deletes: Vec<RecordBatch>,
        evict_below: Option<i64>,
    ) -> TableDelta {
        TableDelta { table: self.tables[table].clone(), upserts, deletes, evict_below }
    }

    fn table(&self, name: &str) -> Option<(usize, &TableDef)> {
        self.tables.iter().enumerate().find(|(_, table)| table.name == name)
    }

    fn restore_sessions(&mut self, rows: &RecordBatch) -> Result<()> {
        let width = self.key_columns.len() + 2;
        let (keys, intervals) = self.restored_intervals(rows)?;
        let mut slots = Vec::with_capacity(keys.len());
        for (key, interval) in keys.into_iter().zip(intervals) {
            slots.push(self.slots);
            self.sessions.add(key, Session { interval, slot: self.slots, saved: true });
            self.slots += 1;
        }
        self.states.grow(self.slots as usize);
        self.states.restore(&slots, rows.columns()[width..].to_vec())
    }

    fn restored_intervals(&mut self, rows: &RecordBatch) -> Result<(Vec<u32>, Vec<Interval>)> {
        let width = self.key_columns.len();
        let keys = self.sessions.intern(&rows.columns()[..width], rows.num_rows())?;
        let (starts, ends) = (rows.column(width), rows.column(width + 1));
        let times = starts.as_primitive_opt::<Int64Type>().zip(ends.as_primitive_opt::<Int64Type>());
        let (starts, ends) = times.ok_or_else(|| Error::data("the interval of saved sessions is missing"))?;
        let intervals = starts.values().iter().zip(ends.values());
        Ok((keys, intervals.map(|(start, end)| Interval { start: *start, end: *end }).collect()))
    }

    fn restore_closed(&mut self, rows: &RecordBatch) -> Result<()> {
        let (keys, intervals) = self.restored_intervals(rows)?;
        keys.into_iter().zip(intervals).for_each(|(key, interval)| self.sessions.remember(key, interval));
        Ok(())
    }

    fn restore_limits(&self, rows: &RecordBatch) {
        let value = |column: usize| {
            let column = rows.column(column).as_primitive_opt::<Int64Type>()?;
            column.iter().next().flatten()
        };
        self.limits.restore(value(0).unwrap_or(0), value(1));
    }
}

impl Stateful for SessionAggregateOperator {
    fn tables(&self) -> Vec<TableDef> {
        self.tables.clone()
    }

    fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
        let unsaved = std::mem::take(&mut self.unsaved);
        let sessions = self.session_delta(unsaved.sessions)?;
        let closed = coalesce(self.closed_rows(&unsaved.closed)?)?;
        let closed = self.delta(1, closed, Vec::new(), unsaved.forgotten_below);
        let limits =
            if self.saves_limits && self.limits.take_unsaved() { self.limit_rows()? } else { Vec::new() };
        let limits = self.delta(2, limits, Vec::new(), None);
        Ok([sessions, closed, limits].into_iter().filter(|delta| !delta.is_empty()).collect())
    }

    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        let (index, def) = self.table(table).ok_or_else(|| {
            Error::data(format!("saved rows of an unknown table of a session aggregate: `{table}`"))
        })?;
        let types =
            |schema: &Schema| schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        if types(&rows.schema()) != types(&def.schema) {
            return Err(Error::data(format!(
                "saved rows are not of this session aggregate: table=`{table}`"
            )));
        }
        if rows.num_rows() == 0 {
            return Ok(());
        }
        match index {
            0 => self.restore_sessions(&rows),
            1 => self.restore_closed(&rows),
            _ => {
                self.restore_limits(&rows);
                Ok(())
            }
        }
    }

    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>> {
        match self.table(table) {
            Some((0, _)) => coalesce(self.session_rows(&self.sessions.all_open().collect::<Vec<_>>())?),
            Some((1, _)) => coalesce(self.closed_rows(&self.sessions.all_closed().collect::<Vec<_>>())?),
            Some(_) => self.limit_rows(),
            None => Err(Error::invalid(format!("a session aggregate has no such table: `{table}`"))),
        }
    }

    fn state_rows(&self) -> usize {
        let (open, closed) = self.sessions.counts();
        open + closed + usize::from(self.has_limits())
    }

    fn state_bytes(&self) -> usize {
        self.sessions.bytes() + self.states.bytes() + self.free.capacity() * 4
    }
}
