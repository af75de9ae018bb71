//! What a line on a server's stdout says. Pure.

use std::borrow::Cow;

use rmcp::model::{ErrorData, JsonRpcMessage, RequestId, ServerJsonRpcMessage, ServerResult, Tool};
use serde_json::{Value, json};

/// The messages of a line: one, or those of a batch as older versions of the protocol know it. None for
/// a line that is no message.
pub(crate) fn messages(line: &[u8]) -> Option<Vec<ServerJsonRpcMessage>> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let batch = match line.trim_ascii_start().first() {
        Some(b'{') => false,
        Some(b'[') => true,
        _ => return None,
    };
    if !batch
        && let Ok(message) = serde_json::from_slice(line)
        && !is_odd(&message)
    {
        return Some(vec![message]);
    }
    // Somebody may wait for what this answers, so that more is tried than once.
    let text = with_whole_characters(&String::from_utf8_lossy(line)).into_owned();
    let value: Value = serde_json::from_str(&text).ok()?;
    let parts = match value {
        Value::Array(parts) => parts,
        one => vec![one],
    };
    parts.into_iter().map(message).collect()
}

/// Whether this is an answer of no kind that the protocol knows.
fn is_odd(message: &ServerJsonRpcMessage) -> bool {
    matches!(message, JsonRpcMessage::Response(answer)
        if matches!(answer.result, ServerResult::CustomResult(_)))
}

/// Takes out of a list of tools what is none, so that one is not the end of all. One that says nothing of what
/// it takes has it from here.
fn keep_tools(value: &mut Value) {
    let tools = value.pointer_mut("/result/tools");
    let Some(tools) = tools.and_then(Value::as_array_mut) else {
        return;
    };
    for tool in tools.iter_mut().filter_map(Value::as_object_mut) {
        let takes = tool.entry("inputSchema").or_insert(Value::Null);
        if !takes.is_object() {
            *takes = json!({"type": "object"});
        }
        // No more than hints.
        let fits = serde_json::from_value::<Tool>(Value::Object(tool.clone())).is_ok();
        if !fits {
            tool.retain(|key, _| matches!(key.as_str(), "name" | "description" | "inputSchema"));
        }
    }
    tools.retain(|tool| serde_json::from_value::<Tool>(tool.clone()).is_ok());
}

fn message(mut value: Value) -> Option<ServerJsonRpcMessage> {
    keep_tools(&mut value);
    let id = value.get("id").filter(|id| !id.is_null()).cloned();
    let is_answer = value.get("method").is_none()
        && (value.get("result").is_some() || value.get("error").is_some());
    if let Ok(message) = serde_json::from_value(value) {
        return Some(message);
    }
    let id: RequestId = serde_json::from_value(id.filter(|_| is_answer)?).ok()?;
    let why = "the server's answer is not one of the protocol";
    Some(ServerJsonRpcMessage::error(
        ErrorData::internal_error(why, None),
        Some(id),
    ))
}

/// The text with U+FFFD in place of escaped halves of characters: programs that cut texts after so many
/// units of UTF-16 print them, and no parser of ours takes them.
fn with_whole_characters(text: &str) -> Cow<'_, str> {
    const UNKNOWN: &str = "\\ufffd";
    let mut whole = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        whole.push_str(before);
        let (kept, length) = match (half(escape), escape.get(6..).and_then(half)) {
            (Some(Half::First), Some(Half::Second)) => (&escape[..12], 12),
            (Some(_), _) => (UNKNOWN, 6),
            // The character behind it may be a backslash too.
            (None, _) => {
                let next = escape[1..].chars().next().map_or(0, char::len_utf8);
                (&escape[..=next], 1 + next)
            }
        };
        whole.push_str(kept);
        rest = &escape[length..];
    }
    if whole.is_empty() {
        return Cow::Borrowed(text);
    }
    whole.push_str(rest);
    Cow::Owned(whole)
}

enum Half {
    First,
    Second,
}

