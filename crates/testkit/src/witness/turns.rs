//! Turns and requests: numbers, order, and that a stop is a stop.

use quire_protocol::{
    CompactionStep, Delivery, Effort, Event, Item, MessageId, ModelErrorKind, Pause, Purpose,
    RequestId, StopReason, TokenStop,
};

use super::{Checked, ensure};

/// The open turn and the last answer.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "plain facts, one by one, as the journal says them"
)]
pub(super) struct Turns {
    pub(super) open: bool,
    /// Requests for the work itself in the open turn.
    pub(super) requests: u32,
    /// The open request.
    pub(super) request: Option<RequestId>,
    /// What it is for.
    pub(super) purpose: Purpose,
    /// Whether the turn holds something for the model to do besides a compaction.
    pub(super) has_task: bool,
    /// How hard to think in this turn, where a message said so.
    pub(super) effort: Option<Effort>,
    /// The highest effort chosen in this turn.
    pub(super) raised: Option<Effort>,
    /// The effort chosen for the open request.
    pub(super) chosen: Option<Effort>,
    /// Times in a row that a cut answer was asked to go on.
    pub(super) cuts: u32,
    /// Whether a limit of the session keeps the turn.
    pub(super) paused: bool,
    /// Whether a person does.
    pub(super) paused_by_person: bool,
    /// Whether a person wants it to pause after its step.
    pub(super) pausing: bool,
    pub(super) stopping: bool,
    pub(super) dormant: bool,
    pub(super) last_end: Option<StopReason>,
    pub(super) last: u32,
    last_request: u32,
    pub(super) last_stop: Option<TokenStop>,
    /// How the last request failed, if it did.
    pub(super) failed: Option<ModelErrorKind>,
    /// Replies in a row with neither words nor calls.
    pub(super) silences: u32,
    /// From an interrupt until a person speaks.
    pub(super) hushed: bool,
    /// What was said since the last interrupt, and not taken back.
    since: Vec<MessageId>,
}

impl Turns {
    /// Whether nothing may start now.
    pub(super) fn must_not_start(&self) -> bool {
        self.stopping || self.hushed
    }

    pub(super) fn may_end(&self, reason: StopReason) -> Checked {
        let holds = match reason {
            StopReason::EndTurn => {
                !self.has_task
                    || matches!(
                        self.last_stop,
                        Some(TokenStop::EndTurn | TokenStop::ToolUse)
                    )
            }
            StopReason::MaxTokens => {
                self.last_stop == Some(TokenStop::MaxTokens) && self.cuts == 15
            }
            StopReason::Refusal => self.last_stop == Some(TokenStop::Refusal),
            StopReason::Budget => false,
            StopReason::Error
            | StopReason::Cancelled
            | StopReason::MaxTurnRequests
            | StopReason::NoProgress
            | StopReason::Impossible => true,
        };
        ensure!(holds, "{reason:?} after {:?}", self.last_stop);
        ensure!(self.request.is_none(), "a turn ends with an open request");
        Ok(())
    }

    pub(super) fn saw(&mut self, event: &Event) -> Checked {
        match event {
            Event::TurnStarted { turn } => {
                ensure!(!self.open && turn.0 == self.last + 1, "turn {turn} opens");
                *self = Self {
                    open: true,
                    last: turn.0,
                    last_request: self.last_request,
                    pausing: self.pausing,
                    ..Self::default()
                };
            }
            Event::TurnEnded { turn, reason, .. } => {
                ensure!(self.open && turn.0 == self.last, "turn {turn} ends");
                self.open = false;
                self.stopping = false;
                self.woken();
                self.last_end = Some(*reason);
            }
            Event::ModelCalled { .. } | Event::ModelReplied { .. } | Event::ModelFailed { .. } => {
                self.requested(event)?;
            }
            Event::Noticed { text } => {
                self.has_task |= text.starts_with("The goal is not met yet");
                self.cuts += u32::from(text.starts_with("Your answer was cut"));
            }
            Event::TurnPaused { turn, pause, .. } => {
                ensure!(self.open && turn.0 == self.last, "turn {turn} pauses");
                ensure!(!self.stopping, "a turn that is being stopped pauses");
                self.pausing = *pause == Pause::Asked;
                if pause.has_begun() {
                    ensure!(self.request.is_none(), "a turn with an open request pauses");
                    self.dormant = true;
                    self.paused = *pause == Pause::Limit;
                    self.paused_by_person = *pause == Pause::Person;
                }
            }
            Event::Compaction(CompactionStep::Asked { .. }) if !self.open => self.hushed = false,
            Event::InterruptAccepted { .. } => {
                ensure!(self.open && !self.stopping, "an interrupt of nothing");
                self.stopping = true;
                self.pausing = false;
                self.woken();
                self.hushed = true;
                self.since.clear();
            }
            Event::MessageAccepted {
                message, delivery, ..
            } if *delivery != Delivery::Note => {
                self.hushed = false;
                self.since.push(message.clone());
            }
            Event::MessageWithdrawn { message } => {
                self.since.retain(|other| other != message);
                // Whoever takes back what was said after a stop has not spoken.
                self.hushed |= self.stopping && self.since.is_empty();
            }
            Event::ToolStarted { .. } => {
                ensure!(self.open && self.request.is_none(), "a tool out of step");
                self.woken();
            }
            Event::Recovered { lost_request, .. } => {
                ensure!(self.open && !self.dormant, "nothing to recover");
                ensure!(self.request == *lost_request, "another request was lost");
                self.dormant = !self.stopping;
            }
            _ => {}
        }
        Ok(())
    }

    fn woken(&mut self) {
        (self.dormant, self.paused) = (false, false);
        self.paused_by_person = false;
    }

    /// A request began or ended.
    fn requested(&mut self, event: &Event) -> Checked {
        match event {
            Event::ModelCalled {
                request,
                purpose,
                chosen,
                ..
            } => {
                ensure!(self.open && self.request.is_none(), "{request} overlaps");
                ensure!(request.0 == self.last_request + 1, "{request} is not next");
                self.last_request = request.0;
                self.request = Some(*request);
                self.purpose = purpose.clone();
                self.requests += u32::from(purpose.is_work());
                self.chosen = chosen.as_ref().map(|chosen| chosen.effort);
                self.raised = self.raised.max(self.chosen);
                self.woken();
            }
            Event::ModelReplied { request, .. } => {
                ensure!(self.request == Some(*request), "{request} is not open");
                self.request = None;
                self.failed = None;
                self.replied(event);
            }
            Event::ModelFailed { request, error, .. } => {
                ensure!(self.request == Some(*request), "{request} is not open");
                self.request = None;
                self.failed = Some(error.kind);
            }
            _ => {}
        }
        Ok(())
    }

    /// A reply that is not for the work itself says nothing in the turn.
    fn replied(&mut self, event: &Event) {
        let Event::ModelReplied { stop, items, .. } = event else {
            return;
        };
        if !self.purpose.is_work() {
            return;
        }
        let silent = items.iter().all(|item| match item {
            Item::Thinking { .. } => true,
            Item::Assistant { text, .. } => text.trim().is_empty(),
            _ => false,
        });
        self.silences = if silent { self.silences + 1 } else { 0 };
        if *stop != TokenStop::MaxTokens {
            self.cuts = 0;
        }
        self.last_stop = Some(*stop);
    }
}
