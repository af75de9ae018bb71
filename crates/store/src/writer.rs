//! The one thread that writes. It commits all waiting writes in one transaction, answers them, and
//! does its chores (sync, indexing, checkpoints) when they are due. Idle, it sleeps in its channel.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use quire_protocol::StoreError;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use crate::blobs::{self, Hash};
use crate::fault::Fault;
use crate::index::{self, Slice};
use crate::journal::{self, Append, Key};
use crate::locks::Locks;
use crate::schema::{self, Opened};
use crate::store::Durability;

/// Chores are done so long after the first write that makes them necessary; with the sync itself
/// this stays within a second.
const CHORES_AFTER: Duration = Duration::from_millis(800);

/// The log is written back into the database when about so much was added to it.
const LOG_BYTES: usize = 8 * 1024 * 1024;

/// A group has at most so many writes, and about so many bytes.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// A write dirties about so many bytes of pages beyond its own.
const WRITE_OVERHEAD: usize = 8 * 1024;

/// Takes the answer to a request.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, Fault>>;

/// What the writer is asked to do.
pub(crate) enum Request {
    /// A write that may share its commit with others.
    Write(Write, Answer<()>),
    /// Anything else; it answers by itself.
    Task(Box<dyn FnOnce(&mut Writer) + Send>),
}

/// A write that may share its commit with others.
pub(crate) enum Write {
    /// Entries for a journal.
    Append(Append),
    /// A small blob.
    Blob { hash: Hash, bytes: Vec<u8> },
}

impl Write {
    fn bytes(&self) -> usize {
        match self {
            Self::Append(append) => append.bytes(),
            Self::Blob { bytes, .. } => bytes.len(),
        }
    }
}

/// What the writer counts; shared with the store.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) syncs: AtomicU64,
}

/// The state of the writing thread.
pub(crate) struct Writer {
    connection: Connection,
    directory: PathBuf,
    durability: Durability,
    counters: Arc<Counters>,
    pub(crate) locks: Locks,
    /// Whether the connection syncs when SQLite needs it. Until the first commit it may do without.
    settled: Cell<bool>,
    /// Whether the database file itself was created and not synced yet.
    created: bool,
    /// The log, once it was synced.
    log: Option<File>,
    /// About how much was added to the log since it was last written back.
    log_bytes: usize,
    /// Files of large blobs that were not synced yet.
    files: Vec<PathBuf>,
    /// Whether anything was not synced yet.
    unsynced: bool,
    /// When chores are due.
    due: Option<Instant>,
    /// Sessions with texts to index, and whether it is time to.
    unindexed: BTreeSet<Key>,
    indexing: bool,
    /// Who waits for the index to be complete.
    waiting: Vec<Answer<()>>,
}

enum Next {
    Request(Request),
    Chores,
    Closed,
}

impl Writer {
    pub(crate) fn new(
        opened: Opened,
        directory: &Path,
        durability: Durability,
        counters: Arc<Counters>,
    ) -> Result<Self, Fault> {
        let mut writer = Self {
            connection: opened.connection,
            directory: directory.to_owned(),
            durability,
            counters,
            locks: Locks::new(directory),
            settled: Cell::new(false),
            created: opened.created,
            log: None,
            log_bytes: 0,
            files: Vec::new(),
            unsynced: opened.created,
            due: opened.created.then(|| Instant::now() + CHORES_AFTER),
            unindexed: BTreeSet::new(),
            indexing: false,
            waiting: Vec::new(),
        };
        match durability {
            Durability::EveryCommit => {
                writer.settle()?;
                writer.sync()?;
            }
            Durability::Background if !schema::log_is_new(directory) => writer.settle()?,
            Durability::Background => {}
        }
        Ok(writer)
    }

    /// Serves until every sender is gone, then leaves everything synced and indexed.
    pub(crate) fn run(mut self, inbox: &Receiver<Request>) {
        loop {
            match self.next(inbox) {
                Next::Request(first) => self.serve(first, inbox),
                Next::Chores => {}
                Next::Closed => break,
            }
            self.chores();
        }
        self.finish();
    }

