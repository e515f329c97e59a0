//! Small statements: transactions, DROP, SHOW, DESCRIBE, STOP QUERY, SET.

use super::ast::{Describe, Drop, ObjectKind, ShowKind, Statement};
use super::cursor::{Cursor, is_word, string_of};
use super::error::did_you_mean;
use super::option_list::read_value;
use super::statement::read_datafusion;
use acequia_core::{Error, Result};
use datafusion::sql::sqlparser::tokenizer::Token;

/// `BEGIN`, `START TRANSACTION`, `COMMIT`, `ROLLBACK`.
pub(super) fn read_transaction(cursor: &mut Cursor) -> Result<Statement> {
    let statement = if cursor.eat(&["START"]) {
        cursor.expect(&["TRANSACTION"])?;
        Statement::Begin
    } else {
        let statement = match () {
            () if cursor.eat(&["BEGIN"]) => Statement::Begin,
            () if cursor.eat(&["COMMIT"]) => Statement::Commit,
            () => {
                cursor.expect(&["ROLLBACK"])?;
                Statement::Rollback
            }
        };
        let _noise = cursor.eat(&["TRANSACTION"]) || cursor.eat(&["WORK"]);
        statement
    };
    cursor.finish()?;
    Ok(statement)
}

const KINDS: &[(&[&str], ObjectKind)] = &[
    (&["STREAM"], ObjectKind::Stream),
    (&["SOURCE"], ObjectKind::Stream),
    (&["SINK"], ObjectKind::Sink),
    (&["MATERIALIZED", "VIEW"], ObjectKind::MaterializedView),
    (&["STREAMING", "TABLE"], ObjectKind::StreamingTable),
    (&["TABLE"], ObjectKind::Table),
    (&["VIEW"], ObjectKind::View),
];

/// Reads the words of a kind, if a name follows them.
fn read_kind(cursor: &mut Cursor) -> Option<ObjectKind> {
    let (words, kind) = KINDS.iter().find(|(words, _)| cursor.at(words))?;
    let named = matches!(cursor.token(words.len()), Some(Token::Word(_)));
    (named && cursor.eat(words)).then_some(*kind)
}

/// `DROP STREAM | SINK | MATERIALIZED VIEW | STREAMING TABLE [IF EXISTS] name`; others are DataFusion's.
pub(super) fn read_drop(cursor: &mut Cursor) -> Result<Statement> {
    const PLAIN: &[&str] = &["TABLE", "VIEW", "SCHEMA", "DATABASE", "FUNCTION", "INDEX", "CATALOG"];
    if PLAIN.iter().any(|kind| cursor.at(&["DROP", kind])) {
        return read_datafusion(cursor);
    }
    if cursor.at(&["DROP", "QUERY"]) {
        return Err(Error::invalid("a query is not dropped; write STOP QUERY <name>").at(cursor.location()));
    }
    cursor.expect(&["DROP"])?;
    let Some(kind) = read_kind(cursor) else {
        let words = ["STREAM", "SINK", "MATERIALIZED VIEW", "STREAMING TABLE", "TABLE", "VIEW"];
        return Err(cursor.unexpected_among("STREAM, SINK, TABLE, VIEW or MATERIALIZED VIEW", &words));
    };
    let if_exists = cursor.eat(&["IF", "EXISTS"]);
    let name = cursor.object_name("a name")?;
    cursor.finish()?;
    Ok(Statement::Drop(Drop { kind, name, if_exists }))
}

const LISTS: &[(&[&str], ShowKind)] = &[
    (&["STREAMS"], ShowKind::Streams),
    (&["SOURCES"], ShowKind::Streams),
    (&["SINKS"], ShowKind::Sinks),
    (&["QUERIES"], ShowKind::Queries),
    (&["TABLES"], ShowKind::Tables),
    (&["VIEWS"], ShowKind::Views),
    (&["MATERIALIZED", "VIEWS"], ShowKind::MaterializedViews),
    (&["STREAMING", "TABLES"], ShowKind::StreamingTables),
];

