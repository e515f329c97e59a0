//! Which output columns of a plan carry event time, and how they derive from it.
//!
//! A pure analysis of the logical plan; [`super::bound`] turns its result and a watermark into a bound. The rules
//! ("B(c)": every future change has c >= B(c)):
//!
//! | node | output columns |
//! |---|---|
//! | watermark mark | its column: event time, of the mark's own watermark or of all below |
//! | projection | column, alias, `start`/`end` of a window, window of a time, monotone function of one; else lost |
//! | filter, alias, sort, DISTINCT, drop duplicates | as the input |
//! | OVER | columns by which all of its windows are partitioned; others change with later rows: lost |
//! | filter by `now()` | lost: rows come and go when it moves on |
//! | LIMIT | lost: a row that comes later takes the place of another one |
//! | unnest of a list of windows | the window |
//! | aggregate | group keys keep theirs (not those of grouping sets); aggregates: lost |
//! | UNION ALL | where all branches agree in the role; the watermarks of all |
//! | join with a static side | columns of the streaming side, unless the join pads that side with NULLs |
//! | join of two streams | the times that bind both ([`JoinTimes`]), the lower bound of both; else lost |
//! | ASOF JOIN | the left time, the lower bound of both; left columns, if the right side is static; else lost |
//! | anything else | lost |
//!
//! Functions whose result can go back when time goes on (local time in a zone with summer time, months added to a
//! time of day) are not monotone and lose it. So does everything that is not listed: lost is always right, it only
//! keeps state and holds rows back.

use super::asof_join::AsofJoin;
use super::batch_time::reads_batch_time;
use super::bound::evaluate;
use super::duplicates::DropDuplicates;
use super::expand::called;
use super::join_time::JoinTimes;
use super::not_unique::NotUnique;
use super::session::{SessionFunction, SessionScope};
use super::time_column::{ARGUMENT, SessionOf, SessionPartition, TimeColumn, TimeRole, WindowOf};
use super::timestamps::{END, START};
use super::watermark::EventTimeWatermark;
use super::window::{HopFunction, TumbleFunction};
use super::window_time::WindowTime;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Cast, Distinct, Expr, ExprSchemable, Join, JoinType, LogicalPlan, Operator,
    TryCast, Union, Unnest, Window,
};
use std::collections::BTreeSet;

/// One entry per output column.
pub type TimeColumns = Vec<Option<TimeColumn>>;

/// The event-time columns of a plan's output, preferably an optimized one. `is_stream` tells the leaves (scans and
/// unknown extensions) that are streams; a mark makes what is below it a stream anyway.
///
/// # Errors
/// When a column does not resolve, which a valid plan does not have.
pub fn event_time_columns(
    plan: &LogicalPlan,
    is_stream: &dyn Fn(&LogicalPlan) -> bool,
) -> Result<TimeColumns> {
    let inputs = plan
        .inputs()
        .into_iter()
        .map(|input| event_time_columns(input, is_stream))
        .collect::<Result<Vec<_>>>()?;
    let streaming: Vec<bool> = plan.inputs().into_iter().map(|input| streams(input, is_stream)).collect();
    transfer(plan, &inputs, &streaming)
}

fn streams(plan: &LogicalPlan, is_stream: &dyn Fn(&LogicalPlan) -> bool) -> bool {
    let leaf = plan.inputs().is_empty();
    EventTimeWatermark::of(plan).is_some()
        || (leaf && is_stream(plan))
        || plan.inputs().into_iter().any(|input| streams(input, is_stream))
}

