//! Which statement it is, by its leading words; what is not ours goes to DataFusion's parser.

use super::ast::{ExplainStreaming, Statement};
use super::control;
use super::create;
use super::cursor::{Cursor, is_word};
use super::dialect::DIALECT;
use super::error::{clause_hint, did_you_mean, from_datafusion, place};
use super::limits;
use super::query;
use super::relations;
use acequia_core::{Error, Location, Result};
use datafusion::sql::parser::{CopyToSource, DFParserBuilder, Statement as DataFusionStatement};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// First words of statements: what a misspelt one may have meant.
const FIRST_WORDS: &[&str] = &[
    "SELECT",
    "WITH",
    "VALUES",
    "TABLE",
    "FROM",
    "INSERT",
    "CREATE",
    "DROP",
    "SHOW",
    "DESCRIBE",
    "EXPLAIN",
    "STOP",
    "SET",
    "RESET",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "COPY",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "ALTER",
    "MERGE",
    "PREPARE",
    "EXECUTE",
    "DEALLOCATE",
    "USE",
];

/// Statements that other engines have, and what does the same here.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["EXECUTE", "STATEMENT", "SET"], "write each INSERT as a statement of its own"),
    (&["BEGIN", "STATEMENT", "SET"], "write each INSERT as a statement of its own"),
    (&["STATEMENT", "SET"], "write each INSERT as a statement of its own"),
    (&["START", "QUERY"], "a query starts with its INSERT INTO .. SELECT"),
    (&["STOP", "JOB"], "write STOP QUERY <name>"),
    (&["TERMINATE"], "write STOP QUERY <name>"),
    (&["PAUSE"], "write STOP QUERY <name>, and its INSERT INTO .. SELECT again to go on from the checkpoint"),
    (&["RESUME"], "write the query's INSERT INTO .. SELECT again: it goes on from its checkpoint"),
    (&["SHOW", "JOBS"], "write SHOW QUERIES"),
    (&["PRINT"], "write SELECT * FROM <stream>"),
    (&["REFRESH"], "a materialized view is kept up to date by itself"),
];

/// Parses one statement that ends at a place.
pub(super) fn parse(tokens: Vec<TokenWithSpan>, end: Location) -> Result<Statement> {
    let start = tokens.first().and_then(|t| place(t.span.start)).unwrap_or(end);
    limits::check(&tokens, start)?;
    let mut cursor = Cursor::new(tokens, end);
    for (words, instead) in ELSEWHERE {
        if cursor.at(words) {
            let message = format!("{} is not supported; {instead}", words.join(" "));
            return Err(Error::unsupported(message).at(cursor.location()));
        }
    }
    let first = match cursor.token(0) {
        Some(Token::LParen) => return query::read(&mut cursor).map(Statement::Query),
        Some(Token::Word(word)) if word.quote_style.is_none() => word.value.to_uppercase(),
        _ => return Err(cursor.unexpected("a statement")),
    };
    match first.as_str() {
        "SELECT" | "WITH" | "VALUES" | "TABLE" | "FROM" => query::read(&mut cursor).map(Statement::Query),
        "INSERT" => query::read_insert(&mut cursor),
        "CREATE" => create::read(&mut cursor),
        "EXPLAIN" => read_explain(&mut cursor),
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" => control::read_transaction(&mut cursor),
        "DROP" => control::read_drop(&mut cursor),
        "SHOW" => control::read_show(&mut cursor),
        "DESCRIBE" | "DESC" => control::read_describe(&mut cursor),
        "STOP" => control::read_stop(&mut cursor),
        "SET" => control::read_set(&mut cursor),
        "COPY" | "RESET" | "UPDATE" | "DELETE" | "TRUNCATE" | "ALTER" | "MERGE" | "PREPARE" | "EXECUTE"
        | "DEALLOCATE" | "USE" => read_datafusion(&mut cursor),
        other => {
            let hint = did_you_mean(other, FIRST_WORDS);
            Err(Error::invalid(format!("unknown statement: {}{hint}", cursor.found())).at(cursor.location()))
        }
    }
}

