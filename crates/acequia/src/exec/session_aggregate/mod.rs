//! GROUP BY session windows over insert-only rows: [`SessionAggregateOperator`].
//!
//! A row is the interval from its event time to that plus its gap; a session is the union of intervals of one key that
//! overlap or touch. Rows whose time or gap is NULL, or whose gap is not positive, belong to no session.
//!
//! State: per open session its interval and the states of its aggregates, as rows of DataFusion's `state()`; an index
//! by end. A batch merges its rows into runs, runs with the open sessions that they touch, and states with them: it
//! costs its rows and the touched sessions. A session closes when the watermark has reached its end. Its interval is
//! remembered for one more gap (the largest seen), until no row on time can touch it: a row that touches a closed
//! session is late, as is one whose own session has ended. Gaps that grow later cannot reopen what is forgotten: rows
//! that start before the end of a forgotten session are late as well (no such row exists while the gap is constant).
//!
//! Saved state: `sessions` and `closed`, keyed by the group columns and the start, and `limits`, one row with the
//! largest gap and the last forgotten end. Shards share these two, and the first one saves them.

mod limits;
mod sessions;
mod spec;
mod state;
#[cfg(test)]
mod tests;

pub use spec::{SessionColumns, SessionSpec};

use super::aggregate::{Emit, GATHER_ROWS, coalesce, differ};
use super::group_states::general::{GeneralStates, Location};
use super::group_states::{Arguments, StatePlan};
use super::key_table::KeyLayout;
use super::{BatchContext, Operator, append_weight, with_weight};
use crate::error::from_datafusion;
use acequia_core::state::TableDef;
use acequia_core::{Error, Result, Watermark};
use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{filter, take};
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::aggregates::evaluate_group_by;
use limits::Limits;
use sessions::{Interval, Merged, Run, Session, Sessions};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A session as it was when the batch began.
#[derive(Clone, Copy)]
struct Old {
    key: u32,
    interval: Interval,
    at: Location,
}

/// See the [module](self).
pub struct SessionAggregateOperator {
    spec: SessionSpec,
    plan: Arc<StatePlan>,
    key_columns: Vec<usize>,
    tables: Vec<TableDef>,
    change_schema: SchemaRef,
    sessions: Sessions,
    states: GeneralStates,
    /// Slots of `states`: how many there are, and which are free.
    slots: u32,
    free: Vec<u32>,
    /// Within a batch: what it has replaced, and the slots that it has made with their keys and starts.
    old: Vec<Old>,
    made: HashMap<u32, (u32, i64)>,
    late_below: Option<i64>,
    bound: Option<i64>,
    in_batch: bool,
    late: u64,
    limits: Arc<Limits>,
    /// Whether this shard, among those that share the limits, counts and saves them.
    saves_limits: bool,
    unsaved: state::Unsaved,
}

impl SessionAggregateOperator {
    /// The operator, with nothing in its state.
    ///
    /// # Errors
    /// `Unsupported` for grouping sets and for types that cannot be grouped by; `Internal` when the parts of the spec do
    /// not fit together.
    pub fn try_new(spec: SessionSpec) -> Result<Self> {
        spec.check()?;
        let plan = Arc::new(StatePlan::merging(&spec.aggregates, &spec.filters)?);
        let key_columns = spec.key_columns();
        let types = key_columns.iter().map(|c| spec.output_schema.field(*c).data_type().clone()).collect();
        Ok(Self {
            tables: state::tables(&spec, &plan),
            change_schema: with_weight(&spec.output_schema),
            sessions: Sessions::new(KeyLayout::try_new(types)?),
            states: GeneralStates::new(plan.general()),
            spec,
            plan,
            key_columns,
            slots: 0,
            free: Vec::new(),
            old: Vec::new(),
            made: HashMap::new(),
            late_below: None,
            bound: None,
            in_batch: false,
            late: 0,
            limits: Arc::default(),
            saves_limits: true,
            unsaved: state::Unsaved::default(),
        })
    }

    /// Another shard of the same operator.
    pub(super) fn sibling(&self) -> Result<Self> {
        let limits = Arc::clone(&self.limits);
        Ok(Self { limits, saves_limits: false, ..Self::try_new(self.spec.clone())? })
    }

    fn begin(&mut self, context: &BatchContext) -> Result<()> {
        if self.in_batch {
            return Ok(());
        }
        if self.unsaved.is_empty() {
            self.sessions.sweep()?;
        }
        self.late_below = self.bound_at(context.late_watermark)?;
        self.bound = self.bound_at(context.watermark)?;
        self.late = 0;
        self.in_batch = true;
        Ok(())
    }

    fn bound_at(&self, watermark: Watermark) -> Result<Option<i64>> {
        match &self.spec.bound {
            Some(bound) if self.spec.emit != Emit::Snapshot => bound.at(watermark),
            _ => Ok(None),
        }
    }

