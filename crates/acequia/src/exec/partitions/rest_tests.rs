//! Values over all rows up to one, over partitions of many places, against DataFusion's answer over all rows.

use super::tests::{Bag, Row, Same, Saved, Sql, batch, change_batch, no_row_and_its_own_retraction, spec};
use super::*;
use crate::exec::TimeBound;
use crate::exec::delta::{encode, weights_in};
use crate::exec::twin::{Folded, assert_same, at, context, lines, sorted};
use acequia_core::Timestamp;
use datafusion::common::DFSchema;
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::functions_aggregate::bool_and_or::bool_or_udaf;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::{AggregateUDF, ColumnarValue, Volatility, create_udf};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::prelude::col;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

fn physical(sql: &str) -> Arc<dyn PhysicalExpr> {
    let (context, schema) = (context(&batch(&[])), DFSchema::try_from(batch(&[]).schema()).unwrap());
    let expr = context.parse_sql_expr(sql, &schema).unwrap();
    context.create_physical_expr(expr, &schema).unwrap()
}

fn number(number: Number) -> Running {
    let field = Arc::new(Field::new("n", DataType::UInt64, false));
    Running { field, value: RunningValue::Number(number) }
}

fn first(sql: &str) -> Running {
    let expr = physical(sql);
    let data_type = expr.data_type(&batch(&[]).schema()).unwrap();
    Running { field: Arc::new(Field::new("f", data_type, true)), value: RunningValue::First(expr) }
}

fn aggregate(function: Arc<AggregateUDF>, sql: &str, filter: Option<&str>, peers: bool) -> Running {
    let function = AggregateExprBuilder::new(function, vec![physical(sql)]).schema(batch(&[]).schema());
    let function = Arc::new(function.alias("a").build().unwrap());
    let value =
        RunningValue::Aggregate { filter: filter.map(physical), peers, function: Arc::clone(&function) };
    Running { field: function.field(), value }
}

/// A query whose further columns are these values.
struct Case {
    query: &'static str,
    partition: &'static [usize],
    order: &'static [(usize, bool)],
    ahead: Reach,
    running: Vec<Running>,
}

const PEERS: Reach = Reach { rows: 0, groups: Some(0), distance: None };

fn cases() -> Vec<Case> {
    vec![
        Case {
            query: "SELECT *, row_number() OVER w, first_value(f) OVER w, sum(v / 3.0) OVER w, avg(v / 7.0) OVER w,
                    sum(v) OVER r, avg(v / 3.0) OVER r
                FROM t WINDOW w AS (PARTITION BY k ORDER BY v DESC, f, t, s),
                    r AS (PARTITION BY k ORDER BY v DESC, f, t, s ROWS UNBOUNDED PRECEDING)",
            partition: &[0],
            order: &[(2, true), (1, false), (4, false), (3, false)],
            ahead: PEERS,
            running: vec![
                number(Number::Row),
                first("f"),
                aggregate(sum_udaf(), "v / 3.0", None, true),
                aggregate(avg_udaf(), "v / 7.0", None, true),
                aggregate(sum_udaf(), "v", None, false),
                aggregate(avg_udaf(), "v / 3.0", None, false),
            ],
        },
        Case {
            query: "SELECT *, rank() OVER w, dense_rank() OVER w, count(f) OVER w,
                    sum(v) FILTER (WHERE f > 0) OVER w, min(f) OVER w, max(s) OVER w, bool_or(v > 300) OVER w
                FROM t WINDOW w AS (ORDER BY v)",
            partition: &[],
            order: &[(2, false)],
            ahead: PEERS,
            running: vec![
                number(Number::Rank),
                number(Number::DenseRank),
                aggregate(count_udaf(), "f", None, true),
                aggregate(sum_udaf(), "v", Some("f > 0"), true),
                aggregate(min_udaf(), "f", None, true),
                aggregate(max_udaf(), "s", None, true),
                aggregate(bool_or_udaf(), "v > 300", None, true),
            ],
        },
        Case {
            query: "SELECT *, row_number() OVER w, max(t) OVER w, first_value(v) OVER w
                FROM t WINDOW w AS (PARTITION BY k ORDER BY t, v, f, s ROWS UNBOUNDED PRECEDING)",
            partition: &[0],
            order: &[(4, false), (2, false), (1, false), (3, false)],
            ahead: Reach { groups: None, ..PEERS },
            running: vec![number(Number::Row), aggregate(max_udaf(), "t", None, false), first("v")],
        },
    ]
}

