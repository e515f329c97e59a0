//! Acequia: a Structured-Streaming SQL engine over Arrow.
//!
//! Streaming SQL (or the DataFrame API) is planned by DataFusion into incremental plans that run on every micro-batch
//! of Arrow record batches, with event time, watermarks, state and exactly-once output.
//!
//! From the bottom up: [`functions`] and [`sql`] (text to statement), `catalog` (named streams, sinks, views), [`exec`]
//! (stateful operators, one per file), `plan` (what is incremental and how), `runtime` (the micro-batch loop and its
//! protocol), `session` (the way in).

pub mod exec;
pub mod functions;
pub mod sql;

pub use acequia_core::{Error, ErrorKind, Result};
