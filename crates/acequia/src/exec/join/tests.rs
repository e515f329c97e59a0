//! Joins against DataFusion's answer over all rows, after every batch.

use super::*;
use crate::exec::TimeBound;
use crate::exec::twin::{self, Folded, Rows, assert_same, at, lines, sorted};
use acequia_core::{OperatorId, Timestamp};
use arrow::array::{Float64Array, Int64Array, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::JoinType;
use datafusion::logical_expr::Operator as BinaryOperator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::sync::Arc;

/// `k BIGINT, f DOUBLE, s VARCHAR, v BIGINT`, each a few values, some NULL.
fn random_rows(rng: &mut SmallRng, rows: usize, nulls: f64) -> RecordBatch {
    let some = |rng: &mut SmallRng| !rng.random_bool(nulls);
    let floats = [0.0, -0.0, 1.0, f64::NAN];
    let words = ["a", "b", "a word longer than a view"];
    let k: Int64Array = (0..rows).map(|_| some(rng).then(|| rng.random_range(0..5))).collect();
    let f: Float64Array = (0..rows).map(|_| some(rng).then(|| *floats.choose(rng).unwrap())).collect();
    let s: StringViewArray = (0..rows).map(|_| some(rng).then(|| *words.choose(rng).unwrap())).collect();
    let v: Int64Array = (0..rows).map(|_| some(rng).then(|| rng.random_range(0..4))).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(k), Arc::new(f), Arc::new(s), Arc::new(v)];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn schema() -> SchemaRef {
    let types = [DataType::Int64, DataType::Float64, DataType::Utf8View, DataType::Int64];
    let fields = ["k", "f", "s", "v"].iter().zip(types);
    Arc::new(Schema::new(fields.map(|(name, t)| Field::new(*name, t, true)).collect::<Vec<_>>()))
}

fn output_schema(kind: JoinType) -> SchemaRef {
    let mut fields = schema().fields().to_vec();
    match kind {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            fields.extend_from_within(..);
        }
        JoinType::LeftMark | JoinType::RightMark => {
            fields.push(Arc::new(Field::new("mark", DataType::Boolean, false)));
        }
        _ => {}
    }
    Arc::new(Schema::new(fields))
}

/// `l.v <= r.v`
fn filter() -> JoinFilter {
    let column = |side| ColumnIndex { index: 3, side };
    let expr =
        BinaryExpr::new(Arc::new(Column::new("lv", 0)), BinaryOperator::LtEq, Arc::new(Column::new("rv", 1)));
    let fields = vec![Field::new("lv", DataType::Int64, true), Field::new("rv", DataType::Int64, true)];
    let columns = vec![column(Place::Left), column(Place::Right)];
    JoinFilter::new(Arc::new(expr), columns, Arc::new(Schema::new(fields)))
}

#[derive(Debug, Clone)]
struct Case {
    kind: JoinType,
    key: Vec<usize>,
    filtered: bool,
    nulls_equal: bool,
    not_in: bool,
    retracting: [bool; 2],
}

impl Case {
    fn random(rng: &mut SmallRng) -> Self {
        use JoinType::*;
        let kinds = [Inner, Left, Right, Full, LeftSemi, RightSemi, LeftAnti, RightAnti, LeftMark, RightMark];
        let not_in = rng.random_bool(0.15);
        Self {
            kind: if not_in { LeftAnti } else { *kinds.choose(rng).unwrap() },
            key: if not_in {
                vec![0]
            } else {
                [vec![], vec![0], vec![1], vec![0, 2]].choose(rng).unwrap().clone()
            },
            filtered: !not_in && rng.random_bool(0.4),
            nulls_equal: !not_in && rng.random_bool(0.3),
            not_in,
            retracting: [rng.random_bool(0.6), rng.random_bool(0.6)],
        }
    }

