//! Turns and requests: numbers, order, and that a stop is a stop.

use quire_protocol::{Event, Item, RequestId, StopReason, TokenStop};

use super::{Checked, ensure};

/// The open turn and the last answer.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "plain facts, one by one, as the journal says them"
)]
pub(super) struct Turns {
    pub(super) open: bool,
    /// Requests in the open turn.
    pub(super) requests: u32,
    /// The open request.
    pub(super) request: Option<RequestId>,
    pub(super) stopping: bool,
    pub(super) dormant: bool,
    pub(super) last_end: Option<StopReason>,
    last: u32,
    last_request: u32,
    last_stop: Option<TokenStop>,
    /// Whether the last request failed.
    failed: bool,
    /// Replies in a row with neither words nor calls.
    pub(super) silences: u32,
    /// From an interrupt until a person speaks.
    pub(super) hushed: bool,
}

impl Turns {
    /// Whether nothing may start now.
    pub(super) fn must_not_start(&self) -> bool {
        self.stopping || self.hushed
    }

    pub(super) fn may_end(&self, reason: StopReason) -> Checked {
        let holds = match reason {
            StopReason::EndTurn => {
                matches!(
                    self.last_stop,
                    Some(TokenStop::EndTurn | TokenStop::ToolUse)
                )
            }
            StopReason::MaxTokens => self.last_stop == Some(TokenStop::MaxTokens),
            StopReason::Refusal => self.last_stop == Some(TokenStop::Refusal),
            StopReason::Error => self.failed,
            StopReason::Cancelled
            | StopReason::Budget
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
                    ..Self::default()
                };
            }
            Event::TurnEnded { turn, reason, .. } => {
                ensure!(self.open && turn.0 == self.last, "turn {turn} ends");
                self.open = false;
                self.stopping = false;
                self.dormant = false;
                self.last_end = Some(*reason);
            }
            Event::ModelCalled { request, .. } => {
                ensure!(self.open && self.request.is_none(), "{request} overlaps");
                ensure!(request.0 == self.last_request + 1, "{request} is not next");
                self.last_request = request.0;
                self.request = Some(*request);
                self.requests += 1;
                self.dormant = false;
            }
            Event::ModelReplied {
                request,
                stop,
                items,
                ..
            } => {
                ensure!(self.request == Some(*request), "{request} is not open");
                let silent = items.iter().all(|item| match item {
                    Item::Thinking { .. } => true,
                    Item::Assistant { text, .. } => text.trim().is_empty(),
                    _ => false,
                });
                self.silences = if silent { self.silences + 1 } else { 0 };
                self.request = None;
                self.last_stop = Some(*stop);
                self.failed = false;
            }
            Event::ModelFailed { request, .. } => {
                ensure!(self.request == Some(*request), "{request} is not open");
                self.request = None;
                self.failed = true;
            }
            Event::InterruptAccepted { .. } => {
                ensure!(self.open && !self.stopping, "an interrupt of nothing");
                self.stopping = true;
                self.dormant = false;
                self.hushed = true;
            }
            Event::MessageAccepted { .. } => self.hushed = false,
            Event::ToolStarted { .. } => {
                ensure!(self.open && self.request.is_none(), "a tool out of step");
                self.dormant = false;
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
}
