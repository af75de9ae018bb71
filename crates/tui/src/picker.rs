//! A list from which one thing is chosen, by arrows or by its number. One that comes by itself takes no
//! keys from what is being typed.

use ratatui_core::text::Line;

use crate::app::App;
use crate::keys::Pick;
use crate::look;
use crate::rows::{cut, safe};
use crate::wish::Wish;

/// Rows that are shown at a time.
const SHOWN: usize = 10;

/// A list to choose from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Picker {
    title: String,
    rows: Vec<Row>,
    at: usize,
    /// What was typed of a number that may go on; 0 where nothing was.
    begun: usize,
    regard: Regard,
}

/// How much keys are about a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Regard {
    /// The person's last key opened it: they are about nothing else.
    Called,
    /// It came by itself, and nobody had time to see it: they are not.
    Unseen,
    /// It came by itself and was seen: they are, where nothing is typed, or a number `at_it`.
    Seen { at_it: bool },
}

/// One thing to choose.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// What is shown.
    pub(crate) words: String,
    /// What choosing it means.
    pub(crate) choice: Choice,
}

/// What choosing means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// These wishes.
    Wish(Vec<Wish>),
    /// Choosing on.
    Pick(Picker),
}

impl Picker {
    /// A list with its first row chosen; none without rows.
    pub(crate) fn new(title: impl Into<String>, rows: Vec<Row>) -> Self {
        Self {
            title: title.into(),
            rows,
            at: 0,
            begun: 0,
            regard: Regard::Called,
        }
    }

    /// The same, but nobody's last key opened it.
    pub(crate) fn by_itself(mut self) -> Self {
        self.regard = Regard::Unseen;
        self
    }

    /// Whether nobody had time to see it.
    pub(crate) fn is_unseen(&self) -> bool {
        self.regard == Regard::Unseen
    }

    /// The person has seen it.
    pub(crate) fn face(&mut self) {
        if self.is_unseen() {
            self.regard = Regard::Seen { at_it: false };
        }
    }

    /// Whether the first character of the input is typed at it now, if it was seen.
    pub(crate) fn type_at(&mut self, at_it: bool) {
        if let Regard::Seen { .. } = self.regard {
            self.regard = Regard::Seen { at_it };
        }
    }

    /// The same, with the last row chosen.
    pub(crate) fn at_the_end(mut self) -> Self {
        self.at = self.rows.len().saturating_sub(1);
        self
    }

    pub(crate) fn up(&mut self) {
        self.begun = 0;
        self.at = self.at.saturating_sub(1);
    }

    pub(crate) fn down(&mut self) {
        self.begun = 0;
        self.at = (self.at + 1).min(self.rows.len().saturating_sub(1));
    }

    /// What the row at hand means.
    pub(crate) fn chosen(self) -> Option<Choice> {
        let at = self.at;
        self.numbered(at + 1)
    }

    /// What the row of a number means, counted from 1.
    pub(crate) fn numbered(mut self, number: usize) -> Option<Choice> {
        let place = number.checked_sub(1)?;
        (place < self.rows.len()).then(|| self.rows.swap_remove(place).choice)
    }

    /// Whether there is a row of that number.
    pub(crate) fn has(&self, number: usize) -> bool {
        (1..=self.rows.len()).contains(&number)
    }

    /// A digit was typed. Gives the number where no row's number goes on with another; else its row is the one
    /// at hand, and the number may go on: 1 may be 12, which must not choose both 1 and whatever 2 is then.
    fn digit(&mut self, digit: usize) -> Option<usize> {
        let number = std::mem::take(&mut self.begun) * 10 + digit;
        if !self.has(number) {
            return None;
        }
        self.at = number - 1;
        self.begun = number;
        (!self.has(number * 10)).then_some(number)
    }

    /// As it is drawn: a title with how to choose, and the rows around the one at hand.
    fn lines(&self, how: &str, wide: usize) -> Vec<Line<'static>> {
        let from = self
            .at
            .saturating_sub(SHOWN / 2)
            .min(self.rows.len().saturating_sub(SHOWN));
        let title = format!("{} ({how})", self.title);
        let mut lines = vec![look::line(cut(&title, wide), look::BOLD)];
        for (place, row) in self.rows.iter().enumerate().skip(from).take(SHOWN) {
            let (mark, style) = if place == self.at {
                ("›", look::MARK)
            } else {
                (" ", look::PLAIN)
            };
            let words = format!("{mark} {}  {}", place + 1, safe(&row.words));
            lines.push(look::line(cut(&words, wide), style));
        }
        lines
    }

    /// As plain lines, all of it.
    pub(crate) fn plain(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{}: type its number, or nothing to leave",
            self.title
        )];
        let rows = self.rows.iter().enumerate();
        lines.extend(rows.map(|(place, row)| format!("  {}  {}", place + 1, safe(&row.words))));
        lines
    }
}

