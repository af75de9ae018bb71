//! Other sessions of the host: how many wait for a person, going over to the next one of them, and a
//! list of all. The host is asked when something happened here, and while another one works, never
//! more often than every few seconds; where nothing happens seldom, since something may be begun elsewhere.

use std::sync::Arc;
use std::time::Duration;

use quire_protocol::{Agent, Client, SessionId, Standing, first_line};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use crate::app::App;
use crate::picker::{Choice, Picker, Row};
use crate::wish::Wish;

/// Between questions that nobody asked for.
const EVERY: Duration = Duration::from_secs(5);
/// The same while nothing happens.
const SELDOM: Duration = Duration::from_secs(15);
/// How long a screen that has just opened waits with the first one.
const FIRST: Duration = Duration::from_millis(200);

/// What is looked for among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seek {
    /// How many wait; not asked for by anybody.
    Count,
    /// The next one that waits.
    Next,
    /// All of them.
    All,
}

/// What was found: all sessions, or why they cannot be listed.
#[derive(Debug)]
pub(crate) struct Found {
    seek: Seek,
    agents: Result<Vec<Agent>, String>,
}

/// Asks the host for its sessions, beside everything else.
pub(crate) struct Others {
    /// Where sessions live; no host is started.
    client: Arc<dyn Client>,
    tell: UnboundedSender<Found>,
    found: UnboundedReceiver<Found>,
    rhythm: Rhythm,
}

/// When the host is asked.
struct Rhythm {
    asking: bool,
    asked: Instant,
    /// When to ask how many wait.
    due: Option<Instant>,
}

impl Rhythm {
    fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.asking)
    }

    fn stir(&mut self, now: Instant) {
        let soon = (self.asked + EVERY).max(now);
        self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
    }

    fn ask(&mut self, now: Instant) {
        (self.asking, self.asked, self.due) = (true, now, None);
    }

    /// An answer came, which says whether another session works.
    fn heard(&mut self, now: Instant, works: bool) {
        self.asking = false;
        if works {
            self.stir(now);
        } else if self.due.is_none() {
            self.due = Some(now + SELDOM);
        }
    }
}

impl Others {
    pub(crate) fn new(client: Arc<dyn Client>) -> Self {
        let (tell, found) = unbounded_channel();
        let now = Instant::now();
        Self {
            client,
            tell,
            found,
            rhythm: Rhythm {
                asking: false,
                asked: now,
                due: Some(now + FIRST),
            },
        }
    }

    /// When to ask how many wait, if that is to be asked.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.rhythm.due()
    }

    /// Something happened here: others may have gone on meanwhile.
    pub(crate) fn stir(&mut self) {
        self.rhythm.stir(Instant::now());
    }

    /// Asks for the sessions of the host.
    pub(crate) fn ask(&mut self, seek: Seek) {
        self.rhythm.ask(Instant::now());
        let (client, tell) = (Arc::clone(&self.client), self.tell.clone());
        tokio::spawn(async move {
            let agents = client.agents().await.map_err(|error| error.to_string());
            // A screen that has left wants it no more.
            let _ = tell.send(Found { seek, agents });
        });
    }

    /// Waits for what is found.
    pub(crate) async fn next(&mut self) -> Found {
        match self.found.recv().await {
            Some(found) => {
                self.rhythm.heard(Instant::now(), found.works());
                found
            }
            None => std::future::pending().await,
        }
    }
}

impl Found {
    fn works(&self) -> bool {
        let agents = self.agents.as_deref().unwrap_or_default();
        agents
            .iter()
            .any(|agent| agent.standing == Standing::Working)
    }
}

impl App {
    /// Takes in what other sessions need. This screen shows the session `here`.
    pub(crate) fn found(&mut self, found: Found, here: &SessionId) -> Vec<Wish> {
        let agents = match found.agents {
            Ok(agents) => agents,
            Err(why) => {
                if found.seek != Seek::Count {
                    self.notice = Some(why);
                }
                return Vec::new();
            }
        };
        let waits =
            |agent: &&Agent| agent.standing == Standing::NeedsYou && agent.head.session != *here;
        self.others = agents.iter().filter(waits).count();
        self.called = self.callers.hear(&agents, Some(here));
        match found.seek {
            Seek::Count => Vec::new(),
            Seek::Next => {
                let mut waiting: Vec<_> = agents.iter().filter(waits).collect();
                // Always in the same order, so that each of them has its turn.
                waiting.sort_by(|a, b| a.head.session.cmp(&b.head.session));
                let after = waiting.iter().find(|agent| agent.head.session > *here);
                let next = after.or(waiting.first());
                let next = next.map(|agent| agent.head.session.clone());
                self.go_over(next)
            }
            Seek::All => {
                self.picker = Some(all(&agents, here).by_itself());
                Vec::new()
            }
        }
    }

    /// Goes over to another session, unless something here would be taken along.
    fn go_over(&mut self, next: Option<SessionId>) -> Vec<Wish> {
        let Some(session) = next else {
            self.notice = Some("no other session waits for you".to_owned());
            return Vec::new();
        };
        if let Some(why) = self.stays() {
            self.notice = Some(why.to_owned());
            return Vec::new();
        }
        let content = Vec::new();
        vec![Wish::Switch { session, content }]
    }

    /// Looks for the next session that waits.
    pub(crate) fn next_waiting(&mut self) -> Vec<Wish> {
        if let Some(why) = self.stays() {
            self.notice = Some(why.to_owned());
            return Vec::new();
        }
        vec![Wish::Seek(Seek::Next)]
    }

