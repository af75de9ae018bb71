//! Recorded answers and a prefix to read them with.

use std::fs;
use std::path::{Path, PathBuf};

use quire_dialect::Dialect;
use quire_protocol::{Prefix, ToolInput, ToolSpec};
use serde_json::json;

/// A recorded answer.
pub(crate) struct Fixture {
    /// The file's name without its ending.
    pub(crate) name: String,
    /// The dialect, by the first word of the name.
    pub(crate) dialect: Dialect,
    /// The stream.
    pub(crate) bytes: Vec<u8>,
}

/// Where the recordings and what they mean lie.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// All recordings, by name.
pub(crate) fn all() -> Vec<Fixture> {
    let mut fixtures: Vec<Fixture> = fs::read_dir(folder())
        .expect("the folder is there")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "sse"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy();
            Fixture {
                dialect: Dialect::ALL
                    .into_iter()
                    .find(|dialect| name.starts_with(dialect.name()))
                    .expect("a dialect in the name"),
                bytes: fs::read(&path).expect("a readable file"),
                name: name.into_owned(),
            }
        })
        .collect();
    fixtures.sort_by(|left, right| left.name.cmp(&right.name));
    fixtures
}

/// Instructions, a tool with JSON arguments and one with free text.
pub(crate) fn prefix() -> Prefix {
    Prefix {
        instructions: "You are a \"careful\" engineer.\n".into(),
        tools: vec![
            ToolSpec {
                name: "read".into(),
                description: "Reads a file.".into(),
                input: ToolInput::Json(json!({
                    "type": "object",
                    "properties": {"path": {"type": "string"}},
                    "required": ["path"],
                })),
            },
            ToolSpec {
                name: "apply_patch".into(),
                description: "Applies a patch.".into(),
                input: ToolInput::Text {
                    grammar: "start: /.+/s".into(),
                },
            },
        ],
        ..Prefix::default()
    }
}
