//! Trust in a folder's own settings: in the folder, and in what its file said when it was trusted.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use quire_protocol::RuleAction;
use sha2::{Digest as _, Sha256};

use crate::file::ConfigFile;
use crate::value::Value;

/// An entry of `trusted`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trusted {
    pub(crate) folder: PathBuf,
    /// The hash of its file; none where an earlier version, or a hand, wrote the folder alone.
    pub(crate) sha256: Option<String>,
}

/// How the file of a folder stands with the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is what was trusted.
    Trusted,
    /// It is what was refused.
    Refused,
    /// Its folder was never trusted.
    Unknown,
    /// Its folder is trusted, for another content.
    Changed,
    /// Its folder is trusted without a word on what the file said.
    FolderAlone,
}

impl Standing {
    pub(crate) fn of(
        trusted: &[Trusted],
        refused: &[Trusted],
        folder: &Path,
        bytes: &[u8],
    ) -> Self {
        let hash = fingerprint(bytes);
        let mut refused = refused.iter().filter(|entry| entry.folder == folder);
        // Of two answers that fit, the careful one counts.
        if refused.any(|entry| entry.sha256.as_ref() == Some(&hash)) {
            return Self::Refused;
        }
        let entries = trusted.iter().filter(|entry| entry.folder == folder);
        let standings = entries.map(|entry| match &entry.sha256 {
            Some(sha256) if *sha256 == hash => Self::Trusted,
            Some(_) => Self::Changed,
            None => Self::FolderAlone,
        });
        standings
            .min_by_key(|standing| *standing != Self::Trusted)
            .unwrap_or(Self::Unknown)
    }

    /// Why the file does not count and what to do; none when it does.
    pub(crate) const fn objection(self) -> Option<&'static str> {
        match self {
            Self::Trusted => None,
            Self::Refused => {
                Some("ignored: you do not trust what it says; `quire config trust` lets it count")
            }
            Self::Unknown => Some(
                "ignored: this folder is not trusted; look at the file, and let it count with \
                 `quire config trust`",
            ),
            Self::Changed => Some(
                "ignored: the file has changed since you trusted this folder; look at it, and let \
                 it count again with `quire config trust`",
            ),
            Self::FolderAlone => Some(
                "ignored: this folder is trusted without what its file said, as earlier versions \
                 wrote it; look at the file, and let it count again with `quire config trust`",
            ),
        }
    }
}

/// The hash by which a file is known again.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

impl ConfigFile {
    /// What it sets, in words for a person who has just trusted it.
    #[must_use]
    pub fn summary(&self) -> String {
        match self.listing() {
            none if none.is_empty() => "It sets nothing.\n".to_owned(),
            sets => format!(
                "It sets (what starts programs or lets commands do more is marked with `!`):\n{sets}"
            ),
        }
    }

    /// What it sets, a line each, for a person who is to trust it: what lets commands do more,
    /// starts a program or asks less, begins with `!` and says so.
    #[must_use]
    pub fn listing(&self) -> String {
        let mut text = String::new();
        let mut line = |what: &str, place: &str, loosens: Option<&str>| {
            let (mark, why) = match loosens {
                Some(why) => ('!', format!(": {why}")),
                None => (' ', String::new()),
            };
            let _ = writeln!(text, "{mark} {what}  {place}{why}");
        };
        for (key, value) in &self.values {
            let what = format!("{} = {}", key.name, value.value);
            let loosens = loosens(key.name, &value.value);
            line(&what, &value.source.to_string(), loosens);
        }
        for rule in &self.rules {
            let (action, loosens) = match rule.value.action {
                RuleAction::Allow => (
                    "allow",
                    Some("such commands run without a question, out of the sandbox too"),
                ),
                RuleAction::Ask => ("ask", None),
                RuleAction::Deny => ("deny", None),
            };
            let what = format!("rule: {action} {:?}", rule.value.prefix);
            line(&what, &rule.source.to_string(), loosens);
        }
        for (name, model) in &self.models {
            let what = format!("model {name:?}: {:?} of {:?}", model.name, model.provider);
            line(&what, &model.source.to_string(), None);
        }
        for (name, server) in &self.servers {
            let what = format!("mcp {name}: {}", server.line());
            line(&what, &server.source.to_string(), server.loosens());
        }
        for notice in &self.notices {
            line(&notice.message, &notice.source.to_string(), None);
        }
        text
    }
}

/// What a value lets commands do that they may not do otherwise, or whom it does not ask.
fn loosens(key: &str, value: &Value) -> Option<&'static str> {
    match (key, value) {
        ("sandbox", Value::Text(mode)) if mode == "off" => Some("commands run without a sandbox"),
        ("approvals", Value::Text(mode)) if mode == "never" => Some("you are never asked"),
        (_, Value::List(list)) if list.is_empty() => None,
        ("network.domains", _) => Some("commands may reach these hosts"),
        ("writable", _) => Some("commands may write these folders"),
        ("environment", _) => Some("commands get these variables of yours"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_that_fits_is_enough() {
        let entry = |folder: &str, sha256: Option<&str>| Trusted {
            folder: folder.into(),
            sha256: sha256.map(|said| fingerprint(said.as_bytes())),
        };
        for (trusted, standing) in [
            (vec![], Standing::Unknown),
            (vec![entry("/b", Some("x"))], Standing::Unknown),
            (vec![entry("/a", None)], Standing::FolderAlone),
            (vec![entry("/a", Some("y"))], Standing::Changed),
            (
                vec![
                    entry("/a", None),
                    entry("/a", Some("y")),
                    entry("/a", Some("x")),
                ],
                Standing::Trusted,
            ),
        ] {
            assert_eq!(
                Standing::of(&trusted, &[], Path::new("/a"), b"x"),
                standing,
                "{trusted:?}"
            );
            let refused = [entry("/a", Some("x"))];
            assert_eq!(
                Standing::of(&trusted, &refused, Path::new("/a"), b"x"),
                Standing::Refused
            );
            assert_ne!(
                Standing::of(&trusted, &refused, Path::new("/a"), b"z"),
                Standing::Refused
            );
        }
    }
}
