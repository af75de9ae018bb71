//! The conversation in a screen of its own, where the terminal keeps nothing: the last of it within a
//! bound, and the part that is looked at. Rows are made only of what is seen.

use std::collections::VecDeque;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseEventKind};
use quire_protocol::{counted, thousands};
use ratatui_core::style::Modifier;
use ratatui_core::text::Line;

use crate::calls::{self, Details};
use crate::conversation::Part;
use crate::folded::Calls;
use crate::look;
use crate::rows::{cut, wrap};
use crate::view::Picture;

/// Lines that are kept.
const LINES: usize = 10_000;
/// Bytes of text in them.
const BYTES: usize = 4_000_000;
/// Lines that stay in the terminal when the screen is left.
const LEFT: usize = 200;
/// Rows that a turn of the wheel is.
const WHEEL: usize = 3;

/// A move through the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scroll {
    PageUp,
    PageDown,
    WheelUp,
    WheelDown,
    Start,
    End,
}

/// The move that a key asks for. In an input with something in it, Home and End are its own.
pub(crate) fn scroll_of_key(key: KeyEvent, typed: bool) -> Option<Scroll> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let free = !typed || key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::PageUp => Some(Scroll::PageUp),
        KeyCode::PageDown => Some(Scroll::PageDown),
        KeyCode::Home if free => Some(Scroll::Start),
        KeyCode::End if free => Some(Scroll::End),
        _ => None,
    }
}

/// The move that the mouse asks for.
pub(crate) fn scroll_of_mouse(kind: MouseEventKind) -> Option<Scroll> {
    match kind {
        MouseEventKind::ScrollUp => Some(Scroll::WheelUp),
        MouseEventKind::ScrollDown => Some(Scroll::WheelDown),
        _ => None,
    }
}

/// A row of the conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    part: u64,
    line: usize,
    row: usize,
}

/// A conversation, and what of it is looked at.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// Oldest first; none is empty.
    parts: VecDeque<Shown>,
    /// The number of the first part.
    first: u64,
    lines: usize,
    bytes: usize,
    /// Lines that are kept no more.
    gone: usize,
    /// The first row that is seen; the end is seen where there is none.
    top: Option<Place>,
    /// Columns and rows in which the conversation is shown.
    columns: u16,
    rows: usize,
    /// What was looked for, and where it was found.
    sought: String,
    found: Option<Place>,
}

/// A part, and whether it is unfolded.
#[derive(Debug)]
struct Shown {
    part: Part,
    bytes: usize,
    unfolded: bool,
}

impl Pages {
    /// Takes more of the conversation in.
    pub(crate) fn take_in(&mut self, parts: Vec<Part>) {
        for part in parts.into_iter().filter(|part| !part.lines.is_empty()) {
            let bytes = weight(&part.lines);
            self.lines += part.lines.len();
            self.bytes += bytes;
            self.parts.push_back(Shown {
                part,
                bytes,
                unfolded: false,
            });
        }
        while (self.lines > LINES || self.bytes > BYTES) && self.parts.len() > 1 {
            let Some(old) = self.parts.pop_front() else {
                break;
            };
            self.first += 1;
            self.lines -= old.part.lines.len();
            self.bytes -= old.bytes;
            self.gone += old.part.lines.len();
        }
    }

    /// Looks at the end again.
    pub(crate) fn show_the_end(&mut self) {
        self.top = None;
        self.found = None;
    }

    /// A picture of the whole screen: the conversation above what is drawn below it.
    pub(crate) fn above(&mut self, below: Picture, (columns, rows): (u16, u16)) -> Picture {
        self.columns = columns;
        self.rows = usize::from(rows).saturating_sub(below.rows.len());
        let mut shown = self.seen();
        let height = u16::try_from(self.rows).unwrap_or(u16::MAX);
        shown.resize(self.rows, Line::default());
        shown.extend(below.rows);
        let (column, row) = below.cursor;
        Picture {
            rows: shown,
            cursor: (column, row.saturating_add(height)),
        }
    }

    /// Moves through the conversation.
    pub(crate) fn scroll(&mut self, scroll: Scroll) {
        let page = self.rows.saturating_sub(2).max(1);
        match scroll {
            Scroll::PageUp => self.up(page),
            Scroll::WheelUp => self.up(WHEEL),
            Scroll::PageDown => self.down(page),
            Scroll::WheelDown => self.down(WHEEL),
            Scroll::Start => self.top = Some(self.start()),
            Scroll::End => self.show_the_end(),
        }
    }

