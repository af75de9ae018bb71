//! Keeps file tools from laying a folder out as a git repository: the person's git would take it for
//! one and obey its `config`, which names programs to run.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

/// What git knows a repository by, besides a `.git`.
const LAYOUTS: [&[&str]; 2] = [&["HEAD", "objects", "refs"], &["HEAD", "commondir"]];

/// The folder, `root` or beneath it, that would come to be laid out so by a file at `path`.
pub(crate) fn made_by<'a>(path: &'a Path, root: &Path) -> Option<&'a Path> {
    path.ancestors()
        .take_while(|made| !is_there(made))
        .find_map(|made| {
            let folder = made.parent().filter(|folder| folder.starts_with(root))?;
            let name = made.file_name()?;
            LAYOUTS
                .iter()
                .any(|layout| completes(layout, folder, name))
                .then_some(folder)
        })
}

/// Whether all of a layout is in a folder as soon as `name` is.
fn completes(layout: &[&str], folder: &Path, name: &OsStr) -> bool {
    let is_new = |part: &str| name.eq_ignore_ascii_case(part);
    layout.iter().any(|part| is_new(part))
        && layout
            .iter()
            .all(|part| is_new(part) || is_there(&folder.join(part)))
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
