//! `WITH (key = value, ...)`, and Spark's `OPTIONS (key 'value', ...)`.

use super::cursor::{Cursor, is_word, string_of};
use acequia_core::{Options, Result};
use datafusion::sql::sqlparser::tokenizer::Token;

/// Reads `( key = value, ... )` into options. Keys are bare, dotted or quoted; values are strings, numbers, `true`,
/// `false` or bare words.
pub(super) fn read_options(cursor: &mut Cursor, options: &mut Options) -> Result<()> {
    cursor.expect_token(&Token::LParen, "`(` and options")?;
    if cursor.eat_token(&Token::RParen) {
        return Ok(());
    }
    loop {
        let at = cursor.location();
        let key = read_key(cursor)?;
        let assigned = cursor.eat_token(&Token::Eq);
        // Spark writes `OPTIONS (key 'value', rows 5, flag true)`.
        let value_follows = matches!(cursor.token(0), Some(Token::Number(..)))
            || cursor
                .token(0)
                .is_some_and(|t| string_of(t).is_some() || is_word(t, "true") || is_word(t, "false"));
        if !assigned && !value_follows {
            return Err(cursor.unexpected("`=` after the option's key"));
        }
        let value = read_value(cursor, "a string, a number, true, false or a word as the option's value")?;
        options.insert(&key, value).map_err(|e| e.at(at))?;
        if !cursor.eat_token(&Token::Comma) {
            return cursor.expect_token(&Token::RParen, "`,` or `)`");
        }
    }
}

fn read_key(cursor: &mut Cursor) -> Result<String> {
    const EXPECTED: &str = "an option's key";
    if let Some(key) = cursor.token(0).and_then(string_of).map(str::to_string) {
        cursor.advance();
        return Ok(key);
    }
    let mut key = String::new();
    loop {
        match cursor.token(0) {
            Some(Token::Word(word)) => key.push_str(&word.value),
            // `a.1.b`: the tokenizer takes the number and its dots together.
            Some(Token::Number(digits, _)) if !key.is_empty() => key.push_str(digits),
            _ => return Err(cursor.unexpected(EXPECTED)),
        }
        cursor.advance();
        if cursor.eat_token(&Token::Period) {
            key.push('.');
        } else if !matches!(cursor.token(0), Some(Token::Number(n, _)) if n.starts_with('.')) {
            return Ok(key);
        }
    }
}

/// Reads a string, a number or a word as text.
pub(super) fn read_value(cursor: &mut Cursor, expected: &str) -> Result<String> {
    let sign = if cursor.eat_token(&Token::Minus) { "-" } else { "" };
    let value = match cursor.token(0) {
        Some(Token::Number(number, _)) => format!("{sign}{number}"),
        Some(Token::Word(word)) if sign.is_empty() => word.value.clone(),
        Some(token) if sign.is_empty() && string_of(token).is_some() => {
            string_of(token).unwrap_or_default().to_string()
        }
        _ => return Err(cursor.unexpected(expected)),
    };
    cursor.advance();
    Ok(value)
}
