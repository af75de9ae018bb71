//! A request that refers to files of this server, with the files in it: no upstream knows their ids.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use quire_depot::{FileId, Files, StoredFile, WorkspaceId};
use quire_translate::{Reason, Refusal};
use serde_json::{Map, Value, json};

use crate::cores;
use crate::reply::Denial;

/// Most bytes of a file that goes into a request; vendors take 32 MB of request.
const MOST: u64 = 32 << 20;
/// How a reference is written, in every API.
const MARK: &[u8] = b"\"file_id\"";

/// Most bytes that files add to a request.
const MOST_ADDED: u64 = 64 << 20;
/// Most files that a request refers to: each is looked for in the store.
const MOST_FILES: usize = 1_000;
/// Fields that hold a client's own JSON, in which nothing is a reference.
const CLOSED: &[&str] = &["arguments", "tools", "metadata"];
/// Blocks whose `input` is a tool's.
const CALLS: &[&str] = &[
    "tool_use",
    "server_tool_use",
    "mcp_tool_use",
    "custom_tool_call",
];

/// The body with every file of the workspace that it refers to in it. Ids that are not known here stay: they may be
/// the upstream's own.
pub(crate) async fn inline(
    files: &Files,
    workspace: &WorkspaceId,
    body: Bytes,
) -> Result<Bytes, Denial> {
    if memchr::memmem::find(&body, MARK).is_none() {
        return Ok(body);
    }
    // Files may be large.
    let (files, workspace) = (files.clone(), workspace.clone());
    cores::aside(async move { filled(&files, &workspace, body).await }).await
}

/// The body of a request that refers to files, with those in it.
async fn filled(files: &Files, workspace: &WorkspaceId, body: Bytes) -> Result<Bytes, Denial> {
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else {
        // What is wrong with it is told by whoever reads it.
        return Ok(body);
    };
    let references = references(&mut value);
    if references.len() > MOST_FILES {
        let message = format!(
            "This request refers to {} files, and may refer to {MOST_FILES}: send fewer in one request.",
            references.len()
        );
        return Err(Refusal::new(Reason::TooLarge, message).into());
    }
    let mut found = HashMap::new();
    let mut added = 0_u64;
    for (id, times) in references {
        let id = FileId::from(id);
        let Some((file, mut reader)) = files.open(workspace, &id).await? else {
            continue;
        };
        added = added.saturating_add(file.size_bytes.saturating_mul(times).saturating_mul(4) / 3);
        if file.size_bytes > MOST || added > MOST_ADDED {
            let message = format!(
                "The files that this request refers to are too large for one request: with {id} they take more than \
                 {MOST} bytes for one or {MOST_ADDED} for all."
            );
            return Err(Refusal::new(Reason::TooLarge, message).into());
        }
        let mut content = Vec::with_capacity(usize::try_from(file.size_bytes).unwrap_or(0));
        while let Some(piece) = reader.next().await? {
            content.extend_from_slice(&piece);
        }
        found.insert(file.id.as_str().to_owned(), (file, content));
    }
    if found.is_empty() {
        return Ok(body);
    }
    put(&mut value, &found);
    Ok(value.to_string().into())
}

/// Files with what is in them, by their ids.
type Found = HashMap<String, (StoredFile, Vec<u8>)>;

/// The ids that a body refers to, and how often.
fn references(value: &mut Value) -> Vec<(String, u64)> {
    let mut found: Vec<(String, u64)> = Vec::new();
    let mut places = HashMap::new();
    each(value, &mut |object| {
        let Some(Value::String(id)) = object.get("file_id") else {
            return;
        };
        let place = *places.entry(id.clone()).or_insert_with(|| {
            found.push((id.clone(), 0));
            found.len() - 1
        });
        found[place].1 += 1;
    });
    found
}

/// Replaces every reference to one of these files.
fn put(value: &mut Value, files: &Found) {
    each(value, &mut |object| {
        let id = object.get("file_id").and_then(Value::as_str);
        if let Some((file, content)) = id.and_then(|id| files.get(id)) {
            replace(object, file, content);
        }
    });
}

