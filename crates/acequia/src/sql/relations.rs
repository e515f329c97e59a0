//! Relations that sqlparser does not know, rewritten in the tokens before it sees them.
//!
//! ```text
//! FROM STREAM t                                 ->  FROM t
//! l LEFT ASOF JOIN r                            ->  l ASOF JOIN r, which is a left join
//! FROM rel [AS x] WATERMARK e [AS a] DELAY OF i ->  FROM __with_watermark((SELECT * FROM rel [AS x]), e, i[, a]) AS x
//! ```
//! One pass over the tokens, with a stack of parentheses that knows for each whether a relation is expected and where
//! the current one began. Tokens keep their spans; new ones take that of the word WATERMARK, so that an error about
//! the rewritten form still points at the clause. Both words stay usable as names: `FROM stream`, `FROM t watermark`.

use super::cursor::{is_word, string_of};
use super::error::place;
use acequia_core::{Error, Location, Result};
use datafusion::sql::sqlparser::keywords::RESERVED_FOR_TABLE_ALIAS;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

/// The table function of a watermark in a query.
const WITH_WATERMARK: &str = "__with_watermark";

const UNITS: &[&str] =
    &["MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"];

/// Words that end a FROM clause at its depth.
const AFTER_FROM: &[&str] = &[
    "SELECT",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "QUALIFY",
    "WINDOW",
    "SET",
    "VALUES",
];

/// Words that join relations.
const JOIN_WORDS: &[&str] = &[
    "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "OUTER", "ASOF", "SEMI", "ANTI", "ON",
    "USING",
];

/// The tokens with every relation in canonical form.
pub(super) fn rewrite(tokens: &[TokenWithSpan], end: Location) -> Result<Vec<TokenWithSpan>> {
    let mut pass =
        Pass { tokens, end, out: Vec::with_capacity(tokens.len()), open: vec![], scope: Scope::default() };
    let mut n = 0;
    while n < tokens.len() {
        n = pass.step(n)?;
    }
    Ok(pass.out)
}

/// Where the pass stands inside one pair of parentheses.
#[derive(Default, Clone, Copy)]
struct Scope {
    part: Part,
    /// A SELECT stands at this depth, so a FROM is its clause.
    select: bool,
    /// Nothing stands at this depth yet.
    started: bool,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Part {
    /// No relation can stand here.
    #[default]
    Elsewhere,
    /// A relation is expected.
    Expected,
    /// A relation began at this index of the output.
    Relation(usize),
    /// Behind a relation: conditions, until JOIN or a comma.
    Condition,
}

struct Pass<'a> {
    tokens: &'a [TokenWithSpan],
    end: Location,
    out: Vec<TokenWithSpan>,
    open: Vec<Scope>,
    scope: Scope,
}

