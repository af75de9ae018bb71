//! The store as others see it: hands each request to the writer or to a reader.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use futures_core::future::BoxFuture;
use quire_protocol::{
    BlobId, Entry, Hit, Lease, Seq, SessionHead, SessionId, SessionQuery, Store, StoreError,
};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::blobs;
use crate::fault::{self, Fault};
use crate::health::{self, Health};
use crate::index;
use crate::journal::{self, Append};
use crate::readers::Readers;
use crate::schema;
use crate::sessions;
use crate::writer::{Counters, Request, Write, Writer};

/// When what was written survives a power cut. It survives SIGKILL at once in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Within a second.
    #[default]
    Background,
    /// Before it is acknowledged; every commit waits for the disk.
    EveryCommit,
}

/// What a store did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed for callers.
    pub commits: u64,
    /// Times the disk was waited for; what SQLite does inside a checkpoint is counted as three.
    pub syncs: u64,
}

/// A store in one folder. Dropping it finishes what was asked, syncs and closes.
///
/// Futures are started by the call that makes them: dropping one before its end loses the answer,
/// not the work. They run on any runtime.
pub struct SqliteStore {
    directory: PathBuf,
    /// Taken when the store is dropped.
    inbox: Option<Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
    counters: Arc<Counters>,
}

impl SqliteStore {
    /// Opens the store of a folder, creating both if need be; only their owner can read them.
    pub fn open(directory: &Path, durability: Durability) -> Result<Self, StoreError> {
        Self::start(directory, durability).map_err(|fault| fault.tell(directory))
    }

    /// Examines the store of a folder without changing it; `None` if there is none yet. Reads
    /// every event, so it takes a while for a large one.
    pub fn check(directory: &Path) -> Result<Option<Health>, StoreError> {
        health::examine(directory)
    }

    /// What it did since it was opened.
    pub fn stats(&self) -> Stats {
        Stats {
            commits: self.counters.commits.load(Ordering::Relaxed),
            syncs: self.counters.syncs.load(Ordering::Relaxed),
        }
    }

    fn start(directory: &Path, durability: Durability) -> Result<Self, Fault> {
        let opened = schema::open_writer(directory)?;
        let counters = Arc::<Counters>::default();
        let writer = Writer::new(opened, directory, durability, Arc::clone(&counters))?;
        let (inbox, requests) = mpsc::channel();
        let thread = thread::Builder::new().name("quire-store".to_owned());
        let writer = thread
            .spawn(move || writer.run(&requests))
            .map_err(Fault::io(directory))?;
        Ok(Self {
            directory: directory.to_owned(),
            inbox: Some(inbox),
            writer: Some(writer),
            readers: Readers::new(directory),
            counters,
        })
    }

    fn inbox(&self) -> Sender<Request> {
        self.inbox.clone().expect("it is taken only by drop")
    }

    /// Hands the writer a write that may share its commit.
    fn write(&self, write: Write) -> BoxFuture<'static, Result<(), StoreError>> {
        let (answer, answered) = oneshot::channel();
        // If the writer is gone, the answer's sender is dropped with the request.
        let _ = self.inbox().send(Request::Write(write, answer));
        self.answer(answered)
    }

    /// Hands the writer some work. If nobody waits for its result any more, `undo` gets it.
    fn task<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, Fault> + Send + 'static,
        undo: impl FnOnce(&mut Writer, T) + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (answer, answered) = oneshot::channel();
        let task = move |writer: &mut Writer| {
            let result = work(writer);
            if let Err(Ok(value)) = answer.send(result) {
                undo(writer, value);
            }
        };
        let _ = self.inbox().send(Request::Task(Box::new(task)));
        self.answer(answered)
    }

    fn answer<T: Send + 'static>(
        &self,
        answered: oneshot::Receiver<Result<T, Fault>>,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let directory = self.directory.clone();
        Box::pin(async move {
            match answered.await {
                Ok(result) => result.map_err(|fault| fault.tell(&directory)),
                Err(_) => Err(fault::stopped(&directory)),
            }
        })
    }

    fn read_with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Path) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        self.readers.run(work, drop)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.readers.close();
        self.inbox = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer was told to whoever waited for it.
            let _ = writer.join();
        }
    }
}

/// Asks the writer from a thread that may block.
fn ask<T: Send + 'static>(
    inbox: &Sender<Request>,
    directory: &Path,
    work: impl FnOnce(&mut Writer) -> T + Send + 'static,
) -> Result<T, Fault> {
    let (answer, answered) = oneshot::channel();
    let task = move |writer: &mut Writer| {
        let _ = answer.send(work(writer));
    };
    let _ = inbox.send(Request::Task(Box::new(task)));
    answered
        .blocking_recv()
        .map_err(|_| fault::stopped(directory).into())
}

/// Locks a session, then verifies all of its journal here and has what is damaged cut.
fn lease(
    connection: &Connection,
    directory: &Path,
    inbox: &Sender<Request>,
    session: SessionId,
) -> Result<Lease, Fault> {
    let (key, mut lease) = ask(inbox, directory, move |writer| writer.lock(&session))??;
    let verified = journal::verify(connection, &lease.session, key).and_then(|flaw| {
        if let Some(flaw) = flaw {
            let of = lease.clone();
            lease.repaired = Some(ask(inbox, directory, move |writer| writer.cut(&of, flaw))??);
        }
        lease.last = journal::tail(connection, key)?.0;
        Ok(())
    });
    if let Err(fault) = verified {
        ask(inbox, directory, move |writer| writer.release(&lease))?;
        return Err(fault);
    }
    Ok(lease)
}

