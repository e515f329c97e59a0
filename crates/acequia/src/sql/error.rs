//! sqlparser's and DataFusion's errors as ours: lower case, with the place taken out of the text.

use acequia_core::{Error, Location, options};
use datafusion::common::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{self, Span};

/// Words that begin or continue a clause: what a misspelt word after a complete expression may have meant.
const CLAUSE_WORDS: &[&str] = &[
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "CROSS",
    "QUALIFY",
    "WINDOW",
    "EMIT",
    "TRIGGER",
    "WITH",
    "VALUES",
    "SELECT",
    "BETWEEN",
    "PARTITION",
];

/// The place of a sqlparser span in the text; `None` for a node that no text made.
pub fn location_of(span: Span) -> Option<Location> {
    place(span.start)
}

pub(super) fn place(at: tokenizer::Location) -> Option<Location> {
    (at.line > 0).then_some(Location { line: at.line, column: at.column })
}

/// A parser's error in a statement that starts and ends at these places.
pub(super) fn from_parser(error: &ParserError, start: Location, end: Location) -> Error {
    match error {
        ParserError::RecursionLimitExceeded => {
            Error::invalid("statement is nested too deeply; split it with WITH or a view").at(start)
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            let (message, at) = split_place(message);
            Error::invalid(reword(message)).at(at.unwrap_or(end))
        }
    }
}

/// What DataFusion's parser answers.
pub(super) fn from_datafusion(error: &DataFusionError, start: Location, end: Location) -> Error {
    match error {
        DataFusionError::Diagnostic(_, inner) | DataFusionError::Context(_, inner) => {
            from_datafusion(inner, start, end)
        }
        DataFusionError::SQL(inner, _) => from_parser(inner, start, end),
        other => Error::invalid(lower_first(&other.strip_backtrace())).at(start),
    }
}

/// Cuts sqlparser's ` at Line: 1, Column: 2` off.
fn split_place(message: &str) -> (&str, Option<Location>) {
    let Some((text, place)) = message.rsplit_once(" at Line: ") else { return (message, None) };
    let parse = || {
        let (line, column) = place.split_once(", Column: ")?;
        Some(Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? })
    };
    match parse() {
        Some(at) => (text, Some(at)),
        None => (message, None),
    }
}

/// `Expected: a, found: b` in our words, with what `b` may have meant.
fn reword(message: &str) -> String {
    let Some((expected, found)) = message.strip_prefix("Expected: ").and_then(|m| m.rsplit_once(", found: "))
    else {
        return lower_first(message);
    };
    let expected = expected
        .strip_prefix("end of statement")
        .map_or(expected.to_string(), |rest| format!("the end of the statement{rest}"));
    match found {
        "EOF" | ";" => format!("expected {expected}, found the end of the statement"),
        found => format!("expected {expected}, found `{found}`{}", clause_hint(found)),
    }
}

/// A suggestion when a word is nearly a word of SQL, but is none.
pub(super) fn clause_hint(found: &str) -> String {
    if found.eq_ignore_ascii_case("EMIT") || found.eq_ignore_ascii_case("TRIGGER") {
        return format!("; {} stands once, after the whole query", found.to_uppercase());
    }
    did_you_mean(found, CLAUSE_WORDS)
}

/// `; did you mean ...?` when a longer word is near to one of these, but is none of them.
pub(super) fn did_you_mean(found: &str, words: &[&str]) -> String {
    let plain = found.chars().count() > 2 && found.chars().all(|c| c.is_alphabetic() || c == '_');
    if !plain || words.iter().any(|w| w.eq_ignore_ascii_case(found)) {
        return String::new();
    }
    match options::nearest(found, words.iter().copied()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    }
}

/// The text without a capital at its start and a full stop at its end.
pub(super) fn lower_first(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // A word in capitals is SQL's own and stays.
        (Some(_), Some(second)) if second.is_uppercase() => text.to_string(),
        (Some(first), _) => first.to_lowercase().chain(chars).collect(),
        (None, _) => String::new(),
    }
}
