//! Messages between their acceptance and their delivery: none is lost, none delivered twice.
//!
//! A steer is delivered with the next request of the open turn. A queued message opens a turn of
//! its own once the open one has ended in an ordinary way. After a turn that ended in any other
//! way everything waits until a person speaks again; the turn that opens then gets all that
//! waits, in order of acceptance, so that the model reads it as it was written.

use std::sync::Arc;

use quire_protocol::{Content, Delivery, Effort, Event, MessageId};

use crate::draft::Draft;

/// Accepted messages that are not delivered yet, in order of acceptance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mail {
    waiting: Vec<Arc<Letter>>,
}

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) message: MessageId,
    pub(crate) delivery: Delivery,
    pub(crate) content: Vec<Content>,
    pub(crate) effort: Option<Effort>,
}

impl Mail {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn has_steers(&self) -> bool {
        self.letters()
            .any(|letter| letter.delivery == Delivery::Steer)
    }

    pub(crate) fn letters(&self) -> impl Iterator<Item = &Letter> {
        self.waiting.iter().map(AsRef::as_ref)
    }

    pub(crate) fn accepted(
        &mut self,
        message: &MessageId,
        delivery: Delivery,
        content: &[Content],
        effort: Option<Effort>,
    ) {
        self.waiting.push(Arc::new(Letter {
            message: message.clone(),
            delivery,
            content: content.to_vec(),
            effort,
        }));
    }

    pub(crate) fn delivered(&mut self, message: &MessageId) -> Option<Arc<Letter>> {
        let place = self
            .waiting
            .iter()
            .position(|letter| letter.message == *message)?;
        Some(self.waiting.remove(place))
    }
}

impl Draft<'_> {
    /// Takes a message that was not seen before.
    pub(crate) fn say(
        &mut self,
        message: MessageId,
        delivery: Delivery,
        content: Vec<Content>,
        effort: Option<Effort>,
    ) {
        let dormant = self.state.turn.is_dormant();
        // Nothing runs in a dormant turn, so there is nothing to queue behind.
        let delivery = if dormant { Delivery::Steer } else { delivery };
        self.record(Event::MessageAccepted {
            message,
            delivery,
            content,
            effort,
        });
        if self.state.turn.id().is_none() {
            self.open_with_all();
        } else if dormant {
            self.advance();
        }
    }

    pub(crate) fn deliver_all(&mut self) {
        let messages = self.state.mail.letters().map(|l| l.message.clone());
        self.deliver(messages.collect());
    }

    pub(crate) fn deliver_steers(&mut self) {
        let steers = self.state.mail.letters();
        let steers = steers.filter(|letter| letter.delivery == Delivery::Steer);
        self.deliver(steers.map(|letter| letter.message.clone()).collect());
    }

    /// Delivers the steers that came too late for the last turn, or else the first queued message.
    pub(crate) fn deliver_next(&mut self) {
        if self.state.mail.has_steers() {
            self.deliver_steers();
        } else {
            self.deliver_first();
        }
    }

    fn deliver_first(&mut self) {
        let first = self.state.mail.letters().next();
        self.deliver(
            first
                .map(|letter| letter.message.clone())
                .into_iter()
                .collect(),
        );
    }

    fn deliver(&mut self, messages: Vec<MessageId>) {
        for message in messages {
            self.record(Event::MessageDelivered { message });
        }
    }
}
