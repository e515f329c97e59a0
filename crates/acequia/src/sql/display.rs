//! Prints streams and sinks in the core spelling, as `SHOW CREATE` does. Secrets are `****`; without any, the text
//! parses back to an equal statement.

use super::ast::{Column, ColumnKind, CreateSink, CreateStream, WatermarkClause};
use acequia_core::Options;
use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, DataType, StructBracketKind, StructField};
use std::fmt;

impl CreateStream {
    /// The statement in the core spelling.
    pub fn to_sql(&self) -> String {
        self.to_string()
    }
}

impl CreateSink {
    /// The statement in the core spelling.
    pub fn to_sql(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for CreateStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_head(f, "STREAM", self.or_replace, self.if_not_exists)?;
        write!(f, "{}", self.name)?;
        let mut elements: Vec<String> = self.columns.iter().map(Column::to_string).collect();
        elements.extend(self.watermark.as_ref().map(WatermarkClause::to_string));
        if !self.primary_key.is_empty() {
            let key: Vec<_> = self.primary_key.iter().map(ToString::to_string).collect();
            elements.push(format!("PRIMARY KEY ({}) NOT ENFORCED", key.join(", ")));
        }
        if !elements.is_empty() {
            write!(f, " (\n  {}\n)", elements.join(",\n  "))?;
        }
        write_comment(f, &self.comment)?;
        write_options(f, &self.options)
    }
}

impl fmt::Display for CreateSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_head(f, "SINK", self.or_replace, self.if_not_exists)?;
        write!(f, "{}", self.name)?;
        if self.options.is_empty() {
            return f.write_str(" WITH ()");
        }
        write_options(f, &self.options)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.name)?;
        match &self.kind {
            ColumnKind::Physical { data_type, nullable } => {
                write!(f, "{}{}", type_sql(data_type), if *nullable { "" } else { " NOT NULL" })?;
            }
            ColumnKind::Computed { expr } => write!(f, "AS {expr}")?,
            ColumnKind::Metadata { data_type, from } => {
                write!(f, "{} METADATA FROM {}", type_sql(data_type), quoted(from))?;
            }
        }
        write_comment(f, &self.comment)
    }
}

impl fmt::Display for WatermarkClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WATERMARK FOR {}", self.column)?;
        self.expr.as_ref().map_or(Ok(()), |expr| write!(f, " AS {expr}"))
    }
}

/// A type as it parses: sqlparser prints a map as `Map(k, v)`, which no dialect of ours reads.
fn type_sql(data_type: &DataType) -> String {
    match data_type {
        DataType::Map(key, value) => format!("MAP<{}, {}>", type_sql(key), type_sql(value)),
        DataType::Array(ArrayElemTypeDef::AngleBracket(element)) => format!("ARRAY<{}>", type_sql(element)),
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, None)) => format!("{}[]", type_sql(element)),
        DataType::Struct(fields, StructBracketKind::AngleBrackets) => {
            let fields: Vec<_> = fields.iter().map(field_sql).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}

fn field_sql(field: &StructField) -> String {
    match (&field.field_name, &field.options) {
        (Some(name), None) => format!("{name} {}", type_sql(&field.field_type)),
        (None, None) => type_sql(&field.field_type),
        _ => field.to_string(),
    }
}

fn write_head(f: &mut fmt::Formatter<'_>, kind: &str, or_replace: bool, if_not_exists: bool) -> fmt::Result {
    let replace = if or_replace { "OR REPLACE " } else { "" };
    let exists = if if_not_exists { "IF NOT EXISTS " } else { "" };
    write!(f, "CREATE {replace}{kind} {exists}")
}

fn write_comment(f: &mut fmt::Formatter<'_>, comment: &Option<String>) -> fmt::Result {
    comment.as_ref().map_or(Ok(()), |text| write!(f, " COMMENT {}", quoted(text)))
}

fn write_options(f: &mut fmt::Formatter<'_>, options: &Options) -> fmt::Result {
    let pairs: Vec<_> = options.redacted().map(|(k, v)| format!("{} = {}", key(k), quoted(v))).collect();
    if pairs.is_empty() {
        return Ok(());
    }
    write!(f, " WITH (\n  {}\n)", pairs.join(",\n  "))
}

/// A key bare or dotted where it can be, otherwise quoted.
fn key(key: &str) -> String {
    let part = |p: &str| {
        p.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && p.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if key.split('.').all(part) { key.to_string() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
