//! The read tool: numbered lines of a text, or an image. It never loads a large file.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quire_protocol::{Content, ToolInput, ToolOutcome, ToolSpec, ToolStatus};
use serde_json::json;

use crate::arguments::Arguments;
use crate::calls::Stop;
use crate::clean::clean;
use crate::place::Place;
use crate::spool::{Blobs, SCHEME};
use crate::text;
use quire_walk::open_checked;

const SHAPE: &str = "{path: string, offset?: int, limit?: int}";
const DEFAULT_LINES: u64 = 2_000;
/// Text that one call shows, in bytes.
const MOST_SHOWN: usize = 64 * 1024;
/// Bytes of a line that are shown.
const MOST_LINE: usize = 2_000;
const MOST_IMAGE: u64 = 5 << 20;
/// UTF-16 files above this are not decoded.
const MOST_DECODED: u64 = 16 << 20;
/// Bytes by which a file is judged.
const SNIFFED: u64 = 8 * 1024;

pub(crate) fn spec() -> ToolSpec {
    ToolSpec {
        name: "read".to_owned(),
        description: "Read a text file as numbered lines (at most 2000 lines or 64 KB a call), an \
                      image, or kept output by its `blob:` handle."
            .to_owned(),
        input: ToolInput::Json(json!({
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "offset": {"type": "integer", "description": "First line, from 1"},
                "limit": {"type": "integer", "description": "Lines"},
            },
            "required": ["path"],
        })),
    }
}

/// Which lines are wanted.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: u64,
    lines: u64,
}

/// A call of the tool.
pub(crate) struct ReadRequest {
    path: String,
    range: Range,
}

impl ReadRequest {
    pub(crate) fn parse(arguments: &str) -> Result<Self, String> {
        let arguments = Arguments::parse(arguments, SHAPE)?;
        Ok(Self {
            path: arguments.text(&["path", "file_path"])?,
            range: Range {
                first: arguments.count("offset")?.unwrap_or(1).max(1),
                lines: arguments
                    .count("limit")?
                    .filter(|limit| *limit > 0)
                    .unwrap_or(DEFAULT_LINES),
            },
        })
    }

    /// The kept output it asks for, if it does.
    pub(crate) fn handle(&self) -> Option<&str> {
        self.path.starts_with(SCHEME).then_some(self.path.as_str())
    }

    /// Reads kept output.
    pub(crate) async fn run_on_blob(&self, blobs: &Blobs) -> Result<ToolOutcome, String> {
        let bytes = blobs.find(&self.path).await?;
        let reader = Cursor::new(bytes);
        lines(reader, self.range, &Stop::new())
            .map(Page::outcome)
            .map_err(|error| error.to_string())
    }

    /// Reads a file.
    pub(crate) fn run(&self, place: &Place, stop: &Stop) -> Result<ToolOutcome, String> {
        let path = place.readable(&self.path)?;
        self.run_on_file(&path, stop)
            .map_err(|error| format!("cannot read {}: {error}", self.path))
    }

    fn run_on_file(&self, path: &Path, stop: &Stop) -> io::Result<ToolOutcome> {
        let found = path.metadata()?;
        if found.is_dir() {
            return Err(io::Error::other("it is a folder: use list"));
        }
        if !found.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut file = open_checked(path)?;
        let mut start = Vec::new();
        file.by_ref().take(SNIFFED).read_to_end(&mut start)?;
        if let Some(media_type) = quire_protocol::image_media_type(&start) {
            return image(media_type, &start, file, found.len());
        }
        let utf16 = start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]);
        if utf16 && found.len() <= MOST_DECODED {
            file.read_to_end(&mut start)?;
            let decoded = text::decode(&start).unwrap_or_default();
            let mut page = lines(Cursor::new(decoded.into_bytes()), self.range, stop)?;
            page.text.push_str("[the file is UTF-16]\n");
            return Ok(page.outcome());
        }
        if start.contains(&0) {
            return Err(io::Error::other(format!(
                "it is a binary file ({}, {}): use a command that understands it",
                binary_kind(&start),
                text::size(found.len())
            )));
        }
        let reader = BufReader::with_capacity(64 * 1024, Cursor::new(start).chain(file));
        lines(reader, self.range, stop).map(Page::outcome)
    }
}

