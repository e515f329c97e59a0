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

/// Uses each kind of variable; what it emits for a row depends only on the rows of the key before it.
struct Histories;

struct HistoriesState {
    count: ValueState<i64>,
    last: ListState<i64>,
    seen: MapState<i64, (i64, Option<String>)>,
}

fn history(count: i64, last: &[i64], seen: &BTreeMap<i64, i64>) -> String {
    format!("{count} {last:?} {seen:?}")
}

impl StatefulProcessor for Histories {
    type Key = String;
    type Input = Input;
    type Output = Output;
    type State = HistoriesState;

    fn init(&self, variables: &mut Variables) -> Result<HistoriesState> {
        Ok(HistoriesState {
            count: variables.value("count", None)?,
            last: variables.list("last", None)?,
            seen: variables.map("seen", None)?,
        })
    }

    fn handle_rows(
        &self,
        state: &HistoriesState,
        key: &String,
        rows: Vec<Input>,
        context: &mut KeyContext<'_>,
        output: &mut Vec<Output>,
    ) -> Result<()> {
        for (_, _, number) in rows {
            let count = state.count.get(context).copied().unwrap_or(0) + 1;
            state.count.set(context, count);
            state.last.push(context, number);
            if state.last.iter(context).count() > 3 {
                let kept: Vec<i64> = state.last.take(context).split_off(1);
                kept.into_iter().for_each(|number| state.last.push(context, number));
            }
            let times = state.seen.get(context, &number).map_or(0, |seen| seen.0) + 1;
            state.seen.insert(context, number, (times, Some(number.to_string())));
            if number == 7 {
                assert_eq!(state.seen.remove(context, &number).map(|seen| seen.0), Some(times));
            }
            if number == 8 {
                state.count.take(context);
                state.last.take(context);
                state.seen.take(context);
            }
            let seen = state.seen.iter(context).map(|(number, seen)| (*number, seen.0)).collect();
            let last: Vec<i64> = state.last.iter(context).copied().collect();
            output.push((key.clone(), history(count, &last, &seen), number));
        }
        Ok(())
    }
}

type History = (i64, Vec<i64>, BTreeMap<i64, i64>);

fn histories_twin(rows: &[Input]) -> Vec<Output> {
    let mut keys: BTreeMap<&str, History> = BTreeMap::new();
    let mut output = Vec::new();
    for (key, _, number) in rows {
        let (count, last, seen) = keys.entry(key).or_default();
        *count += 1;
        let shown = *count;
        last.push(*number);
        if last.len() > 3 {
            last.remove(0);
        }
        *seen.entry(*number).or_default() += 1;
        if *number == 7 {
            seen.remove(number);
        }
        if *number == 8 {
            (*count, *last, *seen) = Default::default();
        }
        output.push((key.clone(), history(shown, last, seen), *number));
    }
    output.sort();
    output
}

#[tokio::test]
async fn any_split_shards_and_restarts_give_what_plain_rust_gives() {
    for seed in 0..15 {
        let mut random = SmallRng::seed_from_u64(seed);
        let rows = rows(&mut random, 120);
        let batches = cut(&rows, &mut random);
        let output = run_batches(|| Histories, TimeMode::None, &batches, &mut random, 0.5).await;
        assert_eq!(output, histories_twin(&rows), "seed {seed}");
    }
}

/// Sessions with a gap of 25: a timer at the end of each, moved by later rows.
struct Sessions;

impl StatefulProcessor for Sessions {
    type Key = String;
    type Input = Input;
    type Output = Output;
    type State = ListState<(i64, i64)>;

    fn init(&self, variables: &mut Variables) -> Result<Self::State> {
        variables.list("rows", None)
    }

    fn handle_rows(
        &self,
        rows_of: &Self::State,
        _key: &String,
        rows: Vec<Input>,
        context: &mut KeyContext<'_>,
        _output: &mut Vec<Output>,
    ) -> Result<()> {
        for (_, time, number) in rows {
            rows_of.push(context, (time, number));
            context.register_timer(Timestamp(time + 25))?;
        }
        Ok(())
    }

