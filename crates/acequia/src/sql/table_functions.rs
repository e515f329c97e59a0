//! Table functions in canonical form: see the head of the module above.
//!
//! Every spelling ends as positional arguments behind a subquery: `TABLE` and `DESCRIPTOR` are optional, `TABLE(f(..))`
//! may wrap the call, arguments may be named. Window functions of other dialects keep their own order of arguments
//! (slide before size), which the canonical form keeps.

use super::build::{self, simple_name};
use super::dialect::PARTITIONED;
use super::error::{from_parser, location_of};
use super::window_references;
use acequia_core::{Error, Location, Result, options};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments, Ident, ObjectName,
    Query, SetExpr, Spanned, TableAlias, TableFactor, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// A table function and its arguments.
struct TableFunction {
    name: &'static str,
    canonical: &'static str,
    /// The arguments after the relation, in order.
    arguments: &'static [&'static str],
    /// How many of them must be there.
    required: usize,
    usage: &'static str,
}

const WINDOWS: &[TableFunction] = &[
    TableFunction {
        name: "tumble",
        canonical: "__tumble",
        arguments: &["timecol", "size", "offset"],
        required: 2,
        usage: "TUMBLE(TABLE t, DESCRIPTOR(ts), size [, offset])",
    },
    TableFunction {
        name: "hop",
        canonical: "__hop",
        arguments: &["timecol", "slide", "size", "offset"],
        required: 3,
        usage: "HOP(TABLE t, DESCRIPTOR(ts), slide, size [, offset])",
    },
    TableFunction {
        name: "cumulate",
        canonical: "__cumulate",
        arguments: &["timecol", "step", "size"],
        required: 3,
        usage: "CUMULATE(TABLE t, DESCRIPTOR(ts), step, size)",
    },
    TableFunction {
        name: "session",
        canonical: "__session",
        arguments: &["timecol", "gap"],
        required: 2,
        usage: "SESSION(TABLE t [PARTITION BY k], DESCRIPTOR(ts), gap)",
    },
];

const DUPLICATES: &[TableFunction] = &[
    TableFunction {
        name: "drop_duplicates",
        canonical: "__drop_duplicates",
        arguments: &["columns"],
        required: 0,
        usage: "drop_duplicates(TABLE t [, DESCRIPTOR(a, b)])",
    },
    TableFunction {
        name: "drop_duplicates_within_watermark",
        canonical: "__drop_duplicates_within_watermark",
        arguments: &["columns"],
        required: 0,
        usage: "drop_duplicates_within_watermark(TABLE t [, DESCRIPTOR(a, b)])",
    },
];

/// Brings every table function and window reference of the tree into canonical form.
pub(super) fn rewrite(tree: &mut impl VisitMut, start: Location) -> Result<()> {
    match tree.visit(&mut Rewriter { start }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error.at(start)),
    }
}

struct Rewriter {
    start: Location,
}

fn flow(result: Result<()>) -> ControlFlow<Error> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

impl VisitorMut for Rewriter {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        flow(table_as_select(&mut query.body, self.start).and_then(|()| window_references::rewrite(query)))
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        flow(rewrite_factor(factor, self.start))
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::Function(function) = expr
            && simple_name(&function.name).as_deref() == Some(PARTITIONED)
        {
            let error =
                Error::invalid("PARTITION BY in arguments belongs to SESSION(TABLE t PARTITION BY k, ..)");
            let at = arguments_of(function).and_then(|a| a.get(1).and_then(|key| location_of(key.span())));
            return ControlFlow::Break(error.at(at.unwrap_or(self.start)));
        }
        window_references::rewrite_access(expr);
        ControlFlow::Continue(())
    }
}

/// `TABLE t` as a query is `SELECT * FROM t`. A long chain of UNIONs is deep to the left, so that side is a loop.
fn table_as_select(mut body: &mut SetExpr, start: Location) -> Result<()> {
    while let SetExpr::SetOperation { left, right, .. } = body {
        table_as_select(right, start)?;
        body = left;
    }
    if let SetExpr::Table(table) = body {
        let names = [table.schema_name.take(), table.table_name.take()];
        let name = ObjectName::from(names.into_iter().flatten().map(Ident::new).collect::<Vec<_>>());
        *body = *select_star(build::table(name, None, None), start)?.body;
    }
    Ok(())
}

fn select_star(relation: TableFactor, start: Location) -> Result<Box<Query>> {
    build::select_star(relation).map_err(|e| from_parser(&e, start, start))
}

