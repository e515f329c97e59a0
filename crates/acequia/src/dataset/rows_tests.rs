use super::RowCodec;
use super::rows::Row;
use acequia_core::ErrorKind;
use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float64Array, Int32Array, Int64Array, LargeStringArray,
    RecordBatch, StringArray, StringViewArray, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Open,
    HalfOpen,
    Closed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point {
    x: f64,
    label: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Meters(f32);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pair(i16, String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    tiny: i8,
    small: i16,
    int: i32,
    big: i64,
    byte: u8,
    word: u16,
    unsigned: u32,
    huge: u64,
    float: f32,
    double: f64,
    text: String,
    at: DateTime<Utc>,
    local: NaiveDateTime,
    day: NaiveDate,
    time: NaiveTime,
    id: Uuid,
    address: std::net::IpAddr,
    port: std::num::NonZeroU16,
    kind: Kind,
    #[serde(rename = "Länge")]
    length: Meters,
    pair: Pair,
    tuple: (i64, Option<bool>),
    point: Point,
    points: Vec<Point>,
    array: [u8; 3],
    set: BTreeSet<i64>,
    tags: BTreeMap<String, Option<i64>>,
    by_number: BTreeMap<i32, Vec<String>>,
    maybe_int: Option<i64>,
    maybe_text: Option<String>,
    maybe_at: Option<DateTime<Utc>>,
    maybe_kind: Option<Kind>,
    maybe_point: Option<Point>,
    maybe_points: Option<Vec<Option<Point>>>,
    maybe_tags: Option<HashMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<u32>,
    boxed: Box<i32>,
    #[serde(skip)]
    skipped: u8,
}

fn word(random: &mut SmallRng) -> String {
    const LETTERS: [char; 8] = ['a', 'é', '水', '🦀', '"', '\0', ' ', '\n'];
    (0..random.random_range(0..6)).map(|_| LETTERS[random.random_range(0..LETTERS.len())]).collect()
}

fn point(random: &mut SmallRng) -> Point {
    Point { x: random.random_range(-1e9..1e9), label: random.random_bool(0.5).then(|| word(random)) }
}

fn kind(random: &mut SmallRng) -> Kind {
    [Kind::Open, Kind::HalfOpen, Kind::Closed][random.random_range(0..3)].clone()
}

/// From years before Christ to years after 2200.
fn at(random: &mut SmallRng) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(random.random_range(-80_000_000_000_000_000..8_000_000_000_000_000))
        .unwrap()
}

fn many<T>(random: &mut SmallRng, make: impl Fn(&mut SmallRng) -> T) -> Vec<T> {
    (0..random.random_range(0..4)).map(|_| make(random)).collect()
}

fn maybe<T>(random: &mut SmallRng, make: impl Fn(&mut SmallRng) -> T) -> Option<T> {
    random.random_bool(0.6).then(|| make(random))
}

fn everything(random: &mut SmallRng) -> Everything {
    Everything {
        flag: random.random(),
        tiny: random.random(),
        small: random.random(),
        int: random.random(),
        big: random.random(),
        byte: random.random(),
        word: random.random(),
        unsigned: random.random(),
        huge: random.random(),
        float: random.random(),
        double: random.random(),
        text: word(random),
        at: at(random),
        local: at(random).naive_utc(),
        day: at(random).date_naive(),
        time: at(random).time(),
        id: Uuid::from_u128(random.random()),
        address: std::net::IpAddr::from(random.random::<[u8; 4]>()),
        port: std::num::NonZeroU16::new(random.random_range(1..=u16::MAX)).unwrap(),
        kind: kind(random),
        length: Meters(random.random()),
        pair: Pair(random.random(), word(random)),
        tuple: (random.random(), maybe(random, |r| r.random())),
        point: point(random),
        points: many(random, point),
        array: random.random(),
        set: many(random, |r| r.random()).into_iter().collect(),
        tags: many(random, |r| (word(r), maybe(r, |r| r.random()))).into_iter().collect(),
        by_number: many(random, |r| (r.random(), many(r, word))).into_iter().collect(),
        maybe_int: maybe(random, |r| r.random()),
        maybe_text: maybe(random, word),
        maybe_at: maybe(random, at),
        maybe_kind: maybe(random, kind),
        maybe_point: maybe(random, point),
        maybe_points: maybe(random, |r| many(r, |r| maybe(r, point))),
        maybe_tags: maybe(random, |r| many(r, |r| (word(r), word(r))).into_iter().collect()),
        left_out: maybe(random, |r| r.random()),
        boxed: Box::new(random.random()),
        skipped: 0,
    }
}

