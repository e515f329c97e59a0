//! `progress('q')` and `state('q')`: what a query does and keeps, as tables.

use super::RunningQuery;
use crate::error::into_datafusion;
use crate::runtime::{StateTable, StreamingQuery};
use acequia_core::{Error, Result, options::unknown};
use arrow::array::{
    ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::json::writer::{LineDelimited, WriterBuilder};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use indexmap::IndexMap;
use parking_lot::RwLock;
use std::sync::{Arc, Weak};

/// The queries of a session.
pub(super) type Queries = Arc<RwLock<IndexMap<String, Arc<RunningQuery>>>>;

/// Adds the table functions to a session.
pub(super) fn register(context: &SessionContext, queries: &Queries) {
    for what in [Introspect::Progress, Introspect::State] {
        let function = IntrospectFunction { what, queries: Arc::downgrade(queries) };
        context.register_udtf(what.name(), Arc::new(function));
    }
}

#[derive(Debug, Clone, Copy)]
enum Introspect {
    Progress,
    State,
}

impl Introspect {
    fn name(self) -> &'static str {
        match self {
            Self::Progress => "progress",
            Self::State => "state",
        }
    }

    fn schema(self) -> SchemaRef {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let field = |name: &str, data_type: DataType| Field::new(name, data_type, true);
        Arc::new(Schema::new(match self {
            Self::Progress => vec![
                field("batch", DataType::UInt64),
                field("timestamp", time.clone()),
                field("watermark", time.clone()),
                field("next_watermark", time),
                field("input_rows", DataType::UInt64),
                field("output_rows", DataType::UInt64),
                field("late_rows", DataType::UInt64),
                field("skipped_records", DataType::UInt64),
                field("future_rows", DataType::UInt64),
                field("state_rows", DataType::UInt64),
                field("duration_ms", DataType::Float64),
            ],
            Self::State => vec![
                field("operator", DataType::Utf8),
                field("table", DataType::Utf8),
                field("row", DataType::Utf8),
            ],
        }))
    }
}

#[derive(Debug)]
struct IntrospectFunction {
    what: Introspect,
    /// A query's plan knows the session's functions: they must not keep the query's own handle, so that it ends when
    /// everybody else has dropped it.
    queries: Weak<RwLock<IndexMap<String, Arc<RunningQuery>>>>,
}

impl TableFunctionImpl for IntrospectFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> datafusion::common::Result<Arc<dyn TableProvider>> {
        let name = match args.exprs() {
            [Expr::Literal(ScalarValue::Utf8(Some(name)) | ScalarValue::Utf8View(Some(name)), _)] => {
                name.clone()
            }
            _ => {
                let what = self.what.name();
                let message = format!("{what}() takes the name of a query as text; write {what}('q1')");
                return Err(into_datafusion(Error::invalid(message)));
            }
        };
        let queries = self.queries.upgrade().unwrap_or_default();
        let queries = queries.read();
        let Some(query) = queries.get(&name) else {
            return Err(into_datafusion(unknown("query", &name, queries.keys().map(String::as_str))));
        };
        Ok(Arc::new(IntrospectTable { what: self.what, query: Arc::clone(&query.handle) }))
    }
}

/// A table that asks the query when it is scanned.
#[derive(Debug)]
struct IntrospectTable {
    what: Introspect,
    query: Arc<StreamingQuery>,
}

#[async_trait]
impl TableProvider for IntrospectTable {
    fn schema(&self) -> SchemaRef {
        self.what.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        let rows = match self.what {
            Introspect::Progress => progress_rows(&self.query, self.schema()),
            Introspect::State => match self.query.state().await {
                Ok(tables) => state_rows(&tables, self.schema()),
                Err(error) => Err(error),
            },
        };
        let rows = rows.map_err(into_datafusion)?;
        Ok(MemorySourceConfig::try_new_exec(&[vec![rows]], self.schema(), projection.cloned())?)
    }
}

fn progress_rows(query: &StreamingQuery, schema: SchemaRef) -> Result<RecordBatch> {
    let recent = query.recent_progress();
    let time = |f: fn(&crate::runtime::StreamingQueryProgress) -> Option<i64>| {
        Arc::new(TimestampMicrosecondArray::from_iter(recent.iter().map(f)).with_timezone("UTC")) as ArrayRef
    };
    let count = |f: fn(&crate::runtime::StreamingQueryProgress) -> u64| {
        Arc::new(UInt64Array::from_iter_values(recent.iter().map(f))) as ArrayRef
    };
    let columns = vec![
        count(|p| p.batch_id.0),
        time(|p| Some(p.timestamp.0)),
        time(|p| p.watermark.micros()),
        time(|p| p.next_watermark.micros()),
        count(|p| p.num_input_rows),
        count(|p| p.num_output_rows),
        count(|p| p.num_late_rows),
        count(|p| p.num_skipped_records),
        count(|p| p.num_future_rows),
        count(|p| p.state_rows()),
        Arc::new(Float64Array::from_iter_values(recent.iter().map(|p| p.duration_ms.trigger_execution))),
    ];
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// One line of JSON for each row, since every operator has columns of its own.
fn state_rows(tables: &[StateTable], schema: SchemaRef) -> Result<RecordBatch> {
    let (mut operators, mut names, mut rows) = (vec![], vec![], vec![]);
    for table in tables {
        for batch in &table.rows {
            for line in json_lines(batch)? {
                operators.push(table.operator_name.clone());
                names.push(table.table.clone());
                rows.push(line);
            }
        }
    }
    let columns: Vec<ArrayRef> =
        [operators, names, rows].into_iter().map(|c| Arc::new(StringArray::from(c)) as ArrayRef).collect();
    Ok(RecordBatch::try_new(schema, columns)?)
}

fn json_lines(batch: &RecordBatch) -> Result<Vec<String>> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    let text = String::from_utf8_lossy(&writer.into_inner()).into_owned();
    Ok(text.lines().map(str::to_string).collect())
}
