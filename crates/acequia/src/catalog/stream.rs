//! Streams: where their rows come from, and what SQL sees of them.
//!
//! SQL sees a [`StreamTable`], which planning inlines as
//! `EventTimeWatermark(Projection(StreamScan))`: the columns in the order of their declaration, computed ones
//! included, over the raw rows of the source. The watermark stands right above the rows, before any filter of a query.

use super::changelog::Changelog;
use crate::error::{from_datafusion, into_datafusion};
use crate::functions::EventTimeWatermark;
use crate::functions::interval::constant_micros;
use crate::sql::{Column as StreamColumn, ColumnKind, CreateStream, WatermarkClause};
use acequia_connectors::sources::{Connector, MemoryStream, SourceSpec, connector};
use acequia_core::{Error, Result, Source, SourceContext, options::unknown};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, DFSchema};
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType as SqlType, Expr as SqlExpr, ExprWithAlias, Ident, Value,
};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A stream of the catalog.
#[derive(Debug)]
pub struct Stream {
    name: String,
    connector: Arc<dyn Connector>,
    spec: SourceSpec,
    memory: Option<MemoryStream>,
    definition: CreateStream,
    raw: SchemaRef,
    changelog: Option<Changelog>,
    idle_timeout: Option<Duration>,
    max_future: Option<Duration>,
    final_watermark: bool,
}

impl Stream {
    /// A stream from its statement: options checked, columns inferred where none are declared.
    ///
    /// # Errors
    /// `Invalid` for a wrong option, column or type, naming it; those of the connector.
    pub async fn create(state: &SessionState, name: String, definition: CreateStream) -> Result<Self> {
        let (physical, metadata) = declared_fields(state, &definition.columns)?;
        let declared = (!physical.is_empty()).then(|| Arc::new(Schema::new(physical)));
        Self::with_columns(name, definition, declared, metadata).await
    }

    /// A stream whose physical columns are given as Arrow fields, or inferred.
    ///
    /// # Errors
    /// As [`Stream::create`].
    pub async fn with_columns(
        name: String,
        definition: CreateStream,
        declared: Option<SchemaRef>,
        metadata: Vec<(String, Field)>,
    ) -> Result<Self> {
        let mut options = definition.options.clone().owned_by(format!("stream `{name}`"));
        let connector_name = options.take("connector")?;
        let final_watermark = options.take_bool("final_watermark", false)?;
        let idle_timeout = options.take_interval("idle_timeout")?;
        let max_future = options.take_interval("max_future")?;
        let about_watermark = final_watermark || idle_timeout.is_some() || max_future.is_some();
        if definition.watermark.is_none() && about_watermark {
            return Err(Error::invalid(format!(
                "final_watermark, idle_timeout and max_future are about a watermark, and stream `{name}` has none; add WATERMARK FOR"
            )));
        }
        let changelog = Changelog::take(&name, &mut options, declared.as_ref())?;
        let (changelog, declared) = match changelog {
            Some((changelog, records)) => (Some(changelog), Some(records)),
            None => (None, declared),
        };
        if changelog.is_some() && (definition.watermark.is_some() || !metadata.is_empty()) {
            return Err(Error::unsupported(format!(
                "a stream of changes has neither watermark nor METADATA columns, as its rows are taken back whatever their time and place; leave them out: stream=`{name}`"
            )));
        }
        let (connector, memory): (Arc<dyn Connector>, _) = match connector_name.as_deref() {
            None | Some("memory") => {
                let Some(columns) = &declared else {
                    return Err(Error::invalid(format!(
                        "an in-memory stream needs columns: stream=`{name}`"
                    )));
                };
                let memory = MemoryStream::new(Arc::clone(columns));
                (Arc::new(memory.clone()), Some(memory))
            }
            Some(word) => (connector(word)?, None),
        };
        let spec = SourceSpec { name: name.clone(), options, declared, metadata };
        let description = connector.describe(&spec).await?;
        let (spec, raw) = (spec.pinned(&description), description.schema);
        Ok(Self {
            name,
            connector,
            spec,
            memory,
            definition,
            raw,
            changelog,
            idle_timeout,
            max_future,
            final_watermark,
        })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The statement that made it.
    pub fn definition(&self) -> &CreateStream {
        &self.definition
    }

    /// The rows of an in-memory stream; `None` for one with a connector.
    pub fn memory(&self) -> Option<&MemoryStream> {
        self.memory.as_ref()
    }

    /// The columns that a record of the source has, without computed ones.
    pub fn source_schema(&self) -> &SchemaRef {
        &self.raw
    }

    /// How records say which rows come and go; `None` where each is a row that comes.
    pub fn changelog(&self) -> Option<&Changelog> {
        self.changelog.as_ref()
    }

    /// The columns of its rows that it declares to be their key; nobody checks that they are.
    pub fn primary_key(&self) -> Vec<String> {
        self.definition.primary_key.iter().map(normalize).collect()
    }

    /// The columns of a row, without computed ones.
    pub fn row_schema(&self) -> &SchemaRef {
        self.changelog.as_ref().map_or(&self.raw, Changelog::rows)
    }

    /// How long the stream may say nothing before it no longer holds other streams' watermarks back.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout
    }

