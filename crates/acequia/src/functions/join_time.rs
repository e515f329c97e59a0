//! How the event times of two joined inputs bind each other: what bounds the rows that a join has to keep.
//!
//! | condition | left - right is |
//! |---|---|
//! | `l.t = r.t`, `l.window_end = r.window_end`, ... | 0 |
//! | `l.t >= r.t - a` / `l.t <= r.t + b` / `l.t BETWEEN r.t - a AND r.t + b` | at least -a / at most b |
//!
//! A left row can have no more partners when `left - least` is below the bound of the right time, a right row when
//! `right + most` is below that of the left.

use super::interval::scalar_micros;
use super::lineage::{TimeColumns, time_of};
use super::time_column::{ARGUMENT, TimeColumn, TimeRole, WindowOf};
use arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Join, Operator};

/// Two times of a join, one of each side, and how far apart those of a pair of rows may be.
#[derive(Debug, Clone)]
pub struct JoinTimes {
    /// The time of each side: an expression over its columns.
    pub exprs: [Expr; 2],
    /// How each derives from event time.
    pub times: [TimeColumn; 2],
    /// The least of left - right, in microseconds; none where nothing bounds it.
    pub least: Option<i64>,
    /// The greatest of left - right, likewise.
    pub most: Option<i64>,
}

impl JoinTimes {
    /// How far below the other side's bound a side's rows are kept, in microseconds (0 or positive, or negative where
    /// rows need not even be kept as long); none: for ever.
    pub fn kept_below(&self, side: usize) -> Option<i64> {
        if side == 0 { self.least.map(|least| -least) } else { self.most }
    }

    /// Times of which the left one is never before the right one, if watermarks bound both.
    pub(super) fn following(exprs: [Expr; 2], times: [TimeColumn; 2]) -> Option<Self> {
        let [left, right] = &times;
        let comparable = left.data_type == right.data_type && is_timestamp(left);
        (comparable && bounds(left) && bounds(right)).then_some(Self {
            exprs,
            times,
            least: Some(0),
            most: None,
        })
    }

    /// The times that bind best: those that must be equal, a window's end rather than its start, before those that are
    /// near each other.
    ///
    /// # Errors
    /// When a column does not resolve.
    pub fn of(join: &Join, left: &TimeColumns, right: &TimeColumns) -> Result<Option<Self>> {
        let mut best: Option<(u8, Self)> = None;
        let mut offer = |rank: u8, times: Self| {
            if best.as_ref().is_none_or(|(other, _)| rank < *other) {
                best = Some((rank, times));
            }
        };
        for (l, r) in &join.on {
            let times = [time_of(l, join.left.schema(), left)?, time_of(r, join.right.schema(), right)?];
            let [Some(l_time), Some(r_time)] = times else { continue };
            if bounds(&l_time) && bounds(&r_time) && l_time.data_type == r_time.data_type {
                let rank = if matches!(l_time.role, TimeRole::WindowStart(_)) { 1 } else { 0 };
                let exprs = [l.clone(), r.clone()];
                offer(rank, Self { exprs, times: [l_time, r_time], least: Some(0), most: Some(0) });
            }
        }
        for (rank, times) in near(join, left, right)? {
            offer(rank, times);
        }
        Ok(best.map(|(_, times)| times))
    }

    /// What the output knows of a side's column that has this time: its bound is the lower one of those of both sides.
    pub(super) fn bound_after(&self, side: usize, column: &TimeColumn) -> Option<TimeColumn> {
        let kept = self.kept_below(side)?;
        let own = &self.times[side];
        if column == own {
            let united = own.clone().united(&self.times[1 - side])?;
            return shifted(united, kept);
        }
        // The other bound of the same window.
        let same = match (&column.role, &own.role) {
            (TimeRole::WindowStart(a), TimeRole::WindowEnd(b)) => kept == 0 && a == b,
            _ => false,
        };
        let (TimeRole::WindowStart(window), true) = (&column.role, same) else { return None };
        let TimeRole::WindowEnd(other) = &self.times[1 - side].role else { return None };
        let of = window.of.as_ref().clone().united(&other.of)?;
        if window.spec != other.spec {
            return None;
        }
        let window = WindowOf { spec: window.spec, of: Box::new(of) };
        let mut column = column.with(TimeRole::WindowStart(window), column.data_type.clone());
        column.watermarks.extend(self.times[1 - side].watermarks.iter().cloned());
        Some(column)
    }
}

