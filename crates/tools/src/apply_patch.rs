//! The apply_patch tool: several files changed by one patch, all or none. What the patch leads to
//! is worked out in memory first; a write that fails is undone with those before it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use quire_protocol::{ToolInput, ToolOutcome, ToolSpec, ToolStatus};

use crate::arguments::Arguments;
use crate::patch::{Chunk, ChunkLine, FilePatch, Patch, parse_patch};
use crate::place::{Place, Target};
use crate::proposal::Proposal;
use crate::{edit, hunks, names, report};

const GRAMMAR: &str = r#"start: "*** Begin Patch\n" file+ "*** End Patch" "\n"?
file: "*** Add File: " NAME ADDED+
    | "*** Delete File: " NAME
    | "*** Update File: " NAME ("*** Move to: " NAME)? (HEAD | LINE | END)*
NAME: /[^\n]+\n/
ADDED: /\+[^\n]*\n/
HEAD: /@@[^\n]*\n/
LINE: /[ +-][^\n]*\n/
END: "*** End of File\n"
"#;

pub(crate) fn spec() -> ToolSpec {
    ToolSpec {
        name: "apply_patch".to_owned(),
        description: "Change files by a patch, all of it or none. Paths are relative to the \
                      workspace. Give 3 lines of context around each change, and `@@ function` \
                      where that is not unique.\n*** Begin Patch\n*** Add File: path\n+line\n\
                      *** Update File: path\n*** Move to: new path\n@@ fn name\n context\n-old\n\
                      +new\n*** Delete File: path\n*** End Patch"
            .to_owned(),
        input: ToolInput::Text {
            grammar: GRAMMAR.to_owned(),
        },
    }
}

/// The changes that a call asks for.
pub(crate) fn proposals(arguments: &str) -> Result<Vec<Proposal>, String> {
    Ok(parse(arguments)?.files.into_iter().map(proposal).collect())
}

fn proposal(file: FilePatch) -> Proposal {
    match file {
        FilePatch::Add { path, content } => Proposal::new(path, "new").replaces("", &content),
        FilePatch::Delete { path } => Proposal::new(path, "deleted"),
        FilePatch::Update {
            path,
            move_to,
            chunks,
        } => {
            let fate = match (&move_to, chunks.is_empty()) {
                (None, _) => "changed",
                (Some(_), true) => "moved",
                (Some(_), false) => "moved and changed",
            };
            let mut begun = Proposal::new(path, fate);
            begun.moved_to = move_to;
            chunks.iter().fold(begun, |proposal, chunk| {
                proposal.hunk(chunk.lines.iter().map(|line| match line {
                    ChunkLine::Keep(text) => (' ', text.as_str()),
                    ChunkLine::Remove(text) => ('-', text.as_str()),
                    ChunkLine::Add(text) => ('+', text.as_str()),
                }))
            })
        }
    }
}

/// The patch in the call: bare, or as the one argument of a function.
fn parse(arguments: &str) -> Result<Patch, String> {
    let wrapped = arguments.trim_start().starts_with('{');
    let text = if wrapped {
        Arguments::parse(arguments, "{input: string}")?.text(&["input", "patch"])?
    } else {
        arguments.to_owned()
    };
    parse_patch(text.as_bytes()).map_err(|error| error.to_string())
}

/// A file as it was and as it is to be.
struct Pending {
    target: Target,
    old: Option<Vec<u8>>,
    new: Option<Vec<u8>>,
}

/// All files of a patch, by real path.
struct Draft<'a> {
    place: &'a Place,
    files: BTreeMap<PathBuf, Pending>,
}

