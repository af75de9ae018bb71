//! Generated bodies of Anthropic's Messages.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

pub(super) fn messages() -> BoxedStrategy<Value> {
    let message = object(vec![
        ("role", must(one_of(&["user", "assistant", "system"]))),
        ("content", must(text_or(block()))),
    ]);
    object(vec![
        ("model", is("m")),
        ("max_tokens", may(count())),
        ("system", may(text_or(text_block()))),
        ("messages", must(list(message, 5))),
        ("tools", may(list(message_tool(), 3))),
        ("tool_choice", may(message_choice())),
        ("stop_sequences", may(list(text(), 2))),
        ("temperature", may(number())),
        ("top_p", may(number())),
        ("top_k", may(count())),
        ("stream", may(flag())),
        ("thinking", may(message_thinking())),
        ("output_config", may(output_config())),
        ("output_format", may(message_format())),
        ("metadata", may(object(vec![("user_id", may(name()))]))),
        ("service_tier", may(one_of(&["auto", "standard_only"]))),
        ("inference_geo", may(one_of(&["us", "global"]))),
        ("context_management", may(context_management())),
    ])
}

fn text_block() -> BoxedStrategy<Value> {
    object(vec![
        ("type", is("text")),
        ("text", must(text())),
        ("cache_control", cache()),
    ])
}

fn source() -> BoxedStrategy<Value> {
    prop_oneof![
        object(vec![
            ("type", is("base64")),
            (
                "media_type",
                must(one_of(&["image/png", "application/pdf"]))
            ),
            ("data", is("AAAA")),
        ]),
        object(vec![
            ("type", is("url")),
            ("url", is("https://example.com"))
        ]),
        object(vec![("type", is("file")), ("file_id", is("file_1"))]),
        object(vec![
            ("type", is("text")),
            ("media_type", is("text/plain")),
            ("data", must(text()))
        ]),
        object(vec![
            ("type", is("content")),
            ("content", must(text_or(text_block())))
        ]),
    ]
    .boxed()
}

fn plain_block() -> BoxedStrategy<Value> {
    prop_oneof![
        3 => text_block(),
        1 => object(vec![("type", is("image")), ("source", must(source())), ("cache_control", cache())]),
        1 => object(vec![
            ("type", is("document")),
            ("source", must(source())),
            ("title", may(text())),
            ("citations", may(Just(json!({"enabled": true})))),
        ]),
        1 => Just(json!({"type": "search_result", "source": "s", "title": "t", "content": []})),
    ]
    .boxed()
}

fn block() -> BoxedStrategy<Value> {
    prop_oneof![
        4 => plain_block(),
        1 => object(vec![("type", is("thinking")), ("thinking", must(text())), ("signature", may(text()))]),
        1 => object(vec![("type", is("redacted_thinking")), ("data", must(text()))]),
        2 => object(vec![
            ("type", is("tool_use")),
            ("id", must(id())),
            ("name", must(name())),
            ("input", must(prop_oneof![
                Just(json!({"b": 1, "a": [2.5, null]})),
                Just(json!({})),
                Just(json!({"invalid_json": "{"})),
                Just(json!({"invalid_json": "{}"})),
                Just(json!({"invalid_json": "{\"invalid_json\":\"x\"}"})),
                Just(json!({"input": "x"})),
            ])),
            ("caller", may(Just(json!({"type": "direct"})))),
        ]),
        2 => object(vec![
            ("type", is("tool_result")),
            ("tool_use_id", must(id())),
            ("content", may(text_or(plain_block()))),
            ("is_error", may(flag())),
        ]),
        1 => object(vec![
            ("type", is("compaction")),
            ("content", may(text())),
            ("encrypted_content", may(text())),
        ]),
        1 => Just(json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})),
        1 => Just(json!({"type": "tool_addition", "tool": {"name": "x"}})),
    ]
    .boxed()
}

fn message_tool() -> BoxedStrategy<Value> {
    prop_oneof![
        3 => object(vec![
            ("type", may(one_of(&["custom"]))),
            ("name", must(name())),
            ("description", may(text())),
            ("input_schema", must(schema())),
            ("strict", may(flag())),
            ("defer_loading", may(flag())),
            ("cache_control", cache()),
        ]),
        1 => Just(json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 2})),
    ]
    .boxed()
}

fn message_choice() -> BoxedStrategy<Value> {
    let kind = |kind: &'static str| {
        object(vec![
            ("type", is(kind)),
            ("disable_parallel_tool_use", may(flag())),
        ])
    };
    prop_oneof![
        kind("auto"),
        kind("any"),
        object(vec![("type", is("none"))]),
        object(vec![
            ("type", is("tool")),
            ("name", must(name())),
            ("disable_parallel_tool_use", may(flag()))
        ]),
        object(vec![("type", is("newer"))]),
    ]
    .boxed()
}

fn message_thinking() -> BoxedStrategy<Value> {
    object(vec![
        (
            "type",
            must(one_of(&[
                "adaptive",
                "enabled",
                "disabled",
                "between_tools",
            ])),
        ),
        ("budget_tokens", may(count())),
        ("display", may(one_of(&["summarized", "omitted"]))),
    ])
}

fn message_format() -> BoxedStrategy<Value> {
    prop_oneof![
        object(vec![
            ("type", is("json_schema")),
            ("schema", must(schema()))
        ]),
        Just(json!({"type": "newer"})),
    ]
    .boxed()
}

fn output_config() -> BoxedStrategy<Value> {
    object(vec![
        (
            "effort",
            may(one_of(&["low", "medium", "high", "xhigh", "max"])),
        ),
        ("format", may(message_format())),
        (
            "task_budget",
            may(Just(json!({"type": "tokens", "total": 9}))),
        ),
    ])
}

fn context_management() -> BoxedStrategy<Value> {
    let trigger = |kind: &'static str| object(vec![("type", is(kind)), ("value", must(count()))]);
    let edit = prop_oneof![
        object(vec![
            ("type", is("compact_20260112")),
            (
                "trigger",
                may(prop_oneof![trigger("input_tokens"), trigger("tool_uses")])
            ),
            ("pause_after_compaction", may(flag())),
            ("instructions", may(text())),
        ]),
        Just(json!({"type": "clear_thinking_20251015", "keep": "all"})),
    ];
    object(vec![("edits", may(list(edit.boxed(), 2)))])
}
