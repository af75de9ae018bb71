//! Walks folders in one order, as git sees them: ignored files and `.git` left out, hidden files
//! kept, links not followed.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use globset::GlobMatcher;
use ignore::{DirEntry, WalkBuilder};

use crate::place::Place;

/// Whether the walk itself would open something in this folder that is no file: a pipe would hold
/// it up for ever.
fn holds_up(folder: &Path) -> bool {
    let named = [".gitignore", ".ignore"].map(|name| folder.join(name));
    if named.iter().any(|path| is_other(path)) {
        return true;
    }
    let marker = folder.join(".git");
    if !fs::metadata(&marker).is_ok_and(|found| found.is_file()) {
        return is_other(&marker.join("info/exclude"));
    }
    // Of a linked worktree or a submodule.
    let Some(git_folder) = first_line(&marker).and_then(|line| {
        let folder = line.strip_prefix("gitdir: ")?;
        Some(PathBuf::from(folder))
    }) else {
        return false;
    };
    let common = git_folder.join("commondir");
    if is_other(&common) {
        return true;
    }
    let common = first_line(&common).map(|line| git_folder.join(line));
    common.is_some_and(|common| is_other(&common.join("info/exclude")))
}

fn is_other(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// The first line of a small file.
fn first_line(path: &Path) -> Option<String> {
    const MOST: u64 = 4096;
    if is_other(path) {
        return None;
    }
    let mut text = String::new();
    let file = fs::File::open(path).ok()?;
    file.take(MOST).read_to_string(&mut text).ok()?;
    Some(text.lines().next()?.to_owned())
}

/// What is beneath `root`, sorted by path; unreadable entries are passed over.
///
/// # Errors
/// In words, when the folder or one above it has a pipe or a device for an ignore file.
pub(crate) fn entries(
    place: &Place,
    root: &Path,
    depth: Option<usize>,
) -> Result<impl Iterator<Item = DirEntry> + use<>, String> {
    if let Some(folder) = root.ancestors().find(|folder| holds_up(folder)) {
        return Err(format!(
            "{} has an ignore file that is no file but a pipe or a device: remove it",
            place.shown(folder).display()
        ));
    }
    let guard = place.clone();
    let entries = WalkBuilder::new(root)
        .hidden(false)
        .require_git(false)
        .follow_links(false)
        .max_depth(depth)
        .sort_by_file_name(Ord::cmp)
        .filter_entry(move |entry| {
            let folder = entry.file_type().is_some_and(|kind| kind.is_dir());
            entry.depth() == 0
                || (entry.file_name() != ".git"
                    && !guard.is_hidden(entry.path())
                    && !(folder && holds_up(entry.path())))
        })
        .build()
        .flatten()
        .filter(|entry| entry.depth() > 0 || entry.file_type().is_some_and(|kind| kind.is_file()));
    Ok(entries)
}

/// Whether an entry is a regular file.
pub(crate) fn is_file(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_file())
}

/// A test of paths by a glob, relative to the folder it is used in. Without a slash it means
/// names at any depth.
pub(crate) fn glob(pattern: &str) -> Result<GlobMatcher, String> {
    let anchored = match pattern.trim_start_matches("./") {
        bare if !bare.contains('/') => format!("**/{bare}"),
        path => path.trim_start_matches('/').to_owned(),
    };
    globset::GlobBuilder::new(&anchored)
        .literal_separator(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("`{pattern}` is not a glob: {error}"))
}

/// Whether a glob means an entry: by its path beneath `root`, by its path beneath the workspace, or
/// by its name when it is the root itself.
pub(crate) fn matches(glob: &GlobMatcher, place: &Place, root: &Path, entry: &DirEntry) -> bool {
    let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
    let relative = if entry.depth() == 0 {
        Path::new(entry.file_name())
    } else {
        relative
    };
    glob.is_match(relative) || glob.is_match(place.shown(entry.path()))
}
