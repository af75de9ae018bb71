//! Records as lines for a person: a pure fold, from each record to the text it adds. Prints
//! nothing itself; the answer is not its business.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use quire_protocol::{
    Answer, Approval, CallId, CallKind, CommandEnd, Content, Delta, Event, Item, JobEnd,
    ModelError, ModelErrorKind, PlanStatus, PlanStep, Prefix, Purpose, Record, Retry, Settings,
    Shown, StopReason, TokenStop, ToolOutcome, ToolStatus,
};

use crate::Style;
use crate::answer::Words;
use crate::result::summary;
use crate::style::Paint;
use crate::tally::with_hint;
use crate::text::{clean, counted, cut, duration, first_line, first_sentence, visible};

/// The longest line about a refusal, in characters.
const REFUSAL: usize = 160;
/// What the model is told is shown whole up to so many lines.
const MOST_NOTICED: usize = 4;
/// How many characters of a call that a crash cost are shown.
const LOST_SHOWN: usize = 160;

/// What has to be remembered to show the next record.
#[derive(Debug)]
pub(crate) struct Progress {
    style: Style,
    calls: HashMap<CallId, Shown>,
    running: BTreeSet<CallId>,
    /// The call whose line was printed last, with nothing after it.
    header: Option<CallId>,
    /// What a reply without calls said: the answer, unless the turn goes on.
    held: Option<Words>,
    /// What the last request was for.
    asked: Purpose,
    /// Retries of the open request that were shown live.
    retried: usize,
    /// A note about a crash before this run.
    crash: Option<String>,
    /// Lines that the running tools have printed since the last record.
    printed: u64,
    waiting: Waiting,
    replies: u32,
    /// Whether the last reply neither said nor called anything.
    silent: bool,
    /// When the record that is being shown was made, in milliseconds since the Unix epoch.
    at_ms: u64,
    /// When each running call was started.
    begun: HashMap<CallId, u64>,
    /// Calls whose refusal was shown: their result, which is the model's, says it again.
    refused: HashSet<CallId>,
    /// Ends of jobs that were shown, in the words in which the model is told of them.
    ends: HashSet<String>,
    /// The reasons of a verdict that was shown; what the model is told of it says the same once more.
    pub(crate) judged: Option<String>,
    prefix: Prefix,
}

/// What is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// Nothing, or running tools.
    Tools,
    /// The model's answer.
    Model,
    /// A person's.
    Person,
}

impl Progress {
    pub(crate) fn new(style: Style) -> Self {
        Self {
            style,
            calls: HashMap::new(),
            running: BTreeSet::new(),
            header: None,
            held: None,
            asked: Purpose::Work,
            retried: 0,
            crash: None,
            printed: 0,
            waiting: Waiting::Tools,
            replies: 0,
            silent: false,
            at_ms: 0,
            begun: HashMap::new(),
            refused: HashSet::new(),
            ends: HashSet::new(),
            judged: None,
            prefix: Prefix::default(),
        }
    }

    /// Learns from a record of before this run, and shows nothing of it.
    pub(crate) fn learn(&mut self, record: &Record) {
        match &record.event {
            Event::PrefixSet { prefix, .. } => self.prefix = prefix.clone(),
            Event::ModelReplied { items, .. } => {
                for item in items {
                    self.learn_item(item);
                }
            }
            Event::Recovered { lost_calls, .. } => self.crash = Some(self.lost(lost_calls)),
            Event::TurnStarted { .. } | Event::TurnEnded { .. } => self.crash = None,
            _ => {}
        }
    }

    /// The text that a record adds.
    pub(crate) fn record(&mut self, record: &Record) -> String {
        let mut text = self.crash.take().unwrap_or_default();
        self.at_ms = record.at_ms;
        text.push_str(&self.event(&record.event));
        self.printed = 0;
        if !text.is_empty() && !matches!(record.event, Event::ToolStarted { .. }) {
            self.header = None;
        }
        text
    }

