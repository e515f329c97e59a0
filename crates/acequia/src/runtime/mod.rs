//! Running continuous queries: triggers, the micro-batch protocol, recovery, progress.

mod execute;
mod listener;
mod micro_batch;
mod output;
mod parts;
mod progress;
mod query;
mod read;
mod recover;
mod retry;
mod run;
mod watermark;
mod workers;

pub use listener::{ListenerId, Listeners, QueryRun, StreamingQueryListener};
pub use progress::{
    Durations, EventTimeProgress, SinkProgress, SourceProgress, StateOperatorProgress, StreamingQueryProgress,
};
pub use query::{StateTable, StreamingQuery, StreamingQueryStatus};
pub use recover::CheckpointPlace;
pub use retry::RetryPolicy;
pub use run::{PlanFactory, QueryDefinition, start};
pub use watermark::WatermarkPolicy;
