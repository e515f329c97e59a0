//! Every point at which a run touches checkpoint or sink: the process dies there, before or after the effect, or lives
//! and sees an error, before or after the effect. The next run goes on, and what is published is that of an undisturbed
//! run, batch by batch. Then pairs of faults, the second one in the recovery.
//!
//! A put is whole or has not happened: `acequia_core::conformance::store` says so of any store, and the torn writes of
//! the store on local disk are in `power`.

use super::faults::{At, Fault, Operations};
use super::*;
use futures::{StreamExt, stream};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// The streams of [`STREAMS`] with a few rows a batch.
const SMALL: &str = "
CREATE STREAM b (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time AS date_time - INTERVAL '5' SECOND)
WITH (connector = 'nexmark', table = 'bid', events = '260', events_per_second = '2', out_of_order_group_size = '20', max_rows_per_batch = '60', seed = '1');
CREATE STREAM other (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time AS date_time - INTERVAL '5' SECOND)
WITH (connector = 'nexmark', table = 'bid', events = '200', events_per_second = '2', max_rows_per_batch = '50', seed = '2');
CREATE STREAM closing (auction BIGINT, price BIGINT, date_time TIMESTAMP(3), WATERMARK FOR date_time)
WITH (connector = 'nexmark', table = 'bid', events = '200', events_per_second = '2', max_rows_per_batch = '50', seed = '3', final_watermark = 'true');
CREATE TABLE names AS VALUES (0, 'zero'), (1, 'one'), (2, 'two');
CREATE VIEW both_streams AS SELECT auction, price, date_time FROM b UNION ALL SELECT auction, price, date_time FROM other;
";

/// Runs at the same time.
const AT_ONCE: usize = 4;

/// What an undisturbed run publishes, and how many operations it takes.
struct Undisturbed {
    name: &'static str,
    sql: &'static str,
    expected: BTreeMap<u64, Rows>,
    points: usize,
}

impl Undisturbed {
    async fn of(world: &World, (name, sql): (&'static str, &'static str)) -> Self {
        let (expected, points) = world.undisturbed(sql).await;
        assert!(expected.len() >= 4, "{name}: {} batches", expected.len());
        assert!(expected.values().filter(|rows| !rows.is_empty()).count() >= 2, "{name}: {expected:?}");
        Self { name, sql, expected, points }
    }

    /// A run that fails somewhere: nothing wrong is published.
    async fn fails(&self, world: &World, trial: &Trial, operations: &Operations, case: &str) {
        let ran = world.run(self.sql, trial, operations).await;
        let published = trial.output.published();
        // A query ends well when only cleaning up has failed.
        assert!(ran.is_err() || published.len() == self.expected.len(), "{case}");
        assert!(published.iter().all(|(batch, rows)| self.expected.get(batch) == Some(rows)), "{case}");
    }

    /// A run that must end well, with everything published.
    async fn recovers(&self, world: &World, trial: &Trial, operations: &Operations, case: &str) {
        let ran = world.run(self.sql, trial, operations).await;
        ran.unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(trial.output.published(), self.expected, "{case}");
    }
}

