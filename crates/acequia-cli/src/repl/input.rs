//! Lines, as they are typed, pasted or read, become commands and statements.
//!
//! A line that begins with `\` where no statement is open is a command; so are the words `exit`, `quit` and `help`.
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
        if self.open.is_empty() {
            if is_command(line) {
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

/// Whether a line is a command where no statement is open.
fn is_command(line: &str) -> bool {
    let line = line.trim();
    let word = line.trim_end_matches(';').trim_end();
    let plain = word.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    line.starts_with('\\') || matches!(word, "exit" | "quit" | "EXIT" | "QUIT") || plain == "help"
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
            ("SELECT\n\\d\n;", &["1: SELECT\n\\d\n;"]),
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
