//! Turns what a terminal program printed into text for a model: escape sequences gone, progress
//! bars collapsed to their last state, bytes that are no text replaced.

/// Text made of raw output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cleaned {
    /// The text; it has as many line feeds as the bytes had.
    pub(crate) text: String,
    /// Whether some bytes were not UTF-8 text and were replaced.
    pub(crate) lossy: bool,
}

/// Cleans raw output.
pub(crate) fn clean(bytes: &[u8]) -> Cleaned {
    let mut text = String::with_capacity(bytes.len());
    let mut lossy = false;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (body, end) = match line.strip_suffix(b"\n") {
            Some(body) => (body, "\n"),
            None => (line, ""),
        };
        if body
            .iter()
            .all(|byte| (b' '..0x7f).contains(byte) || *byte == b'\t')
        {
            text.push_str(std::str::from_utf8(body).expect("ASCII is UTF-8"));
        } else {
            let (shown, replaced) = clean_line(body);
            text.push_str(&shown);
            lossy |= replaced;
        }
        text.push_str(end);
    }
    Cleaned { text, lossy }
}

fn clean_line(line: &[u8]) -> (String, bool) {
    let plain = strip_escapes(line);
    let last_state = plain
        .split(|byte| *byte == b'\r')
        .rfind(|state| !state.is_empty())
        .unwrap_or_default();
    let (decoded, mut lossy) = match std::str::from_utf8(last_state) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (String::from_utf8_lossy(last_state).into_owned(), true),
    };
    let mut shown = String::with_capacity(decoded.len());
    for character in decoded.chars() {
        match character {
            '\0' => {
                lossy = true;
                shown.push(char::REPLACEMENT_CHARACTER);
            }
            '\t' => shown.push('\t'),
            control if control.is_ascii_control() => {}
            other => shown.push(other),
        }
    }
    (shown, lossy)
}

/// Drops escape sequences; one that is not finished in the line is dropped to its end.
fn strip_escapes(line: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == 0x1b {
            rest = after_escape(after);
        } else {
            plain.push(byte);
            rest = after;
        }
    }
    plain
}

/// What follows an escape sequence whose `ESC` has been read.
fn after_escape(rest: &[u8]) -> &[u8] {
    match rest.first() {
        Some(b'[') => after_final(&rest[1..], 0x40),
        Some(b']' | b'P' | b'X' | b'^' | b'_') => after_string(&rest[1..]),
        Some(0x20..=0x2f) => after_final(rest, 0x30),
        Some(0x30..=0x7e) => &rest[1..],
        _ => rest,
    }
}

/// Skips parameters up to the byte that ends the sequence: the first in `lowest..=0x7e`. A byte
/// that cannot be in a sequence ends it too and is kept.
fn after_final(rest: &[u8], lowest: u8) -> &[u8] {
    for (index, byte) in rest.iter().enumerate() {
        if (lowest..=0x7e).contains(byte) {
            return &rest[index + 1..];
        }
        if !(0x20..=0x3f).contains(byte) {
            return &rest[index..];
        }
    }
    &[]
}

/// Skips a string sequence up to `BEL` or `ESC \`.
fn after_string(rest: &[u8]) -> &[u8] {
    for (index, byte) in rest.iter().enumerate() {
        match byte {
            0x07 => return &rest[index + 1..],
            0x1b => return rest.get(index + 2..).unwrap_or_default(),
            _ => {}
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_sees() {
        for (raw, text, lossy) in [
            (&b"plain\n"[..], "plain\n", false),
            (b"\x1b[1;31mred\x1b[0m\n", "red\n", false),
            (b"\x1b]0;title\x07after", "after", false),
            (b"\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link", false),
            (b"\x1b(Bascii\x1b=\n", "ascii\n", false),
            (b" 10%\r 50%\r100%\n", "100%\n", false),
            (b"dos\r\nline\r\n", "dos\nline\n", false),
            (b"done\r\r\n", "done\n", false),
            (b"a\x08b\x07", "ab", false),
            ("grün\n".as_bytes(), "grün\n", false),
            (b"caf\xe9\n", "caf\u{fffd}\n", true),
            (b"a\0b", "a\u{fffd}b", true),
            (b"\x1b[12", "", false),
            (b"\x1b", "", false),
            (b"\x1b[3\xc3\xbc", "ü", false),
        ] {
            assert_eq!(
                clean(raw),
                Cleaned {
                    text: text.to_owned(),
                    lossy
                },
                "{raw:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn keeps_the_number_of_lines(raw: Vec<u8>) {
            use crate::text::feeds;
            assert_eq!(feeds(clean(&raw).text.as_bytes()), feeds(&raw));
        }
    }
}
