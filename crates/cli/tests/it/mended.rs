//! Settings and surroundings that a person mends while a session is there: the next request goes by them.

use crate::provider::{Answer, Provider};
use crate::pty::Pty;
use crate::run::{Place, finish};
use crate::screen::{open, said};

/// A provider that refuses the key, as it says in its answer.
fn refuses() -> Provider {
    let told = r#"{"error": {"type": "authentication_error", "message": "no such key"}}"#;
    Provider::start(move |_| Answer::Raw(401, "application/json", told.to_owned()))
}

#[test]
fn a_session_that_is_come_back_to_works_in_the_environment_of_who_comes() {
    let (wrong, right) = (
        refuses(),
        Provider::start(|_| Answer::Reply("now it works", vec![])),
    );
    let place = Place::new();
    let mut pty = open(&place, &wrong, &[]);
    pty.sees("say what to do");
    pty.type_line("is anybody there?");
    pty.sees("no such key");
    pty.sees("the turn failed");
    pty.press("\x04");
    assert_eq!(pty.end(), 0);
    let mut pty = open(&place, &right, &["--continue"]);
    pty.sees("› is anybody there?");
    pty.type_line("and now?");
    pty.sees("now it works");
    pty.kill();
    assert_eq!(right.requests().len(), 1);
}

#[test]
fn what_cannot_be_said_stands_in_the_input_again() {
    let provider = Provider::start(|_| Answer::Reply("I see", vec![]));
    let place = Place::new();
    for arguments in [&[] as &[&str], &["--plain"]] {
        let mut pty = open(&place, &provider, arguments);
        pty.sees("say what to do");
        finish(place.command(&["serve", "--stop"])).says(0, &[]);
        place.config("effort = 7\n");
        pty.type_line("look left");
        pty.sees("could not start");
        pty.sees_when("the message again", |screen| {
            let told = screen.find("could not start").unwrap_or_default();
            screen[told..].contains("look left")
        });
        place.config("");
        pty.press("\r");
        pty.sees("I see");
        pty.kill();
    }
    let last = said(provider.requests().last().unwrap());
    assert_eq!(last.matches("look left").count(), 1, "{last}");
}

#[test]
fn settings_that_are_mended_count_in_a_session_that_is_open() {
    let first = refuses();
    let (second, third) = (
        Provider::start(|_| Answer::Reply("mended", vec![])),
        Provider::start(|_| Answer::Reply("added", vec![])),
    );
    let place = Place::new();
    let provider = |name: &str, url: &str| {
        format!("[providers.{name}]\ndialect = \"messages\"\nbase_url = \"{url}\"\n")
    };
    place.config(&provider("lab", &first.url));
    let mut pty = Pty::start(&place.command(&["--model", "lab/double"]), 100, 40);
    pty.sees("say what to do");
    pty.type_line("is anybody there?");
    pty.sees("the turn failed");
    place.config(&provider("lab", &second.url));
    pty.type_line("and now?");
    pty.sees("mended");
    // What is broken breaks nothing that works.
    place.config("[providers.lab]\ndialect = 7\n");
    pty.type_line("still there?");
    pty.sees_when("a second answer", |screen| {
        screen.matches("mended").count() == 2
    });
    place.config(&[provider("lab", &second.url), provider("more", &third.url)].concat());
    pty.type_line("/model more/double");
    pty.sees("from the next request on: model more/double");
    pty.type_line("and there?");
    pty.sees("added");
    pty.kill();
}
