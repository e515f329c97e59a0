//! Rows with weights in the order of one of their columns, as bytes in a B-tree, and as a checkpoint keeps them.
//!
//! ```text
//! key    the column | all others       value  weight
//! ```
//! A value of the column is the beginning of its rows' keys and of no other, so that a place between two values is a
//! place between keys.

use crate::exec::delta::Delta;
use crate::exec::row_bytes::{RowBytes, after_all};
use crate::exec::rows_table::RowsTable;
use acequia_core::state::{TableDef, TableDelta};
use acequia_core::{Error, OperatorId, Result};
use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

/// What a node of the B-tree costs for each of its entries, as far as one can tell.
const ENTRY_BYTES: usize = 40;

/// A place between two values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cut {
    /// Below all.
    Lowest,
    /// Below the keys from this one on.
    Below(Box<[u8]>),
    /// Above all.
    Highest,
}

impl Cut {
    /// The place below a value, or above it.
    pub(super) fn at(value: &[u8], above: bool) -> Self {
        if !above {
            return Self::Below(value.into());
        }
        after_all(value).map_or(Self::Highest, |first| Self::Below(first.into()))
    }

    /// Whether a key comes before this place.
    pub(super) fn is_above(&self, key: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Below(first) => key < first.as_ref(),
            Self::Highest => true,
        }
    }
}

/// See the [module](self).
pub(super) struct CutRows {
    bytes: RowBytes,
    rows: BTreeMap<Box<[u8]>, i64>,
    key_bytes: usize,
    saved: RowsTable,
}

/// Rows, and their keys.
pub(super) struct Keyed {
    pub(super) delta: Delta,
    keys: arrow::row::Rows,
}

impl Keyed {
    pub(super) fn key(&self, row: usize) -> &[u8] {
        self.keys.row(row).data()
    }
}

impl CutRows {
    /// Rows with these columns in the order of one of them.
    pub(super) fn try_new(
        operator: OperatorId,
        table: &str,
        schema: &SchemaRef,
        column: usize,
    ) -> Result<Self> {
        let others = (0..schema.fields().len()).filter(|other| *other != column);
        let order: Vec<(usize, SortOptions)> =
            std::iter::once(column).chain(others).map(|column| (column, SortOptions::default())).collect();
        Ok(Self {
            bytes: RowBytes::try_new(schema, &order)?,
            rows: BTreeMap::new(),
            key_bytes: 0,
            saved: RowsTable::new(operator, table, schema, None),
        })
    }

    pub(super) fn keyed(&self, delta: Delta) -> Result<Keyed> {
        Ok(Keyed { keys: self.bytes.encode(&delta.rows)?, delta })
    }

    /// Adds weights to these of the rows.
    ///
    /// # Errors
    /// `Data` when a row is taken back that is not there.
    pub(super) fn apply(&mut self, rows: &Keyed, which: &[u32], durable: bool) -> Result<()> {
        for row in which {
            self.add(rows.key(*row as usize), rows.delta.weights[*row as usize])?;
        }
        if durable && !which.is_empty() {
            self.saved.changed(&rows.delta.clone().take(which)?)?;
        }
        Ok(())
    }

    fn add(&mut self, key: &[u8], weight: i64) -> Result<()> {
        match self.rows.get_mut(key) {
            Some(known) => {
                *known += weight;
                match (*known).cmp(&0) {
                    Ordering::Less => return Err(never_given()),
                    Ordering::Equal => {
                        self.rows.remove(key);
                        self.key_bytes -= key.len();
                    }
                    Ordering::Greater => {}
                }
            }
            None if weight < 0 => return Err(never_given()),
            None if weight == 0 => {}
            None => {
                self.key_bytes += key.len();
                self.rows.insert(key.into(), weight);
            }
        }
        Ok(())
    }

    /// The rows between two places.
    pub(super) fn between(&self, from: &Cut, to: &Cut) -> Result<Delta> {
        let lower = match from {
            Cut::Lowest => Unbounded,
            Cut::Below(first) => Included(first.as_ref()),
            Cut::Highest => return self.decode(&[]),
        };
        let upper = match to {
            Cut::Lowest => return self.decode(&[]),
            Cut::Below(first) => Excluded(first.as_ref()),
            Cut::Highest => Unbounded,
        };
        if from >= to {
            return self.decode(&[]);
        }
        let found = self.rows.range::<[u8], _>((lower, upper));
        self.decode(&found.map(|(key, weight)| (key.as_ref(), *weight)).collect::<Vec<_>>())
    }

    /// Forgets the rows before a place, and gives them.
    pub(super) fn take_before(&mut self, place: &Cut, durable: bool) -> Result<Delta> {
        let gone = self.between(&Cut::Lowest, place)?;
        while let Some(first) = self.rows.first_entry().filter(|first| place.is_above(first.key())) {
            self.key_bytes -= first.key().len();
            first.remove();
        }
        if durable && gone.len() > 0 {
            let weights = gone.weights.iter().map(|weight| -weight).collect();
            let taken_back = Delta { rows: gone.rows.clone(), weights };
            self.saved.changed(&taken_back)?;
        }
        Ok(gone)
    }

    /// The first key.
    pub(super) fn first(&self) -> Option<&[u8]> {
        self.rows.first_key_value().map(|(key, _)| key.as_ref())
    }

    fn decode(&self, keys: &[(&[u8], i64)]) -> Result<Delta> {
        let rows = self.bytes.decode(keys.iter().map(|(key, _)| *key))?;
        Ok(Delta { rows, weights: keys.iter().map(|(_, weight)| *weight).collect() })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        self.bytes.schema()
    }

    /// Distinct rows held.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.key_bytes + self.rows.len() * ENTRY_BYTES
    }

    pub(super) fn table(&self) -> &TableDef {
        self.saved.def()
    }

    pub(super) fn take_delta(&mut self) -> TableDelta {
        self.saved.take_delta()
    }

    pub(super) fn restore(&mut self, saved: &RecordBatch) -> Result<()> {
        let rows = self.keyed(self.saved.restored(saved)?)?;
        let all: Vec<u32> = (0..rows.delta.len() as u32).collect();
        self.apply(&rows, &all, false)
    }

    pub(super) fn snapshot(&self) -> Result<Vec<RecordBatch>> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![self.saved.saved(&self.between(&Cut::Lowest, &Cut::Highest)?)?])
    }
}

fn never_given() -> Error {
    Error::data("a row is taken back that was never given; a change stream must delete only what it inserted")
}
