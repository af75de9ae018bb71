//! The binary in a terminal of its own: keys go in, and the screen is read as a terminal shows it.

use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the terminal shows, and all bytes that it was sent.
struct Shown {
    parser: vt100::Parser,
    bytes: Vec<u8>,
    ended: bool,
}

/// A process in a terminal.
pub(crate) struct Pty {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    shown: Arc<(Mutex<Shown>, Condvar)>,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: 0,
        pixel_height: 0,
    }
}

fn number(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

impl Pty {
    /// Starts a command, with its arguments, folder and environment, in a terminal.
    pub(crate) fn start(command: &Command, columns: u16, rows: u16) -> Self {
        let pair = native_pty_system().openpty(size(columns, rows)).unwrap();
        let mut builder = CommandBuilder::new(command.get_program());
        builder.args(command.get_args());
        builder.cwd(command.get_current_dir().unwrap());
        builder.env_clear();
        builder.env("TERM", "xterm-256color");
        for (name, value) in command.get_envs() {
            builder.env(name, value.unwrap());
        }
        let child = pair.slave.spawn_command(builder).unwrap();
        let shown = Arc::new((
            Mutex::new(Shown {
                parser: vt100::Parser::new(number(rows), number(columns), 1_000),
                bytes: Vec::new(),
                ended: false,
            }),
            Condvar::new(),
        ));
        let mut output = pair.master.try_clone_reader().unwrap();
        let there = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            loop {
                let read = output.read(&mut bytes).unwrap_or(0);
                let (shown, changed) = &*there;
                let mut shown = shown.lock().unwrap();
                shown.parser.process(&bytes[..read]);
                shown.bytes.extend(&bytes[..read]);
                shown.ended = read == 0;
                changed.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Self {
            keys: pair.master.take_writer().unwrap(),
            master: pair.master,
            child,
            shown,
        }
    }

    /// Presses keys, as the bytes that a terminal sends for them.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Types a line and presses Enter.
    pub(crate) fn type_line(&mut self, line: &str) {
        self.press(line);
        self.sees(line);
        self.press("\r");
    }

    /// Waits until the screen shows this.
    #[track_caller]
    pub(crate) fn sees(&self, words: &str) {
        self.sees_when(words, |screen| screen.contains(words));
    }

    /// Waits until the screen is so.
    #[track_caller]
    pub(crate) fn sees_when(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        self.shows(what, |screen| is_so(&screen.contents()));
    }

    /// Waits until the terminal is so.
    #[track_caller]
    pub(crate) fn shows(&self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        let (shown, changed) = &*self.shown;
        let mut shown = shown.lock().unwrap();
        loop {
            let screen = shown.parser.screen();
            if is_so(screen) {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !shown.ended,
                "{what:?} never came; the screen is:\n{}",
                screen.contents()
            );
            shown = changed.wait_timeout(shown, left).unwrap().0;
        }
    }

    /// Waits as a person who reads does: until nothing new was shown for long enough that what is typed
    /// then is about what is there.
    pub(crate) fn reads(&self) {
        const PAUSE: Duration = Duration::from_millis(500);
        let (shown, changed) = &*self.shown;
        let mut shown = shown.lock().unwrap();
        loop {
            let (now, waited) = changed.wait_timeout(shown, PAUSE).unwrap();
            shown = now;
            if waited.timed_out() {
                return;
            }
        }
    }

    /// What the screen shows now.
    pub(crate) fn screen(&self) -> String {
        self.shown.0.lock().unwrap().parser.screen().contents()
    }

    /// Does something while the process is stopped, so that it finds all of it at once.
    pub(crate) fn while_stopped(&mut self, act: impl FnOnce(&mut Self)) {
        self.signal("-STOP");
        act(self);
        self.signal("-CONT");
    }

    /// Sends the process a signal.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test signals the program under test"
    )]
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.process_id().unwrap().to_string();
        let sent = Command::new("kill").args([name, pid.as_str()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the process to end by itself; gives its exit code, and whether the terminal gathers and
    /// shows lines as it did.
    pub(crate) fn end_with_terminal(mut self) -> (u32, bool) {
        let code = self.child.wait().unwrap().exit_code();
        let flags = self.master.get_termios().unwrap().local_flags;
        let flags = format!("{flags:?}");
        let has = |name: &str| flags.split(['(', ')', ' ', '|']).any(|flag| flag == name);
        (code, has("ECHO") && has("ICANON") && has("ISIG"))
    }

    /// Whether a screen of its own is shown, beside which the terminal keeps what was there.
    pub(crate) fn is_full(&self) -> bool {
        let shown = self.shown.0.lock().unwrap();
        shown.parser.screen().alternate_screen()
    }

    /// Whether the terminal says what is pasted.
    pub(crate) fn tells_pastes(&self) -> bool {
        let shown = self.shown.0.lock().unwrap();
        shown.parser.screen().bracketed_paste()
    }

    /// All bytes that the terminal was sent.
    pub(crate) fn bytes(&self) -> String {
        String::from_utf8_lossy(&self.shown.0.lock().unwrap().bytes).into_owned()
    }

    /// Changes the size of the terminal.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let mut shown = self.shown.0.lock().unwrap();
        shown
            .parser
            .screen_mut()
            .set_size(number(rows), number(columns));
        self.master.resize(size(columns, rows)).unwrap();
    }

    /// Kills the process as nothing can be survived.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the process to end by itself; gives its exit code.
    pub(crate) fn end(mut self) -> u32 {
        self.child.wait().unwrap().exit_code()
    }
}

/// A face of a test that failed starts no host any more.
impl Drop for Pty {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
    }
}
