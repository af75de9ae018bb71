//! Answers of servers that do not stream.

use quire_dialect::{DecodeError, Dialect, decode_whole};
use quire_protocol::{Item, TokenStop};
use serde_json::json;

use crate::fixtures::prefix;

const MESSAGES: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"Hi"},{"type":"tool_use","id":"toolu_1","name":"read","input":{"path": "a"}}],"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":4}}"#;
const RESPONSES: &str = r#"{"id":"resp_1","object":"response","status":"completed","model":"m","error":null,"output":[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"t"}],"encrypted_content":"e"},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[]}]},{"type":"function_call","call_id":"toolu_1","name":"read","arguments":"{\"path\": \"a\"}"}],"usage":{"input_tokens":3,"output_tokens":4}}"#;
const CHAT: &str = r#"{"id":"c_1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"t","content":"Hi","tool_calls":[{"id":"toolu_1","type":"function","function":{"name":"read","arguments":"{\"path\": \"a\"}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

#[test]
fn the_three_dialects_say_the_same() {
    for (dialect, body) in [
        (Dialect::Messages, MESSAGES),
        (Dialect::Responses, RESPONSES),
        (Dialect::Chat, CHAT),
    ] {
        let answer = decode_whole(dialect, &prefix(), body.as_bytes()).expect("an answer");
        assert_eq!(answer.model, "m");
        assert_eq!(answer.stop, TokenStop::ToolUse);
        assert_eq!((answer.usage.input, answer.usage.output), (3, 4));
        let [
            Item::Thinking { text, opaque },
            Item::Assistant { text: words, .. },
            Item::ToolCall(call),
        ] = answer.items.as_slice()
        else {
            panic!("{dialect}: {:?}", answer.items)
        };
        assert_eq!((text.as_str(), words.as_str()), ("t", "Hi"));
        assert!(opaque.is_some());
        assert_eq!(call.arguments, r#"{"path": "a"}"#);
        assert_eq!(call.provider_id, "toolu_1");
    }
}

#[test]
fn a_use_that_is_not_reported_whole_does_not_count_as_reported() {
    let bodies = [
        (Dialect::Messages, MESSAGES, "input_tokens", "output_tokens"),
        (
            Dialect::Responses,
            RESPONSES,
            "input_tokens",
            "output_tokens",
        ),
        (Dialect::Chat, CHAT, "prompt_tokens", "completion_tokens"),
    ];
    for (dialect, body, prompt, answer) in bodies {
        let usage = |usage: serde_json::Value| {
            let mut body: serde_json::Value = serde_json::from_str(body).expect("JSON");
            body["usage"] = usage;
            let body = body.to_string();
            decode_whole(dialect, &prefix(), body.as_bytes())
                .expect("an answer")
                .counted
        };
        assert!(usage(json!({prompt: 3, answer: 0})), "{dialect}");
        for missing in [
            json!(null),
            json!({}),
            json!({prompt: 3}),
            json!({answer: 4}),
            json!({prompt: 0, answer: 0}),
        ] {
            assert!(!usage(missing.clone()), "{dialect}: {missing}");
        }
    }
}

#[test]
fn what_is_no_answer_is_an_error() {
    for dialect in Dialect::ALL {
        for body in ["", "<html>", "{}", "[1]", r#"{"status":"ok"}"#] {
            let result = decode_whole(dialect, &prefix(), body.as_bytes());
            assert!(
                matches!(result, Err(DecodeError::Malformed(_))),
                "{dialect}: {body}: {result:?}"
            );
        }
        let error = br#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;
        let result = decode_whole(dialect, &prefix(), error);
        assert!(
            matches!(result, Err(DecodeError::Provider(..))),
            "{dialect}"
        );
    }
}

fn compacted(output: &str) -> Vec<Item> {
    let body = format!(
        r#"{{"id":"r","object":"response.compaction","created_at":1,"output":{output},"usage":{{"input_tokens":9,"output_tokens":4}}}}"#
    );
    let answer = decode_whole(Dialect::Responses, &prefix(), body.as_bytes());
    let answer = answer.expect("a compaction");
    assert_eq!((answer.usage.input, answer.usage.output), (9, 4));
    answer.items
}

#[test]
fn all_the_output_of_a_compaction_stands_for_the_context_as_it_is() {
    let kept =
        r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"Fix it."}]}"#;
    let block = r#"{"id":"c","type":"compaction","encrypted_content":"e+/="}"#;
    let items = compacted(&format!("[{kept},{block}]"));
    let found: Vec<(&str, &str)> = items
        .iter()
        .map(|item| match item {
            Item::Summary {
                text,
                opaque: Some(opaque),
            } => (text.as_str(), opaque.json.as_str()),
            other => panic!("no summary: {other:?}"),
        })
        .collect();
    assert_eq!(found, [("Fix it.", kept), ("", block)]);
}

#[test]
fn a_compaction_that_holds_none_stands_for_nothing() {
    for output in [
        "[]",
        r#"[{"type":"message","role":"user","content":"Fix it."}]"#,
        r#"[{"id":"c","type":"compaction","encrypted_content":""}]"#,
        r#"[{"id":"c","type":"compaction"}]"#,
        r#"[{"garbage":true}]"#,
    ] {
        assert_eq!(compacted(output), [], "{output}");
    }
}
