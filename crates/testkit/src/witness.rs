//! Checks every event and effect against rules of its own, written down a second time and
//! independently of the kernel: it knows the journal's words, and nothing of how they are decided.

mod calls;
mod circles;
mod context;
mod mail;
mod turns;

use std::collections::BTreeSet;

use quire_kernel::{Effect, Input, Session};
use quire_protocol::{
    Answer, CallId, Event, JobId, Limits, Money, Op, PlanStep, Rule, RuleAction, Settings,
    StopReason, Usage,
};

use crate::flight::Flight;
use calls::Calls;
use circles::Circles;
use context::Seen;
use mail::Mail;
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

/// What was used that has no known price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Unpriced {
    #[default]
    Nothing,
    /// Something, and the budget has been changed since.
    BeforeBudget,
    /// Something since the budget was last changed.
    UnderBudget,
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
    jobs: BTreeSet<JobId>,
    /// Ends of jobs that the model was not told of.
    news: Vec<String>,
    plan: Vec<PlanStep>,
    usage: Usage,
    cost: Money,
    unpriced: Unpriced,
    /// The effects that the events of this decision call for.
    due: Vec<Effect>,
    /// The call whose answer this decision made a rule of.
    ruled: Option<CallId>,
    /// Whether this decision accepted an interrupt.
    interrupted: bool,
    /// Whether the last turn ended because a new process took over.
    ended_by_crash: bool,
}

impl Witness {
    /// Checks an event, and the session that it has just been applied to.
    pub(crate) fn saw(&mut self, event: &Event, session: &Session, cause: &Cause<'_>) -> Checked {
        match event {
            Event::Configured { settings } => {
                let same_budget = self.limits.budget == settings.limits.budget;
                if !same_budget && self.unpriced == Unpriced::UnderBudget {
                    self.unpriced = Unpriced::BeforeBudget;
                }
                self.limits = settings.limits.clone();
                self.settings = Some(settings.clone());
            }
            Event::ApprovalAnswered {
                call,
                answer: Answer::AllowAlways,
            } => self.add_rule(*call),
            Event::ModelCalled { request, items, .. } => {
                ensure!(
                    session.transcript().len() == usize::try_from(*items).unwrap_or(0),
                    "the request counts {items} items"
                );
                self.may_call_model()?;
                self.due.push(Effect::CallModel(*request));
            }
            Event::ToolStarted { call } => {
                ensure!(!self.turns.must_not_start(), "a tool starts after a stop");
                self.calls.starts(*call, &self.limits)?;
                self.due.push(Effect::RunTool(*call));
            }
            Event::MessageDelivered { message } => {
                ensure!(
                    self.calls.all_settled() && self.turns.request.is_none(),
                    "a message is delivered in the middle of a step"
                );
                let item = session.transcript().items().last();
                self.mail
                    .delivered(message, item.map(AsRef::as_ref), self.turns.requests)?;
                self.circles.reset();
            }
            Event::TurnStarted { .. } => {
                ensure!(!self.turns.must_not_start(), "a turn opens after a stop");
                let spoken = matches!(cause, Cause::Input(Input::Op(Op::Say { .. })));
                ensure!(
                    spoken || !self.may_hold_messages(),
                    "a turn opens by itself after {:?}",
                    self.turns.last_end
                );
                self.circles.reset();
            }
            Event::TurnEnded { reason, .. } => {
                self.may_end(*reason)?;
                self.ended_by_crash = matches!(cause, Cause::Recovery);
            }
            Event::InterruptAccepted { .. } => self.interrupted = true,
            Event::PlanSet { steps } => self.plan.clone_from(steps),
            Event::JobStarted { .. } | Event::JobEnded { .. } => self.saw_job(event)?,
            Event::Noticed { text } => self.saw_notice(text)?,
            Event::ModelReplied { usage, cost, .. } | Event::ModelFailed { usage, cost, .. } => {
                self.usage += *usage;
                self.cost += cost.unwrap_or_default();
                let answered = matches!(event, Event::ModelReplied { .. });
                if cost.is_none() && (answered || *usage != Usage::default()) {
                    self.unpriced = Unpriced::UnderBudget;
                }
            }
            _ => {}
        }
        self.calls
            .saw(event, &self.turns, cause, &mut self.circles)?;
        self.mail.saw(event);
        self.turns.saw(event)?;
        self.context.saw(event, session.transcript())
    }

