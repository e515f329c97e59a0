//! Refusals: what cannot be done incrementally, why, and what can be done instead.

use crate::error::from_datafusion;
use acequia_core::{Error, OutputMode, Result};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// A join whose condition gives another value each time.
pub(super) fn volatile_join() -> Error {
    Error::unsupported(
        "now(), random() and the like in a join condition would give other pairs in every batch; compute them in a subquery below the join, or filter above it",
    )
}

/// The batch's time in what is computed once.
pub(super) fn static_time() -> Error {
    Error::unsupported(
        "now() over the rows of a table would stand still, since a table is read once; compare them with a time of the stream, as in WHERE t.valid_until > s.ts, or use now() above the join in the SELECT list",
    )
}

/// A scalar subquery that may give several rows.
pub(super) fn scalar_of_many(subquery: &LogicalPlan) -> Error {
    Error::unsupported(format!(
        "a scalar subquery has to be of one row whatever comes; make it an aggregate, as in (SELECT max(v) FROM t), add LIMIT 1, or join with it: subquery=`{}`",
        subquery.display()
    ))
}

/// A condition on the batch's time that is no comparison with one that only goes on.
pub(super) fn time_condition(condition: &Expr) -> Error {
    Error::unsupported(format!(
        "this condition on now() would have to be looked at again for every row that was ever read; compare a value of the row with now() plus or minus a constant of at most days, as in ts > now() - INTERVAL '1 hour', or use EMIT APPEND without anything that keeps rows, where it is looked at when a row comes: condition=`{condition}`"
    ))
}

/// Rows that leave with time, below something that is to be final.
pub(super) fn expires_below_final(condition: &Expr) -> Error {
    Error::unsupported(format!(
        "rows that leave as now() moves on are never final, and what is above them in APPEND mode has to be; use EMIT UPDATE, COMPLETE or CHANGES, or leave the condition to the watermark: condition=`{condition}`"
    ))
}

/// NOT IN with more than one condition, which DataFusion cannot run either.
pub(super) fn correlated_not_in() -> Error {
    Error::unsupported(
        "NOT IN with a correlated subquery, or over columns of which several must be equal, is not incremental; use NOT EXISTS, or leave NULLs out and join",
    )
}

/// An outer join in `APPEND` mode whose rows without a partner may still find one.
pub(super) fn outer_join_never_final(kind: impl std::fmt::Display) -> Error {
    Error::unsupported(format!(
        "a {kind} join of two streams in APPEND mode needs to know when a row can find no partner any more: watermarks on both sides, and their times equal or near each other in ON, as l.ts BETWEEN r.ts - INTERVAL '1 hour' AND r.ts; add that, or use EMIT CHANGES"
    ))
}

/// An ASOF join in `APPEND` mode whose left rows may still get another right row.
pub(super) fn asof_never_final() -> Error {
    Error::unsupported(
        "ASOF JOIN of two streams in APPEND mode needs to know when no nearer right row can come any more: watermarks on both times of the match condition, of one type, compared by >= or >; add them, or use EMIT CHANGES, or UPDATE with a key",
    )
}

/// `drop_duplicates` over rows that are taken back.
pub(super) fn duplicates_of_changes(mode: OutputMode) -> Error {
    Error::unsupported(format!(
        "drop_duplicates keeps the first row that comes, and of rows that are taken back none is the first, in {mode} mode; use SELECT DISTINCT ON (..) .. ORDER BY, or SELECT DISTINCT, or drop duplicates below the aggregate"
    ))
}

/// A processor with state over rows that are taken back.
pub(super) fn processor_over_changes(mode: OutputMode) -> Error {
    Error::unsupported(format!(
        "a processor with state handles rows that stay, and those below it are replaced or taken back, in {mode} mode; use it below the aggregate, or give the aggregate's groups a window with a watermark and write in APPEND mode"
    ))
}

/// A processor with timers of event time without an event time.
pub(super) fn no_event_time() -> Error {
    Error::unsupported(
        "timers of event time need the event-time column of the input with its watermark; add WATERMARK FOR or with_watermark(), or use TimeMode::ProcessingTime",
    )
}

