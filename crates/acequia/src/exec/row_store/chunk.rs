//! Rows by number: the columns of a [`RowStore`](super::RowStore) in chunks of fixed capacity.
//!
//! A row keeps its number for life; a number is used again once its whole chunk is empty. The rows of a chunk are in
//! one record batch, or, while it is being filled, in a few whose sizes fall geometrically, so that adding one row at
//! a time costs a logarithmic number of copies.

use super::RowId;
use crate::exec::detach::detached_batch;
use acequia_core::{Error, Result};
use arrow::array::{ArrayRef, RecordBatch, UInt32Array, new_empty_array};
use arrow::compute::{concat_batches, interleave, take_record_batch};
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// Rows in a chunk, as a power of two.
const CHUNK_BITS: u32 = if cfg!(test) { 4 } else { 16 };
const CHUNK_ROWS: usize = 1 << CHUNK_BITS;

/// A full chunk with no more rows is worth emptying.
const SPARSE_ROWS: usize = CHUNK_ROWS / 4;

/// The end of a chain.
pub(super) const NONE: RowId = RowId::MAX;

/// What is known of each row beside its columns; vectors that a store has no use for are empty.
#[derive(Default)]
struct Chunk {
    pieces: Vec<Piece>,
    rows: usize,
    live: usize,
    next: Vec<RowId>,
    previous: Vec<RowId>,
    weight: Vec<i64>,
    degree: Vec<i64>,
    bytes: usize,
}

struct Piece {
    start: usize,
    batch: RecordBatch,
}

/// Which vectors a store has beside the columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extras {
    /// Rows may leave.
    pub(super) leave: bool,
    /// Rows may be there more than once.
    pub(super) weight: bool,
    /// Rows count their partners.
    pub(super) degree: bool,
}

/// See the [module](self).
pub(super) struct Chunks {
    schema: SchemaRef,
    extras: Extras,
    chunks: Vec<Option<Chunk>>,
    free: Vec<usize>,
    open: Option<usize>,
    /// Full chunks of which most rows have left.
    sparse: Vec<usize>,
    live: usize,
    bytes: usize,
}

fn place(id: RowId) -> (usize, usize) {
    ((id >> CHUNK_BITS) as usize, id as usize & (CHUNK_ROWS - 1))
}

