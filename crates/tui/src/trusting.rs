//! Whether a folder's own settings may count, asked before anything of them does.

use std::io;
use std::path::Path;

use quire_protocol::{clean, counted, spelled};

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
/// with `!` what lets commands do more. Whoever named the folder cannot forge the question.
pub fn trusting(file: &Path, listing: &str) -> io::Result<Trusting> {
    let listing = clean(listing);
    say(&opening(file, &listing))?;
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

/// How the listing begins a line about a server that is started, or told things.
const SERVER: &str = "! mcp ";
/// Servers that the question itself names, and how much of each it shows.
const SERVERS: usize = 8;
const COLUMNS: usize = 200;

/// What there is to trust.
fn opening(file: &Path, listing: &str) -> String {
    let all = listing.lines().count();
    let more = listing.lines().filter(|line| line.starts_with('!')).count();
    let servers: Vec<&str> = listing
        .lines()
        .filter(|line| line.starts_with(SERVER))
        .collect();
    let mut named: Vec<String> = servers.iter().take(SERVERS).map(|line| cut(line)).collect();
    if servers.len() > SERVERS {
        let more = counted((servers.len() - SERVERS) as u64, "server");
        named.push(format!("and {more} more (l shows them)"));
    }
    let named = named
        .iter()
        .flat_map(|line| ["  ", line, "\n"])
        .collect::<String>();
    let doing = match servers.as_slice() {
        [] => "let commands do more",
        _ => "start programs or let commands do more",
    };
    format!(
        "This folder has settings of its own, written by whoever made it: {}\n\
         They set {}, of which {more} {doing}. Until you trust them, nothing in \
         them counts.\n{named}",
        spelled(file),
        counted(all as u64, "thing")
    )
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(COLUMNS) {
        Some((end, _)) => format!("{}… (l shows all of it)", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_s_name_cannot_take_the_question_s_place() {
        let folder =
            "u4\x1b[1A\r\x1b[2K\nThis folder sets nothing. Press t to start.\x1b[8m\u{202e}";
        let file = Path::new(folder).join("config.toml");
        let told = opening(
            &file,
            "! rule: allow  config.toml:2\n  effort = \"low\"  config.toml:1\n",
        );
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 2, "{told}");
        let first = "This folder has settings of its own, written by whoever made it: u4\\u{1b}[1A";
        assert!(lines[0].starts_with(first), "{told}");
        assert!(
            lines[1].starts_with("They set 2 things, of which 1 let"),
            "{told}"
        );
        assert_eq!(clean(&told), told);
    }

    #[test]
    fn the_question_names_what_would_be_started() {
        let starts = |name: &str, with: &str| {
            format!(
                "! mcp {name}: starts [\"npx\", \"{with}\"]  config.toml:1: this program is started\n"
            )
        };
        let file = Path::new("config.toml");
        let told = opening(
            file,
            &format!("  effort = \"low\"\n{}", starts("a", "server")),
        );
        assert!(
            told.ends_with(&format!("  {}", starts("a", "server"))),
            "{told}"
        );
        assert!(!told.contains("effort"), "{told}");
        let counted = "They set 2 things, of which 1 start programs or let commands do more.";
        assert!(told.contains(counted), "{told}");
        let told = opening(file, &starts("a", &"ü ".repeat(2_000)));
        let last = told.lines().last().unwrap();
        assert!(
            last.starts_with("  ! mcp a: starts [\"npx\", \"ü ü"),
            "{told}"
        );
        assert!(last.ends_with("… (l shows all of it)"), "{told}");
        assert!(last.chars().count() < COLUMNS + 40, "{told}");
        for (count, more) in [(8, None), (9, Some("1 server")), (500, Some("492 servers"))] {
            let told = opening(file, &starts("a", "server").repeat(count));
            let last = told.lines().last().unwrap();
            let more = more.map(|more| format!("  and {more} more (l shows them)"));
            assert_eq!(more.as_deref(), (count > 8).then_some(last), "{told}");
            assert_eq!(told.matches("starts").count(), 8, "{told}");
        }
    }
}
