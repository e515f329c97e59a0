//! Joins of two streams whose times are bound to each other: which rows are late, and, in APPEND, which of those
//! without a partner are final.

use super::answer::{Answer, columns, table};
use super::late::passed;
use acequia::functions::{JoinTimes, event_time_columns};
use acequia::plan::is_streaming;
use acequia::{OutputMode, Result, from_datafusion};
use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::{filter_record_batch, or};
use arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::{JoinType, NullEquality, ScalarValue};
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder, lit};
use std::sync::Arc;

impl Answer<'_> {
    /// The answer of a join of two streams.
    pub(super) async fn join(&self, join: &Join) -> Result<LogicalPlan> {
        let Some(times) = times_of(join)?.filter(|_| self.mode != OutputMode::Complete) else {
            return self.over_answers(&LogicalPlan::Join(join.clone())).await;
        };
        let mut sides = vec![];
        for (side, input) in [&join.left, &join.right].into_iter().enumerate() {
            let (time, column) = (&times.exprs[side], &times.times[side]);
            sides.push(match self.keeps(input)? {
                true => self.node(input).await?,
                false => self.usable(input, time, column).await?,
            });
        }
        let [left, right] = [sides.remove(0), sides.remove(0)];
        use JoinType::*;
        if self.mode != OutputMode::Append || matches!(join.join_type, Inner | LeftSemi | RightSemi) {
            return joined(join, join.join_type, left, right);
        }
        let mut rows = vec![];
        if matches!(join.join_type, Left | Right | Full) {
            rows.extend(self.run(joined(join, Inner, left.clone(), right.clone())?).await?);
        }
        let schema = &join.schema;
        if matches!(join.join_type, Left | Full | LeftAnti) {
            let alone = self.alone(join, &times, 0, joined(join, LeftAnti, left.clone(), right.clone())?);
            let alone = alone.await?;
            let padding = if join.join_type == LeftAnti { vec![] } else { nulls(&right) };
            rows.extend(self.run(selected(alone, vec![], padding)?).await?);
        }
        if matches!(join.join_type, Right | Full | RightAnti) {
            let alone = self.alone(join, &times, 1, joined(join, RightAnti, left.clone(), right.clone())?);
            let alone = alone.await?;
            let padding = if join.join_type == RightAnti { vec![] } else { nulls(&left) };
            rows.extend(self.run(selected(alone, padding, vec![])?).await?);
        }
        table(schema, rows)
    }

    /// Rows of a side without a partner that can find none any more: their time is passed, or they have a NULL in what
    /// must be equal.
    async fn alone(
        &self,
        join: &Join,
        times: &JoinTimes,
        side: usize,
        rows: LogicalPlan,
    ) -> Result<LogicalPlan> {
        let names = Arc::clone(rows.schema());
        let equal = join.on.iter().filter(|_| join.null_equality == NullEquality::NullEqualsNothing).cloned();
        let keys = equal.map(|(l, r)| if side == 0 { l } else { r });
        let null = keys.map(Expr::is_null).reduce(Expr::or).unwrap_or_else(|| lit(false));
        let time = match times.kept_below(side) {
            None | Some(0) => times.exprs[side].clone(),
            Some(kept) => {
                let interval = IntervalMonthDayNano { months: 0, days: 0, nanoseconds: kept * 1000 };
                times.exprs[side].clone() + lit(ScalarValue::IntervalMonthDayNano(Some(interval)))
            }
        };
        let mut exprs = columns(&rows);
        exprs.extend([time.alias("__time"), null.alias("__null")]);
        let plan = LogicalPlanBuilder::from(rows).project(exprs).and_then(LogicalPlanBuilder::build);
        let last = self.batches.last().and_then(|batch| batch.watermark.0);
        let mut kept = vec![];
        for batch in self.run(plan.map_err(from_datafusion)?).await? {
            let width = batch.num_columns() - 2;
            let final_by_time = match last.filter(|_| times.kept_below(side).is_some()) {
                Some(watermark) => passed(batch.column(width), &times.times[1 - side], watermark)?,
                None => BooleanArray::from(vec![false; batch.num_rows()]),
            };
            let is_final = or(&final_by_time, batch.column(width + 1).as_boolean())?;
            debug_assert_eq!(is_final.null_count(), 0);
            let batch = filter_record_batch(&batch, &is_final)?;
            kept.push(batch.project(&(0..width).collect::<Vec<_>>())?);
        }
        table(&names, kept)
    }
}

/// The times of a join of two streams that bind each other.
fn times_of(join: &Join) -> Result<Option<JoinTimes>> {
    if !is_streaming(&join.left) || !is_streaming(&join.right) {
        return Ok(None);
    }
    let of = |input: &LogicalPlan| event_time_columns(input, &is_streaming).map_err(from_datafusion);
    JoinTimes::of(join, &of(&join.left)?, &of(&join.right)?).map_err(from_datafusion)
}

fn joined(join: &Join, kind: JoinType, left: LogicalPlan, right: LogicalPlan) -> Result<LogicalPlan> {
    let joined = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        join.on.clone(),
        join.filter.clone(),
        kind,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    );
    joined.map(LogicalPlan::Join).map_err(from_datafusion)
}

/// A NULL for each column of the other side.
fn nulls(side: &LogicalPlan) -> Vec<Expr> {
    let null =
        |(qualifier, field): (Option<&datafusion::common::TableReference>, &arrow::datatypes::FieldRef)| {
            let null = ScalarValue::try_from(field.data_type()).unwrap_or(ScalarValue::Null);
            lit(null).alias_qualified(qualifier.cloned(), field.name())
        };
    side.schema().iter().map(null).collect()
}

fn selected(rows: LogicalPlan, before: Vec<Expr>, after: Vec<Expr>) -> Result<LogicalPlan> {
    let exprs: Vec<Expr> = before.into_iter().chain(columns(&rows)).chain(after).collect();
    LogicalPlanBuilder::from(rows).project(exprs).and_then(LogicalPlanBuilder::build).map_err(from_datafusion)
}
