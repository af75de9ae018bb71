//! What an API has no words for: refused, told of, or put otherwise.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use quire_dialect::{ApiVersion, Dialect};
use serde_json::{Value, json};

use crate::request::{Abilities, Target, decode_request, encode_request, settings};

use Dialect::{Chat, Messages, Responses};

fn base(dialect: Dialect) -> Value {
    match dialect {
        Messages => {
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]})
        }
        Responses => json!({"model": "m", "input": [{"role": "user", "content": "a"}]}),
        Chat => json!({"model": "m", "messages": [{"role": "user", "content": "a"}]}),
    }
}

/// What becomes of fields on the way from an API to another.
fn fates(from: Dialect, to: Dialect, fields: &[Value], expected: &Expect) {
    let mut text = String::new();
    for more in fields {
        let mut body = base(from);
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let request = decode_request(from, body.to_string().as_bytes()).unwrap();
        let plain = encode_request(
            &decode_request(from, base(from).to_string().as_bytes()).unwrap(),
            &Target::new(to, "m"),
        );
        let plain: Value = serde_json::from_slice(&plain.unwrap().body).unwrap();
        match encode_request(&request, &Target::new(to, "m")) {
            Err(refusal) => writeln!(text, "{more} refused: {refusal}").unwrap(),
            Ok(encoded) => {
                let body: Value = serde_json::from_slice(&encoded.body).unwrap();
                let new = body.as_object().unwrap().iter();
                let new = new.filter(|(key, value)| plain.get(key) != Some(value));
                let new: serde_json::Map<_, _> = new
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                let dropped: Vec<_> = encoded
                    .dropped
                    .iter()
                    .map(|dropped| dropped.field.as_str())
                    .collect();
                let new = Value::Object(new);
                writeln!(text, "{more} → {new} {dropped:?} {:?}", encoded.betas).unwrap();
            }
        }
    }
    expected.assert_eq(&text);
}

