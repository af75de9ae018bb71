//! Standard streams: whether they are terminals, questions to a person, and the one place that complains.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use quire_headless::{Color, Style};
use quire_protocol::clean;

use crate::surroundings::Surroundings;

/// Says what went wrong, on standard error: names and paths in it cannot drive the terminal.
pub(crate) fn complain(message: &str) {
    // Whoever does not listen is no reason to stop.
    let _ = writeln!(std::io::stderr(), "quire: {}", clean(message));
}

/// Prints a whole text on standard output. That nobody reads it any more is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write the output")
        }
        _ => Ok(()),
    }
}

/// The style for text on a stream that is, or is not, a terminal.
pub(crate) fn style(surroundings: &Surroundings, terminal: bool) -> Style {
    let plain = surroundings.variable("NO_COLOR").is_some()
        || surroundings.variable("TERM") == Some("dumb");
    let said = surroundings.variable("COLUMNS");
    let said = said.and_then(|columns| columns.parse().ok());
    Style {
        color: if terminal && !plain {
            Color::Always
        } else {
            Color::Never
        },
        width: said.unwrap_or_else(|| if terminal { quire_tui::columns() } else { 0 }),
    }
}

/// Whether a person sits at both ends: can read a question and type an answer.
pub(crate) fn is_attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether a person sits at a terminal that can be drawn on.
pub(crate) fn is_screen(surroundings: &Surroundings) -> bool {
    let drawn = surroundings.variable("TERM") != Some("dumb");
    drawn && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Asks a yes-or-no question; anything but yes is no.
pub(crate) fn confirms(question: &str) -> anyhow::Result<bool> {
    let mut err = std::io::stderr().lock();
    write!(err, "{} [y/N] ", clean(question))?;
    err.flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
