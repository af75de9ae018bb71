//! Events of ours as Responses' events and whole responses.

use quire_dialect::Dialect;
use serde_json::{Value, json};

use crate::answer::error::{code_or_default, flat};
use crate::answer::responses::object;
use crate::answer::responses::open::{Open, Tell};
use crate::answer::stop::{self, Held};
use crate::answer::usage;
use crate::answer::wire::{extend, own, value};
use crate::answer::{Begin, Block, Delta, Event, Finish, Frame, Stop};
use crate::refusal::Refusal;
use crate::request::Own;

type Emit<'a> = &'a mut dyn FnMut(&str, &[u8]);

/// Writes the events of one response.
#[derive(Debug, Default)]
pub(crate) struct ResponsesWriter {
    sequence: u64,
    /// The response as it was at its start.
    response: Own,
    /// Items that are done, as JSON text.
    output: Vec<Vec<u8>>,
    open: Option<Open>,
    held: Held,
    /// What ids of items are made of.
    stem: String,
    json: Vec<u8>,
}

impl ResponsesWriter {
    pub(crate) fn event(&mut self, frame: &Frame, event: &Event, emit: Emit<'_>) {
        match event {
            Event::Begin(begin) => self.begin(frame, begin, emit),
            Event::Open(block) => self.open(frame, block, emit),
            Event::Grow(delta) => self.grow(frame, delta, emit),
            Event::Close(own) => self.close(frame, own, emit),
            Event::Finish(finish) => self.finish(frame, finish, emit),
            Event::Failed(refusal) => self.failed(refusal, emit),
            Event::Ping => {}
        }
    }

    fn begin(&mut self, frame: &Frame, begin: &Begin, emit: Emit<'_>) {
        self.response = object::begin(frame, begin);
        let id = object::id(frame, begin);
        let stem = id.split_once('_').map_or(id, |(_, stem)| stem);
        stem.clone_into(&mut self.stem);
        for name in ["response.created", "response.in_progress"] {
            let response = self.response.clone();
            self.emit(name, own! { "response": response }, emit);
        }
    }

    /// Gives an event, with its type and number.
    fn emit(&mut self, name: &str, members: Own, emit: Emit<'_>) {
        let mut event = own! { "type": name, "sequence_number": self.sequence };
        event.extend(members);
        self.sequence += 1;
        self.json.clear();
        value(&mut self.json, &event);
        emit(name, &self.json);
    }

