//! What a command may not bring about in a repository although no mount can prevent it: that the
//! person's git obeys a configuration that a command wrote. It is looked for while commands run and
//! after each; who brings it about is killed, and what was made is set aside and told.
//!
//! Commands may change every folder on the way at any moment, so nothing here follows a link.

use std::ffi::OsStr;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::linux::git;
use crate::linux::links::{Links, Reach};
use crate::linux::plan::is_vacant;
use crate::linux::submodules::Submodules;
use crate::linux::sys::files;

/// The traps of one cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traps {
    /// Git folders that may have no `commondir`: where git finds one, it takes the configuration
    /// from where that points.
    git_folders: Vec<PathBuf>,
    /// Folders that may not become bare repositories.
    folders: Vec<PathBuf>,
    /// Links in git folders that may not come to be.
    links: Vec<Links>,
    /// Submodules that may not come to be.
    submodules: Vec<Submodules>,
}

/// Something that a command brought about, in this folder and by this name.
struct Sprung {
    folder: PathBuf,
    handle: OwnedFd,
    name: &'static str,
    effect: &'static str,
}

impl Traps {
    /// Watches that a git folder gets no `commondir`. Only those of linked worktrees have one.
    pub(crate) fn watch_git_folder(&mut self, folder: &Path) {
        self.git_folders.push(folder.to_path_buf());
        self.links.push(Links::of(folder));
    }

    /// Watches that a folder's index names no submodule that a command made.
    pub(crate) fn watch_index(&mut self, folder: &Path, git_folder: &Path) {
        self.submodules.push(Submodules::of(folder, git_folder));
    }

    /// Watches that a folder does not become a bare repository, which it is to git when it looks
    /// like one and its `.git` is broken. One that is bare and has none is the person's own.
    pub(crate) fn watch_folder(&mut self, folder: &Path) {
        let bare = files::open_straight(folder).is_ok_and(|handle| looks_bare(handle.as_fd()));
        if !((bare || git::is_bare(folder)) && is_vacant(&folder.join(".git"))) {
            self.folders.push(folder.to_path_buf());
        }
    }

    /// Those that may have no `commondir`.
    pub(crate) fn git_folders(&self) -> &[PathBuf] {
        &self.git_folders
    }

    /// Those that may not become bare repositories.
    pub(crate) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Whether a command brought something of it about.
    pub(crate) fn are_sprung(&self, reach: Reach) -> bool {
        self.closed().is_some()
            || self.sprung().next().is_some()
            || self.links.iter().any(|links| links.are_there(reach))
            || self
                .submodules
                .iter()
                .any(|them| !them.made(reach).is_empty())
    }

    /// Reads what takes long, so that copies of this process need not.
    pub(crate) fn read(&self) {
        self.submodules.iter().for_each(Submodules::read);
    }

    /// Whether a look at everything takes longer than a short command.
    pub(crate) fn are_many(&self) -> bool {
        self.submodules
            .iter()
            .map(Submodules::folders)
            .sum::<usize>()
            > MANY
    }

    /// Sets aside what commands brought about, and says so, a line each.
    pub(crate) fn disarm(&self, reach: Reach) -> Vec<String> {
        let mut told = Vec::new();
        // Commands may close folders meanwhile.
        for _ in 0..CLOSED {
            let Some((folder, handle)) = self.closed() else {
                break;
            };
            let folder = folder.display();
            if let Err(error) = allow_changes(&handle) {
                told.push(format!("[quire: {folder} is closed to you: {error}]\n"));
                break;
            }
            told.push(format!(
                "[quire: {folder} had been closed to you, and was opened again]\n"
            ));
        }
        told.extend(self.sprung().map(|sprung| sprung.disarm()));
        told.extend(self.links.iter().flat_map(|links| links.remove(reach)));
        let made = self.submodules.iter().flat_map(|them| them.made(reach));
        told.extend(made.map(|made| {
            let (path, effect) = (
                made.path.display(),
                "git would obey, for the index names its folder",
            );
            match rename_aside(&made.folder, ".git") {
                Ok(name) => format!("[quire: {path} {effect}; it was set aside as {name}]\n"),
                Err(error) => format!("[quire: {path} {effect}, and stays: {error}]\n"),
            }
        }));
        told
    }

    /// The first folder that cannot be entered any more, among those that are watched and those
    /// above them. Only its owner can have closed it, and only to hide something from a look.
    fn closed(&self) -> Option<(PathBuf, OwnedFd)> {
        let mut watched = self.git_folders.iter().chain(&self.folders);
        watched.find_map(|folder| closed_on_the_way(folder))
    }

