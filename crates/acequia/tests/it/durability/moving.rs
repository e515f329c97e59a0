//! Rows that come and go with the batch's time, in batches without data too, over restarts.

use super::faults::{At, Fault, Operations};
use super::*;

const STREAM: &str = "CREATE STREAM s (id BIGINT, k VARCHAR, t TIMESTAMP(3))";
/// 2023-11-14 22:13:20, in milliseconds, when the clock of these tests begins.
const BEGIN: i64 = 1_700_000_000_000;

/// An INSERT of rows with ids, whose times are so many milliseconds after the begin.
fn insert(rows: &[(i64, i64)]) -> String {
    let row =
        |(id, millis): &(i64, i64)| format!("({id}, 'k{}', to_timestamp_millis({}))", id % 2, BEGIN + millis);
    format!("INSERT INTO s VALUES {}", rows.iter().map(row).collect::<Vec<_>>().join(", "))
}

/// What each batch published that published anything.
fn published(trial: &Trial) -> Vec<Rows> {
    let sorted = |mut rows: Rows| {
        rows.sort();
        rows
    };
    trial.output.published().into_values().filter(|rows| !rows.is_empty()).map(sorted).collect()
}

struct Expiring {
    world: World,
    trial: Trial,
    sql: &'static str,
    query: Arc<StreamingQuery>,
}

impl Expiring {
    async fn new(sql: &'static str) -> Self {
        let (world, trial) = (World::with(STREAM).await, Trial::default());
        let query = world.start(sql, &trial, &Operations::default()).await.unwrap();
        Self { world, trial, sql, query }
    }

    async fn insert(&self, rows: &[(i64, i64)]) {
        self.world.session.sql(&insert(rows)).await.unwrap();
        self.query.process_all_available().await.unwrap();
    }

    /// Lets time pass, and what is due happen.
    async fn pass(&self, time: Duration) {
        self.world.clock.advance(time);
        self.query.process_all_available().await.unwrap();
    }

    /// Stops the query, and starts it again after some time.
    async fn restart_after(&mut self, time: Duration) {
        self.query.stop().await.unwrap();
        self.world.clock.advance(time);
        self.query = self.world.start(self.sql, &self.trial, &Operations::default()).await.unwrap();
        self.query.process_all_available().await.unwrap();
    }

