//! How far the rows are apart of which one decides on what a relation gives for the other.
//!
//! A distance between values may be told too large, never too small: what is looked at in vain costs time and changes
//! nothing. So it is where calendars, clocks that are put back, or roundings make the way back another than the way on.

use acequia_core::{Error, Result};
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use std::sync::Arc;

/// As far as each of these goes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Reach {
    /// So many rows.
    pub rows: usize,
    /// Rows with so many other values of the order, and those with the same.
    pub groups: Option<usize>,
    /// Rows whose value of the order, which is of one column, is not farther away.
    pub distance: Option<Distance>,
}

impl Reach {
    /// As far as one of the two goes.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let distance = match (self.distance, other.distance) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
        Self { rows: self.rows.max(other.rows), groups: self.groups.max(other.groups), distance }
    }
}

/// A distance between two values of a column, which is not negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distance {
    /// In the units of integers, decimals, dates and timestamps.
    Units(i128),
    /// Between floats.
    Float(f64),
}

impl Distance {
    fn max(self, other: Self) -> Self {
        match (self, other) {
            (Self::Units(one), Self::Units(other)) => Self::Units(one.max(other)),
            (Self::Float(one), Self::Float(other)) => Self::Float(one.max(other)),
            (one, _) => one,
        }
    }

    /// Whether columns of this type have distances.
    pub fn is_of(data_type: &DataType) -> bool {
        matches!(data_type, DataType::Float32 | DataType::Float64) || limits(data_type).is_some()
    }
}

/// Values, each so far below or above another; where there is none so far, the partition ends before.
pub(super) struct Moved {
    pub(super) values: ArrayRef,
    pub(super) is_end: Vec<bool>,
}

/// Which way from a value, and where NULL is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// To smaller values.
    pub(super) down: bool,
    /// NULL comes next to the smallest values, not to the largest.
    pub(super) null_is_low: bool,
}

/// The least and the greatest value that DataFusion can compute with. What goes beyond ends at the partition's end,
/// where NULL may be; so NULL is there too.
fn limits(data_type: &DataType) -> Option<(i128, i128)> {
    // The calendar of the computations with intervals ends after 262,000 years.
    const SECONDS: i128 = 8_200_000_000_000;
    let time = |per_second: i128| {
        let most = (SECONDS * per_second).min(i64::MAX.into());
        (-most, most)
    };
    Some(match data_type {
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::Int64 => (i64::MIN.into(), i64::MAX.into()),
        DataType::UInt8 => (0, u8::MAX.into()),
        DataType::UInt16 => (0, u16::MAX.into()),
        DataType::UInt32 => (0, u32::MAX.into()),
        DataType::UInt64 => (0, u64::MAX.into()),
        DataType::Decimal128(_, _) => (1 - 10_i128.pow(38), 10_i128.pow(38) - 1),
        DataType::Date32 => (-SECONDS / 86_400, SECONDS / 86_400),
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => time(1_000),
        DataType::Timestamp(TimeUnit::Second, _) => time(1),
        DataType::Timestamp(TimeUnit::Microsecond, _) => time(1_000_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => time(1_000_000_000),
        _ => return None,
    })
}

/// The values that are so far away from these.
///
/// # Errors
/// `Internal` for types without distances.
pub(super) fn moved(values: &ArrayRef, distance: Distance, way: Way) -> Result<Moved> {
    match (values.data_type(), distance) {
        (DataType::Float32, Distance::Float(d)) => {
            let range = (f32::MAX.into(), f32::MIN_POSITIVE.into(), f32::EPSILON.into());
            Ok(floats::<Float32Type>(values, d, way, range, |value| value as f32))
        }
        (DataType::Float64, Distance::Float(d)) => {
            let range = (f64::MAX, f64::MIN_POSITIVE, f64::EPSILON);
            Ok(floats::<Float64Type>(values, d, way, range, |value| value))
        }
        (data_type, Distance::Units(d)) => match data_type {
            DataType::Int8 => units::<Int8Type>(values, d, way),
            DataType::Int16 => units::<Int16Type>(values, d, way),
            DataType::Int32 => units::<Int32Type>(values, d, way),
            DataType::Int64 => units::<Int64Type>(values, d, way),
            DataType::UInt8 => units::<UInt8Type>(values, d, way),
            DataType::UInt16 => units::<UInt16Type>(values, d, way),
            DataType::UInt32 => units::<UInt32Type>(values, d, way),
            DataType::UInt64 => units::<UInt64Type>(values, d, way),
            DataType::Decimal128(_, _) => units::<Decimal128Type>(values, d, way),
            DataType::Date32 => units::<Date32Type>(values, d, way),
            DataType::Date64 => units::<Date64Type>(values, d, way),
            DataType::Timestamp(TimeUnit::Second, _) => units::<TimestampSecondType>(values, d, way),
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                units::<TimestampMillisecondType>(values, d, way)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                units::<TimestampMicrosecondType>(values, d, way)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => units::<TimestampNanosecondType>(values, d, way),
            _ => Err(no_distance(values)),
        },
        _ => Err(no_distance(values)),
    }
}

fn no_distance(values: &ArrayRef) -> Error {
    Error::internal(format!("values without distances: type=`{}`", values.data_type()))
}

fn units<T>(values: &ArrayRef, distance: i128, way: Way) -> Result<Moved>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i128> + TryFrom<i128>,
{
    let (least, most) = limits(values.data_type()).ok_or_else(|| no_distance(values))?;
    let null = if way.null_is_low { least } else { most };
    let one = |value: Option<T::Native>| {
        let value = value.map_or(null, |value| value.into().clamp(least, most));
        let moved = if way.down { value.saturating_sub(distance) } else { value.saturating_add(distance) };
        let inside = (least..=most).contains(&moved);
        inside.then(|| T::Native::try_from(moved).ok()).flatten()
    };
    let moved: Vec<Option<T::Native>> = values.as_primitive::<T>().iter().map(one).collect();
    let is_end = moved.iter().map(Option::is_none).collect();
    let moved = PrimitiveArray::<T>::from_iter_values(moved.into_iter().map(Option::unwrap_or_default));
    Ok(Moved { values: Arc::new(moved.with_data_type(values.data_type().clone())), is_end })
}

/// Adding to floats rounds, to infinity also, but never goes beyond: NULL has its peers only.
fn floats<T>(
    values: &ArrayRef,
    distance: f64,
    way: Way,
    (most, least_positive, epsilon): (f64, f64, f64),
    back: fn(f64) -> T::Native,
) -> Moved
where
    T: ArrowPrimitiveType,
    T::Native: Into<f64>,
{
    let one = |value: Option<T::Native>| {
        let value = value.map_or(if way.null_is_low { -most } else { most }, Into::into).clamp(-most, most);
        let rounding = (value.abs() + distance) * epsilon * 4.0 + least_positive;
        back(if way.down { value - distance - rounding } else { value + distance + rounding })
    };
    let moved = PrimitiveArray::<T>::from_iter_values(values.as_primitive::<T>().iter().map(one));
    Moved { values: Arc::new(moved), is_end: vec![false; values.len()] }
}
