//! Rows as people like to read them.

use acequia::{Result, TableLayout};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use terminal_size::{Width, terminal_size_of};

/// Rows as a table no wider than the terminal; the text of a statement or plan as it is.
///
/// # Errors
/// `Internal` for a type that cannot be shown.
pub(crate) fn rows(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<String> {
    if let [field] = &schema.fields()[..]
        && matches!(field.name().as_str(), "statement" | "plan")
    {
        let columns = batches.iter().filter_map(|batch| batch.column(0).as_string_opt::<i32>());
        return Ok(columns.flatten().map(|text| format!("{}\n", text.unwrap_or_default())).collect());
    }
    acequia::format_table(schema, batches, TableLayout { width: terminal_width(), ..TableLayout::default() })
}

/// Terminal columns of standard output; `None` where it is no terminal, and lines may be of any width.
pub(crate) fn terminal_width() -> Option<usize> {
    terminal_size_of(std::io::stdout()).map(|(Width(columns), _)| usize::from(columns))
}

/// Says that what a query keeps has no bound.
pub(crate) fn growing_state(query: &str, why: &[String]) -> String {
    format!("note: the state of query `{query}` only grows: {}", why.join("; "))
}
