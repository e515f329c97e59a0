//! The memory sink: the current result of a query as a table in this process.
//!
//! [`MemoryTable`] is the handle that outlives the runs of a query; [`MemorySink`] writes into it. What a batch does to
//! the table depends on the mode:
//! - `APPEND` and `CHANGES` add rows (`op` of `CHANGES` is an ordinary column: the table is the change log);
//! - `COMPLETE` replaces all rows;
//! - `UPDATE` removes deleted keys, then puts rows in place of those with their key. Without a key every row is new;
//!   a result of one row is replaced.
//!
//! A query that starts again in the same process goes on with the table as it is, and with what its earlier runs have
//! staged, so that a batch that was committed and not published is not lost; a query with other columns, another mode or
//! another key starts it empty. The table changes in one step per batch: a reader sees all of a batch or none.

mod chunks;

use super::staging::Staging;
use super::{BatchListener, Published, SinkEnvironment};
use acequia_core::{
    BatchId, Error, OutputMode, QueryId, Result, Sink, SinkBatch, SinkContext, SinkReceipt, SinkWriter,
};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chunks::Chunks;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The rows of a memory sink, shared by the sink that writes them and everybody who reads them.
#[derive(Default)]
pub struct MemoryTable {
    content: Mutex<Option<Content>>,
    listeners: RwLock<Vec<BatchListener>>,
}

struct Content {
    schema: SchemaRef,
    mode: OutputMode,
    key: Option<Vec<usize>>,
    chunks: Chunks,
    /// What the runs of each query share.
    staged: HashMap<QueryId, Arc<Staging>>,
}

impl Content {
    fn fits(&self, context: &SinkContext) -> bool {
        self.schema == context.schema && self.mode == context.mode && self.key == context.key
    }
}

impl fmt::Debug for MemoryTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTable").field("rows", &self.num_rows()).finish_non_exhaustive()
    }
}

impl MemoryTable {
    /// An empty table that gets its columns from the first query that writes into it.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The columns; `None` until a query has opened the table.
    pub fn schema(&self) -> Option<SchemaRef> {
        self.content.lock().as_ref().map(|c| Arc::clone(&c.schema))
    }

    /// Number of rows now.
    pub fn num_rows(&self) -> usize {
        self.content.lock().as_ref().map_or(0, |c| c.chunks.num_rows())
    }

    /// The rows now. Costs a pointer per batch of rows, and a copy only of those batches in which rows were replaced
    /// or deleted since the last call.
    ///
    /// # Errors
    /// `Internal` when rows cannot be copied.
    pub fn snapshot(&self) -> Result<Vec<RecordBatch>> {
        self.content.lock().as_mut().map_or(Ok(vec![]), |c| c.chunks.snapshot())
    }

    /// Forgets rows and columns, for a query that begins anew.
    pub fn reset(&self) {
        *self.content.lock() = None;
    }

    /// Calls `listener` for every batch published from now on, after the table holds it. The listener may read the
    /// table, and must not wait for the query.
    pub fn subscribe(&self, listener: impl Fn(Published<'_>) + Send + Sync + 'static) {
        self.listeners.write().push(Arc::new(listener));
    }

    /// Makes the table one of this query; gives what its earlier runs have staged.
    fn open(&self, context: &SinkContext) -> Result<Arc<Staging>> {
        let mut content = self.content.lock();
        let key = context.key.as_deref().filter(|_| context.mode == OutputMode::Update);
        let content = match content.take().filter(|content| content.fits(context)) {
            Some(fitting) => content.insert(fitting),
            None => content.insert(Content {
                schema: Arc::clone(&context.schema),
                mode: context.mode,
                key: context.key.clone(),
                chunks: Chunks::try_new(Arc::clone(&context.schema), key)?,
                staged: HashMap::new(),
            }),
        };
        Ok(Arc::clone(content.staged.entry(context.query.clone()).or_default()))
    }

    fn apply(&self, mode: OutputMode, parts: &[SinkBatch]) -> Result<()> {
        let mut content = self.content.lock();
        let content = content.as_mut().ok_or_else(|| Error::internal("memory table was never opened"))?;
        if mode == OutputMode::Complete {
            content.chunks.clear();
        }
        for deletes in parts.iter().filter_map(|p| p.deletes.as_ref()) {
            content.chunks.remove(deletes)?;
        }
        parts.iter().try_for_each(|part| content.chunks.put(part.rows.clone()))
    }
}

/// Writes into a [`MemoryTable`].
pub struct MemorySink {
    table: Arc<MemoryTable>,
    on_batch: Option<BatchListener>,
    context: Option<SinkContext>,
    staging: Arc<Staging>,
}

impl fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySink").field("table", &self.table).finish_non_exhaustive()
    }
}

impl MemorySink {
    /// A sink over the environment's table.
    pub fn new(environment: &SinkEnvironment) -> Self {
        Self {
            table: Arc::clone(&environment.memory),
            on_batch: environment.on_batch.clone(),
            context: None,
            staging: Arc::default(),
        }
    }
}

#[async_trait]
impl Sink for MemorySink {
    async fn open(&mut self, context: SinkContext) -> Result<()> {
        self.staging = self.table.open(&context)?;
        self.context = Some(context);
        Ok(())
    }

    async fn writer(&self, batch: BatchId) -> Result<Box<dyn SinkWriter>> {
        Ok(self.staging.writer(batch))
    }

    async fn publish(&self, batch: BatchId, receipts: &[SinkReceipt]) -> Result<()> {
        let Some(parts) = self.staging.rows(batch, receipts)? else { return Ok(()) };
        let context =
            self.context.as_ref().ok_or_else(|| Error::internal("memory sink used before it was opened"))?;
        self.table.apply(context.mode, &parts)?;
        self.staging.published(batch);
        let told = Published { query: &context.query, batch, mode: context.mode, parts: &parts };
        let listeners = self.table.listeners.read().clone();
        for listener in listeners.iter().chain(&self.on_batch) {
            listener(told);
        }
        Ok(())
    }

    async fn last_published(&self) -> Result<Option<BatchId>> {
        Ok(self.staging.last_published())
    }

    fn durable(&self) -> bool {
        self.staging.has_begun()
    }
}

#[cfg(test)]
mod tests;
