//! ASOF joins against DataFusion's answer over all rows, in which each left row ranks all of its right rows.

use super::*;
use crate::exec::TimeBound;
use crate::exec::twin::{self, Folded, Rows, assert_same, at, lines, sorted};
use acequia_core::{OperatorId, Timestamp};
use arrow::array::{Array, AsArray, Int64Array, StringViewArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit, TimestampMicrosecondType};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::sync::Arc;

/// `k BIGINT, s VARCHAR, t TIMESTAMP, v BIGINT`, each a few values, some NULL.
fn random_rows(rng: &mut SmallRng, rows: usize, nulls: f64, times: std::ops::Range<i64>) -> RecordBatch {
    let some = |rng: &mut SmallRng| !rng.random_bool(nulls);
    let words = ["a", "", "a word longer than a view"];
    let k: Int64Array = (0..rows).map(|_| some(rng).then(|| rng.random_range(0..3))).collect();
    let s: StringViewArray = (0..rows).map(|_| some(rng).then(|| *words.choose(rng).unwrap())).collect();
    let t: TimestampMicrosecondArray =
        (0..rows).map(|_| some(rng).then(|| rng.random_range(times.clone()))).collect();
    let v: Int64Array = (0..rows).map(|_| some(rng).then(|| rng.random_range(0..3))).collect();
    RecordBatch::try_new(schema(), vec![Arc::new(k), Arc::new(s), Arc::new(t), Arc::new(v)]).unwrap()
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let types = [DataType::Int64, DataType::Utf8View, time, DataType::Int64];
    let fields = ["k", "s", "t", "v"].iter().zip(types);
    Arc::new(Schema::new(fields.map(|(name, t)| Field::new(*name, t, true)).collect::<Vec<_>>()))
}

#[derive(Debug)]
struct Case {
    key: Vec<usize>,
    nearest: Nearest,
    keeps_unmatched: bool,
    retracting: [bool; 2],
}

impl Case {
    fn random(rng: &mut SmallRng) -> Self {
        Self {
            key: [vec![], vec![0], vec![1], vec![1, 0], vec![0, 0]].choose(rng).unwrap().clone(),
            nearest: Nearest { next: rng.random(), same: rng.random() },
            keeps_unmatched: rng.random(),
            retracting: [rng.random(), rng.random()],
        }
    }

    fn spec(&self, emit: Emit, bounds: Option<[TimeBound; 2]>) -> AsofSpec {
        let side = || AsofSide { schema: schema(), key: self.key.clone(), time: 2, output: 4 };
        let mut fields = schema().fields().to_vec();
        fields.extend_from_within(..);
        AsofSpec {
            operator: OperatorId(3),
            sides: [side(), side()],
            nearest: self.nearest,
            keeps_unmatched: self.keeps_unmatched,
            output_schema: Arc::new(Schema::new(fields)),
            emit,
            bounds,
        }
    }

    fn answer(&self, left: &RecordBatch, right: &RecordBatch) -> Vec<String> {
        let columns = ["k", "s"];
        let mut on: Vec<String> = self.key.iter().map(|c| format!("l.{0} = r.{0}", columns[*c])).collect();
        let compared = match (self.nearest.next, self.nearest.same) {
            (false, true) => ">=",
            (false, false) => ">",
            (true, true) => "<=",
            (true, false) => "<",
        };
        on.push(format!("l.t {compared} r.t"));
        let order = if self.nearest.next { "ASC" } else { "DESC" };
        let kind = if self.keeps_unmatched { "LEFT" } else { "INNER" };
        let sql = format!(
            "SELECT k, s, t, v, rk, rs, rt, rv FROM (
               SELECT l.*, r.k AS rk, r.s AS rs, r.t AS rt, r.v AS rv, row_number() OVER (PARTITION BY l.n
                 ORDER BY r.t {order}, r.k DESC NULLS LAST, r.s DESC NULLS LAST, r.v DESC NULLS LAST) AS place
               FROM (SELECT *, row_number() OVER () AS n FROM l) l {kind} JOIN r ON {})
             WHERE place = 1",
            on.join(" AND ")
        );
        let context = twin::context_of(&[("l", left), ("r", right)]);
        sorted(twin::query(&context, &sql).iter().flat_map(lines))
    }
}

#[test]
fn asof_joins_are_datafusions_after_every_batch() {
    for seed in 0..100 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let case = Case::random(&mut rng);
        let spec = case.spec(Emit::Changes, None);
        let nulls = if rng.random_bool(0.5) { 0.02 } else { 0.3 };
        let mut operator = AsofOperator::try_new(spec.clone()).unwrap();
        let mut saved = twin::SavedBags::of(&operator);
        let mut inputs = [Rows::new(schema()), Rows::new(schema())];
        let mut folded = Folded::default();
        for batch in 0..6 {
            let context = at(batch, None);
            for side in [1, 0] {
                let count = rng.random_range(0..8);
                let added = random_rows(&mut rng, count, nulls, -4..4);
                for piece in inputs[side].change(&mut rng, added, case.retracting[side]) {
                    operator.push(&context, side, piece).unwrap();
                }
            }
            let output = operator.finish(&context).unwrap();
            assert!(output.iter().all(|batch| batch.schema() == operator.output_schema()));
            folded.apply(&output);
            let expected = case.answer(&inputs[0].batch(), &inputs[1].batch());
            assert_same(&folded.rows(), &expected, &format!("seed {seed} batch {batch} {case:?}"));
            saved.take(&mut operator);
            if rng.random_bool(0.3) {
                operator = AsofOperator::try_new(spec.clone()).unwrap();
                saved.restore_into(&mut operator);
            }
        }
    }
}

