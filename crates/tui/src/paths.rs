//! Paths of the workspace, offered while one is written behind an `@`: what stands for it in the input
//! is a plain path, which the model reads as one.

use quire_protocol::counted;
use ratatui_core::text::Line;

use crate::app::App;
use crate::look;
use crate::rows::{cut, safe};

/// Paths that are offered at a time.
const OFFERED: usize = 8;

/// What is offered.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// All that is known of the workspace.
    known: Vec<Known>,
    /// What stands behind the `@` that is being written.
    fragment: Option<String>,
    found: Vec<String>,
    /// How many more there are.
    more: usize,
    chosen: usize,
}

#[derive(Debug)]
struct Known {
    path: String,
    /// Without case.
    folded: String,
}

/// How well a path fits, best first: where the fragment is in it, over how many bytes it is spread, and
/// how long the path is.
type Fit = (u8, usize, usize);

impl Paths {
    /// Follows what is being written. Says whether a path was begun, for which the workspace is to be
    /// looked at.
    pub(crate) fn follow(&mut self, before: &str) -> bool {
        let fragment = fragment(before);
        if self.fragment.as_deref() == fragment {
            return false;
        }
        let begun = self.fragment.is_none();
        self.fragment = fragment.map(str::to_owned);
        self.look();
        begun
    }

    /// Nothing is offered until something else is written.
    pub(crate) fn dismiss(&mut self) {
        self.found.clear();
        self.more = 0;
    }

    /// Takes in what is in the workspace.
    pub(crate) fn know(&mut self, paths: Vec<String>) {
        let known = paths.into_iter().map(|path| Known {
            folded: path.to_lowercase(),
            path,
        });
        self.known = known.collect();
        self.look();
    }

    fn look(&mut self) {
        self.chosen = 0;
        self.dismiss();
        let Some(fragment) = &self.fragment else {
            return;
        };
        let folded = fragment.to_lowercase();
        let fits = self
            .known
            .iter()
            .filter_map(|known| Some((fit(known, &folded)?, known)));
        let mut fits: Vec<(Fit, &Known)> = fits.collect();
        fits.sort_unstable_by(|(one, a), (other, b)| {
            one.cmp(other).then_with(|| a.path.cmp(&b.path))
        });
        if fits
            .first()
            .is_some_and(|(_, known)| known.path == *fragment)
        {
            // It is written already.
            return;
        }
        self.more = fits.len().saturating_sub(OFFERED);
        let best = fits.into_iter().take(OFFERED);
        self.found = best.map(|(_, known)| known.path.clone()).collect();
    }

    pub(crate) fn is_offering(&self) -> bool {
        !self.found.is_empty()
    }

    /// What is offered and how many more there are, while a path is written; where some have it as it is
    /// written, only those.
    pub(crate) fn choices(&self) -> Option<(Vec<String>, usize)> {
        let fragment = self.fragment.as_ref()?.to_lowercase();
        let has = |path: &&String| path.to_lowercase().contains(&fragment);
        let have: Vec<String> = self.found.iter().filter(has).cloned().collect();
        if have.is_empty() || have.len() == self.found.len() {
            return Some((self.found.clone(), self.more));
        }
        Some((have, 0))
    }

    /// Whether the workspace was looked at.
    pub(crate) fn is_known(&self) -> bool {
        !self.known.is_empty()
    }

    /// Chooses the next one, or the one before.
    pub(crate) fn choose(&mut self, step: isize) {
        let count = self.found.len().max(1);
        let step = step.rem_euclid(isize::try_from(count).unwrap_or(1));
        self.chosen = (self.chosen + step.unsigned_abs()) % count;
    }

    /// The offers, the chosen one marked.
    pub(crate) fn rows(&self, wide: usize) -> Vec<Line<'static>> {
        let rows = self.found.iter().enumerate().map(|(place, path)| {
            let (mark, style) = if place == self.chosen {
                ("▸", look::MARK)
            } else {
                (" ", look::DIM)
            };
            look::line(cut(&format!("  {mark} {}", safe(path)), wide), style)
        });
        let mut rows: Vec<_> = rows.collect();
        if self.more > 0 {
            let more = format!("    … {} more", counted(self.more as u64, "path"));
            rows.push(look::line(cut(&more, wide), look::DIM));
        }
        rows
    }
}

