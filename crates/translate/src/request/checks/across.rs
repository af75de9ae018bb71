//! From one API to another and back, everything survives that both can say.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use quire_dialect::Dialect;
use serde_json::{Value, json};

use super::bodies::body;
use super::both::common;
use crate::request::{Request, Target, decode_request, encode_request};

/// A turn of a conversation that makes sense.
#[derive(Clone, Debug)]
enum Step {
    System(String),
    User(Vec<Piece>),
    /// Words, and calls with their results.
    Model(Option<String>, Vec<(Call, Vec<Piece>)>),
}

#[derive(Clone, Debug)]
enum Piece {
    Words(String),
    Picture(&'static str),
    File(Option<String>),
    Notes(String),
}

#[derive(Clone, Debug)]
struct Call {
    id: String,
    name: &'static str,
    input: &'static str,
    free: bool,
}

fn words() -> BoxedStrategy<String> {
    "[a-zA-Zäß \n\"]{0,12}".boxed()
}

fn piece() -> BoxedStrategy<Piece> {
    prop_oneof![
        4 => words().prop_map(Piece::Words),
        1 => prop::sample::select(&["https://example.com/a.png", "data:image/png;base64,AAAA"][..])
            .prop_map(Piece::Picture),
        1 => option::of("[a-z]{1,6}\\.pdf").prop_map(Piece::File),
        1 => words().prop_map(Piece::Notes),
    ]
    .boxed()
}

fn call() -> BoxedStrategy<Call> {
    let name = prop::sample::select(&["shell", "read_file"][..]);
    let input = prop::sample::select(&["{\"b\":1,\"a\":[2.5]}", "{}", "{\"a\": ", "[1]", ""][..]);
    let id = prop_oneof!["call_[a-zA-Z0-9]{6}", "[a-z]:[a-z.ü]{4}"];
    (id, name, input, any::<bool>())
        .prop_map(|(id, name, input, free)| Call {
            id,
            name,
            input,
            free,
        })
        .boxed()
}

fn conversation() -> BoxedStrategy<Vec<Step>> {
    let step = prop_oneof![
        1 => words().prop_map(Step::System),
        3 => vec(piece(), 1..3).prop_map(Step::User),
        3 => (option::of(words()), vec((call(), vec(piece(), 0..3)), 0..3))
            .prop_map(|(words, calls)| Step::Model(words, calls)),
    ];
    (vec(words().prop_map(Step::System), 0..2), vec(step, 0..6))
        .prop_map(|(mut start, mut rest)| {
            start.push(Step::User(vec![Piece::Words("hello".to_owned())]));
            start.append(&mut rest);
            start
        })
        .boxed()
}

fn in_messages(steps: &[Step]) -> Value {
    let piece = |piece: &Piece| match piece {
        Piece::Words(text) => json!({"type": "text", "text": text}),
        Piece::Picture(url) => match url.strip_prefix("data:image/png;base64,") {
            Some(data) => {
                json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}})
            }
            None => json!({"type": "image", "source": {"type": "url", "url": url}}),
        },
        Piece::File(name) => {
            let source = json!({"type": "base64", "media_type": "application/pdf", "data": "AAAA"});
            json!({"type": "document", "source": source, "title": name})
        }
        Piece::Notes(text) => {
            let source = json!({"type": "text", "media_type": "text/plain", "data": text});
            json!({"type": "document", "source": source, "title": "notes.txt"})
        }
    };
    let all = |pieces: &[Piece]| pieces.iter().map(piece).collect::<Vec<_>>();
    let mut messages = Vec::new();
    for step in steps {
        match step {
            Step::System(text) => messages.push(json!({"role": "system", "content": text})),
            Step::User(pieces) => messages.push(json!({"role": "user", "content": all(pieces)})),
            Step::Model(words, calls) => {
                let mut blocks: Vec<_> = words
                    .iter()
                    .map(|text| json!({"type": "text", "text": text}))
                    .collect();
                let mut results = Vec::new();
                for (call, result) in calls {
                    let input: Value = serde_json::from_str(call.input).unwrap_or_default();
                    let input = if input.is_object() {
                        input
                    } else {
                        json!({"x": call.input})
                    };
                    blocks.push(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}));
                    results.push(json!({"type": "tool_result", "tool_use_id": call.id, "content": all(result)}));
                }
                messages.push(json!({"role": "assistant", "content": blocks}));
                if !results.is_empty() {
                    messages.push(json!({"role": "user", "content": results}));
                }
            }
        }
    }
    messages.into()
}

