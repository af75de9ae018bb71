//! Plain lines in a terminal: what is pasted, and what signals end.

use crate::provider::{Answer, Provider, results};
use crate::pty::Pty;
use crate::run::{Place, wait_for};
use crate::screen::{HELD, bash, open, said};

#[test]
fn what_is_pasted_at_a_question_of_plain_lines_runs_nothing() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("", bash("touch unwanted")),
        _ => Answer::Reply("all is well", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &["--plain", "--approve", "ask"]);
    pty.sees("say what to do");
    pty.type_line("how is it?");
    pty.sees("y once");
    pty.reads();
    pty.press("\x1b[200~my notes\ny\n! touch unwanted\n\x1b[201~");
    pty.sees("! touch unwanted");
    pty.reads();
    assert!(!place.work().join("unwanted").exists());
    pty.press("\r");
    pty.sees("steer: heard at the next step");
    pty.reads();
    pty.press("n\r");
    pty.sees("all is well");
    let told = said(provider.requests().last().unwrap());
    assert!(told.contains(r"my notes\ny\n! touch unwanted"), "{told}");
    pty.press("\x04");
    pty.sees("the session is kept");
    assert_eq!(pty.end_with_terminal(), (0, true));
    assert!(!place.work().join("unwanted").exists());
}

#[test]
fn a_long_paste_that_the_terminal_does_not_tell_is_there_at_once() {
    let provider = Provider::start(|_| Answer::Reply("read it", vec![]));
    let place = Place::new();
    let mut pty = open(&place, &provider, &["--plain"]);
    pty.sees("say what to do");
    let long = "of words ".repeat(20_000);
    pty.press(&long);
    pty.press("the end");
    pty.sees("the end");
    pty.press("\r");
    pty.sees("read it");
    assert!(said(&provider.requests()[0]).contains(&format!("{long}the end")));
    pty.kill();
}

#[test]
fn signals_that_end_plain_lines_and_screens_give_the_terminal_back_and_the_work_goes_on() {
    for (arguments, signal) in [
        (&["--plain"] as &[&str], "-TERM"),
        (&["--plain"], "-HUP"),
        (&["--plain"], "-QUIT"),
        (&[], "-TERM"),
        (&[], "-HUP"),
        (&[], "-QUIT"),
    ] {
        let provider = Provider::start(|request| match results(request) {
            0 => Answer::Reply("I begin.", bash(HELD)),
            _ => Answer::Reply("gone on", vec![]),
        });
        let place = Place::new();
        let mut pty = open(&place, &provider, arguments);
        pty.sees("say what to do");
        pty.type_line("a long task");
        wait_for(&place, "started");
        pty.signal(signal);
        pty.sees("it works on without this screen");
        assert_eq!(pty.end_with_terminal(), (0, true), "{arguments:?} {signal}");
        let pty = open(&place, &provider, &["--plain", "--continue"]);
        place.write("go", "");
        pty.sees("gone on");
        pty.kill();
    }
}

#[test]
fn signals_at_the_question_for_a_key_give_the_terminal_back() {
    for signal in ["-TERM", "-HUP", "-INT", "-QUIT"] {
        let place = Place::new();
        let mut pty = Pty::start(&place.command(&[]), 100, 40);
        pty.sees("Where are requests to go?");
        pty.press("http://127.0.0.1:1/v1\r");
        pty.sees("Its key (not shown");
        pty.signal(signal);
        let (code, is_as_before) = pty.end_with_terminal();
        assert!(is_as_before && code > 128, "{signal}: {code}");
    }
}
