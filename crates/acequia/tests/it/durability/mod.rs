//! The law under restarts: a query that is stopped or killed anywhere, and started again, gives the same output.
//!
//! [`Trial`] is what outlives a run: the checkpoint's store and what the sink has published. Runs over it may fail at
//! any operation on either.

mod changed;
mod clocks;
mod crash;
mod damage;
mod everywhere;
mod failures;
mod faults;
mod fencing;
mod files;
mod interleaving;
mod memory;
mod moving;
mod pressure;
mod restart;
mod socket;
mod turns;

use acequia::plan::plan_streaming;
use acequia::runtime::{
    CheckpointPlace, QueryDefinition, RetryPolicy, StreamingQuery, WatermarkPolicy, start,
};
use acequia::sql::{Statement, Trigger, parse};
use acequia::{Error, Result, Session, SessionBuilder, Shards};
use acequia_core::time::ManualClock;
use acequia_core::{Clock, Sink, Timestamp};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
pub(crate) use faults::lines;
use faults::{FaultStore, Operations, Output, RecordingSink, Rows};
use futures::FutureExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// No condition takes longer to become true.
const DEADLINE: Duration = Duration::from_secs(30);

/// Streams that every test may read: bids of two Nexmark streams, six batches each, and a table.
const STREAMS: &str = "
CREATE STREAM b (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time AS date_time - INTERVAL '5' SECOND)
WITH (connector = 'nexmark', table = 'bid', events = '2900', events_per_second = '10', out_of_order_group_size = '40', max_rows_per_batch = '500', seed = '1');
CREATE STREAM other (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time AS date_time - INTERVAL '5' SECOND)
WITH (connector = 'nexmark', table = 'bid', events = '1900', events_per_second = '10', max_rows_per_batch = '700', seed = '2');
CREATE STREAM closing (auction BIGINT, price BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time)
WITH (connector = 'nexmark', table = 'bid', events = '2000', events_per_second = '10', max_rows_per_batch = '500', seed = '3', final_watermark = 'true');
CREATE TABLE names AS VALUES (0, 'zero'), (1, 'one'), (2, 'two');
CREATE VIEW both_streams AS SELECT auction, price, date_time FROM b UNION ALL SELECT auction, price, date_time FROM other;
";

