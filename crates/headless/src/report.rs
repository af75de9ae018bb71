//! What a report can be asked for, whatever it is about.

use crate::Style;

/// Something that was found out about sessions.
pub trait Report {
    /// For a person.
    fn text(&self, style: Style) -> String;

    /// As one JSON object on a line.
    fn json(&self) -> String;

    /// What to tell a person about journals that could not be read to their end.
    fn damage(&self) -> &[String];
}
