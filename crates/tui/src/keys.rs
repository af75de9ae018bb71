//! Which key does what: a table, the same for every screen.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::editor::To;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Write a character.
    Insert(char),
    /// Begin a new line.
    Newline,
    /// Send; while a turn works, to be heard as the person set it.
    Send,
    /// Send, to be heard the other way.
    Queue,
    /// Complete the command or the path that is being written.
    Complete,
    /// End the turn now.
    Interrupt,
    /// Clear the input; on an empty one, twice, quit.
    Clear,
    /// Quit, when the input is empty.
    Leave,
    /// Move the cursor.
    Go(To),
    /// Delete from the cursor up to there.
    Delete(To),
    /// Write what was deleted last.
    PutBack,
    /// A row up, or to an earlier message.
    Up,
    /// A row down, or to a later message.
    Down,
    /// Show what was folded in full.
    Details,
    /// Attach the image in the clipboard.
    PasteImage,
    /// Search what was said; while that is done, go on to an older one.
    Search,
    /// Write in an editor.
    Compose,
    /// Draw everything anew.
    Redraw,
    /// Stop, until the shell has the screen go on.
    Suspend,
    /// Go over to the next session that waits.
    Next,
    /// Answer the open question.
    Reply(Reply),
    /// Back from giving a reason to the question, or from what is offered.
    Back,
    /// Choose from a list.
    Pick(Pick),
}

/// Keys in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// A row up.
    Up,
    /// A row down.
    Down,
    /// The row at hand.
    This,
    /// The row of this number.
    Numbered(usize),
    /// The row whose number goes on with this digit.
    Digit(usize),
    /// None.
    Leave,
}

/// Answers to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Yes, this once.
    Once,
    /// Yes, for what begins alike, in this session.
    Session,
    /// Yes, for what begins alike, in all sessions to come as well.
    Always,
    /// No; the reason is asked for next.
    No,
}

impl Reply {
    /// What a letter means as all that is typed at a question.
    pub(crate) fn of(text: &str) -> Option<Self> {
        match text {
            "y" | "Y" => Some(Self::Once),
            "s" | "S" | "p" | "P" => Some(Self::Session),
            "a" | "A" => Some(Self::Always),
            "n" | "N" => Some(Self::No),
            _ => None,
        }
    }
}

/// What the keys are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A message.
    Typing,
    /// The name of a command.
    Command,
    /// A path, of which some are offered.
    Path,
    /// Words of what was said before.
    Search,
    /// An open question, and nothing is typed.
    Asked,
    /// An open question, and this answer to it, which Enter gives.
    Answer(Reply),
    /// The reason for a no.
    Reason,
    /// A list to choose from.
    Picking,
    /// A list that came by itself: the number of a row is typed, and Enter chooses.
    Listed,
}

/// What a key asks for; nothing for keys without a meaning.
pub(crate) fn action(key: KeyEvent, mode: Mode) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if let Mode::Picking | Mode::Listed = mode
        && let Some(pick) = in_list(key, mode)
    {
        return pick.map(Action::Pick);
    }
    let shift = key.modifiers.contains(KeyModifiers::SHIFT);
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return with_control(key.code);
    }
    if key.modifiers.contains(KeyModifiers::ALT) {
        return with_alt(key.code);
    }
    Some(match (key.code, mode) {
        (KeyCode::Enter, _) if shift => Action::Newline,
        (KeyCode::Tab | KeyCode::Enter, Mode::Path | Mode::Search)
        | (KeyCode::Tab, Mode::Command) => Action::Complete,
        // What one says no for is no part of what is otherwise said.
        (KeyCode::Char(' '), Mode::Answer(Reply::No)) => Action::Reply(Reply::No),
        (KeyCode::Enter, _) => Action::Send,
        (KeyCode::Tab, Mode::Typing) => Action::Queue,
        (KeyCode::Esc, Mode::Reason | Mode::Path | Mode::Search) => Action::Back,
        (KeyCode::Esc, _) => Action::Interrupt,
        (KeyCode::Char(char), _) => Action::Insert(char),
        (KeyCode::Backspace, _) => Action::Delete(To::Left),
        (KeyCode::Delete, _) => Action::Delete(To::Right),
        (KeyCode::Left, _) => Action::Go(To::Left),
        (KeyCode::Right, _) => Action::Go(To::Right),
        (KeyCode::Home, _) => Action::Go(To::Home),
        (KeyCode::End, _) => Action::Go(To::End),
        (KeyCode::Up, _) => Action::Up,
        (KeyCode::Down, _) => Action::Down,
        (KeyCode::F(2), _) => Action::Next,
        _ => return None,
    })
}

/// What a key means in a list: perhaps nothing. Some keys mean what they always do.
#[expect(
    clippy::option_option,
    reason = "a key may mean nothing here, or what it means elsewhere"
)]
fn in_list(key: KeyEvent, mode: Mode) -> Option<Option<Pick>> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('p') if control => Some(Pick::Up),
        KeyCode::Char('n') if control => Some(Pick::Down),
        KeyCode::Char('c') if control => Some(Pick::Leave),
        KeyCode::Char(_) if control => return None,
        KeyCode::Up => Some(Pick::Up),
        KeyCode::Down => Some(Pick::Down),
        KeyCode::Enter => Some(Pick::This),
        KeyCode::Esc => Some(Pick::Leave),
        _ if mode == Mode::Listed => return None,
        KeyCode::Char(digit @ '0'..='9') => Some(Pick::Digit(digit as usize - '0' as usize)),
        _ => None,
    })
}

