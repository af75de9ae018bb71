//! What upstreams fail at, behind an answer that began well: how it is recorded, counted and told, and what it costs.

use serde_json::{Value, json};

use crate::batches::ended;
use crate::faults::{ends_in, figure, streams};
use crate::world::{Answer, Reply, Upstream, World, config};

/// A request in the words of a path.
fn ask(path: &str, stream: bool) -> Value {
    match path {
        "/v1/responses" => json!({"model": "m", "input": "hi", "stream": stream, "store": false}),
        _ => json!({"model": "m", "max_tokens": 9, "stream": stream,
            "messages": [{"role": "user", "content": "hi there, whoever you are"}]}),
    }
}

/// The path of an API.
fn path(api: &str) -> &'static str {
    match api {
        "messages" => "/v1/messages",
        "responses" => "/v1/responses",
        _ => "/v1/chat/completions",
    }
}

/// A world whose one upstream rests after one failure.
async fn world(api: &str, upstream: &Upstream) -> World {
    World::start(&format!(
        "[upstreams.up]\ndialect = \"{api}\"\nbase_url = \"http://{}\"\nidle_s = 1\n\
         breaker = {{ failures = 1 }}\n[models.m]\nroutes = [{{ upstream = \"up\" }}]\n",
        upstream.address
    ))
    .await
}

/// The failures that are counted, by kind, once a request is recorded with a status.
async fn failures(world: &World, status: u16) -> Vec<(String, u64)> {
    figure(
        world,
        &["quire_requests_total", &format!("status=\"{status}\"")],
    )
    .await;
    let text = world.stranger().get("/metrics").await.text();
    let one = |line: &str| {
        let (_, rest) = line.split_once("quire_upstream_failures_total{upstream=\"up\",kind=\"")?;
        let (kind, count) = rest.split_once("\"} ")?;
        Some((kind.to_owned(), count.parse().ok()?))
    };
    text.lines().filter_map(one).collect()
}

fn kinds(kind: Option<&str>) -> Vec<(String, u64)> {
    kind.map(|kind| (kind.to_owned(), 1)).into_iter().collect()
}

/// A whole body of status 200 that is no answer: by which API, and what is recorded for a client of the same API and
/// for one of the other vendor's, what is counted, and whether the upstream is used on.
struct Whole {
    api: &'static str,
    body: Value,
    same: u16,
    other: u16,
    kind: Option<&'static str>,
    healthy: u64,
}

impl Whole {
    fn new(
        api: &'static str,
        body: Value,
        (same, other): (u16, u16),
        kind: Option<&'static str>,
        healthy: u64,
    ) -> Self {
        Self {
            api,
            body,
            same,
            other,
            kind,
            healthy,
        }
    }
}

fn of_messages() -> Vec<Whole> {
    let error =
        |kind: &str| json!({"type": "error", "error": {"type": kind, "message": "upstream says"}});
    let whole =
        |body, statuses, kind, healthy| Whole::new("messages", body, statuses, kind, healthy);
    vec![
        whole(error("overloaded_error"), (529, 503), Some("busy"), 1),
        whole(error("api_error"), (502, 502), Some("error"), 0),
        whole(
            error("authentication_error"),
            (401, 401),
            Some("refused"),
            0,
        ),
        whole(error("invalid_request_error"), (400, 400), None, 1),
        whole(json!({"detail": "gone"}), (502, 502), Some("broken"), 0),
    ]
}

fn of_openai() -> Vec<Whole> {
    let slow = json!({"error": {"message": "slow", "code": 429}});
    let error = json!({"error": "out of memory"});
    let failed = json!({"id": "resp_u", "object": "response", "status": "failed", "output": [],
        "error": {"code": "server_error", "message": "upstream says"}});
    let none = json!("no answer at all");
    vec![
        Whole::new("chat", slow, (429, 429), Some("busy"), 1),
        Whole::new("chat", error, (502, 502), Some("error"), 0),
        Whole::new("chat", none, (502, 502), Some("broken"), 0),
        Whole::new("responses", failed, (502, 502), Some("error"), 0),
        Whole::new(
            "responses",
            json!({"ok": true}),
            (502, 502),
            Some("broken"),
            0,
        ),
    ]
}

async fn posted(world: &World, path: &str, body: &Value) -> Reply {
    world.client("one").await.anthropic().post(path, body).await
}

