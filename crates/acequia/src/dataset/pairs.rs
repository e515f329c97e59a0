//! Values with keys: what can be done with pairs.

use super::columns::nullable_type;
use super::guard::without_panic;
use super::reduce::reduce;
use super::rows::{Row, RowCodec, VALUE};
use super::typed::{Dataset, TIME};
use crate::functions::RowFunction;
use crate::session::DataFrame;
use acequia_core::Result;
use datafusion::common::JoinType;
use datafusion::functions::core::expr_fn::{coalesce, named_struct};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::lit;
use datafusion::prelude::ident;

/// Keys with the values of both sides of a join.
pub type Joined<K, V, W> = Dataset<(K, (V, W))>;

impl<K: Row, V: Row> Dataset<(K, V)> {
    /// For each key its values, combined two at a time. The function is associative and commutative; of values that are
    /// options, those that are `None` are left out.
    ///
    /// # Errors
    /// As [`Dataset::filter`].
    pub fn reduce_by_key(self, f: impl Fn(V, V) -> V + Send + Sync + 'static) -> Result<Self> {
        let combined = reduce(ident("_2"), RowCodec::<V>::try_new()?, f).alias("_2");
        self.into_timed_frame().aggregate(vec![ident("_1")], vec![combined])?.as_dataset()
    }

    /// For each key the number of its values.
    ///
    /// # Errors
    /// As [`Dataset::filter`].
    pub fn count_by_key(self) -> Result<Dataset<(K, i64)>> {
        self.into_timed_frame().aggregate(vec![ident("_1")], vec![count(lit(1)).alias("_2")])?.as_dataset()
    }

    /// Each value as another one, under the same key.
    ///
    /// # Errors
    /// As [`Dataset::map`].
    pub fn map_values<W: Row>(self, f: impl Fn(V) -> W + Send + Sync + 'static) -> Result<Dataset<(K, W)>> {
        let (values, mapped) = (RowCodec::<V>::try_new()?, RowCodec::<W>::try_new()?);
        let row = match values.is_single() {
            true => named_struct(vec![lit(VALUE), ident("_2")]),
            false => ident("_2"),
        };
        let data_type = nullable_type(&mapped.data_type());
        let value = RowFunction::call("map_values", row, data_type, move |rows| {
            let rows = values.decode(rows)?;
            let map = || Ok(rows.into_iter().map(&f).collect::<Vec<W>>());
            mapped.array(&without_panic("values were mapped", map)?)
        });
        let timed = self.is_timed();
        let time = timed.then(|| ident(TIME));
        // The key stays a column of its own, by which a query still knows its rows.
        let columns = [ident("_1"), value.alias("_2")].into_iter().chain(time).collect();
        Dataset::of(self.into_timed_frame().select(columns)?, timed)
    }

    /// Every value with every value of its key on the other side. What both sides have given is kept; where it may go
    /// after some time, say so with [`DataFrame::join_on`].
    ///
    /// # Errors
    /// As [`Dataset::filter`].
    pub fn join<W: Row>(self, other: Dataset<(K, W)>) -> Result<Joined<K, V, W>> {
        self.joined(other, JoinType::Inner)?.as_dataset()
    }

    /// As [`Dataset::join`], and once each value whose key the other side does not have.
    ///
    /// # Errors
    /// As [`Dataset::filter`]; `Unsupported` for a `W` that is an `Option`, which could not be told from a missing one.
    pub fn left_outer_join<W: Row>(self, other: Dataset<(K, W)>) -> Result<Joined<K, V, Option<W>>> {
        self.joined(other, JoinType::Left)?.as_dataset()
    }

    /// As [`Dataset::join`], and once each value of the other side whose key this one does not have.
    ///
    /// # Errors
    /// As [`Dataset::left_outer_join`], for `V`.
    pub fn right_outer_join<W: Row>(self, other: Dataset<(K, W)>) -> Result<Joined<K, Option<V>, W>> {
        self.joined(other, JoinType::Right)?.as_dataset()
    }

    /// As [`Dataset::join`], and once each value of both sides whose key the other one does not have.
    ///
    /// # Errors
    /// As [`Dataset::left_outer_join`], for `V` and `W`.
    pub fn full_outer_join<W: Row>(self, other: Dataset<(K, W)>) -> Result<Joined<K, Option<V>, Option<W>>> {
        self.joined(other, JoinType::Full)?.as_dataset()
    }

    /// Columns `_1`: the key; `_2`: both values.
    fn joined<W: Row>(self, other: Dataset<(K, W)>, kind: JoinType) -> Result<DataFrame> {
        let renamed = |frame: DataFrame, names: [&str; 2]| {
            frame.select(vec![ident("_1").alias(names[0]), ident("_2").alias(names[1])])
        };
        let left = renamed(self.into_frame()?, ["left_key", "left_value"])?;
        let right = renamed(other.into_frame()?, ["right_key", "right_value"])?;
        let same = vec![ident("left_key").eq(ident("right_key"))];
        let key = coalesce(vec![ident("left_key"), ident("right_key")]);
        let both = named_struct(vec![lit("_1"), ident("left_value"), lit("_2"), ident("right_value")]);
        left.join_on(right, kind, same)?.select(vec![key.alias("_1"), both.alias("_2")])
    }
}
