//! Words, strings, numbers and comments of a text that need not be finished: for a prompt that colours and completes
//! what is being typed, and for underlining a place in it.

use super::split::{Offsets, tokenize};
use datafusion::sql::sqlparser::tokenizer::{Token, Whitespace};
use std::ops::Range;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LexemeKind {
    /// A keyword or a name.
    Word,
    /// A quoted name.
    QuotedName,
    /// A string, its end perhaps not typed yet.
    String,
    /// A number.
    Number,
    /// A comment, its end perhaps not typed yet.
    Comment,
    /// Anything else.
    Symbol,
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lexeme {
    /// What it is.
    pub kind: LexemeKind,
    /// Where it stands, in bytes.
    pub range: Range<usize>,
}

/// The pieces of a text in order, white space left out. What cannot be read is one last piece.
pub fn lex(text: &str) -> Vec<Lexeme> {
    let (tokens, broken) = tokenize(text);
    let mut offsets = Offsets::new(text);
    let mut found = vec![];
    let mut read = 0;
    for token in &tokens {
        let start = offsets.of(token.span.start.line, token.span.start.column);
        let end = offsets.of(token.span.end.line, token.span.end.column);
        read = end;
        if let Some(kind) = kind(&token.token) {
            let end = start + text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r']).len();
            found.push(Lexeme { kind, range: start..end });
        }
    }
    let rest = text.get(read..).unwrap_or_default();
    let rest = read + (rest.len() - rest.trim_start().len());
    if broken.is_some() && rest < text.len() {
        found.push(Lexeme { kind: unfinished(&text[rest..]), range: rest..text.len() });
    }
    found
}

fn kind(token: &Token) -> Option<LexemeKind> {
    Some(match token {
        Token::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)) => {
            LexemeKind::Comment
        }
        Token::Whitespace(_) | Token::EOF => return None,
        Token::Word(word) if word.quote_style.is_some() => LexemeKind::QuotedName,
        Token::Word(_) => LexemeKind::Word,
        Token::Number(..) => LexemeKind::Number,
        Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::TripleSingleQuotedString(_)
        | Token::TripleDoubleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::SingleQuotedByteStringLiteral(_)
        | Token::DoubleQuotedByteStringLiteral(_)
        | Token::SingleQuotedRawStringLiteral(_)
        | Token::DoubleQuotedRawStringLiteral(_)
        | Token::HexStringLiteral(_) => LexemeKind::String,
        _ => LexemeKind::Symbol,
    })
}

fn unfinished(text: &str) -> LexemeKind {
    match text.as_bytes() {
        [b'/', b'*', ..] => LexemeKind::Comment,
        [b'"' | b'`', ..] => LexemeKind::QuotedName,
        [b'\'', ..] => LexemeKind::String,
        _ => LexemeKind::Symbol,
    }
}

#[cfg(test)]
mod tests {
    use super::LexemeKind::{Comment, Number, QuotedName, String, Symbol, Word};
    use super::*;

    #[test]
    fn pieces_keep_their_places_also_when_the_text_is_not_finished() {
        let cases: &[(&str, &[(LexemeKind, &str)])] = &[
            (
                "SELECT é, 'ü' -- c\nFROM t",
                &[
                    (Word, "SELECT"),
                    (Word, "é"),
                    (Symbol, ","),
                    (String, "'ü'"),
                    (Comment, "-- c"),
                    (Word, "FROM"),
                    (Word, "t"),
                ],
            ),
            (
                "x = 1.5 and 'not",
                &[(Word, "x"), (Symbol, "="), (Number, "1.5"), (Word, "and"), (String, "'not")],
            ),
            ("a /* b\n c", &[(Word, "a"), (Comment, "/* b\n c")]),
            ("a  \"b c", &[(Word, "a"), (QuotedName, "\"b c")]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            let found: Vec<_> = lex(text).into_iter().map(|l| (l.kind, &text[l.range])).collect();
            assert_eq!(found, *expected, "{text}");
        }
    }
}
