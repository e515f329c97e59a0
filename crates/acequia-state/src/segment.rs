//! Segments: what batches changed in all tables of all operators, in one object or at the end of a commit's.
//!
//! ```text
//! block*          Arrow IPC streams, lz4: per table its schema, then rows, then keys that are gone
//! footer          JSON: format, first and last batch, tables, and per block its place, rows and crc32c
//! tail            16 bytes: length and crc32c of the footer (u32, little endian), "ACQSEG01"
//! ```
//! Every byte is covered by a checksum: blocks by the footer, the footer by the tail and by the commit record that
//! names the segment. A block is checked before it is decoded, so damage is `Data` with the file's name and nothing
//! else. Blocks are of a few MiB, so that a table of any size is read in pieces.

use crate::merge::check_table;
use crate::record::{FORMAT, SegmentRef, is_known};
use crate::store::store_error;
use acequia_core::state::{TableDef, TableKind};
use acequia_core::{BatchId, Error, OperatorId, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow::ipc::{CompressionType, MetadataVersion};
use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use std::io::Cursor;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"ACQSEG01";
const TAIL_BYTES: usize = 16;
/// A block is ended when it has reached this size.
const BLOCK_BYTES: usize = 2 << 20;
/// What is read of a segment's end at first: all of a small one, the footer of most others.
const FIRST_READ_BYTES: u64 = 64 << 10;

#[derive(Debug, Serialize, Deserialize)]
struct Footer {
    format: u32,
    first: BatchId,
    last: BatchId,
    tables: Vec<TableIndex>,
}

/// A table's part of a segment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TableIndex {
    pub(crate) operator: OperatorId,
    pub(crate) name: String,
    kind: TableKind,
    time_column: Option<usize>,
    /// Older rows below this are gone.
    pub(crate) evict_below: Option<i64>,
    /// Whether no two rows are equal.
    pub(crate) distinct: bool,
    schema: Block,
    pub(crate) upserts: Vec<Block>,
    pub(crate) deletes: Vec<Block>,
}

/// A place in a segment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Block {
    at: u64,
    bytes: u64,
    rows: u64,
    crc: u32,
}

/// A segment before it is written.
pub(crate) struct Built {
    /// What its reference will hold, but for the name and the level.
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) crc: u32,
    chunks: Vec<Bytes>,
    tables: Vec<TableIndex>,
}

impl Built {
    pub(crate) fn payload(&self) -> PutPayload {
        self.chunks.iter().cloned().collect()
    }

    pub(crate) fn contiguous(&self) -> Bytes {
        match &self.chunks[..] {
            [one] => one.clone(),
            many => Bytes::from(many.concat()),
        }
    }
}

/// Builds a segment table by table.
#[derive(Default)]
pub(crate) struct SegmentBuilder {
    chunks: Vec<Bytes>,
    length: u64,
    rows: u64,
    tables: Vec<TableIndex>,
}

impl SegmentBuilder {
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub(crate) fn table(&mut self, table: &TableDef) -> Result<TableBuilder<'_>> {
        let start = (self.chunks.len(), self.length);
        let schema = self.block(encode(&table.schema, &[])?, 0);
        let index = TableIndex {
            operator: table.operator,
            name: table.name.clone(),
            kind: table.kind,
            time_column: table.time_column,
            evict_below: None,
            distinct: true,
            schema,
            upserts: vec![],
            deletes: vec![],
        };
        Ok(TableBuilder { segment: self, start, index, open: None })
    }

    fn block(&mut self, bytes: Vec<u8>, rows: u64) -> Block {
        let block = Block { at: self.length, bytes: bytes.len() as u64, rows, crc: crc32c::crc32c(&bytes) };
        self.length += block.bytes;
        self.rows += rows;
        self.chunks.push(bytes.into());
        block
    }

    pub(crate) fn finish(mut self, first: BatchId, last: BatchId) -> Result<Built> {
        let footer = Footer { format: FORMAT, first, last, tables: self.tables.clone() };
        let mut end = serde_json::to_vec(&footer)
            .map_err(|e| Error::internal(format!("footer of a segment cannot be written as JSON: {e}")))?;
        let (length, crc) = (end.len() as u32, crc32c::crc32c(&end));
        end.extend_from_slice(&length.to_le_bytes());
        end.extend_from_slice(&crc.to_le_bytes());
        end.extend_from_slice(MAGIC);
        let bytes = self.length + end.len() as u64;
        self.chunks.push(end.into());
        Ok(Built { bytes, rows: self.rows, crc, chunks: self.chunks, tables: self.tables })
    }
}

