//! Which crate may import which. Any other edge in the workspace is a finding.

use serde_json::Value;

use super::Finding;
use crate::cargo::{array, text};

/// A crate and what it may import. Names are without the prefix `quire-`.
struct Row {
    name: &'static str,
    may_import: &'static [&'static str],
}

const fn row(name: &'static str, may_import: &'static [&'static str]) -> Row {
    Row { name, may_import }
}

/// The table of allowed edges, floor by floor. `cli` wires everything and is not in it.
const EDGES: &[Row] = &[
    // Ground: pure.
    row("protocol", &[]),
    row("kernel", &["protocol"]),
    row("dialect", &["protocol"]),
    row("catalogue", &["protocol", "dialect"]),
    row("translate", &["protocol", "dialect"]),
    row("config", &["protocol"]),
    row("office", &[]),
    row("guard", &["protocol"]),
    // Look at the world, know no session.
    row("walk", &[]),
    row("net", &[]),
    row("allocator", &[]),
    // Hands: each implements one port.
    row("model", &["protocol", "dialect", "catalogue", "net"]),
    row("sandbox", &["protocol"]),
    row("tools", &["protocol", "office", "walk"]),
    row("mcp", &["protocol", "net"]),
    row("store", &["protocol"]),
    row("depot", &["protocol"]),
    row("checkpoints", &["protocol", "walk"]),
    row("local", &["protocol"]),
    row("instructions", &[]),
    // Engine.
    row("engine", &["protocol", "kernel"]),
    // Faces: they see a client and nothing behind it.
    row("headless", &["protocol"]),
    row("tui", &["protocol"]),
    row("acp", &["protocol"]),
    row("server", &["protocol"]),
    row("evals", &["protocol"]),
    row(
        "platform",
        &[
            "protocol",
            "dialect",
            "guard",
            "catalogue",
            "net",
            "translate",
            "depot",
        ],
    ),
    // Cellar.
    row("testkit", &["protocol", "kernel", "engine"]),
];

/// What any crate's tests may import besides what the crate itself may.
const TESTS_MAY_IMPORT: &[&str] = &["testkit"];

/// The composition root.
const ROOT: &str = "cli";

/// Crates that are pure: bytes in, values out.
pub(super) const PURE: &[&str] = &[
    "protocol",
    "kernel",
    "dialect",
    "catalogue",
    "translate",
    "config",
    "office",
    "guard",
];

/// What would bring a runtime, a network or files into a pure crate.
const NOT_PURE: &[&str] = &[
    "async-std",
    "getrandom",
    "hyper",
    "libc",
    "mio",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "rustls",
    "smol",
    "tokio",
    "uuid",
];

/// Checks every edge of the workspace, as `cargo metadata --no-deps` lists them.
pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    array(metadata, "packages")
        .iter()
        .filter_map(|package| Some((text(package, "name").strip_prefix("quire-")?, package)))
        .flat_map(|(name, package)| check_package(name, package))
        .collect()
}

fn check_package(name: &str, package: &Value) -> Vec<Finding> {
    if name == ROOT {
        return Vec::new();
    }
    let Some(row) = EDGES.iter().find(|row| row.name == name) else {
        return vec![format!(
            "crates/{name}: not in the table of edges; add its row to xtask/src/tidy/edges.rs"
        )];
    };
    array(package, "dependencies")
        .iter()
        .filter_map(|dependency| check_edge(row, dependency))
        .collect()
}

fn check_edge(row: &Row, dependency: &Value) -> Option<Finding> {
    let to = text(dependency, "name");
    let for_tests = text(dependency, "kind") == "dev";
    let from = row.name;
    match to.strip_prefix("quire-") {
        Some(sibling) => {
            let allowed = row.may_import.contains(&sibling)
                || (for_tests && TESTS_MAY_IMPORT.contains(&sibling));
            (!allowed).then(|| {
                format!(
                    "crates/{from}/Cargo.toml: may not import {to}; it may import [{}]",
                    row.may_import.join(", ")
                )
            })
        }
        None => (!for_tests && PURE.contains(&from) && NOT_PURE.contains(&to)).then(|| {
            format!("crates/{from}/Cargo.toml: `{from}` is pure and may not depend on `{to}`")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workspace(name: &str, to: &str, kind: &Value) -> Value {
        json!({"packages": [
            {"name": name, "dependencies": [{"name": to, "kind": kind}]},
        ]})
    }

    #[test]
    fn edges_outside_the_table_are_found() {
        for (from, to, kind, findings) in [
            ("quire-kernel", "quire-protocol", Value::Null, 0),
            ("quire-kernel", "quire-store", Value::Null, 1),
            ("quire-protocol", "quire-kernel", Value::Null, 1),
            ("quire-kernel", "quire-testkit", json!("dev"), 0),
            ("quire-kernel", "quire-testkit", Value::Null, 1),
            ("quire-headless", "quire-engine", Value::Null, 1),
            ("quire-cli", "quire-engine", Value::Null, 0),
            ("quire-kernel", "tokio", Value::Null, 1),
            ("quire-kernel", "tokio", json!("dev"), 0),
            ("quire-engine", "tokio", Value::Null, 0),
            ("quire-surprise", "quire-protocol", Value::Null, 1),
            ("xtask", "anyhow", Value::Null, 0),
        ] {
            let found = check(&workspace(from, to, &kind));
            assert_eq!(found.len(), findings, "{from} → {to} ({kind}): {found:?}");
        }
    }
}