/// One row of the table: a node's columns from those of its inputs.
///
/// # Errors
/// When a column does not resolve.
pub fn transfer(plan: &LogicalPlan, inputs: &[TimeColumns], streaming: &[bool]) -> Result<TimeColumns> {
    let pass = || inputs.first().cloned().unwrap_or_default();
    Ok(match plan {
        LogicalPlan::Extension(_) => match (EventTimeWatermark::of(plan), DropDuplicates::of(plan)) {
            (Some(node), _) => mark(node, pass())?,
            (_, Some(_)) => pass(),
            _ => match AsofJoin::of(plan) {
                Some(node) => asof_join(node, inputs, streaming)?,
                None => lost(plan),
            },
        },
        LogicalPlan::Projection(node) => project(&node.expr, node.input.schema(), &inputs[0])?,
        LogicalPlan::Filter(node) if reads_batch_time(&node.predicate) => lost(plan),
        LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => pass(),
        LogicalPlan::Distinct(Distinct::On(node)) => {
            project(&node.select_expr, node.input.schema(), &inputs[0])?
        }
        LogicalPlan::Aggregate(node) => aggregate(node, &inputs[0])?,
        LogicalPlan::Window(node) => over(node, pass()),
        LogicalPlan::Unnest(node) => unnest(node, &inputs[0]),
        LogicalPlan::Union(node) => union(node, inputs),
        LogicalPlan::Join(node) => join(node, inputs, streaming)?,
        _ => lost(plan),
    })
}

fn lost(plan: &LogicalPlan) -> TimeColumns {
    vec![None; plan.schema().fields().len()]
}

fn mark(node: &EventTimeWatermark, mut columns: TimeColumns) -> Result<TimeColumns> {
    let index = node.column_index()?;
    columns[index] = Some(TimeColumn {
        watermarks: node.watermarks(),
        role: TimeRole::EventTime,
        data_type: node.input().schema().field(index).data_type().clone(),
    });
    Ok(columns)
}

fn project(exprs: &[Expr], schema: &DFSchema, input: &TimeColumns) -> Result<TimeColumns> {
    let sources: Vec<Option<usize>> = exprs.iter().map(|e| source_column(e, schema)).collect();
    let place = |column: usize| sources.iter().position(|s| *s == Some(column));
    let times = exprs.iter().map(|e| time_of(e, schema, input)).collect::<Result<Vec<_>>>()?;
    Ok(times.into_iter().map(|time| time.map(|t| t.moved(&place))).collect())
}

/// The input column that an expression passes on.
fn source_column(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    match expr {
        Expr::Alias(alias) => source_column(&alias.expr, schema),
        Expr::Column(column) => schema.maybe_index_of_column(column),
        Expr::ScalarFunction(f) if called::<NotUnique>(expr).is_some() => {
            source_column(f.args.first()?, schema)
        }
        _ => None,
    }
}

fn aggregate(node: &Aggregate, input: &TimeColumns) -> Result<TimeColumns> {
    let outputs = node.schema.fields().len();
    if node.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))) {
        return Ok(vec![None; outputs]);
    }
    let mut columns = project(&node.group_expr, node.input.schema(), input)?;
    columns.iter_mut().flatten().for_each(TimeColumn::merge_sessions);
    columns.resize(outputs, None);
    Ok(columns)
}

fn over(node: &Window, mut columns: TimeColumns) -> TimeColumns {
    for (index, time) in columns.iter_mut().enumerate() {
        let column = Expr::Column(Column::from(node.input.schema().qualified_field(index)));
        let tells = |window: &Expr| match window.clone().unalias() {
            Expr::WindowFunction(function) => function.params.partition_by.contains(&column),
            _ => false,
        };
        if !node.window_expr.iter().all(tells) {
            *time = None;
        }
    }
    columns.resize(node.schema.fields().len(), None);
    columns
}

fn unnest(node: &Unnest, input: &TimeColumns) -> TimeColumns {
    let unnested: Vec<usize> = node
        .list_type_columns
        .iter()
        .map(|(i, _)| *i)
        .chain(node.struct_type_columns.iter().copied())
        .collect();
    let place = |column: usize| {
        (!unnested.contains(&column))
            .then(|| node.dependency_indices.iter().position(|i| *i == column))
            .flatten()
    };
    let output = |(output, source): (usize, &usize)| {
        let time = input[*source].clone()?;
        match (&time.role, unnested.contains(source)) {
            (TimeRole::WindowList(window), true) => {
                let data_type = node.schema.field(output).data_type().clone();
                Some(TimeColumn { role: TimeRole::Window(window.clone()), data_type, ..time })
            }
            (_, true) => None,
            (_, false) => Some(time.moved(&place)),
        }
    };
    node.dependency_indices.iter().enumerate().map(output).collect()
}

