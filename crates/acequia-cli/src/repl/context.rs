//! What is being typed at a place of a text: which statement, which word, after what.

use acequia::sql::{Lexeme, LexemeKind, lex};

/// The pieces of the statement around a place.
#[derive(Debug)]
pub(super) struct Context<'a> {
    text: &'a str,
    /// The pieces before the one that is being typed.
    before: Vec<Lexeme>,
    /// All pieces of the statement.
    all: Vec<Lexeme>,
    /// Where what is being typed begins: within a string, after its quote.
    pub(super) start: usize,
    /// What has been typed of it.
    pub(super) typed: &'a str,
    /// What it is.
    pub(super) inside: Inside,
}

/// What kind of text is being typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    /// A word, or nothing yet.
    Word,
    /// A string.
    String,
    /// A comment, number or quoted name.
    Other,
}

impl<'a> Context<'a> {
    /// The context of a place in a text.
    pub(super) fn new(text: &'a str, position: usize) -> Self {
        let head = text.get(..position).unwrap_or(text);
        let mut before = lex(head);
        let of = |piece: &Lexeme| text.get(piece.range.clone()).unwrap_or_default();
        let from = before.iter().rposition(|piece| of(piece) == ";").map_or(0, |index| index + 1);
        before.drain(..from);
        let begin = before.first().map_or(head.len(), |piece| piece.range.start);
        let all = lex(text.get(begin..).unwrap_or_default()).into_iter();
        let moved = all.map(|l| Lexeme { kind: l.kind, range: l.range.start + begin..l.range.end + begin });
        let all: Vec<Lexeme> = moved.take_while(|piece| of(piece) != ";").collect();
        let (start, inside) = match before.last() {
            Some(last) if last.range.end == head.len() => match last.kind {
                LexemeKind::Word => (last.range.start, Inside::Word),
                LexemeKind::String if is_open(&head[last.range.clone()]) => {
                    (last.range.start + 1, Inside::String)
                }
                LexemeKind::Symbol => (head.len(), Inside::Word),
                _ => (head.len(), Inside::Other),
            },
            _ => (head.len(), Inside::Word),
        };
        if inside == Inside::String || start < head.len() {
            before.pop();
        }
        before.retain(|piece| piece.kind != LexemeKind::Comment);
        Self { text, before, all, start, typed: &head[start..], inside }
    }

