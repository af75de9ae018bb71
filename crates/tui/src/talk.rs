//! The loop of the screen: keys and frames in, wishes and drawings out. Sleeps until something
//! happens; while something is being done, it wakes for the clock, once a
//! second if the settings do not say otherwise.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::Event as Happened;
use futures_util::{FutureExt as _, StreamExt as _};
use quire_protocol::{Content, Delivery, Frame, Op, SessionHead, SessionId, age};
use ratatui_core::text::Line;
use tokio::time::{Instant, sleep_until};

use crate::answers::Surprise;
use crate::app::App;
use crate::calls::Details;
use crate::commands::pair;
use crate::errands::{Done, Errands};
use crate::ground::Ground;
use crate::link::Link;
use crate::look;
use crate::notify::{Alerts, Callers};
use crate::others::{Others, Seek};
use crate::pages::{Pages, scroll_of_key, scroll_of_mouse};
use crate::painter::Painter;
use crate::plain;
use crate::resume;
use crate::rows::safe;
use crate::setup::{Check, Error, Form, Looks, Room, Setup, Thinking};
use crate::shell::Shell;
use crate::signals::Signals;
use crate::terminal::{News, Terminal};
use crate::view::{Picture, picture};
use crate::wish::Wish;
use crate::world::{Beside, World};

/// Between frames, unless a key was pressed: what streams is read, and costs as much as it is drawn.
pub(crate) const FRAME: Duration = Duration::from_millis(33);
/// How long no key must be pressed before keys answer a question that has just come.
pub(crate) const PAUSE: Duration = Duration::from_millis(400);
/// Fragments that are taken in before anything else is looked at.
const BATCH: usize = 256;
/// What is said of looking for words where the terminal keeps them.
pub(crate) const ELSEWHERE: &str =
    "your terminal looks through what it keeps; /find is for `quire --full-screen`";

