//! What the upstream answers, made once: only an answer's number, and the time at which an event goes out,
//! are written into copies.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::http::find;
use crate::bench::wire::{self, Dialect, Reply};

/// What every answer says that is not streamed.
pub(super) const SAID: &str = "All is well here, and thank you for asking.";
/// Stands for an answer's number; twelve digits.
const NUMBER: usize = 100_000_000_000;
/// Stands for the time of an event, in nanoseconds; nineteen digits.
const STAMP: &str = "@0000000000000000000@";

/// How an answer goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// The model that it says it is.
    pub(super) model: String,
    /// Into how many pieces its text is cut.
    pub(super) pieces: usize,
    /// How long is waited before each piece but the first; all go out at once where this is nothing.
    pub(super) pause_ms: u64,
}

impl Manner {
    /// The start of a path that asks for this.
    pub(super) fn path(&self) -> String {
        format!("/as/{}/{}/{}", self.model, self.pieces, self.pause_ms)
    }

    /// What a request's path asks for.
    fn of(path: &str) -> Option<(Self, Dialect)> {
        let path = path.split('?').next()?;
        let dialect = [
            ("/chat/completions", Dialect::Chat),
            ("/messages", Dialect::Messages),
            ("/responses", Dialect::Responses),
        ]
        .into_iter()
        .find(|(end, _)| path.ends_with(end))?;
        let mut words = path.strip_prefix("/as/")?.split('/');
        let manner = Self {
            model: words.next()?.to_owned(),
            pieces: words.next()?.parse().ok()?,
            pause_ms: words.next()?.parse().ok()?,
        };
        Some((manner, dialect.1))
    }
}

/// Both ways to answer the requests of one path.
pub(super) struct Answers {
    /// In one piece.
    pub(super) whole: Template,
    /// As a stream: what goes out together, and what goes out after each pause.
    pub(super) stream: Vec<Template>,
    pub(super) pause_ms: u64,
}

impl Answers {
    /// The answers to requests of a path; nothing where it is none that is answered.
    pub(super) fn of(path: &str) -> Option<Self> {
        let (manner, dialect) = Manner::of(path)?;
        Some(Self {
            whole: whole(dialect, &manner.model),
            stream: stream(dialect, &manner),
            pause_ms: manner.pause_ms,
        })
    }

    /// All of an answer in one piece.
    pub(super) fn at_once(&self, streamed: Streamed, number: u64) -> Vec<u8> {
        let parts = match streamed {
            Streamed::No => std::slice::from_ref(&self.whole),
            Streamed::Yes => &self.stream,
        };
        let (mut all, mut text) = (Vec::new(), Vec::new());
        for part in parts {
            part.write(&mut text, number, &[]);
            all.extend_from_slice(&text);
        }
        all
    }
}

/// Bytes with gaps for what differs from answer to answer.
pub(super) struct Template {
    bytes: Vec<u8>,
    numbers: Vec<usize>,
    stamps: Vec<usize>,
}

impl Template {
    fn new(bytes: Vec<u8>) -> Self {
        Self {
            numbers: all(&bytes, NUMBER.to_string().as_bytes()),
            stamps: all(&bytes, STAMP.as_bytes()),
            bytes,
        }
    }

    /// Writes a copy, with this answer's number and these times, over and over: what ends a stream says
    /// all of it again, perhaps more than once.
    pub(super) fn write(&self, into: &mut Vec<u8>, number: u64, times: &[u64]) {
        into.clear();
        into.extend_from_slice(&self.bytes);
        for at in &self.numbers {
            digits(&mut into[*at + 1..*at + 12], number);
        }
        for (at, time) in self.stamps.iter().zip(times.iter().cycle()) {
            digits(&mut into[*at + 1..*at + 20], *time);
        }
    }
}

/// The time that a piece of an answer says it was sent at, and what is behind it.
pub(super) fn stamp(text: &[u8]) -> Option<(u64, usize)> {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'@', &text[from..]) {
        let at = from + at;
        let stamp = text.get(at + 1..at + 21)?;
        if stamp[19] == b'@' && stamp[..19].iter().all(u8::is_ascii_digit) {
            let digits = std::str::from_utf8(&stamp[..19]).ok()?;
            return Some((digits.parse().ok()?, at + 21));
        }
        from = at + 1;
    }
    None
}

