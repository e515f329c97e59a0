//! LIMIT and OFFSET without ORDER BY, over rows that are only added: the first rows to come, after those that are
//! skipped. SQL leaves open which rows they are; those that came first never change.
//!
//! State: how many rows have come, as far as that matters. Saved state: the table `seen` of one row.

use super::{BatchContext, Operator};
use acequia_core::state::{Stateful, TableDef, TableDelta, TableKind};
use acequia_core::{Error, OperatorId, Result, Watermark};
use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use std::sync::Arc;

/// The name of the state table.
const SEEN: &str = "seen";

/// What the planner says.
#[derive(Debug, Clone)]
pub struct FirstRowsSpec {
    /// The operator's identity.
    pub operator: OperatorId,
    /// The columns of rows.
    pub schema: SchemaRef,
    /// How many rows are skipped.
    pub skip: usize,
    /// How many rows are given then; all without.
    pub fetch: Option<usize>,
}

/// See the [module](self).
pub struct FirstRowsOperator {
    spec: FirstRowsSpec,
    table: TableDef,
    /// Rows that have come, up to the last one that is given.
    seen: usize,
    saved: usize,
    output: Vec<RecordBatch>,
}

impl FirstRowsOperator {
    /// The operator, before any row.
    pub fn new(spec: FirstRowsSpec) -> Self {
        let table = TableDef {
            operator: spec.operator,
            name: SEEN.to_string(),
            kind: TableKind::Keyed { key_columns: 0 },
            schema: Arc::new(Schema::new(vec![Field::new("rows", DataType::Int64, false)])),
            time_column: None,
        };
        Self { spec, table, seen: 0, saved: 0, output: Vec::new() }
    }

    /// So many rows decide.
    fn last(&self) -> usize {
        self.spec.fetch.map_or(self.spec.skip, |fetch| self.spec.skip.saturating_add(fetch))
    }

    fn row(&self) -> Result<RecordBatch> {
        let seen = Int64Array::from_value(self.seen as i64, 1);
        Ok(RecordBatch::try_new(Arc::clone(&self.table.schema), vec![Arc::new(seen)])?)
    }
}

impl Operator for FirstRowsOperator {
    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn push(&mut self, _context: &BatchContext, _input: usize, batch: RecordBatch) -> Result<()> {
        let from = self.spec.skip.saturating_sub(self.seen).min(batch.num_rows());
        let room = match self.spec.fetch {
            Some(_) => self.last().saturating_sub(self.seen).min(batch.num_rows()),
            None => batch.num_rows(),
        };
        self.seen = self.seen.saturating_add(batch.num_rows()).min(self.last());
        if room > from {
            self.output.push(batch.slice(from, room - from));
        }
        Ok(())
    }

    fn finish(&mut self, _context: &BatchContext) -> Result<Vec<RecordBatch>> {
        Ok(std::mem::take(&mut self.output))
    }

    fn late_rows(&self) -> u64 {
        0
    }

    fn wakes_at(&self, _watermark: Watermark) -> bool {
        false
    }
}

impl Stateful for FirstRowsOperator {
    fn tables(&self) -> Vec<TableDef> {
        vec![self.table.clone()]
    }

    fn take_deltas(&mut self) -> Result<Vec<TableDelta>> {
        if std::mem::replace(&mut self.saved, self.seen) == self.seen {
            return Ok(vec![]);
        }
        let table = self.table.clone();
        Ok(vec![TableDelta { table, upserts: vec![self.row()?], deletes: vec![], evict_below: None }])
    }

    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        let seen = rows.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>());
        match seen.filter(|seen| table == SEEN && seen.null_count() == 0) {
            Some(seen) => {
                self.seen = seen.values().first().map_or(0, |seen| (*seen).max(0) as usize);
                self.saved = self.seen;
                Ok(())
            }
            None => Err(Error::data(format!("state is not of this operator: table=`{table}`"))),
        }
    }

    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>> {
        if table != SEEN {
            return Err(acequia_core::options::unknown("state table", table, [SEEN]));
        }
        Ok(if self.seen == 0 { vec![] } else { vec![self.row()?] })
    }

    fn state_rows(&self) -> usize {
        usize::from(self.seen > 0)
    }

    fn state_bytes(&self) -> usize {
        size_of::<Self>()
    }
}