    /// Why this session is not left now, if it is not: nothing may reach another one by accident.
    fn stays(&self) -> Option<&'static str> {
        if self.own.is_some() {
            return Some("a command of yours runs here: Esc stops it");
        }
        let elsewhere = self.refusing.is_some() || self.search.is_some();
        let typed = elsewhere || !self.editor.is_empty();
        typed.then_some("send or clear what you have typed, then F2 goes over")
    }
}

/// All sessions, those that need a person first.
fn all(agents: &[Agent], here: &SessionId) -> Picker {
    let of = |standing| {
        let agents = agents.iter();
        agents.filter(move |agent| agent.standing == standing)
    };
    let rows = Standing::ALL.into_iter().flat_map(of).map(|agent| {
        let head = &agent.head;
        let is_here = head.session == *here;
        let folder = head.workspace.rsplit('/').next().unwrap_or_default();
        let words = format!(
            "{}: {}  ({folder})  {}{}",
            agent.standing.heading(),
            first_line(&head.title).0,
            first_line(&agent.detail).0,
            if is_here { "  ← here" } else { "" },
        );
        let switch = Wish::Switch {
            session: head.session.clone(),
            content: Vec::new(),
        };
        let wishes = if is_here { Vec::new() } else { vec![switch] };
        Row {
            words,
            choice: Choice::Wish(wishes),
        }
    });
    Picker::new("Sessions of the host: go over to which?", rows.collect())
}

#[cfg(test)]
mod tests {
    use quire_protocol::SessionHead;

    use super::*;

    fn found(seek: Seek, agents: &[(&str, Standing)]) -> Found {
        let agent = |(id, standing): &(&str, Standing)| Agent {
            head: SessionHead {
                session: SessionId::new(*id),
                created_ms: 0,
                updated_ms: 0,
                workspace: "/home/me/parser".to_owned(),
                title: format!("task of {id}\u{1b}[2J"),
                events: 3,
                parent: None,
            },
            standing: *standing,
            detail: "bash".to_owned(),
            model: "m".to_owned(),
            asked: None,
            faces: 0,
        };
        Found {
            seek,
            agents: Ok(agents.iter().map(agent).collect()),
        }
    }

    fn app() -> App {
        App::new("test".to_owned(), Arc::new(|settings, _| Ok(settings)))
    }

    const SOME: [(&str, Standing); 5] = [
        ("d", Standing::NeedsYou),
        ("c", Standing::Working),
        ("b", Standing::NeedsYou),
        ("a", Standing::NeedsYou),
        ("e", Standing::Done),
    ];

    fn switch(to: &str) -> Vec<Wish> {
        vec![Wish::Switch {
            session: SessionId::new(to),
            content: Vec::new(),
        }]
    }

    #[test]
    fn those_that_wait_are_gone_over_to_one_after_the_other() {
        let mut app = app();
        for (here, next) in [("a", "b"), ("b", "d"), ("c", "d"), ("d", "a"), ("e", "a")] {
            let wishes = app.found(found(Seek::Next, &SOME), &SessionId::new(here));
            assert_eq!(wishes, switch(next), "from {here}");
        }
        assert_eq!(app.others, 3);
        let none = [("a", Standing::NeedsYou), ("c", Standing::Working)];
        let here = SessionId::new("a");
        assert_eq!(app.found(found(Seek::Next, &none), &here), []);
        assert_eq!(app.others, 0);
        let notice = app.notice.take();
        assert_eq!(notice.as_deref(), Some("no other session waits for you"));
    }

    #[test]
    fn nothing_that_is_typed_or_runs_is_taken_along() {
        let mut app = app();
        assert_eq!(app.next_waiting(), [Wish::Seek(Seek::Next)]);
        app.editor.insert("for this one");
        assert_eq!(app.next_waiting(), []);
        // It may have been typed while the host was asked.
        let here = SessionId::new("a");
        assert_eq!(app.found(found(Seek::Next, &SOME), &here), []);
        assert!(app.notice.is_some());
        assert_eq!(app.editor.text(), "for this one");
    }

    #[test]
    fn all_are_listed_by_what_they_need() {
        let mut app = app();
        let here = SessionId::new("b");
        assert_eq!(app.found(found(Seek::All, &SOME), &here), []);
        let lines = app.picker.unwrap().plain();
        assert_eq!(
            lines[1..],
            [
                "  1  Needs you: task of d  (parser)  bash",
                "  2  Needs you: task of b  (parser)  bash  ← here",
                "  3  Needs you: task of a  (parser)  bash",
                "  4  Working: task of c  (parser)  bash",
                "  5  Done: task of e  (parser)  bash",
            ]
        );
    }

    #[test]
    fn the_host_is_asked_again_when_something_happens_and_else_seldom() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut rhythm = Rhythm {
            asking: false,
            asked: start,
            due: None,
        };
        rhythm.ask(start);
        rhythm.stir(start);
        assert_eq!(rhythm.due(), None, "one question at a time");
        rhythm.heard(start, false);
        assert_eq!(rhythm.due(), Some(after(5)), "something happened meanwhile");
        rhythm.ask(after(5));
        rhythm.heard(after(5), false);
        assert_eq!(rhythm.due(), Some(after(20)), "nothing happens here");
        rhythm.stir(after(12));
        rhythm.stir(after(13));
        assert_eq!(rhythm.due(), Some(after(12)));
        rhythm.ask(after(60));
        rhythm.heard(after(61), true);
        assert_eq!(rhythm.due(), Some(after(65)), "another one works");
    }
}
