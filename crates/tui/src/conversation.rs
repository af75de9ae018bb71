//! A session as a screen shows it: a pure fold of records and fragments. Lines that are done come
//! out once, for the terminal's own scrollback; the rest is state, for what is drawn anew.

mod fold;
#[cfg(test)]
mod forks;

use std::collections::{BTreeMap, HashMap};

use quire_protocol::{
    Approval, CallId, Content, Delivery, Delta, Effort, Event, JobId, MessageId, PlanStep,
    Proposed, Purpose, Record, Retry, Rule, Seq, Settings, Shown, TravelStep, duration, first_line,
    visible,
};
use ratatui_core::style::Style;
use ratatui_core::text::Line;

use crate::calls::{self, Details, Ended};
use crate::diff;
use crate::folded::Calls;
use crate::look;
use crate::makeup::Makeup;
use crate::meter::Meter;
use crate::rows::{end_of, safe};
use crate::setup::Form;
use crate::shell;
use crate::stream::Stream;
use crate::travel::Said;
use crate::words;

/// Lines of changes that are shown in a question; of more, all of them stand above it.
const OF_CHANGES: usize = 12;
/// Bytes of a running tool's output that are kept to be seen.
const OF_OUTPUT: usize = 4_000;

/// What was recorded, and what is going on.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    /// How it is shown: nothing is drawn beside plain lines, which have to say it all.
    pub(crate) form: Form,
    /// How much of what follows is shown.
    pub(crate) details: Details,
    /// How much of the thinking that follows is shown.
    pub(crate) thinking: Details,
    /// What was thought last.
    pub(crate) thought: String,
    /// Calls that are over.
    pub(crate) ended: Calls,
    /// Columns and rows of the screen; none where that is not known.
    pub(crate) columns: u16,
    pub(crate) rows: u16,
    /// Messages that were accepted and have not reached the model.
    pub(crate) pending: Vec<Pending>,
    /// Messages that were taken back since somebody looked.
    pub(crate) withdrawn: Vec<Pending>,
    /// Open questions, oldest first.
    pub(crate) asked: Vec<(CallId, Approval)>,
    /// Calls whose tool runs.
    pub(crate) running: BTreeMap<CallId, Running>,
    /// The plan.
    pub(crate) plan: Vec<PlanStep>,
    /// The settings.
    pub(crate) settings: Option<Settings>,
    /// What was used.
    pub(crate) meter: Meter,
    /// What the context is made of.
    pub(crate) makeup: Makeup,
    /// Background jobs that run.
    pub(crate) jobs: BTreeMap<JobId, Job>,
    /// Rules that answers of "always" have made in this session and that are in force.
    pub(crate) allowed: Vec<Rule>,
    /// The goal.
    pub(crate) goal: Option<String>,
    /// Compactions that can be taken back.
    pub(crate) compactions: u32,
    /// What was said and heard, for going back to before it.
    pub(crate) messages: Vec<Said>,
    /// What was said, for the input's history.
    pub(crate) said: Vec<String>,
    /// The last place in the journal that is shown.
    pub(crate) seq: Seq,
    pub(crate) stream: Stream,
    done: Vec<Part>,
    last: Option<Kind>,
    calls: HashMap<CallId, Shown>,
    turn: Turn,
    /// When what is being done began, by the clock of the records.
    pub(crate) began_ms: Option<u64>,
    /// Whether the turn is to pause after its step.
    pub(crate) pausing: bool,
    /// What the open request is for.
    request: Option<Purpose>,
    /// Whether a goal or a verdict was shown, of which the model is told next.
    told: bool,
    /// Why the last request failed, as it was shown.
    failure: String,
    /// Whether the last reply said or called something.
    spoke: bool,
    /// Why it does what it does, in its own words.
    pub(crate) why: String,
}

/// Lines that are done, and what they are.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// The lines.
    pub(crate) lines: Vec<Line<'static>>,
    /// The number of the call that they are of.
    pub(crate) call: Option<u64>,
    /// Whether a person said them.
    pub(crate) said: bool,
}

