//! What the queries of the session do, counted, and told when one ends by itself.

use super::screen::Screen;
use acequia::{Error, QueryRun, StreamingQueryListener, StreamingQueryProgress};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Batches and rows of a query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    batches: u64,
    rows: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}", plural(self.batches, "batch", "batches"), plural(self.rows, "row", "rows"))
    }
}

/// `1 row`, `2 rows`.
pub(super) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Listens to the queries.
pub(super) struct Activity {
    screen: Arc<Screen>,
    interactive: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether a statement runs: what ends meanwhile is told after it, for the statement may tell it itself.
    executing: bool,
    counts: HashMap<String, Counts>,
    ended: Vec<Ended>,
    failed: bool,
}

/// A query that has ended.
struct Ended {
    name: String,
    counts: Counts,
    error: Option<String>,
}

impl Activity {
    /// Tells on this screen; without a reader only what fails.
    pub(super) fn new(screen: Arc<Screen>, interactive: bool) -> Arc<Self> {
        Arc::new(Self { screen, interactive, state: Mutex::default() })
    }

    /// A statement begins.
    pub(super) fn begin(&self) {
        self.state.lock().executing = true;
    }

    /// A statement is done; it has told itself of the end of this query.
    pub(super) fn finish(&self, told: Option<&str>) {
        let ended = {
            let mut state = self.state.lock();
            state.executing = false;
            std::mem::take(&mut state.ended)
        };
        ended.iter().filter(|ended| told != Some(&ended.name)).for_each(|ended| self.tell(ended));
    }

    /// What a query that ended during this statement has done.
    pub(super) fn counts(&self, name: &str) -> Counts {
        let state = self.state.lock();
        let ended = state.ended.iter().rev().find(|ended| ended.name == name).map(|ended| ended.counts);
        ended.or_else(|| state.counts.get(name).copied()).unwrap_or_default()
    }

    /// Whether a query has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.state.lock().failed
    }

    fn tell(&self, ended: &Ended) {
        match &ended.error {
            Some(error) => {
                // It says which query it is about.
                let text = format!("{} {error}\n", self.screen.paint("1;31", "error:"));
                if self.interactive { self.screen.announce(&text) } else { self.screen.error(&text) }
            }
            None if self.interactive => {
                let text = format!("query `{}` ended: {}", ended.name, ended.counts);
                self.screen.announce(&format!("{}\n", self.screen.paint("2", &text)));
            }
            None => {}
        }
    }
}

impl StreamingQueryListener for Activity {
    fn on_query_progress(&self, progress: &StreamingQueryProgress) {
        let mut state = self.state.lock();
        let counts = state.counts.entry(progress.name.clone()).or_default();
        counts.batches += 1;
        counts.rows += progress.num_output_rows;
    }

    fn on_query_retry(&self, query: &QueryRun, error: &Error, wait: Duration) {
        let text = format!("query `{}` tries again in {wait:?}: {error}\n", query.name);
        if self.interactive { self.screen.announce(&text) } else { self.screen.error(&text) }
    }

    fn on_query_terminated(&self, query: &QueryRun, error: Option<&Error>) {
        let mut state = self.state.lock();
        state.failed |= error.is_some();
        let counts = state.counts.remove(&query.name).unwrap_or_default();
        let ended = Ended { name: query.name.clone(), counts, error: error.map(ToString::to_string) };
        if state.executing {
            state.ended.push(ended);
            return;
        }
        drop(state);
        self.tell(&ended);
    }
}
