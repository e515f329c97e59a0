//! Sessions of single rows: `session_window(ts, gap)` gives each row the interval `[ts, ts + gap)`.
//!
//! Rows whose intervals overlap or touch belong to one session. Merging them takes all rows of a key, so this function
//! does not do it: a GROUP BY over its result does, in a stream by the session operator, in a batch by
//! [`super::to_batch`]. A row without a time, and one whose gap is NULL or not positive, has no session: NULL.

use super::grid::positive;
use super::interval::{Ratio, in_unit, month_day_nano_micros, ratio, scalar_micros};
use super::timestamps::{time_unit, values, window_type};
use super::window::{display_names, schema_names, window_array};
use super::{invalid, refuse};
use acequia_core::Error;
use acequia_core::time::{format_interval, parse_interval};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// Which rows a session may take together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionScope {
    /// Those that agree in the other keys of the GROUP BY: `GROUP BY k, session_window(ts, gap)`.
    GroupKeys,
    /// Those that agree in the keys given to the call (all rows, if none): `SESSION(TABLE t PARTITION BY k, ...)`.
    Partition,
}

/// The session of a single row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionFunction {
    gap: Option<i64>,
    scope: SessionScope,
    signature: Signature,
}

/// The call that gives the session of each row. `gap` is a constant (an interval or its text) or has one per row.
///
/// # Errors
/// `Invalid` for a constant gap that is not positive or that the time's unit cannot say.
pub fn session_call(
    time: Expr,
    time_type: &DataType,
    gap: SessionGap,
    scope: SessionScope,
    keys: &[Expr],
) -> Result<Expr> {
    let mut args = vec![time];
    let gap = match gap {
        SessionGap::Constant(micros) => {
            positive(micros, "session gap")?;
            in_unit(micros, time_unit(time_type, "event time")?, "session gap")?;
            Some(micros)
        }
        SessionGap::PerRow(expr) => {
            args.push(expr);
            None
        }
    };
    args.extend_from_slice(keys);
    let signature = Signature::variadic_any(Volatility::Immutable);
    Ok(ScalarUDF::from(SessionFunction { gap, scope, signature }).call(args))
}

/// How long a session stays open after a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionGap {
    /// As long after every row, in microseconds.
    Constant(i64),
    /// By row: an interval, a duration or a text.
    PerRow(Expr),
}

impl SessionFunction {
    /// The gap in microseconds, where it is constant.
    pub fn gap(&self) -> Option<i64> {
        self.gap
    }

    /// Which rows a session may take together.
    pub fn scope(&self) -> SessionScope {
        self.scope
    }

    /// The keys among the call's arguments.
    pub fn keys<'a>(&self, args: &'a [Expr]) -> &'a [Expr] {
        let others = if self.gap.is_some() { 1 } else { 2 };
        args.get(others..).unwrap_or_default()
    }

    fn sessions(&self, times: &ArrayRef, gaps: Option<&ArrayRef>) -> Result<ArrayRef> {
        let unit = time_unit(times.data_type(), "event time")?;
        let (starts, nulls) = values(times)?;
        let gaps = match (self.gap, gaps) {
            (Some(micros), _) => vec![Some(micros); starts.len()],
            (None, Some(gaps)) => gap_micros(gaps)?,
            (None, None) => return Err(invalid("session gap is missing")),
        };
        let mut valid = Vec::with_capacity(starts.len());
        let mut ends = Vec::with_capacity(starts.len());
        for (row, (&start, gap)) in starts.iter().zip(&gaps).enumerate() {
            let gap = gap.filter(|g| *g > 0 && nulls.as_ref().is_none_or(|n| n.is_valid(row)));
            ends.push(match gap {
                Some(gap) => end_of(start, gap, unit)?,
                None => start,
            });
            valid.push(gap.is_some());
        }
        let nulls = valid.contains(&false).then(|| NullBuffer::from(valid));
        Ok(Arc::new(window_array(times.data_type(), starts.to_vec(), ends, nulls)?))
    }

    fn shown(&self, args: &[String]) -> String {
        let name = match self.scope {
            SessionScope::GroupKeys => "session_window",
            SessionScope::Partition => "session",
        };
        match (self.gap, args.split_first()) {
            (Some(gap), Some((time, keys))) => {
                let mut shown = vec![time.clone(), format_interval(gap)];
                shown.extend_from_slice(keys);
                format!("{name}({})", shown.join(", "))
            }
            _ => format!("{name}({})", args.join(", ")),
        }
    }
}

