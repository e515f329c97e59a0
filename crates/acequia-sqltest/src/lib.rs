//! Runs `.sql` files: statement by statement as a script, and against golden output as a test.
//!
//! - [`script`] executes the statements of a text and tells what happens as a sequence of [`Event`]s;
//! - [`event`] is that vocabulary and its JSON form, one object a line, which scripts of others read;
//! - [`json`] turns Arrow values into JSON values;
//! - [`directives`] are the comments that steer the statement below them;
//! - [`variant`] runs a file once, its rows cut into other micro-batches and its queries restarted;
//! - [`oracle`] compares what continuous queries gave with what a batch query over the same rows gives;
//! - [`suite`] finds the files, runs each in every variant, compares with golden output and counts.

pub mod diff;
pub mod directives;
pub mod event;
pub mod json;
pub mod oracle;
pub mod script;
pub mod suite;
pub mod variant;

pub use event::Event;
pub use script::{Script, ScriptOptions};
pub use suite::{Suite, Summary};