fn union(node: &Union, inputs: &[TimeColumns]) -> TimeColumns {
    let column = |i: usize| {
        let mut all = inputs.iter().map(|columns| columns.get(i).cloned().flatten());
        let first = all.next()??;
        all.try_fold(first, |united, other| united.united(&other?))
    };
    (0..node.schema.fields().len()).map(column).collect()
}

fn join(node: &Join, inputs: &[TimeColumns], streaming: &[bool]) -> Result<TimeColumns> {
    use JoinType as T;
    let keeps_left = matches!(node.join_type, T::Inner | T::Left | T::LeftSemi | T::LeftAnti | T::LeftMark);
    let keeps_right =
        matches!(node.join_type, T::Inner | T::Right | T::RightSemi | T::RightAnti | T::RightMark);
    let binding = if streaming == [true, true] { JoinTimes::of(node, &inputs[0], &inputs[1])? } else { None };
    let keep = |side: usize, keeps: bool, shift: usize| -> TimeColumns {
        let after = |column: &TimeColumn| match (streaming[1 - side], &binding) {
            (false, _) => Some(column.clone()),
            (true, Some(binding)) => binding.bound_after(side, column),
            (true, None) => None,
        };
        let kept = |column: &Option<TimeColumn>| {
            column.as_ref().filter(|_| keeps).and_then(after).map(|c| c.moved(&|i| Some(i + shift)))
        };
        inputs[side].iter().map(kept).collect()
    };
    let mut columns: TimeColumns = match node.join_type {
        T::LeftSemi | T::LeftAnti | T::LeftMark => keep(0, keeps_left, 0),
        T::RightSemi | T::RightAnti | T::RightMark => keep(1, keeps_right, 0),
        _ => [keep(0, keeps_left, 0), keep(1, keeps_right, inputs[0].len())].concat(),
    };
    columns.resize(node.schema.fields().len(), None);
    Ok(columns)
}

fn asof_join(node: &AsofJoin, inputs: &[TimeColumns], streaming: &[bool]) -> Result<TimeColumns> {
    let binding = node.bounding_times(&inputs[0], &inputs[1])?;
    let after = |column: &TimeColumn| match (streaming[1], &binding) {
        (false, _) => Some(column.clone()),
        (true, Some(binding)) => binding.bound_after(0, column),
        (true, None) => None,
    };
    let mut columns: TimeColumns = inputs[0].iter().map(|column| column.as_ref().and_then(after)).collect();
    columns.resize(columns.len() + inputs[1].len(), None);
    Ok(columns)
}

/// The event time of an expression over a relation with these columns.
///
/// # Errors
/// When a column does not resolve.
pub fn time_of(expr: &Expr, schema: &DFSchema, input: &TimeColumns) -> Result<Option<TimeColumn>> {
    match expr {
        Expr::Alias(alias) => time_of(&alias.expr, schema, input),
        Expr::Column(column) => {
            Ok(schema.maybe_index_of_column(column).and_then(|i| input.get(i).cloned().flatten()))
        }
        Expr::Cast(Cast { expr: inner, .. }) | Expr::TryCast(TryCast { expr: inner, .. }) => {
            let time = time_of(inner, schema, input)?;
            Ok(time.and_then(|time| cast_time(expr, inner, time, expr.get_type(schema).ok()?)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Plus | Operator::Minus), right }) => {
            let (moved, by) = match (left.as_ref(), right.as_ref(), op) {
                (moved, Expr::Literal(by, _), _) => (moved, by),
                (Expr::Literal(by, _), moved, Operator::Plus) => (moved, by),
                _ => return Ok(None),
            };
            let time = time_of(moved, schema, input)?;
            Ok(time.filter(|t| shifts_evenly(&t.data_type, by)).and_then(|time| monotone(expr, moved, time)))
        }
        Expr::ScalarFunction(function) => function_time(expr, function, schema, input),
        _ => Ok(None),
    }
}

