//! A request that refers to files of this server, with the files in it: no upstream knows their ids.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use quire_depot::{FileId, Files, StoredFile, WorkspaceId};
use quire_translate::{Reason, Refusal};
use serde_json::{Map, Value, json};

use crate::reply::Denial;

/// Most bytes of a file that goes into a request; vendors take 32 MB of request.
const MOST: u64 = 32 << 20;
/// How a reference is written, in every API.
const MARK: &[u8] = b"\"file_id\"";

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
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else {
        // What is wrong with it is told by whoever reads it.
        return Ok(body);
    };
    let mut changed = false;
    for id in ids(&value) {
        let id = FileId::from(id);
        let Some((file, mut reader)) = files.open(workspace, &id).await? else {
            continue;
        };
        if file.size_bytes > MOST {
            let message = format!(
                "File {id} has {} bytes, and a request takes {MOST} of a file.",
                file.size_bytes
            );
            return Err(Refusal::new(Reason::TooLarge, message).into());
        }
        let mut content = Vec::with_capacity(usize::try_from(file.size_bytes).unwrap_or(0));
        while let Some(piece) = reader.next().await? {
            content.extend_from_slice(&piece);
        }
        put(&mut value, &file, &content);
        changed = true;
    }
    Ok(if changed {
        value.to_string().into()
    } else {
        body
    })
}

/// The ids that a body refers to, each once.
fn ids(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(value, &mut |object| {
        if let Some(Value::String(id)) = object.get("file_id")
            && !found.contains(id)
        {
            found.push(id.clone());
        }
    });
    found
}

fn walk(value: &Value, look: &mut impl FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            look(object);
            object.values().for_each(|value| walk(value, look));
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, look)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Replaces every reference to a file.
fn put(value: &mut Value, file: &StoredFile, content: &[u8]) {
    match value {
        Value::Object(object) => {
            if object.get("file_id").and_then(Value::as_str) == Some(file.id.as_str()) {
                replace(object, file, content);
            }
            object
                .values_mut()
                .for_each(|value| put(value, file, content));
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| put(value, file, content)),
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

    fn file(mime_type: &str) -> StoredFile {
        StoredFile {
            id: FileId::from("file_1"),
            filename: "a.txt".to_owned(),
            mime_type: mime_type.to_owned(),
            purpose: String::new(),
            downloadable: false,
            size_bytes: 2,
            created_at: 0,
            expires_at: None,
        }
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
            put(&mut value, &file(kind), b"hi");
            assert_eq!(value["messages"][0]["content"][0], became);
        }
    }

    #[test]
    fn each_id_is_found_once() {
        let value =
            json!([{"file_id": "a"}, {"x": {"file_id": "b"}}, {"file_id": "a"}, {"file_id": null}]);
        assert_eq!(ids(&value), ["a", "b"]);
    }
}
