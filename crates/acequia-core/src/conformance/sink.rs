//! The promises of [`Sink`], checked over an implementation.

use super::epoch;
use crate::{BatchId, OutputMode, QueryId, Result, Sink, SinkBatch, SinkContext, SinkReceipt};
use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::future::Future;
use std::sync::Arc;

/// How a suite gets at the sink under test.
pub trait Fixture {
    /// A new sink object over the same place, as after a restart; not opened yet.
    fn create(&self) -> Result<Box<dyn Sink>>;
    /// The ids (first column, Int64) of all rows that a plain reader of the place sees, sorted.
    fn visible(&self) -> impl Future<Output = Vec<i64>>;
}

/// The rows that the suite writes: `id` Int64, `name` Utf8 with a NULL and text beyond ASCII.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
    ]))
}

fn rows(ids: std::ops::Range<i64>) -> SinkBatch {
    let names = ids.clone().map(|i| (i % 3 != 0).then(|| format!("näme,\n\"{i}\"")));
    let columns: Vec<arrow::array::ArrayRef> =
        vec![Arc::new(Int64Array::from_iter_values(ids.clone())), Arc::new(StringArray::from_iter(names))];
    RecordBatch::try_new(schema(), columns).unwrap().into()
}

/// Runs every check in `Append` mode.
///
/// # Panics
/// When a promise is broken, naming it.
pub async fn run(fixture: impl Fixture) {
    let mut sink = open(&fixture, 1).await;
    assert_eq!(sink.last_published().await.unwrap(), None, "nothing is published at first");

    let first = stage(sink.as_ref(), 0, 0..10).await;
    assert_eq!(fixture.visible().await, ids(0..0), "what is staged is not visible");
    sink.publish(BatchId(0), std::slice::from_ref(&first)).await.expect("publish succeeds");
    assert_eq!(fixture.visible().await, ids(0..10), "what is published is visible");
    sink.publish(BatchId(0), std::slice::from_ref(&first)).await.expect("publish is idempotent");
    assert_eq!(fixture.visible().await, ids(0..10), "publishing twice changes nothing");

    let empty = stage(sink.as_ref(), 1, 10..10).await;
    sink.publish(BatchId(1), &[empty]).await.expect("an empty batch is published");
    assert_eq!(fixture.visible().await, ids(0..10), "an empty batch changes nothing");

    if sink.durable() {
        restarts(&fixture, sink, first).await;
    } else {
        sink = open(&fixture, 2).await;
        assert_eq!(
            sink.last_published().await.unwrap(),
            None,
            "what does not outlive the process is not claimed"
        );
    }
}

async fn restarts(fixture: &impl Fixture, sink: Box<dyn Sink>, first: SinkReceipt) {
    // Committed, then crashed before publishing; a half-written attempt lies beside it.
    let second = stage(sink.as_ref(), 2, 10..20).await;
    let mut torn = sink.writer(BatchId(3)).await.unwrap();
    torn.write(rows(500..510)).await.unwrap();
    drop((torn, sink));

    let sink = open(fixture, 2).await;
    assert_eq!(fixture.visible().await, ids(0..10), "opening publishes nothing");
    assert_eq!(
        sink.last_published().await.unwrap(),
        Some(BatchId(1)),
        "the last published batch survives a restart"
    );
    sink.publish(BatchId(2), std::slice::from_ref(&second))
        .await
        .expect("publish works from the receipts alone");
    assert_eq!(fixture.visible().await, ids(0..20), "a committed batch is published after a restart");
    assert_eq!(sink.last_published().await.unwrap(), Some(BatchId(2)));
    drop(sink);

    // Staged and never committed: the batch is run again by the next run, with other receipts.
    let sink = open(fixture, 3).await;
    stage(sink.as_ref(), 3, 20..30).await;
    drop(sink);
    let sink = open(fixture, 4).await;
    let again = stage(sink.as_ref(), 3, 20..30).await;
    sink.publish(BatchId(3), &[again]).await.unwrap();
    assert_eq!(fixture.visible().await, ids(0..30), "a batch that was run again is there once");
    sink.publish(BatchId(0), &[first]).await.expect("publishing an old batch again succeeds");
    sink.publish(BatchId(2), &[second]).await.expect("publishing an old batch again succeeds");
    assert_eq!(fixture.visible().await, ids(0..30), "publishing old batches again changes nothing");
    assert_eq!(sink.last_published().await.unwrap(), Some(BatchId(3)));
}

async fn open(fixture: &impl Fixture, run: u64) -> Box<dyn Sink> {
    let mut sink = fixture.create().expect("the sink is created");
    let context = SinkContext {
        query: QueryId("conformance".to_string()),
        epoch: epoch(run),
        schema: schema(),
        mode: OutputMode::Append,
        key: None,
    };
    sink.open(context).await.expect("the sink opens");
    sink
}

/// Writes rows in two calls and sends the receipt through JSON, as the commit log does.
async fn stage(sink: &dyn Sink, batch: u64, ids: std::ops::Range<i64>) -> SinkReceipt {
    let middle = ids.start + (ids.end - ids.start) / 2;
    let mut writer = sink.writer(BatchId(batch)).await.expect("a writer opens");
    writer.write(rows(ids.start..middle)).await.expect("write succeeds");
    writer.write(rows(middle..ids.end)).await.expect("write succeeds");
    let receipt = writer.finish().await.expect("finish succeeds");
    assert_eq!(receipt.rows, (ids.end - ids.start) as u64, "the receipt counts the rows");
    serde_json::from_str(&serde_json::to_string(&receipt).unwrap()).unwrap()
}

fn ids(range: std::ops::Range<i64>) -> Vec<i64> {
    range.collect()
}
