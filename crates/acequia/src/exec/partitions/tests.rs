//! Relations over random changes, against DataFusion's answer over all rows after every batch.

use super::*;
use crate::exec::TimeBound;
use crate::exec::delta::encode;
use crate::exec::twin::{Folded, assert_same, at, block_on, context, lines, sorted};
use acequia_core::Timestamp;
use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use datafusion::catalog::MemTable;
use datafusion::prelude::SessionContext;
use hashbrown::HashSet;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A query over the table `t`.
pub(super) struct Sql {
    query: String,
    context: SessionContext,
    schema: SchemaRef,
}

impl Sql {
    fn new(query: &'static str) -> Self {
        Self::over(query, &batch(&[]))
    }

    pub(super) fn over(query: &str, rows: &RecordBatch) -> Self {
        let context = context(rows);
        let frame = block_on(context.sql(query)).unwrap();
        let schema = Arc::new(frame.schema().as_arrow().clone());
        Self { query: query.to_string(), context, schema }
    }

    pub(super) fn answer(&self, rows: RecordBatch) -> Vec<RecordBatch> {
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap();
        self.context.deregister_table("t").unwrap();
        self.context.register_table("t", Arc::new(table)).unwrap();
        block_on(async { self.context.sql(&self.query).await.unwrap().collect().await.unwrap() })
    }
}

impl Relation for Sql {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn over(&mut self, rows: RecordBatch) -> Result<Vec<RecordBatch>> {
        Ok(self.answer(rows))
    }
}

/// `k`, an index into some floats, `v` and seconds; NULL where there is none.
pub(super) type Row = (Option<i64>, Option<u8>, i64, Option<i64>);

pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let floats = [0.0, -0.0, f64::NAN, 1.5];
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let fields = vec![
        Field::new("k", DataType::Int64, true),
        Field::new("f", DataType::Float64, true),
        Field::new("v", DataType::Int64, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("t", time, true),
    ];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.1.map(|f| floats[usize::from(f)])).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some("x".repeat(row.2 as usize % 3))).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.3.map(|t| t * 1_000_000)).collect::<TimestampMicrosecondArray>()),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn random_row(rng: &mut SmallRng) -> Row {
    let (key, float) = (rng.random_bool(0.8), rng.random_bool(0.8));
    (
        key.then(|| rng.random_range(0..4)),
        float.then(|| rng.random_range(0..4)),
        rng.random_range(0..9),
        rng.random_bool(0.9).then(|| rng.random_range(0..60)),
    )
}

/// Rows with weights, zero ones left out.
#[derive(Default)]
pub(super) struct Bag(pub(super) BTreeMap<Row, i64>);

impl Bag {
    pub(super) fn add(&mut self, row: Row, weight: i64) {
        let entry = self.0.entry(row).or_default();
        *entry += weight;
        if *entry == 0 {
            self.0.remove(&row);
        }
    }

    pub(super) fn batch(&self) -> RecordBatch {
        let copies = |(row, weight): (&Row, &i64)| vec![*row; *weight as usize];
        batch(&self.0.iter().flat_map(copies).collect::<Vec<_>>())
    }

    /// Changes of a batch, in any order and not consolidated: rows go and come in pairs, too.
    fn random_changes(&mut self, rng: &mut SmallRng, retracting: bool) -> Vec<(Row, i64)> {
        let mut changes: Vec<(Row, i64)> = (0..rng.random_range(0..12))
            .map(|_| (random_row(rng), if retracting { rng.random_range(1..3) } else { 1 }))
            .collect();
        if retracting {
            let gone = self.0.iter().filter(|_| rng.random_bool(0.3));
            changes.extend(gone.map(|(row, weight)| (*row, -*weight)).collect::<Vec<_>>());
            if rng.random_bool(0.5) {
                let row = random_row(rng);
                changes.extend([(row, -1), (row, 1)]);
            }
        }
        changes.iter().for_each(|(row, weight)| self.add(*row, *weight));
        changes
    }
}

pub(super) fn change_batch(changes: &[(Row, i64)], retracting: bool) -> RecordBatch {
    let rows = batch(&changes.iter().map(|(row, _)| *row).collect::<Vec<_>>());
    let weights = changes.iter().map(|(_, weight)| *weight).collect();
    if retracting { Delta { rows, weights }.into_batch().unwrap() } else { rows }
}

