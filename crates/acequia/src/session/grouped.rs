//! Groups of rows and what is computed of each.

use super::DataFrame;
use acequia_core::{Error, Result};
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::{avg, count, max, min, sum};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, GroupingSet, lit};
use datafusion::prelude::ident;

/// Rows that were grouped: [`DataFrame::group_by`], [`DataFrame::rollup`], [`DataFrame::cube`].
#[derive(Debug, Clone)]
pub struct GroupedData {
    frame: DataFrame,
    keys: Vec<Expr>,
    pivot: Option<(Expr, Vec<ScalarValue>)>,
}

impl GroupedData {
    pub(super) fn new(frame: DataFrame, keys: Vec<Expr>) -> Self {
        Self { frame, keys, pivot: None }
    }

    pub(super) fn rollup(frame: DataFrame, keys: Vec<Expr>) -> Self {
        Self::new(frame, vec![Expr::GroupingSet(GroupingSet::Rollup(keys))])
    }

    pub(super) fn cube(frame: DataFrame, keys: Vec<Expr>) -> Self {
        Self::new(frame, vec![Expr::GroupingSet(GroupingSet::Cube(keys))])
    }

    /// Computes each aggregate once for every one of these values of a column, over the rows that have it: a column per
    /// value (and aggregate, `value_aggregate`, if there are several). The values have to be given, since the columns of
    /// a stream's result cannot depend on rows to come. Where a group has no row of a value, `count` gives 0 (in Spark
    /// NULL), other aggregates NULL.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> acequia::Result<()> {
    /// # use acequia::prelude::*;
    /// # let session = Session::new()?;
    /// # session.sql("CREATE STREAM sales (shop VARCHAR, year INT, price BIGINT)").await?;
    /// let years = vec![2025_i32.into(), 2026_i32.into()];
    /// let by_year = session.table("sales").await?.group_by(vec![col("shop")]).pivot(col("year"), years).sum(&["price"])?;
    /// assert_eq!(by_year.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), ["shop", "2025", "2026"]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn pivot(mut self, column: Expr, values: Vec<ScalarValue>) -> Self {
        self.pivot = Some((column, values));
        self
    }

    /// The keys and these aggregates.
    ///
    /// # Errors
    /// `Invalid` for an expression that does not fit the columns; with a pivot, for one that is not an aggregate
    /// function.
    pub fn agg(self, aggregates: Vec<Expr>) -> Result<DataFrame> {
        let aggregates = match &self.pivot {
            Some((column, values)) => pivoted(column, values, &aggregates)?,
            None => aggregates,
        };
        self.frame.aggregate(self.keys, aggregates)
    }

    /// The keys and the number of rows, as `count`.
    ///
    /// # Errors
    /// As [`GroupedData::agg`].
    pub fn count(self) -> Result<DataFrame> {
        self.agg(vec![count(lit(1)).alias("count")])
    }

    /// The keys and the sums of these columns, as `sum(column)`.
    ///
    /// # Errors
    /// As [`GroupedData::agg`].
    pub fn sum(self, columns: &[&str]) -> Result<DataFrame> {
        self.each(columns, "sum", sum)
    }

    /// The keys and the averages of these columns, as `avg(column)`.
    ///
    /// # Errors
    /// As [`GroupedData::agg`].
    pub fn avg(self, columns: &[&str]) -> Result<DataFrame> {
        self.each(columns, "avg", avg)
    }

    /// The keys and the smallest values of these columns, as `min(column)`.
    ///
    /// # Errors
    /// As [`GroupedData::agg`].
    pub fn min(self, columns: &[&str]) -> Result<DataFrame> {
        self.each(columns, "min", min)
    }

    /// The keys and the largest values of these columns, as `max(column)`.
    ///
    /// # Errors
    /// As [`GroupedData::agg`].
    pub fn max(self, columns: &[&str]) -> Result<DataFrame> {
        self.each(columns, "max", max)
    }

    fn each(self, columns: &[&str], name: &str, function: fn(Expr) -> Expr) -> Result<DataFrame> {
        let aggregates =
            columns.iter().map(|column| function(ident(*column)).alias(format!("{name}({column})")));
        self.agg(aggregates.collect())
    }
}

/// Every aggregate for every value.
fn pivoted(column: &Expr, values: &[ScalarValue], aggregates: &[Expr]) -> Result<Vec<Expr>> {
    let mut all = Vec::with_capacity(values.len() * aggregates.len());
    for value in values {
        let has_value = match value.is_null() {
            true => column.clone().is_null(),
            false => column.clone().eq(Expr::Literal(value.clone(), None)),
        };
        for aggregate in aggregates {
            let name = match aggregates.len() {
                1 => value.to_string(),
                _ => format!("{value}_{}", aggregate.schema_name()),
            };
            let Expr::AggregateFunction(function) = aggregate.clone().unalias_nested().data else {
                return Err(Error::invalid(format!(
                    "a pivot computes aggregate functions, and this is something else: `{aggregate}`; compute with its columns in a select() afterwards"
                )));
            };
            all.push(among(function, has_value.clone()).alias(name));
        }
    }
    Ok(all)
}

/// The aggregate over only those rows for which the condition is true.
fn among(mut function: AggregateFunction, condition: Expr) -> Expr {
    let filter = function.params.filter.take();
    function.params.filter = Some(Box::new(match filter {
        Some(filter) => filter.and(condition),
        None => condition,
    }));
    Expr::AggregateFunction(function)
}
