//! What a cell shows of the disk, and how: a list of mounts. Looks at the disk but changes nothing.

use std::path::{Path, PathBuf};

use quire_protocol::{Policy, SandboxMode};
use serde::{Deserialize, Serialize};

use crate::linux::git;
use crate::linux::traps::Traps;

/// Something to mount over the read-only disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Mount {
    pub(crate) path: PathBuf,
    pub(crate) kind: MountKind,
}

/// How it is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum MountKind {
    /// The path itself, writable. A mount point cannot be renamed or removed.
    Writable,
    /// The path itself, read-only.
    ReadOnly,
    /// An empty folder that stays empty.
    Empty,
    /// A file that is always empty.
    Blank,
    /// A private folder that starts empty.
    Temp,
}

/// Something that is made on the disk only to be mounted over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Placeholder {
    pub(crate) path: PathBuf,
    pub(crate) kind: PlaceholderKind,
}

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum PlaceholderKind {
    Folder,
    File,
}

/// All that is needed to build a cell's view of the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// In the order in which they are mounted: what contains another comes first.
    pub(crate) mounts: Vec<Mount>,
    /// Made before, removed after.
    pub(crate) placeholders: Vec<Placeholder>,
    /// What is watched because no mount can prevent it.
    pub(crate) traps: Traps,
    /// Folders whose entries are guarded one by one.
    pub(crate) listed: Vec<PathBuf>,
    /// What is to be hidden and does not exist yet.
    pub(crate) missing: Vec<PathBuf>,
    /// Folders that commands may write, temporary ones aside.
    pub(crate) writable: Vec<PathBuf>,
    /// Folders above what is guarded, which are mount points only to stay where they are.
    pins: Vec<PathBuf>,
}

/// What a plan is made from.
pub(crate) struct Wishes<'a> {
    pub(crate) workspace: &'a Path,
    pub(crate) policy: &'a Policy,
    /// Quire's own folders.
    pub(crate) protected: &'a [PathBuf],
    /// Folders and files that hold secrets.
    pub(crate) hidden: &'a [PathBuf],
}

/// Folders that every cell has for itself.
const PRIVATE: [&str; 2] = ["/tmp", "/var/tmp"];

/// Folders in which the machine's services listen.
const SERVICES: [&str; 2] = ["/run", "/var/run"];

/// Makes the plan.
///
/// # Errors
/// In words, when something that must be protected cannot be.
pub(crate) fn plan(wishes: &Wishes<'_>) -> Result<Plan, String> {
    let mut plan = Plan::default();
    for path in PRIVATE {
        plan.add_existing_folder(Path::new(path), MountKind::Temp);
    }
    for path in SERVICES {
        plan.add_existing_folder(Path::new(path), MountKind::Empty);
    }
    if wishes.policy.sandbox == SandboxMode::WorkspaceWrite {
        plan.add(wishes.workspace, MountKind::Writable);
        plan.guard(wishes.workspace)?;
        for folder in &wishes.policy.writable {
            if let Ok(folder) = folder.canonicalize() {
                plan.add(&folder, MountKind::Writable);
                plan.guard_repository(&folder)?;
                plan.guard_below(&folder)?;
            }
        }
    } else {
        plan.add(wishes.workspace, MountKind::ReadOnly);
    }
    for path in wishes.protected.iter().chain(wishes.hidden) {
        if wishes.workspace == path {
            return Err(format!(
                "the workspace {} is a folder that commands may not see",
                path.display()
            ));
        }
        plan.hide(path);
    }
    plan.finish();
    Ok(plan)
}

impl Plan {
    fn add(&mut self, path: &Path, kind: MountKind) {
        let path = path.to_path_buf();
        if kind == MountKind::Writable && !self.writable.contains(&path) {
            self.writable.push(path.clone());
        }
        self.mounts.push(Mount { path, kind });
    }

    fn add_existing_folder(&mut self, path: &Path, kind: MountKind) {
        if is_folder(path) {
            self.add(path, kind);
        }
    }