impl Chunks {
    pub(super) fn new(schema: SchemaRef, extras: Extras) -> Self {
        Self {
            schema,
            extras,
            chunks: Vec::new(),
            free: Vec::new(),
            open: None,
            sparse: Vec::new(),
            live: 0,
            bytes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds rows; `each` is told the number of every one, in order.
    pub(super) fn append(
        &mut self,
        rows: &RecordBatch,
        weights: &[i64],
        degrees: &[i64],
        mut each: impl FnMut(&mut Self, RowId, usize),
    ) -> Result<()> {
        let mut from = 0;
        while from < rows.num_rows() {
            let number = self.open_chunk()?;
            let Some(chunk) = self.chunks[number].as_mut() else { return Err(gone()) };
            let count = (CHUNK_ROWS - chunk.rows).min(rows.num_rows() - from);
            let start = chunk.rows;
            let part =
                |values: &[i64]| values.get(from..from + count).map(<[i64]>::to_vec).unwrap_or_default();
            chunk.push(compact(&rows.slice(from, count))?, self.extras, part(weights), part(degrees))?;
            self.live += count;
            let bytes = chunk.count_bytes();
            let before = std::mem::replace(&mut chunk.bytes, bytes);
            self.bytes = self.bytes + chunk.bytes - before;
            if chunk.rows == CHUNK_ROWS {
                self.open = None;
                if chunk.live <= SPARSE_ROWS {
                    self.sparse.push(number);
                }
            }
            for offset in 0..count {
                each(self, ((number << CHUNK_BITS) + start + offset) as RowId, from + offset);
            }
            from += count;
        }
        Ok(())
    }

    fn open_chunk(&mut self) -> Result<usize> {
        if let Some(open) = self.open {
            return Ok(open);
        }
        let number = self.free.pop().unwrap_or(self.chunks.len());
        if number >= (NONE >> CHUNK_BITS) as usize {
            return Err(Error::resource_exhausted("an operator keeps more than 4 billion rows"));
        }
        if number == self.chunks.len() {
            self.chunks.push(None);
        }
        self.chunks[number] = Some(Chunk::default());
        self.open = Some(number);
        Ok(number)
    }

    /// The chunk of a live row.
    fn chunk(&self, id: RowId) -> (&Chunk, usize) {
        let (number, offset) = place(id);
        match &self.chunks[number] {
            Some(chunk) => (chunk, offset),
            None => unreachable!("row {id} is not there any more"),
        }
    }

    fn chunk_mut(&mut self, id: RowId) -> (&mut Chunk, usize) {
        let (number, offset) = place(id);
        match &mut self.chunks[number] {
            Some(chunk) => (chunk, offset),
            None => unreachable!("row {id} is not there any more"),
        }
    }

    pub(super) fn next(&self, id: RowId) -> RowId {
        let (chunk, offset) = self.chunk(id);
        chunk.next[offset]
    }

    pub(super) fn previous(&self, id: RowId) -> RowId {
        let (chunk, offset) = self.chunk(id);
        chunk.previous[offset]
    }

    pub(super) fn set_next(&mut self, id: RowId, next: RowId) {
        let (chunk, offset) = self.chunk_mut(id);
        chunk.next[offset] = next;
    }

    pub(super) fn set_previous(&mut self, id: RowId, previous: RowId) {
        let (chunk, offset) = self.chunk_mut(id);
        if let Some(slot) = chunk.previous.get_mut(offset) {
            *slot = previous;
        }
    }

    pub(super) fn weight(&self, id: RowId) -> i64 {
        let (chunk, offset) = self.chunk(id);
        chunk.weight.get(offset).copied().unwrap_or(1)
    }

    pub(super) fn set_weight(&mut self, id: RowId, weight: i64) {
        let (chunk, offset) = self.chunk_mut(id);
        if let Some(slot) = chunk.weight.get_mut(offset) {
            *slot = weight;
        }
    }

    pub(super) fn degree(&self, id: RowId) -> i64 {
        let (chunk, offset) = self.chunk(id);
        chunk.degree.get(offset).copied().unwrap_or(0)
    }

    pub(super) fn set_degree(&mut self, id: RowId, degree: i64) {
        let (chunk, offset) = self.chunk_mut(id);
        if let Some(slot) = chunk.degree.get_mut(offset) {
            *slot = degree;
        }
    }

    /// Forgets a row that is in no chain any more. Its columns stay until its chunk is empty or mostly so.
    pub(super) fn remove(&mut self, id: RowId) {
        let (number, offset) = place(id);
        let Some(chunk) = &mut self.chunks[number] else { return };
        chunk.live -= 1;
        chunk.next[offset] = id;
        self.live -= 1;
        if self.open == Some(number) {
            return;
        }
        if chunk.live == SPARSE_ROWS {
            self.sparse.push(number);
        }
        if chunk.live == 0 {
            self.bytes -= chunk.bytes;
            self.chunks[number] = None;
            self.free.push(number);
        }
    }

    /// The live rows of full chunks of which most rows have left since the last call: to be moved, so that the
    /// chunks go.
    pub(super) fn take_sparse(&mut self) -> Vec<RowId> {
        let sparse = std::mem::take(&mut self.sparse);
        sparse.into_iter().flat_map(|number| self.live_in(number)).collect()
    }

    /// Whether a row is there.
    pub(super) fn is_live(&self, id: RowId) -> bool {
        let (number, offset) = place(id);
        let chunk = self.chunks.get(number).and_then(Option::as_ref);
        chunk.and_then(|chunk| chunk.next.get(offset)).is_some_and(|next| *next != id)
    }

    /// The live rows.
    pub(super) fn ids(&self) -> impl Iterator<Item = RowId> + '_ {
        (0..self.chunks.len()).flat_map(|number| self.live_in(number))
    }

    /// A row that is its own successor has left.
    fn live_in(&self, number: usize) -> impl Iterator<Item = RowId> + '_ {
        self.chunks[number].iter().flat_map(move |chunk| {
            let first = (number << CHUNK_BITS) as RowId;
            let next = chunk.next.iter().enumerate();
            next.map(move |(offset, next)| (first + offset as RowId, *next))
                .filter(|(id, next)| id != next)
                .map(|(id, _)| id)
        })
    }

