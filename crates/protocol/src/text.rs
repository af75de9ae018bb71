//! How foreign text, numbers and times are shown to a person: pure functions that every face needs,
//! and no face may see another.

use std::collections::HashSet;
use std::iter::Peekable;
use std::path::Path;
use std::str::Chars;

/// Makes foreign text harmless on a terminal: escape sequences, other control characters (but
/// newline and tab) and bidirectional overrides are left out.
#[must_use]
pub fn clean(text: &str) -> String {
    if !text.chars().any(is_harmful) {
        return text.to_owned();
    }
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\x1b' => skip_escape(&mut chars),
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_string(&mut chars),
            harmful if is_harmful(harmful) => {}
            char => kept.push(char),
        }
    }
    kept
}

/// Shows everything in foreign text, harmful and invisible characters as escapes: for text that a
/// person is to approve, where nothing may hide.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if is_harmful(char) || is_invisible(char) {
            shown.extend(char.escape_unicode());
        } else {
            shown.push(char);
        }
    }
    shown
}

/// A path as a person is shown it: on one line, and with everything in it visible.
#[must_use]
pub fn spelled(path: &Path) -> String {
    let shown = visible(&path.display().to_string());
    shown.replace('\n', "\\n").replace('\t', "\\t")
}

fn is_harmful(char: char) -> bool {
    let bidirectional = matches!(
        char,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    bidirectional || (char.is_control() && !matches!(char, '\n' | '\t'))
}

/// What takes no room on a screen, though programs read it: Unicode's default-ignorable code points, the
/// marks of annotations, and the separators of lines and paragraphs. Prose needs some of them, to join
/// emoji and letters.
fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// After an ESC: a control sequence, a string, or a short escape.
fn skip_escape(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_control_sequence(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        Some(' '..='/') => {
            while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            chars.next_if(|c| matches!(c, '0'..='~'));
        }
        Some('0'..='~') => {
            chars.next();
        }
        _ => {}
    }
}

fn skip_control_sequence(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    chars.next_if(|c| matches!(c, '@'..='~'));
}

/// Up to the string's terminator, but never past the line: an open string hides no more than that.
fn skip_string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(char) = chars.next_if(|c| *c != '\n') {
        match char {
            '\x07' | '\u{9c}' => return,
            '\x1b' => {
                chars.next_if(|c| *c == '\\');
                return;
            }
            _ => {}
        }
    }
}

/// How many characters of ids tell them apart but for names of agents: at least a UUID's time to the millisecond.
#[must_use]
pub fn unique_length(ids: &[&str]) -> usize {
    const SHORT: usize = 13;
    let different: HashSet<&str> = ids.iter().filter_map(|id| id.split('.').next()).collect();
    let longest = different.iter().map(|id| id.len()).max().unwrap_or(0);
    (SHORT..longest)
        .find(|length| {
            let starts: HashSet<&str> = different
                .iter()
                .map(|id| id.get(..*length).unwrap_or(id))
                .collect();
            starts.len() == different.len()
        })
        .unwrap_or(longest.max(SHORT))
}

/// The first line that says something, cleaned, and whether more follows.
#[must_use]
pub fn first_line(text: &str) -> (String, bool) {
    let text = text.trim();
    let line = text.lines().next().unwrap_or_default();
    (clean(line).replace('\t', " "), line.len() < text.len())
}

/// The first sentence of a text, on one line and without the marks of headings and bold words.
#[must_use]
pub fn first_sentence(text: &str) -> String {
    let (line, _) = first_line(text);
    let line = line.replace("**", "");
    let line = line.trim_matches(['#', ' ']);
    let end = line.find(". ").map_or(line.len(), |end| end + 1);
    line[..end].to_owned()
}

/// How many lines a text has.
#[must_use]
pub fn line_count(text: &str) -> u64 {
    text.trim_end_matches('\n').lines().count() as u64
}

/// A number of things: `1 line`, `2,000 lines`.
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(count))
}

