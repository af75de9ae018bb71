//! Answers: the half that all dialects share. The dialects read single events.

use std::borrow::Cow;

use quire_protocol::{
    CallId, Delta, Item, ModelError, ModelErrorKind, Opaque, Prefix, TokenStop, ToolCall, Usage,
};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::chat::decode::ChatReader;
use crate::messages::decode::MessagesReader;
use crate::responses::decode::ResponsesReader;
use crate::sink::Sink;
use crate::sse::{self, Frame};
use crate::tools::TextTools;
use crate::{Dialect, arguments};

/// Reads a streamed answer.
#[derive(Debug)]
pub struct Decoder {
    parser: sse::Parser,
    reader: Reader,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The model that served it, as the provider names it; empty when it does not say.
    pub model: String,
    /// What it said, in order; calls are counted from 1.
    pub items: Vec<Item>,
    /// Why it stopped.
    pub stop: TokenStop,
    /// What it used, as far as the provider reported it.
    pub usage: Usage,
    /// The passes that it took, each of which is charged by itself; they add up to `usage`. The last
    /// one is that of the answer, unless all that was asked for is a compaction.
    pub passes: Vec<Usage>,
    /// Whether it reported all of it, prompt and answer. Some servers report nothing, and a zero
    /// that is no report must not be taken for one.
    pub counted: bool,
    /// What else the provider reported.
    pub extra: Extra,
}

/// What a provider reports beside the answer; it decides the price and helps its support.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// The answer's id.
    pub response_id: Option<String>,
    /// The service tier that served it.
    pub service_tier: Option<String>,
    /// Where it was computed.
    pub inference_geo: Option<String>,
    /// The speed it was served at.
    pub speed: Option<String>,
    /// Why the provider refused, in its own words, where that is not part of the answer.
    pub refusal: Option<String>,
}

/// No answer, or only part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The provider reported an error in the stream.
    #[error("{0}")]
    Provider(ModelError, Retryable),
    /// The stream ended before the answer did.
    #[error("the answer ended before it was complete")]
    Truncated,
    /// The stream is not what its protocol says.
    #[error("the answer is not what its protocol says: {0}")]
    Malformed(String),
}

/// Whether asking again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retryable {
    /// It may.
    Yes,
    /// It will not.
    No,
}

impl DecodeError {
    /// Whether asking again may help.
    #[must_use]
    pub fn retryable(&self) -> Retryable {
        match self {
            Self::Provider(_, retryable) => *retryable,
            Self::Truncated => Retryable::Yes,
            Self::Malformed(_) => Retryable::No,
        }
    }
}

impl From<DecodeError> for ModelError {
    fn from(error: DecodeError) -> Self {
        let message = error.to_string();
        let (kind, hint) = match error {
            DecodeError::Provider(error, _) => return error,
            DecodeError::Truncated => (
                ModelErrorKind::Network,
                "The connection broke, or a proxy cut it. Try again.",
            ),
            DecodeError::Malformed(_) => (
                ModelErrorKind::Malformed,
                "Check that the base URL belongs to an API of the chosen kind.",
            ),
        };
        Self {
            kind,
            message,
            hint: hint.into(),
            status: None,
        }
    }
}

impl From<sse::TooLarge> for DecodeError {
    fn from(error: sse::TooLarge) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl Decoder {
    /// A decoder at the start of a stream. The prefix tells which tools take free text.
    #[must_use]
    pub fn new(dialect: Dialect, prefix: &Prefix) -> Self {
        Self {
            parser: sse::Parser::new(),
            reader: Reader::new(dialect, prefix),
        }
    }

    /// Takes more bytes, in any chunking, and appends what is worth showing to `deltas`: one for
    /// each run of text or thinking. After an error only [`Decoder::usage`] means anything.
    pub fn push(&mut self, bytes: &[u8], deltas: &mut Vec<Delta>) -> Result<(), DecodeError> {
        let mut sink = Sink::new(deltas);
        let reader = &mut self.reader;
        self.parser
            .push(bytes, &mut |frame| reader.frame(frame, &mut sink))
    }

    /// Whether the event was seen after which nothing follows.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.reader.is_complete()
    }

