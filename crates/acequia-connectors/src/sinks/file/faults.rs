//! Crashes for tests: after so many steps every further one fails, and what was not synced can be taken back.

use super::disk::Step;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Counts the steps of one run of a sink and stops it after some.
#[derive(Debug)]
pub(super) struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    left: usize,
    taken: usize,
    /// Files with content that is not synced.
    unsynced: HashSet<PathBuf>,
    /// Names that are not synced, in order.
    names: Vec<Name>,
}

#[derive(Debug)]
enum Name {
    Created(PathBuf),
    Renamed { from: PathBuf, to: PathBuf, replaced: Option<Vec<u8>> },
}

impl Name {
    fn is_in(&self, directory: &Path) -> bool {
        let (Self::Created(path) | Self::Renamed { to: path, .. }) = self;
        path.parent() == Some(directory)
    }
}

impl Faults {
    pub(super) fn after(steps: usize) -> Self {
        Self { state: Mutex::new(State { left: steps, ..State::default() }) }
    }

    pub(super) fn taken(&self) -> usize {
        self.state.lock().taken
    }

    pub(super) fn before(&self, step: Step<'_>) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.left == 0 {
            return Err(io::Error::other("injected crash"));
        }
        state.left -= 1;
        state.taken += 1;
        match step {
            Step::Create(path) => {
                state.unsynced.insert(path.to_owned());
                state.names.push(Name::Created(path.to_owned()));
            }
            Step::Write(path) => drop(state.unsynced.insert(path.to_owned())),
            Step::Sync(path) => drop(state.unsynced.remove(path)),
            Step::Rename(from, to) if from.exists() => {
                if state.unsynced.remove(from) {
                    state.unsynced.insert(to.to_owned());
                }
                let replaced = fs::read(to).ok();
                state.names.push(Name::Renamed { from: from.to_owned(), to: to.to_owned(), replaced });
            }
            Step::SyncDirectory(path) => state.names.retain(|name| !name.is_in(path)),
            Step::Rename(..) | Step::MakeDirectory | Step::Remove => {}
        }
        Ok(())
    }

    /// Loses everything that was not synced: names, and half of the content of files.
    pub(super) fn lose_power(&self) {
        let mut state = self.state.lock();
        let names = std::mem::take(&mut state.names);
        for name in names.into_iter().rev() {
            match name {
                Name::Created(path) => drop(fs::remove_file(path)),
                Name::Renamed { from, to, replaced } => {
                    if fs::rename(&to, &from).is_ok()
                        && let Some(content) = replaced
                    {
                        fs::write(&to, content).unwrap();
                    }
                    if state.unsynced.remove(&to) {
                        state.unsynced.insert(from);
                    }
                }
            }
        }
        for path in state.unsynced.drain() {
            if let Ok(content) = fs::read(&path) {
                fs::write(&path, &content[..content.len() / 2]).unwrap();
            }
        }
    }
}
