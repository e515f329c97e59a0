//! Rows as a text table: what the console sink prints and what a REPL shows a result as.
//!
//! Numbers stand right, all else left. Widths are those of the terminal, so that wide characters keep the lines
//! straight. Characters that would break the table (line ends, tabs, other controls) are shown escaped. A cell wider
//! than the limit is cut and ends in `...`. A table wider than its room folds its long cells into several lines; one
//! with too many columns for that is shown as records, one line per column.

use acequia_core::{Result, SinkBatch};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{CellAlignment, ContentArrangement};
use std::fmt::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_display_error(true)
    .with_null("NULL")
    .with_datetime_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
    .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"));

/// The lines of a grid, in comfy-table's notation.
const GRID: &str = "||--+-++|    ++++++";

/// A column that is folded has at least so many terminal columns for its text.
const NARROWEST_FOLD: usize = 16;

/// How rows are shown; all of them as wide as they are by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct TableLayout {
    /// At most so many rows.
    pub limit: Option<usize>,
    /// At most so many terminal columns per cell.
    pub truncate: Option<usize>,
    /// At most so many terminal columns per line, where folding can do it.
    pub width: Option<usize>,
    /// One line per column instead of a grid.
    pub records: bool,
}

/// Rows as a text table, ending in a line end, with a closing line when not all rows are shown.
///
/// # Errors
/// `Internal` for a type that cannot be shown.
pub fn format_table(schema: &Schema, batches: &[RecordBatch], layout: TableLayout) -> Result<String> {
    let mut table = Table::new(schema, false, layout);
    for batch in batches {
        table.append(batch, None)?;
    }
    Ok(table.render())
}

/// As [`format_table`] for the parts of a batch; when there are deletes, a first column `op` marks them.
pub(crate) fn format_parts(schema: &Schema, parts: &[SinkBatch], layout: TableLayout) -> Result<String> {
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
    layout: TableLayout,
    head: Vec<String>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
    hidden: usize,
}

impl Table {
    fn new(schema: &Schema, marked: bool, layout: TableLayout) -> Self {
        let mut head: Vec<String> = marked.then(|| "op".to_string()).into_iter().collect();
        let mut right = vec![false; head.len()];
        for field in schema.fields() {
            head.push(cell(field.name(), layout.truncate));
            right.push(stands_right(field.data_type()));
        }
        Self { layout, head, right, rows: vec![], hidden: 0 }
    }

    fn append(&mut self, batch: &RecordBatch, mark: Option<&str>) -> Result<()> {
        let room = self.layout.limit.map_or(usize::MAX, |limit| limit.saturating_sub(self.rows.len()));
        let shown = room.min(batch.num_rows());
        self.hidden += batch.num_rows() - shown;
        let columns = batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &OPTIONS));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..shown {
            let cells = columns.iter().map(|c| cell(&c.value(row).to_string(), self.layout.truncate));
            self.rows.push(mark.map(str::to_string).into_iter().chain(cells).collect());
        }
        Ok(())
    }

    fn render(&self) -> String {
        let mut out = match self.shape() {
            Shape::Grid(width) => self.grid(width),
            Shape::Records => self.records(),
        };
        if self.hidden > 0 {
            let shown = self.rows.len();
            let rows = if shown == 1 { "row" } else { "rows" };
            // Writing to a string cannot fail.
            let _ = writeln!(out, "only showing top {shown} {rows}");
        }
        out
    }

    /// A grid as wide as it likes, one whose long cells are folded, or records when even that is too wide.
    fn shape(&self) -> Shape {
        if self.layout.records {
            return Shape::Records;
        }
        let Some(room) = self.layout.width else { return Shape::Grid(None) };
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| lines().map(|line| line[column].width()).max().unwrap_or(0))
            .collect();
        // A cell has a space on either side and a bar on its right; the table has one bar more.
        let total = |widths: &mut dyn Iterator<Item = usize>| 1 + widths.map(|w| w + 3).sum::<usize>();
        if total(&mut widths.iter().copied()) <= room {
            return Shape::Grid(None);
        }
        let folded = total(&mut widths.iter().map(|w| (*w).min(NARROWEST_FOLD)));
        if folded <= room { Shape::Grid(Some(room)) } else { Shape::Records }
    }

    fn grid(&self, width: Option<usize>) -> String {
        let mut grid = comfy_table::Table::new();
        grid.load_preset(GRID).set_header(&self.head).add_rows(&self.rows);
        for (column, right) in grid.column_iter_mut().zip(&self.right) {
            column.set_cell_alignment(if *right { CellAlignment::Right } else { CellAlignment::Left });
        }
        if let Some(width) = width {
            grid.set_content_arrangement(ContentArrangement::Dynamic);
            grid.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        }
        grid.to_string() + "\n"
    }

    fn records(&self) -> String {
        let name_width = self.head.iter().map(|name| name.width()).max().unwrap_or(0);
        let mut out = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let title = format!("-[ row {} ]", number + 1);
            let _ = writeln!(out, "{title}{}", "-".repeat((name_width + 20).saturating_sub(title.len())));
            for (name, cell) in self.head.iter().zip(row) {
                let padding = " ".repeat(name_width - name.width());
                let _ = writeln!(out, "{name}{padding} | {cell}");
            }
        }
        if self.rows.is_empty() {
            out.push_str("no rows\n");
        }
        out
    }
}

enum Shape {
    /// At most so wide, if it has to be folded.
    Grid(Option<usize>),
    /// One line per column.
    Records,
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
        let layout = TableLayout { limit, truncate, ..TableLayout::default() };
        format_table(&batch.schema(), std::slice::from_ref(batch), layout).unwrap()
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
        let text = format_parts(&rows.schema(), &[part], TableLayout::default()).unwrap();
        assert_eq!(text, "+----+---+\n| op | k |\n+----+---+\n|    | 1 |\n| -D | 1 |\n+----+---+\n");
    }

    #[test]
    fn wide_tables_are_folded_and_very_wide_ones_are_records() {
        let text = "the quick brown fox jumps over the lazy dog";
        let rows = batch(vec![
            ("n", Arc::new(Int64Array::from(vec![7]))),
            ("text", Arc::new(StringArray::from(vec![text]))),
        ]);
        let show = |layout| format_table(&rows.schema(), std::slice::from_ref(&rows), layout).unwrap();
        let width = |width| TableLayout { width: Some(width), ..TableLayout::default() };
        assert_eq!(show(width(51)), show(TableLayout::default()), "it fits");
        let folded = show(width(30));
        assert!(folded.lines().all(|line| line.width() <= 30) && folded.lines().count() > 5, "{folded}");
        let words: Vec<&str> = folded.split(['|', ' ', '\n']).filter(|w| text.contains(*w)).collect();
        assert!(words.concat().contains("quickbrownfoxjumps"), "{folded}");
        let records = format!("-[ row 1 ]--------------\nn    | 7\ntext | {text}\n");
        assert_eq!(show(width(20)), records);
        assert_eq!(show(TableLayout { records: true, ..TableLayout::default() }), records);
    }

    #[test]
    fn no_rows_give_the_head_alone() {
        let rows = batch(vec![("k", Arc::new(Int64Array::from(Vec::<i64>::new())))]);
        assert_eq!(table(&rows, None, None), "+---+\n| k |\n+---+\n+---+\n");
    }
}
