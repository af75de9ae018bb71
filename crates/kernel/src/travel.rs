//! The past of the session's files, and of the session itself where it is a fork: facts that the engine
//! brings, what the model is told of them, and where a fork may begin.

use std::fmt::Write as _;

use quire_protocol::{Delivery, Event, MessageId, Record, Seq, StopReason, TokenStop, TravelStep};

use crate::Session;
use crate::budget::Limit;
use crate::draft::Draft;

/// How many files the model is told by name.
const NAMED: usize = 50;

impl Draft<'_> {
    /// Takes down what the engine found or did.
    pub(crate) fn travelled(&mut self, step: TravelStep) {
        let says_nothing = match &step {
            TravelStep::Kept { files, .. } => files.is_empty(),
            TravelStep::TakenBack { .. }
            | TravelStep::Redone { .. }
            | TravelStep::Missed { .. }
            | TravelStep::Forked { .. } => false,
        };
        if says_nothing {
            return;
        }
        let forked = matches!(step, TravelStep::Forked { .. });
        self.record(Event::Travel(step));
        if forked {
            self.rest();
        }
    }

    /// Brings the turn to rest that the other session was in where this one begins: nothing of it runs here.
    fn rest(&mut self) {
        // How long was worked is the other session's too.
        self.worked_ms = self.state.spent.worked_ms;
        if self.state.turn.is_stopping() {
            self.end_stopped();
        } else if self.is_answered() {
            self.close(StopReason::EndTurn, String::new());
        } else if self.state.turn.id().is_some() && !self.state.turn.is_dormant() {
            self.stop_at(Limit::Asked);
        }
    }

    /// Whether nothing but a message kept the turn from its end.
    fn is_answered(&self) -> bool {
        let turn = &self.state.turn;
        let has_ended = match turn.last_word() {
            Some(TokenStop::EndTurn | TokenStop::ToolUse) => turn.silences() == 0,
            Some(TokenStop::MaxTokens | TokenStop::Refusal | TokenStop::Pause) | None => false,
        };
        has_ended && self.state.goal.goal().is_none()
    }
}

/// What the model is to be told of a step; nothing of what it did itself.
pub(crate) fn news(step: &TravelStep) -> Option<String> {
    match step {
        TravelStep::Kept { .. } | TravelStep::Missed { .. } => None,
        TravelStep::TakenBack { files, .. } | TravelStep::Redone { files, .. }
            if files.is_empty() =>
        {
            None
        }
        TravelStep::Redone { files, .. } => {
            let names = files.iter().map(|file| file.path.as_str());
            Some(named(
                "The person had changes of files again that had been taken back; read these again \
                 before you rely on them: ",
                names,
            ))
        }
        TravelStep::TakenBack { files, .. } => {
            let names = files.iter().map(|file| file.path.as_str());
            Some(named(
                "The person took changes of files back; read these again before you rely on them: ",
                names,
            ))
        }
        TravelStep::Forked { ahead, .. } if ahead.is_empty() => None,
        TravelStep::Forked { ahead, .. } => Some(named(
            "The person went back to this point of the conversation, but the files did not: these \
             hold changes that were made after it: ",
            ahead.iter().map(String::as_str),
        )),
    }
}

/// The last place before a message at which nothing was under way, or of the whole journal.
///
/// Before one that opened a turn, that is before it was said, or, where it had been queued, after the turn in
/// which it was; before one that was heard inside a turn, after the step that came before it.
pub struct ForkPlace<'a> {
    before: Option<&'a MessageId>,
    kernel: Session,
    quiet: Seq,
    found: Option<Seq>,
}

impl<'a> ForkPlace<'a> {
    /// Looks for the last place before this message, or of all there is.
    #[must_use]
    pub fn new(before: Option<&'a MessageId>) -> Self {
        Self {
            before,
            kernel: Session::default(),
            quiet: Seq(0),
            found: None,
        }
    }

    /// Takes the next record of the journal.
    pub fn follow(&mut self, record: &Record) {
        if let Event::MessageDelivered { message } = &record.event
            && Some(message) == self.before
        {
            self.found.get_or_insert(self.quiet);
        }
        self.kernel.apply(&record.event);
        if self.kernel.is_quiet() && !leads_on(&record.event) {
            self.quiet = record.seq;
        }
    }

    /// The place; none where the message was never delivered.
    #[must_use]
    pub fn place(&self) -> Option<Seq> {
        match self.before {
            Some(_) => self.found,
            None => Some(self.quiet),
        }
    }
}

/// Whether an event is the beginning of what follows it: of a message that is heard next, or of a request.
fn leads_on(event: &Event) -> bool {
    match event {
        Event::MessageAccepted { delivery, .. } => *delivery != Delivery::Note,
        Event::Noticed { .. } => true,
        _ => false,
    }
}

fn named<'a>(words: &str, names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let mut text = words.to_owned();
    let more = names.len().saturating_sub(NAMED);
    for (number, name) in names.take(NAMED).enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{name}");
    }
    if more > 0 {
        let _ = write!(text, ", and {more} more");
    }
    text.push('.');
    text
}
