//! The few things that sources do with their private directory in the checkpoint.

use acequia_core::{Error, Result};
use bytes::Bytes;
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

fn failed(doing: &str, name: &str, error: object_store::Error) -> Error {
    let message = format!("cannot {doing} in the checkpoint: object=`{name}`: {error}");
    let kind = match &error {
        object_store::Error::NotFound { .. } => acequia_core::ErrorKind::Data,
        _ => acequia_core::ErrorKind::Unavailable,
    };
    Error::new(kind, message).with_source(error)
}
