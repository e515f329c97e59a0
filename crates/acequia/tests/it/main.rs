//! The engine, from outside.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod api;
mod durability;
mod kept;
mod power;
mod syncs;
