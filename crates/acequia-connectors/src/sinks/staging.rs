//! Batches written and not yet published, held in this process: what sinks without a durable place stage in.
//!
//! The receipt is only a number that finds the rows again; it means nothing to another process, nor to another run that
//! does not share the [`Staging`].

use acequia_core::{BatchId, Error, Result, SinkBatch, SinkReceipt, SinkWriter};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Staged batches of a query, of one run or of those that share it.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    attempts: u64,
    /// Whether there ever was a writer. What came before its batch was published by others, or nobody knows.
    begun: bool,
    staged: BTreeMap<(BatchId, u64), Vec<SinkBatch>>,
    published: Option<BatchId>,
}

impl Staging {
    pub(crate) fn writer(self: &Arc<Self>, batch: BatchId) -> Box<dyn SinkWriter> {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.begun, true) {
            state.published = batch.0.checked_sub(1).map(BatchId);
        }
        drop(state);
        Box::new(StagingWriter { staging: Arc::clone(self), batch, parts: vec![] })
    }

    /// The rows of a batch that is to be published now; `None` when it is published already.
    pub(crate) fn rows(&self, batch: BatchId, receipts: &[SinkReceipt]) -> Result<Option<Vec<SinkBatch>>> {
        let state = self.state.lock();
        if state.published.is_some_and(|last| batch <= last) {
            return Ok(None);
        }
        let mut parts = vec![];
        for receipt in receipts {
            let staged = receipt.payload.as_u64().and_then(|attempt| state.staged.get(&(batch, attempt)));
            let lost =
                || Error::data(format!("rows of a batch were staged by another process: batch={batch}"));
            parts.extend_from_slice(staged.ok_or_else(lost)?);
        }
        Ok(Some(parts))
    }

    /// Remembers that a batch is published and drops what was staged up to it, attempts that lost included.
    pub(crate) fn published(&self, batch: BatchId) {
        let mut state = self.state.lock();
        state.published = Some(batch);
        state.staged = state.staged.split_off(&(batch.next(), 0));
    }

    /// Whether it knows which batches are published: from the first writer on.
    pub(crate) fn has_begun(&self) -> bool {
        self.state.lock().begun
    }

    pub(crate) fn last_published(&self) -> Option<BatchId> {
        self.state.lock().published
    }
}

struct StagingWriter {
    staging: Arc<Staging>,
    batch: BatchId,
    parts: Vec<SinkBatch>,
}

#[async_trait]
impl SinkWriter for StagingWriter {
    async fn write(&mut self, batch: SinkBatch) -> Result<()> {
        if count(&batch) > 0 {
            self.parts.push(batch);
        }
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<SinkReceipt> {
        let rows = self.parts.iter().map(count).sum::<usize>() as u64;
        let mut state = self.staging.state.lock();
        let attempt = state.attempts;
        state.attempts += 1;
        state.staged.insert((self.batch, attempt), self.parts);
        Ok(SinkReceipt { payload: attempt.into(), rows })
    }
}

/// Rows of a part, deletes included.
pub(crate) fn count(part: &SinkBatch) -> usize {
    part.rows.num_rows() + part.deletes.as_ref().map_or(0, |d| d.num_rows())
}