    /// How far ahead of the batch's time an event time may be and still move the watermark.
    pub fn max_future(&self) -> Option<Duration> {
        self.max_future
    }

    /// Whether the end of the stream closes its windows.
    pub fn final_watermark(&self) -> bool {
        self.final_watermark
    }

    /// Tells when rows arrive, of streams that can.
    pub fn arrivals(&self) -> Option<watch::Receiver<u64>> {
        self.memory.as_ref().map(MemoryStream::subscribe)
    }

    /// Opens the source for a query.
    ///
    /// # Errors
    /// Those of the connector.
    pub async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>> {
        self.connector.open(&self.spec, context).await
    }

    /// The plan that SQL sees: the declared columns with their watermark over the raw rows.
    ///
    /// # Errors
    /// `Invalid` for a computed column or watermark that does not fit the columns, with its place.
    fn plan(self: &Arc<Self>, state: &SessionState) -> Result<LogicalPlan> {
        let scan = provider_as_source(Arc::new(StreamScan { stream: Arc::clone(self) }));
        let mut builder =
            LogicalPlanBuilder::scan(self.name.as_str(), scan, None).map_err(from_datafusion)?;
        if self
            .definition
            .columns
            .iter()
            .any(|c| matches!(c.kind, ColumnKind::Computed { .. } | ColumnKind::Metadata { .. }))
        {
            let schema = DFSchema::try_from_qualified_schema(self.name.as_str(), self.row_schema())
                .map_err(from_datafusion)?;
            let mut exprs = self.inferred_columns();
            let is_op = |column: &&StreamColumn| {
                matches!(column.kind, ColumnKind::Physical { .. })
                    && self.row_schema().column_with_name(&normalize(&column.name)).is_none()
            };
            for column in self.definition.columns.iter().filter(|column| !is_op(column)) {
                exprs.push(self.column(state, column, &schema)?);
            }
            builder = builder.project(exprs).map_err(from_datafusion)?;
        }
        let plan = builder.build().map_err(from_datafusion)?;
        match &self.definition.watermark {
            None => Ok(plan),
            Some(clause) => self.watermark(state, clause, plan).map_err(|e| e.at(clause.location)),
        }
    }

    /// The physical columns that the statement does not name since the connector knows them.
    fn inferred_columns(&self) -> Vec<Expr> {
        if self.definition.columns.iter().any(|c| matches!(c.kind, ColumnKind::Physical { .. })) {
            return vec![];
        }
        let physical = self.raw.fields().len() - self.spec.metadata.len();
        let column = |field: &Arc<Field>| Expr::Column(Column::new(Some(self.name.as_str()), field.name()));
        self.raw.fields()[..physical].iter().map(column).collect()
    }

    fn column(&self, state: &SessionState, column: &StreamColumn, raw: &DFSchema) -> Result<Expr> {
        let name = normalize(&column.name);
        match &column.kind {
            ColumnKind::Computed { expr } => {
                let expr = sql_expr(state, expr.as_ref().clone(), raw);
                Ok(expr.map_err(|e| e.context(format!("column `{name}`")).at(column.location))?.alias(name))
            }
            _ => Ok(Expr::Column(Column::new(Some(self.name.as_str()), name))),
        }
    }

    fn watermark(
        &self,
        state: &SessionState,
        clause: &WatermarkClause,
        plan: LogicalPlan,
    ) -> Result<LogicalPlan> {
        let name = normalize(&clause.column);
        let names = || plan.schema().fields().iter().map(|f| f.name().as_str());
        let Some(column) = plan.schema().columns().into_iter().find(|column| column.name == name) else {
            return Err(unknown(
                &format!("column of stream `{}`", self.name),
                &name,
                names().collect::<Vec<_>>(),
            ));
        };
        let delay = match &clause.expr {
            None => 0,
            Some(expr) => delay_micros(state, &clause.column, expr)?,
        };
        let marked =
            EventTimeWatermark::try_new(plan, column, delay, self.name.clone()).map_err(from_datafusion)?;
        Ok(marked.into_plan())
    }
}

