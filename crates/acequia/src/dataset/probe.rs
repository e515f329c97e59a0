//! What Arrow type the values of a Rust type have, found by asking its `Deserialize` for one value.
//!
//! The probe plays a deserializer: it notes what the type asks for and answers with a sample, so that the type goes on
//! to its next field. Types that read themselves from text (times, UUIDs, addresses) accept only some texts; what they
//! say they expect chooses the sample, and for times the Arrow type too. An enum is asked for one variant at a time, so
//! there are as many passes as the longest enum has variants. Depth is bounded, which ends recursive types.

use acequia_core::{Error, Result};
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use std::fmt;
use std::sync::Arc;

/// Types nested deeper are taken for recursive.
const MAX_DEPTH: usize = 32;

/// How values of a type are stored.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) data_type: DataType,
    pub(super) nullable: bool,
}

/// The shape of values of the type.
///
/// # Errors
/// `Unsupported`, naming the field, for what has no Arrow type.
pub(super) fn probe<T: DeserializeOwned>() -> Result<Shape> {
    let mut variant = 0;
    loop {
        let mut pass = Pass { variant, most_variants: 1, path: Vec::new() };
        let mut shape = Shape::unknown();
        T::deserialize(Probe { pass: &mut pass, shape: &mut shape }).map_err(|refused| refused.error)?;
        variant += 1;
        if variant >= pass.most_variants {
            return Ok(shape);
        }
    }
}

/// The fields of a tuple, named as Spark names them.
pub(super) fn tuple_field(number: usize) -> String {
    format!("_{}", number + 1)
}

impl Shape {
    fn unknown() -> Self {
        Self { data_type: DataType::Null, nullable: false }
    }

    fn into_field(self, name: impl Into<String>) -> Field {
        Field::new(name, self.data_type, self.nullable)
    }
}

/// One walk through the type.
struct Pass {
    /// Which variant enums are asked for.
    variant: usize,
    most_variants: usize,
    path: Vec<String>,
}

impl Pass {
    fn refuse(&self, what: impl fmt::Display) -> Refused {
        let place = match self.path.is_empty() {
            true => "the row itself".to_string(),
            false => format!("field=`{}`", self.path.join(".")),
        };
        Refused { error: Error::unsupported(format!("{what}: {place}")) }
    }
}

type Probed<T> = std::result::Result<T, Refused>;

/// Why a type has no Arrow type, as an error of serde.
#[derive(Debug)]
struct Refused {
    error: Error,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Refused {}

impl serde::de::Error for Refused {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self {
            error: Error::unsupported(format!("a type of the row does not take a sample value: {message}")),
        }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self {
            error: Error::unsupported(format!(
                "a field has two names: field=`{field}`; leave out #[serde(alias)]"
            )),
        }
    }
}

/// What a visitor says it expects.
fn expected<'de, V: Visitor<'de>>(visitor: &V) -> String {
    struct Expects<'a, V>(&'a V);
    impl<'de, V: Visitor<'de>> fmt::Display for Expects<'_, V> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.expecting(f)
        }
    }
    Expects(visitor).to_string()
}

/// What part of an expectation says which texts are taken, with a sample and how they are stored. The first that
/// matches counts. The wording is that of chrono, uuid and serde.
fn text(expecting: &str) -> (&'static str, DataType) {
    let micros = TimeUnit::Microsecond;
    let utc = || Some("UTC".into());
    let known: [(&str, &str, DataType); 12] = [
        ("RFC 3339 formatted date and time", "2000-01-01T00:00:00Z", DataType::Timestamp(micros, utc())),
        ("formatted date and time", "2000-01-01T00:00:00", DataType::Timestamp(micros, None)),
        ("formatted date", "2000-01-01", DataType::Date32),
        ("formatted time", "00:00:00", DataType::Time64(micros)),
        ("UUID", "00000000-0000-0000-0000-000000000000", DataType::Utf8),
        ("IPv6 socket address", "[::1]:1", DataType::Utf8),
        ("socket address", "127.0.0.1:1", DataType::Utf8),
        ("IPv6 address", "::1", DataType::Utf8),
        ("IP address", "127.0.0.1", DataType::Utf8),
        ("IPv4 address", "127.0.0.1", DataType::Utf8),
        ("URL", "http://localhost/", DataType::Utf8),
        ("Weekday", "Mon", DataType::Utf8),
    ];
    let found = known.into_iter().find(|(part, _, _)| expecting.contains(part));
    found.map_or(("", DataType::Utf8), |(_, sample, data_type)| (sample, data_type))
}

