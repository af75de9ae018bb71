//! The terminal itself: raw while the screen is up, and as it was afterwards. Keys are read and
//! frames are written by threads of their own, so that a slow terminal holds nothing else up.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossterm::event::{self, Event};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode, size};
use rustix::io::ioctl_fionread;
use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};
use rustix::stdio::stdin;
use rustix::termios::{LocalModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use crate::ground::{self, Ground, Heard, Listener};
use crate::setup::Room;
use crate::theme::Theme;

/// Bracketed paste, and keys told apart where the terminal can.
const ENTER: &str = "\x1b[?2004h\x1b[>1u";
const LEAVE: &str = "\x1b[<1u\x1b[?2004l\x1b[?25h\x1b[0m";

/// How long the thread that reads keys may take to let them go.
const GRACE: Duration = Duration::from_secs(2);
/// How long after the question an answer may be on its way that nobody waits for any more.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// A screen of its own, and the wheel of the mouse.
const ENTER_FULL: &str = "\x1b[?1049h\x1b[H\x1b[2J\x1b[?1000h\x1b[?1006h";
/// Being told of the focus.
const ENTER_FOCUS: &str = "\x1b[?1004h";
const LEAVE_FOCUS: &str = "\x1b[?1004l";
const LEAVE_FULL: &str = "\x1b[0m\x1b[?1006l\x1b[?1000l\x1b[?1049l";

/// What a terminal tells.
#[derive(Debug)]
pub(crate) enum News {
    /// The person did something.
    Happened(Event),
    /// What the ground is like.
    Ground(Ground),
    /// What was handed over last is written.
    Written,
    /// There is no terminal any more.
    Gone,
}

/// Columns of the terminal; 80 where it does not say.
#[must_use]
pub fn columns() -> usize {
    usize::from(Terminal::size().0)
}

/// A terminal in raw mode; dropping it gives it back.
pub(crate) struct Terminal {
    frames: std::sync::mpsc::Sender<String>,
    written: UnboundedReceiver<io::Result<()>>,
    /// Whether a frame is on its way.
    busy: bool,
    events: UnboundedReceiver<io::Result<News>>,
    gate: Arc<Gate>,
    /// The thread that reads keys.
    reader: thread::JoinHandle<()>,
    /// Whether it has a screen of its own.
    room: Room,
    focus: Focus,
    /// When it was asked for its ground.
    asked: Instant,
    /// Whether it was, and has not answered.
    awaits: Arc<AtomicBool>,
}

/// Whether a terminal says when it gets and loses the focus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Focus {
    /// It does, where it can.
    Told,
    /// Nobody wants to know.
    Untold,
}

/// Where the thread that reads keys waits while somebody else has the terminal.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<Reading>,
    changed: Condvar,
}

