//! The batch oracle: what a continuous query gave, folded, equals what plain DataFusion answers over the same rows.
//!
//! ```text
//! events   -> fold    what the sink got, batch by batch, as one relation
//! progress -> replay  the rows of every batch, read again from their offsets, and the watermark that was in force
//!          -> answer  the query over the rows that were not late, run as a batch
//! ```
//! The answer is found without the streaming planner, its operators and its state: only the logical plan of the SQL is
//! shared, and which of its columns carry event time. Which rows were late follows from the recorded watermark by the
//! rule alone: a window's end at or below it, any other event time below it.
//!
//! Not compared, since nobody tells what they got: sinks other than `console`, `memory` and materialized views.

mod answer;
mod asof;
mod fold;
mod joins;
mod late;
mod replay;
mod sessions;

pub use answer::{BatchRows, answer};
pub use fold::{Fold, difference};

use crate::event::Event;
use acequia::catalog::Stream;
use acequia::session::RunningQuery;
use acequia::{Error, Result, Session, StreamingQueryProgress};
use acequia_core::{Clock, Timestamp};
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;
use indexmap::IndexMap;
use replay::Replay;
use std::collections::HashMap;
use std::sync::Arc;

/// Watches the queries of a session.
pub struct Oracle {
    context: SessionContext,
    clock: Arc<dyn Clock>,
    queries: IndexMap<String, Watched>,
    /// What sinks got of batches whose progress has not been told yet, by query name.
    pending: HashMap<String, Event>,
    checks: usize,
}

/// A query, over all its runs.
struct Watched {
    query: Arc<RunningQuery>,
    off: bool,
    fold: Fold,
    replays: Vec<(String, Replay)>,
    batches: Vec<BatchRows>,
    /// Batches that were told and not read yet.
    told: Vec<StreamingQueryProgress>,
}

impl Oracle {
    /// An oracle for the queries of a session, over its tables and functions. `clock` is that of the session.
    ///
    /// # Errors
    /// `Internal` when the session has no state to copy.
    pub fn new(session: &Session, clock: Arc<dyn Clock>) -> Result<Self> {
        let state = session.context().state();
        // One partition: the answer may depend on the order of rows, as that of array_agg does.
        let config =
            state.config().clone().with_target_partitions(1).with_create_default_catalog_and_schema(false);
        let state = SessionStateBuilder::new_from_existing(state).with_config(config).build();
        let context = SessionContext::new_with_state(state);
        Ok(Self { context, clock, queries: IndexMap::new(), pending: HashMap::new(), checks: 0 })
    }

    /// How many comparisons were made.
    pub fn checks(&self) -> usize {
        self.checks
    }

    /// What the sinks of the compared queries got, in the order in which these were started.
    pub fn folds(self) -> Vec<Fold> {
        let compared = self.queries.into_values().filter(|watched| !watched.off);
        compared.map(|watched| watched.fold).collect()
    }

    /// Watches queries that are new; those of them are not compared when there is a reason to leave it.
    pub fn track(&mut self, session: &Session, off: Option<&str>) {
        for query in session.queries() {
            let id = query.handle.id().0.clone();
            match self.queries.get_mut(&id) {
                Some(watched) => watched.query = query,
                None => {
                    let off = off.is_some() || !is_told(session, &query);
                    self.queries.insert(id, Watched::new(session, query, off));
                }
            }
        }
    }

