//! What routes add to models that lack it, over real sockets.

use serde_json::{Value, json};

use crate::world::{Answer, Upstream, World, chat_stream};

fn chat(text: &str, finish: &str, output: u64) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "local",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": output, "total_tokens": 10 + output}})
}

async fn world(
    add: &str,
    answer: impl Fn(&Value) -> Answer + Send + Sync + 'static,
) -> (World, Upstream) {
    let upstream = Upstream::start(move |seen| answer(&seen.json())).await;
    let text = format!(
        "[upstreams.local]\ndialect = \"chat\"\nbase_url = \"http://{}\"\n\
         [models.m]\nroutes = [{{ upstream = \"local\", model = \"local\", add = {{ {add} }} }}]\n",
        upstream.address
    );
    (World::start(&text).await, upstream)
}

#[tokio::test]
async fn a_model_that_only_speaks_text_calls_tools() {
    let said = "I look.\n<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"a\"}}\n</tool_call>";
    let (world, upstream) = world("tools = \"words\"", move |asked| {
        if asked["stream"] == json!(true) {
            Answer::stream(chat_stream(said))
        } else {
            Answer::json(&chat(said, "stop", 5))
        }
    })
    .await;
    let client = world.client("one").await.anthropic();
    let mut asked = json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "read a"}],
        "tools": [{"name": "read", "description": "Reads.", "input_schema": {"type": "object"}}]});
    let reply = client.post("/v1/messages", &asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(answer["stop_reason"], "tool_use");
    assert_eq!(answer["content"][0]["text"], "I look.");
    assert_eq!(answer["content"][1]["input"], json!({"path": "a"}));
    assert!(upstream.last().json().get("tools").is_none());
    asked["stream"] = json!(true);
    let events = client.stream("/v1/messages", &asked).await.rest().await;
    let inputs = events
        .iter()
        .filter_map(|(_, event)| event["delta"]["partial_json"].as_str());
    let input: Value = serde_json::from_str(&inputs.collect::<String>()).unwrap();
    assert_eq!(input, json!({"path": "a"}));
}

#[tokio::test]
async fn a_schema_is_held_by_asking_again() {
    let (world, upstream) = world("schema_tries = 3", |asked| {
        let turns = asked["messages"].as_array().unwrap().len();
        Answer::json(&chat(
            if turns < 4 { "seven" } else { "{\"age\": 7}" },
            "stop",
            3,
        ))
    })
    .await;
    let client = world.client("one").await;
    let asked = json!({"model": "m", "messages": [{"role": "user", "content": "age?"}], "response_format": {
        "type": "json_schema", "json_schema": {"name": "age", "schema": {"type": "object",
            "properties": {"age": {"type": "integer"}}, "required": ["age"], "additionalProperties": false}}}});
    let reply = client.post("/v1/chat/completions", &asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        reply.json()["choices"][0]["message"]["content"],
        "{\"age\": 7}"
    );
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn what_never_fits_its_schema_is_not_tried_again_by_anybody() {
    let (world, upstream) = world("schema_tries = 2", |_| {
        Answer::json(&chat("seven", "stop", 3))
    })
    .await;
    let client = world.client("one").await.anthropic();
    let asked = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "age?"}],
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}});
    let reply = client.post("/v1/messages", &asked).await;
    assert_eq!(
        (reply.status, reply.header("x-should-retry")),
        (500, Some("false")),
        "{}",
        reply.text()
    );
    assert!(reply.text().contains("after 2 tries"), "{}", reply.text());
    assert_eq!(upstream.seen().len(), 2);
    let batch = json!({"requests": [{"custom_id": "a", "params": asked}]});
    let batch = client.post("/v1/messages/batches", &batch).await.json();
    let batch = crate::batches::ended(&client, batch["id"].as_str().unwrap()).await;
    assert_eq!(batch["request_counts"]["errored"], 1, "{batch}");
    assert_eq!(upstream.seen().len(), 4);
}