/// Talks until the person leaves; gives the session, which is closed by then.
pub async fn talk(setup: Setup) -> Result<SessionId, Error> {
    let mut app = App::new(setup.name, setup.fit);
    app.follow_up = setup.follow_up;
    app.colours = setup.looks.colours;
    app.room = match setup.form {
        Form::Screen => setup.looks.room,
        Form::Plain => Room::Inline,
    };
    app.conversation.form = setup.form;
    app.conversation.thinking = match setup.looks.thinking {
        Thinking::Folded => Details::Folded,
        Thinking::Shown => Details::Shown,
    };
    if setup.form == Form::Screen {
        (app.conversation.columns, app.conversation.rows) = Terminal::size();
    }
    app.origins = setup.origins;
    app.models = setup.models;
    app.rules_file = setup.machine.rules_file();
    app.now_ms = setup.now_ms;
    app.callers = Callers::since((setup.now_ms)());
    let signals = Signals::listen()?;
    let mut link = Link::open(setup.client, setup.start, &mut app).await?;
    let first = setup.first.map(|first| app.say(first, Delivery::Steer));
    if let Some(Wish::Ask(op)) = first {
        link.ask(op);
    }
    let mut world = World {
        errands: Errands::new(Arc::clone(&setup.machine)),
        others: Others::new(setup.lookout),
        alerts: Alerts::new(match setup.form {
            Form::Screen => setup.notify,
            Form::Plain => setup.notify.plain(),
        }),
        folder: PathBuf::new(),
        machine: setup.machine,
        shell: Shell::default(),
        signals,
        branch: setup.branch,
        check: setup.check,
    };
    world.follow(&mut app);
    world.alerts.begin(&app.conversation, Instant::now());
    let ended = match setup.form {
        Form::Plain => plain::talk(&mut app, &mut link, world, setup.looks.progress).await,
        Form::Screen => on_screen(&mut app, &mut link, setup.looks, world).await,
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
    looks: Looks,
    world: World,
) -> Result<(), Error> {
    let mut screen = Screen {
        painter: Painter::new(Terminal::size(), looks.theme, looks.room),
        terminal: Terminal::take(looks.room, world.alerts.focus_wanted(), looks.theme)?,
        alert: String::new(),
        app,
        link,
        world,
        progress: looks.progress,
        pages: (looks.room == Room::Full).then(Pages::default),
        due: Some(Instant::now()),
        drawn: Instant::now(),
        began_ms: None,
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
    world: World,
    /// Between looks at the clock.
    progress: Duration,
    /// The conversation, where all of the terminal is drawn.
    pages: Option<Pages>,
    /// When to draw; never while nothing changed.
    due: Option<Instant>,
    drawn: Instant,
    /// What tells the person of something, to be written with the next drawing.
    alert: String,
    /// When what was being done began, as it was last looked at.
    began_ms: Option<u64>,
    /// Whether everything is to be drawn anew.
    resized: bool,
    /// When a key was pressed, or a question came.
    disturbed: Instant,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    GoOn,
    Leave,
}

impl Screen<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        loop {
            let can_draw = self.due.filter(|_| !self.terminal.is_busy());
            let works = self.app.conversation.works();
            let tick = works.then(|| self.drawn + self.progress);
            let faced = self.app.is_surprised().then(|| self.disturbed + PAUSE);
            let count = self.world.others.due();
            let then = tokio::select! {
                biased;
                news = self.terminal.next() => match news? {
                    News::Happened(event) => self.happened(event).await,
                    News::Ground(ground) => self.stands_on(ground),
                    News::Written => Then::GoOn,
                    News::Gone => Then::Leave,
                },
                () = until(can_draw) => {
                    self.draw();
                    Then::GoOn
                }
                Some(arrived) = self.link.arrived.recv() => {
                    let before = self.app.surprise();
                    let wishes = self.app.arrived(arrived);
                    self.startle(&before);
                    self.draw_soon();
                    self.grant_all(wishes).await
                }
                Some((op, error)) = self.link.refused.recv() => {
                    self.app.was_refused(&op, &error.to_string());
                    self.draw_soon();
                    Then::GoOn
                }
                Some(text) = self.link.news.recv() => {
                    self.app.answered(&text);
                    self.draw_soon();
                    Then::GoOn
                }
                frame = self.link.frames.next() => match frame {
                    Some(frame) => self.take_in(frame),
                    None => Then::Leave,
                },
                beside = self.world.next() => self.beside(beside).await,
                () = until(count) => {
                    self.world.others.ask(Seek::Count);
                    Then::GoOn
                }
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
                self.due = Some(Instant::now());
                self.world.others.stir();
                let typed = !self.app.editor.is_empty();
                if let Some(pages) = &mut self.pages
                    && let Some(scroll) = scroll_of_key(key, typed)
                {
                    pages.scroll(scroll);
                    return Then::GoOn;
                }
                let wishes = self.app.key(key);
                return self.grant_all(wishes).await;
            }
            Happened::Paste(text) => {
                for wish in self.app.paste(&text) {
                    self.grant(wish).await;
                }
                self.due = Some(Instant::now());
            }
            Happened::Resize(..) => {
                self.resized = true;
                self.draw_soon();
            }
            Happened::Mouse(mouse) => {
                if let (Some(pages), Some(scroll)) = (&mut self.pages, scroll_of_mouse(mouse.kind))
                {
                    pages.scroll(scroll);
                    self.draw_soon();
                }
            }
            Happened::FocusGained => {
                self.world.alerts.focus(true);
                self.world.others.stir();
            }
            Happened::FocusLost => self.world.alerts.focus(false),
        }
        Then::GoOn
    }

    async fn grant_all(&mut self, wishes: Vec<Wish>) -> Then {
        for wish in wishes {
            if self.grant(wish).await == Then::Leave {
                return Then::Leave;
            }
        }
        Then::GoOn
    }

    /// The terminal says what its ground is like: what is there is drawn anew where that fits it no more.
    fn stands_on(&mut self, ground: Ground) -> Then {
        self.app.colours.know(ground);
        let theme = self.painter.theme().on(ground);
        if theme != self.painter.theme() {
            self.painter.use_theme(theme);
            self.resized = true;
            self.draw_soon();
        }
        Then::GoOn
    }

    /// Puts another session on the screen. This one goes on without it.
    async fn switch(&mut self, session: SessionId, content: &[Content]) {
        self.draw();
        resume::switch(self.app, self.link, session, content).await;
        self.began_ms = self.app.conversation.began_ms;
        self.world.follow(self.app);
        self.world.others.ask(Seek::Count);
        let conversation = &self.app.conversation;
        self.world.alerts.begin(conversation, Instant::now());
        self.draw_soon();
    }

    async fn grant(&mut self, wish: Wish) -> Then {
        match wish {
            Wish::Ask(op) => {
                if let (Some(pages), Op::Say { .. }) = (&mut self.pages, &op) {
                    pages.show_the_end();
                }
                self.world.keep(&op);
                self.link.ask(op);
            }
            Wish::Run(line) => {
                self.world.keep_text(format!("! {line}"));
                self.world.shell.start(&self.world.machine, line);
            }
            Wish::Attach { path, pasted } => self.world.errands.attach(path, pasted),
            Wish::AttachCopied => self.world.errands.attach_copied(),
            Wish::Recall => self.world.errands.recall(),
            Wish::Compose => return self.compose().await,
            Wish::Suspend => return self.suspend().await,
            Wish::StopOwn => self.world.shell.stop(),
            Wish::List => match self.link.sessions(self.app).await {
                Ok(heads) => {
                    let lines = listed(&heads, (self.app.now_ms)());
                    self.app.conversation.show(lines);
                }
                Err(error) => self.app.conversation.warn(&error.to_string()),
            },
            Wish::Travel(journey) => self.link.travel(journey, self.app),
            Wish::Switch { session, content } => self.switch(session, &content).await,
            Wish::Resume(words) => {
                self.draw();
                if let Some(session) = resume::find(self.app, self.link, &words).await {
                    self.switch(session, &[]).await;
                }
                self.draw_soon();
            }
            Wish::Seek(seek) => self.world.others.ask(seek),
            Wish::Check => check(self.app, self.link, &self.world.check),
            Wish::Walk => self.world.errands.walk(),
            Wish::Unfold => self.unfold(),
            Wish::Find(words) => {
                self.app.notice = match &mut self.pages {
                    Some(pages) => pages.find(&words).err(),
                    None => Some(ELSEWHERE.to_owned()),
                };
            }
            Wish::Redraw => self.resized = true,
            Wish::Wear(theme) => {
                self.painter.use_theme(theme);
                self.resized = true;
            }
            Wish::Quit => return Then::Leave,
        }
        Then::GoOn
    }

    /// Shows the last call in full.
    fn unfold(&mut self) {
        let conversation = &mut self.app.conversation;
        let unfolded = match &mut self.pages {
            Some(pages) => pages.unfold(&conversation.ended),
            None => conversation.show_again(),
        };
        self.app.notice = unfolded.err();
    }

    /// Gives the input and the terminal to the person's editor, and takes both back.
    async fn compose(&mut self) -> Then {
        let text = self.app.editor.whole();
        match self.edit(text).await {
            Ok(Ok(text)) => self.app.composed(&text),
            Ok(Err(why)) => self.app.notice = Some(why),
            Err(_) => return Then::Leave,
        }
        self.due = Some(Instant::now());
        Then::GoOn
    }

    async fn edit(&mut self, text: String) -> io::Result<Result<String, String>> {
        self.terminal.give(self.painter.leave()).await?;
        let machine = Arc::clone(&self.world.machine);
        let edited = tokio::task::spawn_blocking(move || machine.edit(&text)).await;
        // Ctrl+C was meant for the editor.
        self.world.signals.forget_interrupts();
        self.terminal.take_back()?;
        Ok(edited.unwrap_or_else(|error| Err(error.to_string())))
    }

    /// Leaves the terminal to the shell until that has the screen go on.
    async fn suspend(&mut self) -> Then {
        let picture = self.painter.leave();
        self.due = Some(Instant::now());
        match self.terminal.suspend(picture).await {
            Ok(()) => Then::GoOn,
            Err(_) => Then::Leave,
        }
    }

    /// The process was stopped and goes on: what the terminal shows may be somebody else's.
    fn goes_on(&mut self) -> Then {
        match self.terminal.goes_on() {
            Ok(true) => {
                self.painter.leave();
                self.due = Some(Instant::now());
                Then::GoOn
            }
            Ok(false) => Then::GoOn,
            Err(_) => Then::Leave,
        }
    }

    /// Takes in what came from beside the session.
    async fn beside(&mut self, beside: Beside) -> Then {
        let wishes = match beside {
            Beside::Done(done) => {
                self.done(done);
                return Then::GoOn;
            }
            Beside::Own(news) => {
                if let Some(op) = self.app.own_told(news) {
                    self.link.ask(op);
                }
                Vec::new()
            }
            Beside::Found(found) => {
                let before = self.app.surprise();
                let wishes = self.app.found(found, self.link.session());
                self.startle(&before);
                let called = self.app.called.take();
                self.alert
                    .extend(called.and_then(|words| self.world.alerts.call(&words)));
                wishes
            }
            Beside::GoesOn => return self.goes_on(),
            Beside::Over => return Then::Leave,
        };
        self.draw_soon();
        self.grant_all(wishes).await
    }

    /// Takes in what was asked of the machine.
    fn done(&mut self, done: Done) {
        match done {
            Done::Walked(paths) => self.app.paths.know(paths),
            Done::Recalled(before) => {
                if let Some(search) = &mut self.app.search {
                    search.know(before);
                }
            }
            Done::Attached {
                name,
                image,
                pasted,
            } => self.app.attached(&name, image, pasted),
            Done::Allowed(allowed) => self.app.kept(allowed),
            Done::Kept => return,
        }
        self.draw_soon();
    }

    /// Takes a frame in, and those that have come with it.
    fn take_in(&mut self, frame: Frame) -> Then {
        let mut next = Some(frame);
        let before = self.app.surprise();
        for _ in 0..BATCH {
            match next {
                Some(Frame::Record(record)) => self.world.take_in(self.app, self.link, &record),
                Some(Frame::Delta(delta)) => self.app.conversation.delta(&delta),
                None => return Then::Leave,
            }
            match self.link.frames.next().now_or_never() {
                Some(frame) => next = frame,
                None => break,
            }
        }
        self.startle(&before);
        self.world.others.stir();
        let conversation = &self.app.conversation;
        let alert = self.world.alerts.follow(conversation, Instant::now());
        self.alert.extend(alert);
        let began_ms = self.app.conversation.began_ms;
        if self.began_ms != began_ms {
            self.began_ms = began_ms;
            self.world.follow(self.app);
        }
        self.draw_soon();
        Then::GoOn
    }

    /// What is new since then needs a while to be seen.
    fn startle(&mut self, before: &Surprise) {
        if self.app.is_surprised() && self.app.surprise() != *before {
            self.disturbed = Instant::now();
        }
    }

    fn draw_soon(&mut self) {
        let soon = (self.drawn + FRAME).max(Instant::now());
        self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
    }

    fn draw(&mut self) {
        self.due = None;
        self.drawn = Instant::now();
        // A new size that comes together with a key may not be told.
        let size = Terminal::size();
        self.resized |= size != self.painter.size();
        self.app.columns = usize::from(size.0).saturating_sub(2);
        (self.app.conversation.columns, self.app.conversation.rows) = size;
        let mut picture = picture(self.app, size, self.app.working());
        let mut done = Vec::new();
        match &mut self.pages {
            Some(pages) => {
                pages.take_in(self.app.conversation.take_parts());
                picture = pages.above(picture, size);
            }
            None => done = self.app.conversation.take_done(),
        }
        let mut bytes = String::new();
        if std::mem::take(&mut self.resized) {
            bytes = self.painter.resize(size, &picture);
        }
        bytes.push_str(&self.painter.frame(done, &picture));
        bytes.push_str(&std::mem::take(&mut self.alert));
        if !bytes.is_empty() {
            self.terminal.write(bytes);
        }
    }

    /// Shows what is left to show and takes the picture away.
    async fn leave(&mut self) -> Result<(), Error> {
        self.world.shell.end().await;
        self.terminal.written().await?;
        self.draw();
        self.terminal.written().await?;
        let mut bytes = String::new();
        if let Some(pages) = self.pages.take() {
            self.terminal.leave_full();
            self.terminal.written().await?;
            self.painter = Painter::new(self.painter.size(), self.painter.theme(), Room::Inline);
            bytes = self
                .painter
                .frame(pages.last_exchange(), &Picture::default());
        }
        bytes.push_str(&self.painter.leave());
        self.terminal.write(bytes);
        Ok(self.terminal.written().await?)
    }
}

