//! Parses the patch form that OpenAI's models write. Pure: bytes to file changes, or an error that
//! says in which line and what to do. It reads no files.

/// A parsed patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// What happens to each file, in order.
    pub files: Vec<FilePatch>,
}

/// What happens to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilePatch {
    /// A new file.
    Add {
        /// Where.
        path: String,
        /// All of it; every line ends with a line feed.
        content: String,
    },
    /// A file is removed.
    Delete {
        /// Which.
        path: String,
    },
    /// A file is changed, moved, or both.
    Update {
        /// Which.
        path: String,
        /// Its new place.
        move_to: Option<String>,
        /// The changes, in the order of the file.
        chunks: Vec<Chunk>,
    },
}

/// One change inside a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// What stands after `@@`: lines to go to, one after the other, before looking for the change.
    pub headers: Vec<String>,
    /// The lines.
    pub lines: Vec<ChunkLine>,
    /// Whether it must stand at the end of the file.
    pub at_end: bool,
    /// The patch's line where it begins, counted from 1.
    pub line: usize,
}

/// One line of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkLine {
    /// Stays.
    Keep(String),
    /// Goes.
    Remove(String),
    /// Comes.
    Add(String),
}

/// Why a patch cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the patch: {reason}")]
pub struct PatchError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong and what to write instead.
    pub reason: String,
}

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const ADD: &str = "*** Add File:";
const DELETE: &str = "*** Delete File:";
const UPDATE: &str = "*** Update File:";
const MOVE: &str = "*** Move to:";
const END_OF_FILE: &str = "*** End of File";

/// Parses a patch. Fences and a here-document around it are taken off; CRLF counts as a line feed.
///
/// # Errors
/// The line that cannot be understood, and what to write instead.
pub fn parse_patch(bytes: &[u8]) -> Result<Patch, PatchError> {
    let text = std::str::from_utf8(bytes).map_err(|error| PatchError {
        line: 1 + crate::text::feeds(&bytes[..error.valid_up_to()]),
        reason: "this is not UTF-8 text".to_owned(),
    })?;
    let mut lines: Vec<&str> = text.lines().collect();
    let first = unwrapped(&mut lines);
    let mut parser = Parser { lines, next: first };
    parser.patch()
}

/// Cuts what may follow the patch and returns the index of its first line.
fn unwrapped(lines: &mut Vec<&str>) -> usize {
    let mut first = 0;
    let wraps = |line: &str| {
        let line = line.trim();
        line.is_empty() || line.starts_with("```") || is_heredoc(line)
    };
    while first < lines.len() && wraps(lines[first]) {
        first += 1;
    }
    let word = lines[..first].iter().find_map(|line| heredoc_word(line));
    while let Some(last) = lines.last().map(|line| line.trim()) {
        let closes = last.is_empty() || last.starts_with("```") || Some(last) == word;
        if !closes || lines.len() <= first {
            break;
        }
        lines.pop();
    }
    first
}

fn is_heredoc(line: &str) -> bool {
    line.starts_with("apply_patch") && line.contains("<<")
}

fn heredoc_word(line: &str) -> Option<&str> {
    let (_, word) = line.split_once("<<")?;
    Some(
        word.trim_start_matches('-')
            .trim()
            .trim_matches(['\'', '"']),
    )
}

