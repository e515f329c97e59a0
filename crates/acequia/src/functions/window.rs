//! Window functions whose constants are bound: one pass over the event times of a batch.
//!
//! [`TumbleFunction`] gives each row its window, a struct `{start, end}` of the event time's own type; a NULL time has
//! a NULL window. [`HopFunction`] gives each row the list of its windows (sliding or cumulating), to be unnested;
//! a NULL time has a NULL list. A time so near the ends of its type that a window leaves it is an error of the data,
//! like any other overflow.

use super::grid::{Grid, Shape, WindowSpec};
use super::timestamps::{column, time_unit, values, window_fields, window_type};
use super::{invalid, refuse};
use acequia_core::Error;
use acequia_core::time::format_interval;
use arrow::array::{Array, ArrayRef, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// The tumbling window of an event time, `window(ts, size)` with its constants bound.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TumbleFunction {
    spec: WindowSpec,
    grid: Grid,
    signature: Signature,
}

/// All sliding or cumulating windows of an event time, as a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HopFunction {
    spec: WindowSpec,
    grid: Grid,
    signature: Signature,
}

/// The call that gives the window of `time` (tumbling) or the list of its windows (all others).
///
/// # Errors
/// `Invalid` when `time_type` is not a timestamp, or its unit cannot say the window's lengths.
pub fn window_call(spec: WindowSpec, time: Expr, time_type: &DataType) -> Result<Expr> {
    let grid = spec.in_unit(time_unit(time_type, "event time")?)?;
    let signature = Signature::any(1, Volatility::Immutable);
    Ok(match spec.shape {
        Shape::Tumble => ScalarUDF::from(TumbleFunction { spec, grid, signature }).call(vec![time]),
        _ => ScalarUDF::from(HopFunction { spec, grid, signature }).call(vec![time]),
    })
}

impl TumbleFunction {
    /// The windows, in microseconds.
    pub fn spec(&self) -> &WindowSpec {
        &self.spec
    }

    fn windows(&self, times: &dyn Array) -> Result<StructArray> {
        let (instants, nulls) = values(times)?;
        let (starts, ends) = self.bounds(&instants, nulls.as_ref())?;
        window_array(times.data_type(), starts, ends, nulls)
    }

    /// Event times mostly come in order: the last window is tried before a division.
    fn bounds(&self, instants: &[i64], nulls: Option<&NullBuffer>) -> Result<(Vec<i64>, Vec<i64>)> {
        let (mut starts, mut ends) = (vec![0; instants.len()], vec![0; instants.len()]);
        let (mut start, mut end) = (0, 0);
        for (row, &instant) in instants.iter().enumerate() {
            if instant < start || instant >= end {
                match self.grid.tumble(instant) {
                    Some(bounds) => (start, end) = bounds,
                    None if nulls.is_some_and(|n| n.is_null(row)) => {}
                    None => return Err(out_of_range(instant, &self.spec)),
                }
            }
            (starts[row], ends[row]) = (start, end);
        }
        Ok((starts, ends))
    }
}

impl HopFunction {
    /// The windows, in microseconds.
    pub fn spec(&self) -> &WindowSpec {
        &self.spec
    }

    fn windows(&self, times: &dyn Array) -> Result<ListArray> {
        let (instants, nulls) = values(times)?;
        let mut offsets = Vec::with_capacity(instants.len() + 1);
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        offsets.push(0);
        for (row, &instant) in instants.iter().enumerate() {
            if nulls.as_ref().is_none_or(|n| n.is_valid(row)) {
                self.grid
                    .push_windows(instant, &mut starts, &mut ends)
                    .ok_or_else(|| out_of_range(instant, &self.spec))?;
            }
            offsets.push(list_offset(starts.len())?);
        }
        let windows = window_array(times.data_type(), starts, ends, None)?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(ListArray::try_new(list_item(times.data_type()), offsets, Arc::new(windows), nulls)?)
    }
}

/// More windows than this in one record batch (a gigabyte of bounds) are refused.
const MAX_WINDOWS_PER_BATCH: usize = 1 << 26;

