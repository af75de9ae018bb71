//! The search tool: a regular expression over the files of a folder, or over kept output, with
//! ripgrep's own crates.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use grep_matcher::LineTerminator;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{
    BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkContextKind, SinkMatch,
};
use quire_protocol::{ToolInput, ToolOutcome, ToolSpec, ToolStatus};
use serde_json::json;

use crate::arguments::Arguments;
use crate::calls::Stop;
use crate::clean::clean;
use crate::place::Place;
use crate::spool::SCHEME;
use crate::{text, walk};
use quire_walk::open_checked;

const SHAPE: &str = "{pattern: string, path?: string, glob?: string, mode?: \"lines\" | \"files\" \
                     | \"count\", context?: int, before?: int, after?: int, ignore_case?: bool}";
/// Lines, context included, that are shown.
const MOST_SHOWN: usize = 100;
/// Bytes of a line that are shown.
const MOST_LINE: usize = 300;
const MOST_CONTEXT: u64 = 20;

pub(crate) fn spec() -> ToolSpec {
    ToolSpec {
        name: "search".to_owned(),
        description: "Search file contents with a regular expression (Rust syntax). Ignored and \
                      binary files are left out."
            .to_owned(),
        input: ToolInput::Json(json!({
            "type": "object",
            "properties": {
                "pattern": {"type": "string"},
                "path": {"type": "string", "description": "File, folder or `blob:` handle. Default: the workspace"},
                "glob": {"type": "string", "description": "Only such files: `*.rs`, `src/**`"},
                "mode": {"enum": ["lines", "files", "count"], "description": "Default lines"},
                "context": {"type": "integer", "description": "Lines around each match"},
                "before": {"type": "integer"},
                "after": {"type": "integer"},
                "ignore_case": {"type": "boolean"},
            },
            "required": ["pattern"],
        })),
    }
}

/// What is shown of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Lines,
    Files,
    Count,
}

/// A call of the tool.
pub(crate) struct SearchRequest {
    pattern: String,
    path: String,
    glob: Option<globset::GlobMatcher>,
    mode: Mode,
    before: usize,
    after: usize,
    ignore_case: bool,
}

impl SearchRequest {
    pub(crate) fn parse(arguments: &str) -> Result<Self, String> {
        let arguments = Arguments::parse(arguments, SHAPE)?;
        let mode = match arguments.optional_text(&["mode"])?.as_deref() {
            None | Some("lines") => Mode::Lines,
            Some("files") => Mode::Files,
            Some("count") => Mode::Count,
            Some(other) => return Err(arguments.wrong(&format!("`{other}` is no mode"))),
        };
        let around = arguments.count("context")?.unwrap_or(0);
        let lines = |name| -> Result<usize, String> {
            let count = arguments.count(name)?.unwrap_or(around).min(MOST_CONTEXT);
            Ok(usize::try_from(count).unwrap_or_default())
        };
        Ok(Self {
            pattern: arguments.text(&["pattern"])?,
            path: arguments
                .optional_text(&["path"])?
                .unwrap_or_else(|| ".".to_owned()),
            glob: arguments
                .optional_text(&["glob"])?
                .map(|pattern| walk::glob(&pattern))
                .transpose()?,
            mode,
            before: lines("before")?,
            after: lines("after")?,
            ignore_case: arguments.flag(&["ignore_case"])?,
        })
    }

    fn spans_lines(&self) -> bool {
        self.pattern.contains('\n') || self.pattern.contains("\\n")
    }

    /// The pattern as a matcher; one that is no regular expression is taken literally, and the
    /// reason is returned with it.
    fn matcher(&self) -> Result<(RegexMatcher, Option<String>), String> {
        let mut builder = RegexMatcherBuilder::new();
        builder.case_insensitive(self.ignore_case).multi_line(true);
        if !self.spans_lines() {
            builder.line_terminator(Some(b'\n'));
        }
        match builder.build(&self.pattern) {
            Ok(matcher) => Ok((matcher, None)),
            Err(error) => {
                let reason = error.to_string();
                builder
                    .fixed_strings(true)
                    .build(&self.pattern)
                    .map(|matcher| (matcher, Some(reason)))
                    .map_err(|error| format!("cannot search for this: {error}"))
            }
        }
    }

    fn searcher(&self) -> Searcher {
        let (before, after) = match self.mode {
            Mode::Lines => (self.before, self.after),
            Mode::Files | Mode::Count => (0, 0),
        };
        SearcherBuilder::new()
            .line_terminator(LineTerminator::byte(b'\n'))
            .line_number(true)
            .multi_line(self.spans_lines())
            .before_context(before)
            .after_context(after)
            .binary_detection(BinaryDetection::quit(0))
            .heap_limit(Some(64 << 20))
            .build()
    }

    /// The kept output it asks for, if it does.
    pub(crate) fn handle(&self) -> Option<&str> {
        self.path.starts_with(SCHEME).then_some(self.path.as_str())
    }

