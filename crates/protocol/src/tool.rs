//! Tools as the model and the kernel know them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Approval, CallId, Content, JobId};

/// A tool as described to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name, `[a-z_]{1,64}`.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    /// It ran and did what it says (a command that exits non-zero is still done).
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl ToolOutcome {
    /// An outcome with one piece of text and nothing else.
    pub fn text(status: ToolStatus, text: impl Into<String>) -> Self {
        Self {
            status,
            content: vec![Content::text(text)],
            changes: Vec::new(),
            plan: None,
            job: None,
        }
    }

    /// A failure with its reason.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::text(ToolStatus::Failed, reason)
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
