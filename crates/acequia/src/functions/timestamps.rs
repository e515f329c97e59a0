//! Timestamp columns of any unit and zone as plain `i64`s, and back.

use super::invalid;
use arrow::array::{Array, ArrayData, ArrayRef, make_array};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion::common::Result;

/// The name of a window's first instant, which belongs to it.
pub(crate) const START: &str = "start";
/// The name of a window's end, the first instant that does not belong to it any more.
pub(crate) const END: &str = "end";

/// The struct type of windows over this timestamp type.
pub(crate) fn window_type(time: &DataType) -> DataType {
    DataType::Struct(window_fields(time))
}

pub(crate) fn window_fields(time: &DataType) -> Fields {
    Fields::from(vec![Field::new(START, time.clone(), true), Field::new(END, time.clone(), true)])
}

/// The timestamp type of a window struct's bounds, when it is one.
pub(crate) fn window_time_type(data_type: &DataType) -> Option<&DataType> {
    let DataType::Struct(fields) = data_type else { return None };
    match fields.iter().map(|f| (f.name().as_str(), f.data_type())).collect::<Vec<_>>().as_slice() {
        [(START, start @ DataType::Timestamp(_, _)), (END, end)] if start == end => Some(end),
        _ => None,
    }
}

/// The unit of a timestamp type.
pub(crate) fn time_unit(data_type: &DataType, what: &str) -> Result<TimeUnit> {
    match data_type {
        DataType::Timestamp(unit, _) => Ok(*unit),
        other => Err(invalid(format!(
            "{what} is not a timestamp: type=`{other}`; cast it, as in CAST(c AS TIMESTAMP(6))"
        ))),
    }
}

/// The values and NULLs of a timestamp column.
pub(crate) fn values(array: &dyn Array) -> Result<(ScalarBuffer<i64>, Option<NullBuffer>)> {
    time_unit(array.data_type(), "event time")?;
    let data = array.to_data();
    let values = ScalarBuffer::new(data.buffers()[0].clone(), data.offset(), data.len());
    Ok((values, array.nulls().cloned()))
}

/// A column of this timestamp type.
pub(crate) fn column(data_type: &DataType, values: Vec<i64>, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
    let data = ArrayData::builder(data_type.clone())
        .len(values.len())
        .add_buffer(Buffer::from_vec(values))
        .nulls(nulls)
        .build()?;
    Ok(make_array(data))
}
