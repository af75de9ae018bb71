//! Conversations that the vendors take, and those that they do not.

use serde_json::json;

use super::*;
use crate::request::{check_complete, decode_request};

/// What is refused of a conversation in an API, and where.
fn wrong(dialect: Dialect, conversation: &[Value]) -> Option<(String, String)> {
    let key = match dialect {
        Dialect::Responses => "input",
        Dialect::Messages | Dialect::Chat => "messages",
    };
    let body = json!({"model": "m", "max_tokens": 9, key: conversation});
    let request = decode_request(dialect, body.to_string().as_bytes()).unwrap();
    let refusal = check_complete(&request).err()?;
    assert_eq!(refusal.reason, Reason::Invalid);
    Some((refusal.field.unwrap(), refusal.message))
}

fn user(words: &str) -> Value {
    json!({"role": "user", "content": words})
}

fn assistant(words: &str) -> Value {
    json!({"role": "assistant", "content": words})
}

/// A message of Messages that calls.
fn uses(ids: &[&str]) -> Value {
    let call = |id: &&str| json!({"type": "tool_use", "id": id, "name": "read", "input": {}});
    json!({"role": "assistant", "content": ids.iter().map(call).collect::<Vec<_>>()})
}

/// A message of Messages with results and words.
fn results(ids: &[&str]) -> Value {
    let result = |id: &&str| json!({"type": "tool_result", "tool_use_id": id, "content": "done"});
    let mut content: Vec<Value> = ids.iter().map(result).collect();
    content.push(json!({"type": "text", "text": "go on"}));
    json!({"role": "user", "content": content})
}

#[test]
fn messages_has_results_in_the_message_behind_their_calls() {
    let taken = [
        vec![user("a"), uses(&["t1", "t2"]), results(&["t2", "t1"])],
        // Messages of one role are one.
        vec![
            user("a"),
            uses(&["t1"]),
            uses(&["t2"]),
            user("wait"),
            results(&["t1"]),
            results(&["t2"]),
        ],
        vec![
            user("a"),
            uses(&["t1"]),
            json!({"role": "system", "content": "s"}),
            results(&["t1"]),
        ],
        // An id may come again.
        vec![
            user("a"),
            uses(&["t1"]),
            results(&["t1"]),
            uses(&["t1"]),
            results(&["t1"]),
        ],
        // The end is the upstream's to judge.
        vec![user("a"), uses(&["t1"])],
    ];
    for conversation in taken {
        assert_eq!(
            wrong(Dialect::Messages, &conversation),
            None,
            "{conversation:?}"
        );
    }
}

/// What Messages says of a result whose call is not there.
fn unexpected(id: &str) -> String {
    format!(
        "unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a \
         corresponding `tool_use` block in the previous message."
    )
}

/// What it says of calls whose results are not there.
fn missing(ids: &str) -> String {
    format!(
        "`tool_use` ids were found without `tool_result` blocks immediately after: {ids}. Each `tool_use` block must \
         have a corresponding `tool_result` block in the next message."
    )
}

#[test]
fn messages_refuses_results_and_calls_that_stand_elsewhere() {
    let twice =
        "each tool_use must have a single result. Found multiple `tool_result` blocks with id: t1";
    let rows = [
        (
            vec![user("a"), uses(&["t1"]), results(&["t2"])],
            "messages.2.content.0",
            unexpected("t2"),
        ),
        (
            vec![user("a"), results(&["t1"]), uses(&["t1"])],
            "messages.1.content.0",
            unexpected("t1"),
        ),
        // Its call stands earlier, and was answered by then.
        (
            vec![
                user("a"),
                uses(&["t1"]),
                results(&["t1"]),
                assistant("b"),
                results(&["t1"]),
            ],
            "messages.4.content.0",
            unexpected("t1"),
        ),
        (
            vec![
                user("a"),
                uses(&["t1", "t2", "t3"]),
                results(&["t2"]),
                assistant("b"),
            ],
            "messages.1",
            missing("t1, t3"),
        ),
        (
            vec![user("a"), uses(&["t1"]), user("never mind")],
            "messages.1",
            missing("t1"),
        ),
        (
            vec![user("a"), uses(&["t1"]), results(&["t1", "t1"])],
            "messages.2.content.1",
            twice.to_owned(),
        ),
    ];
    for (conversation, field, message) in rows {
        let found = wrong(Dialect::Messages, &conversation);
        assert_eq!(
            found,
            Some((field.to_owned(), format!("{field}: {message}")))
        );
    }
}

