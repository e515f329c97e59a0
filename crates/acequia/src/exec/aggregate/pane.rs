//! The groups of one window, of one stretch of a plain time column, or of all time.

use crate::exec::group_states::{Arguments, GroupStates, StatePlan};
use crate::exec::key_table::{KeyLayout, KeyTable};
use acequia_core::Result;
use arrow::array::ArrayRef;
use std::sync::Arc;

const TOUCHED: u8 = 1;
const DIRTY: u8 = 2;

/// What is known about a group's rows of one push.
pub(super) struct PaneRows {
    /// Key columns.
    pub(super) keys: Vec<ArrayRef>,
    /// The exact time of each row, where the pane is wider than one time.
    pub(super) times: Option<Vec<i64>>,
    pub(super) arguments: Arguments,
    pub(super) rows: usize,
}

/// See the [module](self).
pub(super) struct Pane {
    pub(super) keys: KeyTable,
    pub(super) states: GroupStates,
    /// The exact time of each group, where the pane is wider than one time.
    pub(super) times: Vec<i64>,
    /// Groups that the watermark has passed in a pane that it has not passed as a whole. They cannot be reached.
    pub(super) expired: usize,
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
    pub(super) fn new(layout: &KeyLayout, plan: &Arc<StatePlan>) -> Self {
        Self {
            keys: layout.table(),
            states: GroupStates::new(plan),
            times: Vec::new(),
            expired: 0,
            touched: Vec::new(),
            dirty: Vec::new(),
            marks: Vec::new(),
            born: 0,
            counted: (0, 0),
        }
    }

    /// Adds rows. With `remember`, outputs as they were before the batch are kept for the groups it touches.
    pub(super) fn update(&mut self, rows: &PaneRows, remember: bool) -> Result<()> {
        let ids = self.intern(rows)?;
        let first = self.touched.len();
        for id in &ids {
            let mark = &mut self.marks[*id as usize];
            if *mark & TOUCHED == 0 {
                *mark |= TOUCHED;
                self.touched.push(*id);
            }
        }
        if remember && first < self.touched.len() {
            self.states.remember(&self.touched[first..]);
        }
        self.states.update(&rows.arguments, &ids)
    }

    fn intern(&mut self, rows: &PaneRows) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        self.keys.intern(&rows.keys, rows.rows, &mut ids)?;
        let groups = self.keys.len();
        if let Some(times) = &rows.times {
            for (id, time) in ids.iter().zip(times) {
                // New ids come in order, each at its first row.
                if *id as usize == self.times.len() {
                    self.times.push(*time);
                }
            }
        }
        self.marks.resize(groups, 0);
        self.states.grow(groups);
        Ok(ids)
    }

    /// Makes the group of these keys, which is there also without rows.
    pub(super) fn make_group(&mut self, keys: &[ArrayRef], remember: bool) -> Result<()> {
        let before = self.keys.len();
        let mut ids = Vec::new();
        self.keys.intern(keys, 1, &mut ids)?;
        if self.keys.len() == before {
            return Ok(());
        }
        self.marks.resize(self.keys.len(), TOUCHED);
        self.states.grow(self.keys.len());
        if remember {
            self.states.remember(&ids);
        }
        self.touched.extend(ids);
        Ok(())
    }

    /// Puts saved rows back.
    pub(super) fn restore(&mut self, rows: &PaneRows, states: &[ArrayRef]) -> Result<()> {
        let ids = self.intern(rows)?;
        self.born = self.keys.len();
        self.states.restore(&ids, states)
    }

    /// Ends the batch; `durable` groups will be in the next delta.
    pub(super) fn end_batch(&mut self, durable: bool) -> Result<()> {
        for id in std::mem::take(&mut self.touched) {
            let mark = &mut self.marks[id as usize];
            if durable && *mark & DIRTY == 0 {
                self.dirty.push(id);
            }
            *mark = if durable { DIRTY } else { *mark & DIRTY };
        }
        self.born = self.keys.len();
        self.states.end_batch()
    }

    /// The groups that have changed since this was called last.
    pub(super) fn take_dirty(&mut self) -> Vec<u32> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.iter().for_each(|id| self.marks[*id as usize] &= !DIRTY);
        dirty
    }

    /// Groups with a time in `from..to`, in a pane wider than one time.
    pub(super) fn between(&self, from: i64, to: i64) -> Vec<u32> {
        let inside = |(_, time): &(usize, &i64)| from <= **time && **time < to;
        self.times.iter().enumerate().filter(inside).map(|(id, _)| id as u32).collect()
    }

    /// Groups that can still be reached.
    pub(super) fn live(&self) -> usize {
        self.keys.len() - self.expired
    }

    pub(super) fn bytes(&self) -> usize {
        let lists = (self.touched.capacity() + self.dirty.capacity()) * 4;
        let per_group = self.marks.capacity() + self.times.capacity() * 8;
        size_of::<Self>() + self.keys.bytes() + self.states.bytes() + lists + per_group
    }
}
