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
//! show in it. Values that min, max and DISTINCT keep of rows with weights, and DISTINCT of others, are in tables
//! `values0` and so on: the key, the value, its weight or which aggregates have used it.

#[cfg(test)]
mod changes_tests;
mod emit;
mod intake;
mod pane;
mod spec;
mod state;
#[cfg(test)]
mod tests;
mod time;

pub use intake::KeyedRows;
pub use spec::{AggregateSpec, Emit, raw_input};
pub use time::{TimeBound, TimeKey};

use super::{BatchContext, Operator, Prepare, Prepared};
use acequia_core::state::TableDef;
use acequia_core::{Error, Result, Watermark};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
pub(super) use emit::{GATHER_ROWS, coalesce, differ};
use intake::Intake;
use pane::{Pane, PaneRows};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
pub(super) use time::{from_int64, on_time, times_in, to_int64};

/// The pane of a time; `None` for groups without one, which stay for ever.
type PaneKey = Option<i64>;

/// See the [module](self).
pub struct AggregateOperator {
    spec: AggregateSpec,
    intake: Arc<Intake>,
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

    /// The operator, keeping by DataFusion's accumulators what saves the same state by them when `native` is false. It is
    /// slower, and there to compare with.
    ///
    /// # Errors
    /// As [`AggregateOperator::try_new`].
    pub fn with_native(spec: AggregateSpec, native: bool) -> Result<Self> {
        let intake = Arc::new(Intake::try_new(&spec, native)?);
        let table = state::table(&spec, &intake.plan, intake.time.as_ref());
        let value_tables = state::value_tables(&table, &intake.plan);
        Ok(Self {
            change_schema: super::with_weight(&spec.output_schema),
            spec,
            intake,
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
        match &self.intake.time {
            Some(time) if self.spec.emit != Emit::Snapshot => time.key.bound.at(watermark),
            _ => Ok(None),
        }
    }

    fn push_keyed(&mut self, context: &BatchContext, rows: RecordBatch, keyed: KeyedRows) -> Result<()> {
        self.begin(context)?;
        if self.late_below.is_some_and(|bound| keyed.least.is_some_and(|least| least < bound)) {
            // Some rows are late, and what was prepared does not tell which.
            return self.push(context, 0, rows);
        }
        keyed.panes.iter().try_for_each(|(pane, rows)| self.update(*pane, rows))
    }

    fn update(&mut self, key: PaneKey, rows: &PaneRows) -> Result<()> {
        let remember = self.remembers();
        let compacted = self.panes.get(&key).map(|pane| pane.compacted(&self.intake)).transpose()?;
        if let Some(pane) = compacted.flatten() {
            self.panes.insert(key, pane);
        }
        let pane = self.pane(key)?;
        let untouched = pane.touched.is_empty();
        pane.update(rows, remember)?;
        if untouched {
            self.touched.push(key);
        }
        Ok(())
    }

    fn pane(&mut self, key: PaneKey) -> Result<&mut Pane> {
        Ok(match self.panes.entry(key) {
            Entry::Vacant(new) => new.insert(Pane::try_new(&self.intake)?),
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
            let keys: Vec<ArrayRef> = self.intake.key_columns.iter().map(|c| Arc::clone(&keys[*c])).collect();
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
            Emit::Upserts => !self.spec.aggregates.is_empty() && !self.intake.plan.changes_with_every_row(),
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
        let (Some(bound), Some(time)) = (self.bound, &self.intake.time) else { return };
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
        let time = self.intake.time.as_ref();
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
        let split = self.intake.split(&batch, self.late_below)?;
        self.late += split.late;
        split.panes.into_iter().try_for_each(|(pane, rows)| self.update(pane, &rows))
    }

    fn preparation(&self) -> Option<Arc<dyn Prepare>> {
        Some(Arc::clone(&self.intake) as Arc<dyn Prepare>)
    }

    fn push_prepared(&mut self, context: &BatchContext, rows: Vec<Prepared>) -> Result<()> {
        for rows in rows {
            match rows {
                Prepared::Keyed(rows, keyed) => self.push_keyed(context, rows, keyed)?,
                rows => self.push(context, 0, rows.into_rows())?,
            }
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
