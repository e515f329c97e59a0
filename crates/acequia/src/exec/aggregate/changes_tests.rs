//! Aggregates over rows that are taken back, against DataFusion's answer over the rows that are left, after every batch.

use super::tests::{closed_bound, operator, push, random_rows, spec};
use super::*;
use crate::exec::twin::{Folded, Saved, answer, assert_same, at, input_of, lines, sorted};
use crate::exec::{append_weight, with_weight};
use arrow::array::{Array, AsArray, Int64Array, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::TimestampMillisecondType;
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

fn taken(all: &RecordBatch, rows: Vec<u32>) -> RecordBatch {
    take_record_batch(all, &UInt32Array::from(rows)).unwrap()
}

/// Rows that come and go.
struct Rows {
    left: RecordBatch,
    next: i64,
}

impl Rows {
    fn new(rng: &mut SmallRng) -> Self {
        Self { left: random_rows(rng, 0, 0), next: 0 }
    }

    /// Changes that `usable` rows may have: some rows come, some of them twice, some of those that are there go, and
    /// some come and go at once.
    fn change(
        &mut self,
        rng: &mut SmallRng,
        come: usize,
        go: f64,
        usable: impl Fn(&RecordBatch, usize) -> bool,
    ) -> (RecordBatch, Vec<i64>) {
        let new = random_rows(rng, come, self.next);
        self.next += come as i64;
        let there = self.left.num_rows();
        let all = concat_batches(&new.schema(), [&self.left, &new]).unwrap();
        let (mut changes, mut left) = (Vec::new(), Vec::new());
        for row in 0..all.num_rows() as u32 {
            let usable = usable(&all, row as usize);
            let goes = usable && rng.random_bool(go);
            match (row < there as u32, goes) {
                (true, true) => changes.push((row, -1)),
                (true, false) => left.push(row),
                (false, true) => changes.extend([(row, 1), (row, -1)]),
                (false, false) if usable => {
                    let copies = if rng.random_bool(0.1) { 2 } else { 1 };
                    changes.push((row, copies));
                    left.extend(std::iter::repeat_n(row, copies as usize));
                }
                (false, false) => {}
            }
        }
        changes.shuffle(rng);
        let (rows, weights): (Vec<u32>, Vec<i64>) = changes.into_iter().unzip();
        self.left = taken(&all, left);
        (taken(&all, rows), weights)
    }
}

struct Case {
    sql: String,
    spec: AggregateSpec,
    operator: Box<dyn Operator>,
    saved: Vec<Saved>,
    folded: Folded,
    snapshot: Vec<String>,
}

fn weighted(spec: AggregateSpec) -> AggregateSpec {
    AggregateSpec { weighted: true, input_schema: with_weight(&spec.input_schema), ..spec }
}

impl Case {
    fn new(sql: &str, spec: AggregateSpec, shards: usize) -> Self {
        let spec = weighted(spec);
        let operator = operator(&spec, shards, true);
        Self {
            sql: sql.to_string(),
            saved: operator.tables().into_iter().map(Saved::new).collect(),
            spec,
            operator,
            folded: Folded::default(),
            snapshot: Vec::new(),
        }
    }

    fn batch(&mut self, context: &BatchContext, rows: &RecordBatch, weights: &[i64], rng: &mut SmallRng) {
        let rows = input_of(rows, &self.sql);
        let mut from = 0;
        for rows in rows {
            let weights = &weights[from..from + rows.num_rows()];
            from += rows.num_rows();
            let schema = with_weight(&rows.schema());
            let mut columns = append_weight(&rows, &schema, 1).unwrap().columns().to_vec();
            *columns.last_mut().unwrap() = Arc::new(Int64Array::from(weights.to_vec()));
            let rows = RecordBatch::try_new(schema, columns).unwrap();
            let cut = rng.random_range(0..=rows.num_rows());
            push(&mut *self.operator, context, rows.slice(0, cut), rng);
            push(&mut *self.operator, context, rows.slice(cut, rows.num_rows() - cut), rng);
        }
        let output = self.operator.finish(context).unwrap();
        match self.spec.emit {
            Emit::Snapshot => self.snapshot = sorted(output.iter().flat_map(lines)),
            _ => self.folded.apply(&output),
        }
        if context.durable {
            self.save();
        }
    }

    fn save(&mut self) {
        for delta in self.operator.take_deltas().unwrap() {
            let of = self.saved.iter_mut().find(|saved| saved.is(&delta.table)).unwrap();
            of.apply(&delta);
        }
        assert!(self.operator.take_deltas().unwrap().is_empty());
        self.saved.iter().for_each(|saved| saved.assert_is(&*self.operator));
        assert_eq!(self.operator.state_rows(), self.saved[0].len(), "{}", self.sql);
    }

    /// Tables may be put back in any order.
    fn restart(&mut self, shards: usize, rng: &mut SmallRng) {
        let mut fresh = operator(&self.spec, shards, true);
        self.saved.shuffle(rng);
        self.saved.iter().for_each(|saved| saved.restore_into(&mut *fresh));
        self.saved.iter().for_each(|saved| saved.assert_is(&*fresh));
        self.saved.sort_by_key(|saved| !saved.is(&self.operator.tables()[0]));
        assert_eq!(fresh.state_rows(), self.saved[0].len());
        self.operator = fresh;
    }

    fn result(&self) -> Vec<String> {
        match self.spec.emit {
            Emit::Snapshot => self.snapshot.clone(),
            _ => self.folded.rows(),
        }
    }
}

/// In one piece and in shards, with restarts; few batches take most rows back.
fn check(sql: &str, emit: Emit, seed: u64) {
    for shards in [1, 8] {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut rows = Rows::new(&mut rng);
        let mut case = Case::new(sql, spec(&rows.left, sql, None, emit), shards);
        for batch in 0..6 {
            let come = *[0, 1, 5, 40, 120].choose(&mut rng).unwrap();
            let go = *[0.0, 0.2, 0.5, 1.0].choose(&mut rng).unwrap();
            if rng.random_bool(0.4) {
                case.restart(rng.random_range(1..=shards), &mut rng);
            }
            let (changes, weights) = rows.change(&mut rng, come, go, |_, _| true);
            case.batch(&at(batch, None), &changes, &weights, &mut rng);
            let what = format!("{sql}, {emit:?}, {shards} shards, seed {seed}, batch {batch}");
            assert_same(&case.result(), &answer(&rows.left, sql), &what);
        }
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
    "sum(arrow_cast(many, 'UInt64'))",
    "sum(arrow_cast(d, 'Decimal256(30, 2)'))",
    "sum(v) FILTER (WHERE b)",
    "avg(v)",
    "avg(few) FILTER (WHERE NOT b)",
    "avg(arrow_cast(many, 'UInt64'))",
    "avg(d)",
    "min(v)",
    "max(v) FILTER (WHERE x < 0)",
    "min(few), max(few)",
    "min(x)",
    "max(x)",
    "min(d)",
    "max(d)",
    "min(ts)",
    "max(ts)",
    "min(word)",
    "max(s)",
    "min(b)",
    "min(DISTINCT v), max(DISTINCT s)",
    "count(DISTINCT few)",
    "count(DISTINCT word)",
    "count(DISTINCT ts), count(DISTINCT b)",
    "count(DISTINCT v) FILTER (WHERE b)",
    "sum(DISTINCT v)",
    "sum(DISTINCT d)",
    "stddev(v)",
    "stddev_pop(v)",
    "var_samp(d)",
    "var_pop(v) FILTER (WHERE b)",
    "corr(d, v)",
    "covar_samp(few, v)",
    "covar_pop(d, v)",
    "bool_and(b)",
    "bool_or(b) FILTER (WHERE v > 3)",
    "count(DISTINCT many), sum(v), sum(DISTINCT v), max(few), avg(v), count(*) FILTER (WHERE few = 1)",
];

#[test]
fn every_aggregate_equals_the_batch_answer() {
    for (i, aggregate) in AGGREGATES.iter().enumerate() {
        let keys = ["few", "word, few"][i % 2];
        let emit = [Emit::Changes, Emit::Snapshot][usize::from(i % 5 == 0)];
        check(&format!("SELECT {keys}, {aggregate} FROM t GROUP BY {keys}"), emit, i as u64);
    }
}

#[test]
fn global_aggregates_always_have_their_row() {
    for (i, aggregate) in AGGREGATES.iter().enumerate() {
        let emit = [Emit::Changes, Emit::Snapshot][usize::from(i % 5 == 0)];
        check(&format!("SELECT {aggregate} FROM t"), emit, i as u64);
    }
}

#[test]
fn distinct_rows_come_and_go() {
    for (i, keys) in ["few", "word, f", "ts", "f", "many"].iter().enumerate() {
        for emit in [Emit::Changes, Emit::Snapshot] {
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
        "GROUPING SETS ((few), (few), (word), ())",
        "few, ROLLUP (word)",
    ]
    .iter()
    .enumerate()
    {
        for (j, emit) in [Emit::Changes, Emit::Snapshot].into_iter().enumerate() {
            let sql =
                format!("SELECT count(*), sum(v), max(word), count(DISTINCT many) FROM t GROUP BY {sets}");
            check(&sql, emit, (i * 2 + j) as u64);
        }
    }
}

/// Rows of closed windows neither come nor go.
#[test]
fn windows_close_with_the_watermark() {
    let start = "date_bin(INTERVAL '3 seconds', ts)";
    let queries = [
        (
            format!(
                "SELECT few, {start} AS a, {start} + INTERVAL '3 seconds' AS b, count(*), min(word), count(DISTINCT v) \
                 FROM t WHERE ts IS NOT NULL GROUP BY few, {start}, {start} + INTERVAL '3 seconds'"
            ),
            TimeKey { column: 2, field: None, derived_start: Some((1, 3000)), bound: closed_bound() },
            3000,
        ),
        (
            "SELECT few, ts, sum(v), max(word) FROM t WHERE ts IS NOT NULL GROUP BY few, ts".to_string(),
            TimeKey { column: 1, field: None, derived_start: None, bound: closed_bound() },
            0,
        ),
    ];
    for (sql, time, size) in queries {
        for (i, emit) in [Emit::Changes, Emit::Final, Emit::Snapshot].into_iter().enumerate() {
            for seed in 0..3 {
                check_windows(&sql, &time, size, emit, (i * 3 + seed) as u64);
            }
        }
    }
}

fn end_of(rows: &RecordBatch, row: usize, size: i64) -> Option<i64> {
    let ts = rows.column_by_name("ts").unwrap().as_primitive::<TimestampMillisecondType>();
    ts.is_valid(row)
        .then(|| if size == 0 { ts.value(row) } else { ts.value(row).div_euclid(size) * size + size })
}

fn check_windows(sql: &str, time: &TimeKey, size: i64, emit: Emit, seed: u64) {
    for shards in [1, 8] {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut rows = Rows::new(&mut rng);
        let mut case = Case::new(sql, spec(&rows.left, sql, Some(time.clone()), emit), shards);
        let mut watermark: Option<i64> = None;
        for batch in 0..10 {
            let open = |rows: &RecordBatch, row: usize| {
                end_of(rows, row, size).is_some_and(|end| watermark.is_none_or(|w| end * 1000 > w))
            };
            if rng.random_bool(0.3) {
                case.restart(rng.random_range(1..=shards), &mut rng);
            }
            let come = *[0, 2, 30, 60].choose(&mut rng).unwrap();
            let go = *[0.1, 0.5, 0.9].choose(&mut rng).unwrap();
            let (changes, weights) = rows.change(&mut rng, come, go, open);
            case.batch(&at(batch, watermark), &changes, &weights, &mut rng);
            assert_eq!(case.operator.late_rows(), 0);
            let closed = (0..rows.left.num_rows() as u32)
                .filter(|row| emit != Emit::Final || !open(&rows.left, *row as usize) && watermark.is_some());
            let expected = taken(&rows.left, closed.collect());
            let what = format!("{sql}, {emit:?}, {shards} shards, seed {seed}, batch {batch}");
            assert_same(&case.result(), &answer(&expected, sql), &what);
            watermark = Some(watermark.unwrap_or(-7_000_000) + rng.random_range(0..3_000_000));
        }
    }
}

/// Groups that have left give their places and their bytes back.
#[test]
fn state_is_as_large_as_what_is_left() {
    let sql = "SELECT many, count(*), max(word) FROM t GROUP BY many";
    let mut rng = SmallRng::seed_from_u64(7);
    let mut rows = Rows::new(&mut rng);
    let mut case = Case::new(sql, spec(&rows.left, sql, None, Emit::Changes), 1);
    let mut most = 0;
    for batch in 0..200 {
        let (changes, weights) = rows.change(&mut rng, 50, 0.5, |_, _| true);
        let durable = batch % 2 == 0;
        case.batch(&BatchContext { durable: false, ..at(batch, None) }, &changes, &weights, &mut rng);
        assert!(!durable || case.operator.take_deltas().unwrap().is_empty());
        assert_same(&case.result(), &answer(&rows.left, sql), &format!("batch {batch}"));
        most = most.max(case.operator.state_bytes());
    }
    let (all, weights) = rows.change(&mut rng, 0, 1.0, |_, _| true);
    case.batch(&BatchContext { durable: false, ..at(200, None) }, &all, &weights, &mut rng);
    assert_eq!(case.operator.state_rows(), 0);
    let (few, weights) = rows.change(&mut rng, 1, 0.0, |_, _| true);
    case.batch(&BatchContext { durable: false, ..at(201, None) }, &few, &weights, &mut rng);
    assert_eq!(case.operator.state_rows(), 1);
    assert!(most < 60_000 && case.operator.state_bytes() < 6_000, "{most} {}", case.operator.state_bytes());
}

#[test]
fn a_row_that_was_never_given_is_an_error() {
    let sql = "SELECT few, count(*) FROM t GROUP BY few";
    let rows = random_rows(&mut SmallRng::seed_from_u64(1), 1, 0);
    let mut operator = operator(&weighted(spec(&rows, sql, None, Emit::Changes)), 1, true);
    let input = input_of(&rows, sql).remove(0);
    let input = append_weight(&input, &with_weight(&input.schema()), -1).unwrap();
    operator.push(&at(0, None), 0, input).unwrap();
    let error = operator.finish(&at(0, None)).unwrap_err();
    assert!(error.message().contains("taken back that was never given"), "{error}");
}

#[test]
fn what_cannot_take_rows_back_is_told() {
    let rows = random_rows(&mut SmallRng::seed_from_u64(1), 0, 0);
    for (aggregate, expected) in [
        ("sum(x)", false),
        ("avg(x)", false),
        ("count(DISTINCT x)", false),
        ("array_agg(v)", false),
        ("first_value(v)", false),
        ("avg(DISTINCT v)", false),
        ("stddev(x)", false),
        ("count(*), sum(x)", false),
        ("count(*), sum(v), avg(v), max(x)", true),
    ] {
        let sql = format!("SELECT few, {aggregate} FROM t GROUP BY few");
        let spec = weighted(spec(&rows, &sql, None, Emit::Changes));
        assert_eq!(spec.takes_rows_back().unwrap(), expected, "{aggregate}");
    }
}
