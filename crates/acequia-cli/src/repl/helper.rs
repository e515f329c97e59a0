//! What the editor asks while a line is typed: candidates, and colours.

use super::complete::{Candidate, Completer};
use super::words;
use acequia::sql::{Lexeme, LexemeKind, lex};
use rustyline::completion::{Completer as LineCompleter, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use std::borrow::Cow;
use std::cell::Cell;

/// The editor's helper.
pub(super) struct PromptHelper {
    completer: Completer,
    /// The lines of the statement before this one.
    open: String,
    /// Whether the line has text.
    typed: Cell<bool>,
    /// Whether the line is being left: nothing is marked any more.
    final_look: Cell<bool>,
}

impl PromptHelper {
    pub(super) fn new(completer: Completer) -> Self {
        Self { completer, open: String::new(), typed: Cell::new(false), final_look: Cell::new(false) }
    }

    /// A line begins, after these.
    pub(super) fn begin(&mut self, open: &str) {
        open.clone_into(&mut self.open);
        self.typed.set(false);
    }

    /// Whether the line had text when it was left.
    pub(super) fn typed(&self) -> bool {
        self.typed.get()
    }
}

impl Helper for PromptHelper {}

/// A line that is entered is taken: whether the statement is complete is seen with the next prompt.
impl Validator for PromptHelper {}

impl Hinter for PromptHelper {
    type Hint = String;

    /// Gives none; it is where the editor shows every change of the line.
    fn hint(&self, line: &str, _position: usize, _context: &Context<'_>) -> Option<String> {
        self.typed.set(!line.is_empty());
        None
    }
}

impl LineCompleter for PromptHelper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let text = format!("{}{line}", self.open);
        let before = self.open.len();
        let (start, found) = self.completer.complete(&text, before + position);
        let Some(start) = start.checked_sub(before) else { return Ok((position, vec![])) };
        let pair = |Candidate { shown, text }| Pair { display: shown, replacement: text };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Highlighter for PromptHelper {
    fn highlight<'l>(&self, line: &'l str, position: usize) -> Cow<'l, str> {
        if self.open.is_empty() && line.starts_with('\\') {
            return Cow::Borrowed(line);
        }
        let text = format!("{}{line}", self.open);
        let marked = if self.final_look.get() { None } else { brackets(&text, self.open.len() + position) };
        Cow::Owned(coloured(&text, self.open.len(), marked))
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        Cow::Borrowed(prompt)
    }

    fn highlight_char(&self, _line: &str, _position: usize, kind: CmdKind) -> bool {
        self.final_look.set(kind == CmdKind::ForcedRefresh);
        true
    }
}

/// The text from `from` on, in colours.
fn coloured(text: &str, from: usize, marked: Option<(usize, usize)>) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut done = from;
    for piece in lex(text) {
        let (start, end) = (piece.range.start.max(from), piece.range.end);
        if end <= from {
            continue;
        }
        out.push_str(&text[done..start]);
        let shown = &text[start..end];
        let is_marked =
            marked.is_some_and(|(one, other)| piece.range.start == one || piece.range.start == other);
        match colour(&piece, &text[piece.range.clone()]) {
            _ if is_marked => out.push_str(&format!("\x1b[1;7m{shown}\x1b[0m")),
            Some(code) => out.push_str(&format!("\x1b[{code}m{shown}\x1b[0m")),
            None => out.push_str(shown),
        }
        done = end;
    }
    out.push_str(&text[done..]);
    out
}

fn colour(piece: &Lexeme, text: &str) -> Option<&'static str> {
    match piece.kind {
        LexemeKind::Word if words::is_keyword(text) => Some("1;34"),
        LexemeKind::String => Some("32"),
        LexemeKind::Number => Some("35"),
        LexemeKind::Comment => Some("2"),
        _ => None,
    }
}

/// The bracket at or before a place, and the one that belongs to it.
fn brackets(text: &str, position: usize) -> Option<(usize, usize)> {
    const PAIRS: [(&str, &str); 3] = [("(", ")"), ("[", "]"), ("{", "}")];
    let pieces: Vec<Lexeme> = lex(text).into_iter().filter(|p| p.kind == LexemeKind::Symbol).collect();
    let sign = |piece: &Lexeme| text.get(piece.range.clone()).unwrap_or_default();
    let is_bracket = |piece: &&Lexeme| PAIRS.iter().any(|(a, b)| sign(piece) == *a || sign(piece) == *b);
    let at = |place: usize| pieces.iter().filter(is_bracket).position(|piece| piece.range.start == place);
    let brackets: Vec<&Lexeme> = pieces.iter().filter(is_bracket).collect();
    let index = at(position).or_else(|| at(position.checked_sub(1)?))?;
    let opens = |piece: &Lexeme| PAIRS.iter().any(|(open, _)| sign(piece) == *open);
    let forward = opens(brackets[index]);
    let mut depth = 0_i32;
    let step = |piece: &Lexeme| if opens(piece) == forward { 1 } else { -1 };
    let walk: Vec<&Lexeme> =
        if forward { brackets[index..].to_vec() } else { brackets[..=index].iter().rev().copied().collect() };
    for piece in walk {
        depth += step(piece);
        if depth == 0 {
            return Some((brackets[index].range.start, piece.range.start));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Escapes written as `<code>`, their end as `</>`.
    fn plain(text: &str) -> String {
        text.replace("\x1b[0m", "</>").replace("\x1b[", "<").replace('m', ">")
    }

    #[test]
    fn pieces_have_their_colours_also_on_later_lines() {
        let cases = [
            ("", "SELECT 1, 'a' -- c", "<1;34>SELECT</> <35>1</>, <32>'a'</> <2>-- c</>"),
            ("SELECT 'a\n", "b' FROM t", "<32>b'</> <1;34>FROM</> t"),
            ("", "select value", "<1;34>select</> value"),
            ("", "x('", "x(<32>'</>"),
        ];
        for (open, line, expected) in cases {
            let text = format!("{open}{line}");
            assert_eq!(plain(&coloured(&text, open.len(), None)), expected, "{text}");
        }
    }

    #[test]
    fn brackets_are_found_with_their_partners() {
        let cases = [
            ("f(a, (b))", 1, Some((1, 8))),
            ("f(a, (b))", 9, Some((8, 1))),
            ("f(a, (b))", 8, Some((8, 1))),
            ("f(a, (b))", 6, Some((5, 7))),
            ("f('(' ,", 2, None),
            ("f(')')", 6, Some((5, 1))),
            ("", 0, None),
        ];
        for (text, position, expected) in cases {
            assert_eq!(brackets(text, position), expected, "{text} {position}");
        }
    }
}
