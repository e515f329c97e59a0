//! CSV after RFC 4180, with NULL kept apart from the empty text: NULL is nothing, the empty text is `""`.
//!
//! Written here, as Arrow's writer makes NULL and the empty text alike and a row of one NULL an empty line, which
//! readers skip: such a row is written as `""`. Values of lists, structs and maps have no CSV form.

use super::options::FormatOptions;
use acequia_core::{Error, Result};
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions as DisplayOptions};
use std::fmt::Write as _;
use std::io::Write;

pub(super) const NESTED: &str = "csv has no nested values; select the fields one by one, unnest the list, or use \
     format = 'json' or 'parquet'";

const DISPLAY: DisplayOptions<'static> = DisplayOptions::new();

/// Writes rows as CSV.
pub(super) struct CsvEncoder<W> {
    out: W,
    delimiter: char,
    line: String,
    value: String,
}

impl<W: Write> CsvEncoder<W> {
    pub(super) fn new(options: &FormatOptions, schema: &SchemaRef, mut out: W) -> Result<Self> {
        out.write_all(&head_line(options, schema)?)?;
        Ok(Self { out, delimiter: options.delimiter, line: String::new(), value: String::new() })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let columns = rows.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &DISPLAY));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows.num_rows() {
            self.line.clear();
            for (number, (column, array)) in columns.iter().zip(rows.columns()).enumerate() {
                if number > 0 {
                    self.line.push(self.delimiter);
                }
                if array.is_null(row) {
                    continue;
                }
                self.value.clear();
                column.value(row).write(&mut self.value)?;
                push_value(&mut self.line, &self.value, self.delimiter);
            }
            if self.line.is_empty() {
                self.line.push_str("\"\"");
            }
            self.line.push('\n');
            self.out.write_all(self.line.as_bytes())?;
        }
        Ok(())
    }

    pub(super) fn get_ref(&self) -> &W {
        &self.out
    }

    pub(super) fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }
}

/// What a file begins with: the names of the columns, or nothing.
pub(super) fn head_line(options: &FormatOptions, schema: &Schema) -> Result<Vec<u8>> {
    if !options.header {
        return Ok(vec![]);
    }
    let mut line = String::new();
    for (number, field) in schema.fields().iter().enumerate() {
        if number > 0 {
            line.push(options.delimiter);
        }
        push_value(&mut line, field.name(), options.delimiter);
    }
    writeln!(line).map_err(|e| Error::internal(e.to_string()))?;
    Ok(line.into_bytes())
}

fn push_value(line: &mut String, value: &str, delimiter: char) {
    let special = |c| c == delimiter || matches!(c, '"' | '\n' | '\r');
    if !value.is_empty() && !value.contains(special) {
        return line.push_str(value);
    }
    line.push('"');
    line.push_str(&value.replace('"', "\"\""));
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::options::{Compression, Format};
    use super::*;
    use arrow::array::{Int64Array, StringArray, TimestampMillisecondArray};
    use std::sync::Arc;

    fn encode(rows: &RecordBatch, header: bool, delimiter: char) -> String {
        let options =
            FormatOptions { format: Format::Csv, compression: Compression::None, header, delimiter };
        let mut encoder = CsvEncoder::new(&options, &rows.schema(), Vec::new()).unwrap();
        encoder.write(rows).unwrap();
        String::from_utf8(encoder.out).unwrap()
    }

    #[test]
    fn null_empty_quotes_and_line_ends_are_kept_apart() {
        let rows = RecordBatch::try_from_iter(vec![
            (
                "a,b",
                Arc::new(StringArray::from(vec![None, Some(""), Some("x\n\"y\""), Some(" s"), Some("1;2")]))
                    as _,
            ),
            (
                "t",
                Arc::new(TimestampMillisecondArray::from(vec![Some(0), None, Some(1), Some(2), Some(3)]))
                    as _,
            ),
        ])
        .unwrap();
        assert_eq!(
            encode(&rows, true, ','),
            "\"a,b\",t\n,1970-01-01T00:00:00\n\"\",\n\"x\n\"\"y\"\"\",1970-01-01T00:00:00.001\n\
             \x20s,1970-01-01T00:00:00.002\n1;2,1970-01-01T00:00:00.003\n"
        );
        assert!(encode(&rows, false, ';').ends_with("\"1;2\";1970-01-01T00:00:00.003\n"));
    }

    #[test]
    fn row_of_one_null_is_no_empty_line() {
        let rows =
            RecordBatch::try_from_iter(vec![("n", Arc::new(Int64Array::from(vec![None, Some(1)])) as _)]);
        assert_eq!(encode(&rows.unwrap(), false, ','), "\"\"\n1\n");
    }
}
