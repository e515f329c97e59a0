//! Streams of changes: records that say which rows come and which go.
//!
//! | stream | a record |
//! |---|---|
//! | `op_column = 'op'` | a row; the column says `+I`, `+U` (it comes) or `-U`, `-D` (it goes), as `EMIT CHANGES` writes it |
//! | `format = 'debezium_json'` | Debezium's envelope, bare or in `payload`: `before`, `after`, and `op` `c r u d` |
//!
//! SQL sees the rows without what says so. A row that goes must be there, equal in all columns: Debezium must be told to
//! give the whole row `before` a change (in PostgreSQL: `REPLICA IDENTITY FULL`).

use acequia_core::{Error, Options, Result};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::{cast, interleave};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use std::sync::Arc;

/// How a stream says which rows come and go.
#[derive(Debug, Clone)]
pub struct Changelog {
    kind: Kind,
    rows: SchemaRef,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// This column of a record.
    OpColumn(usize),
    Debezium,
}

impl Changelog {
    /// What a stream's options say, and the columns of its records.
    ///
    /// # Errors
    /// `Invalid` when there is no such column, or none at all.
    pub(super) fn take(
        stream: &str,
        options: &mut Options,
        declared: Option<&SchemaRef>,
    ) -> Result<Option<(Self, SchemaRef)>> {
        let op_column = options.take("op_column")?;
        let debezium = options.peek("format").is_some_and(|format| {
            let format = format.to_ascii_lowercase();
            format == "debezium_json" || format == "debezium-json"
        });
        if op_column.is_none() && !debezium {
            return Ok(None);
        }
        let Some(declared) = declared else {
            return Err(Error::invalid(format!(
                "a stream of changes needs its columns declared: stream=`{stream}`"
            )));
        };
        if debezium {
            if op_column.is_some() {
                return Err(Error::invalid(
                    "op_column is for records that are rows, and those of debezium_json say it themselves; leave it out",
                ));
            }
            options.take("format")?;
            options.insert("format", "json")?;
            return Ok(Some((Self { kind: Kind::Debezium, rows: Arc::clone(declared) }, envelope(declared))));
        }
        let name = op_column.unwrap_or_default();
        let Some((column, field)) = declared.column_with_name(&name) else {
            let columns: Vec<&str> = declared.fields().iter().map(|field| field.name().as_str()).collect();
            return Err(acequia_core::options::unknown(
                &format!("column of stream `{stream}`"),
                &name,
                columns,
            ));
        };
        if !matches!(field.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8) {
            return Err(Error::invalid(format!("op_column must be VARCHAR: column=`{name}`")));
        }
        let own: Vec<usize> = (0..declared.fields().len()).filter(|index| *index != column).collect();
        let rows = Arc::new(declared.project(&own)?);
        Ok(Some((Self { kind: Kind::OpColumn(column), rows }, Arc::clone(declared))))
    }

    /// The columns that SQL sees.
    pub fn rows(&self) -> &SchemaRef {
        &self.rows
    }

    /// The rows of some records, each with its weight: 1 for one that comes, -1 for one that goes.
    ///
    /// # Errors
    /// `Data` for a record that does not say it, or lacks the row.
    pub fn expand(&self, records: &RecordBatch) -> Result<(RecordBatch, Int64Array)> {
        match self.kind {
            Kind::OpColumn(column) => {
                let ops = words(records.column(column))?;
                let weights = ops.iter().map(weight).collect::<Result<Int64Array>>()?;
                let mut columns = records.columns().to_vec();
                columns.remove(column);
                Ok((batch(&self.rows, columns, records.num_rows())?, weights))
            }
            Kind::Debezium => self.expand_envelopes(records),
        }
    }

