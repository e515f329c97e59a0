//! Output into the program: `foreach_batch`, `foreach`, `to_stream`, tables.

use super::*;
use acequia::{BatchId, Error, ErrorKind, ForeachWriter, RetryPolicy, UserError};
use futures::StreamExt;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn files(rows: std::ops::Range<usize>, into: &std::path::Path) {
    std::fs::create_dir_all(into).unwrap();
    for n in rows {
        std::fs::write(into.join(format!("{n:03}.json")), format!("{{\"n\": {n}}}\n")).unwrap();
    }
}

/// A session with a stream of numbers, a batch for each file.
async fn numbers(directory: &std::path::Path) -> (Session, DataFrame) {
    let session = Session::new().unwrap();
    let path = directory.join("in");
    std::fs::create_dir_all(&path).unwrap();
    let columns = acequia::arrow::datatypes::Schema::new(vec![acequia::arrow::datatypes::Field::new(
        "n",
        acequia::arrow::datatypes::DataType::Int64,
        true,
    )]);
    let reader = session.read_stream().file("json", path.to_str().unwrap());
    let reader = reader.option("max_files_per_batch", "1").schema(Arc::new(columns));
    (session.clone(), reader.load().await.unwrap())
}

/// What a program that is idempotent by batch id keeps, and how often it was called.
#[derive(Default)]
struct Kept {
    batches: Mutex<BTreeMap<u64, Vec<String>>>,
    calls: AtomicUsize,
}

