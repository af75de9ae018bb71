//! Being told at once of what commands may not bring about, and of what is not kept from them any
//! more. Whoever acts between two looks is noticed too.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::linux::links::{self, Reach};
use crate::linux::mounted::{Breach, Mounted, Places};
use crate::linux::sys::files;
use crate::linux::sys::watch::{Change, Watch};
use crate::linux::traps::{self, Traps};

/// The folders of traps and of mounts, watched.
pub(crate) struct Watching<'a> {
    traps: &'a Traps,
    mounted: &'a Mounted,
    watch: Watch,
    /// Those in which a `commondir` springs a trap.
    git_folders: Vec<i32>,
    folders: Vec<Folder<'a>>,
    places: Places,
}

/// One that may not become a bare repository.
struct Folder<'a> {
    path: &'a Path,
    itself: i32,
    /// Its `.git`.
    marker: Option<i32>,
}

impl AsFd for Watching<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

impl<'a> Watching<'a> {
    /// Begins; none where the system gives no more of those, and then only looking helps.
    pub(crate) fn begin(traps: &'a Traps, mounted: &'a Mounted) -> Option<Self> {
        let watch = Watch::new().ok()?;
        let add = |handle: OwnedFd| watch.add(handle.as_fd()).ok();
        let open = |folder: &PathBuf| files::open_straight(folder).ok();
        let git_folders = traps.git_folders().iter().filter_map(open).filter_map(add);
        let git_folders = git_folders.collect();
        let folder = |path: &'a PathBuf| {
            let handle = open(path)?;
            let marker = files::open_straight_at(handle.as_fd(), Path::new(".git"));
            Some(Folder {
                path,
                itself: add(handle)?,
                marker: marker.ok().and_then(add),
            })
        };
        let folders = traps.folders().iter().filter_map(folder).collect();
        let places = mounted.watch(&watch);
        Some(Self {
            traps,
            mounted,
            watch,
            git_folders,
            folders,
            places,
        })
    }

    /// What changed since the last time and may not have, perhaps only for a moment.
    pub(crate) fn breach(&self) -> Option<Breach> {
        let changes = self.watch.changes();
        let lost = || {
            let written = self.mounted.written(&self.places, &changes);
            written.or_else(|| self.mounted.lost(&self.places, &changes))
        };
        if self.redirected(&changes) || self.was_bare(&changes) || self.is_sprung(&changes) {
            return Some(Breach::Trap);
        }
        lost()
    }

    /// What a breach turns out to be when nothing runs any more that may have used it.
    pub(crate) fn outcome(&self, breach: Breach) -> Breach {
        let written = self.mounted.written(&self.places, &self.watch.changes());
        written.unwrap_or(breach)
    }

    fn redirected(&self, changes: &[Change]) -> bool {
        let mut changes = changes.iter();
        changes.any(|it| it.name == "commondir" && self.git_folders.contains(&it.folder))
    }

    fn was_bare(&self, changes: &[Change]) -> bool {
        self.folders.iter().any(|folder| {
            let names = |place: Option<i32>| {
                let here = move |change: &&Change| Some(change.folder) == place;
                changes.iter().filter(here)
            };
            let made: Vec<&str> = names(Some(folder.itself))
                .map(|change| change.name.as_str())
                .collect();
            let mut within = names(folder.marker);
            // Git replaces its `HEAD` by a rename, and the folders never.
            let broke = within.any(|change| match change.name.as_str() {
                "HEAD" => !change.comes,
                name => ["objects", "refs"].contains(&name),
            });
            (broke || !made.is_empty()) && traps::was_bare(folder.path, &made, broke)
        })
    }

    fn is_sprung(&self, changes: &[Change]) -> bool {
        let may_spring = |change: &Change| {
            let parts = ["HEAD.lock", "objects", "commondir"];
            // Too much happened to be told.
            change.name.is_empty()
                || (!change.is_write && parts.contains(&change.name.as_str()))
                || (!change.is_write && links::is_written(change.name.as_ref()))
        };
        changes.iter().any(may_spring) && self.traps.are_sprung(Reach::Top)
    }
}
