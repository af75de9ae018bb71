//! Output items as they are read: what is open of each, and how much of it was told.

use serde_json::{Value, json};

use crate::answer::line::Line;
use crate::answer::wire::{drop_keys, take_text};
use crate::answer::{Block, Delta, Event};
use crate::request::Own;

type Out<'a> = &'a mut dyn FnMut(Event);

/// Where a block stands in the line: the item's index, and the part's.
pub(crate) type Key = (u64, u64);

/// An item that is being read.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) index: u64,
    pub(crate) is_done: bool,
    /// What the item said of itself at its start, without what is said elsewhere.
    own: Own,
    pub(crate) kind: Kind,
}

/// What an item is.
#[derive(Debug)]
pub(crate) enum Kind {
    Message(Vec<Part>),
    Reasoning(Thought),
    Call {
        free: bool,
        told: usize,
    },
    Compaction,
    /// As it was at its start.
    Other(Value),
}

/// A part of a message.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Bytes of its text that were told.
    told: usize,
    notes: usize,
    refuses: bool,
}

/// A reasoning item.
#[derive(Debug, Default)]
pub(crate) struct Thought {
    /// Parts that were told, and the bytes of the last of them.
    parts: u64,
    told: usize,
    /// Whether the words are those of `content`.
    raw: bool,
    is_open: bool,
}

/// Words of a message, by the type of their part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    Text,
    Refusal,
}

impl Item {
    /// An item at its start. Blocks of messages are opened with their parts.
    pub(crate) fn begin(index: u64, item: Own, line: &mut Line<Key>, out: Out<'_>) -> Self {
        let mut own = item.clone();
        let kind = own
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        drop_keys(&mut own, &["type", "status"]);
        let kind = match kind.as_str() {
            "message" => {
                drop_keys(&mut own, &["role", "content"]);
                Kind::Message(Vec::new())
            }
            "reasoning" => {
                drop_keys(&mut own, &["summary", "content", "encrypted_content"]);
                Kind::Reasoning(Thought::default())
            }
            "function_call" | "custom_tool_call" => {
                let free = kind == "custom_tool_call";
                line.open((index, 0), call(own.clone(), free), out);
                drop_keys(&mut own, &["call_id", "name", "arguments", "input"]);
                Kind::Call { free, told: 0 }
            }
            "compaction" => {
                drop_keys(&mut own, &["encrypted_content"]);
                line.open((index, 0), Block::Compaction(own.clone()), out);
                Kind::Compaction
            }
            _ => {
                let item = Value::Object(item);
                line.open((index, 0), Block::Other(item.clone()), out);
                Kind::Other(item)
            }
        };
        Self {
            index,
            is_done: false,
            own,
            kind,
        }
    }

    /// Whether it is a call of one of the client's tools.
    pub(crate) fn is_call(&self) -> bool {
        matches!(self.kind, Kind::Call { .. })
    }

    /// Whether it is a message with words of refusal.
    pub(crate) fn refuses(&self) -> bool {
        matches!(&self.kind, Kind::Message(parts) if parts.iter().any(|part| part.refuses))
    }

    /// More words of a message.
    pub(crate) fn words(
        &mut self,
        part: u64,
        words: Words,
        more: &str,
        line: &mut Line<Key>,
        out: Out<'_>,
    ) {
        self.open_part(part, words, &Own::new(), line, out);
        let Kind::Message(parts) = &mut self.kind else {
            return;
        };
        if let Some(known) = usize::try_from(part).ok().and_then(|at| parts.get_mut(at))
            && !more.is_empty()
        {
            known.told += more.len();
            line.grow(&(self.index, part), Delta::Text(more.to_owned()), out);
        }
    }

    /// A citation in a message.
    pub(crate) fn note(&mut self, part: u64, note: Value, line: &mut Line<Key>, out: Out<'_>) {
        self.open_part(part, Words::Text, &Own::new(), line, out);
        let Kind::Message(parts) = &mut self.kind else {
            return;
        };
        if let Some(known) = usize::try_from(part).ok().and_then(|at| parts.get_mut(at)) {
            known.notes += 1;
            line.grow(&(self.index, part), Delta::Note(note), out);
        }
    }

