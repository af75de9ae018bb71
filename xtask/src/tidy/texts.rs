//! Rules about the text of a single file: header, size, words, purity, places.

use super::{Finding, SourceFile, edges};

/// Where a file is asked whether it should be two.
pub(super) const LINES_TO_ASK_AT: usize = 600;
/// The longest file.
pub(super) const LINES_AT_MOST: usize = 800;

/// Endings of type names that say nothing.
const EMPTY_WORDS: &[&str] = &["Manager", "Helper", "Helpers", "Util", "Utils", "Service"];
/// File names that say nothing.
const EMPTY_STEMS: &[&str] = &[
    "util", "utils", "helper", "helpers", "common", "misc", "mod",
];
/// Marks of work that is not finished, or of a test that does not run.
const MARKS: &[&str] = &[
    "#[ignore",
    "allow(dead_code)",
    "todo!(",
    "unimplemented!(",
    "TODO",
    "FIXME",
    "HACK",
];
/// What a pure crate does not name outside its tests.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::env",
    "SystemTime",
    "Instant::now",
];
/// Folders whose files are data for programs, not ours to judge.
const DATA: &[&str] = &["fixtures", "golden", "bundled", "corpus", "recordings"];

/// Every rule on one file.
pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = places(file);
    if file.is_rust() && !is_data(&file.path) {
        findings.extend(header(file));
        findings.extend(size(file));
        findings.extend(names(file));
        findings.extend(re_exports(file));
        findings.extend(purity(file));
        findings.extend(marks(file));
    }
    findings
}

fn is_data(path: &str) -> bool {
    path.split('/').any(|part| DATA.contains(&part))
}

fn header(file: &SourceFile) -> Option<Finding> {
    let opens = file.text.starts_with("//!");
    (!opens).then(|| {
        format!(
            "{}:1: open with `//!`: what this file is, in 1–4 lines",
            file.path
        )
    })
}

fn size(file: &SourceFile) -> Option<Finding> {
    let lines = file.text.lines().count();
    (lines > LINES_AT_MOST).then(|| {
        format!(
            "{}: {lines} lines, at most {LINES_AT_MOST}: split it by what it does",
            file.path
        )
    })
}

fn names(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let stem = file.path.rsplit('/').next().unwrap_or_default();
    let stem = stem.strip_suffix(".rs").unwrap_or(stem);
    if EMPTY_STEMS.contains(&stem) {
        findings.push(format!("{}: name the file for what is in it", file.path));
    }
    for (number, line) in file.text.lines().enumerate() {
        let Some(name) = type_name(line) else {
            continue;
        };
        if let Some(word) = EMPTY_WORDS.iter().find(|word| name.ends_with(*word)) {
            findings.push(format!(
                "{}:{}: `{name}`: `{word}` says nothing; name the thing",
                file.path,
                number + 1
            ));
        }
    }
    findings
}

/// The name of the type that a line declares.
fn type_name(line: &str) -> Option<&str> {
    let mut words = line
        .split_whitespace()
        .skip_while(|word| word.starts_with("pub") || *word == "unsafe");
    let declares = matches!(
        words.next()?,
        "struct" | "enum" | "trait" | "type" | "union"
    );
    let name = words.next().filter(|_| declares)?;
    let end = name
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(name.len());
    Some(&name[..end])
}

fn re_exports(file: &SourceFile) -> Vec<Finding> {
    if file.path.starts_with("crates/cli/") {
        return Vec::new();
    }
    let sibling = |line: &str| {
        let line = line.trim_start();
        [
            "pub use quire_",
            "pub use ::quire_",
            "pub extern crate quire_",
        ]
        .iter()
        .any(|start| line.starts_with(start))
    };
    numbered(&file.text)
        .filter(|(_, line)| sibling(line))
        .map(|(number, _)| {
            format!(
                "{}:{number}: a sibling is re-exported; let the user import it from its own crate",
                file.path
            )
        })
        .collect()
}

