//! The write tool: a whole file in one step.

use quire_protocol::{ToolInput, ToolOutcome, ToolSpec, ToolStatus};
use serde_json::json;

use crate::arguments::Arguments;
use crate::place::Place;
use crate::proposal::Proposal;
use crate::{report, text};

const SHAPE: &str = "{path: string, content: string}";
/// The largest file that is replaced with its diff kept.
const MOST_OLD: u64 = 64 << 20;

pub(crate) fn spec() -> ToolSpec {
    ToolSpec {
        name: "write".to_owned(),
        description:
            "Create or replace a file, with its folders. To change part of a file use edit."
                .to_owned(),
        input: ToolInput::Json(json!({
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "content": {"type": "string", "description": "The whole file"},
            },
            "required": ["path", "content"],
        })),
    }
}

/// The change that a call asks for.
pub(crate) fn proposals(arguments: &str) -> Result<Vec<Proposal>, String> {
    let arguments = Arguments::parse(arguments, SHAPE)?;
    let content = arguments.text(&["content", "file_text"])?;
    let path = arguments.text(&["path", "file_path"])?;
    let proposal = Proposal::new(path, "new, or replaced as a whole");
    Ok(vec![proposal.replaces("", &content)])
}

pub(crate) fn run(arguments: &str, place: &Place) -> Result<ToolOutcome, String> {
    let arguments = Arguments::parse(arguments, SHAPE)?;
    let path = arguments.text(&["path", "file_path"])?;
    let content = arguments.text(&["content", "file_text"])?;
    let target = place.writable(&path)?;
    let old = target.read(MOST_OLD)?;
    target.write(content.as_bytes())?;
    let what = if old.is_some() { "Replaced" } else { "Created" };
    let shown = target.shown.display();
    let mut outcome = ToolOutcome::text(
        ToolStatus::Done,
        format!("{what} {shown} ({})", text::lines(content.lines().count())),
    );
    outcome.changes = vec![report::change(
        &target.shown,
        old.as_deref(),
        Some(content.as_bytes()),
    )];
    Ok(outcome)
}
