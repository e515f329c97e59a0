//! The one way to local files that have to be durable, every step of which a test can watch, make fail, or lose.
//!
//! A new file is durable once it and its directory are synced; a rename or link once the directory it leads to is.
//! Nothing else is assumed of the file system but that a rename within it replaces its target in one step.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A change that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// An empty directory.
    MakeDirectory(&'a Path),
    /// An empty file.
    Create(&'a Path),
    /// Bytes appended to a file that is being written.
    Write(&'a Path, &'a [u8]),
    /// The content of a file made durable.
    Sync(&'a Path),
    /// A second name for a file, which must be free.
    Link(&'a Path, &'a Path),
    /// Another name for a file, in place of what has it.
    Rename(&'a Path, &'a Path),
    /// The names in a directory made durable.
    SyncDirectory(&'a Path),
    /// A name taken away.
    Remove(&'a Path),
}

/// Watches a [`Disk`]; for tests of what a crash leaves. An observed disk does not wait for the hardware: its crashes
/// leave the operating system running, and the steps tell what a loss of power would take.
pub trait DiskObserver: fmt::Debug + Send + Sync {
    /// Called before each step, which is not taken when this fails; a write then leaves half of its bytes.
    ///
    /// # Errors
    /// What the step is to fail with.
    fn before(&self, step: Step<'_>) -> io::Result<()>;
}

/// Local files, and who watches them.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    observer: Option<Arc<dyn DiskObserver>>,
}

impl Disk {
    /// A disk that tells of every step.
    pub fn observed(observer: Arc<dyn DiskObserver>) -> Self {
        Self { observer: Some(observer) }
    }

    fn step(&self, step: Step<'_>) -> io::Result<()> {
        self.observer.as_ref().map_or(Ok(()), |observer| observer.before(step))
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self.observer.is_some() { Ok(()) } else { file.sync_all() }
    }

    /// Creates a file.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, and those of the system.
    pub fn create_new(&self, path: &Path) -> io::Result<DiskFile> {
        self.step(Step::Create(path))?;
        let file = File::create_new(path)?;
        Ok(DiskFile { file, path: path.to_owned(), written: 0, disk: self.clone() })
    }

    /// Gives a file a second name.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, and those of the system.
    pub fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Step::Link(from, to))?;
        fs::hard_link(from, to)
    }

    /// Gives a file another name, in place of what has it.
    ///
    /// # Errors
    /// `NotFound` when there is no such file, and those of the system.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Step::Rename(from, to))?;
        fs::rename(from, to)
    }

    /// Removes a file. That need not be durable: callers remove what may come back.
    ///
    /// # Errors
    /// `NotFound` when there is no such file, and those of the system.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(Step::Remove(path))?;
        fs::remove_file(path)
    }

    /// Creates a directory, which may be there already.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is that of something else, and those of the system.
    pub fn make_directory(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        self.step(Step::MakeDirectory(path))?;
        match fs::create_dir(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            made => made,
        }
    }

    /// Creates a directory and those above it that are missing, each durable in the one above.
    ///
    /// # Errors
    /// As [`Disk::make_directory`] and [`Disk::sync_directory`].
    pub fn make_directories(&self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        self.make_directories(parent(path))?;
        self.make_directory(path)?;
        self.sync_directory(parent(path))
    }

    /// Makes the names in a directory durable. Where directories cannot be opened (Windows), the file system journals
    /// its names by itself.
    ///
    /// # Errors
    /// Those of the system.
    pub fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step(Step::SyncDirectory(path))?;
        if cfg!(unix) { self.sync(&File::open(path)?) } else { Ok(()) }
    }
}

/// The directory that a path is in; the current one for a bare name.
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file being written.
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    path: PathBuf,
    written: u64,
    disk: Disk,
}

impl DiskFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Makes the content durable, but not the name.
    ///
    /// # Errors
    /// Those of the system.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.step(Step::Sync(&self.path))?;
        self.disk.sync(&self.file)
    }
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(crash) = self.disk.step(Step::Write(&self.path, bytes)) {
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
