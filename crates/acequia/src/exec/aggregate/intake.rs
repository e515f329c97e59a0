//! What becomes of rows before they reach their groups: arguments and group columns are evaluated, panes told apart.
//!
//! It depends on nothing but the rows, so the runtime may have it done on any thread ([`Prepare`]). While the query's
//! thread is busy the distinct keys of the rows are found there as well, so that it looks up each of them once and not
//! each row; that is more work in all, and only worth it where another core has time for it:
//! ```text
//! any thread   rows -> panes -> (distinct keys in the order of first sight, each row's number among them, arguments)
//! query        distinct keys -> group ids; each row's number -> its group id; states take rows in their order
//! ```
//! So groups have the ids, and states see the rows, that they would have without it. Which rows are late is only known
//! to the operator: where some may be, it takes them as they came.

use super::pane::{Pane, PaneRows};
use super::time::{TimeLayout, to_int64};
use super::{AggregateSpec, PaneKey};
use crate::error::from_datafusion;
use crate::exec::group_states::{Arguments, StatePlan};
use crate::exec::key_table::{KeyLayout, KeyTable};
use crate::exec::{Prepare, Prepared};
use acequia_core::Result;
use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, max, min, take};
use datafusion::physical_plan::aggregates::{PhysicalGroupBy, evaluate_group_by};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Fewer rows are not worth looking for distinct keys; few in tests, so that they do.
const WORTH_ROWS: usize = if cfg!(test) { 8 } else { 1024 };

/// Rows whose keys are counted before the others are looked at.
const SAMPLE_ROWS: usize = if cfg!(test) { 64 } else { 1024 };

/// See the [module](self).
pub(super) struct Intake {
    group_by: PhysicalGroupBy,
    pub(super) plan: Arc<StatePlan>,
    pub(super) keys: KeyLayout,
    /// The group columns that key tables hold.
    pub(super) key_columns: Vec<usize>,
    pub(super) time: Option<TimeLayout>,
    /// Tables that are used again for the distinct keys of other rows.
    spare: Mutex<Vec<KeyTable>>,
}

/// Rows by pane.
#[derive(Default)]
pub(super) struct Split {
    pub(super) panes: Vec<(PaneKey, PaneRows)>,
    /// How many rows were late, and are in no pane.
    pub(super) late: u64,
    /// The least time of any row.
    least: Option<i64>,
}

/// Rows by pane, with their distinct keys.
pub struct KeyedRows {
    pub(super) panes: Vec<(PaneKey, PaneRows)>,
    /// The least time of any row.
    pub(super) least: Option<i64>,
}

impl Intake {
    pub(super) fn try_new(spec: &AggregateSpec, native: bool) -> Result<Self> {
        let group_types = spec.group_types()?;
        let plan = Arc::new(spec.state_plan(native)?);
        let time = spec.time.clone().map(|key| TimeLayout::try_new(key, &group_types)).transpose()?;
        let time = time.map(|time| with_stable_start(time, spec));
        let in_pane = |c: &usize| time.as_ref().is_none_or(|t| !t.is_window() || !t.is_derived(*c));
        let key_columns: Vec<usize> = (0..group_types.len()).filter(in_pane).collect();
        let keys = KeyLayout::try_new(key_columns.iter().map(|c| group_types[*c].clone()).collect())?;
        let (group_by, spare) = (spec.group_by.clone(), Mutex::default());
        Ok(Self { group_by, plan, keys, key_columns, time, spare })
    }

    /// The rows of each pane, without those whose time is below the bound.
    pub(super) fn split(&self, batch: &RecordBatch, late_below: Option<i64>) -> Result<Split> {
        let arguments = self.plan.arguments(batch)?;
        let mut split = Split::default();
        if self.group_by.is_true_no_grouping() {
            self.split_set(0, &[], arguments, (batch.num_rows(), late_below), &mut split)?;
            return Ok(split);
        }
        let sets = evaluate_group_by(&self.group_by, batch).map_err(from_datafusion)?;
        for (set, groups) in sets.iter().enumerate() {
            self.split_set(set, groups, arguments.clone(), (batch.num_rows(), late_below), &mut split)?;
        }
        Ok(split)
    }