    fn published(&self) -> Vec<Rows> {
        published(&self.trial)
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn counts_go_down_as_time_goes_on_without_data_and_over_a_restart() {
    let sql =
        "SELECT k, count(*) AS n FROM s WHERE t > now() - INTERVAL '10 seconds' GROUP BY k EMIT CHANGES";
    let mut expiring = Expiring::new(sql).await;
    expiring.insert(&[(1, 0), (2, 0), (3, 5_000), (4, 60_000), (5, -10_000)]).await;
    assert_eq!(expiring.published(), [["k0|2|+I", "k1|2|+I"]]);
    expiring.pass(SECOND * 9).await;
    assert_eq!(expiring.published().len(), 1, "nothing is due yet");
    expiring.pass(SECOND).await;
    assert_eq!(expiring.published()[1], ["k0|1|+U", "k0|2|-U", "k1|1|+U", "k1|2|-U"]);
    let batches = expiring.query.recent_progress().len();
    expiring.pass(SECOND).await;
    assert_eq!(expiring.query.recent_progress().len(), batches, "no batch has nothing to do");
    // What became due while the query was down goes when it is there again.
    expiring.restart_after(SECOND * 4).await;
    assert_eq!(expiring.published()[2], ["k1|1|-D"]);
    expiring.restart_after(Duration::ZERO).await;
    expiring.pass(SECOND * 1000).await;
    assert_eq!(expiring.published()[3], ["k0|1|-D"]);
    expiring.restart_after(Duration::ZERO).await;
    assert_eq!(expiring.published().len(), 4);
}

#[tokio::test]
async fn rows_wait_for_their_time_and_go_out_once() {
    let mut waiting = Expiring::new("SELECT id FROM s WHERE t <= now() EMIT APPEND").await;
    waiting.insert(&[(1, 5_000), (2, 0), (3, 5_000)]).await;
    waiting.insert(&[(4, 3_000), (5, 5_000)]).await;
    assert_eq!(waiting.published(), [["2"]]);
    waiting.restart_after(Duration::ZERO).await;
    waiting.pass(SECOND * 4).await;
    waiting.restart_after(Duration::ZERO).await;
    waiting.pass(SECOND).await;
    assert_eq!(waiting.published(), [vec!["2"], vec!["4"], vec!["1", "3", "5"]]);
    waiting.restart_after(Duration::ZERO).await;
    waiting.pass(SECOND * 100).await;
    assert_eq!(waiting.published().len(), 3);
}

/// Each row is due at another millisecond, which is no reason for as many batches.
#[tokio::test]
async fn rows_that_are_due_near_each_other_are_due_together() {
    let sql = "SELECT count(*) AS n FROM s WHERE now() < t EMIT CHANGES";
    let expiring = Expiring::new(sql).await;
    expiring.insert(&(1..=50).map(|id| (id, 1_000 + id)).collect::<Vec<_>>()).await;
    let batches = expiring.query.recent_progress().len();
    for _ in 0..2000 {
        expiring.pass(Duration::from_millis(1)).await;
    }
    assert_eq!(expiring.query.recent_progress().len(), batches + 1);
    assert_eq!(expiring.published()[1], ["0|+U", "50|-U"]);
}

/// A run that ends ends, whatever is due later, and the next one goes on.
#[tokio::test]
async fn available_now_ends_before_rows_that_are_due_later() {
    let sql = "SELECT count(*) AS n FROM s WHERE t > now() - INTERVAL '10 seconds' EMIT CHANGES TRIGGER AVAILABLE NOW";
    let (world, trial) = (World::with(STREAM).await, Trial::default());
    world.session.sql(&insert(&[(1, 0), (2, 8_000)])).await.unwrap();
    for _ in 0..3 {
        world.run(sql, &trial, &Operations::default()).await.unwrap();
        world.clock.advance(SECOND * 12);
    }
    assert_eq!(published(&trial), [vec!["2|+I"], vec!["1|+U", "2|-U"], vec!["0|+U", "1|-U"]]);
}

/// Runs a query to its end, three times with some time between, the n-th time with the n-th of these operations; where it
/// dies it is run again. Gives how many operations each run took.
async fn rounds(world: &World, sql: &str, trial: &Trial, operations: [Operations; 3]) -> Vec<usize> {
    world.clock.set(Timestamp(BEGIN * 1_000));
    for operations in &operations {
        if world.run(sql, trial, operations).await.is_err() {
            world.run(sql, trial, &Operations::default()).await.unwrap();
        }
        world.clock.advance(SECOND * 12);
    }
    operations.iter().map(Operations::count).collect()
}

#[tokio::test]
async fn runs_that_die_anywhere_go_on_where_they_were() {
    let world = World::with(STREAM).await;
    for rows in [&[(1, 0), (2, 8_000), (3, 100_000)][..], &[(4, 1_000), (5, 20_000), (6, 0)]] {
        world.session.sql(&insert(rows)).await.unwrap();
    }
    for sql in [
        "SELECT id FROM s WHERE t <= now() EMIT APPEND TRIGGER AVAILABLE NOW",
        "SELECT id FROM s WHERE id <= (SELECT count(*) FROM s WHERE t > now() - INTERVAL '10 seconds') EMIT CHANGES TRIGGER AVAILABLE NOW",
    ] {
        let undisturbed = Trial::default();
        let counts = rounds(&world, sql, &undisturbed, Default::default()).await;
        let expected = undisturbed.output.published();
        assert!(expected.values().filter(|rows| !rows.is_empty()).count() >= 3, "{sql}: {expected:?}");
        for (round, count) in counts.iter().enumerate() {
            for at in 1..=*count {
                // The other way round in the next round, where the operations are the same.
                let fault = if (at + round) % 2 == 0 { Fault::Before } else { Fault::After };
                let mut operations: [Operations; 3] = Default::default();
                operations[round] = Operations::failing(At::Operation(at), fault);
                let trial = Trial::default();
                rounds(&world, sql, &trial, operations).await;
                let case = format!("{sql}: round {round}, operation {at}, {fault:?}");
                assert_eq!(trial.output.published(), expected, "{case}");
            }
        }
    }
}
