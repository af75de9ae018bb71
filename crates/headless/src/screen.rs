//! Where text goes: the output stream for the answer or the events, the error stream for the
//! person. Errors of the error stream are ignored: a task does not die of an unread log.

use std::io::{self, Write};
use std::time::Duration;

use quire_protocol::{Approval, CallId, Delta, Event, Money, Phase, Record, SessionId};

use crate::json::{self, ResultLine};
use crate::limits;
use crate::progress::Progress;
use crate::schema::Fitting;
use crate::style::Paint;
use crate::tally::Tally;
use crate::text::{clean, counted, duration, thousands};
use crate::{Outcome, Output, Style};

/// The two streams and what has been shown on them.
pub(crate) struct Screen<W, E> {
    output: Output,
    style: Style,
    out: W,
    err: E,
    progress: Progress,
    /// What this run used and said.
    pub(crate) tally: Tally,
    /// The session, once there is one.
    pub(crate) session: Option<SessionId>,
    /// Whether an answer has to fit a schema to be printed as one.
    pub(crate) strict: bool,
    /// The budget, until the person was told that it cannot be kept.
    pub(crate) budget: Option<Money>,
    /// Whether the model is a recording, with which nobody can go on.
    recorded: bool,
    /// Whether the session only plans.
    plans: bool,
    /// What is to be said once the question on the screen is answered; none while there is none.
    kept: Option<String>,
}

/// How it ended, for the last lines.
#[derive(Debug)]
pub(crate) struct Ending {
    /// How.
    pub(crate) outcome: Outcome,
    /// Why, when there is more to say.
    pub(crate) detail: Option<String>,
    /// The answer that fits the schema, if one was asked for and does.
    pub(crate) fitting: Option<Fitting>,
}

impl Ending {
    /// An end with nothing more to say.
    pub(crate) fn plain(outcome: Outcome) -> Self {
        Self {
            outcome,
            detail: None,
            fitting: None,
        }
    }
}

impl<W: Write, E: Write> Screen<W, E> {
    pub(crate) fn new(output: Output, style: Style, out: W, err: E) -> Self {
        Self {
            output,
            style,
            out,
            err,
            progress: Progress::new(style),
            tally: Tally::default(),
            session: None,
            strict: false,
            budget: None,
            recorded: false,
            plans: false,
            kept: None,
        }
    }

    /// Learns from a record of before this run.
    pub(crate) fn learn(&mut self, record: &Record) {
        self.tally.learn(record);
        self.follow_settings(record);
        self.progress.learn(record);
    }

    fn follow_settings(&mut self, record: &Record) {
        if let Event::Configured { settings } = &record.event {
            self.recorded = settings.model.starts_with("recorded/");
            self.plans = settings.policy.phase == Phase::Plan;
        }
    }

    /// Shows a record. Fails when the output stream does.
    pub(crate) fn record(&mut self, record: &Record) -> io::Result<()> {
        self.tally.add(record);
        self.warn_of_budget(record);
        self.follow_settings(record);
        match self.output {
            Output::Progress => {
                let text = self.progress.record(record);
                self.say(&text);
                Ok(())
            }
            Output::Json => {
                self.progress.learn(record);
                self.print(&json::line(record))
            }
        }
    }

    /// Warns once if a budget was set and the cost of an answer is not known.
    fn warn_of_budget(&mut self, record: &Record) {
        let Event::ModelReplied {
            cost: None, model, ..
        } = &record.event
        else {
            return;
        };
        if let Some(budget) = self.budget.take() {
            self.warn(&format!(
                "no price is known for {model}, or its tokens were not reported, so the budget of ${} \
                 cannot be kept: no further request is sent until it is changed. Set prices under \
                 [models] in the config if it has none",
                budget.rounded(2)
            ));
        }
    }

    /// Shows a live fragment, if it is of the few that are shown.
    pub(crate) fn delta(&mut self, delta: &Delta) {
        let text = self.progress.delta(delta);
        self.follow(&text);
    }

    /// Shows a sign of life.
    pub(crate) fn heartbeat(&mut self, silence: Duration) {
        let text = self.progress.heartbeat(silence);
        self.follow(&text);
    }

    /// Says that a call was refused because nobody can be asked.
    pub(crate) fn refused(&mut self, call: CallId, approval: &Approval) {
        let text = self.progress.refused(call, approval);
        self.follow(&text);
    }

    /// Puts a question to the person, whatever the output is. What else there is to say waits, so
    /// that the answer is typed under the question.
    pub(crate) fn ask(&mut self, call: CallId, approval: &Approval, choices: &str) {
        let question = self.progress.question(call, approval);
        self.say(&question);
        self.say(choices);
        self.kept = Some(String::new());
    }

    /// The person has typed a line to the question, if there is one.
    pub(crate) fn heard(&mut self) {
        if let Some(kept) = self.kept.take() {
            self.say(&kept);
        }
    }