    fn event(&mut self, event: &Event) -> String {
        match event {
            Event::Configured { settings } => self.configured(settings),
            Event::PrefixSet { prefix, reason } => self.prefix_set(prefix, reason),
            Event::MessageAccepted { content, .. } => self.message(content),
            // What was cut is not gone on with, but answered.
            Event::MessageDelivered { .. } => self.release(),
            Event::MessageWithdrawn { .. } => {
                self.note("a message was taken back before it was heard")
            }
            // The last lines tell it.
            Event::TurnPaused { .. } | Event::TurnStarted { .. } | Event::JobStarted { .. } => {
                String::new()
            }
            Event::TurnEnded { reason, .. } => self.turn_ended(*reason),
            Event::ModelCalled { purpose, .. } => self.model_called(purpose),
            Event::ModelReplied { retries, .. } if !self.asked.is_work() => {
                self.waiting = Waiting::Tools;
                self.missed(retries)
            }
            Event::ModelReplied {
                items,
                stop,
                retries,
                ..
            } => self.model_replied(items, *stop, retries),
            Event::ModelFailed { error, retries, .. } => self.model_failed(error, retries),
            Event::ApprovalAsked { .. } => {
                self.waiting = Waiting::Person;
                String::new()
            }
            Event::ApprovalAnswered {
                call,
                answer,
                ruled_by,
            } => self.answered(*call, answer, *ruled_by),
            Event::ToolStarted { call } => self.tool_started(*call),
            Event::ToolEnded { call, outcome } if self.is_told(*call, outcome.status) => {
                self.calls.remove(call);
                String::new()
            }
            Event::ToolEnded { call, outcome } => self.tool_ended(*call, outcome),
            Event::PlanSet { steps } => self.plan(steps),
            Event::JobEnded { end } => self.job_ended(end),
            Event::Noticed { text } if self.ends.remove(text) => String::new(),
            Event::Noticed { text } if self.is_verdict(text) => String::new(),
            Event::Noticed { text } => match (first_line(text), text.lines().count()) {
                ((line, _), lines) if lines > MOST_NOTICED => self.note(&line),
                _ => self.note(text),
            },
            Event::Compaction(step) => self.compaction(step),
            Event::Goal(step) => self.goal(step),
            Event::Travel(step) => step
                .in_words()
                .map_or_else(String::new, |text| self.note(&text)),
            Event::InterruptAccepted { cause } => {
                self.warning(&format!("stopping ({})", first_line(cause).0))
            }
            Event::Recovered { lost_calls, .. } => self.lost(lost_calls),
        }
    }

    /// The text that a live fragment adds: mostly none. Costs next to nothing.
    pub(crate) fn delta(&mut self, delta: &Delta) -> String {
        match delta {
            Delta::Text { .. } | Delta::Thinking { .. } | Delta::CallWriting { .. } => {
                String::new()
            }
            Delta::ToolOutput { call, text } => {
                self.printed += text.matches('\n').count() as u64;
                self.agent_does(*call, text)
            }
            Delta::Retrying { retry } => {
                self.retried += 1;
                self.header = None;
                self.retry(retry)
            }
        }
    }

    /// What an agent does that works for a call; nothing of any other one.
    fn agent_does(&mut self, call: CallId, text: &str) -> String {
        let shown = self.calls.get(&call);
        let Some(shown) = shown.filter(|shown| shown.kind == CallKind::Agent) else {
            return String::new();
        };
        let (name, _) = shown.detail.split_once(':').unwrap_or_default();
        let lines = text
            .lines()
            .map(|line| self.note(&format!("{name}: {}", clean(line))));
        let lines = lines.collect();
        self.header = None;
        lines
    }

    /// A sign of life when nothing was recorded for `silence`.
    pub(crate) fn heartbeat(&mut self, silence: Duration) -> String {
        let waited = duration(u64::try_from(silence.as_millis()).unwrap_or(u64::MAX));
        let text = match (self.waiting, self.running.first()) {
            (Waiting::Person, _) | (Waiting::Tools, None) => return String::new(),
            (Waiting::Model, None) => format!("waiting for the model: {waited}"),
            (_, Some(first)) => self.still_running(*first, &waited),
        };
        if self.header != self.running.first().copied() {
            self.header = None;
        }
        let line = self.style.fit(&format!("  … {text}"), 0);
        format!("{}\n", self.style.paint(Paint::Dim, &line))
    }

