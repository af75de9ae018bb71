//! Colours and width, as the caller decided them. Looks at no terminal itself.

/// How text for a person looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether to use colours.
    pub color: Color,
    /// Columns that a one-line entry may fill; longer ones are cut. 0 cuts nothing.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            color: Color::Never,
            width: 100,
        }
    }
}

/// Whether to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Plain text.
    Never,
    /// ANSI colours.
    Always,
}

/// What a piece of text is, by which it is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Beside the point.
    Dim,
    /// A name or a title.
    Bold,
    /// Good, or added.
    Green,
    /// Bad, or removed.
    Red,
    /// To be noticed.
    Yellow,
    /// A mark that starts an entry.
    Cyan,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Green => "32",
            Self::Red => "31",
            Self::Yellow => "33",
            Self::Cyan => "36",
        }
    }
}

impl Style {
    /// Colours a text that is already clean. Each line is coloured by itself.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        if self.color == Color::Never || text.is_empty() {
            return text.to_owned();
        }
        let code = paint.code();
        let lines: Vec<String> = text
            .split('\n')
            .map(|line| match line {
                "" => String::new(),
                line => format!("\x1b[{code}m{line}\x1b[0m"),
            })
            .collect();
        lines.join("\n")
    }

    /// Cuts a line so that it fits beside `taken` columns.
    pub(crate) fn fit(self, line: &str, taken: usize) -> String {
        if self.width == 0 {
            return line.to_owned();
        }
        crate::text::cut(line, self.width.saturating_sub(taken).max(20))
    }
}
