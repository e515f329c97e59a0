//! Rows grouped by key: `group_by_key`, and what can be done with the rows of a key.

use super::columns::{column_of, nullable_fields, row_of, struct_of};
use super::guard::without_panic;
use super::processor::{InitialState, StatefulProcessor, Typed};
use super::rows::{Row, RowCodec};
use super::typed::Dataset;
use crate::error::from_datafusion;
use crate::exec::{KeyedProcessor, TimeMode};
use crate::functions::{RowFunction, TimeRole, event_time_columns};
use crate::plan::{TransformWithState, is_streaming};
use crate::session::DataFrame;
use acequia_core::{Error, OutputMode, Result};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::prelude::DataFrame as BatchFrame;
use std::marker::PhantomData;
use std::sync::Arc;

/// The rows of a stream as values of type `T`, grouped by keys of type `K`.
#[derive(Debug, Clone)]
pub struct KeyValueGroups<K, T> {
    frame: DataFrame,
    /// The columns `key`, `row`, and `time` if there is an event time.
    keyed: LogicalPlan,
    timed: bool,
    /// The event-time column of what processors emit.
    emitted_time: Option<String>,
    of: PhantomData<fn() -> (K, T)>,
}

impl DataFrame {
    /// Groups rows by a key that is computed from each: the columns of this name are the fields of `T` (see [`Row`]).
    ///
    /// # Errors
    /// `Invalid` naming a column that is missing or of another type; `Unsupported` for types that have no columns.
    pub fn group_by_key<K: Row, T: Row>(
        self,
        key: impl Fn(&T) -> K + Send + Sync + 'static,
    ) -> Result<KeyValueGroups<K, T>> {
        let rows = RowCodec::<T>::try_new()?;
        let row = row_of(self.logical_plan(), rows.schema())?;
        let key = key_of(rows, key, row.clone())?;
        self.keyed(key, row)
    }

    /// Groups rows by columns: those of `K` in this order, and the fields of `T` by name.
    ///
    /// # Errors
    /// As [`DataFrame::group_by_key`], and `Invalid` when `K` has another number of columns.
    pub fn group_by_columns<K: Row, T: Row>(self, columns: &[&str]) -> Result<KeyValueGroups<K, T>> {
        let (rows, keys) = (RowCodec::<T>::try_new()?, RowCodec::<K>::try_new()?);
        let fields = keys.schema().fields();
        if fields.len() != columns.len() {
            return Err(Error::invalid(format!(
                "the key's type has another number of fields than columns are given: fields={} columns={}",
                fields.len(),
                columns.len()
            )));
        }
        let plan = self.logical_plan();
        let column =
            |(field, name): (&Arc<Field>, &&str)| Ok((field.name().clone(), column_of(plan, name, field)?));
        let columns = fields.iter().zip(columns).map(column).collect::<Result<Vec<_>>>()?;
        let key = match keys.data_type() {
            DataType::Struct(fields) if fields == *keys.schema().fields() => {
                struct_of(plan.schema(), columns, &fields)?
            }
            _ => columns
                .into_iter()
                .map(|(_, column)| column)
                .next()
                .ok_or_else(|| Error::internal("no key"))?,
        };
        let row = row_of(plan, rows.schema())?;
        self.keyed(key, row)
    }

    fn keyed<K, T>(self, key: Expr, row: Expr) -> Result<KeyValueGroups<K, T>> {
        let plan = self.logical_plan();
        if !is_streaming(plan) {
            return Err(Error::unsupported(
                "rows are handled with state on a stream only; a table has no batches",
            ));
        }
        let times = event_time_columns(plan, &|_| true).map_err(from_datafusion)?;
        let bounded = |role: bool| {
            times.iter().position(|time| {
                time.as_ref().is_some_and(|time| {
                    let plain = matches!(time.data_type, DataType::Timestamp(_, _) | DataType::Date32);
                    plain && !time.watermarks.is_empty() && (!role || time.role == TimeRole::EventTime)
                })
            })
        };
        let time = bounded(true).or_else(|| bounded(false));
        let time =
            time.map(|time| Expr::Column(Column::from(plan.schema().qualified_field(time))).alias("time"));
        let timed = time.is_some();
        let columns = [key.alias("key"), row.alias("row")].into_iter().chain(time);
        let keyed =
            LogicalPlanBuilder::from(plan.clone()).project(columns).and_then(LogicalPlanBuilder::build);
        let keyed = keyed.map_err(from_datafusion)?;
        Ok(KeyValueGroups { keyed, frame: self, timed, emitted_time: None, of: PhantomData })
    }
}

impl<T: Row> Dataset<T> {
    /// Groups the values by a key that is computed from each.
    ///
    /// # Errors
    /// As [`DataFrame::group_by_key`].
    pub fn group_by_key<K: Row>(
        self,
        key: impl Fn(&T) -> K + Send + Sync + 'static,
    ) -> Result<KeyValueGroups<K, T>> {
        self.into_timed_frame().group_by_key(key)
    }
}

impl<K: Row, T: Row> KeyValueGroups<K, T> {
    /// Makes a column of what a processor will emit its event time, for windows and other state above (Spark's
    /// `eventTimeColumnName`). The watermark is that of the input, so no row may be emitted below it: not before the
    /// time of the row or timer that is being handled.
    #[must_use]
    pub fn emitted_time(mut self, column: impl Into<String>) -> Self {
        self.emitted_time = Some(column.into());
        self
    }

