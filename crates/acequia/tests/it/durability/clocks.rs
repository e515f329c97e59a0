//! Clocks that jump: time never goes back for a query, and no wait grows by what the clock was set back.

use super::*;

const HOUR: i64 = 3_600_000_000;

/// The only row of every batch.
fn rows(trial: &Trial) -> Vec<Rows> {
    trial.output.published().into_values().collect()
}

#[tokio::test]
async fn batch_time_never_goes_back_and_follows_a_clock_that_jumps_ahead() {
    let world = World::with("CREATE STREAM s (k BIGINT)").await;
    let (trial, sql) = (Trial::default(), "SELECT now() AS at FROM s EMIT APPEND");
    let query = world.start(sql, &trial, &Operations::default()).await.unwrap();
    let began = world.clock.now().0;
    for jump in [0, -HOUR, HOUR, -2 * HOUR] {
        world.clock.set(Timestamp(began + jump));
        world.session.sql("INSERT INTO s VALUES (1)").await.unwrap();
        query.process_all_available().await.unwrap();
    }
    query.stop().await.unwrap();
    // Nor over a restart.
    let query = world.start(sql, &trial, &Operations::default()).await.unwrap();
    world.session.sql("INSERT INTO s VALUES (1)").await.unwrap();
    query.process_all_available().await.unwrap();
    query.stop().await.unwrap();
    let times = rows(&trial);
    assert_eq!((times[0] == times[1], times[1] < times[2]), (true, true), "{times:?}");
    assert_eq!((&times[3], &times[4]), (&times[2], &times[2]), "{times:?}");
}

#[tokio::test]
async fn trigger_goes_on_after_a_clock_that_was_set_back() {
    let world = World::with("CREATE STREAM s (k BIGINT)").await;
    let (trial, sql) = (Trial::default(), "SELECT k FROM s EMIT APPEND TRIGGER EVERY '10 seconds'");
    let query = world.start(sql, &trial, &Operations::default()).await.unwrap();
    for k in 0..3 {
        world.session.sql(&format!("INSERT INTO s VALUES ({k})")).await.unwrap();
        until("the batch is published", || {
            world.clock.advance(Duration::from_millis(100));
            rows(&trial).len() > k
        })
        .await;
        world.clock.set(Timestamp(world.clock.now().0 - HOUR));
    }
    query.stop().await.unwrap();
    assert_eq!(rows(&trial), [["0"], ["1"], ["2"]]);
}
