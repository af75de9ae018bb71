//! Answers as bytes.

use std::fmt::Write as _;

/// The day the server says it is; a price row of it is known.
const DATE: &str = "Sun, 01 Nov 2026 10:00:00 GMT";

/// A whole response with a body of known length.
pub(crate) fn response(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} x\r\ndate: {DATE}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

/// An error in JSON with further header lines.
pub(crate) fn error(status: u16, headers: &str, kind: &str, message: &str) -> Vec<u8> {
    let body = serde_json::json!({"type": "error", "error": {"type": kind, "message": message}});
    let headers = format!("content-type: application/json\r\n{headers}");
    response(status, &headers, &body.to_string())
}

/// The head of a stream and its first events, without an end.
pub(crate) fn opening(events: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ndate: {DATE}\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
         transfer-encoding: chunked\r\n\r\n{}",
        chunk(events)
    )
    .into_bytes()
}

/// A whole stream.
pub(crate) fn stream(events: &str) -> Vec<u8> {
    let mut bytes = opening(events);
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn events(list: &[serde_json::Value]) -> String {
    let mut text = String::new();
    for event in list {
        if let Some(kind) = event["type"].as_str() {
            let _ = writeln!(text, "event: {kind}");
        }
        let _ = write!(text, "data: {event}\n\n");
    }
    text
}

/// A Messages answer: its first half is everything up to the end of the words.
pub(crate) fn messages_halves(words: &str) -> (String, String) {
    let start = serde_json::json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5",
        "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 1000, "output_tokens": 1}}});
    let first = events(&[
        start,
        serde_json::json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""}}),
        serde_json::json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": words}}),
    ]);
    let second = events(&[
        serde_json::json!({"type": "content_block_stop", "index": 0}),
        serde_json::json!({"type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 10}}),
        serde_json::json!({"type": "message_stop"}),
    ]);
    (first, second)
}

pub(crate) fn messages(words: &str) -> Vec<u8> {
    let (first, second) = messages_halves(words);
    stream(&(first + &second))
}

pub(crate) fn responses(words: &str) -> Vec<u8> {
    let part = serde_json::json!({"type": "output_text", "text": words, "annotations": []});
    let item = serde_json::json!({"id": "msg_1", "type": "message", "role": "assistant",
        "status": "completed", "content": [part]});
    let call = serde_json::json!({"id": "fc_1", "type": "function_call", "status": "completed",
        "call_id": "call_9", "name": "shell", "arguments": "{\"command\":\"ls\"}"});
    stream(&events(&[
        serde_json::json!({"type": "response.created", "sequence_number": 0,
            "response": {"id": "resp_1", "model": "gpt-5", "status": "in_progress"}}),
        serde_json::json!({"type": "response.output_item.added", "output_index": 0,
            "item": {"id": "msg_1", "type": "message", "role": "assistant", "content": []}}),
        serde_json::json!({"type": "response.output_text.delta", "item_id": "msg_1",
            "output_index": 0, "content_index": 0, "delta": words}),
        serde_json::json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        serde_json::json!({"type": "response.output_item.done", "output_index": 1, "item": call}),
        serde_json::json!({"type": "response.completed", "response": {
            "id": "resp_1", "model": "gpt-5", "status": "completed", "output": [item, call],
            "usage": {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 400},
                "output_tokens": 10, "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 1010}}}),
    ]))
}

pub(crate) fn chat(words: &str) -> Vec<u8> {
    let chunk = |delta: serde_json::Value, finish: Option<&str>| {
        serde_json::json!({"id": "c", "object": "chat.completion.chunk", "model": "local",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let mut text = events(&[
        chunk(
            serde_json::json!({"role": "assistant", "content": ""}),
            None,
        ),
        chunk(serde_json::json!({"content": words}), None),
        chunk(serde_json::json!({}), Some("stop")),
        serde_json::json!({"id": "c", "object": "chat.completion.chunk", "model": "local",
            "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3,
                "total_tokens": 10}}),
    ]);
    text.push_str("data: [DONE]\n\n");
    stream(&text)
}

/// A Messages answer that is a compaction and nothing else.
pub(crate) fn compacted() -> Vec<u8> {
    let start = serde_json::json!({"type": "message_start", "message": {
        "id": "msg_1", "model": "claude-opus-5", "content": [], "stop_reason": null,
        "usage": {"input_tokens": 0, "output_tokens": 0}}});
    stream(&events(&[
        start,
        serde_json::json!({"type": "content_block_start", "index": 0,
            "content_block": {"type": "compaction", "content": null}}),
        serde_json::json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "compaction_delta", "content": "In brief."}}),
        serde_json::json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "signature_delta", "signature": "s="}}),
        serde_json::json!({"type": "content_block_stop", "index": 0}),
        serde_json::json!({"type": "message_delta", "delta": {"stop_reason": "compaction"},
            "usage": {"input_tokens": 0, "output_tokens": 0, "iterations": [
                {"type": "compaction", "input_tokens": 1000, "output_tokens": 100}]}}),
        serde_json::json!({"type": "message_stop"}),
    ]))
}
