//! The rows of a batch, read again from their offsets by a source of our own.

use acequia::catalog::Stream;
use acequia::runtime::SourceProgress;
use acequia::{Error, Result};
use acequia_core::{Advance, Clock, Offset, OffsetRange, ReadMetrics, Source, SourceContext};
use arrow::array::RecordBatch;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use std::sync::Arc;

/// A second reader of a stream, which follows the batches of a query.
pub(super) struct Replay {
    stream: Arc<Stream>,
    source: Option<Box<dyn Source>>,
}

impl Replay {
    pub(super) fn new(stream: Arc<Stream>) -> Self {
        Self { stream, source: None }
    }

    /// Opens the source, unless it is open.
    pub(super) async fn open(&mut self, clock: &Arc<dyn Clock>) -> Result<&mut dyn Source> {
        if self.source.is_none() {
            let store = Arc::new(InMemory::new());
            let context = SourceContext { store, durable: false, clock: Arc::clone(clock) };
            self.source = Some(self.stream.open(context).await?);
        }
        match &mut self.source {
            Some(source) => Ok(source.as_mut()),
            None => Err(Error::internal("a source was just opened")),
        }
    }

    /// The rows that a batch took from the stream.
    pub(super) async fn read(
        &mut self,
        batch: &SourceProgress,
        clock: &Arc<dyn Clock>,
    ) -> Result<Vec<RecordBatch>> {
        let stream = self.stream.name().to_string();
        let source = self.open(clock).await?;
        let Some(end) = batch.end_offset.clone().filter(|end| Some(end) != batch.start_offset.as_ref())
        else {
            return Ok(vec![]);
        };
        discover(source, batch.start_offset.clone(), &end).await?;
        let range = OffsetRange { start: batch.start_offset.clone(), end };
        let metrics = Arc::new(ReadMetrics::default());
        let reader = source.reader();
        let mut rows = vec![];
        for split in source.plan_splits(&range).await? {
            let read: Vec<RecordBatch> = reader.read(&split, None, &metrics)?.try_collect().await?;
            rows.extend(read);
        }
        let read: usize = rows.iter().map(RecordBatch::num_rows).sum();
        if read as u64 != batch.num_input_rows {
            return Err(Error::internal(format!(
                "rows of a batch cannot be read again: stream=`{}` read={read} batch={}; switch the oracle off with a reason",
                stream, batch.num_input_rows
            )));
        }
        Ok(rows)
    }
}

/// Lets the source find out what there is, as it does before a query reads.
async fn discover(source: &mut dyn Source, start: Option<Offset>, end: &Offset) -> Result<()> {
    let mut position = start;
    while position.as_ref() != Some(end) {
        match source.next_offset(position.as_ref()).await? {
            Advance::To { end, .. } => position = Some(end),
            Advance::Idle | Advance::Ended => return Ok(()),
        }
    }
    Ok(())
}
