//! Noticing that the person changed what a cell protects. A mount vanishes when its mount point is
//! replaced or removed from outside, as git does with its configuration at every change; commands
//! that are started after that need a new cell.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::linux::plan::{Mount, MountKind, is_vacant};

/// Where a cell's mounts lie, as they were found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Landmarks(Vec<Landmark>);

#[derive(Clone, Debug)]
struct Landmark {
    path: PathBuf,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// A folder, if any, with entries of these names.
    Holds(Vec<OsString>),
    /// Nothing at all.
    Missing,
    /// Nothing, or an empty folder.
    Vacant,
    /// This file or folder of this file system.
    Is { device: u64, inode: u64 },
}

impl Landmarks {
    /// Looks at everything that will be mounted over for protection, and notes what is `missing`
    /// and would have been, and the entries of what is `listed`.
    pub(crate) fn survey(mounts: &[Mount], missing: &[PathBuf], listed: &[PathBuf]) -> Self {
        let lasting = mounts.iter().filter(|mount| mount.kind != MountKind::Temp);
        let landmarks = lasting.map(|mount| Landmark {
            path: mount.path.clone(),
            state: State::of(mount),
        });
        let missing = missing.iter().map(|path| Landmark {
            path: path.clone(),
            state: State::Missing,
        });
        let listed = listed.iter().map(|path| Landmark {
            path: path.clone(),
            state: State::Holds(entries(path)),
        });
        Self(landmarks.chain(missing).chain(listed).collect())
    }

    /// Whether everything is still as it was.
    pub(crate) fn stand(&self) -> bool {
        self.0.iter().all(Landmark::stands)
    }
}

impl State {
    fn of(mount: &Mount) -> Self {
        if mount.kind == MountKind::Empty && is_vacant(&mount.path) {
            return Self::Vacant;
        }
        fs::symlink_metadata(&mount.path).map_or(Self::Vacant, |data| Self::Is {
            device: data.dev(),
            inode: data.ino(),
        })
    }
}

impl Landmark {
    fn stands(&self) -> bool {
        match &self.state {
            State::Holds(names) => entries(&self.path) == *names,
            State::Missing => self.path.canonicalize().is_err(),
            State::Vacant => is_vacant(&self.path),
            State::Is { device, inode } => fs::symlink_metadata(&self.path)
                .is_ok_and(|data| (data.dev(), data.ino()) == (*device, *inode)),
        }
    }
}

/// The names in a folder, sorted; none where there is no folder.
fn entries(folder: &Path) -> Vec<OsString> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<OsString> = found.map(|entry| entry.file_name()).collect();
    names.sort();
    names
}
