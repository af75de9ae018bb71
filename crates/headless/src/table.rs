//! Rows as aligned columns, for a person.

use std::fmt::Write as _;

use crate::Style;
use crate::style::Paint;

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
        let cells = all.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    });
    let mut text = String::new();
    for (index, row) in all.iter().enumerate() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ = match names[column].1 {
                Side::Left if column + 1 == N => {
                    let taken = line.chars().count();
                    write!(line, "{}", style.fit(cell, taken))
                }
                Side::Left => write!(line, "{cell:width$}  "),
                Side::Right => write!(line, "{cell:>width$}  "),
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