    /// Hands the rows of each key to a processor with state. In `Append` mode what it emits is new; in `Update` mode it
    /// means a new version to the program that reads it, so that the query writes in that mode too and nothing above
    /// keeps state; the engine knows no key of it, and a table keeps every version.
    ///
    /// With [`TimeMode::EventTime`] rows below the watermark are late. The output has an event time by
    /// [`KeyValueGroups::emitted_time`] or, where the input has no watermark, by [`DataFrame::with_watermark`].
    ///
    /// ```
    /// use acequia::{KeyContext, OutputMode, Result, Session, StatefulProcessor, TimeMode, ValueState, Variables};
    ///
    /// struct RunningCount;
    ///
    /// impl StatefulProcessor for RunningCount {
    ///     type Key = String;
    ///     type Input = String;
    ///     type Output = (String, u64);
    ///     type State = ValueState<u64>;
    ///
    ///     fn init(&self, variables: &mut Variables) -> Result<Self::State> {
    ///         variables.value("count", None)
    ///     }
    ///
    ///     fn handle_rows(
    ///         &self,
    ///         count: &Self::State,
    ///         key: &String,
    ///         rows: Vec<String>,
    ///         context: &mut KeyContext<'_>,
    ///         output: &mut Vec<(String, u64)>,
    ///     ) -> Result<()> {
    ///         let counted = count.get(context).copied().unwrap_or(0) + rows.len() as u64;
    ///         count.set(context, counted);
    ///         output.push((key.clone(), counted));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<()> {
    /// let session = Session::new()?;
    /// session.sql("CREATE STREAM words (value VARCHAR)").await?;
    /// let counts = session
    ///     .table("words")
    ///     .await?
    ///     .group_by_key(|word: &String| word.to_lowercase())?
    ///     .transform_with_state(RunningCount, TimeMode::None, OutputMode::Update)?;
    /// # let _ = counts;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the processor's `init` gives; `Invalid` for another mode of output, and for an event time that is not
    /// among the columns, not a timestamp, or has no watermark to follow.
    pub fn transform_with_state<P>(self, processor: P, time: TimeMode, mode: OutputMode) -> Result<DataFrame>
    where
        P: StatefulProcessor<Key = K, Input = T>,
    {
        let processor = Arc::new(Typed::try_new(processor, time)?);
        let (plan, time) = (self.keyed.clone(), self.timed.then_some(2));
        self.processed(plan, processor, None, time, mode)
    }

    /// The same for a processor that begins with rows of a table, each with its key. They are handled in the first
    /// batch, before the stream's rows of their keys.
    ///
    /// # Errors
    /// As [`KeyValueGroups::transform_with_state`] and [`DataFrame::group_by_key`]; `Unsupported` when the rows are
    /// those of a stream.
    pub fn transform_with_initial_state<P>(
        self,
        processor: P,
        time: TimeMode,
        mode: OutputMode,
        initial: DataFrame,
        key: impl Fn(&P::Initial) -> K + Send + Sync + 'static,
    ) -> Result<DataFrame>
    where
        P: InitialState<Key = K, Input = T>,
    {
        if is_streaming(initial.logical_plan()) {
            return Err(Error::unsupported(
                "the initial state is the rows of a table; a stream has no first batch of all",
            ));
        }
        let processor = Arc::new(Typed::try_new(processor, time)?.with_initial_state()?);
        let (rows, first) = (RowCodec::<T>::try_new()?, RowCodec::<P::Initial>::try_new()?);
        let first_row = row_of(initial.logical_plan(), first.schema())?;
        let row_type = DataType::Struct(nullable_fields(rows.schema().fields()));
        let first_type = DataType::Struct(nullable_fields(first.schema().fields()));
        let null = |data_type: &DataType| ScalarValue::try_from(data_type).map(lit).map_err(from_datafusion);
        let first_key = key_of(first, key, first_row.clone())?;
        let mut left = vec![column("key"), column("row"), null(&first_type)?.alias("initial")];
        let mut right =
            vec![first_key.alias("key"), null(&row_type)?.alias("row"), first_row.alias("initial")];
        if self.timed {
            let time = self.keyed.schema().field(2).data_type().clone();
            left.push(column("time"));
            right.push(null(&time)?.alias("time"));
        }
        let project =
            |plan: &LogicalPlan, columns: Vec<Expr>| LogicalPlanBuilder::from(plan.clone()).project(columns);
        let union = project(initial.logical_plan(), right)
            .and_then(LogicalPlanBuilder::build)
            .and_then(|right| project(&self.keyed, left)?.union(right)?.build());
        let time = self.timed.then_some(3);
        self.processed(union.map_err(from_datafusion)?, processor, Some(2), time, mode)
    }

    fn processed(
        self,
        plan: LogicalPlan,
        processor: Arc<dyn KeyedProcessor>,
        initial: Option<usize>,
        time: Option<usize>,
        mode: OutputMode,
    ) -> Result<DataFrame> {
        let node = TransformWithState::try_new(plan, processor, initial, time, mode)?;
        let plan = match &self.emitted_time {
            Some(column) => node.into_timed_plan(column)?,
            None => node.into_plan(),
        };
        self.frame.transform(|frame| Ok(BatchFrame::new(frame.into_parts().0, plan)))
    }
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

/// The key of each row, by a function of the program.
fn key_of<K: Row, T: Row>(
    rows: RowCodec<T>,
    key: impl Fn(&T) -> K + Send + Sync + 'static,
    row: Expr,
) -> Result<Expr> {
    let codec = RowCodec::<K>::try_new()?;
    let data_type = codec.data_type();
    let keys = move |rows: Vec<T>| {
        let keys = without_panic("a key was computed", || Ok(rows.iter().map(&key).collect::<Vec<K>>()))?;
        codec.array(&keys)
    };
    Ok(RowFunction::call("key_of", row, data_type, move |batch| keys(rows.decode(batch)?)))
}
