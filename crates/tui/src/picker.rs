//! A list from which one thing is chosen, by arrows or by its number.

use ratatui_core::text::Line;

use crate::app::{App, Wish};
use crate::keys::Pick;
use crate::look;
use crate::rows::{cut, safe};

/// Rows that are shown at a time.
const SHOWN: usize = 10;

/// A list to choose from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Picker {
    title: String,
    rows: Vec<Row>,
    at: usize,
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
        }
    }

    /// The same, with the last row chosen.
    pub(crate) fn at_the_end(mut self) -> Self {
        self.at = self.rows.len().saturating_sub(1);
        self
    }

    pub(crate) fn up(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    pub(crate) fn down(&mut self) {
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

    /// As it is drawn: a title, and the rows around the one at hand.
    pub(crate) fn lines(&self, wide: usize) -> Vec<Line<'static>> {
        let from = self
            .at
            .saturating_sub(SHOWN / 2)
            .min(self.rows.len().saturating_sub(SHOWN));
        let title = format!("{} (↑ ↓ Enter, or its number; Esc leaves)", self.title);
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
    /// A key in the list from which something is being chosen.
    pub(crate) fn pick(&mut self, pick: Pick) -> Vec<Wish> {
        let Some(mut picker) = self.picker.take() else {
            return Vec::new();
        };
        let choice = match pick {
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