fn rewrite_factor(factor: &mut TableFactor, start: Location) -> Result<()> {
    let replaced = match factor {
        TableFactor::Table { name, args: Some(args), alias, .. } => {
            let span = name.span();
            match simple_name(name) {
                Some(stream) if stream == "stream" => read_stream(&args.args, alias, start)?,
                Some(function) => {
                    canonical(&function, &args.args, alias, location_of(span).unwrap_or(start))?
                }
                None => None,
            }
        }
        TableFactor::TableFunction { expr: Expr::Function(function), alias } => {
            let at = location_of(function.name.span()).unwrap_or(start);
            match (simple_name(&function.name), &function.args) {
                (Some(name), FunctionArguments::List(list)) => canonical(&name, &list.args, alias, at)?,
                _ => None,
            }
        }
        _ => None,
    };
    if let Some(replaced) = replaced {
        *factor = replaced;
    }
    Ok(())
}

/// `STREAM(rel)` is `rel`.
fn read_stream(
    args: &[FunctionArg],
    alias: &Option<TableAlias>,
    start: Location,
) -> Result<Option<TableFactor>> {
    match args {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] => {
            let (relation, _) = relation(expr.clone(), alias.clone(), start)?;
            Ok(Some(relation))
        }
        _ => Err(Error::invalid("STREAM takes one relation, as STREAM(t)").at(start)),
    }
}

/// The call in canonical form; `None` when it is none of ours.
fn canonical(
    name: &str,
    args: &[FunctionArg],
    alias: &Option<TableAlias>,
    at: Location,
) -> Result<Option<TableFactor>> {
    let window = WINDOWS.iter().find(|f| f.name == name);
    let Some(function) = window.or_else(|| DUPLICATES.iter().find(|f| f.name == name)) else {
        return Ok(None);
    };
    let (source, rest) = positions(function, args, at)?;
    let (relation, keys) = relation(source, None, at)?;
    let subquery = match relation {
        TableFactor::Derived { subquery, alias: None, .. } => subquery,
        other => select_star(other, at)?,
    };
    let mut arguments = vec![Expr::Subquery(subquery)];
    if window.is_some() {
        arguments.extend(window_arguments(function, rest, at)?);
    } else {
        arguments.extend(rest.into_iter().flat_map(descriptor_columns));
    }
    match keys {
        Some(keys) if function.name == "session" => arguments.push(build::call("__partition_by", keys, None)),
        Some(_) => return Err(wrong(function, "PARTITION BY is for SESSION", at)),
        None => {}
    }
    let name = ObjectName::from(vec![Ident::new(function.canonical)]);
    let arguments = arguments.into_iter().map(build::unnamed).collect();
    Ok(Some(build::table(name, Some(arguments), alias.clone())))
}

fn wrong(function: &TableFunction, why: &str, at: Location) -> Error {
    Error::invalid(format!("{why}; write {}", function.usage)).at(at)
}

/// The relation and the other arguments in their order, named ones put where they belong.
fn positions(function: &TableFunction, args: &[FunctionArg], at: Location) -> Result<(Expr, Vec<Expr>)> {
    let many = function.arguments == ["columns"];
    let mut source = None;
    let mut rest: Vec<Option<Expr>> = vec![None; function.arguments.len()];
    for (n, argument) in args.iter().enumerate() {
        let slot = match argument {
            FunctionArg::Unnamed(_) if n == 0 => &mut source,
            FunctionArg::Unnamed(_) => {
                if many && n > rest.len() {
                    rest.push(None);
                }
                rest.get_mut(n - 1).ok_or_else(|| wrong(function, "too many arguments", at))?
            }
            FunctionArg::Named { name, operator, .. } => {
                let place = named_place(function, name, operator, at)?;
                place
                    .map_or(Some(&mut source), |p| rest.get_mut(p))
                    .ok_or_else(|| wrong(function, "too many arguments", at))?
            }
            FunctionArg::ExprNamed { .. } => {
                return Err(wrong(function, "an argument's name is no name", at));
            }
        };
        let expr = expr_of(argument).ok_or_else(|| wrong(function, "a wildcard is no argument", at))?;
        if slot.replace(expr).is_some() {
            return Err(wrong(function, "argument given twice", at));
        }
    }
    let given = rest.iter().take_while(|r| r.is_some()).count();
    let source = source.ok_or_else(|| wrong(function, "missing argument: the relation", at))?;
    if given < function.required || rest[given..].iter().any(Option::is_some) {
        let missing = function.arguments.get(given).copied().unwrap_or_default();
        return Err(wrong(function, &format!("missing argument: {missing}"), at));
    }
    Ok((source, rest.into_iter().flatten().collect()))
}