/// How far the turn is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    /// There is none.
    #[default]
    None,
    /// It works.
    Works,
    /// Someone asked it to stop.
    Stops,
    /// A crash, a limit or a pause left it; the next message goes on with it.
    Waits,
}

/// What kind of lines: an empty line stands between kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Person,
    Words,
    Call,
    Note,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) message: MessageId,
    /// When it is to be heard.
    pub(crate) delivery: Delivery,
    /// How hard to think about it, where it says so.
    pub(crate) effort: Option<Effort>,
    /// All of it.
    pub(crate) content: Vec<Content>,
    /// What it says.
    pub(crate) text: String,
    /// Whether it was said while a turn worked.
    pub(crate) joins: bool,
    /// When it was accepted.
    at_ms: u64,
}

impl Pending {
    /// When it is to be heard, in words.
    pub(crate) fn class(&self, has_turn: bool) -> &'static str {
        match (self.joins, has_turn, self.delivery) {
            (_, true, Delivery::Note) => "note: heard with the next request",
            (_, false, Delivery::Note) => "note: heard with your next message",
            (false, _, _) => "sent",
            (true, false, _) => "waits: heard with your next message",
            (true, true, Delivery::Steer) => "steer: heard at the next step",
            (true, true, Delivery::Queue) => "queued: heard after the turn",
        }
    }

    /// What it is called where there is little room.
    pub(crate) fn title(&self) -> String {
        match self.delivery {
            Delivery::Steer | Delivery::Queue => self.text.clone(),
            Delivery::Note => shell::title(&self.text),
        }
    }
}

/// A call whose tool runs.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// What it is.
    pub(crate) shown: Shown,
    /// The end of what it printed.
    pub(crate) output: String,
    begun_ms: u64,
}

/// A background job that runs.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// What it is, in a few words.
    pub(crate) about: String,
    /// When it began.
    pub(crate) begun_ms: u64,
}

/// What is being done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Nothing.
    Nothing,
    /// Nothing: a turn waits to be gone on with.
    Waits,
    /// Waiting for the model's first words.
    Waiting,
    /// The model thinks.
    Thinking,
    /// The model writes its answer.
    Answering,
    /// The model writes a call of this tool, so many bytes so far.
    Writing(String, u64),
    /// Tools run.
    Running,
    /// A person is asked.
    Asking,
    /// All of it comes to an end.
    Stopping,
    /// The context is being compacted.
    Compacting,
    /// The goal is being judged.
    Judging,
}

impl Conversation {
    /// Another conversation on the same screen.
    pub(crate) fn anew(&self) -> Self {
        Self {
            form: self.form,
            details: self.details,
            columns: self.columns,
            rows: self.rows,
            thinking: self.thinking,
            ..Self::default()
        }
    }

