//! Values in windows of event time.

use super::reduce::reduce;
use super::rows::{Row, RowCodec};
use super::typed::Dataset;
use crate::session::DataFrame;
use acequia_core::{Error, Result};
use chrono::NaiveDateTime;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::ident;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A window of event time, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Its first moment.
    pub start: NaiveDateTime,
    /// The first moment after it.
    pub end: NaiveDateTime,
}

/// Values in windows of event time: [`Dataset::window`], [`Dataset::sliding_window`].
///
/// Windows that overlap share the work on what they have in common, so there is no use for the inverse function that
/// Spark's `reduceByWindow` takes. Results come when a window is final (`Append`), or whenever they change (`Update`).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> acequia::Result<()> {
/// use acequia::prelude::*;
/// use chrono::NaiveDateTime;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Tweet {
///     tag: String,
///     at: NaiveDateTime,
/// }
///
/// let session = Session::new()?;
/// let (input, tweets) = session.memory_stream::<Tweet>("tweets").await?;
/// let tags = tweets
///     .with_watermark("at", "1 minute")?
///     .map(|tweet| (tweet.tag, 1_u64))?
///     .sliding_window("10 minutes", "1 minute")?
///     .reduce_by_key(|a, b| a + b)?;
/// let query = tags.write_stream()?.output_mode(OutputMode::Update).to_table("tags").await?;
/// input.append(&[Tweet { tag: "#arrow".into(), at: NaiveDateTime::UNIX_EPOCH }])?;
/// query.process_all_available().await?;
/// let tags = session.table("tags").await?.as_dataset::<(Window, String, u64)>()?.collect().await?;
/// assert_eq!(tags.len(), 10);
/// # Ok(())
/// # }
/// ```
pub struct Windowed<T> {
    values: Dataset<T>,
    window: Expr,
}

impl<T> fmt::Debug for Windowed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Windowed").field("values", &self.values).finish_non_exhaustive()
    }
}

impl<T: Row> Windowed<T> {
    pub(super) fn new(values: Dataset<T>, window: Expr) -> Result<Self> {
        match values.is_timed() {
            true => Ok(Self { values, window }),
            false => Err(Error::invalid(
                "windows need an event time, and these values have none, or several; declare it with with_watermark()",
            )),
        }
    }

    /// For each window, its values combined two at a time.
    ///
    /// # Errors
    /// As [`Dataset::reduce`].
    pub fn reduce(self, f: impl Fn(T, T) -> T + Send + Sync + 'static) -> Result<Dataset<(Window, T)>> {
        let combined = reduce(self.values.value()?, self.values.codec().clone(), f);
        self.grouped(vec![], combined)?.as_dataset()
    }

    /// For each window, the number of its values.
    ///
    /// # Errors
    /// As [`Dataset::count`].
    pub fn count(self) -> Result<Dataset<(Window, i64)>> {
        self.grouped(vec![], count(lit(1)))?.as_dataset()
    }

    /// For each window, its distinct values with how often each is there.
    ///
    /// # Errors
    /// As [`Dataset::count_by_value`].
    pub fn count_by_value(self) -> Result<Dataset<(Window, T, i64)>> {
        let value = self.values.value()?;
        self.grouped(vec![value], count(lit(1)))?.as_dataset()
    }

    /// Columns `_1`: the window; `_2` and so on: what else is grouped by; the last one: the aggregate.
    fn grouped(self, by: Vec<Expr>, aggregate: Expr) -> Result<DataFrame> {
        let groups = [self.window].into_iter().chain(by).enumerate();
        let groups: Vec<Expr> = groups.map(|(n, expr)| expr.unalias().alias(format!("_{}", n + 1))).collect();
        let name = format!("_{}", groups.len() + 1);
        self.values.into_timed_frame().aggregate(groups, vec![aggregate.alias(name)])
    }
}

impl<K: Row, V: Row> Windowed<(K, V)> {
    /// For each window and key, the key's values combined two at a time.
    ///
    /// # Errors
    /// As [`Dataset::reduce_by_key`].
    pub fn reduce_by_key(
        self,
        f: impl Fn(V, V) -> V + Send + Sync + 'static,
    ) -> Result<Dataset<(Window, K, V)>> {
        let combined = reduce(ident("_2"), RowCodec::<V>::try_new()?, f);
        self.grouped(vec![ident("_1")], combined)?.as_dataset()
    }
}
