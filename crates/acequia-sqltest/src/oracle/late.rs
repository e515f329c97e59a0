//! The rule by which rows are late and groups final, computed from the watermark alone.
//!
//! | time key | late, or final, at watermark W iff |
//! |---|---|
//! | window, session | its end <= W |
//! | start of a window | start + size <= W |
//! | event time | t < W |
//! | function of an event time, `window_time` | below the bound of the column |

use acequia::functions::{TimeColumn, TimeColumns, TimeRole, bound};
use acequia::{Error, Result, from_datafusion};
use acequia_core::Timestamp;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};

/// Which group column decides, as index into the columns: windows before sessions before starts of windows before
/// times within windows before plain times.
pub(super) fn deciding(columns: &TimeColumns) -> Option<(usize, &TimeColumn)> {
    let ranked = columns.iter().enumerate().filter_map(|(index, time)| {
        let time = time.as_ref().filter(|time| !time.watermarks.is_empty())?;
        let rank = match &time.role {
            TimeRole::Window(_) | TimeRole::WindowEnd(_) => 0,
            TimeRole::Session(_) | TimeRole::SessionEnd(_) => 1,
            TimeRole::WindowStart(_) => 2,
            TimeRole::LastInstant(_) => 3,
            TimeRole::EventTime | TimeRole::Monotone { .. } => 4,
            TimeRole::SessionStart(_) | TimeRole::WindowList(_) | TimeRole::Unmarked => return None,
        };
        is_time(&time.data_type).then_some((rank, index, time))
    });
    ranked.min_by_key(|(rank, index, _)| (*rank, *index)).map(|(_, index, time)| (index, time))
}

fn is_time(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => true,
        DataType::Struct(fields) => fields.len() == 2,
        _ => false,
    }
}

/// Which values the watermark has passed. NULL is never passed.
pub(super) fn passed(values: &ArrayRef, column: &TimeColumn, watermark: Timestamp) -> Result<BooleanArray> {
    let end = match values.data_type() {
        DataType::Struct(_) => values.as_struct().column(1),
        _ => values,
    };
    let at = i128::from(watermark.0) * 1000;
    let passed: Box<dyn Fn(i64) -> bool> = match &column.role {
        TimeRole::Window(_) | TimeRole::WindowEnd(_) | TimeRole::Session(_) | TimeRole::SessionEnd(_) => {
            let unit = nanos(end.data_type())?;
            Box::new(move |end| i128::from(end) * unit <= at)
        }
        TimeRole::WindowStart(window) => {
            let unit = nanos(end.data_type())?;
            let size = i128::from(window.spec.size) * 1000;
            Box::new(move |start| i128::from(start) * unit + size <= at)
        }
        TimeRole::EventTime => {
            let unit = nanos(end.data_type())?;
            Box::new(move |time| i128::from(time) * unit < at)
        }
        _ => {
            let bound = bound(column, watermark).map_err(from_datafusion)?;
            Box::new(move |value| value < bound)
        }
    };
    let native = match end.data_type() {
        DataType::Date32 => cast(&cast(end, &DataType::Int32)?, &DataType::Int64)?,
        _ => cast(end, &DataType::Int64)?,
    };
    let native = native.as_primitive::<Int64Type>();
    Ok((0..native.len())
        .map(|row| Some(values.is_valid(row) && native.is_valid(row) && passed(native.value(row))))
        .collect())
}

/// Nanoseconds in a unit of the type.
fn nanos(data_type: &DataType) -> Result<i128> {
    Ok(match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
        other => return Err(Error::internal(format!("not an event time: type=`{other}`"))),
    })
}
