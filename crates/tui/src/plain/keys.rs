//! The keys of a terminal that shows nothing by itself meanwhile: they come one by one, and the terminal
//! is otherwise as it was. What it does with Ctrl+C stays.

use std::io;
use std::sync::Arc;
use std::thread;

use crossterm::event::{self, Event};
use rustix::stdio::stdin;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::terminal::{Gate, suspend, tell_the_rest, wake, write};

use super::typing::{Typed, gather};

/// A terminal is to say what is pasted, and is not to any more.
const ENTER: &str = "\x1b[?2004h";
const LEAVE: &str = "\x1b[?2004l";

/// What stands for no key among those that mean something to a terminal.
const NO_KEY: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

/// Whether a terminal says what is pasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pastes {
    /// It does, where it can.
    Told,
    /// It would show what it is asked.
    Untold,
}

/// Keys that come one by one; dropping it gives the terminal back.
pub(crate) struct Keys {
    before: Termios,
    pastes: Pastes,
    events: UnboundedReceiver<Event>,
    /// One that came with others, and is not one of them.
    ahead: Option<Event>,
    gate: Arc<Gate>,
    reader: thread::JoinHandle<()>,
}

impl Keys {
    /// Takes the keys; nothing where the terminal does not gather and show lines by itself, since
    /// somebody else does that, who would see everything twice.
    pub(crate) fn take(pastes: Pastes) -> Option<Self> {
        let before = tcgetattr(stdin()).ok()?;
        let by_itself = LocalModes::ICANON | LocalModes::ECHO;
        if !before.local_modes.contains(by_itself) {
            return None;
        }
        one_by_one(&before).ok()?;
        let (happened, events) = unbounded_channel();
        let gate = Arc::new(Gate::default());
        let guard = Arc::clone(&gate);
        let reader = thread::spawn(move || read(&happened, &guard));
        let keys = Self {
            before,
            pastes,
            events,
            ahead: None,
            gate,
            reader,
        };
        keys.say(ENTER).ok()?;
        Some(keys)
    }

    /// Waits for the next one; nothing once the terminal is gone.
    pub(crate) async fn next(&mut self) -> Option<Typed> {
        let event = match self.ahead.take() {
            Some(event) => event,
            None => self.events.recv().await?,
        };
        let (typed, ahead) = gather(event, || self.events.try_recv().ok());
        self.ahead = ahead;
        // A shell that had the terminal meanwhile, after Ctrl+Z, may have left it as it likes it.
        let _ = one_by_one(&self.before);
        Some(typed)
    }

    /// Gives the terminal to somebody else, as it was.
    pub(crate) fn give(&mut self) -> io::Result<()> {
        if !self.gate.close(wake) {
            self.gate.open();
            return Err(io::Error::other("its keys cannot be let go of"));
        }
        self.put_back()
    }

    /// Somebody else may have had the terminal, who left it as they like it.
    pub(crate) fn goes_on(&self) -> io::Result<()> {
        one_by_one(&self.before)?;
        self.say(ENTER)
    }

    /// Stops the process until the shell has it go on.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        self.give()?;
        suspend()?;
        self.take_back()
    }

    /// Takes it over again.
    pub(crate) fn take_back(&mut self) -> io::Result<()> {
        self.goes_on()?;
        self.gate.open();
        Ok(())
    }

    fn say(&self, asked: &str) -> io::Result<()> {
        match self.pastes {
            Pastes::Told => write(asked),
            Pastes::Untold => Ok(()),
        }
    }

    fn put_back(&self) -> io::Result<()> {
        // The modes matter more than a terminal that takes nothing any more.
        let _ = self.say(LEAVE);
        Ok(tcsetattr(stdin(), OptionalActions::Now, &self.before)?)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // The thread would take the first key of whoever has the terminal next.
        if !self.reader.is_finished() {
            self.gate.close(wake);
            self.gate.end();
        }
        let _ = self.put_back();
    }
}

fn one_by_one(before: &Termios) -> io::Result<()> {
    let mut modes = before.clone();
    let shown = LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN;
    modes.local_modes.remove(shown);
    // Ctrl+Z comes as a key: the terminal is given back before the process stops.
    modes.special_codes[SpecialCodeIndex::VSUSP] = NO_KEY;
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    Ok(tcsetattr(stdin(), OptionalActions::Now, &modes)?)
}

fn read(happened: &UnboundedSender<Event>, gate: &Gate) {
    while gate.pass() {
        let Ok(event) = tell_the_rest().and_then(|()| event::read()) else {
            return;
        };
        if happened.send(event).is_err() {
            return;
        }
    }
}
