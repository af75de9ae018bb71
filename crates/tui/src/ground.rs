//! What ground the terminal has: it is asked, and its answer, which comes whenever it likes among what the
//! person types, is told apart from keys and never taken for some. Pure: events in, events out.

use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// Asks for the colour of the ground: OSC 11. A terminal that does not know it says nothing.
pub(crate) const ASK: &str = "\x1b]11;?\x1b\\";
/// What stands before the colour in the answer, after what begins it.
const BEFORE: [char; 3] = ['1', '1', ';'];
/// How long a lone Esc may be the beginning of an answer.
pub(crate) const SPLIT: Duration = Duration::from_millis(50);
/// Characters of a colour at most: what has more is no answer.
const LONG: usize = 64;

/// What the ground of a terminal is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    Dark,
    Light,
}

impl Ground {
    /// Reads a colour as terminals write it: `rgb:1e1e/1e1e/1e1e`, with one to four digits each.
    fn read(colour: &str) -> Option<Self> {
        let (_, parts) = colour.split_once(':')?;
        let part = |digits: &str| {
            let most = 16_u32.checked_pow(u32::try_from(digits.len()).ok()?)? - 1;
            let part = u32::from_str_radix(digits, 16).ok()?;
            (1..=4).contains(&digits.len()).then(|| part * 1_000 / most)
        };
        let parts: Option<Vec<u32>> = parts.split('/').map(part).collect();
        let [red, green, blue, ..] = parts?[..] else {
            return None;
        };
        // As bright as an eye finds it.
        let bright = (red * 299 + green * 587 + blue * 114) / 1_000;
        Some(if bright > 500 {
            Self::Light
        } else {
            Self::Dark
        })
    }
}

/// Listens for the answer among events.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    state: State,
    /// What may be the beginning of the answer.
    held: Vec<Event>,
    colour: String,
}

/// How far the answer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// None is awaited.
    #[default]
    Over,
    /// Nothing of it was seen.
    Awaited,
    /// An Esc came alone, and is held or was let go of.
    Escaped,
    /// So many characters of what stands before the colour have come.
    Begun(usize),
    /// The colour comes.
    Colour,
    /// An Esc came in it, which ends it together with what follows.
    Ending,
}

/// What an event is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// What the person did.
    pub(crate) events: Vec<Event>,
    /// The answer.
    pub(crate) ground: Option<Ground>,
}

impl Heard {
    /// Nothing but what the person did.
    fn of(event: Event) -> Self {
        Self {
            events: vec![event],
            ground: None,
        }
    }
}

impl Listener {
    /// One that awaits an answer.
    pub(crate) fn awaiting() -> Self {
        Self {
            state: State::Awaited,
            ..Self::default()
        }
    }

    /// Whether the answer has not come, or not all of it.
    pub(crate) fn awaits(&self) -> bool {
        self.state != State::Over
    }

    /// Whether a key is held that a person may have pressed.
    pub(crate) fn holds_a_key(&self) -> bool {
        self.state == State::Escaped && !self.held.is_empty()
    }

    /// Lets a key go that nothing has followed.
    pub(crate) fn let_go(&mut self) -> Heard {
        Heard {
            events: std::mem::take(&mut self.held),
            ground: None,
        }
    }

    /// Takes an event.
    pub(crate) fn take(&mut self, event: Event) -> Heard {
        let Event::Key(key) = event else {
            return self.not_a_key(event);
        };
        if key.kind == KeyEventKind::Release {
            return Heard::of(event);
        }
        match self.state {
            State::Over => Heard::of(event),
            State::Awaited => self.first(key),
            State::Escaped if is_plain(key, ']') => self.begin(event),
            State::Begun(count) if is_plain(key, BEFORE[count]) => {
                self.held.push(event);
                self.state = State::Begun(count + 1);
                if count + 1 == BEFORE.len() {
                    self.held.clear();
                    self.state = State::Colour;
                }
                Heard::default()
            }
            State::Escaped | State::Begun(_) => self.no_answer(event),
            State::Colour => self.within(key),
            State::Ending if is_plain(key, '\\') => self.end(),
            State::Ending => {
                // That Esc was a person's.
                self.state = State::Colour;
                let mut heard = self.within(key);
                heard.events.insert(0, Event::Key(KeyCode::Esc.into()));
                heard
            }
        }
    }

    /// Nothing of the answer was seen so far.
    fn first(&mut self, key: KeyEvent) -> Heard {
        let event = Event::Key(key);
        match key.code {
            KeyCode::Char(']') if key.modifiers == KeyModifiers::ALT => self.begin(event),
            KeyCode::Esc if key.modifiers.is_empty() => {
                self.held.push(event);
                self.state = State::Escaped;
                Heard::default()
            }
            _ => Heard::of(event),
        }
    }

    fn begin(&mut self, event: Event) -> Heard {
        self.held.push(event);
        self.state = State::Begun(0);
        Heard::default()
    }

    /// What was held is none, and what has come now may begin one.
    fn no_answer(&mut self, event: Event) -> Heard {
        let mut events = std::mem::take(&mut self.held);
        self.state = State::Awaited;
        let heard = self.take(event);
        events.extend(heard.events);
        Heard { events, ..heard }
    }

