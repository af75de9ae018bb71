//! The context: it only grows, and a model API would take it at every request.

use std::collections::VecDeque;
use std::sync::Arc;

use quire_protocol::{CallId, Event, Item, Transcript};

use super::{Checked, ensure};

/// The items so far, and the calls that still need a result.
#[derive(Debug, Default)]
pub(super) struct Seen {
    items: Vec<Arc<Item>>,
    /// In order.
    unanswered: VecDeque<CallId>,
    /// Whether a result has followed the calls.
    answering: bool,
}

impl Seen {
    /// Whether every call has its result.
    pub(super) fn is_whole(&self) -> bool {
        self.unanswered.is_empty()
    }

    pub(super) fn saw(&mut self, event: &Event, transcript: &Transcript) -> Checked {
        let (old, new) = transcript
            .items()
            .split_at_checked(self.items.len())
            .ok_or("the context shrinks")?;
        if matches!(event, Event::ModelCalled { .. }) {
            ensure!(old == self.items, "the context changes");
        }
        for item in new {
            self.add(item, event)?;
        }
        Ok(())
    }

    fn add(&mut self, item: &Arc<Item>, event: &Event) -> Checked {
        let replied = matches!(event, Event::ModelReplied { .. });
        match item.as_ref() {
            Item::ToolCall(call) => {
                ensure!(replied && !self.answering, "a call out of place");
                self.unanswered.push_back(call.call);
            }
            Item::ToolResult { call, .. } => {
                ensure!(
                    self.unanswered.pop_front() == Some(*call),
                    "the result of call {call} is out of place"
                );
                self.answering = !self.unanswered.is_empty();
            }
            Item::Assistant { .. } | Item::Thinking { .. } | Item::Foreign { .. } => {
                ensure!(replied && !self.answering, "the model's words out of place");
            }
            Item::User { message, .. } => {
                let due = matches!(event, Event::MessageDelivered { message: m } if m == message);
                ensure!(due && self.is_whole(), "a message out of place");
            }
            Item::Ledger { .. } | Item::Summary { .. } => {
                ensure!(
                    matches!(event, Event::Compaction(_)),
                    "a ledger out of place"
                );
            }
            Item::Notice { .. } => {
                let due = matches!(event, Event::Noticed { .. });
                ensure!(due && self.is_whole(), "a notice out of place");
            }
        }
        self.items.push(Arc::clone(item));
        Ok(())
    }
}
