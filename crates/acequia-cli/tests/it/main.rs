//! The binary, from outside.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod comfort;
mod errors;
mod kill;
mod process;
#[cfg(unix)]
mod prompt;
mod repl;
mod secrets;
mod signals;
mod socket;
