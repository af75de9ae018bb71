//! The line that is being typed where nothing may be drawn over: what is written at its end is printed, what
//! is deleted there is rubbed out, and any other change prints the line anew below.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::app::App;
use crate::images;
use crate::keys::{Action, Mode, action};
use crate::menu::Completed;
use crate::rows::width;
use crate::wish::Wish;

use super::typed;

/// Choices that are printed at a time.
const CHOICES: usize = 20;

/// The line that is being typed.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// What stands of it in the last row of the terminal.
    shown: String,
    /// Whether that row is over.
    ended: bool,
    /// Lines to be printed above it.
    said: Vec<String>,
    /// What is meant as words, though images are named in it.
    words: Option<String>,
    /// The message of a search that was printed last, and its query.
    found: Option<(String, Option<String>)>,
    /// What was written when choices were printed.
    choices: Option<String>,
    /// Whether paths are completed once they are known.
    waits: bool,
    /// Whether a list was open when the line was begun.
    at_list: bool,
    /// What was held back, since a list is open and it chooses nothing.
    held: Option<String>,
}

impl Line {
    /// What to print when this is told, and the line is as it is now.
    pub(crate) fn turn(&mut self, news: &str, app: &App) -> String {
        let now = current(app);
        let said: String = self.said.drain(..).map(|line| line + "\n").collect();
        let mut end = "";
        if std::mem::take(&mut self.ended) && !std::mem::take(&mut self.shown).is_empty() {
            end = "\n";
        }
        if news.is_empty() && said.is_empty() {
            let changed = change(&self.shown, &now);
            self.shown = now;
            return format!("{end}{changed}");
        }
        let begin = if self.shown.is_empty() { "" } else { "\n" };
        let text = format!("{end}{begin}{said}{news}{now}");
        self.shown = now;
        text
    }

    /// A key was pressed.
    pub(crate) fn key(&mut self, app: &mut App, key: KeyEvent) -> Vec<Wish> {
        if key.kind == KeyEventKind::Release {
            return Vec::new();
        }
        let choices = self.begin(app);
        let action = match (key.code, key.modifiers) {
            (KeyCode::Tab, _) => Action::Complete,
            (KeyCode::Esc, _) => Action::Back,
            (KeyCode::F(_), _) => return app.key(key),
            _ => match action(key, Mode::Typing) {
                Some(action) => action,
                None => return Vec::new(),
            },
        };
        if action == Action::Suspend {
            return vec![Wish::Suspend];
        }
        if app.search.is_some() {
            return self.search(app, action);
        }
        match action {
            Action::Send if app.editor.before().ends_with('\\') => {
                app.editor.delete(crate::editor::To::Left);
                app.editor.insert("\n");
            }
            Action::Send | Action::Queue => return self.send(app),
            Action::Complete => return self.complete(app, choices.as_deref()),
            Action::Insert(char) => return self.text(app, char.encode_utf8(&mut [0; 4])),
            Action::Newline => app.editor.insert("\n"),
            Action::Delete(to) => app.editor.delete(to),
            Action::PutBack => app.editor.put_back(),
            Action::Leave if app.editor.is_empty() => return app.key(key),
            Action::Compose => return vec![Wish::Compose],
            Action::PasteImage => return vec![Wish::AttachCopied],
            Action::Details => return vec![Wish::Unfold],
            Action::Search => {
                self.found = None;
                return app.begin_search();
            }
            // Messages of before, where nothing is offered that the keys could be about.
            Action::Up | Action::Down if app.editor.is_empty() || app.recalled.is_some() => {
                app.paths.dismiss();
                return app.key(KeyEvent::new(key.code, KeyModifiers::NONE));
            }
            Action::Up
            | Action::Down
            | Action::Leave
            | Action::Back
            | Action::Clear
            | Action::Go(_)
            | Action::Interrupt
            | Action::Redraw
            | Action::Next
            | Action::Suspend
            | Action::Reply(_)
            | Action::Pick(_) => {}
        }
        app.follow_path().into_iter().collect()
    }

    /// Characters were typed.
    pub(crate) fn text(&mut self, app: &mut App, text: &str) -> Vec<Wish> {
        self.begin(app);
        if app.search.is_some() {
            let chars = text.chars();
            return chars
                .flat_map(|char| self.search(app, Action::Insert(char)))
                .collect();
        }
        app.editor.insert(text);
        app.follow_path().into_iter().collect()
    }

    /// Text was pasted: whatever it says, it is text of the line, and about no question.
    pub(crate) fn paste(&mut self, app: &mut App, text: &str) -> Vec<Wish> {
        self.begin(app);
        if app.editor.is_empty() {
            app.answering = None;
        }
        app.paste(text)
    }

