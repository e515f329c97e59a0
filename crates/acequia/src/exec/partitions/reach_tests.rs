//! Frames of RANGE over values of every type that has distances, many of them at the ends of the type.

use super::tests::Sql;
use super::*;
use crate::exec::twin::{Folded, assert_same, at, lines, sorted};
use arrow::array::{ArrayRef, Decimal128Array, Float32Array, Float64Array, Int64Array, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::TimeUnit;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

fn nullable<T: Copy>(values: &[T]) -> impl Iterator<Item = Option<T>> + '_ {
    std::iter::once(None).chain(values.iter().copied().map(Some))
}

fn integers(values: &[i64], data_type: &DataType) -> ArrayRef {
    let values: ArrayRef = Arc::new(nullable(values).collect::<Int64Array>());
    cast(&values, data_type).unwrap()
}

/// Values, a long and a short distance as SQL writes them, and as the operator has them.
fn cases() -> Vec<(ArrayRef, [&'static str; 2], [Distance; 2])> {
    use Distance::{Float, Units};
    let (least, most) = (i64::MIN, i64::MAX);
    let many: Vec<i64> = (-128..128).step_by(5).collect();
    let floats = [f64::NEG_INFINITY, f64::MIN, -1.5, -0.0, 0.0, 1e-300, 0.1, 0.2, 0.3, 1.5, 1e16, f64::MAX]
        .into_iter()
        .chain([f64::INFINITY, f64::NAN]);
    let floats: Vec<f64> = floats.collect();
    let small = [f32::MIN, -0.0, 0.0, 0.1, 0.2, 0.3, 16_777_216.0, f32::MAX, f32::INFINITY, f32::NAN];
    let decimals = nullable(&[-9999_i128, -5, 0, 5, 10, 15, 9999]).collect::<Decimal128Array>();
    let seconds = DataType::Timestamp(TimeUnit::Second, None);
    let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let days = cast(
        &integers(&[-40, -1, 0, 1, 27, 28, 29, 30, 31, 58, 59, 60], &DataType::Int32),
        &DataType::Date32,
    );
    let month = Units((31 + 4) * 86_400 + 1);
    // The ends of January to March of 1970, with hours that turn over when a month is taken off.
    let ends: Vec<i64> = (28 * 24..92 * 24).step_by(11).map(|hour| hour * 3600).collect();
    vec![
        (integers(&many, &DataType::Int8), ["100", "30"], [Units(100), Units(30)]),
        (
            integers(&(0..256).step_by(5).collect::<Vec<_>>(), &DataType::UInt8),
            ["200", "7"],
            [Units(200), Units(7)],
        ),
        (
            integers(&[least, least + 1, least + 9, -1, 0, 1, most - 9, most - 1, most], &DataType::Int64),
            ["8", "0"],
            [Units(8), Units(0)],
        ),
        (Arc::new(nullable(&floats).collect::<Float64Array>()), ["1.5", "0.1"], [Float(1.5), Float(0.1)]),
        (Arc::new(nullable(&floats).collect::<Float64Array>()), ["1e308", "0"], [Float(1e308), Float(0.0)]),
        (
            Arc::new(nullable(&small).collect::<Float32Array>()),
            ["0.1", "0"],
            [Float(0.100_000_01), Float(0.0)],
        ),
        (Arc::new(decimals.with_precision_and_scale(4, 1).unwrap()), ["1", "0.5"], [Units(10), Units(5)]),
        (days.unwrap(), ["INTERVAL '1 month'", "INTERVAL '1 day'"], [Units(36), Units(6)]),
        (integers(&ends, &seconds), ["INTERVAL '1 month'", "INTERVAL '1 hour'"], [month, Units(3601)]),
        (
            integers(&[least, least + 1, 0, 1_000, most - 1, most], &nanos),
            ["INTERVAL '1 microsecond'", "INTERVAL '0 seconds'"],
            [Units(1_000), Units(0)],
        ),
    ]
}

/// Rows of all of these values, twice.
fn table(values: &ArrayRef) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..2 * values.len() as i64));
    let values = arrow::compute::concat(&[values.as_ref(), values.as_ref()]).unwrap();
    RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("x", values, true)]).unwrap()
}

#[test]
fn ranges_of_values_are_those_over_all_rows() {
    let frames = [
        "{long} PRECEDING AND {short} FOLLOWING",
        "{long} PRECEDING AND {short} PRECEDING",
        "{short} FOLLOWING AND {long} FOLLOWING",
    ];
    for (number, (values, texts, distances)) in cases().into_iter().enumerate() {
        let all = table(&values);
        for seed in 0..12_u64 {
            let (descending, nulls_first) = (seed % 2 == 1, seed % 4 > 1);
            let frame = frames[seed as usize % 3];
            let query = format!(
                "SELECT id, count(*) OVER w AS n, min(id) OVER w AS m FROM t WINDOW w AS
                    (ORDER BY x {} NULLS {} RANGE BETWEEN {})",
                if descending { "DESC" } else { "ASC" },
                if nulls_first { "FIRST" } else { "LAST" },
                frame.replace("{long}", texts[0]).replace("{short}", texts[1])
            );
            let within = |distance| Reach { groups: Some(0), distance: Some(distance), rows: 0 };
            let peers = Reach { groups: Some(0), ..Reach::default() };
            let near = match seed % 3 {
                0 => Near { back: within(distances[0]), ahead: within(distances[1]) },
                1 => Near { back: within(distances[0]), ahead: peers },
                _ => Near { back: peers, ahead: within(distances[0]) },
            };
            let spec = PartitionsSpec {
                operator: OperatorId(0),
                schema: all.schema(),
                partition: vec![],
                order: vec![(1, SortOptions { descending, nulls_first })],
                retracting: true,
                time: None,
                emit: Emit::Changes,
                in_order: false,
                see: See::Near(near),
                running: vec![],
            };
            same_as_over_all(&all, &query, spec, &format!("case {number} seed {seed}: {query}"), seed);
        }
    }
}

/// Rows come and go at random.
fn same_as_over_all(all: &RecordBatch, query: &str, spec: PartitionsSpec, what: &str, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let relation = Box::new(Sql::over(query, &all.slice(0, 0)));
    let mut operator = PartitionsOperator::try_new(spec, Gives::Relation(relation)).unwrap();
    let (twin, mut folded) = (Sql::over(query, &all.slice(0, 0)), Folded::default());
    let mut there = vec![false; all.num_rows()];
    let rows = |which: Vec<u32>| take_record_batch(all, &UInt32Array::from(which)).unwrap();
    for step in 0..5 {
        let share = [0.4, 0.05, 0.01][rng.random_range(0..3)];
        let changed: Vec<u32> = (0..all.num_rows() as u32)
            .filter(|_| rng.random_bool(if step == 0 { 0.7 } else { share }))
            .collect();
        let weight = |row: &u32| if there[*row as usize] { -1 } else { 1 };
        let weights = changed.iter().map(weight).collect();
        changed.iter().for_each(|row| there[*row as usize] ^= true);
        let delta = Delta { rows: rows(changed), weights };
        operator.push(&at(step, None), 0, delta.into_batch().unwrap()).unwrap();
        folded.apply(&operator.finish(&at(step, None)).unwrap());
        let now: Vec<u32> = (0..all.num_rows() as u32).filter(|row| there[*row as usize]).collect();
        let expected = sorted(twin.answer(rows(now)).iter().flat_map(lines));
        assert_same(&folded.rows(), &expected, &format!("{what}, step {step}"));
    }
}
