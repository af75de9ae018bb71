//! What each record changes in a conversation.

use quire_protocol::{
    Answer, Approval, CallId, CallKind, CompactionStep, Content, Delivery, GoalStep, Item, JobId,
    MessageId, Pause, PlanStatus, PlanStep, Purpose, Settings, Shown, StopReason, ToolOutcome,
    counted, duration, first_line, first_sentence, joined_text,
};
use ratatui_core::text::Line;

use super::{Conversation, Job, Kind, Pending, Running, Turn, asks_to, is_long, whole};
use crate::calls::{Details, Ended};
use crate::commands::plan::{OFFER, is_planning};
use crate::commands::review;
use crate::look;
use crate::markdown::Markdown;
use crate::rows::{safe, wrap};
use crate::setup::Form;
use crate::shell;
use crate::stream::Stream;
use crate::travel::Said;
use crate::view::facts;
use crate::words;

/// Lines of a message that are shown.
const OF_MESSAGE: usize = 20;

impl Conversation {
    pub(super) fn configured(&mut self, settings: &Settings) {
        if let Some(before) = &self.settings
            && let Some(change) = words::settings_changed(before, settings)
        {
            self.note(&change);
        }
        self.allowed
            .retain(|rule| settings.policy.rules.contains(rule));
        self.settings = Some(settings.clone());
    }

    /// What was said is shown where it is heard; a note, where it was made.
    pub(super) fn accepted(&mut self, pending: Pending) {
        self.said.push(pending.title());
        if pending.delivery == Delivery::Note {
            self.add(Kind::Person, shell::shown(&pending.text));
        }
        self.pending.push(pending);
    }

    pub(super) fn delivered(&mut self, message: &MessageId, at_ms: u64) {
        if let Some(pending) = self.take_pending(message) {
            let waited_ms = at_ms.saturating_sub(pending.at_ms);
            if pending.delivery == Delivery::Note {
                return self.note(&format!("heard from here on: {}", pending.title()));
            }
            self.messages.push(Said {
                message: message.clone(),
                text: pending.text.clone(),
                content: pending.content.clone(),
            });
            let lines = said(&pending, waited_ms, self.details);
            self.add(Kind::Person, lines);
        }
    }

    pub(super) fn withdrawn(&mut self, message: &MessageId) {
        let taken = self.take_pending(message);
        self.withdrawn.extend(taken);
    }

    /// What waits to be answered, and what runs, is the other session's; notes go with what is said next.
    pub(super) fn forked(&mut self) {
        let is_note = |pending: &Pending| pending.delivery == Delivery::Note;
        self.pending.retain(is_note);
        self.jobs.clear();
    }

    fn take_pending(&mut self, message: &MessageId) -> Option<Pending> {
        let mut pending = self.pending.iter();
        let place = pending.position(|pending| pending.message == *message)?;
        Some(self.pending.remove(place))
    }

    pub(super) fn called(&mut self, purpose: &Purpose) {
        if self.turn == Turn::Waits {
            self.turn = Turn::Works;
        }
        self.request = Some(purpose.clone());
        let markdown = Markdown::new(self.form, self.columns);
        self.stream = Stream::new(self.thinking, markdown);
        self.failure.clear();
        self.told = false;
    }

    pub(super) fn replied(&mut self, items: &[Item]) {
        let purpose = self.request.take().unwrap_or_default();
        let stream = std::mem::take(&mut self.stream);
        if !purpose.is_work() {
            return;
        }
        self.spoke = items.iter().any(|item| match item {
            Item::Assistant { text, .. } => !text.trim().is_empty(),
            Item::ToolCall(_) => true,
            _ => false,
        });
        self.why = why(items);
        for item in items {
            match item {
                Item::ToolCall(call) => {
                    self.calls.insert(call.call, call.shown());
                }
                Item::Thinking { text, .. } if !text.trim().is_empty() => {
                    self.thought.clone_from(text);
                }
                _ => {}
            }
        }
        let lines = stream.finish(items);
        self.add(Kind::Words, lines);
    }

    pub(super) fn failed(&mut self, words: &str) {
        self.request = None;
        let lines = std::mem::take(&mut self.stream).give_up();
        self.add(Kind::Words, lines);
        if !words.is_empty() {
            self.marked("✗", words, look::BAD);
        }
        words.clone_into(&mut self.failure);
    }

    /// What is too long to be seen whole in the question stands above it: nothing may hide.
    pub(super) fn asks(&mut self, call: CallId, approval: &Approval) {
        if is_long(approval) || self.is_too_small_for(approval) {
            let (about, what) = (self.shown(call).name, asks_to(approval));
            let mut lines = vec![look::line(
                format!("? {about} asks to {what} all of this:"),
                look::NOTICE,
            )];
            lines.extend(whole(approval, usize::MAX));
            self.add(Kind::Note, lines);
        }
        self.asked.push((call, approval.clone()));
    }

