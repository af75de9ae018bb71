//! What servers answer, as what a model reads. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_protocol::{Content, ToolOutcome, ToolStatus, clean, image_media_type};
use rmcp::model::{CallToolResult, ContentBlock, ErrorData, Resource, ResourceContents};

/// Characters that an error's text has at most.
const LONGEST_ERROR: usize = 4000;

/// An answer that a call failed.
pub(crate) fn failed(text: impl AsRef<str>) -> ToolOutcome {
    let text = cut(text.as_ref(), LONGEST_ERROR);
    ToolOutcome::failed(text)
}

/// What a call came to.
pub(crate) fn answer(result: CallToolResult) -> ToolOutcome {
    let status = if result.is_error == Some(true) {
        ToolStatus::Failed
    } else {
        ToolStatus::Done
    };
    let mut content: Vec<Content> = result.content.into_iter().map(block).collect();
    // Providers refuse texts that say nothing.
    content.retain(|block| block.as_text().is_none_or(|text| !text.trim().is_empty()));
    if content.is_empty() {
        let structured = result.structured_content.map(|value| value.to_string());
        let text = structured.unwrap_or_else(|| "(the tool answered nothing)".to_owned());
        content.push(Content::text(text));
    }
    ToolOutcome {
        status,
        content,
        ..ToolOutcome::default()
    }
}

/// What an error of the protocol says.
pub(crate) fn protocol_error(error: &ErrorData) -> String {
    let data = match &error.data {
        None => String::new(),
        Some(data) => format!(" ({})", cut(&data.to_string(), 1000)),
    };
    let message = cut(&clean(&error.message), 2000);
    format!("error {}: {message}{data}", error.code.0)
}

/// The beginning of a text, with a word where it was cut.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some((end, _)) => format!("{} … (cut)", &text[..end]),
    }
}

fn block(block: ContentBlock) -> Content {
    match block {
        ContentBlock::Text(text) => Content::Text { text: text.text },
        ContentBlock::Image(image) => shown(&image.mime_type, image.data),
        ContentBlock::Audio(audio) => Content::text(format!(
            "(audio, {}, {} bytes, is not shown)",
            line(&audio.mime_type),
            decoded_size(&audio.data)
        )),
        ContentBlock::Resource(embedded) => resource(embedded.resource),
        ContentBlock::ResourceLink(link) => Content::text(linked(&link)),
        _ => Content::text("(something of a kind that is not known here)"),
    }
}

/// An image that models take, else what it was.
fn shown(told: &str, data: String) -> Content {
    let mut data = data;
    if data.contains(|char: char| char.is_ascii_whitespace()) {
        data.retain(|char| !char.is_ascii_whitespace());
    }
    let bytes = STANDARD.decode(&data).ok();
    // Providers refuse an image that is not what its type says.
    match bytes.as_deref().and_then(image_media_type) {
        Some(media_type) => Content::Image {
            media_type: media_type.to_owned(),
            data,
        },
        None => Content::text(format!(
            "(an image, {}, {} bytes, that is not shown: models take png, jpeg, gif and webp)",
            line(told),
            decoded_size(&data)
        )),
    }
}

fn resource(resource: ResourceContents) -> Content {
    match resource {
        ResourceContents::TextResourceContents { uri, text, .. } => {
            Content::text(format!("{}:\n{text}", line(&uri)))
        }
        ResourceContents::BlobResourceContents {
            uri,
            mime_type,
            blob,
            ..
        } => {
            let known = mime_type.as_deref().unwrap_or("of an unknown type");
            if known.starts_with("image/") {
                return shown(known, blob);
            }
            Content::text(format!(
                "(resource {}, {}, {} bytes, is not shown)",
                line(&uri),
                line(known),
                decoded_size(&blob)
            ))
        }
        _ => Content::text("(a resource of a kind that is not known here)"),
    }
}

fn linked(link: &Resource) -> String {
    let title = link.title.as_deref().unwrap_or(&link.name);
    let mut text = format!("Resource {} ({})", line(&link.uri), line(title));
    if let Some(description) = &link.description {
        text = format!("{text}: {}", line(description));
    }
    text
}

/// Foreign words on one line, of a sane length.
pub(crate) fn line(text: &str) -> String {
    cut(&clean(text).replace(['\n', '\t'], " "), 300)
}

