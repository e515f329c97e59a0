//! Rows in chunks, with an index by key where there is one.
//!
//! Rows are never moved one by one. A chunk is an Arrow batch and a count of its dead rows; replacing or deleting a row
//! marks the old one dead. Neighbouring chunks are merged while the later one is not the smaller, as a binary counter
//! carries, up to [`MAX_CHUNK_ROWS`]; a chunk that is more than half dead is rewritten. So a row is copied a bounded
//! number of times in its life, the number of chunks is that of full chunks plus a logarithm, and no batch costs more
//! because the table is large.
//!
//! Keys are compared in Arrow's row format, in which NULL equals NULL.

use acequia_core::{Error, Result};
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use std::collections::{BTreeMap, HashMap};

/// Chunks are merged up to this many rows.
const MAX_CHUNK_ROWS: usize = 64 * 1024;

/// The rows of a table.
pub(super) struct Chunks {
    schema: SchemaRef,
    next: u64,
    chunks: BTreeMap<u64, Chunk>,
    index: Option<Index>,
}

struct Chunk {
    rows: RecordBatch,
    /// One flag per row once a row is dead.
    dead: Vec<bool>,
    dead_rows: usize,
    /// The rows without the dead ones, until one more dies.
    live: Option<RecordBatch>,
}

struct Index {
    key: Vec<usize>,
    converter: RowConverter,
    slots: HashMap<Box<[u8]>, Slot>,
}

#[derive(Clone, Copy)]
struct Slot {
    chunk: u64,
    row: usize,
}

impl Chunks {
    /// An empty table; rows with equal `key` columns replace each other. Under the key of no columns all rows are
    /// equal, so that there is one at most.
    pub(super) fn try_new(schema: SchemaRef, key: Option<&[usize]>) -> Result<Self> {
        let index = key.map(|key| Index::try_new(&schema, key)).transpose()?;
        Ok(Self { schema, next: 0, chunks: BTreeMap::new(), index })
    }

    pub(super) fn num_rows(&self) -> usize {
        self.chunks.values().map(Chunk::live_rows).sum()
    }

    pub(super) fn clear(&mut self) {
        self.chunks.clear();
        if let Some(index) = &mut self.index {
            index.slots.clear();
        }
    }

    /// Adds rows; by key they replace older ones, also of the same call.
    pub(super) fn put(&mut self, rows: RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        if rows.schema().fields() != self.schema.fields() {
            return Err(Error::internal(format!(
                "memory sink got other columns than it was opened with: {}",
                rows.schema()
            )));
        }
        let id = self.next;
        self.next += 1;
        let keys = self.index.as_ref().map(|index| index.keys(&rows)).transpose()?;
        self.chunks.insert(id, Chunk::new(rows));
        let mut touched = vec![];
        for (row, key) in keys.into_iter().flatten().enumerate() {
            let Some(index) = &mut self.index else { break };
            if let Some(old) = index.slots.insert(key, Slot { chunk: id, row }) {
                self.bury(old)?;
                touched.push(old.chunk);
            }
        }
        self.tidy(touched)?;
        self.merge_backwards(id)
    }

    /// Removes the rows with these rows' keys.
    pub(super) fn remove(&mut self, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let Some(index) = &mut self.index else {
            return Err(Error::internal("deletes came to a memory sink whose rows have no key"));
        };
        let gone: Vec<_> = index.keys(rows)?.iter().filter_map(|key| index.slots.remove(key)).collect();
        for slot in &gone {
            self.bury(*slot)?;
        }
        self.tidy(gone.into_iter().map(|slot| slot.chunk).collect())
    }

    /// The rows now.
    pub(super) fn snapshot(&mut self) -> Result<Vec<RecordBatch>> {
        self.chunks
            .values_mut()
            .map(Chunk::live)
            .filter(|r| !matches!(r, Ok(b) if b.num_rows() == 0))
            .collect()
    }

    fn bury(&mut self, slot: Slot) -> Result<()> {
        let chunk = self.chunks.get_mut(&slot.chunk);
        chunk.ok_or_else(|| Error::internal("memory table index points nowhere"))?.bury(slot.row);
        Ok(())
    }

