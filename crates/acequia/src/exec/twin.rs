//! What tests of operators compare with: DataFusion's answer over all rows at once, and a slow store of saved state.

use super::delta::encode;
use super::{BatchContext, Operator, WEIGHT, raw_input};
use crate::functions::InTotalOrder;
use acequia_core::state::{TableDef, TableDelta, TableKind};
use acequia_core::{BatchId, Timestamp, Watermark};
use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProvider};
use datafusion::catalog::{MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::datasource::MemTable;
use datafusion::execution::context::SessionContext;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionConfig;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A state that plans as the engine does: one partition, and no rule that looks at the rows.
fn state() -> &'static SessionState {
    static STATE: OnceLock<SessionState> = OnceLock::new();
    STATE.get_or_init(|| {
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .set_bool("datafusion.optimizer.enable_dynamic_filter_pushdown", false);
        let state = SessionStateBuilder::new_with_default_features().with_config(config).build();
        let logical = state.optimizers().iter();
        let logical = logical.filter(|rule| rule.name() != "single_distinct_aggregation_to_group_by");
        let logical = logical.cloned().collect();
        let looks_at_rows = ["aggregate_statistics", "LimitedDistinctAggregation", "TopKAggregation"];
        let physical = state.physical_optimizers().iter();
        let physical = physical.filter(|rule| !looks_at_rows.contains(&rule.name())).cloned().collect();
        SessionStateBuilder::new_from_existing(state)
            .with_analyzer_rule(Arc::new(InTotalOrder))
            .with_optimizer_rules(logical)
            .with_physical_optimizer_rules(physical)
            .build()
    })
}

/// A context with the table `t`.
pub(super) fn context(rows: &RecordBatch) -> SessionContext {
    context_of(&[("t", rows)])
}

/// A context with these tables.
pub(super) fn context_of(tables: &[(&str, &RecordBatch)]) -> SessionContext {
    let catalogs = Arc::new(MemoryCatalogProviderList::new());
    let catalog = Arc::new(MemoryCatalogProvider::new());
    catalog.register_schema("public", Arc::new(MemorySchemaProvider::new())).unwrap();
    catalogs.register_catalog("datafusion".to_string(), catalog);
    let state = SessionStateBuilder::new_from_existing(state().clone()).with_catalog_list(catalogs).build();
    let context = SessionContext::new_with_state(state);
    for (name, rows) in tables {
        let table = MemTable::try_new(rows.schema(), vec![vec![(*rows).clone()]]).unwrap();
        context.register_table(*name, Arc::new(table)).unwrap();
    }
    context
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The aggregate of a query over these rows.
pub(super) fn aggregate(context: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    let plan = block_on(async { context.sql(sql).await.unwrap().create_physical_plan().await.unwrap() });
    find(&plan).unwrap_or_else(|| panic!("no aggregate in the plan of {sql}"))
}

fn find(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    if plan.downcast_ref::<AggregateExec>().is_some() {
        return Some(Arc::clone(plan));
    }
    plan.children().into_iter().find_map(find)
}

/// Runs a plan.
pub(super) fn run(context: &SessionContext, plan: &Arc<dyn ExecutionPlan>) -> Vec<RecordBatch> {
    block_on(collect(Arc::clone(plan), context.task_ctx())).unwrap()
}

/// DataFusion's answer of a query.
pub(super) fn query(context: &SessionContext, sql: &str) -> Vec<RecordBatch> {
    block_on(async { context.sql(sql).await.unwrap().collect().await.unwrap() })
}

/// The rows that a query's aggregate is pushed, and its own answer over them.
pub(super) fn input_of(rows: &RecordBatch, sql: &str) -> Vec<RecordBatch> {
    let context = context(rows);
    let plan = aggregate(&context, sql);
    let input = raw_input(plan.downcast_ref::<AggregateExec>().unwrap()).unwrap();
    run(&context, &input)
}

/// DataFusion's answer of a query's aggregate.
pub(super) fn answer(rows: &RecordBatch, sql: &str) -> Vec<String> {
    let context = context(rows);
    let plan = aggregate(&context, sql);
    sorted(run(&context, &plan).iter().flat_map(lines))
}

pub(super) fn sorted(rows: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut rows: Vec<String> = rows.into_iter().collect();
    rows.sort();
    rows
}

/// Each row as text; floats to nine digits.
pub(super) fn lines(batch: &RecordBatch) -> Vec<String> {
    let columns: Vec<Vec<String>> = batch.columns().iter().map(texts).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| c[row].as_str()).collect::<Vec<_>>().join(" | "))
        .collect()
}

