//! A decision in the making: the state as it will be, and the events and effects so far.

use quire_protocol::{Event, Op, Spending};

use crate::context::{Context, Growing, Window};
use crate::goal::Looked;
use crate::state::State;
use crate::{Decision, Effect, Input, Meanwhile};

/// A decision in the making. Every event is folded in as soon as it is decided, so that what
/// follows is decided from the state that will be.
pub(crate) struct Draft<'a> {
    pub(crate) state: State,
    pub(crate) decision: Decision,
    context: Growing<'a>,
    /// How long the session has worked, in milliseconds.
    pub(crate) worked_ms: u64,
    /// What the other sessions of its tree have spent.
    pub(crate) others: Spending,
    /// Whether a person wanted the turn to pause that has just ended.
    pub(crate) pausing: bool,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(state: State, window: &'a Window, meanwhile: Meanwhile) -> Self {
        Self {
            worked_ms: meanwhile.worked_ms.max(state.spent.worked_ms),
            others: meanwhile.others,
            state,
            decision: Decision::default(),
            context: Growing::new(window),
            pausing: false,
        }
    }

    /// Decides what an input leads to.
    pub(crate) fn take(&mut self, input: Input) {
        match input {
            Input::Op(op) => self.op(op),
            Input::AnsweredAlways { call, covered } => self.answer_always(call, covered),
            Input::Asks { call, approval } => self.running_call_asks(call, approval),
            Input::Replied {
                request,
                reply,
                plans,
            } if self.state.turn.request() == Some(request) => {
                self.replied(request, reply, plans, Looked::default());
            }
            Input::Judged {
                request,
                reply,
                checks,
                changes,
                left,
            } if self.state.turn.request() == Some(request) => {
                self.replied(
                    request,
                    reply,
                    Vec::new(),
                    Looked {
                        checks,
                        changes,
                        left,
                    },
                );
            }
            Input::Failed { request, failure } if self.state.turn.request() == Some(request) => {
                self.failed(request, failure);
            }
            // Answers to a request that is no longer open.
            Input::Replied { .. } | Input::Judged { .. } | Input::Failed { .. } => {}
            Input::ToolEnded { call, outcome } => self.tool_ended(call, outcome),
            Input::JobEnded(end) => self.job_ended(end),
            Input::Offered(offer) => self.offered(offer),
            Input::Travelled(step) => self.travelled(step),
        }
    }

    fn op(&mut self, op: Op) {
        match op {
            Op::Say {
                message,
                delivery,
                content,
                effort,
            } => self.say(message, delivery, content, effort),
            Op::Withdraw { message } => self.withdraw(message),
            Op::Resume => self.resume(),
            Op::Pause => self.pause(),
            Op::Interrupt { cause } => self.interrupt(cause),
            Op::Answer { call, answer } => self.answer(call, answer),
            Op::Configure { settings } => self.configure(settings),
            Op::Compact { focus, part } => self.ask_to_compact(focus, part),
            Op::UndoCompaction => self.undo_compaction(),
            Op::SetGoal { goal } => self.set_goal(goal),
        }
    }

    /// Adds a fact.
    pub(crate) fn record(&mut self, event: Event) {
        self.state.apply(&event, &mut self.context);
        self.decision.events.push(event);
    }

    /// Adds a wish.
    pub(crate) fn wish(&mut self, effect: Effect) {
        self.decision.effects.push(effect);
    }

    /// How many items the context has by now.
    pub(crate) fn items(&self) -> u32 {
        self.context.count()
    }

    /// What the context weighs by now.
    pub(crate) fn weight(&self) -> u64 {
        self.context.weight()
    }

    /// The context as it is by now.
    pub(crate) fn context(&self) -> &Growing<'a> {
        &self.context
    }
}