impl Pass<'_> {
    fn is(&self, n: usize, word: &str) -> bool {
        self.tokens.get(n).is_some_and(|t| is_word(&t.token, word))
    }

    fn is_any(&self, n: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(n, word))
    }

    fn at(&self, n: usize) -> Location {
        self.tokens.get(n).and_then(|t| place(t.span.start)).unwrap_or(self.end)
    }

    /// Takes the token at `n` and gives the index of the next one to take.
    fn step(&mut self, n: usize) -> Result<usize> {
        let token = &self.tokens[n];
        match &token.token {
            Token::LParen => return Ok(self.open(n)),
            Token::RParen => {
                self.scope = self.open.pop().unwrap_or_default();
                self.out.push(token.clone());
                return Ok(n + 1);
            }
            Token::Comma if matches!(self.scope.part, Part::Relation(_) | Part::Condition) => {
                self.scope.part = Part::Expected;
            }
            Token::Word(word) if word.quote_style.is_none() => {
                if let Some(next) = self.word(n)? {
                    return Ok(next);
                }
            }
            _ => self.begin_relation(),
        }
        self.scope.started = true;
        self.out.push(token.clone());
        Ok(n + 1)
    }

    fn begin_relation(&mut self) {
        if self.scope.part == Part::Expected {
            self.scope.part = Part::Relation(self.out.len());
        }
    }

    fn open(&mut self, n: usize) -> usize {
        // Parentheses where a relation is expected hold a query or a join of relations.
        let inner = if self.scope.part == Part::Expected { Part::Expected } else { Part::Elsewhere };
        self.begin_relation();
        self.scope.started = true;
        self.open.push(self.scope);
        self.scope = Scope { part: inner, ..Scope::default() };
        self.out.push(self.tokens[n].clone());
        n + 1
    }

    /// Takes a word that means something here; `None` leaves it to be copied.
    fn word(&mut self, n: usize) -> Result<Option<usize>> {
        let after_dot = n > 0 && self.tokens[n - 1].token == Token::Period;
        if after_dot {
            return Ok(None);
        }
        let behind = matches!(self.scope.part, Part::Relation(_) | Part::Condition);
        if behind && self.is(n, "LEFT") && self.is(n + 1, "ASOF") {
            return Ok(Some(n + 1));
        }
        self.refuse_ksql_window(n)?;
        if self.is(n, "FROM") && self.begins_from(n) {
            self.scope.part = Part::Expected;
        } else if self.is_any(n, AFTER_FROM) {
            self.scope.part = Part::Elsewhere;
            self.scope.select |= self.is(n, "SELECT");
        } else if self.scope.part == Part::Elsewhere || self.is(n, "LATERAL") {
        } else if self.is(n, "JOIN") {
            self.scope.part = Part::Expected;
        } else if self.is_any(n, JOIN_WORDS) && self.scope.part != Part::Expected {
            self.scope.part = Part::Condition;
        } else if self.scope.part == Part::Expected && self.is(n, "STREAM") && self.names_relation(n + 1) {
            return Ok(Some(n + 1));
        } else if let (Part::Relation(start), true) = (self.scope.part, self.is(n, "WATERMARK")) {
            return self.watermark(n, start);
        } else {
            self.begin_relation();
        }
        Ok(None)
    }

    /// FROM begins a clause after a SELECT or first in its parentheses; not in `IS DISTINCT FROM`, nor in
    /// `EXTRACT(.. FROM ..)`, nor in `DELETE FROM`.
    fn begins_from(&self, n: usize) -> bool {
        let distinct = n > 1 && self.is(n - 1, "DISTINCT") && self.is_any(n - 2, &["IS", "NOT"]);
        (self.scope.select || !self.scope.started) && !distinct
    }

    /// Whether the token is the name of a relation, so that the word STREAM before it is not.
    fn names_relation(&self, n: usize) -> bool {
        const OURS: &[&str] = &["AS", "WATERMARK", "EMIT", "TRIGGER"];
        match self.tokens.get(n).map(|t| &t.token) {
            Some(Token::Word(w)) if w.quote_style.is_none() => {
                !RESERVED_FOR_TABLE_ALIAS.contains(&w.keyword)
                    && (!self.is_any(n, OURS) || self.ends_relation(n + 1) || self.is(n + 1, "WATERMARK"))
            }
            Some(Token::Word(_)) => true,
            _ => false,
        }
    }

    /// Whether nothing of a relation follows.
    fn ends_relation(&self, n: usize) -> bool {
        match self.tokens.get(n).map(|t| &t.token) {
            None | Some(Token::Comma | Token::RParen | Token::SemiColon) => true,
            Some(Token::Word(_)) => self.is_any(n, AFTER_FROM) || self.is_any(n, JOIN_WORDS),
            _ => false,
        }
    }

    /// ksqlDB's `WINDOW TUMBLING (SIZE ..)`.
    fn refuse_ksql_window(&self, n: usize) -> Result<()> {
        let windows = [
            ("TUMBLING", "window(ts, '1 minute')"),
            ("HOPPING", "window(ts, '10 minutes', '1 minute')"),
            ("SESSION", "session_window(ts, '5 minutes')"),
        ];
        let found = windows.iter().find(|(word, _)| self.is(n, "WINDOW") && self.is(n + 1, word));
        match found {
            Some((word, instead)) if self.tokens.get(n + 2).is_some_and(|t| t.token == Token::LParen) => {
                let message = format!("WINDOW {word} is not supported; write GROUP BY {instead}");
                Err(Error::unsupported(message).at(self.at(n)))
            }
            _ => Ok(()),
        }
    }

    /// Rewrites the relation that began at `start` of the output; `None` when the word at `n` is its alias.
    fn watermark(&mut self, n: usize, start: usize) -> Result<Option<usize>> {
        let Some(delay) = self.find_delay(n + 1) else {
            if self.is_alias(n) {
                return Ok(None);
            }
            let message =
                "a watermark in a query needs its delay; write WATERMARK <time> DELAY OF INTERVAL 10 SECONDS";
            return Err(Error::invalid(message).at(self.at(n)));
        };
        if delay == n + 1 {
            return Err(
                Error::invalid("expected the event time after WATERMARK, found `DELAY`").at(self.at(delay))
            );
        }
        let span = self.tokens[n].span;
        let after = self.interval_end(delay + 2)?;
        let (time, renamed) = time_and_name(&self.tokens[n + 1..delay]);
        let relation = self.out.split_off(start);
        let alias = alias_of(&relation).cloned();
        self.out.extend(words(&[WITH_WATERMARK, "(", "(", "SELECT", "*", "FROM"], span));
        self.out.extend(relation);
        self.out.extend(words(&[")", ","], span));
        self.out.extend_from_slice(time);
        self.out.extend(words(&[","], span));
        self.out.extend_from_slice(&self.tokens[delay + 2..after]);
        if let Some(name) = renamed {
            self.out.extend(words(&[","], span));
            self.out.push(name.clone());
        }
        self.out.extend(words(&[")"], span));
        if let (Some(alias), false) = (alias, self.alias_follows(after)) {
            self.out.extend(words(&["AS"], span));
            self.out.push(alias);
        }
        // A relation has one watermark: a second one finds no relation to speak of.
        self.scope.part = Part::Condition;
        Ok(Some(after))
    }

    /// The index of `DELAY OF` at this depth, before the relation ends.
    fn find_delay(&self, from: usize) -> Option<usize> {
        let mut depth = 0usize;
        for n in from..self.tokens.len() {
            match &self.tokens[n].token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.checked_sub(1)?,
                Token::Comma if depth == 0 => return None,
                _ if depth > 0 => {}
                _ if self.is(n, "DELAY") && self.is(n + 1, "OF") => return Some(n),
                _ if self.is_any(n, AFTER_FROM) || self.is(n, "JOIN") || self.is(n, "FROM") => return None,
                _ => {}
            }
        }
        None
    }

    fn is_alias(&self, n: usize) -> bool {
        let next = self.tokens.get(n + 1).map(|t| &t.token);
        self.is(n - 1, "AS")
            || self.ends_relation(n + 1)
            || matches!(next, Some(Token::LParen | Token::Period))
            || self
                .is_any(n + 1, &["EMIT", "TRIGGER", "WITH", "TABLESAMPLE", "WATERMARK", "LATERAL", "PIVOT"])
    }

    /// The index behind `INTERVAL 10 SECONDS`, `INTERVAL '10' SECOND`, `INTERVAL '10 seconds'` or `'10 seconds'`.
    fn interval_end(&self, from: usize) -> Result<usize> {
        let text = |n: usize| self.tokens.get(n).is_some_and(|t| string_of(&t.token).is_some());
        let mut n = from;
        if self.is(n, "INTERVAL") {
            n += 1;
            let number = matches!(self.tokens.get(n).map(|t| &t.token), Some(Token::Number(..)));
            if number || text(n) {
                let unit = UNITS.iter().any(|u| self.is(n + 1, u) || self.is(n + 1, &format!("{u}S")));
                return Ok(if unit { n + 2 } else { n + 1 });
            }
        } else if text(n) {
            return Ok(n + 1);
        }
        let found = match self.tokens.get(n) {
            Some(token) => format!("`{}`", token.token),
            None => "the end of the statement".to_string(),
        };
        let message =
            format!("expected a constant interval after DELAY OF, as INTERVAL 10 SECONDS, found {found}");
        Err(Error::invalid(message).at(self.at(n)))
    }

    fn alias_follows(&self, n: usize) -> bool {
        match self.tokens.get(n).map(|t| &t.token) {
            Some(Token::Word(w)) if w.quote_style.is_none() => {
                self.is(n, "AS") || !RESERVED_FOR_TABLE_ALIAS.contains(&w.keyword)
            }
            Some(Token::Word(_)) => true,
            _ => false,
        }
    }
}

