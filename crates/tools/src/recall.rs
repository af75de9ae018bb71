//! The recall tool: any older part of the session again, by its handle or by words. It reads the
//! journal, which keeps everything, whatever the context was compacted to.

use std::fmt::Write as _;
use std::sync::Arc;

use quire_protocol::{
    CallId, Content, Event, Item, Journal, MessageId, Record, Seq, ToolInput, ToolOutcome,
    ToolSpec, ToolStatus, joined_text,
};
use serde_json::json;

use crate::arguments::Arguments;
use crate::calls::Stop;
use crate::spool::Blobs;

/// Its name.
const NAME: &str = "recall";
const SHAPE: &str = "{what: string, offset?: integer}";
/// How much is shown at a time, in bytes.
const SHOWN: usize = 16_000;
/// How many places a search names.
const HITS: usize = 12;
/// How much is shown around a hit, in bytes to each side.
const AROUND: usize = 160;
/// Records read at a time.
const PAGE: usize = 512;
/// Words at most that are searched for.
const MOST_WORDS: usize = 16;

pub(crate) fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME.to_owned(),
        description:
            "Show an older part of this session again, also what was cleared or compacted: \
                      by handle (call:7, message:abc) or by words to search for."
                .to_owned(),
        input: ToolInput::Json(json!({
            "type": "object",
            "properties": {
                "what": {"type": "string", "description": "A handle, or words"},
                "offset": {"type": "integer", "description": "Go on at this byte"},
            },
            "required": ["what"],
        })),
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Call(CallId),
    Message(MessageId),
    /// In lower case.
    Words(Vec<String>),
}

pub(crate) async fn run(
    arguments: &str,
    journal: &Arc<dyn Journal>,
    blobs: &Blobs,
    stop: &Stop,
) -> Result<ToolOutcome, String> {
    let arguments = Arguments::parse(arguments, SHAPE)?;
    let what = parse(&arguments.text(&["what", "query", "handle"])?)?;
    let offset = arguments.count("offset")?.unwrap_or(0);
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let mut search = Search {
        what,
        found: Vec::new(),
        calls: Vec::new(),
        whole: None,
        images: Vec::new(),
        blobs: Vec::new(),
    };
    let mut after = Seq(0);
    loop {
        if stop.is_stopped() {
            return Err("stopped".to_owned());
        }
        let records = journal
            .read(after, PAGE)
            .await
            .map_err(|error| error.to_string())?;
        let Some(last) = records.last() else { break };
        after = last.seq;
        for record in &records {
            search.look(record);
        }
    }
    search.look_into(blobs).await;
    search.tell(offset)
}

fn parse(what: &str) -> Result<What, String> {
    let what = what.trim();
    if let Some(call) = what.strip_prefix("call:") {
        let call = call.trim().parse::<u32>();
        return call
            .map(|call| What::Call(CallId(call)))
            .map_err(|_| format!("`{what}` is no handle: one is like call:7"));
    }
    if let Some(message) = what.strip_prefix("message:") {
        return Ok(What::Message(MessageId::new(message.trim())));
    }
    let words: Vec<String> = what
        .split_whitespace()
        .take(MOST_WORDS)
        .map(str::to_lowercase)
        .collect();
    if words.is_empty() {
        return Err("say what to recall: a handle like call:7, or words".to_owned());
    }
    Ok(What::Words(words))
}

/// A journal being looked through.
struct Search {
    what: What,
    found: Vec<Found>,
    /// The calls so far, to name results by.
    calls: Vec<(CallId, String)>,
    /// All of what a handle names.
    whole: Option<String>,
    images: Vec<Content>,
    /// Outputs that are kept whole elsewhere: the call, and the handle.
    blobs: Vec<(CallId, String)>,
}

/// A place where words were found.
struct Found {
    place: String,
    /// How many of the words it has, and which record it is in: more and newer ones come first.
    words: usize,
    seq: Seq,
    around: String,
}

impl Search {
    fn look(&mut self, record: &Record) {
        match &record.event {
            Event::MessageAccepted {
                message, content, ..
            } => self.text(
                record.seq,
                &format!("message:{message}"),
                &joined_text(content),
            ),
            Event::MessageWithdrawn { message } => self.forget(message),
            Event::ModelReplied { items, .. } => {
                for item in items {
                    self.item(record.seq, item);
                }
            }
            Event::ToolEnded { call, outcome } => {
                let text = joined_text(&outcome.content);
                if self.what == What::Call(*call) {
                    self.result(&text, &outcome.content);
                }
                // What was recalled before is found where it came from.
                if self.name(*call) == NAME {
                    return;
                }
                let place = format!("call:{call} ({})", self.name(*call));
                self.text(record.seq, &place, &text);
                if let Some(at) = text.find("blob:") {
                    let handle: String = text[at..].chars().take(5 + 64).collect();
                    self.blobs.push((*call, handle));
                }
                for change in &outcome.changes {
                    let place = format!("the change of call:{call}");
                    self.text(record.seq, &place, &change.diff);
                }
            }
            Event::Noticed { text } => self.text(record.seq, "a notice", text),
            Event::Compaction(quire_protocol::CompactionStep::Done { compaction }) => {
                for item in &compaction.head {
                    if let Item::Summary { text, .. } = item {
                        self.text(record.seq, "an earlier summary", text);
                    }
                }
            }
            _ => {}
        }
    }

