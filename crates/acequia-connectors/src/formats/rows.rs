//! Decodes blocks of records with Arrow's decoders, and finds the record that is malformed.
//!
//! A block is decoded at once. When that fails it is halved, and so on, so that one malformed record costs a few
//! decodings more and names its line, or is left out and counted. Every record must give exactly one row by itself:
//! which rows there are never depends on how records were grouped into blocks.

use super::framing::Block;
use super::{CsvOptions, OnError, RowFormat, malformed};
use crate::sources::columns::{cast_strictly, new_batch};
use acequia_core::{Error, ErrorKind, Result};
use arrow::array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::compute::can_cast_types;
use arrow::csv::ReaderBuilder as CsvBuilder;
use arrow::csv::reader::Format as CsvFormat;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::json::ReaderBuilder as JsonBuilder;
use std::ops::Range;
use std::sync::Arc;

/// What a block gave.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// Rows, and the records that they are.
    pub(crate) batches: Vec<(Range<usize>, RecordBatch)>,
    pub(crate) skipped: usize,
}

/// Decodes records into some columns.
#[derive(Debug)]
pub(crate) struct RowDecoder {
    kind: Kind,
    schema: SchemaRef,
}

#[derive(Debug)]
enum Kind {
    Json,
    Text,
    Csv(Box<CsvColumns>),
}

/// Where the wanted columns are in a CSV record.
#[derive(Debug)]
struct CsvColumns {
    options: CsvOptions,
    null: Option<regex::Regex>,
    /// Every field of a record; those that are not wanted as text.
    fields: SchemaRef,
    /// The field of each wanted column; `None` for one that the header does not have.
    places: Vec<Option<usize>>,
}

impl RowDecoder {
    /// A decoder for the `wanted` ones of the stream's columns. CSV columns are found by the header's names, or by
    /// their position among the stream's columns when there is no header.
    ///
    /// # Errors
    /// `Unsupported` for a type that the format cannot hold; `Data` for a header that names a column twice.
    pub(crate) fn new(
        format: &RowFormat,
        columns: &SchemaRef,
        wanted: &[usize],
        header: Option<&[String]>,
    ) -> Result<Self> {
        let schema = Arc::new(columns.project(wanted)?);
        let kind = match format {
            RowFormat::Json => Kind::Json,
            RowFormat::Text => Kind::Text,
            RowFormat::Csv(options) => {
                Kind::Csv(Box::new(CsvColumns::new(options, columns, wanted, header)?))
            }
        };
        Ok(Self { kind, schema })
    }

    /// Checks that the format can hold columns of these types.
    ///
    /// # Errors
    /// `Unsupported` naming the column.
    pub(crate) fn check(format: &RowFormat, columns: &SchemaRef) -> Result<()> {
        if *format == RowFormat::Text && columns.fields().len() != 1 {
            return Err(Error::invalid(format!(
                "format `text` has one column, of text: columns={}",
                columns.fields().len()
            )));
        }
        columns.fields().iter().try_for_each(|field| check_type(format, field))
    }

    /// Decodes a block, `place` naming where it comes from.
    ///
    /// # Errors
    /// `Data` naming place, line and reason of the first malformed record, unless such records are skipped.
    pub(crate) fn decode(&self, block: &Block, on_error: OnError, place: &str) -> Result<Decoded> {
        let mut decoded = Decoded::default();
        self.decode_range(block, 0..block.records.len(), on_error, place, &mut decoded)?;
        Ok(decoded)
    }

    fn decode_range(
        &self,
        block: &Block,
        records: Range<usize>,
        on_error: OnError,
        place: &str,
        out: &mut Decoded,
    ) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        match self.decode_all(block, records.clone()) {
            Ok(batch) => out.batches.push((records, batch)),
            Err(e) if e.kind() == ErrorKind::Internal => return Err(e),
            Err(e) if records.len() == 1 => match on_error {
                OnError::Skip => out.skipped += 1,
                OnError::Fail => return Err(malformed(place, block.line_of(records.start), e.message())),
            },
            Err(_) => {
                let middle = records.start + records.len() / 2;
                self.decode_range(block, records.start..middle, on_error, place, out)?;
                self.decode_range(block, middle..records.end, on_error, place, out)?;
            }
        }
        Ok(())
    }

    /// One row per record, or an error.
    fn decode_all(&self, block: &Block, records: Range<usize>) -> Result<RecordBatch> {
        match &self.kind {
            Kind::Json => self.json(block, records),
            Kind::Text => self.text(block, records),
            Kind::Csv(csv) => self.csv(csv, block, records),
        }
    }

    fn json(&self, block: &Block, records: Range<usize>) -> Result<RecordBatch> {
        let count = records.len();
        let builder = JsonBuilder::new(Arc::clone(&self.schema)).with_batch_size(count + 1);
        let mut decoder = builder.build_decoder().map_err(data)?;
        for (rows, index) in records.enumerate() {
            let record = block.record(index);
            let whole = decoder.decode(record).map_err(data)? == record.len();
            if !whole || decoder.has_partial_record() || decoder.len() != rows + 1 {
                return Err(Error::data("not exactly one JSON object on the line"));
            }
        }
        exactly(count, decoder.flush().map_err(data)?)
    }

    fn text(&self, block: &Block, records: Range<usize>) -> Result<RecordBatch> {
        let count = records.len();
        let line = |index| {
            let record = block.record(index);
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            std::str::from_utf8(record.strip_suffix(b"\r").unwrap_or(record))
        };
        let lines: Vec<&str> = records
            .map(line)
            .collect::<Result<_, _>>()
            .map_err(|e| Error::data(format!("not UTF-8: {e}")))?;
        let lines: ArrayRef = Arc::new(StringArray::from_iter_values(lines));
        let columns = self.schema.fields().iter().map(|field| cast_strictly(&lines, field.data_type()));
        new_batch(&self.schema, columns.collect::<Result<_>>()?, count)
    }

    fn csv(&self, csv: &CsvColumns, block: &Block, records: Range<usize>) -> Result<RecordBatch> {
        let count = records.len();
        let mut decoder = csv.decoder(count);
        // A decoder takes a byte order mark off the first bytes that it sees; these are none of the file's.
        decoder.decode(b"\n").map_err(data)?;
        let end = block.records[records.end - 1].end;
        let mut bytes = &block.bytes[block.records[records.start].start..end];
        while !bytes.is_empty() {
            let read = decoder.decode(bytes).map_err(data)?;
            if read == 0 {
                break;
            }
            bytes = &bytes[read..];
        }
        let found = exactly(count, decoder.flush().map_err(data)?)?;
        let mut found = found.columns().iter();
        let columns = csv.places.iter().zip(self.schema.fields()).map(|(place, field)| match place {
            Some(_) => found.next().cloned().ok_or_else(|| Error::internal("a CSV column is missing")),
            None => Ok(new_null_array(field.data_type(), count)),
        });
        new_batch(&self.schema, columns.collect::<Result<_>>()?, count)
    }
}

