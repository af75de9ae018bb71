//! The loop of the screen: keys and frames in, wishes and drawings out. Sleeps until something
//! happens; while something is being done, it wakes once a second for the clock.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::Event as Happened;
use futures_util::{FutureExt as _, StreamExt as _};
use quire_protocol::{Client, ClientError, Delivery, Frame, SessionHead, SessionId, Settings};
use ratatui_core::text::Line;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::app::{App, Fit, Wish};
use crate::commands::pair;
use crate::link::Link;
use crate::look::{self, Palette};
use crate::painter::Painter;
use crate::plain;
use crate::rows::safe;
use crate::terminal::{News, Terminal};
use crate::view::picture;

/// Between frames, unless a key was pressed: what streams is read, and costs as much as it is drawn.
const FRAME: Duration = Duration::from_millis(33);
/// Between looks at the clock while something is being done.
const TICK: Duration = Duration::from_secs(1);
/// How long no key must be pressed before keys answer a question that has just come.
const PAUSE: Duration = Duration::from_millis(400);
/// Fragments that are taken in before anything else is looked at.
const BATCH: usize = 256;
/// What a screen needs.
pub struct Setup {
    /// Where sessions live.
    pub client: Arc<dyn Client>,
    /// Which session.
    pub start: Start,
    /// What to say first.
    pub first: Option<String>,
    /// Fits settings to another model.
    pub fit: Fit,
    /// Reads the branch of the folder.
    pub branch: Branch,
    /// How it is shown.
    pub form: Form,
    /// What no other screen is called.
    pub name: String,
    /// Counts requests to end.
    pub interrupts: watch::Receiver<u32>,
}

/// How a conversation is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// On a screen that is drawn in place.
    Screen(Palette),
    /// As plain lines, which nothing is drawn over: for screen readers and dumb terminals.
    Plain,
}

/// Which session a screen opens.
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
pub enum Start {
    /// A new one.
    New(Settings),
    /// One that is there.
    Open {
        /// Which.
        session: SessionId,
        /// What becomes of its settings, or why they cannot be.
        adapt: Adapt,
    },
}

/// Reads the branch of the folder; nothing where there is none.
pub type Branch = Box<dyn Fn() -> Option<String> + Send>;

/// Changes recorded settings, or says why they cannot be.
pub type Adapt = Box<dyn FnOnce(Settings) -> Result<Settings, String> + Send>;

/// Why a screen failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The session cannot go on.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The terminal cannot be used.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] io::Error),
}

/// Talks until the person leaves; gives the session, which is closed by then.
pub async fn talk(setup: Setup) -> Result<SessionId, Error> {
    let mut app = App::new(setup.name, setup.fit);
    app.branch = (setup.branch)();
    let mut link = Link::open(setup.client, setup.start, &mut app).await?;
    let first = setup.first.map(|first| app.say(first, Delivery::Steer));
    if let Some(Wish::Ask(op)) = first {
        link.ask(op);
    }
    let ended = match setup.form {
        Form::Plain => plain::talk(&mut app, &mut link, setup.interrupts).await,
        Form::Screen(palette) => {
            on_screen(&mut app, &mut link, palette, setup.interrupts, setup.branch).await
        }
    };
    // A session that died says why when it is closed, and a terminal that is gone is no reason to
    // leave one open.
    let session = link.close().await?;
    ended?;
    Ok(session)
}

async fn on_screen(
    app: &mut App,
    link: &mut Link,
    palette: Palette,
    interrupts: watch::Receiver<u32>,
    branch: Branch,
) -> Result<(), Error> {
    let mut screen = Screen {
        painter: Painter::new(Terminal::size(), palette),
        terminal: Terminal::take()?,
        app,
        link,
        interrupts,
        branch,
        due: Some(Instant::now()),
        drawn: Instant::now(),
        began: None,
        resized: false,
        disturbed: Instant::now(),
    };
    let ended = screen.run().await;
    ended.and(screen.leave().await)
}

/// A screen at work.
struct Screen<'a> {
    app: &'a mut App,
    link: &'a mut Link,
    painter: Painter,
    terminal: Terminal,
    interrupts: watch::Receiver<u32>,
    branch: Branch,
    /// When to draw; never while nothing changed.
    due: Option<Instant>,
    drawn: Instant,
    /// When what is being done began.
    began: Option<Instant>,
    /// Whether everything is to be drawn anew.
    resized: bool,
    /// When a key was pressed, or a question came.
    disturbed: Instant,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    Leave,
}