    /// Adds the rows of one grouping set.
    fn split_set(
        &self,
        set: usize,
        groups: &[ArrayRef],
        arguments: Arguments,
        (rows, late_below): (usize, Option<i64>),
        split: &mut Split,
    ) -> Result<()> {
        let timed = self.time.as_ref().filter(|time| self.has_time(set, time));
        let keys = self.key_columns.iter().map(|c| Arc::clone(&groups[*c])).collect();
        let Some(time) = timed else {
            split.panes.push((None, PaneRows { keys, count: rows, times: None, numbers: None, arguments }));
            return Ok(());
        };
        let timed = TimedRows { times: time.times(groups)?, keys, arguments };
        let first = (0..set).all(|before| !self.has_time(before, time));
        let extent = timed.extent();
        let least = extent.map(|(least, _)| least);
        let (timed, late) = timed.usable(least, late_below, time.is_window())?;
        // Every grouping set with a time drops the same rows.
        split.late += if first { late } else { 0 };
        split.least = split.least.into_iter().chain(least).min();
        split.panes.extend(timed.into_panes(extent, time)?);
        Ok(())
    }

    fn has_time(&self, set: usize, time: &TimeLayout) -> bool {
        self.group_by.groups().get(set).and_then(|nulls| nulls.get(time.key.column)) != Some(&true)
    }

    /// The rows with their distinct keys, or as they are when many are distinct.
    fn keyed(&self, rows: PaneRows) -> Result<PaneRows> {
        let spare = self.spare.lock().pop();
        let mut table = spare.unwrap_or_else(|| self.keys.table());
        let rows = self.keyed_in(&mut table, rows);
        table.clear();
        self.spare.lock().push(table);
        rows
    }

    fn keyed_in(&self, table: &mut KeyTable, rows: PaneRows) -> Result<PaneRows> {
        let mut numbers = Vec::with_capacity(rows.count);
        let sample = rows.count.min(SAMPLE_ROWS);
        for (from, to) in [(0, sample), (sample, rows.count)] {
            let keys: Vec<ArrayRef> = rows.keys.iter().map(|column| column.slice(from, to - from)).collect();
            table.intern(&keys, to - from, &mut numbers)?;
            if table.len() * 2 > numbers.len() {
                return Ok(rows);
            }
        }
        let ids: Vec<u32> = (0..table.len() as u32).collect();
        let mut times = rows.times.is_some().then(Vec::new);
        if let (Some(times), Some(all)) = (&mut times, &rows.times) {
            Pane::add_times(times, &numbers, all);
        }
        let (keys, numbers) = (table.gather(&ids)?, Some(numbers));
        Ok(PaneRows { keys, count: ids.len(), times, numbers, arguments: rows.arguments })
    }
}

impl Prepare for Intake {
    fn prepare(&self, rows: RecordBatch, busy: bool) -> Result<Vec<Prepared>> {
        if rows.num_rows() < WORTH_ROWS {
            return Ok(vec![Prepared::Rows(rows)]);
        }
        let Split { panes, least, .. } = self.split(&rows, None)?;
        let keyed = |(key, rows)| Ok((key, if busy { self.keyed(rows)? } else { rows }));
        let panes = panes.into_iter().map(keyed).collect::<Result<_>>()?;
        Ok(vec![Prepared::Keyed(rows, KeyedRows { panes, least })])
    }
}

/// The start can be derived only if every grouping set has it together with the time.
fn with_stable_start(mut time: TimeLayout, spec: &AggregateSpec) -> TimeLayout {
    if let Some(start) = time.derived_column()
        && spec.group_by.groups().iter().any(|nulls| nulls.get(start) != nulls.get(time.key.column))
    {
        time.keep_start();
    }
    time
}

/// Rows of a grouping set that has a time column.
pub(super) struct TimedRows {
    pub(super) times: Int64Array,
    pub(super) keys: Vec<ArrayRef>,
    pub(super) arguments: Arguments,
}

impl TimedRows {
    /// The least and the greatest time.
    fn extent(&self) -> Option<(i64, i64)> {
        // Mostly all rows are of one window, and to see that is much quicker than to order times.
        let all = self.times.values();
        match all.first() {
            Some(first) if self.times.null_count() == 0 && is_only(*first, all) => Some((*first, *first)),
            _ => min(&self.times).zip(max(&self.times)),
        }
    }

