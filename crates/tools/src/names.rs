//! Names near a missing one: what a model may have meant.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::place::Place;
use crate::{text, walk};

/// How many entries of the workspace are looked at.
const MOST_ENTRIES: usize = 5_000;
const MOST_SHOWN: usize = 5;

/// What to say of a path where nothing is.
pub(crate) fn missing(place: &Place, absolute: &Path) -> String {
    let shown = place.shown(absolute);
    let near: Vec<String> = near(place, absolute)
        .iter()
        .map(|path| place.shown(path).display().to_string())
        .collect();
    if near.is_empty() {
        format!("{} does not exist", shown.display())
    } else {
        format!(
            "{} does not exist. Near: {}",
            shown.display(),
            near.join(", ")
        )
    }
}

fn near(place: &Place, absolute: &Path) -> Vec<PathBuf> {
    let Some(name) = absolute.file_name().and_then(OsStr::to_str) else {
        return Vec::new();
    };
    let mut found: Vec<(usize, PathBuf)> = Vec::new();
    let allowed = (name.len() / 3).clamp(2, 3).min(name.len() - 1);
    if let Some(entries) = absolute.parent().and_then(|parent| parent.read_dir().ok()) {
        for entry in entries.take(MOST_ENTRIES).flatten() {
            let distance = text::distance(name, &entry.file_name().to_string_lossy());
            if distance <= allowed {
                found.push((distance, entry.path()));
            }
        }
    }
    let entries = walk::entries(place, &place.workspace, None);
    for entry in entries.take(MOST_ENTRIES) {
        if entry.file_name() == OsStr::new(name) {
            found.push((allowed + 1, entry.into_path()));
        }
    }
    found.retain(|(_, path)| !place.is_hidden(path));
    found.sort();
    found.dedup_by(|one, other| one.1 == other.1);
    found.truncate(MOST_SHOWN);
    found.into_iter().map(|(_, path)| path).collect()
}
