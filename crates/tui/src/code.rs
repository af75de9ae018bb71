//! Code with its words in colours: comments, texts, numbers and keywords, a line at a time, for the
//! languages of a table. It does not parse: what is not known stays plain, and no line is shown twice.

mod languages;

use ratatui_core::style::Style;
use ratatui_core::text::Span;

use crate::look;
use languages::{LANGUAGES, Language, Over, Quote};

/// Longer lines are shown as they are.
const LONGEST: usize = 8_000;

/// A place in code: its language, and what is open at the end of the last line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Code {
    language: &'static Language,
    open: Option<Open>,
}

/// Something that began on an earlier line.
#[derive(Clone, Copy, Debug)]
struct Open {
    style: Style,
    close: &'static str,
    escapes: bool,
}

impl Code {
    /// The beginning of code in a language, by its name or by what its files' names end in. More may
    /// stand behind the name, as in the first line of a block of code.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name.trim().trim_start_matches(['{', '.']).to_lowercase();
        let belongs = |char: char| char.is_alphanumeric() || "+#-".contains(char);
        let name = name.split(|char| !belongs(char)).next()?;
        let known = |language: &&Language| {
            let mut names = language.names.split_ascii_whitespace();
            names.any(|known| known == name)
        };
        let language = LANGUAGES.iter().find(known)?;
        let open = None;
        Some(Self { language, open })
    }

    /// The beginning of a file, by its name.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        let name = name.rsplit('/').next()?;
        Self::named(name.rsplit('.').next()?)
    }

    /// The next line, on a ground.
    pub(crate) fn line(&mut self, text: &str, ground: Style) -> Vec<Span<'static>> {
        let mut pieces = Pieces::new(text, ground);
        if text.len() > LONGEST {
            pieces.take(text.len(), look::PLAIN);
            return pieces.spans;
        }
        if let Some(open) = self.open.take() {
            self.go_on(&mut pieces, open, 0);
        } else if let Some(key) = self.language.key.and_then(|mark| key(text, mark)) {
            pieces.take(key, look::KEYWORD);
        }
        while !pieces.rest.is_empty() {
            self.step(&mut pieces);
        }
        pieces.spans
    }

    fn step(&mut self, pieces: &mut Pieces<'_>) {
        let language = self.language;
        let (rest, before) = (pieces.rest, pieces.before());
        if let Some((start, close)) = language.block
            && rest.starts_with(start)
        {
            let open = Open {
                style: look::COMMENT,
                close,
                escapes: false,
            };
            return self.go_on(pieces, open, start.len());
        }
        let marks = language.comment.split_ascii_whitespace();
        for mark in marks.filter(|mark| rest.starts_with(mark)) {
            // In `$#` and `a#b` it is something else.
            if mark != "#" || before.is_none_or(char::is_whitespace) {
                return pieces.take(rest.len(), look::COMMENT);
            }
        }
        let opens = |quote: &&Quote| rest.starts_with(quote.open);
        if let Some(quote) = language.quotes.iter().find(opens) {
            return self.quoted(pieces, quote);
        }
        let first = rest.chars().next().unwrap_or_default();
        let part = |char: char| char.is_alphanumeric() || char == '_';
        let word = rest.find(|char| !part(char)).unwrap_or(rest.len());
        if word == 0 {
            return pieces.take(first.len_utf8(), look::PLAIN);
        }
        let style = match &rest[..word] {
            _ if first.is_ascii_digit() => look::NUMBER,
            _ if language.tags => match before {
                Some('<' | '/') => look::KEYWORD,
                _ => look::PLAIN,
            },
            word if language.knows(word) => look::KEYWORD,
            _ => look::PLAIN,
        };
        pieces.take(word, style);
    }

    fn quoted(&mut self, pieces: &mut Pieces<'_>, quote: &Quote) {
        let from = quote.open.len();
        let open = Open {
            style: look::TEXT,
            close: quote.close,
            escapes: quote.escapes,
        };
        let end = end(&pieces.rest[from..], quote.close, quote.escapes);
        match (quote.over, end) {
            // `'a'` is a character, `'a` a lifetime.
            (Over::Character, Some(end)) if is_one(&pieces.rest[from..from + end - 1]) => {
                pieces.take(from + end, look::TEXT);
            }
            (Over::Character, _) => pieces.take(from, look::PLAIN),
            (Over::Line, None) => pieces.take(pieces.rest.len(), look::TEXT),
            (Over::Line | Over::Lines, _) => self.go_on(pieces, open, from),
        }
    }

    /// Takes up to the end of what is open, or all of the line.
    fn go_on(&mut self, pieces: &mut Pieces<'_>, open: Open, from: usize) {
        if let Some(end) = end(&pieces.rest[from..], open.close, open.escapes) {
            return pieces.take(from + end, open.style);
        }
        pieces.take(pieces.rest.len(), open.style);
        self.open = Some(open);
    }
}

/// The place behind the end of what is open.
fn end(text: &str, close: &str, escapes: bool) -> Option<usize> {
    let mut from = 0;
    loop {
        let place = from + text[from..].find(close)?;
        let before = &text[from..place];
        let slashes = before.len() - before.trim_end_matches('\\').len();
        if !escapes || slashes.is_multiple_of(2) {
            return Some(place + close.len());
        }
        from = place + close.len();
    }
}

/// Whether that is one character, as it may stand between two quotes.
fn is_one(text: &str) -> bool {
    text.starts_with('\\') || text.chars().count() == 1
}