    /// These columns of these rows.
    pub(super) fn gather(&self, ids: &[RowId], columns: &[usize]) -> Result<Vec<ArrayRef>> {
        let mut pieces: Vec<&RecordBatch> = Vec::new();
        let mut numbers: HashMap<(usize, usize), usize> = HashMap::new();
        let mut last = None;
        let mut places = Vec::with_capacity(ids.len());
        for id in ids {
            let (chunk, offset) = self.chunk(*id);
            let piece = chunk.pieces.partition_point(|piece| piece.start <= offset) - 1;
            let at = (place(*id).0, piece);
            let number = match last {
                Some((same, number)) if same == at => number,
                _ => match numbers.entry(at) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        pieces.push(&chunk.pieces[piece].batch);
                        *new.insert(pieces.len() - 1)
                    }
                },
            };
            last = Some((at, number));
            places.push((number, offset - chunk.pieces[piece].start));
        }
        let gather = |column: &usize| -> Result<ArrayRef> {
            if places.is_empty() {
                return Ok(new_empty_array(self.schema.field(*column).data_type()));
            }
            let arrays: Vec<_> = pieces.iter().map(|piece| piece.column(*column).as_ref()).collect();
            Ok(interleave(&arrays, &places)?)
        };
        columns.iter().map(gather).collect()
    }
}

/// A copy that keeps nothing else in memory.
fn compact(rows: &RecordBatch) -> Result<RecordBatch> {
    let all = UInt32Array::from_iter_values(0..rows.num_rows() as u32);
    detached_batch(&take_record_batch(rows, &all)?)
}

fn gone() -> Error {
    Error::internal("the chunk that rows are added to is gone")
}

impl Chunk {
    fn push(
        &mut self,
        batch: RecordBatch,
        extras: Extras,
        weights: Vec<i64>,
        degrees: Vec<i64>,
    ) -> Result<()> {
        let rows = batch.num_rows();
        self.pieces.push(Piece { start: self.rows, batch });
        self.rows += rows;
        self.live += rows;
        self.next.resize(self.rows, NONE);
        if extras.leave {
            self.previous.resize(self.rows, NONE);
        }
        if extras.weight {
            self.weight.extend(weights);
            self.weight.resize(self.rows, 1);
        }
        if extras.degree {
            self.degree.extend(degrees);
            self.degree.resize(self.rows, 0);
        }
        let full = self.rows == CHUNK_ROWS;
        while let [.., before, last] = self.pieces.as_slice() {
            if !full && before.batch.num_rows() > 2 * last.batch.num_rows() {
                break;
            }
            let start = before.start;
            let merged = concat_batches(&before.batch.schema(), [&before.batch, &last.batch])?;
            let batch = detached_batch(&merged)?;
            self.pieces.truncate(self.pieces.len() - 2);
            self.pieces.push(Piece { start, batch });
        }
        if full {
            self.next.shrink_to_fit();
        }
        Ok(())
    }

    fn count_bytes(&self) -> usize {
        let columns: usize = self.pieces.iter().map(|piece| piece.batch.get_array_memory_size()).sum();
        columns
            + self.next.capacity() * size_of::<RowId>()
            + self.previous.capacity() * size_of::<RowId>()
            + (self.weight.capacity() + self.degree.capacity()) * size_of::<i64>()
    }
}
