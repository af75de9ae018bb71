//! Values of keys: from TOML, from text, for a person.

use std::fmt;

use quire_protocol::Money;
use toml_edit::Value as Toml;

use crate::key::Kind;
use crate::times::seconds;

/// What is written where something is not to be limited, or has no name.
pub(crate) const NONE: &str = "none";

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nobody set it and it has no default.
    Unset,
    /// A text or one of a choice.
    Text(String),
    /// A whole number.
    Count(u32),
    /// Dollars.
    Money(Money),
    /// Yes or no.
    Toggle(bool),
    /// A list of texts.
    List(Vec<String>),
}

/// What survives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// All but what the last second recorded.
    Second,
    /// Everything that was committed.
    Commit,
}

impl fmt::Display for Value {
    /// As it is written in a file; `unset` when it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => f.write_str("unset"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Money(money) => f.write_str(&money.rounded(12)),
            Self::Toggle(on) => write!(f, "{on}"),
            Self::List(list) => write!(f, "{list:?}"),
        }
    }
}

/// A value written as text, in the environment or on the command line. Lists have commas, or are
/// written as in a file.
pub(crate) fn from_text(kind: Kind, text: &str) -> Result<Value, String> {
    let text = text.trim();
    let wrong = || format!("`{text}` does not fit; expected {}", kind.expected());
    match kind {
        Kind::Text | Kind::Choice(_) => words(kind, text).ok_or_else(wrong),
        Kind::Count => text
            .parse()
            .ok()
            .filter(|count| *count >= 1)
            .map(Value::Count)
            .ok_or_else(wrong),
        Kind::Between(least, most) => text
            .parse()
            .ok()
            .filter(|count| (least..=most).contains(count))
            .map(Value::Count)
            .ok_or_else(wrong),
        Kind::Name => Ok(name(text)),
        Kind::Limit => limit(text).ok_or_else(wrong),
        Kind::Time => time(text).ok_or_else(wrong),
        Kind::Money => money(text).ok_or_else(wrong),
        Kind::Toggle => match text {
            "true" | "1" | "yes" => Ok(Value::Toggle(true)),
            "false" | "0" | "no" => Ok(Value::Toggle(false)),
            _ => Err(wrong()),
        },
        Kind::Domains | Kind::Folders | Kind::Names if text.starts_with('[') => text
            .parse::<Toml>()
            .ok()
            .and_then(|toml| from_toml(kind, &toml, text).ok())
            .ok_or_else(wrong),
        Kind::Domains | Kind::Folders | Kind::Names => text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(|entry| entry_fits(kind, entry).then(|| entry.to_owned()))
            .collect::<Option<_>>()
            .map(Value::List)
            .ok_or_else(wrong),
    }
}

/// A value as a file has it. `raw` is how its text looks there, which keeps decimals exact.
pub(crate) fn from_toml(kind: Kind, toml: &Toml, raw: &str) -> Result<Value, String> {
    let value = match (kind, toml) {
        (Kind::Text | Kind::Choice(_), Toml::String(text)) => words(kind, text.value()),
        (Kind::Name, Toml::String(text)) => Some(name(text.value())),
        (Kind::Limit, Toml::String(text)) => limit(text.value()),
        (Kind::Time, Toml::String(text)) => time(text.value()),
        (Kind::Count | Kind::Limit | Kind::Time, Toml::Integer(number)) => {
            u32::try_from(*number.value())
                .ok()
                .filter(|count| *count >= 1)
                .map(Value::Count)
        }
        (Kind::Between(least, most), Toml::Integer(number)) => u32::try_from(*number.value())
            .ok()
            .filter(|count| (least..=most).contains(count))
            .map(Value::Count),
        (Kind::Money, Toml::String(text)) => money(text.value()),
        (Kind::Money, Toml::Integer(_) | Toml::Float(_)) => money(&raw.replace('_', "")),
        (Kind::Toggle, Toml::Boolean(on)) => Some(Value::Toggle(*on.value())),
        (Kind::Domains | Kind::Folders | Kind::Names, Toml::Array(array)) => array
            .iter()
            .map(|entry| {
                let entry = entry.as_str()?;
                entry_fits(kind, entry).then(|| entry.to_owned())
            })
            .collect::<Option<_>>()
            .map(Value::List),
        _ => None,
    };
    value.ok_or_else(|| format!("expected {}", kind.expected()))
}

