//! Upstreams that fall silent: whatever the platform wanted of them, what is recorded is that they did, and not that
//! the client went away.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stored::counting;
use crate::world::{Answer, Seen, Upstream, World};

/// A request, and what of it is answered before nothing more comes.
struct Case {
    name: &'static str,
    /// What the upstream speaks.
    dialect: &'static str,
    /// What the route adds.
    add: &'static str,
    path: &'static str,
    body: Value,
    answer: fn(&Seen) -> Answer,
}

fn hello(more: &Value) -> Value {
    let mut body =
        json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn input(more: &Value) -> Value {
    let mut body = json!({"model": "m", "input": "hi"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A conversation that is summed up first.
fn talk() -> Value {
    let edit = json!({"type": "compact_20260112"});
    hello(
        &json!({"context_management": {"edits": [edit]}, "messages": [
            {"role": "user", "content": "w".repeat(2_000)},
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "and now?"},
        ]}),
    )
}

fn hangs(_seen: &Seen) -> Answer {
    Answer::stream("{")
        .header("content-type", "application/json")
        .hang()
}

fn begins(seen: &Seen) -> Answer {
    counting(seen).cut().hang()
}

/// Ends at its limit; the next piece never comes.
fn goes_on(seen: &Seen) -> Answer {
    if seen.json()["messages"].as_array().unwrap().len() > 1 {
        return hangs(seen);
    }
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "Once"}, "finish_reason": "length"});
    Answer::json(
        &json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [choice], "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}}),
    )
}

fn cases() -> Vec<Case> {
    let case = |name, dialect, path, body, answer| Case {
        name,
        dialect,
        add: "",
        path,
        body,
        answer,
    };
    let (whole, streamed) = (json!({}), json!({"stream": true}));
    let background = json!({"background": true});
    let (messages, responses) = ("/v1/messages", "/v1/responses");
    vec![
        case("whole", "messages", messages, hello(&whole), hangs),
        case("whole across", "chat", messages, hello(&whole), hangs),
        case("streamed", "messages", messages, hello(&streamed), begins),
        case(
            "streamed across",
            "chat",
            messages,
            hello(&streamed),
            begins,
        ),
        case("stored", "responses", responses, input(&whole), hangs),
        case("stored stream", "chat", responses, input(&streamed), begins),
        case(
            "background",
            "responses",
            responses,
            input(&background),
            begins,
        ),
        case(
            "background across",
            "messages",
            responses,
            input(&background),
            begins,
        ),
        case(
            "background whole",
            "responses",
            responses,
            input(&background),
            hangs,
        ),
        Case {
            add: "continue_output = true",
            ..case("continued", "chat", messages, hello(&whole), goes_on)
        },
        Case {
            add: "continue_output = true",
            ..case(
                "continued stream",
                "chat",
                messages,
                hello(&streamed),
                goes_on,
            )
        },
        Case {
            add: "compaction = { threshold = 100, keep = 50 }",
            ..case("compacted", "chat", messages, talk(), hangs)
        },
    ]
}