    /// Whether the answer is all there, though more (its usage) may follow: [`Decoder::finish`]
    /// would not call it truncated.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.reader.is_complete() || self.reader.is_whole()
    }

    /// What was reported so far; true also when the answer fails.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.reader.usage()
    }

    /// The same, pass by pass, each of which is charged by itself.
    #[must_use]
    pub fn passes(&self) -> Vec<Usage> {
        self.reader.passes()
    }

    /// What was reported so far beside the answer.
    #[must_use]
    pub fn extra(&self) -> Extra {
        self.reader.extra()
    }

    /// The stream has ended: the answer, or [`DecodeError::Truncated`].
    pub fn finish(mut self) -> Result<Decoded, DecodeError> {
        if !self.is_complete() {
            let mut deltas = Vec::new();
            let mut sink = Sink::new(&mut deltas);
            let reader = &mut self.reader;
            let last = self
                .parser
                .finish(&mut |frame| reader.frame(frame, &mut sink));
            match last {
                // Half an event at the end is the cut itself.
                Ok(()) | Err(DecodeError::Malformed(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if !self.is_whole() {
            return Err(DecodeError::Truncated);
        }
        self.reader.finish()
    }
}

/// Reads an answer that came whole, as one JSON text, from a server that does not stream.
pub fn decode_whole(
    dialect: Dialect,
    prefix: &Prefix,
    body: &[u8],
) -> Result<Decoded, DecodeError> {
    let mut reader = Reader::new(dialect, prefix);
    reader.whole(body)?;
    reader.finish()
}

/// The dialects' readers.
#[derive(Debug)]
enum Reader {
    Messages(MessagesReader),
    Responses(ResponsesReader),
    Chat(ChatReader),
}

impl Reader {
    fn new(dialect: Dialect, prefix: &Prefix) -> Self {
        let text_tools = TextTools::of(prefix);
        match dialect {
            Dialect::Messages => Self::Messages(MessagesReader::new(text_tools)),
            Dialect::Responses => Self::Responses(ResponsesReader::new(text_tools)),
            Dialect::Chat => Self::Chat(ChatReader::new(text_tools)),
        }
    }

    fn frame(&mut self, frame: Frame<'_>, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
        match self {
            Self::Messages(reader) => reader.frame(frame, sink),
            Self::Responses(reader) => reader.frame(frame, sink),
            Self::Chat(reader) => reader.frame(frame, sink),
        }
    }

    fn whole(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        match self {
            Self::Messages(reader) => reader.whole(body),
            Self::Responses(reader) => reader.whole(body),
            Self::Chat(reader) => reader.whole(body),
        }
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Messages(reader) => reader.is_complete(),
            Self::Responses(reader) => reader.is_complete(),
            Self::Chat(reader) => reader.is_complete(),
        }
    }

    fn is_whole(&self) -> bool {
        match self {
            Self::Messages(reader) => reader.is_whole(),
            Self::Responses(reader) => reader.is_whole(),
            Self::Chat(reader) => reader.is_whole(),
        }
    }

    fn usage(&self) -> Usage {
        match self {
            Self::Messages(reader) => reader.usage(),
            Self::Responses(reader) => reader.usage(),
            Self::Chat(reader) => reader.usage(),
        }
    }

    fn passes(&self) -> Vec<Usage> {
        match self {
            Self::Messages(reader) => reader.passes(),
            Self::Responses(reader) => vec![reader.usage()],
            Self::Chat(reader) => vec![reader.usage()],
        }
    }

    fn extra(&self) -> Extra {
        match self {
            Self::Messages(reader) => reader.extra(),
            Self::Responses(reader) => reader.extra().clone(),
            Self::Chat(reader) => reader.extra().clone(),
        }
    }

    fn finish(self) -> Result<Decoded, DecodeError> {
        match self {
            Self::Messages(reader) => Ok(reader.finish()),
            Self::Responses(reader) => reader.finish(),
            Self::Chat(reader) => reader.finish(),
        }
    }
}

/// A string of a wire event, borrowed where it holds no escapes.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// The string, or the empty one.
pub(crate) fn text<'a>(text: Option<&'a Text<'_>>) -> &'a str {
    text.map_or("", |text| &text.0)
}

/// An owned copy of a string that is there and not empty.
pub(crate) fn owned(text: Option<&Text<'_>>) -> Option<String> {
    text.filter(|text| !text.0.is_empty())
        .map(|text| text.0.as_ref().to_owned())
}

/// A token count from outside, kept to a size that sums cannot overflow.
pub(crate) fn count(tokens: Option<u64>) -> u64 {
    tokens.unwrap_or(0).min(1 << 40)
}

/// Parses JSON that is part of the protocol.
pub(crate) fn parse<'a, T: Deserialize<'a>>(what: &str, json: &'a [u8]) -> Result<T, DecodeError> {
    if !is_object(json) {
        return Err(DecodeError::Malformed(format!("{what}: no JSON object")));
    }
    serde_json::from_slice(json).map_err(|error| DecodeError::Malformed(format!("{what}: {error}")))
}

/// A member of which a wrong shape is no reason to lose the answer: token counts, explanations.
pub(crate) fn lenient<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// Serde would read a struct from an array too.
fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"{")
}

