//! Constant lengths of time in window calls: read from an expression, turned into a column's own unit.

use super::invalid;
use acequia_core::time::{format_interval, parse_interval};
use arrow::datatypes::{IntervalMonthDayNano, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

const DAY: i64 = 86_400_000_000;

/// The microseconds of a constant expression; `what` names the argument in messages.
///
/// # Errors
/// `Invalid` when it is not constant, not an interval, NULL, or has months in it.
pub fn constant_micros(expr: &Expr, what: &str) -> Result<i64> {
    match constant(expr)? {
        Some(value) => match scalar_micros(&value, what)? {
            Some(micros) => Ok(micros),
            None => Err(invalid(format!("{what} is NULL; write an interval, as in '10 minutes'"))),
        },
        None => {
            Err(invalid(format!("{what} is not constant: `{expr}`; write an interval, as in '10 minutes'")))
        }
    }
}

/// The value of an expression without columns, parameters or volatile functions; `None` for any other.
pub(crate) fn constant(expr: &Expr) -> Result<Option<ScalarValue>> {
    if let Expr::Literal(value, _) = expr.clone().unalias() {
        return Ok(Some(value));
    }
    if expr.any_column_refs() || expr.is_volatile() {
        return Ok(None);
    }
    let simplified = ExprSimplifier::new(SimplifyContext::default()).simplify(expr.clone())?;
    Ok(match simplified.unalias() {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    })
}

/// Whether an argument of this expression's type could be a length of time rather than an event time.
pub(crate) fn is_length(expr: &Expr, schema: &datafusion::common::DFSchema) -> bool {
    use arrow::datatypes::DataType as T;
    match expr.get_type(schema) {
        Ok(T::Interval(_) | T::Duration(_) | T::Null) => true,
        Ok(T::Utf8 | T::LargeUtf8 | T::Utf8View) => !expr.any_column_refs(),
        _ => false,
    }
}

/// The microseconds of an interval, duration or text; `None` for NULL.
///
/// # Errors
/// `Invalid` for anything else, for months, and for parts of a microsecond.
pub fn scalar_micros(value: &ScalarValue, what: &str) -> Result<Option<i64>> {
    use ScalarValue as S;
    if value.is_null() {
        return Ok(None);
    }
    let micros = match value {
        S::IntervalMonthDayNano(Some(v)) => month_day_nano_micros(*v, what)?,
        S::IntervalDayTime(Some(v)) => i64::from(v.days) * DAY + i64::from(v.milliseconds) * 1_000,
        S::DurationSecond(Some(v)) => whole(v.checked_mul(1_000_000), what)?,
        S::DurationMillisecond(Some(v)) => whole(v.checked_mul(1_000), what)?,
        S::DurationMicrosecond(Some(v)) => *v,
        S::DurationNanosecond(Some(v)) => nanos_to_micros(*v, what)?,
        S::Utf8(Some(text)) | S::LargeUtf8(Some(text)) | S::Utf8View(Some(text)) => {
            parse_interval(text).map_err(|e| super::refuse(e.context(what)))?
        }
        S::IntervalYearMonth(_) => return Err(months(what)),
        other => {
            return Err(invalid(format!(
                "{what} is not an interval: `{other}` of type `{}`; write it as '10 minutes'",
                other.data_type()
            )));
        }
    };
    Ok(Some(micros))
}

/// The microseconds of an arrow interval.
pub(crate) fn month_day_nano_micros(v: IntervalMonthDayNano, what: &str) -> Result<i64> {
    if v.months != 0 {
        return Err(months(what));
    }
    let time = nanos_to_micros(v.nanoseconds, what)?;
    whole((i64::from(v.days) * DAY).checked_add(time), what)
}

fn months(what: &str) -> datafusion::common::DataFusionError {
    invalid(format!("{what} has months or years, which have no fixed length; write days"))
}

fn nanos_to_micros(nanos: i64, what: &str) -> Result<i64> {
    if nanos % 1_000 != 0 {
        return Err(invalid(format!("{what} is not a whole number of microseconds: {nanos} ns")));
    }
    Ok(nanos / 1_000)
}

fn whole(micros: Option<i64>, what: &str) -> Result<i64> {
    micros.ok_or_else(|| invalid(format!("{what} is too long")))
}

/// How many microseconds one unit has, or how many units one microsecond has.
pub(crate) enum Ratio {
    /// Microseconds per unit: seconds, milliseconds, microseconds.
    Coarse(i64),
    /// Units per microsecond: nanoseconds.
    Fine(i64),
}

pub(crate) fn ratio(unit: TimeUnit) -> Ratio {
    match unit {
        TimeUnit::Second => Ratio::Coarse(1_000_000),
        TimeUnit::Millisecond => Ratio::Coarse(1_000),
        TimeUnit::Microsecond => Ratio::Coarse(1),
        TimeUnit::Nanosecond => Ratio::Fine(1_000),
    }
}

/// A length of time in a column's own unit.
///
/// # Errors
/// `Invalid` when the unit cannot say it exactly, or it is too long for it.
pub fn in_unit(micros: i64, unit: TimeUnit, what: &str) -> Result<i64> {
    match ratio(unit) {
        Ratio::Coarse(per) if micros % per == 0 => Ok(micros / per),
        Ratio::Coarse(_) => Err(invalid(format!(
            "{what} is finer than the event time's type: {} over TIMESTAMP({}); cast the event time to TIMESTAMP(6)",
            format_interval(micros),
            if unit == TimeUnit::Second { 0 } else { 3 },
        ))),
        Ratio::Fine(per) => whole(micros.checked_mul(per), what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::{col, lit};

    #[test]
    fn constants_are_read_in_every_type() {
        let month_day_nano = |months, days, nanos| {
            lit(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanos))))
        };
        for (expr, micros) in [
            (lit("10 minutes"), 600_000_000),
            (month_day_nano(0, 1, 1_000), DAY + 1),
            (lit(ScalarValue::DurationSecond(Some(2))), 2_000_000),
            (month_day_nano(0, 0, 2_000_000).alias("x"), 2_000),
        ] {
            assert_eq!(constant_micros(&expr, "size").unwrap(), micros, "{expr}");
        }
        for expr in [
            lit(10),
            lit(ScalarValue::Utf8(None)),
            col("size"),
            month_day_nano(1, 0, 0),
            month_day_nano(0, 0, 1),
            lit("1 month"),
        ] {
            assert!(constant_micros(&expr, "size").is_err(), "{expr}");
        }
    }

    #[test]
    fn a_length_finer_than_the_unit_is_refused() {
        assert_eq!(in_unit(2_000_000, TimeUnit::Second, "size").unwrap(), 2);
        assert_eq!(in_unit(-1_000, TimeUnit::Millisecond, "size").unwrap(), -1);
        assert_eq!(in_unit(3, TimeUnit::Nanosecond, "size").unwrap(), 3_000);
        assert!(in_unit(500_000, TimeUnit::Second, "size").is_err());
        assert!(in_unit(i64::MAX, TimeUnit::Nanosecond, "size").is_err());
    }
}
