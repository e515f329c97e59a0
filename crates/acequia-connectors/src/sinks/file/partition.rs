//! Hive's partition layout: rows into `key=value/` directories.
//!
//! Names and values are percent-encoded: everything but ASCII letters, digits and a few marks that every file system
//! and every reader takes as they are. NULL is `__HIVE_DEFAULT_PARTITION__`; a text that reads so is told apart by its
//! encoded first character (to readers that compare before they decode, as DuckDB). The empty text is an empty value. Partition columns are not in the files.

use acequia_core::{Error, Result, options};
use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{CastOptions, cast_with_options, take_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::FormatOptions;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

const NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// A value that cannot be said is an error, never NULL.
const STRICT: CastOptions<'static> = CastOptions { safe: false, format_options: FormatOptions::new() };
/// File systems take no longer names.
const MAX_NAME: usize = 255;

/// Where a row goes, by its partition columns.
#[derive(Debug)]
pub(super) struct Partitioner {
    /// Index and encoded name of each partition column, in the order of the directories.
    columns: Vec<(usize, String)>,
    converter: Option<RowConverter>,
    /// Columns that stay in the files.
    kept: Vec<usize>,
    file_schema: SchemaRef,
}

impl Partitioner {
    /// Finds the partition columns in the schema of the rows; `stored` has the types that the files have.
    ///
    /// # Errors
    /// `Invalid` for a column that is not there, or when none is left for the files.
    pub(super) fn try_new(schema: &Schema, stored: &Schema, partition_by: &[String]) -> Result<Self> {
        let names = || schema.fields().iter().map(|f| f.name().as_str());
        let mut columns = vec![];
        for name in partition_by {
            let index = names().position(|n| n == name);
            let index = index.ok_or_else(|| {
                options::unknown("column in partition_by", name, names().collect::<Vec<_>>())
            })?;
            check_column(schema, index)?;
            columns.push((index, encode(name)));
        }
        let kept: Vec<_> =
            (0..schema.fields().len()).filter(|i| !columns.iter().any(|c| c.0 == *i)).collect();
        if kept.is_empty() {
            return Err(Error::invalid("partition_by names all columns; leave one for the files"));
        }
        let file_schema = Arc::new(stored.project(&kept)?);
        let fields = columns.iter().map(|c| SortField::new(schema.field(c.0).data_type().clone()));
        let converter = (!columns.is_empty()).then(|| RowConverter::new(fields.collect())).transpose()?;
        Ok(Self { columns, converter, kept, file_schema })
    }

    /// The columns of the files.
    pub(super) fn file_schema(&self) -> &SchemaRef {
        &self.file_schema
    }

    /// The rows of each directory; the empty name is the directory of the sink itself.
    ///
    /// # Errors
    /// `Invalid` for a value too long for a name.
    pub(super) fn split(&self, rows: &RecordBatch) -> Result<Vec<(String, RecordBatch)>> {
        if rows.num_rows() == 0 {
            return Ok(vec![]);
        }
        let Some(converter) = &self.converter else {
            return Ok(vec![(String::new(), self.file_rows(rows)?)]);
        };
        let values: Vec<_> = self.columns.iter().map(|c| Arc::clone(rows.column(c.0))).collect();
        let keys = converter.convert_columns(&values)?;
        let mut groups: HashMap<&[u8], usize> = HashMap::new();
        let mut members: Vec<Vec<u32>> = vec![];
        for (row, key) in keys.iter().enumerate() {
            let group = *groups.entry(key.data()).or_insert(members.len());
            if group == members.len() {
                members.push(vec![]);
            }
            let row = u32::try_from(row).map_err(|_| Error::internal("a batch of more than 2^32 rows"))?;
            members[group].push(row);
        }
        let rows = self.file_rows(rows)?;
        let split = members.into_iter().map(|members| {
            let directory = self.directory(&values, members[0] as usize)?;
            if members.len() == rows.num_rows() {
                return Ok((directory, rows.clone()));
            }
            Ok((directory, take_record_batch(&rows, &UInt32Array::from(members))?))
        });
        split.collect()
    }

    fn file_rows(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.kept.iter().zip(self.file_schema.fields()).map(|(&i, field)| {
            let column = rows.column(i);
            if column.data_type() == field.data_type() {
                return Ok(Arc::clone(column));
            }
            Ok(cast_with_options(column, field.data_type(), &STRICT)?)
        });
        Ok(RecordBatch::try_new(Arc::clone(&self.file_schema), columns.collect::<Result<_>>()?)?)
    }

    fn directory(&self, values: &[Arc<dyn Array>], row: usize) -> Result<String> {
        let mut path = String::new();
        for ((_, name), value) in self.columns.iter().zip(values) {
            let start = path.len();
            // Writing to a string cannot fail.
            let _ = match text(value.as_ref(), row)? {
                None => write!(path, "{name}={NULL}"),
                Some(text) if text == NULL => write!(path, "{name}=%5F{}", &NULL[1..]),
                Some(text) => write!(path, "{name}={}", encode(&text)),
            };
            if path.len() - start > MAX_NAME {
                return Err(Error::invalid(format!(
                    "partition value is too long for a directory name of {MAX_NAME} bytes: `{}`",
                    &path[start..]
                )));
            }
            path.push('/');
        }
        Ok(path)
    }
}

fn check_column(schema: &Schema, index: usize) -> Result<()> {
    let (name, data_type) = (schema.field(index).name(), schema.field(index).data_type());
    if name.starts_with(['_', '.']) || name.is_empty() {
        return Err(Error::invalid(format!(
            "partition column begins with a character that makes readers skip its directories: `{name}`; \
             give it another name with AS"
        )));
    }
    if data_type.is_nested() || !arrow::compute::can_cast_types(data_type, &DataType::Utf8) {
        return Err(Error::unsupported(format!(
            "partition column has a type that makes no directory names: `{name}` of type {data_type}; \
             cast it to VARCHAR"
        )));
    }
    Ok(())
}

fn text(value: &dyn Array, row: usize) -> Result<Option<String>> {
    let text = cast_with_options(&value.slice(row, 1), &DataType::Utf8, &STRICT)?;
    Ok(text.is_valid(0).then(|| text.as_string::<i32>().value(0).to_string()))
}

/// Percent-encodes all that is not safe in a path on every file system.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b',' | b'@' => {
                out.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            other => drop(write!(out, "%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Date32Array, Float64Array, Int64Array, StringArray};

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
    }

    #[test]
    fn values_of_every_kind_make_safe_and_distinct_directories() {
        let values = vec![
            Some("plain"),
            None,
            Some(""),
            Some("a/b"),
            Some("x=y"),
            Some("é ü"),
            Some(".."),
            Some("50%"),
            Some(NULL),
            Some("null"),
        ];
        let rows = batch(vec![
            ("id", Arc::new(Int64Array::from_iter_values(0..10)) as _),
            ("a b", Arc::new(StringArray::from(values)) as _),
        ]);
        let split = Partitioner::try_new(&rows.schema(), &rows.schema(), &["a b".into()])
            .unwrap()
            .split(&rows)
            .unwrap();
        let names: Vec<_> = split.iter().map(|s| s.0.as_str()).collect();
        assert_eq!(
            names,
            [
                "a%20b=plain/",
                "a%20b=__HIVE_DEFAULT_PARTITION__/",
                "a%20b=/",
                "a%20b=a%2Fb/",
                "a%20b=x%3Dy/",
                "a%20b=%C3%A9%20%C3%BC/",
                "a%20b=../",
                "a%20b=50%25/",
                "a%20b=%5F_HIVE_DEFAULT_PARTITION__/",
                "a%20b=null/",
            ]
        );
        assert!(split.iter().all(|(_, rows)| rows.num_rows() == 1 && rows.num_columns() == 1));
    }

    #[test]
    fn several_columns_nest_in_the_order_given_and_rows_keep_theirs() {
        let rows = batch(vec![
            ("d", Arc::new(Date32Array::from(vec![0, 1, 0, 0])) as _),
            ("id", Arc::new(Int64Array::from_iter_values(0..4)) as _),
            ("k", Arc::new(Int64Array::from(vec![7, 7, 8, 7])) as _),
        ]);
        let partitioner =
            Partitioner::try_new(&rows.schema(), &rows.schema(), &["k".into(), "d".into()]).unwrap();
        let split = partitioner.split(&rows).unwrap();
        let seen: Vec<_> = split
            .iter()
            .map(|(name, rows)| {
                (
                    name.as_str(),
                    rows.column(0).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("k=7/d=1970-01-01/", vec![0, 3]),
                ("k=7/d=1970-01-02/", vec![1]),
                ("k=8/d=1970-01-01/", vec![2])
            ]
        );
    }

    #[test]
    fn what_makes_no_directory_is_refused() {
        let rows = batch(vec![
            ("id", Arc::new(Int64Array::from(vec![1])) as _),
            ("_p", Arc::new(Float64Array::from(vec![1.5])) as _),
            ("long", Arc::new(StringArray::from(vec!["é".repeat(100)])) as _),
        ]);
        let refused = |by: &[&str]| {
            let by: Vec<_> = by.iter().map(|s| s.to_string()).collect();
            Partitioner::try_new(&rows.schema(), &rows.schema(), &by)
                .and_then(|p| p.split(&rows))
                .unwrap_err()
                .to_string()
        };
        assert!(refused(&["_p"]).contains("`_p`"));
        assert!(refused(&["i"]).contains("did you mean `id`?"));
        assert!(refused(&["long"]).contains("too long"));
    }
}
