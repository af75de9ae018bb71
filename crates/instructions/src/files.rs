//! `AGENTS.md` and `CLAUDE.md`: which of them apply to a folder.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most that all files together may say, in bytes. What is beyond is left out, and said so.
const MOST_BYTES: usize = 32 * 1024;

/// Names in one folder, the first that exists counts.
const NAMES: [&str; 2] = ["AGENTS.md", "CLAUDE.md"];

/// An instruction file that applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstructionFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it says, perhaps cut.
    pub text: String,
}

/// The files that apply to `workspace`, most general first: the person's own (`personal`, a
/// folder), then one for each folder from the repository's root down to the workspace. Files that
/// are missing, empty, unreadable or no regular file are passed over, and so are links that lead out
/// of the repository, for what they name would be sent to the provider; text that is not UTF-8 is read lossily.
#[must_use]
pub fn instruction_files(personal: Option<&Path>, workspace: &Path) -> Vec<InstructionFile> {
    let inside = folders_from_root(workspace);
    let root = inside[0].canonicalize().ok();
    let own = personal.map(|folder| (folder, None));
    let folders = own
        .into_iter()
        .chain(inside.iter().map(|folder| (*folder, Some(root.as_deref()))));
    let mut left = MOST_BYTES;
    let mut files: Vec<InstructionFile> = Vec::new();
    for (folder, within) in folders {
        let found = NAMES.iter().map(|name| folder.join(name));
        let Some(mut file) = found
            .filter(|path| within.is_none_or(|root| leads_into(path, root)))
            .find_map(|path| read(&path))
        else {
            continue;
        };
        if files.iter().any(|earlier| earlier.text == file.text) {
            continue;
        }
        if file.text.len() > left {
            let cut = file.text.floor_char_boundary(left);
            file.text.truncate(cut);
            file.text
                .push_str("\n[cut: the instruction files are too long together]");
        }
        left = left.saturating_sub(file.text.len());
        files.push(file);
        if left == 0 {
            break;
        }
    }
    files
}

/// The folders from the one that holds `.git` down to `workspace`; only `workspace` itself outside
/// a repository.
fn folders_from_root(workspace: &Path) -> Vec<&Path> {
    let mut folders: Vec<&Path> = Vec::new();
    for folder in workspace.ancestors() {
        folders.push(folder);
        if folder.join(".git").exists() {
            folders.reverse();
            return folders;
        }
    }
    vec![workspace]
}

/// Whether a file, all links followed, is in a folder.
fn leads_into(path: &Path, root: Option<&Path>) -> bool {
    match (path.canonicalize(), root) {
        (Ok(path), Some(root)) => path.starts_with(root),
        _ => false,
    }
}

fn read(path: &Path) -> Option<InstructionFile> {
    // Opening a pipe would wait for its writer.
    if !path.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(MOST_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then(|| InstructionFile {
        path: path.to_owned(),
        text,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn from_the_root_down() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("repo/.git")).unwrap();
        fs::create_dir_all(at("repo/a/b")).unwrap();
        fs::create_dir_all(at("me")).unwrap();
        fs::write(at("AGENTS.md"), "outside the repository").unwrap();
        fs::write(at("me/AGENTS.md"), "mine").unwrap();
        fs::write(at("repo/AGENTS.md"), "root").unwrap();
        fs::write(at("repo/CLAUDE.md"), "not read beside AGENTS.md").unwrap();
        fs::write(at("repo/a/CLAUDE.md"), b"a \xff").unwrap();
        fs::write(at("repo/a/b/AGENTS.md"), "  \n").unwrap();
        let texts: Vec<String> = instruction_files(Some(&at("me")), &at("repo/a/b"))
            .into_iter()
            .map(|file| file.text)
            .collect();
        assert_eq!(texts, ["mine", "root", "a \u{fffd}"]);
    }

    #[test]
    fn a_link_out_of_the_repository_is_not_sent() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("repo/.git")).unwrap();
        fs::create_dir_all(at("repo/sub")).unwrap();
        fs::create_dir_all(at("me")).unwrap();
        fs::write(at("secret"), "a key").unwrap();
        fs::write(at("repo/CLAUDE.md"), "shared").unwrap();
        std::os::unix::fs::symlink(at("secret"), at("repo/AGENTS.md")).unwrap();
        std::os::unix::fs::symlink("../notes.md", at("repo/sub/AGENTS.md")).unwrap();
        fs::write(at("repo/notes.md"), "inside").unwrap();
        std::os::unix::fs::symlink(at("secret"), at("me/AGENTS.md")).unwrap();
        let files = instruction_files(Some(&at("me")), &at("repo/sub"));
        let texts: Vec<_> = files.iter().map(|file| file.text.as_str()).collect();
        assert_eq!(texts, ["a key", "shared", "inside"]);
    }

    #[test]
    fn too_long_together() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join(".git")).unwrap();
        fs::create_dir_all(root.path().join("sub")).unwrap();
        fs::write(root.path().join("AGENTS.md"), "é".repeat(MOST_BYTES)).unwrap();
        fs::write(root.path().join("sub/AGENTS.md"), "left out").unwrap();
        let files = instruction_files(None, &root.path().join("sub"));
        assert_eq!(files.len(), 1);
        assert!(files[0].text.ends_with("too long together]"));
        assert!(files[0].text.len() < MOST_BYTES + 100);
    }
}
