//! Requests in the shapes that real clients send, in the words of every API.

use std::fmt::Write as _;

use expect_test::{ExpectFile, expect_file};
use quire_dialect::Dialect;
use serde_json::Value;

use crate::request::{Target, decode_request, encode_request};

fn check(from: Dialect, body: &str, to: Dialect, expected: &ExpectFile) {
    let request = decode_request(from, body.as_bytes()).unwrap();
    let encoded = encode_request(&request, &Target::new(to, "upstream")).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    let mut text = format!("{body:#}\n");
    for dropped in &encoded.dropped {
        writeln!(text, "dropped {}: {}", dropped.field, dropped.why).unwrap();
    }
    for (name, named) in encoded.names.iter() {
        writeln!(text, "{name} is {named:?}").unwrap();
    }
    if !encoded.betas.is_empty() {
        writeln!(text, "betas {:?}", encoded.betas).unwrap();
    }
    expected.assert_eq(&text);
}

#[test]
fn claude_code_at_responses_and_chat() {
    let body = include_str!("../../../tests/golden/requests/claude_code.json");
    let at = Dialect::Messages;
    let file = expect_file!["../../../tests/golden/requests/claude_code.responses.txt"];
    check(at, body, Dialect::Responses, &file);
    let file = expect_file!["../../../tests/golden/requests/claude_code.chat.txt"];
    check(at, body, Dialect::Chat, &file);
}

#[test]
fn codex_at_messages_and_chat() {
    let body = include_str!("../../../tests/golden/requests/codex.json");
    let at = Dialect::Responses;
    let file = expect_file!["../../../tests/golden/requests/codex.messages.txt"];
    check(at, body, Dialect::Messages, &file);
    let file = expect_file!["../../../tests/golden/requests/codex.chat.txt"];
    check(at, body, Dialect::Chat, &file);
}

#[test]
fn codex_with_a_model_it_knows_at_messages_and_chat() {
    let body = include_str!("../../../tests/golden/requests/codex_gpt6.json");
    let at = Dialect::Responses;
    let file = expect_file!["../../../tests/golden/requests/codex_gpt6.messages.txt"];
    check(at, body, Dialect::Messages, &file);
    let file = expect_file!["../../../tests/golden/requests/codex_gpt6.chat.txt"];
    check(at, body, Dialect::Chat, &file);
}

#[test]
fn a_chat_client_at_messages_and_responses() {
    let body = include_str!("../../../tests/golden/requests/chat.json");
    let at = Dialect::Chat;
    let file = expect_file!["../../../tests/golden/requests/chat.messages.txt"];
    check(at, body, Dialect::Messages, &file);
    let file = expect_file!["../../../tests/golden/requests/chat.responses.txt"];
    check(at, body, Dialect::Responses, &file);
}

#[test]
fn every_client_comes_out_at_home_as_it_came() {
    let bodies = [
        (
            Dialect::Messages,
            include_str!("../../../tests/golden/requests/claude_code.json"),
        ),
        (
            Dialect::Responses,
            include_str!("../../../tests/golden/requests/codex.json"),
        ),
        (
            Dialect::Responses,
            include_str!("../../../tests/golden/requests/codex_gpt6.json"),
        ),
        (
            Dialect::Chat,
            include_str!("../../../tests/golden/requests/chat.json"),
        ),
    ];
    for (dialect, body) in bodies {
        let request = decode_request(dialect, body.as_bytes()).unwrap();
        let encoded = encode_request(&request, &Target::new(dialect, &request.model)).unwrap();
        let came: Value = serde_json::from_str(body).unwrap();
        let went: Value = serde_json::from_slice(&encoded.body).unwrap();
        assert_eq!(went, came);
        assert_eq!(encoded.dropped, []);
    }
}
