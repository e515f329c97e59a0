//! Aggregates against DataFusion's answer over all rows at once, after every batch.

use super::*;
use crate::exec::sharded::{Sharding, Shards};
use crate::exec::twin::{self, Folded, Saved, answer, assert_same, at, input_of, lines, sorted, together};
use acequia_core::state::Stateful;
use acequia_core::{OperatorId, Timestamp};
use arrow::array::*;
use arrow::datatypes::{Int64Type, Schema, TimestampMillisecondType};
use datafusion::physical_plan::aggregates::AggregateExec;
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

/// Random rows: NULLs, NaN, -0.0, few and many keys, times around 0.
pub(super) fn random_rows(rng: &mut SmallRng, rows: usize, first_id: i64) -> RecordBatch {
    let words = ["", "a", "b", "grün", "🦀", "a word longer than a view", "a word longer than a vieW"];
    let floats = [0.0, -0.0, 1.25, -3.5, f64::NAN, f64::INFINITY, 2.0];
    let mut maybe = |p: f64| rng.random_bool(p);
    let some: Vec<bool> = (0..rows * 8).map(|_| maybe(0.85)).collect();
    let some = |column: usize, row: usize| some[column * rows + row];
    let id: Int64Array = (0..rows).map(|r| Some(first_id + r as i64)).collect();
    let few: Int32Array = (0..rows).map(|r| some(0, r).then(|| rng.random_range(-2..3))).collect();
    let many: Int64Array = (0..rows).map(|r| some(1, r).then(|| rng.random_range(0..1000))).collect();
    let word: StringViewArray = (0..rows).map(|r| some(2, r).then(|| *words.choose(rng).unwrap())).collect();
    let f: Float64Array = (0..rows).map(|r| some(3, r).then(|| *floats.choose(rng).unwrap())).collect();
    let x: Float64Array =
        (0..rows).map(|r| some(4, r).then(|| f64::from(rng.random_range(-40..40)) / 4.0)).collect();
    let v: Int64Array = (0..rows).map(|r| some(5, r).then(|| rng.random_range(-5..50))).collect();
    let d: Decimal128Array = (0..rows).map(|r| some(6, r).then(|| rng.random_range(-9999..9999))).collect();
    let d = d.with_precision_and_scale(10, 2).unwrap();
    let ts: TimestampMillisecondArray =
        (0..rows).map(|r| some(7, r).then(|| rng.random_range(-5..6) * 1000)).collect();
    let b: BooleanArray = (0..rows).map(|r| some(2, r).then(|| rng.random_bool(0.5))).collect();
    let s: StringArray = (0..rows).map(|r| some(5, r).then(|| *words.choose(rng).unwrap())).collect();
    RecordBatch::try_from_iter([
        ("id", Arc::new(id) as ArrayRef),
        ("few", Arc::new(few)),
        ("many", Arc::new(many)),
        ("word", Arc::new(word)),
        ("f", Arc::new(f)),
        ("x", Arc::new(x)),
        ("v", Arc::new(v)),
        ("d", Arc::new(d)),
        ("ts", Arc::new(ts)),
        ("b", Arc::new(b)),
        ("s", Arc::new(s)),
    ])
    .map(nullable)
    .unwrap()
}

fn nullable(batch: RecordBatch) -> RecordBatch {
    let fields: Vec<_> =
        batch.schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec()).unwrap()
}

pub(super) fn spec(rows: &RecordBatch, sql: &str, time: Option<TimeKey>, emit: Emit) -> AggregateSpec {
    let context = twin::context(rows);
    let plan = twin::aggregate(&context, sql);
    AggregateSpec::from_exec(plan.downcast_ref::<AggregateExec>().unwrap(), OperatorId(1), time, emit)
        .unwrap()
}

/// Upserts as a sink keeps them: the last row of each key.
#[derive(Default)]
struct Upserted(std::collections::BTreeMap<String, String>);

impl Upserted {
    fn apply(&mut self, batches: &[RecordBatch], keys: usize) {
        for batch in batches {
            let columns: Vec<usize> = (0..keys).collect();
            for (key, line) in lines(&batch.project(&columns).unwrap()).into_iter().zip(lines(batch)) {
                let old = self.0.insert(key, line.clone());
                assert_ne!(old, Some(line), "an upsert that changes nothing");
            }
        }
    }

