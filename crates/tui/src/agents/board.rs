//! What is on the board: sessions by what they need, the one that is chosen, and what keys do to it.
//! Pure: what it wants from the world comes out as wants.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use quire_protocol::{
    Agent, Answer, Approval, CallId, Content, Delivery, MessageId, Op, SessionHead, SessionId,
    Standing,
};

use super::draw;
use super::peek::Peek;
use crate::answers::ONCE_ONLY;
use crate::editor::Editor;
use crate::keys::{Action, Mode, action};

/// What the board wants from the world.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "wants are few and short-lived")]
pub(crate) enum Want {
    /// Ask this of a session.
    Ask(SessionId, Op),
    /// Open a session on a screen.
    Open(SessionHead),
    /// Draw everything anew.
    Redraw,
    /// Stop, until the shell has the board go on.
    Suspend,
    /// Leave.
    Leave,
}

/// What is being typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typing {
    /// Something to say.
    Reply,
    /// Why not, to this question.
    Reason(CallId),
}

/// A question: there may be another one about the same call later.
pub(crate) type Question = (SessionId, CallId, Approval);

/// The board.
pub(crate) struct Board {
    /// In the order in which they are shown; nothing before they were listed.
    pub(crate) agents: Option<Vec<Agent>>,
    /// Which one is chosen.
    pub(crate) chosen: Option<SessionId>,
    /// What is seen of it.
    pub(crate) peek: Option<Peek>,
    /// The answer in hand, which Enter gives to this question.
    pub(crate) in_hand: Option<(Question, Answer)>,
    /// What is being typed to it.
    pub(crate) typing: Option<Typing>,
    pub(crate) editor: Editor,
    /// A word about the last key, until the next one.
    pub(crate) notice: Option<String>,
    /// Columns and rows.
    pub(crate) size: (u16, u16),
    /// The question that a person had time to see: keys answer no other.
    faced: Option<Question>,
    /// What makes its messages its own.
    name: String,
    sent: u32,
}

impl Board {
    /// A board with nothing on it yet, on which this session is to be chosen. No other board or
    /// screen may have the same name.
    pub(crate) fn new(name: String, chosen: Option<SessionId>, size: (u16, u16)) -> Self {
        Self {
            agents: None,
            chosen,
            peek: None,
            in_hand: None,
            typing: None,
            editor: Editor::default(),
            notice: None,
            size,
            faced: None,
            name,
            sent: 0,
        }
    }

    /// Sessions were listed.
    pub(crate) fn know(&mut self, mut agents: Vec<Agent>) {
        let rank = |agent: &Agent| {
            let mut all = Standing::ALL.iter();
            all.position(|standing| *standing == agent.standing)
        };
        agents.sort_by_key(rank);
        let before = self.place().unwrap_or(0);
        self.agents = Some(agents);
        if self.place().is_none() {
            self.in_hand = None;
            if self.typing.take().is_some() {
                self.notice = Some("the session that this was for is gone".to_owned());
            }
            let last = self.list().len().saturating_sub(1);
            let near = self.list().get(before.min(last));
            self.chosen = near.map(|agent| agent.head.session.clone());
        }
    }

    pub(crate) fn list(&self) -> &[Agent] {
        self.agents.as_deref().unwrap_or_default()
    }

    /// How many stand so.
    pub(crate) fn count(&self, standing: Standing) -> usize {
        let stand = |agent: &&Agent| agent.standing == standing;
        self.list().iter().filter(stand).count()
    }

    /// The place of the chosen one.
    pub(crate) fn place(&self) -> Option<usize> {
        let chosen = self.chosen.as_ref()?;
        let is_it = |agent: &Agent| agent.head.session == *chosen;
        self.list().iter().position(is_it)
    }

    pub(crate) fn agent(&self) -> Option<&Agent> {
        self.list().get(self.place()?)
    }

    /// What is seen of the chosen one; nothing of another one.
    pub(crate) fn peek(&self) -> Option<&Peek> {
        let peek = self.peek.as_ref()?;
        (Some(&peek.session) == self.chosen.as_ref()).then_some(peek)
    }

    fn question(&self) -> Option<Question> {
        let peek = self.peek()?;
        let (call, approval) = peek.question()?;
        Some((peek.session.clone(), call, approval.clone()))
    }

    /// Whether a question is open that nobody had time to see.
    pub(crate) fn is_surprised(&self) -> bool {
        let question = self.question();
        question.is_some() && question != self.faced
    }

    /// The person has seen the question.
    pub(crate) fn face(&mut self) {
        self.faced = self.question();
    }

    /// A row up or down.
    pub(crate) fn go(&mut self, rows: isize) {
        let place = self.place().unwrap_or(0).saturating_add_signed(rows);
        let last = self.list().len().saturating_sub(1);
        let there = self.list().get(place.min(last));
        self.chosen = there.map(|agent| agent.head.session.clone());
    }

    /// Text was pasted.
    pub(crate) fn paste(&mut self, text: &str) {
        if self.typing.is_some() {
            self.editor.paste(text);
        }
    }

