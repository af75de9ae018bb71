//! What is very large, very deep or without end: it is served or refused as its API says, and the server stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stored::{counting, world_of};
use crate::world::{
    Answer, Client, Seen, Upstream, World, chat_stream, config, messages_stream, responses_stream,
};

/// Each API: its path, what it calls what was said, and another API's upstream.
const APIS: [(&str, &str, &str, &str); 3] = [
    ("messages", "/v1/messages", "messages", "chat"),
    ("responses", "/v1/responses", "input", "messages"),
    ("chat", "/v1/chat/completions", "messages", "responses"),
];

/// A request in an API's words, with its conversation and something behind it, as text.
fn body(model: &str, field: &str, said: &str, more: &str) -> Bytes {
    let max = if field == "input" {
        "\"store\":false"
    } else {
        "\"max_tokens\":9"
    };
    format!("{{\"model\":\"{model}\",{max},\"{field}\":{said}{more}}}").into()
}

/// Answers without a look at what is asked.
fn unread(seen: &Seen) -> Answer {
    let body = Bytes::from_static(b"{}");
    counting(&Seen {
        body,
        ..seen.clone()
    })
}

/// One message of so many bytes.
fn long(bytes: usize) -> String {
    format!(
        "[{{\"role\":\"user\",\"content\":\"{}\"}}]",
        "y".repeat(bytes)
    )
}

async fn posted(client: &Client, path: &str, body: Bytes) -> (u16, Value) {
    let reply = client.ask(Method::POST, path, body).await;
    let text = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    (reply.status, text)
}

#[tokio::test]
async fn bodies_of_many_megabytes_are_served_in_every_api_and_across() {
    const LARGE: usize = 10_000_000;
    let (world, upstreams) = world_of(unread).await;
    let client = world.client("one").await.anthropic();
    let (large, largest) = (long(LARGE), long(4 * LARGE));
    for (same, path, field, other) in APIS {
        // The largest once on each road is enough.
        let said = if same == "messages" { &largest } else { &large };
        for upstream in [same, other] {
            let body = body(&format!("m-{upstream}"), field, said, "");
            let (status, told) = posted(&client, path, body).await;
            assert_eq!(status, 200, "{path} over {upstream}: {told}");
        }
    }
    let seen = upstreams.iter().flat_map(Upstream::seen);
    let bytes: Vec<_> = seen.map(|seen| seen.body.len()).collect();
    assert!(bytes.iter().all(|bytes| *bytes > LARGE), "{bytes:?}");
    assert_eq!(bytes.len(), 6);
}

