//! What a person is typing: several lines of text with a cursor. Pure: knows no terminal.

use std::fmt::Write as _;
use std::ops::Range;

use quire_protocol::{Content, clean, counted, line_count};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::rows::width;

/// Pasted text of more bytes or lines stands in the input as one sign.
const LARGE_BYTES: usize = 1_000;
const LARGE_LINES: u64 = 12;
/// The sign for the first large paste, of a private plane that nobody types.
const SIGNS: u32 = 0xf_0000;
/// How many large pastes one input may have; further ones stand as they are.
const MOST_SIGNS: usize = 1_000;

/// A multi-line input.
#[derive(Clone, Debug, Default)]
pub(crate) struct Editor {
    text: String,
    /// Where the cursor is, in bytes.
    at: usize,
    /// What the signs stand for.
    signs: Vec<Sign>,
    /// What was cut last.
    cut: String,
}

/// What a sign stands for.
#[derive(Clone, Debug)]
enum Sign {
    /// A large paste.
    Paste(String),
    /// An image, which is sent behind the words.
    Image { name: String, image: Content },
}

/// The rows of an input on a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// What each row shows.
    pub(crate) rows: Vec<String>,
    /// The row of the cursor.
    pub(crate) row: usize,
    /// The column of the cursor.
    pub(crate) column: usize,
}

/// A place to which the cursor goes, or up to which is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// One character back.
    Left,
    /// One character on.
    Right,
    /// To the start of the word.
    WordLeft,
    /// Behind the word.
    WordRight,
    /// To the start of the line.
    Home,
    /// To the end of the line.
    End,
}

impl Editor {
    /// Whether nothing is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// What is written, with signs for large pastes.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What is written before the cursor.
    pub(crate) fn before(&self) -> &str {
        &self.text[..self.at]
    }

    /// Whether a word that is written ends at the cursor: what completes it doubles nothing behind.
    pub(crate) fn ends_word(&self) -> bool {
        let behind = self.text[self.at..].chars().next();
        behind.is_none_or(char::is_whitespace)
    }

    /// Whether anything is written behind the cursor.
    pub(crate) fn goes_on(&self) -> bool {
        !self.text[self.at..].trim().is_empty()
    }

    /// Takes all that was written, large pastes in full.
    pub(crate) fn take(&mut self) -> String {
        let whole = self.whole();
        self.set("");
        whole
    }

    /// All that is written, large pastes in full, and images named by their number.
    pub(crate) fn whole(&self) -> String {
        let mut full = String::with_capacity(self.text.len());
        let mut images = 0;
        for char in self.text.chars() {
            match self.sign_of(char) {
                Some(Sign::Paste(paste)) => full.push_str(paste),
                Some(Sign::Image { name, .. }) => {
                    images += 1;
                    let _ = write!(full, "{}{name}]", opening(images));
                }
                None => full.push(char),
            }
        }
        full
    }

    /// The images in what is written, in the order of their numbers.
    pub(crate) fn images(&self) -> Vec<Content> {
        let signs = self.text.chars().filter_map(|char| self.sign_of(char));
        let images = signs.filter_map(|sign| match sign {
            Sign::Image { image, .. } => Some(image.clone()),
            Sign::Paste(_) => None,
        });
        images.collect()
    }

    /// Writes at the cursor what was whole elsewhere, with the images that are named in it; gives those
    /// that are not.
    pub(crate) fn write(&mut self, text: &str, images: &[Content]) -> Vec<Content> {
        let mut rest = text;
        let mut left = Vec::new();
        for (number, image) in (1..).zip(images) {
            let named = rest.split_once(&opening(number));
            let named = named.and_then(|(before, after)| Some((before, after.split_once(']')?)));
            let Some((before, (name, after))) = named else {
                left.push(image.clone());
                continue;
            };
            self.paste(before);
            self.attach(name, image.clone());
            rest = after;
        }
        self.paste(rest);
        left
    }

    /// Writes the sign of an image at the cursor.
    pub(crate) fn attach(&mut self, name: &str, image: Content) {
        let name = typed(name).replace(['[', ']', '\n'], "");
        self.insert_sign(Sign::Image { name, image });
    }

