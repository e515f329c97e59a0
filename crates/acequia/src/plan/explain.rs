//! `EXPLAIN STREAMING`: the incremental plan as a tree, outermost first.

use super::key;
use super::node::{Description, Island, Node, OperatorNode, SourceLeaf};
use super::recompute::Recomputed;
use crate::exec::{
    DropDuplicatesSpec, Emit, Expiry, JoinEmit, JoinEviction, JoinSide, KeyedProcessor, MovingBound,
    MovingBoundSpec, Near, PartitionsSpec, See, Shards, Variable, VariableKind,
};
use crate::functions::{AsofJoin, DropDuplicates, JoinTimes, TimeColumn};
use acequia_core::OutputMode;
use acequia_core::time::format_interval;
use arrow::datatypes::Schema;
use datafusion::logical_expr::{Join, LogicalPlan};
use datafusion::physical_plan::displayable;
use std::fmt::{self, Display, Write};

/// Prints a plan.
pub(super) fn render(
    root: &Node,
    sources: &[SourceLeaf],
    mode: OutputMode,
    key: Option<&[usize]>,
    schema: &Schema,
) -> String {
    let mut out = format!("Output: mode={}", mode.as_str());
    if let Some(key) = key {
        let names: Vec<&str> = key.iter().map(|i| schema.field(*i).name().as_str()).collect();
        let _ = write!(out, " key=[{}]", names.join(", "));
    }
    out.push('\n');
    node(root, sources, 1, &mut out);
    out
}

/// What makes rows leave.
enum Eviction {
    By(String),
    Nothing(&'static str),
}

impl Eviction {
    fn watermark_over(column: impl Display) -> Self {
        Self::By(format!("watermark over `{column}`"))
    }

    /// Why rows only come.
    fn grows(&self) -> Option<String> {
        match self {
            Self::By(_) => None,
            Self::Nothing(why) => Some((*why).to_string()),
        }
    }
}

impl Display for Eviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(what) => f.write_str(what),
            Self::Nothing(why) => write!(f, "nothing: {why}"),
        }
    }
}

/// An aggregate in a line: what it computes, when it emits, what evicts it.
pub(super) fn aggregate(
    plan: &LogicalPlan,
    emit: Emit,
    groups: &[Option<TimeColumn>],
    weighted: bool,
) -> Description {
    let emits = match emit {
        Emit::Final => "each group once, when final",
        Emit::Upserts => "groups whose row changed",
        Emit::Changes => "old and new rows of changed groups",
        Emit::Snapshot => "all groups",
    };
    let evicts = match groups.iter().position(|g| g.as_ref().is_some_and(|t| !t.watermarks.is_empty())) {
        _ if emit == Emit::Snapshot => Eviction::Nothing("COMPLETE keeps every group"),
        Some(index) => Eviction::watermark_over(plan.schema().field(index).name()),
        None => Eviction::Nothing("no event-time column with a watermark in GROUP BY"),
    };
    let (over, taken_back) = if weighted { (" over changes", "its last row taken back, ") } else { ("", "") };
    let one_group = matches!(plan, LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty());
    let what = key::describe_aggregate(plan);
    Description {
        text: format!("{what}{over}, emits={emits}, evicted by={taken_back}{evicts}"),
        grows: evicts.grows().filter(|_| !one_group),
    }
}

/// A join in a line: its condition, when it emits, what evicts each side.
pub(super) fn join(
    join: &Join,
    mode: OutputMode,
    emit: JoinEmit,
    times: Option<&JoinTimes>,
    sides: [&JoinSide; 2],
) -> Description {
    let keys: Vec<String> = join.on.iter().map(|(l, r)| format!("{l} = {r}")).collect();
    let filter = join.filter.as_ref().map_or_else(String::new, |filter| format!(" filter=`{filter}`"));
    let emits = match emit {
        JoinEmit::Inserts => "new rows",
        JoinEmit::Changes => "new rows, and rows taken back",
        JoinEmit::Final => "new rows; those without a partner once, when final",
    };
    let evicts = |side: usize| match (times, &sides[side].eviction) {
        (Some(times), Some(JoinEviction { leave: Some(_), .. })) => {
            Eviction::watermark_over(&times.exprs[1 - side])
        }
        _ if mode == OutputMode::Complete => Eviction::Nothing("COMPLETE keeps every row"),
        _ => Eviction::Nothing("no event times with watermarks are equal or near each other in ON"),
    };
    let [left, right] = [evicts(0), evicts(1)];
    Description {
        text: format!(
            "{} join on=[{}]{filter}, emits={emits}, left evicted by={left}, right evicted by={right}",
            join.join_type,
            keys.join(", "),
        ),
        grows: left.grows().or(right.grows()),
    }
}

