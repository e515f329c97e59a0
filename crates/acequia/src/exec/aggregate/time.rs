//! The event-time column of an aggregate's groups: which pane a row belongs to, and when a group is final.

use acequia_core::{Error, Result, Timestamp, Watermark};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StructArray};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Fields, Int64Type, TimeUnit};
use std::fmt;
use std::sync::Arc;

type BoundFn = dyn Fn(Timestamp) -> Result<i64> + Send + Sync;

/// What a watermark means for a time column: the least value that rows on time still have, in the column's own unit.
/// It never decreases when the watermark grows.
#[derive(Clone)]
pub struct TimeBound(Arc<BoundFn>);

impl TimeBound {
    /// The bound as a function of the watermark.
    pub fn new(bound: impl Fn(Timestamp) -> Result<i64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(bound))
    }

    /// The bound at a watermark; `None` while it is unknown.
    ///
    /// # Errors
    /// What the function gives.
    pub fn at(&self, watermark: Watermark) -> Result<Option<i64>> {
        watermark.0.map(|time| (self.0)(time)).transpose()
    }
}

impl fmt::Debug for TimeBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimeBound(..)")
    }
}

/// The group column that bounds a group's life.
///
/// With `field` or `derived_start` the group is a *window*: rows whose window is NULL belong to none and are dropped.
/// Otherwise it is a plain time column, whose NULL is a group like any other, which never leaves.
#[derive(Debug, Clone)]
pub struct TimeKey {
    /// The group column.
    pub column: usize,
    /// The field of a struct column that holds the time: 1 for the `end` of a struct{start, end}.
    pub field: Option<usize>,
    /// A group column that is always the time minus this size, in the column's unit. It may be `column` itself: then
    /// the size is that of a struct{start, end}.
    pub derived_start: Option<(usize, i64)>,
    /// When groups are final.
    pub bound: TimeBound,
}

/// How the time of groups is stored: what the operator derives from its [`TimeKey`].
pub(super) struct TimeLayout {
    pub(super) key: TimeKey,
    /// The group column's own type, and the type of the time in it.
    column_type: DataType,
    time_type: DataType,
    /// Width of a pane in the time's unit. 1 for windows, whose panes hold one window each.
    width: i64,
    window: bool,
}

/// Panes of plain time columns span ten seconds or a day: wide enough for many groups, narrow enough to scan.
const PLAIN_PANE_SECONDS: i64 = 10;

impl TimeLayout {
    pub(super) fn try_new(key: TimeKey, group_types: &[DataType]) -> Result<Self> {
        let column_type = group_types.get(key.column).cloned().ok_or_else(|| {
            Error::internal(format!("the time column is not a group column: column={}", key.column))
        })?;
        let time_type = match (key.field, &column_type) {
            (None, plain) => plain.clone(),
            (Some(field), DataType::Struct(fields)) if field < fields.len() => {
                fields[field].data_type().clone()
            }
            (Some(field), other) => {
                return Err(Error::internal(format!(
                    "the time column has no such field: field={field} type={other}"
                )));
            }
        };
        let width = width_of(&time_type)?;
        let window = key.field.is_some() || key.derived_start.is_some();
        Ok(Self { key, column_type, time_type, width: if window { 1 } else { width }, window })
    }

    /// Whether each pane is exactly one window.
    pub(super) fn is_window(&self) -> bool {
        self.window
    }

    /// Stops deriving the start, for groupings in which it is not always there together with the time.
    pub(super) fn keep_start(&mut self) {
        self.key.derived_start = None;
    }

    /// Whether the time column can be made again from the time alone.
    pub(super) fn is_derivable(&self) -> bool {
        self.key.field.is_none() || self.derives(self.key.column)
    }

    /// The group column that is derived from the time, if any.
    pub(super) fn derived_column(&self) -> Option<usize> {
        self.key.derived_start.map(|(column, _)| column)
    }

    fn derives(&self, column: usize) -> bool {
        self.key.derived_start.is_some_and(|(derived, _)| derived == column)
    }

    /// Whether this group column follows from the time, so that no table holds it.
    pub(super) fn is_derived(&self, column: usize) -> bool {
        self.derives(column) || (column == self.key.column && self.is_derivable())
    }

