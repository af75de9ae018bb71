//! What a person sees of a changed file: how much, and the first lines of its diff.

use std::fmt::Write as _;

use quire_protocol::{ChangeKind, FileChange, Proposed};

use crate::Style;
use crate::style::Paint;
use crate::text::{clean, counted, visible};

/// Lines of a diff that are shown.
const SHOWN: usize = 20;

/// `✎ src/lib.rs +3 −1` and a short diff.
pub(crate) fn change(change: &FileChange, style: Style) -> String {
    let path = clean(&change.path.display().to_string()).replace('\n', " ");
    let lines = body(&change.diff);
    let count = |sign: char| lines.iter().filter(|line| line.starts_with(sign)).count();
    let mut text = format!(
        "{} {}",
        style.paint(Paint::Cyan, "✎"),
        style.paint(Paint::Bold, &path)
    );
    match change.kind {
        ChangeKind::Added => text.push_str(&style.paint(Paint::Dim, " new")),
        ChangeKind::Deleted => text.push_str(&style.paint(Paint::Dim, " deleted")),
        ChangeKind::Modified => {}
    }
    if !lines.is_empty() {
        let added = style.paint(Paint::Green, &format!("+{}", count('+')));
        let removed = style.paint(Paint::Red, &format!("−{}", count('-')));
        let _ = write!(text, " {added} {removed}");
    }
    text.push('\n');
    for line in lines.iter().take(SHOWN) {
        let line = style.paint(signed(line), &style.fit(&clean(line), 4));
        let _ = writeln!(text, "    {line}");
    }
    if lines.len() > SHOWN {
        let more = format!(
            "    … {}",
            counted((lines.len() - SHOWN) as u64, "more line")
        );
        text.push_str(&style.paint(Paint::Dim, &more));
        text.push('\n');
    }
    text
}

/// All of a change that a person is asked about, with everything in it visible.
pub(crate) fn proposed(change: &Proposed, style: Style) -> String {
    let path = style.paint(Paint::Cyan, &visible(&change.path).replace('\n', " "));
    let mut text = format!("    {path}\n");
    for line in change.diff.lines().skip(1) {
        let _ = writeln!(text, "      {}", style.paint(signed(line), &visible(line)));
    }
    text
}

fn signed(line: &str) -> Paint {
    match line.as_bytes().first() {
        Some(b'+') => Paint::Green,
        Some(b'-') => Paint::Red,
        _ => Paint::Dim,
    }
}

/// The diff without the two lines that name the file.
fn body(diff: &str) -> Vec<&str> {
    let lines: Vec<&str> = diff.lines().collect();
    let start = lines
        .iter()
        .position(|line| line.starts_with("@@"))
        .unwrap_or(0);
    lines[start..]
        .iter()
        .copied()
        .filter(|line| !line.starts_with('\\'))
        .collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::Color;

    #[test]
    fn a_change_shows_its_size_and_its_diff() {
        let modified = FileChange {
            path: "src/lib.rs".into(),
            kind: ChangeKind::Modified,
            diff: "--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -1,3 +1,3 @@\n fn f() {\n--- one\n+two\n }\n"
                .into(),
        };
        expect![[r"
            ✎ src/lib.rs +1 −1
                @@ -1,3 +1,3 @@
                 fn f() {
                --- one
                +two
                 }
        "]]
        .assert_eq(&change(&modified, Style::default()));
        let colored = Style {
            color: Color::Always,
            width: 0,
        };
        assert!(change(&modified, colored).contains("\x1b[32m+two\x1b[0m"));
    }

    #[test]
    fn long_diffs_are_cut() {
        let lines = "+line\n".repeat(50);
        let added = FileChange {
            path: "new.txt".into(),
            kind: ChangeKind::Added,
            diff: format!("--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1,50 @@\n{lines}"),
        };
        let text = change(&added, Style::default());
        assert!(text.starts_with("✎ new.txt new +50 −0\n"), "{text}");
        assert!(text.ends_with("    … 31 more lines\n"), "{text}");
        let deleted = FileChange {
            path: "old".into(),
            kind: ChangeKind::Deleted,
            diff: String::new(),
        };
        assert_eq!(change(&deleted, Style::default()), "✎ old deleted\n");
    }
}
