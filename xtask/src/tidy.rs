//! `cargo xtask tidy`: the rules of the house, held by a program.
//!
//! Everything but the licence list is also a test. The rules themselves are data, in the modules.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{cargo, schema};

mod budgets;
mod edges;
mod licences;
mod spdx;
mod texts;

/// One thing that is not as the house wants it: where, what, and what to do.
pub(crate) type Finding = String;

/// A text file of the repository.
pub(crate) struct SourceFile {
    /// Relative to the root, with `/`.
    path: String,
    /// All of it.
    text: String,
}

impl SourceFile {
    fn is_rust(&self) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|extension| extension == "rs")
    }
}

/// Runs every rule and prints what it finds.
pub(crate) fn command() -> Result<()> {
    let mut findings = house()?;
    findings.extend(licences::check(&cargo::root())?);
    report(&findings)
}

/// The rules that need nothing but the files in the tree.
fn house() -> Result<Vec<Finding>> {
    let root = cargo::root();
    let files = read_tree(&root)?;
    let metadata = cargo::metadata(&["--no-deps"])?;
    let mut findings = edges::check(&metadata);
    for file in &files {
        findings.extend(texts::check(file));
        warn_of_growth(file);
    }
    findings.extend(budgets::check(&files, &metadata));
    findings.extend(schema::check()?);
    Ok(findings)
}

fn report(findings: &[Finding]) -> Result<()> {
    for finding in findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: the house is in order");
            Ok(())
        }
        count => bail!("{count} findings"),
    }
}

fn warn_of_growth(file: &SourceFile) {
    let lines = file.text.lines().count();
    if file.is_rust() && lines > texts::LINES_TO_ASK_AT && lines <= texts::LINES_AT_MOST {
        eprintln!(
            "warning: {}: {lines} lines; ask whether it is two files",
            file.path
        );
    }
}

/// Every text file of the repository, sorted by path.
fn read_tree(root: &Path) -> Result<Vec<SourceFile>> {
    let mut folders = vec![root.to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && !is_output(&entry.file_name().to_string_lossy()) {
                folders.push(entry.path());
            } else if kind.is_file() && entry.file_name() != ".git" {
                files.extend(read_text(root, &entry.path())?);
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Folders that hold what tools made.
fn is_output(name: &str) -> bool {
    matches!(name, ".git" | "target" | "artifacts" | "node_modules")
}

fn read_text(root: &Path, path: &PathBuf) -> Result<Option<SourceFile>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let relative = path.strip_prefix(root).unwrap_or(path);
    Ok(String::from_utf8(bytes).ok().map(|text| SourceFile {
        path: relative.to_string_lossy().replace('\\', "/"),
        text,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_tidy() {
        let findings = house().unwrap();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }
}
