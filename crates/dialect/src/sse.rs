//! Server-sent events, parsed as they arrive: any line ending, any chunking, bounded memory.

/// Most bytes of one event. A whole answer with images in it fits; an endless line does not.
pub const MAX_EVENT_BYTES: usize = 64 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its name; empty when it has none.
    pub event: &'a [u8],
    /// Its data, several lines joined by a line feed.
    pub data: &'a [u8],
}

/// An event is larger than [`MAX_EVENT_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {MAX_EVENT_BYTES} bytes")]
pub struct TooLarge;

/// An incremental parser. Frames without data are skipped, as the standard says.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    /// The start of a line whose end has not arrived.
    partial: Vec<u8>,
    event: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a CR; a LF right after it belongs to the same line ending.
    after_cr: bool,
    /// The first line was seen, so that no byte order mark can follow.
    begun: bool,
}

impl Parser {
    /// A parser at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes more bytes and calls `each` for every event they complete. Stops at its first error.
    pub fn push<E: From<TooLarge>>(
        &mut self,
        mut bytes: &[u8],
        each: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else {
                self.bound(bytes.len())?;
                self.partial.extend_from_slice(bytes);
                return Ok(());
            };
            self.after_cr = bytes[end] == b'\r';
            self.bound(end)?;
            if self.partial.is_empty() {
                self.line(&bytes[..end], each)?;
            } else {
                self.partial.extend_from_slice(&bytes[..end]);
                self.partial_line(each)?;
            }
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    /// Takes the end of the stream for the end of the last event. (The standard would drop an
    /// unfinished event; servers exist that leave the last line ending out.)
    pub fn finish<E: From<TooLarge>>(
        &mut self,
        each: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.partial.is_empty() {
            self.partial_line(each)?;
        }
        self.dispatch(each)
    }

    fn bound(&self, more: usize) -> Result<(), TooLarge> {
        let held = self.partial.len() + self.data.len() + self.event.len();
        if held + more > MAX_EVENT_BYTES {
            return Err(TooLarge);
        }
        Ok(())
    }

    fn partial_line<E>(
        &mut self,
        each: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut line = std::mem::take(&mut self.partial);
        let result = self.line(&line, each);
        line.clear();
        self.partial = line;
        result
    }

    fn line<E>(
        &mut self,
        mut line: &[u8],
        each: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch(each);
        }
        if let Some(data) = field(line, b"data") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.has_data = true;
            self.data.extend_from_slice(data);
        } else if let Some(event) = field(line, b"event") {
            self.event.clear();
            self.event.extend_from_slice(event);
        }
        Ok(())
    }

    fn dispatch<E>(&mut self, each: &mut impl FnMut(Frame<'_>) -> Result<(), E>) -> Result<(), E> {
        let result = if self.has_data {
            each(Frame {
                event: &self.event,
                data: &self.data,
            })
        } else {
            Ok(())
        };
        self.has_data = false;
        self.data.clear();
        self.event.clear();
        result
    }
}

/// The value of a field line, if it is of that field.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = Parser::new();
        let mut events = Vec::new();
        let mut each = |frame: Frame<'_>| -> Result<(), TooLarge> {
            events.push((
                String::from_utf8_lossy(frame.event).into_owned(),
                String::from_utf8_lossy(frame.data).into_owned(),
            ));
            Ok(())
        };
        for chunk in chunks {
            parser.push(chunk, &mut each).expect("small");
        }
        parser.finish(&mut each).expect("small");
        events
    }

    #[track_caller]
    fn check(stream: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(event, data)| ((*event).to_owned(), (*data).to_owned()))
            .collect();
        for ending in ["\n", "\r\n", "\r"] {
            let stream = stream.replace('\n', ending);
            assert_eq!(parse(&[stream.as_bytes()]), expected, "{ending:?}");
            let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            assert_eq!(parse(&bytes), expected, "{ending:?} byte by byte");
        }
    }

    #[test]
    fn events_with_and_without_names() {
        check("event: a\ndata: 1\n\ndata:2\n\n", &[("a", "1"), ("", "2")]);
    }

    #[test]
    fn data_of_several_lines_is_joined() {
        check("data: 1\ndata:\ndata:  3\ndata\n\n", &[("", "1\n\n 3\n")]);
    }

    #[test]
    fn comments_unknown_fields_and_empty_events_are_skipped() {
        check(
            ": hello\nid: 7\nretry: 10\n\nevent: gone\n\ndata: 1\ndatum: 2\n\n",
            &[("", "1")],
        );
    }

    #[test]
    fn a_byte_order_mark_is_skipped_once() {
        check("\u{feff}data: 1\n\n\u{feff}data: 2\n\n", &[("", "1")]);
    }

    #[test]
    fn the_end_of_the_stream_ends_the_last_event() {
        check("data: 1\n\ndata: [DONE]", &[("", "1"), ("", "[DONE]")]);
    }

    #[test]
    fn an_endless_event_is_an_error() {
        let mut parser = Parser::new();
        let mut each = |_: Frame<'_>| -> Result<(), TooLarge> { Ok(()) };
        let line = vec![b'x'; MAX_EVENT_BYTES / 2];
        assert_eq!(parser.push(&line, &mut each), Ok(()));
        assert_eq!(parser.push(&line, &mut each), Ok(()));
        assert_eq!(parser.push(b"x", &mut each), Err(TooLarge));
    }
}