    /// Searches kept output in the form in which it is read: the numbers of the lines are the same.
    pub(crate) fn run_on_output(&self, output: &[u8]) -> Result<ToolOutcome, String> {
        let (matcher, literal) = self.matcher()?;
        let mut found = Found::new(self.mode);
        found.file(Path::new(&self.path));
        let output = clean(output).text;
        self.searcher()
            .search_slice(&matcher, output.as_bytes(), &mut found)
            .map_err(|error| format!("cannot search {}: {error}", self.path))?;
        found.file_done();
        Ok(found.outcome(literal.as_deref()))
    }

    /// Searches files.
    pub(crate) fn run(&self, place: &Place, stop: &Stop) -> Result<ToolOutcome, String> {
        let (matcher, literal) = self.matcher()?;
        let root = place.readable(&self.path)?;
        let mut searcher = self.searcher();
        let mut found = Found::new(self.mode);
        for entry in walk::entries(place, &root, None) {
            if stop.is_stopped() {
                return Err("stopped".to_owned());
            }
            let wanted = self
                .glob
                .as_ref()
                .is_none_or(|glob| walk::matches(glob, place, &root, &entry));
            if !walk::is_file(&entry) || !wanted {
                continue;
            }
            found.file(&place.shown(entry.path()));
            // A file that cannot be read is passed over, like one that may not be.
            // One that became a link since it was listed is not followed.
            if let Ok(file) = open_checked(entry.path()) {
                let _ = searcher.search_file(&matcher, &file, &mut found);
            }
            found.file_done();
        }
        Ok(found.outcome(literal.as_deref()))
    }
}

/// What was found so far, as it is shown.
struct Found {
    mode: Mode,
    text: String,
    shown: usize,
    path: String,
    in_file: u64,
    matches: u64,
    files: u64,
    more_matches: u64,
    more_files: u64,
    headed: bool,
}

impl Found {
    fn new(mode: Mode) -> Self {
        Self {
            mode,
            text: String::new(),
            shown: 0,
            path: String::new(),
            in_file: 0,
            matches: 0,
            files: 0,
            more_matches: 0,
            more_files: 0,
            headed: false,
        }
    }

    fn file(&mut self, path: &Path) {
        self.path = path.display().to_string();
        self.in_file = 0;
        self.headed = false;
    }

    fn file_done(&mut self) {
        if self.in_file == 0 {
            return;
        }
        self.files += 1;
        let line = match self.mode {
            Mode::Lines => {
                if !self.headed {
                    self.more_files += 1;
                }
                return;
            }
            Mode::Files => self.path.clone(),
            Mode::Count => format!("{}: {}", self.path, self.in_file),
        };
        if self.shown < MOST_SHOWN {
            self.shown += 1;
            self.text.push_str(&line);
            self.text.push('\n');
        } else {
            self.more_files += 1;
        }
    }

    /// Shows lines under their file's name; says no when there is no room.
    fn show(&mut self, number: Option<u64>, sign: char, bytes: &[u8]) -> bool {
        if self.shown >= MOST_SHOWN {
            return false;
        }
        if !self.headed {
            self.headed = true;
            let _ = writeln!(self.text, "{}", self.path);
        }
        for (number, line) in (number.unwrap_or(1)..).zip(String::from_utf8_lossy(bytes).lines()) {
            let cut = text::cut(line, MOST_LINE);
            let more = if cut.len() < line.len() { "…" } else { "" };
            let _ = writeln!(self.text, "{number}{sign}{cut}{more}");
            self.shown += 1;
        }
        true
    }

    fn outcome(self, literal: Option<&str>) -> ToolOutcome {
        ToolOutcome {
            lines: Some(self.matches),
            ..ToolOutcome::text(ToolStatus::Done, self.finished(literal))
        }
    }

    fn finished(mut self, literal: Option<&str>) -> String {
        if self.matches == 0 {
            self.text.push_str("No matches\n");
        }
        match self.mode {
            Mode::Lines if self.more_matches > 0 => {
                let _ = writeln!(
                    self.text,
                    "[{} more matches, {} more files; {} in {} files in all: narrow the pattern, path or glob]",
                    self.more_matches, self.more_files, self.matches, self.files
                );
            }
            Mode::Files | Mode::Count if self.more_files > 0 => {
                let _ = writeln!(self.text, "[{} more files]", self.more_files);
            }
            _ => {}
        }
        if let Some(reason) = literal {
            let reason = reason.lines().last().unwrap_or_default();
            let _ = writeln!(
                self.text,
                "[not a regular expression ({reason}): searched for the literal text]"
            );
        }
        self.text
    }
}

impl Sink for Found {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        self.in_file += 1;
        self.matches += 1;
        match self.mode {
            Mode::Files => return Ok(false),
            Mode::Count => {}
            Mode::Lines => {
                if !self.show(found.line_number(), ':', found.bytes()) {
                    self.more_matches += 1;
                }
            }
        }
        Ok(true)
    }

    fn context(&mut self, _: &Searcher, found: &SinkContext<'_>) -> Result<bool, io::Error> {
        if self.mode == Mode::Lines && *found.kind() != SinkContextKind::Other {
            self.show(found.line_number(), '-', found.bytes());
        }
        Ok(true)
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, io::Error> {
        if self.shown < MOST_SHOWN {
            self.text.push_str("--\n");
        }
        Ok(true)
    }
}
