//! Tools as the model and the kernel know them.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Approval, CallId, Content, JobId, ProcessEnd, Spending};

/// A tool as described to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name, `[A-Za-z0-9_-]{1,64}`.
    pub name: String,
    /// What it does and when to use it, for the model.
    pub description: String,
    /// What it takes.
    pub input: ToolInput,
}

/// What a tool takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolInput {
    /// A JSON object of this schema; the order of its keys is kept.
    Json(Value),
    /// Free text, constrained by a Lark grammar where the provider can. Providers without
    /// free-text tools get a function with one string argument, `input`.
    Text {
        /// A Lark grammar, or empty for none.
        grammar: String,
    },
}

/// How a tool call came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    /// It ran and did what it says (a command that exits non-zero is still done).
    #[default]
    Done,
    /// It could not do what was asked: bad arguments, no such file, an invented tool.
    Failed,
    /// A person or a rule refused it; it did not run.
    Denied,
    /// It was stopped by a person, a limit or a failed sibling; it may have run in part.
    Cancelled,
    /// The process died while it ran; it may have run in part and is never run again.
    Lost,
}

/// Whether calls of one reply may run side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Only reads; runs beside other shared calls.
    Shared,
    /// May change things; runs alone, in the order the model wrote the calls.
    Exclusive,
}

/// What is to happen to a call, decided before the kernel sees the reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPlan {
    /// The call.
    pub call: CallId,
    /// May it run beside others?
    pub lane: Lane,
    /// Run, ask or refuse.
    pub verdict: Verdict,
}

/// What policy says about a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Run it.
    Run,
    /// Ask a person first.
    Ask {
        /// What is asked.
        approval: Approval,
    },
    /// Refuse it; the model is told the reason.
    Refuse {
        /// The reason, which says what the model may do instead.
        reason: String,
    },
}

/// What a tool says when it is finished. Never an `Err`: a failure is a fact for the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolOutcome {
    /// How it went.
    pub status: ToolStatus,
    /// What the model is shown.
    pub content: Vec<Content>,
    /// Files it changed, relative to the workspace where they are in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FileChange>,
    /// The plan it set, if it is the plan tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Vec<PlanStep>>,
    /// The background job it started, if it did; its number is that of the call that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// How the command ended that it ran; absent when none ran, or when someone stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<CommandEnd>,
    /// How many lines it printed or read, or how many matches or entries it found. `content` may
    /// hold fewer, and words about them besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// What the model wants remembered for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
    /// What an agent spent that worked for this call. It stands in the agent's own journal too, from
    /// which costs are summed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spending>,
}

/// Something the model wants remembered for good: it becomes part of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What kind of thing.
    pub kind: NoteKind,
    /// In words.
    pub text: String,
    /// Calls whose results show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<CallId>,
}

/// What kind of thing is to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// A rule that holds from here on.
    Rule,
    /// A decision, with its reason.
    Decision,
    /// An approach that was tried and failed, with its reason.
    Failed,
    /// A fact that will be needed again: a name, a number, a place.
    Fact,
    /// The goal is reached; the evidence shows it.
    Done,
}

impl NoteKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Rule,
        Self::Decision,
        Self::Failed,
        Self::Fact,
        Self::Done,
    ];

    /// Its name, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Decision => "decision",
            Self::Failed => "failed",
            Self::Fact => "fact",
            Self::Done => "done",
        }
    }
}

impl ToolOutcome {
    /// An outcome with one piece of text and nothing else.
    pub fn text(status: ToolStatus, text: impl Into<String>) -> Self {
        Self {
            status,
            content: vec![Content::text(text)],
            ..Self::default()
        }
    }

    /// A failure with its reason.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::text(ToolStatus::Failed, reason)
    }
}

/// How a command ended that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum CommandEnd {
    /// It exited.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// A signal killed it.
    Signalled {
        /// Which.
        signal: i32,
    },
    /// It used more memory, processes or time than its limits allow, and was killed.
    OverLimit,
    /// It took longer than the call allowed, and was killed.
    TimedOut {
        /// How long that was, in seconds.
        after_s: u64,
    },
}

impl From<ProcessEnd> for CommandEnd {
    fn from(end: ProcessEnd) -> Self {
        match end {
            ProcessEnd::Exited(code) => Self::Exited { code },
            ProcessEnd::Signalled(signal) => Self::Signalled { signal },
            ProcessEnd::OverLimit => Self::OverLimit,
        }
    }
}

impl fmt::Display for CommandEnd {
    /// In words, for models and people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { code } => write!(f, "exit code {code}"),
            Self::Signalled { signal } => {
                write!(f, "killed by signal {signal}{}", signal_name(*signal))
            }
            Self::OverLimit => {
                f.write_str("killed: it used more memory, processes or time than it may")
            }
            Self::TimedOut { after_s } => write!(f, "timed out after {after_s} s"),
        }
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        2 => " (SIGINT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

/// A file that a tool changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Which file.
    pub path: PathBuf,
    /// In what way.
    pub kind: ChangeKind,
    /// A unified diff for a person, cut to a sane size.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub diff: String,
}

/// In what way a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Its content changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// A line of the checklist that a person sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// What is to be done.
    pub text: String,
    /// How far it is.
    pub status: PlanStatus,
}

/// How far a step of the plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// Not begun.
    Pending,
    /// Being worked on.
    InProgress,
    /// Done.
    Completed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_of_an_earlier_version_reads_and_writes_as_it_did() {
        let earlier = r#"{"status":"done","content":[{"kind":"text","text":"ok"}]}"#;
        let outcome: ToolOutcome = serde_json::from_str(earlier).expect("it reads");
        assert_eq!(serde_json::to_string(&outcome).expect("it writes"), earlier);
        let outcome = ToolOutcome {
            end: Some(CommandEnd::Exited { code: 3 }),
            lines: Some(0),
            ..outcome
        };
        let written = serde_json::to_value(&outcome).expect("it writes");
        assert_eq!(
            written["end"],
            serde_json::json!({"end": "exited", "code": 3})
        );
        assert_eq!(written["lines"], 0);
    }
}
