//! The port to the journal. The store never reads what it keeps.

use futures_core::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{BlobId, Seq, SessionId};

/// Keeps journals and blobs.
pub trait Store: Send + Sync {
    /// Creates a session with an empty journal and leases it to this process.
    fn create(&self, head: SessionHead) -> BoxFuture<'_, Result<Lease, StoreError>>;

    /// Creates a session whose journal begins with the entries of another one up to a place, and goes on
    /// with its own, all in one commit, and leases it to this process. It keeps the other one's blobs
    /// alive too.
    fn fork(
        &self,
        head: SessionHead,
        from: &SessionId,
        upto: Seq,
        own: Vec<Entry>,
    ) -> BoxFuture<'_, Result<Lease, StoreError>>;

    /// Leases an existing session to this process. Fails with [`StoreError::Leased`] while another
    /// live process holds it.
    fn lease(&self, session: &SessionId) -> BoxFuture<'_, Result<Lease, StoreError>>;

    /// Gives a lease back.
    fn release(&self, lease: Lease) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Appends entries in one commit, after `after`, which must be the journal's last place.
    /// When it returns they survive the death of every process.
    fn append(
        &self,
        lease: &Lease,
        after: Seq,
        entries: Vec<Entry>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Makes everything appended so far survive a power cut.
    fn sync(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The entries after `after`, in order, at most `limit`. Where the journal is damaged these are
    /// the ones before the damage; a read that would begin with it fails.
    fn read(
        &self,
        session: &SessionId,
        after: Seq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>>;

    /// Keeps bytes under their hash, at least until the session is removed.
    fn put_blob(
        &self,
        session: &SessionId,
        bytes: Vec<u8>,
    ) -> BoxFuture<'_, Result<BlobId, StoreError>>;

    /// Bytes kept earlier.
    fn blob(&self, id: &BlobId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;

    /// Sessions, newest activity first.
    fn sessions(&self, query: SessionQuery) -> BoxFuture<'_, Result<Vec<SessionHead>, StoreError>>;

    /// Full-text search over what entries said, best first.
    fn search(&self, text: &str, limit: usize) -> BoxFuture<'_, Result<Vec<Hit>, StoreError>>;

    /// Removes a session and everything only it used.
    fn remove(&self, session: &SessionId) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// The right to append to a session. It carries the epoch that every append is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The session.
    pub session: SessionId,
    /// Counts the leases of this session; an append with an older one is refused.
    pub epoch: u64,
    /// The last place in the journal when the lease was taken.
    pub last: Seq,
    /// What was cut from a damaged tail when the lease was taken, if anything was.
    pub repaired: Option<Repair>,
}

/// A damaged tail that was cut. The cut bytes are kept beside the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The last good place.
    pub kept: Seq,
    /// How many entries were cut.
    pub cut: u64,
    /// What was wrong.
    pub reason: String,
}

/// One entry of a journal, opaque to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// When it was recorded, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The bytes.
    pub payload: Vec<u8>,
    /// What full-text search finds it by; not returned by reads.
    pub text: Option<String>,
}

/// What a list of sessions shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHead {
    /// The session.
    pub session: SessionId,
    /// When it began, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// When something was last appended.
    pub updated_ms: u64,
    /// The folder it works in.
    pub workspace: String,
    /// Its first words, cut to a line; of a fork, also where it branched.
    pub title: String,
    /// Events in its journal.
    pub events: u64,
    /// The session that it was forked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SessionId>,
}

impl SessionHead {
    /// Whether it stands in the lists that a person chooses from: something was said in it, for one that was
    /// opened and left has nothing to go on with, and it works for no other session, which stands there.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        !self.title.is_empty() && self.session.lead().is_none()
    }
}

/// Which sessions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionQuery {
    /// Only those that work in this folder.
    pub workspace: Option<String>,
    /// Only those whose id starts so.
    pub id_prefix: Option<String>,
    /// At most so many; 0 for all.
    pub limit: usize,
}

/// A hit of a search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The session.
    pub session: SessionId,
    /// Where in it.
    pub seq: Seq,
    /// The words around the match, the match between `«` and `»`.
    pub snippet: String,
}

/// What can go wrong with the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreError {
    /// There is no such session.
    #[error("there is no session {0}")]
    NoSession(SessionId),
    /// Another process works on it.
    #[error(
        "session {session} is in use by process {process}: wait until that process is done, or end \
         it"
    )]
    Leased {
        /// The session.
        session: SessionId,
        /// The process that holds it.
        process: u32,
    },
    /// The lease was taken over; this process must stop working on the session.
    #[error("session {0} was taken over by another process")]
    LeaseLost(SessionId),
    /// The disk is full. Nothing was written; what was there is intact.
    #[error("the disk is full: free some space under {path} and try again")]
    Full {
        /// Where the store lives.
        path: String,
    },
    /// The store cannot be opened or written.
    #[error("cannot use the store at {path}: {reason}")]
    Unusable {
        /// Where it lives.
        path: String,
        /// The system's reason, and what to do.
        reason: String,
    },
    /// The store's content is damaged beyond a tail that can be cut.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}
