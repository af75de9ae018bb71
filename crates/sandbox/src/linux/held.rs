//! Placeholders: what is made on the disk only to be mounted over, shared by all cells of one
//! workspace, also those of other processes. Removing one would undo the protection of every cell
//! that mounted something over it, so each cell holds a shared lock on it, and only the last one
//! removes it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::linux::plan::{Placeholder, PlaceholderKind};
use crate::linux::sys::{channel, files};

/// How often another process may remove a placeholder, or keep it locked, while it is being locked.
const ATTEMPTS: usize = 100;

/// How long is waited each time that it is locked, in milliseconds.
const PAUSE_MS: i32 = 10;

/// A placeholder that is kept in place.
pub(crate) struct Held {
    spot: Spot,
    kind: PlaceholderKind,
    lock: File,
}

/// Where a placeholder is: a name in a folder that is held open, so that nobody can put another
/// folder in its place.
struct Spot {
    folder: OwnedFd,
    name: String,
}

impl Spot {
    fn of(path: &Path) -> io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        };
        let name = name.to_str().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let folder = files::open_straight(parent)?;
        Ok(Self { folder, name })
    }

    /// A path to it that nothing can bend.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!(
            "/proc/self/fd/{}/{}",
            self.folder.as_raw_fd(),
            self.name
        ))
    }
}

/// Makes and locks placeholders.
///
/// # Errors
/// In words, when one cannot be made; those before it are in `held` then.
pub(crate) fn hold(wanted: &[Placeholder], held: &mut Vec<Held>) -> Result<(), String> {
    for place in wanted {
        let one = hold_one(place)
            .map_err(|error| format!("cannot protect {}: {error}", place.path.display()))?;
        held.push(one);
    }
    Ok(())
}

fn hold_one(place: &Placeholder) -> io::Result<Held> {
    let spot = Spot::of(&place.path)?;
    for _ in 0..ATTEMPTS {
        let path = spot.path();
        let made = match place.kind {
            PlaceholderKind::Folder => fs::create_dir(&path),
            PlaceholderKind::File => File::create_new(&path).map(drop),
        };
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let mut options = File::options();
        options
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let lock = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        match lock.try_lock_shared() {
            Ok(()) if is_at(&lock, &spot) => {
                let kind = place.kind;
                return Ok(Held { spot, kind, lock });
            }
            // Another spawner is about to remove it, for a moment; anyone else may keep it so.
            Err(TryLockError::WouldBlock) => {
                let _ = channel::poll(&[], PAUSE_MS);
            }
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
    }
    Err(io::Error::other(
        "another process keeps it locked, or removes it again and again",
    ))
}

/// Whether a placeholder is still this file.
fn is_at(file: &File, spot: &Spot) -> bool {
    let (Ok(here), Some(there)) = (
        file.metadata(),
        files::find(spot.folder.as_fd(), &spot.name),
    ) else {
        return false;
    };
    (here.dev(), here.ino()) == there.identity
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
        if !is_at(&place.lock, &place.spot) {
            continue;
        }
        let path = place.spot.path();
        let _ = match place.kind {
            PlaceholderKind::Folder => fs::remove_dir(&path),
            PlaceholderKind::File => match place.lock.metadata() {
                Ok(data) if data.len() == 0 => fs::remove_file(&path),
                _ => Ok(()),
            },
        };
    }
}