    fn handle_timer(
        &self,
        rows_of: &Self::State,
        key: &String,
        at: Timestamp,
        context: &mut KeyContext<'_>,
        output: &mut Vec<Output>,
    ) -> Result<()> {
        // A session ends when no row came within the gap; later rows have sessions of their own.
        let mut rows: Vec<(i64, i64)> = rows_of.take(context);
        rows.sort_unstable();
        let session_end = rows.iter().position(|row| row.0 > at.0).unwrap_or(rows.len());
        let last = rows[..session_end].last().map(|row| row.0);
        if last == Some(at.0 - 25) {
            let total = rows[..session_end].iter().map(|row| row.1).sum();
            output.push((key.clone(), format!("{}..{}", rows[0].0, at.0), total));
            rows.drain(..session_end);
        }
        rows.into_iter().for_each(|row| rows_of.push(context, row));
        Ok(())
    }
}

fn sessions_twin(rows: &[Input]) -> Vec<Output> {
    let mut keys: BTreeMap<&str, Vec<(i64, i64)>> = BTreeMap::new();
    rows.iter().for_each(|(key, time, number)| keys.entry(key).or_default().push((*time, *number)));
    let mut output = Vec::new();
    for (key, mut rows) in keys {
        rows.sort_unstable();
        for session in rows.chunk_by(|a, b| b.0 <= a.0 + 25) {
            let (first, last) = (session[0].0, session[session.len() - 1].0);
            let total = session.iter().map(|row| row.1).sum();
            output.push((key.to_string(), format!("{first}..{}", last + 25), total));
        }
    }
    output.sort();
    output
}

#[tokio::test]
async fn sessions_by_timers_are_those_of_all_rows_at_once() {
    for seed in 0..15 {
        let mut random = SmallRng::seed_from_u64(seed);
        let rows = rows(&mut random, 150);
        let batches = cut(&rows, &mut random);
        let output = run_batches(|| Sessions, TimeMode::EventTime, &batches, &mut random, 0.3).await;
        assert_eq!(output, sessions_twin(&rows), "seed {seed}");
    }
}

/// The first row of a key and number passes; it is remembered for 2 ms.
struct FirstOfNumber;

impl StatefulProcessor for FirstOfNumber {
    type Key = String;
    type Input = Input;
    type Output = Output;
    type State = MapState<i64, bool>;

    fn init(&self, variables: &mut Variables) -> Result<Self::State> {
        variables.map("seen", Some(Duration::from_micros(2_000)))
    }

    fn handle_rows(
        &self,
        seen: &Self::State,
        key: &String,
        rows: Vec<Input>,
        context: &mut KeyContext<'_>,
        output: &mut Vec<Output>,
    ) -> Result<()> {
        for (_, time, number) in rows {
            if seen.get(context, &number).is_none() {
                output.push((key.clone(), time.to_string(), number));
            }
            // Being seen again renews it, if the number is even.
            if seen.get(context, &number).is_none() || number % 2 == 0 {
                seen.insert(context, number, true);
            }
        }
        Ok(())
    }
}

fn first_of_number_twin(batches: &[Batch]) -> Vec<Output> {
    let mut seen: BTreeMap<(String, i64), i64> = BTreeMap::new();
    let mut output = Vec::new();
    for batch in batches {
        for (key, time, number) in &batch.rows {
            let until = seen.get(&(key.clone(), *number)).copied().filter(|until| *until > batch.time);
            if until.is_none() {
                output.push((key.clone(), time.to_string(), *number));
            }
            if until.is_none() || number % 2 == 0 {
                seen.insert((key.clone(), *number), batch.time + 2_000);
            }
        }
    }
    output.sort();
    output
}

#[tokio::test]
async fn what_expires_is_as_if_never_written() {
    for seed in 0..15 {
        let mut random = SmallRng::seed_from_u64(seed);
        let rows = rows(&mut random, 200);
        let batches = cut(&rows, &mut random);
        let output =
            run_batches(|| FirstOfNumber, TimeMode::ProcessingTime, &batches, &mut random, 0.3).await;
        assert_eq!(output, first_of_number_twin(&batches), "seed {seed}");
    }
}

struct Conform;

