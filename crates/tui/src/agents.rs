//! The board of all sessions of the host: what each one needs, the end of the chosen one, and keys to
//! answer, steer, stop or open it. `board` holds it, `draw` shows it, both pure; the loop here asks
//! the host once a second while something works and now and then while nothing does.

mod board;
mod draw;
mod peek;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event as Happened, MouseEventKind};
use futures_util::StreamExt as _;
use quire_protocol::{
    Agent, Client, ClientError, Frame, Op, Seq, SessionHead, SessionId, Standing,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::notify::{Alerts, Callers, Notify};
use crate::painter::Painter;
use crate::setup::{Error, Room};
use crate::signals::{Sign, Signals};
use crate::talk::{FRAME, PAUSE, until};
use crate::terminal::{News, Terminal};
use crate::theme::Theme;
use board::{Board, Want};
use peek::Peek;

/// Between looks at the host while something works.
const OFTEN: Duration = Duration::from_secs(1);
/// The same while nothing does: what is started elsewhere is seen at last.
const SELDOM: Duration = Duration::from_secs(5);
/// How long a session is the chosen one before it is looked at: arrows pass over many.
const STAY: Duration = Duration::from_millis(120);
/// Events at the end of a journal that are read to look at a session.
const TAIL: u64 = 400;
/// Frames that are taken in before anything else is looked at.
const BATCH: usize = 256;
/// How long a session may take to be let go of when the board is left.
const PARTING: Duration = Duration::from_secs(1);

/// What a board needs.
pub struct Overview {
    /// Where sessions live: lists them first, and is asked what the person asks.
    pub client: Arc<dyn Client>,
    /// The same, by which no host is started where there is none any more: looks at them.
    pub lookout: Arc<dyn Client>,
    /// The session to choose first.
    pub chosen: Option<SessionId>,
    /// What there is to say of what was done before.
    pub notice: Option<String>,
    /// The colours.
    pub theme: Theme,
    /// How a person who looks elsewhere is told of a session that waits.
    pub notify: Notify,
    /// Reads the clock: milliseconds since the Unix epoch.
    pub now_ms: fn() -> u64,
    /// What no other board or screen is called.
    pub name: String,
}

/// Shows all sessions until the person leaves, or opens the one that is given.
pub async fn agents(overview: Overview) -> Result<Option<SessionHead>, Error> {
    let signals = Signals::listen()?;
    let listed = overview.client.agents().await?;
    let size = Terminal::size();
    let mut board = Board::new(overview.name, overview.chosen, size);
    let mut callers = Callers::since((overview.now_ms)());
    callers.hear(&listed, None);
    board.know(listed);
    board.notice = overview.notice;
    let alerts = Alerts::new(overview.notify);
    let (news_of, news) = unbounded_channel();
    let (ops, asked) = unbounded_channel();
    let mut view = View {
        board,
        ops,
        asking: tokio::spawn(ask_all(overview.client, asked, news_of.clone())),
        lookout: overview.lookout,
        now_ms: overview.now_ms,
        painter: Painter::new(size, overview.theme, Room::Full),
        terminal: Terminal::take(Room::Full, alerts.focus_wanted(), overview.theme)?,
        alerts,
        callers,
        alert: String::new(),
        looking: None,
        listing: false,
        lost: false,
        news_of,
        news,
        signals,
        due: Some(Instant::now()),
        drawn: Instant::now(),
        resized: false,
        poll: Instant::now() + OFTEN,
        moved: Instant::now(),
        disturbed: Instant::now(),
    };
    let ended = view.run().await;
    let left = view.leave().await;
    let chosen = ended?;
    left?;
    Ok(chosen)
}

/// What comes of what was asked of the host.
enum Told {
    Listed(Result<Vec<Agent>, ClientError>),
    Asked(Result<(), ClientError>),
}

/// Something of a session that is looked at.
enum Looked {
    Frame(Box<Frame>),
    Failed(String),
}

/// A session that is looked at, until this is dropped.
struct Looking {
    session: SessionId,
    looked: UnboundedReceiver<Looked>,
    task: JoinHandle<()>,
}

/// The board at work.
struct View {
    board: Board,
    ops: UnboundedSender<(SessionId, Op)>,
    asking: JoinHandle<()>,
    lookout: Arc<dyn Client>,
    now_ms: fn() -> u64,
    painter: Painter,
    terminal: Terminal,
    alerts: Alerts,
    callers: Callers,
    /// Bytes that tell of sessions that wait, not written yet.
    alert: String,
    looking: Option<Looking>,
    /// Whether the host is being asked for the list.
    listing: bool,
    /// Whether it did not answer last.
    lost: bool,
    news_of: UnboundedSender<Told>,
    news: UnboundedReceiver<Told>,
    signals: Signals,
    /// When to draw; never while nothing changed.
    due: Option<Instant>,
    drawn: Instant,
    /// Whether everything is to be drawn anew.
    resized: bool,
    /// When to list sessions again.
    poll: Instant,
    /// When another session was chosen.
    moved: Instant,
    /// When a key was pressed, or a question came.
    disturbed: Instant,
}

/// What ends the board.
type Ends = Option<Option<SessionHead>>;

impl View {
    async fn run(&mut self) -> Result<Option<SessionHead>, Error> {
        loop {
            let can_draw = self.due.filter(|_| !self.terminal.is_busy());
            let faced = self.board.is_surprised().then(|| self.disturbed + PAUSE);
            let poll = (!self.listing).then_some(self.poll);
            let look = self.is_elsewhere().then(|| self.moved + STAY);
            let ends = tokio::select! {
                biased;
                news = self.terminal.next() => match news? {
                    News::Happened(event) => self.happened(event).await?,
                    News::Ground(ground) => {
                        let theme = self.painter.theme().on(ground);
                        self.resized |= theme != self.painter.theme();
                        self.painter.use_theme(theme);
                        self.draw_soon();
                        None
                    }
                    News::Written => None,
                    News::Gone => Some(None),
                },
                () = until(can_draw) => {
                    self.draw();
                    None
                }
                Some(told) = self.news.recv() => {
                    self.told(told);
                    None
                }
                looked = looked(&mut self.looking) => {
                    self.looked(looked);
                    None
                }
                sign = self.signals.next() => match sign {
                    Sign::GoesOn => self.goes_on()?,
                    Sign::Interrupted | Sign::Over(_) => Some(None),
                },
                () = until(faced) => {
                    self.board.face();
                    self.draw_soon();
                    None
                }
                () = until(look) => {
                    self.look();
                    None
                }
                () = until(poll) => {
                    self.list();
                    None
                }
            };
            if let Some(chosen) = ends {
                return Ok(chosen);
            }
        }
    }

    /// What the person did. A key is shown at once.
    async fn happened(&mut self, event: Happened) -> io::Result<Ends> {
        let chosen = self.board.chosen.clone();
        let mut ends = None;
        match event {
            Happened::Key(key) => {
                self.disturbed = Instant::now();
                for want in self.board.key(key) {
                    ends = ends.or(self.grant(want).await?);
                }
            }
            Happened::Paste(text) => self.board.paste(&text),
            Happened::Mouse(mouse) => match mouse.kind {
                MouseEventKind::ScrollUp if self.board.typing.is_none() => self.board.go(-1),
                MouseEventKind::ScrollDown if self.board.typing.is_none() => self.board.go(1),
                _ => {}
            },
            Happened::Resize(..) => self.resized = true,
            Happened::FocusGained => self.alerts.focus(true),
            Happened::FocusLost => self.alerts.focus(false),
        }
        if chosen != self.board.chosen {
            self.moved = Instant::now();
        }
        self.due = Some(Instant::now());
        Ok(ends)
    }

    async fn grant(&mut self, want: Want) -> io::Result<Ends> {
        match want {
            // Who does not listen any more is told of by the list.
            Want::Ask(session, op) => drop(self.ops.send((session, op))),
            Want::Open(head) => return Ok(Some(Some(head))),
            Want::Redraw => self.resized = true,
            Want::Suspend => self.terminal.suspend(self.painter.leave()).await?,
            Want::Leave => return Ok(Some(None)),
        }
        Ok(None)
    }

    /// The process was stopped and goes on: what the terminal shows may be somebody else's.
    fn goes_on(&mut self) -> io::Result<Ends> {
        if self.terminal.goes_on()? {
            self.painter.leave();
            self.due = Some(Instant::now());
        }
        Ok(None)
    }

    /// Asks the host for the list; none is started where there is none.
    fn list(&mut self) {
        self.listing = true;
        let (client, news) = (Arc::clone(&self.lookout), self.news_of.clone());
        tokio::spawn(async move {
            let _ = news.send(Told::Listed(client.agents().await));
        });
    }

    fn told(&mut self, told: Told) {
        match told {
            Told::Listed(listed) => {
                self.listing = false;
                let lost = std::mem::replace(&mut self.lost, listed.is_err());
                match listed {
                    Ok(agents) => {
                        let called = self.callers.hear(&agents, None);
                        let alert = called.and_then(|words| self.alerts.call(&words));
                        self.alert.extend(alert);
                        self.board.know(agents);
                    }
                    Err(error) => self.board.notice = Some(error.to_string()),
                }
                if lost && !self.lost {
                    self.look();
                }
                let works = self.board.count(Standing::Working) > 0;
                self.poll = Instant::now() + if works { OFTEN } else { SELDOM };
            }
            Told::Asked(asked) => {
                if let Err(error) = asked {
                    self.board.notice = Some(error.to_string());
                }
                self.poll = Instant::now();
            }
        }
        self.draw_soon();
    }

    /// Whether another session than the chosen one is looked at, or none.
    fn is_elsewhere(&self) -> bool {
        let looked_at = self.looking.as_ref().map(|looking| &looking.session);
        looked_at != self.board.chosen.as_ref()
    }

    /// Looks at the chosen session, and no longer at the one before.
    fn look(&mut self) {
        self.looking = None;
        self.board.peek = None;
        let Some(session) = self.board.chosen.clone() else {
            return;
        };
        let (found, looked) = unbounded_channel();
        self.board.peek = Some(Peek::new(session.clone(), self.board.size.0));
        self.looking = Some(Looking {
            session: session.clone(),
            looked,
            task: tokio::spawn(watched(Arc::clone(&self.lookout), session, found)),
        });
        self.draw_soon();
    }

    fn looked(&mut self, looked: Looked) {
        let was_surprised = self.board.is_surprised();
        let Some(peek) = &mut self.board.peek else {
            return;
        };
        let did = peek.conversation.doing();
        take(peek, looked);
        let more = self.looking.as_mut().map(|looking| &mut looking.looked);
        if let Some(more) = more {
            let mut next = std::iter::from_fn(|| more.try_recv().ok());
            next.by_ref()
                .take(BATCH)
                .for_each(|looked| take(peek, looked));
        }
        // What it does now is not what the list says of it.
        if peek.conversation.doing() != did {
            self.poll = self.poll.min(Instant::now() + OFTEN / 4);
        }
        if self.board.is_surprised() && !was_surprised {
            self.disturbed = Instant::now();
        }
        self.draw_soon();
    }

    fn draw_soon(&mut self) {
        let soon = (self.drawn + FRAME).max(Instant::now());
        self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
    }

    fn draw(&mut self) {
        self.due = None;
        self.drawn = Instant::now();
        let size = Terminal::size();
        self.resized |= size != self.painter.size();
        self.board.size = size;
        let picture = draw::picture(&self.board, (self.now_ms)());
        let mut bytes = if std::mem::take(&mut self.resized) {
            self.painter.resize(size, &picture)
        } else {
            self.painter.frame(Vec::new(), &picture)
        };
        bytes.push_str(&std::mem::take(&mut self.alert));
        if !bytes.is_empty() {
            self.terminal.write(bytes);
        }
    }

    /// Does what was asked, lets go of what is looked at, and gives the terminal back.
    async fn leave(mut self) -> Result<(), ClientError> {
        drop(self.ops);
        let _ = self.asking.await;
        if let Some(Looking { looked, task, .. }) = self.looking.take() {
            drop(looked);
            // A host that does not answer forgets by itself who is gone.
            let _ = timeout(PARTING, task).await;
        }
        // A terminal that is gone needs nothing.
        let _ = self.terminal.written().await;
        while let Ok(told) = self.news.try_recv() {
            if let Told::Asked(asked) = told {
                asked?;
            }
        }
        Ok(())
    }
}

/// Asks one thing after the other, so that the board waits for none of it. Nothing is held for longer
/// than that takes.
async fn ask_all(
    client: Arc<dyn Client>,
    mut asked: UnboundedReceiver<(SessionId, Op)>,
    news: UnboundedSender<Told>,
) {
    while let Some((session, op)) = asked.recv().await {
        let mut done = client.submit(&session, op).await;
        if done.is_ok() {
            done = client.close(&session).await;
        }
        // The board may be gone.
        let _ = news.send(Told::Asked(done));
    }
}

fn take(peek: &mut Peek, looked: Looked) {
    match looked {
        Looked::Frame(frame) => peek.take(&frame),
        Looked::Failed(why) => peek.trouble = Some(why),
    }
}

async fn looked(looking: &mut Option<Looking>) -> Looked {
    let next = match looking {
        Some(looking) => looking.looked.recv().await,
        None => None,
    };
    match next {
        Some(looked) => looked,
        None => std::future::pending().await,
    }
}

/// Tells of a session until nobody listens, then lets it go.
async fn watched(client: Arc<dyn Client>, session: SessionId, found: UnboundedSender<Looked>) {
    let opened = match client.open(&session).await {
        Ok(opened) => opened,
        Err(error) => {
            let _ = found.send(Looked::Failed(error.to_string()));
            return;
        }
    };
    let after = Seq(opened.last.0.saturating_sub(TAIL));
    let mut frames = client.watch(&session, after);
    loop {
        let frame = tokio::select! {
            () = found.closed() => break,
            frame = frames.next() => frame,
        };
        let Some(frame) = frame else { break };
        if found.send(Looked::Frame(Box::new(frame))).is_err() {
            break;
        }
    }
    drop(frames);
    if let Err(error) = client.close(&session).await {
        let _ = found.send(Looked::Failed(error.to_string()));
    }
}
