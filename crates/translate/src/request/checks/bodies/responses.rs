//! Generated bodies of OpenAI's Responses.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

pub(super) fn responses() -> BoxedStrategy<Value> {
    object(vec![
        ("model", is("m")),
        ("instructions", may(text())),
        ("input", may(text_or(item()))),
        ("tools", may(list(response_tool(), 3))),
        ("tool_choice", may(response_choice())),
        ("parallel_tool_calls", may(flag())),
        ("max_output_tokens", may(count())),
        ("temperature", may(number())),
        ("top_p", may(number())),
        ("stream", may(flag())),
        ("store", may(flag())),
        (
            "include",
            may(list(one_of(&["reasoning.encrypted_content"]), 1)),
        ),
        (
            "reasoning",
            may(object(vec![
                ("effort", may(one_of(&["none", "minimal", "low", "xhigh"]))),
                ("summary", may(one_of(&["auto", "detailed"]))),
                ("context", may(one_of(&["all_turns"]))),
            ])),
        ),
        (
            "text",
            may(object(vec![
                ("format", may(response_format())),
                ("verbosity", may(one_of(&["low", "high"]))),
            ])),
        ),
        ("safety_identifier", may(name())),
        ("user", may(name())),
        ("prompt_cache_key", may(name())),
        ("service_tier", may(one_of(&["auto", "default", "flex"]))),
        (
            "context_management",
            may(list(
                prop_oneof![
                    object(vec![
                        ("type", is("compaction")),
                        ("compact_threshold", may(count()))
                    ]),
                    Just(json!({"type": "newer"})),
                ]
                .boxed(),
                2,
            )),
        ),
        ("metadata", may(Just(json!({"a": "b"})))),
    ])
}

fn response_format() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(json!({"type": "text"})),
        object(vec![("type", is("json_object"))]),
        object(vec![
            ("type", is("json_schema")),
            ("name", must(name())),
            ("description", may(text())),
            ("schema", may(schema())),
            ("strict", may(flag())),
        ]),
    ]
    .boxed()
}

fn response_part() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => object(vec![("type", must(one_of(&["input_text", "output_text", "text"]))), ("text", must(text()))]),
        1 => Just(json!({"type": "output_text", "text": "t", "annotations": [], "logprobs": []})),
        1 => object(vec![("type", is("refusal")), ("refusal", must(text()))]),
        1 => object(vec![
            ("type", is("input_image")),
            ("image_url", may(data_url())),
            ("detail", may(one_of(&["auto", "high"]))),
            ("file_id", may(one_of(&["file_1"]))),
        ]),
        1 => object(vec![
            ("type", is("input_file")),
            ("file_data", may(one_of(&["data:application/pdf;base64,AAAA", "AAAA"]))),
            ("file_id", may(one_of(&["file_1"]))),
            ("file_url", may(one_of(&["https://example.com/a.pdf"]))),
            ("filename", may(name())),
        ]),
        1 => Just(json!({"type": "newer", "a": 1})),
    ]
    .boxed()
}

fn item() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => object(vec![
            ("type", may(one_of(&["message"]))),
            ("id", may(id())),
            ("role", must(one_of(&["user", "assistant", "system", "developer"]))),
            ("content", must(text_or(response_part()))),
            ("status", may(one_of(&["completed"]))),
            ("phase", may(one_of(&["commentary"]))),
        ]),
        2 => object(vec![
            ("type", is("function_call")),
            ("id", may(id())),
            ("call_id", must(id())),
            ("name", must(name())),
            ("arguments", must(arguments())),
            ("namespace", may(one_of(&["ns"]))),
        ]),
        2 => object(vec![
            ("type", must(one_of(&["function_call_output", "custom_tool_call_output"]))),
            ("call_id", must(id())),
            ("output", must(text_or(response_part()))),
        ]),
        1 => object(vec![
            ("type", is("custom_tool_call")),
            ("call_id", must(id())),
            ("name", must(name())),
            ("input", must(text())),
        ]),
        1 => object(vec![
            ("type", is("reasoning")),
            ("id", may(id())),
            ("summary", may(Just(json!([{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}])))),
            ("content", may(Just(json!([{"type": "reasoning_text", "text": "c"}])))),
            ("encrypted_content", may(text())),
        ]),
        1 => object(vec![("type", is("compaction")), ("id", may(id())), ("encrypted_content", must(text()))]),
        1 => object(vec![
            ("type", is("additional_tools")),
            ("role", is("developer")),
            ("tools", may(list(response_tool(), 2))),
        ]),
        1 => Just(json!({"type": "item_reference", "id": "msg_1"})),
        1 => Just(json!({"id": "msg_2"})),
        1 => Just(json!({"type": "web_search_call", "id": "ws_1", "status": "completed"})),
    ]
    .boxed()
}

fn response_tool() -> BoxedStrategy<Value> {
    prop_oneof![
        3 => response_function(),
        1 => object(vec![
            ("type", is("custom")),
            ("name", must(name())),
            ("description", may(text())),
            ("format", may(prop_oneof![
                Just(json!({"type": "text"})),
                Just(json!({"type": "grammar", "syntax": "lark", "definition": "start: /a/"})),
            ])),
        ]),
        1 => object(vec![
            ("type", is("namespace")),
            ("name", is("ns")),
            ("description", may(text())),
            ("tools", may(list(response_function(), 2))),
        ]),
        1 => Just(json!({"type": "web_search", "external_web_access": true})),
    ]
    .boxed()
}

fn response_function() -> BoxedStrategy<Value> {
    object(vec![
        ("type", is("function")),
        ("name", must(name())),
        ("description", may(text())),
        ("parameters", may(schema())),
        ("strict", may(flag())),
    ])
}

fn response_choice() -> BoxedStrategy<Value> {
    prop_oneof![
        one_of(&["auto", "required", "none"]),
        object(vec![("type", must(one_of(&["function", "custom", "web_search"]))), ("name", must(name()))]),
        Just(json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "a"}]})),
        Just(json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp", "server_label": "a"}]})),
    ]
    .boxed()
}
