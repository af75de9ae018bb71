//! What a walk leaves out: ignore files, read as git reads them. A command may change them while they
//! are read, so nothing is opened that could hold the reader up, and all that is read is bounded.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::open_checked;

/// The ignore files of a folder, those that win last.
const NAMES: [&str; 3] = [".git/info/exclude", ".gitignore", ".ignore"];
/// Bytes of an ignore file that are read.
const MOST_TEXT: u64 = 1 << 20;
/// Bytes of a line that counts. A longer one is no sane pattern, and may be nested without end.
const MOST_LINE: usize = 1024;
/// The weight of all lines that count at a time, those of a folder and of all above it: their bytes,
/// and `LINE_WEIGHT` for each. Patterns take up to a thousand times their length in memory.
const MOST_WEIGHT: usize = 256 << 10;
const LINE_WEIGHT: usize = 16;

/// The ignore files that count where a walk is.
pub struct Ignored {
    /// Of folders that lie in each other, the innermost last.
    levels: Vec<Level>,
    /// What the person ignores everywhere.
    global: Gitignore,
}

/// What kind of entry is judged: some patterns mean folders only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// Anything else.
    Other,
}

/// What the ignore files of one folder say.
struct Level {
    folder: PathBuf,
    rules: Gitignore,
    weight: usize,
    repository: bool,
}

impl Ignored {
    /// What counts in a folder, from the top of its repository down.
    pub fn beneath(root: &Path) -> Self {
        let mut folders = Vec::new();
        for folder in root.ancestors() {
            folders.push(folder);
            if is_repository(folder) {
                break;
            }
        }
        let top = folders.last().copied().unwrap_or(root);
        let mut ignored = Self {
            levels: Vec::new(),
            global: GitignoreBuilder::new(top).build_global().0,
        };
        for folder in folders.into_iter().rev() {
            ignored.enter(folder);
        }
        ignored
    }

    /// Whether an entry is left out. Entries come in the order of a walk: a folder, then what is in
    /// it; those that need no answer may be passed over.
    pub fn leaves_out(&mut self, path: &Path, kind: EntryKind) -> bool {
        let Some(parent) = path.parent() else {
            return false;
        };
        while let Some(level) = self.levels.last()
            && !parent.starts_with(&level.folder)
        {
            self.levels.pop();
        }
        // Folders on the way that were not asked about count too.
        let above = self.levels.last().map(|last| last.folder.clone());
        let missing = parent.ancestors();
        let missing: Vec<&Path> = missing
            .take_while(|folder| above.as_deref().is_some_and(|above| above != *folder))
            .collect();
        for folder in missing.into_iter().rev() {
            self.enter(folder);
        }
        let is_folder = kind == EntryKind::Folder;
        for level in self.levels.iter().rev() {
            match level.rules.matched(path, is_folder) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None if level.repository => break,
                Match::None => {}
            }
        }
        self.global.matched(path, is_folder).is_ignore()
    }

    fn enter(&mut self, folder: &Path) {
        let texts = NAMES.map(|name| text(&folder.join(name)));
        let above: usize = self.levels.iter().map(|level| level.weight).sum();
        let mut weight = 0;
        let mut builder = GitignoreBuilder::new(folder);
        for line in texts.iter().flat_map(|text| text.lines()) {
            if line.is_empty() || line.starts_with('#') || line.len() > MOST_LINE {
                continue;
            }
            let heavier = weight + line.len() + LINE_WEIGHT;
            if above + heavier > MOST_WEIGHT {
                break;
            }
            weight = heavier;
            // What is no pattern is passed over, as git does.
            let _ = builder.add_line(None, line);
        }
        self.levels.push(Level {
            folder: folder.to_owned(),
            rules: builder.build().unwrap_or_else(|_| Gitignore::empty()),
            weight,
            repository: is_repository(folder),
        });
    }
}

/// Whether a repository begins here: its `.git` is a folder, or a file in a worktree or submodule.
fn is_repository(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(".git")).is_ok()
}

/// The whole lines of an ignore file; none of what is no file, a link included.
fn text(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = open_checked(path).and_then(|file| {
        if file.metadata()?.is_file() {
            file.take(MOST_TEXT).read_to_end(&mut bytes)?;
        }
        Ok(())
    });
    if read.is_err() {
        return String::new();
    }
    if bytes.len() as u64 == MOST_TEXT {
        // The rest of the last line is missing, and what is left may mean more than the whole.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        bytes.truncate(whole);
    }
    let text = String::from_utf8_lossy(&bytes);
    text.trim_start_matches('\u{feff}').to_owned()
}
