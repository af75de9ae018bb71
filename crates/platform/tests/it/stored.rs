//! Responses that are kept, and those that go on from them.

use serde_json::{Value, json};

use crate::world::{
    Answer, Client, Seen, Upstream, World, chat_stream, config, messages_stream, response_object,
    responses_stream,
};

/// Answers in any API, whole or as a stream, by saying how many messages it was sent.
pub(crate) fn counting(seen: &Seen) -> Answer {
    let body = seen.json();
    let streams = body["stream"] == true;
    let count = |name: &str| body[name].as_array().map_or(1, Vec::len);
    if seen.path.ends_with("/chat/completions") {
        let said = format!("heard {}", count("messages"));
        if streams {
            return Answer::stream(chat_stream(&said));
        }
        return Answer::json(
            &json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}}),
        );
    }
    if seen.path.ends_with("/messages") {
        let said = format!("heard {}", count("messages"));
        if streams {
            return Answer::stream(messages_stream(&said));
        }
        return Answer::json(
            &json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": said}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 11, "output_tokens": 7}}),
        );
    }
    let said = format!("heard {}", count("input"));
    if streams {
        return Answer::stream(responses_stream("resp_upstream", &said));
    }
    Answer::json(&whole("resp_upstream", &said))
}

/// A whole answer of Responses.
pub(crate) fn whole(id: &str, said: &str) -> Value {
    let output = json!([{"id": "msg_u1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": said, "annotations": []}]}]);
    let usage = json!({"input_tokens": 11, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 18});
    response_object(id, "completed", output, usage)
}

/// The words of a response.
pub(crate) fn said(response: &Value) -> &str {
    let output = response["output"].as_array().unwrap();
    let message = output.iter().find(|item| item["type"] == "message");
    message.unwrap()["content"][0]["text"].as_str().unwrap()
}

/// A platform over one upstream of each API.
pub(crate) async fn world() -> (World, [Upstream; 3]) {
    world_of(counting).await
}

/// The same, with upstreams that answer so.
pub(crate) async fn world_of(answer: fn(&Seen) -> Answer) -> (World, [Upstream; 3]) {
    let upstreams = [
        Upstream::start(answer).await,
        Upstream::start(answer).await,
        Upstream::start(answer).await,
    ];
    let [one, two, three] = &upstreams;
    let config = config(&[("responses", one), ("chat", two), ("messages", three)]);
    (World::start(&config).await, upstreams)
}

