//! The sessions of all keys: which are open, which have closed and are remembered.
//!
//! The open sessions of a key are disjoint and do not touch. Keys have dense ids from a [`KeyTable`]; since that cannot
//! forget, it is made anew when most of its keys have no session any more.

use crate::exec::key_table::{KeyLayout, KeyTable};
use acequia_core::Result;
use arrow::array::ArrayRef;
use std::collections::BTreeSet;

/// Keys without a session that are tolerated whatever the others are.
const DEAD_KEYS: usize = 1024;

/// An interval `[start, end)` of event time. Two belong to one session when they overlap or touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Interval {
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Interval {
    pub(super) fn touches(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    fn hull(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A session that may still grow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    pub(super) interval: Interval,
    /// Where its aggregates are.
    pub(super) slot: u32,
    /// Whether a saved row has its key and start.
    pub(super) saved: bool,
}

#[derive(Default)]
struct KeySessions {
    /// By start.
    open: Vec<Session>,
    closed: Vec<Interval>,
}

impl KeySessions {
    fn is_empty(&self) -> bool {
        self.open.is_empty() && self.closed.is_empty()
    }
}

/// Rows of one key in one push that belong together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) key: u32,
    pub(super) interval: Interval,
}

/// What becomes one session: runs, and open sessions that they touch.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) key: u32,
    pub(super) interval: Interval,
    /// Open sessions that are part of it, by start.
    pub(super) prior: Vec<Session>,
    /// How many consecutive runs are part of it.
    pub(super) runs: usize,
}

/// See the [module](self).
pub(super) struct Sessions {
    layout: KeyLayout,
    pub(super) keys: KeyTable,
    of_key: Vec<KeySessions>,
    /// (end, key, start) of all open, and of all remembered intervals.
    open: BTreeSet<(i64, u32, i64)>,
    closed: BTreeSet<(i64, u32, i64)>,
    /// Keys without any.
    dead: usize,
}

impl Sessions {
    pub(super) fn new(layout: KeyLayout) -> Self {
        let keys = layout.table();
        Self { layout, keys, of_key: Vec::new(), open: BTreeSet::new(), closed: BTreeSet::new(), dead: 0 }
    }

    /// The key ids of rows.
    pub(super) fn intern(&mut self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        self.keys.intern(columns, rows, &mut ids)?;
        self.dead += self.keys.len() - self.of_key.len();
        self.of_key.resize_with(self.keys.len(), KeySessions::default);
        Ok(ids)
    }

    /// Whether an interval touches one of the key that has closed.
    pub(super) fn touches_closed(&self, key: u32, interval: Interval) -> bool {
        self.of_key[key as usize].closed.iter().any(|closed| closed.touches(interval))
    }

