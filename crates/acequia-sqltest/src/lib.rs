//! Runs `.sql` files: statement by statement as a script, and against golden output as a test.
//!
//! - [`script`] executes the statements of a text and tells what happens as a sequence of [`Event`]s;
//! - [`event`] is that vocabulary and its JSON form, one object a line, which scripts of others read;
//! - [`json`] turns Arrow values into JSON values.

pub mod event;
pub mod json;
pub mod script;

pub use event::Event;
pub use script::{Script, ScriptOptions};
