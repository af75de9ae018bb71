//! What the fields of a request must keep to among one another, as its vendor holds it: a request that is written anew
//! for its upstream reaches nobody else who would.

use quire_dialect::Dialect;
use serde_json::Value;

use super::complete::messages;
use super::messages::LEAST_THRESHOLD;
use super::pairs::check_pairs;
use super::{Edit, Part, Request};
use crate::refusal::{Reason, Refusal};

/// Refuses what the API of a request refuses for what else it says.
pub(super) fn check_agreement(request: &Request) -> Result<(), Refusal> {
    match request.from {
        Dialect::Messages => {
            check_edits(request)?;
            check_thinking(request)?;
            check_compactions(request)?;
        }
        Dialect::Responses | Dialect::Chat => check_metadata(request)?,
    }
    check_pairs(request)
}

/// The fewest tokens of thinking by a budget.
const LEAST_BUDGET: u64 = 1_024;
/// The most pairs of `metadata`.
const PAIRS: usize = 16;

fn refuse(field: impl Into<String>, message: impl std::fmt::Display) -> Refusal {
    let field = field.into();
    Refusal::new(Reason::Invalid, format!("{field}: {message}")).about(field)
}

/// Both kinds of compaction.
fn check_edits(request: &Request) -> Result<(), Refusal> {
    let said = |key: &str| request.own.get(key).is_some_and(|value| !value.is_null());
    if said("compaction") && (!request.edits.is_empty() || said("context_management")) {
        let message = "cannot be combined with `context_management`. Leave one of them out.";
        return Err(refuse("compaction", message));
    }
    for (index, edit) in request.edits.iter().enumerate() {
        match edit {
            Edit::Compact {
                threshold: Some(tokens),
                ..
            } if *tokens < LEAST_THRESHOLD => {
                let field = format!("context_management.edits.{index}.trigger.value");
                let message = format!("Input should be greater than or equal to {LEAST_THRESHOLD}");
                return Err(refuse(field, message));
            }
            Edit::Compact { .. } | Edit::Other(_) => {}
        }
    }
    Ok(())
}

/// Thinking is part of the answer, and leaves room for the rest.
fn check_thinking(request: &Request) -> Result<(), Refusal> {
    let thinking = request.thinking.as_ref();
    let enabled = thinking.filter(|thinking| thinking.kind == "enabled");
    let Some(budget) = enabled.and_then(|thinking| thinking.budget) else {
        return Ok(());
    };
    let field = "thinking.enabled.budget_tokens";
    if budget < LEAST_BUDGET {
        let message = format!("Input should be greater than or equal to {LEAST_BUDGET}");
        return Err(refuse(field, message));
    }
    if request.max_output.is_some_and(|most| budget >= most) {
        let message = "`max_tokens` must be greater than `thinking.budget_tokens`.";
        return Err(Refusal::new(Reason::Invalid, message).about("max_tokens"));
    }
    Ok(())
}

fn check_metadata(request: &Request) -> Result<(), Refusal> {
    let pairs = request.own.get("metadata").and_then(Value::as_object);
    match pairs.map_or(0, serde_json::Map::len) {
        ..=PAIRS => Ok(()),
        pairs => {
            let message = format!(
                "Invalid 'metadata': too many properties. Expected an object with at most {PAIRS} properties, but got \
                 an object with {pairs} properties instead."
            );
            let refusal = Refusal::new(Reason::Invalid, message).about("metadata");
            Err(refusal.coded("object_above_max_properties"))
        }
    }
}