    /// Whether a row is late whatever sessions its key has.
    fn is_late(&self, row: Interval) -> bool {
        self.late_below.is_some_and(|bound| row.end < bound)
            || self.limits.forgotten_end().is_some_and(|forgotten| row.start <= forgotten)
    }

    /// Leaves the rows that have a session and are not late.
    fn usable(&mut self, rows: Rows) -> Result<Rows> {
        let mut late = 0;
        let mut check = |row: &Option<Interval>| match row {
            Some(row) if self.is_late(*row) => {
                late += 1;
                false
            }
            row => row.is_some(),
        };
        let mask: BooleanArray = rows.intervals.iter().map(|row| Some(check(row))).collect();
        self.late += late;
        rows.filter(&mask)
    }

    /// Leaves the rows that touch no closed session.
    fn untouched(&mut self, rows: Rows, keys: Vec<u32>) -> Result<(Rows, Vec<u32>)> {
        let closed = |(key, row): (&u32, &Option<Interval>)| {
            row.is_some_and(|row| self.sessions.touches_closed(*key, row))
        };
        let closed: Vec<bool> = keys.iter().zip(&rows.intervals).map(closed).collect();
        let late = closed.iter().filter(|closed| **closed).count();
        if late == 0 {
            return Ok((rows, keys));
        }
        self.late += late as u64;
        let keys =
            keys.into_iter().zip(&closed).filter(|(_, closed)| !**closed).map(|(key, _)| key).collect();
        let mask: BooleanArray = closed.iter().map(|closed| Some(!closed)).collect();
        Ok((rows.filter(&mask)?, keys))
    }

    /// Merges rows, by key, into the open sessions.
    fn update(&mut self, rows: &Rows, keys: &[u32]) -> Result<()> {
        let intervals: Vec<Interval> = rows.intervals.iter().flatten().copied().collect();
        let (runs, run_of_row) = runs_of(keys, &intervals);
        let mut merged = Vec::new();
        for runs in runs.chunk_by(|a, b| a.key == b.key) {
            self.sessions.merge(runs, &mut merged);
        }
        let of_run: Vec<usize> =
            merged.iter().enumerate().flat_map(|(i, merged)| std::iter::repeat_n(i, merged.runs)).collect();
        let locals: Vec<usize> = run_of_row.into_iter().map(|run| of_run[run]).collect();
        let columns = self.fold(&merged, &rows.arguments, &locals)?;
        let slots = merged.iter().map(|merged| self.replace(merged)).collect();
        self.states.grow(self.slots as usize);
        self.states.append(slots, columns)?;
        let gap = intervals.iter().map(|row| row.end.saturating_sub(row.start)).max().unwrap_or(0);
        self.limits.widen(gap);
        Ok(())
    }

    /// The states of merged sessions: prior ones by start, then the rows in the order of arrival.
    fn fold(&self, merged: &[Merged], arguments: &Arguments, locals: &[usize]) -> Result<Vec<ArrayRef>> {
        let prior = merged.iter().enumerate().flat_map(|(i, m)| m.prior.iter().map(move |s| (i, s.slot)));
        let places = prior.map(|(i, slot)| (i, self.states.location(slot)));
        let (owners, places): (Vec<usize>, Vec<Location>) =
            places.filter(|(_, at)| at.is_somewhere()).unzip();
        let columns = self.states.gather(&places)?;
        let filters = arguments.filters.iter().map(Option::as_ref);
        let arguments: Vec<_> = arguments.values.iter().map(Vec::as_slice).zip(filters).collect();
        self.plan.general().fold(merged.len(), (&owners, &columns), &arguments, locals)
    }

    /// Puts one session in the place of those that it was merged from; its slot.
    fn replace(&mut self, merged: &Merged) -> u32 {
        for session in &merged.prior {
            self.take_out(merged.key, *session);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        self.made.insert(slot, (merged.key, merged.interval.start));
        let saved = self.unsaved.touch(merged.key, merged.interval.start, false);
        self.sessions.add(merged.key, Session { interval: merged.interval, slot, saved });
        slot
    }

    fn take_out(&mut self, key: u32, session: Session) {
        self.sessions.remove(key, session.interval);
        self.unsaved.touch(key, session.interval.start, session.saved);
        if self.made.remove(&session.slot).is_none() {
            self.old.push(Old { key, interval: session.interval, at: self.states.location(session.slot) });
        }
        self.states.release(session.slot);
        self.free.push(session.slot);
    }

    /// The rows of these sessions.
    fn rows_of(&self, sessions: &[(u32, Interval)], results: Vec<ArrayRef>) -> Result<RecordBatch> {
        let keys: Vec<u32> = sessions.iter().map(|(key, _)| *key).collect();
        let starts = sessions.iter().map(|(_, interval)| interval.start).collect::<Vec<_>>().into();
        let ends = sessions.iter().map(|(_, interval)| interval.end).collect::<Vec<_>>().into();
        let mut columns = self.spec.group_columns(self.sessions.keys.gather(&keys)?, &starts, &ends)?;
        columns.extend(results);
        let options = RecordBatchOptions::new().with_row_count(Some(sessions.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.spec.output_schema), columns, &options)?)
    }