#[tokio::test]
async fn what_is_over_the_bound_is_refused_in_each_apis_words_and_the_answer_arrives() {
    let upstream = Upstream::start(counting).await;
    let text = format!(
        "bounds = {{ body_bytes = 1000000 }}\n{}",
        config(&[("messages", &upstream)])
    );
    let world = World::start(&text).await;
    let key = world.client("one").await.key;
    // As many clients do: all of it is sent before the answer is read.
    let large = body("m", "messages", &long(40_000_000), "");
    let chunked = [
        format!("{:x}\r\n", large.len()).as_bytes(),
        &large,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    let length = format!("content-length: {}", large.len());
    for (kind, path, ..) in APIS {
        for (framing, sent) in [
            (length.as_str(), &large[..]),
            ("transfer-encoding: chunked", &chunked),
        ] {
            let mut socket = TcpStream::connect(world.address).await.unwrap();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
                 anthropic-version: 2023-06-01\r\nconnection: close\r\n{framing}\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(sent).await.expect(framing);
            let mut answer = Vec::new();
            let read = socket.read_to_end(&mut answer);
            let read = tokio::time::timeout(Duration::from_secs(20), read).await;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(
                matches!(read, Ok(Ok(_))),
                "{path} {framing}: {read:?} {answer}"
            );
            let (head, told) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 413"), "{path}: {head}");
            let told: Value = serde_json::from_str(told).unwrap();
            let error = &told["error"];
            assert!(error["message"].as_str().unwrap().contains("1000000"));
            if kind == "messages" {
                assert_eq!(
                    (&told["type"], &error["type"]),
                    (&json!("error"), &json!("request_too_large"))
                );
            } else {
                assert_eq!(error["type"], "invalid_request_error", "{told}");
                assert!(error.get("code").is_some() && error.get("param").is_some());
            }
        }
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_conversation_of_a_hundred_thousand_messages_is_served() {
    // One more, and Messages itself would refuse it.
    const PAIRS: usize = 49_999;
    let (world, upstreams) = world_of(unread).await;
    let client = world.client("one").await.anthropic();
    let pair = "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"},";
    let said = format!(
        "[{}{{\"role\":\"user\",\"content\":\"c\"}}]",
        pair.repeat(PAIRS)
    );
    let mut roads = APIS
        .map(|(same, path, field, _)| (path, field, same))
        .to_vec();
    roads.push(("/v1/messages", "messages", "chat"));
    for (path, field, upstream) in roads {
        let body = body(&format!("m-{upstream}"), field, &said, "");
        let (status, told) = posted(&client, path, body).await;
        assert_eq!(status, 200, "{path} over {upstream}: {told}");
    }
    let seen: Vec<_> = upstreams.iter().flat_map(Upstream::seen).collect();
    for seen in &seen {
        let body = std::str::from_utf8(&seen.body).unwrap();
        assert_eq!(
            body.matches("\"role\"").count(),
            2 * PAIRS + 1,
            "{}",
            seen.path
        );
    }
    assert_eq!(seen.len(), 4);
}

#[tokio::test]
async fn who_sends_without_end_is_not_read_without_end() {
    let world = World::start("bounds = { body_bytes = 1000 }\n[upstreams.u]\ndialect = \"chat\"\nbase_url = \"http://127.0.0.1:9\"\n[models.m]\nroutes = [{ upstream = \"u\" }]\n").await;
    let key = world.client("one").await.key;
    let mut socket = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: 1000000000000\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let sending = async {
        let some = vec![b'y'; 1 << 20];
        while socket.write_all(&some).await.is_ok() {}
    };
    let ended = tokio::time::timeout(Duration::from_secs(30), sending).await;
    ended.expect("it is read on and on");
    // Who asks before it sends is told at once.
    let mut socket = TcpStream::connect(world.address).await.unwrap();
    let head = head.replace("content-length", "expect: 100-continue\r\ncontent-length");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(30), read).await;
    assert!(matches!(read, Ok(Ok(_))), "{read:?}");
    assert!(answer.starts_with(b"HTTP/1.1 413 "));
}

/// JSON of so many levels.
fn deep(levels: usize) -> String {
    format!("{}1{}", "{\"a\":[".repeat(levels), "]}".repeat(levels))
}

#[tokio::test]
async fn json_of_any_depth_is_served_or_refused_in_every_api() {
    let (world, _upstreams) = world_of(unread).await;
    let client = world.client("one").await.anthropic();
    let hi = "[{\"role\":\"user\",\"content\":\"hi\"}]";
    for (same, path, field, other) in APIS {
        for upstream in [same, other] {
            let model = format!("m-{upstream}");
            for levels in [20, 1_000, 50_000] {
                let deep = deep(levels);
                let content = format!("[{{\"role\":\"user\",\"content\":{deep}}}]");
                let metadata = format!(",\"metadata\":{deep}");
                let tools = format!(
                    ",\"tools\":[{{\"name\":\"t\",\"type\":\"function\",\"parameters\":{deep},\"input_schema\":{deep}}}]"
                );
                for body in [
                    body(&model, field, &content, ""),
                    body(&model, field, &deep, ""),
                    body(&model, field, hi, &metadata),
                    body(&model, field, hi, &tools),
                ] {
                    let (status, told) = posted(&client, path, body).await;
                    // Nothing reads it on the way to an upstream of the same API.
                    let is_well = status == 200 && (levels == 20 || upstream == same);
                    let is_refused = status == 400 && told["error"]["message"].is_string();
                    assert!(
                        is_well || is_refused,
                        "{path} over {upstream}, {levels}: {status} {told}"
                    );
                }
            }
        }
    }
    let body = body("m", "messages", hi, "");
    assert_eq!(posted(&client, "/v1/chat/completions", body).await.0, 200);
}

/// An upstream whose stream begins in its API's words and goes on with words for ever, as fast as it is read.
async fn endless(dialect: &'static str) -> (Upstream, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let (whole, mark) = match dialect {
        "messages" => (messages_stream("some words"), "event: content_block_stop"),
        "responses" => (
            responses_stream("resp_u", "some words"),
            "event: response.output_text.done",
        ),
        _ => (
            chat_stream("some words"),
            "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},",
        ),
    };
    let upstream = Upstream::start(move |_| {
        let until = whole.find(mark).unwrap();
        let again = whole[..until].rfind("\n\n").unwrap();
        let again = whole[..again].rfind("\n\n").unwrap() + 2;
        let words = whole[again..until].repeat(100);
        Answer::stream(&whole[..until]).for_ever(words, &count)
    })
    .await;
    (upstream, sent)
}

