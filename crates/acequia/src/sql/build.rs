//! Makes nodes of sqlparser's tree.

use super::dialect::DIALECT;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, Query, SetExpr, TableAlias, TableFactor, TableFunctionArgs, Value,
};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Span;

/// `name(arguments)`; with a span, the call stands there in the text.
pub(super) fn call(name: &str, arguments: Vec<Expr>, span: Option<Span>) -> Expr {
    let args = arguments.into_iter().map(unnamed).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![ident(name, span)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

pub(super) fn unnamed(expr: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
}

pub(super) fn ident(name: &str, span: Option<Span>) -> Ident {
    Ident::with_span(span.unwrap_or(Span::empty()), name)
}

/// `get_field(of, 'field')`
pub(super) fn get_field(of: Expr, field: &str, span: Option<Span>) -> Expr {
    let field =
        Expr::Value(Value::SingleQuotedString(field.to_string()).with_span(span.unwrap_or(Span::empty())));
    call("get_field", vec![of, field], span)
}

/// A table, or with arguments a table function.
pub(super) fn table(
    name: ObjectName,
    args: Option<Vec<FunctionArg>>,
    alias: Option<TableAlias>,
) -> TableFactor {
    TableFactor::Table {
        name,
        alias,
        args: args.map(|args| TableFunctionArgs { args, settings: None }),
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    }
}

/// `SELECT * FROM relation`
pub(super) fn select_star(relation: TableFactor) -> Result<Box<Query>, ParserError> {
    let mut query = Parser::new(&DIALECT).try_with_sql("SELECT * FROM t")?.parse_query()?;
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(from) = select.from.first_mut()
    {
        from.relation = relation;
    }
    Ok(query)
}

/// The lower-case name of an unquoted, unqualified function; `None` for any other.
pub(super) fn simple_name(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] if ident.quote_style.is_none() => {
            Some(ident.value.to_lowercase())
        }
        _ => None,
    }
}

/// An identifier as it compares: unquoted ones in lower case.
pub(super) fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_none() { ident.value.to_lowercase() } else { ident.value.clone() }
}

/// The plain arguments of a call; `None` when one is named or a wildcard.
pub(super) fn arguments(function: &Function) -> Option<Vec<&Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect()
}