struct Parser<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.lines.get(self.next).copied()
    }

    fn error<T>(&self, reason: impl Into<String>) -> Result<T, PatchError> {
        Err(PatchError {
            line: self.next + 1,
            reason: reason.into(),
        })
    }

    fn patch(&mut self) -> Result<Patch, PatchError> {
        if self.peek().map(str::trim) != Some(BEGIN) {
            return self.error(format!("a patch begins with `{BEGIN}`"));
        }
        self.next += 1;
        let mut files = Vec::new();
        loop {
            match self.peek().map(str::trim_end) {
                None => {
                    return self.error(format!(
                        "the patch is cut off: it must end with `{END}`; nothing was changed"
                    ));
                }
                Some(line) if line.trim() == END => break,
                Some("") => self.next += 1,
                Some(_) => files.push(self.file()?),
            }
        }
        self.next += 1;
        if self.peek().is_some() {
            return self.error(format!("nothing may follow `{END}`"));
        }
        if files.is_empty() {
            return self.error("the patch changes no file");
        }
        Ok(Patch { files })
    }

    fn file(&mut self) -> Result<FilePatch, PatchError> {
        let line = self.peek().unwrap_or_default();
        if let Some(path) = line.strip_prefix(ADD) {
            let path = self.path(path)?;
            self.added(path)
        } else if let Some(path) = line.strip_prefix(DELETE) {
            Ok(FilePatch::Delete {
                path: self.path(path)?,
            })
        } else if let Some(path) = line.strip_prefix(UPDATE) {
            let path = self.path(path)?;
            self.updated(path)
        } else {
            self.error(format!(
                "expected `{ADD} path`, `{UPDATE} path`, `{DELETE} path` or `{END}`, found `{}`",
                crate::text::cut(line, 80)
            ))
        }
    }

    /// The path in a header, which is then behind us.
    fn path(&mut self, text: &str) -> Result<String, PatchError> {
        let path = text.trim();
        if path.is_empty() || path.contains('\0') {
            return self.error("a path is missing after the colon");
        }
        self.next += 1;
        Ok(path.to_owned())
    }

    fn added(&mut self, path: String) -> Result<FilePatch, PatchError> {
        let mut content = String::new();
        while let Some(line) = self.peek() {
            if let Some(added) = line.strip_prefix('+') {
                content.push_str(added);
                content.push('\n');
            } else if line.starts_with("***") || self.only_blank_until_header() {
                break;
            } else {
                return self.error("every line of an added file begins with `+`");
            }
            self.next += 1;
        }
        Ok(FilePatch::Add { path, content })
    }

    /// Whether nothing but empty lines stands between here and the next header.
    fn only_blank_until_header(&self) -> bool {
        self.lines[self.next..]
            .iter()
            .find(|line| !line.is_empty())
            .is_none_or(|line| line.starts_with("***"))
    }

    fn updated(&mut self, path: String) -> Result<FilePatch, PatchError> {
        let mut move_to = None;
        if let Some(target) = self.peek().and_then(|line| line.strip_prefix(MOVE)) {
            move_to = Some(self.path(target)?);
        }
        let mut chunks = Vec::new();
        while let Some(line) = self.peek() {
            if (line.starts_with("***") && line.trim_end() != END_OF_FILE)
                || self.only_blank_until_header() && line.is_empty()
            {
                break;
            }
            chunks.push(self.chunk()?);
        }
        if chunks.is_empty() && move_to.is_none() {
            return self.error(format!("the update of `{path}` has no changes"));
        }
        Ok(FilePatch::Update {
            path,
            move_to,
            chunks,
        })
    }

    fn chunk(&mut self) -> Result<Chunk, PatchError> {
        let mut chunk = Chunk {
            line: self.next + 1,
            ..Chunk::default()
        };
        while let Some(header) = self.peek().and_then(|line| line.strip_prefix("@@")) {
            chunk.headers.extend(header_text(header));
            self.next += 1;
        }
        while let Some(line) = self.peek() {
            if line.trim_end() == END_OF_FILE {
                chunk.at_end = true;
                self.next += 1;
                break;
            }
            if line.starts_with("@@") || line.starts_with("***") {
                break;
            }
            if line.is_empty() && self.only_blank_until_header() {
                break;
            }
            chunk.lines.push(self.chunk_line(line)?);
            self.next += 1;
        }
        if chunk.lines.is_empty() {
            return self.error("a change must have lines that begin with ` `, `-` or `+`");
        }
        Ok(chunk)
    }

    fn chunk_line(&self, line: &str) -> Result<ChunkLine, PatchError> {
        let mut characters = line.chars();
        let kind = characters.next();
        let rest = characters.as_str().to_owned();
        match kind {
            None => Ok(ChunkLine::Keep(String::new())),
            Some(' ') => Ok(ChunkLine::Keep(rest)),
            Some('-') => Ok(ChunkLine::Remove(rest)),
            Some('+') => Ok(ChunkLine::Add(rest)),
            Some('\t') => Ok(ChunkLine::Keep(line.to_owned())),
            Some(_) => self.error(format!(
                "expected a line that begins with ` `, `-`, `+` or `@@`, found `{}`",
                crate::text::cut(line, 80)
            )),
        }
    }
}

