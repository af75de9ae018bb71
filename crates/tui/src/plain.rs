//! The conversation as plain lines, top to bottom, for screen readers and dumb terminals: nothing is
//! drawn twice, nothing is moved. A line that is typed steers, answers a question or is a command.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, Write as _};
use std::thread;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use futures_util::{FutureExt as _, StreamExt as _};
use quire_protocol::{Answer, Approval, CallId, Content, Frame, SessionId};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use crate::app::{App, Wish};
use crate::conversation::{asks_to, whole};
use crate::keys::{Mode, Pick, Reply};
use crate::link::Link;
use crate::resume;
use crate::setup::Error;
use crate::talk::{self, Then, listed};
use crate::view::{begins_so, facts};
use crate::world::World;

/// What was said already.
#[derive(Debug, Default)]
struct Told {
    asked: BTreeSet<CallId>,
    running: BTreeSet<CallId>,
    pending: usize,
    /// The list from which something is being chosen.
    picked: Vec<String>,
}

/// Talks until the lines end, or the person leaves.
pub(crate) async fn talk(app: &mut App, link: &mut Link, mut world: World) -> Result<(), Error> {
    let mut typing = lines();
    let mut told = Told::default();
    print("say what to do; /help lists commands, Ctrl+C stops what it does, Ctrl+D leaves\n")?;
    loop {
        print(&told.news(app))?;
        if let Some(bell) = world.alerts.follow(&app.conversation, Instant::now()) {
            print(&bell)?;
        }
        let wishes = tokio::select! {
            biased;
            said = typing.recv() => match said {
                Some(said) => typed(app, &said),
                None => return Ok(()),
            },
            Some(arrived) = link.arrived.recv() => app.arrived(arrived),
            found = world.others.next() => app.found(found, link.session()),
            Some(error) = link.refused.recv() => {
                app.was_refused(&error.to_string());
                continue;
            }
            Some(text) = link.news.recv() => {
                app.conversation.show(talk::told(&text));
                continue;
            }
            frame = link.frames.next() => {
                let Some(frame) = frame else {
                    return Ok(());
                };
                take_in(app, link, frame);
                while let Some(Some(frame)) = link.frames.next().now_or_never() {
                    take_in(app, link, frame);
                }
                continue;
            }
            news = world.shell.next() => {
                if let Some(op) = app.own_told(news) {
                    link.ask(op);
                }
                continue;
            }
            changed = world.interrupts.changed() => match changed {
                Ok(()) if app.conversation.works() || app.own.is_some() => app.interrupt(),
                Ok(()) => return Ok(()),
                Err(_) => std::future::pending().await,
            },
        };
        for wish in wishes {
            if grant(app, link, &mut world, wish).await? == Then::Leave {
                return Ok(());
            }
        }
    }
}

/// Shows another session. This one goes on without it.
async fn go_over(
    app: &mut App,
    link: &mut Link,
    world: &mut World,
    to: SessionId,
    content: &[Content],
) {
    resume::switch(app, link, to, content).await;
    world.follow(app);
    world.alerts.begin(&app.conversation, Instant::now());
}

async fn grant(
    app: &mut App,
    link: &mut Link,
    world: &mut World,
    wish: Wish,
) -> Result<Then, Error> {
    match wish {
        Wish::Ask(op) => {
            world.keep(&op);
            link.ask(op);
        }
        Wish::Allow(prefix) => app.kept(world.machine.allow(&prefix)),
        Wish::Run(command) => world.shell.start(&world.machine, command),
        Wish::StopOwn => world.shell.stop(),
        Wish::List => {
            let heads = link.sessions(app).await?;
            app.conversation.show(listed(&heads));
        }
        Wish::Travel(journey) => link.travel(journey, app),
        Wish::Switch { session, content } => go_over(app, link, world, session, &content).await,
        Wish::Resume(words) => {
            if let Some(session) = resume::find(app, link, &words).await {
                go_over(app, link, world, session, &[]).await;
            }
        }
        Wish::Seek(seek) => world.others.ask(seek),
        Wish::Check => talk::check(app, link, &world.check),
        // Nothing is offered where nothing is drawn.
        Wish::Attach { .. } | Wish::AttachCopied => {
            app.notice = Some("plain lines take no images: `quire exec --image`".to_owned());
        }
        Wish::Walk | Wish::Recall | Wish::Compose | Wish::Redraw | Wish::Wear(_) => {}
        Wish::Unfold => app.notice = app.conversation.show_again().err(),
        Wish::Find(_) => app.notice = Some(crate::talk::ELSEWHERE.to_owned()),
        Wish::Quit => return Ok(Then::Leave),
    }
    Ok(Then::GoOn)
}

fn take_in(app: &mut App, link: &Link, frame: Frame) {
    match frame {
        Frame::Record(record) => {
            app.conversation.record(&record);
            for op in app.settle() {
                link.ask(op);
            }
            // Nobody sees an input here.
            if !app.editor.is_empty() {
                app.notice = Some(format!("taken back: {}", app.editor.take()));
            }
            // A whole line is not typed by accident.
            app.face();
        }
        Frame::Delta(delta) => app.conversation.delta(&delta),
    }
}

