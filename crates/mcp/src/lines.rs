//! Bytes that arrive in pieces, as lines. Pure.

/// Bytes of a line at most.
pub(crate) const LONGEST: usize = 32 << 20;
/// Room that is kept for the next line.
const KEPT: usize = 1 << 20;

/// What has come of a line that has not ended.
#[derive(Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
    /// The rest of the line is passed over.
    passing: bool,
}

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// All of it.
    Whole(Vec<u8>),
    /// Its beginning; it is longer than any line may be, and is told before it has ended.
    TooLong(Vec<u8>),
}

impl Lines {
    /// The lines that this piece ends.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Vec<Line> {
        self.take_up_to(piece, LONGEST)
    }

    fn take_up_to(&mut self, piece: &[u8], longest: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            lines.extend(self.more(&rest[..end], longest));
            rest = &rest[end + 1..];
            if !std::mem::take(&mut self.passing) {
                lines.extend(self.rest().map(Line::Whole));
            }
        }
        lines.extend(self.more(rest, longest));
        lines
    }

    /// The line that nothing ended.
    pub(crate) fn rest(&mut self) -> Option<Vec<u8>> {
        let mut line = std::mem::take(&mut self.begun);
        if line.capacity() <= KEPT {
            self.begun.reserve(line.len());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        (!line.is_empty()).then_some(line)
    }

    fn more(&mut self, part: &[u8], longest: usize) -> Option<Line> {
        if self.passing {
            return None;
        }
        if self.begun.len() + part.len() <= longest {
            self.begun.extend_from_slice(part);
            return None;
        }
        self.passing = true;
        let mut beginning = std::mem::take(&mut self.begun);
        beginning.extend_from_slice(&part[..part.len().min(1000)]);
        beginning.truncate(1000);
        beginning.shrink_to_fit();
        Some(Line::TooLong(beginning))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pieces_make_lines_and_a_line_that_is_too_long_is_passed_over() {
        let mut lines = Lines::default();
        let mut take = |piece: &str| lines.take_up_to(piece.as_bytes(), 5);
        let whole = |line: &str| Line::Whole(line.into());
        assert_eq!(take("a"), []);
        assert_eq!(take("b\r\n\n12345\nc"), [whole("ab"), whole("12345")]);
        assert_eq!(
            take("d\n123456"),
            [whole("cd"), Line::TooLong("123456".into())]
        );
        assert_eq!(take("789"), []);
        assert_eq!(take("0\ne\n1234"), [whole("e")]);
        assert_eq!(
            take("56\nf\ng"),
            [Line::TooLong("123456".into()), whole("f")]
        );
        assert_eq!(lines.rest(), Some(b"g".to_vec()));
        assert_eq!(lines.rest(), None);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_are_cut(
            text in "[a-c\n\r]{0,60}",
            cuts in prop::collection::vec(1usize..9, 0..60),
        ) {
            let mut at_once = Lines::default();
            let expected = at_once.take_up_to(text.as_bytes(), 7);
            let mut lines = Lines::default();
            let mut taken = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts.into_iter().chain([text.len()]) {
                let (piece, later) = rest.split_at(cut.min(rest.len()));
                taken.extend(lines.take_up_to(piece, 7));
                rest = later;
            }
            let whole = |lines: Vec<Line>| -> Vec<Line> {
                lines.into_iter().filter(|line| matches!(line, Line::Whole(_))).collect()
            };
            prop_assert_eq!(whole(taken), whole(expected));
            prop_assert_eq!(lines.rest(), at_once.rest());
        }
    }
}