/// With bounds on both sides rows leave and change nothing; with [`Emit::Final`] each left row comes once.
#[test]
fn what_stands_leaves_and_comes_once() {
    for seed in 0..100 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut case = Case::random(&mut rng);
        case.nearest.next = false;
        let emit = if rng.random() { Emit::Final } else { Emit::Changes };
        // Times of a side may lag behind the watermark.
        let lags = [rng.random_range(0..4), rng.random_range(0..4)];
        let bound = |lag: i64| TimeBound::new(move |time: Timestamp| Ok(time.0 - lag));
        let spec = case.spec(emit, Some(lags.map(bound)));
        let mut operator = AsofOperator::try_new(spec.clone()).unwrap();
        let mut saved = twin::SavedBags::of(&operator);
        let mut used = [vec![], vec![]];
        let mut folded = Folded::default();
        let mut watermark = 0;
        for batch in 0..10 {
            let context = at(batch, Some(watermark));
            let mut late = 0;
            for side in 0..2 {
                let least = watermark - lags[side];
                let count = rng.random_range(0..6);
                let rows = random_rows(&mut rng, count, 0.1, least - 1..watermark + 6);
                let times = rows.column(2).as_primitive::<TimestampMicrosecondType>();
                let on_time = |row: &u32| times.is_null(*row as usize) || times.value(*row as usize) >= least;
                let on_time: Vec<u32> = (0..count as u32).filter(on_time).collect();
                late += (count - on_time.len()) as u64;
                operator.push(&context, side, rows.clone()).unwrap();
                used[side]
                    .push(arrow::compute::take_record_batch(&rows, &UInt32Array::from(on_time)).unwrap());
            }
            folded.apply(&operator.finish(&context).unwrap());
            assert_eq!(operator.late_rows(), late);
            saved.take(&mut operator);
            if emit == Emit::Changes {
                let [left, right] = used.each_ref().map(|rows| twin::together(&schema(), rows));
                let what = format!("seed {seed} batch {batch} {case:?} lags {lags:?}");
                assert_same(&folded.rows(), &case.answer(&left, &right), &what);
            }
            if rng.random_bool(0.3) {
                operator = AsofOperator::try_new(spec.clone()).unwrap();
                saved.restore_into(&mut operator);
            }
            watermark += rng.random_range(0..4);
        }
        folded.apply(&operator.finish(&at(10, Some(1000))).unwrap());
        let [left, right] = used.map(|rows| twin::together(&schema(), &rows));
        assert_same(&folded.rows(), &case.answer(&left, &right), &format!("seed {seed} {case:?} {emit:?}"));
        assert_eq!(operator.left.len(), 0);
        assert!(operator.right.len() <= 16, "one row of each key: {}", operator.right.len());
        assert!(!operator.wakes_at(at(11, Some(2000)).watermark));
    }
}

#[test]
fn final_rows_come_in_the_batch_that_makes_them_so() {
    let case = Case {
        key: vec![0],
        nearest: Nearest { next: false, same: true },
        keeps_unmatched: true,
        retracting: [false, false],
    };
    let bound = || TimeBound::new(|time: Timestamp| Ok(time.0));
    let mut operator = AsofOperator::try_new(case.spec(Emit::Final, Some([bound(), bound()]))).unwrap();
    let row = |time: i64| {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![1])),
            Arc::new(StringViewArray::from(vec!["a"])),
            Arc::new(TimestampMicrosecondArray::from(vec![time])),
            Arc::new(Int64Array::from(vec![7])),
        ];
        RecordBatch::try_new(schema(), columns).unwrap()
    };
    let rows = |batches: Vec<RecordBatch>| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    operator.push(&at(0, Some(0)), 0, row(10)).unwrap();
    operator.push(&at(0, Some(0)), 1, row(10)).unwrap();
    assert_eq!(rows(operator.finish(&at(0, Some(0))).unwrap()), 0);
    assert!(!operator.wakes_at(at(1, Some(10)).watermark));
    assert_eq!(rows(operator.finish(&at(1, Some(10))).unwrap()), 0);
    assert!(operator.wakes_at(at(2, Some(11)).watermark));
    assert_eq!(rows(operator.finish(&at(2, Some(11))).unwrap()), 1);
    assert_eq!(operator.state_rows(), 1);
}
