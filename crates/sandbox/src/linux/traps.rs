//! What a command may not bring about in a repository although no mount can prevent it: that the
//! person's git obeys a configuration that a command wrote. It is looked for while commands run and
//! after each; who brings it about is killed, and what was made is set aside and told.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How often a free name is looked for.
const NAMES: usize = 100;

/// The traps of one cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traps {
    /// Nothing may come to be there.
    absent: Vec<PathBuf>,
    /// Folders that may not become bare repositories.
    folders: Vec<PathBuf>,
}

/// Something that a command brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sprung<'a> {
    /// A file that must not be there.
    Present(&'a Path),
    /// The folder itself is a bare repository to git.
    Bare(&'a Path),
}

impl Traps {
    /// Watches that nothing comes to be at these paths. Where git finds a `commondir` in a
    /// repository, it takes the configuration from where that points.
    pub(crate) fn watch_absent(&mut self, paths: Vec<PathBuf>) {
        self.absent.extend(paths);
    }

    /// Watches that a folder does not become a bare repository, which it is to git when it looks
    /// like one and its `.git` is broken. One that looked so before is the person's own.
    pub(crate) fn watch_folder(&mut self, folder: &Path) {
        if !looks_bare(folder) {
            self.folders.push(folder.to_path_buf());
        }
    }

    /// Whether a command brought something of it about.
    pub(crate) fn are_sprung(&self) -> bool {
        self.sprung().next().is_some()
    }

    /// Sets aside what commands brought about, and says so, a line each.
    pub(crate) fn disarm(&self) -> Vec<String> {
        self.sprung().map(|sprung| sprung.disarm()).collect()
    }

    fn sprung(&self) -> impl Iterator<Item = Sprung<'_>> {
        let present = self.absent.iter().filter(|path| exists(path));
        let bare = self.folders.iter().filter(|folder| {
            // Git looks at the folder itself only where it finds nothing usable in `.git`.
            looks_bare(folder) && !leads_to_repository(&folder.join(".git"))
        });
        let present = present.map(|path| Sprung::Present(path));
        present.chain(bare.map(|folder| Sprung::Bare(folder)))
    }
}

impl Sprung<'_> {
    fn disarm(&self) -> String {
        match self {
            Self::Present(path) => {
                let what = "would make git obey another folder's configuration";
                // Whatever it is.
                let removed = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
                told(path, what, removed.map(|()| "it was removed".to_owned()))
            }
            Self::Bare(folder) => {
                let path = folder.join("HEAD");
                let what = "would make git take its folder for a repository and obey the `config` \
                            there";
                told(&path, what, set_aside(&path))
            }
        }
    }
}

fn told(path: &Path, what: &str, done: io::Result<String>) -> String {
    let path = path.display();
    match done {
        Ok(done) => format!("[quire: {path} {what}; {done}]\n"),
        Err(error) => {
            format!("[quire: {path} {what}, and stays: {error}. Do not run git there]\n")
        }
    }
}

/// Renames it to a name that is free.
fn set_aside(path: &Path) -> io::Result<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let names = (1..NAMES).map(|number| path.with_file_name(format!("{name}.set-aside-{number}")));
    let free = names.into_iter().find(|path| !exists(path));
    let free = free.ok_or_else(|| io::Error::other("no name is free to set it aside"))?;
    fs::rename(path, &free)?;
    let name = free.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("it was set aside as {name}"))
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether git could take the folder itself for a repository. Errs on the side of yes.
fn looks_bare(folder: &Path) -> bool {
    let has = |name| exists(&folder.join(name));
    has("HEAD") && ((has("objects") && has("refs")) || has("commondir"))
}

/// Whether git finds a repository by this `.git`. Errs on the side of no. A file is followed or is
/// an error to git; either way it looks no further.
fn leads_to_repository(marker: &Path) -> bool {
    let Ok(data) = fs::symlink_metadata(marker) else {
        return false;
    };
    data.is_file()
        || (names_commit(&marker.join("HEAD"))
            && can_be_entered(&marker.join("objects"))
            && can_be_entered(&marker.join("refs")))
}

fn can_be_entered(folder: &Path) -> bool {
    fs::metadata(folder.join(".")).is_ok()
}

/// Whether a `HEAD` is one to git: it names a branch or a commit.
fn names_commit(head: &Path) -> bool {
    if !fs::symlink_metadata(head).is_ok_and(|data| data.is_file() && data.len() < 4096) {
        return false;
    }
    let Ok(text) = fs::read_to_string(head) else {
        return false;
    };
    let is_hash = |text: &str| {
        matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    match text.strip_prefix("ref:") {
        Some(branch) => branch.trim_start().starts_with("refs/"),
        None => is_hash(text.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_that_git_takes() {
        let folder = tempfile::tempdir().unwrap();
        let head = folder.path().join("HEAD");
        let hash = "a0".repeat(20);
        for (text, expected) in [
            ("ref: refs/heads/main\n", true),
            ("ref:refs/heads/main", true),
            (&*format!("{hash}\n"), true),
            (&*"a0".repeat(32), true),
            ("ref: elsewhere", false),
            ("", false),
            (&hash[1..], false),
            ("main", false),
        ] {
            fs::write(&head, text).unwrap();
            assert_eq!(names_commit(&head), expected, "{text}");
        }
        assert!(!names_commit(folder.path()));
        assert!(!names_commit(&folder.path().join("missing")));
    }

    #[test]
    fn a_project_may_have_files_with_such_names() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["objects", "refs", ".git/objects", ".git/refs"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::write(root.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
        let mut traps = Traps::default();
        traps.watch_folder(root);
        fs::write(root.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        assert!(!traps.are_sprung(), "git finds `.git` first");
        fs::write(root.join(".git/HEAD"), "").unwrap();
        assert!(traps.are_sprung());
        let told = traps.disarm().concat();
        assert!(told.contains("set aside as HEAD.set-aside-1"), "{told}");
        assert!(!traps.are_sprung() && !exists(&root.join("HEAD")));
        fs::write(root.join("HEAD"), "again").unwrap();
        let told = traps.disarm().concat();
        assert!(told.contains("set aside as HEAD.set-aside-2"), "{told}");
    }

    #[test]
    fn a_repository_that_was_bare_before_is_the_person_s_own() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["objects", "refs"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("HEAD"), "ref: refs/heads/main\n").unwrap();
        let mut traps = Traps::default();
        traps.watch_folder(folder.path());
        assert!(!traps.are_sprung());
    }
}