fn binary_kind(start: &[u8]) -> &'static str {
    const KINDS: [(&[u8], &str); 10] = [
        (b"\x7fELF", "a program"),
        (b"MZ", "a program"),
        (b"\xcf\xfa\xed\xfe", "a program"),
        (b"PK\x03\x04", "a ZIP archive or Office document"),
        (b"%PDF", "a PDF document"),
        (b"\x1f\x8b", "gzip data"),
        (b"\xfd7zXZ", "xz data"),
        (b"\x28\xb5\x2f\xfd", "zstd data"),
        (b"SQLite format 3", "a SQLite database"),
        (b"\0asm", "WebAssembly"),
    ];
    KINDS
        .iter()
        .find(|(magic, _)| start.starts_with(magic))
        .map_or("unknown kind", |(_, kind)| kind)
}

fn image(media_type: &str, start: &[u8], file: File, length: u64) -> io::Result<ToolOutcome> {
    if length > MOST_IMAGE {
        return Err(io::Error::other(format!(
            "the image has {}, more than the {} that can be shown: make it smaller",
            text::size(length),
            text::size(MOST_IMAGE)
        )));
    }
    let mut bytes = start.to_vec();
    file.take(MOST_IMAGE).read_to_end(&mut bytes)?;
    let mut outcome = ToolOutcome::text(
        ToolStatus::Done,
        format!("{media_type}, {}", text::size(length)),
    );
    outcome.content.push(Content::Image {
        media_type: media_type.to_owned(),
        data: STANDARD.encode(&bytes),
    });
    Ok(outcome)
}

/// One line as far as it is shown.
#[derive(Default)]
struct Line {
    shown: Vec<u8>,
    bytes: u64,
    windows: bool,
}

/// The wanted lines, numbered, and what there is to say about them.
fn lines(mut reader: impl BufRead, range: Range, stop: &Stop) -> io::Result<Page> {
    let mut page = Page::default();
    let mut number = 1;
    while number < range.first {
        if next_line(&mut reader, 0, stop)?.is_none() {
            return Ok(match number {
                1 => page.finished(None),
                _ => Page {
                    text: format!("(it ends at line {})", number - 1),
                    ..page
                },
            });
        }
        number += 1;
    }
    let last = range.first.saturating_add(range.lines);
    while number < last {
        let Some(line) = next_line(&mut reader, MOST_LINE, stop)? else {
            return Ok(page.finished(None));
        };
        if !page.add(number, &line) {
            return Ok(page.finished(Some(number)));
        }
        number += 1;
    }
    let more = !reader.fill_buf()?.is_empty();
    Ok(page.finished(more.then_some(number)))
}

/// Lines as they are shown.
#[derive(Default)]
struct Page {
    text: String,
    lines: u64,
    lossy: bool,
    windows: bool,
}

impl Page {
    /// Adds a line; says no when the page is full.
    fn add(&mut self, number: u64, line: &Line) -> bool {
        let cut = line.bytes > line.shown.len() as u64;
        let mut body = line.shown.as_slice();
        if number == 1 {
            body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        }
        if cut {
            body = whole_characters(body);
        }
        let cleaned = clean(body);
        let mut entry = format!("{number}\t{}", cleaned.text);
        if cut {
            let _ = write!(entry, "… [{} bytes in this line]", line.bytes);
        }
        entry.push('\n');
        if !self.text.is_empty() && self.text.len() + entry.len() > MOST_SHOWN {
            return false;
        }
        self.lossy |= cleaned.lossy;
        self.windows |= line.windows;
        self.text.push_str(&entry);
        self.lines += 1;
        true
    }

