//! What is offered while a command is written: names, then what can stand behind one, as far as the table
//! of commands and the models that are known say it. Made anew from what is written; only what was chosen
//! of it is kept.

use quire_protocol::counted;
use ratatui_core::text::Line;

use crate::app::App;
use crate::commands::{self, Command};
use crate::look;
use crate::rows::{cut, safe};
use crate::wish::Wish;

/// Rows that are shown at a time.
const SHOWN: usize = 10;
/// Names that are said where it could be any of many.
const NAMED: usize = 6;

/// What a person did in the menu.
#[derive(Debug, Default)]
pub(crate) struct Menu {
    /// What was written then; nothing of it counts for anything else.
    written: String,
    chosen: Option<usize>,
    dismissed: bool,
}

/// One thing that can be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// What it is, as it is written.
    pub(crate) word: String,
    /// How it is shown: with what stands behind it, and what it does.
    pub(crate) shown: String,
    /// What stands behind it.
    behind: Behind,
}

/// What stands behind a word of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    /// Nothing.
    Nothing,
    /// Perhaps something.
    Perhaps,
    /// Something, without which it is not whole.
    More,
}

impl Offer {
    /// What to write for it: a space too where something can stand behind it, and does not.
    fn whole(&self, goes_on: bool) -> String {
        let space = if self.behind == Behind::Nothing || goes_on {
            ""
        } else {
            " "
        };
        format!("{}{space}", self.word)
    }
}

/// What can stand where something is written.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    /// How many bytes are written of it.
    fragment: usize,
    pub(crate) rows: Vec<Offer>,
    /// Whether nothing else can stand there.
    closed: bool,
}

impl Offers {
    /// What can go on with what is written before the cursor.
    fn of(before: &str, models: &[String]) -> Self {
        let written = before.trim_start();
        if !written.starts_with('/') {
            return Self::default();
        }
        match written.split_once(char::is_whitespace) {
            None => Self::names(written),
            Some((name, words)) => name
                .strip_prefix('/')
                .and_then(commands::find)
                .map(|command| Self::arguments(command, words, models))
                .unwrap_or_default(),
        }
    }

    fn names(written: &str) -> Self {
        let named = commands::starting_with(written);
        let rows = named.into_iter().map(|command| {
            let word = format!("/{}", command.name);
            let usage = format!("{word} {}", command.arguments);
            Offer {
                shown: format!("{usage:<26} {}", command.what),
                behind: command.behind(),
                word,
            }
        });
        Self {
            fragment: written.len(),
            rows: rows.collect(),
            closed: true,
        }
    }

    fn arguments(command: &Command, words: &str, models: &[String]) -> Self {
        let fragment = words.rsplit(char::is_whitespace).next().unwrap_or(words);
        let before = words[..words.len() - fragment.len()].split_whitespace();
        let (known, closed) = command.words(before.count(), models);
        let begins = |(word, _): &&(String, Behind)| word.starts_with(fragment);
        let mut fitting: Vec<_> = known.iter().filter(begins).collect();
        if fitting.is_empty() {
            let has = |(word, _): &&(String, Behind)| word.contains(fragment);
            fitting = known.iter().filter(has).collect();
        }
        if fitting.first().is_some_and(|(word, _)| word == fragment) {
            fitting.clear();
        }
        let rows = fitting.into_iter().map(|(word, behind)| Offer {
            word: word.clone(),
            shown: safe(word),
            behind: *behind,
        });
        Self {
            fragment: fragment.len(),
            rows: rows.collect(),
            closed,
        }
    }

    /// What all of them begin with, where that is more than what is written.
    fn common(&self, written: &str, goes_on: bool) -> Option<String> {
        if let [only] = self.rows.as_slice() {
            return Some(only.whole(goes_on));
        }
        let first = &self.rows.first()?.word;
        let alike = |other: &Offer| {
            let pairs = first.chars().zip(other.word.chars());
            let alike = pairs.take_while(|(one, other)| one == other);
            alike.map(|(char, _)| char.len_utf8()).sum::<usize>()
        };
        let long = self.rows.iter().map(alike).min()?;
        let goes_on = long > self.fragment && first.starts_with(written);
        goes_on.then(|| first[..long].to_owned())
    }
}