    /// Lines that are done since the last time.
    pub(crate) fn take_done(&mut self) -> Vec<Line<'static>> {
        let parts = self.take_parts();
        parts.into_iter().flat_map(|part| part.lines).collect()
    }

    /// The same, with what they are.
    pub(crate) fn take_parts(&mut self) -> Vec<Part> {
        std::mem::take(&mut self.done)
    }

    /// What is being done now.
    pub(crate) fn doing(&self) -> Doing {
        match self.turn {
            Turn::Stops => return Doing::Stopping,
            Turn::Works | Turn::None | Turn::Waits => {}
        }
        if !self.asked.is_empty() {
            return Doing::Asking;
        }
        if !self.running.is_empty() {
            return Doing::Running;
        }
        match (&self.request, self.turn) {
            (Some(Purpose::Summary | Purpose::Compact { .. }), _) => Doing::Compacting,
            (Some(Purpose::Judge), _) => Doing::Judging,
            (Some(Purpose::Work), _) => self.answering(),
            (None, Turn::Works | Turn::Stops) => Doing::Waiting,
            (None, Turn::Waits) => Doing::Waits,
            (None, Turn::None) => Doing::Nothing,
        }
    }

    /// Whether a message waits to be heard.
    pub(crate) fn waits(&self, message: &MessageId) -> bool {
        let mut pending = self.pending.iter();
        pending.any(|pending| pending.message == *message)
    }

    /// Whether something is being done.
    pub(crate) fn works(&self) -> bool {
        !matches!(self.doing(), Doing::Nothing | Doing::Waits)
    }

    /// Whether a turn is open, or waits.
    pub(crate) fn has_turn(&self) -> bool {
        self.turn != Turn::None || self.works()
    }

    fn answering(&self) -> Doing {
        match &self.stream.writing {
            Some((name, bytes)) => Doing::Writing(name.clone(), *bytes),
            None if !self.stream.thinking().is_empty() => Doing::Thinking,
            None if !self.stream.tail().is_empty() => Doing::Answering,
            None => Doing::Waiting,
        }
    }

    /// Takes a record in.
    pub(crate) fn record(&mut self, record: &Record) {
        self.seq = record.seq;
        self.meter.record(record);
        self.makeup.record(&record.event);
        self.happened(record);
        // A turn begins anew, however soon it comes after another.
        let begins = matches!(record.event, Event::TurnStarted { .. });
        self.began_ms = match self.began_ms {
            Some(began_ms) if self.works() && !begins => Some(began_ms),
            _ => self.works().then_some(record.at_ms),
        };
    }

    fn happened(&mut self, record: &Record) {
        match &record.event {
            Event::Configured { settings } => self.configured(settings),
            Event::MessageAccepted {
                message,
                delivery,
                content,
                effort,
            } => {
                let pending = Pending {
                    message: message.clone(),
                    delivery: *delivery,
                    effort: *effort,
                    text: fold::shown_text(content),
                    content: content.clone(),
                    joins: self.turn != Turn::None,
                    at_ms: record.at_ms,
                };
                self.accepted(pending);
            }
            Event::MessageDelivered { message } => self.delivered(message, record.at_ms),
            Event::MessageWithdrawn { message } => self.withdrawn(message),
            Event::TurnStarted { .. } => self.turn = Turn::Works,
            Event::ModelCalled { purpose, .. } => self.called(purpose),
            Event::ModelReplied { items, .. } => self.replied(items),
            Event::ModelFailed { error, .. } => self.failed(&words::failure(error)),
            Event::ApprovalAsked { call, approval } => self.asks(*call, approval),
            Event::ApprovalAnswered {
                call,
                answer,
                ruled_by,
            } => self.answered(*call, answer, *ruled_by),
            Event::ToolStarted { call } => self.tool_started(*call, record.at_ms),
            Event::ToolEnded { call, outcome } => self.tool_ended(*call, outcome, record.at_ms),
            Event::PlanSet { steps } => self.planned(steps),
            Event::JobEnded { end } => {
                self.jobs.remove(&end.job);
                self.note(&words::job_ended(end));
            }
            Event::Noticed { text } => self.noticed(text),
            Event::InterruptAccepted { .. } => {
                self.pausing = false;
                if self.turn != Turn::None {
                    self.turn = Turn::Stops;
                }
            }
            Event::Compaction(step) => self.compacted(step),
            Event::Goal(step) => self.goal(step),
            Event::Travel(step) => self.travelled(step),
            Event::TurnPaused { pause, detail, .. } => self.paused(*pause, detail),
            Event::TurnEnded { reason, detail, .. } => self.ended(*reason, detail),
            Event::Recovered { .. } => {
                self.turn = Turn::Waits;
                self.request = None;
                // What is asked is still asked: nothing of it has run.
                self.running.clear();
                self.warn("the work was cut short: its process ended");
            }
            Event::JobStarted { job, call } => self.job_started(*job, *call, record.at_ms),
            Event::PrefixSet { .. } => {}
        }
    }

    fn travelled(&mut self, step: &TravelStep) {
        let words = step.in_words();
        match step {
            TravelStep::Missed { .. } => return self.warn(&words.unwrap_or_default()),
            TravelStep::Forked { .. } => self.forked(),
            TravelStep::Kept { .. } | TravelStep::TakenBack { .. } | TravelStep::Redone { .. } => {}
        }
        if let Some(words) = words {
            self.note(&words);
        }
    }

    /// Takes a live fragment in. Costs next to nothing.
    pub(crate) fn delta(&mut self, delta: &Delta) {
        let of_work = self.request == Some(Purpose::Work);
        let lines = match delta {
            Delta::Text { text } if of_work => self.stream.text(text),
            Delta::Thinking { text } if of_work => self.stream.think(text),
            Delta::CallWriting { name, bytes } if of_work => self.stream.write(name, *bytes),
            Delta::Text { .. } | Delta::Thinking { .. } | Delta::CallWriting { .. } => return,
            Delta::ToolOutput { call, text } => {
                if let Some(running) = self.running.get_mut(call) {
                    running.output.push_str(text);
                    if running.output.len() > 2 * OF_OUTPUT {
                        running.output = end_of(&running.output, OF_OUTPUT).to_owned();
                    }
                }
                return;
            }
            Delta::Retrying { retry } => return self.retrying(retry),
        };
        if !lines.is_empty() {
            self.add(Kind::Words, lines);
        }
    }

    fn retrying(&mut self, retry: &Retry) {
        let lines = std::mem::take(&mut self.stream).give_up();
        self.add(Kind::Words, lines);
        let (reason, _) = first_line(&retry.reason);
        let wait = duration(retry.wait_ms);
        self.warn(&format!("{reason}; it begins again in {wait}"));
    }

    fn add(&mut self, kind: Kind, lines: Vec<Line<'static>>) {
        if lines.is_empty() {
            return;
        }
        if self.last.is_some_and(|last| last != kind) || kind == Kind::Person {
            self.put(vec![Line::default()]);
        }
        self.last = Some(kind);
        self.done.push(Part {
            lines,
            call: None,
            said: kind == Kind::Person,
        });
    }

    /// A call that is over.
    fn add_call(&mut self, call: Ended) {
        let lines = calls::ended(&call, self.details, self.columns);
        if lines.is_empty() {
            return;
        }
        let number = self.ended.keep(call);
        self.add(Kind::Call, lines);
        if let Some(part) = self.done.last_mut() {
            part.call = Some(number);
        }
    }

    fn put(&mut self, lines: Vec<Line<'static>>) {
        self.done.push(Part {
            lines,
            ..Part::default()
        });
    }

    fn marked(&mut self, mark: &str, text: &str, style: Style) {
        let line = look::line(format!("{mark} {}", safe(text.trim())), style);
        self.add(Kind::Note, vec![line]);
    }

    /// A dim line about the harness.
    pub(crate) fn note(&mut self, text: &str) {
        self.marked("·", text, look::DIM);
    }

    /// A line to be noticed.
    pub(crate) fn warn(&mut self, text: &str) {
        self.marked("!", text, look::NOTICE);
    }

    /// Lines that a person asked for.
    pub(crate) fn show(&mut self, lines: Vec<Line<'static>>) {
        self.last = None;
        self.put(vec![Line::default()]);
        self.put(lines);
        self.last = Some(Kind::Note);
    }
}

