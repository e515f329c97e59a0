//! Stores against a list of rows, through many chunks, with rows that leave and come back.

use super::*;
use crate::exec::delta::Delta;
use acequia_core::OperatorId;
use arrow::array::{AsArray, Float64Array, Int64Array, StringViewArray, TimestampSecondArray};
use arrow::datatypes::{Field, Int64Type, Schema};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `k` with NULLs, `f` with 0.0, -0.0 and NaN, a text of up to 15 characters, and a time.
type Row = (Option<i64>, Option<i64>, u8, i64);

fn batch(rows: &[Row]) -> RecordBatch {
    let floats = [0.0, -0.0, f64::NAN, 1.5];
    let fields = vec![
        Field::new("k", DataType::Int64, true),
        Field::new("f", DataType::Float64, true),
        Field::new("s", DataType::Utf8View, true),
        Field::new("t", DataType::Timestamp(TimeUnit::Second, None), true),
    ];
    let texts = rows.iter().map(|row| Some("x".repeat(row.2.into())));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.1.map(|f| floats[f as usize])).collect::<Float64Array>()),
        Arc::new(texts.collect::<StringViewArray>()),
        Arc::new(rows.iter().map(|row| (row.3 != 0).then_some(row.3)).collect::<TimestampSecondArray>()),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn random_row(rng: &mut SmallRng) -> Row {
    let some = |rng: &mut SmallRng, n| rng.random_bool(0.8).then(|| rng.random_range(0..n));
    (some(rng, 6), some(rng, 4), rng.random_range(10..15), rng.random_range(0..90))
}

fn store(key: Vec<usize>, leave: bool, nulls_equal: bool) -> RowStore {
    let spec = RowStoreSpec {
        schema: batch(&[]).schema(),
        key,
        nulls_equal,
        leave,
        degree: false,
        time: Some((3, None)),
    };
    RowStore::new(spec).unwrap()
}

/// A row as it was made, read back from the store.
fn rows_of(store: &RowStore, ids: &[RowId]) -> Vec<(Row, i64)> {
    let columns = store.gather(ids, &[0, 1, 2, 3]).unwrap();
    let int = |column: &ArrayRef, row: usize| {
        let column = arrow::compute::cast(column, &DataType::Int64).unwrap();
        column.is_valid(row).then(|| column.as_primitive::<Int64Type>().value(row))
    };
    let float = |row: usize| {
        let column = columns[1].as_primitive::<arrow::datatypes::Float64Type>();
        column.is_valid(row).then(|| match column.value(row) {
            f if f.is_nan() => 2,
            f if f == 0.0 => i64::from(f.is_sign_negative()),
            _ => 3,
        })
    };
    let row = |row: usize| {
        let text = columns[2].as_string_view().value(row).len() as u8;
        (
            (int(&columns[0], row), float(row), text, int(&columns[3], row).unwrap_or(0)),
            store.weight(ids[row]),
        )
    };
    (0..ids.len()).map(row).collect()
}

fn bag(rows: impl IntoIterator<Item = (Row, i64)>) -> BTreeMap<Row, i64> {
    let mut bag = BTreeMap::new();
    rows.into_iter().for_each(|(row, weight)| *bag.entry(row).or_default() += weight);
    bag.retain(|_, weight| *weight != 0);
    bag
}

/// All pairs of a lookup in pieces of a few.
fn look_up(store: &RowStore, probes: &RecordBatch, key: &[usize]) -> BTreeMap<(u32, Row), i64> {
    let keys: Vec<ArrayRef> = key.iter().map(|c| Arc::clone(probes.column(*c))).collect();
    let hashes = hash_keys(&keys, probes.num_rows()).unwrap();
    let mut cursor = Cursor::default();
    let mut pairs = BTreeMap::new();
    while let Some(found) = store.matches(&keys, &hashes, &mut cursor, 3).unwrap() {
        let rows = rows_of(store, &found.stored);
        for (probe, (row, weight)) in found.probe.iter().zip(rows) {
            *pairs.entry((*probe, row)).or_default() += weight;
        }
    }
    pairs
}

fn keys_equal(a: &Row, b: &Row, key: &[usize], nulls_equal: bool) -> bool {
    let zero = |f: Option<i64>| f.map(|f| if f == 1 { 0 } else { f });
    key.iter().all(|column| match column {
        0 => a.0 == b.0 && (nulls_equal || a.0.is_some()),
        _ => zero(a.1) == zero(b.1) && (nulls_equal || a.1.is_some()),
    })
}

