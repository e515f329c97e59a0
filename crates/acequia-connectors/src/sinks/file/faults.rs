//! Crashes for tests: after so many steps every further one fails, and what was not synced can be taken back, also
//! when other runs came and went since.

use acequia_core::disk::{DiskObserver, Step};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Counts the steps of the runs of a sink and stops them after some.
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
    /// What the failing step says.
    error: Option<io::ErrorKind>,
    /// Names that are not synced, in order.
    names: Vec<Name>,
}

#[derive(Debug)]
enum Name {
    Created(PathBuf),
    Made(PathBuf),
    Renamed { from: PathBuf, to: PathBuf, replaced: Option<Vec<u8>> },
}

impl Name {
    fn is_in(&self, directory: &Path) -> bool {
        let (Self::Created(path) | Self::Made(path) | Self::Renamed { to: path, .. }) = self;
        path.parent() == Some(directory)
    }
}

impl DiskObserver for Faults {
    fn before(&self, step: Step<'_>) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.left == 0 {
            return Err(match state.error {
                Some(kind) => kind.into(),
                None => io::Error::other("injected crash"),
            });
        }
        state.left -= 1;
        state.taken += 1;
        match step {
            Step::Create(path) if !path.exists() => {
                state.unsynced.insert(path.to_owned());
                state.names.push(Name::Created(path.to_owned()));
            }
            Step::Write(path, _) => drop(state.unsynced.insert(path.to_owned())),
            Step::Sync(path) => drop(state.unsynced.remove(path)),
            Step::Rename(from, to) if from.exists() => {
                if state.unsynced.remove(from) {
                    state.unsynced.insert(to.to_owned());
                }
                let replaced = fs::read(to).ok();
                state.names.push(Name::Renamed { from: from.to_owned(), to: to.to_owned(), replaced });
            }
            Step::SyncDirectory(path) => state.names.retain(|name| !name.is_in(path)),
            Step::MakeDirectory(path) => state.names.push(Name::Made(path.to_owned())),
            Step::Create(_) | Step::Link(..) | Step::Rename(..) | Step::Remove(_) => {}
        }
        Ok(())
    }
}

impl Faults {
    pub(super) fn after(steps: usize) -> Self {
        Self { state: Mutex::new(State { left: steps, ..State::default() }) }
    }

    /// Whether a loss of power would take a directory or a renamed file back, on which a next run may build.
    pub(super) fn names_unsynced(&self) -> bool {
        !self.state.lock().names.iter().all(|name| matches!(name, Name::Created(_)))
    }

    /// Fails after so many steps from now on.
    pub(super) fn refill(&self, steps: usize) {
        self.state.lock().left = steps;
    }

    /// Fails with this from now on, as long as there is no step left.
    pub(super) fn fail_with(&self, error: io::ErrorKind) {
        self.state.lock().error = Some(error);
    }

    pub(super) fn taken(&self) -> usize {
        self.state.lock().taken
    }

    /// Loses everything that was not synced: names, and half of the content of files.
    pub(super) fn lose_power(&self) {
        let mut state = self.state.lock();
        let names = std::mem::take(&mut state.names);
        for name in names.into_iter().rev() {
            match name {
                Name::Created(path) => drop(fs::remove_file(path)),
                Name::Made(path) => drop(fs::remove_dir_all(path)),
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
