//! How hard a model thinks, and other settings whose names differ from API to API, as pure functions.

use quire_dialect::Dialect;
use serde_json::Value;

use super::plan::Plan;
use super::{Choice, Request, Target, Thinking};

/// All efforts, the least first.
const LADDER: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];
/// The tokens of thinking that stand for an effort where a model counts them, and the other way round.
const BUDGETS: &[(&str, u64)] = &[
    ("low", 4_096),
    ("medium", 10_240),
    ("high", 24_576),
    ("xhigh", 49_152),
    ("max", 98_304),
];
/// The fewest tokens of thinking that Messages takes.
const LEAST_BUDGET: u64 = 1_024;
/// The most tokens of an answer where neither the client nor the route says it.
const OUTPUT: u64 = 32_000;
/// The fewest tokens of an answer that Responses takes.
const LEAST_OUTPUT: u64 = 16;

/// The effort nearest to the wanted one, rather less than more; `None` where the target knows none, or does not
/// know what the name means.
pub(super) fn clamp(effort: &str, target: &Target<'_>) -> Option<String> {
    let rank = |name: &str| LADDER.iter().position(|rung| *rung == name);
    let own: Vec<&str> = match &target.can.efforts {
        Some(efforts) => efforts.iter().map(String::as_str).collect(),
        None if target.dialect == Dialect::Messages => LADDER[2..].to_vec(),
        None => LADDER.to_vec(),
    };
    if own.contains(&effort) {
        return Some(effort.to_owned());
    }
    let wanted = rank(effort)?;
    let mut ranks: Vec<(usize, &str)> = own
        .into_iter()
        .filter_map(|name| Some((rank(name)?, name)))
        .collect();
    ranks.sort_unstable();
    let below = ranks.iter().rev().find(|(rank, _)| *rank <= wanted);
    below.or(ranks.first()).map(|(_, name)| (*name).to_owned())
}

/// The effort for the target.
pub(super) fn effort(request: &Request, target: &Target<'_>) -> Option<String> {
    if request.from == target.dialect && target.can.efforts.is_none() {
        return request.effort.clone();
    }
    let thinking = request.thinking.as_ref();
    let kind = thinking.map(|thinking| thinking.kind.as_str());
    if target.dialect == Dialect::Messages {
        let effort = request.effort.as_deref()?;
        if effort == "none" && takes(target, "disabled") {
            return None;
        }
        return clamp(effort, target);
    }
    let budget = thinking.and_then(|thinking| thinking.budget);
    let wanted = match kind {
        Some("disabled") => Some("none"),
        Some("between_tools") => Some("low"),
        Some(_) | None => request.effort.as_deref(),
    };
    let wanted = wanted.or_else(|| budget.map(of_budget));
    clamp(wanted?, target)
}

fn of_budget(budget: u64) -> &'static str {
    let rung = BUDGETS.iter().find(|(_, tokens)| budget <= *tokens);
    rung.map_or("max", |(effort, _)| effort)
}

/// Whether a target of Messages knows a kind of thinking.
fn takes(target: &Target<'_>, kind: &str) -> bool {
    let kinds = target.can.thinking.as_ref();
    kinds.is_none_or(|kinds| kinds.iter().any(|known| known == kind))
}

/// How a model of Messages is to think.
pub(super) fn thinking(plan: &Plan<'_>) -> Option<Thinking> {
    let (request, target) = (plan.request, plan.target);
    let thinking = request.thinking.as_ref();
    if request.from == Dialect::Messages {
        let thinking = thinking?;
        if takes(target, &thinking.kind) {
            return Some(thinking.clone());
        }
    }
    let kind = thinking.map(|thinking| thinking.kind.as_str());
    let off = match kind {
        Some("disabled" | "between_tools") => true,
        Some(_) => request.effort.as_deref() == Some("none"),
        None => match request.effort.as_deref() {
            Some(effort) => effort == "none",
            None => return None,
        },
    };
    // Messages takes no thinking where a tool must be called.
    let forced = forces(request) && !plan.tools().is_empty();
    let (kind, budget) = if off {
        ("disabled", None)
    } else if forced && request.from != Dialect::Messages {
        return None;
    } else if takes(target, "adaptive") {
        ("adaptive", None)
    } else {
        ("enabled", Some(budget(request, target)?))
    };
    let display = thinking.and_then(|thinking| thinking.display.as_deref());
    takes(target, kind).then(|| Thinking {
        kind: kind.to_owned(),
        budget,
        display: display
            .filter(|_| !off)
            .map(|name| summarized(name).to_owned()),
        own: super::Own::new(),
    })
}

