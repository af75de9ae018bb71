//! How pieces of text look. A style names a role; only the painter says, by the theme, what a role is
//! on this terminal. So another theme is one drawing anew, and nothing else knows of colours.

use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::text::{Line, Span};

use crate::theme::{Role, Theme};

/// Nothing special.
pub(crate) const PLAIN: Style = Style::new();
/// A name or a title.
pub(crate) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
/// Stressed words.
pub(crate) const ITALIC: Style = Style::new().add_modifier(Modifier::ITALIC);
/// Words that were taken back.
pub(crate) const STRUCK: Style = Style::new().add_modifier(Modifier::CROSSED_OUT);
/// Beside the point.
pub(crate) const DIM: Style = of(Role::Dim);
/// Good, or added.
pub(crate) const GOOD: Style = of(Role::Good);
/// Bad, or removed.
pub(crate) const BAD: Style = of(Role::Bad);
/// To be noticed.
pub(crate) const NOTICE: Style = of(Role::Notice);
/// A mark that starts an entry.
pub(crate) const MARK: Style = of(Role::Mark);
/// Code within words, and blocks of it.
pub(crate) const CODE: Style = of(Role::Code);
/// A keyword of code.
pub(crate) const KEYWORD: Style = of(Role::Keyword);
/// A text in code.
pub(crate) const TEXT: Style = of(Role::Text);
/// A number in code.
pub(crate) const NUMBER: Style = of(Role::Number);
/// A comment in code.
pub(crate) const COMMENT: Style = of(Role::Comment);
/// The ground of an added line, and of what is new in it.
pub(crate) const ADDED: Style = on(Role::Added);
pub(crate) const ADDED_WORD: Style = on(Role::AddedWord);
/// The ground of a removed line, and of what is gone in it.
pub(crate) const REMOVED: Style = on(Role::Removed);
pub(crate) const REMOVED_WORD: Style = on(Role::RemovedWord);

const fn on(role: Role) -> Style {
    Style::new().bg(Color::Indexed(role as u8))
}

const fn of(role: Role) -> Style {
    Style::new().fg(Color::Indexed(role as u8))
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
pub(crate) fn sgr(style: Style, theme: Theme) -> String {
    let mut codes = String::new();
    let mut add = |code: &str| {
        if !codes.is_empty() && !code.is_empty() {
            codes.push(';');
        }
        codes.push_str(code);
    };
    for (modifier, code) in [
        (Modifier::BOLD, "1"),
        (Modifier::DIM, "2"),
        (Modifier::ITALIC, "3"),
        (Modifier::UNDERLINED, "4"),
        (Modifier::REVERSED, "7"),
        (Modifier::CROSSED_OUT, "9"),
    ] {
        if style.add_modifier.contains(modifier) {
            add(code);
        }
    }
    let role = |color: Option<Color>| match color {
        Some(Color::Indexed(number)) => Role::numbered(number),
        _ => None,
    };
    let ground = role(style.bg);
    if let Some(role) = ground {
        add(&theme.code(role));
    }
    // Without tints, what stands on a ground has the colour of the ground.
    if let Some(role) = role(style.fg)
        && (ground.is_none() || theme.tints())
    {
        add(&theme.code(role));
    }
    if codes.is_empty() {
        return codes;
    }
    format!("\x1b[{codes}m")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::Colours;

    #[test]
    fn a_style_is_what_the_theme_says_and_no_colour_without_colours() {
        let theme = |name| Colours::default().theme(name).unwrap();
        for (style, name, expected) in [
            (PLAIN, "dark", ""),
            (GOOD, "ansi16", "\x1b[32m"),
            (GOOD, "dark", "\x1b[38;5;114m"),
            (GOOD, "light", "\x1b[38;5;22m"),
            (BAD.patch(BOLD), "ansi16", "\x1b[1;31m"),
            (BAD.patch(BOLD), "none", "\x1b[1m"),
            (CODE, "none", ""),
            (DIM, "none", "\x1b[2m"),
        ] {
            assert_eq!(sgr(style, theme(name)), expected, "{style:?} {name}");
        }
    }
}
