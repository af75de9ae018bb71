//! A provider on loopback that speaks Anthropic Messages: what it answers is a function of what it
//! is asked, so it does not matter which process asks.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// What the provider does with a request.
pub(crate) enum Answer {
    /// An answer of these words and calls (name and arguments).
    Reply(&'static str, Vec<(&'static str, Value)>),
    /// The same, streamed as slowly as a model thinks: a few milliseconds in all.
    Slow(&'static str, Vec<(&'static str, Value)>),
    /// The same, begun with a compaction by the provider that says this.
    Compacting(&'static str, &'static str, Vec<(&'static str, Value)>),
    /// These bytes instead, with this status and content type.
    Raw(u16, &'static str, String),
}

/// Between the events of a slow answer.
const PACE: Duration = Duration::from_millis(2);

/// The models that it lists at the address of those who ask for them.
const LISTED: &[u8] = br#"{"object":"list","data":[{"id":"tiny-1"},{"id":"tiny-2"}]}"#;

type Script = dyn Fn(&Value) -> Answer + Send + Sync;

pub(crate) struct Provider {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Value>>>,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Provider {
    pub(crate) fn start(script: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&requests));
        let raw = Arc::clone(&bodies);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                let raw = Arc::clone(&raw);
                std::thread::spawn(move || serve(&stream, &*script, &log, &raw));
            }
        });
        Self {
            url,
            requests,
            bodies,
        }
    }

    /// The bodies it was asked with, as they came.
    pub(crate) fn bodies(&self) -> Vec<Vec<u8>> {
        self.bodies.lock().unwrap().clone()
    }

    /// The bodies it was asked with.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }
}

/// How many tool results a request holds.
pub(crate) fn results(request: &Value) -> usize {
    let messages = request["messages"].as_array().unwrap();
    messages
        .iter()
        .filter_map(|message| message["content"].as_array())
        .flatten()
        .filter(|block| block["type"] == "tool_result")
        .count()
}

/// Every text in the tool results of a request.
pub(crate) fn result_texts(request: &Value) -> String {
    let messages = request["messages"].as_array().unwrap();
    let blocks = messages
        .iter()
        .filter_map(|message| message["content"].as_array())
        .flatten()
        .filter(|block| block["type"] == "tool_result");
    blocks
        .map(|block| block["content"].to_string() + "\n")
        .collect()
}

/// Serves one connection. A client that is killed in the middle ends it.
fn serve(stream: &TcpStream, script: &Script, log: &Mutex<Vec<Value>>, raw: &Mutex<Vec<Vec<u8>>>) {
    stream.set_nodelay(true).unwrap();
    let mut input = BufReader::new(stream);
    while let Some((path, body)) = read_request(&mut input) {
        let Ok(request) = serde_json::from_slice::<Value>(&body) else {
            let _ = if path.starts_with("GET /listed/v1/models ") {
                respond(stream, 200, "application/json", LISTED)
            } else if path.starts_with("GET /paged/") {
                respond(stream, 404, "text/html", b"<h1>Not Found</h1>")
            } else {
                respond(stream, 404, "text/plain", path.as_bytes())
            };
            continue;
        };
        let answer = script(&request);
        log.lock().unwrap().push(request);
        raw.lock().unwrap().push(body);
        let written = match answer {
            Answer::Raw(status, kind, body) => respond(stream, status, kind, body.as_bytes()),
            Answer::Reply(text, calls) => {
                stream_events(stream, events(None, text, &calls), Duration::ZERO)
            }
            Answer::Slow(text, calls) => stream_events(stream, events(None, text, &calls), PACE),
            Answer::Compacting(summary, text, calls) => {
                stream_events(stream, events(Some(summary), text, &calls), Duration::ZERO)
            }
        };
        if written.is_err() {
            return;
        }
    }
}

fn read_request(input: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    if input.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let path = line.clone();
    let mut length = 0;
    loop {
        line.clear();
        input.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn respond(mut stream: &TcpStream, status: u16, kind: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

/// Streams a reply event by event, each in a write of its own.
fn stream_events(
    mut stream: &TcpStream,
    events: Vec<Value>,
    pace: Duration,
) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    for event in events {
        if !pace.is_zero() {
            std::thread::park_timeout(pace);
        }
        let kind = event["type"].as_str().unwrap();
        let frame = format!("event: {kind}\ndata: {event}\n\n");
        write!(stream, "{:x}\r\n{frame}\r\n", frame.len())?;
    }
    stream.write_all(b"0\r\n\r\n")
}

fn events(summary: Option<&str>, text: &str, calls: &[(&'static str, Value)]) -> Vec<Value> {
    let mut events = vec![json!({"type": "message_start", "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "double",
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 10, "output_tokens": 1}}})];
    let mut index = 0;
    let mut block = |start: Value, deltas: Vec<Value>| {
        events.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
        for delta in deltas {
            events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
        index += 1;
    };
    if let Some(summary) = summary {
        block(
            json!({"type": "compaction", "content": null}),
            vec![json!({"type": "compaction_delta", "content": summary})],
        );
    }
    if !text.is_empty() {
        let words = text.split_inclusive(' ');
        block(
            json!({"type": "text", "text": ""}),
            words
                .map(|word| json!({"type": "text_delta", "text": word}))
                .collect(),
        );
    }
    for (number, (name, arguments)) in calls.iter().enumerate() {
        let partial = match arguments {
            Value::String(raw) => raw.clone(),
            object => object.to_string(),
        };
        block(
            json!({"type": "tool_use", "id": format!("toolu_{number}"), "name": name, "input": {}}),
            vec![json!({"type": "input_json_delta", "partial_json": partial})],
        );
    }
    let stop = if calls.is_empty() {
        "end_turn"
    } else {
        "tool_use"
    };
    events.push(
        json!({"type": "message_delta", "delta": {"stop_reason": stop,
        "stop_sequence": null}, "usage": {"output_tokens": 20}}),
    );
    events.push(json!({"type": "message_stop"}));
    events
}
