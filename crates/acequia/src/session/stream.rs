//! A query's output as a `Stream` of the program.

use crate::runtime::StreamingQuery;
use acequia_core::Result;
use arrow::array::RecordBatch;
use futures::stream::{BoxStream, unfold};
use futures::{Stream, StreamExt};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// The rows of a continuous query as they come: [`super::DataStreamWriter::to_stream`].
///
/// The query computes no more than one part ahead of its reader. When it ends the stream ends, with the query's error as
/// last item if it failed. Dropping the stream stops the query.
pub struct QueryStream {
    query: Arc<StreamingQuery>,
    rows: BoxStream<'static, Result<RecordBatch>>,
}

impl QueryStream {
    pub(super) fn new(query: Arc<StreamingQuery>, parts: mpsc::Receiver<RecordBatch>) -> Self {
        let handle = Arc::clone(&query);
        let rows = unfold(Some(parts), move |parts| {
            let query = Arc::clone(&handle);
            async move {
                let mut parts = parts?;
                match parts.recv().await {
                    Some(rows) => Some((Ok(rows), Some(parts))),
                    None => query.await_termination().await.err().map(|error| (Err(error), None)),
                }
            }
        });
        Self { query, rows: rows.fuse().boxed() }
    }

    /// The query's handle.
    pub fn query(&self) -> &Arc<StreamingQuery> {
        &self.query
    }
}

impl Stream for QueryStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.rows.poll_next_unpin(context)
    }
}

impl Drop for QueryStream {
    fn drop(&mut self) {
        self.query.stop_soon();
    }
}

impl fmt::Debug for QueryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryStream").field("query", &self.query).finish_non_exhaustive()
    }
}
