//! Arrow values as JSON values, in the form of the machine-readable output.
//!
//! Timestamps, dates and times are ISO 8601 with as many fraction digits as needed (a zone, where the type has one, as
//! an offset or `Z`); structs and maps with text keys are objects; decimals are strings; NaN and the infinities are the
//! strings `"NaN"`, `"Infinity"`, `"-Infinity"`; a time outside the calendar is its number; binary values are hexadecimal strings.

use acequia::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{
    DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};

/// The rows of a batch, each an array of values.
///
/// # Errors
/// `Internal` for a type without a text form.
pub fn rows(batch: &RecordBatch) -> Result<Vec<Value>> {
    (0..batch.num_rows())
        .map(|row| {
            let values = batch.columns().iter().map(|column| value(column, row));
            Ok(Value::Array(values.collect::<Result<_>>()?))
        })
        .collect()
}

/// Batches as one, its rows sorted by all columns from the first on, NULL first.
///
/// # Errors
/// `Internal` for a type without an order.
pub fn sorted(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch> {
    let all = concat_batches(schema, batches)?;
    if all.num_columns() == 0 {
        return Ok(all);
    }
    let fields = schema.fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(all.columns())?;
    let mut order: Vec<u32> = (0..all.num_rows() as u32).collect();
    order.sort_by(|a, b| rows.row(*a as usize).cmp(&rows.row(*b as usize)));
    Ok(take_record_batch(&all, &UInt32Array::from(order))?)
}

/// One value.
///
/// # Errors
/// `Internal` for a type without a text form.
pub fn value(array: &ArrayRef, row: usize) -> Result<Value> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float16 => float(array.as_primitive::<Float16Type>().value(row).to_f64()),
        DataType::Float32 => float32(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let entries =
                fields.iter().zip(columns).map(|(f, column)| Ok((f.name().clone(), value(column, row)?)));
            Value::Object(entries.collect::<Result<Map<_, _>>>()?)
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(_, _) => list(&array.as_fixed_size_list().value(row))?,
        DataType::Map(_, _) => map(array, row)?,
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys().get(row).copied();
            let key = key.ok_or_else(|| Error::internal("a dictionary key is missing"))?;
            value(dictionary.values(), key)?
        }
        DataType::Timestamp(_, _) | DataType::Time32(_) | DataType::Time64(_) => {
            // A time that no calendar has, as one far beyond the year 262143, is told by its number.
            match text(array, row) {
                Ok(text) => Value::String(trim_fraction(&text)),
                Err(_) => value(&unscaled(array)?, row)?,
            }
        }
        _ => Value::String(text(array, row)?),
    })
}

fn float(value: f64) -> Value {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    value.into()
}

/// The shortest number that reads back as the same `f32`, rather than its `f64` neighbour.
fn float32(value: f32) -> Value {
    match value.to_string().parse() {
        Ok(short) if value.is_finite() => float(short),
        _ => float(f64::from(value)),
    }
}

fn list(values: &ArrayRef) -> Result<Value> {
    Ok(Value::Array((0..values.len()).map(|i| value(values, i)).collect::<Result<_>>()?))
}

fn map(array: &ArrayRef, row: usize) -> Result<Value> {
    let entries = array.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    let mut object = Map::new();
    for i in 0..entries.len() {
        let key = match value(keys, i)? {
            Value::String(key) => key,
            other => other.to_string(),
        };
        object.insert(key, value(values, i)?);
    }
    Ok(Value::Object(object))
}

/// Leaves out trailing zeros of a fraction of seconds.
fn trim_fraction(text: &str) -> String {
    let Some(dot) = text.find('.') else { return text.to_string() };
    let digits = text[dot + 1..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |n| dot + 1 + n);
    let fraction = text[dot + 1..digits].trim_end_matches('0');
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    format!("{}{fraction}{}", &text[..dot], &text[digits..])
}

/// The numbers that a time type counts.
fn unscaled(array: &ArrayRef) -> Result<ArrayRef> {
    let narrow = matches!(array.data_type(), DataType::Time32(_));
    Ok(cast(array, if narrow { &DataType::Int32 } else { &DataType::Int64 })?)
}

fn text(array: &ArrayRef, row: usize) -> Result<String> {
    let formatter = ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default())?;
    Ok(formatter.value(row).try_to_string()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        Decimal128Array, Float32Array, Float64Array, StringArray, StructArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::{Field, Schema};
    use std::sync::Arc;

    fn values(array: impl Array + 'static) -> Vec<Value> {
        let array: ArrayRef = Arc::new(array);
        (0..array.len()).map(|row| value(&array, row).unwrap()).collect()
    }

    #[test]
    fn timestamps_have_the_digits_they_need() {
        let times = TimestampMicrosecondArray::from(vec![Some(15_000_000), Some(1_500_000), None]);
        let naive: Vec<Value> =
            vec!["1970-01-01T00:00:15".into(), "1970-01-01T00:00:01.5".into(), Value::Null];
        assert_eq!(values(times.clone()), naive);
        let zoned: Vec<Value> =
            vec!["1970-01-01T00:00:15Z".into(), "1970-01-01T00:00:01.5Z".into(), Value::Null];
        assert_eq!(values(times.with_timezone("UTC")), zoned);
    }

    #[test]
    fn numbers_keep_their_meaning() {
        let floats = Float64Array::from(vec![1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        let expected: Vec<Value> = vec![1.5.into(), "NaN".into(), "Infinity".into(), "-Infinity".into()];
        assert_eq!(values(floats), expected);
        assert_eq!(values(Float32Array::from(vec![0.1])), [Value::from(0.1)]);
        let decimal = Decimal128Array::from(vec![12345]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(values(decimal), [Value::from("123.45")]);
    }

    #[test]
    fn structs_are_objects() {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["ä"]));
        let array = StructArray::from(vec![(Arc::new(Field::new("name", DataType::Utf8, true)), column)]);
        assert_eq!(values(array), [serde_json::json!({"name": "ä"})]);
    }

    #[test]
    fn rows_sort_by_value_and_null_first() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let column: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![Some(10), None, Some(9)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
        let sorted = rows(&sorted(&schema, &[batch]).unwrap()).unwrap();
        assert_eq!(Value::Array(sorted), serde_json::json!([[null], [9], [10]]));
    }
}