/// How Arrow is told what CSV looks like.
pub(crate) fn csv_format(options: &CsvOptions) -> CsvFormat {
    let format = CsvFormat::default().with_delimiter(options.delimiter).with_quote(options.quote);
    match options.escape {
        Some(escape) => format.with_escape(escape),
        None => format,
    }
}

/// The names in a CSV header, which is the first record of a block.
pub(crate) fn csv_header(options: &CsvOptions, block: &Block) -> Result<Vec<String>> {
    let format = csv_format(options).with_header(true);
    let (names, _) = format.infer_schema(block.record(0), Some(0)).map_err(data)?;
    Ok(names.fields().iter().map(|f| f.name().clone()).collect())
}

impl CsvColumns {
    fn new(
        options: &CsvOptions,
        columns: &SchemaRef,
        wanted: &[usize],
        header: Option<&[String]>,
    ) -> Result<Self> {
        let Some(header) = header else {
            let places = wanted.iter().map(|c| Some(*c)).collect();
            return Self::with(options, Arc::clone(columns), places);
        };
        let places = wanted.iter().map(|c| find_once(header, columns.field(*c).name()));
        let places = places.collect::<Result<Vec<_>>>()?;
        let field = |(place, name): (usize, &String)| -> FieldRef {
            match places.iter().position(|p| *p == Some(place)) {
                Some(i) => Arc::clone(&columns.fields()[wanted[i]]),
                None => Arc::new(Field::new(name, DataType::Utf8, true)),
            }
        };
        let fields: Vec<_> = header.iter().enumerate().map(field).collect();
        Self::with(options, Arc::new(Schema::new(fields)), places)
    }

    fn with(options: &CsvOptions, fields: SchemaRef, places: Vec<Option<usize>>) -> Result<Self> {
        let null =
            options.null_value.as_ref().map(|v| regex::Regex::new(&format!("^(?:{})$", regex::escape(v))));
        let null = null.transpose().map_err(|e| Error::internal(format!("null value: {e}")))?;
        Ok(Self { options: options.clone(), null, fields, places })
    }

    fn decoder(&self, rows: usize) -> arrow::csv::reader::Decoder {
        let format = csv_format(&self.options);
        let format = match &self.null {
            Some(null) => format.with_null_regex(null.clone()),
            None => format,
        };
        CsvBuilder::new(Arc::clone(&self.fields))
            .with_format(format)
            .with_projection(self.places.iter().copied().flatten().collect())
            .with_batch_size(rows + 1)
            .build_decoder()
    }
}

fn find_once(header: &[String], name: &str) -> Result<Option<usize>> {
    let mut places = header.iter().enumerate().filter(|(_, n)| *n == name).map(|(i, _)| i);
    match (places.next(), places.next()) {
        (_, Some(_)) => Err(Error::data(format!("header names a column twice: column=`{name}`"))),
        (place, None) => Ok(place),
    }
}

fn exactly(count: usize, batch: Option<RecordBatch>) -> Result<RecordBatch> {
    let rows = batch.as_ref().map_or(0, RecordBatch::num_rows);
    batch.filter(|_| rows == count).ok_or_else(|| Error::data(format!("{rows} rows in {count} records")))
}

/// Whatever Arrow says about a record, it is the record that is wrong.
fn data(error: arrow::error::ArrowError) -> Error {
    let text = error.to_string();
    Error::data(text.split_once(" error: ").map_or(text.clone(), |(_, reason)| reason.to_string()))
}

fn check_type(format: &RowFormat, field: &FieldRef) -> Result<()> {
    let nullable = Arc::new(Schema::new(vec![field.as_ref().clone().with_nullable(true)]));
    let known = match format {
        RowFormat::Text => can_cast_types(&DataType::Utf8, field.data_type()) && is_text(field.data_type()),
        RowFormat::Json => JsonBuilder::new(nullable).build_decoder().is_ok(),
        // Types are looked at only when a value is decoded.
        RowFormat::Csv(_) => {
            let mut decoder = CsvBuilder::new(nullable).with_batch_size(1).build_decoder();
            decoder.decode(b"\"\"\n").is_ok() && decoder.flush().is_ok()
        }
    };
    if known {
        return Ok(());
    }
    let name = match format {
        RowFormat::Json => "json",
        RowFormat::Csv(_) => "csv",
        RowFormat::Text => "text",
    };
    Err(Error::unsupported(format!(
        "format `{name}` cannot give a column of this type: column=`{}` type=`{}`",
        field.name(),
        field.data_type()
    )))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}
