//! Budgets: how large the words, the composition root and the pages for newcomers may grow.

use serde_json::Value;

use super::{Finding, SourceFile};
use crate::cargo::{array, text};

/// Lines under a folder of sources, tests below `#[cfg(test)]` not counted.
const CRATE_LINES: &[(&str, usize)] =
    &[("crates/protocol/src/", 4_125), ("crates/cli/src/", 2_345)];
/// What declares words and decides nothing does not count.
const DECLARATIONS: &[&str] = &[
    "crates/cli/src/args.rs",
    "crates/cli/src/args/platform.rs",
    "crates/cli/src/args/records.rs",
];
/// Lines of a page.
const PAGE_LINES: &[(&str, usize)] = &[("AGENTS.md", 60), ("ARCHITECTURE.md", 250)];
/// Variants of the enums that every screen and every journal has to know.
const VARIANTS: &[(&str, usize)] = &[("Op", 16), ("Event", 24), ("Item", 10)];
/// Dependencies of `protocol`, which everybody compiles.
const PROTOCOL_DEPENDENCIES: usize = 5;

/// Checks every budget.
pub(super) fn check(files: &[SourceFile], metadata: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (folder, most) in CRATE_LINES {
        let lines = lines_under(files, folder);
        findings.extend(over(folder, "lines", lines, *most));
    }
    for (page, most) in PAGE_LINES {
        if let Some(file) = files.iter().find(|file| file.path == *page) {
            findings.extend(over(page, "lines", file.text.lines().count(), *most));
        }
    }
    for (name, most) in VARIANTS {
        match variants(files, name) {
            Some(count) => findings.extend(over(name, "variants", count, *most)),
            None => findings.push(format!(
                "crates/protocol/src: there is no `pub enum {name}`"
            )),
        }
    }
    findings.extend(over(
        "crates/protocol/Cargo.toml",
        "dependencies",
        protocol_dependencies(metadata),
        PROTOCOL_DEPENDENCIES,
    ));
    findings
}

fn over(what: &str, unit: &str, count: usize, most: usize) -> Option<Finding> {
    (count > most).then(|| format!("{what}: {count} {unit}, at most {most}"))
}

fn lines_under(files: &[SourceFile], folder: &str) -> usize {
    files
        .iter()
        .filter(|file| file.path.starts_with(folder) && file.is_rust())
        .filter(|file| !DECLARATIONS.contains(&file.path.as_str()))
        .map(|file| {
            file.text
                .lines()
                .take_while(|line| !line.starts_with("#[cfg(test)]"))
                .count()
        })
        .sum()
}

/// Counts the variants of a `protocol` enum; rustfmt puts each at an indent of four.
fn variants(files: &[SourceFile], name: &str) -> Option<usize> {
    let head = format!("pub enum {name} {{");
    files
        .iter()
        .filter(|file| file.path.starts_with("crates/protocol/src/"))
        .find_map(|file| {
            let mut lines = file.text.lines().skip_while(|line| *line != head);
            lines.next()?;
            let variant = |line: &&str| {
                line.strip_prefix("    ")
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
            };
            Some(
                lines
                    .take_while(|line| *line != "}")
                    .filter(variant)
                    .count(),
            )
        })
}

fn protocol_dependencies(metadata: &Value) -> usize {
    array(metadata, "packages")
        .iter()
        .filter(|package| text(package, "name") == "quire-protocol")
        .flat_map(|package| array(package, "dependencies"))
        .filter(|dependency| text(dependency, "kind") != "dev")
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variants_are_counted_and_budgets_kept() {
        let words = "//! X.\npub enum Op {\n    /// A.\n    A {\n        B: u8,\n    },\n    C(u8),\n}\n\
                     pub enum Event {\n    A,\n}\npub enum Item {\n}\n";
        let file = |path: &str, text: String| SourceFile {
            path: path.to_owned(),
            text,
        };
        let files = [
            file("crates/protocol/src/op.rs", words.to_owned()),
            file("AGENTS.md", "x\n".repeat(61)),
        ];
        assert_eq!(variants(&files, "Op"), Some(2));
        assert_eq!(variants(&files, "Missing"), None);
        assert_eq!(
            check(&files, &json!({})),
            ["AGENTS.md: 61 lines, at most 60"]
        );
    }
}
