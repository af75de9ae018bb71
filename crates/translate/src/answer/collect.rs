//! Events put together to a whole answer, and a whole answer taken apart.

use quire_dialect::Dialect;
use serde_json::{Map, Value, json};

use crate::answer::error::cut;
use crate::answer::{Answer, Begin, Block, Delta, Event, Finish};
use crate::refusal::Refusal;
use crate::request::{CallInput, Own, Part};

/// Puts an answer together.
#[derive(Debug)]
pub struct Collector {
    notes: &'static str,
    begin: Begin,
    parts: Vec<Part>,
    open: Option<Open>,
    end: Option<Result<Finish, Refusal>>,
}

/// A block in the making.
#[derive(Debug)]
struct Open {
    block: Block,
    text: Option<String>,
    /// Where parts of thinking end in `text`.
    cuts: Vec<usize>,
    input: String,
    seal: Option<String>,
    notes: Vec<Value>,
    own: Own,
}

impl Collector {
    /// One that has seen nothing of an answer in this API.
    #[must_use]
    pub fn new(from: Dialect) -> Self {
        Self {
            notes: match from {
                Dialect::Messages => "citations",
                Dialect::Responses | Dialect::Chat => "annotations",
            },
            begin: Begin::default(),
            parts: Vec::new(),
            open: None,
            end: None,
        }
    }

    /// Takes the next event.
    pub fn take(&mut self, event: Event) {
        match event {
            Event::Begin(begin) => self.begin = begin,
            Event::Open(block) => self.open = Some(Open::new(block)),
            Event::Grow(delta) => {
                if let Some(open) = &mut self.open {
                    open.grow(delta);
                }
            }
            Event::Close(own) => {
                if let Some(open) = self.open.take() {
                    self.parts.push(open.settle(own, self.notes));
                }
            }
            Event::Finish(finish) => self.end = Some(Ok(finish)),
            Event::Failed(refusal) => self.end = Some(Err(refusal)),
            Event::Ping => {}
        }
    }

    /// The answer, or why it broke off.
    pub fn finish(self) -> Result<Answer, Refusal> {
        Ok(Answer {
            finish: self.end.unwrap_or_else(|| Err(cut()))?,
            begin: self.begin,
            parts: self.parts,
        })
    }
}

impl Open {
    fn new(block: Block) -> Self {
        Self {
            block,
            text: None,
            cuts: Vec::new(),
            input: String::new(),
            seal: None,
            notes: Vec::new(),
            own: Own::new(),
        }
    }

    fn grow(&mut self, delta: Delta) {
        match delta {
            Delta::Text(more) => self.text.get_or_insert_default().push_str(&more),
            Delta::Input(more) => self.input.push_str(&more),
            Delta::Seal(seal) => self.seal = Some(seal),
            Delta::Note(note) => self.notes.push(note),
            Delta::Part => {
                let text = self.text.get_or_insert_default();
                self.cuts.push(text.len());
                text.push_str(PART);
            }
            // Of a block that only its API knows, `Close` says the whole.
            Delta::Other(Value::Object(more)) if !matches!(self.block, Block::Other(_)) => {
                merge(&mut self.own, more);
            }
            Delta::Other(_) => {}
        }
    }

    fn settle(mut self, mut last: Own, notes: &str) -> Part {
        let whole = last.shift_remove("whole");
        let cuts = std::mem::take(&mut self.cuts);
        let text = self.text.take();
        let mut more = self.own;
        more.extend(last);
        if !self.notes.is_empty() {
            more.insert(notes.to_owned(), self.notes.into());
        }
        let with = |mut own: Own| {
            own.extend(more);
            own
        };
        match self.block {
            Block::Text(own) => Part::Text {
                text: text.unwrap_or_default(),
                own: with(own),
            },
            Block::Refusal(own) => Part::Refusal {
                text: text.unwrap_or_default(),
                own: with(own),
            },
            Block::Thinking(own) => {
                let text = text.unwrap_or_default();
                let mut own = with(own);
                if !cuts.is_empty() {
                    own.insert("summary".into(), summary(&text, &cuts));
                }
                Part::Thinking {
                    text,
                    seal: self.seal,
                    own,
                }
            }
            Block::Call {
                id,
                name,
                free,
                own,
            } => Part::Call {
                id,
                name,
                input: input(self.input, free),
                own: with(own),
            },
            Block::Compaction(own) => Part::Compaction {
                text,
                seal: self.seal,
                own: with(own),
            },
            Block::Other(value) => Part::Other(whole.unwrap_or(value)),
        }
    }
}

