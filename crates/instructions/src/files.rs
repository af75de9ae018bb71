//! `AGENTS.md` and `CLAUDE.md`: which of them apply to a folder.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Most that all files together may say, in bytes. What is beyond is left out, and said so.
const MOST_BYTES: usize = 32 * 1024;

/// Names in one folder, the first that exists counts.
const NAMES: [&str; 2] = ["AGENTS.md", "CLAUDE.md"];

/// How deep files name further files.
const MOST_HOPS: usize = 5;

/// An instruction file that applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstructionFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it says, perhaps cut.
    pub text: String,
    /// Whether it is all there.
    pub extent: Extent,
}

/// How much there is of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Its beginning, or nothing: all files together are too long.
    Cut,
}

/// The files that apply to `workspace`, most general first: the person's own (`personal`, a
/// folder), then one for each folder from the repository's root down to the workspace. A `CLAUDE.md`
/// brings the files along that it names as `@path`. Files that are missing, empty, unreadable or no
/// regular file are passed over, and so are links and names that lead out of the repository, for
/// what they name would be sent to the provider; text that is not UTF-8 is read lossily. Where all
/// together say too much, the most general are cut.
///
/// Above the workspace only what belongs to its owner, to the person or to the system counts: whoever else may write a
/// folder up there (`/tmp`) does not speak to the model.
#[must_use]
pub fn instruction_files(personal: Option<&Path>, workspace: &Path) -> Vec<InstructionFile> {
    let owners = owners(personal, workspace);
    let inside = folders_from_root(workspace, &owners);
    let root = inside[0].canonicalize().ok();
    let mut found = Found::default();
    if let Some(folder) = personal {
        // What the person put there themselves may lead anywhere.
        found.first_of(folder, &|_| true);
    }
    for folder in inside {
        found.first_of(folder, &|path| {
            leads_into(path, root.as_deref())
                && (path.starts_with(workspace) || is_owned(path, &owners))
        });
    }
    fit(found.files)
}

/// What a person is told of the files that the model does not see all of.
#[must_use]
pub fn left_out(personal: Option<&Path>, workspace: &Path) -> Vec<String> {
    let files = instruction_files(personal, workspace).into_iter();
    let cut = files.filter(|file| file.extent == Extent::Cut);
    let words = cut.map(|file| {
        format!(
            "{} is cut: the instruction files say more than {} KB together, and those nearest to the work count most",
            file.path.display(),
            MOST_BYTES / 1024
        )
    });
    words.collect()
}

/// The files found so far.
#[derive(Default)]
struct Found {
    files: Vec<InstructionFile>,
}

impl Found {
    /// Adds the first file of a folder that there is, with those it names.
    fn first_of(&mut self, folder: &Path, may_read: &dyn Fn(&Path) -> bool) {
        for name in NAMES {
            let path = folder.join(name);
            if let Some(file) = Some(&path)
                .filter(|path| may_read(path))
                .and_then(|path| read(path))
            {
                let hops = if name == "CLAUDE.md" { MOST_HOPS } else { 0 };
                self.add(file, hops, may_read);
                return;
            }
        }
    }

    /// Adds a file before those it names, unless the same was said already.
    fn add(&mut self, file: InstructionFile, hops: usize, may_read: &dyn Fn(&Path) -> bool) {
        if self.files.iter().any(|earlier| earlier.text == file.text) {
            return;
        }
        let named = if hops == 0 { Vec::new() } else { named(&file) };
        self.files.push(file);
        for path in named {
            if let Some(file) = Some(&path)
                .filter(|path| may_read(path))
                .and_then(|path| read(path))
            {
                self.add(file, hops - 1, may_read);
            }
        }
    }
}

/// The paths that a file names as `@path`, outside of code.
fn named(file: &InstructionFile) -> Vec<PathBuf> {
    let folder = file.path.parent().unwrap_or(Path::new(""));
    let mut in_fence = false;
    let mut paths = Vec::new();
    for line in file.text.lines() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        } else if !in_fence && !line.contains('`') {
            let words = line.split_whitespace();
            let names = words.filter_map(|word| word.strip_prefix('@'));
            let names = names.map(|name| name.trim_end_matches([',', '.', ';', ')']));
            paths.extend(
                names
                    .filter(|name| !name.is_empty())
                    .map(|name| folder.join(name)),
            );
        }
    }
    paths
}

