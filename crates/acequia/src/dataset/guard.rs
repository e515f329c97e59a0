//! Calls of the user's code, whose panics end the query with an error.

use acequia_core::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls the user's code. What it had changed is thrown away with the batch that fails.
///
/// # Errors
/// Its own; `Invalid` when it panics, saying what was done meanwhile.
pub(super) fn without_panic<R>(doing: &str, f: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Error::invalid(format!("the program's own code panicked while {doing}: {text}")))
    })
}
