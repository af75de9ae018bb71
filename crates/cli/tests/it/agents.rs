//! The board of all sessions in a real terminal: it lives, answers, steers, stops, opens and comes back.

use serde_json::{Value, json};

use crate::host::World;
use crate::provider::{Answer, results};
use crate::pty::Pty;
use crate::run::{exists, finish, wait_for};

/// A command that runs until the test lets it go on.
const HELD: &str = "touch began; until [ -e go ]; do sleep 0.02; done; echo went on";

/// A model that asks to run what its task names.
fn obedient(request: &Value) -> Answer {
    let said = request["messages"][0]["content"].to_string();
    let command = if said.contains("hold") {
        HELD
    } else {
        "echo ran > ran"
    };
    match results(request) {
        0 if said.contains("talk") => Answer::Reply("just words", vec![]),
        0 => Answer::Reply("I do it.", vec![("bash", json!({"command": command}))]),
        _ => Answer::Reply("It is done.", vec![]),
    }
}

fn board(world: &World) -> Pty {
    Pty::start(&world.command(&["agents"]), 100, 30)
}

#[test]
fn the_board_lives_and_answers_what_was_seen() {
    let world = World::new(obedient);
    world.place.config("approvals = \"ask\"\n");
    let session = world.start("do it now");
    world.wait(&session, "needs_you");
    let mut pty = board(&world);
    pty.sees("Needs you");
    pty.sees("› do it now");
    pty.sees("? bash asks to run:");
    pty.sees("    echo ran > ran");
    assert!(!exists(&world.place.work().join("ran")));
    pty.sees("y once");
    // Another one comes while it is looked at.
    let other = world.start("talk to me");
    world.wait(&other, "done");
    pty.sees("talk to me");
    pty.press("y");
    pty.sees("Enter allows it, this once");
    pty.press("\r");
    pty.sees_when("all is done", |screen| {
        screen.contains("nothing works") && screen.contains("It is done.")
    });
    assert!(exists(&world.place.work().join("ran")));
    pty.press("q");
    assert_eq!(pty.end(), 0);
}

#[test]
fn a_session_is_steered_opened_left_and_stopped_from_the_board() {
    let world = World::new(obedient);
    let session = world.start("hold on please");
    wait_for(&world.place, "began");
    let mut pty = board(&world);
    pty.sees("● bash touch began");
    pty.press("r");
    pty.sees("reply ›");
    pty.press("mind the gap");
    pty.sees("reply › mind the gap");
    pty.press("\r");
    pty.sees("↳ mind the gap  (steer: heard at the next step)");
    assert!(pty.is_full());
    pty.press("\r");
    pty.sees("Enter steers · Tab queues");
    assert!(!pty.is_full());
    // The first key after each change of hands is heard.
    pty.press("x");
    pty.sees("› x");
    pty.press("\x15\x04");
    pty.sees_when("the board again", |screen| {
        screen.contains("1 works") && screen.contains("› hold on please")
    });
    pty.press("s");
    pty.sees("nothing works");
    assert_eq!(world.wait(&session, "done")["detail"], "stopped by person");
    pty.press("q");
    assert_eq!(pty.end(), 0);
}

#[test]
fn a_session_that_a_person_paused_ends_its_step_and_no_host_goes_on_with_it() {
    let world = World::new(obedient);
    let session = world.start("hold on please");
    wait_for(&world.place, "began");
    let mut pty = board(&world);
    pty.sees("● bash touch began");
    pty.press("p");
    pty.sees("pauses after this step");
    pty.sees("· it pauses after this step; what you say takes that back");
    std::fs::write(world.place.work().join("go"), "").unwrap();
    pty.sees("! paused: Enter goes on with it");
    pty.sees_when("a group of its own", |screen| {
        screen.contains("nothing works") && screen.contains("Paused")
    });
    pty.press("q");
    assert_eq!(pty.end(), 0);
    finish(world.command(&["serve", "--stop"])).says(0, &["the host ends"]);
    let detail = world.wait(&session, "paused")["detail"].to_string();
    assert!(detail.contains("by a person"), "{detail}");
    finish(world.command(&["agents", "pause", &session])).says(0, &[]);
    assert_eq!(world.provider.requests().len(), 1);
    finish(world.command(&["agents", "resume", &session])).says(0, &[]);
    world.wait(&session, "done");
    assert!(results(&world.provider.requests()[1]) == 1);
}