fn in_responses(steps: &[Step]) -> Value {
    let piece = |piece: &Piece| match piece {
        Piece::Words(text) => json!({"type": "input_text", "text": text}),
        Piece::Picture(url) => json!({"type": "input_image", "image_url": url, "detail": "high"}),
        Piece::File(name) => {
            json!({"type": "input_file", "filename": name, "file_data": "data:application/pdf;base64,AAAA"})
        }
        Piece::Notes(_) => {
            json!({"type": "input_file", "filename": "n.txt", "file_data": "data:text/plain;base64,YWJj"})
        }
    };
    let all = |pieces: &[Piece]| pieces.iter().map(piece).collect::<Vec<_>>();
    let mut items = Vec::new();
    for step in steps {
        match step {
            Step::System(text) => items.push(json!({"role": "developer", "content": text})),
            Step::User(pieces) => items.push(json!({"role": "user", "content": all(pieces)})),
            Step::Model(words, calls) => {
                items.extend(words.iter().map(|text| {
                    json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
                }));
                items.extend(calls.iter().map(|(call, _)| if call.free { json!({"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": call.input}) } else { json!({"type": "function_call", "call_id": call.id, "name": call.name,
                        "arguments": call.input, "namespace": "ns"}) }));
                items.extend(calls.iter().map(|(call, result)| {
                    let kind = if call.free {
                        "custom_tool_call_output"
                    } else {
                        "function_call_output"
                    };
                    json!({"type": kind, "call_id": call.id, "output": all(result)})
                }));
            }
        }
    }
    items.into()
}

fn in_chat(steps: &[Step]) -> Value {
    let piece = |piece: &Piece| match piece {
        Piece::Words(text) | Piece::Notes(text) => json!({"type": "text", "text": text}),
        Piece::Picture(url) => {
            json!({"type": "image_url", "image_url": {"url": url, "detail": "low"}})
        }
        Piece::File(name) => {
            json!({"type": "file", "file": {"filename": name, "file_data": "data:application/pdf;base64,AAAA"}})
        }
    };
    let all = |pieces: &[Piece]| pieces.iter().map(piece).collect::<Vec<_>>();
    let mut messages = Vec::new();
    for step in steps {
        match step {
            Step::System(text) => messages.push(json!({"role": "developer", "content": text})),
            Step::User(pieces) => messages.push(json!({"role": "user", "content": all(pieces)})),
            Step::Model(words, calls) => {
                let told: Vec<_> = calls
                    .iter()
                    .map(|(call, _)| if call.free { json!({"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.input}}) } else { json!({"id": call.id, "type": "function",
                            "function": {"name": call.name, "arguments": call.input}}) })
                    .collect();
                messages.push(json!({"role": "assistant", "content": words, "tool_calls": told}));
                messages.extend(calls.iter().map(|(call, result)| {
                    let texts = result
                        .iter()
                        .filter(|piece| matches!(piece, Piece::Words(_)));
                    let texts: Vec<_> = texts.map(piece).collect();
                    json!({"role": "tool", "tool_call_id": call.id, "content": texts})
                }));
            }
        }
    }
    messages.into()
}

/// A body whose settings are any and whose conversation makes sense.
fn sensible(dialect: Dialect) -> BoxedStrategy<Value> {
    (body(dialect), conversation())
        .prop_map(move |(mut body, steps)| {
            let (key, value) = match dialect {
                Dialect::Messages => ("messages", in_messages(&steps)),
                Dialect::Responses => ("input", in_responses(&steps)),
                Dialect::Chat => ("messages", in_chat(&steps)),
            };
            body[key] = value;
            body
        })
        .boxed()
}

/// The request as another API's client would have sent it, and back again.
fn there_and_back(request: &Request, other: Dialect) -> Option<Request> {
    let there = encode_request(request, &Target::new(other, "m")).ok()?;
    let read = decode_request(other, &there.body);
    let read = read
        .unwrap_or_else(|refusal| panic!("{refusal:?} {}", String::from_utf8_lossy(&there.body)));
    let back = encode_request(&read, &Target::new(request.from, "m"));
    let back = back
        .unwrap_or_else(|refusal| panic!("{refusal:?} {}", String::from_utf8_lossy(&there.body)));
    Some(decode_request(request.from, &back.body).unwrap())
}

fn check(from: Dialect, other: Dialect, body: &Value) -> Result<(), TestCaseError> {
    let request = decode_request(from, body.to_string().as_bytes()).unwrap();
    if let Some(back) = there_and_back(&request, other) {
        prop_assert_eq!(common(&back, other), common(&request, other));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(120) })]

    #[test]
    fn messages_through_responses(body in sensible(Dialect::Messages)) {
        check(Dialect::Messages, Dialect::Responses, &body)?;
    }

    #[test]
    fn messages_through_chat(body in sensible(Dialect::Messages)) {
        check(Dialect::Messages, Dialect::Chat, &body)?;
    }

    #[test]
    fn responses_through_messages(body in sensible(Dialect::Responses)) {
        check(Dialect::Responses, Dialect::Messages, &body)?;
    }

    #[test]
    fn responses_through_chat(body in sensible(Dialect::Responses)) {
        check(Dialect::Responses, Dialect::Chat, &body)?;
    }

    #[test]
    fn chat_through_messages(body in sensible(Dialect::Chat)) {
        check(Dialect::Chat, Dialect::Messages, &body)?;
    }

    #[test]
    fn chat_through_responses(body in sensible(Dialect::Chat)) {
        check(Dialect::Chat, Dialect::Responses, &body)?;
    }
}
