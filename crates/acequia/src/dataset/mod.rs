//! Typed rows: streams as values of Rust types.

mod columns;
mod function;
mod guard;
mod io;
mod pairs;
mod probe;
mod reduce;
mod rows;
#[cfg(test)]
mod rows_tests;
mod typed;
mod windowed;

pub use io::MemoryInput;
pub use pairs::Joined;
pub use rows::{Row, RowCodec};
pub use typed::Dataset;
pub use windowed::{Window, Windowed};
