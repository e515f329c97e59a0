//! Queries and the clauses that make them continuous: `EMIT`, `TRIGGER` and the closing `WITH (...)`, in any order.
//!
//! The clauses are cut off the tokens before sqlparser sees the query, at the first word at depth 0 that begins one.
//! A word begins a clause when it stands after a complete operand and is not followed by what continues a query, so
//! `SELECT emit FROM t`, `FROM t emit WHERE ...` and `AS trigger` keep their names.

use super::ast::{ContinuousQuery, Insert, Statement, Trigger};
use super::cursor::{Cursor, is_word, string_of};
use super::dialect::{EMIT_WORDS, TRIGGER_WORDS};
use super::error::place;
use super::option_list::read_options;
use super::{ignored, relations, table_functions};
use acequia_core::time::parse_interval;
use acequia_core::{Error, Location, Options, OutputMode, Result};
use datafusion::sql::sqlparser::ast::{Query, SetExpr, VisitMut};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use std::time::Duration;

/// Reads the rest of the statement as a query with its clauses.
pub(super) fn read(cursor: &mut Cursor) -> Result<ContinuousQuery> {
    read_with(cursor, Options::new("query"))
}

/// The same, added to options that were given before the query.
pub(super) fn read_with(cursor: &mut Cursor, options: Options) -> Result<ContinuousQuery> {
    let (location, end) = (cursor.location(), cursor.end());
    let tokens = cursor.rest();
    let (body, tail) = tokens.split_at(tail_start(tokens));
    let body_end = tail.first().and_then(|t| place(t.span.start)).unwrap_or(end);
    let mut body = Cursor::new(relations::rewrite(body, body_end)?, body_end);
    let mut query = parse_query(&mut body)?;
    refuse_writes(&query.body, location)?;
    canonicalize(query.as_mut(), location)?;
    let mut continuous = ContinuousQuery { query, emit: None, trigger: None, options, location };
    read_tail(&mut Cursor::new(tail.to_vec(), end), &mut continuous)?;
    Ok(continuous)
}

fn parse_query(body: &mut Cursor) -> Result<Box<Query>> {
    let tokens = body.rest().to_vec();
    let query = body.sql(Parser::parse_query).and_then(|query| body.finish().map(|()| query));
    query.map_err(|error| sharpen(&tokens, body.end(), error))
}

/// How many parentheses an error is looked for in.
const SHARPEN_LIMIT: usize = 64;

/// sqlparser reads what `FROM (` opens first as a query, then as a join of tables, and tells only the error of the
/// second: at the wrong place. So the innermost query in parentheses that does not parse by itself is the one to name.
pub(super) fn sharpen(tokens: &[TokenWithSpan], end: Location, error: Error) -> Error {
    let wrong = |(from, to): (usize, Option<usize>)| {
        let close = to.and_then(|to| tokens.get(to)).and_then(|t| place(t.span.start)).unwrap_or(end);
        let mut inner = Cursor::new(tokens[from..to.unwrap_or(tokens.len())].to_vec(), close);
        match inner.sql(Parser::parse_query) {
            Ok(_) if !inner.is_done() || to.is_none() => Some(inner.unexpected_after("`)`")),
            Ok(_) => None,
            Err(error) => Some(error),
        }
    };
    queries_in_parentheses(tokens).into_iter().take(SHARPEN_LIMIT).find_map(wrong).unwrap_or(error)
}

/// The insides of the parentheses that hold a query, inner ones first; one that is not closed has no end.
fn queries_in_parentheses(tokens: &[TokenWithSpan]) -> Vec<(usize, Option<usize>)> {
    let mut open = vec![];
    let mut found = vec![];
    let holds_query = |from: usize| {
        tokens.get(from).is_some_and(|t| is_word(&t.token, "SELECT") || is_word(&t.token, "WITH"))
    };
    for (n, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => open.push(n + 1),
            Token::RParen => found.extend(open.pop().map(|from| (from, Some(n)))),
            _ => {}
        }
    }
    found.extend(open.into_iter().rev().map(|from| (from, None)));
    found.retain(|(from, _)| holds_query(*from));
    found
}

fn refuse_writes(body: &SetExpr, at: Location) -> Result<()> {
    match body {
        SetExpr::Insert(_) => {
            Err(Error::unsupported("WITH before INSERT; write INSERT INTO .. WITH .. SELECT").at(at))
        }
        SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            Err(Error::unsupported("WITH before UPDATE, DELETE or MERGE; put the query into a subquery")
                .at(at))
        }
        _ => Ok(()),
    }
}

/// Brings what DataFusion does not know into canonical form.
pub(super) fn canonicalize(tree: &mut impl VisitMut, start: Location) -> Result<()> {
    ignored::rewrite(tree, start)?;
    table_functions::rewrite(tree, start)
}