    fn rows(&self) -> Vec<String> {
        sorted(self.0.values().cloned())
    }
}

/// The operator in so many shards, or one, in its own way to more.
pub(super) fn operator(spec: &AggregateSpec, shards: usize, native: bool) -> Box<dyn Operator> {
    let shards = if shards == 1 { Shards::AUTO } else { Shards::new(shards).unwrap() };
    let one = move |spec| AggregateOperator::with_native(spec, native);
    Sharding::aggregate_of(spec.clone(), shards, one).unwrap().operator
}

/// Pushes rows as they are or prepared.
pub(super) fn push(
    operator: &mut dyn Operator,
    context: &BatchContext,
    rows: RecordBatch,
    rng: &mut SmallRng,
) {
    match operator.preparation().filter(|_| rng.random_bool(0.5)) {
        Some(preparation) => {
            operator.push_prepared(context, preparation.prepare(rows, true).unwrap()).unwrap()
        }
        None => operator.push(context, 0, rows).unwrap(),
    }
}

/// One query in one mode over random batches with random restarts.
struct Case {
    sql: String,
    emit: Emit,
    spec: AggregateSpec,
    operator: Box<dyn Operator>,
    saved: Vec<Saved>,
    folded: Folded,
    upserted: Upserted,
    snapshot: Vec<String>,
}

impl Case {
    fn new(sql: &str, spec: AggregateSpec, shards: usize) -> Self {
        let operator = operator(&spec, shards, true);
        let saved = operator.tables().into_iter().map(Saved::new).collect();
        Self {
            sql: sql.to_string(),
            emit: spec.emit,
            spec,
            operator,
            saved,
            folded: Folded::default(),
            upserted: Upserted::default(),
            snapshot: Vec::new(),
        }
    }

    fn batch(&mut self, context: BatchContext, rows: &RecordBatch, rng: &mut SmallRng) {
        for batch in input_of(rows, &self.sql) {
            let cut = rng.random_range(0..=batch.num_rows());
            push(&mut *self.operator, &context, batch.slice(0, cut), rng);
            push(&mut *self.operator, &context, batch.slice(cut, batch.num_rows() - cut), rng);
        }
        let output = self.operator.finish(&context).unwrap();
        let keys = self.spec.group_by.num_group_exprs();
        match self.emit {
            Emit::Upserts => self.upserted.apply(&output, keys),
            Emit::Snapshot => self.snapshot = sorted(output.iter().flat_map(lines)),
            Emit::Changes | Emit::Final => self.folded.apply(&output),
        }
        self.save();
    }

    fn save(&mut self) {
        for delta in self.operator.take_deltas().unwrap() {
            self.saved.iter_mut().find(|saved| saved.is(&delta.table)).unwrap().apply(&delta);
        }
        assert!(self.operator.take_deltas().unwrap().is_empty());
        self.saved.iter().for_each(|saved| saved.assert_is(&*self.operator));
        assert_eq!(self.operator.state_rows(), self.saved[0].len(), "{}", self.sql);
    }

    /// Tables may be put back in any order.
    fn restart(&mut self, native: bool, shards: usize, rng: &mut SmallRng) {
        let mut fresh = operator(&self.spec, shards, native);
        self.saved.shuffle(rng);
        self.saved.iter().for_each(|saved| saved.restore_into(&mut *fresh));
        self.saved.iter().for_each(|saved| saved.assert_is(&*fresh));
        self.saved.sort_by_key(|saved| !saved.is(&self.operator.tables()[0]));
        assert_eq!(fresh.state_rows(), self.saved[0].len());
        self.operator = fresh;
    }

    fn result(&self) -> Vec<String> {
        match self.emit {
            Emit::Upserts => self.upserted.rows(),
            Emit::Snapshot => self.snapshot.clone(),
            Emit::Changes | Emit::Final => self.folded.rows(),
        }
    }
}

/// In one piece, then in shards whose number changes with every restart.
fn check(sql: &str, emit: Emit, seed: u64) {
    check_up_to(1, sql, emit, seed);
    check_up_to(8, sql, emit, seed);
}

