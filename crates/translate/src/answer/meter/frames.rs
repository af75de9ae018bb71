//! Events of a stream, found where they lie: those that are whole and plain in what has arrived are not copied. All
//! others go through the parser.

use memchr::memmem::Finder;
use quire_dialect::sse::{Frame, Parser, TooLarge};

/// Finds the events of a stream.
#[derive(Debug)]
pub(crate) struct Frames {
    parser: Parser,
    /// Where a line and the blank one behind it end.
    blank: Finder<'static>,
    /// The parser holds the beginning of an event, or may.
    is_inside: bool,
    /// Its last byte was a line feed.
    after_line: bool,
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self {
            parser: Parser::new(),
            blank: Finder::new(b"\n\n"),
            // A byte order mark is the parser's.
            is_inside: true,
            after_line: false,
        }
    }

    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        each: &mut impl FnMut(Frame<'_>),
    ) -> Result<(), TooLarge> {
        // Lines that end with one are the parser's too.
        if memchr::memchr(b'\r', bytes).is_some() {
            self.is_inside = true;
            return self.parse(bytes, each);
        }
        while !bytes.is_empty() {
            let end = match self.blank.find(bytes) {
                _ if self.is_inside && self.after_line && bytes[0] == b'\n' => 1,
                Some(at) => at + 2,
                None => {
                    self.is_inside = true;
                    return self.parse(bytes, each);
                }
            };
            let (event, rest) = bytes.split_at(end);
            match plain(event) {
                Some(frame) if !self.is_inside => each(frame),
                _ => self.parse(event, each)?,
            }
            self.is_inside = false;
            bytes = rest;
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self, each: &mut impl FnMut(Frame<'_>)) -> Result<(), TooLarge> {
        self.parser.finish(&mut |frame| {
            each(frame);
            Ok(())
        })
    }

    fn parse(&mut self, bytes: &[u8], each: &mut impl FnMut(Frame<'_>)) -> Result<(), TooLarge> {
        self.after_line = bytes.last().map_or(self.after_line, |last| *last == b'\n');
        self.parser.push(bytes, &mut |frame| {
            each(frame);
            Ok(())
        })
    }
}

/// An event of a name, if it has one, and one line of data, and nothing else.
fn plain(event: &[u8]) -> Option<Frame<'_>> {
    let lines = event.strip_suffix(b"\n\n")?;
    let (name, data) = match lines.strip_prefix(b"event: ") {
        None => (&b""[..], lines),
        Some(rest) => {
            let end = memchr::memchr(b'\n', rest)?;
            (&rest[..end], &rest[end + 1..])
        }
    };
    let data = data.strip_prefix(b"data: ")?;
    memchr::memchr(b'\n', data)
        .is_none()
        .then_some(Frame { event: name, data })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(frames: &mut Vec<(Vec<u8>, Vec<u8>)>) -> impl FnMut(Frame<'_>) {
        |frame| frames.push((frame.event.to_vec(), frame.data.to_vec()))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        #[test]
        fn events_are_those_of_the_parser(
            pieces in prop::collection::vec(prop::sample::select(&[
                "event: a\n", "data: 1\n", "data: 22\n", "data:3\n", "\n", "\n", "\r\n", "\r", "\u{feff}",
                ": no\n", "data: 4", "event: b",
            ][..]), 0..16),
            size in 1_usize..20,
        ) {
            let stream = pieces.concat();
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            {
                let mut each = told(&mut expected);
                let mut parser = Parser::new();
                let mut each = |frame: Frame<'_>| -> Result<(), TooLarge> { each(frame); Ok(()) };
                parser.push(stream.as_bytes(), &mut each).unwrap();
                parser.finish(&mut each).unwrap();
            }
            {
                let mut each = told(&mut found);
                let mut frames = Frames::new();
                for piece in stream.as_bytes().chunks(size) {
                    frames.push(piece, &mut each).unwrap();
                }
                frames.finish(&mut each).unwrap();
            }
            prop_assert_eq!(found, expected);
        }
    }
}
