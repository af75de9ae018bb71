//! `cargo xtask schema`: what crosses the wire, as JSON Schema and as TypeScript, from the very types
//! that serde reads and writes. `tidy` fails where the files in `schema/` say something else.

use std::fs;

use anyhow::{Context, Result};

use crate::cargo;
use crate::tidy::Finding;

mod json;
mod read;
mod serde;
mod shape;
mod types;

/// The generated files.
const JSON: &str = "schema/quire.schema.json";
const TYPES: &str = "schema/quire.d.ts";

/// Writes the files.
pub(crate) fn command() -> Result<()> {
    for (path, text) in generated()? {
        let path = cargo::root().join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Files that are not what they would be if they were generated now.
pub(crate) fn check() -> Result<Vec<Finding>> {
    let stale = |(path, text): (&str, String)| {
        let there = fs::read_to_string(cargo::root().join(path)).unwrap_or_default();
        (there != text).then(|| format!("{path}: stale; `cargo xtask schema` writes it anew"))
    };
    Ok(generated()?.into_iter().filter_map(stale).collect())
}

fn generated() -> Result<[(&'static str, String); 2]> {
    let wire = read::wire(&cargo::root())?;
    Ok([(JSON, json::write(&wire)), (TYPES, types::write(&wire))])
}
