//! The meter on recorded streams, in every chunking, and on bodies that came whole.

use std::fmt::Write as _;

use expect_test::{expect, expect_file};

use super::*;
use crate::answer::tests::recorded::all as recorded;

fn report(meter: &Meter) -> String {
    let mut out = String::new();
    let tally = meter.tally();
    writeln!(out, "{:?} {:?}", meter.id(), meter.model()).unwrap();
    writeln!(out, "{:?}", tally.usage).unwrap();
    if !tally.passes.is_empty() {
        writeln!(out, "passes: {:?}", tally.passes).unwrap();
    }
    writeln!(
        out,
        "counted: {}, tier: {:?}, own: {:?}",
        tally.counted, tally.service_tier, tally.own
    )
    .unwrap();
    writeln!(
        out,
        "ended: {}, stop: {:?}, failure: {:?}",
        meter.has_ended(),
        meter.stop(),
        meter.failure()
    )
    .unwrap();
    writeln!(out, "about {}", meter.estimate()).unwrap();
    out
}

fn metered<'a>(dialect: Dialect, chunks: impl Iterator<Item = &'a [u8]>) -> String {
    let mut meter = Meter::new(dialect);
    chunks.for_each(|chunk| meter.push(chunk));
    meter.finish();
    report(&meter)
}

#[test]
fn recordings_are_metered_the_same_in_every_chunking() {
    let mut all = String::new();
    for (dialect, name, bytes) in recorded() {
        let whole = metered(dialect, std::iter::once(bytes));
        for size in [1, 7, 64] {
            assert_eq!(
                metered(dialect, bytes.chunks(size)),
                whole,
                "{name} by {size}"
            );
        }
        writeln!(all, "# {name}\n{whole}").unwrap();
    }
    expect_file!["../../../tests/golden/meter.txt"].assert_eq(&all);
}

/// Deltas of each API, plain and odd.
const ROWS: &[(Dialect, &str)] = &[
    (
        Dialect::Messages,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a \"b\" \\"}}"#,
    ),
    (
        Dialect::Messages,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"abc","estimated_tokens":7}}"#,
    ),
    (
        Dialect::Messages,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"abc"}}"#,
    ),
    (
        Dialect::Messages,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a","x":{"y":"z"}}"#,
    ),
    (
        Dialect::Messages,
        r#"{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}"#,
    ),
    (
        Dialect::Responses,
        r#"{"type":"response.output_text.delta","delta":"a\\\"b","obfuscation":"zzz"}"#,
    ),
    (
        Dialect::Responses,
        r#"{"type":"response.output_text.delta","delta":{"a":1}}"#,
    ),
    (
        Dialect::Chat,
        r#"{"model":"m","choices":[{"index":0,"delta":{"content":"ab","reasoning":"c"},"finish_reason":null}],"usage":null}"#,
    ),
    (
        Dialect::Chat,
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{\"a\":1"}}]}}]}"#,
    ),
    (
        Dialect::Chat,
        r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#,
    ),
    (
        Dialect::Chat,
        r#"{"usage": {"prompt_tokens":1},"choices":[{"delta":{"content":"a"}}]}"#,
    ),
    (
        Dialect::Chat,
        r#"{"choices":[{"delta":{"content":"say \"usage\":{ now"}}]}"#,
    ),
    (
        Dialect::Chat,
        r#"{"choices":[],"usage":{"prompt_tokens":1}}"#,
    ),
];