impl Case {
    fn spec(&self, retracting: bool) -> PartitionsSpec {
        let see = See::Rest(Near { back: Reach::default(), ahead: self.ahead });
        PartitionsSpec { running: self.running.clone(), ..spec(self.partition, self.order, retracting, see) }
    }
}

fn new(spec: &PartitionsSpec) -> PartitionsOperator {
    PartitionsOperator::try_new(spec.clone(), Gives::Relation(Box::new(Same(spec.seen())))).unwrap()
}

/// A row of one of two partitions, after nearly all that came before, or anywhere among them.
fn random_row(rng: &mut SmallRng, step: i64) -> Row {
    let late = rng.random_bool(0.05);
    let v = if late { rng.random_range(0..step * 40 + 40) } else { step * 40 + rng.random_range(0..40) };
    let float = rng.random_bool(0.9).then(|| rng.random_range(0..4));
    (rng.random_bool(0.9).then(|| rng.random_range(0..2)), float, v, rng.random_bool(0.9).then_some(v / 8))
}

/// A result, to the last bit of its floats.
#[derive(Default)]
struct Exact {
    texts: Folded,
    bits: BTreeMap<Vec<u8>, i64>,
}

impl Exact {
    fn apply(&mut self, batches: &[RecordBatch]) {
        self.texts.apply(batches);
        for batch in batches {
            let weights = weights_in(batch).unwrap();
            let columns = &batch.columns()[..batch.num_columns() - usize::from(weights.is_some())];
            for (row, bytes) in encode(columns).unwrap().iter().enumerate() {
                let weight = weights.map_or(1, |weights| weights.value(row));
                *self.bits.entry(bytes.data().to_vec()).or_default() += weight;
            }
        }
        self.bits.retain(|_, weight| *weight != 0);
    }
}

#[test]
fn running_values_are_those_over_all_rows() {
    for (number, case) in cases().iter().flat_map(|case| [case; 4]).enumerate() {
        let mut rng = SmallRng::seed_from_u64(number as u64);
        let retracting = number % 2 == 0;
        let spec = case.spec(retracting);
        let (mut operator, mut saved) = (new(&spec), Saved::default());
        let twin = Sql::over(case.query, &batch(&[]));
        let (mut bag, mut folded) = (Bag::default(), Exact::default());
        for step in 0..10 {
            let rows = [1, 30, 300][rng.random_range(0..3)];
            let mut changes: Vec<(Row, i64)> = (0..rows)
                .map(|_| (random_row(&mut rng, step), if retracting { rng.random_range(1..3) } else { 1 }))
                .collect();
            if retracting {
                let share = [0.0, 0.002, 0.1, 1.0][rng.random_range(0..4) * usize::from(step < 8)];
                let gone = bag.0.iter().filter(|_| rng.random_bool(share));
                changes.extend(gone.map(|(row, weight)| (*row, -*weight)).collect::<Vec<_>>());
            }
            changes.iter().for_each(|(row, weight)| bag.add(*row, *weight));
            operator.push(&at(step as u64, None), 0, change_batch(&changes, retracting)).unwrap();
            let output = operator.finish(&at(step as u64, None)).unwrap();
            no_row_and_its_own_retraction(&output);
            folded.apply(&output);
            let what = format!("case {number} step {step}: {}", case.query);
            let expected = twin.answer(bag.batch());
            let texts = sorted(expected.iter().flat_map(lines));
            assert_same(&folded.texts.rows(), &texts, &what);
            let mut bits = Exact::default();
            bits.apply(&expected);
            assert!(folded.bits == bits.bits, "not the same to the last bit: {what}");
            saved.apply(&mut operator);
            if rng.random_bool(0.2) {
                operator = new(&spec);
                saved.restore_into(&mut operator);
            }
        }
    }
}