/// Adds one table to a segment.
pub(crate) struct TableBuilder<'a> {
    segment: &'a mut SegmentBuilder,
    start: (usize, u64),
    index: TableIndex,
    open: Option<(StreamWriter<Vec<u8>>, u64)>,
}

impl TableBuilder<'_> {
    pub(crate) fn upserts(&mut self, batch: &RecordBatch) -> Result<()> {
        let (writer, rows) = match &mut self.open {
            Some(open) => open,
            none => none.insert((stream_writer(&batch.schema())?, 0)),
        };
        writer.write(batch)?;
        *rows += batch.num_rows() as u64;
        if writer.get_ref().len() >= BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        if let Some((writer, rows)) = self.open.take() {
            let block = self.segment.block(writer_bytes(writer)?, rows);
            self.index.upserts.push(block);
        }
        Ok(())
    }

    /// Ends the table. `distinct` says whether no two of its rows are equal. One that says nothing leaves no trace.
    pub(crate) fn finish(
        mut self,
        deletes: &[RecordBatch],
        evict_below: Option<i64>,
        distinct: bool,
    ) -> Result<()> {
        self.end_block()?;
        if let Some(first) = deletes.first() {
            let rows = deletes.iter().map(|b| b.num_rows() as u64).sum();
            let block = self.segment.block(encode(&first.schema(), deletes)?, rows);
            self.index.deletes.push(block);
        }
        if self.index.upserts.is_empty() && self.index.deletes.is_empty() && evict_below.is_none() {
            self.segment.chunks.truncate(self.start.0);
            self.segment.length = self.start.1;
            return Ok(());
        }
        self.index.evict_below = evict_below;
        self.index.distinct = distinct;
        self.segment.tables.push(self.index);
        Ok(())
    }
}

fn stream_writer(schema: &Schema) -> Result<StreamWriter<Vec<u8>>> {
    let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?
        .try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    Ok(StreamWriter::try_new_with_options(Vec::new(), schema, options)?)
}

fn writer_bytes(mut writer: StreamWriter<Vec<u8>>) -> Result<Vec<u8>> {
    writer.finish()?;
    Ok(writer.into_inner()?)
}

fn encode(schema: &Schema, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let mut writer = stream_writer(schema)?;
    batches.iter().try_for_each(|b| writer.write(b))?;
    writer_bytes(writer)
}

/// A segment that is being read: its end is in memory, the rest is fetched as needed.
#[derive(Debug)]
pub(crate) struct Segment {
    store: Arc<dyn ObjectStore>,
    object: Path,
    /// Where in the object it begins.
    start: u64,
    size: u64,
    end: Bytes,
    tables: Vec<TableIndex>,
}

impl Segment {
    /// The segment at the end of an object, of which `held` is all of the segment that need not be read.
    pub(crate) async fn open(
        store: Arc<dyn ObjectStore>,
        object: Path,
        expected: &SegmentRef,
        held: Option<Bytes>,
    ) -> Result<Self> {
        let size = expected.bytes;
        if size < TAIL_BYTES as u64 {
            return Err(damaged(&object, "too short"));
        }
        let (whole, end) = match held {
            Some(held) => (held.len() as u64, held),
            None => read_end(&*store, &object, size.min(FIRST_READ_BYTES)).await?,
        };
        let start = whole.checked_sub(size).filter(|at| *at == 0 || expected.carried_by.is_some());
        let start = start.ok_or_else(|| damaged(&object, format!("size={whole} expected={size}")))?;
        let mut segment = Self { store, object, start, size, end, tables: vec![] };
        segment.read_footer(expected).await?;
        Ok(segment)
    }

