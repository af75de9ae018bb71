//! What has the wrong shape is refused in the vendor's words, and what is large or deep is no danger.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use quire_dialect::{ApiVersion, Dialect};
use serde_json::{Value, json};

use crate::request::{Target, check_complete, check_version, decode_request, encode_request};

fn refusals(dialect: Dialect, bodies: &[Value], expected: &Expect) {
    let mut text = String::new();
    for body in bodies {
        match decode_request(dialect, body.to_string().as_bytes()) {
            Ok(_) => writeln!(text, "served: {body}").unwrap(),
            Err(refusal) => {
                let field = refusal.field.as_deref().unwrap_or("-");
                let code = refusal.code.as_deref().unwrap_or("-");
                writeln!(text, "{field} | {code} | {refusal}").unwrap();
            }
        }
    }
    expected.assert_eq(&text);
}

#[test]
fn messages_refuses_wrong_shapes_in_anthropics_words() {
    let with =
        |content: Value| json!({"model": "m", "messages": [{"role": "user", "content": content}]});
    let bodies = [
        json!([]),
        json!({"messages": []}),
        json!({"model": "m"}),
        json!({"model": "m", "messages": "hi"}),
        json!({"model": "m", "messages": ["hi"]}),
        json!({"model": "m", "messages": [{"role": "tool", "content": "x"}]}),
        json!({"model": "m", "messages": [{"role": "user"}]}),
        json!({"model": "m", "max_tokens": -1, "messages": []}),
        json!({"model": "m", "stream": "yes", "messages": []}),
        json!({"model": "m", "messages": [], "tools": [{"name": "a"}]}),
        json!({"model": "m", "messages": [], "tool_choice": "auto"}),
        with(json!(7)),
        with(json!([{"text": "x"}])),
        with(json!([{"type": "text"}])),
        with(json!([{"type": "image", "source": {"type": "base64", "data": "A"}}])),
        with(json!([{"type": "tool_use", "id": "t", "name": "n", "input": "{}"}])),
        with(json!([{"type": "newer", "x": 1}])),
    ];
    refusals(
        Dialect::Messages,
        &bodies,
        &expect![[r#"
            - | - | Input should be a valid dictionary
            model | - | model: Field required
            messages | - | messages: Field required
            messages | - | messages: Input should be a valid list
            messages.0 | - | messages.0: Input should be a valid dictionary
            messages.0.role | - | messages.0.role: Input should be 'user', 'assistant' or 'system'
            messages.0.content | - | messages.0.content: Field required
            max_tokens | - | max_tokens: Input should be greater than or equal to 0
            stream | - | stream: Input should be a valid boolean
            tools.0.input_schema | - | tools.0.input_schema: Field required
            tool_choice | - | tool_choice: Input should be a valid dictionary
            messages.0.content | - | messages.0.content: Input should be a valid string or a valid list
            messages.0.content.0.type | - | messages.0.content.0.type: Field required
            messages.0.content.0.text | - | messages.0.content.0.text: Field required
            messages.0.content.0.source.media_type | - | messages.0.content.0.source.media_type: Field required
            messages.0.content.0.input | - | messages.0.content.0.input: Input should be a valid dictionary
            served: {"model":"m","messages":[{"role":"user","content":[{"type":"newer","x":1}]}]}
        "#]],
    );
}

#[test]
fn responses_refuses_wrong_shapes_in_openais_words() {
    let with = |item: Value| json!({"model": "m", "input": [item]});
    let bodies = [
        json!({"input": "x"}),
        json!({"model": "m", "input": 7}),
        json!({"model": "m", "input": ["x"]}),
        json!({"model": "m", "tools": [{"name": "a"}]}),
        json!({"model": "m", "tools": [{"type": "function"}]}),
        json!({"model": "m", "tool_choice": "any"}),
        json!({"model": "m", "reasoning": "high"}),
        json!({"model": "m", "temperature": "hot"}),
        with(json!({"role": "tool", "content": "x"})),
        with(json!({"role": "user", "content": [{"text": "x"}]})),
        with(json!({"type": "function_call", "call_id": "c", "name": "n", "arguments": {}})),
        with(json!({"type": "function_call_output", "output": "x"})),
        with(json!({"type": "newer", "x": 1})),
    ];
    refusals(
        Dialect::Responses,
        &bodies,
        &expect![[r#"
        model | missing_required_parameter | Missing required parameter: 'model'.
        input | invalid_type | Invalid type for 'input': expected one of a string or array, but got an integer instead.
        input[0] | invalid_type | Invalid type for 'input[0]': expected an object, but got a string instead.
        tools[0].type | missing_required_parameter | Missing required parameter: 'tools[0].type'.
        tools[0].name | missing_required_parameter | Missing required parameter: 'tools[0].name'.
        tool_choice | invalid_value | Invalid value: 'any'. Supported values are: 'none', 'auto', and 'required'.
        reasoning | invalid_type | Invalid type for 'reasoning': expected an object, but got a string instead.
        temperature | invalid_type | Invalid type for 'temperature': expected a number, but got a string instead.
        input[0].role | invalid_value | Invalid value: 'tool'. Supported values are: 'assistant', 'system', 'developer', and 'user'.
        input[0].content[0].type | missing_required_parameter | Missing required parameter: 'input[0].content[0].type'.
        input[0].arguments | invalid_type | Invalid type for 'input[0].arguments': expected a string, but got an object instead.
        input[0].call_id | missing_required_parameter | Missing required parameter: 'input[0].call_id'.
        served: {"model":"m","input":[{"type":"newer","x":1}]}
    "#]],
    );
}

#[test]
fn chat_refuses_wrong_shapes_in_openais_words() {
    let with = |message: Value| json!({"model": "m", "messages": [message]});
    let bodies = [
        json!({"model": "m"}),
        json!({"model": 7, "messages": []}),
        json!({"model": "m", "messages": {}}),
        json!({"model": "m", "messages": [], "stop": 7}),
        json!({"model": "m", "messages": [], "max_tokens": 1.5}),
        with(json!({"role": "model", "content": "x"})),
        with(json!({"role": "user", "content": null})),
        with(json!({"role": "tool", "content": "x"})),
        with(json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "newer"}]})),
        with(
            json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "n"}}]}),
        ),
        with(
            json!({"role": "user", "content": [{"type": "image_url", "image_url": "https://example.com"}]}),
        ),
        with(json!({"role": "user", "content": [{"type": "newer", "x": 1}]})),
    ];
    refusals(
        Dialect::Chat,
        &bodies,
        &expect![[r#"
            messages | missing_required_parameter | Missing required parameter: 'messages'.
            model | invalid_type | Invalid type for 'model': expected a string, but got an integer instead.
            messages | invalid_type | Invalid type for 'messages': expected an array, but got an object instead.
            stop | invalid_type | Invalid type for 'stop': expected one of a string or array, but got an integer instead.
            max_tokens | invalid_type | Invalid type for 'max_tokens': expected an integer, but got a decimal instead.
            messages[0].role | invalid_value | Invalid value: 'model'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.
            messages[0].content | missing_required_parameter | Missing required parameter: 'messages[0].content'.
            messages[0].tool_call_id | missing_required_parameter | Missing required parameter: 'messages[0].tool_call_id'.
            messages[0].tool_calls[0].type | invalid_value | Invalid value: 'newer'. Supported values are: 'function' and 'custom'.
            messages[0].tool_calls[0].function.arguments | missing_required_parameter | Missing required parameter: 'messages[0].tool_calls[0].function.arguments'.
            messages[0].content[0].image_url | invalid_type | Invalid type for 'messages[0].content[0].image_url': expected an object, but got a string instead.
            served: {"model":"m","messages":[{"role":"user","content":[{"type":"newer","x":1}]}]}
        "#]],
    );
}

#[test]
fn a_request_for_an_answer_needs_something_to_answer() {
    let one = json!([{"role": "user", "content": "a"}]);
    let cases = [
        (
            Dialect::Messages,
            json!({"model": "m", "messages": [{"role": "user", "content": "a"}]}),
        ),
        (
            Dialect::Messages,
            json!({"model": "m", "max_tokens": 1, "system": "s", "messages": []}),
        ),
        (
            Dialect::Messages,
            json!({"model": "m", "max_tokens": 1, "messages": one, "many": true}),
        ),
        (
            Dialect::Messages,
            json!({"model": "m", "max_tokens": 0, "messages": [{"role": "system", "content": "a"}]}),
        ),
        (
            Dialect::Responses,
            json!({"model": "m", "instructions": "i"}),
        ),
        (
            Dialect::Responses,
            json!({"model": "m", "previous_response_id": "resp_1"}),
        ),
        (Dialect::Responses, json!({"model": "m", "input": "a"})),
        (Dialect::Chat, json!({"model": "m", "messages": []})),
    ];
    let mut text = String::new();
    for (dialect, body) in cases {
        let mut request = decode_request(dialect, body.to_string().as_bytes()).unwrap();
        if body.get("many").is_some() {
            request.turns = vec![request.turns[0].clone(); 100_001];
        }
        match check_complete(&request) {
            Ok(()) => writeln!(text, "served").unwrap(),
            Err(refusal) => writeln!(text, "{refusal}").unwrap(),
        }
    }
    expect![[r"
        max_tokens: Field required
        messages: at least one message is required
        messages: List should have at most 100000 items
        served
        One of 'input', 'previous_response_id', 'conversation' or 'prompt' must be provided.
        served
        served
        Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.
    "]].assert_eq(&text);
}

#[test]
fn the_newer_version_of_messages_takes_less() {
    let with = |role: &str, block: Value| json!({"model": "m", "system": "s", "messages": [{"role": role, "content": [block]}]});
    let source = json!({"type": "url", "url": "https://example.com/a.pdf"});
    let cited = json!({"type": "text", "text": "x", "citations": [{"type": "char_location"}]});
    let bodies = [
        json!({"model": "m", "messages": [], "temperature": 1.0}),
        json!({"model": "m", "messages": [], "top_k": 5}),
        with("assistant", json!({"type": "document", "source": source})),
        with("user", cited.clone()),
        with("user", json!({"type": "search_result", "content": [cited]})),
        with(
            "user",
            json!({"type": "text", "text": "x", "citations": []}),
        ),
    ];
    let mut text = String::new();
    for body in &bodies {
        let request = decode_request(Dialect::Messages, body.to_string().as_bytes()).unwrap();
        assert_eq!(check_version(&request, ApiVersion::V20230601), Ok(()));
        match check_version(&request, ApiVersion::V20261021) {
            Ok(()) => writeln!(text, "served").unwrap(),
            Err(refusal) => writeln!(text, "{refusal}").unwrap(),
        }
    }
    expect![[r"
        temperature: Extra inputs are not permitted
        top_k: Extra inputs are not permitted
        messages.0.content.0: `document` blocks are not permitted in assistant messages
        messages.0.content.0.citations: Extra inputs are not permitted
        messages.0.content.0.content.0.citations: Extra inputs are not permitted
        served
    "]]
    .assert_eq(&text);
}

#[test]
fn what_is_no_json_or_too_deep_is_refused() {
    let deep = |open: &str, close: &str| [open.repeat(100_000), close.repeat(100_000)].concat();
    let body = format!(
        r#"{{"model":"m","messages":[],"input":[],"x":{}}}"#,
        deep("[", "]")
    );
    for dialect in Dialect::ALL {
        for body in ["", "{", "\u{0}", "{\"model\":\"m\"}}", &body] {
            assert!(decode_request(dialect, body.as_bytes()).is_err());
        }
        assert!(decode_request(dialect, b"{\"model\":\"\xff\"}").is_err());
    }
}

#[test]
fn a_deep_input_of_a_call_is_kept_as_text() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let call = json!({"id": "c", "type": "function", "function": {"name": "n", "arguments": format!("{{\"a\":{deep}}}")}});
    let body = json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]});
    let request = decode_request(Dialect::Chat, body.to_string().as_bytes()).unwrap();
    let encoded = encode_request(&request, &Target::new(Dialect::Messages, "m")).unwrap();
    let text = String::from_utf8(encoded.body).unwrap();
    assert!(text.contains("invalid_json"), "{text}");
}

#[test]
fn a_hundred_thousand_messages_are_as_many_steps() {
    let user = r#"{"role":"user","content":"a"}"#;
    let system = r#"{"role":"system","content":"s"}"#;
    for (message, count, from, key, to) in [
        (user, 100_000, Dialect::Chat, "messages", Dialect::Messages),
        (system, 20_000, Dialect::Responses, "input", Dialect::Chat),
    ] {
        let messages = vec![message; count].join(",");
        let body = format!(r#"{{"model":"m","{key}":[{messages}]}}"#);
        let request = decode_request(from, body.as_bytes()).unwrap();
        assert_eq!(request.turns.len(), count);
        encode_request(&request, &Target::new(to, "m")).unwrap();
    }
}