    fn up(&mut self, rows: usize) {
        let top = self.top();
        self.top = Some(self.back(top, rows).unwrap_or_else(|| self.start()));
        self.stay_within();
    }

    fn down(&mut self, rows: usize) {
        if let Some(top) = self.top {
            self.top = self.forth(top, rows);
            self.stay_within();
        }
    }

    /// Unfolds the last call that is seen, or folds it again; fails with what to tell the person.
    pub(crate) fn unfold(&mut self, calls: &Calls) -> Result<(), String> {
        let (top, end) = (self.top(), self.bottom());
        let last = self.first + self.parts.len() as u64;
        let number = (top.part..last).rev().find(|number| {
            let head = Place {
                part: *number,
                ..Place::default()
            };
            let call = self.shown(*number).and_then(|shown| shown.part.call);
            call.is_some() && end.is_none_or(|end| head < end)
        });
        let number = number.ok_or("no call is in sight: scroll to one")?;
        let (columns, rows) = (self.columns, self.rows);
        let Some(shown) = self.shown_mut(number) else {
            return Ok(());
        };
        let call = shown.part.call.and_then(|call| calls.get(call));
        let call = call.ok_or("this call is not kept: `quire sessions show` has it")?;
        shown.unfolded = !shown.unfolded;
        let details = if shown.unfolded {
            Details::Whole
        } else {
            Details::Folded
        };
        let lines = calls::ended(call, details, columns);
        let (was, bytes) = (shown.part.lines.len(), weight(&lines));
        let (now, was_bytes) = (lines.len(), std::mem::replace(&mut shown.bytes, bytes));
        shown.part.lines = lines;
        self.lines = self.lines + now - was;
        self.bytes = self.bytes + bytes - was_bytes;
        // Its first row stays in sight.
        let head = Place {
            part: number,
            ..Place::default()
        };
        let hides = self.top.is_some_and(|top| top > head);
        let after = self.forth(head, rows);
        if hides || (self.top.is_none() && after.is_some()) {
            self.top = Some(head);
        }
        self.stay_within();
        Ok(())
    }

    /// Goes to what stands above and has these words in a line, else to the last that has; without
    /// words, to the next that has those of the last time. Fails with what to tell the person.
    pub(crate) fn find(&mut self, words: &str) -> Result<(), String> {
        if !words.is_empty() {
            self.sought = words.to_lowercase();
            self.found = None;
        }
        if self.sought.is_empty() {
            return Err("what? /find WORDS".to_owned());
        }
        let from = self.found.or(self.bottom());
        let mut before = None;
        let mut last = None;
        for (number, shown) in (self.first..).zip(&self.parts) {
            for (line, text) in shown.part.lines.iter().enumerate() {
                let place = Place {
                    part: number,
                    line,
                    row: 0,
                };
                if text.to_string().to_lowercase().contains(&self.sought) {
                    last = Some(place);
                    if from.is_none_or(|from| place < from) {
                        before = last;
                    }
                }
            }
        }
        self.found = before.or(last);
        let Some(found) = self.found else {
            return Err(format!("nothing here says {:?}", self.sought));
        };
        let above = self.back(found, self.rows / 3);
        self.top = Some(above.unwrap_or_else(|| self.start()));
        self.stay_within();
        Ok(())
    }

