//! Messages between their acceptance and their delivery: none is lost, none delivered twice.
//!
//! A steer is delivered with the next request of the open turn. A queued message opens a turn of
//! its own once the open one has ended in an ordinary way. A note goes with the next request, whoever
//! causes that, and causes none itself. After a turn that ended in any other
//! way everything waits until a person speaks again; the turn that opens then gets all that
//! waits, in order of acceptance, so that the model reads it as it was written. What waits can be
//! taken back: that is the other end that a message may come to.

use std::sync::Arc;

use quire_protocol::{Content, Delivery, Effort, Event, MessageId, Pause, StopReason};

use crate::draft::Draft;

/// Accepted messages that are not delivered yet, in order of acceptance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mail {
    waiting: Vec<Arc<Letter>>,
    /// Whether all of them wait for a person to speak.
    held: bool,
    /// Whether the model has not answered since the last one was delivered.
    unread: bool,
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
    /// Whether a message waits for nothing but its turn.
    pub(crate) fn opens_turn(&self) -> bool {
        !self.held
            && self
                .letters()
                .any(|letter| letter.delivery != Delivery::Note)
    }

    /// Whether a message keeps the open turn going.
    pub(crate) fn has_steers(&self) -> bool {
        let steers = |letter: &Letter| letter.delivery == Delivery::Steer;
        !self.held && self.letters().any(steers)
    }

    /// What is to be delivered with the next request.
    fn due(&self) -> impl Iterator<Item = &Letter> {
        self.letters().filter(|letter| match letter.delivery {
            Delivery::Steer => !self.held,
            Delivery::Queue => false,
            Delivery::Note => true,
        })
    }

    /// What is to be delivered with the next request where that opens the turn of the first message.
    fn first(&self) -> impl Iterator<Item = &Letter> {
        let is_note = |letter: &Letter| letter.delivery == Delivery::Note;
        let first = self.letters().position(|letter| !is_note(letter));
        let letters = self.letters().enumerate();
        letters
            .filter(move |(place, letter)| Some(*place) == first || is_note(letter))
            .map(|(_, letter)| letter)
    }

    /// A turn ended: whether its end was one after which everything waits for a person.
    pub(crate) fn turn_ended(&mut self, reason: StopReason) {
        self.held |= !is_ordinary(reason);
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
        self.held &= delivery == Delivery::Note;
        self.waiting.push(Arc::new(Letter {
            message: message.clone(),
            delivery,
            content: content.to_vec(),
            effort,
        }));
    }

    pub(crate) fn delivered(&mut self, message: &MessageId) -> Option<Arc<Letter>> {
        let letter = self.take_out(message)?;
        self.unread |= letter.delivery != Delivery::Note;
        Some(letter)
    }

    /// Takes a message out of those that wait.
    pub(crate) fn take_out(&mut self, message: &MessageId) -> Option<Arc<Letter>> {
        let place = self
            .waiting
            .iter()
            .position(|letter| letter.message == *message)?;
        Some(self.waiting.remove(place))
    }

    /// What waits is another session's, which hears it. Notes go with what is said next, here as there.
    pub(crate) fn forked(&mut self) {
        let is_note = |letter: &Arc<Letter>| letter.delivery == Delivery::Note;
        self.waiting.retain(is_note);
    }

    /// The model answered, and so has read what was delivered.
    pub(crate) fn read(&mut self) {
        self.unread = false;
    }

    pub(crate) fn is_unread(&self) -> bool {
        self.unread
    }
}

/// Whether a turn that ended so is followed by what waits for its end.
#[must_use]
pub fn is_ordinary(reason: StopReason) -> bool {
    match reason {
        StopReason::EndTurn
        | StopReason::MaxTokens
        | StopReason::MaxTurnRequests
        | StopReason::Refusal
        | StopReason::Impossible => true,
        StopReason::Cancelled | StopReason::Budget | StopReason::NoProgress | StopReason::Error => {
            false
        }
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
        if delivery == Delivery::Note {
            return self.record(Event::MessageAccepted {
                message,
                delivery,
                content,
                effort,
            });
        }
        let dormant = self.state.turn.is_dormant();
        // Nothing runs in a dormant turn, so there is nothing to queue behind.
        let delivery = if dormant { Delivery::Steer } else { delivery };
        self.record(Event::MessageAccepted {
            message,
            delivery,
            content,
            effort,
        });
        if delivery == Delivery::Steer {
            self.pause_no_more();
        }
        let waits = self.state.turn.pause() == Some(Pause::Limit) && self.limit_reached().is_some();
        if self.state.turn.id().is_none() {
            self.open_with_all();
        } else if dormant && !waits {
            self.advance();
        }
    }

    /// Takes a message back that waits; any other is beyond recall.
    pub(crate) fn withdraw(&mut self, message: MessageId) {
        let mut waiting = self.state.mail.letters();
        if waiting.any(|letter| letter.message == message) {
            drop(waiting);
            self.record(Event::MessageWithdrawn { message });
        }
    }

    pub(crate) fn deliver_all(&mut self) {
        let messages = self.state.mail.letters().map(|l| l.message.clone());
        self.deliver(messages.collect());
    }

    /// Delivers what goes with the next request.
    pub(crate) fn deliver_due(&mut self) {
        let due = self.state.mail.due();
        self.deliver(due.map(|letter| letter.message.clone()).collect());
    }

    /// Delivers the steers that came too late for the last turn, or else the first queued message, with
    /// the notes that wait. Where a turn opens for none of them, notes go with its first request for work.
    pub(crate) fn deliver_next(&mut self) {
        let mail = &self.state.mail;
        if mail.has_steers() || !mail.opens_turn() {
            if self.state.turn.has_task() || mail.has_steers() {
                self.deliver_due();
            }
            return;
        }
        let first = mail.first();
        self.deliver(first.map(|letter| letter.message.clone()).collect());
    }

    fn deliver(&mut self, messages: Vec<MessageId>) {
        for message in messages {
            self.record(Event::MessageDelivered { message });
        }
    }
}
