//! Chunks and whole completions as events of ours, of as many servers as there are: fields come late, twice or never.

use quire_dialect::Dialect;
use quire_dialect::sse::Frame;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::answer::chat::calls::{Call, Fragment};
use crate::answer::chat::reasoning::Reasoning;
use crate::answer::error::{cut, malformed, no_answer, read_stream_error};
use crate::answer::line::Line;
use crate::answer::stop::{self, Held};
use crate::answer::usage;
use crate::answer::wire::{Raw, drop_keys, known, object, owned, text, within};
use crate::answer::{Begin, Block, Delta, Event, Finish, Tally};
use crate::refusal::Refusal;
use crate::request::Own;

type Out<'a> = &'a mut dyn FnMut(Event);

/// Reads the chunks of one completion.
#[derive(Debug)]
pub(crate) struct ChatReader {
    begun: bool,
    /// All of it comes at once: calls are apart that nothing tells apart.
    is_whole: bool,
    pub(crate) ended: bool,
    id: String,
    tally: Tally,
    service_tier: Option<String>,
    held: Held,
    /// The reason to stop.
    stop: Option<String>,
    own: Own,
    line: Line<u64>,
    keys: u64,
    /// The block of words that is open.
    open: Option<(Words, u64)>,
    reasoning: Reasoning,
    calls: Vec<Call>,
}

/// What words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    Text,
    Refusal,
    Thinking,
}

/// Large members stay raw until they are needed: most chunks are tiny.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    id: Raw<'a>,
    #[serde(borrow, default)]
    model: Raw<'a>,
    #[serde(borrow, default)]
    service_tier: Raw<'a>,
    #[serde(borrow, default)]
    choices: Raw<'a>,
    #[serde(borrow, default)]
    usage: Raw<'a>,
    #[serde(borrow, default)]
    error: Raw<'a>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default, alias = "message")]
    delta: Raw<'a>,
    #[serde(borrow, default)]
    finish_reason: Raw<'a>,
    #[serde(borrow, default)]
    usage: Raw<'a>,
    #[serde(borrow, default)]
    logprobs: Raw<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Raw<'a>,
    #[serde(borrow, default)]
    refusal: Raw<'a>,
    #[serde(borrow, default)]
    reasoning_content: Raw<'a>,
    #[serde(borrow, default)]
    reasoning: Raw<'a>,
    #[serde(borrow, default)]
    reasoning_details: Raw<'a>,
    #[serde(borrow, default)]
    annotations: Raw<'a>,
    #[serde(borrow, default)]
    tool_calls: Raw<'a>,
    #[serde(borrow, default)]
    function_call: Raw<'a>,
}

impl ChatReader {
    pub(crate) fn new() -> Self {
        Self {
            begun: false,
            is_whole: false,
            ended: false,
            id: String::new(),
            tally: Tally::default(),
            service_tier: None,
            held: Held::default(),
            stop: None,
            own: Own::new(),
            line: Line::new(),
            keys: 0,
            open: None,
            reasoning: Reasoning::default(),
            calls: Vec::new(),
        }
    }

