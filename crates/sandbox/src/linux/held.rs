//! Placeholders: what is made on the disk only to be mounted over, shared by all cells of one
//! workspace, also those of other processes. Removing one would undo the protection of every cell
//! that mounted something over it, so each cell holds a shared lock on it, and only the last one
//! removes it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::linux::plan::{Placeholder, PlaceholderKind};

/// How often another process may remove a placeholder while it is being locked.
const ATTEMPTS: usize = 100;

/// A placeholder that is kept in place.
pub(crate) struct Held {
    path: PathBuf,
    kind: PlaceholderKind,
    lock: File,
}

/// Makes and locks placeholders.
///
/// # Errors
/// In words, when one cannot be made; those before it are in `held` then.
pub(crate) fn hold(wanted: &[Placeholder], held: &mut Vec<Held>) -> Result<(), String> {
    for place in wanted {
        let lock = hold_one(place)
            .map_err(|error| format!("cannot protect {}: {error}", place.path.display()))?;
        held.push(Held {
            path: place.path.clone(),
            kind: place.kind,
            lock,
        });
    }
    Ok(())
}

fn hold_one(place: &Placeholder) -> io::Result<File> {
    for _ in 0..ATTEMPTS {
        let made = match place.kind {
            PlaceholderKind::Folder => fs::create_dir(&place.path),
            PlaceholderKind::File => File::create_new(&place.path).map(drop),
        };
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let lock = match File::open(&place.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        lock.lock_shared()?;
        if is_at(&lock, &place.path) {
            return Ok(lock);
        }
    }
    Err(io::Error::other("it is removed again and again"))
}

/// Whether a path still leads to this file.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(here), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (here.dev(), here.ino()) == (there.dev(), there.ino())
}

/// Lets placeholders go, and removes each that nobody else holds and that is still empty.
pub(crate) fn release(held: &mut Vec<Held>) {
    for place in held.drain(..).rev() {
        if place.lock.unlock().is_err() {
            continue;
        }
        match place.lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => continue,
        }
        let _ = match place.kind {
            PlaceholderKind::Folder => fs::remove_dir(&place.path),
            PlaceholderKind::File => match place.lock.metadata() {
                Ok(data) if data.len() == 0 => fs::remove_file(&place.path),
                _ => Ok(()),
            },
        };
    }
}
