//! What outlives a screen and a host: work goes on without its terminal, and what was asked is still asked after a crash.

use crate::provider::{Answer, Provider, results};
use crate::run::{Place, wait_for};
use crate::screen::{ESC, HELD, bash, open, said};

#[test]
fn a_task_goes_on_without_its_terminal_and_a_new_one_joins_it() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("I begin.", bash(HELD)),
        _ => Answer::Reply("gone on", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("a long task");
    wait_for(&place, "started");
    pty.sees("● bash");
    pty.kill();
    let mut pty = open(&place, &provider, &["--continue"]);
    pty.sees("› a long task");
    pty.sees("I begin.");
    pty.sees("● bash");
    pty.type_line("are you there?");
    pty.sees("↳ are you there?  (steer: heard at the next step)");
    pty.press("\x04");
    pty.sees("it works on without this screen");
    assert_eq!(pty.end(), 0);
    let pty = open(&place, &provider, &["--continue"]);
    pty.sees("● bash");
    place.write("go", "");
    pty.sees("gone on");
    assert!(said(&provider.requests()[1]).contains("are you there?"));
    pty.kill();
}

#[test]
fn a_host_that_is_killed_under_a_screen_is_followed_by_another_and_the_task_goes_on() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply(
            "I begin.",
            bash("echo ran >> log; touch started; sleep 300"),
        ),
        _ => Answer::Reply("gone on", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("a long task");
    wait_for(&place, "started");
    pty.sees("● bash");
    place.kill_host();
    pty.sees("lost in a crash; it is not run again");
    pty.sees("gone on");
    assert_eq!(place.read("log"), "ran\n");
    pty.type_line("and now?");
    pty.sees_when("a second answer", |screen| {
        screen.matches("gone on").count() == 2
    });
    pty.kill();
}

#[test]
fn a_question_outlives_the_host_that_asked_it() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("", bash("touch made")),
        _ => Answer::Reply("it is there", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &["--approve", "ask"]);
    pty.sees("say what to do");
    pty.type_line("make it");
    pty.sees("bash asks to run:");
    place.kill_host();
    pty.sees("cut short: its process ended");
    pty.sees_when("the question again", |screen| {
        let after = screen.split("cut short: its process ended").nth(1);
        after.is_some_and(|after| after.contains("touch made") && after.contains("  y once"))
    });
    // Alt answers at once.
    pty.press(&format!("{ESC}y"));
    pty.sees("allowed once: bash touch made");
    pty.sees("it is there");
    assert!(place.work().join("made").exists());
    pty.kill();
}