    fn expand_envelopes(&self, records: &RecordBatch) -> Result<(RecordBatch, Int64Array)> {
        let (bare, payload) = (&records.columns()[..3], records.column(3).as_struct());
        let ops = [words(&bare[2])?, words(payload.column(2))?];
        // Where a row is: which of the four structs, and its number.
        let (mut places, mut weights) = (Vec::new(), Vec::new());
        let images =
            [&bare[0], &bare[1], payload.column(0), payload.column(1)].map(|image| image.as_struct());
        for (record, ops) in ops[0].iter().zip(&ops[1]).enumerate() {
            let wrapped = usize::from(payload.is_valid(record));
            let op = [ops.0, ops.1][wrapped];
            let (before, after) = match op {
                Some("c" | "r") => (false, true),
                Some("u") => (true, true),
                Some("d") => (true, false),
                _ => return Err(unknown_op(op, "c, r, u and d")),
            };
            for (image, weight, wanted) in [(0, -1, before), (1, 1, after)] {
                if !wanted {
                    continue;
                }
                let image = 2 * wrapped + image;
                if images[image].is_null(record) {
                    return Err(no_image(op, weight));
                }
                places.push((image, record));
                weights.push(weight);
            }
        }
        let column = |column: usize| -> Result<ArrayRef> {
            let images = images.map(|image| image.column(column).as_ref());
            Ok(interleave(&images, &places)?)
        };
        let columns = (0..self.rows.fields().len()).map(column).collect::<Result<_>>()?;
        Ok((batch(&self.rows, columns, places.len())?, Int64Array::from(weights)))
    }
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|e| Error::data(format!("a change does not have the declared columns: {e}")))
}

/// The columns of Debezium's records, without and with the schema beside them.
fn envelope(declared: &SchemaRef) -> SchemaRef {
    let nullable = declared.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let image = DataType::Struct(nullable.collect::<Fields>());
    let bare = vec![
        Field::new("before", image.clone(), true),
        Field::new("after", image, true),
        Field::new("op", DataType::Utf8, true),
    ];
    let payload = Field::new("payload", DataType::Struct(bare.clone().into()), true);
    Arc::new(Schema::new([bare, vec![payload]].concat()))
}

fn words(column: &ArrayRef) -> Result<StringArray> {
    Ok(cast(column, &DataType::Utf8)?.as_string().clone())
}

fn weight(op: Option<&str>) -> Result<Option<i64>> {
    match op {
        Some("+I" | "+U") => Ok(Some(1)),
        Some("-U" | "-D") => Ok(Some(-1)),
        other => Err(unknown_op(other, "+I, +U, -U and -D")),
    }
}

fn unknown_op(op: Option<&str>, known: &str) -> Error {
    Error::data(format!(
        "a change says neither that a row comes nor that it goes: op=`{}`; ops are {known}",
        op.unwrap_or("NULL")
    ))
}

fn no_image(op: Option<&str>, weight: i64) -> Error {
    let (which, way_out) = match weight {
        1 => ("after", "the record is incomplete"),
        _ => (
            "before",
            "let the database log whole rows (in PostgreSQL: ALTER TABLE .. REPLICA IDENTITY FULL)",
        ),
    };
    Error::data(format!("a change has no row in `{which}`: op=`{}`; {way_out}", op.unwrap_or("NULL")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn struct_arrays_of_images_are_what_is_interleaved() {
        let declared: SchemaRef = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, false)]));
        let mut options = Options::new("stream `s`");
        options.insert("format", "debezium-json").unwrap();
        let (changelog, source) = Changelog::take("s", &mut options, Some(&declared)).unwrap().unwrap();
        assert_eq!(options.peek("format"), Some("json"));
        let lines = br#"{"op":"c","after":{"k":1}}
{"schema":{},"payload":{"op":"u","before":{"k":1},"after":{"k":2},"source":{}}}
{"op":"d","before":{"k":2},"after":null}"#;
        let mut decoder = arrow::json::ReaderBuilder::new(source).build_decoder().unwrap();
        decoder.decode(lines).unwrap();
        let records = decoder.flush().unwrap().unwrap();
        let (rows, weights) = changelog.expand(&records).unwrap();
        assert_eq!(rows.column(0).as_primitive::<arrow::datatypes::Int64Type>().values(), &[1, 1, 2, 2]);
        assert_eq!(weights.values(), &[1, -1, 1, -1]);
        assert_eq!(rows.schema(), declared);
    }
}