/// Waits until a count stays as it is for a while.
async fn rests(count: &AtomicUsize) -> usize {
    let resting = async {
        let (mut last, mut same) = (0, 0);
        while same < 10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = count.load(Ordering::SeqCst);
            same = if now == last && now > 0 { same + 1 } else { 0 };
            last = now;
        }
        last
    };
    let rested = tokio::time::timeout(Duration::from_secs(30), resting).await;
    rested.expect("the upstream is read on and on though nobody reads the answer")
}

#[tokio::test]
async fn a_stream_without_end_waits_for_its_reader_and_ends_with_it() {
    let ((messages, sent_messages), (responses, sent_responses), (chat, sent_chat)) = (
        endless("messages").await,
        endless("responses").await,
        endless("chat").await,
    );
    let all = [
        ("messages", &messages),
        ("responses", &responses),
        ("chat", &chat),
    ];
    let world = World::start(&config(&all)).await;
    let client = world.client("one").await.anthropic();
    for (same, path, field, other) in APIS {
        for upstream in [same, other] {
            let sent = match upstream {
                "messages" => &sent_messages,
                "responses" => &sent_responses,
                _ => &sent_chat,
            };
            sent.store(0, Ordering::SeqCst);
            let stream = ",\"stream\":true";
            let hi = "[{\"role\":\"user\",\"content\":\"hi\"}]";
            let asked = body(&format!("m-{upstream}"), field, hi, stream);
            let mut reader = client.streaming(Method::POST, path, asked).await;
            assert_eq!(reader.status, 200, "{path} over {upstream}");
            // What the sockets hold between the two, and a few pieces more: never what the upstream would like.
            let held = rests(sent).await;
            assert!(held < 40_000_000, "{path} over {upstream}: {held}");
            for _ in 0..20 {
                assert!(reader.next().await.is_some(), "{path} over {upstream}");
            }
            drop(reader);
            gone(&world, upstream).await;
        }
    }
    // Six clients went; each is charged once.
    let text = world.stranger().get("/metrics").await.text();
    let went = text
        .lines()
        .filter(|line| line.starts_with("quire_requests_total") && line.contains("\"499\""));
    let went: u64 = went
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    assert_eq!(went, 6, "{text}");
}

/// Waits until an upstream has nothing to do for this server.
async fn gone(world: &World, upstream: &str) {
    let line = format!("quire_upstream_requests{{upstream=\"{upstream}\"}} 0");
    let gone = async {
        while !world
            .stranger()
            .get("/metrics")
            .await
            .text()
            .contains(&line)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(30), gone).await;
    gone.expect("the upstream is still asked for somebody who went");
}
