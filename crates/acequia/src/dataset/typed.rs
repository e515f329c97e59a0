//! [`Dataset`]: a stream of values of a Rust type, with the words of functional programming.
//!
//! ```text
//! columns of T | `__event_time`, if the rows have one       <- what the frame below a Dataset has
//! map, flat_map, filter    a function over one struct column, its result taken apart again
//! reduce and the like      an aggregate like any other, whose state is a value
//! ```
//! The event time goes along whatever the values become, so that windows can be made at any place.

use super::columns::{column_of, nullable_type, row_of};
use super::guard::without_panic;
use super::reduce::reduce;
use super::rows::{Row, RowCodec, VALUE};
use super::windowed::Windowed;
use crate::error::from_planning;
use crate::functions::{RowFunction, TimeRole, event_time_columns};
use crate::session::expressions::{sliding_window, window};
use crate::session::{DataFrame, DataStreamWriter};
use acequia_core::Result;
use arrow::array::{ArrayRef, BooleanArray, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use datafusion::common::Column;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, LogicalPlan, lit};
use datafusion::prelude::ident;
use std::fmt;
use std::sync::Arc;

/// The column that carries the event time.
pub(super) const TIME: &str = "__event_time";
/// The column of values that a function has given.
const ROW: &str = "__row";

/// The rows of a stream or table as values of type `T`.
///
/// The functions given to its methods depend on nothing but their arguments: they may be called in any order, again
/// after a restart, and on several threads. One that panics fails the query.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> acequia::Result<()> {
/// use acequia::prelude::*;
///
/// let session = Session::new()?;
/// let (lines, text) = session.memory_stream::<String>("lines").await?;
/// let counts = text
///     .flat_map(|line| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())?
///     .map(|word| (word, 1_u64))?
///     .reduce_by_key(|a, b| a + b)?;
/// let query = counts.into_frame()?.write_stream().output_mode(OutputMode::Complete).to_table("counts").await?;
/// lines.append(&["the owl".into(), "The mouse".into()])?;
/// query.process_all_available().await?;
/// let counts = session.table("counts").await?.as_dataset::<(String, u64)>()?.collect().await?;
/// assert!(counts.contains(&("the".to_string(), 2)));
/// # Ok(())
/// # }
/// ```
pub struct Dataset<T> {
    frame: DataFrame,
    codec: RowCodec<T>,
    timed: bool,
}

impl<T> Clone for Dataset<T> {
    fn clone(&self) -> Self {
        Self { frame: self.frame.clone(), codec: self.codec.clone(), timed: self.timed }
    }
}

impl<T> fmt::Debug for Dataset<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset").field("frame", &self.frame).finish_non_exhaustive()
    }
}

impl DataFrame {
    /// The rows as values: each field of `T` is the column of its name (see [`Row`]), whatever others there are.
    ///
    /// # Errors
    /// `Invalid` naming a column that is missing or of another type; `Unsupported` for a type that has no columns.
    pub fn as_dataset<T: Row>(self) -> Result<Dataset<T>> {
        let codec = RowCodec::<T>::try_new()?;
        let plan = self.logical_plan();
        let column = |field: &Arc<Field>| Ok(column_of(plan, field.name(), field)?.alias(field.name()));
        let mut columns = codec.schema().fields().iter().map(column).collect::<Result<Vec<_>>>()?;
        let time = own_time(plan)?;
        let timed = time.is_some();
        columns.extend(time.map(|time| time.alias(TIME)));
        Ok(Dataset { frame: self.select(columns)?, codec, timed })
    }
}

/// The only event time of a plan.
fn own_time(plan: &LogicalPlan) -> Result<Option<Expr>> {
    let times = event_time_columns(plan, &|_| true).map_err(from_planning)?;
    let is_own = |index: &usize| times[*index].as_ref().is_some_and(|time| time.role == TimeRole::EventTime);
    let own: Vec<usize> = (0..times.len()).filter(is_own).collect();
    Ok(match own[..] {
        [index] => Some(Expr::Column(Column::from(plan.schema().qualified_field(index)))),
        _ => None,
    })
}

impl<T: Row> Dataset<T> {
    /// Each value as another one.
    ///
    /// # Errors
    /// `Unsupported` for a type that has no columns.
    pub fn map<U: Row>(self, f: impl Fn(T) -> U + Send + Sync + 'static) -> Result<Dataset<U>> {
        let codec = RowCodec::<U>::try_new()?;
        let (given, data_type) = (codec.clone(), nullable_type(&codec.data_type()));
        let mapped = self.call("map", data_type, move |rows| {
            let values =
                without_panic("values were mapped", || Ok(rows.into_iter().map(&f).collect::<Vec<U>>()))?;
            given.array(&values)
        })?;
        let timed = self.timed;
        let frame = self.with_row(mapped)?;
        Dataset::unpacked(frame, codec, timed)
    }

