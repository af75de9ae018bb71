//! What a person sees of a tool's result: how it went, how much it said, the lines that matter.

use quire_protocol::{CommandEnd, Content, ToolOutcome, ToolStatus};

use crate::Style;
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
    /// Says how many milliseconds it took, unless that is not worth saying.
    pub(crate) fn add_time(&mut self, took_ms: u64) {
        if took_ms >= WORTH_SAYING_MS {
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

/// Sums up a result. How it went and how much there is come as data: its text is the model's, and
/// a command may print any.
pub(crate) fn summary(outcome: &ToolOutcome) -> Summary {
    if let Some(job) = outcome.job {
        return Summary {
            words: format!("job {job}, in the background"),
            paint: Paint::Dim,
            lines: Vec::new(),
        };
    }
    let text = text_of(&outcome.content);
    match (outcome.status, outcome.end) {
        (ToolStatus::Done | ToolStatus::Failed, Some(end)) => command(end, &text, outcome),
        (ToolStatus::Done, None) => Summary {
            words: size(&text, outcome),
            paint: Paint::Dim,
            lines: Vec::new(),
        },
        (ToolStatus::Failed, None) => failure("failed", Paint::Red, &text),
        (ToolStatus::Denied, _) => failure("refused", Paint::Yellow, &text),
        (ToolStatus::Cancelled, _) => failure("cancelled", Paint::Yellow, ""),
        (ToolStatus::Lost, _) => failure("lost in a crash; it is not run again", Paint::Yellow, ""),
    }
}

fn text_of(content: &[Content]) -> String {
    let texts: Vec<&str> = content.iter().filter_map(Content::as_text).collect();
    texts.join("\n")
}

/// How many lines there are; of a tool that does not say, those that the model sees.
fn lines_of(text: &str, outcome: &ToolOutcome) -> u64 {
    outcome.lines.unwrap_or_else(|| line_count(text))
}

fn size(text: &str, outcome: &ToolOutcome) -> String {
    let content = &outcome.content;
    let images = content
        .iter()
        .filter(|part| part.as_text().is_none())
        .count() as u64;
    match images {
        0 => counted(lines_of(text, outcome), "line"),
        images => counted(images, "image"),
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

/// How a command ended and how much it printed, with its last lines: more of them when it did not
/// succeed.
fn command(end: CommandEnd, text: &str, outcome: &ToolOutcome) -> Summary {
    let success = end == CommandEnd::Exited { code: 0 };
    let most = if success { PROOF } else { SHOWN };
    let (all, lines) = match lines_of(text, outcome) {
        0 => (0, Vec::new()),
        all => (all, last_lines(printed(text, end), most)),
    };
    let count = match lines.len() as u64 {
        shown if 0 < shown && shown < all => format!("last {shown} of {}", counted(all, "line")),
        _ => counted(all, "line"),
    };
    let end = match end {
        CommandEnd::Exited { code: 0 } => "ok".to_owned(),
        CommandEnd::Exited { code } => format!("exit {code}"),
        CommandEnd::Signalled { .. } | CommandEnd::OverLimit | CommandEnd::TimedOut { .. } => {
            end.to_string()
        }
    };
    Summary {
        words: format!("{end}, {count}"),
        paint: if success { Paint::Dim } else { Paint::Red },
        lines,
    }
}

/// What a command printed, without the line that tells the model how it ended. A success has one
/// only when it took long.
fn printed(text: &str, end: CommandEnd) -> &str {
    let text = text.trim_end();
    let (output, last) = text.rsplit_once('\n').unwrap_or(("", text));
    let closed = match end {
        CommandEnd::Exited { code: 0 } => last.starts_with("[took ") && last.ends_with(" s]"),
        CommandEnd::Exited { .. }
        | CommandEnd::Signalled { .. }
        | CommandEnd::OverLimit
        | CommandEnd::TimedOut { .. } => true,
    };
    if closed { output } else { text }
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

    fn block(outcome: &ToolOutcome) -> String {
        let block = summary(outcome).block(Style::default());
        format!("result:\n{block}")
    }

    fn exited(code: i32, lines: u64, text: &str) -> ToolOutcome {
        ToolOutcome {
            end: Some(CommandEnd::Exited { code }),
            lines: Some(lines),
            ..ToolOutcome::text(ToolStatus::Done, text)
        }
    }

    fn found(lines: u64, text: &str) -> ToolOutcome {
        ToolOutcome {
            lines: Some(lines),
            ..ToolOutcome::text(ToolStatus::Done, text)
        }
    }

    fn check(outcome: &ToolOutcome, expected: &Expect) {
        expected.assert_eq(&block(outcome));
    }

    #[test]
    fn commands_in_a_few_lines() {
        for (outcome, words) in [
            (exited(0, 2, "a\nb\n"), "ok, 2 lines\n    a\n    b"),
            (
                exited(0, 3, "a\nb\nc\n"),
                "ok, last 2 of 3 lines\n    b\n    c",
            ),
            (exited(0, 0, "(no output)"), "ok, 0 lines"),
            (exited(0, 1, "a\n[took 12 s]"), "ok, 1 line\n    a"),
            (exited(2, 0, "[exit code 2]"), "exit 2, 0 lines"),
            (exited(0, 1, "[1, 2]"), "ok, 1 line\n    [1, 2]"),
            (
                ToolOutcome::failed("no such command tool"),
                "failed: no such command tool",
            ),
            (
                ToolOutcome::text(ToolStatus::Lost, "x"),
                "lost in a crash; it is not run again",
            ),
        ] {
            let expected = format!("result:\n  └ {words}\n");
            assert_eq!(block(&outcome), expected);
        }
        check(
            &exited(101, 3, "a\n\n\x1b[31mb\x1b[0m\n[exit code 101][took 13 s]"),
            &expect![[r#"
                result:
                  └ exit 101, last 2 of 3 lines
                    a
                    b
            "#]],
        );
    }

    #[test]
    fn what_a_command_prints_does_not_say_how_it_ended() {
        check(
            &exited(0, 1, "[exit code 3]"),
            &expect![[r#"
                result:
                  └ ok, 1 line
                    [exit code 3]
            "#]],
        );
        check(
            &exited(1, 1, "(no output)\n[exit code 1]"),
            &expect![[r#"
                result:
                  └ exit 1, 1 line
                    (no output)
            "#]],
        );
    }

    #[test]
    fn all_lines_count_and_not_those_that_the_model_sees() {
        check(
            &exited(
                0,
                200_000,
                "1\n2\n[… 1272000 bytes left out, lines 3 to 199998 of 200000 …]\n199999\n200000",
            ),
            &expect![[r#"
                result:
                  └ ok, last 2 of 200,000 lines
                    199999
                    200000
            "#]],
        );
        for (outcome, words) in [
            (
                found(0, "No matches\n[not a regular expression: …]"),
                "0 lines",
            ),
            (found(0, "(it ends at line 3)"), "0 lines"),
            (
                found(2, "7\ta\n8\tb\n[there is more: offset 9]\n"),
                "2 lines",
            ),
        ] {
            assert_eq!(summary(&outcome).words, words);
        }
        let mut image = ToolOutcome::text(ToolStatus::Done, "image/png, 12 KB");
        image.content.push(Content::Image {
            media_type: "image/png".into(),
            data: String::new(),
        });
        assert_eq!(summary(&image).words, "1 image");
    }

    #[test]
    fn a_command_that_took_too_long_says_so_in_a_few_words() {
        let outcome = ToolOutcome {
            end: Some(CommandEnd::TimedOut { after_s: 5 }),
            lines: Some(1),
            ..ToolOutcome::failed(
                "a\n[timed out after 5 s and was killed; give a larger timeout_s, or background for what does not end]",
            )
        };
        check(
            &outcome,
            &expect![[r#"
                result:
                  └ timed out after 5 s, 1 line
                    a
            "#]],
        );
    }

    #[test]
    fn other_results_in_a_few_lines() {
        check(
            &ToolOutcome::text(ToolStatus::Done, "a\nb"),
            &expect![[r#"
                result:
                  └ 2 lines
            "#]],
        );
        check(
            &ToolOutcome::failed("no file `x`\nbut `y`"),
            &expect![[r#"
                result:
                  └ failed: no file `x`
                    but `y`
            "#]],
        );
        check(
            &ToolOutcome::text(ToolStatus::Denied, "not allowed"),
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
            &exited(1, 50, &format!("{text}\n[exit code 1]")),
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
