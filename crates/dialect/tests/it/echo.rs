//! What the model thought goes back as it came, also when a compaction dropped what stood before it.

use quire_dialect::{Decoder, Dialect, Encoder, Head, Options, decode_whole};
use quire_protocol::{Content, Item, MessageId, Opaque, ToolStatus};
use serde_json::Value;

use crate::fixtures::{all, prefix};

/// The items of an answer, and a result for each of its calls.
fn answered(items: Vec<Item>) -> Vec<Item> {
    let results: Vec<Item> = items
        .iter()
        .filter_map(|item| match item {
            Item::ToolCall(call) => Some(Item::ToolResult {
                call: call.call,
                status: ToolStatus::Done,
                content: vec![Content::text("ok")],
            }),
            _ => None,
        })
        .collect();
    items.into_iter().chain(results).collect()
}

/// What may stand before a step: all that was said, or what a compaction left of it.
fn openings(dialect: Dialect) -> [Vec<Item>; 3] {
    let user = Item::User {
        message: MessageId::new("m"),
        content: vec![Content::text("Go.")],
    };
    let ledger = Item::Ledger {
        text: "The goal.".into(),
    };
    let own = Item::Summary {
        text: "It was long.".into(),
        opaque: None,
    };
    let block = match dialect {
        Dialect::Messages => r#"{"type":"compaction","content":"It was long."}"#,
        Dialect::Responses => r#"{"type":"compaction","id":"c","encrypted_content":"e"}"#,
        Dialect::Chat => "{}",
    };
    let theirs = Item::Summary {
        text: "It was long.".into(),
        opaque: Some(Opaque {
            origin: dialect.name().into(),
            json: block.into(),
        }),
    };
    [vec![user], vec![ledger.clone(), own], vec![theirs, ledger]]
}

fn body(dialect: Dialect, items: &[Item]) -> Value {
    let prefix = prefix();
    let mut encoder = Encoder::new(&Head::new(dialect, "m", &prefix));
    for item in items {
        encoder.push(item);
    }
    let body = encoder.body(&Options::default()).concat();
    serde_json::from_slice(&body).expect("valid JSON")
}

const THOUGHTS: [&str; 3] = [
    r#"{"type":"thinking","thinking":"first \u00e9","signature":"sig+/=","later":{"a":1}}"#,
    r#"{"type":"redacted_thinking","data":"opaque+/="}"#,
    r#"{"type":"thinking","thinking":"","signature":"omitted"}"#,
];

#[test]
fn thinking_and_redacted_blocks_go_back_unmodified_and_in_their_places() {
    let answer = format!(
        r#"{{"id":"m","type":"message","model":"m","content":[{},{},{{"type":"text","text":"So."}},{},{{"type":"tool_use","id":"t","name":"read","input":{{"path":"a"}}}}],"stop_reason":"tool_use","usage":{{"input_tokens":1,"output_tokens":1}}}}"#,
        THOUGHTS[0], THOUGHTS[1], THOUGHTS[2]
    );
    let sent: Value = serde_json::from_str(&answer).expect("valid JSON");
    let decoded = decode_whole(Dialect::Messages, &prefix(), answer.as_bytes()).expect("an answer");
    for opening in openings(Dialect::Messages) {
        let items: Vec<Item> = opening
            .into_iter()
            .chain(answered(decoded.items.clone()))
            .collect();
        let body = body(Dialect::Messages, &items);
        let messages = body["messages"].as_array().expect("an array");
        let step = &messages[messages.len() - 2];
        assert_eq!(step["role"], "assistant");
        assert_eq!(step["content"], sent["content"]);
    }
}

#[test]
fn what_was_recorded_of_thinking_goes_back_in_every_dialect() {
    for name in [
        "messages_thinking_calls",
        "messages_thinking_omitted",
        "responses_reasoning_calls",
        "chat_reasoning_content",
        "chat_reasoning_details",
    ] {
        let fixture = all().into_iter().find(|fixture| fixture.name == name);
        let fixture = fixture.expect("the recording");
        let mut decoder = Decoder::new(fixture.dialect, &prefix());
        decoder
            .push(&fixture.bytes, &mut Vec::new())
            .expect("a sound stream");
        let answer = decoder.finish().expect("an answer");
        let plain = body(fixture.dialect, &answered(answer.items.clone()));
        let key = ["messages", "input"]
            .into_iter()
            .find(|key| plain.get(key).is_some());
        let key = key.expect("items");
        let alone: Vec<Value> = plain[key].as_array().expect("an array").clone();
        for opening in openings(fixture.dialect) {
            let items: Vec<Item> = opening
                .into_iter()
                .chain(answered(answer.items.clone()))
                .collect();
            let body = body(fixture.dialect, &items).to_string();
            // Whatever stands before it, the step itself is written as it is alone.
            for item in alone.iter().filter(|item| item["role"] != "system") {
                assert!(
                    body.contains(&item.to_string()),
                    "{name}: {item} not in {body}"
                );
            }
        }
    }
}