    /// Each value as any number of others.
    ///
    /// # Errors
    /// As [`Dataset::map`].
    pub fn flat_map<U: Row, I: IntoIterator<Item = U>>(
        self,
        f: impl Fn(T) -> I + Send + Sync + 'static,
    ) -> Result<Dataset<U>> {
        let codec = RowCodec::<U>::try_new()?;
        let (given, item) = (codec.clone(), nullable_type(&codec.data_type()));
        let item = Arc::new(Field::new_list_field(item, true));
        let data_type = DataType::List(Arc::clone(&item));
        let mapped = self.call("flat_map", data_type, move |rows| {
            let (mut values, mut lengths) = (vec![], Vec::with_capacity(rows.len()));
            without_panic("values were mapped", || {
                for row in rows {
                    let before = values.len();
                    values.extend(f(row));
                    lengths.push(values.len() - before);
                }
                Ok(())
            })?;
            let values = arrow::compute::cast(&given.array::<U>(&values)?, item.data_type())?;
            let lists =
                ListArray::try_new(Arc::clone(&item), OffsetBuffer::from_lengths(lengths), values, None)?;
            Ok(Arc::new(lists) as ArrayRef)
        })?;
        let timed = self.timed;
        let frame = self.with_row(mapped)?.explode(ROW)?;
        Dataset::unpacked(frame, codec, timed)
    }

    /// The values for which the function is true.
    ///
    /// # Errors
    /// `Internal` when DataFusion refuses the plan.
    pub fn filter(self, f: impl Fn(&T) -> bool + Send + Sync + 'static) -> Result<Self> {
        let passes = self.call("filter", DataType::Boolean, move |rows| {
            let passes = || Ok(rows.iter().map(|row| Some(f(row))).collect::<BooleanArray>());
            Ok(Arc::new(without_panic("values were filtered", passes)?) as ArrayRef)
        })?;
        // Computed below the filter: conditions of filters that follow each other are computed together.
        let time = self.timed.then(|| ident(TIME));
        let columns: Vec<Expr> = self.columns().into_iter().chain(time).collect();
        let judged = self.frame.select([columns.clone(), vec![passes.alias(ROW)]].concat())?;
        Ok(Self { frame: judged.filter(ident(ROW))?.select(columns)?, ..self })
    }

    /// One value: all of them, combined two at a time. The function is associative and commutative.
    ///
    /// # Errors
    /// As [`Dataset::filter`].
    pub fn reduce(self, f: impl Fn(T, T) -> T + Send + Sync + 'static) -> Result<Self> {
        let value = reduce(self.value()?, self.codec.clone(), f).alias(ROW);
        let frame = self.frame.agg(vec![value])?.filter(ident(ROW).is_not_null())?;
        Self::unpacked(frame, self.codec, false)
    }

    /// How many values there are.
    ///
    /// # Errors
    /// As [`Dataset::filter`].
    pub fn count(self) -> Result<Dataset<i64>> {
        self.frame.agg(vec![count(lit(1)).alias(VALUE)])?.as_dataset()
    }

    /// Each distinct value with how often it is there.
    ///
    /// # Errors
    /// As [`Dataset::filter`].
    pub fn count_by_value(self) -> Result<Dataset<(T, i64)>> {
        let value = self.value()?.alias("_1");
        self.frame.aggregate(vec![value], vec![count(lit(1)).alias("_2")])?.as_dataset()
    }

    /// Each distinct value, once.
    ///
    /// # Errors
    /// As [`Dataset::filter`].
    pub fn distinct(self) -> Result<Self> {
        let columns = self.columns();
        Ok(Self { frame: self.frame.select(columns)?.distinct()?, codec: self.codec, timed: false })
    }

    /// The values of both.
    ///
    /// # Errors
    /// As [`Dataset::filter`].
    pub fn union(self, other: Self) -> Result<Self> {
        let timed = self.timed && other.timed;
        let codec = self.codec.clone();
        let frame = match timed {
            true => self.frame.union(other.frame)?,
            false => self.into_frame()?.union(other.into_frame()?)?,
        };
        Ok(Self { frame, codec, timed })
    }