    fn may_call_model(&self) -> Checked {
        ensure!(!self.turns.must_not_start(), "a request after a stop");
        ensure!(self.calls.all_settled(), "a request while a call is open");
        ensure!(
            self.context.is_whole(),
            "a request with calls without results"
        );
        ensure!(
            self.turns.requests < self.limits.requests_per_turn.max(1),
            "more requests than the limit"
        );
        ensure!(!self.has_spent_all(), "a request beyond the budget");
        ensure!(
            self.news.is_empty(),
            "the model is not told that a job ended"
        );
        ensure!(!self.mail.has_steers(), "a request without a waiting steer");
        self.circles.may_go_on(self.limits.repeats)
    }

    /// Whether there is a budget and nothing more may be spent, as far as anybody can know.
    fn has_spent_all(&self) -> bool {
        let over = |budget| self.unpriced == Unpriced::UnderBudget || self.cost >= budget;
        self.limits.budget.is_some_and(over)
    }

    /// Whether no further request may be made, steers aside.
    fn is_limited(&self) -> bool {
        self.turns.requests >= self.limits.requests_per_turn.max(1)
            || self.has_spent_all()
            || self.circles.count() >= self.limits.repeats.max(2)
    }

    fn may_end(&self, reason: StopReason) -> Checked {
        ensure!(self.calls.all_settled(), "a turn ends with an open call");
        ensure!(
            self.context.is_whole(),
            "a turn ends with a call without a result"
        );
        let holds = match reason {
            StopReason::Cancelled => self.turns.stopping && self.jobs.is_empty(),
            StopReason::Budget => self.has_spent_all(),
            StopReason::MaxTurnRequests => {
                self.turns.requests >= self.limits.requests_per_turn.max(1)
            }
            StopReason::NoProgress => {
                self.circles.count() >= self.limits.repeats.max(2) && !self.mail.has_steers()
            }
            StopReason::EndTurn | StopReason::MaxTokens => {
                self.calls.none_in_reply() && !self.mail.has_steers()
            }
            StopReason::Refusal | StopReason::Impossible | StopReason::Error => true,
        };
        ensure!(holds, "the turn has no reason to end with {reason:?}");
        ensure!(
            reason != StopReason::EndTurn || self.turns.silences != 1 || self.is_limited(),
            "a turn ends with an empty reply that nobody asked about"
        );
        ensure!(
            reason == StopReason::Cancelled || !self.turns.stopping,
            "a turn that is being stopped ends with {reason:?}"
        );
        self.turns.may_end(reason)
    }