/// Saved state as a checkpoint merges it.
#[derive(Default)]
pub(super) struct Saved(Vec<RecordBatch>);

impl Saved {
    pub(super) fn apply(&mut self, operator: &mut PartitionsOperator) {
        for delta in operator.take_deltas().unwrap() {
            self.0.extend(delta.upserts);
            let all = self.merged();
            let kept = match (delta.evict_below, delta.table.time_column) {
                (Some(bound), Some(time)) => {
                    let times = all.column(time).as_primitive::<Int64Type>();
                    let kept: BooleanArray =
                        times.iter().map(|t| Some(t.is_none_or(|t| t >= bound))).collect();
                    filter_record_batch(&all, &kept).unwrap()
                }
                _ => all,
            };
            self.0 = vec![kept];
        }
    }

    fn merged(&self) -> RecordBatch {
        let all = concat_batches(&self.0[0].schema(), &self.0).unwrap();
        let last = all.num_columns() - 1;
        let weights = all.column(last).as_primitive::<Int64Type>().values().to_vec();
        let rows = all.project(&(0..last).collect::<Vec<_>>()).unwrap();
        let merged = Delta { rows, weights }.consolidated().unwrap();
        let columns = [merged.rows.columns(), &[Arc::new(Int64Array::from(merged.weights)) as ArrayRef]];
        RecordBatch::try_new(all.schema(), columns.concat()).unwrap()
    }

    pub(super) fn restore_into(&self, operator: &mut PartitionsOperator) {
        let live = operator.snapshot(ROWS).unwrap();
        assert!(live.iter().all(|rows| rows.num_rows() == 0));
        for rows in &self.0 {
            let half = rows.num_rows() / 2;
            operator.restore(ROWS, rows.slice(0, half)).unwrap();
            operator.restore(ROWS, rows.slice(half, rows.num_rows() - half)).unwrap();
        }
    }
}

/// A query, the columns that tell partitions apart, its order (descending or not), and which rows decide.
struct Case {
    query: &'static str,
    partition: &'static [usize],
    order: &'static [(usize, bool)],
    see: See,
}

/// All changes of what is seen of rows in partitions, in an order of columns that are descending or not.
pub(super) fn spec(
    partition: &[usize],
    order: &[(usize, bool)],
    retracting: bool,
    see: See,
) -> PartitionsSpec {
    let order = order.iter().map(|(column, descending)| {
        (*column, SortOptions { descending: *descending, nulls_first: *descending })
    });
    PartitionsSpec {
        operator: OperatorId(0),
        schema: batch(&[]).schema(),
        partition: partition.to_vec(),
        order: order.collect(),
        retracting,
        time: None,
        emit: Emit::Changes,
        in_order: false,
        see,
        running: vec![],
    }
}

impl Case {
    fn spec(&self, retracting: bool) -> PartitionsSpec {
        spec(self.partition, self.order, retracting, self.see)
    }
}

pub(super) fn no_row_and_its_own_retraction(output: &[RecordBatch]) {
    for batch in output {
        let last = batch.num_columns() - 1;
        let rows = batch.project(&(0..last).collect::<Vec<_>>()).unwrap();
        let encoded = encode(rows.columns()).unwrap();
        let distinct: HashSet<&[u8]> = encoded.iter().map(|row| row.data()).collect();
        assert_eq!(distinct.len(), rows.num_rows());
    }
}

const ORDER: &[(usize, bool)] = &[(2, true), (1, false), (0, false), (4, false), (3, false)];

const NOTHING: Reach = Reach { rows: 0, groups: None, distance: None };
const ROWS_1: Reach = Reach { rows: 1, ..NOTHING };
const ROWS_2: Reach = Reach { rows: 2, ..NOTHING };
const ROWS_3: Reach = Reach { rows: 3, ..NOTHING };
const PEERS: Reach = Reach { groups: Some(0), ..NOTHING };

/// Values not farther than this, and peers.
const fn within(units: i128) -> Reach {
    Reach { distance: Some(Distance::Units(units)), ..PEERS }
}

