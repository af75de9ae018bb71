//! Ctrl+R: what the person said in this folder, found again by what is written. The input is the query
//! meanwhile; what stood in it comes back unless something is taken.

use ratatui_core::text::Line;

use quire_protocol::first_line;

use crate::app::App;
use crate::keys::Action;
use crate::look;
use crate::rows::{cut, safe};
use crate::wish::Wish;

/// Messages that are offered at a time.
const OFFERED: usize = 8;

/// A search at work.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// What was said, the newest first.
    said: Vec<String>,
    query: String,
    found: Vec<String>,
    chosen: usize,
}

impl Search {
    /// Takes in what was said in this folder before, besides what this screen has seen.
    pub(crate) fn know(&mut self, before: Vec<String>) {
        for text in before.into_iter().rev() {
            if !self.said.contains(&text) {
                self.said.push(text);
            }
        }
        self.look();
    }

    fn follow(&mut self, query: &str) {
        if self.query != query {
            query.clone_into(&mut self.query);
            self.look();
        }
    }

    /// Everything that has all words of the query.
    fn look(&mut self) {
        self.chosen = 0;
        let query = self.query.to_lowercase();
        let words: Vec<&str> = query.split_whitespace().collect();
        let fits = |text: &&String| {
            let text = text.to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        self.found = self.said.iter().filter(fits).cloned().collect();
    }

    /// What is found, the newest or the one that was gone on to.
    pub(crate) fn best(&self) -> Option<&String> {
        self.found.get(self.chosen)
    }

    /// The offers, the chosen one marked.
    pub(crate) fn rows(&self, wide: usize) -> Vec<Line<'static>> {
        let from = self.chosen.saturating_sub(OFFERED - 1);
        let shown = self.found.iter().enumerate().skip(from).take(OFFERED);
        let rows = shown.map(|(place, text)| {
            let (mark, style) = if place == self.chosen {
                ("▸", look::MARK)
            } else {
                (" ", look::DIM)
            };
            let (line, more) = first_line(text);
            let more = if more { " …" } else { "" };
            look::line(
                cut(&format!("  {mark} {}{more}", safe(line.as_ref())), wide),
                style,
            )
        });
        let mut rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            rows.push(look::line(
                cut("    nothing like it was said here", wide),
                look::DIM,
            ));
        }
        rows
    }
}

impl App {
    /// Begins to search.
    pub(crate) fn begin_search(&mut self) -> Vec<Wish> {
        let mut said: Vec<String> = Vec::new();
        for text in self.conversation.said.iter().rev() {
            if !said.contains(text) {
                said.push(text.clone());
            }
        }
        let mut search = Search {
            said,
            ..Search::default()
        };
        search.look();
        self.search = Some(search);
        self.stash_input();
        vec![Wish::Recall]
    }

    /// What a key does while something is searched.
    pub(crate) fn search_key(&mut self, action: Action) -> Vec<Wish> {
        let Some(search) = &mut self.search else {
            return Vec::new();
        };
        let last = search.found.len().saturating_sub(1);
        match action {
            Action::Complete | Action::Send | Action::Queue => return self.take_found(),
            Action::Back | Action::Interrupt | Action::Clear | Action::Leave => {
                self.search = None;
                self.put_aside_back();
            }
            Action::Search | Action::Up => search.chosen = (search.chosen + 1).min(last),
            Action::Down => search.chosen = search.chosen.saturating_sub(1),
            Action::Insert(char) => self.editor.insert(char.encode_utf8(&mut [0; 4])),
            Action::Go(to) => self.editor.go(to),
            Action::Delete(to) => self.editor.delete(to),
            Action::PutBack => self.editor.put_back(),
            Action::Redraw => return vec![Wish::Redraw],
            Action::Newline
            | Action::Details
            | Action::Next
            | Action::Compose
            | Action::PasteImage
            | Action::Suspend
            | Action::Reply(_)
            | Action::Pick(_) => {}
        }
        self.follow_search();
        Vec::new()
    }

    /// What is written may be another query.
    pub(crate) fn follow_search(&mut self) {
        if let Some(search) = &mut self.search {
            search.follow(self.editor.text());
        }
    }

    fn take_found(&mut self) -> Vec<Wish> {
        let search = self.search.take();
        let chosen = search.and_then(|search| search.found.get(search.chosen).cloned());
        self.put_aside_back();
        if let Some(text) = chosen {
            self.recalled = None;
            self.editor.set(&text);
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::*;

    fn app(said: &[&str]) -> App {
        let mut app = App::new(
            "me".to_owned(),
            std::sync::Arc::new(|settings, _| Ok(settings)),
        );
        app.conversation.said = said.iter().map(|&text| text.to_owned()).collect();
        app.editor.set("a draft");
        assert_eq!(control(&mut app, 'r'), [Wish::Recall]);
        app
    }

    fn control(app: &mut App, key: char) -> Vec<Wish> {
        app.key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL))
    }

    fn press(app: &mut App, code: KeyCode) {
        assert_eq!(app.key(KeyEvent::new(code, KeyModifiers::NONE)), []);
    }

    fn types(app: &mut App, text: &str) {
        for char in text.chars() {
            press(app, KeyCode::Char(char));
        }
    }

    #[test]
    fn what_was_said_is_found_by_all_of_its_words_newest_first() {
        let mut app = app(&["fix the parser", "test it", "Fix the lexer"]);
        let before = vec!["old words on the parser".to_owned(), "test it".to_owned()];
        app.search.as_mut().unwrap().know(before);
        types(&mut app, "fix");
        assert_eq!(
            app.search.as_ref().unwrap().found,
            ["Fix the lexer", "fix the parser"]
        );
        types(&mut app, " pars");
        assert_eq!(app.search.as_ref().unwrap().found, ["fix the parser"]);
        press(&mut app, KeyCode::Enter);
        assert_eq!(app.editor.text(), "fix the parser", "taken, not sent");
        assert!(app.search.is_none());
    }

    #[test]
    fn older_ones_follow_and_leaving_brings_the_input_back() {
        let mut app = app(&["parse one", "parse two"]);
        app.search
            .as_mut()
            .unwrap()
            .know(vec!["parse zero".to_owned()]);
        types(&mut app, "parse");
        control(&mut app, 'r');
        control(&mut app, 'r');
        control(&mut app, 'r');
        press(&mut app, KeyCode::Tab);
        assert_eq!(app.editor.text(), "parse zero");
        app.editor.set("a draft");
        control(&mut app, 'r');
        types(&mut app, "nothing");
        press(&mut app, KeyCode::Esc);
        assert_eq!(app.editor.text(), "a draft");
    }
}