impl Draft<'_> {
    fn file(&mut self, path: &str) -> Result<&mut Pending, String> {
        let target = self.place.writable(path)?;
        if !self.files.contains_key(&target.path) {
            let old = target.read(edit::MOST)?;
            self.files.insert(
                target.path.clone(),
                Pending {
                    target: target.clone(),
                    new: old.clone(),
                    old,
                },
            );
        }
        Ok(self
            .files
            .get_mut(&target.path)
            .expect("the file was put there just above"))
    }

    fn existing(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let place = self.place;
        self.file(path)?
            .new
            .clone()
            .ok_or_else(|| names::missing(place, &place.absolute(path)))
    }

    fn create(&mut self, path: &str, content: Vec<u8>) -> Result<(), String> {
        let file = self.file(path)?;
        if file.new.is_some() {
            return Err(format!(
                "{path} already exists: use `*** Update File: {path}`"
            ));
        }
        file.new = Some(content);
        Ok(())
    }

    fn update(
        &mut self,
        path: &str,
        move_to: Option<&str>,
        chunks: &[Chunk],
    ) -> Result<(), String> {
        let old = self.existing(path)?;
        let text = std::str::from_utf8(&old)
            .map_err(|_| format!("{path} is not UTF-8 text: change it with a command"))?;
        let new = hunks::apply(text, chunks)
            .map_err(|reason| format!("{path}: {reason}"))?
            .into_bytes();
        match move_to {
            Some(target) if self.place.writable(target)? != self.place.writable(path)? => {
                self.file(path)?.new = None;
                self.create(target, new)
            }
            _ => {
                self.file(path)?.new = Some(new);
                Ok(())
            }
        }
    }

    fn add(&mut self, file: FilePatch) -> Result<(), String> {
        match file {
            FilePatch::Add { path, content } => self.create(&path, content.into_bytes()),
            FilePatch::Delete { path } => {
                self.existing(&path)?;
                self.file(&path)?.new = None;
                Ok(())
            }
            FilePatch::Update {
                path,
                move_to,
                chunks,
            } => self.update(&path, move_to.as_deref(), &chunks),
        }
    }
}

pub(crate) fn run(arguments: &str, place: &Place) -> Result<ToolOutcome, String> {
    let patch = parse(arguments)?;
    let mut draft = Draft {
        place,
        files: BTreeMap::new(),
    };
    for file in patch.files {
        draft
            .add(file)
            .map_err(|reason| format!("{reason}\nNothing was changed."))?;
    }
    let files: Vec<Pending> = draft
        .files
        .into_values()
        .filter(|file| file.old != file.new)
        .collect();
    if files.is_empty() {
        return Err("the patch changes nothing: the files already are like this".to_owned());
    }
    write_all(&files)?;
    Ok(done(&files))
}

/// Files that come or change first, then those that go, so that content is never only in memory.
fn write_all(files: &[Pending]) -> Result<(), String> {
    let (gone, kept): (Vec<&Pending>, Vec<&Pending>) =
        files.iter().partition(|file| file.new.is_none());
    let mut written: Vec<&Pending> = Vec::new();
    for file in kept.into_iter().chain(gone) {
        if let Err(reason) = put(&file.target, file.new.as_deref()) {
            let undone = written
                .iter()
                .rev()
                .map(|file| put(&file.target, file.old.as_deref()))
                .find_map(Result::err);
            return Err(match undone {
                None => format!("{reason}\nNothing was changed."),
                Some(also) => format!("{reason}\nUndoing the rest failed too: {also}"),
            });
        }
        written.push(file);
    }
    Ok(())
}

fn put(target: &Target, content: Option<&[u8]>) -> Result<(), String> {
    match content {
        Some(bytes) => target.write(bytes),
        None => target.remove(),
    }
}

fn done(files: &[Pending]) -> ToolOutcome {
    let mut lines = vec!["Patched:".to_owned()];
    let mut changes = Vec::new();
    for file in files {
        let letter = match (&file.old, &file.new) {
            (None, _) => 'A',
            (Some(_), None) => 'D',
            (Some(_), Some(_)) => 'M',
        };
        let shown = file.target.shown.display();
        lines.push(match (&file.old, &file.new) {
            (Some(old), Some(new)) => {
                format!("{letter} {shown}:{}", report::first_changed_line(old, new))
            }
            _ => format!("{letter} {shown}"),
        });
        changes.push(report::change(
            &file.target.shown,
            file.old.as_deref(),
            file.new.as_deref(),
        ));
    }
    let mut outcome = ToolOutcome::text(ToolStatus::Done, lines.join("\n"));
    outcome.changes = changes;
    outcome
}