impl Store for SqliteStore {
    fn create(&self, head: SessionHead) -> BoxFuture<'_, Result<Lease, StoreError>> {
        self.task(
            move |writer| writer.create(&head),
            |writer, lease| writer.release(&lease),
        )
    }

    fn fork(
        &self,
        head: SessionHead,
        from: &SessionId,
        upto: Seq,
        own: Vec<Entry>,
    ) -> BoxFuture<'_, Result<Lease, StoreError>> {
        let from = from.clone();
        self.task(
            move |writer| writer.fork(&head, &from, upto, own),
            |writer, lease| writer.release(&lease),
        )
    }

    fn lease(&self, session: &SessionId) -> BoxFuture<'_, Result<Lease, StoreError>> {
        let session = session.clone();
        let inbox = self.inbox();
        let again = inbox.clone();
        self.readers.run(
            move |connection, directory| lease(connection, directory, &inbox, session),
            move |lease| {
                let release = move |writer: &mut Writer| writer.release(&lease);
                let _ = again.send(Request::Task(Box::new(release)));
            },
        )
    }

    fn release(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>> {
        self.task(
            move |writer| {
                writer.release(&lease);
                Ok(())
            },
            |_, ()| {},
        )
    }

    /// Refused with [`StoreError::LeaseLost`] too when `after` is not the journal's last place:
    /// then someone else appended.
    ///
    /// # Panics
    ///
    /// If the entries do not follow `after` one by one, or their places pass 2^32.
    fn append(
        &self,
        lease: &Lease,
        after: Seq,
        entries: Vec<Entry>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let places = (after.0 + 1..).map(Seq);
        assert!(
            entries
                .iter()
                .map(|entry| entry.seq)
                .eq(places.take(entries.len())),
            "entries are numbered one by one after {after}"
        );
        assert!(
            after.0 + (entries.len() as u64) < u64::from(u32::MAX),
            "a journal has at most 2^32 places"
        );
        let lease = lease.clone();
        self.write(Write::Append(Append {
            lease,
            after,
            entries,
        }))
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.task(Writer::sync, |_, ()| {})
    }

    fn read(
        &self,
        session: &SessionId,
        after: Seq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        let session = session.clone();
        self.read_with(move |connection, _| journal::read(connection, &session, after, limit))
    }

    fn put_blob(
        &self,
        session: &SessionId,
        bytes: Vec<u8>,
    ) -> BoxFuture<'_, Result<BlobId, StoreError>> {
        let session = session.clone();
        if bytes.len() <= blobs::SMALL {
            let hash = blobs::hash(&bytes);
            let small = Some(bytes);
            let written = self.write(Write::Blob {
                session,
                hash,
                small,
            });
            return Box::pin(async move { written.await.map(|()| blobs::id(&hash)) });
        }
        let inbox = self.inbox();
        self.read_with(move |_, directory| {
            let hash = blobs::hash(&bytes);
            let (answer, noted) = oneshot::channel();
            let used = Write::Blob {
                session,
                hash,
                small: None,
            };
            let _ = inbox.send(Request::Write(used, answer));
            // First the use: a blob that is used is not removed.
            noted
                .blocking_recv()
                .map_err(|_| fault::stopped(directory))??;
            if let Some(path) = blobs::write(directory, &hash, &bytes)? {
                ask(&inbox, directory, move |writer| writer.wrote_file(path))??;
            }
            Ok(blobs::id(&hash))
        })
    }

    fn blob(&self, id: &BlobId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let id = id.clone();
        self.read_with(move |connection, directory| blobs::read(connection, directory, &id))
    }

    fn sessions(&self, query: SessionQuery) -> BoxFuture<'_, Result<Vec<SessionHead>, StoreError>> {
        self.read_with(move |connection, _| sessions::list(connection, &query))
    }

    fn search(&self, text: &str, limit: usize) -> BoxFuture<'_, Result<Vec<Hit>, StoreError>> {
        let text = text.to_owned();
        let inbox = self.inbox();
        self.read_with(move |connection, directory| {
            let (answer, answered) = oneshot::channel();
            let task = move |writer: &mut Writer| writer.complete_index(answer);
            let _ = inbox.send(Request::Task(Box::new(task)));
            let indexed = answered.blocking_recv();
            match indexed.map_err(|_| fault::stopped(directory))? {
                Ok(()) => {}
                // Where nothing can be written, what is indexed can still be searched.
                Err(fault) => match fault.tell(directory) {
                    StoreError::Full { .. } | StoreError::Unusable { .. } => {}
                    other => return Err(other.into()),
                },
            }
            index::search(connection, &text, limit)
        })
    }

    /// Refused while any process works on the session, this one included.
    fn remove(&self, session: &SessionId) -> BoxFuture<'_, Result<(), StoreError>> {
        let session = session.clone();
        self.task(move |writer| writer.remove(&session), |_, ()| {})
    }
}
