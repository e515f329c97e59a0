//! What a continuous query has to have given so far, computed as a batch.
//!
//! The plan is walked from the leaves up. Below the lowest stateful nodes everything is linear, so their input is
//! computed batch by batch, each over the rows of that batch alone, and the rows that the batch's watermark makes late
//! are left out. What is kept becomes a table, over which the rest of the plan is an ordinary query. In APPEND mode
//! the groups that the last watermark has not passed are left out too.
//!
//! OVER and ORDER BY with LIMIT are ordinary too, over their input in an order that leaves nothing open: ties of what the
//! query orders by go by all other columns.
//!
//! Rows that one stateful node hands to another are never late: the lower one gives them when it knows that they are
//! final, and the upper one goes by the watermark before.

use super::late::{deciding, passed};
use super::sessions::SessionKey;
use acequia::catalog::{Changelog, StreamScan};
use acequia::functions::{
    AsofJoin, DropDuplicates, TimeColumn, TimeColumns, TimeRole, event_time_columns, fix_batch_time,
    resolve_windows,
};
use acequia::plan::is_streaming;
use acequia::{OutputMode, Result, from_datafusion};
use acequia_core::{Timestamp, Watermark};
use arrow::array::{RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{SortOptions, cast, concat_batches, filter_record_batch, not, take_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use datafusion::catalog::MemTable;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, TableReference};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::{
    Distinct, DistinctOn, Expr, LogicalPlan, LogicalPlanBuilder, Projection, SortExpr, TableScan,
};
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::{OptimizerContext, OptimizerRule};
use datafusion::prelude::{SessionContext, col};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::sync::Arc;

/// What a batch read.
#[derive(Debug, Clone)]
pub struct BatchRows {
    /// The watermark that was in force.
    pub watermark: Watermark,
    /// The rows, by stream.
    pub rows: HashMap<String, Vec<RecordBatch>>,
}

/// The answer of a query, as SQL says it, over these batches, at this time.
///
/// # Errors
/// Those of planning and running it.
pub async fn answer(
    context: &SessionContext,
    query: &LogicalPlan,
    mode: OutputMode,
    batches: &[BatchRows],
    now: Timestamp,
) -> Result<Vec<RecordBatch>> {
    let plan = resolve_windows(query.clone()).map_err(from_datafusion)?;
    let zone = context.state().config_options().execution.time_zone.clone();
    let plan = fix_batch_time(plan, now, zone.as_deref()).map_err(from_datafusion)?;
    // What times mean above a join goes by its equalities.
    let (rule, config) = (ExtractEquijoinPredicate::new(), OptimizerContext::new());
    let plan = plan.transform_up(|node| rule.rewrite(node, &config)).map_err(from_datafusion)?.data;
    let answer = Answer { context, mode, batches };
    let plan = answer.node(&plan).await?;
    answer.run(plan).await
}

pub(super) struct Answer<'a> {
    context: &'a SessionContext,
    pub(super) mode: OutputMode,
    pub(super) batches: &'a [BatchRows],
}

/// A node that keeps something from batch to batch.
struct Stateful {
    /// Its rows' time keys: the expression over the input, and what it means.
    time: Option<(Expr, TimeColumn)>,
    /// Of groups that are sessions.
    sessions: Option<SessionKey>,
    /// The same column in the output, of a node whose rows are final only once it has been passed.
    finality: Option<(usize, TimeColumn)>,
}

