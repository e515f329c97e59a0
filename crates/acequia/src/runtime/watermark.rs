//! The query's watermark: from the event times that its streams showed to the one value that a batch uses.
//!
//! Each named watermark is `latest event time - delay`. The query's is their minimum (nothing is known until every
//! stream has spoken) or their maximum, as `acequia.watermark.policy` says. It is constant within a batch, never goes
//! back, and what a batch sees counts from the next batch on.

use crate::plan::{EventTimeObservers, EventTimes};
use acequia_core::{Timestamp, Watermark};
use acequia_state::WatermarkState;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The event time of a stream that has ended and says `final_watermark = 'true'`: the last microsecond of year 9999.
pub(super) const FINAL: Timestamp = Timestamp(253_402_300_799_999_999);

/// How several streams combine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WatermarkPolicy {
    /// The slowest stream decides.
    #[default]
    Min,
    /// The fastest stream decides.
    Max,
}

/// Tracks the watermark of a query.
#[derive(Debug)]
pub(super) struct WatermarkTracker {
    observers: Arc<EventTimeObservers>,
    policy: WatermarkPolicy,
    idle_timeouts: BTreeMap<String, Duration>,
    max_futures: BTreeMap<String, Duration>,
    future_rows: u64,
    event_times: Option<EventTimes>,
    last_active: BTreeMap<String, Timestamp>,
    state: WatermarkState,
}

impl WatermarkTracker {
    /// A tracker that goes on from the last committed state.
    pub(super) fn new(
        observers: Arc<EventTimeObservers>,
        policy: WatermarkPolicy,
        idle_timeouts: BTreeMap<String, Duration>,
        max_futures: BTreeMap<String, Duration>,
        state: WatermarkState,
    ) -> Self {
        let last_active = BTreeMap::new();
        let event_times = None;
        Self {
            observers,
            policy,
            idle_timeouts,
            max_futures,
            future_rows: 0,
            event_times,
            last_active,
            state,
        }
    }

    /// The state as it is.
    pub(super) fn state(&self) -> &WatermarkState {
        &self.state
    }

    /// Takes in what the batch at this time showed.
    pub(super) fn observe(&mut self, batch_time: Timestamp) {
        self.future_rows = 0;
        self.event_times = None;
        for observer in self.observers.all() {
            let seen = observer.take();
            self.future_rows += seen.future_rows;
            self.event_times.get_or_insert_default().merge(&seen.all);
            if seen.latest.is_some() || seen.future_rows > 0 {
                self.last_active.insert(observer.id().to_string(), batch_time);
            }
            let Some(seen) = seen.latest else { continue };
            let latest = self.state.max_event_times.entry(observer.id().to_string()).or_insert(seen);
            *latest = (*latest).max(seen);
        }
        self.advance(batch_time);
    }

    /// Begins the batch at this time, and forgets what a failed one showed.
    pub(super) fn begin(&self, batch_time: Timestamp) {
        for observer in self.observers.all() {
            let ahead = self.max_futures.get(observer.id());
            let micros = ahead.map(|ahead| i64::try_from(ahead.as_micros()).unwrap_or(i64::MAX));
            observer.begin(micros.map(|micros| Timestamp(batch_time.0.saturating_add(micros))));
        }
    }

    /// Rows of the last batch whose event time is too far ahead to move the watermark.
    pub(super) fn future_rows(&self) -> u64 {
        self.future_rows
    }

    /// The event times of the last batch, over all streams; none when no stream has a watermark.
    pub(super) fn event_times(&self) -> Option<EventTimes> {
        self.event_times
    }

    /// Marks a stream as ended for good.
    pub(super) fn finish(&mut self, id: &str, batch_time: Timestamp) {
        if self.observers.all().iter().any(|observer| observer.id() == id) {
            self.state.max_event_times.insert(id.to_string(), FINAL);
            self.advance(batch_time);
        }
    }

    /// Moves the watermark on, by idle streams too.
    pub(super) fn advance(&mut self, now: Timestamp) {
        let mut lowest: Option<Timestamp> = None;
        let mut highest: Option<Timestamp> = None;
        let mut all_spoken = true;
        for observer in self.observers.all() {
            self.last_active.entry(observer.id().to_string()).or_insert(now);
            let latest = self.state.max_event_times.get(observer.id()).copied();
            let own = latest
                .map(|t| if t == FINAL { t } else { Timestamp(t.0.saturating_sub(observer.delay_micros())) });
            highest = highest.max(own);
            if self.is_idle(observer.id(), now) {
                continue;
            }
            all_spoken &= own.is_some();
            lowest = match (lowest, own) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        let next = match self.policy {
            WatermarkPolicy::Min if all_spoken => lowest,
            WatermarkPolicy::Min => None,
            WatermarkPolicy::Max => highest,
        };
        self.state.global = self.state.global.max(Watermark(next));
    }

    fn is_idle(&self, id: &str, now: Timestamp) -> bool {
        let (Some(timeout), Some(active)) = (self.idle_timeouts.get(id), self.last_active.get(id)) else {
            return false;
        };
        now.0.saturating_sub(active.0) > timeout.as_micros() as i64
    }
}