#[test]
fn a_session_in_which_nothing_was_said_is_listed_only_while_it_is_open() {
    let world = World::new(obedient);
    let mut pty = Pty::start(&world.command(&["-m", "anthropic/double"]), 100, 30);
    pty.sees("anthropic/double");
    let listed = || finish(world.command(&["agents", "list", "--json"])).out;
    assert!(listed().contains("\"title\":\"\""), "{}", listed());
    pty.press("\x04");
    assert_eq!(pty.end(), 0);
    assert_eq!(listed(), "[]\n");
}

#[test]
fn without_a_terminal_agents_are_listed_and_a_host_that_was_ended_stays_so() {
    let world = World::new(obedient);
    let session = world.start("talk to me");
    world.wait(&session, "done");
    finish(world.command(&["agents"])).says(0, &["talk to me"]);
    let mut dumb = world.command(&["agents"]);
    dumb.env("TERM", "dumb");
    let pty = Pty::start(&dumb, 100, 30);
    pty.sees("just words");
    assert_eq!(pty.end(), 0);
    let mut pty = board(&world);
    pty.sees("just words");
    let host = world.place.host();
    finish(world.command(&["serve", "--stop"])).says(0, &["the host ends"]);
    pty.sees("cannot be reached");
    assert_eq!(world.place.host(), host);
    pty.press("q");
    assert_eq!(pty.end(), 0);
}

#[test]
fn a_session_that_is_gone_over_to_by_its_words_is_no_news() {
    let world = World::new(obedient);
    world
        .place
        .config("approvals = \"ask\"\nnotify = \"desktop\"\n");
    let other = world.start("do it now");
    world.wait(&other, "needs_you");
    let command = world.command(&["-m", "anthropic/double", "talk to me"]);
    let mut pty = Pty::start(&command, 110, 30);
    pty.sees("· done");
    pty.sees("(F2)");
    // The terminal loses the focus: what is news now is told.
    pty.press("\x1b[O");
    pty.type_line("/resume do it now");
    pty.sees("  y once");
    pty.sees_when("nobody else waits", |screen| !screen.contains("(F2)"));
    finish(world.command(&["agents", "say", &other, "and then rest"])).says(0, &[]);
    pty.sees("↳ and then rest");
    let bytes = pty.bytes();
    assert!(!bytes.contains("\x1b]9;"), "{bytes:?}");
    pty.kill();
}

#[test]
fn a_screen_says_who_waits_and_goes_over_to_where_it_works() {
    let world = World::new(obedient);
    world.place.config("approvals = \"ask\"\n");
    let other = world.place.home().join("elsewhere");
    std::fs::create_dir(&other).unwrap();
    let task = ["agents", "start", "-m", "anthropic/double", "do it there"];
    let mut start = world.command(&task);
    start.current_dir(&other);
    let started = finish(start);
    started.says(0, &[]);
    world.wait(started.out.trim(), "needs_you");
    let command = world.command(&["-m", "anthropic/double", "talk to me"]);
    let mut pty = Pty::start(&command, 110, 30);
    pty.sees("just words");
    pty.sees("1 other waits for you (F2) · ");
    // What is typed goes nowhere else.
    pty.press("mine\x1bOQ");
    pty.sees("send or clear what you have typed");
    pty.press("\x15\x1bOQ");
    pty.sees(&format!("this is session {}", started.out.trim()));
    pty.sees("  y once");
    pty.press("n\r");
    pty.sees("It is done.");
    pty.sees_when("nobody else waits", |screen| !screen.contains("(F2)"));
    pty.type_line("! pwd");
    pty.sees("/elsewhere\n");
    pty.type_line("/next");
    pty.sees("no other session waits for you");
    pty.type_line("/agents");
    pty.sees("Done: talk to me  (work)  just words");
    pty.sees("do it there  (elsewhere)");
    pty.sees("or its number, then Enter");
    pty.press("\x1b[B\r");
    pty.sees_when("the first session", |screen| {
        screen.matches("this is session").count() == 2
    });
    pty.kill();
}