    /// Hides a folder or a file, wherever its name leads.
    fn hide(&mut self, path: &Path) {
        let Ok(path) = path.canonicalize() else {
            self.missing.push(path.to_path_buf());
            return;
        };
        let kind = if path.is_dir() {
            MountKind::Empty
        } else {
            MountKind::Blank
        };
        self.add(&path, kind);
    }

    /// Protects what configures git and Quire in a writable workspace.
    fn guard(&mut self, workspace: &Path) -> Result<(), String> {
        self.guard_repository(workspace)?;
        self.open_common_folder(workspace);
        self.guard_below(workspace)?;
        let marker = workspace.join(".git");
        if is_vacant(&marker) {
            self.hold_place(marker, PlaceholderKind::Folder, MountKind::Empty);
            self.traps.watch_folder(workspace);
        }
        let own = workspace.join(".quire");
        match std::fs::symlink_metadata(&own) {
            _ if is_vacant(&own) => {
                self.hold_place(own, PlaceholderKind::Folder, MountKind::Empty);
            }
            Err(_) => {}
            Ok(data) if data.is_symlink() => return Err(symlink(&own)),
            Ok(_) => self.add(&own, MountKind::ReadOnly),
        }
        Ok(())
    }

    /// Protects the repositories below a folder that commands may write.
    fn guard_below(&mut self, root: &Path) -> Result<(), String> {
        let git::Below {
            repositories,
            closed,
        } = git::look_below(root);
        for nested in repositories {
            let marker = nested.join(".git");
            // A command can make a link, which must not keep every later command from running.
            if marker.is_symlink() {
                continue;
            }
            // Else the folder could be renamed, and another put in its place.
            self.pin_above(root, &marker);
            self.guard_repository(&nested)?;
            if is_vacant(&marker) && git::is_bare(&nested) {
                // Git looks there first.
                self.hold_place(marker, PlaceholderKind::Folder, MountKind::Empty);
            }
        }
        // What they hide could be changed once a command opened them again.
        for folder in closed {
            self.pin_above(root, &folder);
            self.add(&folder, MountKind::ReadOnly);
        }
        Ok(())
    }

    fn guard_repository(&mut self, folder: &Path) -> Result<(), String> {
        let marker = folder.join(".git");
        if is_vacant(&marker) && git::is_bare(folder) {
            self.guard_git_folder(folder);
            return Ok(());
        }
        let Ok(data) = std::fs::symlink_metadata(&marker) else {
            return Ok(());
        };
        if data.is_symlink() {
            return Err(symlink(&marker));
        }
        if is_vacant(&marker) {
            return Ok(());
        }
        self.traps.watch_folder(folder);
        if let Some(git_folder) = git::own_git_folder(&marker) {
            self.traps.watch_index(folder, &git_folder);
        }
        if data.is_dir() {
            self.guard_git_folder(&marker);
        } else {
            self.add(&marker, MountKind::ReadOnly);
            // A git folder that lies where commands may write.
            if let Some(target) = git::git_folder_of(&marker)
                && let Some(root) = self.writable_root_of(&target)
            {
                self.pin_above(&root, &target);
                self.guard_git_folder(&target);
            }
        }
        Ok(())
    }

    /// Lets commands commit in a workspace that is a linked worktree of a repository elsewhere. Only
    /// the workspace's own `.git` file is believed, for commands cannot have written it, and only if
    /// they cannot have written what it leads to either.
    fn open_common_folder(&mut self, workspace: &Path) {
        if let Some(common) = git::common_folder_of_worktree(&workspace.join(".git"))
            && self.writable_root_of(&common).is_none()
            && !workspace.starts_with(&common)
        {
            self.guard_git_folder(&common);
        }
    }

    fn writable_root_of(&self, path: &Path) -> Option<PathBuf> {
        let mut roots = self.writable.iter();
        roots.find(|folder| path.starts_with(folder)).cloned()
    }