    /// Takes in what happened.
    ///
    /// # Errors
    /// `Data` for output that cannot be folded, as a row taken back that was never given.
    pub fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Batch { ref query, .. } => _ = self.pending.insert(query.clone(), event),
            Event::Progress(progress) => {
                let output = self.pending.remove(&progress.name);
                if let Some(watched) = self.queries.get_mut(&progress.id).filter(|watched| !watched.off) {
                    watched.told.push(*progress);
                    if let Some(Event::Batch { rows, deletes, .. }) = output {
                        watched.fold.apply(&rows, &deletes)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Compares every query that had batches since the last time. To be called while all are idle.
    ///
    /// # Errors
    /// `Internal` with the difference of the first query that is wrong.
    pub async fn check(&mut self) -> Result<()> {
        for watched in self.queries.values_mut().filter(|watched| !watched.off) {
            // At once, not with the first batch: a source may go by the time at which it was opened.
            for (_, replay) in &mut watched.replays {
                replay.open(&self.clock).await?;
            }
            if watched.told.is_empty() {
                continue;
            }
            let name = watched.query.handle.name().to_string();
            let context = || format!("batch oracle of query `{name}`");
            watched.read(&self.clock).await.map_err(|e| e.context(context()))?;
            let difference = watched
                .difference(&self.context, self.clock.now())
                .await
                .map_err(|e| e.context(context()))?;
            self.checks += 1;
            if let Some(difference) = difference {
                return Err(Error::internal(format!(
                    "output of query `{name}` is not the batch answer ({} batches, mode {}):\n{difference}",
                    watched.batches.len(),
                    watched.query.mode
                )));
            }
        }
        Ok(())
    }
}

/// Whether what the query's sink gets is told as events.
fn is_told(session: &Session, query: &RunningQuery) -> bool {
    match session.catalog().find_sink(&query.target) {
        Some(sink) => {
            let connector = sink.spec().connector.to_ascii_lowercase();
            connector == "console" || connector == "memory"
        }
        None => true,
    }
}

impl Watched {
    fn new(session: &Session, query: Arc<RunningQuery>, off: bool) -> Self {
        let streams: Vec<Arc<Stream>> =
            query.streams.iter().filter_map(|name| session.catalog().find_stream(name)).collect();
        let replays = streams.into_iter().map(|s| (s.name().to_string(), Replay::new(s))).collect();
        let fold = Fold::new(query.mode, query.key.clone());
        Self { query, off, fold, replays, batches: vec![], told: vec![] }
    }

    /// Reads the rows of the batches that were told.
    async fn read(&mut self, clock: &Arc<dyn Clock>) -> Result<()> {
        for progress in std::mem::take(&mut self.told) {
            let mut rows = HashMap::new();
            for source in &progress.sources {
                let Some((name, replay)) = self.replays.iter_mut().find(|(n, _)| *n == source.description)
                else {
                    return Err(Error::internal(format!("stream is not known: `{}`", source.description)));
                };
                rows.insert(name.clone(), replay.read(source, clock).await?);
            }
            self.batches.push(BatchRows { watermark: progress.watermark, rows });
        }
        Ok(())
    }

    async fn difference(&self, context: &SessionContext, now: Timestamp) -> Result<Option<String>> {
        let expected = answer(context, &self.query.logical, self.query.mode, &self.batches, now).await?;
        difference(&expected, &self.fold.rows()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Script, ScriptOptions};
    use acequia_core::{ManualClock, Watermark};

    const SQL: &str = "
        CREATE STREAM s (k VARCHAR, ts TIMESTAMP(3), WATERMARK FOR ts);
        SELECT window.start AS start, k, count(*) AS n FROM s GROUP BY window(ts, '10 seconds'), k EMIT UPDATE;
        INSERT INTO s VALUES ('a', '2026-01-01 00:00:01'), ('b', '2026-01-01 00:00:12');
        INSERT INTO s VALUES ('a', '2026-01-01 00:00:02'), ('b', '2026-01-01 00:00:13');";

    /// What the oracle says when it is told something else than what happened.
    async fn checked(tamper: fn(&mut Event)) -> Result<()> {
        let clock = ManualClock::default();
        let builder = Session::builder().clock(Arc::new(clock.clone()));
        let script =
            Script::new(builder.console(Arc::new(acequia::NoConsole)), ScriptOptions { step: true })?;
        let mut events = vec![];
        script
            .run(SQL, &mut |event| {
                events.push(event);
                Ok(())
            })
            .await?;
        let mut oracle = Oracle::new(script.session(), Arc::new(clock))?;
        oracle.track(script.session(), None);
        for mut event in events {
            tamper(&mut event);
            oracle.take(event)?;
        }
        let checked = oracle.check().await;
        script.session().stop_all().await?;
        assert!(checked.is_err() || oracle.checks() == 1);
        checked
    }

    #[tokio::test]
    async fn what_happened_is_the_batch_answer() {
        checked(|_| {}).await.unwrap();
    }

    #[tokio::test]
    async fn rows_that_are_late_by_another_rule_are_found() {
        let error = checked(|event| {
            if let Event::Progress(progress) = event {
                progress.watermark = Watermark::UNKNOWN;
            }
        });
        let error = error.await.unwrap_err().to_string();
        assert!(error.contains(r#"missing: ["2026-01-01T00:00:00","a",2]"#), "{error}");
    }

    #[tokio::test]
    async fn a_group_that_is_not_updated_is_found() {
        let error = checked(|event| {
            if let Event::Batch { batch, rows, .. } = event
                && *batch > 0
            {
                rows.clear();
            }
        });
        let error = error.await.unwrap_err().to_string();
        assert!(error.contains(r#"missing: ["2026-01-01T00:00:10","b",2]"#), "{error}");
        assert!(error.contains(r#"too much: ["2026-01-01T00:00:10","b",1]"#), "{error}");
    }

    #[tokio::test]
    async fn a_group_that_is_not_given_is_found() {
        let error = checked(|event| {
            if let Event::Batch { rows, batch: 0, .. } = event {
                *rows = rows.iter().map(|batch| batch.slice(1, 1)).collect();
            }
        });
        assert!(error.await.is_err());
    }
}
