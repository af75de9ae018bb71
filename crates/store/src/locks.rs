//! Which sessions this process holds. Each is a locked file: the system drops the lock when the
//! process dies, however it dies.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use quire_protocol::{Lease, SessionId};

use crate::fault::Fault;
use crate::journal::Key;
use crate::schema;

/// The locks of this store.
pub(crate) struct Locks {
    folder: PathBuf,
    held: HashMap<SessionId, Held>,
}

struct Held {
    epoch: u64,
    _file: File,
}

impl Locks {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            folder: directory.join("leases"),
            held: HashMap::new(),
        }
    }

    /// Tries to lock a session; `None` if it is locked already, by whomever.
    pub(crate) fn take(&self, key: Key) -> Result<Option<File>, Fault> {
        let path = self.path(key);
        let open = || private_lock(&path);
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                schema::create_folder(&self.folder)?;
                open()
            }
            other => other,
        };
        let file = file.map_err(Fault::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Fault::io(&path)(error)),
        }
    }

    /// Keeps a lock under the lease that it belongs to.
    pub(crate) fn keep(&mut self, session: &SessionId, epoch: u64, file: File) {
        let held = Held { epoch, _file: file };
        self.held.insert(session.clone(), held);
    }

    /// Whether a lease is the one held for its session.
    pub(crate) fn holds(&self, lease: &Lease) -> bool {
        self.held
            .get(&lease.session)
            .is_some_and(|held| held.epoch == lease.epoch)
    }

    /// Unlocks a session if this lease is the one held.
    pub(crate) fn give(&mut self, lease: &Lease) {
        if self.holds(lease) {
            self.held.remove(&lease.session);
        }
    }

    /// Deletes the lock file of a session that is gone. Its number is never given again.
    pub(crate) fn erase(&self, key: Key) {
        // An empty file that stays does no harm.
        let _ = fs::remove_file(self.path(key));
    }

    fn path(&self, key: Key) -> PathBuf {
        self.folder.join(key.0.to_string())
    }
}

fn private_lock(path: &Path) -> io::Result<File> {
    schema::private_file()
        .create(true)
        .truncate(false)
        .open(path)
}
