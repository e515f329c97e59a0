//! Sources and sinks against the suites of their contracts, and what is special to each.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod sinks;
mod sources;
