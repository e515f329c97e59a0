//! Acequia: a Structured-Streaming SQL engine over Arrow.
//!
//! Streaming SQL (or the DataFrame API) is planned by DataFusion into incremental plans that run on every micro-batch
//! of Arrow record batches, with event time, watermarks, state and exactly-once output.
//!
//! From the bottom up: [`functions`] (event time in SQL) and [`sql`] (text to statement), [`catalog`] (named streams,
//! sinks, views), [`exec`] (stateful operators, one per file), [`plan`] (what is incremental and how), [`runtime`] (the
//! micro-batch loop and its protocol), [`session`] (the way in), [`dataset`] (rows as values of Rust types).

pub mod catalog;
pub mod dataset;
pub mod exec;
pub mod functions;
pub mod plan;
pub mod runtime;
pub mod session;
pub mod sql;

#[doc = include_str!("../FROM_SPARK.md")]
pub mod from_spark {}

mod error;

pub use acequia_connectors::sinks::{ConsoleOut, NoConsole, TableLayout, format_table};
pub use acequia_core::{
    BatchId, Clock, Error, ErrorKind, Location, ManualClock, OutputMode, QueryId, Result, Timestamp,
    Watermark,
};
pub use dataset::{
    Dataset, GroupState, InitialState, KeyContext, KeyValueGroups, ListState, MapState, MemoryInput, Row,
    RowCodec, StatefulProcessor, TimeMode, ValueState, Variables, Window, Windowed,
};
pub use error::from_datafusion;
pub use exec::Shards;
pub use runtime::{
    ListenerId, QueryRun, RetryPolicy, StreamingQuery, StreamingQueryListener, StreamingQueryProgress,
    StreamingQueryStatus,
};
pub use session::{
    Batch, BatchOutput, DataFrame, DataStateReader, DataStreamReader, DataStreamWriter, ForeachWriter,
    GroupedData, QueryStream, RunningQuery, Session, SessionBuilder, StatementOutput, StepSplit,
    StreamingQueryManager, UserError,
};
pub use sql::Trigger;

/// The names that a program needs most: `use acequia::prelude::*`.
pub mod prelude {
    pub use crate::session::expressions::{session_window, sliding_window, window, window_from};
    pub use crate::{
        DataFrame, Dataset, OutputMode, Session, StatementOutput, StreamingQuery, StreamingQueryListener,
        Trigger, Window,
    };
    pub use arrow::datatypes::{DataType, TimeUnit};
    pub use datafusion::common::{JoinType, ScalarValue};
    pub use datafusion::functions_aggregate::expr_fn::{avg, count, count_distinct, max, min, sum};
    pub use datafusion::logical_expr::{Expr, ExprFunctionExt};
    pub use datafusion::prelude::{cast, col, ident, lit, when};
}

/// The versions of Arrow and DataFusion that this crate is built with, for programs that use them too.
pub use {arrow, datafusion};