/// How much of a line is the name of a value: `  - name:`.
fn key(text: &str, mark: char) -> Option<usize> {
    let end = text.find(mark)?;
    let name = text[..end].trim_start_matches([' ', '-']).trim_end();
    let belongs = |char: char| char.is_alphanumeric() || "_-.\"".contains(char);
    (!name.is_empty() && name.chars().all(belongs)).then_some(end)
}

/// A line, and what of it is in its colours already.
struct Pieces<'a> {
    text: &'a str,
    rest: &'a str,
    ground: Style,
    spans: Vec<Span<'static>>,
}

impl<'a> Pieces<'a> {
    fn new(text: &'a str, ground: Style) -> Self {
        Self {
            text,
            rest: text,
            ground,
            spans: Vec::new(),
        }
    }

    /// The character before the rest.
    fn before(&self) -> Option<char> {
        let taken = &self.text[..self.text.len() - self.rest.len()];
        taken.chars().next_back()
    }

    fn take(&mut self, bytes: usize, style: Style) {
        let (piece, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        let style = self.ground.patch(style);
        match self.spans.last_mut() {
            Some(last) if last.style == style => last.content.to_mut().push_str(piece),
            _ if piece.is_empty() => {}
            _ => self.spans.push(Span::styled(piece.to_owned(), style)),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Each span as `text` in `k⟨…⟩`, `t⟨…⟩`, `n⟨…⟩` or `c⟨…⟩`.
    fn check(name: &str, text: &str, expected: &Expect) {
        let mut code = Code::named(name).unwrap();
        let mut shown = String::new();
        for line in text.split('\n') {
            for span in code.line(line, look::PLAIN) {
                let mark = match span.style {
                    look::KEYWORD => "k",
                    look::TEXT => "t",
                    look::NUMBER => "n",
                    look::COMMENT => "c",
                    _ => {
                        shown.push_str(&span.content);
                        continue;
                    }
                };
                shown.extend([mark, "⟨", &span.content, "⟩"]);
            }
            shown.push('\n');
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn families() {
        check(
            "rust,ignore",
            "fn größe<'a>(c: &'a str) -> u8 { 'x' } // end\n/* over\nlines */ let s = \"a\\\"b\nc\"; x1 + 0xff",
            &expect![[r#"
                k⟨fn⟩ größe<'a>(c: &'a str) -> u8 { t⟨'x'⟩ } c⟨// end⟩
                c⟨/* over⟩
                c⟨lines */⟩ k⟨let⟩ s = t⟨"a\"b⟩
                t⟨c"⟩; x1 + n⟨0xff⟩
            "#]],
        );
        check(
            "py",
            "def f(x):  # it's\n    \"\"\"one\n    two\"\"\" if x[1.5:] else 'it\\'s'\n'open\nnot x",
            &expect![[r#"
                k⟨def⟩ f(x):  c⟨# it's⟩
                    t⟨"""one⟩
                t⟨    two"""⟩ k⟨if⟩ x[n⟨1⟩.n⟨5⟩:] k⟨else⟩ t⟨'it\'s'⟩
                t⟨'open⟩
                k⟨not⟩ x
            "#]],
        );
        check(
            "sh",
            "echo \"$# of\n$HOME\" a#b # done\nif [ 3 -gt 2 ]; then :; fi",
            &expect![[r#"
                k⟨echo⟩ t⟨"$# of⟩
                t⟨$HOME"⟩ a#b c⟨# done⟩
                k⟨if⟩ [ n⟨3⟩ -gt n⟨2⟩ ]; k⟨then⟩ :; k⟨fi⟩
            "#]],
        );
        check(
            "yaml",
            "- name: fix # it\n  size: 12\n  say: \"a: b\"",
            &expect![[r#"
                k⟨- name⟩: fix c⟨# it⟩
                k⟨  size⟩: n⟨12⟩
                k⟨  say⟩: t⟨"a: b"⟩
            "#]],
        );
        check(
            "html",
            "<p class=\"x\">if 漢字</p><!-- a\nb --><br/>",
            &expect![[r#"
                <k⟨p⟩ class=t⟨"x"⟩>if 漢字</k⟨p⟩>c⟨<!-- a⟩
                c⟨b -->⟩<k⟨br⟩/>
            "#]],
        );
        check(
            "sql",
            "SELECT 1 -- one",
            &expect![[r#"
            k⟨SELECT⟩ n⟨1⟩ c⟨-- one⟩
        "#]],
        );
    }

    #[test]
    fn names_of_languages_and_of_files() {
        for name in [
            "rs",
            "Rust",
            "c++",
            "C#",
            "{.python}",
            "ts title=a.ts",
            "bash",
        ] {
            assert!(Code::named(name).is_some(), "{name}");
        }
        for name in ["", "text", "mermaid", " "] {
            assert!(Code::named(name).is_none(), "{name}");
        }
        assert!(Code::of_file("src/größe.rs").is_some());
        assert!(Code::of_file("docker/Dockerfile").is_some());
        assert!(Code::of_file("README").is_none());
    }

    #[test]
    fn no_line_of_any_language_loses_a_character() {
        let lines = [
            "\"",
            "'",
            "'''",
            "/*",
            "\\",
            "\"\\",
            "<!--",
            "a: 'b",
            "#",
            "漢'字\"",
            "`",
        ];
        for language in LANGUAGES {
            let open = None;
            let mut code = Code { language, open };
            for line in lines.iter().chain(lines.iter().rev()) {
                let spans = code.line(line, look::PLAIN);
                let again: String = spans.iter().map(|span| &*span.content).collect();
                assert_eq!(again, *line, "{}", language.names);
            }
        }
    }
}
