//! The hot loops of stateful operators: one micro-batch of 8,192 rows through an operator, all of whose keys it knows.
//!
//! ```text
//! cargo bench --bench operators                 # all; criterion compares with the run before
//! cargo bench --bench operators -- aggregate    # some
//! ```

#![allow(missing_docs, reason = "criterion's macros make functions without")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to tell")]

use acequia::Shards;
use acequia::exec::{
    AggregateOperator, AggregateSpec, BatchContext, Distance, DropDuplicatesOperator, DropDuplicatesSpec,
    Emit, Expiry, First, Gives, Near, Number, Operator, PartitionsOperator, PartitionsSpec, Reach, Relation,
    Running, RunningValue, See, Sharding, WEIGHT,
};
use acequia_core::{BatchId, OperatorId, Result, Timestamp, Watermark};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::prelude::{SessionConfig, SessionContext};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;

/// The allocator of the `acequia` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS: usize = 8_192;

/// Rows of two random BIGINT keys, a string key and a value.
fn rows(keys: i64, rows: usize, seed: u64) -> RecordBatch {
    let mut random = SmallRng::seed_from_u64(seed);
    let key: Vec<i64> = (0..rows).map(|_| random.random_range(0..keys)).collect();
    let text: ArrayRef =
        Arc::new(key.iter().map(|k| Some(format!("customer-{k:08}"))).collect::<StringArray>());
    let half: ArrayRef = Arc::new(key.iter().map(|k| Some(k / 2)).collect::<Int64Array>());
    let value: ArrayRef = Arc::new((0..rows as i64).collect::<Int64Array>());
    let key: ArrayRef = Arc::new(Int64Array::from(key));
    RecordBatch::try_from_iter([("k", key), ("h", half), ("s", text), ("v", value)]).unwrap()
}

