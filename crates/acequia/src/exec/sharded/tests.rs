//! Routing, and duplicates in shards against the operator in one piece. Aggregates and sessions are compared with their
//! own twins, in shards as well.

use super::*;
use crate::exec::route::RouteValue;
use crate::exec::twin::{self, Saved, assert_same, at, lines, sorted};
use crate::exec::{Emit, Expiry, TimeBound, TimeKey};
use acequia_core::{OperatorId, Timestamp};
use arrow::array::*;
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_plan::aggregates::AggregateExec;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

fn plain(data_type: DataType) -> RouteColumn {
    RouteColumn { column: 0, saved: 0, value: RouteValue::Plain(data_type) }
}

fn batch(column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("k", column, true)]).unwrap()
}

/// The shard of each row, told apart by a second column that counts the rows.
fn shards_of(router: &Router, column: &ArrayRef, saved: bool) -> Vec<usize> {
    let rows: ArrayRef = Arc::new(Int64Array::from_iter_values(0..column.len() as i64));
    let rows =
        RecordBatch::try_from_iter_with_nullable([("k", Arc::clone(column), true), ("row", rows, false)])
            .unwrap();
    let parts = if saved { router.saved(rows) } else { router.pushed(rows) };
    let mut shards = vec![usize::MAX; column.len()];
    for (shard, part) in parts.unwrap() {
        let rows = part.column(1).as_primitive::<arrow::datatypes::Int64Type>();
        assert!(rows.values().is_sorted(), "rows keep their order");
        rows.values().iter().for_each(|row| shards[*row as usize] = shard);
    }
    shards
}

#[test]
fn equal_keys_go_to_one_shard_in_every_encoding() {
    let words: ArrayRef = Arc::new(
        (0..200).map(|i| Some(format!("{}", i % 50)).filter(|_| i % 50 > 0)).collect::<StringArray>(),
    );
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for declared in [DataType::Utf8, DataType::Utf8View, DataType::LargeUtf8, dictionary.clone()] {
        let router = Router::try_new(vec![(plain(declared.clone()), 0)], 7).unwrap();
        let mut seen = Vec::new();
        for given in [DataType::Utf8, DataType::Utf8View, dictionary.clone()] {
            let column = cast(&words, &given).unwrap();
            seen.push(shards_of(&router, &column, false));
            seen.push(shards_of(&router, &column, true));
        }
        assert!(seen.iter().all(|shards| *shards == seen[0]), "{declared}");
        assert!((0..200).all(|row| seen[0][row] == seen[0][row % 50]), "{declared}");
        assert!((0..7).all(|shard| seen[0].contains(&shard)), "{declared}");
    }
}

#[test]
fn null_is_one_key_minus_zero_is_zero_and_nan_is_its_bits() {
    let floats: ArrayRef =
        Arc::new(Float64Array::from(vec![Some(0.0), None, Some(-0.0), Some(f64::NAN), None, Some(f64::NAN)]));
    for shards in 2..40 {
        let router = Router::try_new(vec![(plain(DataType::Float64), 0)], shards).unwrap();
        let of = shards_of(&router, &floats, false);
        assert_eq!((of[0], of[1], of[3]), (of[2], of[4], of[5]), "{shards} shards");
    }
}

#[test]
fn keys_spread_evenly() {
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..80_000));
    let router = Router::try_new(vec![(plain(DataType::Int64), 0)], 8).unwrap();
    for (_, part) in router.pushed(batch(keys)).unwrap() {
        assert!((9_500..10_500).contains(&part.num_rows()), "{}", part.num_rows());
    }
}

#[test]
fn rows_of_one_shard_are_not_copied() {
    let rows = batch(Arc::new(Int64Array::from(vec![5; 100])));
    let router = Router::try_new(vec![(plain(DataType::Int64), 0)], 4).unwrap();
    let parts = router.pushed(rows.clone()).unwrap();
    assert_eq!(parts.len(), 1);
    assert!(Arc::ptr_eq(parts[0].1.column(0), rows.column(0)));
}

#[test]
fn number_of_shards_has_bounds() {
    assert_eq!("4".parse::<Shards>().unwrap(), Shards::new(4).unwrap());
    assert_eq!("1024".parse::<Shards>().unwrap(), Shards::new(Shards::MAX).unwrap());
    assert_eq!("Auto".parse::<Shards>().unwrap(), Shards::AUTO);
    for wrong in ["0", "1025", "-1", "", "many", "1.5", "99999999999999999999999"] {
        let error = wrong.parse::<Shards>().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the number of shards is neither `auto` nor from 1 to 1024: value=`{wrong}`")
        );
    }
}

/// Times in milliseconds, and the operator that counts by them.
fn counts(sql: &str, time: Option<TimeKey>, shards: Shards) -> Sharding {
    let context = twin::context(&times(&[]));
    let plan = twin::aggregate(&context, sql);
    let exec = plan.downcast_ref::<AggregateExec>().unwrap();
    let spec = AggregateSpec::from_exec(exec, OperatorId(1), time, Emit::Upserts).unwrap();
    Sharding::aggregate(spec, shards).unwrap()
}

