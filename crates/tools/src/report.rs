//! What a person is told of changed files.

use std::path::Path;
use std::time::Duration;

use quire_protocol::{ChangeKind, FileChange};

use crate::text;

/// The largest diff that is kept.
const MOST_DIFF: usize = 32 * 1024;
/// Texts above this are not compared.
const MOST_TEXT: usize = 1024 * 1024;

/// The change from one content to another; none means that there is no file.
pub(crate) fn change(path: &Path, old: Option<&[u8]>, new: Option<&[u8]>) -> FileChange {
    let kind = match (old, new) {
        (None, _) => ChangeKind::Added,
        (Some(_), None) => ChangeKind::Deleted,
        (Some(_), Some(_)) => ChangeKind::Modified,
    };
    FileChange {
        path: path.to_owned(),
        kind,
        diff: diff(path, old, new),
    }
}

/// The first line that differs, from 1: where a model finds its change again.
pub(crate) fn first_changed_line(old: &[u8], new: &[u8]) -> usize {
    let same = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    1 + text::feeds(&old[..same])
}

fn diff(path: &Path, old: Option<&[u8]>, new: Option<&[u8]>) -> String {
    let read = |bytes: Option<&[u8]>| match bytes {
        None => Some(String::new()),
        Some(bytes) if bytes.len() <= MOST_TEXT => String::from_utf8(bytes.to_vec()).ok(),
        Some(_) => None,
    };
    let (Some(before), Some(after)) = (read(old), read(new)) else {
        return "(too large or not text: no diff)".to_owned();
    };
    let name = path.display().to_string();
    let side = |bytes: Option<&[u8]>, letter: char| match bytes {
        Some(_) => format!("{letter}/{name}"),
        None => "/dev/null".to_owned(),
    };
    let compared = similar::TextDiff::configure()
        .timeout(Duration::from_millis(500))
        .diff_lines(&before, &after);
    let whole = compared
        .unified_diff()
        .header(&side(old, 'a'), &side(new, 'b'))
        .to_string();
    bounded(whole)
}

/// A diff in a sane size; a last line says what is left out.
pub(crate) fn bounded(whole: String) -> String {
    if whole.len() <= MOST_DIFF {
        return whole;
    }
    let shown = text::cut_head(&whole, MOST_DIFF);
    format!(
        "{shown}… {} bytes of the diff left out\n",
        whole.len() - shown.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_change() {
        for (old, new, line) in [
            ("a\nb\n", "a\nc\n", 2),
            ("a\n", "b\n", 1),
            ("a\nb\n", "a\n", 2),
            ("a\n", "a\nb\n", 2),
            ("", "x", 1),
        ] {
            let found = first_changed_line(old.as_bytes(), new.as_bytes());
            assert_eq!(found, line, "{old:?} {new:?}");
        }
    }

    #[test]
    fn diffs_are_unified_and_bounded() {
        let change_of = |old: Option<&[u8]>, new| change(Path::new("f"), old, new);
        let changed = change_of(Some(b"a\nb\n"), Some(b"a\nc\n"));
        assert_eq!(changed.kind, ChangeKind::Modified);
        assert_eq!(
            changed.diff,
            "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
        );
        assert!(
            change_of(None, Some(b"a\n"))
                .diff
                .starts_with("--- /dev/null\n+++ b/f\n")
        );
        assert_eq!(change_of(Some(b"a"), None).kind, ChangeKind::Deleted);
        let long = "long line\n".repeat(20_000);
        let cut = change_of(None, Some(long.as_bytes())).diff;
        assert!(cut.len() < MOST_DIFF + 100 && cut.ends_with("left out\n"));
        assert!(change_of(None, Some(b"\xff")).diff.contains("not text"));
    }
}