/// `e [AS a]`
fn time_and_name(time: &[TokenWithSpan]) -> (&[TokenWithSpan], Option<&TokenWithSpan>) {
    match time {
        [expr @ .., marker, name]
            if !expr.is_empty() && is_word(&marker.token, "AS") && matches!(name.token, Token::Word(_)) =>
        {
            (expr, Some(name))
        }
        _ => (time, None),
    }
}

/// The name that a relation goes by: its alias, or the last part of its name; a call or a subquery has none.
fn alias_of(relation: &[TokenWithSpan]) -> Option<&TokenWithSpan> {
    let last = relation.last()?;
    if matches!(last.token, Token::Word(_)) {
        return Some(last);
    }
    let open = opening(relation)?;
    let name = open.checked_sub(1)?;
    let before = &relation.get(name.checked_sub(1)?)?.token;
    // `f(..)` is a call, `t x(..)`, `(..) x(..)` and `AS x(..)` are an alias with columns.
    let alias = matches!(relation[name].token, Token::Word(_)) && !matches!(before, Token::Period);
    alias.then(|| &relation[name])
}

/// The index of the parenthesis that the last token closes.
fn opening(tokens: &[TokenWithSpan]) -> Option<usize> {
    let mut depth = 0usize;
    for (n, token) in tokens.iter().enumerate().rev() {
        match token.token {
            Token::RParen => depth += 1,
            Token::LParen => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(n);
        }
    }
    None
}

/// Tokens that stand for no text of their own.
fn words(texts: &[&str], span: Span) -> Vec<TokenWithSpan> {
    let token = |text: &&str| match *text {
        "(" => Token::LParen,
        ")" => Token::RParen,
        "," => Token::Comma,
        "*" => Token::Mul,
        word => Token::make_word(word, None),
    };
    texts.iter().map(|text| TokenWithSpan { token: token(text), span }).collect()
}