    /// What the runs of one key, by start, make together with its open sessions.
    pub(super) fn merge(&self, runs: &[Run], out: &mut Vec<Merged>) {
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return };
        let open = &self.of_key[first.key as usize].open;
        let from = open.partition_point(|session| session.interval.end < first.interval.start);
        let mut open = open[from..].iter().take_while(|s| s.interval.start <= last.interval.end).peekable();
        let mut runs = runs.iter().peekable();
        let mut current: Option<Merged> = None;
        while let Some(run) = runs.peek() {
            let session = open.next_if(|session| session.interval.start <= run.interval.start);
            let interval = session.map_or(run.interval, |session| session.interval);
            let part = Merged {
                key: first.key,
                interval,
                prior: session.into_iter().copied().collect(),
                runs: usize::from(session.is_none()),
            };
            if session.is_none() {
                runs.next();
            }
            add(&mut current, part, out);
        }
        for session in open {
            let part = Merged { key: first.key, interval: session.interval, prior: vec![*session], runs: 0 };
            add(&mut current, part, out);
        }
        out.extend(current.filter(|merged| merged.runs > 0));
    }

    pub(super) fn add(&mut self, key: u32, session: Session) {
        let sessions = &mut self.of_key[key as usize];
        self.dead -= usize::from(sessions.is_empty());
        let at = sessions.open.partition_point(|other| other.interval.start < session.interval.start);
        sessions.open.insert(at, session);
        self.open.insert((session.interval.end, key, session.interval.start));
    }

    pub(super) fn remove(&mut self, key: u32, interval: Interval) -> Option<Session> {
        self.open.remove(&(interval.end, key, interval.start));
        let sessions = &mut self.of_key[key as usize];
        let at = sessions.open.binary_search_by_key(&interval.start, |s| s.interval.start).ok()?;
        let session = sessions.open.remove(at);
        self.dead += usize::from(sessions.is_empty());
        Some(session)
    }

    pub(super) fn get(&self, key: u32, start: i64) -> Option<Session> {
        let open = &self.of_key[key as usize].open;
        open.binary_search_by_key(&start, |s| s.interval.start).ok().map(|at| open[at])
    }

    pub(super) fn get_mut(&mut self, key: u32, start: i64) -> Option<&mut Session> {
        let open = &mut self.of_key[key as usize].open;
        let at = open.binary_search_by_key(&start, |s| s.interval.start).ok()?;
        open.get_mut(at)
    }

    /// All open sessions with their keys, by end.
    pub(super) fn all_open(&self) -> impl Iterator<Item = (u32, Session)> {
        self.open.iter().filter_map(|(_, key, start)| Some((*key, self.get(*key, *start)?)))
    }

    /// The open sessions that end below the bound.
    pub(super) fn ended(&self, bound: i64) -> Vec<(u32, Session)> {
        self.all_open().take_while(|(_, session)| session.interval.end < bound).collect()
    }

    /// Remembers an interval that has closed.
    pub(super) fn remember(&mut self, key: u32, interval: Interval) {
        let sessions = &mut self.of_key[key as usize];
        self.dead -= usize::from(sessions.is_empty());
        sessions.closed.push(interval);
        self.closed.insert((interval.end, key, interval.start));
    }

    pub(super) fn all_closed(&self) -> impl Iterator<Item = (u32, Interval)> {
        self.closed.iter().map(|(end, key, start)| (*key, Interval { start: *start, end: *end }))
    }

    /// Forgets closed intervals that end below the bound; the greatest end among them.
    pub(super) fn forget(&mut self, bound: i64) -> Option<i64> {
        let mut greatest = None;
        while let Some((end, key, start)) = self.closed.first().copied().filter(|(end, _, _)| *end < bound) {
            self.closed.pop_first();
            let sessions = &mut self.of_key[key as usize];
            sessions.closed.retain(|closed| *closed != Interval { start, end });
            self.dead += usize::from(sessions.is_empty());
            greatest = Some(end);
        }
        greatest
    }

    /// The least end of an open session, and of a remembered one.
    pub(super) fn first_ends(&self) -> (Option<i64>, Option<i64>) {
        let end = |set: &BTreeSet<(i64, u32, i64)>| set.first().map(|(end, _, _)| *end);
        (end(&self.open), end(&self.closed))
    }

    /// Makes the key table anew if most of its keys are dead. Key ids change.
    pub(super) fn sweep(&mut self) -> Result<()> {
        let live = self.of_key.len() - self.dead;
        if self.dead <= live + DEAD_KEYS {
            return Ok(());
        }
        let ids: Vec<u32> =
            (0..self.of_key.len() as u32).filter(|id| !self.of_key[*id as usize].is_empty()).collect();
        let mut keys = self.layout.table();
        keys.intern(&self.keys.gather(&ids)?, ids.len(), &mut Vec::new())?;
        self.keys = keys;
        self.of_key = ids.iter().map(|id| std::mem::take(&mut self.of_key[*id as usize])).collect();
        self.dead = 0;
        self.index();
        Ok(())
    }

    fn index(&mut self) {
        let keys = || self.of_key.iter().enumerate().map(|(key, sessions)| (key as u32, sessions));
        let entry = |key: u32, interval: &Interval| (interval.end, key, interval.start);
        let open =
            keys().flat_map(|(key, s)| s.open.iter().map(move |session| entry(key, &session.interval)));
        let closed = keys().flat_map(|(key, s)| s.closed.iter().map(move |interval| entry(key, interval)));
        (self.open, self.closed) = (open.collect(), closed.collect());
    }

    /// How many are open, and how many closed ones are remembered.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.open.len(), self.closed.len())
    }

    pub(super) fn bytes(&self) -> usize {
        let per_interval = size_of::<Session>() + 2 * size_of::<(i64, u32, i64)>();
        let intervals = (self.open.len() + self.closed.len()) * per_interval;
        self.keys.bytes() + self.of_key.capacity() * size_of::<KeySessions>() + intervals
    }
}

/// Adds the next part, by start, to what it touches, or begins anew.
fn add(current: &mut Option<Merged>, part: Merged, out: &mut Vec<Merged>) {
    match current {
        Some(merged) if merged.interval.touches(part.interval) => {
            merged.interval = merged.interval.hull(part.interval);
            merged.prior.extend(part.prior);
            merged.runs += part.runs;
        }
        _ => out.extend(current.replace(part).filter(|merged| merged.runs > 0)),
    }
}