#[test]
fn random_rows_of_every_type_come_back() {
    let mut random = SmallRng::seed_from_u64(7);
    let codec = RowCodec::<Everything>::try_new().unwrap();
    for _ in 0..40 {
        let rows: Vec<_> = (0..random.random_range(0..20)).map(|_| everything(&mut random)).collect();
        let batch = codec.encode(&rows).unwrap();
        assert_eq!(batch.schema(), *codec.schema());
        assert_eq!(batch.num_rows(), rows.len());
        assert_eq!(codec.decode(&batch).unwrap(), rows);
    }
}

fn types<T: Row>() -> Vec<(String, DataType, bool)> {
    let codec = RowCodec::<T>::try_new().unwrap();
    let fields = codec.schema().fields().iter();
    fields.map(|f| (f.name().clone(), f.data_type().clone(), f.is_nullable())).collect()
}

#[test]
fn columns_follow_from_the_type() {
    let micros = TimeUnit::Microsecond;
    let all = types::<Everything>();
    let find =
        |name: &str| all.iter().find(|(n, _, _)| n == name).map(|(_, t, nullable)| (t.clone(), *nullable));
    assert_eq!(find("at"), Some((DataType::Timestamp(micros, Some("UTC".into())), false)));
    assert_eq!(find("local"), Some((DataType::Timestamp(micros, None), false)));
    assert_eq!(find("day"), Some((DataType::Date32, false)));
    assert_eq!(find("time"), Some((DataType::Time64(micros), false)));
    assert_eq!(find("kind"), Some((DataType::Utf8, false)));
    assert_eq!(find("Länge"), Some((DataType::Float32, false)));
    assert_eq!(
        find("array"),
        Some((DataType::List(Arc::new(Field::new("item", DataType::UInt8, false))), false))
    );
    assert_eq!(find("maybe_at").map(|(_, nullable)| nullable), Some(true));
    assert_eq!(find("skipped"), None);
    // What is NULL has fields that are NULL.
    let point = Fields::from(vec![
        Field::new("x", DataType::Float64, true),
        Field::new("label", DataType::Utf8, true),
    ]);
    assert_eq!(find("maybe_point"), Some((DataType::Struct(point), true)));
}

#[test]
fn scalars_are_one_column_and_tuples_are_numbered() {
    let value = |data_type, nullable| vec![("value".to_string(), data_type, nullable)];
    assert_eq!(types::<i64>(), value(DataType::Int64, false));
    assert_eq!(types::<Option<String>>(), value(DataType::Utf8, true));
    assert_eq!(types::<Kind>(), value(DataType::Utf8, false));
    assert_eq!(types::<Meters>(), value(DataType::Float32, false));
    let pair = [("_1".to_string(), DataType::Int16, false), ("_2".to_string(), DataType::Utf8, false)];
    assert_eq!(types::<(i16, String)>(), pair);
    assert_eq!(types::<Pair>(), pair);
    round_trip(&[1_i64, -5]);
    round_trip(&[Some("a".to_string()), None]);
    round_trip(&[Kind::HalfOpen, Kind::Open]);
    round_trip(&[Meters(1.5)]);
    round_trip(&[(3_i16, "水".to_string())]);
    round_trip(&[Pair(3, "b".to_string())]);
    round_trip(&[vec![1_u8], vec![]]);
    round_trip(&[Some(Point { x: 1.0, label: None }), None]);
    round_trip(&[BTreeMap::from([("k".to_string(), (1_i64, true))])]);
    round_trip::<String>(&[]);
    round_trip::<Point>(&[]);
}

