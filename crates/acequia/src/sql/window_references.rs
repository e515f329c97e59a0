//! References to the result of a window function in the SELECT that computes it.
//!
//! DataFusion knows a column only by the relations in FROM: in `SELECT window.start .. GROUP BY window(ts, '1 minute')`
//! it finds no relation `window`. So within one SELECT (its list, HAVING, QUALIFY, ORDER BY, DISTINCT ON; never in
//! queries nested in it) these become a field of the call, with the output column named as the reference was:
//!
//! | written | when | becomes |
//! |---|---|---|
//! | `window`, `window.start`, `session_window.end` | GROUP BY holds that call | the call, `get_field(call, 'start')` |
//! | `w.start`, `w['end']` | the list holds `call AS w` | `get_field(call, 'start')` |
//! | `window_start`, `window_end` | GROUP BY holds `tumble`, `hop`, `session` | `get_field(call, 'start')` |
//! | `TUMBLE_START(ts, i)`, `HOP_END(..)`, `SESSION_START(..)`, `TUMBLE_ROWTIME(..)` | always | field or time of the call |
//! | `window(..).start`, `window(..)['start']` | always | `get_field(call, 'start')` |
//!
//! A relation in FROM that has the name comes first, and so does a column: `window_start` that is itself grouped is
//! the input's. Arguments of a window call are never touched: they speak of the input.

use super::build::{self, arguments, folded, simple_name};
use super::error::location_of;
use acequia_core::{Error, Result};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Distinct, Expr, Function, FunctionArg, FunctionArguments, GroupByExpr, Ident, ObjectName,
    ObjectNamePart, OrderBy, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, Spanned, Subscript, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// Window functions whose result goes by their own name.
const NAMED: &[&str] = &["window", "session_window"];
/// Window functions whose result goes by `window_start` and `window_end`.
const BOUNDED: &[&str] = &["tumble", "hop", "session"];

/// Rewrites the references of every SELECT of a query, not of the queries nested in it.
pub(super) fn rewrite(query: &mut Query) -> Result<()> {
    rewrite_body(&mut query.body, query.order_by.as_mut())
}

fn rewrite_body(mut body: &mut SetExpr, mut order_by: Option<&mut OrderBy>) -> Result<()> {
    while let SetExpr::SetOperation { left, right, .. } = body {
        // ORDER BY over a set operation sees only the names of its result.
        order_by = None;
        rewrite_body(right, None)?;
        body = left;
    }
    match body {
        SetExpr::Select(select) => rewrite_select(select, order_by),
        _ => Ok(()),
    }
}

/// Turns a field of a window call into `get_field`.
pub(super) fn rewrite_access(expr: &mut Expr) {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return };
    if !is_window_call(root) {
        return;
    }
    if let [access] = access_chain.as_slice()
        && let Some(field) = field_of(access)
    {
        *expr = build::get_field(root.as_ref().clone(), &folded(&field), Some(field.span));
    }
}

fn is_window_call(expr: &Expr) -> bool {
    window_name(expr).is_some()
}

/// The name of the window function that is called.
fn window_name(expr: &Expr) -> Option<String> {
    let Expr::Function(function) = expr else { return None };
    let name = simple_name(&function.name)?;
    let known = NAMED.contains(&name.as_str()) || BOUNDED.contains(&name.as_str());
    (known && function.over.is_none()).then_some(name)
}

/// The field that an access names, as `.start` or `['start']`.
fn field_of(access: &AccessExpr) -> Option<Ident> {
    match access {
        AccessExpr::Dot(Expr::Identifier(ident)) => Some(ident.clone()),
        AccessExpr::Subscript(Subscript::Index { index: Expr::Value(value) }) => match &value.value {
            Value::SingleQuotedString(text) => Some(build::ident(text, Some(value.span))),
            _ => None,
        },
        _ => None,
    }
}