impl Fixture for Conform {
    type Operator = Boxed;

    fn create(&self) -> Boxed {
        Boxed(operator(Sessions, TimeMode::EventTime, 4))
    }

    fn run(&self, operator: &mut Boxed, batch: usize) {
        let mut random = SmallRng::seed_from_u64(3);
        let rows = rows(&mut random, 120);
        let batches = cut(&rows, &mut random);
        emitted(&mut *operator.0, batch, &batches[batch]).unwrap();
    }
}

struct Boxed(Box<dyn Operator>);

impl Stateful for Boxed {
    fn tables(&self) -> Vec<TableDef> {
        self.0.tables()
    }
    fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
        self.0.take_deltas()
    }
    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        self.0.restore(table, rows)
    }
    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>> {
        self.0.snapshot(table)
    }
    fn state_rows(&self) -> usize {
        self.0.state_rows()
    }
    fn state_bytes(&self) -> usize {
        self.0.state_bytes()
    }
}

#[test]
fn promises_of_stateful_hold() {
    run(&Conform, 12);
}

/// Does what its function says.
struct Does<V, R, T> {
    rows: R,
    timer: T,
    ttl: Option<Duration>,
    of: std::marker::PhantomData<fn() -> V>,
}

fn does<V, R, T>(rows: R, timer: T, ttl: Option<Duration>) -> Does<V, R, T> {
    Does { rows, timer, ttl, of: std::marker::PhantomData }
}

impl<V, R, T> StatefulProcessor for Does<V, R, T>
where
    V: Row,
    R: Fn(ValueState<V>, &[Input], &mut KeyContext<'_>, &mut Vec<Output>) -> Result<()>
        + Send
        + Sync
        + 'static,
    T: Fn(Timestamp, &mut KeyContext<'_>, &mut Vec<Output>) -> Result<()> + Send + Sync + 'static,
{
    type Key = String;
    type Input = Input;
    type Output = Output;
    type State = ValueState<V>;

    fn init(&self, variables: &mut Variables) -> Result<Self::State> {
        variables.value("value", self.ttl)
    }

    fn handle_rows(
        &self,
        state: &Self::State,
        _key: &String,
        rows: Vec<Input>,
        context: &mut KeyContext<'_>,
        output: &mut Vec<Output>,
    ) -> Result<()> {
        (self.rows)(*state, &rows, context, output)
    }

    fn handle_timer(
        &self,
        _state: &Self::State,
        _key: &String,
        at: Timestamp,
        context: &mut KeyContext<'_>,
        output: &mut Vec<Output>,
    ) -> Result<()> {
        (self.timer)(at, context, output)
    }
}

fn no_timer(_: Timestamp, _: &mut KeyContext<'_>, _: &mut Vec<Output>) -> Result<()> {
    Err(Error::invalid("no timer was registered"))
}

fn row(time: i64) -> Vec<Input> {
    vec![("k".to_string(), time, 0)]
}

fn fired(at: Timestamp, _: &mut KeyContext<'_>, output: &mut Vec<Output>) -> Result<()> {
    output.push(("k".to_string(), "fired".to_string(), at.0));
    Ok(())
}

fn at(rows: Vec<Input>, watermark: i64, time: i64) -> Batch {
    Batch { rows, watermark: Some(watermark), time }
}

#[test]
fn a_timer_is_due_after_its_time_and_not_at_it() {
    let registers =
        |_: ValueState<i64>, rows: &[Input], context: &mut KeyContext<'_>, _: &mut Vec<Output>| {
            rows.iter().try_for_each(|row| context.register_timer(Timestamp(row.1 + 10)))
        };
    for mode in [TimeMode::EventTime, TimeMode::ProcessingTime] {
        let mut operator = operator(does(registers, fired, None), mode, 1);
        let batch = |now| if mode == TimeMode::EventTime { at(vec![], now, 0) } else { at(vec![], 0, now) };
        assert_eq!(emitted(&mut *operator, 0, &Batch { rows: row(5), ..batch(0) }).unwrap(), []);
        assert_eq!(emitted(&mut *operator, 1, &batch(15)).unwrap(), []);
        let wakes = |now: i64| match mode {
            TimeMode::EventTime => operator.wakes_at(Watermark(Some(Timestamp(now)))),
            _ => operator.due_at().is_some_and(|due| due.0 <= now),
        };
        assert_eq!((wakes(15), wakes(16)), (false, true), "{mode}");
        let once = vec![("k".to_string(), "fired".to_string(), 15)];
        assert_eq!(emitted(&mut *operator, 2, &batch(16)).unwrap(), once);
        assert_eq!(emitted(&mut *operator, 3, &batch(99)).unwrap(), []);
        assert_eq!((operator.state_rows(), operator.due_at()), (0, None));
    }
}

#[test]
fn a_long_jump_of_the_watermark_is_as_good_as_many_small_ones() {
    let registers = |_: ValueState<i64>, _: &[Input], context: &mut KeyContext<'_>, _: &mut Vec<Output>| {
        // The second one is between two of the others, so it must come there.
        context.register_timer(Timestamp(10))?;
        context.register_timer(Timestamp(35))
    };
    let every_ten = |at: Timestamp, context: &mut KeyContext<'_>, output: &mut Vec<Output>| {
        fired(at, context, output)?;
        if at.0 % 10 == 0 { context.register_timer(Timestamp(at.0 + 10)) } else { Ok(()) }
    };
    let times = |jumps: &[i64]| {
        let mut operator = operator(does(registers, every_ten, None), TimeMode::EventTime, 1);
        let mut all = emitted(&mut *operator, 0, &at(row(0), 0, 0)).unwrap();
        for (number, watermark) in jumps.iter().enumerate() {
            all.extend(emitted(&mut *operator, number + 1, &at(vec![], *watermark, 0)).unwrap());
        }
        all.into_iter().map(|row| row.2).collect::<Vec<_>>()
    };
    assert_eq!(times(&[56]), [10, 20, 30, 35, 40, 50]);
    assert_eq!(times(&[11, 20, 21, 36, 45, 56]), [10, 20, 30, 35, 40, 50]);
}