impl Answer<'_> {
    pub(super) fn node<'b>(&'b self, plan: &'b LogicalPlan) -> BoxFuture<'b, Result<LogicalPlan>> {
        async move {
            if !is_streaming(plan) {
                return Ok(plan.clone());
            }
            if let LogicalPlan::Join(join) = plan {
                return self.join(join).await;
            }
            if let Some(asof) = AsofJoin::of(plan) {
                return self.asof_join(plan, asof).await;
            }
            if let Some(order) = Order::of(plan) {
                return self.in_order(plan, order).await;
            }
            let Some(stateful) = self.stateful(plan)? else {
                return self.over_answers(plan).await;
            };
            let input = plan.inputs()[0];
            let kept = match (&stateful.time, &stateful.sessions) {
                (Some((_, column)), Some(sessions)) if !self.keeps(input)? => {
                    self.rows_of_sessions(input, sessions, column).await?
                }
                (Some((key, column)), None) if !self.keeps(input)? => self.usable(input, key, column).await?,
                _ => self.node(input).await?,
            };
            let node = plan.with_new_exprs(plan.expressions(), vec![kept]).map_err(from_datafusion)?;
            match &stateful.finality {
                Some((index, column)) => self.final_rows(plan.schema(), node, *index, column).await,
                None => Ok(node),
            }
        }
        .boxed()
    }

    /// The node over the answers of its inputs; a stream's scan over all of its rows.
    pub(super) async fn over_answers(&self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        if let LogicalPlan::TableScan(_) = plan {
            return with_rows(plan.clone(), self.batches);
        }
        let mut inputs = vec![];
        for input in plan.inputs() {
            inputs.push(self.node(input).await?);
        }
        plan.with_new_exprs(plan.expressions(), inputs).map_err(from_datafusion)
    }

    /// A node that depends on the order of its input's rows.
    async fn in_order(&self, plan: &LogicalPlan, order: Order) -> Result<LogicalPlan> {
        let input = plan.inputs()[0];
        let times = match self.mode {
            OutputMode::Complete => vec![],
            _ => key_times(plan, &order.partition)?,
        };
        // In APPEND rows by event time are final once it is passed.
        let within = order.order.iter().filter(|by| !order.partition.contains(&by.expr));
        let ordered_by: Vec<Expr> = within.take(1).map(|first| first.expr.clone()).collect();
        let order_times = match self.mode {
            OutputMode::Append => key_times(plan, &ordered_by)?,
            _ => vec![],
        };
        let kept = match (deciding(&times), deciding(&order_times)) {
            (Some((index, time)), _) => self.of_partitions(input, &order.partition[index], time).await?,
            (None, Some((_, time))) => self.of_partitions(input, &ordered_by[0], time).await?,
            (None, None) => self.node(input).await?,
        };
        let rows = self.run(kept).await?;
        let rows = ordered_table(input.schema(), rows, &order)?;
        if let LogicalPlan::Distinct(Distinct::On(on)) = plan {
            let on = DistinctOn { input: Arc::new(rows), ..on.clone() };
            return Ok(LogicalPlan::Distinct(Distinct::On(on)));
        }
        plan.with_new_exprs(plan.expressions(), vec![rows]).map_err(from_datafusion)
    }

    /// The rows whose partitions are not late, in APPEND mode those whose partitions are final.
    async fn of_partitions(&self, input: &LogicalPlan, key: &Expr, time: &TimeColumn) -> Result<LogicalPlan> {
        let rows =
            if self.keeps(input)? { self.node(input).await? } else { self.usable(input, key, time).await? };
        if self.mode != OutputMode::Append {
            return Ok(rows);
        }
        let mut exprs = columns(input);
        exprs.push(key.clone().unalias().alias("__time"));
        let keyed = Projection::try_new(exprs, Arc::new(rows)).map_err(from_datafusion)?;
        let width = input.schema().fields().len();
        self.final_rows(input.schema(), LogicalPlan::Projection(keyed), width, time).await
    }

    pub(super) fn keeps(&self, plan: &LogicalPlan) -> Result<bool> {
        if is_streaming(plan)
            && (Order::of(plan).is_some()
                || AsofJoin::of(plan).is_some_and(|asof| is_streaming(&asof.sides()[1]))
                || self.stateful(plan)?.is_some()
                || has_subquery_over_streams(plan)?)
        {
            return Ok(true);
        }
        plan.inputs().into_iter().try_fold(false, |found, input| Ok(found || self.keeps(input)?))
    }

    fn stateful(&self, plan: &LogicalPlan) -> Result<Option<Stateful>> {
        let exprs: Vec<Expr> = match plan {
            LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.clone(),
            LogicalPlan::Distinct(Distinct::All(_)) => columns(plan.inputs()[0]),
            LogicalPlan::Distinct(Distinct::On(on)) => on.on_expr.clone(),
            _ => match DropDuplicates::of(plan) {
                Some(node) => node.columns().iter().cloned().map(Expr::Column).collect(),
                None => return Ok(None),
            },
        };
        let forgets_nothing = self.mode == OutputMode::Complete && !matches!(plan, LogicalPlan::Extension(_));
        if forgets_nothing {
            return Ok(Some(Stateful { time: None, sessions: None, finality: None }));
        }
        let times = key_times(plan, &exprs)?;
        let Some((index, column)) = deciding(&times) else {
            return Ok(Some(Stateful { time: None, sessions: None, finality: None }));
        };
        let waits = matches!(plan, LogicalPlan::Aggregate(a) if !a.aggr_expr.is_empty());
        let finality = (waits && self.mode == OutputMode::Append).then(|| (index, column.clone()));
        let of_sessions = matches!(column.role, TimeRole::Session(_) | TimeRole::SessionEnd(_))
            && matches!(plan, LogicalPlan::Aggregate(_));
        let sessions = if of_sessions { SessionKey::of(&exprs, &times) } else { None };
        Ok(Some(Stateful { time: Some((exprs[index].clone(), column.clone())), sessions, finality }))
    }

    /// The rows of a linear plan that are not late, batch by batch.
    pub(super) async fn usable(
        &self,
        input: &LogicalPlan,
        key: &Expr,
        column: &TimeColumn,
    ) -> Result<LogicalPlan> {
        let mut kept = vec![];
        for batches in self.batches.chunk_by(|a, b| a.watermark == b.watermark) {
            let mut exprs = columns(input);
            exprs.push(key.clone().unalias().alias("__time"));
            let plan = with_rows(input.clone(), batches)?;
            let plan = Projection::try_new(exprs, Arc::new(plan)).map_err(from_datafusion)?;
            for rows in self.run(LogicalPlan::Projection(plan)).await? {
                let width = rows.num_columns() - 1;
                let rows = match batches[0].watermark.0 {
                    Some(watermark) => {
                        let late = passed(rows.column(width), column, watermark)?;
                        filter_record_batch(&rows, &not(&late)?)?
                    }
                    None => rows,
                };
                kept.push(rows.project(&(0..width).collect::<Vec<_>>())?);
            }
        }
        table(input.schema(), kept)
    }

    /// The rows of a node that the last watermark has passed.
    async fn final_rows(
        &self,
        schema: &DFSchema,
        node: LogicalPlan,
        index: usize,
        column: &TimeColumn,
    ) -> Result<LogicalPlan> {
        let last = self.batches.last().and_then(|batch| batch.watermark.0);
        let mut rows = vec![];
        if let Some(watermark) = last {
            for batch in self.run(node).await? {
                let passed = passed(batch.column(index), column, watermark)?;
                rows.push(filter_record_batch(&batch, &passed)?);
            }
        }
        table(schema, rows)
    }

    pub(super) async fn run(&self, plan: LogicalPlan) -> Result<Vec<RecordBatch>> {
        // What is left are streams in subqueries.
        let plan = with_rows(plan, self.batches)?;
        let frame = self.context.execute_logical_plan(plan).await.map_err(from_datafusion)?;
        frame.collect().await.map_err(from_datafusion)
    }
}

