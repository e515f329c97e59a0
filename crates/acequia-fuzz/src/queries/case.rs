//! A query with the rows that it reads, and the way in which it runs.

use super::relations::{COLUMNS, STREAMS, TABLE};
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
        let steps = (0..generator.count(2..=5)).map(|n| generator.step(&streams, n)).collect();
        Self { query, mode, variant, shards, watermark, table, steps }
    }

    /// The statements, which the variant runs as a test.
    pub fn sql(&self) -> String {
        let watermark = if self.watermark { format!(", WATERMARK FOR ts AS {DELAY}") } else { String::new() };
        let mut sql = self.objects("STREAM", &watermark);
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
        let mut sql = self.objects("TABLE", "");
        for (stream, rows) in self.steps.iter().flatten() {
            sql += &insert(stream, rows);
        }
        let mut statements: Vec<String> = sql.lines().map(str::to_string).collect();
        statements.push(self.query.clone());
        statements
    }

    fn objects(&self, kind: &str, watermark: &str) -> String {
        let columns =
            COLUMNS.iter().map(|(name, _, sql)| format!("{name} {sql}")).collect::<Vec<_>>().join(", ");
        let mut sql = String::new();
        for stream in STREAMS.into_iter().filter(|stream| reads(&self.query, stream)) {
            sql += &format!("CREATE {kind} {stream} ({columns}{watermark});\n");
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

impl Generator {
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