fn purity(file: &SourceFile) -> Vec<Finding> {
    let pure = edges::PURE
        .iter()
        .any(|name| file.path.starts_with(&format!("crates/{name}/src/")));
    if !pure {
        return Vec::new();
    }
    numbered(&file.text)
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter_map(|(number, line)| {
            let word = IMPURE.iter().find(|word| line.contains(**word))?;
            Some(format!(
                "{}:{number}: `{word}` in a pure crate; take what you need as a parameter",
                file.path
            ))
        })
        .collect()
}

fn marks(file: &SourceFile) -> Vec<Finding> {
    if file.path.starts_with("xtask/src/tidy/") {
        return Vec::new();
    }
    numbered(&file.text)
        .filter_map(|(number, line)| {
            let mark = MARKS.iter().find(|mark| line.contains(**mark))?;
            Some(format!(
                "{}:{number}: `{mark}`: finish it or take it out",
                file.path
            ))
        })
        .collect()
}

/// Paths of somebody's machine and hosts of package registries.
fn places(file: &SourceFile) -> Vec<Finding> {
    numbered(&file.text)
        .filter_map(|(number, line)| {
            let what = place(line)?;
            Some(format!("{}:{number}: names {what}; take it out", file.path))
        })
        .collect()
}

fn place(line: &str) -> Option<&'static str> {
    let machine = ["work", "farm"].iter().any(|folder| {
        let path = format!("/{folder}/");
        line.match_indices(&path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '.')
        })
    });
    if machine {
        return Some("a path of one machine");
    }
    let registry = line.split("//").skip(1).any(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_lowercase() && c != '.')
            .unwrap_or(rest.len());
        ["crates", "npmjs", "pypi", "pythonhosted"]
            .iter()
            .any(|name| rest[..end].contains(&format!(".{name}.")))
    });
    registry.then_some("a registry's host")
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<Finding> {
        check(&SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn each_rule_finds_its_case() {
        let machine = ["see /wo", "rk/main\n"].concat();
        let registry = ["http://index.cr", "ates.io/x\n"].concat();
        let long = format!("//! Long.\n{}", "//\n".repeat(LINES_AT_MOST));
        for (path, text, expected) in [
            ("crates/store/src/a.rs", "//! Fine.\nuse std::fs;\n", None),
            ("crates/store/src/a.rs", "use std::fs;\n", Some("open with")),
            ("crates/store/src/a.rs", long.as_str(), Some("801 lines")),
            (
                "crates/store/src/utils.rs",
                "//! X.\n",
                Some("name the file"),
            ),
            (
                "crates/store/src/a.rs",
                "//! X.\npub struct JobManager<T>(T);\n",
                Some("Manager"),
            ),
            ("crates/store/src/a.rs", "//! X.\n// a type Manager\n", None),
            (
                "crates/store/src/a.rs",
                "//! X.\npub use quire_protocol::Seq;\n",
                Some("re-exported"),
            ),
            (
                "crates/cli/src/a.rs",
                "//! X.\npub use quire_protocol::Seq;\n",
                None,
            ),
            (
                "crates/kernel/src/a.rs",
                "//! X.\nuse std::fs;\n",
                Some("pure crate"),
            ),
            (
                "crates/kernel/src/a.rs",
                "//! X.\n#[cfg(test)]\nuse std::fs;\n",
                None,
            ),
            ("crates/kernel/tests/a.rs", "//! X.\nuse std::fs;\n", None),
            (
                "crates/store/tests/it/a.rs",
                "//! X.\n#[ignore]\n",
                Some("finish it"),
            ),
            (
                "crates/store/src/a.rs",
                "//! X.\n// FIXME: y\n",
                Some("finish it"),
            ),
            ("crates/cli/fixtures/a.rs", "fn main() {}\n", None),
            ("README.md", machine.as_str(), Some("one machine")),
            ("README.md", registry.as_str(), Some("registry")),
            ("README.md", "https://github.com/a/crates.io-index\n", None),
            ("README.md", "my.work/x and net/work/x\n", None),
        ] {
            let found = findings(path, text);
            match expected {
                None => assert!(found.is_empty(), "{path}: {found:?}"),
                Some(words) => {
                    assert_eq!(found.len(), 1, "{path}: {found:?}");
                    assert!(found[0].contains(words), "{path}: {found:?}");
                }
            }
        }
    }
}
