//! What a session aggregate knows beyond its keys, shared by all of its shards.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The end of no session.
const NONE: i64 = i64::MIN;

/// The largest gap and the last forgotten end over all keys.
///
/// Shards that run at the same time agree: the gap grows while rows are pushed and is read when the batch is finished,
/// the end grows when it is finished and is read while rows are pushed, and shards wait for each other in between.
/// That also orders what they see; and the order in which maxima are taken does not matter.
pub(super) struct Limits {
    gap: AtomicI64,
    forgotten: AtomicI64,
    unsaved: AtomicBool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { gap: AtomicI64::new(0), forgotten: AtomicI64::new(NONE), unsaved: AtomicBool::new(false) }
    }
}

impl Limits {
    /// The largest gap of any row that was used; 0 before the first.
    pub(super) fn largest_gap(&self) -> i64 {
        self.gap.load(Ordering::Relaxed)
    }

    /// The greatest end of a closed session that is no longer remembered.
    pub(super) fn forgotten_end(&self) -> Option<i64> {
        Some(self.forgotten.load(Ordering::Relaxed)).filter(|end| *end != NONE)
    }

    /// A row with this gap is used.
    pub(super) fn widen(&self, gap: i64) {
        if self.gap.fetch_max(gap, Ordering::Relaxed) < gap {
            self.unsaved.store(true, Ordering::Relaxed);
        }
    }

    /// Sessions up to this end are forgotten.
    pub(super) fn forget(&self, end: i64) {
        self.forgotten.fetch_max(end, Ordering::Relaxed);
        self.unsaved.store(true, Ordering::Relaxed);
    }

    /// Takes what was saved.
    pub(super) fn restore(&self, gap: i64, forgotten_end: Option<i64>) {
        self.gap.store(gap, Ordering::Relaxed);
        self.forgotten.store(forgotten_end.unwrap_or(NONE), Ordering::Relaxed);
    }

    /// Whether they have changed since this was called last.
    pub(super) fn take_unsaved(&self) -> bool {
        self.unsaved.swap(false, Ordering::Relaxed)
    }
}