#[test]
fn what_a_compaction_stands_for_is_not_looked_at() {
    let behind = |content: Value| {
        let compaction =
            json!({"role": "assistant", "content": [{"type": "compaction", "content": content}]});
        wrong(
            Dialect::Messages,
            &[user("a"), uses(&["t1"]), user("b"), compaction, user("c")],
        )
    };
    assert_eq!(behind(json!("all of it")), None);
    assert!(behind(Value::Null).is_some(), "it failed");
    let compaction = json!({"type": "compaction", "encrypted_content": "x"});
    let late = json!({"type": "function_call_output", "call_id": "c1", "output": "done"});
    assert_eq!(
        wrong(Dialect::Responses, &[compaction, late, user("b")]),
        None
    );
}

/// A message of Chat that calls.
fn calls(ids: &[&str]) -> Value {
    let call = |id: &&str| json!({"id": id, "type": "function", "function": {"name": "read", "arguments": "{}"}});
    json!({"role": "assistant", "content": null, "tool_calls": ids.iter().map(call).collect::<Vec<_>>()})
}

fn tool(id: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": "done"})
}

#[test]
fn chat_has_results_right_behind_their_calls() {
    let taken = [
        vec![user("a"), calls(&["c1", "c2"]), tool("c2"), tool("c1")],
        vec![
            user("a"),
            calls(&["c1"]),
            tool("c1"),
            calls(&["c1"]),
            tool("c1"),
            user("b"),
        ],
    ];
    for conversation in taken {
        assert_eq!(
            wrong(Dialect::Chat, &conversation),
            None,
            "{conversation:?}"
        );
    }
    let no_calls = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.";
    let not_found =
        "Invalid parameter: 'tool_call_id' of 'c2' not found in 'tool_calls' of previous message.";
    let missing = "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
                   'tool_call_id'. The following tool_call_ids did not have response messages: c1";
    let rows = [
        (vec![user("a"), tool("c1")], "messages.[1].role", no_calls),
        (
            vec![user("a"), calls(&["c1"]), tool("c1"), user("b"), tool("c1")],
            "messages.[4].role",
            no_calls,
        ),
        (
            vec![user("a"), calls(&["c1"]), tool("c2")],
            "messages.[2].tool_call_id",
            not_found,
        ),
        (
            vec![user("a"), calls(&["c1"]), user("b"), tool("c1")],
            "messages.[2].role",
            missing,
        ),
        (
            vec![user("a"), calls(&["c2", "c1"]), tool("c2")],
            "messages.[2].role",
            missing,
        ),
    ];
    for (conversation, field, message) in rows {
        let found = wrong(Dialect::Chat, &conversation);
        assert_eq!(found, Some((field.to_owned(), message.to_owned())));
    }
}

/// A call of Responses with more fields.
fn call(id: &str, more: &Value) -> Value {
    let mut call =
        json!({"type": "function_call", "call_id": id, "name": "read", "arguments": "{}"});
    for (key, value) in more.as_object().unwrap() {
        call[key] = value.clone();
    }
    call
}

fn output(id: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": "done"})
}

/// A call of a custom tool, and its result.
fn custom() -> [Value; 2] {
    [
        json!({"type": "custom_tool_call", "call_id": "c1", "name": "run", "input": "ls"}),
        json!({"type": "custom_tool_call_output", "call_id": "c1", "output": "a"}),
    ]
}

#[test]
fn responses_has_calls_and_results_by_their_ids() {
    let plain = |id: &str| call(id, &json!({}));
    let [free, free_output] = custom();
    let taken = [
        vec![
            user("a"),
            plain("c1"),
            plain("c2"),
            assistant("I look."),
            output("c2"),
            user("b"),
            output("c1"),
        ],
        vec![user("a"), call("c1", &json!({"async": true})), user("b")],
        vec![
            user("a"),
            call("c1", &json!({"status": "incomplete"})),
            user("b"),
        ],
        vec![
            user("a"),
            call("c1", &json!({"caller": {"type": "program"}})),
        ],
        vec![user("a"), free, free_output],
    ];
    for conversation in taken {
        let found = wrong(Dialect::Responses, &conversation);
        assert_eq!(found, None, "{conversation:?}");
    }
}

#[test]
fn responses_refuses_results_without_calls_and_calls_without_results() {
    let plain = |id: &str| call(id, &json!({}));
    let direct = json!({"status": "completed", "caller": {"type": "direct"}});
    let [free, free_output] = custom();
    let rows = [
        (
            vec![user("a"), output("c1"), plain("c1")],
            "No tool call found for function call output with call_id c1.",
        ),
        (
            vec![user("a"), free_output],
            "No tool call found for custom tool call output with call_id c1.",
        ),
        (
            vec![user("a"), plain("c1"), user("b")],
            "No tool output found for function call c1.",
        ),
        (
            vec![user("a"), call("c1", &direct)],
            "No tool output found for function call c1.",
        ),
        (
            vec![user("a"), free],
            "No tool output found for custom tool call c1.",
        ),
    ];
    for (conversation, message) in rows {
        let found = wrong(Dialect::Responses, &conversation);
        assert_eq!(found, Some(("input".to_owned(), message.to_owned())));
    }
}