/// How many bytes this base64 stands for.
fn decoded_size(data: &str) -> usize {
    data.trim_end_matches('=').len() * 3 / 4
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0000";

    fn read(result: Value) -> (ToolStatus, Vec<Content>) {
        let answer = answer(serde_json::from_value(result).unwrap());
        (answer.status, answer.content)
    }

    #[test]
    fn what_is_no_text_or_image_becomes_a_line() {
        let png = STANDARD.encode(PNG);
        let text = |text: &str| Content::text(text);
        for (block, expected) in [
            (
                json!({"type": "text", "text": "a\u{1b}b"}),
                text("a\u{1b}b"),
            ),
            (
                json!({"type": "image", "data": png, "mimeType": "image/jpeg"}),
                Content::Image {
                    media_type: "image/png".to_owned(),
                    data: png.clone(),
                },
            ),
            (
                json!({"type": "image", "data": format!("{}\n{}", &png[..8], &png[8..]), "mimeType": "image/png"}),
                Content::Image {
                    media_type: "image/png".to_owned(),
                    data: png.clone(),
                },
            ),
            (
                json!({"type": "image", "data": "PHN2Zz4=", "mimeType": "image/svg+xml"}),
                text(
                    "(an image, image/svg+xml, 5 bytes, that is not shown: models take png, jpeg, gif and webp)",
                ),
            ),
            (
                json!({"type": "image", "data": "!", "mimeType": "image/png"}),
                text(
                    "(an image, image/png, 0 bytes, that is not shown: models take png, jpeg, gif and webp)",
                ),
            ),
            (
                json!({"type": "audio", "data": "AAAA", "mimeType": "audio/wav\nx"}),
                text("(audio, audio/wav x, 3 bytes, is not shown)"),
            ),
            (
                json!({"type": "resource", "resource": {"uri": "file:///a", "text": "A\nB"}}),
                text("file:///a:\nA\nB"),
            ),
            (
                json!({"type": "resource", "resource": {"uri": "x:y", "blob": "AAAAAA==", "mimeType": "a/b"}}),
                text("(resource x:y, a/b, 4 bytes, is not shown)"),
            ),
            (
                json!({"type": "resource", "resource": {"uri": "x:y", "blob": png, "mimeType": "image/png"}}),
                Content::Image {
                    media_type: "image/png".to_owned(),
                    data: png.clone(),
                },
            ),
            (
                json!({"type": "resource_link", "uri": "x:y", "name": "n", "description": "about"}),
                text("Resource x:y (n): about"),
            ),
        ] {
            let result = json!({"content": [block], "structuredContent": {"a": 1}});
            assert_eq!(read(result), (ToolStatus::Done, vec![expected]));
        }
    }

    #[test]
    fn structured_content_is_read_where_there_is_no_other() {
        for (result, expected) in [
            (
                json!({"content": [], "structuredContent": {"b": 1, "a": [2]}}),
                r#"{"b":1,"a":[2]}"#,
            ),
            (json!({"structuredContent": null}), "null"),
            (json!({"content": []}), "(the tool answered nothing)"),
            (
                json!({"content": [{"type": "text", "text": " \n"}]}),
                "(the tool answered nothing)",
            ),
            (
                json!({"content": [{"type": "text", "text": ""}, {"type": "text", "text": "a"}]}),
                "a",
            ),
        ] {
            assert_eq!(
                read(result),
                (ToolStatus::Done, vec![Content::text(expected)])
            );
        }
    }

    #[test]
    fn an_error_keeps_its_content() {
        let result = json!({"content": [{"type": "text", "text": "no"}], "isError": true});
        assert_eq!(
            read(result),
            (ToolStatus::Failed, vec![Content::text("no")])
        );
    }

    #[test]
    fn errors_of_the_protocol_are_told_with_their_codes_and_of_a_sane_size() {
        let error = |value: Value| protocol_error(&serde_json::from_value(value).unwrap());
        assert_eq!(
            error(json!({"code": -32602, "message": "b\u{1b}[31mad", "data": {"a": 1}})),
            r#"error -32602: bad ({"a":1})"#
        );
        let long = error(json!({"code": 1, "message": "x".repeat(9000)}));
        assert!(
            long.len() < 2100 && long.ends_with("(cut)"),
            "{}",
            long.len()
        );
    }
}