    /// A segment that is not written yet.
    pub(crate) fn unwritten(store: Arc<dyn ObjectStore>, object: Path, built: &Built) -> Self {
        let (end, tables) = (built.contiguous(), built.tables.clone());
        Self { store, object, start: 0, size: built.bytes, end, tables }
    }

    async fn read_footer(&mut self, expected: &SegmentRef) -> Result<()> {
        let tail = self.end.len().checked_sub(TAIL_BYTES).ok_or_else(|| self.damaged("too short"))?;
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| self.end[tail + at + i]));
        let (length, crc) = (u64::from(word(0)), word(4));
        if &self.end[tail + 8..] != MAGIC {
            return Err(self.damaged("not a segment of this version"));
        }
        let start = (self.size - TAIL_BYTES as u64).checked_sub(length);
        let start = start.ok_or_else(|| self.damaged("footer is longer than the file"))?;
        let bytes = self.range(start, length).await?;
        // A fuzzer is to reach what is behind the checksum.
        if (crc32c::crc32c(&bytes) != crc || crc != expected.crc) && !cfg!(fuzzing) {
            return Err(self.damaged("checksum of the footer does not match"));
        }
        let footer: Footer = serde_json::from_slice(&bytes).map_err(|e| self.damaged(e))?;
        if !is_known(footer.format) || (footer.first, footer.last) != (expected.first, expected.last) {
            return Err(self.damaged("it is another segment"));
        }
        self.tables = footer.tables;
        Ok(())
    }

    async fn range(&self, at: u64, bytes: u64) -> Result<Bytes> {
        let end = at.checked_add(bytes).filter(|end| *end <= self.size);
        let end = end.ok_or_else(|| self.damaged("a block lies outside the file"))?;
        let in_memory = self.size - self.end.len() as u64;
        if at >= in_memory {
            return Ok(self.end.slice((at - in_memory) as usize..(end - in_memory) as usize));
        }
        let read = self.store.get_range(&self.object, self.start + at..self.start + end).await;
        read.map_err(|e| store_error("reading", &self.object, e))
    }

    pub(crate) fn tables(&self) -> &[TableIndex] {
        &self.tables
    }

    pub(crate) fn table(&self, operator: OperatorId, name: &str) -> Option<&TableIndex> {
        self.tables.iter().find(|t| t.operator == operator && t.name == name)
    }

    /// A table as it was when the segment was written.
    pub(crate) async fn def(&self, index: &TableIndex) -> Result<TableDef> {
        let (schema, _) = self.decode(&index.schema).await?;
        let TableIndex { operator, name, kind, time_column, .. } = index.clone();
        let def = TableDef { operator, name, kind, schema, time_column };
        check_table(&def).map_err(|e| self.damaged(e))?;
        Ok(def)
    }

    /// The rows of a block, checked.
    pub(crate) async fn read(&self, block: &Block) -> Result<Vec<RecordBatch>> {
        Ok(self.decode(block).await?.1)
    }

    async fn decode(&self, block: &Block) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let bytes = self.range(block.at, block.bytes).await?;
        if crc32c::crc32c(&bytes) != block.crc {
            return Err(self.damaged(format!("checksum of a block does not match: at={}", block.at)));
        }
        let decode = || {
            let reader = StreamReader::try_new(Cursor::new(bytes), None)?;
            let schema = reader.schema();
            reader.collect::<Result<Vec<_>, _>>().map(|batches| (schema, batches))
        };
        decode().map_err(|e| self.damaged(e))
    }

    fn damaged(&self, why: impl std::fmt::Display) -> Error {
        damaged(&self.object, why)
    }
}

/// An object's size, and so many of its last bytes.
async fn read_end(store: &dyn ObjectStore, object: &Path, bytes: u64) -> Result<(u64, Bytes)> {
    let options = GetOptions { range: Some(GetRange::Suffix(bytes)), ..Default::default() };
    let failed = |e| store_error("reading", object, e);
    let found = store.get_opts(object, options).await.map_err(failed)?;
    Ok((found.meta.size, found.bytes().await.map_err(failed)?))
}

fn damaged(object: &Path, why: impl std::fmt::Display) -> Error {
    Error::data(format!("damaged file in the checkpoint: `{object}`: {why}"))
}
