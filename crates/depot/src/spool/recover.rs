//! Who writes to a spool, and what is done for those who died.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::record::{self, Record};
use super::{Begun, ROWS};
use crate::{Error, Metering, RequestId, UsageRow};

/// What was found of servers that died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Requests that had ended and were not in the database.
    pub ended: u64,
    /// Requests that were under way: billed by their progress, and marked as estimated.
    pub estimated: u64,
    /// Bytes that could not be read: what was being written at the moment of death.
    pub torn_bytes: u64,
}

/// Finds a name for this process and locks its file.
pub(super) fn become_owner(folder: &Path) -> Result<(String, File), Error> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(folder);
    made.map_err(Error::disk(folder))?;
    let _alone = registry(folder)?;
    let mut number = 0;
    loop {
        // In containers every process has the same id.
        let owner = format!("{}-{number}", std::process::id());
        let path = lock_path(folder, &owner);
        let opened = fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path);
        match opened {
            Ok(file) => {
                file.lock().map_err(Error::disk(&path))?;
                return Ok((owner, file));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(Error::disk(&path)(error)),
        }
    }
}

/// Gives a name back. The lock is held until the file is gone.
pub(super) fn cease(folder: &Path, owner: &str, _lock: &File) -> Result<(), Error> {
    let _alone = registry(folder)?;
    let path = lock_path(folder, owner);
    fs::remove_file(&path).map_err(Error::disk(&path))
}

/// Files of owners are created, taken over and deleted under this lock, so that none is taken over
/// before its process could lock it.
fn registry(folder: &Path) -> Result<File, Error> {
    let path = folder.join("owners");
    let mut options = fs::OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(&path);
    let file = file.map_err(Error::disk(&path))?;
    file.lock().map_err(Error::disk(&path))?;
    Ok(file)
}

fn lock_path(folder: &Path, owner: &str) -> PathBuf {
    folder.join(format!("{owner}.lock"))
}

/// What a dead owner left.
struct Estate {
    owner: String,
    lock: File,
    segments: Vec<PathBuf>,
}

/// Records what dead owners left, and deletes it.
pub(super) async fn run(folder: &Path, metering: &Metering) -> Result<Recovered, Error> {
    let mut recovered = Recovered::default();
    for estate in estates(folder)? {
        let found = settle(&estate, metering).await?;
        recovered.ended += found.ended;
        recovered.estimated += found.estimated;
        recovered.torn_bytes += found.torn_bytes;
        for path in &estate.segments {
            fs::remove_file(path).map_err(Error::disk(path))?;
        }
        cease(folder, &estate.owner, &estate.lock)?;
    }
    Ok(recovered)
}

/// Takes over all owners that are dead and that nobody else took over.
fn estates(folder: &Path) -> Result<Vec<Estate>, Error> {
    let _alone = registry(folder)?;
    let mut owners: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(Error::disk(folder))? {
        let path = entry.map_err(Error::disk(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some((owner, rest)) = name.and_then(|name| name.split_once('.')) else {
            continue;
        };
        let segments = owners.entry(owner.to_owned()).or_default();
        if rest != "lock" {
            segments.push(path);
        }
    }
    let mut estates = Vec::new();
    for (owner, mut segments) in owners {
        let path = lock_path(folder, &owner);
        let mut options = fs::OpenOptions::new();
        let lock = options.create(true).append(true).mode(0o600).open(&path);
        let lock = lock.map_err(Error::disk(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(Error::disk(&path)(error)),
        }
        segments.sort();
        estates.push(Estate {
            owner,
            lock,
            segments,
        });
    }
    Ok(estates)
}

async fn settle(estate: &Estate, metering: &Metering) -> Result<Recovered, Error> {
    let mut recovered = Recovered::default();
    let mut under_way = HashMap::new();
    for path in &estate.segments {
        let bytes = fs::read(path).map_err(Error::disk(path))?;
        let (records, torn) = record::read(&bytes);
        recovered.torn_bytes += torn;
        let ended = sort(records, &mut under_way);
        recovered.ended += record_all(&ended, metering).await?;
    }
    let mut rows: Vec<_> = under_way.into_values().map(Begun::estimate).collect();
    rows.sort_by(|a, b| a.request.cmp(&b.request));
    recovered.estimated += record_all(&rows, metering).await?;
    Ok(recovered)
}

/// The rows of what ended; what is still under way is kept. An end is always behind its beginning.
fn sort(records: Vec<Record>, under_way: &mut HashMap<RequestId, Begun>) -> Vec<UsageRow> {
    let mut ended = Vec::new();
    for record in records {
        match record {
            Record::Begun(begun) => {
                under_way.insert(begun.row.request.clone(), *begun);
            }
            Record::Marked => {}
            Record::Ended(row) => {
                under_way.remove(&row.request);
                ended.push(*row);
            }
        }
    }
    ended
}

async fn record_all(rows: &[UsageRow], metering: &Metering) -> Result<u64, Error> {
    let mut new = 0;
    for some in rows.chunks(ROWS) {
        new += metering.record(some).await?;
    }
    Ok(new)
}
