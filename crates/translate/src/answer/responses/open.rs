//! The output item that is being written: what it tells while it grows, and what it is at its end.

use quire_dialect::Dialect;
use serde_json::{Value, json};

use crate::answer::call::OpenCall;
use crate::answer::wire::{drop_keys, extend, own};
use crate::answer::{Block, Delta, Frame, note, sealed};
use crate::request::Own;

/// Events without their type, number and output index.
type Told = Vec<(&'static str, Own)>;

/// The open item.
#[derive(Debug)]
pub(crate) enum Open {
    Message(Message),
    Thinking(Thought),
    Call(OpenCall, Own),
    Compaction {
        own: Own,
        text: Option<String>,
        seal: Option<String>,
        item: Own,
    },
    Other(Own),
    /// One that this API has no words for.
    Skipped,
}

/// A message: several blocks may be its parts.
#[derive(Debug)]
pub(crate) struct Message {
    /// What the upstream calls it, by which its blocks know one another.
    given_id: Option<Value>,
    item: Own,
    content: Vec<Value>,
    part: Part,
}

/// The open part of a message.
#[derive(Debug, Default)]
struct Part {
    refuses: bool,
    text: String,
    notes: Vec<Value>,
    logprobs: Vec<Value>,
    /// Of the words that come next.
    next_logprobs: Vec<Value>,
}

/// Thinking.
#[derive(Debug)]
pub(crate) struct Thought {
    own: Own,
    item: Own,
    /// Whether the words are those of `content`.
    raw: bool,
    parts: Vec<Value>,
    /// The open part.
    text: Option<String>,
    seal: Option<String>,
}

/// A delta of words: how its event is called and what stands in it beside the words.
pub(crate) struct Tell {
    pub(crate) name: &'static str,
    pub(crate) item: String,
    /// JSON text behind the output index.
    pub(crate) place: String,
    /// JSON text behind the words.
    pub(crate) tail: String,
}

impl Open {
    /// A block that begins an item.
    pub(crate) fn begin(frame: &Frame, block: &Block, id: impl Fn(&str) -> String) -> (Self, Told) {
        let is_own = frame.from == Dialect::Responses;
        let item = |prefix: &str, kind: &str, given: &Own| {
            let mut item = own! { "id": id(prefix), "type": kind };
            if is_own {
                extend(&mut item, given);
                drop_keys(&mut item, &["shown", "logprobs", "annotations"]);
            }
            item
        };
        match block {
            Block::Text(given) | Block::Refusal(given) => {
                Self::begin_message(block, given, item("msg", "message", given))
            }
            Block::Thinking(given) => {
                let item = item("rs", "reasoning", given);
                let thought = Thought {
                    own: given.clone(),
                    raw: is_own && given.get("shown").is_some_and(|shown| shown == "content"),
                    item: item.clone(),
                    parts: Vec::new(),
                    text: None,
                    seal: None,
                };
                let told = added(item, own! { "summary": [] });
                (Self::Thinking(thought), told)
            }
            Block::Call {
                id: call,
                name,
                free,
                own: given,
            } => {
                let call = OpenCall::new(Dialect::Responses, frame, call, name, *free);
                let (prefix, kind, key) = if call.free {
                    ("ctc", "custom_tool_call", "input")
                } else {
                    ("fc", "function_call", "arguments")
                };
                let mut item = item(prefix, kind, given);
                item.insert("call_id".into(), call.id.as_str().into());
                item.insert("name".into(), call.name.as_str().into());
                if let Some(namespace) = &call.namespace {
                    item.insert("namespace".into(), namespace.as_str().into());
                }
                let mut more = own! { "status": "in_progress" };
                more.insert(key.into(), "".into());
                let told = added(item.clone(), more);
                (Self::Call(call, item), told)
            }
            Block::Compaction(given) => {
                let item = item("cmp", "compaction", given);
                let told = added(item.clone(), own! { "encrypted_content": "" });
                let open = Self::Compaction {
                    own: given.clone(),
                    text: None,
                    seal: None,
                    item,
                };
                (open, told)
            }
            Block::Other(Value::Object(item)) if is_own => {
                (Self::Other(item.clone()), added(item.clone(), Own::new()))
            }
            Block::Other(_) => (Self::Skipped, Vec::new()),
        }
    }

    fn begin_message(block: &Block, given: &Own, item: Own) -> (Self, Told) {
        let more = own! { "status": "in_progress", "role": "assistant", "content": [] };
        let mut told = added(item.clone(), more);
        let mut message = Message {
            given_id: given.get("id").cloned(),
            item,
            content: Vec::new(),
            part: Part::default(),
        };
        told.extend(message.begin_part(block));
        (Self::Message(message), told)
    }

    /// Whether a block is the next part of the open message: the upstream says so, or its API has no such items.
    pub(crate) fn goes_on(&self, frame: &Frame, block: &Block) -> bool {
        match (self, block) {
            (Self::Message(message), Block::Text(own) | Block::Refusal(own)) => {
                frame.from != Dialect::Responses || message.given_id.as_ref() == own.get("id")
            }
            _ => false,
        }
    }

    /// Begins the next part of the open message.
    pub(crate) fn part(&mut self, block: &Block) -> Told {
        match self {
            Self::Message(message) => message.begin_part(block),
            Self::Thinking(_)
            | Self::Call(..)
            | Self::Compaction { .. }
            | Self::Other(_)
            | Self::Skipped => Vec::new(),
        }
    }

    /// What must be told before a delta.
    pub(crate) fn before(&mut self, delta: &Delta) -> Told {
        match (self, delta) {
            (Self::Thinking(thought), Delta::Text(_)) => thought.begin_part(),
            (Self::Thinking(thought), Delta::Part) => {
                let mut told = thought.begin_part();
                told.extend(thought.end_part());
                told.extend(thought.begin_part());
                told
            }
            _ => Vec::new(),
        }
    }

    /// A delta of words or input, as it is told.
    pub(crate) fn words(&mut self, delta: &Delta) -> Option<(Tell, String)> {
        match (self, delta) {
            (Self::Message(message), Delta::Text(more)) => {
                let part = &mut message.part;
                part.text.push_str(more);
                let logprobs = std::mem::take(&mut part.next_logprobs);
                let name = if part.refuses {
                    "response.refusal.delta"
                } else {
                    "response.output_text.delta"
                };
                let tail = if part.refuses {
                    String::new()
                } else {
                    format!(",\"logprobs\":{}", Value::Array(logprobs))
                };
                let tell = Tell {
                    name,
                    item: item_id(&message.item),
                    place: format!(",\"content_index\":{}", message.content.len()),
                    tail,
                };
                Some((tell, more.clone()))
            }
            (Self::Thinking(thought), Delta::Text(more)) => {
                thought.text.get_or_insert_default().push_str(more);
                let (name, place) = if thought.raw {
                    ("response.reasoning_text.delta", "content_index")
                } else {
                    ("response.reasoning_summary_text.delta", "summary_index")
                };
                let tell = Tell {
                    name,
                    item: item_id(&thought.item),
                    place: format!(",\"{place}\":{}", thought.parts.len()),
                    tail: String::new(),
                };
                Some((tell, more.clone()))
            }
            (Self::Call(call, item), Delta::Input(more)) => {
                let piece = call.push(more);
                (!piece.is_empty()).then(|| (input(call, item), piece))
            }
            _ => None,
        }
    }

    /// Input that was held back until the call's end.
    pub(crate) fn rest(&mut self) -> Option<(Tell, String)> {
        match self {
            Self::Call(call, item) => {
                let piece = call.finish();
                (!piece.is_empty()).then(|| (input(call, item), piece))
            }
            Self::Message(_)
            | Self::Thinking(_)
            | Self::Compaction { .. }
            | Self::Other(_)
            | Self::Skipped => None,
        }
    }

    /// Any other delta.
    pub(crate) fn other(&mut self, frame: &Frame, delta: &Delta) -> Told {
        let is_own = frame.from == Dialect::Responses;
        match (self, delta) {
            (Self::Message(message), Delta::Note(given)) => {
                let told = note::told(Dialect::Responses, frame.from, given);
                told.map_or_else(Vec::new, |note| message.note(note))
            }
            (Self::Message(message), Delta::Other(given)) if is_own => {
                if let Some(Value::Array(list)) = given.get("logprobs") {
                    message.part.logprobs.extend(list.iter().cloned());
                    message.part.next_logprobs.extend(list.iter().cloned());
                }
                Vec::new()
            }
            (Self::Thinking(thought), Delta::Seal(seal)) => {
                thought.seal = Some(seal.clone());
                Vec::new()
            }
            (Self::Compaction { text, .. }, Delta::Text(more)) => {
                text.get_or_insert_default().push_str(more);
                Vec::new()
            }
            (Self::Compaction { seal, .. }, Delta::Seal(given)) => {
                *seal = Some(given.clone());
                Vec::new()
            }
            (Self::Other(_), Delta::Other(Value::Object(event))) => event_of_item(event),
            // Another API's words, or a delta of a block of another kind.
            (
                Self::Message(_)
                | Self::Thinking(_)
                | Self::Call(..)
                | Self::Compaction { .. }
                | Self::Other(_)
                | Self::Skipped,
                _,
            ) => Vec::new(),
        }
    }

    /// The block has ended.
    pub(crate) fn close(&mut self, frame: &Frame, last: &Own) -> Told {
        let is_own = frame.from == Dialect::Responses;
        match self {
            Self::Message(message) => {
                if is_own {
                    extend(&mut message.item, last);
                }
                message.end_part()
            }
            Self::Thinking(thought) => {
                if is_own {
                    extend(&mut thought.item, last);
                }
                thought.end_part()
            }
            Self::Call(call, item) => {
                let (name, key) = if call.free {
                    ("response.custom_tool_call_input.done", "input")
                } else {
                    ("response.function_call_arguments.done", "arguments")
                };
                let mut told = own! { "item_id": item_id(item) };
                told.insert(key.into(), call.told.as_str().into());
                if is_own {
                    extend(item, last);
                }
                vec![(name, told)]
            }
            Self::Compaction { own, item, .. } => {
                extend(own, last);
                if is_own {
                    extend(item, last);
                }
                Vec::new()
            }
            Self::Other(item) => {
                if let Some(Value::Object(whole)) = last.get("whole") {
                    item.clone_from(whole);
                }
                Vec::new()
            }
            Self::Skipped => Vec::new(),
        }
    }

    /// The item as it is at its end; absent where there is none.
    pub(crate) fn item(self, frame: &Frame, status: &str) -> Option<Own> {
        match self {
            Self::Message(Message {
                mut item, content, ..
            }) => {
                item.entry("status").or_insert_with(|| status.into());
                item.insert("role".into(), "assistant".into());
                item.insert("content".into(), Value::Array(content));
                Some(item)
            }
            Self::Thinking(thought) => Some(thought.item(frame)),
            Self::Call(call, mut item) => {
                item.entry("status").or_insert_with(|| status.into());
                let key = if call.free { "input" } else { "arguments" };
                item.insert(key.into(), call.told.into());
                Some(item)
            }
            Self::Compaction {
                own,
                text,
                seal,
                mut item,
            } => {
                let cipher = match frame.from {
                    Dialect::Responses => seal.unwrap_or_default(),
                    Dialect::Messages | Dialect::Chat => {
                        sealed::compaction(frame, &own, text.as_deref(), seal.as_deref())
                    }
                };
                item.insert("encrypted_content".into(), cipher.into());
                Some(item)
            }
            Self::Other(item) => Some(item),
            Self::Skipped => None,
        }
    }
}

/// An item as it is at its start.
fn added(mut item: Own, more: Own) -> Told {
    item.extend(more);
    vec![("response.output_item.added", own! { "item": item })]
}

fn item_id(item: &Own) -> String {
    let id = item.get("id").and_then(Value::as_str);
    id.unwrap_or_default().to_owned()
}

fn input(call: &OpenCall, item: &Own) -> Tell {
    Tell {
        name: if call.free {
            "response.custom_tool_call_input.delta"
        } else {
            "response.function_call_arguments.delta"
        },
        item: item_id(item),
        place: String::new(),
        tail: String::new(),
    }
}

/// An event about an item that only this API knows, told again.
fn event_of_item(event: &Own) -> Told {
    let kind = event
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Some(name) = KNOWN.iter().copied().find(|known| *known == kind) else {
        return Vec::new();
    };
    let mut event = event.clone();
    drop_keys(&mut event, &["type", "output_index"]);
    vec![(name, event)]
}

/// Events about items of tools that the vendor runs.
const KNOWN: &[&str] = &[
    "response.web_search_call.in_progress",
    "response.web_search_call.searching",
    "response.web_search_call.completed",
    "response.file_search_call.in_progress",
    "response.file_search_call.searching",
    "response.file_search_call.completed",
    "response.code_interpreter_call.in_progress",
    "response.code_interpreter_call.interpreting",
    "response.code_interpreter_call.completed",
    "response.code_interpreter_call_code.delta",
    "response.code_interpreter_call_code.done",
    "response.image_generation_call.in_progress",
    "response.image_generation_call.generating",
    "response.image_generation_call.partial_image",
    "response.image_generation_call.completed",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.mcp_call.in_progress",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "response.mcp_list_tools.in_progress",
    "response.mcp_list_tools.completed",
    "response.mcp_list_tools.failed",
    "response.shell_call_command.added",
    "response.shell_call_command.delta",
    "response.shell_call_command.done",
    "response.shell_call_output_content.delta",
    "response.shell_call_output_content.done",
];

impl Message {
    fn at(&self) -> Own {
        own! { "item_id": item_id(&self.item), "content_index": self.content.len() }
    }

    fn begin_part(&mut self, block: &Block) -> Told {
        self.part = Part {
            refuses: matches!(block, Block::Refusal(_)),
            ..Part::default()
        };
        if let Block::Text(own) = block
            && let Some(Value::Array(list)) = own.get("logprobs")
        {
            self.part.logprobs.clone_from(list);
        }
        let mut told = self.at();
        told.insert("part".into(), self.part.value());
        vec![("response.content_part.added", told)]
    }

    fn note(&mut self, note: Value) -> Told {
        let mut told = self.at();
        told.insert("annotation_index".into(), self.part.notes.len().into());
        told.insert("annotation".into(), note.clone());
        self.part.notes.push(note);
        vec![("response.output_text.annotation.added", told)]
    }

    fn end_part(&mut self) -> Told {
        let part = self.part.value();
        let (name, key) = if self.part.refuses {
            ("response.refusal.done", "refusal")
        } else {
            ("response.output_text.done", "text")
        };
        let mut words = self.at();
        words.insert(key.into(), self.part.text.as_str().into());
        if !self.part.refuses {
            words.insert("logprobs".into(), self.part.logprobs.clone().into());
        }
        let mut done = self.at();
        done.insert("part".into(), part.clone());
        self.content.push(part);
        vec![(name, words), ("response.content_part.done", done)]
    }
}

impl Part {
    fn value(&self) -> Value {
        if self.refuses {
            json!({ "type": "refusal", "refusal": self.text })
        } else {
            json!({
                "type": "output_text",
                "text": self.text,
                "annotations": self.notes,
                "logprobs": self.logprobs,
            })
        }
    }
}

impl Thought {
    fn part(&self) -> Value {
        let kind = if self.raw {
            "reasoning_text"
        } else {
            "summary_text"
        };
        json!({ "type": kind, "text": self.text.as_deref().unwrap_or_default() })
    }

    fn at(&self) -> Own {
        let key = if self.raw {
            "content_index"
        } else {
            "summary_index"
        };
        let mut at = own! { "item_id": item_id(&self.item) };
        at.insert(key.into(), self.parts.len().into());
        at
    }

    fn begin_part(&mut self) -> Told {
        if self.text.is_some() {
            return Vec::new();
        }
        let mut told = self.at();
        self.text = Some(String::new());
        told.insert("part".into(), self.part());
        let name = if self.raw {
            "response.content_part.added"
        } else {
            "response.reasoning_summary_part.added"
        };
        vec![(name, told)]
    }

    fn end_part(&mut self) -> Told {
        if self.text.is_none() {
            return Vec::new();
        }
        let part = self.part();
        let mut words = self.at();
        let mut done = self.at();
        done.insert("part".into(), part.clone());
        words.insert("text".into(), self.text.take().unwrap_or_default().into());
        self.parts.push(part);
        if self.raw {
            vec![
                ("response.reasoning_text.done", words),
                ("response.content_part.done", done),
            ]
        } else {
            vec![
                ("response.reasoning_summary_text.done", words),
                ("response.reasoning_summary_part.done", done),
            ]
        }
    }

    fn item(self, frame: &Frame) -> Own {
        let mut item = self.item;
        let (summary, content) = if self.raw {
            (Vec::new(), self.parts)
        } else {
            (self.parts, Vec::new())
        };
        item.insert("summary".into(), Value::Array(summary));
        if self.raw {
            item.insert("content".into(), Value::Array(content));
        }
        let seal = sealed::thinking(Dialect::Responses, frame, &self.own, self.seal.as_deref());
        if let Some(seal) = seal {
            item.insert("encrypted_content".into(), seal.into());
        }
        item
    }
}
