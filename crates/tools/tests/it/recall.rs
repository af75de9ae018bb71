//! Older parts of a session, found again by handle and by words.

use quire_protocol::*;
use serde_json::json;

use crate::world::World;

/// A session in which a long result holds a needle.
fn past() -> Vec<Record> {
    let long = format!(
        "{}needle-4711 = \"Öl\"\n{}",
        "x\n".repeat(20_000),
        "y\n".repeat(20_000)
    );
    let events = [
        Event::MessageAccepted {
            message: MessageId::new("m1"),
            delivery: Delivery::Steer,
            content: vec![Content::text("Never touch vendor. The codeword is heron.")],
            effort: None,
        },
        Event::MessageAccepted {
            message: MessageId::new("m2"),
            delivery: Delivery::Queue,
            content: vec![Content::text("The other codeword is bittern.")],
            effort: None,
        },
        Event::MessageWithdrawn {
            message: MessageId::new("m2"),
        },
        replied(vec![
            Item::Assistant {
                text: "I decided for serde because it is there.".to_owned(),
                opaque: None,
            },
            call(1, "bash", r#"{"command":"cat big.txt"}"#),
            call(2, "read", r#"{"path":"chart.png"}"#),
        ]),
        ended(1, vec![Content::text(long)]),
        ended(
            2,
            vec![
                Content::text("a chart"),
                Content::Image {
                    media_type: "image/png".to_owned(),
                    data: "aGk=".to_owned(),
                },
            ],
        ),
        replied(vec![call(3, "recall", r#"{"what":"needle-4711"}"#)]),
        ended(3, vec![Content::text("call:1 (bash): needle-4711")]),
        Event::Compaction(CompactionStep::Done {
            compaction: Compaction {
                kind: CompactionKind::Summary,
                cause: CompactionCause::Threshold,
                replaced: Span { from: 0, to: 3 },
                head: vec![Item::Summary {
                    text: "The pelican module is half done.".to_owned(),
                    opaque: None,
                }],
                cleared: Vec::new(),
                tail: Vec::new(),
                tokens_before: 0,
                tokens_after: 0,
            },
        }),
    ];
    let record = |(seq, event)| Record {
        seq: Seq(seq),
        at_ms: 0,
        event,
    };
    (1..).zip(events).map(record).collect()
}

fn call(number: u32, name: &str, arguments: &str) -> Item {
    Item::ToolCall(ToolCall {
        call: CallId(number),
        provider_id: String::new(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    })
}

fn replied(items: Vec<Item>) -> Event {
    Event::ModelReplied {
        request: RequestId(1),
        model: String::new(),
        items,
        plans: Vec::new(),
        stop: TokenStop::ToolUse,
        usage: Usage::default(),
        cost: None,
        retries: Vec::new(),
    }
}

fn ended(number: u32, content: Vec<Content>) -> Event {
    Event::ToolEnded {
        call: CallId(number),
        outcome: ToolOutcome {
            content,
            ..ToolOutcome::text(ToolStatus::Done, "")
        },
    }
}

fn world() -> World {
    let mut world = World::claude();
    world.past = past();
    world
}

#[tokio::test]
async fn words_are_found_deep_in_results_and_in_everything_said() {
    let world = world();
    for (what, found) in [
        ("needle-4711", "call:1 (bash):\n  x x"),
        ("NEEDLE-4711 öl", "needle-4711 = \"Öl\""),
        (
            "codeword",
            "message:m1:\n  Never touch vendor. The codeword is heron.",
        ),
        ("decided serde", "your words:\n  I decided for serde"),
        ("pelican", "an earlier summary"),
        ("big.txt", "call:1 (bash):\n  {\"command\":\"cat big.txt\"}"),
        ("codeword albatross", "message:m1, 1 of 2 words"),
        ("albatross", "Nothing in this session has these words"),
    ] {
        let told = world.done("recall", json!({"what": what})).await;
        assert!(told.contains(found), "{what}: {told}");
        assert!(!told.contains("(recall)"), "{what}: {told}");
    }
}

#[tokio::test]
async fn a_handle_gives_all_of_it_back_part_by_part() {
    let world = world();
    let (mut whole, mut offset) = (String::new(), 0);
    loop {
        let arguments = json!({"what": "call:1", "offset": offset});
        let part = world.done("recall", arguments).await;
        let Some((shown, rest)) = part.rsplit_once("\n[bytes ") else {
            whole.push_str(&part);
            break;
        };
        whole.push_str(shown);
        offset = rest
            .rsplit_once("offset ")
            .and_then(|(_, next)| next.trim_end_matches(']').parse().ok())
            .unwrap();
    }
    assert!(whole.starts_with("bash {\"command\""), "{}", &whole[..40]);
    assert_eq!(whole.matches("x\n").count(), 20_000);
    assert!(whole.contains("needle-4711 = \"Öl\""));
    let told = world.done("recall", json!({"what": "message:m1"})).await;
    assert_eq!(told, "Never touch vendor. The codeword is heron.");
}

#[tokio::test]
async fn images_come_back_too_and_unknown_handles_are_told() {
    let world = world();
    let outcome = world.run("recall", json!({"what": "call:2"})).await;
    let images = outcome
        .content
        .iter()
        .filter(|part| part.as_text().is_none());
    assert_eq!(images.count(), 1);
    for (what, reason) in [
        ("call:99", "there was no call:99"),
        ("call:x", "is no handle"),
        ("message:zzz", "there was no message:zzz"),
        ("  ", "say what to recall"),
    ] {
        let told = world.failed("recall", json!({"what": what})).await;
        assert!(told.contains(reason), "{told}");
    }
}

#[tokio::test]
async fn a_message_that_was_taken_back_is_not_found() {
    let world = world();
    let told = world.done("recall", json!({"what": "bittern"})).await;
    assert!(told.contains("Nothing in this session"), "{told}");
    let told = world.failed("recall", json!({"what": "message:m2"})).await;
    assert!(told.contains("there was no message:m2"), "{told}");
}
