//! From DataFusion's logical plan to an incremental plan.
//!
//! ```text
//! logical plan -> resolve windows, bind the batch's time -> optimize (rules that are right on a delta)
//!              -> cut at stateful nodes: islands of DataFusion's own physical plan, operators of `exec` between them
//!              -> output mode: how operators emit, which columns are the key of the result
//! ```
//! Planning never touches a store. What cannot be incremental is refused here, naming the operator, the reason and
//! the way out; nothing is run per batch in the hope that it is right.

mod aggregates;
mod asof;
mod asof_relation;
mod build;
mod delta;
mod duplicates;
mod event_times;
mod explain;
mod fingerprint;
mod in_order;
mod joins;
mod keep;
mod key;
mod keyed_state;
mod moving_bound;
mod node;
mod optimize;
mod over;
mod reach;
mod recompute;
mod refuse;
mod relation;
mod reset;
mod running;
mod see;
mod sessions;
mod static_join;
mod time_key;
mod unread;
mod views;
mod watermark;

pub use asof_relation::AsofRelations;
pub use delta::Slot;
pub use event_times::EventTimes;
pub use keyed_state::TransformWithState;
pub use node::{Island, Node, OperatorNode, SourceLeaf, StreamingPlan};
pub use reset::IslandTemplate;
pub use watermark::{EventTimeObserver, EventTimeObservers};

use crate::exec::Shards;
use crate::functions::BatchTime;
use acequia_core::{ErrorKind, OutputMode, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use std::sync::Arc;

/// What a query asks of its output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputSpec {
    /// What a batch gives the sink. Without one it is `APPEND` where the query allows it, otherwise `UPDATE`; with a key
    /// it is `UPDATE`.
    pub mode: Option<OutputMode>,
    /// The names of the columns that tell the rows of the result apart, where the query says so itself.
    pub key: Option<Vec<String>>,
}

impl From<Option<OutputMode>> for OutputSpec {
    fn from(mode: Option<OutputMode>) -> Self {
        Self { mode, key: None }
    }
}

/// Plans a continuous query. The number of shards changes neither the answer nor what a checkpoint holds.
///
/// # Errors
/// `Unsupported` for what cannot be incremental in this mode; `Invalid` for what is wrong in itself.
pub async fn plan_streaming(
    state: &SessionState,
    plan: LogicalPlan,
    output: &OutputSpec,
    shards: Shards,
) -> Result<StreamingPlan> {
    let state = optimize::streaming_state(state);
    let key = output.key.as_deref();
    let first = match output.mode {
        Some(mode @ (OutputMode::Append | OutputMode::Complete)) if key.is_some() => {
            return Err(refuse::key_without_use(mode));
        }
        Some(mode) => mode,
        None if key.is_some() => OutputMode::Update,
        None => OutputMode::Append,
    };
    match plan_in_mode(&state, plan.clone(), first, key, shards).await {
        Err(e) if output == &OutputSpec::default() && e.kind() == ErrorKind::Unsupported => {
            plan_in_mode(&state, plan, OutputMode::Update, None, shards).await
        }
        planned => planned,
    }
}

async fn plan_in_mode(
    state: &SessionState,
    plan: LogicalPlan,
    mode: OutputMode,
    key: Option<&[String]>,
    shards: Shards,
) -> Result<StreamingPlan> {
    let logical = views::inline(plan, mode)?;
    let batch_time = Arc::new(BatchTime::default());
    let plan = optimize::optimize(state, logical.clone(), &batch_time, mode)?;
    let planned = build::build(state, &plan, mode, key, shards, batch_time).await?;
    Ok(StreamingPlan { logical, ..planned })
}

pub use build::is_streaming;
pub use views::reads_view;
