//! Output into the program's own code.
//!
//! The code is called while a batch runs, after all of its output is computed and before the batch is decided. When it
//! fails, or the process dies, the batch comes again with the same id and the same rows; once it has returned, the
//! batch is committed. So nothing is lost, and what remembers the last id that it has handled also does nothing twice.

use super::{DataFrame, Session, WeakSession};
use acequia_core::{
    BatchId, Error, OutputMode, Result, Sink, SinkBatch, SinkContext, SinkReceipt, SinkWriter,
};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a program's own code may fail with: anything that is an error. An [`Error`] of this crate keeps its kind, so
/// that [`Error::unavailable`] is tried again.
pub type UserError = Box<dyn std::error::Error + Send + Sync>;

/// The output of one micro-batch.
#[derive(Debug, Clone)]
pub struct Batch {
    session: WeakSession,
    id: BatchId,
    mode: OutputMode,
    schema: SchemaRef,
    parts: Vec<SinkBatch>,
}

impl Batch {
    /// Its number: 0 for the first of a checkpoint, then one more each time; the same when the batch comes again.
    pub fn id(&self) -> BatchId {
        self.id
    }

    /// What its rows mean.
    pub fn mode(&self) -> OutputMode {
        self.mode
    }

    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows to add, or in [`OutputMode::Update`] to put in place of those with their key.
    pub fn rows(&self) -> impl Iterator<Item = &RecordBatch> {
        self.parts.iter().map(|part| &part.rows).filter(|rows| rows.num_rows() > 0)
    }

    /// In [`OutputMode::Update`], the last version of the rows that are gone.
    pub fn deletes(&self) -> impl Iterator<Item = &RecordBatch> {
        self.parts.iter().filter_map(|part| part.deletes.as_ref()).filter(|rows| rows.num_rows() > 0)
    }

    /// The number of rows, without deletes.
    pub fn num_rows(&self) -> usize {
        self.rows().map(RecordBatch::num_rows).sum()
    }

    /// The session of the query.
    ///
    /// # Errors
    /// `Cancelled` when it is gone.
    pub fn session(&self) -> Result<Session> {
        self.session.upgrade()
    }

    /// The rows as a frame of the session, to be queried, or written by DataFusion.
    ///
    /// # Errors
    /// `Cancelled` when the session is gone.
    pub fn frame(&self) -> Result<DataFrame> {
        self.session()?.create_data_frame(Arc::clone(&self.schema), self.rows().cloned().collect())
    }
}

/// Takes the rows of a query, batch by batch, as Spark's `ForeachWriter` does. `R` is what it takes at a time: some
/// rows as a [`RecordBatch`].
///
/// In every batch `open` is called once; unless it answers false, `process` and `delete` for the rows; and, unless `open`
/// failed, `close` at the end, with the error if one of them failed or panicked.
///
/// ```
/// use acequia::{BatchId, ForeachWriter, UserError};
/// use acequia::arrow::array::RecordBatch;
///
/// /// Counts rows, each batch once.
/// #[derive(Default)]
/// struct Counted {
///     done: Option<BatchId>,
///     rows: usize,
///     now: (BatchId, usize),
/// }
///
/// impl ForeachWriter<RecordBatch> for Counted {
///     fn open(&mut self, batch: BatchId) -> Result<bool, UserError> {
///         self.now = (batch, 0);
///         Ok(self.done.is_none_or(|done| done < batch))
///     }
///     fn process(&mut self, rows: RecordBatch) -> Result<(), UserError> {
///         self.now.1 += rows.num_rows();
///         Ok(())
///     }
///     fn close(&mut self, error: Option<&UserError>) -> Result<(), UserError> {
///         if error.is_none() {
///             self.done = Some(self.now.0);
///             self.rows += self.now.1;
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait ForeachWriter<R>: Send + 'static {
    /// A batch begins; false when it was handled before and is to be left out.
    ///
    /// # Errors
    /// What makes the query fail.
    fn open(&mut self, batch: BatchId) -> Result<bool, UserError>;

    /// Takes what is new, or in [`OutputMode::Update`] a new version.
    ///
    /// # Errors
    /// What makes the query fail.
    fn process(&mut self, rows: R) -> Result<(), UserError>;

    /// Takes what is gone; only in [`OutputMode::Update`] over results that rows can leave.
    ///
    /// # Errors
    /// What makes the query fail; by default it does.
    fn delete(&mut self, _rows: R) -> Result<(), UserError> {
        Err("rows are gone from the result, and this ForeachWriter has no delete(); write it, or use OutputMode::Changes".into())
    }

    /// The batch is over.
    ///
    /// # Errors
    /// What makes the query fail.
    fn close(&mut self, error: Option<&UserError>) -> Result<(), UserError>;
}

