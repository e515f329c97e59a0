//! Timers, time to live, errors, and types that change, one by one.

use super::random::Sessions;
use super::*;

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
