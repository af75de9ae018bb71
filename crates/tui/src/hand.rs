//! A hand on the keys, in tests.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::app::App;
use crate::wish::Wish;

/// Types what stands before a `|`, and presses keys behind it: `>` is Tab, `v` Down, `^` Up, `!` Enter, `x` Esc.
pub(crate) fn press(app: &mut App, keys: &str) -> Vec<Wish> {
    let (typed, pressed) = keys.split_once('|').unwrap_or((keys, ""));
    let codes = pressed.chars().map(|key| match key {
        '>' => KeyCode::Tab,
        'v' => KeyCode::Down,
        '^' => KeyCode::Up,
        '!' => KeyCode::Enter,
        'x' => KeyCode::Esc,
        other => panic!("{other} is no key"),
    });
    let mut wishes = Vec::new();
    for code in typed.chars().map(KeyCode::Char).chain(codes) {
        wishes.extend(app.key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
    wishes
}
