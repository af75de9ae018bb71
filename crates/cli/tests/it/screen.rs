//! The screen in a real terminal: a person types, steers, answers, resizes, and comes back.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::provider::{Answer, Provider, result_texts, results};
use crate::pty::Pty;
use crate::run::{Place, exists, finish, wait_for, wait_until};

pub(crate) const ESC: &str = "\x1b";

/// `quire` in a terminal, against a provider.
pub(crate) fn open(place: &Place, provider: &Provider, arguments: &[&str]) -> Pty {
    open_with(place, provider, arguments, |_| {})
}

/// The same, in an environment that is changed.
pub(crate) fn open_with(
    place: &Place,
    provider: &Provider,
    arguments: &[&str],
    change: impl FnOnce(&mut Command),
) -> Pty {
    let mut all = vec!["--model", "anthropic/double"];
    all.extend(arguments);
    let mut command = place.command(&all);
    command
        .env("ANTHROPIC_BASE_URL", &provider.url)
        .env("ANTHROPIC_API_KEY", "key");
    change(&mut command);
    Pty::start(&command, 100, 40)
}

/// A call of the shell.
pub(crate) fn bash(command: &str) -> Vec<(&'static str, Value)> {
    vec![("bash", json!({"command": command}))]
}

/// Everything that a person said in a request.
pub(crate) fn said(request: &Value) -> String {
    let messages = request["messages"].as_array().unwrap();
    let from_person = messages.iter().filter(|message| message["role"] == "user");
    from_person
        .map(|message| message["content"].to_string())
        .collect()
}

/// A command that runs until the test lets it go on.
pub(crate) const HELD: &str = "touch started; until [ -e go ]; do sleep 0.02; done; echo went on";

#[test]
fn a_task_is_typed_done_and_can_be_gone_on_with() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Slow("I **look** first.", bash("echo one; echo two")),
        _ => Answer::Slow("# Found\nall is `well`", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("how is it?");
    pty.sees("› how is it?");
    pty.sees("I look first.");
    pty.sees("✓ bash echo one; echo two · 2 lines");
    pty.sees("all is well");
    pty.sees("· done ·");
    assert!(!pty.screen().contains("**"), "{}", pty.screen());
    pty.press("\x04");
    pty.sees("the session is kept: quire --resume");
    assert_eq!(pty.end(), 0);
}

#[test]
fn a_first_message_is_said_and_a_mistyped_command_is_not() {
    let provider = Provider::start(|_| Answer::Reply("hello", vec![]));
    let place = Place::new();
    let mut pty = open(&place, &provider, &["say hello"]);
    pty.sees("› say hello");
    pty.sees("· done");
    pty.press("\x1b[A");
    pty.sees_when("the message again", |screen| {
        screen.matches("› say hello").count() == 2
    });
    pty.kill();
    let pty = open(&place, &provider, &["sesions"]);
    pty.sees("there is no command `sesions`");
    assert_eq!(pty.end(), 2);
    let ran = finish(place.command(&[]));
    ran.says(2, &["the screen needs a terminal"]);
    assert_eq!(provider.requests().len(), 1);
}

#[test]
fn steered_and_queued_messages_are_heard_where_they_say() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("", bash(HELD)),
        _ if said(request).contains("then right") => Answer::Reply("both heard", vec![]),
        _ => Answer::Reply("left heard", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("do it please");
    pty.sees("● bash");
    wait_for(&place, "started");
    pty.type_line("look left");
    pty.sees("↳ look left  (steer: heard at the next step)");
    pty.press("then right");
    pty.sees("› then right");
    pty.press("\t");
    pty.sees("↳ then right  (queued: heard after the turn)");
    place.write("go", "");
    pty.sees("both heard");
    let requests = provider.requests();
    assert_eq!(requests.len(), 3);
    let heard: Vec<_> = requests
        .iter()
        .map(|request| {
            let said = said(request);
            (said.contains("look left"), said.contains("then right"))
        })
        .collect();
    assert_eq!(heard, [(false, false), (true, false), (true, true)]);
    pty.sees("steered: heard from this step on");
    pty.sees("was queued: heard after the turn");
    pty.kill();
}

