//! Two runs on one checkpoint.

use super::faults::{Operations, Pause};
use super::*;
use acequia::ErrorKind;

#[tokio::test]
async fn older_run_is_fenced_at_its_next_batch_and_the_newer_goes_on() {
    let world = World::with("CREATE STREAM s (k BIGINT)").await;
    let sql = "SELECT k, count(*) AS n FROM s GROUP BY k EMIT UPDATE";
    let trial = Trial::default();
    let older = world.start_as("older", sql, &trial, &Operations::default()).await.unwrap();
    world.session.sql("INSERT INTO s VALUES (1)").await.unwrap();
    older.process_all_available().await.unwrap();
    let newer = world.start_as("newer", sql, &trial, &Operations::default()).await.unwrap();
    assert!(older.is_active(), "it has nothing to do and does not look");
    world.session.sql("INSERT INTO s VALUES (1)").await.unwrap();
    let error = older.await_termination().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert_contains(&error, &["query `older`", "batch 1"]);
    newer.process_all_available().await.unwrap();
    world.session.sql("INSERT INTO s VALUES (1), (2)").await.unwrap();
    newer.process_all_available().await.unwrap();
    newer.stop().await.unwrap();
    let published: Vec<Rows> = trial.output.published().into_values().collect();
    assert_eq!(published, [vec!["1|1"], vec!["1|2"], vec!["1|3", "2|1"]]);
}

/// The older run has passed its last look at the fence when the newer one claims the checkpoint, and writes the
/// decision that both are about to write.
async fn older_wins(decision: &str) {
    let world = World::new().await;
    for name in ["windowed_append", "unwindowed_update", "distinct_on", "union_all"] {
        let sql = query(name);
        let (expected, _) = world.undisturbed(sql).await;
        let trial = Trial::default();
        let (of_older, of_newer) = (Operations::default(), Operations::default());
        let older_writes = of_older.pause(decision);
        let older = world.start_as("older", sql, &trial, &of_older).await.unwrap();
        let Pause { reached, go } = older_writes;
        reached.await.unwrap();
        let newer_writes = of_newer.pause(decision);
        let newer = world.start_as("newer", sql, &trial, &of_newer).await.unwrap();
        let Pause { reached, go: newer_goes } = newer_writes;
        reached.await.unwrap();
        go.send(()).unwrap();
        let error = older.await_termination().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced, "{name}: {error}");
        assert_eq!(trial.output.published().len(), 2, "{name}: the older run publishes nothing more");
        newer_goes.send(()).unwrap();
        newer.await_termination().await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(trial.output.published(), expected, "{name}");
    }
}

#[tokio::test]
async fn newer_run_goes_on_from_a_commit_that_the_older_one_won() {
    older_wins("commits/2").await;
}

#[tokio::test]
async fn newer_run_goes_on_with_offsets_that_the_older_one_won() {
    older_wins("offsets/2").await;
}

#[tokio::test]
async fn newer_run_over_what_is_available_ends_although_the_older_one_won() {
    for trigger in ["TRIGGER AVAILABLE NOW", "TRIGGER ONCE"] {
        for decision in ["commits/1", "offsets/1"] {
            let case = format!("{trigger} {decision}");
            let world = World::with("CREATE STREAM s (k BIGINT)").await;
            let sql = "SELECT k, count(*) AS n FROM s GROUP BY k EMIT UPDATE";
            let trial = Trial::default();
            let (of_older, of_newer) = (Operations::default(), Operations::default());
            world.session.sql("INSERT INTO s VALUES (1)").await.unwrap();
            let Pause { reached, go } = of_older.pause(decision);
            let older = world.start_as("older", sql, &trial, &of_older).await.unwrap();
            older.process_all_available().await.unwrap();
            world.session.sql("INSERT INTO s VALUES (2)").await.unwrap();
            reached.await.unwrap();
            let Pause { reached, go: newer_goes } = of_newer.pause(decision);
            let bounded = format!("{sql} {trigger}");
            let newer = world.start_as("newer", &bounded, &trial, &of_newer).await.unwrap();
            reached.await.unwrap();
            go.send(()).unwrap();
            older.await_termination().await.unwrap_err();
            newer_goes.send(()).unwrap();
            let ended = tokio::time::timeout(DEADLINE, newer.await_termination()).await;
            ended
                .unwrap_or_else(|_| panic!("{case}: does not end"))
                .unwrap_or_else(|e| panic!("{case}: {e}"));
            let published: Vec<Rows> = trial.output.published().into_values().collect();
            assert_eq!(published, [vec!["1|1"], vec!["2|1"]], "{case}");
        }
    }
}
