//! Items of inputs, outputs and conversations: their ids, and how lists show them.

use std::sync::Arc;

use quire_translate::{Reason, Refusal};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::fields::quoted;
use crate::clock::new_id;

/// An item with the id by which it is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its own id, or one that is made of its place.
    pub(crate) id: String,
    /// What it is: `message`, `function_call`…
    pub(crate) kind: String,
    /// The item as it came, as JSON.
    pub(crate) raw: Arc<str>,
}

#[derive(serde::Deserialize)]
struct Head {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    call_id: Option<String>,
    encrypted_content: Option<String>,
    content: Option<Box<RawValue>>,
}

impl Item {
    /// An item as it came. One without an id gets one by its place in the list of `owner`, the same each time.
    pub(crate) fn read(raw: &str, owner: &str, place: usize) -> Result<Self, Refusal> {
        let head = head(raw)?;
        let kind = head.kind.unwrap_or_else(|| "message".to_owned());
        let id = head.id.filter(|id| !id.is_empty());
        Ok(Self {
            id: id.unwrap_or_else(|| place_id(&kind, owner, place)),
            kind,
            raw: raw.into(),
        })
    }

    /// Whether a model can make something of it that has not made it in this very moment: reasoning that is kept
    /// elsewhere cannot be read by anybody.
    pub(crate) fn is_readable(&self) -> bool {
        if self.kind != "reasoning" {
            return true;
        }
        let is_full = |head: Head| {
            let content = head.content.as_deref().map(RawValue::get);
            head.encrypted_content
                .is_some_and(|cipher| !cipher.is_empty())
                || content.is_some_and(|content| content != "[]")
        };
        head(&self.raw).is_ok_and(is_full)
    }

    /// By what a call and its result belong together.
    pub(crate) fn call_id(&self) -> Option<String> {
        head(&self.raw).ok()?.call_id
    }

    /// As lists show it.
    pub(crate) fn shown(&self) -> Value {
        let Ok(Value::Object(object)) = serde_json::from_str(&self.raw) else {
            return Value::Null;
        };
        shown(object, &self.kind, &self.id)
    }
}

fn head(raw: &str) -> Result<Head, Refusal> {
    serde_json::from_str(raw).map_err(|error| {
        Refusal::new(
            Reason::Invalid,
            format!("input: an item is not as it should be: {error}"),
        )
        .about("input")
    })
}

/// The items of an `input`: a text is a message of the user.
pub(crate) fn input(raw: Option<&str>, owner: &str) -> Result<Vec<Item>, Refusal> {
    let Some(raw) = raw else {
        return Ok(Vec::new());
    };
    if raw.starts_with('"') {
        let message = format!(r#"{{"role":"user","content":{raw}}}"#);
        return Ok(vec![Item::read(&message, owner, 0)?]);
    }
    let items: Vec<&RawValue> = serde_json::from_str(raw).map_err(|_| {
        Refusal::new(
            Reason::Invalid,
            "input: it must be a text or a list of items",
        )
        .about("input")
    })?;
    let read = |(place, item): (usize, &&RawValue)| Item::read(item.get(), owner, place);
    items.iter().enumerate().map(read).collect()
}

/// Items as one JSON list.
pub(crate) fn list<'a>(items: impl Iterator<Item = &'a Item>) -> String {
    let mut list = String::from("[");
    for item in items {
        if list.len() > 1 {
            list.push(',');
        }
        list.push_str(&item.raw);
    }
    list.push(']');
    list
}

/// An item as lists show it: with its id, its type, and its words in parts.
fn shown(object: Map<String, Value>, kind: &str, id: &str) -> Value {
    let mut item = Map::new();
    item.insert("id".to_owned(), id.into());
    item.insert("type".to_owned(), kind.into());
    let is_assistants = object.get("role").and_then(Value::as_str) == Some("assistant");
    for (name, value) in object {
        let value = match value {
            Value::String(text) if kind == "message" && name == "content" => {
                if is_assistants {
                    json!([{"type": "output_text", "text": text, "annotations": []}])
                } else {
                    json!([{"type": "input_text", "text": text}])
                }
            }
            other => other,
        };
        if name != "id" && name != "type" {
            item.insert(name, value);
        }
    }
    if kind == "message" && !item.contains_key("status") {
        item.insert("status".to_owned(), "completed".into());
    }
    Value::Object(item)
}

/// A new id for an item of a kind.
pub(crate) fn fresh_id(kind: &str) -> String {
    new_id(prefix(kind))
}

fn place_id(kind: &str, owner: &str, place: usize) -> String {
    let owner = owner.split_once('_').map_or(owner, |(_, rest)| rest);
    format!("{}{owner}{place:04x}", prefix(kind))
}

fn prefix(kind: &str) -> &'static str {
    match kind {
        "message" => "msg_",
        "reasoning" => "rs_",
        "function_call" => "fc_",
        "function_call_output" => "fco_",
        "custom_tool_call" => "ctc_",
        "custom_tool_call_output" => "ctco_",
        "compaction" => "cmp_",
        _other => "item_",
    }
}

/// The item with another id.
pub(crate) fn with_id(raw: &str, id: &str) -> String {
    match super::fields::Fields::read(raw.as_bytes()) {
        Ok(mut fields) => {
            fields.set("id", quoted(id));
            fields.write()
        }
        Err(_) => raw.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_message_and_ids_are_the_same_each_time() {
        let items = input(Some(r#""hello""#), "resp_a").unwrap();
        assert_eq!(items, input(Some(r#""hello""#), "resp_a").unwrap());
        assert_eq!(
            items[0].shown(),
            json!({"id": "msg_a0000", "type": "message", "role": "user",
                "content": [{"type": "input_text", "text": "hello"}], "status": "completed"})
        );
        let raw = r#"[{"type":"function_call","id":"fc_1","call_id":"c"},{"role":"assistant","content":"yes"}]"#;
        let items = input(Some(raw), "resp_a").unwrap();
        assert_eq!(items[0].id, "fc_1");
        assert_eq!(items[1].shown()["content"][0]["type"], "output_text");
        assert_eq!(list(items.iter()), raw);
        assert!(input(Some("7"), "resp_a").is_err());
    }

    #[test]
    fn reasoning_without_its_cipher_cannot_be_read() {
        for (raw, readable) in [
            (r#"{"type":"reasoning","id":"rs_1","summary":[]}"#, false),
            (r#"{"type":"reasoning","encrypted_content":null}"#, false),
            (r#"{"type":"reasoning","encrypted_content":"gAAA"}"#, true),
            (
                r#"{"type":"reasoning","content":[{"type":"reasoning_text","text":"t"}]}"#,
                true,
            ),
            (r#"{"role":"user","content":"t"}"#, true),
        ] {
            assert_eq!(
                Item::read(raw, "o", 0).unwrap().is_readable(),
                readable,
                "{raw}"
            );
        }
    }
}