/// Whether a watermark bounds the time.
fn bounds(time: &TimeColumn) -> bool {
    let has_bound = !matches!(
        time.role,
        TimeRole::Unmarked | TimeRole::SessionStart(_) | TimeRole::Session(_) | TimeRole::WindowList(_)
    );
    has_bound && !time.watermarks.is_empty()
}

/// The time, as many microseconds earlier.
fn shifted(time: TimeColumn, micros: i64) -> Option<TimeColumn> {
    if micros <= 0 {
        return Some(time);
    }
    let nanoseconds = micros.checked_mul(1_000)?;
    let interval = IntervalMonthDayNano { months: 0, days: 0, nanoseconds };
    let by = Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), None);
    let function = Expr::Column(Column::from_name(ARGUMENT)) - by;
    let (watermarks, data_type) = (time.watermarks.clone(), time.data_type.clone());
    Some(TimeColumn { watermarks, role: TimeRole::Monotone { of: Box::new(time), function }, data_type })
}

/// A time column of a side and what is added to it.
struct Shifted {
    side: usize,
    column: Column,
    micros: i64,
}

/// Pairs of time columns that the filter keeps near each other, each with a rank.
fn near(join: &Join, left: &TimeColumns, right: &TimeColumns) -> Result<Vec<(u8, JoinTimes)>> {
    let mut found: Vec<JoinTimes> = Vec::new();
    for condition in join.filter.iter().flat_map(split_conjunction) {
        for (low, high) in comparisons(condition) {
            let (Some(low), Some(high)) = (shifted_column(join, low), shifted_column(join, high)) else {
                continue;
            };
            if low.side == high.side {
                continue;
            }
            // low + a <= high + b, so high - low >= a - b.
            let Some(apart) = low.micros.checked_sub(high.micros) else { continue };
            let (l, r) =
                if low.side == 0 { (&low.column, &high.column) } else { (&high.column, &low.column) };
            let exprs = [Expr::Column(l.clone()), Expr::Column(r.clone())];
            let times = [
                time_of(&exprs[0], join.left.schema(), left)?,
                time_of(&exprs[1], join.right.schema(), right)?,
            ];
            let [Some(l_time), Some(r_time)] = times else { continue };
            let same_unit = l_time.data_type == r_time.data_type;
            if !same_unit || !is_timestamp(&l_time) || !bounds(&l_time) || !bounds(&r_time) {
                continue;
            }
            let position = found.iter().position(|times| times.exprs == exprs).unwrap_or(found.len());
            if position == found.len() {
                found.push(JoinTimes { exprs, times: [l_time, r_time], least: None, most: None });
            }
            let times = &mut found[position];
            if low.side == 1 {
                times.least = Some(times.least.map_or(apart, |least| least.max(apart)));
            } else {
                times.most = Some(times.most.map_or(-apart, |most| most.min(-apart)));
            }
        }
    }
    Ok(found.into_iter().map(|t| (if t.least.is_some() && t.most.is_some() { 2 } else { 3 }, t)).collect())
}

fn is_timestamp(time: &TimeColumn) -> bool {
    matches!(time.data_type, DataType::Timestamp(_, _))
}

/// What a condition says to be at most what. Strict comparisons are taken for their weaker form.
fn comparisons(condition: &Expr) -> Vec<(&Expr, &Expr)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::LtEq | Operator::Lt => vec![(left, right)],
            Operator::GtEq | Operator::Gt => vec![(right, left)],
            _ => vec![],
        },
        Expr::Between(Between { expr, negated: false, low, high }) => vec![(low, expr), (expr, high)],
        _ => vec![],
    }
}

fn shifted_column(join: &Join, expr: &Expr) -> Option<Shifted> {
    match expr {
        Expr::Column(column) => {
            let side = if join.left.schema().has_column(column) { 0 } else { 1 };
            Some(Shifted { side, column: column.clone(), micros: 0 })
        }
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Plus | Operator::Minus), right }) => {
            let (column, by) = match (left.as_ref(), right.as_ref(), op) {
                (column, Expr::Literal(by, _), _) => (column, by),
                (Expr::Literal(by, _), column, Operator::Plus) => (column, by),
                _ => return None,
            };
            let by = scalar_micros(by, "interval").ok().flatten()?;
            let by = if *op == Operator::Minus { by.checked_neg()? } else { by };
            let inner = shifted_column(join, column)?;
            Some(Shifted { micros: inner.micros.checked_add(by)?, ..inner })
        }
        _ => None,
    }
}
