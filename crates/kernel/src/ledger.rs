//! The ledger: what compaction may never lose, kept as facts and rendered word for word.
//!
//! It is folded from the same events as everything else, so nobody can forget to write into it, and
//! no model ever rewrites it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use quire_protocol::{
    CallId, ChangeKind, Content, FileChange, FileStep, MessageId, Note, NoteKind, ToolOutcome,
    joined_text,
};

/// How much of one message is kept here, in bytes, once there is a newer one; the journal has all of it.
pub(crate) const MESSAGE_KEPT: usize = 16 * 1_024;
/// How many commands are remembered as possible evidence.
const COMMANDS: usize = 200;
/// How many of them the ledger shows.
const COMMANDS_SHOWN: usize = 24;
/// How much of the end of each one's output is kept, in bytes.
const TAIL_KEPT: usize = 1_000;
/// How many files are named; of more only the number is told.
const FILES: usize = 300;

/// The facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    said: Vec<Arc<Said>>,
    notes: Vec<Arc<Note>>,
    files: BTreeMap<Arc<Path>, Touched>,
    /// What was found to have changed while a call ran that has not ended yet.
    kept: Option<(CallId, Arc<[Arc<Path>]>)>,
    commands: VecDeque<Arc<Ran>>,
}

/// What a person said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) message: MessageId,
    /// As much of the text as is kept: all of it while the message is the newest.
    text: String,
    /// How long the whole text is.
    bytes: usize,
    images: usize,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Touched {
    kind: ChangeKind,
    times: u32,
}

/// A call that ran a command to its end, or changed files: something that can be shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) call: CallId,
    label: Arc<str>,
    how: String,
    /// The end of what it printed.
    pub(crate) tail: String,
}

impl Ledger {
    pub(crate) fn said(&mut self, message: &MessageId, content: &[Content]) {
        let text = joined_text(content);
        let bytes = text.len();
        let images = content.len() - content.iter().filter_map(Content::as_text).count();
        if let Some(older) = self.said.last_mut()
            && older.text.len() > MESSAGE_KEPT
        {
            *older = Arc::new(older.shortened());
        }
        self.said.push(Arc::new(Said {
            message: message.clone(),
            text,
            bytes,
            images,
        }));
    }

    pub(crate) fn noted(&mut self, note: &Note) {
        if !self.notes.iter().any(|known| **known == *note) {
            self.notes.push(Arc::new(note.clone()));
        }
    }

    /// Files changed while a call ran, whatever it was.
    pub(crate) fn kept(&mut self, call: CallId, files: &[FileStep]) {
        for file in files {
            self.changed(Path::new(&file.path), file.kind());
        }
        let paths = files.iter().map(|file| Path::new(&file.path).into());
        self.kept = Some((call, paths.collect()));
    }

    /// A call ended and tells what it changed; what was found already is not told twice.
    pub(crate) fn told_changes(&mut self, call: CallId, changes: &[FileChange]) {
        let kept = self.kept.take().filter(|(of, _)| *of == call);
        for change in changes {
            let path = change.path.as_path();
            let is_known = kept.as_ref();
            if !is_known.is_some_and(|(_, paths)| paths.iter().any(|kept| **kept == *path)) {
                self.changed(path, change.kind);
            }
        }
    }

    fn changed(&mut self, path: &Path, kind: ChangeKind) {
        let touched = self
            .files
            .entry(path.into())
            .or_insert(Touched { kind, times: 0 });
        touched.times = touched.times.saturating_add(1);
        touched.kind = match (touched.kind, kind) {
            (ChangeKind::Added, ChangeKind::Modified) => ChangeKind::Added,
            (_, kind) => kind,
        };
    }

    pub(crate) fn ran(&mut self, call: CallId, label: &Arc<str>, outcome: &ToolOutcome) {
        let how = match (outcome.end, outcome.changes.len()) {
            (Some(end), _) => end.to_string(),
            (None, 0) => return,
            (None, 1) => "changed a file".to_owned(),
            (None, files) => format!("changed {files} files"),
        };
        if self.commands.len() == COMMANDS {
            self.commands.pop_front();
        }
        self.commands.push_back(Arc::new(Ran {
            call,
            label: Arc::clone(label),
            how,
            tail: end_of(&outcome.content),
        }));
    }

    /// A call that may serve as evidence.
    pub(crate) fn command(&self, call: CallId) -> Option<&Ran> {
        let mut commands = self.commands.iter();
        commands.find(|ran| ran.call == call).map(AsRef::as_ref)
    }

    /// How much was noted so far. Another claim that a goal is reached is nothing new.
    pub(crate) fn notes(&self) -> usize {
        let notes = self.notes.iter();
        notes.filter(|note| note.kind != NoteKind::Done).count()
    }

