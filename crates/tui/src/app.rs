//! What a screen is: a conversation, an input, and what keys do to them. Pure: what it wants from
//! the world comes out as wishes.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::KeyEvent;
use quire_protocol::{
    Answer, CallId, Content, Delivery, Effort, MessageId, Op, SessionHead, Settings,
};

use crate::commands;
use crate::commands::model::NextModel;
use crate::conversation::{Conversation, Doing};
use crate::editor::Editor;
use crate::images;
use crate::keys::{Action, Mode, action};
use crate::menu::Menu;
use crate::notify::Callers;
use crate::outbox::Outbox;
use crate::paths::Paths;
use crate::picker::Picker;
use crate::search::Search;
use crate::setup::Room;
use crate::shell::Own;
use crate::talk::told;
use crate::theme::Colours;
use crate::wish::Wish;

/// Settings with others in the place of some (a key and its value, as flags are written), fitted to
/// their model; or why they cannot be.
pub type Fit =
    Arc<dyn Fn(Settings, &[(&'static str, String)]) -> Result<Settings, String> + Send + Sync>;

/// A screen.
pub(crate) struct App {
    pub(crate) conversation: Conversation,
    pub(crate) editor: Editor,
    /// A word about the last key, until the next one.
    pub(crate) notice: Option<String>,
    /// What is being taken back of what was said.
    pub(crate) outbox: Outbox,
    /// The paths that are offered.
    pub(crate) paths: Paths,
    /// What is searched for in what was said.
    pub(crate) search: Option<Search>,
    /// What was chosen of the menu of commands.
    pub(crate) menu: Menu,
    /// The models that are known, by the names that settings have for them.
    pub(crate) models: Vec<String>,
    /// The command of the person's that runs.
    pub(crate) own: Option<Own>,
    /// The question whose no is being given a reason.
    pub(crate) refusing: Option<CallId>,
    /// The question that a person had time to see: keys answer no other.
    pub(crate) faced: Option<CallId>,
    /// The question at which the first character of the input was typed.
    pub(crate) answering: Option<CallId>,
    /// The question at which a line was given so shortly ago that another may be of the same paste.
    pub(crate) hasty: Option<CallId>,
    /// The question that is being answered for good, and what is allowed once that answer counts.
    pub(crate) keeping: Option<(CallId, Vec<String>)>,
    /// The model that is wanted once the session rests.
    pub(crate) next_model: Option<NextModel>,
    /// What Enter makes of a message while a turn works.
    pub(crate) follow_up: Delivery,
    /// What is known of the terminal's colours.
    pub(crate) colours: Colours,
    /// How much of the terminal is drawn.
    pub(crate) room: Room,
    /// The branch of the folder.
    pub(crate) branch: Option<String>,
    /// How many other sessions wait for the person.
    pub(crate) others: usize,
    /// Which of them these are, and what is to be told of those that are new.
    pub(crate) callers: Callers,
    pub(crate) called: Option<String>,
    pub(crate) fit: Fit,
    /// Where rules are kept, for those who are asked whether one is to be.
    pub(crate) rules_file: String,
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
    pub(crate) recalled: Option<usize>,
    /// What was in the input before an earlier message.
    draft: Editor,
    /// What was in the input before a reason.
    pub(crate) aside: Editor,
    /// Columns of the input.
    pub(crate) columns: usize,
    /// A list from which something is being chosen.
    pub(crate) picker: Option<Picker>,
    /// Whether another Esc goes back in time.
    escaped: bool,
}

impl App {
    /// A screen with nothing on it. No other screen may have the same name.
    pub(crate) fn new(name: String, fit: Fit) -> Self {
        Self {
            conversation: Conversation::default(),
            editor: Editor::default(),
            notice: None,
            outbox: Outbox::default(),
            own: None,
            search: None,
            paths: Paths::default(),
            menu: Menu::default(),
            models: Vec::new(),
            refusing: None,
            faced: None,
            next_model: None,
            answering: None,
            hasty: None,
            keeping: None,
            follow_up: Delivery::Steer,
            colours: Colours::default(),
            room: Room::Inline,
            branch: None,
            others: 0,
            callers: Callers::default(),
            called: None,
            fit,
            rules_file: "your settings".to_owned(),
            origins: Vec::new(),
            now_ms: || 0,
            listed: Vec::new(),
            name,
            sent: 0,
            leaving: false,
            recalled: None,
            draft: Editor::default(),
            aside: Editor::default(),
            columns: 80,
            picker: None,
            escaped: false,
        }
    }

    /// What the keys are about.
    pub(crate) fn mode(&self) -> Mode {
        if self.has_called_list() {
            Mode::Picking
        } else if self.search.is_some() {
            Mode::Search
        } else if self.refusing.is_some() {
            Mode::Reason
        } else if self.has_list_at_hand() {
            Mode::Listed
        } else if self.facing().is_some() && self.editor.is_empty() {
            Mode::Asked
        } else if let Some(reply) = self.in_hand() {
            Mode::Answer(reply)
        } else if self.paths.is_offering() {
            Mode::Path
        } else if self.writes_command() {
            Mode::Command
        } else {
            Mode::Typing
        }
    }

    /// For how long something has been done, whoever looks: by the records, not by this screen.
    pub(crate) fn working(&self) -> Duration {
        let began_ms = self.conversation.began_ms;
        let took_ms = began_ms.map(|began_ms| (self.now_ms)().saturating_sub(began_ms));
        Duration::from_millis(took_ms.unwrap_or_default())
    }

    /// A key was pressed.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Vec<Wish> {
        let mut wishes = self.pressed(key);
        if wishes.contains(&Wish::Quit) && (self.must_stay() || self.would_lose_model()) {
            wishes.retain(|wish| *wish != Wish::Quit);
        }
        if self.editor.is_empty() {
            self.typed_at_nothing();
        }
        self.follow_number();
        wishes.extend(self.follow_path());
        wishes
    }

    /// What is written may be a path.
    pub(crate) fn follow_path(&mut self) -> Option<Wish> {
        self.follow_search();
        let elsewhere = self.refusing.is_some() || self.search.is_some();
        let before = if elsewhere || !self.editor.ends_word() {
            ""
        } else {
            self.editor.before()
        };
        self.paths.follow(before).then_some(Wish::Walk)
    }

    fn pressed(&mut self, key: KeyEvent) -> Vec<Wish> {
        let Some(action) = action(key, self.mode()) else {
            return Vec::new();
        };
        if action == Action::Suspend {
            return vec![Wish::Suspend];
        }
        self.notice = None;
        if self.search.is_some() {
            return self.search_key(action);
        }
        let leaving = std::mem::take(&mut self.leaving);
        let escaped = std::mem::take(&mut self.escaped);
        match action {
            Action::Pick(pick) => return self.pick(pick),
            Action::Clear => return self.clear(leaving),
            Action::Leave if self.editor.is_empty() => return vec![Wish::Quit],
            Action::Leave => self.editor.delete(crate::editor::To::Right),
            Action::Interrupt if self.mode() == Mode::Command && self.dismiss_offers() => {}
            Action::Interrupt if self.leave_list() => {}
            Action::Interrupt => return self.escape(escaped),
            Action::Send if self.breaks_line() => {
                self.editor.delete(crate::editor::To::Left);
                self.editor.insert("\n");
            }
            Action::Send => return self.send(self.follow_up),
            Action::Queue => return self.send(self.other_delivery()),
            Action::Reply(reply) => return self.reply(reply),
            Action::Back if self.refusing.is_none() => self.paths.dismiss(),
            Action::Back => self.stop_refusing(),
            Action::Search if self.refusing.is_none() => return self.begin_search(),
            Action::PasteImage if self.refusing.is_none() => return vec![Wish::AttachCopied],
            Action::Search | Action::PasteImage | Action::Suspend => {}
            Action::Compose => return vec![Wish::Compose],
            Action::Redraw => return vec![Wish::Redraw],
            Action::Complete if self.mode() == Mode::Path => self.take_path(),
            Action::Complete => self.complete(),
            Action::Next => return self.next_waiting(),
            Action::Details => return vec![Wish::Unfold],
            Action::Insert(char) => {
                self.begin_typing();
                self.editor.insert(char.encode_utf8(&mut [0; 4]));
            }
            Action::Newline => self.editor.insert("\n"),
            Action::Go(to) => self.editor.go(to),
            Action::Delete(to) => self.editor.delete(to),
            Action::PutBack => self.editor.put_back(),
            Action::Up if self.mode() == Mode::Path => self.paths.choose(-1),
            Action::Down if self.mode() == Mode::Path => self.paths.choose(1),
            Action::Up if self.mode() == Mode::Command && self.choose_offer(-1) => {}
            Action::Down if self.mode() == Mode::Command && self.choose_offer(1) => {}
            Action::Up if self.would_take_back() => return self.take_last_back(),
            Action::Up => self.up(),
            Action::Down => self.down(),
        }
        Vec::new()
    }

    /// Text was pasted.
    pub(crate) fn paste(&mut self, text: &str) -> Vec<Wish> {
        self.notice = None;
        let images = images::paths(text);
        if self.refusing.is_none() && self.search.is_none() && !images.is_empty() {
            let attach = |(path, pasted)| Wish::Attach {
                path,
                pasted: Some(pasted),
            };
            return images.into_iter().map(attach).collect();
        }
        self.editor.paste(text);
        self.follow_path().into_iter().collect()
    }

    /// What was recorded may have answered the question elsewhere, or settled what is being taken back.
    /// Gives what to ask next.
    #[must_use]
    pub(crate) fn settle(&mut self) -> Vec<Op> {
        self.forget_answered();
        let open = |call| {
            self.conversation
                .asked
                .iter()
                .any(|(open, _)| *open == call)
        };
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
        let mut ops = self.settle_outbox();
        ops.extend(self.settle_model());
        ops
    }

    /// The input was written in an editor.
    pub(crate) fn composed(&mut self, text: &str) {
        self.recalled = None;
        self.typed_at_nothing();
        // Editors end a file with a newline, which nobody wrote.
        let images = self.editor.images();
        self.editor.set("");
        self.editor.write(text.trim_end_matches('\n'), &images);
    }

    /// Asks to say something.
    pub(crate) fn say(&mut self, text: String, delivery: Delivery) -> Wish {
        Wish::Ask(self.say_content(vec![Content::text(text)], delivery, None))
    }

    /// What to ask to say this.
    pub(crate) fn say_content(
        &mut self,
        content: Vec<Content>,
        delivery: Delivery,
        effort: Option<Effort>,
    ) -> Op {
        self.sent += 1;
        Op::Say {
            message: MessageId::new(format!("{}-{}", self.name, self.sent)),
            delivery,
            content,
            effort,
        }
    }

    /// Whether Enter begins a new line.
    fn breaks_line(&self) -> bool {
        self.refusing.is_none() && self.editor.before().ends_with('\\')
    }

    /// What the other key makes of a message.
    fn other_delivery(&self) -> Delivery {
        match self.follow_up {
            Delivery::Queue => Delivery::Steer,
            Delivery::Steer | Delivery::Note => Delivery::Queue,
        }
    }

    fn send(&mut self, delivery: Delivery) -> Vec<Wish> {
        if let Some(call) = self.refusing.take() {
            let why = self.editor.take();
            self.put_aside_back();
            let answer = Answer::no(&why);
            return vec![Wish::Ask(Op::Answer { call, answer })];
        }
        if let Some(wishes) = self.give() {
            return wishes;
        }
        if self.editor.text().starts_with('!') {
            return self.run_own();
        }
        if self.mode() == Mode::Command && self.lacks_words() {
            return Vec::new();
        }
        if let Some((name, words)) = commands::read(self.editor.text()) {
            return self.run(&name, &words);
        }
        if let Some(why) = commands::mistaken(self.editor.text()) {
            self.notice = Some(why);
            return Vec::new();
        }
        self.recalled = None;
        if self.editor.text().trim().is_empty() {
            return match self.conversation.doing() {
                Doing::Waits => vec![Wish::Ask(Op::Resume)],
                _ => Vec::new(),
            };
        }
        let images = self.editor.images();
        let mut content = vec![Content::text(self.editor.take())];
        content.extend(images);
        vec![Wish::Ask(self.say_content(content, delivery, None))]
    }

    fn run(&mut self, name: &str, words: &str) -> Vec<Wish> {
        let Some(command) = commands::find(name) else {
            self.notice = Some(commands::unknown(&format!("/{name}")));
            return Vec::new();
        };
        match (command.run)(self, words) {
            Ok(wishes) => {
                self.editor.take();
                wishes
            }
            Err(why) => {
                self.notice = Some(why);
                // A name alone has nothing in it that could be mended.
                if words.is_empty() {
                    self.editor.take();
                }
                Vec::new()
            }
        }
    }

    /// The settings with others in the place of some, as flags would set them.
    pub(crate) fn refitted(
        &mut self,
        flags: &[(&'static str, String)],
    ) -> Result<Vec<Wish>, String> {
        let settings = self.conversation.settings.clone();
        let settings = settings.ok_or("the session has not begun yet")?;
        let settings = (self.fit)(settings, flags)?;
        if self.conversation.settings.as_ref() == Some(&settings) {
            return Ok(commands::answer(self, "that is what is set already"));
        }
        Ok(vec![Wish::Ask(Op::Configure { settings })])
    }

    /// What was worked out meanwhile is known: nothing is waited for any more.
    pub(crate) fn answered(&mut self, text: &str) {
        self.notice = None;
        self.conversation.show(told(text));
    }

    /// Another conversation stands here from now on: what was about the last one is gone.
    pub(crate) fn left(&mut self) {
        self.refusing = None;
        (self.faced, self.answering, self.keeping) = (None, None, None);
        self.picker = None;
        self.search = None;
        self.outbox = Outbox::default();
        self.lose_model();
        self.recalled = None;
        self.notice = None;
        self.listed.clear();
    }

    fn clear(&mut self, again: bool) -> Vec<Wish> {
        if self.refusing.is_some() {
            self.stop_refusing();
            return Vec::new();
        }
        if self.own.is_some() && self.editor.is_empty() {
            return self.interrupt();
        }
        if again && self.editor.is_empty() {
            return vec![Wish::Quit];
        }
        if self.editor.is_empty() {
            self.notice = Some("Ctrl+C once more leaves".to_owned());
            self.leaving = true;
        }
        self.editor.take();
        self.recalled = None;
        Vec::new()
    }

    /// Esc stops what is being done; where nothing is, twice, it goes back in time.
    fn escape(&mut self, again: bool) -> Vec<Wish> {
        let rests = matches!(self.conversation.doing(), Doing::Nothing | Doing::Waits);
        if !rests || self.own.is_some() || !self.editor.is_empty() {
            return self.interrupt();
        }
        if again {
            if let Err(why) = self.rewind("") {
                self.notice = Some(why);
            }
        } else if !self.conversation.messages.is_empty() {
            self.notice = Some("Esc once more goes back in time".to_owned());
            self.escaped = true;
        }
        Vec::new()
    }

    /// Asks to stop what is being done.
    pub(crate) fn interrupt(&mut self) -> Vec<Wish> {
        if self.own.is_some() {
            return vec![Wish::StopOwn];
        }
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

    fn stop_refusing(&mut self) {
        self.refusing = None;
        self.put_aside_back();
    }

    /// Puts what is written aside, for something else that is written.
    pub(crate) fn stash_input(&mut self) {
        self.aside = std::mem::take(&mut self.editor);
    }

    pub(crate) fn put_aside_back(&mut self) {
        self.editor = std::mem::take(&mut self.aside);
    }

    /// Whether Up is about what waits to be heard.
    fn would_take_back(&self) -> bool {
        let waits = self.last_said().is_some();
        waits && self.editor.is_empty() && self.refusing.is_none() && self.recalled.is_none()
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
            self.draft = std::mem::take(&mut self.editor);
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
        self.editor = std::mem::take(&mut self.draft);
    }

    fn recall(&mut self, place: usize) {
        if let Some(text) = self.conversation.said.get(place).cloned() {
            self.recalled = Some(place);
            self.editor.set(&text);
        }
    }
}