fn times(times: &[i64]) -> RecordBatch {
    let times = TimestampMillisecondArray::from_iter_values(times.iter().copied());
    RecordBatch::try_from_iter_with_nullable([("ts", Arc::new(times) as ArrayRef, true)]).unwrap()
}

#[test]
fn operators_are_split_by_what_tells_rows_apart() {
    let time =
        |column| TimeKey { column, field: None, derived_start: None, bound: TimeBound::new(|w| Ok(w.0)) };
    for (sql, time, by) in [
        ("SELECT count(*) FROM t", None, vec![]),
        ("SELECT ts, count(*) FROM t GROUP BY ts", Some(time(0)), vec![0]),
        ("SELECT ts, ts = ts AS a, count(*) FROM t GROUP BY ts, ts = ts", Some(time(0)), vec![1]),
        ("SELECT ts, ts = ts AS a, count(*) FROM t GROUP BY ts, ts = ts", None, vec![0, 1]),
        ("SELECT ts, count(*) FROM t GROUP BY ROLLUP(ts)", None, vec![]),
        ("SELECT ts, ts = ts AS a, count(*) FROM t GROUP BY ts, ROLLUP(ts = ts)", None, vec![0]),
    ] {
        assert_eq!(counts(sql, time.clone(), Shards::new(4).unwrap()).by, by, "{sql}");
        assert!(counts(sql, time, Shards::new(1).unwrap()).by.is_empty(), "{sql}");
    }
}

/// The time, and how often it was asked for.
#[derive(Debug, Clone)]
struct Counted(Arc<AtomicUsize>);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counted")
    }
}

