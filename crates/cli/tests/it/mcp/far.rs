//! A server that is reached by HTTP.

use std::io::{BufRead as _, Read as _, Write as _};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{WIRES, place};
use crate::provider::{Answer, Provider, result_texts, results};
use crate::run::finish;

/// A server that speaks the old protocol over HTTP, with answers in JSON, to those who know its token.
fn far_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let called = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&called);
    let serve = move |mut stream: std::net::TcpStream| -> std::io::Result<()> {
        let mut input = std::io::BufReader::new(stream.try_clone()?);
        loop {
            let (mut length, mut knows, mut line) = (0, false, String::new());
            let mut first = String::new();
            if input.read_line(&mut first)? == 0 {
                return Ok(());
            }
            while input.read_line(&mut line)? > 2 {
                let header = line.trim().to_ascii_lowercase();
                knows |= header == "authorization: bearer sesame";
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            input.read_exact(&mut body)?;
            let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
            let result = match asked["method"].as_str().unwrap_or_default() {
                "initialize" => {
                    json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                    "serverInfo": {"name": "far", "version": "1"}})
                }
                "tools/list" => {
                    json!({"tools": [{"name": "say", "inputSchema": {"type": "object"}}]})
                }
                "tools/call" => {
                    log.lock().unwrap().push(asked["params"].to_string());
                    json!({"content": [{"type": "text", "text": "said from afar"}]})
                }
                _ => Value::Null,
            };
            let (status, body) = match (knows, result.is_null(), &asked["id"]) {
                (false, ..) => ("401 Unauthorized", String::new()),
                (_, _, Value::Null) if first.starts_with("POST") => ("202 Accepted", String::new()),
                (_, _, Value::Null) => ("405 Method Not Allowed", String::new()),
                (_, true, id) => {
                    let error = json!({"code": -32601, "message": "no such method"});
                    (
                        "200 OK",
                        json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string(),
                    )
                }
                (_, false, id) => (
                    "200 OK",
                    json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string(),
                ),
            };
            write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )?;
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            // A client that goes away ends it.
            std::thread::spawn(move || serve(stream));
        }
    });
    (url, called)
}

#[test]
fn a_server_by_http_asks_before_it_is_given_anything_and_gets_its_token() {
    let (url, called) = far_server();
    let settings = format!("[mcp.far]\nurl = \"{url}\"\nkey_env = \"FAR_TOKEN\"\n");
    let place = place(&settings);
    let say = || vec![("mcp__far__say", json!({"word": "a"}))];
    let provider = Provider::start(move |request| match results(request) {
        0 => Answer::Reply("", say()),
        _ => Answer::Reply("done", vec![]),
    });
    let with_token = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command
            .env("ANTHROPIC_BASE_URL", &provider.url)
            .env("ANTHROPIC_API_KEY", "key")
            .env("FAR_TOKEN", "sesame");
        finish(command)
    };
    let listed = with_token(&["mcp", "far"]);
    assert_eq!(listed.code, 0, "{}", listed.out);
    assert!(listed.out.contains("mcp__far__say"), "{}", listed.out);
    let ran = with_token(&["exec", "--model", WIRES[0].model, "work"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let told = result_texts(provider.requests().last().unwrap());
    assert!(
        told.contains("sends what it is given to 127.0.0.1"),
        "{told}"
    );
    assert_eq!(called.lock().unwrap().len(), 0, "nobody allowed it");

    let rule = "[[rule]]\nprefix = [\"mcp:far\"]\naction = \"allow\"\n";
    place.config(&(settings.clone() + rule));
    let ran = with_token(&["exec", "--json", "--model", WIRES[0].model, "work"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let told = result_texts(provider.requests().last().unwrap());
    assert!(told.contains("said from afar"), "{told}");
    assert_eq!(called.lock().unwrap().len(), 1);
    let shown = listed.out + &ran.out + &ran.err + &with_token(&["config"]).out;
    assert!(!shown.contains("sesame"), "a token is never shown");
    // Without the token it is told what to do.
    let none = finish(place.command(&["mcp"]));
    assert!(
        none.out.contains("key_env") || none.out.contains("token"),
        "{}",
        none.out
    );
}