fn aggregate_exec(sql: &str) -> Arc<dyn ExecutionPlan> {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    context.register_batch("t", rows(1, 1, 0)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut plan = runtime.block_on(async { context.sql(sql).await?.create_physical_plan().await }).unwrap();
    while !plan.is::<AggregateExec>() {
        let child = Arc::clone(plan.children()[0]);
        plan = child;
    }
    plan
}

fn spec(sql: &str, emit: Emit) -> AggregateSpec {
    let plan = aggregate_exec(sql);
    AggregateSpec::from_exec(plan.downcast_ref().unwrap(), OperatorId(1), None, emit).unwrap()
}

fn at(batch: u64) -> BatchContext {
    let watermark = Watermark(None);
    BatchContext {
        batch: BatchId(batch),
        watermark,
        late_watermark: watermark,
        previous_watermark: watermark,
        batch_time: Timestamp(0),
        durable: false,
    }
}

/// Columns of the rows, as the aggregate's input has them.
fn input_of(rows: &RecordBatch, spec: &AggregateSpec) -> RecordBatch {
    let columns: Vec<usize> = spec
        .input_schema
        .fields()
        .iter()
        .map(|field| rows.schema().index_of(field.name()).unwrap())
        .collect();
    rows.project(&columns).unwrap()
}

fn run(operator: &mut dyn Operator, batch: u64, rows: &RecordBatch) -> usize {
    operator.push(&at(batch), 0, rows.clone()).unwrap();
    operator.finish(&at(batch)).unwrap().iter().map(RecordBatch::num_rows).sum()
}

/// Fills the state with every key, then measures batches of random ones.
fn measure(
    criterion: &mut Criterion,
    group: &str,
    id: BenchmarkId,
    mut operator: Box<dyn Operator>,
    rows: &[RecordBatch],
) {
    let mut group = criterion.benchmark_group(group);
    group.throughput(Throughput::Elements(ROWS as u64));
    for (batch, rows) in rows.iter().enumerate() {
        run(operator.as_mut(), batch as u64, rows);
    }
    let mut batch = rows.len() as u64;
    group.bench_function(id, |bencher| {
        bencher.iter(|| {
            batch += 1;
            run(operator.as_mut(), batch, &rows[batch as usize % rows.len()])
        });
    });
    group.finish();
}

fn aggregates(criterion: &mut Criterion) {
    let queries = [
        ("bigint key", "SELECT k, count(*), sum(v) FROM t GROUP BY k"),
        ("two bigint keys", "SELECT k, h, count(*), sum(v) FROM t GROUP BY k, h"),
        ("string key", "SELECT s, count(*), sum(v) FROM t GROUP BY s"),
        ("five aggregates", "SELECT k, count(*), sum(v), min(v), max(v), avg(v) FROM t GROUP BY k"),
        ("general state", "SELECT k, stddev(v) FROM t GROUP BY k"),
    ];
    for keys in [100, 100_000, 1_000_000] {
        let batches = (keys as usize * 4).div_ceil(ROWS).max(4);
        let all: Vec<RecordBatch> = (0..batches).map(|seed| rows(keys, ROWS, seed as u64)).collect();
        for (name, sql) in queries {
            let spec = spec(sql, Emit::Upserts);
            let input: Vec<RecordBatch> = all.iter().map(|rows| input_of(rows, &spec)).collect();
            let operator = AggregateOperator::try_new(spec).unwrap();
            measure(criterion, "aggregate", BenchmarkId::new(name, keys), Box::new(operator), &input);
        }
    }
}

/// What routing to four shards costs on one thread.
fn shards(criterion: &mut Criterion) {
    let spec = spec("SELECT k, count(*), sum(v) FROM t GROUP BY k", Emit::Upserts);
    let input: Vec<RecordBatch> = (0..64).map(|seed| input_of(&rows(100_000, ROWS, seed), &spec)).collect();
    let operator = Sharding::aggregate(spec, Shards::new(4).unwrap()).unwrap().operator;
    measure(criterion, "four shards", BenchmarkId::new("bigint key", 100_000), operator, &input);
}

fn duplicates(criterion: &mut Criterion) {
    let input: Vec<RecordBatch> = (0..64).map(|seed| rows(100_000, ROWS, seed)).collect();
    let spec = DropDuplicatesSpec {
        operator: OperatorId(1),
        schema: input[0].schema(),
        columns: vec![0],
        expiry: Expiry::Never,
    };
    let operator = DropDuplicatesOperator::try_new(spec).unwrap();
    measure(
        criterion,
        "drop duplicates",
        BenchmarkId::new("bigint key", 100_000),
        Box::new(operator),
        &input,
    );
}

/// A relation that gives its rows: what is left is the operator.
struct Same(SchemaRef);

impl Relation for Same {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn over(&mut self, rows: RecordBatch) -> Result<Vec<RecordBatch>> {
        Ok(vec![rows])
    }
}

/// Rows with this weight.
fn weighted(rows: &RecordBatch, weight: i64) -> RecordBatch {
    let mut fields = rows.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(WEIGHT, DataType::Int64, false)));
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(Int64Array::from_value(weight, rows.num_rows())));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// A hundred rows that come and a hundred that go again, over partitions of ten rows each, or all rows in one.
fn partitions(criterion: &mut Criterion) {
    const CHANGES: usize = 100;
    let three = Reach { rows: 3, ..Reach::default() };
    let cases = [
        ("first 10 of all", vec![], See::First(First::Rows(10))),
        ("first 3 by key", vec![0], See::First(First::Rows(3))),
        ("3 around a change", vec![], See::Near(Near { back: three, ahead: Reach::default() })),
        ("all by key", vec![0], See::All),
    ];
    for state in [100_000, 1_000_000] {
        let keys = state as i64 / 10;
        for (name, partition, see) in cases.clone() {
            let all = rows(keys, state, 0);
            let spec = PartitionsSpec {
                operator: OperatorId(1),
                schema: all.schema(),
                partition,
                order: vec![(3, SortOptions::default())],
                retracting: true,
                time: None,
                emit: Emit::Changes,
                in_order: false,
                see,
                running: vec![],
            };
            let mut operator =
                PartitionsOperator::try_new(spec, Gives::Relation(Box::new(Same(all.schema())))).unwrap();
            run(&mut operator, 0, &weighted(&all, 1));
            let changes: Vec<RecordBatch> =
                (1..33).map(|seed| rows(keys, CHANGES, seed).slice(0, CHANGES)).collect();
            run(&mut operator, 1, &weighted(&changes[0], 1));
            let id = BenchmarkId::new(name, state);
            in_place(criterion, "partitions", id, &mut operator, &changes);
        }
    }
}

