//! Why an answer ended, in the words of each API.

use quire_dialect::Dialect;
use serde_json::{Map, Value, json};

use crate::answer::Stop;
use crate::request::Part;

/// What an answer held that its reason to end depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Calls of the client's tools.
    pub(crate) calls: bool,
    /// Words of refusal.
    pub(crate) refusal: bool,
}

impl Held {
    /// What a whole answer held.
    pub(crate) fn of(parts: &[Part]) -> Self {
        Self {
            calls: parts.iter().any(|part| matches!(part, Part::Call { .. })),
            refusal: parts
                .iter()
                .any(|part| matches!(part, Part::Refusal { text, .. } if !text.is_empty())),
        }
    }
}

/// By Messages' `stop_reason` and what stands beside it.
pub(crate) fn read_messages(
    reason: &str,
    sequence: Option<String>,
    details: Option<Value>,
) -> Stop {
    match reason {
        "end_turn" => Stop::End,
        "tool_use" => Stop::Tools,
        "max_tokens" => Stop::MaxTokens,
        "model_context_window_exceeded" => Stop::WindowFull,
        "stop_sequence" => Stop::Sequence(sequence),
        "refusal" => Stop::Refusal(details),
        "pause_turn" => Stop::Pause,
        "compaction" => Stop::Compaction,
        other => Stop::Other(other.to_owned()),
    }
}

/// `stop_reason`, `stop_sequence` and `stop_details`.
pub(crate) fn write_messages(stop: &Stop, from: Dialect, held: Held) -> Map<String, Value> {
    let mut sequence = Value::Null;
    let mut details = Value::Null;
    let plain = if held.calls { "tool_use" } else { "end_turn" };
    let reason = match stop {
        Stop::End => "end_turn",
        Stop::Tools => "tool_use",
        Stop::MaxTokens => "max_tokens",
        Stop::WindowFull => "model_context_window_exceeded",
        Stop::Sequence(text) => {
            sequence = text.clone().map_or(Value::Null, Value::String);
            "stop_sequence"
        }
        Stop::Refusal(given) => {
            if from == Dialect::Messages {
                details = given.clone().unwrap_or_default();
            }
            "refusal"
        }
        Stop::Filtered => "refusal",
        Stop::Pause => "pause_turn",
        Stop::Compaction => "compaction",
        Stop::Other(name) if from == Dialect::Messages => name,
        Stop::Other(_) => plain,
    };
    let mut out = Map::new();
    out.insert("stop_reason".into(), reason.into());
    out.insert("stop_sequence".into(), sequence);
    if !details.is_null() {
        out.insert("stop_details".into(), details);
    }
    out
}

/// By Responses' `status` and `incomplete_details.reason`.
pub(crate) fn read_responses(status: &str, reason: &str, held: Held) -> Stop {
    match (status, reason) {
        ("incomplete", "content_filter") => Stop::Filtered,
        ("incomplete", "max_output_tokens" | "") => Stop::MaxTokens,
        ("incomplete", other) => Stop::Other(other.to_owned()),
        _ if held.calls => Stop::Tools,
        _ if held.refusal => Stop::Refusal(None),
        _ => Stop::End,
    }
}

/// `status` and `incomplete_details`.
pub(crate) fn write_responses(stop: &Stop, from: Dialect, held: Held) -> (&'static str, Value) {
    let reason = match stop {
        Stop::End | Stop::Tools | Stop::Sequence(_) | Stop::Pause | Stop::Compaction => {
            return ("completed", Value::Null);
        }
        Stop::Refusal(_) if held.refusal => return ("completed", Value::Null),
        Stop::Refusal(_) | Stop::Filtered => "content_filter",
        Stop::MaxTokens | Stop::WindowFull => "max_output_tokens",
        Stop::Other(name) if from == Dialect::Responses => name,
        Stop::Other(_) => return ("completed", Value::Null),
    };
    ("incomplete", json!({ "reason": reason }))
}

/// By Chat's `finish_reason`. Some servers say `stop` of an answer with calls.
pub(crate) fn read_chat(reason: &str, held: Held) -> Stop {
    match reason {
        "length" | "max_tokens" | "model_length" => Stop::MaxTokens,
        "content_filter" => Stop::Filtered,
        "tool_calls" | "function_call" => Stop::Tools,
        "stop" | "" | "end_turn" | "eos" if held.calls => Stop::Tools,
        "stop" | "" | "end_turn" | "eos" if held.refusal => Stop::Refusal(None),
        "stop" | "" | "end_turn" | "eos" => Stop::End,
        other => Stop::Other(other.to_owned()),
    }
}

/// `finish_reason`.
pub(crate) fn write_chat(stop: &Stop, from: Dialect, held: Held) -> &str {
    match stop {
        // A call that this API cannot say is none.
        Stop::Tools if !held.calls && from != Dialect::Chat => "stop",
        Stop::Tools => "tool_calls",
        Stop::MaxTokens | Stop::WindowFull => "length",
        Stop::Refusal(_) if held.refusal => "stop",
        Stop::Refusal(_) | Stop::Filtered => "content_filter",
        Stop::Other(name) if from == Dialect::Chat => name,
        Stop::Other(_) if held.calls => "tool_calls",
        Stop::End | Stop::Sequence(_) | Stop::Pause | Stop::Compaction | Stop::Other(_) => "stop",
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::expect;

    use super::*;

    #[test]
    fn every_stop_in_the_words_of_each_api() {
        let mut table = String::new();
        let stops = [
            Stop::End,
            Stop::Tools,
            Stop::MaxTokens,
            Stop::WindowFull,
            Stop::Sequence(Some("END".into())),
            Stop::Refusal(Some(json!({"type":"refusal"}))),
            Stop::Filtered,
            Stop::Pause,
            Stop::Compaction,
            Stop::Other("steered".into()),
        ];
        for stop in stops {
            let held = Held::default();
            let messages = Value::Object(write_messages(&stop, Dialect::Messages, held));
            let (status, details) = write_responses(&stop, Dialect::Responses, held);
            let chat = write_chat(&stop, Dialect::Chat, held);
            writeln!(
                table,
                "{stop:?}\n  {messages}\n  {status} {details}\n  {chat}"
            )
            .unwrap();
        }
        expect![[r#"
            End
              {"stop_reason":"end_turn","stop_sequence":null}
              completed null
              stop
            Tools
              {"stop_reason":"tool_use","stop_sequence":null}
              completed null
              tool_calls
            MaxTokens
              {"stop_reason":"max_tokens","stop_sequence":null}
              incomplete {"reason":"max_output_tokens"}
              length
            WindowFull
              {"stop_reason":"model_context_window_exceeded","stop_sequence":null}
              incomplete {"reason":"max_output_tokens"}
              length
            Sequence(Some("END"))
              {"stop_reason":"stop_sequence","stop_sequence":"END"}
              completed null
              stop
            Refusal(Some(Object {"type": String("refusal")}))
              {"stop_reason":"refusal","stop_sequence":null,"stop_details":{"type":"refusal"}}
              incomplete {"reason":"content_filter"}
              content_filter
            Filtered
              {"stop_reason":"refusal","stop_sequence":null}
              incomplete {"reason":"content_filter"}
              content_filter
            Pause
              {"stop_reason":"pause_turn","stop_sequence":null}
              completed null
              stop
            Compaction
              {"stop_reason":"compaction","stop_sequence":null}
              completed null
              stop
            Other("steered")
              {"stop_reason":"steered","stop_sequence":null}
              incomplete {"reason":"steered"}
              steered
        "#]]
        .assert_eq(&table);
    }
}