impl App {
    /// Whether keys are about a list that came by itself: all that was typed, at this very list, is a
    /// number.
    pub(crate) fn has_list_at_hand(&self) -> bool {
        let seen = |picker: &Picker| matches!(picker.regard, Regard::Seen { .. });
        let seen = self.picker.as_ref().is_some_and(seen);
        seen && (self.editor.is_empty() || self.number_in_hand().is_some())
    }

    /// Whether keys are about nothing but a list.
    pub(crate) fn has_called_list(&self) -> bool {
        let called = |picker: &Picker| picker.regard == Regard::Called;
        self.picker.as_ref().is_some_and(called)
    }

    /// The number of a row that was typed, which Enter chooses.
    fn number_in_hand(&self) -> Option<usize> {
        let regard = self.picker.as_ref()?.regard;
        let number = self.editor.text().parse().ok()?;
        (regard == Regard::Seen { at_it: true }).then_some(number)
    }

    /// Leaves a list that was seen, though something else is typed; says whether there is one.
    pub(crate) fn leave_list(&mut self) -> bool {
        let open = self
            .picker
            .take_if(|picker| picker.regard != Regard::Unseen);
        open.is_some()
    }

    /// The row whose number is typed is the one at hand.
    pub(crate) fn follow_number(&mut self) {
        let number = self.number_in_hand();
        if let (Some(picker), Some(number)) = (&mut self.picker, number)
            && picker.has(number)
        {
            picker.at = number - 1;
        }
    }