    pub(crate) fn frame(&mut self, frame: Frame<'_>, out: Out<'_>) {
        if frame.data.trim_ascii() == b"[DONE]" {
            self.finish_done(out);
            return;
        }
        match object::<Chunk<'_>>(frame.data) {
            Some(chunk) => self.chunk(frame.data, &chunk, out),
            None if frame.event == b"error" => {
                let words = String::from_utf8_lossy(frame.data).into_owned();
                self.fail(read_stream_error(&Value::String(words)), out);
            }
            None => self.fail(malformed(Dialect::Chat, "a chunk is no JSON object"), out),
        }
    }

    /// Reads a completion that came whole.
    pub(crate) fn whole(&mut self, body: &[u8], out: Out<'_>) {
        self.is_whole = true;
        match object::<Chunk<'_>>(body) {
            Some(chunk) => {
                self.chunk(body, &chunk, out);
                if self.stop.is_none() && !self.has_said() {
                    let what = "a completion without choices";
                    self.fail(no_answer(Dialect::Chat, what, body), out);
                }
                self.end(out);
            }
            None => self.fail(no_answer(Dialect::Chat, "it is no JSON object", body), out),
        }
    }

    fn chunk(&mut self, json: &[u8], chunk: &Chunk<'_>, out: Out<'_>) {
        if let Some(error) = known::<Value>(chunk.error) {
            return self.fail(read_stream_error(&error), out);
        }
        self.begin(json, chunk, out);
        if let Some(tier) = owned(chunk.service_tier) {
            self.service_tier = Some(tier);
        }
        self.count(chunk.usage);
        for raw in known::<Vec<&RawValue>>(chunk.choices).unwrap_or_default() {
            let Some(choice) = within::<Choice<'_>>(Some(raw)) else {
                continue;
            };
            if choice.index.unwrap_or(0) != 0 {
                continue;
            }
            self.count(choice.usage);
            if let Some(message) = within::<Message<'_>>(choice.delta) {
                self.message(&message, choice.logprobs, out);
            }
            if let Some(reason) = owned(choice.finish_reason) {
                self.stopped(reason, raw, out);
            }
        }
    }

    fn begin(&mut self, json: &[u8], chunk: &Chunk<'_>, out: Out<'_>) {
        let says_nothing = chunk.choices.is_none_or(|raw| raw.get() == "[]");
        // One vendor's first chunk is about the prompt, and has no id yet.
        if self.begun || says_nothing && text(chunk.id).is_none() {
            return;
        }
        self.begun = true;
        self.id = owned(chunk.id).unwrap_or_default();
        let mut own: Own = object(json).unwrap_or_default();
        drop_keys(
            &mut own,
            &["id", "object", "model", "choices", "usage", "service_tier"],
        );
        own.retain(|_, value| !value.is_null());
        out(Event::Begin(Begin {
            id: self.id.clone(),
            model: owned(chunk.model).unwrap_or_default(),
            tally: Tally::default(),
            own,
        }));
    }

    fn count(&mut self, usage: Raw<'_>) {
        if let Some(usage) = within::<Own>(usage) {
            self.tally = usage::read(Dialect::Chat, &usage);
        }
    }

    fn stopped(&mut self, reason: String, choice: &RawValue, out: Out<'_>) {
        if reason == "error" {
            return self.fail(read_stream_error(&Value::Null), out);
        }
        let mut own: Own = within(Some(choice)).unwrap_or_default();
        drop_keys(
            &mut own,
            &[
                "index",
                "delta",
                "message",
                "finish_reason",
                "logprobs",
                "usage",
            ],
        );
        own.retain(|_, value| !value.is_null());
        self.own.extend(own);
        self.stop = Some(reason);
    }

    fn message(&mut self, message: &Message<'_>, logprobs: Raw<'_>, out: Out<'_>) {
        self.think(message, out);
        let content = match known::<Vec<Own>>(message.content) {
            // Some servers send the words in parts.
            Some(parts) => {
                let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
                texts.collect::<String>()
            }
            None => owned(message.content).unwrap_or_default(),
        };
        self.words(Words::Text, &content, out);
        if let (Some(logprobs), Some((Words::Text, key))) = (known::<Value>(logprobs), self.open) {
            let other = Delta::Other(json!({ "logprobs": logprobs }));
            self.line.grow(&key, other, out);
        }
        for note in known::<Vec<Value>>(message.annotations).unwrap_or_default() {
            let key = self.open_words(Words::Text, out);
            self.line.grow(&key, Delta::Note(note), out);
        }
        self.words(
            Words::Refusal,
            &text(message.refusal).unwrap_or_default(),
            out,
        );
        let calls = known::<Vec<&RawValue>>(message.tool_calls).unwrap_or_default();
        for (at, raw) in (0..).zip(calls) {
            if let Some(mut fragment) = Fragment::read(Some(raw)) {
                if self.is_whole {
                    fragment.index = Some(at);
                }
                self.call(&fragment, out);
            }
        }
        if message.function_call.is_some() {
            self.call(&Fragment::function(message.function_call), out);
        }
    }

    fn think(&mut self, message: &Message<'_>, out: Out<'_>) {
        let content = text(message.reasoning_content).unwrap_or_default();
        let plain = text(message.reasoning).unwrap_or_default();
        let details: Vec<Map<String, Value>> = known(message.reasoning_details).unwrap_or_default();
        if content.is_empty() && plain.is_empty() && details.is_empty() {
            return;
        }
        let (shown, mut own) = match (content.is_empty(), plain.is_empty()) {
            (false, _) | (true, true) => (content, Own::new()),
            (true, false) => (
                plain,
                Own::from_iter([("field".to_owned(), "reasoning".into())]),
            ),
        };
        // Fields of the run are those of its first chunk.
        if self.open.is_some_and(|(words, _)| words == Words::Thinking) {
            own.clear();
        }
        let shown = self.reasoning_of(out).add(&shown, details);
        let key = self.open_block(Words::Thinking, own, out);
        if !shown.is_empty() {
            self.line.grow(&key, Delta::Text(shown), out);
        }
    }

    /// The run of reasoning that is open, or a new one.
    fn reasoning_of(&mut self, out: Out<'_>) -> &mut Reasoning {
        if self.open.is_none_or(|(words, _)| words != Words::Thinking) {
            self.close_words(out);
            self.reasoning = Reasoning::default();
        }
        &mut self.reasoning
    }

    fn words(&mut self, kind: Words, more: &str, out: Out<'_>) {
        if !more.is_empty() {
            let key = self.open_words(kind, out);
            self.line.grow(&key, Delta::Text(more.to_owned()), out);
        }
    }

    fn open_words(&mut self, kind: Words, out: Out<'_>) -> u64 {
        self.open_block(kind, Own::new(), out)
    }

    fn open_block(&mut self, kind: Words, own: Own, out: Out<'_>) -> u64 {
        if let Some((open, key)) = self.open
            && open == kind
        {
            return key;
        }
        self.close_words(out);
        self.close_whole_calls(out);
        let block = match kind {
            Words::Text => Block::Text(own),
            Words::Thinking => Block::Thinking(own),
            Words::Refusal => {
                self.held.refusal = true;
                Block::Refusal(own)
            }
        };
        let key = self.next_key();
        self.open = Some((kind, key));
        self.line.open(key, block, out);
        key
    }

    fn next_key(&mut self) -> u64 {
        self.keys += 1;
        self.keys
    }

    fn close_words(&mut self, out: Out<'_>) {
        let Some((kind, key)) = self.open.take() else {
            return;
        };
        if kind == Words::Thinking
            && let Some(seal) = self.reasoning.seal()
        {
            self.line.grow(&key, Delta::Seal(seal), out);
        }
        self.line.close(&key, Own::new(), out);
    }

    /// Closes calls to which nothing can come any more.
    fn close_whole_calls(&mut self, out: Out<'_>) {
        for call in &mut self.calls {
            if let Some(key) = call.key
                && (call.shape.is_whole || call.free)
            {
                self.line.close(&key, Own::new(), out);
            }
        }
    }

    fn call(&mut self, fragment: &Fragment<'_>, out: Out<'_>) {
        self.held.calls = true;
        self.close_words(out);
        let at = fragment.find(&self.calls).unwrap_or_else(|| {
            self.calls.push(fragment.begin());
            self.calls.len() - 1
        });
        let call = &mut self.calls[at];
        if call.id.is_empty() {
            fragment.id.as_ref().clone_into(&mut call.id);
        }
        if call.name.is_empty() {
            fragment.name.as_ref().clone_into(&mut call.name);
        }
        call.early.push_str(&fragment.input);
        if !call.name.is_empty() {
            self.tell_call(at, out);
        }
    }

    /// Tells of a call what is known of it.
    fn tell_call(&mut self, at: usize, out: Out<'_>) {
        if self.calls[at].key.is_none() {
            self.close_whole_calls(out);
            let key = self.next_key();
            let call = &mut self.calls[at];
            if call.id.is_empty() {
                // Quoted by the result: it must be one of its own in the conversation.
                call.id = format!("call_{}_{at}", self.id);
            }
            call.key = Some(key);
            let block = Block::Call {
                id: call.id.clone(),
                name: call.name.clone(),
                free: call.free,
                own: Own::new(),
            };
            self.line.open(key, block, out);
        }
        let call = &mut self.calls[at];
        let input = std::mem::take(&mut call.early);
        if let Some(key) = call.key
            && !input.is_empty()
        {
            if !call.free {
                call.shape.push(&input);
            }
            self.line.grow(&key, Delta::Input(input), out);
        }
    }

    fn has_said(&self) -> bool {
        self.keys > 0 || !self.calls.is_empty()
    }

    /// `[DONE]`: some servers give no reason to stop.
    fn finish_done(&mut self, out: Out<'_>) {
        if self.stop.is_some() || self.has_said() {
            self.end(out);
        } else {
            self.fail(cut(), out);
        }
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self, out: Out<'_>) {
        if self.stop.is_some() {
            self.end(out);
        } else {
            self.fail(cut(), out);
        }
    }

    fn end(&mut self, out: Out<'_>) {
        if self.ended {
            return;
        }
        if !std::mem::replace(&mut self.begun, true) {
            out(Event::Begin(Begin::default()));
        }
        self.close_words(out);
        for at in 0..self.calls.len() {
            self.tell_call(at, out);
        }
        self.line.close_all(out);
        self.ended = true;
        let mut tally = std::mem::take(&mut self.tally);
        tally.service_tier = self.service_tier.take();
        let reason = self.stop.take().unwrap_or_default();
        out(Event::Finish(Finish {
            stop: stop::read_chat(&reason, self.held),
            tally,
            own: std::mem::take(&mut self.own),
        }));
    }

    pub(crate) fn fail(&mut self, refusal: Refusal, out: Out<'_>) {
        if !std::mem::replace(&mut self.ended, true) {
            out(Event::Failed(refusal));
        }
    }
}
