//! What upstreams and clients do wrong, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::world::{
    Answer, Upstream, World, chat_stream, config, messages_stream, responses_stream,
};

fn ask(stream: bool) -> Value {
    json!({"model": "m", "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
}

fn error(kind: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": "upstream says"}})
}

/// What a client of Messages sees of an upstream's answer.
async fn seen(answer: fn() -> Answer) -> (u16, Value, Option<String>) {
    let upstream = Upstream::start(move |_| answer()).await;
    let world = World::start(&config(&[("messages", &upstream)])).await;
    let client = world.client("one").await.anthropic();
    let reply = client.post("/v1/messages", &ask(false)).await;
    let body = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    (
        reply.status,
        body,
        reply.header("retry-after").map(str::to_owned),
    )
}

#[tokio::test]
async fn an_upstreams_errors_reach_the_client_in_its_own_words() {
    for (answer, status, kind) in [
        (
            (|| Answer::status(400, &error("invalid_request_error"))) as fn() -> Answer,
            400,
            "invalid_request_error",
        ),
        (
            || Answer::status(429, &error("rate_limit_error")).header("retry-after", "7"),
            429,
            "rate_limit_error",
        ),
        (
            || Answer::status(529, &error("overloaded_error")),
            529,
            "overloaded_error",
        ),
        (
            || Answer::status(500, &error("api_error")),
            500,
            "api_error",
        ),
        // The server's own key is none of the client's business.
        (
            || Answer::status(401, &error("authentication_error")),
            500,
            "api_error",
        ),
        (
            || {
                Answer::stream("<html><title>Bad Gateway</title></html>")
                    .header("content-type", "text/html")
            },
            500,
            "api_error",
        ),
        (
            || Answer::status(502, &json!("<html>")).header("content-type", "text/html"),
            500,
            "api_error",
        ),
        (
            || Answer::json(&json!({"id": "msg"})).broken(),
            500,
            "api_error",
        ),
    ] {
        let (got, body, retry) = seen(answer).await;
        assert_eq!(
            (got, body["error"]["type"].as_str()),
            (status, Some(kind)),
            "{body}"
        );
        assert_eq!(retry.is_some(), status == 429, "{body}");
        if status == 500 && kind == "api_error" && body["error"]["message"] != "upstream says" {
            assert!(!body.to_string().contains("upstream-secret"), "{body}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_ends_with_the_apis_error() {
    let upstream = Upstream::start(|_| {
        let whole = messages_stream("hello there");
        let cut = whole.find("message_delta").unwrap();
        Answer::stream(&whole[..cut - "event: ".len()])
    })
    .await;
    let world = World::start(&config(&[("messages", &upstream)])).await;
    let client = world.client("one").await.anthropic();
    let events = client.stream("/v1/messages", &ask(true)).await.rest().await;
    let (name, last) = events.last().unwrap();
    assert_eq!((name.as_str(), &last["type"]), ("error", &json!("error")));
    let text = events
        .iter()
        .filter_map(|(_, event)| event["delta"]["text"].as_str());
    assert_eq!(text.collect::<String>(), "hello there");
}

#[tokio::test]
async fn an_upstream_that_fails_is_left_for_another() {
    let broken = Upstream::start(|_| Answer::status(500, &error("api_error"))).await;
    let well =
        Upstream::start(|_| Answer::json(&json!({"id": "msg_1", "type": "message", "model": "m"})))
            .await;
    let text = format!(
        "[upstreams.broken]\ndialect = \"messages\"\nbase_url = \"http://{}\"\nbreaker = {{ failures = 2 }}\n\
         [upstreams.well]\ndialect = \"messages\"\nbase_url = \"http://{}\"\n\
         [models.m]\nroutes = [{{ upstream = \"broken\" }}, {{ upstream = \"well\", rank = 1 }}]\n",
        broken.address, well.address
    );
    let world = World::start(&text).await;
    let client = world.client("one").await.anthropic();
    for _ in 0..4 {
        let reply = client.post("/v1/messages", &ask(false)).await;
        assert_eq!(
            (reply.status, reply.header("quire-upstream")),
            (200, Some("well"))
        );
    }
    // Two failures, and it rests.
    assert_eq!((broken.seen().len(), well.seen().len()), (2, 4));
}

/// A stream of each API that says some words, and where in it they have been said.
pub(crate) fn streams() -> [(&'static str, String, usize); 3] {
    let said = "some words of an answer";
    [
        ("messages", messages_stream(said)),
        ("chat", chat_stream(said)),
        ("responses", responses_stream("resp_u", said)),
    ]
    .map(|(api, whole)| {
        let words = whole.find(said).unwrap();
        let end = words + whole[words..].find("\n\n").unwrap() + 2;
        (api, whole, end)
    })
}

#[tokio::test]
async fn a_client_that_goes_cancels_its_upstream_and_pays_for_what_it_had() {
    for (api, whole, said) in streams() {
        let gate = Arc::new(Notify::new());
        let held = Arc::clone(&gate);
        let upstream =
            Upstream::start(move |_| Answer::stream(&whole[..said]).wait(&held).hang()).await;
        let world = World::start(&config(&[(api, &upstream)])).await;
        let client = world.client("one").await.anthropic();
        gate.notify_one();
        let mut stream = client.stream("/v1/messages", &ask(true)).await;
        while let Some((name, _)) = stream.next().await {
            if name == "content_block_delta" {
                break;
            }
        }
        drop(stream);
        let tokens = figure(&world, &["quire_output_tokens_total", "status=\"499\""]).await;
        assert!(tokens > 0, "{api}");
        let open = format!("quire_upstream_requests{{upstream=\"{api}\"}} 0");
        figure(&world, &[&open]).await;
    }
}

/// The end of a stream of an API that is an error, by its type.
pub(crate) fn ends_in(api: &str, kind: &str) -> String {
    let data = match api {
        "chat" => {
            json!({"error": {"message": "upstream says", "type": kind, "param": null, "code": kind}})
        }
        "responses" => {
            json!({"type": "error", "code": kind, "message": "upstream says", "param": null, "sequence_number": 9})
        }
        _ => error(kind),
    };
    crate::world::sse(&[data])
}

#[tokio::test]
async fn a_stream_that_ends_in_an_error_is_recorded_as_one_and_billed() {
    let nonsense = || "event: content_block_delta\ndata: {nonsense\n\n".to_owned();
    for (api, end, status, openais, healthy) in [
        (
            "messages",
            ends_in("messages", "overloaded_error"),
            529,
            503,
            1,
        ),
        ("messages", ends_in("messages", "api_error"), 502, 502, 0),
        (
            "messages",
            ends_in("messages", "invalid_request_error"),
            400,
            400,
            1,
        ),
        ("messages", nonsense(), 502, 502, 0),
        ("chat", ends_in("chat", "server_error"), 502, 502, 0),
        ("chat", nonsense(), 502, 502, 0),
        (
            "responses",
            ends_in("responses", "server_is_overloaded"),
            529,
            503,
            1,
        ),
    ] {
        let (_, whole, said) = streams().into_iter().find(|found| found.0 == api).unwrap();
        for (path, status) in [("/v1/messages", status), ("/v1/chat/completions", openais)] {
            let answer = format!("{}{end}", &whole[..said]);
            let upstream = Upstream::start(move |_| Answer::stream(answer.clone())).await;
            let world = World::start(&format!(
                "[upstreams.up]\ndialect = \"{api}\"\nbase_url = \"http://{}\"\nbreaker = {{ failures = 1 }}\n\
                 [models.m]\nroutes = [{{ upstream = \"up\" }}]\n",
                upstream.address
            ))
            .await;
            let client = world.client("one").await.anthropic();
            let reply = client.post(path, &ask(true)).await;
            // The upstream's own words have its own id, or none.
            if path == "/v1/messages" && api != "messages" {
                let id = reply.header("request-id").unwrap();
                let told = format!("\"request_id\":\"{id}\"");
                assert!(reply.text().contains(&told), "{}", reply.text());
            }
            let status = format!("status=\"{status}\"");
            let tokens = figure(&world, &["quire_output_tokens_total", &status]).await;
            assert!(tokens > 0, "{api} {path}: what was streamed is billed");
            let well = figure(&world, &["quire_upstream_healthy"]).await;
            assert_eq!(well, healthy, "{api} {path} {end}");
        }
    }
}

#[tokio::test]
async fn what_is_too_large_or_too_deep_is_refused_and_the_server_stays() {
    let upstream =
        Upstream::start(|_| Answer::json(&json!({"id": "msg_1", "type": "message"}))).await;
    let text = format!(
        "bounds = {{ body_bytes = 100000 }}\n{}",
        config(&[("messages", &upstream), ("chat", &upstream)])
    );
    let world = World::start(&text).await;
    let client = world.client("one").await.anthropic();
    let large = format!("{{\"model\":\"m\",\"x\":\"{}\"}}", "y".repeat(200_000));
    let reply = client
        .ask(Method::POST, "/v1/messages", Bytes::from(large))
        .await;
    assert_eq!(
        (reply.status, reply.json()["error"]["type"].clone()),
        (413, json!("request_too_large"))
    );
    let deep = format!(
        "{{\"model\":\"m-chat\",\"messages\":{}{}}}",
        "[".repeat(20_000),
        "]".repeat(20_000)
    );
    let reply = client
        .ask(Method::POST, "/v1/messages", Bytes::from(deep))
        .await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    for body in ["", "{", "[]", "null", "{\"model\":1}"] {
        let reply = client
            .ask(Method::POST, "/v1/messages", Bytes::from(body))
            .await;
        assert_eq!(
            (reply.status, reply.json()["type"].clone()),
            (400, json!("error")),
            "{body}"
        );
    }
    assert_eq!(client.post("/v1/messages", &ask(false)).await.status, 200);
}

#[tokio::test]
async fn heads_that_are_floods_or_never_end_cost_a_connection_alone() {
    let upstream =
        Upstream::start(|_| Answer::json(&json!({"id": "msg_1", "type": "message"}))).await;
    let text = format!(
        "bounds = {{ head_s = 1 }}\n{}",
        config(&[("messages", &upstream)])
    );
    let world = World::start(&text).await;
    let flood = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "a: b\r\n".repeat(5_000)
    );
    for (sent, told) in [
        (flood.as_str(), "HTTP/1.1 431"),
        (
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 4",
        ),
        (
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            "HTTP/1.1 400",
        ),
        ("GET /healthz", ""),
    ] {
        let mut socket = TcpStream::connect(world.address).await.unwrap();
        socket.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read =
            tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(read.is_ok(), "it stays open: {answer}");
        assert!(answer.starts_with(told), "{answer}");
    }
    let reply = world
        .client("one")
        .await
        .anthropic()
        .post("/v1/messages", &ask(false))
        .await;
    assert_eq!(reply.status, 200);
}

/// The figure of a metric's line with all these words in it.
pub(crate) async fn figure(world: &World, words: &[&str]) -> u64 {
    let figure = async {
        loop {
            let text = world.stranger().get("/metrics").await.text();
            let is_it = |line: &&str| {
                !line.starts_with('#') && words.iter().all(|word| line.contains(word))
            };
            let line = text
                .lines()
                .find(is_it)
                .and_then(|line| line.rsplit(' ').next()?.parse().ok());
            match line {
                Some(figure) => return figure,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), figure)
        .await
        .unwrap()
}

#[tokio::test]
async fn who_goes_after_the_last_event_pays_what_the_upstream_reported() {
    for (api, whole, _) in streams() {
        let whole = ["\"output_tokens\":", "\"completion_tokens\":"]
            .iter()
            .fold(whole, |whole, field| {
                whole.replace(field, &format!("{field}77"))
            });
        let upstream = Upstream::start(move |_| Answer::stream(whole.clone()).hang()).await;
        let world = World::start(&config(&[(api, &upstream)])).await;
        let client = world.client("one").await.anthropic();
        let mut stream = client.stream("/v1/messages", &ask(true)).await;
        while let Some((name, _)) = stream.next().await {
            if name == "message_stop" {
                break;
            }
        }
        drop(stream);
        let tokens = figure(&world, &["quire_output_tokens_total", "status=\"200\""]).await;
        assert!(tokens >= 77, "it is the upstream's own figure: {tokens}");
    }
}

#[tokio::test]
async fn a_stream_that_is_whole_needs_no_mark_of_its_end() {
    let upstream = Upstream::start(|_| {
        let whole = crate::world::chat_stream("hello").replace("data: [DONE]\n\n", "");
        Answer::stream(whole.trim_end().to_owned())
    })
    .await;
    let world = World::start(&config(&[("chat", &upstream)])).await;
    let asked =
        json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let events = world
        .client("one")
        .await
        .stream("/v1/chat/completions", &asked)
        .await
        .rest()
        .await;
    assert!(
        events.iter().all(|(_, event)| event.get("error").is_none()),
        "{events:?}"
    );
    assert_eq!(figure(&world, &["quire_upstream_healthy"]).await, 1);
}

#[tokio::test]
async fn what_a_full_upstream_does_not_take_another_serves_without_end() {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let full = Upstream::start(move |_| {
        Answer::json(&json!({"id": "msg_1", "type": "message"})).wait(&held)
    })
    .await;
    let well = Upstream::start(|_| Answer::json(&json!({"id": "msg_2", "type": "message"}))).await;
    let text = format!(
        "[upstreams.full]\ndialect = \"messages\"\nbase_url = \"http://{}\"\nconcurrency = 1\n\
         [upstreams.well]\ndialect = \"messages\"\nbase_url = \"http://{}\"\n\
         [models.m]\nroutes = [{{ upstream = \"full\" }}, {{ upstream = \"well\", rank = 1 }}]\n",
        full.address, well.address
    );
    let world = World::start(&text).await;
    let client = world.client("one").await.anthropic();
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.post("/v1/messages", &ask(false)).await.status }
    });
    full.asked(1).await;
    for _ in 0..40 {
        let reply = client.post("/v1/messages", &ask(false)).await;
        assert_eq!(
            (reply.status, reply.header("quire-upstream")),
            (200, Some("well"))
        );
    }
    gate.notify_one();
    assert_eq!(first.await.unwrap(), 200);
}

#[tokio::test]
async fn a_request_counts_until_its_last_byte() {
    let upstream = Upstream::start(|_| {
        let whole = messages_stream("words");
        let cut = whole.find("event: content_block_stop").unwrap();
        Answer::stream(&whole[..cut]).hang()
    })
    .await;
    let text = format!(
        "bounds = {{ requests = 1 }}\n{}",
        config(&[("messages", &upstream)])
    );
    let world = World::start(&text).await;
    let client = world.client("one").await.anthropic();
    let mut stream = client.stream("/v1/messages", &ask(true)).await;
    assert!(stream.next().await.is_some());
    let refused = client.post("/v1/messages", &ask(true)).await;
    assert_eq!(
        (refused.status, refused.json()["error"]["type"].clone()),
        (529, json!("overloaded_error"))
    );
    drop(stream);
}

#[tokio::test]
async fn what_one_may_not_use_rests_no_upstream_for_all() {
    let upstream = Upstream::start(|seen| {
        if seen.json()["max_tokens"] == 1 {
            return Answer::status(403, &error("permission_error"));
        }
        Answer::json(&json!({"id": "msg_1", "type": "message"}))
    })
    .await;
    let world = World::start(&config(&[("messages", &upstream)])).await;
    let client = world.client("one").await.anthropic();
    let mut forbidden = ask(false);
    forbidden["max_tokens"] = json!(1);
    for _ in 0..10 {
        let refused = client.post("/v1/messages", &forbidden).await;
        assert_eq!(
            refused.json()["error"]["type"],
            "api_error",
            "{}",
            refused.text()
        );
    }
    assert_eq!(client.post("/v1/messages", &ask(false)).await.status, 200);
}

#[tokio::test]
async fn a_budget_that_is_used_up_is_so_after_a_restart_too() {
    let upstream = Upstream::start(|_| {
        Answer::json(&json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5",
            "content": [], "stop_reason": "end_turn", "usage": {"input_tokens": 1_000_000, "output_tokens": 1}}))
    })
    .await;
    let text = format!(
        "[upstreams.up]\ndialect = \"messages\"\nbase_url = \"http://{}\"\n[models.claude-opus-5]\nroutes = [{{ upstream = \"up\" }}]\n",
        upstream.address
    );
    let world = World::start(&text).await;
    let budget = quire_depot::Budget {
        amount: "1".parse().unwrap(),
        period: quire_depot::Period::Total,
    };
    let key = quire_platform::NewKey {
        budget: Some(budget),
        ..quire_platform::NewKey::default()
    };
    let client = world.client_with("one", key).await.anthropic();
    let mut asked = ask(false);
    asked["model"] = json!("claude-opus-5");
    assert_eq!(client.post("/v1/messages", &asked).await.status, 200);
    assert_eq!(client.post("/v1/messages", &asked).await.status, 402);
    let world = world.end().await.again().await;
    // The very first request of the new server already knows.
    let refused = client.at(world.address).post("/v1/messages", &asked).await;
    assert_eq!(refused.status, 402, "{}", refused.text());
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    assert_eq!(upstream.seen().len(), 1);
}
