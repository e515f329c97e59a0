//! Rows as a text table: what the console sink prints and what a REPL shows a result as.
//!
//! Numbers stand right, all else left. Widths are those of the terminal, so that wide characters keep the lines
//! straight. Characters that would break the table (line ends, tabs, other controls) are shown escaped. A cell wider
//! than the limit is cut and ends in `...`.

use acequia_core::{Result, SinkBatch};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::fmt::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_display_error(true)
    .with_null("NULL")
    .with_datetime_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"));

/// How much of the rows a table shows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Layout {
    /// At most so many rows.
    pub(crate) limit: Option<usize>,
    /// At most so many terminal columns per cell.
    pub(crate) truncate: Option<usize>,
}

/// Rows as a text table, ending in a line end, with a closing line when not all rows are shown.
///
/// `limit` is the number of rows shown, `truncate` the widest cell in terminal columns; `None` shows all.
///
/// # Errors
/// `Internal` for a type that cannot be shown.
pub fn format_table(
    schema: &Schema,
    batches: &[RecordBatch],
    limit: Option<usize>,
    truncate: Option<usize>,
) -> Result<String> {
    let mut table = Table::new(schema, false, Layout { limit, truncate });
    for batch in batches {
        table.append(batch, None)?;
    }
    Ok(table.render())
}

/// As [`format_table`] for the parts of a batch; when there are deletes, a first column `op` marks them.
pub(crate) fn format_parts(schema: &Schema, parts: &[SinkBatch], layout: Layout) -> Result<String> {
    let marked = parts.iter().any(|p| p.deletes.as_ref().is_some_and(|d| d.num_rows() > 0));
    let mut table = Table::new(schema, marked, layout);
    for part in parts {
        table.append(&part.rows, marked.then_some(""))?;
    }
    for deletes in parts.iter().filter_map(|p| p.deletes.as_ref()) {
        table.append(deletes, Some("-D"))?;
    }
    Ok(table.render())
}

struct Table {
    layout: Layout,
    right: Vec<bool>,
    lines: Vec<Vec<String>>,
    hidden: usize,
}

impl Table {
    fn new(schema: &Schema, marked: bool, layout: Layout) -> Self {
        let mut head: Vec<String> = marked.then(|| "op".to_string()).into_iter().collect();
        let mut right = vec![false; head.len()];
        for field in schema.fields() {
            head.push(cell(field.name(), layout.truncate));
            right.push(stands_right(field.data_type()));
        }
        Self { layout, right, lines: vec![head], hidden: 0 }
    }

    fn append(&mut self, batch: &RecordBatch, mark: Option<&str>) -> Result<()> {
        let room = self.layout.limit.map_or(usize::MAX, |limit| limit.saturating_sub(self.lines.len() - 1));
        let shown = room.min(batch.num_rows());
        self.hidden += batch.num_rows() - shown;
        let columns = batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &OPTIONS));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..shown {
            let cells = columns.iter().map(|c| cell(&c.value(row).to_string(), self.layout.truncate));
            self.lines.push(mark.map(str::to_string).into_iter().chain(cells).collect());
        }
        Ok(())
    }

    fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.right.len())
            .map(|column| self.lines.iter().map(|line| line[column].width()).max().unwrap_or(0))
            .collect();
        let rule = widths.iter().fold(String::from("+"), |rule, w| rule + &"-".repeat(w + 2) + "+") + "\n";
        let mut out = rule.clone();
        for (number, line) in self.lines.iter().enumerate() {
            self.render_line(line, &widths, &mut out);
            if number == 0 {
                out.push_str(&rule);
            }
        }
        out.push_str(&rule);
        if self.hidden > 0 {
            let shown = self.lines.len() - 1;
            let rows = if shown == 1 { "row" } else { "rows" };
            // Writing to a string cannot fail.
            let _ = writeln!(out, "only showing top {shown} {rows}");
        }
        out
    }

    fn render_line(&self, line: &[String], widths: &[usize], out: &mut String) {
        out.push('|');
        for ((cell, width), right) in line.iter().zip(widths).zip(&self.right) {
            let padding = " ".repeat(width - cell.width());
            let (before, after) = if *right { (padding.as_str(), "") } else { ("", padding.as_str()) };
            let _ = write!(out, " {before}{cell}{after} |");
        }
        out.push('\n');
    }
}