impl Counted {
    fn spec(&self) -> AggregateSpec {
        let context = twin::context(&times(&[]));
        let plan = twin::aggregate(&context, "SELECT ts, count(*) FROM t GROUP BY ts");
        let exec = plan.downcast_ref::<AggregateExec>().unwrap();
        let spec = AggregateSpec::from_exec(exec, OperatorId(1), None, Emit::Upserts).unwrap();
        let group: Arc<dyn PhysicalExpr> = Arc::new(self.clone());
        AggregateSpec { group_by: PhysicalGroupBy::new_single(vec![(group, "ts".to_string())]), ..spec }
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Counted {}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl PhysicalExpr for Counted {
    fn data_type(&self, schema: &Schema) -> datafusion::common::Result<DataType> {
        Ok(schema.field(0).data_type().clone())
    }

    fn nullable(&self, _schema: &Schema) -> datafusion::common::Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> datafusion::common::Result<ColumnarValue> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(ColumnarValue::Array(Arc::clone(batch.column(0))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![]
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> datafusion::common::Result<Arc<dyn PhysicalExpr>> {
        Ok(self)
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counted")
    }
}

#[test]
fn group_expressions_are_evaluated_once_for_all_shards() {
    let counted = Counted(Arc::default());
    let sharding = Sharding::aggregate(counted.spec(), Shards::new(8).unwrap()).unwrap();
    let mut operator = sharding.operator;
    for batch in 0..3 {
        operator.push(&at(batch, None), 0, times(&(0..100).collect::<Vec<_>>())).unwrap();
        operator.finish(&at(batch, None)).unwrap();
    }
    assert_eq!((counted.0.load(Ordering::Relaxed), operator.state_rows(), sharding.by), (3, 100, vec![0]));
}

#[test]
fn large_batches_on_threads_give_what_small_ones_give() {
    let sql = "SELECT arrow_cast(ts, 'Int64') % 997 AS k, count(*), sum(arrow_cast(ts, 'Int64')), array_agg(ts) FROM t GROUP BY 1";
    let rows = times(&(0..200_000).map(|i| i * 7919 % 100_003).collect::<Vec<_>>());
    let input = twin::input_of(&rows, sql);
    let input = twin::together(&input[0].schema(), &input);
    let run = |shards: Shards, piece: usize, prepared: bool| {
        let mut operator = counts(sql, None, shards).operator;
        // A small batch first: what it leaves is split with the rest.
        operator.push(&at(0, None), 0, input.slice(0, 500)).unwrap();
        operator.finish(&at(0, None)).unwrap();
        // As the runtime does it: taken before the batch, in the middle of which the operator may be split.
        let routing = operator.preparation().filter(|_| prepared);
        for start in (500..input.num_rows()).step_by(piece) {
            let piece = input.slice(start, piece.min(input.num_rows() - start));
            match &routing {
                Some(routing) => {
                    operator.push_prepared(&at(1, None), routing.prepare(piece, true).unwrap()).unwrap()
                }
                None => operator.push(&at(1, None), 0, piece).unwrap(),
            }
        }
        let large = sorted(operator.finish(&at(1, None)).unwrap().iter().flat_map(lines));
        operator.push(&at(2, None), 0, input.slice(0, 500)).unwrap();
        let small = sorted(operator.finish(&at(2, None)).unwrap().iter().flat_map(lines));
        (large, small, operator.state_rows())
    };
    let five = Shards::new(5).unwrap();
    let expected = run(Shards::new(1).unwrap(), 1000, false);
    assert_eq!((expected.0.len(), expected.2), (997, 997));
    let (all, auto) = (rows.num_rows(), Shards::AUTO);
    for (shards, piece, prepared) in
        [(five, all, false), (five, 1000, false), (five, 1000, true), (auto, 1000, false), (auto, 1000, true)]
    {
        let given = run(shards, piece, prepared);
        let case = format!("{shards} shards, {piece} rows a push, prepared: {prepared}");
        assert_same(&given.0, &expected.0, &case);
        assert_same(&given.1, &expected.1, &case);
        assert_eq!(given.2, expected.2, "{case}");
    }
}

fn keyed_rows(rng: &mut SmallRng, rows: usize, from: i64) -> RecordBatch {
    let floats = [None, Some(0.0), Some(-0.0), Some(1.5), Some(f64::NAN), Some(-7.25), Some(3.0)];
    let words = [None, Some("a"), Some(""), Some("a word longer than a view")];
    let f: Float64Array = (0..rows).map(|_| *floats.choose(rng).unwrap()).collect();
    let w: StringArray = (0..rows).map(|_| *words.choose(rng).unwrap()).collect();
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let ts: TimestampMillisecondArray =
        (0..rows).map(|_| rng.random_bool(0.9).then(|| from + rng.random_range(-30..30))).collect();
    let id: Int64Array = (0..rows).map(|_| Some(rng.random_range(0..1_000_000))).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("f", Arc::new(f) as ArrayRef, true),
        ("w", cast(&w, &dictionary).unwrap(), true),
        ("ts", Arc::new(ts), true),
        ("id", Arc::new(id), true),
    ])
    .unwrap()
}

#[test]
fn duplicates_in_shards_are_those_of_one_piece() {
    let bound = || TimeBound::new(|w: Timestamp| Ok(w.0.div_euclid(1000)));
    let in_key = |column| Expiry::InKey { column, bound: bound() };
    let within = || Expiry::Within { column: 2, delay_micros: 20_000, bound: bound() };
    let cases = [
        (vec![0], Expiry::Never),
        (vec![1, 0], Expiry::Never),
        (vec![0, 2], in_key(2)),
        (vec![2], in_key(2)),
        (vec![1], within()),
    ];
    let mut late = 0;
    for (number, (columns, expiry)) in cases.into_iter().enumerate() {
        let mut rng = SmallRng::seed_from_u64(number as u64);
        let schema = keyed_rows(&mut rng, 0, 0).schema();
        assert_eq!(schema.field(2).data_type(), &DataType::Timestamp(TimeUnit::Millisecond, None));
        let spec = DropDuplicatesSpec { operator: OperatorId(2), schema, columns, expiry };
        let operator =
            |shards| Sharding::drop_duplicates(spec.clone(), Shards::new(shards).unwrap()).unwrap().operator;
        let (mut one, mut many) = (operator(1), operator(8));
        let mut saved = Saved::new(one.tables().remove(0));
        for number in 0..12_i64 {
            let context = at(number as u64, (number > 2).then_some((number * 20 - 15) * 1000));
            assert_eq!(one.wakes_at(context.watermark), many.wakes_at(context.watermark));
            let rows = *[0, 1, 25].choose(&mut rng).unwrap();
            let rows = keyed_rows(&mut rng, rows, number * 20);
            let passed = |operator: &mut dyn Operator| {
                operator.push(&context, 0, rows.slice(0, rows.num_rows() / 2)).unwrap();
                operator
                    .push(&context, 0, rows.slice(rows.num_rows() / 2, rows.num_rows().div_ceil(2)))
                    .unwrap();
                sorted(operator.finish(&context).unwrap().iter().flat_map(lines))
            };
            assert_eq!(passed(&mut *many), passed(&mut *one), "batch {number} by {:?}", spec.columns);
            assert_eq!((many.late_rows(), many.state_rows()), (one.late_rows(), one.state_rows()));
            late += many.late_rows();
            many.take_deltas().unwrap().iter().for_each(|delta| saved.apply(delta));
            if rng.random_bool(0.4) {
                many = operator(rng.random_range(1..=8));
                saved.restore_into(&mut *many);
            }
        }
    }
    assert!(late > 0);
}

#[test]
fn rows_that_are_not_of_the_operator_are_refused() {
    let mut operator =
        counts("SELECT ts, count(*) FROM t GROUP BY ts", None, Shards::new(4).unwrap()).operator;
    for (table, rows) in [("nothing", times(&[1])), ("groups", batch(Arc::new(Int64Array::from(vec![1, 2]))))]
    {
        let error = operator.restore(table, rows).unwrap_err();
        assert_eq!(error.kind(), acequia_core::ErrorKind::Data, "{error}");
    }
    assert!(operator.snapshot("nothing").is_err());
    assert!(operator.push(&at(0, None), 1, times(&[1])).is_err());
}
