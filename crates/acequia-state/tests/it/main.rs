//! Durability, fencing and damage of checkpoints, against stores that fail on purpose.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod crash;
mod fault;
mod kept;
mod local;
mod logs;
mod records;
mod state;