    /// Gives a delta of words or input; most events are these.
    fn emit_words(&mut self, tell: &Tell, words: &str, emit: Emit<'_>) {
        use std::io::Write as _;
        let Tell {
            name,
            item,
            place,
            tail,
        } = tell;
        let output = self.output.len();
        self.json.clear();
        let out = &mut self.json;
        write!(
            out,
            r#"{{"type":"{name}","sequence_number":{},"item_id":"#,
            self.sequence
        )
        .expect("memory can be written to");
        value(out, item);
        write!(out, r#","output_index":{output}{place},"delta":"#)
            .expect("memory can be written to");
        value(out, words);
        out.extend_from_slice(tail.as_bytes());
        out.push(b'}');
        self.sequence += 1;
        emit(name, &self.json);
    }

    /// Gives what an item tells of itself.
    fn tell(&mut self, told: Vec<(&'static str, Own)>, emit: Emit<'_>) {
        for (name, members) in told {
            let mut all = own! { "output_index": self.output.len() };
            all.extend(members);
            self.emit(name, all, emit);
        }
    }

    fn open(&mut self, frame: &Frame, block: &Block, emit: Emit<'_>) {
        match block {
            Block::Call { .. } => self.held.calls = true,
            Block::Refusal(_) => self.held.refusal = true,
            Block::Text(_) | Block::Thinking(_) | Block::Compaction(_) | Block::Other(_) => {}
        }
        if let Some(open) = &mut self.open
            && open.goes_on(frame, block)
        {
            let told = open.part(block);
            return self.tell(told, emit);
        }
        self.close_item(frame, "completed", emit);
        let id = |prefix: &str| format!("{prefix}_{}_{}", self.stem, self.output.len());
        let (open, told) = Open::begin(frame, block, id);
        self.tell(told, emit);
        self.open = Some(open);
    }

    fn grow(&mut self, frame: &Frame, delta: &Delta, emit: Emit<'_>) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        let told = open.before(delta);
        self.tell(told, emit);
        if let Some((tell, words)) = open.words(delta) {
            self.emit_words(&tell, &words, emit);
        } else {
            let told = open.other(frame, delta);
            self.tell(told, emit);
        }
        self.open = Some(open);
    }

    fn close(&mut self, frame: &Frame, last: &Own, emit: Emit<'_>) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        // Input that was held back.
        if let Some((tell, words)) = open.rest() {
            self.emit_words(&tell, &words, emit);
        }
        let told = open.close(frame, last);
        self.tell(told, emit);
        // A message may have more parts; whether a call was cut, only the end of the answer says.
        let waits = match open {
            Open::Message(_) => true,
            Open::Call(..) => frame.from != Dialect::Responses,
            Open::Thinking(_) | Open::Compaction { .. } | Open::Other(_) | Open::Skipped => false,
        };
        self.open = Some(open);
        if !waits {
            self.close_item(frame, "completed", emit);
        }
    }

    fn close_item(&mut self, frame: &Frame, status: &str, emit: Emit<'_>) {
        let Some(item) = self.open.take().and_then(|open| open.item(frame, status)) else {
            return;
        };
        self.tell(
            vec![("response.output_item.done", own! { "item": item })],
            emit,
        );
        self.output
            .push(Value::Object(item).to_string().into_bytes());
    }

    fn finish(&mut self, frame: &Frame, finish: &Finish, emit: Emit<'_>) {
        let (status, details) = stop::write_responses(&finish.stop, frame.from, self.held);
        let is_cut = matches!(
            finish.stop,
            Stop::MaxTokens | Stop::WindowFull | Stop::Filtered
        );
        let last = if is_cut && frame.from != Dialect::Responses {
            "incomplete"
        } else {
            "completed"
        };
        self.close_item(frame, last, emit);
        let completed = frame.completed.unwrap_or(frame.created);
        self.response
            .insert("completed_at".into(), completed.into());
        if frame.from == Dialect::Responses {
            extend(&mut self.response, &finish.own);
        }
        if let Some(tier) = object::service_tier(frame.from, &finish.tally) {
            self.response.insert("service_tier".into(), tier.into());
        }
        let usage = usage::write(Dialect::Responses, frame.from, &finish.tally);
        self.response.insert("status".into(), status.into());
        self.response.insert("incomplete_details".into(), details);
        self.response.insert("usage".into(), Value::Object(usage));
        self.last(&format!("response.{status}"), emit);
    }

    fn failed(&mut self, refusal: &Refusal, emit: Emit<'_>) {
        if self.response.is_empty() {
            // Nothing was told that could be said to have failed.
            let error = flat(refusal, self.sequence).to_string();
            return emit("error", error.as_bytes());
        }
        let error = object::error(code_or_default(refusal), &refusal.message);
        self.response.insert("status".into(), "failed".into());
        self.response.insert("error".into(), error);
        self.last("response.failed", emit);
    }

    /// Gives the last event, whose response holds every item that is done.
    fn last(&mut self, name: &str, emit: Emit<'_>) {
        self.json.clear();
        value(
            &mut self.json,
            &json!({ "type": name, "sequence_number": self.sequence }),
        );
        self.json.pop();
        self.json.extend_from_slice(b",\"response\":{");
        for (at, (key, given)) in self.response.iter().enumerate() {
            if at > 0 {
                self.json.push(b',');
            }
            value(&mut self.json, key);
            self.json.push(b':');
            if key == "output" {
                self.json.push(b'[');
                self.json.extend_from_slice(&self.output.join(&b','));
                self.json.push(b']');
            } else {
                value(&mut self.json, given);
            }
        }
        self.json.extend_from_slice(b"}}");
        self.sequence += 1;
        emit(name, &self.json);
    }

    /// The response of the last event, as JSON text.
    pub(crate) fn whole(&self) -> &[u8] {
        const MARK: &[u8] = b",\"response\":";
        let at = memchr::memmem::find(&self.json, MARK).map_or(0, |at| at + MARK.len());
        self.json
            .get(at..self.json.len().saturating_sub(1))
            .unwrap_or_default()
    }
}