    fn spec(&self) -> JoinSpec {
        let side = |retracting| JoinSide {
            schema: schema(),
            key: self.key.clone(),
            output: vec![0, 1, 2, 3],
            retracting,
            eviction: None,
        };
        let only_adds = self.retracting == [false, false]
            && matches!(self.kind, JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi);
        JoinSpec {
            operator: OperatorId(3),
            kind: self.kind,
            sides: self.retracting.map(side),
            filter: self.filtered.then(filter),
            nulls_equal: self.nulls_equal,
            null_aware: self.not_in,
            output_schema: output_schema(self.kind),
            emit: if only_adds { JoinEmit::Inserts } else { JoinEmit::Changes },
        }
    }

    fn answer(&self, left: &RecordBatch, right: &RecordBatch) -> Vec<String> {
        let columns = ["k", "f", "s", "v"];
        let equal = if self.nulls_equal { "IS NOT DISTINCT FROM" } else { "=" };
        let mut on: Vec<String> =
            self.key.iter().map(|c| format!("(l.{0} {equal} r.{0})", columns[*c])).collect();
        on.extend(self.filtered.then(|| "l.v <= r.v".to_string()));
        on.extend(on.is_empty().then(|| "true".to_string()));
        let on = on.join(" AND ");
        let joined = |kind: &str| format!("SELECT * FROM l {kind} JOIN r ON {on}");
        let queries = match self.kind {
            _ if self.not_in => vec![("SELECT * FROM l WHERE k NOT IN (SELECT k FROM r)".to_string(), "")],
            JoinType::Inner => vec![(joined("INNER"), "")],
            JoinType::LeftMark => vec![(joined("LEFT SEMI"), " | true"), (joined("LEFT ANTI"), " | false")],
            JoinType::RightMark => {
                vec![(joined("RIGHT SEMI"), " | true"), (joined("RIGHT ANTI"), " | false")]
            }
            JoinType::LeftSemi => vec![(joined("LEFT SEMI"), "")],
            JoinType::LeftAnti => vec![(joined("LEFT ANTI"), "")],
            JoinType::RightSemi => vec![(joined("RIGHT SEMI"), "")],
            JoinType::RightAnti => vec![(joined("RIGHT ANTI"), "")],
            kind => vec![(joined(&kind.to_string()), "")],
        };
        let context = twin::context_of(&[("l", left), ("r", right)]);
        let rows = queries.iter().flat_map(|(sql, mark)| {
            let rows = twin::query(&context, sql);
            rows.iter().flat_map(lines).map(|line| format!("{line}{mark}")).collect::<Vec<_>>()
        });
        sorted(rows)
    }
}

#[test]
fn joins_are_datafusions_after_every_batch() {
    for seed in 0..150 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let case = Case::random(&mut rng);
        let nulls = if rng.random_bool(0.5) { 0.02 } else { 0.3 };
        let mut operator = JoinOperator::try_new(case.spec()).unwrap();
        let mut saved = twin::SavedBags::of(&operator);
        let mut inputs = [Rows::new(schema()), Rows::new(schema())];
        let mut folded = Folded::default();
        for batch in 0..6 {
            let context = at(batch, None);
            for side in [1, 0] {
                let count = rng.random_range(0..7);
                let added = random_rows(&mut rng, count, nulls);
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
                operator = JoinOperator::try_new(case.spec()).unwrap();
                saved.restore_into(&mut operator);
            }
        }
    }
}