async fn ask(client: &Client, body: Value) -> Value {
    let reply = client.post("/v1/responses", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test]
async fn a_response_is_kept_and_gone_on_from_whatever_its_upstream_speaks() {
    let (world, upstreams) = world().await;
    let client = world.client("one").await;
    for model in ["m-responses", "m-chat", "m-messages"] {
        let first = ask(
            &client,
            json!({"model": model, "input": "first", "instructions": "be brief"}),
        )
        .await;
        let id = first["id"].as_str().unwrap();
        assert!(id.starts_with("resp_") && id != "resp_upstream", "{id}");
        assert_eq!(
            (&first["store"], &first["status"]),
            (&json!(true), &json!("completed")),
            "{model}"
        );
        let kept = client.get(&format!("/v1/responses/{id}")).await.json();
        assert_eq!(kept, first, "{model}");
        // Three messages: the first, its answer, the second. Instructions are not inherited.
        let second = ask(
            &client,
            json!({"model": model, "input": "second", "previous_response_id": id}),
        )
        .await;
        assert_eq!(said(&second), "heard 3", "{model}");
        assert_eq!(second["previous_response_id"], id);
        let third = ask(
            &client,
            json!({"model": "m-chat", "input": "third", "previous_response_id": second["id"]}),
        )
        .await;
        assert_eq!(said(&third), "heard 5", "{model}");
    }
    let sent = upstreams[0].last().json();
    assert_eq!(sent["store"], false);
    assert!(sent.get("previous_response_id").is_none(), "{sent}");
    assert!(sent.get("instructions").is_none(), "{sent}");
}

#[tokio::test]
async fn a_stream_is_told_in_this_servers_terms_and_kept_before_it_ends() {
    let (world, _upstreams) = world().await;
    let client = world.client("one").await;
    for model in ["m-responses", "m-chat", "m-messages"] {
        let body = json!({"model": model, "input": "first", "stream": true});
        let mut stream = client.stream("/v1/responses", &body).await;
        let (name, created) = stream.next().await.unwrap();
        assert_eq!(name, "response.created");
        let id = created["response"]["id"].as_str().unwrap().to_owned();
        let mut last = None;
        while let Some((name, event)) = stream.next().await {
            if name == "response.completed" {
                // It can be fetched by whoever has seen its end.
                let kept = client.get(&format!("/v1/responses/{id}")).await.json();
                assert_eq!(kept, event["response"], "{model}");
                last = Some(event);
            }
        }
        let last = last.unwrap();
        assert_eq!(last["response"]["id"], id);
        assert_eq!(last["response"]["store"], true);
        assert_eq!(said(&last["response"]), "heard 1");
    }
}

#[tokio::test]
async fn what_is_not_kept_cannot_be_gone_on_from() {
    let (world, upstreams) = world().await;
    let client = world.client("one").await;
    let words = "item_reference qs1. and \u{fc}ber";
    let body = json!({"model": "m-responses", "input": words, "store": false, "odd": 1, "type": 2});
    let reply = client.post("/v1/responses", &body).await;
    // As it came, byte for byte, both ways.
    assert_eq!(reply.json(), whole("resp_upstream", "heard 1"));
    let mut sent = body.clone();
    sent["model"] = json!("m");
    assert_eq!(upstreams[0].last().json(), sent);
    for id in ["resp_upstream", "resp_never"] {
        assert_eq!(client.get(&format!("/v1/responses/{id}")).await.status, 404);
        let body = json!({"model": "m", "input": "second", "previous_response_id": id});
        let reply = client.post("/v1/responses", &body).await;
        let error = &reply.json()["error"];
        assert_eq!(reply.status, 400);
        assert_eq!(error["code"], "previous_response_not_found");
        assert_eq!(error["param"], "previous_response_id");
    }
}

#[tokio::test]
async fn what_was_asked_is_listed_in_pages() {
    let (world, _upstreams) = world().await;
    let client = world.client("one").await;
    let first = ask(&client, json!({"model": "m", "input": "first"})).await;
    let input = json!([{"role": "developer", "content": "hm"}, {"role": "user", "content": "second", "id": "msg_mine"}]);
    let second = ask(
        &client,
        json!({"model": "m", "input": input, "previous_response_id": first["id"]}),
    )
    .await;
    let path = format!(
        "/v1/responses/{}/input_items",
        second["id"].as_str().unwrap()
    );
    let all = client.get(&format!("{path}?order=asc")).await.json();
    let data = all["data"].as_array().unwrap();
    assert_eq!(data.len(), 4, "{all}");
    assert_eq!(
        data[0]["content"],
        json!([{"type": "input_text", "text": "first"}])
    );
    assert_eq!(data[1]["content"][0]["text"], "heard 1");
    assert_eq!(data[3]["id"], "msg_mine");
    assert_eq!(
        (&all["object"], &all["has_more"]),
        (&json!("list"), &json!(false))
    );
    let newest = client.get(&format!("{path}?limit=1")).await.json();
    assert_eq!(
        (&newest["data"][0], &newest["has_more"]),
        (&data[3], &json!(true))
    );
    let rest = client
        .get(&format!("{path}?after=msg_mine&limit=2"))
        .await
        .json();
    assert_eq!(rest["data"], json!([data[2], data[1]]));
}

#[tokio::test]
async fn a_reference_stands_for_its_item() {
    let (world, upstreams) = world().await;
    let client = world.client("one").await;
    let input = json!([{"role": "user", "content": "first", "id": "msg_mine"}]);
    let first = ask(&client, json!({"model": "m", "input": input})).await;
    let again = json!([{"type": "item_reference", "id": "msg_mine"}]);
    let body = json!({"model": "m", "input": again, "previous_response_id": first["id"]});
    ask(&client, body).await;
    let sent = upstreams[0].last().json();
    assert_eq!(sent["input"][2], input[0]);
    let body = json!({"model": "m", "store": false, "input": [{"type": "item_reference", "id": "msg_other"}]});
    let reply = client.post("/v1/responses", &body).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("msg_other"), "{}", reply.text());
}

#[tokio::test]
async fn a_deleted_response_is_gone_and_leaves_no_gap_unsaid() {
    let (world, _upstreams) = world().await;
    let client = world.client("one").await;
    let first = ask(&client, json!({"model": "m", "input": "first"})).await;
    let id = first["id"].as_str().unwrap();
    let second = ask(
        &client,
        json!({"model": "m", "input": "second", "previous_response_id": id}),
    )
    .await;
    let gone = client.delete(&format!("/v1/responses/{id}")).await;
    assert_eq!(
        gone.json(),
        json!({"id": id, "object": "response", "deleted": true})
    );
    assert_eq!(client.get(&format!("/v1/responses/{id}")).await.status, 404);
    assert_eq!(
        client.delete(&format!("/v1/responses/{id}")).await.status,
        404
    );
    let body = json!({"model": "m", "input": "third", "previous_response_id": second["id"]});
    let reply = client.post("/v1/responses", &body).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["code"], "previous_response_not_found");
    assert!(reply.text().contains(id), "{}", reply.text());
}

#[tokio::test]
async fn another_server_over_the_same_store_goes_on() {
    let (world, _upstreams) = world().await;
    let client = world.client("one").await;
    let first = ask(&client, json!({"model": "m", "input": "first"})).await;
    let beside = world.beside().await;
    let body = json!({"model": "m-chat", "input": "second", "previous_response_id": first["id"]});
    assert_eq!(
        said(&ask(&client.at(beside.address), body).await),
        "heard 3"
    );
}

