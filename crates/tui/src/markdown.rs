//! Markdown, a line at a time: what is streamed can be shown as soon as a line is whole, and never
//! has to be taken back; only the rows of a table wait for its end. What is not known stays as it was
//! written.

mod table;

use ratatui_core::style::{Modifier, Style};
use ratatui_core::text::{Line, Span};

use crate::code::Code;
use crate::look;
use crate::rows::safe;
use crate::setup::Form;

use table::Table;

/// Longer lines are shown as they are.
const LONGEST: usize = 8_000;

/// What has to be remembered from line to line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Markdown {
    /// The block of code that is open.
    block: Option<Block>,
    /// The rows of the table that is open.
    table: Table,
    form: Form,
    /// Columns of the screen; none where that is not known, and tables stay as they were written.
    columns: u16,
}

/// A block of code.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// The fence that would close it: its character and how many of it.
    fence: (char, usize),
    written: Written,
}

/// What a block of code is written in.
#[derive(Clone, Copy, Debug)]
enum Written {
    Known(Code),
    Diff,
    Unknown,
}

impl Block {
    fn opened(fence: (char, usize), name: &str) -> Self {
        let written = match name.trim() {
            "diff" | "patch" => Written::Diff,
            name => Code::named(name).map_or(Written::Unknown, Written::Known),
        };
        Self { fence, written }
    }

    fn line(&mut self, text: &str) -> Line<'static> {
        match &mut self.written {
            Written::Known(code) => Line::from(code.line(text, look::PLAIN)),
            Written::Unknown => look::line(text, look::CODE),
            Written::Diff => {
                let style = match text.as_bytes().first() {
                    Some(b'+') => look::GOOD,
                    Some(b'-') => look::BAD,
                    Some(b'@') => look::MARK,
                    _ => look::PLAIN,
                };
                look::line(text, style)
            }
        }
    }
}

impl Markdown {
    /// Shown so, on a screen of so many columns.
    pub(crate) fn new(form: Form, columns: u16) -> Self {
        Self {
            form,
            columns,
            ..Self::default()
        }
    }

    /// Takes the next line, which need not be clean; gives those that can be shown now.
    pub(crate) fn lines(&mut self, text: &str) -> Vec<Line<'static>> {
        let clean = safe(text);
        let row = clean.trim();
        if self.columns > 0 && self.block.is_none() && row.starts_with('|') && row.len() <= LONGEST
        {
            return self.table.take(row);
        }
        let mut lines = self.end();
        lines.push(self.line(text));
        lines
    }

    /// Nothing follows: what was held back.
    pub(crate) fn end(&mut self) -> Vec<Line<'static>> {
        std::mem::take(&mut self.table).end(usize::from(self.columns))
    }

    /// What is held back, and the line that is not whole, as far as there is one.
    pub(crate) fn unfinished(&self, text: &str) -> Vec<Line<'static>> {
        let mut lines = self.table.raw();
        if !text.trim().is_empty() {
            lines.push(self.clone().line(text));
        }
        lines
    }

    fn line(&mut self, text: &str) -> Line<'static> {
        let text = safe(text);
        let text = text.trim_end();
        if let Some(fence) = fence(text) {
            return self.fenced(text, fence);
        }
        if let Some(block) = &mut self.block {
            return block.line(text);
        }
        if text.len() > LONGEST {
            return look::line(text, look::PLAIN);
        }
        let words = text.trim_start();
        let indent = &text[..text.len() - words.len()];
        if let Some(title) = heading(words) {
            return Line::from(inline(title, look::BOLD));
        }
        if matches!(words, "---" | "***" | "___") {
            return look::line("────────", look::DIM);
        }
        if words.starts_with('|') {
            return look::line(text, look::PLAIN);
        }
        if let Some(quoted) = words.strip_prefix('>') {
            let mut spans = vec![Span::styled(format!("{indent}│ "), look::DIM)];
            spans.extend(inline(quoted.trim_start(), look::DIM));
            return Line::from(spans);
        }
        let entry = ["- ", "* ", "+ "]
            .iter()
            .find_map(|mark| words.strip_prefix(mark));
        if let Some(entry) = entry {
            let (mark, entry) = self.mark(entry);
            let mut spans = vec![Span::styled(format!("{indent}{mark} "), look::PLAIN)];
            spans.extend(inline(entry, look::PLAIN));
            return Line::from(spans);
        }
        Line::from(inline(text, look::PLAIN))
    }

    /// The mark of a list's entry, and the words behind it: whether it is done, where it says so.
    fn mark<'a>(&self, entry: &'a str) -> (&'static str, &'a str) {
        let open = entry.strip_prefix("[ ] ");
        let done = entry
            .strip_prefix("[x] ")
            .or_else(|| entry.strip_prefix("[X] "));
        match (open, done, self.form) {
            (Some(words), _, Form::Screen) => ("☐", words),
            (Some(words), _, Form::Plain) => ("[ ]", words),
            (None, Some(words), Form::Screen) => ("☑", words),
            (None, Some(words), Form::Plain) => ("[x]", words),
            (None, None, Form::Screen | Form::Plain) => ("•", entry),
        }
    }

    fn fenced(&mut self, text: &str, (mark, count, opens): (char, usize, bool)) -> Line<'static> {
        match &mut self.block {
            None => {
                let name = text.trim_start().trim_start_matches(mark);
                self.block = Some(Block::opened((mark, count), name));
            }
            Some(block) if block.fence.0 == mark && count >= block.fence.1 && !opens => {
                self.block = None;
            }
            Some(block) => return block.line(text),
        }
        look::line(text, look::DIM)
    }
}

