//! A summary in place of a long conversation's beginning, for upstreams that cannot make one.

use quire_dialect::Dialect;
use quire_translate::{
    Block, Choice, Delivery, Delta, Edit, Event, Own, Part, Reason, Refusal, Request, Role,
    Sampling, Seal, Sealer, Turn,
};
use serde_json::json;

use crate::config::Compaction;

/// What is to be summed up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cut {
    /// So many turns behind the instructions.
    older: usize,
    /// What the client wants the summary to look at.
    instructions: Option<String>,
    /// What comes behind the summary.
    pub(crate) then: Then,
}

/// What comes behind a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The answer.
    Answer,
    /// Nothing: the client wants to look at it first.
    Pause,
    /// Nothing: it is all that was asked for.
    End,
}

/// Bytes for each token, where nobody has counted.
pub(super) const BYTES_PER_TOKEN: u64 = 4;

const SUMMARIZE: &str = "Sum up the conversation above so that it can be gone on with from your summary alone. Keep: what was \
asked, word for word where the words matter; decisions and why; what was tried and failed; names of files, ids, numbers and code \
that are still needed; what is done and what is left to do. Write nothing else.";

/// Puts compactions of earlier answers into words: what stood before the last one is gone. Refuses one that was signed
/// here and is another now.
pub(crate) fn told(request: &mut Request, sealer: &Sealer) -> Result<(), Refusal> {
    let compactions = request.turns.iter().flat_map(|turn| &turn.parts);
    if compactions.into_iter().any(|part| is_forged(part, sealer)) {
        let message = "A `compaction` block's content is not what was signed: send the block back as it came.";
        return Err(Refusal::new(Reason::Invalid, message).coded("compaction_content_mismatch"));
    }
    put_into_words(request);
    Ok(())
}

fn is_forged(part: &Part, sealer: &Sealer) -> bool {
    let Part::Compaction {
        text: Some(text),
        own,
        ..
    } = part
    else {
        return false;
    };
    let signature = own.get("signature").and_then(serde_json::Value::as_str);
    // What others signed only they can check.
    let signed = signature.and_then(|signature| sealer.open(signature));
    signed.is_some_and(|signed| signed.text != *text)
}

/// A summary as the block of an answer that has nothing besides.
pub(crate) fn alone(text: String, then: Then, sealer: &Sealer) -> Part {
    let mut own = Own::new();
    if then == Then::End {
        let seal = Seal {
            from: Dialect::Messages,
            text: text.clone(),
        };
        // No tool comes or goes in the middle of a conversation here.
        own.insert("tool_changes".into(), json!([]));
        own.insert("signature".into(), sealer.seal(&seal).into());
    }
    Part::Compaction {
        text: Some(text),
        seal: None,
        own,
    }
}

fn put_into_words(request: &mut Request) {
    let holds = |turn: &Turn| {
        turn.parts
            .iter()
            .any(|part| matches!(part, Part::Compaction { text: Some(_), .. }))
    };
    let Some(last) = request.turns.iter().rposition(holds) else {
        return;
    };
    let from = instructions(request);
    if last > from {
        request.turns.drain(from..last);
    }
    let Some(turn) = request.turns.get_mut(from.min(last)) else {
        return;
    };
    let at = turn
        .parts
        .iter()
        .rposition(|part| matches!(part, Part::Compaction { text: Some(_), .. }));
    let Some(at) = at else {
        return;
    };
    let rest = turn.parts.split_off(at + 1);
    let Some(Part::Compaction {
        text: Some(text), ..
    }) = turn.parts.pop()
    else {
        return;
    };
    turn.parts = rest;
    let empty = turn.parts.is_empty();
    let at = from.min(last);
    if empty {
        request.turns.remove(at);
    }
    request.turns.insert(at, summary(&text));
}

fn instructions(request: &Request) -> usize {
    request
        .turns
        .iter()
        .take_while(|turn| matches!(turn.role, Role::System | Role::Developer))
        .count()
}

fn say(role: Role, text: String) -> Turn {
    Turn {
        role,
        parts: vec![Part::Text {
            text,
            own: Own::new(),
        }],
        own: Own::new(),
    }
}

fn summary(text: &str) -> Turn {
    say(
        Role::User,
        format!("This is a summary of our conversation so far; go on from here.\n\n{text}"),
    )
}