/// A processor whose rows replace others, in a mode that writes only new ones.
pub(super) fn processor_updates(mode: OutputMode) -> Error {
    Error::unsupported(format!(
        "a processor with state that emits in UPDATE mode gives rows that replace others, in {mode} mode; write in UPDATE mode, or let it emit in APPEND mode"
    ))
}

/// Something with state over a processor whose rows replace others.
pub(super) fn over_processor_updates(plan: &LogicalPlan) -> Error {
    Error::unsupported(format!(
        "nothing that keeps state can read a processor that emits in UPDATE mode; let it emit in APPEND mode: node=`{}`",
        plan.display()
    ))
}

/// Sessions of rows that are taken back, grouped by their bounds.
pub(super) fn bounds_over_changes() -> Error {
    Error::unsupported(
        "SESSION as a table function over rows that are taken back, as those of an aggregate, is not incremental yet; GROUP BY session_window(..) instead",
    )
}

/// A function that gives another value each time, over rows that are taken back later.
pub(super) fn volatile_over_changes(mode: OutputMode) -> Error {
    Error::unsupported(format!(
        "now(), random() and the like over rows that change or go again would take back other rows than were given, in {mode} mode; compute them where rows only come, as in a subquery below the aggregate, or use EMIT COMPLETE"
    ))
}

/// Partitions in `APPEND` mode whose rows are never final.
pub(super) fn partitions_never_final(plan: &LogicalPlan) -> Error {
    let what = match plan {
        LogicalPlan::Window(_) => {
            "OVER in APPEND mode needs an event-time column with a watermark, so that its rows become final: in PARTITION BY, as the end of a window, or first in ORDER BY, ascending, with functions that look back only, over rows that are only added; add one, or use EMIT CHANGES, COMPLETE, or UPDATE with a key"
        }
        LogicalPlan::Limit(_) | LogicalPlan::Sort(_) => {
            "ORDER BY with LIMIT over a stream is final in APPEND mode only where an event time with a watermark comes first in ORDER BY, ascending, over rows that are only added, as otherwise a row that comes later may take a place; use EMIT CHANGES, COMPLETE, or UPDATE with a key"
        }
        _ => "this operator is never final in APPEND mode; use EMIT CHANGES, COMPLETE, or UPDATE with a key",
    };
    Error::unsupported(format!("{what}: operator=`{}`", plan.display()))
}

/// An expression that has no column of its own.
pub(super) fn expression(expr: &Expr) -> Error {
    Error::internal(format!("rows have no column for an expression: {expr}"))
}

/// A table in memory that queries write to.
pub(super) fn written_table(name: &str) -> Error {
    Error::unsupported(format!(
        "the table of a memory sink inside a continuous query would be read once and stand still; write the query that fills it as a view (CREATE VIEW or CREATE MATERIALIZED VIEW) and read that: table=`{name}`"
    ))
}

/// A view of changes, each of which is a row.
pub(super) fn view_of_changes(name: &str) -> Error {
    Error::unsupported(format!(
        "a materialized view with EMIT CHANGES holds changes, not the result; create it without, and read that: view=`{name}`"
    ))
}

/// A view that holds rows back until they are final, in a query that does not.
pub(super) fn final_view(name: &str, mode: OutputMode) -> Error {
    Error::unsupported(format!(
        "materialized view `{name}` holds final rows only (EMIT APPEND), and {mode} mode gives rows before they are; use EMIT APPEND here, or create the view with EMIT UPDATE"
    ))
}

/// An aggregate in `APPEND` mode whose groups are never final.
pub(super) fn never_final(what: &str) -> Error {
    Error::unsupported(format!(
        "{what} in APPEND mode needs an event-time column with a watermark among the GROUP BY columns, as window(ts, '10 minutes'), so that its rows become final; add one, or use EMIT UPDATE, COMPLETE or CHANGES"
    ))
}

