//! Running continuous queries: triggers, the micro-batch protocol, recovery, progress.

mod execute;
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

pub use progress::{Durations, SourceProgress, StateOperatorProgress, StreamingQueryProgress};
pub use query::{QueryListener, StateTable, StreamingQuery};
pub use recover::CheckpointPlace;
pub use retry::RetryPolicy;
pub use run::{PlanFactory, QueryDefinition, start};
pub use watermark::WatermarkPolicy;
