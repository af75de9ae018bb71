//! Changes of files as lines: numbers, signs, code in its colours, and the words that changed.

use std::ops::Range;

use quire_protocol::{FileChange, Proposed, counted};
use ratatui_core::style::Style;
use ratatui_core::text::{Line, Span};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::calls::below;
use crate::code::Code;
use crate::look;
use crate::rows::safe;

/// Columns below which there is no room for numbers.
const NARROW: u16 = 60;
/// Words of a line from which on it is not looked at word by word.
const WORDS: usize = 200;

/// A line of a diff.
#[derive(Clone, Debug)]
struct Row {
    sign: char,
    number: u32,
    text: String,
    /// The parts of the text that changed, in bytes.
    changed: Vec<Range<usize>>,
}

/// At most so many lines of a change, for a screen of so many columns.
pub(crate) fn lines(change: &FileChange, most: usize, columns: u16) -> Vec<Line<'static>> {
    hunk_lines(&change.path.to_string_lossy(), &change.diff, most, columns)
}

/// At most so many lines of a change that was not made yet, which has no places.
pub(crate) fn proposed(change: &Proposed, most: usize) -> Vec<Line<'static>> {
    let mut lines = hunk_lines(&change.path, &change.diff, most, 0);
    for line in &mut lines {
        line.spans.insert(0, Span::raw("    "));
    }
    lines
}

fn hunk_lines(path: &str, diff: &str, most: usize, columns: u16) -> Vec<Line<'static>> {
    let body = body(diff);
    let hunks = hunks(&body[..body.len().min(most)]);
    let last = hunks.iter().flatten().map(|row| row.number).max();
    let digits = last.filter(|_| columns >= NARROW);
    let digits = digits.map(|number| number.to_string().len());
    let mut lines = Vec::new();
    for (number, rows) in hunks.iter().enumerate() {
        if number > 0 {
            let indent = " ".repeat(digits.map_or(2, |digits| digits + 5));
            lines.push(look::line(indent + "⋮", look::DIM));
        }
        let begin = Code::of_file(path);
        let (mut old, mut new) = (begin, begin);
        lines.extend(rows.iter().map(|row| {
            if row.sign == ' '
                && let Some(old) = &mut old
            {
                old.line(&row.text, look::PLAIN);
            }
            let code = if row.sign == '-' { &mut old } else { &mut new };
            shown(row, code.as_mut(), digits)
        }));
    }
    if body.len() > most {
        let more = counted((body.len() - most) as u64, "more line");
        lines.push(below(&format!("… {more}"), look::DIM));
    }
    lines
}

/// `new, +3 −1` has these.
pub(crate) fn extent(change: &FileChange) -> (usize, usize) {
    let lines = body(&change.diff);
    let count = |sign: char| lines.iter().filter(|line| line.starts_with(sign)).count();
    (count('+'), count('-'))
}

/// The diff without the lines that name the file.
fn body(diff: &str) -> Vec<&str> {
    diff.lines()
        .skip_while(|line| !line.starts_with("@@"))
        .filter(|line| !line.starts_with('\\'))
        .collect()
}

/// The lines of each hunk with their numbers: of what is removed, those that they had.
fn hunks(body: &[&str]) -> Vec<Vec<Row>> {
    let mut hunks: Vec<Vec<Row>> = Vec::new();
    let (mut old, mut new) = (1, 1);
    for line in body {
        if let Some(header) = line.strip_prefix("@@") {
            (old, new) = starts(header);
            hunks.push(Vec::new());
            continue;
        }
        let sign = line.chars().next().filter(|sign| "+-".contains(*sign));
        let sign = sign.unwrap_or(' ');
        // What says how much is left out has no sign.
        let text = line.strip_prefix(['+', '-', ' ']).unwrap_or(line);
        let number = if sign == '-' { old } else { new };
        old += u32::from(sign != '+');
        new += u32::from(sign != '-');
        if let Some(rows) = hunks.last_mut() {
            rows.push(Row {
                sign,
                number,
                text: safe(text).trim_end().to_owned(),
                changed: Vec::new(),
            });
        }
    }
    for rows in &mut hunks {
        pair(rows);
    }
    hunks
}

/// Where a hunk begins, before and after: of ` -12,3 +14,5 @@`.
fn starts(header: &str) -> (u32, u32) {
    let number = |mark: char| {
        let words = &header[header.find(mark)? + 1..];
        let end = words.find(|char: char| !char.is_ascii_digit());
        words[..end.unwrap_or(words.len())].parse().ok()
    };
    (number('-').unwrap_or(1), number('+').unwrap_or(1))
}

/// Finds what changed in lines where as many were added as removed.
fn pair(rows: &mut [Row]) {
    let signed = |rows: &[Row], from: usize, sign: char| {
        let run = rows[from..].iter().take_while(|row| row.sign == sign);
        run.count()
    };
    let mut at = 0;
    while at < rows.len() {
        let removed = signed(rows, at, '-');
        let added = signed(rows, at + removed, '+');
        if removed == added {
            for number in at..at + removed {
                let (old, new) = (&rows[number].text, &rows[number + removed].text);
                let (old, new) = changed(old, new);
                (rows[number].changed, rows[number + removed].changed) = (old, new);
            }
        }
        at += (removed + added).max(1);
    }
}

