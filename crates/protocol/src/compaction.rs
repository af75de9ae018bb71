//! Compaction: older items replaced in the context, as a fact. The journal keeps everything.

use serde::{Deserialize, Serialize};

use crate::{CallId, Item, MessageId};

/// Something that happened to the context as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum CompactionStep {
    /// A person wants it; it is done at the next step boundary.
    Asked {
        /// What the summary should dwell on; may be empty.
        focus: String,
        /// Which part of the context it is about.
        part: ContextPart,
    },
    /// It was done: every later request carries the new context.
    Done {
        /// How.
        compaction: Compaction,
    },
    /// One way of doing it failed; another one follows.
    Failed {
        /// Which way.
        kind: CompactionKind,
        /// What went wrong, in words.
        reason: String,
    },
    /// The last compaction was taken back: the context is what it was before it, with what came since.
    Undone,
}

/// A change of the context: some items are replaced, some results become one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    /// How it was made.
    pub kind: CompactionKind,
    /// Why it was made.
    pub cause: CompactionCause,
    /// The items that are replaced.
    pub replaced: Span,
    /// What stands in their place.
    pub head: Vec<Item>,
    /// Calls whose results become one line that says how to get them back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cleared: Vec<CallId>,
    /// What is appended behind everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tail: Vec<Item>,
    /// Tokens of a request before it, as estimated.
    pub tokens_before: u64,
    /// Tokens of a request after it, as estimated.
    pub tokens_after: u64,
}

/// Items of the context from one place up to before another, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first of them.
    pub from: u32,
    /// The one after the last.
    pub to: u32,
}

impl Span {
    /// How many there are.
    #[must_use]
    pub fn len(self) -> u32 {
        self.to.saturating_sub(self.from)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// How a compaction was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactionKind {
    /// Old and large tool results became one line each; no model was asked.
    Clear,
    /// The model summarised what the ledger does not hold.
    Summary,
    /// The provider did it in its own way.
    Provider,
    /// Older items were left out without a summary, because no summary could be had.
    Cut,
}

/// Why a compaction was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactionCause {
    /// The context reached the size at which it is compacted.
    Threshold,
    /// The provider said that the context does not fit.
    Overflow,
    /// A person asked for it.
    Asked,
}

/// Which part of the context a compaction is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum ContextPart {
    /// Everything but the newest steps.
    #[default]
    Older,
    /// What stands before a message.
    UpTo {
        /// The message, which stays.
        message: MessageId,
    },
    /// A message and everything after it.
    From {
        /// The message.
        message: MessageId,
    },
}
