//! Moving bounds against DataFusion's answer over all rows, after every batch.

use super::*;
use crate::exec::twin::{self, Folded, Rows, assert_same, at, lines, sorted};
use acequia_core::OperatorId;
use arrow::array::{AsArray, Float64Array, Int64Array, StringViewArray, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

const COLUMNS: [&str; 3] = ["f", "s", "v"];
const COMPARISONS: [Comparison; 4] =
    [Comparison::Less, Comparison::LessOrEqual, Comparison::Greater, Comparison::GreaterOrEqual];

fn schema() -> SchemaRef {
    let types = [DataType::Float64, DataType::Utf8View, DataType::Int64];
    let fields = COLUMNS.iter().zip(types).map(|(name, t)| Field::new(*name, t, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// `f DOUBLE, s VARCHAR, v BIGINT`, some NULL.
fn random_rows(rng: &mut SmallRng, rows: usize) -> RecordBatch {
    let some = |rng: &mut SmallRng| rng.random_bool(0.85);
    let floats = [0.0, -0.0, 1.5, -3.0, f64::INFINITY, f64::NAN];
    let words = ["", "a", "aa", "b", "a word longer than a view"];
    let f: Float64Array = (0..rows).map(|_| some(rng).then(|| *floats.choose(rng).unwrap())).collect();
    let s: StringViewArray = (0..rows).map(|_| some(rng).then(|| *words.choose(rng).unwrap())).collect();
    let v: Int64Array = (0..rows).map(|_| some(rng).then(|| rng.random_range(-3..9))).collect();
    RecordBatch::try_new(schema(), vec![Arc::new(f), Arc::new(s), Arc::new(v)]).unwrap()
}

/// One row that is compared with.
fn bound_of(column: usize, row: &RecordBatch) -> RecordBatch {
    let schema = Schema::new(vec![schema().field(column).clone().with_name("b")]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::clone(row.column(column))]).unwrap()
}

fn answer(rows: &RecordBatch, column: usize, comparison: Comparison, bound: &RecordBatch) -> Vec<String> {
    let context = twin::context_of(&[("t", rows), ("bound", bound)]);
    let sql = format!("SELECT * FROM t WHERE {} {comparison} (SELECT b FROM bound)", COLUMNS[column]);
    sorted(twin::query(&context, &sql).iter().flat_map(lines))
}

/// An operator with what a checkpoint has of it.
struct Saved {
    spec: MovingBoundSpec,
    operator: MovingBoundOperator,
    bags: twin::SavedBags,
}

impl Saved {
    fn new(spec: MovingBoundSpec) -> Self {
        let operator = MovingBoundOperator::try_new(spec.clone()).unwrap();
        let bags = twin::SavedBags::of(&operator);
        Self { spec, operator, bags }
    }

    fn finish(&mut self, context: &BatchContext, folded: &mut Folded) {
        let output = self.operator.finish(context).unwrap();
        assert!(output.iter().all(|batch| batch.schema() == self.operator.output_schema()));
        folded.apply(&output);
        self.bags.take(&mut self.operator);
    }

    fn restart(&mut self) {
        self.operator = MovingBoundOperator::try_new(self.spec.clone()).unwrap();
        self.bags.restore_into(&mut self.operator);
    }
}

fn spec(column: usize, comparison: Comparison, retracting: bool, bound: MovingBound) -> MovingBoundSpec {
    let operator = OperatorId(3);
    MovingBoundSpec { operator, schema: schema(), given: 3, compared: column, comparison, retracting, bound }
}

#[test]
fn rows_follow_a_row_that_moves() {
    for seed in 0..60 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let column = rng.random_range(0..3);
        let comparison = *COMPARISONS.choose(&mut rng).unwrap();
        let none = bound_of(column, &random_rows(&mut rng, 0));
        let retracting = rng.random_bool(0.5);
        let mut saved = Saved::new(spec(column, comparison, retracting, MovingBound::Row(none.schema())));
        let (mut rows, mut folded, mut bound) = (Rows::new(schema()), Folded::default(), none.clone());
        for batch in 0..8 {
            let context = at(batch, None);
            let count = rng.random_range(0..7);
            let added = random_rows(&mut rng, count);
            for piece in rows.change(&mut rng, added, retracting) {
                saved.operator.push(&context, 0, piece).unwrap();
            }
            if rng.random_bool(0.7) {
                let count = rng.random_range(0..2);
                let next = bound_of(column, &random_rows(&mut rng, count));
                let weights = [vec![-1; bound.num_rows()], vec![1; next.num_rows()]].concat();
                let both = concat_batches(&none.schema(), [&bound, &next]).unwrap();
                let changes = Delta { rows: both, weights }.into_batch().unwrap();
                saved.operator.push(&context, 1, changes).unwrap();
                bound = next;
            }
            saved.finish(&context, &mut folded);
            let expected = answer(&rows.batch(), column, comparison, &bound);
            assert_same(&folded.rows(), &expected, &format!("seed {seed} batch {batch} {comparison}"));
            if rng.random_bool(0.3) {
                saved.restart();
            }
        }
    }
}

/// `v` is compared with the tick of the batch's time, less two.
#[derive(Debug)]
struct Ticks;

impl BatchBound for Ticks {
    fn at(&self, time: Timestamp) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(vec![time.0.div_euclid(TICK) - 2])))
    }
}

