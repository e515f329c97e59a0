//! Rows as people like to read them.

use acequia::Result;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;

/// Rows as a table; the text of a statement or plan as it is.
///
/// # Errors
/// `Internal` for a type that cannot be shown.
pub(crate) fn rows(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<String> {
    let [field] = &schema.fields()[..] else { return acequia::format_table(schema, batches, None, None) };
    if !matches!(field.name().as_str(), "statement" | "plan") {
        return acequia::format_table(schema, batches, None, None);
    }
    let columns = batches.iter().filter_map(|batch| batch.column(0).as_string_opt::<i32>());
    Ok(columns.flatten().map(|text| format!("{}\n", text.unwrap_or_default())).collect())
}