/// What the thread that reads keys does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reading {
    /// It reads.
    #[default]
    Reads,
    /// It was asked not to.
    Asked,
    /// It does not.
    Waits,
    /// Nobody wants its keys any more.
    Over,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, Reading> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while somebody else has the terminal; false once nobody wants its keys.
    pub(crate) fn pass(&self) -> bool {
        let mut state = self.state();
        match *state {
            Reading::Reads => return true,
            Reading::Over => return false,
            Reading::Asked | Reading::Waits => *state = Reading::Waits,
        }
        self.changed.notify_all();
        while *state == Reading::Waits {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *state == Reading::Reads
    }

    /// Has the thread wait, which it may only find out once something happens.
    pub(crate) fn close(&self, make_happen: impl FnOnce()) -> bool {
        *self.state() = Reading::Asked;
        make_happen();
        let waits = |state: &mut Reading| *state != Reading::Waits;
        let waited = self.changed.wait_timeout_while(self.state(), GRACE, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *state == Reading::Waits
    }

    pub(crate) fn open(&self) {
        self.set(Reading::Reads);
    }

    /// Has the thread end: nobody wants its keys any more.
    pub(crate) fn end(&self) {
        self.set(Reading::Over);
    }

    fn set(&self, reading: Reading) {
        *self.state() = reading;
        self.changed.notify_all();
    }
}

impl Terminal {
    /// Takes the terminal over, and asks it for its ground where the theme is to fit that.
    pub(crate) fn take(room: Room, focus: Focus, theme: Theme) -> io::Result<Self> {
        enable_raw_mode()?;
        let (frames, to_write) = std::sync::mpsc::channel::<String>();
        let (done, written) = unbounded_channel();
        thread::spawn(move || {
            for frame in to_write {
                if done.send(write(&frame)).is_err() {
                    return;
                }
            }
        });
        let (happened, events) = unbounded_channel();
        let gate = Arc::new(Gate::default());
        let guard = Arc::clone(&gate);
        let awaits = Arc::new(AtomicBool::new(theme.follows()));
        let still = Arc::clone(&awaits);
        let reader = thread::spawn(move || read(&happened, &guard, &still));
        let mut terminal = Self {
            frames,
            written,
            busy: false,
            events,
            gate,
            reader,
            room,
            focus,
            asked: Instant::now(),
            awaits,
        };
        let mut enter = terminal.enter();
        if theme.follows() {
            enter.push_str(ground::ASK);
        }
        terminal.write(enter);
        Ok(terminal)
    }

    fn enter(&self) -> String {
        let full = match self.room {
            Room::Inline => "",
            Room::Full => ENTER_FULL,
        };
        let focus = match self.focus {
            Focus::Told => ENTER_FOCUS,
            Focus::Untold => "",
        };
        [full, focus, ENTER].concat()
    }

    fn leave(&self) -> String {
        let full = match self.room {
            Room::Inline => "",
            Room::Full => LEAVE_FULL,
        };
        let focus = match self.focus {
            Focus::Told => LEAVE_FOCUS,
            Focus::Untold => "",
        };
        [focus, full, LEAVE].concat()
    }

    /// Writes this, and gives the terminal to somebody else, as it was.
    pub(crate) async fn give(&mut self, last: String) -> io::Result<()> {
        self.written().await?;
        self.write(last);
        self.written().await?;
        if !self.gate.close(wake) {
            self.gate.open();
            return Err(io::Error::other("its keys cannot be let go of"));
        }
        write(&self.leave())?;
        self.forget_answer();
        disable_raw_mode()
    }

    /// Takes it over again.
    pub(crate) fn take_back(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        write(&self.enter())?;
        self.gate.open();
        Ok(())
    }

    /// Writes this, and stops the process until the shell has it go on, with the terminal as it is now.
    pub(crate) async fn suspend(&mut self, last: String) -> io::Result<()> {
        self.give(last).await?;
        suspend()?;
        self.take_back()
    }

    /// The process was stopped by somebody else and goes on. Says whether the terminal was left as a shell
    /// likes it, and had to be taken over again.
    pub(crate) fn goes_on(&mut self) -> io::Result<bool> {
        let mut modes = tcgetattr(stdin())?;
        if !modes.local_modes.contains(LocalModes::ICANON) {
            return Ok(false);
        }
        modes.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &modes)?;
        write(&(self.leave() + &self.enter()))?;
        Ok(true)
    }

    /// An answer that may be on its way is not for whoever has the terminal next.
    fn forget_answer(&self) {
        if self.awaits.load(Ordering::Relaxed) && self.asked.elapsed() < ON_ITS_WAY {
            let _ = tcflush(stdin(), QueueSelector::IFlush);
        }
    }

    /// Columns and rows; 80 × 24 where the terminal does not say.
    pub(crate) fn size() -> (u16, u16) {
        match size() {
            Ok((columns, rows)) if columns > 0 && rows > 0 => (columns, rows),
            _ => (80, 24),
        }
    }

    /// Whether another frame can be written now.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Writes a frame, some time soon.
    pub(crate) fn write(&mut self, frame: String) {
        // A thread that is gone has said why.
        self.busy = self.frames.send(frame).is_ok();
    }

    /// Waits for what happens next.
    pub(crate) async fn next(&mut self) -> io::Result<News> {
        tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Some(news) => news,
                None => Ok(News::Gone),
            },
            written = self.written.recv(), if self.busy => {
                self.busy = false;
                match written {
                    Some(written) => written.map(|()| News::Written),
                    None => Ok(News::Gone),
                }
            }
        }
    }

    /// Gives a screen of its own back; what is written from now on stays in the terminal.
    pub(crate) fn leave_full(&mut self) {
        if std::mem::replace(&mut self.room, Room::Inline) == Room::Full {
            self.write(LEAVE_FULL.to_owned());
        }
    }

    /// Waits until what was handed over last is written.
    pub(crate) async fn written(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.busy) {
            return Ok(());
        }
        let written = self.written.recv().await;
        written.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = write(&self.leave());
        // The thread would take the first key of whoever has the terminal next.
        if !self.reader.is_finished() {
            self.gate.close(wake);
            self.gate.end();
        }
        self.forget_answer();
        let _ = disable_raw_mode();
    }
}

/// Stops the process, and all that stand before the shell with it, as a terminal does at Ctrl+Z; ends once they
/// go on, at once where nobody could have them go on.
pub(crate) fn suspend() -> io::Result<()> {
    Ok(kill_current_process_group(Signal::TSTP)?)
}

/// A change of size is all that the thread that reads keys wakes up for by itself.
pub(crate) fn wake() {
    let _ = kill_process(getpid(), Signal::WINCH);
}

pub(crate) fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn read(happened: &UnboundedSender<io::Result<News>>, gate: &Gate, awaits: &AtomicBool) {
    let mut listener = if awaits.load(Ordering::Relaxed) {
        Listener::awaiting()
    } else {
        Listener::default()
    };
    while gate.pass() {
        let mut news = Vec::new();
        match heard(&mut listener) {
            Ok(heard) => {
                news.extend(heard.events.into_iter().map(News::Happened).map(Ok));
                news.extend(heard.ground.map(News::Ground).map(Ok));
            }
            Err(error) => news.push(Err(error)),
        }
        awaits.store(listener.awaits(), Ordering::Relaxed);
        for news in news {
            let failed = news.is_err();
            if happened.send(news).is_err() || failed {
                return;
            }
        }
    }
}

/// Has the terminal tell again of what is there: whoever reads from it is told once, of however much that
/// is, and reads a part. The rest would wait for the next key, and come before that.
pub(crate) fn tell_the_rest() -> io::Result<()> {
    if !event::poll(Duration::ZERO)? && ioctl_fionread(stdin())? > 0 {
        // It tells whenever its modes are set, though they stay as they are.
        tcsetattr(stdin(), OptionalActions::Now, &tcgetattr(stdin())?)?;
    }
    Ok(())
}

/// Waits for what happens next, but not with a key that a person may have pressed.
fn heard(listener: &mut Listener) -> io::Result<Heard> {
    tell_the_rest()?;
    if listener.holds_a_key() && !event::poll(ground::SPLIT)? {
        return Ok(listener.let_go());
    }
    Ok(listener.take(event::read()?))
}