/// Whether expressions of the node read streams, which makes a join of it.
fn has_subquery_over_streams(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    let walked = plan.apply_subqueries(|subquery| {
        found |= is_streaming(subquery);
        Ok(TreeNodeRecursion::Continue)
    });
    walked.map(|_| found).map_err(from_datafusion)
}

/// By what a node tells rows apart, and orders them.
struct Order {
    partition: Vec<Expr>,
    order: Vec<SortExpr>,
}

impl Order {
    fn of(plan: &LogicalPlan) -> Option<Self> {
        match plan {
            LogicalPlan::Distinct(Distinct::On(on)) => {
                let order = on.sort_expr.clone().filter(|order| !order.is_empty())?;
                Some(Self { partition: on.on_expr.clone(), order })
            }
            LogicalPlan::Sort(sort) => Some(Self { partition: vec![], order: sort.expr.clone() }),
            LogicalPlan::Window(window) => {
                let params = |expr: &Expr| match expr.clone().unalias() {
                    Expr::WindowFunction(function) => Some(function.params),
                    _ => None,
                };
                let mut windows = window.window_expr.iter().filter_map(params);
                let first = windows.next()?;
                let mut partition = first.partition_by;
                windows.for_each(|other| partition.retain(|expr| other.partition_by.contains(expr)));
                Some(Self { partition, order: first.order_by })
            }
            _ => None,
        }
    }

