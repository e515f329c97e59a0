//! Transformations of streams from Rust: DataFusion's DataFrame with event time, under Spark's names.

use super::{DataStreamWriter, GroupedData, Session};
use crate::error::{from_datafusion, from_planning};
use crate::functions::relation::with_watermark;
use crate::functions::{AsofJoin, DropDuplicates, own_event_time};
use crate::plan::is_streaming;
use acequia_core::{Error, OutputMode, Result, time::parse_interval};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Column, JoinType, TableReference, UnnestOptions};
use datafusion::datasource::TableType;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_nested::expr_fn::array_length;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, SortExpr, cast, lit, when,
};
use datafusion::prelude::{DataFrame as BatchFrame, ident};
use std::sync::Arc;

/// The rows of a stream or table and what is computed from them; nothing runs until it is written or collected.
///
/// Columns in expressions are written as in DataFusion: `col("Price")` is the column `price`, as in SQL, and
/// `ident("Price")` the column `Price`. Arguments that are names, as those of [`DataFrame::drop`], are taken as they
/// stand.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> acequia::Result<()> {
/// use acequia::prelude::*;
///
/// let session = Session::new()?;
/// session.sql("CREATE STREAM sales (shop VARCHAR, price BIGINT, at TIMESTAMP(3), WATERMARK FOR at)").await?;
/// let totals = session
///     .table("sales")
///     .await?
///     .filter(col("price").gt(lit(0)))?
///     .group_by(vec![window(col("at"), "1 hour"), col("shop")])
///     .agg(vec![sum(col("price")).alias("total")])?;
/// let query = totals.write_stream().to_table("totals").await?;
/// session.sql("INSERT INTO sales VALUES ('north', 3, '2026-01-01 10:00:00'), ('north', 4, '2026-01-01 12:00:00')").await?;
/// query.process_all_available().await?;
/// let rows = session.table("totals").await?.collect().await?;
/// assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct DataFrame {
    session: Session,
    frame: BatchFrame,
}

impl DataFrame {
    pub(super) fn new(session: Session, frame: BatchFrame) -> Self {
        Self { session, frame }
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(self.frame.schema().as_arrow().clone())
    }

    /// The logical plan.
    pub fn logical_plan(&self) -> &LogicalPlan {
        self.frame.logical_plan()
    }

    /// Whether a stream is among what it reads.
    pub fn is_streaming(&self) -> bool {
        is_streaming(self.logical_plan())
    }

    /// DataFusion's own frame over the same plan.
    pub fn into_datafusion(self) -> BatchFrame {
        self.frame
    }

    /// These expressions as columns.
    ///
    /// # Errors
    /// `Invalid` for an expression that does not fit the columns, as in every method here.
    pub fn select(self, exprs: Vec<Expr>) -> Result<Self> {
        self.transform(|frame| frame.select(exprs))
    }

    /// These SQL expressions as columns: `select_expr(&["shop", "price * 100 AS cents"])`.
    ///
    /// # Errors
    /// As [`DataFrame::select`], and for a text that is not an expression.
    pub fn select_expr(self, exprs: &[&str]) -> Result<Self> {
        self.transform(|frame| frame.select_exprs(exprs))
    }

    /// The rows for which the predicate is true.
    ///
    /// # Errors
    /// As [`DataFrame::select`].
    pub fn filter(self, predicate: Expr) -> Result<Self> {
        self.transform(|frame| frame.filter(predicate))
    }

    /// The rows for which this SQL expression is true: `filter_expr("price > 0")`.
    ///
    /// # Errors
    /// As [`DataFrame::select_expr`].
    pub fn filter_expr(self, predicate: &str) -> Result<Self> {
        self.transform(|frame| {
            let predicate = frame.parse_sql_expr(predicate)?;
            frame.filter(predicate)
        })
    }

    /// With one more column, or another one in place of that of this name.
    ///
    /// # Errors
    /// As [`DataFrame::select`].
    pub fn with_column(self, name: &str, expr: Expr) -> Result<Self> {
        self.transform(|frame| frame.with_column(name, expr))
    }

    /// With another name for a column.
    ///
    /// # Errors
    /// `Invalid` when there is no such column.
    pub fn with_column_renamed(self, from: &str, to: &str) -> Result<Self> {
        self.expect_columns(&[from])?;
        let exprs = self.each_column(|name, column| if name == from { column.alias(to) } else { column });
        self.select(exprs)
    }

    /// With a column of another type; a value that does not fit fails the query.
    ///
    /// # Errors
    /// `Invalid` when there is no such column, or no such cast.
    pub fn cast(self, column: &str, data_type: DataType) -> Result<Self> {
        self.expect_columns(&[column])?;
        let exprs =
            self.each_column(
                |name, expr| {
                    if name == column { cast(expr, data_type.clone()).alias(name) } else { expr }
                },
            );
        self.select(exprs)
    }

