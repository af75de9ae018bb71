//! Answers in the Messages dialect: blocks that are started, grown by deltas and stopped.

use quire_protocol::{TokenStop, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::Dialect;
use crate::decoder::{
    DecodeError, Decoded, Extra, Items, Text, error_member, event_type, lenient, owned, parse, text,
};
use crate::error::stream_error;
use crate::json;
use crate::messages::usage::WireUsage;
use crate::sink::Sink;
use crate::sse::Frame;
use crate::tools::TextTools;

/// Reads the events of one answer.
#[derive(Debug)]
pub(crate) struct MessagesReader {
    text_tools: TextTools,
    model: String,
    extra: Extra,
    blocks: Vec<(u64, Block)>,
    usage: WireUsage,
    /// Whether the answer's own tokens were reported at its end.
    counted: bool,
    stop: Option<String>,
    complete: bool,
}

/// A content block in the making.
#[derive(Debug)]
enum Block {
    Text {
        text: String,
        citations: Vec<Box<RawValue>>,
    },
    Thinking {
        thinking: String,
        signature: String,
        /// What else the block holds; it must go back with the rest.
        other: Map<String, Value>,
    },
    ToolUse {
        id: String,
        name: String,
        input: String,
        /// The arguments that came as deltas; they replace `input`.
        json: String,
    },
    /// Thinking that only the provider can read.
    Redacted { raw: String },
    /// A kind without a word of ours: as it came, and what deltas changed.
    Foreign {
        raw: Box<RawValue>,
        changed: Map<String, Value>,
        json: String,
    },
}

/// Large members stay raw until the event turns out to need them: most are tiny deltas.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    index: Option<u64>,
    #[serde(borrow)]
    delta: Option<EventDelta<'a>>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct EventDelta<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    partial_json: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    encrypted_content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_changes: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    #[serde(borrow)]
    stop_details: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StopDetails<'a> {
    #[serde(borrow)]
    explanation: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    #[serde(borrow)]
    stop_details: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

impl MessagesReader {
    pub(crate) fn new(text_tools: TextTools) -> Self {
        Self {
            text_tools,
            model: String::new(),
            extra: Extra::default(),
            blocks: Vec::new(),
            usage: WireUsage::default(),
            counted: false,
            stop: None,
            complete: false,
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.stop.is_some()
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage.total()
    }

    pub(crate) fn passes(&self) -> Vec<Usage> {
        self.usage.passes()
    }

    pub(crate) fn extra(&self) -> Extra {
        let mut extra = self.extra.clone();
        self.usage.describe(&mut extra);
        extra
    }

    pub(crate) fn frame(
        &mut self,
        frame: Frame<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), DecodeError> {
        let event: Event<'_> = match parse("event", frame.data) {
            Ok(event) => event,
            Err(error) => return tolerate(frame, error),
        };
        let kind = match &event.kind {
            Some(kind) => kind.0.as_bytes(),
            None => frame.event,
        };
        match kind {
            b"content_block_delta" => {
                if let (Some(index), Some(delta)) = (event.index, event.delta) {
                    self.grow(index, delta, sink);
                }
            }
            b"content_block_start" => {
                if let (Some(index), Some(raw)) = (event.index, event.content_block) {
                    self.start(index, raw, sink)?;
                }
            }
            b"message_start" => {
                if let Some(message) = event.message {
                    self.open(parse("message", message.get().as_bytes())?)?;
                }
            }
            b"message_delta" => {
                self.counted |= self.count(event.usage);
                if let Some(delta) = event.delta {
                    self.stopped(delta.stop_reason.as_ref(), delta.stop_details);
                }
            }
            b"message_stop" => self.complete = true,
            b"error" => return Err(provider_error(frame.data)),
            _ => {}
        }
        Ok(())
    }

    /// Reads a message that came whole.
    pub(crate) fn whole(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        if error_member(body).is_some() {
            return Err(provider_error(body));
        }
        let message: Message<'_> = parse("message", body)?;
        if message.content.is_none() {
            return Err(DecodeError::Malformed("a message without content".into()));
        }
        self.open(message)?;
        self.complete = true;
        Ok(())
    }

    fn open(&mut self, message: Message<'_>) -> Result<(), DecodeError> {
        text(message.model.as_ref()).clone_into(&mut self.model);
        self.extra.response_id = owned(message.id.as_ref());
        let counts_answer = self.count(message.usage);
        let mut unseen = Vec::new();
        let mut sink = Sink::new(&mut unseen);
        for (index, raw) in (0..).zip(message.content.unwrap_or_default()) {
            self.start(index, raw, &mut sink)?;
        }
        self.stopped(message.stop_reason.as_ref(), message.stop_details);
        // What the beginning of a stream counts of its answer is not final.
        self.counted = counts_answer && self.stop.is_some();
        Ok(())
    }

    /// Takes counts over; whether the answer's are among them.
    fn count(&mut self, usage: Option<&RawValue>) -> bool {
        let Some(usage) = lenient::<WireUsage>(usage) else {
            return false;
        };
        let counts_answer = usage.counts_answer();
        self.usage.overwrite(usage);
        counts_answer
    }

    fn stopped(&mut self, reason: Option<&Text<'_>>, details: Option<&RawValue>) {
        if let Some(reason) = owned(reason) {
            self.stop = Some(reason);
        }
        if let Some(details) = lenient::<StopDetails<'_>>(details) {
            self.extra.refusal = owned(details.explanation.as_ref());
        }
    }

    fn start(
        &mut self,
        index: u64,
        raw: &RawValue,
        sink: &mut Sink<'_>,
    ) -> Result<(), DecodeError> {
        let block = Block::read(raw)?;
        match &block {
            Block::Text { text, .. } => sink.text(text),
            Block::Thinking { thinking, .. } => sink.thinking(thinking),
            Block::ToolUse { name, .. } => sink.writing(index, name, 0),
            Block::Redacted { .. } | Block::Foreign { .. } => {}
        }
        self.blocks.push((index, block));
        Ok(())
    }

    fn grow(&mut self, index: u64, delta: EventDelta<'_>, sink: &mut Sink<'_>) {
        let at = self.blocks.iter().rposition(|(known, _)| *known == index);
        let at = match at {
            Some(at) => at,
            None => match Block::implied(text(delta.kind.as_ref())) {
                Some(block) => {
                    self.blocks.push((index, block));
                    self.blocks.len() - 1
                }
                None => return,
            },
        };
        self.blocks[at].1.grow(index, delta, sink);
    }

    pub(crate) fn finish(self) -> Decoded {
        let extra = self.extra();
        let mut items = Items::new(Dialect::Messages, &self.text_tools);
        for (_, block) in self.blocks {
            block.settle(&mut items);
        }
        let stop = token_stop(self.stop.as_deref(), items.has_calls());
        let usage = self.usage.total();
        Decoded {
            model: self.model,
            items: items.into_list(),
            stop,
            usage,
            passes: self.usage.passes(),
            // No prompt is empty: where it counts nothing, the server does not count.
            counted: self.counted && usage.prompt() > 0,
            extra,
        }
    }
}

