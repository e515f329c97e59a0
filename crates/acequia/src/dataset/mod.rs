//! Typed rows: streams as values of Rust types.

mod probe;
mod rows;
#[cfg(test)]
mod rows_tests;

pub use rows::{Row, RowCodec};