/// The index of a named argument among those after the relation; `None` for the relation.
fn named_place(
    function: &TableFunction,
    name: &Ident,
    operator: &FunctionArgOperator,
    at: Location,
) -> Result<Option<usize>> {
    let at = location_of(name.span).unwrap_or(at);
    if !matches!(operator, FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment) {
        return Err(wrong(function, "arguments are named with =>", at));
    }
    let lower = name.value.to_lowercase();
    if lower == "data" {
        return Ok(None);
    }
    let found = function.arguments.iter().position(|a| *a == lower || (*a == "columns" && lower == "on"));
    let names = ["data"].iter().chain(function.arguments).copied();
    found.map(Some).ok_or_else(|| {
        options::unknown(&format!("argument of {}", function.name.to_uppercase()), &name.value, names).at(at)
    })
}

fn expr_of(argument: &FunctionArg) -> Option<Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e))
        | FunctionArg::Named { arg: FunctionArgExpr::Expr(e), .. } => Some(e.clone()),
        _ => None,
    }
}

fn arguments_of(function: &Function) -> Option<Vec<&Expr>> {
    build::arguments(function)
}

/// The columns of `DESCRIPTOR(a, b)`; anything else is itself.
fn descriptor_columns(expr: Expr) -> Vec<Expr> {
    let columns = match &expr {
        Expr::Function(f) if simple_name(&f.name).as_deref() == Some("descriptor") => {
            arguments_of(f).map(|columns| columns.into_iter().cloned().collect())
        }
        _ => None,
    };
    columns.unwrap_or_else(|| vec![expr])
}

/// The time column as a plain expression, then sizes as they are.
fn window_arguments(function: &TableFunction, rest: Vec<Expr>, at: Location) -> Result<Vec<Expr>> {
    let mut rest = rest.into_iter();
    let time = rest.next().ok_or_else(|| wrong(function, "missing argument: timecol", at))?;
    let place = location_of(time.span()).unwrap_or(at);
    let columns = descriptor_columns(time);
    match columns.as_slice() {
        [Expr::Identifier(_) | Expr::CompoundIdentifier(_)] => Ok(columns.into_iter().chain(rest).collect()),
        [_] => Err(wrong(function, "the second argument is the event-time column", place)),
        _ => Err(wrong(function, "DESCRIPTOR names one event-time column", place)),
    }
}

/// A relation given as an expression, and the keys of its PARTITION BY.
fn relation(expr: Expr, alias: Option<TableAlias>, at: Location) -> Result<(TableFactor, Option<Vec<Expr>>)> {
    let factor = match expr {
        Expr::Identifier(name) => build::table(ObjectName::from(vec![name]), None, alias),
        Expr::CompoundIdentifier(names) => build::table(ObjectName::from(names), None, alias),
        Expr::Subquery(subquery) => TableFactor::Derived { lateral: false, subquery, alias, sample: None },
        Expr::Nested(inner) => return relation(*inner, alias, at),
        Expr::Function(function) => return call_as_relation(function, alias, at),
        other => {
            let place = location_of(other.span()).unwrap_or(at);
            return Err(Error::invalid(format!(
                "expected a table, a query or a table function, found `{other}`"
            ))
            .at(place));
        }
    };
    Ok((factor, None))
}

fn call_as_relation(
    function: Function,
    alias: Option<TableAlias>,
    at: Location,
) -> Result<(TableFactor, Option<Vec<Expr>>)> {
    let name = simple_name(&function.name);
    match (name.as_deref(), function.args) {
        (Some("table"), FunctionArguments::Subquery(subquery)) => {
            Ok((TableFactor::Derived { lateral: false, subquery, alias, sample: None }, None))
        }
        (Some(PARTITIONED), FunctionArguments::List(list)) => {
            let mut parts = list.args.iter().filter_map(expr_of);
            let source = parts.next().ok_or_else(|| Error::invalid("missing relation").at(at))?;
            let (factor, _) = relation(source, alias, at)?;
            Ok((factor, Some(parts.collect())))
        }
        (Some("table"), FunctionArguments::List(list)) => match list.args.first().and_then(expr_of) {
            Some(inner) if list.args.len() == 1 => relation(inner, alias, at),
            _ => Err(Error::invalid("TABLE takes one relation, as TABLE(t)").at(at)),
        },
        (_, FunctionArguments::List(list)) => Ok((build::table(function.name, Some(list.args), alias), None)),
        (_, FunctionArguments::Subquery(_) | FunctionArguments::None) => {
            Err(Error::invalid("expected a table, a query or a table function").at(at))
        }
    }
}
