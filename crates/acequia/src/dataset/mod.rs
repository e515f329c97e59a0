//! Typed rows: streams as values of Rust types, and programs with state over them.
//!
//! ```text
//! frame.group_by_key(f)  ->  columns `key`, `row` (a struct), `time`  ->  TransformWithState  ->  exec::keyed_state
//!                                                                               ^ Typed<P>: columns <-> values of P
//! ```

mod columns;
mod group_state;
mod groups;
mod guard;
mod io;
mod pairs;
mod probe;
mod processor;
mod reduce;
mod rows;
#[cfg(test)]
mod rows_tests;
#[cfg(test)]
mod state_tests;
mod typed;
mod variables;
mod windowed;

pub use crate::exec::{KeyContext, TimeMode};
pub use group_state::GroupState;
pub use groups::KeyValueGroups;
pub use io::MemoryInput;
pub use pairs::Joined;
pub use processor::{InitialState, StatefulProcessor};
pub use rows::{Row, RowCodec};
pub use typed::Dataset;
pub use variables::{ListState, MapState, ValueState, Variables};
pub use windowed::{Window, Windowed};