/// Every order that counts rows names all columns, so that nothing is left open.
const CASES: [Case; 19] = [
    Case {
        query: "SELECT *, row_number() OVER (PARTITION BY k ORDER BY v DESC, f, t, s) AS n,
            sum(v) OVER (PARTITION BY k ORDER BY v DESC, f, t, s ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS r,
            lag(f) OVER (PARTITION BY k ORDER BY v DESC, f, t, s) AS l FROM t",
        partition: &[0],
        order: ORDER,
        see: See::All,
    },
    Case {
        query: "SELECT *, rank() OVER (PARTITION BY f ORDER BY v) AS n, avg(v) OVER (PARTITION BY f) AS c FROM t",
        partition: &[1],
        order: &[(2, false)],
        see: See::All,
    },
    Case {
        query: "SELECT v, ntile(3) OVER (PARTITION BY k, f ORDER BY v, t, s) AS n FROM t",
        partition: &[0, 1],
        order: &[],
        see: See::All,
    },
    Case {
        query: "SELECT k, array_agg(v ORDER BY v) AS a, count(*) AS n, sum(v) AS s FROM t GROUP BY k HAVING count(*) > 1",
        partition: &[0],
        order: &[],
        see: See::All,
    },
    Case {
        query: "SELECT count(*) AS n, max(v) AS m, string_agg(s, '-' ORDER BY s) AS a FROM t",
        partition: &[],
        order: &[],
        see: See::All,
    },
    Case {
        query: "SELECT * FROM t ORDER BY v DESC, f, k, t, s LIMIT 5 OFFSET 2",
        partition: &[],
        order: ORDER,
        see: See::First(First::Rows(7)),
    },
    Case {
        query: "SELECT k, v, f FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY v DESC, f, t, s) AS n FROM t) WHERE n <= 3",
        partition: &[0],
        order: ORDER,
        see: See::First(First::Rows(3)),
    },
    Case {
        query: "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k, f ORDER BY v DESC, t, s) AS n FROM t) WHERE n = 1",
        partition: &[0, 1],
        order: &[(2, true), (4, false), (3, false)],
        see: See::First(First::Rows(1)),
    },
    Case {
        query: "SELECT * FROM (SELECT *, rank() OVER (PARTITION BY f ORDER BY v DESC, k) AS n FROM t) WHERE n < 4",
        partition: &[1],
        order: &[(2, true), (0, false)],
        see: See::First(First::Ranks(3)),
    },
    Case {
        query: "SELECT k, v FROM (SELECT k, v, dense_rank() OVER (PARTITION BY k ORDER BY v) AS n FROM t) WHERE n <= 2",
        partition: &[0],
        order: &[(2, false)],
        see: See::First(First::Values(2)),
    },
    Case {
        query: "SELECT k, v, rank() OVER () AS n FROM t QUALIFY n <= 2",
        partition: &[],
        order: &[],
        see: See::First(First::Ranks(2)),
    },
    Case {
        query: "SELECT k, v, lag(v, 2) OVER (PARTITION BY k ORDER BY v DESC, f, t, s) AS l,
            lead(f) OVER (PARTITION BY k ORDER BY v DESC, f, t, s) AS n FROM t",
        partition: &[0],
        order: ORDER,
        see: See::Near(Near { back: ROWS_2, ahead: ROWS_1 }),
    },
    Case {
        query: "SELECT *, sum(v) OVER (ORDER BY v DESC, f, k, t, s ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS r,
            max(f) OVER (ORDER BY v DESC, f, k, t, s ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING) AS m,
            count(k) OVER (ORDER BY v DESC, f, k, t, s ROWS BETWEEN 3 PRECEDING AND 2 PRECEDING) AS c FROM t",
        partition: &[],
        order: ORDER,
        see: See::Near(Near { back: ROWS_3, ahead: ROWS_3 }),
    },
    Case {
        query: "SELECT *, min(v) OVER (PARTITION BY f ORDER BY v DESC, k, t, s ROWS 0 PRECEDING) AS r FROM t",
        partition: &[1],
        order: &[(2, true), (0, false), (4, false), (3, false)],
        see: See::Near(Near { back: NOTHING, ahead: NOTHING }),
    },
    Case {
        query: "SELECT *, sum(v) OVER (PARTITION BY k ORDER BY t RANGE INTERVAL '7 seconds' PRECEDING) AS r,
            max(f) OVER (PARTITION BY k ORDER BY t RANGE BETWEEN INTERVAL '9 seconds' PRECEDING
                AND INTERVAL '2 seconds' PRECEDING) AS m FROM t",
        partition: &[0],
        order: &[(4, false)],
        see: See::Near(Near { back: within(9_000_000), ahead: PEERS }),
    },
    Case {
        query: "SELECT *, count(k) OVER (ORDER BY t DESC RANGE BETWEEN INTERVAL '3 seconds' PRECEDING
            AND INTERVAL '1 second' FOLLOWING) AS r FROM t",
        partition: &[],
        order: &[(4, true)],
        see: See::Near(Near { back: within(3_000_000), ahead: within(1_000_000) }),
    },
    Case {
        query: "SELECT *, count(k) OVER (PARTITION BY k ORDER BY f RANGE BETWEEN 0.5 PRECEDING AND 1.5 FOLLOWING) AS r,
            min(v) OVER (PARTITION BY k ORDER BY f RANGE CURRENT ROW) AS m FROM t",
        partition: &[0],
        order: &[(1, false)],
        see: See::Near(Near {
            back: Reach { distance: Some(Distance::Float(0.5)), ..PEERS },
            ahead: Reach { distance: Some(Distance::Float(1.5)), ..PEERS },
        }),
    },
    Case {
        query: "SELECT *, sum(v) OVER (PARTITION BY f ORDER BY v DESC, k GROUPS BETWEEN 1 PRECEDING AND 2 FOLLOWING) AS r,
            count(*) OVER (PARTITION BY f ORDER BY v DESC, k GROUPS BETWEEN 2 PRECEDING AND 1 PRECEDING) AS c FROM t",
        partition: &[1],
        order: &[(2, true), (0, false)],
        see: See::Near(Near {
            back: Reach { groups: Some(2), ..NOTHING },
            ahead: Reach { groups: Some(2), ..NOTHING },
        }),
    },
    Case {
        query: "SELECT t, count(*) OVER (ORDER BY t RANGE BETWEEN CURRENT ROW AND INTERVAL '4 seconds' FOLLOWING) AS r,
            sum(v) OVER (ORDER BY t GROUPS 1 PRECEDING) AS g,
            lag(t, 2) OVER (ORDER BY t) AS l FROM t",
        partition: &[],
        order: &[(4, false)],
        see: See::Near(Near {
            back: Reach { rows: 2, groups: Some(1), distance: None },
            ahead: within(4_000_000),
        }),
    },
];

