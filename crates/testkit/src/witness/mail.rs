//! Messages: each accepted once, delivered once or taken back, in order, at its time.

use quire_protocol::{Content, Delivery, Effort, Event, Item, MessageId};

use super::ensure;

/// Every message so far, in order of acceptance.
#[derive(Debug, Default)]
pub(super) struct Mail {
    letters: Vec<Letter>,
    /// Whether those that wait do so until a person speaks.
    pub(super) held: bool,
}

/// What was delivered.
pub(super) struct Delivered {
    pub(super) is_note: bool,
    pub(super) effort: Option<Effort>,
    pub(super) words: Vec<Content>,
}

#[derive(Debug)]
struct Letter {
    message: MessageId,
    delivery: Delivery,
    content: Vec<Content>,
    effort: Option<Effort>,
    /// Whether it came to its end: was delivered, or taken back.
    settled: bool,
}

impl Mail {
    pub(super) fn saw(&mut self, event: &Event) {
        if let Event::MessageAccepted {
            message,
            delivery,
            content,
            effort,
        } = event
        {
            self.held &= *delivery == Delivery::Note;
            self.letters.push(Letter {
                message: message.clone(),
                delivery: *delivery,
                content: content.clone(),
                effort: *effort,
                settled: false,
            });
        }
    }

    pub(super) fn knows(&self, message: &MessageId) -> bool {
        let known = self
            .letters
            .iter()
            .filter(|letter| letter.message == *message);
        known.count() == 1
    }

    fn open(&self) -> impl Iterator<Item = &Letter> {
        self.letters.iter().filter(|letter| !letter.settled)
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &MessageId> {
        self.open().map(|letter| &letter.message)
    }

    pub(super) fn opens_a_turn(&self) -> bool {
        !self.held && self.waits_for_a_turn()
    }

    /// Whether something waits that is more than a note.
    pub(super) fn waits_for_a_turn(&self) -> bool {
        self.open().any(|letter| letter.delivery != Delivery::Note)
    }

    pub(super) fn has_notes(&self) -> bool {
        self.open().any(|letter| letter.delivery == Delivery::Note)
    }

    pub(super) fn has_steers(&self) -> bool {
        !self.held && self.open().any(|letter| letter.delivery == Delivery::Steer)
    }

    /// Checks that what is taken back waited.
    pub(super) fn withdrawn(&mut self, message: &MessageId) -> Result<(), String> {
        let letter = self
            .letters
            .iter_mut()
            .find(|letter| letter.message == *message && !letter.settled)
            .ok_or_else(|| format!("{message} is taken back and does not wait"))?;
        letter.settled = true;
        Ok(())
    }

    /// Whether a message waits.
    pub(super) fn holds(&self, message: &MessageId) -> bool {
        self.waiting().any(|waiting| waiting == message)
    }

    /// Checks a delivery, as this item, after so many requests of its turn.
    pub(super) fn delivered(
        &mut self,
        message: &MessageId,
        item: Option<&Item>,
        requests: u32,
    ) -> Result<Delivered, String> {
        let place = self
            .letters
            .iter()
            .position(|letter| letter.message == *message && !letter.settled)
            .ok_or_else(|| {
                format!("{message} is delivered again, unasked, or after it was taken back")
            })?;
        let delivery = self.letters[place].delivery;
        let overtaken = self.letters[..place]
            .iter()
            .any(|letter| !letter.settled && letter.delivery == delivery);
        ensure!(!overtaken, "{message} overtakes another message");
        ensure!(
            delivery != Delivery::Queue || requests == 0,
            "{message} was queued and is delivered inside a turn"
        );
        let content = std::mem::take(&mut self.letters[place].content);
        let right = matches!(item, Some(Item::User { message: m, content: c })
            if m == message && *c == content);
        ensure!(right, "{message} is delivered as {item:?}");
        self.letters[place].settled = true;
        Ok(Delivered {
            is_note: delivery == Delivery::Note,
            effort: self.letters[place].effort,
            words: content,
        })
    }
}