fn with_control(code: KeyCode) -> Option<Action> {
    Some(match code {
        KeyCode::Char('c') => Action::Clear,
        KeyCode::Char('d') => Action::Leave,
        KeyCode::Char('j') | KeyCode::Enter => Action::Newline,
        KeyCode::Char('a') => Action::Go(To::Home),
        KeyCode::Char('e') => Action::Go(To::End),
        KeyCode::Char('b') => Action::Go(To::Left),
        KeyCode::Char('f') => Action::Go(To::Right),
        KeyCode::Char('p') => Action::Up,
        KeyCode::Char('n') => Action::Down,
        KeyCode::Char('h') => Action::Delete(To::Left),
        KeyCode::Char('w') | KeyCode::Backspace => Action::Delete(To::WordLeft),
        KeyCode::Char('u') => Action::Delete(To::Home),
        KeyCode::Char('k') => Action::Delete(To::End),
        KeyCode::Char('y') => Action::PutBack,
        KeyCode::Char('r') => Action::Search,
        KeyCode::Char('g') => Action::Compose,
        KeyCode::Char('o') => Action::Details,
        KeyCode::Char('v') => Action::PasteImage,
        KeyCode::Char('l') => Action::Redraw,
        KeyCode::Char('z') => Action::Suspend,
        KeyCode::Left => Action::Go(To::WordLeft),
        KeyCode::Right => Action::Go(To::WordRight),
        _ => return None,
    })
}

fn with_alt(code: KeyCode) -> Option<Action> {
    Some(match code {
        KeyCode::Enter => Action::Queue,
        KeyCode::Char('b') | KeyCode::Left => Action::Go(To::WordLeft),
        KeyCode::Char('f') | KeyCode::Right => Action::Go(To::WordRight),
        KeyCode::Char('d') => Action::Delete(To::WordRight),
        KeyCode::Backspace => Action::Delete(To::WordLeft),
        KeyCode::Char('y') => Action::Reply(Reply::Once),
        KeyCode::Char('p' | 's') => Action::Reply(Reply::Session),
        KeyCode::Char('a') => Action::Reply(Reply::Always),
        KeyCode::Char('n') => Action::Reply(Reply::No),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use KeyCode::{Char, Enter, Esc, F, Tab, Up};

    use super::*;

    #[test]
    fn the_table() {
        let (none, control, alt, shift) = (
            KeyModifiers::NONE,
            KeyModifiers::CONTROL,
            KeyModifiers::ALT,
            KeyModifiers::SHIFT,
        );
        for (code, modifiers, mode, expected) in [
            (Char('y'), none, Mode::Typing, Some(Action::Insert('y'))),
            (Char('Y'), shift, Mode::Typing, Some(Action::Insert('Y'))),
            (Char('y'), none, Mode::Asked, Some(Action::Insert('y'))),
            (Char('s'), none, Mode::Asked, Some(Action::Insert('s'))),
            (Char('n'), none, Mode::Asked, Some(Action::Insert('n'))),
            (Enter, none, Mode::Answer(Reply::Once), Some(Action::Send)),
            (
                Char(' '),
                none,
                Mode::Answer(Reply::Once),
                Some(Action::Insert(' ')),
            ),
            (
                Char(' '),
                none,
                Mode::Answer(Reply::No),
                Some(Action::Reply(Reply::No)),
            ),
            (Char('n'), none, Mode::Reason, Some(Action::Insert('n'))),
            (
                Char('y'),
                alt,
                Mode::Typing,
                Some(Action::Reply(Reply::Once)),
            ),
            (Char('w'), none, Mode::Asked, Some(Action::Insert('w'))),
            (Enter, none, Mode::Typing, Some(Action::Send)),
            (Enter, shift, Mode::Typing, Some(Action::Newline)),
            (Enter, alt, Mode::Typing, Some(Action::Queue)),
            (Char('j'), control, Mode::Typing, Some(Action::Newline)),
            (Tab, none, Mode::Typing, Some(Action::Queue)),
            (Tab, none, Mode::Command, Some(Action::Complete)),
            (Tab, none, Mode::Path, Some(Action::Complete)),
            (Enter, none, Mode::Path, Some(Action::Complete)),
            (Enter, shift, Mode::Path, Some(Action::Newline)),
            (Esc, none, Mode::Path, Some(Action::Back)),
            (Tab, none, Mode::Asked, None),
            (Esc, none, Mode::Typing, Some(Action::Interrupt)),
            (Esc, none, Mode::Asked, Some(Action::Interrupt)),
            (Esc, none, Mode::Reason, Some(Action::Back)),
            (Char('c'), control, Mode::Asked, Some(Action::Clear)),
            (Char('r'), control, Mode::Typing, Some(Action::Search)),
            (Char('g'), control, Mode::Typing, Some(Action::Compose)),
            (Esc, none, Mode::Search, Some(Action::Back)),
            (Char('d'), control, Mode::Typing, Some(Action::Leave)),
            (Char('z'), control, Mode::Picking, Some(Action::Suspend)),
            (Up, none, Mode::Typing, Some(Action::Up)),
            (Char('v'), control, Mode::Asked, Some(Action::PasteImage)),
            (F(1), none, Mode::Typing, None),
            (F(2), none, Mode::Asked, Some(Action::Next)),
        ] {
            let key = KeyEvent::new(code, modifiers);
            assert_eq!(action(key, mode), expected, "{key:?} {mode:?}");
        }
        let released = KeyEvent::new_with_kind(Enter, none, KeyEventKind::Release);
        assert_eq!(action(released, Mode::Typing), None);
    }
}