#[test]
fn escape_stops_what_runs_and_the_next_message_begins_anew() {
    let provider = Provider::start(|request| match said(request) {
        said if said.contains("again") => Answer::Reply("begun anew", vec![]),
        _ => Answer::Reply("", bash("touch started; sleep 300; touch late")),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("take long");
    wait_for(&place, "started");
    pty.sees("● bash");
    pty.press(ESC);
    pty.sees("! stopped");
    pty.sees("say what to do");
    assert_eq!(provider.requests().len(), 1);
    pty.type_line("again please");
    pty.sees("begun anew");
    assert!(!place.work().join("late").exists());
    pty.press("\x03");
    pty.sees("Ctrl+C once more leaves");
    pty.press("\x03");
    pty.sees("the session is kept");
    assert_eq!(pty.end(), 0);
}

#[test]
fn questions_are_answered_with_a_key_or_a_reason() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("", bash("touch made")),
        1 => Answer::Reply("", bash("touch unwanted")),
        _ => Answer::Reply("understood", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &["--approve", "ask"]);
    pty.sees("say what to do");
    pty.type_line("make it");
    pty.sees("bash asks to run:");
    pty.sees("touch made");
    pty.sees("why:");
    pty.sees("  y once");
    // What is typed is no answer, however it begins.
    pty.press("yes, but");
    pty.sees("› yes, but");
    pty.press("\x15y");
    pty.sees("Enter allows it, this once");
    pty.press("\r");
    pty.sees("allowed once: bash touch made");
    pty.sees_when("the next question", |screen| {
        screen.contains("touch unwanted") && screen.contains("  y once")
    });
    pty.press("n ");
    pty.sees("no, because ›");
    pty.type_line("the folder is full");
    pty.sees("not allowed: bash touch unwanted");
    pty.sees("understood");
    assert!(place.work().join("made").exists());
    assert!(!place.work().join("unwanted").exists());
    let told = result_texts(provider.requests().last().unwrap());
    assert!(told.contains("the folder is full"), "{told}");
    pty.kill();
}

#[test]
fn what_is_allowed_always_is_not_asked_in_the_next_session() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("", bash("git status --short")),
        _ => Answer::Reply("looked", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &["--approve", "ask"]);
    pty.sees("say what to do");
    pty.type_line("look");
    pty.sees("touches: writes in ");
    pty.sees("  y once");
    pty.press("a");
    pty.sees("Enter allows whatever begins with");
    pty.press("\r");
    pty.sees("allows it from now on, in all folders");
    pty.sees("looked");
    pty.press("\x04");
    pty.sees("the session is kept");
    assert_eq!(pty.end(), 0);
    let mut pty = open(&place, &provider, &["--approve", "ask"]);
    pty.sees("say what to do");
    pty.type_line("look");
    pty.sees("looked");
    assert!(!pty.bytes().contains("asks to run"));
    pty.kill();
}

#[test]
fn after_a_storm_of_sizes_the_screen_is_whole() {
    let provider = Provider::start(|_| Answer::Reply("first line\n\n漢字 last line", vec![]));
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("hello there");
    pty.sees("· done");
    for number in 0..40_u16 {
        pty.resize(3 + number * 7 % 120, 1 + number * 5 % 50);
    }
    pty.resize(90, 30);
    let once = |screen: &str, words: &str| screen.matches(words).count() == 1;
    pty.sees_when("all of it, once", |screen| {
        let words = [
            "hello there",
            "first line",
            "漢字 last line",
            "say what to do",
        ];
        words.iter().all(|words| once(screen, words)) && once(screen, &"─".repeat(90))
    });
    pty.press("still typing");
    pty.sees("› still typing");
    pty.kill();
}

#[test]
fn a_key_and_a_new_size_at_once_are_both_seen() {
    let provider = Provider::start(|_| Answer::Reply("never", vec![]));
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.while_stopped(|pty| {
        pty.press("both");
        pty.resize(70, 20);
    });
    pty.sees_when("the key in the new size", |screen| {
        screen.contains("› both") && screen.lines().any(|line| line == "─".repeat(70))
    });
    pty.kill();
}

