//! Exact replacement in a text, all edits or none. Pure. Line endings of the file win over those
//! of the edit.

use crate::text;

/// One replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    /// What is there.
    pub(crate) old: String,
    /// What comes in its place.
    pub(crate) new: String,
    /// How often it may be there.
    pub(crate) reach: Reach,
}

/// Which occurrences an edit means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The only one.
    Once,
    /// All of them, at least one.
    All,
}

/// The text after all edits, each applied to the result of the one before, and how many places
/// changed; or why one does not fit.
pub(crate) fn replace(original: &str, edits: &[Edit]) -> Result<(String, usize), String> {
    let mut current = original.to_owned();
    let mut places = 0;
    for (index, edit) in edits.iter().enumerate() {
        let (next, count) = replace_one(&current, edit).map_err(|reason| match edits.len() {
            1 => reason,
            many => format!("edit {} of {many}: {reason}", index + 1),
        })?;
        current = next;
        places += count;
    }
    if current == original {
        return Err("the edits change nothing: the text would stay as it is".to_owned());
    }
    Ok((current, places))
}

fn replace_one(text: &str, edit: &Edit) -> Result<(String, usize), String> {
    if edit.old.is_empty() {
        return Err(
            "`old` is empty: give the text to replace, or use write for a new file".to_owned(),
        );
    }
    if edit.old == edit.new {
        return Err("`old` and `new` are the same".to_owned());
    }
    let windows = mostly_windows(text);
    let new = if windows {
        with_windows_endings(&edit.new)
    } else {
        edit.new.clone()
    };
    let mut spellings = [
        edit.old.clone(),
        with_windows_endings(&edit.old),
        edit.old.replace("\r\n", "\n"),
    ];
    if windows {
        spellings.swap(0, 1);
    }
    let found = spellings
        .iter()
        .map(|old| {
            (
                old,
                text.match_indices(old.as_str())
                    .map(|(at, _)| at)
                    .collect::<Vec<_>>(),
            )
        })
        .find(|(_, places)| !places.is_empty());
    match found {
        None => Err(not_found(text, &edit.old)),
        Some((_, places)) if places.len() > 1 && edit.reach == Reach::Once => {
            Err(too_many(text, &places))
        }
        Some((old, places)) => Ok((text.replace(old.as_str(), &new), places.len())),
    }
}

fn mostly_windows(text: &str) -> bool {
    let windows = text.matches("\r\n").count();
    windows > 0 && windows * 2 > text.matches('\n').count()
}

