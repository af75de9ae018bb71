//! Checks every event and effect against rules of its own, written down a second time and
//! independently of the kernel: it knows the journal's words, and nothing of how they are decided.

mod calls;
mod circles;
mod compactions;
mod context;
mod efforts;
mod goals;
mod limits;
mod mail;
mod notices;
mod offers;
mod questions;
mod requests;
mod sessions;
mod turns;

use std::collections::BTreeSet;

use quire_kernel::{Effect, Input, Session};
use quire_protocol::{
    CallId, CompactionStep, Delivery, Event, JobId, Limits, MessageId, ModelErrorKind, Money, Op,
    Pause, PlanStep, Settings, Spending, StopReason, TravelStep, Usage,
};

use crate::flight::Flight;
use calls::Calls;
use circles::Circles;
use compactions::Compactions;
use context::Seen;
use goals::Goals;
use limits::Unpriced;
use mail::Mail;
use offers::Offers;
use questions::Due;
use turns::Turns;

type Checked = Result<(), String>;

/// Fails with a text unless something holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}
pub(crate) use ensure;

/// Why a decision was made.
pub(crate) enum Cause<'a> {
    /// Something happened.
    Input(&'a Input),
    /// A new process took over.
    Recovery,
}

/// All that was seen so far, as far as rules need it.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    limits: Limits,
    settings: Option<Settings>,
    turns: Turns,
    calls: Calls,
    mail: Mail,
    circles: Circles,
    context: Seen,
    compactions: Compactions,
    goals: Goals,
    /// How long was worked, in milliseconds, as the clock has it.
    clock: u64,
    /// What others of the tree have spent.
    others: Spending,
    /// How long was worked as the journal has it.
    worked_ms: u64,
    jobs: BTreeSet<JobId>,
    /// Ends of jobs that the model was not told of.
    news: Vec<String>,
    offers: Offers,
    plan: Vec<PlanStep>,
    usage: Usage,
    cost: Money,
    unpriced: Unpriced,
    /// The effects that the events of this decision call for.
    due: Vec<Effect>,
    /// The call whose answer this decision made a rule of.
    ruled: Option<CallId>,
    /// What this decision must lead to about a call that runs.
    due_question: Due,
    /// Whether the last turn ended without a word.
    untold: bool,
    /// The pause that began with this decision, where a person wanted one.
    began: Option<Pause>,
    /// Whether this decision accepted an interrupt.
    interrupted: bool,
    /// Whether the last turn ended because a new process took over.
    ended_by_crash: bool,
}

impl Witness {
    /// Checks an event, and the session that it has just been applied to.
    pub(crate) fn saw(&mut self, event: &Event, session: &Session, cause: &Cause<'_>) -> Checked {
        self.saw_about_question(event)?;
        match event {
            Event::Configured { settings } => self.configured(settings),
            Event::ModelCalled { request, .. } => {
                self.may_call_model(event, session)?;
                self.due.push(Effect::CallModel(*request));
            }
            Event::ToolStarted { call } => {
                ensure!(!self.turns.must_not_start(), "a tool starts after a stop");
                self.calls.starts(*call, &self.limits)?;
                self.due.push(Effect::RunTool(*call));
            }
            Event::MessageDelivered { message } => self.delivered(message, session)?,
            Event::MessageWithdrawn { message } => {
                let asked = matches!(cause, Cause::Input(Input::Op(Op::Withdraw { message: m }))
                    if m == message);
                ensure!(asked, "{message} is taken back by nobody");
                self.mail.withdrawn(message)?;
            }
            Event::TurnStarted { .. } | Event::TurnPaused { .. } | Event::TurnEnded { .. } => {
                self.saw_turn(event, cause)?;
            }
            Event::Compaction(_) | Event::Goal(_) => self.may_change(event, cause)?,
            Event::Travel(step) => self.saw_travel(step),
            Event::InterruptAccepted { .. } => self.interrupted = true,
            Event::PlanSet { steps } => self.plan.clone_from(steps),
            Event::JobStarted { .. } | Event::JobEnded { .. } => self.saw_job(event)?,
            Event::Noticed { text } => self.saw_notice(text)?,
            Event::ModelReplied { usage, cost, .. } | Event::ModelFailed { usage, cost, .. } => {
                self.saw_refusal(event);
                self.usage += *usage;
                self.cost += cost.unwrap_or_default();
                let answered = matches!(event, Event::ModelReplied { .. });
                let unknown = cost.is_none() && (answered || *usage != Usage::default());
                self.unpriced.all += u64::from(unknown);
            }
            Event::ToolEnded { outcome, .. } => {
                // Its cost is known from elsewhere; what had no price is known from here.
                self.unpriced.all += outcome.spent.map_or(0, |spent| spent.missed);
            }
            _ => {}
        }
        self.calls
            .saw(event, &self.turns, cause, &mut self.circles)?;
        self.mail.saw(event);
        self.goals.saw(event, self.turns.last_stop)?;
        self.turns.saw(event)?;
        self.compactions.saw(event, session.estimate())?;
        self.offers.saw(event, session.transcript(), cause)?;
        self.context.saw(event, session.transcript())
    }