    /// A key was pressed.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Vec<Want> {
        if key.kind == KeyEventKind::Release {
            return Vec::new();
        }
        let asked = action(key, Mode::Typing);
        if asked == Some(Action::Suspend) {
            return vec![Want::Suspend];
        }
        self.notice = None;
        if let Some(typing) = self.typing {
            return self.typed(key, typing);
        }
        if let Some((question, answer)) = self.in_hand.take() {
            match asked {
                Some(Action::Send) if self.answerable().as_ref() == Ok(&question) => {
                    let (_, call, _) = question;
                    return self.ask(Op::Answer { call, answer });
                }
                Some(Action::Send) => {
                    self.notice = Some("that question is gone".to_owned());
                    return Vec::new();
                }
                Some(Action::Interrupt | Action::Clear) => return Vec::new(),
                _ => {}
            }
        }
        match asked {
            Some(Action::Up) => self.go(-1),
            Some(Action::Down) => self.go(1),
            Some(Action::Interrupt | Action::Clear | Action::Leave) => return vec![Want::Leave],
            Some(Action::Redraw) => return vec![Want::Redraw],
            // With Ctrl or Alt it is another key, which may allow something elsewhere.
            _ if key
                .modifiers
                .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {}
            _ => return self.command(key.code),
        }
        Vec::new()
    }

    fn command(&mut self, code: KeyCode) -> Vec<Want> {
        if code == KeyCode::Char('q') {
            return vec![Want::Leave];
        }
        let Some(agent) = self.agent() else {
            return Vec::new();
        };
        let (standing, asks) = (agent.standing, agent.asked.is_some());
        match code {
            KeyCode::Enter => return vec![Want::Open(agent.head.clone())],
            KeyCode::Char('r') => self.typing = Some(Typing::Reply),
            KeyCode::Char('y') => match self.answerable() {
                Ok(question) => self.in_hand = Some((question, Answer::AllowOnce)),
                Err(why) => self.notice = Some(why),
            },
            KeyCode::Char('a') => match self.always() {
                Ok(question) => self.in_hand = Some((question, Answer::AllowAlways)),
                Err(why) => self.notice = Some(why),
            },
            KeyCode::Char('n') => match self.answerable() {
                Ok((_, call, _)) => self.typing = Some(Typing::Reason(call)),
                Err(why) => self.notice = Some(why),
            },
            KeyCode::Char('s') if standing == Standing::Working || asks => {
                let cause = "person".to_owned();
                return self.ask(Op::Interrupt { cause });
            }
            KeyCode::Char('s') => self.notice = Some("nothing of it works".to_owned()),
            KeyCode::Char('p') if standing == Standing::Working || asks => {
                return self.ask(Op::Pause);
            }
            KeyCode::Char('p') if matches!(standing, Standing::NeedsYou | Standing::Paused) => {
                return self.ask(Op::Resume);
            }
            KeyCode::Char('p') => self.notice = Some("it has no turn to pause".to_owned()),
            _ => {}
        }
        Vec::new()
    }

    /// The question that can be answered here, or why none can.
    fn answerable(&self) -> Result<Question, String> {
        let words = match self.question() {
            None => "it asks nothing",
            Some(_) if !draw::shows_question(self) => {
                "there is no room here to see all that would run: Enter opens it"
            }
            Some(_) if self.is_surprised() => "this question is new: look at it, then answer",
            Some(question) => return Ok(question),
        };
        Err(words.to_owned())
    }

    /// The question that can be answered for all that begins alike, or why none can.
    fn always(&self) -> Result<Question, String> {
        let question = self.answerable()?;
        if question.2.prefix.is_empty() {
            return Err(ONCE_ONLY.to_owned());
        }
        Ok(question)
    }

    fn ask(&mut self, op: Op) -> Vec<Want> {
        let chosen = self.chosen.clone();
        chosen
            .map(|session| Want::Ask(session, op))
            .into_iter()
            .collect()
    }

    fn typed(&mut self, key: KeyEvent, typing: Typing) -> Vec<Want> {
        let mode = match typing {
            Typing::Reply => Mode::Typing,
            Typing::Reason(_) => Mode::Reason,
        };
        let columns = usize::from(self.size.0);
        match action(key, mode) {
            Some(Action::Insert(char)) => self.editor.insert(char.encode_utf8(&mut [0; 4])),
            Some(Action::Newline) => self.editor.insert("\n"),
            Some(Action::Go(to)) => self.editor.go(to),
            Some(Action::Delete(to)) => self.editor.delete(to),
            Some(Action::PutBack) => self.editor.put_back(),
            Some(Action::Up) => drop(self.editor.go_rows(-1, columns)),
            Some(Action::Down) => drop(self.editor.go_rows(1, columns)),
            Some(Action::Interrupt | Action::Back | Action::Clear) => self.stop_typing(),
            Some(Action::Send) => return self.send(typing, Delivery::Steer),
            Some(Action::Queue) => return self.send(typing, Delivery::Queue),
            Some(Action::Redraw) => return vec![Want::Redraw],
            _ => {}
        }
        Vec::new()
    }

    fn stop_typing(&mut self) {
        self.typing = None;
        self.editor.take();
    }

    fn send(&mut self, typing: Typing, delivery: Delivery) -> Vec<Want> {
        let text = self.editor.take();
        self.typing = None;
        match typing {
            Typing::Reason(call) => self.ask(Op::Answer {
                call,
                answer: Answer::no(&text),
            }),
            Typing::Reply if text.trim().is_empty() => Vec::new(),
            Typing::Reply => {
                self.sent += 1;
                let message = MessageId::new(format!("{}-{}", self.name, self.sent));
                self.ask(Op::Say {
                    message,
                    delivery,
                    content: vec![Content::text(text)],
                    effort: None,
                })
            }
        }
    }
}
