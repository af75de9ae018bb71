//! What a session runs with, and the limits on it.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Money, Policy};

/// What a session runs with. Recorded in its journal, so that a resumed session is the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The model: `provider/name`.
    pub model: String,
    /// How hard to think.
    pub effort: Effort,
    /// The folder it works in, absolute.
    pub workspace: PathBuf,
    /// What may run, where.
    pub policy: Policy,
    /// How much it may use.
    pub limits: Limits,
    /// The JSON schema that the final answer must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// How large the context may grow, and what happens then.
    #[serde(default)]
    pub context: ContextLimits,
    /// Who decides how hard to think at each step.
    #[serde(default, skip_serializing_if = "EffortChoice::is_fixed")]
    pub effort_choice: EffortChoice,
    /// Where inference must happen, such as `us`; anywhere when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// How large the context may grow, in tokens, and what happens then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextLimits {
    /// What prompt and answer may have together: the model's window.
    pub window: u64,
    /// What is kept free for an answer.
    pub answer: u64,
    /// Size of a prompt at which the context is compacted; at most `window - answer`.
    pub compact_at: u64,
    /// How much of the newest steps stays as it is.
    pub keep: u64,
    /// Who compacts.
    pub compaction: CompactionMode,
}

impl Default for ContextLimits {
    /// For a model of which nothing is known.
    fn default() -> Self {
        Self::for_window(128_000, 32_000)
    }
}

impl ContextLimits {
    /// The usual limits for a window and the most tokens that one answer may have.
    #[must_use]
    pub fn for_window(window: u64, max_output: u64) -> Self {
        let answer = max_output.min(32_000).min(window / 4);
        let room = window - answer;
        Self {
            window,
            answer,
            compact_at: room / 10 * 9,
            keep: (room / 5).min(20_000),
            compaction: CompactionMode::Own,
        }
    }

    /// The most tokens that a prompt may have.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.window.saturating_sub(self.answer).max(1)
    }
}

/// Who compacts the context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactionMode {
    /// Quire: old results first, then a summary by the model.
    #[default]
    Own,
    /// The provider where it can, when a compaction is due; Quire where it cannot or fails.
    Provider,
    /// The provider by itself in the middle of a request, where it can; Quire where it cannot.
    ProviderThreshold,
    /// Nobody, until the context does not fit any more.
    Off,
}

/// Who decides how hard to think at each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffortChoice {
    /// The session's effort at every step; a model that thinks adaptively decides within it.
    #[default]
    Fixed,
    /// The kernel, step by step, for a model that does not think adaptively by itself.
    ByStep,
    /// The kernel, turn by turn: a change of the effort costs this model's prompt cache.
    ByTurn,
}

impl EffortChoice {
    /// Whether it is the session's effort at every step.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        *self == Self::Fixed
    }
}

/// How much a session may use. Reaching a limit of the session (money, tokens, turns, time) pauses the
/// open turn, which goes on once the limit is raised; any other ends it. Nothing is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Model requests in one turn.
    pub requests_per_turn: u32,
    /// Money for the whole session; no request is sent once it is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Money>,
    /// Tokens for the whole session, prompts and answers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Turns of the whole session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u32>,
    /// Milliseconds of work for the whole session; waiting for a person is not work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_ms: Option<u64>,
    /// How often the same call, or a few in turn, may give the same results in a row before the turn
    /// is stopped.
    pub repeats: u32,
    /// Tool calls that run side by side.
    pub parallel_calls: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_turn: 500,
            budget: None,
            tokens: None,
            turns: None,
            work_ms: None,
            repeats: 8,
            parallel_calls: 8,
        }
    }
}

/// How hard to think; each provider's own ladder is mapped from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// As little as possible.
    Low,
    /// Less than usual.
    Medium,
    /// The usual.
    #[default]
    High,
    /// More than usual.
    Xhigh,
    /// As much as the model can.
    Max,
}

impl Effort {
    /// All levels, lowest first.
    pub const ALL: [Self; 5] = [Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }
}

impl FromStr for Effort {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|effort| effort.name() == name)
            .ok_or_else(|| format!("`{name}` is no effort: use low, medium, high, xhigh or max"))
    }
}