/// A hundred rows that come at the end of all in place of a hundred that go from there: OVER with ORDER BY of a stream
/// in order.
fn over(criterion: &mut Criterion) {
    const CHANGES: i64 = 100;
    let peers = Reach { groups: Some(0), ..Reach::default() };
    let thousand = Reach { distance: Some(Distance::Units(1_000)), ..peers };
    let plan = aggregate_exec("SELECT k, h, s, sum(v) FROM t GROUP BY k, h, s");
    let sum = Arc::clone(&plan.downcast_ref::<AggregateExec>().unwrap().aggr_expr()[0]);
    let number = Arc::new(Field::new("n", DataType::UInt64, false));
    let running = vec![
        Running { field: number, value: RunningValue::Number(Number::Row) },
        Running {
            field: sum.field(),
            value: RunningValue::Aggregate { function: sum, filter: None, peers: true },
        },
    ];
    let cases = [
        ("within 1,000", See::Near(Near { back: thousand, ahead: peers }), vec![]),
        ("up to the row", See::Rest(Near { back: Reach::default(), ahead: peers }), running),
        ("all", See::All, vec![]),
    ];
    for state in [10_000, 100_000] {
        for (name, see, running) in cases.clone() {
            let all = rows(state / 10, state as usize, 0);
            let spec = PartitionsSpec {
                operator: OperatorId(1),
                schema: all.schema(),
                partition: vec![],
                order: vec![(3, SortOptions::default())],
                retracting: true,
                time: None,
                emit: Emit::Changes,
                in_order: false,
                see,
                running,
            };
            let relation = Box::new(Same(spec.seen()));
            let mut operator = PartitionsOperator::try_new(spec, Gives::Relation(relation)).unwrap();
            run(&mut operator, 0, &weighted(&all, 1));
            let ends: Vec<RecordBatch> = (0..32).map(|seed| at_the_end(state, CHANGES, seed)).collect();
            run(&mut operator, 1, &weighted(&ends[0], 1));
            let id = BenchmarkId::new(name, state);
            in_place(criterion, "over", id, &mut operator, &ends);
        }
    }
}

/// Times batches of changes, of which each takes back the one before and gives the next. The first is given already.
fn in_place(
    criterion: &mut Criterion,
    group: &str,
    id: BenchmarkId,
    operator: &mut PartitionsOperator,
    changes: &[RecordBatch],
) {
    let mut batch = 1;
    let mut group = criterion.benchmark_group(group);
    group.bench_function(id, |bencher| {
        bencher.iter(|| {
            let (gone, come) = (&changes[(batch - 1) % changes.len()], &changes[batch % changes.len()]);
            batch += 1;
            operator.push(&at(batch as u64), 0, weighted(gone, -1)).unwrap();
            run(operator, batch as u64, &weighted(come, 1))
        });
    });
    group.finish();
}

/// Rows whose values come after all others.
fn at_the_end(state: i64, count: i64, seed: u64) -> RecordBatch {
    let rows = rows(state / 10, count as usize, seed);
    let mut columns = rows.columns().to_vec();
    columns[3] = Arc::new((state..state + count).collect::<Int64Array>());
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

criterion_group!(benches, aggregates, shards, duplicates, partitions, over);
criterion_main!(benches);
