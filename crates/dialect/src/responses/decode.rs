//! Answers in the Responses dialect. An item is true when it is reported as done; what deltas
//! told before counts only for servers that never say so.

use quire_protocol::{TokenStop, Usage};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Dialect;
use crate::decoder::{
    DecodeError, Decoded, Extra, Items, Text, count, error_member, event_type, lenient, owned,
    parse, text,
};
use crate::error::stream_error;
use crate::responses::item;
use crate::sink::Sink;
use crate::sse::Frame;
use crate::tools::TextTools;

/// Reads the events of one answer.
#[derive(Debug)]
pub(crate) struct ResponsesReader {
    text_tools: TextTools,
    slots: Vec<Slot>,
    /// The output that the last event repeated, whole, where not all of it came before.
    output: Vec<Box<RawValue>>,
    model: String,
    extra: Extra,
    usage: Usage,
    counted: bool,
    ending: Option<Ending>,
    /// It is no answer but a compaction, all of whose output stands for the context.
    compacts: bool,
    /// `[DONE]` was seen, which servers of other dialects send.
    done: bool,
}

/// How the answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Completed,
    MaxTokens,
    Filtered,
}

/// An output item, as far as it is known.
#[derive(Debug)]
struct Slot {
    index: u64,
    done: Option<Box<RawValue>>,
    draft: item::Draft,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    output_index: Option<u64>,
    summary_index: Option<u64>,
    #[serde(borrow)]
    delta: Option<Text<'a>>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    object: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    service_tier: Option<Text<'a>>,
    #[serde(borrow)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    error: Option<Value>,
    #[serde(borrow)]
    incomplete_details: Option<Incomplete<'a>>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Default, Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    cache_write_tokens_details: Option<WriteDetails>,
}