    /// Makes a `.git` folder writable but for what git runs or obeys.
    fn guard_git_folder(&mut self, folder: &Path) {
        let guards = git::guards(folder);
        if guards.whole {
            self.add(folder, MountKind::ReadOnly);
            return;
        }
        self.add(folder, MountKind::Writable);
        self.listed.extend(guards.listed);
        for path in guards.present {
            self.pin_above(folder, &path);
            self.add(&path, MountKind::ReadOnly);
        }
        for path in guards.missing_folders {
            self.pin_above(folder, &path);
            self.hold_place(path, PlaceholderKind::Folder, MountKind::Empty);
        }
        for path in guards.missing_files {
            self.pin_above(folder, &path);
            self.hold_place(path, PlaceholderKind::File, MountKind::ReadOnly);
        }
        for path in guards.modules {
            self.add(&path, MountKind::Writable);
        }
        for folder in guards.git_folders {
            self.traps.watch_git_folder(&folder);
        }
    }

    /// Makes every folder between `folder` and a guarded path a mount point of its own: what is
    /// only above a mount point could be renamed, and another put in its place.
    fn pin_above(&mut self, folder: &Path, guarded: &Path) {
        let between = guarded.ancestors().skip(1);
        for path in between.take_while(|path| *path != folder && path.starts_with(folder)) {
            if is_folder(path) && !self.pins.iter().any(|pin| pin == path) {
                self.pins.push(path.to_path_buf());
            }
        }
    }

    fn hold_place(&mut self, path: PathBuf, place: PlaceholderKind, mount: MountKind) {
        self.add(&path, mount);
        self.placeholders.push(Placeholder { path, kind: place });
    }

    /// Orders the mounts. Of two at one path the stricter, which came later, stays.
    fn finish(&mut self) {
        self.mounts.reverse();
        let mut seen = std::collections::HashSet::new();
        self.mounts.retain(|mount| seen.insert(mount.path.clone()));
        self.mounts.reverse();
        let depth = |path: &Path| path.components().count();
        self.mounts.sort_by_key(|mount| depth(&mount.path));
        let pins = std::mem::take(&mut self.pins);
        for path in pins.into_iter().filter(|path| !seen.contains(path)) {
            // What is read-only cannot be renamed anyway.
            let above = self.mounts.iter().rfind(|it| path.starts_with(&it.path));
            if above.is_some_and(|it| it.kind == MountKind::Writable) {
                let kind = MountKind::Writable;
                self.mounts.push(Mount { path, kind });
            }
        }
        self.mounts.sort_by_key(|mount| depth(&mount.path));
    }
}

fn symlink(path: &Path) -> String {
    format!(
        "{} is a symbolic link, so it cannot be protected; put the folder itself there",
        path.display()
    )
}

/// Whether nothing is there, or something empty: perhaps another cell's placeholder.
pub(crate) fn is_vacant(path: &Path) -> bool {
    match std::fs::symlink_metadata(path) {
        Err(_) => true,
        Ok(data) if data.is_dir() => is_empty(path),
        Ok(data) => data.is_file() && data.len() == 0,
    }
}

/// Whether a folder has nothing in it, or is gone: another cell may take its placeholder away at any moment.
fn is_empty(folder: &Path) -> bool {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Whether this is a folder itself, not a link to one.
pub(crate) fn is_folder(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|data| data.is_dir())
}

/// Splits the disk along `without`: the fewest paths that together hold everything under `root`
/// but those. Landlock can only grant, never take away; so what is not to be granted is left out.
pub(crate) fn everything_but(root: &Path, without: &[PathBuf]) -> Vec<PathBuf> {
    if without.iter().any(|path| root.starts_with(path)) {
        return Vec::new();
    }
    if !without.iter().any(|path| path.starts_with(root)) {
        return vec![root.to_path_buf()];
    }
    let Ok(entries) = std::fs::read_dir(root) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| !path.is_symlink())
        .flat_map(|path| everything_but(path, without))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_goes_while_it_is_looked_at_is_vacant() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("modules");
        // Its metadata were read before, and its entries are not there any more.
        assert!(is_empty(&folder));
        std::fs::create_dir(&folder).unwrap();
        assert!(is_empty(&folder) && is_vacant(&folder));
        std::fs::write(folder.join("file"), "x").unwrap();
        assert!(!is_empty(&folder) && !is_vacant(&folder));
    }
}