    /// The line is about to change; gives what was written when choices were printed.
    fn begin(&mut self, app: &mut App) -> Option<String> {
        app.notice = None;
        app.begin_typing();
        if app.editor.is_empty() {
            self.at_list = app.picker.is_some();
        }
        self.waits = false;
        self.choices.take()
    }

    /// Something else stands where the line was.
    pub(crate) fn anew(&mut self) {
        self.shown.clear();
    }

    /// Ctrl+C where nothing is done: what is written is let go of; says whether there was anything.
    pub(crate) fn clear(&mut self, app: &mut App) -> bool {
        self.choices = None;
        if app.search.is_some() {
            app.search_key(Action::Back);
            return true;
        }
        let written = !app.editor.is_empty();
        app.editor.take();
        written
    }

    fn send(&mut self, app: &mut App) -> Vec<Wish> {
        self.ended = true;
        app.paths.dismiss();
        let images = app.editor.images();
        let text = app.editor.take();
        if self.is_held(app, &text) {
            app.editor.write(&text, &images);
            return Vec::new();
        }
        let dragged = images::paths(&text);
        if !dragged.is_empty() && self.words.as_deref() != Some(&text) {
            let attach = |(path, pasted)| Wish::Attach {
                path,
                pasted: Some(pasted),
            };
            return dragged.into_iter().map(attach).collect();
        }
        self.words = None;
        if images.is_empty() {
            return typed(app, &text);
        }
        app.editor.write(&text, &images);
        app.paths.dismiss();
        app.key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE))
    }

    /// Whether a list is open from which the line chooses nothing: it may have come while that was typed.
    /// Enter once more leaves the list for it.
    fn is_held(&mut self, app: &mut App, text: &str) -> bool {
        let held = self.held.take();
        let chooses = self.at_list && text.trim().parse::<usize>().is_ok();
        if app.picker.is_none() || chooses || text.trim().is_empty() {
            return false;
        }
        if held.as_deref() == Some(text) {
            app.picker = None;
            self.said
                .push("the list is left, nothing of it is chosen".to_owned());
            return false;
        }
        let told = "a list is open: Enter once more leaves it and gives this line";
        app.notice = Some(told.to_owned());
        self.held = Some(text.to_owned());
        true
    }

    /// Images were read, or could not be; then what was pasted stands in the line, as words.
    pub(crate) fn attached(&mut self, app: &App, name: &str, is_attached: bool) {
        if is_attached {
            let told = format!("attached: {name}; it goes with your next message");
            self.said.push(told);
        } else {
            self.words = Some(app.editor.whole());
        }
    }

    /// What is in the workspace is known now, for which a key may wait.
    pub(crate) fn walked(&mut self, app: &mut App) -> Vec<Wish> {
        if std::mem::take(&mut self.waits) {
            return self.complete(app, None);
        }
        Vec::new()
    }

    /// Completes what can be one thing only, or prints what it can be; once more takes the first of that.
    fn complete(&mut self, app: &mut App, choices: Option<&str>) -> Vec<Wish> {
        let again = choices == Some(app.editor.text());
        if again && app.paths.choices().is_none() {
            app.choose_offer(1);
        }
        if let Some((found, more)) = app.paths.choices() {
            match found.as_slice() {
                [] if !app.paths.is_known() => self.waits = true,
                [] => self.said.push("no path fits".to_owned()),
                [_] => app.take_path(),
                _ if again => app.take_path(),
                several => self.offer(app, several.to_vec(), more),
            }
        } else {
            match app.complete_command() {
                Completed::Written => {}
                Completed::Several(_) => {
                    let rows = app.offers().rows.into_iter();
                    let rows: Vec<String> = rows.map(|offer| offer.shown).collect();
                    let more = rows.len().saturating_sub(CHOICES);
                    self.offer(app, rows.into_iter().take(CHOICES).collect(), more);
                }
                Completed::Nothing => self
                    .said
                    .push("nothing is known that goes on so".to_owned()),
            }
        }
        app.follow_path().into_iter().collect()
    }

    fn offer(&mut self, app: &App, rows: Vec<String>, more: usize) {
        let rows = rows.into_iter().map(|row| format!("  {row}"));
        self.said.extend(rows);
        if more > 0 {
            self.said.push(format!("  … {more} more"));
        }
        self.choices = Some(app.editor.text().to_owned());
    }

    /// A key while something is searched: Enter and Ctrl+R print what is found before it is taken, or
    /// passed over.
    fn search(&mut self, app: &mut App, action: Action) -> Vec<Wish> {
        let action = match action {
            Action::Complete | Action::Queue => Action::Send,
            other => other,
        };
        let here = |app: &App| {
            let found = app
                .search
                .as_ref()
                .and_then(|search| search.best().cloned());
            (app.editor.text().to_owned(), found)
        };
        let is_told = self.found.as_ref() == Some(&here(app));
        match action {
            Action::Send if is_told => {
                self.found = None;
                app.search_key(Action::Send)
            }
            Action::Send | Action::Search => {
                if is_told {
                    app.search_key(Action::Search);
                }
                let now = here(app);
                self.said.push(match &now.1 {
                    _ if self.found.as_ref() == Some(&now) => "nothing older is found".to_owned(),
                    Some(text) => format!("found: {text}"),
                    None => "nothing like it was said here".to_owned(),
                });
                self.found = Some(now);
                Vec::new()
            }
            other => app.search_key(other),
        }
    }
}

