//! Keys go in and come back.

use super::*;
use arrow::array::{Float64Array, Int64Array, StringArray};

fn ids(table: &mut KeyTable, columns: &[ArrayRef]) -> Vec<u32> {
    let mut ids = Vec::new();
    table.intern(columns, columns[0].len(), &mut ids).unwrap();
    ids
}

#[test]
fn null_is_one_group_and_minus_zero_is_zero() {
    let nan = f64::NAN;
    let column: ArrayRef =
        Arc::new(Float64Array::from(vec![Some(0.0), None, Some(-0.0), Some(nan), None, Some(nan)]));
    let mut narrow = KeyLayout::try_new(vec![DataType::Float64]).unwrap().table();
    assert_eq!(ids(&mut narrow, &[Arc::clone(&column)]), [0, 1, 0, 2, 1, 2]);
    let mut wide = KeyLayout::try_new(vec![DataType::Float64, DataType::Float64]).unwrap().table();
    assert_eq!(ids(&mut wide, &[Arc::clone(&column), column]), [0, 1, 0, 2, 1, 2]);
    assert_eq!(
        narrow.gather(&[1, 0]).unwrap()[0].as_primitive::<arrow::datatypes::Float64Type>().value(1),
        0.0
    );
}

#[test]
fn keys_of_many_types_come_back_as_they_went_in() {
    let ints: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(i64::MIN), Some(7)]));
    let strings: ArrayRef =
        Arc::new(StringArray::from(vec![Some(""), None, Some("grün"), Some("longer than twelve")]));
    for data_type in [
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::BinaryView,
        DataType::Binary,
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
    ] {
        let column = cast(&strings, &data_type).unwrap();
        let mut one = KeyLayout::try_new(vec![data_type.clone()]).unwrap().table();
        assert_eq!(ids(&mut one, &[Arc::clone(&column)]), [0, 1, 2, 3]);
        assert_eq!(ids(&mut one, &[Arc::clone(&column)]), [0, 1, 2, 3]);
        assert_eq!(one.gather(&[0, 1, 2, 3]).unwrap()[0].to_data(), column.to_data(), "{data_type}");
        let mut two = KeyLayout::try_new(vec![DataType::Int64, data_type.clone()]).unwrap().table();
        assert_eq!(ids(&mut two, &[Arc::clone(&ints), Arc::clone(&column)]), [0, 1, 2, 3]);
        let back = two.gather(&[3, 0]).unwrap();
        assert_eq!(back[0].as_primitive::<arrow::datatypes::Int64Type>().values(), &[7, 5]);
        assert_eq!(two.len(), 4);
    }
}
