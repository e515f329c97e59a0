//! ASOF joins of two streams: which rows are late, and, in APPEND, which left rows stand.

use super::answer::{Answer, columns, table};
use super::late::passed;
use acequia::functions::{AsofJoin, JoinTimes, event_time_columns};
use acequia::plan::is_streaming;
use acequia::{OutputMode, Result, from_datafusion};
use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::{and, filter_record_batch, or};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use std::sync::Arc;

impl Answer<'_> {
    /// The answer of an ASOF join.
    pub(super) async fn asof_join(&self, plan: &LogicalPlan, node: &AsofJoin) -> Result<LogicalPlan> {
        let Some(times) = times_of(node)?.filter(|_| self.mode != OutputMode::Complete) else {
            return self.over_answers(plan).await;
        };
        let mut sides = vec![];
        for (side, input) in node.sides().iter().enumerate() {
            sides.push(match self.keeps(input)? {
                true => self.node(input).await?,
                false => self.usable(input, &times.exprs[side], &times.times[side]).await?,
            });
        }
        let joined = plan.with_new_exprs(plan.expressions(), sides).map_err(from_datafusion)?;
        match self.mode {
            OutputMode::Append => self.standing(node, &times, joined).await,
            _ => Ok(joined),
        }
    }

    /// The rows that no right row to come can change: both watermarks have passed their time, or something in them is NULL
    /// that has to be equal or near.
    async fn standing(&self, node: &AsofJoin, times: &JoinTimes, joined: LogicalPlan) -> Result<LogicalPlan> {
        let names = Arc::clone(joined.schema());
        let time = times.exprs[0].clone();
        let compared = node.keys()[0].iter().chain([&time]).cloned();
        let null = compared.map(Expr::is_null).reduce(Expr::or).unwrap_or_else(|| lit(false));
        let mut exprs = columns(&joined);
        exprs.extend([time.alias("__time"), null.alias("__null")]);
        let plan = LogicalPlanBuilder::from(joined).project(exprs).and_then(LogicalPlanBuilder::build);
        let last = self.batches.last().and_then(|batch| batch.watermark.0);
        let mut kept = vec![];
        for batch in self.run(plan.map_err(from_datafusion)?).await? {
            let width = batch.num_columns() - 2;
            let time = batch.column(width);
            let passed = match last {
                Some(watermark) => and(
                    &passed(time, &times.times[0], watermark)?,
                    &passed(time, &times.times[1], watermark)?,
                )?,
                None => BooleanArray::from(vec![false; batch.num_rows()]),
            };
            let standing = or(&passed, batch.column(width + 1).as_boolean())?;
            debug_assert_eq!(standing.null_count(), 0);
            let batch = filter_record_batch(&batch, &standing)?;
            kept.push(batch.project(&(0..width).collect::<Vec<_>>())?);
        }
        table(&names, kept)
    }
}

/// The times that watermarks bound, where both sides change.
fn times_of(node: &AsofJoin) -> Result<Option<JoinTimes>> {
    let of = |input: &LogicalPlan| event_time_columns(input, &is_streaming).map_err(from_datafusion);
    let [left, right] = node.sides();
    node.bounding_times(&of(left)?, &of(right)?).map_err(from_datafusion)
}