    /// The times of rows, NULL where a row has none.
    pub(super) fn times(&self, groups: &[ArrayRef]) -> Result<Int64Array> {
        let column =
            groups.get(self.key.column).ok_or_else(|| Error::internal("the time column is missing"))?;
        times_in(column, self.key.field)
    }

    /// The pane of a time.
    pub(super) fn pane(&self, time: i64) -> i64 {
        time.div_euclid(self.width)
    }

    /// The last time that belongs to a pane.
    pub(super) fn last_of(&self, pane: i64) -> i64 {
        pane.saturating_mul(self.width).saturating_add(self.width - 1)
    }

    /// A derived group column, for groups of these times.
    pub(super) fn column(&self, column: usize, times: &Int64Array) -> Result<ArrayRef> {
        let size = self.key.derived_start.map(|(_, size)| size).unwrap_or_default();
        let start = || from_int64(&times.unary(|end| end.wrapping_sub(size)), &self.time_type);
        if column != self.key.column {
            return start();
        }
        let end = from_int64(times, &self.time_type)?;
        let DataType::Struct(fields) = &self.column_type else { return Ok(end) };
        self.window(fields, start()?, end, times)
    }

    fn window(
        &self,
        fields: &Fields,
        start: ArrayRef,
        end: ArrayRef,
        times: &Int64Array,
    ) -> Result<ArrayRef> {
        let columns = if self.key.field == Some(0) { vec![end, start] } else { vec![start, end] };
        Ok(Arc::new(StructArray::try_new(fields.clone(), columns, times.nulls().cloned())?))
    }
}

fn width_of(time_type: &DataType) -> Result<i64> {
    Ok(match time_type {
        DataType::Timestamp(TimeUnit::Second, _) => PLAIN_PANE_SECONDS,
        DataType::Timestamp(TimeUnit::Millisecond, _) => PLAIN_PANE_SECONDS * 1_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => PLAIN_PANE_SECONDS * 1_000_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => PLAIN_PANE_SECONDS * 1_000_000_000,
        DataType::Date64 => 86_400_000,
        DataType::Date32 | DataType::Int64 | DataType::Int32 => 1,
        other => {
            let message =
                format!("an event-time column cannot be of this type: {other}; cast it to TIMESTAMP");
            return Err(Error::unsupported(message));
        }
    })
}

/// The times in a group column: itself, or a field of it.
pub(in crate::exec) fn times_in(column: &ArrayRef, field: Option<usize>) -> Result<Int64Array> {
    match (field, column.as_struct_opt()) {
        (Some(field), Some(window)) => {
            let times = to_int64(window.column(field))?;
            let nulls = NullBuffer::union(times.nulls(), window.nulls());
            Ok(Int64Array::new(times.values().clone(), nulls))
        }
        _ => to_int64(column),
    }
}

/// The rows whose time is not below the bound, and how many are.
pub(in crate::exec) fn on_time(
    rows: RecordBatch,
    times: &Int64Array,
    bound: i64,
) -> Result<(RecordBatch, u64)> {
    let on_time: BooleanArray = times.iter().map(|time| Some(time.is_none_or(|t| t >= bound))).collect();
    let late = on_time.len() - on_time.true_count();
    Ok(if late == 0 { (rows, 0) } else { (filter_record_batch(&rows, &on_time)?, late as u64) })
}

/// A time column as plain numbers in its own unit.
pub(in crate::exec) fn to_int64(array: &ArrayRef) -> Result<Int64Array> {
    let wide = match array.data_type() {
        DataType::Date32 => cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?,
        DataType::Int64 => Arc::clone(array),
        _ => cast(array, &DataType::Int64)?,
    };
    wide.as_primitive_opt::<Int64Type>().cloned().ok_or_else(|| Error::internal("a time is not a number"))
}

/// The inverse of [`to_int64`].
pub(in crate::exec) fn from_int64(times: &Int64Array, data_type: &DataType) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::Date32 => cast(&cast(times, &DataType::Int32)?, data_type)?,
        _ => cast(times, data_type)?,
    })
}