    /// Without these columns.
    ///
    /// # Errors
    /// `Invalid` when one of them is not there.
    pub fn drop(self, columns: &[&str]) -> Result<Self> {
        self.expect_columns(columns)?;
        let kept = self.frame.schema().columns().into_iter();
        let kept = kept.filter(|column| !columns.contains(&column.name.as_str())).map(Expr::Column);
        let kept = kept.collect();
        self.select(kept)
    }

    /// The same rows under a name that qualifies their columns, for a join with itself: `col("a.price")`.
    ///
    /// # Errors
    /// As [`DataFrame::select`].
    pub fn alias(self, name: &str) -> Result<Self> {
        self.transform(|frame| frame.alias(name))
    }

    /// The rows of both, equal ones as often as they are there; columns are matched by their place.
    ///
    /// # Errors
    /// `Invalid` when the columns differ.
    pub fn union(self, other: Self) -> Result<Self> {
        self.transform(|frame| frame.union(other.frame))
    }

    /// The rows of both, equal ones as often as they are there; columns are matched by name, missing ones are NULL.
    ///
    /// # Errors
    /// `Invalid` when columns of one name have different types.
    pub fn union_by_name(self, other: Self) -> Result<Self> {
        self.transform(|frame| frame.union_by_name(other.frame))
    }

    /// The rows that both have, each once.
    ///
    /// # Errors
    /// `Invalid` when the columns differ.
    pub fn intersect(self, other: Self) -> Result<Self> {
        self.transform(|frame| frame.intersect_distinct(other.frame))
    }

    /// The rows that the other does not have, each once.
    ///
    /// # Errors
    /// `Invalid` when the columns differ.
    pub fn except(self, other: Self) -> Result<Self> {
        self.transform(|frame| frame.except_distinct(other.frame))
    }

    /// Every row once.
    ///
    /// # Errors
    /// As [`DataFrame::select`].
    pub fn distinct(self) -> Result<Self> {
        self.transform(BatchFrame::distinct)
    }

    /// The first row to come of each value of these columns; of all columns, when none is named.
    ///
    /// # Errors
    /// `Invalid` when one of them is not there.
    pub fn drop_duplicates(self, columns: &[&str]) -> Result<Self> {
        self.without_duplicates(columns, |_| Ok(None))
    }

    /// As [`DataFrame::drop_duplicates`], forgetting a value once the watermark has passed the event time of its first
    /// row by the watermark's delay.
    ///
    /// # Errors
    /// `Invalid` when one of the columns is not there, or there is no event time.
    pub fn drop_duplicates_within_watermark(self, columns: &[&str]) -> Result<Self> {
        self.without_duplicates(columns, |plan| {
            let time = own_event_time(plan, "with_watermark")?;
            Ok(time.try_as_col().cloned())
        })
    }

    fn without_duplicates(
        self,
        columns: &[&str],
        within: impl FnOnce(&LogicalPlan) -> datafusion::common::Result<Option<Column>>,
    ) -> Result<Self> {
        self.expect_columns(columns)?;
        let columns = columns.iter().map(|name| Column::from_name(*name)).collect();
        self.with_plan(|plan| {
            let within = within(&plan)?;
            Ok(DropDuplicates::try_new(plan, columns, within)?.into_plan())
        })
    }

