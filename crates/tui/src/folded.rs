//! What was shown in short and can be shown in full: calls that are over, and what was thought last.

use std::collections::VecDeque;

use quire_protocol::{counted, joined_text};
use ratatui_core::text::Line;

use crate::app::App;
use crate::calls::{Details, Ended, ended, thoughts};
use crate::conversation::Conversation;
use crate::wish::Wish;

/// Calls that are kept.
const CALLS: usize = 100;
/// Bytes of their results that are kept.
const BYTES: usize = 2_000_000;

/// The last calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Oldest first.
    kept: VecDeque<Ended>,
    /// How many were let go.
    first: u64,
    bytes: usize,
    /// How many of the last were shown again, one after the other.
    again: usize,
}

impl Calls {
    /// Keeps a call; gives its number, by which it is found while it is kept.
    pub(crate) fn keep(&mut self, call: Ended) -> u64 {
        self.again = 0;
        self.bytes += weight(&call);
        self.kept.push_back(call);
        while self.kept.len() > CALLS || self.bytes > BYTES {
            let Some(old) = self.kept.pop_front() else {
                break;
            };
            self.bytes -= weight(&old);
            self.first += 1;
        }
        self.first + self.kept.len() as u64
    }

    /// A call by its number.
    pub(crate) fn get(&self, number: u64) -> Option<&Ended> {
        let place = number.checked_sub(self.first + 1)?;
        self.kept.get(usize::try_from(place).ok()?)
    }

    /// The last so many calls before the `skipped` very last, oldest first.
    fn last(&self, many: usize, skipped: usize) -> impl Iterator<Item = &Ended> {
        let end = self.kept.len().saturating_sub(skipped);
        self.kept.range(end.saturating_sub(many)..end)
    }
}

fn weight(call: &Ended) -> usize {
    let diffs = call.outcome.changes.iter().map(|change| change.diff.len());
    joined_text(&call.outcome.content).len() + diffs.sum::<usize>()
}

impl Conversation {
    /// Shows the last call in full, and each further time the one before it; fails with what to tell
    /// the person.
    pub(crate) fn show_again(&mut self) -> Result<(), String> {
        let lines = self.in_full(1, self.ended.again);
        if lines.is_empty() {
            return Err(match self.ended.again {
                0 => "no tool has run yet".to_owned(),
                _ => "there is no earlier call that is kept".to_owned(),
            });
        }
        self.ended.again += 1;
        self.show(lines);
        Ok(())
    }

    fn in_full(&self, many: usize, skipped: usize) -> Vec<Line<'static>> {
        self.ended
            .last(many, skipped)
            .flat_map(|call| ended(call, Details::Whole, self.columns))
            .collect()
    }
}

/// `/show`: calls in full, and how those that follow are shown.
pub(crate) fn show(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    let conversation = &mut app.conversation;
    let many = match words {
        "" => return Ok(vec![Wish::Unfold]),
        "always" => {
            conversation.details = Details::Shown;
            app.notice = Some("what tools print is shown from here on".to_owned());
            return Ok(Vec::new());
        }
        "folded" => {
            conversation.details = Details::Folded;
            app.notice = Some("tools are one line again from here on".to_owned());
            return Ok(Vec::new());
        }
        many => many.parse().ok().filter(|many| *many > 0),
    };
    let many: usize = many.ok_or("what? /show, /show NUMBER of calls, /show always or folded")?;
    let lines = conversation.in_full(many, 0);
    if lines.is_empty() {
        return Err("no tool has run yet".to_owned());
    }
    let kept = conversation.ended.kept.len();
    conversation.show(lines);
    if kept < many {
        let kept = counted(kept as u64, "call");
        app.notice = Some(format!("{kept} are kept: `quire sessions show` has all"));
    }
    Ok(Vec::new())
}

/// `/thinking`: what was thought last, in full, and how thinking that follows is shown.
pub(crate) fn thinking(app: &mut App, words: &str) -> Result<Vec<Wish>, String> {
    let conversation = &mut app.conversation;
    match words {
        "" => {
            let lines = thoughts(&conversation.thought, Details::Whole);
            if lines.is_empty() {
                return Err("nothing was thought that can be shown".to_owned());
            }
            conversation.show(lines);
        }
        "on" => {
            conversation.thinking = Details::Shown;
            app.notice = Some(
                "thinking is shown from here on; `quire config set thinking_shown true` keeps it"
                    .to_owned(),
            );
        }
        "off" => {
            conversation.thinking = Details::Folded;
            app.notice = Some("thinking is one line again from here on".to_owned());
        }
        _ => return Err("what? /thinking, /thinking on or /thinking off".to_owned()),
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use quire_protocol::{CallKind, Shown, ToolOutcome, ToolStatus};

    use super::*;

    #[test]
    fn calls_are_kept_within_bounds() {
        let call = |text: String| Ended {
            shown: Shown {
                name: "bash".into(),
                detail: String::new(),
                kind: CallKind::Command,
            },
            outcome: ToolOutcome::text(ToolStatus::Done, text),
            took_ms: 0,
        };
        let mut calls = Calls::default();
        for number in 0..150 {
            calls.keep(call(number.to_string()));
        }
        assert_eq!(calls.kept.len(), CALLS);
        let last: Vec<String> = calls
            .last(2, 1)
            .map(|call| joined_text(&call.outcome.content))
            .collect();
        assert_eq!(last, ["147", "148"]);
        for _ in 0..5 {
            let last = calls.keep(call("x".repeat(BYTES / 3)));
            assert!(calls.get(last).is_some());
            assert!(calls.get(last + 1).is_none());
        }
        assert!(calls.get(1).is_none());
        assert!(calls.bytes <= BYTES);
        assert_eq!(calls.kept.len(), 3);
    }
}
