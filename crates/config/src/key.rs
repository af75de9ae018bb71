//! The keys there are, as data: name, what it takes, what it is for.

/// A setting that has one value.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name, with dots for tables: `network.domains`.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What it is for, in one line.
    pub help: &'static str,
    /// Its value when nobody sets it, as text; empty when it is then unset.
    pub default: &'static str,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text but an empty one.
    Text,
    /// A name, of which the case does not matter, or `none`.
    Name,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number of at least 1.
    Count,
    /// A whole number of at least 1, or `none`.
    Limit,
    /// A whole number of at least the first and at most the second.
    Between(u32, u32),
    /// A time: seconds, or `90s`, `15m`, `2h`; or `none`.
    Time,
    /// An amount of dollars, at most 12 decimals, or `none`.
    Money,
    /// `true` or `false`.
    Toggle,
    /// A list of domains: `example.org`, `*.example.org`, `*`.
    Domains,
    /// A list of folders, absolute or from `~/`.
    Folders,
    /// A list of names of environment variables.
    Names,
}

impl Kind {
    /// What it takes, in words.
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Self::Text => "a text in quotes".to_owned(),
            Self::Name => "a name in quotes, or none".to_owned(),
            Self::Choice(words) => format!("one of \"{}\"", words.join("\", \"")),
            Self::Count => "a whole number of at least 1".to_owned(),
            Self::Limit => "a whole number of at least 1, or none".to_owned(),
            Self::Between(least, most) => format!("a whole number from {least} to {most}"),
            Self::Time => "a time of at least a second like 90, 90s, 15m or 2h, or none".to_owned(),
            Self::Money => "a positive amount in dollars like 2.50, or none".to_owned(),
            Self::Toggle => "true or false".to_owned(),
            Self::Domains => {
                "a list of domains like [\"example.org\", \"*.example.org\"]".to_owned()
            }
            Self::Folders => {
                "a list of folders, absolute or from ~/, like [\"~/shared\"]".to_owned()
            }
            Self::Names => "a list of variable names like [\"JAVA_HOME\"]".to_owned(),
        }
    }
}

