//! The variables and timers of all keys, in memory, with what a batch has changed in them.

use super::{BatchContext, TimeMode, Variable};
use acequia_core::{Error, Result, Timestamp, Watermark};
use arrow::row::OwnedRow;
use hashbrown::HashMap;
use serde::Serialize;
use std::any::Any;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A value of a type that only its variable knows.
pub type Value = Box<dyn Any + Send + Sync>;

/// What tells the elements of a variable apart within a key: `()`, an `i64`, or the key of a map.
pub trait SubKey: Any + Send + Sync {
    /// Its order among keys of the same type.
    fn compare(&self, other: &dyn SubKey) -> Ordering;

    /// A copy.
    fn boxed(&self) -> Box<dyn SubKey>;

    /// The key in its type.
    fn as_any(&self) -> &dyn Any;
}

// References to keys are no keys: they would be copied in their place. `Serialize` leaves `&dyn SubKey` out.
impl<T: Ord + Clone + Serialize + Send + Sync + 'static> SubKey for T {
    fn compare(&self, other: &dyn SubKey) -> Ordering {
        // Those of one variable have one type; the other case only has to be an order.
        match other.as_any().downcast_ref::<T>() {
            Some(other) => self.cmp(other),
            None => self.type_id().cmp(&other.as_any().type_id()),
        }
    }

    fn boxed(&self) -> Box<dyn SubKey> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl PartialEq for dyn SubKey {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other).is_eq()
    }
}

impl Eq for dyn SubKey {}

impl PartialOrd for dyn SubKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn SubKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other)
    }
}

/// A value and the time at which it is gone, in microseconds.
pub(super) struct Cell {
    pub(super) value: Value,
    pub(super) expires_at: Option<i64>,
}

pub(super) type Cells = BTreeMap<Box<dyn SubKey>, Cell>;

/// What is kept of a key.
pub(super) struct Entry {
    /// By variable.
    pub(super) cells: Vec<Cells>,
    timers: BTreeSet<i64>,
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.timers.is_empty() && self.cells.iter().all(BTreeMap::is_empty)
    }
}

/// What was written since the last time it was asked for.
#[derive(Default)]
pub(super) struct Changes {
    /// By variable.
    pub(super) cells: Vec<BTreeSet<(OwnedRow, Box<dyn SubKey>)>>,
    pub(super) timers: BTreeSet<(OwnedRow, i64)>,
}

/// The state of all keys of a shard.
pub struct KeyedState {
    pub(super) keys: HashMap<OwnedRow, Entry>,
    shared: Shared,
    key_bytes: usize,
}

/// What is not of one key.
struct Shared {
    variables: Arc<[Variable]>,
    mode: TimeMode,
    watermark: Watermark,
    batch_time: Timestamp,
    durable: bool,
    /// The timers of all keys.
    timers: BTreeSet<(i64, OwnedRow)>,
    /// What will be gone, by when; exactly what is there.
    expiries: BTreeSet<(i64, OwnedRow, usize, Box<dyn SubKey>)>,
    changes: Changes,
    /// Elements by variable.
    counts: Vec<usize>,
}

impl Shared {
    /// Timers before this are due.
    fn due_before(&self) -> Option<i64> {
        match self.mode {
            TimeMode::None => None,
            TimeMode::ProcessingTime => Some(self.batch_time.0),
            TimeMode::EventTime => self.watermark.micros(),
        }
    }

    fn changed(&mut self, key: &OwnedRow, variable: usize, sub_key: &dyn SubKey) {
        if self.durable {
            self.changes.cells[variable].insert((key.clone(), sub_key.boxed()));
        }
    }
}

impl KeyedState {
    pub(super) fn new(variables: Arc<[Variable]>, mode: TimeMode) -> Self {
        let shared = Shared {
            mode,
            watermark: Watermark::UNKNOWN,
            batch_time: Timestamp(i64::MIN),
            durable: false,
            timers: BTreeSet::new(),
            expiries: BTreeSet::new(),
            changes: Changes::default(),
            counts: vec![0; variables.len()],
            variables,
        };
        let mut state = Self { keys: HashMap::new(), shared, key_bytes: 0 };
        state.take_changes();
        state
    }

    /// Begins a batch: what has expired is gone.
    pub(super) fn begin(&mut self, context: &BatchContext) {
        self.shared.watermark = context.watermark;
        self.shared.batch_time = context.batch_time;
        self.shared.durable = context.durable;
        while let Some((_, key, variable, sub_key)) = self.first_expired() {
            self.with_key(&key, |scope| drop(scope.remove(variable, &*sub_key)));
        }
    }

    fn first_expired(&self) -> Option<(i64, OwnedRow, usize, Box<dyn SubKey>)> {
        let (at, key, variable, sub_key) = self.shared.expiries.first()?;
        (*at <= self.shared.batch_time.0).then(|| (*at, key.clone(), *variable, sub_key.boxed()))
    }

