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
}

/// How much a session may use. Reaching a limit ends the turn; nothing is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Model requests in one turn.
    pub requests_per_turn: u32,
    /// Money for the whole session; no request is sent once it is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Money>,
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