/// Cuts the most general files until all fit.
fn fit(mut files: Vec<InstructionFile>) -> Vec<InstructionFile> {
    let mut left = MOST_BYTES;
    for file in files.iter_mut().rev() {
        if file.text.len() > left {
            let cut = file.text.floor_char_boundary(left);
            file.text.truncate(cut);
            file.text
                .push_str("\n[cut: the instruction files are too long together]");
            file.extent = Extent::Cut;
            left = 0;
        } else {
            left -= file.text.len();
        }
    }
    files
}

/// Whose files count above the workspace: the system's, and those of the owners of the workspace and of the person's
/// own folder.
fn owners(personal: Option<&Path>, workspace: &Path) -> Vec<u32> {
    let folders = [Some(workspace), personal].into_iter().flatten();
    let owners = folders.filter_map(|folder| Some(folder.metadata().ok()?.uid()));
    std::iter::once(0).chain(owners).collect()
}

fn is_owned(path: &Path, owners: &[u32]) -> bool {
    path.metadata()
        .is_ok_and(|found| owners.contains(&found.uid()))
}

/// The folders from the one that holds `.git` down to `workspace`; only `workspace` itself outside
/// a repository.
fn folders_from_root<'a>(workspace: &'a Path, owners: &[u32]) -> Vec<&'a Path> {
    let mut folders: Vec<&Path> = Vec::new();
    for folder in workspace.ancestors() {
        folders.push(folder);
        let git = folder.join(".git");
        if git.exists() && (folder == workspace || is_owned(&git, owners)) {
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
        extent: Extent::Whole,
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
    fn above_the_workspace_only_its_owner_and_the_person_speak() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("shared/.git")).unwrap();
        fs::create_dir_all(at("shared/mine")).unwrap();
        fs::write(at("shared/AGENTS.md"), "somebody's").unwrap();
        fs::write(at("shared/mine/AGENTS.md"), "mine").unwrap();
        let workspace = at("shared/mine");
        assert!(is_owned(&workspace, &owners(None, &workspace)));
        let nobody = [at("shared/.git").metadata().unwrap().uid() + 1];
        assert!(!is_owned(&at("shared/AGENTS.md"), &nobody));
        assert_eq!(folders_from_root(&workspace, &nobody), [&*workspace]);
        let all = owners(None, &workspace);
        assert_eq!(
            folders_from_root(&workspace, &all),
            [&*at("shared"), &*workspace]
        );
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
    fn too_long_together_the_nearest_counts_most() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join(".git")).unwrap();
        fs::create_dir_all(root.path().join("sub")).unwrap();
        fs::write(root.path().join("AGENTS.md"), "é".repeat(MOST_BYTES)).unwrap();
        fs::write(root.path().join("sub/AGENTS.md"), "the nearest").unwrap();
        let files = instruction_files(None, &root.path().join("sub"));
        let extents: Vec<Extent> = files.iter().map(|file| file.extent).collect();
        assert_eq!(extents, [Extent::Cut, Extent::Whole]);
        assert!(files[0].text.ends_with("too long together]"));
        assert!(files[0].text.len() < MOST_BYTES + 100);
        assert_eq!(files[1].text, "the nearest");
    }

    #[test]
    fn a_claude_file_brings_along_what_it_names_inside_the_repository() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("repo/.git")).unwrap();
        fs::create_dir_all(at("repo/docs")).unwrap();
        fs::write(at("secret"), "a key").unwrap();
        let text = "See @docs/style.md, and @missing.md or me@example.org.\n@../secret\n\
                    `@docs/code.md`\n```\n@docs/code.md\n```\n@docs/style.md";
        fs::write(at("repo/CLAUDE.md"), text).unwrap();
        fs::write(at("repo/docs/style.md"), "tabs\n@deeper.md\n@../CLAUDE.md").unwrap();
        fs::write(at("repo/docs/deeper.md"), "deeper").unwrap();
        fs::write(at("repo/docs/code.md"), "only an example").unwrap();
        let files = instruction_files(None, &at("repo"));
        let texts: Vec<_> = files.iter().map(|file| file.text.as_str()).collect();
        assert_eq!(texts, [text, "tabs\n@deeper.md\n@../CLAUDE.md", "deeper"]);
    }
}