const fn key(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Key {
    Key {
        name,
        kind,
        help,
        default,
    }
}

/// Every key with one value, in the order in which they are shown. Besides them a file may hold
/// `trusted`, `[[rule]]`, `[providers.NAME]`, `[models.NAME]` and `[mcp.NAME]`.
pub const KEYS: &[Key] = &[
    key(
        "model",
        Kind::Text,
        "",
        "the model: provider/name, or a name from [models]",
    ),
    key(
        "effort",
        Kind::Choice(&["low", "medium", "high", "xhigh", "max"]),
        "high",
        "how hard to think",
    ),
    key(
        "sandbox",
        Kind::Choice(&["read-only", "workspace-write", "off"]),
        "workspace-write",
        "what commands may do",
    ),
    key(
        "approvals",
        Kind::Choice(&["ask", "auto", "never"]),
        "auto",
        "when a person is asked",
    ),
    key(
        "effort_choice",
        Kind::Choice(&["auto", "fixed"]),
        "auto",
        "whether the effort moves from step to step, for models that do not think adaptively",
    ),
    key(
        "follow_up",
        Kind::Choice(&["steer", "queue"]),
        "steer",
        "what Enter does on the screen while a turn works; Tab does the other",
    ),
    key("budget_usd", Kind::Money, "", "money for a whole session"),
    key(
        "budget_tokens",
        Kind::Limit,
        "",
        "tokens for a whole session, prompts and answers together",
    ),
    key("budget_turns", Kind::Limit, "", "turns of a whole session"),
    key(
        "budget_time_s",
        Kind::Time,
        "",
        "time of work for a whole session, in seconds",
    ),
    key(
        "region",
        Kind::Name,
        "",
        "where inference must happen, like us; anything else is refused",
    ),
    key(
        "context.compact_at",
        Kind::Count,
        "90",
        "when the context is compacted: percent of what fits, or above 100 tokens",
    ),
    key(
        "context.keep",
        Kind::Count,
        "20000",
        "tokens of the newest steps that a compaction leaves as they are",
    ),
    key(
        "context.compaction",
        Kind::Choice(&["own", "provider", "provider-threshold", "off"]),
        "own",
        "who compacts: quire, the provider when quire asks, the provider by itself, or nobody",
    ),
    key(
        "max_turns",
        Kind::Count,
        "500",
        "model requests in one turn",
    ),
    key(
        "timeout_s",
        Kind::Time,
        "",
        "time for a whole run, in seconds",
    ),
    key(
        "mcp_wait_s",
        Kind::Between(0, 600),
        "5",
        "how long `quire exec` waits for its MCP servers before its first request, in seconds",
    ),
    key(
        "network.domains",
        Kind::Domains,
        "",
        "domains that commands may reach",
    ),
    key(
        "writable",
        Kind::Folders,
        "",
        "folders besides the workspace that commands may write",
    ),
    key(
        "environment",
        Kind::Names,
        "",
        "variables that commands get besides the usual ones",
    ),
    key(
        "instructions",
        Kind::Toggle,
        "true",
        "whether AGENTS.md and CLAUDE.md are read",
    ),
    key(
        "checkpoints",
        Kind::Toggle,
        "true",
        "whether changes of files are kept, so that they can be taken back",
    ),
    key(
        "theme",
        Kind::Choice(&["auto", "dark", "light", "ansi16", "none"]),
        "auto",
        "the colours of the screen",
    ),
    key(
        "screen",
        Kind::Choice(&["inline", "full"]),
        "inline",
        "whether the screen is the last rows of the terminal, or all of it",
    ),
    key(
        "thinking_shown",
        Kind::Toggle,
        "false",
        "whether the screen shows all that is thought, not its first sentence",
    ),
    key(
        "progress_s",
        Kind::Count,
        "1",
        "how often the screen says for how long it has worked, in seconds",
    ),
    key(
        "notify",
        Kind::Choice(&["off", "bell", "desktop", "both"]),
        "off",
        "how the screen tells you, while you look elsewhere, that it needs you or that a turn is over",
    ),
    key(
        "store.durability",
        Kind::Choice(&["second", "commit"]),
        "second",
        "what survives a power cut: all but the last second, or every commit",
    ),
];

/// The key of a name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The environment variable that sets a key: `QUIRE_` and its name in capitals.
pub(crate) fn variable(key: &Key) -> String {
    format!("QUIRE_{}", key.name.replace('.', "_").to_uppercase())
}

/// The candidate nearest to a mistyped name, when it is near enough to be meant.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if name.len() > 64 {
        return None;
    }
    let most = name.chars().count().div_ceil(3);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edit distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_what_was_meant() {
        let names = || KEYS.iter().map(|key| key.name);
        for (typed, meant) in [
            ("modle", Some("model")),
            ("max_turn", Some("max_turns")),
            ("aproval", Some("approvals")),
            ("budget", None),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, names()), meant, "{typed}");
        }
    }

    #[test]
    fn every_key_with_a_table_can_be_written_in_a_file() {
        for (table, name) in KEYS.iter().filter_map(|key| key.name.split_once('.')) {
            let text = format!("[{table}]\n{name} = 1\n");
            let said = crate::parse(crate::Layer::User, "config.toml".as_ref(), text.as_bytes());
            let said = format!("{said:?}");
            assert!(
                !said.contains("there is no setting"),
                "{table}.{name}: {said}"
            );
        }
    }

    #[test]
    fn the_guide_shows_every_key() {
        let page = include_str!("../../../docs/guide/settings.md");
        for key in KEYS {
            let (table, name) = key.name.split_once('.').unwrap_or(("", key.name));
            let line = format!("    {name} = ");
            let shown = page.split("\n    [").any(|part| {
                let of = part.split_once("]\n").map_or("", |(table, _)| table);
                let of = if part.starts_with('#') { "" } else { of };
                of == table && part.lines().any(|shown| shown.starts_with(&line))
            });
            assert!(shown, "{}", key.name);
        }
    }

    #[test]
    fn every_default_fits_its_kind() {
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            assert!(
                crate::value::from_text(key.kind, key.default).is_ok(),
                "{}",
                key.name
            );
        }
    }
}
