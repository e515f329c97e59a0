//! The sink that forgets: counts rows, for benchmarks and for queries run for their side of the progress only.

use super::staging::count;
use acequia_core::{BatchId, Result, Sink, SinkBatch, SinkContext, SinkReceipt, SinkWriter};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Takes every mode and keeps nothing but two numbers.
#[derive(Debug, Default)]
pub struct BlackholeSink {
    rows: AtomicU64,
    last: Mutex<Option<BatchId>>,
}

impl BlackholeSink {
    /// Rows published in this run, deletes included.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Sink for BlackholeSink {
    async fn open(&mut self, _context: SinkContext) -> Result<()> {
        *self = Self::default();
        Ok(())
    }

    async fn writer(&self, _batch: BatchId) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(Counter { rows: 0 }))
    }

    async fn publish(&self, batch: BatchId, receipts: &[SinkReceipt]) -> Result<()> {
        let mut last = self.last.lock();
        if last.is_none_or(|last| last < batch) {
            *last = Some(batch);
            self.rows.fetch_add(receipts.iter().map(|r| r.rows).sum(), Ordering::Relaxed);
        }
        Ok(())
    }

    async fn last_published(&self) -> Result<Option<BatchId>> {
        Ok(*self.last.lock())
    }

    fn durable(&self) -> bool {
        false
    }
}

struct Counter {
    rows: u64,
}

#[async_trait]
impl SinkWriter for Counter {
    async fn write(&mut self, batch: SinkBatch) -> Result<()> {
        self.rows += count(&batch) as u64;
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<SinkReceipt> {
        Ok(SinkReceipt { payload: serde_json::Value::Null, rows: self.rows })
    }
}
