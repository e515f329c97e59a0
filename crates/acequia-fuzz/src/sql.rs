//! Text of statements.

use acequia::sql::{Statement, is_complete, lex, parse, split};

/// Longer texts say nothing new and take their time.
const MAX_BYTES: usize = 8 << 10;

/// Splits, parses and lexes the text.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(&data[..data.len().min(MAX_BYTES)]) else { return };
    let _ = is_complete(text);
    for piece in lex(text) {
        assert!(text.get(piece.range).is_some(), "a lexeme lies within the text");
    }
    for source in split(text) {
        let (printed, secrets) = match source.parse() {
            Ok(Statement::CreateStream(create)) => (create.to_sql(), create.options.redacted().any(hidden)),
            Ok(Statement::CreateSink(create)) => (create.to_sql(), create.options.redacted().any(hidden)),
            _ => continue,
        };
        let again = parse(&printed).next();
        assert!(
            secrets || matches!(again, Some(Ok(_))),
            "what was parsed is printed so that it parses: {printed}"
        );
    }
}

fn hidden((_, value): (&str, &str)) -> bool {
    value.contains("****")
}