    /// The order of all columns, as far as what is ordered by are columns.
    fn of_columns(&self, schema: &DFSchema) -> Vec<(usize, SortOptions)> {
        let plain = SortOptions::default();
        let asked = |sort: &SortExpr| (sort.expr.clone(), SortOptions::new(!sort.asc, sort.nulls_first));
        let asked: Vec<(Expr, SortOptions)> = self.order.iter().map(asked).collect();
        let partition = self.partition.iter().map(|expr| {
            let asked = asked.iter().find(|(other, _)| other == expr);
            asked.cloned().unwrap_or((expr.clone(), plain))
        });
        let mut order: Vec<(usize, SortOptions)> = vec![];
        let named = partition
            .chain(asked.iter().cloned())
            .map_while(|(expr, options)| Some((schema.maybe_index_of_column(expr.try_as_col()?)?, options)));
        let rest = (0..schema.fields().len()).map(|column| (column, plain));
        for (column, options) in named.chain(rest) {
            if order.iter().all(|(other, _)| *other != column) {
                order.push((column, options));
            }
        }
        order
    }
}

/// Rows in an order, as a plan that says so.
fn ordered_table(names: &DFSchema, rows: Vec<RecordBatch>, order: &Order) -> Result<LogicalPlan> {
    let order = order.of_columns(names);
    let Some(first) = rows.first() else { return table(names, rows) };
    let rows = concat_batches(&first.schema(), &rows)?;
    if order.is_empty() {
        return table(names, vec![rows]);
    }
    let fields = order.iter().map(|(column, options)| {
        SortField::new_with_options(rows.column(*column).data_type().clone(), *options)
    });
    let columns: Vec<_> = order.iter().map(|(column, _)| Arc::clone(rows.column(*column))).collect();
    let encoded = RowConverter::new(fields.collect())?.convert_columns(&columns)?;
    let mut sorted: Vec<u32> = (0..rows.num_rows() as u32).collect();
    sorted.sort_by(|a, b| encoded.row(*a as usize).cmp(&encoded.row(*b as usize)));
    let rows = take_record_batch(&rows, &UInt32Array::from(sorted))?;
    let by = order
        .iter()
        .map(|(column, options)| col(format!("c{column}")).sort(!options.descending, options.nulls_first));
    table_of(names, vec![rows], vec![by.collect()])
}

/// What the keys of a stateful node mean.
fn key_times(plan: &LogicalPlan, exprs: &[Expr]) -> Result<TimeColumns> {
    let input = plan.inputs()[0];
    let below = event_time_columns(input, &is_streaming).map_err(from_datafusion)?;
    match plan {
        LogicalPlan::Aggregate(_) => {
            let mut columns = event_time_columns(plan, &is_streaming).map_err(from_datafusion)?;
            columns.truncate(exprs.len());
            Ok(columns)
        }
        LogicalPlan::Distinct(Distinct::All(_)) => Ok(below),
        _ => {
            let time = |expr: &Expr| acequia::functions::lineage::time_of(expr, input.schema(), &below);
            exprs.iter().map(|expr| time(expr).map_err(from_datafusion)).collect()
        }
    }
}

