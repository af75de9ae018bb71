//! Commands of the person's own: typed by hand, with the person's shell and rights, and no walls.
//! No model reaches this; what a model runs goes through [`crate::Spawner`].

#![expect(unsafe_code, reason = "a session of its own has no safe form in std")]

use std::io::{self, Read, pipe};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use quire_protocol::CommandEnd;

/// How long a command that is asked to end may take, before it is killed.
const GRACE: Duration = Duration::from_secs(1);
/// How long is waited for the last words of a command that has ended, where something that it left
/// behind could still say more.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What happens to a command.
enum News {
    Printed(Vec<u8>),
    /// Nobody can print any more.
    Silent,
    Ended(io::Result<ExitStatus>),
    Stop,
}

/// Runs a command line with a shell in a folder, and waits for its end. What it prints, on either
/// stream, is handed over as it comes. It has no input and no terminal. What comes by `stop`, or that
/// nobody can stop it any more, stops it and all that it started in its session; a second time, at
/// once.
pub fn run_own(
    shell: &str,
    line: &str,
    folder: &Path,
    stop: Receiver<()>,
    mut printed: impl FnMut(&[u8]),
) -> io::Result<CommandEnd> {
    let (output, into) = pipe()?;
    let mut command = person_command(shell);
    command
        .args(["-c", line])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(into.try_clone()?)
        .stderr(into);
    own_session(&mut command);
    let mut child = command.spawn()?;
    // The pipe's end in this process has to go, or it would never be silent.
    drop(command);
    let group = i32::try_from(child.id()).map_err(io::Error::other)?;
    let (tell, news) = channel();
    let (reader, listener) = (tell.clone(), tell.clone());
    thread::spawn(move || read(output, &reader));
    thread::spawn(move || {
        while stop.recv().is_ok() && listener.send(News::Stop).is_ok() {}
        let _ = listener.send(News::Stop);
    });
    thread::spawn(move || {
        let _ = tell.send(News::Ended(child.wait()));
    });
    follow(&news, group, &mut printed)
}

/// Follows a command to its end.
fn follow(
    news: &Receiver<News>,
    group: i32,
    printed: &mut impl FnMut(&[u8]),
) -> io::Result<CommandEnd> {
    let mut ended: Option<ExitStatus> = None;
    let mut stopping = false;
    loop {
        let patience = match (ended, stopping) {
            (Some(_), _) => LAST_WORDS,
            (None, true) => GRACE,
            (None, false) => Duration::from_hours(1),
        };
        match news.recv_timeout(patience) {
            Ok(News::Printed(bytes)) => printed(&bytes),
            Ok(News::Ended(status)) => ended = Some(status?),
            Ok(News::Stop) if ended.is_none() => {
                signal(
                    group,
                    if stopping {
                        libc::SIGKILL
                    } else {
                        libc::SIGTERM
                    },
                );
                stopping = true;
            }
            Ok(News::Silent) | Err(_) if ended.is_some() => break,
            Err(RecvTimeoutError::Timeout) if stopping => signal(group, libc::SIGKILL),
            Ok(News::Silent | News::Stop) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if stopping {
        // What it started has no say either.
        signal(group, libc::SIGKILL);
    }
    let status = ended.ok_or_else(|| io::Error::other("its end was never told"))?;
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => CommandEnd::Exited { code },
        (None, signal) => CommandEnd::Signalled {
            signal: signal.unwrap_or_default(),
        },
    })
}

fn read(mut output: impl Read, tell: &Sender<News>) {
    let mut bytes = vec![0; 1 << 14];
    // What comes after the end is read too, so that what was left behind can go on printing.
    while let Ok(count @ 1..) = output.read(&mut bytes) {
        let _ = tell.send(News::Printed(bytes[..count].to_vec()));
    }
    let _ = tell.send(News::Silent);
}

/// Opens a file in the person's editor, with the terminal of this process, and waits for its end.
pub fn edit_own(editor: &str, file: &Path) -> io::Result<ExitStatus> {
    // An editor may be a program with arguments, as shells read it.
    let mut command = person_command("/bin/sh");
    command
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(file);
    command.status()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the person's own commands have the person's own rights"
)]
fn person_command(program: &str) -> Command {
    Command::new(program)
}

/// Gives a command a session of its own: without a terminal it could draw on, and with all that it
/// starts in one group.
fn own_session(command: &mut Command) {
    // SAFETY: `setsid` is async-signal-safe and touches no memory.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

fn signal(group: i32, signal: i32) {
    // SAFETY: a plain system call. The group is that of a command that was not waited for, or of
    // what it started.
    unsafe {
        libc::kill(-group, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Runs a line to its end; `on` is called with all that was printed so far.
    fn run(line: &str, on: impl Fn(&str, &Sender<()>)) -> (CommandEnd, String) {
        let (stop, stopped) = channel();
        let all = Mutex::new(Vec::new());
        let end = run_own("/bin/sh", line, Path::new("/"), stopped, |bytes| {
            let mut all = all.lock().unwrap();
            all.extend(bytes);
            on(&String::from_utf8_lossy(&all), &stop);
        });
        let all = all.into_inner().unwrap();
        (end.unwrap(), String::from_utf8_lossy(&all).into_owned())
    }

    #[test]
    fn both_streams_come_in_order_and_the_end_is_told() {
        let (end, printed) = run("pwd; echo oh >&2; echo x; exit 3", |_, _| ());
        assert_eq!(end, CommandEnd::Exited { code: 3 });
        assert_eq!(printed, "/\noh\nx\n");
    }

    #[test]
    fn it_has_no_input_and_no_terminal() {
        let (end, printed) = run(
            "cat; test -t 1 || echo none; : </dev/tty || exit 7",
            |_, _| (),
        );
        assert_ne!(end, CommandEnd::Exited { code: 0 });
        assert!(printed.starts_with("none\n"), "{printed}");
    }

    #[test]
    fn a_stop_ends_all_that_it_started() {
        let line = "trap '' TERM; (trap '' TERM; echo $$ here; sleep 300) & echo up; wait";
        let (end, _) = run(line, |printed, stop| {
            if printed.contains("here") && printed.contains("up") {
                stop.send(()).unwrap();
            }
        });
        assert_eq!(end, CommandEnd::Signalled { signal: 9 });
    }

    #[test]
    fn what_is_left_behind_does_not_hold_the_end_up() {
        let (end, printed) = run("sleep 300 & echo $!", |_, _| ());
        assert_eq!(end, CommandEnd::Exited { code: 0 });
        signal_one(printed.trim().parse().unwrap());
    }

    fn signal_one(process: i32) {
        // SAFETY: a plain system call; the process is a child of the command above.
        unsafe {
            libc::kill(process, libc::SIGKILL);
        }
    }

    #[test]
    fn a_shell_that_is_not_there_is_an_error() {
        let (_stop, stopped) = channel();
        let end = run_own("/no/such/shell", "true", Path::new("/"), stopped, |_| ());
        assert!(end.is_err());
    }
}