    /// What a function makes of the frame with the columns of `T`.
    ///
    /// # Errors
    /// The function's, and those of [`DataFrame::as_dataset`].
    pub fn transform<U: Row>(self, f: impl FnOnce(DataFrame) -> Result<DataFrame>) -> Result<Dataset<U>> {
        f(self.into_frame()?)?.as_dataset()
    }

    /// Marks a column as event time, its watermark staying `delay` (as `10 seconds`) behind the latest value.
    ///
    /// # Errors
    /// As [`DataFrame::with_watermark`].
    pub fn with_watermark(self, column: &str, delay: &str) -> Result<Self> {
        self.into_frame()?.with_watermark(column, delay)?.as_dataset()
    }

    /// The values in windows of this length by their event time, one after the other: [`Windowed`].
    ///
    /// # Errors
    /// `Invalid` when the values have no event time.
    pub fn window(self, size: &str) -> Result<Windowed<T>> {
        Windowed::new(self, window(ident(TIME), size))
    }

    /// The values in windows of this length, one beginning every `slide`.
    ///
    /// # Errors
    /// As [`Dataset::window`].
    pub fn sliding_window(self, size: &str, slide: &str) -> Result<Windowed<T>> {
        Windowed::new(self, sliding_window(ident(TIME), size, slide))
    }

    /// The columns of `T` as a frame.
    ///
    /// # Errors
    /// As [`Dataset::filter`].
    pub fn into_frame(self) -> Result<DataFrame> {
        let columns = self.columns();
        self.frame.select(columns)
    }

    /// Writes the values as a continuous query.
    ///
    /// # Errors
    /// As [`Dataset::filter`].
    pub fn write_stream(self) -> Result<DataStreamWriter> {
        Ok(self.into_frame()?.write_stream())
    }

    /// The values of a table.
    ///
    /// # Errors
    /// As [`DataFrame::collect`], and `Data` for NULL where `T` has no option.
    pub async fn collect(self) -> Result<Vec<T>> {
        let codec = self.codec.clone();
        let batches = self.into_frame()?.collect().await?;
        let values = batches.iter().map(|batch| codec.decode(batch)).collect::<Result<Vec<_>>>()?;
        Ok(values.into_iter().flatten().collect())
    }

    /// The values of a frame that has the columns of `T`, and [`TIME`] if they are timed.
    pub(super) fn of(frame: DataFrame, timed: bool) -> Result<Self> {
        Ok(Self { frame, codec: RowCodec::try_new()?, timed })
    }

    /// The frame below, with its column [`TIME`] if there is one.
    pub(super) fn into_timed_frame(self) -> DataFrame {
        self.frame
    }

    /// Whether there is one.
    pub(super) fn is_timed(&self) -> bool {
        self.timed
    }

    pub(super) fn codec(&self) -> &RowCodec<T> {
        &self.codec
    }

    /// The whole value as one column.
    pub(super) fn value(&self) -> Result<Expr> {
        match self.codec.is_single() {
            true => Ok(ident(VALUE)),
            false => row_of(self.frame.logical_plan(), self.codec.schema()),
        }
    }

    fn columns(&self) -> Vec<Expr> {
        self.codec.schema().fields().iter().map(|field| ident(field.name())).collect()
    }

    fn call(
        &self,
        name: &'static str,
        data_type: DataType,
        f: impl Fn(Vec<T>) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> Result<Expr> {
        let row = row_of(self.frame.logical_plan(), self.codec.schema())?;
        let codec = self.codec.clone();
        Ok(RowFunction::call(name, row, data_type, move |rows| f(codec.decode(rows)?)))
    }

    /// This expression and the event time.
    fn with_row(self, row: Expr) -> Result<DataFrame> {
        let time = self.timed.then(|| ident(TIME));
        self.frame.select([row.alias(ROW)].into_iter().chain(time).collect())
    }

    /// The values in the column [`ROW`], taken apart.
    pub(super) fn unpacked(frame: DataFrame, codec: RowCodec<T>, timed: bool) -> Result<Self> {
        let field = |field: &Arc<Field>| get_field(ident(ROW), field.name().as_str()).alias(field.name());
        let exprs: Vec<Expr> = match codec.is_single() {
            true => vec![ident(ROW).alias(VALUE)],
            false => codec.schema().fields().iter().map(field).collect(),
        };
        let time = timed.then(|| ident(TIME));
        let frame = frame.select(exprs.into_iter().chain(time).collect())?;
        Ok(Self { frame, codec, timed })
    }
}
