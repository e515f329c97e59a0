//! Tests that look at the project from outside.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tidy;