/// What Tab came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Completed {
    /// More is written now.
    Written,
    /// It could be any of these.
    Several(Vec<String>),
    /// Nothing is known that goes on so.
    Nothing,
}

impl App {
    /// What goes on with the command that is being written. Inside a word, nothing does.
    pub(crate) fn offers(&self) -> Offers {
        let before = self.editor.before();
        let here = self.menu.written == before;
        let elsewhere = self.refusing.is_some() || self.search.is_some();
        if elsewhere || !self.editor.ends_word() || here && self.menu.dismissed {
            return Offers::default();
        }
        Offers::of(before, &self.models)
    }

    fn chosen(&self) -> Option<usize> {
        let here = self.menu.written == self.editor.before();
        self.menu.chosen.filter(|_| here)
    }

    /// Chooses the next one, or the one before; says whether there is any.
    pub(crate) fn choose_offer(&mut self, step: isize) -> bool {
        let count = self.offers().rows.len();
        if count == 0 {
            return false;
        }
        let last = count - 1;
        let chosen = match (self.chosen(), step < 0) {
            (None | Some(0), true) => last,
            (Some(at), true) => at - 1,
            (Some(at), false) if at < last => at + 1,
            (None | Some(_), false) => 0,
        };
        self.menu = Menu {
            written: self.editor.before().to_owned(),
            chosen: Some(chosen),
            dismissed: false,
        };
        true
    }

    /// Offers nothing more until something else is written; says whether anything was offered.
    pub(crate) fn dismiss_offers(&mut self) -> bool {
        let offered = !self.offers().rows.is_empty();
        if offered {
            self.menu = Menu {
                written: self.editor.before().to_owned(),
                chosen: None,
                dismissed: true,
            };
        }
        offered
    }

    /// Writes what was chosen, or as much as all that fit have in common.
    pub(crate) fn complete_command(&mut self) -> Completed {
        let offers = self.offers();
        let goes_on = self.editor.goes_on();
        if let Some(offer) = self.chosen().and_then(|at| offers.rows.get(at)) {
            self.editor
                .replace_before(offers.fragment, &offer.whole(goes_on));
            return Completed::Written;
        }
        let before = self.editor.before();
        let written = before[before.len() - offers.fragment..].to_owned();
        if let Some(common) = offers.common(&written, goes_on) {
            self.editor.replace_before(offers.fragment, &common);
            return Completed::Written;
        }
        let words: Vec<String> = offers.rows.into_iter().map(|offer| offer.word).collect();
        if words.is_empty() {
            Completed::Nothing
        } else {
            Completed::Several(words)
        }
    }

    /// Whether a command is being written.
    pub(crate) fn writes_command(&self) -> bool {
        commands::read(self.editor.text()).is_some() || !self.offers().rows.is_empty()
    }

    /// Goes on with the command that is being written as far as that is known; where it could be
    /// several, the first one is chosen.
    pub(crate) fn complete(&mut self) {
        match self.complete_command() {
            Completed::Written => {}
            Completed::Several(_) => {
                self.choose_offer(1);
            }
            Completed::Nothing => {
                self.notice = Some("nothing is known that goes on so: Enter runs it".to_owned());
            }
        }
    }

    /// Makes a whole command of the one that Enter is pressed on: what was chosen is written, or the only
    /// one that it can be. Says whether more has to be written or chosen first.
    pub(crate) fn lacks_words(&mut self) -> bool {
        let offers = self.offers();
        let before = self.editor.before();
        let written = &before[before.len() - offers.fragment..];
        let offer = match (self.chosen(), offers.rows.as_slice()) {
            (Some(at), rows) => rows.get(at),
            (None, rows) if rows.iter().any(|offer| offer.word == written) => return false,
            (None, [only]) if offers.closed && !written.is_empty() => Some(only),
            (None, rows @ [_, _, ..]) if written.starts_with('/') => {
                let words: Vec<&str> = rows.iter().map(|offer| &*offer.word).take(NAMED).collect();
                let more = if rows.len() > NAMED { ", …" } else { "" };
                let words = words.join(", ");
                self.notice = Some(format!("{written} can be {words}{more}: Down chooses"));
                return true;
            }
            (None, _) => None,
        };
        let Some(offer) = offer else {
            return false;
        };
        let goes_on = self.editor.goes_on();
        self.editor
            .replace_before(offers.fragment, &offer.whole(goes_on));
        offer.behind == Behind::More && !goes_on
    }

