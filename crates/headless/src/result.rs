//! What a person sees of a tool's result: how it went, how much it said, the lines that matter.

use quire_protocol::{Content, ToolOutcome, ToolStatus};

use crate::Style;
use crate::call::{CallKind, Shown};
use crate::style::Paint;
use crate::text::{clean, counted, duration, line_count};

/// Lines of a failure that are shown.
const SHOWN: usize = 6;
/// Last lines of a success that are shown: test runners sum up there.
const PROOF: usize = 2;
/// The time from which a command's duration is shown.
const WORTH_SAYING_MS: u64 = 1000;

/// How a result is shown: in a few words, and perhaps some of its lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// In a few words.
    pub(crate) words: String,
    /// How to colour the words.
    pub(crate) paint: Paint,
    /// Lines of the result, clean.
    pub(crate) lines: Vec<String>,
}

impl Summary {
    /// Says how many milliseconds it took, unless that is not worth saying or was said.
    pub(crate) fn add_time(&mut self, took_ms: u64) {
        if took_ms >= WORTH_SAYING_MS && !self.words.contains("took ") {
            self.words.push_str(", took ");
            self.words.push_str(&duration(took_ms));
        }
    }

    /// `└ words` and the lines under it.
    pub(crate) fn block(&self, style: Style) -> String {
        let mut text = format!(
            "  {}\n",
            style.paint(self.paint, &format!("└ {}", self.words))
        );
        for line in &self.lines {
            text.push_str("    ");
            text.push_str(&style.paint(Paint::Dim, &style.fit(line, 4)));
            text.push('\n');
        }
        text
    }
}

/// Sums up a result.
pub(crate) fn summary(outcome: &ToolOutcome, shown: &Shown) -> Summary {
    if let Some(job) = outcome.job {
        return Summary {
            words: format!("job {job}, in the background"),
            paint: Paint::Dim,
            lines: Vec::new(),
        };
    }
    let text = text_of(&outcome.content);
    match outcome.status {
        ToolStatus::Done if shown.kind == CallKind::Command => command(&text),
        ToolStatus::Failed if !split_closing(&text).1.is_empty() => command(&text),
        ToolStatus::Done => Summary {
            words: size(&text, &outcome.content),
            paint: Paint::Dim,
            lines: Vec::new(),
        },
        ToolStatus::Failed => failure("failed", Paint::Red, &text),
        ToolStatus::Denied => failure("refused", Paint::Yellow, &text),
        ToolStatus::Cancelled => failure("cancelled", Paint::Yellow, ""),
        ToolStatus::Lost => failure("lost in a crash; it is not run again", Paint::Yellow, ""),
    }
}

fn text_of(content: &[Content]) -> String {
    let texts: Vec<&str> = content.iter().filter_map(Content::as_text).collect();
    texts.join("\n")
}

fn size(text: &str, content: &[Content]) -> String {
    let images = content.len() - content.iter().filter_map(Content::as_text).count();
    match (images, line_count(text)) {
        (0, lines) => counted(lines, "line"),
        (images, 0) => counted(images, "image"),
        (images, lines) => format!("{}, {}", counted(images, "image"), counted(lines, "line")),
    }
}

fn failure(words: &str, paint: Paint, text: &str) -> Summary {
    let mut lines = text.trim().lines().map(clean);
    let first = lines.next().filter(|line| !line.is_empty());
    Summary {
        words: first.map_or_else(|| words.to_owned(), |line| format!("{words}: {line}")),
        paint,
        lines: lines.take(SHOWN - 1).collect(),
    }
}

/// A command's end, told by a closing line in brackets, as in `[exit code 1][took 12 s]`; a success
/// needs none. Its last lines are shown, more of them when it did not succeed.
fn command(text: &str) -> Summary {
    let (output, closing) = split_closing(text);
    let (mut end, mut took) = (None, None);
    for part in closing.trim_matches(['[', ']']).split("][") {
        match part.strip_prefix("exit code ") {
            Some(code) => end = Some(format!("exit {}", clean(code))),
            None if part.starts_with("took ") => took = Some(clean(part)),
            None if part.is_empty() => {}
            None => end = Some(clean(part)),
        }
    }
    let success = end.as_deref().is_none_or(|end| end == "exit 0");
    let (all, lines) = (
        line_count(output),
        last_lines(output, if success { PROOF } else { SHOWN }),
    );
    let count = match lines.len() {
        shown if 0 < shown && shown < all => format!("last {shown} of {}", counted(all, "line")),
        _ => counted(all, "line"),
    };
    let mut words = vec![end.unwrap_or_else(|| "ok".to_owned()), count];
    words.extend(took);
    Summary {
        words: words.join(", "),
        paint: if success { Paint::Dim } else { Paint::Red },
        lines,
    }
}

