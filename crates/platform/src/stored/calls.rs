//! Calls of tools and their results in what a request goes on from. Upstreams do not all look whether the two belong
//! together, and what a request goes on from is known here alone; one that bears its whole context is left to its
//! upstream.

use std::collections::HashSet;

use quire_translate::{Own, Refusal, no_call, no_result, waits};

use super::items::Item;

const FUNCTION: &str = "function_call";
const CUSTOM: &str = "custom_tool_call";

/// By what a call and its result belong together: which of the two kinds, and the call's id.
type Pair = (&'static str, String);

/// A call or a result, if an item is one of the two kinds that clients answer.
enum Side {
    Call(Pair),
    Result(Pair),
}

fn side(item: &Item) -> Option<Side> {
    let (call, kind) = match item.kind.strip_suffix("_output") {
        Some(call) => (call, Side::Result as fn(Pair) -> Side),
        None => (item.kind.as_str(), Side::Call as fn(Pair) -> Side),
    };
    let call = [FUNCTION, CUSTOM]
        .into_iter()
        .find(|known| *known == call)?;
    Some(kind((call, item.call_id().unwrap_or_default())))
}

/// A compaction stands for calls that nobody sees any more.
fn is_compacted(items: &[&[Item]]) -> bool {
    let mut all = items.iter().flat_map(|items| items.iter());
    all.any(|item| item.kind == "compaction")
}

/// Refuses results of a request's own that no call before them asked for, in the vendor's words.
pub(super) fn have_calls(before: &[Item], own: &[Item]) -> Result<(), Refusal> {
    let is_result = |item: &Item| item.kind.ends_with("_call_output");
    if !own.iter().any(is_result) || is_compacted(&[before, own]) {
        return Ok(());
    }
    let mut called = HashSet::new();
    for item in before {
        if let Some(Side::Call(pair)) = side(item) {
            called.insert(pair);
        }
    }
    for item in own {
        match side(item) {
            Some(Side::Call(pair)) => drop(called.insert(pair)),
            Some(Side::Result(pair)) if !called.contains(&pair) => {
                return Err(no_call(pair.0 == CUSTOM, &pair.1));
            }
            Some(Side::Result(_)) | None => {}
        }
    }
    Ok(())
}

/// Refuses to go on from calls without their results, in the vendor's words.
pub(super) fn have_results(before: &[Item], own: &[Item]) -> Result<(), Refusal> {
    if is_compacted(&[before, own]) {
        return Ok(());
    }
    let mut answered = HashSet::new();
    for item in before.iter().chain(own).rev() {
        match side(item) {
            Some(Side::Result(pair)) => drop(answered.insert(pair)),
            Some(Side::Call(pair)) if !answered.contains(&pair) && is_waited_for(item) => {
                return Err(no_result(pair.0 == CUSTOM, &pair.1));
            }
            Some(Side::Call(_)) | None => {}
        }
    }
    Ok(())
}

fn is_waited_for(call: &Item) -> bool {
    serde_json::from_str::<Own>(&call.raw).is_ok_and(|call| waits(&call))
}