    fn insert_sign(&mut self, stands_for: Sign) {
        let number = u32::try_from(self.signs.len()).unwrap_or(0);
        let sign = char::from_u32(SIGNS + number).unwrap_or(' ');
        self.signs.push(stands_for);
        self.text.insert(self.at, sign);
        self.at += sign.len_utf8();
    }

    /// Writes this instead of everything; a large text as a sign.
    pub(crate) fn set(&mut self, text: &str) {
        self.text.clear();
        self.signs.clear();
        self.at = 0;
        self.paste(text);
    }

    /// Writes at the cursor.
    pub(crate) fn insert(&mut self, text: &str) {
        let text = typed(text);
        self.text.insert_str(self.at, &text);
        self.at += text.len();
    }

    /// Writes pasted text at the cursor; a large one as a sign.
    pub(crate) fn paste(&mut self, text: &str) {
        let small = text.len() <= LARGE_BYTES && line_count(text) <= LARGE_LINES;
        if small || self.signs.len() >= MOST_SIGNS {
            return self.insert(text);
        }
        self.insert_sign(Sign::Paste(typed(text)));
    }

    /// Writes this instead of so many bytes before the cursor.
    pub(crate) fn replace_before(&mut self, bytes: usize, text: &str) {
        let start = self.at.saturating_sub(bytes);
        self.text.replace_range(start..self.at, "");
        self.at = start;
        self.insert(text);
    }

    /// Moves the cursor.
    pub(crate) fn go(&mut self, to: To) {
        self.at = self.place(to);
    }

    /// Deletes from the cursor up to there. More than a character can be had back.
    pub(crate) fn delete(&mut self, to: To) {
        let place = self.place(to);
        let range = place.min(self.at)..place.max(self.at);
        let gone = self.text[range.clone()].to_owned();
        self.at = range.start;
        self.text.replace_range(range, "");
        if !matches!(to, To::Left | To::Right) && !gone.is_empty() {
            self.cut = gone;
        }
    }

    /// Writes what was deleted last.
    pub(crate) fn put_back(&mut self) {
        self.text.insert_str(self.at, &self.cut);
        self.at += self.cut.len();
    }

    /// Moves the cursor by rows of that many columns; says whether there was such a row.
    pub(crate) fn go_rows(&mut self, rows: isize, columns: usize) -> bool {
        let ranges = self.ranges(columns);
        let row = self.row_of_cursor(&ranges);
        let column = self.shown_width(ranges[row].start..self.at);
        let Some(target) = row
            .checked_add_signed(rows)
            .and_then(|row| ranges.get(row))
            .cloned()
        else {
            return false;
        };
        let mut at = target.start;
        let mut taken = 0;
        for grapheme in self.text[target.clone()].graphemes(true) {
            let wide = width(&self.shown(grapheme));
            if grapheme == "\n" || taken + wide > column {
                break;
            }
            taken += wide;
            at += grapheme.len();
        }
        // Behind the last space of a broken row the cursor would stand in the next one.
        if at == target.end && target.end < self.text.len() {
            at = self.previous(at);
        }
        self.at = at;
        true
    }

    /// The rows for so many columns, and where the cursor is in them.
    pub(crate) fn layout(&self, columns: usize) -> Layout {
        let ranges = self.ranges(columns);
        let row = self.row_of_cursor(&ranges);
        let column = self.shown_width(ranges[row].start..self.at);
        let rows = ranges.into_iter().map(|range| {
            let shown: String = self.text[range]
                .graphemes(true)
                .filter(|grapheme| *grapheme != "\n")
                .map(|grapheme| self.shown(grapheme))
                .collect();
            shown
        });
        Layout {
            rows: rows.collect(),
            row,
            column: column.min(columns.saturating_sub(1)),
        }
    }

    /// All that is shown, where no row is too long.
    pub(crate) fn shown_whole(&self) -> String {
        let mut all = String::with_capacity(self.text.len());
        for char in self.text.chars() {
            if char == '\t' || self.sign_of(char).is_some() {
                all.push_str(&self.shown(char.encode_utf8(&mut [0; 4])));
            } else {
                all.push(char);
            }
        }
        all
    }