fn check_up_to(shards: usize, sql: &str, emit: Emit, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let first = random_rows(&mut rng, 0, 0);
    let mut case = Case::new(sql, spec(&first, sql, None, emit), shards);
    let mut all = vec![first.clone()];
    let mut next = 0;
    for batch in 0..5 {
        let rows = *[0, 1, 3, 40, 200].choose(&mut rng).unwrap();
        let rows = random_rows(&mut rng, rows, next);
        next += rows.num_rows() as i64;
        all.push(rows.clone());
        if rng.random_bool(0.4) {
            case.restart(rng.random_bool(0.5), rng.random_range(1..=shards), &mut rng);
        }
        case.batch(at(batch, None), &rows, &mut rng);
        let expected = answer(&together(&first.schema(), &all), sql);
        assert_same(
            &case.result(),
            &expected,
            &format!("{sql}, {emit:?}, {shards} shards, seed {seed}, batch {batch}"),
        );
    }
}

const AGGREGATES: &[&str] = &[
    "count(*)",
    "count(v)",
    "count(word)",
    "count(few, v)",
    "count(*) FILTER (WHERE b)",
    "count(v) FILTER (WHERE x > 0)",
    "sum(v)",
    "sum(few)",
    "sum(d)",
    "sum(x)",
    "sum(v) FILTER (WHERE b)",
    "avg(v)",
    "avg(x) FILTER (WHERE NOT b)",
    "avg(d)",
    "min(v)",
    "max(v) FILTER (WHERE x < 0)",
    "min(few)",
    "min(x)",
    "max(x)",
    "min(d)",
    "max(d)",
    "min(ts)",
    "max(ts)",
    "min(word)",
    "max(s)",
    "min(b)",
    "count(DISTINCT few)",
    "count(DISTINCT word)",
    "count(DISTINCT x) FILTER (WHERE b)",
    "sum(DISTINCT v)",
    "count(DISTINCT f)",
    "count(DISTINCT arrow_cast(f, 'Float32')), count(DISTINCT arrow_cast(f, 'Float16')) FILTER (WHERE b)",
    "count(DISTINCT b), count(DISTINCT ts), count(DISTINCT arrow_cast(s, 'LargeBinary'))",
    "sum(DISTINCT d), count(DISTINCT d), count(DISTINCT arrow_cast(s, 'Dictionary(Int32, Utf8)'))",
    "count(DISTINCT v), count(DISTINCT v) FILTER (WHERE b), sum(DISTINCT v) FILTER (WHERE NOT b), \
     count(DISTINCT v) FILTER (WHERE x > 0), count(DISTINCT many) FILTER (WHERE b), sum(DISTINCT v), count(v)",
    "count(DISTINCT s) FILTER (WHERE false), count(DISTINCT s || word), count(DISTINCT s) FILTER (WHERE v > 9)",
    "sum(DISTINCT x) FILTER (WHERE b)",
    "avg(DISTINCT x)",
    "array_agg(id ORDER BY id)",
    "array_agg(v ORDER BY x DESC NULLS LAST, id)",
    "array_agg(word ORDER BY id DESC)",
    "array_agg(DISTINCT few ORDER BY few)",
    "first_value(v ORDER BY id)",
    "first_value(v ORDER BY x, id DESC)",
    "last_value(word ORDER BY id)",
    "last_value(s ORDER BY v NULLS FIRST, id)",
    "first_value(word) IGNORE NULLS",
    "nth_value(v, 2 ORDER BY id)",
    "string_agg(s, ',' ORDER BY id)",
    "string_agg(DISTINCT s, ',' ORDER BY s)",
    "median(v)",
    "median(d)",
    "median(DISTINCT v)",
    "percentile_cont(0.25) WITHIN GROUP (ORDER BY x)",
    "stddev(x)",
    "stddev_pop(v)",
    "var_samp(x)",
    "var_pop(x) FILTER (WHERE b)",
    "corr(x, v)",
    "covar_samp(x, v)",
    "covar_pop(x, v)",
    "regr_slope(x, v)",
    "bit_and(v)",
    "bit_or(v)",
    "bit_xor(v)",
    "bool_and(b)",
    "bool_or(b) FILTER (WHERE v > 3)",
    "approx_distinct(many)",
    "approx_distinct(word)",
    "sum(f), avg(f)",
    "array_agg(id)",
    "first_value(id)",
    "last_value(id)",
    "any_value(few) FILTER (WHERE few = 1)",
    "regr_count(x, v)",
    "count(DISTINCT many), sum(v), sum(DISTINCT v), array_agg(word ORDER BY id), max(few)",
];

