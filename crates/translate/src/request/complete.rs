//! What a request for an answer needs, and one that only counts its tokens does not.

use quire_dialect::Dialect;

use super::agree::check_agreement;
use super::plan::is_system;
use super::read::mark;
use super::{Request, Turn};
use crate::refusal::{Reason, Refusal};

/// The most messages that Messages takes.
const MESSAGES: usize = 100_000;

/// What continues a conversation of Responses without any input.
const CONTINUES: &[&str] = &["previous_response_id", "conversation", "prompt"];

/// What the API calls messages: the turns without the instructions that stand apart from them.
pub(super) fn messages(request: &Request) -> impl Iterator<Item = &Turn> {
    let is_message = |turn: &&Turn| !(is_system(turn.role) && turn.own.contains_key(mark::AT));
    request.turns.iter().filter(is_message)
}

/// Refuses a request that no model can answer: without messages or with too many, without a limit where the API
/// demands one, or with fields that contradict one another.
pub fn check_complete(request: &Request) -> Result<(), Refusal> {
    let messages = messages(request).count();
    let refuse = |field: &str, message: &str| Refusal::new(Reason::Invalid, message).about(field);
    match request.from {
        Dialect::Messages if request.max_output.is_none() => {
            Err(refuse("max_tokens", "max_tokens: Field required"))
        }
        Dialect::Messages if messages == 0 => {
            let message = "messages: at least one message is required";
            Err(refuse("messages", message))
        }
        Dialect::Messages if messages > MESSAGES => {
            let message = "messages: List should have at most 100000 items";
            Err(refuse("messages", message))
        }
        Dialect::Chat if messages == 0 => {
            let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an \
                           empty array instead.";
            Err(refuse("messages", message).coded("empty_array"))
        }
        Dialect::Responses if messages == 0 && !continues(request) => {
            let message = "One of 'input', 'previous_response_id', 'conversation' or 'prompt' must be provided.";
            Err(refuse("input", message).coded("missing_required_parameter"))
        }
        Dialect::Messages | Dialect::Responses | Dialect::Chat => check_agreement(request),
    }
}

fn continues(request: &Request) -> bool {
    let said = |key: &&str| request.own.get(*key).is_some_and(|value| !value.is_null());
    CONTINUES.iter().any(said)
}