    /// Does something with a key.
    pub fn with_key<R>(&mut self, key: &OwnedRow, f: impl FnOnce(&mut KeyContext<'_>) -> R) -> R {
        let variables = self.shared.variables.len();
        let key_bytes = key.row().data().len();
        let entry = self.keys.entry(key.clone()).or_insert_with(|| {
            self.key_bytes += key_bytes;
            Entry { cells: (0..variables).map(|_| Cells::new()).collect(), timers: BTreeSet::new() }
        });
        let result = f(&mut KeyContext { key, entry, shared: &mut self.shared, firing: None });
        if entry.is_empty() {
            self.keys.remove(key);
            self.key_bytes -= key_bytes;
        }
        result
    }

    /// The keys with timers that are due, by their first one.
    pub(super) fn due_keys(&self) -> Vec<OwnedRow> {
        let Some(bound) = self.shared.due_before() else { return Vec::new() };
        let mut seen = BTreeSet::new();
        let due = self.shared.timers.iter().take_while(|(at, _)| *at < bound);
        due.map(|(_, key)| key).filter(|key| seen.insert(*key)).cloned().collect()
    }

    pub(super) fn wakes_at(&self, watermark: Watermark) -> bool {
        let first = self.shared.timers.first().map(|(at, _)| *at);
        self.shared.mode == TimeMode::EventTime
            && first.zip(watermark.micros()).is_some_and(|(at, watermark)| at < watermark)
    }

    /// The first batch time at which something is to be done.
    pub(super) fn due_at(&self) -> Option<Timestamp> {
        let timer = self.shared.timers.first().filter(|_| self.shared.mode == TimeMode::ProcessingTime);
        let timer = timer.map(|(at, _)| at.saturating_add(1));
        let expiry = self.shared.expiries.first().map(|(at, _, _, _)| *at);
        timer.into_iter().chain(expiry).min().map(Timestamp)
    }

    pub(super) fn take_changes(&mut self) -> Changes {
        let cells = self.shared.variables.iter().map(|_| BTreeSet::new()).collect();
        std::mem::replace(&mut self.shared.changes, Changes { cells, timers: BTreeSet::new() })
    }

    pub(super) fn cell(&self, key: &OwnedRow, variable: usize, sub_key: &dyn SubKey) -> Option<&Cell> {
        self.keys.get(key)?.cells.get(variable)?.get(sub_key)
    }

    pub(super) fn has_timer(&self, key: &OwnedRow, at: i64) -> bool {
        self.keys.get(key).is_some_and(|entry| entry.timers.contains(&at))
    }

    pub(super) fn timers(&self) -> impl Iterator<Item = (&OwnedRow, i64)> {
        self.shared.timers.iter().map(|(at, key)| (key, *at))
    }

    /// Puts back what was saved.
    pub(super) fn put_back(&mut self, key: &OwnedRow, variable: usize, sub_key: Box<dyn SubKey>, cell: Cell) {
        self.with_key(key, |scope| scope.put_cell(variable, sub_key, cell));
    }

    pub(super) fn put_back_timer(&mut self, key: &OwnedRow, at: i64) {
        self.with_key(key, |scope| scope.insert_timer(at));
    }

    pub(super) fn rows(&self) -> usize {
        self.shared.counts.iter().sum::<usize>() + self.shared.timers.len()
    }

    pub(super) fn bytes(&self) -> usize {
        const OF_KEY: usize = 100;
        const OF_ELEMENT: usize = 60;
        let elements = self.shared.variables.iter().zip(&self.shared.counts);
        let elements: usize = elements.map(|(variable, n)| n * (variable.value_bytes + OF_ELEMENT)).sum();
        let timers = self.shared.timers.len() * OF_ELEMENT;
        self.key_bytes + self.keys.len() * OF_KEY + elements + timers
    }
}

/// What a processor can do with the key whose rows or timer it handles.
pub struct KeyContext<'a> {
    key: &'a OwnedRow,
    entry: &'a mut Entry,
    shared: &'a mut Shared,
    /// The timer that is handled.
    firing: Option<i64>,
}

impl std::fmt::Debug for KeyContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyContext").field("watermark", &self.shared.watermark).finish_non_exhaustive()
    }
}