fn function_time(
    expr: &Expr,
    function: &ScalarFunction,
    schema: &DFSchema,
    input: &TimeColumns,
) -> Result<Option<TimeColumn>> {
    let Some(first) = function.args.first() else { return Ok(None) };
    if called::<NotUnique>(expr).is_some() {
        return time_of(first, schema, input);
    }
    if let Some(role) = window_role(expr, first, schema, input)? {
        let (watermarks, role) = role;
        return Ok(Some(TimeColumn { watermarks, role, data_type: expr.get_type(schema)? }));
    }
    match (function.func.name(), function.args.as_slice()) {
        ("get_field", [window, Expr::Literal(name, _)]) => {
            Ok(time_of(window, schema, input)?.and_then(|w| bound_of(&w, name, expr.get_type(schema).ok()?)))
        }
        (_, [window]) if called::<WindowTime>(expr).is_some() => {
            Ok(time_of(window, schema, input)?.and_then(last_instant))
        }
        ("date_trunc", [Expr::Literal(_, _), time]) | ("date_bin", [Expr::Literal(_, _), time]) => {
            let inner = time_of(time, schema, input)?;
            Ok(inner.filter(|t| steady(&t.data_type)).and_then(|t| monotone(expr, time, t)))
        }
        ("date_bin", [Expr::Literal(_, _), time, Expr::Literal(_, _)]) => {
            let inner = time_of(time, schema, input)?;
            Ok(inner.filter(|t| steady(&t.data_type)).and_then(|t| monotone(expr, time, t)))
        }
        _ => Ok(None),
    }
}

type WatermarksAndRole = (BTreeSet<String>, TimeRole);

/// The role of a call that makes windows or sessions; these have one without a watermark too.
fn window_role(
    expr: &Expr,
    time: &Expr,
    schema: &DFSchema,
    input: &TimeColumns,
) -> Result<Option<WatermarksAndRole>> {
    let of = || -> Result<Box<TimeColumn>> {
        let known = time_of(time, schema, input)?.filter(TimeColumn::is_ordered);
        Ok(Box::new(known.map_or_else(
            || Ok(TimeColumn::unmarked(time.get_type(schema)?)),
            Ok::<_, datafusion::common::DataFusionError>,
        )?))
    };
    let (of, role) = if let Some((f, _)) = called::<TumbleFunction>(expr) {
        let of = of()?;
        (of.clone(), TimeRole::Window(WindowOf { spec: *f.spec(), of }))
    } else if let Some((f, _)) = called::<HopFunction>(expr) {
        let of = of()?;
        (of.clone(), TimeRole::WindowList(WindowOf { spec: *f.spec(), of }))
    } else if let Some((f, args)) = called::<SessionFunction>(expr) {
        let of = of()?;
        let partition = session_partition(f, args, schema);
        (of.clone(), TimeRole::Session(SessionOf { gap: f.gap(), partition, merged: false, of }))
    } else {
        return Ok(None);
    };
    Ok(Some((of.watermarks, role)))
}

fn session_partition(function: &SessionFunction, args: &[Expr], schema: &DFSchema) -> SessionPartition {
    if function.scope() == SessionScope::GroupKeys {
        return SessionPartition::GroupKeys;
    }
    let columns: Option<Vec<usize>> = function.keys(args).iter().map(|k| source_column(k, schema)).collect();
    columns.map_or(SessionPartition::Lost, SessionPartition::Columns)
}

