//! Rust values as rows of Arrow columns and back: [`RowCodec`].
//!
//! The columns follow from the type alone ([`super::probe`]); the values are moved by `serde_arrow`. Columns of nearly
//! the same type (Utf8View for Utf8, Int32 for Int64) are cast on the way back, as far as Spark casts by itself: an
//! integer may become a float, which rounds those above 2^53, and a time is cut to microseconds, but to no coarser unit; a
//! float is cut neither to an integer nor to a shorter one, and no text is parsed.

use super::guard::without_panic;
use super::probe::probe;
use acequia_core::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// The name of the column of rows that are not structs.
pub(super) const VALUE: &str = "value";

/// What can be a row: any type of one's own that serde writes and reads.
///
/// | Rust | Arrow |
/// |---|---|
/// | `bool`, integers up to 64 bits, floats | the same |
/// | `String`, enums whose variants hold nothing, `Uuid`, addresses | Utf8 |
/// | `chrono::DateTime` | Timestamp of microseconds in UTC |
/// | `chrono::NaiveDateTime` | Timestamp of microseconds |
/// | `chrono::NaiveDate`, `NaiveTime` | Date32, Time64 of microseconds |
/// | `Option` | nullable |
/// | `Vec`, sets, arrays | List |
/// | maps whose keys are texts or numbers | Map |
/// | structs, and tuples with fields `_1`, `_2`, ... | Struct |
///
/// `#[serde(rename)]`, `rename_all`, `skip` and `skip_serializing_if` of an option do what they say. `flatten`, `alias`,
/// `tag`, `untagged` and enums that hold values are refused, since the columns would not follow from the type.
pub trait Row: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Row for T {}

/// Turns values of one type into rows and back.
///
/// A struct's fields are the columns, a tuple's are `_1`, `_2`, ...; any other type is one column, `value`.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Reading {
///     sensor: String,
///     celsius: Option<f64>,
/// }
///
/// let codec = acequia::RowCodec::<Reading>::try_new()?;
/// let readings = vec![Reading { sensor: "roof".into(), celsius: Some(21.5) }];
/// let batch = codec.encode(&readings)?;
/// assert_eq!(batch.schema().field(0).name(), "sensor");
/// assert_eq!(codec.decode(&batch)?, readings);
/// # Ok::<(), acequia::Error>(())
/// ```
pub struct RowCodec<T> {
    schema: SchemaRef,
    /// Whether a value is not a row by itself, but the one column of it.
    single: bool,
    rows: PhantomData<fn() -> T>,
}

impl<T> Clone for RowCodec<T> {
    fn clone(&self) -> Self {
        Self { schema: Arc::clone(&self.schema), single: self.single, rows: PhantomData }
    }
}

impl<T> fmt::Debug for RowCodec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowCodec").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// A row of one column.
#[derive(Serialize, Deserialize)]
struct Single<T> {
    value: T,
}

impl<T: Row> RowCodec<T> {
    /// The codec of the type.
    ///
    /// # Errors
    /// `Unsupported`, naming the field, for a type that has no columns (see [`Row`]).
    pub fn try_new() -> Result<Self> {
        let shape = probe::<T>().map_err(|e| {
            e.context(format!("rows of this type cannot be columns, `{}`", std::any::type_name::<T>()))
        })?;
        let (fields, single) = match shape.data_type {
            DataType::Struct(fields) if !shape.nullable => (fields, false),
            data_type => (Fields::from(vec![Field::new(VALUE, data_type, shape.nullable)]), true),
        };
        let fields: Fields = fields.iter().map(below_nullable).collect();
        Ok(Self { schema: Arc::new(Schema::new(fields)), single, rows: PhantomData })
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The values as rows.
    ///
    /// # Errors
    /// `Data`, naming the field, when a value does not write itself as its type reads.
    pub fn encode(&self, values: &[T]) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), self.columns(values)?)?)
    }

    /// The columns of these values, or of references to them.
    pub(super) fn columns<V: Serialize>(&self, values: &[V]) -> Result<Vec<ArrayRef>> {
        let fields = self.schema.fields();
        let columns = without_panic("a row was written as columns", || {
            Ok(match self.single {
                false => serde_arrow::to_arrow(fields, values),
                true => {
                    let values: Vec<_> = values.iter().map(|value| Single { value }).collect();
                    serde_arrow::to_arrow(fields, &values)
                }
            })
        });
        columns?.map_err(|e| broken("a row cannot be written as columns", &e))
    }

    /// Whether a value is the one column of its row.
    pub(super) fn is_single(&self) -> bool {
        self.single
    }

    /// The type of a column that holds whole values, a struct unless they are one column each.
    pub(super) fn data_type(&self) -> DataType {
        match self.single {
            true => self.schema.field(0).data_type().clone(),
            false => DataType::Struct(self.schema.fields().clone()),
        }
    }

    /// Values as one column.
    pub(super) fn array<V: Serialize>(&self, values: &[V]) -> Result<ArrayRef> {
        let mut columns = self.columns(values)?;
        Ok(match self.single {
            true => columns.swap_remove(0),
            false => Arc::new(StructArray::try_new(self.schema.fields().clone(), columns, None)?),
        })
    }

    /// The values in one column.
    pub(super) fn values(&self, column: &ArrayRef) -> Result<Vec<T>> {
        let batch = match (self.single, column.as_struct_opt()) {
            (false, Some(rows)) if rows.null_count() == 0 => RecordBatch::from(rows),
            (false, Some(_)) => return Err(Error::data("NULL where a struct is expected")),
            (false, None) => return Err(Error::internal("a row is no struct")),
            (true, _) => {
                let field = Field::new(VALUE, column.data_type().clone(), true);
                RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::clone(column)])?
            }
        };
        self.decode(&batch)
    }

    /// Rows as values: the columns of [`RowCodec::schema`] by name, whatever others there are.
    ///
    /// # Errors
    /// `Invalid`, naming the column, when one is missing or of another type; `Data` for NULL where the type has no
    /// option, and for values out of the type's range.
    pub fn decode(&self, batch: &RecordBatch) -> Result<Vec<T>> {
        let columns =
            self.schema.fields().iter().map(|field| column(batch, field)).collect::<Result<Vec<_>>>()?;
        let fields = self.schema.fields();
        let values = without_panic("a row was read from columns", || {
            Ok(match self.single {
                false => serde_arrow::from_arrow(fields, &columns),
                true => serde_arrow::from_arrow::<Vec<Single<T>>, _>(fields, &columns)
                    .map(|rows| rows.into_iter().map(|row| row.value).collect()),
            })
        });
        values?.map_err(|e| broken("rows cannot be read as values", &e))
    }
}