    /// The last calls that may serve as evidence.
    pub(crate) fn last_commands(&self) -> impl Iterator<Item = &Ran> {
        let older = self.commands.len().saturating_sub(COMMANDS_SHOWN);
        self.commands.iter().skip(older).map(AsRef::as_ref)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = String> {
        self.files.iter().map(|(path, touched)| touched.line(path))
    }

    /// Whether this is what a person said last.
    pub(crate) fn ends_with(&self, message: &MessageId) -> bool {
        self.said
            .last()
            .is_some_and(|said| said.message == *message)
    }

    /// It as the model reads it, with at most `most` bytes of what people said, `newest` of them of the
    /// last message: where they said more, older messages are cut first. Nothing else is ever cut but
    /// the names of files beyond some hundreds.
    pub(crate) fn render(&self, besides: &Besides<'_>, most: usize, newest: usize) -> String {
        let mut text = OPENING.to_owned();
        section(&mut text, "Goal", besides.goal.map(str::to_owned));
        section(
            &mut text,
            "What the person said, oldest first",
            self.words(most, newest),
        );
        for (kind, title) in [
            (NoteKind::Rule, "Rules that were noted"),
            (NoteKind::Decision, "Decisions"),
            (NoteKind::Failed, "Tried, and failed"),
            (NoteKind::Fact, "Facts"),
        ] {
            section(&mut text, title, self.notes_of(kind));
        }
        section(&mut text, "Plan", besides.plan.iter().cloned());
        let (files, more) = (
            self.files().take(FILES),
            self.files.len().saturating_sub(FILES),
        );
        let more = (more > 0).then(|| format!("- and {more} more"));
        section(&mut text, "Files that tools changed", files.chain(more));
        section(
            &mut text,
            "Running in the background",
            besides.jobs.iter().cloned(),
        );
        let commands = self.last_commands().map(Ran::line);
        section(&mut text, "The last commands and how they ended", commands);
        text
    }

    /// Every message with its words, cut where they are too many together.
    fn words(&self, most: usize, newest: usize) -> Vec<String> {
        let caps = [MESSAGE_KEPT, 4_096, 1_024, 256, 64];
        let size = |cap: usize| -> usize {
            let older = self
                .said
                .iter()
                .rev()
                .skip(1)
                .map(|said| said.text.len().min(cap));
            older.sum::<usize>()
                + self
                    .said
                    .last()
                    .map_or(0, |said| said.text.len().min(MESSAGE_KEPT))
        };
        let cap = caps.into_iter().find(|cap| size(*cap) <= most);
        let cap = cap.unwrap_or(*caps.last().unwrap_or(&0));
        let last = self.said.len().saturating_sub(1);
        let all = self.said.iter().enumerate();
        all.map(|(at, said)| said.words(if at == last { newest } else { cap }))
            .collect()
    }

    fn notes_of(&self, kind: NoteKind) -> Vec<String> {
        let notes = self.notes.iter().filter(|note| note.kind == kind);
        notes.map(|note| note_line(note)).collect()
    }
}

/// What the ledger shows that is kept elsewhere in the state.
pub(crate) struct Besides<'a> {
    pub(crate) goal: Option<&'a str>,
    pub(crate) plan: Vec<String>,
    pub(crate) jobs: Vec<String>,
}

const OPENING: &str = "\
Older parts of this session were compacted. These are its facts, kept word for word by the harness; \
they hold. `recall` shows any older part again: by a handle (call:7, message:abc) or by words.\n";

fn section(text: &mut String, title: &str, lines: impl IntoIterator<Item = String>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_none() {
        return;
    }
    text.push_str("\n## ");
    text.push_str(title);
    text.push('\n');
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
}

fn end_of(content: &[Content]) -> String {
    let text = content.iter().rev().find_map(Content::as_text);
    let text = text.unwrap_or_default();
    text[text.ceil_char_boundary(text.len().saturating_sub(TAIL_KEPT))..].to_owned()
}

fn note_line(note: &Note) -> String {
    let evidence: Vec<String> = note
        .evidence
        .iter()
        .map(|call| format!("call:{call}"))
        .collect();
    match evidence.as_slice() {
        [] => format!("- {}", note.text),
        calls => format!("- {} ({})", note.text, calls.join(", ")),
    }
}

impl Said {
    fn shortened(&self) -> Self {
        Self {
            message: self.message.clone(),
            text: self.text[..self.text.floor_char_boundary(MESSAGE_KEPT)].to_owned(),
            bytes: self.bytes,
            images: self.images,
        }
    }

