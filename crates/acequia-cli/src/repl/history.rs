//! Where entered statements are kept, and which are not.

use crate::environment::variable;
use acequia::sql::{LexemeKind, lex};
use acequia_core::options::is_secret;
use std::path::PathBuf;

/// The file of the history: `ACEQUIA_HISTORY`, or `acequia/history` in the directory for state of the XDG rules.
/// `None` when neither is known, or the variable is set to nothing: no history is kept then.
pub(super) fn file() -> Option<PathBuf> {
    if let Some(file) = variable("ACEQUIA_HISTORY") {
        return (!file.is_empty()).then(|| PathBuf::from(file));
    }
    let absolute = |path: &PathBuf| path.is_absolute();
    let state = variable("XDG_STATE_HOME").map(PathBuf::from).filter(absolute);
    let state =
        state.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/state")).filter(absolute));
    Some(state?.join("acequia").join("history"))
}

/// Whether a text gives a secret, as `password = '...'` within `WITH (...)`. One that only names a variable of the
/// environment gives none.
pub(super) fn holds_secret(text: &str) -> bool {
    let pieces: Vec<_> = lex(text).into_iter().filter(|piece| piece.kind != LexemeKind::Comment).collect();
    let of = |index: usize| pieces.get(index).and_then(|p| text.get(p.range.clone())).unwrap_or_default();
    let is = |index: usize, word: &str| of(index).eq_ignore_ascii_case(word);
    let (mut in_options, mut key) = (false, String::new());
    for (index, piece) in pieces.iter().enumerate() {
        let opens = (is(index, "WITH") || is(index, "OPTIONS")) && is(index + 1, "(");
        in_options |= opens || is(index, "SET");
        let value = matches!(piece.kind, LexemeKind::String | LexemeKind::QuotedName | LexemeKind::Number);
        let variable = of(index).starts_with("'${") && of(index).ends_with("}'");
        if in_options && value && !variable && is_secret(&key) {
            return true;
        }
        match of(index) {
            "," | "(" | ";" => key.clear(),
            "=" => {}
            other => key.push_str(other.trim_matches(['\'', '"', '`'])),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(holds_secret(text), expected, "{text}");
        }
    }
}
