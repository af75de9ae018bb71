//! The names by which models call the tools of servers. Pure.

use std::collections::HashSet;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What names of tools may have at most.
const LONGEST: usize = 64;
/// What the part that names the server may have at most.
const LONGEST_SERVER: usize = 32;
/// Digits of a hash.
const DIGITS: usize = 8;

/// What the names of the tools of these servers begin with, `mcp__SERVER__` each, all different. Within
/// `SERVER` no two underscores follow each other and none is at its end, so that one cannot be read as
/// another with a longer name.
pub(crate) fn prefixes<'a>(servers: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    servers
        .into_iter()
        .map(|server| {
            let word = server_word(server);
            let unlike = |seed: &str| hashed(&word, seed, LONGEST_SERVER);
            let word = if word.len() <= LONGEST_SERVER {
                word.clone()
            } else {
                unlike(server)
            };
            format!("mcp__{}__", unique(word, server, unlike, &mut taken))
        })
        .collect()
}

/// The names of a server's tools, in the same order; none for one that has the name of an earlier one.
pub(crate) fn names(prefix: &str, tools: &[&str]) -> Vec<Option<String>> {
    let mut seen = HashSet::new();
    let mut taken: HashSet<String> = tools
        .iter()
        .map(|tool| format!("{prefix}{tool}"))
        .filter(|name| is_valid(name))
        .collect();
    tools
        .iter()
        .map(|tool| {
            if !seen.insert(*tool) {
                return None;
            }
            let plain = format!("{prefix}{tool}");
            if is_valid(&plain) && !tool.is_empty() {
                return Some(plain);
            }
            let name = format!("{prefix}{}", word(tool));
            let unlike = |seed: &str| hashed(&name, seed, LONGEST);
            let first = if name.len() <= LONGEST && !tool.is_empty() {
                name.clone()
            } else {
                unlike(tool)
            };
            Some(unique(first, tool, unlike, &mut taken))
        })
        .collect()
}

/// A name that is not taken yet, which it then is.
fn unique(
    first: String,
    whole: &str,
    unlike: impl Fn(&str) -> String,
    taken: &mut HashSet<String>,
) -> String {
    let mut name = first;
    let mut seed = whole.to_owned();
    while !taken.insert(name.clone()) {
        name = unlike(&seed);
        seed.push('+');
    }
    name
}

/// Whether every provider takes this name.
pub(crate) fn is_valid(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len()) && name.chars().all(is_plain)
}

fn is_plain(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '-')
}

fn word(text: &str) -> String {
    let plain = |char| if is_plain(char) { char } else { '_' };
    text.chars().map(plain).collect()
}

fn server_word(server: &str) -> String {
    let word = word(server);
    let parts: Vec<&str> = word.split('_').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return "server".to_owned();
    }
    parts.join("_")
}

/// The name with a hash at its end, cut to that length.
fn hashed(name: &str, whole: &str, longest: usize) -> String {
    let cut = &name[..name.len().min(longest - DIGITS - 1)];
    let cut = cut.strip_suffix('_').unwrap_or(cut);
    let mut hashed = format!("{cut}_");
    for byte in Sha256::digest(whole).iter().take(DIGITS / 2) {
        let _ = write!(hashed, "{byte:02x}");
    }
    hashed
}

/// The few of these names that are most like this one, the nearest first.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    const FEW: usize = 5;
    let mut by_distance: Vec<(usize, &str)> = known
        .into_iter()
        .map(|known| (distance(name, known), known))
        .collect();
    by_distance.sort_by_key(|(distance, _)| *distance);
    by_distance.truncate(FEW);
    by_distance.into_iter().map(|(_, known)| known).collect()
}

/// How many bytes are to be put in, taken out or changed.
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let one = &one.as_bytes()[..one.len().min(2 * LONGEST)];
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, byte) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, wanted) in other.iter().enumerate() {
            let changed = diagonal + usize::from(byte != wanted);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_tell_server_and_tool() {
        let long = "x".repeat(80);
        let cut = format!("mcp__s__{}_d929cdee", "x".repeat(47));
        for (tools, expected) in [
            (
                &["read", "write-all"][..],
                &["mcp__s__read", "mcp__s__write-all"][..],
            ),
            (&["a.b/c", "größe"], &["mcp__s__a_b_c", "mcp__s__gr__e"]),
            // The one that is called so keeps the name.
            (&["a.b", "a_b"], &["mcp__s__a_b_2e7336dc", "mcp__s__a_b"]),
            (&["a.b", "a/b"], &["mcp__s__a_b", "mcp__s__a_b_c14cddc0"]),
            (&[&long], &[&cut]),
            (&[""], &["mcp__s__e3b0c442"]),
        ] {
            let named: Vec<String> = names("mcp__s__", tools).into_iter().flatten().collect();
            assert_eq!(named, expected, "{tools:?}");
        }
        assert_eq!(
            names("mcp__s__", &["a", "a"]),
            [Some("mcp__s__a".to_owned()), None]
        );
    }

    #[test]
    fn servers_have_prefixes_of_their_own() {
        assert_eq!(
            prefixes(["files", "my.server", "a__b", "_a_b_", "", "Ü"]),
            [
                "mcp__files__",
                "mcp__my_server__",
                "mcp__a_b__",
                "mcp__a_b_3b677105__",
                "mcp__server__",
                "mcp__server_913d7314__",
            ]
        );
    }

    #[test]
    fn the_nearest_names_are_told() {
        let known = [
            "read_file",
            "write_file",
            "list",
            "read_files",
            "move",
            "copy",
        ];
        assert_eq!(nearest("readfile", known)[..2], ["read_file", "read_files"]);
        assert_eq!(nearest("readfile", known).len(), 5);
        assert!(nearest("x", []).is_empty());
    }

    proptest! {
        #[test]
        fn names_are_valid_and_unique_whatever_servers_say(
            servers in prop::collection::vec("[a-b_.]{0,3}|.{0,60}", 1..5),
            tools in prop::collection::vec("[a-b_.]{0,3}|.{0,90}|[a-z]{50,60}[._]?", 0..12),
        ) {
            let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
            let different: HashSet<&str> = tools.iter().copied().collect();
            let prefixes = prefixes(servers.iter().map(String::as_str));
            let mut all = HashSet::new();
            for prefix in &prefixes {
                let names: Vec<String> = names(prefix, &tools).into_iter().flatten().collect();
                prop_assert_eq!(names.len(), different.len());
                for name in names {
                    prop_assert!(is_valid(&name), "{}", name);
                    prop_assert!(all.insert(name.clone()), "{} twice", name);
                }
            }
        }
    }
}
