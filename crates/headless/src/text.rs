//! Small pure functions on text, besides those of all faces: what fits, what is said first, how
//! sizes read.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

pub(crate) use quire_protocol::{
    clean, counted, duration, first_line, first_sentence, line_count, thousands, visible,
};

/// An id cut to so many characters, an agent's with its name.
pub(crate) fn cut_id(id: &str, length: usize) -> String {
    let (root, name) = id.split_at(id.find('.').unwrap_or(id.len()));
    root.chars().take(length).chain(name.chars()).collect()
}

/// Columns that a text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// Cuts to at most `width` columns, the last of which is then `…`.
pub(crate) fn cut(line: &str, width: usize) -> String {
    // Every column takes a byte at least.
    if line.len() <= width || columns(line) <= width {
        return line.to_owned();
    }
    let mut kept = String::new();
    let mut taken = 0;
    for char in line.chars() {
        taken += char.width().unwrap_or(0);
        if taken >= width {
            break;
        }
        kept.push(char);
    }
    format!("{}…", kept.trim_end())
}

/// A number of bytes: `512 KiB`, `49 MiB`, `73.9 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{}.{} GiB", bytes >> 30, (bytes >> 20) % 1024 * 10 / 1024),
    }
}

/// A fence of backticks that nothing in `text` can close.
pub(crate) fn fence(text: &str, least: usize) -> String {
    let (mut longest, mut run) = (0, 0);
    for byte in text.bytes() {
        run = if byte == b'`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    "`".repeat(least.max(longest + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_cut_and_agents_keep_their_names() {
        assert_eq!(cut_id("0199bbbb-0000-7000-3", 13), "0199bbbb-0000");
        let agent = cut_id("0199bbbb-0000-7000-3.tests.a", 13);
        assert_eq!(agent, "0199bbbb-0000.tests.a");
    }

    #[test]
    fn cuts_and_counts() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("ab  ééé", 6), "ab  é…");
        assert_eq!(cut("漢字漢字", 8), "漢字漢字");
        assert_eq!(cut("漢字漢字", 7), "漢字漢…");
        assert_eq!(cut("漢字漢字", 6), "漢字…");
        assert_eq!(size(0), "0 KiB");
        assert_eq!(size(1025), "2 KiB");
        assert_eq!(size((50 << 20) - 1), "49 MiB");
        assert_eq!(size(1 << 30), "1.0 GiB");
        assert_eq!(size((7 << 30) + (1023 << 20)), "7.9 GiB");
        assert_eq!(fence("a ``` b ````` c", 3), "``````");
        assert_eq!(fence("plain", 3), "```");
    }
}