pub(super) fn columns(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().columns().into_iter().map(Expr::Column).collect()
}

/// The plan with its streams being tables of the rows of these batches.
pub(super) fn with_rows(plan: LogicalPlan, batches: &[BatchRows]) -> Result<LogicalPlan> {
    let filled = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
        let provider = source_as_provider(&scan.source)?;
        let Some(stream) = provider.downcast_ref::<StreamScan>() else { return Ok(Transformed::no(node)) };
        let name = stream.stream().name();
        let rows = batches.iter().filter_map(|batch| batch.rows.get(name)).flatten().cloned().collect();
        let rows = match stream.stream().changelog() {
            Some(changelog) => vec![left(changelog, rows).map_err(|e| DataFusionError::External(e.into()))?],
            None => rows,
        };
        let table = MemTable::try_new(Arc::clone(stream.stream().row_schema()), vec![rows])?;
        let source = provider_as_source(Arc::new(table));
        Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan.clone() })))
    });
    filled.map(|filled| filled.data).map_err(from_datafusion)
}

/// The rows that are there after some changes.
fn left(changelog: &Changelog, records: Vec<RecordBatch>) -> Result<RecordBatch> {
    let mut rows: Vec<(String, RecordBatch, i64)> = vec![];
    for records in &records {
        let (batch, weights) = changelog.expand(records)?;
        for (row, weight) in weights.values().iter().enumerate() {
            let row = batch.slice(row, 1);
            rows.push((format!("{:?}", row.columns()), row, *weight));
        }
    }
    let mut net: HashMap<&str, i64> = HashMap::new();
    rows.iter().for_each(|(name, _, weight)| *net.entry(name).or_default() += weight);
    let mut kept = vec![];
    for (name, row, _) in &rows {
        if let Some(count) = net.get_mut(name.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            kept.push(row);
        }
    }
    Ok(concat_batches(changelog.rows(), kept)?)
}

/// Rows as a plan with the column names of another.
pub(super) fn table(names: &DFSchema, rows: Vec<RecordBatch>) -> Result<LogicalPlan> {
    table_of(names, rows, vec![])
}

/// The same, of rows that are in this order.
fn table_of(names: &DFSchema, rows: Vec<RecordBatch>, order: Vec<Vec<SortExpr>>) -> Result<LogicalPlan> {
    const NAME: &str = "__rows";
    let found = rows.first().map(RecordBatch::schema);
    let numbered = names.fields().iter().enumerate().map(|(i, field)| {
        // Names are of a plan whose types have not been coerced; rows have those of the plan that was run.
        let field = found.as_ref().map_or(field, |found| &found.fields()[i]);
        Field::new(format!("c{i}"), field.data_type().clone(), true)
    });
    let schema: SchemaRef = Arc::new(Schema::new(numbered.collect::<Vec<_>>()));
    let rows = rows.iter().map(|batch| renamed(batch, &schema)).collect::<Result<Vec<_>>>()?;
    let table = MemTable::try_new(schema, vec![rows]).map_err(from_datafusion)?.with_sort_order(order);
    let exprs = names.iter().enumerate().map(|(i, (qualifier, field))| {
        let column = Column::new(Some(TableReference::bare(NAME)), format!("c{i}"));
        Expr::Column(column).alias_qualified(qualifier.cloned(), field.name())
    });
    LogicalPlanBuilder::scan(NAME, provider_as_source(Arc::new(table)), None)
        .and_then(|scan| scan.project(exprs.collect::<Vec<_>>()))
        .and_then(LogicalPlanBuilder::build)
        .map_err(from_datafusion)
}

fn renamed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns =
        columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
