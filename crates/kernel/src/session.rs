//! A session: the fold of its journal, and the three functions around it.

use std::collections::BTreeSet;
use std::sync::Arc;

use quire_protocol::{
    Approval, CallId, Delivery, Event, Goal, Item, JobId, Lane, MessageId, Money, Op, Pause,
    PlanStep, Policy, Prefix, Settings, ToolCall, Transcript, TurnId, Usage,
};

use crate::context::Window;
use crate::draft::Draft;
use crate::state::State;
use crate::{Decision, Input, Meanwhile, Offer};

/// A session as its journal tells it. The default is that of an empty journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    pub(crate) window: Window,
    /// Every message ever accepted. It grows with the session, so it is not in the state.
    known: BTreeSet<MessageId>,
    pub(crate) state: State,
}

impl Session {
    /// Folds a journal from its first event on.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut session = Self::default();
        for event in events {
            session.apply(event);
        }
        session
    }

    /// Says what an input leads to. Costs what is new, not what the session already holds.
    ///
    /// Stale, repeated and unknown answers lead to nothing.
    pub fn decide(&self, input: Input) -> Decision {
        self.decide_at(input, Meanwhile::default())
    }

    /// Says what an input leads to, with what only the moment tells.
    pub fn decide_at(&self, input: Input, meanwhile: Meanwhile) -> Decision {
        if let Input::Op(Op::Say { message, .. }) = &input
            && self.known.contains(message)
        {
            return Decision::default();
        }
        let mut draft = self.draft(meanwhile);
        draft.take(input);
        draft.decision
    }

    /// Folds in one event, which must have been recorded.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::MessageAccepted { message, .. } => {
                self.known.insert(message.clone());
            }
            Event::Configured { .. }
            | Event::PrefixSet { .. }
            | Event::MessageDelivered { .. }
            | Event::MessageWithdrawn { .. }
            | Event::TurnStarted { .. }
            | Event::ModelCalled { .. }
            | Event::ModelReplied { .. }
            | Event::ModelFailed { .. }
            | Event::ApprovalAsked { .. }
            | Event::ApprovalAnswered { .. }
            | Event::ToolStarted { .. }
            | Event::ToolEnded { .. }
            | Event::PlanSet { .. }
            | Event::JobStarted { .. }
            | Event::JobEnded { .. }
            | Event::Noticed { .. }
            | Event::InterruptAccepted { .. }
            | Event::Compaction(_)
            | Event::Goal(_)
            | Event::Travel(_)
            | Event::TurnPaused { .. }
            | Event::TurnEnded { .. }
            | Event::Recovered { .. } => {}
        }
        self.state.apply(event, &mut self.window);
    }

    /// Says what to record about work that was in flight when a process died: events only, none
    /// when nothing was. An open turn lies dormant afterwards, until a person says, answers or
    /// resumes something.
    pub fn recover(&self) -> Decision {
        let mut draft = self.draft(Meanwhile::default());
        draft.recover();
        draft.decision
    }

    /// What opens the requests of a session that has not begun, with what servers offer besides.
    #[must_use]
    pub fn opening(prefix: Prefix, offer: Offer) -> Prefix {
        let mut session = Self::default();
        let reason = String::new();
        session.apply(&Event::PrefixSet { prefix, reason });
        for event in session.decide(Input::Offered(offer)).events {
            session.apply(&event);
        }
        Prefix::clone(session.prefix())
    }

    /// The context: what a request to the model carries.
    pub fn transcript(&self) -> &Transcript {
        self.window.transcript()
    }

    /// What opens every request.
    pub fn prefix(&self) -> &Arc<Prefix> {
        self.state.offers.prefix()
    }

    /// The settings in force, rules from "always" answers included; none before the first
    /// [`Event::Configured`].
    pub fn settings(&self) -> Option<&Settings> {
        self.state.settings.as_deref()
    }

    /// The open turn.
    pub fn turn(&self) -> Option<TurnId> {
        self.state.turn.id()
    }

    /// Whether an interrupt was accepted and something still runs.
    pub fn is_stopping(&self) -> bool {
        self.state.turn.is_stopping()
    }

    /// Whether the open turn was cut short by a crash, reached a limit or was paused, and waits for a
    /// person to go on.
    pub fn is_dormant(&self) -> bool {
        self.state.turn.is_dormant()
    }

    /// Whether no request is open, no call and no background job runs, and nobody is asked.
    pub fn is_idle(&self) -> bool {
        self.state.turn.request().is_none()
            && self.state.jobs.is_empty()
            && self.state.step.running().next().is_none()
            && self.asked().next().is_none()
    }

    /// Whether no request is open, every call has its result, and no turn has opened of which nothing
    /// was heard yet: here a fork may begin.
    pub fn is_quiet(&self) -> bool {
        let turn = &self.state.turn;
        let opening = turn.id().is_some() && turn.requests() == 0 && !turn.has_task();
        turn.request().is_none() && self.state.step.is_empty() && !opening
    }

    /// Whether nothing goes on before a person answers a question. What is being stopped goes on to its
    /// end without an answer.
    pub fn waits_for_person(&self) -> bool {
        self.state.turn.request().is_none()
            && !self.state.turn.is_stopping()
            && !self.state.step.is_busy()
            && self.asked().next().is_some()
    }

    /// Whether a call of the open step runs.
    pub fn is_running(&self, call: CallId) -> bool {
        self.state.step.is_running(call)
    }

    /// All tokens used so far.
    pub fn usage(&self) -> Usage {
        self.state.spent.usage
    }

    /// What they cost, as far as prices are known.
    pub fn cost(&self) -> Money {
        self.state.spent.cost
    }

    /// Whether some tokens had no known price or were not reported, so that the cost is too low.
    pub fn has_unpriced(&self) -> bool {
        self.state.spent.has_unpriced()
    }

    /// A call of the open step, as the model wrote it; none once all calls up to it have their
    /// results.
    pub fn call(&self, call: CallId) -> Option<&ToolCall> {
        let place = usize::try_from(self.state.step.find(call)?.item).ok()?;
        match self.window.items().get(place)?.as_ref() {
            Item::ToolCall(call) => Some(call),
            _ => None,
        }
    }

    /// Whether a call of the open step may change things.
    pub fn may_change_things(&self, call: CallId) -> bool {
        let call = self.state.step.find(call);
        call.is_some_and(|call| call.lane == Lane::Exclusive)
    }

    /// How long the session has worked as far as is recorded, in milliseconds.
    pub fn worked_ms(&self) -> u64 {
        self.state.spent.worked_ms
    }

    /// What keeps the open turn, or will after its step.
    pub fn pause(&self) -> Option<Pause> {
        self.state.turn.pause()
    }

    /// Whether the open turn waits at a limit.
    pub fn is_at_limit(&self) -> bool {
        self.pause() == Some(Pause::Limit)
    }

    /// The goal, if there is one.
    pub fn goal(&self) -> Option<&Goal> {
        self.state.goal.goal()
    }

    /// Tokens of the next request's prompt, as estimated.
    pub fn estimate(&self) -> u64 {
        use crate::context::Context;
        self.state.scale.request(self.window.weight())
    }

    /// The plan that a person sees.
    pub fn plan(&self) -> &[PlanStep] {
        &self.state.plan
    }

    /// The open questions, in the order of their calls.
    pub fn asked(&self) -> impl Iterator<Item = (CallId, &Approval)> {
        self.state.step.open_questions()
    }

    /// The policy with the rule that "always" would add to it as the answer to an open question; none
    /// where it would add none.
    pub fn policy_with_always(&self, call: CallId) -> Option<Policy> {
        let rule = self.state.step.find_question(call)?.always()?;
        let mut policy = self.settings()?.policy.clone();
        policy.rules.push(rule);
        Some(policy)
    }

    /// The messages that were accepted and not yet delivered, in order of acceptance.
    pub fn queued(&self) -> impl Iterator<Item = (&MessageId, Delivery)> {
        self.state
            .mail
            .letters()
            .map(|letter| (&letter.message, letter.delivery))
    }

    /// The background jobs that run.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.state.jobs.running()
    }

    fn draft(&self, meanwhile: Meanwhile) -> Draft<'_> {
        Draft::new(self.state.clone(), &self.window, meanwhile)
    }
}
