//! What the writer does besides writing: it syncs, indexes, and writes the log back.

use std::fs::File;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Answer, CHORES_AFTER, Removed, WRITE_OVERHEAD, Writer};
use crate::blobs;
use crate::fault::Fault;
use crate::index::{self, Slice};
use crate::schema;

/// The log is written back into the database when about so much was added to it.
const LOG_BYTES: usize = 8 * 1024 * 1024;

impl Writer {
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
    pub(super) fn chores(&mut self) {
        if self.due.is_some_and(|due| due <= Instant::now()) {
            // What could not be synced is tried again, and `sync` tells whoever asks.
            self.due = self.sync().is_err().then(|| Instant::now() + CHORES_AFTER);
            self.indexing |= !self.unindexed.is_empty();
            if self.removed == Removed::InLog {
                self.empty_log();
            }
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
        self.sync_files()?;
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

    fn sync_files(&mut self) -> Result<(), Fault> {
        while let Some(path) = self.files.last() {
            self.count_syncs(blobs::sync(path)?);
            self.files.pop();
        }
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

    /// Writes the log back and empties it, for it holds what was removed. That needs a moment in which
    /// nobody reads or writes, here or in another process; when there is none, the next chores and
    /// closing try again.
    pub(crate) fn empty_log(&mut self) {
        self.removed = match self.try_to_empty_log() {
            Ok(true) => Removed::Nowhere,
            Ok(false) | Err(_) => Removed::InLog,
        };
    }

    /// Says whether it is empty now.
    fn try_to_empty_log(&mut self) -> Result<bool, Fault> {
        self.settle()?;
        self.connection.busy_timeout(Duration::ZERO)?;
        let busy = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        self.connection.busy_timeout(schema::PATIENCE)?;
        if busy? {
            return Ok(false);
        }
        self.count_syncs(3);
        self.log_bytes = 0;
        // An empty log is taken for a new one, which must hold after a power cut too.
        let path = schema::log_path(&self.directory);
        let log = File::options().read(true).write(true).open(&path);
        log.and_then(|log| log.sync_all())
            .map_err(Fault::io(&path))?;
        self.count_syncs(1);
        Ok(true)
    }

    pub(super) fn count_syncs(&self, syncs: u64) {
        self.counters.syncs.fetch_add(syncs, Ordering::Relaxed);
    }

    /// Leaves everything indexed and synced. Nobody is left to be told of a failure; what is
    /// committed stays committed.
    pub(super) fn finish(&mut self) {
        self.indexing = !self.unindexed.is_empty();
        while self.indexing {
            self.index_slice();
        }
        if self.unsynced {
            // Writing the log back syncs too, and closing then need not do it again.
            let written = self.sync_files().and_then(|()| self.checkpoint());
            if written.is_err() || self.log_bytes > 0 {
                let _ = self.sync();
            }
        }
        if self.removed == Removed::InLog {
            self.empty_log();
        }
        // Closing the last connection writes the log back, which must not go without syncs.
        let _ = self.settle();
    }
}
