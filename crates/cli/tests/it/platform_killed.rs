//! `quire platform serve` killed in the middle of work that nobody waits for: another life goes on with it.

use std::io::Write as _;
use std::net::TcpStream;

use quire_depot::{Depot, Place as Store};
use serde_json::Value;

use crate::platform_ops::{Platform, Upstream, config, rest, until};
use crate::run::wait_until;

/// A request of Responses with a key; its answer comes by the socket.
fn asked(platform: &Platform, key: &str, method: &str, path: &str, body: &str) -> TcpStream {
    let mut socket = platform.connect();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).unwrap();
    socket
}

/// A response as its owner finds it.
fn found(platform: &Platform, id: &str) -> Value {
    let path = format!("/v1/responses/{id}");
    let answer = rest(&mut asked(platform, &platform.key, "GET", &path, ""));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

/// Lets a minute pass for the store of a server that died: whatever it had claimed, others may claim now.
fn claims_run_out(platform: &Platform) -> usize {
    let store = Store::Folder(platform.place.work().join("kept"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let responses = Depot::open(&store).await.unwrap().responses();
        let late = responses.claim(9, "the clock", i64::MAX, 0).await;
        late.unwrap().len()
    })
}

/// The lines of the usage report, but for its head.
fn billed(platform: &Platform) -> Vec<String> {
    let path =
        "/v1/organizations/usage_report/messages?starting_at=2020-01-01T00:00:00Z&format=csv";
    let report = platform.admin("GET", path);
    let rows = report.lines().filter(|line| line.contains("claude-opus-5"));
    rows.map(str::to_owned).collect()
}

#[test]
fn a_background_response_outlives_its_server_and_each_life_is_billed_once() {
    let upstream = Upstream::new();
    let mut platform = Platform::start(&config(&upstream, "store = \"sqlite://kept\"", "claude-*"));
    let body = r#"{"model":"claude-opus-5","input":"a long task","background":true,"stream":true}"#;
    let mut stream = asked(&platform, &platform.key, "POST", "/v1/responses", body);
    let begun = until(&mut stream, "the answer's beginning");
    let (_, rest_of_it) = begun.split_once("\"id\":\"resp_").unwrap();
    let id = format!("resp_{}", rest_of_it.split('"').next().unwrap());

    platform.killed_and_started();
    // The dead server's claim still holds: what is said of it is true, and nobody else serves it.
    assert_eq!(found(&platform, &id)["status"], "in_progress");
    platform.kill();
    assert_eq!(claims_run_out(&platform), 1);
    platform.start_again();

    // The first is for the life that ended.
    upstream.go_on.send(()).unwrap();
    upstream.go_on.send(()).unwrap();
    wait_until("the response is complete", || {
        found(&platform, &id)["status"] == "completed"
    });
    let done = found(&platform, &id);
    let text = &done["output"][0]["content"][0]["text"];
    assert_eq!(
        (&done["id"], text.as_str()),
        (&Value::from(id.as_str()), Some("the answer's beginning"))
    );
    assert_eq!(done["usage"]["output_tokens"], 25);
    let stranger = platform.another_key("elsewhere");
    let path = format!("/v1/responses/{id}");
    let refused = rest(&mut asked(&platform, &stranger, "GET", &path, ""));
    assert!(refused.starts_with("HTTP/1.1 404 "), "{refused}");

    // The upstream was asked twice: what it said before the end of the first life is an estimate, the rest its report.
    wait_until("both are billed", || billed(&platform).len() == 2);
    platform.kill();
    platform.start_again();
    let rows = billed(&platform);
    let estimates = rows.iter().filter(|row| row.contains(",499,")).count();
    assert_eq!((rows.len(), estimates), (2, 1), "{rows:?}");
    assert_eq!(found(&platform, &id)["status"], "completed");
}
