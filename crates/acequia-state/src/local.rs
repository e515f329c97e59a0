//! A directory as an object store whose writes outlive a loss of power.
//!
//! `object_store`'s own [`LocalFileSystem`] never syncs. Here an object is there, whole, once a write has returned:
//! ```text
//! write <name>#<digits>  ->  fsync it  ->  link (Create) or rename (Overwrite) to <name>  ->  fsync the directory
//! ```
//! Directories made on the way are synced into their parents, one by one. A name that ends in `#digits` is one that
//! `LocalFileSystem` never lists; what a crash leaves under such names is removed at the next open. When `Create`
//! finds the name taken it syncs the directory too, so that what the caller then reads cannot vanish any more.
//!
//! A put with [`NameMayBeLost`] in its options leaves out the last step: a loss of power may take such an object, but
//! only whole, since its content is durable before it has its name.
//!
//! Deletes are not synced: an object that comes back after a loss of power was garbage and is again.
//!
//! Deletes, questions for a name, and writes of up to [`INLINE_BYTES`] are done on the calling thread, since handing
//! them to a pool costs more than it saves: a query waits for its own writes anyway. Larger ones go to the runtime's
//! blocking pool if there is one.

use acequia_core::disk::{Disk, DiskFile, parent};
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes larger than this go to the blocking pool.
pub const INLINE_BYTES: usize = 1 << 20;

/// Put into [`PutOptions::extensions`], asks for an object whose content is durable but whose name need not be yet.
/// Stores that do not know of it make it durable as any other.
#[derive(Debug, Clone, Copy)]
pub struct NameMayBeLost;

/// What a write does about the object's name.
#[derive(Debug, Clone, Copy)]
struct Naming {
    /// Whether the name must be free.
    create: bool,
    /// Whether it is to outlive a loss of power.
    durable: bool,
}

/// A directory whose objects are durable when a write returns (see the module's text).
///
/// Copies, `PutMode::Update`, attributes and tags of objects are refused.
#[derive(Debug, Clone)]
pub struct DurableLocalStore {
    files: LocalFileSystem,
    root: Arc<Root>,
}

/// The synced side: where files go, and which directories are known to be durable.
#[derive(Debug)]
struct Root {
    disk: Disk,
    path: PathBuf,
    durable_dirs: Mutex<HashSet<PathBuf>>,
    next_temporary: AtomicU64,
}

impl DurableLocalStore {
    /// Opens a directory, making it if need be, and removes what writers that crashed have left in it.
    ///
    /// It is meant for one owner at a time: a write that another process has in flight then fails.
    ///
    /// # Errors
    /// `Invalid` when the directory cannot be made or read.
    pub fn open(root: impl AsRef<FilePath>) -> acequia_core::Result<Self> {
        Self::open_on(&Disk::default(), root)
    }

    /// As [`DurableLocalStore::open`], on a disk that a test may watch.
    ///
    /// # Errors
    /// As there.
    pub fn open_on(disk: &Disk, root: impl AsRef<FilePath>) -> acequia_core::Result<Self> {
        let root = root.as_ref();
        Self::try_open(disk.clone(), root).map_err(|e| {
            acequia_core::Error::from(e).context(format!("directory cannot be used: `{}`", root.display()))
        })
    }

    fn try_open(disk: Disk, root: &FilePath) -> io::Result<Self> {
        disk.make_directories(root)?;
        let root = fs::canonicalize(root)?;
        remove_temporaries(&disk, &root)?;
        let root = Root {
            disk,
            durable_dirs: Mutex::new(HashSet::from([root.clone()])),
            path: root,
            next_temporary: AtomicU64::new(0),
        };
        let files = LocalFileSystem::new_with_prefix(&root.path).map_err(io::Error::other)?;
        Ok(Self { files, root: Arc::new(root) })
    }

