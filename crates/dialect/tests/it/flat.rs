//! A long answer is held once while it is read: 128,000 tokens of it, whatever the dialect repeats.

use quire_dialect::{Decoder, Dialect};
use quire_protocol::Item;
use serde_json::{Value, json};

use crate::fixtures::prefix;

const TOKENS: usize = 128_000;
/// A word that is said once, in the middle.
const NEEDLE: &str = "needleword";
/// As a socket would deliver it.
const CHUNK: usize = 16 << 10;

fn frame(event: &Value) -> String {
    format!("data: {event}\n\n")
}

/// What is said, one token after the other.
fn words() -> impl Iterator<Item = &'static str> {
    (0..TOKENS).map(|at| if at == TOKENS / 2 { NEEDLE } else { " word" })
}

/// The event that tells one of the words.
fn delta(dialect: Dialect, word: &str) -> String {
    let (open, close) = match dialect {
        Dialect::Messages => (
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""#,
            r#""}}"#,
        ),
        Dialect::Responses => (
            r#"{"type":"response.output_text.delta","output_index":0,"delta":""#,
            r#""}"#,
        ),
        Dialect::Chat => (r#"{"choices":[{"index":0,"delta":{"content":""#, r#""}}]}"#),
    };
    format!("data: {open}{word}{close}\n\n")
}

/// What comes before the words, and what comes after them all.
fn ends(dialect: Dialect) -> (String, String) {
    match dialect {
        Dialect::Messages => (
            frame(&json!({"type": "message_start", "message": {"model": "m", "content": []}}))
                + &frame(&json!({"type": "content_block_start", "index": 0,
                    "content_block": {"type": "text", "text": ""}})),
            frame(&json!({"type": "content_block_stop", "index": 0}))
                + &frame(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}))
                + &frame(&json!({"type": "message_stop"})),
        ),
        Dialect::Responses => {
            let text: String = words().collect();
            let part = json!({"type": "output_text", "text": text, "annotations": []});
            let item = json!({"type": "message", "role": "assistant", "content": [part]});
            (
                frame(
                    &json!({"type": "response.output_item.added", "output_index": 0,
                    "item": {"type": "message", "role": "assistant", "content": []}}),
                ),
                // The whole text comes four times more.
                frame(
                    &json!({"type": "response.output_text.done", "output_index": 0,
                    "text": text}),
                ) + &frame(
                    &json!({"type": "response.content_part.done", "output_index": 0,
                        "part": part}),
                ) + &frame(
                    &json!({"type": "response.output_item.done", "output_index": 0,
                        "item": item}),
                ) + &frame(&json!({"type": "response.completed",
                        "response": {"status": "completed", "output": [item]}})),
            )
        }
        Dialect::Chat => (
            String::new(),
            frame(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
                + "data: [DONE]\n\n",
        ),
    }
}

/// Looks at all that a decoder holds, as it shows itself.
fn check(decoder: &Decoder, said: usize) {
    let shown = format!("{decoder:?}");
    let copies = shown.matches(NEEDLE).count();
    assert_eq!(copies, usize::from(said > TOKENS / 2), "after {said} words");
    // Bytes that wait for the rest of a line show as numbers, five characters each at most.
    let most = said * " word".len() + 5 * CHUNK + 4_096;
    assert!(shown.len() <= most, "{} after {said} words", shown.len());
}

#[test]
fn a_long_answer_is_held_once() {
    for dialect in Dialect::ALL {
        let (before, after) = ends(dialect);
        let mut decoder = Decoder::new(dialect, &prefix());
        let mut deltas = Vec::new();
        decoder.push(before.as_bytes(), &mut deltas).expect("sound");
        for (at, said) in words().enumerate() {
            decoder
                .push(delta(dialect, said).as_bytes(), &mut deltas)
                .expect("sound");
            deltas.clear();
            if (at + 1) % (TOKENS / 4) == 0 {
                check(&decoder, at + 1);
            }
        }
        for frame in after.split_inclusive("\n\n") {
            for chunk in frame.as_bytes().chunks(CHUNK) {
                decoder.push(chunk, &mut deltas).expect("sound");
            }
            check(&decoder, TOKENS);
        }
        let answer = decoder.finish().expect("an answer");
        let [Item::Assistant { text, opaque: None }] = answer.items.as_slice() else {
            panic!("{dialect}: not one plain item")
        };
        assert_eq!(
            text.len(),
            TOKENS * " word".len() + NEEDLE.len() - " word".len()
        );
    }
}
