//! What git runs or obeys in a repository, and therefore no command may change.
//!
//! Commands may commit: objects, refs and the index stay writable. They may not change hooks or
//! configuration, because the person's own git would run those later, outside the sandbox. A
//! repository that a command makes somewhere in the workspace by itself is that command's own
//! data, as a script is: this module cannot tell it from one that the person wants.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use crate::linux::plan::is_vacant;
use crate::linux::sys::files;

/// How deep below a workspace other repositories are looked for.
const DEPTH: usize = 3;

/// How many folders are looked at for that.
const FOLDERS: usize = 2000;

/// What to protect in a `.git` folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Guards {
    /// The folder cannot be protected in part: all of it must be.
    pub(crate) whole: bool,
    /// Paths that exist.
    pub(crate) present: Vec<PathBuf>,
    /// Folders that do not exist; an empty one changes nothing.
    pub(crate) missing_folders: Vec<PathBuf>,
    /// Files that do not exist; an empty one changes nothing.
    pub(crate) missing_files: Vec<PathBuf>,
    /// The git folders of submodules; their own folder is read-only.
    pub(crate) modules: Vec<PathBuf>,
    /// Folders whose entries are guarded one by one: a new entry calls for a new look.
    pub(crate) listed: Vec<PathBuf>,
    /// The git folders themselves, submodules' included; linked worktrees' are not among them.
    pub(crate) git_folders: Vec<PathBuf>,
}

/// What to protect in this `.git` folder, those of submodules and linked worktrees
/// included.
pub(crate) fn guards(folder: &Path) -> Guards {
    let mut guards = Guards::default();
    guards.look_at(folder);
    let all = folder.join("modules");
    for module in modules(&all, DEPTH) {
        guards.look_at(&module);
        guards.modules.push(module);
    }
    // A name that a command put there would be taken for a submodule that was fetched already.
    guards.folder(all);
    guards
}

impl Guards {
    fn look_at(&mut self, folder: &Path) {
        self.file(folder.join("config"), Absent::Ignore);
        self.file(folder.join("config.worktree"), Absent::HoldPlace);
        let attributes = if folder.join("info").is_dir() {
            Absent::HoldPlace
        } else {
            Absent::Ignore
        };
        self.file(folder.join("info/attributes"), attributes);
        let worktrees = folder.join("worktrees");
        for worktree in subfolders(&worktrees) {
            self.file(worktree.join("commondir"), Absent::Ignore);
            self.file(worktree.join("gitdir"), Absent::Ignore);
            self.file(worktree.join("config.worktree"), Absent::HoldPlace);
        }
        self.listed.extend([worktrees, folder.join("modules")]);
        self.git_folders.push(folder.to_path_buf());
        self.folder(folder.join("hooks"));
        // Old places of what `config` says of remotes.
        for name in ["remotes", "branches"] {
            self.folder(folder.join(name));
        }
    }

    fn folder(&mut self, path: PathBuf) {
        match std::fs::symlink_metadata(&path) {
            _ if is_vacant(&path) => self.missing_folders.push(path),
            Err(_) => {}
            Ok(data) if data.is_symlink() => self.whole = true,
            Ok(_) => self.present.push(path),
        }
    }

    fn file(&mut self, path: PathBuf, absent: Absent) {
        match std::fs::symlink_metadata(&path) {
            Ok(data) if data.is_symlink() => self.whole = true,
            Ok(_) if absent == Absent::HoldPlace && is_vacant(&path) => {
                self.missing_files.push(path);
            }
            Ok(_) => self.present.push(path),
            Err(_) => match absent {
                Absent::Ignore => {}
                Absent::HoldPlace => self.missing_files.push(path),
            },
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    Ignore,
    HoldPlace,
}

/// The git folders of submodules below `folder`; their names may have several parts.
fn modules(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in subfolders(folder) {
        if path.join("HEAD").exists() {
            found.extend(modules(&path.join("modules"), depth));
            found.push(path);
        } else if depth > 0 {
            found.extend(modules(&path, depth - 1));
        }
    }
    found
}

/// Folders below the workspace that have a `.git` of their own. Best effort: it looks a few
/// levels deep and not into folders of dependencies and build products.
pub(crate) fn nested_repositories(workspace: &Path) -> Vec<PathBuf> {
    let mut level = vec![workspace.to_path_buf()];
    let mut found = Vec::new();
    let mut seen = 0;
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for folder in level.iter().flat_map(|folder| subfolders(folder)) {
            seen += 1;
            if seen > FOLDERS {
                return found;
            }
            if folder.join(".git").symlink_metadata().is_ok() || is_bare(&folder) {
                found.push(folder.clone());
            }
            let name = folder.file_name().unwrap_or_default();
            if !["node_modules", "target", ".git", ".venv"]
                .iter()
                .any(|skipped| name == *skipped)
            {
                next.push(folder);
            }
        }
        level = next;
    }
    found
}

/// Whether a folder is a bare repository.
pub(crate) fn is_bare(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).symlink_metadata().is_ok();
    has("HEAD") && has("objects") && has("refs")
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// The git folder that a `.git` file leads to; of a linked worktree it is only a part of one.
pub(crate) fn git_folder_of(marker: &Path) -> Option<PathBuf> {
    target_of(marker).filter(|target| target.join("objects").is_dir())
}

/// What a `.git` file leads to.
fn target_of(marker: &Path) -> Option<PathBuf> {
    let text = read_small(marker)?;
    let target = Path::new(text.strip_prefix("gitdir:")?.trim());
    marker.parent()?.join(target).canonicalize().ok()
}

/// The shared git folder of a linked worktree whose `.git` file is `marker`; only when that folder
/// knows the worktree too and is a git folder, so that a forged file gains nothing.
pub(crate) fn common_folder_of_worktree(marker: &Path) -> Option<PathBuf> {
    let folder = target_of(marker)?;
    let back = read_small(&folder.join("gitdir"))?;
    if Path::new(back.trim()).canonicalize().ok()? != marker.canonicalize().ok()? {
        return None;
    }
    let common = read_small(&folder.join("commondir"))?;
    let common = folder.join(common.trim()).canonicalize().ok()?;
    let knows = folder.parent() == Some(&common.join("worktrees"));
    (knows && is_bare(&common)).then_some(common)
}

/// The start of a regular file; nothing of a pipe, which a command may have put there.
fn read_small(path: &Path) -> Option<String> {
    const MOST: u64 = 1 << 20;
    let folder = files::open_straight(&path.parent()?.canonicalize().ok()?).ok()?;
    let name = path.file_name()?.to_str()?;
    let bytes = files::read_start(folder.as_fd(), name, MOST).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
