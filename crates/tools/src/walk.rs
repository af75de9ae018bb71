//! Walks folders in one order, as git sees them: ignored files and `.git` left out, hidden files
//! kept, links not followed.

use std::path::Path;
use std::sync::Mutex;

use globset::GlobMatcher;
use ignore::{DirEntry, WalkBuilder};
use quire_walk::{EntryKind, Ignored};

use crate::calls::lock;
use crate::place::Place;

/// What is beneath `root`, sorted by path; unreadable entries are passed over.
pub(crate) fn entries(
    place: &Place,
    root: &Path,
    depth: Option<usize>,
) -> impl Iterator<Item = DirEntry> + use<> {
    let guard = place.clone();
    beneath(root, depth, move |path| guard.is_hidden(path))
}

/// The same, but for what is hidden.
fn beneath<H: Fn(&Path) -> bool + Send + Sync + 'static>(
    root: &Path,
    depth: Option<usize>,
    is_hidden: H,
) -> impl Iterator<Item = DirEntry> + use<H> {
    let ignored = Mutex::new(Ignored::beneath(root));
    WalkBuilder::new(root)
        // Ignore files are read by `Ignored`: the walk's own reading can be held up.
        .standard_filters(false)
        .follow_links(false)
        .max_depth(depth)
        .sort_by_file_name(Ord::cmp)
        .filter_entry(move |entry| {
            entry.depth() == 0
                || (entry.file_name() != ".git"
                    && !is_hidden(entry.path())
                    && !lock(&ignored).leaves_out(entry.path(), kind(entry)))
        })
        .build()
        .flatten()
        .filter(|entry| entry.depth() > 0 || entry.file_type().is_some_and(|kind| kind.is_file()))
}

fn kind(entry: &DirEntry) -> EntryKind {
    match entry.file_type() {
        Some(kind) if kind.is_dir() => EntryKind::Folder,
        _ => EntryKind::Other,
    }
}

/// So many files and folders beneath a folder at most, as a person would name them: relative to it,
/// folders with a slash at their end.
#[must_use]
pub fn paths(root: &Path, most: usize) -> Vec<String> {
    let entries = beneath(root, None, |_| false).take(most);
    let named = entries.filter_map(|entry| {
        let path = entry.path().strip_prefix(root).ok()?.to_str()?;
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        Some(if is_folder {
            format!("{path}/")
        } else {
            path.to_owned()
        })
    });
    named.collect()
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
