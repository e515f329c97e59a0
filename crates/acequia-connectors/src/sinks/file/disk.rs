//! What a sink does to files, with errors that name them.

use acequia_core::disk::{self, DiskFile, parent};
use acequia_core::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// A [`disk::Disk`] as the sink uses it.
#[derive(Debug, Clone)]
pub(super) struct Disk(pub(super) disk::Disk);

impl Disk {
    /// Creates a file; `None` when the name is taken.
    pub(super) fn create_new(&self, path: &Path) -> Result<Option<DiskFile>> {
        match self.0.create_new(path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(failed("create", path, e)),
        }
    }

    /// Writes a whole small file, in place of one that a crash has left, and syncs it, but not its directory.
    pub(super) fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.remove(path)?;
        let mut file = self.0.create_new(path).map_err(|e| failed("create", path, e))?;
        file.write_all(content).map_err(|e| failed("write", path, e))?;
        file.sync().map_err(|e| failed("sync", path, e))
    }

    /// Renames; whether `from` was there.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<bool> {
        match self.0.rename(from, to) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(failed(&format!("rename `{}` to", from.display()), to, e)),
        }
    }

    /// Removes a file; it may be gone already.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        match self.0.remove(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, e)),
            _ => Ok(()),
        }
    }

    /// Makes names in a directory durable.
    pub(super) fn sync_directory(&self, path: &Path) -> Result<()> {
        self.0.sync_directory(path).map_err(|e| failed("sync directory", path, e))
    }

    /// Creates a directory and those above it, each durable in the one above.
    pub(super) fn make_directories(&self, path: &Path) -> Result<()> {
        self.0.make_directories(path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => Error::invalid(format!("not a directory: `{}`", path.display())),
            _ => failed("create directory", path, e),
        })
    }

    /// Makes directories as [`Disk::make_directories`] does, and those of them below `root` durable even when they are
    /// there already: a run that crashed may have made them and not come to sync them.
    pub(super) fn make_durable_directories(&self, root: &Path, path: &Path) -> Result<()> {
        self.make_directories(path)?;
        let below = path.ancestors().take_while(|ancestor| *ancestor != root && ancestor.starts_with(root));
        below.map(parent).try_for_each(|above| self.sync_directory(above))
    }

    /// Makes the name of a directory durable that may be older than we are. What is above it may belong to others and
    /// not be open to us; then it was not made by us either.
    pub(super) fn settle_root(&self, root: &Path) -> Result<()> {
        match File::open(parent(root)) {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            _ => self.sync_directory(parent(root)),
        }
    }
}

/// Names in a directory, in no order; none when it is not there. Names that are no UTF-8 are not ours.
pub(super) fn list(path: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        other => other.map_err(|e| failed("list", path, e))?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
    let names = names.collect::<io::Result<Vec<_>>>().map_err(|e| failed("list", path, e))?;
    Ok(names.into_iter().flatten().collect())
}

/// The size of a file; `None` when it is not there.
pub(super) fn size(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("look at", path, e)),
    }
}

/// An error that names the file.
pub(super) fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    Error::from(error).context(format!("cannot {doing} `{}`", path.display()))
}
