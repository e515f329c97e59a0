//! The durable local store: what is visible when, and what a crash leaves.

use acequia_state::DurableLocalStore;
use acequia_state::local::INLINE_BYTES;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStore, PutMode};
use std::fs;
use std::path::Path as FilePath;

async fn names(store: &dyn ObjectStore) -> Vec<String> {
    let mut names: Vec<_> = store.list(None).map_ok(|m| m.location.to_string()).try_collect().await.unwrap();
    names.sort();
    names
}

fn files_under(dir: &FilePath) -> usize {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.map(|p| if p.is_dir() { files_under(&p) } else { 1 }).sum()
}

#[tokio::test]
async fn create_of_an_existing_object_fails_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = DurableLocalStore::open(dir.path()).unwrap();
    let at = Path::from("a/b/c");
    store.put_opts(&at, "one".into(), PutMode::Create.into()).await.unwrap();
    let error = store.put_opts(&at, "two".into(), PutMode::Create.into()).await.unwrap_err();
    assert!(matches!(error, Error::AlreadyExists { .. }), "{error}");
    assert_eq!(store.get(&at).await.unwrap().bytes().await.unwrap(), "one");
    store.put(&at, "three".into()).await.unwrap();
    assert_eq!(store.get(&at).await.unwrap().bytes().await.unwrap(), "three");
    assert_eq!(files_under(dir.path()), 1, "no temporary file is left");
}

#[tokio::test]
async fn leftover_of_a_crash_is_never_listed_and_goes_at_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = DurableLocalStore::open(dir.path()).unwrap();
    store.put(&Path::parse("x/kept#1a").unwrap(), "1".into()).await.unwrap();
    fs::write(dir.path().join("x/torn#17000000000"), "half").unwrap();
    assert_eq!(names(&store).await, ["x/kept#1a"]);
    assert_eq!(files_under(dir.path()), 2);
    DurableLocalStore::open(dir.path()).unwrap();
    assert_eq!(files_under(dir.path()), 1);
}

#[tokio::test]
async fn multipart_shows_nothing_before_it_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let store = DurableLocalStore::open(dir.path()).unwrap();
    let at = Path::from("big");
    let mut upload = store.put_multipart(&at).await.unwrap();
    upload.put_part("one ".into()).await.unwrap();
    assert!(names(&store).await.is_empty());
    upload.put_part("two".into()).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(store.get(&at).await.unwrap().bytes().await.unwrap(), "one two");
    let mut upload = store.put_multipart(&at).await.unwrap();
    upload.put_part("three".into()).await.unwrap();
    upload.abort().await.unwrap();
    assert_eq!(files_under(dir.path()), 1);
}

#[tokio::test]
async fn directory_that_was_removed_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = DurableLocalStore::open(dir.path().join("q")).unwrap();
    store.put(&Path::from("a/1"), "1".into()).await.unwrap();
    fs::remove_dir_all(dir.path().join("q/a")).unwrap();
    store.put(&Path::from("a/2"), "2".into()).await.unwrap();
    assert_eq!(names(&store).await, ["a/2"]);
    fs::remove_dir_all(dir.path().join("q")).unwrap();
    store.put(&Path::from("a/3"), "3".into()).await.unwrap_err();
}

#[tokio::test]
async fn object_that_is_not_there_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = DurableLocalStore::open(dir.path()).unwrap();
    store.put(&Path::from("a/1"), "1".into()).await.unwrap();
    for name in ["a", "a/2", "b/1"] {
        let name = Path::from(name);
        assert!(matches!(store.head(&name).await.unwrap_err(), Error::NotFound { .. }), "{name}");
        assert!(matches!(store.get(&name).await.unwrap_err(), Error::NotFound { .. }), "{name}");
    }
    assert_eq!(store.head(&Path::from("a/1")).await.unwrap().size, 1);
    store.delete(&Path::from("a/1")).await.unwrap();
    assert!(matches!(store.delete(&Path::from("a/1")).await.unwrap_err(), Error::NotFound { .. }));
}

#[tokio::test]
async fn large_object_is_written_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = DurableLocalStore::open(dir.path()).unwrap();
    let bytes = bytes::Bytes::from(vec![7u8; INLINE_BYTES + 1]);
    store.put(&Path::from("x"), bytes.clone().into()).await.unwrap();
    assert_eq!(store.get(&Path::from("x")).await.unwrap().bytes().await.unwrap(), bytes);
}

#[tokio::test]
async fn conditional_update_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = DurableLocalStore::open(dir.path()).unwrap();
    let version = object_store::UpdateVersion { e_tag: None, version: None };
    let error = store.put_opts(&Path::from("x"), "1".into(), PutMode::Update(version).into()).await;
    assert!(matches!(error.unwrap_err(), Error::NotImplemented { .. }));
}

#[tokio::test]
async fn the_local_store_keeps_what_checkpoints_ask_of_a_store() {
    let directory = tempfile::tempdir().unwrap();
    acequia_core::conformance::store::run(&DurableLocalStore::open(directory.path()).unwrap()).await;
}