#[test]
fn foreign_escape_sequences_do_nothing() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply(
            "say \x1b]0;owned\x07\x1b[2J\x1b[31mhello",
            bash("printf '\\033[2J\\033]0;owned\\007\\033[8mred\\n\\rx\\n'; exit 3"),
        ),
        _ => Answer::Reply("over", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("try it out");
    pty.sees("over");
    pty.sees("say hello");
    pty.sees("exit 3");
    pty.sees("› try it out");
    // The one question that the screen asks of the terminal is its own.
    let bytes = pty.bytes().replacen("\x1b]11;?\x1b\\", "", 1);
    for harm in ["owned\x07", "\x1b]", "\x1b[2J", "\x1b[8m"] {
        assert!(!bytes.contains(harm), "{harm:?}");
    }
    pty.kill();
}

#[test]
fn a_large_paste_is_a_sign_on_the_screen_and_whole_in_the_journal() {
    let provider = Provider::start(|_| Answer::Reply("read it", vec![]));
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    let large = "0123456789abcde\n".repeat(1 << 16);
    pty.press(&format!("see: {ESC}[200~{large}{ESC}[201~"));
    pty.sees("› see: [paste 1: 65,536 lines]");
    pty.press("\r");
    pty.sees("read it");
    pty.press("\x04");
    pty.sees("the session is kept");
    pty.end();
    let listed = finish(place.command(&["sessions", "list", "--limit", "1"]));
    let id = listed
        .out
        .lines()
        .nth(1)
        .and_then(|line| line.split_whitespace().next());
    let journal = finish(place.command(&["sessions", "export", id.unwrap()]));
    assert!(journal.out.contains(&large.replace('\n', "\\n")));
}

#[test]
fn a_screen_starts_no_host_in_the_place_of_one_that_was_ended_before_something_is_said() {
    let provider = Provider::start(|_| Answer::Reply("heard", vec![]));
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("hello there");
    pty.sees("heard");
    let host = place.host();
    finish(place.command(&["serve", "--stop"])).says(0, &["the host ends"]);
    wait_until("the host ended", || {
        !exists(&place.home().join("quire/data/host/socket"))
    });
    wait_until("its process ended", || {
        !exists(Path::new(&format!("/proc/{host}")))
    });
    pty.type_line("hello again");
    pty.sees_when("a second answer", |screen| {
        screen.matches("heard").count() == 2
    });
    assert_ne!(place.host(), host);
    pty.kill();
}

#[test]
fn commands_complete_and_unknown_ones_say_so() {
    let provider = Provider::start(|_| Answer::Reply("never", vec![]));
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.press("/cont");
    pty.sees("show what fills the context");
    pty.press("\t\r");
    pty.sees("kept for the answer");
    pty.type_line("/effort max");
    pty.sees("from the next request on: effort max");
    pty.sees("anthropic/double · max");
    pty.type_line("/nonsense");
    pty.sees("there is no command /nonsense");
    pty.press("\x03");
    pty.type_line("/sessions");
    pty.sees("Sessions of this folder");
    pty.type_line("/quit");
    pty.sees("the session is kept");
    assert_eq!(pty.end(), 0);
    assert!(provider.requests().is_empty());
}

