//! Applies the chunks of a patch to a file's text. Pure. Context is looked for exactly, then
//! without regard to white space at line ends, then around lines, then to typographic signs; lines
//! that stay are never rewritten.

use crate::patch::{Chunk, ChunkLine};
use crate::text;

/// The text after all chunks, or why one does not fit.
pub(crate) fn apply(original: &str, chunks: &[Chunk]) -> Result<String, String> {
    let file = Lines::split(original);
    let mut replacements = Vec::new();
    let mut cursor = 0;
    for chunk in chunks {
        let replacement = place(&file.texts, chunk, cursor)?;
        cursor = replacement.start + replacement.removed;
        replacements.push(replacement);
    }
    Ok(file.rebuilt(&replacements))
}

/// A file's lines and their endings.
struct Lines<'a> {
    texts: Vec<&'a str>,
    endings: Vec<&'a str>,
    ending: &'static str,
}

/// Lines `start..start + removed` become `lines`.
struct Replacement<'a> {
    start: usize,
    removed: usize,
    lines: Vec<NewLine<'a>>,
}

enum NewLine<'a> {
    /// The file's own line at this index.
    Kept(usize),
    Added(&'a str),
}

impl<'a> Lines<'a> {
    fn split(text: &'a str) -> Self {
        let mut texts = Vec::new();
        let mut endings = Vec::new();
        let mut windows = 0;
        for line in text.split_inclusive('\n') {
            let body = line.strip_suffix('\n').unwrap_or(line);
            let body = if body.len() < line.len() {
                body.strip_suffix('\r').unwrap_or(body)
            } else {
                body
            };
            windows += usize::from(line.len() - body.len() == 2);
            texts.push(body);
            endings.push(&line[body.len()..]);
        }
        let ending = if windows * 2 > texts.len() {
            "\r\n"
        } else {
            "\n"
        };
        Self {
            texts,
            endings,
            ending,
        }
    }

    fn rebuilt(&self, replacements: &[Replacement<'_>]) -> String {
        let mut lines: Vec<(&str, &str)> = Vec::new();
        let mut next = 0;
        let own = |index: usize| (self.texts[index], self.endings[index]);
        for replacement in replacements {
            lines.extend((next..replacement.start).map(own));
            lines.extend(replacement.lines.iter().map(|line| match line {
                NewLine::Kept(index) => own(*index),
                NewLine::Added(text) => (*text, self.ending),
            }));
            next = replacement.start + replacement.removed;
        }
        lines.extend((next..self.texts.len()).map(own));
        self.joined(&lines)
    }

    /// Every line but the last needs an ending; the last has one if the file's last line had.
    fn joined(&self, lines: &[(&str, &str)]) -> String {
        let ends_bare = self.endings.last().is_some_and(|ending| ending.is_empty());
        let mut text = String::new();
        for (index, (body, ending)) in lines.iter().enumerate() {
            text.push_str(body);
            let last = index + 1 == lines.len();
            match (last, ending.is_empty()) {
                (true, _) if ends_bare => {}
                (_, true) => text.push_str(self.ending),
                (_, false) => text.push_str(ending),
            }
        }
        text
    }
}

/// Finds where a chunk goes, at or after line `cursor`.
fn place<'a>(file: &[&str], chunk: &'a Chunk, cursor: usize) -> Result<Replacement<'a>, String> {
    let from = after_headers(file, chunk, cursor)?;
    let old: Vec<&str> = chunk
        .lines
        .iter()
        .filter_map(|line| match line {
            ChunkLine::Keep(text) | ChunkLine::Remove(text) => Some(text.as_str()),
            ChunkLine::Add(_) => None,
        })
        .collect();
    let start = if old.is_empty() {
        insertion_point(file, chunk, from)
    } else {
        find(file, &old, from, chunk.at_end)
            .or_else(|| {
                from.checked_sub(1)
                    .filter(|line| *line >= cursor)
                    .and_then(|line| {
                        find(file, &old, line, chunk.at_end).filter(|found| *found == line)
                    })
            })
            .ok_or_else(|| not_found(file, chunk, &old, from))?
    };
    let mut index = start;
    let mut lines = Vec::new();
    for line in &chunk.lines {
        match line {
            ChunkLine::Keep(_) => {
                lines.push(NewLine::Kept(index));
                index += 1;
            }
            ChunkLine::Remove(_) => index += 1,
            ChunkLine::Add(text) => lines.push(NewLine::Added(text)),
        }
    }
    Ok(Replacement {
        start,
        removed: old.len(),
        lines,
    })
}