fn rewrite_select(select: &mut Select, order_by: Option<&mut OrderBy>) -> Result<()> {
    name_windows(select);
    let scope = Scope::of(select);
    expand_wildcards(select, &scope);
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item
            && let Some(alias) = scope.output_name(expr)
        {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
    let mut references = References { scope: &scope, queries: 0, calls: 0 };
    let mut flow = select.projection.visit(&mut references);
    for clause in [&mut select.having, &mut select.qualify] {
        flow = if flow.is_continue() { clause.visit(&mut references) } else { flow };
    }
    if let Some(Distinct::On(exprs)) = &mut select.distinct {
        flow = if flow.is_continue() { exprs.visit(&mut references) } else { flow };
    }
    if let Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) = order_by {
        flow = if flow.is_continue() { exprs.visit(&mut references) } else { flow };
    }
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// `SELECT window(ts, ..)` names its column `window`, as Spark does.
fn name_windows(select: &mut Select) {
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item
            && let Some(name) = window_name(expr).filter(|name| NAMED.contains(&name.as_str()))
        {
            let alias = build::ident(&name, Some(expr.span()));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

/// `window.*` is both of its fields.
fn expand_wildcards(select: &mut Select, scope: &Scope) {
    let expand = |item: SelectItem| -> Vec<SelectItem> {
        let call = match &item {
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                single(name).and_then(|name| scope.calls.get(&folded(name)))
            }
            _ => None,
        };
        let Some(call) = call else { return vec![item] };
        let field = |name: &str| SelectItem::ExprWithAlias {
            expr: build::get_field(call.clone(), name, None),
            alias: Ident::new(name),
        };
        vec![field("start"), field("end")]
    };
    select.projection = std::mem::take(&mut select.projection).into_iter().flat_map(expand).collect();
}

fn single(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => Some(ident),
        _ => None,
    }
}

/// What the names of window results mean in one SELECT.
struct Scope {
    /// What a name before a dot means: the call.
    calls: HashMap<String, Expr>,
    /// What a bare name means: a grouped call that goes by its own name.
    bare: HashMap<String, Expr>,
    /// The grouped call that `window_start` and `window_end` speak of.
    bounds: Option<Expr>,
    /// All grouped calls.
    grouped: Vec<Expr>,
}

impl Scope {
    fn of(select: &Select) -> Self {
        let aliases = aliased_calls(select);
        let (grouped, columns) = grouped(select, &aliases);
        let relations = relation_names(&select.from);
        let mut calls = HashMap::new();
        let mut bare = HashMap::new();
        for call in &grouped {
            let name = window_name(call).filter(|n| NAMED.contains(&n.as_str()) && !relations.contains(n));
            if let Some(name) = name {
                calls.entry(name.clone()).or_insert_with(|| call.clone());
                bare.entry(name).or_insert_with(|| call.clone());
            }
        }
        calls.extend(aliases.into_iter().filter(|(name, _)| !relations.contains(name)));
        let is_column = columns.iter().any(|c| c == "window_start" || c == "window_end");
        let bounded = |call: &&Expr| window_name(call).is_some_and(|n| BOUNDED.contains(&n.as_str()));
        let bounds = grouped.iter().find(bounded).filter(|_| !is_column).cloned();
        Self { calls, bare, bounds, grouped }
    }

    /// The name of the output column that a reference gives; `None` when it is no reference.
    fn output_name(&self, expr: &Expr) -> Option<Ident> {
        match expr {
            Expr::Identifier(name) => self.resolve(expr).ok().flatten().map(|_| name.clone()),
            Expr::CompoundIdentifier(names) => self.resolve(expr).ok().flatten().and(names.last().cloned()),
            Expr::CompoundFieldAccess { root, access_chain } => {
                let known = is_window_call(root) || self.resolve(expr).ok().flatten().is_some();
                access_chain.first().filter(|_| known).and_then(field_of)
            }
            Expr::Function(function) => {
                let accessor = Accessor::of(function)?;
                Some(build::ident(&accessor.function, Some(function.name.span())))
            }
            _ => None,
        }
    }

    /// What a reference becomes; `None` when it is no reference.
    fn resolve(&self, expr: &Expr) -> Result<Option<Expr>> {
        Ok(match expr {
            Expr::Identifier(name) => self.resolve_bare(name),
            Expr::CompoundIdentifier(names) => match names.as_slice() {
                [window, field] => self.field(window, field),
                _ => None,
            },
            Expr::CompoundFieldAccess { root, access_chain } => {
                match (root.as_ref(), access_chain.as_slice()) {
                    (Expr::Identifier(window), [access]) => {
                        field_of(access).and_then(|f| self.field(window, &f))
                    }
                    _ => None,
                }
            }
            Expr::Function(function) => return self.resolve_accessor(function),
            _ => None,
        })
    }

    fn resolve_bare(&self, name: &Ident) -> Option<Expr> {
        let folded = folded(name);
        let field = match folded.as_str() {
            "window_start" => "start",
            "window_end" => "end",
            _ => return self.bare.get(&folded).cloned(),
        };
        let call = self.bounds.clone()?;
        Some(build::get_field(call, field, Some(name.span)))
    }

    fn field(&self, window: &Ident, field: &Ident) -> Option<Expr> {
        let call = self.calls.get(&folded(window))?;
        Some(build::get_field(call.clone(), &folded(field), Some(window.span)))
    }

    /// `TUMBLE_START(ts, i)` and the like repeat the grouped call's arguments.
    fn resolve_accessor(&self, function: &Function) -> Result<Option<Expr>> {
        let Some(accessor) = Accessor::of(function) else { return Ok(None) };
        let FunctionArguments::List(list) = &function.args else { return Ok(None) };
        let same = |call: &&Expr| is_call_of(call, &accessor.window, &list.args);
        let of_kind = self.grouped.iter().any(|call| window_name(call).as_deref() == Some(&accessor.window));
        let call = match self.grouped.iter().find(same) {
            Some(call) => call.clone(),
            None if of_kind => {
                let (name, window) = (accessor.function.to_uppercase(), accessor.window.to_uppercase());
                let message = format!(
                    "{name} must have the same arguments as {window} in GROUP BY: found `{function}`"
                );
                let error = Error::invalid(message);
                return Err(match location_of(function.name.span()) {
                    Some(at) => error.at(at),
                    None => error,
                });
            }
            None => {
                let given = arguments(function).unwrap_or_default().into_iter().cloned().collect();
                build::call(&accessor.window, given, Some(function.name.span()))
            }
        };
        let span = Some(function.name.span());
        Ok(Some(match accessor.field {
            Some(field) => build::get_field(call, field, span),
            None => build::call("window_time", vec![call], span),
        }))
    }
}

/// Flink's old functions of a window's bounds.
struct Accessor {
    /// Its name in lower case.
    function: String,
    /// The window function it repeats.
    window: String,
    /// The field; `None` is the window's time.
    field: Option<&'static str>,
}

impl Accessor {
    fn of(function: &Function) -> Option<Self> {
        let name = simple_name(&function.name)?;
        let (window, part) = name.rsplit_once('_')?;
        let field = match part {
            "start" => Some("start"),
            "end" => Some("end"),
            "rowtime" => None,
            _ => return None,
        };
        let takes_arguments = arguments(function).is_some_and(|a| !a.is_empty());
        let known = BOUNDED.contains(&window) && takes_arguments && function.over.is_none();
        known.then(|| Self { window: window.to_string(), field, function: name.clone() })
    }
}

fn is_call_of(call: &Expr, window: &str, args: &[FunctionArg]) -> bool {
    let Expr::Function(function) = call else { return false };
    let FunctionArguments::List(list) = &function.args else { return false };
    window_name(call).as_deref() == Some(window) && list.args == args
}

/// The window calls that the list gives a name.
fn aliased_calls(select: &Select) -> HashMap<String, Expr> {
    let aliased = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if is_window_call(expr) => {
            Some((folded(alias), expr.clone()))
        }
        _ => None,
    });
    aliased.collect()
}

