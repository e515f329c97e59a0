//! Runs the plan over one batch.
//!
//! Rows are pulled through islands as streams. An operator drains its inputs, is finished, and gives its output as a
//! stream in turn. Everything runs on the query's own thread.

use crate::error::{from_datafusion, into_datafusion};
use crate::exec::BatchContext;
use crate::plan::{Island, Node, OperatorNode};
use acequia_core::{BatchId, RecordStream, Result, Watermark};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

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

fn stream_of(schema: SchemaRef, batches: Vec<RecordBatch>) -> SendableRecordBatchStream {
    let rows = stream::iter(batches.into_iter().map(Ok));
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

/// A source's rows as DataFusion takes them.
pub(super) fn adapt(schema: SchemaRef, rows: RecordStream) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema, rows.map(|batch| batch.map_err(into_datafusion))))
}
