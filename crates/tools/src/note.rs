//! The note tool: what the model wants remembered for good. It becomes part of the ledger.

use quire_protocol::{CallId, Note, NoteKind, ToolInput, ToolOutcome, ToolSpec, ToolStatus};
use serde_json::json;

use crate::arguments::Arguments;

const SHAPE: &str = "{kind: \"rule\" | \"decision\" | \"failed\" | \"fact\" | \"done\", text: string, \
                     evidence?: [integer]}";
/// A note is kept in every context, so it is short.
const MOST_BYTES: usize = 2_000;

pub(crate) fn spec() -> ToolSpec {
    ToolSpec {
        name: "note".to_owned(),
        description: "Keep something for good, word for word, however long the session gets: a \
                      decision with its reason, an approach that failed and why, a rule, a fact \
                      needed later. `done` claims the goal, with the calls that show it."
            .to_owned(),
        input: ToolInput::Json(json!({
            "type": "object",
            "properties": {
                "kind": {"enum": NoteKind::ALL.map(NoteKind::name)},
                "text": {"type": "string"},
                "evidence": {"type": "array", "items": {"type": "integer"},
                    "description": "Numbers of calls, as in call:7"},
            },
            "required": ["kind", "text"],
        })),
    }
}

pub(crate) fn run(arguments: &str) -> Result<ToolOutcome, String> {
    let arguments = Arguments::parse(arguments, SHAPE)?;
    let kind = arguments.text(&["kind"])?;
    let kind = NoteKind::ALL
        .into_iter()
        .find(|known| known.name() == kind)
        .ok_or_else(|| arguments.wrong(&format!("`{kind}` is no kind")))?;
    let text = arguments.text(&["text"])?;
    let text = text.trim();
    if text.is_empty() {
        return Err(arguments.wrong("`text` is empty"));
    }
    if text.len() > MOST_BYTES {
        return Err(format!(
            "the note has {} bytes, and at most {MOST_BYTES} are kept: say it shorter, or in several \
             notes",
            text.len()
        ));
    }
    let evidence = arguments.list("evidence")?.unwrap_or_default();
    let evidence = evidence
        .iter()
        .map(|value| {
            call(value).ok_or_else(|| arguments.wrong(&format!("{value} is no number of a call")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut outcome = ToolOutcome::text(ToolStatus::Done, "Noted.");
    outcome.note = Some(Note {
        kind,
        text: text.to_owned(),
        evidence,
    });
    Ok(outcome)
}

/// A call's number, as a number or in the form that the harness writes it.
fn call(value: &serde_json::Value) -> Option<CallId> {
    let number = match value {
        serde_json::Value::String(text) => {
            text.trim().trim_start_matches("call:").parse::<u32>().ok()
        }
        value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    number.map(CallId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes() {
        let noted = |arguments: &str| run(arguments).map(|outcome| outcome.note.unwrap());
        let note = noted(r#"{"kind":"done","text":" green ","evidence":[7,"call:9"]}"#).unwrap();
        assert_eq!((note.kind, note.text.as_str()), (NoteKind::Done, "green"));
        assert_eq!(note.evidence, [CallId(7), CallId(9)]);
        for (arguments, reason) in [
            (r#"{"kind":"gossip","text":"x"}"#, "no kind"),
            (r#"{"kind":"fact","text":"  "}"#, "empty"),
            (r#"{"kind":"fact"}"#, "text"),
            (
                r#"{"kind":"done","text":"x","evidence":["the test"]}"#,
                "no number",
            ),
        ] {
            let error = noted(arguments).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let long = json!({"kind": "fact", "text": "x".repeat(3_000)}).to_string();
        assert!(noted(&long).unwrap_err().contains("3000 bytes"));
    }
}
