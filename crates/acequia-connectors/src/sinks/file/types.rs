//! Which of Arrow's types a format can hold, and as what.

use super::csv;
use super::encode::Encoder;
use super::options::{Format, FormatOptions};
use acequia_core::{Error, Result};
use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

/// The schema of the files: the query's, but that Parquet has no seconds and one kind of date. Arrow would write
/// seconds as bare integers, which no other reader takes for a time.
pub(super) fn stored(format: Format, schema: &Schema) -> SchemaRef {
    match format {
        Format::Parquet => {
            Arc::new(Schema::new(schema.fields().iter().map(stored_field).collect::<Vec<_>>()))
        }
        Format::Json | Format::Csv | Format::Arrow => Arc::new(Schema::new(schema.fields().clone())),
    }
}

fn stored_field(field: &FieldRef) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(stored_type(field.data_type())))
}

fn stored_type(data_type: &DataType) -> DataType {
    use DataType as T;
    match data_type {
        T::Timestamp(TimeUnit::Second, zone) => T::Timestamp(TimeUnit::Millisecond, zone.clone()),
        T::Date64 => T::Date32,
        T::Time32(TimeUnit::Second) => T::Time32(TimeUnit::Millisecond),
        T::List(field) => T::List(stored_field(field)),
        T::LargeList(field) => T::LargeList(stored_field(field)),
        T::FixedSizeList(field, size) => T::FixedSizeList(stored_field(field), *size),
        T::Struct(fields) => T::Struct(fields.iter().map(stored_field).collect()),
        T::Map(entries, sorted) => T::Map(stored_field(entries), *sorted),
        other => other.clone(),
    }
}

/// Checks that the format takes every column, by encoding a NULL of it.
///
/// # Errors
/// `Unsupported` naming the column and its type.
pub(super) fn check(options: &FormatOptions, schema: &Schema) -> Result<()> {
    stored(options.format, schema).fields().iter().try_for_each(|field| check_column(options, field))
}

fn check_column(options: &FormatOptions, field: &FieldRef) -> Result<()> {
    let refuse = |why: &str| {
        let (format, name, kind) = (options.format, field.name(), field.data_type());
        Error::unsupported(format!("{format} cannot hold column `{name}` of type {kind}: {why}"))
    };
    if let Some(why) = refused(options.format, field.data_type()) {
        return Err(refuse(why));
    }
    let schema = Arc::new(Schema::new(vec![field.as_ref().clone().with_nullable(true)]));
    let nulls = RecordBatch::try_new(Arc::clone(&schema), vec![new_null_array(field.data_type(), 1)])?;
    let encoded = Encoder::new(options, &schema, Vec::new()).and_then(|mut encoder| {
        encoder.write(&nulls)?;
        encoder.finish()
    });
    encoded.map_err(|e| refuse(&format!("{}; cast it to VARCHAR", e.message())))
}

/// Why a type is refused before the encoder is asked, with the way out.
fn refused(format: Format, data_type: &DataType) -> Option<&'static str> {
    match format {
        Format::Csv if data_type.is_nested() => Some(csv::NESTED),
        Format::Parquet if holds_union(data_type) => Some("select the fields of the union"),
        _ => None,
    }
}

/// Arrow's Parquet writer panics on unions.
fn holds_union(data_type: &DataType) -> bool {
    use DataType as T;
    let inside = |field: &Field| holds_union(field.data_type());
    match data_type {
        T::Union(..) => true,
        T::Struct(fields) => fields.iter().any(|field| inside(field)),
        T::List(f) | T::LargeList(f) | T::ListView(f) | T::LargeListView(f) | T::FixedSizeList(f, _) => {
            inside(f)
        }
        T::Map(f, _) => inside(f),
        T::RunEndEncoded(_, f) => inside(f),
        T::Dictionary(_, value) => holds_union(value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::Compression;
    use super::*;
    use arrow::datatypes::{Fields, IntervalUnit, UnionFields, UnionMode};

    fn every_type() -> Vec<DataType> {
        use DataType as T;
        let field = |t: T| Arc::new(Field::new("f", t, true));
        let union =
            T::Union(UnionFields::from_fields(vec![Field::new("u", T::Int64, true)]), UnionMode::Sparse);
        let entries = Field::new_struct(
            "entries",
            vec![
                Field::new("keys", T::Utf8, false),
                Field::new("values", T::Timestamp(TimeUnit::Second, None), true),
            ],
            false,
        );
        let mut types = vec![
            T::Null,
            T::Boolean,
            T::Int8,
            T::Int16,
            T::Int32,
            T::Int64,
            T::UInt8,
            T::UInt16,
            T::UInt32,
            T::UInt64,
            T::Float16,
            T::Float32,
            T::Float64,
            T::Date32,
            T::Date64,
            T::Time32(TimeUnit::Second),
            T::Time32(TimeUnit::Millisecond),
            T::Time64(TimeUnit::Microsecond),
            T::Time64(TimeUnit::Nanosecond),
            T::Interval(IntervalUnit::YearMonth),
            T::Interval(IntervalUnit::DayTime),
            T::Interval(IntervalUnit::MonthDayNano),
            T::Binary,
            T::LargeBinary,
            T::BinaryView,
            T::FixedSizeBinary(3),
            T::Utf8,
            T::LargeUtf8,
            T::Utf8View,
            T::Decimal32(9, 2),
            T::Decimal64(18, 2),
            T::Decimal128(38, 10),
            T::Decimal256(76, 10),
            T::Dictionary(Box::new(T::Int32), Box::new(T::Utf8)),
            T::Map(Arc::new(entries), false),
            union.clone(),
        ];
        for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
            types.extend([
                T::Timestamp(unit, None),
                T::Timestamp(unit, Some("+02:00".into())),
                T::Duration(unit),
            ]);
        }
        for inner in [T::Timestamp(TimeUnit::Second, None), T::Utf8, union] {
            types.extend([
                T::List(field(inner.clone())),
                T::LargeList(field(inner.clone())),
                T::ListView(field(inner.clone())),
                T::FixedSizeList(field(inner.clone()), 2),
                T::Struct(Fields::from(vec![field(inner.clone())])),
                T::List(field(T::Struct(Fields::from(vec![field(inner)])))),
            ]);
        }
        types
    }

    /// The types that each format refuses; none of them may panic.
    #[test]
    fn every_type_is_taken_or_refused_by_name() {
        let mut refused = vec![];
        for format in [Format::Parquet, Format::Json, Format::Csv, Format::Arrow] {
            let options =
                FormatOptions { format, compression: Compression::None, header: true, delimiter: ',' };
            for data_type in every_type() {
                let schema = Schema::new(vec![Field::new("c", data_type.clone(), true)]);
                if let Err(error) = check(&options, &schema) {
                    assert!(error.message().contains("column `c`"), "{error}");
                    if !data_type.is_nested() {
                        refused.push(format!("{format} {data_type}"));
                    }
                }
            }
        }
        assert_eq!(refused, ["parquet Interval(MonthDayNano)"]);
    }
}