/// A filter with a bound that moves in a line.
pub(super) fn moving_bound(condition: &str, spec: &MovingBoundSpec) -> Description {
    let (keeps, evicts) = match &spec.bound {
        MovingBound::Row(_) => {
            ("all rows in the order of what is compared", Eviction::Nothing("the bound may go back"))
        }
        MovingBound::Time(_) => (
            "rows in the order of what is compared, until time has passed them",
            Eviction::By("now()".to_string()),
        ),
        MovingBound::Watermark(_) => {
            ("rows in the order of their time, until it is passed", Eviction::By("watermark".to_string()))
        }
    };
    let emits = match &spec.bound {
        _ if spec.only_adds() => "rows once they pass",
        MovingBound::Row(_) => "changed rows that pass, and those between the old bound and the new",
        _ => "changed rows that pass, and those that time has passed",
    };
    let text = format!("`{condition}`, keeps={keeps}, emits={emits}, evicted by={evicts}");
    Description { text, grows: evicts.grows() }
}

/// An ASOF join in a line: its condition, when it emits, what evicts each side.
pub(super) fn asof_join(
    node: &AsofJoin,
    mode: OutputMode,
    emit: Emit,
    times: Option<&JoinTimes>,
) -> Description {
    let [left, right] = node.keys();
    let keys: Vec<String> = left.iter().zip(right).map(|(l, r)| format!("{l} = {r}")).collect();
    let [l, r] = node.times();
    let kind = if node.keeps_unmatched() { "Left" } else { "Inner" };
    let emits = match emit {
        Emit::Final => "each left row once, when final",
        _ => "left rows with their right row, and those taken back that get another one",
    };
    let evicts = match times {
        Some(_) => {
            let what = format!("watermarks over `{l}` and `{r}`, all but the last right row of each key");
            Eviction::By(what)
        }
        None if mode == OutputMode::Complete => Eviction::Nothing("COMPLETE keeps every row"),
        None => Eviction::Nothing("not both times have watermarks and are compared by >= or >"),
    };
    let on = keys.join(", ");
    let text = format!(
        "{kind} ASOF join match=`{l} {} {r}` on=[{on}], emits={emits}, evicted by={evicts}",
        node.compared()
    );
    Description { text, grows: evicts.grows() }
}

/// `drop_duplicates` in a line.
pub(super) fn drop_duplicates(node: &DropDuplicates, spec: &DropDuplicatesSpec) -> Description {
    let columns: Vec<&str> = node.columns().iter().map(|column| column.name.as_str()).collect();
    let evicts = match &spec.expiry {
        Expiry::Never => Eviction::Nothing("no event-time column with a watermark in the key"),
        Expiry::InKey { column, .. } => Eviction::watermark_over(spec.schema.field(*column).name()),
        Expiry::Within { column, .. } => {
            let column = spec.schema.field(*column).name();
            Eviction::By(format!("watermark over `{column}`, after its delay"))
        }
    };
    let text = format!("key=[{}], evicted by={evicts}", columns.join(", "));
    Description { text, grows: evicts.grows() }
}

/// A relation that is computed anew in a line.
pub(super) fn recomputed(of: &Recomputed<'_>, spec: &PartitionsSpec, time: Option<&str>) -> Description {
    let retracting = spec.retracting;
    let partition: Vec<String> = of.partition.iter().map(ToString::to_string).collect();
    let order: Vec<String> = of.order.iter().map(ToString::to_string).collect();
    let emits = match spec.emit {
        Emit::Final if spec.in_order => "rows as they come, in order",
        Emit::Final => "each partition once, when final",
        _ => "changed rows of partitions that changed",
    };
    let keeps = match of.see {
        See::First(first) if !retracting => format!("the first rows of each partition: {first:?}"),
        See::First(first) => format!("all rows in order, of which it looks at the first: {first:?}"),
        See::Near(near) if spec.in_order => {
            format!("the last rows of each partition, as far as the next one sees: {}", around(near))
        }
        See::Near(near) => {
            format!("all rows in order, of which it looks at {} around each change", around(near))
        }
        See::Rest(near) if near == Near::default() => {
            "all rows in order, of which it looks at those after each change".to_string()
        }
        See::Rest(near) => {
            let around = around(near);
            format!("all rows in order, of which it looks at {around} around each change and those after it")
        }
        See::All => "all rows".to_string(),
    };
    let evicts = match time {
        Some(column) => Eviction::watermark_over(column),
        None if spec.in_order && matches!(of.see, See::Near(_)) => {
            Eviction::By("rows after them".to_string())
        }
        None => Eviction::Nothing("no event-time column with a watermark in PARTITION BY"),
    };
    let first_of_all = !retracting && of.partition.is_empty() && matches!(of.see, See::First(_));
    Description {
        text: format!(
            "partition=[{}] order=[{}], keeps={keeps}, emits={emits}, evicted by={evicts}",
            partition.join(", "),
            order.join(", ")
        ),
        grows: evicts.grows().filter(|_| !first_of_all),
    }
}