    /// A piece's text.
    fn of(&self, piece: &Lexeme) -> &'a str {
        self.text.get(piece.range.clone()).unwrap_or_default()
    }

    /// The piece so many before the one that is typed, from 1; empty when there is none.
    pub(super) fn back(&self, count: usize) -> &'a str {
        let index = self.before.len().checked_sub(count);
        index.and_then(|index| self.before.get(index)).map_or("", |piece| self.of(piece))
    }

    /// Whether these words are the last before the one that is typed.
    pub(super) fn ends_with(&self, words: &[&str]) -> bool {
        let count = words.len();
        words.iter().enumerate().all(|(i, word)| self.back(count - i).eq_ignore_ascii_case(word))
    }

    /// Whether the statement begins with these words.
    pub(super) fn begins_with(&self, words: &[&str]) -> bool {
        let word = |i: usize| self.all.get(i).map_or("", |piece| self.of(piece));
        words.iter().enumerate().all(|(i, expected)| word(i).eq_ignore_ascii_case(expected))
    }

    /// Whether a word stands before the one that is typed.
    pub(super) fn has_before(&self, word: &str) -> bool {
        self.before.iter().any(|piece| self.of(piece).eq_ignore_ascii_case(word))
    }

    /// What stands between the first words of the statement and what is being typed.
    pub(super) fn since(&self, words: &[&str]) -> &'a str {
        let from = self.before.get(words.len() - 1).map_or(self.start, |piece| piece.range.end);
        self.text.get(from..self.start).unwrap_or_default().trim_end_matches('\'')
    }

    /// Whether nothing of the statement stands before.
    pub(super) fn is_first(&self) -> bool {
        self.before.is_empty()
    }

    /// The words of the statement that are names perhaps, each with the piece after it.
    pub(super) fn names(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + '_ {
        self.all
            .iter()
            .enumerate()
            .filter(|(_, piece)| matches!(piece.kind, LexemeKind::Word | LexemeKind::QuotedName))
            .map(|(index, piece)| {
                let next = |offset: usize| self.all.get(index + offset).map(|piece| self.of(piece));
                let alias = next(1).filter(|word| !word.eq_ignore_ascii_case("AS")).or_else(|| next(2));
                (self.of(piece), alias)
            })
    }

    /// Whether the typed word stands directly between the brackets that follow the first words of a CREATE.
    pub(super) fn in_columns(&self) -> bool {
        self.begins_with(&["CREATE"])
            && self
                .open_bracket()
                .is_some_and(|index| !self.before[..index].iter().any(|p| self.of(p) == "("))
            && !self.in_options()
    }

    /// Whether it stands in the brackets of `WITH (...)` or `OPTIONS (...)`.
    pub(super) fn in_options(&self) -> bool {
        let Some(open) = self.open_bracket() else { return false };
        let word =
            open.checked_sub(1).and_then(|index| self.before.get(index)).map_or("", |piece| self.of(piece));
        word.eq_ignore_ascii_case("WITH") || word.eq_ignore_ascii_case("OPTIONS")
    }

    /// The options given in the brackets around, by key; the typed one not among them.
    pub(super) fn options(&self) -> Vec<(String, String)> {
        let Some(open) = self.open_bracket() else { return vec![] };
        let from = self.before.get(open).map_or(0, |piece| piece.range.end);
        let inside = self.all.iter().filter(|piece| piece.range.start >= from);
        let inside: Vec<_> = inside.filter(|piece| piece.kind != LexemeKind::Comment).collect();
        let typed = self.start..=self.start + self.typed.len();
        let list = inside.split(|piece| matches!(self.of(piece), "," | ")"));
        let pair = |pieces: &[&Lexeme]| {
            let (value, key) = pieces.split_last()?;
            let is_typed = value.range.start <= *typed.end() && value.range.end >= *typed.start();
            if is_typed || value.kind != LexemeKind::String {
                return None;
            }
            let key: String = key.iter().map(|piece| self.of(piece)).filter(|text| *text != "=").collect();
            Some((unquoted(&key).to_string(), unquoted(self.of(value)).to_string()))
        };
        list.filter_map(pair).collect()
    }

    /// The key whose value is being typed.
    pub(super) fn option_key(&self) -> String {
        let open = self.open_bracket().map_or(0, |index| index + 1);
        let from =
            self.before.iter().rposition(|piece| self.of(piece) == ",").map_or(open, |i| open.max(i + 1));
        let key = self.before[from..].iter().map(|piece| self.of(piece)).filter(|text| *text != "=");
        unquoted(&key.collect::<String>()).to_string()
    }

    /// The innermost bracket that is open before the typed word.
    fn open_bracket(&self) -> Option<usize> {
        let mut depth = 0_usize;
        for (index, piece) in self.before.iter().enumerate().rev() {
            match self.of(piece) {
                ")" => depth += 1,
                "(" if depth == 0 => return Some(index),
                "(" => depth -= 1,
                _ => {}
            }
        }
        None
    }

    /// The function whose argument is being typed.
    pub(super) fn function(&self) -> &'a str {
        let index = self.open_bracket().and_then(|open| open.checked_sub(1));
        index.and_then(|index| self.before.get(index)).map_or("", |piece| self.of(piece))
    }

    /// Whether keywords are to be in capitals: as the typed word is, or the one before it.
    pub(super) fn in_capitals(&self) -> bool {
        let mut words =
            self.before.iter().filter(|piece| piece.kind == LexemeKind::Word).map(|piece| self.of(piece));
        let last = if self.typed.is_empty() {
            words.rfind(|word| super::words::is_keyword(word)).unwrap_or_default()
        } else {
            self.typed
        };
        !last.chars().any(char::is_lowercase)
    }
}

/// Whether a string's end is still to come.
fn is_open(text: &str) -> bool {
    text.starts_with('\'')
        && (text.len() == 1 || !text.ends_with('\'') || text.matches('\'').count() % 2 == 1)
}

/// A name or string without its quotes.
pub(super) fn unquoted(text: &str) -> &str {
    text.trim_matches(['\'', '"', '`'])
}
