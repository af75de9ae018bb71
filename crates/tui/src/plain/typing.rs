//! What a person types where nothing may be drawn over: lines, or keys where the terminal lets them come
//! one by one.

use std::io::{self, BufRead as _};
use std::thread;

use crossterm::event::{Event as Happened, KeyEvent};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::keys::Keys;

/// What the person types.
pub(crate) enum Typing {
    /// The terminal gathers and shows lines by itself.
    Lines(UnboundedReceiver<String>),
    /// It comes key by key.
    Keys(Keys),
}

/// Something that was typed.
pub(crate) enum Typed {
    Line(String),
    Key(KeyEvent),
    /// Nothing that matters here.
    Nothing,
}

impl Typing {
    /// Key by key, where that can be.
    pub(crate) fn begin() -> Self {
        Keys::take().map_or_else(|| Self::Lines(lines()), Self::Keys)
    }

    /// Waits for what is typed next; nothing once nothing more can be.
    pub(crate) async fn next(&mut self) -> Option<Typed> {
        match self {
            Self::Lines(lines) => lines.recv().await.map(Typed::Line),
            Self::Keys(keys) => Some(match keys.next().await? {
                Happened::Key(key) => Typed::Key(key),
                _ => Typed::Nothing,
            }),
        }
    }
}

/// The lines that are typed, read by a thread of their own, which may wait for ever.
fn lines() -> UnboundedReceiver<String> {
    let (typed, lines) = unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else {
                return;
            };
            if typed.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