fn round_trip<T: Row + PartialEq + std::fmt::Debug>(rows: &[T]) {
    let codec = RowCodec::<T>::try_new().unwrap();
    assert_eq!(codec.decode(&codec.encode(rows).unwrap()).unwrap(), rows);
}

#[test]
fn nanoseconds_are_cut_to_microseconds() {
    let codec = RowCodec::<DateTime<Utc>>::try_new().unwrap();
    let fine = DateTime::from_timestamp_nanos(1_234_567);
    let back = codec.decode(&codec.encode(&[fine]).unwrap()).unwrap();
    assert_eq!(back, [DateTime::from_timestamp_micros(1_234).unwrap()]);
}

fn refusal<T: Row>() -> String {
    let error = RowCodec::<T>::try_new().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    error.message().to_string()
}

#[derive(Debug, Serialize, Deserialize)]
struct Tree {
    children: Vec<Tree>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Shape {
    Dot,
    Circle { radius: f64 },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    A { x: i64 },
}

#[derive(Debug, Serialize, Deserialize)]
struct Holds<T> {
    outer: Inner<T>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Inner<T> {
    wanted: i64,
    given: T,
}

#[derive(Debug, Serialize, Deserialize)]
struct Flat {
    id: i64,
    #[serde(flatten)]
    point: Point,
}

#[derive(Debug, Serialize, Deserialize)]
struct Alias {
    #[serde(alias = "b")]
    a: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Empty {}

#[derive(Debug, Serialize)]
struct Picky(String);

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() == 2 { Ok(Self(text)) } else { Err(serde::de::Error::custom("not a country")) }
    }
}

#[test]
fn types_without_columns_are_refused_naming_the_field() {
    let table = [
        (refusal::<Holds<char>>(), "char has no Arrow type, unlike String: field=`outer.given`"),
        (refusal::<Holds<u128>>(), "u128 has no Arrow type: field=`outer.given`"),
        (
            refusal::<Holds<serde_json::Value>>(),
            "untagged or internally tagged enum) has no Arrow type: field=`outer.given`",
        ),
        (
            refusal::<Holds<Shape>>(),
            "variants hold values has no Arrow type, `Shape::Circle`: field=`outer.given`",
        ),
        (refusal::<Holds<Tagged>>(), "has no Arrow type: field=`outer.given`"),
        (
            refusal::<Holds<Vec<Option<Option<i64>>>>>(),
            "an option of an option has no Arrow type: field=`outer.given.[]`",
        ),
        (refusal::<Holds<()>>(), "a type without a value has no Arrow type: field=`outer.given`"),
        (
            refusal::<Holds<BTreeMap<(i64, i64), i64>>>(),
            "a key of a map is neither a text nor a number: field=`outer.given`",
        ),
        (refusal::<Tree>(), "nested more than 32 deep, or in itself: field=`children`"),
        (refusal::<Flat>(), "#[serde(flatten)] hides which fields there are: the row itself"),
        (refusal::<Alias>(), "a field has two names: field=`a`; leave out #[serde(alias)]"),
        (refusal::<Empty>(), "a struct without fields has no Arrow type: the row itself"),
        (refusal::<Holds<Picky>>(), "not a country"),
    ];
    for (message, expected) in table {
        assert!(message.contains(expected), "{message}");
        assert!(message.starts_with("rows of this type cannot be columns, `acequia::"), "{message}");
    }
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> = columns.iter().map(|(n, a)| Field::new(*n, a.data_type().clone(), true)).collect();
    let columns = columns.into_iter().map(|(_, a)| a).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn points(columns: Vec<(&str, ArrayRef)>) -> acequia_core::Result<Vec<Point>> {
    RowCodec::<Point>::try_new().unwrap().decode(&batch(columns))
}

#[test]
fn columns_are_found_by_name_and_nearly_the_same_types_are_cast() {
    let expected = vec![Point { x: 3.0, label: Some("ä".to_string()) }];
    let labels: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["ä"])),
        Arc::new(StringViewArray::from(vec!["ä"])),
        Arc::new(LargeStringArray::from(vec!["ä"])),
        Arc::new(vec!["ä"].into_iter().collect::<DictionaryArray<Int32Type>>()),
    ];
    for label in labels {
        let more: ArrayRef = Arc::new(Int64Array::from(vec![9]));
        let x: ArrayRef = Arc::new(Int32Array::from(vec![3]));
        assert_eq!(points(vec![("label", label), ("more", more), ("x", x)]).unwrap(), expected);
    }
    let nothing = arrow::array::new_null_array(&DataType::Null, 1);
    let x: ArrayRef = Arc::new(Float64Array::from(vec![3.0]));
    assert_eq!(points(vec![("label", nothing), ("x", x)]).unwrap()[0].label, None);
}

