//! Generated bodies of OpenAI's Chat Completions.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

pub(super) fn chat() -> BoxedStrategy<Value> {
    object(vec![
        ("model", is("m")),
        ("messages", must(list(chat_message(), 5))),
        ("tools", may(list(chat_tool(), 3))),
        ("tool_choice", may(chat_choice())),
        ("parallel_tool_calls", may(flag())),
        ("max_tokens", may(count())),
        ("max_completion_tokens", may(count())),
        ("temperature", may(number())),
        ("top_p", may(number())),
        ("stop", may(text_or(text()))),
        ("stream", may(flag())),
        ("stream_options", may(Just(json!({"include_usage": true})))),
        (
            "reasoning_effort",
            may(one_of(&["none", "minimal", "low", "xhigh"])),
        ),
        ("verbosity", may(one_of(&["low", "high"]))),
        (
            "response_format",
            may(prop_oneof![
                Just(json!({"type": "text"})),
                object(vec![("type", is("json_object"))]),
                object(vec![
                    ("type", is("json_schema")),
                    (
                        "json_schema",
                        must(object(vec![
                            ("name", must(name())),
                            ("description", may(text())),
                            ("schema", may(schema())),
                            ("strict", may(flag())),
                        ]))
                    ),
                ]),
            ]),
        ),
        ("safety_identifier", may(name())),
        ("user", may(name())),
        ("prompt_cache_key", may(name())),
        ("service_tier", may(one_of(&["auto", "default", "flex"]))),
        ("n", may(Just(1.into()))),
        ("logprobs", may(flag())),
        ("metadata", may(Just(json!({"a": "b"})))),
    ])
}

fn chat_part() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => object(vec![("type", is("text")), ("text", must(text()))]),
        1 => object(vec![("type", is("refusal")), ("refusal", must(text()))]),
        1 => object(vec![
            ("type", is("image_url")),
            ("image_url", must(object(vec![("url", must(data_url())), ("detail", may(one_of(&["high"])))]))),
        ]),
        1 => object(vec![
            ("type", is("file")),
            ("file", must(object(vec![
                ("file_data", may(one_of(&["data:application/pdf;base64,AAAA", "AAAA"]))),
                ("file_id", may(one_of(&["file_1"]))),
                ("filename", may(name())),
            ]))),
        ]),
        1 => Just(json!({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}})),
    ]
    .boxed()
}

fn chat_message() -> BoxedStrategy<Value> {
    let call = object(vec![
        ("id", must(id())),
        ("type", may(one_of(&["function"]))),
        (
            "function",
            must(object(vec![
                ("name", must(name())),
                ("arguments", must(arguments())),
            ])),
        ),
    ]);
    let free = object(vec![
        ("id", must(id())),
        ("type", is("custom")),
        (
            "custom",
            must(object(vec![
                ("name", must(name())),
                ("input", must(text())),
            ])),
        ),
    ]);
    prop_oneof![
        3 => object(vec![
            ("role", must(one_of(&["user", "system", "developer"]))),
            ("content", must(text_or(chat_part()))),
            ("name", may(name())),
        ]),
        2 => object(vec![
            ("role", is("assistant")),
            ("content", may(text_or(chat_part()))),
            ("refusal", may(text())),
            ("reasoning_content", may(text())),
            ("reasoning", may(text())),
            ("reasoning_details", may(list(prop_oneof![
                Just(json!({"type": "reasoning.text", "text": "t", "signature": "s"})),
                Just(json!({"type": "reasoning.encrypted", "data": "d", "format": "quire", "index": 0})),
            ].boxed(), 2))),
            ("tool_calls", may(list(prop_oneof![3 => call, 1 => free].boxed(), 2))),
        ]),
        2 => object(vec![
            ("role", is("tool")),
            ("tool_call_id", must(id())),
            ("content", must(text_or(chat_part()))),
        ]),
        1 => Just(json!({"role": "function", "name": "f", "content": "x"})),
    ]
    .boxed()
}

fn chat_tool() -> BoxedStrategy<Value> {
    prop_oneof![
        3 => object(vec![
            ("type", is("function")),
            ("function", must(object(vec![
                ("name", must(name())),
                ("description", may(text())),
                ("parameters", may(schema())),
                ("strict", may(flag())),
            ]))),
        ]),
        1 => object(vec![
            ("type", is("custom")),
            ("custom", must(object(vec![
                ("name", must(name())),
                ("description", may(text())),
                ("format", may(prop_oneof![
                    Just(json!({"type": "text"})),
                    Just(json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a/"}})),
                    Just(json!({"type": "grammar", "grammar": {"syntax": "newer"}})),
                ])),
            ]))),
        ]),
        1 => Just(json!({"type": "newer", "a": 1})),
    ]
    .boxed()
}

fn chat_choice() -> BoxedStrategy<Value> {
    prop_oneof![
        one_of(&["auto", "required", "none"]),
        Just(json!({"type": "function", "function": {"name": "a"}})),
        Just(json!({"type": "custom", "custom": {"name": "a"}})),
        Just(json!({"type": "custom", "custom": {"name": "a", "b": 1}})),
        Just(json!({"type": "allowed_tools", "allowed_tools": {
            "mode": "required", "tools": [{"type": "function", "function": {"name": "a"}}]}})),
    ]
    .boxed()
}
