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

/// The longest chain of operators, and of set operations. Reading, walking and dropping a tree this deep takes a small
/// part of a thread's 2 MiB stack, also in an unoptimized build. Copying one takes more: this deep only where frames
/// are optimized.
pub(super) const LONGEST_CHAIN: usize = 1_000;

/// The deepest nesting of calls that sqlparser reads twice when what is in them does not parse (first as the special
/// form, then as a function of that name), so that the time doubles with each.
const DEEPEST_SPECIAL: usize = 12;

/// The most ASOF joins of a statement, each of which is planned inside the next one.
const MOST_ASOF_JOINS: usize = 32;

/// The words of those forms.
const SPECIAL: &[&str] = &[
    "CAST",
    "TRY_CAST",
    "SAFE_CAST",
    "CONVERT",
    "TRY_CONVERT",
    "EXISTS",
    "EXTRACT",
    "CEIL",
    "FLOOR",
    "POSITION",
    "SUBSTR",
    "SUBSTRING",
    "OVERLAY",
    "TRIM",
    "ARRAY",
    "STRUCT",
    "MATCH",
    "NOT",
    "CASE",
    "INTERVAL",
    "PRIOR",
    "MAP",
    "LAMBDA",
    "IN",
    "CURRENT_TIMESTAMP",
    "CURRENT_TIME",
    "CURRENT_DATE",
    "LOCALTIME",
    "LOCALTIMESTAMP",
];

/// Precedence levels, from the loosest.
const LEVELS: usize = 6;

/// The links open in one pair of parentheses.
#[derive(Default, Clone, Copy)]
struct Links {
    by_level: [usize; LEVELS],
    sets: usize,
    /// How many special forms are open around here.
    special: usize,
}

/// Checks all chains of a statement.
///
/// # Errors
/// `Invalid`, at the link that is too much.
pub(super) fn check(tokens: &[TokenWithSpan], start: Location) -> Result<()> {
    let mut open = vec![];
    let mut links = Links::default();
    let mut before: Option<&Token> = None;
    let mut asof_joins = 0;
    for token in tokens {
        match &token.token {
            opening @ (Token::LParen | Token::LBracket | Token::LBrace) => {
                // `a[1][1]` is read one call deeper per bracket.
                links.by_level[LEVELS - 1] += usize::from(*opening == Token::LBracket);
                let special = before.is_some_and(|b| SPECIAL.iter().any(|w| is_word(b, w)));
                let inner = Links { special: links.special + usize::from(special), ..Links::default() };
                open.push(std::mem::replace(&mut links, inner));
            }
            Token::RParen | Token::RBracket | Token::RBrace => links = open.pop().unwrap_or_default(),
            Token::Comma | Token::SemiColon => links.by_level = [0; LEVELS],
            other => links.take(other),
        }
        let asof = |a: &str, b: &str| before.is_some_and(|t| is_word(t, a)) && is_word(&token.token, b);
        asof_joins += usize::from(asof("ASOF", "JOIN") || asof("FOR", "SYSTEM_TIME"));
        if asof_joins > MOST_ASOF_JOINS {
            let message = format!("more than {MOST_ASOF_JOINS} ASOF joins; split the query with views");
            return Err(Error::invalid(message).at(place(token.span.start).unwrap_or(start)));
        }
        before = Some(&token.token);
        links.check(place(token.span.start).unwrap_or(start))?;
    }
    Ok(())
}

impl Links {
    fn check(&self, at: Location) -> Result<()> {
        let message = if self.by_level.iter().sum::<usize>() > LONGEST_CHAIN {
            format!(
                "more than {LONGEST_CHAIN} operators in a row; use IN (..) or VALUES, or split it with parentheses"
            )
        } else if self.sets > LONGEST_CHAIN {
            format!("more than {LONGEST_CHAIN} queries in a row; split them with parentheses")
        } else if self.special > DEEPEST_SPECIAL {
            "expression is nested too deeply; split it with a subquery".to_string()
        } else {
            return Ok(());
        };
        Err(Error::invalid(message).at(at))
    }

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
