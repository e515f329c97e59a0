//! Public test suites of the contracts: a connector calls the one of its trait from a test.
//!
//! A suite panics, as a test does, with the promise that was broken.
#![allow(clippy::panic, clippy::unwrap_used, reason = "test suites fail by panicking")]

pub mod clock;
pub mod sink;
pub mod source;
pub mod stateful;
pub mod store;

use crate::{Epoch, SourceContext, time::SystemClock};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

/// A context whose store lives in memory and is taken for durable.
pub fn memory_context() -> SourceContext {
    SourceContext {
        store: Arc::new(object_store::memory::InMemory::new()),
        durable: true,
        clock: Arc::new(SystemClock::default()),
    }
}

/// The epoch of the n-th run in a suite.
fn epoch(run: u64) -> Epoch {
    Epoch(run)
}

fn concat(schema: &SchemaRef, batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(schema, batches)
        .unwrap_or_else(|e| panic!("batches do not have the promised schema {schema:?}: {e}"))
}
