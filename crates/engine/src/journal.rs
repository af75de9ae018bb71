//! Events as journal entries: their bytes, and what full-text search finds them by.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use quire_protocol::{
    CompactionStep, Content, Delivery, Entry, Event, Item, Journal, Record, Seq, SessionId, Store,
    StoreError,
};

/// How much of one tool result is searchable, in bytes: enough to find it again by its first words
/// without the index outgrowing the journal.
const RESULT_TEXT_BYTES: usize = 2048;

/// How much of one tool call's arguments is searchable, in bytes.
const ARGUMENTS_TEXT_BYTES: usize = 1024;

pub(crate) fn encode_entry(seq: Seq, at_ms: u64, event: &Event) -> Entry {
    Entry {
        seq,
        at_ms,
        payload: serde_json::to_vec(event).expect("events serialise to JSON"),
        text: search_text(event),
    }
}

/// Reads an entry back. An event this version does not know is an error that names its place.
pub fn decode_entry(entry: &Entry) -> Result<Record, StoreError> {
    let event = serde_json::from_slice(&entry.payload).map_err(|error| {
        StoreError::Damaged(format!(
            "event {} cannot be read ({error}); it may come from a newer version of quire",
            entry.seq
        ))
    })?;
    Ok(Record {
        seq: entry.seq,
        at_ms: entry.at_ms,
        event,
    })
}

/// What full-text search finds an event by, if by anything.
#[must_use]
pub fn search_text(event: &Event) -> Option<String> {
    let mut text = String::new();
    match event {
        // A note is what the model is told besides: no title, and nothing that was said.
        Event::MessageAccepted {
            delivery: Delivery::Note,
            ..
        } => {}
        Event::MessageAccepted { content, .. } => {
            add_content(&mut text, content, usize::MAX);
            // Said without a word: what has no title counts as never used.
            if text.is_empty() {
                add(&mut text, "(an image)", usize::MAX);
            }
        }
        Event::ModelReplied { items, .. } => {
            for item in items {
                match item {
                    Item::Assistant { text: words, .. } => add(&mut text, words, usize::MAX),
                    Item::ToolCall(call) => {
                        add(&mut text, &call.name, usize::MAX);
                        add(&mut text, &call.arguments, ARGUMENTS_TEXT_BYTES);
                    }
                    _ => {}
                }
            }
        }
        Event::ToolEnded { outcome, .. } => {
            add_content(&mut text, &outcome.content, RESULT_TEXT_BYTES);
        }
        Event::Compaction(CompactionStep::Done { compaction }) => {
            for item in &compaction.head {
                if let Item::Summary { text: words, .. } = item {
                    add(&mut text, words, usize::MAX);
                }
            }
        }
        _ => {}
    }
    (!text.is_empty()).then_some(text)
}

/// The journal of one session, for its own tools.
pub(crate) struct OwnJournal {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) session: SessionId,
}

impl Journal for OwnJournal {
    fn read(&self, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, StoreError>> {
        Box::pin(async move {
            let entries = self.store.read(&self.session, after, limit).await?;
            entries.iter().map(decode_entry).collect()
        })
    }
}

fn add_content(text: &mut String, content: &[Content], most: usize) {
    for words in content.iter().filter_map(Content::as_text) {
        add(text, words, most);
    }
}

fn add(text: &mut String, words: &str, most: usize) {
    if !text.is_empty() && !words.is_empty() {
        text.push('\n');
    }
    text.push_str(&words[..words.floor_char_boundary(most)]);
}

#[cfg(test)]
mod tests {
    use quire_protocol::{CallId, MessageId, ToolOutcome, ToolStatus, TurnId};

    use super::*;

    #[test]
    fn entries_read_back() {
        let event = Event::TurnStarted { turn: TurnId(3) };
        let record = decode_entry(&encode_entry(Seq(7), 9, &event)).unwrap();
        assert_eq!(
            record,
            Record {
                seq: Seq(7),
                at_ms: 9,
                event
            }
        );
        let mut entry = encode_entry(Seq(7), 9, &record.event);
        entry.payload = br#"{"type":"from_the_future"}"#.to_vec();
        let error = decode_entry(&entry).unwrap_err().to_string();
        assert!(
            error.contains("event 7") && error.contains("newer version"),
            "{error}"
        );
    }

    #[test]
    fn long_results_are_searchable_by_their_start() {
        let outcome = ToolOutcome::text(ToolStatus::Done, "é".repeat(4000));
        let text = search_text(&Event::ToolEnded {
            call: CallId(1),
            outcome,
        })
        .unwrap();
        assert_eq!(text.len(), RESULT_TEXT_BYTES);
        assert_eq!(search_text(&Event::TurnStarted { turn: TurnId(1) }), None);
    }

    #[test]
    fn an_image_without_a_word_is_something_that_was_said() {
        let said = |delivery| {
            search_text(&Event::MessageAccepted {
                message: MessageId::new("m1"),
                delivery,
                content: vec![Content::Image {
                    media_type: "image/png".to_owned(),
                    data: "aGk=".to_owned(),
                }],
                effort: None,
            })
        };
        assert_eq!(said(Delivery::Steer).as_deref(), Some("(an image)"));
        assert_eq!(said(Delivery::Note), None);
    }
}
