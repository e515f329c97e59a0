//! What a sink got, batch by batch, as one relation; and the comparison of two relations.
//!
//! | mode | fold |
//! |---|---|
//! | `APPEND`, and `UPDATE` of a result without a key | all rows |
//! | `UPDATE` | deletes, then rows in place of those with their key |
//! | `COMPLETE` | the last rows |
//! | `CHANGES` | `+I` and `+U` count 1, `-I`, `-U` and `-D` count -1 |

use crate::json;
use acequia::{Error, OutputMode, Result};
use arrow::array::RecordBatch;
use serde_json::Value;
use std::collections::BTreeMap;

/// A row as JSON values.
type Row = Vec<Value>;

/// How far floats may differ, relative to the larger.
const TOLERANCE: f64 = 1e-9;

/// How many rows a difference shows of each kind.
const SHOWN: usize = 10;

/// The relation so far.
#[derive(Debug, Clone)]
pub struct Fold {
    mode: OutputMode,
    key: Option<Vec<usize>>,
    rows: Vec<Row>,
    by_key: BTreeMap<String, Row>,
    counts: BTreeMap<String, (Row, i64)>,
}

impl Fold {
    /// An empty relation whose rows these columns identify in `UPDATE`.
    pub fn new(mode: OutputMode, key: Option<Vec<usize>>) -> Self {
        Self { mode, key, rows: vec![], by_key: BTreeMap::new(), counts: BTreeMap::new() }
    }

    /// Takes in a batch.
    ///
    /// # Errors
    /// `Internal` for a delete of a row that is not there, and for an unknown `op`.
    pub fn apply(&mut self, rows: &[RecordBatch], deletes: &[RecordBatch]) -> Result<()> {
        let (rows, deletes) = (values(rows)?, values(deletes)?);
        match (self.mode, &self.key) {
            (OutputMode::Complete, _) => self.rows = rows,
            (OutputMode::Changes, _) => rows.into_iter().try_for_each(|row| self.count(row))?,
            (OutputMode::Update, Some(key)) => {
                for row in deletes {
                    let gone = self.by_key.remove(&text(key.iter().map(|i| &row[*i])));
                    if gone.is_none() {
                        return Err(Error::internal(format!("row is deleted that is not there: {row:?}")));
                    }
                }
                for row in rows {
                    self.by_key.insert(text(key.iter().map(|i| &row[*i])), row);
                }
            }
            _ => self.rows.extend(rows),
        }
        Ok(())
    }

    fn count(&mut self, mut row: Row) -> Result<()> {
        let weight = match row.pop() {
            Some(Value::String(op)) if op.starts_with('+') => 1,
            Some(Value::String(op)) if op.starts_with('-') => -1,
            op => return Err(Error::internal(format!("not an op: {op:?}"))),
        };
        let entry = self.counts.entry(text(row.iter())).or_insert((row, 0));
        entry.1 += weight;
        Ok(())
    }

    /// The rows now.
    ///
    /// # Errors
    /// `Internal` when a row was taken back more often than it was given.
    pub fn rows(&self) -> Result<Vec<Row>> {
        let mut rows = self.rows.clone();
        rows.extend(self.by_key.values().cloned());
        for (row, count) in self.counts.values() {
            if *count < 0 {
                return Err(Error::internal(format!("row is taken back more often than given: {row:?}")));
            }
            rows.extend((0..*count).map(|_| row.clone()));
        }
        Ok(rows)
    }

    /// What is in one of them and not in the other, as [`difference`]; `self` is as it should be.
    ///
    /// # Errors
    /// As [`Fold::rows`].
    pub fn difference(&self, actual: &Self) -> Result<Option<String>> {
        Ok(compared(self.rows()?, &actual.rows()?))
    }
}

fn values(batches: &[RecordBatch]) -> Result<Vec<Row>> {
    let mut all = vec![];
    for batch in batches {
        for row in json::rows(batch)? {
            let Value::Array(row) = row else { return Err(Error::internal("a row is an array")) };
            all.push(row);
        }
    }
    Ok(all)
}

fn text<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    Value::Array(values.cloned().collect()).to_string()
}

/// What is in one relation and not in the other, as text; `None` when they are the same, rows in any order and floats
/// up to a tolerance.
///
/// # Errors
/// `Internal` for a type without a text form.
pub fn difference(expected: &[RecordBatch], actual: &[Row]) -> Result<Option<String>> {
    Ok(compared(values(expected)?, actual))
}

fn compared(expected: Vec<Row>, actual: &[Row]) -> Option<String> {
    // Rows that agree in everything but floats are matched with each other.
    let mut unmatched: BTreeMap<String, Vec<(Vec<f64>, Row)>> = BTreeMap::new();
    for row in expected {
        let (key, floats) = split_floats(&row);
        unmatched.entry(key).or_default().push((floats, row));
    }
    let mut unexpected = vec![];
    for row in actual {
        let (key, floats) = split_floats(row);
        let candidates = unmatched.entry(key).or_default();
        match candidates.iter().position(|(other, _)| close(other, &floats)) {
            Some(found) => _ = candidates.swap_remove(found),
            None => unexpected.push(row.clone()),
        }
    }
    let missing: Vec<Row> = unmatched.into_values().flatten().map(|(_, row)| row).collect();
    if missing.is_empty() && unexpected.is_empty() {
        return None;
    }
    Some(format!("{}{}", listed("missing", &missing), listed("too much", &unexpected)))
}