/// Lines without context go after their header, else to the end of the file.
fn insertion_point(file: &[&str], chunk: &Chunk, from: usize) -> usize {
    if chunk.headers.is_empty() || chunk.at_end {
        file.len()
    } else {
        from
    }
}

/// Follows the `@@` lines; returns the line after the last one.
fn after_headers(file: &[&str], chunk: &Chunk, cursor: usize) -> Result<usize, String> {
    let mut from = cursor;
    for header in &chunk.headers {
        let tests: [fn(&str, &str) -> bool; 4] = [
            |line, header| line == header,
            |line, header| line.trim() == header.trim(),
            |line, header| line.trim().starts_with(header.trim()),
            |line, header| line.contains(header.trim()),
        ];
        let found = tests
            .iter()
            .find_map(|test| (from..file.len()).find(|index| test(file[*index], header)));
        from = 1 + found.ok_or_else(|| {
            format!(
                "patch line {}: no line of the file from line {} on matches `@@ {header}`; \
                 leave the `@@` text out or copy a line of the file",
                chunk.line,
                from + 1
            )
        })?;
    }
    Ok(from)
}

/// The first place at or after `from` where `old` stands; at the file's end if it must.
fn find(file: &[&str], old: &[&str], from: usize, at_end: bool) -> Option<usize> {
    let last = file.len().checked_sub(old.len())?;
    let tests: [fn(&str, &str) -> bool; 4] = [
        |a, b| a == b,
        |a, b| a.trim_end() == b.trim_end(),
        |a, b| a.trim() == b.trim(),
        |a, b| plain(a.trim()).eq(plain(b.trim())),
    ];
    let fits = |start: usize, test: fn(&str, &str) -> bool| {
        old.iter()
            .zip(&file[start..])
            .all(|(wanted, line)| test(line, wanted))
    };
    tests.iter().find_map(|test| {
        let at_the_end = (at_end && last >= from && fits(last, *test)).then_some(last);
        at_the_end.or_else(|| (from..=last).find(|start| fits(*start, *test)))
    })
}

/// Typographic signs as the plain ones that models write for them.
fn plain(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|character| match character {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => ' ',
        other => other,
    })
}

