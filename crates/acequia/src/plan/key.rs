//! The key of a result: which columns identify a row that later batches may change.
//!
//! It is what the query declares, or else the GROUP BY columns of an aggregate, those of `drop_duplicates`, PARTITION BY
//! and a row number, or a stream's PRIMARY KEY, followed through what stands above, also through joins; of several, one
//! whose columns are all selected. A part of the key may
//! have several spellings of which one is enough: the end of a tumbling window implies its start. A part that a filter
//! fixes is none.

use super::build::times_of;
use super::over::ungrouped;
use super::refuse;
use crate::catalog::StreamScan;
use crate::error::from_datafusion;
use crate::functions::{AsofJoin, DropDuplicates, EventTimeWatermark, Shape, TimeRole};
use acequia_core::options::unknown;
use acequia_core::{OutputMode, Result};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Column, DFSchema, JoinType, ScalarValue};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, ExprSchemable, FetchType, Join, LogicalPlan, Operator, TableScan, Window,
};
use std::collections::BTreeSet;

/// The column by which DataFusion tells a NULL of the data from one of ROLLUP, CUBE or GROUPING SETS.
const GROUPING_ID: &str = Aggregate::INTERNAL_GROUPING_ID;

/// The key of a result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Rows are only added, or nothing identifies them.
    None,
    /// These columns.
    Columns(Vec<usize>),
    /// There would be one, if these were selected too.
    Missing(Vec<String>),
}

impl Key {
    /// The key of a result whose rows change, as far as this mode needs it.
    ///
    /// # Errors
    /// `Unsupported` when the mode cannot do without.
    pub(super) fn require_for(self, mode: OutputMode) -> Result<Option<Vec<usize>>> {
        match self {
            Self::Columns(columns) => Ok(Some(columns)),
            Self::Missing(names) if mode == OutputMode::Update && names.iter().any(|n| n == GROUPING_ID) => {
                Err(refuse::grouping_sets_without_key())
            }
            Self::Missing(names) if mode == OutputMode::Update => Err(refuse::no_key(&names)),
            Self::None if mode == OutputMode::Update => Err(refuse::no_key(&[])),
            _ => Ok(None),
        }
    }
}

/// A part of a key: the column numbers that each alone stand for it.
#[derive(Clone)]
struct KeyPart {
    name: String,
    columns: BTreeSet<usize>,
    /// Of a column that is a window: its fields that each alone tell which. No field of another struct does.
    fields: &'static [&'static str],
    /// Whether it counts from 1.
    counts: bool,
}

impl KeyPart {
    /// These columns are the part.
    fn of(name: String, columns: impl IntoIterator<Item = usize>) -> Self {
        Self { name, columns: columns.into_iter().collect(), fields: &[], counts: false }
    }
}

/// Whether nothing between the root and its aggregate drops, adds or joins rows.
pub(super) fn reaches_root_unfiltered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
            reaches_root_unfiltered(plan.inputs()[0])
        }
        _ => false,
    }
}

/// The key of a result that the query names, as columns.
///
/// # Errors
/// `Invalid` for a column that is not there.
pub(super) fn declared(names: &[String], schema: &DFSchema) -> Result<Vec<usize>> {
    let known = || schema.fields().iter().map(|field| field.name().as_str());
    let column = |name: &String| known().position(|known| known == name);
    names.iter().map(|name| column(name).ok_or_else(|| unknown("column of the key", name, known()))).collect()
}

/// The key of a plan's result.
pub(super) fn derive(plan: &LogicalPlan) -> Result<Key> {
    let keys = candidates(plan)?;
    if let Some(whole) = keys.iter().find(|key| key.iter().all(|part| !part.columns.is_empty())) {
        let columns: BTreeSet<usize> =
            whole.iter().filter_map(|part| part.columns.first().copied()).collect();
        return Ok(Key::Columns(columns.into_iter().collect()));
    }
    let missing = |key: &Vec<KeyPart>| {
        let missing = key.iter().filter(|part| part.columns.is_empty());
        missing.map(|part| part.name.clone()).collect::<Vec<_>>()
    };
    Ok(keys.first().map_or(Key::None, |key| Key::Missing(missing(key))))
}