impl App {
    /// Writes the chosen path in the place of what stands behind the `@`.
    pub(crate) fn take_path(&mut self) {
        let (Some(path), Some(fragment)) = (
            self.paths.found.get(self.paths.chosen).cloned(),
            self.paths.fragment.clone(),
        ) else {
            return;
        };
        // A folder is gone on with.
        let space = if path.ends_with('/') { "" } else { " " };
        self.editor
            .replace_before(fragment.len(), &format!("{path}{space}"));
    }
}

/// Bytes of what may be the begin of a path: more is none, and is not looked through at each key.
const LONGEST: usize = 4_096;

/// What stands behind the `@` that is being written, if one is.
fn fragment(before: &str) -> Option<&str> {
    let near = &before[before.floor_char_boundary(before.len().saturating_sub(LONGEST))..];
    let at = before.len() - near.len() + near.rfind('@')?;
    let fragment = &before[at + 1..];
    let begins = before[..at]
        .chars()
        .next_back()
        .is_none_or(|char| char.is_whitespace() || "([{<\"'`".contains(char));
    (begins && !fragment.contains(char::is_whitespace)).then_some(fragment)
}

fn fit(known: &Known, fragment: &str) -> Option<Fit> {
    let path = known.folded.as_str();
    let whole = path.trim_end_matches('/');
    let name = whole.rfind('/').map_or(0, |slash| slash + 1);
    let long = path.len();
    if path[name..].starts_with(fragment) {
        return Some((0, 0, long));
    }
    if path[name..].contains(fragment) {
        return Some((1, 0, long));
    }
    if path.contains(fragment) {
        return Some((2, 0, long));
    }
    if let Some(spread) = spread(&path[name..], fragment) {
        return Some((3, spread, long));
    }
    Some((4, spread(path, fragment)?, long))
}

/// Over how many bytes the characters of a fragment are spread in a text, which has them in their
/// order; the last ones count, as names are at the end of paths.
fn spread(text: &str, fragment: &str) -> Option<usize> {
    let mut chars = text.char_indices().rev();
    let mut last = None;
    let mut first = text.len();
    for wanted in fragment.chars().rev() {
        let (at, _) = chars.find(|(_, char)| *char == wanted)?;
        last.get_or_insert(at);
        first = at;
    }
    Some(last.unwrap_or(first) - first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_behind_an_at_that_begins_a_word() {
        for (before, expected) in [
            ("see @par", Some("par")),
            ("@", Some("")),
            ("(@src/", Some("src/")),
            ("me@home", None),
            ("@par is", None),
            ("no", None),
            ("@one\n@two", Some("two")),
        ] {
            assert_eq!(fragment(before), expected, "{before:?}");
        }
    }

    fn found(fragment: &str) -> Vec<String> {
        let mut paths = Paths::default();
        assert!(paths.follow(&format!("look at @{fragment}")));
        paths.know(
            [
                "docs/",
                "docs/parser.md",
                "src/lib.rs",
                "src/Parse.rs",
                "src/compare.rs",
                "src/parse/tree.rs",
                "tests/p_a_r.rs",
            ]
            .map(str::to_owned)
            .to_vec(),
        );
        paths.found
    }

    #[test]
    fn the_best_path_comes_first() {
        for (fragment, expected) in [
            (
                "par",
                &[
                    "src/Parse.rs",
                    "docs/parser.md",
                    "src/compare.rs",
                    "src/parse/tree.rs",
                    "tests/p_a_r.rs",
                ][..],
            ),
            ("srclib", &["src/lib.rs"]),
            ("doc", &["docs/", "docs/parser.md"]),
            ("src/lib.rs", &[]),
            ("zzz", &[]),
        ] {
            assert_eq!(found(fragment), expected, "{fragment}");
        }
        assert_eq!(found("").len(), 7);
    }

    #[test]
    fn fifty_thousand_paths_are_looked_through_at_once() {
        let mut paths = Paths::default();
        paths.know(
            (0..50_000)
                .map(|number| format!("some/folder/file{number}.rs"))
                .collect(),
        );
        paths.follow("@file49999");
        assert_eq!(paths.found, ["some/folder/file49999.rs"]);
        paths.follow("@file4");
        assert_eq!((paths.found.len(), paths.more > 1_000), (OFFERED, true));
        paths.choose(-1);
        assert_eq!(paths.chosen, OFFERED - 1);
        paths.choose(1);
        assert_eq!(paths.chosen, 0);
    }
}
