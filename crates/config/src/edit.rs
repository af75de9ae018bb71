//! Changing the user's file, as text in and text out. Comments and order are kept.

use std::path::Path;

use quire_protocol::{Money, RuleAction};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value as Toml};

use crate::error::Error;
use crate::file::{parse, trusted_entry};
use crate::key::{self, KEYS, Key};
use crate::source::Layer;
use crate::trust::fingerprint;
use crate::value::{self, Value};

/// The text of a settings file with a key set. `value` is written as on the command line. `path`
/// is for errors: a file that cannot be read is not changed.
pub fn set(path: &Path, text: &str, key: &str, value: &str) -> Result<String, Error> {
    let known = known(key)?;
    let value = value::from_text(known.kind, value).map_err(|message| Error::Key {
        key: key.to_owned(),
        message,
    })?;
    let mut document = editable(path, text)?;
    place(&mut document, known.name, toml(&value));
    Ok(document.to_string())
}

/// The text of a settings file to which another one is added: what that sets, and nothing else, changes.
pub(crate) fn add(path: &Path, text: &str, other: &str) -> Result<String, Error> {
    if text.trim().is_empty() {
        return Ok(other.to_owned());
    }
    let mut document = editable(path, text)?;
    merge(document.as_table_mut(), editable(path, other)?.as_table());
    Ok(document.to_string())
}

fn merge(table: &mut Table, other: &Table) {
    for (key, item) in other {
        match (table.get_mut(key).and_then(Item::as_table_mut), item) {
            (Some(inner), Item::Table(other)) => merge(inner, other),
            _ => {
                table.insert(key, item.clone());
            }
        }
    }
}

/// The text of a settings file without a key.
pub fn unset(path: &Path, text: &str, key: &str) -> Result<String, Error> {
    let known = known(key)?;
    let mut document = editable(path, text)?;
    match known.name.split_once('.') {
        None => {
            document.remove(known.name);
        }
        Some((section, name)) => {
            if let Some(table) = document.get_mut(section).and_then(Item::as_table_like_mut) {
                table.remove(name);
            }
        }
    }
    Ok(document.to_string())
}

/// The text of a settings file that trusts a folder (absolute, with no link in it) for as long as
/// its own settings file holds just these bytes.
pub fn trust(path: &Path, text: &str, folder: &Path, bytes: &[u8]) -> Result<String, Error> {
    remember(path, text, ("trusted", "refused"), folder, bytes)
}

/// The text of a settings file that remembers that a folder's own settings, as they are, are not
/// trusted.
pub fn refuse(path: &Path, text: &str, folder: &Path, bytes: &[u8]) -> Result<String, Error> {
    remember(path, text, ("refused", "trusted"), folder, bytes)
}

/// The text of a settings file with a rule that allows commands which begin so; as it is where that
/// is the last word on them already.
pub fn allow(path: &Path, text: &str, prefix: &[String]) -> Result<String, Error> {
    let known = parse(Layer::User, path, text.as_bytes())?;
    let mut same = known.rules.iter().rev().map(|rule| &rule.value);
    let last = same.find(|rule| rule.prefix == prefix);
    if last.is_some_and(|rule| rule.action == RuleAction::Allow) {
        return Ok(text.to_owned());
    }
    let mut document = editable(path, text)?;
    let words: Array = prefix.iter().map(String::as_str).collect();
    let rules = document
        .entry("rule")
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    if let Some(array) = rules.as_array_mut() {
        let mut rule = InlineTable::new();
        rule.insert("prefix", words.into());
        rule.insert("action", "allow".into());
        array.push(rule);
    } else if let Some(tables) = rules.as_array_of_tables_mut() {
        let mut rule = Table::new();
        rule.insert("prefix", toml_edit::value(words));
        rule.insert("action", toml_edit::value("allow"));
        tables.push(rule);
    }
    Ok(document.to_string())
}

/// Puts a folder into one list and takes it from the other.
fn remember(
    path: &Path,
    text: &str,
    (list, other): (&str, &str),
    folder: &Path,
    bytes: &[u8],
) -> Result<String, Error> {
    let folder = folder.to_str().filter(|folder| folder.starts_with('/'));
    let folder = folder
        .ok_or_else(|| trusted("only an absolute path in UTF-8 can be trusted".to_owned()))?;
    let mut document = editable(path, text)?;
    if let Some(array) = document.get_mut(other).and_then(Item::as_array_mut) {
        array.retain(|entry| !names(entry, Path::new(folder)));
    }
    let item = document
        .entry(list)
        .or_insert_with(|| toml_edit::value(Array::new()));
    if let Some(array) = item.as_array_mut() {
        array.retain(|entry| !names(entry, Path::new(folder)));
        let mut entry = InlineTable::new();
        entry.insert("folder", folder.into());
        entry.insert("sha256", fingerprint(bytes).into());
        array.push(entry);
    }
    Ok(document.to_string())
}

