//! From lines to bytes for a terminal. What is done goes into the terminal's own scrollback; below
//! it a few rows are drawn in place, changed cells only. Pure: bytes come out, nobody is asked where
//! the cursor is.

use std::collections::VecDeque;
use std::fmt::Write as _;

use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use ratatui_core::text::Line;

use crate::look::sgr;
use crate::rows::{width, wrap};
use crate::setup::Room;
use crate::theme::Theme;
use crate::view::Picture;

/// Clears all from the row of the cursor on. It begins in the second column: tmux keeps the whole screen in its history
/// when that is cleared from the corner.
const CLEAR: &str = "\r \x1b[J\r";
/// The terminal shows nothing until the frame is whole, and no cursor jumping about.
const BEGIN: &str = "\x1b[?2026h\x1b[?25l";
const END: &str = "\x1b[?25h\x1b[?2026l";
/// Lines that can be drawn again when the terminal changes its size.
const KEPT: usize = 400;

/// What a terminal shows, as far as it was drawn here.
#[derive(Debug)]
pub(crate) struct Painter {
    columns: u16,
    rows: u16,
    theme: Theme,
    room: Room,
    /// The rows that are drawn in place.
    shown: Buffer,
    cursor: (u16, u16),
    /// The last lines that went into the scrollback.
    recent: VecDeque<Line<'static>>,
}