fn texts(column: &ArrayRef) -> Vec<String> {
    let null = || "NULL".to_string();
    match column.data_type() {
        DataType::Float64 => {
            column.as_primitive::<Float64Type>().iter().map(|v| v.map_or_else(null, float)).collect()
        }
        DataType::Float32 => column
            .as_primitive::<Float32Type>()
            .iter()
            .map(|v| v.map_or_else(null, |v| float(v.into())))
            .collect(),
        _ => {
            let options = FormatOptions::new().with_null("NULL");
            let format = ArrayFormatter::try_new(column, &options).unwrap();
            (0..column.len()).map(|row| format.value(row).to_string()).collect()
        }
    }
}

fn float(value: f64) -> String {
    // 0.9999999999 and 1 are one answer, though no digits of them are the same.
    let value = if (value - value.round()).abs() < 1e-9 { value.round() } else { value };
    if value == 0.0 { "0".to_string() } else { format!("{value:.9e}") }
}

/// A result as a sink keeps it: rows with weights.
#[derive(Default)]
pub(super) struct Folded {
    rows: BTreeMap<String, i64>,
}

impl Folded {
    /// Applies rows with weights, or inserts rows without.
    pub(super) fn apply(&mut self, batches: &[RecordBatch]) {
        for batch in batches {
            let weighted = batch.schema().index_of(WEIGHT).ok();
            let (rows, weights) = match weighted {
                Some(weight) => {
                    let columns: Vec<usize> = (0..weight).collect();
                    (
                        batch.project(&columns).unwrap(),
                        batch.column(weight).as_primitive::<Int64Type>().clone(),
                    )
                }
                None => (batch.clone(), Int64Array::from_value(1, batch.num_rows())),
            };
            for (line, weight) in lines(&rows).into_iter().zip(weights.values()) {
                assert_ne!(*weight, 0);
                *self.rows.entry(line).or_default() += weight;
            }
        }
        self.rows.retain(|_, weight| *weight != 0);
    }

    /// The rows, sorted; all weights must be positive.
    pub(super) fn rows(&self) -> Vec<String> {
        let copies = |(row, weight): (&String, &i64)| {
            assert!(*weight > 0, "{row} has weight {weight}");
            vec![row.clone(); *weight as usize]
        };
        self.rows.iter().flat_map(copies).collect()
    }
}

/// The rows of an input as they are now, changed at random.
pub(super) struct Rows {
    schema: SchemaRef,
    rows: Vec<RecordBatch>,
}

impl Rows {
    pub(super) fn new(schema: SchemaRef) -> Self {
        Self { schema, rows: Vec::new() }
    }

    /// All rows.
    pub(super) fn batch(&self) -> RecordBatch {
        concat_batches(&self.schema, &self.rows).unwrap()
    }

    /// Adds rows and, if it may, takes some back; the change batches in random pieces and order.
    pub(super) fn change(
        &mut self,
        rng: &mut SmallRng,
        added: RecordBatch,
        retracting: bool,
    ) -> Vec<RecordBatch> {
        let mut changes: Vec<(RecordBatch, i64)> =
            (0..added.num_rows()).map(|row| (added.slice(row, 1), 1)).collect();
        self.rows.extend(changes.iter().map(|(row, _)| row.clone()));
        if !retracting {
            return vec![added];
        }
        while !self.rows.is_empty() && rng.random_bool(0.5) {
            let row = rng.random_range(0..self.rows.len());
            changes.push((self.rows.swap_remove(row), -1));
        }
        changes.shuffle(rng);
        let schema = super::with_weight(&self.schema);
        let weighted =
            changes.into_iter().map(|(row, weight)| super::append_weight(&row, &schema, weight).unwrap());
        weighted.collect()
    }
}

/// What a checkpoint would have of an operator all of whose tables are additive.
pub(super) struct SavedBags(Vec<SavedBag>);

impl SavedBags {
    pub(super) fn of(operator: &dyn Operator) -> Self {
        Self(operator.tables().into_iter().map(SavedBag::new).collect())
    }

