//! The few things that sources do with their private directory in the checkpoint.

use acequia_core::{Error, Result};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, path::Path};
use std::sync::Arc;

/// Who wrote an object that is written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    /// This call.
    Now,
    /// Somebody before, perhaps another run.
    Before,
}

/// Writes an object unless it is there.
pub(crate) async fn create(store: &Arc<dyn ObjectStore>, name: &str, bytes: Bytes) -> Result<Created> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match store.put_opts(&Path::from(name), PutPayload::from(bytes), options).await {
        Ok(_) => Ok(Created::Now),
        Err(object_store::Error::AlreadyExists { .. }) => Ok(Created::Before),
        Err(e) => Err(failed("write", name, e)),
    }
}

/// An object's bytes.
pub(crate) async fn read(store: &Arc<dyn ObjectStore>, name: &str) -> Result<Bytes> {
    let found = store.get(&Path::from(name)).await.map_err(|e| failed("read", name, e))?;
    found.bytes().await.map_err(|e| failed("read", name, e))
}

/// Removes an object; one that is gone already is no error.
pub(crate) async fn delete(store: &Arc<dyn ObjectStore>, name: &str) -> Result<()> {
    match store.delete(&Path::from(name)).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(e) => Err(failed("delete", name, e)),
    }
}

/// The names of all objects under a prefix, in order.
pub(crate) async fn list(store: &Arc<dyn ObjectStore>, prefix: &str) -> Result<Vec<String>> {
    let found = store.list(Some(&Path::from(prefix))).map_ok(|meta| meta.location.to_string());
    let mut names: Vec<String> = found.try_collect().await.map_err(|e| failed("list", prefix, e))?;
    names.sort_unstable();
    Ok(names)
}

/// First bytes of a sealed object.
const MAGIC: &[u8; 4] = b"AQS1";

/// Puts a checksum before an object's contents: `AQS1`, CRC-32C of the rest in little endian, the rest.
pub(crate) fn seal(contents: &[u8]) -> Bytes {
    let checksum = crc32c::crc32c(contents).to_le_bytes();
    [MAGIC.as_slice(), &checksum, contents].concat().into()
}

/// The contents of a sealed object.
///
/// # Errors
/// `Data` when it was damaged.
pub(crate) fn unseal(name: &str, sealed: &Bytes) -> Result<Bytes> {
    let damaged = || Error::data(format!("object in the checkpoint is damaged: object=`{name}`"));
    let (magic, rest) = sealed.split_at_checked(MAGIC.len()).ok_or_else(damaged)?;
    let (checksum, contents) = rest.split_at_checked(4).ok_or_else(damaged)?;
    if magic != MAGIC || checksum != crc32c::crc32c(contents).to_le_bytes() {
        return Err(damaged());
    }
    Ok(sealed.slice_ref(contents))
}

/// The error of a run that finds its next object written by another.
pub(crate) fn fenced(name: &str) -> Error {
    Error::fenced(format!("another run of this query has gone on in the checkpoint: object=`{name}`"))
}

fn failed(doing: &str, name: &str, error: object_store::Error) -> Error {
    let message = format!("cannot {doing} in the checkpoint: object=`{name}`: {error}");
    let kind = match &error {
        object_store::Error::NotFound { .. } => acequia_core::ErrorKind::Data,
        _ => acequia_core::ErrorKind::Unavailable,
    };
    Error::new(kind, message).with_source(error)
}