#[test]
fn relations_are_those_over_all_rows() {
    for (number, case) in CASES.iter().flat_map(|case| [case; 2]).enumerate() {
        let mut rng = SmallRng::seed_from_u64(number as u64);
        let (query, retracting) = (case.query, number % 2 == 0);
        let new = || {
            PartitionsOperator::try_new(case.spec(retracting), Gives::Relation(Box::new(Sql::new(query))))
                .unwrap()
        };
        let (mut operator, mut saved, twin) = (new(), Saved::default(), Sql::new(query));
        let (mut bag, mut folded) = (Bag::default(), Folded::default());
        for step in 0..8 {
            let context = at(step, None);
            let changes = bag.random_changes(&mut rng, retracting);
            let cut = rng.random_range(0..=changes.len());
            for part in [&changes[..cut], &changes[cut..]].into_iter().filter(|part| !part.is_empty()) {
                operator.push(&context, 0, change_batch(part, retracting)).unwrap();
            }
            let output = operator.finish(&context).unwrap();
            no_row_and_its_own_retraction(&output);
            folded.apply(&output);
            let expected = twin.answer(bag.batch());
            let expected = sorted(expected.iter().flat_map(lines));
            assert_same(&folded.rows(), &expected, &format!("case {number} step {step}: {query}"));
            saved.apply(&mut operator);
            if rng.random_bool(0.3) {
                operator = new();
                saved.restore_into(&mut operator);
            }
        }
    }
}

