//! What is sent, byte for byte.

use expect_test::{Expect, expect};
use quire_dialect::{
    ApiVersion, Caching, Clearing, Compaction, Dialect, Encoder, Features, Head, Options,
    OutputLimit, Thinking,
};
use quire_protocol::{CallId, Content, Item, MessageId, Opaque, Prefix, ToolCall, ToolStatus};
use serde_json::{Value, json};

use crate::fixtures::prefix;

fn user(text: &str) -> Item {
    Item::User {
        message: MessageId::new("m"),
        content: vec![Content::text(text)],
    }
}

fn call(number: u32, id: &str, name: &str, arguments: &str) -> Item {
    Item::ToolCall(ToolCall {
        call: CallId(number),
        provider_id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    })
}

fn result(number: u32, status: ToolStatus, content: Vec<Content>) -> Item {
    Item::ToolResult {
        call: CallId(number),
        status,
        content,
    }
}

fn image() -> Content {
    Content::Image {
        media_type: "image/png".into(),
        data: "aGk=".into(),
    }
}

fn thinking(origin: Dialect, json: &str) -> Item {
    Item::Thinking {
        text: "hidden".into(),
        opaque: Some(Opaque {
            origin: origin.name().into(),
            json: json.into(),
        }),
    }
}

/// A session with a bit of everything.
fn session() -> Vec<Item> {
    vec![
        user("Fix it."),
        Item::Notice {
            text: "Night.".into(),
        },
        thinking(
            Dialect::Messages,
            r#"{"type":"thinking","thinking":"x","signature":"s"}"#,
        ),
        thinking(
            Dialect::Responses,
            r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"e"}"#,
        ),
        thinking(Dialect::Chat, r#"{"reasoning_content":"x"}"#),
        Item::Assistant {
            text: "I'll look.".into(),
            opaque: None,
        },
        call(1, "call_0", "read", r#"{"path": "a.png"}"#),
        call(2, "call_0", "apply_patch", "*** Begin Patch\n"),
        result(2, ToolStatus::Denied, vec![Content::text("no")]),
        Item::Notice {
            text: "Between.".into(),
        },
        result(
            1,
            ToolStatus::Done,
            vec![Content::text("an image"), image()],
        ),
        call(3, "", "read", r#"{"path": "tr"#),
        result(3, ToolStatus::Failed, vec![]),
        user("Go on."),
    ]
}

fn body(head: &Head<'_>, items: &[Item]) -> Value {
    let mut encoder = Encoder::new(head);
    for item in items {
        encoder.push(item);
    }
    serde_json::from_slice(&encoder.body(&Options::default()).concat()).expect("valid JSON")
}

/// One line for each element of the growing array.
#[track_caller]
fn check_items(head: &Head<'_>, key: &str, expected: &Expect) {
    let body = body(head, &session());
    let lines: Vec<String> = body[key]
        .as_array()
        .expect("an array")
        .iter()
        .map(Value::to_string)
        .collect();
    expected.assert_eq(&lines.join("\n"));
}

#[track_caller]
fn check_head(head: &Head<'_>, options: &Options<'_>, expected: &Expect) {
    let mut encoder = Encoder::new(head);
    let body = String::from_utf8(encoder.body(options).concat()).expect("UTF-8");
    expected.assert_eq(&body);
}

#[test]
fn messages_items() {
    check_items(
        &Head::new(Dialect::Messages, "m", &prefix()),
        "messages",
        &expect![[r#"
            {"role":"user","content":[{"type":"text","text":"Fix it."},{"type":"text","text":"<system-notice>\nNight.\n</system-notice>"}]}
            {"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"s"},{"type":"text","text":"I'll look."},{"type":"tool_use","id":"call_0","name":"read","input":{"path":"a.png"}},{"type":"tool_use","id":"call_2","name":"apply_patch","input":{"input":"*** Begin Patch\n"}}]}
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"call_2","content":"no","is_error":true},{"type":"tool_result","tool_use_id":"call_0","content":[{"type":"text","text":"an image"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]},{"type":"text","text":"<system-notice>\nBetween.\n</system-notice>"}]}
            {"role":"assistant","content":[{"type":"tool_use","id":"call_3","name":"read","input":{"malformed_arguments":"{\"path\": \"tr"}}]}
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"call_3","is_error":true},{"type":"text","text":"Go on."}]}"#]],
    );
}

