//! Calls of tools and their results, as the vendors want them paired: Messages and Chat one behind the other, Responses
//! by their ids.

use std::collections::HashSet;

use quire_dialect::Dialect;
use serde_json::Value;

use super::complete::messages;
use super::{Own, Part, Request, Role, Turn};
use crate::refusal::{Reason, Refusal};

/// Refuses results whose call is not where the API of a request looks for it, and calls that are gone on from without
/// a result.
pub(super) fn check_pairs(request: &Request) -> Result<(), Refusal> {
    match request.from {
        Dialect::Messages => in_messages(request),
        Dialect::Chat => in_chat(request),
        Dialect::Responses => in_responses(request),
    }
}

fn refuse(field: impl Into<String>, message: impl Into<String>) -> Refusal {
    Refusal::new(Reason::Invalid, message).about(field)
}

/// The calls of the assistant's last message, and which of them have a result.
#[derive(Default)]
struct Open<'a> {
    /// The message that they stand in.
    index: usize,
    calls: Vec<&'a str>,
    known: HashSet<&'a str>,
    answered: HashSet<&'a str>,
}

impl<'a> Open<'a> {
    fn call(&mut self, turn: &'a Turn, index: usize) {
        for part in &turn.parts {
            if let Part::Call { id, .. } = part {
                self.index = index;
                self.calls.push(id);
                self.known.insert(id);
            }
        }
    }

    fn unanswered(&self) -> Option<String> {
        let calls = self.calls.iter().copied();
        let open: Vec<&str> = calls.filter(|id| !self.answered.contains(id)).collect();
        (!open.is_empty()).then(|| open.join(", "))
    }
}

/// All results stand in the message behind the calls. Messages of one role that follow one another are one to the API,
/// and what a compaction stands for is not looked at.
fn in_messages(request: &Request) -> Result<(), Refusal> {
    let all: Vec<(usize, &Turn)> = messages(request).enumerate().collect();
    let compacted = |(_, turn): &(usize, &Turn)| turn.parts.iter().any(is_compaction);
    let from = all.iter().rposition(compacted);
    let mut open = Open::default();
    let mut answers = false;
    for (index, turn) in &all[from.unwrap_or(0)..] {
        match turn.role {
            Role::System | Role::Developer => {}
            Role::Assistant => {
                if std::mem::take(&mut answers) {
                    are_answered(&open)?;
                    open = Open::default();
                }
                open.call(turn, *index);
            }
            Role::User => {
                answers = true;
                for (at, part) in turn.parts.iter().enumerate() {
                    if let Part::Result { id, .. } = part {
                        answer(&mut open, id, &format!("messages.{index}.content.{at}"))?;
                    }
                }
            }
        }
    }
    // What the last message calls is left to the upstream.
    if answers { are_answered(&open) } else { Ok(()) }
}

/// One without content failed, and stands for nothing.
fn is_compaction(part: &Part) -> bool {
    matches!(part, Part::Compaction { text, seal, .. } if text.is_some() || seal.is_some())
}

fn answer<'a>(open: &mut Open<'a>, id: &'a str, place: &str) -> Result<(), Refusal> {
    if !open.known.contains(id) {
        let message = format!(
            "{place}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a \
             corresponding `tool_use` block in the previous message."
        );
        return Err(refuse(place, message));
    }
    if !open.answered.insert(id) {
        let message = format!(
            "{place}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {id}"
        );
        return Err(refuse(place, message));
    }
    Ok(())
}

fn are_answered(open: &Open<'_>) -> Result<(), Refusal> {
    let Some(ids) = open.unanswered() else {
        return Ok(());
    };
    let place = format!("messages.{}", open.index);
    let message = format!(
        "{place}: `tool_use` ids were found without `tool_result` blocks immediately after: {ids}. Each `tool_use` block \
         must have a corresponding `tool_result` block in the next message."
    );
    Err(refuse(place, message))
}

/// The results follow the calls at once, each a message of its own.
fn in_chat(request: &Request) -> Result<(), Refusal> {
    let mut open = Open::default();
    let mut last = 0;
    for (index, turn) in messages(request).enumerate() {
        last = index;
        if let Some(Part::Result { id, .. }) = turn.parts.first() {
            if open.calls.is_empty() {
                let message = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message \
                               with 'tool_calls'.";
                return Err(refuse(format!("messages.[{index}].role"), message));
            }
            if !open.known.contains(id.as_str()) {
                let message = format!(
                    "Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of previous message."
                );
                return Err(refuse(format!("messages.[{index}].tool_call_id"), message));
            }
            open.answered.insert(id);
            continue;
        }
        are_followed(&open, index)?;
        open = Open::default();
        open.call(turn, index);
    }
    are_followed(&open, last)
}

fn are_followed(open: &Open<'_>, found: usize) -> Result<(), Refusal> {
    let Some(ids) = open.unanswered() else {
        return Ok(());
    };
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The \
         following tool_call_ids did not have response messages: {ids}"
    );
    Err(refuse(format!("messages.[{found}].role"), message))
}

/// A result has its call before it, and a call its result behind it, wherever. A compaction stands for calls that nobody
/// sees any more.
fn in_responses(request: &Request) -> Result<(), Refusal> {
    let parts = || request.turns.iter().flat_map(|turn| &turn.parts);
    if parts().any(is_compaction) {
        return Ok(());
    }
    let mut called = HashSet::new();
    let mut answered = HashSet::new();
    for part in parts() {
        match part {
            Part::Call { id, .. } => {
                called.insert(id.as_str());
            }
            Part::Result { id, free, .. } => {
                if !called.contains(id.as_str()) {
                    return Err(no_call(*free, id));
                }
                answered.insert(id.as_str());
            }
            _ => {}
        }
    }
    let open = parts().find_map(|part| match part {
        Part::Call { id, input, own, .. } if !answered.contains(id.as_str()) && waits(own) => {
            Some(no_result(matches!(input, super::CallInput::Free(_)), id))
        }
        _ => None,
    });
    open.map_or(Ok(()), Err)
}

/// Whether the model waits for a call's result before it goes on: it was finished, and is neither asynchronous nor made
/// by a program.
#[must_use]
pub fn waits(call: &Own) -> bool {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let caller = call.get("caller").and_then(|caller| caller.get("type"));
    call.get("async") != Some(&Value::Bool(true))
        && text(call.get("status")).as_deref() != Some("incomplete")
        && text(caller).is_none_or(|caller| caller == "direct")
}

const fn kind(free: bool) -> &'static str {
    if free {
        "custom tool call"
    } else {
        "function call"
    }
}

/// OpenAI's refusal of a result that no call asked for. `free` is whether it answers a custom tool.
#[must_use]
pub fn no_call(free: bool, id: &str) -> Refusal {
    let kind = kind(free);
    refuse(
        "input",
        format!("No tool call found for {kind} output with call_id {id}."),
    )
}

/// OpenAI's refusal of a call that is gone on from without a result.
#[must_use]
pub fn no_result(free: bool, id: &str) -> Refusal {
    let kind = kind(free);
    refuse("input", format!("No tool output found for {kind} {id}."))
}

#[cfg(test)]
mod tests;