/// `SHOW <kinds>`, `SHOW CREATE [kind] name`; settings, columns and the like are DataFusion's.
pub(super) fn read_show(cursor: &mut Cursor) -> Result<Statement> {
    let list =
        LISTS.iter().find(|(words, _)| is_show(cursor, words) && cursor.rest().len() == words.len() + 1);
    if let Some((_, kind)) = list {
        return Ok(Statement::Show(*kind));
    }
    if cursor.eat(&["SHOW", "CREATE"]) {
        let kind = read_kind(cursor);
        let name = cursor.object_name("a name")?;
        cursor.finish()?;
        return Ok(Statement::ShowCreate { kind, name });
    }
    if let Some((words, _)) = LISTS.iter().find(|(words, _)| words[0] != "TABLES" && is_show(cursor, words)) {
        cursor.expect(&["SHOW"])?;
        cursor.expect(words)?;
        return cursor.finish().map(|()| Statement::Show(ShowKind::Streams));
    }
    misspelt_list(cursor)?;
    read_datafusion(cursor)
}

fn is_show(cursor: &Cursor, words: &[&str]) -> bool {
    cursor.at(&["SHOW"])
        && words.iter().enumerate().all(|(n, w)| cursor.token(n + 1).is_some_and(|t| is_word(t, w)))
}

/// A single word after SHOW that is nearly a kind is no setting.
fn misspelt_list(cursor: &Cursor) -> Result<()> {
    const KNOWN: &[&str] = &["STREAMS", "SINKS", "QUERIES", "TABLES", "VIEWS", "SOURCES", "CREATE", "ALL"];
    const PLAIN: &[&str] = &["COLUMNS", "FUNCTIONS", "DATABASES", "SCHEMAS", "TIME", "VARIABLES", "CATALOGS"];
    let Some(Token::Word(word)) = cursor.token(1) else { return Ok(()) };
    let plain = PLAIN.iter().any(|w| word.value.eq_ignore_ascii_case(w));
    let hint = did_you_mean(&word.value, KNOWN);
    if plain || hint.is_empty() || cursor.rest().len() > 3 {
        return Ok(());
    }
    Err(Error::invalid(format!("unknown list: `{word}`{hint}")).at(cursor.location()))
}

/// `DESCRIBE [EXTENDED] [kind] name`; of a query it is DataFusion's.
pub(super) fn read_describe(cursor: &mut Cursor) -> Result<Statement> {
    if ["SELECT", "WITH", "VALUES"].iter().any(|w| cursor.token(1).is_some_and(|t| is_word(t, w))) {
        return read_datafusion(cursor);
    }
    cursor.advance();
    let named = |n: usize| matches!(cursor.token(n), Some(Token::Word(_)));
    let extended = named(1) && (cursor.eat(&["EXTENDED"]) || cursor.eat(&["FORMATTED"]));
    let kind = read_kind(cursor);
    let name = cursor.object_name("a name")?;
    cursor.finish()?;
    Ok(Statement::Describe(Describe { kind, name, extended }))
}

/// `STOP QUERY [IF EXISTS] name`
pub(super) fn read_stop(cursor: &mut Cursor) -> Result<Statement> {
    cursor.expect(&["STOP", "QUERY"])?;
    let if_exists = cursor.eat(&["IF", "EXISTS"]);
    let name = match cursor.token(0).and_then(string_of).map(str::to_string) {
        Some(name) => {
            cursor.advance();
            name
        }
        None => cursor.ident("the query's name")?.value,
    };
    cursor.finish()?;
    Ok(Statement::StopQuery { name, if_exists })
}

/// `SET acequia.key = value`; other settings are DataFusion's.
pub(super) fn read_set(cursor: &mut Cursor) -> Result<Statement> {
    let quoted = cursor.token(1).and_then(string_of).map(str::to_lowercase);
    let ours = cursor.token(1).is_some_and(|t| is_word(t, "acequia"));
    if !ours && !quoted.as_ref().is_some_and(|key| key.starts_with("acequia.")) {
        return read_datafusion(cursor);
    }
    cursor.expect(&["SET"])?;
    let key = match quoted {
        Some(key) => {
            cursor.advance();
            key
        }
        None => cursor.object_name("a setting")?.to_string().to_lowercase(),
    };
    if !cursor.eat_token(&Token::Eq) && !cursor.eat(&["TO"]) {
        return Err(cursor.unexpected("`=` or TO after the setting"));
    }
    let value = read_value(cursor, "the setting's value")?;
    cursor.finish()?;
    Ok(Statement::Set { key, value })
}
