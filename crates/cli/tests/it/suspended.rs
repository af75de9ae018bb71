//! A face before a shell with jobs: stopped by a key or by somebody else, and gone on with.

use crate::provider::{Answer, Provider};
use crate::pty::Pty;
use crate::run::{Place, finish, with_program};

/// Runs a face as a job. Once that is stopped the terminal is as a shell that edits lines would have it, a line is
/// read, and then the face goes on.
const SHELL: &str = r#"sh -c 'echo $$ > pid; exec "$0" "$@"' "$0" "$@"
stty sane; printf '\033[?2004l'; echo it is stopped
read -r line; echo "$line" > heard; fg; echo it is over"#;

/// `quire` before a shell.
fn before_a_shell(place: &Place, provider: &Provider, arguments: &[&str]) -> Pty {
    let quire = place.command(&[]);
    let mut all = vec!["-mc", SHELL, quire.get_program().to_str().unwrap()];
    all.extend(arguments);
    let mut command = with_program(&quire, "sh", &all);
    command
        .env("QUIRE_MODEL", "anthropic/double")
        .env("ANTHROPIC_BASE_URL", &provider.url)
        .env("ANTHROPIC_API_KEY", "key");
    Pty::start(&command, 100, 40)
}

/// Stops a face, which has something in its input, and goes on with it.
fn stop_and_go_on(arguments: &[&str], stop: impl Fn(&Place, &mut Pty)) {
    let provider = Provider::start(|_| Answer::Reply("I see", vec![]));
    let place = Place::new();
    let mut pty = before_a_shell(&place, &provider, arguments);
    pty.sees("say what to do");
    pty.press("half a ");
    pty.sees("half a");
    pty.reads();
    stop(&place, &mut pty);
    pty.press("for the shell\r");
    pty.shows("the face again", |screen| {
        screen.bracketed_paste() && screen.contents().contains("half a")
    });
    assert_eq!(place.read("heard"), "for the shell\n", "{arguments:?}");
    pty.press("line\r");
    pty.sees("I see");
    pty.press("\x04");
    pty.sees("it is over");
    assert!(!pty.is_full() && !pty.tells_pastes(), "{arguments:?}");
    assert_eq!(pty.end_with_terminal(), (0, true), "{arguments:?}");
    let said = provider.requests()[0]["messages"].to_string();
    assert!(said.contains("half a line"), "{arguments:?}: {said}");
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_over_again() {
    for arguments in [&["--plain"] as &[&str], &[], &["--full-screen"]] {
        stop_and_go_on(arguments, |_, pty| {
            pty.press("\x1a");
            pty.sees("it is stopped");
            assert!(!pty.is_full() && !pty.tells_pastes(), "{arguments:?}");
        });
    }
}

#[test]
fn a_screen_that_somebody_else_stops_takes_the_terminal_over_again() {
    for arguments in [&[] as &[&str], &["--full-screen"]] {
        stop_and_go_on(arguments, |place, pty| {
            let pid = place.read("pid");
            let kill = with_program(&place.command(&[]), "kill", &["-STOP", pid.trim()]);
            finish(kill).says(0, &[]);
            pty.sees("it is stopped");
        });
    }
}

#[test]
fn the_board_is_stopped_by_ctrl_z_too() {
    let provider = Provider::start(|_| Answer::Reply("I see", vec![]));
    let place = Place::new();
    let mut pty = before_a_shell(&place, &provider, &["agents"]);
    pty.sees("q leave");
    pty.press("\x1a");
    pty.sees("it is stopped");
    assert!(!pty.is_full() && !pty.tells_pastes());
    pty.press("x\r");
    pty.sees("q leave");
    pty.press("q");
    pty.sees("it is over");
    assert_eq!(pty.end_with_terminal(), (0, true));
}