pub(crate) async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Checks what the session's model needs, and shows what came of it once it is known.
pub(crate) fn check(app: &App, link: &Link, check: &Check) {
    let settings = app.conversation.settings.as_ref();
    let model = settings.map_or(String::new(), |settings| settings.model.clone());
    link.show_later(check(model));
}

/// What was worked out, as lines.
pub(crate) fn told(text: &str) -> Vec<Line<'static>> {
    let lines = text.lines();
    lines
        .map(|line| look::line(safe(line), look::PLAIN))
        .collect()
}

/// Sessions as lines, as they are at a time.
pub(crate) fn listed(heads: &[SessionHead], now_ms: u64) -> Vec<Line<'static>> {
    let mut lines = vec![look::line(
        "Sessions of this folder, newest first; `quire --resume ID` goes on with one",
        look::BOLD,
    )];
    let line = |head: &SessionHead| pair(head.session.as_str(), &aged(head, now_ms));
    lines.extend(heads.iter().map(line));
    lines
}

/// When something happened last in a session, and its title.
pub(crate) fn aged(head: &SessionHead, now_ms: u64) -> String {
    let since = age(now_ms.saturating_sub(head.updated_ms));
    let title = match head.title.as_str() {
        "" => "(nothing said yet)",
        title => title,
    };
    format!("{since:<6}  {}", safe(title))
}
