//! What the Open Responses compliance suite asks of a server, over upstreams of all three APIs.

use serde_json::{Value, json};

use crate::stored::{counting, said};
use crate::world::{Answer, Client, Seen, Upstream, World, config, response_object, sse};

const MODELS: [&str; 3] = ["m-responses", "m-chat", "m-messages"];

/// Calls the first tool that there is; otherwise counts.
fn calling(seen: &Seen) -> Answer {
    let body = seen.json();
    if body["tools"].as_array().is_none_or(Vec::is_empty) {
        return counting(seen);
    }
    let arguments = r#"{"location":"Paris"}"#;
    if seen.path.ends_with("/chat/completions") {
        return Answer::json(
            &json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant",
                "content": null, "tool_calls": [{"id": "call_1", "type": "function",
                    "function": {"name": "get_weather", "arguments": arguments}}]}}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}}),
        );
    }
    if seen.path.ends_with("/messages") {
        return Answer::json(
            &json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"location": "Paris"}}],
            "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 11, "output_tokens": 7}}),
        );
    }
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "get_weather",
        "arguments": arguments, "status": "completed"});
    let usage = json!({"input_tokens": 11, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 18});
    Answer::json(&response_object(
        "resp_u",
        "completed",
        json!([call]),
        usage,
    ))
}

async fn world() -> (World, Client) {
    let upstream = Upstream::start(calling).await;
    let text = config(&[
        ("responses", &upstream),
        ("chat", &upstream),
        ("messages", &upstream),
    ]);
    let world = World::start(&text).await;
    let client = world.client("one").await;
    (world, client)
}

/// A response as the suite's schema has it.
#[track_caller]
fn is_response(response: &Value) {
    let object = response.as_object().unwrap();
    for name in [
        "id",
        "object",
        "created_at",
        "completed_at",
        "status",
        "incomplete_details",
        "model",
        "previous_response_id",
        "instructions",
        "output",
        "error",
        "tools",
        "tool_choice",
        "truncation",
        "parallel_tool_calls",
        "text",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "top_logprobs",
        "temperature",
        "reasoning",
        "usage",
        "max_output_tokens",
        "max_tool_calls",
        "store",
        "background",
        "service_tier",
        "metadata",
        "safety_identifier",
        "prompt_cache_key",
    ] {
        assert!(
            object.contains_key(name),
            "there is no `{name}`: {response}"
        );
    }
    for name in [
        "temperature",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
    ] {
        assert!(
            object[name].is_number(),
            "`{name}` is no number: {response}"
        );
    }
    assert_eq!(response["object"], "response");
    for item in response["output"].as_array().unwrap() {
        assert!(
            item["id"].is_string() && item["status"].is_string(),
            "{item}"
        );
    }
    if response["status"] == "completed" {
        for name in ["input_tokens", "output_tokens", "total_tokens"] {
            assert!(response["usage"][name].is_u64(), "{response}");
        }
        assert!(response["usage"]["input_tokens_details"]["cached_tokens"].is_u64());
        assert!(response["usage"]["output_tokens_details"]["reasoning_tokens"].is_u64());
    }
}

async fn answered(client: &Client, body: Value) -> Value {
    let reply = client.post("/v1/responses", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let response = reply.json();
    is_response(&response);
    assert_eq!(response["status"], "completed");
    response
}

#[tokio::test]
async fn a_basic_answer_and_a_system_prompt_and_many_turns() {
    let (_world, client) = world().await;
    for model in MODELS {
        let user = |text: &str| json!({"type": "message", "role": "user", "content": text});
        answered(
            &client,
            json!({"model": model, "input": [user("Say hello.")]}),
        )
        .await;
        let system = json!({"type": "message", "role": "system", "content": "You are a pirate."});
        answered(
            &client,
            json!({"model": model, "input": [system, user("Say hello.")]}),
        )
        .await;
        let assistant = json!({"type": "message", "role": "assistant", "content": "Hello Alice!"});
        let turns = json!([
            user("My name is Alice."),
            assistant,
            user("What is my name?")
        ]);
        let response = answered(&client, json!({"model": model, "input": turns})).await;
        assert_eq!(said(&response), "heard 3", "{model}");
    }
}

#[tokio::test]
async fn a_stream_has_every_event_in_its_order() {
    let (_world, client) = world().await;
    for model in MODELS {
        let body = json!({"model": model, "input": "Count to 5.", "stream": true});
        let reply = client.post("/v1/responses", &body).await;
        assert_eq!(reply.status, 200);
        let mut validator = quire_translate::Validator::new(quire_dialect::Dialect::Responses);
        validator.push(&reply.body).unwrap();
        validator.finish().unwrap();
        let events = reply.events();
        for (number, (name, event)) in events.iter().enumerate() {
            assert_eq!(
                (&event["type"], &event["sequence_number"]),
                (&json!(name), &json!(number))
            );
        }
        let last = &events.last().unwrap().1;
        assert_eq!(last["type"], "response.completed");
        is_response(&last["response"]);
    }
}

#[tokio::test]
async fn tools_are_called() {
    let (_world, client) = world().await;
    let tool = json!({"type": "function", "name": "get_weather", "description": "Get the weather",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}});
    for model in MODELS {
        let body = json!({"model": model, "input": "The weather in Paris?", "tools": [tool]});
        let response = answered(&client, body).await;
        let call = response["output"]
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["type"] == "function_call");
        let call = call.unwrap();
        assert_eq!(call["name"], "get_weather");
        let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
        assert_eq!(arguments, json!({"location": "Paris"}));
        // Its result, by the response that called it.
        let output = json!([{"type": "function_call_output", "call_id": call["call_id"], "output": "18 °C"}]);
        let body = json!({"model": model, "input": output, "previous_response_id": response["id"]});
        answered(&client, body).await;
    }
}