#[test]
fn every_aggregate_equals_the_batch_answer() {
    for (i, aggregate) in AGGREGATES.iter().enumerate() {
        let (keys, emit) =
            (["few", "word, few"][i % 2], [Emit::Changes, Emit::Upserts, Emit::Snapshot][i % 3]);
        check(&format!("SELECT {keys}, {aggregate} FROM t GROUP BY {keys}"), emit, i as u64);
    }
}

#[test]
fn global_aggregates_equal_the_batch_answer() {
    for (i, aggregate) in AGGREGATES.iter().enumerate() {
        let emit = [Emit::Changes, Emit::Upserts, Emit::Snapshot][i % 3];
        // Never in shards.
        check_up_to(1, &format!("SELECT {aggregate} FROM t"), emit, i as u64);
    }
}

#[test]
fn groups_of_every_type_equal_the_batch_answer() {
    let many = "count(*), sum(v), avg(x), min(d), max(x), array_agg(id ORDER BY id), count(DISTINCT v)";
    for (i, keys) in [
        "few",
        "many",
        "word",
        "f",
        "x",
        "d",
        "ts",
        "b",
        "s",
        "few, many",
        "word, s",
        "f, few",
        "ts, d, b",
        "many, word, f",
        "arrow_cast(word, 'Dictionary(Int32, Utf8)')",
        "arrow_cast(s, 'LargeUtf8')",
        "named_struct('a', few, 'b', s)",
        "[few, 1]",
        "arrow_cast(s, 'Binary')",
        "arrow_cast(ts, 'Date32')",
        "arrow_cast(x, 'Float32'), f",
        "arrow_cast(x, 'Float16')",
    ]
    .iter()
    .enumerate()
    {
        let emit = [Emit::Changes, Emit::Upserts, Emit::Snapshot][i % 3];
        check(&format!("SELECT {keys}, {many} FROM t GROUP BY {keys}"), emit, i as u64);
    }
}

#[test]
fn distinct_rows_are_emitted_once() {
    for (i, keys) in ["few", "word, f", "ts", "f"].iter().enumerate() {
        for emit in [Emit::Changes, Emit::Upserts, Emit::Snapshot] {
            check(&format!("SELECT DISTINCT {keys} FROM t"), emit, i as u64);
        }
    }
}

#[test]
fn grouping_sets_equal_the_batch_answer() {
    for (i, sets) in [
        "GROUPING SETS ((few, word), (few), ())",
        "ROLLUP (few, word, b)",
        "CUBE (few, b)",
        "GROUPING SETS ((few), (few), (word))",
        "few, ROLLUP (word)",
    ]
    .iter()
    .enumerate()
    {
        for (j, emit) in [Emit::Changes, Emit::Upserts, Emit::Snapshot].into_iter().enumerate() {
            let sql = format!(
                "SELECT count(*), sum(v), max(word), array_agg(id ORDER BY id), count(DISTINCT word), \
                   sum(DISTINCT v) FILTER (WHERE b) FROM t GROUP BY {sets}"
            );
            check(&sql, emit, (i * 3 + j) as u64);
        }
    }
}

/// DataFusion's grouped accumulator forgets the DISTINCT.
#[test]
fn bit_xor_distinct_counts_a_value_once() {
    let sql = "SELECT few, bit_xor(DISTINCT v) FROM t GROUP BY few";
    let mut rng = SmallRng::seed_from_u64(1);
    let rows = random_rows(&mut rng, 1, 0);
    let rows = |few: i32, v: i64| {
        let mut columns = rows.columns().to_vec();
        columns[1] = Arc::new(Int32Array::from(vec![few]));
        columns[6] = Arc::new(Int64Array::from(vec![v]));
        RecordBatch::try_new(rows.schema(), columns).unwrap()
    };
    let mut case = Case::new(sql, spec(&rows(0, 0), sql, None, Emit::Changes), 1);
    for (batch, v) in [5, 3, 5, 5].into_iter().enumerate() {
        case.batch(at(batch as u64, None), &rows(1, v), &mut rng);
        case.restart(true, 1, &mut rng);
    }
    assert_eq!(case.result(), ["1 | 6"]);
}