    fn still_running(&self, first: CallId, waited: &str) -> String {
        let printed = match self.printed {
            0 => String::new(),
            lines => format!(", {}", counted(lines, "line")),
        };
        if self.header == Some(first) && self.running.len() == 1 {
            return format!("{waited}{printed}");
        }
        let others = match self.running.len() {
            1 => String::new(),
            more => format!(" and {} more", more - 1),
        };
        format!(
            "{}{others} is running: {waited}{printed}",
            self.about(first)
        )
    }

    /// What a reply said that turned out not to be the answer.
    pub(crate) fn release(&mut self) -> String {
        let held = self.held.take();
        let text = held.and_then(|answer| answer.text());
        text.map_or_else(String::new, |text| Self::commentary(&text))
    }

    /// Drops what is held: it was printed as the answer.
    pub(crate) fn answered_with_held(&mut self) {
        self.held = None;
    }

    /// A dim line about the harness.
    pub(crate) fn note(&self, text: &str) -> String {
        self.marked("·", Paint::Dim, text)
    }

    /// A line to be noticed.
    pub(crate) fn warning(&self, text: &str) -> String {
        self.marked("!", Paint::Yellow, text)
    }

    /// Lines about a failure.
    pub(crate) fn error(&self, text: &str) -> String {
        self.marked("✗", Paint::Red, text)
    }

    fn marked(&self, mark: &str, paint: Paint, text: &str) -> String {
        let text = clean(text.trim()).replace('\n', "\n  ");
        format!("{}\n", self.style.paint(paint, &format!("{mark} {text}")))
    }

    fn configured(&self, settings: &Settings) -> String {
        let name = |value: Result<serde_json::Value, serde_json::Error>| {
            let value = value.ok();
            let name = value.as_ref().and_then(serde_json::Value::as_str);
            name.unwrap_or("?").to_owned()
        };
        self.note(&format!(
            "{}, effort {}, sandbox {}, approvals {}, in {}",
            settings.model,
            settings.effort.name(),
            name(serde_json::to_value(settings.policy.sandbox)),
            name(serde_json::to_value(settings.policy.approvals)),
            quire_protocol::spelled(&settings.workspace),
        ))
    }

    /// What came late changes nothing of what requests open with, and is told when the model is.
    fn prefix_set(&mut self, prefix: &Prefix, reason: &str) -> String {
        let before = std::mem::replace(&mut self.prefix, prefix.clone());
        if self.replies == 0 || before.opens_as(prefix) {
            return String::new();
        }
        self.note(&format!("what every request opens with changed: {reason}"))
    }

    /// What a person said: its first line, for whoever reads this later.
    fn message(&self, content: &[Content]) -> String {
        let text = content
            .iter()
            .find_map(Content::as_text)
            .unwrap_or("(an image)");
        let (line, more) = first_line(text.trim());
        let more = if more { " …" } else { "" };
        let line = self.style.fit(&format!("> {line}{more}"), 0);
        format!("{}\n", self.style.paint(Paint::Bold, &line))
    }

    fn model_called(&mut self, purpose: &Purpose) -> String {
        self.waiting = Waiting::Model;
        self.retried = 0;
        self.asked = purpose.clone();
        let waits = !self.asked.is_work() || self.held.as_ref().is_some_and(Words::is_cut);
        if waits { String::new() } else { self.release() }
    }

    fn model_replied(&mut self, items: &[Item], stop: TokenStop, retries: &[Retry]) -> String {
        self.waiting = Waiting::Tools;
        self.replies += 1;
        let mut text = self.missed(retries);
        let answer = Words::of(items, stop);
        let calls = answer.is_none();
        if calls {
            text.push_str(&self.release());
        }
        for item in items {
            self.learn_item(item);
            match item {
                Item::Thinking { text: thought, .. } if !thought.trim().is_empty() => {
                    let line = format!("~ {}", first_sentence(thought));
                    text.push_str(&self.style.paint(Paint::Dim, &self.style.fit(&line, 0)));
                    text.push('\n');
                }
                Item::Assistant { text: words, .. } if words.trim().is_empty() => {}
                Item::Assistant { text: words, .. } if calls => {
                    text.push_str(&Self::commentary(words));
                }
                _ => {}
            }
        }
        self.silent = answer.as_ref().is_some_and(|said| said.text().is_none());
        if let Some(answer) = answer {
            self.held.get_or_insert_default().followed_by(answer);
        }
        text
    }