    fn next(&self, inbox: &Receiver<Request>) -> Next {
        let pause = if self.indexing {
            Some(Duration::ZERO)
        } else {
            self.due
                .map(|due| due.saturating_duration_since(Instant::now()))
        };
        let Some(pause) = pause else {
            return inbox.recv().map_or(Next::Closed, Next::Request);
        };
        match inbox.recv_timeout(pause) {
            Ok(request) => Next::Request(request),
            Err(RecvTimeoutError::Timeout) => Next::Chores,
            Err(RecvTimeoutError::Disconnected) => Next::Closed,
        }
    }

    /// Serves a request and those that wait behind it.
    fn serve(&mut self, first: Request, inbox: &Receiver<Request>) {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        let mut left = GROUP;
        while let Some(request) = next {
            match request {
                Request::Write(write, answer) => {
                    bytes += write.bytes();
                    group.push((write, answer));
                }
                Request::Task(task) => {
                    self.commit(std::mem::take(&mut group));
                    task(self);
                }
            }
            left -= 1;
            let enough = left == 0 || bytes >= GROUP_BYTES;
            next = if enough { None } else { inbox.try_recv().ok() };
        }
        self.commit(group);
    }

    /// Commits a group and answers each. A write that is refused does not disturb the others; one
    /// that fails makes each try by itself.
    fn commit(&mut self, group: Vec<(Write, Answer<()>)>) {
        if group.is_empty() {
            return;
        }
        let outcome = self.transact(|connection| {
            let each = group
                .iter()
                .map(|(write, _)| match self.perform(connection, write) {
                    Err(Fault::Told(refused)) => Ok(Err(Fault::Told(refused))),
                    Err(fault) => Err(fault),
                    Ok(unindexed) => Ok(Ok(unindexed)),
                });
            each.collect::<Result<Vec<_>, _>>()
        });
        match outcome {
            Ok(results) => {
                self.wrote(
                    group
                        .iter()
                        .map(|(write, _)| write.bytes() + WRITE_OVERHEAD)
                        .sum(),
                );
                for ((_, answer), result) in group.into_iter().zip(results) {
                    let result = result.map(|unindexed| self.unindexed.extend(unindexed));
                    let _ = answer.send(result);
                }
            }
            Err(_) if group.len() > 1 => {
                for single in group {
                    self.commit(vec![single]);
                }
            }
            Err(fault) => {
                if let Some((_, answer)) = group.into_iter().next() {
                    let _ = answer.send(Err(fault));
                }
            }
        }
    }

    /// Does one write in a transaction. Returns the session that now has texts to index.
    fn perform(&self, connection: &Connection, write: &Write) -> Result<Option<Key>, Fault> {
        match write {
            Write::Append(append) if !self.locks.holds(&append.lease) => {
                Err(StoreError::LeaseLost(append.lease.session.clone()).into())
            }
            Write::Append(append) => {
                let key = journal::append(connection, append)?;
                let texts = append.entries.iter().any(|entry| entry.text.is_some());
                Ok(texts.then_some(key))
            }
            Write::Blob { hash, bytes } => {
                blobs::insert(connection, hash, bytes)?;
                Ok(None)
            }
        }
    }

