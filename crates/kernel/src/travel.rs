//! The past of the session's files, and of the session itself where it is a fork: facts that the engine
//! brings, what the model is told of them, and where a fork may begin.

use std::fmt::Write as _;

use quire_protocol::{Event, MessageId, Record, Seq, TravelStep};

use crate::Session;
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
        if !says_nothing {
            self.record(Event::Travel(step));
        }
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
        let leads_to_message = matches!(
            record.event,
            Event::TurnStarted { .. } | Event::MessageAccepted { .. }
        );
        if self.kernel.is_quiet() && !leads_to_message {
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