fn list_offset(windows: usize) -> Result<i32> {
    match i32::try_from(windows) {
        Ok(offset) if windows <= MAX_WINDOWS_PER_BATCH => Ok(offset),
        _ => Err(refuse(Error::resource_exhausted(format!(
            "too many windows in one record batch: {windows} (limit {MAX_WINDOWS_PER_BATCH}); \
             use a longer slide, or lower datafusion.execution.batch_size"
        )))),
    }
}

/// A column of windows.
pub(crate) fn window_array(
    time_type: &DataType,
    starts: Vec<i64>,
    ends: Vec<i64>,
    nulls: Option<NullBuffer>,
) -> Result<StructArray> {
    let starts = column(time_type, starts, nulls.clone())?;
    let ends = column(time_type, ends, nulls.clone())?;
    Ok(StructArray::try_new(window_fields(time_type), vec![starts, ends], nulls)?)
}

fn list_item(time_type: &DataType) -> FieldRef {
    Arc::new(Field::new_list_field(window_type(time_type), true))
}

fn out_of_range(instant: i64, spec: &WindowSpec) -> DataFusionError {
    refuse(Error::data(format!(
        "event time has no window within the range of its type: value={instant} size={}",
        format_interval(spec.size)
    )))
}

/// Evaluates a function of one timestamp argument, a constant one too.
pub(crate) fn invoke_on_times(
    args: &ScalarFunctionArgs,
    f: impl FnOnce(&ArrayRef) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    match args.args.first() {
        Some(ColumnarValue::Array(times)) => Ok(ColumnarValue::Array(f(times)?)),
        Some(ColumnarValue::Scalar(time)) => {
            let one = f(&time.to_array_of_size(1)?)?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&one, 0)?))
        }
        None => Err(invalid("event time is missing")),
    }
}

fn shown(spec: &WindowSpec, args: &[String]) -> String {
    format!("window({}, {spec})", args.join(", "))
}

pub(crate) fn schema_names(args: &[Expr]) -> Vec<String> {
    args.iter().map(|a| a.schema_name().to_string()).collect()
}

pub(crate) fn display_names(args: &[Expr]) -> Vec<String> {
    args.iter().map(ToString::to_string).collect()
}

impl ScalarUDFImpl for TumbleFunction {
    fn name(&self) -> &str {
        "__tumble_window"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(shown(&self.spec, &schema_names(args)))
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(shown(&self.spec, &display_names(args)))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(window_type(&arg_types[0]))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        invoke_on_times(&args, |times| Ok(Arc::new(self.windows(times)?)))
    }
}

