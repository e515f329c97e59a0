//! Standard output for `console` sinks.

use acequia_connectors::sinks::ConsoleOut;
use std::io::Write;

/// Prints to standard output.
#[derive(Debug)]
pub(super) struct Stdout;

impl ConsoleOut for Stdout {
    fn write(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // A reader that has gone away (`| head`) is no reason to fail the query.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn width(&self) -> Option<usize> {
        None
    }
}
