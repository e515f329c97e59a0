//! The promises of [`Stateful`], checked over an operator.

use super::concat;
use crate::state::{Stateful, TableDef, TableDelta, TableKind};
use arrow::array::{Array, Int64Array, RecordBatch};
use arrow::row::{RowConverter, SortField};
use std::collections::BTreeMap;

/// How a suite gets at the operator under test.
pub trait Fixture {
    /// The operator.
    type Operator: Stateful;
    /// A new one, always for the same query.
    fn create(&self) -> Self::Operator;
    /// Runs the n-th batch of a fixed input through it; batches are durable.
    fn run(&self, operator: &mut Self::Operator, batch: usize);
}

/// Runs so many batches and checks after each of them.
///
/// # Panics
/// When a promise is broken, naming it.
pub fn run(fixture: &impl Fixture, batches: usize) {
    let mut operator = fixture.create();
    let tables = operator.tables();
    assert!(!tables.is_empty(), "a stateful operator has a table");
    assert!(
        operator.take_deltas().expect("deltas").iter().all(TableDelta::is_empty),
        "nothing changed before any batch"
    );
    assert!(operator.snapshot("there is no such table").is_err(), "an unknown table is an error");

    let mut merged: Vec<Merged> = tables.iter().map(Merged::new).collect();
    for batch in 0..batches {
        fixture.run(&mut operator, batch);
        assert_eq!(operator.tables(), tables, "the tables never change");
        for delta in operator.take_deltas().expect("deltas") {
            let table =
                tables.iter().position(|table| *table == delta.table).expect("a delta of one of its tables");
            merged[table].apply(&delta);
        }
        assert!(
            operator.take_deltas().expect("deltas").iter().all(TableDelta::is_empty),
            "deltas are taken once"
        );
        for (table, merged) in tables.iter().zip(&merged) {
            let live = rows_of(table, &operator.snapshot(&table.name).expect("snapshot"));
            assert_eq!(live, merged.rows, "deltas lead to the snapshot: table={} batch={batch}", table.name);
        }
        operator = restored(fixture, &operator, &tables);
    }
}

/// A new operator with the state of another; it must hold the same rows.
fn restored<F: Fixture>(fixture: &F, operator: &F::Operator, tables: &[TableDef]) -> F::Operator {
    let mut again = fixture.create();
    for table in tables {
        for rows in operator.snapshot(&table.name).expect("snapshot") {
            again.restore(&table.name, rows).expect("restore");
        }
    }
    for table in tables {
        let (before, after) = (operator.snapshot(&table.name), again.snapshot(&table.name));
        let (before, after) = (before.expect("snapshot"), after.expect("snapshot"));
        assert_eq!(
            rows_of(table, &after),
            rows_of(table, &before),
            "restored rows are the same: {}",
            table.name
        );
    }
    assert_eq!(again.state_rows(), operator.state_rows(), "restored state counts the same rows");
    assert!(
        again.take_deltas().expect("deltas").iter().all(TableDelta::is_empty),
        "restoring changes nothing"
    );
    again
}

/// The encoded row and its time.
type Row = (Vec<u8>, Option<i64>);

/// A table as its deltas make it, slowly: encoded key to encoded row and time.
struct Merged {
    key_columns: usize,
    time_column: Option<usize>,
    rows: BTreeMap<Vec<u8>, Row>,
}

impl Merged {
    fn new(table: &TableDef) -> Self {
        let TableKind::Keyed { key_columns } = table.kind else {
            panic!("the suite knows keyed tables only")
        };
        Self { key_columns, time_column: table.time_column, rows: BTreeMap::new() }
    }

    fn apply(&mut self, delta: &TableDelta) {
        for deletes in &delta.deletes {
            encode(deletes, deletes.num_columns()).iter().for_each(|key| _ = self.rows.remove(key));
        }
        for rows in &delta.upserts {
            self.rows.extend(entries(rows, self.key_columns, self.time_column));
        }
        if let Some(bound) = delta.evict_below {
            self.rows.retain(|_, (_, time)| time.is_none_or(|time| time >= bound));
        }
    }
}

fn rows_of(table: &TableDef, batches: &[RecordBatch]) -> BTreeMap<Vec<u8>, Row> {
    let TableKind::Keyed { key_columns } = table.kind else { panic!("the suite knows keyed tables only") };
    let all = concat(&table.schema, batches);
    let rows = entries(&all, key_columns, table.time_column);
    let distinct: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!(distinct.len(), rows.len(), "a key occurs once in a snapshot: {}", table.name);
    distinct
}

fn entries(rows: &RecordBatch, key_columns: usize, time_column: Option<usize>) -> Vec<(Vec<u8>, Row)> {
    let times = time_column
        .map(|column| rows.column(column).as_any().downcast_ref::<Int64Array>().expect("Int64 time"));
    let time = |row: usize| times.and_then(|times| (!times.is_null(row)).then(|| times.value(row)));
    let (keys, whole) = (encode(rows, key_columns), encode(rows, rows.num_columns()));
    keys.into_iter().zip(whole).enumerate().map(|(row, (key, whole))| (key, (whole, time(row)))).collect()
}

/// The first `columns` columns of each row as comparable bytes.
fn encode(rows: &RecordBatch, columns: usize) -> Vec<Vec<u8>> {
    if columns == 0 {
        return vec![vec![]; rows.num_rows()];
    }
    let arrays = &rows.columns()[..columns];
    let fields = arrays.iter().map(|array| SortField::new(array.data_type().clone())).collect();
    let encoded =
        RowConverter::new(fields).expect("types with an order").convert_columns(arrays).expect("rows");
    encoded.iter().map(|row| row.data().to_vec()).collect()
}
