//! What a fork is called: the first words of its conversation, and where it left that of the other session.

use std::collections::HashMap;

use quire_protocol::{Delivery, Event, MessageId, Record, Seq, first_line, joined_text};

/// Characters of the first words.
const FIRST_CHARS: usize = 44;
/// Characters of the message at which it branched.
const AT_CHARS: usize = 24;

/// The words of a journal that a fork of it is named by.
#[derive(Default)]
pub(crate) struct Words {
    /// What was said at each place; notes are not.
    said: Vec<(Seq, MessageId, String)>,
    /// Where each of it was heard.
    heard: HashMap<MessageId, Seq>,
}

impl Words {
    pub(crate) fn follow(&mut self, record: &Record) {
        match &record.event {
            Event::MessageAccepted {
                message,
                delivery: Delivery::Steer | Delivery::Queue,
                content,
                ..
            } => {
                let (line, _) = first_line(&joined_text(content));
                self.said.push((record.seq, message.clone(), line));
            }
            Event::MessageDelivered { message } => {
                self.heard.insert(message.clone(), record.seq);
            }
            _ => {}
        }
    }

    /// The title of a fork that begins with all up to a place, or before a message. None where nothing had been
    /// heard: it gets one by what is said first in it.
    pub(crate) fn title(&self, at: Seq, before: Option<&MessageId>) -> String {
        let heard = |message: &MessageId| self.heard.get(message).is_some_and(|seq| *seq <= at);
        let mut there = self.said.iter().filter(|(_, message, _)| heard(message));
        let Some((_, _, first)) = there.next() else {
            return String::new();
        };
        let named = |wanted: &MessageId| {
            let mut said = self.said.iter();
            said.find(|(_, message, _)| message == wanted)
        };
        let (word, branched) = match before {
            Some(message) => ("before", named(message)),
            None => ("after", there.next_back()),
        };
        let first_short = cut(first, FIRST_CHARS);
        let branched = branched.map_or(first, |(_, _, line)| line);
        format!("{first_short} · {word} “{}”", cut(branched, AT_CHARS))
    }
}

fn cut(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    text.chars().take(chars - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use quire_protocol::Content;

    use super::*;

    fn words(events: Vec<Event>) -> Words {
        let mut words = Words::default();
        for (seq, event) in (1..).zip(events) {
            words.follow(&Record {
                seq: Seq(seq),
                at_ms: 0,
                event,
            });
        }
        words
    }

    fn said(message: &str, delivery: Delivery) -> Event {
        Event::MessageAccepted {
            message: MessageId::new(message),
            delivery,
            content: vec![Content::text(format!(
                "\n{message} of many words\nand lines"
            ))],
            effort: None,
        }
    }

    fn heard(message: &str) -> Event {
        Event::MessageDelivered {
            message: MessageId::new(message),
        }
    }

    #[test]
    fn a_fork_is_called_by_its_first_words_and_where_it_branched() {
        let words = words(vec![
            said("note", Delivery::Note),
            said("one", Delivery::Steer),
            heard("note"),
            heard("one"),
            said("two", Delivery::Queue),
            heard("two"),
            said("three, which is said at some length", Delivery::Steer),
        ]);
        let title = |at, before: Option<&str>| {
            let before = before.map(MessageId::new);
            words.title(Seq(at), before.as_ref())
        };
        assert_eq!(title(2, Some("one")), "");
        assert_eq!(
            title(5, Some("two")),
            "one of many words · before “two of many words”"
        );
        assert_eq!(
            title(6, None),
            "one of many words · after “two of many words”"
        );
        assert_eq!(
            title(4, None),
            "one of many words · after “one of many words”"
        );
        let third = Some("three, which is said at some length");
        assert_eq!(
            title(6, third),
            "one of many words · before “three, which is said at…”"
        );
    }

    #[test]
    fn a_title_fits_where_titles_are_kept() {
        let long = "wordy ".repeat(40);
        let words = words(vec![said(&long, Delivery::Steer), heard(&long)]);
        let title = words.title(Seq(2), None);
        assert!(title.chars().count() <= 80, "{title}");
        assert!(title.ends_with("…”"), "{title}");
    }
}
