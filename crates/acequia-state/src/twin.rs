//! The slow twin of merging: applies random deltas one by one to maps. For tests.
//!
//! A row is a list of small numbers, one per column; what a number stands for depends on the column's type, different
//! numbers for different values, 0 for NULL.

use acequia_core::OperatorId;
use acequia_core::state::{TableDef, TableDelta, TableKind};
use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int64Array, ListArray, RecordBatch, RecordBatchOptions,
    StringArray, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use rand::Rng;
use rand::rngs::SmallRng;
use std::collections::BTreeMap;
use std::sync::Arc;

type Row = Vec<i64>;

/// A delta and the rows it was made from.
pub(crate) struct RandomDelta {
    pub(crate) delta: TableDelta,
    upserts: Vec<Row>,
    deletes: Vec<Row>,
}

/// The columns of each table by letter; a capital letter is a key column, `t` is the time column, `w` the weight.
const TABLES: &[(&str, &str)] = &[
    ("keyed", "SFltr"),
    ("few_keys", "St"),
    ("keyed_by_time", "TS"),
    ("one_row", "fs"),
    ("only_keys", "SRT"),
    ("dictionary", "Dd"),
    ("bag", "SFLRTw"),
    ("bag_of_words", "Dw"),
    ("counter", "w"),
];

pub(crate) fn tables() -> Vec<TableDef> {
    TABLES.iter().enumerate().map(|(i, (name, columns))| table(i, name, columns)).collect()
}

fn table(i: usize, name: &str, columns: &str) -> TableDef {
    let batch = rows_to_batch(columns, &[]);
    let kind = match columns.ends_with('w') {
        true => TableKind::Additive,
        false => TableKind::Keyed { key_columns: keys(columns) },
    };
    let time_column = columns.to_lowercase().find('t');
    TableDef {
        operator: OperatorId(i as u32 / 2),
        name: name.into(),
        kind,
        schema: batch.schema(),
        time_column,
    }
}

fn keys(columns: &str) -> usize {
    columns.chars().take_while(char::is_ascii_uppercase).count()
}

fn column(letter: char, codes: &[i64]) -> ArrayRef {
    let some = |f: fn(i64) -> String| codes.iter().map(move |c| (*c != 0).then(|| f(*c)));
    let text = |c: i64| if c == 1 { String::new() } else { format!("t{c}") };
    match letter.to_ascii_lowercase() {
        's' => Arc::new(some(text).collect::<StringArray>()),
        'd' => Arc::new(
            some(text)
                .collect::<Vec<_>>()
                .iter()
                .map(Option::as_deref)
                .collect::<DictionaryArray<Int32Type>>(),
        ),
        'f' => Arc::new(codes.iter().map(|c| (*c != 0).then(|| float(*c))).collect::<Float64Array>()),
        'l' => {
            let lists = codes.iter().map(|c| match c {
                0 => None,
                1 => Some(vec![]),
                c => Some(vec![Some(*c), None]),
            });
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))
        }
        'r' => {
            let a =
                Arc::new(codes.iter().map(|c| (*c > 1).then_some(*c)).collect::<Int64Array>()) as ArrayRef;
            let fields = vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)];
            let valid = NullBuffer::from_iter(codes.iter().map(|c| *c != 0));
            Arc::new(StructArray::new(fields.into(), vec![a, column('s', codes)], Some(valid)))
        }
        't' => Arc::new(codes.iter().map(|c| (*c != 0).then_some(*c)).collect::<Int64Array>()),
        'w' => Arc::new(codes.iter().map(|c| Some(*c)).collect::<Int64Array>()),
        other => panic!("no such column: {other}"),
    }
}

fn float(code: i64) -> f64 {
    match code {
        1 => f64::NAN,
        2 => 0.0,
        3 => -0.0,
        4 => f64::INFINITY,
        c => c as f64 / 2.0,
    }
}

fn rows_to_batch(columns: &str, rows: &[Row]) -> RecordBatch {
    let arrays: Vec<ArrayRef> = columns
        .chars()
        .enumerate()
        .map(|(i, letter)| column(letter, &rows.iter().map(|r| r[i]).collect::<Vec<_>>()))
        .collect();
    let fields =
        arrays.iter().enumerate().map(|(i, a)| Field::new(format!("c{i}"), a.data_type().clone(), true));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new_with_options(schema, arrays, &options).unwrap()
}

