//! What a person sees of a tool's result: how it went, how much it said, the lines that matter.

use quire_protocol::{Content, ToolOutcome, ToolStatus};

use crate::Style;
use crate::call::{CallKind, Shown};
use crate::style::Paint;
use crate::text::{clean, counted, line_count};

/// Lines of a failure that are shown.
const SHOWN: usize = 6;

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
    let text = text_of(&outcome.content);
    match outcome.status {
        ToolStatus::Done if shown.kind == CallKind::Command => command(&text),
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

/// A command's end: its exit code, and the last lines when it is not 0.
fn command(text: &str) -> Summary {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let ends = [lines.len().saturating_sub(1), 0];
    let found = ends
        .into_iter()
        .find_map(|at| Some((at, exit_code(lines.get(at)?)?)));
    let Some((at, code)) = found else {
        return Summary {
            words: counted(lines.len(), "line"),
            paint: Paint::Dim,
            lines: Vec::new(),
        };
    };
    let output: Vec<&str> = lines
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != at)
        .map(|(_, line)| *line)
        .collect();
    let said: Vec<&&str> = output
        .iter()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let words = format!("exit {code}, {}", counted(output.len(), "line"));
    if code == 0 {
        return Summary {
            words,
            paint: Paint::Dim,
            lines: Vec::new(),
        };
    }
    let tail = said.len().saturating_sub(SHOWN);
    Summary {
        words,
        paint: Paint::Red,
        lines: said[tail..].iter().map(|line| clean(line)).collect(),
    }
}

/// The number in `exit code 3`, `exit status: 3`, `[exit 3]`, at a short line's start.
fn exit_code(line: &str) -> Option<i64> {
    let line = line.trim().trim_start_matches(['[', '(']).to_lowercase();
    let rest = line
        .strip_prefix("exited with ")
        .or_else(|| line.strip_prefix("exit"))?;
    let rest = rest.trim_start_matches([' ', ':']);
    let rest = ["code", "status"]
        .iter()
        .find_map(|word| rest.strip_prefix(word))
        .unwrap_or(rest)
        .trim_start_matches([' ', ':']);
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '-')
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(kind: CallKind, status: ToolStatus, text: &str, expected: &Expect) {
        let shown = Shown {
            name: "x".into(),
            detail: String::new(),
            kind,
        };
        let outcome = ToolOutcome::text(status, text);
        let block = summary(&outcome, &shown).block(Style::default());
        expected.assert_eq(&format!("result:\n{block}"));
    }

    #[test]
    fn commands_in_a_few_lines() {
        check(
            CallKind::Command,
            ToolStatus::Done,
            "a\nb\nexit code 0",
            &expect![[r#"
                result:
                  └ exit 0, 2 lines
            "#]],
        );
        check(
            CallKind::Command,
            ToolStatus::Done,
            "exit code: 101\na\n\x1b[31mb\x1b[0m\n",
            &expect![[r#"
                result:
                  └ exit 101, 2 lines
                    a
                    b
            "#]],
        );
        check(
            CallKind::Command,
            ToolStatus::Done,
            "[exit 2]",
            &expect![[r#"
                result:
                  └ exit 2, 0 lines
            "#]],
        );
        check(
            CallKind::Command,
            ToolStatus::Done,
            "no code\n",
            &expect![[r#"
                result:
                  └ 1 line
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
        check(
            CallKind::Command,
            ToolStatus::Lost,
            "x",
            &expect![[r#"
                result:
                  └ lost in a crash; it is not run again
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
            &format!("{text}\nexit code 1"),
            &expect![[r#"
                result:
                  └ exit 1, 50 lines
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