fn bound_of(window: &TimeColumn, name: &ScalarValue, data_type: DataType) -> Option<TimeColumn> {
    let name = name.try_as_str().flatten()?;
    let role = match (&window.role, name) {
        (TimeRole::Window(w), START) => TimeRole::WindowStart(w.clone()),
        (TimeRole::Window(w), END) => TimeRole::WindowEnd(w.clone()),
        (TimeRole::Session(s), START) => TimeRole::SessionStart(s.clone()),
        (TimeRole::Session(s), END) => TimeRole::SessionEnd(s.clone()),
        _ => return None,
    };
    Some(window.with(role, data_type))
}

fn last_instant(window: TimeColumn) -> Option<TimeColumn> {
    let data_type = super::timestamps::window_time_type(&window.data_type)?.clone();
    let end = match &window.role {
        TimeRole::Window(w) => TimeRole::WindowEnd(w.clone()),
        TimeRole::Session(s) => TimeRole::SessionEnd(s.clone()),
        _ => return None,
    };
    let end = Box::new(window.with(end, data_type.clone()));
    Some(window.with(TimeRole::LastInstant(end), data_type))
}

/// `expr` as a function of `inner`, if it can be computed at all.
fn monotone(expr: &Expr, inner: &Expr, time: TimeColumn) -> Option<TimeColumn> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    if !time.is_ordered() {
        return None;
    }
    let argument = Expr::Column(Column::from_name(ARGUMENT));
    let replaced = expr.clone().transform_down(|e| {
        Ok(if e == *inner { Transformed::yes(argument.clone()) } else { Transformed::no(e) })
    });
    let function = replaced.ok()?.data.unalias();
    let (data_type, _) = evaluate(&function, &time.data_type, 0).ok()?;
    let of = Box::new(time);
    Some(TimeColumn {
        watermarks: of.watermarks.clone(),
        role: TimeRole::Monotone { of, function },
        data_type,
    })
}

fn cast_time(expr: &Expr, inner: &Expr, time: TimeColumn, to: DataType) -> Option<TimeColumn> {
    use DataType::{Date32, Date64, Timestamp};
    match (&time.data_type, &to) {
        (Timestamp(from_unit, from), Timestamp(to_unit, into)) => {
            let same_instants = from.is_some() == into.is_some() || (is_utc(from) && is_utc(into));
            let evenly = same_instants || (steady_zone(from) && steady_zone(into));
            if same_instants && fineness(*to_unit) >= fineness(*from_unit) && time.role == TimeRole::EventTime
            {
                return Some(time.with(TimeRole::EventTime, to));
            }
            evenly.then(|| monotone(expr, inner, time)).flatten()
        }
        (Timestamp(_, zone), Date32 | Date64) if steady_zone(zone) => monotone(expr, inner, time),
        _ => None,
    }
}

fn fineness(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

type Zone = Option<std::sync::Arc<str>>;

/// Whether a zone's clock always runs forward.
fn steady_zone(zone: &Zone) -> bool {
    is_utc(zone) || zone.as_deref().is_some_and(|z| z.starts_with(['+', '-']))
}

fn is_utc(zone: &Zone) -> bool {
    matches!(zone.as_deref(), None | Some("UTC" | "Z" | "GMT" | "Etc/UTC" | "+00:00" | "+00" | "+0000"))
}

fn steady(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(_, zone) => steady_zone(zone),
        DataType::Date32 | DataType::Date64 => true,
        _ => false,
    }
}

/// Whether a constant moves all times alike, so that their order stays.
fn shifts_evenly(data_type: &DataType, by: &ScalarValue) -> bool {
    use ScalarValue as S;
    match by {
        S::IntervalMonthDayNano(Some(v)) => v.months == 0 && (v.days == 0 || steady(data_type)),
        S::IntervalDayTime(Some(v)) => v.days == 0 || steady(data_type),
        S::DurationSecond(Some(_))
        | S::DurationMillisecond(Some(_))
        | S::DurationMicrosecond(Some(_))
        | S::DurationNanosecond(Some(_)) => true,
        _ => false,
    }
}
