//! Free text out of the arguments of a function that stands for a tool with free text: `{"input":"…"}`, as it
//! arrives.

use serde_json::Value;

/// Unwraps the text of one call, in any chunking.
#[derive(Debug, Default)]
pub(crate) struct Unwrap {
    state: State,
    /// All of it, as long as it may turn out to be of another shape.
    held: String,
    /// A started escape, without its backslash.
    escape: String,
    /// The first half of a pair of escapes.
    high: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the text.
    #[default]
    Before,
    /// In it.
    Inside,
    InEscape,
    /// Behind it.
    Behind,
    /// Of another shape: read at the end.
    Other,
}

/// What stands before the text, white space left out.
const OPENING: &str = "{\"input\":\"";

impl Unwrap {
    /// More of the arguments; the text that they hold.
    pub(crate) fn push(&mut self, more: &str) -> String {
        let mut out = String::new();
        let mut rest = more;
        if self.state == State::Other {
            self.held.push_str(more);
            return out;
        }
        if self.state == State::Before {
            let Some(behind) = self.before(more) else {
                return out;
            };
            rest = behind;
        }
        while !rest.is_empty() {
            rest = match self.state {
                State::Inside => self.inside(rest, &mut out),
                State::InEscape => self.in_escape(rest, &mut out),
                State::Before | State::Behind | State::Other => "",
            };
        }
        out
    }

    /// The arguments have ended; what was held back.
    pub(crate) fn finish(&mut self) -> String {
        let mut out = String::new();
        self.lone(&mut out);
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Inside | State::InEscape | State::Behind => {}
            State::Before | State::Other => match serde_json::from_str::<Value>(&held) {
                Ok(Value::Object(mut object)) => match object.remove("input") {
                    Some(Value::String(text)) => out.push_str(&text),
                    _ => out.push_str(&held),
                },
                Ok(Value::String(text)) => out.push_str(&text),
                _ => out.push_str(&held),
            },
        }
        out
    }

    /// Looks for the text's beginning; what follows it of `more`.
    fn before<'a>(&mut self, more: &'a str) -> Option<&'a str> {
        let known = self
            .held
            .chars()
            .filter(|it| !it.is_ascii_whitespace())
            .count();
        let mut expected = OPENING.chars().skip(known).peekable();
        self.held.push_str(more);
        for (at, character) in more.char_indices() {
            if character.is_ascii_whitespace() {
                continue;
            }
            if expected.next() != Some(character) {
                self.state = State::Other;
                return None;
            }
            if expected.peek().is_none() {
                self.state = State::Inside;
                self.held.clear();
                return Some(&more[at + character.len_utf8()..]);
            }
        }
        None
    }

    fn inside<'a>(&mut self, text: &'a str, out: &mut String) -> &'a str {
        let end = memchr::memchr2(b'"', b'\\', text.as_bytes()).unwrap_or(text.len());
        if end > 0 {
            self.lone(out);
        }
        out.push_str(&text[..end]);
        match text.as_bytes().get(end) {
            None => "",
            Some(b'\\') => {
                self.state = State::InEscape;
                &text[end + 1..]
            }
            Some(_) => {
                self.lone(out);
                self.state = State::Behind;
                ""
            }
        }
    }

    fn in_escape<'a>(&mut self, text: &'a str, out: &mut String) -> &'a str {
        let Some(next) = text.chars().next() else {
            return "";
        };
        self.escape.push(next);
        let rest = &text[next.len_utf8()..];
        if self.escape.starts_with('u') && self.escape.chars().count() < 5 {
            return rest;
        }
        self.state = State::Inside;
        let escape = std::mem::take(&mut self.escape);
        if let Some(digits) = escape.strip_prefix('u') {
            self.unit(u16::from_str_radix(digits, 16).ok(), out);
        } else {
            self.lone(out);
            out.push(plain(next));
        }
        rest
    }

    /// A unit of UTF-16, or none where the digits were not any.
    fn unit(&mut self, unit: Option<u16>, out: &mut String) {
        let unit = unit.unwrap_or(0xfffd);
        match (self.high.take(), unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                let pair = char::decode_utf16([high, unit]).next();
                out.push(
                    pair.and_then(Result::ok)
                        .unwrap_or(char::REPLACEMENT_CHARACTER),
                );
            }
            (lone, unit) => {
                self.high = lone;
                self.lone(out);
                match unit {
                    0xd800..=0xdbff => self.high = Some(unit),
                    unit => {
                        let character = char::from_u32(u32::from(unit));
                        out.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                }
            }
        }
    }

    /// A first half that no second follows.
    fn lone(&mut self, out: &mut String) {
        if self.high.take().is_some() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// What an escape of one character stands for.
fn plain(character: char) -> char {
    match character {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn unwrap(pieces: &[&str]) -> String {
        let mut unwrap = Unwrap::default();
        let mut out: String = pieces.iter().map(|piece| unwrap.push(piece)).collect();
        out.push_str(&unwrap.finish());
        out
    }

    #[test]
    fn other_shapes_are_kept_or_read_at_the_end() {
        for (arguments, text) in [
            ("", ""),
            ("*** Begin", "*** Begin"),
            (r#"{"other":1}"#, r#"{"other":1}"#),
            (r#"{"why":"x","input":"a\nb"}"#, "a\nb"),
            (r#""a\nb""#, "a\nb"),
            (r#"{"inputs":"a"}"#, r#"{"inputs":"a"}"#),
            (r#" { "input" : "a" , "more": 1 } "#, "a"),
            (r#"{"input":"cut \ud83d"#, "cut \u{fffd}"),
            (
                r#"{"input":"\ud83dx\ude00\ud83d\n"}"#,
                "\u{fffd}x\u{fffd}\u{fffd}\n",
            ),
            (r#"{"input":"\uzzzz\q"}"#, "\u{fffd}q"),
        ] {
            let characters: Vec<String> = arguments.chars().map(String::from).collect();
            let pieces: Vec<&str> = characters.iter().map(String::as_str).collect();
            assert_eq!(unwrap(&[arguments]), text, "{arguments}");
            assert_eq!(unwrap(&pieces), text, "{arguments} by character");
        }
    }

    /// The same JSON text in ASCII alone.
    fn escaped(json: &str) -> String {
        let mut out = String::new();
        for unit in json.encode_utf16() {
            match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii() => out.push(char::from(byte)),
                _ => write!(out, "\\u{unit:04x}").unwrap(),
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn any_text_comes_out_as_it_went_in(text in "\\PC*|[\\n\\t\"\\\\😀é]*", ascii in any::<bool>(), size in 1_usize..9) {
            let mut json = Value::String(text.clone()).to_string();
            if ascii {
                json = escaped(&json);
            }
            let arguments: Vec<char> = format!("{{\"input\":{json}}}").chars().collect();
            let pieces: Vec<String> = arguments.chunks(size).map(|piece| piece.iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(unwrap(&pieces), text);
        }
    }
}