/// More than there are bits in one table.
#[test]
fn seventy_filters_over_one_distinct_column_equal_the_batch_answer() {
    let counts: Vec<String> =
        (-10..60).map(|n| format!("count(DISTINCT v) FILTER (WHERE v + few < {n})")).collect();
    check(&format!("SELECT few, {} FROM t GROUP BY few", counts.join(", ")), Emit::Changes, 1);
}

/// What is saved of a group are the values that it has not had before, and those that another aggregate uses now.
#[test]
fn a_batch_saves_only_its_new_distinct_values() {
    let sql = "SELECT few, count(DISTINCT id), count(DISTINCT id) FILTER (WHERE b) FROM t GROUP BY few";
    let empty = random_rows(&mut SmallRng::seed_from_u64(0), 0, 0);
    let mut operator = AggregateOperator::try_new(spec(&empty, sql, None, Emit::Changes)).unwrap();
    let rows = |ids: std::ops::Range<i64>, b: bool| {
        let rows = random_rows(&mut SmallRng::seed_from_u64(0), ids.clone().count(), ids.start);
        let mut columns = rows.columns().to_vec();
        columns[1] = Arc::new(Int32Array::from_value(1, rows.num_rows()));
        columns[9] = Arc::new(BooleanArray::from(vec![b; rows.num_rows()]));
        RecordBatch::try_new(rows.schema(), columns).unwrap()
    };
    let mut saved = |batch: u64, rows: &[RecordBatch]| {
        for rows in rows.iter().flat_map(|rows| input_of(rows, sql)) {
            operator.push(&at(batch, None), 0, rows).unwrap();
        }
        operator.finish(&at(batch, None)).unwrap();
        let deltas = operator.take_deltas().unwrap();
        let values = deltas.iter().filter(|delta| delta.table.name == "values0");
        values.flat_map(|delta| delta.upserts.iter().flat_map(lines)).collect::<Vec<_>>()
    };
    assert_eq!(saved(0, &[rows(0..1000, false)]).len(), 1000);
    assert_eq!(saved(1, &[rows(0..1000, false)]), Vec::<String>::new());
    assert_eq!(saved(2, &[rows(998..1001, false)]), ["1 | 1000 | 1"]);
    assert_eq!(saved(3, &[rows(7..9, true), rows(8..9, true)]), ["1 | 7 | 2", "1 | 8 | 2"]);
    assert_eq!(saved(4, &[rows(1001..1002, false), rows(1001..1002, true)]), ["1 | 1001 | 3"]);
}

/// In milliseconds: what is at or below the watermark is closed.
pub(super) fn closed_bound() -> TimeBound {
    TimeBound::new(|w: Timestamp| Ok(w.0.div_euclid(1000) + 1))
}

/// Per batch: rows and the watermark; then restarts.
fn check_windows(
    sql: &str,
    time: impl Fn() -> TimeKey,
    emit: Emit,
    end: impl Fn(Option<i64>) -> Option<i64>,
    nulls_stay: bool,
    seed: u64,
) {
    check_windows_up_to(1, sql, &time, emit, &end, nulls_stay, seed);
    check_windows_up_to(8, sql, &time, emit, &end, nulls_stay, seed);
}

