//! A tool call in a line, its result, and the changes it made. Everything foreign is made harmless.

use quire_protocol::{
    ChangeKind, CommandEnd, FileChange, Shown, ToolOutcome, ToolStatus, counted, duration,
    first_sentence, joined_text, line_count,
};
use ratatui_core::style::Style;
use ratatui_core::text::{Line, Span};

use crate::diff;
use crate::look;
use crate::rows::safe;

/// Whether results are shown in full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Details {
    /// A line, and what matters of a failure.
    #[default]
    Folded,
    /// Much of the output too.
    Shown,
    /// All of it.
    Whole,
}

/// Lines of a failure that are shown.
const OF_FAILURE: usize = 6;
/// Lines of a diff that are shown.
const OF_DIFF: usize = 12;
/// Lines of either with details.
const IN_DETAIL: usize = 200;
/// Lines of either where all of it is asked for: more than any tool gives.
const WHOLE: usize = 20_000;
/// From here on, a call's time is worth saying.
const WORTH_SAYING_MS: u64 = 1_000;

/// Thinking: its first sentence in a line, or all of it.
pub(crate) fn thoughts(text: &str, details: Details) -> Vec<Line<'static>> {
    let text = text.trim().replace("**", "");
    if text.is_empty() {
        return Vec::new();
    }
    if details == Details::Folded {
        let line = format!("~ {}", first_sentence(&text));
        return vec![look::line(line, look::DIM)];
    }
    let marks = std::iter::once("~ ").chain(std::iter::repeat("  "));
    text.lines()
        .zip(marks)
        .map(|(line, mark)| look::line(format!("{mark}{}", safe(line)), look::DIM))
        .collect()
}

/// A call that is over.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// What it is.
    pub(crate) shown: Shown,
    /// What came of it.
    pub(crate) outcome: ToolOutcome,
    /// How long it took.
    pub(crate) took_ms: u64,
}

/// A finished call with its result and its changes, for a screen of so many columns.
pub(crate) fn ended(call: &Ended, details: Details, columns: u16) -> Vec<Line<'static>> {
    let (shown, outcome, took_ms) = (&call.shown, &call.outcome, call.took_ms);
    if outcome.plan.is_some() && outcome.status == ToolStatus::Done {
        // The plan itself is shown.
        return Vec::new();
    }
    let (mark, style, words) = verdict(outcome);
    let mut spans = vec![
        Span::styled(format!("{mark} "), style),
        Span::styled(shown.name.clone(), look::BOLD),
    ];
    if !shown.detail.is_empty() {
        spans.push(Span::raw(format!(" {}", safe(&shown.detail))));
    }
    let mut notes = words;
    if took_ms >= WORTH_SAYING_MS {
        notes = format!("{notes}, {}", duration(took_ms));
    }
    let style = if mark == '✗' { style } else { look::DIM };
    spans.push(Span::styled(format!(" · {notes}"), style));
    let mut lines = vec![Line::from(spans)];
    lines.extend(output(outcome, mark == '✗', details));
    for change in &outcome.changes {
        if outcome.changes.len() > 1 || outcome.end.is_some() {
            lines.push(named(change));
        }
        let most = match details {
            Details::Folded => OF_DIFF,
            Details::Shown => IN_DETAIL,
            Details::Whole => WHOLE,
        };
        lines.extend(diff::lines(change, most, columns));
    }
    lines
}

/// How it went: a mark, how to colour it, and a few words.
fn verdict(outcome: &ToolOutcome) -> (char, Style, String) {
    let count = || {
        let text = joined_text(&outcome.content);
        let lines = outcome.lines.unwrap_or_else(|| line_count(&text));
        counted(lines, "line")
    };
    if let Some(job) = outcome.job {
        return ('✓', look::GOOD, format!("job {job}, in the background"));
    }
    match (outcome.status, outcome.end) {
        (ToolStatus::Done | ToolStatus::Failed, Some(CommandEnd::Exited { code: 0 })) => {
            ('✓', look::GOOD, count())
        }
        (ToolStatus::Done | ToolStatus::Failed, Some(CommandEnd::Exited { code })) => {
            ('✗', look::BAD, format!("exit {code}, {}", count()))
        }
        (ToolStatus::Done | ToolStatus::Failed, Some(end)) => ('✗', look::BAD, end.to_string()),
        (ToolStatus::Done, None) => match outcome.changes.as_slice() {
            [] => ('✓', look::GOOD, count()),
            [one] => ('✓', look::GOOD, extent(one)),
            several => {
                let files = counted(several.len() as u64, "file");
                ('✓', look::GOOD, files)
            }
        },
        (ToolStatus::Failed, None) => ('✗', look::BAD, "failed".to_owned()),
        (ToolStatus::Denied, _) => ('✗', look::NOTICE, "refused".to_owned()),
        (ToolStatus::Cancelled, _) => ('✗', look::NOTICE, "stopped".to_owned()),
        (ToolStatus::Lost, _) => (
            '✗',
            look::NOTICE,
            "lost in a crash; it is not run again".to_owned(),
        ),
    }
}