/// A query whose further columns are numbers of rows, of which it gives the first.
const NUMBERED: [(Case, &[Number]); 5] = [
    (
        Case {
            query: "SELECT *, row_number() OVER w AS n, rank() OVER w AS r, dense_rank() OVER w AS d FROM t
                WINDOW w AS (PARTITION BY k ORDER BY v DESC, f, t, s) QUALIFY n <= 3",
            partition: &[0],
            order: ORDER,
            see: See::First(First::Rows(3)),
        },
        &[Number::Row, Number::Rank, Number::DenseRank],
    ),
    (
        Case {
            query: "SELECT *, row_number() OVER (ORDER BY v DESC, f, k, t, s) AS n FROM t QUALIFY n = 1",
            partition: &[],
            order: ORDER,
            see: See::First(First::Rows(1)),
        },
        &[Number::Row],
    ),
    (
        Case {
            query: "SELECT *, dense_rank() OVER w AS d, rank() OVER w AS r FROM t
                WINDOW w AS (PARTITION BY f ORDER BY v DESC) QUALIFY r < 5",
            partition: &[1],
            order: &[(2, true)],
            see: See::First(First::Ranks(4)),
        },
        &[Number::DenseRank, Number::Rank],
    ),
    (
        Case {
            query: "SELECT *, dense_rank() OVER (PARTITION BY k, f ORDER BY v) AS d FROM t QUALIFY d <= 2",
            partition: &[1, 0],
            order: &[(2, false)],
            see: See::First(First::Values(2)),
        },
        &[Number::DenseRank],
    ),
    (
        Case {
            query: "SELECT *, row_number() OVER (PARTITION BY k) AS n FROM t QUALIFY n <= 0",
            partition: &[0],
            order: &[],
            see: See::First(First::Rows(0)),
        },
        &[Number::Row],
    ),
];

#[test]
fn numbers_are_those_of_windows() {
    for (number, (case, numbers)) in NUMBERED.iter().flat_map(|case| [case; 3]).enumerate() {
        let mut rng = SmallRng::seed_from_u64(number as u64);
        let gives = || Gives::Numbers(numbers.to_vec());
        let new = || PartitionsOperator::try_new(case.spec(false), gives()).unwrap();
        let (mut operator, mut saved, twin) = (new(), Saved::default(), Sql::new(case.query));
        let (mut bag, mut folded) = (Bag::default(), Folded::default());
        for step in 0..16 {
            let context = at(step, None);
            let changes = bag.random_changes(&mut rng, false);
            let cut = rng.random_range(0..=changes.len());
            for part in [&changes[..cut], &changes[cut..]].into_iter().filter(|part| !part.is_empty()) {
                operator.push(&context, 0, change_batch(part, false)).unwrap();
            }
            let output = operator.finish(&context).unwrap();
            no_row_and_its_own_retraction(&output);
            folded.apply(&output);
            let expected = sorted(twin.answer(bag.batch()).iter().flat_map(lines));
            assert_same(&folded.rows(), &expected, &format!("case {number} step {step}: {}", case.query));
            let alike = twin.answer(bag.batch()).iter().map(RecordBatch::num_rows).sum::<usize>();
            assert_eq!(operator.state_rows(), alike, "only the first rows are kept");
            saved.apply(&mut operator);
            let live = operator.snapshot(ROWS).unwrap();
            let live = sorted(live.iter().flat_map(lines));
            let kept = saved.0.iter().flat_map(lines);
            assert_same(&live, &sorted(kept), &format!("saved rows, case {number} step {step}"));
            if rng.random_bool(0.3) {
                operator = new();
                saved.restore_into(&mut operator);
            }
        }
    }
}

