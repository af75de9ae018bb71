//! Damage that someone did to the database behind the store's back.

use std::path::Path;

use quire_protocol::{Repair, Seq, Store, StoreError};
use quire_store::SqliteStore;
use rusqlite::Connection;

use crate::{entry, id, open, session, wait};

/// A store with the session `a` of five entries, damaged by a statement.
fn damaged(folder: &Path, sql: &str) -> SqliteStore {
    let store = open(folder);
    session(&store, "other", &["untouched"]);
    session(&store, "a", &["one", "two", "three", "four", "five"]);
    wait(store.search("five", 1)).unwrap();
    drop(store);
    let connection = Connection::open(folder.join("store.db")).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    open(folder)
}

fn place(seq: u64) -> String {
    format!("id = (2 << 32) + {seq}")
}

/// A statement that does damage, what is kept and cut of five entries then, and why.
type Case = (String, u64, u64, String);

fn cases() -> [Case; 6] {
    let set = |what: &str, seq| format!("UPDATE events SET {what} WHERE {}", place(seq));
    let changed = "does not match its checksum";
    [
        (
            set("payload = x'00'", 5),
            4,
            1,
            format!("entry 5 {changed}"),
        ),
        (set("at_ms = 3", 2), 1, 4, format!("entry 2 {changed}")),
        (set("checksum = -1", 1), 0, 5, format!("entry 1 {changed}")),
        (
            format!("DELETE FROM events WHERE {}", place(3)),
            2,
            2,
            "entry 3 is missing".to_owned(),
        ),
        (
            format!("UPDATE events SET id = id + 1 WHERE {}", place(5)),
            4,
            1,
            "entry 5 is missing".to_owned(),
        ),
        (
            set(
                "checksum = checksum + 1; UPDATE events SET payload = x'01'",
                4,
            ),
            0,
            5,
            format!("entry 1 {changed}"),
        ),
    ]
}

#[test]
fn damage_is_read_as_such_then_cut_told_and_kept_aside() {
    for (sql, kept, cut, reason) in cases() {
        let folder = tempfile::tempdir().unwrap();
        let store = damaged(folder.path(), &sql);
        let read = wait(store.read(&id("a"), Seq(0), 10));
        assert_eq!(read.map_or(0, |good| good.len()) as u64, kept, "{sql}");
        let read = wait(store.read(&id("a"), Seq(kept), 10));
        assert!(
            matches!(&read, Err(StoreError::Damaged(told)) if told.contains(&reason)),
            "{sql}: {read:?}"
        );
        let problems = SqliteStore::check(folder.path()).unwrap().unwrap().problems;
        assert!(
            problems.iter().any(|problem| problem.contains(&reason)),
            "{problems:?}"
        );

        let lease = wait(store.lease(&id("a"))).unwrap();
        let repair = Repair {
            kept: Seq(kept),
            cut,
            reason,
        };
        assert_eq!(lease.repaired, Some(repair), "{sql}");
        assert_eq!(lease.last, Seq(kept));
        let read = wait(store.read(&id("a"), Seq(0), 10)).unwrap();
        assert_eq!(read.len() as u64, kept);
        assert_eq!(SqliteStore::check(folder.path()).unwrap().unwrap().cut, cut);

        wait(store.append(&lease, Seq(kept), vec![entry(kept + 1, "new")])).unwrap();
        wait(store.release(lease)).unwrap();
        let lease = wait(store.lease(&id("a"))).unwrap();
        assert_eq!((lease.repaired, lease.last), (None, Seq(kept + 1)));
        assert_eq!(
            wait(store.search("five", 9)).unwrap(),
            [],
            "what was cut is not found"
        );
    }
}

#[test]
fn a_read_from_the_middle_does_not_trip_over_older_damage() {
    let folder = tempfile::tempdir().unwrap();
    let sql = format!("UPDATE events SET payload = x'00' WHERE {}", place(2));
    let store = damaged(folder.path(), &sql);
    assert_eq!(wait(store.read(&id("a"), Seq(2), 10)).unwrap().len(), 3);
    assert_eq!(wait(store.read(&id("a"), Seq(0), 1)).unwrap().len(), 1);
    assert!(wait(store.read(&id("a"), Seq(1), 1)).is_err());
}

#[test]
fn a_corrupt_database_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let long = "long ".repeat(2_000);
    session(&store, "a", &[&long, &long, &long, &long]);
    drop(store);
    let file = folder.path().join("store.db");
    let mut bytes = std::fs::read(&file).unwrap();
    for page in bytes.chunks_mut(4096).skip(1) {
        page[..64].fill(0xff);
    }
    std::fs::write(&file, &bytes).unwrap();
    let told = match SqliteStore::open(folder.path(), quire_store::Durability::Background) {
        Err(error) => error,
        Ok(store) => wait(store.lease(&id("a"))).unwrap_err(),
    };
    assert!(
        matches!(&told, StoreError::Damaged(told) if told.contains(".recover")),
        "{told}"
    );
    assert_eq!(
        std::fs::read(&file).unwrap(),
        bytes,
        "nothing was overwritten"
    );
}