/// The keys that a plan's result has.
fn candidates(plan: &LogicalPlan) -> Result<Vec<Vec<KeyPart>>> {
    let mut keys = match plan {
        LogicalPlan::Aggregate(aggregate) => return Ok(vec![aggregate_parts(plan, aggregate)?]),
        LogicalPlan::Join(join) => return join_keys(join),
        LogicalPlan::TableScan(scan) => return Ok(primary_key(scan)?.into_iter().collect()),
        LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Projection(_)
        | LogicalPlan::Window(_) => candidates(plan.inputs()[0])?,
        _ => {
            if let Some(asof) = AsofJoin::of(plan) {
                // A left row has one right row at most, and the left columns come first.
                return candidates(&asof.sides()[0]);
            }
            if EventTimeWatermark::of(plan).is_some() {
                return candidates(plan.inputs()[0]);
            }
            return Ok(DropDuplicates::of(plan).and_then(distinct_parts).into_iter().collect());
        }
    };
    match plan {
        LogicalPlan::Projection(projection) => {
            for part in keys.iter_mut().flatten() {
                let columns = projection.expr.iter().enumerate();
                let kept = columns.filter(|(_, expr)| stands_for(expr, part, &projection.input));
                part.columns = kept.map(|(index, _)| index).collect();
            }
        }
        LogicalPlan::Filter(filter) => {
            let fixed = fixed_by(&filter.predicate, &filter.input);
            let is_fixed = |part: &KeyPart| {
                let fixes =
                    |(column, one): &(usize, bool)| part.columns.contains(column) && (!one || part.counts);
                fixed.iter().any(fixes)
            };
            keys.iter_mut().for_each(|key| key.retain(|part| !is_fixed(part)));
        }
        LogicalPlan::Limit(limit)
            if matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(0 | 1)))) =>
        {
            keys.insert(0, vec![]);
        }
        LogicalPlan::Window(window) => keys.extend(numbered(window)),
        _ => {}
    }
    Ok(keys)
}

/// The PRIMARY KEY that a stream declares.
fn primary_key(scan: &TableScan) -> Result<Option<Vec<KeyPart>>> {
    let provider = source_as_provider(&scan.source).map_err(from_datafusion)?;
    let key = provider.downcast_ref::<StreamScan>().map(|scan| scan.stream().primary_key());
    let part = |name: String| {
        let column = scan.projected_schema.index_of_column_by_name(None, &name);
        KeyPart::of(name, column)
    };
    Ok(key.filter(|key| !key.is_empty()).map(|key| key.into_iter().map(part).collect()))
}

/// A key that is forgotten may come again.
fn distinct_parts(node: &DropDuplicates) -> Option<Vec<KeyPart>> {
    let part = |column: &Column| {
        KeyPart::of(column.name.clone(), node.input().schema().maybe_index_of_column(column))
    };
    (!node.within_watermark()).then(|| node.columns().iter().map(part).collect())
}

/// Row numbers, each with what it is counted in.
fn numbered(window: &Window) -> Vec<Vec<KeyPart>> {
    let first = window.input.schema().fields().len();
    let key = |(index, expr): (usize, &Expr)| {
        let Expr::WindowFunction(function) = expr.clone().unalias() else { return None };
        if function.fun.name() != "row_number" {
            return None;
        }
        let part = |expr: &Expr| {
            let key = ungrouped(expr);
            let column = key.try_as_col().and_then(|c| window.input.schema().maybe_index_of_column(c));
            KeyPart::of(key.schema_name().to_string(), column)
        };
        let number = KeyPart { counts: true, ..KeyPart::of(expr.schema_name().to_string(), [first + index]) };
        Some(function.params.partition_by.iter().map(part).chain([number]).collect())
    };
    window.window_expr.iter().enumerate().filter_map(key).collect()
}