/// What a command printed, and its closing line if there is one.
fn split_closing(text: &str) -> (&str, &str) {
    let text = text.trim_end();
    let (output, last) = text.rsplit_once('\n').unwrap_or(("", text));
    if last == "(no output)" {
        return (output, "");
    }
    let inner = last.strip_prefix('[').and_then(|l| l.strip_suffix(']'));
    let known = ["exit code ", "took ", "killed", "stopped", "timed out"];
    let is_known = |part: &str| known.iter().any(|start| part.starts_with(start));
    match inner {
        Some(parts) if parts.split("][").all(is_known) => (output, last),
        _ => (text, ""),
    }
}

/// The last lines that say something.
fn last_lines(output: &str, most: usize) -> Vec<String> {
    let said = output.lines().rev().filter(|line| !line.trim().is_empty());
    let mut lines: Vec<String> = said.take(most).map(clean).collect();
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(kind: CallKind, status: ToolStatus, text: &str, expected: &Expect) {
        expected.assert_eq(&block(kind, status, text));
    }

    fn block(kind: CallKind, status: ToolStatus, text: &str) -> String {
        let shown = Shown {
            name: "x".into(),
            detail: String::new(),
            kind,
        };
        let outcome = ToolOutcome::text(status, text);
        let block = summary(&outcome, &shown).block(Style::default());
        format!("result:\n{block}")
    }

    #[test]
    fn commands_in_a_few_lines() {
        for (status, text, words) in [
            (ToolStatus::Done, "a\nb\n", "ok, 2 lines\n    a\n    b"),
            (
                ToolStatus::Done,
                "a\nb\nc\n",
                "ok, last 2 of 3 lines\n    b\n    c",
            ),
            (ToolStatus::Done, "(no output)", "ok, 0 lines"),
            (
                ToolStatus::Done,
                "a\n[took 12 s]",
                "ok, 1 line, took 12 s\n    a",
            ),
            (ToolStatus::Done, "[exit code 2]", "exit 2, 0 lines"),
            (ToolStatus::Done, "[1, 2]", "ok, 1 line\n    [1, 2]"),
            (
                ToolStatus::Failed,
                "no such command tool",
                "failed: no such command tool",
            ),
            (
                ToolStatus::Lost,
                "x",
                "lost in a crash; it is not run again",
            ),
        ] {
            let expected = format!("result:\n  └ {words}\n");
            assert_eq!(block(CallKind::Command, status, text), expected);
        }
        check(
            CallKind::Command,
            ToolStatus::Done,
            "a\n\n\x1b[31mb\x1b[0m\n[exit code 101][took 3 s]",
            &expect![[r#"
                result:
                  └ exit 101, last 2 of 3 lines, took 3 s
                    a
                    b
            "#]],
        );
        check(
            CallKind::Command,
            ToolStatus::Failed,
            "a\n[timed out after 5 s and was killed]",
            &expect![[r#"
                result:
                  └ timed out after 5 s and was killed, 1 line
                    a
            "#]],
        );
    }

    #[test]
    fn other_results_in_a_few_lines() {
        check(
            CallKind::Other,
            ToolStatus::Done,
            "a\nb",
            &expect![[r#"
                result:
                  └ 2 lines
            "#]],
        );
        check(
            CallKind::Other,
            ToolStatus::Failed,
            "no file `x`\nbut `y`",
            &expect![[r#"
                result:
                  └ failed: no file `x`
                    but `y`
            "#]],
        );
        check(
            CallKind::Other,
            ToolStatus::Denied,
            "not allowed",
            &expect![[r#"
                result:
                  └ refused: not allowed
            "#]],
        );
    }

    #[test]
    fn a_long_failure_shows_its_end() {
        let lines: Vec<String> = (1..=50).map(|n| format!("line {n}")).collect();
        let text = lines.join("\n");
        check(
            CallKind::Command,
            ToolStatus::Done,
            &format!("{text}\n[exit code 1]"),
            &expect![[r#"
                result:
                  └ exit 1, last 6 of 50 lines
                    line 45
                    line 46
                    line 47
                    line 48
                    line 49
                    line 50
            "#]],
        );
    }
}