    /// Whether the screen has no room for what is asked with all that stands around it.
    fn is_too_small_for(&self, approval: &Approval) -> bool {
        const AROUND: usize = 5;
        let facts = facts(approval).into_iter().map(Line::from);
        let lines: Vec<Line<'_>> = whole(approval, usize::MAX)
            .into_iter()
            .chain(facts)
            .collect();
        let rows = lines.iter().map(|line| wrap(line, self.columns).len());
        let rows: usize = rows.sum();
        self.rows > 0 && rows + AROUND > usize::from(self.rows)
    }

    pub(super) fn answered(&mut self, call: CallId, answer: &Answer, ruled_by: Option<CallId>) {
        let place = self.asked.iter().position(|(open, _)| *open == call);
        let question = place.map(|place| self.asked.remove(place).1);
        let about = self.about(call);
        // An answer wakes what a crash cut short.
        if self.turn == Turn::Waits {
            self.turn = Turn::Works;
        }
        // It is a rule of the session now, which the next change of its settings must not lose.
        if let (Answer::AllowAlways, Some(question), Some(settings)) =
            (answer, question, &mut self.settings)
        {
            self.allowed.extend(question.always());
            settings.policy.rules.extend(question.always());
        }
        match answer {
            _ if ruled_by.is_some() => {
                self.note(&format!("allowed by the rule just made: {about}"));
            }
            Answer::AllowOnce => self.note(&format!("allowed once: {about}")),
            Answer::AllowAlways => self.note(&format!("allowed for this session: {about}")),
            Answer::Deny { .. } => self.note(&format!("not allowed: {about}")),
        }
    }

    /// A call in a few words.
    pub(crate) fn about(&self, call: CallId) -> String {
        match self.calls.get(&call) {
            Some(shown) => format!("{} {}", shown.name, shown.detail),
            None => format!("call {call}"),
        }
    }

    pub(super) fn tool_started(&mut self, call: CallId, begun_ms: u64) {
        let shown = self.shown(call);
        let running = Running {
            shown,
            output: String::new(),
            begun_ms,
        };
        self.running.insert(call, running);
    }

    pub(super) fn tool_ended(&mut self, call: CallId, outcome: &ToolOutcome, at_ms: u64) {
        self.asked.retain(|(open, _)| *open != call);
        let begun_ms = self.running.remove(&call).map(|running| running.begun_ms);
        let took_ms = at_ms.saturating_sub(begun_ms.unwrap_or(at_ms));
        let ended = Ended {
            shown: self.shown(call),
            outcome: outcome.clone(),
            took_ms,
        };
        if let Some(job) = outcome.job {
            self.job_started(job, call, at_ms);
        }
        self.calls.remove(&call);
        self.add_call(ended);
    }

    /// The end of the call that started a job tells of it, or the journal before that.
    pub(super) fn job_started(&mut self, job: JobId, call: CallId, begun_ms: u64) {
        let about = self.about(call);
        self.jobs.entry(job).or_insert(Job { about, begun_ms });
    }

    pub(super) fn shown(&self, call: CallId) -> Shown {
        self.calls.get(&call).cloned().unwrap_or_else(|| Shown {
            name: format!("call {call}"),
            detail: String::new(),
            kind: CallKind::Other,
        })
    }

    pub(super) fn planned(&mut self, steps: &[PlanStep]) {
        let before = std::mem::replace(&mut self.plan, steps.to_vec());
        let done = steps
            .iter()
            .filter(|step| step.status == PlanStatus::Completed);
        let (done, all) = (done.count(), steps.len());
        self.note(&format!("plan: {done} of {all} done"));
        if self.form == Form::Plain {
            let changed = steps.iter().filter(|step| !before.contains(step));
            let lines = changed.map(|step| {
                let mark = match step.status {
                    PlanStatus::Pending => "[ ]",
                    PlanStatus::InProgress => "[>]",
                    PlanStatus::Completed => "[x]",
                };
                look::line(
                    format!("  {mark} {}", first_line(&step.text).0),
                    look::PLAIN,
                )
            });
            self.add(Kind::Note, lines.collect());
        }
    }

    pub(super) fn noticed(&mut self, text: &str) {
        let known = ["Background job", "Plan mode"];
        let told = std::mem::take(&mut self.told) || known.iter().any(|own| text.starts_with(own));
        if !told {
            self.note(&format!("told the model: {}", first_line(text).0));
        }
    }