/// An outer join with time on both sides in APPEND: pairs at once, rows without a partner when they leave, and that
/// once, with rows that come late left out.
#[test]
fn final_joins_give_each_row_once() {
    for seed in 0..80 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut case = Case::random(&mut rng);
        case.not_in = false;
        case.nulls_equal = false;
        case.retracting = [false, false];
        case.key = vec![0];
        let mut spec = case.spec();
        spec.emit = JoinEmit::Final;
        // `v` is the time; the left row's is from `least` to `least + 4` after that of its partner.
        let least = rng.random_range(-4..5);
        spec.filter = Some(after(least));
        let bound = |less: i64| TimeBound::new(move |time: Timestamp| Ok(time.0 + 1 - less));
        for (side, kept) in spec.sides.iter_mut().zip([-least, least + 4]) {
            let leave = Some(bound(kept));
            side.eviction = Some(JoinEviction { column: 3, field: None, late: bound(0), leave });
        }
        let mut operator = JoinOperator::try_new(spec.clone()).unwrap();
        let mut saved = twin::SavedBags::of(&operator);
        let mut used = [vec![], vec![]];
        let mut folded = Folded::default();
        let mut watermark = 0;
        for batch in 0..8 {
            let context = at(batch, Some(watermark));
            let mut late = 0;
            for (side, used) in used.iter_mut().enumerate() {
                let count = rng.random_range(0..6);
                let rows = random_rows(&mut rng, count, 0.2);
                let times: Int64Array =
                    (0..count).map(|_| Some(watermark + rng.random_range(-1..6))).collect();
                let mut columns = rows.columns().to_vec();
                let on_time: Vec<u32> =
                    (0..count as u32).filter(|row| times.value(*row as usize) > watermark).collect();
                late += (count - on_time.len()) as u64;
                columns[3] = Arc::new(times);
                let rows = RecordBatch::try_new(schema(), columns).unwrap();
                operator.push(&context, side, rows.clone()).unwrap();
                used.push(arrow::compute::take_record_batch(&rows, &UInt32Array::from(on_time)).unwrap());
            }
            folded.apply(&operator.finish(&context).unwrap());
            assert_eq!(operator.late_rows(), late);
            saved.take(&mut operator);
            if rng.random_bool(0.3) {
                operator = JoinOperator::try_new(spec.clone()).unwrap();
                saved.restore_into(&mut operator);
            }
            watermark += rng.random_range(0..3);
        }
        assert!(operator.wakes_at(at(9, Some(1000)).watermark) || operator.state_rows() == 0);
        folded.apply(&operator.finish(&at(9, Some(1000))).unwrap());
        assert_eq!(operator.state_rows(), 0, "seed {seed}");
        let [left, right] = used.map(|rows| twin::together(&schema(), &rows));
        let sql = |kind: &str| {
            format!(
                "SELECT * FROM l {kind} JOIN r ON l.k = r.k AND l.v - r.v BETWEEN {least} AND {}",
                least + 4
            )
        };
        let context = twin::context_of(&[("l", &left), ("r", &right)]);
        let answer = |kind: &str, mark: &str| -> Vec<String> {
            let rows = twin::query(&context, &sql(kind));
            rows.iter().flat_map(lines).map(|line| format!("{line}{mark}")).collect()
        };
        let expected = match case.kind {
            JoinType::LeftMark => [answer("LEFT SEMI", " | true"), answer("LEFT ANTI", " | false")].concat(),
            JoinType::RightMark => {
                [answer("RIGHT SEMI", " | true"), answer("RIGHT ANTI", " | false")].concat()
            }
            JoinType::LeftSemi => answer("LEFT SEMI", ""),
            JoinType::LeftAnti => answer("LEFT ANTI", ""),
            JoinType::RightSemi => answer("RIGHT SEMI", ""),
            JoinType::RightAnti => answer("RIGHT ANTI", ""),
            kind => answer(&kind.to_string(), ""),
        };
        assert_same(&folded.rows(), &sorted(expected), &format!("seed {seed} {:?}", case.kind));
    }
}

/// `l.v - r.v BETWEEN least AND least + 4`
fn after(least: i64) -> JoinFilter {
    let filter = filter();
    let column = |index: usize| Arc::new(Column::new(["lv", "rv"][index], index)) as Arc<_>;
    let compared = |op: BinaryOperator, value: i64| -> Arc<dyn datafusion::physical_expr::PhysicalExpr> {
        let difference = Arc::new(BinaryExpr::new(column(0), BinaryOperator::Minus, column(1)));
        Arc::new(BinaryExpr::new(difference, op, datafusion::physical_expr::expressions::lit(value)))
    };
    let (low, high) = (compared(BinaryOperator::GtEq, least), compared(BinaryOperator::LtEq, least + 4));
    let both = BinaryExpr::new(low, BinaryOperator::And, high);
    JoinFilter::new(Arc::new(both), filter.column_indices().to_vec(), SchemaRef::clone(filter.schema()))
}