/// The text of a settings file that no longer trusts a folder. Fails when it does not anyway.
pub fn untrust(path: &Path, text: &str, folder: &Path) -> Result<String, Error> {
    let mut document = editable(path, text)?;
    let array = document.get_mut("trusted").and_then(Item::as_array_mut);
    let before = array.as_ref().map_or(0, |array| array.len());
    let after = array.map_or(0, |array| {
        array.retain(|entry| !names(entry, folder));
        array.len()
    });
    if before == after {
        let folder = quire_protocol::spelled(folder);
        return Err(trusted(format!(
            "{folder} is not trusted: there is nothing to take back"
        )));
    }
    Ok(document.to_string())
}

/// Whether an entry of `trusted` is about a folder.
fn names(entry: &Toml, folder: &Path) -> bool {
    trusted_entry(entry).is_some_and(|entry| entry.folder == folder)
}

fn trusted(message: String) -> Error {
    Error::Key {
        key: "trusted".to_owned(),
        message,
    }
}

fn known(name: &str) -> Result<&'static Key, Error> {
    key::find(name).ok_or_else(|| {
        let near = key::nearest(name, KEYS.iter().map(|key| key.name));
        let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        Error::Key {
            key: name.to_owned(),
            message: format!("there is no such setting{hint}"),
        }
    })
}

/// A document that can be changed. Parsing it our way first means that errors have their places
/// and that every section is a table.
fn editable(path: &Path, text: &str) -> Result<DocumentMut, Error> {
    parse(Layer::User, path, text.as_bytes())?;
    text.parse()
        .map_err(|error: toml_edit::TomlError| Error::File {
            path: path.to_path_buf(),
            line: 1,
            column: 1,
            message: error.message().to_owned(),
        })
}

fn place(document: &mut DocumentMut, name: &str, value: Toml) {
    let Some((section, name)) = name.split_once('.') else {
        put(document.as_table_mut(), name, value);
        return;
    };
    let item = document
        .entry(section)
        .or_insert_with(|| Item::Table(Table::new()));
    if let Some(table) = item.as_table_like_mut() {
        put(table, name, value);
    }
}

/// Sets a value; what stood around the old one (a comment behind it) stays.
fn put(table: &mut dyn toml_edit::TableLike, name: &str, mut value: Toml) {
    match table.get_mut(name).and_then(Item::as_value_mut) {
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => {
            table.insert(name, Item::Value(value));
        }
    }
}

fn toml(value: &Value) -> Toml {
    match value {
        // Only what may be `none` is read as unset.
        Value::Unset => Toml::from(value::NONE),
        Value::Text(text) => Toml::from(text.as_str()),
        Value::Count(count) => Toml::from(i64::from(*count)),
        Value::Money(money) => dollars(*money),
        Value::Toggle(on) => Toml::from(*on),
        Value::List(list) => Toml::Array(list.iter().map(String::as_str).collect()),
    }
}

