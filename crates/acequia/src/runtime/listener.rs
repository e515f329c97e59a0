//! Being told what queries do.

use super::progress::StreamingQueryProgress;
use acequia_core::{Error, QueryId, Timestamp};
use parking_lot::RwLock;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Which run of which query an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryRun {
    /// The identity for the life of the checkpoint.
    pub id: QueryId,
    /// The identity of this run.
    pub run_id: String,
    /// The query's name.
    pub name: String,
    /// Which operators keep more the more rows come, and why: `aggregate#0: no event-time column ...`.
    pub growing_state: Vec<String>,
}

/// Is told what queries do. A listener hears what it implements.
///
/// For each run of a query, in this order: started once, before the call that starts it returns;
/// then progress, idle and retry as they happen; terminated once, at the end. Called on the query's own thread, so a
/// slow listener slows the query down, and one that waits for its query to stop waits forever; one that panics is heard
/// of in the log and does the query no harm.
///
/// ```
/// use acequia::{QueryRun, Session, StreamingQueryListener, StreamingQueryProgress};
/// use std::sync::Arc;
///
/// struct Printed;
///
/// impl StreamingQueryListener for Printed {
///     fn on_query_progress(&self, progress: &StreamingQueryProgress) {
///         println!("{}", progress.json());
///     }
///     fn on_query_terminated(&self, query: &QueryRun, error: Option<&acequia::Error>) {
///         println!("{} ended: {error:?}", query.name);
///     }
/// }
///
/// let session = Session::builder().listener(Arc::new(Printed)).build()?;
/// # Ok::<(), acequia::Error>(())
/// ```
pub trait StreamingQueryListener: Send + Sync {
    /// A query has recovered and is about to run its first batch.
    fn on_query_started(&self, _query: &QueryRun) {}

    /// A batch was published.
    fn on_query_progress(&self, _progress: &StreamingQueryProgress) {}

    /// Nothing has come for ten seconds; told again every ten seconds, with the time.
    fn on_query_idle(&self, _query: &QueryRun, _at: Timestamp) {}

    /// What may pass has failed a query; it tries again after this wait.
    fn on_query_retry(&self, _query: &QueryRun, _error: &Error, _wait: Duration) {}

    /// A query has ended, with its error if it failed.
    fn on_query_terminated(&self, _query: &QueryRun, _error: Option<&Error>) {}
}

/// A listener's number in its session, to remove it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// Every listener of a session; queries that run already tell those that are added, too.
#[derive(Default)]
pub struct Listeners {
    next: AtomicU64,
    all: RwLock<Vec<(ListenerId, Arc<dyn StreamingQueryListener>)>>,
}

impl Listeners {
    /// Adds one.
    pub fn add(&self, listener: Arc<dyn StreamingQueryListener>) -> ListenerId {
        let id = ListenerId(self.next.fetch_add(1, Ordering::Relaxed));
        self.all.write().push((id, listener));
        id
    }

    /// Removes one; false when it is not there.
    pub fn remove(&self, id: ListenerId) -> bool {
        let mut all = self.all.write();
        let before = all.len();
        all.retain(|(own, _)| *own != id);
        all.len() < before
    }

    /// Tells all of them. None is told while the list is locked, so that a listener may add or remove one.
    pub(super) fn tell(&self, event: impl Fn(&dyn StreamingQueryListener)) {
        let all: Vec<_> = self.all.read().iter().map(|(_, listener)| Arc::clone(listener)).collect();
        for listener in all {
            if std::panic::catch_unwind(AssertUnwindSafe(|| event(listener.as_ref()))).is_err() {
                tracing::error!("a StreamingQueryListener panicked; the query goes on");
            }
        }
    }
}