    /// Applies what has changed, which makes it what the operator has.
    pub(super) fn take(&mut self, operator: &mut dyn Operator) {
        for delta in operator.take_deltas().unwrap() {
            self.0.iter_mut().find(|bag| bag.is(&delta.table)).unwrap().apply(&delta);
        }
        self.0.iter().for_each(|bag| bag.assert_is(operator));
    }

    /// Puts everything into an operator that has nothing.
    pub(super) fn restore_into(&self, operator: &mut dyn Operator) {
        self.0.iter().for_each(|bag| bag.restore_into(operator));
    }
}

/// The rows of an additive table, as a checkpoint would merge them.
pub(super) struct SavedBag {
    table: TableDef,
    rows: BTreeMap<String, (RecordBatch, i64)>,
}

impl SavedBag {
    pub(super) fn new(table: TableDef) -> Self {
        assert_eq!(table.kind, TableKind::Additive);
        Self { table, rows: BTreeMap::new() }
    }

    pub(super) fn is(&self, table: &TableDef) -> bool {
        self.table == *table
    }

    fn weighted(&self, batch: &RecordBatch) -> Vec<(String, RecordBatch, i64)> {
        assert_eq!(batch.schema(), self.table.schema);
        let weight = batch.num_columns() - 1;
        let own: Vec<usize> = (0..weight).collect();
        let weights = batch.column(weight).as_primitive::<Int64Type>().clone();
        // Debug text of the data tells -0.0, NaN and NULL apart.
        let names = (0..batch.num_rows())
            .map(|row| format!("{:?}", batch.project(&own).unwrap().slice(row, 1).columns()));
        names.enumerate().map(|(row, name)| (name, batch.slice(row, 1), weights.value(row))).collect()
    }

    pub(super) fn apply(&mut self, delta: &TableDelta) {
        assert!(delta.deletes.is_empty());
        let changes: Vec<_> = delta.upserts.iter().flat_map(|batch| self.weighted(batch)).collect();
        for (name, row, weight) in changes {
            self.rows.entry(name).or_insert((row, 0)).1 += weight;
        }
        self.rows.retain(|_, (_, weight)| *weight != 0);
        if let (Some(bound), Some(time)) = (delta.evict_below, self.table.time_column) {
            self.rows.retain(|_, (row, _)| {
                let times = row.column(time).as_primitive::<Int64Type>();
                times.is_null(0) || times.value(0) >= bound
            });
        }
    }

    fn batch(&self) -> RecordBatch {
        let rows = self.rows.values().map(|(row, weight)| {
            let mut columns = row.columns().to_vec();
            *columns.last_mut().unwrap() = Arc::new(Int64Array::from(vec![*weight]));
            RecordBatch::try_new(row.schema(), columns).unwrap()
        });
        concat_batches(&self.table.schema, &rows.collect::<Vec<_>>()).unwrap()
    }

    /// Asserts that the operator's own view of the table is the same.
    pub(super) fn assert_is(&self, operator: &dyn Operator) {
        let mut live: BTreeMap<String, i64> = BTreeMap::new();
        for (name, _, weight) in
            operator.snapshot(&self.table.name).unwrap().iter().flat_map(|batch| self.weighted(batch))
        {
            *live.entry(name).or_default() += weight;
        }
        let saved: BTreeMap<String, i64> =
            self.rows.iter().map(|(name, (_, weight))| (name.clone(), *weight)).collect();
        assert_eq!(live, saved, "saved rows of {}", self.table.name);
    }

    /// Puts the rows into a fresh operator, in two pieces.
    pub(super) fn restore_into(&self, operator: &mut dyn Operator) {
        let all = self.batch();
        let half = all.num_rows() / 2;
        operator.restore(&self.table.name, all.slice(0, half)).unwrap();
        operator.restore(&self.table.name, all.slice(half, all.num_rows() - half)).unwrap();
    }
}

/// The saved rows of a table, as a checkpoint would merge them.
pub(super) struct Saved {
    table: TableDef,
    rows: BTreeMap<String, RecordBatch>,
    /// The weights of rows of an additive table.
    weights: BTreeMap<String, i64>,
}

impl Saved {
    pub(super) fn new(table: TableDef) -> Self {
        Self { table, rows: BTreeMap::new(), weights: BTreeMap::new() }
    }

    fn keys(&self, batch: &RecordBatch) -> Vec<String> {
        let columns: Vec<usize> = match self.table.kind {
            TableKind::Keyed { key_columns } => (0..key_columns).collect(),
            TableKind::Additive => {
                let bytes = encode(&batch.columns()[..batch.num_columns() - 1]).unwrap();
                return bytes.iter().map(|row| format!("{:?}", row.data())).collect();
            }
        };
        // Debug text of the data tells -0.0, NaN and NULL apart.
        lines(&batch.project(&columns).unwrap())
    }

