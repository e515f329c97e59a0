//! What is fed to fuzzers: everything that reads bytes from outside. No input may make any of it panic, hang, or
//! allocate out of proportion; what it answers besides is for other tests.
//!
//! | target | reads | seeds |
//! |---|---|---|
//! | `sql` | text of statements; what parses is printed and parsed again | the files of sql-tests |
//! | `plan` | queries over streams, planned and explained | `corpus/plan` |
//! | `options` | intervals, sizes, options of every connector | `corpus/options` |
//! | `decode` | JSON, CSV, text, Parquet and Arrow files, compressed or not | `corpus/decode` |
//! | `checkpoint` | records and segments of a checkpoint | the kept checkpoints |
//!
//! `scripts/fuzz.sh` runs them under libFuzzer; the tests of this crate run every seed, and seeds that were damaged.
//!
//! [`queries`] is of another kind: random queries whose answers are compared with batch.

pub mod checkpoint;
pub mod decode;
pub mod options;
pub mod plan;
pub mod queries;
pub mod sql;

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[
    ("sql", sql::run),
    ("plan", plan::run),
    ("options", options::run),
    ("decode", decode::run),
    ("checkpoint", checkpoint::run),
];

/// Waits for a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = {
            let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
            built.unwrap_or_else(|e| unreachable!("a runtime of one thread starts: {e}"))
        };
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}
