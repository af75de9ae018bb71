//! Seals find their way back to the vendor whose they are, and to nobody else.

use quire_dialect::Dialect;
use serde_json::{Value, json};

use crate::request::{Abilities, Target, decode_request, encode_request};
use crate::seal::{Seal, Sealer};

fn at(from: Dialect, body: &Value, to: Dialect) -> (Value, Vec<String>) {
    let sealer = Sealer::new(b"secret");
    let target = Target {
        sealer: Some(&sealer),
        can: Abilities {
            reasoning_content: true,
            ..Abilities::default()
        },
        ..Target::new(to, "m")
    };
    let request = decode_request(from, body.to_string().as_bytes()).unwrap();
    let encoded = encode_request(&request, &target).unwrap();
    let dropped = encoded.dropped.into_iter().map(|dropped| dropped.field);
    (
        serde_json::from_slice(&encoded.body).unwrap(),
        dropped.collect(),
    )
}

fn sealed(from: Dialect, text: &str) -> String {
    Sealer::new(b"secret").seal(&Seal {
        from,
        text: text.to_owned(),
    })
}

fn in_responses(seal: &str) -> Value {
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": seal});
    json!({"model": "m", "input": [{"role": "user", "content": "a"}, reasoning, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]})
}

fn in_messages(signature: &str) -> Value {
    let content = json!([{"type": "thinking", "thinking": "Hm.", "signature": signature}, {"type": "text", "text": "b"}]);
    json!({"model": "m", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": content}]})
}

#[test]
fn a_proof_of_anthropics_comes_home_through_responses() {
    let (body, dropped) = at(
        Dialect::Responses,
        &in_responses(&sealed(Dialect::Messages, "EqQB")),
        Dialect::Messages,
    );
    let content = json!([{"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}, {"type": "text", "text": "b"}]);
    assert_eq!(body["messages"][1]["content"], content);
    assert_eq!(dropped, [] as [&str; 0]);
}

#[test]
fn a_redacted_block_comes_home_whole() {
    let block = json!({"type": "redacted_thinking", "data": "AAAA"});
    let seal = sealed(Dialect::Messages, &block.to_string());
    let (body, _) = at(Dialect::Responses, &in_responses(&seal), Dialect::Messages);
    assert_eq!(body["messages"][1]["content"][0], block);
}

#[test]
fn a_cipher_of_openais_comes_home_through_messages() {
    let (body, _) = at(
        Dialect::Messages,
        &in_messages(&sealed(Dialect::Responses, "gAAA")),
        Dialect::Responses,
    );
    let reasoning = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gAAA"});
    assert_eq!(body["input"][1], reasoning);
}

#[test]
fn proofs_of_anthropics_come_home_through_chat() {
    let detail = |text: &str| {
        let data = sealed(Dialect::Messages, text);
        json!({"type": "reasoning.encrypted", "data": data, "format": "quire", "index": 0})
    };
    let chat = |details: Value| {
        json!({"model": "m", "messages": [{"role": "user", "content": "a"},
            {"role": "assistant", "content": "b", "reasoning_content": "Hm.", "reasoning_details": details}]})
    };
    let (body, _) = at(
        Dialect::Chat,
        &chat(json!([detail("one")])),
        Dialect::Messages,
    );
    let one = json!({"type": "thinking", "thinking": "Hm.", "signature": "one"});
    assert_eq!(body["messages"][1]["content"][0], one);
    // Whose words are whose cannot be told.
    let (body, _) = at(
        Dialect::Chat,
        &chat(json!([detail("one"), detail("two")])),
        Dialect::Messages,
    );
    let signatures = json!([
        {"type": "thinking", "thinking": "", "signature": "one"},
        {"type": "thinking", "thinking": "", "signature": "two"},
        {"type": "text", "text": "b"},
    ]);
    assert_eq!(body["messages"][1]["content"], signatures);
}

#[test]
fn reasoning_of_a_chat_server_comes_home_with_its_details() {
    let details = json!([{"type": "reasoning.text", "text": "Hm.", "signature": "s"}]);
    let seal = sealed(Dialect::Chat, &details.to_string());
    let (body, _) = at(Dialect::Messages, &in_messages(&seal), Dialect::Chat);
    let message = json!({"role": "assistant", "content": "b", "reasoning_content": "Hm.", "reasoning_details": details});
    assert_eq!(body["messages"][1], message);
    // A server that proves nothing gets its words back.
    let (body, _) = at(
        Dialect::Messages,
        &in_messages(&sealed(Dialect::Chat, "")),
        Dialect::Chat,
    );
    let message = json!({"role": "assistant", "content": "b", "reasoning_content": "Hm."});
    assert_eq!(body["messages"][1], message);
}

#[test]
fn what_another_vendor_sealed_is_left_out_and_never_refused() {
    let ours = |from| sealed(from, "text");
    let cases = [
        (
            Dialect::Messages,
            in_messages("EqQBforeign"),
            Dialect::Responses,
        ),
        (
            Dialect::Messages,
            in_messages(&ours(Dialect::Responses)),
            Dialect::Messages,
        ),
        (
            Dialect::Messages,
            in_messages("qs1.tampered"),
            Dialect::Messages,
        ),
        (Dialect::Messages, in_messages(""), Dialect::Chat),
        (
            Dialect::Responses,
            in_responses("gAAAforeign"),
            Dialect::Messages,
        ),
        (
            Dialect::Responses,
            in_responses(&ours(Dialect::Chat)),
            Dialect::Messages,
        ),
        (
            Dialect::Responses,
            in_responses(&ours(Dialect::Messages)),
            Dialect::Responses,
        ),
    ];
    for (from, body, to) in cases {
        let (body, dropped) = at(from, &body, to);
        let text = body.to_string();
        assert!(
            !text.contains("Hm.") && !text.contains("\"content\":[]"),
            "{text}"
        );
        assert_eq!(dropped, ["messages.thinking"], "{body}");
    }
}

#[test]
fn a_foreign_proof_of_the_same_vendor_passes() {
    let body = in_messages("EqQB");
    assert_eq!(at(Dialect::Messages, &body, Dialect::Messages).0, body);
    let body = in_responses("gAAA");
    assert_eq!(at(Dialect::Responses, &body, Dialect::Responses).0, body);
}

#[test]
fn a_compaction_comes_home_or_stays_as_words() {
    let block = json!({"type": "compaction", "content": "We did A.", "encrypted_content": "E"});
    let item = json!({"type": "compaction", "id": "cmp_1", "encrypted_content": sealed(Dialect::Messages, &block.to_string())});
    let body = json!({"model": "m", "instructions": "i",
        "input": [{"role": "user", "content": "old"}, item, {"role": "user", "content": "new"}]});
    let (home, _) = at(Dialect::Responses, &body, Dialect::Messages);
    let messages =
        json!([{"role": "assistant", "content": [block]}, {"role": "user", "content": "new"}]);
    assert_eq!(home["messages"], messages);
    let (chat, _) = at(Dialect::Responses, &body, Dialect::Chat);
    let content = json!([
        {"type": "text", "text": "Summary of the conversation so far:\n\nWe did A."},
        {"type": "text", "text": "new"},
    ]);
    let messages =
        json!([{"role": "system", "content": "i"}, {"role": "user", "content": content}]);
    assert_eq!(chat["messages"], messages);
}

#[test]
fn a_compaction_that_nobody_can_read_costs_nothing_that_was_sent() {
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "old"},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "foreign"},
        {"role": "user", "content": "new"},
    ]});
    let (body, dropped) = at(Dialect::Responses, &body, Dialect::Chat);
    assert!(body.to_string().contains("old"), "{body}");
    assert_eq!(dropped, ["messages.compaction"]);
}

#[test]
fn a_compaction_of_another_vendors_is_words_in_the_clients_own_api_too() {
    let block = json!({"type": "compaction", "content": "We did A.", "encrypted_content": "E"});
    let seal = sealed(Dialect::Messages, &block.to_string());
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "old"},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": seal},
        {"role": "user", "content": "new"},
    ]});
    let (body, dropped) = at(Dialect::Responses, &body, Dialect::Responses);
    let text = body.to_string();
    assert!(
        text.contains("We did A.") && !text.contains("old") && !text.contains("qs1."),
        "{text}"
    );
    assert_eq!(dropped, [] as [&str; 0]);
}

#[test]
fn a_seal_of_ours_that_does_not_open_is_told_of() {
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "old"},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "qs1.tampered"},
    ]});
    let (body, dropped) = at(Dialect::Responses, &body, Dialect::Responses);
    let text = body.to_string();
    assert!(
        !text.contains("qs1.") && !text.contains("\"content\":[]"),
        "{text}"
    );
    assert_eq!(dropped, ["messages.compaction"]);
}