type Handler = Arc<dyn Fn(Batch) -> BoxFuture<'static, Result<(), UserError>> + Send + Sync>;

/// The sink that calls the program.
#[derive(Clone)]
pub(super) struct ForeachSink {
    session: WeakSession,
    what: &'static str,
    handler: Handler,
    context: Option<SinkContext>,
}

impl ForeachSink {
    /// Calls this function with every batch.
    pub(super) fn batches<F, Fut, E>(session: &Session, what: &'static str, f: F) -> Self
    where
        F: Fn(Batch) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<UserError>,
    {
        let handler: Handler = Arc::new(move |batch| f(batch).map(|done| done.map_err(Into::into)).boxed());
        Self { session: session.downgrade(), what, handler, context: None }
    }

    /// Gives a writer every batch.
    pub(super) fn writer(session: &Session, writer: impl ForeachWriter<RecordBatch>) -> Self {
        let writer = Arc::new(Mutex::new(writer));
        Self::batches(session, "foreach", move |batch| {
            let writer = Arc::clone(&writer);
            async move { write(&mut *writer.lock(), &batch) }
        })
    }
}

fn write(writer: &mut impl ForeachWriter<RecordBatch>, batch: &Batch) -> Result<(), UserError> {
    let wanted = writer.open(batch.id)?;
    let mut write = || {
        if !wanted {
            return Ok(());
        }
        // Rows that are gone go first: a key may be among both.
        batch.deletes().try_for_each(|rows| writer.delete(rows.clone()))?;
        batch.rows().try_for_each(|rows| writer.process(rows.clone()))
    };
    let written = catch_unwind(AssertUnwindSafe(&mut write));
    let written = written.unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
    let closed = writer.close(written.as_ref().err());
    written.and(closed)
}

impl fmt::Debug for ForeachSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeachSink").field("what", &self.what).finish_non_exhaustive()
    }
}

#[async_trait]
impl Sink for ForeachSink {
    async fn open(&mut self, context: SinkContext) -> Result<()> {
        self.context = Some(context);
        Ok(())
    }

    async fn writer(&self, id: BatchId) -> Result<Box<dyn SinkWriter>> {
        let context =
            self.context.as_ref().ok_or_else(|| Error::internal("a sink is used before it is opened"))?;
        let (schema, mode) = (Arc::clone(&context.schema), context.mode);
        let batch = Batch { session: self.session.clone(), id, mode, schema, parts: vec![] };
        Ok(Box::new(Collected { what: self.what, handler: Arc::clone(&self.handler), batch }))
    }

    async fn publish(&self, _batch: BatchId, _receipts: &[SinkReceipt]) -> Result<()> {
        Ok(())
    }

    async fn last_published(&self) -> Result<Option<BatchId>> {
        Ok(None)
    }

    fn durable(&self) -> bool {
        false
    }
}

/// Collects a batch and calls the program with it.
struct Collected {
    what: &'static str,
    handler: Handler,
    batch: Batch,
}

#[async_trait]
impl SinkWriter for Collected {
    async fn write(&mut self, part: SinkBatch) -> Result<()> {
        self.batch.parts.push(part);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<SinkReceipt> {
        let (what, id) = (self.what, self.batch.id);
        let deleted: usize = self.batch.deletes().map(RecordBatch::num_rows).sum();
        let rows = (self.batch.num_rows() + deleted) as u64;
        let handled = AssertUnwindSafe(async { (self.handler)(self.batch).await }).catch_unwind().await;
        handled.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))).map_err(|e| failed(what, id, e))?;
        Ok(SinkReceipt { payload: serde_json::Value::Null, rows })
    }
}

fn panicked(panic: &(dyn Any + Send)) -> UserError {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    format!("it panicked: {text}").into()
}

fn failed(what: &str, batch: BatchId, error: UserError) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours.context(format!("{what} of batch {batch}")),
        Err(error) => Error::invalid(format!(
            "{what} failed: {error}; batch={batch}, which is not committed; with a checkpoint it comes again with this id"
        ))
        .with_source(error),
    }
}
