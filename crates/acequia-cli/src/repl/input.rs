//! Lines, as they are typed, pasted or read, become commands and statements.
//!
//! A line that begins with `\` is a command, also where a statement is open, which then stays so; in a string or a long
//! comment it is part of that. The words `exit`, `quit` and `help` are commands where no statement is open.
//! Statements are complete with the line whose last token is a `;`.

use acequia::sql::{LexemeKind, is_complete, lex};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// A command, as written.
    Command(String),
    /// One statement or more.
    Statements {
        /// Their text.
        text: String,
        /// The number of its first line in the input.
        first_line: u64,
    },
}

/// Collects lines.
#[derive(Debug, Default)]
pub(super) struct Input {
    open: String,
    first_line: u64,
    lines: u64,
}

impl Input {
    /// Takes a line.
    pub(super) fn push(&mut self, line: &str) -> Option<Item> {
        self.lines += 1;
        if line.trim_start().starts_with('\\') && !ends_inside(&self.open) {
            return Some(Item::Command(line.trim().to_string()));
        }
        if self.open.is_empty() {
            if is_command_word(line) {
                return Some(Item::Command(line.trim().to_string()));
            }
            if says_nothing(line) {
                return None;
            }
            self.first_line = self.lines;
        }
        self.open.push_str(line);
        self.open.push('\n');
        // Only a line with a `;` can end a statement: a long one is not read anew with every line.
        if line.contains(';') && is_complete(&self.open) { self.finish() } else { None }
    }

    /// The statement that is open, complete or not.
    pub(super) fn finish(&mut self) -> Option<Item> {
        let text = std::mem::take(&mut self.open);
        let first_line = self.first_line;
        (!text.is_empty()).then_some(Item::Statements { text, first_line })
    }

    /// What is not complete yet, line ends included.
    pub(super) fn open(&self) -> &str {
        &self.open
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Whether a text ends in the middle of a string, a quoted name or a comment of several lines.
fn ends_inside(text: &str) -> bool {
    let Some(last) = lex(text).into_iter().last() else { return false };
    last.range.end == text.len() && !text[last.range].starts_with("--")
}

/// Whether a line without a `\` is a command where no statement is open.
fn is_command_word(line: &str) -> bool {
    let line = line.trim();
    let word = line.trim_end_matches(';').trim_end();
    let plain = word.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    matches!(word, "exit" | "quit" | "EXIT" | "QUIT") || plain == "help"
}

/// Whether a line is blank or a comment that ends on it.
fn says_nothing(line: &str) -> bool {
    lex(line).iter().all(|piece| {
        let text = line.get(piece.range.clone()).unwrap_or_default();
        piece.kind == LexemeKind::Comment && (text.starts_with("--") || text.ends_with("*/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands as they are, statements as `first line: text`.
    fn items(text: &str) -> Vec<String> {
        let mut input = Input::default();
        let mut found: Vec<Item> = text.lines().filter_map(|line| input.push(line)).collect();
        found.extend(input.finish());
        let show = |item| match item {
            Item::Command(text) => text,
            Item::Statements { text, first_line } => format!("{first_line}: {}", text.trim_end()),
        };
        found.into_iter().map(show).collect()
    }

    #[test]
    fn lines_become_commands_and_statements() {
        let cases: &[(&str, &[&str])] = &[
            ("SELECT 1;", &["1: SELECT 1;"]),
            ("SELECT\n1\n;", &["1: SELECT\n1\n;"]),
            ("SELECT 1; SELECT 2;\nSELECT 3;", &["1: SELECT 1; SELECT 2;", "2: SELECT 3;"]),
            ("\n-- a comment\nSELECT 1; -- another\n", &["3: SELECT 1; -- another"]),
            ("SELECT ';\n;' AS a;", &["1: SELECT ';\n;' AS a;"]),
            ("/* a\n; */ SELECT 1;", &["1: /* a\n; */ SELECT 1;"]),
            ("\\d\n\\timing off\nSELECT 1;\n\\q", &["\\d", "\\timing off", "3: SELECT 1;", "\\q"]),
            ("SELECT\n\\d\n1;", &["\\d", "1: SELECT\n1;"]),
            ("SELECT -- one\n\\d\n1;", &["\\d", "1: SELECT -- one\n1;"]),
            ("SELECT '\n\\d\n';", &["1: SELECT '\n\\d\n';"]),
            ("SELECT /*\n\\d\n*/ 1;", &["1: SELECT /*\n\\d\n*/ 1;"]),
            ("quit", &["quit"]),
            ("exit;", &["exit;"]),
            ("help emit", &["help emit"]),
            ("SELECT\nquit;", &["1: SELECT\nquit;"]),
            ("SELECT 1", &["1: SELECT 1"]),
        ];
        for (text, expected) in cases {
            assert_eq!(items(text), *expected, "{text}");
        }
    }
}
