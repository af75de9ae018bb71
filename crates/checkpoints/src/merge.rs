//! Taking the agent's changes out of a file that a person changed since, and showing differences.

use std::fmt::Write as _;

use quire_protocol::FileKind;

use crate::files::Content;

/// A diff for a person has at most so many bytes.
const MOST_SHOWN: usize = 64 * 1024;
/// All diffs that are shown together have about so many.
const MOST_TOLD: usize = 4 << 20;
/// Bytes of a file that is compared line by line.
const MOST_COMPARED: usize = 4 << 20;

/// A file with the agent's changes taken out.
pub(crate) struct Merged {
    pub(crate) content: Content,
    /// Places where both had changed the same lines; they stand in it between marks.
    pub(crate) conflicts: u32,
}

/// Takes out of `now` what led from `target` to `left`: a merge of `now` and `target` whose common
/// ancestor is `left`. None where that is no matter of lines.
pub(crate) fn take_out(
    left: Option<&Content>,
    now: Option<&Content>,
    target: Option<&Content>,
) -> Option<Merged> {
    let (left, now, target) = (left?, now?, target?);
    let are_texts = [left, now, target].into_iter().all(is_text);
    if !are_texts {
        return None;
    }
    let mut options = diffy::MergeOptions::new();
    options.set_conflict_style(diffy::ConflictStyle::Merge);
    let (bytes, conflicts) = match options.merge_bytes(&left.bytes, &now.bytes, &target.bytes) {
        Ok(merged) => (merged, 0),
        Err(marked) => {
            let conflicts = count_marks(&marked).saturating_sub(count_marks(&now.bytes));
            (named(&marked), conflicts.max(1))
        }
    };
    let kind = if now.kind == left.kind {
        target.kind
    } else {
        now.kind
    };
    Some(Merged {
        content: Content { kind, bytes },
        conflicts,
    })
}

const OURS: &[u8] = b"<<<<<<< ours\n";
const THEIRS: &[u8] = b">>>>>>> theirs\n";

fn count_marks(bytes: &[u8]) -> u32 {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    u32::try_from(lines.filter(|line| *line == OURS).count()).unwrap_or(u32::MAX)
}

/// With marks that say whose lines stand between them.
fn named(marked: &[u8]) -> Vec<u8> {
    let mut named = Vec::with_capacity(marked.len());
    for line in marked.split_inclusive(|byte| *byte == b'\n') {
        match line {
            OURS => named.extend_from_slice(b"<<<<<<< as it is now\n"),
            THEIRS => named.extend_from_slice(b">>>>>>> as it was\n"),
            other => named.extend_from_slice(other),
        }
    }
    named
}

fn is_text(content: &Content) -> bool {
    content.kind != FileKind::Link
        && content.bytes.len() <= MOST_COMPARED
        && !content.bytes.contains(&0)
        && std::str::from_utf8(&content.bytes).is_ok()
}

/// The room for diffs in one answer: what a face is sent is bounded, however many files changed.
pub(crate) struct Room(usize);

impl Room {
    pub(crate) const fn new() -> Self {
        Self(MOST_TOLD)
    }

    /// A unified diff for a person, as long as there is room.
    pub(crate) fn diff(&mut self, before: Option<&Content>, after: Option<&Content>) -> String {
        if self.0 == 0 {
            return "not shown: too much differs\n".to_owned();
        }
        let diff = diff(before, after);
        self.0 = self.0.saturating_sub(diff.len());
        diff
    }
}

/// A unified diff for a person, cut to a sane size; words where there are no lines to compare.
fn diff(before: Option<&Content>, after: Option<&Content>) -> String {
    let words = |content: Option<&Content>| match content {
        None => "nothing".to_owned(),
        Some(Content {
            kind: FileKind::Link,
            bytes,
        }) => {
            format!("a link to {}", String::from_utf8_lossy(bytes))
        }
        Some(content) => format!("{} bytes", content.bytes.len()),
    };
    if ![before, after].into_iter().flatten().all(is_text) {
        return format!("{} became {}\n", words(before), words(after));
    }
    let text = |content: Option<&Content>| {
        content.map_or_else(String::new, |content| {
            String::from_utf8_lossy(&content.bytes).into_owned()
        })
    };
    let (old, new) = (text(before), text(after));
    let patch = diffy::create_patch(&old, &new).to_string();
    // The names of files stand above it.
    let mut diff: String = patch.split_inclusive('\n').skip(2).collect();
    if diff.len() > MOST_SHOWN {
        let cut = diff.floor_char_boundary(MOST_SHOWN);
        let more = diff[cut..].lines().count();
        diff.truncate(cut);
        let _ = write!(diff, "\n… {more} more lines\n");
    }
    diff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Content {
        Content {
            kind: FileKind::Plain,
            bytes: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_persons_lines_stay_where_the_agents_go() {
        let target = text("one\ntwo\nthree\nfour\nfive\n");
        let left = text("one\nTWO\nthree\nfour\nfive\n");
        let now = text("one\nTWO\nthree\nfour\nFIVE\n");
        let merged = take_out(Some(&left), Some(&now), Some(&target));
        let merged = merged.expect("they are texts");
        assert_eq!(merged.conflicts, 0);
        assert_eq!(merged.content, text("one\ntwo\nthree\nfour\nFIVE\n"));
    }

    #[test]
    fn lines_that_both_changed_stand_between_marks() {
        let (target, left, now) = (text("a\n"), text("b\n"), text("c\n"));
        let merged = take_out(Some(&left), Some(&now), Some(&target));
        let merged = merged.expect("they are texts");
        assert_eq!(merged.conflicts, 1);
        assert_eq!(
            merged.content,
            text("<<<<<<< as it is now\nc\n=======\na\n>>>>>>> as it was\n")
        );
    }

    #[test]
    fn what_has_no_lines_is_not_merged() {
        let (a, b) = (text("a\0"), text("b\n"));
        assert!(take_out(Some(&a), Some(&b), Some(&b)).is_none());
        assert!(take_out(None, Some(&b), Some(&b)).is_none());
    }

    #[test]
    fn differences_are_told() {
        let link = Content {
            kind: FileKind::Link,
            bytes: b"there".to_vec(),
        };
        assert_eq!(diff(None, Some(&text("a\n"))), "@@ -0,0 +1 @@\n+a\n");
        assert_eq!(
            diff(Some(&text("a\n")), Some(&link)),
            "2 bytes became a link to there\n"
        );
        let long: String = "x\n".repeat(100_000);
        assert!(diff(None, Some(&text(&long))).ends_with("more lines\n"));
    }

    #[test]
    fn however_many_files_differ_what_is_shown_is_bounded() {
        let (mut room, long) = (Room::new(), text(&"x\n".repeat(40_000)));
        let shown = (0..1_000).map(|_| room.diff(None, Some(&long)).len());
        assert!(shown.sum::<usize>() < MOST_TOLD + 2 * MOST_SHOWN);
    }
}