/// The `type` of an event whose other members may be anything; absent when it is no JSON object.
pub(crate) fn event_type(json: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(rename = "type", borrow)]
        kind: Option<Text<'a>>,
    }
    let wire: Wire<'_> = parse("event", json).ok()?;
    Some(owned(wire.kind.as_ref()).unwrap_or_default())
}

/// The `error` member of an event or a body, if it has one that is not null.
pub(crate) fn error_member(json: &[u8]) -> Option<Value> {
    #[derive(Deserialize)]
    struct Wire {
        error: Option<Value>,
    }
    if !is_object(json) {
        return None;
    }
    serde_json::from_slice::<Wire>(json).ok()?.error
}

/// The items of an answer in the making; numbers its calls.
#[derive(Debug)]
pub(crate) struct Items<'a> {
    text_tools: &'a TextTools,
    origin: Dialect,
    list: Vec<Item>,
    calls: CallId,
}

impl<'a> Items<'a> {
    pub(crate) fn new(origin: Dialect, text_tools: &'a TextTools) -> Self {
        Self {
            text_tools,
            origin,
            list: Vec::new(),
            calls: CallId(0),
        }
    }

    fn opaque(&self, json: String) -> Opaque {
        Opaque {
            origin: self.origin.name().into(),
            json,
        }
    }

    /// Words; nothing when there are none.
    pub(crate) fn assistant(&mut self, text: String, json: Option<String>) {
        if text.is_empty() && json.is_none() {
            return;
        }
        let opaque = json.map(|json| self.opaque(json));
        self.list.push(Item::Assistant { text, opaque });
    }

    /// Thinking; nothing when there is none.
    pub(crate) fn thinking(&mut self, text: String, json: Option<String>) {
        if text.is_empty() && json.is_none() {
            return;
        }
        let opaque = json.map(|json| self.opaque(json));
        self.list.push(Item::Thinking { text, opaque });
    }

    /// What a compaction left; the words are there where they can be read.
    pub(crate) fn summary(&mut self, text: String, json: String) {
        let opaque = Some(self.opaque(json));
        self.list.push(Item::Summary { text, opaque });
    }

    /// A block without a word of ours.
    pub(crate) fn foreign(&mut self, json: String) {
        let opaque = self.opaque(json);
        self.list.push(Item::Foreign { opaque });
    }

    /// A call with JSON arguments, which is how free text arrives too where only functions exist.
    pub(crate) fn function(&mut self, id: String, name: String, arguments: String) {
        let arguments = if self.text_tools.contains(&name) {
            arguments::unwrap_text(arguments)
        } else if arguments.trim().is_empty() {
            "{}".to_owned()
        } else {
            arguments
        };
        self.call(id, name, arguments);
    }

    /// A call whose arguments are final.
    pub(crate) fn call(&mut self, provider_id: String, name: String, arguments: String) {
        self.calls = self.calls.next();
        self.list.push(Item::ToolCall(ToolCall {
            call: self.calls,
            provider_id,
            name,
            arguments,
        }));
    }

    /// Whether there is a call among them.
    pub(crate) fn has_calls(&self) -> bool {
        self.calls != CallId(0)
    }

    /// All of them.
    pub(crate) fn into_list(self) -> Vec<Item> {
        self.list
    }
}
