//! The mock model's answers in the exact shapes of the three APIs, whole and as frames of a stream.

use serde_json::{Value, json};

use super::script::{Say, Usage};

/// Characters of a text's first delta; the rest is the second, so that nothing comes in one piece.
const FIRST: usize = 7;

/// An answer, of no API yet.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Names the case and the turn; ids are made of it.
    pub(crate) name: String,
    pub(crate) model: String,
    pub(crate) says: Vec<Say>,
    pub(crate) stop: Option<String>,
    pub(crate) usage: Usage,
    /// The request, whose settings Responses repeats.
    pub(crate) asked: Value,
}

/// One event: its name where the API has names, and its data.
pub(crate) type Event = (Option<&'static str>, Value);

impl Answer {
    fn stop(&self) -> &str {
        let last = self.says.last();
        self.stop.as_deref().unwrap_or(match last {
            Some(Say::Call { .. }) => "tool_use",
            Some(Say::Refuse { .. }) => "refusal",
            Some(Say::Text { .. } | Say::Think { .. } | Say::Compact { .. }) | None => "end_turn",
        })
    }

    fn id(&self, kind: &str, index: usize) -> String {
        format!("{kind}_{}_{index}", self.name)
    }
}

/// A text in the pieces in which it is streamed.
fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let (first, rest) = letters.split_at(FIRST.min(letters.len()));
    [first, rest]
        .iter()
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.iter().collect())
        .collect()
}

/// Anthropic Messages.
pub(crate) mod messages {
    use super::{Answer, Event, Say, Usage, Value, json, pieces};

    pub(crate) fn whole(answer: &Answer) -> Value {
        let mut message = message(answer, &usage(&answer.usage));
        message["content"] = answer
            .says
            .iter()
            .enumerate()
            .map(|(index, say)| block(answer, index, say))
            .collect();
        message["stop_reason"] = answer.stop().into();
        if answer.stop() == "refusal" {
            message["stop_details"] = details();
        }
        if let Some(applied) = applied(answer) {
            message["context_management"] = applied;
        }
        message
    }

    /// What was taken out of the context, where that was asked for.
    fn applied(answer: &Answer) -> Option<Value> {
        let edits = answer.asked["context_management"]["edits"].as_array()?;
        let of = |edit: &Value| {
            let (kind, counted) = match edit["type"].as_str()? {
                "clear_tool_uses_20250919" => ("clear_tool_uses_20250919", "cleared_tool_uses"),
                "clear_thinking_20251015" => ("clear_thinking_20251015", "cleared_thinking_turns"),
                _none => return None,
            };
            Some(json!({"type": kind, counted: 3, "cleared_input_tokens": 1_000}))
        };
        let edits: Vec<Value> = edits.iter().filter_map(of).collect();
        Some(json!({ "applied_edits": edits }))
    }

    pub(crate) fn events(answer: &Answer) -> Vec<Event> {
        let mut start = usage(&answer.usage);
        start["output_tokens"] = 1.into();
        let begin = message(answer, &start);
        let mut events = vec![
            event(
                "message_start",
                json!({"type": "message_start", "message": begin}),
            ),
            event("ping", json!({"type": "ping"})),
        ];
        for (index, say) in answer.says.iter().enumerate() {
            let (start, deltas) = streamed(answer, index, say);
            events.push(event(
                "content_block_start",
                json!({"type": "content_block_start", "index": index, "content_block": start}),
            ));
            events.extend(deltas.into_iter().map(|delta| {
                let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
                event("content_block_delta", data)
            }));
            events.push(event(
                "content_block_stop",
                json!({"type": "content_block_stop", "index": index}),
            ));
        }
        let mut delta = json!({"stop_reason": answer.stop(), "stop_sequence": null});
        if answer.stop() == "refusal" {
            delta["stop_details"] = details();
        }
        let usage = usage(&answer.usage);
        let mut end = json!({"type": "message_delta", "delta": delta, "usage": usage});
        if let Some(applied) = applied(answer) {
            end["context_management"] = applied;
        }
        events.push(event("message_delta", end));
        events.push(event("message_stop", json!({"type": "message_stop"})));
        events
    }

    fn event(name: &'static str, data: Value) -> Event {
        (Some(name), data)
    }

    fn message(answer: &Answer, usage: &Value) -> Value {
        json!({
            "id": format!("msg_{}", answer.name), "type": "message", "role": "assistant",
            "model": answer.model, "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": usage,
        })
    }

    fn usage(usage: &Usage) -> Value {
        json!({
            "input_tokens": usage.fresh, "cache_read_input_tokens": usage.cached,
            "cache_creation_input_tokens": usage.written,
            "cache_creation": {
                "ephemeral_5m_input_tokens": usage.written, "ephemeral_1h_input_tokens": 0
            },
            "output_tokens": usage.output,
            "output_tokens_details": {"thinking_tokens": usage.thought},
            "service_tier": "standard", "inference_geo": "global",
        })
    }

