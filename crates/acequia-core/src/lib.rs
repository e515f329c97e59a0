//! Vocabulary and contracts of Acequia: what every floor above agrees on.
//!
//! This crate knows Arrow's arrays and nothing else: no DataFusion, no network. It holds
//! - [`error`]: the one error type, its kind chosen by what the reader does next;
//! - [`id`]: names of queries, batches, runs and operators that cannot be mixed up;
//! - [`disk`]: local files that have to be durable;
//! - [`time`]: clocks, event times, watermarks and the spelling of intervals;
//! - [`options`]: the `WITH (...)` options of connectors, checked and with secrets kept out of sight;
//! - [`source`] and [`sink`]: the contracts of connectors;
//! - [`state`]: what operators hand over to be made durable;
//! - [`conformance`]: public test suites that every connector runs.

pub mod conformance;
pub mod disk;
pub mod error;
pub mod id;
pub mod options;
pub mod sink;
pub mod source;
pub mod state;
pub mod time;

pub use error::{Error, ErrorKind, Location, Result};
pub use id::{BatchId, Epoch, OperatorId, QueryId};
pub use options::Options;
pub use sink::{OutputMode, Sink, SinkBatch, SinkContext, SinkReceipt, SinkWriter};
pub use source::{
    Advance, Offset, OffsetRange, ReadMetrics, RecordStream, Source, SourceContext, Split, SplitReader,
};
pub use time::{Clock, ManualClock, SystemClock, Timestamp, Watermark};
