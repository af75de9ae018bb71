//! Events as the bytes that a client of an API expects.

use quire_dialect::Dialect;

use crate::answer::chat::write::ChatWriter;
use crate::answer::messages::write::MessagesWriter;
use crate::answer::responses::write::ResponsesWriter;
use crate::answer::{Answer, Block, Event, Frame, chat, messages};

/// A comment of server-sent events, which every client passes over.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// A sign of life between the events of a stream. OpenAI's clients take no event without a number for one.
#[must_use]
pub const fn sign_of_life(dialect: Dialect) -> &'static [u8] {
    match dialect {
        Dialect::Messages => b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
        Dialect::Responses | Dialect::Chat => KEEP_ALIVE,
    }
}

/// Writes a streamed answer.
#[derive(Debug)]
pub struct Writer {
    dialect: Dialect,
    frame: Frame,
    of: Of,
    /// A block of words of another API that has said nothing yet. Not every API takes empty ones.
    pending: Option<Event>,
}

/// The APIs' writers.
#[derive(Debug)]
enum Of {
    Messages(MessagesWriter),
    Responses(Box<ResponsesWriter>),
    Chat(ChatWriter),
}

impl Writer {
    /// A writer at the start of a stream.
    #[must_use]
    pub fn new(dialect: Dialect, frame: Frame) -> Self {
        Self {
            dialect,
            frame,
            of: match dialect {
                Dialect::Messages => Of::Messages(MessagesWriter::default()),
                Dialect::Responses => Of::Responses(Box::default()),
                Dialect::Chat => Of::Chat(ChatWriter::default()),
            },
            pending: None,
        }
    }

    /// What time it is, in seconds since 1970; Responses says when it was done.
    pub fn tell_time(&mut self, seconds: u64) {
        self.frame.completed = Some(seconds);
    }

    /// Appends the server-sent events that an event is.
    pub fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if *event == Event::Ping {
            out.extend_from_slice(sign_of_life(self.dialect));
            return;
        }
        self.tell(event, &mut |name, json| {
            if !name.is_empty() {
                out.extend_from_slice(b"event: ");
                out.extend_from_slice(name.as_bytes());
                out.push(b'\n');
            }
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(json);
            out.extend_from_slice(b"\n\n");
        });
        if matches!(event, Event::Finish(_)) && self.dialect == Dialect::Chat {
            out.extend_from_slice(b"data: [DONE]\n\n");
        }
    }

    /// Gives the name and the JSON text of each of them, for another carrier than server-sent events. The end of
    /// Chat (`[DONE]`), which is no JSON, is not among them.
    pub fn tell(&mut self, event: &Event, each: &mut dyn FnMut(&str, &[u8])) {
        if self.frame.from != self.dialect {
            match event {
                Event::Open(Block::Text(_) | Block::Refusal(_) | Block::Thinking(_)) => {
                    self.pending = Some(event.clone());
                    return;
                }
                Event::Close(_) if self.pending.take().is_some() => return,
                Event::Grow(_) => {
                    if let Some(open) = self.pending.take() {
                        self.event(&open, each);
                    }
                }
                Event::Begin(_)
                | Event::Open(_)
                | Event::Close(_)
                | Event::Finish(_)
                | Event::Failed(_)
                | Event::Ping => {}
            }
        }
        self.event(event, each);
    }

    fn event(&mut self, event: &Event, each: &mut dyn FnMut(&str, &[u8])) {
        match &mut self.of {
            Of::Messages(writer) => writer.event(&self.frame, event, each),
            Of::Responses(writer) => writer.event(&self.frame, event, each),
            Of::Chat(writer) => writer.event(&self.frame, event, each),
        }
    }
}

/// A whole answer as the body that a client of an API expects.
#[must_use]
pub fn write_whole(dialect: Dialect, frame: &Frame, answer: &Answer) -> Vec<u8> {
    match dialect {
        Dialect::Messages => messages::write::whole(frame, answer),
        Dialect::Chat => chat::write::whole(frame, answer),
        Dialect::Responses => {
            // The last event of a stream holds all of it.
            let mut writer = Writer::new(dialect, frame.clone());
            answer.tell(&mut |event| writer.tell(&event, &mut |_, _| {}));
            match &writer.of {
                Of::Responses(writer) => writer.whole().to_vec(),
                Of::Messages(_) | Of::Chat(_) => Vec::new(),
            }
        }
    }
}
