//! Keys go in and come back.

use super::*;
use arrow::array::{Array, AsArray, Float64Array, Int64Array, StringArray};
use arrow::compute::concat;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

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

/// A column of few different values, NULLs and zeros of both signs among them.
fn random_column(rng: &mut SmallRng, data_type: &DataType, rows: usize) -> ArrayRef {
    let value = |rng: &mut SmallRng| match rng.random_range(0..6) {
        0 => None,
        1 => Some(-0.0),
        2 => Some(0.0),
        _ => Some(f64::from(rng.random_range(-2..3_i8))),
    };
    let floats: ArrayRef = Arc::new((0..rows).map(|_| value(rng)).collect::<Float64Array>());
    let narrow = match data_type {
        DataType::Timestamp(_, _) | DataType::Date64 => cast(&floats, &DataType::Int64).unwrap(),
        DataType::Date32 => cast(&floats, &DataType::Int32).unwrap(),
        _ => floats,
    };
    cast(&narrow, data_type).unwrap()
}

#[test]
fn packed_keys_are_those_of_the_row_format() {
    use arrow::datatypes::TimeUnit;
    let types = [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Millisecond, Some("Europe/Berlin".into())),
        DataType::Decimal64(12, 3),
    ];
    let mut rng = SmallRng::seed_from_u64(11);
    for case in 0..60 {
        let types: Vec<DataType> =
            (0..2 + case % 3).map(|_| types[rng.random_range(0..types.len())].clone()).collect();
        assert!(packed::fits(&types), "{types:?}");
        let mut packed = KeyLayout::try_new(types.clone()).unwrap().table();
        let converter = Arc::new(row_converter(&types).unwrap());
        let mut rows = KeyTable { keys: Box::new(RowKeys::new(converter, types.clone())) };
        for _ in 0..3 {
            let columns: Vec<ArrayRef> = types.iter().map(|t| random_column(&mut rng, t, 200)).collect();
            // A slice, whose values do not begin with its buffers.
            let columns: Vec<ArrayRef> = columns.iter().map(|c| c.slice(7, 150)).collect();
            let given = ids(&mut packed, &columns);
            assert_eq!(given, ids(&mut rows, &columns), "{types:?}");
            let (back, expected) = (packed.gather(&given).unwrap(), rows.gather(&given).unwrap());
            assert_eq!(back, expected, "{types:?}");
        }
        assert_eq!(packed.len(), rows.len());
        let all: Vec<u32> = (0..packed.len() as u32).collect();
        let halves = [&all[..3], &all[3..]].map(|ids| packed.gather(ids).unwrap());
        for (column, whole) in packed.gather(&all).unwrap().iter().enumerate() {
            assert_eq!(&concat(&[&halves[0][column], &halves[1][column]]).unwrap(), whole);
        }
    }
}
