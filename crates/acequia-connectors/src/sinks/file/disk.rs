//! Files and directories made durable, every step of which a test can make fail.
//!
//! A new file is durable once it and its directory are synced; a rename once the directory it leads to is. Nothing
//! else is assumed of the file system but that a rename within it replaces the target in one step.

use acequia_core::{Error, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The one way to the file system for what a sink writes.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) faults: Option<std::sync::Arc<super::faults::Faults>>,
}

/// A change that is about to be made.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(test), allow(dead_code, reason = "read by the fault injection of tests"))]
pub(super) enum Step<'a> {
    MakeDirectory(&'a Path),
    Create(&'a Path),
    Write(&'a Path),
    Sync(&'a Path),
    Rename(&'a Path, &'a Path),
    SyncDirectory(&'a Path),
    Remove,
}

impl Disk {
    fn step(&self, step: Step<'_>) -> io::Result<()> {
        #[cfg(test)]
        if let Some(faults) = &self.faults {
            return faults.before(step);
        }
        let _ = step;
        Ok(())
    }

    /// Creates a file; `None` when the name is taken.
    pub(super) fn create_new(&self, path: &Path) -> Result<Option<DiskFile>> {
        let created = self.step(Step::Create(path)).and_then(|()| File::create_new(path));
        match created {
            Ok(file) => Ok(Some(DiskFile { file, path: path.to_owned(), written: 0, disk: self.clone() })),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(failed("create", path, e)),
        }
    }

    /// Writes a whole small file and syncs it, but not its directory.
    pub(super) fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        let created = self.step(Step::Create(path)).and_then(|()| File::create(path));
        let file = created.map_err(|e| failed("create", path, e))?;
        let mut file = DiskFile { file, path: path.to_owned(), written: 0, disk: self.clone() };
        file.write_all(content).map_err(|e| failed("write", path, e))?;
        file.sync()
    }

    /// Renames; whether `from` was there.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<bool> {
        match self.step(Step::Rename(from, to)).and_then(|()| fs::rename(from, to)) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(failed(&format!("rename `{}` to", from.display()), to, e)),
        }
    }

    /// Removes a file; it may be gone already.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        match self.step(Step::Remove).and_then(|()| fs::remove_file(path)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, e)),
            _ => Ok(()),
        }
    }

    /// Makes names in a directory durable.
    pub(super) fn sync_directory(&self, path: &Path) -> Result<()> {
        let synced = self.step(Step::SyncDirectory(path)).and_then(|()| sync(&File::open(path)?));
        synced.map_err(|e| failed("sync directory", path, e))
    }

    /// Creates a directory and those above it, each durable in the one above.
    pub(super) fn make_directories(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
            self.make_directories(above)?;
        }
        let made = self.step(Step::MakeDirectory(path)).and_then(|()| fs::create_dir(path));
        match made {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && !path.is_dir() => {
                Err(Error::invalid(format!("not a directory: `{}`", path.display())))
            }
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(failed("create directory", path, e)),
            _ => self.sync_directory(parent(path)),
        }
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

/// Waits until the disk has it. Tests do without: their crashes leave the operating system running, and [`Step`] tells
/// them what a loss of power would take.
fn sync(file: &File) -> io::Result<()> {
    if cfg!(test) { Ok(()) } else { file.sync_all() }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

/// A file being written.
#[derive(Debug)]
pub(super) struct DiskFile {
    file: File,
    path: PathBuf,
    written: u64,
    disk: Disk,
}

impl DiskFile {
    /// Bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Makes the content durable.
    pub(super) fn sync(&self) -> Result<()> {
        let synced = self.disk.step(Step::Sync(&self.path)).and_then(|()| sync(&self.file));
        synced.map_err(|e| failed("sync", &self.path, e))
    }
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(crash) = self.disk.step(Step::Write(&self.path)) {
            // A crash in the middle of a write leaves a part of it.
            let _ = self.file.write(&bytes[..bytes.len() / 2]);
            return Err(crash);
        }
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