    /// The question, if there is one, needs no answer any more.
    pub(crate) fn withdraw(&mut self) {
        if let Some(kept) = self.kept.take() {
            self.say(&format!("\n{kept}"));
        }
    }

    /// Warns the person, whatever the output is.
    pub(crate) fn warn(&mut self, text: &str) {
        let text = self.progress.warning(text);
        self.say(&text);
    }

    /// Text for the person.
    pub(crate) fn say(&mut self, text: &str) {
        if let Some(kept) = &mut self.kept {
            kept.push_str(text);
        } else if !text.is_empty() {
            let _ = self.err.write_all(text.as_bytes());
            let _ = self.err.flush();
        }
    }

    /// The last lines: the summary and the answer, or the result.
    pub(crate) fn finish(&mut self, ending: &Ending) -> io::Result<()> {
        self.withdraw();
        match self.output {
            Output::Progress => self.finish_progress(ending),
            Output::Json => self.finish_json(ending),
        }
    }

    fn follow(&mut self, text: &str) {
        if self.output == Output::Progress {
            self.say(text);
        }
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    fn finish_progress(&mut self, ending: &Ending) -> io::Result<()> {
        let answer = match &ending.fitting {
            Some(fitting) => Some(fitting.text.clone()),
            None if ending.outcome.answers() && !self.strict => self.tally.answer().text(),
            None => None,
        };
        if answer.is_some() {
            self.progress.answered_with_held();
        }
        let said = self.progress.release();
        self.say(&said);
        // A stop was shown when it was accepted, a verdict when it was given, a failure when it was
        // recorded.
        let shown = match ending.outcome {
            Outcome::Cancelled | Outcome::TimedOut | Outcome::Impossible => true,
            _ => self.tally.failure.is_some() && ending.detail == self.tally.failure,
        };
        if let Some(detail) = ending.detail.as_deref().filter(|_| !shown) {
            let text = match ending.outcome {
                Outcome::Error => self.progress.error(detail),
                _ => self.progress.warning(detail),
            };
            self.say(&text);
        }
        let summary = self.summary(ending);
        self.say(&summary);
        if answer.is_some() {
            self.say("\n");
        }
        match answer {
            Some(answer) if ending.fitting.is_some() => self.print(&format!("{answer}\n")),
            Some(answer) => self.print(&format!("{}\n", clean(&answer))),
            None => Ok(()),
        }
    }

    fn summary(&self, ending: &Ending) -> String {
        let outcome = ending.outcome;
        let tally = &self.tally;
        let (mark, paint) = match outcome {
            Outcome::Done => ("✓", Paint::Green),
            Outcome::Error => ("✗", Paint::Red),
            _ => ("■", Paint::Yellow),
        };
        let cached = match tally.usage.cache_read {
            0 => String::new(),
            cached => format!(" ({} cached)", thousands(cached)),
        };
        let cost = tally.cost_in_words();
        let words = self
            .style
            .paint(paint, &format!("{mark} {}", outcome.words()));
        let numbers = format!(
            " · {} · {} · {} tokens in{cached}, {} out · {cost}",
            duration(tally.duration_ms()),
            counted(tally.requests.into(), "request"),
            thousands(tally.usage.prompt()),
            thousands(tally.usage.output),
        );
        let mut text = format!("{words}{}\n", self.style.paint(Paint::Dim, &numbers));
        if let Some(session) = self.session.as_ref().filter(|_| !self.recorded) {
            let resume = format!("  go on: {}", self.way_on(ending, session));
            text.push_str(&self.style.paint(Paint::Dim, &resume));
            text.push('\n');
        }
        text
    }

    /// How to go on. A paused turn goes on by itself once its limit is raised.
    fn way_on(&self, ending: &Ending, session: &SessionId) -> String {
        let resume = format!("quire exec --resume {session}");
        if self.plans && ending.outcome == Outcome::Done {
            return format!("{resume} --plan=accept carries it out, {resume} \"…\" changes it");
        }
        if ending.outcome != Outcome::Budget {
            return format!("{resume} \"…\"");
        }
        let detail = ending.detail.as_deref().unwrap_or_default();
        format!("{resume} {}", limits::flag(detail))
    }

    fn finish_json(&mut self, ending: &Ending) -> io::Result<()> {
        let answer = match &ending.fitting {
            Some(fitting) => Some(fitting.text.clone()),
            None => self.tally.answer().text(),
        };
        let text = json::line(&ResultLine {
            session: self.session.as_ref(),
            outcome: ending.outcome.name(),
            exit_code: ending.outcome.exit_code(),
            answer: answer.as_deref(),
            output: ending.fitting.as_ref().map(|fitting| &fitting.value),
            detail: ending.detail.as_deref(),
            usage: self.tally.usage,
            cost_usd: self.tally.cost(),
            requests: self.tally.requests,
            turns: self.tally.turns,
            duration_ms: self.tally.duration_ms(),
        });
        self.print(&text)
    }
}