fn all(haystack: &[u8], needle: &[u8]) -> Vec<usize> {
    memchr::memmem::find_iter(haystack, needle).collect()
}

/// Writes a number into a place that is as wide.
fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

fn whole(dialect: Dialect, model: &str) -> Template {
    let body = match dialect {
        Dialect::Messages => json!({
            "id": format!("msg_{NUMBER}"), "type": "message", "role": "assistant", "model": model,
            "content": [{"type": "text", "text": SAID}], "stop_reason": "end_turn",
            "stop_sequence": null, "usage": {"input_tokens": 25, "output_tokens": 12}}),
        Dialect::Responses => json!({
            "id": format!("resp_{NUMBER}"), "object": "response", "created_at": 1_790_000_000,
            "status": "completed", "model": model, "error": null, "incomplete_details": null,
            "instructions": null, "metadata": {}, "parallel_tool_calls": true, "temperature": 1.0,
            "tool_choice": "auto", "tools": [], "top_p": 1.0, "store": false, "output": [{
                "type": "message", "id": format!("item_{NUMBER}"), "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": SAID, "annotations": []}]}],
            "usage": {"input_tokens": 25, "output_tokens": 12, "total_tokens": 37,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0}}}),
        Dialect::Chat => json!({
            "id": format!("chatcmpl-{NUMBER}"), "object": "chat.completion",
            "created": 1_790_000_000, "model": model, "choices": [{"index": 0,
                "message": {"role": "assistant", "content": SAID, "refusal": null},
                "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 25, "completion_tokens": 12, "total_tokens": 37}}),
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_{NUMBER}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    Template::new((head + &body).into_bytes())
}

fn stream(dialect: Dialect, manner: &Manner) -> Vec<Template> {
    let reply = Reply::Text(vec![STAMP.to_owned(); manner.pieces]);
    let text = wire::encode(dialect, &reply, NUMBER, 100);
    let text = String::from_utf8_lossy(&text);
    let named = json!({ "model": manner.model }).to_string();
    let text = text.replace(r#""model":"bench""#, named.trim_matches(['{', '}']));
    let events: Vec<&str> = text.split_inclusive("\n\n").collect();
    let first = events.iter().position(|event| event.contains(STAMP));
    let (opening, rest) = events.split_at(first.unwrap_or(events.len()));
    let (pieces, closing) = rest.split_at(manner.pieces.min(rest.len()));
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
         request-id: req_{NUMBER}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let end = chunk(&closing.concat()) + "0\r\n\r\n";
    let parts = if manner.pause_ms == 0 {
        vec![head + &chunk(&(opening.concat() + &pieces.concat())) + &end]
    } else {
        let mut parts: Vec<String> = pieces.iter().map(|piece| chunk(piece)).collect();
        if let Some(first) = parts.first_mut() {
            *first = head + &chunk(&(opening.concat() + pieces[0]));
        }
        parts.push(end);
        parts
    };
    let parts = parts.into_iter();
    parts.map(|part| Template::new(part.into_bytes())).collect()
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// What the body of a request in a dialect says, of about this many bytes.
pub(super) fn ask(dialect: Dialect, model: &str, streamed: Streamed, bytes: usize) -> Vec<u8> {
    let turns = said(bytes);
    let mut body = match dialect {
        Dialect::Messages => json!({"model": model, "max_tokens": 1024, "messages": turns}),
        Dialect::Chat => json!({"model": model, "messages": turns}),
        Dialect::Responses => json!({"model": model, "store": false, "input": turns}),
    };
    if streamed == Streamed::Yes {
        body["stream"] = json!(true);
    }
    body.to_string().into_bytes()
}

/// Whether an answer is to come as a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Streamed {
    /// In one piece.
    No,
    /// Event by event.
    Yes,
}

/// Turns of a conversation that ends with a question, as all three dialects take them.
fn said(bytes: usize) -> Value {
    const PART: usize = 8 * 1024;
    let part = "fn main() {\n\tprintln!(\"{}\", 1 + 2); // \u{2026}\n}\n";
    let part = part.repeat(PART / part.len());
    let turns = (0..bytes / PART).map(|turn| {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        json!({"role": role, "content": part})
    });
    let mut turns: Vec<Value> = turns.collect();
    if turns.len() % 2 == 1 {
        turns.push(json!({"role": "assistant", "content": "I see."}));
    }
    turns.push(
        json!({"role": "user", "content": "How are you today, and is all well where you are?"}),
    );
    Value::Array(turns)
}

/// What an answer in a dialect ends with, or says at its end.
pub(super) fn check(dialect: Dialect, streamed: Streamed, answer: &[u8]) -> Result<()> {
    let marker = match (streamed, dialect) {
        (Streamed::No, _) => SAID,
        (Streamed::Yes, Dialect::Messages) => "message_stop",
        (Streamed::Yes, Dialect::Responses) => "response.completed",
        (Streamed::Yes, Dialect::Chat) => "data: [DONE]",
    };
    let said = || {
        let start = String::from_utf8_lossy(&answer[..answer.len().min(600)]).into_owned();
        format!("an answer has no `{marker}`: {start}")
    };
    find(answer, marker.as_bytes()).map(drop).with_context(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manner(pause_ms: u64) -> Manner {
        Manner {
            model: "m-1".to_owned(),
            pieces: 3,
            pause_ms,
        }
    }

    /// What a path's stream says, its parts with these times, without the framing.
    fn streamed(path: &str) -> String {
        let answers = Answers::of(path).unwrap();
        let parts = answers.stream.len();
        let times = [11, 22, 33];
        let mut text = Vec::new();
        let mut all = String::new();
        for (index, part) in answers.stream.iter().enumerate() {
            let is_end = parts > 1 && index + 1 == parts;
            let from = if is_end { 0 } else { index };
            part.write(&mut text, 7, &times[from..]);
            all.push_str(std::str::from_utf8(&text).unwrap());
        }
        all
    }

    #[test]
    fn a_path_says_how_it_is_answered() {
        for (dialect, end) in [
            (Dialect::Messages, "/v1/messages?beta=true"),
            (Dialect::Responses, "/v1/responses"),
            (Dialect::Chat, "/v1/chat/completions"),
        ] {
            let path = manner(4).path() + end;
            assert_eq!(Manner::of(&path), Some((manner(4), dialect)));
            let answers = Answers::of(&path).unwrap();
            let mut text = Vec::new();
            answers.whole.write(&mut text, 7, &[]);
            check(dialect, Streamed::No, &text).unwrap();
            let text = String::from_utf8(text).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("content-length: {}", body.len())));
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["model"], "m-1");
            assert!(
                body["id"].as_str().unwrap().ends_with("_100000000007") || dialect == Dialect::Chat
            );
            let all = streamed(&path);
            check(dialect, Streamed::Yes, all.as_bytes()).unwrap();
            assert!(
                all.contains(r#""model":"m-1""#) && !all.contains("bench"),
                "{all}"
            );
        }
        for path in [
            "/v1/messages",
            "/as/m/1/x/v1/messages",
            "/as/m/1/2/v1/models",
        ] {
            assert!(Answers::of(path).is_none(), "{path}");
        }
    }

    #[test]
    fn pieces_say_when_they_were_sent_and_the_end_says_it_again() {
        let all = streamed(&(manner(4).path() + "/v1/responses"));
        let (mut from, mut times) = (0, Vec::new());
        while let Some((time, end)) = stamp(&all.as_bytes()[from..]) {
            from += end;
            times.push(time);
        }
        assert_eq!(times.len() % 3, 0);
        assert!(
            times.chunks(3).all(|three| three == [11, 22, 33]),
            "{times:?}"
        );
        let at_once = Answers::of(&(manner(0).path() + "/v1/messages")).unwrap();
        assert_eq!(at_once.stream.len(), 1);
    }

    #[test]
    fn a_large_question_is_as_large_as_it_is_to_be() {
        for dialect in [Dialect::Messages, Dialect::Responses, Dialect::Chat] {
            let body = ask(dialect, "m", Streamed::Yes, 4 << 20);
            assert!((4 << 20..5 << 20).contains(&body.len()), "{}", body.len());
            assert!(body.ends_with(br#""stream":true}"#));
        }
    }
}