fn check_windows_up_to(
    shards: usize,
    sql: &str,
    time: &impl Fn() -> TimeKey,
    emit: Emit,
    end: &impl Fn(Option<i64>) -> Option<i64>,
    nulls_stay: bool,
    seed: u64,
) {
    // Over another operator, rows are late by the watermark of the batch before.
    let chained = seed % 3 == 2;
    let mut before = None;
    let mut rng = SmallRng::seed_from_u64(seed);
    let empty = random_rows(&mut rng, 0, 0);
    let mut case = Case::new(sql, spec(&empty, sql, Some(time()), emit), shards);
    let (mut used, mut next, mut watermark) = (vec![empty.clone()], 0, None);
    for batch in 0..8 {
        let rows = *[0, 2, 30, 60].choose(&mut rng).unwrap();
        let rows = random_rows(&mut rng, rows, next);
        next += rows.num_rows() as i64;
        let ends = ends_of(&rows, end);
        let late = if chained { before } else { watermark };
        let bound = late.filter(|_| emit != Emit::Snapshot);
        let on_time = |e: &Option<i64>| e.is_none_or(|e| bound.is_none_or(|w| e * 1000 > w));
        let late = ends.iter().filter(|e| !on_time(e)).count();
        let keep: BooleanArray =
            ends.iter().map(|e| Some(on_time(e) && (nulls_stay || e.is_some()))).collect();
        used.push(arrow::compute::filter_record_batch(&rows, &keep).unwrap());
        if rng.random_bool(0.3) {
            case.restart(rng.random_bool(0.5), rng.random_range(1..=shards), &mut rng);
        }
        assert_eq!(
            case.operator.wakes_at(Watermark(watermark.map(Timestamp))),
            leaves(&case, watermark),
            "wakes"
        );
        let late_watermark = Watermark(if chained { before } else { watermark }.map(Timestamp));
        case.batch(BatchContext { late_watermark, ..at(batch, watermark) }, &rows, &mut rng);
        assert_eq!(case.operator.late_rows(), late as u64, "late rows, {sql} {emit:?} {seed}");
        let used = together(&empty.schema(), &used);
        let expected = match (emit, watermark) {
            (Emit::Final, None) => Vec::new(),
            (Emit::Final, Some(w)) => {
                let ends = ends_of(&used, end);
                let closed: BooleanArray =
                    ends.iter().map(|e| Some(e.is_some_and(|e| e * 1000 <= w))).collect();
                answer(&arrow::compute::filter_record_batch(&used, &closed).unwrap(), sql)
            }
            _ => answer(&used, sql),
        };
        assert_same(
            &case.result(),
            &expected,
            &format!("{sql}, {emit:?}, {shards} shards, seed {seed}, batch {batch}"),
        );
        before = watermark;
        watermark =
            Some(watermark.unwrap_or(-7_000_000) + rng.random_range(0..3_000_000)).filter(|_| batch > 0);
    }
}

/// Whether a saved row would leave at this watermark.
fn leaves(case: &Case, watermark: Option<i64>) -> bool {
    let rows = case.saved[0].batch();
    let times = rows.column(0).as_primitive::<Int64Type>();
    case.emit != Emit::Snapshot && times.iter().flatten().any(|t| watermark.is_some_and(|w| t * 1000 <= w))
}

fn ends_of(rows: &RecordBatch, end: impl Fn(Option<i64>) -> Option<i64>) -> Vec<Option<i64>> {
    let ts = rows.column_by_name("ts").unwrap().as_primitive::<TimestampMillisecondType>();
    ts.iter().map(end).collect()
}

#[test]
fn windows_of_a_struct_column_close_with_the_watermark() {
    let window = "named_struct('start', date_bin(INTERVAL '3 seconds', ts), 'end', date_bin(INTERVAL '3 seconds', ts) + INTERVAL '3 seconds')";
    let window = format!("CASE WHEN ts IS NOT NULL THEN {window} END");
    let sql = format!(
        "SELECT {window} AS w, few, count(*), sum(v), max(x), array_agg(id ORDER BY id), count(DISTINCT v), \
           sum(DISTINCT v) FILTER (WHERE b), count(DISTINCT s) FROM t GROUP BY {window}, few"
    );
    let end = |ts: Option<i64>| ts.map(|ts| ts.div_euclid(3000) * 3000 + 3000);
    for derived in [None, Some((0, 3000))] {
        for (i, emit) in [Emit::Final, Emit::Upserts, Emit::Changes, Emit::Snapshot].into_iter().enumerate() {
            let time =
                || TimeKey { column: 0, field: Some(1), derived_start: derived, bound: closed_bound() };
            for seed in 0..2 {
                check_windows(&sql, time, emit, end, false, seed * 4 + i as u64);
            }
        }
    }
}

