//! A query with the rows that it reads, and the way in which it runs.

use super::relations::{CHANGING, COLUMNS, STREAMS, TABLE};
use super::scope::{Generator, Type};
use acequia_sqltest::variant::Variant;

/// How far the watermark is behind, of streams that have one.
const DELAY: &str = "ts - INTERVAL '10' SECOND";

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
        let mode = generator.weighted(&[(7, "CHANGES"), (1, "UPDATE"), (1, "COMPLETE"), (1, "APPEND")]);
        let variant = *generator.one_of(&Variant::ALL);
        let shards = generator.chance(30).then(|| generator.count(2..=8));
        let watermark = generator.chance(20);
        let table = generator.rows(0);
        let streams: Vec<&str> = STREAMS.into_iter().filter(|stream| reads(&query, stream)).collect();
        let mut steps: Vec<Step> = (0..generator.count(2..=5)).map(|n| generator.step(&streams, n)).collect();
        let changing = streams.contains(&CHANGING) && generator.chance(50);
        if changing {
            generator.take_rows_back(&mut steps);
        }
        Self { query, mode, variant, shards, watermark, changing, table, steps }
    }

    /// The statements, which the variant runs as a test.
    pub fn sql(&self) -> String {
        let mut sql = self.objects(true);
        if let Some(shards) = self.shards {
            sql += &format!("SET acequia.shards = {shards};\n");
        }
        sql += &format!("{} EMIT {};\n", self.query, self.mode);
        for step in &self.steps {
            let one = step.len() == 1;
            if !one {
                sql += "BEGIN;\n";
            }
            for (stream, rows) in step {
                sql += &insert(stream, rows);
            }
            if !one {
                sql += "COMMIT;\n";
            }
        }
        sql
    }

    /// The same rows in tables: statements, of which the last is the query.
    pub(super) fn as_tables(&self) -> Vec<String> {
        let mut sql = self.objects(false);
        for (stream, rows) in self.steps.iter().flatten() {
            // Whether DataFusion runs the query depends little on which rows there are.
            let rows: Vec<String> = rows.iter().map(|row| without_op(row)).collect();
            sql += &insert(stream, &rows);
        }
        let mut statements: Vec<String> = sql.lines().map(str::to_string).collect();
        statements.push(self.query.clone());
        statements
    }

    fn objects(&self, streaming: bool) -> String {
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

/// A row without what says whether it comes or goes.
fn without_op(row: &str) -> String {
    match row.rsplit_once(", '") {
        Some((values, op)) if op.starts_with(['+', '-']) => format!("{values})"),
        _ => row.to_string(),
    }
}

impl Generator {
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

    fn row(&mut self, step: i64) -> String {
        let values = COLUMNS.iter().map(|(name, data_type, _)| match data_type {
            _ if self.chance(10) => "NULL".to_string(),
            Type::Int if *name == "k" => self.number(0..=3).to_string(),
            Type::Int => self.number(-2..=6).to_string(),
            Type::Float => format!("{}.{}", self.number(-1..=3), self.one_of(&["0", "5"])),
            Type::Text => self.literal(Type::Text),
            Type::Time => {
                let second = 60 + step * 10 + self.number(-25..=10);
                format!("'2026-01-01 00:{:02}:{:02}'", second / 60, second % 60)
            }
        });
        format!("({})", values.collect::<Vec<_>>().join(", "))
    }
}
