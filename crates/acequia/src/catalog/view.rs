//! Tables that continuous queries keep: materialized views, streaming tables and `memory` sinks.

use crate::error::into_datafusion;
use acequia_connectors::sinks::MemoryTable;
use acequia_core::OutputMode;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;

/// A table whose content is the current result of a continuous query.
#[derive(Debug)]
pub struct MaterializedTable {
    name: String,
    query: String,
    statement: String,
    schema: SchemaRef,
    content: Arc<MemoryTable>,
    definition: Option<ViewDefinition>,
}

/// What a view's rows are.
#[derive(Debug, Clone)]
pub struct ViewDefinition {
    /// The query that keeps it, as it was planned.
    pub logical: LogicalPlan,
    /// Its mode.
    pub mode: OutputMode,
    /// Whether rows are held back until they are final.
    pub finality: bool,
}

impl MaterializedTable {
    /// A table of this name that the named query keeps; `statement` is the text that made it.
    pub fn new(
        name: String,
        query: String,
        statement: String,
        schema: SchemaRef,
        content: Arc<MemoryTable>,
    ) -> Self {
        Self { name, query, statement, schema, content, definition: None }
    }

    /// The same as a view, which is nothing but the result of its query.
    pub fn defined_by(self, definition: ViewDefinition) -> Self {
        Self { definition: Some(definition), ..self }
    }

    /// What its rows are; `None` for a table that queries write to.
    pub fn definition(&self) -> Option<&ViewDefinition> {
        self.definition.as_ref()
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The query that keeps it.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The statement that made it.
    pub fn statement(&self) -> &str {
        &self.statement
    }

    /// Its rows.
    pub fn content(&self) -> &Arc<MemoryTable> {
        &self.content
    }
}

#[async_trait]
impl TableProvider for MaterializedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        let rows = self.content.snapshot().map_err(into_datafusion)?;
        Ok(MemorySourceConfig::try_new_exec(&[rows], Arc::clone(&self.schema), projection.cloned())?)
    }
}