#[tokio::test]
async fn reasoning_goes_along_where_it_can_be_read_and_is_shown_to_those_who_ask() {
    let upstream = Upstream::start(|seen| {
        let mut answer = whole("resp_u", "done");
        let ciphered =
            json!({"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"});
        let bare = json!({"id": "rs_2", "type": "reasoning", "summary": []});
        let message = answer["output"][0].take();
        answer["output"] = json!([ciphered, bare, message]);
        assert_eq!(
            seen.json()["include"],
            json!(["reasoning.encrypted_content"])
        );
        Answer::json(&answer)
    })
    .await;
    let text = config(&[("responses", &upstream)]);
    let world =
        World::start(&(text + "[models.gpt-5]\nroutes = [{ upstream = \"responses\" }]\n")).await;
    let client = world.client("one").await;
    let first = ask(&client, json!({"model": "gpt-5", "input": "first"})).await;
    let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
    let kept = client.get(&path).await.json();
    assert_eq!(kept["output"][0].get("encrypted_content"), None);
    let kept = client
        .get(&format!("{path}?include[]=reasoning.encrypted_content"))
        .await
        .json();
    assert_eq!(kept["output"][0]["encrypted_content"], "gAAA");
    let body = json!({"model": "gpt-5", "input": "second", "previous_response_id": first["id"]});
    ask(&client, body).await;
    let sent = upstream.last().json();
    let kinds: Vec<_> = sent["input"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["type"])
        .collect();
    assert_eq!(
        kinds,
        [
            &Value::Null,
            &json!("reasoning"),
            &json!("message"),
            &Value::Null
        ]
    );
}

#[tokio::test]
async fn a_context_is_compacted_by_the_upstream_or_by_the_platform() {
    let upstream = Upstream::start(|seen| {
        if seen.path == "/responses/compact" {
            let item = json!({"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"});
            return Answer::json(&json!({"id": "resp_c", "object": "response.compaction", "created_at": 1,
                "output": [item], "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}}));
        }
        counting(seen)
    })
    .await;
    let chat = Upstream::start(counting).await;
    let world = World::start(&config(&[("responses", &upstream), ("chat", &chat)])).await;
    let client = world.client("one").await;
    let first = ask(&client, json!({"model": "m", "input": "first"})).await;
    let body = json!({"model": "m", "previous_response_id": first["id"]});
    let compacted = client.post("/v1/responses/compact", &body).await.json();
    assert_eq!(compacted["output"][0]["encrypted_content"], "gAAA");
    let sent = upstream.last().json();
    assert_eq!(sent["input"].as_array().unwrap().len(), 2, "{sent}");

    let body =
        json!({"model": "m-chat", "previous_response_id": first["id"], "instructions": "be brief"});
    let compacted = client.post("/v1/responses/compact", &body).await.json();
    assert_eq!(compacted["object"], "response.compaction");
    let item = &compacted["output"][0];
    assert_eq!(item["type"], "compaction");
    assert!(
        !item["encrypted_content"]
            .as_str()
            .unwrap()
            .contains("heard")
    );
    let asked = chat.last().json().to_string();
    assert!(
        asked.contains("first") && asked.contains("heard 1"),
        "{asked}"
    );
    assert_eq!(compacted["usage"]["output_tokens"], 7);
    // It is opened for any upstream, kept or not.
    for (model, upstream) in [("m", &upstream), ("m-chat", &chat)] {
        let input = json!([item, {"role": "user", "content": "second"}]);
        ask(
            &client,
            json!({"model": model, "store": false, "input": input}),
        )
        .await;
        let sent = upstream.last().json().to_string();
        assert!(
            sent.contains("heard 2") && sent.contains("second"),
            "{sent}"
        );
        assert!(!sent.contains("qs1."), "{sent}");
    }
}

#[tokio::test]
async fn what_goes_on_from_a_call_bears_its_result() {
    let (world, _upstreams) = world().await;
    let client = world.client("one").await;
    let user = json!({"role": "user", "content": "hi"});
    let call = json!({"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{}"});
    let result = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "a"});
    for model in ["m-responses", "m-chat", "m-messages"] {
        let made = client
            .post("/v1/conversations", &json!({"items": [user, call]}))
            .await
            .json();
        let asked = async |input: Value| {
            let body = json!({"model": model, "input": input, "conversation": made["id"]});
            let reply = client.post("/v1/responses", &body).await;
            let reply = (reply.status, reply.json());
            (reply.0, reply.1["error"]["message"].clone())
        };
        // The vendor's words, whatever the upstream would have taken.
        assert_eq!(
            asked(json!([user])).await,
            (400, json!("No tool output found for function call c1."))
        );
        assert_eq!(
            asked(json!([result("c2")])).await,
            (
                400,
                json!("No tool call found for function call output with call_id c2.")
            )
        );
        assert_eq!(asked(json!([result("c1"), user])).await.0, 200);
        assert_eq!(asked(json!([user])).await.0, 200);
    }
}
