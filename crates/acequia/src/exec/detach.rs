//! Arrays that keep nothing but their own rows in memory.

use acequia_core::Result;
use arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use std::sync::Arc;

/// The rows without the buffers of others.
pub(super) fn detached_batch(rows: &RecordBatch) -> Result<RecordBatch> {
    let columns = rows.columns().iter().map(detached).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(rows.schema(), columns, &options)?)
}

/// The array without the buffers of others: views would keep whole input batches alive.
pub(super) fn detached(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        DataType::List(field) if holds_views(field.data_type()) => {
            let list = array.as_list::<i32>();
            let values = detached(&used_values(list))?;
            let offsets = OffsetBuffer::<i32>::from_lengths(list.offsets().lengths());
            Arc::new(GenericListArray::try_new(Arc::clone(field), offsets, values, list.nulls().cloned())?)
        }
        DataType::Struct(fields) if fields.iter().any(|f| holds_views(f.data_type())) => {
            let structs = array.as_struct();
            let columns = structs.columns().iter().map(detached).collect::<Result<_>>()?;
            Arc::new(StructArray::try_new(fields.clone(), columns, structs.nulls().cloned())?)
        }
        _ => Arc::clone(array),
    })
}

fn used_values(list: &GenericListArray<i32>) -> ArrayRef {
    let offsets = list.offsets();
    let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
    list.values().slice(first as usize, (last - first) as usize)
}

fn holds_views(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::List(field) => holds_views(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_views(field.data_type())),
        _ => false,
    }
}