#[test]
fn rows_follow_the_time() {
    for seed in 0..40 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let comparison = *COMPARISONS.choose(&mut rng).unwrap();
        let retracting = rng.random_bool(0.4);
        let mut saved = Saved::new(spec(2, comparison, retracting, MovingBound::Time(Arc::new(Ticks))));
        let (mut rows, mut folded, mut time) = (Rows::new(schema()), Folded::default(), Timestamp(0));
        let expected_at = |rows: &Rows, time: Timestamp| {
            let bound = RecordBatch::try_from_iter([("b", Ticks.at(time).unwrap())]).unwrap();
            answer(&rows.batch(), 2, comparison, &bound)
        };
        for batch in 0..8 {
            let context = BatchContext { batch_time: time, ..at(batch, None) };
            let count = rng.random_range(0..7);
            let added = random_rows(&mut rng, count);
            for piece in rows.change(&mut rng, added, retracting) {
                saved.operator.push(&context, 0, piece).unwrap();
            }
            saved.finish(&context, &mut folded);
            let expected = expected_at(&rows, time);
            assert_same(&folded.rows(), &expected, &format!("seed {seed} batch {batch} {comparison}"));
            if rng.random_bool(0.3) {
                saved.restart();
            }
            match saved.operator.due_at() {
                Some(due) => {
                    assert!(due > time, "seed {seed}: due at {due:?} after a batch at {time:?}");
                    assert_ne!(expected_at(&rows, due), expected);
                    let before = Timestamp((due.0 - TICK).max(time.0));
                    assert_eq!(expected_at(&rows, before), expected, "seed {seed}: rows are due earlier");
                }
                None => assert_eq!(expected_at(&rows, Timestamp(100 * TICK)), expected),
            }
            time.0 += rng.random_range(0..4) * TICK / 2;
        }
    }
}

#[test]
fn rows_that_time_has_passed_are_not_kept() {
    for comparison in COMPARISONS {
        let mut saved = Saved::new(spec(2, comparison, false, MovingBound::Time(Arc::new(Ticks))));
        let mut rng = SmallRng::seed_from_u64(1);
        let mut folded = Folded::default();
        saved.operator.push(&at(0, None), 0, random_rows(&mut rng, 50)).unwrap();
        saved.finish(&BatchContext { batch_time: Timestamp(0), ..at(0, None) }, &mut folded);
        assert!(saved.operator.state_rows() > 0);
        saved.finish(&BatchContext { batch_time: Timestamp(50 * TICK), ..at(1, None) }, &mut folded);
        assert_eq!((saved.operator.state_rows(), saved.operator.due_at()), (0, None));
        assert_eq!(folded.rows().is_empty(), comparison.passes_above());
    }
}