    fn details() -> Value {
        json!({"type": "refusal", "category": "cyber", "explanation": "It would do harm."})
    }

    fn block(answer: &Answer, index: usize, say: &Say) -> Value {
        match say {
            Say::Text { text } | Say::Refuse { refuse: text } => {
                json!({"type": "text", "text": text, "citations": null})
            }
            Say::Think { think } => {
                json!({"type": "thinking", "thinking": think, "signature": answer.id("sig", index)})
            }
            Say::Call { call, input } => {
                json!({"type": "tool_use", "id": answer.id("toolu", index), "name": call, "input": input})
            }
            Say::Compact { compact } => json!({
                "type": "compaction", "content": compact, "encrypted_content": answer.id("sealed", index)
            }),
        }
    }

    fn streamed(answer: &Answer, index: usize, say: &Say) -> (Value, Vec<Value>) {
        let each = |text: &str, make: &dyn Fn(String) -> Value| -> Vec<Value> {
            pieces(text).into_iter().map(make).collect()
        };
        match say {
            Say::Text { text } | Say::Refuse { refuse: text } => (
                json!({"type": "text", "text": ""}),
                each(text, &|text| json!({"type": "text_delta", "text": text})),
            ),
            Say::Think { think } => {
                let mut deltas = each(
                    think,
                    &|text| json!({"type": "thinking_delta", "thinking": text}),
                );
                deltas
                    .push(json!({"type": "signature_delta", "signature": answer.id("sig", index)}));
                (
                    json!({"type": "thinking", "thinking": "", "signature": ""}),
                    deltas,
                )
            }
            Say::Call { call, input } => {
                let mut deltas = vec![json!({"type": "input_json_delta", "partial_json": ""})];
                deltas.extend(each(
                    &input.to_string(),
                    &|text| json!({"type": "input_json_delta", "partial_json": text}),
                ));
                let start = json!({"type": "tool_use", "id": answer.id("toolu", index), "name": call, "input": {}});
                (start, deltas)
            }
            Say::Compact { compact } => (
                json!({"type": "compaction", "content": null, "encrypted_content": null}),
                vec![json!({
                    "type": "compaction_delta", "content": compact,
                    "encrypted_content": answer.id("sealed", index)
                })],
            ),
        }
    }
}

/// OpenAI Responses.
pub(crate) mod responses {
    use super::{Answer, Event, Say, Usage, Value, json, pieces};

    pub(crate) fn whole(answer: &Answer) -> Value {
        let items = answer.says.iter().enumerate();
        let output = items.map(|(index, say)| item(answer, index, say)).collect();
        let ended = ended(answer);
        response(answer, ended, &output)
    }

    /// A conversation made shorter.
    pub(crate) fn compacted(answer: &Answer) -> Value {
        json!({
            "id": "resp_compacted", "object": "response.compaction", "created_at": 1_790_000_000,
            "output": [{"type": "compaction", "id": "cmp_1", "encrypted_content": "sealed_1"}],
            "usage": usage(&answer.usage),
        })
    }

    pub(crate) fn events(answer: &Answer) -> Vec<Event> {
        let mut told = Told::default();
        let running = response(answer, "in_progress", &json!([]));
        told.tell("response.created", json!({"response": running}));
        told.tell("response.in_progress", json!({"response": running}));
        for (index, say) in answer.says.iter().enumerate() {
            let done = item(answer, index, say);
            let mut begun = done.clone();
            if begun.get("status").is_some() {
                begun["status"] = "in_progress".into();
            }
            match say {
                Say::Text { .. } | Say::Refuse { .. } => begun["content"] = json!([]),
                Say::Call { .. } => begun["arguments"] = "".into(),
                Say::Think { .. } => begun["summary"] = json!([]),
                Say::Compact { .. } => {}
            }
            told.tell(
                "response.output_item.added",
                json!({"output_index": index, "item": begun}),
            );
            told.inside(index, say, &done);
            told.tell(
                "response.output_item.done",
                json!({"output_index": index, "item": done}),
            );
        }
        let last = if ended(answer) == "incomplete" {
            "response.incomplete"
        } else {
            "response.completed"
        };
        told.tell(last, json!({"response": whole(answer)}));
        told.0
    }

    /// Events so far, numbered.
    #[derive(Default)]
    struct Told(Vec<Event>);

    impl Told {
        fn tell(&mut self, kind: &'static str, mut data: Value) {
            data["type"] = kind.into();
            data["sequence_number"] = self.0.len().into();
            self.0.push((Some(kind), data));
        }

