//! The terminal itself: raw while the screen is up, and as it was afterwards. Keys are read and
//! frames are written by threads of their own, so that a slow terminal holds nothing else up.

use std::io::{self, Write as _};
use std::thread;

use crate::talk::Room;
use crossterm::event::{self, Event};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode, size};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Bracketed paste, and keys told apart where the terminal can.
const ENTER: &str = "\x1b[?2004h\x1b[>1u";
const LEAVE: &str = "\x1b[<1u\x1b[?2004l\x1b[?25h\x1b[0m";

/// A screen of its own, and the wheel of the mouse.
const ENTER_FULL: &str = "\x1b[?1049h\x1b[H\x1b[2J\x1b[?1000h\x1b[?1006h";
const LEAVE_FULL: &str = "\x1b[0m\x1b[?1006l\x1b[?1000l\x1b[?1049l";

/// What a terminal tells.
#[derive(Debug)]
pub(crate) enum News {
    /// The person did something.
    Happened(Event),
    /// What was handed over last is written.
    Written,
    /// There is no terminal any more.
    Gone,
}

/// Columns of the terminal; 80 where it does not say.
#[must_use]
pub fn columns() -> usize {
    usize::from(Terminal::size().0)
}

/// A terminal in raw mode; dropping it gives it back.
pub(crate) struct Terminal {
    frames: std::sync::mpsc::Sender<String>,
    written: UnboundedReceiver<io::Result<()>>,
    /// Whether a frame is on its way.
    busy: bool,
    events: UnboundedReceiver<io::Result<Event>>,
    room: Room,
}

impl Terminal {
    /// Takes the terminal over.
    pub(crate) fn take(room: Room) -> io::Result<Self> {
        enable_raw_mode()?;
        let (frames, to_write) = std::sync::mpsc::channel::<String>();
        let (done, written) = unbounded_channel();
        thread::spawn(move || {
            for frame in to_write {
                if done.send(write(&frame)).is_err() {
                    return;
                }
            }
        });
        let (happened, events) = unbounded_channel();
        thread::spawn(move || read(&happened));
        let mut terminal = Self {
            frames,
            written,
            busy: false,
            events,
            room,
        };
        terminal.write(match room {
            Room::Inline => ENTER.to_owned(),
            Room::Full => ENTER_FULL.to_owned() + ENTER,
        });
        Ok(terminal)
    }

    /// Columns and rows; 80 × 24 where the terminal does not say.
    pub(crate) fn size() -> (u16, u16) {
        match size() {
            Ok((columns, rows)) if columns > 0 && rows > 0 => (columns, rows),
            _ => (80, 24),
        }
    }

    /// Whether another frame can be written now.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Writes a frame, some time soon.
    pub(crate) fn write(&mut self, frame: String) {
        // A thread that is gone has said why.
        self.busy = self.frames.send(frame).is_ok();
    }

    /// Waits for what happens next.
    pub(crate) async fn next(&mut self) -> io::Result<News> {
        tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Some(event) => Ok(News::Happened(event?)),
                None => Ok(News::Gone),
            },
            written = self.written.recv(), if self.busy => {
                self.busy = false;
                match written {
                    Some(written) => written.map(|()| News::Written),
                    None => Ok(News::Gone),
                }
            }
        }
    }

    /// Gives a screen of its own back; what is written from now on stays in the terminal.
    pub(crate) fn leave_full(&mut self) {
        if std::mem::replace(&mut self.room, Room::Inline) == Room::Full {
            self.write(LEAVE_FULL.to_owned());
        }
    }

    /// Waits until what was handed over last is written.
    pub(crate) async fn written(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.busy) {
            return Ok(());
        }
        let written = self.written.recv().await;
        written.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.room == Room::Full {
            let _ = write(LEAVE_FULL);
        }
        let _ = write(LEAVE);
        let _ = disable_raw_mode();
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn read(happened: &UnboundedSender<io::Result<Event>>) {
    loop {
        let event = event::read();
        let failed = event.is_err();
        if happened.send(event).is_err() || failed {
            return;
        }
    }
}