/// `12,345`.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `0.8 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
#[must_use]
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..=9 if ms % 1000 >= 100 => format!("{seconds}.{} s", ms % 1000 / 100),
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// How long ago something was: `now`, `3 min`, `5 h`, `3 d`.
#[must_use]
pub fn age(ms: u64) -> String {
    let minutes = ms / 60_000;
    match minutes {
        0 => "now".to_owned(),
        1..=59 => format!("{minutes} min"),
        60..=2879 => format!("{} h", minutes / 60),
        _ => format!("{} d", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_sentence_stands_on_a_line_without_marks() {
        for (text, sentence) in [
            ("**Look first.** Then more.\nAnd", "Look first."),
            ("I see. Then more", "I see."),
            ("\n## The plan\n\nFirst", "The plan"),
            (" \n", ""),
        ] {
            assert_eq!(first_sentence(text), sentence, "{text:?}");
        }
    }

    #[test]
    fn ids_are_as_long_as_tells_them_apart() {
        let (one, other) = ("0199aaaa-0000-7000-1", "0199aaaa-0000-7000-2");
        let far = "0199bbbb-0000-7000-3";
        for (ids, length) in [
            (vec![one], 13),
            (vec![one, far], 13),
            (vec![one, other], 20),
            (vec![far, "0199bbbb-0000-7000-3.tests"], 13),
        ] {
            assert_eq!(unique_length(&ids), length, "{ids:?}");
        }
    }

    #[test]
    fn foreign_text_cannot_drive_the_terminal() {
        for (foreign, harmless) in [
            ("plain\ttext\n", "plain\ttext\n"),
            ("\x1b[31mred\x1b[0m", "red"),
            ("\x1b[2J\x1b[1;1Hgone", "gone"),
            ("\u{9b}31mred", "red"),
            ("\x1b]0;title\x07after", "after"),
            ("\x1b]52;c;aGk=\x1b\\after", "after"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1b]0;open\nnext line", "\nnext line"),
            ("\x1b(0lqk", "lqk"),
            ("a\rb\x08c\x00d\x7fe\u{85}f", "abcdef"),
            ("safe\u{202e}txt.exe", "safetxt.exe"),
            ("\x1b", ""),
            ("\x1b[", ""),
            ("é→ü 漢字", "é→ü 漢字"),
        ] {
            assert_eq!(clean(foreign), harmless, "{foreign:?}");
        }
    }

    #[test]
    fn what_is_approved_hides_nothing() {
        assert_eq!(
            visible("rm x\r\x1b[2Kls\u{202e}\n\ty"),
            "rm x\\u{d}\\u{1b}[2Kls\\u{202e}\n\ty"
        );
    }

    #[test]
    fn what_is_approved_hides_no_character_that_takes_no_room() {
        assert_eq!(
            visible(
                "echo a\u{200b}b\u{2060}c\u{ad}d\u{feff}e\u{e0041}f\u{3164}g\u{2028}h\u{fe0f}i"
            ),
            "echo a\\u{200b}b\\u{2060}c\\u{ad}d\\u{feff}e\\u{e0041}f\\u{3164}g\\u{2028}h\\u{fe0f}i"
        );
        let seen = "größe 漢字 ё אב 🙂";
        assert_eq!(visible(seen), seen);
        // Prose keeps what joins an emoji.
        let prose = "\u{1f469}\u{200d}\u{1f680} \u{2764}\u{fe0f}";
        assert_eq!(clean(prose), prose);
        assert_eq!(
            visible(prose),
            "\u{1f469}\\u{200d}\u{1f680} \u{2764}\\u{fe0f}"
        );
    }

    #[test]
    fn a_path_is_one_line_and_hides_nothing() {
        let path = Path::new("u4\x1b[1A\r\x1b[2K\nThis sets\u{202e} nothing/größe");
        assert_eq!(
            spelled(path),
            "u4\\u{1b}[1A\\u{d}\\u{1b}[2K\\nThis sets\\u{202e} nothing/größe"
        );
    }

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(counted(1, "line"), "1 line");
        assert_eq!(counted(2000, "line"), "2,000 lines");
        assert_eq!(line_count(""), 0);
        assert_eq!(line_count("a\nb\n"), 2);
        assert_eq!(duration(850), "0.8 s");
        assert_eq!(duration(2000), "2 s");
        assert_eq!(duration(12_999), "12 s");
        assert_eq!(duration(200_000), "3 min 20 s");
        assert_eq!(duration(7_500_000), "2 h 5 min");
    }
}