    fn configured(&mut self, settings: &Settings) {
        if self.limits.budget != settings.limits.budget {
            self.unpriced.before_budget = self.unpriced.all;
        }
        let window = |settings: &Settings| (settings.context.window, settings.context.answer);
        if let Some(old) = &self.settings {
            if old.model != settings.model {
                self.compactions.model_changed();
            } else if window(old) != window(settings) {
                self.compactions.window_changed();
            }
        }
        self.offers.configured(settings);
        self.limits = settings.limits.clone();
        self.settings = Some(settings.clone());
    }

    /// A request for work may be too large for the provider.
    fn saw_refusal(&mut self, event: &Event) {
        if let Event::ModelFailed { error, .. } = event
            && error.kind == ModelErrorKind::ContextOverflow
            && self.turns.purpose.is_work()
        {
            self.compactions.refused();
        }
    }

    fn delivered(&mut self, message: &MessageId, session: &Session) -> Checked {
        ensure!(
            self.calls.all_settled() && self.turns.request.is_none(),
            "a message is delivered in the middle of a step"
        );
        let item = session.transcript().items().last();
        let requests = self.turns.requests;
        let delivered = self
            .mail
            .delivered(message, item.map(AsRef::as_ref), requests)?;
        if !delivered.is_note {
            self.turns.has_task = true;
            self.turns.effort = delivered.effort.or(self.turns.effort);
            self.compactions.said(message, &delivered.words);
        }
        self.circles.reset();
        Ok(())
    }

    fn saw_turn(&mut self, event: &Event, cause: &Cause<'_>) -> Checked {
        match event {
            Event::TurnStarted { .. } => {
                let resumed = matches!(cause, Cause::Input(Input::Op(Op::Resume)));
                if resumed {
                    // For the goal: a person wants it to go on, with all that waits.
                    self.turns.hushed = false;
                    self.mail.held = false;
                }
                ensure!(!self.turns.must_not_start(), "a turn opens after a stop");
                let spoken = is_said(cause)
                    || matches!(cause, Cause::Input(Input::Op(Op::Compact { .. })))
                    || resumed;
                ensure!(
                    spoken || !self.may_hold_messages(),
                    "a turn opens by itself after {:?}",
                    self.turns.last_end
                );
                self.circles.reset();
            }
            Event::TurnPaused {
                pause,
                worked_ms,
                detail,
                ..
            } => {
                // A process that takes over has not worked yet.
                if !matches!(cause, Cause::Recovery) {
                    self.saw_work(*worked_ms)?;
                }
                self.saw_pause(*pause, cause)?;
                let told = *pause != Pause::Limit || self.is_true(detail);
                ensure!(told, "not true: {detail}");
            }
            Event::TurnEnded { reason, detail, .. } => {
                self.may_end(*reason)?;
                self.untold = detail.is_empty();
                self.ended_by_crash = matches!(cause, Cause::Recovery);
                self.mail.held |= match reason {
                    StopReason::Cancelled => self.turns.hushed || self.ended_by_crash,
                    StopReason::Budget | StopReason::NoProgress | StopReason::Error => true,
                    _ => false,
                };
            }
            _ => {}
        }
        Ok(())
    }

    /// A turn pauses at a limit, or after the step in which a person wanted it to.
    fn saw_pause(&mut self, pause: Pause, cause: &Cause<'_>) -> Checked {
        let by = |op: &Op| matches!(cause, Cause::Input(Input::Op(asked)) if asked == op);
        let Turns {
            pausing, dormant, ..
        } = self.turns;
        match pause {
            Pause::Limit => {
                ensure!(self.is_at_limit(), "a turn pauses within its limits");
                ensure!(self.calls.all_settled(), "a turn pauses with an open call");
                ensure!(!pausing, "a limit comes before a person");
            }
            Pause::Asked => {
                ensure!(by(&Op::Pause), "nobody wants a pause");
                ensure!(!dormant && !pausing, "a pause is wanted twice");
            }
            Pause::Person => {
                let asked = pausing || (dormant && by(&Op::Pause));
                ensure!(asked, "nobody wanted a pause");
                let ended = self.calls.all_settled() || dormant;
                ensure!(ended, "a turn pauses in the middle of a step");
                self.began = Some(pause);
            }
            Pause::Withdrawn => {
                ensure!(pausing, "a pause is taken back that nobody wants");
                ensure!(is_said(cause) || by(&Op::Resume), "nobody takes it back");
            }
        }
        Ok(())
    }