#[test]
fn a_deleted_timer_is_not_due_and_a_late_row_is_not_seen() {
    let moves = |_: ValueState<i64>, rows: &[Input], context: &mut KeyContext<'_>, _: &mut Vec<Output>| {
        for at in context.timers().collect::<Vec<_>>() {
            assert!(context.delete_timer(at) && !context.delete_timer(at));
        }
        context.register_timer(Timestamp(rows[rows.len() - 1].1 + 10))
    };
    let mut operator = operator(does(moves, fired, None), TimeMode::EventTime, 1);
    emitted(&mut *operator, 0, &at(row(5), 0, 0)).unwrap();
    emitted(&mut *operator, 1, &at(row(8), 8, 0)).unwrap();
    assert_eq!(emitted(&mut *operator, 2, &at(row(9), 10, 0)).unwrap(), []);
    assert_eq!(operator.late_rows(), 1);
    assert_eq!(emitted(&mut *operator, 3, &at(vec![], 19, 0)).unwrap()[0].2, 18);
    assert_eq!(operator.late_rows(), 0);
}

#[test]
fn a_value_is_gone_when_its_time_to_live_is_over_and_a_write_renews_it() {
    let counts =
        |state: ValueState<i64>, rows: &[Input], context: &mut KeyContext<'_>, output: &mut Vec<Output>| {
            let before = state.get(context).copied();
            output.push(("k".to_string(), format!("{before:?}"), 0));
            if rows[0].1 > 0 {
                state.set(context, before.unwrap_or(0) + 1);
            }
            Ok(())
        };
    let ttl = Some(Duration::from_micros(10));
    let mut operator = operator(does(counts, no_timer, ttl), TimeMode::ProcessingTime, 1);
    let seen = |operator: &mut Box<dyn Operator>, write: i64, time: i64| {
        emitted(&mut **operator, 0, &at(row(write), 0, time)).unwrap()[0].1.clone()
    };
    assert_eq!(seen(&mut operator, 1, 100), "None");
    assert_eq!(seen(&mut operator, 0, 109), "Some(1)");
    assert_eq!(seen(&mut operator, 1, 109), "Some(1)");
    assert_eq!(seen(&mut operator, 0, 118), "Some(2)");
    assert_eq!(operator.due_at(), Some(Timestamp(119)));
    assert_eq!(seen(&mut operator, 0, 119), "None");
    assert_eq!((operator.state_rows(), operator.due_at()), (0, None));
}

