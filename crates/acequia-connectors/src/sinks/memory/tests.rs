use super::*;
use acequia_core::{Epoch, QueryId, SystemClock};
use arrow::array::{Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, true), Field::new("v", DataType::Utf8, true)]))
}

fn rows(pairs: &[(Option<i64>, &str)]) -> RecordBatch {
    let keys = Int64Array::from_iter(pairs.iter().map(|p| p.0));
    let values = StringArray::from_iter_values(pairs.iter().map(|p| p.1));
    RecordBatch::try_new(schema(), vec![Arc::new(keys), Arc::new(values)]).unwrap()
}

fn content(table: &MemoryTable) -> Vec<(Option<i64>, String)> {
    let mut out = vec![];
    for batch in table.snapshot().unwrap() {
        let keys = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
        let values = batch.column(1).as_any().downcast_ref::<StringArray>().unwrap();
        out.extend(
            (0..batch.num_rows()).map(|i| (keys.is_valid(i).then(|| keys.value(i)), values.value(i).into())),
        );
    }
    out
}

async fn open(table: &Arc<MemoryTable>, mode: OutputMode, key: Option<&[usize]>) -> MemorySink {
    let mut sink = MemorySink::new(&SinkEnvironment {
        console: Arc::new(super::super::console::Captured::default()),
        memory: Arc::clone(table),
        on_batch: None,
        disk: acequia_core::disk::Disk::default(),
        clock: Arc::new(SystemClock::default()),
    });
    let context = SinkContext {
        query: QueryId("q".into()),
        epoch: Epoch(1),
        schema: schema(),
        mode,
        key: key.map(<[usize]>::to_vec),
    };
    sink.open(context).await.unwrap();
    sink
}

async fn stage(sink: &MemorySink, batch: u64, part: SinkBatch) -> SinkReceipt {
    let mut writer = sink.writer(BatchId(batch)).await.unwrap();
    writer.write(part).await.unwrap();
    writer.finish().await.unwrap()
}

async fn run(sink: &MemorySink, batch: u64, part: impl Into<SinkBatch>) {
    let receipt = stage(sink, batch, part.into()).await;
    sink.publish(BatchId(batch), &[receipt]).await.unwrap();
}

fn owned(pairs: &[(Option<i64>, &str)]) -> Vec<(Option<i64>, String)> {
    pairs.iter().map(|(k, v)| (*k, v.to_string())).collect()
}

#[tokio::test]
async fn append_adds_and_a_restart_goes_on() {
    let table = MemoryTable::new();
    let sink = open(&table, OutputMode::Append, None).await;
    run(&sink, 0, rows(&[(Some(1), "a"), (None, "b")])).await;
    let sink = open(&table, OutputMode::Append, None).await;
    run(&sink, 1, rows(&[(Some(1), "a")])).await;
    assert_eq!(content(&table), owned(&[(Some(1), "a"), (None, "b"), (Some(1), "a")]));
}

#[tokio::test]
async fn complete_replaces_all_also_by_nothing() {
    let table = MemoryTable::new();
    let sink = open(&table, OutputMode::Complete, Some(&[0])).await;
    run(&sink, 0, rows(&[(Some(1), "a"), (Some(1), "same key, still a row")])).await;
    assert_eq!(table.num_rows(), 2);
    run(&sink, 1, rows(&[(Some(2), "b")])).await;
    assert_eq!(content(&table), owned(&[(Some(2), "b")]));
    run(&sink, 2, rows(&[])).await;
    assert_eq!(content(&table), vec![]);
}

#[tokio::test]
async fn update_replaces_by_key_and_null_is_a_key() {
    let table = MemoryTable::new();
    let sink = open(&table, OutputMode::Update, Some(&[0])).await;
    run(&sink, 0, rows(&[(Some(1), "a"), (None, "n"), (Some(2), "b")])).await;
    let deletes = Some(rows(&[(Some(2), "b"), (Some(9), "never seen")]));
    run(&sink, 1, SinkBatch { rows: rows(&[(None, "m")]), deletes }).await;
    let mut now = content(&table);
    now.sort();
    assert_eq!(now, owned(&[(None, "m"), (Some(1), "a")]));
}

#[tokio::test]
async fn update_without_a_key_adds() {
    let table = MemoryTable::new();
    let sink = open(&table, OutputMode::Update, None).await;
    run(&sink, 0, rows(&[(Some(1), "a"), (Some(1), "a")])).await;
    assert_eq!(table.num_rows(), 2);
}