impl Screen<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        loop {
            let can_draw = self.due.filter(|_| !self.terminal.is_busy());
            let tick = self.began.map(|_| self.drawn + TICK);
            let faced = self.app.is_surprised().then(|| self.disturbed + PAUSE);
            let then = tokio::select! {
                biased;
                news = self.terminal.next() => match news? {
                    News::Happened(event) => self.happened(event).await,
                    News::Written => Then::GoOn,
                    News::Gone => Then::Leave,
                },
                () = until(can_draw) => {
                    self.draw();
                    Then::GoOn
                }
                Some(error) = self.link.refused.recv() => {
                    self.app.conversation.warn(&error.to_string());
                    self.draw_soon();
                    Then::GoOn
                }
                frame = self.link.frames.next() => match frame {
                    Some(frame) => self.take_in(frame),
                    None => Then::Leave,
                },
                changed = self.interrupts.changed() => match changed {
                    Ok(()) => Then::Leave,
                    Err(_) => std::future::pending().await,
                },
                () = until(faced) => {
                    self.app.face();
                    self.draw_soon();
                    Then::GoOn
                }
                () = until(tick) => {
                    self.due = Some(Instant::now());
                    Then::GoOn
                }
            };
            if then == Then::Leave {
                return Ok(());
            }
        }
    }

    /// What the person did. A key is shown at once.
    async fn happened(&mut self, event: Happened) -> Then {
        match event {
            Happened::Key(key) => {
                self.disturbed = Instant::now();
                for wish in self.app.key(key) {
                    if self.grant(wish).await == Then::Leave {
                        return Then::Leave;
                    }
                }
                self.due = Some(Instant::now());
            }
            Happened::Paste(text) => {
                self.app.paste(&text);
                self.due = Some(Instant::now());
            }
            Happened::Resize(..) => {
                self.resized = true;
                self.draw_soon();
            }
            Happened::FocusGained | Happened::FocusLost | Happened::Mouse(_) => {}
        }
        Then::GoOn
    }

    async fn grant(&mut self, wish: Wish) -> Then {
        match wish {
            Wish::Ask(op) => self.link.ask(op),
            Wish::List => match self.link.sessions(self.app).await {
                Ok(heads) => self.app.conversation.show(listed(&heads)),
                Err(error) => self.app.conversation.warn(&error.to_string()),
            },
            Wish::Redraw => self.resized = true,
            Wish::Quit => return Then::Leave,
        }
        Then::GoOn
    }

    /// Takes a frame in, and those that have come with it.
    fn take_in(&mut self, frame: Frame) -> Then {
        let mut next = Some(frame);
        let was_surprised = self.app.is_surprised();
        for _ in 0..BATCH {
            match next {
                Some(Frame::Record(record)) => {
                    self.app.conversation.record(&record);
                    self.app.settle();
                }
                Some(Frame::Delta(delta)) => self.app.conversation.delta(&delta),
                None => return Then::Leave,
            }
            match self.link.frames.next().now_or_never() {
                Some(frame) => next = frame,
                None => break,
            }
        }
        if self.app.is_surprised() && !was_surprised {
            self.disturbed = Instant::now();
        }
        let works = self.app.conversation.works();
        if works != self.began.is_some() {
            self.began = works.then(Instant::now);
            self.app.branch = (self.branch)();
        }
        self.draw_soon();
        Then::GoOn
    }

    fn draw_soon(&mut self) {
        let soon = (self.drawn + FRAME).max(Instant::now());
        self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
    }

    fn draw(&mut self) {
        self.due = None;
        self.drawn = Instant::now();
        let size = if self.resized {
            Terminal::size()
        } else {
            self.painter.size()
        };
        self.app.columns = usize::from(size.0).saturating_sub(2);
        let working = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        let picture = picture(self.app, size, working);
        let mut bytes = String::new();
        if std::mem::take(&mut self.resized) {
            bytes = self.painter.resize(size, &picture);
        }
        bytes.push_str(
            &self
                .painter
                .frame(self.app.conversation.take_done(), &picture),
        );
        if !bytes.is_empty() {
            self.terminal.write(bytes);
        }
    }

    /// Shows what is left to show and takes the picture away.
    async fn leave(&mut self) -> Result<(), Error> {
        self.terminal.written().await?;
        self.draw();
        self.terminal.written().await?;
        let bytes = self.painter.leave();
        self.terminal.write(bytes);
        Ok(self.terminal.written().await?)
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Sessions as lines.
pub(crate) fn listed(heads: &[SessionHead]) -> Vec<Line<'static>> {
    let mut lines = vec![look::line(
        "Sessions of this folder, newest first; `quire --resume ID` goes on with one",
        look::BOLD,
    )];
    lines.extend(
        heads
            .iter()
            .map(|head| pair(head.session.as_str(), &safe(&head.title))),
    );
    lines
}
