//! Requests to a model and its answers, in one form for every provider.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(doc)]
use crate::USE_TOOL;
use crate::{Delta, Effort, Item, Money, RequestId, Retry, SessionId, ToolSpec, Transcript, Usage};

/// What opens every request of a session, byte for byte the same from request to request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    /// The system prompt.
    pub instructions: String,
    /// The tools.
    pub tools: Vec<ToolSpec>,
    /// Tools that came while the session was at work. They open no request: the model was told of them
    /// in the context and calls them by [`USE_TOOL`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<ToolSpec>,
    /// Servers whose tools cannot be had, each with why: `NAME: …`. The model was told so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
}

impl Prefix {
    /// Whether requests open with the same bytes as by another one.
    #[must_use]
    pub fn opens_as(&self, other: &Self) -> bool {
        self.tools == other.tools && self.instructions == other.instructions
    }
}

/// A request to a model.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// Whose it is; also keys the provider's prompt cache.
    pub session: SessionId,
    /// Which of the session's requests it is.
    pub request: RequestId,
    /// The model: `provider/name`.
    pub model: String,
    /// What opens it.
    pub prefix: Arc<Prefix>,
    /// The context.
    pub transcript: Transcript,
    /// How hard to think.
    pub effort: Effort,
    /// The JSON schema that the final answer must fit, if one is asked for.
    pub output_schema: Option<Arc<Value>>,
    /// What it is for.
    pub purpose: Purpose,
    /// Whether the provider may compact by itself, and from how many tokens of prompt on.
    pub provider_compaction: Option<u64>,
    /// Where inference must happen, such as `us`; anywhere when absent. A model that cannot be held
    /// to it refuses the request before anything is sent.
    pub region: Option<String>,
}

/// What a request is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Purpose {
    /// The session's own work.
    #[default]
    Work,
    /// A summary of the context, in the model's words: the reply's text is all that counts.
    Summary,
    /// A compaction by the provider's own means: the reply is one [`Item::Summary`], or items that
    /// stand for the whole context.
    Compact {
        /// What it should dwell on; may be empty.
        focus: String,
    },
    /// A judgement of the goal, in a context of its own.
    Judge,
}

impl Purpose {
    /// Whether it is the session's own work.
    #[must_use]
    pub fn is_work(&self) -> bool {
        *self == Self::Work
    }
}

/// What a model's stream yields. The last element is always `Finished` or `Failed`.
#[derive(Clone, Debug)]
pub enum ModelEvent {
    /// A live fragment.
    Delta(Delta),
    /// What the request has used so far, all attempts together, as soon as the provider says so, and
    /// when another attempt begins after [`Delta::Retrying`]; a later one replaces it. It is what a
    /// request that is abandoned has cost.
    Used {
        /// The tokens.
        usage: Usage,
        /// What they cost; absent when no price is known.
        cost: Option<Money>,
    },
    /// The whole answer.
    Finished(Reply),
    /// No answer.
    Failed(ModelFailure),
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The model that served it, as the provider names it.
    pub model: String,
    /// What it said, in order. Call ids are counted from 1 in each reply; the kernel renumbers.
    pub items: Vec<Item>,
    /// Why it stopped.
    pub stop: TokenStop,
    /// What it used, lost attempts included.
    pub usage: Usage,
    /// What that cost; absent when no price is known, or not all tokens were reported.
    pub cost: Option<Money>,
    /// Attempts that failed before this one.
    pub retries: Vec<Retry>,
}

/// No answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFailure {
    /// What went wrong.
    pub error: ModelError,
    /// Tokens reported before it failed.
    pub usage: Usage,
    /// What they cost; absent when no price is known.
    pub cost: Option<Money>,
    /// Attempts that failed before the last one.
    pub retries: Vec<Retry>,
}

/// Why a model stopped producing tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenStop {
    /// It had said all it wanted.
    EndTurn,
    /// It wants tools to run.
    ToolUse,
    /// It reached the output limit or the end of its window.
    MaxTokens,
    /// It, or its provider, refused.
    Refusal,
    /// The provider paused a long turn; asking again continues it.
    Pause,
}

/// What went wrong with a request, for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    /// The kind.
    pub kind: ModelErrorKind,
    /// What happened, with the provider's own words.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// The HTTP status, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// What kind of thing went wrong, by what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelErrorKind {
    /// No key, or the provider does not take it.
    Auth,
    /// The account is out of money or quota.
    Quota,
    /// No such model there.
    UnknownModel,
    /// What answered is not such an API (HTML, another JSON).
    NotAnApi,
    /// Cannot connect, or the connection broke.
    Network,
    /// Too many requests, or the provider is overloaded; retries did not help.
    Busy,
    /// The provider broke (5xx); retries did not help.
    Server,
    /// The context does not fit the model.
    ContextOverflow,
    /// The provider does not take the request as it is.
    BadRequest,
    /// The stream was not what its protocol says.
    Malformed,
    /// It was cancelled here.
    Cancelled,
    /// The process died while it was open.
    Lost,
}

/// Why a turn ended. The first five are ACP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model had no more to do.
    EndTurn,
    /// The answer was cut at the output limit.
    MaxTokens,
    /// The turn used all the requests it may make.
    MaxTurnRequests,
    /// The model or its provider refused.
    Refusal,
    /// A person, a signal or a timeout stopped it.
    Cancelled,
    /// The budget is spent. Journals before version 0.2 ended turns so; now such a turn pauses.
    Budget,
    /// The same call, or a few in turn, with the same results again and again; or a goal came no
    /// nearer.
    NoProgress,
    /// The evaluator found that the goal cannot be met.
    Impossible,
    /// The model could not be reached or broke.
    Error,
}

impl StopReason {
    /// For a person.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::EndTurn => "done",
            Self::MaxTokens => "the answer was cut at the output limit",
            Self::MaxTurnRequests => "the turn used all the requests it may make",
            Self::Refusal => "the model refused",
            Self::Cancelled => "stopped",
            Self::Budget => "the budget is spent",
            Self::NoProgress => "no progress",
            Self::Impossible => "the goal cannot be met",
            Self::Error => "the model could not be reached",
        }
    }
}