#[tokio::test]
async fn update_under_the_empty_key_keeps_one_row() {
    let table = MemoryTable::new();
    let sink = open(&table, OutputMode::Update, Some(&[])).await;
    run(&sink, 0, rows(&[(Some(1), "a")])).await;
    run(&sink, 1, rows(&[(Some(2), "b")])).await;
    assert_eq!(content(&table), owned(&[(Some(2), "b")]));
    run(&sink, 2, rows(&[])).await;
    assert_eq!(table.num_rows(), 1);
    run(&sink, 3, SinkBatch { rows: rows(&[]), deletes: Some(rows(&[(Some(2), "b")])) }).await;
    assert_eq!(table.num_rows(), 0);
}

#[tokio::test]
async fn another_mode_starts_empty() {
    let table = MemoryTable::new();
    let sink = open(&table, OutputMode::Append, None).await;
    run(&sink, 0, rows(&[(Some(1), "a")])).await;
    open(&table, OutputMode::Update, Some(&[0])).await;
    assert_eq!(table.num_rows(), 0);
}

#[tokio::test]
async fn listeners_hear_each_published_batch_once_with_the_table_up_to_date() {
    let table = MemoryTable::new();
    let heard = Arc::new(Mutex::new(vec![]));
    let (log, seen) = (Arc::clone(&heard), Arc::clone(&table));
    table.subscribe(move |published| {
        let rows: usize = published.parts.iter().map(|p| p.rows.num_rows()).sum();
        log.lock().push((published.batch.0, rows, seen.num_rows()));
    });
    let sink = open(&table, OutputMode::Append, None).await;
    let lost = stage(&sink, 0, rows(&[(Some(7), "lost attempt")]).into()).await;
    let kept = stage(&sink, 0, rows(&[(Some(1), "a"), (Some(2), "b")]).into()).await;
    sink.publish(BatchId(0), std::slice::from_ref(&kept)).await.unwrap();
    sink.publish(BatchId(0), &[kept]).await.unwrap();
    run(&sink, 1, rows(&[])).await;
    assert_eq!(*heard.lock(), [(0, 2, 2), (1, 0, 2)]);
    assert!(sink.publish(BatchId(2), &[lost]).await.is_err(), "what was dropped is not published as nothing");
}

/// Random upserts and deletes against a map, with the bounds that make batches cheap.
#[tokio::test]
async fn update_equals_a_map() {
    for seed in 0..20 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut twin: BTreeMap<Option<i64>, String> = BTreeMap::new();
        let table = MemoryTable::new();
        let sink = open(&table, OutputMode::Update, Some(&[0])).await;
        let keys = if seed % 2 == 0 { 8 } else { 400 };
        for batch in 0..150 {
            let (mut upserts, mut deletes) = (vec![], vec![]);
            for _ in 0..random.random_range(0..12) {
                let key = Some(random.random_range(0..keys)).filter(|k| *k != 3);
                if random.random_bool(0.4) {
                    deletes.push((key, twin.remove(&key).unwrap_or_default()));
                } else {
                    upserts.push((key, format!("{batch}")));
                }
            }
            twin.extend(upserts.iter().cloned());
            let borrow = |v: &[(Option<i64>, String)]| {
                rows(&v.iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>())
            };
            let part = SinkBatch { rows: borrow(&upserts), deletes: Some(borrow(&deletes)) };
            run(&sink, batch, part).await;
            if random.random_bool(0.5) {
                let mut now = content(&table);
                now.sort();
                assert_eq!(now, twin.clone().into_iter().collect::<Vec<_>>(), "seed {seed} batch {batch}");
            }
        }
        let (chunks, stored) = table.content.lock().as_ref().unwrap().chunks.stored();
        assert_eq!(table.num_rows(), twin.len());
        assert!(
            stored <= 2 * twin.len() + 1,
            "dead rows are collected: {stored} stored, {} live",
            twin.len()
        );
        assert!(chunks <= 40, "chunks are merged: {chunks}");
    }
}

#[tokio::test]
async fn many_small_appends_make_few_chunks() {
    let table = MemoryTable::new();
    let sink = open(&table, OutputMode::Append, None).await;
    for batch in 0..1000 {
        run(&sink, batch, rows(&[(Some(batch as i64), "x")])).await;
    }
    assert_eq!(table.num_rows(), 1000);
    assert!(table.snapshot().unwrap().len() <= 10);
}