    /// The context as a whole changes between two steps, and a goal is judged in a turn that goes on.
    fn may_change(&self, event: &Event, cause: &Cause<'_>) -> Checked {
        match event {
            Event::Compaction(CompactionStep::Done { .. }) => {
                ensure!(!self.turns.must_not_start(), "a compaction after a stop");
                ensure!(
                    self.turns.open && self.turns.request.is_none() && self.calls.all_settled(),
                    "a compaction in the middle of something"
                );
            }
            Event::Compaction(CompactionStep::Failed { reason, .. }) if !self.turns.open => {
                let no_more = self
                    .limits
                    .turns
                    .is_some_and(|most| self.turns.last >= most)
                    && reason.contains("made all of its turns");
                ensure!(no_more || self.is_true(reason), "not true: {reason}");
            }
            Event::Compaction(CompactionStep::Undone) => {
                ensure!(!self.turns.open, "a compaction is undone in a turn");
            }
            Event::Goal(_) => {
                let asked = matches!(cause, Cause::Input(Input::Op(Op::SetGoal { .. })));
                ensure!(asked || !self.turns.stopping, "a verdict after a stop");
            }
            _ => {}
        }
        Ok(())
    }

    /// The model is told of files that go back.
    fn saw_travel(&mut self, step: &TravelStep) {
        if let TravelStep::TakenBack { files, .. } | TravelStep::Redone { files, .. } = step {
            self.news.extend(files.iter().map(|file| file.path.clone()));
        }
    }

