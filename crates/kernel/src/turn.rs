//! How a turn opens, goes from step to step, and ends.

use std::sync::Arc;

use quire_protocol::{Event, Item, ModelFailure, RequestId, StopReason, TokenStop, TurnId};

use crate::Effect;
use crate::draft::Draft;

/// The open turn, if there is one, and the numbers given so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    last: TurnId,
    last_request: RequestId,
    open: Option<Open>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    /// Requests sent in this turn.
    requests: u32,
    /// The request that has no answer yet. Invariant: then no call is open.
    request: Option<RequestId>,
    /// Replies in a row that said nothing and called nothing.
    silences: u32,
    mode: Mode,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    /// It goes on by itself.
    Live,
    /// A crash cut it short; nothing runs, and nothing starts until a person acts.
    Dormant,
    /// An interrupt was accepted; nothing starts any more.
    Stopping {
        cause: Arc<str>,
        /// Whether a message came after the interrupt.
        spoken_to: bool,
    },
}

impl Turn {
    pub(crate) fn id(&self) -> Option<TurnId> {
        self.open.as_ref().map(|_| self.last)
    }

    pub(crate) fn request(&self) -> Option<RequestId> {
        self.open.as_ref()?.request
    }

    /// Requests sent in the open turn.
    pub(crate) fn requests(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.requests)
    }

    pub(crate) fn is_dormant(&self) -> bool {
        matches!(self.mode(), Some(Mode::Dormant))
    }

    pub(crate) fn is_stopping(&self) -> bool {
        matches!(self.mode(), Some(Mode::Stopping { .. }))
    }

    fn mode(&self) -> Option<&Mode> {
        self.open.as_ref().map(|open| &open.mode)
    }

    pub(crate) fn started(&mut self, turn: TurnId) {
        self.last = turn;
        self.open = Some(Open {
            requests: 0,
            request: None,
            silences: 0,
            mode: Mode::Live,
        });
    }

    pub(crate) fn called(&mut self, request: RequestId) {
        self.last_request = request;
        if let Some(open) = &mut self.open {
            open.request = Some(request);
            open.requests += 1;
        }
        self.woken();
    }

    /// The open request has its answer, or failed.
    pub(crate) fn answered(&mut self) {
        if let Some(open) = &mut self.open {
            open.request = None;
        }
    }

    /// The model replied with these items.
    pub(crate) fn heard(&mut self, items: &[Item]) {
        self.answered();
        if let Some(open) = &mut self.open {
            open.silences = if says_nothing(items) {
                open.silences + 1
            } else {
                0
            };
        }
    }

    fn silences(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.silences)
    }

    pub(crate) fn woken(&mut self) {
        if let Some(Open {
            mode: mode @ Mode::Dormant,
            ..
        }) = &mut self.open
        {
            *mode = Mode::Live;
        }
    }

    pub(crate) fn interrupted(&mut self, cause: &str) {
        if let Some(open) = &mut self.open {
            open.mode = Mode::Stopping {
                cause: cause.into(),
                spoken_to: false,
            };
        }
    }

    pub(crate) fn spoken_to(&mut self) {
        if let Some(Open {
            mode: Mode::Stopping { spoken_to, .. },
            ..
        }) = &mut self.open
        {
            *spoken_to = true;
        }
    }

    pub(crate) fn recovered(&mut self) {
        if let Some(Open {
            mode: mode @ Mode::Live,
            ..
        }) = &mut self.open
        {
            *mode = Mode::Dormant;
        }
    }

    pub(crate) fn ended(&mut self) {
        self.open = None;
    }
}

/// Whether a reply has neither words nor calls. Some models end so in the middle of their work.
fn says_nothing(items: &[Item]) -> bool {
    !items.iter().any(|item| match item {
        Item::Assistant { text, .. } => !text.trim().is_empty(),
        Item::Thinking { .. } => false,
        _ => true,
    })
}

impl Draft {
    /// Opens a turn with every waiting message, oldest first.
    pub(crate) fn open_with_all(&mut self) {
        self.start_turn();
        self.deliver_all();
        self.check_budget_and_call();
    }

    /// Opens a turn with what a person said during the last one: with the steers that came too
    /// late for it, or else with the first queued message. With neither, opens none.
    fn open_next(&mut self) {
        if self.state.mail.is_empty() {
            return;
        }
        self.start_turn();
        if self.state.mail.has_steers() {
            self.deliver_steers();
        } else {
            self.deliver_first();
        }
        self.check_budget_and_call();
    }

    fn start_turn(&mut self) {
        let turn = self.state.turn.last.next();
        self.record(Event::TurnStarted { turn });
        self.tell_news();
    }

    fn check_budget_and_call(&mut self) {
        match self.limit_reached() {
            Some((reason, detail)) => self.end(reason, detail),
            None => self.call_model(),
        }
    }

