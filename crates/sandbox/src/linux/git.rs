//! What git runs or obeys in a repository, and therefore no command may change.
//!
//! Commands may commit: objects, refs and the index stay writable. They may not change hooks or
//! configuration, because the person's own git would run those later, outside the sandbox. A
//! repository that a command makes somewhere in the workspace by itself is that command's own
//! data, as a script is: this module cannot tell it from one that the person wants.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::linux::plan::{is_folder, is_vacant};
use crate::linux::sys::{files, process};

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
    for module in modules(&folder.join("modules"), DEPTH) {
        guards.look_at(&module);
        guards.modules.push(module);
    }
    guards
}

impl Guards {
    fn look_at(&mut self, folder: &Path) {
        self.git_folders.push(folder.to_path_buf());
        self.file(folder.join("config"), Absent::HoldPlace);
        self.file(folder.join("config.worktree"), Absent::HoldPlace);
        if is_folder(&folder.join("info")) {
            self.file(folder.join("info/attributes"), Absent::HoldPlace);
        }
        let worktrees = folder.join("worktrees");
        match subfolders(&worktrees) {
            Ok(found) => {
                for worktree in found {
                    self.worktree(worktree);
                }
            }
            // A command closed it, and could open it again.
            Err(Unlisted) => self.present.push(worktrees.clone()),
        }
        self.listed.extend([worktrees, folder.join("modules")]);
        // Old places of what `config` says of remotes; and a name that a command put among the
        // submodules would be taken for one that was fetched already.
        for name in ["hooks", "remotes", "branches", "modules"] {
            self.folder(folder.join(name));
        }
    }

    /// Commands may add worktrees, so one that is odd is no reason to close the whole git folder.
    fn worktree(&mut self, folder: PathBuf) {
        let names = ["commondir", "gitdir", "config.worktree"];
        let paths = names.map(|name| folder.join(name));
        let can_be_guarded = |path: &PathBuf| match std::fs::symlink_metadata(path) {
            Ok(data) => !data.is_symlink(),
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        if !paths.iter().all(can_be_guarded) {
            self.present.push(folder);
            return;
        }
        let [common, back, config] = paths;
        self.file(common, Absent::Ignore);
        self.file(back, Absent::Ignore);
        self.file(config, Absent::HoldPlace);
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
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                // A command closed its folder, and could open it again.
                match path.parent() {
                    Some(parent) if !self.git_folders.iter().any(|it| it == parent) => {
                        self.present.push(parent.to_path_buf());
                    }
                    _ => self.whole = true,
                }
            }
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
    // What cannot be listed is read-only as a whole.
    for path in subfolders(folder).unwrap_or_default() {
        if path.join("HEAD").exists() {
            found.extend(modules(&path.join("modules"), depth));
            found.push(path);
        } else if depth > 0 {
            found.extend(modules(&path, depth - 1));
        }
    }
    found
}

/// What a look below a folder found.
#[derive(Debug, Default)]
pub(crate) struct Below {
    /// Folders that are repositories or have a `.git` of their own.
    pub(crate) repositories: Vec<PathBuf>,
    /// Folders that cannot be looked into. Their owner closed them, and so may a command.
    pub(crate) closed: Vec<PathBuf>,
}

/// Looks for repositories below a folder. Best effort: it looks a few levels deep, not into folders
/// of dependencies and build products, and at the oldest folders first: a command can make any
/// number of new ones, but none that is old.
pub(crate) fn look_below(root: &Path) -> Below {
    let mut below = Below::default();
    let mut due = BinaryHeap::new();
    let enter = |due: &mut BinaryHeap<_>, folder: &Path, depth: usize| {
        let Ok(found) = subfolders(folder) else {
            return false;
        };
        let found = found.into_iter().map(|path| (born(&path), depth, path));
        due.extend(found.map(Reverse));
        true
    };
    enter(&mut due, root, 1);
    for _ in 0..FOLDERS {
        let Some(Reverse((_, depth, folder))) = due.pop() else {
            break;
        };
        let name = folder.file_name().unwrap_or_default();
        if name == ".git" {
            continue;
        }
        let is_repository = match folder.join(".git").symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                below.closed.extend(own(folder));
                continue;
            }
            Err(_) => is_bare(&folder),
            Ok(_) => true,
        };
        let skipped = ["node_modules", "target", ".venv"];
        let goes_on = depth < DEPTH && !skipped.iter().any(|skipped| name == *skipped);
        if goes_on && !enter(&mut due, &folder, depth + 1) {
            below.closed.extend(own(folder.clone()));
        }
        if is_repository {
            below.repositories.push(folder);
        }
    }
    below
}

/// A folder, if it is one's own: only then can a command open it.
fn own(folder: PathBuf) -> Option<PathBuf> {
    let owner = folder.symlink_metadata().ok()?.uid();
    (owner == process::identity().0).then_some(folder)
}

/// When a folder was made; long ago where the file system does not say.
fn born(folder: &Path) -> SystemTime {
    let data = folder.symlink_metadata();
    data.and_then(|data| data.created())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Whether a folder is a bare repository, perhaps one that a command broke: its `config` is kept
/// from commands, the rest is not.
pub(crate) fn is_bare(folder: &Path) -> bool {
    let config = folder.join("config");
    let says = |text: String| text.contains("[core]") && text.contains("bare");
    looks_whole(folder)
        || config.symlink_metadata().is_ok_and(|data| data.is_file())
            && read_small(&config).is_some_and(says)
}

/// Whether a folder has what git looks for in its own.
fn looks_whole(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).symlink_metadata().is_ok();
    has("HEAD") && has("objects") && has("refs")
}

/// That a folder's entries cannot be read, though it is there.
#[derive(Debug)]
struct Unlisted;

/// The folders in a folder; none where there is nothing, or a link.
fn subfolders(folder: &Path) -> Result<Vec<PathBuf>, Unlisted> {
    if !is_folder(folder) {
        return Ok(Vec::new());
    }
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(Unlisted),
        entries => entries.into_iter().flatten().flatten(),
    };
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(folders.map(|entry| entry.path()).collect())
}

/// The git folder that a `.git` file leads to. Of a linked worktree, which has a `commondir`, it is
/// only a part of one. `objects` says less than `config`, which commands cannot take away.
pub(crate) fn git_folder_of(marker: &Path) -> Option<PathBuf> {
    let has = |target: &Path, name: &str| target.join(name).symlink_metadata().is_ok();
    target_of(marker).filter(|target| {
        !has(target, "commondir") && (has(target, "config") || has(target, "objects"))
    })
}

/// Where git looks for the index of the folder that has this `.git`.
pub(crate) fn own_git_folder(marker: &Path) -> Option<PathBuf> {
    if is_folder(marker) {
        return Some(marker.to_path_buf());
    }
    target_of(marker)
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
    (knows && looks_whole(&common)).then_some(common)
}

/// The start of a regular file; nothing of a pipe, which a command may have put there.
fn read_small(path: &Path) -> Option<String> {
    const MOST: u64 = 1 << 20;
    let folder = files::open_straight(&path.parent()?.canonicalize().ok()?).ok()?;
    let name = path.file_name()?.to_str()?;
    let bytes = files::read_start(folder.as_fd(), name, MOST).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
