//! Formats, sources and sinks.

pub mod sources;