    fn finished(mut self, next: Option<u64>) -> Self {
        if self.text.is_empty() {
            self.text.push_str("(the file is empty)");
            return self;
        }
        if let Some(next) = next {
            let _ = writeln!(self.text, "[there is more: offset {next}]");
        }
        if self.windows {
            self.text.push_str("[lines end with CRLF]\n");
        }
        if self.lossy {
            self.text
                .push_str("[not UTF-8: some bytes are shown as \u{fffd}; do not edit by them]\n");
        }
        self
    }

    fn outcome(self) -> ToolOutcome {
        ToolOutcome {
            lines: Some(self.lines),
            ..ToolOutcome::text(ToolStatus::Done, self.text)
        }
    }
}

/// Without a character that was cut in two at the end.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    }
}

/// The next line without its end; at most `most` bytes of it are held.
fn next_line(reader: &mut impl BufRead, most: usize, stop: &Stop) -> io::Result<Option<Line>> {
    let mut line = Line::default();
    let mut last = None;
    loop {
        if stop.is_stopped() {
            return Err(io::Error::other("stopped"));
        }
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(last.map(|_| line));
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let piece = &buffer[..end.unwrap_or(buffer.len())];
        let room = most - line.shown.len();
        line.shown
            .extend_from_slice(&piece[..piece.len().min(room)]);
        line.bytes += piece.len() as u64;
        last = piece.last().copied().or(last).or(Some(b'\n'));
        let used = piece.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            if last == Some(b'\r') {
                line.windows = true;
                line.bytes -= 1;
                let kept = usize::try_from(line.bytes).unwrap_or(usize::MAX);
                line.shown.truncate(kept);
            }
            return Ok(Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &[u8], first: u64, lines: u64) -> String {
        let reader = BufReader::with_capacity(7, text);
        let range = Range { first, lines };
        super::lines(reader, range, &Stop::new()).unwrap().text
    }

    #[test]
    fn pages() {
        for (text, first, count, shown) in [
            (&b"a\nb\nc\n"[..], 1, 9, "1\ta\n2\tb\n3\tc\n"),
            (b"a\nb\nc\n", 2, 1, "2\tb\n[there is more: offset 3]\n"),
            (b"a\nb", 2, 1, "2\tb\n"),
            (b"", 1, 9, "(the file is empty)"),
            (b"\n\n", 1, 9, "1\t\n2\t\n"),
            (b"a\n", 5, 9, "(it ends at line 1)"),
            (b"a\r\nb\r\n", 1, 9, "1\ta\n2\tb\n[lines end with CRLF]\n"),
            (b"\xef\xbb\xbfa\n", 1, 9, "1\ta\n"),
            (
                b"caf\xe9\n",
                1,
                9,
                "1\tcaf\u{fffd}\n[not UTF-8: some bytes are shown as \u{fffd}; do not edit by them]\n",
            ),
            (
                "grüße und noch mehr\n".as_bytes(),
                1,
                9,
                "1\tgrüße und noch mehr\n",
            ),
        ] {
            assert_eq!(page(text, first, count), shown, "{text:?}");
        }
    }

    #[test]
    fn long_lines_and_pages_are_cut_and_said_so() {
        let long = "ü".repeat(5_000);
        let shown = page(long.as_bytes(), 1, 9);
        assert!(shown.len() < 2_100, "{}", shown.len());
        assert!(shown.ends_with("… [10000 bytes in this line]\n"), "{shown}");
        assert!(!shown.contains('\u{fffd}'));
        let many = "0123456789\n".repeat(20_000);
        let shown = page(many.as_bytes(), 1, 20_000);
        assert!(shown.len() <= MOST_SHOWN + 40);
        assert!(shown.contains("[there is more: offset "));
    }

    #[test]
    fn kinds_of_binaries_by_magic() {
        assert_eq!(binary_kind(b"\x7fELF\x02"), "a program");
    }
}