    fn item(&mut self, seq: Seq, item: &Item) {
        match item {
            Item::Assistant { text, .. } => self.text(seq, "your words", text),
            Item::Thinking { text, .. } => self.text(seq, "your thoughts", text),
            Item::ToolCall(call) => {
                self.calls.push((call.call, call.name.clone()));
                if self.what == What::Call(call.call) {
                    self.whole = Some(format!("{} {}\n", call.name, call.arguments));
                }
                if call.name != NAME {
                    let place = format!("call:{} ({})", call.call, call.name);
                    self.text(seq, &place, &call.arguments);
                }
            }
            _ => {}
        }
    }

    /// A person took a message back before it was heard: it is not for the model.
    fn forget(&mut self, message: &MessageId) {
        let place = format!("message:{message}");
        self.found.retain(|found| found.place != place);
        if self.what == What::Message(message.clone()) {
            self.whole = None;
        }
    }

    /// The result of the call that is asked for.
    fn result(&mut self, text: &str, content: &[Content]) {
        let whole = self.whole.get_or_insert_default();
        whole.push('\n');
        whole.push_str(text);
        let images = content.iter().filter(|part| part.as_text().is_none());
        self.images.extend(images.cloned());
    }

    fn name(&self, call: CallId) -> &str {
        let name = self.calls.iter().rev().find(|(known, _)| *known == call);
        name.map_or("", |(_, name)| name)
    }

    /// Looks at one text of the journal.
    fn text(&mut self, seq: Seq, place: &str, text: &str) {
        match &self.what {
            What::Message(message) if place == format!("message:{message}") => {
                self.whole = Some(text.to_owned());
            }
            What::Words(words) => {
                if let Some((count, around)) = matched(text, words) {
                    self.found.push(Found {
                        place: place.to_owned(),
                        words: count,
                        seq,
                        around,
                    });
                }
            }
            What::Call(_) | What::Message(_) => {}
        }
    }

    /// Looks through outputs of which only the ends were shown.
    async fn look_into(&mut self, blobs: &Blobs) {
        let What::Words(words) = self.what.clone() else {
            return;
        };
        for (call, handle) in std::mem::take(&mut self.blobs) {
            let Ok(output) = blobs.find(&handle).await else {
                continue;
            };
            let output = String::from_utf8_lossy(&output);
            if let Some((count, around)) = matched(&output, &words) {
                self.found.push(Found {
                    place: format!("{handle}, the whole output of call:{call}"),
                    words: count,
                    seq: Seq(0),
                    around,
                });
            }
        }
    }

    fn tell(mut self, offset: usize) -> Result<ToolOutcome, String> {
        let words = match &self.what {
            What::Words(words) => words.len(),
            What::Call(call) => {
                let whole = self
                    .whole
                    .ok_or_else(|| format!("there was no call:{call}"))?;
                let mut outcome = shown(&whole, offset);
                outcome.content.extend(self.images);
                return Ok(outcome);
            }
            What::Message(message) => {
                let whole = self
                    .whole
                    .ok_or_else(|| format!("there was no message:{message}"))?;
                return Ok(shown(&whole, offset));
            }
        };
        self.found
            .sort_by_key(|found| std::cmp::Reverse((found.words, found.seq)));
        if self.found.is_empty() {
            let text = "Nothing in this session has these words. Try fewer or other ones.";
            return Ok(ToolOutcome::text(ToolStatus::Done, text));
        }
        let mut text = String::new();
        for found in self.found.iter().take(HITS) {
            let part = if found.words < words {
                format!(", {} of {words} words", found.words)
            } else {
                String::new()
            };
            let _ = writeln!(text, "{}{part}:\n  {}", found.place, found.around);
        }
        let more = self.found.len().saturating_sub(HITS);
        if more > 0 {
            let _ = writeln!(text, "and {more} more: say more words");
        }
        let mut outcome = ToolOutcome::text(ToolStatus::Done, text);
        outcome.lines = Some(self.found.len() as u64);
        Ok(outcome)
    }
}

/// How many of the words a text has, and what stands around the first of them that is rarest there.
fn matched(text: &str, words: &[String]) -> Option<(usize, String)> {
    let lower = text.to_lowercase();
    let places = words.iter().filter_map(|word| lower.find(word.as_str()));
    let places: Vec<usize> = places.collect();
    let longest = words
        .iter()
        .filter(|word| lower.contains(word.as_str()))
        .max_by_key(|word| word.len())?;
    let at = lower.find(longest.as_str())?.min(text.len());
    let from = text.floor_char_boundary(at.saturating_sub(AROUND));
    let to = text.ceil_char_boundary((at + longest.len() + AROUND).min(text.len()));
    let around = text[from..to]
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    Some((places.len(), around))
}

/// A part of a text, with where it goes on.
fn shown(whole: &str, offset: usize) -> ToolOutcome {
    let from = whole.floor_char_boundary(offset);
    let to = whole.floor_char_boundary(from.saturating_add(SHOWN));
    let mut text = whole[from..to].to_owned();
    if to < whole.len() {
        let _ = write!(
            text,
            "\n[bytes {from} to {to} of {}: go on with offset {to}]",
            whole.len()
        );
    }
    ToolOutcome::text(ToolStatus::Done, text)
}
