//! A query with the rows that it reads, and the way in which it runs.

use super::relations::{CHANGING, COLUMNS, STREAMS, TABLE};
use super::scope::Generator;
use acequia_sqltest::variant::Variant;

/// How far the watermark is behind, of streams that have one.
const DELAY: &str = "ts - INTERVAL '10' SECOND";

/// Of a hundred cases so many run with crashes too.
const CRASHES: u32 = 25;

/// About how many steps on the disk a run takes until its first batch, and for the batches of a step.
const OPENING: usize = 40;
const PER_STEP: usize = 30;

/// Rows that come to streams as one micro-batch: texts in parentheses, by stream.
pub(super) type Step = Vec<(String, Vec<String>)>;

/// A query over random rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The continuous query, without its EMIT.
    pub query: String,
    /// What follows EMIT.
    pub mode: &'static str,
    /// How the file is run.
    pub variant: Variant,
    pub(super) shards: Option<usize>,
    pub(super) watermark: bool,
    /// Whether rows of one of the streams also go again.
    pub(super) changing: bool,
    pub(super) table: Vec<String>,
    pub(super) steps: Vec<Step>,
    /// Before which of its steps on the disk each run dies over a checkpoint and a file sink; the last one lives.
    pub(super) deaths: Vec<usize>,
}

impl Case {
    /// The case of a seed: always the same.
    pub fn of(seed: u64) -> Self {
        let mut generator = Generator::new(seed);
        let query = loop {
            let query = generator.query();
            if STREAMS.iter().any(|stream| reads(&query, stream)) {
                break query;
            }
        };
        let mut mode = generator.weighted(&[(5, "CHANGES"), (2, "UPDATE"), (2, "COMPLETE"), (1, "APPEND")]);
        if mode == "APPEND" && query.contains("now()") {
            // What is out stays out there, and batch knows nothing of what has passed.
            mode = "CHANGES";
        }
        let shards = generator.chance(30).then(|| generator.count(2..=8));
        // Versions of a stream are by its event time. Above a bound that moves no row is late, which the oracle, to
        // whom now() is a constant, does not see.
        let watermark = (generator.chance(20) && !generator.moving) || query.contains("SYSTEM_TIME");
        let table = generator.rows(0);
        let streams: Vec<&str> = STREAMS.into_iter().filter(|stream| reads(&query, stream)).collect();
        let mut steps: Vec<Step> = (0..generator.count(2..=5)).map(|n| generator.step(&streams, n)).collect();
        let changing = streams.contains(&CHANGING) && generator.chance(50);
        if changing {
            generator.take_rows_back(&mut steps);
        }
        let mut variant = *generator.one_of(&Variant::ALL);
        let mut deaths = vec![];
        if generator.chance(CRASHES) {
            // A file sink takes nothing else, and its rows are compared with those of the statements as written.
            mode = if mode == "APPEND" { mode } else { "CHANGES" };
            variant = Variant::AsWritten;
            deaths = generator.deaths(steps.len());
        }
        Self { query, mode, variant, shards, watermark, changing, table, steps, deaths }
    }

    /// What is not in the statements, as comments.
    pub fn setting(&self) -> String {
        let mut text = format!("-- variant: {}\n", self.variant.name());
        if !self.deaths.is_empty() {
            text += &format!(
                "-- and into a file sink over a checkpoint; each run dies before one of its steps on the disk: {:?}\n",
                self.deaths
            );
        }
        text
    }

    /// The statements, which the variant runs as a test.
    pub fn sql(&self) -> String {
        let mut sql = self.objects(true);
        if let Some(shards) = self.shards {
            sql += &format!("SET acequia.shards = {shards};\n");
        }
        sql += &format!("{} EMIT {};\n", self.query, self.mode);
        sql += &self.steps.iter().flat_map(statements).collect::<String>();
        sql
    }

    /// The same rows in tables, row by row, and the query before and after each: it has to be right for every split.
    pub(super) fn as_tables(&self) -> String {
        let mut sql = self.objects(false);
        for (stream, rows) in self.steps.iter().flatten() {
            for row in rows {
                // Whether DataFusion runs the query depends little on rows that are gone.
                sql += &format!("{};\n", self.query);
                sql += &insert(stream, &[without_op(row)]);
            }
        }
        sql + &self.query
    }