/// The line as it is now.
fn current(app: &App) -> String {
    let prompt = if app.search.is_some() { "search: " } else { "" };
    prompt.to_owned() + &app.editor.shown_whole()
}

/// What to print where a line stands, for it to be another.
fn change(before: &str, after: &str) -> String {
    if let Some(more) = after.strip_prefix(before) {
        return more.to_owned();
    }
    match before.strip_prefix(after) {
        Some(gone) if !gone.contains('\n') => "\u{8} \u{8}".repeat(width(gone)),
        _ => format!("\n{after}"),
    }
}

#[cfg(test)]
mod tests {
    use quire_protocol::{Content, Op};

    use super::*;

    struct Typist {
        app: App,
        line: Line,
    }

    impl Typist {
        fn new() -> Self {
            let fit = std::sync::Arc::new(|settings, _: &[(&'static str, String)]| Ok(settings));
            Self {
                app: App::new("me".to_owned(), fit),
                line: Line::default(),
            }
        }

        fn press(&mut self, code: KeyCode, modifiers: KeyModifiers) -> (String, Vec<Wish>) {
            let wishes = self.line.key(&mut self.app, KeyEvent::new(code, modifiers));
            let notice = self.app.notice.take().map(|notice| notice + "\n");
            let printed = self.line.turn(&notice.unwrap_or_default(), &self.app);
            (printed, wishes)
        }

        /// Types text, and gives what is printed. `\t` is Tab, `\n` Enter, `\x12` Ctrl+R, `\x7f` Backspace.
        fn types(&mut self, text: &str) -> (String, Vec<Wish>) {
            let mut all = (String::new(), Vec::new());
            for char in text.chars() {
                let (printed, wishes) = match char {
                    '\t' => self.press(KeyCode::Tab, KeyModifiers::NONE),
                    '\n' => self.press(KeyCode::Enter, KeyModifiers::NONE),
                    '\x12' => self.press(KeyCode::Char('r'), KeyModifiers::CONTROL),
                    '\x07' => self.press(KeyCode::Char('g'), KeyModifiers::CONTROL),
                    '\x7f' => self.press(KeyCode::Backspace, KeyModifiers::NONE),
                    char => self.press(KeyCode::Char(char), KeyModifiers::NONE),
                };
                all.0.push_str(&printed);
                all.1.extend(wishes);
            }
            all
        }

        fn knows(&mut self, paths: &[&str]) {
            let paths = paths.iter().map(|&path| path.to_owned());
            self.app.paths.know(paths.collect());
        }
    }

    fn said(wishes: &[Wish]) -> &[Content] {
        match wishes {
            [.., Wish::Ask(Op::Say { content, .. })] => content,
            other => panic!("nothing is said in {other:?}"),
        }
    }

    #[test]
    fn what_is_typed_is_printed_and_what_is_deleted_is_rubbed_out() {
        let mut typist = Typist::new();
        let (printed, wishes) = typist.types("漢o\x7f\x7fhi\n");
        assert_eq!(printed, "漢o\u{8} \u{8}\u{8} \u{8}\u{8} \u{8}hi\n");
        assert_eq!(said(&wishes), [Content::text("hi")]);
        typist.types("half");
        let news = typist.line.turn("some news\n", &typist.app);
        assert_eq!(news, "\nsome news\nhalf", "the line stands again below");
    }

    #[test]
    fn tab_completes_a_path_or_prints_what_there_is() {
        let mut typist = Typist::new();
        let (_, wishes) = typist.types("see @pa");
        assert_eq!(wishes, [Wish::Walk]);
        assert_eq!(
            typist.types("\t"),
            (String::new(), Vec::new()),
            "nothing is known yet"
        );
        typist.knows(&["src/pages.rs", "src/parse.rs", "docs/"]);
        assert_eq!(typist.line.walked(&mut typist.app), []);
        let printed = typist.line.turn("", &typist.app);
        assert_eq!(printed, "\n  src/pages.rs\n  src/parse.rs\nsee @pa");
        assert_eq!(typist.types("r\t").0, "r\nsee @src/parse.rs ");
        let (printed, _) = typist.types("@src\t\t");
        assert!(
            printed.ends_with("\nsee @src/parse.rs @src/pages.rs "),
            "{printed}"
        );
        let (_, wishes) = typist.types("\n");
        assert_eq!(
            said(&wishes),
            [Content::text("see @src/parse.rs @src/pages.rs")]
        );
    }

    #[test]
    fn enter_sends_the_line_though_a_path_is_offered() {
        let mut typist = Typist::new();
        typist.knows(&["src/pages.rs", "src/parse.rs"]);
        let (_, wishes) = typist.types("see @pa\n");
        assert_eq!(said(&wishes), [Content::text("see @pa")]);
    }

    #[test]
    fn tab_completes_a_command_or_prints_what_it_can_be() {
        let mut typist = Typist::new();
        assert_eq!(typist.types("/hel\t").0, "/help");
        typist.line.clear(&mut typist.app);
        typist.line.turn("", &typist.app);
        let (printed, _) = typist.types("/th\t");
        let rows: Vec<&str> = printed.lines().collect();
        assert!(rows[1].starts_with("  /thinking [on | off]"), "{printed}");
        assert!(rows[2].starts_with("  /theme "), "{printed}");
        assert_eq!(rows[3], "/th");
        assert_eq!(typist.types("eme d\t").0, "eme dark");
    }

    #[test]
    fn what_was_said_is_printed_before_it_is_taken() {
        let mut typist = Typist::new();
        typist.app.conversation.said = ["fix the parser", "test it", "fix it"]
            .map(str::to_owned)
            .to_vec();
        let (printed, wishes) = typist.types("\x12fix\n");
        assert_eq!(printed, "search: fix\nfound: fix it\nsearch: fix");
        assert_eq!(wishes, [Wish::Recall]);
        let (printed, _) = typist.types("\x12");
        assert_eq!(printed, "\nfound: fix the parser\nsearch: fix");
        assert_eq!(
            typist.types("\n"),
            ("\nfix the parser".to_owned(), Vec::new())
        );
        assert_eq!(
            said(&typist.types("\n").1),
            [Content::text("fix the parser")]
        );
        let (printed, _) = typist.types("\x12zzz\n");
        assert!(printed.contains("nothing like it"), "{printed}");
    }

    #[test]
    fn a_line_that_is_a_path_of_an_image_attaches_it_to_the_next_message() {
        let mut typist = Typist::new();
        let (_, wishes) = typist.types("/a/shot.png\n");
        let [Wish::Attach { path, pasted }] = &wishes[..] else {
            panic!("{wishes:?}");
        };
        let image = Content::Image {
            media_type: "image/png".to_owned(),
            data: "AAAA".to_owned(),
        };
        typist
            .app
            .attached(images::name(path), Ok(image.clone()), pasted.clone());
        typist.line.attached(&typist.app, "shot.png", true);
        let printed = typist.line.turn("", &typist.app);
        assert_eq!(
            printed,
            "attached: shot.png; it goes with your next message\n[image shot.png]"
        );
        let (_, wishes) = typist.types(" what is it?\n");
        assert_eq!(
            said(&wishes),
            [Content::text("[image 1: shot.png] what is it?"), image]
        );
    }

    #[test]
    fn a_path_that_is_no_image_is_said_once_more_as_words() {
        let mut typist = Typist::new();
        typist.types("/a/no.png\n");
        let why = Err("it is not there".to_owned());
        typist
            .app
            .attached("no.png", why, Some("/a/no.png".to_owned()));
        typist.line.attached(&typist.app, "no.png", false);
        assert_eq!(said(&typist.types("\n").1), [Content::text("/a/no.png")]);
    }

    #[test]
    fn the_editor_is_asked_for() {
        assert_eq!(Typist::new().types("a\x07").1, [Wish::Compose]);
    }

    #[test]
    fn what_is_written_is_let_go_of_before_anything_is_left() {
        let mut typist = Typist::new();
        let control_d =
            |typist: &mut Typist| typist.press(KeyCode::Char('d'), KeyModifiers::CONTROL);
        typist.types("half");
        assert_eq!(control_d(&mut typist).1, []);
        assert!(typist.line.clear(&mut typist.app));
        assert!(!typist.line.clear(&mut typist.app));
        assert_eq!(control_d(&mut typist).1, [Wish::Quit]);
    }
}
