//! A program in a terminal of its own: keys go in, and the screen is read as a terminal shows it.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).expect("not zero");
const ROWS: NonZeroU16 = NonZeroU16::new(40).expect("not zero");

/// What the terminal shows.
struct Shown {
    parser: vt100::Parser,
    /// When it last changed.
    at: Instant,
    ended: bool,
}

/// A process in a terminal; it is killed when this is dropped.
pub(crate) struct Terminal {
    /// Kept, since the terminal closes with it.
    _master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    shown: Arc<(Mutex<Shown>, Condvar)>,
}

impl Terminal {
    /// Starts a command, with its arguments, folder and environment, in a terminal.
    pub(crate) fn start(command: &Command) -> Result<Self> {
        let pair = native_pty_system().openpty(PtySize {
            rows: ROWS.get(),
            cols: COLUMNS.get(),
            pixel_width: 0,
            pixel_height: 0,
        })?;
        let mut output = pair.master.try_clone_reader()?;
        let keys = pair.master.take_writer()?;
        let shown = Arc::new((
            Mutex::new(Shown {
                parser: vt100::Parser::new(ROWS, COLUMNS, 0),
                at: Instant::now(),
                ended: false,
            }),
            Condvar::new(),
        ));
        let there = Arc::clone(&shown);
        std::thread::spawn(move || show(&mut *output, &there));
        Ok(Self {
            child: pair.slave.spawn_command(builder(command)?)?,
            keys,
            _master: pair.master,
            shown,
        })
    }

    /// Presses keys, as the bytes that a terminal sends for them.
    pub(crate) fn press(&mut self, keys: &str) -> Result<()> {
        self.keys.write_all(keys.as_bytes())?;
        self.keys.flush()?;
        Ok(())
    }

    /// Waits until the screen shows this; when it did.
    pub(crate) fn sees(&self, words: &str) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        let (shown, changed) = &*self.shown;
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let screen = shown.parser.screen().contents();
            if screen.contains(words) {
                return Ok(shown.at);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(
                !left.is_zero() && !shown.ended,
                "{words:?} never came; the screen is:\n{screen}"
            );
            let waited = changed.wait_timeout(shown, left);
            shown = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The process.
    pub(crate) fn pid(&self) -> Result<u32> {
        let pid = self.child.process_id();
        pid.context("the process in the terminal has no id")
    }

    /// Leaves with Ctrl+D and waits for the end.
    pub(crate) fn leave(mut self) -> Result<()> {
        self.press("\x04")?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the screen failed: {status}");
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn builder(command: &Command) -> Result<CommandBuilder> {
    let mut builder = CommandBuilder::new(command.get_program());
    builder.args(command.get_args());
    let folder = command.get_current_dir();
    builder.cwd(folder.ok_or_else(|| anyhow!("the command has no folder"))?);
    builder.env_clear();
    builder.env("TERM", "xterm-256color");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            builder.env(name, value);
        }
    }
    Ok(builder)
}

/// Shows what a program prints, until it ends.
fn show(output: &mut dyn Read, there: &(Mutex<Shown>, Condvar)) {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let read = output.read(&mut bytes).unwrap_or(0);
        let mut shown = there.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.parser.process(&bytes[..read]);
        shown.at = Instant::now();
        shown.ended = read == 0;
        drop(shown);
        there.1.notify_all();
        if read == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_in_and_the_screen_is_read() {
        let mut command = Command::new("/bin/cat");
        command.current_dir("/");
        let before = Instant::now();
        let mut terminal = Terminal::start(&command).unwrap();
        terminal.press("one\r").unwrap();
        assert!(terminal.sees("one\none").unwrap() > before);
        assert!(terminal.pid().unwrap() > 0);
        terminal.leave().unwrap();
    }
}
