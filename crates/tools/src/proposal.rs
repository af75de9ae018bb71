//! What a call would make of files, as far as its arguments say it: nobody looks at the files. Pure.

use std::time::Duration;

use quire_protocol::Proposed;
use similar::{ChangeTag, TextDiff};

use crate::report;

/// How long texts are compared; what is left then goes and comes as a whole.
const COMPARING: Duration = Duration::from_millis(100);

/// A change of a file that is asked for.
#[derive(Debug)]
pub(crate) struct Proposal {
    /// Which file.
    pub(crate) path: String,
    /// Where it is moved to.
    pub(crate) moved_to: Option<String>,
    /// What becomes of it, in a word or two.
    pub(crate) fate: &'static str,
    /// Hunks, each line with its sign.
    hunks: Vec<String>,
}

impl Proposal {
    pub(crate) fn new(path: String, fate: &'static str) -> Self {
        Self {
            path,
            moved_to: None,
            fate,
            hunks: Vec::new(),
        }
    }

    /// One part of the file in the place of another, which is none where all of it comes.
    pub(crate) fn replaces(mut self, old: &str, new: &str) -> Self {
        let compared = TextDiff::configure()
            .timeout(COMPARING)
            .diff_lines(old, new);
        let mut hunk = String::new();
        for change in compared.iter_all_changes() {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            line(&mut hunk, sign, change.value());
        }
        self.hunks.push(hunk);
        self
    }

    /// Lines with what becomes of them.
    pub(crate) fn hunk<'a>(mut self, lines: impl Iterator<Item = (char, &'a str)>) -> Self {
        let mut hunk = String::new();
        lines.for_each(|(sign, text)| line(&mut hunk, sign, text));
        self.hunks.push(hunk);
        self
    }

    /// The file, by the name that it has now and the one that it gets.
    pub(crate) fn title(&self) -> String {
        match &self.moved_to {
            Some(target) => format!("{} → {target}", self.path),
            None => self.path.clone(),
        }
    }

    /// What it would touch, in a line.
    pub(crate) fn touch(&self) -> String {
        format!("{} ({})", self.title(), self.fate)
    }

    /// What is shown of it.
    pub(crate) fn proposed(&self) -> Proposed {
        let hunks = self.hunks.iter().map(|hunk| format!("@@\n{hunk}"));
        Proposed {
            path: self.title(),
            diff: report::bounded(hunks.collect()),
        }
    }
}

/// A line as a diff has it; what ends it is no part of it.
fn line(hunk: &mut String, sign: char, text: &str) {
    hunk.push(sign);
    hunk.push_str(text.strip_suffix('\n').unwrap_or(text));
    hunk.push('\n');
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::expect;
    use serde_json::json;

    use super::*;
    use crate::toolbox::Tool;

    #[test]
    fn calls_say_what_they_would_make_of_files() {
        let patch = "*** Begin Patch\n*** Add File: new\n+one\n*** Update File: a\n\
                     *** Move to: b\n@@ fn f\n keep\n-old\n+new\n*** Delete File: c\n*** End Patch";
        let edits = json!({"path": "a", "edits": [
            {"old": "one\n", "new": "two\n"}, {"old": "x", "new": "", "all": true},
        ]});
        let mut told = String::new();
        for (tool, arguments) in [
            (Tool::Write, json!({"path": "a/b", "content": "one\ntwo"})),
            (Tool::Edit, edits),
            (Tool::ApplyPatch, json!({"input": patch})),
        ] {
            for proposal in tool.proposals(&arguments.to_string()) {
                let _ = write!(told, "{}\n{}", proposal.touch(), proposal.proposed().diff);
            }
        }
        expect![[r"
            a/b (new, or replaced as a whole)
            @@
            +one
            +two
            a (changed, wherever that stands in it)
            @@
            -one
            +two
            @@
            -x
            new (new)
            @@
            +one
            a → b (moved and changed)
            @@
             keep
            -old
            +new
            c (deleted)
        "]]
        .assert_eq(&told);
    }

    #[test]
    fn hunks_have_signs_and_no_places() {
        let proposal = Proposal::new("a".to_owned(), "changes")
            .replaces("one\ntwo\n", "one\n@@ three")
            .hunk([('-', "x"), ('+', "+++ y")].into_iter());
        let proposed = proposal.proposed();
        let diff = "@@\n one\n-two\n+@@ three\n@@\n-x\n++++ y\n";
        assert_eq!(proposed.diff, diff);
    }

    #[test]
    fn a_large_one_says_what_is_left_out() {
        let proposal = Proposal::new("a".to_owned(), "written");
        let diff = proposal
            .replaces("", &"line\n".repeat(20_000))
            .proposed()
            .diff;
        assert!(diff.ends_with("left out\n") && diff.len() < 40_000);
    }
}