/// What stands between two parts of thinking.
const PART: &str = "\n\n";

fn input(input: String, free: bool) -> CallInput {
    if free {
        CallInput::Free(input)
    } else if input.trim().is_empty() {
        CallInput::Json("{}".to_owned())
    } else {
        CallInput::Json(input)
    }
}

/// The parts of thinking, as Responses has them.
fn summary(text: &str, cuts: &[usize]) -> Value {
    let mut start = 0;
    let mut parts = Vec::new();
    for end in cuts.iter().copied().chain([text.len()]) {
        parts.push(json!({ "type": "summary_text", "text": text[start..end] }));
        start = (end + PART.len()).min(text.len());
    }
    Value::Array(parts)
}

/// Adds members to those that are there: lists grow, objects are merged, everything else is replaced.
fn merge(into: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        match (into.get_mut(&key), value) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (Some(Value::Object(object)), Value::Object(more)) => merge(object, more),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

impl Answer {
    /// The events that it is the sum of, for a client that wants a stream.
    pub fn tell(&self, each: &mut impl FnMut(Event)) {
        each(Event::Begin(self.begin.clone()));
        for part in &self.parts {
            tell(part, each);
        }
        each(Event::Finish(self.finish.clone()));
    }
}

fn tell(part: &Part, each: &mut impl FnMut(Event)) {
    match part {
        Part::Text { text, own } => tell_words(Block::Text, text, own, each),
        Part::Refusal { text, own } => tell_words(Block::Refusal, text, own, each),
        Part::Thinking { text, seal, own } => tell_thinking(text, seal.as_ref(), own, each),
        Part::Call {
            id,
            name,
            input,
            own,
        } => {
            let (text, free) = match input {
                CallInput::Json(text) => (text, false),
                CallInput::Free(text) => (text, true),
            };
            each(Event::Open(Block::Call {
                id: id.clone(),
                name: name.clone(),
                free,
                own: own.clone(),
            }));
            if !text.is_empty() {
                each(Event::Grow(Delta::Input(text.clone())));
            }
            each(Event::Close(Own::new()));
        }
        Part::Compaction { text, seal, own } => {
            let (mut own, mut last) = (own.clone(), Own::new());
            // It signs what was said, and is known only then.
            if let Some(signature) = own.shift_remove("signature") {
                last.insert("signature".into(), signature);
            }
            each(Event::Open(Block::Compaction(own)));
            if let Some(text) = text {
                each(Event::Grow(Delta::Text(text.clone())));
            }
            if let Some(seal) = seal {
                each(Event::Grow(Delta::Seal(seal.clone())));
            }
            each(Event::Close(last));
        }
        Part::Other(value) => {
            each(Event::Open(Block::Other(value.clone())));
            each(Event::Close(Own::new()));
        }
        // A model says none of these.
        Part::Image { .. } | Part::Document { .. } | Part::Result { .. } => {}
    }
}

fn tell_words(block: fn(Own) -> Block, text: &str, own: &Own, each: &mut impl FnMut(Event)) {
    let mut own = own.clone();
    let mut notes = Vec::new();
    for key in ["citations", "annotations"] {
        match own.get(key) {
            Some(Value::Array(list)) if !list.is_empty() => {
                notes.extend(list.iter().cloned());
                own.shift_remove(key);
            }
            _ => {}
        }
    }
    each(Event::Open(block(own)));
    if !text.is_empty() {
        each(Event::Grow(Delta::Text(text.to_owned())));
    }
    for note in notes {
        each(Event::Grow(Delta::Note(note)));
    }
    each(Event::Close(Own::new()));
}

fn tell_thinking(text: &str, seal: Option<&String>, own: &Own, each: &mut impl FnMut(Event)) {
    let mut own = own.clone();
    let texts: Vec<String> = match own.shift_remove("summary") {
        Some(Value::Array(list)) => list
            .iter()
            .map(|part| {
                part.get("text")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect(),
        _ => vec![text.to_owned()],
    };
    each(Event::Open(Block::Thinking(own)));
    for (at, text) in texts.into_iter().enumerate() {
        if at > 0 {
            each(Event::Grow(Delta::Part));
        }
        if !text.is_empty() {
            each(Event::Grow(Delta::Text(text)));
        }
    }
    if let Some(seal) = seal {
        each(Event::Grow(Delta::Seal(seal.clone())));
    }
    each(Event::Close(Own::new()));
}
