//! A mock upstream over real TCP that speaks Messages, Responses and Chat Completions. What it answers stands in
//! the prompt (`script`); what it was asked it tells at `/_seen`, so that a case can look at what arrived.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::script::{self, Cue, Fault, How};
use super::shapes::{Answer, Event, chat, messages, responses};

/// How long a question for what was seen waits for a client to go away, and a hanging answer for the same.
const PATIENCE: Duration = Duration::from_secs(20);

/// The tool that is called where no script says what to do.
const WEATHER: &str = "get_weather";

/// A mock upstream at work. It ends with the process.
pub(crate) struct Upstream {
    pub(crate) url: String,
    log: Arc<Log>,
}

/// A request that arrived.
struct Seen {
    tag: String,
    path: String,
    headers: Map<String, Value>,
    body: Value,
    /// Whether the client went away before its answer ended.
    gone: bool,
}

#[derive(Default)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    changed: Condvar,
    /// The messages of conversations that are held here (`thread`), by the id of the last one.
    threads: Mutex<HashMap<String, Vec<Value>>>,
}

/// A request as it came.
struct Request {
    line: String,
    headers: Map<String, Value>,
    body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Messages,
    Responses,
    Chat,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Log::default());
        let theirs = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&theirs);
                std::thread::spawn(move || serve(&stream, &log));
            }
        });
        Self { url, log }
    }

    /// What arrived for a tag.
    pub(crate) fn seen(&self, tag: &str) -> Value {
        self.log.tell(&format!("tag={tag}"))
    }
}

/// Serves one connection until it ends.
fn serve(stream: &TcpStream, log: &Log) {
    stream.set_nodelay(true).unwrap();
    let mut input = BufReader::new(stream);
    while let Some(request) = read(&mut input) {
        if answer(stream, &request, log).is_none() {
            return;
        }
    }
}

fn read(input: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    if input.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = Map::new();
    loop {
        let mut header = String::new();
        input.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().into());
    }
    let length = headers.get("content-length").and_then(Value::as_str);
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    input.read_exact(&mut body).ok()?;
    Some(Request {
        line,
        headers,
        body,
    })
}

