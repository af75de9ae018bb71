//! What a screen is: a conversation, an input, and what keys do to them. Pure: what it wants from
//! the world comes out as wishes.

use std::sync::Arc;

use crossterm::event::KeyEvent;
use quire_protocol::{
    Answer, CallId, Content, Delivery, MessageId, Op, SessionHead, SessionId, Settings,
};

use crate::calls::Details;
use crate::commands::{self, Command};
use crate::conversation::{Conversation, Doing};
use crate::editor::Editor;
use crate::keys::{Action, Mode, Reply, action};

/// Settings with others in the place of some (a key and its value, as flags are written), fitted to
/// their model; or why they cannot be.
pub type Fit =
    Arc<dyn Fn(Settings, &[(&'static str, String)]) -> Result<Settings, String> + Send + Sync>;

/// What a screen wants from the world.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "wishes are few and short-lived")]
pub(crate) enum Wish {
    /// Ask this of the session.
    Ask(Op),
    /// List the sessions of this folder.
    List,
    /// Look for sessions of this folder to go over to.
    Find(String),
    /// Go over to this session.
    Switch(SessionId),
    /// Check key, endpoint, sandbox, git and disk.
    Check,
    /// Draw everything anew.
    Redraw,
    /// Close the session and leave.
    Quit,
}

/// A screen.
pub(crate) struct App {
    pub(crate) conversation: Conversation,
    pub(crate) editor: Editor,
    /// A word about the last key, until the next one.
    pub(crate) notice: Option<String>,
    /// The question whose no is being given a reason.
    pub(crate) refusing: Option<CallId>,
    /// The question that a person had time to see: keys answer no other.
    faced: Option<CallId>,
    /// The branch of the folder.
    pub(crate) branch: Option<String>,
    pub(crate) fit: Fit,
    /// Where settings come from, by their names.
    pub(crate) origins: Vec<(String, String)>,
    /// Reads the clock.
    pub(crate) now_ms: fn() -> u64,
    /// The sessions that were listed with numbers last.
    pub(crate) listed: Vec<SessionHead>,
    /// What makes this screen's messages its own.
    name: String,
    sent: u32,
    /// Whether another Ctrl+C quits.
    leaving: bool,
    /// The place in what was said that is in the input.
    recalled: Option<usize>,
    /// What was in the input before an earlier message.
    draft: String,
    /// What was in the input before a reason.
    aside: String,
    /// Columns of the input.
    pub(crate) columns: usize,
}

impl App {
    /// A screen with nothing on it. No other screen may have the same name.
    pub(crate) fn new(name: String, fit: Fit) -> Self {
        Self {
            conversation: Conversation::default(),
            editor: Editor::default(),
            notice: None,
            refusing: None,
            faced: None,
            branch: None,
            fit,
            origins: Vec::new(),
            now_ms: || 0,
            listed: Vec::new(),
            name,
            sent: 0,
            leaving: false,
            recalled: None,
            draft: String::new(),
            aside: String::new(),
            columns: 80,
        }
    }

    /// What the keys are about.
    pub(crate) fn mode(&self) -> Mode {
        if self.refusing.is_some() {
            Mode::Reason
        } else if self.faced.is_some() && !self.is_surprised() && self.editor.is_empty() {
            Mode::Asked
        } else if !self.offered().is_empty() {
            Mode::Command
        } else {
            Mode::Typing
        }
    }

    /// Whether a question is open that nobody had time to see.
    pub(crate) fn is_surprised(&self) -> bool {
        let first = self.conversation.asked.first().map(|(call, _)| *call);
        first.is_some() && first != self.faced
    }

    /// The person has seen the first open question.
    pub(crate) fn face(&mut self) {
        self.faced = self.conversation.asked.first().map(|(call, _)| *call);
    }

    /// The commands whose name is being written.
    pub(crate) fn offered(&self) -> Vec<&'static Command> {
        if self.refusing.is_some() {
            return Vec::new();
        }
        commands::starting_with(self.editor.before())
    }

    /// A key was pressed.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Vec<Wish> {
        let Some(action) = action(key, self.mode()) else {
            return Vec::new();
        };
        self.notice = None;
        let leaving = std::mem::take(&mut self.leaving);
        match action {
            Action::Clear => return self.clear(leaving),
            Action::Leave if self.editor.is_empty() => return vec![Wish::Quit],
            Action::Leave => self.editor.delete(crate::editor::To::Right),
            Action::Interrupt => return self.interrupt(),
            Action::Send => return self.send(Delivery::Steer),
            Action::Queue => return self.send(Delivery::Queue),
            Action::Reply(reply) => return self.reply(reply),
            Action::Back => self.stop_refusing(),
            Action::Redraw => return vec![Wish::Redraw],
            Action::Complete => self.complete(),
            Action::Details => self.toggle_details(),
            Action::Insert(char) => self.editor.insert(char.encode_utf8(&mut [0; 4])),
            Action::Newline => self.editor.insert("\n"),
            Action::Go(to) => self.editor.go(to),
            Action::Delete(to) => self.editor.delete(to),
            Action::PutBack => self.editor.put_back(),
            Action::Up => self.up(),
            Action::Down => self.down(),
        }
        Vec::new()
    }

    /// Text was pasted.
    pub(crate) fn paste(&mut self, text: &str) {
        self.notice = None;
        self.editor.paste(text);
    }

    /// What was recorded may have answered the question elsewhere.
    pub(crate) fn settle(&mut self) {
        let open = |call| {
            self.conversation
                .asked
                .iter()
                .any(|(open, _)| *open == call)
        };
        if self.faced.is_some_and(|call| !open(call)) {
            self.faced = None;
        }
        if self.refusing.is_some_and(|call| !open(call)) {
            // What was typed stays: keys that go on with it must not answer the next question.
            let typed = self.editor.take();
            self.stop_refusing();
            if !self.editor.is_empty() && !typed.is_empty() {
                self.editor.insert("\n");
            }
            self.editor.insert(&typed);
            self.notice = Some("that question is answered already".to_owned());
        }
    }

    /// Asks to say something.
    pub(crate) fn say(&mut self, text: String, delivery: Delivery) -> Wish {
        self.sent += 1;
        Wish::Ask(Op::Say {
            message: MessageId::new(format!("{}-{}", self.name, self.sent)),
            delivery,
            content: vec![Content::text(text)],
            effort: None,
        })
    }

    fn send(&mut self, delivery: Delivery) -> Vec<Wish> {
        if let Some(call) = self.refusing.take() {
            let why = self.editor.take();
            self.put_aside_back();
            let answer = Answer::no(&why);
            return vec![Wish::Ask(Op::Answer { call, answer })];
        }
        if self.editor.before().ends_with('\\') && delivery == Delivery::Steer {
            self.editor.delete(crate::editor::To::Left);
            self.editor.insert("\n");
            return Vec::new();
        }
        if let Some((name, words)) = commands::read(self.editor.text()) {
            return self.run(&name, &words);
        }
        self.recalled = None;
        if self.editor.text().trim().is_empty() {
            return match self.conversation.doing() {
                Doing::Waits => vec![Wish::Ask(Op::Resume)],
                _ => Vec::new(),
            };
        }
        let text = self.editor.take();
        vec![self.say(text, delivery)]
    }

    fn run(&mut self, name: &str, words: &str) -> Vec<Wish> {
        let Some(command) = commands::find(name) else {
            self.notice = Some(format!("there is no command /{name}: /help lists them"));
            return Vec::new();
        };
        match (command.run)(self, words) {
            Ok(wishes) => {
                self.editor.take();
                wishes
            }
            Err(why) => {
                self.notice = Some(why);
                Vec::new()
            }
        }
    }

    /// The settings with others in the place of some, as flags would set them.
    pub(crate) fn refitted(&self, flags: &[(&'static str, String)]) -> Result<Vec<Wish>, String> {
        let settings = self.conversation.settings.clone();
        let settings = settings.ok_or("the session has not begun yet")?;
        let settings = (self.fit)(settings, flags)?;
        if self.conversation.settings.as_ref() == Some(&settings) {
            return Err("that is what is set already".to_owned());
        }
        Ok(vec![Wish::Ask(Op::Configure { settings })])
    }

    /// Another conversation stands here from now on: what was about the last one is gone.
    pub(crate) fn left(&mut self) {
        self.refusing = None;
        self.faced = None;
        self.recalled = None;
        self.notice = None;
        self.listed.clear();
    }

    fn clear(&mut self, again: bool) -> Vec<Wish> {
        if self.refusing.is_some() {
            self.stop_refusing();
            return Vec::new();
        }
        if again && self.editor.is_empty() {
            return vec![Wish::Quit];
        }
        if self.editor.is_empty() {
            self.notice = Some("Ctrl+C once more leaves".to_owned());
        }
        self.editor.take();
        self.recalled = None;
        self.leaving = true;
        Vec::new()
    }

    /// Asks to stop what is being done.
    pub(crate) fn interrupt(&mut self) -> Vec<Wish> {
        match self.conversation.doing() {
            Doing::Nothing | Doing::Waits => Vec::new(),
            Doing::Stopping => {
                self.notice = Some("it is stopping already".to_owned());
                Vec::new()
            }
            _ => vec![Wish::Ask(Op::Interrupt {
                cause: "person".to_owned(),
            })],
        }
    }

    fn reply(&mut self, reply: Reply) -> Vec<Wish> {
        if self.is_surprised() {
            self.notice = Some("this question is new: look at it, then answer".to_owned());
            return Vec::new();
        }
        let Some((call, approval)) = self.conversation.asked.first() else {
            return Vec::new();
        };
        let call = *call;
        let answer = match reply {
            Reply::Once => Answer::AllowOnce,
            Reply::Always if approval.prefix.is_empty() => {
                self.notice = Some("this can only be allowed once: y".to_owned());
                return Vec::new();
            }
            Reply::Always => Answer::AllowAlways,
            Reply::No => {
                self.refusing = Some(call);
                self.aside = self.editor.take();
                return Vec::new();
            }
        };
        vec![Wish::Ask(Op::Answer { call, answer })]
    }

    fn stop_refusing(&mut self) {
        self.refusing = None;
        self.put_aside_back();
    }

    fn put_aside_back(&mut self) {
        self.editor.set(&std::mem::take(&mut self.aside));
    }

    fn complete(&mut self) {
        if let Some(command) = self.offered().first() {
            let space = if command.arguments.is_empty() {
                ""
            } else {
                " "
            };
            self.editor.set(&format!("/{}{space}", command.name));
        }
    }

    fn toggle_details(&mut self) {
        let details = &mut self.conversation.details;
        let (now, words) = match details {
            Details::Folded => (Details::Shown, "what tools print is shown from here on"),
            Details::Shown => (Details::Folded, "tools are one line again from here on"),
        };
        *details = now;
        self.notice = Some(words.to_owned());
    }

    fn up(&mut self) {
        if self.editor.go_rows(-1, self.columns) || self.refusing.is_some() {
            return;
        }
        let place = self.recalled.unwrap_or(self.conversation.said.len());
        let Some(before) = place.checked_sub(1) else {
            return;
        };
        if self.recalled.is_none() {
            self.draft = self.editor.take();
        }
        self.recall(before);
    }

    fn down(&mut self) {
        if self.editor.go_rows(1, self.columns) || self.refusing.is_some() {
            return;
        }
        let Some(place) = self.recalled else {
            return;
        };
        if place + 1 < self.conversation.said.len() {
            return self.recall(place + 1);
        }
        self.recalled = None;
        self.editor.set(&std::mem::take(&mut self.draft));
    }

    fn recall(&mut self, place: usize) {
        if let Some(text) = self.conversation.said.get(place).cloned() {
            self.recalled = Some(place);
            self.editor.set(&text);
        }
    }
}
