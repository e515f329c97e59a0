//! A process that dies at one operation on checkpoint or sink: what the next one finds and does.

use super::faults::{At, Fault, Operations};
use super::*;
#[tokio::test]
async fn checkpoint_of_one_shard_goes_on_in_four_and_back() {
    let world = World::new().await;
    for (name, sql) in QUERIES {
        let (expected, _) = world.undisturbed(sql).await;
        let trial = Trial::default();
        for (batch, shards) in [(1, 1), (3, 4), (4, 1), (usize::MAX, 3)] {
            let dies = Operations::failing(At::Name(format!("writer {batch}")), Fault::Before);
            let ran = world.in_shards(shards).run(sql, &trial, &dies).await;
            assert_eq!(ran.is_err(), batch < expected.len(), "{name} in {shards} shards: {ran:?}");
        }
        assert_eq!(trial.output.published(), expected, "{name}");
    }
}

#[tokio::test]
async fn batch_that_was_begun_has_the_same_offsets_watermark_and_time() {
    let world = World::new().await;
    let sql = "SELECT auction, now() AS at FROM b EMIT APPEND";
    let (expected, _) = world.undisturbed(sql).await;
    let trial = Trial::default();
    let dies = Operations::failing(At::Name("commits/2".into()), Fault::Before);
    world.run(sql, &trial, &dies).await.unwrap_err();
    assert_eq!(trial.output.published().len(), 2);
    world.clock.advance(Duration::from_secs(3600));
    world.run(sql, &trial, &Operations::default()).await.unwrap();
    let published = trial.output.published();
    assert_eq!(published[&2], expected[&2], "its time is the one that was decided first");
    let times = |batch: u64| published[&batch][0].split('|').next_back().unwrap().to_string();
    assert_eq!(times(1), times(2));
    assert_ne!(times(2), times(3), "the next batch has the time of the new run");
}

#[tokio::test]
async fn committed_batch_that_is_not_published_is_published_from_its_receipts() {
    let world = World::new().await;
    let sql = query("windowed_append");
    let (expected, _) = world.undisturbed(sql).await;
    for fault in [Fault::Before, Fault::After] {
        let trial = Trial::default();
        let dies = Operations::failing(At::Name("publish 3".into()), fault);
        let error = world.run(sql, &trial, &dies).await.unwrap_err();
        assert_contains(&error, &["query `q`", "batch 3", "publishing the output"]);
        assert_eq!(trial.output.published().len(), if fault == Fault::Before { 3 } else { 4 });
        let again = Operations::default();
        // It must not be run a second time: nobody opens a writer for it.
        let writer = again.pause("writer 3");
        world.run(sql, &trial, &again).await.unwrap();
        drop(writer);
        assert_eq!(trial.output.published(), expected);
    }
}

#[tokio::test]
async fn windows_that_a_moved_watermark_closes_come_after_a_restart_without_new_data() {
    let streams = "CREATE STREAM s (k BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts);";
    let sql = "SELECT count(*) AS n, max(k) AS k FROM s GROUP BY window(ts, '10 seconds') EMIT APPEND";
    for (died_at, batches) in [("offsets/1", 1), ("commits/1", 1), ("publish 1", 1)] {
        let world = World::with(streams).await;
        world
            .session
            .sql("INSERT INTO s VALUES (1, '2024-01-01T00:00:01'), (2, '2024-01-01T00:00:31')")
            .await
            .unwrap();
        let trial = Trial::default();
        let dies = Operations::failing(At::Name(died_at.into()), Fault::Before);
        let first = world.start(sql, &trial, &dies).await.unwrap();
        first.await_termination().await.unwrap_err();
        assert_eq!(trial.output.published().len(), batches, "{died_at}");
        let second = world.start(sql, &trial, &Operations::default()).await.unwrap();
        second.process_all_available().await.unwrap();
        second.stop().await.unwrap();
        let published = trial.output.published();
        assert_eq!(published.len(), 2, "{died_at}");
        assert_eq!(published[&1], ["1|1"], "{died_at}");
    }
}

#[tokio::test]
async fn watermark_of_a_batch_that_was_begun_outlives_the_silence_that_moved_it() {
    let columns = "(k BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts)";
    let world = World::with(&format!(
        "CREATE STREAM x {columns}; CREATE STREAM y {columns} WITH (idle_timeout = '1 minute');
         CREATE VIEW z AS SELECT ts FROM x UNION ALL SELECT ts FROM y;
         BEGIN; INSERT INTO x VALUES (1, '2024-01-01T00:00:01'), (1, '2024-01-01T00:00:31');
         INSERT INTO y VALUES (1, '2024-01-01T00:00:01'); COMMIT;"
    ))
    .await;
    let sql = "SELECT count(*) AS n FROM z GROUP BY window(ts, '10 seconds') EMIT APPEND";
    let trial = Trial::default();
    let dies = Operations::failing(At::Name("commits/1".into()), Fault::Before);
    let first = world.start(sql, &trial, &dies).await.unwrap();
    until("the first batch is published", || trial.output.published().len() == 1).await;
    world.clock.advance(Duration::from_secs(120));
    first.await_termination().await.unwrap_err();
    let second = world.start(sql, &trial, &Operations::default()).await.unwrap();
    second.process_all_available().await.unwrap();
    assert_eq!(trial.output.published()[&1], ["2"], "y is silent, so x alone closes the window");
    second.stop().await.unwrap();
    let third = world.start(sql, &trial, &Operations::default()).await.unwrap();
    world.session.sql("INSERT INTO y VALUES (1, '2024-01-01T00:00:05')").await.unwrap();
    third.process_all_available().await.unwrap();
    world.clock.advance(Duration::from_secs(120));
    third.process_all_available().await.unwrap();
    third.stop().await.unwrap();
    let rows: Vec<String> = trial.output.published().into_values().flatten().collect();
    assert_eq!(rows, ["2"], "a window that was emitted stays closed");
}