/// `APPEND` of a result whose rows are taken back.
pub(super) fn rows_change() -> Error {
    Error::unsupported(
        "rows of this result change or go again, and in APPEND mode none can be taken back; use EMIT CHANGES, or EMIT UPDATE with a key of the result in the SELECT list",
    )
}

/// `COMPLETE` of a query that keeps no result.
pub(super) fn nothing_kept() -> Error {
    Error::unsupported(
        "COMPLETE mode needs a result that is kept, as that of an aggregate, DISTINCT, OVER or LIMIT, and this query passes rows through; use EMIT APPEND",
    )
}

/// `UPDATE` of a result without a key.
pub(super) fn no_key(missing: &[String]) -> Error {
    let way_out = "use EMIT COMPLETE or EMIT CHANGES, or declare a key: WITH (key = 'a, b')";
    if missing.is_empty() {
        return Error::unsupported(format!(
            "UPDATE mode needs a key of the result, and none can be derived; {way_out}"
        ));
    }
    Error::unsupported(format!(
        "UPDATE mode needs the key of the result in the SELECT list; add {}, or {way_out}",
        missing.iter().map(|m| format!("`{m}`")).collect::<Vec<_>>().join(", ")
    ))
}

/// A declared key in a mode that has none.
pub(super) fn key_without_use(mode: OutputMode) -> Error {
    Error::invalid(format!(
        "a key says which rows of UPDATE and CHANGES are versions of one row, and {mode} has no versions; leave it out"
    ))
}

/// `UPDATE` of grouping sets, whose group columns alone do not tell a NULL of the data from that of a subtotal.
pub(super) fn grouping_sets_without_key() -> Error {
    Error::unsupported(
        "UPDATE mode needs a key of the result, and the columns of ROLLUP, CUBE and GROUPING SETS are none, as a NULL may be a value or a subtotal; use EMIT COMPLETE or EMIT CHANGES, or add GROUPING(..) columns and declare them with the others: WITH (key = 'a, b')",
    )
}

/// A result of nothing but a number of rows.
pub(super) fn no_columns() -> Error {
    Error::invalid("a continuous query gives at least one column; name some in the SELECT list, or count(*)")
}

/// `CHANGES` of a result that has the column which the mode adds.
pub(super) fn op_taken() -> Error {
    Error::invalid("CHANGES mode adds a column `op`, and the query has one of that name; rename it with AS")
}

/// A session window that is used for anything but grouping.
pub(super) fn ungrouped_session() -> Error {
    Error::unsupported(
        "a session window has bounds only within GROUP BY; group by it (both bounds, and every PARTITION BY column of SESSION)",
    )
}

/// What is left of LATERAL and of correlated subqueries once all that are joins have become joins. The rest refers to
/// the row around it, and no physical plan can.
pub(super) fn correlated(plan: &LogicalPlan) -> Result<()> {
    let mut outer = None;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::OuterReferenceColumn(_, column) = expr {
                    outer = Some(column.flat_name());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked.map_err(from_datafusion)?;
    match outer {
        None => Ok(()),
        Some(column) => Err(Error::unsupported(format!(
            "a LATERAL or correlated subquery with LIMIT, or with a column from outside in more than equalities, is no join and cannot be run for each row of a stream; write it as a JOIN with its conditions in ON: column=`{column}`"
        ))),
    }
}

/// A node that is not incremental (yet).
pub(super) fn node(plan: &LogicalPlan) -> Error {
    let (what, way_out) = match plan {
        LogicalPlan::Sort(_) => (
            "ORDER BY over a stream",
            "add a LIMIT, use EMIT COMPLETE over a result that is kept, or leave it out",
        ),
        LogicalPlan::RecursiveQuery(_) => ("WITH RECURSIVE over a stream", "use it over static tables"),
        LogicalPlan::Subquery(_) => {
            ("a subquery over a stream inside an expression", "use a static table in it")
        }
        _ => ("this operator over a stream", "write the query another way"),
    };
    Error::unsupported(format!("{what} is not incremental yet; {way_out}: operator=`{}`", plan.display()))
}
