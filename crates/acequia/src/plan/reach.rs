//! How far away the rows are that a window function looks at.
//!
//! | function | in |
//! |---|---|
//! | LAG, LEAD, frames of ROWS | rows |
//! | frames of GROUPS | distinct values of the order; rows with one value always see each other |
//! | frames of RANGE | values of the order, likewise |
//!
//! A frame without one of its two ends goes on to the end of the partition and has no reach.

use crate::exec::{Distance, Near, Reach};
use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, WindowFrame, WindowFrameBound, WindowFrameUnits,
};

const DAY_NANOS: i128 = 86_400 * 1_000_000_000;

/// How far a window function sees.
pub(super) fn of(function: &WindowFunction, input: &LogicalPlan) -> Option<Near> {
    let name = function.fun.name();
    if name == "lag" || name == "lead" {
        if function.params.null_treatment == Some(NullTreatment::IgnoreNulls) {
            return None;
        }
        let offset = offset(function)?;
        let back = if name == "lag" { offset } else { offset.checked_neg()? };
        let reach = Reach { rows: usize::try_from(back.unsigned_abs()).ok()?, ..Reach::default() };
        return Some(one_way(reach, back > 0));
    }
    of_frame(&function.params.window_frame, function, input)
}

/// As far as one of the two sees.
pub(super) fn both(one: Near, other: Near) -> Near {
    Near { back: one.back.or(other.back), ahead: one.ahead.or(other.ahead) }
}

fn one_way(reach: Reach, back: bool) -> Near {
    let nothing = Reach::default();
    if back { Near { back: reach, ahead: nothing } } else { Near { back: nothing, ahead: reach } }
}

/// The offset of LAG or LEAD.
fn offset(function: &WindowFunction) -> Option<i64> {
    match function.params.args.get(1) {
        None => Some(1),
        Some(Expr::Literal(value, _)) => match value.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(offset)) => offset,
            _ => None,
        },
        Some(_) => None,
    }
}

fn of_frame(frame: &WindowFrame, function: &WindowFunction, input: &LogicalPlan) -> Option<Near> {
    let peers = Reach { groups: Some(0), ..Reach::default() };
    let (own, order) = match (frame.units, function.params.order_by.first()) {
        (WindowFrameUnits::Rows, _) => (Reach::default(), None),
        // All rows of a partition are peers.
        (_, None) => return None,
        (_, Some(order)) if function.params.partition_by.contains(&order.expr) => (peers, None),
        (_, Some(order)) => (peers, Some(order.expr.get_type(input.schema()).ok()?)),
    };
    let of_bound = |bound: &WindowFrameBound| {
        let (value, back) = match bound {
            WindowFrameBound::CurrentRow => return Some(Near::default()),
            WindowFrameBound::Preceding(value) => (value, true),
            WindowFrameBound::Following(value) => (value, false),
        };
        let reach = match (frame.units, &order) {
            (WindowFrameUnits::Range, Some(order)) => {
                Reach { distance: Some(distance(value, order)?), ..Reach::default() }
            }
            (WindowFrameUnits::Range, None) => Reach::default(),
            (WindowFrameUnits::Groups, _) => Reach { groups: Some(count(value)?), ..Reach::default() },
            (WindowFrameUnits::Rows, _) => Reach { rows: count(value)?, ..Reach::default() },
        };
        Some(one_way(reach, back))
    };
    let respects_nulls = function.params.null_treatment != Some(NullTreatment::IgnoreNulls);
    let start = match frame.start_bound.is_unbounded() {
        // The last row of a frame does not depend on where it begins.
        true if function.fun.name() == "last_value" && respects_nulls => Near::default(),
        _ => of_bound(&frame.start_bound)?,
    };
    let ends = both(start, of_bound(&frame.end_bound)?);
    Some(both(ends, Near { back: own, ahead: own }))
}

fn count(value: &ScalarValue) -> Option<usize> {
    match value {
        ScalarValue::UInt64(Some(count)) => usize::try_from(*count).ok(),
        _ => None,
    }
}

/// A distance between values of this type; a negative one turns the frame round, and is none.
fn distance(value: &ScalarValue, order: &DataType) -> Option<Distance> {
    if !Distance::is_of(order) || value.is_null() {
        return None;
    }
    match value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) => of_time(*interval, order),
        ScalarValue::Float32(_) | ScalarValue::Float64(_) => match value.cast_to(&DataType::Float64) {
            Ok(ScalarValue::Float64(Some(distance))) if distance.is_finite() && distance >= 0.0 => {
                Some(Distance::Float(distance))
            }
            _ => None,
        },
        ScalarValue::Decimal128(Some(units), ..) if value.data_type() == *order => not_negative(*units),
        _ if value.data_type() == *order && order.is_integer() => {
            match value.cast_to(&DataType::Decimal128(38, 0)) {
                Ok(ScalarValue::Decimal128(Some(units), ..)) => not_negative(units),
                _ => None,
            }
        }
        _ => None,
    }
}

fn not_negative(units: i128) -> Option<Distance> {
    (units >= 0).then_some(Distance::Units(units))
}

/// The most that an interval comes to.
fn of_time(interval: IntervalMonthDayNano, order: &DataType) -> Option<Distance> {
    let (months, days, nanos) = (interval.months, interval.days, interval.nanoseconds);
    if months < 0 || days < 0 || nanos < 0 {
        return None;
    }
    // The last days of a month may all be a month after the last one of a shorter month. And clocks that are put back
    // or on make a day longer or shorter.
    let in_doubt = 4 * i128::from(months > 0 || days > 0);
    let days = i128::from(months) * 31 + i128::from(days) + in_doubt;
    let nanos = days * DAY_NANOS + i128::from(nanos);
    let unit = match order {
        DataType::Date32 => DAY_NANOS,
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
        _ => return None,
    };
    // What is less than the unit is dropped, or not: one unit more.
    Some(Distance::Units(nanos / unit + 1))
}
