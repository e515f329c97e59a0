//! What checkpoints ask of an object store, checked over one. Durability itself (fsync) cannot be seen from here: it
//! is tested where files are written. Nor can a crash: a put must be whole or not have happened, wherever the process
//! dies.
//!
//! A list must show every put that has returned. The logs and the state would do with less, as they ask for the next
//! object by name; what sources keep in their directories is found by listing alone.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

/// Runs every check below a prefix that nothing else uses.
///
/// # Panics
/// When a promise is broken, naming it.
pub async fn run(store: &dyn ObjectStore) {
    let (first, second) = (Path::from("conformance/a/1"), Path::from("conformance/a/2"));
    let create = || PutOptions::from(PutMode::Create);

    store
        .put_opts(&first, PutPayload::from_static(b"one"), create())
        .await
        .expect("put-if-absent of a new object");
    let again = store.put_opts(&first, PutPayload::from_static(b"two"), create()).await;
    assert!(
        matches!(again, Err(Error::AlreadyExists { .. })),
        "put-if-absent refuses what is there: {again:?}"
    );
    assert_eq!(read(store, &first).await, b"one", "a refused put leaves the object as it was");

    store.put(&first, PutPayload::from_static(b"three")).await.expect("a plain put replaces");
    assert_eq!(read(store, &first).await, b"three", "a read sees the last write");
    assert_eq!(store.get_range(&first, 1..3).await.expect("a range is read").as_ref(), b"hr");
    assert_eq!(store.head(&first).await.expect("head").size, 5, "head tells the size");

    let missing = store.get(&second).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "what is not there is NotFound");
    store.put(&second, PutPayload::default()).await.expect("an empty object");
    assert_eq!(
        list(store, "conformance/a").await,
        [first.clone(), second.clone()],
        "a list sees every object"
    );
    assert_eq!(list(store, "conformance/b").await, [], "a list of nothing is empty, not an error");

    store.delete(&first).await.expect("delete");
    assert_eq!(
        list(store, "conformance/a").await,
        std::slice::from_ref(&second),
        "what was deleted is not listed"
    );
    let again = store.put_opts(&first, PutPayload::from_static(b"new"), create()).await;
    assert!(again.is_ok(), "a name is free again after a delete: {again:?}");
}

async fn read(store: &dyn ObjectStore, path: &Path) -> Vec<u8> {
    store.get(path).await.expect("get").bytes().await.expect("bytes").to_vec()
}

async fn list(store: &dyn ObjectStore, prefix: &str) -> Vec<Path> {
    let listed: Vec<_> = store.list(Some(&Path::from(prefix))).try_collect().await.expect("list");
    let mut paths: Vec<Path> = listed.into_iter().map(|object| object.location).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_store_in_memory_keeps_its_promises() {
        super::run(&object_store::memory::InMemory::new()).await;
    }
}