    /// Opens the block of a part, and closes the one before it.
    pub(crate) fn open_part(
        &mut self,
        part: u64,
        words: Words,
        more: &Own,
        line: &mut Line<Key>,
        out: Out<'_>,
    ) {
        let Kind::Message(parts) = &mut self.kind else {
            return;
        };
        // Parts come one behind another; one that is far off is none.
        if part != parts.len() as u64 {
            return;
        }
        if let Some(before) = part.checked_sub(1) {
            line.close(&(self.index, before), Own::new(), out);
        }
        parts.push(Part {
            refuses: words == Words::Refusal,
            ..Part::default()
        });
        let mut own = self.own.clone();
        own.extend(more.clone());
        let block = match words {
            Words::Text => Block::Text(own),
            Words::Refusal => Block::Refusal(own),
        };
        line.open((self.index, part), block, out);
    }

    /// More of a call's input.
    pub(crate) fn input(&mut self, more: &str, line: &mut Line<Key>, out: Out<'_>) {
        if let Kind::Call { told, .. } = &mut self.kind
            && !more.is_empty()
        {
            *told += more.len();
            line.grow(&(self.index, 0), Delta::Input(more.to_owned()), out);
        }
    }

    /// More words of thinking, of part `part` of the summary or of the content.
    pub(crate) fn think(
        &mut self,
        part: u64,
        raw: bool,
        more: &str,
        line: &mut Line<Key>,
        out: Out<'_>,
    ) {
        let key = (self.index, 0);
        self.open_thought(raw, line, out);
        let Kind::Reasoning(thought) = &mut self.kind else {
            return;
        };
        // Where a server shows both, the summary and the content, the first is told.
        if thought.raw != raw || part.saturating_add(1) < thought.parts {
            return;
        }
        if part >= thought.parts {
            if thought.parts > 0 {
                line.grow(&key, Delta::Part, out);
            }
            thought.parts = thought.parts.saturating_add(1);
            thought.told = 0;
        }
        if !more.is_empty() {
            thought.told += more.len();
            line.grow(&key, Delta::Text(more.to_owned()), out);
        }
    }

    fn open_thought(&mut self, raw: bool, line: &mut Line<Key>, out: Out<'_>) {
        let Kind::Reasoning(thought) = &mut self.kind else {
            return;
        };
        if std::mem::replace(&mut thought.is_open, true) {
            return;
        }
        thought.raw = raw;
        let mut own = self.own.clone();
        if raw {
            own.insert("shown".into(), "content".into());
        }
        line.open((self.index, 0), Block::Thinking(own), out);
    }

    /// The item as it is at its end: what was not told yet is.
    pub(crate) fn done(&mut self, item: &Own, line: &mut Line<Key>, out: Out<'_>) {
        if std::mem::replace(&mut self.is_done, true) {
            return;
        }
        let key = (self.index, 0);
        match &self.kind {
            Kind::Message(_) => self.done_message(item, line, out),
            Kind::Reasoning(_) => self.done_reasoning(item, line, out),
            Kind::Call { free, told } => {
                let name = if *free { "input" } else { "arguments" };
                let all = item.get(name).and_then(Value::as_str).unwrap_or_default();
                if let Some(rest) = all.get(*told..)
                    && !rest.is_empty()
                {
                    line.grow(&key, Delta::Input(rest.to_owned()), out);
                }
                let own = self.last(item, &["call_id", "name", "arguments", "input"]);
                line.close(&key, own, out);
            }
            Kind::Compaction => {
                if let Some(seal) = item.get("encrypted_content").and_then(Value::as_str)
                    && !seal.is_empty()
                {
                    line.grow(&key, Delta::Seal(seal.to_owned()), out);
                }
                line.close(&key, self.last(item, &["encrypted_content"]), out);
            }
            Kind::Other(before) => {
                let whole = Value::Object(item.clone());
                let own = if *before == whole {
                    Own::new()
                } else {
                    Own::from_iter([("whole".to_owned(), whole)])
                };
                line.close(&key, own, out);
            }
        }
    }