/// What a relation sees around a change.
fn around(Near { back, ahead }: Near) -> String {
    let both = |one: usize, other: usize| one.saturating_add(other);
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let rows = Some(both(back.rows, ahead.rows)).filter(|rows| *rows > 0).map(|rows| counted(rows, "row"));
    let groups = back.groups.max(ahead.groups).map(|_| {
        match both(back.groups.unwrap_or_default(), ahead.groups.unwrap_or_default()) {
            0 => "peers".to_string(),
            groups => counted(groups, "group"),
        }
    });
    let range = back.distance.or(ahead.distance).map(|_| "a range of values".to_string());
    let all: Vec<String> = [rows, groups, range].into_iter().flatten().collect();
    if all.is_empty() { "no rows".to_string() } else { all.join(", ") }
}

/// A result that is kept, in a line.
pub(super) fn materialized() -> Description {
    let evicts = Eviction::Nothing("COMPLETE keeps every row");
    let text = format!("keeps=all rows of the result, emits=all rows, evicted by={evicts}");
    Description { text, grows: evicts.grows() }
}

/// A processor with state in a line: what it keeps for each key, and which timers it has.
pub(super) fn transform_with_state(processor: &dyn KeyedProcessor, mode: OutputMode) -> Description {
    let variable = |variable: &Variable| {
        let kind = match variable.kind {
            VariableKind::Value => "value",
            VariableKind::List => "list",
            VariableKind::Map(_) => "map",
        };
        let ttl = variable.ttl_micros.map(|ttl| format!(" for {}", format_interval(ttl)));
        format!("{kind} {}{}", variable.name, ttl.unwrap_or_default())
    };
    let variables: Vec<String> = processor.variables().iter().map(variable).collect();
    let emits = if mode == OutputMode::Update { "rows that replace others" } else { "new rows" };
    Description::bounded(format!(
        "processor={}, keeps=[{}], timers={}, emits={emits}",
        processor.name(),
        variables.join(", "),
        processor.time_mode()
    ))
}

/// Into how many shards an operator is split, and by which columns; nothing for one in one piece, also while that is so.
pub(super) fn shards(shards: Shards, by: &[usize], plan: &LogicalPlan) -> String {
    if by.is_empty() || shards == Shards::AUTO {
        return String::new();
    }
    let names: Vec<&str> = by.iter().map(|index| plan.schema().field(*index).name().as_str()).collect();
    format!(", shards={shards} by=[{}]", names.join(", "))
}

fn line(depth: usize, text: &str, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{:indent$}{text}", "", indent = depth * 2);
}

fn node(plan: &Node, sources: &[SourceLeaf], depth: usize, out: &mut String) {
    match plan {
        Node::Source(index) => line(depth, &format!("Source: stream={}", sources[*index].stream.name()), out),
        Node::Island(inner) => island(inner, sources, depth, out),
        Node::Once(inner) => {
            line(depth, "Once: in batch 0", out);
            island(inner, sources, depth + 1, out);
        }
        Node::Operator(inner) => operator(inner, sources, depth, out),
    }
}

/// An island in one line each of DataFusion's nodes; its leaves are followed by what feeds them.
fn island(island: &Island, sources: &[SourceLeaf], depth: usize, out: &mut String) {
    let text = displayable(island.template.plan().as_ref()).indent(false).to_string();
    let mut deepest = depth;
    for text in text.lines() {
        let inner = (text.len() - text.trim_start().len()) / 2;
        deepest = depth + inner;
        line(deepest, text.trim_start(), out);
    }
    for (_, input) in &island.inputs {
        node(input, sources, deepest + 1, out);
    }
}

fn operator(operator: &OperatorNode, sources: &[SourceLeaf], depth: usize, out: &mut String) {
    line(depth, &format!("{}#{}: {}", operator.name, operator.id, operator.description.text), out);
    for input in &operator.inputs {
        island(input, sources, depth + 1, out);
    }
}
