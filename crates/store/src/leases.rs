//! What the writer does about leases: create, lock, cut, release, remove.

use quire_protocol::{Entry, Lease, Repair, Seq, SessionHead, SessionId, StoreError};
use rusqlite::Connection;

use crate::blobs;
use crate::fault::Fault;
use crate::journal::{self, Append, Flaw, Key};
use crate::sessions;
use crate::writer::Writer;

impl Writer {
    /// Adds a session and leases it.
    pub(crate) fn create(&mut self, head: &SessionHead) -> Result<Lease, Fault> {
        self.create_with(head, Seq(0), |_, _| Ok(()))
    }

    /// Adds a session that begins as another one did, and leases it.
    pub(crate) fn fork(
        &mut self,
        head: &SessionHead,
        from: &SessionId,
        upto: Seq,
        own: Vec<Entry>,
    ) -> Result<Lease, Fault> {
        let found = sessions::find(self.connection(), from)?;
        let last = Seq(upto.0 + own.len() as u64);
        let own = Append {
            lease: first_lease(head, upto),
            after: upto,
            entries: own,
        };
        self.create_with(head, last, |connection, key| {
            journal::copy(connection, (from, found.key), upto, (&head.session, key))?;
            blobs::share(connection, found.key, key)?;
            journal::append(connection, &own).map(drop)
        })
    }

    /// Adds a session whose journal is begun up to `last`, and leases it.
    fn create_with(
        &mut self,
        head: &SessionHead,
        last: Seq,
        begin: impl FnOnce(&Connection, Key) -> Result<(), Fault>,
    ) -> Result<Lease, Fault> {
        let file = self.transact(|connection| {
            let key = sessions::add(connection, head, std::process::id())?;
            begin(connection, key)?;
            self.locks
                .take(key)?
                .ok_or_else(|| in_use(&head.session, std::process::id()))
        })?;
        self.wrote(0);
        self.locks.keep(&head.session, 1, file);
        Ok(first_lease(head, last))
    }

    /// Locks a session and counts its epoch on. The lease's `last` is still to be found out.
    pub(crate) fn lock(&mut self, session: &SessionId) -> Result<(Key, Lease), Fault> {
        let found = sessions::find(self.connection(), session)?;
        let Some(file) = self.locks.take(found.key)? else {
            return Err(in_use(session, found.holder));
        };
        let epoch = self
            .transact(|connection| sessions::next_epoch(connection, session, std::process::id()))?;
        self.wrote(0);
        self.locks.keep(session, epoch, file);
        let lease = Lease {
            session: session.clone(),
            epoch,
            last: Seq(0),
            repaired: None,
        };
        Ok((found.key, lease))
    }

    /// Moves everything after a flaw aside.
    pub(crate) fn cut(&mut self, lease: &Lease, flaw: Flaw) -> Result<Repair, Fault> {
        let cut = self.transact(|connection| journal::cut(connection, lease, &flaw))?;
        self.wrote(0);
        Ok(Repair {
            kept: flaw.kept,
            cut,
            reason: flaw.reason,
        })
    }

    /// Gives a lease back; one that is not held any more is nothing to give.
    pub(crate) fn release(&mut self, lease: &Lease) {
        self.locks.give(lease);
    }

    /// Removes a session that nobody works on.
    pub(crate) fn remove(&mut self, session: &SessionId) -> Result<(), Fault> {
        let found = sessions::find(self.connection(), session)?;
        let Some(_file) = self.locks.take(found.key)? else {
            return Err(in_use(session, found.holder));
        };
        self.transact(|connection| {
            sessions::remove(connection, self.directory(), session, found.key)
        })?;
        self.wrote(0);
        self.locks.erase(found.key);
        self.empty_log();
        Ok(())
    }
}

/// The lease of whoever creates a session.
fn first_lease(head: &SessionHead, last: Seq) -> Lease {
    Lease {
        session: head.session.clone(),
        epoch: 1,
        last,
        repaired: None,
    }
}

fn in_use(session: &SessionId, process: u32) -> Fault {
    let session = session.clone();
    Fault::Told(StoreError::Leased { session, process })
}