fn listed(what: &str, rows: &[Row]) -> String {
    let mut text: String =
        rows.iter().take(SHOWN).map(|row| format!("  {what}: {}\n", Value::Array(row.clone()))).collect();
    if rows.len() > SHOWN {
        text += &format!("  {what}: {} more rows\n", rows.len() - SHOWN);
    }
    text
}

/// A row's text without its floats, and these.
fn split_floats(row: &Row) -> (String, Vec<f64>) {
    let mut floats = vec![];
    let rest: Vec<Value> = row.iter().map(|value| without_floats(value, &mut floats)).collect();
    (Value::Array(rest).to_string(), floats)
}

fn without_floats(value: &Value, floats: &mut Vec<f64>) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            floats.extend(number.as_f64());
            Value::String("float".into())
        }
        Value::Array(values) => Value::Array(values.iter().map(|v| without_floats(v, floats)).collect()),
        Value::Object(object) => {
            Value::Object(object.iter().map(|(k, v)| (k.clone(), without_floats(v, floats))).collect())
        }
        other => other.clone(),
    }
}

fn close(a: &[f64], b: &[f64]) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(f64::MIN_POSITIVE);
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(*a, *b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
    use std::sync::Arc;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
    }

    fn numbers(keys: &[i64], values: &[f64]) -> RecordBatch {
        let keys: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
        let values: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        batch(vec![("k", keys), ("v", values)])
    }

    fn changes(rows: &[(i64, &str)]) -> RecordBatch {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0)));
        let ops: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1)));
        batch(vec![("k", keys), ("op", ops)])
    }

    fn ints(keys: &[i64]) -> RecordBatch {
        batch(vec![("k", Arc::new(Int64Array::from(keys.to_vec())) as ArrayRef)])
    }

    #[test]
    fn update_replaces_by_key_and_deletes() {
        let mut fold = Fold::new(OutputMode::Update, Some(vec![0]));
        fold.apply(&[numbers(&[1, 2], &[0.5, 0.5])], &[]).unwrap();
        fold.apply(&[numbers(&[1], &[0.7])], &[numbers(&[2], &[0.5])]).unwrap();
        assert_eq!(difference(&[numbers(&[1], &[0.7])], &fold.rows().unwrap()).unwrap(), None);
        assert!(fold.apply(&[], &[numbers(&[2], &[0.5])]).is_err(), "it is gone already");
    }

    #[test]
    fn complete_is_the_last_emission_even_when_empty() {
        let mut fold = Fold::new(OutputMode::Complete, None);
        fold.apply(&[ints(&[1])], &[]).unwrap();
        fold.apply(&[], &[]).unwrap();
        assert!(fold.rows().unwrap().is_empty());
    }

    #[test]
    fn changes_sum_up() {
        let mut fold = Fold::new(OutputMode::Changes, None);
        fold.apply(&[changes(&[(1, "+I"), (2, "+I"), (1, "+I")])], &[]).unwrap();
        fold.apply(&[changes(&[(2, "-U"), (3, "+U"), (1, "-D")])], &[]).unwrap();
        assert_eq!(difference(&[ints(&[1, 3])], &fold.rows().unwrap()).unwrap(), None);
        fold.apply(&[changes(&[(2, "-D")])], &[]).unwrap();
        assert!(fold.rows().is_err(), "row 2 was given once");
    }

    #[test]
    fn rows_are_compared_in_any_order_and_floats_nearly() {
        let mut fold = Fold::new(OutputMode::Append, None);
        fold.apply(&[numbers(&[1, 1, 2], &[0.3, 0.1 + 0.2, 1.0])], &[]).unwrap();
        let same = numbers(&[2, 1, 1], &[1.0, 0.3, 0.3]);
        assert_eq!(difference(&[same], &fold.rows().unwrap()).unwrap(), None);
        let other = numbers(&[2, 1, 1], &[1.0, 0.3, 0.31]);
        let text = difference(&[other], &fold.rows().unwrap()).unwrap().unwrap();
        assert!(text.contains("missing: [1,0.31]") && text.contains("too much: [1,0.3"), "{text}");
    }

    #[test]
    fn a_row_too_many_and_one_too_few_are_found() {
        let mut fold = Fold::new(OutputMode::Append, None);
        fold.apply(&[ints(&[1, 1])], &[]).unwrap();
        assert!(difference(&[ints(&[1])], &fold.rows().unwrap()).unwrap().is_some());
        assert!(difference(&[ints(&[1, 1, 1])], &fold.rows().unwrap()).unwrap().is_some());
    }
}
