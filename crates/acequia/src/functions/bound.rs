//! What a watermark means for a column: the least value that future rows can have.
//!
//! A row is late, and what is kept for it can go, exactly when its value is below the bound:
//!
//! | column | late iff | bound, in the column's own unit |
//! |---|---|---|
//! | event time | t < W | W, rounded up |
//! | window end, session end | end <= W | W, rounded down, and one unit |
//! | window start | start + size <= W | that, less the (largest) size |
//! | f(t), f monotone | f(t) < f(B(t)) | f(B(t)), computed by the same expression |
//! | window of such a column | end <= B(t) | B(t) and one unit |
//! | session start, or no watermark | never | the least `i64` |

use super::interval::{Ratio, in_unit, ratio};
use super::refuse;
use super::time_column::{ARGUMENT, TimeColumn, TimeRole, WindowOf};
use super::timestamps::{column, time_unit, window_time_type};
use acequia_core::{Error, Timestamp};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Date64Type, Field, Schema, TimeUnit};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::create_physical_expr;
use std::sync::Arc;

/// The bound of a column at a watermark, in the column's own unit (days for a date; for a struct `{start, end}` it is
/// that of `end`).
///
/// # Errors
/// `Data` when a function of the event time cannot be computed at the watermark.
pub fn bound(column: &TimeColumn, watermark: Timestamp) -> Result<i64> {
    if column.watermarks.is_empty() {
        return Ok(i64::MIN);
    }
    match &column.role {
        TimeRole::EventTime => Ok(rounded_up(watermark, time_unit(&column.data_type, "event time")?)),
        TimeRole::Monotone { of, function } => {
            Ok(evaluate(function, &of.data_type, bound(of, watermark)?)?.1)
        }
        TimeRole::Window(window) | TimeRole::WindowList(window) | TimeRole::WindowEnd(window) => {
            end_bound(&window.of, watermark)
        }
        TimeRole::WindowStart(window) => {
            Ok(end_bound(&window.of, watermark)?.saturating_sub(native_size(window)?))
        }
        TimeRole::Session(session) | TimeRole::SessionEnd(session) => end_bound(&session.of, watermark),
        TimeRole::LastInstant(end) => {
            let step = match time_unit(&end.data_type, "window")? {
                TimeUnit::Nanosecond => 1_000,
                _ => 1,
            };
            Ok(bound(end, watermark)?.saturating_sub(step))
        }
        TimeRole::SessionStart(_) | TimeRole::Unmarked => Ok(i64::MIN),
    }
}

/// Windows over the event time itself close at `end <= W`, to the microsecond; over anything else, at its bound.
fn end_bound(of: &TimeColumn, watermark: Timestamp) -> Result<i64> {
    let closed = match &of.role {
        TimeRole::EventTime => rounded_down(watermark, time_unit(&of.data_type, "event time")?),
        // Bounds of windows are whole microseconds, so a window of windows ends no earlier than those in it.
        TimeRole::LastInstant(end) if matches!(end.role, TimeRole::WindowEnd(_)) => {
            return bound(end, watermark);
        }
        _ => bound(of, watermark)?,
    };
    Ok(closed.saturating_add(1))
}

fn native_size(window: &WindowOf) -> Result<i64> {
    in_unit(window.spec.size, time_unit(&window.of.data_type, "event time")?, "window size")
}

fn rounded_down(watermark: Timestamp, unit: TimeUnit) -> i64 {
    match ratio(unit) {
        Ratio::Coarse(per) => watermark.0.div_euclid(per),
        Ratio::Fine(per) => watermark.0.saturating_mul(per),
    }
}

fn rounded_up(watermark: Timestamp, unit: TimeUnit) -> i64 {
    match ratio(unit) {
        Ratio::Coarse(per) => watermark.0.div_euclid(per) + i64::from(watermark.0.rem_euclid(per) != 0),
        Ratio::Fine(per) => watermark.0.saturating_mul(per),
    }
}

/// Nearer to the ends of `i64` than this, DataFusion's date functions overflow: two years of nanoseconds.
const MARGIN: i64 = i64::MAX / 128;

/// The value of a function over the one column [`ARGUMENT`], and its type: computed as the query computes it.
pub(crate) fn evaluate(function: &Expr, argument: &DataType, value: i64) -> Result<(DataType, i64)> {
    let uncomputable = || {
        refuse(Error::data(format!(
            "cannot compute the bound of a time: `{function}` at {value} of `{argument}`"
        )))
    };
    if !(i64::MIN + MARGIN..=i64::MAX - MARGIN).contains(&value) {
        return Err(uncomputable());
    }
    let schema = Arc::new(Schema::new(vec![Field::new(ARGUMENT, argument.clone(), true)]));
    let df_schema = DFSchema::try_from(schema.as_ref().clone())?;
    let physical = create_physical_expr(
        function,
        &df_schema,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )?;
    let batch = RecordBatch::try_new(schema, vec![one(argument, value)?])?;
    let result = physical.evaluate(&batch)?.into_array(1)?;
    let value = native(&result).ok_or_else(uncomputable)?;
    Ok((result.data_type().clone(), value))
}

fn one(data_type: &DataType, value: i64) -> Result<ArrayRef> {
    let too_large = |_| refuse(Error::data(format!("watermark does not fit into `{data_type}`: {value}")));
    Ok(match data_type {
        DataType::Date32 => {
            Arc::new(arrow::array::Date32Array::from(vec![i32::try_from(value).map_err(too_large)?]))
        }
        DataType::Date64 => Arc::new(arrow::array::Date64Array::from(vec![value])),
        _ => column(data_type, vec![value], None)?,
    })
}

fn native(array: &ArrayRef) -> Option<i64> {
    if array.len() != 1 || array.is_null(0) {
        return None;
    }
    match array.data_type() {
        DataType::Timestamp(_, _) => Some(super::timestamps::values(array).ok()?.0[0]),
        DataType::Date32 => Some(i64::from(array.as_primitive::<Date32Type>().value(0))),
        DataType::Date64 => Some(array.as_primitive::<Date64Type>().value(0)),
        other if window_time_type(other).is_some() => native(array.as_struct().column(1)),
        _ => None,
    }
}
