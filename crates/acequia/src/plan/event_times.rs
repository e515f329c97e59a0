//! The event times of some rows: latest, earliest and mean, in one pass each over plain integers.

use acequia_core::Timestamp;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, cast::AsArray};
use arrow::datatypes::{
    DataType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use datafusion::common::{Result, internal_err};

/// See the [module](self). NULLs count nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventTimes {
    /// The latest; nanoseconds round down.
    pub latest: Option<Timestamp>,
    /// The earliest.
    pub earliest: Option<Timestamp>,
    sum_micros: i128,
    count: u64,
}

impl EventTimes {
    /// Those of a column.
    ///
    /// # Errors
    /// `Internal` when it is not a timestamp.
    pub(super) fn of(times: &ArrayRef) -> Result<Self> {
        let DataType::Timestamp(unit, _) = times.data_type() else {
            return internal_err!("event times are not timestamps: {}", times.data_type());
        };
        Ok(match unit {
            TimeUnit::Second => of_unit(times.as_primitive::<TimestampSecondType>(), 1_000_000, 1),
            TimeUnit::Millisecond => of_unit(times.as_primitive::<TimestampMillisecondType>(), 1_000, 1),
            TimeUnit::Microsecond => of_unit(times.as_primitive::<TimestampMicrosecondType>(), 1, 1),
            TimeUnit::Nanosecond => of_unit(times.as_primitive::<TimestampNanosecondType>(), 1, 1_000),
        })
    }

    /// Adds those of other rows.
    pub fn merge(&mut self, other: &Self) {
        self.latest = self.latest.max(other.latest);
        self.earliest = match (self.earliest, other.earliest) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.sum_micros += other.sum_micros;
        self.count += other.count;
    }

    /// Their mean, rounded down; none without rows.
    pub fn mean(&self) -> Option<Timestamp> {
        let mean = self.sum_micros.div_euclid(i128::from(self.count.max(1)));
        (self.count > 0).then(|| Timestamp(i64::try_from(mean).unwrap_or(i64::MAX)))
    }
}

/// A value is `times / divided` microseconds.
fn of_unit<T: ArrowPrimitiveType<Native = i64>>(
    array: &PrimitiveArray<T>,
    times: i64,
    divided: i64,
) -> EventTimes {
    let known = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let known: Option<Vec<i64>> = known.map(|_| array.iter().flatten().collect());
    let values = known.as_deref().unwrap_or(array.values());
    let Some(Spread { least, greatest, sum }) = Spread::of(values) else { return EventTimes::default() };
    let micros = |value: i64| Timestamp(value.saturating_mul(times).div_euclid(divided));
    EventTimes {
        latest: Some(micros(greatest)),
        earliest: Some(micros(least)),
        sum_micros: (sum * i128::from(times)).div_euclid(i128::from(divided)),
        count: values.len() as u64,
    }
}

/// What a mean and two extremes need.
struct Spread {
    least: i64,
    greatest: i64,
    sum: i128,
}

/// So many values at a time, each in a register of its own: a third of the time of one after the other.
const LANES: usize = 8;

impl Spread {
    fn of(values: &[i64]) -> Option<Self> {
        let first = *values.first()?;
        let (mut least, mut greatest, mut above) = ([first; LANES], [first; LANES], [0_i64; LANES]);
        let (chunks, rest) = values.as_chunks::<LANES>();
        let mut last = [first; LANES];
        last[..rest.len()].copy_from_slice(rest);
        for chunk in chunks.iter().chain([&last]) {
            for lane in 0..LANES {
                least[lane] = least[lane].min(chunk[lane]);
                greatest[lane] = greatest[lane].max(chunk[lane]);
                above[lane] = above[lane].wrapping_add(chunk[lane].wrapping_sub(first));
            }
        }
        let least = least.into_iter().fold(first, i64::min);
        let greatest = greatest.into_iter().fold(first, i64::max);
        let most = (i128::from(greatest) - i128::from(least)) * values.len() as i128;
        // Wrapping sums are right where the whole sum fits.
        let sum = match i64::try_from(most) {
            Ok(_) => {
                let above = above.into_iter().fold(0, i64::wrapping_add);
                i128::from(first) * values.len() as i128 + i128::from(above)
            }
            Err(_) => values.iter().map(|value| i128::from(*value)).sum(),
        };
        Some(Self { least, greatest, sum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{TimestampMicrosecondArray, TimestampNanosecondArray, TimestampSecondArray};
    use std::sync::Arc;

    fn of(array: impl Array + 'static) -> (Option<i64>, Option<i64>, Option<i64>) {
        let times = EventTimes::of(&(Arc::new(array) as ArrayRef)).unwrap();
        (times.earliest.map(|t| t.0), times.mean().map(|t| t.0), times.latest.map(|t| t.0))
    }

    #[test]
    fn nulls_units_and_extremes() {
        assert_eq!(of(TimestampMicrosecondArray::from(vec![None::<i64>, None])), (None, None, None));
        assert_eq!(
            of(TimestampMicrosecondArray::from(vec![Some(4), None, Some(-5)])),
            (Some(-5), Some(-1), Some(4))
        );
        assert_eq!(
            of(TimestampSecondArray::from(vec![1, 2])),
            (Some(1_000_000), Some(1_500_000), Some(2_000_000))
        );
        assert_eq!(of(TimestampNanosecondArray::from(vec![1_999, 2_001])), (Some(1), Some(2), Some(2)));
        assert_eq!(of(TimestampNanosecondArray::from(vec![-1])), (Some(-1), Some(-1), Some(-1)));
        let ends = TimestampMicrosecondArray::from(vec![i64::MAX, i64::MIN]);
        assert_eq!(of(ends), (Some(i64::MIN), Some(-1), Some(i64::MAX)));
    }

    #[test]
    fn merged_is_as_together() {
        let of = |values: &[i64]| {
            EventTimes::of(&(Arc::new(TimestampMicrosecondArray::from(values.to_vec())) as ArrayRef)).unwrap()
        };
        let mut merged = of(&[1, 7]);
        merged.merge(&of(&[]));
        merged.merge(&of(&[100, -3, 5]));
        assert_eq!(merged, of(&[1, 7, 100, -3, 5]));
    }
}
