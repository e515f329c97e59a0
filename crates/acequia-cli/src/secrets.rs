//! Secrets in statements: they are neither remembered nor shown again.

use acequia::sql::{LexemeKind, lex};
use acequia_core::options::is_secret;
use std::ops::Range;

/// The secrets of a text, quotes included: `'...'` in `password = '...'` within `WITH (...)`. What only names a variable
/// of the environment is none.
fn secrets(text: &str) -> Vec<Range<usize>> {
    let pieces: Vec<_> = lex(text).into_iter().filter(|piece| piece.kind != LexemeKind::Comment).collect();
    let of = |index: usize| pieces.get(index).and_then(|p| text.get(p.range.clone())).unwrap_or_default();
    let is = |index: usize, word: &str| of(index).eq_ignore_ascii_case(word);
    let (mut in_options, mut key, mut found) = (false, String::new(), vec![]);
    for (index, piece) in pieces.iter().enumerate() {
        let opens = (is(index, "WITH") || is(index, "OPTIONS")) && is(index + 1, "(");
        in_options |= opens || is(index, "SET");
        let value = matches!(piece.kind, LexemeKind::String | LexemeKind::QuotedName | LexemeKind::Number);
        let variable = of(index).starts_with("'${") && of(index).ends_with("}'");
        if in_options && value && !variable && is_secret(&key) {
            found.push(piece.range.clone());
        }
        match of(index) {
            "," | "(" | ";" => key.clear(),
            "=" => {}
            other => key.push_str(other.trim_matches(['\'', '"', '`'])),
        }
    }
    found
}

/// Whether a text gives a secret.
pub(crate) fn any_in(text: &str) -> bool {
    !secrets(text).is_empty()
}

/// The text with stars in place of its secrets, character by character, so that places stay what they are.
pub(crate) fn masked(text: &str) -> String {
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for range in secrets(text) {
        out.push_str(&text[from..range.start]);
        let kept = |c: char| matches!(c, '\'' | '"' | '`' | '\n');
        out.extend(text[range.clone()].chars().map(|c| if kept(c) { c } else { '*' }));
        from = range.end;
    }
    out + &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_in_place() {
        let text = "CREATE STREAM s WITH (password = 'hünter2', format = 'json'); SELECT 'x'";
        assert_eq!(masked(text), "CREATE STREAM s WITH (password = '*******', format = 'json'); SELECT 'x'");
    }

    #[test]
    fn secrets_are_found_in_options_only() {
        let cases = [
            ("CREATE STREAM s WITH (connector = 'x', password = 'hunter2');", true),
            ("CREATE STREAM s WITH ('sasl.password' = 'hunter2');", true),
            ("CREATE STREAM s WITH (sasl.password = 'hunter2');", true),
            ("CREATE TABLE s USING x OPTIONS (api-key 'k');", true),
            ("CREATE STREAM s WITH (token = 'not closed", true),
            ("SET some.secret = 'x';", true),
            ("CREATE STREAM s WITH (password = '${PASSWORD}');", false),
            ("CREATE STREAM s WITH (connector = 'file', path = 'password');", false),
            ("SELECT * FROM books WHERE author = 'x';", false),
            ("SELECT 1;", false),
        ];
        for (text, expected) in cases {
            assert_eq!(any_in(text), expected, "{text}");
        }
    }
}