/// A line that was typed, as the keys that would mean the same.
fn typed(app: &mut App, line: &str) -> Vec<Wish> {
    let press = |app: &mut App, code| app.key(KeyEvent::new(code, KeyModifiers::NONE));
    let line = line.trim_end();
    if app.picker.is_some() {
        return match line.parse() {
            Ok(number) => app.pick(Pick::Numbered(number)),
            Err(_) => app.pick(Pick::Leave),
        };
    }
    // A command is one whatever is asked.
    if app.mode() == Mode::Asked && !line.starts_with(['/', '!']) {
        return answered(app, line);
    }
    app.editor.set(line);
    let wishes = press(app, KeyCode::Enter);
    // A command that could not be done is not left in an input that nobody sees.
    if !line.ends_with('\\') {
        app.editor.set("");
    }
    wishes
}

/// A line as the answer to the open question.
fn answered(app: &mut App, line: &str) -> Vec<Wish> {
    let (word, why) = line.split_once(' ').unwrap_or((line, ""));
    match (Reply::of(word), why.trim()) {
        (Some(Reply::No), why) => app.answer(&Answer::no(why)),
        (Some(reply), "") => app.reply(reply),
        _ => {
            let how = "please answer with one of the letters; commands (/stop, /help) work too";
            app.notice = Some(how.to_owned());
            Vec::new()
        }
    }
}

impl Told {
    /// What there is to say that was not said yet.
    fn news(&mut self, app: &mut App) -> String {
        let mut lines: Vec<String> = app
            .conversation
            .take_done()
            .iter()
            .map(|line| line.to_string().trim_end().to_owned())
            .collect();
        for (call, running) in &app.conversation.running {
            if self.running.insert(*call) {
                let shown = &running.shown;
                lines.push(format!("running {} {}", shown.name, shown.detail));
            }
        }
        for pending in app.conversation.pending.iter().skip(self.pending) {
            if pending.joins {
                lines.push(pending.class(app.conversation.has_turn()).to_owned());
            }
        }
        self.pending = app.conversation.pending.len();
        if let Some((call, approval)) = app.conversation.asked.first()
            && self.asked.insert(*call)
        {
            lines.extend(question(app, *call, approval));
        }
        match &app.picker {
            Some(picker) => {
                let rows = picker.plain();
                if rows != self.picked {
                    lines.extend(rows.iter().cloned());
                    self.picked = rows;
                }
            }
            None => self.picked.clear(),
        }
        lines.extend(app.notice.take());
        lines.into_iter().map(|line| line + "\n").collect()
    }
}

fn question(app: &App, call: CallId, approval: &Approval) -> Vec<String> {
    let about = app.conversation.about(call);
    let name = about.split(' ').next().unwrap_or_default();
    let session = match begins_so(approval) {
        rule if rule.is_empty() => rule,
        rule => format!(
            ", s {rule} for this session, a the same always (a rule in {})",
            app.rules_file
        ),
    };
    let mut lines = vec![format!("? {name} asks to {}:", asks_to(approval))];
    lines.extend(whole(approval, usize::MAX).iter().map(ToString::to_string));
    lines.extend(facts(approval));
    lines.push(format!("y once{session}, n no, n WHY no and why"));
    lines
}

/// The lines that are typed, read by a thread of their own, which may wait for ever.
fn lines() -> UnboundedReceiver<String> {
    let (typed, lines) = unbounded_channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else {
                return;
            };
            if typed.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quire_protocol::{Event, Op, Record, Seq};

    use super::*;

    /// Plain lines with an open question.
    fn asked(prefix: &[&str]) -> App {
        let mut app = App::new("test".to_owned(), Arc::new(|settings, _| Ok(settings)));
        let approval = Approval {
            action: "git push".to_owned(),
            reason: "it may change something".to_owned(),
            prefix: prefix.iter().map(|word| (*word).to_owned()).collect(),
            ..Approval::default()
        };
        let events = [
            Event::TurnStarted {
                turn: quire_protocol::TurnId(1),
            },
            Event::ApprovalAsked {
                call: CallId(1),
                approval,
            },
        ];
        for (seq, event) in (1..).zip(events) {
            app.conversation.record(&Record {
                seq: Seq(seq),
                at_ms: 0,
                event,
            });
        }
        app.face();
        app
    }

    #[test]
    fn lines_at_a_question_are_answers_and_commands_are_commands() {
        let answer = |answer| {
            vec![Wish::Ask(Op::Answer {
                call: CallId(1),
                answer,
            })]
        };
        let stop = vec![Wish::Ask(Op::Interrupt {
            cause: "person".to_owned(),
        })];
        for (line, wishes) in [
            ("y", answer(Answer::AllowOnce)),
            ("Y ", answer(Answer::AllowOnce)),
            ("s", answer(Answer::AllowAlways)),
            ("p", answer(Answer::AllowAlways)),
            (
                "a",
                vec![
                    answer(Answer::AllowAlways).remove(0),
                    Wish::Allow(vec!["git".to_owned(), "push".to_owned()]),
                ],
            ),
            ("n", answer(Answer::no(""))),
            ("n use a branch", answer(Answer::no("use a branch"))),
            ("/stop", stop),
            ("! make", vec![Wish::Run("make".to_owned())]),
            ("yes, but later", vec![]),
            ("y do it", vec![]),
            ("stop that, I said origin", vec![]),
            ("", vec![]),
        ] {
            let mut app = asked(&["git", "push"]);
            assert_eq!(typed(&mut app, line), wishes, "{line}");
            assert_eq!(app.notice.is_none(), !wishes.is_empty(), "{line}");
        }
        let mut app = asked(&[]);
        assert_eq!(typed(&mut app, "s"), []);
        assert!(app.notice.unwrap().contains("only be allowed once"));
        let mut app = asked(&[]);
        assert_eq!(typed(&mut app, "/help"), []);
        let shown = Told::default().news(&mut app);
        assert!(shown.contains("/stop"), "{shown}");
    }
}
