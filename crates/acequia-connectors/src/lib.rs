//! Formats, sources and sinks.

pub mod sinks;
pub mod sources;