impl Painter {
    /// A terminal of that size, with the cursor at the start of a row; where all of it is to be
    /// drawn, in its first.
    pub(crate) fn new((columns, rows): (u16, u16), theme: Theme, room: Room) -> Self {
        Self {
            room,
            columns: columns.max(1),
            rows: rows.max(1),
            theme,
            shown: Buffer::empty(Rect::new(0, 0, columns.max(1), 0)),
            cursor: (0, 0),
            recent: VecDeque::new(),
        }
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (u16, u16) {
        (self.columns, self.rows)
    }

    /// The theme that is used.
    pub(crate) fn theme(&self) -> Theme {
        self.theme
    }

    /// Uses another theme from the next drawing anew on.
    pub(crate) fn use_theme(&mut self, theme: Theme) {
        self.theme = theme;
    }

    /// The bytes that show these lines for good and this picture below them; none when nothing
    /// changed.
    pub(crate) fn frame(&mut self, done: Vec<Line<'static>>, picture: &Picture) -> String {
        let next = self.buffer(picture);
        let mut out = String::new();
        if done.is_empty() && next.area == self.shown.area {
            let changes = self.shown.diff(&next);
            if changes.is_empty() && picture.cursor == self.cursor {
                return out;
            }
            out.push_str(BEGIN);
            let mut pen = Pen::new(self.theme, self.cursor);
            for (column, row, cell) in changes {
                pen.go(&mut out, column, row);
                pen.cell(&mut out, cell);
            }
            pen.end(&mut out, picture.cursor);
        } else {
            out.push_str(BEGIN);
            self.up_to_the_top(&mut out);
            for line in &done {
                for row in wrap(line, self.columns) {
                    self.row(&mut out, &row);
                    out.push_str("\r\n");
                }
            }
            self.draw_whole(&mut out, &next, picture.cursor);
            self.recent.extend(done);
            let old = self.recent.len().saturating_sub(KEPT);
            self.recent.drain(..old);
        }
        out.push_str(END);
        self.shown = next;
        self.cursor = picture.cursor;
        out
    }

    /// The bytes that draw everything anew in another size: what the terminal did to the rows that
    /// were there is not known, so all of them that can be ours are cleared.
    pub(crate) fn resize(&mut self, (columns, rows): (u16, u16), picture: &Picture) -> String {
        let columns = columns.max(1);
        if self.room == Room::Full {
            return self.anew((columns, rows.max(1)), picture);
        }
        let above = self.rows_above(columns);
        (self.columns, self.rows) = (columns, rows.max(1));
        let next = self.buffer(picture);
        let mut out = BEGIN.to_owned();
        if above > 0 {
            let _ = write!(out, "\x1b[{above}A");
        }
        out.push_str(CLEAR);
        let room = usize::from(self.rows.saturating_sub(next.area.height));
        let mut again: Vec<Line<'static>> = Vec::new();
        for line in self.recent.iter().rev() {
            if again.len() >= room {
                break;
            }
            again.extend(wrap(line, columns).into_iter().rev());
        }
        again.truncate(room);
        for row in again.iter().rev() {
            self.row(&mut out, row);
            out.push_str("\r\n");
        }
        self.draw_whole(&mut out, &next, picture.cursor);
        out.push_str(END);
        self.shown = next;
        self.cursor = picture.cursor;
        out
    }

    /// The bytes that draw a whole screen.
    fn anew(&mut self, (columns, rows): (u16, u16), picture: &Picture) -> String {
        (self.columns, self.rows) = (columns, rows);
        let next = self.buffer(picture);
        let mut out = format!("{BEGIN}\x1b[H\x1b[2J");
        self.draw_whole(&mut out, &next, picture.cursor);
        out.push_str(END);
        self.shown = next;
        self.cursor = picture.cursor;
        out
    }

    /// The bytes that take the picture away and leave the cursor where it was.
    pub(crate) fn leave(&mut self) -> String {
        let mut out = BEGIN.to_owned();
        self.up_to_the_top(&mut out);
        out.push_str(END);
        self.shown = Buffer::empty(Rect::new(0, 0, self.columns, 0));
        self.cursor = (0, 0);
        out
    }

    /// Rows from the first that may be ours down to the cursor, after the terminal has broken them
    /// for so many columns.
    fn rows_above(&self, columns: u16) -> usize {
        let columns = usize::from(columns);
        let broken = |wide: usize| wide.div_ceil(columns).max(1);
        let picture: usize = (0..self.cursor.1)
            .map(|row| broken(row_width(&self.shown, row)))
            .sum();
        let cursor = usize::from(self.cursor.0) / columns;
        let lines: usize = self
            .recent
            .iter()
            .flat_map(|line| wrap(line, self.columns))
            .map(|row| broken(row.width()))
            .sum();
        picture + cursor + lines
    }

    fn buffer(&self, picture: &Picture) -> Buffer {
        let height = u16::try_from(picture.rows.len()).unwrap_or(u16::MAX);
        let most = match self.room {
            Room::Inline => self.rows.saturating_sub(1),
            Room::Full => self.rows,
        };
        let height = height.min(most).max(1);
        let mut buffer = Buffer::empty(Rect::new(0, 0, self.columns, height));
        for (row, line) in (0..height).zip(&picture.rows) {
            buffer.set_line(0, row, line, self.columns);
        }
        buffer
    }

    fn up_to_the_top(&self, out: &mut String) {
        if self.cursor.1 > 0 {
            let _ = write!(out, "\x1b[{}A", self.cursor.1);
        }
        out.push_str(CLEAR);
    }

    fn draw_whole(&self, out: &mut String, next: &Buffer, cursor: (u16, u16)) {
        let mut pen = Pen::new(self.theme, (0, 0));
        for row in 0..next.area.height {
            if row > 0 {
                pen.style(out, Style::new());
                out.push_str("\r\n");
            }
            let end = u16::try_from(row_width(next, row)).unwrap_or(u16::MAX);
            let mut column = 0;
            while column < end {
                let cell = &next[(column, row)];
                pen.style(out, cell.style());
                out.push_str(cell.symbol());
                column += u16::try_from(width(cell.symbol()).max(1)).unwrap_or(1);
            }
        }
        pen.at = None;
        pen.row = next.area.height.saturating_sub(1);
        pen.end(out, cursor);
    }

    /// One row of a line that is done.
    fn row(&self, out: &mut String, row: &Line<'static>) {
        for span in &row.spans {
            let style = sgr(row.style.patch(span.style), self.theme);
            out.push_str(&style);
            out.extend(span.content.chars().filter(|char| !char.is_control()));
            if !style.is_empty() {
                out.push_str("\x1b[0m");
            }
        }
    }
}

/// Columns of a row up to its last cell that is not empty.
fn row_width(buffer: &Buffer, row: u16) -> usize {
    let empty = Cell::EMPTY;
    let last = (0..buffer.area.width).rfind(|column| buffer[(*column, row)] != empty);
    last.map_or(0, |column| {
        usize::from(column) + width(buffer[(column, row)].symbol()).max(1)
    })
}

/// Where the next character goes, and how it looks.
struct Pen {
    theme: Theme,
    style: Style,
    row: u16,
    /// The column, where it is known.
    at: Option<u16>,
}

impl Pen {
    fn new(theme: Theme, (column, row): (u16, u16)) -> Self {
        Self {
            theme,
            style: Style::new(),
            row,
            at: Some(column),
        }
    }

    fn go(&mut self, out: &mut String, column: u16, row: u16) {
        if row < self.row {
            let _ = write!(out, "\x1b[{}A", self.row - row);
        } else if row > self.row {
            let _ = write!(out, "\x1b[{}B", row - self.row);
        }
        if self.at != Some(column) {
            let _ = write!(out, "\x1b[{}G", column + 1);
        }
        (self.at, self.row) = (Some(column), row);
    }

    fn cell(&mut self, out: &mut String, cell: &Cell) {
        self.style(out, cell.style());
        let symbol = cell.symbol();
        out.push_str(symbol);
        // Terminals do not agree on how wide the rest is.
        self.at = self.at.filter(|_| symbol.is_ascii()).map(|at| at + 1);
    }

    fn style(&mut self, out: &mut String, style: Style) {
        if self.style == style {
            return;
        }
        let (before, now) = (sgr(self.style, self.theme), sgr(style, self.theme));
        self.style = style;
        if before == now {
            return;
        }
        if !before.is_empty() {
            out.push_str("\x1b[0m");
        }
        out.push_str(&now);
    }