/// Whether the client wants a long conversation compacted and this one is long; takes the wish out of the request.
pub(crate) fn wanted(request: &mut Request, add: &Compaction) -> Option<Cut> {
    let at = request
        .edits
        .iter()
        .position(|edit| matches!(edit, Edit::Compact { .. }))?;
    let Edit::Compact {
        threshold,
        pause,
        instructions: words,
        ..
    } = request.edits.remove(at)
    else {
        return None;
    };
    let sizes: Vec<u64> = request.turns.iter().map(size).collect();
    let tokens = sizes.iter().sum::<u64>() / BYTES_PER_TOKEN;
    if tokens < threshold.unwrap_or(add.threshold) {
        return None;
    }
    let from = instructions(request);
    let mut kept = 0;
    let mut cut = None;
    for at in (from + 1..request.turns.len()).rev() {
        kept += sizes[at] / BYTES_PER_TOKEN;
        if !may_begin(&request.turns[at]) {
            continue;
        }
        if kept > add.keep && cut.is_some() {
            break;
        }
        cut = Some(at);
        if kept > add.keep {
            break;
        }
    }
    Some(Cut {
        older: cut? - from,
        instructions: words,
        then: if pause == Some(true) {
            Then::Pause
        } else {
            Then::Answer
        },
    })
}

/// Whether a conversation may begin with a turn: words of a person, and no result of a call that is gone.
fn may_begin(turn: &Turn) -> bool {
    turn.role == Role::User
        && !turn
            .parts
            .iter()
            .any(|part| matches!(part, Part::Result { .. }))
}

/// Whether the client wants all of it compacted, and nothing besides (`compaction` of Messages); takes the wish out of
/// the request.
pub(crate) fn demanded(request: &mut Request) -> Option<Cut> {
    let wish = request.own.get("compaction")?;
    if request.from != Dialect::Messages || wish["type"] != "summarize" {
        return None;
    }
    let words = wish["instructions"].as_str().unwrap_or_default();
    let cut = Cut {
        older: request.turns.len() - instructions(request),
        instructions: Some(words.to_owned()).filter(|words| !words.trim().is_empty()),
        then: Then::End,
    };
    request.own.shift_remove("compaction");
    Some(cut)
}

pub(super) fn size(turn: &Turn) -> u64 {
    turn.parts.iter().map(part_size).sum()
}

pub(super) fn part_size(part: &Part) -> u64 {
    let text = |text: &str| text.len() as u64;
    match part {
        Part::Text { text: words, .. }
        | Part::Refusal { text: words, .. }
        | Part::Thinking { text: words, .. } => text(words),
        Part::Compaction { text: words, .. } => words.as_deref().map_or(0, text),
        Part::Call { input, .. } => match input {
            quire_translate::CallInput::Json(words) | quire_translate::CallInput::Free(words) => {
                text(words)
            }
        },
        Part::Result { content, .. } => content.iter().map(part_size).sum(),
        // A picture or a page is about so much.
        Part::Image { .. } | Part::Document { .. } => 1_500 * BYTES_PER_TOKEN,
        Part::Other(value) => text(&value.to_string()),
    }
}

impl Cut {
    /// The request that asks for the summary.
    pub(crate) fn asks(&self, request: &Request, model: &str) -> Request {
        let from = instructions(request);
        let mut ask = request.clone();
        model.clone_into(&mut ask.model);
        ask.delivery = Delivery::Whole;
        ask.turns.truncate(from + self.older);
        let words = self
            .instructions
            .clone()
            .unwrap_or_else(|| SUMMARIZE.to_owned());
        ask.turns.push(say(Role::User, words));
        // The tools stay: what was called stands in the conversation.
        ask.choice = (!ask.tools.is_empty()).then_some(Choice::None);
        ask.format = None;
        ask.edits.clear();
        ask.sampling = Sampling::default();
        ask.max_output = None;
        ask
    }
}

/// Puts a summary in the place of what it sums up, and tells the client of it.
pub(crate) fn summarized(request: &mut Request, cut: &Cut, text: &str, out: &mut dyn FnMut(Event)) {
    let from = instructions(request);
    let end = (from + cut.older).min(request.turns.len());
    request.turns.splice(from..end, [summary(text)]);
    out(Event::Open(Block::Compaction(Own::new())));
    out(Event::Grow(Delta::Text(text.to_owned())));
    out(Event::Close(Own::new()));
}

