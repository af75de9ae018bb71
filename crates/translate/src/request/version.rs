//! What a version of the Messages API took away.

use quire_dialect::{ApiVersion, Dialect};
use serde_json::Value;

use super::plan::is_system;
use super::read::mark;
use super::{Own, Part, Request, Role, Turn};
use crate::refusal::{Reason, Refusal};

/// Refuses what the version of the API that a client asked for does not take any more. Versions are Anthropic's: a
/// request of another API passes.
pub fn check_version(request: &Request, version: ApiVersion) -> Result<(), Refusal> {
    if request.from != Dialect::Messages || version == ApiVersion::V20230601 {
        return Ok(());
    }
    let sampling = &request.sampling;
    let drawn = [
        ("temperature", &sampling.temperature),
        ("top_p", &sampling.top_p),
        ("top_k", &sampling.top_k),
    ];
    if let Some((field, _)) = drawn.into_iter().find(|(_, value)| value.is_some()) {
        return Err(not_permitted(field.to_owned()));
    }
    let is_message = |turn: &&Turn| !(is_system(turn.role) && turn.own.contains_key(mark::AT));
    for (index, turn) in request.turns.iter().filter(is_message).enumerate() {
        for (at, part) in turn.parts.iter().enumerate() {
            check_part(turn.role, part, &format!("messages.{index}.content.{at}"))?;
        }
    }
    Ok(())
}

fn check_part(role: Role, part: &Part, place: &str) -> Result<(), Refusal> {
    match (role, part) {
        (Role::Assistant, Part::Document { .. }) => Err(document(place)),
        (Role::Assistant, Part::Other(value)) if kind(value) == "document" => Err(document(place)),
        (Role::User, Part::Text { own, .. }) if cites(own) => {
            Err(not_permitted(format!("{place}.citations")))
        }
        (Role::User, Part::Other(value)) if kind(value) == "search_result" => {
            let blocks = value.get("content").and_then(Value::as_array);
            let cited = |block: &Value| block.as_object().is_some_and(cites);
            match blocks.and_then(|blocks| blocks.iter().position(cited)) {
                Some(at) => Err(not_permitted(format!("{place}.content.{at}.citations"))),
                None => Ok(()),
            }
        }
        (Role::System | Role::Developer | Role::User | Role::Assistant, _) => Ok(()),
    }
}

fn kind(block: &Value) -> &str {
    block
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn cites(block: &Own) -> bool {
    let citations = block.get("citations").and_then(Value::as_array);
    citations.is_some_and(|citations| !citations.is_empty())
}

/// The refusal of a field that the API does not take, in Anthropic's words.
#[must_use]
pub fn not_permitted(field: String) -> Refusal {
    let message = format!("{field}: Extra inputs are not permitted");
    Refusal::new(Reason::Invalid, message).about(field)
}

fn document(place: &str) -> Refusal {
    let message = format!("{place}: `document` blocks are not permitted in assistant messages");
    Refusal::new(Reason::Invalid, message).about(place)
}