    /// What a person always allows becomes a rule.
    fn add_rule(&mut self, call: CallId) {
        let prefix = self.calls.prefix_asked(call);
        if let (Some(settings), false) = (&mut self.settings, prefix.is_empty()) {
            settings.policy.rules.push(Rule {
                prefix,
                action: RuleAction::Allow,
            });
            self.ruled = Some(call);
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

    fn saw_notice(&mut self, text: &str) -> Checked {
        ensure!(
            self.calls.all_settled() && self.turns.request.is_none(),
            "a notice in the middle of a step"
        );
        if text.starts_with("You made") {
            return self.circles.warned();
        }
        if text.starts_with("Your reply was empty") {
            ensure!(self.turns.silences == 1, "the model is asked again");
            ensure!(!self.is_limited(), "the model is asked beyond a limit");
            return Ok(());
        }
        let told = self.news.iter().position(|news| text.contains(news));
        ensure!(told.is_some(), "a notice of nothing: {text}");
        self.news.remove(told.unwrap_or(0));
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
        self.check_effects(effects, cause)?;
        self.check_answered(cause)?;
        self.due.clear();
        self.interrupted = false;
        self.ruled = None;
        self.check_flight(flight)?;
        self.check_session(session)?;
        self.check_alive(cause)?;
        ensure!(
            self.turns.open || !self.mail.opens_a_turn() || self.may_hold_messages(),
            "a message waits although its turn has come"
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
            Cause::Input(Input::Replied { request, .. } | Input::Failed { request, .. }) => {
                ensure!(self.turns.request != Some(*request), "an answer is dropped");
            }
            Cause::Input(Input::Op(Op::Say { message, .. })) => {
                ensure!(self.mail.knows(message), "a message is dropped");
            }
            Cause::Input(Input::AnsweredAlways { covered, .. }) => {
                let open = self.calls.asked().any(|call| covered.contains(&call));
                ensure!(
                    self.ruled.is_none() || !open,
                    "a question outlives its rule"
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// What the journal says is running is what runs.
    fn check_flight(&self, flight: &Flight) -> Checked {
        ensure!(
            self.turns.request.iter().eq(flight.requests.iter()),
            "request {:?} is open, {:?} in flight",
            self.turns.request,
            flight.requests
        );
        let running: BTreeSet<_> = self.calls.running().collect();
        ensure!(
            running == flight.calls,
            "{running:?} run, {:?} in flight",
            flight.calls
        );
        ensure!(
            self.jobs.is_subset(&flight.jobs),
            "jobs {:?} run, {:?} in flight",
            self.jobs,
            flight.jobs
        );
        Ok(())
    }

    fn check_session(&self, session: &Session) -> Checked {
        ensure!(session.usage() == self.usage, "the usage is wrong");
        ensure!(session.cost() == self.cost, "the cost is wrong");
        ensure!(
            session.has_unpriced() == (self.unpriced != Unpriced::Nothing),
            "what had no price is wrong"
        );
        ensure!(
            session.settings() == self.settings.as_ref(),
            "the settings are wrong"
        );
        ensure!(session.plan() == self.plan, "the plan is wrong");
        ensure!(
            session.turn().is_some() == self.turns.open,
            "the turn is wrong"
        );
        ensure!(
            session.is_stopping() == self.turns.stopping,
            "stopping is wrong"
        );
        ensure!(
            session.is_dormant() == self.turns.dormant,
            "dormant is wrong"
        );
        ensure!(
            session.asked().map(|(call, _)| call).eq(self.calls.asked()),
            "the questions are wrong"
        );
        ensure!(
            session
                .queued()
                .map(|(message, _)| message)
                .eq(self.mail.waiting()),
            "the waiting messages are wrong"
        );
        for call in self.calls.running() {
            let named = session.call(call).map(|call| call.call);
            ensure!(named == Some(call), "call {call} cannot be looked up");
        }
        let idle = self.turns.request.is_none()
            && self.calls.running().next().is_none()
            && self.calls.asked().next().is_none()
            && self.jobs.is_empty();
        ensure!(session.is_idle() == idle, "idle is wrong");
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
                self.calls.asked().next().is_none(),
                "a question outlives a stop"
            );
        } else if self.turns.dormant {
            let Cause::Input(
                Input::AnsweredAlways { .. }
                | Input::Op(Op::Say { .. } | Op::Answer { .. } | Op::Resume),
            ) = cause
            else {
                return Ok(());
            };
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

    /// Whether the last turn ended for want of money.
    pub(crate) fn is_broke(&self) -> bool {
        !self.turns.open && self.turns.last_end == Some(StopReason::Budget)
    }

    /// Whether the last turn ended in a way after which messages wait for a person. One who spoke
    /// after the interrupt need not speak again, unless a crash came between.
    pub(crate) fn may_hold_messages(&self) -> bool {
        match self.turns.last_end {
            Some(StopReason::Cancelled) => self.turns.hushed || self.ended_by_crash,
            Some(StopReason::Budget | StopReason::NoProgress | StopReason::Error) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
