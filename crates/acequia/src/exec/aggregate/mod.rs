//! GROUP BY over insert-only rows, and over rows that are taken back: [`AggregateOperator`]. DISTINCT is the same
//! without aggregates.
//!
//! State: one row per group (its key and the states of its aggregates) in *panes*. A pane is one window; of a plain
//! event-time column it is a stretch of time; without event time there is one pane for ever. Each pane has its own
//! [`KeyTable`] over the remaining group columns, which gives dense group ids, and vectors of states by id, about
//! 20-40 bytes per group and aggregate. The window itself is in no hash key: it follows from the pane.
//!
//! A batch: rows that are late are dropped and counted; the others are split by pane and added; then what changed is
//! emitted; then panes that the watermark has passed leave as a whole, without visiting groups one by one (also ones
//! that are new in this batch, whose rows another operator made final only now). A pane of
//! a plain time column that is passed in part is scanned, which costs its own size, never that of all state.
//!
//! Rows that are taken back have weights. A group then also counts its rows, and is there as long as it has some; a
//! group of no columns always is. The place of one that has left is tidied up once such places are most of a pane.
//!
//! Saved state: the table `groups`, keyed by the exact time (where there is one) and the group columns that do not
//! follow from it, evicted by time. Whether a group's state is kept natively or by DataFusion's accumulators does not
//! show in it. Values that min, max and DISTINCT keep of rows with weights are in tables `values0` and so on: the key,
//! the value, the weight.

#[cfg(test)]
mod changes_tests;
mod emit;
mod pane;
mod spec;
mod state;
#[cfg(test)]
mod tests;
mod time;

pub use spec::{AggregateSpec, Emit, raw_input};
pub use time::{TimeBound, TimeKey};

use super::group_states::{Arguments, StatePlan};
use super::key_table::KeyLayout;
use super::{BatchContext, Operator};
use crate::error::from_datafusion;
use acequia_core::state::TableDef;
use acequia_core::{Error, Result, Watermark};
use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter, max, min, take};
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::aggregates::evaluate_group_by;
pub(super) use emit::{GATHER_ROWS, coalesce, differ};
use pane::{Pane, PaneRows};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use time::TimeLayout;
pub(super) use time::{from_int64, times_in, to_int64};

/// The pane of a time; `None` for groups without one, which stay for ever.
type PaneKey = Option<i64>;

/// See the [module](self).
pub struct AggregateOperator {
    spec: AggregateSpec,
    plan: Arc<StatePlan>,
    keys: KeyLayout,
    /// The group columns that key tables hold.
    key_columns: Vec<usize>,
    time: Option<TimeLayout>,
    table: TableDef,
    /// Those of values beside it.
    value_tables: Vec<TableDef>,
    /// The output with its weight, for [`Emit::Changes`].
    change_schema: SchemaRef,
    panes: BTreeMap<PaneKey, Pane>,
    /// Panes of the current batch, and those that the next delta has rows of.
    touched: Vec<PaneKey>,
    dirty: BTreeSet<PaneKey>,
    /// Within a batch: rows below this are late.
    late_below: Option<i64>,
    /// Within a batch: groups below this are final.
    bound: Option<i64>,
    /// Groups below this have left.
    evicted_below: Option<i64>,
    /// What of that the next delta has to say.
    unsaved_eviction: Option<i64>,
    in_batch: bool,
    /// Whether the groups that need no rows are there.
    started: bool,
    late: u64,
    rows: usize,
    bytes: usize,
}

impl AggregateOperator {
    /// The operator, with nothing in its state.
    ///
    /// # Errors
    /// `Unsupported` for types that cannot be grouped by; `Internal` when the parts of the spec do not fit together.
    pub fn try_new(spec: AggregateSpec) -> Result<Self> {
        Self::with_native(spec, true)
    }

    /// The operator, keeping no aggregate in its native form when `native` is false. Answers and saved state are the
    /// same; it is slower, and there to compare with.
    ///
    /// # Errors
    /// As [`AggregateOperator::try_new`].
    pub fn with_native(spec: AggregateSpec, native: bool) -> Result<Self> {
        let group_types = spec.group_types()?;
        let plan = Arc::new(spec.state_plan(native)?);
        let time = spec.time.clone().map(|key| TimeLayout::try_new(key, &group_types)).transpose()?;
        let time = time.map(|time| with_stable_start(time, &spec));
        let in_pane = |c: &usize| time.as_ref().is_none_or(|t| !t.is_window() || !t.is_derived(*c));
        let key_columns: Vec<usize> = (0..group_types.len()).filter(in_pane).collect();
        let keys = KeyLayout::try_new(key_columns.iter().map(|c| group_types[*c].clone()).collect())?;
        let table = state::table(&spec, &plan, time.as_ref());
        let value_tables = state::value_tables(&table, &plan);
        Ok(Self {
            change_schema: super::with_weight(&spec.output_schema),
            spec,
            plan,
            keys,
            key_columns,
            time,
            table,
            value_tables,
            panes: BTreeMap::new(),
            touched: Vec::new(),
            dirty: BTreeSet::new(),
            late_below: None,
            bound: None,
            evicted_below: None,
            unsaved_eviction: None,
            in_batch: false,
            started: false,
            late: 0,
            rows: 0,
            bytes: 0,
        })
    }

