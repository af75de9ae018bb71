//! The conversation as plain lines, top to bottom, for screen readers and dumb terminals: nothing is
//! drawn twice, nothing is moved. A line that is typed steers, answers a question or is a command.

mod keys;
mod line;
#[cfg(test)]
mod tests;
mod told;
mod typing;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use futures_util::{FutureExt as _, StreamExt as _};
use quire_protocol::{Content, Frame, SessionId};
use tokio::time::Instant;

use crate::app::App;
use crate::errands::Done;
use crate::keys::Pick;
use crate::link::Link;
use crate::resume;
use crate::setup::Error;
use crate::signals::Sign;
use crate::talk::{self, PAUSE, Then, listed, until};
use crate::wish::Wish;
use crate::world::World;

use keys::Pastes;
use line::Line;
use told::Told;
use typing::{Typed, Typing};

/// Between words on what is done, at least: who hears them has to wait for each to end.
const SELDOM: Duration = Duration::from_secs(10);

/// A conversation in plain lines.
struct Talk<'a> {
    app: &'a mut App,
    link: &'a mut Link,
    world: World,
    typing: Typing,
    line: Line,
    told: Told,
    /// When something was typed, or a question came.
    disturbed: Instant,
    /// When something was printed last.
    printed: Instant,
    /// After how long without a word it is said what is done.
    seldom: Duration,
}

/// Talks until the lines end, or the person leaves. What is done is said every so often.
pub(crate) async fn talk(
    app: &mut App,
    link: &mut Link,
    world: World,
    progress: Duration,
) -> Result<(), Error> {
    let pastes = if app.colours.is_dumb() {
        Pastes::Untold
    } else {
        Pastes::Told
    };
    let mut talk = Talk {
        app,
        link,
        world,
        typing: Typing::begin(pastes),
        line: Line::default(),
        told: Told::default(),
        disturbed: Instant::now(),
        printed: Instant::now(),
        seldom: progress.max(SELDOM),
    };
    print("say what to do; /help lists commands, Ctrl+C stops what it does, Ctrl+D leaves\n")?;
    while talk.goes_on().await? == Then::GoOn {}
    print(&talk.line.turn("", talk.app))?;
    Ok(())
}

impl Talk<'_> {
    /// Says what there is to say, and does what happens next.
    async fn goes_on(&mut self) -> Result<Then, Error> {
        self.say()?;
        let app = &mut *self.app;
        let world = &mut self.world;
        let works = app.conversation.works() && app.conversation.asked.is_empty();
        let quiet = works.then(|| self.printed + self.seldom);
        let faced = app.is_hurried().then(|| self.disturbed + PAUSE);
        let asked = app.first_asked();
        let wishes = tokio::select! {
            biased;
            // Whatever is typed, and however much of it.
            sign = world.signals.next() => match sign {
                Sign::Interrupted if app.conversation.works() || app.own.is_some() => app.interrupt(),
                Sign::Interrupted if self.line.clear(app) => Vec::new(),
                Sign::Over(_) | Sign::Interrupted => return Ok(Then::Leave),
                Sign::GoesOn => {
                    self.typing.goes_on()?;
                    Vec::new()
                }
            },
            typed = self.typing.next() => match typed {
                Some(typed) => self.happened(&typed),
                None => return Ok(Then::Leave),
            },
            Some(arrived) = self.link.arrived.recv() => app.arrived(arrived),
            found = world.others.next() => app.found(found, self.link.session()),
            Some((op, error)) = self.link.refused.recv() => {
                app.was_refused(&op, &error.to_string());
                Vec::new()
            }
            Some(text) = self.link.news.recv() => {
                app.answered(&text);
                Vec::new()
            }
            frame = self.link.frames.next() => {
                let Some(frame) = frame else {
                    return Ok(Then::Leave);
                };
                take_in(app, self.link, world, frame);
                while let Some(Some(frame)) = self.link.frames.next().now_or_never() {
                    take_in(app, self.link, world, frame);
                }
                Vec::new()
            }
            news = world.shell.next() => {
                if let Some(op) = app.own_told(news) {
                    self.link.ask(op);
                }
                Vec::new()
            }
            done = world.errands.next() => done_for(app, &mut self.line, done),
            () = until(faced) => {
                app.face();
                Vec::new()
            }
            () = until(quiet) => {
                self.told.doing(app);
                Vec::new()
            }
        };
        if self.app.first_asked() != asked {
            self.disturbed = Instant::now();
        }
        for wish in wishes {
            if self.grant(wish).await? == Then::Leave {
                return Ok(Then::Leave);
            }
        }
        Ok(Then::GoOn)
    }

    /// Something was typed.
    fn happened(&mut self, typed: &Typed) -> Vec<Wish> {
        self.disturbed = Instant::now();
        match typed {
            Typed::Line(said) => line_typed(self.app, said),
            Typed::Text(text) => self.line.text(self.app, text),
            Typed::Key(key) => self.line.key(self.app, *key),
            Typed::Paste(text) => self.line.paste(self.app, text),
            Typed::Nothing => Vec::new(),
        }
    }

    fn say(&mut self) -> io::Result<()> {
        if let Typing::Lines(_) = self.typing {
            unseen(self.app);
        }
        let news = self.told.news(self.app);
        let bell = self
            .world
            .alerts
            .follow(&self.app.conversation, Instant::now());
        let mut text = match self.typing {
            Typing::Lines(_) => news,
            Typing::Keys(_) => self.line.turn(&news, self.app),
        };
        if !text.is_empty() {
            self.printed = Instant::now();
        }
        text.extend(bell);
        print(&text)
    }

    /// Gives the line and the terminal to the person's editor, and takes both back.
    async fn compose(&mut self) -> io::Result<()> {
        let Typing::Keys(keys) = &mut self.typing else {
            return Ok(());
        };
        print("\n")?;
        keys.give()?;
        let text = self.app.editor.whole();
        let machine = Arc::clone(&self.world.machine);
        let edited = tokio::task::spawn_blocking(move || machine.edit(&text)).await;
        // Ctrl+C was meant for the editor.
        self.world.signals.forget_interrupts();
        keys.take_back()?;
        match edited.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(text) => self.app.composed(&text),
            Err(why) => self.app.notice = Some(why),
        }
        self.line.anew();
        Ok(())
    }

    /// Leaves the terminal to the shell until that has this go on.
    fn suspend(&mut self) -> io::Result<()> {
        let Typing::Keys(keys) = &mut self.typing else {
            return Ok(());
        };
        print("\n")?;
        keys.suspend()?;
        self.line.anew();
        Ok(())
    }

    /// Shows another session. This one goes on without it.
    async fn go_over(&mut self, to: SessionId, content: &[Content]) {
        resume::switch(self.app, self.link, to, content).await;
        self.world.follow(self.app);
        self.world
            .alerts
            .begin(&self.app.conversation, Instant::now());
    }

    async fn grant(&mut self, wish: Wish) -> Result<Then, Error> {
        let (app, world) = (&mut *self.app, &mut self.world);
        match wish {
            Wish::Ask(op) => {
                world.keep(&op);
                self.link.ask(op);
            }
            Wish::Run(command) => world.shell.start(&world.machine, command),
            Wish::StopOwn => world.shell.stop(),
            Wish::List => {
                let heads = self.link.sessions(app).await?;
                app.conversation.show(listed(&heads, (app.now_ms)()));
            }
            Wish::Travel(journey) => self.link.travel(journey, app),
            Wish::Switch { session, content } => self.go_over(session, &content).await,
            Wish::Resume(words) => {
                if let Some(session) = resume::find(app, self.link, &words).await {
                    self.go_over(session, &[]).await;
                }
            }
            Wish::Seek(seek) => world.others.ask(seek),
            Wish::Check => talk::check(app, self.link, &world.check),
            Wish::Attach { path, pasted } => world.errands.attach(path, pasted),
            Wish::AttachCopied => world.errands.attach_copied(),
            Wish::Walk => world.errands.walk(),
            Wish::Recall => world.errands.recall(),
            Wish::Compose => self.compose().await?,
            Wish::Suspend => self.suspend()?,
            // Nothing is drawn that could be drawn anew.
            Wish::Redraw | Wish::Wear(_) => {}
            Wish::Unfold => app.notice = app.conversation.show_again().err(),
            Wish::Find(_) => app.notice = Some(crate::talk::ELSEWHERE.to_owned()),
            Wish::Quit => return Ok(Then::Leave),
        }
        Ok(Then::GoOn)
    }
}

