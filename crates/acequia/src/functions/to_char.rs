//! `to_char` as DataFusion has it, which formats once for neighbouring times that a format does not tell apart.
//!
//! Most formats leave out what is below a second, a minute or a day, and event times mostly come in order, so that a
//! record batch has few different texts. A timestamp without a time zone and a constant format in which every specifier
//! is known by its [`step`] go this way; everything else is DataFusion's own.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::datetime::to_char::ToCharFunc;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature};

/// See the [module](self).
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct ToChar(ToCharFunc);

/// The seconds within which all times have the same text in this format of `chrono`; none when they are not known.
fn step(format: &str) -> Option<i64> {
    let mut chars = format.chars();
    let mut step = DAY;
    while let Some(char) = chars.next() {
        if char != '%' {
            continue;
        }
        let mut specifier = chars.next()?;
        if matches!(specifier, '-' | '_' | '0') {
            specifier = chars.next()?;
        }
        step = step.min(match specifier {
            'Y' | 'C' | 'y' | 'm' | 'b' | 'B' | 'h' | 'd' | 'e' | 'a' | 'A' | 'u' | 'w' => DAY,
            'G' | 'g' | 'U' | 'W' | 'V' | 'j' | 'D' | 'x' | 'F' | 'v' | '%' => DAY,
            'H' | 'I' | 'k' | 'l' | 'p' | 'P' | 'M' | 'R' => 60,
            'S' | 'T' | 'X' | 'r' | 's' => 1,
            _ => return None,
        });
    }
    Some(step)
}

const DAY: i64 = 86_400;

/// The first row of each run of times with the same text, and the number of each row's run.
fn runs(times: &Int64Array, step: i64) -> (UInt32Array, UInt32Array) {
    let (mut firsts, mut of_row) = (Vec::new(), Vec::with_capacity(times.len()));
    let mut span = None;
    for (row, time) in times.iter().enumerate() {
        let same = match (time, &span) {
            (Some(time), Some(Some((from, to)))) => (*from..=*to).contains(&time),
            (None, Some(None)) => true,
            _ => false,
        };
        if !same {
            firsts.push(row as u32);
            span = Some(time.map(|time| {
                let into = time.rem_euclid(step);
                (time.saturating_sub(into), time.saturating_add(step - 1 - into))
            }));
        }
        of_row.push(firsts.len() as u32 - 1);
    }
    (firsts.into(), of_row.into())
}

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.0.return_type(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Array(times), ColumnarValue::Scalar(ScalarValue::Utf8(Some(format)))] =
            args.args.as_slice()
        else {
            return self.0.invoke_with_args(args);
        };
        let (DataType::Timestamp(unit, None), Some(step)) = (times.data_type(), step(format)) else {
            return self.0.invoke_with_args(args);
        };
        let per_second = match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        };
        let numbers = cast(times, &DataType::Int64)?;
        let (firsts, of_row) = runs(numbers.as_primitive::<Int64Type>(), step * per_second);
        if firsts.len() * 2 > times.len() {
            return self.0.invoke_with_args(args);
        }
        args.args[0] = ColumnarValue::Array(take(times, &firsts, None)?);
        args.number_rows = firsts.len();
        let texts: ArrayRef = self.0.invoke_with_args(args)?.into_array(firsts.len())?;
        Ok(ColumnarValue::Array(take(&texts, &of_row, None)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Field;
    use datafusion::config::ConfigOptions;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};
    use std::sync::Arc;

    fn call(function: &dyn ScalarUDFImpl, times: &ArrayRef, format: &str) -> Result<ArrayRef, String> {
        let format = ScalarValue::Utf8(Some(format.to_string()));
        let types = [times.data_type().clone(), DataType::Utf8];
        let args = ScalarFunctionArgs {
            args: vec![ColumnarValue::Array(Arc::clone(times)), ColumnarValue::Scalar(format)],
            arg_fields: types.map(|t| Arc::new(Field::new("a", t, true))).to_vec(),
            number_rows: times.len(),
            return_field: Arc::new(Field::new("text", DataType::Utf8, true)),
            config_options: Arc::new(ConfigOptions::default()),
        };
        let given = function.invoke_with_args(args).and_then(|value| value.into_array(times.len()));
        given.map_err(|error| error.to_string())
    }

    #[test]
    fn every_format_gives_what_datafusion_gives() {
        let mut rng = SmallRng::seed_from_u64(3);
        let specifiers = "YCymbBhdeaAuwGgUWVjDxFvHIklpPMRSTXrsfntzZ+cEQ%-_0.3";
        let (mut shared, mut failed) = (0, 0);
        for _ in 0..20_000 {
            let mut format = String::new();
            for _ in 0..rng.random_range(0..4) {
                let char = |rng: &mut SmallRng| {
                    char::from(specifiers.as_bytes()[rng.random_range(0..specifiers.len())])
                };
                format.push_str(["%", "%", "%-", "%0", " "][rng.random_range(0..5)]);
                format.push(char(&mut rng));
            }
            let unit = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
            let unit = unit[rng.random_range(0..4)];
            let around =
                [0, -86_400_000, 1_700_000_000_000, i64::MAX - 50, i64::MIN + 50][rng.random_range(0..5)];
            let wide = [1, 5, 900, 40_000][rng.random_range(0..4)];
            let times = (0..20).map(|_| {
                rng.random_bool(0.9).then(|| i64::saturating_add(around, rng.random_range(-wide..wide)))
            });
            let times = times.collect::<Int64Array>();
            let times = cast(&times, &DataType::Timestamp(unit, None)).unwrap();
            let expected = call(&ToCharFunc::new(), &times, &format);
            assert_eq!(call(&ToChar::default(), &times, &format), expected, "{format:?} {times:?}");
            shared += usize::from(step(&format).is_some() && expected.is_ok());
            failed += usize::from(expected.is_err());
        }
        assert!(shared > 1000 && failed > 1000, "{shared} {failed}");
    }
}
