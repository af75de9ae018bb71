//! Bodies only grow: what was sent before is an exact prefix of what is sent next.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use quire_dialect::{Caching, Dialect, Encoder, Features, Head, Options};
use quire_protocol::{CallId, Content, Item, MessageId, Opaque, ToolCall, ToolStatus};
use serde_json::Value;

use crate::fixtures::prefix;

fn content() -> impl Strategy<Value = Vec<Content>> {
    let part = prop_oneof![
        4 => ".{0,12}".prop_map(Content::text),
        1 => Just(Content::Image { media_type: "image/png".into(), data: "aGk=".into() }),
    ];
    vec(part, 0..3)
}

fn opaque() -> impl Strategy<Value = Opaque> {
    let json = prop_oneof![
        Just(r#"{"type":"thinking","thinking":"a","signature":"b"}"#),
        Just(r#"{"reasoning_content":"a"}"#),
        Just("{}"),
        Just("not json"),
    ];
    (prop::sample::select(Dialect::ALL.to_vec()), json).prop_map(|(dialect, json)| Opaque {
        origin: dialect.name().into(),
        json: json.into(),
    })
}

fn call() -> impl Strategy<Value = Item> {
    let arguments = prop_oneof![
        Just(String::new()),
        Just(r#"{"path": "a"}"#.to_owned()),
        ".{0,12}"
    ];
    let id = prop_oneof!["call_[0-3]", "\\PC{0,4}"];
    let name = prop::sample::select(vec!["read", "apply_patch", "invented"]);
    (1..9_u32, id, name, arguments).prop_map(|(call, id, name, arguments)| {
        Item::ToolCall(ToolCall {
            call: CallId(call),
            provider_id: id,
            name: name.into(),
            arguments,
        })
    })
}

fn result() -> impl Strategy<Value = Item> {
    let status = prop::sample::select(vec![ToolStatus::Done, ToolStatus::Failed, ToolStatus::Lost]);
    (1..9_u32, status, content()).prop_map(|(call, status, content)| Item::ToolResult {
        call: CallId(call),
        status,
        content,
    })
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        2 => content().prop_map(|content| Item::User { message: MessageId::new("m"), content }),
        1 => ".{0,12}".prop_map(|text| Item::Notice { text }),
        2 => (".{0,12}", prop::option::of(opaque()))
            .prop_map(|(text, opaque)| Item::Assistant { text, opaque }),
        1 => prop::option::of(opaque())
            .prop_map(|opaque| Item::Thinking { text: String::new(), opaque }),
        1 => opaque().prop_map(|opaque| Item::Foreign { opaque }),
        3 => call(),
        3 => result(),
    ]
}

fn join(segments: &[Bytes]) -> Vec<u8> {
    segments.concat()
}

fn check(head: &Head<'_>, items: &[Item], cuts: &[bool]) {
    let mut growing = Encoder::new(head);
    let mut earlier: Option<(Vec<u8>, usize)> = None;
    for (item, cut) in items.iter().zip(cuts) {
        growing.push(item);
        if !cut {
            continue;
        }
        let body = join(&growing.body(&Options::default()));
        let parsed: Result<Value, _> = serde_json::from_slice(&body);
        let Ok(parsed) = parsed else {
            panic!("{}", String::from_utf8_lossy(&body))
        };
        check_pairs(head.dialect, &parsed);
        if let Some((before, length)) = &earlier {
            assert_eq!(before[..*length], body[..*length], "{}", head.dialect);
        }
        earlier = Some((body, growing.prefix_len()));
    }
    let mut fresh = Encoder::new(head);
    for item in items {
        fresh.push(item);
    }
    assert_eq!(fresh.items(), items.len());
    assert_eq!(
        join(&growing.body(&Options::default())),
        join(&fresh.body(&Options::default())),
        "the same items make the same bytes, however often a body was asked for"
    );
}

/// Every result follows its call, and words never stand between them.
fn check_pairs(dialect: Dialect, body: &Value) {
    match dialect {
        Dialect::Messages => check_messages(body["messages"].as_array().expect("an array")),
        Dialect::Chat => check_chat(body["messages"].as_array().expect("an array")),
        Dialect::Responses => {}
    }
}

fn check_messages(messages: &[Value]) {
    let mut calls: Vec<&str> = Vec::new();
    for pair in messages.windows(2) {
        assert_ne!(pair[0]["role"], pair[1]["role"], "roles take turns");
    }
    for message in messages {
        let blocks = message["content"].as_array().expect("an array");
        assert!(!blocks.is_empty(), "no message is empty");
        let mut words = false;
        for block in blocks {
            if let Some(id) = block["tool_use_id"].as_str() {
                let at = calls.iter().position(|call| *call == id);
                calls.remove(at.expect("a call for the result"));
                assert!(!words, "results come first");
            } else if message["role"] == "user" {
                assert!(calls.is_empty(), "a call is left open");
                words = true;
            }
            if block["type"] == "tool_use" {
                calls.push(block["id"].as_str().expect("an id"));
            }
        }
    }
}

fn check_chat(messages: &[Value]) {
    let mut calls: Vec<&str> = Vec::new();
    for message in messages {
        if let Some(id) = message["tool_call_id"].as_str() {
            let at = calls.iter().position(|call| *call == id);
            calls.remove(at.expect("a call for the result"));
            continue;
        }
        assert!(calls.is_empty(), "a call is left open");
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            calls.push(call["id"].as_str().expect("an id"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn earlier_bytes_never_change(
        items in vec(item(), 0..24),
        cuts in vec(any::<bool>(), 24),
        custom_tools in any::<bool>(),
    ) {
        let prefix = prefix();
        for dialect in Dialect::ALL {
            let head = Head {
                features: Features { custom_tools, ..Features::default() },
                cache: Caching::PrefixOnly,
                ..Head::new(dialect, "m", &prefix)
            };
            check(&head, &items, &cuts);
        }
    }
}

#[test]
fn tails_are_short_and_segments_few() {
    let prefix = prefix();
    for dialect in Dialect::ALL {
        let mut encoder = Encoder::new(&Head::new(dialect, "m", &prefix));
        for step in 1..=300 {
            for item in step_items(step) {
                encoder.push(&item);
            }
            let body = encoder.body(&Options::default());
            let total: usize = body.iter().map(Bytes::len).sum();
            assert!(total - encoder.prefix_len() <= 30, "{dialect}: a long tail");
            let most = total.ilog2() as usize + 1;
            assert!(body.len() <= most, "{dialect}: {} segments", body.len());
        }
    }
}

fn step_items(step: u32) -> [Item; 2] {
    [
        Item::ToolCall(ToolCall {
            call: CallId(step),
            provider_id: "call_0".into(),
            name: "read".into(),
            arguments: "{}".into(),
        }),
        Item::ToolResult {
            call: CallId(step),
            status: ToolStatus::Done,
            content: vec![
                Content::text("x".repeat(100)),
                Content::Image {
                    media_type: "image/png".into(),
                    data: "aGk=".into(),
                },
            ],
        },
    ]
}
