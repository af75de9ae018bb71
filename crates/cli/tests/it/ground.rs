//! The terminal's ground: asked for as the screen opens, and answered whenever the terminal likes.

use crate::provider::{Answer, Provider};
use crate::pty::Pty;
use crate::run::{Place, wait_until};
use crate::screen::open;

/// An answer in pieces that are read one by one.
fn answer(pty: &mut Pty, pieces: &[&str]) {
    for (count, piece) in pieces.iter().enumerate() {
        pty.press(piece);
        // What was pressed before a change of size is read before that is drawn.
        let before = pty.bytes().len();
        pty.resize(99 - u16::from(count % 2 == 0), 40);
        wait_until("it is drawn anew", || pty.bytes().len() > before);
    }
}

#[test]
fn the_theme_fits_what_the_terminal_says_and_nothing_of_that_is_typed() {
    let provider = Provider::start(|_| Answer::Reply("`code` here", vec![]));
    let place = Place::new();
    // The mark of the input, as the nearest colour of the palette that can be read on that ground.
    let (light, dark) = ("38;5;24m", "38;5;80m");
    for (pieces, mark) in [
        (&["\x1b]11;rgb:ffff/ffff/ffff\x1b\\"][..], light),
        (&["\x1b]1", "1;rgb:fd", "f6/f6e3/e3e3\x1b", "\\"], light),
        (&["\x1b]11;rgb:1e1e/1e1e/1e1e\x07"], dark),
    ] {
        let mut pty = open(&place, &provider, &[]);
        pty.sees("say what to do");
        let asked = pty.bytes();
        assert!(asked.contains("\x1b]11;?\x1b\\"), "{asked:?}");
        assert!(!asked.contains(mark), "{asked:?}");
        answer(&mut pty, pieces);
        wait_until("the theme", || pty.bytes().contains(mark));
        pty.type_line("go");
        pty.sees("code here");
        pty.press("\x04");
        assert_eq!(pty.end(), 0);
    }
    let said = |request: &serde_json::Value| request["messages"][0]["content"].to_string();
    for request in provider.requests() {
        assert!(said(&request).contains("\"go\""), "{}", said(&request));
    }
}

#[test]
fn a_theme_that_is_named_is_asked_of_nobody() {
    let provider = Provider::start(|_| Answer::Reply("", vec![]));
    let place = Place::new();
    place.config("theme = \"dark\"\n");
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    assert!(!pty.bytes().contains("\x1b]11;"));
    pty.press("\x04");
    assert_eq!(pty.end(), 0);
}
