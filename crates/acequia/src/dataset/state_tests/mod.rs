//! What keeps state for each key, as the engine runs it.

mod cases;
mod random;

use super::processor::Typed;
use super::{
    KeyContext, ListState, MapState, Row, RowCodec, StatefulProcessor, TimeMode, ValueState, Variables,
};
use crate::exec::{BatchContext, KeyedStateSpec, Operator, Sharding, Shards, TimeBound};
use acequia_core::conformance::stateful::{Fixture, run};
use acequia_core::state::{Stateful, TableDef, TableDelta};
use acequia_core::{BatchId, Error, ErrorKind, OperatorId, Result, Timestamp, Watermark};
use acequia_state::{Checkpoint, StateManifest, StateStore};
use arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use object_store::memory::InMemory;
use object_store::path::Path;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A row: a key, a time in microseconds, a number.
type Input = (String, i64, i64);
type Output = (String, String, i64);

fn input_batch(rows: &[Input]) -> RecordBatch {
    let keys: Vec<String> = rows.iter().map(|row| row.0.clone()).collect();
    let columns: Vec<ArrayRef> = vec![
        RowCodec::<String>::try_new().unwrap().array(&keys).unwrap(),
        RowCodec::<Input>::try_new().unwrap().array(rows).unwrap(),
        Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.1))),
    ];
    let names = ["key", "row", "time"];
    let field = |(name, column): (&str, &ArrayRef)| Field::new(name, column.data_type().clone(), true);
    let fields: Vec<Field> = names.into_iter().zip(&columns).map(field).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn operator<P>(processor: P, mode: TimeMode, shards: usize) -> Box<dyn Operator>
where
    P: StatefulProcessor<Key = String, Input = Input>,
{
    let bound = TimeBound::new(|watermark| Ok(watermark.0));
    let spec = KeyedStateSpec {
        operator: OperatorId(0),
        processor: Arc::new(Typed::try_new(processor, mode).unwrap()),
        input_schema: input_batch(&[]).schema(),
        initial: None,
        time: (mode == TimeMode::EventTime).then_some((2, bound)),
        emitted_time: None,
    };
    Sharding::keyed_state(spec, Shards::new(shards).unwrap()).unwrap().operator
}

/// A batch: its rows, its watermark, its time.
#[derive(Debug, Clone)]
struct Batch {
    rows: Vec<Input>,
    watermark: Option<i64>,
    time: i64,
}

fn context(batch: usize, of: &Batch) -> BatchContext {
    let watermark = Watermark(of.watermark.map(Timestamp));
    BatchContext {
        batch: BatchId(batch as u64),
        watermark,
        late_watermark: watermark,
        previous_watermark: Watermark(None),
        batch_time: Timestamp(of.time),
        durable: true,
    }
}

fn emitted(operator: &mut dyn Operator, number: usize, batch: &Batch) -> Result<Vec<Output>> {
    let context = context(number, batch);
    if !batch.rows.is_empty() {
        operator.push(&context, 0, input_batch(&batch.rows))?;
    }
    let codec = RowCodec::<Output>::try_new()?;
    let rows =
        operator.finish(&context)?.iter().map(|rows| codec.decode(rows)).collect::<Result<Vec<_>>>()?;
    Ok(rows.into_iter().flatten().collect())
}

/// State in a checkpoint.
struct Saved {
    checkpoint: Checkpoint,
    store: StateStore,
    manifest: StateManifest,
}

impl Saved {
    async fn new() -> Self {
        let checkpoint = Checkpoint::open(Arc::new(InMemory::new()), Path::from("c")).await.unwrap();
        let store = checkpoint.state_store().with_carried_bytes(0);
        Self { checkpoint, store, manifest: StateManifest::default() }
    }

    async fn seal(&mut self, batch: usize, deltas: Vec<TableDelta>) {
        self.manifest = self.store.seal(BatchId(batch as u64), deltas).await.unwrap();
    }

    async fn restore(&mut self, operator: &mut dyn Operator) -> Result<()> {
        self.store = self.checkpoint.state_store().with_carried_bytes(0);
        let reader = self.store.restore(&self.manifest).await?;
        for table in operator.tables() {
            let mut each = |rows: RecordBatch| operator.restore(&table.name, rows);
            let mut all: Vec<RecordBatch> = vec![];
            reader
                .rows(OperatorId(0), &table.name, &mut |rows| {
                    all.push(rows);
                    Ok(())
                })
                .await?;
            all.into_iter().try_for_each(&mut each)?;
        }
        Ok(())
    }
}

/// Runs batches, beginning again from the checkpoint with this probability, each time with another number of shards.
async fn run_batches<P>(
    make: fn() -> P,
    mode: TimeMode,
    batches: &[Batch],
    random: &mut SmallRng,
    restarts: f64,
) -> Vec<Output>
where
    P: StatefulProcessor<Key = String, Input = Input>,
{
    let mut saved = Saved::new().await;
    let mut running = operator(make(), mode, [1, 4][random.random_range(0..2)]);
    let mut output = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        output.extend(emitted(&mut *running, number, batch).unwrap());
        saved.seal(number, running.take_deltas().unwrap()).await;
        if random.random_bool(restarts) {
            running = operator(make(), mode, [1, 2, 4][random.random_range(0..3)]);
            saved.restore(&mut *running).await.unwrap();
        }
    }
    output.sort();
    output
}

/// The rows in batches of random sizes, some of them empty. The watermark is the latest time below which no row comes.
fn cut(rows: &[Input], random: &mut SmallRng) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut left = rows;
    let mut time = 0;
    while !left.is_empty() {
        let (now, later) = left.split_at(random.random_range(0..=left.len().min(12)));
        let watermark = left.iter().map(|row| row.1).min();
        time += random.random_range(0..1_000);
        batches.push(Batch { rows: now.to_vec(), watermark, time });
        left = later;
    }
    // Until every timer is due.
    batches.push(Batch { rows: vec![], watermark: Some(i64::MAX), time: time + 1 });
    batches
}

fn rows(random: &mut SmallRng, count: usize) -> Vec<Input> {
    (0..count as i64)
        .map(|i| {
            (
                format!("k{}", random.random_range(0..6)),
                i * 10 + random.random_range(0..60),
                random.random_range(0..9),
            )
        })
        .collect()
}