    fn rows_of_open(&self, sessions: &[(u32, Session)]) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        for part in sessions.chunks(GATHER_ROWS) {
            let slots: Vec<u32> = part.iter().map(|(_, session)| session.slot).collect();
            let part: Vec<_> = part.iter().map(|(key, session)| (*key, session.interval)).collect();
            batches.push(self.rows_of(&part, self.states.outputs(&slots)?)?);
        }
        Ok(batches)
    }

    fn emit(&self, ended: &[(u32, Session)]) -> Result<Vec<RecordBatch>> {
        let batches = match self.spec.emit {
            Emit::Final => self.rows_of_open(ended)?,
            Emit::Snapshot => self.rows_of_open(&self.sessions.all_open().collect::<Vec<_>>())?,
            Emit::Upserts | Emit::Changes => self.emit_changes()?,
        };
        coalesce(batches)
    }

    /// The sessions that this batch has replaced, taken back, and those that it has made, without those that look the
    /// same.
    fn emit_changes(&self) -> Result<Vec<RecordBatch>> {
        if self.made.is_empty() {
            return Ok(Vec::new());
        }
        let made =
            self.made.values().filter_map(|(key, start)| Some((*key, self.sessions.get(*key, *start)?)));
        let mut new: Vec<(u32, Session)> = made.collect();
        new.sort_unstable_by_key(|(key, session)| (*key, session.interval));
        let slots: Vec<u32> = new.iter().map(|(_, session)| session.slot).collect();
        let places: Vec<Location> = self.old.iter().map(|old| old.at).collect();
        let (before, after) = (self.states.evaluate(&places)?, self.states.outputs(&slots)?);
        let index: HashMap<(u32, Interval), u32> =
            self.old.iter().enumerate().map(|(i, old)| ((old.key, old.interval), i as u32)).collect();
        let pairs = new.iter().enumerate();
        let pairs = pairs.filter_map(|(i, (key, s))| Some((*index.get(&(*key, s.interval))?, i as u32)));
        let (same_old, same_new) = unchanged(pairs.collect(), &before, &after)?;
        let old: Vec<_> = self.old.iter().map(|old| (old.key, old.interval)).collect();
        let new: Vec<_> = new.iter().map(|(key, session)| (*key, session.interval)).collect();
        let minus = self.rows_without(&old, &before, &same_old)?;
        let plus = self.rows_without(&new, &after, &same_new)?;
        let weighted = |batch: &RecordBatch, weight| append_weight(batch, &self.change_schema, weight);
        Ok(vec![weighted(&minus, -1)?, weighted(&plus, 1)?])
    }

    fn rows_without(
        &self,
        sessions: &[(u32, Interval)],
        results: &[ArrayRef],
        without: &HashSet<u32>,
    ) -> Result<RecordBatch> {
        let kept: Vec<u32> = (0..sessions.len() as u32).filter(|i| !without.contains(i)).collect();
        let rows: Vec<_> = kept.iter().map(|i| sessions[*i as usize]).collect();
        let kept = UInt32Array::from(kept);
        let results = results.iter().map(|column| Ok(take(column, &kept, None)?)).collect::<Result<_>>()?;
        self.rows_of(&rows, results)
    }

    /// Closes sessions, and forgets closed ones that no row on time can touch.
    fn close(&mut self, ended: Vec<(u32, Session)>) {
        let Some(bound) = self.bound else { return };
        for (key, session) in ended {
            self.take_out(key, session);
            self.sessions.remember(key, session.interval);
            self.unsaved.closed.push((key, session.interval));
        }
        // A row on time that touches ends later by its gap at most: end + gap < bound is out of reach.
        let reach = bound.saturating_sub(self.limits.largest_gap());
        if let Some(end) = self.sessions.forget(reach) {
            self.limits.forget(end);
            self.unsaved.forgotten_below = Some(reach);
        }
    }
}

/// Which pairs of an old and a new session have the same results: their indexes.
fn unchanged(
    pairs: Vec<(u32, u32)>,
    before: &[ArrayRef],
    after: &[ArrayRef],
) -> Result<(HashSet<u32>, HashSet<u32>)> {
    let (old, new): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
    let (old, new) = (UInt32Array::from(old), UInt32Array::from(new));
    let mut changed = arrow::buffer::BooleanBuffer::new_unset(pairs.len());
    for (before, after) in before.iter().zip(after) {
        changed = &changed | &differ(&take(before, &old, None)?, &take(after, &new, None)?)?;
    }
    Ok(pairs.into_iter().enumerate().filter(|(i, _)| !changed.value(*i)).map(|(_, pair)| pair).unzip())
}

