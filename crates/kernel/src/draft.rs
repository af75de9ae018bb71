//! A decision in the making: the state as it will be, and the events and effects so far.

use quire_protocol::{Event, Op, Transcript};

use crate::context::{Context, Counted};
use crate::state::State;
use crate::{Decision, Effect, Input};

/// A decision in the making. Every event is folded in as soon as it is decided, so that what
/// follows is decided from the state that will be.
pub(crate) struct Draft {
    pub(crate) state: State,
    pub(crate) decision: Decision,
    context: Counted,
}

impl Draft {
    pub(crate) fn new(state: State, transcript: &Transcript) -> Self {
        Self {
            state,
            decision: Decision::default(),
            context: Counted(Context::count(transcript)),
        }
    }

    /// Decides what an input leads to.
    pub(crate) fn take(&mut self, input: Input) {
        match input {
            Input::Op(op) => self.op(op),
            Input::AnsweredAlways { call, covered } => self.answer_always(call, covered),
            Input::Replied {
                request,
                reply,
                plans,
            } if self.state.turn.request() == Some(request) => {
                self.replied(request, reply, plans);
            }
            Input::Failed { request, failure } if self.state.turn.request() == Some(request) => {
                self.failed(request, failure);
            }
            // Answers to a request that is no longer open.
            Input::Replied { .. } | Input::Failed { .. } => {}
            Input::ToolEnded { call, outcome } => self.tool_ended(call, outcome),
            Input::JobEnded(end) => self.job_ended(end),
        }
    }

    fn op(&mut self, op: Op) {
        match op {
            Op::Say {
                message,
                delivery,
                content,
            } => self.say(message, delivery, content),
            Op::Resume => self.resume(),
            Op::Interrupt { cause } => self.interrupt(cause),
            Op::Answer { call, answer } => self.answer(call, answer),
            Op::Configure { settings } => self.record(Event::Configured { settings }),
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
}