fn failure<R>(rows: R, mode: TimeMode) -> Error
where
    R: Fn(ValueState<i64>, &[Input], &mut KeyContext<'_>, &mut Vec<Output>) -> Result<()>
        + Send
        + Sync
        + 'static,
{
    let mut operator = operator(does(rows, no_timer, None), mode, 1);
    emitted(&mut *operator, 0, &at(row(0), 5, 5))
        .and_then(|_| emitted(&mut *operator, 1, &at(vec![], 6, 6)))
        .unwrap_err()
}

#[test]
fn errors_and_panics_name_processor_and_key() {
    let error = failure(|_, _, _, _| Err(Error::data("no such thing")), TimeMode::None);
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Data, "processor `Does`, key \"k\": no such thing")
    );
    let error = failure(|_, _, _, _| panic!("at the disco"), TimeMode::None);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        error.message(),
        "processor `Does`, key \"k\": the program's own code panicked while handling its rows: at the disco"
    );
    let error = failure(|_, _, context, _| context.register_timer(Timestamp(9)), TimeMode::None);
    assert!(error.message().contains("there are no timers: time mode=none"), "{error}");
    let error = failure(|_, _, context, _| context.register_timer(Timestamp(5)), TimeMode::ProcessingTime);
    assert!(error.message().contains("no timer was registered"), "{error}");
    let again = |at: Timestamp, context: &mut KeyContext<'_>, _: &mut Vec<Output>| context.register_timer(at);
    let registers = |_: ValueState<i64>, _: &[Input], context: &mut KeyContext<'_>, _: &mut Vec<Output>| {
        context.register_timer(Timestamp(1))
    };
    let mut operator = operator(does(registers, again, None), TimeMode::ProcessingTime, 1);
    let error = emitted(&mut *operator, 0, &at(row(0), 5, 5)).unwrap_err();
    assert!(error.message().contains("a timer registers one that is not later than itself"), "{error}");
}