    /// A key while the colour comes.
    fn within(&mut self, key: KeyEvent) -> Heard {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('g') if control => return self.end(),
            KeyCode::Char('\\') if alt => return self.end(),
            KeyCode::Esc => self.state = State::Ending,
            KeyCode::Char(char) if !control && !alt => {
                self.colour.push(char);
                if self.colour.len() > LONG {
                    self.state = State::Over;
                }
            }
            _ => return Heard::of(Event::Key(key)),
        }
        Heard::default()
    }

    fn end(&mut self) -> Heard {
        self.state = State::Over;
        Heard {
            events: Vec::new(),
            ground: Ground::read(&self.colour),
        }
    }

    /// A paste comes after the keys before it; everything else has no order among them.
    fn not_a_key(&mut self, event: Event) -> Heard {
        let mut events = Vec::new();
        if matches!(event, Event::Paste(_)) && !self.held.is_empty() {
            events = std::mem::take(&mut self.held);
            self.state = State::Awaited;
        }
        events.push(event);
        Heard {
            events,
            ground: None,
        }
    }
}

fn is_plain(key: KeyEvent, char: char) -> bool {
    key.code == KeyCode::Char(char) && key.modifiers.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(code, modifiers))
    }

    fn char(char: char) -> Event {
        key(KeyCode::Char(char), KeyModifiers::NONE)
    }

    fn esc() -> Event {
        key(KeyCode::Esc, KeyModifiers::NONE)
    }

    /// Bytes of an answer as the events that come of them where a read ends after any of these places.
    fn events(answer: &str, splits: &[usize]) -> Vec<Event> {
        let bytes: Vec<char> = answer.chars().collect();
        let mut events = Vec::new();
        let mut place = 0;
        while place < bytes.len() {
            match bytes[place] {
                '\x1b' if !splits.contains(&(place + 1)) => {
                    place += 1;
                    events.push(key(KeyCode::Char(bytes[place]), KeyModifiers::ALT));
                }
                '\x1b' => events.push(esc()),
                '\x07' => events.push(key(KeyCode::Char('g'), KeyModifiers::CONTROL)),
                other => events.push(char(other)),
            }
            place += 1;
        }
        events
    }

    #[test]
    fn an_answer_is_heard_however_it_is_cut_and_nothing_of_it_is_a_key() {
        for (end, colour, ground) in [
            ("\x1b\\", "rgb:ffff/ffff/ffff", Some(Ground::Light)),
            ("\x07", "rgb:1e/1e/1e", Some(Ground::Dark)),
            ("\x1b\\", "rgba:fdf6/f6e3/e3e3/ffff", Some(Ground::Light)),
            ("\x07", "rgb:0/0/0", Some(Ground::Dark)),
            ("\x07", "rgb:00000/0/0", None),
            ("\x07", "what", None),
        ] {
            let answer = format!("\x1b]11;{colour}{end}");
            for first in 0..=answer.len() {
                let mut listener = Listener::awaiting();
                let mut found = None;
                for event in events(&answer, &[first, answer.len() - 1]) {
                    let heard = listener.take(event);
                    assert_eq!(heard.events, [], "{answer:?} cut at {first}");
                    found = found.or(heard.ground);
                }
                assert_eq!(found, ground, "{answer:?} cut at {first}");
                assert!(!listener.awaits());
                assert_eq!(listener.take(esc()).events, [esc()]);
            }
        }
    }

    #[test]
    fn what_a_person_types_meanwhile_is_theirs() {
        let mut listener = Listener::awaiting();
        let mut heard = Vec::new();
        let alt = key(KeyCode::Char(']'), KeyModifiers::ALT);
        let up = key(KeyCode::Up, KeyModifiers::NONE);
        let typed = [
            char(']'),
            alt.clone(),
            char('1'),
            char('x'),
            esc(),
            char('y'),
            alt,
            char('1'),
            Event::Paste("p".to_owned()),
        ];
        for event in typed.clone() {
            heard.extend(listener.take(event).events);
        }
        assert_eq!(heard, typed);
        // Keys in the middle of an answer.
        for event in events("\x1b]11;rgb:ff", &[]) {
            assert_eq!(listener.take(event).events, []);
        }
        assert_eq!(listener.take(up.clone()).events, std::slice::from_ref(&up));
        assert_eq!(listener.take(esc()).events, []);
        assert_eq!(listener.take(up.clone()).events, [esc(), up]);
        for event in events("/ff/ff", &[]) {
            assert_eq!(listener.take(event).events, []);
        }
        let end = key(KeyCode::Char('g'), KeyModifiers::CONTROL);
        assert_eq!(listener.take(end).ground, Some(Ground::Light));
    }

    #[test]
    fn an_esc_that_nothing_follows_is_let_go_of_and_its_answer_is_still_none_that_is_typed() {
        let mut listener = Listener::awaiting();
        assert_eq!(listener.take(esc()).events, []);
        assert!(listener.holds_a_key());
        assert_eq!(listener.let_go().events, [esc()]);
        assert!(!listener.holds_a_key());
        for event in events("]11;rgb:0/0/0", &[]) {
            assert_eq!(listener.take(event).events, []);
        }
        let end = key(KeyCode::Char('\\'), KeyModifiers::ALT);
        assert_eq!(listener.take(end).ground, Some(Ground::Dark));
    }

    #[test]
    fn what_never_ends_is_no_answer() {
        let mut listener = Listener::awaiting();
        for event in events("\x1b]11;", &[]) {
            listener.take(event);
        }
        for _ in 0..=LONG {
            assert_eq!(listener.take(char('f')).events, []);
        }
        assert_eq!(listener.take(char('f')).events, [char('f')]);
    }
}