#[test]
fn final_partitions_are_given_once_and_leave() {
    const QUERY: &str =
        "SELECT t, v, k, row_number() OVER (PARTITION BY t ORDER BY v, k, f, s) AS n FROM t QUALIFY n <= 4";
    const NUMBERED: &str =
        "SELECT *, row_number() OVER (PARTITION BY t ORDER BY v, k, f, s) AS n FROM t QUALIFY n <= 4";
    let order = &[(2, false), (0, false), (1, false), (3, false)];
    let sees = [See::All, See::First(First::Rows(4)), See::Near(Near { back: ROWS_3, ahead: ROWS_3 })];
    for seed in 0..12 {
        let mut rng = SmallRng::seed_from_u64(seed);
        // Where no row is taken back, the first rows may come with numbers instead.
        let numbers = seed > 8 && sees[seed as usize % sees.len()] == sees[1];
        let query = if numbers { NUMBERED } else { QUERY };
        let retracting = rng.random_bool(0.5) && !numbers;
        let bound = TimeBound::new(|watermark: Timestamp| Ok(watermark.0));
        let time = Some(TimeKey { column: 4, field: None, derived_start: None, bound });
        let case = Case { query, partition: &[4], order, see: sees[seed as usize % sees.len()] };
        let spec = PartitionsSpec { time, emit: Emit::Final, ..case.spec(retracting) };
        let gives = || match numbers {
            true => Gives::Numbers(vec![Number::Row]),
            false => Gives::Relation(Box::new(Sql::new(query))),
        };
        let new = || PartitionsOperator::try_new(spec.clone(), gives()).unwrap();
        let (mut operator, mut saved, twin) = (new(), Saved::default(), Sql::new(query));
        let (mut on_time, mut folded) = (Bag::default(), Folded::default());
        let mut watermark = 0;
        for step in 0..8 {
            let context = at(step, Some(watermark));
            let below = |row: &Row, bound: i64| row.3.is_some_and(|t| t * 1_000_000 < bound);
            let late = |row: &Row| below(row, watermark);
            let mut live =
                Bag(on_time.0.iter().filter(|(row, _)| !late(row)).map(|(r, w)| (*r, *w)).collect());
            let changes = live.random_changes(&mut rng, retracting);
            changes.iter().filter(|(row, _)| !late(row)).for_each(|(row, weight)| on_time.add(*row, *weight));
            operator.push(&context, 0, change_batch(&changes, retracting)).unwrap();
            assert_eq!(operator.late_rows(), changes.iter().filter(|(row, _)| late(row)).count() as u64);
            let output = operator.finish(&context).unwrap();
            folded.apply(&output);
            let (finals, rest): (Vec<_>, Vec<_>) = on_time.0.iter().partition(|(row, _)| late(row));
            let finals = Bag(finals.into_iter().map(|(row, weight)| (*row, *weight)).collect());
            let expected = sorted(twin.answer(finals.batch()).iter().flat_map(lines));
            assert_same(&folded.rows(), &expected, &format!("seed {seed} step {step}"));
            if case.see == See::All && retracting {
                assert_eq!(operator.state_rows(), rest.len());
            }
            assert!(operator.state_rows() == 0 || !rest.is_empty());
            saved.apply(&mut operator);
            if rng.random_bool(0.3) {
                operator = new();
                saved.restore_into(&mut operator);
            }
            let next = watermark + rng.random_range(0..9_000_000);
            let wakes = rest.iter().any(|(row, _)| below(row, next));
            assert_eq!(operator.wakes_at(Watermark(Some(Timestamp(next)))), wakes);
            watermark = next;
        }
    }
}

/// Gives its rows.
pub(super) struct Same(pub(super) SchemaRef);

impl Relation for Same {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn over(&mut self, rows: RecordBatch) -> Result<Vec<RecordBatch>> {
        Ok(vec![rows])
    }
}

#[test]
fn many_changes_of_one_partition_do_not_walk_over_each_other() {
    let case = Case {
        query: "",
        partition: &[],
        order: ORDER,
        see: See::Near(Near { back: ROWS_1, ahead: NOTHING }),
    };
    let relation = Box::new(Same(batch(&[]).schema()));
    let mut operator = PartitionsOperator::try_new(case.spec(false), Gives::Relation(relation)).unwrap();
    let rows: Vec<Row> = (0..50_000).map(|i| (Some(i), None, i, Some(i))).collect();
    let given = |output: Vec<RecordBatch>| output.iter().map(RecordBatch::num_rows).sum::<usize>();
    operator.push(&at(0, None), 0, batch(&rows)).unwrap();
    // Were each of them to walk over all others, this would be billions of steps.
    assert_eq!(given(operator.finish(&at(0, None)).unwrap()), rows.len());
    operator.push(&at(1, None), 0, batch(&[(None, None, 7, None)])).unwrap();
    assert_eq!(given(operator.finish(&at(1, None)).unwrap()), 1);
}
