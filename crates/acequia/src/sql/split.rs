//! Cuts a text into statements at the `;` outside of strings, comments and quoted names.
//!
//! The text is tokenized once; every token keeps its place in the whole text. A string or comment that does not end
//! spoils only the statement that it stands in: what is before it is found.

use super::ast::{ParsedStatement, Statement};
use super::dialect::DIALECT;
use super::error::{lower_first, place};
use super::statement;
use acequia_core::{Error, Location, Result};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

/// Bytes of stack that a statement is parsed with at least.
const STACK: usize = 4 << 20;

/// The statements of a text, parsed one at a time. After an error it ends.
pub fn parse(text: &str) -> StatementIter {
    StatementIter { statements: split(text).into_iter(), failed: false }
}

/// See [`parse`].
#[derive(Debug)]
pub struct StatementIter {
    statements: std::vec::IntoIter<SourceStatement>,
    failed: bool,
}

impl Iterator for StatementIter {
    type Item = Result<ParsedStatement>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let source = self.statements.next()?;
        let statement = source.parse();
        self.failed = statement.is_err();
        Some(statement.map(|statement| source.with(statement)))
    }
}

/// A statement that is found but not parsed yet.
#[derive(Debug, Clone)]
pub struct SourceStatement {
    /// Its own text, without the closing `;`.
    pub text: String,
    /// Where its first word stands.
    pub location: Location,
    /// The `-- ...` lines before it, without the dashes and trimmed.
    pub leading_comments: Vec<String>,
    /// Its number in the text, from 1.
    pub number: usize,
    tokens: Vec<TokenWithSpan>,
    end: Location,
    broken: Option<Broken>,
}

/// What the tokenizer could not read.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    message: String,
    location: Option<Location>,
}

impl SourceStatement {
    /// Parses it.
    ///
    /// # Errors
    /// `Invalid` for what is no SQL, `Unsupported` for SQL that is known and not done; with the place in the text.
    pub fn parse(&self) -> Result<Statement> {
        if let Some(error) = &self.broken {
            let at = error.location.unwrap_or(self.location);
            return Err(Error::invalid(lower_first(&error.message)).at(at));
        }
        // sqlparser grows the stack too late for the frames of an unoptimized build.
        let parse = || statement::parse(self.tokens.clone(), self.end);
        stacker::maybe_grow(STACK, 2 * STACK, parse).map_err(|e| e.at(self.location))
    }

    /// The statement with its place in the text.
    pub fn with(self, statement: Statement) -> ParsedStatement {
        let Self { text, location, leading_comments, number, .. } = self;
        ParsedStatement { statement, text, location, leading_comments, number }
    }
}

/// Cuts a text into statements without parsing them.
pub fn split(text: &str) -> Vec<SourceStatement> {
    let (tokens, broken) = tokenize(text);
    let mut splitter =
        Splitter { offsets: Offsets::new(text), text, statements: vec![], open: Open::default() };
    for token in tokens {
        splitter.take(token);
    }
    splitter.finish(broken);
    splitter.statements
}

/// Whether a text ends with a complete statement, so that a prompt need not wait for more: its last token is a `;`
/// that stands in no string, comment or quoted name.
pub fn is_complete(text: &str) -> bool {
    let (tokens, broken) = tokenize(text);
    match broken {
        // What only lacks its end waits for it; what more text cannot mend is complete, so that its error shows.
        Some(error) => !lacks_its_end(&error) && text.trim_end().ends_with(';'),
        None => {
            let last = tokens.iter().rev().find(|t| !matches!(t.token, Token::Whitespace(_)));
            last.is_some_and(|t| t.token == Token::SemiColon)
        }
    }
}

fn lacks_its_end(error: &Broken) -> bool {
    let message = error.message.to_lowercase();
    message.contains("unterminated")
        || message.contains("unexpected eof")
        || message.contains("expected close delimiter")
}

/// The tokens of a text up to what cannot be read.
pub(super) fn tokenize(text: &str) -> (Vec<TokenWithSpan>, Option<Broken>) {
    let mut tokens = vec![];
    let broken = Tokenizer::new(&DIALECT, text).tokenize_with_location_into_buf(&mut tokens).err();
    // Some editors begin every file with a byte order mark.
    if tokens.first().is_some_and(|token| token.token == Token::Char('\u{feff}')) {
        tokens.remove(0);
    }
    (tokens, broken.map(|e| Broken { location: place(e.location), message: e.message }))
}

struct Splitter<'a> {
    offsets: Offsets<'a>,
    text: &'a str,
    statements: Vec<SourceStatement>,
    open: Open,
}

/// The statement being collected.
#[derive(Default)]
struct Open {
    tokens: Vec<TokenWithSpan>,
    start: usize,
    end: usize,
    comments: Vec<String>,
    /// A comment on the line that an earlier statement ended on belongs to that one.
    after_line: Option<u64>,
}

impl Splitter<'_> {
    fn take(&mut self, token: TokenWithSpan) {
        match &token.token {
            Token::SemiColon => {
                let end = Location { line: token.span.start.line, column: token.span.start.column };
                self.close(end, None);
                self.open = Open { after_line: Some(token.span.start.line), ..Open::default() };
            }
            Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) => {
                let own_line = self.open.after_line != Some(token.span.start.line);
                if self.open.tokens.is_empty() && own_line {
                    self.open.comments.push(comment.trim().to_string());
                }
            }
            Token::Whitespace(_) => {}
            _ => {
                if self.open.tokens.is_empty() {
                    self.open.start = self.offsets.of(token.span.start.line, token.span.start.column);
                }
                self.open.end = self.offsets.of(token.span.end.line, token.span.end.column);
                self.open.tokens.push(token);
            }
        }
    }

    fn close(&mut self, end: Location, broken: Option<Broken>) {
        let open = std::mem::take(&mut self.open);
        let first = open.tokens.first().and_then(|t| place(t.span.start));
        let Some(location) = first.or(broken.as_ref().and_then(|e| e.location)) else { return };
        let until = if broken.is_some() { self.text.len() } else { open.end };
        let from = if open.tokens.is_empty() { until } else { open.start };
        self.statements.push(SourceStatement {
            text: self.text.get(from..until).unwrap_or_default().trim_end().to_string(),
            location,
            leading_comments: open.comments,
            number: self.statements.len() + 1,
            tokens: open.tokens,
            end,
            broken,
        });
    }

    fn finish(&mut self, broken: Option<Broken>) {
        let last = self.open.tokens.last().and_then(|t| place(t.span.end));
        self.close(last.unwrap_or(Location { line: 1, column: 1 }), broken);
    }
}

/// Byte offsets of places in a text; asked for places that only go forward.
pub(super) struct Offsets<'a> {
    text: &'a str,
    offset: usize,
    line: u64,
    column: u64,
}

impl<'a> Offsets<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, offset: 0, line: 1, column: 1 }
    }

    pub(super) fn of(&mut self, line: u64, column: u64) -> usize {
        for c in self.text.get(self.offset..).unwrap_or_default().chars() {
            if (self.line, self.column) >= (line, column) {
                break;
            }
            self.offset += c.len_utf8();
            if c == '\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else {
                self.column += 1;
            }
        }
        self.offset
    }
}