#[tokio::test]
async fn a_stream_that_is_held_for_its_schema_comes_once_it_fits_or_ends_in_an_error() {
    for (fits, tries) in [(2, 2), (9, 3)] {
        let (world, upstream) = world("schema_tries = 3", move |asked| {
            let times = asked["messages"].as_array().unwrap().len() / 2;
            let said = if times == fits {
                "{\"age\": 7}"
            } else {
                "seven"
            };
            if asked["stream"] == true {
                return Answer::stream(crate::world::chat_stream(said));
            }
            Answer::json(&chat(said, "stop", 3))
        })
        .await;
        let client = world.client("one").await.anthropic();
        let asked = json!({"model": "m", "max_tokens": 9, "stream": true,
            "messages": [{"role": "user", "content": "age?"}],
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}});
        let events = client.stream("/v1/messages", &asked).await.rest().await;
        let said = events
            .iter()
            .filter_map(|(_, event)| event["delta"]["text"].as_str());
        let said: String = said.collect();
        let (name, last) = events.last().unwrap();
        if fits == tries {
            assert_eq!(
                (said.as_str(), name.as_str()),
                ("{\"age\": 7}", "message_stop")
            );
        } else {
            assert_eq!((said.as_str(), name.as_str()), ("", "error"));
            let message = last["error"]["message"].as_str().unwrap();
            assert!(message.contains("after 3 tries"), "{message}");
        }
        let seen = upstream.seen();
        assert_eq!(seen.len(), tries);
        // The first is asked for as the client asked; who waits for the others reads no stream.
        assert_eq!(seen[0].json()["stream"], true);
        assert!(
            seen[1]
                .json()
                .get("stream")
                .is_none_or(|stream| stream == false)
        );
    }
}

#[tokio::test]
async fn an_answer_goes_on_past_the_upstreams_limit() {
    let (world, upstream) = world("continue_output = true", |asked| {
        let goes_on = asked["messages"].as_array().unwrap().len() > 1;
        let (text, finish) = if goes_on {
            (" upon a time", "stop")
        } else {
            ("Once", "length")
        };
        Answer::json(&chat(text, finish, 10))
    })
    .await;
    let client = world.client("one").await.anthropic();
    let asked = json!({"model": "m", "max_tokens": 1000, "messages": [{"role": "user", "content": "a tale"}]});
    let answer = client.post("/v1/messages", &asked).await.json();
    assert_eq!(answer["content"][0]["text"], "Once upon a time", "{answer}");
    assert_eq!(
        (&answer["stop_reason"], &answer["usage"]["output_tokens"]),
        (&json!("end_turn"), &json!(20))
    );
    assert_eq!(upstream.seen().len(), 2);
}

/// A conversation of some 500 tokens that a client wants compacted as the route does.
fn long(pause: bool) -> Value {
    json!({"model": "m", "max_tokens": 99,
    "context_management": {"edits": [{"type": "compact_20260112", "pause_after_compaction": pause}]},
    "messages": [
        {"role": "user", "content": "w".repeat(2_000)},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "and now?"},
    ]})
}

