//! SIGKILL of a process that appends to three sessions at once.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};

use quire_protocol::{Lease, Seq, SessionId, Store, StoreError};
use quire_store::SqliteStore;

use crate::{head, id, open, said, wait};

const FOLDER: &str = "QUIRE_STORE_TEST_FOLDER";
const SESSIONS: [&str; 3] = ["a", "b", "c"];

/// What the child process does: appends for ever and reports what was acknowledged.
/// Run as a test of its own, without the folder, it has nothing to do.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the parent passes the folder to its child"
)]
fn child_appends_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let store = open(Path::new(&folder));
    wait(async {
        let mut leases = Vec::new();
        for session in SESSIONS {
            leases.push(leased(&store, &id(session)).await);
        }
        loop {
            let appends: Vec<_> = leases
                .iter()
                .map(|lease| {
                    let entries = (1..=1 + lease.last.0 % 3)
                        .map(|more| lease.last.0 + more)
                        .map(|seq| said(seq, &format!("word{seq} of {}", lease.session)))
                        .collect();
                    store.append(lease, lease.last, entries)
                })
                .collect();
            for (append, lease) in appends.into_iter().zip(&mut leases) {
                append.await.unwrap();
                lease.last = Seq(lease.last.0 + 1 + lease.last.0 % 3);
                let mut out = std::io::stdout().lock();
                writeln!(out, "\nacknowledged {} {}", lease.session, lease.last).unwrap();
            }
        }
    });
}

async fn leased(store: &SqliteStore, session: &SessionId) -> Lease {
    match store.lease(session).await {
        Err(StoreError::NoSession(_)) => store.create(head(session.as_str())).await.unwrap(),
        other => other.unwrap(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process is needed to be killed"
)]
fn start(folder: &Path) -> Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "crash::child_appends_until_it_is_killed",
            "--exact",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads reports until there were so many; the rest of them is read after the kill.
fn acknowledged(lines: &mut impl BufRead, most: usize, last: &mut [u64; 3]) -> usize {
    let mut line = String::new();
    let mut count = 0;
    while count < most && lines.read_line(&mut line).unwrap() > 0 {
        let mut words = line.split_whitespace();
        if words.next() == Some("acknowledged") && line.ends_with('\n') {
            let session = words.next().unwrap();
            let at = SESSIONS.iter().position(|name| *name == session).unwrap();
            last[at] = words.next().unwrap().parse().unwrap();
            count += 1;
        }
        line.clear();
    }
    count
}

#[test]
fn nothing_acknowledged_is_lost_by_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = [0; 3];
    for round in 0..20_usize {
        let mut child = start(folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let some = 1 + round * 37 % 101;
        assert_eq!(acknowledged(&mut lines, some, &mut last), some);
        let store = open(folder.path());
        let held = wait(store.lease(&id("a")));
        let (session, process) = (id("a"), child.id());
        assert_eq!(held, Err(StoreError::Leased { session, process }));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged(&mut lines, usize::MAX, &mut last);
        for (session, last) in SESSIONS.into_iter().zip(&mut last) {
            let lease = wait(store.lease(&id(session))).unwrap();
            assert_eq!(lease.repaired, None);
            assert!(lease.last.0 >= *last, "{session}: {} < {last}", lease.last);
            let read = wait(store.read(&id(session), Seq(0), usize::MAX)).unwrap();
            assert_eq!(read.len() as u64, lease.last.0);
            *last = lease.last.0;
        }
    }
    let store = open(folder.path());
    for (session, last) in SESSIONS.into_iter().zip(last) {
        let hits = wait(store.search(&format!("word{last} of {session}"), 9)).unwrap();
        assert!(
            hits.iter().any(|hit| hit.seq == Seq(last)),
            "the last word is found"
        );
    }
    assert_eq!(
        SqliteStore::check(folder.path()).unwrap().unwrap().problems,
        [""; 0]
    );
}