#[test]
fn words_are_counted_without_a_parse() {
    let mut scanner = scan::Scanner::new();
    let mut table = String::new();
    for (dialect, data) in ROWS {
        let data = data.as_bytes();
        let scan = match dialect {
            Dialect::Messages => scanner.messages(data),
            Dialect::Responses => scanner.responses(data),
            Dialect::Chat => scanner.chat(data),
        };
        writeln!(table, "{scan:?}").unwrap();
    }
    expect![[r"
        Words(10)
        Unclear
        Unclear
        Unclear
        Unclear
        Words(6)
        Unclear
        Words(3)
        Words(8)
        Unclear
        Unclear
        Words(19)
        Unclear
    "]]
    .assert_eq(&table);
}

/// Answers that are not streamed, errors and what is none.
const WHOLE: [(Dialect, &str); 7] = [
    (
        Dialect::Messages,
        r#"{"id":"msg_1","type":"message","model":"m","content":[{"type":"text","text":"\"usage\":{}"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}"#,
    ),
    (
        Dialect::Responses,
        r#"{"id":"resp_1","model":"m","status":"completed","service_tier":"flex","output":[{"type":"function_call","arguments":"{}"}],"usage":{"input_tokens":3,"output_tokens":2}}"#,
    ),
    (
        Dialect::Responses,
        r#"{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"No."}}"#,
    ),
    (
        Dialect::Chat,
        r#"{"id":"c_1","model":"m","choices":[{"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
    ),
    (Dialect::Chat, r#"{"error":{"message":"No.","code":429}}"#),
    (Dialect::Chat, "<html>"),
    (
        Dialect::Responses,
        r#"{"object":"response.compaction","output":[],"usage":{"input_tokens":3,"output_tokens":2}}"#,
    ),
];

#[test]
fn whole_bodies_are_metered() {
    let mut table = String::new();
    for (dialect, body) in WHOLE {
        writeln!(table, "{}", report(&Meter::whole(dialect, body.as_bytes()))).unwrap();
    }
    expect![[r#"
        Some("msg_1") Some("m")
        Usage { input: 3, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0, output: 2, thinking: 0 }
        counted: true, tier: None, own: {}
        ended: true, stop: Some(End), failure: None
        about 2

        Some("resp_1") Some("m")
        Usage { input: 3, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0, output: 2, thinking: 0 }
        counted: true, tier: Some("flex"), own: {}
        ended: true, stop: Some(Tools), failure: None
        about 2

        Some("resp_1") None
        Usage { input: 0, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0, output: 0, thinking: 0 }
        counted: false, tier: None, own: {}
        ended: true, stop: None, failure: Some(Refusal { reason: Upstream, message: "No.", field: None, code: Some("server_error") })
        about 0

        Some("c_1") Some("m")
        Usage { input: 3, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0, output: 2, thinking: 0 }
        counted: true, tier: None, own: {}
        ended: true, stop: Some(End), failure: None
        about 2

        None None
        Usage { input: 0, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0, output: 0, thinking: 0 }
        counted: false, tier: None, own: {}
        ended: true, stop: None, failure: Some(Refusal { reason: RateLimited, message: "No.", field: None, code: None })
        about 0

        None None
        Usage { input: 0, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0, output: 0, thinking: 0 }
        counted: false, tier: None, own: {}
        ended: true, stop: None, failure: Some(Refusal { reason: Broken, message: "the upstream's answer is not one of the chat API: it is no JSON object; check the kind of the upstream", field: None, code: None })
        about 0

        None None
        Usage { input: 3, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0, output: 2, thinking: 0 }
        counted: true, tier: None, own: {}
        ended: true, stop: Some(End), failure: None
        about 2

    "#]].assert_eq(&table);
}

#[test]
fn whole_bodies_that_are_no_answers_are_failures() {
    let rows = [
        (Dialect::Chat, r#"{"detail":"Not Found"}"#),
        (
            Dialect::Chat,
            r#"{"object":"error","message":"Too long.","type":"BadRequestError","code":400}"#,
        ),
        (
            Dialect::Messages,
            r#"[{"error":{"code":429,"message":"Slow down."}}]"#,
        ),
        (
            Dialect::Messages,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy."}}"#,
        ),
        (Dialect::Messages, "{}"),
        (Dialect::Responses, r#"{"ok":true}"#),
    ];
    let mut table = String::new();
    for (dialect, body) in rows {
        let meter = Meter::whole(dialect, body.as_bytes());
        let failure = meter.failure().unwrap();
        assert!(!meter.tally().counted && meter.estimate() == 0);
        writeln!(table, "{:?} {failure}", failure.reason).unwrap();
    }
    expect![[r"
        Broken the upstream's answer is not one of the chat API: it has nothing of an answer; check the kind of the upstream
        Invalid Too long.
        RateLimited Slow down.
        Overloaded Busy.
        Broken the upstream's answer is not one of the messages API: it has nothing of an answer; check the kind of the upstream
        Broken the upstream's answer is not one of the responses API: it has nothing of an answer; check the kind of the upstream
    "]].assert_eq(&table);
}

#[test]
fn the_next_event_of_a_responses_stream_has_the_next_number() {
    let (_, _, bytes) = recorded()
        .into_iter()
        .find(|(_, name, _)| *name == "responses_text")
        .unwrap();
    let mut meter = Meter::new(Dialect::Responses);
    meter.push(bytes);
    assert_eq!(meter.next_sequence(), 10);
}
