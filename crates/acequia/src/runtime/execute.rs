//! Runs the plan over one batch.
//!
//! Rows are pulled through islands as streams. An operator drains its inputs, is finished, and gives its output as a
//! stream in turn. All of this runs on the query's own thread, but for islands that compute row by row
//! ([`IslandTemplate::is_row_wise`]): each part of a large batch goes through them on a thread of the pool.

use super::workers;
use crate::error::{from_datafusion, into_datafusion};
use crate::exec::BatchContext;
use crate::plan::{Island, IslandTemplate, Node, OperatorNode, Slot};
use acequia_core::{BatchId, RecordStream, Result, Watermark};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use std::sync::Arc;

/// How many rows go through an island at once, where it computes in parts.
const PART_ROWS: usize = 32 * 1024;

/// One batch's run over a plan.
pub(super) struct BatchRun<'a> {
    /// What is constant in the batch.
    pub(super) context: BatchContext,
    /// The watermark of the batch before, by which rows between two stateful operators are late.
    pub(super) previous: Watermark,
    /// The rows of each source leaf; each is taken once.
    pub(super) leaves: &'a mut Vec<Option<SendableRecordBatchStream>>,
}

impl BatchRun<'_> {
    /// The rows of an island.
    pub(super) async fn island(&mut self, island: &mut Island) -> Result<SendableRecordBatchStream> {
        if let [(slot, node)] = island.inputs.as_mut_slice()
            && island.template.is_row_wise()
            && workers::threads() > 1
        {
            let rows = self.node(node).await?;
            return Ok(in_parts(Arc::clone(&island.template), Arc::clone(slot), rows));
        }
        for (slot, node) in &mut island.inputs {
            slot.fill(self.node(node).await?);
        }
        island.template.run().map_err(from_datafusion)
    }

    fn node<'b>(&'b mut self, node: &'b mut Node) -> BoxFuture<'b, Result<SendableRecordBatchStream>> {
        async move {
            match node {
                Node::Source(leaf) => self.leaves[*leaf]
                    .take()
                    .ok_or_else(|| acequia_core::Error::internal("a source leaf is read twice in one batch")),
                Node::Island(island) => self.island(island).await,
                Node::Once(island) if self.context.batch == BatchId(0) => self.island(island).await,
                Node::Once(island) => Ok(stream_of(island.template.plan().schema(), vec![])),
                Node::Operator(operator) => self.operator(operator).await,
            }
        }
        .boxed()
    }

    async fn operator(&mut self, node: &mut OperatorNode) -> Result<SendableRecordBatchStream> {
        let mut context = self.context;
        if node.chained {
            context.late_watermark = self.previous;
        }
        for (index, input) in node.inputs.iter_mut().enumerate() {
            let mut rows = self.island(input).await?;
            while let Some(batch) = rows.try_next().await.map_err(from_datafusion)? {
                if batch.num_rows() > 0 {
                    node.operator.push(&context, index, batch)?;
                }
            }
        }
        let output = node.operator.finish(&context)?;
        Ok(stream_of(node.operator.output_schema(), output))
    }
}

/// The rows of a row-wise island, computed part by part, in their order.
fn in_parts(
    template: Arc<IslandTemplate>,
    slot: Arc<Slot>,
    rows: SendableRecordBatchStream,
) -> SendableRecordBatchStream {
    let (input, output) = (rows.schema(), template.plan().schema());
    let parts = parts(rows).map(move |part| {
        let (template, slot, input) = (Arc::clone(&template), Arc::clone(&slot), Arc::clone(&input));
        async move {
            let part = part?;
            let small = part.iter().map(RecordBatch::num_rows).sum::<usize>() < PART_ROWS / 4;
            // Nothing else runs on this thread between these two.
            slot.fill(stream_of(input, part));
            let rows = template.run()?.try_collect::<Vec<RecordBatch>>();
            if small { rows.await } else { workers::compute(rows).await.map_err(into_datafusion)? }
        }
    });
    let computed = parts.buffered(workers::threads() + 1);
    let batches = computed.map_ok(|batches| stream::iter(batches.into_iter().map(Ok))).try_flatten();
    Box::pin(RecordBatchStreamAdapter::new(output, batches))
}

/// The rows in parts of [`PART_ROWS`], but for the last one. How they are cut depends on nothing but the rows and their
/// batches, so that a batch that is run again computes the same to the last bit.
fn parts(
    rows: SendableRecordBatchStream,
) -> impl Stream<Item = datafusion::common::Result<Vec<RecordBatch>>> + Send {
    let state = (rows, None::<RecordBatch>);
    stream::try_unfold(state, |(mut rows, mut rest)| async move {
        let (mut part, mut count) = (vec![], 0);
        while count < PART_ROWS {
            let next = match rest.take() {
                Some(rest) => Some(rest),
                None => rows.try_next().await?,
            };
            let Some(mut batch) = next else { break };
            let room = PART_ROWS - count;
            if batch.num_rows() > room {
                rest = Some(batch.slice(room, batch.num_rows() - room));
                batch = batch.slice(0, room);
            }
            count += batch.num_rows();
            part.push(batch);
        }
        Ok((!part.is_empty()).then_some((part, (rows, rest))))
    })
}

fn stream_of(schema: SchemaRef, batches: Vec<RecordBatch>) -> SendableRecordBatchStream {
    let rows = stream::iter(batches.into_iter().map(Ok));
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

/// A source's rows as DataFusion takes them.
pub(super) fn adapt(schema: SchemaRef, rows: RecordStream) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema, rows.map(|batch| batch.map_err(into_datafusion))))
}