#[test]
fn store_is_a_bag_of_rows_found_by_key() {
    for seed in 0..60 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let key = [vec![], vec![0], vec![1], vec![0, 1]][rng.random_range(0..4)].clone();
        let (leave, nulls_equal) = (rng.random_bool(0.7), rng.random_bool(0.5));
        let mut store = store(key.clone(), leave, nulls_equal);
        let mut saved = SavedRows::new(OperatorId(0), "rows", &store);
        let mut model: BTreeMap<Row, i64> = BTreeMap::new();
        let mut bound = 1;
        for step in 0..25 {
            let mut changes: Vec<(Row, i64)> = (0..rng.random_range(0..20))
                .map(|_| (random_row(&mut rng), rng.random_range(1..3)))
                .collect();
            changes.retain(|(row, _)| row.3 == 0 || row.3 >= bound);
            if leave {
                let gone =
                    model.iter().filter(|_| rng.random_bool(0.3)).map(|(row, weight)| (*row, -*weight));
                changes.extend(gone.collect::<Vec<_>>());
                changes = bag(changes).into_iter().collect();
            } else {
                changes.iter_mut().for_each(|(_, weight)| *weight = 1);
            }
            let rows = batch(&changes.iter().map(|(row, _)| *row).collect::<Vec<_>>());
            let weights: Vec<i64> = changes.iter().map(|(_, weight)| *weight).collect();
            store.apply(&rows, Some(&weights), &[]).unwrap();
            saved.changed(&store, &Delta { rows, weights }, &[]).unwrap();
            model = bag(model.into_iter().chain(changes));
            if step % 5 == 4 {
                bound += rng.random_range(0..20);
                let ids = store.below(bound).unwrap();
                store.remove(&ids).unwrap();
                model.retain(|row, _| row.3 == 0 || row.3 >= bound);
            }
            let ids: Vec<RowId> = store.ids().collect();
            assert_eq!(bag(rows_of(&store, &ids)), model, "seed {seed} step {step}");
            assert_eq!(ids.len(), store.len());
            let probes: Vec<Row> = (0..5).map(|_| random_row(&mut rng)).collect();
            let found = look_up(&store, &batch(&probes), &key);
            let mut expected = BTreeMap::new();
            for (number, probe) in probes.iter().enumerate() {
                let matching = model.iter().filter(|(row, _)| keys_equal(probe, row, &key, nulls_equal));
                expected.extend(matching.map(|(row, weight)| ((number as u32, *row), *weight)));
            }
            assert_eq!(found, expected, "seed {seed} step {step}");
        }
        let mut again = self::store(key, leave, nulls_equal);
        for rows in saved.snapshot(&store).unwrap() {
            saved.restore(&mut again, &rows).unwrap();
        }
        let ids: Vec<RowId> = again.ids().collect();
        assert_eq!(bag(rows_of(&again, &ids)), model, "seed {seed}: restored");
    }
}

#[test]
fn rows_leave_by_time_once() {
    let mut store = store(vec![0], true, false);
    let rows: Vec<Row> = (0..100).map(|i| (Some(i % 3), None, 12, i)).collect();
    store.apply(&batch(&rows), None, &[]).unwrap();
    let mut left = 0;
    for bound in [1, 9, 9, 10, 11, 35, 99, 200] {
        let ids = store.below(bound).unwrap();
        left += ids.len();
        store.remove(&ids).unwrap();
        // The row of time 0 has none, and stays.
        assert_eq!(left as i64, (bound - 1).clamp(0, 99), "bound {bound}");
        assert_eq!(store.len(), 100 - left);
        assert!(!store.has_below(bound));
        assert_eq!(store.has_below(bound + 1), bound <= 99);
    }
    assert_eq!(store.len(), 1);
}

#[test]
fn chunks_of_rows_that_left_are_given_back() {
    let mut store = store(vec![0], true, false);
    let rows = |from: i64| -> Vec<Row> { (from..from + 100).map(|i| (Some(i), None, 12, 0)).collect() };
    store.apply(&batch(&rows(0)), None, &[]).unwrap();
    let bytes = store.bytes();
    for round in 0..50 {
        store.apply(&batch(&rows((round + 1) * 100)), None, &[]).unwrap();
        store.apply(&batch(&rows(round * 100)), Some(&[-1; 100]), &[]).unwrap();
    }
    assert_eq!(store.len(), 100);
    assert!(store.bytes() < 3 * bytes, "{} of {bytes}", store.bytes());
}

#[test]
fn row_that_was_never_given_cannot_be_taken_back() {
    let mut store = store(vec![0], true, false);
    let row = batch(&[(Some(1), None, 12, 0)]);
    assert!(store.apply(&row, Some(&[-1]), &[]).is_err());
    store.apply(&row, Some(&[2]), &[]).unwrap();
    assert!(store.apply(&row, Some(&[-3]), &[]).is_err());
}