/// The window calls that are grouped by, directly, by alias or by position; and the plain columns.
fn grouped(select: &Select, aliases: &HashMap<String, Expr>) -> (Vec<Expr>, Vec<String>) {
    let mut found = Grouped { select, aliases, calls: vec![], columns: vec![] };
    match &select.group_by {
        GroupByExpr::All(_) => {
            let items = select.projection.iter().filter_map(expr_of_item);
            found.calls.extend(items.filter(|e| is_window_call(e)).cloned());
        }
        GroupByExpr::Expressions(exprs, _) => exprs.iter().for_each(|expr| found.take(expr)),
    }
    (found.calls, found.columns)
}

struct Grouped<'a> {
    select: &'a Select,
    aliases: &'a HashMap<String, Expr>,
    calls: Vec<Expr>,
    columns: Vec<String>,
}

impl Grouped<'_> {
    fn take(&mut self, expr: &Expr) {
        match expr {
            call if is_window_call(call) => self.calls.push(call.clone()),
            Expr::Identifier(name) => match self.aliases.get(&folded(name)) {
                Some(call) => self.calls.push(call.clone()),
                None => self.columns.push(folded(name)),
            },
            Expr::Value(value) => self.calls.extend(self.at_position(&value.value)),
            Expr::Nested(inner) => self.take(inner),
            Expr::CompoundFieldAccess { root, .. } => self.take(root),
            Expr::Tuple(exprs) => exprs.iter().for_each(|e| self.take(e)),
            Expr::GroupingSets(sets) | Expr::Rollup(sets) | Expr::Cube(sets) => {
                sets.iter().flatten().for_each(|e| self.take(e));
            }
            _ => {}
        }
    }

    fn at_position(&self, value: &Value) -> Option<Expr> {
        let Value::Number(digits, _) = value else { return None };
        let index = digits.to_string().parse::<usize>().ok()?.checked_sub(1)?;
        let expr = expr_of_item(self.select.projection.get(index)?)?;
        is_window_call(expr).then(|| expr.clone())
    }
}