    /// Without rows that are late, whose number is returned, and without rows that belong to no window.
    fn usable(self, least: Option<i64>, bound: Option<i64>, window: bool) -> Result<(Self, u64)> {
        let bound = bound.filter(|bound| least.is_some_and(|least| least < *bound));
        if bound.is_none() && !(window && self.times.null_count() > 0) {
            return Ok((self, 0));
        }
        let bound = bound.unwrap_or(i64::MIN);
        let late = self.times.iter().flatten().filter(|time| *time < bound).count();
        let values = self.times.values();
        let usable = |row: usize| if self.times.is_null(row) { !window } else { values[row] >= bound };
        let mask = BooleanBuffer::collect_bool(self.times.len(), usable).into();
        Ok((self.map(|column| Ok(filter(column, &mask)?))?, late as u64))
    }

    fn map(&self, f: impl Fn(&dyn Array) -> Result<ArrayRef>) -> Result<Self> {
        let times = to_int64(&f(&self.times)?)?;
        let keys = self.keys.iter().map(|column| f(column.as_ref())).collect::<Result<_>>()?;
        Ok(Self { times, keys, arguments: self.arguments.map(f)? })
    }

    /// The rows of each pane, from rows whose times are within these.
    fn into_panes(self, extent: Option<(i64, i64)>, time: &TimeLayout) -> Result<Vec<(PaneKey, PaneRows)>> {
        let exact = !time.is_window();
        if self.times.is_empty() {
            return Ok(Vec::new());
        }
        if let Some((least, most)) = extent.filter(|_| self.times.null_count() == 0)
            && time.pane(least) == time.pane(most)
        {
            return Ok(vec![(Some(time.pane(least)), self.into_rows(exact))]);
        }
        let keys: Vec<PaneKey> = self.times.iter().map(|t| t.map(|t| time.pane(t))).collect();
        let (panes, order) = sort_by_pane(&keys);
        let sorted = self.map(|column| Ok(take(column, &order, None)?))?;
        let mut start = 0;
        let part = |(key, rows): (PaneKey, usize)| {
            let from = start;
            start += rows;
            let part = sorted.map(|column| Ok(column.slice(from, rows)))?;
            Ok((key, part.into_rows(exact && key.is_some())))
        };
        panes.into_iter().map(part).collect()
    }

    /// The rows of each pane.
    pub(super) fn by_pane(self, time: &TimeLayout) -> Result<Vec<(PaneKey, PaneRows)>> {
        let extent = self.extent();
        self.into_panes(extent, time)
    }

    pub(super) fn into_rows(self, exact: bool) -> PaneRows {
        let times = exact.then(|| self.times.values().to_vec());
        let count = self.times.len();
        PaneRows { keys: self.keys, count, times, numbers: None, arguments: self.arguments }
    }
}

/// Whether all values are this one.
fn is_only(value: i64, values: &[i64]) -> bool {
    values.chunks(512).all(|chunk| chunk.iter().fold(0, |other, v| other | (v ^ value)) == 0)
}