    /// Whether a notice tells the model of the verdict that was just shown.
    fn is_verdict(&mut self, notice: &str) -> bool {
        let judged = self.judged.take();
        judged.is_some_and(|reasons| notice.ends_with(&reasons))
    }

    fn model_failed(&mut self, error: &ModelError, retries: &[Retry]) -> String {
        self.waiting = Waiting::Tools;
        let missed = self.missed(retries);
        let words = with_hint(&error.message, &error.hint);
        let said = match error.kind {
            // Told with the recovery that it is part of.
            ModelErrorKind::Lost => String::new(),
            ModelErrorKind::Cancelled => self.note(&words),
            // What became of a compaction is told with the next event.
            _ if matches!(self.asked, Purpose::Summary | Purpose::Compact { .. }) => String::new(),
            _ => self.error(&words),
        };
        format!("{missed}{said}")
    }

    /// Retries that were not seen live.
    fn missed(&mut self, retries: &[Retry]) -> String {
        let seen = std::mem::take(&mut self.retried);
        let missed = retries.get(seen..).unwrap_or_default();
        missed.iter().map(|retry| self.retry(retry)).collect()
    }

    fn retry(&self, retry: &Retry) -> String {
        let (reason, _) = first_line(&retry.reason);
        let text = format!("… {reason}, trying again in {}", duration(retry.wait_ms));
        format!("{}\n", self.style.paint(Paint::Yellow, &text))
    }

    /// A question to a person, with everything in it visible.
    pub(crate) fn question(&self, call: CallId, approval: &Approval) -> String {
        let action = visible(approval.action.trim()).replace('\n', "\n    ");
        let name = self.calls.get(&call).map_or("a call", |shown| &shown.name);
        let mark = self.style.paint(Paint::Yellow, "?");
        let action = self.style.paint(Paint::Bold, &action);
        let reason = visible(approval.reason.trim()).replace('\n', " ");
        let what = if approval.changes.is_empty() {
            "run"
        } else {
            "change"
        };
        let mut text = format!("{mark} {name} asks to {what}:\n    {action}\n");
        for change in &approval.changes {
            text.push_str(&crate::diff::proposed(change, self.style));
        }
        if !approval.touches.is_empty() {
            let touches = visible(&approval.touches.join("; ")).replace('\n', " ");
            let _ = writeln!(text, "  touches: {touches}");
        }
        let _ = writeln!(text, "  why: {reason}");
        text
    }

    /// A line about a call that was refused because nobody can be asked.
    pub(crate) fn refused(&mut self, call: CallId, approval: &Approval) -> String {
        self.refused.insert(call);
        let name = self.calls.get(&call).map_or("a call", |shown| &shown.name);
        let (action, reason) = (visible(&approval.action), visible(&approval.reason));
        let (action, reason) = (first_line(&action).0, first_line(&reason).0);
        let line = format!("nobody can be asked, so not allowed: {name} {action} ({reason})");
        self.warning(&self.style.fit(&cut(&line, REFUSAL), 2))
    }

    fn answered(&mut self, call: CallId, answer: &Answer, ruled_by: Option<CallId>) -> String {
        self.waiting = Waiting::Tools;
        match answer {
            _ if ruled_by.is_some() => {
                let name = self.calls.get(&call).map_or("a call", |shown| &shown.name);
                self.note(&format!("allowed by the rule just made: {name}"))
            }
            Answer::AllowOnce => self.note("allowed once"),
            Answer::AllowAlways => self.note("allowed for the whole session"),
            Answer::Deny { .. } if !self.refused.insert(call) => String::new(),
            Answer::Deny { .. } => self.note("not allowed"),
        }
    }

    /// Whether a result was told before it came: with the recovery that it is part of, or with the
    /// answer to its question.
    fn is_told(&self, call: CallId, status: ToolStatus) -> bool {
        match status {
            ToolStatus::Lost => true,
            ToolStatus::Denied => self.refused.contains(&call),
            ToolStatus::Done | ToolStatus::Failed | ToolStatus::Cancelled => false,
        }
    }