    fn begin(&mut self, context: &BatchContext) -> Result<()> {
        if !self.in_batch {
            self.late_below = self.bound_at(context.late_watermark)?.max(self.evicted_below);
            self.bound = self.bound_at(context.watermark)?.max(self.evicted_below);
            self.late = 0;
            self.in_batch = true;
        }
        Ok(())
    }

    fn bound_at(&self, watermark: Watermark) -> Result<Option<i64>> {
        match &self.time {
            Some(time) if self.spec.emit != Emit::Snapshot => time.key.bound.at(watermark),
            _ => Ok(None),
        }
    }

    /// Whether groups without group columns nor grouping sets: one group, always.
    fn is_global(&self) -> bool {
        self.spec.group_by.is_true_no_grouping()
    }

    /// Adds the rows of one grouping set.
    fn push_set(
        &mut self,
        set: usize,
        groups: &[ArrayRef],
        arguments: &Arguments,
        rows: usize,
    ) -> Result<()> {
        let timed = self.time.as_ref().filter(|time| self.has_time(set, time));
        let keys = self.key_columns.iter().map(|c| Arc::clone(&groups[*c])).collect();
        let Some(time) = timed else {
            let rows = PaneRows { keys, times: None, arguments: arguments.clone(), rows };
            return self.update(None, rows);
        };
        let timed = TimedRows { times: time.times(groups)?, keys, arguments: arguments.clone() };
        let first = (0..set).all(|before| !self.has_time(before, time));
        let (timed, late) = timed.usable(self.late_below, time.is_window())?;
        // Every grouping set with a time drops the same rows.
        self.late += if first { late } else { 0 };
        for (pane, rows) in timed.into_panes(time)? {
            self.update(pane, rows)?;
        }
        Ok(())
    }

    fn has_time(&self, set: usize, time: &TimeLayout) -> bool {
        self.spec.group_by.groups().get(set).and_then(|nulls| nulls.get(time.key.column)) != Some(&true)
    }

    fn update(&mut self, key: PaneKey, rows: PaneRows) -> Result<()> {
        let remember = self.remembers();
        let compacted =
            self.panes.get(&key).map(|pane| pane.compacted(&self.keys, &self.plan)).transpose()?;
        if let Some(pane) = compacted.flatten() {
            self.panes.insert(key, pane);
        }
        let pane = self.pane(key)?;
        let untouched = pane.touched.is_empty();
        pane.update(&rows, remember)?;
        if untouched {
            self.touched.push(key);
        }
        Ok(())
    }

    fn pane(&mut self, key: PaneKey) -> Result<&mut Pane> {
        Ok(match self.panes.entry(key) {
            Entry::Vacant(new) => new.insert(Pane::try_new(&self.keys, &self.plan)?),
            Entry::Occupied(pane) => pane.into_mut(),
        })
    }

    /// Makes the groups that are there before any input: that of an aggregate without group columns, and those of
    /// empty grouping sets.
    fn start(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        let remember = self.remembers();
        for keys in self.spec.empty_sets()? {
            let keys: Vec<ArrayRef> = self.key_columns.iter().map(|c| Arc::clone(&keys[*c])).collect();
            let pane = self.pane(None)?;
            let untouched = pane.touched.is_empty();
            pane.make_group(&keys, remember)?;
            if untouched && !pane.touched.is_empty() {
                self.touched.push(None);
            }
        }
        Ok(())
    }

    /// Whether outputs as they were before the batch are needed: to be taken back, or to see which have changed.
    fn remembers(&self) -> bool {
        match self.spec.emit {
            Emit::Changes => !self.spec.aggregates.is_empty(),
            Emit::Upserts => !self.spec.aggregates.is_empty() && !self.plan.changes_with_every_row(),
            Emit::Final | Emit::Snapshot => false,
        }
    }

    fn end_batch(&mut self, durable: bool) -> Result<()> {
        for key in std::mem::take(&mut self.touched) {
            if let Some(pane) = self.panes.get_mut(&key) {
                pane.end_batch(durable)?;
                (self.rows, self.bytes) = recount(pane, self.rows, self.bytes);
                if durable {
                    self.dirty.insert(key);
                }
            }
        }
        self.in_batch = false;
        Ok(())
    }

