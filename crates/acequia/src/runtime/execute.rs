//! Runs the plan over one batch.
//!
//! Rows are pulled through islands as streams. An operator drains its inputs, is finished, and gives its output as a
//! stream in turn. All of this runs on the query's own thread, but for islands that compute row by row
//! ([`crate::plan::IslandTemplate::is_row_wise`]) and what operators let be done with rows beforehand
//! ([`crate::exec::Prepare`]): each part of a large batch goes through both on a thread of the pool.

use super::parts::{RowWise, in_parts};
use crate::error::{from_datafusion, into_datafusion};
use crate::exec::{BatchContext, cores};
use crate::plan::{Island, Node, OperatorNode};
use acequia_core::{BatchId, RecordStream, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use std::sync::Arc;

/// One batch's run over a plan.
pub(super) struct BatchRun<'a> {
    /// What is constant in the batch.
    pub(super) context: BatchContext,
    /// The rows of each source leaf; each is taken once.
    pub(super) leaves: &'a mut Vec<Option<SendableRecordBatchStream>>,
}

impl BatchRun<'_> {
    /// The rows of an island.
    pub(super) async fn island(&mut self, island: &mut Island) -> Result<SendableRecordBatchStream> {
        if island.template.computes()
            && let Some((row_wise, node)) = row_wise(island)
        {
            let schema = row_wise.0.plan().schema();
            let rows = in_parts(self.node(node).await?, Some(row_wise), |rows, _| Ok(rows));
            return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)));
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
        for (index, input) in node.inputs.iter_mut().enumerate() {
            context.late_watermark =
                if input.is_chained() { context.previous_watermark } else { context.watermark };
            if let Some(preparation) = node.operator.preparation().filter(|_| cores() > 1) {
                let (rows, island) = match row_wise(input) {
                    Some((row_wise, node)) => (self.node(node).await?, Some(row_wise)),
                    None => (self.island(input).await?, None),
                };
                let prepare = move |rows, busy| preparation.prepare(rows, busy).map_err(into_datafusion);
                let mut prepared = Box::pin(in_parts(rows, island, prepare));
                while let Some(rows) = prepared.try_next().await.map_err(from_datafusion)? {
                    node.operator.push_prepared(&context, rows)?;
                }
                continue;
            }
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

/// An island that computes row by row, where that can be done on several threads, and what it reads.
fn row_wise(island: &mut Island) -> Option<(RowWise, &mut Node)> {
    match island.inputs.as_mut_slice() {
        [(slot, node)] if island.template.is_row_wise() && cores() > 1 => {
            Some(((Arc::clone(&island.template), Arc::clone(slot)), node))
        }
        _ => None,
    }
}

/// Rows that are there.
pub(super) fn stream_of(schema: SchemaRef, batches: Vec<RecordBatch>) -> SendableRecordBatchStream {
    let rows = stream::iter(batches.into_iter().map(Ok));
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

/// A source's rows as DataFusion takes them.
pub(super) fn adapt(schema: SchemaRef, rows: RecordStream) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema, rows.map(|batch| batch.map_err(into_datafusion))))
}
