//! `window_time(w)`: the last instant of a window, so that a further window or join can follow.
//!
//! It is `w.end` less a microsecond (as in Spark), or less one unit where the type is coarser.

use super::timestamps::{column, time_unit, values, window_time_type};
use super::window::invoke_on_times;
use super::{invalid, refuse};
use acequia_core::Error;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// The function `window_time`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WindowTime {
    signature: Signature,
}

impl Default for WindowTime {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

fn last_instants(windows: &ArrayRef) -> Result<ArrayRef> {
    let windows = windows.as_struct();
    let ends = windows.column(1);
    let step = match time_unit(ends.data_type(), "window")? {
        TimeUnit::Nanosecond => 1_000,
        _ => 1,
    };
    let (values, nulls) = values(ends)?;
    let nulls = arrow::buffer::NullBuffer::union(nulls.as_ref(), windows.logical_nulls().as_ref());
    let mut last = Vec::with_capacity(values.len());
    for (row, end) in values.iter().enumerate() {
        let valid = nulls.as_ref().is_none_or(|n| n.is_valid(row));
        match end.checked_sub(step) {
            None if valid => {
                return Err(refuse(Error::data("window ends before the first time of its type")));
            }
            instant => last.push(instant.unwrap_or(0)),
        }
    }
    column(ends.data_type(), last, nulls)
}

fn not_a_window(data_type: &DataType) -> DataFusionError {
    invalid(format!(
        "window_time takes a window, a struct of timestamps `start` and `end`: type=`{data_type}`; \
         give it the column that window() made"
    ))
}

impl ScalarUDFImpl for WindowTime {
    fn name(&self) -> &str {
        "window_time"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        window_time_type(&arg_types[0]).cloned().ok_or_else(|| not_a_window(&arg_types[0]))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        invoke_on_times(&args, last_instants)
    }
}