#[test]
fn from_messages_to_responses() {
    let fields = [
        json!({"mcp_servers": [{"type": "url"}]}),
        json!({"container": "c"}),
        json!({"thread": {"type": "create"}}),
        json!({"compaction": {"type": "summarize"}}),
        json!({"max_tokens": 0}),
        json!({"max_tokens": 3}),
        json!({"speed": "fast"}),
        json!({"speed": "standard"}),
        json!({"diagnostics": {"previous_message_id": null}}),
        json!({"stop_sequences": ["END"]}),
        json!({"top_k": 5, "temperature": 0.5}),
        json!({"thinking": {"type": "disabled"}}),
        json!({"thinking": {"type": "between_tools"}}),
        json!({"thinking": {"type": "enabled", "budget_tokens": 20_000, "display": "summarized"}}),
        json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max", "task_budget": {"type": "tokens", "total": 9}}}),
        json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"a": {}}, "additionalProperties": false}}}}),
        json!({"output_format": {"type": "json_schema", "schema": {"type": "object"}}}),
        json!({"metadata": {"user_id": "u"}}),
        json!({"service_tier": "standard_only"}),
        json!({"inference_geo": "us"}),
        json!({"tools": [{"type": "bash_20250124", "name": "bash"}]}),
        json!({"tools": [{"type": "bash_20250124", "name": "bash"}], "tool_choice": {"type": "any"}}),
        json!({"tools": [{"type": "bash_20250124", "name": "bash"}], "tool_choice": {"type": "tool", "name": "bash"}}),
        json!({"context_management": {"edits": [
            {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 60_000}, "instructions": "Keep names."},
            {"type": "clear_tool_uses_20250919"}]}}),
        json!({"x_unknown": 1}),
    ];
    fates(
        Messages,
        Responses,
        &fields,
        &expect![[r#"
            {"mcp_servers":[{"type":"url"}]} refused: mcp_servers: the API behind this model has no words for it. Offer the servers' tools as tools of your own, or take a model that Anthropic serves.
            {"container":"c"} refused: container: the API behind this model has no words for it. Leave it out, or take a model that Anthropic serves.
            {"thread":{"type":"create"}} refused: thread: the API behind this model has no words for it. Send the whole conversation in the request instead.
            {"compaction":{"type":"summarize"}} refused: compaction: the API behind this model has no words for it. Ask for a summary in a message, or take a model that Anthropic serves.
            {"max_tokens":0} refused: max_tokens: the API behind this model has no words for it. Nought only warms the cache, which no other API does; ask for at least one token.
            {"max_tokens":3} → {} [] []
            {"speed":"fast"} → {} ["speed"] []
            {"speed":"standard"} → {} [] []
            {"diagnostics":{"previous_message_id":null}} → {} ["diagnostics"] []
            {"stop_sequences":["END"]} → {} ["stop_sequences"] []
            {"top_k":5,"temperature":0.5} → {"temperature":0.5} ["top_k"] []
            {"thinking":{"type":"disabled"}} → {"reasoning":{"effort":"none"}} [] []
            {"thinking":{"type":"between_tools"}} → {"reasoning":{"effort":"low"}} [] []
            {"thinking":{"type":"enabled","budget_tokens":20000,"display":"summarized"}} → {"reasoning":{"effort":"high","summary":"auto"}} [] []
            {"thinking":{"type":"adaptive"},"output_config":{"effort":"max","task_budget":{"type":"tokens","total":9}}} → {"reasoning":{"effort":"max"}} ["output_config.task_budget"] []
            {"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"a":{}},"additionalProperties":false}}}} → {"text":{"format":{"type":"json_schema","name":"answer","schema":{"type":"object","properties":{"a":{}},"additionalProperties":false},"strict":false}}} [] []
            {"output_format":{"type":"json_schema","schema":{"type":"object"}}} → {"text":{"format":{"type":"json_schema","name":"answer","schema":{"type":"object"},"strict":false}}} [] []
            {"metadata":{"user_id":"u"}} → {"safety_identifier":"u"} [] []
            {"service_tier":"standard_only"} → {"service_tier":"default"} [] []
            {"inference_geo":"us"} → {} [] []
            {"tools":[{"type":"bash_20250124","name":"bash"}]} → {} ["tools.bash_20250124"] []
            {"tools":[{"type":"bash_20250124","name":"bash"}],"tool_choice":{"type":"any"}} refused: tool_choice: the API behind this model has no words for it. Offer a tool of your own for it, or choose `auto`.
            {"tools":[{"type":"bash_20250124","name":"bash"}],"tool_choice":{"type":"tool","name":"bash"}} refused: tool_choice: the API behind this model has no words for it. Offer a tool of your own for it, or choose `auto`.
            {"context_management":{"edits":[{"type":"compact_20260112","trigger":{"type":"input_tokens","value":60000},"instructions":"Keep names."},{"type":"clear_tool_uses_20250919"}]}} → {"context_management":[{"type":"compaction","compact_threshold":60000}]} ["context_management.compact_20260112", "context_management.clear_tool_uses_20250919"] []
            {"x_unknown":1} → {} ["x_unknown"] []
        "#]],
    );
}

#[test]
fn from_responses_to_messages() {
    let fields = [
        json!({"previous_response_id": "resp_1"}),
        json!({"conversation": "conv_1"}),
        json!({"background": true}),
        json!({"background": false}),
        json!({"prompt": {"id": "p"}}),
        json!({"store": false, "include": ["reasoning.encrypted_content"]}),
        json!({"truncation": "auto"}),
        json!({"top_logprobs": 3}),
        json!({"reasoning": {"effort": "none"}}),
        json!({"reasoning": {"effort": "minimal", "summary": "detailed", "context": "all_turns"}}),
        json!({"text": {"verbosity": "low", "format": {"type": "json_object"}}}),
        json!({"text": {"format": {"type": "text"}}}),
        json!({"tools": [{"type": "web_search"}]}),
        json!({"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}),
        json!({"tools": [{"type": "web_search"}], "tool_choice": "required"}),
        json!({"tools": [{"type": "function", "name": "a", "parameters": null}], "parallel_tool_calls": false}),
        json!({"context_management": [{"type": "compaction", "compact_threshold": 2_000}]}),
        json!({"service_tier": "priority"}),
        json!({"service_tier": "flex"}),
        json!({"prompt_cache_key": "k", "safety_identifier": "u"}),
        json!({"input": [{"type": "item_reference", "id": "x"}]}),
        json!({"input": [{"role": "user", "content": "a"}, {"type": "compaction_trigger"}]}),
        json!({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}]}),
        json!({"input": [{"role": "developer", "content": "alone"}]}),
        json!({"input": [{"role": "user", "content": "a"}, {"type": "web_search_call", "id": "ws"}]}),
    ];
    fates(
        Responses,
        Messages,
        &fields,
        &expect![[r#"
            {"previous_response_id":"resp_1"} refused: previous_response_id: the API behind this model has no words for it. Send the whole conversation in the request instead.
            {"conversation":"conv_1"} refused: conversation: the API behind this model has no words for it. Send the whole conversation in the request instead.
            {"background":true} refused: background: the API behind this model has no words for it. Leave it out and wait for the answer, or stream it.
            {"background":false} → {} [] []
            {"prompt":{"id":"p"}} refused: prompt: the API behind this model has no words for it. Send the prompt's text in the request instead.
            {"store":false,"include":["reasoning.encrypted_content"]} → {} [] []
            {"truncation":"auto"} → {} ["truncation"] []
            {"top_logprobs":3} → {} ["top_logprobs"] []
            {"reasoning":{"effort":"none"}} → {"thinking":{"type":"disabled"}} [] []
            {"reasoning":{"effort":"minimal","summary":"detailed","context":"all_turns"}} → {"thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":"low"}} ["reasoning.context"] []
            {"text":{"verbosity":"low","format":{"type":"json_object"}}} → {} ["format", "verbosity"] []
            {"text":{"format":{"type":"text"}}} → {} [] []
            {"tools":[{"type":"web_search"}]} → {} ["tools.web_search"] []
            {"tools":[{"type":"web_search"}],"tool_choice":{"type":"web_search"}} refused: tool_choice: the API behind this model has no words for it. Offer a tool of your own for it, or choose `auto`.
            {"tools":[{"type":"web_search"}],"tool_choice":"required"} refused: tool_choice: the API behind this model has no words for it. Offer a tool of your own for it, or choose `auto`.
            {"tools":[{"type":"function","name":"a","parameters":null}],"parallel_tool_calls":false} → {"tools":[{"name":"a","input_schema":{"type":"object","properties":{}}}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true}} [] []
            {"context_management":[{"type":"compaction","compact_threshold":2000}]} → {"context_management":{"edits":[{"type":"compact_20260112","trigger":{"type":"input_tokens","value":50000}}]}} [] ["context-management-2025-06-27", "compact-2026-01-12"]
            {"service_tier":"priority"} → {"service_tier":"auto"} [] []
            {"service_tier":"flex"} → {} ["service_tier"] []
            {"prompt_cache_key":"k","safety_identifier":"u"} → {"metadata":{"user_id":"u"},"cache_control":{"type":"ephemeral"}} [] []
            {"input":[{"type":"item_reference","id":"x"}]} refused: item_reference: the API behind this model has no words for it. Send the item itself instead.
            {"input":[{"role":"user","content":"a"},{"type":"compaction_trigger"}]} refused: compaction_trigger: the API behind this model has no words for it. Ask for a summary in a message, or take a model that OpenAI serves.
            {"input":[{"role":"user","content":[{"type":"input_image","file_id":"file_1"}]}]} refused: image.file_id: the API behind this model has no words for it. The file lies with another vendor; send its bytes instead.
            {"input":[{"role":"developer","content":"alone"}]} → {"messages":[{"role":"user","content":"alone"}]} [] []
            {"input":[{"role":"user","content":"a"},{"type":"web_search_call","id":"ws"}]} → {} ["messages.web_search_call"] []
        "#]],
    );
}

#[test]
fn from_chat_to_messages_and_responses() {
    let fields = [
        json!({"n": 2}),
        json!({"n": 1, "logprobs": false, "frequency_penalty": 0, "store": false, "modalities": ["text"]}),
        json!({"logprobs": true, "seed": 1, "logit_bias": {"1": 2}}),
        json!({"audio": {"voice": "a"}}),
        json!({"functions": [{"name": "a"}]}),
        json!({"web_search_options": {}}),
        json!({"web_search_options": {"search_context_size": "low"}}),
        json!({"response_format": {"type": "json_object"}}),
        json!({"metadata": {"a": "b"}}),
        json!({"stop": ["a", "b", " "], "max_tokens": 5}),
        json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}),
        json!({"messages": [{"role": "function", "name": "f", "content": "x"}, {"role": "user", "content": "a"}]}),
    ];
    fates(
        Chat,
        Messages,
        &fields,
        &expect![[r#"
            {"n":2} refused: n: the API behind this model has no words for it. Send the request so many times instead.
            {"n":1,"logprobs":false,"frequency_penalty":0,"store":false,"modalities":["text"]} → {} [] []
            {"logprobs":true,"seed":1,"logit_bias":{"1":2}} → {} ["logprobs", "seed", "logit_bias"] []
            {"audio":{"voice":"a"}} refused: audio: the API behind this model has no words for it. Leave it out, or take a model that OpenAI serves.
            {"functions":[{"name":"a"}]} refused: functions: the API behind this model has no words for it. Send them as `tools`.
            {"web_search_options":{}} → {} ["web_search_options"] []
            {"web_search_options":{"search_context_size":"low"}} → {} ["web_search_options"] []
            {"response_format":{"type":"json_object"}} → {} ["format"] []
            {"metadata":{"a":"b"}} → {} ["metadata.a"] []
            {"stop":["a","b"," "],"max_tokens":5} → {"max_tokens":5,"stop_sequences":["a","b"]} [] []
            {"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]} refused: input_audio: This model does not hear; send text instead.
            {"messages":[{"role":"function","name":"f","content":"x"},{"role":"user","content":"a"}]} refused: messages.function: the API behind this model has no words for it. Send the function's result in a message of the role `tool`.
        "#]],
    );
    fates(
        Chat,
        Responses,
        &fields,
        &expect![[r#"
            {"n":2} refused: n: the API behind this model has no words for it. Send the request so many times instead.
            {"n":1,"logprobs":false,"frequency_penalty":0,"store":false,"modalities":["text"]} → {} [] []
            {"logprobs":true,"seed":1,"logit_bias":{"1":2}} → {} ["logprobs", "seed", "logit_bias"] []
            {"audio":{"voice":"a"}} refused: audio: the API behind this model has no words for it. Leave it out, or take a model that OpenAI serves.
            {"functions":[{"name":"a"}]} refused: functions: the API behind this model has no words for it. Send them as `tools`.
            {"web_search_options":{}} → {} ["web_search_options"] []
            {"web_search_options":{"search_context_size":"low"}} → {} ["web_search_options"] []
            {"response_format":{"type":"json_object"}} → {"text":{"format":{"type":"json_object"}}} [] []
            {"metadata":{"a":"b"}} → {"metadata":{"a":"b"}} [] []
            {"stop":["a","b"," "],"max_tokens":5} → {"max_output_tokens":16} ["stop_sequences"] []
            {"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]} refused: input_audio: This model does not hear; send text instead.
            {"messages":[{"role":"function","name":"f","content":"x"},{"role":"user","content":"a"}]} refused: messages.function: the API behind this model has no words for it. Send the function's result in a message of the role `tool`.
        "#]],
    );
}

#[test]
fn an_effort_is_clamped_to_what_the_target_knows() {
    let mut text = String::new();
    let ladders: [(Dialect, Option<&[&str]>); 5] = [
        (Messages, None),
        (Responses, None),
        (Messages, Some(&["low", "medium", "high"])),
        (Chat, Some(&["none", "high"])),
        (Chat, Some(&[])),
    ];
    for (dialect, efforts) in ladders {
        let mut target = Target::new(dialect, "m");
        target.can.efforts =
            efforts.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let of = |effort| settings::clamp(effort, &target).unwrap_or_else(|| "-".to_owned());
        let all = [
            "none", "minimal", "low", "medium", "high", "xhigh", "max", "odd",
        ]
        .map(of);
        writeln!(text, "{dialect:?} {efforts:?}: {}", all.join(" ")).unwrap();
    }
    expect![[r#"
        Messages None: low low low medium high xhigh max -
        Responses None: none minimal low medium high xhigh max -
        Messages Some(["low", "medium", "high"]): low low low medium high high high -
        Chat Some(["none", "high"]): none none none none high high high -
        Chat Some([]): - - - - - - - -
    "#]]
    .assert_eq(&text);
}

/// What a target with fewer abilities gets.
fn at(from: Dialect, body: &Value, to: Dialect, can: Abilities) -> String {
    let request = decode_request(from, body.to_string().as_bytes()).unwrap();
    let target = Target {
        can,
        ..Target::new(to, "m")
    };
    match encode_request(&request, &target) {
        Ok(encoded) => {
            let dropped: Vec<_> = encoded
                .dropped
                .iter()
                .map(|dropped| dropped.field.as_str())
                .collect();
            format!("{} {dropped:?}\n", String::from_utf8(encoded.body).unwrap())
        }
        Err(refusal) => format!("refused: {refusal}\n"),
    }
}

#[test]
fn a_target_gets_what_it_can_do() {
    let all = Abilities::default;
    let mut text = String::new();
    let mut warm = base(Messages);
    warm["temperature"] = json!(0.5);
    let newer = Abilities {
        version: ApiVersion::V20261021,
        ..all()
    };
    text.push_str(&at(Messages, &warm, Messages, newer));
    let mut thinks = base(Messages);
    thinks["thinking"] = json!({"type": "adaptive", "display": "summarized"});
    thinks["max_tokens"] = json!(20_000);
    thinks["output_config"] = json!({"effort": "xhigh"});
    let older = Abilities {
        thinking: Some(vec!["enabled".to_owned(), "disabled".to_owned()]),
        efforts: Some(Vec::new()),
        max_output: Some(8_192),
        ..all()
    };
    text.push_str(&at(Messages, &thinks, Messages, older));
    let always = Abilities {
        thinking: Some(vec!["adaptive".to_owned()]),
        ..all()
    };
    let mut off = base(Responses);
    off["reasoning"] = json!({"effort": "none"});
    text.push_str(&at(Responses, &off, Messages, always));
    expect![[r#"
        {"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}]} ["temperature"]
        {"model":"m","max_tokens":8192,"messages":[{"role":"user","content":"a"}],"thinking":{"type":"enabled","budget_tokens":4096,"display":"summarized"}} []
        {"model":"m","max_tokens":32000,"messages":[{"role":"user","content":"a"}],"output_config":{"effort":"low"}} []
    "#]].assert_eq(&text);
}

#[test]
fn a_target_without_some_words_gets_others() {
    let all = Abilities::default;
    let mut text = String::new();
    let mut free = base(Responses);
    free["tools"] = json!([{"type": "custom", "name": "patch"}, {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "a"}]}]);
    free["tool_choice"] = json!({"type": "custom", "name": "patch"});
    let plain = Abilities {
        custom_tools: false,
        namespaces: false,
        ..all()
    };
    text.push_str(&at(Responses, &free, Responses, plain.clone()));
    text.push_str(&at(Responses, &free, Chat, plain));
    let mut sees = base(Chat);
    sees["messages"][0]["content"] =
        json!([{"type": "image_url", "image_url": {"url": "https://example.com"}}]);
    text.push_str(&at(
        Chat,
        &sees,
        Chat,
        Abilities {
            images: false,
            ..all()
        },
    ));
    let mut late = base(Responses);
    late["input"] =
        json!([{"role": "user", "content": "a"}, {"role": "developer", "content": "Be brief."}]);
    text.push_str(&at(
        Responses,
        &late,
        Messages,
        Abilities {
            system_turns: false,
            ..all()
        },
    ));
    text.push_str(&at(
        Responses,
        &late,
        Chat,
        Abilities {
            developer_role: false,
            ..all()
        },
    ));
    let mut shaped = base(Chat);
    shaped["response_format"] =
        json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {}}});
    shaped["max_completion_tokens"] = json!(5);
    let simple = Abilities {
        json_schema: false,
        max_completion_tokens: false,
        ..all()
    };
    text.push_str(&at(Chat, &shaped, Chat, simple));
    expect![[r#"
        {"model":"m","input":[{"role":"user","content":"a"}],"tools":[{"type":"function","name":"patch","parameters":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false},"strict":false},{"type":"function","name":"ns__a"}],"tool_choice":{"type":"function","name":"patch"}} []
        {"model":"m","messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"patch","parameters":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}}},{"type":"function","function":{"name":"ns__a"}}],"tool_choice":{"type":"function","function":{"name":"patch"}}} []
        refused: image: This model does not take pictures; leave them out.
        {"model":"m","max_tokens":32000,"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"<system>\nBe brief.\n</system>"}]}]} []
        {"model":"m","messages":[{"role":"user","content":"a"},{"role":"system","content":"Be brief."}]} []
        {"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":5} ["format"]
    "#]].assert_eq(&text);
}

#[test]
fn words_of_the_system_do_not_come_between_a_call_and_its_result() {
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": "a"},
        {"type": "function_call", "call_id": "c1", "name": "n", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "n", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"role": "developer", "content": "Hurry."},
        {"type": "function_call_output", "call_id": "c2", "output": "2"},
    ]});
    let text = [Messages, Chat]
        .map(|to| at(Responses, &body, to, Abilities::default()))
        .concat();
    expect![[r#"
        {"model":"m","max_tokens":32000,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"n","input":{}},{"type":"tool_use","id":"c2","name":"n","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"1"},{"type":"tool_result","tool_use_id":"c2","content":"2"},{"type":"text","text":"<system>\nHurry.\n</system>"}]}]} []
        {"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"n","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"n","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":"1"},{"role":"tool","tool_call_id":"c2","content":"2"},{"role":"user","content":"<system>\nHurry.\n</system>"}]} []
    "#]].assert_eq(&text);
}

#[test]
fn a_thread_is_refused_by_the_code_at_which_clients_go_on_without_one() {
    let mut body = base(Messages);
    body["thread"] = json!({"type": "create"});
    let request = decode_request(Messages, body.to_string().as_bytes()).unwrap();
    for to in [Responses, Chat] {
        let refusal = encode_request(&request, &Target::new(to, "m")).unwrap_err();
        assert_eq!(refusal.code.as_deref(), Some("thread_unsupported_request"));
    }
}