    /// A turn that ends in silence says so: an empty answer is not to be taken for a lost one.
    fn turn_ended(&self, reason: StopReason) -> String {
        if reason == StopReason::EndTurn && self.silent {
            return self.warning("the model ended without an answer: say something to go on");
        }
        String::new()
    }

    fn job_ended(&mut self, end: &JobEnd) -> String {
        let JobEnd { job, outcome } = end;
        self.ends
            .insert(format!("Background job {job} ended: {outcome}."));
        self.note(&format!("job {job} ended: {outcome}"))
    }

    fn tool_started(&mut self, call: CallId) -> String {
        self.running.insert(call);
        self.begun.insert(call, self.at_ms);
        let Some(shown) = self.calls.get(&call) else {
            return String::new();
        };
        if shown.kind == CallKind::Other {
            return String::new();
        }
        let line = self.headline(shown, "");
        self.header = Some(call);
        line
    }

    fn tool_ended(&mut self, call: CallId, outcome: &ToolOutcome) -> String {
        self.running.remove(&call);
        let unknown = || Shown {
            name: format!("call {call}"),
            detail: String::new(),
            kind: CallKind::Other,
        };
        let shown = self.calls.remove(&call).unwrap_or_else(unknown);
        let mut text = String::new();
        let quiet = outcome.status == ToolStatus::Done && shown.kind == CallKind::Other;
        let mut result = summary(outcome);
        let begun = self.begun.remove(&call);
        let says_time = matches!(outcome.end, Some(CommandEnd::TimedOut { .. }));
        if shown.kind != CallKind::Other && outcome.job.is_none() && !says_time {
            let took = begun.map_or(0, |begun| self.at_ms.saturating_sub(begun));
            result.add_time(took);
        }
        if !quiet {
            if self.header != Some(call) {
                text.push_str(&self.headline(&shown, ""));
            }
            text.push_str(&result.block(self.style));
        } else if outcome.changes.is_empty() && outcome.plan.is_none() {
            text.push_str(&self.headline(&shown, &result.words));
        }
        for change in &outcome.changes {
            text.push_str(&crate::diff::change(change, self.style));
        }
        text
    }

    fn headline(&self, shown: &Shown, result: &str) -> String {
        let mark = self.style.paint(Paint::Cyan, "●");
        let name = self.style.paint(Paint::Bold, &shown.name);
        let result = match result {
            "" => String::new(),
            result => format!(" · {result}"),
        };
        let taken = shown.name.chars().count() + result.chars().count() + 4;
        let detail = self.style.fit(&shown.detail, taken);
        let gap = if detail.is_empty() { "" } else { "  " };
        format!(
            "{mark} {name}{gap}{detail}{}\n",
            self.style.paint(Paint::Dim, &result)
        )
    }

    fn plan(&self, steps: &[PlanStep]) -> String {
        let mut text = format!("{}\n", self.style.paint(Paint::Cyan, "☰ plan"));
        for step in steps {
            let (line, _) = first_line(&step.text);
            let line = match step.status {
                PlanStatus::Pending => format!("  ☐ {line}"),
                PlanStatus::InProgress => self.style.paint(Paint::Bold, &format!("  ▸ {line}")),
                PlanStatus::Completed => self.style.paint(Paint::Green, &format!("  ☑ {line}")),
            };
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    fn commentary(words: &str) -> String {
        format!("\n{}\n", clean(words.trim()))
    }

    fn lost(&self, calls: &[CallId]) -> String {
        if calls.is_empty() {
            return self.warning("going on after a crash");
        }
        // Not even a log without a width needs all of what a call was given.
        let about = |call: &CallId| cut(&self.style.fit(&self.about(*call), 4), LOST_SHOWN);
        let about: Vec<String> = calls.iter().map(about).collect();
        self.warning(&format!(
            "going on after a crash; lost in it, and not run again: {}",
            about.join("; ")
        ))
    }

    fn about(&self, call: CallId) -> String {
        match self.calls.get(&call) {
            Some(shown) if shown.detail.is_empty() => shown.name.clone(),
            Some(shown) => format!("{} {}", shown.name, shown.detail),
            None => format!("call {call}"),
        }
    }

    fn learn_item(&mut self, item: &Item) {
        if let Item::ToolCall(call) = item {
            self.calls.insert(call.call, call.shown());
        }
    }
}