/// The sum of a column, which counts the rows that it looks at.
fn counting_sum() -> (Running, Arc<AtomicUsize>) {
    let looked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&looked);
    let count = move |arguments: &[ColumnarValue]| {
        let ColumnarValue::Array(values) = &arguments[0] else { panic!("not a column") };
        counter.fetch_add(values.len(), Ordering::Relaxed);
        Ok(arguments[0].clone())
    };
    let types = (vec![DataType::Int64], DataType::Int64);
    let udf = create_udf("counted", types.0, types.1, Volatility::Immutable, Arc::new(count));
    let schema = DFSchema::try_from(batch(&[]).schema()).unwrap();
    let counted = context(&batch(&[])).create_physical_expr(udf.call(vec![col("v")]), &schema).unwrap();
    let function = AggregateExprBuilder::new(sum_udaf(), vec![counted]).schema(batch(&[]).schema());
    let function = Arc::new(function.alias("a").build().unwrap());
    let field = function.field();
    (Running { field, value: RunningValue::Aggregate { function, filter: None, peers: true } }, looked)
}

#[test]
fn row_at_the_end_of_a_partition_does_not_cost_the_partition() {
    let (sum, looked) = counting_sum();
    let case = &cases()[0];
    let spec =
        PartitionsSpec { order: vec![(4, SortOptions::default())], running: vec![sum], ..case.spec(false) };
    let mut rest = RestRows::try_new(&spec, Near { back: Reach::default(), ahead: PEERS }).unwrap();
    let row = |at: i64| -> Row { (Some(at % 2), Some(3), at, Some(at)) };
    let delta = |rows: Vec<Row>| Delta { weights: vec![1; rows.len()], rows: batch(&rows) };
    rest.change(delta((0..4_000).map(row).collect()), true).unwrap();
    let places = rest.places.len();
    assert!((2 * 4..2 * 12).contains(&places), "{places} places in two partitions of 2,000 rows");
    let (rows, bytes) = (rest.rows(), rest.bytes());
    for at in 4_000..5_000 {
        looked.store(0, Ordering::Relaxed);
        let Seen { before, after } = rest.change(delta(vec![row(at)]), true).unwrap();
        assert_eq!((before.num_rows(), after.num_rows()), (0, 1));
        let looked = looked.load(Ordering::Relaxed);
        assert!(looked <= 2 * 20, "{looked} rows for one");
    }
    assert_eq!(rest.rows(), rows + 1_000);
    assert!(rest.bytes() > bytes);
    assert!(rest.places.len() < places + 2 * 5, "{} places after 1,000 rows more", rest.places.len());
    looked.store(0, Ordering::Relaxed);
    let Seen { before, after } = rest.change(delta(vec![(Some(1), Some(3), 1, Some(2_000))]), true).unwrap();
    assert_eq!((before.num_rows(), after.num_rows()), (1_500, 1_501));
    let looked = looked.load(Ordering::Relaxed);
    assert!(looked < 2 * (1_501 + 512), "{looked} rows for 1,501");
}

#[test]
fn partitions_that_leave_take_their_places_with_them() {
    let case = &cases()[2];
    let bound = TimeBound::new(|watermark: Timestamp| Ok(watermark.0));
    let time = Some(TimeKey { column: 4, field: None, derived_start: None, bound });
    let order = vec![(2, SortOptions::default())];
    for emit in [Emit::Changes, Emit::Final] {
        let spec = PartitionsSpec {
            partition: vec![4],
            order: order.clone(),
            time: time.clone(),
            emit,
            ..case.spec(false)
        };
        let mut operator = new(&spec);
        let empty = operator.state_bytes();
        let rows: Vec<Row> = (0..2_000).map(|at| (None, Some(3), at, Some(at % 2))).collect();
        operator.push(&at(0, Some(0)), 0, batch(&rows)).unwrap();
        let given = operator.finish(&at(0, Some(0))).unwrap();
        assert_eq!(given.is_empty(), emit == Emit::Final);
        let mut left = operator.finish(&at(1, Some(9_000_000))).unwrap();
        assert_eq!(left.is_empty(), emit != Emit::Final);
        let query = "SELECT *, row_number() OVER w, max(t) OVER w, first_value(v) OVER w
            FROM t WINDOW w AS (PARTITION BY t ORDER BY v)";
        let twin = Sql::over(query, &batch(&[]));
        let expected = sorted(twin.answer(batch(&rows)).iter().flat_map(lines));
        let mut folded = Folded::default();
        left.extend(given);
        folded.apply(&left);
        assert_same(&folded.rows(), &expected, "partitions that have left");
        assert_eq!((operator.state_rows(), operator.state_bytes()), (0, empty));
    }
}