    /// Drops what the watermark has passed.
    fn evict(&mut self, durable: bool) {
        let (Some(bound), Some(time)) = (self.bound, &self.time) else { return };
        if self.evicted_below == Some(bound) {
            return;
        }
        let mut evicted = false;
        for (key, pane) in self.panes.range_mut(Some(i64::MIN)..=Some(time.pane(bound))) {
            let PaneKey::Some(number) = *key else { continue };
            if time.last_of(number) >= bound {
                let passed = pane.between(self.evicted_below.unwrap_or(i64::MIN), bound).len();
                pane.expired += passed;
                evicted |= passed > 0;
                (self.rows, self.bytes) = recount(pane, self.rows, self.bytes);
            } else {
                evicted = true;
                self.rows -= pane.counted.0;
                self.bytes -= pane.counted.1;
            }
        }
        let passed: Vec<PaneKey> = self.whole_panes_below(bound).collect();
        for key in passed {
            self.panes.remove(&key);
            self.dirty.remove(&key);
        }
        self.evicted_below = Some(bound);
        if evicted && durable {
            self.unsaved_eviction = Some(bound);
        }
    }

    /// Panes all of whose times are below the bound.
    fn whole_panes_below(&self, bound: i64) -> impl Iterator<Item = PaneKey> {
        let time = self.time.as_ref();
        let end = time.map_or(bound, |time| time.pane(bound));
        let is_whole = move |pane: &i64| time.is_some_and(|time| time.last_of(*pane) < bound);
        self.panes.range(Some(i64::MIN)..=Some(end)).filter_map(|(key, _)| *key).filter(is_whole).map(Some)
    }
}

/// The rows and bytes of all panes after one of them has changed.
fn recount(pane: &mut Pane, rows: usize, bytes: usize) -> (usize, usize) {
    let now = (pane.live(), pane.bytes());
    let before = std::mem::replace(&mut pane.counted, now);
    (rows + now.0 - before.0, bytes + now.1 - before.1)
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
struct TimedRows {
    times: Int64Array,
    keys: Vec<ArrayRef>,
    arguments: Arguments,
}

impl TimedRows {
    /// Without rows that are late, whose number is returned, and without rows that belong to no window.
    fn usable(self, bound: Option<i64>, window: bool) -> Result<(Self, u64)> {
        let bound = bound.filter(|bound| min(&self.times).is_some_and(|least| least < *bound));
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

    /// The rows of each pane.
    fn into_panes(self, time: &TimeLayout) -> Result<Vec<(PaneKey, PaneRows)>> {
        let exact = !time.is_window();
        if self.times.null_count() == 0 {
            let (Some(least), Some(most)) = (min(&self.times), max(&self.times)) else {
                return Ok(Vec::new());
            };
            if time.pane(least) == time.pane(most) {
                return Ok(vec![(Some(time.pane(least)), self.into_rows(exact))]);
            }
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

    fn into_rows(self, exact: bool) -> PaneRows {
        let times = exact.then(|| self.times.values().to_vec());
        PaneRows { keys: self.keys, times, arguments: self.arguments, rows: self.times.len() }
    }
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

impl Operator for AggregateOperator {
    fn output_schema(&self) -> SchemaRef {
        match self.spec.emit {
            Emit::Changes => Arc::clone(&self.change_schema),
            _ => Arc::clone(&self.spec.output_schema),
        }
    }

    fn push(&mut self, context: &BatchContext, input: usize, batch: RecordBatch) -> Result<()> {
        if input != 0 {
            return Err(Error::internal(format!("an aggregate has one input: input={input}")));
        }
        self.begin(context)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let arguments = self.plan.arguments(&batch)?;
        if self.is_global() {
            return self.push_set(0, &[], &arguments, batch.num_rows());
        }
        let sets = evaluate_group_by(&self.spec.group_by, &batch).map_err(from_datafusion)?;
        for (set, groups) in sets.iter().enumerate() {
            self.push_set(set, groups, &arguments, batch.num_rows())?;
        }
        Ok(())
    }

    fn finish(&mut self, context: &BatchContext) -> Result<Vec<RecordBatch>> {
        self.begin(context)?;
        self.start()?;
        for key in &self.touched {
            self.panes.get_mut(key).map_or(Ok(()), Pane::settle)?;
        }
        let output = self.emit()?;
        self.end_batch(context.durable)?;
        self.evict(context.durable);
        Ok(output)
    }

    fn late_rows(&self) -> u64 {
        self.late
    }

    fn wakes_at(&self, watermark: Watermark) -> bool {
        if !self.started && self.spec.has_empty_set() {
            return true;
        }
        // A bound that cannot be computed is reported by the batch that it wakes.
        let bound = match self.bound_at(watermark) {
            Ok(bound) => bound,
            Err(_) => return true,
        };
        bound.is_some_and(|bound| bound > self.evicted_below.unwrap_or(i64::MIN) && self.any_below(bound))
    }
}
