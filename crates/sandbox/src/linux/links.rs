//! Symbolic links in a git folder through which the person's git would write: it follows one that is
//! called `COMMIT_EDITMSG`, or lies in `logs`, to any file of the person's, and what it writes there
//! is partly what a commit says that a command made.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::linux::sys::files;

/// Folders in a git folder in which git writes files by their names, at any depth.
const FOLDERS: [&str; 6] = [
    "logs",
    "rebase-apply",
    "rebase-merge",
    "refs",
    "sequencer",
    "worktrees",
];

/// Files in a git folder that git replaces where a link leads; with them those in capitals.
const FILES: [&str; 5] = ["gc.log", "gc.pid", "index", "packed-refs", "shallow"];

/// How far is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// At the git folder's own entries.
    Top,
    /// Also at what lies in its folders.
    All,
}

/// The links of one git folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Links {
    folder: PathBuf,
    /// Those to folders that were there before, which a person has for want of space.
    own: Vec<PathBuf>,
}

impl Links {
    /// Watches a git folder.
    pub(crate) fn of(folder: &Path) -> Self {
        let is_folder = |name: &PathBuf| folder.join(name).is_dir();
        let handle = files::open_straight(folder);
        let found = handle.map(|handle| find(&handle, Reach::Top));
        let own = found.unwrap_or_default().into_iter().filter(is_folder);
        Self {
            folder: folder.to_path_buf(),
            own: own.collect(),
        }
    }

    /// Whether a command made one.
    pub(crate) fn are_there(&self, reach: Reach) -> bool {
        files::open_straight(&self.folder).is_ok_and(|handle| !self.made(&handle, reach).is_empty())
    }

    /// Removes those that commands made, and says so, a line each.
    pub(crate) fn remove(&self, reach: Reach) -> Vec<String> {
        let Ok(handle) = files::open_straight(&self.folder) else {
            return Vec::new();
        };
        let made = self.made(&handle, reach).into_iter();
        made.map(|name| {
            let path = self.folder.join(&name);
            let to = fs::read_link(&path).unwrap_or_default();
            let (path, to) = (path.display(), to.display());
            let done = match files::remove(handle.as_fd(), &name) {
                Ok(()) => "it was removed".to_owned(),
                Err(error) => format!("it cannot be removed: {error}. Do so before you use git"),
            };
            format!("[quire: {path} led git to write to {to}; {done}]\n")
        })
        .collect()
    }

    fn made(&self, handle: &OwnedFd, reach: Reach) -> Vec<PathBuf> {
        let mut found = find(handle, reach);
        found.retain(|name| !self.own.contains(name));
        found
    }
}

/// Whether git writes to a file of this name in a git folder, or in a folder of this name.
pub(crate) fn is_written(name: &OsStr) -> bool {
    let capital = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    let known = FOLDERS.iter().chain(&FILES);
    name.as_bytes().iter().all(capital) || known.into_iter().any(|known| name == *known)
}

/// The links in a git folder that git would write through.
fn find(folder: &OwnedFd, reach: Reach) -> Vec<PathBuf> {
    let root = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    let mut found = Vec::new();
    let mut due = Vec::new();
    for (name, kind) in entries(&root).filter(|(name, _)| is_written(name)) {
        if kind.is_symlink() {
            found.push(PathBuf::from(name));
        } else if kind.is_dir() && reach == Reach::All {
            due.push(PathBuf::from(name));
        }
    }
    while let Some(parent) = due.pop() {
        for (name, kind) in entries(&root.join(&parent)) {
            let name = parent.join(name);
            if kind.is_symlink() {
                found.push(name);
            } else if kind.is_dir() {
                due.push(name);
            }
        }
    }
    found.retain(|name| !is_reference(&root.join(name)));
    found
}

fn entries(folder: &Path) -> impl Iterator<Item = (OsString, fs::FileType)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name(), entry.file_type().ok()?)))
}

/// Whether a link is what git once wrote to name a branch; it is read, not followed.
fn is_reference(link: &Path) -> bool {
    fs::read_link(link).is_ok_and(|to| {
        let mut parts = to.components();
        parts.next() == Some(Component::Normal("refs".as_ref()))
            && parts.all(|part| matches!(part, Component::Normal(_)))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_that_git_writes_through_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a path");
        for name in ["logs/refs/heads", "refs/heads", "info", "big"] {
            fs::create_dir_all(root.join(name)).expect("folders");
        }
        symlink(root.join("big"), root.join("rebase-merge")).expect("a link");
        let links = Links::of(&root);
        assert!(!links.are_there(Reach::All), "the person's own");
        for (name, to) in [
            ("HEAD", "refs/heads/main"),
            ("lfs", "/elsewhere"),
            ("info/exclude", "/elsewhere"),
        ] {
            symlink(to, root.join(name)).expect("a link");
        }
        assert!(!links.are_there(Reach::All), "harmless");
        for (name, to, at_top) in [
            ("COMMIT_EDITMSG", "/elsewhere", true),
            ("packed-refs", "../elsewhere", true),
            ("FETCH_HEAD", "refs/../../elsewhere", true),
            ("logs/HEAD", "../../elsewhere", false),
            ("logs/refs/heads/a", "/elsewhere", false),
            ("refs/heads/b", "/elsewhere", false),
        ] {
            symlink(to, root.join(name)).expect("a link");
            assert!(links.are_there(Reach::All), "{name}");
            assert_eq!(links.are_there(Reach::Top), at_top, "{name}");
            let told = links.remove(Reach::All);
            assert!(told.len() == 1 && told[0].contains(to), "{told:?}");
            assert!(!root.join(name).is_symlink(), "{name}");
        }
        assert!(root.join("HEAD").is_symlink() && root.join("lfs").is_symlink());
    }
}
