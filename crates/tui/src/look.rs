//! How pieces of text look: the terminal's own palette and nothing else, so that light and dark
//! terminals both stay readable.

use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::text::{Line, Span};

/// Nothing special.
pub(crate) const PLAIN: Style = Style::new();
/// Beside the point.
pub(crate) const DIM: Style = Style::new().add_modifier(Modifier::DIM);
/// A name or a title.
pub(crate) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
/// Stressed words.
pub(crate) const ITALIC: Style = Style::new().add_modifier(Modifier::ITALIC);
/// Words that were taken back.
pub(crate) const STRUCK: Style = Style::new().add_modifier(Modifier::CROSSED_OUT);
/// Good, or added.
pub(crate) const GOOD: Style = Style::new().fg(Color::Green);
/// Bad, or removed.
pub(crate) const BAD: Style = Style::new().fg(Color::Red);
/// To be noticed.
pub(crate) const NOTICE: Style = Style::new().fg(Color::Yellow);
/// A mark that starts an entry.
pub(crate) const MARK: Style = Style::new().fg(Color::Cyan);
/// Code within words, and blocks of it.
pub(crate) const CODE: Style = Style::new().fg(Color::Cyan);

/// Whether colours may be used. Bold and dim are no colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// The terminal's own sixteen.
    #[default]
    Sixteen,
    /// None: `NO_COLOR` is set.
    None,
}

/// A line of one style.
pub(crate) fn line(text: impl Into<String>, style: Style) -> Line<'static> {
    Line::from(Span::styled(text.into(), style))
}

/// A line of several styles.
pub(crate) fn mixed<const N: usize>(spans: [(String, Style); N]) -> Line<'static> {
    Line::from_iter(spans.map(|(text, style)| Span::styled(text, style)))
}

/// The escape sequence that switches to a style from no style.
pub(crate) fn sgr(style: Style, palette: Palette) -> String {
    let mut codes: Vec<&str> = Vec::new();
    for (modifier, code) in [
        (Modifier::BOLD, "1"),
        (Modifier::DIM, "2"),
        (Modifier::ITALIC, "3"),
        (Modifier::UNDERLINED, "4"),
        (Modifier::REVERSED, "7"),
        (Modifier::CROSSED_OUT, "9"),
    ] {
        if style.add_modifier.contains(modifier) {
            codes.push(code);
        }
    }
    let color = match style.fg {
        Some(Color::Red) => "31",
        Some(Color::Green) => "32",
        Some(Color::Yellow) => "33",
        Some(Color::Cyan) => "36",
        _ => "",
    };
    if palette == Palette::Sixteen && !color.is_empty() {
        codes.push(color);
    }
    if codes.is_empty() {
        return String::new();
    }
    format!("\x1b[{}m", codes.join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_palette_of_the_terminal_is_used_and_none_without_colours() {
        assert_eq!(sgr(PLAIN, Palette::Sixteen), "");
        assert_eq!(sgr(GOOD, Palette::Sixteen), "\x1b[32m");
        assert_eq!(sgr(BAD.patch(BOLD), Palette::Sixteen), "\x1b[1;31m");
        assert_eq!(sgr(BAD.patch(BOLD), Palette::None), "\x1b[1m");
        assert_eq!(sgr(CODE, Palette::None), "");
    }
}