/// Each row as text.
pub(crate) fn rows_of(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
    let row = |i: usize| columns.iter().map(|c| c.value(i).to_string()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(row).collect()
}

fn random_rows(random: &mut SmallRng, columns: &str, n: usize) -> Vec<Row> {
    let code = |random: &mut SmallRng, letter| match letter {
        'w' => random.random_range(-2..=2),
        't' | 'T' => random.random_range(0..12),
        _ => random.random_range(0..5),
    };
    (0..n).map(|_| columns.chars().map(|letter| code(random, letter)).collect()).collect()
}

/// Changes of one batch in some of the tables.
pub(crate) fn deltas(random: &mut SmallRng) -> Vec<RandomDelta> {
    deltas_of(random, &[0, 1, 3, 12])
}

/// The same with as many rows in a table as one of `rows` says.
pub(crate) fn deltas_of(random: &mut SmallRng, rows: &[usize]) -> Vec<RandomDelta> {
    let all = TABLES.iter().enumerate();
    let some: Vec<_> = all.filter(|_| random.random_bool(0.6)).collect();
    some.into_iter()
        .map(|(i, (name, columns))| delta(random, rows, table(i, name, columns), columns))
        .collect()
}

fn delta(random: &mut SmallRng, rows: &[usize], table: TableDef, columns: &str) -> RandomDelta {
    let n = rows[random.random_range(0..rows.len())];
    let (mut upserts, mut deletes) = (random_rows(random, columns, n), vec![]);
    if let TableKind::Keyed { key_columns } = table.kind {
        let unique: BTreeMap<Row, Row> =
            upserts.into_iter().map(|r| (r[..key_columns].to_vec(), r)).collect();
        upserts = vec![];
        for (key, row) in unique {
            if random.random_bool(0.4) { deletes.push(key) } else { upserts.push(row) }
        }
    }
    let evicts = table.time_column.is_some() && random.random_bool(0.3);
    let evict_below = evicts.then(|| random.random_range(0..6));
    let cut = random.random_range(0..=upserts.len());
    let batches = [&upserts[..cut], &upserts[cut..]].map(|rows| rows_to_batch(columns, rows));
    let gone = rows_to_batch(&columns[..keys(columns)], &deletes);
    let delta = TableDelta { table, upserts: batches.into(), deletes: vec![gone], evict_below };
    RandomDelta { delta, upserts, deletes }
}

/// A change of one table, for a case that must be hit.
pub(crate) fn change(name: &str, rows: &[Row], evict_below: Option<i64>) -> RandomDelta {
    let (i, (_, columns)) = TABLES.iter().enumerate().find(|(_, (n, _))| *n == name).unwrap();
    let upserts = vec![rows_to_batch(columns, rows)];
    let delta = TableDelta { table: table(i, name, columns), upserts, deletes: vec![], evict_below };
    RandomDelta { delta, upserts: rows.to_vec(), deletes: vec![] }
}

/// All tables, as they are after the deltas so far.
#[derive(Default)]
pub(crate) struct Twin {
    tables: BTreeMap<String, BTreeMap<Row, Row>>,
}

impl Twin {
    pub(crate) fn apply(&mut self, deltas: &[RandomDelta]) {
        for RandomDelta { delta, upserts, deletes } in deltas {
            let rows = self.tables.entry(delta.table.name.clone()).or_default();
            for key in deletes {
                rows.remove(key);
            }
            for row in upserts {
                apply_row(rows, delta.table.kind, row);
            }
            if let (Some(time), Some(bound)) = (delta.table.time_column, delta.evict_below) {
                rows.retain(|_, row| row[time] == 0 || row[time] >= bound);
            }
        }
    }

    pub(crate) fn contents(&self) -> BTreeMap<String, Vec<String>> {
        let table = |(name, columns): &(&str, &str)| {
            let rows: Vec<Row> =
                self.tables.get(*name).into_iter().flat_map(|t| t.values().cloned()).collect();
            let mut rows = rows_of(&rows_to_batch(columns, &rows));
            rows.sort();
            (name.to_string(), rows)
        };
        TABLES.iter().map(table).collect()
    }
}

fn apply_row(rows: &mut BTreeMap<Row, Row>, kind: TableKind, row: &Row) {
    let TableKind::Keyed { key_columns } = kind else {
        let (weight, identity) = row.split_last().unwrap();
        let known = rows.entry(identity.to_vec()).or_insert_with(|| [identity, &[0]].concat());
        *known.last_mut().unwrap() += weight;
        if known.last() == Some(&0) {
            rows.remove(identity);
        }
        return;
    };
    rows.insert(row[..key_columns].to_vec(), row.clone());
}
