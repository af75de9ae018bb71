//! Where a face comes from.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where a face comes from: what it starts gets its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The folder that is worked in.
    pub folder: PathBuf,
    /// The environment variables.
    pub environment: BTreeMap<String, String>,
}

/// Variables that only tell which terminal a process is in.
const OF_TERMINAL: [&str; 11] = [
    "_",
    "COLUMNS",
    "GPG_TTY",
    "LINES",
    "OLDPWD",
    "PWD",
    "SHLVL",
    "STY",
    "TMUX",
    "WINDOWID",
    "XDG_SESSION_ID",
];
/// How such variables begin.
const BEGIN_OF_TERMINAL: [&str; 7] = [
    "ITERM_", "KITTY_", "SSH_C", "SSH_TTY", "TERM_", "TMUX_", "WEZTERM_",
];

impl Origin {
    /// A face's surroundings. What only tells which terminal it is in is left out, so that sessions
    /// from two terminals share what they can.
    #[must_use]
    pub fn new(folder: PathBuf, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let kept = |(name, _): &(String, String)| {
            let begins = BEGIN_OF_TERMINAL
                .iter()
                .any(|begin| name.starts_with(begin));
            !begins && !OF_TERMINAL.contains(&name.as_str())
        };
        Self {
            folder,
            environment: variables.into_iter().filter(kept).collect(),
        }
    }
}
