//! Two screens on one session, and what a screen keeps for a session that works.

use crate::provider::{Answer, Provider, results};
use crate::run::{Place, wait_for, wait_until};
use crate::screen::{HELD, bash, open};

#[test]
fn a_question_that_is_answered_on_one_screen_is_answered_on_the_other() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("", bash("touch made")),
        _ => Answer::Reply("it is made", vec![]),
    });
    let place = Place::new();
    let mut first = open(&place, &provider, &["--approve", "ask"]);
    first.sees("say what to do");
    first.type_line("make it");
    first.sees("bash asks to run:");
    let mut second = open(&place, &provider, &["--approve", "ask", "--continue"]);
    second.sees("› make it");
    second.sees("bash asks to run:");
    second.sees("  y once");
    assert!(!place.work().join("made").exists());
    second.press("y\r");
    for screen in [&first, &second] {
        screen.sees("allowed once: bash touch made");
        screen.sees("it is made");
        screen.sees("· done");
        assert!(
            !screen.screen().contains("asks to run:"),
            "{}",
            screen.screen()
        );
    }
    // A key that answered is a letter again on both.
    first.press("y");
    first.sees("› y");
    assert_eq!(provider.requests().len(), 2);
    first.kill();
    second.kill();
}

#[test]
fn a_model_that_is_wanted_while_it_works_is_that_of_the_next_turn() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("", bash(HELD)),
        _ => Answer::Reply("went on", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("begin it");
    wait_for(&place, "started");
    pty.type_line("/model anthropic/other");
    pty.sees("from the next turn on, or once you pause this one: model anthropic/other");
    place.write("go", "");
    pty.sees("went on");
    pty.sees("from the next request on: model anthropic/other");
    pty.type_line("and now?");
    wait_until("the next turn", || provider.requests().len() == 3);
    let requests = provider.requests();
    let models: Vec<_> = requests.iter().map(|request| &request["model"]).collect();
    assert_eq!(models, ["double", "double", "other"]);
    pty.kill();
}