    pub(super) fn objects(&self, streaming: bool) -> String {
        let columns =
            COLUMNS.iter().map(|(name, _, sql)| format!("{name} {sql}")).collect::<Vec<_>>().join(", ");
        let mut sql = String::new();
        for stream in STREAMS.into_iter().filter(|stream| reads(&self.query, stream)) {
            sql += &match (streaming, self.changing && stream == CHANGING, self.watermark) {
                (false, ..) => format!("CREATE TABLE {stream} ({columns});\n"),
                (_, true, _) => {
                    format!("CREATE STREAM {stream} ({columns}, op VARCHAR) WITH (op_column = 'op');\n")
                }
                (.., true) => {
                    format!("CREATE STREAM {stream} ({columns}, WATERMARK FOR ts AS {DELAY});\n")
                }
                _ => format!("CREATE STREAM {stream} ({columns});\n"),
            };
        }
        if reads(&self.query, TABLE) {
            let columns = COLUMNS.iter().enumerate();
            let columns =
                columns.map(|(n, (name, _, sql))| format!("CAST(column{} AS {sql}) AS {name}", n + 1));
            let columns = columns.collect::<Vec<_>>().join(", ");
            sql += &format!(
                "CREATE TABLE {TABLE} AS SELECT {columns} FROM (VALUES {});\n",
                self.table.join(", ")
            );
        }
        sql
    }
}

/// Whether the query names the stream.
fn reads(query: &str, stream: &str) -> bool {
    query.split(|c: char| !c.is_alphanumeric()).any(|word| word == stream)
}

fn insert(stream: &str, rows: &[String]) -> String {
    format!("INSERT INTO {stream} VALUES {};\n", rows.join(", "))
}

/// The statements of a step.
pub(super) fn statements(step: &Step) -> Vec<String> {
    let inserts = step.iter().map(|(stream, rows)| insert(stream, rows));
    if step.len() == 1 {
        return inserts.collect();
    }
    let (begin, commit) = ("BEGIN;\n".to_string(), "COMMIT;\n".to_string());
    std::iter::once(begin).chain(inserts).chain([commit]).collect()
}

/// A row without what says whether it comes or goes.
fn without_op(row: &str) -> String {
    match row.rsplit_once(", '") {
        Some((values, op)) if op.starts_with(['+', '-']) => format!("{values})"),
        _ => row.to_string(),
    }
}

impl Generator {
    /// Points somewhere in a run over so many steps, or soon after its start: in the recovery from the death before.
    fn deaths(&mut self, steps: usize) -> Vec<usize> {
        let count = self.weighted(&[(3, 1), (2, 2), (1, 4)]);
        let anywhere = OPENING + steps * PER_STEP;
        (0..count)
            .map(
                |n| if n > 0 && self.chance(60) { self.count(1..=OPENING) } else { self.count(1..=anywhere) },
            )
            .collect()
    }

    /// Makes rows of the changing stream come and go: what comes may go in the same step or in a later one.
    fn take_rows_back(&mut self, steps: &mut [Step]) {
        let mut there: Vec<String> = vec![];
        for (_, rows) in steps.iter_mut().flatten().filter(|(stream, _)| stream == CHANGING) {
            let mut changes = vec![];
            for row in std::mem::take(rows) {
                let values = row.trim_end_matches(')').to_string();
                if !there.is_empty() && self.chance(40) {
                    let gone = there.swap_remove(self.count(0..=there.len() - 1));
                    let op = *self.one_of(&["-D", "-U"]);
                    changes.push(format!("{gone}, '{op}')"));
                }
                let op = *self.one_of(&["+I", "+U"]);
                changes.push(format!("{values}, '{op}')"));
                there.push(values);
            }
            *rows = changes;
        }
    }

    fn step(&mut self, streams: &[&str], number: usize) -> Step {
        let some = |this: &mut Self, stream: &&str| ((*stream).to_string(), this.rows(number as i64));
        if self.chance(40) {
            return streams.iter().map(|stream| some(self, stream)).collect();
        }
        let stream = *self.one_of(streams);
        vec![some(self, &stream)]
    }

    /// Rows for a step of the number, some of them twice.
    fn rows(&mut self, step: i64) -> Vec<String> {
        let mut rows: Vec<String> = vec![];
        for _ in 0..self.count(1..=6) {
            let row = match rows.last() {
                Some(last) if self.chance(12) => last.clone(),
                _ => self.row(step),
            };
            rows.push(row);
        }
        rows
    }
}
