//! What a person types in a real terminal: messages that wait, commands of one's own, paths, history,
//! images.

use crate::provider::{Answer, Provider, results};
use crate::pty::Pty;
use crate::run::{Place, wait_for};
use crate::screen::{ESC, HELD, bash, open, open_with, said};

/// A folder with a program that reads the clipboard, before all others.
fn with_clipboard(place: &Place, program: &str, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = place.home().join("programs");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(program);
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder.display().to_string()
}

#[test]
fn the_image_in_the_clipboard_is_attached_by_whatever_reads_it() {
    let provider = Provider::start(|_| Answer::Reply("seen", vec![]));
    let place = Place::new();
    let printf = "printf '\\211PNG\\r\\n\\032\\n and more'";
    let folder = with_clipboard(&place, "wl-paste", printf);
    let mut pty = open_with(&place, &provider, &[], |command| {
        let mut set = command.get_envs();
        let path = set.find_map(|(name, value)| value.filter(|_| name == "PATH"));
        let others = path.unwrap().to_str().unwrap().to_owned();
        drop(set);
        command.env("PATH", format!("{folder}:{others}"));
    });
    pty.sees("say what to do");
    pty.press("look at \x16");
    pty.sees("› look at [image clipboard]");
    pty.press("\r");
    pty.sees("seen");
    let asked = provider.requests()[0]["messages"][0]["content"].to_string();
    assert!(asked.contains("image/png"), "{asked}");
    let none = "echo 'No suitable type of content' >&2; exit 1";
    with_clipboard(&place, "wl-paste", none);
    pty.press("\x16");
    pty.sees("no image is attached, the clipboard holds none");
    pty.kill();
}

#[test]
fn a_long_paste_that_the_terminal_does_not_tell_is_all_there_without_another_key() {
    for arguments in [&[] as &[&str], &["--full-screen"]] {
        let provider = Provider::start(|_| Answer::Reply("read it", vec![]));
        let place = Place::new();
        let mut pty = open(&place, &provider, arguments);
        pty.sees("say what to do");
        let long = "of words ".repeat(400);
        pty.press(&format!("{long}the end"));
        pty.sees("the end");
        pty.press("\r");
        pty.sees("read it");
        assert!(said(&provider.requests()[0]).contains(&format!("{long}the end")));
        pty.kill();
    }
}

#[test]
fn messages_that_wait_are_taken_back_edited_and_put_in_another_order() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("", bash(HELD)),
        _ => Answer::Reply("heard", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("do it please");
    wait_for(&place, "started");
    for message in ["look wrong", "then one", "then two"] {
        pty.press(message);
        pty.sees(&format!("› {message}"));
        pty.press("\t");
        pty.sees(&format!("↳ {message}  (queued"));
    }
    pty.type_line("/queue up 3");
    pty.sees_when("another order", |screen| {
        let place = |words| screen.find(words);
        place("↳ then one  (queued") > place("↳ then two  (queued")
    });
    pty.type_line("/queue drop 1");
    pty.sees("it is dropped");
    pty.press("\x1b[A");
    pty.sees("› then one");
    pty.press(" more\t");
    pty.sees("↳ then one more  (queued");
    place.write("go", "");
    pty.sees_when("all answers", |screen| screen.matches("heard").count() >= 5);
    let requests = provider.requests();
    let last = said(requests.last().unwrap());
    let (two, one) = (last.find("then two"), last.find("then one more"));
    assert!(two.is_some() && two < one, "{last}");
    assert!(!last.contains("look wrong"), "{last}");
    assert_eq!(last.matches("then").count(), 2, "{last}");
    pty.kill();
}

#[test]
fn a_command_of_the_persons_own_runs_and_the_model_is_told_with_the_next_message() {
    let provider = Provider::start(|_| Answer::Reply("I see", vec![]));
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("! touch mine; printf '\\033[2Jred\\n'; exit 3");
    pty.sees("    red\n    (exit code 3");
    pty.sees("(note: heard with your next message)");
    assert!(place.work().join("mine").exists());
    pty.type_line("!trap '' TERM; touch begun; sleep 300");
    wait_for(&place, "begun");
    pty.sees("(yours; Esc stops it)");
    pty.press(ESC);
    pty.sees("killed by signal 9");
    assert!(provider.requests().is_empty());
    pty.type_line("what was that?");
    pty.sees("I see");
    let told = said(&provider.requests()[0]);
    assert!(told.contains("I ran this command myself"), "{told}");
    assert!(
        told.find("exit code 3") < told.find("what was that?"),
        "{told}"
    );
    assert!(!pty.bytes().contains("\x1b[2Jred"));
    pty.kill();
}

