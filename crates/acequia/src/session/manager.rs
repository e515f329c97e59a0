//! All continuous queries of a session, under the names of Spark's `StreamingQueryManager`.

use super::Session;
use crate::runtime::{ListenerId, QueryRun, StreamingQuery, StreamingQueryListener};
use acequia_core::{Error, Result};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The continuous queries of a session: [`Session::streams`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> acequia::Result<()> {
/// use acequia::prelude::*;
///
/// let session = Session::new()?;
/// session.sql("CREATE STREAM s (k BIGINT); CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS n FROM s GROUP BY k").await?;
/// for query in session.streams().active() {
///     println!("{}: {}", query.name(), query.status().message);
/// }
/// if let Some(query) = session.streams().get("v") {
///     query.stop().await?;
/// }
/// session.streams().await_any_termination().await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct StreamingQueryManager {
    session: Session,
}

impl Session {
    /// Its continuous queries.
    pub fn streams(&self) -> StreamingQueryManager {
        StreamingQueryManager { session: self.clone() }
    }
}

impl StreamingQueryManager {
    /// The queries that run.
    pub fn active(&self) -> Vec<Arc<StreamingQuery>> {
        self.session.active_queries().iter().map(|query| Arc::clone(&query.handle)).collect()
    }

    /// The running query of this id ([`StreamingQuery::id`]) or name.
    pub fn get(&self, id_or_name: &str) -> Option<Arc<StreamingQuery>> {
        let is_it = |query: &Arc<StreamingQuery>| query.id().0 == id_or_name || query.name() == id_or_name;
        self.active().into_iter().find(is_it)
    }

    /// Waits until a query of the session ends, or has ended since the session began or
    /// [`StreamingQueryManager::reset_terminated`] was called.
    ///
    /// # Errors
    /// The error of that query, if it failed.
    pub async fn await_any_termination(&self) -> Result<()> {
        let terminations = &self.session.inner.terminations;
        let mut told = terminations.count.subscribe();
        loop {
            told.borrow_and_update();
            if let Some(ended) = terminations.last.lock().as_ref() {
                return match ended {
                    Some(error) => Err(Error::new(error.kind(), error.message())),
                    None => Ok(()),
                };
            }
            // The sender lives as long as the session, which this holds.
            let _ = told.changed().await;
        }
    }

    /// As [`StreamingQueryManager::await_any_termination`], for no longer than this; false when none has ended.
    ///
    /// # Errors
    /// As there.
    pub async fn await_any_termination_timeout(&self, timeout: Duration) -> Result<bool> {
        match tokio::time::timeout(timeout, self.await_any_termination()).await {
            Ok(ended) => ended.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Forgets which queries have ended, so that [`StreamingQueryManager::await_any_termination`] waits for the next.
    pub fn reset_terminated(&self) {
        *self.session.inner.terminations.last.lock() = None;
    }

    /// From now on this listener is told what queries do, those included that run already.
    pub fn add_listener(&self, listener: Arc<dyn StreamingQueryListener>) -> ListenerId {
        self.session.inner.listeners.add(listener)
    }

    /// From now on this listener is told nothing; false when it is not there.
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        self.session.inner.listeners.remove(id)
    }
}

/// How the last query ended.
#[derive(Debug, Default)]
pub(super) struct Terminations {
    last: Mutex<Option<Option<Error>>>,
    count: watch::Sender<u64>,
}

impl StreamingQueryListener for Terminations {
    fn on_query_terminated(&self, _query: &QueryRun, error: Option<&Error>) {
        let mut last = self.last.lock();
        // An error is not hidden by a query that ends well after it.
        if error.is_some() || last.is_none() {
            *last = Some(error.map(|error| Error::new(error.kind(), error.message())));
        }
        self.count.send_modify(|count| *count += 1);
    }
}