/// An identifier as DataFusion reads it: lower case unless quoted.
pub(crate) fn normalize(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Declared physical columns, and metadata columns with the connector's keys.
type Declared = (Vec<Field>, Vec<(String, Field)>);

fn declared_fields(state: &SessionState, columns: &[StreamColumn]) -> Result<Declared> {
    let (mut physical, mut metadata) = (vec![], vec![]);
    let mut seen = BTreeSet::new();
    for column in columns {
        let name = normalize(&column.name);
        if !seen.insert(name.clone()) {
            return Err(Error::invalid(format!("column given twice: `{name}`")).at(column.location));
        }
        let arrow_type = |sql_type: &SqlType| {
            let found = arrow_type(state, sql_type);
            found.map_err(|e| e.context(format!("column `{name}`")).at(column.location))
        };
        match &column.kind {
            ColumnKind::Physical { data_type, nullable } => {
                physical.push(Field::new(&name, arrow_type(data_type)?, *nullable));
            }
            ColumnKind::Metadata { data_type, from } => {
                metadata.push((from.clone(), Field::new(&name, arrow_type(data_type)?, true)));
            }
            ColumnKind::Computed { .. } => {}
        }
    }
    Ok((physical, metadata))
}

fn sql_expr(state: &SessionState, expr: SqlExpr, schema: &DFSchema) -> Result<Expr> {
    let expr = ExprWithAlias { expr, alias: None };
    state.create_logical_expr_from_sql_expr(expr, schema).map_err(from_datafusion)
}

/// The Arrow type of an SQL type: that of `CAST(NULL AS type)`.
fn arrow_type(state: &SessionState, sql_type: &SqlType) -> Result<DataType> {
    let cast = SqlExpr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(SqlExpr::Value(Value::Null.with_empty_span())),
        data_type: sql_type.clone(),
        array: false,
        format: None,
    };
    let schema = DFSchema::empty();
    sql_expr(state, cast, &schema)?.get_type(&schema).map_err(from_datafusion)
}

/// `ts - INTERVAL '5' SECOND` says five seconds; `ts` says none.
fn delay_micros(state: &SessionState, column: &Ident, expr: &SqlExpr) -> Result<i64> {
    let is_column =
        |e: &SqlExpr| matches!(e, SqlExpr::Identifier(ident) if normalize(ident) == normalize(column));
    if is_column(expr) {
        return Ok(0);
    }
    if let SqlExpr::BinaryOp { left, op: BinaryOperator::Minus, right } = expr
        && is_column(left)
    {
        let delay = sql_expr(state, right.as_ref().clone(), &DFSchema::empty())?;
        return constant_micros(&delay, "watermark delay").map_err(from_datafusion);
    }
    Err(Error::invalid(format!(
        "watermark must be the column, or the column minus an interval: `{expr}`; write `{column} - INTERVAL '5' SECOND`"
    )))
}

/// What a stream's name stands for in SQL.
#[derive(Debug)]
pub struct StreamTable {
    stream: Arc<Stream>,
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl StreamTable {
    /// The table of a stream.
    ///
    /// # Errors
    /// `Invalid` for computed columns or a watermark that do not fit.
    pub fn try_new(state: &SessionState, stream: Arc<Stream>) -> Result<Self> {
        let plan = stream.plan(state)?;
        let schema = Arc::new(plan.schema().as_arrow().clone());
        Ok(Self { stream, plan, schema })
    }

    /// The stream.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }
}

#[async_trait]
impl TableProvider for StreamTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        Err(no_batch_scan(&self.stream))
    }
}

/// The raw rows of a stream: the leaf that the streaming planner replaces.
#[derive(Debug)]
pub struct StreamScan {
    stream: Arc<Stream>,
}

impl StreamScan {
    /// The stream.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }
}

#[async_trait]
impl TableProvider for StreamScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.stream.row_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        Err(no_batch_scan(&self.stream))
    }
}

fn no_batch_scan(stream: &Stream) -> datafusion::common::DataFusionError {
    into_datafusion(Error::unsupported(format!(
        "a stream can only be read by a continuous query: stream=`{}`; use SELECT, INSERT INTO or CREATE MATERIALIZED VIEW",
        stream.name
    )))
}