        /// The events between an item's begin and its end.
        fn inside(&mut self, index: usize, say: &Say, item: &Value) {
            let at = |more: Value| placed(item, index, more);
            match say {
                Say::Text { text } => {
                    let part = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
                    self.tell(
                        "response.content_part.added",
                        at(json!({"content_index": 0, "part": part})),
                    );
                    for delta in pieces(text) {
                        let data = at(json!({"content_index": 0, "delta": delta, "logprobs": []}));
                        self.tell("response.output_text.delta", data);
                    }
                    let data = at(json!({"content_index": 0, "text": text, "logprobs": []}));
                    self.tell("response.output_text.done", data);
                    let data = at(json!({"content_index": 0, "part": item["content"][0]}));
                    self.tell("response.content_part.done", data);
                }
                Say::Refuse { refuse } => {
                    let part = json!({"type": "refusal", "refusal": ""});
                    self.tell(
                        "response.content_part.added",
                        at(json!({"content_index": 0, "part": part})),
                    );
                    for delta in pieces(refuse) {
                        self.tell(
                            "response.refusal.delta",
                            at(json!({"content_index": 0, "delta": delta})),
                        );
                    }
                    self.tell(
                        "response.refusal.done",
                        at(json!({"content_index": 0, "refusal": refuse})),
                    );
                    let data = at(json!({"content_index": 0, "part": item["content"][0]}));
                    self.tell("response.content_part.done", data);
                }
                Say::Think { think } => {
                    let part = json!({"type": "summary_text", "text": ""});
                    self.tell(
                        "response.reasoning_summary_part.added",
                        at(json!({"summary_index": 0, "part": part})),
                    );
                    for delta in pieces(think) {
                        let data = at(json!({"summary_index": 0, "delta": delta}));
                        self.tell("response.reasoning_summary_text.delta", data);
                    }
                    self.tell(
                        "response.reasoning_summary_text.done",
                        at(json!({"summary_index": 0, "text": think})),
                    );
                    let data = at(json!({"summary_index": 0, "part": item["summary"][0]}));
                    self.tell("response.reasoning_summary_part.done", data);
                }
                Say::Call { input, .. } => {
                    let arguments = input.to_string();
                    for delta in pieces(&arguments) {
                        self.tell(
                            "response.function_call_arguments.delta",
                            at(json!({"delta": delta})),
                        );
                    }
                    let data = at(json!({"arguments": arguments, "name": item["name"]}));
                    self.tell("response.function_call_arguments.done", data);
                }
                Say::Compact { .. } => {}
            }
        }
    }

    /// An event's fields with those that say which item it is about.
    fn placed(item: &Value, index: usize, mut fields: Value) -> Value {
        fields["item_id"] = item["id"].clone();
        fields["output_index"] = index.into();
        fields
    }

    fn ended(answer: &Answer) -> &'static str {
        match answer.stop() {
            "max_tokens" => "incomplete",
            _ => "completed",
        }
    }

    fn response(answer: &Answer, status: &str, output: &Value) -> Value {
        let asked = |name: &str, otherwise: Value| match &answer.asked[name] {
            Value::Null => otherwise,
            value => value.clone(),
        };
        let over = status != "in_progress";
        let incomplete = match status {
            "incomplete" => json!({"reason": "max_output_tokens"}),
            _ => Value::Null,
        };
        let mut tools = asked("tools", json!([]));
        for tool in tools.as_array_mut().into_iter().flatten() {
            // The vendor's own value where a function says nothing of it.
            if tool["type"] == "function" && tool["strict"].is_null() {
                tool["strict"] = true.into();
            }
        }
        json!({
            "id": format!("resp_{}", answer.name), "object": "response", "created_at": 1_790_000_000,
            "completed_at": if over { json!(1_790_000_001) } else { Value::Null },
            "status": status, "error": null, "incomplete_details": incomplete, "output": output,
            "model": answer.model, "instructions": asked("instructions", Value::Null), "tools": tools,
            "tool_choice": asked("tool_choice", json!("auto")), "truncation": "disabled",
            "parallel_tool_calls": asked("parallel_tool_calls", json!(true)), "temperature": 1.0, "top_p": 1.0,
            "text": asked("text", json!({"format": {"type": "text"}})), "service_tier": "default",
            "reasoning": asked("reasoning", json!({"effort": null, "summary": null})),
            "previous_response_id": null, "metadata": asked("metadata", json!({})),
            "store": asked("store", json!(true)), "background": false, "presence_penalty": 0.0,
            "frequency_penalty": 0.0, "top_logprobs": 0, "max_tool_calls": null, "prompt_cache_key": null,
            "max_output_tokens": asked("max_output_tokens", Value::Null), "safety_identifier": null,
            "usage": if over { usage(&answer.usage) } else { Value::Null },
        })
    }

    fn usage(usage: &Usage) -> Value {
        let input = usage.fresh + usage.cached + usage.written;
        json!({
            "input_tokens": input, "output_tokens": usage.output, "total_tokens": input + usage.output,
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
            "output_tokens_details": {"reasoning_tokens": usage.thought},
        })
    }

    fn item(answer: &Answer, index: usize, say: &Say) -> Value {
        match say {
            Say::Text { text } => json!({
                "type": "message", "id": answer.id("msg", index), "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
            }),
            Say::Refuse { refuse } => json!({
                "type": "message", "id": answer.id("msg", index), "role": "assistant", "status": "completed",
                "content": [{"type": "refusal", "refusal": refuse}],
            }),
            Say::Think { think } => json!({
                "type": "reasoning", "id": answer.id("rs", index), "encrypted_content": answer.id("sig", index),
                "summary": [{"type": "summary_text", "text": think}],
            }),
            Say::Call { call, input } => json!({
                "type": "function_call", "id": answer.id("fc", index), "call_id": answer.id("call", index),
                "name": call, "arguments": input.to_string(), "status": "completed",
            }),
            Say::Compact { .. } => json!({
                "type": "compaction", "id": answer.id("cmp", index),
                "encrypted_content": answer.id("sealed", index),
            }),
        }
    }
}