    /// Its words, up to a number of bytes.
    pub(crate) fn words(&self, most: usize) -> String {
        let kept = &self.text[..self.text.floor_char_boundary(most)];
        let mut words = format!("[message:{}] {kept}", self.message);
        if kept.len() < self.bytes {
            let _ = write!(
                words,
                "… [cut: {} of {} bytes; recall message:{} has all of it]",
                kept.len(),
                self.bytes,
                self.message
            );
        }
        if self.images > 0 {
            let _ = write!(words, " [and {} image(s)]", self.images);
        }
        words
    }
}

impl Touched {
    fn line(self, path: &Path) -> String {
        let kind = match self.kind {
            ChangeKind::Added => "added",
            ChangeKind::Modified => "modified",
            ChangeKind::Deleted => "deleted",
        };
        match self.times {
            1 => format!("- {}: {kind}", path.display()),
            times => format!("- {}: {kind}, {times} changes", path.display()),
        }
    }
}

impl Ran {
    pub(crate) fn line(&self) -> String {
        format!("- call:{} {}: {}", self.call, self.label, self.how)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use quire_protocol::{CommandEnd, ToolStatus};

    use super::*;

    fn said(ledger: &mut Ledger, name: &str, text: &str) {
        ledger.said(&MessageId::new(name), &[Content::text(text)]);
    }

    fn besides() -> Besides<'static> {
        Besides {
            goal: None,
            plan: vec!["[x] read".to_owned(), "[ ] write".to_owned()],
            jobs: Vec::new(),
        }
    }

    fn note(kind: NoteKind, text: &str, evidence: &[u32]) -> Note {
        Note {
            kind,
            text: text.to_owned(),
            evidence: evidence.iter().map(|call| CallId(*call)).collect(),
        }
    }

    #[test]
    fn it_reads_like_this() {
        let mut ledger = Ledger::default();
        said(&mut ledger, "m1", "Never touch vendor/.");
        said(&mut ledger, "m2", "Now the tests.");
        ledger.noted(&note(
            NoteKind::Decision,
            "serde, because it is there",
            &[3],
        ));
        ledger.noted(&note(
            NoteKind::Decision,
            "serde, because it is there",
            &[3],
        ));
        ledger.noted(&note(NoteKind::Failed, "a regex: too slow", &[]));
        for kind in [ChangeKind::Added, ChangeKind::Modified] {
            ledger.changed(Path::new("src/a.rs"), kind);
        }
        let mut outcome = ToolOutcome::text(ToolStatus::Done, "");
        ledger.ran(CallId(2), &"read a".into(), &outcome);
        outcome.end = Some(CommandEnd::Exited { code: 1 });
        ledger.ran(CallId(3), &"bash cargo test".into(), &outcome);
        expect![[r"
            Older parts of this session were compacted. These are its facts, kept word for word by the harness; they hold. `recall` shows any older part again: by a handle (call:7, message:abc) or by words.

            ## What the person said, oldest first
            [message:m1] Never touch vendor/.
            [message:m2] Now the tests.

            ## Decisions
            - serde, because it is there (call:3)

            ## Tried, and failed
            - a regex: too slow

            ## Plan
            [x] read
            [ ] write

            ## Files that tools changed
            - src/a.rs: added, 2 changes

            ## The last commands and how they ended
            - call:3 bash cargo test: exit code 1
        "]]
        .assert_eq(&ledger.render(&besides(), 10_000, MESSAGE_KEPT));
    }

    #[test]
    fn older_words_are_cut_first_and_say_where_the_rest_is() {
        let mut ledger = Ledger::default();
        said(&mut ledger, "m1", &"a".repeat(5_000));
        said(&mut ledger, "m2", &"b".repeat(5_000));
        said(&mut ledger, "m3", &"c".repeat(20_000));
        let text = ledger.render(&besides(), 20_000, MESSAGE_KEPT);
        assert!(text.contains("[cut: 1024 of 5000 bytes; recall message:m1 has all of it]"));
        assert!(text.contains("[cut: 16384 of 20000 bytes; recall message:m3 has all of it]"));
        let text = ledger.render(&besides(), 100, MESSAGE_KEPT);
        assert!(text.contains("[cut: 64 of 5000 bytes; recall message:m2"));
        let text = ledger.render(&besides(), 1_000_000, MESSAGE_KEPT);
        assert!(text.contains(&"b".repeat(5_000)));
        let text = ledger.render(&besides(), 20_000, 18_000);
        assert!(text.contains("[cut: 18000 of 20000 bytes; recall message:m3 has all of it]"));
        assert!(text.contains("[cut: 1024 of 5000 bytes; recall message:m1 has all of it]"));
        said(&mut ledger, "m4", "d");
        let text = ledger.render(&besides(), 1_000_000, 18_000);
        assert!(text.contains("[cut: 16384 of 20000 bytes; recall message:m3 has all of it]"));
    }
}
