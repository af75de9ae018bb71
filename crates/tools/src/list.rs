//! The list tool: what is in a folder, or which files a glob matches.

use quire_protocol::{ToolInput, ToolOutcome, ToolSpec, ToolStatus};
use serde_json::json;

use crate::arguments::Arguments;
use crate::calls::Stop;
use crate::place::Place;
use crate::walk;

const SHAPE: &str = "{path?: string, glob?: string}";
const MOST_SHOWN: usize = 200;
/// How many entries are counted before the walk is given up.
const MOST_WALKED: usize = 200_000;

pub(crate) fn spec() -> ToolSpec {
    ToolSpec {
        name: "list".to_owned(),
        description: "List a folder two levels deep, or with `glob` (`**/*.rs`) all matching \
                      files beneath it. Ignored files are left out."
            .to_owned(),
        input: ToolInput::Json(json!({
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "Default: the workspace"},
                "glob": {"type": "string"},
            },
        })),
    }
}

pub(crate) fn run(arguments: &str, place: &Place, stop: &Stop) -> Result<ToolOutcome, String> {
    let arguments = Arguments::parse(arguments, SHAPE)?;
    let path = arguments
        .optional_text(&["path"])?
        .unwrap_or_else(|| ".".to_owned());
    let glob = arguments
        .optional_text(&["glob", "pattern"])?
        .map(|pattern| walk::glob(&pattern))
        .transpose()?;
    let root = place.readable(&path)?;
    if !root.is_dir() {
        return Err(format!("{path} is a file: use read"));
    }
    let depth = if glob.is_some() { None } else { Some(2) };
    let (mut shown, mut rest, mut walked) = (Vec::new(), 0_usize, 0_usize);
    for entry in walk::entries(place, &root, depth) {
        walked += 1;
        if stop.is_stopped() || walked > MOST_WALKED {
            break;
        }
        let matches = match &glob {
            Some(glob) => walk::is_file(&entry) && walk::matches(glob, place, &root, &entry),
            None => true,
        };
        if !matches {
            continue;
        }
        if shown.len() == MOST_SHOWN {
            rest += 1;
            continue;
        }
        let folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        let slash = if folder { "/" } else { "" };
        let name = place.shown(entry.path());
        shown.push(format!("{}{slash}", name.display()));
    }
    let lines = shown.len() + rest;
    if shown.is_empty() {
        shown.push("(nothing)".to_owned());
    }
    if rest > 0 {
        shown.push(format!("… {rest} more: narrow it with `path` or `glob`"));
    }
    if walked > MOST_WALKED {
        shown.push(format!("… stopped after {MOST_WALKED} entries"));
    }
    Ok(ToolOutcome {
        lines: Some(lines as u64),
        ..ToolOutcome::text(ToolStatus::Done, shown.join("\n"))
    })
}