/// The distinct panes with their row counts, and the row numbers sorted by pane, in the order of arrival within each.
fn sort_by_pane(keys: &[PaneKey]) -> (Vec<(PaneKey, usize)>, UInt32Array) {
    let mut numbers: HashMap<PaneKey, usize> = HashMap::new();
    let mut panes: Vec<(PaneKey, usize)> = Vec::new();
    let mut last = None;
    let mut of_row = Vec::with_capacity(keys.len());
    for key in keys {
        let number = match last {
            Some((same, number)) if same == *key => number,
            _ => *numbers.entry(*key).or_insert_with(|| {
                panes.push((*key, 0));
                panes.len() - 1
            }),
        };
        last = Some((*key, number));
        panes[number].1 += 1;
        of_row.push(number);
    }
    let starts = panes.iter().scan(0, |at, (_, rows)| Some(std::mem::replace(at, *at + rows)));
    let mut next: Vec<usize> = starts.collect();
    let mut order = vec![0; keys.len()];
    for (row, number) in of_row.into_iter().enumerate() {
        order[next[number]] = row as u32;
        next[number] += 1;
    }
    (panes, order.into())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{closed_bound, random_rows, spec};
    use super::super::{AggregateOperator, Emit, TimeKey};
    use super::*;
    use crate::exec::Operator;
    use crate::exec::twin::{at, input_of};
    use acequia_core::state::Stateful;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    /// Pushes each batch as it comes to one operator and prepared to another, and compares all that they give, rows in
    /// their order. Tells in how many panes rows were fewer keys.
    fn compare(sql: &str, time: Option<TimeKey>, emit: Emit) -> (usize, u64) {
        let mut rng = SmallRng::seed_from_u64(9);
        let spec = AggregateSpec { emit, ..spec(&random_rows(&mut rng, 0, 0), sql, time, emit) };
        let [mut plain, mut prepared] = [(); 2].map(|()| AggregateOperator::try_new(spec.clone()).unwrap());
        let (mut keyed, mut late) = (0, 0);
        for batch in 0..12_u32 {
            let rows = random_rows(&mut rng, [3, 60, 300][batch as usize % 3], i64::from(batch) * 300);
            let context = at(batch.into(), (batch > 4).then_some(i64::from(batch) * 1_000_000 - 9_000_000));
            for rows in input_of(&rows, sql) {
                plain.push(&context, 0, rows.clone()).unwrap();
                let rows = prepared.intake.prepare(rows, true).unwrap();
                for rows in &rows {
                    if let Prepared::Keyed(_, rows) = rows {
                        keyed += rows.panes.iter().filter(|(_, rows)| rows.numbers.is_some()).count();
                    }
                }
                prepared.push_prepared(&context, rows).unwrap();
            }
            assert_eq!(prepared.finish(&context).unwrap(), plain.finish(&context).unwrap(), "{sql} {emit:?}");
            assert_eq!((prepared.late_rows(), prepared.bytes > 0), (plain.late_rows(), plain.bytes > 0));
            let upserts = |operator: &mut AggregateOperator| {
                operator
                    .take_deltas()
                    .unwrap()
                    .into_iter()
                    .map(|d| (d.upserts, d.evict_below))
                    .collect::<Vec<_>>()
            };
            assert_eq!(upserts(&mut prepared), upserts(&mut plain), "{sql} {emit:?}");
            assert_eq!(
                prepared.snapshot("groups").unwrap(),
                plain.snapshot("groups").unwrap(),
                "{sql} {emit:?}"
            );
            late += plain.late_rows();
        }
        (keyed, late)
    }

    #[test]
    fn prepared_rows_give_what_pushed_rows_give_in_the_same_order() {
        let all = "count(*), count(v) FILTER (WHERE b), sum(x), avg(x), sum(d), max(f), min(word), stddev(x), \
                   array_agg(id), first_value(s ORDER BY x, id)";
        for keys in ["few", "f", "word", "few, few + 1", "b, word", "ROLLUP (few, word)", "CUBE (b, ts)"] {
            for emit in [Emit::Changes, Emit::Upserts, Emit::Snapshot] {
                let (keyed, _) = compare(&format!("SELECT {all} FROM t GROUP BY {keys}"), None, emit);
                assert!(keyed > 0, "{keys}: no batch had few keys");
            }
        }
        assert!(compare(&format!("SELECT {all} FROM t"), None, Emit::Changes).0 > 0);
        assert_eq!(compare(&format!("SELECT {all} FROM t GROUP BY id"), None, Emit::Changes).0, 0);
        assert!(compare("SELECT DISTINCT few, b FROM t", None, Emit::Changes).0 > 0);
    }

    #[test]
    fn prepared_rows_are_late_as_pushed_ones() {
        let sql = "SELECT few, ts, count(*), sum(x), max(word) FROM t GROUP BY few, ts";
        for emit in [Emit::Final, Emit::Changes, Emit::Upserts, Emit::Snapshot] {
            for derived_start in [None, Some((1, 0))] {
                let time = TimeKey { column: 1, field: None, derived_start, bound: closed_bound() };
                let (keyed, late) = compare(sql, Some(time), emit);
                assert!(keyed > 0 && (late > 0) == (emit != Emit::Snapshot), "{keyed} {late} {emit:?}");
            }
        }
    }
}