fn forces(request: &Request) -> bool {
    match &request.choice {
        Some(Choice::Any | Choice::Tool { .. } | Choice::Allowed { must: true, .. }) => true,
        Some(
            Choice::Auto | Choice::None | Choice::Allowed { must: false, .. } | Choice::Other(_),
        )
        | None => false,
    }
}

/// The tokens of thinking for an effort, within those of the answer.
fn budget(request: &Request, target: &Target<'_>) -> Option<u64> {
    let effort = request.effort.as_deref().unwrap_or("medium");
    let rung = BUDGETS.iter().find(|(name, _)| *name == effort);
    let tokens = rung.map_or(LEAST_BUDGET, |(_, tokens)| *tokens);
    // The other half is for the answer.
    let most = output(request, target) / 2;
    (most >= LEAST_BUDGET).then_some(tokens.min(most))
}

fn summarized(display: &str) -> &str {
    match display {
        "auto" | "concise" | "detailed" => "summarized",
        other => other,
    }
}

/// How a model of Responses shows its thinking.
pub(super) fn summary(request: &Request) -> Option<&str> {
    let display = request.thinking.as_ref()?.display.as_deref()?;
    match display {
        "summarized" | "updates" => Some("auto"),
        "omitted" => None,
        other => Some(other),
    }
}

/// The most tokens of an answer, for an API that has to be told.
pub(super) fn output(request: &Request, target: &Target<'_>) -> u64 {
    let wanted = request.max_output.or(target.can.max_output);
    let wanted = wanted.unwrap_or(OUTPUT);
    target
        .can
        .max_output
        .map_or(wanted, |most| wanted.min(most))
}

/// The most tokens of an answer, for an API that need not be told.
pub(super) fn output_if_said(request: &Request, target: &Target<'_>) -> Option<u64> {
    let wanted = request.max_output?;
    let wanted = target
        .can
        .max_output
        .map_or(wanted, |most| wanted.min(most));
    if target.dialect == Dialect::Responses && request.from != Dialect::Responses {
        return Some(wanted.max(LEAST_OUTPUT));
    }
    Some(wanted)
}

/// The service tier in the words of the target's vendor; `None` where it has no such tier.
pub(super) fn service_tier(tier: &str, from: Dialect, target: Dialect) -> Option<&str> {
    let (from, to) = (from == Dialect::Messages, target == Dialect::Messages);
    match (tier, from, to) {
        (same, true, true) | (same, false, false) | (same @ "auto", ..) => Some(same),
        ("standard_only", true, false) => Some("default"),
        ("default", false, true) => Some("standard_only"),
        ("priority", false, true) => Some("auto"),
        _other => None,
    }
}

/// Who the end user is, in what OpenAI takes: 64 bytes.
pub(super) fn end_user(name: &str, from: Dialect) -> std::borrow::Cow<'_, str> {
    use sha2::Digest as _;
    if from != Dialect::Messages || name.len() <= 64 {
        return name.into();
    }
    format!("{:x}", sha2::Sha256::digest(name)).into()
}

/// Whether a schema keeps the rules of OpenAI's strict mode: every object closed, every property required.
pub(super) fn is_strict(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            let properties = map.get("properties").and_then(Value::as_object);
            let required = map.get("required").and_then(Value::as_array);
            let named = |name: &String| {
                required.is_some_and(|list| list.iter().any(|item| item.as_str() == Some(name)))
            };
            let object = properties.is_some() || map.get("type") == Some(&"object".into());
            let closed = map.get("additionalProperties") == Some(&Value::Bool(false));
            let all = properties.is_none_or(|properties| properties.keys().all(named));
            (!object || (closed && all)) && map.values().all(is_strict)
        }
        Value::Array(list) => list.iter().all(is_strict),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
