//! `EXPLAIN STREAMING`: the incremental plan as a tree, outermost first.

use super::key;
use super::node::{Island, Node, OperatorNode, SourceLeaf};
use super::recompute::Recomputed;
use crate::exec::{
    DropDuplicatesSpec, Emit, Expiry, JoinEmit, JoinEviction, JoinSide, KeyedProcessor, MovingBound,
    MovingBoundSpec, See, Shards, Variable, VariableKind,
};
use crate::functions::{AsofJoin, DropDuplicates, JoinTimes, TimeColumn};
use acequia_core::OutputMode;
use acequia_core::time::format_interval;
use arrow::datatypes::Schema;
use datafusion::logical_expr::{Join, LogicalPlan};
use datafusion::physical_plan::displayable;
use std::fmt::Write;

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

/// An aggregate in a line: what it computes, when it emits, what evicts it.
pub(super) fn aggregate(
    plan: &LogicalPlan,
    emit: Emit,
    groups: &[Option<TimeColumn>],
    weighted: bool,
) -> String {
    let emits = match emit {
        Emit::Final => "each group once, when final",
        Emit::Upserts => "groups whose row changed",
        Emit::Changes => "old and new rows of changed groups",
        Emit::Snapshot => "all groups",
    };
    let evicts = match groups.iter().position(|g| g.as_ref().is_some_and(|t| !t.watermarks.is_empty())) {
        _ if emit == Emit::Snapshot => "nothing: COMPLETE keeps every group".to_string(),
        Some(index) => format!("watermark over `{}`", plan.schema().field(index).name()),
        None => "nothing: no event-time column with a watermark in GROUP BY".to_string(),
    };
    let over = if weighted { " over changes" } else { "" };
    let evicts = if weighted { format!("its last row taken back, {evicts}") } else { evicts };
    format!("{}{over}, emits={emits}, evicted by={evicts}", key::describe_aggregate(plan))
}

/// A join in a line: its condition, when it emits, what evicts each side.
pub(super) fn join(
    join: &Join,
    mode: OutputMode,
    emit: JoinEmit,
    times: Option<&JoinTimes>,
    sides: [&JoinSide; 2],
) -> String {
    let keys: Vec<String> = join.on.iter().map(|(l, r)| format!("{l} = {r}")).collect();
    let filter = join.filter.as_ref().map_or_else(String::new, |filter| format!(" filter=`{filter}`"));
    let emits = match emit {
        JoinEmit::Inserts => "new rows",
        JoinEmit::Changes => "new rows, and rows taken back",
        JoinEmit::Final => "new rows; those without a partner once, when final",
    };
    let evicts = |side: usize| match (times, &sides[side].eviction) {
        (Some(times), Some(JoinEviction { leave: Some(_), .. })) => {
            format!("watermark over `{}`", times.exprs[1 - side])
        }
        _ if mode == OutputMode::Complete => "nothing: COMPLETE keeps every row".to_string(),
        _ => "nothing: no event times with watermarks are equal or near each other in ON".to_string(),
    };
    format!(
        "{} join on=[{}]{filter}, emits={emits}, left evicted by={}, right evicted by={}",
        join.join_type,
        keys.join(", "),
        evicts(0),
        evicts(1)
    )
}

/// A filter with a bound that moves in a line.
pub(super) fn moving_bound(condition: &str, spec: &MovingBoundSpec) -> String {
    let (keeps, evicts) = match &spec.bound {
        MovingBound::Row(_) => {
            ("all rows in the order of what is compared", "nothing: the bound may go back")
        }
        MovingBound::Time(_) => {
            ("rows in the order of what is compared, until time has passed them", "now()")
        }
    };
    let emits = match &spec.bound {
        _ if spec.only_adds() => "rows once they pass",
        MovingBound::Row(_) => "changed rows that pass, and those between the old bound and the new",
        MovingBound::Time(_) => "changed rows that pass, and those that time has passed",
    };
    format!("`{condition}`, keeps={keeps}, emits={emits}, evicted by={evicts}")
}

/// An ASOF join in a line: its condition, when it emits, what evicts each side.
pub(super) fn asof_join(node: &AsofJoin, mode: OutputMode, emit: Emit, times: Option<&JoinTimes>) -> String {
    let [left, right] = node.keys();
    let keys: Vec<String> = left.iter().zip(right).map(|(l, r)| format!("{l} = {r}")).collect();
    let [l, r] = node.times();
    let kind = if node.keeps_unmatched() { "Left" } else { "Inner" };
    let emits = match emit {
        Emit::Final => "each left row once, when final",
        _ => "left rows with their right row, and those taken back that get another one",
    };
    let evicts = match times {
        Some(_) => format!("watermarks over `{l}` and `{r}`, all but the last right row of each key"),
        None if mode == OutputMode::Complete => "nothing: COMPLETE keeps every row".to_string(),
        None => "nothing: not both times have watermarks and are compared by >= or >".to_string(),
    };
    let on = keys.join(", ");
    format!(
        "{kind} ASOF join match=`{l} {} {r}` on=[{on}], emits={emits}, evicted by={evicts}",
        node.compared()
    )
}

/// `drop_duplicates` in a line.
pub(super) fn drop_duplicates(node: &DropDuplicates, spec: &DropDuplicatesSpec) -> String {
    let columns: Vec<&str> = node.columns().iter().map(|column| column.name.as_str()).collect();
    let evicts = match &spec.expiry {
        Expiry::Never => "nothing: no event-time column with a watermark in the key".to_string(),
        Expiry::InKey { column, .. } => format!("watermark over `{}`", spec.schema.field(*column).name()),
        Expiry::Within { column, .. } => {
            format!("watermark over `{}`, after its delay", spec.schema.field(*column).name())
        }
    };
    format!("key=[{}], evicted by={evicts}", columns.join(", "))
}

/// A relation that is computed anew in a line.
pub(super) fn recomputed(of: &Recomputed<'_>, emit: Emit, time: Option<&str>, retracting: bool) -> String {
    let partition: Vec<String> = of.partition.iter().map(ToString::to_string).collect();
    let order: Vec<String> = of.order.iter().map(ToString::to_string).collect();
    let emits = match emit {
        Emit::Final => "each partition once, when final",
        _ => "changed rows of partitions that changed",
    };
    let keeps = match of.see {
        See::First(first) if !retracting => format!("the first rows of each partition: {first:?}"),
        See::First(first) => format!("all rows in order, of which it looks at the first: {first:?}"),
        See::Near { rows } => format!("all rows in order, of which it looks at {rows} around each change"),
        See::All => "all rows".to_string(),
    };
    let evicts = match time {
        Some(column) => format!("watermark over `{column}`"),
        None => "nothing: no event-time column with a watermark in PARTITION BY".to_string(),
    };
    format!(
        "partition=[{}] order=[{}], keeps={keeps}, emits={emits}, evicted by={evicts}",
        partition.join(", "),
        order.join(", ")
    )
}

/// A processor with state in a line: what it keeps for each key, and which timers it has.
pub(super) fn transform_with_state(processor: &dyn KeyedProcessor, mode: OutputMode) -> String {
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
    format!(
        "processor={}, keeps=[{}], timers={}, emits={emits}",
        processor.name(),
        variables.join(", "),
        processor.time_mode()
    )
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
    line(depth, &format!("{}#{}: {}", operator.name, operator.id, operator.description), out);
    for input in &operator.inputs {
        island(input, sources, depth + 1, out);
    }
}
