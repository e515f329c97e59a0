//! Joins of a stream with static data: linear in the stream, the static side built once.

use crate::exec::WEIGHT;
use datafusion::common::{DataFusionError, JoinType};
use datafusion::logical_expr::{Expr, Join, LogicalPlan, Projection};
use std::sync::Arc;

/// Whether every output row of the join belongs to one row of the stream.
pub(super) fn linear_in_stream(kind: JoinType, stream_left: bool) -> bool {
    use JoinType::*;
    match kind {
        Inner => true,
        Left | LeftSemi | LeftAnti | LeftMark => stream_left,
        Right | RightSemi | RightAnti | RightMark => !stream_left,
        Full => false,
    }
}

pub(super) fn rebuild_join(
    join: &Join,
    left: LogicalPlan,
    right: LogicalPlan,
) -> Result<LogicalPlan, DataFusionError> {
    LogicalPlan::Join(join.clone())
        .with_new_exprs(LogicalPlan::Join(join.clone()).expressions(), vec![left, right])
}

/// The same join with its sides exchanged, so that the static side is the one that is built; the columns keep their
/// order. A null-aware anti join (NOT IN) is defined for its own side only and stays.
pub(super) fn swap_join(
    join: &Join,
    left: LogicalPlan,
    right: LogicalPlan,
) -> Result<LogicalPlan, DataFusionError> {
    if join.null_aware || !join.join_type.supports_swap() {
        return rebuild_join(join, left, right);
    }
    let columns: Vec<Expr> = match join.join_type {
        JoinType::LeftMark | JoinType::RightMark => return rebuild_join(join, left, right),
        JoinType::LeftSemi | JoinType::LeftAnti => {
            left.schema().columns().into_iter().map(Expr::Column).collect()
        }
        _ => left.schema().columns().into_iter().chain(right.schema().columns()).map(Expr::Column).collect(),
    };
    let swapped = Join::try_new(
        Arc::new(right),
        Arc::new(left),
        join.on.iter().map(|(l, r)| (r.clone(), l.clone())).collect(),
        join.filter.clone(),
        join.join_type.swap(),
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(LogicalPlan::Join(swapped)))?))
}

/// Moves the weight column behind all others, where a join has left it in the middle.
pub(super) fn weight_last(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let (weights, mut columns): (Vec<_>, Vec<_>) =
        plan.schema().columns().into_iter().partition(|column| column.name == WEIGHT);
    columns.extend(weights);
    let exprs = columns.into_iter().map(Expr::Column).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}