    fn place(&self, to: To) -> usize {
        let (before, after) = self.text.split_at(self.at);
        match to {
            To::Left => self.previous(self.at),
            To::Right => self.at + after.graphemes(true).next().map_or(0, str::len),
            To::WordLeft => {
                let words = before.trim_end();
                let start = words.rfind(char::is_whitespace);
                start.map_or(0, |space| {
                    space + words[space..].chars().next().map_or(0, char::len_utf8)
                })
            }
            To::WordRight => {
                let words = after.trim_start();
                let skipped = after.len() - words.len();
                let word = words.find(char::is_whitespace).unwrap_or(words.len());
                self.at + skipped + word
            }
            To::Home => before.rfind('\n').map_or(0, |line| line + 1),
            To::End => self.at + after.find('\n').unwrap_or(after.len()),
        }
    }

    fn previous(&self, at: usize) -> usize {
        let last = self.text[..at].graphemes(true).next_back();
        at - last.map_or(0, str::len)
    }

    /// The bytes of each row; together all of the text.
    fn ranges(&self, columns: usize) -> Vec<Range<usize>> {
        let columns = columns.max(2);
        let mut ranges = Vec::new();
        let (mut start, mut taken) = (0, 0);
        let mut space: Option<usize> = None;
        for (at, grapheme) in self.text.grapheme_indices(true) {
            let end = at + grapheme.len();
            if grapheme == "\n" {
                ranges.push(start..end);
                (start, taken, space) = (end, 0, None);
                continue;
            }
            let wide = width(&self.shown(grapheme));
            // A column is left for the cursor.
            if taken + wide >= columns && taken > 0 {
                let end = space.unwrap_or(at);
                ranges.push(start..end);
                start = end;
                taken = self.shown_width(start..at);
                space = None;
            }
            taken += wide;
            if grapheme == " " {
                space = Some(end);
            }
        }
        ranges.push(start..self.text.len());
        ranges
    }

    fn row_of_cursor(&self, ranges: &[Range<usize>]) -> usize {
        ranges
            .iter()
            .rposition(|range| range.start <= self.at)
            .unwrap_or(0)
    }

    fn shown_width(&self, range: Range<usize>) -> usize {
        let graphemes = self.text[range].graphemes(true);
        graphemes.map(|grapheme| width(&self.shown(grapheme))).sum()
    }

    fn sign_of(&self, char: char) -> Option<&Sign> {
        let number = u32::from(char).checked_sub(SIGNS)?;
        self.signs.get(usize::try_from(number).ok()?)
    }

    /// What stands on the screen for a grapheme.
    fn shown(&self, grapheme: &str) -> String {
        let sign = grapheme.chars().next();
        let number = sign.and_then(|sign| u32::from(sign).checked_sub(SIGNS));
        match (sign.and_then(|sign| self.sign_of(sign)), number) {
            (Some(Sign::Image { name, .. }), _) => format!("[image {name}]"),
            (Some(Sign::Paste(paste)), Some(number)) => {
                let lines = counted(line_count(paste), "line");
                format!("[paste {}: {lines}]", number + 1)
            }
            _ if grapheme == "\t" => "    ".to_owned(),
            _ => grapheme.to_owned(),
        }
    }
}

/// What the name of an image begins with where it is sent.
fn opening(number: usize) -> String {
    format!("[image {number}: ")
}

