//! Where entered statements are kept, and which are not.

use crate::environment::variable;
use std::path::PathBuf;

/// The file of the history: `ACEQUIA_HISTORY`, or `acequia/history` in the directory for state of the XDG rules.
/// `None` when neither is known, or the variable is set to nothing: no history is kept then.
pub(super) fn file() -> Option<PathBuf> {
    if let Some(file) = variable("ACEQUIA_HISTORY") {
        return (!file.is_empty()).then(|| PathBuf::from(file));
    }
    let absolute = |path: &PathBuf| path.is_absolute();
    let state = variable("XDG_STATE_HOME").map(PathBuf::from).filter(absolute);
    let state =
        state.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/state")).filter(absolute));
    Some(state?.join("acequia").join("history"))
}