    /// The list as it is drawn.
    pub(crate) fn list_rows(&self, wide: usize) -> Vec<Line<'static>> {
        let Some(picker) = &self.picker else {
            return Vec::new();
        };
        let how = match picker.regard {
            Regard::Called => "↑ ↓ Enter, or its number; Esc leaves",
            Regard::Unseen => "…",
            Regard::Seen { .. } if self.has_list_at_hand() => {
                "↑ ↓ or its number, then Enter; Esc leaves"
            }
            Regard::Seen { .. } => "send or clear what you type, then choose; Esc leaves",
        };
        picker.lines(how, wide)
    }

    /// A key in the list from which something is being chosen.
    pub(crate) fn pick(&mut self, pick: Pick) -> Vec<Wish> {
        if let Some(number) = self.number_in_hand() {
            self.editor.take();
            let there = self.picker.as_ref().is_some_and(|list| list.has(number));
            if pick == Pick::This && !there {
                self.notice = Some(format!("there is no row {number}"));
                return Vec::new();
            }
        }
        let Some(mut picker) = self.picker.take() else {
            return Vec::new();
        };
        let choice = match pick {
            Pick::Digit(digit) => {
                let Some(number) = picker.digit(digit) else {
                    self.picker = Some(picker);
                    return Vec::new();
                };
                picker.numbered(number)
            }
            Pick::Up => {
                picker.up();
                self.picker = Some(picker);
                return Vec::new();
            }
            Pick::Down => {
                picker.down();
                self.picker = Some(picker);
                return Vec::new();
            }
            Pick::Leave => return Vec::new(),
            Pick::This => picker.chosen(),
            Pick::Numbered(number) if picker.has(number) => picker.numbered(number),
            Pick::Numbered(_) => {
                self.picker = Some(picker);
                return Vec::new();
            }
        };
        match choice {
            Some(Choice::Wish(wishes)) => wishes,
            Some(Choice::Pick(next)) => {
                self.picker = Some(next);
                Vec::new()
            }
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quire_protocol::{Conflicts, Content, Delivery, Op, Point, TakenBack};

    use super::*;
    use crate::hand::press;
    use crate::travel::{Arrived, Journey};

    fn app() -> App {
        App::new("me".to_owned(), Arc::new(|settings, _| Ok(settings)))
    }

    /// The list of what becomes of files that a person changed too has just come.
    fn asked(app: &mut App) {
        let arrived = Arrived::TakenBack {
            taken: TakenBack {
                done: false,
                files: Vec::new(),
            },
            to: Point::LastChange,
            then: None,
        };
        assert_eq!(app.arrived(arrived), []);
    }

    fn takes_back(conflicts: Conflicts) -> Vec<Wish> {
        vec![Wish::Travel(Journey::TakeBack {
            to: Point::LastChange,
            conflicts,
            then: None,
        })]
    }

    fn said(wishes: &[Wish]) -> &str {
        match wishes {
            [
                Wish::Ask(Op::Say {
                    delivery: Delivery::Steer,
                    content,
                    ..
                }),
            ] => match content.as_slice() {
                [Content::Text { text }] => text,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_list_that_comes_under_typing_hands_takes_nothing_of_what_is_typed() {
        let text = "fix the 3 tests";
        for comes in 0..=text.len() {
            for is_seen in [false, true] {
                let mut app = app();
                assert_eq!(press(&mut app, &text[..comes]), []);
                asked(&mut app);
                if is_seen {
                    app.face();
                }
                assert_eq!(press(&mut app, &text[comes..]), [], "{comes} {is_seen}");
                // To look at it now makes no number of what is typed either.
                app.face();
                if comes == text.len() && is_seen {
                    // All was typed before: the keys that follow are still the text's.
                    assert_eq!(press(&mut app, "|v"), []);
                }
                assert_eq!(app.editor.text(), text, "{comes} {is_seen}");
                assert_eq!(said(&press(&mut app, "|!")), text, "{comes} {is_seen}");
            }
        }
        // A number that was on its way is text too.
        let mut app = app();
        asked(&mut app);
        assert_eq!(press(&mut app, "3"), []);
        app.face();
        assert_eq!(said(&press(&mut app, "|!")), "3");
    }

    #[test]
    fn a_list_that_came_by_itself_takes_a_number_and_enter_once_it_was_seen() {
        let keys = [
            ("|!", Conflicts::Merge),
            ("|vv!", Conflicts::Overwrite),
            ("2|!", Conflicts::Keep),
            ("3|!", Conflicts::Overwrite),
            ("1|vv!", Conflicts::Overwrite),
        ];
        for (keys, conflicts) in keys {
            let mut app = app();
            asked(&mut app);
            assert!(app.is_surprised());
            app.face();
            assert!(!app.is_surprised());
            assert_eq!(press(&mut app, keys), takes_back(conflicts), "{keys}");
            assert!(app.editor.is_empty() && app.picker.is_none(), "{keys}");
        }
        let mut app = app();
        asked(&mut app);
        app.face();
        assert_eq!(press(&mut app, "3"), [], "a number alone does nothing");
        let rows = app.list_rows(80);
        let marked = rows.iter().find(|row| row.to_string().starts_with('›'));
        assert!(marked.unwrap().to_string().contains("overwrite them"));
        assert_eq!(press(&mut app, "x"), []);
        app.editor.take();
        assert_eq!(press(&mut app, "7|!"), []);
        assert_eq!(app.notice.take().as_deref(), Some("there is no row 7"));
        assert_eq!(press(&mut app, "words|x"), []);
        assert!(app.picker.is_none(), "Esc leaves it whatever is typed");
        assert_eq!(app.editor.text(), "words");
    }

    #[test]
    fn a_list_that_the_last_key_opened_takes_a_number_at_once() {
        let mut app = app();
        let row = |words: &str| Row {
            words: words.to_owned(),
            choice: Choice::Wish(vec![Wish::Find(words.to_owned())]),
        };
        app.picker = Some(Picker::new("Which?", vec![row("one"), row("two")]));
        assert_eq!(press(&mut app, "2"), [Wish::Find("two".to_owned())]);
    }

    #[test]
    fn a_number_of_two_digits_chooses_its_row_and_nothing_after_the_first() {
        for (keys, chosen) in [
            ("1", None),
            ("12", Some(12)),
            ("10", Some(10)),
            ("1|!", Some(1)),
            ("1|v!", Some(2)),
            ("2", Some(2)),
            ("15", None),
            ("155", Some(5)),
            ("0", None),
        ] {
            let mut app = app();
            let row = |number: usize| Row {
                words: String::new(),
                choice: Choice::Wish(vec![Wish::Find(number.to_string())]),
            };
            let rows = (1..=12).map(row).collect();
            app.picker = Some(Picker::new("Before which message?", rows));
            let wishes = press(&mut app, keys);
            let expected = chosen.map(|number: usize| Wish::Find(number.to_string()));
            assert_eq!(wishes.first(), expected.as_ref(), "{keys}");
            assert_eq!(app.picker.is_none(), chosen.is_some(), "{keys}");
        }
    }
}