#[test]
fn the_theme_fits_the_terminal_and_another_is_drawn_at_once() {
    let provider = Provider::start(|_| Answer::Reply("run `ls` here", vec![]));
    let place = Place::new();
    let mut command = place.command(&["--model", "anthropic/double"]);
    command
        .env("ANTHROPIC_BASE_URL", &provider.url)
        .env("ANTHROPIC_API_KEY", "key")
        .env("COLORTERM", "truecolor")
        .env("COLORFGBG", "15;0");
    let mut pty = Pty::start(&command, 100, 40);
    pty.sees("say what to do");
    pty.type_line("how do I list files?");
    pty.sees("· done");
    let (dark, light) = ("\x1b[38;2;135;215;215mls", "\x1b[38;2;0;86;102mls");
    assert!(pty.bytes().contains(dark), "{}", pty.bytes());
    assert!(!pty.bytes().contains(light));
    pty.type_line("/theme light");
    pty.sees("`quire config set theme light` keeps it");
    assert!(pty.bytes().contains(light), "{}", pty.bytes());
    pty.type_line("/theme blue");
    pty.sees("which one? /theme NAME");
    pty.kill();
    finish(place.command(&["config", "set", "theme", "none"])).says(0, &[]);
    command.env("COLORTERM", "truecolor");
    let mut pty = Pty::start(&command, 100, 40);
    pty.sees("say what to do");
    pty.type_line("how do I list files?");
    pty.sees("· done");
    assert!(!pty.bytes().contains("\x1b[38"), "{}", pty.bytes());
    pty.kill();
}

