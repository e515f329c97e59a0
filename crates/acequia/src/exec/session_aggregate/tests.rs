//! Session aggregates against a slow twin: accepted rows are merged into sessions one by one, and DataFusion groups
//! them by the session that each row is then in.

use super::*;
use crate::exec::aggregate::{AggregateSpec, TimeBound};
use crate::exec::sharded::{Sharding, Shards};
use crate::exec::twin::{self, Folded, Saved, answer, assert_same, at, input_of, lines, sorted, together};
use acequia_core::{OperatorId, Timestamp};
use arrow::array::{Int32Array, StringArray, TimestampMillisecondArray};
use datafusion::physical_plan::aggregates::AggregateExec;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
struct Row {
    id: i64,
    key: Option<i32>,
    word: Option<&'static str>,
    ts: Option<i64>,
    gap: Option<i64>,
    v: Option<i64>,
}

impl Row {
    fn interval(&self) -> Option<Interval> {
        let interval = Interval { start: self.ts?, end: self.ts? + self.gap? };
        (interval.start < interval.end).then_some(interval)
    }
}

/// Rows as a table; each with the session that it is in.
fn table(rows: &[(Row, Interval)]) -> RecordBatch {
    let ts = |f: fn(&(Row, Interval)) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(f).collect::<TimestampMillisecondArray>())
    };
    let int = |f: fn(&(Row, Interval)) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(f).collect::<Int64Array>())
    };
    RecordBatch::try_from_iter_with_nullable([
        ("id", int(|(row, _)| Some(row.id)), true),
        ("key", Arc::new(rows.iter().map(|(row, _)| row.key).collect::<Int32Array>()) as ArrayRef, true),
        ("word", Arc::new(rows.iter().map(|(row, _)| row.word).collect::<StringArray>()) as ArrayRef, true),
        ("ts", ts(|(row, _)| row.ts), true),
        ("gap", int(|(row, _)| row.gap), true),
        ("v", int(|(row, _)| row.v), true),
        ("ss", ts(|(_, session)| Some(session.start)), true),
        ("se", ts(|(_, session)| Some(session.end)), true),
    ])
    .unwrap()
}

const ROW_END: &str = "arrow_cast(arrow_cast(ts, 'Int64') + gap, 'Timestamp(Millisecond, None)')";

/// How a query is written over single rows and over rows with their session.
struct Query {
    keys: &'static str,
    results: &'static str,
    session: SessionColumns,
}

impl Query {
    fn sql(&self, start: &str, end: &str) -> String {
        let Query { keys, results, session } = self;
        let session = match session {
            SessionColumns::Struct(_) => format!("named_struct('start', {start}, 'end', {end})"),
            SessionColumns::Pair { .. } => format!("{start}, {end}"),
        };
        let groups =
            [*keys, &session].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        let results = if results.is_empty() { String::new() } else { format!(", {results}") };
        format!("SELECT {groups}{results} FROM t GROUP BY {groups}")
    }

    /// How many keys it has.
    fn session_at(&self) -> usize {
        match self.session {
            SessionColumns::Struct(column) => column,
            SessionColumns::Pair { start, .. } => start,
        }
    }

    fn rows(&self) -> String {
        self.sql("ts", ROW_END)
    }

    fn twin(&self) -> String {
        self.sql("ss", "se")
    }
}

fn spec(query: &Query, bound: bool, emit: Emit) -> SessionSpec {
    let context = twin::context(&table(&[]));
    let plan = twin::aggregate(&context, &query.rows());
    let exec = plan.downcast_ref::<AggregateExec>().unwrap();
    let spec = AggregateSpec::from_exec(exec, OperatorId(3), None, emit).unwrap();
    SessionSpec {
        operator: spec.operator,
        input_schema: spec.input_schema,
        group_by: spec.group_by,
        aggregates: spec.aggregates,
        filters: spec.filters,
        output_schema: spec.output_schema,
        session: query.session,
        bound: bound.then(|| TimeBound::new(|w: Timestamp| Ok(w.0.div_euclid(1000) + 1))),
        emit,
    }
}

/// Written out once more, so that the twin does not trust the operator's.
fn touch(a: Interval, b: Interval) -> bool {
    !(a.end < b.start || b.end < a.start)
}

/// The slow twin: rows of sessions that are open, and all that have closed.
#[derive(Default)]
struct Twin {
    open: Vec<Row>,
    closed: Vec<(Row, Interval)>,
    forgotten: Option<i64>,
    largest_gap: i64,
    /// Whether the query has the two keys, or only the first.
    keys: usize,
}