/// Each operation with each fault; the answer of every other one is lost on the way, the rest is refused. The next run
/// has another number of shards. Gives the number of runs.
async fn every_operation(world: &World, query: &Undisturbed) -> usize {
    let Undisturbed { name, points, .. } = query;
    let (one, four) = (&world.in_shards(1), &world.in_shards(4));
    let mut runs = 0;
    for at in 1..=*points {
        let alive = if at % 2 == 0 { Fault::Refused } else { Fault::Unanswered };
        let (first, next) = if at % 4 < 2 { (one, four) } else { (four, one) };
        for fault in [Fault::Before, Fault::After, alive] {
            let case = format!("{name}: operation {at} of {points} fails, {fault:?}");
            let trial = Trial::default();
            query.fails(first, &trial, &Operations::failing(At::Operation(at), fault), &case).await;
            query.recovers(next, &trial, &Operations::default(), &case).await;
            runs += 2;
        }
    }
    runs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_is_the_same_whichever_operation_fails() {
    let world = &World::with(SMALL).await;
    let tries = stream::iter(QUERIES).map(async |query| {
        let query = Undisturbed::of(world, *query).await;
        (query.points, every_operation(world, &query).await)
    });
    let tried: Vec<(usize, usize)> = tries.buffer_unordered(AT_ONCE).collect().await;
    let (points, runs): (Vec<usize>, Vec<usize>) = tried.into_iter().unzip();
    let (points, runs): (usize, usize) = (points.iter().sum(), runs.iter().sum());
    println!("{points} points, {} queries, {runs} runs", QUERIES.len());
    assert!(points > 60 * QUERIES.len() && runs == 6 * points, "{points} {runs}");
}

/// Operations of a run up to the end of its first batch, more or less: what a recovery consists of.
const RECOVERY: usize = 30;

/// First faults per query that are followed by every second one.
const FIRST_FAULTS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_is_the_same_when_any_operation_of_the_recovery_fails_too() {
    let world = &World::with(SMALL).await;
    let tries = stream::iter(QUERIES.iter().enumerate()).map(async |(seed, query)| {
        let query = Undisturbed::of(world, *query).await;
        let mut random = SmallRng::seed_from_u64(seed as u64);
        let mut runs = 0;
        for _ in 0..FIRST_FAULTS {
            let first = (random.random_range(1..=query.points), Fault::ALL[random.random_range(0..4)]);
            for at in 1..=RECOVERY {
                let second = (at, Fault::ALL[random.random_range(0..4)]);
                let case = format!("{}: {first:?} fails, then {second:?} of the next run", query.name);
                let trial = Trial::default();
                for (at, fault) in [first, second] {
                    let dies = Operations::failing(At::Operation(at), fault);
                    query.fails(world, &trial, &dies, &case).await;
                }
                query.recovers(world, &trial, &Operations::default(), &case).await;
                runs += 3;
            }
        }
        runs
    });
    let runs: usize = tries.buffer_unordered(AT_ONCE).collect::<Vec<usize>>().await.iter().sum();
    println!("{} queries, {runs} runs with two faults", QUERIES.len());
    assert_eq!(runs, QUERIES.len() * FIRST_FAULTS * RECOVERY * 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_is_the_same_when_recoveries_die_again_and_again() {
    let world = &World::with(SMALL).await;
    let tries = stream::iter(QUERIES.iter().enumerate()).map(async |(seed, query)| {
        let query = Undisturbed::of(world, *query).await;
        let mut random = SmallRng::seed_from_u64(seed as u64);
        let (trial, mut deaths) = (Trial::default(), vec![]);
        while trial.output.published().len() < query.expected.len() {
            let fault = if random.random_bool(0.5) { Fault::Before } else { Fault::After };
            let death = (random.random_range(1..query.points / 2), fault);
            deaths.push(death);
            let case = format!("{}: {deaths:?}", query.name);
            assert!(deaths.len() < 200, "no progress: {case}");
            query.fails(world, &trial, &Operations::failing(At::Operation(death.0), death.1), &case).await;
        }
        query.recovers(world, &trial, &Operations::default(), &format!("{}: {deaths:?}", query.name)).await;
        assert!(deaths.len() > 1, "{}", query.name);
    });
    tries.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovery_does_not_need_a_listing_to_show_the_last_put() {
    let world = &World::with(SMALL).await;
    let names = ["stateless", "windowed_append", "distinct_on"];
    let tries = stream::iter(names).map(async |name| {
        let query = Undisturbed::of(world, (name, query(name))).await;
        for at in 1..=query.points {
            let case = format!("{name}: dies after operation {at}, and listings are stale");
            let trial = Trial::default();
            query.fails(world, &trial, &Operations::failing(At::Operation(at), Fault::After), &case).await;
            query.recovers(world, &trial, &Operations::default().stale(), &case).await;
        }
    });
    tries.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}
