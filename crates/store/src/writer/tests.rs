//! The writer without its thread: groups, a full disk, chores.

use std::sync::mpsc;

use quire_protocol::{Entry, Lease, Seq, SessionHead, SessionId};

use super::*;
use crate::index;

fn writer(folder: &Path) -> Writer {
    let opened = schema::open_writer(folder).unwrap();
    Writer::new(opened, folder, Durability::Background, Arc::default()).unwrap()
}

fn head(session: &str) -> SessionHead {
    SessionHead {
        session: SessionId::new(session),
        created_ms: 1,
        updated_ms: 1,
        workspace: "/w".to_owned(),
        title: String::new(),
        events: 0,
        parent: None,
    }
}

fn append(
    lease: &Lease,
    after: u64,
    bytes: usize,
) -> (Request, oneshot::Receiver<Result<(), Fault>>) {
    let (answer, answered) = oneshot::channel();
    let entry = Entry {
        seq: Seq(after + 1),
        at_ms: 7,
        payload: vec![b'x'; bytes],
        text: Some("words".to_owned()),
    };
    let append = Append {
        lease: lease.clone(),
        after: Seq(after),
        entries: vec![entry],
    };
    (Request::Write(Write::Append(append), answer), answered)
}

fn told(
    folder: &Path,
    mut answered: oneshot::Receiver<Result<(), Fault>>,
) -> Result<(), StoreError> {
    let result = answered.try_recv().expect("it was answered");
    result.map_err(|fault| fault.tell(folder))
}

/// Serves requests that all wait already, as one group.
fn serve(writer: &mut Writer, requests: Vec<Request>) {
    let (sender, inbox) = mpsc::channel();
    for request in requests {
        sender.send(request).unwrap();
    }
    let first = inbox.recv().unwrap();
    writer.serve(first, &inbox);
}

#[test]
fn waiting_writes_share_a_commit_and_a_refused_one_disturbs_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    let a = writer.create(&head("a")).unwrap();
    let b = writer.create(&head("b")).unwrap();
    let before = writer.counters.commits.load(Ordering::Relaxed);
    let stale = Lease {
        epoch: 0,
        ..a.clone()
    };
    let (requests, answers): (Vec<_>, Vec<_>) = [
        append(&a, 0, 10),
        append(&stale, 1, 10),
        append(&b, 5, 10),
        append(&a, 1, 10),
        append(&b, 0, 10),
    ]
    .into_iter()
    .unzip();
    serve(&mut writer, requests);
    assert_eq!(writer.counters.commits.load(Ordering::Relaxed), before + 1);
    let told: Vec<_> = answers
        .into_iter()
        .map(|answer| told(folder.path(), answer))
        .collect();
    let lost = |lease: &Lease| Err(StoreError::LeaseLost(lease.session.clone()));
    assert_eq!(told, [Ok(()), lost(&a), lost(&b), Ok(()), Ok(())]);
    let read = journal::read(&writer.connection, &a.session, Seq(0), 9).unwrap();
    assert_eq!(read.len(), 2);
}

#[test]
fn a_full_disk_is_told_loses_nothing_and_heals() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    let lease = writer.create(&head("a")).unwrap();
    let other = writer.create(&head("b")).unwrap();
    let (request, answer) = append(&lease, 0, 1000);
    serve(&mut writer, vec![request]);
    told(folder.path(), answer).unwrap();

    let pages: i64 = writer
        .connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    let limit = |writer: &Writer, pages: i64| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        writer.connection.query_row(&sql, [], |_| Ok(())).unwrap();
    };
    limit(&writer, pages + 2);
    let (huge, refused) = append(&lease, 1, 100_000);
    let (small, fits) = append(&other, 0, 10);
    serve(&mut writer, vec![huge, small]);
    let path = folder.path().display().to_string();
    assert_eq!(
        told(folder.path(), refused),
        Err(StoreError::Full { path }),
        "the huge one does not fit"
    );
    told(folder.path(), fits).expect("the small one of its group does");

    limit(&writer, i64::from(u32::MAX) - 1);
    let (again, answer) = append(&lease, 1, 100_000);
    serve(&mut writer, vec![again]);
    told(folder.path(), answer).unwrap();
    let read = journal::read(&writer.connection, &lease.session, Seq(0), 9).unwrap();
    let sizes: Vec<usize> = read.iter().map(|entry| entry.payload.len()).collect();
    assert_eq!(sizes, [1000, 100_000]);
}

#[test]
fn chores_end_and_then_nothing_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path());
    let lease = writer.create(&head("a")).unwrap();
    let (request, _answer) = append(&lease, 0, 10);
    serve(&mut writer, vec![request]);
    assert!(writer.due.is_some() && writer.unsynced);
    writer.due = Some(Instant::now());
    writer.chores();
    assert!(writer.due.is_none() && !writer.unsynced && !writer.indexing);
    assert_eq!(index::pending(&writer.connection).unwrap(), []);
    let syncs = writer.counters.syncs.load(Ordering::Relaxed);
    writer.sync().unwrap();
    assert_eq!(writer.counters.syncs.load(Ordering::Relaxed), syncs);
}