/// An event of another shape than expected is an error only if it is one that matters.
fn tolerate(frame: Frame<'_>, error: DecodeError) -> Result<(), DecodeError> {
    match event_type(frame.data).as_deref() {
        None
        | Some("message_start" | "content_block_start" | "content_block_delta" | "message_delta") => {
            Err(error)
        }
        Some("error") => Err(provider_error(frame.data)),
        Some(_) => Ok(()),
    }
}

fn provider_error(json: &[u8]) -> DecodeError {
    stream_error(Dialect::Messages, &error_member(json).unwrap_or_default())
}

fn token_stop(reason: Option<&str>, has_calls: bool) -> TokenStop {
    match reason {
        Some("max_tokens" | "model_context_window_exceeded") => TokenStop::MaxTokens,
        Some("refusal") => TokenStop::Refusal,
        Some("pause_turn" | "compaction") => TokenStop::Pause,
        _ if has_calls => TokenStop::ToolUse,
        _ => TokenStop::EndTurn,
    }
}

#[derive(Deserialize)]
struct BlockStart<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    citations: Option<Vec<Box<RawValue>>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

impl Block {
    /// A block as its start, or a whole message, shows it.
    fn read(raw: &RawValue) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct Kind<'a> {
            #[serde(rename = "type", borrow)]
            kind: Text<'a>,
        }
        let kind: Kind<'_> = parse("content block", raw.get().as_bytes())?;
        match kind.kind.0.as_ref() {
            "text" | "thinking" | "tool_use" => {}
            "redacted_thinking" => {
                let raw = raw.get().to_owned();
                return Ok(Self::Redacted { raw });
            }
            _ => {
                return Ok(Self::Foreign {
                    raw: raw.to_owned(),
                    changed: Map::new(),
                    json: String::new(),
                });
            }
        }
        let start: BlockStart<'_> = parse("content block", raw.get().as_bytes())?;
        Ok(match text(start.kind.as_ref()) {
            "text" => Self::Text {
                text: text(start.text.as_ref()).to_owned(),
                citations: start.citations.unwrap_or_default(),
            },
            "thinking" => Self::Thinking {
                thinking: text(start.thinking.as_ref()).to_owned(),
                signature: text(start.signature.as_ref()).to_owned(),
                other: other_members(raw),
            },
            _ => Self::ToolUse {
                id: text(start.id.as_ref()).to_owned(),
                name: text(start.name.as_ref()).to_owned(),
                input: start.input.map_or("{}", RawValue::get).to_owned(),
                json: String::new(),
            },
        })
    }

    /// The block that a delta without a start belongs to; some servers leave the start out.
    fn implied(delta: &str) -> Option<Self> {
        match delta {
            "text_delta" => Some(Self::Text {
                text: String::new(),
                citations: Vec::new(),
            }),
            "thinking_delta" | "signature_delta" => Some(Self::Thinking {
                thinking: String::new(),
                signature: String::new(),
                other: Map::new(),
            }),
            _ => None,
        }
    }

    fn grow(&mut self, index: u64, delta: EventDelta<'_>, sink: &mut Sink<'_>) {
        match self {
            Self::Text { text, citations } => {
                if let Some(more) = &delta.text {
                    text.push_str(&more.0);
                    sink.text(&more.0);
                }
                citations.extend(delta.citation.map(ToOwned::to_owned));
            }
            Self::Thinking {
                thinking,
                signature,
                ..
            } => {
                if let Some(more) = &delta.thinking {
                    thinking.push_str(&more.0);
                    sink.thinking(&more.0);
                }
                if let Some(whole) = delta.signature {
                    *signature = whole.0.into_owned();
                }
            }
            Self::ToolUse { name, json, .. } => {
                json.push_str(text(delta.partial_json.as_ref()));
                sink.writing(index, name, json.len());
            }
            Self::Redacted { .. } => {}
            Self::Foreign { changed, json, .. } => {
                json.push_str(text(delta.partial_json.as_ref()));
                change(changed, &delta);
            }
        }
    }

    fn settle(self, items: &mut Items<'_>) {
        match self {
            Self::Text { text, citations } => {
                let json = (!citations.is_empty()).then(|| {
                    compact(|object| {
                        object
                            .member("type", "text")
                            .member("text", &text)
                            .member("citations", &citations);
                    })
                });
                items.assistant(text, json);
            }
            Self::Thinking {
                thinking,
                signature,
                other,
            } => {
                let json = (!signature.is_empty()).then(|| {
                    compact(|object| {
                        object
                            .member("type", "thinking")
                            .member("thinking", &thinking)
                            .member("signature", &signature);
                        for (key, value) in &other {
                            object.member(key, value);
                        }
                    })
                });
                items.thinking(thinking, json);
            }
            Self::ToolUse {
                id,
                name,
                input,
                json,
            } => {
                let arguments = if json.trim().is_empty() { input } else { json };
                items.function(id, name, arguments);
            }
            Self::Redacted { raw } => items.thinking(String::new(), Some(raw)),
            Self::Foreign { raw, changed, json } => settle_foreign(&raw, changed, &json, items),
        }
    }
}