/// Written as a text, so that no float comes near it.
fn dollars(money: Money) -> Toml {
    Toml::from(money.rounded(12))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const FILE: &str = "\
# My settings.
model = \"anthropic/a\" # the good one

[network]
# needed for builds
domains = [\"example.org\"]
";

    fn check(edited: Result<String, Error>, expected: &Expect) {
        expected.assert_eq(&edited.unwrap_or_else(|error| error.to_string()));
    }

    #[test]
    fn what_is_added_changes_only_what_it_sets() {
        let before = "# mine\neffort = \"low\"  # cheap\nmodel = \"a/b\"\n\n[providers.local]\nkey = \"k\"\nbase_url = \"http://old/v1\"\ndialect = \"chat\"\n";
        let other = "model = \"local/m\"\n\n[providers.local]\nbase_url = \"http://h/v1\"\ndialect = \"chat\"\n";
        let path = Path::new("/c.toml");
        let after = add(path, before, other).unwrap();
        for kept in [
            "# mine\neffort = \"low\"  # cheap\n",
            "key = \"k\"",
            "model = \"local/m\"",
            "base_url = \"http://h/v1\"",
        ] {
            assert!(after.contains(kept), "{after}");
        }
        assert!(!after.contains("a/b"), "{after}");
        assert_eq!(after.matches("[providers").count(), 1, "{after}");
        assert_eq!(add(path, " \n", other).unwrap(), other);
        assert!(add(path, "effort = ", other).is_err());
    }

    #[test]
    fn comments_stay() {
        let path = Path::new("config.toml");
        check(
            set(path, FILE, "model", "openai/b"),
            &expect![[r#"
                # My settings.
                model = "openai/b" # the good one

                [network]
                # needed for builds
                domains = ["example.org"]
            "#]],
        );
        check(
            set(path, FILE, "network.domains", "a.org,b.org"),
            &expect![[r#"
                # My settings.
                model = "anthropic/a" # the good one

                [network]
                # needed for builds
                domains = ["a.org", "b.org"]
            "#]],
        );
        check(
            set(path, "", "store.durability", "commit"),
            &expect![[r#"
                [store]
                durability = "commit"
            "#]],
        );
        check(
            set(path, FILE, "budget_usd", "2.5"),
            &expect![[r#"
                # My settings.
                model = "anthropic/a" # the good one
                budget_usd = "2.50"

                [network]
                # needed for builds
                domains = ["example.org"]
            "#]],
        );
        check(
            unset(path, FILE, "model"),
            &expect![[r#"

                [network]
                # needed for builds
                domains = ["example.org"]
            "#]],
        );
    }

    #[test]
    fn trust_is_added_renewed_and_taken_back() {
        let path = Path::new("config.toml");
        let folder = Path::new("/home/me/project");
        let earlier = "trusted = [\"/other\", \"/home/me/project\"] # mine\n";
        let once = trust(path, earlier, folder, b"effort = \"low\"\n").unwrap();
        check(
            Ok(once.clone()),
            &expect![[r#"
                trusted = ["/other", { folder = "/home/me/project", sha256 = "e6245de210a0f1f5d27808d8cb45a9cc04798b688ca05bac72e1980ed53c9426" }] # mine
            "#]],
        );
        assert_eq!(
            trust(path, &once, folder, b"effort = \"low\"\n").unwrap(),
            once
        );
        let renewed = trust(path, &once, folder, b"").unwrap();
        assert_eq!(renewed.matches("sha256").count(), 1, "{renewed}");
        assert_ne!(renewed, once);
        check(
            untrust(path, &renewed, folder),
            &expect![[r#"
                trusted = ["/other"] # mine
            "#]],
        );
        check(
            untrust(path, "", folder),
            &expect!["trusted: /home/me/project is not trusted: there is nothing to take back"],
        );
        assert!(trust(path, "", Path::new("relative"), b"").is_err());
    }

    #[test]
    fn a_rule_is_added_once_and_read_back() {
        let path = Path::new("config.toml");
        let prefix = ["git".to_owned(), "push \"x\"".to_owned()];
        let once = allow(path, FILE, &prefix).unwrap();
        check(
            Ok(once.clone()),
            &expect![[r#"
            # My settings.
            model = "anthropic/a" # the good one

            [network]
            # needed for builds
            domains = ["example.org"]

            [[rule]]
            prefix = ["git", 'push "x"']
            action = "allow"
        "#]],
        );
        assert_eq!(allow(path, &once, &prefix).unwrap(), once);
        for earlier in [
            "",
            FILE,
            "rule = [{ prefix = [\"git\"], action = \"ask\" }] # mine\n",
            "[[rule]]\nprefix = [\"git\", 'push \"x\"']\naction = \"deny\"\n\n[network]\ndomains = []\n",
        ] {
            let text = allow(path, earlier, &prefix).unwrap();
            let rules = parse(Layer::User, path, text.as_bytes()).unwrap().rules;
            let rule = &rules.last().unwrap().value;
            assert_eq!(rule.prefix, prefix, "{text}");
            assert_eq!(rule.action, RuleAction::Allow, "{text}");
        }
        assert!(allow(path, "rule = 1", &prefix).is_err());
    }

    #[test]
    fn what_is_set_is_read_back() {
        use crate::key::Kind;
        let path = Path::new("config.toml");
        for key in KEYS {
            let samples: &[&str] = match key.kind {
                Kind::Choice(words) => words,
                Kind::Text => &[
                    "none",
                    "a/b",
                    "two words",
                    r#""quoted" \ back"#,
                    "# x",
                    "ü\u{1}",
                ],
                Kind::Name => &["none", "", "US", "us"],
                Kind::Count => &["1", "4294967295"],
                Kind::Between(..) => &["0", "7", "600"],
                Kind::Limit => &["none", "1", "4294967295", "1_000"],
                Kind::Time => &["none", "1", "90s", "15m", "2h"],
                Kind::Money => &["none", "0", "2.5", "0.000000000001", "1000000"],
                Kind::Toggle => &["true", "false", "yes", "no", "1", "0"],
                Kind::Domains => &["", "[]", "*", "a.org,*.b.org", "['a.org']"],
                Kind::Folders => &["", "~", "/a b,~/c"],
                Kind::Names => &["", "A_1,b"],
            };
            for sample in samples.iter().chain([&key.default]) {
                let Ok(meant) = value::from_text(key.kind, sample) else {
                    // Only the empty default of what is then unset.
                    assert_eq!(*sample, "", "{}", key.name);
                    continue;
                };
                let text = set(path, FILE, key.name, sample).unwrap();
                let file = parse(Layer::User, path, text.as_bytes());
                let file = file.unwrap_or_else(|error| panic!("{} {sample}: {error}", key.name));
                let read = file.values.iter().find(|(found, _)| found.name == key.name);
                let read = read.map(|(_, sourced)| &sourced.value);
                assert_eq!(read, Some(&meant), "{} {sample}", key.name);
            }
        }
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        let path = Path::new("config.toml");
        for (text, key, value, words) in [
            ("", "modle", "x", "did you mean `model`?"),
            ("", "max_turns", "0", "at least 1"),
            ("max_turns = [", "max_turns", "1", "config.toml:1:"),
            ("network = 1", "network.domains", "a", "expected a table"),
        ] {
            let error = set(path, text, key, value).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
