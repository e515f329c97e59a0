//! The key of a result: which columns identify a row that later batches may change.
//!
//! It is the GROUP BY columns of the aggregate, followed through the projections and joins above it. A part of the key may have
//! several spellings of which one is enough: the end of a tumbling window implies its start.

use super::build::times_of;
use super::refuse;
use crate::functions::{Shape, TimeRole};
use acequia_core::{OutputMode, Result};
use datafusion::common::JoinType;
use datafusion::logical_expr::{Aggregate, Expr, Join, LogicalPlan};
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
    /// The key as far as this mode needs it, for a result whose rows change or are only added.
    ///
    /// # Errors
    /// `Unsupported` when the mode cannot do without.
    pub(super) fn require_for(self, mode: OutputMode, changes: bool) -> Result<Option<Vec<usize>>> {
        match self {
            Self::Columns(columns) => Ok(Some(columns)),
            Self::Missing(names) if mode == OutputMode::Update && names.iter().any(|n| n == GROUPING_ID) => {
                Err(refuse::grouping_sets_without_key())
            }
            Self::Missing(names) if mode == OutputMode::Update => Err(refuse::no_key(&names)),
            Self::None if mode == OutputMode::Update && changes => Err(refuse::no_key(&[])),
            _ => Ok(None),
        }
    }
}

/// A part of a key: the column numbers that each alone stand for it.
struct KeyPart {
    name: String,
    columns: BTreeSet<usize>,
    /// Of a column that is a window: its fields that each alone tell which. No field of another struct does.
    fields: &'static [&'static str],
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

/// The key of a plan's result.
pub(super) fn derive(plan: &LogicalPlan) -> Result<Key> {
    let Some(parts) = parts(plan)? else { return Ok(Key::None) };
    let missing: Vec<String> =
        parts.iter().filter(|p| p.columns.is_empty()).map(|p| p.name.clone()).collect();
    if !missing.is_empty() {
        return Ok(Key::Missing(missing));
    }
    let columns: BTreeSet<usize> = parts.iter().filter_map(|p| p.columns.first().copied()).collect();
    Ok(Key::Columns(columns.into_iter().collect()))
}

fn parts(plan: &LogicalPlan) -> Result<Option<Vec<KeyPart>>> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate_parts(plan, aggregate).map(Some),
        LogicalPlan::SubqueryAlias(_) | LogicalPlan::Filter(_) => parts(plan.inputs()[0]),
        LogicalPlan::Projection(projection) => {
            let Some(below) = parts(&projection.input)? else { return Ok(None) };
            let passes = |part: KeyPart| {
                let columns = projection.expr.iter().enumerate();
                let kept = columns.filter(|(_, expr)| stands_for(expr, &part, &projection.input));
                KeyPart { columns: kept.map(|(index, _)| index).collect(), ..part }
            };
            Ok(Some(below.into_iter().map(passes).collect()))
        }
        LogicalPlan::Join(join) => join_parts(join),
        _ => Ok(None),
    }
}

/// A row of a join is known by those that it is made of; rows that come out alone, by themselves.
fn join_parts(join: &Join) -> Result<Option<Vec<KeyPart>>> {
    use JoinType::*;
    let (left, right) = match join.join_type {
        LeftSemi | LeftAnti | LeftMark => return parts(&join.left),
        RightSemi | RightAnti | RightMark => return parts(&join.right),
        Inner | Left | Right | Full => (parts(&join.left)?, parts(&join.right)?),
    };
    let (Some(mut left), Some(mut right)) = (left, right) else { return Ok(None) };
    let width = join.left.schema().fields().len();
    for part in &mut right {
        part.columns = part.columns.iter().map(|column| column + width).collect();
    }
    if join.join_type == Inner {
        for (l, r) in &join.on {
            let (Expr::Column(l), Expr::Column(r)) = (l, r) else { continue };
            let l = join.left.schema().maybe_index_of_column(l);
            let r = join.right.schema().maybe_index_of_column(r).map(|index| index + width);
            let (Some(l), Some(r)) = (l, r) else { continue };
            for part in left.iter_mut().chain(&mut right) {
                if part.columns.contains(&l) || part.columns.contains(&r) {
                    part.columns.extend([l, r]);
                }
            }
        }
    }
    left.extend(right);
    Ok(Some(left))
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
        parts.push(KeyPart { name: plan.schema().field(index).name().clone(), columns, fields });
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
