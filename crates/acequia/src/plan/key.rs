//! The key of a result: which columns identify a row that later batches may change.
//!
//! It is the GROUP BY columns of the aggregate, followed through the projections above it. A part of the key may have
//! several spellings of which one is enough: the end of a tumbling window implies its start.

use super::build::{is_streaming, times_of};
use super::refuse;
use crate::functions::{Shape, TimeRole};
use acequia_core::{OutputMode, Result};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
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
    /// The key as far as this mode needs it.
    ///
    /// # Errors
    /// `Unsupported` when the mode cannot do without.
    pub(super) fn require_for(self, mode: OutputMode, plan: &LogicalPlan) -> Result<Option<Vec<usize>>> {
        match self {
            Self::Columns(columns) => Ok(Some(columns)),
            Self::Missing(names) if mode == OutputMode::Update && names.iter().any(|n| n == GROUPING_ID) => {
                Err(refuse::grouping_sets_without_key())
            }
            Self::Missing(names) if mode == OutputMode::Update => Err(refuse::no_key(&names)),
            Self::None if mode == OutputMode::Update && changes(plan) => Err(refuse::no_key(&[])),
            _ => Ok(None),
        }
    }
}

/// Whether rows of the result change: an aggregate with functions over a stream is in it.
fn changes(plan: &LogicalPlan) -> bool {
    match plan {
        _ if !is_streaming(plan) => false,
        LogicalPlan::Aggregate(aggregate) => !aggregate.aggr_expr.is_empty(),
        _ => plan.inputs().into_iter().any(changes),
    }
}

/// A part of a key: the column numbers that each alone stand for it.
struct KeyPart {
    name: String,
    columns: BTreeSet<usize>,
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
                KeyPart { columns: kept.map(|(index, _)| index).collect(), name: part.name }
            };
            Ok(Some(below.into_iter().map(passes).collect()))
        }
        _ => Ok(None),
    }
}

fn aggregate_parts(plan: &LogicalPlan, aggregate: &Aggregate) -> Result<Vec<KeyPart>> {
    let times = times_of(plan)?;
    let groups = plan.schema().fields().len() - aggregate.aggr_expr.len();
    let mut parts: Vec<KeyPart> = vec![];
    let (mut starts, mut ends) = (BTreeSet::new(), BTreeSet::new());
    for (index, time) in times.iter().take(groups).enumerate() {
        match time.as_ref().map(|t| &t.role) {
            Some(TimeRole::WindowStart(_) | TimeRole::SessionStart(_)) => _ = starts.insert(index),
            Some(TimeRole::WindowEnd(_) | TimeRole::SessionEnd(_)) => _ = ends.insert(index),
            _ => parts
                .push(KeyPart { name: plan.schema().field(index).name().clone(), columns: [index].into() }),
        }
    }
    let bounds = if ends.is_empty() { &starts } else { &ends };
    for column in bounds {
        let mut columns: BTreeSet<usize> = [*column].into();
        if times[*column].as_ref().is_some_and(|end| start_implies_end(&end.role)) {
            columns.extend(&starts);
        }
        parts.push(KeyPart { name: plan.schema().field(*column).name().clone(), columns });
    }
    Ok(parts)
}

/// Whether the start of such a window tells its end. Cumulating windows share their start.
fn start_implies_end(end: &TimeRole) -> bool {
    match end {
        TimeRole::WindowEnd(window) => window.spec.shape != Shape::Cumulate,
        TimeRole::SessionEnd(_) => true,
        _ => false,
    }
}

/// Whether an expression has one value for each value of the part, and another for each other.
fn stands_for(expr: &Expr, part: &KeyPart, input: &LogicalPlan) -> bool {
    match expr {
        Expr::Alias(alias) => stands_for(&alias.expr, part, input),
        Expr::Column(column) => {
            input.schema().maybe_index_of_column(column).is_some_and(|index| part.columns.contains(&index))
        }
        // Either bound of a window struct tells the window.
        Expr::ScalarFunction(call) if call.name() == "get_field" => {
            call.args.first().is_some_and(|window| stands_for(window, part, input))
        }
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
