//! A person who looks elsewhere is told, by bytes that the terminal gets, and only where that was asked
//! for.

use serde_json::{Value, json};

use crate::host::World;
use crate::provider::{Answer, results};
use crate::pty::Pty;
use crate::run::wait_until;

const FOCUS_LOST: &str = "\x1b[O";
const FOCUS_GAINED: &str = "\x1b[I";
const ASKS: &str = "\x1b]9;work: asks whether it may run: echo ran\x1b\\\x07";
const DONE: &str = "\x1b]9;work: is done\x1b\\\x07";

fn world(settings: &str) -> World {
    let world = World::new(|request: &Value| match results(request) {
        0 => Answer::Reply("", vec![("bash", json!({"command": "echo ran"}))]),
        _ => Answer::Reply("It is done.", vec![]),
    });
    world
        .place
        .config(&format!("approvals = \"ask\"\n{settings}"));
    world
}

fn open(world: &World, arguments: &[&str]) -> Pty {
    let mut all = vec!["-m", "anthropic/double"];
    all.extend(arguments);
    Pty::start(&world.command(&all), 100, 30)
}

#[test]
fn a_question_and_the_end_are_told_while_the_terminal_has_no_focus() {
    let world = world("notify = \"both\"\n");
    let mut pty = open(&world, &[]);
    pty.sees("say what to do");
    assert!(pty.bytes().contains("\x1b[?1004h"));
    pty.press(FOCUS_LOST);
    pty.type_line("do it please");
    wait_until("the question is told", || pty.bytes().contains(ASKS));
    pty.sees("  y once");
    pty.press(FOCUS_GAINED);
    pty.press("y\r");
    pty.sees("It is done.");
    pty.sees("· done");
    assert!(!pty.bytes().contains(DONE), "who looks is not told");
    pty.press(FOCUS_LOST);
    pty.type_line("and again");
    wait_until("the end is told", || pty.bytes().contains(DONE));
    pty.press("\x04");
    pty.sees("the session is kept");
    wait_until("the focus is nobody's business any more", || {
        pty.bytes().contains("\x1b[?1004l")
    });
    assert_eq!(pty.end(), 0);
}

#[test]
fn nothing_is_told_unasked() {
    let world = world("");
    let mut pty = open(&world, &[]);
    pty.sees("say what to do");
    pty.press(FOCUS_LOST);
    pty.type_line("do it please");
    pty.sees("  y once");
    let bytes = pty.bytes();
    assert!(!bytes.contains("\x1b]9;") && !bytes.contains('\x07') && !bytes.contains("\x1b[?1004"));
    pty.kill();
}

#[test]
fn another_session_that_asks_is_told_of_on_the_board_and_on_a_screen() {
    const OTHER: &str = "\x1b]9;do it there: asks whether it may run: echo ran\x1b\\\x07";
    let world = world("notify = \"both\"\n");
    let screen = open(&world, &[]);
    screen.sees("say what to do");
    let mut board = Pty::start(&world.command(&["agents"]), 100, 30);
    board.sees("nothing works");
    let session = world.start("do it there");
    world.wait(&session, "needs_you");
    wait_until("the board tells", || board.bytes().contains(OTHER));
    screen.sees("1 other waits for you (F2)");
    wait_until("the screen tells", || screen.bytes().contains(OTHER));
    board.press("q");
    assert_eq!(board.end(), 0);
    screen.kill();
}
