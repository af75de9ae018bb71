//! Standard streams: whether they are terminals, what comes in, and the one place that complains.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::time::Duration;

use anyhow::Context as _;
use quire_headless::{Color, Style};

use crate::surroundings::Surroundings;
use crate::usage;

/// How long to wait for standard input before saying that it is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most that is taken from standard input, in bytes: more than any model reads.
const INPUT_BYTES: u64 = 16 << 20;

/// Says what went wrong, on standard error.
#[expect(
    clippy::print_stderr,
    reason = "the root reports what ends the process"
)]
pub(crate) fn complain(message: &str) {
    eprintln!("quire: {message}");
}

/// Prints a whole text on standard output. That nobody reads it any more is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The style for text on a stream that is, or is not, a terminal.
pub(crate) fn style(surroundings: &Surroundings, terminal: bool) -> Style {
    let plain = surroundings.variable("NO_COLOR").is_some()
        || surroundings.variable("TERM") == Some("dumb");
    let columns = surroundings
        .variable("COLUMNS")
        .and_then(|columns| columns.parse().ok());
    Style {
        color: if terminal && !plain {
            Color::Always
        } else {
            Color::Never
        },
        width: columns.unwrap_or(if terminal { 100 } else { 0 }),
    }
}

/// Whether a person sits at both ends: can read a question and type an answer.
pub(crate) fn is_attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// What comes on standard input, if it is a pipe or a file.
pub(crate) async fn piped_input() -> anyhow::Result<Option<String>> {
    let kind = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(File::from)
        .and_then(|file| file.metadata())
        .map(|metadata| metadata.file_type());
    if !kind.is_ok_and(|kind| kind.is_fifo() || kind.is_file()) {
        return Ok(None);
    }
    let mut reading = tokio::task::spawn_blocking(|| {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .take(INPUT_BYTES + 1)
            .read_to_end(&mut bytes)
            .map(|_| bytes)
    });
    let bytes = if let Ok(read) = tokio::time::timeout(PATIENCE, &mut reading).await {
        read
    } else {
        complain("waiting for the end of standard input (use </dev/null to leave it out)");
        reading.await
    };
    let bytes = bytes?.context("cannot read standard input")?;
    if bytes.len() as u64 > INPUT_BYTES {
        return Err(usage(format!(
            "standard input is longer than {INPUT_BYTES} bytes, more than a model reads: put it in \
             a file of this folder and name the file in the prompt"
        )));
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok((!text.trim().is_empty()).then_some(text))
}

/// Asks a yes-or-no question; anything but yes is no.
pub(crate) fn confirms(question: &str) -> anyhow::Result<bool> {
    let mut err = std::io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