/// Takes in what was asked of the machine.
fn done_for(app: &mut App, line: &mut Line, done: Done) -> Vec<Wish> {
    match done {
        Done::Walked(paths) => {
            app.paths.know(paths);
            return line.walked(app);
        }
        Done::Recalled(before) => {
            if let Some(search) = &mut app.search {
                search.know(before);
            }
        }
        Done::Attached {
            name,
            image,
            pasted,
        } => {
            let is_attached = image.is_ok();
            app.attached(&name, image, pasted);
            line.attached(app, &name, is_attached);
        }
        Done::Allowed(allowed) => app.kept(allowed),
        Done::Kept => {}
    }
    Vec::new()
}

/// Nobody sees an input where the terminal shows what is typed: what came into it is told. Images go
/// with the next message.
fn unseen(app: &mut App) {
    if !app.editor.is_empty()
        && app.editor.images().is_empty()
        && !app.editor.text().ends_with('\n')
    {
        app.notice = Some(format!("taken back: {}", app.editor.take()));
    }
}

fn take_in(app: &mut App, link: &Link, world: &World, frame: Frame) {
    match frame {
        Frame::Record(record) => world.take_in(app, link, &record),
        Frame::Delta(delta) => app.conversation.delta(&delta),
    }
}

/// A line that was typed, as the keys that would mean the same.
fn typed(app: &mut App, line: &str) -> Vec<Wish> {
    let press = |app: &mut App, code| app.key(KeyEvent::new(code, KeyModifiers::NONE));
    let line = line.trim_end();
    if let Some(picker) = &app.picker {
        let told = match line.trim().parse() {
            Ok(number) if picker.has(number) => return app.pick(Pick::Numbered(number)),
            Err(_) if line.is_empty() => return app.pick(Pick::Leave),
            Ok(number) => {
                format!("the list has no {number}: a number of it, or nothing to leave it")
            }
            Err(_) => format!(
                "a list is open: a number chooses, an empty line leaves it; not said: {line}"
            ),
        };
        app.notice = Some(told);
        return Vec::new();
    }
    // A command is one whatever is asked.
    if !line.starts_with(['/', '!'])
        && let Some(wishes) = app.give_line(line)
    {
        return wishes;
    }
    app.answering = None;
    app.editor.paste(line);
    press(app, KeyCode::Enter)
}

/// A line that the terminal has gathered and shown.
fn line_typed(app: &mut App, line: &str) -> Vec<Wish> {
    // Nobody knows when its first letter was typed.
    app.answering = app.facing();
    let wishes = typed(app, line);
    // What could not be done is not left in an input that nobody sees.
    if !line.trim_end().ends_with('\\') && app.editor.images().is_empty() {
        let left = app.editor.take();
        if app.notice.is_none() && wishes.is_empty() && !left.is_empty() {
            app.notice = Some(format!("{} takes more: please say all of it", left.trim()));
        }
    }
    wishes
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