/// The half of a character that is escaped at the beginning of a text.
fn half(text: &str) -> Option<Half> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Half::First),
        0xdc00..=0xdfff => Some(Half::Second),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(line: &[u8]) -> Option<Vec<Value>> {
        let messages = messages(line)?;
        let values = messages.iter().map(|it| serde_json::to_value(it).unwrap());
        Some(values.collect())
    }

    #[test]
    fn a_line_is_a_message_a_batch_or_none() {
        let answer = |id: Value, text: &str| json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": text}]}});
        let error = |id: Value| {
            json!({"jsonrpc": "2.0", "id": id, "error":
                {"code": -32603, "message": "the server's answer is not one of the protocol"}})
        };
        let line = |text: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#
            )
        };
        for (line, expected) in [
            (line("a").into_bytes(), vec![answer(json!(1), "a")]),
            (
                [b"\xef\xbb\xbf ".to_vec(), line("a").into_bytes()].concat(),
                vec![answer(json!(1), "a")],
            ),
            (
                format!("[{},{}]", line("a"), line("b")).into_bytes(),
                vec![answer(json!(1), "a"), answer(json!(1), "b")],
            ),
            (
                line("\u{1}")
                    .bytes()
                    .map(|it| if it == 1 { 0xff } else { it })
                    .collect(),
                vec![answer(json!(1), "\u{fffd}")],
            ),
            (
                line(r"\ud83d\ude00 \ud83d").into_bytes(),
                vec![answer(json!(1), "😀 \u{fffd}")],
            ),
            (
                line(r"\\\ude00\\ud83d").into_bytes(),
                vec![answer(json!(1), "\\\u{fffd}\\ud83d")],
            ),
            (
                br#"{"jsonrpc":"2.0","id":"x","error":{"code":"odd"}}"#.to_vec(),
                vec![error(json!("x"))],
            ),
            (br#"{"id":7,"result":{}}"#.to_vec(), vec![error(json!(7))]),
        ] {
            assert_eq!(
                read(&line),
                Some(expected),
                "{}",
                String::from_utf8_lossy(&line)
            );
        }
        for rubbish in [
            "",
            "Starting",
            "{",
            "{}",
            "[1]",
            "[\"a\"]",
            "\"a\"",
            r#"{"level":"info"}"#,
        ] {
            assert_eq!(read(rubbish.as_bytes()), None, "{rubbish}");
        }
    }

    #[test]
    fn a_tool_that_is_none_costs_no_other_one() {
        for (odd, named) in [
            (json!({"name": "a"}), true),
            (json!({"name": "a", "inputSchema": null}), true),
            (json!({"name": "a", "inputSchema": {}, "icons": "x"}), true),
            (
                json!({"name": "a", "inputSchema": {}, "annotations": {"title": 5}}),
                true,
            ),
            (json!({"name": 5, "inputSchema": {}}), false),
            (json!("a"), false),
        ] {
            let good = json!({"name": "good", "inputSchema": {"type": "object"}});
            let list = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": [odd, good]}});
            let told = messages(list.to_string().as_bytes()).unwrap();
            let [JsonRpcMessage::Response(answer)] = &told[..] else {
                panic!("{told:?}");
            };
            let ServerResult::ListToolsResult(list) = &answer.result else {
                panic!("{answer:?}");
            };
            let names: Vec<&str> = list.tools.iter().map(|tool| &*tool.name).collect();
            let expected: &[&str] = if named { &["a", "good"] } else { &["good"] };
            assert_eq!(names, expected, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn every_string_of_halves_can_be_read(units in prop::collection::vec(
            prop_oneof![Just(0xd83d_u16), Just(0xde00), Just(0x5c), 0u16.., 0x20u16..0x7f], 0..12,
        )) {
            let escaped: String = units
                .iter()
                .map(|unit| match unit {
                    0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e => char::from_u32(u32::from(*unit)).unwrap().to_string(),
                    0x5c => r"\\".to_owned(),
                    unit => format!("\\u{unit:04x}"),
                })
                .collect();
            let whole = with_whole_characters(&escaped);
            let read: String = serde_json::from_str(&format!("\"{whole}\"")).unwrap();
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
        }
    }
}
