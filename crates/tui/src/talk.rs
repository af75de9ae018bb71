//! The loop of the screen: keys and frames in, wishes and drawings out. Sleeps until something
//! happens; while something is being done, it wakes once a second for the clock.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::Event as Happened;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use quire_protocol::{
    Client, ClientError, Delivery, Frame, Op, Opened, SessionHead, SessionId, SessionQuery,
    Settings,
};
use ratatui_core::text::Line;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::app::{App, Fit, Wish};
use crate::commands::pair;
use crate::look::{self, Palette};
use crate::painter::Painter;
use crate::rows::safe;
use crate::terminal::{News, Terminal};
use crate::view::picture;

/// Between frames, unless a key was pressed.
const FRAME: Duration = Duration::from_millis(16);
/// Between looks at the clock while something is being done.
const TICK: Duration = Duration::from_secs(1);
/// Fragments that are taken in before anything else is looked at.
const BATCH: usize = 256;
/// Lines of an earlier conversation that are shown again.
const AGAIN: usize = 200;
/// Sessions that are listed.
const LISTED: usize = 15;

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
    pub branch: Box<dyn Fn() -> Option<String> + Send>,
    /// Whether colours may be used.
    pub palette: Palette,
    /// What no other screen is called.
    pub name: String,
    /// Counts requests to end.
    pub interrupts: watch::Receiver<u32>,
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
    let client = Arc::clone(&setup.client);
    let (session, opened) = begin(&*client, setup.start).await?;
    let mut app = App::new(setup.name, setup.fit);
    app.branch = (setup.branch)();
    let mut frames = client.watch(&session, quire_protocol::Seq(0));
    if let Some(opened) = &opened {
        catch_up(&mut app, &mut frames, opened).await;
    }
    let (asker, asking, refused) = asker(Arc::clone(&client), session.clone());
    let mut screen = Screen {
        painter: Painter::new(Terminal::size(), setup.palette),
        terminal: Terminal::take()?,
        app,
        client: Arc::clone(&client),
        frames,
        asker,
        refused,
        interrupts: setup.interrupts,
        branch: setup.branch,
        due: Some(Instant::now()),
        drawn: Instant::now(),
        began: None,
        resized: false,
    };
    if let Some(first) = setup.first {
        let wish = screen.app.say(first, Delivery::Steer);
        screen.grant(wish).await;
    }
    let ended = screen.run().await;
    let gone = screen.leave().await;
    // What was asked before leaving is asked, and then the session ends.
    drop(screen);
    let _ = asking.await;
    let closed = client.close(&session).await;
    closed.or(match ended {
        Ok(()) | Err(Error::Terminal(_)) => Ok(()),
        Err(Error::Client(error)) => Err(error),
    })?;
    gone?;
    Ok(session)
}

async fn begin(
    client: &dyn Client,
    start: Start,
) -> Result<(SessionId, Option<Opened>), ClientError> {
    match start {
        Start::New(settings) => Ok((client.start(settings).await?, None)),
        Start::Open { session, adapt } => {
            let opened = client.open(&session).await?;
            let recorded = opened.settings.clone();
            let settings = adapt(recorded.clone()).map_err(ClientError::Settings)?;
            if settings != recorded {
                client.submit(&session, Op::Configure { settings }).await?;
            }
            Ok((session, Some(opened)))
        }
    }
}

/// Folds what was recorded before; its last lines are shown again.
async fn catch_up(app: &mut App, frames: &mut BoxStream<'static, Frame>, opened: &Opened) {
    while app.conversation.seq < opened.last {
        match frames.next().await {
            Some(Frame::Record(record)) => app.conversation.record(&record),
            Some(Frame::Delta(_)) => {}
            None => break,
        }
    }
    let mut lines = app.conversation.take_done();
    let hidden = lines.len().saturating_sub(AGAIN);
    lines.drain(..hidden);
    if hidden > 0 {
        let words =
            format!("· {hidden} earlier lines are not shown: `quire sessions show` has them");
        lines.insert(0, look::line(words, look::DIM));
    }
    app.conversation.show(lines);
    if let Some(repaired) = &opened.repaired {
        app.conversation.warn(repaired);
    }
}

/// Asks one thing after the other, so that the screen waits for none of it.
fn asker(
    client: Arc<dyn Client>,
    session: SessionId,
) -> (
    UnboundedSender<Op>,
    JoinHandle<()>,
    UnboundedReceiver<ClientError>,
) {
    let (asker, mut ops) = unbounded_channel();
    let (refusals, refused) = unbounded_channel();
    let asking = tokio::spawn(async move {
        while let Some(op) = ops.recv().await {
            if let Err(error) = client.submit(&session, op).await {
                let _ = refusals.send(error);
            }
        }
    });
    (asker, asking, refused)
}

/// A screen at work.
struct Screen {
    app: App,
    painter: Painter,
    terminal: Terminal,
    client: Arc<dyn Client>,
    frames: BoxStream<'static, Frame>,
    asker: UnboundedSender<Op>,
    refused: UnboundedReceiver<ClientError>,
    interrupts: watch::Receiver<u32>,
    branch: Box<dyn Fn() -> Option<String> + Send>,
    /// When to draw; never while nothing changed.
    due: Option<Instant>,
    drawn: Instant,
    /// When what is being done began.
    began: Option<Instant>,
    /// Whether everything is to be drawn anew.
    resized: bool,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    Leave,
}

impl Screen {
    async fn run(&mut self) -> Result<(), Error> {
        loop {
            let can_draw = self.due.filter(|_| !self.terminal.is_busy());
            let tick = self.began.map(|_| self.drawn + TICK);
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
                Some(error) = self.refused.recv() => {
                    self.app.conversation.warn(&error.to_string());
                    self.draw_soon();
                    Then::GoOn
                }
                frame = self.frames.next() => match frame {
                    Some(frame) => self.take_in(frame),
                    None => Then::Leave,
                },
                changed = self.interrupts.changed() => match changed {
                    Ok(()) => Then::Leave,
                    Err(_) => std::future::pending().await,
                },
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
            // An asker that is gone died with the session, which is told by `frames`.
            Wish::Ask(op) => {
                let _ = self.asker.send(op);
            }
            Wish::List => self.list().await,
            Wish::Redraw => self.resized = true,
            Wish::Quit => return Then::Leave,
        }
        Then::GoOn
    }

    async fn list(&mut self) {
        let settings = self.app.conversation.settings.as_ref();
        let query = SessionQuery {
            workspace: settings.map(|settings| settings.workspace.to_string_lossy().into_owned()),
            id_prefix: None,
            limit: LISTED,
        };
        match self.client.sessions(query).await {
            Ok(heads) => self.app.conversation.show(listed(&heads)),
            Err(error) => self.app.conversation.warn(&error.to_string()),
        }
    }

    /// Takes a frame in, and those that have come with it.
    fn take_in(&mut self, frame: Frame) -> Then {
        let mut next = Some(frame);
        for _ in 0..BATCH {
            match next {
                Some(Frame::Record(record)) => {
                    self.app.conversation.record(&record);
                    self.app.settle();
                }
                Some(Frame::Delta(delta)) => self.app.conversation.delta(&delta),
                None => return Then::Leave,
            }
            match self.frames.next().now_or_never() {
                Some(frame) => next = frame,
                None => break,
            }
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
        let picture = picture(&self.app, size, working);
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

fn listed(heads: &[SessionHead]) -> Vec<Line<'static>> {
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
