//! What the environment says about the terminal and about where a user's files are.

use std::io::IsTerminal;

/// A variable that is set.
#[expect(clippy::disallowed_methods, reason = "where a user's files are is told by the environment only")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether what goes to standard error may have colours.
pub(crate) fn wants_colour() -> bool {
    let wanted = variable("NO_COLOR").is_none_or(|value| value.is_empty());
    let able = variable("TERM").is_some_and(|term| term != "dumb");
    wanted && able && std::io::stderr().is_terminal()
}
