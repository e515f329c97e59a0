//! Clauses that sqlparser reads and DataFusion's planner forgets, or refuses with a dump of the syntax tree.
//!
//! The query without such a clause has another answer, so those are refused, with the form that works. Spark's
//! `GROUP BY a, b WITH ROLLUP` and `GROUP BY a, b GROUPING SETS (..)` are brought into standard form, ASOF joins into that
//! of [`asof`]. Clauses that ask for no other rows, as locks and hints, may be forgotten.

use super::asof;
use super::error::location_of;
use acequia_core::{Error, Location, Result};
use datafusion::sql::parser::{CopyToSource, Statement as DataFusionStatement};
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, GroupByWithModifier, Query, Select, Spanned, TableFactor, Visit, VisitMut, Visitor,
    VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use std::ops::ControlFlow;

/// Refuses what would be forgotten, and rewrites what has a standard form.
pub(super) fn rewrite(tree: &mut impl VisitMut, start: Location) -> Result<()> {
    match tree.visit(&mut Ignored) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break((refused, at)) => {
            Err(Error::unsupported(refused).at(at.and_then(location_of).unwrap_or(start)))
        }
    }
}

type Refused = (&'static str, Option<Span>);

struct Ignored;

impl VisitorMut for Ignored {
    type Break = Refused;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Refused> {
        let refused = match query {
            Query { settings: Some(_), .. } => "SETTINGS of a query is not supported; use SET",
            Query { format_clause: Some(_), .. } => {
                "FORMAT of a query is not supported; the program and its --format option say how rows are written"
            }
            Query { for_clause: Some(_), .. } => {
                "FOR XML, JSON and BROWSE are not supported; the program and its --format option say how rows are written"
            }
            _ => return ControlFlow::Continue(()),
        };
        ControlFlow::Break((refused, None))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Refused> {
        let at = select.prewhere.as_ref().map(Spanned::span);
        if at.is_some() {
            return ControlFlow::Break(("PREWHERE is not supported; write WHERE", at));
        }
        if !select.connect_by.is_empty() {
            return ControlFlow::Break(("CONNECT BY is not supported; write WITH RECURSIVE", None));
        }
        if select.value_table_mode.is_some() {
            return ControlFlow::Break((
                "SELECT AS STRUCT and AS VALUE are not supported; write named_struct('a', a, ...)",
                None,
            ));
        }
        select.from.iter_mut().for_each(asof::rewrite);
        group_by(&mut select.group_by)
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Refused> {
        asof::rewrite_nested(factor);
        let refused = match factor {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                "TABLESAMPLE is not supported; filter by a hash of a column"
            }
            TableFactor::Table { with_ordinality: true, .. } => {
                "WITH ORDINALITY is not supported; use row_number() OVER () over static data"
            }
            TableFactor::Table { partitions, .. } if !partitions.is_empty() => {
                "PARTITION behind a table is not supported; filter by the partition's column"
            }
            TableFactor::Pivot { .. } | TableFactor::Unpivot { .. } => {
                "PIVOT and UNPIVOT are not supported; write sum(v) FILTER (WHERE k = 'a') AS a for each value"
            }
            TableFactor::Table { json_path: Some(_), .. } => {
                "a path behind a table is not supported; take the field apart in the SELECT list"
            }
            _ => return ControlFlow::Continue(()),
        };
        ControlFlow::Break((refused, Some(factor.span())))
    }
}

/// What Hive and Spark write behind the expressions of GROUP BY.
fn group_by(group_by: &mut GroupByExpr) -> ControlFlow<Refused> {
    const STANDARD: &str = "this form of GROUP BY is not supported; write GROUP BY ROLLUP (a, b), CUBE (a, b) or GROUPING SETS ((a), (b))";
    match group_by {
        GroupByExpr::Expressions(_, modifiers) | GroupByExpr::All(modifiers) if modifiers.is_empty() => {
            ControlFlow::Continue(())
        }
        GroupByExpr::Expressions(keys, modifiers) => {
            let single = || keys.iter().cloned().map(|key| vec![key]).collect();
            let sets = match &modifiers[..] {
                [GroupByWithModifier::Rollup] => Expr::Rollup(single()),
                [GroupByWithModifier::Cube] => Expr::Cube(single()),
                [GroupByWithModifier::GroupingSets(sets @ Expr::GroupingSets(_))] => sets.clone(),
                _ => return ControlFlow::Break((STANDARD, None)),
            };
            *group_by = GroupByExpr::Expressions(vec![sets], vec![]);
            ControlFlow::Continue(())
        }
        GroupByExpr::All(_) => ControlFlow::Break((STANDARD, None)),
    }
}

/// Refuses versions of tables that are not those of a join ([`asof`]), which are valid, but which no plan knows: the answer
/// would be that of the tables as they are now.
///
/// # Errors
/// `Unsupported`, at the table.
pub(crate) fn refuse_versions(statement: &DataFusionStatement) -> Result<()> {
    match statement {
        DataFusionStatement::Statement(statement) => versions(statement.as_ref()),
        DataFusionStatement::Explain(explain) => refuse_versions(&explain.statement),
        DataFusionStatement::CopyTo(copy) => match &copy.source {
            CopyToSource::Query(query) => versions(query.as_ref()),
            CopyToSource::Relation(_) => Ok(()),
        },
        DataFusionStatement::CreateExternalTable(_) | DataFusionStatement::Reset(_) => Ok(()),
    }
}

fn versions(tree: &impl Visit) -> Result<()> {
    let ControlFlow::Break((table, span)) = tree.visit(&mut Versions) else { return Ok(()) };
    let refused = Error::unsupported(format!(
        "a version of a table (FOR SYSTEM_TIME AS OF and the like) is not supported but as l [LEFT] JOIN r FOR SYSTEM_TIME AS OF l.ts ON l.k = r.k; leave it out to read the table as it is: table=`{table}`"
    ));
    Err(match location_of(span) {
        Some(at) => refused.at(at),
        None => refused,
    })
}

struct Versions;

impl Visitor for Versions {
    type Break = (String, Span);

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        match factor {
            TableFactor::Table { name, version: Some(_), .. } => {
                ControlFlow::Break((name.to_string(), name.span()))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