/// The last lines of a result, where they matter or details are wanted.
fn output(outcome: &ToolOutcome, bad: bool, details: Details) -> Vec<Line<'static>> {
    let most = match (details, bad, outcome.status) {
        (Details::Whole, ..) => WHOLE,
        (Details::Shown, ..) => IN_DETAIL,
        (Details::Folded, false, _)
        | (Details::Folded, true, ToolStatus::Cancelled | ToolStatus::Lost) => return Vec::new(),
        (Details::Folded, true, _) => OF_FAILURE,
    };
    let text = joined_text(&outcome.content);
    let mut lines: Vec<&str> = text.trim_end().lines().collect();
    // The first line says it.
    let end = outcome.end.map(|end| format!("[{end}]"));
    if end.as_deref() == lines.last().copied() {
        lines.pop();
    }
    let hidden = lines.len().saturating_sub(most);
    let mut rows = Vec::new();
    if hidden > 0 {
        rows.push(below(
            &format!("… {}", counted(hidden as u64, "line")),
            look::DIM,
        ));
    }
    rows.extend(lines[hidden..].iter().map(|line| below(line, look::DIM)));
    rows
}

/// A row below a call.
pub(crate) fn below(text: &str, style: Style) -> Line<'static> {
    look::line(format!("    {}", safe(text)), style)
}

/// `new, +3 −1`.
fn extent(change: &FileChange) -> String {
    let (added, removed) = diff::extent(change);
    let kind = match change.kind {
        ChangeKind::Added => "new, ",
        ChangeKind::Deleted => "deleted, ",
        ChangeKind::Modified => "",
    };
    format!("{kind}+{added} −{removed}")
}

/// `✎ src/lib.rs · +3 −1`, where a call changed several files.
fn named(change: &FileChange) -> Line<'static> {
    look::mixed([
        ("  ✎ ".to_owned(), look::MARK),
        (safe(&change.path.display().to_string()), look::BOLD),
        (format!(" · {}", extent(change)), look::DIM),
    ])
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use quire_protocol::{CallKind, Content};

    use super::*;

    fn check(outcome: &ToolOutcome, took_ms: u64, details: Details, expected: &Expect) {
        let call = Ended {
            shown: Shown {
                name: "bash".into(),
                detail: "cargo test".into(),
                kind: CallKind::Command,
            },
            outcome: outcome.clone(),
            took_ms,
        };
        let lines = ended(&call, details, 80);
        let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
        expected.assert_eq(&(text.join("\n") + "\n"));
    }

    #[test]
    fn results_in_a_line_and_failures_with_what_matters() {
        let printed =
            "line 0\nline 1\nline 2\nline 3\nline 4\nline 5\nline 6\nline 7\nline 8\n[exit code 2]";
        let outcome = |status, end| ToolOutcome {
            end,
            content: vec![Content::text(printed)],
            lines: Some(9),
            ..ToolOutcome::text(status, "")
        };
        let code = |code| Some(CommandEnd::Exited { code });
        check(
            &outcome(ToolStatus::Done, code(0)),
            3_250,
            Details::Folded,
            &expect![[r#"
                ✓ bash cargo test · 9 lines, 3.2 s
            "#]],
        );
        check(
            &outcome(ToolStatus::Done, code(2)),
            10,
            Details::Folded,
            &expect![[r#"
                ✗ bash cargo test · exit 2, 9 lines
                    … 3 lines
                    line 3
                    line 4
                    line 5
                    line 6
                    line 7
                    line 8
            "#]],
        );
        check(
            &ToolOutcome::text(ToolStatus::Done, "a\x1b[2J\tb"),
            0,
            Details::Shown,
            &expect![[r#"
                ✓ bash cargo test · 1 line
                    a    b
            "#]],
        );
        check(
            &ToolOutcome::text(ToolStatus::Cancelled, "x"),
            0,
            Details::Folded,
            &expect![[r#"
                ✗ bash cargo test · stopped
            "#]],
        );
    }

    #[test]
    fn changes_with_their_diff() {
        let change = FileChange {
            path: "src/lib.rs".into(),
            kind: ChangeKind::Modified,
            diff: "--- a\n+++ b\n@@ -1,3 +1,3 @@\n fn f() {\n--- one\n+two\x1b[2J\n }\n".into(),
        };
        let outcome = ToolOutcome {
            changes: vec![change],
            ..ToolOutcome::text(ToolStatus::Done, "ok")
        };
        check(
            &outcome,
            0,
            Details::Folded,
            &expect![[r#"
                ✓ bash cargo test · +1 −1
                    1  fn f() {
                    2 --- one
                    2 +two
                    3  }
            "#]],
        );
    }
}