impl KeyContext<'_> {
    /// The watermark of the batch; `None` until the first event time is known.
    pub fn watermark(&self) -> Option<Timestamp> {
        self.shared.watermark.0
    }

    /// The time of the batch: what `now()` gives in SQL.
    pub fn batch_time(&self) -> Timestamp {
        self.shared.batch_time
    }

    /// Registers a timer of this key. It is due in the first batch whose watermark, or whose time, is after it. Once
    /// registered it does not count again.
    ///
    /// # Errors
    /// `Invalid` without timers ([`TimeMode::None`]), and in a timer for one that is not later.
    pub fn register_timer(&mut self, at: Timestamp) -> Result<()> {
        if self.shared.mode == TimeMode::None {
            return Err(Error::invalid(
                "there are no timers: time mode=none; use TimeMode::EventTime or ProcessingTime",
            ));
        }
        if let Some(firing) = self.firing.filter(|firing| at.0 <= *firing) {
            return Err(Error::invalid(format!(
                "a timer registers one that is not later than itself: at={at} own={}",
                Timestamp(firing)
            )));
        }
        self.insert_timer(at.0);
        self.timer_changed(at.0);
        Ok(())
    }

    /// Takes a timer of this key back; whether there was one.
    pub fn delete_timer(&mut self, at: Timestamp) -> bool {
        let there = self.entry.timers.remove(&at.0);
        if there {
            self.shared.timers.remove(&(at.0, self.key.clone()));
            self.timer_changed(at.0);
        }
        there
    }

    /// The timers of this key in ascending order, without the one that is handled.
    pub fn timers(&self) -> impl Iterator<Item = Timestamp> {
        self.entry.timers.iter().copied().map(Timestamp)
    }

    fn insert_timer(&mut self, at: i64) {
        if self.entry.timers.insert(at) {
            self.shared.timers.insert((at, self.key.clone()));
        }
    }

    fn timer_changed(&mut self, at: i64) {
        if self.shared.durable {
            self.shared.changes.timers.insert((self.key.clone(), at));
        }
    }

    /// Takes the first timer that is due.
    pub(crate) fn next_due(&mut self) -> Option<Timestamp> {
        let bound = self.shared.due_before()?;
        let at = self.entry.timers.first().copied().filter(|at| *at < bound).map(Timestamp)?;
        self.delete_timer(at);
        self.firing = Some(at.0);
        Some(at)
    }

    /// An element of a variable.
    pub(crate) fn get(&self, variable: usize, sub_key: &dyn SubKey) -> Option<&Value> {
        self.entry.cells.get(variable)?.get(sub_key).map(|cell| &cell.value)
    }

    /// The elements of a variable in the order of their sub keys.
    pub(crate) fn elements(&self, variable: usize) -> impl DoubleEndedIterator<Item = (&dyn SubKey, &Value)> {
        let cells = self.entry.cells.get(variable).into_iter().flatten();
        cells.map(|(sub_key, cell)| (&**sub_key, &cell.value))
    }

    /// Writes an element of a variable.
    pub(crate) fn put(&mut self, variable: usize, sub_key: Box<dyn SubKey>, value: Value) {
        let ttl = self.shared.variables.get(variable).and_then(|v| v.ttl_micros);
        let expires_at = ttl.map(|ttl| self.shared.batch_time.0.saturating_add(ttl));
        self.shared.changed(self.key, variable, &*sub_key);
        self.put_cell(variable, sub_key, Cell { value, expires_at });
    }

    fn put_cell(&mut self, variable: usize, sub_key: Box<dyn SubKey>, cell: Cell) {
        if let Some(at) = cell.expires_at {
            self.shared.expiries.insert((at, self.key.clone(), variable, sub_key.boxed()));
        }
        let expires_at = cell.expires_at;
        let copy = sub_key.boxed();
        match self.entry.cells[variable].insert(sub_key, cell) {
            Some(before) if before.expires_at != expires_at => {
                self.forget_expiry(variable, copy, before.expires_at)
            }
            Some(_) => {}
            None => self.shared.counts[variable] += 1,
        }
    }

    fn forget_expiry(&mut self, variable: usize, sub_key: Box<dyn SubKey>, expires_at: Option<i64>) {
        if let Some(at) = expires_at {
            self.shared.expiries.remove(&(at, self.key.clone(), variable, sub_key));
        }
    }

    /// Removes an element of a variable.
    pub(crate) fn remove(&mut self, variable: usize, sub_key: &dyn SubKey) -> Option<Value> {
        let cell = self.entry.cells.get_mut(variable)?.remove(sub_key)?;
        self.shared.counts[variable] -= 1;
        self.forget_expiry(variable, sub_key.boxed(), cell.expires_at);
        self.shared.changed(self.key, variable, sub_key);
        Some(cell.value)
    }

    /// Removes all elements of a variable, in the order of their sub keys.
    pub(crate) fn take_all(&mut self, variable: usize) -> Vec<Value> {
        let cells = self.entry.cells.get_mut(variable).map(std::mem::take).unwrap_or_default();
        let taken = cells.into_iter().map(|(sub_key, cell)| {
            self.shared.counts[variable] -= 1;
            self.shared.changed(self.key, variable, &*sub_key);
            self.forget_expiry(variable, sub_key, cell.expires_at);
            cell.value
        });
        taken.collect()
    }
}