#[test]
fn wrong_declarations_are_refused() {
    let declare = |mode: TimeMode, f: &dyn Fn(&mut Variables) -> Result<()>| {
        let mut variables = Variables::new(mode);
        f(&mut variables).unwrap_err().to_string()
    };
    let twice = declare(TimeMode::None, &|v| {
        v.value::<i64>("a", None)?;
        v.list::<i64>("a", None).map(drop)
    });
    assert_eq!(twice, "a state variable is declared twice: `a`");
    let timers = declare(TimeMode::None, &|v| v.value::<i64>("timers", None).map(drop));
    assert_eq!(timers, "a state variable cannot have this name: `timers`");
    let second = Some(Duration::from_secs(1));
    let ttl = declare(TimeMode::EventTime, &|v| v.value::<i64>("a", second).map(drop));
    assert!(
        ttl.starts_with("a time to live counts processing time: variable=`a` time mode=event time"),
        "{ttl}"
    );
    let zero = declare(TimeMode::ProcessingTime, &|v| v.map::<i64, i64>("a", Some(Duration::ZERO)).map(drop));
    assert!(zero.starts_with("a time to live must be at least a microsecond"), "{zero}");
    let unsupported = declare(TimeMode::None, &|v| v.value::<u128>("a", None).map(drop));
    assert!(
        unsupported.starts_with("state variable `a`: rows of this type cannot be columns"),
        "{unsupported}"
    );
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct First {
    count: i64,
    gone: Option<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Second {
    note: Option<String>,
    count: i64,
    gone: Option<i64>,
    points: Option<Vec<f64>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Required {
    count: i64,
    gone: Option<i64>,
    new: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Fewer {
    count: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Renamed {
    number: Option<i64>,
    gone: Option<i64>,
}

fn counting<V: Row>(next: fn(Option<&V>) -> (i64, V)) -> Box<dyn Operator> {
    let rows = move |state: ValueState<V>,
                     rows: &[Input],
                     context: &mut KeyContext<'_>,
                     output: &mut Vec<Output>| {
        let (shown, value) = next(state.get(context));
        state.set(context, value);
        output.push((rows[0].0.clone(), String::new(), shown));
        Ok(())
    };
    operator(does(rows, no_timer, None), TimeMode::None, 2)
}

#[tokio::test]
async fn a_value_may_get_new_fields_that_are_options() {
    let mut saved = Saved::new().await;
    let mut first = counting::<First>(|v| {
        let count = v.map_or(1, |v| v.count + 1);
        (count, First { count, gone: None })
    });
    let all: Vec<Input> = (0..9).map(|i| (format!("k{i}"), 0, 0)).collect();
    let batch = |rows: &[Input]| at(rows.to_vec(), 0, 0);
    for number in 0..3 {
        emitted(&mut *first, number, &batch(&all)).unwrap();
        saved.seal(number, first.take_deltas().unwrap()).await;
    }
    let second = || {
        counting::<Second>(|v| {
            let count = v.map_or(1, |v| v.count + 1);
            let noted = v.is_some_and(|v| v.note.is_some() && v.points.is_some());
            let value = Second { note: Some("ä".into()), count, gone: None, points: Some(vec![0.5]) };
            (count * 10 + i64::from(noted), value)
        })
    };
    let mut running = second();
    saved.restore(&mut *running).await.unwrap();
    // Two keys have the new form, the others the old one, through restarts and merges of segments.
    for number in 3..30 {
        let shown: Vec<i64> =
            emitted(&mut *running, number, &batch(&all[..2])).unwrap().iter().map(|row| row.2).collect();
        assert_eq!(shown, [(number as i64 + 1) * 10 + i64::from(number > 3); 2], "batch {number}");
        saved.seal(number, running.take_deltas().unwrap()).await;
        running = second();
        saved.restore(&mut *running).await.unwrap();
    }
    let shown = emitted(&mut *running, 30, &batch(&all[2..])).unwrap();
    assert!(shown.iter().all(|row| row.2 == 40) && shown.len() == 7, "{shown:?}");
}

#[tokio::test]
async fn other_changes_of_a_values_type_are_refused_naming_the_variable() {
    let mut saved = Saved::new().await;
    let mut first = counting::<First>(|_| (0, First { count: 1, gone: Some(2) }));
    emitted(&mut *first, 0, &at(row(0), 0, 0)).unwrap();
    saved.seal(0, first.take_deltas().unwrap()).await;
    let others = [
        counting::<Required>(|_| (0, Required { count: 1, gone: None, new: 1 })),
        counting::<Fewer>(|_| (0, Fewer { count: 1 })),
        counting::<Renamed>(|_| (0, Renamed { number: None, gone: None })),
        counting::<String>(|_| (0, String::new())),
    ];
    for mut other in others {
        let error = saved.restore(&mut *other).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("variable=`value`"), "{error}");
    }
}

#[test]
fn keys_of_a_batch_keep_their_rows_in_order_whatever_the_shards() {
    let joins = |_: ValueState<i64>, rows: &[Input], _: &mut KeyContext<'_>, output: &mut Vec<Output>| {
        let all: Vec<String> = rows.iter().map(|row| row.1.to_string()).collect();
        output.push((rows[0].0.clone(), all.join(" "), rows.len() as i64));
        Ok(())
    };
    let rows: Vec<Input> = (0..500).map(|i| (format!("k{}", i % 7), i, 0)).collect();
    let expected: BTreeSet<Output> = (0..7)
        .map(|k| {
            let own: Vec<String> = (0..500).filter(|i| i % 7 == k).map(|i: i64| i.to_string()).collect();
            (format!("k{k}"), own.join(" "), own.len() as i64)
        })
        .collect();
    for shards in [1, 2, 4, 9] {
        let mut operator = operator(does(joins, no_timer, None), TimeMode::None, shards);
        let output = emitted(&mut *operator, 0, &at(rows.clone(), 0, 0)).unwrap();
        assert_eq!(output.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}