#[test]
fn windows_of_two_columns_close_with_the_watermark() {
    let start = "date_bin(INTERVAL '3 seconds', ts)";
    let stop = format!("{start} + INTERVAL '3 seconds'");
    let end = |ts: Option<i64>| ts.map(|ts| ts.div_euclid(3000) * 3000 + 3000);
    for (sql, column, start_column) in [
        (
            format!(
                "SELECT few, {start} AS a, {stop} AS b, count(*), min(word) FROM t GROUP BY few, {start}, {stop}"
            ),
            2,
            1,
        ),
        (format!("SELECT {start} AS a, {stop} AS b, sum(v) FROM t GROUP BY {start}, {stop}"), 1, 0),
    ] {
        for (i, emit) in [Emit::Final, Emit::Upserts, Emit::Changes, Emit::Snapshot].into_iter().enumerate() {
            let derived_start = Some((start_column, 3000));
            let time = || TimeKey { column, field: None, derived_start, bound: closed_bound() };
            for seed in 0..2 {
                check_windows(&sql, time, emit, end, false, seed * 4 + i as u64);
            }
        }
    }
}

#[test]
fn groups_of_a_plain_time_column_leave_one_by_one() {
    for (i, emit) in [Emit::Final, Emit::Upserts, Emit::Changes, Emit::Snapshot].into_iter().enumerate() {
        let time = || TimeKey { column: 1, field: None, derived_start: None, bound: closed_bound() };
        for seed in 0..2 {
            let sql = "SELECT few, ts, count(*), max(word), count(DISTINCT v), count(DISTINCT v) FILTER (WHERE b) \
                       FROM t GROUP BY few, ts";
            check_windows(sql, time, emit, |ts| ts, true, seed * 4 + i as u64);
            let sql = "SELECT few, ts FROM t GROUP BY few, ts";
            check_windows(sql, time, emit, |ts| ts, true, seed * 4 + i as u64);
        }
    }
}

/// Rows are late by the watermark either way; what is kept besides must not matter.
#[test]
fn switching_eviction_off_changes_no_output() {
    let sql = "SELECT few, ts, count(*), max(word), sum(v) FROM t GROUP BY few, ts";
    for (seed, emit) in [Emit::Upserts, Emit::Changes].into_iter().enumerate() {
        let mut rng = SmallRng::seed_from_u64(seed as u64);
        let empty = random_rows(&mut rng, 0, 0);
        let time = TimeKey { column: 1, field: None, derived_start: None, bound: closed_bound() };
        let spec = spec(&empty, sql, Some(time), emit);
        let (mut evicts, mut keeps) = (operator(&spec, 1, true), operator(&spec, 1, true));
        for batch in 0..40 {
            let rows = random_rows(&mut rng, 50, batch * 50);
            let context = at(batch as u64, Some(-6_000_000 + batch * 250_000));
            let forgets_nothing = BatchContext { watermark: Watermark::UNKNOWN, ..context };
            let output = |operator: &mut dyn Operator, context: &BatchContext| {
                input_of(&rows, sql).into_iter().for_each(|rows| operator.push(context, 0, rows).unwrap());
                let output = operator.finish(context).unwrap();
                (sorted(output.iter().flat_map(lines)), operator.late_rows())
            };
            assert_eq!(
                output(&mut *evicts, &context),
                output(&mut *keeps, &forgets_nothing),
                "batch {batch}"
            );
        }
        assert!(
            evicts.state_rows() * 2 < keeps.state_rows(),
            "{} {}",
            evicts.state_rows(),
            keeps.state_rows()
        );
    }
}

/// Their answers depend on how rows are split, within what they promise.
#[test]
fn approximate_percentiles_stay_near_the_middle() {
    let sql = "SELECT approx_median(x), approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY x), \
               approx_percentile_cont_with_weight(1, 0.5) WITHIN GROUP (ORDER BY x), min(x), max(x) FROM t";
    let mut rng = SmallRng::seed_from_u64(5);
    let empty = random_rows(&mut rng, 0, 0);
    let mut case = Case::new(sql, spec(&empty, sql, None, Emit::Snapshot), 1);
    for batch in 0..6 {
        let rows = random_rows(&mut rng, 300, batch * 300);
        case.batch(at(batch as u64, None), &rows, &mut rng);
        case.restart(batch % 2 == 0, 1, &mut rng);
    }
    let row: Vec<f64> = case.result()[0].split(" | ").map(|v| v.parse().unwrap()).collect();
    assert!(row[..3].iter().all(|middle| middle.abs() < 1.5) && row[3] < -9.0 && row[4] > 9.0, "{row:?}");
}

