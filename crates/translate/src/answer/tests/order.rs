//! The validator catches every event that is left out, doubled, moved or cut.

use quire_dialect::Dialect;
use serde_json::json;

use super::*;
use crate::answer::wire::own;
use crate::request::{CallInput, Own, Part};

/// An answer with everything that an API can say, and words in pieces.
fn rich(dialect: Dialect) -> Vec<Event> {
    let answer = Answer {
        begin: Begin {
            id: "id_1".into(),
            model: "m".into(),
            ..Begin::default()
        },
        parts: parts(dialect),
        finish: Finish {
            stop: Stop::Tools,
            tally: Tally::default(),
            own: Own::new(),
        },
    };
    let mut events = Vec::new();
    answer.tell(&mut |event| match event {
        // In two pieces.
        Event::Grow(Delta::Text(text)) => {
            let (one, other) = text.split_at(1);
            events.push(Event::Grow(Delta::Text(one.to_owned())));
            events.push(Event::Grow(Delta::Text(other.to_owned())));
        }
        Event::Grow(Delta::Input(text)) => {
            let (one, other) = text.split_at(2);
            events.push(Event::Grow(Delta::Input(one.to_owned())));
            events.push(Event::Grow(Delta::Input(other.to_owned())));
        }
        event => events.push(event),
    });
    events
}

fn parts(dialect: Dialect) -> Vec<Part> {
    let call = |id: &str| Part::Call {
        id: id.into(),
        name: "read".into(),
        input: CallInput::Json("{\"path\":\"a\"}".into()),
        own: Own::new(),
    };
    let mut parts = vec![
        Part::Thinking {
            text: "Look.".into(),
            seal: Some("[{\"type\":\"reasoning.encrypted\"}]".into()),
            own: Own::new(),
        },
        Part::Text {
            text: "I'll look.".into(),
            own: Own::new(),
        },
        call("call_1"),
        call("call_2"),
    ];
    if dialect != Dialect::Chat {
        parts.push(Part::Compaction {
            text: Some("All of it.".into()),
            seal: Some("enc".into()),
            own: Own::new(),
        });
    }
    if dialect == Dialect::Responses {
        parts.push(Part::Refusal {
            text: "No.".into(),
            own: own! { "id": "msg_9" },
        });
        parts.push(Part::Other(
            json!({ "type": "web_search_call", "id": "ws_1" }),
        ));
    }
    parts
}

/// The frames of a stream, each with its blank line.
fn frames(dialect: Dialect) -> Vec<String> {
    let mut writer = Writer::new(dialect, frame(dialect));
    let mut out = Vec::new();
    for event in rich(dialect) {
        writer.write(&event, &mut out);
    }
    let text = String::from_utf8(out).unwrap();
    text.split_inclusive("\n\n").map(str::to_owned).collect()
}

/// Words of which nobody can tell that one is missing.
fn is_plain(dialect: Dialect, frame: &str) -> bool {
    let holds = |words: &[&str]| words.iter().any(|word| frame.contains(word));
    match dialect {
        Dialect::Messages => holds(&[
            "\"text_delta\"",
            "\"thinking_delta\"",
            "\"signature_delta\"",
        ]),
        // Each has a number.
        Dialect::Responses => false,
        Dialect::Chat => holds(&[
            "{\"content\":",
            "{\"reasoning_content\":",
            "{\"reasoning_details\":",
        ]),
    }
}

#[track_caller]
fn must_fail(dialect: Dialect, frames: &[String], what: &str) {
    assert!(
        validate(dialect, frames.concat().as_bytes()).is_err(),
        "{dialect}: {what}"
    );
}

#[test]
fn good_streams_pass() {
    for dialect in Dialect::ALL {
        assert_eq!(
            validate(dialect, frames(dialect).concat().as_bytes()),
            Ok(())
        );
    }
}

#[test]
fn an_event_left_out_is_noticed() {
    for dialect in Dialect::ALL {
        let good = frames(dialect);
        for at in 0..good.len() {
            let mut bad = good.clone();
            let gone = bad.remove(at);
            if !is_plain(dialect, &gone) {
                must_fail(dialect, &bad, &gone);
            }
        }
    }
}

#[test]
fn an_event_said_twice_is_noticed() {
    for dialect in Dialect::ALL {
        let good = frames(dialect);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad.insert(at, good[at].clone());
            // There may be several of these, each over the one before.
            let again = good[at].contains("\"message_delta\"");
            let doubled = is_plain(dialect, &good[at]) && !good[at].contains("signature_delta");
            if !doubled && !again {
                must_fail(dialect, &bad, &good[at]);
            }
        }
    }
}

#[test]
fn two_events_changed_over_are_noticed() {
    for dialect in Dialect::ALL {
        let good = frames(dialect);
        for at in 1..good.len() {
            let mut bad = good.clone();
            bad.swap(at - 1, at);
            let plain = bad[at - 1..=at]
                .iter()
                .all(|frame| is_plain(dialect, frame));
            // In Chat words and calls stand side by side.
            let beside = dialect == Dialect::Chat
                && good[at - 1..=at]
                    .iter()
                    .all(|frame| is_plain(dialect, frame) || frame.contains("\"tool_calls\":["))
                && good[at - 1..=at]
                    .iter()
                    .any(|frame| is_plain(dialect, frame));
            // The pieces of two calls may interleave.
            let same = good[at - 1] == good[at];
            if !plain && !beside && !same && !interleaves(dialect, &good[at - 1], &good[at]) {
                must_fail(dialect, &bad, &format!("{}{}", good[at - 1], good[at]));
            }
        }
    }
}

/// The end of one call's input and the beginning of the next: legal in either order.
fn interleaves(dialect: Dialect, one: &str, other: &str) -> bool {
    dialect == Dialect::Chat
        && one.contains("\"tool_calls\":[{\"index\":0,\"function\"")
        && other.contains("\"call_2\"")
}

#[test]
fn an_event_cut_short_is_noticed() {
    for dialect in Dialect::ALL {
        let good = frames(dialect);
        for at in 0..good.len() {
            let mut bad = good.clone();
            let length = good[at].len() - 4;
            bad[at] = format!("{}\n\n", &good[at][..length]);
            must_fail(dialect, &bad, &good[at]);
            must_fail(
                dialect,
                &good[..at],
                &format!("it ends before {}", good[at]),
            );
        }
    }
}