    fn end(&mut self, out: &mut String, cursor: (u16, u16)) {
        self.style(out, Style::new());
        self.at = None;
        self.go(out, cursor.0, cursor.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::look;

    fn picture(rows: &[&str], cursor: (u16, u16)) -> Picture {
        Picture {
            rows: rows
                .iter()
                .map(|row| Line::from((*row).to_owned()))
                .collect(),
            cursor,
        }
    }

    fn lines(text: &[&str]) -> Vec<Line<'static>> {
        text.iter()
            .map(|line| look::line(*line, look::GOOD))
            .collect()
    }

    fn terminal(columns: u16, rows: u16) -> vt100::Parser {
        let size = |number| std::num::NonZeroU16::new(number).unwrap();
        vt100::Parser::new(size(rows), size(columns), 100)
    }

    fn screen(terminal: &vt100::Parser) -> Vec<String> {
        let rows = terminal.screen().rows(0, 20);
        rows.map(|row| row.trim_end().to_owned()).collect()
    }

    #[test]
    fn done_lines_scroll_away_and_the_picture_stays_below_them() {
        let mut terminal = terminal(20, 6);
        let mut painter = Painter::new((20, 6), Theme::default(), Room::Inline);
        let first = picture(&["› hi", "status"], (4, 0));
        terminal.process(painter.frame(Vec::new(), &first).as_bytes());
        assert_eq!(screen(&terminal)[..2], ["› hi", "status"]);
        assert_eq!(terminal.screen().cursor_position(), (0, 4));
        for number in 0..10 {
            let done = lines(&[&format!("line {number} 漢字")]);
            terminal.process(painter.frame(done, &first).as_bytes());
        }
        assert_eq!(
            screen(&terminal),
            [
                "line 6 漢字",
                "line 7 漢字",
                "line 8 漢字",
                "line 9 漢字",
                "› hi",
                "status"
            ]
        );
        terminal.process(painter.leave().as_bytes());
        assert_eq!(screen(&terminal)[3..], ["line 9 漢字", "", ""]);
        assert_eq!(terminal.screen().cursor_position(), (4, 0));
    }

    #[test]
    fn only_changed_cells_are_written() {
        let mut terminal = terminal(20, 6);
        let mut painter = Painter::new((20, 6), Theme::default(), Room::Inline);
        let before = picture(&["answer: 漢 one", "› hi", "status"], (4, 1));
        terminal.process(painter.frame(Vec::new(), &before).as_bytes());
        assert_eq!(painter.frame(Vec::new(), &before), "");
        let after = picture(&["answer: 漢 two", "› hi!", "status"], (5, 1));
        let bytes = painter.frame(Vec::new(), &after);
        assert!(!bytes.contains("answer"), "{bytes:?}");
        assert!(bytes.len() < 70, "{bytes:?}");
        terminal.process(bytes.as_bytes());
        assert_eq!(
            screen(&terminal)[..3],
            ["answer: 漢 two", "› hi!", "status"]
        );
        assert_eq!(terminal.screen().cursor_position(), (1, 5));
    }

    #[test]
    fn every_size_shows_the_end_of_the_conversation_and_the_picture() {
        let mut terminal = terminal(20, 6);
        let mut painter = Painter::new((20, 6), Theme::default(), Room::Inline);
        let shown = picture(&["› hi", "status"], (4, 0));
        let done = lines(&["one", "two words and more", "three"]);
        terminal.process(painter.frame(done, &shown).as_bytes());
        for (columns, rows) in [(10, 6), (30, 3), (4, 2), (1, 1), (20, 10), (20, 6)] {
            let size = |number| std::num::NonZeroU16::new(number).unwrap();
            terminal.screen_mut().set_size(size(rows), size(columns));
            terminal.process(painter.resize((columns, rows), &shown).as_bytes());
        }
        assert_eq!(
            screen(&terminal),
            ["one", "two words and more", "three", "› hi", "status", ""]
        );
    }

    #[test]
    fn a_terminal_is_never_cleared_from_its_corner() {
        let mut painter = Painter::new((20, 6), Theme::default(), Room::Inline);
        let first = painter.frame(vec![Line::from("done")], &picture(&["x", "y"], (0, 1)));
        let again = painter.resize((10, 6), &picture(&["x", "y"], (0, 1)));
        let end = painter.leave();
        for bytes in [first, again, end] {
            assert!(bytes.contains(CLEAR), "{bytes:?}");
            assert!(!bytes.replace(CLEAR, "").contains('J'), "{bytes:?}");
        }
    }

    #[test]
    fn no_control_character_reaches_the_terminal() {
        let mut painter = Painter::new((20, 6), Theme::default(), Room::Inline);
        let done = vec![Line::from("a\x1b[2Jb\rc")];
        let bytes = painter.frame(done, &picture(&["x\x1b]0;t\x07y"], (0, 0)));
        let rest = bytes
            .replace(BEGIN, "")
            .replace(END, "")
            .replace(CLEAR, "")
            .replace("\r\n", "")
            .replace("\x1b[1G", "");
        assert!(!rest.chars().any(char::is_control), "{rest:?}");
    }
}
