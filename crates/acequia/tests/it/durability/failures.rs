//! Queries that fail: what they say, and that they can go on when the cause is gone.

use super::faults::{At, Fault, Operations};
use super::files::{Disk, finish};
use super::*;
use acequia::ErrorKind;
use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use futures::TryStreamExt;
use std::path::Path as FilePath;

#[tokio::test]
async fn error_names_query_batch_and_step() {
    let world = World::new().await;
    let sql = query("unwindowed_update");
    let steps = [
        ("offsets/1", "deciding what it reads"),
        ("writer 1", "staging the output"),
        ("finish 1", "staging the output"),
        ("write 1", "injected"),
        ("commits/1", "committing"),
        ("publish 1", "publishing the output"),
    ];
    for (name, step) in steps {
        let dies = Operations::failing(At::Name(name.into()), Fault::Before);
        let error = world.run(sql, &Trial::default(), &dies).await.unwrap_err();
        assert_contains(&error, &["query `q`: batch 1: ", step]);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}

/// Puts a file where a directory must be, and gives back what was there.
struct Obstacle<'a> {
    at: &'a FilePath,
    kept: std::path::PathBuf,
}

impl<'a> Obstacle<'a> {
    fn new(at: &'a FilePath) -> Self {
        let kept = at.with_extension("kept");
        std::fs::rename(at, &kept).unwrap();
        std::fs::write(at, "in the way").unwrap();
        Self { at, kept }
    }
}

impl Drop for Obstacle<'_> {
    fn drop(&mut self) {
        std::fs::remove_file(self.at).unwrap();
        std::fs::rename(&self.kept, self.at).unwrap();
    }
}

#[tokio::test]
async fn directory_that_cannot_be_written_is_named_and_the_query_goes_on_when_it_can() {
    let disk = Disk::new();
    let insert = disk.sql("INSERT INTO o SELECT k, count(*) AS n FROM s GROUP BY k EMIT CHANGES WITH (name = 'q', checkpoint = '{chk}')");
    let session = disk
        .run("CREATE STREAM s (k BIGINT); CREATE SINK o WITH (connector = 'parquet', path = '{out}')")
        .await
        .unwrap();
    session.sql(&insert).await.unwrap();
    session.sql("INSERT INTO s VALUES (1)").await.unwrap();
    session.process_all_available().await.unwrap();
    let own = std::fs::read_dir(disk.path("out/_acequia")).unwrap().next().unwrap().unwrap().path();
    let places = [disk.path("chk/offsets"), disk.path("chk/commits"), own.join("staging"), own.join("log")];
    for place in &places {
        let name = place.file_name().unwrap().to_str().unwrap();
        let obstacle = Obstacle::new(place);
        session.sql("INSERT INTO s VALUES (1)").await.unwrap();
        let error = session.process_all_available().await.unwrap_err();
        assert_contains(&error, &["query `q`: batch ", name]);
        assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
        drop(obstacle);
        session.sql(&insert).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        session.process_all_available().await.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let mut expected = vec!["1|1|+I".to_string()];
    for n in 1..=places.len() {
        expected.extend([format!("1|{n}|-U"), format!("1|{}|+U", n + 1)]);
    }
    expected.sort();
    assert_eq!(disk.output("PARQUET").await, expected);
}

#[tokio::test]
async fn panic_is_an_internal_error_and_the_query_goes_on_without_its_cause() {
    let world = World::with("CREATE STREAM s (k BIGINT)").await;
    let unlucky = |arguments: &[ColumnarValue]| {
        if let ColumnarValue::Array(values) = &arguments[0]
            && values.as_primitive::<Int64Type>().values().contains(&13)
        {
            panic!("thirteen");
        }
        Ok(arguments[0].clone())
    };
    let types = (vec![DataType::Int64], DataType::Int64);
    let udf = create_udf("unlucky", types.0, types.1, Volatility::Immutable, Arc::new(unlucky));
    world.session.context().register_udf(udf);
    let trial = Trial::default();
    let sql = "SELECT unlucky(k) AS k, count(*) AS n FROM s GROUP BY unlucky(k) EMIT UPDATE";
    let query = world.start(sql, &trial, &Operations::default()).await.unwrap();
    world.session.sql("INSERT INTO s VALUES (1)").await.unwrap();
    query.process_all_available().await.unwrap();
    world.session.sql("INSERT INTO s VALUES (13)").await.unwrap();
    let error = query.process_all_available().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_contains(&error, &["query `q`", "thirteen"]);
    assert!(!query.is_active());
    assert_eq!(trial.output.published().len(), 1);
    let again = world.start(sql, &trial, &Operations::default()).await.unwrap();
    again.await_termination().await.expect_err("the batch is the same");
    assert_eq!(trial.output.published().len(), 1);
}

#[tokio::test]
async fn malformed_record_names_stream_file_and_line_and_may_be_skipped_afterwards() {
    let disk = Disk::new();
    let statements = |on_error: &str| {
        format!(
            "CREATE STREAM lines (k BIGINT) WITH (connector = 'file', path = '{{in}}', format = 'json', on_error = '{on_error}');
             CREATE SINK o WITH (connector = 'file', path = '{{out}}', format = 'csv');
             INSERT INTO o SELECT k FROM lines EMIT APPEND TRIGGER AVAILABLE NOW WITH (name = 'q', checkpoint = '{{chk}}')"
        )
    };
    disk.add("a.json", "{\"k\":1}\n");
    finish(&disk.run(&statements("fail")).await.unwrap()).await.unwrap();
    disk.add("b.json", "{\"k\":2}\n{\"k\":\n{\"k\":3}\n");
    for _ in 0..2 {
        let session = disk.run(&statements("fail")).await.unwrap();
        let error = finish(&session).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "{error}");
        assert_contains(&error, &["query `q`", "batch 1", "stream `lines`", "b.json", "line=2"]);
        assert_eq!(disk.output("CSV").await, ["1"]);
    }
    finish(&disk.run(&statements("skip")).await.unwrap()).await.unwrap();
    assert_eq!(disk.output("CSV").await, ["1", "2", "3"]);
}

/// Threads of this process with this name.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").map(|tasks| tasks.flatten().collect()).unwrap_or(vec![]);
    let named = |task: &std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    tasks.iter().filter(|task| named(task)).count()
}

#[tokio::test]
async fn a_thousand_restarts_leave_no_growth_and_no_threads() {
    let world = World::with("CREATE STREAM s (k BIGINT)").await;
    let sql = "SELECT k % 3 AS k, count(*) AS n FROM s GROUP BY k % 3 EMIT UPDATE";
    let trial = Trial::default();
    let mut objects = vec![];
    for round in 0..1_000 {
        world.session.sql(&format!("INSERT INTO s VALUES ({round})")).await.unwrap();
        let query = world.start_as("cycle", sql, &trial, &Operations::default()).await.unwrap();
        query.process_all_available().await.unwrap();
        query.stop().await.unwrap();
        let listed: Vec<_> = trial.store.list(None).try_collect().await.unwrap();
        objects.push(listed.len());
    }
    assert_eq!(trial.output.published().len(), 1_000);
    let (middle, last) = (objects[499], objects[999]);
    assert!(last <= middle + 10, "objects: after 500 runs {middle}, after 1000 {last}");
    assert!(last < 400, "offsets, commit and state of 100 batches, and some epochs: {last} objects");
    until("threads have ended", || threads("acequia-cycle") == 0).await;
}
