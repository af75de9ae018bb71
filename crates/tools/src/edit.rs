//! The edit tool: exact replacements in one file, all or none.

use quire_protocol::{ToolInput, ToolOutcome, ToolSpec, ToolStatus};
use serde_json::json;

use crate::arguments::Arguments;
use crate::place::Place;
use crate::proposal::Proposal;
use crate::replace::{Edit, Reach, replace};
use crate::{names, report};

const SHAPE: &str = "{path: string, edits: [{old: string, new: string, all?: bool}]}";
/// The largest file that is edited.
pub(crate) const MOST: u64 = 64 << 20;

pub(crate) fn spec() -> ToolSpec {
    ToolSpec {
        name: "edit".to_owned(),
        description: "Replace exact text in a file: all edits or none, in order. `old` is copied \
                      from the file without line numbers and must occur once, unless `all`."
            .to_owned(),
        input: ToolInput::Json(json!({
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "edits": {"type": "array", "items": {
                    "type": "object",
                    "properties": {
                        "old": {"type": "string"},
                        "new": {"type": "string"},
                        "all": {"type": "boolean", "description": "Replace every occurrence"},
                    },
                    "required": ["old", "new"],
                }},
            },
            "required": ["path", "edits"],
        })),
    }
}

/// The change that a call asks for.
pub(crate) fn proposals(arguments: &str) -> Result<Vec<Proposal>, String> {
    let (path, edits) = parse(arguments)?;
    let everywhere = edits.iter().any(|edit| edit.reach == Reach::All);
    let fate = if everywhere {
        "changed, wherever that stands in it"
    } else {
        "changed"
    };
    let begun = Proposal::new(path, fate);
    let all = |proposal: Proposal, edit: &Edit| proposal.replaces(&edit.old, &edit.new);
    Ok(vec![edits.iter().fold(begun, all)])
}

fn parse(arguments: &str) -> Result<(String, Vec<Edit>), String> {
    let arguments = Arguments::parse(arguments, SHAPE)?;
    let path = arguments.text(&["path", "file_path"])?;
    let edits = match arguments.list("edits")? {
        Some(edits) => edits
            .iter()
            .map(|edit| one(&arguments.element(edit, "edits")?))
            .collect::<Result<_, _>>()?,
        None => vec![one(&arguments).map_err(|_| arguments.wrong("`edits` is missing"))?],
    };
    if edits.is_empty() {
        return Err(arguments.wrong("`edits` is empty"));
    }
    Ok((path, edits))
}

fn one(arguments: &Arguments) -> Result<Edit, String> {
    Ok(Edit {
        old: arguments.text(&["old", "old_string"])?,
        new: arguments.text(&["new", "new_string"])?,
        reach: if arguments.flag(&["all", "replace_all"])? {
            Reach::All
        } else {
            Reach::Once
        },
    })
}

pub(crate) fn run(arguments: &str, place: &Place) -> Result<ToolOutcome, String> {
    let (path, edits) = parse(arguments)?;
    let target = place.writable(&path)?;
    let old = target
        .read(MOST)?
        .ok_or_else(|| names::missing(place, &place.absolute(&path)))?;
    let shown = target.shown.display();
    let text = std::str::from_utf8(&old).map_err(|error| {
        format!(
            "{shown} is not UTF-8 text (byte {}): it was left as it is; change it with a command",
            error.valid_up_to()
        )
    })?;
    let (new, places) = replace(text, &edits).map_err(|reason| format!("{shown}: {reason}"))?;
    target.write(new.as_bytes())?;
    let line = report::first_changed_line(&old, new.as_bytes());
    let said = match places {
        1 => format!("Changed {shown}:{line}"),
        _ => format!("Changed {shown} in {places} places, the first at {shown}:{line}"),
    };
    let mut outcome = ToolOutcome::text(ToolStatus::Done, said);
    outcome.changes = vec![report::change(
        &target.shown,
        Some(&old),
        Some(new.as_bytes()),
    )];
    Ok(outcome)
}