#[tokio::test]
async fn a_batch_whose_function_failed_comes_again_with_its_id_and_rows() {
    let place = tempfile::tempdir().unwrap();
    let kept = Arc::new(Kept::default());
    files(0..6, &place.path().join("in"));
    for attempt in 0..12 {
        let (_session, frame) = numbers(place.path()).await;
        let own = Arc::clone(&kept);
        let query = frame
            .write_stream()
            .trigger(Trigger::AvailableNow)
            .checkpoint(place.path().join("checkpoint").to_str().unwrap())
            .foreach_batch(move |batch| {
                let kept = Arc::clone(&own);
                async move {
                    let rows: Vec<RecordBatch> = batch.rows().cloned().collect();
                    let before = kept.batches.lock().insert(batch.id().0, lines(&rows));
                    assert!(before.is_none_or(|before| before == lines(&rows)), "the same rows again");
                    // Every second call fails, after its effect.
                    match kept.calls.fetch_add(1, Ordering::SeqCst) % 2 {
                        0 => Err::<(), UserError>("out of paper".into()),
                        _ => Ok(()),
                    }
                }
            })
            .await
            .unwrap();
        match query.await_termination().await {
            Ok(()) => break,
            Err(error) => {
                assert!(attempt < 6, "{error}");
                assert_eq!(error.kind(), ErrorKind::Invalid);
                assert!(error.message().contains("foreach_batch failed: out of paper; batch="), "{error}");
                assert!(query.status().message.contains("start it again with its checkpoint"));
            }
        }
    }
    let batches = kept.batches.lock();
    assert_eq!(batches.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(
        batches.values().flatten().cloned().collect::<Vec<_>>(),
        (0..6).map(|n| format!("| {n} |")).collect::<Vec<_>>()
    );
    assert_eq!(kept.calls.load(Ordering::SeqCst), 12, "each batch twice");
}

#[tokio::test]
async fn a_query_goes_on_with_other_options_of_its_source_trigger_and_output() {
    let place = tempfile::tempdir().unwrap();
    let input = place.path().join("in");
    let batches = Arc::new(Mutex::new(Vec::new()));
    let runs =
        [("1", 0..3, Trigger::AvailableNow), ("2", 3..7, Trigger::AvailableNow), ("9", 7..12, Trigger::Once)];
    for (files_per_batch, new, trigger) in runs {
        files(new, &input);
        let session = Session::new().unwrap();
        let reader = session.read_stream().file("json", input.to_str().unwrap());
        let frame = reader.option("max_files_per_batch", files_per_batch).load().await.unwrap();
        let own = Arc::clone(&batches);
        let writer = frame.write_stream().trigger(trigger);
        let writer = writer.checkpoint(place.path().join("checkpoint").to_str().unwrap());
        let query = writer.foreach_batch(move |batch| {
            own.lock().push((batch.id().0, lines(&batch.rows().cloned().collect::<Vec<_>>())));
            async { Ok::<_, UserError>(()) }
        });
        query.await.unwrap().await_termination().await.unwrap();
    }
    let rows = |numbers: std::ops::Range<usize>| {
        let mut rows: Vec<String> = numbers.map(|n| format!("| {n} |")).collect();
        rows.sort();
        rows
    };
    let expected = [0..1, 1..2, 2..3, 3..5, 5..7, 7..12].map(rows);
    let expected: Vec<(u64, Vec<String>)> = (0..).zip(expected).collect();
    assert_eq!(*batches.lock(), expected);
}

#[tokio::test]
async fn errors_and_panics_of_the_program_are_told_and_may_be_tried_again() {
    let place = tempfile::tempdir().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    files(0..1, &place.path().join("in"));
    let start = async |retry: RetryPolicy, checkpoint: bool| {
        let (session, frame) = numbers(place.path()).await;
        let calls = Arc::clone(&calls);
        calls.store(0, Ordering::SeqCst);
        let mut writer = frame.write_stream().trigger(Trigger::AvailableNow).retry(retry);
        if checkpoint {
            writer = writer.checkpoint(place.path().join("checkpoint").to_str().unwrap());
        }
        let query = writer.foreach_batch(move |_| {
            let calls = Arc::clone(&calls);
            async move {
                match calls.fetch_add(1, Ordering::SeqCst) {
                    0 => panic!("no ink"),
                    1 => Err(Error::unavailable("no answer")),
                    2 => Err(Error::data("odd number")),
                    _ => Ok(()),
                }
            }
        });
        let ended = query.await.unwrap().await_termination().await;
        drop(session);
        ended
    };
    let any = RetryPolicy { tries: 9, any_error: true, ..RetryPolicy::NEVER };
    let error = start(RetryPolicy::default(), false).await.unwrap_err();
    assert!(error.message().contains("it panicked: no ink"), "{error}");
    start(any, true).await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}

/// Writes down what it is called with.
struct Told(Arc<Mutex<Vec<String>>>);

impl ForeachWriter<RecordBatch> for Told {
    fn open(&mut self, batch: BatchId) -> Result<bool, UserError> {
        self.0.lock().push(format!("open {batch}"));
        Ok(batch != BatchId(1))
    }
    fn process(&mut self, rows: RecordBatch) -> Result<(), UserError> {
        self.0.lock().extend(lines(&[rows]));
        Ok(())
    }
    fn delete(&mut self, rows: RecordBatch) -> Result<(), UserError> {
        self.0.lock().extend(lines(&[rows]).iter().map(|line| format!("gone {line}")));
        Ok(())
    }
    fn close(&mut self, error: Option<&UserError>) -> Result<(), UserError> {
        self.0.lock().push(format!("close {}", error.is_some()));
        Ok(())
    }
}

#[tokio::test]
async fn a_writer_is_opened_given_rows_and_closed_in_every_batch() {
    let session = session().await;
    let told = Arc::new(Mutex::new(vec![]));
    let frame = session
        .frame("SELECT item, count(*) AS n FROM sales GROUP BY item HAVING count(*) < 2")
        .await
        .unwrap();
    let frame = frame.write_stream().output_mode(OutputMode::Update);
    let query = frame.foreach(Told(Arc::clone(&told))).await.unwrap();
    for (item, price) in [("tea", 1), ("pie", 2), ("tea", 3)] {
        session.sql(&format!("INSERT INTO sales (item, price) VALUES ('{item}', {price})")).await.unwrap();
        query.process_all_available().await.unwrap();
    }
    query.stop().await.unwrap();
    assert_eq!(
        *told.lock(),
        [
            "open 0",
            "| tea | 1 |",
            "close false",
            "open 1",
            "close false",
            "open 2",
            "gone | tea | 1 |",
            "close false"
        ]
    );
}

/// Wants nothing of batch 0, and panics over batch 1.
struct Reluctant(Arc<Mutex<Vec<String>>>);

impl ForeachWriter<RecordBatch> for Reluctant {
    fn open(&mut self, batch: BatchId) -> Result<bool, UserError> {
        Ok(batch != BatchId(0))
    }
    fn process(&mut self, _rows: RecordBatch) -> Result<(), UserError> {
        panic!("no ink")
    }
    fn close(&mut self, error: Option<&UserError>) -> Result<(), UserError> {
        self.0.lock().push(error.map_or_else(|| "well".to_string(), ToString::to_string));
        Ok(())
    }
}

#[tokio::test]
async fn a_writer_is_closed_whatever_it_did() {
    let session = session().await;
    let told = Arc::new(Mutex::new(vec![]));
    let writer = session.table("sales").await.unwrap().write_stream();
    let query = writer.foreach(Reluctant(Arc::clone(&told))).await.unwrap();
    for _ in 0..2 {
        session.sql("INSERT INTO sales (item) VALUES ('tea')").await.unwrap();
    }
    let error = query.await_termination().await.unwrap_err();
    assert!(error.message().contains("it panicked: no ink"), "{error}");
    assert_eq!(*told.lock(), ["well", "it panicked: no ink"]);
}

#[tokio::test]
async fn a_table_whose_query_has_ended_is_begun_anew() {
    let session = session().await;
    let start = async || {
        session
            .table("sales")
            .await
            .unwrap()
            .select(vec![col("item")])
            .unwrap()
            .write_stream()
            .to_table("t")
            .await
    };
    let query = start().await.unwrap();
    assert!(start().await.is_err(), "it is being written");
    query.stop().await.unwrap();
    start().await.unwrap();
    fill(&session).await;
    assert_eq!(table(&session, "t").await.len(), 6);
}

#[tokio::test]
async fn unnamed_streams_never_share_a_name() {
    let session = Session::new().unwrap();
    session.sql("CREATE TABLE stream_2 (k BIGINT)").await.unwrap();
    let load = async || session.read_stream().format("rate").load().await.map(|_| ());
    let (one, two) = tokio::join!(load(), load());
    one.and(two).unwrap();
    session.sql("DROP STREAM stream_1").await.unwrap();
    load().await.unwrap();
    let names: Vec<String> = session.catalog().streams().iter().map(|s| s.name().to_string()).collect();
    assert_eq!(names, ["stream_3", "stream_4"]);
}

#[tokio::test]
async fn a_stream_gives_every_row_once_and_dropping_it_stops_the_query() {
    let session = session().await;
    let sales = session.table("sales").await.unwrap().select(vec![col("item")]).unwrap();
    let mut stream = sales.write_stream().to_stream().await.unwrap();
    let query = Arc::clone(stream.query());
    for n in 0..50 {
        session.sql(&format!("INSERT INTO sales (item) VALUES ('{n:02}'), ('again')")).await.unwrap();
    }
    let mut rows = vec![];
    while rows.len() < 100 {
        rows.extend(lines(&[stream.next().await.unwrap().unwrap()]));
    }
    rows.retain(|row| !row.contains("again"));
    assert_eq!(rows, (0..50).map(|n| format!("| {n:02} |")).collect::<Vec<_>>());
    session.sql("INSERT INTO sales (item) VALUES ('unread')").await.unwrap();
    drop(stream);
    query.await_termination().await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_with_its_query() {
    let place = tempfile::tempdir().unwrap();
    let (_session, frame) = numbers(place.path()).await;
    files(0..3, &place.path().join("in"));
    let good = frame.clone().write_stream().trigger(Trigger::AvailableNow).to_stream().await.unwrap();
    assert_eq!(good.map(|rows| rows.unwrap().num_rows()).collect::<Vec<_>>().await, [1, 1, 1]);
    std::fs::write(place.path().join("in/100.json"), "{\"n\": no}").unwrap();
    let bad = frame.write_stream().trigger(Trigger::AvailableNow).to_stream().await.unwrap();
    let items: Vec<_> = bad.collect().await;
    assert_eq!(items.iter().filter(|item| item.is_ok()).count(), 3);
    let error = items.into_iter().last().unwrap().unwrap_err();
    assert!(error.message().contains("100.json"), "{error}");
}

#[tokio::test]
async fn what_output_cannot_be_is_refused() {
    let session = session().await;
    let sales = async || session.table("sales").await.unwrap().write_stream();
    let message = |error: Error| error.message().to_string();
    let checkpoint = sales().await.checkpoint("never").to_stream().await.map(|_| ()).unwrap_err();
    assert!(message(checkpoint).contains("use foreach_batch"));
    let top = session
        .frame("SELECT item, count(*) AS n FROM sales GROUP BY item HAVING count(*) < 2")
        .await
        .unwrap();
    let leaves =
        top.write_stream().output_mode(OutputMode::Update).to_stream().await.map(|_| ()).unwrap_err();
    assert!(message(leaves).contains("OutputMode::Changes"));
    let option =
        sales().await.option("path", "x").foreach_batch(async |_| Ok::<_, Error>(())).await.unwrap_err();
    assert!(message(option).contains("`path`"));
    let nameless = sales().await.format("memory").start().await.unwrap_err();
    assert!(message(nameless).contains("query_name()"));
    let taken = sales().await.to_table("visits").await.unwrap_err();
    assert!(message(taken).contains("name is taken"));
    let format = sales().await.format("parquet").to_table("t").await.unwrap_err();
    assert!(message(format).contains("takes no format: `parquet`"));
    let both = session.table("sales").await.unwrap().join(
        session.table("sales").await.unwrap(),
        JoinType::Inner,
        &["shop"],
    );
    let twice = both.unwrap().write_stream().to_table("t").await.unwrap_err();
    assert!(message(twice).contains("two columns of the table would have one name: `item`"));
    let nowhere = tempfile::tempdir().unwrap().path().join("nowhere");
    let missing = session.read_state(nowhere.to_str().unwrap()).load().await.unwrap_err();
    assert!(message(missing).contains("there is no checkpoint") && !nowhere.exists());
}

#[tokio::test]
async fn tables_in_memory_are_views_and_files_are_partitioned() {
    let session = session().await;
    let place = tempfile::tempdir().unwrap();
    let sales = async || session.table("sales").await.unwrap().drop(&["tags"]).unwrap();
    let counts = sales().await.group_by(vec![col("item")]).count().unwrap();
    let writer = counts.write_stream().format("memory").query_name("counts");
    let query = writer.output_mode(OutputMode::Complete).start().await.unwrap();
    assert_eq!(query.name(), "counts");
    let most = session.frame("SELECT max(count) AS most FROM counts").await.unwrap();
    assert_eq!(lines(&most.clone().collect().await.unwrap()), ["| |"]);
    let path = place.path().to_str().unwrap();
    let files =
        sales().await.write_stream().format("parquet").option("path", path).partition_by(&["shop", "item"]);
    files.start().await.unwrap();
    fill(&session).await;
    assert_eq!(table(&session, "counts").await, ["| jam | 1 |", "| pie | 1 |", "| tea | 4 |"]);
    assert_eq!(lines(&most.collect().await.unwrap()), ["| 4 |"]);
    assert!(place.path().join("shop=south/item=jam").is_dir());
}

#[tokio::test]
async fn queries_end_with_their_session() {
    let session = session().await;
    let frame = session.table("sales").await.unwrap();
    let (told, heard) = tokio::sync::oneshot::channel::<()>();
    // Lives as long as the query's sink.
    let alive = Arc::new(Mutex::new(Some(told)));
    let writer = frame.write_stream();
    let query = writer.foreach_batch(move |batch| {
        let alive = Arc::clone(&alive);
        async move {
            assert!(alive.lock().is_some() && batch.frame().is_ok());
            Ok::<_, Error>(())
        }
    });
    drop(query.await.unwrap());
    fill(&session).await;
    drop(session);
    let ended = tokio::time::timeout(Duration::from_secs(20), heard).await;
    assert!(ended.is_ok_and(|heard| heard.is_err()), "the query runs on without its session");
}

#[tokio::test]
async fn busy_queries_end_with_their_session_too() {
    let session = Session::new().unwrap();
    let ticks = session.read_stream().format("rate").option("rows_per_batch", "1").load().await.unwrap();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let writer = ticks.write_stream();
    let query = writer.foreach_batch(move |batch| std::future::ready(told.send(batch.id()))).await.unwrap();
    heard.recv().await.unwrap();
    drop(session);
    let ended = tokio::time::timeout(Duration::from_secs(20), query.await_termination()).await;
    ended.expect("the query ends, whoever has its handle").unwrap();
}

#[tokio::test]
async fn a_stream_with_unread_rows_can_be_stopped() {
    let session = session().await;
    let sales = session.table("sales").await.unwrap().select(vec![col("item")]).unwrap();
    let mut stream = sales.write_stream().to_stream().await.unwrap();
    for n in 0..5 {
        session.sql(&format!("INSERT INTO sales (item) VALUES ('{n}')")).await.unwrap();
    }
    stream.next().await.unwrap().unwrap();
    let query = Arc::clone(stream.query());
    let stopped = tokio::time::timeout(Duration::from_secs(20), query.stop()).await;
    stopped.expect("it stops").unwrap();
    while let Some(rows) = stream.next().await {
        rows.unwrap();
    }
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn queries_that_start_together_have_names_of_their_own() {
    let session = session().await;
    let start =
        async || session.table("sales").await.unwrap().write_stream().format("blackhole").start().await;
    let (one, two) = tokio::join!(start(), start());
    assert_ne!(one.unwrap().name(), two.unwrap().name());
    assert_eq!(session.streams().active().len(), 2);
    let named = async || {
        let writer = session.table("sales").await.unwrap().write_stream().query_name("same");
        writer.format("blackhole").start().await
    };
    let (one, two) = tokio::join!(named(), named());
    assert_eq!([one, two].iter().filter(|started| started.is_ok()).count(), 1);
}
