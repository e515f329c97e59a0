//! What tests of operators compare with: DataFusion's answer over all rows at once, and a slow store of saved state.

use super::{BatchContext, Operator, WEIGHT, raw_input};
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
            .with_optimizer_rules(logical)
            .with_physical_optimizer_rules(physical)
            .build()
    })
}

/// A context with the table `t`.
pub(super) fn context(rows: &RecordBatch) -> SessionContext {
    let catalogs = Arc::new(MemoryCatalogProviderList::new());
    let catalog = Arc::new(MemoryCatalogProvider::new());
    catalog.register_schema("public", Arc::new(MemorySchemaProvider::new())).unwrap();
    catalogs.register_catalog("datafusion".to_string(), catalog);
    let state = SessionStateBuilder::new_from_existing(state().clone()).with_catalog_list(catalogs).build();
    let context = SessionContext::new_with_state(state);
    let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]]).unwrap();
    context.register_table("t", Arc::new(table)).unwrap();
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
    if value.abs() < 1e-9 { "0".to_string() } else { format!("{value:.9e}") }
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

/// The saved rows of a table, as a checkpoint would merge them.
pub(super) struct Saved {
    table: TableDef,
    rows: BTreeMap<String, RecordBatch>,
}

impl Saved {
    pub(super) fn new(table: TableDef) -> Self {
        Self { table, rows: BTreeMap::new() }
    }

    fn keys(&self, batch: &RecordBatch) -> Vec<String> {
        let TableKind::Keyed { key_columns } = self.table.kind else { panic!("not a keyed table") };
        let columns: Vec<usize> = (0..key_columns).collect();
        // Debug text of the data tells -0.0, NaN and NULL apart.
        lines(&batch.project(&columns).unwrap())
    }

    pub(super) fn apply(&mut self, delta: &TableDelta) {
        assert_eq!(delta.table, self.table);
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
        if let (Some(bound), Some(time)) = (delta.evict_below, self.table.time_column) {
            self.rows.retain(|_, row| {
                let times = row.column(time).as_primitive::<Int64Type>();
                times.is_null(0) || times.value(0) >= bound
            });
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
