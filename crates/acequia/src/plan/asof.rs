//! ASOF joins: with a changing right side an operator, with a static one the join that each stands for.

use super::build::{Builder, Change, Part, is_streaming, reads, times_of};
use super::joins::{KeyedInput, output_schema};
use super::node::OperatorNode;
use super::time_key::bound_of;
use super::{explain, fingerprint, refuse};
use crate::error::from_datafusion;
use crate::exec::{AsofOperator, AsofSide, AsofSpec, Emit, Nearest};
use crate::functions::{AsofJoin, JoinTimes, is_volatile};
use acequia_core::{Error, OutputMode, Result};
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};

/// Joins of which no side changes, as the plans that they stand for.
pub(super) fn static_to_batch(plan: LogicalPlan) -> Result<LogicalPlan> {
    let planned = plan.transform_up_with_subqueries(|node| match AsofJoin::of(&node) {
        Some(asof) if !is_streaming(&node) => asof.batch().map(Transformed::yes),
        _ => Ok(Transformed::no(node)),
    });
    planned.map(|planned| planned.data).map_err(from_datafusion)
}

impl Builder<'_> {
    /// An ASOF join of which a side changes.
    pub(super) async fn asof_join(&mut self, plan: &LogicalPlan, node: &AsofJoin) -> Result<Part> {
        if plan.expressions().iter().any(is_volatile) {
            return Err(refuse::volatile_join());
        }
        let [left_plan, right_plan] = node.sides();
        if !is_streaming(right_plan) {
            // Every left row finds its row by itself, so the join is linear in the left side.
            return self.part(&node.batch().map_err(from_datafusion)?).await;
        }
        let (mut left, mut right) = (self.part(left_plan).await?, self.part(right_plan).await?);
        if [&left, &right].iter().any(|part| part.change == Change::Snapshot) {
            return self.asof_over_snapshots(node, left, right).await;
        }
        for part in [&mut left, &mut right].into_iter().filter(|part| part.change == Change::Static) {
            *part = self.once(&part.plan).await?;
        }
        if [&left, &right].iter().any(|part| part.change == Change::Keyed) {
            return Err(Error::internal("an ASOF join takes changes"));
        }
        let times = self.asof_times(node)?;
        let emit = self.asof_emit(&left, &right, times.as_ref())?;
        let (left, left_island) = self.asof_side(node, 0, &mut left).await?;
        let (right, right_island) = self.asof_side(node, 1, &mut right).await?;
        let bounds = times.as_ref().map(|times| [bound_of(&times.times[0]), bound_of(&times.times[1])]);
        let id = self.next_id();
        let fingerprint = fingerprint::asof_join(plan, node, bounds.is_some());
        let spec = AsofSpec {
            operator: id,
            sides: [left, right],
            nearest: Nearest {
                next: matches!(node.compared(), Operator::LtEq | Operator::Lt),
                same: matches!(node.compared(), Operator::LtEq | Operator::GtEq),
            },
            keeps_unmatched: node.keeps_unmatched(),
            output_schema: output_schema(plan.schema()),
            emit,
            bounds,
        };
        let operator = OperatorNode {
            id,
            name: "asof_join",
            fingerprint: format!("{fingerprint} {}", fingerprint::emission(emit)),
            description: explain::asof_join(node, self.mode, emit, times.as_ref()),
            operator: Box::new(AsofOperator::try_new(spec)?),
            inputs: vec![left_island, right_island],
        };
        let change = if emit == Emit::Final { Change::InsertOnly } else { Change::Retracting };
        reads(plan.schema(), operator, change)
    }

    /// Beside what comes whole in every batch, the rows of the other side are kept, and the join is run over both.
    async fn asof_over_snapshots(&mut self, node: &AsofJoin, left: Part, right: Part) -> Result<Part> {
        let [left_plan, right_plan] = node.sides();
        let left = self.kept_whole(left, left_plan).await?;
        let right = self.kept_whole(right, right_plan).await?;
        let plan = node.batch_over(left.plan, right.plan).map_err(from_datafusion)?;
        let inputs = left.inputs.into_iter().chain(right.inputs).collect();
        Ok(Part { plan, inputs, change: Change::Snapshot })
    }

    /// The times by which rows leave.
    fn asof_times(&self, node: &AsofJoin) -> Result<Option<JoinTimes>> {
        if self.mode == OutputMode::Complete {
            // It forgets nothing, so no row is late.
            return Ok(None);
        }
        let [left, right] = node.sides();
        node.bounding_times(&times_of(left)?, &times_of(right)?).map_err(from_datafusion)
    }

    /// How the join tells what has changed.
    fn asof_emit(&self, left: &Part, right: &Part, times: Option<&JoinTimes>) -> Result<Emit> {
        let only_adds = left.change == Change::InsertOnly && right.change == Change::InsertOnly;
        match (self.mode, times) {
            (OutputMode::Append, Some(_)) if only_adds => Ok(Emit::Final),
            (OutputMode::Append, None) if only_adds => Err(refuse::asof_never_final()),
            _ => Ok(Emit::Changes),
        }
    }

    /// A side, and the island that computes its keys and its time.
    async fn asof_side(
        &self,
        node: &AsofJoin,
        side: usize,
        part: &mut Part,
    ) -> Result<(AsofSide, super::Island)> {
        let exprs: Vec<Expr> = node.keys()[side].iter().chain([&node.times()[side]]).cloned().collect();
        let KeyedInput { island, schema, columns, own } = self.keyed_input(part, &exprs).await?;
        let (time, key) = columns.split_last().ok_or_else(|| Error::internal("no time"))?;
        Ok((AsofSide { schema, key: key.to_vec(), time: *time, output: own }, island))
    }
}
