//! Noticing that what is mounted over something to protect it is gone, while commands run. A mount
//! vanishes when the person replaces its place from outside, as git does with `config` at every
//! change; what runs then could write what came there, or read it.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::linux::sys::files;
use crate::linux::sys::watch::{Change, Watch};

/// What a command may not have brought about, or what was opened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Breach {
    /// A trap was sprung.
    Trap,
    /// This was replaced from outside.
    Replaced(PathBuf),
    /// It was, and then written, perhaps by a command.
    Written(PathBuf),
}

/// Something that is mounted over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Guarded {
    pub(crate) path: PathBuf,
    /// Whether commands could write it otherwise.
    pub(crate) writable: bool,
}

/// What is mounted over, as a command's supervisor sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mounted(Vec<Spot>);

#[derive(Clone, Debug)]
struct Spot {
    guarded: Guarded,
    identity: Option<(u64, u64)>,
}

/// The folders of what is mounted over, as a watch knows them.
pub(crate) struct Places(Vec<(i32, usize)>);

impl Mounted {
    /// Looks at what was mounted just now.
    pub(crate) fn survey(guarded: Vec<Guarded>) -> Self {
        let spots = guarded.into_iter().map(|guarded| Spot {
            identity: identity(&guarded.path),
            guarded,
        });
        Self(spots.collect())
    }

    /// The first that is gone.
    pub(crate) fn replaced(&self) -> Option<Breach> {
        let gone = self.0.iter().find(|spot| spot.is_gone())?;
        Some(Breach::Replaced(gone.guarded.path.clone()))
    }

    /// Watches their folders.
    pub(crate) fn watch(&self, watch: &Watch) -> Places {
        let place = |(number, spot): (usize, &Spot)| {
            let folder = files::open_straight(spot.guarded.path.parent()?).ok()?;
            Some((watch.add(folder.as_fd()).ok()?, number))
        };
        Places(self.0.iter().enumerate().filter_map(place).collect())
    }

    /// Which one these changes tell to be gone.
    pub(crate) fn lost(&self, places: &Places, changes: &[Change]) -> Option<Breach> {
        let mut named = changes.iter().flat_map(|change| self.named(places, change));
        let gone = named.find(|spot| spot.is_gone())?;
        Some(Breach::Replaced(gone.guarded.path.clone()))
    }

    /// Which one these changes tell to be written.
    pub(crate) fn written(&self, places: &Places, changes: &[Change]) -> Option<Breach> {
        let writes = changes.iter().filter(|change| change.is_write);
        let mut named = writes.flat_map(|change| self.named(places, change));
        let gone = named.find(|spot| spot.guarded.writable && spot.is_gone())?;
        Some(Breach::Written(gone.guarded.path.clone()))
    }

    fn named<'a>(
        &'a self,
        places: &'a Places,
        change: &'a Change,
    ) -> impl Iterator<Item = &'a Spot> {
        let here = places
            .0
            .iter()
            .filter(|(folder, _)| *folder == change.folder);
        let spots = here.filter_map(|(_, number)| self.0.get(*number));
        spots.filter(|spot| spot.guarded.path.file_name() == Some(OsStr::new(&change.name)))
    }
}

impl Spot {
    fn is_gone(&self) -> bool {
        identity(&self.guarded.path) != self.identity
    }
}

/// Device and inode.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let data = fs::symlink_metadata(path).ok()?;
    Some((data.dev(), data.ino()))
}