#[cfg(test)]
mod tests {
    use quire_translate::decode_request;
    use serde_json::{Value, json};

    use super::*;

    const ADD: Compaction = Compaction {
        model: None,
        threshold: 1_000,
        keep: 300,
    };

    fn request(edits: &Value, messages: &Value) -> Request {
        let body = json!({"model": "m", "max_tokens": 9, "system": "Be brief.", "messages": messages,
            "context_management": {"edits": edits}});
        decode_request(Dialect::Messages, body.to_string().as_bytes()).unwrap()
    }

    fn long() -> Value {
        let words = "w".repeat(1_600);
        json!([
            {"role": "user", "content": words},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "bash", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": words}]},
            {"role": "assistant", "content": "done"},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "one"},
            {"role": "user", "content": "second"},
        ])
    }

    fn texts(request: &Request) -> Vec<String> {
        let parts = request.turns.iter().flat_map(|turn| &turn.parts);
        parts
            .map(|part| match part {
                Part::Text { text, .. } => text.clone(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn the_beginning_goes_and_the_newest_stays() {
        let edits = json!([{"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 500}, "pause_after_compaction": true}]);
        let mut asked = request(&edits, &long());
        let cut = wanted(&mut asked, &ADD).unwrap();
        assert!(cut.then == Then::Pause && asked.edits.is_empty());
        let ask = cut.asks(&asked, "writer");
        assert_eq!(
            (ask.model.as_str(), ask.delivery),
            ("writer", Delivery::Whole)
        );
        assert!(texts(&ask).last().unwrap().starts_with("Sum up"));
        let mut told = Vec::new();
        summarized(&mut asked, &cut, "all of it", &mut |event| told.push(event));
        assert_eq!(told.len(), 3);
        let said = texts(&asked);
        assert_eq!(said[0], "Be brief.");
        assert!(said[1].ends_with("all of it"));
        assert_eq!(&said[2..], ["first", "one", "second"]);
    }

    #[test]
    fn short_conversations_and_clients_that_do_not_ask_are_left_alone() {
        let edits = json!([{"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 50_000}}]);
        assert_eq!(wanted(&mut request(&edits, &long()), &ADD), None);
        assert_eq!(wanted(&mut request(&json!([]), &long()), &ADD), None);
        // There is nothing before the one thing that was said.
        let one = json!([{"role": "user", "content": "w".repeat(9_000)}]);
        assert_eq!(
            wanted(
                &mut request(&json!([{"type": "compact_20260112"}]), &one),
                &ADD
            ),
            None
        );
    }

    #[test]
    fn a_compaction_stands_for_what_was_before_it() {
        let messages = json!([
            {"role": "user", "content": "old"},
            {"role": "assistant", "content": [
                {"type": "compaction", "content": "the summary"},
                {"type": "text", "text": "and then"},
            ]},
            {"role": "user", "content": "next"},
        ]);
        let mut asked = request(&json!([]), &messages);
        told(&mut asked, &Sealer::new(b"here")).unwrap();
        let said = texts(&asked);
        assert_eq!(said.len(), 4, "{said:?}");
        assert_eq!(said[0], "Be brief.");
        assert!(said[1].ends_with("the summary"));
        assert_eq!(&said[2..], ["and then", "next"]);
    }

    #[test]
    fn a_signed_summary_comes_back_as_it_went_or_is_refused() {
        let sealer = Sealer::new(b"here");
        let Part::Compaction { own, .. } = alone("all of it".to_owned(), Then::End, &sealer) else {
            panic!("no compaction");
        };
        assert_eq!(own["tool_changes"], json!([]));
        let back = |content: &str, sealer: &Sealer| {
            let block =
                json!({"type": "compaction", "content": content, "signature": own["signature"]});
            let messages = json!([{"role": "assistant", "content": [block]}, {"role": "user", "content": "next"}]);
            told(&mut request(&json!([]), &messages), sealer)
        };
        assert_eq!(back("all of it", &sealer), Ok(()));
        let refusal = back("something else", &sealer).unwrap_err();
        assert_eq!(refusal.code.as_deref(), Some("compaction_content_mismatch"));
        assert_eq!(back("something else", &Sealer::new(b"elsewhere")), Ok(()));
    }
}