    /// What was said last, and what came of it: what stays when the screen is left.
    pub(crate) fn last_exchange(&self) -> Vec<Line<'static>> {
        let said = self.parts.iter().rposition(|shown| shown.part.said);
        let parts = self.parts.range(said.unwrap_or(0)..);
        let lines: Vec<&Line<'static>> = parts.flat_map(|shown| &shown.part.lines).collect();
        let hidden = lines.len().saturating_sub(LEFT);
        lines[hidden..].iter().copied().cloned().collect()
    }

    /// The rows that are seen.
    fn seen(&self) -> Vec<Line<'static>> {
        let mut rows = Vec::new();
        let mut place = self.top();
        if self.gone > 0 && place == self.start() && self.top.is_some() {
            let gone = thousands(self.gone as u64);
            let words = format!("· {gone} earlier lines are not kept here: `quire sessions show`");
            rows.push(look::line(cut(&words, self.columns.into()), look::DIM));
        }
        while rows.len() < self.rows
            && let Some(line) = self.line(place)
        {
            let marked = self
                .found
                .is_some_and(|found| (found.part, found.line) == (place.part, place.line));
            let wrapped = wrap(line, self.columns).into_iter().skip(place.row);
            rows.extend(wrapped.map(|mut row| {
                if marked {
                    row = row.patch_style(Modifier::REVERSED);
                }
                row
            }));
            place = self.next(place);
        }
        rows.truncate(self.rows);
        if self.top.is_some()
            && self.rows > 1
            && let Some(hidden) = self.forth(self.top(), self.rows - 1)
        {
            let below = self.lines_from(hidden);
            let words = format!("↓ {} below · End", counted(below as u64, "line"));
            rows.pop();
            rows.push(look::line(cut(&words, self.columns.into()), look::MARK));
        }
        rows
    }

    /// The first row that is seen.
    fn top(&self) -> Place {
        match self.top {
            Some(top) if top.part >= self.first => top,
            Some(_) => self.start(),
            None => {
                let end = Place {
                    part: self.first + self.parts.len() as u64,
                    ..Place::default()
                };
                self.back(end, self.rows).unwrap_or_else(|| self.start())
            }
        }
    }

    /// The row after the last that is seen, if there is one.
    fn bottom(&self) -> Option<Place> {
        self.top.and_then(|_| self.forth(self.top(), self.rows))
    }

    /// Looks at the end where the rest fits.
    fn stay_within(&mut self) {
        if self.bottom().is_none() {
            self.top = None;
        }
    }

    fn start(&self) -> Place {
        Place {
            part: self.first,
            ..Place::default()
        }
    }

    /// So many rows before a place; nothing where there are not as many.
    fn back(&self, from: Place, rows: usize) -> Option<Place> {
        let mut place = from;
        let mut left = rows;
        loop {
            if place.row >= left {
                place.row -= left;
                return Some(place);
            }
            left -= place.row;
            place = self.previous(place)?;
            place.row = self.height(place);
        }
    }

    /// So many rows after a place; nothing where there are not as many and one more.
    fn forth(&self, from: Place, rows: usize) -> Option<Place> {
        let mut place = from;
        let mut left = rows;
        loop {
            let height = self.height(place);
            if height == 0 {
                return None;
            }
            if place.row + left < height {
                place.row += left;
                return Some(place);
            }
            left -= height.saturating_sub(place.row).min(left);
            place = self.next(place);
        }
    }

    /// Rows of a line; none behind the last.
    fn height(&self, place: Place) -> usize {
        self.line(place)
            .map_or(0, |line| wrap(line, self.columns).len())
    }

    fn line(&self, place: Place) -> Option<&Line<'static>> {
        self.shown(place.part)?.part.lines.get(place.line)
    }

    fn shown(&self, number: u64) -> Option<&Shown> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.parts.get(place)
    }

    fn shown_mut(&mut self, number: u64) -> Option<&mut Shown> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.parts.get_mut(place)
    }

    /// The first row of the next line.
    fn next(&self, place: Place) -> Place {
        let lines = self
            .shown(place.part)
            .map_or(0, |shown| shown.part.lines.len());
        if place.line + 1 < lines {
            return Place {
                line: place.line + 1,
                row: 0,
                ..place
            };
        }
        Place {
            part: place.part + 1,
            ..Place::default()
        }
    }

    /// The first row of the line before.
    fn previous(&self, place: Place) -> Option<Place> {
        if let Some(line) = place.line.checked_sub(1) {
            return Some(Place {
                line,
                row: 0,
                ..place
            });
        }
        let part = place.part.checked_sub(1)?;
        let line = self.shown(part)?.part.lines.len().checked_sub(1)?;
        Some(Place { part, line, row: 0 })
    }

    fn lines_from(&self, place: Place) -> usize {
        let part = usize::try_from(place.part.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let parts = self.parts.iter().skip(part);
        let lines: usize = parts.map(|shown| shown.part.lines.len()).sum();
        lines.saturating_sub(place.line)
    }
}

fn weight(lines: &[Line<'static>]) -> usize {
    let spans = lines.iter().flat_map(|line| &line.spans);
    spans.map(|span| span.content.len()).sum()
}
