//! Durable checkpoint logs and versioned state: everything that a query leaves behind to be continued from.
//!
//! ```text
//! <checkpoint>/
//!   metadata.json        the query's id, for ever                              put-if-absent
//!   epochs/E             one per run: whoever holds the highest E owns it      put-if-absent (fencing)
//!   offsets/N            what batch N is, until it is done                     put-if-absent
//!   state/L-E-S.seg      a segment: state deltas up to batch L, written by run E as its S-th one
//!   commits/N            the one decision: batch N is done, and this is what it was, its state, receipts and
//!                        watermark; behind them a small segment                put-if-absent
//!   sources/<name>/...   private directories of sources
//! ```
//! - [`store`]: opening object stores, and their errors as ours; [`local`]: a durable one over a directory;
//! - [`record`]: the records of the logs and their checksummed form;
//! - [`checkpoint`]: the logs of a query: open, offsets, commit, fence; retention and garbage;
//! - [`state_store`]: sealing and compacting state, one segment per batch; [`state_reader`]: reading it;
//! - [`history`]: the state after a batch, without taking the checkpoint over.
//!
//! Everything is written once and never changed. What a run writes carries its epoch in the name, except `offsets/N`
//! and `commits/N`, where the first writer wins: that is what makes them decisions.

pub mod checkpoint;
mod compaction;
pub mod history;
pub mod local;
mod merge;
pub mod record;
mod retention;
mod segment;
pub mod state_reader;
pub mod state_store;
pub mod store;
#[cfg(test)]
mod twin;

pub use checkpoint::{Checkpoint, CommitOutcome, Latest, OffsetsOutcome};
pub use history::History;
pub use local::DurableLocalStore;
pub use record::{
    CommitRecord, OffsetRecord, OperatorRecord, SegmentRef, SourceOffsets, StateManifest, WatermarkState,
};
pub use state_reader::{StateReader, continues};
pub use state_store::StateStore;
pub use store::open_store;