/// Answers a request; `None` where the connection is at its end.
fn answer(stream: &TcpStream, request: &Request, log: &Log) -> Option<()> {
    let mut words = request.line.split(' ');
    let (_method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path == "/_seen" {
        return respond(stream, 200, &[], &log.tell(query).to_string());
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let api = match path {
        "/v1/messages" => Api::Messages,
        "/v1/responses" => Api::Responses,
        "/v1/chat/completions" => Api::Chat,
        "/v1/responses/compact" => {
            note(log, request, path, &body);
            return respond(
                stream,
                200,
                &[],
                &responses::compacted(&compose(&body, None)).to_string(),
            );
        }
        "/v1/messages/count_tokens" => {
            note(log, request, path, &body);
            return respond(stream, 200, &[], &json!({"input_tokens": 42}).to_string());
        }
        _ => {
            note(log, request, path, &body);
            return respond(
                stream,
                404,
                &[],
                "{\"error\":{\"message\":\"no such path\"}}",
            );
        }
    };
    let Some(body) = log.whole(body) else {
        let lost = json!({"type": "error", "error": {
            "type": "not_found_error", "message": "no such thread", "details": {"error_code": "thread_not_found"}
        }});
        return respond(stream, 404, &[], &lost.to_string());
    };
    let (place, tries) = note(log, request, path, &body);
    let cue = Cue::find(&script::bits(&body));
    if let Some(fault) = cue.as_ref().and_then(|cue| cue.script.fail.get(tries)) {
        return fail(stream, api, fault);
    }
    let answer = compose(&body, cue.as_ref());
    log.hold(&body, &answer);
    if body["stream"] != true {
        if cue.is_some_and(|cue| cue.script.broken.is_some()) {
            return hang(stream, log, place);
        }
        let whole = match api {
            Api::Messages => messages::whole(&answer),
            Api::Responses => responses::whole(&answer),
            Api::Chat => chat::whole(&answer),
        };
        return respond(stream, 200, &[], &whole.to_string());
    }
    let told = tell(stream, api, &answer, cue.as_ref(), log, place);
    if told.is_none() {
        log.gone(place);
    }
    told
}

/// Writes down what arrived. Returns its place and how many came before it for the same case and turn.
fn note(log: &Log, request: &Request, path: &str, body: &Value) -> (usize, usize) {
    let cue = Cue::find(&script::bits(body));
    let tag = cue.map(|cue| cue.script.tag).unwrap_or_default();
    let mut seen = log.seen.lock().unwrap();
    let tries = seen.iter().filter(|seen| seen.tag == tag).count();
    seen.push(Seen {
        tag,
        path: path.to_owned(),
        headers: request.headers.clone(),
        body: body.clone(),
        gone: false,
    });
    (seen.len() - 1, tries)
}

/// What the model says to a request.
fn compose(body: &Value, cue: Option<&Cue>) -> Answer {
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    let Some(cue) = cue else {
        // Suites that know nothing of scripts ask for the weather when they want a call.
        let says = if script::tools(body).iter().any(|tool| tool == WEATHER) {
            script::Say::Call {
                call: WEATHER.into(),
                input: json!({"location": "Paris"}),
            }
        } else {
            script::Say::Text { text: "ok".into() }
        };
        return Answer {
            name: "plain".into(),
            model,
            says: vec![says],
            stop: None,
            usage: script::Usage::default(),
            asked: body.clone(),
        };
    };
    Answer {
        name: format!("{}_{}", cue.script.tag, cue.turn),
        model,
        says: cue.says(&script::tools(body)),
        stop: cue.script.stop.clone(),
        usage: cue.script.usage.clone(),
        asked: body.clone(),
    }
}

impl Log {
    /// What arrived for a tag; `gone` waits until the client of the last one has gone away.
    fn tell(&self, query: &str) -> Value {
        let of = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find_map(|(key, value)| (key == name).then(|| value.to_owned()))
        };
        let tag = of("tag").unwrap_or_default();
        let mut seen = self.seen.lock().unwrap();
        if of("gone").is_some() {
            let waits = |all: &mut Vec<Seen>| {
                let mut ours = all.iter().filter(|seen| seen.tag == tag);
                !ours.any(|seen| seen.gone)
            };
            let waited = self.changed.wait_timeout_while(seen, PATIENCE, waits);
            seen = waited.unwrap().0;
        }
        let ours = seen.iter().filter(|seen| seen.tag == tag);
        ours.map(|seen| {
            json!({"path": seen.path, "headers": seen.headers, "body": seen.body, "gone": seen.gone})
        })
        .collect()
    }

    /// A request with all messages of the thread that it goes on with; `None` where there is no such thread.
    fn whole(&self, mut body: Value) -> Option<Value> {
        let Some(last) = body["thread"]["previous_message_id"].as_str() else {
            return Some(body);
        };
        let mut messages = self.threads.lock().unwrap().get(last)?.clone();
        messages.extend(body["messages"].as_array().cloned().unwrap_or_default());
        body["messages"] = messages.into();
        Some(body)
    }

    fn hold(&self, body: &Value, answer: &Answer) {
        if body["thread"].is_object() {
            let message = messages::whole(answer);
            let mut messages = body["messages"].as_array().cloned().unwrap_or_default();
            messages.push(json!({"role": "assistant", "content": message["content"]}));
            let id = message["id"].as_str().unwrap_or_default().to_owned();
            self.threads.lock().unwrap().insert(id, messages);
        }
    }

    fn gone(&self, place: usize) {
        self.seen.lock().unwrap()[place].gone = true;
        self.changed.notify_all();
    }
}

/// A stream, as far as the script lets it come.
fn tell(
    stream: &TcpStream,
    api: Api,
    answer: &Answer,
    cue: Option<&Cue>,
    log: &Log,
    place: usize,
) -> Option<()> {
    let events = match api {
        Api::Messages => messages::events(answer),
        Api::Responses => responses::events(answer),
        Api::Chat => chat::events(answer),
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\
                request-id: req_upstream\r\nx-request-id: req_upstream\r\n\r\n";
    put(stream, head)?;
    let broken = cue.and_then(|cue| cue.script.broken.as_ref());
    let most = broken.map_or(usize::MAX, |broken| broken.after);
    for event in events.iter().take(most) {
        chunk(stream, &frame(event))?;
    }
    match broken.map(|broken| broken.how) {
        Some(How::Hang) => return hang(stream, log, place),
        Some(How::Cut) => {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return Some(());
        }
        Some(How::Error) => chunk(stream, &frame(&error_event(api)))?,
        None if api == Api::Chat => chunk(stream, "data: [DONE]\n\n")?,
        None => {}
    }
    put(stream, "0\r\n\r\n")
}

fn frame((name, data): &Event) -> String {
    match name {
        Some(name) => format!("event: {name}\ndata: {data}\n\n"),
        None => format!("data: {data}\n\n"),
    }
}

/// The vendor's error in the middle of a stream.
fn error_event(api: Api) -> Event {
    match api {
        Api::Messages => (Some("error"), error(api, 529)),
        Api::Responses => (
            Some("error"),
            json!({"type": "error", "code": "server_error", "message": "mock broke", "param": null,
                   "sequence_number": 99}),
        ),
        Api::Chat => (None, error(api, 500)),
    }
}

/// Says nothing more until the client has gone away.
fn hang(mut stream: &TcpStream, log: &Log, place: usize) -> Option<()> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(0) => log.gone(place),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => log.gone(place),
        Ok(_) | Err(_) => {}
    }
    None
}

