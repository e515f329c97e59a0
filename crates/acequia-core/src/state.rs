//! State as operators hand it over: tables of Arrow rows, changed by deltas whose merging is associative.
//!
//! An operator keeps its state in memory in whatever shape is fast. Once per batch it describes what changed as one
//! [`TableDelta`] per table; a restart gives it the merged rows back. Merging neighbouring deltas gives a delta with
//! the same effect, hence compaction may merge at any time, old versions can be read, and state can be queried: it is
//! rows with a schema, never opaque bytes.
//!
//! | kind | a delta's effect | merging two |
//! |---|---|---|
//! | [`TableKind::Keyed`] | upserts replace rows by key, deletes remove them, the bound drops rows | the later row of a key wins |
//! | [`TableKind::Additive`] | weights add to the weights of equal rows; rows of weight 0 are gone | weights add |

use crate::{OperatorId, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

/// How rows of a table merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// The first `key_columns` columns identify a row; the last write wins. All columns may be key.
    Keyed {
        /// How many leading columns are the key; 0 for a table of one row.
        key_columns: usize,
    },
    /// The last column is an Int64 weight; all others together identify a row.
    Additive,
}

/// A table of an operator.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDef {
    /// The operator.
    pub operator: OperatorId,
    /// The table's name within it.
    pub name: String,
    /// How its rows merge.
    pub kind: TableKind,
    /// Its columns.
    pub schema: SchemaRef,
    /// An Int64 column by which whole ranges of rows leave at once (see [`TableDelta::evict_below`]).
    pub time_column: Option<usize>,
}

/// What one batch changed in a table. A key occurs at most once in `upserts` and `deletes` together.
#[derive(Debug, Clone)]
pub struct TableDelta {
    /// The table.
    pub table: TableDef,
    /// New and changed rows, all columns.
    pub upserts: Vec<RecordBatch>,
    /// `Keyed` only: keys of rows that are gone, the key columns only.
    pub deletes: Vec<RecordBatch>,
    /// Rows whose time column is below this are gone, those of this delta included.
    pub evict_below: Option<i64>,
}

impl TableDelta {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.deletes.is_empty() && self.evict_below.is_none()
    }
}

/// Something with state: an operator, as the checkpoint sees it.
pub trait Stateful {
    /// Its tables. The same query always has the same ones.
    fn tables(&self) -> Vec<TableDef>;

    /// What changed since the last call (or since the start), one delta for each changed table.
    ///
    /// # Errors
    /// `Internal` for a broken invariant.
    fn take_deltas(&mut self) -> Result<Vec<TableDelta>>;

    /// Puts rows of a table back, into an operator that has not seen any input. May come in several pieces.
    ///
    /// # Errors
    /// `Data` when the rows are not of this table.
    fn restore(&mut self, table: &str, rows: RecordBatch) -> Result<()>;

    /// All rows of a table as they are now.
    ///
    /// # Errors
    /// `Invalid` when there is no such table.
    fn snapshot(&self, table: &str) -> Result<Vec<RecordBatch>>;

    /// Rows held, over all tables.
    fn state_rows(&self) -> usize;

    /// Bytes held in memory, over all tables.
    fn state_bytes(&self) -> usize;
}