impl ScalarUDFImpl for HopFunction {
    fn name(&self) -> &str {
        match self.spec.shape {
            Shape::Cumulate => "__cumulate_windows",
            _ => "__hop_windows",
        }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(shown(&self.spec, &schema_names(args)))
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(shown(&self.spec, &display_names(args)))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(list_item(&arg_types[0])))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        invoke_on_times(&args, |times| Ok(Arc::new(self.windows(times)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::timestamps;
    use arrow::array::AsArray;
    use arrow::datatypes::TimeUnit;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    const UNITS: [TimeUnit; 4] =
        [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];

    fn any_spec(rng: &mut SmallRng) -> WindowSpec {
        let second = 1_000_000;
        let slide = rng.random_range(1..50) * second;
        let offset = rng.random_range(-slide / second + 1..slide / second) * second;
        match rng.random_range(0..3) {
            0 => WindowSpec::tumble(slide, offset),
            1 => WindowSpec::hop(slide, slide + rng.random_range(0..200) * second, offset),
            _ => WindowSpec::cumulate(slide, slide * rng.random_range(1..6), offset),
        }
        .unwrap()
    }

    fn any_times(rng: &mut SmallRng, unit: TimeUnit) -> ArrayRef {
        let per_second: i64 = match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        };
        let rows = rng.random_range(1..40);
        let values: Vec<i64> =
            (0..rows).map(|_| rng.random_range(-500 * per_second..500 * per_second)).collect();
        let valid: Vec<bool> = (0..rows).map(|_| rng.random_range(0..5) > 0).collect();
        let data_type = DataType::Timestamp(unit, Some("+02:00".into()));
        let all = column(&data_type, values, Some(NullBuffer::from(valid))).unwrap();
        let skip = rng.random_range(0..rows);
        all.slice(skip, rows - skip)
    }

    /// Every window that holds an instant, by trying all starts in reach, in wide integers of nanoseconds.
    fn slow(spec: &WindowSpec, value: i64, unit: TimeUnit) -> Vec<(i128, i128)> {
        let nanos: i128 = match unit {
            TimeUnit::Second => 1_000_000_000,
            TimeUnit::Millisecond => 1_000_000,
            TimeUnit::Microsecond => 1_000,
            TimeUnit::Nanosecond => 1,
        };
        let t = i128::from(value) * nanos;
        let [size, slide, offset] =
            [spec.size, spec.slide, spec.offset].map(|micros| i128::from(micros) * 1_000);
        let step = if spec.shape == Shape::Hop { slide } else { size };
        let mut found = Vec::new();
        let mut start = offset - 2_000_000_000_000 / step * step;
        while start <= t {
            let mut end = if spec.shape == Shape::Cumulate { start + slide } else { start + size };
            while end <= start + size {
                if t < end {
                    found.push((start / nanos, end / nanos));
                }
                end += slide;
            }
            start += step;
        }
        if spec.shape == Shape::Hop {
            found.reverse();
        }
        found
    }

    fn windows_of(spec: &WindowSpec, times: &ArrayRef) -> Vec<Option<Vec<(i128, i128)>>> {
        let signature = Signature::any(1, Volatility::Immutable);
        let grid = spec.in_unit(timestamps::time_unit(times.data_type(), "t").unwrap()).unwrap();
        let pairs = |windows: &StructArray| -> Vec<(i128, i128)> {
            let (starts, _) = values(windows.column(0)).unwrap();
            let (ends, _) = values(windows.column(1)).unwrap();
            starts.iter().zip(ends.iter()).map(|(s, e)| (i128::from(*s), i128::from(*e))).collect()
        };
        if spec.shape == Shape::Tumble {
            let windows = TumbleFunction { spec: *spec, grid, signature }.windows(times).unwrap();
            return (0..windows.len())
                .map(|row| windows.is_valid(row).then(|| pairs(&windows.slice(row, 1))))
                .collect();
        }
        let lists = HopFunction { spec: *spec, grid, signature }.windows(times).unwrap();
        (0..lists.len()).map(|row| lists.is_valid(row).then(|| pairs(lists.value(row).as_struct()))).collect()
    }

    #[test]
    fn windows_of_random_columns_equal_the_slow_search() {
        let mut rng = SmallRng::seed_from_u64(3);
        for _ in 0..1_000 {
            let spec = any_spec(&mut rng);
            let unit = UNITS[rng.random_range(0..4)];
            let times = any_times(&mut rng, unit);
            let (instants, nulls) = values(&times).unwrap();
            let expected: Vec<_> = (0..times.len())
                .map(|row| {
                    nulls.as_ref().is_none_or(|n| n.is_valid(row)).then(|| slow(&spec, instants[row], unit))
                })
                .collect();
            assert_eq!(windows_of(&spec, &times), expected, "{spec} {unit:?} {times:?}");
        }
    }

    #[test]
    fn a_batch_with_more_windows_than_fit_is_refused() {
        assert_eq!(list_offset(MAX_WINDOWS_PER_BATCH).unwrap(), 1 << 26);
        assert!(list_offset(MAX_WINDOWS_PER_BATCH + 1).is_err());
        assert!(list_offset(usize::MAX).is_err());
    }

    #[test]
    fn what_a_null_hides_is_not_looked_at() {
        let data_type = DataType::Timestamp(TimeUnit::Microsecond, None);
        let nulls = Some(NullBuffer::from(vec![false, true]));
        let times = column(&data_type, vec![i64::MIN, 5], nulls).unwrap();
        for spec in [WindowSpec::tumble(10, 0), WindowSpec::hop(5, 10, 0)] {
            assert_eq!(windows_of(&spec.unwrap(), &times)[0], None);
        }
    }
}
