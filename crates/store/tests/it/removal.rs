//! A removed session leaves nothing in any file of the data folder.

use std::fs;
use std::path::Path;

use quire_protocol::{Seq, Store};
use quire_store::SqliteStore;
use rusqlite::Connection;

use crate::blobs::files;
use crate::{entry, id, open, said, session, wait};

/// What every word of the removed session holds.
const MARK: &str = "qzxgone";

/// Files in which something of the removed session is left.
fn traces(folder: &Path) -> Vec<String> {
    let holds = |bytes: &[u8]| {
        bytes
            .windows(MARK.len())
            .any(|part| part == MARK.as_bytes())
    };
    files(folder)
        .into_iter()
        .filter(|path| holds(&fs::read(path).unwrap()))
        .map(|path| path.display().to_string())
        .collect()
}

/// A store with a session full of words of its own between others, indexed as it grew.
fn filled(folder: &Path) -> SqliteStore {
    let store = open(folder);
    session(&store, "before", &["some words", "of another session"]);
    let lease = session(&store, "a", &[&format!("{MARK} is the title")]);
    let other = session(&store, "b", &["beside"]);
    wait(async {
        for round in 0..40 {
            let words: Vec<String> = (0..60)
                .map(|n| format!("{MARK}{} common word{n}", round * 60 + n))
                .collect();
            let after = 1 + 2 * round;
            let entries = vec![
                said(after + 1, &words.join(" ")),
                entry(after + 2, &format!("{MARK} ").repeat(50 << (round % 8))),
            ];
            store.append(&lease, Seq(after), entries).await.unwrap();
            let words = format!("common word{round} unique{round}");
            let entries = vec![said(round + 2, &words)];
            store.append(&other, Seq(round + 1), entries).await.unwrap();
            store.search("common", 1).await.unwrap();
        }
        for size in [10, 1000, 30_000] {
            let bytes = MARK.repeat(size).into_bytes();
            store.put_blob(&id("a"), bytes).await.unwrap();
        }
        store.release(lease).await.unwrap();
        store.release(other).await.unwrap();
    });
    assert!(!traces(folder).is_empty());
    store
}

#[test]
fn a_removed_session_is_gone_from_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    wait(store.remove(&id("a"))).unwrap();
    assert_eq!(traces(folder.path()), [""; 0], "while the store is open");
    assert_eq!(wait(store.search(MARK, 9)).unwrap(), []);
    assert_eq!(wait(store.search("unique7", 9)).unwrap().len(), 1);
    drop(store);
    assert_eq!(traces(folder.path()), [""; 0], "when it is closed");
    let health = SqliteStore::check(folder.path()).unwrap().unwrap();
    assert_eq!(health.problems, [""; 0]);
}

#[test]
fn what_was_cut_from_a_removed_session_goes_too() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let connection = Connection::open(folder.path().join("store.db")).unwrap();
    connection
        .execute("UPDATE events SET at_ms = 1 WHERE id = (2 << 32) + 9", [])
        .unwrap();
    drop(connection);
    let store = open(folder.path());
    let lease = wait(store.lease(&id("a"))).unwrap();
    assert!(lease.repaired.is_some());
    wait(store.release(lease)).unwrap();
    wait(store.remove(&id("a"))).unwrap();
    assert_eq!(traces(folder.path()), [""; 0]);
}

#[test]
fn a_log_that_somebody_reads_is_emptied_when_they_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let reader = Connection::open(folder.path().join("store.db")).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM events;")
        .unwrap();
    wait(store.remove(&id("a"))).unwrap();
    assert_ne!(traces(folder.path()), [""; 0], "the reader sees it still");
    reader.execute_batch("COMMIT;").unwrap();
    drop(store);
    assert_eq!(traces(folder.path()), [""; 0]);
}