/// Queries of every kind of state and output.
const QUERIES: &[(&str, &str)] = &[
    ("stateless", "SELECT auction, price * 2 AS p, now() AS at FROM b WHERE price % 3 = 0 EMIT APPEND"),
    (
        "windowed_append",
        "SELECT window(date_time, '20 seconds') AS w, auction % 20 AS a, count(*) AS n, max(price) AS top FROM b GROUP BY window(date_time, '20 seconds'), auction % 20 EMIT APPEND",
    ),
    (
        "windowed_update",
        "SELECT window(date_time, '20 seconds') AS w, auction % 20 AS a, count(*) AS n, avg(price) AS mean FROM b GROUP BY window(date_time, '20 seconds'), auction % 20 EMIT UPDATE",
    ),
    (
        "windowed_complete",
        "SELECT window(date_time, '20 seconds') AS w, count(*) AS n, min(price) AS low FROM b GROUP BY window(date_time, '20 seconds') EMIT COMPLETE",
    ),
    (
        "windowed_changes",
        "SELECT window(date_time, '20 seconds') AS w, auction % 20 AS a, count(DISTINCT bidder) AS n FROM b GROUP BY window(date_time, '20 seconds'), auction % 20 EMIT CHANGES",
    ),
    (
        "sliding_append",
        "SELECT window(date_time, '20 seconds', '10 seconds') AS w, sum(price) AS total FROM b GROUP BY window(date_time, '20 seconds', '10 seconds') EMIT APPEND",
    ),
    (
        "unwindowed_update",
        "SELECT bidder % 7 AS k, count(*) AS n, sum(price) AS total FROM b GROUP BY bidder % 7 EMIT UPDATE",
    ),
    (
        "sessions_append",
        "SELECT session_window(date_time, '2 seconds') AS w, bidder % 20 AS k, count(*) AS n, max(price) AS top FROM b GROUP BY session_window(date_time, '2 seconds'), bidder % 20 EMIT APPEND",
    ),
    ("distinct", "SELECT DISTINCT bidder % 40 AS k FROM b EMIT APPEND"),
    ("distinct_on", "SELECT DISTINCT ON (bidder) bidder, auction, price FROM b EMIT APPEND"),
    (
        "static_join",
        "SELECT b.auction, names.column2 AS name FROM b JOIN names ON b.auction % 5 = names.column1 EMIT APPEND",
    ),
    (
        "final_watermark",
        "SELECT window(date_time, '20 seconds') AS w, count(*) AS n FROM closing GROUP BY window(date_time, '20 seconds') EMIT APPEND",
    ),
    (
        "drop_duplicates_within_watermark",
        "SELECT bidder, auction, date_time FROM drop_duplicates_within_watermark(TABLE b, DESCRIPTOR(bidder)) EMIT APPEND",
    ),
    (
        "asof_join_append",
        "SELECT b.auction, b.price, b.date_time, o.price AS last FROM b ASOF JOIN other o MATCH_CONDITION (b.date_time >= o.date_time) ON b.auction % 5 = o.auction % 5 EMIT APPEND",
    ),
    (
        "interval_join_append",
        "SELECT b.auction, b.price, o.price AS other FROM b LEFT JOIN other o ON b.auction % 5 = o.auction % 5 AND o.date_time BETWEEN b.date_time - INTERVAL '3 seconds' AND b.date_time EMIT APPEND",
    ),
    (
        "over_append",
        "SELECT auction % 5 AS k, price, date_time, sum(price) OVER (PARTITION BY auction % 5 ORDER BY date_time) AS total, lag(price) OVER (PARTITION BY auction % 5 ORDER BY date_time) AS before FROM b EMIT APPEND",
    ),
    (
        "top_of_counts",
        "SELECT k, n, row_number() OVER (ORDER BY n DESC, k) AS place FROM (SELECT bidder % 9 AS k, count(*) AS n FROM b GROUP BY bidder % 9) QUALIFY place <= 3 EMIT UPDATE",
    ),
    (
        "above_the_mean",
        "SELECT auction, price FROM b WHERE price > (SELECT avg(price) FROM other) EMIT CHANGES",
    ),
    (
        "union_with_static_rows",
        "SELECT auction % 5 AS k, count(*) AS n FROM (SELECT auction FROM b UNION ALL SELECT column1 AS auction FROM names) GROUP BY auction % 5 EMIT UPDATE",
    ),
    (
        "static_rows_come_once",
        "SELECT auction AS k FROM b UNION ALL SELECT column1 AS k FROM names EMIT APPEND",
    ),
    (
        "union_all",
        "SELECT window(date_time, '20 seconds') AS w, count(*) AS n, sum(price) AS total FROM both_streams GROUP BY window(date_time, '20 seconds') EMIT APPEND",
    ),
];

fn query(name: &str) -> &'static str {
    QUERIES.iter().find(|(n, _)| *n == name).map(|(_, sql)| *sql).unwrap()
}

/// A session with [`STREAMS`], and the clock of its queries.
struct World {
    session: Session,
    clock: ManualClock,
    shards: Shards,
    /// A process that dies does not try again.
    retry: RetryPolicy,
}

impl World {
    async fn new() -> Self {
        Self::with(STREAMS).await
    }

    async fn with(streams: &str) -> Self {
        let session = SessionBuilder::default().build().unwrap();
        session.sql(streams).await.unwrap();
        let clock = ManualClock::at(Timestamp(1_700_000_000_000_000));
        Self { session, clock, shards: Shards::default(), retry: RetryPolicy::NEVER }
    }

    /// The same world, whose queries have so many shards.
    fn in_shards(&self, shards: usize) -> Self {
        let shards = Shards::new(shards).unwrap();
        Self { session: self.session.clone(), clock: self.clock.clone(), shards, retry: self.retry }
    }