#[derive(Default, Deserialize)]
struct WriteDetails {
    ttl_12h_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl WireUsage {
    /// Whether both prompt and answer were counted. No prompt is empty: where it counts nothing,
    /// the server does not count.
    fn counts_all(&self) -> bool {
        count(self.input_tokens) > 0 && self.output_tokens.is_some()
    }

    /// Disjoint counts out of OpenAI's, whose input includes what the cache took part in.
    fn usage(self) -> Usage {
        let input = self.input_tokens_details.unwrap_or_default();
        let cached = count(input.cached_tokens);
        let written = count(input.cache_write_tokens);
        let ttl = input.cache_write_tokens_details.unwrap_or_default();
        let long = count(ttl.ttl_12h_tokens).min(written);
        Usage {
            input: count(self.input_tokens)
                .saturating_sub(cached)
                .saturating_sub(written),
            cache_read: cached,
            cache_write_5m: written - long,
            cache_write_1h: long,
            output: count(self.output_tokens),
            thinking: count(
                self.output_tokens_details
                    .unwrap_or_default()
                    .reasoning_tokens,
            ),
        }
    }
}

impl ResponsesReader {
    pub(crate) fn new(text_tools: TextTools) -> Self {
        Self {
            text_tools,
            slots: Vec::new(),
            output: Vec::new(),
            model: String::new(),
            extra: Extra::default(),
            usage: Usage::default(),
            counted: false,
            ending: None,
            compacts: false,
            done: false,
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.ending.is_some()
    }

    /// Without a terminal event, only items that are all done make an answer.
    pub(crate) fn is_whole(&self) -> bool {
        self.done && !self.slots.is_empty() && self.slots.iter().all(|slot| slot.done.is_some())
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    pub(crate) fn extra(&self) -> &Extra {
        &self.extra
    }

    pub(crate) fn frame(
        &mut self,
        frame: Frame<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), DecodeError> {
        if frame.data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let event: Event<'_> = match parse("event", frame.data) {
            Ok(event) => event,
            Err(error) => return tolerate(frame, error),
        };
        let named = String::from_utf8_lossy(frame.event);
        let kind = event.kind.as_ref().map_or(named.as_ref(), |kind| &kind.0);
        match kind {
            "response.output_item.added" | "response.output_item.done" => {
                let is_done = kind == "response.output_item.done";
                if let Some(raw) = event.item {
                    self.item(event.output_index, raw, is_done, sink)?;
                }
            }
            "response.created" | "response.queued" | "response.in_progress" => {
                if let Some(raw) = event.response {
                    self.describe(&parse("response", raw.get().as_bytes())?);
                }
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled"
            | "response.done" => {
                let Some(raw) = event.response else {
                    return Err(DecodeError::Malformed(format!("{kind} without response")));
                };
                self.end(parse("response", raw.get().as_bytes())?, kind)?;
            }
            "error" | "" => return other(frame),
            _ => self.delta(kind, &event, sink),
        }
        Ok(())
    }

    /// Reads a response that came whole.
    pub(crate) fn whole(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        let response: Response<'_> = parse("response", body)?;
        if response.output.is_none() && response.error.is_none() {
            return Err(DecodeError::Malformed("a response without output".into()));
        }
        self.compacts = text(response.object.as_ref()) == "response.compaction";
        self.end(response, "")
    }

    fn delta(&mut self, kind: &str, event: &Event<'_>, sink: &mut Sink<'_>) {
        let Some(target) = item::Target::of(kind) else {
            return;
        };
        let at = self.slot(event.output_index, target);
        let slot = &mut self.slots[at];
        let more = text(event.delta.as_ref());
        match target {
            item::Target::SummaryPart => {
                if event.summary_index.unwrap_or(0) > 0 {
                    slot.draft.text.push_str("\n\n");
                    sink.thinking("\n\n");
                }
            }
            item::Target::Text | item::Target::Refusal => {
                slot.draft.text.push_str(more);
                sink.text(more);
            }
            item::Target::Thinking => {
                slot.draft.text.push_str(more);
                sink.thinking(more);
            }
            item::Target::Arguments | item::Target::Input => {
                slot.draft.text.push_str(more);
                sink.writing(slot.index, &slot.draft.name, slot.draft.text.len());
            }
        }
        if target == item::Target::Refusal {
            slot.draft.refused = true;
        }
    }

    /// The slot that a delta belongs to; made here when no event announced it.
    fn slot(&mut self, index: Option<u64>, target: item::Target) -> usize {
        let known = match index {
            Some(index) => self.slots.iter().rposition(|slot| slot.index == index),
            None => self.slots.iter().rposition(|slot| slot.draft.takes(target)),
        };
        known.unwrap_or_else(|| {
            let index = index.unwrap_or(self.slots.len() as u64);
            self.add(index, item::Draft::implied(target))
        })
    }

    fn add(&mut self, index: u64, draft: item::Draft) -> usize {
        self.slots.push(Slot {
            index,
            done: None,
            draft,
        });
        self.slots.len() - 1
    }

    fn item(
        &mut self,
        index: Option<u64>,
        raw: &RawValue,
        is_done: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), DecodeError> {
        let draft = item::Draft::read(raw)?;
        let known = match index {
            Some(index) => self.slots.iter().rposition(|slot| slot.index == index),
            None => self.slots.iter().position(|slot| slot.done.is_none()),
        };
        let at = match known {
            Some(at) if is_done => at,
            _ => {
                let index = index.unwrap_or(self.slots.len() as u64);
                if draft.is_call() && !is_done {
                    sink.writing(index, &draft.name, 0);
                }
                self.add(index, draft)
            }
        };
        if is_done {
            let slot = &mut self.slots[at];
            slot.done = Some(raw.to_owned());
            // What the deltas told is all in it.
            slot.draft.text = String::new();
        }
        Ok(())
    }

    fn describe(&mut self, response: &Response<'_>) {
        if let Some(model) = owned(response.model.as_ref()) {
            self.model = model;
        }
        if let Some(id) = owned(response.id.as_ref()) {
            self.extra.response_id = Some(id);
        }
        if let Some(tier) = owned(response.service_tier.as_ref()) {
            self.extra.service_tier = Some(tier);
        }
    }

    fn end(&mut self, response: Response<'_>, kind: &str) -> Result<(), DecodeError> {
        self.describe(&response);
        if let Some(usage) = lenient::<WireUsage>(response.usage) {
            self.counted = usage.counts_all();
            self.usage = usage.usage();
        }
        let status = match text(response.status.as_ref()) {
            "" => kind.strip_prefix("response.").unwrap_or("completed"),
            status => status,
        };
        if matches!(status, "failed" | "cancelled") || response.error.is_some() {
            return Err(stream_error(
                Dialect::Responses,
                &response.error.unwrap_or_default(),
            ));
        }
        let reason = response
            .incomplete_details
            .as_ref()
            .map_or("", |details| text(details.reason.as_ref()));
        self.ending = Some(match (status, reason) {
            ("incomplete", "content_filter") => Ending::Filtered,
            ("incomplete", _) => Ending::MaxTokens,
            _ => Ending::Completed,
        });
        let output = response.output.unwrap_or_default();
        if !self.holds_all(output.len()) {
            self.output = output.into_iter().map(ToOwned::to_owned).collect();
        }
        Ok(())
    }

    /// Whether every item is known whole, and there are as many as were reported.
    fn holds_all(&self, reported: usize) -> bool {
        self.slots.len() >= reported && self.slots.iter().all(|slot| slot.done.is_some())
    }

    pub(crate) fn finish(mut self) -> Result<Decoded, DecodeError> {
        let mut items = Items::new(Dialect::Responses, &self.text_tools);
        let mut refused = false;
        self.slots.sort_by_key(|slot| slot.index);
        if self.compacts {
            item::settle_compaction(&self.output, &mut items);
            self.output.clear();
        }
        if self.output.is_empty() {
            for slot in self.slots {
                refused |= match slot.done {
                    Some(raw) => item::settle(&raw, &mut items)?,
                    None => slot.draft.settle(&mut items),
                };
            }
        } else {
            for raw in &self.output {
                refused |= item::settle(raw, &mut items)?;
            }
        }
        let stop = match self.ending {
            Some(Ending::Filtered) => TokenStop::Refusal,
            Some(Ending::MaxTokens) => TokenStop::MaxTokens,
            _ if items.has_calls() => TokenStop::ToolUse,
            _ if refused => TokenStop::Refusal,
            _ => TokenStop::EndTurn,
        };
        Ok(Decoded {
            model: self.model,
            items: items.into_list(),
            stop,
            usage: self.usage,
            passes: vec![self.usage],
            counted: self.counted,
            extra: self.extra,
        })
    }
}

/// An event of another shape than expected is an error only if it is one that matters.
fn tolerate(frame: Frame<'_>, error: DecodeError) -> Result<(), DecodeError> {
    let Some(kind) = event_type(frame.data) else {
        return Err(error);
    };
    let kind = kind.as_str();
    let matters = item::Target::of(kind).is_some() || kind.starts_with("response.output_item.");
    match kind {
        "error" | "" => other(frame),
        "response.completed" | "response.incomplete" | "response.failed" => Err(error),
        _ if matters => Err(error),
        _ => Ok(()),
    }
}

/// An error, flat or nested, or something that is no event at all.
fn other(frame: Frame<'_>) -> Result<(), DecodeError> {
    if let Some(error) = error_member(frame.data) {
        return Err(stream_error(Dialect::Responses, &error));
    }
    let flat: Value = parse("event", frame.data)?;
    if frame.event == b"error" || flat.get("type").is_some_and(|kind| kind == "error") {
        return Err(stream_error(Dialect::Responses, &flat));
    }
    Ok(())
}