#[test]
fn responses_items() {
    let prefix = prefix();
    let mut head = Head::new(Dialect::Responses, "m", &prefix);
    head.features.custom_tools = true;
    check_items(
        &head,
        "input",
        &expect![[r#"
        {"type":"message","role":"user","content":[{"type":"input_text","text":"Fix it."}]}
        {"type":"message","role":"user","content":[{"type":"input_text","text":"<system-notice>\nNight.\n</system-notice>"}]}
        {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"e"}
        {"type":"message","role":"assistant","content":"I'll look."}
        {"type":"function_call","call_id":"call_0","name":"read","arguments":"{\"path\": \"a.png\"}"}
        {"type":"custom_tool_call","call_id":"call_2","name":"apply_patch","input":"*** Begin Patch\n"}
        {"type":"custom_tool_call_output","call_id":"call_2","output":"no"}
        {"type":"function_call_output","call_id":"call_0","output":[{"type":"input_text","text":"an image"},{"type":"input_image","detail":"auto","image_url":"data:image/png;base64,aGk="}]}
        {"type":"message","role":"user","content":[{"type":"input_text","text":"<system-notice>\nBetween.\n</system-notice>"}]}
        {"type":"function_call","call_id":"call_3","name":"read","arguments":"{\"malformed_arguments\":\"{\\\"path\\\": \\\"tr\"}"}
        {"type":"function_call_output","call_id":"call_3","output":""}
        {"type":"message","role":"user","content":[{"type":"input_text","text":"Go on."}]}"#]],
    );
}

#[test]
fn responses_items_without_custom_tools() {
    let prefix = prefix();
    let head = Head::new(Dialect::Responses, "m", &prefix);
    let body = body(&head, &session());
    let patch = body["input"]
        .as_array()
        .expect("an array")
        .iter()
        .filter(|item| item["call_id"] == "call_2")
        .map(Value::to_string)
        .collect::<Vec<_>>();
    expect![[r#"
        {"type":"function_call","call_id":"call_2","name":"apply_patch","arguments":"{\"input\":\"*** Begin Patch\\n\"}"}
        {"type":"function_call_output","call_id":"call_2","output":"no"}"#]].assert_eq(&patch.join("\n"));
}

#[test]
fn chat_items() {
    check_items(
        &Head::new(Dialect::Chat, "m", &prefix()),
        "messages",
        &expect![[r#"
            {"role":"system","content":"You are a \"careful\" engineer.\n"}
            {"role":"user","content":"Fix it.\n\n<system-notice>\nNight.\n</system-notice>"}
            {"role":"assistant","reasoning_content":"x","content":"I'll look.","tool_calls":[{"id":"call_0","type":"function","function":{"name":"read","arguments":"{\"path\": \"a.png\"}"}},{"id":"call_2","type":"function","function":{"name":"apply_patch","arguments":"{\"input\":\"*** Begin Patch\\n\"}"}}]}
            {"role":"tool","tool_call_id":"call_2","content":"no"}
            {"role":"tool","tool_call_id":"call_0","content":"an image\n(The image is in the next user message.)"}
            {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,aGk="}},{"type":"text","text":"<system-notice>\nBetween.\n</system-notice>"}]}
            {"role":"assistant","content":null,"tool_calls":[{"id":"call_3","type":"function","function":{"name":"read","arguments":"{\"malformed_arguments\":\"{\\\"path\\\": \\\"tr\"}"}}]}
            {"role":"tool","tool_call_id":"call_3","content":""}
            {"role":"user","content":"Go on."}"#]],
    );
}

#[test]
fn arguments_travel_byte_for_byte() {
    let prefix = prefix();
    for dialect in [Dialect::Messages, Dialect::Responses, Dialect::Chat] {
        let mut encoder = Encoder::new(&Head::new(dialect, "m", &prefix));
        let arguments = r#"{"b" : 1.50,  "a":"x"}"#;
        encoder.push(&call(1, "a", "read", arguments));
        encoder.push(&result(1, ToolStatus::Done, vec![Content::text("ok")]));
        let body = String::from_utf8(encoder.body(&Options::default()).concat()).expect("UTF-8");
        let sent = match dialect {
            Dialect::Messages => arguments.to_owned(),
            _ => Value::from(arguments).to_string(),
        };
        assert!(body.contains(&sent), "{dialect}: {body}");
    }
}

#[test]
fn messages_head() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let prefix = prefix();
    let head = Head::new(Dialect::Messages, "claude", &prefix);
    let options = Options {
        max_output_tokens: Some(64_000),
        thinking: Thinking::Adaptive,
        effort: Some("xhigh"),
        output_schema: Some(&schema),
        cache_key: "unused",
        ..Options::default()
    };
    check_head(
        &head,
        &options,
        &expect![[
            r#"{"model":"claude","stream":true,"cache_control":{"type":"ephemeral"},"tools":[{"name":"read","description":"Reads a file.","input_schema":{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}},{"name":"apply_patch","description":"Applies a patch.","input_schema":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}}],"system":[{"type":"text","text":"You are a \"careful\" engineer.\n","cache_control":{"type":"ephemeral"}}],"messages":[],"max_tokens":64000,"thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":"xhigh","format":{"type":"json_schema","schema":{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}}}}"#
        ]],
    );
}

#[test]
fn messages_head_for_older_servers() {
    let prefix = Prefix::default();
    let head = Head {
        cache: Caching::PrefixOnly,
        api_version: ApiVersion::V20230601,
        ..Head::new(Dialect::Messages, "claude", &prefix)
    };
    let options = Options {
        max_output_tokens: Some(4_000),
        thinking: Thinking::Budget(10_000),
        ..Options::default()
    };
    check_head(
        &head,
        &options,
        &expect![[
            r#"{"model":"claude","stream":true,"messages":[],"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":2976}}"#
        ]],
    );
}

#[test]
fn responses_head() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let prefix = prefix();
    let head = Head {
        features: Features {
            custom_tools: true,
            reasoning_summaries: true,
            ..Features::default()
        },
        ..Head::new(Dialect::Responses, "gpt", &prefix)
    };
    let options = Options {
        max_output_tokens: Some(64_000),
        effort: Some("high"),
        output_schema: Some(&schema),
        cache_key: "session-1",
        ..Options::default()
    };
    check_head(
        &head,
        &options,
        &expect![[
            r#"{"model":"gpt","stream":true,"store":false,"include":["reasoning.encrypted_content"],"parallel_tool_calls":true,"tools":[{"type":"function","name":"read","description":"Reads a file.","parameters":{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]},"strict":false},{"type":"custom","name":"apply_patch","description":"Applies a patch.","format":{"type":"grammar","syntax":"lark","definition":"start: /.+/s"}}],"instructions":"You are a \"careful\" engineer.\n","input":[],"max_output_tokens":64000,"reasoning":{"effort":"high","summary":"auto"},"text":{"format":{"type":"json_schema","name":"answer","schema":{"type":"object","properties":{"a":{"type":"string"}}},"strict":false}},"prompt_cache_key":"session-1"}"#
        ]],
    );
}

#[test]
fn chat_head() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": false,
    });
    let prefix = prefix();
    let head = Head {
        features: Features {
            cache_key: true,
            output_limit: OutputLimit::MaxCompletionTokens,
            ..Features::default()
        },
        ..Head::new(Dialect::Chat, "gpt", &prefix)
    };
    let options = Options {
        max_output_tokens: Some(64_000),
        effort: Some("high"),
        output_schema: Some(&schema),
        cache_key: "session-1",
        ..Options::default()
    };
    check_head(
        &head,
        &options,
        &expect![[
            r#"{"model":"gpt","stream":true,"stream_options":{"include_usage":true},"tools":[{"type":"function","function":{"name":"read","description":"Reads a file.","parameters":{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}}},{"type":"function","function":{"name":"apply_patch","description":"Applies a patch.","parameters":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}}}],"messages":[{"role":"system","content":"You are a \"careful\" engineer.\n"}],"max_completion_tokens":64000,"reasoning_effort":"high","response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false},"strict":true}},"prompt_cache_key":"session-1"}"#
        ]],
    );
}

#[test]
fn a_model_that_takes_no_images_is_told_where_they_would_be() {
    let prefix = prefix();
    for dialect in Dialect::ALL {
        let head = Head {
            takes_images: false,
            ..Head::new(dialect, "m", &prefix)
        };
        let mut asked = session();
        asked.push(Item::User {
            message: MessageId::new("m"),
            content: vec![image()],
        });
        let body = body(&head, &asked).to_string();
        assert!(!body.contains("aGk="), "{dialect}: {body}");
        let told = body.matches("which this model cannot see").count();
        assert_eq!(told, 2, "{dialect}: {body}");
    }
}

#[test]
fn a_call_left_without_result_gets_one_before_the_model_speaks_again() {
    let prefix = prefix();
    let head = Head::new(Dialect::Messages, "m", &prefix);
    let items = [
        user("Go."),
        call(1, "a", "read", "{}"),
        call(2, "b", "read", "{}"),
        result(1, ToolStatus::Done, vec![Content::text("1")]),
        Item::Assistant {
            text: "So?".into(),
            opaque: None,
        },
        result(9, ToolStatus::Done, vec![Content::text("orphan")]),
    ];
    let body = body(&head, &items);
    let lines: Vec<String> = body["messages"]
        .as_array()
        .expect("an array")
        .iter()
        .map(Value::to_string)
        .collect();
    expect![[r#"
        {"role":"user","content":[{"type":"text","text":"Go."}]}
        {"role":"assistant","content":[{"type":"tool_use","id":"a","name":"read","input":{}},{"type":"tool_use","id":"b","name":"read","input":{}}]}
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"1"},{"type":"tool_result","tool_use_id":"b","content":"No result was recorded for this call.","is_error":true}]}
        {"role":"assistant","content":[{"type":"text","text":"So?"}]}
        {"role":"user","content":[{"type":"text","text":"orphan"}]}"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn words_about_the_effort_stand_behind_all_that_is_kept() {
    let prefix = prefix();
    let head = Head {
        words: "Effort: low.",
        ..Head::new(Dialect::Messages, "m", &prefix)
    };
    let system = body(&head, &[])["system"].to_string();
    assert!(
        system.ends_with(r#"}},{"type":"text","text":"Effort: low."}]"#),
        "{system}"
    );
    let options = Options {
        words: "Effort: low.",
        ..Options::default()
    };
    let done = [
        call(1, "a", "read", "{}"),
        result(1, ToolStatus::Done, vec![]),
    ];
    for (dialect, key) in [(Dialect::Responses, "input"), (Dialect::Chat, "messages")] {
        for items in [&[] as &[Item], &[user("Go.")], &done] {
            let mut encoder = Encoder::new(&Head::new(dialect, "m", &prefix));
            for item in items {
                encoder.push(item);
            }
            let body: Value =
                serde_json::from_slice(&encoder.body(&options).concat()).expect("valid JSON");
            let last = body[key].as_array().expect("an array").last();
            let last = last.expect("a message").to_string();
            let words = r"<system-notice>\nEffort: low.\n</system-notice>";
            assert!(
                last.contains(words) && last.contains(r#""role":"user""#),
                "{last}"
            );
        }
    }
}

/// The body from the end of the items on, and the values of `anthropic-beta`.
fn compacting(dialect: Dialect, options: &Options<'_>) -> String {
    let prefix = prefix();
    let mut encoder = Encoder::new(&Head::new(dialect, "m", &prefix));
    encoder.push(&user("Go."));
    let body = String::from_utf8(encoder.body(options).concat()).expect("UTF-8");
    let parsed: Value = serde_json::from_str(&body).expect("valid JSON");
    assert_eq!(parsed["model"], "m");
    let (_, tail) = body.split_once("Go.").expect("the items");
    format!("{tail} {:?}", options.betas(dialect))
}

#[test]
fn compaction_by_the_provider() {
    let from = |tokens| Options {
        compaction: Compaction::From(tokens),
        ..Options::default()
    };
    let now = |focus| Options {
        compaction: Compaction::Now { focus },
        effort: Some("low"),
        cache_key: "s",
        words: "Effort: low.",
        ..Options::default()
    };
    let clearing = Options {
        clearing: Clearing {
            tool_uses: true,
            thinking: true,
        },
        ..Options::default()
    };
    let lines = [
        compacting(Dialect::Messages, &from(1)),
        compacting(Dialect::Messages, &from(150_000)),
        compacting(Dialect::Messages, &now("")),
        compacting(Dialect::Messages, &now("the tests")),
        compacting(Dialect::Messages, &clearing),
        compacting(Dialect::Responses, &from(1)),
        compacting(Dialect::Responses, &now("the tests")),
        compacting(Dialect::Chat, &from(1)),
    ];
    expect![[r#"
        "}]}],"max_tokens":8192,"context_management":{"edits":[{"type":"compact_20260112","trigger":{"type":"input_tokens","value":50000}}]}} ["context-management-2025-06-27", "compact-2026-01-12"]
        "}]}],"max_tokens":8192,"context_management":{"edits":[{"type":"compact_20260112","trigger":{"type":"input_tokens","value":150000}}]}} ["context-management-2025-06-27", "compact-2026-01-12"]
        "}]}],"max_tokens":8192,"output_config":{"effort":"low"},"compaction":{"type":"summarize"}} ["compact-2026-09-04"]
        "}]}],"max_tokens":8192,"output_config":{"effort":"low"},"compaction":{"type":"summarize","instructions":"the tests"}} ["compact-2026-09-04"]
        "}]}],"max_tokens":8192,"context_management":{"edits":[{"type":"clear_thinking_20251015"},{"type":"clear_tool_uses_20250919"}]}} ["context-management-2025-06-27"]
        "}]}],"context_management":[{"type":"compaction","compact_threshold":1}]} []
        "}]}],"instructions":"You are a \"careful\" engineer.\n\n\nWhen the conversation is compacted, dwell on this: the tests","prompt_cache_key":"s"} []
        "}]} []"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn a_compaction_on_demand_of_responses_takes_few_fields_and_the_same_items() {
    let prefix = prefix();
    let mut encoder = Encoder::new(&Head::new(Dialect::Responses, "m", &prefix));
    for item in session() {
        encoder.push(&item);
    }
    let plain: Value =
        serde_json::from_slice(&encoder.body(&Options::default()).concat()).expect("valid JSON");
    let options = Options {
        compaction: Compaction::Now { focus: "" },
        ..Options::default()
    };
    let asked: Value =
        serde_json::from_slice(&encoder.body(&options).concat()).expect("valid JSON");
    assert_eq!(asked["input"], plain["input"]);
    assert_eq!(asked["instructions"], plain["instructions"]);
    let fields: Vec<&String> = asked.as_object().expect("an object").keys().collect();
    assert_eq!(fields, ["model", "input", "instructions"]);
    assert_eq!(
        Dialect::Responses.compaction_path(),
        Some("/responses/compact")
    );
}
