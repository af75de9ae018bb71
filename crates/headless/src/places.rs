//! Folders and programs of this machine, as a checkup looks at them.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Whether a megabyte can be written into a folder, or where it would be made. Nothing stays.
pub(crate) fn writable(folder: &Path) -> io::Result<()> {
    let folder = existing(folder).ok_or(io::ErrorKind::NotFound)?;
    let probe = folder.join(format!(".quire-doctor-{}", std::process::id()));
    let written = std::fs::write(&probe, vec![0; 1 << 20]);
    let removed = std::fs::remove_file(&probe);
    written.and(removed)
}

/// Bytes that this user may still write into a folder, or where it would be made.
pub(crate) fn free_space(folder: &Path) -> io::Result<u64> {
    let folder = existing(folder).ok_or(io::ErrorKind::NotFound)?;
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Where a program is, by folders as `PATH` lists them.
pub(crate) fn program(folders: &str, name: &str) -> Option<PathBuf> {
    let runs = |program: &PathBuf| {
        let found = std::fs::metadata(program);
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(folders)
        .map(|folder| folder.join(name))
        .find(runs)
}

/// The branch of the repository that a folder is in, as its files say.
#[must_use]
pub fn branch(folder: &Path) -> Option<String> {
    let git = folder.ancestors().find_map(|above| {
        let git = above.join(".git");
        match std::fs::read_to_string(&git) {
            Ok(link) => Some(above.join(link.trim().strip_prefix("gitdir: ")?)),
            Err(_) => git.is_dir().then_some(git),
        }
    })?;
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let head = head.trim();
    let branch = head.strip_prefix("ref: refs/heads/");
    branch.or(head.get(..8)).map(str::to_owned)
}

/// The folder itself, or the nearest above it that is there.
fn existing(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| folder.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_to_be_made_counts_as_the_one_above_it() {
        let folder = std::env::temp_dir();
        let below = folder.join("quire-is-not/there-yet");
        assert!(writable(&below).is_ok());
        assert!(free_space(&below).is_ok_and(|free| free > 0));
        assert!(!below.exists());
        assert!(writable(Path::new("/proc/nowhere")).is_err());
    }

    #[test]
    fn branches_are_read_from_the_files_of_the_repository() {
        let root = std::env::temp_dir().join(format!("quire-branch-{}", std::process::id()));
        let below = root.join("repository/a/b");
        std::fs::create_dir_all(&below).unwrap();
        assert_eq!(branch(&below), None);
        std::fs::create_dir(root.join("repository/.git")).unwrap();
        let head = root.join("repository/.git/HEAD");
        std::fs::write(&head, "ref: refs/heads/topic/one\n").unwrap();
        assert_eq!(branch(&below).as_deref(), Some("topic/one"));
        std::fs::write(&head, "0123456789abcdef\n").unwrap();
        assert_eq!(branch(&below).as_deref(), Some("01234567"));
        std::fs::create_dir(root.join("worktree")).unwrap();
        let link = "gitdir: ../repository/.git\n";
        std::fs::write(root.join("worktree/.git"), link).unwrap();
        assert_eq!(branch(&root.join("worktree")).as_deref(), Some("01234567"));
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn programs_are_files_that_may_run() {
        assert!(program("/nowhere:/usr/bin:/bin", "sh").is_some());
        assert_eq!(program("/etc", "passwd"), None);
        assert_eq!(program("", "sh"), None);
    }
}