fn stands_right(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => stands_right(value),
        other => other.is_numeric(),
    }
}

/// The text of a cell: controls escaped, cut to the limit.
fn cell(text: &str, truncate: Option<usize>) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { escaped.extend(c.escape_default()) } else { escaped.push(c) }
    }
    let Some(limit) = truncate.filter(|limit| escaped.width() > *limit) else { return escaped };
    // As in Spark: below four columns there is no room for the dots.
    let dots = if limit < 4 { "" } else { "..." };
    let mut cut = String::new();
    for c in escaped.chars() {
        if cut.width() + c.width().unwrap_or(0) > limit - dots.len() {
            break;
        }
        cut.push(c);
    }
    cut + dots
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::*;
    use arrow::datatypes::{Field, Int32Type, TimeUnit, TimestampMicrosecondType};
    use std::sync::Arc;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
    }

    fn table(batch: &RecordBatch, limit: Option<usize>, truncate: Option<usize>) -> String {
        format_table(&batch.schema(), std::slice::from_ref(batch), limit, truncate).unwrap()
    }

    #[test]
    fn null_unicode_and_controls_keep_the_lines_straight() {
        let rows = batch(vec![
            ("wörd", Arc::new(StringArray::from(vec![Some("日本"), None, Some("a\nb\t"), Some("é")]))),
            ("n", Arc::new(Int64Array::from(vec![Some(1), Some(-200), None, Some(3)]))),
        ]);
        assert_eq!(
            table(&rows, None, None),
            "\
+--------+------+
| wörd   |    n |
+--------+------+
| 日本   |    1 |
| NULL   | -200 |
| a\\nb\\t | NULL |
| é      |    3 |
+--------+------+
"
        );
    }

    #[test]
    fn timestamps_lists_and_structs_are_readable() {
        let times = PrimitiveArray::<TimestampMicrosecondType>::from(vec![0, 1_500_000]);
        let zoned = times.clone().with_timezone("+01:00");
        assert_eq!(zoned.data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("+01:00".into())));
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None]);
        let inner: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
        let structs = StructArray::from(vec![(Arc::new(Field::new("a", DataType::Utf8, true)), inner)]);
        let rows = batch(vec![
            ("ts", Arc::new(times)),
            ("tz", Arc::new(zoned)),
            ("l", Arc::new(list)),
            ("s", Arc::new(structs)),
        ]);
        assert_eq!(
            table(&rows, None, None),
            "\
+-------------------------+-------------------------------+-----------+--------+
| ts                      | tz                            | l         | s      |
+-------------------------+-------------------------------+-----------+--------+
| 1970-01-01 00:00:00     | 1970-01-01 01:00:00+01:00     | [1, NULL] | {a: x} |
| 1970-01-01 00:00:01.500 | 1970-01-01 01:00:01.500+01:00 | NULL      | {a: y} |
+-------------------------+-------------------------------+-----------+--------+
"
        );
    }

    #[test]
    fn long_cells_are_cut_and_hidden_rows_are_told() {
        let rows = batch(vec![("w", Arc::new(StringArray::from(vec!["abcdefgh", "日本語日本語", "x"])))]);
        assert_eq!(
            table(&rows, Some(2), Some(6)),
            "\
+--------+
| w      |
+--------+
| abc... |
| 日...  |
+--------+
only showing top 2 rows
"
        );
        assert!(table(&rows, Some(1), Some(3)).contains("| abc |\n+-----+\nonly showing top 1 row\n"));
        assert!(table(&rows, Some(3), None).ends_with("+\n"));
    }

    #[test]
    fn deletes_are_marked() {
        let rows = batch(vec![("k", Arc::new(Int64Array::from(vec![1])))]);
        let part = SinkBatch { rows: rows.clone(), deletes: Some(rows.clone()) };
        let text = format_parts(&rows.schema(), &[part], Layout::default()).unwrap();
        assert_eq!(text, "+----+---+\n| op | k |\n+----+---+\n|    | 1 |\n| -D | 1 |\n+----+---+\n");
    }

    #[test]
    fn no_rows_give_the_head_alone() {
        let rows = batch(vec![("k", Arc::new(Int64Array::from(Vec::<i64>::new())))]);
        assert_eq!(table(&rows, None, None), "+---+\n| k |\n+---+\n+---+\n");
    }
}