#[test]
fn a_group_of_an_integer_with_count_and_sum_takes_few_bytes_and_gives_them_back() {
    let schema = random_rows(&mut SmallRng::seed_from_u64(0), 0, 0);
    let sql = "SELECT arrow_cast(ts, 'Timestamp(Millisecond, None)') AS ts, id, count(*), sum(v) FROM t GROUP BY 1, id";
    let time = TimeKey { column: 0, field: None, derived_start: Some((0, 0)), bound: closed_bound() };
    let spec = AggregateSpec { time: Some(time), ..spec(&schema, sql, None, Emit::Upserts) };
    let mut operator = AggregateOperator::try_new(spec).unwrap();
    let groups = 100_000;
    let rows = RecordBatch::try_new(
        Arc::clone(&operator.spec.input_schema),
        operator.spec.input_schema.fields().iter().map(|field| column_of(field.name(), groups)).collect(),
    )
    .unwrap();
    let context = BatchContext { durable: false, ..at(0, None) };
    operator.push(&context, 0, rows).unwrap();
    operator.finish(&context).unwrap();
    assert_eq!(operator.state_rows(), groups);
    let each = operator.state_bytes() / groups;
    assert!(each < 100, "{each} bytes per group");
    let context = BatchContext { durable: false, ..at(1, Some(1_000_000)) };
    operator.finish(&context).unwrap();
    assert_eq!((operator.state_rows(), operator.state_bytes()), (0, 0));
}

/// Distinct ids, all at one time.
fn column_of(name: &str, rows: usize) -> ArrayRef {
    match name {
        "ts" => Arc::new(TimestampMillisecondArray::from_value(5, rows)),
        _ => Arc::new(Int64Array::from_iter_values(0..rows as i64)),
    }
}

#[test]
fn times_are_read_and_written_in_their_own_unit() {
    use arrow::datatypes::{DataType, TimeUnit};
    for data_type in [
        DataType::Timestamp(TimeUnit::Second, None),
        DataType::Timestamp(TimeUnit::Nanosecond, Some("+02:00".into())),
        DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Zurich".into())),
        DataType::Date32,
        DataType::Date64,
        DataType::Int64,
    ] {
        let times = Int64Array::from(vec![Some(-86_400_000), None, Some(0), Some(172_800_000)]);
        let column = from_int64(&times, &data_type).unwrap();
        assert_eq!(column.data_type(), &data_type);
        assert_eq!(to_int64(&column).unwrap(), times, "{data_type}");
    }
}

/// As DataFusion orders them without GROUP BY; see `functions::extremes`.
#[test]
fn nan_is_the_greatest_in_min_and_max() {
    for seed in 0..3 {
        check("SELECT max(f), min(f), max(f) FILTER (WHERE b) FROM t", Emit::Changes, seed);
        check("SELECT few, max(f), min(f), min(f) FILTER (WHERE b) FROM t GROUP BY few", Emit::Changes, seed);
        let halves =
            "SELECT few, max(arrow_cast(f, 'Float16')), min(arrow_cast(f, 'Float32')) FROM t GROUP BY few";
        check(halves, Emit::Changes, seed);
    }
    let sql = "SELECT few, max(f), min(f) FROM t GROUP BY few";
    let rows = random_rows(&mut SmallRng::seed_from_u64(3), 60, 0);
    let mut results = Vec::new();
    for (pieces, native) in [(1, true), (1, false), (7, true), (7, false), (60, false)] {
        let spec = spec(&rows, sql, None, Emit::Snapshot);
        let mut operator = AggregateOperator::with_native(spec, native).unwrap();
        for piece in 0..pieces {
            let (from, to) = (60 * piece / pieces, 60 * (piece + 1) / pieces);
            let piece = rows.slice(from as usize, (to - from) as usize);
            for input in input_of(&piece, sql) {
                operator.push(&at(0, None), 0, input).unwrap();
            }
        }
        let output = operator.finish(&at(0, None)).unwrap();
        results.push(sorted(output.iter().flat_map(lines)));
    }
    assert!(results.iter().all(|result| *result == results[0]), "{results:#?}");
    assert!(results[0].iter().any(|row| row.contains("| NaN |")), "{:#?}", results[0]);
}
