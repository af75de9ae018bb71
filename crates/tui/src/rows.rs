//! Text in columns: how wide it is, cutting it, and breaking lines into rows of the screen.

use quire_protocol::clean;
use ratatui_core::style::Style;
use ratatui_core::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// Columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Foreign text made harmless for one row: no control characters, tabs as spaces.
pub(crate) fn safe(text: &str) -> String {
    let text = clean(text);
    if text.contains(['\t', '\n']) {
        return text.replace('\t', "    ").replace('\n', " ");
    }
    text
}

/// Cuts to at most so many columns, the last of which is then `…`.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut taken = 0;
    for grapheme in text.graphemes(true) {
        taken += width(grapheme);
        if taken > columns.saturating_sub(1) {
            break;
        }
        kept.push_str(grapheme);
    }
    let mut kept = kept.trim_end().to_owned();
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// The last so many bytes of a text, from a whole character on.
pub(crate) fn end_of(text: &str, bytes: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

/// Breaks a line into rows at spaces; later rows are indented as its beginning asks.
pub(crate) fn wrap(line: &Line<'static>, columns: u16) -> Vec<Line<'static>> {
    let columns = usize::from(columns).max(2);
    if line.width() <= columns {
        return vec![line.clone()];
    }
    let text: String = line.spans.iter().map(|span| &*span.content).collect();
    let indent = hang(&text).min(columns / 2);
    let mut rows = Rows::new(columns, indent);
    for span in &line.spans {
        for grapheme in span.content.graphemes(true) {
            rows.push(grapheme, span.style);
        }
    }
    rows.finish()
}

/// Columns by which the rows after the first are indented: to below the words of a list's entry.
fn hang(text: &str) -> usize {
    let words = text.trim_start_matches(' ');
    let spaces = text.len() - words.len();
    for mark in [
        "• ", "☐ ", "☑ ", "> ", "› ", "✓ ", "✗ ", "│ ", "· ", "! ", "~ ", "✎ ",
    ] {
        if words.starts_with(mark) {
            return spaces + 2;
        }
    }
    let digits = words.bytes().take_while(u8::is_ascii_digit).count();
    match words.get(digits..digits + 2) {
        Some(". " | ") " | " +" | " -" | "  ") if digits > 0 => spaces + digits + 2,
        _ => spaces,
    }
}

/// Rows being filled.
struct Rows {
    columns: usize,
    indent: usize,
    done: Vec<Line<'static>>,
    /// Graphemes of the row that is being filled.
    row: Vec<(String, Style)>,
    taken: usize,
    /// The place in `row` after its last space.
    rest: Option<usize>,
}

impl Rows {
    fn new(columns: usize, indent: usize) -> Self {
        Self {
            columns,
            indent,
            done: Vec::new(),
            row: Vec::new(),
            taken: 0,
            rest: None,
        }
    }

    fn push(&mut self, grapheme: &str, style: Style) {
        let wide = width(grapheme);
        if self.taken + wide > self.columns {
            if grapheme == " " {
                self.break_at(self.row.len());
                return;
            }
            self.break_at(self.rest.unwrap_or(self.row.len()));
        }
        self.row.push((grapheme.to_owned(), style));
        self.taken += wide;
        if grapheme == " " && self.taken > self.indent {
            self.rest = Some(self.row.len());
        }
    }

    fn break_at(&mut self, place: usize) {
        let rest = self.row.split_off(place);
        while self.row.last().is_some_and(|(text, _)| text == " ") {
            self.row.pop();
        }
        self.done.push(joined(std::mem::take(&mut self.row)));
        self.row = vec![(" ".to_owned(), Style::new()); self.indent];
        self.row.extend(rest);
        self.taken = self.row.iter().map(|(text, _)| width(text)).sum();
        self.rest = None;
    }

    fn finish(mut self) -> Vec<Line<'static>> {
        self.done.push(joined(self.row));
        self.done
    }
}

fn joined(graphemes: Vec<(String, Style)>) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for (text, style) in graphemes {
        match spans.last_mut() {
            Some(last) if last.style == style => last.content.to_mut().push_str(&text),
            _ => spans.push(Span::styled(text, style)),
        }
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_break_at_spaces_and_hang_below_their_marks() {
        for (text, columns, rows) in [
            ("short", 10, vec!["short"]),
            ("two words here", 9, vec!["two words", "here"]),
            ("two words", 8, vec!["two", "words"]),
            ("abcdefghij", 4, vec!["abcd", "efgh", "ij"]),
            ("• one two three", 9, vec!["• one two", "  three"]),
            ("12. one two", 8, vec!["12. one", "    two"]),
            ("  12 -one two", 12, vec!["  12 -one", "      two"]),
            ("  deep indent", 8, vec!["  deep", "  indent"]),
            ("漢字漢字漢字", 5, vec!["漢字", "漢字", "漢字"]),
            ("ab 👩‍👩‍👧 cd", 5, vec!["ab 👩‍👩‍👧", "cd"]),
            ("", 5, vec![""]),
        ] {
            let wrapped = wrap(&Line::from(text), columns);
            let wrapped: Vec<String> = wrapped.iter().map(ToString::to_string).collect();
            assert_eq!(wrapped, rows, "{text:?} in {columns}");
        }
    }

    #[test]
    fn text_is_cut_by_columns_not_by_characters() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("漢字漢字", 5), "漢字…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(end_of("aé", 1), "");
        assert_eq!(end_of("aé", 2), "é");
        assert_eq!(safe("\x1b[31ma\tb\nc"), "a    b c");
    }
}
