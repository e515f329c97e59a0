//! What does not answer for a while, what answers slowly, and what never answers again.

use super::faults::{At, Fault};
use super::files::{Disk, finish};
use super::*;
use acequia::{ErrorKind, QueryRun, StreamingQueryListener};
use acequia_core::{BatchId, Sink, SinkContext, SinkReceipt, SinkWriter};
use async_trait::async_trait;
use futures::TryStreamExt;
use parking_lot::Mutex;

/// So many tries, without waiting.
fn tries(tries: u32) -> RetryPolicy {
    RetryPolicy { tries, ..RetryPolicy::NEVER }
}

/// Counts what queries try again.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl StreamingQueryListener for Told {
    fn on_query_retry(&self, _query: &QueryRun, error: &Error, _wait: Duration) {
        self.0.lock().push(error.to_string());
    }
}

/// A sink whose output ends with the process.
#[derive(Debug)]
struct Fleeting(RecordingSink);

#[async_trait]
impl Sink for Fleeting {
    async fn open(&mut self, context: SinkContext) -> Result<()> {
        self.0.open(context).await
    }
    async fn writer(&self, batch: BatchId) -> Result<Box<dyn SinkWriter>> {
        self.0.writer(batch).await
    }
    async fn publish(&self, batch: BatchId, receipts: &[SinkReceipt]) -> Result<()> {
        self.0.publish(batch, receipts).await
    }
    async fn last_published(&self) -> Result<Option<BatchId>> {
        Ok(None)
    }
    fn durable(&self) -> bool {
        false
    }
}