#[test]
fn wrong_columns_are_named() {
    let label: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let error = points(vec![("label", Arc::clone(&label))]).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, "no such column: `x`; columns: label"));

    let error = points(vec![("label", Arc::clone(&label)), ("x", Arc::clone(&label))]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("column=`x` type=`Utf8` expected=`Float64`"), "{error}");

    let x: ArrayRef = Arc::new(Float64Array::from(vec![None]));
    let error = points(vec![("label", label), ("x", x)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(error.message(), "NULL in a column whose field is not an Option: column=`x`");

    let value: ArrayRef = Arc::new(Int64Array::from(vec![300]));
    let error = RowCodec::<u8>::try_new().unwrap().decode(&batch(vec![("value", value)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("column=`value`"), "{error}");

    let value: ArrayRef = Arc::new(Float64Array::from(vec![1.5]));
    let error = RowCodec::<i64>::try_new().unwrap().decode(&batch(vec![("value", value)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);

    let value: ArrayRef = Arc::new(StringArray::from(vec!["ajar"]));
    let error = RowCodec::<Kind>::try_new().unwrap().decode(&batch(vec![("value", value)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("unknown variant `ajar`"), "{error}");
}

#[test]
fn null_inside_of_a_struct_is_an_error_not_a_default() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Outer {
        point: Point,
    }
    let inner = |nulls: Option<NullBuffer>, x: Option<f64>| -> ArrayRef {
        let fields = Fields::from(vec![
            Field::new("x", DataType::Float64, true),
            Field::new("label", DataType::Utf8, true),
        ]);
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Float64Array::from(vec![x])), Arc::new(StringArray::from(vec![None::<&str>]))];
        Arc::new(StructArray::new(fields, columns, nulls))
    };
    let codec = RowCodec::<Outer>::try_new().unwrap();
    let decode = |column: ArrayRef| codec.decode(&batch(vec![("point", column)]));
    assert_eq!(decode(inner(None, Some(2.0))).unwrap()[0].point.x, 2.0);
    for column in [inner(Some(NullBuffer::from(vec![false])), Some(2.0)), inner(None, None)] {
        let error = decode(column).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().contains("column=`point`"), "{error}");
    }
    let read = codec.encode(&[Outer { point: Point { x: 1.0, label: None } }]).unwrap();
    assert_eq!(read.column(0).as_struct().column(1).null_count(), 1);
}

#[derive(Debug, Serialize, Deserialize)]
struct Uneven {
    #[serde(skip_serializing)]
    read_only: i64,
    other: i64,
}

#[test]
fn a_row_that_does_not_write_what_it_reads_is_an_error() {
    let codec = RowCodec::<Uneven>::try_new().unwrap();
    let row = Uneven { read_only: 1, other: 2 };
    assert_eq!(row.read_only, 1);
    let error = codec.encode(&[row]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("read_only"), "{error}");
}