    /// Rows of both that agree in these columns, which come once and first, as with SQL's USING. Semi and anti joins
    /// give the columns of one side. Where the two share a name that qualifies their columns, as in a join of a stream
    /// with itself, the sides are called `left` and `right`: `col("right.price")`.
    ///
    /// # Errors
    /// `Invalid` when one of the columns is not there on both sides.
    pub fn join(self, right: Self, kind: JoinType, on: &[&str]) -> Result<Self> {
        self.expect_columns(on)?;
        right.expect_columns(on)?;
        let (left, right) = match self.frame.schema().join(right.frame.schema()) {
            Ok(_) => (self, right),
            Err(_) => (self.alias("left")?, right.alias("right")?),
        };
        let keys: (Vec<Column>, Vec<Column>) =
            on.iter().map(|name| (left.column(name), right.column(name))).unzip();
        let rest = |frame: &Self, keys: &[Column]| -> Vec<Expr> {
            let columns = frame.frame.schema().columns().into_iter();
            columns.filter(|column| !keys.contains(column)).map(Expr::Column).collect()
        };
        let others = [rest(&left, &keys.0), rest(&right, &keys.1)].concat();
        let joined = left.with_plan(|plan| {
            let right = right.frame.into_unoptimized_plan();
            LogicalPlanBuilder::from(plan).join(right, kind, keys.clone(), None)?.build()
        })?;
        let key = |(left, right): (Column, Column)| match kind {
            JoinType::Right => Expr::Column(right),
            JoinType::Full => {
                let name = left.name.clone();
                coalesce(vec![Expr::Column(left), Expr::Column(right)]).alias(name)
            }
            _ => Expr::Column(left),
        };
        match kind {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                let keys = std::iter::zip(keys.0, keys.1).map(key);
                joined.select(keys.chain(others).collect())
            }
            _ => Ok(joined),
        }
    }

    /// Rows of both for which all of these conditions are true; no condition joins every row with every row. Rows of a
    /// stream leave the state by watermark when the conditions bind the event times of both sides to each other.
    ///
    /// # Errors
    /// As [`DataFrame::select`]; also when both sides have columns of one qualified name ([`DataFrame::alias`]).
    pub fn join_on(self, right: Self, kind: JoinType, conditions: Vec<Expr>) -> Result<Self> {
        self.transform(|frame| frame.join_on(right.frame, kind, conditions))
    }

    /// Every row with the one row of the right side whose time is nearest, among those that agree in all of `on`. The
    /// condition compares both times, as `col("trades.at").gt_eq(col("quotes.at"))` for the last row up to that time. Rows
    /// without one have NULLs ([`JoinType::Left`]) or are left out ([`JoinType::Inner`]).
    ///
    /// # Errors
    /// As [`DataFrame::join_on`]; also for other kinds, and conditions of another form.
    pub fn join_asof(self, right: Self, kind: JoinType, condition: Expr, on: Vec<Expr>) -> Result<Self> {
        self.with_plan(|left| {
            let on = on.into_iter().reduce(Expr::and);
            Ok(AsofJoin::try_new(left, right.frame.into_unoptimized_plan(), condition, on, kind)?.into_plan())
        })
    }

    /// Every row with every row.
    ///
    /// # Errors
    /// As [`DataFrame::join_on`].
    pub fn cross_join(self, right: Self) -> Result<Self> {
        self.with_plan(|left| {
            LogicalPlanBuilder::from(left).cross_join(right.frame.into_unoptimized_plan())?.build()
        })
    }

    /// Groups by the values of these expressions; by [`crate::functions::window`] too.
    pub fn group_by(self, exprs: Vec<Expr>) -> GroupedData {
        GroupedData::new(self, exprs)
    }

    /// Groups by every prefix of these expressions, down to one group of all rows.
    pub fn rollup(self, exprs: Vec<Expr>) -> GroupedData {
        GroupedData::rollup(self, exprs)
    }

    /// Groups by every subset of these expressions.
    pub fn cube(self, exprs: Vec<Expr>) -> GroupedData {
        GroupedData::cube(self, exprs)
    }

    /// One row of aggregates over all rows.
    ///
    /// # Errors
    /// As [`DataFrame::select`].
    pub fn agg(self, aggregates: Vec<Expr>) -> Result<Self> {
        self.aggregate(vec![], aggregates)
    }

    /// One row for each distinct value of the group expressions, with the aggregates.
    ///
    /// # Errors
    /// As [`DataFrame::select`].
    pub fn aggregate(self, group: Vec<Expr>, aggregates: Vec<Expr>) -> Result<Self> {
        self.transform(|frame| frame.aggregate(group, aggregates))
    }

    /// In this order: with [`DataFrame::limit`], or of the whole result in `Complete` mode.
    ///
    /// # Errors
    /// As [`DataFrame::select`].
    pub fn sort(self, order: Vec<SortExpr>) -> Result<Self> {
        self.transform(|frame| frame.sort(order))
    }

    /// The first rows; which ones is decided by [`DataFrame::sort`], without it by who comes first.
    ///
    /// # Errors
    /// As [`DataFrame::select`].
    pub fn limit(self, rows: usize) -> Result<Self> {
        self.transform(|frame| frame.limit(0, Some(rows)))
    }

    /// Without the first rows.
    ///
    /// # Errors
    /// As [`DataFrame::select`].
    pub fn offset(self, rows: usize) -> Result<Self> {
        self.transform(|frame| frame.limit(rows, None))
    }

    /// One row for each element of a list column, or with each field of a struct column as a column of its own. Rows
    /// whose list is empty or NULL give none.
    ///
    /// # Errors
    /// `Invalid` when there is no such column, or it is neither list nor struct.
    pub fn explode(self, column: &str) -> Result<Self> {
        self.unnest(column, false)
    }

    /// As [`DataFrame::explode`], with a row of NULL for an empty or NULL list.
    ///
    /// # Errors
    /// As [`DataFrame::explode`].
    pub fn explode_outer(self, column: &str) -> Result<Self> {
        self.expect_columns(&[column])?;
        let list = Expr::Column(self.column(column));
        let is_list = list.get_type(self.frame.schema()).is_ok_and(|data_type| data_type.is_list());
        if !is_list {
            return self.unnest(column, true);
        }
        // An empty list would give no row even so.
        let filled = when(array_length(list.clone()).gt(lit(0)), list).end().map_err(from_planning)?;
        self.with_column(column, filled)?.unnest(column, true)
    }

    fn unnest(self, column: &str, preserve_nulls: bool) -> Result<Self> {
        self.expect_columns(&[column])?;
        let column = self.column(column);
        let options = UnnestOptions::new().with_preserve_nulls(preserve_nulls);
        self.with_plan(|plan| {
            LogicalPlanBuilder::from(plan).unnest_column_with_options(column, options)?.build()
        })
    }

    /// Marks a column as event time, its watermark staying `delay` (as `10 seconds`) behind the latest value.
    ///
    /// # Errors
    /// `Invalid` when the column is not a timestamp or the delay not an interval, and when there is a watermark already.
    pub fn with_watermark(self, column: &str, delay: &str) -> Result<Self> {
        let delay = parse_interval(delay)?;
        self.with_plan(|plan| with_watermark(plan, ident(column), delay, None))
    }

    /// Anything else that DataFusion's DataFrame can do.
    ///
    /// # Errors
    /// What the function gives.
    pub fn transform(
        self,
        f: impl FnOnce(BatchFrame) -> datafusion::common::Result<BatchFrame>,
    ) -> Result<Self> {
        let frame = f(self.frame).map_err(from_planning)?;
        Ok(Self { session: self.session, frame })
    }

    fn with_plan(
        self,
        f: impl FnOnce(LogicalPlan) -> datafusion::common::Result<LogicalPlan>,
    ) -> Result<Self> {
        let (state, plan) = self.frame.into_parts();
        let plan = f(plan).map_err(from_planning)?;
        Ok(Self { session: self.session, frame: BatchFrame::new(state, plan) })
    }

    /// A view of this name, which SQL sees until the session ends or another one takes its place.
    ///
    /// # Errors
    /// `Invalid` when the name is that of a stream, sink, materialized view or table.
    pub async fn create_or_replace_temp_view(&self, name: &str) -> Result<()> {
        self.session.catalog().check_free(name)?;
        if let Ok(there) = self.session.context().table_provider(TableReference::bare(name)).await
            && there.table_type() != TableType::View
        {
            return Err(Error::invalid(format!("name is taken by a table: `{name}`; drop it first")));
        }
        self.session.register(name, self.frame.clone().into_view())
    }

    /// The rows of a frame that reads no stream.
    ///
    /// # Errors
    /// `Invalid` when it reads one; what running the query gives.
    pub async fn collect(self) -> Result<Vec<RecordBatch>> {
        if self.is_streaming() {
            return Err(Error::invalid(
                "the rows of a stream have no end to collect; use write_stream(), for example write_stream().to_table(..)",
            ));
        }
        self.frame.collect().await.map_err(from_datafusion)
    }

    /// What `EXPLAIN STREAMING` prints of it, in this mode or the one that it would have by default.
    ///
    /// # Errors
    /// `Unsupported` for what is not incremental.
    pub async fn explain(&self, mode: Option<OutputMode>) -> Result<String> {
        self.session.explain_frame(self.logical_plan().clone(), mode).await
    }

    /// Writes the rows as a continuous query.
    pub fn write_stream(self) -> DataStreamWriter {
        DataStreamWriter::new(self.session, self.frame.into_unoptimized_plan())
    }

    /// The column of this name as the plan qualifies it; it is there.
    fn column(&self, name: &str) -> Column {
        let schema = self.frame.schema();
        let found = schema.iter().find(|(_, field)| field.name() == name);
        found.map_or_else(|| Column::from_name(name), Column::from)
    }

    fn each_column(&self, f: impl Fn(&str, Expr) -> Expr) -> Vec<Expr> {
        self.frame
            .schema()
            .columns()
            .into_iter()
            .map(|column| f(&column.name.clone(), Expr::Column(column)))
            .collect()
    }

    fn expect_columns(&self, names: &[&str]) -> Result<()> {
        let schema = self.frame.schema();
        let known = || schema.fields().iter().map(|field| field.name().as_str());
        match names.iter().find(|name| !known().any(|field| field == **name)) {
            Some(missing) => Err(acequia_core::options::unknown("column", missing, known())),
            None => Ok(()),
        }
    }
}
