//! Licences and sources of every package in the tree, against `deny.toml`. Holds what matters most
//! of `cargo deny` on machines that do not have it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use toml_edit::{DocumentMut, Item};

use super::{Finding, spdx};
use crate::cargo::{self, array, text};

/// Checks every package that any platform may compile.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let rules = fs::read_to_string(root.join("deny.toml")).context("deny.toml")?;
    let rules: DocumentMut = rules.parse().context("deny.toml")?;
    let allowed = strings(&rules["licenses"]["allow"]);
    let registries = strings(&rules["sources"]["allow-registry"]);
    let metadata = cargo::metadata(&["--locked"])?;
    Ok(array(&metadata, "packages")
        .iter()
        .filter_map(|package| check_package(package, &allowed, &registries))
        .collect())
}

fn strings(item: &Item) -> Vec<String> {
    item.as_array()
        .into_iter()
        .flatten()
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

fn check_package(package: &Value, allowed: &[String], registries: &[String]) -> Option<Finding> {
    let name = format!("{} {}", text(package, "name"), text(package, "version"));
    let licence = text(package, "license");
    if !spdx::satisfied(licence, allowed) {
        return Some(format!(
            "{name}: licence `{licence}` is not allowed; see [licenses] in deny.toml"
        ));
    }
    let source = package["source"].as_str()?;
    let known = source
        .strip_prefix("registry+")
        .is_some_and(|url| registries.iter().any(|registry| registry == url));
    (!known).then(|| format!("{name}: comes from `{source}`; see [sources] in deny.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn licence_and_source_are_both_held() {
        let allowed = ["MIT".to_owned()];
        let registries = ["https://example.org/index".to_owned()];
        let check = |licence: Value, source: Value| {
            let package =
                json!({"name": "a", "version": "1.0.0", "license": licence, "source": source});
            check_package(&package, &allowed, &registries)
        };
        let index = json!("registry+https://example.org/index");
        assert_eq!(check(json!("MIT"), index.clone()), None);
        assert_eq!(check(json!("MIT"), Value::Null), None);
        assert!(check(json!("GPL-3.0"), index.clone()).is_some());
        assert!(check(Value::Null, index).is_some());
        assert!(check(json!("MIT"), json!("git+https://example.org/a")).is_some());
    }
}
