//! A file of a spool. Only its process writes it, and only at its end or in the slots of its records.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::record::{self, Record};
use crate::{Error, UsageRow};

/// A segment that is longer takes no more records.
const FULL: u64 = 4 * 1024 * 1024;

/// So much of a segment is read at once, which is more than a record: its rows take several times that in memory.
const PIECE: u64 = 256 * 1024;

#[derive(Debug)]
pub(super) struct Segment {
    number: u64,
    path: PathBuf,
    file: File,
    /// Where the next record goes: what is before is whole.
    end: AtomicU64,
    /// What is before is in the database, as far as it had ended.
    drained: AtomicU64,
    /// Requests that began here and did not end yet.
    under_way: AtomicU64,
}

/// The path of a segment.
pub(super) fn path(folder: &Path, owner: &str, number: u64) -> PathBuf {
    folder.join(format!("{owner}.{number:08}.rows"))
}

impl Segment {
    pub(super) fn create(folder: &Path, owner: &str, number: u64) -> Result<Self, Error> {
        let path = path(folder, owner, number);
        let mut options = fs::OpenOptions::new();
        let opened = options
            .create_new(true)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path);
        Ok(Self {
            number,
            file: opened.map_err(Error::disk(&path))?,
            path,
            end: AtomicU64::new(0),
            drained: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
        })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn has_room(&self) -> bool {
        self.end.load(Ordering::Acquire) < FULL
    }

    /// Writes a record behind the last and says where it is. One at a time: the caller holds a lock. One
    /// that fails is overwritten by the next.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<u64, Error> {
        let at = self.end.load(Ordering::Acquire);
        self.write(bytes, at)?;
        self.end.store(at + bytes.len() as u64, Ordering::Release);
        Ok(at)
    }

    pub(super) fn write(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        let written = self.file.write_all_at(bytes, at);
        written.map_err(|error| Error::disk(&self.path)(error))
    }

    /// A request began here.
    pub(super) fn begin(&self) {
        self.under_way.fetch_add(1, Ordering::AcqRel);
    }

    /// A request that began here ended, and its row is where it outlives this process.
    pub(super) fn end(&self) {
        self.under_way.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn drained_to(&self, end: u64) {
        self.drained.store(end, Ordering::Release);
    }

    /// Whether nothing is here that is not in the database.
    pub(super) fn is_done(&self) -> bool {
        let drained = self.drained.load(Ordering::Acquire);
        self.under_way.load(Ordering::Acquire) == 0 && drained == self.end.load(Ordering::Acquire)
    }

    pub(super) fn delete(&self) -> Result<(), Error> {
        fs::remove_file(&self.path).map_err(Error::disk(&self.path))
    }

    /// A piece of what ended since it was last drained.
    fn ended(&self) -> Result<Ended, Error> {
        let from = self.drained.load(Ordering::Acquire);
        let end = self.end.load(Ordering::Acquire);
        let mut piece = PIECE;
        loop {
            let until = end.min(from + piece);
            let mut bytes = vec![0; usize::try_from(until - from).unwrap_or(0)];
            let read = self.file.read_exact_at(&mut bytes, from);
            read.map_err(Error::disk(&self.path))?;
            let last = until == end;
            let (records, whole) = if last {
                (record::read(&bytes).0, bytes.len())
            } else {
                record::read_whole(&bytes)
            };
            if whole == 0 && !last {
                // What stands there cannot be read: look for what is behind it.
                piece *= 2;
                continue;
            }
            let rows = records.into_iter().filter_map(|record| match record {
                Record::Ended(row) => Some(*row),
                Record::Begun(_) | Record::Marked => None,
            });
            return Ok(Ended {
                rows: rows.collect(),
                until: from + whole as u64,
                last,
            });
        }
    }
}

/// Rows that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) rows: Vec<UsageRow>,
    /// Up to where they were read.
    pub(super) until: u64,
    /// Whether there were no more when they were read.
    pub(super) last: bool,
}

/// Reads on a thread where waiting for a disk holds up nobody.
pub(super) async fn read_ended(segment: &Arc<Segment>) -> Result<Ended, Error> {
    let segment = Arc::clone(segment);
    let read = tokio::task::spawn_blocking(move || segment.ended()).await;
    read.unwrap_or_else(|_| {
        Err(Error::Unavailable(
            "reading the spool was given up".to_owned(),
        ))
    })
}