/// What to look for; nothing for a bare `@@` or for line numbers as `diff -u` writes them.
fn header_text(header: &str) -> Option<String> {
    let mut text = header.trim();
    if text.starts_with('-') && text.contains(" +") {
        text = text
            .split_once("@@")
            .map_or("", |(_, section)| section.trim());
    }
    let text = text.strip_suffix("@@").unwrap_or(text).trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: &Expect) {
        let actual = match parse_patch(text.as_bytes()) {
            Ok(patch) => format!("{:?}", patch.files),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&actual);
    }

    const SMALL: &str = "*** Begin Patch\n*** Delete File: a\n*** End Patch";

    #[test]
    fn every_operation() {
        check(
            "*** Begin Patch\n*** Add File: new.rs\n+one\n+\n*** Update File: old.rs\n*** Move to: moved.rs\n@@ fn main\n keep\n-gone\n+come\n@@\n-last\n*** End of File\n\n*** Delete File: dead.rs\n*** End Patch\n",
            &expect![[
                r#"[Add { path: "new.rs", content: "one\n\n" }, Update { path: "old.rs", move_to: Some("moved.rs"), chunks: [Chunk { headers: ["fn main"], lines: [Keep("keep"), Remove("gone"), Add("come")], at_end: false, line: 7 }, Chunk { headers: [], lines: [Remove("last")], at_end: true, line: 11 }] }, Delete { path: "dead.rs" }]"#
            ]],
        );
    }

    #[test]
    fn wrappings_are_taken_off() {
        let bare = parse_patch(SMALL.as_bytes()).unwrap();
        for wrapped in [
            format!("```\n{SMALL}\n```"),
            format!("```diff\n{SMALL}\n```\n\n"),
            format!("apply_patch <<'EOF'\n{SMALL}\nEOF\n"),
            format!("apply_patch <<\"PATCH\"\n{SMALL}\nPATCH"),
            format!("\n\n{SMALL}\n\n"),
            SMALL.replace('\n', "\r\n"),
        ] {
            assert_eq!(
                parse_patch(wrapped.as_bytes()).as_ref(),
                Ok(&bare),
                "{wrapped}"
            );
        }
    }

    #[test]
    fn blank_lines_without_their_space() {
        check(
            "*** Begin Patch\n*** Update File: a\n@@ -1,3 +1,3 @@ fn b\n x\n\n-y\n\n\n*** End Patch",
            &expect![[
                r#"[Update { path: "a", move_to: None, chunks: [Chunk { headers: ["fn b"], lines: [Keep("x"), Keep(""), Remove("y")], at_end: false, line: 3 }] }]"#
            ]],
        );
    }

    #[test]
    fn errors_say_where_and_what() {
        for (text, expected) in [
            (
                "",
                expect!["line 1 of the patch: a patch begins with `*** Begin Patch`"],
            ),
            (
                "--- a\n+++ b",
                expect!["line 1 of the patch: a patch begins with `*** Begin Patch`"],
            ),
            (
                "*** Begin Patch\n*** Delete File: a",
                expect![
                    "line 3 of the patch: the patch is cut off: it must end with `*** End Patch`; nothing was changed"
                ],
            ),
            (
                "*** Begin Patch\n*** End Patch",
                expect!["line 3 of the patch: the patch changes no file"],
            ),
            (
                "*** Begin Patch\n*** Add File: a\nx\n*** End Patch",
                expect!["line 3 of the patch: every line of an added file begins with `+`"],
            ),
            (
                "*** Begin Patch\n*** Add File:\n*** End Patch",
                expect!["line 2 of the patch: a path is missing after the colon"],
            ),
            (
                "*** Begin Patch\n*** Update File: a\n*** End Patch",
                expect!["line 3 of the patch: the update of `a` has no changes"],
            ),
            (
                "*** Begin Patch\n*** Update File: a\n@@\nwrong\n*** End Patch",
                expect![
                    "line 4 of the patch: expected a line that begins with ` `, `-`, `+` or `@@`, found `wrong`"
                ],
            ),
            (
                "*** Begin Patch\n*** Update File: a\n@@\n*** End Patch",
                expect![
                    "line 4 of the patch: a change must have lines that begin with ` `, `-` or `+`"
                ],
            ),
            (
                "*** Begin Patch\nhello\n*** End Patch",
                expect![
                    "line 2 of the patch: expected `*** Add File: path`, `*** Update File: path`, `*** Delete File: path` or `*** End Patch`, found `hello`"
                ],
            ),
        ] {
            check(text, &expected);
        }
        assert_eq!(parse_patch(b"a\nb\xff").unwrap_err().line, 2);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = parse_patch(&bytes);
        }

        #[test]
        fn never_panics_on_likely_lines(lines in proptest::collection::vec(
            proptest::sample::select(vec![
                BEGIN, END, "*** Add File: a", "*** Update File: b", "*** Move to: c", "@@",
                "@@ x @@", "+a", "-b", " c", "", "*** End of File", "```", "é", "*** Delete File: d",
                "apply_patch <<'EOF'", "EOF",
            ]), 0..12))
        {
            let _ = parse_patch(lines.join("\n").as_bytes());
        }
    }
}
