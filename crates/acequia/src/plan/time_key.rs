//! Which group column bounds the life of an aggregate's groups.

use crate::error::from_datafusion;
use crate::exec::{TimeBound, TimeKey};
use crate::functions::{Shape, TimeColumn, TimeRole, WindowOf, bound};
use acequia_core::Result;
use arrow::datatypes::DataType;

/// What a watermark means for a column.
pub(super) fn bound_of(column: &TimeColumn) -> TimeBound {
    let column = column.clone();
    TimeBound::new(move |watermark| bound(&column, watermark).map_err(from_datafusion))
}

/// The time key among the group columns, if one is bounded by a watermark: a window rather than a plain time, and the
/// end of a window rather than its start.
pub(super) fn time_key(groups: &[Option<TimeColumn>]) -> Result<Option<TimeKey>> {
    let bounded = groups.iter().enumerate().filter_map(|(index, time)| {
        let time = time.as_ref().filter(|time| !time.watermarks.is_empty() && is_ordered(&time.data_type))?;
        Some((rank(&time.role)?, index, time))
    });
    let Some((_, column, time)) = bounded.min_by_key(|(rank, index, _)| (*rank, *index)) else {
        return Ok(None);
    };
    let bound = bound_of(time);
    Ok(Some(match &time.role {
        TimeRole::Window(window) => {
            let derived_start = fixed_size(window, &time.data_type)?.map(|size| (column, size));
            TimeKey { column, field: Some(1), derived_start, bound }
        }
        TimeRole::Session(_) => TimeKey { column, field: Some(1), derived_start: None, bound },
        TimeRole::WindowEnd(window) => {
            let start = groups.iter().position(|group| {
                group.as_ref().is_some_and(|g| matches!(&g.role, TimeRole::WindowStart(of) if of == window))
            });
            let size = fixed_size(window, &time.data_type)?;
            TimeKey { column, field: None, derived_start: start.zip(size), bound }
        }
        _ => TimeKey { column, field: None, derived_start: None, bound },
    }))
}

/// Which kind of column to prefer.
fn rank(role: &TimeRole) -> Option<u8> {
    match role {
        TimeRole::Window(_) | TimeRole::WindowEnd(_) => Some(0),
        TimeRole::Session(_) | TimeRole::SessionEnd(_) => Some(1),
        TimeRole::WindowStart(_) => Some(2),
        TimeRole::LastInstant(_) => Some(3),
        TimeRole::EventTime | TimeRole::Monotone { .. } => Some(4),
        TimeRole::SessionStart(_) | TimeRole::WindowList(_) | TimeRole::Unmarked => None,
    }
}

fn is_ordered(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => true,
        DataType::Struct(fields) => fields.len() == 2,
        _ => false,
    }
}

/// The size of windows that all have the same one, in the unit of the column.
fn fixed_size(window: &WindowOf, data_type: &DataType) -> Result<Option<i64>> {
    let unit = match data_type {
        DataType::Struct(fields) => fields[0].data_type().clone(),
        other => other.clone(),
    };
    let DataType::Timestamp(unit, _) = unit else { return Ok(None) };
    if window.spec.shape == Shape::Cumulate {
        return Ok(None);
    }
    Ok(Some(window.spec.in_unit(unit).map_err(from_datafusion)?.size()))
}