/// A value in the making.
struct Probe<'p> {
    pass: &'p mut Pass,
    shape: &'p mut Shape,
}

impl Probe<'_> {
    fn is(self, data_type: DataType) -> Probed<()> {
        self.shape.data_type = data_type;
        Ok(())
    }

    fn refuse<T>(self, what: impl fmt::Display) -> Probed<T> {
        Err(self.pass.refuse(what))
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Probed<V::Value> {
        let expecting = expected(&visitor);
        let (sample, data_type) = text(&expecting);
        let value = visitor.visit_str::<Refused>(sample);
        let place = self.pass.refuse(format!("a text of a kind that is not known here, {expecting}"));
        self.is(data_type)?;
        value.map_err(|_| place)
    }
}

macro_rules! scalars {
    ($($method:ident, $visit:ident, $sample:expr, $data_type:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Probed<V::Value> {
            self.is(DataType::$data_type)?;
            visitor.$visit($sample)
        })*
    };
}

macro_rules! refused {
    ($($method:ident, $what:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, _visitor: V) -> Probed<V::Value> {
            self.refuse($what)
        })*
    };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Refused;

    // 1 rather than 0, for numbers that must not be zero.
    scalars! {
        deserialize_bool, visit_bool, true, Boolean;
        deserialize_i8, visit_i8, 1, Int8;
        deserialize_i16, visit_i16, 1, Int16;
        deserialize_i32, visit_i32, 1, Int32;
        deserialize_i64, visit_i64, 1, Int64;
        deserialize_u8, visit_u8, 1, UInt8;
        deserialize_u16, visit_u16, 1, UInt16;
        deserialize_u32, visit_u32, 1, UInt32;
        deserialize_u64, visit_u64, 1, UInt64;
        deserialize_f32, visit_f32, 1.0, Float32;
        deserialize_f64, visit_f64, 1.0, Float64;
        deserialize_bytes, visit_bytes, &[], Binary;
        deserialize_byte_buf, visit_byte_buf, Vec::new(), Binary;
    }

    refused! {
        deserialize_char, "char has no Arrow type, unlike String";
        deserialize_i128, "i128 has no Arrow type";
        deserialize_u128, "u128 has no Arrow type";
        deserialize_any, "a type that only its values tell (as serde_json::Value, or an untagged or internally tagged enum) has no Arrow type";
        deserialize_ignored_any, "a type that only its values tell has no Arrow type";
        deserialize_identifier, "a type that only its values tell has no Arrow type";
        deserialize_unit, "a type without a value has no Arrow type";
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Probed<V::Value> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Probed<V::Value> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Probed<V::Value> {
        if std::mem::replace(&mut self.shape.nullable, true) {
            return self.refuse("an option of an option has no Arrow type");
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Probed<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Probed<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Probed<V::Value> {
        let mut item = Elements { pass: self.pass, shapes: Vec::new(), left: 1, step: |_| "[]".to_string() };
        let value = visitor.visit_seq(&mut item)?;
        let item = item.shapes.pop().unwrap_or_else(Shape::unknown);
        self.shape.data_type = list_of(item);
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Probed<V::Value> {
        let array = expected(&visitor).contains("array");
        let mut items = Elements { pass: self.pass, shapes: Vec::new(), left: len, step: tuple_field };
        let value = visitor.visit_seq(&mut items)?;
        let mut shapes = items.shapes;
        self.shape.data_type = match (array, shapes.is_empty()) {
            (_, true) => return Err(items.pass.refuse("a type without a value has no Arrow type")),
            (true, false) => list_of(shapes.swap_remove(0)),
            (false, false) => {
                let fields = shapes.into_iter().enumerate();
                DataType::Struct(fields.map(|(i, shape)| shape.into_field(tuple_field(i))).collect())
            }
        };
        Ok(value)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Probed<V::Value> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Probed<V::Value> {
        if expected(&visitor).starts_with("struct ") {
            return self.refuse("#[serde(flatten)] hides which fields there are");
        }
        let mut entry = Entry { pass: self.pass, key: None, value: Shape::unknown() };
        let visited = visitor.visit_map(&mut entry)?;
        let key = entry.key.unwrap_or_else(Shape::unknown);
        if key.nullable || key.data_type.is_nested() {
            return Err(entry.pass.refuse("a key of a map is neither a text nor a number"));
        }
        let fields = vec![key.into_field("key"), entry.value.into_field("value")];
        let entries = Field::new("entries", DataType::Struct(Fields::from(fields)), false);
        self.shape.data_type = DataType::Map(Arc::new(entries), false);
        Ok(visited)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Probed<V::Value> {
        if names.is_empty() {
            return self.refuse("a struct without fields has no Arrow type");
        }
        let mut members = Members { pass: self.pass, names, fields: Vec::new() };
        let value = visitor.visit_map(&mut members)?;
        self.shape.data_type = DataType::Struct(Fields::from(members.fields));
        Ok(value)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Probed<V::Value> {
        self.pass.most_variants = self.pass.most_variants.max(variants.len());
        let Some(variant) = variants.get(self.pass.variant).or(variants.last()) else {
            return self.refuse("an enum without variants has no Arrow type");
        };
        self.shape.data_type = DataType::Utf8;
        visitor.visit_enum(Variant { pass: self.pass, name, variant })
    }
}

fn list_of(item: Shape) -> DataType {
    DataType::List(Arc::new(item.into_field("item")))
}

/// One level down, under this name.
fn nested<'de, S: DeserializeSeed<'de>>(
    pass: &mut Pass,
    step: String,
    shape: &mut Shape,
    seed: S,
) -> Probed<S::Value> {
    pass.path.push(step);
    if pass.path.len() > MAX_DEPTH {
        pass.path.truncate(1);
        return Err(pass.refuse(format!("a type is nested more than {MAX_DEPTH} deep, or in itself")));
    }
    let value = seed.deserialize(Probe { pass, shape })?;
    pass.path.pop();
    Ok(value)
}

/// The elements of a list (one will do) or tuple.
struct Elements<'p> {
    pass: &'p mut Pass,
    shapes: Vec<Shape>,
    left: usize,
    step: fn(usize) -> String,
}

impl<'de> SeqAccess<'de> for &mut Elements<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Probed<Option<S::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut shape = Shape::unknown();
        let value = nested(self.pass, (self.step)(self.shapes.len()), &mut shape, seed)?;
        self.shapes.push(shape);
        Ok(Some(value))
    }
}

/// The one entry of a map.
struct Entry<'p> {
    pass: &'p mut Pass,
    key: Option<Shape>,
    value: Shape,
}

impl<'de> MapAccess<'de> for &mut Entry<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Probed<Option<S::Value>> {
        if self.key.is_some() {
            return Ok(None);
        }
        let key = self.key.insert(Shape::unknown());
        nested(self.pass, "key".to_string(), key, seed).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Probed<S::Value> {
        nested(self.pass, "value".to_string(), &mut self.value, seed)
    }
}

/// The fields of a struct.
struct Members<'p> {
    pass: &'p mut Pass,
    names: &'static [&'static str],
    fields: Vec<Field>,
}

impl<'de> MapAccess<'de> for &mut Members<'_> {
    type Error = Refused;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Probed<Option<S::Value>> {
        let Some(name) = self.names.get(self.fields.len()) else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Probed<S::Value> {
        let name = self.names.get(self.fields.len()).copied().unwrap_or_default();
        let mut shape = Shape::unknown();
        let value = nested(self.pass, name.to_string(), &mut shape, seed)?;
        self.fields.push(shape.into_field(name));
        Ok(value)
    }
}

/// A variant of an enum, which must not hold anything.
struct Variant<'p> {
    pass: &'p mut Pass,
    name: &'static str,
    variant: &'static str,
}

impl Variant<'_> {
    fn holds<T>(self) -> Probed<T> {
        let (name, variant) = (self.name, self.variant);
        Err(self
            .pass
            .refuse(format!("an enum whose variants hold values has no Arrow type, `{name}::{variant}`")))
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Probed<(S::Value, Self)> {
        let value = seed.deserialize(StrDeserializer::<Refused>::new(self.variant))?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Probed<()> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _seed: S) -> Probed<S::Value> {
        self.holds()
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Probed<V::Value> {
        self.holds()
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Probed<V::Value> {
        self.holds()
    }
}
