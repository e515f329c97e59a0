//! Refuses statements whose syntax tree would be deeper than the stack.
//!
//! sqlparser bounds nesting by parentheses and prefixes itself, but reads chains (`a OR b OR ...`, `1 + 1 + ...`,
//! `UNION ALL SELECT ...`) in a loop into a tree that is one level deeper per link, and everything that walks, copies
//! or drops the tree then recurses. The depth is bounded here from the tokens: in a run of operators without a comma,
//! links of the same precedence nest, and one of a lower precedence ends the runs above it.

use super::cursor::is_word;
use super::error::place;
use acequia_core::{Error, Location, Result};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// The longest chain of operators or of set operations. A copy of a tree this deep fits the 2 MiB stack of a thread
/// in an unoptimized build.
pub(super) const LONGEST_CHAIN: usize = 500;

/// Precedence levels, from the loosest.
const LEVELS: usize = 6;

/// The links open in one pair of parentheses.
#[derive(Default, Clone, Copy)]
struct Links {
    by_level: [usize; LEVELS],
    sets: usize,
}

/// Checks all chains of a statement.
///
/// # Errors
/// `Invalid`, at the link that is too much.
pub(super) fn check(tokens: &[TokenWithSpan], start: Location) -> Result<()> {
    let mut open = vec![];
    let mut links = Links::default();
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => open.push(std::mem::take(&mut links)),
            Token::RParen | Token::RBracket | Token::RBrace => links = open.pop().unwrap_or_default(),
            Token::Comma | Token::SemiColon => links.by_level = [0; LEVELS],
            other => links.take(other),
        }
        if links.by_level.iter().sum::<usize>().max(links.sets) > LONGEST_CHAIN {
            let message = format!(
                "more than {LONGEST_CHAIN} operators in a row; use IN (..) or VALUES, or split it with parentheses"
            );
            return Err(Error::invalid(message).at(place(token.span.start).unwrap_or(start)));
        }
    }
    Ok(())
}

impl Links {
    fn take(&mut self, token: &Token) {
        if ["UNION", "EXCEPT", "INTERSECT", "MINUS"].iter().any(|w| is_word(token, w)) {
            self.sets += 1;
        } else if ["SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "JOIN"]
            .iter()
            .any(|w| is_word(token, w))
        {
            self.by_level = [0; LEVELS];
        } else if let Some(level) = level(token) {
            self.by_level[level] += 1;
            self.by_level[level + 1..].fill(0);
        }
    }
}

/// The precedence of what makes a tree deeper; `None` for what does not.
fn level(token: &Token) -> Option<usize> {
    match token {
        Token::Word(word) if word.quote_style.is_some() => None,
        Token::Word(word) => match word.value.to_uppercase().as_str() {
            "OR" | "XOR" => Some(0),
            "AND" => Some(1),
            "IS" | "LIKE" | "ILIKE" | "SIMILAR" | "BETWEEN" | "IN" | "NOT" | "ISNULL" | "NOTNULL"
            | "REGEXP" | "RLIKE" | "OVERLAPS" | "GLOB" | "MATCH" | "DIV" => Some(2),
            "COLLATE" | "AT" => Some(5),
            _ => None,
        },
        Token::Number(..) | Token::Period | Token::EOF | Token::Placeholder(_) => None,
        Token::Eq | Token::DoubleEq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq => {
            Some(2)
        }
        Token::Plus | Token::Minus => Some(3),
        Token::Mul | Token::Div | Token::Mod => Some(4),
        Token::DoubleColon => Some(5),
        other if super::cursor::string_of(other).is_some() => None,
        // Other operators end no other run, so that the depth is never guessed too low.
        _ => Some(LEVELS - 1),
    }
}
