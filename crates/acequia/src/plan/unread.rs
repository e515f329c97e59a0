//! Rows that an island did not ask for: a join with nothing on its other side, or a LIMIT, ends before its inputs do.
//!
//! They were read all the same: they count, they move the watermark, and operators below have them in their state. So
//! whoever gives rows to an island through [`Unread::watched`] gets its stream read to the end once the island is done.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::RecordBatchStream;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::{Stream, TryStreamExt};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

/// Streams that were dropped before their end.
#[derive(Default)]
pub(super) struct Unread(Arc<Mutex<Vec<SendableRecordBatchStream>>>);

impl Unread {
    /// Forgets those of a batch that failed.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }

    /// The stream, which is kept when it is dropped before its end.
    pub(super) fn watched(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        Box::pin(Watched { schema: rows.schema(), rows: Some(rows), unread: Arc::downgrade(&self.0) })
    }

    /// Reads what was kept to its end.
    pub(super) async fn read(&self) -> Result<()> {
        loop {
            let Some(mut rows) = self.0.lock().pop() else { return Ok(()) };
            while rows.try_next().await?.is_some() {}
        }
    }
}

struct Watched {
    schema: SchemaRef,
    rows: Option<SendableRecordBatchStream>,
    /// Not owned, as what is kept may hold streams that are watched themselves.
    unread: Weak<Mutex<Vec<SendableRecordBatchStream>>>,
}

impl Stream for Watched {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(rows) = &mut self.rows else { return Poll::Ready(None) };
        let polled = rows.as_mut().poll_next(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.rows = None;
        }
        polled
    }
}

impl RecordBatchStream for Watched {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let (Some(rows), Some(unread)) = (self.rows.take(), self.unread.upgrade()) {
            unread.lock().push(rows);
        }
    }
}