    fn sprung(&self) -> impl Iterator<Item = Sprung> {
        let redirected = self.git_folders.iter().filter_map(|folder| {
            let handle = files::open_straight(folder).ok()?;
            let found = files::find(handle.as_fd(), "commondir").is_some();
            found.then(|| Sprung {
                folder: folder.clone(),
                handle,
                name: "commondir",
                effect: "makes git obey another folder's configuration",
            })
        });
        let bare = self.folders.iter().filter_map(|folder| {
            let handle = files::open_straight(folder).ok()?;
            // Git looks at the folder itself only where it finds nothing usable in `.git`.
            let bare = looks_bare(handle.as_fd()) && !leads_to_repository(handle.as_fd());
            bare.then(|| Sprung {
                folder: folder.clone(),
                handle,
                name: "HEAD",
                effect: "makes git take its folder for a repository and obey the `config` there",
            })
        });
        redirected.chain(bare)
    }
}

impl Sprung {
    fn disarm(&self) -> String {
        let path = self.folder.join(self.name);
        let (path, effect) = (path.display(), self.effect);
        match rename_aside(&self.handle, self.name) {
            Ok(name) => format!("[quire: {path} {effect}; it was set aside as {name}]\n"),
            Err(error) => format!(
                "[quire: {path} {effect}, and stays, for it cannot be renamed: {error}. Remove it \
                 before you use git there]\n"
            ),
        }
    }
}

/// Sets something aside that may not be obeyed any more.
pub(crate) fn set_aside(path: &Path) -> io::Result<String> {
    let name = path.file_name().and_then(OsStr::to_str);
    let (Some(folder), Some(name)) = (path.parent(), name) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    rename_aside(&files::open_straight(folder)?, name)
}

fn rename_aside(folder: &OwnedFd, name: &str) -> io::Result<String> {
    let number = RandomState::new().hash_one(name);
    let new = format!("{name}.set-aside-{number:016x}");
    let rename = || files::rename(folder.as_fd(), name, &new);
    rename().or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => allow_changes(folder).and_then(|()| rename()),
        _ => Err(error),
    })?;
    Ok(new)
}

/// The first folder on the way to this one, or this one, that may not be entered.
fn closed_on_the_way(folder: &Path) -> Option<(PathBuf, OwnedFd)> {
    let is_closed = |handle: &OwnedFd| files::find(handle.as_fd(), ".").is_none();
    match files::open_straight(folder) {
        Ok(handle) if is_closed(&handle) => return Some((folder.to_path_buf(), handle)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        _ => return None,
    }
    let ancestors: Vec<&Path> = folder.ancestors().collect();
    ancestors.into_iter().rev().find_map(|path| {
        let handle = files::open_straight(path).ok()?;
        is_closed(&handle).then(|| (path.to_path_buf(), handle))
    })
}

/// Gives the owner back what a command took from everybody.
fn allow_changes(folder: &OwnedFd) -> io::Result<()> {
    let path = format!("/proc/self/fd/{}", folder.as_raw_fd());
    let mode = fs::metadata(&path)?.permissions().mode();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o700))
}

/// Whether a folder was a bare repository to git, perhaps only for a moment: when these names were in
/// it, and perhaps while its `.git` was broken.
pub(crate) fn was_bare(folder: &Path, made: &[&str], broke: bool) -> bool {
    files::open_straight(folder).is_ok_and(|handle| {
        let handle = handle.as_fd();
        let has = |name: &str| made.contains(&name) || files::find(handle, name).is_some();
        is_laid_out(has) && (broke || !leads_to_repository(handle))
    })
}

/// Whether git could take the folder itself for a repository. Errs on the side of yes.
fn looks_bare(folder: BorrowedFd<'_>) -> bool {
    is_laid_out(|name| files::find(folder, name).is_some())
}

fn is_laid_out(has: impl Fn(&str) -> bool) -> bool {
    has("HEAD") && ((has("objects") && has("refs")) || has("commondir"))
}

/// Whether git finds a repository by the folder's `.git`. Errs on the side of no. A file is followed
/// or is an error to git; either way it looks no further.
fn leads_to_repository(folder: BorrowedFd<'_>) -> bool {
    let Some(found) = files::find(folder, ".git") else {
        return false;
    };
    if found.is_file() {
        return true;
    }
    let Ok(marker) = files::open_straight_at(folder, Path::new(".git")) else {
        return false;
    };
    let can_be_entered =
        |name| files::find(marker.as_fd(), name).is_some_and(files::Found::is_folder);
    can_be_entered("objects/.")
        && can_be_entered("refs/.")
        && files::read_start(marker.as_fd(), "HEAD", HEAD_BYTES)
            .is_ok_and(|head| names_commit(&head))
}