fn not_found(file: &[&str], chunk: &Chunk, old: &[&str], from: usize) -> String {
    let line = chunk.line;
    if let Some(earlier) = find(file, old, 0, false) {
        return format!(
            "patch line {line}: this change matches line {} of the file, which comes before the \
             change or `@@` above it: write the changes of a file in its order",
            earlier + 1
        );
    }
    let mut message = format!(
        "patch line {line}: these lines are not in the file{}:\n{}",
        if from > 0 {
            format!(" after line {from}")
        } else {
            String::new()
        },
        old.iter()
            .take(8)
            .map(|line| text::cut(line, 200))
            .collect::<Vec<_>>()
            .join("\n")
    );
    if let Some(near) = text::nearest(file, old) {
        let end = file.len().min(near + old.len().clamp(3, 8));
        message.push_str("\nThe nearest in the file:\n");
        message.push_str(&text::numbered(&file[near..end], near + 1));
    }
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::patch::{FilePatch, parse_patch};

    fn patched(original: &str, body: &str) -> Result<String, String> {
        let patch = format!("*** Begin Patch\n*** Update File: f\n{body}*** End Patch\n");
        match &parse_patch(patch.as_bytes()).unwrap().files[0] {
            FilePatch::Update { chunks, .. } => apply(original, chunks),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn places_changes() {
        for (original, body, expected) in [
            ("a\nb\nc\n", "@@\n a\n-b\n+B\n c\n", "a\nB\nc\n"),
            ("a\nb\nc\n", " a\n-b\n+B\n", "a\nB\nc\n"),
            (
                "x\na\nx\nfn f\nx\n",
                "@@ fn f\n-x\n+y\n",
                "x\na\nx\nfn f\ny\n",
            ),
            (
                "class A\n m\n x\nclass B\n m\n x\n",
                "@@ class B\n@@ m\n- x\n+ y\n",
                "class A\n m\n x\nclass B\n m\n y\n",
            ),
            ("fn f\nx\n", "@@ fn f\n fn f\n-x\n+y\n", "fn f\ny\n"),
            ("a  \nb\n", " a\n-b\n+c\n", "a  \nc\n"),
            (
                "\tif x:\n\t\ty\n",
                " if x:\n-y\n+\t\tz\n",
                "\tif x:\n\t\tz\n",
            ),
            (
                "it\u{2019}s \u{2014} here\nb\n",
                " it's - here\n-b\n+c\n",
                "it\u{2019}s \u{2014} here\nc\n",
            ),
            ("a\r\nb\r\n", " a\n-b\n+c\n+d\n", "a\r\nc\r\nd\r\n"),
            ("a\nb", " a\n-b\n+c\n", "a\nc"),
            ("a\nb", " b\n+c\n", "a\nb\nc"),
            ("a\n", "+z\n", "a\nz\n"),
            ("", "+z\n", "z\n"),
            ("fn f\nx\n", "@@ fn f\n+new\n", "fn f\nnew\nx\n"),
            ("x\ny\nx\n", "@@\n-x\n+z\n*** End of File\n", "x\ny\nz\n"),
            ("a\nb\na\nb\n", "-a\n+1\n@@\n-a\n+2\n", "1\nb\n2\nb\n"),
            ("only\n", "-only\n", ""),
        ] {
            assert_eq!(patched(original, body).as_deref(), Ok(expected), "{body}");
        }
    }

    #[test]
    fn says_why_a_change_does_not_fit() {
        for (original, body, says) in [
            ("a\n", "-b\n+c\n", "these lines are not in the file:\nb"),
            (
                "let value = compute(1);\n",
                "-let value = compute(2);\n",
                "nearest in the file:\n1\tlet value",
            ),
            (
                "a\nb\n",
                "-b\n+c\n@@\n-a\n+c\n",
                "matches line 1 of the file, which comes before",
            ),
            ("a\n", "@@ fn missing\n-a\n", "matches `@@ fn missing`"),
        ] {
            let error = patched(original, body).unwrap_err();
            assert!(error.contains(says), "{body}: {error}");
        }
    }

    fn as_patch(old: &str, new: &str) -> String {
        let diff = similar::TextDiff::from_lines(old, new);
        let mut body = String::from("@@\n");
        for change in diff.iter_all_changes() {
            let sign = match change.tag() {
                similar::ChangeTag::Equal => ' ',
                similar::ChangeTag::Delete => '-',
                similar::ChangeTag::Insert => '+',
            };
            body.push(sign);
            body.push_str(change.value().trim_end_matches('\n'));
            body.push('\n');
        }
        body
    }

    proptest! {
        #[test]
        fn a_diff_leads_from_old_to_new(
            old in proptest::collection::vec("[ab ]{0,3}", 1..12),
            new in proptest::collection::vec("[ab ]{0,3}", 1..12),
        ) {
            let (old, new) = (old.join("\n") + "\n", new.join("\n") + "\n");
            prop_assert_eq!(patched(&old, &as_patch(&old, &new)), Ok(new));
        }

        #[test]
        fn never_panics(original in "[ab\r\n]{0,30}", body in "([ +-][ab]?\n|@@ ?[ab]?\n){1,8}") {
            let patch = format!("*** Begin Patch\n*** Update File: f\n{body}*** End Patch\n");
            if let Ok(patch) = parse_patch(patch.as_bytes())
                && let FilePatch::Update { chunks, .. } = &patch.files[0]
            {
                let _ = apply(&original, chunks);
            }
        }
    }
}
