//! Old results of tools, left out of a long context for upstreams that cannot do so themselves.

use std::collections::HashSet;

use quire_translate::{CallInput, Edit, Own, Part, Request};
use serde::Deserialize;
use serde_json::{Value, json};

use super::compact::{BYTES_PER_TOKEN, part_size, size};

/// The edit of Messages that asks for it.
const KIND: &str = "clear_tool_uses_20250919";
/// What stands in the place of a result.
const PLACEHOLDER: &str =
    "[This result was removed to save context. Call the tool again if it is needed.]";
/// Tokens of prompt from which on it is done, where the client does not say.
const THRESHOLD: u64 = 100_000;
/// The newest uses that stay as they are, where the client does not say.
const KEPT: u64 = 3;

/// What the client asks for.
#[derive(Deserialize)]
struct Rule {
    trigger: Option<Amount>,
    keep: Option<Amount>,
    clear_at_least: Option<Amount>,
    exclude_tools: Option<Vec<String>>,
    clear_tool_inputs: Option<Inputs>,
}

#[derive(Clone, Copy, Deserialize)]
struct Amount {
    #[serde(rename = "type")]
    of: Measure,
    value: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Measure {
    InputTokens,
    ToolUses,
}

/// Whose inputs go with the results.
#[derive(Deserialize)]
#[serde(untagged)]
enum Inputs {
    All(bool),
    Of(Vec<String>),
}

fn is_asked(edit: &Edit) -> bool {
    matches!(edit, Edit::Other(edit) if edit["type"] == KIND)
}

/// Whether a client wants old results of tools left out.
pub(crate) fn clears(request: &Request) -> bool {
    request.edits.iter().any(is_asked)
}

/// Leaves them out, and takes the wish out of the request. Gives what Messages tells of it; nothing where the wish is
/// not understood, and stays.
pub(crate) fn clear(request: &mut Request) -> Option<Value> {
    let at = request.edits.iter().position(is_asked)?;
    let Edit::Other(edit) = &request.edits[at] else {
        return None;
    };
    let rule: Rule = serde_json::from_value(edit.clone()).ok()?;
    request.edits.remove(at);
    let applied = rule.apply(request);
    Some(json!({"applied_edits": applied.into_iter().collect::<Vec<_>>()}))
}

impl Rule {
    fn apply(&self, request: &mut Request) -> Option<Value> {
        let old = self.old(request)?;
        let (mut uses, mut bytes) = (0, 0);
        for part in request.turns.iter().flat_map(|turn| &turn.parts) {
            match part {
                Part::Result { id, content, .. } if old.contains(id) => {
                    uses += 1;
                    let size: u64 = content.iter().map(part_size).sum();
                    bytes += size.saturating_sub(PLACEHOLDER.len() as u64);
                }
                Part::Call { id, name, .. } if old.contains(id) && self.clears_input_of(name) => {
                    bytes += part_size(part);
                }
                _kept => {}
            }
        }
        let tokens = bytes / BYTES_PER_TOKEN;
        let least = self.clear_at_least.map_or(0, |least| least.value);
        if uses == 0 || tokens < least {
            return None;
        }
        for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            match part {
                Part::Result { id, content, .. } if old.contains(id) => {
                    *content = vec![Part::Text {
                        text: PLACEHOLDER.to_owned(),
                        own: Own::new(),
                    }];
                }
                Part::Call {
                    id, name, input, ..
                } if old.contains(id) && self.clears_input_of(name) => {
                    *input = CallInput::Json("{}".to_owned());
                }
                _kept => {}
            }
        }
        Some(json!({"type": KIND, "cleared_tool_uses": uses, "cleared_input_tokens": tokens}))
    }

    /// The calls that are to be cleared, where the conversation is long enough.
    fn old(&self, request: &Request) -> Option<HashSet<String>> {
        let parts = request.turns.iter().flat_map(|turn| &turn.parts);
        let calls: Vec<(&String, &String)> = parts
            .filter_map(|part| match part {
                Part::Call { id, name, .. } => Some((id, name)),
                _other => None,
            })
            .collect();
        let uses = calls.len() as u64;
        let trigger = self.trigger.unwrap_or(Amount {
            of: Measure::InputTokens,
            value: THRESHOLD,
        });
        let now = match trigger.of {
            Measure::ToolUses => uses,
            Measure::InputTokens => request.turns.iter().map(size).sum::<u64>() / BYTES_PER_TOKEN,
        };
        if now <= trigger.value {
            return None;
        }
        let keep = self.keep.map_or(KEPT, |keep| keep.value);
        let older = usize::try_from(uses.saturating_sub(keep)).unwrap_or(0);
        let spared = self.exclude_tools.as_deref().unwrap_or_default();
        let old = calls[..older]
            .iter()
            .filter(|(_, name)| !spared.contains(name));
        Some(old.map(|(id, _)| (*id).clone()).collect())
    }