#[test]
fn a_full_screen_scrolls_and_leaves_the_terminal_as_it_was() {
    let long: Vec<String> = (0..100)
        .map(|number| format!("line {number} 漢字"))
        .collect();
    let long: &str = long.join("\n").leak();
    let provider = Provider::start(move |request| match said(request) {
        said if said.contains("again") => Answer::Reply("the last 👧 answer", vec![]),
        _ => Answer::Reply(long, vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &["--full-screen"]);
    pty.sees("say what to do");
    assert!(pty.bytes().contains("\x1b[?1049h"));
    pty.type_line("count for me");
    pty.sees("· done");
    pty.sees_when("the end", |screen| {
        screen.contains("line 99 漢字") && !screen.contains("line 20 漢字")
    });
    pty.press("\x1b[5~");
    pty.sees("lines below · End");
    pty.press("\x1b[<64;5;5M");
    pty.press("\x1b[H");
    pty.sees_when("the start", |screen| {
        screen.contains("› count for me") && screen.contains("line 20 漢字")
    });
    pty.type_line("/find line 77");
    pty.sees("line 77 漢字");
    pty.press("\x1b[F");
    pty.sees("line 99 漢字");
    for number in 0..40_u16 {
        pty.resize(3 + number * 7 % 120, 1 + number * 5 % 50);
    }
    pty.resize(90, 30);
    pty.sees_when("all of it, once", |screen| {
        let once = |words: &str| screen.matches(words).count() == 1;
        once("line 99 漢字") && once("say what to do") && once(&"─".repeat(90))
    });
    pty.type_line("and again please");
    pty.sees("the last 👧 answer");
    pty.sees_when("the end of the turn", |screen| {
        screen.matches("· done").count() == 2
    });
    assert!(pty.bytes().rfind("\x1b[?1049l").is_none());
    pty.press("\x04");
    pty.sees_when("the last exchange on the screen as it was", |screen| {
        screen.contains("the session is kept")
            && screen.contains("› and again please")
            && screen.contains("the last 👧 answer")
            && !screen.contains("line 99")
            && !screen.contains("say what to do")
    });
    assert!(!pty.is_full());
    for mode in ["1000", "1006", "1049"] {
        let bytes = pty.bytes();
        let off = bytes.matches(&format!("\x1b[?{mode}l")).count();
        assert_eq!(off, 1, "{mode}");
    }
    assert_eq!(pty.end(), 0);
    finish(place.command(&["config", "set", "screen", "full"])).says(0, &[]);
    let mut pty = open(&place, &provider, &["--continue"]);
    pty.sees("the last 👧 answer");
    assert!(pty.is_full());
    pty.press("\x1b[1;5H");
    pty.sees("› count for me");
    pty.kill();
}

#[test]
fn plain_lines_are_never_drawn_over() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Slow("I **look** first.", bash("touch made")),
        1 => Answer::Reply("", bash("touch unwanted")),
        _ => Answer::Slow("# Found\nall is `well`", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &["--plain", "--approve", "ask"]);
    pty.sees("say what to do");
    pty.press("/comp\t");
    pty.sees("/compact");
    pty.press("\x15");
    pty.type_line("how is it?");
    pty.sees("bash asks to run:\n    touch made");
    pty.sees("y once");
    pty.reads();
    pty.type_line("perhaps");
    pty.sees("please answer with");
    pty.reads();
    pty.press("y\r");
    pty.sees("✓ bash touch made");
    pty.sees("touch unwanted");
    pty.reads();
    pty.type_line("n too many files");
    pty.sees("all is well");
    pty.sees("· done ·");
    let told = result_texts(provider.requests().last().unwrap());
    assert!(told.contains("too many files"), "{told}");
    pty.type_line("/quit");
    pty.sees("the session is kept");
    let bytes = pty.bytes();
    let asked = ["\x1b[?2004h", "\x1b[?2004l"];
    assert_eq!(asked.map(|asked| bytes.matches(asked).count()), [1, 1]);
    assert_eq!(bytes.matches('\x1b').count(), 2, "{bytes}");
    assert_eq!(pty.end(), 0);
    assert!(!place.work().join("unwanted").exists());
}

#[test]
fn a_pause_at_a_limit_says_so_and_goes_on_once_it_is_raised() {
    let provider = Provider::start(|request| match results(request) {
        0 => Answer::Reply("I begin.", bash("touch made")),
        _ => Answer::Reply("gone on", vec![]),
    });
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("/budget tokens=1 turns=100");
    pty.sees("from the next request on: other limits");
    pty.type_line("begin it");
    pty.sees("paused: the session has used");
    pty.sees("/budget raises a limit");
    assert!(place.work().join("made").exists());
    pty.type_line("/budget tokens=2M");
    pty.sees("gone on");
    pty.type_line("/budget");
    pty.sees("of 2,000,000");
    pty.sees("1 of 100");
    pty.kill();
}

#[test]
fn a_screen_goes_over_to_another_session_of_its_folder() {
    let provider = Provider::start(|request| match said(request) {
        said if said.contains("apples") => Answer::Reply("of apples", vec![]),
        _ => Answer::Reply("of pears", vec![]),
    });
    let place = Place::new();
    for words in ["tell of apples", "tell of pears"] {
        let mut pty = open(&place, &provider, &[words]);
        pty.sees("· done");
        pty.press("\x04");
        pty.sees("the session is kept");
        pty.end();
    }
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("/resume");
    pty.sees_when("both, newest first", |screen| {
        let place = |words| screen.find(words);
        place("tell of pears").is_some() && place("tell of pears") < place("tell of apples")
    });
    pty.type_line("/resume 2");
    pty.sees("this is session");
    pty.sees("› tell of apples");
    pty.type_line("/resume pears");
    pty.sees("› tell of pears");
    pty.type_line("once more");
    pty.sees_when("a second answer", |screen| {
        screen.matches("of pears").count() > 3
    });
    let last = provider.requests().pop().unwrap();
    assert!(said(&last).contains("tell of pears") && !said(&last).contains("apples"));
    pty.type_line("/resume plums");
    pty.sees("no other session of this folder is named plums");
    pty.kill();
}

#[test]
fn the_doctor_comes_to_the_screen() {
    let provider = Provider::start(|_| Answer::Reply("never", vec![]));
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("/doctor");
    pty.sees("anthropic/double");
    pty.sees("sandbox");
    pty.sees("workspace");
    pty.kill();
}

#[test]
fn a_session_in_which_nothing_was_said_is_in_no_list_and_nothing_goes_on_with_it() {
    let provider = Provider::start(|_| Answer::Reply("heard", vec![]));
    let place = Place::new();
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.type_line("the only words");
    pty.sees("· done");
    pty.press("\x04");
    assert_eq!(pty.end(), 0);
    let mut pty = open(&place, &provider, &[]);
    pty.sees("say what to do");
    pty.press("\x04");
    assert_eq!(pty.end(), 0);
    let listed = finish(place.command(&["sessions"])).out;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let mut pty = open(&place, &provider, &["--continue"]);
    pty.sees("› the only words");
    pty.type_line("/sessions");
    pty.sees("Sessions of this folder, newest first");
    assert!(
        !pty.screen().contains("(nothing said yet)"),
        "{}",
        pty.screen()
    );
    pty.kill();
}
