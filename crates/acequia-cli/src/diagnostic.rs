//! An error with the line of the text that it is about, the spot underlined.
//!
//! ```text
//! error: unknown column: `prise`; did you mean `price`?
//! 2 | FROM bids WHERE prise > 1
//!   |                 ^^^^^
//! ```
//! Widths are those of a terminal: a tab is four columns, a wide character two. A long line is cut around the spot.

use crate::environment::wants_colour;
use crate::secrets;
use crate::show::terminal_width;
use acequia::sql::lex;
use acequia::{Error, Location};
use std::io::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that a tab takes.
const TAB: usize = 4;
/// The narrowest piece of a line that is shown.
const NARROWEST: usize = 20;

/// Text that errors are about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The text that places are counted in.
    pub(crate) text: &'a str,
    /// The number of its first line.
    pub(crate) first_line: u64,
    /// The file that it is from, if it is from one.
    pub(crate) file: Option<&'a str>,
}

/// How errors look.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Style {
    /// Whether with colours.
    pub(crate) colour: bool,
    /// Columns of the terminal, if there is one.
    pub(crate) width: Option<usize>,
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// The error, ending in a line end.
pub(crate) fn render(error: &Error, source: Source<'_>, style: Style) -> String {
    let head = |text: &str| format!("{} {text}\n", style.paint("1;31", "error:"));
    let text = secrets::masked(source.text);
    let spot = error.location().and_then(|at| Some((at, spot(&text, at)?)));
    let Some((at, spot)) = spot else { return head(&error.to_string()) };
    let number = (at.line + source.first_line - 1).to_string();
    let gutter = " ".repeat(number.len());
    let spot = spot.cut(style.width.map(|width| width.saturating_sub(number.len() + 3)));
    let place = source.file.map(|file| format!("{gutter}--> {file}:{number}:{}\n", at.column));
    format!(
        "{}{}{} {}\n{} {}{}\n",
        head(&clean(error.message())),
        place.unwrap_or_default(),
        style.paint("34", &format!("{number} |")),
        spot.line,
        style.paint("34", &format!("{gutter} |")),
        " ".repeat(spot.start),
        style.paint("1;31", &"^".repeat(spot.width)),
    )
}

/// Prints the error to standard error, as it looks best there.
pub(crate) fn print(error: &Error, source: Source<'_>) {
    let style = Style { colour: wants_colour(), width: terminal_width() };
    // Nothing is left to do when even standard error is closed.
    let _ = std::io::stderr().write_all(render(error, source, style).as_bytes());
}

/// A line as it is shown, and the columns to underline.
#[derive(Debug)]
struct Spot {
    line: String,
    start: usize,
    width: usize,
}

/// `None` for a place outside of the text.
fn spot(text: &str, at: Location) -> Option<Spot> {
    let index = usize::try_from(at.line.checked_sub(1)?).ok()?;
    let before: usize = text.split_inclusive('\n').take(index).map(str::len).sum();
    let line = text.get(before..)?.split('\n').next()?;
    if index >= text.split('\n').count() {
        return None;
    }
    let column = usize::try_from(at.column.checked_sub(1)?).ok()?;
    let offset = line.char_indices().nth(column).map_or(line.len(), |(offset, _)| offset);
    let start = before + offset;
    let piece = lex(text).into_iter().find(|piece| piece.range.contains(&start));
    let end = piece.map_or(start, |piece| piece.range.end.min(before + line.len()));
    let marked = shown(text.get(start..end).unwrap_or_default()).width();
    Some(Spot { start: shown(&line[..offset]).width(), width: marked.max(1), line: shown(line) })
}

impl Spot {
    /// The part around the spot that fits, what is left out shown as `...`.
    fn cut(self, width: Option<usize>) -> Self {
        let Some(room) = width.map(|width| width.max(NARROWEST)) else { return self };
        if self.line.width() <= room {
            return self;
        }
        let from = self.start.saturating_sub(room / 2);
        let (mut line, mut column, mut skipped) = (String::new(), 0, 0);
        for c in self.line.chars() {
            let next = column + c.width().unwrap_or(0);
            if column < from {
                skipped = next;
            } else if next - skipped <= room.saturating_sub(6) {
                line.push(c);
            }
            column = next;
        }
        let (before, lead) = if skipped > 0 { ("...", 3) } else { ("", 0) };
        let after = if column - skipped > line.width() { "..." } else { "" };
        let start = self.start - skipped + lead;
        let width = self.width.min((lead + line.width()).saturating_sub(start).max(1));
        Self { line: format!("{before}{line}{after}"), start, width }
    }
}

/// Tabs as spaces; what would move the cursor otherwise is shown as a mark.
fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push_str(&" ".repeat(TAB)),
            '\r' => {}
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

fn clean(message: &str) -> String {
    message.lines().map(shown).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, line: u64, column: u64, width: Option<usize>) -> String {
        let error = Error::invalid("no such thing").at(Location { line, column });
        render(&error, Source { text, first_line: 1, file: None }, Style { colour: false, width })
    }

    #[test]
    fn the_spot_is_underlined() {
        let cases = [
            ("SELECT prise FROM t", 1, 8, "1 | SELECT prise FROM t\n  |        ^^^^^"),
            ("SELECT\n\tprise\nFROM t", 2, 2, "2 |     prise\n  |     ^^^^^"),
            ("SELECT '水水', prise", 1, 14, "1 | SELECT '水水', prise\n  |                ^^^^^"),
            ("SELECT 水水 FROM t", 1, 8, "1 | SELECT 水水 FROM t\n  |        ^^^^"),
            ("SELECT 1 +", 1, 11, "1 | SELECT 1 +\n  |           ^"),
            ("SELECT 'not\nclosed", 1, 8, "1 | SELECT 'not\n  |        ^^^^"),
            ("SELECT a\r\nFROM b", 2, 6, "2 | FROM b\n  |      ^"),
        ];
        for (text, line, column, expected) in cases {
            let expected = format!("error: no such thing\n{expected}\n");
            assert_eq!(rendered(text, line, column, None), expected, "{text}");
        }
    }

    #[test]
    fn a_place_outside_of_the_text_is_told_in_words() {
        assert_eq!(rendered("SELECT 1", 3, 1, None), "error: no such thing (line 3, column 1)\n");
        assert_eq!(rendered("SELECT 1", 0, 0, None), "error: no such thing (line 0, column 0)\n");
    }

    #[test]
    fn a_long_line_is_cut_around_the_spot() {
        let text = format!("SELECT {}, prise, {}", "a".repeat(100), "b".repeat(100));
        let found = rendered(&text, 1, 110, Some(44));
        let lines: Vec<_> = found.lines().collect();
        assert!(lines.iter().all(|line| line.width() <= 44), "{found}");
        let marked = lines[2].find('^').unwrap();
        assert_eq!(&lines[1][marked..marked + 5], "prise", "{found}");
        assert!(lines[2].ends_with(" ^^^^^") && lines[1].ends_with("..."), "{found}");
    }

    #[test]
    fn numbers_of_lines_are_those_of_the_file() {
        let error = Error::invalid("no").at(Location { line: 1, column: 1 });
        let source = Source { text: "SELEC 1", first_line: 12, file: Some("a.sql") };
        let text = render(&error, source, Style::default());
        assert_eq!(text, "error: no\n  --> a.sql:12:1\n12 | SELEC 1\n   | ^^^^^\n");
    }
}
