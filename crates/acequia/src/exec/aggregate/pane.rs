//! The groups of one window, of one stretch of a plain time column, or of all time.

use super::intake::Intake;
use crate::exec::group_states::{Arguments, GroupStates, WeightedValues};
use crate::exec::key_table::KeyTable;
use acequia_core::{Error, Result};
use arrow::array::{ArrayRef, Int64Array};
use arrow::buffer::BooleanBuffer;
use std::sync::Arc;

const TOUCHED: u8 = 1;
const DIRTY: u8 = 2;
/// Has no rows, so that it is no group: it has left, or is only about to come.
const DEAD: u8 = 4;
/// Had rows before the current batch.
const OLD: u8 = 8;
/// Is in the saved state.
const SAVED: u8 = 16;

/// Places of groups that have left are tolerated in such number, whatever the others are.
const DEAD_GROUPS: usize = if cfg!(test) { 4 } else { 1024 };

/// What is known about a pane's rows of one push.
pub(super) struct PaneRows {
    /// Columns of keys, and how many keys they have.
    pub(super) keys: Vec<ArrayRef>,
    pub(super) count: usize,
    /// The exact time of each key, where the pane is wider than one time.
    pub(super) times: Option<Vec<i64>>,
    /// The number of each row's key. None when each row has its own, in their order.
    pub(super) numbers: Option<Vec<u32>>,
    pub(super) arguments: Arguments,
}

/// See the [module](self).
pub(super) struct Pane {
    pub(super) keys: KeyTable,
    pub(super) states: GroupStates,
    /// The exact time of each group, where the pane is wider than one time.
    pub(super) times: Vec<i64>,
    /// Groups that the watermark has passed in a pane that it has not passed as a whole. They cannot be reached.
    pub(super) expired: usize,
    /// Places of groups without rows, where rows have weights.
    dead: usize,
    /// Groups that the current batch has touched, in the order of first touch.
    pub(super) touched: Vec<u32>,
    /// Groups that have changed since the last delta was taken.
    pub(super) dirty: Vec<u32>,
    marks: Vec<u8>,
    /// How many groups there were before the current batch.
    pub(super) born: usize,
    /// Rows and bytes of this pane that the operator has counted.
    pub(super) counted: (usize, usize),
}

impl Pane {
    pub(super) fn try_new(intake: &Intake) -> Result<Self> {
        Ok(Self {
            keys: intake.keys.table(),
            states: GroupStates::try_new(&intake.plan)?,
            times: Vec::new(),
            expired: 0,
            dead: 0,
            touched: Vec::new(),
            dirty: Vec::new(),
            marks: Vec::new(),
            born: 0,
            counted: (0, 0),
        })
    }

    /// The same without places of groups that have left, if they are most.
    pub(super) fn compacted(&self, intake: &Intake) -> Result<Option<Self>> {
        let busy = !self.touched.is_empty() || !self.dirty.is_empty();
        if busy || self.dead <= (self.keys.len() - self.dead) + DEAD_GROUPS {
            return Ok(None);
        }
        let ids: Vec<u32> = self.living().collect();
        let mut places = vec![u32::MAX; self.keys.len()];
        ids.iter().zip(0..).for_each(|(id, place)| places[*id as usize] = place);
        let times = (!self.times.is_empty()).then(|| ids.iter().map(|id| self.times[*id as usize]).collect());
        let arguments = Arguments { values: Vec::new(), filters: Vec::new() };
        let rows =
            PaneRows { keys: self.keys.gather(&ids)?, count: ids.len(), times, numbers: None, arguments };
        let mut pane = Self::try_new(intake)?;
        pane.restore(&rows, &self.states.states(&ids)?)?;
        for number in 0..intake.plan.values().count() {
            let Some(mut all) = self.states.values(number)? else { continue };
            all.ids.iter_mut().for_each(|id| *id = places[*id as usize]);
            pane.states.put_back(number, &all)?;
        }
        (pane.expired, pane.counted) = (self.expired, self.counted);
        Ok(Some(pane))
    }

    /// Adds rows. With `remember`, outputs as they were before the batch are kept for the groups it touches.
    pub(super) fn update(&mut self, rows: &PaneRows, remember: bool) -> Result<()> {
        let ids = self.intern(rows)?;
        let first = self.touched.len();
        for id in &ids {
            let mark = &mut self.marks[*id as usize];
            if *mark & TOUCHED == 0 {
                *mark |= if *mark & DEAD == 0 { TOUCHED | OLD } else { TOUCHED };
                self.touched.push(*id);
            }
        }
        if remember && first < self.touched.len() {
            self.states.remember(&self.touched[first..])?;
        }
        let of_rows =
            rows.numbers.as_ref().map(|numbers| numbers.iter().map(|key| ids[*key as usize]).collect());
        self.states.update(&rows.arguments, &of_rows.unwrap_or(ids))
    }