/// Whether what is asked is too long for a question.
pub(crate) fn is_long(approval: &Approval) -> bool {
    let of_changes = approval.changes.iter().map(|change| change.diff.lines());
    let changed: usize = of_changes.map(Iterator::count).sum();
    approval.action.len() > 400 || approval.action.lines().count() > 6 || changed > OF_CHANGES
}

/// Exactly what would run, and what it would make of files, with everything in it visible. Where that
/// is more than so many lines, at least one more than these.
pub(crate) fn whole(approval: &Approval, most: usize) -> Vec<Line<'static>> {
    let action = visible(approval.action.trim());
    let mut lines: Vec<Line<'static>> = action
        .lines()
        .take(most.saturating_add(1))
        .map(|line| calls::below(line, look::BOLD))
        .collect();
    for change in &approval.changes {
        if lines.len() > most {
            break;
        }
        if approval.changes.len() > 1 {
            lines.push(calls::below(&visible(&change.path), look::MARK));
        }
        let shown = Proposed {
            path: change.path.clone(),
            diff: visible(&change.diff),
        };
        lines.extend(diff::proposed(&shown, most));
    }
    lines
}

/// What is asked for, in a word.
pub(crate) fn asks_to(approval: &Approval) -> &'static str {
    if approval.changes.is_empty() {
        "run"
    } else {
        "change"
    }
}