/// Columns that have one value where the predicate is true; with `true` only those that count from 1 have.
fn fixed_by(predicate: &Expr, input: &LogicalPlan) -> Vec<(usize, bool)> {
    let fixed = |expr: &Expr| {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return None };
        let (column, op, value) = match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) => (column, *op, value),
            (Expr::Literal(value, _), Expr::Column(column)) => (column, op.swap()?, value),
            _ => return None,
        };
        let index = input.schema().maybe_index_of_column(column)?;
        let is = |number: u64| {
            value.cast_to(&DataType::UInt64).is_ok_and(|v| v == ScalarValue::UInt64(Some(number)))
        };
        match op {
            Operator::Eq => Some((index, false)),
            Operator::LtEq if is(1) => Some((index, true)),
            Operator::Lt if is(2) => Some((index, true)),
            _ => None,
        }
    };
    split_conjunction(predicate).into_iter().filter_map(fixed).collect()
}

/// A row of a join is known by those that it is made of; rows that come out alone, by themselves.
fn join_keys(join: &Join) -> Result<Vec<Vec<KeyPart>>> {
    use JoinType::*;
    let (left, right) = match join.join_type {
        LeftSemi | LeftAnti | LeftMark => return candidates(&join.left),
        RightSemi | RightAnti | RightMark => return candidates(&join.right),
        Inner | Left | Right | Full => (candidates(&join.left)?, candidates(&join.right)?),
    };
    let width = join.left.schema().fields().len();
    let shifted = |part: &KeyPart| KeyPart {
        columns: part.columns.iter().map(|column| column + width).collect(),
        ..part.clone()
    };
    let mut keys: Vec<Vec<KeyPart>> = Vec::new();
    for left in &left {
        let tells_apart = |right: &&Vec<KeyPart>| {
            join.join_type != Full || never_null(left, &join.left) || never_null(right, &join.right)
        };
        keys.extend(
            right
                .iter()
                .filter(tells_apart)
                .map(|right| left.iter().cloned().chain(right.iter().map(shifted)).collect()),
        );
    }
    // A row of one side that has one of the other at most is known by itself.
    if matches!(join.join_type, Inner | Left)
        && has_joined_key(&join.right, join.on.iter().map(|(_, r)| r), &right)
    {
        keys.splice(0..0, left.iter().cloned());
    }
    if matches!(join.join_type, Inner | Right)
        && has_joined_key(&join.left, join.on.iter().map(|(l, _)| l), &left)
    {
        keys.splice(0..0, right.iter().map(|key| key.iter().map(shifted).collect()));
    }
    let pairs = if join.join_type == Inner { join.on.as_slice() } else { &[] };
    for (l, r) in pairs {
        let (Expr::Column(l), Expr::Column(r)) = (l, r) else { continue };
        let l = join.left.schema().maybe_index_of_column(l);
        let r = join.right.schema().maybe_index_of_column(r).map(|index| index + width);
        let (Some(l), Some(r)) = (l, r) else { continue };
        for part in keys.iter_mut().flatten() {
            if part.columns.contains(&l) || part.columns.contains(&r) {
                part.columns.extend([l, r]);
            }
        }
    }
    Ok(keys)
}

/// Whether rows have a key of which each part is among these expressions.
fn has_joined_key<'a>(
    rows: &LogicalPlan,
    joined: impl Iterator<Item = &'a Expr>,
    keys: &[Vec<KeyPart>],
) -> bool {
    let column = |expr: &Expr| rows.schema().maybe_index_of_column(expr.try_as_col()?);
    let joined: Vec<usize> = joined.filter_map(column).collect();
    let is_joined = |part: &KeyPart| joined.iter().any(|column| part.columns.contains(column));
    keys.iter().any(|key| key.iter().all(is_joined))
}

fn aggregate_parts(plan: &LogicalPlan, aggregate: &Aggregate) -> Result<Vec<KeyPart>> {
    let times = times_of(plan)?;
    let groups = plan.schema().fields().len() - aggregate.aggr_expr.len();
    let roles: Vec<Option<&TimeRole>> = times[..groups].iter().map(|t| t.as_ref().map(|t| &t.role)).collect();
    let mut parts = vec![];
    for (index, role) in roles.iter().enumerate() {
        let others = || roles.iter().enumerate().filter_map(|(other, role)| Some((other, (*role)?)));
        let mut columns: BTreeSet<usize> = [index].into();
        let mut fields: &'static [&'static str] = &[];
        match role {
            // The end of the same window is there too, and tells it.
            Some(start) if others().any(|(_, end)| is_end_of(end, start)) => continue,
            Some(end) => {
                let starts = others().filter(|(_, start)| start_implies_end(end) && is_end_of(end, start));
                columns.extend(starts.map(|(start, _)| start));
                fields = telling_fields(end);
            }
            None => {}
        }
        let name = plan.schema().field(index).name().clone();
        parts.push(KeyPart { fields, ..KeyPart::of(name, columns) });
    }
    Ok(parts)
}