    /// The offers, the chosen one marked.
    pub(crate) fn menu_rows(&self, wide: usize) -> Vec<Line<'static>> {
        let offers = self.offers().rows;
        let chosen = self.chosen();
        let from = chosen.unwrap_or_default().saturating_sub(SHOWN - 1);
        let shown = offers.iter().enumerate().skip(from).take(SHOWN);
        let rows = shown.map(|(place, offer)| {
            let (mark, style) = if chosen == Some(place) {
                ("▸", look::MARK)
            } else {
                (" ", look::DIM)
            };
            look::line(cut(&format!("{mark} {}", offer.shown), wide), style)
        });
        let mut rows: Vec<_> = rows.collect();
        let more = offers.len().saturating_sub(SHOWN);
        if more > 0 {
            let more = format!("  … {more} more: Up, Down");
            rows.push(look::line(cut(&more, wide), look::DIM));
        }
        rows
    }
}

/// `/model` alone: the models that are known, by their providers.
pub(crate) fn list_models(app: &mut App) -> Vec<Wish> {
    let mut lines = vec![look::line(
        "Models that are known; /model PROVIDER/NAME uses one, and Tab completes it",
        look::BOLD,
    )];
    let mut providers: Vec<(&str, Vec<&str>)> = Vec::new();
    for model in &app.models {
        let (provider, name) = model.split_once('/').unwrap_or(("of the settings", model));
        match providers.iter_mut().find(|(known, _)| *known == provider) {
            Some((_, names)) => names.push(name),
            None => providers.push((provider, vec![name])),
        }
    }
    if let Some(settings) = &app.conversation.settings {
        lines.push(commands::pair("now", &safe(&settings.model)));
    }
    lines.extend(
        providers
            .iter()
            .map(|(provider, names)| commands::pair(&safe(provider), &safe(&names.join(", ")))),
    );
    if app.models.is_empty() {
        let none = counted(0, "model");
        lines.push(commands::pair(&none, "any PROVIDER/NAME can be used"));
    }
    app.conversation.show(lines);
    Vec::new()
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::*;
    use crate::hand::press;

    fn app() -> App {
        let fit = |mut settings: quire_protocol::Settings, flags: &[(&'static str, String)]| {
            if let Some((_, effort)) = flags.iter().find(|(key, _)| *key == "effort") {
                settings.effort = effort.parse()?;
            }
            Ok(settings)
        };
        let mut app = App::new("me".to_owned(), std::sync::Arc::new(fit));
        app.models = [
            "fast",
            "anthropic/claude-a",
            "anthropic/claude-b",
            "openai/gpt",
        ]
        .map(str::to_owned)
        .to_vec();
        app
    }

    #[test]
    fn tab_writes_what_is_common_or_chosen() {
        for (keys, expected) in [
            ("/hel|>", "/help"),
            ("/th|>", "/th"),
            ("/th|>>", "/thinking "),
            ("/th|v>", "/thinking "),
            ("/th|vv>", "/theme "),
            ("/th|^>", "/theme "),
            ("/und|>", "/undo"),
            ("/undo-|>", "/undo-compaction"),
            ("/effort m|>", "/effort m"),
            ("/effort me|>", "/effort medium"),
            ("/effort |^>", "/effort max"),
            ("/model cl|>", "/model cl"),
            ("/model anthropic|>", "/model anthropic/claude-"),
            ("/model gp|>", "/model openai/gpt"),
            ("/plan of|>", "/plan off"),
            ("/queue ed|>", "/queue edit "),
            ("/rewind 2 fi|>", "/rewind 2 files"),
            ("/model zzz|>", "/model zzz"),
        ] {
            let mut app = app();
            assert_eq!(press(&mut app, keys), [], "{keys}: nothing is run or said");
            assert_eq!(app.editor.text(), expected, "{keys}");
        }
    }

    #[test]
    fn enter_runs_what_is_chosen_or_can_be_nothing_else() {
        for (keys, runs, left) in [
            ("/qui|!", true, ""),
            ("/q|!", false, "/q"),
            ("/q|vv!", true, ""),
            ("/mod|!", false, "/model "),
            ("/im|!", false, "/image "),
            ("/hel|!", false, ""),
            ("/undo|!", true, ""),
            ("/sess|x!", false, "/sess"),
        ] {
            let mut app = app();
            let wishes = press(&mut app, keys);
            assert_eq!(!wishes.is_empty(), runs, "{keys}: {wishes:?}");
            assert_eq!(app.editor.text(), left, "{keys}");
        }
        let mut app = app();
        press(&mut app, "/re|!");
        let notice = app.notice.unwrap();
        assert_eq!(
            notice,
            "/re can be /review, /resume, /rewind, /redo: Down chooses"
        );
    }

    #[test]
    fn with_the_cursor_inside_a_command_enter_runs_what_is_written() {
        for (line, back) in [
            ("/goal ship the parser", 18),
            ("/goal ship the parser", 16),
            ("/help", 2),
            ("/effort low", 2),
            ("/effort low", 5),
            ("look at @src/main.rs", 3),
        ] {
            for key in ["|>", "|!"] {
                let mut app = app();
                app.paths.know(vec!["src/main.rs".to_owned()]);
                press(&mut app, line);
                for _ in 0..back {
                    app.key(KeyEvent::new(KeyCode::Left, KeyModifiers::NONE));
                }
                let wishes = press(&mut app, key);
                let notice = app.notice.take();
                let runs = key == "|!";
                let left = app.editor.text();
                assert!(
                    left.is_empty() || left == line,
                    "{line} {back} {key}: {left}"
                );
                if runs && line.starts_with("/goal") {
                    let asked = format!("{wishes:?}");
                    assert!(asked.contains("ship the parser"), "{asked} {notice:?}");
                    assert!(!asked.contains("al ship"), "{asked}");
                }
                if runs && line.starts_with("/help") {
                    assert!(left.is_empty() && notice.is_none(), "{notice:?}");
                }
            }
        }
        // At the end of a word it is completed, whatever stands behind it.
        let mut app = app();
        press(&mut app, "/goa ship it");
        for _ in 0.." ship it".len() {
            app.key(KeyEvent::new(KeyCode::Left, KeyModifiers::NONE));
        }
        let asked = format!("{:?}", press(&mut app, "|!"));
        assert!(asked.contains("\"ship it\""), "{asked} {:?}", app.notice);
    }

    #[test]
    fn words_of_one_s_own_are_sent_as_they_are() {
        for (line, said) in [("/queue ed", "ed"), ("/plan of course", "of course")] {
            let mut app = app();
            app.conversation.settings = None;
            let wishes = press(&mut app, &format!("{line}|!"));
            let text = format!("{wishes:?}{:?}", app.notice);
            let is_said = text.contains(&format!("{said:?}")) || text.contains("not begun");
            assert!(is_said, "{line}: {text}");
        }
    }

    #[test]
    fn the_menu_moves_with_what_is_chosen_and_says_how_much_more_there_is() {
        let mut app = app();
        press(&mut app, "/");
        let shown = |app: &App| -> Vec<String> {
            app.menu_rows(40).iter().map(ToString::to_string).collect()
        };
        let rows = shown(&app);
        assert_eq!(rows.len(), SHOWN + 1);
        assert!(rows[0].starts_with("  /help"), "{rows:?}");
        assert!(
            rows[SHOWN].starts_with("  … ") && rows[SHOWN].contains("more"),
            "{rows:?}"
        );
        press(&mut app, "|^");
        let rows = shown(&app);
        assert!(rows[SHOWN - 1].starts_with("▸ /quit"), "{rows:?}");
        press(&mut app, "|x");
        assert!(app.menu_rows(40).is_empty());
    }
}
