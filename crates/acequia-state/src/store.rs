//! Opening object stores by their address, and their errors as ours.

use crate::DurableLocalStore;
use crate::local::NameMayBeLost;
use acequia_core::disk::Disk;
use acequia_core::{Error, ErrorKind, Result};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use std::io;
use std::sync::Arc;
use url::Url;

/// Opens the store of a checkpoint, and the prefix in it under which the checkpoint lives. Local files go to `disk`.
///
/// | address | store |
/// |---|---|
/// | a path, `file:///path` | [`DurableLocalStore`]; the directory is made |
/// | `memory://` | a new one in memory, gone with the process |
///
/// # Errors
/// `Unsupported` for other schemes, `Invalid` when the address is malformed or the directory cannot be used.
pub fn open_store(url_or_path: &str, disk: &Disk) -> Result<(Arc<dyn ObjectStore>, Path)> {
    let Some((scheme, _)) = url_or_path.split_once("://") else {
        return Ok((Arc::new(DurableLocalStore::open_on(disk, url_or_path)?), Path::default()));
    };
    let malformed = |why: &dyn std::fmt::Display| {
        Error::invalid(format!("not an address of a checkpoint: `{url_or_path}`: {why}"))
    };
    match scheme {
        "file" => {
            let url = Url::parse(url_or_path).map_err(|e| malformed(&e))?;
            let path = url.to_file_path().map_err(|()| malformed(&"not a path of this machine"))?;
            Ok((Arc::new(DurableLocalStore::open_on(disk, path)?), Path::default()))
        }
        "memory" => {
            let prefix = Path::from_url_path(&url_or_path["memory://".len()..]).map_err(|e| malformed(&e))?;
            Ok((Arc::new(InMemory::new()), prefix))
        }
        _ => Err(Error::unsupported(format!(
            "no object store for scheme `{scheme}` in this build: `{url_or_path}`; use a path, file:// or memory://"
        ))),
    }
}

/// An object store's error as ours, its kind by what to do next; the message names what was being done and to what.
///
/// A missing object is `Data`: callers for whom it may be missing look at the store's error first.
pub fn store_error(doing: &str, object: &Path, error: object_store::Error) -> Error {
    use object_store::Error as E;
    let kind = match &error {
        E::NotFound { .. } | E::AlreadyExists { .. } => ErrorKind::Data,
        E::PermissionDenied { .. }
        | E::Unauthenticated { .. }
        | E::InvalidPath { .. }
        | E::UnknownConfigurationKey { .. } => ErrorKind::Invalid,
        E::NotSupported { .. } | E::NotImplemented { .. } => ErrorKind::Unsupported,
        _ => io_kind(&error).map_or(ErrorKind::Unavailable, kind_of_io),
    };
    let what = match &error {
        E::NotFound { .. } => "is missing".to_string(),
        E::AlreadyExists { .. } => "exists already".to_string(),
        other => format!("failed: {other}"),
    };
    Error::new(kind, format!("{doing} `{object}` {what}")).with_source(error)
}

/// The operating system's reason, wherever a store has hidden it.
fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let mut cause = Some(error);
    while let Some(e) = cause {
        if let Some(io) = e.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = e.source();
    }
    None
}

fn kind_of_io(kind: io::ErrorKind) -> ErrorKind {
    use io::ErrorKind as K;
    match kind {
        K::StorageFull | K::QuotaExceeded | K::FileTooLarge | K::OutOfMemory => ErrorKind::ResourceExhausted,
        K::PermissionDenied | K::ReadOnlyFilesystem | K::NotADirectory | K::InvalidFilename => {
            ErrorKind::Invalid
        }
        K::NotFound | K::IsADirectory => ErrorKind::Data,
        _ => ErrorKind::Unavailable,
    }
}

/// Reads a whole object, `None` when there is none.
pub(crate) async fn get_if_present(store: &dyn ObjectStore, object: &Path) -> Result<Option<bytes::Bytes>> {
    let failed = |e| store_error("reading", object, e);
    match store.get(object).await {
        Ok(found) => found.bytes().await.map(Some).map_err(failed),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(e) => Err(failed(e)),
    }
}

/// Whether an object is there, asked for by name.
pub(crate) async fn exists(store: &dyn ObjectStore, object: &Path) -> Result<bool> {
    match store.head(object).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(e) => Err(store_error("looking for", object, e)),
    }
}

/// Writes an object unless there is one of that name; whether it was written.
pub(crate) async fn put_if_absent(
    store: &dyn ObjectStore,
    object: &Path,
    payload: PutPayload,
) -> Result<bool> {
    put_new(store, object, payload, PutMode::Create.into()).await
}

/// As [`put_if_absent`], but a loss of power may take the object, whole (see [`NameMayBeLost`]).
pub(crate) async fn put_if_absent_for_now(
    store: &dyn ObjectStore,
    object: &Path,
    payload: PutPayload,
) -> Result<bool> {
    let mut options = PutOptions::from(PutMode::Create);
    options.extensions.insert(NameMayBeLost);
    put_new(store, object, payload, options).await
}

async fn put_new(
    store: &dyn ObjectStore,
    object: &Path,
    payload: PutPayload,
    options: PutOptions,
) -> Result<bool> {
    match store.put_opts(object, payload, options).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
        Err(e) => Err(store_error("writing", object, e)),
    }
}

/// Removes an object; one that is gone already is as good.
pub(crate) async fn remove(store: &dyn ObjectStore, object: &Path) -> Result<()> {
    match store.delete(object).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(e) => Err(store_error("deleting", object, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_scheme_is_unsupported_and_named() {
        let error = open_store("s3://bucket/q", &Disk::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("`s3`"), "{error}");
    }

    #[test]
    fn file_url_and_plain_path_open_the_same_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b");
        open_store(path.to_str().unwrap(), &Disk::default()).unwrap();
        assert!(path.is_dir());
        let url = Url::from_file_path(&path).unwrap();
        open_store(url.as_str(), &Disk::default()).unwrap();
        assert_eq!(open_store("memory:///x/y", &Disk::default()).unwrap().1, Path::from("x/y"));
    }

    #[test]
    fn full_disk_inside_a_generic_error_is_resource_exhausted() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = object_store::Error::Generic { store: "test", source: Box::new(full) };
        let error = store_error("writing", &Path::from("commits/7"), error);
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        assert!(error.message().contains("commits/7"), "{error}");
    }
}