/// OpenAI Chat Completions.
pub(crate) mod chat {
    use super::{Answer, Event, Say, Usage, Value, json, pieces};

    pub(crate) fn whole(answer: &Answer) -> Value {
        let mut message =
            json!({"role": "assistant", "content": null, "refusal": null, "annotations": []});
        let mut calls = Vec::new();
        for (index, say) in answer.says.iter().enumerate() {
            match say {
                Say::Text { text } | Say::Compact { compact: text } => {
                    message["content"] = text.as_str().into();
                }
                Say::Refuse { refuse } => message["refusal"] = refuse.as_str().into(),
                Say::Think { think } => message["reasoning_content"] = think.as_str().into(),
                Say::Call { call, input } => calls.push(json!({
                    "id": answer.id("call", index), "type": "function",
                    "function": {"name": call, "arguments": input.to_string()},
                })),
            }
        }
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        let choice = json!({"index": 0, "message": message, "finish_reason": finish(answer), "logprobs": null});
        let mut whole = base(answer, "chat.completion", &json!([choice]));
        whole["usage"] = usage(&answer.usage);
        whole
    }

    pub(crate) fn events(answer: &Answer) -> Vec<Event> {
        let chunk = |delta: Value, finish: Value| -> Event {
            let choice =
                json!({"index": 0, "delta": delta, "finish_reason": finish, "logprobs": null});
            (
                None,
                base(answer, "chat.completion.chunk", &json!([choice])),
            )
        };
        let mut events = vec![chunk(
            json!({"role": "assistant", "content": ""}),
            Value::Null,
        )];
        let mut calls = 0;
        for (index, say) in answer.says.iter().enumerate() {
            let (field, text) = match say {
                Say::Text { text } | Say::Compact { compact: text } => ("content", text),
                Say::Refuse { refuse } => ("refusal", refuse),
                Say::Think { think } => ("reasoning_content", think),
                Say::Call { call, input } => {
                    let start = json!({
                        "index": calls, "id": answer.id("call", index), "type": "function",
                        "function": {"name": call, "arguments": ""},
                    });
                    events.push(chunk(json!({"tool_calls": [start]}), Value::Null));
                    for piece in pieces(&input.to_string()) {
                        let more = json!({"index": calls, "function": {"arguments": piece}});
                        events.push(chunk(json!({"tool_calls": [more]}), Value::Null));
                    }
                    calls += 1;
                    continue;
                }
            };
            for piece in pieces(text) {
                events.push(chunk(json!({field: piece}), Value::Null));
            }
        }
        events.push(chunk(json!({}), finish(answer).into()));
        if answer.asked["stream_options"]["include_usage"] == true {
            let mut last = base(answer, "chat.completion.chunk", &json!([]));
            last["usage"] = usage(&answer.usage);
            events.push((None, last));
        }
        events
    }

    fn base(answer: &Answer, object: &str, choices: &Value) -> Value {
        json!({
            "id": format!("chatcmpl-{}", answer.name), "object": object, "created": 1_790_000_000,
            "model": answer.model, "choices": choices, "service_tier": "default", "system_fingerprint": "fp_1",
        })
    }

    fn finish(answer: &Answer) -> &str {
        match answer.stop() {
            "tool_use" => "tool_calls",
            "max_tokens" => "length",
            _ => "stop",
        }
    }

    fn usage(usage: &Usage) -> Value {
        let input = usage.fresh + usage.cached + usage.written;
        json!({
            "prompt_tokens": input, "completion_tokens": usage.output, "total_tokens": input + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
            "completion_tokens_details": {"reasoning_tokens": usage.thought},
        })
    }
}
