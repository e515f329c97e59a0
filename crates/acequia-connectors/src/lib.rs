//! Formats, sources and sinks.

mod formats;
pub mod sinks;
pub mod sources;
pub mod words;