impl Twin {
    fn key(&self, row: &Row) -> (Option<i32>, Option<&'static str>) {
        (row.key.filter(|_| self.keys > 0), row.word.filter(|_| self.keys > 1))
    }

    /// Takes a row; whether it is late.
    fn push(&mut self, row: &Row, late_below: Option<i64>, forgotten: Option<i64>) -> bool {
        let Some(interval) = row.interval() else { return false };
        let touched = |(other, session): &(Row, Interval)| {
            self.key(other) == self.key(row) && touch(*session, interval)
        };
        let late = late_below.is_some_and(|bound| interval.end < bound)
            || forgotten.is_some_and(|end| interval.start <= end)
            || self.closed.iter().any(touched);
        if !late {
            self.open.push(row.clone());
            self.largest_gap = self.largest_gap.max(interval.end - interval.start);
        }
        late
    }

    /// The open rows, each with its session.
    fn sessions(&self) -> Vec<(Row, Interval)> {
        let mut keys: BTreeMap<_, Vec<Interval>> = BTreeMap::new();
        for row in &self.open {
            let mut merged = row.interval().unwrap();
            let sessions = keys.entry(self.key(row)).or_default();
            while let Some(i) = sessions.iter().position(|session| touch(*session, merged)) {
                let other = sessions.swap_remove(i);
                merged = Interval { start: merged.start.min(other.start), end: merged.end.max(other.end) };
            }
            sessions.push(merged);
        }
        let of = |row: &Row| {
            let own = row.interval().unwrap();
            *keys[&self.key(row)].iter().find(|session| touch(**session, own)).unwrap()
        };
        self.open.iter().map(|row| (row.clone(), of(row))).collect()
    }

    fn close(&mut self, bound: Option<i64>) {
        let Some(bound) = bound else { return };
        let (closed, open): (Vec<_>, Vec<_>) = self.sessions().into_iter().partition(|(_, s)| s.end < bound);
        self.open = open.into_iter().map(|(row, _)| row).collect();
        self.closed.extend(closed);
        let gone = self.closed.iter().map(|(_, s)| s.end).filter(|end| end + self.largest_gap < bound).max();
        self.forgotten = self.forgotten.max(gone);
    }
}

fn random_row(rng: &mut SmallRng, id: i64, from: i64, gap: Option<i64>) -> Row {
    let mut maybe = |p: f64| rng.random_bool(p);
    let (ts, has_v, has_key) = (maybe(0.95), maybe(0.9), maybe(0.9));
    Row {
        id,
        key: has_key.then(|| rng.random_range(0..3)),
        word: [None, Some("a"), Some("b")].choose(rng).copied().unwrap(),
        ts: ts.then(|| from + rng.random_range(-80..80) * 5),
        gap: gap.or_else(|| {
            [None, Some(-5), Some(0), Some(10), Some(20), Some(35)].choose(rng).copied().unwrap()
        }),
        v: has_v.then(|| rng.random_range(-9..9)),
    }
}

/// The operator in so many shards, or one, in its own way to more.
fn operator(spec: &SessionSpec, shards: usize) -> Box<dyn Operator> {
    let shards = if shards == 1 { Shards::AUTO } else { Shards::new(shards).unwrap() };
    Sharding::session_aggregate(spec.clone(), shards).unwrap().operator
}

/// In one piece, then in shards whose number changes with every restart. Returns how many rows were late, and how many
/// were in sessions that closed.
fn check(query: &Query, emit: Emit, gap: Option<i64>, with_watermark: bool, seed: u64) -> (usize, usize) {
    check_up_to(1, query, emit, gap, with_watermark, seed);
    check_up_to(8, query, emit, gap, with_watermark, seed)
}