#[tokio::test]
async fn a_whole_error_of_status_200_is_the_upstreams_failure_and_goes_on_as_it_came() {
    for case in of_messages().into_iter().chain(of_openai()) {
        let other = if case.api == "messages" {
            "chat"
        } else {
            "messages"
        };
        for (api, status) in [(case.api, case.same), (other, case.other)] {
            let body = case.body.clone();
            let upstream = Upstream::start(move |_| Answer::json(&body)).await;
            let world = world(case.api, &upstream).await;
            let reply = posted(&world, path(api), &ask(path(api), false)).await;
            let place = format!("{} for {api}: {}", case.body, reply.text());
            if api == case.api {
                assert_eq!((reply.status, reply.text()), (200, case.body.to_string()));
            } else {
                assert!(reply.status >= 400, "{place}");
            }
            assert_eq!(failures(&world, status).await, kinds(case.kind), "{place}");
            let healthy = figure(&world, &["quire_upstream_healthy"]).await;
            assert_eq!(healthy, case.healthy, "{place}");
            // What was no error in so many words, the upstream may charge for.
            let tokens = figure(&world, &["quire_input_tokens_total"]).await;
            assert_eq!(tokens > 0, case.kind == Some("broken"), "{place}");
        }
    }
}

#[tokio::test]
async fn a_whole_error_is_no_stored_response() {
    let error = json!({"error": {"message": "upstream says", "type": "server_error", "param": null, "code": null}});
    let body = error.clone();
    let upstream = Upstream::start(move |_| Answer::json(&body)).await;
    let world = world("responses", &upstream).await;
    let mut asked = ask("/v1/responses", false);
    asked["store"] = json!(true);
    let reply = posted(&world, "/v1/responses", &asked).await;
    assert_eq!((reply.status, reply.json()), (200, error));
}

#[tokio::test]
async fn a_whole_error_is_no_result_of_a_batch() {
    let error = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "upstream says"}});
    let upstream = Upstream::start(move |_| Answer::json(&error)).await;
    let world = World::start(&config(&[("messages", &upstream)])).await;
    let client = world.client("one").await.anthropic();
    let item = json!({"custom_id": "a", "params": ask("/v1/messages", false)});
    let made = client
        .post("/v1/messages/batches", &json!({"requests": [item]}))
        .await
        .json();
    let id = made["id"].as_str().unwrap();
    assert_eq!(ended(&client, id).await["request_counts"]["errored"], 1);
    let results = client
        .get(&format!("/v1/messages/batches/{id}/results"))
        .await
        .json();
    let error = &results["result"]["error"]["error"];
    assert_eq!(
        (&error["type"], &error["message"]),
        (&json!("invalid_request_error"), &json!("upstream says"))
    );
}

/// What comes of a stream once words have been said, its kind of failure, and what is recorded.
const BREAKS: [(&str, &str, u16); 6] = [
    ("dropped", "broken", 502),
    ("cut short", "broken", 502),
    ("malformed", "broken", 502),
    ("silent", "silent", 504),
    ("api_error", "error", 502),
    ("overloaded_error", "busy", 529),
];

fn breaks(api: &str, said: &str, how: &str) -> Answer {
    match how {
        "dropped" => Answer::stream(said).broken(),
        "cut short" => Answer::stream(said),
        "malformed" => Answer::stream(format!(
            "{said}event: content_block_delta\ndata: {{nonsense\n\n"
        )),
        "silent" => Answer::stream(said).hang(),
        kind => Answer::stream(format!("{said}{}", ends_in(api, kind))),
    }
}

#[tokio::test]
async fn a_failure_in_the_middle_of_a_stream_is_counted_by_its_kind() {
    let mut cases = Vec::new();
    for (api, whole, said) in streams() {
        for (how, kind, status) in BREAKS {
            let said = whole[..said].to_owned();
            cases.push(async move {
                let upstream = Upstream::start(move |_| breaks(api, &said, how)).await;
                let world = world(api, &upstream).await;
                posted(&world, "/v1/messages", &ask("/v1/messages", true)).await;
                let found = failures(&world, status).await;
                assert_eq!(found, kinds(Some(kind)), "{api} {how}");
            });
        }
    }
    futures_util::future::join_all(cases).await;
}

/// A way to fail without a stream, its kind of failure, and what is recorded.
type Way = (fn() -> Answer, &'static str, u16);

const REFUSALS: [Way; 6] = [
    (|| json_text("{").broken(), "broken", 502),
    (|| json_text("{").hang(), "silent", 504),
    (
        || json_text("<html>").header("content-type", "text/html"),
        "broken",
        502,
    ),
    (|| Answer::status(500, &json!({})), "error", 500),
    (|| Answer::status(429, &json!({})), "busy", 429),
    (|| Answer::status(403, &json!({})), "refused", 403),
];

fn json_text(text: &str) -> Answer {
    Answer::stream(text).header("content-type", "application/json")
}

#[tokio::test]
async fn a_failure_before_an_answer_or_in_a_whole_one_is_counted_by_its_kind() {
    let mut cases = Vec::new();
    for api in ["messages", "chat"] {
        for (answer, kind, status) in REFUSALS {
            cases.push(async move {
                let upstream = Upstream::start(move |_| answer()).await;
                let world = world(api, &upstream).await;
                posted(&world, "/v1/messages", &ask("/v1/messages", false)).await;
                let found = failures(&world, status).await;
                assert_eq!(found, kinds(Some(kind)), "{api} {status}");
            });
        }
    }
    futures_util::future::join_all(cases).await;
}
