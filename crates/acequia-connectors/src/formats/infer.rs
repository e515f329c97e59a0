//! Which columns a file has, from its first records.
//!
//! Every column may be NULL, whatever the sample says. A time found in CSV becomes one of microseconds, since the
//! records after the sample may be finer than those in it; a column that is NULL in the whole sample becomes text.

use super::framing::{Framing, RecordReader};
use super::rows::csv_format;
use super::{Cut, RowFormat};
use acequia_core::{Error, Result};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::io::Read;
use std::sync::Arc;

/// Records that are looked at.
const SAMPLE_RECORDS: usize = 1000;

/// The columns of records.
///
/// # Errors
/// `Data` when the sample is malformed, `Invalid` when it is empty.
pub(crate) fn infer(format: &RowFormat, input: Box<dyn Read + Send>) -> Result<SchemaRef> {
    let sample = sample(format, input)?;
    let bad =
        |e: arrow::error::ArrowError| Error::data(format!("columns cannot be inferred: {e}; declare them"));
    let schema = match format {
        RowFormat::Text => Schema::new(vec![Field::new("value", DataType::Utf8, true)]),
        RowFormat::Json => arrow::json::reader::infer_json_schema(&sample[..], None).map_err(bad)?.0,
        RowFormat::Csv(options) => {
            let format = csv_format(options).with_header(options.header);
            format.infer_schema(&sample[..], None).map_err(bad)?.0
        }
    };
    if schema.fields().is_empty() {
        return Err(Error::invalid("columns cannot be inferred from a file without records; declare them"));
    }
    Ok(relaxed(&schema))
}

/// The same columns, each of them nullable and of a type that later records will fit.
pub(crate) fn relaxed(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(relaxed_field).collect::<Vec<_>>()))
}

fn relaxed_field(field: &Arc<Field>) -> Arc<Field> {
    Arc::new(Field::new(field.name(), relaxed_type(field.data_type()), true))
}

fn relaxed_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        DataType::List(item) => DataType::List(relaxed_field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(relaxed_field).collect()),
        other => other.clone(),
    }
}

fn sample(format: &RowFormat, input: Box<dyn Read + Send>) -> Result<Vec<u8>> {
    let mut reader = RecordReader::new(input, Framing::of(format), Cut::default());
    let block = reader.next_block(SAMPLE_RECORDS)?.unwrap_or_default();
    Ok(block.records.iter().flat_map(|r| block.bytes[r.clone()].iter().copied()).collect())
}