/// A line that can open or close a block of code: the character, how many of it, and whether more
/// follows, with which it can only open.
fn fence(text: &str) -> Option<(char, usize, bool)> {
    let words = text.trim_start();
    let mark = words.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = words.trim_start_matches(mark);
    let count = words.len() - rest.len();
    (count >= 3 && !rest.contains('`')).then(|| (mark, count, !rest.trim().is_empty()))
}

fn heading(words: &str) -> Option<&str> {
    let rest = words.trim_start_matches('#');
    let level = words.len() - rest.len();
    (1..=6)
        .contains(&level)
        .then(|| rest.strip_prefix(' '))
        .flatten()
        .map(|title| title.trim().trim_end_matches('#').trim_end())
}

/// Code, bold, italic and struck words, and links.
fn inline(text: &str, base: Style) -> Vec<Span<'static>> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(char) = rest.chars().next() {
        let found = match char {
            '`' => code(rest),
            '*' | '_' | '~' => stressed(rest, before),
            '[' => link(rest),
            '!' => image(rest),
            '\\' => escaped(rest),
            _ => None,
        };
        let Some((shown, style, length)) = found else {
            plain.push(char);
            before = char;
            rest = &rest[char.len_utf8()..];
            continue;
        };
        if !plain.is_empty() {
            spans.push(Span::styled(std::mem::take(&mut plain), base));
        }
        spans.push(Span::styled(shown, base.patch(style)));
        before = 'x';
        rest = &rest[length..];
    }
    if !plain.is_empty() {
        spans.push(Span::styled(plain, base));
    }
    spans
}

fn code(text: &str) -> Option<(String, Style, usize)> {
    let ticks = text.len() - text.trim_start_matches('`').len();
    let fence = &text[..ticks];
    let end = text[ticks..].find(fence)? + ticks;
    let inner = text[ticks..end].trim();
    (!inner.is_empty()).then(|| (inner.to_owned(), look::CODE, end + ticks))
}

fn stressed(text: &str, before: char) -> Option<(String, Style, usize)> {
    let (mark, style) = match text {
        _ if text.starts_with("**") => ("**", look::BOLD),
        _ if text.starts_with("__") => ("__", look::BOLD),
        _ if text.starts_with("~~") => ("~~", look::STRUCK),
        _ if text.starts_with('*') => ("*", look::ITALIC),
        _ if text.starts_with('_') => ("_", look::ITALIC),
        _ => return None,
    };
    // In names like snake_case the line below is a letter.
    if mark.starts_with('_') && before.is_alphanumeric() {
        return None;
    }
    let inner = &text[mark.len()..];
    let end = inner.find(mark)?;
    let after = inner[end + mark.len()..].chars().next();
    let words = &inner[..end];
    let in_a_name = mark.starts_with('_') && after.is_some_and(char::is_alphanumeric);
    let flanked = !words.is_empty() && words.trim() == words && !in_a_name;
    let words = words.replace('`', "");
    flanked.then(|| (words, style, end + 2 * mark.len()))
}

fn link(text: &str) -> Option<(String, Style, usize)> {
    let middle = text.find("](")?;
    let end = text[middle..].find(')')? + middle;
    let (words, target) = (&text[1..middle], &text[middle + 2..end]);
    if words.contains(['[', ']']) || target.is_empty() {
        return None;
    }
    let shown = if words == target {
        target.to_owned()
    } else {
        format!("{words} ({target})")
    };
    let underlined = Style::new().add_modifier(Modifier::UNDERLINED);
    Some((shown, underlined, end + 1))
}

/// An image is shown as a link to it.
fn image(text: &str) -> Option<(String, Style, usize)> {
    let (shown, style, length) = link(
        text.strip_prefix('!')
            .filter(|rest| rest.starts_with('['))?,
    )?;
    Some((shown, style, length + 1))
}

