//! Acequia: a Structured-Streaming SQL engine over Arrow.
//!
//! Streaming SQL (or the DataFrame API) is planned by DataFusion into incremental plans that run on every micro-batch
//! of Arrow record batches, with event time, watermarks, state and exactly-once output.
//!
//! From the bottom up: [`functions`] (event time in SQL) and [`sql`] (text to statement), [`catalog`] (named streams,
//! sinks, views), [`exec`] (stateful operators, one per file), [`plan`] (what is incremental and how), [`runtime`] (the
//! micro-batch loop and its protocol), [`session`] (the way in).

pub mod catalog;
pub mod exec;
pub mod functions;
pub mod plan;
pub mod runtime;
pub mod session;
pub mod sql;

mod error;

pub use acequia_connectors::sinks::{ConsoleOut, NoConsole, TableLayout, format_table};
pub use acequia_core::{Error, ErrorKind, Location, OutputMode, Result};
pub use error::from_datafusion;
pub use exec::Shards;
pub use runtime::{QueryListener, RetryPolicy, StreamingQuery, StreamingQueryProgress};
pub use session::{
    BatchOutput, DataFrame, DataStreamReader, DataStreamWriter, Session, SessionBuilder, StatementOutput,
    StepSplit,
};
pub use sql::Trigger;