    /// Runs file work here or, when it is large, in the blocking pool.
    async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&Root) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if bytes > INLINE_BYTES => {
                let root = Arc::clone(&self.root);
                runtime.spawn_blocking(move || work(&root)).await?
            }
            _ => work(&self.root),
        }
    }

    fn stat(&self, location: &Path) -> Result<GetResult> {
        let path = self.files.path_to_filesystem(location)?;
        let found = fs::metadata(&path).map_err(|e| io_error(&path, e))?;
        if found.is_dir() {
            return Err(io_error(&path, io::ErrorKind::NotFound.into()));
        }
        let last_modified = found.modified().map_err(|e| io_error(&path, e))?.into();
        let meta = ObjectMeta {
            location: location.clone(),
            last_modified,
            size: found.len(),
            e_tag: None,
            version: None,
        };
        let range = 0..meta.size;
        let attributes = object_store::Attributes::default();
        let nothing = futures::stream::empty().boxed();
        Ok(GetResult { payload: GetResultPayload::Stream(nothing), meta, range, attributes })
    }

    fn unlink(&self, location: Path) -> Result<Path> {
        let path = self.files.path_to_filesystem(&location)?;
        self.root.disk.remove(&path).map_err(|e| io_error(&path, e))?;
        Ok(location)
    }

    fn refuse(&self, operation: &str) -> Error {
        Error::NotImplemented { operation: operation.to_string(), implementer: self.to_string() }
    }
}

impl std::fmt::Display for DurableLocalStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "local disk `{}`", self.root.path.display())
    }
}

#[async_trait]
impl ObjectStore for DurableLocalStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if !options.attributes.is_empty() {
            return Err(self.refuse("`put_opts` with attributes"));
        }
        let create = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => return Err(self.refuse("`put_opts` with `PutMode::Update`")),
        };
        let naming = Naming { create, durable: options.extensions.get::<NameMayBeLost>().is_none() };
        let target = self.files.path_to_filesystem(location)?;
        self.run(payload.content_length(), move |root| root.put(&target, &payload, naming)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !options.attributes.is_empty() {
            return Err(self.refuse("`put_multipart_opts` with attributes"));
        }
        let target = self.files.path_to_filesystem(location)?;
        let staged = self.root.stage(&target).map_err(|e| io_error(&target, e))?;
        Ok(Box::new(Upload { root: Arc::clone(&self.root), target, staged: Some(staged) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        // Asking whether a name is there is part of every commit: answer without leaving the thread.
        let conditional = options.if_match.is_some()
            || options.if_none_match.is_some()
            || options.if_modified_since.is_some()
            || options.if_unmodified_since.is_some();
        if options.head && !conditional {
            return self.stat(location);
        }
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> Result<Vec<bytes::Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        locations.map(move |location| this.unlink(location?)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(self.refuse("`copy_opts`"))
    }
}

/// A file under a temporary name; removed when dropped before it is published.
#[derive(Debug)]
struct Staged {
    file: DiskFile,
    disk: Disk,
}

impl Drop for Staged {
    fn drop(&mut self) {
        // After a rename it is gone already. If this fails, the next open removes it.
        let _ = self.disk.remove(self.file.path());
    }
}

impl Root {
    fn put(&self, target: &FilePath, payload: &PutPayload, naming: Naming) -> Result<()> {
        let failed = |e| io_error(target, e);
        if naming.create && target.exists() {
            self.sync_name(target, naming).map_err(failed)?;
            return Err(already_exists(target));
        }
        let mut staged = self.stage(target).map_err(failed)?;
        for chunk in payload {
            staged.file.write_all(chunk).map_err(failed)?;
        }
        self.publish(staged, target, naming)
    }

    /// Gives a complete file its name.
    fn publish(&self, staged: Staged, target: &FilePath, naming: Naming) -> Result<()> {
        let failed = |e| io_error(target, e);
        staged.file.sync().map_err(failed)?;
        let from = staged.file.path();
        let published =
            if naming.create { self.disk.link(from, target) } else { self.disk.rename(from, target) };
        drop(staged);
        let taken = matches!(&published, Err(e) if e.kind() == io::ErrorKind::AlreadyExists);
        if !taken {
            published.map_err(|e| failed(staged_is_gone(e)))?;
        }
        self.sync_name(target, naming).map_err(failed)?;
        if taken { Err(already_exists(target)) } else { Ok(()) }
    }

    /// A new file beside the target, under a name that is never listed.
    fn stage(&self, target: &FilePath) -> io::Result<Staged> {
        self.durable_parent(target)?;
        loop {
            let n = self.next_temporary.fetch_add(1, Ordering::Relaxed);
            let mut name = OsString::from(target);
            name.push(format!("#{}{n:09}", std::process::id()));
            match self.disk.create_new(FilePath::new(&name)) {
                Ok(file) => return Ok(Staged { file, disk: self.disk.clone() }),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => self.parent_vanished(target)?,
                Err(e) => return Err(e),
            }
        }
    }

    /// Makes the target's directory durable unless it is known to be.
    fn durable_parent(&self, target: &FilePath) -> io::Result<()> {
        let Some(parent) = target.parent() else { return Ok(()) };
        if self.durable_dirs.lock().contains(parent) {
            return Ok(());
        }
        // Another process may have made a directory and not have synced it yet: sync all the way from the root.
        let mut dir = self.path.clone();
        for part in parent.strip_prefix(&self.path).map_err(io::Error::other)? {
            let above = dir.clone();
            dir.push(part);
            self.disk.make_directory(&dir)?;
            self.disk.sync_directory(&above)?;
        }
        self.durable_dirs.lock().insert(dir);
        Ok(())
    }

    /// Somebody removed the directory behind our back: make it again.
    fn parent_vanished(&self, target: &FilePath) -> io::Result<()> {
        self.durable_dirs.lock().retain(|d| *d == self.path);
        if !self.path.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("directory is gone: `{}`", self.path.display()),
            ));
        }
        self.durable_parent(target)
    }

    fn sync_name(&self, target: &FilePath, naming: Naming) -> io::Result<()> {
        if naming.durable { self.disk.sync_directory(parent(target)) } else { Ok(()) }
    }
}