/// `INSERT INTO | OVERWRITE target [(columns)] query`
pub(super) fn read_insert(cursor: &mut Cursor) -> Result<Statement> {
    cursor.expect(&["INSERT"])?;
    let overwrite = cursor.eat(&["OVERWRITE"]);
    if !overwrite {
        if !cursor.eat(&["INTO"]) {
            return Err(cursor.unexpected_among("INTO or OVERWRITE", &["INTO", "OVERWRITE"]));
        }
    } else {
        cursor.eat(&["INTO"]);
    }
    if matches!(cursor.token(1), Some(Token::Word(_))) {
        cursor.eat(&["TABLE"]);
    }
    let target = cursor.object_name("the stream, sink or table to insert into")?;
    refuse_insert(cursor)?;
    let columns =
        if lists_columns(cursor) { cursor.list("columns", |c| c.ident("a column"))? } else { vec![] };
    if cursor.is_done() {
        return Err(cursor.unexpected("SELECT or VALUES"));
    }
    let query = read(cursor)?;
    let is_values = matches!(*query.query.body, SetExpr::Values(_));
    Ok(Statement::Insert(Insert { target, columns, overwrite, query, is_values }))
}

fn refuse_insert(cursor: &Cursor) -> Result<()> {
    let refused: &[(&[&str], &str)] = &[
        (&["BY", "NAME"], "INSERT .. BY NAME; list the columns: INSERT INTO t (a, b) SELECT .."),
        (&["DEFAULT", "VALUES"], "INSERT .. DEFAULT VALUES; write the values"),
        (&["PARTITION"], "INSERT .. PARTITION; give the sink the option partition_by"),
    ];
    match refused.iter().find(|(words, _)| cursor.at(words)) {
        Some((_, message)) => Err(Error::unsupported(*message).at(cursor.location())),
        None => Ok(()),
    }
}

/// Whether the parenthesis that comes next holds columns and not the query.
fn lists_columns(cursor: &Cursor) -> bool {
    const QUERY: &[&str] = &["SELECT", "WITH", "VALUES", "TABLE", "FROM"];
    cursor.at_token(&Token::LParen)
        && match cursor.token(1) {
            Some(Token::LParen) => false,
            // A column may be called `values`; then a `,` or `)` follows.
            Some(word) if QUERY.iter().any(|w| is_word(word, w)) => {
                matches!(cursor.token(2), Some(Token::Comma | Token::RParen))
            }
            _ => true,
        }
}

/// Words that want an operand after them: a name that follows is no clause.
const WANT_OPERAND: &[&str] = &[
    "SELECT",
    "DISTINCT",
    "FROM",
    "JOIN",
    "ON",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "BY",
    "HAVING",
    "AS",
    "IN",
    "IS",
    "LIKE",
    "ILIKE",
    "BETWEEN",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "LIMIT",
    "OFFSET",
    "USING",
    "LATERAL",
    "TABLE",
    "QUALIFY",
    "OF",
    "INTERVAL",
    "RETURNING",
    "WINDOW",
    "OVER",
    "FOR",
];

/// Words that continue a query after a name.
const CONTINUE: &[&str] = &[
    "FROM",
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
    "MINUS",
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "CROSS",
    "NATURAL",
    "OUTER",
    "ASOF",
    "ON",
    "USING",
    "QUALIFY",
    "WINDOW",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS",
    "LIKE",
    "ILIKE",
    "BETWEEN",
    "ASC",
    "DESC",
    "NULLS",
    "FOR",
    "LATERAL",
    "WITH",
    "EMIT",
    "TRIGGER",
    "WATERMARK",
    "TABLESAMPLE",
    "MATCH_RECOGNIZE",
    "PIVOT",
    "UNPIVOT",
    "SEMI",
    "ANTI",
    "COLLATE",
];

/// The index of the first token of the clauses; the number of tokens when there are none.
fn tail_start(tokens: &[TokenWithSpan]) -> usize {
    let mut depth = 0usize;
    for (n, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            _ if depth == 0 && n > 0 && begins_tail(tokens, n) => return n,
            _ => {}
        }
    }
    tokens.len()
}

fn begins_tail(tokens: &[TokenWithSpan], n: usize) -> bool {
    let word = &tokens[n].token;
    let next = tokens.get(n + 1).map(|t| &t.token);
    let next_is = |words: &[&str]| next.is_some_and(|t| words.iter().any(|w| is_word(t, w)));
    if is_word(word, "WITH") {
        return next == Some(&Token::LParen);
    }
    if is_word(word, "OUTPUT") {
        return next_is(&["MODE"]);
    }
    if !(is_word(word, "EMIT") || is_word(word, "TRIGGER")) || !is_operand_end(&tokens[n - 1].token) {
        return false;
    }
    let on_close = next_is(&["ON"]) && tokens.get(n + 2).is_some_and(|t| is_word(&t.token, "WINDOW"));
    let plain_word = matches!(next, Some(Token::Word(w)) if w.quote_style.is_none()) && !next_is(CONTINUE);
    // `FROM t emit` is an alias as much as a clause without its mode: asking for the mode is the safe reading.
    on_close || plain_word || next.is_none()
}