/// What changed between two lines, in each of them; nothing where little stayed.
fn changed(old: &str, new: &str) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (before, after) = (words(old), words(new));
    if before.len() > WORDS || after.len() > WORDS {
        return (Vec::new(), Vec::new());
    }
    let operations = capture_diff_slices(Algorithm::Myers, &texts(&before), &texts(&after));
    let (mut gone, mut come, mut stayed) = (Vec::new(), Vec::new(), 0);
    for operation in operations {
        if let DiffOp::Equal { old_index, len, .. } = operation {
            let same = before[old_index..old_index + len].iter();
            stayed += same.map(|(_, word)| word.trim().len()).sum::<usize>();
            continue;
        }
        gone.extend(bytes(&before, &operation.old_range()));
        come.extend(bytes(&after, &operation.new_range()));
    }
    if stayed * 3 < old.trim().len().max(new.trim().len()) {
        return (Vec::new(), Vec::new());
    }
    (gone, come)
}

/// The words of a text, and what stands between them, each with its place.
fn words(text: &str) -> Vec<(usize, &str)> {
    text.split_word_bound_indices().take(WORDS + 1).collect()
}

fn texts<'a>(words: &[(usize, &'a str)]) -> Vec<&'a str> {
    words.iter().map(|(_, word)| *word).collect()
}

fn bytes(words: &[(usize, &str)], range: &Range<usize>) -> Option<Range<usize>> {
    let (from, _) = words.get(range.start).filter(|_| !range.is_empty())?;
    let (last, word) = words.get(range.end - 1)?;
    Some(*from..last + word.len())
}

/// `   12 -let x = 1;`.
fn shown(row: &Row, code: Option<&mut Code>, digits: Option<usize>) -> Line<'static> {
    let (sign, ground, word) = match row.sign {
        '+' => (look::GOOD, look::ADDED, look::ADDED_WORD),
        '-' => (look::BAD, look::REMOVED, look::REMOVED_WORD),
        _ => (look::DIM, look::PLAIN, look::PLAIN),
    };
    let gutter = match digits {
        Some(digits) => format!("    {:>digits$} ", row.number),
        None => "  ".to_owned(),
    };
    let mut spans = vec![
        Span::styled(gutter, look::DIM),
        Span::styled(row.sign.to_string(), ground.patch(sign)),
    ];
    let text = match code {
        Some(code) => code.line(&row.text, ground),
        None if row.sign == ' ' => vec![Span::styled(row.text.clone(), look::DIM)],
        None => vec![Span::styled(row.text.clone(), ground)],
    };
    spans.extend(stressed(text, &row.changed, word));
    Line::from(spans)
}

/// The spans with parts of them, in bytes, on another ground.
fn stressed(
    spans: Vec<Span<'static>>,
    parts: &[Range<usize>],
    ground: Style,
) -> Vec<Span<'static>> {
    if parts.is_empty() {
        return spans;
    }
    let mut cut = Vec::new();
    let mut from = 0;
    for span in spans {
        let end = from + span.content.len();
        let mut at = from;
        while at < end {
            let part = parts.iter().find(|part| part.end > at);
            let (stop, style) = match part {
                Some(part) if part.start <= at => (part.end, span.style.patch(ground)),
                Some(part) => (part.start, span.style),
                None => (end, span.style),
            };
            let stop = stop.min(end);
            let piece = span.content[at - from..stop - from].to_owned();
            cut.push(Span::styled(piece, style));
            at = stop;
        }
        from = end;
    }
    cut
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use quire_protocol::ChangeKind;

    use super::*;

    /// Each line; what is on the ground of a changed word stands in brackets.
    fn check(path: &str, diff: &str, columns: u16, expected: &Expect) {
        let change = FileChange {
            path: path.into(),
            kind: ChangeKind::Modified,
            diff: diff.to_owned(),
        };
        let mut shown = "change\n".to_owned();
        for line in lines(&change, 12, columns) {
            for span in line.spans {
                let word = [look::ADDED_WORD.bg, look::REMOVED_WORD.bg].contains(&span.style.bg);
                if word {
                    shown.extend(["[", &span.content, "]"]);
                } else {
                    shown.push_str(&span.content);
                }
            }
            shown.push('\n');
        }
        expected.assert_eq(&shown);
    }

    const CHANGE: &str = "--- a/x\n+++ b/x\n@@ -98,5 +98,5 @@ impl X\n fn 漢() {\n-    let größe = \
        one(1);\n-    gone\n+    let größe = two(1);\n+    quite another thing\n }\n@@ -200 +200,2 @@\n \
        \tend\n+\x1b[2Jmore\n\\ No newline at end of file\n";

    #[test]
    fn numbers_signs_and_changed_words() {
        check(
            "x.rs",
            CHANGE,
            80,
            &expect![[r#"
                change
                     98  fn 漢() {
                     99 -    let größe = [one](1);
                    100 -    gone
                     99 +    let größe = [two](1);
                    100 +    quite another thing
                    101  }
                        ⋮
                    200      end
                    201 +more
            "#]],
        );
    }

    #[test]
    fn narrow_screens_have_signs_and_no_numbers() {
        check(
            "x",
            CHANGE,
            40,
            &expect![[r#"
                change
                   fn 漢() {
                  -    let größe = [one](1);
                  -    gone
                  +    let größe = [two](1);
                  +    quite another thing
                   }
                  ⋮
                       end
                  +more
            "#]],
        );
    }

    #[test]
    fn a_long_diff_says_how_much_is_not_shown() {
        let diff = format!("@@ -1,0 +1,100 @@\n{}", "+x\n".repeat(100));
        let change = FileChange {
            path: "x".into(),
            kind: ChangeKind::Added,
            diff,
        };
        let lines = lines(&change, 12, 80);
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[11].to_string().trim(), "… 89 more lines");
        assert_eq!(extent(&change), (100, 0));
    }
}