#[tokio::test]
async fn a_picture_is_taken() {
    let (_world, client) = world().await;
    let picture = "data:image/png;base64,iVBORw0KGgo=";
    for model in MODELS {
        let content = json!([{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": picture}]);
        let body = json!({"model": model, "input": [{"type": "message", "role": "user", "content": content}]});
        answered(&client, body).await;
    }
}

#[tokio::test]
async fn a_socket_answers_one_after_the_other_and_goes_on() {
    let (_world, client) = world().await;
    for model in MODELS {
        for store in [true, false] {
            let mut socket = client.socket("/v1/responses").await;
            let body = json!({"model": model, "input": "one", "store": store});
            let first = socket.ask(&body).await;
            is_response(&first["response"]);
            let second = socket.ask(&body).await;
            assert_eq!(said(&second["response"]), "heard 1");
            let body = json!({"model": model, "input": "two", "store": store,
                "previous_response_id": second["response"]["id"]});
            let third = socket.ask(&body).await;
            assert_eq!(said(&third["response"]), "heard 3", "{model} {store}");
            assert_eq!(
                third["response"]["previous_response_id"],
                second["response"]["id"]
            );
            let fourth = json!({"model": model, "input": "three", "store": store,
                "previous_response_id": third["response"]["id"]});
            assert_eq!(
                said(&socket.ask(&fourth).await["response"]),
                "heard 5",
                "{model} {store}"
            );
        }
    }
}

#[tokio::test]
async fn a_new_socket_knows_what_was_kept_and_nothing_else() {
    let (_world, client) = world().await;
    for store in [true, false] {
        let mut socket = client.socket("/v1/responses").await;
        let first = socket
            .ask(&json!({"model": "m", "input": "one", "store": store}))
            .await;
        socket.close().await;
        let mut socket = client.socket("/v1/responses").await;
        let body = json!({"model": "m", "input": "two", "store": store, "previous_response_id": first["response"]["id"]});
        let next = socket.ask(&body).await;
        if store {
            assert_eq!(said(&next["response"]), "heard 3");
        } else {
            assert_eq!(
                next["error"]["code"], "previous_response_not_found",
                "{next}"
            );
            // What is sent whole begins a new chain.
            let next = socket
                .ask(&json!({"model": "m", "input": "again", "store": false}))
                .await;
            assert_eq!(next["type"], "response.completed");
        }
    }
}

#[tokio::test]
async fn a_missing_response_is_said_to_be() {
    let (_world, client) = world().await;
    let mut socket = client.socket("/v1/responses").await;
    let body = json!({"model": "m", "input": "x", "previous_response_id": "resp_never"});
    let error = socket.ask(&body).await;
    assert_eq!(
        (&error["type"], &error["status"]),
        (&json!("error"), &json!(400))
    );
    assert_eq!(error["error"]["code"], "previous_response_not_found");
    assert_eq!(error["error"]["param"], "previous_response_id");
}

#[tokio::test]
async fn a_continuation_that_fails_is_forgotten() {
    let upstream = Upstream::start(|seen| {
        let text = seen.json().to_string();
        if text.contains("fail whole") {
            let error =
                json!({"error": {"message": "no", "type": "invalid_request_error", "code": null}});
            return Answer::status(400, &error);
        }
        if text.contains("fail later") {
            let mut failed = response_object("resp_u", "failed", json!([]), Value::Null);
            failed["error"] = json!({"code": "server_error", "message": "no"});
            return Answer::stream(sse(&[
                json!({"type": "response.created", "sequence_number": 0,
                    "response": response_object("resp_u", "in_progress", json!([]), Value::Null)}),
                json!({"type": "response.failed", "sequence_number": 1, "response": failed}),
            ]));
        }
        counting(seen)
    })
    .await;
    let world = World::start(&config(&[("responses", &upstream)])).await;
    let client = world.client("one").await;
    for failing in ["fail whole", "fail later"] {
        let mut socket = client.socket("/v1/responses").await;
        let first = socket
            .ask(&json!({"model": "m", "input": "one", "store": false}))
            .await;
        let id = &first["response"]["id"];
        let body = |input: &str| json!({"model": "m", "input": input, "store": false, "previous_response_id": id});
        let failed = socket.ask(&body(failing)).await;
        assert_ne!(failed["type"], "response.completed");
        let again = socket.ask(&body("two")).await;
        assert_eq!(
            again["error"]["code"], "previous_response_not_found",
            "{failing}"
        );
    }
}

#[tokio::test]
async fn a_compacted_context_begins_a_new_chain() {
    let (_world, client) = world().await;
    let mut socket = client.socket("/v1/responses").await;
    let input = json!([{"type": "message", "role": "user", "content": "one"}]);
    let compacted = client
        .post(
            "/v1/responses/compact",
            &json!({"model": "m-chat", "input": input}),
        )
        .await
        .json();
    assert_eq!(compacted["object"], "response.compaction");
    let mut input = compacted["output"].clone();
    input
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "message", "role": "user", "content": "two"}));
    let first = socket
        .ask(&json!({"model": "m-chat", "input": input, "store": false}))
        .await;
    // The summary and what is said next are words of the same speaker.
    assert_eq!(said(&first["response"]), "heard 1");
    let body = json!({"model": "m-chat", "input": "three", "store": false, "previous_response_id": first["response"]["id"]});
    assert_eq!(said(&socket.ask(&body).await["response"]), "heard 3");
}