/// One without content failed, and stands for nothing; an empty one was never sent out.
fn check_compactions(request: &Request) -> Result<(), Refusal> {
    for (index, turn) in messages(request).enumerate() {
        for (at, part) in turn.parts.iter().enumerate() {
            if matches!(part, Part::Compaction { text: Some(text), .. } if text.is_empty()) {
                let field = format!("messages.{index}.content.{at}.content");
                return Err(refuse(field, "String should have at least 1 character"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::{check_complete, decode_request};

    /// What is wrong with a request of Messages that has these fields besides the usual ones.
    fn wrong(fields: &Value) -> Option<(String, Option<String>)> {
        let mut body = json!({"model": "m", "max_tokens": 2_000,
            "messages": [{"role": "user", "content": "hi"}]});
        for (key, value) in fields.as_object().unwrap() {
            body[key] = value.clone();
        }
        let request = decode_request(Dialect::Messages, body.to_string().as_bytes()).unwrap();
        let refusal = check_complete(&request).err()?;
        assert_eq!(refusal.reason, Reason::Invalid);
        Some((refusal.message, refusal.field))
    }

    fn compacts_at(tokens: u64) -> Value {
        json!({"edits": [{"type": "clear_thinking_20251015", "keep": "all"},
            {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": tokens}}]})
    }

    #[test]
    fn the_two_kinds_of_compaction_are_not_combined() {
        let asks = json!({"type": "summarize"});
        for context in [compacts_at(60_000), json!({"edits": []})] {
            let (message, field) =
                wrong(&json!({"compaction": asks, "context_management": context})).unwrap();
            assert!(
                message.starts_with("compaction: cannot be combined with `context_management`")
            );
            assert_eq!(field.as_deref(), Some("compaction"));
        }
        for fields in [
            json!({"compaction": asks, "context_management": null}),
            json!({"compaction": null, "context_management": compacts_at(60_000)}),
        ] {
            assert_eq!(wrong(&fields), None);
        }
    }

    #[test]
    fn a_conversation_is_not_compacted_below_the_least_threshold() {
        let (message, field) = wrong(&json!({"context_management": compacts_at(49_999)})).unwrap();
        let place = "context_management.edits.1.trigger.value";
        assert_eq!(
            message,
            format!("{place}: Input should be greater than or equal to 50000")
        );
        assert_eq!(field.as_deref(), Some(place));
        assert_eq!(
            wrong(&json!({"context_management": compacts_at(50_000)})),
            None
        );
    }

    #[test]
    fn an_empty_compaction_is_refused_and_a_failed_one_is_not() {
        let with = |content: Value| {
            wrong(
                &json!({"system": "Be brief.", "messages": [{"role": "user", "content": "hi"},
                {"role": "assistant", "content": [{"type": "text", "text": "a"},
                    {"type": "compaction", "content": content}]}]}),
            )
        };
        let (message, _) = with(json!("")).unwrap();
        assert_eq!(
            message,
            "messages.1.content.1.content: String should have at least 1 character"
        );
        assert_eq!(with(Value::Null), None);
        assert_eq!(with(json!("all of it")), None);
    }

    #[test]
    fn thinking_leaves_room_for_the_answer() {
        let with = |budget: u64| {
            let thinking = json!({"type": "enabled", "budget_tokens": budget});
            wrong(&json!({ "thinking": thinking }))
        };
        for budget in [2_000, 30_000] {
            let (message, _) = with(budget).unwrap();
            assert_eq!(
                message,
                "`max_tokens` must be greater than `thinking.budget_tokens`."
            );
        }
        let (message, _) = with(1_023).unwrap();
        assert_eq!(
            message,
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        );
        assert_eq!(with(1_024), None);
        assert_eq!(with(1_999), None);
        assert_eq!(wrong(&json!({"thinking": {"type": "adaptive"}})), None);
    }

    #[test]
    fn metadata_has_no_more_than_sixteen_pairs() {
        for (dialect, key) in [(Dialect::Responses, "input"), (Dialect::Chat, "messages")] {
            let with = |pairs: usize| {
                let metadata: serde_json::Map<_, _> = (0..pairs)
                    .map(|at| (format!("k{at}"), json!("v")))
                    .collect();
                let body = json!({"model": "m", key: [{"role": "user", "content": "hi"}], "metadata": metadata});
                let request = decode_request(dialect, body.to_string().as_bytes()).unwrap();
                check_complete(&request).err()
            };
            assert_eq!(with(16), None);
            let refusal = with(17).unwrap();
            assert_eq!(refusal.code.as_deref(), Some("object_above_max_properties"));
            assert_eq!(refusal.field.as_deref(), Some("metadata"));
            assert!(refusal.message.ends_with("with 17 properties instead."));
        }
    }
}