fn expr_of_item(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// The names by which the relations in FROM go.
fn relation_names(from: &[TableWithJoins]) -> Vec<String> {
    let mut names = vec![];
    for table in from {
        let joined = table.joins.iter().map(|j| &j.relation);
        for relation in std::iter::once(&table.relation).chain(joined) {
            names.extend(relation_name(relation));
            if let TableFactor::NestedJoin { table_with_joins, .. } = relation {
                names.extend(relation_names(std::slice::from_ref(table_with_joins)));
            }
        }
    }
    names
}

fn relation_name(relation: &TableFactor) -> Option<String> {
    let alias = match relation {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => alias,
        _ => &None,
    };
    match (alias, relation) {
        (Some(alias), _) => Some(folded(&alias.name)),
        (None, TableFactor::Table { name, args: None, .. }) => match name.0.last() {
            Some(ObjectNamePart::Identifier(ident)) => Some(folded(ident)),
            _ => None,
        },
        _ => None,
    }
}

/// Replaces references in the expressions of one SELECT.
struct References<'a> {
    scope: &'a Scope,
    /// How many nested queries the visit is in.
    queries: usize,
    /// How many window calls the visit is in.
    calls: usize,
}

fn keeps_arguments(expr: &Expr) -> bool {
    is_window_call(expr) || matches!(expr, Expr::Function(f) if Accessor::of(f).is_some())
}

impl VisitorMut for References<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        self.calls += usize::from(keeps_arguments(expr));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        self.calls -= usize::from(keeps_arguments(expr));
        if self.queries > 0 || self.calls > 0 {
            return ControlFlow::Continue(());
        }
        match self.scope.resolve(expr) {
            Ok(Some(resolved)) => *expr = resolved,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}
