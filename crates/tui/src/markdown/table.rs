//! Tables of Markdown: rows are held until it is known how wide the columns are, then drawn below each
//! other where they fit, and as they were written where they do not.

use ratatui_core::style::Style;
use ratatui_core::text::{Line, Span};

use super::inline;
use crate::look;

/// Rows that are held; what comes behind them stands as it was written.
const MOST: usize = 200;
/// What stands between columns.
const BETWEEN: &str = " │ ";

/// The rows of a table that may not be whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    rows: Vec<String>,
}

/// On which side a column's words stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Middle,
    Right,
}

impl Table {
    /// Takes a row; gives what is held back no longer because it is no table.
    pub(super) fn take(&mut self, row: &str) -> Vec<Line<'static>> {
        self.rows.push(row.to_owned());
        let is_none = self.rows.len() == 2 && sides(row).is_none();
        if is_none || self.rows.len() > MOST {
            return std::mem::take(self).raw();
        }
        Vec::new()
    }

    /// The rows as they were written.
    pub(super) fn raw(&self) -> Vec<Line<'static>> {
        let rows = self.rows.iter();
        rows.map(|row| look::line(row.as_str(), look::PLAIN))
            .collect()
    }

    /// The table is over: its lines, on a screen of so many columns.
    pub(super) fn end(self, columns: usize) -> Vec<Line<'static>> {
        self.drawn(columns).unwrap_or_else(|| self.raw())
    }

    fn drawn(&self, columns: usize) -> Option<Vec<Line<'static>>> {
        let (head, rest) = self.rows.split_first()?;
        let (ruler, rest) = rest.split_first()?;
        let sides = sides(ruler)?;
        let mut rows = vec![cells(head, look::BOLD)];
        rows.extend(rest.iter().map(|row| cells(row, look::PLAIN)));
        if rows[0].len() != sides.len() || rows.iter().any(|row| row.len() > sides.len()) {
            return None;
        }
        let wide = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(Line::width).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..sides.len()).map(wide).collect();
        let between = Line::raw(BETWEEN).width() * (widths.len() - 1);
        if widths.iter().sum::<usize>() + between > columns {
            return None;
        }
        let mut lines: Vec<_> = rows
            .iter()
            .map(|row| aligned(row, &widths, &sides))
            .collect();
        let ruler: Vec<String> = widths.iter().map(|wide| "─".repeat(*wide)).collect();
        lines.insert(1, look::line(ruler.join("─┼─"), look::DIM));
        Some(lines)
    }
}

/// A row of the table in its columns.
fn aligned(row: &[Line<'static>], widths: &[usize], sides: &[Side]) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let nothing = Line::default();
    for (column, (wide, side)) in widths.iter().zip(sides).enumerate() {
        let cell = row.get(column).unwrap_or(&nothing);
        let free = wide.saturating_sub(cell.width());
        let before = match side {
            Side::Left => 0,
            Side::Middle => free / 2,
            Side::Right => free,
        };
        if column > 0 {
            spans.push(Span::styled(BETWEEN, look::DIM));
        }
        spans.push(Span::raw(" ".repeat(before)));
        spans.extend(cell.spans.iter().cloned());
        if column + 1 < widths.len() {
            spans.push(Span::raw(" ".repeat(free - before)));
        }
    }
    spans.retain(|span| !span.content.is_empty());
    Line::from(spans)
}

/// What stands in the cells of a row. A `|` behind a backslash or in code divides nothing.
fn split(row: &str) -> Vec<String> {
    let row = row.trim();
    let row = row.strip_prefix('|').unwrap_or(row);
    let mut cells = vec![String::new()];
    let mut in_code = false;
    let mut chars = row.chars().peekable();
    while let Some(char) = chars.next() {
        let cell = cells.last_mut().expect("there is one");
        match char {
            '\\' if chars.peek() == Some(&'|') => cell.extend(chars.next()),
            '|' if !in_code => cells.push(String::new()),
            char => {
                in_code ^= char == '`';
                cell.push(char);
            }
        }
    }
    if cells.last().is_some_and(|cell| cell.trim().is_empty()) {
        cells.pop();
    }
    cells
}

fn cells(row: &str, base: Style) -> Vec<Line<'static>> {
    let cells = split(row);
    cells
        .iter()
        .map(|cell| Line::from(inline(cell.trim(), base)))
        .collect()
}

/// The sides that the second row of a table names; nothing where it is no such row.
fn sides(row: &str) -> Option<Vec<Side>> {
    let sides: Option<Vec<Side>> = split(row).iter().map(|cell| side(cell.trim())).collect();
    sides.filter(|sides| !sides.is_empty())
}

fn side(cell: &str) -> Option<Side> {
    let dashes = cell.trim_start_matches(':').trim_end_matches(':');
    if dashes.is_empty() || !dashes.bytes().all(|byte| byte == b'-') {
        return None;
    }
    Some(match (cell.starts_with(':'), cell.ends_with(':')) {
        (true, true) => Side::Middle,
        (false, true) => Side::Right,
        (true | false, false) => Side::Left,
    })
}