fn fail(stream: &TcpStream, api: Api, fault: &Fault) -> Option<()> {
    if fault.status == 0 {
        let _ = stream.shutdown(std::net::Shutdown::Both);
        return None;
    }
    let mut headers: Vec<(&str, &str)> = fault
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    if fault.page {
        headers.push(("content-type", "text/html"));
        return respond(
            stream,
            fault.status,
            &headers,
            "<html><h1>Bad gateway</h1></html>",
        );
    }
    respond(
        stream,
        fault.status,
        &headers,
        &error(api, fault.status).to_string(),
    )
}

/// The vendor's error of a status.
fn error(api: Api, status: u16) -> Value {
    let kind = match (api, status) {
        (_, 400) => "invalid_request_error",
        (_, 401) => "authentication_error",
        (_, 404) => "not_found_error",
        (_, 429) => "rate_limit_error",
        (Api::Messages, 529) => "overloaded_error",
        (Api::Messages, _) => "api_error",
        (_, 503) => "service_unavailable_error",
        (_, _) => "server_error",
    };
    let code = match status {
        429 => json!("rate_limit_exceeded"),
        503 => json!("server_is_overloaded"),
        _ => Value::Null,
    };
    match api {
        Api::Messages => json!({
            "type": "error", "error": {"type": kind, "message": "mock says no"}, "request_id": "req_upstream"
        }),
        Api::Responses | Api::Chat => json!({
            "error": {"message": "mock says no", "type": kind, "param": null, "code": code}
        }),
    }
}

fn respond(stream: &TcpStream, status: u16, headers: &[(&str, &str)], body: &str) -> Option<()> {
    let mut head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nrequest-id: req_upstream\r\nx-request-id: req_upstream\r\n",
        body.len()
    );
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        head.push_str("content-type: application/json\r\n");
    }
    for &(name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    put(stream, &format!("{head}\r\n{body}"))
}

fn chunk(stream: &TcpStream, text: &str) -> Option<()> {
    put(stream, &format!("{:x}\r\n{text}\r\n", text.len()))
}

fn put(mut stream: &TcpStream, text: &str) -> Option<()> {
    stream.write_all(text.as_bytes()).ok()
}