    /// The ids of the keys.
    fn intern(&mut self, rows: &PaneRows) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        self.keys.intern(&rows.keys, rows.count, &mut ids)?;
        let groups = self.keys.len();
        if let Some(times) = &rows.times {
            Self::add_times(&mut self.times, &ids, times);
        }
        self.mark_new();
        self.states.grow(groups);
        Ok(ids)
    }

    fn mark_new(&mut self) {
        let weighted = self.states.is_weighted();
        let new = self.keys.len() - self.marks.len();
        self.marks.resize(self.keys.len(), if weighted { DEAD } else { 0 });
        self.dead += if weighted { new } else { 0 };
    }

    /// Adds the times of new ids, which come in order, each with its time where it is seen first.
    pub(super) fn add_times(known: &mut Vec<i64>, ids: &[u32], times: &[i64]) {
        for (id, time) in ids.iter().zip(times) {
            if *id as usize == known.len() {
                known.push(*time);
            }
        }
    }

    /// Makes the group of these keys, which is there also without rows.
    pub(super) fn make_group(&mut self, keys: &[ArrayRef], remember: bool) -> Result<()> {
        let before = self.keys.len();
        let mut ids = Vec::new();
        self.keys.intern(keys, 1, &mut ids)?;
        if self.keys.len() > before {
            self.mark_new();
            self.states.grow(self.keys.len());
            self.marks[before] |= TOUCHED;
            if remember {
                self.states.remember(&ids)?;
            }
            self.touched.extend(&ids);
        }
        if self.states.is_weighted() { self.states.keep(&ids) } else { Ok(()) }
    }

    /// Puts saved rows back.
    pub(super) fn restore(&mut self, rows: &PaneRows, states: &[ArrayRef]) -> Result<()> {
        let ids = self.intern(rows)?;
        self.born = self.keys.len();
        self.states.restore(&ids, states)?;
        ids.iter().for_each(|id| self.marks[*id as usize] |= SAVED);
        self.settle_groups(&ids)
    }

    /// Puts saved values of the n-th table of them back.
    pub(super) fn restore_values(
        &mut self,
        number: usize,
        rows: &PaneRows,
        values: &ArrayRef,
        weights: Int64Array,
    ) -> Result<()> {
        let ids = self.intern(rows)?;
        self.born = self.keys.len();
        let saved = WeightedValues { ids, values: Arc::clone(values), weights };
        self.states.put_back(number, &saved)
    }

    /// Sees which of the groups that the batch has touched have rows.
    pub(super) fn settle(&mut self) -> Result<()> {
        let touched = std::mem::take(&mut self.touched);
        let settled = self.settle_groups(&touched);
        self.touched = touched;
        settled
    }

    fn settle_groups(&mut self, ids: &[u32]) -> Result<()> {
        if !self.states.is_weighted() {
            return Ok(());
        }
        for (id, rows) in ids.iter().zip(self.states.rows(ids)?.values()) {
            let mark = &mut self.marks[*id as usize];
            match (*rows, *mark & DEAD != 0) {
                (..0, _) => return Err(never_given()),
                (0, false) => {
                    *mark |= DEAD;
                    self.dead += 1;
                }
                (1.., true) => {
                    *mark &= !DEAD;
                    self.dead -= 1;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Which of these groups, which the batch has touched, were there before it, and which are now.
    pub(super) fn there(&self, ids: &[u32]) -> (BooleanBuffer, BooleanBuffer) {
        let rows = ids.len();
        if !self.states.is_weighted() {
            let is_old = |i: usize| (ids[i] as usize) < self.born;
            return (BooleanBuffer::collect_bool(rows, is_old), BooleanBuffer::new_set(rows));
        }
        let mark = |i: usize| self.marks[ids[i] as usize];
        let old = BooleanBuffer::collect_bool(rows, |i| mark(i) & OLD != 0);
        (old, BooleanBuffer::collect_bool(rows, |i| mark(i) & DEAD == 0))
    }

    /// Groups that have rows.
    pub(super) fn living(&self) -> impl Iterator<Item = u32> {
        (0..self.keys.len() as u32).filter(|id| self.marks[*id as usize] & DEAD == 0)
    }

    /// Ends the batch; `durable` groups will be in the next delta.
    pub(super) fn end_batch(&mut self, durable: bool) -> Result<()> {
        for id in std::mem::take(&mut self.touched) {
            let mark = &mut self.marks[id as usize];
            if durable && *mark & DIRTY == 0 {
                self.dirty.push(id);
            }
            *mark = (*mark & !(TOUCHED | OLD)) | if durable { DIRTY } else { 0 };
        }
        self.born = self.keys.len();
        self.states.end_batch(durable)
    }

    /// The groups that have changed since this was called last, and those of the saved state that have left.
    pub(super) fn take_dirty(&mut self) -> (Vec<u32>, Vec<u32>) {
        let mut dirty = std::mem::take(&mut self.dirty);
        let mut left = Vec::new();
        dirty.retain(|id| {
            let mark = &mut self.marks[*id as usize];
            let dead = *mark & DEAD != 0;
            if dead && *mark & SAVED != 0 {
                left.push(*id);
            }
            *mark = if dead { *mark & !(DIRTY | SAVED) } else { (*mark & !DIRTY) | SAVED };
            !dead
        });
        (dirty, left)
    }

    /// Groups with a time in `from..to`, in a pane wider than one time.
    pub(super) fn between(&self, from: i64, to: i64) -> Vec<u32> {
        let inside =
            |(id, time): &(usize, &i64)| from <= **time && **time < to && self.marks[*id] & DEAD == 0;
        self.times.iter().enumerate().filter(inside).map(|(id, _)| id as u32).collect()
    }

    /// Groups that can still be reached.
    pub(super) fn live(&self) -> usize {
        self.keys.len() - self.expired - self.dead
    }

    pub(super) fn bytes(&self) -> usize {
        let lists = (self.touched.capacity() + self.dirty.capacity()) * 4;
        let per_group = self.marks.capacity() + self.times.capacity() * 8;
        size_of::<Self>() + self.keys.bytes() + self.states.bytes() + lists + per_group
    }
}

fn never_given() -> Error {
    Error::data("a row is taken back that was never given; a change stream must delete only what it inserted")
}