    /// Goes on with an open turn, from wherever it is.
    pub(crate) fn advance(&mut self) {
        if self.state.turn.is_stopping() {
            self.finish_stopping();
        } else if self.state.step.is_empty() {
            self.cross_boundary();
        } else {
            self.start_calls();
        }
    }

    /// Between two steps: every call has its result and no request is open. Limits come first, so
    /// that a steer is delivered only with a request that carries it.
    fn cross_boundary(&mut self) {
        if let Some((reason, detail)) = self.limit_reached() {
            return self.end(reason, detail);
        }
        self.warn_of_repeats();
        self.tell_news();
        self.deliver_steers();
        self.call_model();
    }

    fn call_model(&mut self) {
        assert!(
            self.state.step.is_empty() && self.state.turn.request().is_none(),
            "every call needs its result, and every request its answer, before the next request"
        );
        let request = self.state.turn.last_request.next();
        let items = self.items();
        self.record(Event::ModelCalled { request, items });
        self.wish(Effect::CallModel(request));
    }

    /// The model answered without asking for a tool.
    pub(crate) fn replied_without_calls(&mut self, stop: TokenStop) {
        if self.state.mail.has_steers() || stop == TokenStop::Pause {
            return self.cross_boundary();
        }
        match stop {
            TokenStop::Refusal => self.end_refused(),
            TokenStop::MaxTokens => self.end(
                StopReason::MaxTokens,
                "the answer was cut at the output limit: say something to go on".to_owned(),
            ),
            TokenStop::EndTurn | TokenStop::ToolUse | TokenStop::Pause => {
                if self.state.turn.silences() == 1 && self.limit_reached().is_none() {
                    self.ask_the_silent();
                } else {
                    self.end(StopReason::EndTurn, String::new());
                }
            }
        }
    }

    /// Asks a model that said nothing once more; a second silence is its last word.
    fn ask_the_silent(&mut self) {
        let text = "Your reply was empty. Go on; when you are done, say what came of it.";
        self.record(Event::Noticed {
            text: text.to_owned(),
        });
        self.tell_news();
        self.call_model();
    }

    pub(crate) fn end_refused(&mut self) {
        let detail = "the model or its provider refused to answer".to_owned();
        self.end(StopReason::Refusal, detail);
    }

    /// The open request failed or was cancelled.
    pub(crate) fn failed(&mut self, request: RequestId, failure: ModelFailure) {
        let detail = match failure.error.hint.as_str() {
            "" => failure.error.message.clone(),
            hint => format!("{}: {hint}", failure.error.message),
        };
        self.record(Event::ModelFailed {
            request,
            error: failure.error,
            usage: failure.usage,
            cost: failure.cost,
            retries: failure.retries,
        });
        if self.state.turn.is_stopping() {
            self.finish_stopping();
        } else {
            self.end(StopReason::Error, detail);
        }
    }

    /// Ends the turn, and opens the next one if a message waits for it and the reason allows.
    pub(crate) fn end(&mut self, reason: StopReason, detail: String) {
        let Some(turn) = self.state.turn.id() else {
            return;
        };
        self.record(Event::TurnEnded {
            turn,
            reason,
            detail,
        });
        match reason {
            StopReason::EndTurn
            | StopReason::MaxTokens
            | StopReason::MaxTurnRequests
            | StopReason::Refusal => self.open_next(),
            StopReason::Cancelled
            | StopReason::Budget
            | StopReason::NoProgress
            | StopReason::Error => {}
        }
    }

    /// Stops everything. The turn ends once nothing of it runs any more, which may be now.
    pub(crate) fn interrupt(&mut self, cause: String) {
        if self.state.turn.is_stopping() {
            return;
        }
        if self.state.turn.id().is_some() {
            self.record(Event::InterruptAccepted { cause });
            self.cancel_calls();
            if let Some(request) = self.state.turn.request() {
                self.wish(Effect::CancelModel(request));
            }
        }
        self.stop_jobs();
        self.finish_stopping();
    }

    /// Ends a stopping turn once nothing of it runs. What was said after the interrupt then opens
    /// a turn; what was said before it waits for that.
    pub(crate) fn finish_stopping(&mut self) {
        let spoken_to = matches!(
            self.state.turn.mode(),
            Some(Mode::Stopping {
                spoken_to: true,
                ..
            })
        );
        self.end_stopped();
        if spoken_to && self.state.turn.id().is_none() {
            self.open_with_all();
        }
    }

    /// Ends a stopping turn if no request is open and no call or job runs.
    pub(crate) fn end_stopped(&mut self) {
        let Some(Mode::Stopping { cause, .. }) = self.state.turn.mode() else {
            return;
        };
        let busy = self.state.turn.request().is_some()
            || !self.state.step.is_empty()
            || !self.state.jobs.is_empty();
        if !busy {
            let detail = format!("stopped by {cause}");
            self.end(StopReason::Cancelled, detail);
        }
    }

    /// Goes on with a turn that a crash left open.
    pub(crate) fn resume(&mut self) {
        if self.state.turn.is_dormant() {
            self.advance();
        }
    }
}