    fn done_message(&mut self, item: &Own, line: &mut Line<Key>, out: Out<'_>) {
        let own = self.last(item, &["role", "content"]);
        let content = match item.get("content") {
            Some(Value::Array(content)) => content.as_slice(),
            _ => &[],
        };
        for (at, part) in (0..).zip(content) {
            let (words, text) = match part.get("type").and_then(Value::as_str) {
                Some("refusal") => (Words::Refusal, part.get("refusal")),
                _ => (Words::Text, part.get("text")),
            };
            let text = text.and_then(Value::as_str).unwrap_or_default();
            self.open_part(at, words, &Own::new(), line, out);
            let (told, notes) = match &self.kind {
                Kind::Message(parts) => usize::try_from(at)
                    .ok()
                    .and_then(|at| parts.get(at))
                    .map_or((0, 0), |part| (part.told, part.notes)),
                _ => (0, 0),
            };
            if let Some(rest) = text.get(told..) {
                self.words(at, words, rest, line, out);
            }
            let all = part.get("annotations").and_then(Value::as_array);
            for note in all.into_iter().flatten().skip(notes) {
                self.note(at, note.clone(), line, out);
            }
            if let Some(Value::Array(list)) = part.get("logprobs")
                && !list.is_empty()
                && told == 0
            {
                let logprobs = Delta::Other(json!({ "logprobs": list }));
                line.grow(&(self.index, at), logprobs, out);
            }
        }
        if let Kind::Message(parts) = &self.kind
            && let Some(last) = (parts.len() as u64).checked_sub(1)
        {
            line.close(&(self.index, last), own, out);
        }
    }

    fn done_reasoning(&mut self, item: &Own, line: &mut Line<Key>, out: Out<'_>) {
        let texts = |key: &str| -> Vec<String> {
            let parts = item.get(key).and_then(Value::as_array);
            let parts = parts.into_iter().flatten();
            let text = |part: &Value| part.get("text").and_then(Value::as_str).map(str::to_owned);
            parts.map(|part| text(part).unwrap_or_default()).collect()
        };
        let (summary, content) = (texts("summary"), texts("content"));
        let raw = match &self.kind {
            Kind::Reasoning(thought) if thought.is_open => thought.raw,
            _ => summary.is_empty() && !content.is_empty(),
        };
        self.open_thought(raw, line, out);
        let shown = if raw { &content } else { &summary };
        for (at, text) in (0..).zip(shown) {
            let told = match &self.kind {
                Kind::Reasoning(thought) if at + 1 == thought.parts => thought.told,
                Kind::Reasoning(thought) if at + 1 < thought.parts => continue,
                _ => 0,
            };
            self.think(at, raw, text.get(told..).unwrap_or_default(), line, out);
        }
        let key = (self.index, 0);
        if let Some(seal) = item.get("encrypted_content").and_then(Value::as_str)
            && !seal.is_empty()
        {
            line.grow(&key, Delta::Seal(seal.to_owned()), out);
        }
        let mut own = self.last(item, &["summary", "encrypted_content"]);
        if raw || content.is_empty() {
            own.shift_remove("content");
        }
        line.close(&key, own, out);
    }

    /// What an item says at its end that it did not say at its start.
    fn last(&self, item: &Own, elsewhere: &[&str]) -> Own {
        let mut own = item.clone();
        drop_keys(&mut own, elsewhere);
        own.shift_remove("type");
        if own
            .get("status")
            .is_some_and(|status| status == "completed")
        {
            own.shift_remove("status");
        }
        own.retain(|key, value| !value.is_null() && self.own.get(key) != Some(value));
        own
    }
}

fn call(mut own: Own, free: bool) -> Block {
    let id = take_text(&mut own, "call_id");
    let name = take_text(&mut own, "name").unwrap_or_default();
    drop_keys(&mut own, &["arguments", "input"]);
    let id = id.or_else(|| own.get("id")?.as_str().map(str::to_owned));
    Block::Call {
        id: id.unwrap_or_default(),
        name,
        free,
        own,
    }
}

/// The item that a delta without one belongs to, by the type of the event.
pub(crate) fn implied(event: &str) -> Option<Own> {
    let kind = match event {
        "response.output_text.delta" | "response.refusal.delta" => "message",
        "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => "reasoning",
        "response.function_call_arguments.delta" => "function_call",
        "response.custom_tool_call_input.delta" => "custom_tool_call",
        _ => return None,
    };
    Some(Own::from_iter([("type".to_owned(), kind.into())]))
}
