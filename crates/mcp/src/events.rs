//! Bytes that arrive in pieces, as server-sent events. Pure.

use sse_stream::Sse;

use crate::lines::LONGEST;

/// Bytes of events that have not ended.
#[derive(Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    event: Sse,
    /// Bytes of the event's lines.
    size: usize,
    /// The last line ended with a carriage return, so that a line feed next ends no other.
    returned: bool,
    /// A line has been read; only the first may begin with a mark of the order of bytes.
    begun: bool,
}

/// An event is larger than any may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl Events {
    /// The events that this piece ends.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Result<Vec<Sse>, TooLarge> {
        self.take_up_to(piece, LONGEST)
    }

    fn take_up_to(&mut self, piece: &[u8], most: usize) -> Result<Vec<Sse>, TooLarge> {
        let mut events = Vec::new();
        let mut rest = piece;
        if !rest.is_empty() && std::mem::take(&mut self.returned) && rest[0] == b'\n' {
            rest = &rest[1..];
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.more(&rest[..end], most)?;
            events.extend(self.line());
            let both = rest[end..].starts_with(b"\r\n");
            self.returned = rest[end..] == *b"\r";
            rest = &rest[end + 1 + usize::from(both)..];
        }
        self.more(rest, most)?;
        Ok(events)
    }

    /// The event that no empty line ended.
    pub(crate) fn rest(&mut self) -> Option<Sse> {
        self.field();
        self.event()
    }

    fn more(&mut self, part: &[u8], most: usize) -> Result<(), TooLarge> {
        if self.size + self.line.len() + part.len() > most {
            return Err(TooLarge);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    /// A line has ended.
    fn line(&mut self) -> Option<Sse> {
        if !std::mem::replace(&mut self.begun, true) && self.line.starts_with(b"\xef\xbb\xbf") {
            self.line.drain(..3);
        }
        if self.line.is_empty() {
            return self.event();
        }
        self.field();
        None
    }

    fn event(&mut self) -> Option<Sse> {
        self.size = 0;
        let event = std::mem::take(&mut self.event);
        (event != Sse::default()).then_some(event)
    }

    fn field(&mut self) {
        let line = std::mem::take(&mut self.line);
        let end = line.iter().position(|byte| *byte == b':');
        let name = &line[..end.unwrap_or(line.len())];
        let value = end.map_or(&b""[..], |end| &line[end + 1..]);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        if name.is_empty() {
            // A comment: it keeps a connection open.
            return;
        }
        self.size += line.len();
        let value = String::from_utf8_lossy(value);
        match name {
            b"data" => match &mut self.event.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(&value);
                }
                none => *none = Some(value.into_owned()),
            },
            b"event" => self.event.event = Some(value.into_owned()),
            b"id" if !value.contains('\0') => self.event.id = Some(value.into_owned()),
            b"retry" => {
                if let Ok(retry) = value.parse() {
                    self.event.retry = Some(retry);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data(text: &str) -> Sse {
        Sse::default().data(text)
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        for (text, expected) in [
            ("data: a\n\n", vec![data("a")]),
            ("data:a\r\n\r\ndata:  b\r\r", vec![data("a"), data(" b")]),
            ("\u{feff}data: a\n\n", vec![data("a")]),
            ("data: a\ndata\ndata: b\n\n", vec![data("a\n\nb")]),
            (": ping\n\n\n: ping\n\n", vec![]),
            (
                "event: message\nid: 7\nretry: 250\ndata: {}\nother: x\n\n",
                vec![data("{}").event("message").id("7").retry(250)],
            ),
            ("id: 1\ndata:\n\n", vec![data("").id("1")]),
            ("id: \0\nretry: soon\n\n", vec![]),
            ("data: not ended", vec![]),
        ] {
            let mut events = Events::default();
            assert_eq!(events.take(text.as_bytes()), Ok(expected), "{text:?}");
        }
        let mut events = Events::default();
        assert_eq!(events.take(b"data: a\ndata: b"), Ok(vec![]));
        assert_eq!(events.rest(), Some(data("a\nb")));
        assert_eq!(events.rest(), None);
    }

    #[test]
    fn what_an_event_keeps_is_bounded_and_comments_are_not_kept() {
        let mut events = Events::default();
        for _ in 0..100 {
            assert_eq!(events.take_up_to(b": ping\n", 20), Ok(vec![]));
        }
        assert_eq!(events.take_up_to(b"data: 12345678\n", 20), Ok(vec![]));
        assert_eq!(
            events.take_up_to(b"\ndata: 1234", 20),
            Ok(vec![data("12345678")])
        );
        assert_eq!(events.take_up_to(b"\ndata: 12345", 20), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_how_they_are_cut(
            lines in prop::collection::vec("(data|id|x|): ?[a-bü]{0,3}(\n|\r|\r\n)|\n|\r|\r\n", 0..20),
            cuts in prop::collection::vec(1usize..9, 0..60),
        ) {
            let text = lines.concat();
            let mut at_once = Events::default();
            let expected = at_once.take(text.as_bytes()).unwrap();
            let mut events = Events::default();
            let mut taken = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts.into_iter().chain([text.len()]) {
                let (piece, later) = rest.split_at(cut.min(rest.len()));
                taken.extend(events.take(piece).unwrap());
                rest = later;
            }
            prop_assert_eq!(taken, expected);
            prop_assert_eq!(events.rest(), at_once.rest());
        }
    }
}
