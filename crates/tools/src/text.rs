//! Small pure things about text: cutting it, decoding it, numbering and comparing its lines.

use std::fmt::Write as _;

/// How many line feeds there are.
pub(crate) fn feeds(bytes: &[u8]) -> usize {
    bytes.iter().map(|byte| usize::from(*byte == b'\n')).sum()
}

/// A number of lines, in words.
pub(crate) fn lines(number: usize) -> String {
    match number {
        1 => "1 line".to_owned(),
        many => format!("{many} lines"),
    }
}

/// The longest start of `text` that fits into `bytes` and ends between characters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Like [`cut`], but whole lines only where that keeps at least half.
pub(crate) fn cut_head(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let head = cut(text, bytes);
    match head.rfind('\n') {
        Some(feed) if feed >= bytes / 2 => &head[..=feed],
        _ => head,
    }
}

/// The end of `text` in at most `bytes`, whole lines only where that keeps at least half.
pub(crate) fn cut_tail(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let tail = &text[text.ceil_char_boundary(text.len() - bytes)..];
    match tail.find('\n') {
        Some(feed) if feed < tail.len() / 2 => &tail[feed + 1..],
        _ => tail,
    }
}

/// The whole text, if the bytes are UTF-8 or, by their byte order mark, UTF-16.
pub(crate) fn decode(bytes: &[u8]) -> Option<String> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => Some(decode_utf16(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Some(decode_utf16(rest, u16::from_be_bytes)),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.as_chunks().0.iter().copied().map(unit);
    char::decode_utf16(units)
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Lines `from..` of a text, counted from 1, as the read tool prints them.
pub(crate) fn numbered(lines: &[&str], from: usize) -> String {
    let mut shown = String::new();
    for (index, line) in lines.iter().enumerate() {
        let _ = writeln!(shown, "{}\t{}", from + index, cut(line, 300));
    }
    shown
}

/// Where `wanted` nearly is in `lines`: the start of the run that shares most lines with it but
/// for white space. None when nothing is shared.
pub(crate) fn nearest(lines: &[&str], wanted: &[&str]) -> Option<usize> {
    const MOST_COMPARISONS: usize = 4_000_000;
    let wanted = &wanted[..wanted.len().min(40)];
    if wanted.is_empty() || lines.len().saturating_mul(wanted.len()) > MOST_COMPARISONS {
        return None;
    }
    let score = |start: usize| -> usize {
        wanted
            .iter()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .filter(|(offset, line)| {
                lines
                    .get(start + offset)
                    .is_some_and(|found| similar_line(found, line))
            })
            .count()
    };
    (0..lines.len())
        .map(|start| (score(start), start))
        .max_by_key(|(score, start)| (*score, std::cmp::Reverse(*start)))
        .filter(|(score, _)| *score > 0)
        .map(|(_, start)| start)
}

/// Whether two lines are the same but for white space, or share a long start.
fn similar_line(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim(), other.trim());
    if one == other {
        return true;
    }
    let shared = one
        .bytes()
        .zip(other.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    shared >= 8 && shared * 2 >= one.len().max(other.len())
}

/// How many single-character changes lead from one word to the other, without regard to case.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, character) in one.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, expected) in other.iter().enumerate() {
            let changed = diagonal + usize::from(character != *expected);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// A count of bytes for a reader: `812 bytes`, `1.4 MB`.
pub(crate) fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000 => return format!("{bytes} bytes"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    let tenths = bytes.saturating_mul(10) / unit;
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters_and_preferably_lines() {
        assert_eq!(cut("grün", 3), "gr");
        assert_eq!(cut_head("one\ntwo\nthree", 9), "one\ntwo\n");
        assert_eq!(cut_head("onetwothree", 5), "onetw");
        assert_eq!(cut_tail("one\ntwo\nthree", 8), "three");
        assert_eq!(cut_tail("üüü", 3), "ü");
    }

    #[test]
    fn decodes_by_byte_order_mark() {
        assert_eq!(decode(b"\xff\xfeh\0i\0").as_deref(), Some("hi"));
        assert_eq!(decode(b"\xfe\xff\0h\0i").as_deref(), Some("hi"));
        assert_eq!(decode(b"caf\xe9"), None);
    }

    #[test]
    fn finds_what_is_near() {
        let lines = ["fn a() {", "    one();", "    two();", "}"];
        assert_eq!(nearest(&lines, &["one();", "two();"]), Some(1));
        assert_eq!(nearest(&lines, &["nothing alike"]), None);
        assert_eq!(distance("Main.rs", "mian.rs"), 2);
    }

    #[test]
    fn sizes_for_readers() {
        for (bytes, shown) in [
            (999, "999 bytes"),
            (1_450, "1.4 kB"),
            (2_147_483_648, "2.1 GB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }
}