/// Text as a person may type it: no control characters but newline and tab, and no signs.
fn typed(text: &str) -> String {
    let text = clean(&text.replace("\r\n", "\n").replace('\r', "\n"));
    let sign = |char: char| (SIGNS..SIGNS + 0x1_0000).contains(&u32::from(char));
    if text.contains(sign) {
        return text.replace(sign, "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with `|` at the cursor.
    fn shown(editor: &Editor) -> String {
        let (before, after) = editor.text.split_at(editor.at);
        format!("{before}|{after}")
    }

    /// An editor whose cursor is at `|`.
    fn at(text: &str) -> Editor {
        let (before, after) = text.split_once('|').unwrap();
        let mut editor = Editor::default();
        editor.insert(after);
        editor.at = 0;
        editor.insert(before);
        editor
    }

    #[test]
    fn the_cursor_moves_by_whole_characters_words_and_lines() {
        for (from, to, result) in [
            ("ab|c", To::Left, "a|bc"),
            ("|abc", To::Left, "|abc"),
            ("👩‍👩‍👧|x", To::Left, "|👩‍👩‍👧x"),
            ("|e\u{301}x", To::Right, "e\u{301}|x"),
            ("one two  |x", To::WordLeft, "one |two  x"),
            ("one|\n two", To::WordRight, "one\n two|"),
            ("a\nb|c\nd", To::Home, "a\n|bc\nd"),
            ("a\nb|c\nd", To::End, "a\nbc|\nd"),
        ] {
            let mut editor = at(from);
            editor.go(to);
            assert_eq!(shown(&editor), result, "{from} {to:?}");
        }
    }

    #[test]
    fn what_is_deleted_is_whole_and_comes_back() {
        for (from, to, result) in [
            ("a漢|b", To::Left, "a|b"),
            ("a|👩‍👩‍👧b", To::Right, "a|b"),
            ("one two|", To::WordLeft, "one |"),
            ("one\ntwo|x", To::Home, "one\n|x"),
            ("on|e\ntwo", To::End, "on|\ntwo"),
        ] {
            let mut editor = at(from);
            editor.delete(to);
            assert_eq!(shown(&editor), result, "{from} {to:?}");
        }
        let mut editor = at("one two|");
        editor.delete(To::WordLeft);
        editor.put_back();
        assert_eq!(shown(&editor), "one two|");
    }

    #[test]
    fn rows_break_at_spaces_and_the_cursor_keeps_its_column() {
        let mut editor = at("one two three|");
        let layout = editor.layout(9);
        assert_eq!(layout.rows, ["one two ", "three"]);
        assert_eq!((layout.row, layout.column), (1, 5));
        assert!(editor.go_rows(-1, 9));
        assert_eq!(shown(&editor), "one t|wo three");
        assert!(!editor.go_rows(-1, 9));
        assert!(editor.go_rows(1, 9));
        assert_eq!(shown(&editor), "one two three|");
        let wide = at("漢字漢字|");
        assert_eq!(wide.layout(6).rows, ["漢字", "漢字"]);
        assert_eq!(at("a\n|").layout(9).rows, ["a", ""]);
        assert_eq!(at("a\n|").layout(9).row, 1);
    }

    #[test]
    fn large_pastes_stand_as_a_sign_and_are_sent_in_full() {
        let mut editor = at("see | please");
        let large = "line\r\n".repeat(100);
        editor.paste(&large);
        assert_eq!(editor.layout(80).rows, ["see [paste 1: 100 lines] please"]);
        editor.go(To::Left);
        editor.go(To::Right);
        editor.paste("small\x1b[2J");
        assert_eq!(
            editor.take(),
            format!("see {}small please", "line\n".repeat(100))
        );
        assert!(editor.is_empty());
        editor.paste(&large);
        editor.delete(To::Left);
        assert_eq!(editor.take(), "");
        editor.insert("a\u{f0000}b");
        assert_eq!(editor.take(), "ab");
    }

    #[test]
    fn images_are_signs_that_keep_their_place() {
        let image = |data: &str| Content::Image {
            media_type: "image/png".to_owned(),
            data: data.to_owned(),
        };
        let mut editor = at("left | right");
        editor.attach("a[1].png", image("a"));
        editor.insert(" and ");
        editor.attach("b.png", image("b"));
        assert_eq!(
            editor.layout(80).rows,
            ["left [image a1.png] and [image b.png] right"]
        );
        let (images, text) = (editor.images(), editor.take());
        assert_eq!(text, "left [image 1: a1.png] and [image 2: b.png] right");
        assert_eq!(editor.write(&text, &images), []);
        assert_eq!(editor.images(), images);
        assert_eq!(editor.take(), text);
        let cut = text.replace("[image 1: a1.png] ", "");
        assert_eq!(editor.write(&cut, &images), [image("a")]);
        assert_eq!(editor.take(), "left and [image 1: b.png] right");
    }

    #[test]
    fn a_paste_of_a_megabyte_is_one_sign() {
        let mut editor = Editor::default();
        editor.paste(&"x".repeat(1 << 20));
        assert_eq!(editor.layout(80).rows, ["[paste 1: 1 line]"]);
        let text = editor.take();
        assert_eq!(text.len(), 1 << 20);
        editor.set(&text);
        assert_eq!(editor.layout(80).rows, ["[paste 1: 1 line]"]);
    }
}
