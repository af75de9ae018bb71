//! Rows as aligned columns, for a person.

use std::fmt::Write as _;

use crate::Style;
use crate::style::Paint;
use crate::text::{columns, cut};

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Rows under the names of their columns. A last column on the left is cut to the width.
pub(crate) fn table<const N: usize>(
    names: [(&str, Side); N],
    rows: impl IntoIterator<Item = [String; N]>,
    style: Style,
) -> String {
    let mut all = vec![names.map(|(name, _)| name.to_owned())];
    all.extend(rows);
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = all.iter().map(|row| columns(&row[column]));
        cells.max().unwrap_or(0)
    });
    let mut text = String::new();
    for (index, row) in all.iter().enumerate() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let space = " ".repeat(width.saturating_sub(columns(cell)));
            let _ = match names[column].1 {
                Side::Left if column + 1 == N => {
                    write!(line, "{}", last(cell, columns(&line), style.width))
                }
                Side::Left => write!(line, "{cell}{space}  "),
                Side::Right => write!(line, "{space}{cell}  "),
            };
        }
        let line = line.trim_end();
        let line = match index {
            0 => style.paint(Paint::Dim, line),
            _ => line.to_owned(),
        };
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The last cell of a row, cut so that it fits beside so many columns. Where nothing is left, it is
/// readable all the same.
fn last(cell: &str, taken: usize, width: usize) -> String {
    const LEAST: usize = 20;
    match width.saturating_sub(taken) {
        _ if width == 0 => cell.to_owned(),
        0 => cut(cell, LEAST),
        room => cut(cell, room),
    }
}