fn read_explain(cursor: &mut Cursor) -> Result<Statement> {
    for detail in ["ANALYZE", "VERBOSE"] {
        if cursor.at(&["EXPLAIN", detail, "STREAMING"]) || cursor.at(&["EXPLAIN", "STREAMING", detail]) {
            let message =
                format!("EXPLAIN STREAMING has no {detail}; the progress of a running query shows its costs");
            return Err(Error::unsupported(message).at(cursor.location()));
        }
    }
    let streaming = cursor.at(&["EXPLAIN", "STREAMING"]);
    // DataFusion's parser would follow any number of them, one call deep each.
    let words = ["EXPLAIN", "ANALYZE", "VERBOSE", "STREAMING"];
    let prefix = cursor.rest().iter().take_while(|t| words.iter().any(|w| is_word(&t.token, w)));
    if prefix.filter(|t| is_word(&t.token, "EXPLAIN")).count() > 1 {
        return Err(Error::invalid("EXPLAIN of an EXPLAIN; write it once").at(cursor.location()));
    }
    if !streaming {
        return read_datafusion(cursor);
    }
    cursor.expect(&["EXPLAIN", "STREAMING"])?;
    let at = cursor.location();
    match parse(cursor.rest().to_vec(), cursor.end())? {
        Statement::Query(query) => Ok(Statement::ExplainStreaming(ExplainStreaming::Query(query))),
        statement @ (Statement::Insert(_)
        | Statement::CreateMaterializedView(_)
        | Statement::CreateStreamingTable(_)) => {
            Ok(Statement::ExplainStreaming(ExplainStreaming::Statement(Box::new(statement))))
        }
        _ => {
            Err(Error::invalid("EXPLAIN STREAMING takes a query, an INSERT, or CREATE MATERIALIZED VIEW")
                .at(at))
        }
    }
}

/// The whole statement, through DataFusion's parser and our rewrites.
pub(super) fn read_datafusion(cursor: &mut Cursor) -> Result<Statement> {
    let (start, end) = (cursor.location(), cursor.end());
    let tokens = relations::rewrite(cursor.rest(), end)?;
    let fail = |e| query::sharpen(&tokens, end, from_datafusion(&e, start, end));
    let mut parser = DFParserBuilder::new(tokens.clone()).with_dialect(&DIALECT).build().map_err(fail)?;
    let mut statement = parser.parse_statement().map_err(fail)?;
    let left = parser.parser.peek_token();
    if left.token != Token::EOF {
        let at = place(left.span.start).unwrap_or(end);
        return Err(Error::invalid(leftover(&statement, &left.token)).at(at));
    }
    rewrite_queries(&mut statement, start)?;
    Ok(Statement::DataFusion(Box::new(statement)))
}

/// What to say about a word after a complete statement.
fn leftover(statement: &DataFusionStatement, token: &Token) -> String {
    let continuous = ["EMIT", "TRIGGER", "WITH"].iter().find(|w| is_word(token, w));
    let instead = match statement {
        DataFusionStatement::Explain(_) => "write EXPLAIN STREAMING",
        DataFusionStatement::Statement(s) if matches!(**s, ast::Statement::CreateTable(_)) => {
            "a table is filled once; write CREATE STREAMING TABLE or CREATE MATERIALIZED VIEW"
        }
        DataFusionStatement::Statement(s) if matches!(**s, ast::Statement::CreateView(_)) => {
            "a view only names a query; write CREATE MATERIALIZED VIEW, or give it where the view is used"
        }
        _ => "",
    };
    match continuous {
        Some(word) if !instead.is_empty() => format!("{word} belongs to a continuous query; {instead}"),
        _ => format!("expected the end of the statement, found `{token}`{}", clause_hint(&token.to_string())),
    }
}

fn rewrite_queries(statement: &mut DataFusionStatement, start: Location) -> Result<()> {
    match statement {
        DataFusionStatement::Statement(statement) => query::canonicalize(statement.as_mut(), start),
        DataFusionStatement::Explain(explain) => rewrite_queries(&mut explain.statement, start),
        DataFusionStatement::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => query::canonicalize(query.as_mut(), start),
            CopyToSource::Relation(_) => Ok(()),
        },
        DataFusionStatement::CreateExternalTable(_) | DataFusionStatement::Reset(_) => Ok(()),
    }
}