#[test]
fn paths_are_offered_behind_an_at_and_taken_with_a_key() {
    let provider = Provider::start(|_| Answer::Reply("read", vec![]));
    let place = Place::new();
    place.write(".gitignore", "built/\n");
    place.write("src/parse.rs", "");
    place.write("src/part/one.rs", "");
    place.write("built/parse.o", "");
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.press("look at @par");
    pty.sees("▸ src/part/");
    pty.sees("src/parse.rs");
    assert!(!pty.screen().contains("parse.o"), "{}", pty.screen());
    pty.press("\x1b[B\t");
    pty.sees("› look at @src/parse.rs");
    pty.press("and @one\r");
    pty.sees("› look at @src/parse.rs and @src/part/one.rs");
    pty.press("\r");
    pty.sees("read");
    assert!(said(&provider.requests()[0]).contains("look at @src/parse.rs and @src/part/one.rs"));
    pty.kill();
}

#[test]
fn what_was_said_in_another_session_is_found_and_edited_in_an_editor() {
    let provider = Provider::start(|_| Answer::Reply("heard", vec![]));
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("mend the frobnicator");
    pty.sees("heard");
    pty.press("\x04");
    pty.sees("the session is kept");
    pty.end();
    place.write(
        "editor",
        "cat \"$2\"; echo; echo in the editor; echo \"$1\" >> \"$2\"; read line; echo \"got $line\"\n",
    );
    let editor = format!("sh {} gently", place.work().join("editor").display());
    let mut command = place.command(&["--model", "anthropic/double"]);
    command
        .env("ANTHROPIC_BASE_URL", &provider.url)
        .env("ANTHROPIC_API_KEY", "key")
        .env("VISUAL", &editor);
    let mut pty = Pty::start(&command, 100, 40);
    pty.sees("say what to do");
    pty.press("\x12frob");
    pty.sees("▸ mend the frobnicator");
    pty.press("\r");
    pty.sees("› mend the frobnicator");
    pty.press("\x07");
    pty.sees("in the editor");
    pty.press("abc\r");
    pty.sees("got abc");
    pty.sees("  gently");
    pty.press(" please\r");
    pty.sees("heard");
    let told = said(&provider.requests()[1]);
    assert!(
        told.contains("mend the frobnicator\\ngently please"),
        "{told}"
    );
    pty.kill();
}

#[test]
fn a_pasted_path_of_an_image_is_sent_as_the_image() {
    let provider = Provider::start(|_| Answer::Reply("seen", vec![]));
    let place = Place::new();
    place.write("my shot.png", b"\x89PNG\r\n\x1a\n and more");
    place.write("words.png", "no image");
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.press(&format!("look at {ESC}[200~my\\ shot.png{ESC}[201~"));
    pty.sees("› look at [image my shot.png]");
    pty.press(&format!(" not {ESC}[200~words.png{ESC}[201~"));
    pty.sees("not words.png");
    pty.sees("it is no png, jpeg, gif or webp");
    pty.press("\r");
    pty.sees("seen");
    let told = said(&provider.requests()[0]);
    assert!(
        told.contains("look at [image 1: my shot.png] not words.png"),
        "{told}"
    );
    assert!(
        told.contains("image/png") && told.contains("iVBORw0KGgogYW5kIG1vcmU="),
        "{told}"
    );
    pty.kill();
}

#[test]
fn enter_queues_where_the_person_wants_it_so() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("", bash(HELD)),
        _ => Answer::Reply("heard", vec![]),
    });
    let place = Place::new();
    place.config("follow_up = \"queue\"\n");
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("do it please");
    wait_for(&place, "started");
    pty.sees("Enter queues · Tab steers");
    pty.type_line("then this");
    pty.sees("↳ then this  (queued: heard after the turn)");
    pty.kill();
    let mut pty = open(&place, &provider, &["--continue", "--follow-up", "steer"]);
    pty.sees("Enter steers · Tab queues");
    pty.type_line("look left");
    pty.sees("↳ look left  (steer: heard at the next step)");
    place.write("go", "");
    pty.sees("steered: heard from this step on");
    pty.kill();
}