fn name(text: &str) -> Value {
    match text.trim().to_lowercase() {
        none if none.is_empty() || none == NONE => Value::Unset,
        name => Value::Text(name),
    }
}

fn limit(text: &str) -> Option<Value> {
    if text == NONE {
        return Some(Value::Unset);
    }
    let count = text.replace('_', "").parse().ok();
    count.filter(|count| *count >= 1).map(Value::Count)
}

fn time(text: &str) -> Option<Value> {
    if text == NONE {
        return Some(Value::Unset);
    }
    let seconds = u32::try_from(seconds(text).ok()?).ok();
    seconds.filter(|seconds| *seconds >= 1).map(Value::Count)
}

fn words(kind: Kind, text: &str) -> Option<Value> {
    let fits = match kind {
        Kind::Choice(words) => words.contains(&text),
        _ => !text.is_empty(),
    };
    fits.then(|| Value::Text(text.to_owned()))
}

pub(crate) fn dollars(text: &str) -> Option<Money> {
    text.parse::<Money>()
        .ok()
        .filter(|money| *money >= Money::ZERO)
}

/// An amount, or `none` for no limit: that takes off what a lower layer sets.
fn money(text: &str) -> Option<Value> {
    if text == NONE {
        return Some(Value::Text(text.to_owned()));
    }
    dollars(text).map(Value::Money)
}

pub(crate) fn entry_fits(kind: Kind, entry: &str) -> bool {
    match kind {
        Kind::Domains => entry == "*" || domain_fits(entry.strip_prefix("*.").unwrap_or(entry)),
        Kind::Folders => entry.starts_with('/') || entry == "~" || entry.starts_with("~/"),
        _ => {
            !entry.is_empty()
                && !entry.starts_with(|c: char| c.is_ascii_digit())
                && entry.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        }
    }
}

/// A host name: labels of letters, digits and hyphens. No scheme, no port, no path.
pub(crate) fn domain_fits(domain: &str) -> bool {
    domain.len() <= 253
        && domain.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_or_refused() {
        let choice = Kind::Choice(&["ask", "auto"]);
        for (kind, text, expected) in [
            (Kind::Text, "openai/x", Some("\"openai/x\"")),
            (Kind::Text, "  ", None),
            (choice, "auto", Some("\"auto\"")),
            (choice, "Auto", None),
            (Kind::Count, "12", Some("12")),
            (Kind::Count, "0", None),
            (Kind::Count, "-1", None),
            (Kind::Count, "99999999999", None),
            (Kind::Between(0, 600), "0", Some("0")),
            (Kind::Between(0, 600), "600", Some("600")),
            (Kind::Between(0, 600), "601", None),
            (Kind::Between(0, 600), "-1", None),
            (Kind::Between(0, 600), "none", None),
            (Kind::Money, "2.5", Some("2.50")),
            (Kind::Money, "none", Some("\"none\"")),
            (Kind::Money, "-2.5", None),
            (Kind::Money, "2,5", None),
            (Kind::Toggle, "yes", Some("true")),
            (Kind::Toggle, "maybe", None),
            (
                Kind::Domains,
                "example.org, *.example.org",
                Some("[\"example.org\", \"*.example.org\"]"),
            ),
            (
                Kind::Domains,
                "[\"example.org\", '*.example.org',]",
                Some("[\"example.org\", \"*.example.org\"]"),
            ),
            (Kind::Domains, "[]", Some("[]")),
            (Kind::Domains, "[example.org]", None),
            (Kind::Domains, "[1]", None),
            (Kind::Domains, "[\"example.org:443\"]", None),
            (Kind::Domains, "[\"example.org\"", None),
            (Kind::Domains, "https://example.org", None),
            (Kind::Domains, "example.org:443", None),
            (Kind::Domains, "", Some("[]")),
            (Kind::Folders, "/a,~/b", Some("[\"/a\", \"~/b\"]")),
            (Kind::Folders, "a", None),
            (Kind::Names, "JAVA_HOME", Some("[\"JAVA_HOME\"]")),
            (Kind::Names, "A=B", None),
        ] {
            let read = from_text(kind, text).ok().map(|value| value.to_string());
            assert_eq!(read.as_deref(), expected, "{kind:?} {text:?}");
        }
    }
}