    /// The logical plan of a query and what else its text says.
    async fn parse(&self, sql: &str) -> (LogicalPlan, Option<acequia::OutputMode>, Option<Trigger>) {
        let Statement::Query(query) = parse(sql).next().unwrap().unwrap().statement else {
            panic!("not a query: {sql}");
        };
        let statement = DataFusionStatement::Statement(Box::new(SqlStatement::Query(query.query)));
        let plan = self.session.context().state().statement_to_plan(statement).await.unwrap();
        (plan, query.emit.map(|e| e.0), query.trigger.map(|t| t.0))
    }

    /// Starts a query over what a trial holds.
    async fn start(&self, sql: &str, trial: &Trial, operations: &Operations) -> Result<Arc<StreamingQuery>> {
        self.start_as("q", sql, trial, operations).await
    }

    async fn start_as(
        &self,
        name: &str,
        sql: &str,
        trial: &Trial,
        operations: &Operations,
    ) -> Result<Arc<StreamingQuery>> {
        let sink = RecordingSink { output: Arc::clone(&trial.output), operations: operations.clone() };
        self.start_into(Box::new(sink), name, sql, trial, operations).await
    }

    async fn start_into(
        &self,
        sink: Box<dyn Sink>,
        name: &str,
        sql: &str,
        trial: &Trial,
        operations: &Operations,
    ) -> Result<Arc<StreamingQuery>> {
        let definition = self.definition(name, sql, trial, operations).await?;
        start(QueryDefinition { sink, ..definition }).await
    }

    async fn definition(
        &self,
        name: &str,
        sql: &str,
        trial: &Trial,
        operations: &Operations,
    ) -> Result<QueryDefinition> {
        let (plan, mode, trigger) = self.parse(sql).await;
        let (state, shards) = (self.session.context().state(), self.shards);
        let replan = move || {
            let (state, plan) = (state.clone(), plan.clone());
            async move { plan_streaming(&state, plan, &mode.into(), shards).await }.boxed()
        };
        let store = FaultStore {
            inner: Arc::clone(&trial.store),
            operations: operations.clone(),
            last_put: Arc::clone(&trial.last_put),
        };
        let sink = RecordingSink { output: Arc::clone(&trial.output), operations: operations.clone() };
        Ok(QueryDefinition {
            name: name.to_string(),
            plan: replan().await?,
            replan: Arc::new(replan),
            sink: Box::new(sink),
            checkpoint: Some(CheckpointPlace { store: Arc::new(store), prefix: Path::default() }),
            trigger,
            policy: WatermarkPolicy::Min,
            retry: self.retry,
            clock: Arc::new(self.clock.clone()) as Arc<dyn Clock>,
            target: "recording".to_string(),
            listeners: Arc::default(),
            stopping: Default::default(),
        })
    }

    /// Runs a query until its streams end.
    async fn run(&self, sql: &str, trial: &Trial, operations: &Operations) -> Result<()> {
        self.start(sql, trial, operations).await?.await_termination().await
    }

    /// What an undisturbed run publishes, and how many operations it takes.
    async fn undisturbed(&self, sql: &str) -> (BTreeMap<u64, Rows>, usize) {
        let (trial, operations) = (Trial::default(), Operations::default());
        self.run(sql, &trial, &operations).await.unwrap();
        (trial.output.published(), operations.count())
    }
}

/// What outlives a run.
#[derive(Debug)]
struct Trial {
    store: Arc<dyn ObjectStore>,
    output: Arc<Output>,
    last_put: Arc<Mutex<Option<Path>>>,
}

impl Default for Trial {
    fn default() -> Self {
        Self { store: Arc::new(InMemory::new()), output: Arc::default(), last_put: Arc::default() }
    }
}

/// Waits until something is so.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !so() {
        assert!(begun.elapsed() < DEADLINE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn assert_contains(error: &Error, texts: &[&str]) {
    for text in texts {
        assert!(error.to_string().contains(text), "`{text}` is not in: {error}");
    }
}