    pub(super) fn paused(&mut self, pause: Pause, detail: &str) {
        self.pausing = pause == Pause::Asked;
        match pause {
            Pause::Limit => {
                self.turn = Turn::Waits;
                self.warn(&format!("paused: {detail}"));
                self.note("/budget raises a limit; what waits then goes on by itself");
            }
            Pause::Person => {
                self.turn = Turn::Waits;
                self.warn("paused: Enter goes on with it, and so does what you say");
            }
            Pause::Asked => self.note("it pauses after this step; what you say takes that back"),
            Pause::Withdrawn => self.note("it goes on without a pause"),
        }
    }

    pub(super) fn compacted(&mut self, step: &CompactionStep) {
        match step {
            CompactionStep::Asked { .. } => {
                self.note("the context is compacted at the next step");
            }
            CompactionStep::Done { compaction } => {
                self.compactions += 1;
                self.note(&words::compacted(compaction));
            }
            CompactionStep::Failed { reason, .. } => {
                self.warn(&format!("a compaction failed: {reason}"));
            }
            CompactionStep::Undone => {
                self.compactions = self.compactions.saturating_sub(1);
                self.note("the last compaction was taken back");
            }
        }
    }

    pub(super) fn goal(&mut self, step: &GoalStep) {
        match step {
            GoalStep::Set { goal } => {
                self.goal = Some(goal.text.clone());
                self.told = true;
            }
            GoalStep::Judged { .. } => self.told = true,
            GoalStep::Dropped { .. } => self.goal = None,
        }
        self.note(&words::goal(step));
    }

    pub(super) fn ended(&mut self, reason: StopReason, detail: &str) {
        self.turn = Turn::None;
        self.pausing = false;
        self.request = None;
        self.running.clear();
        self.asked.clear();
        let words = words::ended(reason, detail);
        let sum = self.meter.turn_in_words();
        match reason {
            StopReason::EndTurn if self.spoke => {
                self.note(&format!("done{sum}"));
                if is_planning(self) {
                    self.note(OFFER);
                }
            }
            StopReason::EndTurn => self.warn("the model ended without an answer"),
            // Why was just said.
            StopReason::Error if !self.failure.is_empty() => {
                self.warn(&format!(
                    "the turn failed{sum}; your next message goes on from here"
                ));
            }
            StopReason::Cancelled => self.warn(&format!("{words}{sum}")),
            _ => self.warn(&words),
        }
        if self
            .plan
            .iter()
            .all(|step| step.status == PlanStatus::Completed)
        {
            self.plan.clear();
        }
    }
}

/// Why a reply does what it does: the first sentence of what it said last, or else of what it thought.
fn why(items: &[Item]) -> String {
    let words = |wanted: fn(&Item) -> Option<&String>| {
        let mut all = items.iter().rev().filter_map(wanted);
        all.find(|text| !text.trim().is_empty())
    };
    let said = words(|item| match item {
        Item::Assistant { text, .. } => Some(text),
        _ => None,
    });
    let thought = || {
        words(|item| match item {
            Item::Thinking { text, .. } => Some(text),
            _ => None,
        })
    };
    let text = said.or_else(thought);
    text.map(|text| first_sentence(text)).unwrap_or_default()
}

/// A message as text, with signs for what is none.
pub(super) fn shown_text(content: &[Content]) -> String {
    let images = content.iter().filter(|part| part.as_text().is_none());
    let mut text = joined_text(content);
    // Those that are named in it stand there already.
    let named = text.matches("[image ").count();
    for _ in images.skip(named) {
        text.push_str(if text.is_empty() { "" } else { "\n" });
        text.push_str("(an image)");
    }
    text
}

/// A person's message, and how long it waited to be heard.
fn said(pending: &Pending, waited_ms: u64, details: Details) -> Vec<Line<'static>> {
    let text = pending.text.trim_end();
    let title = review::title(text).filter(|_| details == Details::Folded);
    let text = title.as_deref().unwrap_or(text);
    let all = text.lines().count();
    let mut lines: Vec<Line<'static>> = text
        .lines()
        .take(OF_MESSAGE)
        .enumerate()
        .map(|(number, line)| {
            let mark = if number == 0 { "› " } else { "  " };
            look::mixed([(mark.to_owned(), look::MARK), (safe(line), look::BOLD)])
        })
        .collect();
    if all > OF_MESSAGE {
        let more = counted((all - OF_MESSAGE) as u64, "more line");
        lines.push(look::line(format!("  … {more}"), look::DIM));
    }
    if pending.joins {
        let class = match pending.delivery {
            Delivery::Steer => "  steered: heard from this step on",
            Delivery::Queue => "  was queued: heard after the turn",
            Delivery::Note => "  noted: heard from this step on",
        };
        let waited = match waited_ms / 1000 {
            0 => String::new(),
            seconds => format!(", {} after it was said", duration(seconds * 1000)),
        };
        lines.push(look::line(format!("{class}{waited}"), look::DIM));
    }
    lines
}
