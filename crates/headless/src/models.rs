//! Lists of models and what is known of each, for a person. What is known comes from the caller.

use crate::Style;
use crate::table::Side::{Left, Right};
use crate::table::table;
use crate::text::{clean, thousands};

/// Models on a line each: name, window, largest answer, prices of input and output, efforts.
#[must_use]
pub fn model_list(models: Vec<[String; 6]>, style: Style) -> String {
    let names = [
        ("MODEL", Left),
        ("WINDOW", Right),
        ("ANSWER", Right),
        ("$/M IN", Right),
        ("$/M OUT", Right),
        ("EFFORTS", Left),
    ];
    let shown = |cell: String| match cell.parse() {
        Ok(number) => thousands(number),
        Err(_) => clean(&cell),
    };
    let rows = models.into_iter().map(|row| row.map(shown));
    table(names, rows, style)
}

/// What is known of a model: what a line is about, where it comes from, and what is known.
#[must_use]
pub fn model_card(model: &str, lines: Vec<[String; 3]>, style: Style) -> String {
    let model = clean(model);
    let rows = lines.into_iter().map(|row| row.map(|cell| clean(&cell)));
    let names = [(model.as_str(), Left), ("FROM", Left), ("", Left)];
    table(names, rows, Style { width: 0, ..style })
}
