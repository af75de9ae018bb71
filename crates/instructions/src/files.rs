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
/// are missing, empty or unreadable are passed over; text that is not UTF-8 is read lossily.
#[must_use]
pub fn instruction_files(personal: Option<&Path>, workspace: &Path) -> Vec<InstructionFile> {
    let mut folders: Vec<&Path> = folders_from_root(workspace);
    if let Some(personal) = personal {
        folders.insert(0, personal);
    }
    let mut left = MOST_BYTES;
    let mut files: Vec<InstructionFile> = Vec::new();
    for folder in folders {
        let Some(mut file) = NAMES.iter().find_map(|name| read(&folder.join(name))) else {
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

fn read(path: &Path) -> Option<InstructionFile> {
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