/// Looks at every object in which an API has a reference to a file: the source of an image or a document, an item of
/// input, Chat's `file`.
fn each(value: &mut Value, look: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| each(value, look)),
        Value::Object(object) => {
            let kind = object
                .get("type")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            match kind.as_str() {
                "image" | "document" => {
                    if let Some(Value::Object(source)) = object.get_mut("source")
                        && source.get("type").and_then(Value::as_str) == Some("file")
                    {
                        look(source);
                    }
                }
                "input_image" | "input_file" => look(object),
                "file" => {
                    if let Some(Value::Object(file)) = object.get_mut("file") {
                        look(file);
                    }
                }
                _ => {}
            }
            let is_call = CALLS.contains(&kind.as_str());
            for (key, value) in object.iter_mut() {
                let is_closed = CLOSED.contains(&key.as_str()) || (is_call && key == "input");
                if !is_closed {
                    each(value, look);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn replace(object: &mut Map<String, Value>, file: &StoredFile, content: &[u8]) {
    let kind = file.mime_type.split(';').next().unwrap_or_default().trim();
    let encoded = || STANDARD.encode(content);
    let url = || format!("data:{kind};base64,{}", encoded());
    object.shift_remove("file_id");
    match object.get("type").and_then(Value::as_str) {
        // Messages: the source of an image or a document.
        Some("file") => {
            let source = match std::str::from_utf8(content) {
                Ok(text) if kind.starts_with("text/") => {
                    json!({"type": "text", "media_type": "text/plain", "data": text})
                }
                _ => json!({"type": "base64", "media_type": kind, "data": encoded()}),
            };
            if let Value::Object(source) = source {
                *object = source;
            }
        }
        // Responses.
        Some("input_image") => {
            object.insert("image_url".to_owned(), url().into());
        }
        // Responses' `input_file`, and Chat's object within `{"type":"file"}`.
        Some(_) | None => {
            object.insert("filename".to_owned(), file.filename.clone().into());
            object.insert("file_data".to_owned(), url().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(mime_type: &str) -> Found {
        let file = StoredFile {
            id: FileId::from("file_1"),
            filename: "a.txt".to_owned(),
            mime_type: mime_type.to_owned(),
            purpose: String::new(),
            downloadable: false,
            size_bytes: 2,
            created_at: 0,
            expires_at: None,
        };
        HashMap::from([("file_1".to_owned(), (file, b"hi".to_vec()))])
    }

    #[test]
    fn a_reference_becomes_the_file_in_each_apis_words() {
        for (kind, reference, became) in [
            (
                "image/png",
                json!({"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
                json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}),
            ),
            (
                "text/csv; charset=utf-8",
                json!({"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
                json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}}),
            ),
            (
                "image/png",
                json!({"type": "input_image", "file_id": "file_1", "detail": "low"}),
                json!({"type": "input_image", "detail": "low", "image_url": "data:image/png;base64,aGk="}),
            ),
            (
                "application/pdf",
                json!({"type": "input_file", "file_id": "file_1"}),
                json!({"type": "input_file", "filename": "a.txt", "file_data": "data:application/pdf;base64,aGk="}),
            ),
            (
                "application/pdf",
                json!({"type": "file", "file": {"file_id": "file_1"}}),
                json!({"type": "file", "file": {"filename": "a.txt", "file_data": "data:application/pdf;base64,aGk="}}),
            ),
            (
                "text/plain",
                json!({"type": "image", "source": {"type": "file", "file_id": "file_2"}}),
                json!({"type": "image", "source": {"type": "file", "file_id": "file_2"}}),
            ),
        ] {
            let mut value = json!({"messages": [{"content": [reference]}]});
            put(&mut value, &file(kind));
            assert_eq!(value["messages"][0]["content"][0], became);
        }
    }

    #[test]
    fn what_a_tool_is_called_with_stays_as_it_is() {
        let body = json!({"messages": [{"content": [
            {"type": "tool_use", "id": "t", "name": "read", "input": {"type": "input_file", "file_id": "file_1"}},
            {"type": "text", "text": "x", "file_id": "file_1"}]}],
            "metadata": {"type": "input_file", "file_id": "file_1"},
            "tools": [{"input_schema": {"type": "input_file", "file_id": "file_1"}}]});
        let mut value = body.clone();
        put(&mut value, &file("text/plain"));
        assert_eq!(value, body);
        assert!(references(&mut value).is_empty());
    }

    #[test]
    fn each_reference_is_counted() {
        let item = |id: &str| json!({"type": "input_file", "file_id": id});
        let mut value =
            json!({"input": [item("a"), {"content": [item("b"), item("a")]}, {"file_id": "c"}]});
        let found = references(&mut value);
        assert_eq!(found, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    }
}
