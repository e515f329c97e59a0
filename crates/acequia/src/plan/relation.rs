//! A part of a query that is run on the spot, over rows that are there: what `exec` calls a [`Relation`].
//!
//! The plan has one partition, reads one slot and nothing else, and is polled to its end without leaving the thread.
//! Nothing in such a plan waits for anybody. What may be is a node that yields, to be polled again: through tokio's
//! budget for a task, which is switched off here since it would be filled only by going back to the runtime, or because
//! a sort spills to disk on another thread.

use super::Slot;
use super::reset::IslandTemplate;
use crate::error::from_datafusion;
use crate::exec::Relation;
use acequia_core::Result;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// See the [module](self).
pub(super) struct IslandRelation {
    template: Arc<IslandTemplate>,
    slot: Arc<Slot>,
}

impl IslandRelation {
    /// The plan whose only leaf is this slot.
    pub(super) fn new(template: Arc<IslandTemplate>, slot: Arc<Slot>) -> Self {
        Self { template, slot }
    }
}

impl Relation for IslandRelation {
    fn schema(&self) -> SchemaRef {
        self.template.plan().schema()
    }

    fn over(&mut self, rows: RecordBatch) -> Result<Vec<RecordBatch>> {
        let rows = match self.slot.projection() {
            Some(columns) => rows.project(&columns)?,
            None => rows,
        };
        let input = RecordBatchStreamAdapter::new(rows.schema(), stream::iter([Ok(rows)]));
        self.slot.fill(Box::pin(input));
        let output = self.template.run().map_err(from_datafusion)?;
        to_the_end(output.try_collect()).map_err(from_datafusion)
    }
}

/// Polls until there is a value, whoever runs this thread's other tasks.
fn to_the_end<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(tokio::task::unconstrained(future));
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::yield_now(),
        }
    }
}