/// A multipart upload: parts are appended to the staged file as they are handed over.
#[derive(Debug)]
struct Upload {
    root: Arc<Root>,
    target: PathBuf,
    staged: Option<Staged>,
}

impl Upload {
    fn append(&mut self, part: &PutPayload) -> io::Result<()> {
        let Some(staged) = &mut self.staged else { return Err(io::Error::other("upload has ended")) };
        part.iter().try_for_each(|chunk| staged.file.write_all(chunk))
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        let written = self.append(&part).map_err(|e| io_error(&self.target, e));
        if written.is_err() {
            // A file with a hole must never be published.
            self.staged = None;
        }
        Box::pin(async move { written })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let Some(staged) = self.staged.take() else {
            return Err(io_error(&self.target, io::Error::other("upload has ended")));
        };
        self.root.publish(staged, &self.target, Naming { create: false, durable: true })?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        self.staged = None;
        Ok(())
    }
}

fn remove_temporaries(disk: &Disk, dir: &FilePath) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_temporaries(disk, &entry.path())?;
        } else if is_temporary(&entry.file_name().to_string_lossy()) {
            disk.remove(&entry.path())?;
        }
    }
    Ok(())
}

fn is_temporary(name: &str) -> bool {
    let Some((_, digits)) = name.rsplit_once('#') else { return false };
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// A file that was just written can only be missing because somebody cleaned up.
fn staged_is_gone(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => io::Error::other("another process has opened this directory meanwhile"),
        _ => error,
    }
}

fn already_exists(path: &FilePath) -> Error {
    let source = io::Error::from(io::ErrorKind::AlreadyExists);
    Error::AlreadyExists { path: path.display().to_string(), source: Box::new(source) }
}

fn io_error(path: &FilePath, error: io::Error) -> Error {
    let path = path.display().to_string();
    match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path, source: Box::new(error) },
        io::ErrorKind::PermissionDenied => Error::PermissionDenied { path, source: Box::new(error) },
        _ => Error::Generic { store: "DurableLocalStore", source: Box::new(error) },
    }
}
