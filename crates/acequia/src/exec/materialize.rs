//! All rows of a result, given whole every batch: `COMPLETE` over what others keep as changes.
//!
//! State: the rows, in a [`RowStore`]; nothing leaves it but what is taken back. A batch costs the result, which is what
//! the mode asks for.

use super::delta::Delta;
use super::row_store::{RowId, RowStore, RowStoreSpec, SavedRows};
use super::{BatchContext, Operator};
use acequia_core::state::{Stateful, TableDef, TableDelta};
use acequia_core::{Error, OperatorId, Result, Watermark};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// The name of the state table.
const ROWS: &str = "rows";

/// Rows in a batch of output.
const OUTPUT_ROWS: usize = 8 * 1024;

/// What the planner says.
#[derive(Debug, Clone)]
pub struct MaterializeSpec {
    /// The operator's identity.
    pub operator: OperatorId,
    /// The columns of rows, without a weight.
    pub schema: SchemaRef,
    /// Whether rows may be taken back.
    pub retracting: bool,
}

/// See the [module](self).
pub struct MaterializeOperator {
    spec: MaterializeSpec,
    store: RowStore,
    saved: SavedRows,
    pending: Vec<RecordBatch>,
}

impl MaterializeOperator {
    /// The operator, with nothing in its state.
    ///
    /// # Errors
    /// `Unsupported` for types that cannot be compared.
    pub fn try_new(spec: MaterializeSpec) -> Result<Self> {
        let store = RowStore::new(RowStoreSpec {
            schema: Arc::clone(&spec.schema),
            key: vec![],
            nulls_equal: true,
            leave: spec.retracting,
            degree: false,
            time: None,
        })?;
        let saved = SavedRows::new(spec.operator, ROWS, &store);
        Ok(Self { spec, store, saved, pending: Vec::new() })
    }

    fn all(&self) -> Result<Vec<RecordBatch>> {
        let ids: Vec<RowId> = self.store.ids().collect();
        ids.chunks(OUTPUT_ROWS).map(|ids| self.store.delta_of(ids)?.copies()).collect()
    }
}

impl Operator for MaterializeOperator {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn push(&mut self, _context: &BatchContext, _input: usize, batch: RecordBatch) -> Result<()> {
        self.pending.push(batch);
        Ok(())
    }

    fn finish(&mut self, context: &BatchContext) -> Result<Vec<RecordBatch>> {
        let pending = std::mem::take(&mut self.pending);
        let delta = Delta::of(&self.spec.schema, &pending)?.consolidated()?;
        if delta.len() > 0 {
            self.saved.apply(&mut self.store, &delta, context.durable)?;
        }
        self.all()
    }

    fn late_rows(&self) -> u64 {
        0
    }

    fn wakes_at(&self, _watermark: Watermark) -> bool {
        false
    }
}

impl Stateful for MaterializeOperator {
    fn tables(&self) -> Vec<TableDef> {
        vec![self.saved.table().clone()]
    }

    fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
        let delta = self.saved.take_delta();
        Ok(if delta.is_empty() { vec![] } else { vec![delta] })
    }

    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        if table != ROWS {
            return Err(Error::data(format!("state is not of this operator: table=`{table}`")));
        }
        self.saved.restore(&mut self.store, &rows)
    }

    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>> {
        if table != ROWS {
            return Err(acequia_core::options::unknown("state table", table, [ROWS]));
        }
        self.saved.snapshot(&self.store)
    }

    fn state_rows(&self) -> usize {
        self.store.len()
    }

    fn state_bytes(&self) -> usize {
        self.store.bytes()
    }
}