/// The members of a thinking block that are not written anew.
fn other_members(raw: &RawValue) -> Map<String, Value> {
    let mut all: Map<String, Value> = serde_json::from_str(raw.get()).unwrap_or_default();
    all.retain(|key, _| !["type", "thinking", "signature"].contains(&key.as_str()));
    all
}

/// Applies a delta to a block of unknown kind. Compaction deltas assign, text appends.
fn change(changed: &mut Map<String, Value>, delta: &EventDelta<'_>) {
    for (key, value) in [
        ("content", delta.content),
        ("encrypted_content", delta.encrypted_content),
        ("tool_changes", delta.tool_changes),
    ] {
        if let Some(value) = lenient(value) {
            changed.insert(key.into(), value);
        }
    }
    if let Some(whole) = &delta.signature {
        changed.insert("signature".into(), Value::from(whole.0.as_ref()));
    }
    if let Some(more) = &delta.text {
        let text = changed
            .entry("text")
            .or_insert_with(|| Value::String(String::new()));
        if let Value::String(text) = text {
            text.push_str(&more.0);
        }
    }
}

fn settle_foreign(raw: &RawValue, changed: Map<String, Value>, json: &str, items: &mut Items<'_>) {
    let input = serde_json::from_str::<Value>(json).ok();
    let mut block: Map<String, Value> = serde_json::from_str(raw.get()).unwrap_or_default();
    let text = if changed.is_empty() && input.is_none() {
        raw.get().to_owned()
    } else {
        block.extend(changed);
        if let Some(input) = input {
            block.insert("input".into(), input);
        }
        serde_json::to_string(&block).expect("JSON values always serialise")
    };
    if block.get("type").is_some_and(|kind| kind == "compaction") {
        return settle_compaction(&block, text, items);
    }
    items.foreign(text);
}

/// A compaction without content failed: the provider takes it back as nothing at all, so that it
/// must not stand for what is before it. One with empty content is not even taken back.
fn settle_compaction(block: &Map<String, Value>, json: String, items: &mut Items<'_>) {
    match block.get("content").and_then(Value::as_str) {
        Some("") => {}
        Some(words) => items.summary(words.to_owned(), json),
        None => items.foreign(json),
    }
}

fn compact(write: impl FnOnce(&mut json::Object<'_>)) -> String {
    let mut out = Vec::new();
    let mut object = json::Object::open(&mut out);
    write(&mut object);
    object.close();
    String::from_utf8(out).expect("JSON is UTF-8")
}
