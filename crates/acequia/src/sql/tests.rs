//! Tables of text and what it parses to, through one printer.

use super::*;
use acequia_core::Result;

mod create;
mod queries;
mod robustness;
mod splitting;

/// One line (or SQL text) per statement, errors with kind and place.
fn show(text: &str) -> String {
    parse(text).map(|s| show_result(s.map(|s| s.statement))).collect::<Vec<_>>().join("\n")
}

fn show_result(statement: Result<Statement>) -> String {
    match statement {
        Ok(statement) => show_statement(&statement),
        Err(error) => format!("{}: {error}", error.kind()),
    }
}

fn show_statement(statement: &Statement) -> String {
    match statement {
        Statement::CreateStream(s) => s.to_sql(),
        Statement::CreateSink(s) => s.to_sql(),
        Statement::CreateMaterializedView(v) => {
            let head = show_head(v.or_replace, v.if_not_exists);
            format!("view {}{head}: {}", v.name, show_query(&v.query))
        }
        Statement::CreateStreamingTable(t) => {
            let head = show_head(t.or_replace, t.if_not_exists);
            format!("streaming table {}{head}: {}", t.name, show_query(&t.query))
        }
        Statement::Insert(i) => {
            let columns: Vec<_> = i.columns.iter().map(ToString::to_string).collect();
            let how = if i.overwrite { "overwrite" } else { "into" };
            let values = if i.is_values { " values" } else { "" };
            format!("insert {how} {} [{}]{values}: {}", i.target, columns.join(","), show_query(&i.query))
        }
        Statement::Query(q) => show_query(q),
        Statement::ExplainStreaming(ExplainStreaming::Query(q)) => format!("explain: {}", show_query(q)),
        Statement::ExplainStreaming(ExplainStreaming::Statement(s)) => {
            format!("explain: {}", show_statement(s))
        }
        Statement::DataFusion(s) => format!("datafusion: {s}"),
        Statement::ShowCreate { kind, name } => {
            format!("show create {} {name}", kind.map_or("anything", ObjectKind::as_str))
        }
        Statement::Drop(d) => {
            format!("drop {} {}{}", d.kind.as_str(), d.name, if d.if_exists { " if exists" } else { "" })
        }
        Statement::Describe(d) => format!(
            "describe {} {}{}",
            d.kind.map_or("anything", ObjectKind::as_str),
            d.name,
            if d.extended { " extended" } else { "" }
        ),
        other => format!("{other:?}"),
    }
}

fn show_head(or_replace: bool, if_not_exists: bool) -> String {
    let parts = [(or_replace, " or replace"), (if_not_exists, " if not exists")];
    parts.iter().filter(|p| p.0).map(|p| p.1).collect()
}

fn show_query(query: &ContinuousQuery) -> String {
    let mut out = query.query.to_string();
    if let Some((mode, at)) = query.emit {
        out += &format!(" | {mode} @{}:{}", at.line, at.column);
    }
    if let Some((trigger, at)) = query.trigger {
        out += &format!(" | {trigger:?} @{}:{}", at.line, at.column);
    }
    if !query.options.is_empty() {
        out += &format!(" | {:?}", query.options);
    }
    out
}

/// Checks a table of texts and what they parse to, and shows all that differ at once.
#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<_> = cases
        .iter()
        .map(|(text, expected)| (text, expected, show(text)))
        .filter(|(_, expected, actual)| *expected != actual)
        .map(|(text, expected, actual)| format!("{text}\n  expected {expected}\n  actual   {actual}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
