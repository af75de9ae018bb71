//! Whether a folder's own settings may count, asked before anything of them does.

use std::io;

use quire_protocol::counted;

use crate::welcome::{line, say};

/// What a person says of a folder's own settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusting {
    /// They count, as they are now.
    Trusted,
    /// They do not count, and are not asked about again while they stay as they are.
    Refused,
    /// They do not count this time.
    Undecided,
}

/// Asks about the settings in this file; `listing` says what they would set, a line each, and marks
/// with `!` what lets commands do more.
pub fn trusting(file: &str, listing: &str) -> io::Result<Trusting> {
    let (all, more) = (
        listing.lines().count(),
        listing.lines().filter(|line| line.starts_with('!')).count(),
    );
    say(&format!(
        "This folder has settings of its own, written by whoever made it: {file}\n\
         They set {}, of which {more} let commands do more. Until you trust them, nothing in \
         them counts.\n",
        counted(all as u64, "thing")
    ))?;
    loop {
        say(
            "  t  trust them, as they are now\n  n  do not, and do not ask again while they stay so\n  \
             l  look at what they would set\n\
             t, n or l (Enter leaves it open): ",
        )?;
        match line()?.as_deref().map(str::trim) {
            Some("t" | "trust") => return Ok(Trusting::Trusted),
            Some("n" | "not" | "no") => return Ok(Trusting::Refused),
            Some("l" | "look") => say(&format!("{}\n\n", listing.trim_end()))?,
            Some("") | None => return Ok(Trusting::Undecided),
            Some(_) => {}
        }
    }
}