fn end_of(start: i64, gap: i64, unit: TimeUnit) -> Result<i64> {
    let native = match ratio(unit) {
        Ratio::Coarse(per) if gap % per == 0 => Some(gap / per),
        Ratio::Coarse(_) => None,
        Ratio::Fine(per) => gap.checked_mul(per),
    };
    native.and_then(|gap| start.checked_add(gap)).ok_or_else(|| {
        refuse(Error::data(format!(
            "session does not fit into the type of its event time: start={start} gap={} unit={unit:?}",
            format_interval(gap)
        )))
    })
}

/// The microseconds of every row's gap. A gap that cannot be read is an error of the data.
fn gap_micros(gaps: &ArrayRef) -> Result<Vec<Option<i64>>> {
    match gaps.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let texts = cast(gaps, &DataType::Utf8)?;
            let text = |t: &str| parse_interval(t).map_err(|e| refuse(Error::data(e.to_string())));
            texts.as_string::<i32>().iter().map(|t| t.map(text).transpose()).collect()
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let intervals = gaps.as_primitive::<IntervalMonthDayNanoType>();
            intervals.iter().map(|v| v.map(|v| month_day_nano_micros(v, "session gap")).transpose()).collect()
        }
        _ => (0..gaps.len())
            .map(|row| scalar_micros(&ScalarValue::try_from_array(gaps, row)?, "session gap"))
            .collect(),
    }
}

impl ScalarUDFImpl for SessionFunction {
    fn name(&self) -> &str {
        "__session_window"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.shown(&schema_names(args)))
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.shown(&display_names(args)))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let time = arg_types.first().ok_or_else(|| invalid("event time is missing"))?;
        Ok(window_type(time))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let times = args.args.first().ok_or_else(|| invalid("event time is missing"))?.to_array(rows)?;
        let gaps = match self.gap {
            Some(_) => None,
            None => args.args.get(1).map(|gaps| gaps.to_array(rows)).transpose()?,
        };
        Ok(ColumnarValue::Array(self.sessions(&times, gaps.as_ref())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{StringArray, TimestampMillisecondArray};

    #[test]
    fn a_gap_per_row_that_is_null_or_not_positive_has_no_session() {
        let function = SessionFunction {
            gap: None,
            scope: SessionScope::GroupKeys,
            signature: Signature::variadic_any(Volatility::Immutable),
        };
        let times: ArrayRef =
            Arc::new(TimestampMillisecondArray::from(vec![Some(5), Some(5), Some(-5), None, Some(5)]));
        let gaps: ArrayRef = Arc::new(StringArray::from(vec![
            Some("1 second"),
            None,
            Some("2ms"),
            Some("1 second"),
            Some("0 s"),
        ]));
        let sessions = function.sessions(&times, Some(&gaps)).unwrap();
        let valid: Vec<bool> = (0..5).map(|row| sessions.is_valid(row)).collect();
        assert_eq!(valid, [true, false, true, false, false]);
        let (ends, _) = values(sessions.as_struct().column(1)).unwrap();
        assert_eq!((ends[0], ends[2]), (1_005, -3));
    }

    #[test]
    fn a_session_that_leaves_its_type_is_an_error() {
        assert!(end_of(i64::MAX - 1, 1_000, TimeUnit::Microsecond).is_err());
        assert!(end_of(0, i64::MAX, TimeUnit::Nanosecond).is_err());
        assert!(end_of(0, 1_500, TimeUnit::Millisecond).is_err());
    }
}