/// How many folders are looked at before the end of a command is told.
const MANY: usize = 500;

/// How many closed folders are opened at once.
const CLOSED: usize = 100;

/// How much git reads of a `HEAD`.
const HEAD_BYTES: u64 = 255;

/// Whether git takes this for a `HEAD`: it names a branch or begins with a hash.
fn names_commit(head: &[u8]) -> bool {
    if let Some(branch) = head.strip_prefix(b"ref:") {
        // Git's own idea of white space: it knows neither form feed nor vertical tab.
        let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let start = branch.iter().position(|byte| !space(byte));
        return start.is_some_and(|start| branch[start..].starts_with(b"refs/"));
    }
    head.len() >= 40 && head[..40].iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_that_git_takes() {
        let hash = "a0".repeat(20);
        for (text, expected) in [
            ("ref: refs/heads/main\n", true),
            ("ref:refs/heads/main", true),
            ("ref: \t\r\nrefs/heads/main", true),
            ("ref:\u{b}refs/heads/main\n", false),
            ("ref:\u{c}refs/heads/main\n", false),
            (&*format!("{hash}\n"), true),
            (&*"a0".repeat(32), true),
            ("ref: elsewhere", false),
            ("", false),
            (&hash[1..], false),
            ("main", false),
        ] {
            assert_eq!(names_commit(text.as_bytes()), expected, "{text:?}");
        }
        // Git reads no further.
        let far = format!("ref:{}refs/heads/main", " ".repeat(300));
        assert!(!names_commit(&far.as_bytes()[..255]));
    }

    fn looking_bare(root: &Path) {
        for name in ["objects", "refs", ".git/objects", ".git/refs"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::write(root.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    }

    fn set_aside(root: &Path) -> usize {
        let names = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().contains(".set-aside-"))
            .count()
    }

    #[test]
    fn a_project_may_have_files_with_such_names() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        looking_bare(&root);
        let mut traps = Traps::default();
        traps.watch_folder(&root);
        fs::write(root.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        assert!(!traps.are_sprung(Reach::All), "git finds `.git` first");
        for broken in 1..=2 {
            fs::write(root.join(".git/HEAD"), "").unwrap();
            assert!(traps.are_sprung(Reach::All));
            let told = traps.disarm(Reach::All).concat();
            assert!(told.contains("set aside as HEAD.set-aside-"), "{told}");
            assert!(!traps.are_sprung(Reach::All) && !root.join("HEAD").exists());
            assert_eq!(set_aside(&root), broken);
            fs::write(root.join("HEAD"), "again").unwrap();
        }
    }

    #[test]
    fn a_bare_repository_is_the_person_s_own_unless_a_broken_one_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["objects", "refs"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        fs::write(root.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        let mut traps = Traps::default();
        traps.watch_folder(&root);
        assert!(!traps.are_sprung(Reach::All));
        // Another cell's placeholder.
        fs::create_dir(root.join(".git")).unwrap();
        traps.watch_folder(&root);
        assert!(!traps.are_sprung(Reach::All));
        fs::write(root.join(".git/HEAD"), "broken").unwrap();
        traps.watch_folder(&root);
        assert!(traps.are_sprung(Reach::All));
    }

    #[test]
    fn what_was_made_unchangeable_is_set_aside_too() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::write(root.join("commondir"), "../evil").unwrap();
        let mut traps = Traps::default();
        traps.watch_git_folder(&root);
        fs::set_permissions(&root, fs::Permissions::from_mode(0o555)).unwrap();
        let told = traps.disarm(Reach::All).concat();
        assert!(told.contains("set aside as commondir.set-aside-"), "{told}");
        assert!(!traps.are_sprung(Reach::All));
    }

    #[test]
    fn a_folder_that_became_a_link_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (inside, outside) = (root.join("in/project"), root.join("out"));
        fs::create_dir_all(&inside).unwrap();
        let mut traps = Traps::default();
        traps.watch_folder(&inside);
        traps.watch_git_folder(&inside);
        looking_bare(&outside.join("project"));
        fs::remove_dir_all(outside.join("project/.git")).unwrap();
        for name in ["HEAD", "commondir"] {
            fs::write(outside.join("project").join(name), "").unwrap();
        }
        fs::rename(root.join("in"), root.join("gone")).unwrap();
        std::os::unix::fs::symlink(&outside, root.join("in")).unwrap();
        assert_eq!(traps.disarm(Reach::All), Vec::<String>::new());
        assert_eq!(set_aside(&outside.join("project")), 0);
    }
}