#[tokio::test]
async fn a_result_without_its_call_is_refused_whatever_the_upstream_takes() {
    let (_world, client) = world().await;
    let result =
        json!([{"type": "function_call_output", "call_id": "call_never", "output": "18 °C"}]);
    for model in MODELS {
        let mut socket = client.socket("/v1/responses").await;
        let first = json!({"model": model, "input": "Remember the word.", "store": false});
        let first = socket.ask(&first).await;
        let body = |input: &Value| {
            json!({"model": model, "input": input, "store": false,
            "previous_response_id": first["response"]["id"]})
        };
        let failed = socket.ask(&body(&result)).await;
        assert_eq!(failed["error"]["param"], "input", "{model}: {failed}");
        let message = failed["error"]["message"].as_str().unwrap();
        assert!(message.contains("call_never"), "{message}");
        // And with it goes what it wanted to go on from.
        let again = socket.ask(&body(&json!("Which word?"))).await;
        assert_eq!(
            again["error"]["code"], "previous_response_not_found",
            "{model}"
        );

        let kept = answered(&client, json!({"model": model, "input": "Hello."})).await;
        let body = json!({"model": model, "input": result, "previous_response_id": kept["id"]});
        let reply = client.post("/v1/responses", &body).await;
        assert_eq!(
            (reply.status, &reply.json()["error"]["param"]),
            (400, &json!("input"))
        );
    }
}

#[tokio::test]
async fn what_a_sparse_upstream_leaves_out_of_a_response_is_filled_in() {
    let sparse = |status: &str, output: Value| json!({"id": "resp_u", "object": "response", "status": status, "model": "m", "output": output});
    let upstream = Upstream::start(move |seen| {
        let message = json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "yes", "annotations": []}]});
        let mut done = sparse("completed", json!([message]));
        done["usage"] = json!({"input_tokens": 11, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 18});
        if seen.json()["stream"] != true {
            return Answer::json(&done);
        }
        Answer::stream(sse(&[
            json!({"type": "response.created", "sequence_number": 0, "response": sparse("in_progress", json!([]))}),
            json!({"type": "response.output_item.done", "sequence_number": 1, "output_index": 0, "item": message}),
            json!({"type": "response.completed", "sequence_number": 2, "response": done}),
        ]))
    })
    .await;
    let world = World::start(&config(&[("responses", &upstream)])).await;
    let client = world.client("one").await;
    let tool = json!({"type": "function", "name": "run", "parameters": {"type": "object"}});
    let body = json!({"model": "m", "input": "x", "instructions": "Be brief.", "tools": [tool],
        "reasoning": {"effort": "low"}});
    let whole = |response: &Value| {
        is_response(response);
        assert_eq!(response["instructions"], "Be brief.");
        assert_eq!(
            response["reasoning"],
            json!({"effort": "low", "summary": null})
        );
        assert!(
            response["tools"][0]
                .as_object()
                .unwrap()
                .contains_key("strict"),
            "{response}"
        );
    };
    let response = answered(&client, body.clone()).await;
    whole(&response);
    assert!(response["completed_at"].is_u64(), "{response}");
    let kept = client
        .get(&format!(
            "/v1/responses/{}",
            response["id"].as_str().unwrap()
        ))
        .await;
    whole(&kept.json());
    let mut streamed = body.clone();
    streamed["stream"] = true.into();
    for (_, event) in client.post("/v1/responses", &streamed).await.events() {
        if event["response"].is_object() {
            whole(&event["response"]);
        }
    }
    // What waits for a model is told in the same words, though nobody was asked.
    let mut socket = client.socket("/v1/responses").await;
    let mut warm = body;
    warm["generate"] = false.into();
    whole(&socket.ask(&warm).await["response"]);
}