    /// Runs work in a transaction of its own.
    ///
    /// SQLite syncs the header of the log before it writes the first frame after a restart of the
    /// log, lest a power cut mixes old frames with new ones. A log that is empty has no old frames,
    /// so the first commit may go without; the look at it is under the write lock.
    pub(crate) fn transact<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let begin = || Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        let mut transaction = begin()?;
        if !self.settled.get() && !schema::log_is_new(&self.directory) {
            drop(transaction);
            self.settle()?;
            transaction = begin()?;
        }
        let value = work(&transaction)?;
        transaction.commit()?;
        self.settle()?;
        Ok(value)
    }

    /// From here on SQLite syncs when its consistency needs it, or at every commit.
    fn settle(&self) -> Result<(), Fault> {
        if !self.settled.get() {
            self.connection.execute_batch(match self.durability {
                Durability::Background => "PRAGMA synchronous = NORMAL;",
                Durability::EveryCommit => "PRAGMA synchronous = FULL;",
            })?;
            self.settled.set(true);
        }
        Ok(())
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Notes that a commit was made, which added about so many bytes to the log.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.log_bytes += bytes.max(WRITE_OVERHEAD);
        match self.durability {
            Durability::Background => self.unsynced = true,
            Durability::EveryCommit => self.count_syncs(1),
        }
        self.due
            .get_or_insert_with(|| Instant::now() + CHORES_AFTER);
    }

    /// Takes the file of a large blob into the next sync.
    pub(crate) fn wrote_file(&mut self, path: PathBuf) -> Result<(), Fault> {
        self.files.push(path);
        self.unsynced = true;
        match self.durability {
            Durability::EveryCommit => self.sync(),
            Durability::Background => {
                self.due
                    .get_or_insert_with(|| Instant::now() + CHORES_AFTER);
                Ok(())
            }
        }
    }

    /// Has the index completed, whatever is missing in it, then answers.
    pub(crate) fn complete_index(&mut self, answer: Answer<()>) {
        match index::pending(&self.connection) {
            Ok(keys) => {
                self.unindexed.extend(keys);
                self.indexing = true;
                self.waiting.push(answer);
            }
            Err(fault) => {
                let _ = answer.send(Err(fault));
            }
        }
    }

    /// Does what is due.
    fn chores(&mut self) {
        if self.due.is_some_and(|due| due <= Instant::now()) {
            // What could not be synced is tried again, and `sync` tells whoever asks.
            self.due = self.sync().is_err().then(|| Instant::now() + CHORES_AFTER);
            self.indexing |= !self.unindexed.is_empty();
        }
        if self.indexing {
            self.index_slice();
        }
        if self.log_bytes >= LOG_BYTES && self.checkpoint().is_err() {
            self.log_bytes = LOG_BYTES / 2;
        }
    }

    /// Indexes a little. What fails is left for the next time.
    fn index_slice(&mut self) {
        let outcome = match self.unindexed.first().copied() {
            None => Ok(()),
            Some(key) => self
                .transact(|connection| index::slice(connection, key))
                .map(|slice| {
                    self.log_bytes += 2 * WRITE_OVERHEAD;
                    if slice == Slice::Done {
                        self.unindexed.remove(&key);
                    }
                }),
        };
        if outcome.is_err() || self.unindexed.is_empty() {
            self.indexing = false;
            let mut outcome = Some(outcome);
            for answer in self.waiting.drain(..) {
                // Only the first is told of a failure: it cannot be copied, and search goes on
                // without the newest texts anyway.
                let _ = answer.send(outcome.take().unwrap_or(Ok(())));
            }
        }
    }

    /// Makes everything written so far survive a power cut.
    pub(crate) fn sync(&mut self) -> Result<(), Fault> {
        if !self.unsynced {
            return Ok(());
        }
        while let Some(path) = self.files.last() {
            self.count_syncs(blobs::sync(path)?);
            self.files.pop();
        }
        if self.created {
            // A log beside an empty database would be taken for a stale one.
            self.checkpoint()?;
            if let Some(parent) = self.directory.parent().filter(|path| path.is_absolute()) {
                blobs::sync_folder(parent)?;
                self.count_syncs(1);
            }
            self.created = false;
        }
        let path = schema::log_path(&self.directory);
        if let Some(log) = &self.log {
            log.sync_data().map_err(Fault::io(&path))?;
        } else {
            let mut options = File::options();
            let log = options.read(true).write(true).open(&path);
            let log = log.map_err(Fault::io(&path))?;
            log.sync_data().map_err(Fault::io(&path))?;
            blobs::sync_folder(&self.directory)?;
            self.count_syncs(1);
            self.log = Some(log);
        }
        self.count_syncs(1);
        self.unsynced = false;
        Ok(())
    }

    /// Writes the log back into the database as far as readers allow.
    fn checkpoint(&mut self) -> Result<(), Fault> {
        self.settle()?;
        let (frames, done): (i64, i64) =
            self.connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                    Ok((row.get(1)?, row.get(2)?))
                })?;
        // The log before, the database after, and the log's header when it starts again.
        self.count_syncs(3);
        self.log_bytes = if done < frames { LOG_BYTES / 2 } else { 0 };
        Ok(())
    }

    fn count_syncs(&self, syncs: u64) {
        self.counters.syncs.fetch_add(syncs, Ordering::Relaxed);
    }

    /// Leaves everything indexed and synced. Nobody is left to be told of a failure; what is
    /// committed stays committed.
    fn finish(&mut self) {
        self.indexing = !self.unindexed.is_empty();
        while self.indexing {
            self.index_slice();
        }
        let _ = self.sync();
        // Closing the last connection writes the log back, which must not go without syncs.
        let _ = self.settle();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use quire_protocol::{Entry, Lease, Seq, SessionHead, SessionId};

    use super::*;

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
}
