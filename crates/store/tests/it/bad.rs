//! Folders that cannot be used, files that are not databases, and runtimes of all kinds.

use std::fs;

use quire_protocol::{Seq, SessionQuery, Store, StoreError};
use quire_store::{Durability, SqliteStore};

use crate::{entry, head, id, open, session, wait};

fn refused(folder: &std::path::Path) -> StoreError {
    match SqliteStore::open(folder, Durability::Background) {
        Ok(_) => panic!("{} was opened", folder.display()),
        Err(error) => error,
    }
}

#[test]
fn a_folder_under_a_file_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    for path in [file.clone(), file.join("below")] {
        let told = refused(&path);
        assert!(
            matches!(&told, StoreError::Unusable { reason, .. } if reason.contains("data folder")),
            "{told}"
        );
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
}

#[test]
fn a_file_that_is_no_database_is_told_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let content = "this is a letter, not a database. ".repeat(200);
    fs::write(&file, &content).unwrap();
    let told = refused(folder.path());
    assert!(matches!(&told, StoreError::Damaged(_)), "{told}");
    let told = told.to_string();
    assert!(
        told.contains("store.db") && told.contains(".recover"),
        "{told}"
    );
    assert_eq!(fs::read_to_string(file).unwrap(), content);
}

#[test]
fn a_folder_in_the_place_of_the_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("store.db")).unwrap();
    let told = refused(folder.path());
    assert!(matches!(told, StoreError::Unusable { .. }), "{told}");
}

#[test]
fn a_session_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let nobody = StoreError::NoSession(id("nobody"));
    wait(async {
        assert_eq!(store.lease(&id("nobody")).await, Err(nobody.clone()));
        assert_eq!(
            store.read(&id("nobody"), Seq(0), 1).await,
            Err(nobody.clone())
        );
        assert_eq!(store.remove(&id("nobody")).await, Err(nobody));
        assert_eq!(store.sessions(SessionQuery::default()).await, Ok(vec![]));
    });
}

#[test]
fn a_session_is_created_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = session(&store, "a", &["x"]);
    let twice = wait(store.create(head("a")));
    assert!(
        matches!(twice, Err(StoreError::Unusable { .. })),
        "{twice:?}"
    );
    wait(store.append(&lease, Seq(1), vec![entry(2, "y")])).unwrap();
}

#[test]
#[should_panic(expected = "numbered one by one")]
fn a_gap_between_entries_is_a_bug_of_the_caller() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = session(&store, "a", &[]);
    drop(store.append(&lease, Seq(0), vec![entry(2, "x")]));
}

#[test]
fn dropping_the_store_finishes_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let lease = session(&store, "a", &[]);
    for seq in 1..=50 {
        drop(store.append(&lease, Seq(seq - 1), vec![entry(seq, "x")]));
    }
    drop(store);
    assert!(
        !folder.path().join("store.db-wal").exists(),
        "the log is written back"
    );
    let store = open(folder.path());
    assert_eq!(wait(store.read(&id("a"), Seq(0), 100)).unwrap().len(), 50);
}

#[test]
fn many_sessions_at_once_share_commits() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let leases: Vec<_> = (0..40)
        .map(|n| session(&store, &format!("s{n}"), &[]))
        .collect();
    let before = store.stats().commits;
    let waiting: Vec<_> = (1..=10)
        .flat_map(|seq| leases.iter().map(move |lease| (seq, lease)))
        .map(|(seq, lease)| store.append(lease, Seq(seq - 1), vec![entry(seq, "x")]))
        .collect();
    wait(async {
        for append in waiting {
            append.await.unwrap();
        }
    });
    let commits = store.stats().commits - before;
    assert!(commits < 400, "400 appends took {commits} commits");
    for lease in &leases {
        assert_eq!(
            wait(store.read(&lease.session, Seq(0), 99)).unwrap().len(),
            10
        );
    }
}

#[test]
fn many_may_open_a_new_folder_at_the_same_moment() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for n in 0..6 {
                let folder = folder.path();
                scope.spawn(move || {
                    let store = open(folder);
                    session(&store, &format!("s{n}"), &["x"]);
                });
            }
        });
        let store = open(folder.path());
        let all = wait(store.sessions(SessionQuery::default())).unwrap();
        assert_eq!(all.len(), 6);
    }
}