fn with_windows_endings(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

fn too_many(text: &str, places: &[usize]) -> String {
    const SHOWN: usize = 10;
    let mut lines: Vec<String> = Vec::new();
    let (mut line, mut seen) = (1, 0);
    for place in places {
        line += text[seen..*place].matches('\n').count();
        seen = *place;
        if lines.len() == SHOWN {
            lines.push("…".to_owned());
            break;
        }
        let number = line.to_string();
        if lines.last() != Some(&number) {
            lines.push(number);
        }
    }
    format!(
        "`old` occurs {} times (lines {}): add lines around it until it is the only one, or set `all`",
        places.len(),
        lines.join(", ")
    )
}

/// What is left of a text that was copied from the read tool with the numbers of its lines.
fn without_numbers(old: &str) -> Option<String> {
    let bare = |line| {
        let (number, rest) = str::split_once(line, '\t')?;
        number.parse::<u64>().ok().map(|_| rest)
    };
    let lines: Vec<&str> = old.lines().map(bare).collect::<Option<_>>()?;
    Some(lines.join("\n")).filter(|bare| !bare.is_empty())
}

fn not_found(text: &str, old: &str) -> String {
    if let Some(bare) = without_numbers(old)
        && text.replace("\r\n", "\n").contains(&bare)
    {
        return "`old` begins its lines with their numbers, which are not in the file: leave them out"
            .to_owned();
    }
    let lines: Vec<&str> = text.lines().collect();
    let wanted: Vec<&str> = old.trim_matches('\n').lines().collect();
    let Some(near) = text::nearest(&lines, &wanted) else {
        return "`old` is not in the file, nor anything like it: read the file again".to_owned();
    };
    let end = lines.len().min(near + wanted.len().clamp(3, 12));
    let differs = wanted.len() <= lines.len() - near
        && wanted
            .iter()
            .zip(&lines[near..])
            .all(|(one, other)| one.trim() == other.trim());
    let reason = if differs {
        "`old` is not in the file; lines there differ from it only in white space (tabs, indentation, ends of lines)"
    } else {
        "`old` is not in the file"
    };
    format!(
        "{reason}. The nearest in the file:\n{}",
        text::numbered(&lines[near..end], near + 1)
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn once(old: &str, new: &str) -> Edit {
        Edit {
            old: old.to_owned(),
            new: new.to_owned(),
            reach: Reach::Once,
        }
    }

    fn all(old: &str, new: &str) -> Edit {
        Edit {
            reach: Reach::All,
            ..once(old, new)
        }
    }

    #[test]
    fn replaces() {
        for (text, edits, expected, places) in [
            ("a b c", vec![once("b", "B")], "a B c", 1),
            ("a a", vec![all("a", "b")], "b b", 2),
            ("a\nb", vec![once("a", "b\nb"), all("b", "c")], "c\nc\nc", 4),
            (
                "a\r\nb\r\n",
                vec![once("a\nb\n", "x\ny\n")],
                "x\r\ny\r\n",
                1,
            ),
            ("a\r\nb\r\n", vec![once("a", "x\ny")], "x\r\ny\r\nb\r\n", 1),
            ("a\nb", vec![once("a\r\nb", "x")], "x", 1),
            ("no end", vec![once("end", "stop")], "no stop", 1),
        ] {
            assert_eq!(
                replace(text, &edits),
                Ok((expected.to_owned(), places)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn says_what_does_not_fit() {
        for (text, edits, says) in [
            ("a", vec![once("", "x")], "`old` is empty"),
            ("a", vec![once("a", "a")], "are the same"),
            (
                "a\nb\na",
                vec![once("a", "x")],
                "occurs 2 times (lines 1, 3)",
            ),
            ("aa\na", vec![once("a", "x")], "occurs 3 times (lines 1, 2)"),
            ("a", vec![once("zzz", "x")], "nor anything like it"),
            (
                "if x {\n\tgo();\n}",
                vec![once("if x {\n    go();\n}", "")],
                "only in white space",
            ),
            (
                "let total = sum(a);\n",
                vec![once("let total = sum(b);", "")],
                "nearest in the file:\n1\tlet total = sum(a);",
            ),
            (
                "a\r\n\tb\r\n",
                vec![once("1\ta\n2\t\tb\n", "")],
                "begins its lines with their numbers",
            ),
            ("1\ta\n", vec![once("2\tz", "")], "nor anything like it"),
            ("a", vec![once("a", "b"), once("c", "d")], "edit 2 of 2: "),
            ("a", vec![once("a", "b"), once("b", "a")], "change nothing"),
        ] {
            let error = replace(text, &edits).unwrap_err();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn line_endings_of_the_file_stay(text in "[ab\n]{0,20}", old in "[ab\n]{1,4}", new in "[ab\n]{0,4}") {
            let windows = text.replace('\n', "\r\n");
            prop_assume!(text.contains('\n'));
            let edits = [all(&old, &new)];
            let unix = replace(&text, &edits).map(|(text, count)| (text.replace('\n', "\r\n"), count));
            prop_assert_eq!(unix.ok(), replace(&windows, &edits).ok());
        }

        #[test]
        fn an_edit_can_be_taken_back(before in "[a-m\n]{0,20}", after in "[a-m\n]{0,20}", new in "[N-Z]{1,5}") {
            let text = format!("{before}#old#{after}");
            let (changed, _) = replace(&text, &[once("#old#", &format!("#{new}#"))]).unwrap();
            let (back, _) = replace(&changed, &[once(&format!("#{new}#"), "#old#")]).unwrap();
            prop_assert_eq!(back, text);
        }
    }
}
