//! Reads a statement's tokens: our own words by hand, names, types and expressions through sqlparser.

use super::dialect::DIALECT;
use super::error::{clause_hint, did_you_mean, from_parser, place};
use acequia_core::{Error, Location, Result};
use datafusion::sql::sqlparser::ast::{DataType, Expr, Ident, ObjectName};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

pub(super) struct Cursor {
    parser: Parser<'static>,
    tokens: Vec<TokenWithSpan>,
    start: Location,
    end: Location,
}

impl Cursor {
    /// Reads tokens that hold no white space and end before this place.
    pub(super) fn new(tokens: Vec<TokenWithSpan>, end: Location) -> Self {
        let start = tokens.first().and_then(|t| place(t.span.start)).unwrap_or(end);
        // sqlparser's index says where it stands only once a token is consumed: it is given one to consume.
        let mut all = Vec::with_capacity(tokens.len() + 1);
        all.push(TokenWithSpan { token: Token::SemiColon, span: Span::empty() });
        all.extend(tokens);
        let mut parser = Parser::new(&DIALECT).with_tokens_with_locations(all.clone());
        parser.advance_token();
        Self { parser, tokens: all, start, end }
    }

    pub(super) fn end(&self) -> Location {
        self.end
    }

    fn index(&self) -> usize {
        self.parser.get_current_index() + 1
    }

    /// The tokens not read yet.
    pub(super) fn rest(&self) -> &[TokenWithSpan] {
        self.tokens.get(self.index()..).unwrap_or_default()
    }

    pub(super) fn token(&self, n: usize) -> Option<&Token> {
        self.rest().get(n).map(|t| &t.token)
    }

    /// Where the next token stands, or the end.
    pub(super) fn location(&self) -> Location {
        self.rest().first().and_then(|t| place(t.span.start)).unwrap_or(self.end)
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn advance(&mut self) {
        self.parser.advance_token();
    }

    /// Whether these words come next, unquoted and in any case.
    pub(super) fn at(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| self.token(n).is_some_and(|t| is_word(t, word)))
    }

    pub(super) fn at_token(&self, token: &Token) -> bool {
        self.token(0) == Some(token)
    }

    /// Reads these words if they come next.
    pub(super) fn eat(&mut self, words: &[&str]) -> bool {
        let found = self.at(words);
        if found {
            words.iter().for_each(|_| self.advance());
        }
        found
    }

    pub(super) fn eat_token(&mut self, token: &Token) -> bool {
        let found = self.at_token(token);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect(&mut self, words: &[&str]) -> Result<()> {
        for word in words {
            if !self.eat(&[word]) {
                return Err(self.unexpected_among(word, &[word]));
            }
        }
        Ok(())
    }

    pub(super) fn expect_token(&mut self, token: &Token, expected: &str) -> Result<()> {
        if self.eat_token(token) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    pub(super) fn found(&self) -> String {
        match self.token(0) {
            Some(token) => format!("`{token}`"),
            None => "the end of the statement".to_string(),
        }
    }

    /// An error about the next token.
    pub(super) fn unexpected(&self, expected: &str) -> Error {
        Error::invalid(format!("expected {expected}, found {}", self.found())).at(self.location())
    }

    /// An error about the next token, which follows something complete.
    pub(super) fn unexpected_after(&self, expected: &str) -> Error {
        let hint = self.token(0).map(|t| clause_hint(&t.to_string())).unwrap_or_default();
        Error::invalid(format!("expected {expected}, found {}{hint}", self.found())).at(self.location())
    }

    /// The same, with the nearest of the words that could stand here.
    pub(super) fn unexpected_among(&self, expected: &str, words: &[&str]) -> Error {
        let found = self.token(0).map(ToString::to_string).unwrap_or_default();
        let hint = did_you_mean(&found, words);
        Error::invalid(format!("expected {expected}, found {}{hint}", self.found())).at(self.location())
    }

    /// Refuses anything that is left.
    pub(super) fn finish(&self) -> Result<()> {
        if self.is_done() { Ok(()) } else { Err(self.unexpected_after("the end of the statement")) }
    }

    /// Reads something through sqlparser.
    pub(super) fn sql<T>(
        &mut self,
        read: impl FnOnce(&mut Parser<'static>) -> Result<T, ParserError>,
    ) -> Result<T> {
        read(&mut self.parser).map_err(|e| from_parser(&e, self.start, self.end))
    }

    pub(super) fn ident(&mut self, what: &str) -> Result<Ident> {
        match self.token(0) {
            Some(Token::Word(_)) => self.sql(Parser::parse_identifier),
            _ => Err(self.unexpected(what)),
        }
    }

    pub(super) fn object_name(&mut self, what: &str) -> Result<ObjectName> {
        match self.token(0) {
            Some(Token::Word(_)) => self.sql(|p| p.parse_object_name(false)),
            _ => Err(self.unexpected(what)),
        }
    }

    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.sql(Parser::parse_expr)
    }

    pub(super) fn data_type(&mut self) -> Result<DataType> {
        match self.token(0) {
            Some(Token::Word(_)) => self.sql(Parser::parse_data_type),
            _ => Err(self.unexpected("a data type")),
        }
    }

    pub(super) fn string(&mut self, what: &str) -> Result<String> {
        let text = self.token(0).and_then(string_of).map(str::to_string);
        let text = text.ok_or_else(|| self.unexpected(what))?;
        self.advance();
        Ok(text)
    }

    /// Reads `( a, b, ... )`.
    pub(super) fn list<T>(
        &mut self,
        what: &str,
        mut item: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.expect_token(&Token::LParen, &format!("`(` and {what}"))?;
        let mut items = vec![item(self)?];
        while self.eat_token(&Token::Comma) {
            items.push(item(self)?);
        }
        self.expect_token(&Token::RParen, "`,` or `)`")?;
        Ok(items)
    }
}

/// Whether a token is this word, unquoted and in any case.
pub(super) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// The text of a string literal.
pub(super) fn string_of(token: &Token) -> Option<&str> {
    match token {
        Token::SingleQuotedString(s)
        | Token::NationalStringLiteral(s)
        | Token::EscapedStringLiteral(s)
        | Token::UnicodeStringLiteral(s) => Some(s),
        Token::DollarQuotedString(s) => Some(&s.value),
        _ => None,
    }
}