/// Rows of a push.
struct Rows {
    intervals: Vec<Option<Interval>>,
    keys: Vec<ArrayRef>,
    arguments: Arguments,
}

impl Rows {
    fn filter(self, mask: &BooleanArray) -> Result<Self> {
        if mask.true_count() == mask.len() {
            return Ok(self);
        }
        let of = |column: &dyn Array| Ok(filter(column, mask)?);
        let intervals = self.intervals.iter().enumerate().filter(|(row, _)| mask.value(*row));
        Ok(Self {
            intervals: intervals.map(|(_, interval)| *interval).collect(),
            keys: self.keys.iter().map(|column| of(column.as_ref())).collect::<Result<_>>()?,
            arguments: self.arguments.map(of)?,
        })
    }
}

/// Each row's own session: NULL times and gaps that are not positive have none.
fn intervals_of(starts: &Int64Array, ends: &Int64Array) -> Vec<Option<Interval>> {
    let interval = |(start, end): (Option<i64>, Option<i64>)| {
        let interval = Interval { start: start?, end: end? };
        (interval.start < interval.end).then_some(interval)
    };
    starts.iter().zip(ends.iter()).map(interval).collect()
}

/// Merges rows of the same key that overlap or touch: the runs, by key and start, and which of them each row is in.
fn runs_of(keys: &[u32], intervals: &[Interval]) -> (Vec<Run>, Vec<usize>) {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_unstable_by_key(|row| (keys[*row], intervals[*row].start));
    let mut runs: Vec<Run> = Vec::new();
    let mut run_of_row = vec![0; keys.len()];
    for row in order {
        let (key, interval) = (keys[row], intervals[row]);
        match runs.last_mut() {
            Some(run) if run.key == key && run.interval.touches(interval) => {
                run.interval.end = run.interval.end.max(interval.end);
            }
            _ => runs.push(Run { key, interval }),
        }
        run_of_row[row] = runs.len() - 1;
    }
    (runs, run_of_row)
}

impl Operator for SessionAggregateOperator {
    fn output_schema(&self) -> SchemaRef {
        match self.spec.emit {
            Emit::Changes | Emit::Upserts => Arc::clone(&self.change_schema),
            Emit::Final | Emit::Snapshot => Arc::clone(&self.spec.output_schema),
        }
    }

    fn push(&mut self, context: &BatchContext, input: usize, batch: RecordBatch) -> Result<()> {
        if input != 0 {
            return Err(Error::internal(format!("an aggregate has one input: input={input}")));
        }
        self.begin(context)?;
        let mut sets = evaluate_group_by(&self.spec.group_by, &batch).map_err(from_datafusion)?;
        let groups = sets.pop().ok_or_else(|| Error::internal("a session aggregate has no group columns"))?;
        let (starts, ends) = self.spec.intervals(&groups)?;
        let keys = self.key_columns.iter().map(|c| Arc::clone(&groups[*c])).collect();
        let rows =
            Rows { intervals: intervals_of(&starts, &ends), keys, arguments: self.plan.arguments(&batch)? };
        let rows = self.usable(rows)?;
        let keys = self.sessions.intern(&rows.keys, rows.intervals.len())?;
        let (rows, keys) = self.untouched(rows, keys)?;
        if keys.is_empty() {
            return Ok(());
        }
        self.update(&rows, &keys)
    }

    fn finish(&mut self, context: &BatchContext) -> Result<Vec<RecordBatch>> {
        self.begin(context)?;
        let ended = self.bound.map(|bound| self.sessions.ended(bound)).unwrap_or_default();
        let output = self.emit(&ended)?;
        self.close(ended);
        self.old.clear();
        self.made.clear();
        self.states.end_batch()?;
        if !context.durable {
            self.unsaved = state::Unsaved::default();
        }
        self.in_batch = false;
        Ok(output)
    }

    fn late_rows(&self) -> u64 {
        self.late
    }

    fn wakes_at(&self, watermark: Watermark) -> bool {
        // A bound that cannot be computed is reported by the batch that it wakes.
        let Ok(bound) = self.bound_at(watermark) else { return true };
        let (open, closed) = self.sessions.first_ends();
        let reaches = |end: Option<i64>, bound: i64| end.is_some_and(|end| end < bound);
        bound
            .is_some_and(|b| reaches(open, b) || reaches(closed, b.saturating_sub(self.limits.largest_gap())))
    }
}