/// The statuses with which a world recorded requests, once there is one that is none of success.
async fn recorded(world: &World) -> Vec<u16> {
    let statuses = async {
        loop {
            let text = world.stranger().get("/metrics").await.text();
            let lines = text
                .lines()
                .filter(|line| line.starts_with("quire_requests_total"));
            let status = |line: &str| {
                let (_, rest) = line.split_once("status=\"")?;
                rest.split('"').next()?.parse::<u16>().ok()
            };
            let statuses: Vec<u16> = lines.filter_map(status).collect();
            if statuses.iter().any(|status| *status >= 400) {
                return statuses;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), statuses)
        .await
        .unwrap_or_default()
}

async fn world(address: std::net::SocketAddr, dialect: &str, add: &str) -> World {
    let text = format!(
        "[upstreams.up]\ndialect = \"{dialect}\"\nbase_url = \"http://{address}\"\nidle_s = 1\nfirst_byte_s = 1\n\
         [models.m]\nroutes = [{{ upstream = \"up\", add = {{ {add} }} }}]\n"
    );
    World::start(&text).await
}

async fn is_recorded_as_silent(case: Case) {
    let upstream = Upstream::start(case.answer).await;
    let world = world(upstream.address, case.dialect, case.add).await;
    let client = world.client("one").await.anthropic();
    let client = client.with("anthropic-beta", "compact-2026-01-12");
    client.post(case.path, &case.body).await;
    let statuses = recorded(&world).await;
    assert!(
        statuses.contains(&504) && !statuses.contains(&499),
        "{}: {statuses:?}",
        case.name
    );
}

#[tokio::test]
async fn an_upstream_that_falls_silent_in_the_middle_is_recorded_so() {
    futures_util::future::join_all(cases().into_iter().map(is_recorded_as_silent)).await;
}

#[tokio::test]
async fn an_upstream_that_never_begins_is_recorded_so() {
    // It takes connections and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let compaction = "compaction = { threshold = 100, keep = 50 }";
    let one = async |add: &'static str, path: &'static str, body: Value| {
        let world = world(address, "chat", add).await;
        let client = world.client("one").await.anthropic();
        let client = client.with("anthropic-beta", "compact-2026-01-12");
        let reply = client.post(path, &body).await;
        assert_eq!(
            recorded(&world).await,
            [504],
            "{path} {add}: {}",
            reply.text()
        );
    };
    Box::pin(futures_util::future::join3(
        one("", "/v1/messages", hello(&json!({}))),
        one("", "/v1/responses", input(&json!({"background": true}))),
        one(compaction, "/v1/messages", talk()),
    ))
    .await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_none_is_recorded_as_the_upstreams_failure() {
    for (dialect, answer) in [
        (
            "messages",
            (|_| Answer::json(&json!({"id": 1})).broken()) as fn(&Seen) -> Answer,
        ),
        ("chat", |_| Answer::json(&json!({"id": 1})).broken()),
        ("chat", |_| Answer::json(&json!("no answer at all"))),
        ("messages", |seen| counting(seen).cut()),
        ("chat", |seen| counting(seen).cut()),
    ] {
        let upstream = Upstream::start(answer).await;
        let world = world(upstream.address, dialect, "").await;
        let client = world.client("one").await.anthropic();
        client
            .post("/v1/messages", &hello(&json!({"stream": true})))
            .await;
        assert_eq!(recorded(&world).await, [502], "{dialect}");
    }
}

#[tokio::test]
async fn a_stream_that_is_written_here_lives_while_its_upstream_says_nothing() {
    let (ping, comment) = (
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        ": keep-alive\n\n",
    );
    let (streamed, passing) = (
        json!({"stream": true}),
        json!({"stream": true, "store": false}),
    );
    let cases = [
        ("chat", "/v1/messages", hello(&streamed), ping),
        (
            "messages",
            "/v1/chat/completions",
            hello(&streamed),
            comment,
        ),
        ("chat", "/v1/responses", input(&passing), comment),
        ("chat", "/v1/responses", input(&streamed), comment),
        ("responses", "/v1/responses", input(&streamed), comment),
    ];
    let one = async |(dialect, path, body, sign): (&str, &str, Value, &str)| {
        let upstream = Upstream::start(begins).await;
        let text = format!(
            "[bounds]\nkeep_alive_s = 1\n\
             [upstreams.up]\ndialect = \"{dialect}\"\nbase_url = \"http://{}\"\n\
             [models.m]\nroutes = [{{ upstream = \"up\" }}]\n",
            upstream.address
        );
        let world = World::start(&text).await;
        let client = world.client("one").await;
        let client = match path {
            "/v1/messages" => client.anthropic(),
            _openai => client,
        };
        client.stream(path, &body).await.until(sign).await;
    };
    futures_util::future::join_all(cases.into_iter().map(one)).await;
}

#[tokio::test]
async fn a_stream_that_is_held_for_its_schema_lives_while_its_upstream_writes() {
    let format = json!({"type": "json_schema", "schema": {"type": "object"}});
    let body = hello(&json!({"stream": true, "output_config": {"format": format}}));
    let upstream = Upstream::start(begins).await;
    let text = format!(
        "[bounds]\nkeep_alive_s = 1\n\
         [upstreams.up]\ndialect = \"chat\"\nbase_url = \"http://{}\"\n\
         [models.m]\nroutes = [{{ upstream = \"up\", add = {{ schema_tries = 2 }} }}]\n",
        upstream.address
    );
    let world = World::start(&text).await;
    let client = world.client("one").await.anthropic();
    let mut stream = client.stream("/v1/messages", &body).await;
    // Twice: a comment, as no event comes before the one that begins the answer.
    stream.until(": keep-alive\n\n: keep-alive\n\n").await;
    assert_eq!(upstream.last().json()["stream"], true);
}