    fn clears_input_of(&self, tool: &String) -> bool {
        match &self.clear_tool_inputs {
            None => false,
            Some(Inputs::All(all)) => *all,
            Some(Inputs::Of(tools)) => tools.contains(tool),
        }
    }
}

#[cfg(test)]
mod tests {
    use quire_dialect::Dialect;
    use quire_translate::decode_request;

    use super::*;

    /// Five calls of two tools, whose results have 4,000 bytes each.
    fn asked(edit: &Value) -> Request {
        let mut messages = vec![json!({"role": "user", "content": "look"})];
        for at in 0..5 {
            let name = if at == 1 { "memory" } else { "read" };
            messages.push(json!({"role": "assistant", "content": [
                {"type": "tool_use", "id": format!("t{at}"), "name": name, "input": {"at": at}}]}));
            messages.push(json!({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": format!("t{at}"), "content": "w".repeat(4_000)}]}));
        }
        let mut edit = edit.clone();
        edit["type"] = json!(KIND);
        let body = json!({"model": "m", "max_tokens": 9, "messages": messages,
            "context_management": {"edits": [edit]}});
        decode_request(Dialect::Messages, body.to_string().as_bytes()).unwrap()
    }

    /// The calls whose results are gone, and those whose inputs are.
    fn gone(request: &Request) -> (Vec<&str>, Vec<&str>) {
        let (mut results, mut inputs) = (Vec::new(), Vec::new());
        for part in request.turns.iter().flat_map(|turn| &turn.parts) {
            match part {
                Part::Result { id, content, .. } if matches!(&content[..], [Part::Text { text, .. }] if text == PLACEHOLDER) =>
                {
                    results.push(id.as_str());
                }
                Part::Call {
                    id,
                    input: CallInput::Json(input),
                    ..
                } if input == "{}" => inputs.push(id.as_str()),
                _other => {}
            }
        }
        (results, inputs)
    }

    #[test]
    fn old_results_go_and_the_newest_stay() {
        let uses = |value: u64| json!({"type": "tool_uses", "value": value});
        let tokens = |value: u64| json!({"type": "input_tokens", "value": value});
        for (edit, results, inputs, cleared) in [
            (
                json!({"trigger": uses(4)}),
                &["t0", "t1"][..],
                &[][..],
                Some(2),
            ),
            (json!({"trigger": uses(5)}), &[], &[], None),
            (
                json!({"trigger": tokens(4_000), "keep": uses(4)}),
                &["t0"],
                &[],
                Some(1),
            ),
            (json!({}), &[], &[], None),
            (json!({"trigger": uses(0), "keep": uses(9)}), &[], &[], None),
            (
                json!({"trigger": uses(4), "exclude_tools": ["memory"]}),
                &["t0"],
                &[],
                Some(1),
            ),
            (
                json!({"trigger": uses(4), "clear_at_least": tokens(1_900)}),
                &["t0", "t1"],
                &[],
                Some(2),
            ),
            (
                json!({"trigger": uses(4), "clear_at_least": tokens(2_100)}),
                &[],
                &[],
                None,
            ),
            (
                json!({"trigger": uses(4), "clear_tool_inputs": true}),
                &["t0", "t1"],
                &["t0", "t1"],
                Some(2),
            ),
            (
                json!({"trigger": uses(4), "clear_tool_inputs": ["read"]}),
                &["t0", "t1"],
                &["t0"],
                Some(2),
            ),
        ] {
            let mut request = asked(&edit);
            assert!(clears(&request));
            let told = clear(&mut request).unwrap();
            assert_eq!(
                gone(&request),
                (results.to_vec(), inputs.to_vec()),
                "{edit}"
            );
            assert_eq!(
                told["applied_edits"][0]["cleared_tool_uses"].as_u64(),
                cleared,
                "{edit}"
            );
            assert!(request.edits.is_empty());
        }
    }

    #[test]
    fn a_wish_that_is_not_understood_stays() {
        let mut request = asked(&json!({"trigger": {"type": "moons", "value": 2}}));
        assert_eq!(clear(&mut request), None);
        assert!(clears(&request));
    }
}
