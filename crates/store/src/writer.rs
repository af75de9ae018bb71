//! The one thread that writes. It commits all waiting writes in one transaction, answers them, and
//! does its chores (sync, indexing, checkpoints) when they are due. Idle, it sleeps in its channel.

mod chores;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use quire_protocol::{SessionId, StoreError};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use crate::blobs::{self, Hash};
use crate::fault::Fault;
use crate::journal::{self, Append, Key};
use crate::locks::Locks;
use crate::schema::{self, Opened};
use crate::sessions;
use crate::store::Durability;

/// Chores are done so long after the first write that makes them necessary; with the sync itself
/// this stays within a second.
const CHORES_AFTER: Duration = Duration::from_millis(800);

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
    /// A session's use of a blob, which comes with it if it is small.
    Blob {
        session: SessionId,
        hash: Hash,
        small: Option<Vec<u8>>,
    },
}

impl Write {
    fn bytes(&self) -> usize {
        match self {
            Self::Append(append) => append.bytes(),
            Self::Blob { small, .. } => small.as_ref().map_or(0, Vec::len),
        }
    }
}

/// What the writer counts; shared with the store.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) syncs: AtomicU64,
}

/// Where what was removed still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Removed {
    Nowhere,
    /// Somebody was reading when the log was to be emptied.
    InLog,
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
    /// Where what was removed still stands.
    removed: Removed,
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
            removed: Removed::Nowhere,
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
            Write::Blob {
                session,
                hash,
                small,
            } => {
                let key = sessions::find(connection, session)?.key;
                blobs::use_by(connection, key, hash)?;
                if let Some(bytes) = small {
                    blobs::insert(connection, hash, bytes)?;
                }
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

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
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
}

#[cfg(test)]
mod tests;