    fn saw_job(&mut self, event: &Event) -> Checked {
        match event {
            Event::JobStarted { job, call } => {
                ensure!(job.0 == call.0, "job {job} of call {call}");
                ensure!(self.jobs.insert(*job), "job {job} starts twice");
            }
            Event::JobEnded { end } => {
                ensure!(self.jobs.remove(&end.job), "job {} ends twice", end.job);
                self.news
                    .push(format!("job {} ended: {}", end.job, end.outcome));
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks what a whole decision has led to.
    pub(crate) fn settled(
        &mut self,
        effects: &[Effect],
        flight: &Flight,
        session: &Session,
        cause: &Cause<'_>,
    ) -> Checked {
        self.check_questions()?;
        self.check_effects(effects, cause)?;
        self.check_answered(cause)?;
        self.turns.pausing &= self.turns.open;
        self.due.clear();
        self.interrupted = false;
        self.ruled = None;
        self.goals.verdict = None;
        self.check_flight(flight)?;
        self.check_session(session)?;
        self.check_alive(cause)?;
        self.began = None;
        ensure!(
            self.turns.open || !self.mail.opens_a_turn() || self.may_hold_messages(),
            "a message waits although its turn has come"
        );
        ensure!(
            self.turns.open || !self.compactions.forgets_a_wish() || self.may_hold_messages(),
            "a wish to compact is forgotten"
        );
        self.check_answer(cause)
    }

    /// Whoever speaks gets a request, or is told why not.
    fn check_answer(&self, cause: &Cause<'_>) -> Checked {
        let said = is_said(cause);
        ensure!(
            !said || self.turns.open || !self.untold,
            "a person gets no answer"
        );
        Ok(())
    }

    fn check_effects(&self, effects: &[Effect], cause: &Cause<'_>) -> Checked {
        if matches!(cause, Cause::Recovery) {
            ensure!(effects.is_empty(), "recovery wants {effects:?}");
            ensure!(self.due.is_empty(), "recovery starts {:?}", self.due);
            return Ok(());
        }
        let starts = |effect: &&Effect| matches!(effect, Effect::CallModel(_) | Effect::RunTool(_));
        let started: Vec<Effect> = effects.iter().filter(starts).copied().collect();
        ensure!(
            started == self.due,
            "{:?} recorded, {started:?} wanted",
            self.due
        );
        let stops = effects.iter().filter(|effect| !starts(effect));
        let stops: Vec<Effect> = stops.copied().collect();
        let mut wanted: Vec<Effect> = Vec::new();
        if self.interrupted {
            wanted.extend(self.calls.running().map(Effect::CancelTool));
            wanted.extend(self.turns.request.map(Effect::CancelModel));
        }
        let asked = matches!(cause, Cause::Input(Input::Op(Op::Interrupt { .. })));
        let bore = matches!(cause, Cause::Input(Input::ToolEnded { outcome, .. })
            if outcome.job.is_some_and(|job| self.jobs.contains(&job)));
        let fresh = self.interrupted || !self.turns.stopping;
        if !self.jobs.is_empty() && ((asked && fresh) || (bore && self.turns.stopping)) {
            wanted.push(Effect::StopJobs);
        }
        ensure!(stops == wanted, "{stops:?} where {wanted:?} is due");
        Ok(())
    }

    /// No input that is due may be dropped.
    fn check_answered(&self, cause: &Cause<'_>) -> Checked {
        match cause {
            Cause::Input(
                Input::Replied { request, .. }
                | Input::Judged { request, .. }
                | Input::Failed { request, .. },
            ) => {
                ensure!(self.turns.request != Some(*request), "an answer is dropped");
            }
            Cause::Input(Input::Op(Op::Say { message, .. })) => {
                ensure!(self.mail.knows(message), "a message is dropped");
            }
            Cause::Input(Input::Op(Op::Withdraw { message })) => {
                ensure!(!self.mail.holds(message), "a message is not given back");
            }
            Cause::Input(Input::Op(Op::Answer { call, .. })) => {
                ensure!(!self.calls.is_asked(*call), "a person's answer is dropped");
            }
            Cause::Input(Input::AnsweredAlways { call, covered }) => {
                ensure!(!self.calls.is_asked(*call), "a person's answer is dropped");
                let mut open = self.calls.asked().filter(|call| covered.contains(call));
                ensure!(
                    self.ruled.is_none() || open.all(|call| self.calls.runs(call)),
                    "a question outlives its rule"
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// An open turn always waits for something, and for no more than it has to.
    fn check_alive(&self, cause: &Cause<'_>) -> Checked {
        if !self.turns.open {
            return Ok(());
        }
        let running = self.turns.request.is_some() || self.calls.running().next().is_some();
        if self.turns.stopping {
            ensure!(running || !self.jobs.is_empty(), "a stop hangs");
            ensure!(
                self.calls.asked().all(|call| self.calls.runs(call)),
                "a question outlives a stop"
            );
        } else if self.turns.dormant {
            let raised =
                self.turns.paused && matches!(cause, Cause::Input(Input::Op(Op::Configure { .. })));
            let acted = is_said(cause)
                || matches!(
                    cause,
                    Cause::Input(
                        Input::AnsweredAlways { .. }
                            | Input::Op(Op::Answer { .. } | Op::Resume | Op::Compact { .. })
                    )
                );
            let keeps = self.turns.paused && self.is_at_limit() || self.began.is_some();
            if keeps || !(raised || acted) {
                return Ok(());
            }
            ensure!(
                !self.calls.all_settled(),
                "a person acts and the turn sleeps on"
            );
            self.calls.none_could_start(&self.limits)?;
        } else {
            ensure!(
                running || self.calls.asked().next().is_some(),
                "the turn is stuck"
            );
            let scheduled = matches!(
                cause,
                Cause::Input(
                    Input::Replied { .. }
                        | Input::ToolEnded { .. }
                        | Input::AnsweredAlways { .. }
                        | Input::Op(Op::Answer { .. })
                )
            );
            if scheduled {
                self.calls.none_could_start(&self.limits)?;
            }
        }
        Ok(())
    }

    /// How many turns began.
    pub(crate) fn turns_begun(&self) -> u32 {
        self.turns.last
    }

    /// Whether the last turn ended in a way after which messages wait for a person. One who spoke
    /// after the interrupt need not speak again, unless a crash came between.
    pub(crate) fn may_hold_messages(&self) -> bool {
        self.mail.held
            || match self.turns.last_end {
                Some(StopReason::Cancelled) => self.turns.hushed || self.ended_by_crash,
                Some(StopReason::Budget | StopReason::NoProgress | StopReason::Error) => true,
                _ => false,
            }
    }
}

/// Whether a person said something that is more than a note.
fn is_said(cause: &Cause<'_>) -> bool {
    matches!(cause, Cause::Input(Input::Op(Op::Say { delivery, .. }))
        if *delivery != Delivery::Note)
}

#[cfg(test)]
mod tests;
