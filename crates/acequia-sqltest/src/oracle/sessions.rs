//! Which rows of GROUP BY a session are late: those whose own session has ended, and those that touch a session of their
//! key that has closed, which nobody can make longer any more.

use super::answer::{Answer, columns, table, with_rows};
use super::late::passed;
use acequia::functions::{TimeColumn, TimeColumns, TimeRole};
use acequia::{Result, from_datafusion};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type};
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use std::collections::HashMap;
use std::sync::Arc;

/// What tells the session of a row, as expressions over the input of its GROUP BY.
pub(super) struct SessionKey {
    start: Expr,
    end: Expr,
    others: Vec<Expr>,
}

impl SessionKey {
    /// The key of groups that are sessions.
    pub(super) fn of(groups: &[Expr], times: &TimeColumns) -> Option<Self> {
        let role = |index: usize| times[index].as_ref().map(|time| &time.role);
        let find = |is: fn(&TimeRole) -> bool| {
            let index = (0..groups.len()).find(|index| role(*index).is_some_and(is))?;
            Some(groups[index].clone().unalias())
        };
        let (start, end) = match find(|role| matches!(role, TimeRole::Session(_))) {
            Some(session) => (get_field(session.clone(), "start"), get_field(session, "end")),
            None => (
                find(|role| matches!(role, TimeRole::SessionStart(_)))?,
                find(|role| matches!(role, TimeRole::SessionEnd(_)))?,
            ),
        };
        let is_session = |role: &TimeRole| {
            matches!(role, TimeRole::Session(_) | TimeRole::SessionStart(_) | TimeRole::SessionEnd(_))
        };
        let others = groups.iter().enumerate().filter(|(index, _)| !role(*index).is_some_and(is_session));
        Some(Self { start, end, others: others.map(|(_, expr)| expr.clone().unalias()).collect() })
    }
}

/// A session, in units of its columns.
struct Session {
    start: i64,
    end: i64,
    closed: bool,
}

impl Answer<'_> {
    /// The rows of a linear plan that are not late for the sessions that they belong to, batch by batch.
    pub(super) async fn rows_of_sessions(
        &self,
        input: &LogicalPlan,
        key: &SessionKey,
        column: &TimeColumn,
    ) -> Result<LogicalPlan> {
        let mut sessions: HashMap<OwnedRow, Vec<Session>> = HashMap::new();
        let mut kept = vec![];
        let width = input.schema().fields().len();
        for batch in self.batches {
            let mut exprs = columns(input);
            exprs.extend([key.start.clone().alias("__start"), key.end.clone().alias("__end")]);
            exprs.extend(key.others.iter().enumerate().map(|(n, expr)| expr.clone().alias(format!("__{n}"))));
            let plan = with_rows(input.clone(), std::slice::from_ref(batch))?;
            let plan = Projection::try_new(exprs, Arc::new(plan)).map_err(from_datafusion)?;
            for rows in self.run(LogicalPlan::Projection(plan)).await? {
                let ended = match batch.watermark.0 {
                    Some(watermark) => passed(rows.column(width + 1), column, watermark)?,
                    None => BooleanArray::from(vec![false; rows.num_rows()]),
                };
                let on_time = on_time(&rows, width, &ended, &mut sessions)?;
                let rows = filter_record_batch(&rows, &on_time)?;
                kept.push(rows.project(&(0..width).collect::<Vec<_>>())?);
            }
            let Some(watermark) = batch.watermark.0 else { continue };
            let ends: Int64Array = sessions.values().flatten().map(|session| session.end).collect();
            let ends = passed(&cast(&ends, &end_type(column))?, column, watermark)?;
            sessions.values_mut().flatten().zip(ends.values()).for_each(|(s, passed)| s.closed |= passed);
        }
        table(input.schema(), kept)
    }
}

fn end_type(column: &TimeColumn) -> DataType {
    match &column.data_type {
        DataType::Struct(fields) => fields[1].data_type().clone(),
        other => other.clone(),
    }
}

/// Which rows of a batch are on time; they are added to the sessions. After `width` columns of their own rows have the
/// start and the end of their session, and what else tells it.
fn on_time(
    rows: &RecordBatch,
    width: usize,
    ended: &BooleanArray,
    sessions: &mut HashMap<OwnedRow, Vec<Session>>,
) -> Result<BooleanArray> {
    let others: Vec<ArrayRef> = rows.columns()[width + 2..].to_vec();
    let fields = others.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let keys = match others.is_empty() {
        // Without other columns all rows have one key.
        true => RowConverter::new(vec![SortField::new(DataType::Boolean)])?
            .convert_columns(&[Arc::new(BooleanArray::from(vec![true; rows.num_rows()])) as ArrayRef])?,
        false => RowConverter::new(fields)?.convert_columns(&others)?,
    };
    let micros = |column: usize| cast(rows.column(width + column), &DataType::Int64);
    let (starts, ends) = (micros(0)?, micros(1)?);
    let (starts, ends) = (starts.as_primitive::<Int64Type>(), ends.as_primitive::<Int64Type>());
    let mut new = vec![];
    let on_time = (0..rows.num_rows()).map(|row| {
        if ended.value(row) || starts.is_null(row) || ends.is_null(row) {
            return !ended.value(row);
        }
        let (start, end, key) = (starts.value(row), ends.value(row), keys.row(row).owned());
        let touches = |session: &Session| session.start <= end && start <= session.end;
        let of_key = sessions.get(&key).map_or(&[][..], Vec::as_slice);
        let late = of_key.iter().any(|session| session.closed && touches(session));
        if !late {
            new.push((key, Session { start, end, closed: false }));
        }
        !late
    });
    let on_time: BooleanArray = on_time.collect::<Vec<_>>().into();
    for (key, mut session) in new.into_iter().filter(|(_, session)| session.start < session.end) {
        let of_key = sessions.entry(key).or_default();
        of_key.retain(|other| {
            let merged = !other.closed && other.start <= session.end && session.start <= other.end;
            if merged {
                (session.start, session.end) = (session.start.min(other.start), session.end.max(other.end));
            }
            !merged
        });
        of_key.push(session);
    }
    Ok(on_time)
}
