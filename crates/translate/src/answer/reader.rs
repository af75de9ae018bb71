//! An upstream's answer, streamed or whole, as events.

use quire_dialect::{Dialect, sse};

use crate::answer::chat::read::ChatReader;
use crate::answer::error::malformed;
use crate::answer::messages::read::MessagesReader;
use crate::answer::responses::read::ResponsesReader;
use crate::answer::{Answer, Collector, Event};
use crate::refusal::Refusal;

/// Reads a streamed answer, in any chunking.
#[derive(Debug)]
pub struct Reader {
    parser: sse::Parser,
    of: Of,
}

/// The APIs' readers. After its end each of them is told no more.
#[derive(Debug)]
enum Of {
    Messages(MessagesReader),
    Responses(ResponsesReader),
    Chat(ChatReader),
}

impl Reader {
    /// A reader at the start of a stream.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            parser: sse::Parser::new(),
            of: Of::new(dialect),
        }
    }

    /// Takes more bytes, and tells what they mean.
    pub fn push(&mut self, bytes: &[u8], out: &mut impl FnMut(Event)) {
        let of = &mut self.of;
        let taken: Result<(), sse::TooLarge> = self.parser.push(bytes, &mut |frame| {
            of.frame(frame, out);
            Ok(())
        });
        if let Err(error) = taken {
            self.of.fail(error, out);
        }
    }

    /// The stream has ended. An answer that had not is [`Event::Failed`].
    pub fn finish(&mut self, out: &mut impl FnMut(Event)) {
        let of = &mut self.of;
        let taken: Result<(), sse::TooLarge> = self.parser.finish(&mut |frame| {
            // Half an event at the end is the cut itself.
            if serde_json::from_slice::<serde::de::IgnoredAny>(frame.data).is_ok()
                || frame.data.trim_ascii() == b"[DONE]"
            {
                of.frame(frame, out);
            }
            Ok(())
        });
        match taken {
            Ok(()) => self.of.finish(out),
            Err(error) => self.of.fail(error, out),
        }
    }

    /// Whether [`Event::Finish`] or [`Event::Failed`] was told.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.of.has_ended()
    }
}

impl Of {
    fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Messages => Self::Messages(MessagesReader::new()),
            Dialect::Responses => Self::Responses(ResponsesReader::new()),
            Dialect::Chat => Self::Chat(ChatReader::new()),
        }
    }

    fn has_ended(&self) -> bool {
        match self {
            Self::Messages(reader) => reader.ended,
            Self::Responses(reader) => reader.ended,
            Self::Chat(reader) => reader.ended,
        }
    }

    fn frame(&mut self, frame: sse::Frame<'_>, out: &mut dyn FnMut(Event)) {
        if self.has_ended() {
            return;
        }
        match self {
            Self::Messages(reader) => reader.frame(frame, out),
            Self::Responses(reader) => reader.frame(frame, out),
            Self::Chat(reader) => reader.frame(frame, out),
        }
    }

    fn whole(&mut self, body: &[u8], out: &mut dyn FnMut(Event)) {
        match self {
            Self::Messages(reader) => reader.whole(body, out),
            Self::Responses(reader) => reader.whole(body, out),
            Self::Chat(reader) => reader.whole(body, out),
        }
    }

    fn finish(&mut self, out: &mut dyn FnMut(Event)) {
        if self.has_ended() {
            return;
        }
        match self {
            Self::Messages(reader) => reader.finish(out),
            Self::Responses(reader) => reader.finish(out),
            Self::Chat(reader) => reader.finish(out),
        }
    }

    fn fail(&mut self, error: sse::TooLarge, out: &mut dyn FnMut(Event)) {
        let what = error.to_string();
        match self {
            Self::Messages(reader) => reader.fail(malformed(Dialect::Messages, &what), out),
            Self::Responses(reader) => reader.fail(malformed(Dialect::Responses, &what), out),
            Self::Chat(reader) => reader.fail(malformed(Dialect::Chat, &what), out),
        }
    }
}

/// Reads an answer that came whole.
pub fn read_whole(dialect: Dialect, body: &[u8]) -> Result<Answer, Refusal> {
    let mut collector = Collector::new(dialect);
    let mut of = Of::new(dialect);
    let mut out = |event| collector.take(event);
    of.whole(body, &mut out);
    of.finish(&mut out);
    collector.finish()
}
