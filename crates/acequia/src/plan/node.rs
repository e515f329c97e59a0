//! The incremental plan: a tree of islands and operators, ready to be run batch after batch.

use super::reset::IslandTemplate;
use super::{EventTimeObservers, Slot};
use crate::catalog::Stream;
use crate::exec::Operator;
use crate::functions::BatchTime;
use acequia_core::{OperatorId, OutputMode};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;
use std::sync::Arc;

/// The name of the column that says what a row of `CHANGES` is.
pub(super) const OP: &str = "op";

/// A planned continuous query.
#[derive(Debug)]
pub struct StreamingPlan {
    /// The island that gives the query's output.
    pub root: Node,
    /// Every use of a stream, in the order of [`Node::Source`].
    pub sources: Vec<SourceLeaf>,
    /// The watermarks of the query.
    pub observers: Arc<EventTimeObservers>,
    /// What `now()` and `PROCTIME()` read.
    pub batch_time: Arc<BatchTime>,
    /// What a batch gives the sink.
    pub mode: OutputMode,
    /// The columns of the result, without weight and `op`.
    pub schema: SchemaRef,
    /// Whether the root's rows carry a weight as last column.
    pub weighted: bool,
    /// The columns that identify a row of the result; `None` when every row is new or nothing does.
    pub key: Option<Vec<usize>>,
    /// What `EXPLAIN STREAMING` prints.
    pub explain: String,
    /// The query as it was planned, before any rewriting: over tables it is what the folded output has to equal.
    pub logical: LogicalPlan,
}

impl StreamingPlan {
    /// The columns that the sink sees: those of the result, and `op` in `CHANGES`.
    pub fn sink_schema(&self) -> SchemaRef {
        if self.mode != OutputMode::Changes {
            return Arc::clone(&self.schema);
        }
        let mut fields = self.schema.fields().to_vec();
        fields.push(Arc::new(Field::new(OP, DataType::Utf8, true)));
        Arc::new(Schema::new(fields))
    }
}

/// A use of a stream in a query.
#[derive(Debug, Clone)]
pub struct SourceLeaf {
    /// The stream.
    pub stream: Arc<Stream>,
    /// Where its rows go.
    pub slot: Arc<Slot>,
}

/// A node of the incremental plan.
#[derive(Debug)]
pub enum Node {
    /// The n-th of [`StreamingPlan::sources`].
    Source(usize),
    /// Stateless: DataFusion's own physical plan.
    Island(Island),
    /// Static rows in a place where a stream's are expected: they come in batch 0, and never again. A restart has the
    /// batch's id, so it knows whether they have come.
    Once(Island),
    /// Stateful.
    Operator(OperatorNode),
}

/// A stateless part of the plan.
#[derive(Debug)]
pub struct Island {
    /// The physical plan.
    pub template: Arc<IslandTemplate>,
    /// What feeds each of its leaves.
    pub inputs: Vec<(Arc<Slot>, Node)>,
}

impl Island {
    /// Whether it reads what a stateful operator emits. Its rows are then judged late by the watermark of the batch
    /// before, since the operator below emits only now what this batch's watermark made final.
    pub fn is_chained(&self) -> bool {
        self.inputs.iter().any(|(_, node)| match node {
            Node::Source(_) => false,
            Node::Operator(_) => true,
            Node::Island(island) | Node::Once(island) => island.is_chained(),
        })
    }
}

/// An operator in a line.
#[derive(Debug, Clone)]
pub struct Description {
    /// The line.
    pub text: String,
    /// Why what it keeps only grows with what comes, if so.
    pub grows: Option<String>,
}

impl Description {
    /// Of an operator whose state has a bound, or one that the program sets.
    pub(super) fn bounded(text: impl Into<String>) -> Self {
        Self { text: text.into(), grows: None }
    }

    /// The same with more in its line.
    #[must_use]
    pub(super) fn with(mut self, more: &str) -> Self {
        self.text += more;
        self
    }
}

/// A stateful operator and what feeds it.
pub struct OperatorNode {
    /// Its id, stable over restarts.
    pub id: OperatorId,
    /// What it is, as `aggregate`.
    pub name: &'static str,
    /// What its state depends on: a query whose operator has another one cannot go on from this state.
    pub fingerprint: String,
    /// What `EXPLAIN STREAMING` says of it.
    pub description: Description,
    /// The operator.
    pub operator: Box<dyn Operator>,
    /// Its inputs.
    pub inputs: Vec<Island>,
}

impl std::fmt::Debug for OperatorNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorNode")
            .field("id", &self.id)
            .field("fingerprint", &self.fingerprint)
            .field("inputs", &self.inputs)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Whether batch 0 has rows even if no stream has any.
    pub fn gives_once(&self) -> bool {
        let of = |island: &Island| island.inputs.iter().any(|(_, node)| node.gives_once());
        match self {
            Self::Source(_) => false,
            Self::Once(_) => true,
            Self::Island(island) => of(island),
            Self::Operator(operator) => operator.inputs.iter().any(of),
        }
    }

    /// Which operators keep more the more rows come, and why.
    pub fn growing_state(&self) -> Vec<String> {
        let grows = |node: &OperatorNode| {
            node.description.grows.as_ref().map(|why| format!("{}#{}: {why}", node.name, node.id))
        };
        self.operators().into_iter().filter_map(grows).collect()
    }

    /// Every operator below and including this node, children first.
    pub fn operators(&self) -> Vec<&OperatorNode> {
        let mut found = vec![];
        self.visit(&mut |operator| found.push(operator));
        found
    }

    fn visit<'a>(&'a self, f: &mut impl FnMut(&'a OperatorNode)) {
        match self {
            Self::Source(_) | Self::Once(_) => {}
            Self::Island(island) => island.inputs.iter().for_each(|(_, node)| node.visit(f)),
            Self::Operator(operator) => {
                operator.inputs.iter().flat_map(|island| &island.inputs).for_each(|(_, node)| node.visit(f));
                f(operator);
            }
        }
    }

    /// Calls `f` on every operator, children first.
    ///
    /// # Errors
    /// The first of `f`.
    pub fn try_for_each_operator<E>(
        &mut self,
        f: &mut dyn FnMut(&mut OperatorNode) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Source(_) | Self::Once(_) => Ok(()),
            Self::Island(island) => {
                island.inputs.iter_mut().try_for_each(|(_, node)| node.try_for_each_operator(f))
            }
            Self::Operator(operator) => {
                for (_, node) in operator.inputs.iter_mut().flat_map(|island| &mut island.inputs) {
                    node.try_for_each_operator(f)?;
                }
                f(operator)
            }
        }
    }
}