    /// Rewrites those of the chunks that are more than half dead, and merges them with small neighbours.
    fn tidy(&mut self, mut touched: Vec<u64>) -> Result<()> {
        touched.sort_unstable();
        touched.dedup();
        for id in touched {
            let Some(chunk) = self.chunks.get_mut(&id) else { continue };
            if chunk.live_rows() == 0 {
                self.chunks.remove(&id);
            } else if chunk.dead_rows * 2 > chunk.rows.num_rows() {
                let rows = chunk.live()?;
                self.replace(id, rows)?;
                self.merge_backwards(id)?;
                let after = self.chunks.range(id + 1..).next().map(|(&after, _)| after);
                after.map_or(Ok(()), |after| self.merge_backwards(after))?;
            }
        }
        Ok(())
    }

    /// Merges a chunk into the one before it while that one is not larger and both fit.
    fn merge_backwards(&mut self, mut id: u64) -> Result<()> {
        while let Some((&before, left)) = self.chunks.range(..id).next_back() {
            let Some(right) = self.chunks.get(&id) else { return Ok(()) };
            let (l, r) = (left.rows.num_rows(), right.rows.num_rows());
            if l > r || l + r > MAX_CHUNK_ROWS {
                return Ok(());
            }
            let (Some(mut left), Some(mut right)) = (self.chunks.remove(&before), self.chunks.remove(&id))
            else {
                return Ok(());
            };
            let merged = concat_batches(&self.schema, [&left.live()?, &right.live()?])?;
            self.replace(before, merged)?;
            id = before;
        }
        Ok(())
    }

    /// Puts live rows under an id and points their keys there.
    fn replace(&mut self, id: u64, rows: RecordBatch) -> Result<()> {
        if let Some(index) = &mut self.index {
            for (row, key) in index.keys(&rows)?.into_iter().enumerate() {
                index.slots.insert(key, Slot { chunk: id, row });
            }
        }
        self.chunks.insert(id, Chunk::new(rows));
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn stored(&self) -> (usize, usize) {
        (self.chunks.len(), self.chunks.values().map(|c| c.rows.num_rows()).sum())
    }
}

impl Chunk {
    fn new(rows: RecordBatch) -> Self {
        Self { live: Some(rows.clone()), rows, dead: vec![], dead_rows: 0 }
    }

    fn live_rows(&self) -> usize {
        self.rows.num_rows() - self.dead_rows
    }

    fn bury(&mut self, row: usize) {
        self.dead.resize(self.rows.num_rows(), false);
        if !std::mem::replace(&mut self.dead[row], true) {
            self.dead_rows += 1;
            self.live = None;
        }
    }

    fn live(&mut self) -> Result<RecordBatch> {
        if let Some(live) = &self.live {
            return Ok(live.clone());
        }
        let keep: BooleanArray = self.dead.iter().map(|dead| Some(!dead)).collect();
        Ok(self.live.insert(filter_record_batch(&self.rows, &keep)?).clone())
    }
}

impl Index {
    fn try_new(schema: &SchemaRef, key: &[usize]) -> Result<Self> {
        let fields = key.iter().map(|&column| {
            let field = schema.fields().get(column);
            let field = field.ok_or_else(|| Error::internal(format!("key column is missing: {column}")))?;
            Ok(SortField::new(field.data_type().clone()))
        });
        let converter = RowConverter::new(fields.collect::<Result<_>>()?).map_err(|e| {
            Error::unsupported(format!("memory sink cannot have a key of this type: {e}")).with_source(e)
        })?;
        Ok(Self { key: key.to_vec(), converter, slots: HashMap::new() })
    }

    fn keys(&self, rows: &RecordBatch) -> Result<Vec<Box<[u8]>>> {
        if self.key.is_empty() {
            // A converter of no columns would not know how many rows there are.
            return Ok(vec![Box::default(); rows.num_rows()]);
        }
        let columns: Vec<_> = self.key.iter().map(|&column| rows.column(column).clone()).collect();
        let keys = self.converter.convert_columns(&columns)?;
        Ok(keys.iter().map(|key| Box::from(key.data())).collect())
    }
}
