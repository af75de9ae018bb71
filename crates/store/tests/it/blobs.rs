//! Blobs, small and large.

use std::fs;
use std::path::{Path, PathBuf};

use quire_protocol::{BlobId, Store, StoreError};
use quire_store::{Durability, SqliteStore};

use crate::{id as session_id, open, session, wait};

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn bytes_come_back_whatever_their_size_and_the_same_are_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    session(&store, "a", &[]);
    let a = session_id("a");
    let mut ids = Vec::new();
    for size in [0, 1, 64 * 1024, 64 * 1024 + 1, 1_000_000] {
        let bytes = vec![b'x'; size];
        let id = wait(store.put_blob(&a, bytes.clone())).unwrap();
        assert_eq!(wait(store.put_blob(&a, bytes.clone())).unwrap(), id);
        assert_eq!(wait(store.blob(&id)).unwrap(), Some(bytes));
        ids.push(id);
    }
    assert_eq!(
        files(&folder.path().join("blobs")).len(),
        2,
        "the large ones"
    );
    let rows: i64 = rusqlite::Connection::open(folder.path().join("store.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM blobs", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 3, "the small ones");
    drop(store);
    let store = open(folder.path());
    assert_eq!(
        wait(store.blob(&ids[4])).unwrap(),
        Some(vec![b'x'; 1_000_000])
    );
}

#[test]
fn what_was_never_kept_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for name in ["0".repeat(64), "../../etc/passwd".to_owned(), String::new()] {
        assert_eq!(wait(store.blob(&BlobId::new(name))), Ok(None));
    }
}

#[test]
fn a_changed_blob_is_told_and_a_short_one_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), Durability::EveryCommit).unwrap();
    session(&store, "a", &[]);
    let a = session_id("a");
    let bytes = vec![7; 100_000];
    let id = wait(store.put_blob(&a, bytes.clone())).unwrap();
    let file = files(&folder.path().join("blobs")).remove(0);
    fs::write(&file, vec![8; 100_000]).unwrap();
    let read = wait(store.blob(&id));
    assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
    fs::write(&file, "short").unwrap();
    wait(store.put_blob(&a, bytes.clone())).unwrap();
    assert_eq!(wait(store.blob(&id)).unwrap(), Some(bytes));
}

#[test]
fn a_session_takes_the_blobs_with_it_that_only_it_used() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let [a, b] = ["a", "b"].map(|name| {
        let lease = session(&store, name, &[]);
        wait(store.release(lease)).unwrap();
        session_id(name)
    });
    let put = |session, byte, size| {
        let bytes = vec![byte; size];
        wait(store.put_blob(session, bytes)).unwrap()
    };
    let only_a = [put(&a, 1, 10), put(&a, 2, 100_000)];
    let both = [put(&a, 3, 10), put(&a, 4, 100_000)];
    assert_eq!(both, [put(&b, 3, 10), put(&b, 4, 100_000)]);
    let is_kept = |id: &BlobId| wait(store.blob(id)).unwrap().is_some();
    wait(store.remove(&a)).unwrap();
    assert!(!only_a.iter().any(is_kept));
    assert!(both.iter().all(is_kept));
    assert_eq!(files(&folder.path().join("blobs")).len(), 1);
    let gone = wait(store.put_blob(&a, vec![1; 10]));
    assert_eq!(gone, Err(StoreError::NoSession(a)));
    wait(store.remove(&b)).unwrap();
    assert!(!both.iter().any(is_kept));
    assert!(files(&folder.path().join("blobs")).is_empty());
}
