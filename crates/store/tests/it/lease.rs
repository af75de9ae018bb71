//! Who may append.

use quire_protocol::{Seq, Store, StoreError};

use crate::{entry, head, id, open, said, session, wait};

#[test]
fn one_at_a_time_in_one_process_too() {
    let folder = tempfile::tempdir().unwrap();
    let (store, other) = (open(folder.path()), open(folder.path()));
    let lease = session(&store, "a", &["x"]);
    let process = std::process::id();
    let leased = Err(StoreError::Leased {
        session: id("a"),
        process,
    });
    assert_eq!(wait(store.lease(&id("a"))), leased);
    assert_eq!(wait(other.lease(&id("a"))), leased);
    assert_eq!(wait(other.remove(&id("a"))), leased.clone().map(|_| ()));
    assert_eq!(wait(store.remove(&id("a"))), leased.map(|_| ()));

    wait(store.release(lease.clone())).unwrap();
    let next = wait(other.lease(&id("a"))).unwrap();
    assert_eq!((next.epoch, next.last), (lease.epoch + 1, Seq(1)));
    let late = wait(store.append(&lease, Seq(1), vec![entry(2, "late")]));
    assert_eq!(late, Err(StoreError::LeaseLost(id("a"))));
    wait(other.append(&next, Seq(1), vec![entry(2, "y")])).unwrap();
}

#[test]
fn dropping_the_store_gives_its_leases_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    session(&store, "a", &["x"]);
    drop(store);
    wait(open(folder.path()).lease(&id("a"))).unwrap();
}

#[test]
fn a_lease_that_was_taken_over_appends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, other) = (open(folder.path()), open(folder.path()));
    let lease = session(&store, "a", &["x"]);
    std::fs::remove_file(folder.path().join("leases/1")).unwrap();
    let next = wait(other.lease(&id("a"))).unwrap();
    let lost = Err(StoreError::LeaseLost(id("a")));
    assert_eq!(
        wait(store.append(&lease, Seq(1), vec![entry(2, "y")])),
        lost
    );
    assert_eq!(wait(store.append(&lease, Seq(1), vec![])), lost);
    wait(store.release(lease)).unwrap();
    wait(other.append(&next, Seq(1), vec![entry(2, "z")])).unwrap();
    let read = wait(other.read(&id("a"), Seq(1), 9)).unwrap();
    assert_eq!(read, [entry(2, "z")]);
}

#[test]
fn a_stale_release_does_not_take_the_new_lease_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let old = session(&store, "a", &["x"]);
    wait(store.release(old.clone())).unwrap();
    let new = wait(store.lease(&id("a"))).unwrap();
    wait(store.release(old)).unwrap();
    wait(store.append(&new, Seq(1), vec![entry(2, "y")])).unwrap();
}

#[test]
fn a_lease_nobody_waited_for_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = session(&store, "a", &["x"]);
    wait(store.release(lease)).unwrap();
    drop(store.lease(&id("a")));
    let began = std::time::Instant::now();
    while wait(store.lease(&id("a"))).is_err() {
        assert!(began.elapsed().as_secs() < 10, "it is held for ever");
    }
}

#[test]
fn an_append_after_the_wrong_place_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = session(&store, "a", &["x", "y"]);
    let lost = Err(StoreError::LeaseLost(id("a")));
    assert_eq!(
        wait(store.append(&lease, Seq(1), vec![entry(2, "z")])),
        lost
    );
    assert_eq!(
        wait(store.append(&lease, Seq(3), vec![entry(4, "z")])),
        lost
    );
}

#[test]
fn a_removed_session_is_gone_and_may_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = session(&store, "a", &["needle"]);
    session(&store, "b", &["needle"]);
    assert_eq!(wait(store.search("needle", 9)).unwrap().len(), 2);
    wait(store.append(&lease, Seq(1), vec![said(2, "needle, not indexed yet")])).unwrap();
    wait(store.release(lease)).unwrap();
    wait(store.remove(&id("a"))).unwrap();
    let left = wait(store.search("needle", 9)).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].session, id("b"));
    let gone = Err(StoreError::NoSession(id("a")));
    assert_eq!(wait(store.read(&id("a"), Seq(0), 9)), gone);
    assert!(!folder.path().join("leases/1").exists());
    session(&store, "a", &["again"]);
    assert_eq!(wait(store.read(&id("a"), Seq(0), 9)).unwrap().len(), 1);
}

#[test]
fn a_fork_begins_with_the_other_sessions_entries_and_keeps_its_blobs_alive() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = wait(store.create(head("a"))).unwrap();
    let entries = vec![entry(1, "one"), said(2, "two"), entry(3, "three")];
    wait(store.append(&lease, Seq(0), entries)).unwrap();
    let blob = wait(store.put_blob(&id("a"), b"kept".to_vec())).unwrap();
    let forked = quire_protocol::SessionHead {
        parent: Some(id("a")),
        ..head("b")
    };
    let fork = wait(store.fork(forked, &id("a"), Seq(2), vec![entry(3, "another")])).unwrap();
    assert_eq!(fork.last, Seq(3));
    wait(store.release(lease)).unwrap();
    wait(store.remove(&id("a"))).unwrap();
    let payloads = |session| -> Vec<_> {
        let entries = wait(store.read(&id(session), Seq(0), 10)).unwrap();
        entries.into_iter().map(|entry| entry.payload).collect()
    };
    assert_eq!(
        payloads("b"),
        [b"one".to_vec(), b"{}".to_vec(), b"another".to_vec()]
    );
    assert_eq!(wait(store.blob(&blob)).unwrap(), Some(b"kept".to_vec()));
    let heads = wait(store.sessions(quire_protocol::SessionQuery::default())).unwrap();
    assert_eq!(heads[0].parent, Some(id("a")));
    wait(store.release(fork)).unwrap();
    // All of it is in a chain of its own.
    let again = wait(store.lease(&id("b"))).unwrap();
    assert_eq!((again.last, again.repaired), (Seq(3), None));
}

#[test]
fn a_fork_beyond_the_end_of_a_journal_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = wait(store.create(head("a"))).unwrap();
    wait(store.append(&lease, Seq(0), vec![entry(1, "one")])).unwrap();
    let refused = wait(store.fork(head("b"), &id("a"), Seq(2), vec![entry(3, "x")])).unwrap_err();
    assert!(
        refused.to_string().contains("cannot be forked at 2"),
        "{refused}"
    );
    let heads = wait(store.sessions(quire_protocol::SessionQuery::default())).unwrap();
    assert_eq!(heads.len(), 1);
}