    pub(super) fn apply(&mut self, delta: &TableDelta) {
        assert_eq!(delta.table, self.table);
        if self.table.kind == TableKind::Additive {
            self.add(&delta.upserts);
        } else {
            self.put(delta);
        }
        if let (Some(bound), Some(time)) = (delta.evict_below, self.table.time_column) {
            self.rows.retain(|_, row| {
                let times = row.column(time).as_primitive::<Int64Type>();
                times.is_null(0) || times.value(0) >= bound
            });
            self.weights.retain(|key, _| self.rows.contains_key(key));
        }
    }

    fn add(&mut self, changes: &[RecordBatch]) {
        for batch in changes {
            let weights = batch.columns().last().unwrap().as_primitive::<Int64Type>();
            for (row, key) in self.keys(batch).into_iter().enumerate() {
                let weight = self.weights.entry(key.clone()).or_default();
                *weight += weights.value(row);
                let mut columns = batch.slice(row, 1).columns().to_vec();
                *columns.last_mut().unwrap() = Arc::new(Int64Array::from(vec![*weight]));
                self.rows.insert(key, RecordBatch::try_new(batch.schema(), columns).unwrap());
            }
        }
        self.weights.retain(|_, weight| *weight != 0);
        self.rows.retain(|key, _| self.weights.contains_key(key));
        assert!(self.weights.values().all(|weight| *weight > 0));
    }

    fn put(&mut self, delta: &TableDelta) {
        let mut seen = std::collections::BTreeSet::new();
        for batch in &delta.deletes {
            for key in self.keys(batch) {
                assert!(seen.insert(key.clone()), "{key} twice in a delta");
                assert!(self.rows.remove(&key).is_some(), "{key} deleted but never saved");
            }
        }
        for batch in &delta.upserts {
            assert_eq!(batch.schema(), self.table.schema);
            for (row, key) in self.keys(batch).into_iter().enumerate() {
                assert!(seen.insert(key.clone()), "{key} twice in a delta");
                self.rows.insert(key, batch.slice(row, 1));
            }
        }
    }

    /// All rows in one batch.
    pub(super) fn batch(&self) -> RecordBatch {
        concat_batches(&self.table.schema, self.rows.values()).unwrap()
    }

    /// Puts the rows into a fresh operator, in two pieces.
    pub(super) fn restore_into(&self, operator: &mut dyn Operator) {
        let all = self.batch();
        let half = all.num_rows() / 2;
        operator.restore(&self.table.name, all.slice(0, half)).unwrap();
        operator.restore(&self.table.name, all.slice(half, all.num_rows() - half)).unwrap();
    }

    /// Asserts that the operator's own view of the table is the same.
    pub(super) fn assert_is(&self, operator: &dyn Operator) {
        let live = operator.snapshot(&self.table.name).unwrap();
        let live = sorted(live.iter().flat_map(lines));
        assert_same(&live, &sorted(lines(&self.batch())), &format!("saved rows of {}", self.table.name));
    }

    pub(super) fn is(&self, table: &TableDef) -> bool {
        self.table == *table
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// The context of a batch.
pub(super) fn at(batch: u64, watermark: Option<i64>) -> BatchContext {
    BatchContext {
        batch: BatchId(batch),
        watermark: Watermark(watermark.map(Timestamp)),
        late_watermark: Watermark(watermark.map(Timestamp)),
        previous_watermark: Watermark(None),
        batch_time: Timestamp(0),
        durable: true,
    }
}

/// Rows of both batches.
pub(super) fn together(schema: &SchemaRef, batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(schema, batches).unwrap()
}

/// Asserts that the rows are the same, and shows those that are not.
pub(super) fn assert_same(actual: &[String], expected: &[String], what: &str) {
    let only = |a: &[String], b: &[String]| {
        a.iter().filter(|row| !b.contains(row)).take(5).cloned().collect::<Vec<_>>()
    };
    let (extra, missing) = (only(actual, expected), only(expected, actual));
    assert!(
        actual == expected,
        "{what}: {} rows, not {}\nextra: {extra:#?}\nmissing: {missing:#?}",
        actual.len(),
        expected.len()
    );
}