/// The field, with everything below something nullable nullable too: the fields of a struct that is NULL are NULL.
fn below_nullable(field: &FieldRef) -> FieldRef {
    let below = |child: &FieldRef| {
        let nullable = field.is_nullable() || child.is_nullable();
        below_nullable(&Arc::new(child.as_ref().clone().with_nullable(nullable)))
    };
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(below).collect()),
        DataType::List(item) => DataType::List(below_nullable(item)),
        other => other.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// An error of serde_arrow: its message, with the field it is about.
fn broken(what: &str, error: &serde_arrow::Error) -> Error {
    let text = error.to_string();
    let text = text.strip_prefix("Error: ").unwrap_or(&text);
    Error::data(format!("{what}: {text}"))
}

/// The column of this name, in the field's type.
fn column(batch: &RecordBatch, field: &FieldRef) -> Result<ArrayRef> {
    let name = field.name();
    let Some(given) = batch.column_by_name(name) else {
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        return Err(Error::invalid(format!("no such column: `{name}`; columns: {}", names.join(", "))));
    };
    let (from, to) = (given.data_type(), field.data_type());
    if !keeps_values(from, to) {
        return Err(Error::invalid(format!(
            "a column is not of the type that the rows have: column=`{name}` type=`{from}` expected=`{to}`; cast it"
        )));
    }
    if !field.is_nullable() && given.logical_null_count() > 0 {
        return Err(Error::data(format!("NULL in a column whose field is not an Option: column=`{name}`")));
    }
    if from == to {
        return Ok(Arc::clone(given));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(given, to, &strict)
        .map_err(|e| Error::data(format!("a column does not fit the type of the rows: column=`{name}`: {e}")))
}

/// Whether values keep their meaning from one type to the other, those that fit.
pub(super) fn keeps_values(from: &DataType, to: &DataType) -> bool {
    use DataType as D;
    if from == to || from.is_null() {
        return true;
    }
    match (from, to) {
        (D::Dictionary(_, from), _) => keeps_values(from, to),
        (from, to) if from.is_string() => to.is_string(),
        (from, to) if from.is_integer() => to.is_integer() || to.is_floating(),
        (from, to) if from.is_floating() => {
            to.is_floating() && from.primitive_width() <= to.primitive_width()
        }
        (D::Timestamp(from, _), D::Timestamp(to, _))
        | (D::Time32(from) | D::Time64(from), D::Time32(to) | D::Time64(to)) => {
            from <= to || *to == TimeUnit::Microsecond
        }
        (D::Date32, D::Date64) => true,
        (D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_), D::Binary) => true,
        (D::List(from) | D::LargeList(from) | D::FixedSizeList(from, _) | D::ListView(from), D::List(to)) => {
            keeps_values(from.data_type(), to.data_type())
        }
        (D::Map(from, _), D::Map(to, _)) => match (from.data_type(), to.data_type()) {
            (D::Struct(from), D::Struct(to)) if from.len() == to.len() => {
                from.iter().zip(to).all(|(from, to)| keeps_values(from.data_type(), to.data_type()))
            }
            _ => false,
        },
        (D::Struct(from), D::Struct(to)) => to.iter().all(|to| {
            let found = from.iter().find(|from| from.name() == to.name());
            found.is_some_and(|from| keeps_values(from.data_type(), to.data_type()))
        }),
        _ => false,
    }
}
