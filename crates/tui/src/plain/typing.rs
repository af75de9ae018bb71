//! What a person types where nothing may be drawn over: lines, or keys where the terminal lets them come
//! one by one.

use std::io::{self, BufRead as _};
use std::thread;

use crossterm::event::{Event as Happened, KeyEvent};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::keys::{Action, Mode, action};

use super::keys::{Keys, Pastes};

/// What the person types.
pub(crate) enum Typing {
    /// The terminal gathers and shows lines by itself.
    Lines(UnboundedReceiver<String>),
    /// It comes key by key.
    Keys(Keys),
}

/// Something that was typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Line(String),
    /// Characters that were there together.
    Text(String),
    Key(KeyEvent),
    Paste(String),
    /// Nothing that matters here.
    Nothing,
}

/// Bytes of characters that are taken together.
const TOGETHER: usize = 1 << 16;

impl Typing {
    /// Key by key, where that can be.
    pub(crate) fn begin(pastes: Pastes) -> Self {
        Keys::take(pastes).map_or_else(|| Self::Lines(lines()), Self::Keys)
    }

    /// Somebody else may have had the terminal, after Ctrl+Z.
    pub(crate) fn goes_on(&self) -> io::Result<()> {
        match self {
            Self::Lines(_) => Ok(()),
            Self::Keys(keys) => keys.goes_on(),
        }
    }

    /// Waits for what is typed next; nothing once nothing more can be.
    pub(crate) async fn next(&mut self) -> Option<Typed> {
        match self {
            Self::Lines(lines) => lines.recv().await.map(Typed::Line),
            Self::Keys(keys) => keys.next().await,
        }
    }
}

/// What happened, and what came behind that and is something else. Characters that are there together
/// are one: the line is looked at whole after each, and a paste that the terminal does not tell has many.
pub(crate) fn gather(
    first: Happened,
    mut next: impl FnMut() -> Option<Happened>,
) -> (Typed, Option<Happened>) {
    let Some(char) = character(&first) else {
        let typed = match first {
            Happened::Key(key) => Typed::Key(key),
            Happened::Paste(text) => Typed::Paste(text),
            Happened::FocusGained
            | Happened::FocusLost
            | Happened::Mouse(_)
            | Happened::Resize(..) => Typed::Nothing,
        };
        return (typed, None);
    };
    let mut text = String::from(char);
    while text.len() < TOGETHER
        && let Some(event) = next()
    {
        let Some(char) = character(&event) else {
            return (Typed::Text(text), Some(event));
        };
        text.push(char);
    }
    (Typed::Text(text), None)
}

fn character(event: &Happened) -> Option<char> {
    match event {
        Happened::Key(key) => match action(*key, Mode::Typing) {
            Some(Action::Insert(char)) => Some(char),
            Some(_) | None => None,
        },
        Happened::Paste(_)
        | Happened::FocusGained
        | Happened::FocusLost
        | Happened::Mouse(_)
        | Happened::Resize(..) => None,
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

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;

    fn key(char: char) -> Happened {
        let code = match char {
            '\n' => KeyCode::Enter,
            char => KeyCode::Char(char),
        };
        Happened::Key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    /// All that comes of keys that are there at once.
    fn gathered(keys: &str) -> Vec<Typed> {
        let mut keys = keys.chars().map(key);
        let (mut all, mut ahead) = (Vec::new(), None);
        while let Some(first) = ahead.take().or_else(|| keys.next()) {
            let (typed, next) = gather(first, || keys.next());
            all.push(typed);
            ahead = next;
        }
        all
    }

    #[test]
    fn characters_that_are_there_together_are_taken_together() {
        let text = |text: &str| Typed::Text(text.to_owned());
        let Happened::Key(enter) = key('\n') else {
            unreachable!("it is a key");
        };
        let keys = gathered("ab\n\nc");
        let enter = || Typed::Key(enter);
        assert_eq!(keys, [text("ab"), enter(), enter(), text("c")]);
        assert_eq!(gathered(&"x".repeat(1 << 20)).len(), 16);
    }

    #[test]
    fn a_paste_that_is_told_is_one() {
        let pasted = gather(Happened::Paste("y\n".to_owned()), || Some(key('\n')));
        assert_eq!(pasted, (Typed::Paste("y\n".to_owned()), None));
    }
}
