//! Going back in time: what happened to the files of a workspace, what a person took back, and from
//! which session another one was forked.

use futures_core::future::BoxFuture;
use serde::{Deserialize, Serialize};

use std::path::Path;

use crate::{BlobId, CallId, ChangeKind, FileChange, MessageId, Seq, SessionId};

/// Something about the past of a session or of its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum TravelStep {
    /// Files of the workspace changed while a call ran, by whatever means. Both versions of each are
    /// kept.
    Kept {
        /// The call; that of the job's start where a job was at work.
        call: CallId,
        /// The files.
        files: Vec<FileStep>,
        /// Who may have changed them.
        whose: Whose,
    },
    /// What a call changes, from this one on, cannot be taken back.
    Missed {
        /// The call.
        call: CallId,
        /// Why, in words.
        reason: String,
    },
    /// A person took files back to how they were.
    TakenBack {
        /// What was recorded after this place was taken back.
        to: Seq,
        /// What that did to files. What they held before is kept.
        files: Vec<FileStep>,
        /// Files that could not be changed: what was done to them is still to be taken back.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failed: Vec<String>,
    },
    /// A person had what was taken back last again.
    Redone {
        /// What that did to files. What they held before is kept.
        files: Vec<FileStep>,
        /// Files that could not be changed: what was done to them is still taken back.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failed: Vec<String>,
    },
    /// The session begins here; all that stands before it is another session's, up to that place.
    Forked {
        /// That session.
        from: SessionId,
        /// The place.
        at: Seq,
        /// Files that hold changes which the other session made after it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ahead: Vec<String>,
    },
}

impl TravelStep {
    /// In words for a person; nothing of what a call's own line tells.
    #[must_use]
    pub fn in_words(&self) -> Option<String> {
        match self {
            Self::Kept { .. } => None,
            Self::Missed { reason, .. } => Some(format!(
                "files changed from here on cannot be taken back: {reason}"
            )),
            Self::TakenBack { files, .. } => Some(named("files taken back", files)),
            Self::Redone { files, .. } => Some(named("files changed again", files)),
            Self::Forked { from, at, .. } => Some(format!("forked from session {from} at {at}")),
        }
    }
}

/// What happened to these files, with the first of their names.
fn named(what: &str, files: &[FileStep]) -> String {
    let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let (shown, more) = names.split_at(names.len().min(8));
    let more = match more.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    match shown {
        [] => "no file had to change back".to_owned(),
        shown => format!("{what}: {}{more}", shown.join(", ")),
    }
}

/// Who may have changed a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The agent, as far as can be known.
    Agent,
    /// The agent, or a person meanwhile: it took so long that both may be.
    Unclear,
}

/// What happened to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStep {
    /// Which, relative to the workspace.
    pub path: String,
    /// What it was; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<FileVersion>,
    /// What it became; absent where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FileVersion>,
}

impl FileStep {
    /// In what way it changed.
    #[must_use]
    pub const fn kind(&self) -> ChangeKind {
        match (&self.before, &self.after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Deleted,
            (Some(_), Some(_)) => ChangeKind::Modified,
        }
    }
}

/// What a file was at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileVersion {
    /// Its bytes; of a symbolic link, where it leads.
    pub content: BlobId,
    /// How many they are.
    pub bytes: u64,
    /// What kind of file.
    pub kind: FileKind,
}

/// What kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// One with bytes.
    Plain,
    /// One that may be run.
    Executable,
    /// One with bytes that only its owner may reach.
    Private,
    /// One that may be run, by its owner only.
    PrivateExecutable,
    /// A symbolic link.
    Link,
}

/// A point in a session's past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Before it did anything.
    Start,
    /// Before this message was delivered.
    Before(MessageId),
    /// Before its last change of files that was not taken back.
    LastChange,
    /// Before files were taken back last, if the session has changed none since.
    LastBack,
}