#[test]
fn a_relation_of_two_rows_is_refused() {
    let two = random_rows(&mut SmallRng::seed_from_u64(2), 9);
    let bound = bound_of(2, &two);
    let spec = spec(2, Comparison::Less, false, MovingBound::Row(bound.schema()));
    let mut operator = MovingBoundOperator::try_new(spec).unwrap();
    operator.push(&at(0, None), 1, bound).unwrap();
    assert!(operator.finish(&at(0, None)).is_err());
}

#[test]
fn null_bounds_let_nothing_pass() {
    for comparison in COMPARISONS {
        let rows = random_rows(&mut SmallRng::seed_from_u64(3), 20);
        assert!(rows.column(2).as_primitive::<Int64Type>().iter().any(|v| v.is_some()));
        let bound = bound_of(2, &rows.slice(0, 1));
        let null = new_null_array(&DataType::Int64, 1);
        let bound = RecordBatch::try_new(bound.schema(), vec![null]).unwrap();
        let spec = spec(2, comparison, false, MovingBound::Row(bound.schema()));
        let mut operator = MovingBoundOperator::try_new(spec).unwrap();
        operator.push(&at(0, None), 0, rows).unwrap();
        operator.push(&at(0, None), 1, bound).unwrap();
        assert!(operator.finish(&at(0, None)).unwrap().is_empty());
    }
}

#[test]
fn rows_are_held_until_the_watermark_passes_them_and_late_ones_are_counted() {
    for seed in 0..40 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let bound = TimeBound::new(|watermark| Ok(watermark.0));
        let mut saved = Saved::new(spec(2, Comparison::Less, false, MovingBound::Watermark(bound)));
        let (mut on_time, mut folded, mut watermark) = (vec![], Folded::default(), None);
        for batch in 0..8 {
            let context = at(batch, watermark);
            let count = rng.random_range(0..7);
            let added = random_rows(&mut rng, count);
            let times = added.column(2).as_primitive::<Int64Type>().clone();
            let (kept, late) = on_time_rows(&added, &times, watermark);
            saved.operator.push(&context, 0, added).unwrap();
            on_time.push(kept);
            saved.finish(&context, &mut folded);
            assert_eq!(saved.operator.late_rows(), late);
            let rows = concat_batches(&schema(), &on_time).unwrap();
            let bound = Int64Array::from(vec![watermark]);
            let bound = RecordBatch::try_from_iter([("b", Arc::new(bound) as ArrayRef)]).unwrap();
            let expected = answer(&rows, 2, Comparison::Less, &bound);
            assert_same(&folded.rows(), &expected, &format!("seed {seed} batch {batch} {watermark:?}"));
            if rng.random_bool(0.3) {
                saved.restart();
            }
            let next = Some(watermark.unwrap_or(-3) + rng.random_range(0..3));
            let bound =
                RecordBatch::try_from_iter([("b", Arc::new(Int64Array::from(vec![next])) as ArrayRef)]);
            let more = answer(&rows, 2, Comparison::Less, &bound.unwrap()) != expected;
            assert_eq!(saved.operator.wakes_at(Watermark(next.map(Timestamp))), more, "seed {seed}");
            watermark = next;
        }
    }
}

/// The rows that are not below a watermark, and how many are.
fn on_time_rows(rows: &RecordBatch, times: &Int64Array, watermark: Option<i64>) -> (RecordBatch, u64) {
    match watermark {
        Some(watermark) => on_time(rows.clone(), times, watermark).unwrap(),
        None => (rows.clone(), 0),
    }
}