fn is_operand_end(token: &Token) -> bool {
    match token {
        Token::Word(_) => !WANT_OPERAND.iter().any(|w| is_word(token, w)),
        Token::Number(..) | Token::RParen | Token::RBracket | Token::RBrace | Token::Placeholder(_) => true,
        other => string_of(other).is_some(),
    }
}

fn read_tail(cursor: &mut Cursor, query: &mut ContinuousQuery) -> Result<()> {
    let mut given = (false, false, false);
    while !cursor.is_done() {
        let at = cursor.location();
        let twice = if cursor.eat(&["EMIT"]) {
            query.emit = Some((read_mode(cursor)?, at));
            std::mem::replace(&mut given.0, true)
        } else if cursor.eat(&["TRIGGER"]) {
            query.trigger = Some((read_trigger(cursor)?, at));
            std::mem::replace(&mut given.1, true)
        } else if cursor.at(&["WITH"]) {
            cursor.advance();
            read_options(cursor, &mut query.options)?;
            std::mem::replace(&mut given.2, true)
        } else {
            return Err(unexpected_in_tail(cursor));
        };
        if twice {
            return Err(Error::invalid("EMIT, TRIGGER and WITH stand at most once each").at(at));
        }
    }
    Ok(())
}

fn unexpected_in_tail(cursor: &Cursor) -> Error {
    if cursor.at(&["OUTPUT", "MODE"]) {
        let mode = cursor.token(2).map(|t| t.to_string().to_uppercase()).unwrap_or("APPEND".to_string());
        return Error::invalid(format!("OUTPUT MODE is not a clause; write EMIT {mode}"))
            .at(cursor.location());
    }
    cursor.unexpected_among("EMIT, TRIGGER, WITH or the end of the statement", &["EMIT", "TRIGGER", "WITH"])
}

fn read_mode(cursor: &mut Cursor) -> Result<OutputMode> {
    if cursor.eat(&["FINAL"]) || cursor.eat(&["ON", "WINDOW", "CLOSE"]) {
        return Ok(OutputMode::Append);
    }
    if cursor.at(&["ON", "WINDOW"]) {
        cursor.expect(&["ON", "WINDOW", "CLOSE"])?;
    }
    if cursor.at(&["IMMEDIATELY"]) {
        return Err(Error::unsupported("EMIT IMMEDIATELY; write EMIT UPDATE").at(cursor.location()));
    }
    let mode = EMIT_WORDS.iter().find(|word| cursor.at(&[word])).and_then(|word| word.parse().ok());
    match mode {
        Some(mode) => {
            cursor.advance();
            Ok(mode)
        }
        None => {
            Err(cursor.unexpected_among("APPEND, UPDATE, COMPLETE, CHANGES or ON WINDOW CLOSE", EMIT_WORDS))
        }
    }
}

fn read_trigger(cursor: &mut Cursor) -> Result<Trigger> {
    if cursor.eat(&["ONCE"]) {
        return Ok(Trigger::Once);
    }
    if cursor.eat(&["AVAILABLE"]) {
        cursor.expect(&["NOW"])?;
        return Ok(Trigger::AvailableNow);
    }
    if cursor.eat(&["EVERY"]) {
        return read_interval(cursor).map(Trigger::ProcessingTime);
    }
    let expected = "EVERY '<interval>', AVAILABLE NOW or ONCE";
    Err(cursor.unexpected_among(expected, TRIGGER_WORDS))
}

/// `'5 seconds'`, `INTERVAL '5' SECOND`, `INTERVAL '5 seconds'`, `5 SECONDS`
fn read_interval(cursor: &mut Cursor) -> Result<Duration> {
    let at = cursor.location();
    cursor.eat(&["INTERVAL"]);
    let mut text = match cursor.token(0) {
        Some(Token::Number(number, _)) => number.clone(),
        Some(token) if string_of(token).is_some() => string_of(token).unwrap_or_default().to_string(),
        _ => return Err(cursor.unexpected("an interval, as '5 seconds'")),
    };
    cursor.advance();
    let unit = match cursor.token(0) {
        Some(Token::Word(word)) if !["EMIT", "TRIGGER", "WITH"].iter().any(|w| cursor.at(&[w])) => {
            Some(word.value.clone())
        }
        _ => None,
    };
    if let Some(unit) = unit {
        text = format!("{text} {unit}");
        cursor.advance();
    }
    let micros = parse_interval(&text).map_err(|e| e.at(at))?;
    let micros = u64::try_from(micros)
        .map_err(|_| Error::invalid(format!("a trigger's interval cannot be negative: `{text}`")).at(at))?;
    Ok(Duration::from_micros(micros))
}