fn check_up_to(
    shards: usize,
    query: &Query,
    emit: Emit,
    gap: Option<i64>,
    with_watermark: bool,
    seed: u64,
) -> (usize, usize) {
    let mut all_late = 0;
    let mut rng = SmallRng::seed_from_u64(seed);
    let chained = seed % 2 == 1;
    let spec = spec(query, with_watermark, emit);
    let mut operator = operator(&spec, shards);
    let mut saved: Vec<Saved> = operator.tables().into_iter().map(Saved::new).collect();
    let mut twin = Twin { keys: query.session_at(), ..Twin::default() };
    let mut folded = Folded::default();
    let (mut id, mut watermark, mut before) = (0, None, None);
    for batch in 0..8_i64 {
        if rng.random_bool(0.4) {
            operator = self::operator(&spec, rng.random_range(1..=shards));
            saved.iter().for_each(|saved| saved.restore_into(&mut *operator));
        }
        let count = *[0, 1, 5, 30].choose(&mut rng).unwrap();
        let rows: Vec<Row> = (0..count).map(|i| random_row(&mut rng, id + i, batch * 100, gap)).collect();
        id += count;
        let bound = |w: Option<i64>| w.filter(|_| emit != Emit::Snapshot).map(|w: i64| w + 1);
        let late_mark = if chained { before } else { watermark };
        let forgotten = twin.forgotten;
        let late = rows.iter().filter(|row| twin.push(row, bound(late_mark), forgotten)).count();
        let micros = |w: Option<i64>| Watermark(w.map(|w| Timestamp(w * 1000)));
        all_late += late;
        let context = BatchContext {
            late_watermark: micros(late_mark),
            previous_watermark: Watermark(None),
            ..at(batch as u64, watermark.map(|w: i64| w * 1000))
        };
        let nowhere = Interval { start: 0, end: 0 };
        let pushed = table(&rows.into_iter().map(|row| (row, nowhere)).collect::<Vec<_>>());
        for input in input_of(&pushed, &query.rows()) {
            let cut = rng.random_range(0..=input.num_rows());
            operator.push(&context, 0, input.slice(0, cut)).unwrap();
            operator.push(&context, 0, input.slice(cut, input.num_rows() - cut)).unwrap();
        }
        let open_before_close = twin.sessions();
        twin.close(bound(watermark));
        let output = operator.finish(&context).unwrap();
        let what =
            format!("{}, {emit:?}, gap {gap:?}, {shards} shards, seed {seed}, batch {batch}", query.rows());
        assert_eq!(operator.late_rows(), late as u64, "late rows, {what}");
        let all: Vec<_> = twin.closed.iter().cloned().chain(twin.sessions()).collect();
        let expected = match emit {
            Emit::Final => &twin.closed,
            Emit::Snapshot => &open_before_close,
            Emit::Upserts | Emit::Changes => &all,
        };
        let actual = if emit == Emit::Snapshot {
            sorted(output.iter().flat_map(lines))
        } else {
            folded.apply(&output);
            folded.rows()
        };
        let expected = together(&table(&[]).schema(), &[table(expected)]);
        assert_same(&actual, &answer(&expected, &query.twin()), &what);
        for delta in operator.take_deltas().unwrap() {
            saved.iter_mut().find(|saved| saved.is(&delta.table)).unwrap().apply(&delta);
        }
        saved.iter().for_each(|saved| saved.assert_is(&*operator));
        assert_eq!(operator.state_rows(), saved.iter().map(Saved::len).sum::<usize>());
        before = watermark;
        if with_watermark && batch > 0 {
            watermark = watermark.max(Some(batch * 100 - 250 + rng.random_range(0..200)));
        }
    }
    (all_late, twin.closed.len())
}

const QUERIES: &[Query] = &[
    Query {
        keys: "key",
        results: "count(*), sum(v), array_agg(id ORDER BY id)",
        session: SessionColumns::Struct(1),
    },
    Query {
        keys: "key, word",
        results: "max(v), count(DISTINCT v)",
        session: SessionColumns::Pair { start: 2, end: 3 },
    },
    Query { keys: "", results: "count(v), min(word), avg(v)", session: SessionColumns::Struct(0) },
    Query { keys: "key", results: "", session: SessionColumns::Struct(1) },
    Query {
        keys: "key",
        results: "sum(v) FILTER (WHERE v > 100)",
        session: SessionColumns::Pair { start: 1, end: 2 },
    },
];

#[test]
fn sessions_equal_the_slow_twin() {
    let (mut late, mut closed) = (0, 0);
    for (i, query) in QUERIES.iter().enumerate() {
        for (j, emit) in [Emit::Final, Emit::Upserts, Emit::Changes, Emit::Snapshot].into_iter().enumerate() {
            let seen = check(query, emit, Some(20), true, (i * 5 + j) as u64);
            (late, closed) = (late + seen.0, closed + seen.1);
        }
    }
    assert!(
        late > 30 && closed > 500,
        "the test does not reach what it is about: late={late} closed={closed}"
    );
}

#[test]
fn gaps_per_row_equal_the_slow_twin() {
    for (i, query) in QUERIES.iter().enumerate() {
        for (j, emit) in [Emit::Final, Emit::Changes].into_iter().enumerate() {
            for (k, with_watermark) in [true, false].into_iter().enumerate() {
                check(query, emit, None, with_watermark, (i * 4 + j * 2 + k) as u64);
            }
        }
    }
}