/// A model that sums up with 30 tokens and answers with 3.
async fn compacting() -> (World, Upstream) {
    world("compaction = { threshold = 100, keep = 50 }", |asked| {
        let last = asked["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
        match asked["stream"].as_bool() {
            _ if last.contains("Sum up") => Answer::json(&chat("they talked", "stop", 30)),
            Some(true) => Answer::stream(chat_stream("go on")),
            Some(false) | None => Answer::json(&chat("go on", "stop", 3)),
        }
    })
    .await
}

#[tokio::test]
async fn a_long_conversation_is_compacted_where_the_client_asks() {
    let (world, upstream) = compacting().await;
    let client = world.client("one").await.anthropic();
    let client = client.with("anthropic-beta", "compact-2026-01-12");
    let reply = client.post("/v1/messages", &long(false)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(answer["content"][0]["type"], "compaction", "{answer}");
    assert_eq!(answer["content"][0]["content"], "they talked");
    assert_eq!(answer["content"][1]["text"], "go on");
    let sent = upstream.last().json()["messages"].clone();
    assert!(
        sent[0].to_string().contains("they talked") && !sent.to_string().contains("wwww"),
        "{sent}"
    );
}

/// The tokens that the answer and each of its passes took, with what each was.
fn used(usage: &Value) -> String {
    let tokens = |of: &Value| format!("{} {}", of["input_tokens"], of["output_tokens"]);
    let passes = usage["iterations"].as_array().unwrap().iter();
    let passes =
        passes.map(|pass| format!("; {} {}", pass["type"].as_str().unwrap(), tokens(pass)));
    tokens(usage) + &passes.collect::<String>()
}

#[tokio::test]
async fn what_a_compaction_used_is_told_beside_what_the_answer_used() {
    let (world, _upstream) = compacting().await;
    let client = world.client("one").await.anthropic();
    let mut asked = long(false);
    let answer = client.post("/v1/messages", &asked).await.json();
    assert_eq!(
        used(&answer["usage"]),
        "10 3; compaction 10 30; message 10 3"
    );
    asked["stream"] = json!(true);
    let events = client.stream("/v1/messages", &asked).await.rest().await;
    let usage = events.iter().find(|(name, _)| name == "message_delta");
    let usage = &usage.unwrap().1["usage"];
    assert_eq!(used(usage), "11 7; compaction 10 30; message 11 7");
    let answer = client.post("/v1/messages", &long(true)).await.json();
    assert_eq!(answer["stop_reason"], "compaction");
    assert_eq!(used(&answer["usage"]), "0 0; compaction 10 30");
    assert!(answer["content"][0].get("signature").is_none(), "{answer}");
}

#[tokio::test]
async fn a_conversation_is_compacted_on_demand_and_gone_on_with() {
    let (world, upstream) = world("compaction = { }", |_| {
        Answer::json(&chat("They talked.", "stop", 3))
    })
    .await;
    let client = world.client("one").await.anthropic();
    let client = client.with("anthropic-beta", "compact-2026-09-04");
    let mut asked = json!({"model": "m", "max_tokens": 99,
    "compaction": {"type": "summarize", "instructions": "Keep the names."}, "messages": [
        {"role": "user", "content": "I am Ada."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Who am I?"},
    ]});
    let reply = client.post("/v1/messages", &asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(answer["stop_reason"], "compaction");
    assert_eq!(used(&answer["usage"]), "0 0; compaction 10 3");
    let [block] = answer["content"].as_array().unwrap().as_slice() else {
        panic!("{answer}");
    };
    assert_eq!(
        (&block["type"], &block["content"], &block["tool_changes"]),
        (&json!("compaction"), &json!("They talked."), &json!([]))
    );
    let sent = upstream.last().json()["messages"].to_string();
    assert!(
        sent.contains("I am Ada.") && sent.contains("Keep the names."),
        "{sent}"
    );
    assert_eq!(upstream.seen().len(), 1);

    asked["stream"] = json!(true);
    let events = client.stream("/v1/messages", &asked).await.rest().await;
    let signed = events
        .iter()
        .find_map(|(_, event)| event["delta"].get("signature"));
    assert_eq!(signed, Some(&block["signature"]), "{events:?}");

    asked.as_object_mut().unwrap().remove("compaction");
    asked.as_object_mut().unwrap().remove("stream");
    asked["messages"] =
        json!([{"role": "assistant", "content": [block]}, {"role": "user", "content": "Go on."}]);
    assert_eq!(client.post("/v1/messages", &asked).await.status, 200);
    let sent = upstream.last().json()["messages"].to_string();
    assert!(
        sent.contains("They talked.") && sent.contains("Go on."),
        "{sent}"
    );
    asked["messages"][0]["content"][0]["content"] = json!("They agreed.");
    let reply = client.post("/v1/messages", &asked).await;
    assert_eq!(reply.status, 400);
    let code = &reply.json()["error"]["details"]["error_code"];
    assert_eq!(code, "compaction_content_mismatch");
}

#[tokio::test]
async fn an_effort_becomes_words() {
    let (world, upstream) = world("effort = \"words\"", |_| {
        Answer::json(&chat("ok", "stop", 1))
    })
    .await;
    let client = world.client("one").await;
    let asked = json!({"model": "m", "reasoning_effort": "low", "messages": [{"role": "user", "content": "hi"}]});
    let reply = client.post("/v1/chat/completions", &asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let sent = upstream.last().json();
    assert!(
        sent["messages"][0]["content"]
            .to_string()
            .contains("Effort: low"),
        "{sent}"
    );
    assert!(sent.get("reasoning_effort").is_none());
}

#[tokio::test]
async fn a_summary_that_is_the_whole_answer_says_who_wrote_it() {
    let upstream = Upstream::start(|_| Answer::json(&chat("They talked.", "stop", 3))).await;
    let at = |name: &str| {
        let address = upstream.address;
        format!("[upstreams.{name}]\ndialect = \"chat\"\nbase_url = \"http://{address}\"\n")
    };
    let world = World::start(&format!(
        "{}{}[models.m]\nroutes = [{{ upstream = \"local\", add = {{ compaction = {{ model = \"writer\" }} }} }}]\n\
         [models.writer]\nroutes = [{{ upstream = \"other\", model = \"small\" }}]\n",
        at("local"),
        at("other")
    ))
    .await;
    let client = world.client("one").await.anthropic();
    let client = client.with("anthropic-beta", "compact-2026-09-04");
    let asked = json!({"model": "m", "max_tokens": 99, "compaction": {"type": "summarize"}, "messages": [
        {"role": "user", "content": "I am Ada."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Who am I?"},
    ]});
    let reply = client.post("/v1/messages", &asked).await;
    assert_eq!(reply.json()["stop_reason"], "compaction");
    assert_eq!(
        (reply.header("quire-upstream"), reply.header("quire-model")),
        (Some("other"), Some("small"))
    );
}

#[tokio::test]
async fn old_results_of_tools_are_left_out_for_an_upstream_of_another_api() {
    let (world, upstream) = world("", |asked| match asked["stream"].as_bool() {
        Some(true) => Answer::stream(chat_stream("go on")),
        Some(false) | None => Answer::json(&chat("go on", "stop", 3)),
    })
    .await;
    let client = world.client("one").await.anthropic();
    let mut messages = vec![json!({"role": "user", "content": "look"})];
    for id in ["t1", "t2"] {
        let call = json!({"type": "tool_use", "id": id, "name": "read", "input": {}});
        let text = format!("{id} {}", "w".repeat(4_000));
        let result = json!({"type": "tool_result", "tool_use_id": id, "content": text});
        messages.push(json!({"role": "assistant", "content": [call]}));
        messages.push(json!({"role": "user", "content": [result]}));
    }
    let uses = |value: u64| json!({"type": "tool_uses", "value": value});
    let edit = json!({"type": "clear_tool_uses_20250919", "trigger": uses(1), "keep": uses(1)});
    let mut asked = json!({"model": "m", "max_tokens": 99, "messages": messages,
        "tools": [{"name": "read", "input_schema": {"type": "object"}}],
        "context_management": {"edits": [edit]}});
    let reply = client.post("/v1/messages", &asked).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("quire-dropped"), None);
    let told = reply.json()["context_management"]["applied_edits"][0].clone();
    assert_eq!(told["cleared_tool_uses"], 1, "{}", reply.text());
    assert_eq!(told["cleared_input_tokens"], (4_003 - 79) / 4);
    let sent = upstream.last().json()["messages"].to_string();
    assert!(!sent.contains("t1 ww") && sent.contains("t2 ww"), "{sent}");
    asked["stream"] = json!(true);
    let events = client.stream("/v1/messages", &asked).await.rest().await;
    let (_, end) = events
        .iter()
        .find(|(name, _)| name == "message_delta")
        .unwrap();
    assert_eq!(end["context_management"]["applied_edits"][0], told);
}