/// How many operations a query takes to start.
async fn operations_to_start(world: &World, sql: &str) -> usize {
    let operations = Operations::default();
    let pause = operations.pause("offsets/0");
    let query = world.start(sql, &Trial::default(), &operations).await.unwrap();
    pause.reached.await.unwrap();
    let count = operations.count();
    drop(pause.go);
    query.await_termination().await.unwrap();
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outage_at_any_operation_changes_nothing() {
    let mut outages = 0;
    for (number, (name, sql)) in QUERIES.iter().enumerate() {
        let mut world = World::new().await;
        let (expected, operations) = world.undisturbed(sql).await;
        let first = operations_to_start(&world, sql).await + 1;
        world.retry = tries(20);
        for at in (first + number % 7..=operations).step_by(7) {
            for (fault, lasts) in [(Fault::Before, 1), (Fault::After, 1), (Fault::Before, 6)] {
                let trial = Trial::default();
                let failing = Operations::failing_for(At::Operation(at), fault, lasts);
                let what = format!("{name}: operation {at} and {lasts} more fail, {fault:?} their effect");
                world.run(sql, &trial, &failing).await.unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(trial.output.published(), expected, "{what}");
                outages += 1;
            }
        }
    }
    println!("{} queries, {outages} outages", QUERIES.len());
    assert!(outages > 300, "{outages}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outage_gives_a_sink_that_forgets_every_batch_once() {
    let mut world = World::new().await;
    let sql = query("windowed_update");
    let (expected, operations) = world.undisturbed(sql).await;
    let first = operations_to_start(&world, sql).await + 1;
    world.retry = tries(20);
    for at in first..=operations {
        for fault in [Fault::Before, Fault::After] {
            let (trial, failing) = (Trial::default(), Operations::failing_for(At::Operation(at), fault, 2));
            let mut definition = world.definition("q", sql, &trial, &failing).await.unwrap();
            let (output, operations) = (Arc::clone(&trial.output), failing.clone());
            definition.sink = Box::new(Fleeting(RecordingSink { output, operations }));
            start(definition).await.unwrap().await_termination().await.unwrap();
            assert_eq!(trial.output.published(), expected, "operation {at}, {fault:?}");
        }
    }
}

#[tokio::test]
async fn what_never_answers_again_ends_the_query_with_its_first_error_and_the_number_of_tries() {
    let mut world = World::new().await;
    let sql = query("unwindowed_update");
    world.retry = tries(5);
    let (trial, told) = (Trial::default(), Arc::new(Told::default()));
    let away = Operations::failing(At::Name("commits/1".into()), Fault::Before);
    let definition = world.definition("q", sql, &trial, &away).await.unwrap();
    definition.listeners.add(Arc::clone(&told) as _);
    let error = start(definition).await.unwrap().await_termination().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_contains(&error, &["query `q`: tried 5 times: batch 1: committing", "commits/1", "injected"]);
    assert_eq!(told.0.lock().len(), 4, "{:?}", told.0.lock());
    world.run(sql, &trial, &Operations::default()).await.unwrap();
    assert_eq!(trial.output.published(), world.undisturbed(sql).await.0);
}

#[tokio::test]
async fn query_that_waits_to_try_again_answers_and_stops_when_it_is_told() {
    let mut world = World::new().await;
    let sql = query("unwindowed_update");
    let hour = Duration::from_secs(3600);
    world.retry = RetryPolicy { tries: 5, first_wait: hour, longest_wait: hour, any_error: false };
    let (trial, told) = (Trial::default(), Arc::new(Told::default()));
    let away = Operations::failing(At::Name("finish 2".into()), Fault::Before);
    let definition = world.definition("q", sql, &trial, &away).await.unwrap();
    definition.listeners.add(Arc::clone(&told) as _);
    let query = start(definition).await.unwrap();
    until("the query waits", || !told.0.lock().is_empty()).await;
    let error = query.state().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "half a batch is no state: {error}");
    query.stop().await.unwrap();
    assert_eq!(trial.output.published().len(), 2);
    world.run(sql, &trial, &Operations::default()).await.unwrap();
    assert_eq!(trial.output.published(), world.undisturbed(sql).await.0);
}

#[tokio::test]
async fn batch_of_a_query_without_checkpoint_is_not_tried_again() {
    let mut world = World::new().await;
    world.retry = tries(5);
    let away = Operations::failing_for(At::Name("finish 1".into()), Fault::Before, 1);
    let trial = Trial::default();
    let mut definition = world.definition("q", query("unwindowed_update"), &trial, &away).await.unwrap();
    definition.checkpoint = None;
    let error = start(definition).await.unwrap().await_termination().await.unwrap_err();
    assert_contains(&error, &["query `q`: batch 1: staging the output: injected"]);
    assert_eq!(trial.output.published().len(), 1);
}

/// Lets `link` lead there from now on.
#[cfg(unix)]
fn link(disk: &Disk, to: &str) {
    std::os::unix::fs::symlink(disk.path(to), disk.path("new")).unwrap();
    std::fs::rename(disk.path("new"), disk.path("link")).unwrap();
}

/// Whether the query goes on reading its directory after this was a link to itself for a while.
#[cfg(unix)]
async fn directory_is_away_for_a_while(with: &str) {
    let disk = Disk::new();
    disk.add("a.json", "{\"k\":1}\n");
    link(&disk, "in");
    let told = Arc::new(Told::default());
    let moment = Duration::from_millis(1);
    let policy = RetryPolicy { tries: 10_000, first_wait: moment, longest_wait: moment, any_error: false };
    let session = SessionBuilder::default().retry(policy).listener(Arc::clone(&told) as _).build().unwrap();
    let statements = disk.sql(&format!(
        "CREATE STREAM lines (k BIGINT) WITH (connector = 'file', path = '{{in}}/../link', format = 'json');
         CREATE SINK o WITH (connector = 'file', path = '{{out}}', format = 'csv');
         INSERT INTO o SELECT k FROM lines EMIT APPEND TRIGGER EVERY '10 milliseconds' {with}"
    ));
    session.sql(&statements).await.unwrap();
    session.process_all_available().await.unwrap();
    link(&disk, "link");
    until("listing fails", || !told.0.lock().is_empty()).await;
    link(&disk, "in");
    disk.add("b.json", "{\"k\":2}\n");
    session.process_all_available().await.unwrap();
    session.stop_all().await.unwrap();
    finish(&session).await.unwrap();
    assert_eq!(disk.output("CSV").await, ["1", "2"], "{with}");
}

#[cfg(unix)]
#[tokio::test]
async fn directory_that_cannot_be_listed_for_a_while_is_asked_again() {
    directory_is_away_for_a_while("").await;
    directory_is_away_for_a_while("WITH (checkpoint = '{chk}')").await;
}

#[tokio::test]
async fn no_batch_is_begun_while_the_sink_is_slow() {
    let disk = Disk::new();
    let create = "CREATE STREAM lines (k BIGINT) WITH (connector = 'file', path = '{in}', format = 'json', max_files_per_batch = '1')";
    let world = World::with(&disk.sql(create)).await;
    for n in 0..4 {
        disk.add(&format!("{n}.json"), &format!("{{\"k\":{n}}}\n"));
    }
    let (trial, operations) = (Trial::default(), Operations::default());
    let pauses = ["writer 1", "finish 1", "publish 1"].map(|step| (step, operations.pause(step)));
    let query = world.start("SELECT k FROM lines EMIT APPEND", &trial, &operations).await.unwrap();
    for (step, pause) in pauses {
        pause.reached.await.unwrap();
        // Another query runs to its end meanwhile: there is time for whoever would go on.
        world.undisturbed("SELECT column1 FROM (VALUES (1)) EMIT APPEND").await;
        let objects: Vec<_> =
            trial.store.list(None).map_ok(|o| o.location.to_string()).try_collect().await.unwrap();
        let of = |prefix: &str| objects.iter().filter(|o| o.starts_with(prefix)).count();
        assert_eq!(of("offsets/"), 2, "{step}: {objects:?}");
        assert_eq!(of("sources/lines/files/"), 1, "all files are numbered at once; {step}: {objects:?}");
        pause.go.send(()).unwrap();
    }
    query.process_all_available().await.unwrap();
    query.stop().await.unwrap();
    let rows: Vec<_> = trial.output.published().into_values().flatten().collect();
    assert_eq!(rows, ["0", "1", "2", "3"]);
}