/// Whether these are the two bounds of one window or session.
fn is_end_of(end: &TimeRole, start: &TimeRole) -> bool {
    match (end, start) {
        (TimeRole::WindowEnd(end), TimeRole::WindowStart(start)) => end == start,
        (TimeRole::SessionEnd(end), TimeRole::SessionStart(start)) => end == start,
        _ => false,
    }
}

/// Whether the start of such a window tells its end. Cumulating windows share their start.
fn start_implies_end(end: &TimeRole) -> bool {
    match end {
        TimeRole::WindowEnd(window) => window.spec.shape != Shape::Cumulate,
        TimeRole::SessionEnd(_) => true,
        _ => false,
    }
}

/// The fields of a window struct that each alone tell the window.
fn telling_fields(role: &TimeRole) -> &'static [&'static str] {
    match role {
        TimeRole::Window(window) if window.spec.shape == Shape::Cumulate => &["end"],
        TimeRole::Window(_) | TimeRole::Session(_) => &["start", "end"],
        _ => &[],
    }
}

/// Whether an expression has one value for each value of the part, and another for each other.
fn stands_for(expr: &Expr, part: &KeyPart, input: &LogicalPlan) -> bool {
    match expr {
        Expr::Alias(alias) => stands_for(&alias.expr, part, input),
        Expr::Cast(cast) => {
            let from = cast.expr.get_type(input.schema());
            from.is_ok_and(|from| keeps_apart(&from, cast.field.data_type()))
                && stands_for(&cast.expr, part, input)
        }
        Expr::Column(column) => {
            input.schema().maybe_index_of_column(column).is_some_and(|index| part.columns.contains(&index))
        }
        Expr::ScalarFunction(call) if call.name() == "get_field" => match &call.args[..] {
            [window, Expr::Literal(field, _)] => {
                let told = field.try_as_str().flatten().is_some_and(|field| part.fields.contains(&field));
                told && stands_for(window, part, input)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether a key is never NULL in all its columns, so that a row is told from one of NULLs that a full join makes up.
fn never_null(key: &[KeyPart], side: &LogicalPlan) -> bool {
    let columns = key.iter().flat_map(|part| &part.columns);
    columns.into_iter().any(|column| !side.schema().field(*column).is_nullable())
}

/// Whether values that differ still do as this type.
fn keeps_apart(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Timestamp(coarse, a), DataType::Timestamp(fine, b)) => a == b && coarse <= fine,
        (DataType::Struct(from), DataType::Struct(to)) => {
            let same = |(from, to): (&FieldRef, &FieldRef)| {
                from.name() == to.name() && keeps_apart(from.data_type(), to.data_type())
            };
            from.len() == to.len() && from.iter().zip(to).all(same)
        }
        (from, to) if from.is_string() => to.is_string(),
        (from, to) if from.is_signed_integer() && to.is_signed_integer() => {
            from.primitive_width() <= to.primitive_width()
        }
        (from, to) if from.is_unsigned_integer() && to.is_unsigned_integer() => {
            from.primitive_width() <= to.primitive_width()
        }
        _ => from == to,
    }
}

/// An aggregate in words, for messages.
pub(super) fn describe_aggregate(plan: &LogicalPlan) -> String {
    let LogicalPlan::Aggregate(aggregate) = plan else { return "an aggregate".to_string() };
    let functions: Vec<String> = aggregate.aggr_expr.iter().map(|e| e.schema_name().to_string()).collect();
    let groups: Vec<String> = aggregate.group_expr.iter().map(|e| e.schema_name().to_string()).collect();
    match (functions.is_empty(), groups.is_empty()) {
        (_, true) => format!("`{}` over the whole stream", functions.join(", ")),
        (true, false) => format!("DISTINCT by {}", groups.join(", ")),
        (false, false) => format!("`{}` grouped by {}", functions.join(", "), groups.join(", ")),
    }
}
