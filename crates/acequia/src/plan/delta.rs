//! The leaves of an island: where the rows of one micro-batch enter a DataFusion plan.
//!
//! A [`DeltaTable`] stands in the logical plan for a stream or for the output of a stateful operator; planning turns
//! it into a [`DeltaExec`], and the runtime puts the rows of each batch into their shared [`Slot`] before it runs the
//! island. The exec gives the row stream away once per batch. It says that it is bounded and cooperative, has no
//! statistics and takes no filters, so that nothing about one batch leaks into a plan that serves all of them.

use super::unread::Unread;
use arrow::compute::SortOptions;
use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::datasource::TableType;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

/// Where the rows of a batch wait for the island that reads them.
#[derive(Default)]
pub struct Slot {
    rows: Mutex<Option<SendableRecordBatchStream>>,
    projection: Mutex<Option<Vec<usize>>>,
    unread: Unread,
}

impl Slot {
    /// Puts the rows of the next batch in, already projected to [`Slot::projection`].
    pub fn fill(&self, rows: SendableRecordBatchStream) {
        self.unread.clear();
        *self.rows.lock() = Some(rows);
    }

    /// What the island has left of the rows.
    pub(super) fn unread(&self) -> &Unread {
        &self.unread
    }

    /// The columns of the table that the planned island reads, in this order; all when `None`.
    pub fn projection(&self) -> Option<Vec<usize>> {
        self.projection.lock().clone()
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("projection", &self.projection).finish_non_exhaustive()
    }
}

/// The logical leaf: a table whose rows are those of one batch.
#[derive(Debug)]
pub(super) struct DeltaTable {
    schema: SchemaRef,
    name: String,
    slot: Arc<Slot>,
    order: Vec<(usize, SortOptions)>,
}

impl DeltaTable {
    /// A leaf with these columns, and the slot that feeds it. It must be planned exactly once.
    pub(super) fn new(name: impl Into<String>, schema: SchemaRef) -> (Self, Arc<Slot>) {
        let slot = Arc::new(Slot::default());
        (Self { schema, name: name.into(), slot: Arc::clone(&slot), order: Vec::new() }, slot)
    }

    /// The same leaf, into which rows come in the order of these columns.
    pub(super) fn ordered(self, order: Vec<(usize, SortOptions)>) -> Self {
        Self { order, ..self }
    }
}

#[async_trait]
impl TableProvider for DeltaTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
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
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        *self.slot.projection.lock() = projection.cloned();
        let place = |column: usize| match projection {
            Some(columns) => columns.iter().position(|kept| *kept == column),
            None => Some(column),
        };
        let order = self.order.iter().map_while(|(column, options)| {
            let column = place(*column)?;
            let name = schema.field(column).name();
            Some(PhysicalSortExpr::new(Arc::new(PhysicalColumn::new(name, column)), *options))
        });
        let order: Vec<PhysicalSortExpr> = order.collect();
        Ok(Arc::new(DeltaExec::new(self.name.clone(), schema, Arc::clone(&self.slot), order)))
    }
}

/// The physical leaf.
#[derive(Debug)]
pub(super) struct DeltaExec {
    name: String,
    schema: SchemaRef,
    slot: Arc<Slot>,
    properties: Arc<PlanProperties>,
}

impl DeltaExec {
    fn new(name: String, schema: SchemaRef, slot: Arc<Slot>, order: Vec<PhysicalSortExpr>) -> Self {
        let orders = if order.is_empty() { vec![] } else { vec![order] };
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(Arc::clone(&schema), orders),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Self { name, schema, slot, properties: Arc::new(properties) }
    }

    /// Where its rows wait.
    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }
}

impl DisplayAs for DeltaExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<_> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "DeltaExec: {} columns=[{}]", self.name, columns.join(", "))
    }
}

impl ExecutionPlan for DeltaExec {
    fn name(&self) -> &str {
        "DeltaExec"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        match self.slot.rows.lock().take() {
            Some(rows) => Ok(self.slot.unread.watched(rows)),
            None => internal_err!("no rows were put into the slot of {}", self.name),
        }
    }
}