/// What is to become of files that a person changed since the agent did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflicts {
    /// Nothing is done to any file; the conflicts are told.
    #[default]
    Ask,
    /// They stay as they are.
    Keep,
    /// The agent's changes are taken out of them; where those and the person's meet, both stand in the
    /// file between marks.
    Merge,
    /// They become what they were, and the person's changes are lost from the workspace.
    Overwrite,
}

/// A file that is to become what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileGoal {
    /// Which, relative to the workspace.
    pub path: String,
    /// What it is to become; nothing where there was none.
    pub target: Option<FileVersion>,
    /// How the agent left it.
    pub left: Option<FileVersion>,
    /// Why it may hold a person's changes even so, where it may.
    pub doubt: Option<Doubt>,
}

/// Why a file that is as the agent left it may hold a person's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// It changed between two changes of the agent.
    ChangedBetween,
    /// It changed while something ran for long.
    ChangedMeanwhile,
}

/// What taking files back did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenBack {
    /// Whether anything was done: not where somebody has to be asked first.
    pub done: bool,
    /// What became of each file that had to change.
    pub files: Vec<FileFate>,
}

impl TakenBack {
    /// The files that could not be changed.
    pub fn failed(&self) -> impl Iterator<Item = &String> {
        let failed = |file: &&FileFate| matches!(file.fate, Fate::Failed { .. });
        self.files.iter().filter(failed).map(|file| &file.path)
    }
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFate {
    /// Which, relative to the workspace.
    pub path: String,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a file that was to be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// It is what it was, or will be.
    Back,
    /// A person changed it too: what is to be done has to be said.
    Conflict {
        /// Why it is thought so, in words.
        reason: String,
        /// What a merge would make of the file as it is, as a unified diff.
        merge: String,
    },
    /// A person changed it too, and it stays as it is.
    Left,
    /// The agent's changes are out of it.
    Merged {
        /// Places where both had changed the same lines: they stand in the file between marks.
        conflicts: u32,
    },
    /// It is what it was; what a person had made of it is only in the session's journal.
    Overwritten,
    /// It could not be changed.
    Failed {
        /// Why, in words.
        reason: String,
    },
}

/// Why files could not be looked at, kept or taken back, and what to do, in words for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{0}")]
pub struct CheckpointError(pub String);

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The files that changed, by path.
    pub files: Vec<FileStep>,
    /// Whether another session was at work in the workspace at the same time.
    pub whose: Whose,
}

/// Keeps what the files of workspaces were.
pub trait Checkpoints: Send + Sync {
    /// Takes note of what is there while nothing is done, so that doing something soon need not wait for
    /// that.
    fn prepare(&self, workspace: &Path) -> BoxFuture<'static, Result<(), CheckpointError>>;

    /// Takes note of what is there before the session does something: whatever changed until now is not
    /// its doing.
    fn settle(
        &self,
        session: &SessionId,
        workspace: &Path,
    ) -> BoxFuture<'static, Result<(), CheckpointError>>;

    /// What changed since the session began to do something. The versions before and after are kept for
    /// it, as blobs. It is found again by the next look unless it is noted, also by another process.
    fn look(
        &self,
        session: &SessionId,
        workspace: &Path,
    ) -> BoxFuture<'static, Result<Looked, CheckpointError>>;

    /// What the last look found is known from here on, and what it found for the session is recorded
    /// elsewhere.
    fn note(
        &self,
        session: &SessionId,
        workspace: &Path,
    ) -> BoxFuture<'static, Result<(), CheckpointError>>;

    /// How files differ from what they would become.
    fn compare(
        &self,
        workspace: &Path,
        goals: Vec<FileGoal>,
    ) -> BoxFuture<'static, Result<Vec<FileChange>, CheckpointError>>;

    /// Makes files what they were. Returns what became of each, and what to record: what was replaced
    /// is kept for the session.
    fn take_back(
        &self,
        session: &SessionId,
        workspace: &Path,
        goals: Vec<FileGoal>,
        conflicts: Conflicts,
    ) -> BoxFuture<'static, Result<(TakenBack, Vec<FileStep>), CheckpointError>>;
}
