//! What can go wrong, by what the caller can do about it.

use std::path::Path;

/// Why the depot did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached now; the same call may succeed later.
    #[error("the database cannot be reached: {0}; look whether it runs, then try again")]
    Unavailable(String),
    /// There is no such thing, or it belongs to another workspace.
    #[error("there is no {kind} `{id}` here; look at the list for its id")]
    Missing {
        /// What was looked for, in a word: `file`, `batch`.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// An id is taken already.
    #[error("there is a {kind} `{id}` already; take another id")]
    Exists {
        /// What it is, in a word.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// It is not in a state in which this can be done.
    #[error("{0}")]
    Refused(String),
    /// A quota has no room for it.
    #[error(
        "{needed} bytes do not fit: {used} of {quota} are used; delete files or raise the quota"
    )]
    Full {
        /// What was to be added, in bytes.
        needed: u64,
        /// What is used, in bytes.
        used: u64,
        /// The quota, in bytes.
        quota: u64,
    },
    /// The database was written by a newer version of this program.
    #[error(
        "the database has schema {found} and this program knows {known}: start the newer program"
    )]
    Newer {
        /// The number of the database's schema.
        found: i64,
        /// The newest that this program knows.
        known: usize,
    },
    /// What is kept cannot be read as what it should be.
    #[error("what is kept is damaged: {0}; restore it from a backup")]
    Damaged(String),
    /// A file or folder beside the database failed.
    #[error("{path}: {source}; look at the disk and at who may write there")]
    Disk {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database refused a statement: a fault in this program.
    #[error("the database refused a statement: {0}; please report this")]
    Statement(String),
    /// A statement of a transaction touched no row though it needed one, so everything was undone.
    #[error("statement {0} of a transaction found nothing to do, and all of it was undone")]
    Unmet(usize),
    /// The address of the database cannot be used.
    #[error("{0}")]
    Address(String),
}

impl Error {
    /// What the system said of a file or folder.
    pub(crate) fn disk(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Disk {
            path: path.display().to_string(),
            source,
        }
    }

    /// The same error, unless it is that a statement touched nothing: then what that means.
    pub(crate) fn unmet(self, meaning: impl FnOnce(usize) -> Self) -> Self {
        match self {
            Self::Unmet(index) => meaning(index),
            other => other,
        }
    }
}