fn escaped(text: &str) -> Option<(String, Style, usize)> {
    let char = text.chars().nth(1).filter(char::is_ascii_punctuation)?;
    Some((char.to_string(), look::PLAIN, 1 + char.len_utf8()))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Each span as `text{what it looks like}`.
    fn check(text: &str, expected: &Expect) {
        let mut markdown = Markdown::default();
        let mut shown = String::new();
        for line in text.split('\n') {
            for span in markdown.line(line).spans {
                let modifiers = span.style.add_modifier;
                let mut marks = String::new();
                for (modifier, mark) in [
                    (Modifier::BOLD, 'b'),
                    (Modifier::ITALIC, 'i'),
                    (Modifier::UNDERLINED, 'u'),
                    (Modifier::CROSSED_OUT, 's'),
                ] {
                    if modifiers.contains(modifier) {
                        marks.push(mark);
                    }
                }
                match span.style.fg {
                    None => {}
                    dim if dim == look::DIM.fg => marks.push('d'),
                    Some(_) => marks.push('c'),
                }
                shown.push_str(&span.content);
                if !marks.is_empty() {
                    shown.extend(["{", &marks, "}"]);
                }
            }
            shown.push('\n');
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn blocks() {
        check(
            "# Title #\n## `code` in it\n#tag\n- one\n  * two\n3. three\n> said\n---\n| a | b |",
            &expect![[r#"
                Title{b}
                code{bc} in it{b}
                #tag
                • one
                  • two
                3. three
                │ {d}said{d}
                ────────{d}
                | a | b |
            "#]],
        );
        check(
            "```rust\nlet a = *b;\n~~~\n```x\n```\nafter *it*",
            &expect![[r#"
                ```rust{d}
                let{c} a = *b;
                ~~~
                ```x
                ```{d}
                after it{i}
            "#]],
        );
    }

    #[test]
    fn words() {
        check(
            "a `b*c*` **bold** and *it* or _it_ __b__ ~~gone~~ ``a`b``",
            &expect![[r#"
                a b*c*{c} bold{b} and it{i} or it{i} b{b} gone{s} a`b{c}
            "#]],
        );
        check(
            "snake_case_name 2 * 3 * 4 **open *open `open [x] \\*no\\* [a](b) [u](u)",
            &expect![[r#"
                snake_case_name 2 * 3 * 4 **open open open [x] \{i}no* a (b){u} u{u}
            "#]],
        );
    }

    #[test]
    fn entries_that_are_done_and_images() {
        check(
            "- [ ] open\n* [x] *done*\n- [y] no\n![a shot](a.png) and wow![x](y) wow! [z](t)",
            &expect![[r#"
                ☐ open
                ☑ done{i}
                • [y] no
                a shot (a.png){u} and wowx (y){u} wow! z (t){u}
            "#]],
        );
        let mut plain = Markdown::new(Form::Plain, 0);
        assert_eq!(plain.line("- [x] done").to_string(), "[x] done");
        assert_eq!(plain.line("- [ ] open").to_string(), "[ ] open");
    }

    fn drawn(text: &str, columns: u16) -> String {
        let mut markdown = Markdown::new(Form::Screen, columns);
        let mut lines: Vec<Line> = Vec::new();
        for line in text.split('\n') {
            lines.extend(markdown.lines(line));
        }
        lines.extend(markdown.end());
        lines.iter().map(|line| line.to_string() + "\n").collect()
    }

    #[test]
    fn tables_are_drawn_where_they_fit_and_stay_as_they_are_where_not() {
        let table = "so:\n| name | **what** | n |\n|:--|:-:|--:|\n| 漢字 | `a|b` | 1 |\n| x | y \\| z | 200 |\n| short |\n\nafter";
        expect![[r#"
            so:
            name  │ what  │   n
            ──────┼───────┼────
            漢字  │  a|b  │   1
            x     │ y | z │ 200
            short │       │    

            after
        "#]]
        .assert_eq(&drawn(table, 40));
        let raw = drawn(table, 18);
        assert!(raw.contains("| 漢字 | `a|b` | 1 |\n"), "{raw}");
        for text in [
            "| a | b\n| c",
            "| alone |",
            "| a | b |\n|---|\n| c | d |",
            "| a |\n|--|\n| c | d |",
        ] {
            assert_eq!(drawn(text, 40), format!("{text}\n"), "no table");
        }
        assert_eq!(
            drawn("```\n| a |\n|---|\n```", 40),
            "```\n| a |\n|---|\n```\n"
        );
    }

    #[test]
    fn hostile_text_is_harmless_and_costs_little() {
        check(
            "\x1b[2J# a\x07\tb \x1b]0;t\x07",
            &expect![[r#"
            a    b{b}
        "#]],
        );
        let long = "*".repeat(100_000);
        assert_eq!(Markdown::default().line(&long).width(), 100_000);
        let unclosed = "**a ".repeat(1_900);
        assert!(Markdown::default().line(&unclosed).width() > 1_900);
    }
}
